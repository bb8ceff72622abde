//! Packages that were not built here: those of a base's repositories. In a build root they stand beside the results of jobs.
//!
//! What they are is known from metadata whose signature was checked; their bytes come into the store when a root wants them.
//!
//! Only their headers tell whether they have scriptlets. Each is read once: the store remembers what it said.

use std::{
    collections::{BTreeMap, HashMap},
    error, fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use keel_artefact::{ComponentName, Interrupt, Sha256, format};
use keel_plan::Job;
use keel_store::Store;
use serde::{Deserialize, Serialize};

use crate::{
    Built, BuiltPackage, Error, Results,
    built::{self, Links, Output},
};

/// Under which kind of action the store remembers whether a package has scriptlets, by its digest.
const SCRIPTLETS: &str = "has-scriptlets";

/// The version of that: other parts of a header may count as scriptlets one day.
const FORMAT: format::Version = keel_rpm::SCRIPTS;

/// Components that are not built, with their packages as if these were the result of a job.
#[derive(Debug, Default)]
pub struct Components {
    all: BTreeMap<ComponentName, Arc<Built>>,
    /// Packages of which this run knows whether they have scriptlets.
    known: Mutex<HashMap<Sha256, bool>>,
}

/// What the store remembers of a package.
#[derive(Serialize, Deserialize)]
struct Remembered {
    format: format::Version,
    scriptlets: bool,
}

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
        f.debug_list().entries(self.components.all.keys()).finish()
    }
}

impl Components {
    /// Adds a component.
    pub fn insert(&mut self, name: ComponentName, built: Arc<Built>) {
        self.all.insert(name, built);
    }

    /// A component, if it is one of these.
    pub fn get(&self, name: &ComponentName) -> Option<&Arc<Built>> {
        self.all.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&ComponentName, &Arc<Built>)> {
        self.all.iter()
    }

    /// Notes which of `packages` from repositories have scriptlets. False if one of them is not in the store as it should be, nor
    /// anything about it.
    pub(crate) fn note_scriptlets(
        &self,
        store: &Store,
        packages: &mut [BuiltPackage],
        interrupt: &Interrupt,
    ) -> Result<bool, Error> {
        for package in self.note_known(store, packages, interrupt)? {
            if !store.contains(&package.rpm) {
                return Ok(false);
            }
            interrupt.check()?;
            match self.read(store, package) {
                Err(Error::Store(keel_store::Error::Damaged { .. })) => return Ok(false),
                read => read?,
            }
        }
        Ok(true)
    }

    /// Notes it of those of which it is known, without reading one. Gives the others.
    fn note_known<'p>(
        &self,
        store: &Store,
        packages: &'p mut [BuiltPackage],
        interrupt: &Interrupt,
    ) -> Result<Vec<&'p mut BuiltPackage>, Error> {
        let mut others = Vec::new();
        for package in packages {
            if !self.has(package) {
                continue;
            }
            let mut scriptlets = self.known().get(&package.rpm).copied();
            if scriptlets.is_none() {
                interrupt.check()?;
                let remembered: Option<Remembered> = store.action(SCRIPTLETS, &package.rpm)?;
                let remembered = remembered.filter(|remembered| remembered.format == FORMAT);
                scriptlets = remembered.map(|remembered| remembered.scriptlets);
                self.known()
                    .extend(scriptlets.map(|scriptlets| (package.rpm, scriptlets)));
            }
            match scriptlets {
                Some(scriptlets) => package.scriptlets = scriptlets,
                None => others.push(package),
            }
        }
        Ok(others)
    }

    /// Reads the header of a package in the store. Two jobs at once may both read it, and find the same: neither waits for the other.
    fn read(&self, store: &Store, package: &mut BuiltPackage) -> Result<(), Error> {
        let known = self.known().get(&package.rpm).copied();
        if let Some(scriptlets) = known {
            package.scriptlets = scriptlets;
            return Ok(());
        }
        // What it says is remembered for as long as the store lives.
        store.verify(&package.rpm)?;
        let info = keel_rpm::read(&store.object(&package.rpm)?)?;
        package.scriptlets = !info.scripts.is_empty();
        let remembered = Remembered {
            format: FORMAT,
            scriptlets: package.scriptlets,
        };
        store.record(SCRIPTLETS, &package.rpm, &remembered)?;
        self.known().insert(package.rpm, package.scriptlets);
        Ok(())
    }

    fn has(&self, package: &BuiltPackage) -> bool {
        self.all.contains_key(&package.component)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Sha256, bool>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
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
        let is_foreign = |package: &&BuiltPackage| self.components.has(package);
        self.bring_all(&packages.iter().filter(is_foreign).collect::<Vec<_>>())
    }

    /// Notes which of `packages` from repositories have scriptlets. Only those of which nothing is known come into the store for that.
    pub(crate) fn note_scriptlets(
        &self,
        store: &Store,
        packages: &mut [BuiltPackage],
        interrupt: &Interrupt,
    ) -> Result<(), Error> {
        let unknown = self.components.note_known(store, packages, interrupt)?;
        self.bring_all(&unknown.iter().map(|package| &**package).collect::<Vec<_>>())?;
        for package in unknown {
            interrupt.check()?;
            self.components.read(store, package)?;
        }
        Ok(())
    }

    fn bring_all(&self, foreign: &[&BuiltPackage]) -> Result<(), Error> {
        match foreign.is_empty() {
            true => Ok(()),
            false => (self.bring)(foreign).map_err(Error::Foreign),
        }
    }
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

#[cfg(test)]
mod tests;
