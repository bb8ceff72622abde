//! `%if` and its kind: directives, and the branches that they open.

use std::ops::Range;

use serde::Serialize;

use super::{Defect, DefectKind, Span};
use crate::macros::text;

/// The word of a directive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "each is its own word")]
pub enum Keyword {
    If,
    Ifarch,
    Ifnarch,
    Ifos,
    Ifnos,
    Elif,
    Elifarch,
    Elifos,
    Else,
    Endif,
}

/// Words that another one begins with come after it.
const KEYWORDS: [(&str, Keyword); 10] = [
    ("%endif", Keyword::Endif),
    ("%else", Keyword::Else),
    ("%ifarch", Keyword::Ifarch),
    ("%ifnarch", Keyword::Ifnarch),
    ("%ifos", Keyword::Ifos),
    ("%ifnos", Keyword::Ifnos),
    ("%if", Keyword::If),
    ("%elifarch", Keyword::Elifarch),
    ("%elifos", Keyword::Elifos),
    ("%elif", Keyword::Elif),
];

impl Keyword {
    /// As it is written, with `%`.
    pub fn as_str(self) -> &'static str {
        let found = KEYWORDS.iter().find(|(_, keyword)| *keyword == self);
        found.map_or("", |(word, _)| word)
    }

    /// Does it open a condition?
    pub fn opens(self) -> bool {
        matches!(
            self,
            Self::If | Self::Ifarch | Self::Ifnarch | Self::Ifos | Self::Ifnos
        )
    }

    /// Is it about the architecture?
    pub fn is_arch(self) -> bool {
        matches!(self, Self::Ifarch | Self::Ifnarch | Self::Elifarch)
    }

    fn takes_argument(self) -> bool {
        !matches!(self, Self::Else | Self::Endif)
    }
}

/// The directive that a line without white space before it is. As in rpm, `%else` and `%endif` may be followed by all but
/// a letter, the others by a blank alone (`%if(` is none).
pub(super) fn keyword(line: &str) -> Option<Keyword> {
    KEYWORDS.iter().find_map(|(word, keyword)| {
        let next = line.strip_prefix(word)?.bytes().next();
        let fits = match next {
            None => true,
            Some(byte) if keyword.takes_argument() => text::is_blank(byte),
            Some(byte) => !byte.is_ascii_alphabetic(),
        };
        fits.then_some(*keyword)
    })
}

/// A line that is a directive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    /// Its word.
    pub keyword: Keyword,
    /// What follows, without white space around it.
    pub argument: Span,
    /// The condition that it belongs to, by place in [`super::Tree::conditions`]; none if it has no `%if`.
    pub condition: Option<usize>,
}

/// All from an `%if` to its `%endif`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The branch around it, by place in [`super::Tree::branches`].
    pub parent: Option<usize>,
    /// Its branches, by place in [`super::Tree::branches`].
    pub branches: Vec<usize>,
    /// Its lines, both directives with them; up to the last line if there is no `%endif`.
    pub lines: Range<usize>,
    /// Is there an `%endif`?
    pub closed: bool,
}

/// What is read if one directive is true and those before it in its condition are not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// Its condition, by place in [`super::Tree::conditions`].
    pub condition: usize,
    /// The word of the directive that opens it.
    pub keyword: Keyword,
    /// That directive's expression, or its words.
    pub argument: Span,
    /// That directive's line.
    pub directive: usize,
    /// The lines inside.
    pub body: Range<usize>,
}

/// Conditions in the making.
#[derive(Default)]
pub(super) struct Nesting {
    pub(super) conditions: Vec<Condition>,
    pub(super) branches: Vec<Branch>,
    pub(super) defects: Vec<Defect>,
    open: Vec<usize>,
}

impl Nesting {
    /// The branch that the next line lies in.
    pub(super) fn branch(&self) -> Option<usize> {
        let condition = &self.conditions[*self.open.last()?];
        condition.branches.last().copied()
    }

    /// Takes in the directive in line `line`: its condition, and the branch around that.
    pub(super) fn directive(
        &mut self,
        line: usize,
        keyword: Keyword,
        argument: Span,
    ) -> (Option<usize>, Option<usize>) {
        if keyword.opens() {
            let parent = self.branch();
            self.open.push(self.conditions.len());
            self.conditions.push(Condition {
                parent,
                branches: Vec::new(),
                lines: line..line,
                closed: false,
            });
        }
        let Some(condition) = self.open.last().copied() else {
            self.defect(line, DefectKind::NoIf);
            return (None, None);
        };
        self.end_branch(line);
        if keyword == Keyword::Endif {
            self.open.pop();
            let condition = &mut self.conditions[condition];
            condition.lines.end = line + 1;
            condition.closed = true;
        } else {
            self.open_branch(condition, line, keyword, argument);
        }
        (Some(condition), self.conditions[condition].parent)
    }

    fn open_branch(&mut self, condition: usize, line: usize, keyword: Keyword, argument: Span) {
        let last = self.conditions[condition].branches.last();
        if last.is_some_and(|last| self.branches[*last].keyword == Keyword::Else) {
            self.defect(line, DefectKind::AfterElse);
        }
        self.conditions[condition].branches.push(self.branches.len());
        self.branches.push(Branch {
            condition,
            keyword,
            argument,
            directive: line,
            body: line + 1..line + 1,
        });
    }

    fn end_branch(&mut self, line: usize) {
        if let Some(branch) = self.branch() {
            self.branches[branch].body.end = line;
        }
    }

    /// Ends what is still open after the last of `lines` lines.
    pub(super) fn finish(&mut self, lines: usize) {
        while let Some(condition) = self.open.last().copied() {
            self.end_branch(lines);
            self.open.pop();
            let condition = &mut self.conditions[condition];
            condition.lines.end = lines;
            let line = condition.lines.start;
            self.defect(line, DefectKind::NoEndif);
        }
        self.defects.sort_by_key(|defect| defect.line);
    }

    fn defect(&mut self, line: usize, kind: DefectKind) {
        self.defects.push(Defect { line, kind });
    }
}
