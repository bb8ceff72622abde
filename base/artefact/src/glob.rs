//! Patterns of file names, as doublestar (what azldev uses) reads them: the only engine for them. Includes, `specs` and
//! `overlay-files` walk along a pattern's [`steps`]; overlays, exceptions of checks, and names on the command line compare with a
//! [`Glob`].
//!
//! `*` and `?` do not pass a slash; `**` as a whole part of a path is any number of folders; `[a-z]`, `[^a]` and `[!a]`
//! are one character, never a slash; `{a,b}` is either; a backslash takes the meaning from what follows. A dot at the
//! start of a name is nothing special.
//!
//! A pattern becomes one regular expression, so that time is linear in the name, whatever the pattern.

use regex::RegexBuilder;

/// What braces may multiply to.
const MOST: usize = 256;
/// The most parts that all ways of a pattern have together.
const MOST_PARTS: usize = 10_000;
/// The longest pattern.
const LONGEST: usize = 4096;
/// What a compiled pattern may weigh, in bytes.
const LARGEST: usize = 4 << 20;

/// A pattern, ready to be compared.
#[derive(Debug, Clone)]
pub struct Glob {
    regex: regex::Regex,
    written: String,
}

impl PartialEq for Glob {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Eq for Glob {}

/// Why a pattern is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(pub &'static str);

impl Glob {
    /// Reads a pattern.
    pub fn new(pattern: &str) -> Result<Self, Error> {
        let parts = choices_of(pattern)?
            .iter()
            .map(|one| translate(one))
            .collect::<Result<Vec<_>, _>>()?;
        let regex = RegexBuilder::new(&format!(r"\A(?:{})\z", parts.join("|")))
            .size_limit(LARGEST)
            .dot_matches_new_line(true)
            .build()
            .map_err(|_| Error("it is too large"))?;
        Ok(Self {
            regex,
            written: pattern.to_owned(),
        })
    }

    /// Does a name, or a path with slashes, fit?
    pub fn fits(&self, name: &str) -> bool {
        self.regex.is_match(name)
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// Is it a plain name?
    pub fn is_literal(&self) -> bool {
        !is_pattern(&self.written)
    }
}

/// Does any character of a pattern stand for something else than itself?
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '[', '{', '\\'])
}

/// A text as a pattern that only it fits.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '{' | '}' | ',' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// One part of a path that a pattern leads along.
#[derive(Debug, Clone)]
pub enum Step {
    /// A name as it is; also `.` and `..`.
    Name(String),
    /// `**`: any number of folders.
    Folders,
    /// Names that fit.
    Fitting {
        /// The pattern of one name.
        glob: Glob,
        /// As it is written.
        written: String,
    },
}

/// The ways that a pattern leads along, one for each choice that its braces offer; empty parts are left out.
pub fn steps(pattern: &str) -> Result<Vec<Vec<Step>>, Error> {
    let step = |part: &str| -> Result<Step, Error> {
        Ok(match part {
            "**" => Step::Folders,
            part if !is_pattern(part) => Step::Name(part.to_owned()),
            part => match unescaped(part) {
                Some(name) => Step::Name(name),
                None => Step::Fitting {
                    glob: Glob::new(part)?,
                    written: part.to_owned(),
                },
            },
        })
    };
    let ways = choices_of(pattern)?;
    let parts = ways.iter().flatten().filter(|c| **c == '/').count() + ways.len();
    if parts > MOST_PARTS {
        return Err(Error("its braces stand for too many folders"));
    }
    ways.iter()
        .map(|way| {
            let way: String = way.iter().collect();
            way.split('/').filter(|part| !part.is_empty()).map(step).collect()
        })
        .collect()
}

/// The one name that a part stands for, if backslashes are all that is special in it.
fn unescaped(part: &str) -> Option<String> {
    let mut name = String::new();
    let mut chars = part.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' | '?' | '[' | '{' => return None,
            '\\' => name.push(chars.next()?),
            c => name.push(c),
        }
    }
    Some(name)
}

