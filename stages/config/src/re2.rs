//! Regular expressions in Go's syntax (RE2), which overlays are written in.
//!
//! Purpose: the same matches as Go's `regexp` gives, by the `regex` crate, whose matching is of the same kind (leftmost,
//! first alternative, linear in time). Input: a pattern. Output: a [`Pattern`], or which part of it Go refuses, or Keel.
//!
//! What differs between the two, and is translated: `\d`, `\w`, `\s` and `\b` are about ASCII, and `\s` has no vertical
//! tab; `\Q…\E`; octal escapes; `{` that begins no repetition stands for itself; within a class, `[`, `&&`, `--` and `~~`
//! mean nothing but themselves. Groups capture nothing here: replacements are taken as they are.
//!
//! Source: Go's `regexp/syntax` documentation.

mod class;

use std::borrow::Cow;

use regex::RegexBuilder;

/// What a compiled pattern may weigh, in bytes.
const LARGEST: usize = 10 << 20;
/// Go's own: most repetitions of one thing.
const MOST_REPEATED: u32 = 1000;
/// Groups in groups, at most.
const DEEPEST: u32 = 200;
/// The longest pattern.
const LONGEST: usize = 1 << 16;

/// A pattern, ready to be looked for.
#[derive(Debug, Clone)]
pub struct Pattern {
    regex: regex::Regex,
}

/// Why a pattern is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Error {
    /// What is wrong, in words.
    pub what: String,
    /// Where in the pattern, in characters from 1; 0 if it is about the whole.
    pub column: usize,
}

impl Pattern {
    /// Reads a pattern.
    pub fn new(text: &str) -> Result<Self, Error> {
        let translated = translate(text)?;
        let built = RegexBuilder::new(&translated)
            .size_limit(LARGEST)
            .dfa_size_limit(LARGEST)
            .build();
        let regex = built.map_err(|error| Error {
            what: match error {
                regex::Error::CompiledTooBig(_) => "it is too large when it is compiled".to_owned(),
                other => {
                    let text = other.to_string();
                    text.lines()
                        .last()
                        .unwrap_or_default()
                        .trim_start_matches("error: ")
                        .to_owned()
                }
            },
            column: 0,
        })?;
        Ok(Self { regex })
    }

    /// Is it found in `text`?
    pub fn is_in(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// `text` with each match replaced by `replacement` as it is.
    pub fn replace<'t>(&self, text: &'t str, replacement: &str) -> Cow<'t, str> {
        self.regex.replace_all(text, regex::NoExpand(replacement))
    }
}

/// The pattern as the `regex` crate writes it.
fn translate(text: &str) -> Result<String, Error> {
    let mut reader = Reader {
        chars: text.chars().collect(),
        at: 0,
        out: String::with_capacity(text.len() + 16),
    };
    if text.len() > LONGEST {
        return Err(reader.wrong("it is longer than any pattern should be"));
    }
    reader.read()?;
    Ok(reader.out)
}

struct Reader {
    chars: Vec<char>,
    at: usize,
    out: String,
}

/// What a repetition would be about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    Something,
    Repeated,
}

impl Reader {
    fn wrong(&self, what: impl Into<String>) -> Error {
        self.wrong_at(self.at, what)
    }

