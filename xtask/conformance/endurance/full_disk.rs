//! `conformance full-disk --store DIR`: a disk that is full stops a build or a publication with an error that says so, spoils
//! nothing, and what is there counts once there is space again.
//!
//! Store and output lie on a disk in memory, which is filled up to a few bytes; the more are left, the further the run comes.
//! Needs root: the disk is mounted where only this process sees it, and is gone with it.

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};

use super::{Bench, programs};
use crate::options::Options;

/// KiB that are left.
const LEFT: [u64; 14] = [
    0, 40, 80, 120, 200, 300, 450, 600, 800, 1100, 1500, 2000, 8000, 16000,
];

/// Fills, and judges.
pub fn run(mut options: Options) -> Result<()> {
    let (keel, store) = programs(&mut options)?;
    if let Some(word) = options.words()?.first() {
        bail!("`{word}` is not understood here");
    }
    let work = tempfile::tempdir_in("target").context("no folder `target`: run this where Keel was built")?;
    own_disk(work.path(), kib_of(&store)? + 400_000).context("cannot mount a disk; this needs root")?;
    let bench = Bench::lay_out(&keel, &store, work.path())?;
    bench.finish(&["repo", "create"])?;
    bench.new_round(1)?;
    bench.finish(&["repo", "create"])?;
    let expected = bench.published()?;
    let filler = work.path().join("filler");
    let mut round = 1;
    for (what, before, command) in [
        ("a build", &["check"][..], &["build"][..]),
        ("a publication", &["build"], &["repo", "create"]),
    ] {
        let mut stopped = 0;
        for left in LEFT {
            round += 1;
            bench.new_round(round)?;
            bench.finish(before)?;
            fill(&filler, left)?;
            let output = bench.run(command)?;
            fs::remove_file(&filler)?;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            if !output.status.success() {
                stopped += 1;
                ensure!(
                    said.contains("No space left on device") && output.status.code() != Some(70),
                    "{what} with {left} KiB left does not say why it ends:\n{said}"
                );
            }
            let built = bench.ended("done")?;
            bench.finish(&["repo", "create"])?;
            ensure!(
                built.is_subset(&bench.ended("cached")?),
                "{what} with {left} KiB left: what was built is lost"
            );
            ensure!(
                bench.published()? == expected,
                "{what} with {left} KiB left: other bytes are published"
            );
            let how = match output.status.success() {
                true => "went through".to_owned(),
                false => said
                    .lines()
                    .find(|line| line.contains("No space"))
                    .unwrap_or_default()
                    .trim()
                    .to_owned(),
            };
            println!("{what}, {left} KiB left, {} built: {how}", built.len());
        }
        ensure!(
            stopped > 1 && stopped < LEFT.len(),
            "{what} was stopped {stopped} times of {}: this proves nothing",
            LEFT.len()
        );
    }
    println!("each full disk was told, and each run went on to the same bytes once there was space");
    Ok(())
}

/// A disk in memory that only this process and its children see.
fn own_disk(dir: &Path, kib: u64) -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    let options = format!("size={kib}k,mode=0755");
    mount(
        Some("tmpfs"),
        dir,
        Some("tmpfs"),
        MsFlags::empty(),
        Some(options.as_str()),
    )?;
    Ok(())
}

fn kib_of(dir: &Path) -> Result<u64> {
    let output = Command::new("du")
        .arg("-sk")
        .arg(dir)
        .output()
        .context("cannot run du")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let number = text.split_whitespace().next().context("du says nothing")?;
    Ok(number.parse()?)
}

/// Fills the disk that the file is on, up to so many KiB.
fn fill(file: &Path, left: u64) -> Result<()> {
    let mut filler = File::create(file)?;
    let block = vec![0; 64 << 10];
    let mut size: u64 = 0;
    while let Ok(written) = filler.write(&block) {
        size += written as u64;
    }
    filler.set_len(size.saturating_sub(left << 10))?;
    Ok(())
}