/// What a pattern stands for, each without braces.
fn choices_of(pattern: &str) -> Result<Vec<Vec<char>>, Error> {
    if pattern.len() > LONGEST {
        return Err(Error("it is longer than any pattern should be"));
    }
    let chars: Vec<char> = pattern.chars().collect();
    let mut all = vec![Vec::new()];
    expand(&chars, &mut all)?;
    Ok(all)
}

/// Adds what `pattern` stands for, without its braces, to each of `all`.
fn expand(pattern: &[char], all: &mut Vec<Vec<char>>) -> Result<(), Error> {
    let mut at = 0;
    while at < pattern.len() {
        match pattern[at] {
            '\\' => {
                let end = (at + 2).min(pattern.len());
                push(all, &pattern[at..end]);
                at = end;
            }
            '[' => {
                let end = class_end(&pattern[at..]).ok_or(Error("a `[` is not closed"))? + at;
                push(all, &pattern[at..end]);
                at = end;
            }
            '{' => {
                let (choices, length) = choices(&pattern[at..]).ok_or(Error("a `{` is not closed"))?;
                let mut out = Vec::new();
                for choice in choices {
                    let mut with = all.clone();
                    expand(choice, &mut with)?;
                    out.append(&mut with);
                    if out.len() > MOST {
                        return Err(Error("its braces stand for too many names"));
                    }
                }
                *all = out;
                at += length;
            }
            c => {
                push(all, &[c]);
                at += 1;
            }
        }
    }
    Ok(())
}

fn push(all: &mut [Vec<char>], chars: &[char]) {
    for one in all {
        one.extend_from_slice(chars);
    }
}

