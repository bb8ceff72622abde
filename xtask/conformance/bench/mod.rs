//! `conformance bench`: how long Keel takes for SPECs, beside `rpmspec` and `norpm`, in one run on one machine.
//!
//! 1. A sample of a corpus (always the same): `rpmspec -q --srpm` and `rpmspec -q --builtrpms`, a process each, as everybody asks today; Keel; norpm.
//! 2. The whole corpus with `with_check` 0 and 1: wall, processor time, memory.
//! 3. One SPEC in a cold process.
//!
//! Run it where `rpmspec` sees the corpus's macro files: docs/how-to/conformance.md.

pub mod measure;
mod norpm;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use crate::{
    corpus::{Spec, read_baseline, sample},
    keel::Keel,
    options::Options,
};
use measure::{Usage, children, measure};

/// How often each short run is repeated; the middle one counts.
const REPEAT: usize = 3;
/// How many SPECs are tried cold.
const COLD: usize = 20;

struct Bench {
    keel: Keel,
    corpus: PathBuf,
    defines: Vec<String>,
    rpmspec: PathBuf,
}

/// Runs everything and prints the table.
pub fn run(mut options: Options) -> Result<()> {
    let bench = Bench {
        corpus: PathBuf::from(options.required("--corpus")?),
        keel: Keel::from_options(&mut options)?,
        defines: options.values("--define")?,
        rpmspec: options
            .value("--rpmspec")?
            .map_or_else(|| PathBuf::from("rpmspec"), PathBuf::from),
    };
    let baseline = PathBuf::from(options.required("--baseline")?);
    let count = options.parsed::<usize>("--sample")?.unwrap_or(300);
    let norpm = options.value("--norpm")?;
    let report = options.value("--report")?;
    let words = options.words()?;
    ensure!(words.is_empty(), "`{}` is not understood here", words.join(" "));

    let all = bench.files(&read_baseline(&baseline)?);
    let some = sample(read_baseline(&baseline)?, count, 4);
    let files = bench.files(&some);

    println!(
        "{} SPECs of {}, a process for each question:",
        files.len(),
        all.len()
    );
    let rpmspec = bench.rpmspec_each(&files)?;
    print("rpmspec --srpm, --builtrpms", rpmspec);
    let keel = middle(
        (0..REPEAT)
            .map(|_| bench.keel_once(&files, &bench.defines))
            .collect::<Result<_>>()?,
    )?;
    print("keel spec eval, one process", keel);
    let each = 1000.0 / files.len().max(1) as f64;
    println!(
        "    each SPEC: {:.1} ms and {:.2} ms of processor time",
        rpmspec.processor * each,
        keel.processor * each
    );
    println!(
        "    {:.0} times less processor time, {:.0} times less wall time",
        rpmspec.processor / keel.processor.max(1e-6),
        rpmspec.wall / keel.wall.max(1e-6)
    );
    let peer = match &norpm {
        Some(python) => Some(norpm::compare(python, &bench, &some, &files)?),
        None => None,
    };

    println!(
        "\nall {} SPECs, with_check 0 and 1, macro files read from disk:",
        all.len()
    );
    let mut both = Usage::default();
    for with_check in ["0", "1"] {
        let defines = with(&bench.defines, with_check);
        let usage = middle(
            (0..REPEAT)
                .map(|_| bench.keel_once(&all, &defines))
                .collect::<Result<_>>()?,
        )?;
        print(&format!("keel spec eval, with_check {with_check}"), usage);
        both.wall += usage.wall;
        both.processor += usage.processor;
        both.memory_mib = both.memory_mib.max(usage.memory_mib);
    }
    print("both", both);

    println!("\none SPEC in a cold process, {COLD} SPECs:");
    let mut cold = Vec::new();
    for file in files.iter().take(COLD) {
        cold.push(bench.keel_once(std::slice::from_ref(file), &bench.defines)?.wall);
    }
    cold.sort_by(f64::total_cmp);
    let (median, worst) = (cold.get(cold.len() / 2), cold.last());
    let [median, worst] = [median, worst].map(|time| time.copied().unwrap_or_default() * 1000.0);
    println!(
        "    {:36} median {median:.0} ms, worst {worst:.0} ms",
        "keel spec eval"
    );

    if let Some(file) = report {
        let value = json!({
            "sample": files.len(), "specs": all.len(), "rpmspec": rpmspec.json(), "keel_sample": keel.json(), "norpm": peer,
            "keel_all_both": both.json(), "cold_ms": { "median": median, "worst": worst },
        });
        fs::write(&file, serde_json::to_string_pretty(&value)? + "\n")
            .with_context(|| format!("cannot write {file}"))?;
    }
    Ok(())
}

