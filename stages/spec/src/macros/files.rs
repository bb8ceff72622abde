//! Macro files: their reading, and the patterns that find them.
//!
//! A definition begins with a `%` that is the first in its line, and goes on over a line that ends in a backslash or
//! leaves a bracket of a macro open (`%{`, `%(`, `%[`). Every other line means nothing, whatever it ends in. A body of
//! any length is read whole; rpm cuts it at 16 KiB.

use std::{borrow::Cow, sync::Arc};

use super::{
    Behaviour, Engine, Failed, Table, level,
    text::{self, Open},
};

impl Engine {
    /// An engine that only makes definitions: it has no world, so it must not expand.
    pub(crate) fn for_loading(table: Table, behaviour: Behaviour) -> Self {
        Self {
            table,
            behaviour,
            ..Self::default()
        }
    }

    /// The macros, when the engine is needed no more.
    pub(crate) fn into_table(self) -> Table {
        self.table
    }

    /// Makes the definitions of a macro file, which messages call `name`; gives how many failed.
    pub fn load_text(&mut self, name: &str, text: &str) -> usize {
        let name: Arc<str> = name.into();
        let before = self.set_place(None);
        let mut failed = 0;
        for (line, definition) in (Definitions { rest: text, line: 0 }) {
            self.set_place(Some((name.clone(), line)));
            if self.define(&definition, level::MACROFILES).is_err() {
                failed += 1;
            }
        }
        self.set_place(before);
        failed
    }

    /// `%{load:PATH}`: fails when the file cannot be read or a definition in it fails; the caller says that it did.
    pub(super) fn load(&mut self, path: &str) -> Result<(), Failed> {
        let bytes = self.world().read(path).map_err(|_| Failed)?;
        match self.load_text(path, &text::decode(&bytes)) {
            0 => Ok(()),
            _ => Err(Failed),
        }
    }
}

/// The definitions of a macro file without their `%`, each with the number of its last line.
struct Definitions<'t> {
    rest: &'t str,
    line: u32,
}

impl<'t> Definitions<'t> {
    /// The next line with its end.
    fn line(&mut self) -> &'t str {
        let length = self.rest.find('\n').map_or(self.rest.len(), |end| end + 1);
        let (line, rest) = self.rest.split_at(length);
        self.rest = rest;
        self.line += 1;
        line
    }
}

impl<'t> Iterator for Definitions<'t> {
    type Item = (u32, Cow<'t, str>);

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let start = self.rest;
            let mut line = self.line();
            let blanks = line.len() - line.trim_start_matches([' ', '\t']).len();
            if line.as_bytes().get(blanks) != Some(&b'%') {
                continue;
            }
            let mut open = Open::default();
            let complete = loop {
                open.scan(line.as_bytes());
                // Two backslashes at the end go on as well: rpm looks at the last byte only.
                if !without_end(line).ends_with('\\') && !open.brackets() {
                    break true;
                }
                if self.rest.is_empty() {
                    break false;
                }
                line = self.line();
            };
            // Only the last line loses its end, though it may be nothing but that.
            let end = if complete {
                line.len() - without_end(line).len()
            } else {
                0
            };
            let text = &start[blanks + 1..start.len() - self.rest.len() - end];
            return Some((self.line, unix(text)));
        }
        None
    }
}

fn without_end(line: &str) -> &str {
    line.trim_end_matches(['\n', '\r'])
}

/// `\r\n` as `\n`.
fn unix(text: &str) -> Cow<'_, str> {
    match text.contains("\r\n") {
        true => Cow::Owned(text.split('\n').map(without_end).collect::<Vec<_>>().join("\n")),
        false => Cow::Borrowed(text),
    }
}

/// Does `name` (no `/` in it) match a pattern of the shell's kind, as C's `glob` has it with braces?
///
/// Bytes are compared; a period at the start is matched by a period only.
pub fn pattern_matches(pattern: &str, name: &str) -> bool {
    alternatives(pattern).iter().any(|pattern| {
        let hidden = name.starts_with('.') && !pattern.trim_start_matches('\\').starts_with('.');
        !hidden && matches(pattern.as_bytes(), name.as_bytes())
    })
}

