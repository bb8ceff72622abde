//! Changes of a component in the project's history: commits after which its lock had another fingerprint. Rules R47 to R49.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use keel_host::git::{At, Blob, Commit, Git};
use keel_spec::render::autospec::Change;

/// Who is told as the author of what is not committed.
pub const NOBODY: (&str, &str) = ("Keel", "keel@localhost");
/// And its subject.
pub const UNCOMMITTED: &str = "Changes that are not committed yet";

/// What the history of a lock tells.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The changes, the oldest first.
    pub changes: Vec<Change>,
    /// The upstream's commit that the component began at.
    pub import: Option<String>,
    /// What somebody should know of them.
    pub notes: Vec<String>,
}

/// What a lock says.
#[derive(Debug, Default)]
struct Lock {
    fingerprint: String,
    upstream: Option<String>,
    import: Option<String>,
}

/// The locks of a folder of a working tree, and what they were.
#[derive(Debug, Default)]
pub struct Locks {
    /// By the file: commits, the newest first, and what it was then.
    files: BTreeMap<String, Vec<(Arc<Commit>, Blob)>>,
    /// Each file has a history of its own, for which git is asked.
    has_merges: bool,
    /// When the newest commit of all was made.
    newest: i64,
}

/// When the newest commit of a working tree was made: the time of what is not committed yet. The clock's would give another
/// package each day.
pub fn newest(git: &Git<'_>, folder: &Path) -> Result<i64, keel_host::Error> {
    let found = git.commits(At::Tree(folder), &["--max-count=1", "HEAD"])?;
    Ok(found.first().map_or(0, |commit| commit.committed))
}

impl Locks {
    /// All histories of a folder's files at once, for there may be thousands.
    pub fn of(git: &Git<'_>, folder: &Path) -> Result<Self, keel_host::Error> {
        let newest = newest(git, folder)?;
        let Some(commits) = git.changes_in(folder)? else {
            return Ok(Self {
                has_merges: true,
                newest,
                ..Self::default()
            });
        };
        let all = commits.iter().flat_map(|(_, files)| files);
        let names: BTreeSet<String> = all.filter_map(|(_, became)| became.clone()).collect();
        let names: Vec<String> = names.into_iter().collect();
        let blobs = git.blobs(At::Tree(folder), &names)?;
        let blobs: BTreeMap<&String, &Blob> = names.iter().zip(&blobs).collect();
        let mut locks = Self {
            newest,
            ..Self::default()
        };
        for (commit, files) in commits {
            let commit = Arc::new(commit);
            for (file, became) in files {
                let blob = became.as_ref().and_then(|name| blobs.get(name));
                let blob = blob.map_or(Blob::Missing, |blob| (*blob).clone());
                let history = locks.files.entry(file).or_default();
                history.push((Arc::clone(&commit), blob));
            }
        }
        Ok(locks)
    }

    /// The changes that `NAME.lock` in the folder had. None where the newest commit has no such file.
    pub fn changes(&self, git: &Git<'_>, folder: &Path, name: &str) -> Result<Changes, keel_host::Error> {
        let file = format!("{name}.lock");
        let lock = folder.join(&file);
        if !lock.is_file() {
            return Ok(Changes::default());
        }
        if !self.has_merges {
            let history = self.files.get(&file).map_or(&[][..], Vec::as_slice);
            return Ok(told(history, &file, &fs_err::read(&lock)?, self.newest));
        }
        let at = At::Tree(folder);
        let commits = git.commits(at, &["--", &format!(":(literal){file}")])?;
        let names: Vec<String> = commits
            .iter()
            .map(|one| format!("{}:./{file}", one.hash))
            .collect();
        let blobs = git.blobs(at, &names)?;
        let history: Vec<_> = commits.into_iter().map(Arc::new).zip(blobs).collect();
        Ok(told(&history, &file, &fs_err::read(&lock)?, self.newest))
    }
}

/// What a lock's history (the newest commit first) and the lock as it is now tell.
fn told(history: &[(Arc<Commit>, Blob)], file: &str, now_is: &[u8], newest_of_all: i64) -> Changes {
    let mut found = Changes::default();
    let Some((_, newest)) = history.first().filter(|(_, blob)| *blob != Blob::Missing) else {
        return found;
    };
    let mut before = String::new();
    for (commit, blob) in history.iter().rev() {
        let Some(lock) = read(blob) else {
            if *blob != Blob::Missing {
                let commit = &commit.hash[..12];
                let note = format!("{file} of commit {commit} cannot be read, and is no change");
                found.notes.push(note);
            }
            continue;
        };
        if lock.fingerprint != before {
            found.changes.push(Change {
                hash: commit.hash.clone(),
                author: commit.author.clone(),
                email: commit.email.clone(),
                time: commit.authored,
                subject: commit.message.lines().next().unwrap_or_default().to_owned(),
                upstream: lock.upstream,
            });
        }
        before = lock.fingerprint;
    }
    let head = read(newest).unwrap_or_default();
    found.import = head.import;
    match parse(now_is) {
        Some(lock) if lock.fingerprint != head.fingerprint && !head.fingerprint.is_empty() => {
            found.changes.push(Change {
                hash: "uncommitted".to_owned(),
                author: NOBODY.0.to_owned(),
                email: NOBODY.1.to_owned(),
                time: newest_of_all,
                subject: UNCOMMITTED.to_owned(),
                upstream: lock.upstream,
            });
        }
        Some(_) => {}
        None => found.notes.push(format!("{file} cannot be read")),
    }
    found
}

fn read(blob: &Blob) -> Option<Lock> {
    match blob {
        Blob::Bytes(bytes) => parse(bytes),
        Blob::Missing | Blob::Large => None,
    }
}

fn parse(bytes: &[u8]) -> Option<Lock> {
    let table: toml::Table = std::str::from_utf8(bytes).ok()?.parse().ok()?;
    let text = |key: &str| match table.get(key) {
        Some(value) => Some(value.as_str()?.to_owned()),
        None => Some(String::new()),
    };
    let said = |text: String| Some(text).filter(|text| !text.is_empty());
    Some(Lock {
        fingerprint: text("input-fingerprint")?,
        upstream: said(text("upstream-commit")?),
        import: said(text("import-commit")?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_of_any_kind_are_read_or_refused() {
        // R48.
        let lock =
            parse(b"version = 1\nimport-commit = 'a'\nupstream-commit = ''\ninput-fingerprint = 'x'\n")
                .unwrap();
        assert_eq!(
            (lock.fingerprint.as_str(), lock.upstream, lock.import.as_deref()),
            ("x", None, Some("a"))
        );
        assert_eq!(parse(b"").unwrap().fingerprint, "");
        for wrong in [&b"input-fingerprint = 7"[..], b"=", b"\xff", b"<<<<<<< ours\n"] {
            assert!(parse(wrong).is_none());
        }
    }
}
