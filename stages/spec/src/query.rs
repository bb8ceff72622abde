//! rpm's query format: `%{NAME}`, `%-30{VERSION}`, `[%{PROVIDES} %{PROVIDEVERSION}\n]`, `%|EPOCH?{…}:{…}|`.
//!
//! Purpose: what `rpm --qf` takes, over anything that has tags ([`Tags`]); see rpm-queryformat(7).
//!
//! Times are shown in UTC and in English. `%{*}`, which means all tags, is not known here.

mod format;
mod tags;

use std::{collections::HashMap, rc::Rc};

use crate::macros::text;

use format::Format;
use tags::Tag;

/// Wider than this nothing is made.
const WIDEST: usize = 1 << 16;

/// What a tag says: one value or more, all of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Values {
    /// Texts.
    Strings(Vec<String>),
    /// Numbers.
    Numbers(Vec<u64>),
}

impl Values {
    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Self::Strings(all) => all.len(),
            Self::Numbers(all) => all.len(),
        }
    }

    /// Are there none? Then the tag is not there at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<&str> for Values {
    fn from(text: &str) -> Self {
        Self::Strings(vec![text.to_owned()])
    }
}

impl From<u64> for Values {
    fn from(number: u64) -> Self {
        Self::Numbers(vec![number])
    }
}

/// Something that has tags: a header.
pub trait Tags {
    /// What a tag says. The name is rpm's own in capitals, never one of its other names: `PROVIDENAME`, not `PROVIDES`.
    fn get(&self, tag: &str) -> Option<Values>;

    /// What `%{TAG:expand}` shows: the text with its macros expanded.
    fn expand(&self, text: &str) -> String {
        text.to_owned()
    }
}

/// A format, read.
#[derive(Debug, Clone)]
pub struct Query {
    parts: Vec<Part>,
}

/// Why there is no answer, in rpm's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("incorrect format: {0}")]
pub struct Error(pub String);

#[derive(Debug, Clone)]
enum Part {
    Text(String),
    Field(Field),
    /// Repeated for each value of the tags in it.
    Array(Vec<Part>),
    /// One or the other, by whether a tag is there; a tag that rpm does not know never is.
    Choice(Option<Tag>, Vec<Part>, Vec<Part>),
}

#[derive(Debug, Clone)]
struct Field {
    tag: Tag,
    format: Format,
    /// Only the first value, also in an array.
    first: bool,
    /// At least so many bytes, with spaces before the value, or after it.
    width: usize,
    left: bool,
}

impl Query {
    /// Reads a format.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut reader = Reader { text, at: 0 };
        let (parts, _) = reader.parts(Within::Nothing)?;
        Ok(Self { parts })
    }

    /// The format filled in.
    pub fn show(&self, tags: &dyn Tags) -> Result<String, Error> {
        let mut writer = Writer {
            tags,
            known: HashMap::new(),
            out: String::new(),
        };
        for part in &self.parts {
            writer.part(part, 0)?;
        }
        Ok(writer.out)
    }
}

