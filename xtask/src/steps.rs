//! The steps of the long commands: each is a program that is run in the open, so that its own progress is seen.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::setup::{self, Set};

const KEEL: &str = "target/release/keel";
/// A repository has all packages, those of `vm` and its kernel too, which no image of `make image` needs.
const PUBLISH: &str = "build the other packages and publish";

/// Runs steps, says how long the rest will take, and remembers how long each took.
struct Steps {
    /// Every step and the seconds that it took in the last run here, or on a machine with two idle cores.
    plan: Vec<(&'static str, u64)>,
    times: Vec<(&'static str, Duration)>,
    record: PathBuf,
}

impl Steps {
    /// `record`: where the times of the last run are, a line `SECONDS STEP` each.
    fn new(record: &str, plan: &[(&'static str, u64)]) -> Self {
        let record = Path::new("target").join(record);
        let last = fs::read_to_string(&record).unwrap_or_default();
        let took = |title: &str| {
            let mut lines = last.lines().filter_map(|line| line.split_once(' '));
            lines.find(|(_, name)| *name == title)?.0.parse().ok()
        };
        Self {
            plan: plan
                .iter()
                .map(|(title, cold)| (*title, took(title).unwrap_or(*cold)))
                .collect(),
            times: Vec::new(),
            record,
        }
    }

    fn step(&mut self, title: &'static str, work: impl FnOnce() -> Result<()>) -> Result<()> {
        let at = self.times.len();
        let left: u64 = self.plan.iter().skip(at).map(|(_, seconds)| seconds).sum();
        let (count, left) = (self.plan.len(), Duration::from_secs(left));
        println!("==> {title} (step {} of {count}; {} left)", at + 1, about(left));
        let started = Instant::now();
        work().with_context(|| format!("step `{title}`"))?;
        self.times.push((title, started.elapsed()));
        Ok(())
    }

    fn run(
        &mut self,
        title: &'static str,
        program: &str,
        arguments: &[&str],
        options: &[String],
    ) -> Result<()> {
        self.step(title, || {
            let status = Command::new(program)
                .args(arguments)
                .args(options)
                .status()
                .with_context(|| format!("cannot run {program}"))?;
            match status.code() {
                Some(0) => Ok(()),
                Some(code) => bail!("`{program} {}` ended with {code}", arguments.join(" ")),
                None => bail!("`{program} {}` was killed", arguments.join(" ")),
            }
        })
    }

    fn expected(&self, title: &str) -> Duration {
        let step = self.plan.iter().find(|(name, _)| *name == title);
        Duration::from_secs(step.map_or(0, |(_, seconds)| *seconds))
    }

    fn build_keel(&mut self) -> Result<()> {
        let arguments = ["build", "--release", "--locked", "--package", "keel-cli"];
        self.run("build keel", "cargo", &arguments, &[])
    }

    /// The breakdown by step; kept for the next run's estimate.
    fn table(&self) {
        let total: Duration = self.times.iter().map(|(_, time)| *time).sum();
        println!("\n{:>8}  step", "time");
        for (title, time) in &self.times {
            println!("{:>8}  {title}", minutes(*time));
        }
        println!("{:>8}  total", minutes(total));
        let lines = self
            .times
            .iter()
            .map(|(title, time)| format!("{} {title}\n", time.as_secs()));
        // Without it the next estimate is a guess, and nothing else is lost.
        let _ = fs::write(&self.record, lines.collect::<String>());
    }
}

/// Says every minute how long `work` may still take, where nothing else shows progress.
fn with_time_left<R>(expected: Duration, work: impl FnOnce() -> R) -> R {
    let started = Instant::now();
    let (end, ended) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            while let Err(mpsc::RecvTimeoutError::Timeout) = ended.recv_timeout(Duration::from_secs(60)) {
                let (gone, left) = (started.elapsed(), expected.saturating_sub(started.elapsed()));
                eprintln!("    {} gone, {} left", minutes(gone), about(left));
            }
        });
        let result = work();
        drop(end);
        result
    })
}