/// The choices within the braces that `pattern` starts with, and how long all is.
fn choices(pattern: &[char]) -> Option<(Vec<&[char]>, usize)> {
    let (mut choices, mut start, mut depth, mut at) = (Vec::new(), 1, 0_usize, 0);
    while let Some(c) = pattern.get(at) {
        match c {
            '\\' => at += 1,
            '[' => at += class_end(&pattern[at..])? - 1,
            '{' => depth += 1,
            '}' if depth == 1 => {
                choices.push(pattern.get(start..at)?);
                return Some((choices, at + 1));
            }
            '}' => depth -= 1,
            ',' if depth == 1 => {
                choices.push(pattern.get(start..at)?);
                start = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// Where the class ends that `pattern` starts with.
fn class_end(pattern: &[char]) -> Option<usize> {
    let mut at = 1;
    if matches!(pattern.get(at), Some('^' | '!')) {
        at += 1;
    }
    let first = at;
    loop {
        match pattern.get(at)? {
            ']' if at > first => return Some(at + 1),
            '\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// A pattern without braces as a regular expression.
fn translate(pattern: &[char]) -> Result<String, Error> {
    let mut out = String::new();
    let mut at = 0;
    while at < pattern.len() {
        let starts_part = at == 0 || pattern[at - 1] == '/';
        let rest = &pattern[at..];
        match rest {
            ['*', '*', '/', ..] if starts_part => {
                out.push_str("(?:[^/]+/)*");
                at += 3;
            }
            // `a/**` is `a` too.
            ['/', '*', '*'] => {
                out.push_str("(?:/.*)?");
                at += 3;
            }
            ['*', '*'] if starts_part => {
                out.push_str(".*");
                at += 2;
            }
            ['*', ..] => {
                out.push_str("[^/]*");
                at += rest.iter().take_while(|c| **c == '*').count();
            }
            ['?', ..] => {
                out.push_str("[^/]");
                at += 1;
            }
            ['[', ..] => {
                let end = class_end(rest).ok_or(Error("a `[` is not closed"))?;
                class(&rest[1..end - 1], &mut out)?;
                at += end;
            }
            ['\\', c, ..] => {
                out.push_str(&regex::escape(&c.to_string()));
                at += 2;
            }
            ['\\'] => return Err(Error("a backslash is at its end")),
            [c, ..] => {
                out.push_str(&regex::escape(&c.to_string()));
                at += 1;
            }
            [] => break,
        }
    }
    Ok(out)
}

fn class(inner: &[char], out: &mut String) -> Result<(), Error> {
    let (negated, mut rest) = match inner {
        ['^' | '!', rest @ ..] => (true, rest),
        _ => (false, inner),
    };
    let mut ranges = String::new();
    let one = |rest: &mut &[char]| match *rest {
        ['\\', c, tail @ ..] | [c, tail @ ..] => {
            *rest = tail;
            Some(*c)
        }
        [] => None,
    };
    while let Some(low) = one(&mut rest) {
        let high = match rest {
            ['-', tail @ ..] if !tail.is_empty() => {
                rest = tail;
                one(&mut rest).unwrap_or(low)
            }
            _ => low,
        };
        if high < low {
            return Err(Error("a range in it ends before it begins"));
        }
        ranges.push_str(&format!(r"\x{{{:X}}}-\x{{{:X}}}", low as u32, high as u32));
    }
    match negated {
        true => out.push_str(&format!("[^{ranges}/]")),
        false => out.push_str(&format!("[[{ranges}]&&[^/]]")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit() {
        for (pattern, fits, differs) in [
            (
                "a.patch",
                &["a.patch"][..],
                &["b.patch", "x/a.patch", "aXpatch"][..],
            ),
            ("*.patch", &["a.patch", ".patch"], &["d/a.patch", "a.patch.gz"]),
            (
                "**/*.patch",
                &["a.patch", "d/a.patch", "d/e/a.patch"],
                &["a.diff"],
            ),
            ("**", &["a", "a/b", ""], &[]),
            ("a/**", &["a", "a/b", "a/b/c"], &["b", "ab"]),
            ("a/**/b", &["a/b", "a/x/b", "a/x/y/b"], &["ab", "a/b/c"]),
            ("a**b", &["ab", "axb"], &["a/b"]),
            ("?.c", &["a.c", "é.c"], &[".c", "/.c"]),
            ("[a-c]x", &["ax", "cx"], &["dx"]),
            ("[^a-c]x", &["dx"], &["ax", "/x"]),
            ("[!]]x", &["ax"], &["]x"]),
            ("[]a]x", &["]x", "ax"], &["bx"]),
            ("{a,b{1,2},}.c", &["a.c", "b1.c", "b2.c", ".c"], &["b.c"]),
            (r"\*", &["*"], &["a"]),
            ("{**/,}x", &["x", "a/x"], &["ax"]),
        ] {
            let glob = Glob::new(pattern).unwrap();
            for name in fits {
                assert!(glob.fits(name), "{pattern} {name}");
            }
            for name in differs {
                assert!(!glob.fits(name), "{pattern} {name}");
            }
        }
    }

    #[test]
    fn an_escaped_text_fits_itself() {
        for text in ["a", "/t[1x]/{a,b}/*?", r"a\b"] {
            assert!(Glob::new(&escaped(text)).unwrap().fits(text), "{text}");
        }
        assert!(!Glob::new(&escaped("a*")).unwrap().fits("ab"));
    }

    #[test]
    fn ways_times_parts_are_bounded() {
        let pattern =
            |parts| "{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}/".to_owned() + &"*/".repeat(parts) + "c";
        assert_eq!(steps(&pattern(30)).unwrap().len(), 256);
        assert!(steps(&pattern(100)).is_err());
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for pattern in ["[a", "{a,b", "a\\", "[b-a]", &"{a,b}".repeat(12)] {
            assert!(Glob::new(pattern).is_err(), "{pattern}");
        }
    }
}
