//! `conformance solver-bench`: how long Keel's solver takes on a generated pool, beside libsolv on the same packages.
//!
//! The pool is the same on every run: a distribution of libraries and programs in layers, most with one version, some with
//! two. Times are of the processor, not of the clock. `testsolv` reads its packages as text, so what it takes to read them is measured alone and subtracted.

use std::{fmt::Write as _, path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result, bail};
use keel_artefact::{Comparison, Dependency, Evr};
use keel_rpm::solve::{Action, Job, Package, Pool, Repository, Request, Select, Target};
use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike as _,
};

use super::answer;
use crate::options::Options;

/// Numbers that look random and never change.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % limit.max(1)
    }
}

/// Builds the pool, solves three problems, and prints a table.
pub fn run(mut options: Options) -> Result<()> {
    let count: usize = options.parsed("--packages")?.unwrap_or(50_000);
    let bar: Option<u128> = options.parsed("--bar-ms")?;
    let ask = options.flag("--testsolv");
    if let Some(word) = options.words()?.first() {
        bail!("unknown argument `{word}`");
    }
    let repositories = distribution(count);
    let capabilities: usize = repositories
        .iter()
        .flat_map(|repository| &repository.packages)
        .map(size)
        .sum();
    let target = Target {
        arches: &["x86_64"],
        paths: &[],
    };
    let (pool, built) = timed(|| Pool::new(&repositories, &target));
    let pool = pool?;
    println!(
        "{} packages, {capabilities} dependencies, {} of the packages installed",
        pool.len(),
        repositories[0].packages.len()
    );
    println!("pool from values in memory: {} ms", built.as_millis());
    let problems = [
        ("install one program", vec![("install", "name program-77")]),
        (
            "install forty programs",
            (0..40).map(|i| ("install", PROGRAMS[i])).collect(),
        ),
        ("update everything", vec![("update", "all packages")]),
    ];
    let mut slowest = 0;
    for (title, jobs) in problems {
        let request = request(&jobs);
        let (first, took) = timed(|| answer(&pool, &request));
        let mut times: Vec<Duration> = (0..5).map(|_| timed(|| answer(&pool, &request)).1).collect();
        times.sort();
        slowest = slowest.max(times[2].as_millis());
        let answer = match &first {
            Ok(Ok(solution)) => format!(
                "{} new, {} replaced",
                solution.install.len(),
                solution.replace.len()
            ),
            Err(error) => bail!("{title}: {error:#}"),
            Ok(Err(unsolvable)) => match unsolvable.problems.first() {
                Some(problem) => bail!("{title}: no solution was found:\n{problem}"),
                None => bail!("{title}: no solution was found"),
            },
        };
        let beside = if ask {
            testsolv(&repositories, &jobs)?
        } else {
            String::new()
        };
        println!(
            "{title}: Keel {} ms (first {} ms): {answer}{beside}",
            times[2].as_millis(),
            took.as_millis()
        );
    }
    match bar {
        Some(bar) if slowest > bar => bail!("the slowest problem took {slowest} ms (bar: {bar} ms)"),
        _ => Ok(()),
    }
}

/// Time of the processor, so that other work on the machine does not count.
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let before = processor(UsageWho::RUSAGE_SELF);
    let result = work();
    (result, processor(UsageWho::RUSAGE_SELF).saturating_sub(before))
}

fn processor(who: UsageWho) -> Duration {
    let Ok(usage) = getrusage(who) else {
        return Duration::ZERO;
    };
    let micros = |time: nix::sys::time::TimeVal| u64::try_from(time.num_microseconds()).unwrap_or(0);
    Duration::from_micros(micros(usage.user_time()) + micros(usage.system_time()))
}

fn size(package: &Package) -> usize {
    let lists = [
        &package.provides,
        &package.requires,
        &package.conflicts,
        &package.obsoletes,
        &package.recommends,
    ];
    lists.into_iter().map(Vec::len).sum()
}

const PROGRAMS: [&str; 40] = {
    let mut all = ["name program-1"; 40];
    let names = [
        "name program-2",
        "name program-3",
        "name program-5",
        "name program-8",
        "name program-13",
        "name program-21",
        "name program-34",
        "name program-55",
        "name program-89",
        "name program-144",
    ];
    let mut i = 0;
    while i < 40 {
        all[i] = names[i % 10];
        i += 1;
    }
    all
};

fn request(jobs: &[(&str, &str)]) -> Request {
    let jobs = jobs.iter().map(|(verb, what)| match what.strip_prefix("name ") {
        Some(name) => Job::new(Action::Install, Select::name(name)),
        None if *verb == "update" => Job::new(Action::Update, Select::All),
        None => Job::new(Action::Nothing, Select::All),
    });
    Request {
        jobs: jobs.collect(),
        ..Request::default()
    }
}

