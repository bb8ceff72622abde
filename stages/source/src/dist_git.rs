//! Folders of other distributions' SPECs: a commit of the repository that a distribution keeps for a component.
//!
//! A commit is what the configuration pins, or else the newest one on the first parents' line of the version's branch that
//! was made before the snapshot. What is found for a snapshot is kept in the store: a snapshot is a moment of the past.

mod history;

use std::path::PathBuf;

use keel_artefact::{Epoch, Fingerprint, Interrupt};
use keel_config::{Component, Project, Spec, Upstream};
use keel_host::git::Git;
use keel_store::Store;
use serde::{Deserialize, Serialize};

pub use history::{MOST, history};

use crate::Options;

/// The kind of action under which the store remembers what a snapshot was.
const SNAPSHOT: &str = "dist-git-snapshot";

/// The folder of a component's SPEC, as another distribution has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DistGit {
    /// All digits of the commit's name.
    pub commit: String,
    /// The address of the repository.
    pub url: String,
    /// The files, in the store. Never to be written.
    pub folder: PathBuf,
    /// What the SPEC is called there.
    pub spec: String,
}

/// Why there is no such folder.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration does not say all that must be known.
    #[error("nothing says {what} of `{component}` is")]
    Unsaid {
        /// The component.
        component: String,
        /// What is missing, and where it would be said.
        what: String,
    },
    /// The commit is only known in part.
    #[error(
        "`{commit}` of `{component}` is not all of a commit's name: nobody but the server knows the rest"
    )]
    Short {
        /// The component.
        component: String,
        /// What is known.
        commit: String,
    },
    /// There was nothing yet.
    #[error("the branch `{branch}` of {url} has no commit before {snapshot}")]
    NoCommit {
        /// The repository.
        url: String,
        /// The branch.
        branch: String,
        /// The time.
        snapshot: String,
    },
    /// The commit has no such SPEC.
    #[error("commit {commit} of {url} has no file `{spec}`")]
    NoSpec {
        /// The repository.
        url: String,
        /// The commit.
        commit: String,
        /// The file.
        spec: String,
    },
    /// The network is not to be used.
    #[error("{url} is not asked: --offline")]
    Offline {
        /// The repository.
        url: String,
    },
    /// git failed.
    #[error("cannot have the files of {url}")]
    Git {
        /// The repository.
        url: String,
        /// Why.
        source: Box<keel_host::Error>,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] keel_store::Error),
    /// A file; the error names it.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

#[derive(Serialize, Deserialize)]
struct Known {
    commit: String,
}

/// The folder of a component whose SPEC is another distribution's; none for a local SPEC.
pub fn dist_git(
    project: &Project,
    component: &Component,
    store: &Store,
    options: &Options,
    interrupt: &Interrupt,
) -> Result<Option<DistGit>, Error> {
    let Some((url, commit)) = place(project, component, store, options, interrupt)? else {
        return Ok(None);
    };
    let folder = files_of(&git(options, interrupt), &url, &commit, store, options)?;
    let spec = spec_of(component);
    if !folder.join(&spec).is_file() {
        return Err(Error::NoSpec { url, commit, spec });
    }
    Ok(Some(DistGit {
        commit,
        url,
        folder,
        spec,
    }))
}

/// What the SPEC of a component is called in another distribution's repository.
pub fn spec_of(component: &Component) -> String {
    format!("{}.spec", component.upstream_name())
}

/// The repository of a component whose SPEC is another distribution's, and the commit; none for a local SPEC. Its files are
/// not fetched.
pub fn place(
    project: &Project,
    component: &Component,
    store: &Store,
    options: &Options,
    interrupt: &Interrupt,
) -> Result<Option<(String, String)>, Error> {
    let Some(Spec::Upstream(upstream)) = &component.spec else {
        return Ok(None);
    };
    let place = Place::of(project, component, upstream)?;
    let commit = match &upstream.commit {
        Some(commit) if matches!(commit.len(), 40 | 64) => commit.to_ascii_lowercase(),
        Some(commit) => {
            return Err(Error::Short {
                component: component.name.to_string(),
                commit: commit.clone(),
            });
        }
        None => place.commit_of_snapshot(&git(options, interrupt), store, options)?,
    };
    Ok(Some((place.url, commit)))
}

/// The files of a commit (all digits of its name) of the repository at `url`: a folder in the store, never to be written.
pub fn checkout(
    url: &str,
    commit: &str,
    store: &Store,
    options: &Options,
    interrupt: &Interrupt,
) -> Result<PathBuf, Error> {
    files_of(&git(options, interrupt), url, commit, store, options)
}

fn git<'o>(options: &'o Options, interrupt: &'o Interrupt) -> Git<'o> {
    Git {
        certificates: options.certificates.as_deref(),
        proxy: options.proxy.as_deref(),
        time: options.limits.total,
        size: options.limits.size,
        interrupt,
    }
}

fn files_of(
    git: &Git<'_>,
    url: &str,
    commit: &str,
    store: &Store,
    options: &Options,
) -> Result<PathBuf, Error> {
    let failed = |source| Error::Git {
        url: url.to_owned(),
        source: Box::new(source),
    };
    let key = Fingerprint::new("commit-files/1")
        .add("url", url)
        .add("commit", commit)
        .finish();
    store.tree(&key, |folder| -> Result<(), Error> {
        if options.offline {
            return Err(Error::Offline { url: url.to_owned() });
        }
        let scratch = store.temp_dir("commit")?;
        let repository = scratch.path().join("repository");
        git.fetch(&repository, url, commit).map_err(failed)?;
        git.extract(&repository, commit, folder).map_err(failed)
    })
}

