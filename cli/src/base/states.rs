//! The states of repositories: which is pinned in `keel.lock`, which there is now.

use std::path::Path;

use keel_artefact::{Arch, Event, Sha256};
use keel_config::{BaseRepository, Project, Tree};
use keel_source::Lock;

use super::{Asked, current, keep, repositories};
use crate::{
    context::Context,
    failure::{Class, Failure},
    names,
};

/// How the state of a repository compares with the pinned one.
#[derive(Debug)]
pub struct State {
    /// Its address.
    pub address: String,
    /// What is pinned; none: nothing is.
    pub pinned: Option<Sha256>,
    /// What it is now, or why that cannot be told.
    pub now: Result<Sha256, Failure>,
}

impl State {
    /// Another one than the pinned one, if it is.
    pub fn newer(&self) -> Option<Sha256> {
        let now = self.now.as_ref().copied();
        now.into_iter().find(|now| self.pinned != Some(*now))
    }
}

/// The state of each repository now; each is signed as it must be. One that cannot be told hides no other.
pub fn states(context: &Context<'_>, project: &Project) -> Result<Vec<State>, Failure> {
    let lock = names::lock(project)?;
    let mut states = Vec::new();
    for asked in repositories(context, project) {
        let now = now(context, &asked);
        if let Err(failure) = &now
            && failure.class == Class::Interrupted
        {
            return now.map(|_| states);
        }
        states.push(State {
            pinned: lock.repositories.get(&asked.address).copied(),
            now,
            address: asked.address,
        });
    }
    Ok(states)
}

/// The state of a repository now, which the store keeps.
fn now(context: &Context<'_>, asked: &Asked<'_>) -> Result<Sha256, Failure> {
    let trusted = context.certificates(Some(&asked.repository.key))?;
    let (manifest, signature) = current(context, asked, &trusted)?;
    keep(context.store()?, &manifest, &signature)?;
    Ok(Sha256::of(&manifest))
}

/// Pins repositories that are not pinned yet, and forgets those that no tree names.
pub fn pin_new(context: &Context<'_>, project: &Project) -> Result<(), Failure> {
    let mut lock = names::lock(project)?;
    let asked = repositories(context, project);
    // Of other architectures, too.
    let is_named = |address: &String| {
        let is_it = |tree: &Tree| {
            let repository = tree.repository.as_ref();
            repository.is_some_and(|repository| fits(repository, address))
        };
        project.trees.iter().any(is_it)
    };
    let before = lock.repositories.clone();
    lock.repositories.retain(|address, _| is_named(address));
    for asked in asked {
        if lock.repositories.contains_key(&asked.address) {
            continue;
        }
        let digest = now(context, &asked)?;
        pin(context, &mut lock, &asked.address, digest);
    }
    match lock.repositories == before {
        true => Ok(()),
        false => write(&lock, &project.lock_file),
    }
}

/// Pins the states given that are newer; without such, `keel.lock` is left as it is.
pub fn pin_states(context: &Context<'_>, project: &Project, states: &[State]) -> Result<(), Failure> {
    let newer = |state: &State| Some((state.address.clone(), state.newer()?));
    let newer: Vec<(String, Sha256)> = states.iter().filter_map(newer).collect();
    if newer.is_empty() {
        return Ok(());
    }
    let mut lock = names::lock(project)?;
    for (address, digest) in newer {
        pin(context, &mut lock, &address, digest);
    }
    write(&lock, &project.lock_file)
}

fn pin(context: &Context<'_>, lock: &mut Lock, address: &str, digest: Sha256) {
    let text = format!("pinned the repository {address}: {}", digest.short());
    context.sink().event(Event::Note { text: &text });
    lock.repositories.insert(address.to_owned(), digest);
}

fn write(lock: &Lock, file: &Path) -> Result<(), Failure> {
    Ok(lock.write(file).map_err(keel_source::Errors::from)?)
}

/// Is `address` what the repository has for some architecture?
fn fits(repository: &BaseRepository, address: &str) -> bool {
    let arches = [Arch::X86_64, Arch::Aarch64];
    (arches.iter()).any(|arch| repository.address_for(arch.rpm()) == address)
}
