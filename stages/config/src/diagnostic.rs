//! What is wrong with the input, told so that it can be mended: message, place, excerpt, causes, hints.
//!
//! ```text
//! error: unknown key `pakages` in `[images.core]`
//!   images/core.toml:3:1:
//!     3 | pakages = ["bash"]
//!       | ^^^^^^^
//! hint: did you mean `packages`?
//! ```
//!
//! One function renders it ([`Diagnostic`]'s `Display`), without colour and without a final newline. Control
//! characters of the input are shown as `�`, so that no file can write to a terminal what it likes.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::Serialize;

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Location {
    /// As people should see it: relative to the project's folder if it is inside.
    pub file: PathBuf,
    /// From 1; 0 stands for the whole file.
    pub line: u32,
    /// In characters, from 1; 0 stands for the whole line.
    pub column: u32,
}

impl Location {
    /// A whole file.
    pub fn file(file: impl Into<PathBuf>) -> Self {
        Self::line(file, 0)
    }

    /// A whole line.
    pub fn line(file: impl Into<PathBuf>, line: u32) -> Self {
        Self {
            file: file.into(),
            line,
            column: 0,
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if self.column > 0 {
            write!(f, ":{}", self.column)?;
        }
        Ok(())
    }
}

/// One line of a file, and which part of it is meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Excerpt {
    /// The line, without its end.
    pub text: String,
    /// In characters, from 1; 0: no part in particular.
    pub column: u32,
    /// In characters, at least 1.
    pub width: u32,
}

/// One more place that has to do with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Further {
    /// How it has to do with it.
    pub words: String,
    /// Where, if it is in a file.
    pub location: Option<Location>,
    /// What stands there.
    pub excerpt: Option<Excerpt>,
}

impl Further {
    /// Only words.
    pub fn new(words: impl Into<String>) -> Self {
        Self {
            words: words.into(),
            location: None,
            excerpt: None,
        }
    }

    /// `around` is the line of the diagnostic, for what is in no file.
    fn write(&self, f: &mut fmt::Formatter<'_>, around: u32) -> fmt::Result {
        write!(f, "\n  {}", clean(&self.words))?;
        let line = match &self.location {
            Some(location) => {
                write!(f, " {location}")?;
                location.line
            }
            None => around,
        };
        match &self.excerpt {
            Some(excerpt) => {
                f.write_str(":")?;
                excerpt.write(f, line)
            }
            None => Ok(()),
        }
    }
}

/// How much of a long line an excerpt shows, in characters.
const WINDOW: usize = 100;