/// Which repository, and which state of it.
struct Place {
    component: String,
    url: String,
    branch: Option<String>,
    snapshot: Option<String>,
}

impl Place {
    fn of(project: &Project, component: &Component, upstream: &Upstream) -> Result<Self, Error> {
        let unsaid = |what: String| Error::Unsaid {
            component: component.name.to_string(),
            what,
        };
        let name = upstream.distro.as_ref().unwrap_or(&project.name);
        let distro = project
            .distros
            .get(name)
            .ok_or_else(|| unsaid(format!("what distribution `{name}`")))?;
        let base = distro.dist_git_base_uri.as_deref().ok_or_else(|| {
            unsaid(format!(
                "where the SPEC (`dist-git-base-uri` of `[distros.{name}]`)"
            ))
        })?;
        let version = upstream.version.as_ref().or(distro.default_version.as_ref());
        let version = version.and_then(|version| distro.versions.get(version));
        Ok(Self {
            component: component.name.to_string(),
            url: base.replace("$pkg", component.upstream_name()),
            branch: version.and_then(|version| version.dist_git_branch.clone()),
            snapshot: upstream.snapshot.clone(),
        })
    }

    fn commit_of_snapshot(&self, git: &Git<'_>, store: &Store, options: &Options) -> Result<String, Error> {
        let unsaid = |what: &str| Error::Unsaid {
            component: self.component.clone(),
            what: what.to_owned(),
        };
        let branch = self.branch.as_deref();
        let branch = branch.ok_or_else(|| unsaid("which branch (`dist-git-branch` of its version)"))?;
        let failed = |source| Error::Git {
            url: self.url.clone(),
            source: Box::new(source),
        };
        let snapshot = self.snapshot.as_deref().unwrap_or_default();
        let key = Fingerprint::new("dist-git-snapshot/1")
            .add("url", &self.url)
            .add("branch", branch)
            .add("snapshot", snapshot)
            .finish();
        // Without a snapshot, the newest commit is meant, which is another one tomorrow.
        if !snapshot.is_empty()
            && let Some(known) = store.action::<Known>(SNAPSHOT, &key)?
        {
            return Ok(known.commit);
        }
        if options.offline {
            return Err(Error::Offline {
                url: self.url.clone(),
            });
        }
        let scratch = store.temp_dir("dist-git")?;
        let newest = git
            .fetch_history(scratch.path(), &self.url, branch)
            .map_err(failed)?;
        if snapshot.is_empty() {
            return Ok(newest);
        }
        let time: Epoch = rfc3339(snapshot).ok_or_else(|| unsaid("what time the snapshot (RFC 3339)"))?;
        if time > options.now {
            // What that will be is not decided yet.
            return Ok(newest);
        }
        let found = git.commit_before(scratch.path(), &newest, time).map_err(failed)?;
        let commit = found.ok_or_else(|| Error::NoCommit {
            url: self.url.clone(),
            branch: branch.to_owned(),
            snapshot: snapshot.to_owned(),
        })?;
        let known = Known { commit };
        store.record(SNAPSHOT, &key, &known)?;
        Ok(known.commit)
    }
}

/// Seconds since 1970 of a time with its zone: `2026-02-24T00:00:00-08:00`, `2026-02-24T08:00:00Z`.
fn rfc3339(text: &str) -> Option<Epoch> {
    let (date, rest) = text.split_at_checked(10)?;
    let (time, zone) = rest.get(1..)?.split_at_checked(8)?;
    let zone = zone.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let number = |text: &str| text.parse::<i64>().ok();
    let (year, month, day) = (
        number(date.get(..4)?)?,
        number(date.get(5..7)?)?,
        number(date.get(8..)?)?,
    );
    let (hour, minute, second) = (
        number(time.get(..2)?)?,
        number(time.get(3..5)?)?,
        number(time.get(6..)?)?,
    );
    let away = match zone {
        "Z" | "z" => 0,
        zone => {
            let sign = match zone.get(..1)? {
                "+" => 1,
                "-" => -1,
                _ => return None,
            };
            sign * (number(zone.get(1..3)?)? * 60 + number(zone.get(4..)?)?) * 60
        }
    };
    let is_right =
        (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 61;
    // Days since 1970 (Hinnant, "chrono-compatible low-level date algorithms").
    let (y, m) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 719_469;
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second - away;
    is_right.then(|| u64::try_from(seconds).ok().map(Epoch)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_zones() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            // Of date(1).
            ("2026-02-24T00:00:00-08:00", Some(1_771_920_000)),
            ("2026-02-24T08:00:00.5+00:00", Some(1_771_920_000)),
            ("2024-02-29T23:59:60z", Some(1_709_251_200)),
            ("2026-13-24T00:00:00Z", None),
            ("2026-02-24T00:00:00", None),
            ("2026-02-24", None),
            ("é", None),
        ] {
            assert_eq!(rfc3339(text).map(|time| time.0), seconds, "{text}");
        }
    }
}
