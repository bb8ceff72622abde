//! norpm, the nearest other evaluator: the same SPECs, name-version-release and processor time.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Bench;
use crate::{corpus::Spec, mapping::from_keel};

const SCRIPT: &str = include_str!("peer.py");

#[derive(Deserialize)]
struct Line {
    nvr: [Option<String>; 3],
    seconds: f64,
}

/// Right answers and seconds.
#[derive(Default)]
struct Score {
    right: usize,
    seconds: Vec<f64>,
}

/// Asks norpm, installed for the interpreter `python`, and Keel, about `files`; `specs` know what is right.
pub fn compare(python: &str, bench: &Bench, specs: &[Spec], files: &[PathBuf]) -> Result<Value> {
    let work = tempfile::tempdir().context("no temporary folder")?;
    let (script, list, defines) = (
        work.path().join("peer.py"),
        work.path().join("list"),
        work.path().join("defines.json"),
    );
    let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    fs::write(&script, SCRIPT)?;
    fs::write(&list, names.join("\n"))?;
    fs::write(&defines, serde_json::to_string(&bench.defines)?)?;
    let output = Command::new(python)
        .arg(&script)
        .args([&defines, &list])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {python}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<Line> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure!(
        lines.len() == specs.len(),
        "norpm answered {} of {}",
        lines.len(),
        specs.len()
    );

    let mut norpm = Score::default();
    for (spec, line) in specs.iter().zip(&lines) {
        let [name, version, release] = line
            .nvr
            .each_ref()
            .map(|part| part.as_deref().unwrap_or_default());
        norpm.add(spec, name, &format!("{version}-{release}"), line.seconds);
    }
    let mut keel = Score::default();
    bench.keel.lines("eval", &bench.defines, files, |index, line| {
        if let (_, Ok(facts)) = from_keel(line)? {
            keel.add(
                &specs[index],
                &facts.source.name,
                without_epoch(&facts.source.evr),
                0.0,
            );
        }
        Ok(())
    })?;
    norpm.seconds.sort_by(f64::total_cmp);
    let count = norpm.seconds.len().max(1);
    let mean = norpm.seconds.iter().sum::<f64>() / count as f64;
    let at = |share: f64| {
        norpm
            .seconds
            .get((count as f64 * share) as usize)
            .copied()
            .unwrap_or_default()
    };
    println!(
        "    {:36} {} of {} N-V-R right; processor mean {:.1} ms, median {:.1} ms, 95 % {:.1} ms",
        "norpm (macro files already read)",
        norpm.right,
        specs.len(),
        mean * 1000.0,
        at(0.5) * 1000.0,
        at(0.95) * 1000.0
    );
    println!("    {:36} {} of {} N-V-R right", "keel", keel.right, specs.len());
    Ok(
        json!({ "right": norpm.right, "keel_right": keel.right, "mean_seconds": mean, "median_seconds": at(0.5) }),
    )
}

impl Score {
    fn add(&mut self, spec: &Spec, name: &str, version_release: &str, seconds: f64) {
        let right = spec.rpm.as_ref().is_some_and(|facts| {
            facts.source.name == name && without_epoch(&facts.source.evr) == version_release
        });
        self.right += usize::from(right);
        self.seconds.push(seconds);
    }
}

/// `1:2-3` is `2-3`.
fn without_epoch(evr: &str) -> &str {
    evr.split_once(':').map_or(evr, |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::without_epoch;

    #[test]
    fn an_epoch_is_left_out() {
        assert_eq!(without_epoch("1:2-3"), "2-3");
        assert_eq!(without_epoch("2-3"), "2-3");
    }
}
