//! What the Makefile calls: set-up with apt, and the steps of the two commands of the README, timed.
//!
//! - `setup image|test`: names the Debian packages that are missing, and installs them as root; without root it prints
//!   the one line to run and stops.
//! - `image`: from a fresh clone to the `core` container and a booted `micro` machine, with a table of times.
//! - `test`: set-up and every test.
//! - `proof`: see the Makefile.
//! - `conformance`, `bench`: Keel's evaluation of SPECs against rpm's, and its speed; see docs/how-to/conformance.md.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this program talks to whoever runs make"
)]

mod bench;
mod conformance;
mod options;
mod setup;
mod steps;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Result, bail};

use conformance::suite::pretend;

const TASKS: &str = "setup image|test, image, test, proof, conformance, bench";

fn main() -> ExitCode {
    if let Some(code) = as_rpm() {
        return code;
    }
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(if error.is::<setup::NotRoot>() { 3 } else { 1 })
        }
    }
}

/// In a case of rpm's test suite this program goes by rpm's names.
fn as_rpm() -> Option<ExitCode> {
    let mut arguments = std::env::args();
    let called = PathBuf::from(arguments.next()?);
    let name = called.file_name()?.to_str()?;
    if !pretend::NAMES.contains(&name) {
        return None;
    }
    let code = pretend::run(name, &arguments.collect::<Vec<_>>()).unwrap_or_else(|error| {
        eprintln!("xtask as {name}: {error:#}");
        pretend::OUT_OF_SCOPE
    });
    Some(ExitCode::from(code))
}

fn run(arguments: &[String]) -> Result<()> {
    let Some((task, rest)) = arguments.split_first() else {
        bail!("say which: {TASKS}");
    };
    match (task.as_str(), rest) {
        ("setup", [what]) => setup::install(what.parse()?),
        ("image", options) => steps::image(options),
        ("test", options) => steps::test(options),
        ("proof", options) => steps::proof(options),
        ("conformance", options) => conformance::run(options),
        ("bench", options) => bench::run(options),
        ("measure", command) => bench::measure::run(command),
        _ => bail!("unknown task `{}`: {TASKS}", arguments.join(" ")),
    }
}
