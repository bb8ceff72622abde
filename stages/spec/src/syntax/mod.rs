//! The lossless syntax tree of a SPEC.
//!
//! Purpose: to say what each piece of a SPEC is without changing, evaluating or losing any of it; what edits, overlays,
//! the formatter and the linter stand on.
//!
//! Input: any text ([`crate::macros::text`] makes text of any bytes). Output: a [`Tree`] of byte spans over that text.
//!
//! 1. The text is cut into [`Line`]s (`lines.rs`): one line of the file, or several where a bracket of a macro is open,
//!    a definition goes on after a backslash, or a condition does.
//! 2. Each line gets its [`Kind`]: tag (`tag.rs`), definition, directive, header of a section (`section.rs`),
//!    entry of the changelog (`changelog.rs`) …
//! 3. Lines make [`Section`]s, one after another, and `%if`s make [`Condition`]s (`condition.rs`). The two overlap as they
//!    like (an `%if` may begin in one section and end in another), so they are two views over one list of lines. A third
//!    one are [`Block`]s (`block.rs`): lines that a program wrote.
//!
//! Invariants:
//! - Lines follow each other without gap or overlap from the first byte to the last: printing them gives the text.
//! - Any input makes a tree; what rpm would refuse is among [`Tree::defects`].
//! - Time is linear, and nothing recurses into the text.
//!
//! What it cannot see: what macros expand to. A `%package` inside `%{?with_doc: … }` is part of one line of kind
//! [`Kind::Macro`].
//!
//! The rules are those of rpm's readers (`build/parseSpec.cc`, `build/parsePreamble.cc` in rpm).

mod block;
mod build;
mod change;
mod changelog;
mod condition;
mod edit;
#[cfg(test)]
mod edits;
mod lines;
mod names;
mod outline;
mod section;
mod sections;
mod tag;
#[cfg(test)]
pub(crate) mod tests;

use std::{fmt, ops::Range};

use serde::Serialize;

pub use block::{Block, BlockKind};
pub use changelog::{Date, Entry};
pub use condition::{Branch, Condition, Directive, Keyword};
pub use edit::{Edit, Error, apply};
pub use lines::{Definition, DefinitionKind};
pub use names::{Names, Package};
pub use outline::Outline;
pub use section::{Class, Header, Mode, Section, SectionKind};
pub use tag::{Qualifier, Tag, TagKind};

use crate::macros::text;

/// A range of bytes of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

impl Span {
    /// From `start` up to `end`.
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// No bytes.
    pub fn is_empty(self) -> bool {
        self.start >= self.end
    }

    /// Is this byte in it?
    pub fn contains(self, offset: usize) -> bool {
        self.start <= offset && offset < self.end
    }

    /// Those bytes of `text`; nothing, where they are none of it.
    pub fn of(self, text: &str) -> &str {
        text.get(self.start..self.end).unwrap_or_default()
    }

    /// Without rpm's white space at either end; where nothing else is in it, nothing at its start.
    pub fn trimmed(self, text: &str) -> Self {
        let inner = self.of(text);
        let length = text::trim(inner).len();
        let before = match length {
            0 => 0,
            _ => inner.len() - text::trim_start(inner).len(),
        };
        Self::new(self.start + before, self.start + before + length)
    }
}

/// A place in the file, as people count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Position {
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
}

/// A line as rpm's parser takes it, with its end: see the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its place in [`Tree::lines`].
    pub index: usize,
    /// All its bytes, the end of line with them.
    pub span: Span,
    /// What it is.
    pub kind: Kind,
    /// Its section's place in [`Tree::sections`].
    pub section: usize,
    /// The innermost branch that it lies in, by place in [`Tree::branches`]. A directive lies in what is around its
    /// condition.
    pub branch: Option<usize>,
    /// The line before ends with a backslash, so that rpm expands both together.
    pub joined: bool,
}

/// What a line is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// White space.
    Blank,
    /// Its first character is `#`: rpm drops it, in scripts the shell does. Macros in it are expanded all the same.
    Comment,
    /// `%dnl`: a comment whose macros are not expanded.
    Dnl,
    /// `Name: zlib`, in the preamble or `%package`.
    Tag(Tag),
    /// `%define`, `%global`, `%undefine`, `%bcond…`, in any section.
    Definition(Definition),
    /// `%if`, `%else`, `%endif` and their kind.
    Directive(Directive),
    /// `%include FILE`; the span is the file's.
    Include(Span),
    /// The first line of a section; what it says is [`Section::header`].
    Header,
    /// The first line of an entry of the changelog.
    Entry(Entry),
    /// It starts with another macro; the span is the macro's name, without brackets, `?` and `!`.
    Macro(Span),
    /// Anything else: a line of a script, of a description, a file; in the preamble, what rpm does not understand.
    Text,
}

/// What rpm would refuse in the shape of a SPEC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Defect {
    /// The line, by place in [`Tree::lines`].
    pub line: usize,
    /// What is wrong.
    pub kind: DefectKind,
}

