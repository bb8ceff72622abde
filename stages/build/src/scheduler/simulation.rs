//! A run without work: the same queue, driven by a heap of what ends next. It foretells how long a run still takes, and
//! proves what the order is worth.

use std::{cmp::Ordering, collections::BinaryHeap};

use super::queue::{self, Order, Policy, Queue, State, Task, longest_way};

/// What really happens to a task, which is not what was expected.
#[derive(Debug, Clone, Copy)]
pub struct Truth {
    /// How long each of its runs takes.
    pub seconds: f64,
    /// How often it fails before it is done.
    pub failures: usize,
}

impl Truth {
    /// Of all its runs.
    pub fn total(&self) -> f64 {
        self.seconds * (self.failures + 1) as f64
    }
}

/// How long all tasks take.
pub fn makespan(tasks: &[Task], truths: &[Truth], policy: Policy, order: Order) -> f64 {
    let mut queue = Queue::new(tasks, policy, order);
    let took = drain(&mut queue, &[], &|index, failures| {
        let truth = truths[index];
        (truth.seconds, failures >= truth.failures)
    });
    match queue.states().iter().all(|state| *state == State::Done) {
        true => took,
        false => f64::INFINITY,
    }
}

/// What no order can beat on so many places: the longest chain, and all work spread evenly.
pub fn bound(tasks: &[Task], truths: &[Truth], jobs: usize) -> f64 {
    let work: f64 = truths.iter().map(Truth::total).sum();
    longest_way(&real(tasks, truths)).max(work / jobs.max(1) as f64)
}

/// The same, nearer to what can be had: what has a long way before it and a long way after it must be done in between.
/// Takes the square of the number of tasks.
pub fn close_bound(tasks: &[Task], truths: &[Truth], jobs: usize) -> f64 {
    let real = real(tasks, truths);
    let users = queue::users(&real);
    let after = ways_beyond(&real, &users);
    let turned: Vec<Task> = (real.iter().zip(users))
        .map(|(task, users)| Task {
            needs: users,
            ..task.clone()
        })
        .collect();
    let before = ways_beyond(&turned, &queue::users(&turned));
    let mut from_the_end: Vec<usize> = (0..real.len()).collect();
    from_the_end.sort_by(|one, other| after[*other].total_cmp(&after[*one]));
    let mut best = bound(tasks, truths, jobs);
    for first in &before {
        let mut within = 0.0;
        for index in from_the_end.iter().filter(|index| before[**index] >= *first) {
            within += real[*index].seconds;
            best = best.max(first + within / jobs.max(1) as f64 + after[*index]);
        }
    }
    best
}

/// The longest way that starts with each task, without the task.
fn ways_beyond(tasks: &[Task], users: &[Vec<usize>]) -> Vec<f64> {
    let ways = queue::ways(tasks, users).into_iter();
    ways.zip(tasks).map(|(way, task)| way - task.seconds).collect()
}

/// The tasks with the times that they really take, failed runs included.
fn real(tasks: &[Task], truths: &[Truth]) -> Vec<Task> {
    (tasks.iter().zip(truths))
        .map(|(task, truth)| Task {
            seconds: truth.total(),
            ..task.clone()
        })
        .collect()
}

/// How long the rest of a run takes. `running` are the tasks that run, with the time that each still needs; `run` tells how
/// long a task takes that failed so often before, and whether it succeeds.
pub fn rest(mut queue: Queue, running: &[(usize, f64)], run: &dyn Fn(usize, usize) -> (f64, bool)) -> f64 {
    drain(&mut queue, running, run)
}

fn drain(queue: &mut Queue, running: &[(usize, f64)], run: &dyn Fn(usize, usize) -> (f64, bool)) -> f64 {
    let mut ends: BinaryHeap<End> = (running.iter())
        .map(|(index, left)| End {
            at: left.max(0.0),
            index: *index,
            well: true,
        })
        .collect();
    let mut now = 0.0;
    loop {
        while let Some(start) = queue.start() {
            let (seconds, well) = run(start.index, start.failures);
            ends.push(End {
                at: now + seconds.max(0.0),
                index: start.index,
                well,
            });
        }
        let Some(end) = ends.pop() else { return now };
        now = end.at;
        if end.well {
            queue.done(end.index);
        } else {
            queue.failed(end.index, true);
        }
    }
}

/// The end of one run of a task. The greatest is the earliest.
struct End {
    at: f64,
    index: usize,
    well: bool,
}

impl Ord for End {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_time = other.at.total_cmp(&self.at);
        by_time.then_with(|| other.index.cmp(&self.index))
    }
}

impl PartialOrd for End {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for End {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for End {}
