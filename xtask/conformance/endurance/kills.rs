//! `conformance kills --store DIR`: a build that is killed at random moments goes on, each time, to the same result.
//!
//! Each round builds and publishes anew, is killed with SIGKILL somewhere, and run again. Then: nothing is mounted and no process
//! is left of what was killed, nor a temporary folder; what it had built is not built again; what is published has the
//! bytes of an undisturbed run.

use std::{
    fs,
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

use super::{Bench, programs};
use crate::options::Options;

const PUBLISH: &[&str] = &["repo", "create"];
/// How long the kernel may take to end a sandbox whose first process was killed.
const PATIENCE: Duration = Duration::from_secs(20);

/// Kills, and judges.
pub fn run(mut options: Options) -> Result<()> {
    let (keel, store) = programs(&mut options)?;
    let rounds = options.parsed::<usize>("--rounds")?.unwrap_or(50);
    let seed = options.parsed::<u64>("--seed")?.unwrap_or(1);
    if let Some(word) = options.words()?.first() {
        bail!("`{word}` is not understood here");
    }
    let work = tempfile::tempdir_in("target").context("no folder `target`: run this where Keel was built")?;
    let bench = Bench::lay_out(&keel, &store, work.path())?;
    // What is made once (the key, evaluated SPECs) is no part of a build.
    bench.finish(PUBLISH)?;
    bench.new_round(1)?;
    let started = Instant::now();
    bench.finish(PUBLISH)?;
    let mut whole = started.elapsed();
    let expected = bench.published()?;
    println!(
        "undisturbed: {} files in {:.1} s",
        expected.len(),
        whole.as_secs_f64()
    );
    let mut moments = crate::schedule::Numbers(seed);
    let (mut cut_short, mut kept, mut again) = (0, 0, 0);
    for round in 1..=rounds {
        bench.new_round(round + 1)?;
        let moment = whole.mul_f64(moments.uniform());
        let mut child = bench.command(PUBLISH).spawn().context("cannot run keel")?;
        sleep(moment);
        child.kill()?;
        match child.wait()?.success() {
            false => cut_short += 1,
            // The machine is faster now.
            true => whole = whole.min(moment),
        }
        nothing_runs(child.id()).with_context(|| format!("round {round}"))?;
        let built = bench.ended("done")?;
        bench.finish(PUBLISH)?;
        let (cached, rebuilt) = (bench.ended("cached")?, bench.ended("done")?);
        ensure!(
            built.is_subset(&cached),
            "round {round}: built again: {:?}",
            built.difference(&cached).collect::<Vec<_>>()
        );
        ensure!(
            bench.published()? == expected,
            "round {round}, killed after {:.2} s: other bytes are published",
            moment.as_secs_f64()
        );
        nothing_lies_about(&bench.store().join("tmp"), child.id())?;
        (kept, again) = (kept + built.len(), again + rebuilt.len());
        println!(
            "round {round}: killed after {:.2} s with {} built; {} more, the same bytes",
            moment.as_secs_f64(),
            built.len(),
            rebuilt.len()
        );
    }
    ensure!(
        cut_short * 10 >= rounds * 8 && kept > 0,
        "only {cut_short} of {rounds} runs were cut short: this proves nothing"
    );
    println!(
        "{rounds} rounds, {cut_short} cut short: {kept} builds were kept, {again} done afterwards; no loss, no other byte"
    );
    Ok(())
}

/// Of the run with this process id no process is left, and nothing is mounted.
pub(super) fn nothing_runs(pid: u32) -> Result<()> {
    let started = Instant::now();
    loop {
        let left = with_mounts(pid)?;
        if left.is_empty() {
            return Ok(());
        }
        ensure!(started.elapsed() < PATIENCE, "left: {left:#?}");
        sleep(Duration::from_millis(50));
    }
}

/// Processes (this one, too) that have a folder of that run mounted: its name has the process id in it.
fn with_mounts(pid: u32) -> Result<Vec<String>> {
    let mark = format!("-{pid}-");
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        // A process that ends meanwhile has nothing mounted.
        let Ok(mounts) = fs::read_to_string(path.join("mountinfo")) else {
            continue;
        };
        let mut of_run = mounts
            .lines()
            .filter(|line| line.contains(&mark) && line.contains("/tmp/"));
        found.extend(of_run.next().map(|line| format!("{}: {line}", path.display())));
    }
    Ok(found)
}

/// Single files, which have no lock of their owner, go when they are an hour old.
pub(super) fn nothing_lies_about(tmp: &Path, pid: u32) -> Result<()> {
    let mark = format!("-{pid}-");
    for entry in fs::read_dir(tmp)? {
        let entry = entry?;
        let name = entry.file_name();
        if entry.file_type()?.is_file() && !name.to_string_lossy().ends_with(".lock") {
            continue;
        }
        ensure!(
            !name.to_string_lossy().contains(&mark),
            "{} is left in {}",
            name.display(),
            tmp.display()
        );
    }
    Ok(())
}
