//! A ready queue for work with dependencies, on a fixed number of threads. It knows nothing of building.
//!
//! Of the tasks whose needs are done, the one of the lowest rank runs first (rank: the group that a user waits for),
//! and within a rank the one with the longest way still to go. Ties are broken by the order given, so that two runs
//! start alike.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Condvar, Mutex, PoisonError},
};

/// One piece of work.
#[derive(Debug, Clone)]
pub struct Task {
    /// Tasks that must be done before, by index.
    pub needs: Vec<usize>,
    /// Which group it belongs to; lower runs first.
    pub rank: usize,
    /// Cost of the longest chain that starts with it, in any unit.
    pub weight: f64,
}

/// What became of one task.
#[derive(Debug)]
pub enum Fate<T, E> {
    /// It ran and gave this.
    Done(T),
    /// It ran and failed.
    Failed(E),
    /// It did not run: something it needs (named by index) failed, or the run was stopped.
    Skipped(Option<usize>),
}

/// When to stop after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// Start nothing more; what runs is finished.
    Stop,
    /// Go on with everything that does not need what failed.
    KeepGoing,
}

struct State<T, E> {
    fates: BTreeMap<usize, Fate<T, E>>,
    waiting: BTreeSet<usize>,
    running: usize,
    stopped: bool,
}

/// Runs every task once, on `threads` threads, and gives their fates in the order of `tasks`.
///
/// `run(index, results)` runs on a worker; `results` looks up what a finished task gave. `settled` is called on the calling
/// thread after each change with the set of indices that are done, and may take its time: workers go on meanwhile.
/// `stop` is asked before each start.
pub fn run<T, E, Run, Settled, Stop>(
    tasks: &[Task],
    threads: usize,
    on_failure: OnFailure,
    run: Run,
    mut settled: Settled,
    stop: Stop,
) -> Vec<Fate<T, E>>
where
    T: Clone + Send,
    E: Send,
    Run: Fn(usize, &dyn Fn(usize) -> Option<T>) -> Result<T, E> + Sync,
    Settled: FnMut(&BTreeSet<usize>),
    Stop: Fn() -> bool + Sync,
{
    let state: Mutex<State<T, E>> = Mutex::new(State {
        fates: BTreeMap::new(),
        waiting: (0..tasks.len()).collect(),
        running: 0,
        stopped: false,
    });
    let changed = Condvar::new();
    let lock = || state.lock().unwrap_or_else(PoisonError::into_inner);
    let result_of = |index: usize| match lock().fates.get(&index) {
        Some(Fate::Done(value)) => Some(value.clone()),
        _ => None,
    };
    let worker = || {
        let mut state = lock();
        loop {
            state.stopped |= stop();
            skip_hopeless(tasks, &mut state);
            if state.waiting.is_empty() {
                changed.notify_all();
                return;
            }
            let Some(index) = next_ready(tasks, &state) else {
                if state.running == 0 {
                    // Only a cycle is left; plans have none, but a loop here must not hang.
                    for index in std::mem::take(&mut state.waiting) {
                        state.fates.insert(index, Fate::Skipped(None));
                    }
                    continue;
                }
                state = changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            state.waiting.remove(&index);
            state.running += 1;
            drop(state);
            let fate = match run(index, &result_of) {
                Ok(value) => Fate::Done(value),
                Err(error) => Fate::Failed(error),
            };
            state = lock();
            state.running -= 1;
            state.stopped |= matches!(fate, Fate::Failed(_)) && on_failure == OnFailure::Stop;
            state.fates.insert(index, fate);
            changed.notify_all();
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(worker);
        }
        let mut seen = usize::MAX;
        loop {
            let state = lock();
            if state.fates.len() == seen && seen < tasks.len() {
                drop(changed.wait(state).unwrap_or_else(PoisonError::into_inner));
                continue;
            }
            seen = state.fates.len();
            let is_done =
                |(index, fate): (&usize, &Fate<T, E>)| matches!(fate, Fate::Done(_)).then_some(*index);
            let done = state.fates.iter().filter_map(is_done).collect();
            drop(state);
            settled(&done);
            if seen == tasks.len() {
                return;
            }
        }
    });
    let state = state.into_inner().unwrap_or_else(PoisonError::into_inner);
    state.fates.into_values().collect()
}

