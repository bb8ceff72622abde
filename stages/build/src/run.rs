//! All jobs of a plan, in the right order, two or more at once.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use keel_artefact::{ComponentName, Event, event::Outcome};
use keel_plan::{Generated, Job, Plan};

use crate::{
    Built, Check, Error, Errors, Packages, Workshop,
    expected::{self, Expected},
    job::{self, Finished, Turn},
    progress::Progress,
    scheduler::{self, Fate, Hooks, Order, Policy, Queue, Start, Task},
};

/// How to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Jobs at once.
    pub jobs: usize,
    /// Go on after a failure with what does not need it.
    pub keep_going: bool,
    /// Bytes of memory that the running jobs may be expected to need together.
    pub memory: u64,
    /// How often a build that failed runs again.
    pub retries: usize,
    /// What failed in this run by an earlier plan: it is not built again, and neither is what needs it.
    pub failed: BTreeSet<ComponentName>,
    /// What the user waits for, first things first: jobs of the first group (and what they need) run before those
    /// of the second, which get what processor time is left. Jobs in no group come last.
    pub groups: Vec<BTreeSet<ComponentName>>,
}

/// The result of each component.
pub type Results = BTreeMap<ComponentName, Finished>;

/// Runs the plan. `on_progress` is called on this thread, with the results so far, whenever a job is done; jobs go on
/// meanwhile.
pub fn run(
    shop: &Workshop<'_>,
    plan: &Plan,
    options: &Options,
    on_progress: &mut dyn FnMut(&Results),
) -> Result<Results, Errors> {
    let ranks = ranks(plan, &options.groups);
    let expected = expected::of(plan);
    let queue = Queue::new(
        &tasks(plan, &ranks, &expected),
        options.policy(),
        Order::LongestWay,
    );
    let progress = Progress::new(&expected);
    let results: Mutex<Results> = Mutex::default();
    let lock = || results.lock().unwrap_or_else(PoisonError::into_inner);
    let run_one = |start: Start, changed: &dyn Fn()| -> Result<(), Error> {
        let job = &plan.jobs[start.index];
        if options.failed.contains(&job.component) {
            return Err(Error::FailedBefore);
        }
        let before: Vec<Arc<Built>> = shop.foreign.before(job, &lock());
        let turn = Turn {
            nice: if ranks[start.index] == 0 { 0 } else { 10 },
            cores: share_of(shop.cores, start.share),
            failures: start.failures,
            retries: options.retries,
        };
        let begins = || {
            let expected = progress.begins(start.index);
            changed();
            expected
        };
        let finished = tell(shop, job, &turn, &begins, |begins| {
            shop.finish(job, &before, &turn, begins)
        });
        progress.ended(start.index, finished.is_ok());
        lock().insert(job.component.clone(), finished?);
        Ok(())
    };
    let hooks = Hooks {
        run: run_one,
        may_run_again: Error::may_be_flaky,
        is_postponed: Error::is_postponed,
        failed: |start: Start, error: &Error, runs_again: bool| {
            let again = runs_again.then_some((start.failures + 1, options.retries));
            let text = warning(&plan.jobs[start.index], error, again);
            shop.sink.event(Event::Warning { text: &text });
        },
        settled: |queue| {
            progress.tell(queue, shop.sink);
            let so_far = lock().clone();
            on_progress(&so_far);
        },
        stop: || shop.interrupt.is_set(),
    };
    let fates = scheduler::run(queue, options.jobs, hooks);
    let mut errors = Errors {
        failed: Vec::new(),
        wanted: Generated::new(),
        skipped: Vec::new(),
    };
    let mut is_whole = true;
    for (fate, job) in fates.into_iter().zip(&plan.jobs) {
        match fate {
            Fate::Done(()) => {}
            Fate::Failed(Error::Wants(all)) => drop(errors.wanted.insert(job.component.clone(), all)),
            Fate::Failed(Error::FailedBefore) => is_whole = false,
            Fate::Failed(error) => errors.failed.push((job.component.clone(), error)),
            Fate::Skipped(_) => errors.skipped.push(job.component.clone()),
        }
    }
    if shop.interrupt.is_set() && errors.failed.is_empty() && !errors.skipped.is_empty() {
        errors.failed.push((
            errors.skipped[0].clone(),
            keel_artefact::interrupt::Interrupted.into(),
        ));
    }
    if is_whole && errors.failed.is_empty() && errors.wanted.is_empty() {
        Ok(results.into_inner().unwrap_or_else(PoisonError::into_inner))
    } else {
        Err(errors)
    }
}

impl Options {
    fn policy(&self) -> Policy {
        Policy {
            jobs: self.jobs,
            // Without any, one build runs at a time.
            memory: self.memory.max(1),
            keep_going: self.keep_going,
            retries: self.retries,
        }
    }
}

/// The jobs as the scheduler sees them.
fn tasks(plan: &Plan, ranks: &[usize], expected: &[Expected]) -> Vec<Task> {
    let places: BTreeMap<&ComponentName, usize> = plan
        .jobs
        .iter()
        .enumerate()
        .map(|(index, job)| (&job.component, index))
        .collect();
    let task = |(index, job): (usize, &Job)| Task {
        needs: job
            .needs
            .iter()
            .filter_map(|need| places.get(need).copied())
            .collect(),
        rank: ranks[index],
        seconds: expected[index].seconds,
        memory: expected[index].memory,
    };
    plan.jobs.iter().enumerate().map(task).collect()
}

