//! Every error of every stage, as text and exit code.

use std::process::ExitCode;

use keel_config::Diagnostic;

/// Who must act, which is what the exit code tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A build or a check failed.
    Failed,
    /// The input is wrong: tree, arguments.
    Input,
    /// The machine lacks something.
    Environment,
    /// Keel itself is wrong.
    Bug,
    /// The user stopped it.
    Interrupted,
}

impl Class {
    /// As documented in `--help`; 130 is the shell's convention for Ctrl-C.
    pub fn exit_code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Failed => 1,
            Self::Input => 2,
            Self::Environment => 3,
            Self::Bug => 70,
            Self::Interrupted => 130,
        })
    }
}

/// Why a command ends without its result.
#[derive(Debug)]
pub struct Failure {
    /// Who must act.
    pub class: Class,
    /// What is wrong: one or more.
    pub diagnostics: Vec<Diagnostic>,
}

impl Failure {
    /// One thing is wrong.
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        Self {
            class,
            diagnostics: vec![Diagnostic::new(message)],
        }
    }

    /// One thing is wrong with the input.
    pub fn input(message: impl Into<String>) -> Self {
        Self::new(Class::Input, message)
    }

    /// `what` went wrong because of `error` and its sources.
    pub fn because(class: Class, what: impl Into<String>, error: &(dyn std::error::Error + 'static)) -> Self {
        if let Some(interrupted) = interrupt(error) {
            // Nothing went wrong: what was being done then does not matter.
            return Self::new(Class::Interrupted, interrupted.to_string());
        }
        Self {
            class,
            diagnostics: vec![Diagnostic::new(what).caused_by(error)],
        }
    }

    /// Whatever failed after the user stopped the run failed because of that.
    pub fn after(mut self, interrupt: &keel_artefact::Interrupt) -> Self {
        if interrupt.is_set() {
            self.class = Class::Interrupted;
        }
        self
    }

    /// Adds a hint to the last diagnostic.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Some(last) = self.diagnostics.pop() {
            self.diagnostics.push(last.hint(hint));
        }
        self
    }

    /// All of it, for standard error. `paint` colours the words before the colons.
    pub fn render(&self, paint: bool) -> String {
        let texts: Vec<String> = self
            .diagnostics
            .iter()
            .map(|diagnostic| painted(diagnostic, paint))
            .collect();
        texts.join("\n\n")
    }
}

/// One diagnostic; `paint` colours the words before the colons.
pub fn painted(diagnostic: &Diagnostic, paint: bool) -> String {
    let text = diagnostic.to_string();
    if !paint {
        return text;
    }
    let words = [
        ("error:", "\x1b[31;1m"),
        ("hint:", "\x1b[36;1m"),
        ("  caused by:", "\x1b[33m"),
    ];
    let paint_line = |line: &str| match words.iter().find(|(word, _)| line.starts_with(word)) {
        Some((word, colour)) => format!("{colour}{word}\x1b[0m{}", &line[word.len()..]),
        None => line.to_owned(),
    };
    text.lines().map(paint_line).collect::<Vec<_>>().join("\n")
}

/// The user, if he is behind it.
fn interrupt<'e>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e keel_artefact::Interrupted> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(interrupted) = error.downcast_ref() {
            return Some(interrupted);
        }
        next = error.source();
    }
    None
}

impl From<keel_config::Errors> for Failure {
    fn from(errors: keel_config::Errors) -> Self {
        Self {
            class: Class::Input,
            diagnostics: errors.into_vec(),
        }
    }
}