/// See [`Defect`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DefectKind {
    /// `%else`, `%elif` or `%endif` without `%if`.
    NoIf,
    /// `%else` or `%elif` after `%else`.
    AfterElse,
    /// `%if` without `%endif`.
    NoEndif,
    /// A bracket, or a backslash at the end of a line, keeps the line open up to the end of the file.
    Unterminated,
}

impl fmt::Display for DefectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoIf => "this has no `%if`",
            Self::AfterElse => "this comes after `%else`",
            Self::NoEndif => "this has no `%endif`",
            Self::Unterminated => "this is open up to the end of the file",
        })
    }
}

/// A SPEC's syntax: see the module.
#[derive(Debug, Clone)]
pub struct Tree<'a> {
    text: &'a str,
    lines: Vec<Line>,
    sections: Vec<Section>,
    conditions: Vec<Condition>,
    branches: Vec<Branch>,
    defects: Vec<Defect>,
    blocks: Vec<Block>,
    /// Where each line of the file starts.
    starts: Vec<usize>,
}

impl<'a> Tree<'a> {
    /// The tree of `text`; any text has one.
    pub fn parse(text: &'a str) -> Self {
        build::tree(text)
    }

    /// The text that it was made from, and prints.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// What stands in these bytes.
    pub fn slice(&self, span: Span) -> &'a str {
        self.text.get(span.start..span.end).unwrap_or_default()
    }

    /// All lines, in order.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// All sections, in order; the first is the preamble, which may be empty.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// All conditions, in the order of their `%if`s.
    pub fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    /// All branches of conditions, in the order of their directives.
    pub fn branches(&self) -> &[Branch] {
        &self.branches
    }

    /// What rpm would refuse, in order.
    pub fn defects(&self) -> &[Defect] {
        &self.defects
    }

    /// The lines of a section without its header.
    pub fn body(&self, section: &Section) -> &[Line] {
        &self.lines[section.body()]
    }

    /// The section that a line belongs to.
    pub fn section_of(&self, line: &Line) -> &Section {
        &self.sections[line.section]
    }

    /// The line that a byte belongs to; the last one for bytes after the end.
    pub fn line_at(&self, offset: usize) -> Option<&Line> {
        let after = self.lines.partition_point(|line| line.span.start <= offset);
        self.lines.get(after.saturating_sub(1))
    }

    /// Tags of the preamble and of `%package` sections, with their lines.
    pub fn tags(&self) -> impl Iterator<Item = (&Line, &Tag)> {
        self.lines.iter().filter_map(|line| match &line.kind {
            Kind::Tag(tag) => Some((line, tag)),
            _ => None,
        })
    }

    /// Bytes of several lines.
    pub fn span_of(&self, lines: Range<usize>) -> Span {
        let start = self
            .lines
            .get(lines.start)
            .map_or(self.text.len(), |line| line.span.start);
        let end = lines.end.checked_sub(1).and_then(|last| self.lines.get(last));
        Span::new(start, end.map_or(start, |line| line.span.end.max(start)))
    }

    /// The branches that a line lies in, from the innermost outwards.
    pub fn branches_around(&self, line: &Line) -> impl Iterator<Item = &Branch> {
        let mut next = line.branch;
        std::iter::from_fn(move || {
            let branch = &self.branches[next?];
            next = self.conditions[branch.condition].parent;
            Some(branch)
        })
    }

    /// Is one of two lines always read when the other one is? (Two lines in conditions of their own may or may not be.)
    pub fn together(&self, one: &Line, other: &Line) -> bool {
        // Deeper than anybody nests, the answer is no longer worth its time.
        const DEEPEST: usize = 64;
        let within = |inner: &Line, outer: Option<usize>| {
            let Some(outer) = outer.map(|outer| self.branches[outer].directive) else {
                return true;
            };
            let mut around = self.branches_around(inner).take(DEEPEST);
            around.any(|branch| branch.directive == outer)
        };
        within(one, other.branch) || within(other, one.branch)
    }

    /// Where a byte is, for people.
    pub fn position(&self, offset: usize) -> Position {
        let line = self.line_number(offset);
        let start = self.starts.get(line as usize - 1).copied().unwrap_or(0);
        let before = self.slice(Span::new(start, offset.min(self.text.len())));
        Position {
            line,
            column: u32::try_from(before.chars().count() + 1).unwrap_or(u32::MAX),
        }
    }

    /// The line of the file that a byte is in, from 1.
    pub fn line_number(&self, offset: usize) -> u32 {
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        u32::try_from(line).unwrap_or(u32::MAX)
    }

    /// The text again, from its lines.
    pub fn print(&self) -> String {
        self.lines.iter().map(|line| self.slice(line.span)).collect()
    }
}

/// Does a file come back byte for byte after it was parsed? (It must: this is what conformance runs ask.)
pub fn round_trips(bytes: &[u8]) -> bool {
    let decoded = text::decode(bytes);
    let printed = Tree::parse(&decoded).print();
    *text::encode(&printed) == *bytes
}
