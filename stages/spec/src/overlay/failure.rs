//! Why an overlay could not be applied, told so that its author can mend it.

use std::fmt;

use keel_config::{Diagnostic, Excerpt, Further, Location, diagnostic::nearest, overlay::Overlay};
use serde::Serialize;

use super::kind_of;

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// There is no such section, or no such package.
    SectionNotFound,
    /// There is no such tag, or none with that value.
    NoSuchTag,
    /// The pattern changes nothing.
    PatternNotFound,
    /// What should go is bound up by `%if` with what should stay.
    ConditionSpans,
    /// `%if` and `%endif` do not go together.
    Unbalanced,
    /// There is no such macro or condition.
    NoSuchMacro,
    /// It changes nothing.
    NothingChanged,
    /// No patch, or no file, fits.
    NoFile,
    /// More than one file fits.
    SeveralFiles,
    /// A file is there already.
    Exists,
    /// The file that should be copied cannot be read.
    NoSource,
    /// A name leads out of the folder, or is none that an overlay may touch.
    Name,
    /// The pattern cannot be read.
    Pattern,
    /// The archive cannot be read, or written again.
    Archive,
    /// The preamble cannot be removed, a section cannot be asked for here, and the like.
    NotPossible,
    /// The folder cannot be read or written.
    Io,
}

/// Why an overlay could not be applied. Shows itself as a [`Diagnostic`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Error {
    /// What went wrong, for programs.
    pub kind: Kind,
    /// The same for people.
    pub diagnostic: Box<Diagnostic>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.diagnostic.fmt(f)
    }
}

impl std::error::Error for Error {}

/// What went wrong with an overlay, without the overlay.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) kind: Kind,
    what: String,
    further: Vec<Further>,
    causes: Vec<String>,
    hints: Vec<String>,
}

impl Failure {
    pub(super) fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self {
            kind,
            what: what.into(),
            further: Vec::new(),
            causes: Vec::new(),
            hints: Vec::new(),
        }
    }

    pub(super) fn cause(mut self, error: &dyn std::error::Error) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            self.causes.push(error.to_string());
            next = error.source();
        }
        self
    }

    pub(super) fn because(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Shows a line of the SPEC, by its place from 0.
    pub(super) fn line(mut self, words: &str, spec: &str, index: usize, text: &str) -> Self {
        self.further.push(Further {
            words: words.to_owned(),
            location: Some(Location::line(spec, u32::try_from(index + 1).unwrap_or(u32::MAX))),
            excerpt: Some(Excerpt {
                text: text.to_owned(),
                column: 0,
                width: 1,
            }),
        });
        self
    }

    /// Adds the candidate that is nearest to `wrong`.
    pub(super) fn did_you_mean<'a>(self, wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> Self {
        match nearest(wrong, candidates) {
            Some(near) => self.hint(format!("did you mean `{near}`?")),
            None => self,
        }
    }

    /// The error of `overlay`.
    pub(super) fn of(self, overlay: &Overlay) -> Error {
        let kind = kind_of(&overlay.change);
        let mut diagnostic = Diagnostic::new(format!("overlay `{kind}` does not apply: {}", self.what));
        if !overlay.defined_at.file.as_os_str().is_empty() {
            diagnostic = diagnostic.at(overlay.defined_at.clone());
        }
        if let Some(description) = &overlay.description {
            diagnostic = diagnostic.note(description.clone());
        }
        diagnostic.further = self.further;
        diagnostic.causes = self.causes;
        diagnostic.hints = self.hints;
        Error {
            kind: self.kind,
            diagnostic: Box::new(diagnostic),
        }
    }
}

/// The line most like `wanted`, if one is like it at all, by its place.
pub(super) fn nearest_line<'a>(
    wanted: &str,
    lines: impl Iterator<Item = &'a str>,
) -> Option<(usize, &'a str)> {
    const LONGEST: usize = 400;
    const LEAST: f64 = 0.4;
    let wanted: String = wanted.split_whitespace().collect::<Vec<_>>().join(" ");
    if wanted.len() < 2 || wanted.len() > LONGEST {
        return None;
    }
    let scored = lines
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty() && line.len() <= LONGEST)
        .map(|(index, line)| (strsim::sorensen_dice(&wanted, line.trim()), index, line));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
    best.filter(|(score, ..)| *score >= LEAST)
        .map(|(_, index, line)| (index, line))
}

/// What of a pattern stands for itself, to compare lines with.
pub(super) fn literal_part(pattern: &str) -> String {
    let mut out = String::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(c) if c.is_ascii_alphanumeric() => out.push(' '),
                Some(c) => out.push(c),
                None => {}
            },
            '^' | '$' | '(' | ')' | '*' | '+' | '?' | '|' => {}
            '.' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