/// What the end of a format is.
#[derive(Clone, Copy, PartialEq)]
enum Within {
    Nothing,
    Array,
    Choice,
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

fn error<T>(text: impl Into<String>) -> Result<T, Error> {
    Err(Error(text.into()))
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    /// Goes over `sign`, if it is next.
    fn skip(&mut self, sign: char) -> bool {
        let found = self.rest().starts_with(sign);
        if found {
            self.at += sign.len_utf8();
        }
        found
    }

    /// Reads up to the sign that closes what the format is within, and says whether it was there.
    fn parts(&mut self, within: Within) -> Result<(Vec<Part>, bool), Error> {
        let (mut parts, mut text) = (Vec::new(), String::new());
        while let Some(c) = self.rest().chars().next() {
            self.at += c.len_utf8();
            let part = match c {
                '%' if self.skip('%') => {
                    text.push('%');
                    continue;
                }
                '%' if self.skip('|') => self.choice()?,
                '%' => Part::Field(self.field()?),
                '[' => match self.parts(Within::Array)? {
                    (parts, true) => Part::Array(parts),
                    _ => return error("] expected at end of array"),
                },
                ']' | '}' => {
                    let closes = if c == ']' { Within::Array } else { Within::Choice };
                    if within != closes {
                        return error(format!("unexpected {c}"));
                    }
                    push_text(&mut parts, &mut text);
                    return Ok((parts, true));
                }
                '\\' => {
                    text.push(self.escaped()?);
                    continue;
                }
                c => {
                    text.push(c);
                    continue;
                }
            };
            push_text(&mut parts, &mut text);
            parts.push(part);
        }
        push_text(&mut parts, &mut text);
        Ok((parts, false))
    }

    fn escaped(&mut self) -> Result<char, Error> {
        let Some(c) = self.rest().chars().next() else {
            return error("escaped char expected after \\");
        };
        self.at += c.len_utf8();
        Ok(match c {
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            c => c,
        })
    }

    /// Reads what follows a `%`.
    fn field(&mut self) -> Result<Field, Error> {
        let width = self.rest();
        let stop = width.find(['{', '%']);
        let width = &width[..stop.unwrap_or(width.len())];
        if width.contains(|c: char| !c.is_ascii_digit() && c != '-') {
            return error("invalid field width");
        }
        self.at += width.len();
        if !self.skip('{') {
            return error("missing { after %");
        }
        let first = self.skip('=');
        let counted = !first && self.skip('#');
        let Some(end) = self.rest().find('}') else {
            return error("missing } after %{");
        };
        let inside = &self.rest()[..end];
        self.at += end + 1;
        let (name, format) = match inside.split_once(':') {
            Some((_, "")) => return error("empty tag format"),
            Some((name, format)) => (name, format),
            None if counted => (inside, "arraysize"),
            None => (inside, "string"),
        };
        if name.is_empty() {
            return error("empty tag name");
        }
        let (Some(tag), Some(format)) = (Tag::find(name), Format::find(format)) else {
            return error(format!("unknown tag: \"{name}\""));
        };
        let digits = width.trim_start_matches('-');
        Ok(Field {
            tag,
            format,
            first: first || counted,
            width: digits.parse().unwrap_or(0).min(WIDEST),
            left: width.starts_with('-'),
        })
    }

    /// Reads what follows `%|`.
    fn choice(&mut self) -> Result<Part, Error> {
        let Some((name, _)) = self.rest().split_once('?') else {
            return error("? expected in expression");
        };
        self.at += name.len() + 1;
        if !self.skip('{') {
            return error("{ expected after ? in expression");
        }
        let yes = self.branch()?;
        if self.skip('|') {
            return Ok(Part::Choice(Tag::find(name), yes, Vec::new()));
        }
        if !self.skip(':') {
            return error(": expected following ? subexpression");
        }
        if !self.skip('{') {
            return error("{ expected after : in expression");
        }
        let no = self.branch()?;
        if !self.skip('|') {
            return error("| expected at end of expression");
        }
        Ok(Part::Choice(Tag::find(name), yes, no))
    }

    fn branch(&mut self) -> Result<Vec<Part>, Error> {
        match self.parts(Within::Choice)? {
            // Something has to follow the brace.
            (parts, true) if !self.rest().is_empty() => Ok(parts),
            _ => error("} expected in expression"),
        }
    }
}

fn push_text(parts: &mut Vec<Part>, text: &mut String) {
    if !text.is_empty() {
        parts.push(Part::Text(std::mem::take(text)));
    }
}

struct Writer<'a> {
    tags: &'a dyn Tags,
    known: HashMap<&'static str, Option<Rc<Values>>>,
    out: String,
}

impl Writer<'_> {
    fn get(&mut self, tag: Tag) -> Option<Rc<Values>> {
        let found = self.known.entry(tag.name).or_insert_with(|| {
            let values = self.tags.get(tag.name);
            values.filter(|values| !values.is_empty()).map(Rc::new)
        });
        found.clone()
    }

    /// Writes a part for the value with number `index`.
    fn part(&mut self, part: &Part, index: usize) -> Result<(), Error> {
        match part {
            Part::Text(text) => self.out.push_str(text),
            Part::Field(field) => self.field(field, index),
            Part::Array(parts) => {
                for index in 0..self.length(parts)? {
                    parts.iter().try_for_each(|part| self.part(part, index))?;
                }
            }
            Part::Choice(tag, yes, no) => {
                let there = tag.and_then(|tag| self.get(tag)).is_some();
                let parts = if there { yes } else { no };
                parts.iter().try_for_each(|part| self.part(part, index))?;
            }
        }
        Ok(())
    }

    /// How often an array is repeated. Tags that are not there do not count.
    fn length(&mut self, parts: &[Part]) -> Result<usize, Error> {
        let mut length = None;
        for part in parts {
            let Part::Field(field) = part else { continue };
            if field.first {
                continue;
            }
            let Some(values) = self.get(field.tag) else {
                continue;
            };
            if length.is_some_and(|length| length != values.len()) {
                return error("array iterator used with different sized arrays");
            }
            length = Some(values.len());
        }
        Ok(length.unwrap_or(0))
    }

    fn field(&mut self, field: &Field, index: usize) {
        let index = if field.first { 0 } else { index };
        let shown = match self.get(field.tag).filter(|values| index < values.len()) {
            Some(values) => field.format.show(field.tag, &values, index, self.tags),
            None => "(none)".to_owned(),
        };
        let fill = " ".repeat(field.width.saturating_sub(text::encode(&shown).len()));
        let (before, after) = if field.left {
            ("", fill.as_str())
        } else {
            (fill.as_str(), "")
        };
        self.out.extend([before, &shown, after]);
    }
}

#[cfg(test)]
mod tests;