    fn wrong_at(&self, at: usize, what: impl Into<String>) -> Error {
        Error {
            what: what.into(),
            column: at + 1,
        }
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn starts_with(&self, text: &str) -> bool {
        text.chars()
            .enumerate()
            .all(|(ahead, c)| self.peek(ahead) == Some(c))
    }

    /// A character that means itself.
    fn literal(&mut self, c: char) {
        push_literal(&mut self.out, c);
    }

    fn read(&mut self) -> Result<(), Error> {
        let mut before = Before::Nothing;
        let mut open = Vec::new();
        while let Some(c) = self.peek(0) {
            before = match c {
                '(' => {
                    if open.len() as u32 == DEEPEST {
                        return Err(self.wrong("groups are nested too deep"));
                    }
                    let start = self.at;
                    if self.group()? {
                        open.push(start);
                    }
                    Before::Nothing
                }
                ')' => {
                    if open.pop().is_none() {
                        return Err(self.wrong("this `)` closes nothing"));
                    }
                    self.take(')');
                    Before::Something
                }
                '|' => {
                    self.take('|');
                    Before::Nothing
                }
                '*' | '+' | '?' => {
                    self.may_repeat(before)?;
                    self.take(c);
                    self.lazy();
                    Before::Repeated
                }
                '{' => match self.repetition()? {
                    Some((written, length)) => {
                        self.may_repeat(before)?;
                        self.at += length;
                        self.out.push_str(&written);
                        self.lazy();
                        Before::Repeated
                    }
                    None => {
                        self.at += 1;
                        self.literal('{');
                        Before::Something
                    }
                },
                '[' => {
                    let (class, length) = class::read(&self.chars[self.at..])
                        .map_err(|(ahead, what)| self.wrong_at(self.at + ahead, what))?;
                    self.out.push_str(&class);
                    self.at += length;
                    Before::Something
                }
                '\\' => self.escape(before)?,
                '.' | '^' | '$' => {
                    self.take(c);
                    Before::Something
                }
                _ => {
                    self.at += 1;
                    self.literal(c);
                    Before::Something
                }
            };
        }
        match open.pop() {
            Some(start) => Err(self.wrong_at(start, "this `(` is not closed")),
            None => Ok(()),
        }
    }

    fn take(&mut self, c: char) {
        self.out.push(c);
        self.at += 1;
    }

    fn may_repeat(&self, before: Before) -> Result<(), Error> {
        match before {
            Before::Something => Ok(()),
            Before::Nothing => Err(self.wrong("there is nothing to repeat before this")),
            Before::Repeated => Err(self.wrong("what is repeated already cannot be repeated again")),
        }
    }

    fn lazy(&mut self) {
        if self.peek(0) == Some('?') {
            self.take('?');
        }
    }

    /// `{2}`, `{2,}`, `{2,5}` at this place, and how long that is. Anything else stands for itself.
    fn repetition(&self) -> Result<Option<(String, usize)>, Error> {
        let rest = &self.chars[self.at + 1..];
        let Some(end) = rest.iter().take(24).position(|c| *c == '}') else {
            return Ok(None);
        };
        let inner: String = rest[..end].iter().collect();
        let (low, high) = match inner.split_once(',') {
            Some((low, high)) => (low, Some(high)),
            None => (inner.as_str(), None),
        };
        let number = |digits: &str| {
            let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            // Go reads no number with a leading zero here.
            (plain && (digits == "0" || !digits.starts_with('0'))).then(|| digits.parse().unwrap_or(u32::MAX))
        };
        let Some(least) = number(low) else { return Ok(None) };
        let most = match high {
            None => Some(least),
            Some("") => None,
            Some(high) => match number(high) {
                Some(high) => Some(high),
                None => return Ok(None),
            },
        };
        if least > MOST_REPEATED || most.is_some_and(|most| most > MOST_REPEATED || most < least) {
            return Err(self.wrong("this is no number of times (at most 1000, the smaller one first)"));
        }
        Ok(Some((format!("{{{inner}}}"), end + 2)))
    }

    /// `(`, `(?:`, `(?i)`, `(?i:`, `(?P<name>`; whether a group is open after it.
    fn group(&mut self) -> Result<bool, Error> {
        if self.peek(1) != Some('?') {
            self.at += 1;
            self.out.push_str("(?:");
            return Ok(true);
        }
        for named in ["(?P<", "(?<"] {
            if self.starts_with(named) && !matches!(self.peek(named.len()), Some('=' | '!')) {
                let start = self.at + named.len();
                let rest = &self.chars[start..];
                let end = rest.iter().position(|c| *c == '>').filter(|end| *end > 0);
                let is_name = |name: &[char]| name.iter().all(|c| c.is_ascii_alphanumeric() || *c == '_');
                let Some(end) = end.filter(|end| is_name(&rest[..*end])) else {
                    return Err(self.wrong("this group's name is none"));
                };
                self.at = start + end + 1;
                self.out.push_str("(?:");
                return Ok(true);
            }
        }
        let rest = &self.chars[self.at + 2..];
        let end = rest.iter().take(16).position(|c| matches!(c, ')' | ':'));
        let flags: Option<String> = end.map(|end| rest[..end].iter().collect());
        let Some(flags) = flags.filter(|flags| is_flags(flags)) else {
            let what =
                "this kind of group is not known (RE2 has no look-around, and of flags only i, m, s and U)";
            return Err(self.wrong(what));
        };
        let opens = rest[flags.len()] == ':';
        if !opens && flags.is_empty() {
            return Err(self.wrong("this group says nothing"));
        }
        self.at += flags.len() + 3;
        self.out
            .push_str(&format!("(?{flags}{}", if opens { ':' } else { ')' }));
        Ok(opens)
    }

    fn escape(&mut self, before: Before) -> Result<Before, Error> {
        let Some(c) = self.peek(1) else {
            return Err(self.wrong("a backslash is at the end"));
        };
        if c == 'Q' {
            return Ok(self.quoted(before));
        }
        let known = match c {
            'A' => Some(r"\A"),
            'z' => Some(r"\z"),
            'b' => Some(r"(?-u:\b)"),
            'B' => Some(r"(?-u:\B)"),
            _ => class::perl(c),
        };
        if let Some(known) = known {
            self.out.push_str(known);
            self.at += 2;
        } else if matches!(c, 'p' | 'P') {
            let (written, length) =
                class::property(&self.chars[self.at..]).map_err(|what| self.wrong(what))?;
            self.out.push_str(&written);
            self.at += length;
        } else {
            let (c, length) = class::character(&self.chars[self.at..]).map_err(|what| self.wrong(what))?;
            self.literal(c);
            self.at += length;
        }
        Ok(Before::Something)
    }

    /// `\Q…\E`: all in between means itself; without `\E`, all that follows.
    fn quoted(&mut self, before: Before) -> Before {
        self.at += 2;
        let mut last = before;
        while let Some(c) = self.peek(0) {
            if self.starts_with("\\E") {
                self.at += 2;
                break;
            }
            self.at += 1;
            self.literal(c);
            last = Before::Something;
        }
        last
    }
}

fn is_flags(flags: &str) -> bool {
    let (on, off) = flags.split_once('-').unwrap_or((flags, "i"));
    let known = |flags: &str| flags.chars().all(|c| matches!(c, 'i' | 'm' | 's' | 'U'));
    let once = |flags: &str| (0..flags.len()).all(|at| !flags[at + 1..].contains(&flags[at..=at]));
    let both = format!("{on}{}", if flags.contains('-') { off } else { "" });
    known(on) && known(off) && !off.is_empty() && once(&both)
}

fn push_literal(out: &mut String, c: char) {
    if c.is_ascii_alphanumeric()
        || (!c.is_ascii() && !c.is_control())
        || matches!(c, ' ' | '_' | '/' | '%' | ':')
    {
        out.push(c);
    } else {
        out.push_str(&format!("\\x{{{:X}}}", c as u32));
    }
}

#[cfg(test)]
mod tests;
