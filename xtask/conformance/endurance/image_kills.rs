//! `conformance image-kills --store DIR`: a build of an image that is killed at random moments leaves the image that was there,
//! the new one, or none, and nothing else once another build went through.
//!
//! Each round is killed with SIGKILL somewhere: every second one where a good image has the name, the others where nothing has.
//! Then: what has the image's name is complete, with the bytes of an undisturbed build; no process, mount or loop device of the
//! killed run is left. After all rounds one build goes through: the same bytes, and no temporary file or folder is left.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

use super::{Bench, copy, kills, programs};
use crate::{options::Options, schedule::Numbers};

/// What undisturbed builds are, at least: the first may make layers that the next ones find.
const MEASURED: usize = 2;

/// Kills, and judges.
pub fn run(mut options: Options) -> Result<()> {
    let (keel, store) = programs(&mut options)?;
    let rounds = options.parsed::<usize>("--rounds")?.unwrap_or(30);
    let seed = options.parsed::<u64>("--seed")?.unwrap_or(1);
    let tree = options.value("--tree")?.unwrap_or_else(|| "distro".to_owned());
    let names = options.words()?;
    if names.is_empty() {
        bail!("say which images are killed");
    }
    let work = tempfile::tempdir_in("target").context("no folder `target`: run this where Keel was built")?;
    let bench = Bench {
        keel: fs::canonicalize(&keel).with_context(|| format!("there is no {}", keel.display()))?,
        dir: fs::canonicalize(work.path())?,
    };
    copy(&store, &bench.store())?;
    fs::create_dir(bench.tree())?;
    for entry in fs::read_dir(&tree).with_context(|| format!("cannot read {tree}"))? {
        let entry = entry?;
        if entry.file_name() != "out" {
            copy(&entry.path(), &bench.tree().join(entry.file_name()))?;
        }
    }
    let mut moments = Numbers(seed);
    println!("seed {seed}, {rounds} rounds of each image");
    for name in names {
        Image { bench: &bench, name }.kill(rounds, &mut moments)?;
    }
    Ok(())
}

/// An image that is killed.
struct Image<'a> {
    bench: &'a Bench,
    name: String,
}

/// What a killed build has left under the image's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Whole,
    Nothing,
}

