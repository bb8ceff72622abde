//! Work with dependencies, on a fixed number of threads. It knows nothing of building.
//!
//! 1. [`queue`] decides what starts: a state machine without threads and clock.
//! 2. [`run`] drives it with threads.
//! 3. [`simulation`] drives it without work.

pub mod queue;
pub mod simulation;
#[cfg(test)]
mod tests;

use std::sync::{Condvar, Mutex, PoisonError};

pub use queue::{Order, Policy, Queue, Start, State, Task};

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

struct Shared<T, E> {
    queue: Queue,
    results: Vec<Option<Result<T, E>>>,
    changes: usize,
}

/// What [`run`] asks and tells.
pub struct Hooks<Run, Again, Postponed, Failed, Settled, Stop> {
    /// Does one task, on a worker. Calls what it is given when there is something to be told meanwhile.
    pub run: Run,
    /// May a task that failed so run again?
    pub may_run_again: Again,
    /// Is a task that ended so only to be done in another run? Then nothing stops because of it.
    pub is_postponed: Postponed,
    /// Called on a worker when a task failed: which, why, and whether it runs again.
    pub failed: Failed,
    /// Called on the calling thread at the start, after each end, and when a task asks for it, with the queue as it is then. It may take its time: workers
    /// go on meanwhile, and several ends may be told at once.
    pub settled: Settled,
    /// Asked before each start.
    pub stop: Stop,
}

/// Runs every task of the queue on `threads` threads, and gives their fates in the order of the tasks.
pub fn run<T, E, Run, Again, Postponed, Failed, Settled, Stop>(
    queue: Queue,
    threads: usize,
    hooks: Hooks<Run, Again, Postponed, Failed, Settled, Stop>,
) -> Vec<Fate<T, E>>
where
    T: Send,
    E: Send,
    Run: Fn(Start, &dyn Fn()) -> Result<T, E> + Sync,
    Again: Fn(&E) -> bool + Sync,
    Postponed: Fn(&E) -> bool + Sync,
    Failed: Fn(Start, &E, bool) + Sync,
    Settled: FnMut(Queue),
    Stop: Fn() -> bool + Sync,
{
    let Hooks {
        run,
        may_run_again,
        is_postponed,
        failed,
        mut settled,
        stop,
    } = hooks;
    let tasks = queue.states().len();
    let shared: Mutex<Shared<T, E>> = Mutex::new(Shared {
        queue,
        results: (0..tasks).map(|_| None).collect(),
        changes: 0,
    });
    let changed = Condvar::new();
    let lock = || shared.lock().unwrap_or_else(PoisonError::into_inner);
    let tell = || {
        lock().changes += 1;
        changed.notify_all();
    };
    let worker = || {
        let mut shared = lock();
        loop {
            // Needs that go round in a circle: plans have none, but a loop here must not hang.
            if stop() || shared.queue.is_stuck() {
                shared.queue.stop();
            }
            if shared.queue.is_over() {
                changed.notify_all();
                return;
            }
            let Some(start) = shared.queue.start() else {
                shared = changed.wait(shared).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(shared);
            let result = run(start, &tell);
            shared = lock();
            // A run that is stopped starts nothing again.
            if stop() {
                shared.queue.stop();
            }
            let is_last = match &result {
                Ok(_) => {
                    shared.queue.done(start.index);
                    true
                }
                Err(error) if is_postponed(error) => {
                    shared.queue.postponed(start.index);
                    true
                }
                Err(error) => {
                    let runs_again = shared.queue.failed(start.index, may_run_again(error));
                    drop(shared);
                    failed(start, error, runs_again);
                    shared = lock();
                    !runs_again
                }
            };
            if is_last {
                shared.results[start.index] = Some(result);
            }
            shared.changes += 1;
            changed.notify_all();
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(worker);
        }
        let mut seen = None;
        loop {
            let mut shared = lock();
            while seen == Some(shared.changes) && !shared.queue.is_over() {
                shared = changed.wait(shared).unwrap_or_else(PoisonError::into_inner);
            }
            seen = Some(shared.changes);
            let queue = shared.queue.clone();
            drop(shared);
            let is_over = queue.is_over();
            settled(queue);
            if is_over {
                return;
            }
        }
    });
    let shared = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    let states = shared.queue.states();
    (shared.results.into_iter().zip(states))
        .map(|(result, state)| match (result, state) {
            (Some(Ok(value)), _) => Fate::Done(value),
            (Some(Err(error)), _) => Fate::Failed(error),
            (None, State::Skipped(cause)) => Fate::Skipped(*cause),
            (None, _) => Fate::Skipped(None),
        })
        .collect()
}
