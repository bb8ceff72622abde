//! What a run would build, without building: the fingerprints that can be known, and why the others cannot.
//!
//! A job whose root's packages are all in the store has its fingerprint, and with it its answer. Where a job before it is to be
//! built, its root is not known: if its own inputs were never built, it will be built for sure, and if a package that
//! was in its last root gets another version, too. Else it depends on whether that build gives the same bytes as before
//! (early cut-off).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use keel_artefact::{ComponentName, Evr, Interrupt, Interrupted, Sha256};
use keel_plan::{Job, Plan};
use keel_store::Store;
use serde::{Deserialize, Serialize};

use crate::{
    Built, Names,
    fingerprint::{self, Input, Kind, Own},
    foreign,
    generate::Ground,
    job,
    record::{self, Change, Record},
    scriptlets::{Changes, Seen},
    set,
};

/// Will a job be built?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// No: the store has its result.
    Cached,
    /// Yes.
    Build,
    /// If what it waits for does not come out as it was.
    Maybe,
}

/// What is known of one job.
#[derive(Debug, Clone, Serialize)]
pub struct Forecast {
    /// Its component.
    pub component: ComponentName,
    /// Will it be built?
    pub state: State,
    /// The key of its result, where it can be known.
    pub fingerprint: Option<Sha256>,
    /// Was it ever built here?
    pub built_before: bool,
    /// What differs from its last build, as far as it can be known. Empty for a result that the store had and lost.
    pub changes: Vec<Change>,
    /// Packages of its last root that get another version: name, what it was, the component that makes it.
    pub replaced: Vec<Replaced>,
    /// Jobs before it that are, or may be, built, the direct needs only.
    pub waits_for: Vec<ComponentName>,
    /// Why no root can be made for it.
    pub problem: Option<String>,
    /// Version and release with a higher rebuild counter, where the store knows already that the planned ones are published
    /// with other bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raised: Option<Evr>,
    /// Why that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raised_because: Option<String>,
    /// What scriptlets of foreign packages did in its build root, where the store has its result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scriptlets: Option<Changes>,
}

/// A package of a last root that there will be no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Replaced {
    /// Its identity.
    pub was: String,
    /// What its component will make instead; none: nothing.
    pub becomes: Option<String>,
    /// The component that makes it.
    pub component: ComponentName,
}

/// What is asked, and of which store.
pub struct Question<'a> {
    /// The store.
    pub store: &'a Store,
    /// The name under which last builds were remembered.
    pub distribution: &'a str,
    /// The borrowed root.
    pub stage0: &'a Sha256,
    /// What is published under which name.
    pub names: Names<'a>,
    /// What comes from a base's repositories.
    pub foreign: &'a foreign::Components,
    /// Capabilities that stage0 lends.
    pub is_lent: &'a dyn Fn(&str) -> bool,
    /// What is known of results, for many roots.
    pub index: &'a crate::closure::Index,
    /// Ends it.
    pub interrupt: &'a Interrupt,
}

/// There is no forecast.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The user stopped it.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] keel_store::Error),
}

/// The forecast of each job, in the order of the plan.
pub fn forecast(question: &Question<'_>, plan: &Plan) -> Result<Vec<Forecast>, Error> {
    let foreign = question.foreign.iter();
    let mut known: BTreeMap<&ComponentName, Arc<Built>> =
        foreign.map(|(name, built)| (name, Arc::clone(built))).collect();
    let mut states: BTreeMap<&ComponentName, State> =
        known.keys().map(|name| (*name, State::Cached)).collect();
    let jobs: BTreeMap<&ComponentName, &Job> = plan.jobs.iter().map(|job| (&job.component, job)).collect();
    let mut all = Vec::new();
    for job in &plan.jobs {
        question.interrupt.check()?;
        let last = record::last(question.store, question.distribution, job.arch, &job.component)?;
        let before: Option<Vec<Arc<Built>>> = job.after.iter().map(|name| known.get(name).cloned()).collect();
        let mut new = Forecast {
            component: job.component.clone(),
            state: State::Build,
            fingerprint: None,
            built_before: last.is_some(),
            changes: Vec::new(),
            replaced: Vec::new(),
            waits_for: Vec::new(),
            problem: None,
            raised: None,
            raised_because: None,
            scriptlets: None,
        };
        match before {
            Some(before) => {
                if let Some(built) = with_root(question, job, &before, last.as_ref(), &mut new)? {
                    known.insert(&job.component, Arc::new(built));
                }
            }
            None => without_root(question, job, last.as_ref(), &jobs, &states, plan, &mut new)?,
        }
        states.insert(&job.component, new.state);
        all.push(new);
    }
    // What it ended in the last job would be told as a problem of that.
    question.interrupt.check()?;
    Ok(all)
}

