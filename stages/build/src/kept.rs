//! Build roots for people: to look at a build where it failed, or to try one by hand.
//!
//! What is kept of a failed build is its `/build`, as it was, and the record of all that was mounted around it. The layers
//! themselves are the store's, immutable, and mounted again.

use std::{path::Path, time::SystemTime};

use keel_artefact::{ComponentName, Fingerprint, Sha256, format};
use keel_sandbox::Sandbox;
use keel_store::{FolderLock, Store, TempDir};
use serde::{Deserialize, Serialize};

use crate::Error;

/// The version of [`Place`]'s form on disk.
const FORMAT: format::Version = format::Version(1);

/// The file with a [`Place`], in the folder that is kept.
const RECORD: &str = "place.json";

/// A build root with its `/build`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Place {
    format: format::Version,
    /// Everything mounted, and the environment of the build.
    pub sandbox: Sandbox,
    /// How the build is run in it.
    pub command: Vec<String>,
    /// The phase that failed; none if nothing was run.
    pub failed_in: Option<String>,
    /// The fingerprint of what failed.
    #[serde(default)]
    of: Option<Sha256>,
}

/// What was kept of a failed build.
pub struct Kept {
    /// The root.
    pub place: Place,
    /// Nobody else may be in it meanwhile.
    pub lock: FolderLock,
    /// When it was kept.
    pub when: SystemTime,
    /// The last build that failed was another one, of other inputs.
    pub is_older: bool,
}

impl Place {
    pub(crate) fn new(sandbox: Sandbox, command: Vec<String>, failed: Option<(String, Sha256)>) -> Self {
        let (failed_in, of) = failed.unzip();
        Self {
            format: FORMAT,
            sandbox,
            command,
            failed_in,
            of,
        }
    }

    /// Keeps it under a [`name`] with the folder that its binds are in, until the component is built the next time or nobody
    /// looked for as long as `keel store gc` says. False if somebody is in the one before.
    pub(crate) fn keep(mut self, store: &Store, bench: TempDir, name: &str) -> Result<bool, Error> {
        let (before, kept) = (bench.path().to_owned(), store.kept_path(name));
        for bind in &mut self.sandbox.binds {
            if let Ok(rest) = bind.host.strip_prefix(&before) {
                bind.host = kept.join(rest);
            }
        }
        let json = serde_json::to_vec_pretty(&self).map_err(std::io::Error::other)?;
        fs_err::write(before.join(RECORD), json)?;
        Ok(store.keep_folder(bench, name)?)
    }

    /// What was kept of a failed build of a component; none if nothing was. `output` is the
    /// project's output folder.
    pub fn kept(store: &Store, output: &Path, component: &ComponentName) -> Result<Option<Kept>, Error> {
        let Some((folder, lock)) = store.kept(&name(output, component))? else {
            return Ok(None);
        };
        let when = fs_err::metadata(folder.join(RECORD)).and_then(|record| record.modified());
        let lost = || Error::KeptLost(component.clone());
        let json = fs_err::read(folder.join(RECORD)).map_err(|_| lost())?;
        let place: Self = serde_json::from_slice(&json).map_err(|_| lost())?;
        let is_whole = place.format == FORMAT
            && place.sandbox.lowers.iter().all(|lower| lower.exists())
            && place.sandbox.binds.iter().all(|bind| bind.host.exists());
        if !is_whole {
            return Err(lost());
        }
        let last: Option<Sha256> = store.action(LAST, &key(output, component))?;
        Ok(Some(Kept {
            is_older: place.of != last,
            when: when.map_err(|_| lost())?,
            place,
            lock,
        }))
    }
}

/// The store's name for the fingerprint of a component's last failed build.
const LAST: &str = "last-failure";

/// Remembers that a build failed, whether or not its root is kept.
pub(crate) fn failed(
    store: &Store,
    output: &Path,
    component: &ComponentName,
    of: &Sha256,
) -> Result<(), Error> {
    Ok(store.record(LAST, &key(output, component), of)?)
}

fn key(output: &Path, component: &ComponentName) -> Sha256 {
    Fingerprint::new("last-failure/1")
        .add("output", output.as_os_str().as_encoded_bytes())
        .add("component", component.as_str())
        .finish()
}

/// Under which name a root is kept: projects that share a store do not share these.
pub(crate) fn name(output: &Path, component: &ComponentName) -> String {
    let project = Sha256::of(output.as_os_str().as_encoded_bytes());
    format!("{component}-{}", project.short())
}