/// What is installed, and everything there is.
fn distribution(count: usize) -> Vec<Repository> {
    let mut dice = Dice(20_261_122);
    let libraries = count / 4;
    let mut available = Vec::with_capacity(count);
    let mut installed = Vec::new();
    for number in 0.. {
        if available.len() >= count {
            break;
        }
        let (name, layer) = match number < libraries {
            true => (format!("lib{number}"), number),
            false => (format!("program-{}", number - libraries), libraries),
        };
        let needs: Vec<usize> = (0..3 + dice.below(8))
            .map(|_| popular(&mut dice, layer))
            .collect();
        let mut versions = vec![1];
        if dice.below(4) == 0 {
            versions.push(2);
        }
        for version in versions {
            let package = package(&name, number, version, &needs, libraries, &mut dice);
            if version == 1 && number < libraries / 6 {
                installed.push(package.clone());
            }
            available.push(package);
        }
    }
    let repository = |name: &str, installed, packages| Repository {
        name: name.into(),
        installed,
        packages,
        ..Repository::default()
    };
    vec![
        repository("system", true, installed),
        repository("available", false, available),
    ]
}

/// A library below `layer`; the first ones are needed by nearly everybody.
fn popular(dice: &mut Dice, layer: usize) -> usize {
    match dice.below(3) {
        0 => dice.below(layer.min(20)),
        1 => dice.below(layer.min(1000)),
        _ => dice.below(layer),
    }
}

fn package(
    name: &str,
    number: usize,
    version: u32,
    needs: &[usize],
    libraries: usize,
    dice: &mut Dice,
) -> Package {
    let evr = Evr {
        epoch: 0,
        version: format!("1.{version}"),
        release: "1".into(),
    };
    let provide = |name: String| Dependency {
        name,
        version: Some((Comparison::Equal, evr.clone())),
    };
    let mut provides = vec![provide(name.to_owned()), provide(format!("{name}(x86-64)"))];
    provides.extend((0..3).map(|i| Dependency::any(format!("{name}.so.{i}()(64bit)"))));
    // Some capabilities have many providers.
    if dice.below(20) == 0 {
        provides.push(Dependency::any(format!("service-{}", dice.below(200))));
    }
    let mut requires: Vec<Dependency> = (needs.iter().enumerate())
        .filter(|(_, need)| **need != number)
        .map(|(i, need)| match i % 3 {
            0 => Dependency {
                name: format!("lib{need}"),
                version: Some((
                    Comparison::GreaterOrEqual,
                    Evr {
                        epoch: 0,
                        version: "1.1".into(),
                        release: String::new(),
                    },
                )),
            },
            i => Dependency::any(format!("lib{need}.so.{i}()(64bit)")),
        })
        .collect();
    if number > libraries && dice.below(4) == 0 {
        requires.push(Dependency::any(format!("service-{}", dice.below(200))));
    }
    let mut recommends = Vec::new();
    if dice.below(10) == 0 {
        recommends.push(Dependency::any(format!("program-{}", dice.below(libraries))));
    }
    let mut conflicts = Vec::new();
    if dice.below(50) == 0 {
        conflicts.push(Dependency::any(format!("program-{}", number + 1)));
    }
    Package {
        name: name.to_owned(),
        evr: evr.clone(),
        arch: "x86_64".into(),
        vendor: None,
        provides,
        requires,
        conflicts,
        obsoletes: Vec::new(),
        recommends,
        suggests: Vec::new(),
        supplements: Vec::new(),
        enhances: Vec::new(),
        files: Vec::new(),
    }
}

/// The time that `testsolv` takes for the problem, without the time that it takes to read the packages.
fn testsolv(repositories: &[Repository], jobs: &[(&str, &str)]) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let mut head = String::new();
    for repository in repositories {
        std::fs::write(
            folder.path().join(&repository.name),
            testtags(&repository.packages)?,
        )?;
        writeln!(head, "repo {0} 0 testtags {0}", repository.name)?;
    }
    head.push_str("system x86_64 rpm system\n");
    let jobs: String = jobs
        .iter()
        .map(|(verb, what)| format!("job {verb} {what}\n"))
        .collect();
    let file = folder.path().join("problem.t");
    let best = |text: String| -> Result<Duration> {
        std::fs::write(&file, text)?;
        let runs: Result<Vec<Duration>> = (0..3).map(|_| once(&file)).collect();
        runs?.into_iter().min().context("no run")
    };
    let whole = best(format!("{head}{jobs}result transaction,problems <inline>\n"))?;
    // Nothing but reading: no problem is asked.
    let reading = best(format!("{head}job noop name lib0\nresult jobs <inline>\n"))?;
    Ok(format!(
        "; testsolv {} ms (of {}, without reading)",
        whole.saturating_sub(reading).as_millis(),
        whole.as_millis()
    ))
}

fn once(file: &Path) -> Result<Duration> {
    let before = processor(UsageWho::RUSAGE_CHILDREN);
    Command::new("testsolv")
        .arg(file)
        .output()
        .context("testsolv cannot be run")?;
    Ok(processor(UsageWho::RUSAGE_CHILDREN).saturating_sub(before))
}

fn testtags(packages: &[Package]) -> Result<String> {
    let mut text = String::from("=Ver: 3.0\n");
    for package in packages {
        let evr = &package.evr;
        writeln!(
            text,
            "=Pkg: {} {} {} {}",
            package.name, evr.version, evr.release, package.arch
        )?;
        let lists = [
            ("Prv", &package.provides),
            ("Req", &package.requires),
            ("Con", &package.conflicts),
            ("Rec", &package.recommends),
        ];
        for (tag, list) in lists {
            for dependency in list {
                writeln!(text, "={tag}: {dependency}")?;
            }
        }
    }
    Ok(text)
}
