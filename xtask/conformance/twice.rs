//! `conformance twice`: is every package of a distribution the same when it is built elsewhere?
//!
//! For each component, the cheapest first: it is built in a store; a second store beside it, whose path has another length, gets what the first
//! has; and `keel reproduce` builds it there once more (other clock, host, user, locale, time zone, umask, number of cores, order of folders) and
//! compares. What came of it is written to a folder, a file each: the next run goes on where this one stopped, and does again what has other bytes now,
//! or was not the same.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::options::Options;

/// What the path of the second store has more than that of the first.
const LONGER: &str = "-and-the-same-at-a-path-of-another-length";
/// What a second store takes from the first: all but its locks and temporary files.
const TAKEN: [&str; 5] = ["actions", "format", "keys", "objects", "trees"];

/// What came of one component.
#[derive(Debug, Serialize, Deserialize)]
struct Outcome {
    component: String,
    /// Digests of the packages of the first build.
    packages: BTreeSet<String>,
    same: bool,
    /// What listed folders in another order.
    order: String,
    seconds: u64,
    /// Why it is not the same.
    cause: Option<String>,
}

/// Where all is.
struct Bench {
    keel: PathBuf,
    tree: String,
    first: PathBuf,
    second: PathBuf,
    results: PathBuf,
}

/// Runs it.
pub fn run(mut options: Options) -> Result<()> {
    let keel = options
        .value("--keel")?
        .unwrap_or("target/release/keel".to_owned());
    let first = PathBuf::from(options.required("--store")?);
    let first = fs::canonicalize(&first).with_context(|| format!("there is no {}", first.display()))?;
    let mut second = first.clone().into_os_string();
    second.push(LONGER);
    let bench = Bench {
        keel: fs::canonicalize(&keel).with_context(|| format!("there is no {keel}"))?,
        tree: options.value("--tree")?.unwrap_or("distro".to_owned()),
        first,
        second: PathBuf::from(second),
        results: PathBuf::from(options.value("--results")?.unwrap_or("target/twice".to_owned())),
    };
    let chosen = options.words()?;
    fs::create_dir_all(&bench.results)?;
    let mut outcomes = Vec::new();
    let all = bench.components()?;
    if let Some(wrong) = chosen.iter().find(|name| !all.contains(name)) {
        bail!("there is no component `{wrong}` in {}", bench.tree);
    }
    for component in all {
        if !chosen.is_empty() && !chosen.contains(&component) {
            continue;
        }
        let outcome = bench.twice(&component)?;
        println!("{}", line(&outcome));
        outcomes.push(outcome);
    }
    table(&outcomes)
}

impl Bench {
    /// `keel -C TREE --cache-dir STORE ARGUMENTS --output json`: what it printed, and whether it ended well.
    fn keel(&self, store: &Path, arguments: &[&str]) -> Result<(Value, Result<(), String>)> {
        let mut command = Command::new(&self.keel);
        command.args(["-C", &self.tree, "--cache-dir"]).arg(store);
        command.args(["--output", "json"]).args(arguments);
        let output = command.stdin(Stdio::null()).output().context("cannot run keel")?;
        let end = match output.status.code() {
            Some(0) => Ok(()),
            // Nobody asked for more.
            None | Some(130) => bail!("`keel {}` was stopped", arguments.join(" ")),
            Some(_) => Err(why(&String::from_utf8_lossy(&output.stderr))),
        };
        Ok((serde_json::from_slice(&output.stdout).unwrap_or_default(), end))
    }

    /// All components, the cheapest first.
    fn components(&self) -> Result<Vec<String>> {
        let (plan, end) = self.keel(&self.first, &["plan"])?;
        end.map_err(anyhow::Error::msg)?;
        let jobs = plan["jobs"].as_array().context("a plan without jobs")?;
        let cost = |job: &Value| job["cpu_seconds"].as_f64().unwrap_or(f64::MAX);
        let mut jobs: Vec<&Value> = jobs.iter().collect();
        jobs.sort_by(|one, other| cost(one).total_cmp(&cost(other)));
        let name = |job: &&Value| job["component"].as_str().map(str::to_owned);
        jobs.iter()
            .map(name)
            .collect::<Option<_>>()
            .context("a job without a component")
    }

