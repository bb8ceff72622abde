//! The history of a dist-git's commit: all that came before it, and what SPEC and `changelog` were then.
//!
//! It is kept in the store, for a commit's history never changes: `commits.json`, and the files by git's names.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
    sync::Arc,
};

use keel_artefact::{Fingerprint, Interrupt};
use keel_host::git::{At, Blob};
use keel_spec::render::autospec::{self, Parents, Seen};
use keel_store::Store;
use serde::{Deserialize, Serialize};

use super::{DistGit, Error, git};
use crate::Options;

/// Commits beyond this are not looked at.
pub const MOST: usize = 5000;
/// The list of commits in the store.
const COMMITS: &str = "commits.json";

/// A commit as the store keeps it.
#[derive(Serialize, Deserialize)]
struct Kept {
    hash: String,
    parents: Vec<String>,
    tree: String,
    author: String,
    email: String,
    time: i64,
    message: String,
    /// The file with its SPEC; none: it had none.
    spec: Option<String>,
    /// It had one that is too large to be read.
    large: bool,
    changelog: Option<String>,
}

/// The history of a dist-git's commit, parents before children, itself at the end: [`MOST`] commits at most, without versions.
pub fn history(
    found: &DistGit,
    store: &Store,
    options: &Options,
    interrupt: &Interrupt,
) -> Result<Vec<autospec::Commit>, Error> {
    let key = Fingerprint::new("dist-git-history/1")
        .add("url", &found.url)
        .add("commit", &found.commit)
        .add("spec", &found.spec)
        .finish();
    let folder = store.tree(&key, |folder| -> Result<(), Error> {
        if options.offline {
            let url = found.url.clone();
            return Err(Error::Offline { url });
        }
        keep(found, store, options, interrupt, folder)
    })?;
    read(&folder)
}

fn keep(
    found: &DistGit,
    store: &Store,
    options: &Options,
    interrupt: &Interrupt,
    folder: &Path,
) -> Result<(), Error> {
    let failed = |source| Error::Git {
        url: found.url.clone(),
        source: Box::new(source),
    };
    let git = git(options, interrupt);
    let scratch = store.temp_dir("dist-git-history")?;
    let (repository, commit) = (scratch.path(), found.commit.as_str());
    git.fetch_whole(repository, &found.url, commit).map_err(failed)?;
    let most = format!("--max-count={MOST}");
    let at = At::Bare(repository);
    let commits = git
        .commits(at, &["--topo-order", &most, commit])
        .map_err(failed)?;
    let files = |file: &str| {
        let names: Vec<String> = commits
            .iter()
            .map(|commit| format!("{}:{file}", commit.hash))
            .collect();
        git.blobs(at, &names).map_err(failed)
    };
    let (specs, changelogs) = (files(&found.spec)?, files("changelog")?);
    let mut known: BTreeMap<Arc<[u8]>, String> = BTreeMap::new();
    let mut write = |blob: &Blob| -> io::Result<Option<String>> {
        let Blob::Bytes(bytes) = blob else { return Ok(None) };
        if let Some(name) = known.get(bytes) {
            return Ok(Some(name.clone()));
        }
        let name = format!("file-{}", known.len());
        fs_err::write(folder.join(&name), bytes)?;
        known.insert(Arc::clone(bytes), name.clone());
        Ok(Some(name))
    };
    let mut kept = Vec::with_capacity(commits.len());
    for ((commit, spec), changelog) in commits.into_iter().zip(specs).zip(changelogs) {
        kept.push(Kept {
            hash: commit.hash,
            parents: commit.parents,
            tree: commit.tree,
            author: commit.author,
            email: commit.email,
            time: commit.committed,
            message: commit.message,
            spec: write(&spec)?,
            large: spec == Blob::Large,
            changelog: write(&changelog)?,
        });
    }
    Ok(fs_err::write(
        folder.join(COMMITS),
        serde_json::to_vec(&kept).map_err(io::Error::from)?,
    )?)
}

fn read(folder: &Path) -> Result<Vec<autospec::Commit>, Error> {
    let kept = fs_err::read(folder.join(COMMITS))?;
    let kept: Vec<Kept> = serde_json::from_slice(&kept).map_err(io::Error::from)?;
    let names: BTreeSet<&String> = kept
        .iter()
        .flat_map(|one| one.spec.iter().chain(&one.changelog))
        .collect();
    let mut files: BTreeMap<&String, Arc<[u8]>> = BTreeMap::new();
    for name in names {
        files.insert(name, Arc::from(fs_err::read(folder.join(name))?));
    }
    let file = |name: &Option<String>| name.as_ref().and_then(|name| files.get(name)).map(Arc::clone);
    let places: BTreeMap<&str, (usize, &str)> = (kept.iter().rev().enumerate())
        .map(|(place, one)| (one.hash.as_str(), (place, one.tree.as_str())))
        .collect();
    let parents = |one: &Kept| {
        let found = one.parents.iter().filter_map(|hash| places.get(hash.as_str()));
        let same = found.clone().find(|(_, tree)| *tree == one.tree);
        Parents::Of {
            all: found.map(|(place, _)| *place).collect(),
            same: same.map(|(place, _)| *place),
        }
    };
    let commit = |one: &Kept| autospec::Commit {
        hash: one.hash.clone(),
        parents: parents(one),
        author: one.author.clone(),
        email: one.email.clone(),
        time: one.time,
        message: one.message.clone(),
        version: None,
        seen: file(&one.spec).map_or(Seen::Unknown, Seen::Was),
        without_spec: one.spec.is_none() && !one.large,
        changelog: file(&one.changelog).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
    };
    Ok(kept.iter().rev().map(commit).collect())
}
