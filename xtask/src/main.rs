//! What the Makefile calls: set-up with apt, and the steps of the two commands of the README, timed.
//!
//! - `setup image|test`: names the Debian packages that are missing, and installs them as root; without root it prints
//!   the one line to run and stops.
//! - `image`: from a fresh clone to the `core` container and a booted `micro` machine, with a table of times.
//! - `test`: set-up and every test.
//! - `proof`: see the Makefile.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this program talks to whoever runs make"
)]

mod setup;
mod steps;

use std::process::ExitCode;

use anyhow::{Result, bail};

fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(if error.is::<setup::NotRoot>() { 3 } else { 1 })
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let Some((task, rest)) = arguments.split_first() else {
        bail!("say which: setup image|test, image, test, proof");
    };
    match (task.as_str(), rest) {
        ("setup", [what]) => setup::install(what.parse()?),
        ("image", options) => steps::image(options),
        ("test", options) => steps::test(options),
        ("proof", options) => steps::proof(options),
        _ => bail!(
            "unknown task `{}`: setup image|test, image, test, proof",
            arguments.join(" ")
        ),
    }
}
