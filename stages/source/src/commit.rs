//! The files of a commit as a source file: a tar archive, the same bytes each time. And a repository's tags.

use keel_host::git;
use keel_store::{Store, TempDir};

use crate::{Answer, download, http::Client, origin::Git};

/// What the archive is called in the folder that [`archive`] gives.
pub(crate) const ARCHIVE: &str = "archive.tar";

/// Fetches a commit, and makes its archive in a scratch folder. `file_name` ends in `.tar`; what comes before is the folder
/// in the archive.
pub(crate) fn archive(
    client: &Client<'_>,
    store: &Store,
    origin: &Git,
    file_name: &str,
) -> Result<TempDir, download::Error> {
    if client.options.offline {
        return Err(Answer::Offline.into());
    }
    let scratch = store.temp_dir("commit")?;
    let git = git(client);
    let repository = scratch.path().join("repository");
    let folder = format!("{}/", file_name.strip_suffix(".tar").unwrap_or(file_name));
    let made = git
        .fetch(&repository, &origin.url, &origin.commit)
        .and_then(|()| {
            git.archive(
                &repository,
                &origin.commit,
                &folder,
                &scratch.path().join(ARCHIVE),
            )
        });
    match made {
        Ok(()) => Ok(scratch),
        Err(keel_host::Error::Interrupted(interrupted)) => Err(interrupted.into()),
        Err(error) => Err(Answer::Git(Box::new(error)).into()),
    }
}

/// The tags of an origin's repository.
pub(crate) fn tags(
    client: &Client<'_>,
    store: &Store,
    origin: &Git,
) -> Result<Vec<git::Tag>, download::Error> {
    if client.options.offline {
        return Err(Answer::Offline.into());
    }
    let scratch = store.temp_dir("tags")?;
    match git(client).tags(&scratch.path().join("repository"), &origin.url) {
        Ok(tags) => Ok(tags),
        Err(keel_host::Error::Interrupted(interrupted)) => Err(interrupted.into()),
        Err(error) => Err(Answer::Git(Box::new(error)).into()),
    }
}

fn git<'a>(client: &'a Client<'_>) -> git::Git<'a> {
    git::Git {
        certificates: client.options.certificates.as_deref(),
        proxy: client.options.proxy.as_deref(),
        time: client.limits.total,
        size: client.limits.size,
        interrupt: client.interrupt,
    }
}
