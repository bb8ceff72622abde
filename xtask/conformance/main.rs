//! Keel's evaluation of SPECs against rpm's, and other long tasks.
//!
//! - `conformance specs --corpus DIR --baseline FILE …`: a corpus, field by field ([`corpus`]).
//! - `conformance rpm-suite …`: rpm's own test suite ([`suite`]).
//! - `conformance azldev-pairs …`: overlays and rendering, against azldev's own results ([`azldev`]).
//! - `conformance libsolv …`: libsolv's testcases, with Keel's solver; `conformance solver-bench …`: how long it takes ([`libsolv`]).
//! - `conformance bench …`: how long it takes, beside `rpmspec` and norpm ([`bench`]).
//! - `conformance schedule …`: the scheduler on a corpus's graph, beside other orders ([`schedule`]).
//! - `conformance image-peers …`: containers and disks beside dnf with umoci, and mkosi ([`image_peers`]).
//! - `conformance overhead …`: what Keel itself costs, beside rpmbuild alone ([`overhead`]).
//! - `conformance kills …`, `conformance image-kills …`, `conformance full-disk …`: what a run that is stopped in the middle loses or spoils ([`endurance`]).
//! - `conformance twice …`: every package of Keel Linux, built twice ([`twice`]).
//!
//! Corpora, baselines and rpm's suite are fetched by whoever runs this and are never committed: docs/how-to/conformance.md.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this program talks to whoever runs make"
)]

mod ask;
mod azldev;
mod bench;
mod corpus;
mod endurance;
mod fields;
mod graph;
mod image_peers;
mod keel;
mod libsolv;
mod mapping;
mod options;
mod overhead;
mod schedule;
mod suite;
mod table;
mod twice;

use std::{env, path::PathBuf, process::ExitCode};

use anyhow::{Result, bail};

use options::Options;
use suite::pretend;

fn main() -> ExitCode {
    if let Some(code) = as_rpm() {
        return code;
    }
    match run(&env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// In a case of rpm's test suite this program goes by rpm's names.
fn as_rpm() -> Option<ExitCode> {
    let mut arguments = env::args();
    let called = PathBuf::from(arguments.next()?);
    let name = called.file_name()?.to_str()?;
    if !pretend::NAMES.contains(&name) {
        return None;
    }
    let code = pretend::run(name, &arguments.collect::<Vec<_>>()).unwrap_or_else(|error| {
        eprintln!("conformance as {name}: {error:#}");
        pretend::OUT_OF_SCOPE
    });
    Some(ExitCode::from(code))
}

fn run(arguments: &[String]) -> Result<()> {
    let (task, rest) = match arguments.split_first() {
        Some((task, rest)) => (task.as_str(), rest),
        None => ("", arguments),
    };
    match task {
        "specs" => corpus::run(Options::new(rest)),
        "rpm-suite" => suite::run(Options::new(rest)),
        "azldev-pairs" => azldev::run(Options::new(rest)),
        "libsolv" => libsolv::run(Options::new(rest)),
        "solver-bench" => libsolv::speed::run(Options::new(rest)),
        "bench" => bench::run(Options::new(rest)),
        "kills" => endurance::kills::run(Options::new(rest)),
        "image-kills" => endurance::image_kills::run(Options::new(rest)),
        "full-disk" => endurance::full_disk::run(Options::new(rest)),
        "overhead" => overhead::run(Options::new(rest)),
        "image-peers" => image_peers::run(Options::new(rest)),
        "schedule" => schedule::run(Options::new(rest)),
        "twice" => twice::run(Options::new(rest)),
        "measure" => bench::measure::run(rest),
        _ => bail!(
            "say which: specs, rpm-suite, azldev-pairs, libsolv, solver-bench, bench, schedule, overhead, image-peers, kills, image-kills, full-disk, twice"
        ),
    }
}
