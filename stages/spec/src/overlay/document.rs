//! A SPEC while overlays change it: its lines, and which overlay wrote each.

use std::ops::Range;

use serde::Serialize;

use crate::macros::text;

/// A SPEC's text in the making. Bytes that are not UTF-8 are in it as [`text::decode`] makes them.
#[derive(Debug, Clone, Default)]
pub struct Document {
    lines: Vec<Line>,
    /// The last line has an end.
    ended: bool,
}

#[derive(Debug, Clone)]
struct Line {
    /// Without its `\n`; a `\r` before that is in it.
    text: String,
    /// The overlay that wrote it, by number; none for a line that was there.
    by: Option<usize>,
    /// Its number when it was read, from 1.
    was: usize,
}

/// Who wrote a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It was there, as this line, from 1.
    Line(usize),
    /// An overlay, by its place in the list of those applied.
    Overlay(usize),
    /// None of them.
    Nobody,
}

impl Line {
    /// One that an overlay writes.
    fn new(text: String, by: usize) -> Self {
        Self {
            text,
            by: Some(by),
            was: 0,
        }
    }
}

/// Some lines, replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Splice {
    /// Which; none to insert before the first.
    pub(super) lines: Range<usize>,
    /// What is there afterwards. An element may be several lines.
    pub(super) with: Vec<String>,
}

impl Splice {
    pub(super) fn insert(at: usize, with: Vec<String>) -> Self {
        Self { lines: at..at, with }
    }

    pub(super) fn remove(lines: Range<usize>) -> Self {
        Self {
            lines,
            with: Vec::new(),
        }
    }

    pub(super) fn replace(line: usize, with: String) -> Self {
        Self {
            lines: line..line + 1,
            with: vec![with],
        }
    }
}

/// Lines that one overlay changed, as a diff says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Hunk {
    /// The first line, from 1, in the text before the overlay.
    pub line: usize,
    /// How many lines went.
    pub removed: usize,
    /// The first line, from 1, in the text after the overlay.
    pub new_line: usize,
    /// How many lines came.
    pub added: usize,
}

/// Lines of the result that an overlay wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Written {
    /// The first, from 1.
    pub first: usize,
    /// The last.
    pub last: usize,
    /// The overlay, by its place in the list of those applied.
    pub by: usize,
}

impl Document {
    /// From a file's bytes.
    pub fn new(bytes: &[u8]) -> Self {
        let text = text::decode(bytes);
        Self {
            ended: text.is_empty() || text.ends_with('\n'),
            lines: split(&text)
                .enumerate()
                .map(|(index, text)| Line {
                    text: text.to_owned(),
                    by: None,
                    was: index + 1,
                })
                .collect(),
        }
    }

