//! What Keel itself costs: `conformance overhead --keel FILE --store DIR` builds 20 small packages with Keel and with rpmbuild alone,
//! one after the other in turn, in the same root, and compares.
//!
//! 1. Before each round, a comment of each SPEC changes: it is built again, in the root that there was.
//! 2. Keel's time is that of the whole command `keel build NAME`: reading the project, planning, sources, root, sandbox, rpmbuild,
//!    checks, the store. rpmbuild's own is taken inside its root, from its start to its end: `-ba`, one run.
//! 3. Medians are compared; the first round, in which roots are made, is shown beside them.
//! 4. At the end all are published (`keel repo create`); a twentieth of that is added to each.
//!
//! `--only NAME` builds one of them (it may be said again). Fails where Keel takes longer than rpmbuild by more than 0.3 s or 5 %, whichever is more.

mod bare;
mod samples;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context as _, Result, bail, ensure};
use keel_artefact::{Interrupt, event::Silent};
use keel_host::stage0::{self, Stage0Spec};
use keel_store::Store;

use self::{bare::Bare, samples::Sample};
use crate::options::Options;

/// The bar: seconds, and a part of rpmbuild's own time.
const BAR: (f64, f64) = (0.3, 0.05);

/// A tree to build, a store to build in, and the program.
struct Bench {
    keel: PathBuf,
    store: PathBuf,
    tree: PathBuf,
}

/// Seconds of one run.
#[derive(Clone, Copy)]
pub struct Took {
    wall: f64,
    /// Processor time of all its processes.
    cpu: f64,
}

/// Each round of one package.
#[derive(Default)]
struct Row {
    keel: Vec<Took>,
    bare: Vec<Took>,
}

/// Builds, and judges.
pub fn run(mut options: Options) -> Result<()> {
    let keel = options
        .value("--keel")?
        .unwrap_or_else(|| "target/release/keel".to_owned());
    let store = PathBuf::from(options.required("--store")?);
    let rounds = options.parsed::<usize>("--rounds")?.unwrap_or(3).max(1);
    let only = options.values("--only")?;
    if let Some(word) = options.words()?.first() {
        bail!("`{word}` is not understood here");
    }
    let work = tempfile::tempdir_in("target").context("no folder `target`: run this where Keel was built")?;
    let work = fs::canonicalize(work.path())?;
    let bench = Bench {
        keel: fs::canonicalize(&keel).with_context(|| format!("there is no {keel}"))?,
        store: fs::canonicalize(&store).with_context(|| format!("there is no {}", store.display()))?,
        tree: work.join("tree"),
    };
    let mut samples = samples::all();
    samples::write(&samples, &bench.tree)?;
    let all = samples.len();
    samples.retain(|sample| only.is_empty() || only.contains(&sample.name));
    ensure!(
        !samples.is_empty(),
        "none of the packages is called {}",
        only.join(", ")
    );
    let bare = lay_out(&bench, &work)?;
    let mut rows: Vec<Row> = samples.iter().map(|_| Row::default()).collect();
    for round in 0..=rounds {
        for (index, (sample, row)) in samples.iter().zip(&mut rows).enumerate() {
            bench.change(sample, round)?;
            if round == 0 {
                row.keel.push(bench.build(sample)?);
                bench.lend(sample, &bare)?;
                row.bare.push(bare.build(sample, &bench.tree)?);
            } else if (round + index) % 2 == 0 {
                row.keel.push(bench.build(sample)?);
                row.bare.push(bare.build(sample, &bench.tree)?);
            } else {
                row.bare.push(bare.build(sample, &bench.tree)?);
                row.keel.push(bench.build(sample)?);
            }
        }
    }
    // All of them, the rest is built now.
    bench.publish()?;
    let mut publishing = Vec::new();
    for _ in 0..rounds {
        publishing.push(bench.publish()?);
    }
    let share = median(&publishing) / all as f64;
    report(&samples, &rows, share)
}

