//! Packages that were not built here: those of a base's repositories. In a build root they stand beside the results of jobs.
//!
//! What they are is known from metadata whose signature was checked; their bytes come into the store when a root wants them.

use std::{collections::BTreeMap, error, fmt, sync::Arc};

use keel_artefact::{ComponentName, Sha256};
use keel_plan::Job;
use keel_store::Store;

use crate::{
    Built, BuiltPackage, Error, Results,
    built::{self, Links, Output},
};

/// Components that are not built, with their packages as if these were the result of a job.
pub type Components = BTreeMap<ComponentName, Arc<Built>>;

/// Why a package cannot be had, or is refused.
pub type Refusal = Box<dyn error::Error + Send + Sync>;

/// What comes from repositories.
#[derive(Clone, Copy)]
pub struct Foreign<'a> {
    /// Components and packages.
    pub components: &'a Components,
    /// Brings packages into the store, each with the bytes and the signature that it must have.
    pub bring: &'a (dyn Fn(&[&BuiltPackage]) -> Result<(), Refusal> + Sync),
}

impl fmt::Debug for Foreign<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.components.keys()).finish()
    }
}

impl Foreign<'_> {
    /// What comes before a job: of `results`, and from repositories.
    pub fn before(&self, job: &Job, results: &Results) -> Vec<Arc<Built>> {
        let of = |name| {
            let built = results.get(name).map(|done| &done.built);
            built.or_else(|| self.components.get(name)).map(Arc::clone)
        };
        job.after.iter().filter_map(of).collect()
    }

    /// Makes sure that the store has those of `packages` that come from a repository.
    pub(crate) fn bring(&self, packages: &[BuiltPackage]) -> Result<(), Error> {
        let is_foreign = |package: &&BuiltPackage| self.components.contains_key(&package.component);
        let foreign: Vec<&BuiltPackage> = packages.iter().filter(is_foreign).collect();
        match foreign.is_empty() {
            true => Ok(()),
            false => (self.bring)(&foreign).map_err(Error::Foreign),
        }
    }
}

/// Notes which of `packages` from repositories have scriptlets, as their headers say. False if one of them is not in the store.
pub(crate) fn note_scriptlets(
    components: &Components,
    store: &Store,
    packages: &mut [BuiltPackage],
) -> Result<bool, Error> {
    for package in packages {
        if !components.contains_key(&package.component) {
            continue;
        }
        if !store.contains(&package.rpm) {
            return Ok(false);
        }
        let info = keel_rpm::read(&store.object(&package.rpm)?)?;
        package.scriptlets = !info.scripts.is_empty();
    }
    Ok(true)
}

/// The packages of a component as if they were the result of a job: no log, no root, no cost.
pub fn component(mut outputs: Vec<Output>) -> Built {
    outputs.sort_by_key(|output| output.package.nevra.to_string());
    let nothing = Sha256::of(&[]);
    Built {
        format: built::FORMAT,
        fingerprint: nothing,
        outputs,
        root: Vec::new(),
        log: nothing,
        wall: std::time::Duration::ZERO,
        cpu: std::time::Duration::ZERO,
        memory: 0,
        links: Links::default(),
        scriptlets: None,
        generated: Vec::new(),
        checked: None,
    }
}
