//! The lines of a SPEC as rpm joins them, and places in them.

use std::ops::Range;

use keel_config::Excerpt;

use crate::macros::{macro_end, text::Open};

/// Longer lines are not searched, so that no SPEC can make its messages take long.
const LONGEST: usize = 16 << 10;

/// A text, by lines.
pub(crate) struct Lines<'t> {
    pub(super) text: &'t str,
    /// Where each line begins.
    starts: Vec<usize>,
    /// The first and the last line, from 1, of each run that is read as one.
    runs: Vec<(u32, u32)>,
    /// The last run is still open at the end.
    is_open: bool,
}

impl<'t> Lines<'t> {
    /// Lines are joined where a bracket of a macro or a backslash says so.
    pub(crate) fn new(text: &'t str) -> Self {
        let (mut starts, mut runs) = (Vec::new(), Vec::new());
        let (mut open, mut at) = (Open::default(), 0);
        let (mut first, mut number) = (1, 0);
        for line in text.split_inclusive('\n') {
            starts.push(at);
            at += line.len();
            number += 1;
            open.scan(line.as_bytes());
            if !open.goes_on() {
                runs.push((first, number));
                first = number + 1;
                open = Open::default();
            }
        }
        let is_open = first <= number;
        if is_open {
            runs.push((first, number));
        }
        Self {
            text,
            starts,
            runs,
            is_open,
        }
    }

    /// All of the text is one line.
    pub(crate) fn joined(text: &'t str) -> Self {
        let mut lines = Self::new(text);
        lines.runs = vec![(1, u32::try_from(lines.starts.len()).unwrap_or(u32::MAX))];
        lines
    }

    /// The run that a line is in.
    pub(crate) fn run(&self, line: u32) -> Option<(u32, u32)> {
        let at = self.runs.partition_point(|(_, last)| *last < line);
        self.runs.get(at).copied().filter(|(first, _)| *first <= line)
    }

    /// Is this the run that is still open at the end?
    pub(crate) fn is_open(&self, run: (u32, u32)) -> bool {
        self.is_open && self.runs.last() == Some(&run)
    }

    /// The bytes of the lines from `first` to `last`, without the last end of line.
    pub(crate) fn range(&self, first: u32, last: u32) -> Range<usize> {
        let start = |line: u32| self.starts.get(line as usize).copied();
        let from = start(first.saturating_sub(1)).unwrap_or(self.text.len());
        let to = start(last).unwrap_or(self.text.len());
        from..from + self.text[from..to].trim_end_matches('\n').len()
    }

    /// One line.
    pub(crate) fn line(&self, line: u32) -> &'t str {
        &self.text[self.range(line, line)]
    }

    /// Line, column and width of bytes of the text; the width ends with the line.
    pub(super) fn place(&self, bytes: Range<usize>) -> Spot {
        let line = self.starts.partition_point(|start| *start <= bytes.start).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or(0);
        let rest = &self.text[bytes.start..bytes.end.max(bytes.start)];
        let marked = rest.lines().next().unwrap_or("");
        Spot {
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: count(&self.text[start..bytes.start]) + 1,
            width: count(marked).max(1),
        }
    }

    pub(super) fn excerpt(&self, spot: Spot) -> Excerpt {
        Excerpt {
            text: self.line(spot.line).trim_end_matches('\r').to_owned(),
            column: spot.column,
            width: spot.width,
        }
    }
}

/// Where something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) line: u32,
    /// In characters, from 1; 0: the line.
    pub(super) column: u32,
    pub(super) width: u32,
}

pub(super) fn count(text: &str) -> u32 {
    u32::try_from(text.chars().count()).unwrap_or(u32::MAX)
}

/// Where `text` calls the macro `name`: `%name`, `%{name…}`, `%{?name…}` …
pub(super) fn call(text: &str, name: &str) -> Option<Range<usize>> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    each_macro(text, |at| {
        let rest = text[at + 1..].trim_start_matches('{');
        let rest = rest.trim_start_matches(['?', '!']).strip_prefix(name)?;
        let goes_on = rest.bytes().next().is_some_and(is_name);
        (!goes_on).then(|| at..end(text, at))
    })
}

/// Does `text` call the macro `name`, or the one that is like it in capitals?
pub(crate) fn calls(text: &str, name: &str) -> bool {
    call(text, name).is_some() || call(text, &name.to_ascii_uppercase()).is_some()
}

/// The first `%` for which `with` gives something.
pub(super) fn each_macro<R>(text: &str, mut with: impl FnMut(usize) -> Option<R>) -> Option<R> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < text.len().min(LONGEST) {
        match (bytes[at], bytes.get(at + 1)) {
            (b'%', Some(b'%')) => at += 2,
            (b'%', Some(_)) => match with(at) {
                Some(found) => return Some(found),
                None => at += 1,
            },
            _ => at += 1,
        }
    }
    None
}

/// The end of the macro whose `%` is at `at`.
pub(super) fn end(text: &str, at: usize) -> usize {
    macro_end(text.as_bytes(), at + 1)
        .unwrap_or_else(|| text[at..].find('\n').map_or(text.len(), |end| at + end))
}

/// `text` somewhere in `within`, if that is not too long.
pub(super) fn find(within: &str, text: &str) -> Option<Range<usize>> {
    let found = (!text.is_empty() && within.len() <= LONGEST)
        .then(|| within.find(text))
        .flatten()?;
    Some(found..found + text.len())
}
