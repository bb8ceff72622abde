//! Names never lie: a build that gives a published name other bytes gets a rebuild counter, and is made again with it.
//!
//! docs/explanation/names.md has the rules (N1 to N14) and a table of cases.

use std::{collections::BTreeMap, sync::Arc};

use keel_artefact::{ComponentName, Event, Nevra, Sha256, Sink};
use keel_plan::{Job, Plan};
use keel_source::{
    Lock,
    lock::{Differences, MOST_REBUILDS, Published},
};
use keel_spec::Recipe;

use crate::{Built, Error, Kind, Packages, Results, built::Output};

/// Reads a component's SPEC with a rebuild counter.
pub type Raise<'a> = dyn Fn(&Job, u32) -> Result<Recipe, keel_spec::Error> + Sync + 'a;

/// What names stand for, and what to do where they would lie.
#[derive(Clone, Copy)]
pub struct Names<'a> {
    /// Knows what is published.
    pub lock: &'a Lock,
    /// Reads SPECs again.
    pub raise: &'a Raise<'a>,
    /// Fail rather than raise a counter.
    pub locked: bool,
}

/// A job whose counter went up in this run.
#[derive(Debug, Clone)]
pub struct Raised {
    /// With the counter.
    pub job: Job,
    /// Why.
    pub differences: Differences,
}

impl<'a> Names<'a> {
    /// What is published of the very version and release of this job.
    pub fn published(&self, job: &Job) -> Option<&'a Published> {
        let published = self.lock.published.get(&(job.component.clone(), job.arch))?;
        is_of(published, &job.recipe).then_some(published)
    }

    /// How these results differ from what is published under their names, if something is, and if they do.
    pub fn differences(&self, job: &Job, built: &Built) -> Option<Differences> {
        let differences = self.published(job)?.differences(products(built));
        (!differences.is_empty()).then_some(differences)
    }

    /// The job to finish in place of one that would give a published name other bytes, if this one would.
    pub(crate) fn instead(&self, job: &Job, built: &Built, sink: &dyn Sink) -> Result<Option<Raised>, Error> {
        let Some(differences) = self.differences(job, built) else {
            return Ok(None);
        };
        if self.locked {
            return Err(Error::NameTaken {
                evr: job.recipe.evr.clone(),
                differences: differences.to_string(),
            });
        }
        let raised = Raised {
            job: self.raised(job)?,
            differences,
        };
        sink.event(Event::Raised {
            component: job.component.as_str(),
            from: &job.recipe.evr.to_string(),
            to: &raised.job.recipe.evr.to_string(),
            why: &raised.differences.to_string(),
        });
        Ok(Some(raised))
    }

    /// The job with the next counter.
    pub fn raised(&self, job: &Job) -> Result<Job, Error> {
        let next = job.recipe.rebuild + 1;
        if next > MOST_REBUILDS {
            return Err(Error::TooManyRebuilds);
        }
        let recipe = (self.raise)(job, next).map_err(|source| Error::Raise(Box::new(source)))?;
        check(&job.recipe, &recipe)?;
        Ok(Job {
            recipe,
            ..job.clone()
        })
    }
}

/// Does the record speak of this version and release? With a counter, the recipe was read for it.
fn is_of(published: &Published, recipe: &Recipe) -> bool {
    published.rebuild == recipe.rebuild && (recipe.rebuild > 0 || published.evr == recipe.evr)
}

/// The packages that names promise something of: all but the source package, which holds the SPEC with its comments.
fn products(built: &Built) -> impl Iterator<Item = (&Nevra, &Sha256)> {
    let packages = built.outputs.iter().map(|output| &output.package);
    packages
        .filter(|package| package.kind != Kind::Source)
        .map(|package| (&package.nevra, &package.rpm))
}

/// The counter must make each package newer, and nothing else.
fn check(before: &Recipe, raised: &Recipe) -> Result<(), Error> {
    let names = |recipe: &Recipe| -> Vec<_> {
        let packages = recipe.packages.iter();
        packages.map(|package| package.nevra.name.clone()).collect()
    };
    let is_same = names(before) == names(raised)
        && before.build_requires == raised.build_requires
        && before.sources == raised.sources;
    if !is_same {
        return Err(Error::RaiseChanges);
    }
    let packages = before.packages.iter().zip(&raised.packages);
    let evrs = packages.map(|(one, other)| (&one.nevra.name, &one.nevra.evr, &other.nevra.evr));
    for (name, old, new) in evrs.chain([(&before.name, &before.evr, &raised.evr)]) {
        if new.compare(old).is_le() {
            return Err(Error::NoCounter {
                package: name.clone(),
                spec: raised.spec_shown.clone(),
                old: old.clone(),
                new: new.clone(),
            });
        }
    }
    Ok(())
}

/// What a lock says after all `results` are published as these `packages`, of which source packages may be others than were made: records of
/// the plan's architecture are these, those of other architectures stay. A component of `known` that has no result keeps its record.
pub fn record(
    lock: &Lock,
    plan: &Plan,
    results: &Results,
    packages: &Packages,
    is_known: &dyn Fn(&ComponentName) -> bool,
) -> Lock {
    let mut lock = lock.clone();
    lock.published
        .retain(|(component, arch), _| *arch != plan.arch || is_known(component));
    let sources: BTreeMap<&ComponentName, Sha256> = (packages.packages.iter())
        .filter(|package| package.kind == Kind::Source)
        .map(|package| (&package.component, package.rpm))
        .collect();
    for job in &plan.jobs {
        let Some(finished) = results.get(&job.component) else {
            continue;
        };
        let key = (job.component.clone(), job.arch);
        let recipe = &finished.job(job).recipe;
        let before = lock.published.get(&key);
        let evr = match before {
            // The record's own, without the counter.
            Some(before) if recipe.rebuild > 0 => before.evr.clone(),
            _ => recipe.evr.clone(),
        };
        let new = Published {
            evr,
            rebuild: recipe.rebuild,
            source: sources.get(&job.component).copied(),
            packages: products(&finished.built)
                .map(|(nevra, digest)| (nevra.to_string(), *digest))
                .collect(),
        };
        lock.published.insert(key, new);
    }
    lock
}

/// The source package of a result.
pub fn source(built: &Built) -> Option<&Output> {
    let mut outputs = built.outputs.iter();
    outputs.find(|output| output.package.kind == Kind::Source)
}

/// The digest of the source package that is published with just these packages, where it is another one: only comments of
/// the SPEC differ, or what a build never reads.
pub fn published_source(lock: &Lock, job: &Job, built: &Arc<Built>) -> Option<Sha256> {
    let published = lock.published.get(&(job.component.clone(), job.arch))?;
    let is_published = is_of(published, &job.recipe) && published.differences(products(built)).is_empty();
    let made = source(built)?.package.rpm;
    published.source.filter(|digest| is_published && *digest != made)
}

#[cfg(test)]
pub(crate) mod tests;
