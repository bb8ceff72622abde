//! Reads all pinned files in the store again.

use std::collections::BTreeMap;

use keel_artefact::{ComponentName, Interrupt, Sha256};
use keel_config::Project;
use keel_store::Store;
use serde::Serialize;

use crate::{
    Error, Errors, Lock,
    wanted::{self, Locks},
};

/// One pinned file, and how it is in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// The component.
    pub component: ComponentName,
    /// The file.
    pub name: String,
    /// The pinned digest.
    pub digest: Sha256,
    /// Its size in bytes, as it is pinned.
    pub size: Option<u64>,
    /// Where it may be had first.
    pub origin: Option<String>,
    /// How it is.
    pub state: State,
}

/// How a pinned file is in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Its bytes have the pinned digest.
    Good,
    /// It has not been fetched.
    Absent,
    /// Its bytes had changed; it was removed, and will be fetched again.
    Damaged,
}

/// Checks every file that the configuration or the lock pins, by component and name.
pub fn verify(project: &Project, store: &Store, interrupt: &Interrupt) -> Result<Vec<Verified>, Errors> {
    let locks = Locks {
        project: Lock::read(&project.lock_file)?,
        refreshed: Lock::default(),
    };
    let configured = project.components.values().flat_map(|component| {
        let names = component.source_files.iter().map(|file| file.filename.clone());
        names.map(|name| (component.name.clone(), name))
    });
    let mut keys: Vec<_> = configured.chain(locks.project.files.keys().cloned()).collect();
    keys.sort();
    keys.dedup();
    let (mut verified, mut known, mut errors) = (Vec::new(), BTreeMap::new(), Vec::new());
    for (component, name) in keys {
        interrupt.check().map_err(Error::from)?;
        let pin = match wanted::pin(project, &component, &name, &locks) {
            Ok(Some(pin)) => pin,
            Ok(None) => continue,
            Err(error) => {
                errors.push(error);
                continue;
            }
        };
        let digest = pin.digest;
        let state = match known.get(&digest) {
            Some(state) => *state,
            None => *known.entry(digest).or_insert(state(store, &digest)?),
        };
        verified.push(Verified {
            component,
            name,
            digest,
            size: pin.size,
            origin: pin.origins.first().map(ToString::to_string),
            state,
        });
    }
    Errors::check(verified, errors)
}

fn state(store: &Store, digest: &Sha256) -> Result<State, Error> {
    if !store.contains(digest) {
        return Ok(State::Absent);
    }
    match store.verify(digest) {
        Ok(()) => Ok(State::Good),
        Err(keel_store::Error::Damaged { .. }) => Ok(State::Damaged),
        Err(error) => Err(error.into()),
    }
}
