//! A small shell: what bash, coreutils, sed and awk print for a command whose output its text decides.
//!
//! Most commands in SPECs cut a piece out of a text (`echo 1.2.3 | cut -d. -f1-2`, `${commit:0:7}`) or ask one program
//! one question that a fact answers (`eval "$(perl -V:version)"; echo $version`). Starting processes for them costs a
//! thousand times what they do.
//!
//! - [`parse`], `parse_word.rs`: text to a [`tree`]. [`words`]: expansion. [`glob`], [`regex`]: patterns.
//! - [`run`]: lists, pipelines, redirections to nowhere ([`streams`]), built-ins ([`print`], [`condition`]).
//! - [`tools`], [`cut`], [`sed`], [`awk`]: programs.
//!
//! Every function here either gives exactly what bash as `sh` would give in the locale `C.UTF-8`, or is [`Unsure`], and
//! then the whole command is somebody else's. It changes nothing, so giving up is possible at any point. Left out on
//! purpose: loops, functions, arithmetic, here-documents, arrays, globbing, jobs, anything not ASCII.

mod awk;
mod condition;
mod cut;
mod glob;
mod parse;
mod parse_word;
mod print;
mod regex;
mod run;
mod sed;
mod streams;
mod tools;
mod tree;
mod words;

use std::collections::BTreeMap;

/// This shell does not know what the real one would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unsure;

/// What is certain, or nothing.
pub(super) type Sure<T> = Result<T, Unsure>;

/// What one command says to the caller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// Is a program there?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// It can be run.
    Present,
    /// It is nowhere on the `PATH`.
    Absent,
    /// Nobody knows.
    Unknown,
}

/// A file as `test` sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    /// Neither of both: something else.
    pub(super) is_file: bool,
    pub(super) is_folder: bool,
    /// Permission bits.
    pub(super) mode: u32,
    pub(super) size: u64,
}

/// What the shell asks about the machine it stands for.
pub(super) trait Machine {
    /// What this program prints with these arguments, and its exit code, if that is known beforehand.
    fn fact(&self, argv: &[String]) -> Option<(String, i32)>;
    /// Is there such a program? A name without `/` is looked for on the `PATH`.
    fn program(&self, name: &str) -> Presence;
    /// Symbolic links are followed; none when there is no such file.
    fn look(&self, path: &str) -> Sure<Option<Seen>>;
    /// A whole regular file; none when there is no such file.
    fn read(&self, path: &str) -> Sure<Option<String>>;
}

/// More text than this is left to the real shell.
const LONGEST: usize = 1 << 20;

/// What `bash -c text` prints in this environment.
pub(super) fn run(text: &str, environment: &BTreeMap<String, String>, machine: &dyn Machine) -> Sure<Said> {
    if !is_plain(text) || text.len() > LONGEST || !is_plain_locale(environment) {
        return Err(Unsure);
    }
    let list = parse::parse(text)?;
    let mut shell = run::Shell::new(machine, environment);
    let mut streams = streams::Streams::default();
    shell.list(&list, &mut streams)?;
    Ok(streams.said())
}

/// ASCII without control characters but tab and newline: one byte is one character everywhere.
pub(super) fn is_plain(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b'\t' | b'\n' | 0x20..=0x7e))
}

fn is_plain_locale(environment: &BTreeMap<String, String>) -> bool {
    (environment.iter())
        .filter(|(name, _)| *name == "LANG" || name.starts_with("LC_"))
        .all(|(_, value)| matches!(value.as_str(), "" | "C" | "POSIX" | "C.UTF-8"))
}

#[cfg(test)]
mod tests;