/// `a{b,c}d` as `abd` and `acd`. Braces that are escaped, empty, never closed or in a `[…]` are characters.
fn alternatives(pattern: &str) -> Vec<String> {
    let Some((open, commas, close)) = first_braces(pattern.as_bytes()) else {
        return vec![pattern.to_owned()];
    };
    let (before, after) = (&pattern[..open], &pattern[close + 1..]);
    let ends = commas.iter().copied().chain([close]);
    let starts = [open].into_iter().chain(commas.iter().copied());
    let parts = starts.zip(ends).map(|(start, end)| &pattern[start + 1..end]);
    parts
        .flat_map(|part| alternatives(&format!("{before}{part}{after}")))
        .collect()
}

/// Where the first pair of braces opens, its own commas, and where it closes.
fn first_braces(pattern: &[u8]) -> Option<(usize, Vec<usize>, usize)> {
    let (mut open, mut commas, mut depth, mut at) = (None, Vec::new(), 0_usize, 0);
    while at < pattern.len() {
        match pattern[at] {
            b'\\' => at += 1,
            b'[' => at += set(&pattern[at..], 0).map_or(0, |(length, _)| length - 1),
            b'{' if depth == 0 && pattern.get(at + 1) == Some(&b'}') => at += 1,
            b'{' => {
                depth += 1;
                open.get_or_insert(at);
            }
            b',' if depth == 1 => commas.push(at),
            b'}' if depth == 1 => return Some((open?, commas, at)),
            b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    None
}

/// Matches with one point to come back to: the last `*`.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star = None;
    loop {
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            star = Some((p, n));
            continue;
        }
        let taken = match name.get(n) {
            None if p == pattern.len() => return true,
            None => return false,
            Some(byte) => one(&pattern[p..], *byte),
        };
        match (taken, star) {
            (Some(length), _) => (p, n) = (p + length, n + 1),
            (None, Some((after, from))) => {
                (p, n) = (after, from + 1);
                star = Some((after, n));
            }
            (None, None) => return false,
        }
    }
}

/// How long the first element of `pattern` is, if it matches `byte`.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match (pattern.first()?, pattern.get(1)) {
        (b'?', _) => Some(1),
        (b'\\', Some(escaped)) => (*escaped == byte).then_some(2),
        (b'[', _) => match set(pattern, byte) {
            Some((length, found)) => found.then_some(length),
            None => (byte == b'[').then_some(1),
        },
        (plain, _) => (*plain == byte).then_some(1),
    }
}

/// How long the `[…]` at the start of `pattern` is, and whether `byte` is in it; nothing if it is not closed.
fn set(pattern: &[u8], byte: u8) -> Option<(usize, bool)> {
    let negated = matches!(pattern.get(1), Some(b'!' | b'^'));
    let first = if negated { 2 } else { 1 };
    let (mut at, mut found) = (first, false);
    loop {
        match *pattern.get(at)? {
            b']' if at > first => return Some((at + 1, found != negated)),
            b'[' if pattern.get(at + 1) == Some(&b':') => {
                let length = pattern[at + 2..].windows(2).position(|two| two == b":]")?;
                found |= is_of_class(&pattern[at + 2..at + 2 + length], byte);
                at += length + 4;
            }
            _ => {
                let (low, after) = member(pattern, at)?;
                let dash = pattern.get(after) == Some(&b'-');
                if dash && pattern.get(after + 1).is_some_and(|next| *next != b']') {
                    let (high, after) = member(pattern, after + 1)?;
                    found |= (low..=high).contains(&byte);
                    at = after;
                } else {
                    found |= low == byte;
                    at = after;
                }
            }
        }
    }
}

/// The byte at `at`, which may be escaped, and the position after it.
fn member(pattern: &[u8], at: usize) -> Option<(u8, usize)> {
    match pattern.get(at)? {
        b'\\' => Some((*pattern.get(at + 1)?, at + 2)),
        byte => Some((*byte, at + 1)),
    }
}

