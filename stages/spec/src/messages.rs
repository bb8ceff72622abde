//! What is said of a SPEC, as diagnostics with the line and its text.
//!
//! rpm's errors come as `error: line 7: …`, `error: /path/a.spec: line 7: …`, `error: /path/a.spec:7: …` or without a
//! place (`build/parseSpec.c`, `build/expression.c` in rpm).

use std::path::Path;

use keel_artefact::ComponentName;
use keel_config::{Diagnostic, Excerpt, Location};
use serde::{Deserialize, Serialize};

use crate::macros::{self, Severity};

/// One message of rpm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Message {
    /// Line in the SPEC.
    pub(crate) line: Option<u32>,
    pub(crate) text: String,
}

/// The errors and the warnings, each once. `spec`: the SPEC's path as it was evaluated.
pub(crate) fn read(said: &[macros::Message], spec: &str) -> (Vec<Message>, Vec<Message>) {
    let (mut errors, mut warnings) = (Vec::new(), Vec::new());
    for message in said {
        let list = match message.severity {
            Severity::Error => &mut errors,
            Severity::Warning => &mut warnings,
            Severity::Note | Severity::Output => continue,
        };
        let text = message.text.trim();
        // A caret under a condition.
        if text.is_empty() || text == "^" {
            continue;
        }
        let message = place(text, spec);
        if !list.contains(&message) {
            list.push(message);
        }
    }
    (errors, warnings)
}

fn place(text: &str, spec: &str) -> Message {
    let rest = text
        .strip_prefix(spec)
        .and_then(|rest| rest.strip_prefix(':'))
        .unwrap_or(text);
    let rest = rest.trim_start();
    let numbered = rest.strip_prefix("line ").unwrap_or(rest);
    let placed = numbered
        .split_once(':')
        .and_then(|(number, text)| Some((number.parse().ok()?, text.trim())))
        .filter(|_| numbered.len() < text.len());
    match placed {
        Some((line, text)) => Message {
            line: Some(line),
            text: text.to_owned(),
        },
        None => Message {
            line: None,
            text: rest.to_owned(),
        },
    }
}

/// The diagnostic about a SPEC of which rpm said `errors`.
pub(crate) fn diagnostic(
    component: &ComponentName,
    shown: &Path,
    text: &str,
    errors: &[Message],
) -> Diagnostic {
    let new = Diagnostic::new(format!("cannot evaluate the SPEC of `{component}`"));
    let Some(main) = errors
        .iter()
        .find(|error| error.line.is_some())
        .or(errors.first())
    else {
        return new.at(Location::file(shown)).note("there is no reason given");
    };
    let line = main.line.unwrap_or(0);
    let new = (new.at(Location::line(shown, line)).note(&main.text)).excerpt(Excerpt::of_line(text, line));
    (errors.iter().filter(|error| *error != main)).fold(new, |new, error| new.cause(&error.text))
}

/// A warning in one line.
pub(crate) fn warning(shown: &Path, message: &Message) -> String {
    format!(
        "{}: {}",
        Location::line(shown, message.line.unwrap_or(0)),
        message.text
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(lines: &str) -> Vec<macros::Message> {
        let message = |line: &str| {
            let (word, text) = line.split_once(": ")?;
            let severity = match word {
                "error" => Severity::Error,
                "warning" => Severity::Warning,
                _ => Severity::Note,
            };
            Some(macros::Message::new(severity, text))
        };
        lines.lines().filter_map(message).collect()
    }

    fn told(lines: &str) -> String {
        let text = "Name: a\nVersion: 1\n%if foo bar\nSumary: s\n";
        let (errors, _) = read(&said(lines), "/keel/specs/a/a.spec");
        diagnostic(&"a".parse().unwrap(), Path::new("specs/a.spec"), text, &errors).to_string()
    }

    #[test]
    fn messages_of_rpm_get_the_line_that_they_mean() {
        let head = "error: cannot evaluate the SPEC of `a`\n  specs/a.spec";
        for (lines, expected) in [
            (
                "error: line 4: Unknown tag: Sumary: s\n",
                ":4: Unknown tag: Sumary: s\n    4 | Sumary: s",
            ),
            (
                "error: bare words are no longer supported, please use \"...\":  foo bar\n\nerror:            ^\n\
                 error: /keel/specs/a/a.spec:3: bad %if condition:  foo bar\n",
                ":3: bad %if condition:  foo bar\n    3 | %if foo bar\n  caused by: bare words are no longer \
                 supported, please use \"...\":  foo bar",
            ),
            (
                "error: /keel/specs/a/a.spec: line 2: Unterminated {: {x\nerror: Unterminated {: {x\n",
                ":2: Unterminated {: {x\n    2 | Version: 1\n  caused by: Unterminated {: {x",
            ),
            (
                "error: Version field must be present before build in package: a\n",
                ": Version field must be present before build in package: a",
            ),
            ("sh: 1: boo\n", ": there is no reason given"),
            ("error: 12: x\n", ": 12: x"),
            ("error: line 99: beyond\n", ":99: beyond"),
        ] {
            assert_eq!(told(lines), format!("{head}{expected}"));
        }
    }

    #[test]
    fn warnings_are_told_once_and_apart() {
        let lines =
            "warning: line 10: second Description\nwarning: line 10: second Description\nerror: line 1: x\n";
        let (errors, warnings) = read(&said(lines), "s");
        assert_eq!((errors.len(), warnings.len()), (1, 1));
        assert_eq!(
            warning(Path::new("a.spec"), &warnings[0]),
            "a.spec:10: second Description"
        );
    }
}