impl Excerpt {
    /// Line `line` (from 1) of `text`, the whole of it; none if there is no such line.
    pub fn of_line(text: &str, line: u32) -> Option<Self> {
        let text = text.lines().nth(usize::try_from(line).ok()?.checked_sub(1)?)?;
        Some(Self {
            text: text.to_owned(),
            column: 0,
            width: 1,
        })
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, line: u32) -> fmt::Result {
        let length = self.text.chars().count();
        let column = (self.column as usize).min(length + 1);
        let from = if column + 1 > WINDOW {
            column - WINDOW / 2
        } else {
            0
        };
        let shown: String = (self.text.chars().skip(from).take(WINDOW))
            .map(|c| match c {
                '\t' => ' ',
                c if c.is_control() => '\u{fffd}',
                c => c,
            })
            .collect();
        let (cut_left, cut_right) = (from > 0, from + WINDOW < length);
        let number = line.to_string();
        let (left, right) = (if cut_left { "…" } else { "" }, if cut_right { "…" } else { "" });
        write!(f, "\n    {number} | {left}{}{right}", shown.trim_end())?;
        if column > 0 {
            let indent = column - 1 - from + usize::from(cut_left);
            let most = (from + WINDOW + 1).saturating_sub(column).max(1);
            let width = (self.width as usize).clamp(1, most);
            let gutter = " ".repeat(number.len());
            write!(f, "\n    {gutter} | {}{}", " ".repeat(indent), "^".repeat(width))?;
        }
        Ok(())
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// What is wrong, in one line.
    pub message: String,
    /// Where.
    pub location: Option<Location>,
    /// What stands there, in words, on the line of the location: `BuildRequires: cmake >= 3.30`.
    pub note: Option<String>,
    /// What stands there, as it is.
    pub excerpt: Option<Excerpt>,
    /// More places that have to do with it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub further: Vec<Further>,
    /// What led to it, nearest first.
    pub causes: Vec<String>,
    /// What to do about it.
    pub hints: Vec<String>,
}

impl Diagnostic {
    /// Only a message.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            ..Self::default()
        }
    }

    /// At a place.
    pub fn at(mut self, location: Location) -> Self {
        self.location = Some(location);
        self
    }

    /// With words beside the place.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    /// With an excerpt of what is at the place.
    pub fn excerpt(mut self, excerpt: Option<Excerpt>) -> Self {
        self.excerpt = excerpt;
        self
    }

    /// With one more place.
    pub fn further(mut self, further: Further) -> Self {
        self.further.push(further);
        self
    }

    /// With one more cause.
    pub fn cause(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// With an error and all its sources as causes.
    pub fn caused_by(mut self, error: &dyn std::error::Error) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            let text = error.to_string();
            if self.causes.last() != Some(&text) {
                self.causes.push(text);
            }
            next = error.source();
        }
        self
    }

    /// With one more hint.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// With the hint `did you mean …?` if a candidate is like `wrong`.
    pub fn did_you_mean<'a>(self, wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> Self {
        match nearest(wrong, candidates) {
            Some(near) => self.hint(format!("did you mean `{near}`?")),
            None => self,
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", clean(&self.message))?;
        if let Some(location) = &self.location {
            write!(f, "\n  {location}")?;
            match (&self.note, &self.excerpt) {
                (Some(note), _) => write!(f, ": {}", clean(note))?,
                (None, Some(_)) => f.write_str(":")?,
                (None, None) => {}
            }
            if let Some(excerpt) = &self.excerpt {
                excerpt.write(f, location.line)?;
            }
        } else if let Some(note) = &self.note {
            write!(f, "\n  {}", clean(note))?;
        }
        let line = self.location.as_ref().map_or(0, |location| location.line);
        for further in &self.further {
            further.write(f, line)?;
        }
        for cause in &self.causes {
            write!(f, "\n  caused by: {}", clean(cause))?;
        }
        for hint in &self.hints {
            write!(f, "\nhint: {}", clean(hint))?;
        }
        Ok(())
    }
}

/// Without control characters; further lines are indented.
fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.trim_end().chars() {
        match c {
            '\n' => clean.push_str("\n    "),
            '\t' => clean.push(' '),
            c if c.is_control() => clean.push('\u{fffd}'),
            c => clean.push(c),
        }
    }
    clean
}

/// All that is wrong, in the order of files and lines. Never empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Errors(Vec<Diagnostic>);

impl Errors {
    /// `Ok(value)` if nothing is wrong. Equal diagnostics are told once.
    pub fn check<T>(value: T, diagnostics: Vec<Diagnostic>) -> Result<T, Self> {
        if diagnostics.is_empty() {
            Ok(value)
        } else {
            Err(Self::sorted(diagnostics))
        }
    }

    /// These errors and more.
    pub fn and(mut self, more: Vec<Diagnostic>) -> Self {
        self.0.extend(more);
        Self::sorted(self.0)
    }

    fn sorted(mut diagnostics: Vec<Diagnostic>) -> Self {
        diagnostics.sort_by(|a, b| a.location.cmp(&b.location));
        diagnostics.dedup();
        Self(diagnostics)
    }

    /// The diagnostics.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }

    /// The diagnostics, by value.
    pub fn into_vec(self) -> Vec<Diagnostic> {
        self.0
    }
}

impl From<Diagnostic> for Errors {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(vec![diagnostic])
    }
}

