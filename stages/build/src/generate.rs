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

use keel_artefact::{Dependency, Sha256, format};
use keel_plan::Job;
use keel_store::Store;
use serde::{Deserialize, Serialize};

use crate::{
    Built, BuiltPackage, Error, closure,
    fingerprint::{self, Input, Own},
    job,
    scriptlets::Seen,
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
    /// The digest of what scriptlets made of them, if one has some.
    pub scriptlets: Option<Sha256>,
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
    /// What scriptlets made of a root of these packages. Notes of foreign ones whether they have some: only their headers tell.
    pub scriptlets: &'a dyn Fn(&mut [BuiltPackage]) -> Result<Seen, Error>,
}

/// Runs the section in a root, of which these are the inputs; none: not now.
pub type Ask<'a> = dyn FnMut(&[BuiltPackage], &[Input]) -> Result<Option<Vec<Dependency>>, Error> + 'a;

impl Ground<'_> {
    /// The job's root. None if `ask` would have to be asked, and gave nothing; or if scriptlets have not run.
    pub fn settle(&self, ask: &mut Ask<'_>) -> Result<Option<Settled>, Error> {
        let Some(mut settled) = self.close(Vec::new())? else {
            return Ok(None);
        };
        if self.job.recipe.generates.is_none() {
            return Ok(Some(settled));
        }
        let mut round = 0;
        loop {
            let Settled {
                packages,
                scriptlets,
                generated,
            } = &settled;
            let inputs = fingerprint::inputs(self.job, self.stage0, packages, *scriptlets, &[]);
            let key = fingerprint::of(&inputs);
            let printed = match Printed::of(self.store, "generated", &key)? {
                Some(printed) => printed,
                None => match ask(packages, &inputs)? {
                    Some(printed) => {
                        Printed::record(self.store, "generated", &key, &printed)?;
                        printed
                    }
                    None => return Ok(None),
                },
            };
            let mut all = generated.clone();
            all.extend(
                printed
                    .into_iter()
                    .filter(|requirement| !generated.contains(requirement)),
            );
            if all.len() == generated.len() {
                return Ok(Some(settled));
            }
            if round == ROUNDS {
                let new = all.split_off(generated.len());
                return Err(Error::Restless { new });
            }
            self.check_planned(&all)?;
            let Some(next) = self.close(all)? else {
                return Ok(None);
            };
            if next.packages == *packages {
                return Ok(Some(next));
            }
            settled = next;
            round += 1;
        }
    }

    /// The root with what the section printed so far; none: its scriptlets have not run.
    fn close(&self, generated: Vec<Dependency>) -> Result<Option<Settled>, Error> {
        let kept = generated
            .iter()
            .filter(|requirement| !self.is_borrowed(requirement));
        let asked: Vec<Dependency> = self.job.direct.iter().chain(kept).cloned().collect();
        let lends = |name: &str| job::lends(self.is_lent, self.job, name);
        let mut packages = closure::close(&asked, self.before, &lends).map_err(Error::Closure)?;
        let scriptlets = match (self.scriptlets)(&mut packages)? {
            Seen::Nothing => None,
            Seen::Made(digest) => Some(digest),
            Seen::NotRun => return Ok(None),
        };
        Ok(Some(Settled {
            packages,
            scriptlets,
            generated,
        }))
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
