//! A corpus of SPECs against a baseline: `conformance specs --corpus DIR --baseline FILE …`
//!
//! 1. Read the baseline: one JSON object a line, `.zst` or plain.
//! 2. Ask Keel about the same SPECs: `eval` (and again with `with_check 1`), `parse`, `syntax`.
//! 3. Compare field by field, print the table, show differences, write the report, judge by the bars.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use sha2::{Digest as _, Sha256};

use crate::{
    ask,
    fields::{Bar, FIELDS},
    graph,
    keel::Keel,
    mapping::{self, Facts},
    options::Options,
    table::{GraphRow, Outcome, Table},
};

/// One SPEC of the baseline, and what Keel says of it.
pub struct Spec {
    /// Path in the corpus.
    pub path: String,
    /// What rpm says; nothing where it refuses the SPEC.
    pub rpm: Option<Facts>,
    /// What Keel says, or why it says nothing.
    pub keel: Result<Facts, String>,
    /// Keel's expanded text, where it is not rpm's.
    pub text: Option<String>,
}

/// How long Keel took, for all SPECs.
pub type Times = Vec<(&'static str, Duration)>;

/// Compares, prints, and fails when a bar is not reached.
pub fn run(mut options: Options) -> Result<()> {
    let corpus = PathBuf::from(options.required("--corpus")?);
    let baseline = PathBuf::from(options.required("--baseline")?);
    let keel = Keel::from_options(&mut options)?;
    let defines = options.values("--define")?;
    let only = options.value("--only")?;
    let sample = options.parsed::<usize>("--sample")?;
    let seed = options.parsed::<u64>("--seed")?.unwrap_or(4);
    let graph = options.value("--graph")?;
    let show = options.values("--show")?;
    let most = options.parsed::<usize>("-n")?.unwrap_or(10);
    let texts = options.value("--texts")?.map(PathBuf::from);
    let report = options.value("--report")?;
    let bars = bars(&options.values("--bar")?)?;
    let without_parse = options.flag("--no-parse");
    let without_syntax = options.flag("--no-syntax");
    if let Some(word) = options.words()?.first() {
        bail!("`{word}` is not understood here");
    }
    for name in &show {
        ensure!(
            FIELDS.iter().any(|field| field.name == name),
            "no such field: `{name}`"
        );
    }

    let mut specs = read_baseline(&baseline)?;
    let all = specs.len();
    specs.retain(|spec| only.as_ref().is_none_or(|only| spec.path.contains(only)));
    if let Some(count) = sample {
        specs = self::sample(specs, count, seed);
    }
    ensure!(!specs.is_empty(), "the baseline has no such SPEC");

    let mut times = ask::eval(&keel, &corpus, &defines, &mut specs)?;
    if !without_parse {
        times.push(("parse", ask::parse(&keel, &corpus, &defines, &mut specs)?));
    }
    let syntax = match without_syntax || !keel.knows("syntax")? {
        true => None,
        false => Some(ask::syntax(&keel, &corpus, &specs)?),
    };
    let graphs = match (&graph, specs.len() == all) {
        (Some(file), true) => graphs(&specs, Path::new(file))?,
        (Some(_), false) => {
            println!("(no graph: that is a matter of the whole corpus)");
            Vec::new()
        }
        (None, _) => Vec::new(),
    };
    let table = Table::new(&specs, syntax, graphs, times);
    table.print();
    let kept = |path: &str| kept_text(texts.as_deref()?, path);
    table.show(&specs, &show, most, &kept);
    if let Some(file) = report {
        let text = serde_json::to_string_pretty(&table.json(&specs))?;
        fs::write(&file, text + "\n").with_context(|| format!("cannot write {file}"))?;
    }
    match table.under(&bars).as_slice() {
        [] => Ok(()),
        under => bail!("under the bar: {}", under.join("; ")),
    }
}

/// What `rpmspec -P` printed, where somebody kept it: `DIR/PATH.parsed`, or with `.zst`.
fn kept_text(dir: &Path, path: &str) -> Option<String> {
    let plain = dir.join(format!("{path}.parsed"));
    let packed = dir.join(format!("{path}.parsed.zst"));
    if let Ok(bytes) = fs::read(plain) {
        return Some(String::from_utf8_lossy(&bytes).into_owned());
    }
    let output = Command::new("zstd").arg("-dcq").arg(packed).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(text)
}

/// `nevr=100 fields=99.9 parse=99 syntax=100 graph=100`
fn bars(texts: &[String]) -> Result<Vec<(Outcome, f64)>> {
    let read = |text: &String| {
        let (name, percent) = text.split_once('=').context("a bar is NAME=PERCENT")?;
        let outcome = match name {
            "nevr" => Outcome::Field(Bar::Nevr),
            "fields" => Outcome::Field(Bar::Fields),
            "parse" => Outcome::Field(Bar::Parse),
            "syntax" => Outcome::Syntax,
            "graph" => Outcome::Graph,
            _ => bail!("no such bar: `{name}` (nevr, fields, parse, syntax, graph)"),
        };
        Ok((outcome, percent.parse().context("a bar is NAME=PERCENT")?))
    };
    texts.iter().map(read).collect()
}

/// Reads a baseline, in the order of the paths.
pub fn read_baseline(file: &Path) -> Result<Vec<Spec>> {
    let mut specs = Vec::new();
    let mut read = |text: Box<dyn Read>| -> Result<()> {
        for (number, line) in BufReader::new(text).lines().enumerate() {
            let line = line.with_context(|| format!("cannot read {}", file.display()))?;
            let (path, rpm) = mapping::from_baseline(&line)
                .with_context(|| format!("{}:{}", file.display(), number + 1))?;
            specs.push(Spec {
                path,
                rpm,
                keel: Err("keel was not asked".to_owned()),
                text: None,
            });
        }
        Ok(())
    };
    if file.extension().is_some_and(|extension| extension == "zst") {
        let mut zstd = Command::new("zstd")
            .args(["-dc", "--"])
            .arg(file)
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot run zstd")?;
        read(Box::new(zstd.stdout.take().context("the output is piped")?))?;
        ensure!(zstd.wait()?.success(), "zstd cannot unpack {}", file.display());
    } else {
        read(Box::new(
            fs::File::open(file).with_context(|| format!("cannot read {}", file.display()))?,
        ))?;
    }
    specs.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(specs)
}

/// `count` of `specs`, always the same for one `seed`.
pub fn sample(specs: Vec<Spec>, count: usize, seed: u64) -> Vec<Spec> {
    let mut drawn: Vec<(Vec<u8>, Spec)> = specs
        .into_iter()
        .map(|spec| (Sha256::digest(format!("{seed} {}", spec.path)).to_vec(), spec))
        .collect();
    drawn.sort_by(|left, right| left.0.cmp(&right.0));
    let mut specs: Vec<Spec> = drawn.into_iter().take(count).map(|(_, spec)| spec).collect();
    specs.sort_by(|left, right| left.path.cmp(&right.path));
    specs
}

/// The graph's numbers for each set of folders that `file` knows and the corpus has.
fn graphs(specs: &[Spec], file: &Path) -> Result<Vec<GraphRow>> {
    let golden = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut rows = Vec::new();
    for title in golden.lines().filter_map(|line| line.strip_prefix("##### ")) {
        let folders: Vec<&str> = title.split(' ').collect();
        let inside = |spec: &&Spec| {
            let folder = spec.path.split('/').next();
            folder.is_some_and(|folder| folders.contains(&folder))
        };
        let has = |folder: &&str| {
            specs
                .iter()
                .any(|spec| spec.path.starts_with(&format!("{folder}/")))
        };
        let Some(known) = graph::known(&golden, &folders).filter(|_| folders.iter().all(has)) else {
            continue;
        };
        let facts: Vec<(&str, &Facts)> = specs
            .iter()
            .filter(inside)
            .filter_map(|spec| Some((spec.path.as_str(), spec.keel.as_ref().ok()?)))
            .collect();
        rows.push(GraphRow {
            folders: title.to_owned(),
            rpm: known,
            keel: graph::lines(&facts, "x86_64"),
        });
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_baseline_is_read_in_the_order_of_its_paths_and_a_sample_is_always_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("base.jsonl");
        let line =
            |name: &str| format!("{{\"spec\": \"S/{name}.spec\", \"source\": {{\"name\": \"{name}\"}}}}\n");
        fs::write(&file, ["b", "a", "c", "d"].map(line).concat()).unwrap();
        let paths = |specs: &[Spec]| specs.iter().map(|spec| spec.path.clone()).collect::<Vec<_>>();
        let specs = read_baseline(&file).unwrap();
        assert_eq!(paths(&specs), ["S/a.spec", "S/b.spec", "S/c.spec", "S/d.spec"]);
        let two = paths(&sample(specs, 2, 4));
        assert_eq!(two.len(), 2);
        assert_eq!(two, paths(&sample(read_baseline(&file).unwrap(), 2, 4)));
        assert!(bars(&["nevr=100".to_owned(), "fields=99.9".to_owned()]).is_ok());
        assert!(bars(&["nosuch=1".to_owned()]).is_err());
    }
}