/// The table, and whether the bar is reached.
fn report(samples: &[Sample], rows: &[Row], share: f64) -> Result<()> {
    println!("seconds; medians of {} rounds", rows[0].keel.len() - 1);
    println!(
        "{:10} {:20} {:>9} {:>9} {:>9} {:>9} {:>9} {:>12}",
        "package", "what", "rpmbuild", "keel", "more", "published", "processor", "first time"
    );
    let mut above = Vec::new();
    let (mut differences, mut processor) = (Vec::new(), Vec::new());
    for (sample, row) in samples.iter().zip(rows) {
        let (bare, keel) = (
            middle(&row.bare, |took| took.wall),
            middle(&row.keel, |took| took.wall),
        );
        let cpu = middle(&row.keel, |took| took.cpu) - middle(&row.bare, |took| took.cpu);
        let whole = keel - bare + share;
        let (seconds, part) = BAR;
        let mark = if whole > seconds.max(part * bare) {
            " above"
        } else {
            ""
        };
        println!(
            "{:10} {:20} {bare:9.3} {keel:9.3} {:9.3} {whole:9.3} {cpu:9.3} {:12.3}{mark}",
            sample.name,
            sample.kind,
            keel - bare,
            row.keel[0].wall - row.bare[0].wall,
        );
        if !mark.is_empty() {
            above.push(sample.name.as_str());
        }
        differences.push(whole);
        processor.push(cpu);
    }
    println!(
        "in the middle {:.3} s more than rpmbuild alone, of which {share:.3} s are a twentieth of `keel repo create`; {:.3} s more processor time",
        median(&differences),
        median(&processor)
    );
    ensure!(above.is_empty(), "more than 0.3 s and 5 %: {}", above.join(", "));
    Ok(())
}

/// The root of rpmbuild alone: that of the same stage0.
fn lay_out(bench: &Bench, work: &Path) -> Result<Bare> {
    let settings: toml::Table = fs::read_to_string(bench.tree.join("settings.toml"))?.parse()?;
    let wanted = &settings["keel"]["stage0"];
    let names = |key: &str| -> Result<Vec<String>> { Ok(wanted[key].clone().try_into()?) };
    let spec = Stage0Spec {
        suite: wanted["suite"].as_str().context("no suite")?.to_owned(),
        mirror: String::new(),
        arch: keel_artefact::Arch::X86_64,
        packages: names("packages")?,
        libc_dev_packages: names("libc-dev")?,
    };
    let store = Store::open(&bench.store)?;
    ensure!(
        stage0::is_prepared(&store, &spec),
        "{} has no stage0 for the test fixture",
        bench.store.display()
    );
    let stage0 = stage0::prepare(&store, &spec, &Silent, &Interrupt::default())?;
    Bare::lay_out(
        &stage0,
        &fs::read(bench.tree.join("macros.fixture"))?,
        &work.join("bare"),
    )
}

impl Bench {
    /// Another comment: the same packages, built anew.
    fn change(&self, sample: &Sample, round: usize) -> Result<()> {
        let file = self.tree.join(format!("specs/{0}/{0}.spec", sample.name));
        let salt = std::process::id();
        Ok(fs::write(
            file,
            format!("# Round {round} of {salt}.\n{}", sample.spec),
        )?)
    }

    fn command(&self, arguments: &[&str]) -> Result<Took> {
        let mut command = Command::new(&self.keel);
        command
            .arg("-C")
            .arg(&self.tree)
            .arg("--cache-dir")
            .arg(&self.store)
            .args(arguments);
        let (before, started) = (processor_time()?, Instant::now());
        let output = command.output().context("cannot run keel")?;
        let (wall, cpu) = (started.elapsed().as_secs_f64(), processor_time()? - before);
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{arguments:?} fails:\n{said}");
        Ok(Took { wall, cpu })
    }

    fn build(&self, sample: &Sample) -> Result<Took> {
        self.command(&["build", &sample.name])
    }

    /// Gives what was built to the root of rpmbuild alone.
    fn lend(&self, sample: &Sample, bare: &Bare) -> Result<()> {
        let mut found = 0;
        let mut folders = vec![self.tree.join("out/packages")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
                let path = entry?.path();
                let name = path
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned();
                if path.is_dir() {
                    folders.push(path);
                } else if name.starts_with(&format!("{}-", sample.name))
                    && name.ends_with(".rpm")
                    && !name.ends_with(".src.rpm")
                {
                    bare.add(&path)?;
                    found += 1;
                }
            }
        }
        ensure!(found > 0, "no package of `{}` is in out/packages", sample.name);
        Ok(())
    }

    fn publish(&self) -> Result<f64> {
        let repository = self.tree.join("out/repo");
        if repository.exists() {
            fs::remove_dir_all(repository)?;
        }
        Ok(self.command(&["repo", "create"])?.wall)
    }
}

/// The processor time of all children that ended.
fn processor_time() -> Result<f64> {
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN)?;
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}

/// The median without the first.
fn middle(rounds: &[Took], what: impl Fn(&Took) -> f64) -> f64 {
    median(&rounds[1..].iter().map(what).collect::<Vec<_>>())
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