/// All packages of the root are known.
fn with_root(
    question: &Question<'_>,
    job: &Job,
    before: &[Arc<Built>],
    last: Option<&Record>,
    new: &mut Forecast,
) -> Result<Option<Built>, Error> {
    let Some(mut inputs) = inputs(question, job, before, new)? else {
        return Ok(None);
    };
    let mut key = fingerprint::of(&inputs);
    let mut built = job::recorded(question.store, &key)?;
    let differences = built
        .as_ref()
        .and_then(|built| question.names.differences(job, built));
    if let Some(differences) = differences {
        match question.names.raised(job) {
            Ok(raised) => {
                new.raised = Some(raised.recipe.evr.clone());
                new.raised_because = Some(differences.to_string());
                // Its own section may never have run.
                inputs = match self::inputs(question, &raised, before, new)? {
                    Some(inputs) => inputs,
                    None => return Ok(None),
                };
                key = fingerprint::of(&inputs);
                built = job::recorded(question.store, &key)?;
            }
            Err(error) => {
                new.problem = Some(error.to_string());
                return Ok(None);
            }
        }
    }
    new.fingerprint = Some(key);
    if let Some(built) = built {
        new.state = State::Cached;
        new.scriptlets.clone_from(&built.scriptlets);
        return Ok(Some(built));
    }
    new.changes = last.map_or_else(Vec::new, |last| last.changes(job, &inputs));
    Ok(None)
}

/// All that a job sees in its root; none: that is not known, or there is a problem.
fn inputs(
    question: &Question<'_>,
    job: &Job,
    before: &[Arc<Built>],
    new: &mut Forecast,
) -> Result<Option<Vec<Input>>, Error> {
    let ground = Ground {
        store: question.store,
        stage0: question.stage0,
        is_lent: question.is_lent,
        job,
        before,
        index: question.index,
        interrupt: question.interrupt,
        scriptlets: &|packages| {
            // What is not here yet is not known.
            if !(question.foreign).note_scriptlets(question.store, packages, question.interrupt)? {
                return Ok(Seen::NotRun);
            }
            Ok(set::seen(
                question.store,
                question.stage0,
                job.bootstrap_libc,
                packages,
            )?)
        },
    };
    // None: the section was never run in this root; or the scriptlets of its packages were not.
    match ground.settle(&mut |_, _| Ok(None)) {
        Ok(settled) => Ok(settled.map(|settled| {
            let (packages, generated) = (&settled.packages, &settled.generated);
            fingerprint::inputs(job, question.stage0, packages, settled.scriptlets, generated)
        })),
        Err(crate::Error::Store(error)) => Err(error.into()),
        Err(error) => {
            new.problem = Some(error.to_string());
            Ok(None)
        }
    }
}

/// Something before the job is to be built.
fn without_root(
    question: &Question<'_>,
    job: &Job,
    last: Option<&Record>,
    jobs: &BTreeMap<&ComponentName, &Job>,
    states: &BTreeMap<&ComponentName, State>,
    plan: &Plan,
    new: &mut Forecast,
) -> Result<(), Error> {
    let is_open = |name: &&ComponentName| states.get(name).is_none_or(|state| *state != State::Cached);
    new.waits_for = job.needs.iter().filter(is_open).cloned().collect();
    if new.waits_for.is_empty() {
        // What it needs is there, but something that this was made with is not.
        new.waits_for = job.after.iter().filter(is_open).cloned().collect();
    }
    let own = fingerprint::own_inputs(&Own::from(job), question.stage0);
    if let Some(last) = last {
        new.changes = last.own_changes(job, &own);
    }
    let Some(same) = record::last_of_own(question.store, &own)? else {
        return Ok(());
    };
    let roots = same.inputs.iter().filter(|input| input.kind == Kind::Package);
    let open: BTreeSet<&ComponentName> = job.after.iter().filter(is_open).collect();
    for nevra in roots.filter_map(|input| input.name.as_deref()) {
        let name = record::package_name(nevra);
        let maker = plan.providers.get(name);
        let Some(maker) = maker.filter(|maker| open.contains(maker)) else {
            continue;
        };
        let Some(maker) = jobs.get(maker) else { continue };
        let mut packages = maker.recipe.packages.iter();
        let becomes = packages.find(|package| package.nevra.name.as_str() == name);
        let becomes = becomes.map(|package| package.nevra.to_string());
        if becomes.as_deref() != Some(nevra) {
            new.replaced.push(Replaced {
                was: nevra.to_owned(),
                becomes,
                component: maker.component.clone(),
            });
        }
    }
    if new.replaced.is_empty() {
        new.state = State::Maybe;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
