//! The root of a job, closed: with what the SPEC asks for, and with what its `%generate_buildrequires` prints.
//!
//! 1. A root is closed with what the SPEC itself says.
//! 2. The section runs in it; what it prints is kept in the store under all that it could see.
//! 3. Is there something new, the root is closed with that, too, and the section runs again: at most [`ROUNDS`] times. What it
//!    printed once stays, as what was installed stays in other builders.
//! 4. Only a plan that knows just what is printed gives the root. Else that, and nothing of what was known before, is remembered, and
//!    [`Error::Wants`] asks for another plan.
//!
//! Each round chooses among packages of those jobs that its own requirements lead to ([`keel_plan::Round::after`]). So the root is the same
//! in the run that finds it out and in all later ones, and whatever a store remembers.
//!
//! What stage0 lends is in every root, and asks for no other plan.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use keel_artefact::{Dependency, Interrupt, Sha256, format};
use keel_plan::{Job, Printed};
use keel_store::Store;
use serde::{Deserialize, Serialize};

use crate::{
    Built, BuiltPackage, Error, closure,
    fingerprint::{self, Own},
    job,
    scriptlets::Seen,
};

/// How often the section may want something new.
pub const ROUNDS: usize = 10;

/// The version of what is kept of the section.
const FORMAT: format::Version = format::Version(2);

/// What the section printed.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    format: format::Version,
    rounds: Printed,
}

impl Kept {
    fn of(store: &Store, kind: &str, key: &Sha256) -> Result<Option<Printed>, keel_store::Error> {
        let kept: Option<Self> = store.action(kind, key)?;
        let kept = kept.filter(|kept| kept.format == FORMAT);
        Ok(kept.map(|kept| kept.rounds))
    }

    fn record(
        store: &Store,
        kind: &str,
        key: &Sha256,
        rounds: &[Vec<Dependency>],
    ) -> Result<(), keel_store::Error> {
        let kept = Self {
            format: FORMAT,
            rounds: rounds.to_vec(),
        };
        store.record(kind, key, &kept)
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
    /// Knows those of other jobs, too.
    pub index: &'a closure::Index,
    /// What scriptlets made of a root of these packages. Notes of foreign ones whether they have some: only their headers tell.
    pub scriptlets: &'a dyn Fn(&mut [BuiltPackage]) -> Result<Seen, Error>,
    /// Ends a search for the packages.
    pub interrupt: &'a Interrupt,
}

/// Runs the section in a root of these packages, and [keeps](keep) what it prints under the key; none: not now.
pub type Ask<'a> = dyn FnMut(&[BuiltPackage], &Sha256) -> Result<Option<Vec<Dependency>>, Error> + 'a;

impl Ground<'_> {
    /// The job's root. None if `ask` would have to be asked, and gave nothing; or if scriptlets have not run.
    pub fn settle(&self, ask: &mut Ask<'_>) -> Result<Option<Settled>, Error> {
        let Some(mut settled) = self.close(Vec::new(), 0)? else {
            return Ok(None);
        };
        if self.job.recipe.generates.is_none() {
            return Ok(Some(settled));
        }
        let mut rounds = Printed::new();
        loop {
            let packages = &settled.packages;
            let inputs = fingerprint::inputs(self.job, self.stage0, packages, settled.scriptlets, &[]);
            let key = fingerprint::of(&inputs);
            let said = match printed(self.store, &key)? {
                Some(said) => said,
                None => match ask(packages, &key)? {
                    Some(said) => said,
                    None => return Ok(None),
                },
            };
            let new: Vec<Dependency> = said
                .into_iter()
                .filter(|requirement| !settled.generated.contains(requirement))
                .collect();
            settled.generated.extend(new.iter().cloned());
            if new.iter().all(|requirement| self.is_borrowed(requirement)) {
                break;
            }
            if rounds.len() == ROUNDS {
                return Err(Error::Restless { new });
            }
            rounds.push(new);
            self.check_planned(&rounds)?;
            let Some(next) = self.close(settled.generated.clone(), rounds.len())? else {
                return Ok(None);
            };
            if next.packages == settled.packages {
                break;
            }
            settled = next;
        }
        self.check_ended(&rounds)?;
        Ok(Some(settled))
    }

