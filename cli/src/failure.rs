//! Every error of every stage, as text and exit code.

use std::{collections::BTreeMap, process::ExitCode};

use keel_config::Diagnostic;
use serde::Serialize;

use crate::base;

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
    /// What the user ran in a root ended with this code, which is passed on.
    Ran(u8),
}

impl Serialize for Class {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::Failed | Self::Ran(_) => "failed",
            Self::Input => "input",
            Self::Environment => "environment",
            Self::Bug => "bug",
            Self::Interrupted => "interrupted",
        })
    }
}

impl Class {
    /// As documented in `--help`; 130 is the shell's convention for Ctrl-C.
    pub fn code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Input => 2,
            Self::Environment => 3,
            Self::Bug => 70,
            Self::Interrupted => 130,
            Self::Ran(code) => code,
        }
    }

    /// The same, for the system.
    pub fn exit_code(self) -> ExitCode {
        ExitCode::from(self.code())
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

    /// What is wrong and why, in one line and without hints.
    pub fn in_a_line(&self) -> String {
        let told = self.diagnostics.iter().map(|one| {
            let parts = std::iter::once(&one.message).chain(&one.causes);
            parts.map(String::as_str).collect::<Vec<_>>().join(": ")
        });
        told.collect::<Vec<_>>().join("; ")
    }

    /// All of it, for standard error. `paint` colours the words before the colons. Of one mistake in many places, the first are
    /// shown, and the others counted.
    pub fn render(&self, paint: bool) -> String {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for diagnostic in &self.diagnostics {
            *counts.entry(kind_of(diagnostic)).or_default() += 1;
        }
        let (mut shown, mut texts) = (BTreeMap::new(), Vec::new());
        for diagnostic in &self.diagnostics {
            let kind = kind_of(diagnostic);
            let more = counts[&kind].saturating_sub(MOST_ALIKE);
            let shown: &mut usize = shown.entry(kind).or_default();
            *shown += 1;
            if *shown <= MOST_ALIKE {
                texts.push(painted(diagnostic, paint));
            }
            if *shown == MOST_ALIKE && more > 0 {
                texts.push(format!("… and {more} more like it (`--output json` tells all)"));
            }
        }
        texts.join("\n\n")
    }

    /// All of it for programs: a line of JSON for each thing that is wrong.
    pub fn json(&self) -> String {
        let lines = self.diagnostics.iter().map(|diagnostic| {
            let said = Said {
                level: "error",
                class: Some(self.class),
                text: None,
                diagnostic: Some(diagnostic),
            };
            said.json()
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// Of mistakes that differ only in names, so many are shown.
const MOST_ALIKE: usize = 20;

/// The message without the names in it.
fn kind_of(diagnostic: &Diagnostic) -> String {
    let parts = diagnostic.message.split('`').step_by(2);
    parts.collect::<Vec<_>>().join("`")
}

/// What `--output json` writes to standard error: one such object a line.
#[derive(Serialize)]
pub struct Said<'s> {
    /// `error`, `warning` or `note`.
    pub level: &'static str,
    /// Of what ends a command: who must act.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<Class>,
    /// What is said, of a warning or note.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<&'s str>,
    /// What is wrong.
    #[serde(flatten)]
    pub diagnostic: Option<&'s Diagnostic>,
}

impl Said<'_> {
    /// On one line.
    pub fn json(&self) -> String {
        // Texts, numbers and paths: only a path that is no UTF-8 cannot be written.
        serde_json::to_string(self).unwrap_or_else(|error| {
            let text = error.to_string();
            let message = self.diagnostic.map_or("", |diagnostic| &diagnostic.message);
            format!(
                "{}",
                serde_json::json!({ "level": self.level, "message": message, "text": text })
            )
        })
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
                Error::NameTaken { .. } => {
                    class = Class::Input;
                    Diagnostic::new(format!("cannot build `{component}`"))
                        .caused_by(error)
                        .hint("raise `Release`; or publish with `keel repo create --record`, and commit keel.lock")
                }
                Error::NoCounter { .. } | Error::RaiseChanges | Error::TooManyRebuilds => {
                    class = Class::Input;
                    Diagnostic::new(format!("cannot build `{component}`"))
                        .caused_by(error)
                        .hint("raise `Release`; a counter follows the %dist that `Release` ends with: `Release: 1%{?dist}`")
                }
                Error::Foreign(refusal) => {
                    let diagnostic = Diagnostic::new(format!("cannot build `{component}`")).caused_by(error);
                    match base::hint(&**refusal) {
                        Some(hint) => diagnostic.hint(hint),
                        None => diagnostic,
                    }
                }
                error => Diagnostic::new(format!("cannot build `{component}`")).caused_by(error),
            };
            diagnostics.push(diagnostic);
        }
        if !errors.wanted.is_empty()
            && let Some(last) = diagnostics.pop()
        {
            let names: Vec<_> = errors.wanted.keys().map(|name| format!("`{name}`")).collect();
            diagnostics.push(last.hint(format!(
                "{} asked for other packages by %generate_buildrequires: the next run plans with them",
                names.join(", ")
            )));
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
        let error = match error {
            Error::Definition(errors) => return errors.into(),
            error => error,
        };
        let class = match &error {
            Error::TooBig { .. }
            | Error::Resolve { .. }
            | Error::NoSuchFormat { .. }
            | Error::Layout { .. } => Class::Input,
            Error::Sandbox {
                source: keel_sandbox::Error::Exec { .. },
                ..
            } => Class::Failed,
            Error::Store(_)
            | Error::Io { .. }
            | Error::Tool { .. }
            | Error::Moving { .. }
            | Error::Sandbox { .. } => Class::Environment,
            _ => Class::Failed,
        };
        let failure = Self::because(class, "the image failed", &error);
        match &error {
            Error::Locked { .. } => failure
                .hint("look at what changed in the tree; `keel image build --record` takes it as it is now"),
            _ => failure,
        }
    }
}

impl From<keel_image::registry::Error> for Failure {
    fn from(error: keel_image::registry::Error) -> Self {
        use keel_image::registry::{Answer, Error};
        let class = match &error {
            Error::Insecure(_)
            | Error::Logins { .. }
            | Error::NoTag { .. }
            | Error::OtherImage { .. }
            | Error::Exists(_) => Class::Input,
            Error::Certificates { .. } | Error::Store(_) => Class::Environment,
            Error::Answer { .. } | Error::Image(_) | Error::Interrupted(_) => Class::Failed,
        };
        let failure = Self::because(class, "the registry failed", &error);
        match &error {
            Error::Insecure(_) => failure.hint("leave `--insecure-http` out; `--ca-file` names a certificate of your own"),
            Error::Logins { .. } => failure.hint("give `--username` and `--password-stdin`, or `--auth-file`"),
            Error::Answer { answer, .. } => match &**answer {
                Answer::Denied { .. } => failure.hint(
                    "log in with `podman login` or `docker login`, or give `--username` and `--password-stdin`",
                ),
                Answer::Unreachable(why) if why.contains("certificate") => {
                    failure.hint("`--ca-file` names a certificate that is to be trusted, too")
                }
                _ => failure,
            },
            _ => failure,
        }
    }
}

impl From<keel_inspect::Error> for Failure {
    fn from(error: keel_inspect::Error) -> Self {
        use keel_inspect::Error;
        let class = match &error {
            Error::Package(_) | Error::TooHard(_) | Error::Interrupted(_) => Class::Failed,
            Error::File(_) | Error::Store(_) => Class::Environment,
        };
        Self::because(class, "packages cannot be checked", &error)
    }
}

impl From<keel_repo::Error> for Failure {
    fn from(error: keel_repo::Error) -> Self {
        use keel_repo::Error;
        let class = match &error {
            Error::NotRepository { .. } | Error::Part { .. } => Class::Input,
            Error::Listen { .. }
            | Error::Busy { .. }
            | Error::Store(_)
            | Error::Unsound { .. }
            | Error::File { what: "write", .. } => Class::Environment,
            _ => Class::Failed,
        };
        let failure = Self::because(class, "the repository failed", &error);
        match error {
            Error::NotRepository { .. } => failure.hint("`keel repo create` makes one"),
            Error::Part { .. } => failure.hint("all its parts are checked together: name the folder above"),
            _ => failure,
        }
    }
}

impl From<keel_build::forecast::Error> for Failure {
    fn from(error: keel_build::forecast::Error) -> Self {
        use keel_build::forecast::Error;
        match error {
            Error::Interrupted(interrupted) => interrupted.into(),
            Error::Store(error) => error.into(),
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

    #[test]
    fn one_mistake_in_many_places_is_shown_some_times_and_counted() {
        let mut diagnostics = vec![Diagnostic::new("another mistake")];
        diagnostics.extend((0..500).map(|number| Diagnostic::new(format!("`a{number}` is no `b`"))));
        let failure = Failure {
            class: Class::Input,
            diagnostics,
        };
        let text = failure.render(false);
        assert_eq!(text.matches("error: ").count(), 21, "{text}");
        assert!(text.ends_with("`a19` is no `b`\n\n… and 480 more like it (`--output json` tells all)"));
        let lines: Vec<serde_json::Value> = (failure.json().lines())
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 501);
        assert_eq!(
            (&lines[500]["level"], &lines[500]["class"]),
            (&"error".into(), &"input".into())
        );
        assert_eq!(lines[500]["message"], "`a499` is no `b`");
    }
}
