//! `conformance libsolv`: libsolv's own testcases, with Keel's solver.
//!
//! A block of a testcase is the same if Keel installs, erases and replaces what the file says, or if both find that it
//! cannot be done. What is about libsolv's insides is out of scope, and counted by reason; what differs is in `known.toml` of this
//! folder, with the reason, or is a failure.

mod case;
pub mod speed;
mod translate;
mod words;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use keel_rpm::solve::{self, Limits, NoSolution, PackageId, Pool, Request, Solution, Target, Unsolvable};
use serde::Deserialize;

use crate::options::Options;
use case::{Block, File};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    file: String,
    /// From 1; all blocks where it is not said.
    block: Option<usize>,
    reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    #[serde(default)]
    case: Vec<Entry>,
}

/// What came of a block.
enum Verdict {
    Same,
    OutOfScope(String),
    Differs(Vec<String>),
}

/// Reads the files, runs them, prints a line each, and the counts.
pub fn run(mut options: Options) -> Result<()> {
    let folder = PathBuf::from(options.required("--testcases")?);
    let bar: f64 = options.parsed("--bar")?.unwrap_or(95.0);
    let only = options.value("--only")?;
    let ask = options.flag("--testsolv");
    let verbose = options.flag("--verbose");
    if let Some(word) = options.words()?.first() {
        bail!("unknown argument `{word}`");
    }
    let known: Known = toml::from_str(include_str!("known.toml")).context("known.toml cannot be read")?;
    let mut needed = vec![false; known.case.len()];
    let (mut same, mut differing, mut unknown) = (0, 0, 0);
    let (mut beside, mut reasons) = ((0, 0), BTreeMap::<String, usize>::new());
    for path in files(&folder)? {
        let name = path.strip_prefix(&folder)?.display().to_string();
        if only.as_ref().is_some_and(|only| !name.contains(only.as_str())) {
            continue;
        }
        let file = File::read(&path).with_context(|| format!("{name} cannot be read"))?;
        let mut words: Vec<String> = Vec::new();
        for (number, block) in file.blocks.iter().enumerate() {
            match verdict(&file, block, &mut beside)
                .with_context(|| format!("{name}, block {}", number + 1))?
            {
                Verdict::Same => {
                    same += 1;
                    words.push("same".to_owned());
                }
                Verdict::OutOfScope(reason) => {
                    words.push(format!("out of scope ({reason})"));
                    *reasons.entry(reason).or_default() += 1;
                }
                Verdict::Differs(lines) => {
                    differing += 1;
                    let about = |entry: &Entry| {
                        entry.file == name && entry.block.is_none_or(|block| block == number + 1)
                    };
                    let entry = known.case.iter().position(about);
                    let reason = entry.map(|entry| known.case[entry].reason.as_str());
                    entry.into_iter().for_each(|entry| needed[entry] = true);
                    unknown += usize::from(reason.is_none());
                    words.push(format!(
                        "DIFFERS in block {} ({})",
                        number + 1,
                        reason.unwrap_or("no reason is known")
                    ));
                    if reason.is_none() || verbose {
                        words.extend(lines.into_iter().map(|line| format!("\n    {line}")));
                    }
                }
            }
        }
        words.dedup();
        let oracle = if ask { testsolv(&path)? } else { "" };
        println!("{name}: {}{oracle}", words.join("; "));
    }
    let all = same + differing;
    let share = 100.0 * f64::from(same) / f64::from(all.max(1));
    println!(
        "\n{all} problems in scope: {same} the same ({share:.1} %), {differing} different, {unknown} of them without a known reason"
    );
    println!(
        "of {} unsolvable ones, {} also leave the same behind once what is to blame is given up",
        beside.1, beside.0
    );
    for (reason, count) in reasons {
        println!("out of scope: {count:4} {reason}");
    }
    // Where only some files are run, the others' entries are not needed.
    let idle = known.case.iter().zip(needed).filter(|(_, is_needed)| !is_needed);
    let idle: Vec<&str> = idle.map(|(entry, _)| entry.file.as_str()).collect();
    if only.is_none() && !idle.is_empty() {
        bail!("known.toml lists what does not differ: {}", idle.join(", "));
    }
    if unknown > 0 || share < bar {
        bail!("{unknown} differences without a known reason, {share:.1} % the same (bar: {bar} %)");
    }
    Ok(())
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            all.extend(files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "t") {
            all.push(path);
        }
    }
    all.sort();
    Ok(all)
}