impl Bench {
    fn files(&self, specs: &[Spec]) -> Vec<PathBuf> {
        specs.iter().map(|spec| self.corpus.join(&spec.path)).collect()
    }

    /// Two questions about each SPEC, one after the other.
    fn rpmspec_each(&self, files: &[PathBuf]) -> Result<Usage> {
        let before = children()?;
        let started = std::time::Instant::now();
        let lists = [
            "PROVIDE",
            "REQUIRE",
            "CONFLICT",
            "OBSOLETE",
            "RECOMMEND",
            "SUGGEST",
            "SUPPLEMENT",
        ];
        let lists = lists.map(|tag| format!("[%{{{tag}NAME}} %{{{tag}FLAGS}} %{{{tag}VERSION}}\\n]"));
        let format = format!("%{{NEVRA}}\\n{}", lists.concat());
        for file in files {
            for question in ["--srpm", "--builtrpms"] {
                let mut command = Command::new(&self.rpmspec);
                command.args(["-q", question, "--target", "x86_64", "--qf", &format]);
                for define in &self.defines {
                    command.args(["-D", define]);
                }
                let folder = file.parent().unwrap_or(Path::new("/"));
                command
                    .arg("-D")
                    .arg(format!("_sourcedir {}", folder.display()))
                    .arg(file);
                command
                    .env("LC_ALL", "C.UTF-8")
                    .env("HOME", "/nonexistent")
                    .env("TZ", "UTC");
                command
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .stderr(Stdio::null());
                command.status().context("cannot run rpmspec")?;
            }
        }
        let after = children()?;
        Ok(Usage {
            wall: started.elapsed().as_secs_f64(),
            processor: after.processor - before.processor,
            memory_mib: after.memory_mib,
        })
    }

    fn keel_once(&self, files: &[PathBuf], defines: &[String]) -> Result<Usage> {
        let mut command = self.keel.command("eval", defines);
        command.args(["--output", "json"]).args(files);
        measure(&command)
    }
}

/// `with_check` is the only thing that differs.
fn with(defines: &[String], with_check: &str) -> Vec<String> {
    let others = defines.iter().filter(|define| !define.starts_with("with_check "));
    others
        .cloned()
        .chain([format!("with_check {with_check}")])
        .collect()
}

/// The run whose wall time is the middle one.
fn middle(mut runs: Vec<Usage>) -> Result<Usage> {
    runs.sort_by(|left, right| left.wall.total_cmp(&right.wall));
    runs.get(runs.len() / 2).copied().context("no run")
}

fn print(what: &str, usage: Usage) {
    println!(
        "    {what:36} wall {:8.2} s  processor {:8.2} s  memory {:5.0} MiB",
        usage.wall, usage.processor, usage.memory_mib
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_with_check_changes() {
        let defines = ["with_check 0".to_owned(), "dist .x".to_owned()];
        assert_eq!(with(&defines, "1"), ["dist .x", "with_check 1"]);
    }

    #[test]
    fn the_middle_run_counts() {
        let run = |wall| Usage {
            wall,
            ..Usage::default()
        };
        let middle = middle([3.0, 1.0, 2.0].map(run).to_vec()).unwrap();
        assert!((middle.wall - 2.0).abs() < 1e-9);
    }
}