    /// The root after so many rounds, which printed this; none: its scriptlets have not run.
    fn close(&self, generated: Vec<Dependency>, round: usize) -> Result<Option<Settled>, Error> {
        let kept = generated
            .iter()
            .filter(|requirement| !self.is_borrowed(requirement));
        let asked: Vec<Dependency> = self.job.direct.iter().chain(kept).cloned().collect();
        let lends = |name: &str| job::lends(self.is_lent, self.job, name);
        let candidates = self.index.near(&asked, &self.candidates(round), &lends);
        let mut packages = closure::close(&asked, &candidates, &lends, self.interrupt)?;
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

    /// What the root of a round may hold, whatever else is built for other rounds.
    fn candidates(&self, round: usize) -> Vec<Arc<Built>> {
        let after = self.job.rounds.get(round);
        let after: Option<HashSet<_>> = after.map(|round| round.after.iter().collect());
        let is_candidate = |built: &&Arc<Built>| {
            let component = built.outputs.first().map(|output| &output.package.component);
            (after.as_ref()).is_none_or(|after| component.is_some_and(|component| after.contains(component)))
        };
        self.before.iter().filter(is_candidate).cloned().collect()
    }

    fn is_borrowed(&self, requirement: &Dependency) -> bool {
        !requirement.is_rich() && (self.is_lent)(&requirement.name)
    }

    /// Does the plan know just what the last of these rounds printed?
    fn check_planned(&self, rounds: &[Vec<Dependency>]) -> Result<(), Error> {
        let texts = |round: &[Dependency]| -> BTreeSet<String> {
            let asked = round.iter().filter(|requirement| !self.is_borrowed(requirement));
            asked.map(Dependency::to_string).collect()
        };
        let planned = self
            .job
            .rounds
            .get(rounds.len())
            .map(|round| texts(&round.prints));
        match planned == rounds.last().map(|round| texts(round)) {
            true => Ok(()),
            false => self.wants(rounds),
        }
    }

    /// These are all rounds there are. Did the plan know of others, it is of other jobs than it should be.
    fn check_ended(&self, rounds: &[Vec<Dependency>]) -> Result<(), Error> {
        if self.job.rounds.len() > rounds.len() + 1 {
            return self.wants(rounds);
        }
        let known = remembered(self.store, &Own::from(self.job), self.stage0)?;
        if known.unwrap_or_default() != rounds {
            self.remember(rounds)?;
        }
        Ok(())
    }

    fn wants(&self, rounds: &[Vec<Dependency>]) -> Result<(), Error> {
        self.remember(rounds)?;
        Err(Error::Wants(rounds.to_vec()))
    }

    fn remember(&self, rounds: &[Vec<Dependency>]) -> Result<(), keel_store::Error> {
        let key = remembered_key(&Own::from(self.job), self.stage0);
        Kept::record(self.store, "generates", &key, rounds)
    }
}

/// What the section is known to print in the root with this key.
pub(crate) fn printed(store: &Store, key: &Sha256) -> Result<Option<Vec<Dependency>>, keel_store::Error> {
    let kept = Kept::of(store, "generated", key)?;
    Ok(kept.map(|rounds| rounds.into_iter().flatten().collect()))
}

/// Keeps what the section printed in the root with this key.
pub(crate) fn keep(store: &Store, key: &Sha256, printed: &[Dependency]) -> Result<(), keel_store::Error> {
    Kept::record(store, "generated", key, &[printed.to_vec()])
}

/// What the section of a job with this SPEC and these sources printed when it ran last, round by round. That is a hint: it may print something
/// else among other packages.
pub fn remembered(
    store: &Store,
    own: &Own<'_>,
    stage0: &Sha256,
) -> Result<Option<Printed>, keel_store::Error> {
    Kept::of(store, "generates", &remembered_key(own, stage0))
}

/// Whether `%check` runs, or which libc is there, is nothing to the section: what is remembered is so for all.
fn remembered_key(own: &Own<'_>, stage0: &Sha256) -> Sha256 {
    let own = Own {
        skip_check: false,
        borrowed_libc: false,
        bootstrap_libc: false,
        ..*own
    };
    fingerprint::of(&fingerprint::own_inputs(&own, stage0))
}

#[cfg(test)]
pub(crate) mod tests;