/// The task to start now.
fn next_ready<T, E>(tasks: &[Task], state: &State<T, E>) -> Option<usize> {
    let is_done = |index: &usize| matches!(state.fates.get(index), Some(Fate::Done(_)));
    let ready = state
        .waiting
        .iter()
        .copied()
        .filter(|index| tasks[*index].needs.iter().all(is_done));
    ready.min_by(|one, other| {
        let (one, other) = (&tasks[*one], &tasks[*other]);
        one.rank
            .cmp(&other.rank)
            .then_with(|| other.weight.total_cmp(&one.weight))
    })
}

/// Gives up every waiting task that can no longer run.
fn skip_hopeless<T, E>(tasks: &[Task], state: &mut State<T, E>) {
    if state.stopped {
        for index in std::mem::take(&mut state.waiting) {
            state.fates.insert(index, Fate::Skipped(None));
        }
        return;
    }
    loop {
        let is_lost =
            |index: &&usize| matches!(state.fates.get(index), Some(Fate::Failed(_) | Fate::Skipped(_)));
        let lost = state.waiting.iter().find_map(|index| {
            let cause = tasks[*index].needs.iter().find(is_lost)?;
            Some((*index, *cause))
        });
        let Some((index, cause)) = lost else { return };
        state.waiting.remove(&index);
        state.fates.insert(index, Fate::Skipped(Some(cause)));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn task(needs: &[usize], rank: usize, weight: f64) -> Task {
        Task {
            needs: needs.to_vec(),
            rank,
            weight,
        }
    }

    fn order(tasks: &[Task]) -> Vec<usize> {
        let log = Mutex::new(Vec::new());
        let run = |index, _: &dyn Fn(usize) -> Option<()>| -> Result<(), ()> {
            log.lock().unwrap().push(index);
            Ok(())
        };
        super::run(tasks, 1, OnFailure::Stop, run, |_| {}, || false);
        log.into_inner().unwrap()
    }

    #[test]
    fn needs_come_first_then_rank_then_the_longest_way() {
        let tasks = [
            task(&[], 1, 9.0),
            task(&[], 0, 1.0),
            task(&[], 0, 5.0),
            task(&[1], 0, 0.5),
        ];
        assert_eq!(order(&tasks), [2, 1, 3, 0]);
    }

    #[test]
    fn results_reach_dependents_and_two_run_at_once() {
        let tasks = [task(&[], 0, 1.0), task(&[], 0, 1.0), task(&[0, 1], 0, 1.0)];
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let run = |index: usize, results: &dyn Fn(usize) -> Option<usize>| -> Result<usize, ()> {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::sleep(std::time::Duration::from_millis(30));
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(if index == 2 {
                results(0).unwrap() + results(1).unwrap()
            } else {
                index + 10
            })
        };
        let mut seen = 0;
        let fates = super::run(
            &tasks,
            2,
            OnFailure::Stop,
            run,
            |done| seen = done.len(),
            || false,
        );
        assert!(matches!(fates[2], Fate::Done(21)), "{fates:?}");
        assert_eq!((most.into_inner(), seen), (2, 3));
    }

    #[test]
    fn a_failure_skips_what_needs_it_and_keep_going_builds_the_rest() {
        let tasks = [
            task(&[], 0, 9.0),
            task(&[0], 0, 1.0),
            task(&[1], 0, 1.0),
            task(&[], 0, 1.0),
        ];
        let run = |index, _: &dyn Fn(usize) -> Option<()>| if index == 0 { Err("broken") } else { Ok(()) };
        let fates = super::run(&tasks, 1, OnFailure::KeepGoing, run, |_| {}, || false);
        assert!(matches!(fates[0], Fate::Failed("broken")));
        assert!(matches!(fates[1], Fate::Skipped(Some(0))));
        assert!(matches!(fates[2], Fate::Skipped(Some(1))));
        assert!(matches!(fates[3], Fate::Done(())));
        let fates = super::run(&tasks, 1, OnFailure::Stop, run, |_| {}, || false);
        assert!(matches!(fates[3], Fate::Skipped(None)));
    }

    #[test]
    fn a_cycle_ends_and_a_stop_is_heeded() {
        let run = |_, _: &dyn Fn(usize) -> Option<()>| -> Result<(), ()> { Ok(()) };
        let tasks = [task(&[1], 0, 1.0), task(&[0], 0, 1.0)];
        let fates = super::run(&tasks, 2, OnFailure::Stop, run, |_| {}, || false);
        assert!(fates.iter().all(|fate| matches!(fate, Fate::Skipped(None))));
        let fates = super::run(&[task(&[], 0, 1.0)], 2, OnFailure::Stop, run, |_| {}, || true);
        assert!(matches!(fates[0], Fate::Skipped(None)));
    }
}