fn about(time: Duration) -> String {
    match time.as_secs().div_ceil(60) {
        0 | 1 => "about a minute".to_owned(),
        minutes => format!("about {minutes} minutes"),
    }
}

fn minutes(time: Duration) -> String {
    format!("{}:{:02}", time.as_secs() / 60, time.as_secs() % 60)
}

/// From a fresh clone to the container and a booted machine.
pub fn image(options: &[String]) -> Result<()> {
    let mut steps = Steps::new(
        "image-times",
        &[
            ("set-up", 60),
            ("build keel", 420),
            ("build packages and images", 1_980),
            (PUBLISH, 1_200),
            ("boot and test micro", 60),
        ],
    );
    steps.step("set-up", || setup::install(Set::Image))?;
    steps.build_keel()?;
    let build = [
        "-C",
        "distro",
        "image",
        "build",
        "distroless",
        "distroless-base",
        "core",
        "micro",
        "--refresh",
    ];
    steps.run("build packages and images", KEEL, &build, options)?;
    steps.run(
        PUBLISH,
        KEEL,
        &["-C", "distro", "repo", "create", "--refresh"],
        options,
    )?;
    let test = ["-C", "distro", "image", "test", "micro", "--firmware", "both"];
    steps.run("boot and test micro", KEEL, &test, options)?;
    steps.table();
    let options: String = options.iter().map(|option| format!(" {option}")).collect();
    println!(
        "\nMade: containers and the machine in distro/out/images, the repository in distro/out/repo, signed with this \
         machine's development key.\nGo on with: {KEEL} -C distro{options} image boot micro (or `repo serve`; the README has more)"
    );
    Ok(())
}

/// Set-up and every test.
pub fn test(options: &[String]) -> Result<()> {
    let mut steps = Steps::new(
        "test-times",
        &[("set-up", 60), ("format", 2), ("lint", 300), ("test", 480)],
    );
    steps.step("set-up", || setup::install(Set::Test))?;
    steps.run("format", "cargo", &["fmt", "--all", "--check"], &[])?;
    let lint = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ];
    steps.run("lint", "cargo", &lint, &[])?;
    // The tests of the whole way share one store, so that the fixture distribution is built once.
    let cache = options
        .iter()
        .skip_while(|option| *option != "--cache-dir")
        .nth(1);
    let expected = steps.expected("test");
    let not_run = Path::new("target").join("tests-not-run");
    fs::write(&not_run, "").with_context(|| format!("cannot write {}", not_run.display()))?;
    steps.step("test", || {
        with_time_left(expected, || cargo_test(cache, &not_run))
    })?;
    steps.table();
    for line in fs::read_to_string(&not_run)?.lines() {
        println!("NOT RUN, because it needs root: {line}");
    }
    Ok(())
}

fn cargo_test(cache: Option<&String>, not_run: &Path) -> Result<()> {
    let mut command = Command::new("cargo");
    command.args(["test", "--workspace", "--locked", "--no-fail-fast"]);
    command.env("KEEL_TEST_NOT_RUN", std::path::absolute(not_run)?);
    if let Some(cache) = cache {
        // Tests run in the folders of their crates.
        command.env(
            "KEEL_TEST_CACHE_DIR",
            std::path::absolute(cache).context("no such folder")?,
        );
    }
    match command.status().context("cannot run cargo")?.success() {
        true => Ok(()),
        false => bail!("tests failed"),
    }
}

/// The slow proofs.
pub fn proof(options: &[String]) -> Result<()> {
    let mut steps = Steps::new(
        "proof-times",
        &[("set-up", 60), ("build keel", 420), ("packages built twice", 900)],
    );
    steps.step("set-up", || setup::install(Set::Test))?;
    steps.build_keel()?;
    let twice = ["-C", "distro", "build", "--twice", "bash", "zlib", "coreutils"];
    steps.run("packages built twice", KEEL, &twice, options)?;
    steps.table();
    Ok(())
}
