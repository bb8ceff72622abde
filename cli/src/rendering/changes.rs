//! Changes of a component in the project's history: commits after which its lock had another fingerprint. Rules R47 to R49.

use std::path::Path;

use keel_artefact::Epoch;
use keel_host::git::{At, Blob, Git};
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

/// The changes that `NAME.lock` in `folder`, a folder of a working tree, had. None where the newest commit has no such file.
pub fn of(git: &Git<'_>, folder: &Path, name: &str, now: Epoch) -> Result<Changes, keel_host::Error> {
    let file = format!("{name}.lock");
    let lock = folder.join(&file);
    if !lock.is_file() {
        return Ok(Changes::default());
    }
    let at = At::Tree(folder);
    let commits = git.commits(at, &["--", &format!(":(literal){file}")])?;
    if commits.is_empty() {
        return Ok(Changes::default());
    }
    let heads = ["HEAD"]
        .into_iter()
        .chain(commits.iter().map(|one| one.hash.as_str()));
    let names: Vec<String> = heads.map(|commit| format!("{commit}:./{file}")).collect();
    let blobs = git.blobs(at, &names)?;
    let (newest, blobs) = blobs.split_first().unwrap_or((&Blob::Missing, &[]));
    if *newest == Blob::Missing {
        return Ok(Changes::default());
    }
    let mut found = Changes::default();
    let mut before = String::new();
    for (commit, blob) in commits.iter().zip(blobs).rev() {
        let Some(lock) = read(blob) else {
            if *blob != Blob::Missing {
                let commit = &commit.hash[..12];
                found.notes.push(format!(
                    "{file} of commit {commit} cannot be read, and is no change"
                ));
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
    let bytes = fs_err::read(&lock)?;
    match parse(&bytes) {
        Some(now_is) if now_is.fingerprint != head.fingerprint && !head.fingerprint.is_empty() => {
            found.changes.push(Change {
                hash: "uncommitted".to_owned(),
                author: NOBODY.0.to_owned(),
                email: NOBODY.1.to_owned(),
                time: i64::try_from(now.0).unwrap_or(i64::MAX),
                subject: UNCOMMITTED.to_owned(),
                upstream: now_is.upstream,
            });
        }
        Some(_) => {}
        None => found.notes.push(format!("{file} cannot be read")),
    }
    Ok(found)
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