fn is_of_class(class: &[u8], byte: u8) -> bool {
    match class {
        b"alnum" => byte.is_ascii_alphanumeric(),
        b"alpha" => byte.is_ascii_alphabetic(),
        b"blank" => text::is_blank(byte),
        b"digit" => byte.is_ascii_digit(),
        b"lower" => byte.is_ascii_lowercase(),
        b"punct" => byte.is_ascii_punctuation(),
        b"space" => text::is_space(byte),
        b"upper" => byte.is_ascii_uppercase(),
        b"xdigit" => byte.is_ascii_hexdigit(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(text: &str) -> (Engine, usize) {
        let mut engine = Engine::for_loading(Table::default(), Behaviour::Rpm420);
        let failed = engine.load_text("macros.test", text);
        (engine, failed)
    }

    fn body(text: &str, name: &str) -> Option<String> {
        let (engine, _) = loaded(text);
        engine.table().get(name).map(|found| found.text().to_owned())
    }

    #[test]
    fn lines_are_joined_as_rpm_joins_them() {
        let cases = [
            ("%aa one\n%bb two\n", Some("one"), Some("two")),
            ("  \t%aa  one  \n%bb two", Some("one"), Some("two")),
            ("%aa one\\\n two\n%bb 2\n", Some("one\n two"), Some("2")),
            ("%aa one\\\r\n two\r\n%bb 2\r\n", Some("one\n two"), Some("2")),
            ("%aa %{x:\n y\n}\n%bb 2\n", Some("%{x:\n y\n}"), Some("2")),
            ("%aa %(echo\n)\n%bb %[1\n]\n", Some("%(echo\n)"), None),
            // A line that is no definition is skipped alone.
            ("# c \\\n%aa 1\ntext %{\n%bb 2\n", Some("1"), Some("2")),
            ("%aa x%%{\n%bb 2\n", Some("x%%{"), Some("2")),
            ("%aa one\\\n\n%bb two\n", Some("one"), Some("two")),
            // The last line needs no end; one that should go on is taken as it is.
            ("%aa 1\\\n", Some("1"), None),
            ("%aa() %1 %2\n", Some("%1 %2"), None),
        ];
        for (text, aa, bb) in cases {
            assert_eq!(body(text, "aa").as_deref(), aa, "{text:?}");
            assert_eq!(body(text, "bb").as_deref(), bb, "{text:?}");
        }
    }

    #[test]
    fn a_long_body_is_whole() {
        let text = format!("%long {}end\n", "x\\\n".repeat(40_000));
        assert_eq!(body(&text, "long").map(|body| body.len()), Some(80_003));
    }

    #[test]
    fn failures_are_counted_and_name_the_line() {
        let (mut engine, failed) = loaded("%good 1\n\n%2bad\\\n x\n%empty\n%other 2\n");
        assert_eq!(failed, 2);
        let said = engine.take_messages();
        assert!(said[0].text.starts_with("macros.test: line 4: "), "{said:?}");
        assert!(said[1].text.starts_with("macros.test: line 5: "), "{said:?}");
        assert!(engine.is_defined("good") && engine.is_defined("other"));
    }

    #[test]
    fn patterns_match_as_glob_does() {
        let yes = [
            ("macros.*", "macros.perl"),
            ("macros.*", "macros."),
            ("*.attr", "a.b.attr"),
            ("?[a-c0-9]*", "xb"),
            ("[!a]b", "xb"),
            ("[]x]", "]"),
            ("[[:digit:]_]", "_"),
            ("[a-]", "-"),
            ("a\\*", "a*"),
            ("[", "["),
            (".*", ".x"),
            ("{a,b{c,d}}e", "bde"),
            ("{}", "{}"),
            ("*a*b*c", "xaxbxbc"),
        ];
        let no = [
            ("macros.*", "macros"),
            ("*", ".hidden"),
            ("?x", ".x"),
            ("[!a]b", "ab"),
            ("a\\*", "ab"),
            ("{a,b}c", "ac.d"),
            ("*a*b*c", "xaxbxb"),
            ("", "a"),
        ];
        for (pattern, name) in yes {
            assert!(pattern_matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in no {
            assert!(!pattern_matches(pattern, name), "{pattern} {name}");
        }
        assert_eq!(alternatives("{a,b,}{c,d}"), ["ac", "ad", "bc", "bd", "c", "d"]);
    }
}
