//! The steps of the long commands: each is a program that is run in the open, so that its own progress is seen.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::setup::{self, Set};

const KEEL: &str = "target/release/keel";

/// Runs steps and remembers how long each took.
#[derive(Default)]
struct Steps {
    times: Vec<(&'static str, Duration)>,
}

impl Steps {
    fn step(&mut self, title: &'static str, work: impl FnOnce() -> Result<()>) -> Result<()> {
        println!("==> {title}");
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

    fn build_keel(&mut self) -> Result<()> {
        let arguments = ["build", "--release", "--locked", "--package", "keel-cli"];
        self.run("build keel", "cargo", &arguments, &[])
    }

    /// The breakdown by step.
    fn table(&self) {
        let total: Duration = self.times.iter().map(|(_, time)| *time).sum();
        println!("\n{:>8}  step", "time");
        for (title, time) in &self.times {
            println!("{:>8}  {title}", minutes(*time));
        }
        println!("{:>8}  total", minutes(total));
    }
}

fn minutes(time: Duration) -> String {
    format!("{}:{:02}", time.as_secs() / 60, time.as_secs() % 60)
}

/// From a fresh clone to the container and a booted machine.
pub fn image(options: &[String]) -> Result<()> {
    let mut steps = Steps::default();
    steps.step("set-up", || setup::install(Set::Image))?;
    steps.build_keel()?;
    let build = [
        "-C",
        "distro",
        "image",
        "build",
        "distroless",
        "core",
        "micro",
        "--refresh",
    ];
    steps.run("build packages and images", KEEL, &build, options)?;
    steps.run(
        "publish",
        KEEL,
        &["-C", "distro", "repo", "create", "--refresh"],
        options,
    )?;
    let test = ["-C", "distro", "image", "test", "micro", "--firmware", "both"];
    steps.run("boot and test micro", KEEL, &test, options)?;
    steps.table();
    Ok(())
}

/// Set-up and every test.
pub fn test(options: &[String]) -> Result<()> {
    let mut steps = Steps::default();
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
    steps.step("test", || cargo_test(cache))?;
    steps.table();
    Ok(())
}

fn cargo_test(cache: Option<&String>) -> Result<()> {
    let mut command = Command::new("cargo");
    command.args(["test", "--workspace", "--locked", "--no-fail-fast"]);
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
    let mut steps = Steps::default();
    steps.step("set-up", || setup::install(Set::Test))?;
    steps.build_keel()?;
    let twice = ["-C", "distro", "build", "--twice", "bash", "zlib", "coreutils"];
    steps.run("packages built twice", KEEL, &twice, options)?;
    steps.table();
    Ok(())
}
