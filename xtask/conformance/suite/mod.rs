//! rpm's own test suite: `conformance rpm-suite --rpm 4.18 --macros DIR --data DIR FILE.json…`
//!
//! Cases that are nothing but macro expansion are asked directly; the others run in a shell in a root of their own
//! (`session.sh`), where `rpm`, `rpmspec` and `rpmbuild` are Keel ([`pretend`]). `--real DIR` runs the real programs from there
//! instead: so the runner itself is tested.

pub mod case;
mod known;
pub mod pretend;

use std::{
    collections::BTreeMap,
    env, fs,
    os::unix::fs::{MetadataExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{keel::Keel, options::Options};
use case::{Call, Case, Did, judge};
use known::Known;
use pretend::Means;

const SESSION: &str = include_str!("session.sh");

/// How a case ended.
enum Verdict {
    Pass,
    Fail(String),
    /// It needs something that Keel is not meant to do.
    OutOfScope(String),
}

struct Suite {
    keel: Keel,
    rpm: String,
    macros: PathBuf,
    data: Option<PathBuf>,
    real: Option<PathBuf>,
    script: PathBuf,
    work: tempfile::TempDir,
}

#[derive(Default)]
struct Tally {
    pass: usize,
    steps: usize,
    known: Vec<(String, String)>,
    xfail: (usize, usize),
    out_of_scope: BTreeMap<String, usize>,
    failed: Vec<String>,
    stale: Vec<String>,
}

/// Runs the cases of every file, prints counts and failures; fails when a case fails, or passes against `known.toml`.
pub fn run(mut options: Options) -> Result<()> {
    let rpm = options.required("--rpm")?;
    let macros = PathBuf::from(options.required("--macros")?);
    let data = options.value("--data")?.map(PathBuf::from);
    let real = options.value("--real")?.map(PathBuf::from);
    let only = options.value("--only")?;
    let mut keel = Keel::from_options(&mut options)?;
    keel.program = std::path::absolute(&keel.program)?;
    let files = options.words()?;
    ensure!(!files.is_empty(), "no file of cases");
    let work = tempfile::tempdir().context("no temporary folder")?;
    let script = work.path().join("session.sh");
    fs::write(&script, SESSION)?;
    let suite = Suite {
        keel,
        rpm,
        macros: fs::canonicalize(macros).context("no such folder of macros")?,
        data: data
            .map(fs::canonicalize)
            .transpose()
            .context("no such folder of data")?,
        real,
        script,
        work,
    };
    let known = Known::committed()?;
    let mut bad = 0;
    for file in &files {
        let mut tally = Tally::default();
        for case in case::read(Path::new(file))? {
            if only.as_ref().is_none_or(|only| case.name.contains(only)) {
                suite.count(&case, &known, &mut tally)?;
            }
        }
        // Titles are not unique: an entry may be about another case of the same title.
        let (of_another, stale) = std::mem::take(&mut tally.stale)
            .into_iter()
            .partition(|title| tally.known.iter().any(|(other, _)| other == title));
        tally.stale = stale;
        tally.pass += Vec::<String>::len(&of_another);
        tally.print(file);
        bad += tally.failed.len() + tally.stale.len();
    }
    match bad {
        0 => Ok(()),
        bad => bail!("{bad} cases are not as they should be"),
    }
}

impl Suite {
    fn count(&self, case: &Case, known: &Known, tally: &mut Tally) -> Result<()> {
        let title = format!("{}: {}", case.file, case.name);
        tally.steps += case.steps.len();
        if case.steps.is_empty() {
            let why = if case.python > 0 {
                "Python bindings"
            } else {
                "no step that can be extracted"
            };
            *tally.out_of_scope.entry(why.to_owned()).or_default() += 1;
            return Ok(());
        }
        let verdict = self.verdict(case).with_context(|| format!("case `{title}`"))?;
        let reason = known.reason(case, &self.rpm);
        match (verdict, reason) {
            (Verdict::OutOfScope(why), _) => *tally.out_of_scope.entry(why).or_default() += 1,
            // What rpm's developers wish for, and rpm does not do.
            (verdict, _) if case.xfail.is_some() => match verdict {
                Verdict::Pass => tally.xfail.0 += 1,
                _ => tally.xfail.1 += 1,
            },
            (Verdict::Pass, None) => tally.pass += 1,
            (Verdict::Pass, Some(_)) => tally.stale.push(title),
            (Verdict::Fail(_), Some(reason)) => tally.known.push((title, reason.to_owned())),
            (Verdict::Fail(why), None) => tally.failed.push(format!("{title}\n{why}")),
        }
        Ok(())
    }

    fn verdict(&self, case: &Case) -> Result<Verdict> {
        // Files of the suite are at `/data`, in a session.
        let direct = case
            .steps
            .iter()
            .all(|step| step.is_plain() && (self.data.is_none() || !step.script.contains("/data")));
        let did = match (direct, &self.data) {
            (true, _) => self.direct(case)?,
            (false, Some(data)) => self.session(case, data)?,
            (false, None) => return Ok(Verdict::OutOfScope("a shell (no --data)".to_owned())),
        };
        let mut not = None;
        for (number, (step, did)) in case.steps.iter().zip(&did).enumerate() {
            // What a step did not do may be missed by the next.
            not = not.or_else(|| did.not.clone());
            let Some(why) = judge(step, did, self.version()) else {
                continue;
            };
            let would_build = did.status == pretend::WOULD_BUILD.to_string();
            return Ok(match not {
                // rpm refuses it before anything is built, or while it builds: only `known.toml` can say which.
                Some(_) if would_build && step.status != "0" => Verdict::Fail(format!(
                    "Keel reads the SPEC; rpm says {:?}",
                    step.stderr.as_deref().unwrap_or_default()
                )),
                Some(not) => Verdict::OutOfScope(not),
                None => Verdict::Fail(indent(&format!("step {number}: {}{why}", step.script))),
            });
        }
        Ok(Verdict::Pass)
    }

    /// What `%{rpmversion}` is: of the branches that the suites are of.
    fn version(&self) -> &str {
        match self.rpm.as_str() {
            "4.18" => "4.18.2",
            "4.20" => "4.20.1",
            "6" => "6.0.1",
            other => other,
        }
    }

    /// What every call gets: version, macros, and the options of the command line.
    fn arguments(&self, macros: &Path) -> Vec<String> {
        let mut arguments = vec!["--rpm".to_owned(), self.rpm.clone()];
        arguments.extend(["--macros".to_owned(), macros.display().to_string()]);
        arguments.extend(self.keel.arguments.clone());
        arguments
    }

    /// Without a shell.
    fn direct(&self, case: &Case) -> Result<Vec<Did>> {
        let folder = tempfile::tempdir_in(&self.work).context("no temporary folder")?;
        let mut all = Vec::new();
        for step in &case.steps {
            let mut did = Did::default();
            for call in step.evals.iter().flatten() {
                let (environment, argv) = match call {
                    Call::Plain(argv) => (None, argv),
                    Call::With { env, argv } => (Some(env), argv),
                };
                let (name, rest) = argv.split_first().context("a call without a program")?;
                let mut command = match (&self.real, pretend::translate(name, rest)) {
                    (_, Means::Not(why)) => {
                        did.status = pretend::OUT_OF_SCOPE.to_string();
                        did.not = Some(why);
                        break;
                    }
                    (Some(real), _) => {
                        let mut command = Command::new(real.join(name));
                        command.args(rest);
                        command
                    }
                    (None, Means::Keel(words) | Means::Check(words)) => {
                        let mut command = Command::new(&self.keel.program);
                        command.args(["spec", words[0].as_str()]);
                        command.args(self.arguments(&self.macros)).args(&words[1..]);
                        command
                    }
                };
                let output = command
                    .current_dir(folder.path())
                    .envs([("HOME", "/nonexistent"), ("TZ", "UTC"), ("LC_ALL", "C.UTF-8")])
                    .envs(environment.into_iter().flatten())
                    .stdin(Stdio::null())
                    .output()
                    .context("cannot run it")?;
                did.status = output
                    .status
                    .code()
                    .map_or("killed".to_owned(), |code| code.to_string());
                did.stdout += &String::from_utf8_lossy(&output.stdout);
                did.stderr += &String::from_utf8_lossy(&output.stderr);
            }
            all.push(did);
        }
        Ok(all)
    }

    /// In a shell, in a root of its own.
    fn session(&self, case: &Case, data: &Path) -> Result<Vec<Did>> {
        let folder = tempfile::tempdir_in(&self.work).context("no temporary folder")?;
        let work = folder.path();
        for name in ["root", "cwd", "steps", "bin"] {
            fs::create_dir(work.join(name))?;
        }
        for name in pretend::NAMES {
            symlink("/suite/self", work.join("bin").join(name))?;
        }
        for name in ["keel", "self"] {
            fs::write(work.join(name), "")?;
        }
        for (number, step) in case.steps.iter().enumerate() {
            fs::write(work.join("steps").join(number.to_string()), &step.script)?;
        }
        // `--macros` may be a root or the folder itself.
        let inside = self.macros.join("usr/lib/rpm");
        let (folder_of_macros, seen) = match inside.is_dir() {
            true => (inside.as_path(), Path::new("/")),
            false => (self.macros.as_path(), Path::new("/usr/lib/rpm")),
        };
        let keel = if self.real.is_some() {
            env::current_exe()?
        } else {
            self.keel.program.clone()
        };
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--fork", "--kill-child", "--net", "--ipc"]);
        if fs::metadata("/proc/self")?.uid() != 0 {
            command.arg("--map-root-user");
        }
        command.arg("bash");
        command
            .arg(&self.script)
            .args([work, data, folder_of_macros, &keel])
            .arg(env::current_exe()?);
        command.arg(case.steps.len().to_string());
        command
            .env("KEEL_PRETEND_ARGS", self.arguments(seen).join("\n"))
            .stdin(Stdio::null());
        if let Some(real) = &self.real {
            command.env("KEEL_PRETEND_REAL", real);
        }
        let output = command.output().context("cannot run unshare")?;
        ensure!(
            output.status.success(),
            "the session did not come about: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = |name: String| -> Result<String> {
            let bytes = fs::read(work.join(&name)).with_context(|| format!("no {name}"))?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        let mut all = Vec::new();
        for number in 0..case.steps.len() {
            all.push(Did {
                status: text(format!("status.{number}"))?.trim().to_owned(),
                stdout: text(format!("out.{number}"))?,
                stderr: text(format!("err.{number}"))?,
                not: text(format!("not.{number}"))
                    .ok()
                    .and_then(|text| text.lines().next().map(str::to_owned)),
            });
        }
        Ok(all)
    }
}

impl Tally {
    fn print(&self, file: &str) {
        let out_of_scope: usize = self.out_of_scope.values().sum();
        let cases = self.pass
            + self.known.len()
            + self.xfail.0
            + self.xfail.1
            + out_of_scope
            + self.failed.len()
            + self.stale.len();
        println!(
            "{file}: {cases} cases ({} checks): {} pass, {} fail, {} known, {out_of_scope} out of scope, {} that rpm itself does not pass",
            self.steps,
            self.pass,
            self.failed.len() + self.stale.len(),
            self.known.len(),
            self.xfail.0 + self.xfail.1
        );
        for (why, count) in &self.out_of_scope {
            println!("    out of scope, {why}: {count}");
        }
        for (title, reason) in &self.known {
            println!("    known, {title}: {reason}");
        }
        self.stale
            .iter()
            .for_each(|text| println!("  PASSES, but known.toml lists it: {text}"));
        self.failed.iter().for_each(|text| println!("  FAIL {text}"));
    }
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("       {line}\n")).collect()
}