    /// Builds a component twice, unless these very packages were the same before.
    fn twice(&self, component: &str) -> Result<Outcome> {
        let started = Instant::now();
        let mut outcome = Outcome {
            component: component.to_owned(),
            packages: BTreeSet::new(),
            same: false,
            order: String::new(),
            seconds: 0,
            cause: None,
        };
        let (built, end) = self.keel(&self.first, &["build", component])?;
        let packages = built["packages"].as_array().into_iter().flatten();
        let own = packages.filter(|package| package["component"] == component);
        outcome.packages = own
            .filter_map(|package| package["rpm"].as_str().map(str::to_owned))
            .collect();
        let file = self.results.join(format!("{component}.json"));
        if let Err(why) = end {
            outcome.cause = Some(format!("the first build: {why}"));
        } else if let Some(before) = known(&file, &outcome) {
            return Ok(before);
        } else {
            ensure!(!outcome.packages.is_empty(), "`{component}` has no packages");
            self.again(&mut outcome)?;
        }
        outcome.seconds = started.elapsed().as_secs();
        let new = self.results.join(format!(".{component}.new"));
        fs::write(&new, serde_json::to_vec_pretty(&outcome)?)?;
        fs::rename(new, file)?;
        Ok(outcome)
    }

    /// The second build, in the second store.
    fn again(&self, outcome: &mut Outcome) -> Result<()> {
        fs::create_dir_all(&self.second)?;
        let status = Command::new("cp")
            .args(["-a", "--link", "--no-clobber", "--target-directory"])
            .arg(&self.second)
            .args(
                TAKEN
                    .map(|part| self.first.join(part))
                    .iter()
                    .filter(|part| part.exists()),
            )
            .status();
        ensure!(
            status.context("cannot run cp")?.success(),
            "cannot link the second store"
        );
        let (rows, end) = self.keel(&self.second, &["reproduce", &outcome.component])?;
        let row = &rows[0];
        outcome.order = row["order"].as_str().unwrap_or_default().to_owned();
        outcome.same = end.is_ok() && row["same"] == true && row["component"] == outcome.component.as_str();
        outcome.cause = match (outcome.same, end) {
            (true, _) => None,
            (false, Err(why)) => Some(why),
            (false, Ok(())) => Some(format!("no answer: {rows}")),
        };
        Ok(())
    }
}

/// What came of the same packages before, if they were the same.
fn known(file: &Path, now: &Outcome) -> Option<Outcome> {
    let before: Outcome = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    (before.same && before.packages == now.packages).then_some(before)
}

/// The first error of what a program said, and the line after it.
fn why(said: &str) -> String {
    let lines = said.lines().skip_while(|line| !line.contains("error:"));
    let found: Vec<&str> = lines.take(3).map(str::trim).collect();
    match found.is_empty() {
        true => said.lines().last().unwrap_or("it said nothing").to_owned(),
        false => found.join("; "),
    }
}

fn line(outcome: &Outcome) -> String {
    let state = match &outcome.cause {
        None => format!(
            "identical ({} packages, folders by {})",
            outcome.packages.len(),
            outcome.order
        ),
        Some(cause) => cause.clone(),
    };
    format!("{:<18} {:>5} s  {state}", outcome.component, outcome.seconds)
}

/// The whole, again; fails if anything was not the same.
fn table(outcomes: &[Outcome]) -> Result<()> {
    println!("\n{:<18} {:>7}  built twice", "component", "time");
    for outcome in outcomes {
        println!("{}", line(outcome));
    }
    let same = outcomes.iter().filter(|outcome| outcome.same).count();
    println!("{same} of {} identical", outcomes.len());
    ensure!(same == outcomes.len(), "{} not identical", outcomes.len() - same);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_packages_that_were_the_same_are_known() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.json");
        let outcome = |digest: &str, same| Outcome {
            component: "x".into(),
            packages: BTreeSet::from([digest.to_owned()]),
            same,
            order: "disorderfs".into(),
            seconds: 1,
            cause: None,
        };
        for (before, is_known) in [
            (outcome("a", true), true),
            (outcome("a", false), false),
            (outcome("b", true), false),
        ] {
            fs::write(&file, serde_json::to_vec(&before).unwrap()).unwrap();
            assert_eq!(
                known(&file, &outcome("a", false)).is_some(),
                is_known,
                "{before:?}"
            );
        }
        assert!(known(&dir.path().join("none"), &outcome("a", false)).is_none());
    }

    #[test]
    fn the_first_error_is_the_cause() {
        let said =
            "[00:01] Building x\nerror: `x` built twice\n  caused by: they differ\nhint: look\nerror: more";
        assert_eq!(
            why(said),
            "error: `x` built twice; caused by: they differ; hint: look"
        );
        assert_eq!(why("killed"), "killed");
        assert!(table(&[]).is_ok());
    }
}