    /// The file's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        text::encode(&self.text()).into_owned()
    }

    /// The text.
    pub fn text(&self) -> String {
        let length: usize = self.lines.iter().map(|line| line.text.len() + 1).sum();
        let mut text = String::with_capacity(length);
        for line in &self.lines {
            text.push_str(&line.text);
            text.push('\n');
        }
        if !self.ended {
            text.pop();
        }
        text
    }

    /// How many lines.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The lines, without their ends.
    pub fn lines(&self) -> impl ExactSizeIterator<Item = &str> {
        self.lines.iter().map(|line| without_return(&line.text))
    }

    /// The last line gets its end, as azldev gives it whenever it writes.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// Who wrote each line.
    pub fn origins(&self) -> Vec<Origin> {
        let origin = |line: &Line| match line.by {
            Some(by) => Origin::Overlay(by),
            None => Origin::Line(line.was),
        };
        self.lines.iter().map(origin).collect()
    }

    /// Which lines which overlay wrote.
    pub fn written(&self) -> Vec<Written> {
        let mut written: Vec<Written> = Vec::new();
        for (index, by) in self.lines.iter().map(|line| line.by).enumerate() {
            let Some(by) = by else { continue };
            match written.last_mut() {
                Some(last) if last.by == by && last.last == index => last.last = index + 1,
                _ => written.push(Written {
                    first: index + 1,
                    last: index + 1,
                    by,
                }),
            }
        }
        written
    }

    /// Makes the changes of overlay `by`; they are in order, and none overlaps another.
    pub(super) fn splice(&mut self, splices: Vec<Splice>, by: usize) -> Vec<Hunk> {
        let mut old = std::mem::take(&mut self.lines).into_iter().enumerate().peekable();
        let mut hunks = Vec::with_capacity(splices.len());
        let mut out = Vec::new();
        for splice in splices {
            while let Some((_, line)) = old.next_if(|(index, _)| *index < splice.lines.start) {
                out.push(line);
            }
            let mut removed = 0;
            let mut returns = false;
            while let Some((_, line)) = old.next_if(|(index, _)| *index < splice.lines.end) {
                returns |= line.text.ends_with('\r');
                removed += 1;
            }
            let new_line = out.len() + 1;
            for text in splice.with.iter().flat_map(|text| text.split('\n')) {
                // A line that takes another one's place ends as that did.
                let text = match returns && !text.ends_with('\r') {
                    true => format!("{text}\r"),
                    false => text.to_owned(),
                };
                out.push(Line::new(text, by));
            }
            hunks.push(Hunk {
                line: splice.lines.start + 1,
                removed,
                new_line,
                added: out.len() + 1 - new_line,
            });
        }
        out.extend(old.map(|(_, line)| line));
        self.lines = out;
        hunks
    }

    /// Becomes `text`, which overlay `by` made of this one's by changing only the lines that differ.
    pub(super) fn become_text(&mut self, text: &str, by: usize) -> Vec<Hunk> {
        let before: Vec<&str> = self.lines.iter().map(|line| line.text.as_str()).collect();
        let after: Vec<&str> = split(text).collect();
        let same = |pair: &(&&str, &&str)| pair.0 == pair.1;
        let head = before.iter().zip(&after).take_while(same).count();
        let tail = before[head..]
            .iter()
            .rev()
            .zip(after[head..].iter().rev())
            .take_while(same)
            .count();
        let with: Vec<String> = after[head..after.len() - tail]
            .iter()
            .map(|line| (*line).to_owned())
            .collect();
        let lines = head..before.len() - tail;
        self.ended = text.is_empty() || text.ends_with('\n');
        if lines.is_empty() && with.is_empty() {
            return Vec::new();
        }
        let hunk = Hunk {
            line: lines.start + 1,
            removed: lines.len(),
            new_line: lines.start + 1,
            added: with.len(),
        };
        let with = with.into_iter().map(|text| Line::new(text, by));
        self.lines.splice(lines, with);
        vec![hunk]
    }
}

/// The lines of a text, without `\n`.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let ended = text.strip_suffix('\n').unwrap_or(text);
    let lines = ended.split('\n');
    lines.filter(move |_| !text.is_empty())
}

fn without_return(line: &str) -> &str {
    line.strip_suffix('\r').unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back() {
        let mut document = Document::new(b"\xff a\n");
        let line = document.lines[0].text.replace('a', "b");
        document.splice(vec![Splice::replace(0, line)], 0);
        assert_eq!(document.bytes(), b"\xff b\n");
        for bytes in [&b""[..], b"\n", b"a", b"a\n\n", b"\n\na", b"a\r\nb\xff\n"] {
            let document = Document::new(bytes);
            assert_eq!(document.bytes(), bytes);
        }
    }

    #[test]
    fn who_wrote_what_is_known() {
        let mut document = Document::new(b"a\nb\r\nc\n");
        let hunks = document.splice(
            vec![
                Splice::insert(0, vec!["x\ny".to_owned()]),
                Splice::replace(1, "B".to_owned()),
                Splice::remove(2..3),
            ],
            7,
        );
        assert_eq!(document.bytes(), b"x\ny\na\nB\r\n");
        let hunk = |line, removed, new_line, added| Hunk {
            line,
            removed,
            new_line,
            added,
        };
        assert_eq!(hunks, [hunk(1, 0, 1, 2), hunk(2, 1, 4, 1), hunk(3, 1, 5, 0)]);
        assert_eq!(document.become_text("x\ny\nb\nB\r", 8), [hunk(3, 1, 3, 1),]);
        let written: Vec<_> = document
            .written()
            .iter()
            .map(|one| (one.first, one.last, one.by))
            .collect();
        assert_eq!(written, [(1, 2, 7), (3, 3, 8), (4, 4, 7)]);
        assert_eq!(document.bytes(), b"x\ny\nb\nB\r");
    }

    #[test]
    fn lines_know_where_they_were() {
        let mut document = Document::new(b"a\nb\nc\n");
        document.splice(vec![Splice::insert(1, vec!["x".to_owned()])], 4);
        let origins = [
            Origin::Line(1),
            Origin::Overlay(4),
            Origin::Line(2),
            Origin::Line(3),
        ];
        assert_eq!(document.origins(), origins);
    }
}
