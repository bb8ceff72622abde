//! `keel spec fmt`: one layout for SPECs, and no change of meaning.
//!
//! Purpose: SPECs that look alike. Input: a SPEC's text. Output: the same text with other white space.
//!
//! 1. In the preamble and `%package`, tags start their lines, and values of tags that no empty line divides stand in one
//!    column: the seventeenth, or after the longest name.
//! 2. White space at the ends of lines goes.
//! 3. One empty line is before a section (before the `%if`s and comments right before its header), at most one between
//!    tags or files, none at the start and the end of the file.
//! 4. The last line ends.
//!
//! Untouched are bodies: lines of scripts, descriptions and the changelog, definitions of several lines, whatever stands
//! inside open brackets, lines around a backslash, and blocks that rpmautospec wrote. Also left alone are ends of lines (CRLF stays CRLF).
//!
//! Invariants: without its white space, the text is the same; formatted text is not changed by formatting it again.

#[cfg(test)]
mod tests;

use std::{borrow::Cow, ops::Range};

use crate::{
    macros::text::{is_space, trim},
    syntax::{Class, Defect, DefectKind, Keyword, Kind, Line, Section, Tag, Tree},
};

/// Where values stand if no name is too long for it.
const COLUMN: usize = 16;
/// Longer names do not move the column.
const LONGEST: usize = 24;

/// The text in the canonical layout.
pub fn format(text: &str) -> String {
    let tree = Tree::parse(text);
    let layout = Layout::of(&tree);
    let mut out = String::with_capacity(text.len() + 64);
    // The empty lines that were read and not yet written.
    let mut blanks = 0..0;
    let mut last: Option<&Line> = None;
    for line in tree.lines() {
        if line.kind == Kind::Blank && layout.is_settled(line) {
            let start = if blanks.is_empty() {
                line.index
            } else {
                blanks.start
            };
            blanks = start..line.index + 1;
            continue;
        }
        if let Some(last) = last {
            layout.separate(&mut out, last, line, blanks);
        }
        out.push_str(&layout.laid_out(line));
        blanks = 0..0;
        last = Some(line);
    }
    if last.is_some_and(|last| layout.is_settled(last)) && !out.ends_with('\n') {
        out.push('\n');
    }
    out
}

struct Layout<'t> {
    tree: &'t Tree<'t>,
    /// The column of each line's value.
    columns: Vec<usize>,
    /// Which lines begin a section, or lead in to one.
    leads: Vec<bool>,
    /// From this line on, something is open up to the end.
    open: usize,
}

impl<'t> Layout<'t> {
    fn of(tree: &'t Tree<'t>) -> Self {
        let unterminated = |defect: &&Defect| defect.kind == DefectKind::Unterminated;
        let open = tree.defects().iter().find(unterminated).map(|defect| defect.line);
        Self {
            tree,
            columns: columns(tree),
            leads: leads(tree),
            open: open.unwrap_or(usize::MAX),
        }
    }

    /// Writes the empty lines between two lines, of which there were some.
    fn separate(&self, out: &mut String, last: &Line, line: &Line, blanks: Range<usize>) {
        let block = self.tree.block_of(line);
        if block.is_some() && block == self.tree.block_of(last) {
            return;
        }
        let class = self.tree.section_of(last).kind.class();
        let count = match self.leads[line.index] {
            true if opens(last) => blanks.len().min(1),
            true => 1,
            false if is_loose(class) => blanks.len().min(1),
            false => return out.push_str(self.tree.slice(self.tree.span_of(blanks))),
        };
        if count == 1 {
            out.push_str(self.end_of_line(last));
        }
    }

