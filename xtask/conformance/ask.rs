//! The questions to Keel about each SPEC of a corpus.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::{
    corpus::{Spec, Times},
    keel::Keel,
    mapping::{self, Kind},
};

fn files(corpus: &Path, specs: &[Spec]) -> Vec<PathBuf> {
    specs.iter().map(|spec| corpus.join(&spec.path)).collect()
}

/// What they mean; and what their builds need when `with_check` is 1, if it is defined at all.
pub fn eval(keel: &Keel, corpus: &Path, defines: &[String], specs: &mut [Spec]) -> Result<Times> {
    let files = files(corpus, specs);
    let first = keel.lines("eval", defines, &files, |index, line| {
        specs[index].keel = mapping::from_keel(line)?.1;
        Ok(())
    })?;
    let mut times = vec![("eval", first)];
    // As the baseline's script does: the same question with the tests' BuildRequires.
    let with_check: Vec<String> = defines
        .iter()
        .map(|define| define.replace("with_check 0", "with_check 1"))
        .collect();
    if with_check == defines {
        return Ok(times);
    }
    let second = keel.lines("eval", &with_check, &files, |index, line| {
        let (_, facts) = mapping::from_keel(line)?;
        if let (Ok(known), Ok(facts)) = (&mut specs[index].keel, facts) {
            known.requires_with_check = Some(facts.source.of(Kind::Requires).to_vec());
        }
        Ok(())
    })?;
    times.push(("eval, with_check 1", second));
    Ok(times)
}

#[derive(Deserialize)]
struct Text {
    text: Option<String>,
}

/// Their expanded texts.
pub fn parse(keel: &Keel, corpus: &Path, defines: &[String], specs: &mut [Spec]) -> Result<Duration> {
    let files = files(corpus, specs);
    keel.lines("parse", defines, &files, |index, line| {
        let parsed: Text = serde_json::from_str(line)?;
        let Spec { rpm, keel, text, .. } = &mut specs[index];
        if let (Ok(facts), Some(parsed)) = (keel, parsed.text) {
            facts.parse_sha256 = Some(hex(&Sha256::digest(&parsed)));
            let same = rpm
                .as_ref()
                .is_some_and(|rpm| rpm.parse_sha256 == facts.parse_sha256);
            *text = (!same).then_some(parsed);
        }
        Ok(())
    })
}

#[derive(Deserialize)]
struct Printed {
    sha256: Option<String>,
}

/// The SPECs whose syntax tree, printed, is not the file; `keel spec syntax` says the digest of what it prints.
pub fn syntax(keel: &Keel, corpus: &Path, specs: &[Spec]) -> Result<Vec<String>> {
    let files = files(corpus, specs);
    let bare = Keel {
        program: keel.program.clone(),
        arguments: Vec::new(),
    };
    let mut same = vec![false; files.len()];
    bare.lines("syntax", &[], &files, |index, line| {
        let printed: Printed = serde_json::from_str(line)?;
        let bytes = fs::read(&files[index]).context("cannot read it")?;
        same[index] = printed.sha256 == Some(hex(&Sha256::digest(bytes)));
        Ok(())
    })?;
    let other = specs.iter().zip(same).filter(|(_, same)| !same);
    Ok(other.map(|(spec, _)| spec.path.clone()).collect())
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
