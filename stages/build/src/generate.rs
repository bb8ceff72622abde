//! The root of a job, closed: with what the SPEC asks for, and with what its `%generate_buildrequires` prints.
//!
//! 1. A root is closed with what the SPEC itself says.
//! 2. The section runs in it; what it prints is kept in the store under all that it could see.
//! 3. Is there something new, the root is closed with that, too, and the section runs again: at most [`ROUNDS`] times. What it
//!    printed once stays, as what was installed stays in other builders.
//! 4. Only a plan that knows what is printed gives the root: else what is known is remembered, and [`Error::Wants`] asks for
//!    another plan. So the root is the same in the run that finds it out and in all later ones.
//!
//! What stage0 lends is in every root, and asks for no other plan.

use std::sync::Arc;

use keel_artefact::{Dependency, Interrupt, Sha256, format};
use keel_plan::Job;
use keel_store::Store;
use serde::{Deserialize, Serialize};

use crate::{
    Built, BuiltPackage, Error, closure,
    fingerprint::{self, Own},
    job,
};

/// How often the section may want something new.
pub const ROUNDS: usize = 10;

/// The version of what is kept of the section.
const FORMAT: format::Version = format::Version(1);

/// What the section printed.
#[derive(Debug, Serialize, Deserialize)]
struct Printed {
    format: format::Version,
    requirements: Vec<Dependency>,
}

impl Printed {
    fn of(store: &Store, kind: &str, key: &Sha256) -> Result<Option<Vec<Dependency>>, keel_store::Error> {
        let printed: Option<Self> = store.action(kind, key)?;
        let printed = printed.filter(|printed| printed.format == FORMAT);
        Ok(printed.map(|printed| printed.requirements))
    }

    fn record(
        store: &Store,
        kind: &str,
        key: &Sha256,
        requirements: &[Dependency],
    ) -> Result<(), keel_store::Error> {
        let printed = Self {
            format: FORMAT,
            requirements: requirements.to_vec(),
        };
        store.record(kind, key, &printed)
    }
}

/// A root with all that is asked for.
#[derive(Debug)]
pub struct Settled {
    /// The packages in it, sorted by name.
    pub packages: Vec<BuiltPackage>,
    /// What the section printed, in the order of rounds, then by name.
    pub generated: Vec<Dependency>,
}

/// What a root is closed from.
pub struct Ground<'a> {
    /// Remembers.
    pub store: &'a Store,
    /// The borrowed root.
    pub stage0: &'a Sha256,
    /// Capabilities that it lends.
    pub is_lent: &'a dyn Fn(&str) -> bool,
    /// What is built.
    pub job: &'a Job,
    /// Results of [`Job::after`].
    pub before: &'a [Arc<Built>],
    /// Ends a search for the packages.
    pub interrupt: &'a Interrupt,
}

/// Runs the section in a root; none: not now.
pub type Ask<'a> = dyn FnMut(&[BuiltPackage]) -> Result<Option<Vec<Dependency>>, Error> + 'a;

impl Ground<'_> {
    /// The job's root. None if `ask` would have to be asked, and gave nothing.
    pub fn settle(&self, ask: &mut Ask<'_>) -> Result<Option<Settled>, Error> {
        let mut generated: Vec<Dependency> = Vec::new();
        let mut packages = self.close(&generated)?;
        if self.job.recipe.generates.is_none() {
            return Ok(Some(Settled { packages, generated }));
        }
        let mut round = 0;
        loop {
            let key = fingerprint::of(&fingerprint::inputs(self.job, self.stage0, &packages, &[]));
            let printed = match Printed::of(self.store, "generated", &key)? {
                Some(printed) => printed,
                None => match ask(&packages)? {
                    Some(printed) => {
                        Printed::record(self.store, "generated", &key, &printed)?;
                        printed
                    }
                    None => return Ok(None),
                },
            };
            let new: Vec<Dependency> = printed
                .into_iter()
                .filter(|requirement| !generated.contains(requirement))
                .collect();
            if new.is_empty() {
                return Ok(Some(Settled { packages, generated }));
            }
            if round == ROUNDS {
                return Err(Error::Restless { new });
            }
            generated.extend(new);
            self.check_planned(&generated)?;
            let next = self.close(&generated)?;
            if next == packages {
                return Ok(Some(Settled { packages, generated }));
            }
            packages = next;
            round += 1;
        }
    }

    fn close(&self, generated: &[Dependency]) -> Result<Vec<BuiltPackage>, Error> {
        let kept = generated
            .iter()
            .filter(|requirement| !self.is_borrowed(requirement));
        let asked: Vec<Dependency> = self.job.direct.iter().chain(kept).cloned().collect();
        let lends = |name: &str| job::lends(self.is_lent, self.job, name);
        Ok(closure::close(&asked, self.before, &lends, self.interrupt)?)
    }

    fn is_borrowed(&self, requirement: &Dependency) -> bool {
        !requirement.is_rich() && (self.is_lent)(&requirement.name)
    }

    /// Does the plan know all of this? What it knew besides stays.
    fn check_planned(&self, generated: &[Dependency]) -> Result<(), Error> {
        let planned = &self.job.generated;
        let mut new = generated
            .iter()
            .filter(|requirement| !planned.contains(requirement));
        if new.clone().all(|requirement| self.is_borrowed(requirement)) {
            return Ok(());
        }
        let all: Vec<Dependency> = planned.iter().chain(&mut new).cloned().collect();
        Printed::record(
            self.store,
            "generates",
            &key(&Own::from(self.job), self.stage0),
            &all,
        )?;
        Err(Error::Wants(all))
    }
}

/// What the section of a job with this SPEC and these sources is known to print, from earlier runs.
pub fn remembered(
    store: &Store,
    own: &Own<'_>,
    stage0: &Sha256,
) -> Result<Option<Vec<Dependency>>, keel_store::Error> {
    Printed::of(store, "generates", &key(own, stage0))
}

/// Whether `%check` runs, or which libc is there, is nothing to the section: what is remembered is so for all.
fn key(own: &Own<'_>, stage0: &Sha256) -> Sha256 {
    let own = Own {
        skip_check: false,
        borrowed_libc: false,
        bootstrap_libc: false,
        ..*own
    };
    fingerprint::of(&fingerprint::own_inputs(&own, stage0))
}

#[cfg(test)]
mod tests;
