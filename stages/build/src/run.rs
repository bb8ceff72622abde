//! All jobs of a plan, in the right order, two or more at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use keel_artefact::{ComponentName, Event, event::Outcome};
use keel_plan::{Job, Plan};

use crate::{
    Built, Error, Errors, Packages, Workshop,
    job::{self, Finished},
    scheduler::{self, Fate, OnFailure, Task},
};

/// How to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Jobs at once.
    pub jobs: usize,
    /// Go on after a failure with what does not need it.
    pub keep_going: bool,
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
    let places: BTreeMap<&ComponentName, usize> = plan
        .jobs
        .iter()
        .enumerate()
        .map(|(index, job)| (&job.component, index))
        .collect();
    let ranks = ranks(plan, &options.groups);
    let task = |(index, job): (usize, &Job)| Task {
        needs: job
            .needs
            .iter()
            .filter_map(|need| places.get(need).copied())
            .collect(),
        rank: ranks[index],
        weight: job.critical_path,
    };
    let tasks: Vec<Task> = plan.jobs.iter().enumerate().map(task).collect();
    let clock = Clock::new(plan, options.jobs);
    let results: Mutex<Results> = Mutex::default();
    let lock = || results.lock().unwrap_or_else(PoisonError::into_inner);
    let run_one = |index: usize, _: &dyn Fn(usize) -> Option<()>| -> Result<(), Error> {
        let job = &plan.jobs[index];
        let before: Vec<Arc<Built>> = {
            let results = lock();
            job.after
                .iter()
                .filter_map(|name| results.get(name))
                .map(|done| Arc::clone(&done.built))
                .collect()
        };
        let nice = if ranks[index] == 0 { 0 } else { 10 };
        let finished = tell(shop, job, |begins| shop.finish(job, &before, nice, begins))?;
        clock.finished(shop, job, &finished);
        lock().insert(job.component.clone(), finished);
        Ok(())
    };
    let on_failure = if options.keep_going {
        OnFailure::KeepGoing
    } else {
        OnFailure::Stop
    };
    let fates = scheduler::run(
        &tasks,
        options.jobs,
        on_failure,
        run_one,
        |_| {
            let so_far = lock().clone();
            on_progress(&so_far);
        },
        || shop.interrupt.is_set(),
    );
    let mut errors = Errors {
        failed: Vec::new(),
        skipped: Vec::new(),
    };
    for (fate, job) in fates.into_iter().zip(&plan.jobs) {
        match fate {
            Fate::Done(()) => {}
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
    if errors.failed.is_empty() {
        Ok(results.into_inner().unwrap_or_else(PoisonError::into_inner))
    } else {
        Err(errors)
    }
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
        Self::new(plan.arch, packages, unlocked)
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

/// Tells the sink how a job goes. `work` calls what it is given when the store does not have the result.
fn tell(
    shop: &Workshop<'_>,
    job: &Job,
    work: impl FnOnce(&dyn Fn()) -> Result<Finished, Error>,
) -> Result<Finished, Error> {
    let id = format!("build:{}", job.component);
    let title = format!("{} {}", job.component, job.recipe.evr);
    let begins = || {
        shop.sink.event(Event::Started {
            id: &id,
            title: &title,
            total: None,
        });
    };
    let started = Instant::now();
    let result = work(&begins);
    let outcome = match &result {
        Ok(finished) if finished.was_cached => {
            shop.sink.event(Event::Unchanged { title: &title });
            return result;
        }
        Ok(_) => Outcome::Done,
        Err(error) => {
            // Told again at the end, with all others; but a long run should not keep it to itself until then.
            let text = error.to_string();
            let text = format!("`{}`: {}", job.component, text.lines().next().unwrap_or_default());
            shop.sink.event(Event::Warning { text: &text });
            Outcome::Failed
        }
    };
    shop.sink.event(Event::Finished {
        id: &id,
        outcome,
        elapsed: started.elapsed(),
    });
    result
}

/// Reckons how long the rest takes: processor seconds still to spend, as the hints have them, at the pace so far.
struct Clock {
    jobs: f64,
    state: Mutex<Reckoning>,
}

struct Reckoning {
    left: BTreeMap<ComponentName, f64>,
    /// Hinted and measured processor seconds of what was built in this run.
    hinted: f64,
    measured: f64,
}

impl Clock {
    fn new(plan: &Plan, jobs: usize) -> Self {
        let left = plan
            .jobs
            .iter()
            .map(|job| (job.component.clone(), job.cpu_seconds))
            .collect();
        Self {
            jobs: jobs.max(1) as f64,
            state: Mutex::new(Reckoning {
                left,
                hinted: 0.0,
                measured: 0.0,
            }),
        }
    }

    fn finished(&self, shop: &Workshop<'_>, job: &Job, finished: &Finished) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.left.remove(&job.component);
        if !finished.was_cached {
            state.hinted += job.cpu_seconds;
            state.measured += finished.built.cpu.as_secs_f64();
        }
        let pace = if state.hinted > 10.0 {
            (state.measured / state.hinted).clamp(0.1, 10.0)
        } else {
            1.0
        };
        let work: f64 = state.left.values().sum();
        let left = Duration::from_secs_f64(work * pace / self.jobs);
        drop(state);
        shop.sink.event(Event::Remaining { left });
    }
}
