//! What can go wrong with other people's programs.

use std::{io, path::PathBuf};

use keel_artefact::interrupt::Interrupted;
use keel_sandbox::{Exit, Status};

use crate::Program;

/// How many of a program's last lines an error shows.
const LAST_LINES: usize = 12;

/// An error around a program of the machine or of stage0.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program is not on this machine.
    #[error("`{program}` is not installed on this machine (apt install {package})")]
    NotFound {
        /// The program or file.
        program: String,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// The program is not in stage0.
    #[error("stage0 has no `{program}`: add `{package}` to `keel.stage0.packages`")]
    NotInStage0 {
        /// The program.
        program: &'static str,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// The program cannot be started or spoken to.
    #[error("cannot run `{program}`")]
    Start {
        /// The program.
        program: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The program failed.
    #[error("`{program}` failed ({status}){}{}", command_line(command), indented(last))]
    Failed {
        /// The program.
        program: &'static str,
        /// Its command line, as a shell would take it; empty if it is of no interest.
        command: String,
        /// How it ended.
        status: Status,
        /// The last lines that it said.
        last: Vec<String>,
    },
    /// The program's result is not what it should be.
    #[error("`{program}` made something unexpected: {why}")]
    Unexpected {
        /// The program.
        program: &'static str,
        /// What is wrong.
        why: String,
    },
    /// A wrong request: not the program's fault.
    #[error("cannot ask `{program}` for this: {why}")]
    Request {
        /// The program.
        program: &'static str,
        /// What is wrong.
        why: String,
    },
    /// An entry of the root's archive cannot be unpacked.
    #[error("cannot unpack `{path}` of the Debian root: {why}")]
    Unpack {
        /// The path in the root.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The sandbox failed, not what ran in it.
    #[error(transparent)]
    Sandbox(keel_sandbox::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] keel_store::Error),
    /// A file operation failed; the message names the file.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The user wants to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl From<keel_sandbox::Error> for Error {
    fn from(error: keel_sandbox::Error) -> Self {
        match error {
            keel_sandbox::Error::Interrupted(interrupted) => Self::Interrupted(interrupted),
            other => Self::Sandbox(other),
        }
    }
}

impl Error {
    /// A program of stage0 failed; its captured output becomes part of the error.
    pub fn failed(program: Program, exit: &Exit) -> Self {
        let said = if exit.stderr.is_empty() {
            &exit.stdout
        } else {
            &exit.stderr
        };
        Self::failed_with(program, &[], exit.status, said)
    }

    pub(crate) fn failed_with(program: Program, argv: &[String], status: Status, said: &[u8]) -> Self {
        let said = String::from_utf8_lossy(said);
        let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
        let last = lines[lines.len().saturating_sub(LAST_LINES)..]
            .iter()
            .map(|line| (*line).to_owned());
        let command = argv.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
        Self::Failed {
            program: program.name(),
            command,
            status,
            last: last.collect(),
        }
    }
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+%@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

fn command_line(command: &str) -> String {
    if command.is_empty() {
        String::new()
    } else {
        format!("\n  {command}")
    }
}

fn indented(lines: &[String]) -> String {
    lines.iter().map(|line| format!("\n  | {line}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_shows_command_code_and_last_lines() {
        let said = (0..40).map(|n| format!("line {n}\n\n")).collect::<String>();
        let argv = ["rpm", "--define", "_x it's"].map(str::to_owned);
        let error = Error::failed_with(Program::Rpm, &argv, Status::Code(3), said.as_bytes());
        let text = error.to_string();
        assert!(
            text.starts_with("`rpm` failed (exit code 3)\n  rpm --define '_x it'\\''s'\n  | line 28\n"),
            "{text}"
        );
        assert!(text.ends_with("  | line 39"), "{text}");
    }
}