impl fmt::Display for Errors {
    /// One after another, with an empty line between.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.0.iter().enumerate() {
            let gap = if index > 0 { "\n\n" } else { "" };
            write!(f, "{gap}{diagnostic}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}

/// The candidate most like `wrong`, if one is like enough for a slip of the finger.
pub fn nearest<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const LONGEST: usize = 64;
    let length = wrong.chars().count();
    if length > LONGEST {
        return None;
    }
    // A third of it, and one of what is shorter.
    let limit = (length / 3).clamp(1, 3);
    (candidates.into_iter())
        .filter(|candidate| *candidate != wrong && !candidate.is_empty())
        .filter(|candidate| candidate.chars().take(LONGEST + 4).count().abs_diff(length) <= limit)
        .map(|candidate| (strsim::osa_distance(wrong, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= limit && *distance < candidate.chars().count())
        .min()
        .map(|(_, candidate)| candidate)
}

/// The file `path` under `root`, as people should see it.
pub(crate) fn shown(root: &Path, path: &Path) -> PathBuf {
    path.strip_prefix(root).unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagnostic_reads_as_in_the_style_guide() {
        let diagnostic = Diagnostic::new("cannot plan `zlib`")
            .at(Location::line("specs/zlib/zlib.spec", 14))
            .note("BuildRequires: cmake >= 3.30")
            .cause("newest `cmake` in this distribution is 3.28.1 (components/cmake.toml)")
            .hint("`zlib` is here because image `core` installs `curl`");
        assert_eq!(
            diagnostic.to_string(),
            "error: cannot plan `zlib`\n  specs/zlib/zlib.spec:14: BuildRequires: cmake >= 3.30\n  caused by: newest \
             `cmake` in this distribution is 3.28.1 (components/cmake.toml)\nhint: `zlib` is here because image \
             `core` installs `curl`"
        );
    }

    #[test]
    fn further_places_stand_between_the_excerpt_and_the_causes() {
        let excerpt = |text: &str, column| Excerpt {
            text: text.to_owned(),
            column,
            width: 2,
        };
        let further = |location, excerpt| Further {
            location,
            excerpt,
            ..Further::new("w")
        };
        let diagnostic = Diagnostic::new("m")
            .at(Location::line("f", 12))
            .further(further(Some(Location::line("g", 3)), Some(excerpt("abc", 2))))
            .further(further(None, Some(excerpt("d", 1))))
            .further(further(None, None))
            .cause("c");
        assert_eq!(
            diagnostic.to_string(),
            "error: m\n  f:12\n  w g:3:\n    3 | abc\n      |  ^^\n  w:\n    12 | d\n       | ^^\n  w\n  caused by: c"
        );
    }

    #[test]
    fn excerpts_are_windows_without_control_characters() {
        let show = |text: &str, column, width| {
            let diagnostic = Diagnostic::new("m")
                .at(Location::line("f", 12))
                .excerpt(Some(Excerpt {
                    text: text.to_owned(),
                    column,
                    width,
                }));
            diagnostic.to_string().split_off("error: m\n".len())
        };
        assert_eq!(
            show("a\u{1b}[2J\tb", 7, 1),
            "  f:12:\n    12 | a\u{fffd}[2J b\n       |       ^"
        );
        assert_eq!(show("", 1, 5), "  f:12:\n    12 | \n       | ^^^^^");
        let long = format!("{}X{}", "a".repeat(300), "b".repeat(300));
        let shown = show(&long, 301, 900);
        let lines: Vec<&str> = shown.lines().collect();
        let (x, caret) = (lines[1].find('X').unwrap(), lines[2].find('^').unwrap());
        assert_eq!(lines[1][..x].chars().count(), caret);
        assert!(lines.iter().all(|line| line.chars().count() < 115), "{shown}");
    }

    #[test]
    fn only_slips_of_the_finger_are_guessed() {
        let keys = ["packages", "exclude", "formats", "tests"];
        assert_eq!(nearest("pakages", keys), Some("packages"));
        assert_eq!(nearest("test", keys), Some("tests"));
        assert_eq!(nearest("kernel", keys), None);
        assert_eq!(nearest("bahs", ["bash", "dash"]), Some("bash"));
        assert_eq!(nearest("curl", ["cure", "cpio", "nano"]), Some("cure"));
        assert_eq!(nearest("nginx", ["nano", "engine"]), None);
        assert_eq!(nearest("x", ["y"]), None);
    }
}