/// A share of the processors, in whole ones.
fn share_of(cores: usize, share: f64) -> usize {
    // A third of three is one, whatever floating point says.
    let wanted = (cores as f64 * share - 1e-6).ceil();
    (wanted as usize).clamp(1, cores.max(1))
}

impl Packages {
    /// The artefact of a run.
    pub fn of(plan: &Plan, results: &Results) -> Self {
        let packages = job::all_packages(results.values().map(|done| &*done.built));
        let is_unlocked = |job: &&Job| job.sources.files.iter().any(|file| !file.locked);
        let direct: BTreeSet<_> = plan
            .jobs
            .iter()
            .filter(is_unlocked)
            .map(|job| &job.component)
            .collect();
        let is_tainted = |job: &&Job| {
            direct.contains(&job.component) || job.after.iter().any(|before| direct.contains(before))
        };
        let unlocked = plan
            .jobs
            .iter()
            .filter(is_tainted)
            .map(|job| job.component.clone())
            .collect();
        let check = |job: &Job| {
            let done = results.get(&job.component)?;
            Some((job.component.clone(), Check::of(job, &done.built)))
        };
        Self {
            checks: plan.jobs.iter().filter_map(check).collect(),
            ..Self::new(plan.arch, packages, unlocked)
        }
    }
}

/// Each job's group: the first one that needs it.
fn ranks(plan: &Plan, groups: &[BTreeSet<ComponentName>]) -> Vec<usize> {
    let rank = |job: &Job| {
        let needed_by = |group: &BTreeSet<ComponentName>| {
            group.contains(&job.component)
                || group.iter().any(|name| {
                    plan.job(name)
                        .is_some_and(|other| other.after.contains(&job.component))
                })
        };
        groups.iter().position(needed_by).unwrap_or(groups.len())
    };
    if groups.is_empty() {
        vec![0; plan.jobs.len()]
    } else {
        plan.jobs.iter().map(rank).collect()
    }
}

/// Tells the sink how a job goes. `work` calls what it is given when the store does not have the result; that asks `begins`
/// how long it will take.
fn tell(
    shop: &Workshop<'_>,
    job: &Job,
    turn: &Turn,
    begins: &dyn Fn() -> Duration,
    work: impl FnOnce(&dyn Fn()) -> Result<Finished, Error>,
) -> Result<Finished, Error> {
    let id = format!("build:{}", job.component);
    let title = format!("{} {}", job.component, job.recipe.evr);
    let begun = Cell::new(false);
    let begins = || {
        begun.set(true);
        shop.sink.event(Event::Started {
            id: &id,
            title: &title,
            total: None,
        });
        shop.sink.event(Event::Expected {
            id: &id,
            time: begins(),
        });
    };
    let started = Instant::now();
    let result = work(&begins);
    let outcome = match &result {
        // A section may have run, and nothing after it.
        Ok(finished) if finished.was_cached && begun.get() => Outcome::Cached,
        Ok(finished) if finished.was_cached => {
            shop.sink.event(Event::Unchanged {
                id: &id,
                title: &title,
            });
            tell_check(shop, job, &id, finished);
            return result;
        }
        Ok(_) if turn.failures > 0 => Outcome::Flaky(turn.failures),
        Ok(_) => Outcome::Done,
        Err(Error::Wants(_)) => Outcome::Postponed,
        Err(_) => Outcome::Failed,
    };
    shop.sink.event(Event::Finished {
        id: &id,
        outcome,
        elapsed: started.elapsed(),
    });
    if let Ok(finished) = &result {
        tell_check(shop, job, &id, finished);
    }
    result
}

/// Tells what became of `%check`.
fn tell_check(shop: &Workshop<'_>, job: &Job, id: &str, finished: &Finished) {
    let check = Check::of(job, &finished.built);
    let by = match &check {
        Check::LeftOut { by } => Some(by.as_str()),
        Check::Passed | Check::None => None,
    };
    let result = check.word();
    shop.sink.event(Event::Checked { id, result, by });
}

/// The first line of an error: it is told again at the end, with all others, but a long run should not keep it to itself until
/// then. Of what runs `again` (for which time, and how often it may) nothing is told later: here is all.
fn warning(job: &Job, error: &Error, again: Option<(usize, usize)>) -> String {
    let text = error.to_string();
    let component = &job.component;
    let first = text.lines().next().unwrap_or_default();
    match (error, again) {
        (Error::Failed(failure), Some((time, most))) => format!(
            "`{component}`: {first}; it runs again ({time} of {most}); log: {}",
            failure.log.display()
        ),
        _ => format!("`{component}`: {first}"),
    }
}

#[cfg(test)]
mod tests {
    use super::share_of;

    #[test]
    fn shares_are_whole_processors() {
        for (cores, share, expected) in [
            (2, 1.0, 2),
            (2, 0.1, 1),
            (8, 2.0 / 3.0, 6),
            (3, 1.0 / 3.0, 1),
            (64, 2.0 / 64.0, 2),
            (1, 0.5, 1),
            (0, 1.0, 1),
        ] {
            assert_eq!(share_of(cores, share), expected, "{share} of {cores}");
        }
    }
}