    /// A line as it should be.
    fn laid_out(&self, line: &Line) -> Cow<'t, str> {
        let text = self.tree.slice(line.span);
        if !self.is_settled(line) {
            return Cow::Borrowed(text);
        }
        let end = if text.ends_with('\n') {
            self.end_of_line(line)
        } else {
            ""
        };
        let inner = &text[..text.len() - end.len()];
        match &line.kind {
            Kind::Tag(tag) if is_laid_out(self.tree, tag) => {
                Cow::Owned(self.tag(tag, self.columns[line.index]) + end)
            }
            _ if self.is_body(line) || inner.contains('\n') => Cow::Borrowed(text),
            _ => {
                let kept = inner.trim_end_matches(|c: char| u8::try_from(c).is_ok_and(is_space));
                match kept.len() == inner.len() {
                    true => Cow::Borrowed(text),
                    false => Cow::Owned(format!("{kept}{end}")),
                }
            }
        }
    }

    fn tag(&self, tag: &Tag, column: usize) -> String {
        let head = head(self.tree, tag);
        let value = self.tree.slice(tag.value);
        if value.is_empty() {
            return head;
        }
        let width = (column - 1).max(head.chars().count());
        format!("{head:width$} {value}")
    }

    /// Is it a line of a script, a description or the changelog?
    fn is_body(&self, line: &Line) -> bool {
        match &line.kind {
            // White space makes a directive of `%if` and `%include`, even if nothing follows.
            Kind::Directive(directive) if !matches!(directive.keyword, Keyword::Else | Keyword::Endif) => {
                directive.argument.is_empty()
            }
            Kind::Include(file) => file.is_empty(),
            Kind::Header | Kind::Directive(_) => false,
            _ => !is_loose(self.tree.section_of(line).kind.class()),
        }
    }

    /// Is it apart from the lines around it, and would it be if white space at its end went?
    fn is_settled(&self, line: &Line) -> bool {
        let next = self.tree.lines().get(line.index + 1);
        let apart = self.tree.block_of(line).is_none()
            && !line.joined
            && line.index < self.open
            && next.is_none_or(|next| !next.joined);
        apart && !trim(self.tree.slice(line.span)).ends_with('\\')
    }

    fn end_of_line(&self, line: &Line) -> &'static str {
        match self.tree.slice(line.span).ends_with("\r\n") {
            true => "\r\n",
            false => "\n",
        }
    }
}

/// After `%else` and `%if`, an empty line looks odd, and is not missed.
fn opens(line: &Line) -> bool {
    matches!(&line.kind, Kind::Directive(directive) if directive.keyword != Keyword::Endif)
}

/// Does rpm drop empty lines, and white space at the ends of lines, in sections of this class?
fn is_loose(class: Class) -> bool {
    matches!(class, Class::Tags | Class::Files | Class::List | Class::Nothing)
}

/// Does rpm know the tag, and is nothing between name and colon (`Patch 0:`) that only white space keeps apart?
fn is_laid_out(tree: &Tree<'_>, tag: &Tag) -> bool {
    let bare = |text: &str| text.bytes().filter(|byte| !is_space(*byte)).count();
    tag.kind.is_some() && bare(tree.slice(tag.head)) == bare(&head(tree, tag))
}

/// A tag's name, qualifier and colon, without white space between them.
fn head(tree: &Tree<'_>, tag: &Tag) -> String {
    tree.title(tag) + ":"
}

fn columns(tree: &Tree<'_>) -> Vec<usize> {
    let mut columns = vec![COLUMN; tree.lines().len()];
    let sections = tree.sections().iter();
    for section in sections.filter(|section| section.kind.class() == Class::Tags) {
        let together = |one: &Line, next: &Line| one.kind != Kind::Blank && next.kind != Kind::Blank;
        for block in tree.body(section).chunk_by(together) {
            let widths = block.iter().filter_map(|line| match &line.kind {
                Kind::Tag(tag) if is_laid_out(tree, tag) => Some(head(tree, tag).chars().count() + 1),
                _ => None,
            });
            let column = widths.filter(|width| *width <= LONGEST).fold(COLUMN, usize::max);
            for line in block {
                columns[line.index] = column;
            }
        }
    }
    columns
}

fn leads(tree: &Tree<'_>) -> Vec<bool> {
    let mut leads = vec![false; tree.lines().len()];
    let headed = |section: &&Section| section.header.is_some() && !tree.lines()[section.lines.start].joined;
    for section in tree.sections().iter().filter(headed) {
        leads[tree.lead_in(section)] = true;
    }
    leads
}
