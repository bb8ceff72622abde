//! Which part of a line a message is about.

use std::ops::Range;

use super::{
    Said,
    lines::{self, call, each_macro, find},
};
use crate::macros::text::is_space;

/// A part of a line.
#[derive(Debug, Clone, Copy)]
pub(super) enum Mark {
    /// All but white space at its ends.
    Whole,
    /// A tag, a directive, the name of a section.
    First,
    /// What follows the first word.
    Rest,
    /// What follows a tag's colon.
    Value,
    /// Brackets before a tag's colon.
    Brackets,
    /// The character that the message names by its number.
    Character,
    /// What the message says between its own words and the next colon.
    Named,
    /// What the message says last.
    Last,
    /// The first macro.
    Macro,
    /// `%(…)`.
    Command,
    /// The bracket of a macro that nothing closes.
    Open,
    /// The macro that a definition is about: `Macro %NAME …`.
    Defined,
    /// The part of the value that this finds.
    In(fn(&str) -> Option<Range<usize>>),
}

impl Mark {
    /// Its bytes in `line`, of which rpm said `said`, in words that begin with `says`.
    pub(super) fn find(self, line: &str, said: &Said<'_>, says: &str) -> Option<Range<usize>> {
        let after_says = || said.text.split_once(says).map(|(_, rest)| rest.trim_start());
        match self {
            Self::Whole => Some(trimmed(line, 0..line.len())),
            Self::First => Some(first_word(line)),
            Self::Rest => Some(rest(line)).filter(|rest| !rest.is_empty()),
            Self::Value => value(line),
            Self::Brackets => {
                let colon = line.find(':').unwrap_or(line.len());
                let from = line[..colon].find('(')?;
                let to = line[from..].find(')').map_or(colon, |end| from + end + 1);
                Some(from..to)
            }
            Self::Character => {
                let code = said.text.split_once("(0x")?.1.split_once(')')?.0;
                let wrong = char::from_u32(u32::from_str_radix(code, 16).ok()?)?;
                let value = value(line).unwrap_or_else(|| rest(line));
                let found = value.start + line[value].find(wrong)?;
                Some(found..found + wrong.len_utf8())
            }
            Self::Named => {
                let named = after_says()?.trim_start_matches('\'');
                let end = named.find([':', '\'']).unwrap_or(named.len());
                find(line, named[..end].trim())
            }
            Self::Last => find(line, said.text.rsplit_once(": ")?.1.trim()),
            Self::Macro => each_macro(line, |at| Some(at..lines::end(line, at))),
            Self::Command => each_macro(line, |at| {
                line[at + 1..].starts_with('(').then(|| at..lines::end(line, at))
            }),
            Self::Open => unclosed(line),
            Self::Defined => {
                let name = said.text.split_once("Macro %")?.1.split(' ').next()?;
                let definition = call(line, "define").or_else(|| call(line, "global"))?;
                let found = find(&line[definition.end..], name)?;
                Some(definition.end + found.start..definition.end + found.end)
            }
            Self::In(part) => {
                let value = value(line).unwrap_or_else(|| rest(line));
                let found = part(&line[value.clone()])?;
                Some(value.start + found.start..value.start + found.end)
            }
        }
    }
}

fn trimmed(line: &str, range: Range<usize>) -> Range<usize> {
    let text = &line[range.clone()];
    let start = range.start + (text.len() - text.trim_start().len());
    start..start.max(range.start + text.trim_end().len())
}

/// A tag up to its colon or brackets, or the first word.
pub(super) fn first_word(line: &str) -> Range<usize> {
    let whole = trimmed(line, 0..line.len());
    let text = &line[whole.clone()];
    let is_macro = text.starts_with('%');
    let ends = |c: char| c.is_whitespace() || (!is_macro && matches!(c, ':' | '('));
    let length = match text.starts_with("%{") {
        true => lines::end(text, 0),
        false => text.find(ends).unwrap_or(text.len()),
    };
    whole.start..whole.start + length.max(text.chars().next().map_or(0, char::len_utf8))
}

fn rest(line: &str) -> Range<usize> {
    trimmed(line, first_word(line).end..line.len())
}

fn value(line: &str) -> Option<Range<usize>> {
    let colon = line.find(':')?;
    Some(trimmed(line, colon + 1..line.len())).filter(|value| !value.is_empty())
}

/// The outermost bracket of a macro that is open at the end.
fn unclosed(line: &str) -> Option<Range<usize>> {
    let bytes = line.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], bytes.get(at + 1)) {
            (b'\\', _) | (b'%', Some(b'%')) => at += 2,
            (b'%', Some(b'{' | b'(' | b'[')) => match crate::macros::macro_end(bytes, at + 1) {
                Some(end) => at = end,
                None => {
                    let word = line[at + 2..].find(|c: char| !c.is_alphanumeric() && !"_?!:".contains(c));
                    return Some(at..word.map_or(line.len(), |word| at + 2 + word));
                }
            },
            _ => at += 1,
        }
    }
    line.ends_with('\\').then(|| line.len() - 1..line.len())
}

/// The words of a dependency tag's value, operators too.
fn words(value: &str) -> impl Iterator<Item = Range<usize>> {
    let ends = |c: char| c == ',' || u8::try_from(c).is_ok_and(is_space);
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = &value[at..];
        let start = at + (rest.len() - rest.trim_start_matches(ends).len());
        let word = value[start..].split(ends).next().unwrap_or("");
        at = start + word.len();
        (!word.is_empty()).then_some(start..at)
    })
}

fn is_operator(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| b"<>=".contains(&byte))
}

/// A name that begins with what no name may begin with.
pub(super) fn bad_name(value: &str) -> Option<Range<usize>> {
    let mut after_operator = false;
    words(value).find(|word| {
        let text = &value[word.clone()];
        let is_version = std::mem::replace(&mut after_operator, is_operator(text));
        let first = text.chars().next().unwrap_or('a');
        let is_good = first.is_ascii_alphanumeric() || "_/(".contains(first) || !first.is_ascii();
        !is_version && !is_operator(text) && !is_good || (is_operator(text) && word.start == 0)
    })
}

/// An operator that no version follows.
pub(super) fn last_operator(value: &str) -> Option<Range<usize>> {
    let operators = words(value).filter(|word| is_operator(value[word.clone()].trim_end_matches(')')));
    operators.last()
}

/// A file with a version.
pub(super) fn versioned_file(value: &str) -> Option<Range<usize>> {
    let all: Vec<_> = words(value).collect();
    let found = all
        .windows(3)
        .find(|three| value[three[0].clone()].starts_with('/') && is_operator(&value[three[1].clone()]))?;
    Some(found[0].start..found[2].end)
}

/// A rich dependency, to the bracket that closes it.
pub(super) fn rich(value: &str) -> Option<Range<usize>> {
    let from = value.find('(')?;
    let to = crate::macros::text::after_match(value.as_bytes(), from, b')');
    Some(from..to.unwrap_or(value.len()))
}

/// Two dots.
pub(super) fn dots(value: &str) -> Option<Range<usize>> {
    value.find("..").map(|at| at..at + 2)
}
