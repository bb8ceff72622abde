//! What is said while macros are expanded, and where.

use std::sync::Arc;

/// What a command wrote to standard error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// The beginning of the command.
    pub command: String,
    /// Its words, without the last end of line.
    pub text: String,
}

/// A file and a line in it.
pub type Place = (Arc<str>, u32);

/// How grave a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// What rpm writes to standard output as it is: `%{echo:…}` and Lua's `io.write`.
    Output,
    /// What rpm writes to standard error as it is: dumps.
    Note,
    /// What a command writes to standard error.
    Complaint,
    /// A warning.
    Warning,
    /// An error, after which rpm may still go on.
    Error,
}

/// What rpm would have written while it read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// How grave it is.
    pub severity: Severity,
    /// rpm's words, with file and line where rpm says them; no `error: `, no end of line (but [`Severity::Output`] has its own).
    pub text: String,
    /// What was being read. Of warnings and errors only.
    pub place: Option<Place>,
    /// The macros that were being expanded, the outermost first. Of warnings and errors only.
    pub within: Vec<Within>,
}

impl Message {
    /// A message without a place.
    pub fn new(severity: Severity, text: impl Into<String>) -> Self {
        Self {
            severity,
            text: text.into(),
            place: None,
            within: Vec::new(),
        }
    }
}

/// A macro that is being expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Within {
    /// Its name.
    pub name: Arc<str>,
    /// Where it was defined, if in a file.
    pub defined: Option<Place>,
}