impl From<keel_build::Errors> for Failure {
    fn from(errors: keel_build::Errors) -> Self {
        use keel_build::Error;
        let mut class = Class::Failed;
        let mut diagnostics = Vec::new();
        for (component, error) in &errors.failed {
            let diagnostic = match error {
                Error::Interrupted(_) => {
                    class = Class::Interrupted;
                    Diagnostic::new(error.to_string())
                }
                Error::Host(_) | Error::Sandbox(_) | Error::Store(_) | Error::Io(_) => {
                    class = Class::Environment;
                    Diagnostic::new(format!("cannot build `{component}`")).caused_by(error)
                }
                Error::Refused(_) => Diagnostic::new(format!("cannot build `{component}`"))
                    .caused_by(error)
                    .hint("`keel package rules` says why, and what to do; the packages are kept, what is mended in TOML builds nothing again"),
                error => Diagnostic::new(format!("cannot build `{component}`")).caused_by(error),
            };
            diagnostics.push(diagnostic);
        }
        if class == Class::Failed && !errors.skipped.is_empty() {
            let names: Vec<_> = errors.skipped.iter().map(|name| format!("`{name}`")).collect();
            let hint = format!("not built because of this: {}", names.join(", "));
            if let Some(last) = diagnostics.pop() {
                diagnostics.push(last.hint(hint));
            }
        }
        Self { class, diagnostics }
    }
}

impl From<keel_spec::Error> for Failure {
    fn from(error: keel_spec::Error) -> Self {
        match error {
            keel_spec::Error::Input(errors) => errors.into(),
            error @ keel_spec::Error::Name { .. } => Self::input(error.to_string()),
            error => Self::because(Class::Environment, "cannot evaluate the SPECs", &error),
        }
    }
}

impl From<keel_source::Errors> for Failure {
    fn from(errors: keel_source::Errors) -> Self {
        let class = match errors.is_interrupted() {
            true => Class::Interrupted,
            false if errors.iter().all(keel_source::Error::is_input) => Class::Input,
            false => Class::Failed,
        };
        Self {
            class,
            diagnostics: errors.diagnostics(),
        }
    }
}

impl From<keel_plan::Error> for Failure {
    fn from(error: keel_plan::Error) -> Self {
        match error {
            keel_plan::Error::Input(errors) => errors.into(),
            error => Self::because(Class::Bug, "planning went wrong", &error),
        }
    }
}

impl From<keel_image::Error> for Failure {
    fn from(error: keel_image::Error) -> Self {
        use keel_image::Error;
        let class = match &error {
            Error::TooBig { .. } | Error::Resolve { .. } | Error::NoSuchFormat { .. } => Class::Input,
            Error::Store(_) | Error::Io { .. } | Error::Tool { .. } => Class::Environment,
            _ => Class::Failed,
        };
        Self::because(class, "the image failed", &error)
    }
}

impl From<keel_inspect::Error> for Failure {
    fn from(error: keel_inspect::Error) -> Self {
        use keel_inspect::Error;
        let class = match &error {
            Error::Package(_) | Error::Interrupted(_) => Class::Failed,
            Error::File(_) | Error::Store(_) => Class::Environment,
        };
        Self::because(class, "packages cannot be checked", &error)
    }
}

impl From<keel_repo::Error> for Failure {
    fn from(error: keel_repo::Error) -> Self {
        use keel_repo::Error;
        let class = match &error {
            Error::NotRepository { .. } => Class::Input,
            Error::Listen { .. } | Error::Busy { .. } | Error::Store(_) => Class::Environment,
            _ => Class::Failed,
        };
        let failure = Self::because(class, "the repository failed", &error);
        match error {
            Error::NotRepository { .. } => failure.hint("`keel repo create` makes one"),
            _ => failure,
        }
    }
}

/// Errors that are one thing, with a class of their own.
macro_rules! from_error {
    ($($error:ty => $class:ident, $what:literal;)*) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::because(Class::$class, $what, &error)
            }
        }
    )*};
}

from_error! {
    keel_store::Error => Environment, "the store failed";
    keel_host::Error => Environment, "cannot use a program of this machine or of stage0";
    keel_rpm::Error => Failed, "a package cannot be used";
    std::io::Error => Environment, "a file operation failed";
    keel_artefact::Interrupted => Failed, "stopped";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_only_painted_when_asked_for() {
        let failure = Failure::input("no such image `cor`").hint("did you mean `core`?");
        assert_eq!(
            failure.render(false),
            "error: no such image `cor`\nhint: did you mean `core`?"
        );
        assert!(failure.render(true).contains("\x1b[31;1merror:\x1b[0m no such"));
    }
}