/// What libsolv on this machine makes of the file: the machine's version is another than the testcases'.
fn testsolv(path: &Path) -> Result<&'static str> {
    let output = Command::new("testsolv")
        .arg(path)
        .output()
        .context("testsolv cannot be run")?;
    Ok(if output.status.success() {
        "; testsolv: same"
    } else {
        "; testsolv: differs"
    })
}

fn verdict(file: &File, block: &Block, beside: &mut (usize, usize)) -> Result<Verdict> {
    if let Some(reason) = translate::out_of_scope(file, block) {
        return Ok(Verdict::OutOfScope(reason));
    }
    if !block.versions.is_empty() {
        let wrong = case::compare_versions(block)?;
        return Ok(if wrong.is_empty() {
            Verdict::Same
        } else {
            Verdict::Differs(wrong)
        });
    }
    let arches: &[&str] = match file.arch.as_str() {
        "x86_64" => &["x86_64", "i686", "i586", "i486", "i386"],
        "i686" => &["i686", "i586", "i486", "i386"],
        "i586" => &["i586", "i486", "i386"],
        "unset" | "" => &[],
        other => bail!("architecture {other}"),
    };
    let pool = Pool::new(&file.repositories, &Target { arches, paths: &[] })?;
    let request = translate::request(file, &pool, block)?;
    let expected = expected(block);
    let impossible = block.result.iter().any(|line| line.starts_with("problem "));
    Ok(match (answer(&pool, &request)?, impossible) {
        (Ok(solution), false) => {
            let found = lines(file, &pool, &solution);
            match found == expected {
                true => Verdict::Same,
                false => Verdict::Differs(difference(&expected, &found)),
            }
        }
        (Err(unsolvable), true) => {
            beside.1 += 1;
            beside.0 += usize::from(lines(file, &pool, &unsolvable.without) == expected);
            Verdict::Same
        }
        (Err(unsolvable), false) => {
            let said = unsolvable
                .problems
                .iter()
                .flat_map(|problem| problem.chain.iter().cloned());
            Verdict::Differs(
                std::iter::once("Keel finds no solution:".to_owned())
                    .chain(said)
                    .collect(),
            )
        }
        (Ok(solution), true) => {
            let mut said = vec!["libsolv finds no solution; Keel:".to_owned()];
            said.extend(lines(file, &pool, &solution));
            Verdict::Differs(said)
        }
    })
}

fn difference(expected: &[String], found: &[String]) -> Vec<String> {
    let missing = expected
        .iter()
        .filter(|line| !found.contains(line))
        .map(|line| format!("- {line}"));
    let more = found
        .iter()
        .filter(|line| !expected.contains(line))
        .map(|line| format!("+ {line}"));
    missing.chain(more).collect()
}

/// `install X`, `erase X` and `upgrade X Y` (whatever the direction), sorted.
fn expected(block: &Block) -> Vec<String> {
    let mut all = Vec::new();
    for line in &block.result {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["install", new] => all.push(format!("install {new}")),
            // What replaces it under another name is installed by a line of its own.
            ["erase", old, ..] => all.push(format!("erase {old}")),
            ["upgrade" | "downgrade" | "change" | "reinstall", old, new] => {
                all.push(format!("replace {old} {new}"))
            }
            _ => {}
        }
    }
    all.sort();
    all
}

fn lines(file: &File, pool: &Pool, solution: &Solution) -> Vec<String> {
    let show = |id: PackageId| {
        format!(
            "{}@{}",
            pool.nevra(id),
            file.repositories[pool.repository(id)].name
        )
    };
    let same_name = |(old, new): &&(PackageId, PackageId)| pool.name(*old) == pool.name(*new);
    let pairs: Vec<(PackageId, PackageId)> = solution.replace.iter().filter(same_name).copied().collect();
    let mut all: Vec<String> = pairs
        .iter()
        .map(|(old, new)| format!("replace {} {}", show(*old), show(*new)))
        .collect();
    let new = solution.install.iter().map(|chosen| chosen.package);
    all.extend(
        new.filter(|id| !pairs.iter().any(|(_, new)| new == id))
            .map(|id| format!("install {}", show(id))),
    );
    let gone = solution
        .erase
        .iter()
        .filter(|id| !pairs.iter().any(|(old, _)| old == *id));
    all.extend(gone.map(|id| format!("erase {}", show(*id))));
    all.sort();
    all
}

/// What Keel says, within its usual limits.
fn answer(pool: &Pool, request: &Request) -> Result<Result<Solution, Unsolvable>> {
    Ok(match solve::solve(pool, request, &Limits::default()) {
        Ok(solution) => Ok(solution),
        Err(NoSolution::Unsolvable(unsolvable)) => Err(unsolvable),
        Err(NoSolution::Stopped(stopped)) => return Err(stopped.into()),
    })
}