impl Image<'_> {
    fn kill(&self, rounds: usize, moments: &mut Numbers) -> Result<()> {
        let name = &self.name;
        let arguments = ["image", "build", name];
        self.empty()?;
        let mut whole = Duration::MAX;
        for _ in 0..MEASURED {
            self.forget()?;
            let started = Instant::now();
            self.bench.finish(&arguments)?;
            whole = whole.min(started.elapsed());
        }
        let expected = self.sums()?.context("it was built")?;
        println!("image {name}: undisturbed in {:.2} s", whole.as_secs_f64());
        let (mut killed, mut cut_short) = (Vec::new(), 0);
        let (mut none, mut over, mut fresh) = (0, 0, 0);
        for round in 1..=rounds {
            let is_there = round % 2 == 0;
            match (is_there, self.sums()?) {
                (true, None) => self.bench.finish(&arguments)?,
                (true, Some(_)) => {}
                (false, _) => self.empty()?,
            }
            self.forget()?;
            let moment = whole.mul_f64(moments.uniform());
            let mut child = self
                .bench
                .command(&arguments)
                .spawn()
                .context("cannot run keel")?;
            sleep(moment);
            child.kill()?;
            match child.wait()?.success() {
                false => cut_short += 1,
                // The machine is faster now.
                true => whole = whole.min(moment),
            }
            let at = format!(
                "image {name}, round {round}, killed after {:.2} s",
                moment.as_secs_f64()
            );
            kills::nothing_runs(child.id()).with_context(|| at.clone())?;
            nothing_of(&self.bench.dir).with_context(|| at.clone())?;
            let found = self.found(&expected).with_context(|| at.clone())?;
            match (is_there, found) {
                (_, Found::Nothing) => none += 1,
                (true, Found::Whole) => over += 1,
                (false, Found::Whole) => fresh += 1,
            }
            println!(
                "{at}: {found:?}, where {} was",
                if is_there { "a good one" } else { "nothing" }
            );
            killed.push(child.id());
        }
        self.forget()?;
        self.bench.finish(&arguments)?;
        ensure!(
            self.found(&expected)? == Found::Whole,
            "image {name}: the last build made nothing"
        );
        nothing_of(&self.bench.dir)?;
        let tmp = self.bench.store().join("tmp");
        for pid in killed {
            kills::nothing_lies_about(&tmp, pid)?;
        }
        self.only_whole_images()?;
        ensure!(
            cut_short * 10 >= rounds * 8,
            "image {name}: only {cut_short} of {rounds} builds were cut short: this proves nothing"
        );
        println!(
            "image {name}: {rounds} rounds, {cut_short} cut short: the image whole {over} times where it was there before and {fresh} \
             times where it was not, {none} times none; at the end the same bytes, and nothing left"
        );
        Ok(())
    }

    fn folder(&self) -> PathBuf {
        self.bench.tree().join("out/images").join(&self.name)
    }

    /// Nothing has the image's name.
    fn empty(&self) -> Result<()> {
        let folder = self.folder();
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        Ok(())
    }

    /// The next build makes the image, also where it is there.
    fn forget(&self) -> Result<()> {
        let results = self.bench.store().join("actions/image");
        if results.exists() {
            fs::remove_dir_all(results)?;
        }
        Ok(())
    }

    fn sums(&self) -> Result<Option<String>> {
        match fs::read_to_string(self.folder().join("SHA256SUMS")) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !self.folder().exists() => Ok(None),
            sums => Ok(Some(sums.context("the image is there without its digests")?)),
        }
    }

    /// What has the image's name: nothing, or the image, every byte of it.
    fn found(&self, expected: &str) -> Result<Found> {
        let Some(sums) = self.sums()? else {
            return Ok(Found::Nothing);
        };
        ensure!(sums == expected, "another image:\n{sums}");
        let mut judge = Command::new("sha256sum");
        judge.args(["--quiet", "--strict", "--check", "SHA256SUMS"]);
        let output = judge
            .current_dir(self.folder())
            .output()
            .context("cannot run sha256sum")?;
        ensure!(
            output.status.success(),
            "half an image:\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(Found::Whole)
    }

    /// Beside the images lies nothing of theirs.
    fn only_whole_images(&self) -> Result<()> {
        for entry in fs::read_dir(self.bench.tree().join("out/images"))? {
            let name = entry?.file_name();
            ensure!(
                !name.to_string_lossy().starts_with('.'),
                "{} is left",
                name.display()
            );
        }
        Ok(())
    }
}

/// No process, mount or loop device has to do with this folder.
fn nothing_of(dir: &Path) -> Result<()> {
    let mark = dir.to_string_lossy();
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        let number = path
            .file_name()
            .and_then(|name| name.to_str()?.parse::<u32>().ok());
        if number.is_none() || number == Some(std::process::id()) {
            continue;
        }
        // A process that ends meanwhile has nothing to do with anything.
        let words = fs::read(path.join("cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        ensure!(
            !words.contains(&*mark),
            "process {} is left: {words}",
            path.display()
        );
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    if let Some(mount) = mounts.lines().find(|line| line.contains(&*mark)) {
        bail!("a mount is left: {mount}");
    }
    // A kernel without loop devices has none of their folders.
    let devices = fs::read_dir("/sys/block").into_iter().flatten();
    for device in devices {
        let file = device?.path().join("loop/backing_file");
        let backing = fs::read_to_string(&file).unwrap_or_default();
        ensure!(
            !backing.contains(&*mark),
            "a loop device is left: {}",
            file.display()
        );
    }
    Ok(())
}
