//! The queue, the threads that drive it, and what the order is worth.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{
    simulation::{Truth, bound, makespan},
    *,
};

fn task(needs: &[usize], rank: usize, seconds: f64) -> Task {
    Task {
        needs: needs.to_vec(),
        rank,
        seconds,
        memory: 0,
    }
}

fn queue(tasks: &[Task], policy: Policy) -> Queue {
    Queue::new(tasks, policy, Order::LongestWay)
}

fn keep_going(jobs: usize) -> Policy {
    Policy {
        keep_going: true,
        ..Policy::jobs(jobs)
    }
}

/// The order of starts where each task ends before the next begins.
fn order(mut queue: Queue) -> Vec<usize> {
    let mut order = Vec::new();
    while let Some(start) = queue.start() {
        order.push(start.index);
        queue.done(start.index);
    }
    assert!(queue.is_over());
    order
}

fn on_threads<E: Send>(
    queue: Queue,
    threads: usize,
    run: impl Fn(Start) -> Result<(), E> + Sync,
    stop: bool,
) -> Vec<Fate<(), E>> {
    let hooks = Hooks {
        run: |start: Start, _: &dyn Fn()| run(start),
        may_run_again: |_: &E| true,
        is_postponed: |_: &E| false,
        failed: |_, _: &E, _| {},
        settled: |_| {},
        stop: || stop,
    };
    super::run(queue, threads, hooks)
}

#[test]
fn needs_come_first_then_rank_then_the_longest_way() {
    let tasks = [
        task(&[], 1, 9.0),
        task(&[], 0, 1.0),
        task(&[], 0, 2.0),
        task(&[1], 0, 5.0),
    ];
    assert_eq!(order(queue(&tasks, Policy::jobs(1))), [1, 3, 2, 0]);
    let given = Queue::new(&tasks, Policy::jobs(1), Order::Given);
    assert_eq!(order(given), [0, 1, 2, 3]);
    let tasks = [
        task(&[2], 0, 9.0),
        task(&[], 0, 1.0),
        task(&[], 0, 1.0),
        task(&[1], 0, 1.0),
    ];
    let first = Queue::new(&tasks, Policy::jobs(1), Order::FirstReady);
    assert_eq!(order(first), [1, 2, 3, 0]);
}

#[test]
fn two_run_at_once_and_all_ends_are_told() {
    let tasks = [task(&[], 0, 1.0), task(&[], 0, 1.0), task(&[0, 1], 0, 1.0)];
    let together = std::sync::Barrier::new(2);
    let mut told = 0;
    let hooks = Hooks {
        run: |start: Start, _: &dyn Fn()| -> Result<f64, ()> {
            if start.index < 2 {
                together.wait();
            }
            Ok(start.index as f64 + start.share)
        },
        may_run_again: |_: &()| false,
        is_postponed: |_: &()| false,
        failed: |_, _: &(), _| {},
        settled: |queue: Queue| {
            let done = |state: &&State| **state == State::Done;
            told = queue.states().iter().filter(done).count();
        },
        stop: || false,
    };
    let fates = super::run(queue(&tasks, Policy::jobs(2)), 2, hooks);
    assert!(matches!(fates[2], Fate::Done(3.0)), "{fates:?}");
    assert_eq!(told, 3);
}

#[test]
fn what_the_end_waits_for_has_more_processors() {
    let mut tasks = vec![task(&[], 0, 100.0)];
    tasks.extend((0..100).map(|_| task(&[], 0, 4.0)));
    let mut queue = queue(&tasks, Policy::jobs(10));
    let shares: Vec<f64> = std::iter::from_fn(|| queue.start())
        .map(|start| start.share)
        .collect();
    assert_eq!(shares[..3], [1.0, 0.2, 0.2]);
    // Alone at the end, whatever it is.
    for index in 0..100 {
        queue.done(index);
        queue.start();
    }
    let mut queue = Queue::new(&tasks[100..], Policy::jobs(10), Order::LongestWay);
    assert_eq!(queue.start().map(|start| start.share), Some(1.0));
}

#[test]
fn a_failure_skips_what_needs_it_and_keep_going_builds_the_rest() {
    let tasks = [
        task(&[], 0, 9.0),
        task(&[0], 0, 1.0),
        task(&[1], 0, 1.0),
        task(&[], 0, 1.0),
    ];
    let run = |start: Start| if start.index == 0 { Err("broken") } else { Ok(()) };
    let fates = on_threads(queue(&tasks, keep_going(1)), 1, run, false);
    assert!(matches!(fates[0], Fate::Failed("broken")));
    assert!(matches!(fates[1], Fate::Skipped(Some(0))));
    assert!(matches!(fates[2], Fate::Skipped(Some(1))));
    assert!(matches!(fates[3], Fate::Done(())));
    let fates = on_threads(queue(&tasks, Policy::jobs(1)), 1, run, false);
    assert!(matches!(fates[3], Fate::Skipped(None)));
}

#[test]
fn a_cycle_ends_and_a_stop_is_heeded() {
    let run = |_: Start| -> Result<(), ()> { Ok(()) };
    let tasks = [task(&[1], 0, 1.0), task(&[0], 0, 1.0)];
    let fates = on_threads(queue(&tasks, Policy::jobs(2)), 2, run, false);
    assert!(fates.iter().all(|fate| matches!(fate, Fate::Skipped(None))));
    let fates = on_threads(queue(&[task(&[], 0, 1.0)], Policy::jobs(2)), 2, run, true);
    assert!(matches!(fates[0], Fate::Skipped(None)));
    assert!(on_threads(queue(&[], Policy::jobs(2)), 2, run, false).is_empty());
}

#[test]
fn what_fails_runs_again_as_often_as_asked() {
    let runs = AtomicUsize::new(0);
    let run = |start: Start| {
        assert_eq!(start.failures, runs.fetch_add(1, Ordering::SeqCst));
        if start.failures < 2 {
            Err(start.failures)
        } else {
            Ok(())
        }
    };
    let policy = |retries| Policy {
        retries,
        ..Policy::jobs(1)
    };
    let tasks = [task(&[], 0, 1.0)];
    let fates = on_threads(queue(&tasks, policy(2)), 1, run, false);
    assert!(matches!(fates[0], Fate::Done(())));
    runs.store(0, Ordering::SeqCst);
    let fates = on_threads(queue(&tasks, policy(1)), 1, run, false);
    assert!(matches!(fates[0], Fate::Failed(1)), "{fates:?}");
    // What may not run again does not.
    let mut queue = queue(&tasks, policy(5));
    let start = queue.start().unwrap();
    assert!(!queue.failed(start.index, false));
}

#[test]
fn memory_is_shared_and_a_big_task_is_not_starved() {
    let sized = |memory, seconds| Task {
        memory,
        ..task(&[], 0, seconds)
    };
    // One small that runs for long, a big one, and a stream of small ones.
    let mut tasks = vec![sized(4, 100.0), sized(7, 50.0)];
    tasks.extend((0..9).map(|_| sized(3, 1.0)));
    tasks.push(sized(4, 1.0));
    let policy = Policy {
        memory: 10,
        ..Policy::jobs(3)
    };
    let mut queue = queue(&tasks, policy);
    let mut start = || queue.start().map(|start| start.index);
    assert_eq!(start(), Some(0));
    // The big one does not fit beside the first: a small one goes before it that does; two would not leave it room.
    assert_eq!(start(), Some(2));
    assert_eq!(start(), None);
    queue.done(2);
    let mut start = || queue.start().map(|start| start.index);
    assert_eq!(start(), Some(3));
    assert_eq!(start(), None);
    queue.done(0);
    let mut start = || queue.start().map(|start| start.index);
    assert_eq!(
        start(),
        Some(1),
        "the big one is the next, and room was kept for it"
    );
    assert_eq!(start(), None);
    queue.done(3);
    queue.done(1);
    // More than there is: it runs, alone.
    let alone = [sized(99, 2.0), sized(1, 1.0)];
    let mut queue = Queue::new(&alone, policy, Order::LongestWay);
    assert_eq!(queue.start().map(|start| start.index), Some(0));
    assert_eq!(queue.start(), None);
}

/// A cheap source of numbers that are the same each time.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Log-normal around 1, by the sum of twelve.
    fn spread(&mut self, sigma: f64) -> f64 {
        let sum: f64 = (0..12).map(|_| self.next()).sum();
        ((sum - 6.0) * sigma).exp()
    }
}

/// Layers of tasks, each of which needs a few of an earlier layer; expected times are wrong by a factor of about 2.
fn layers(count: usize, seed: u64) -> (Vec<Task>, Vec<Truth>) {
    let mut numbers = Numbers(seed);
    let (mut tasks, mut truths) = (Vec::new(), Vec::new());
    for index in 0..count {
        let seconds = 60.0 * numbers.spread(1.0);
        let needs: std::collections::BTreeSet<usize> = (0..3)
            .filter(|_| index > 10)
            .map(|_| (numbers.next() * index as f64 * 0.9) as usize)
            .collect();
        tasks.push(Task {
            needs: needs.into_iter().collect(),
            rank: 0,
            seconds: seconds * numbers.spread(std::f64::consts::LN_2),
            memory: (1e9 / (1.0 - numbers.next()).powf(0.6)).min(16e9) as u64,
        });
        truths.push(Truth {
            seconds,
            failures: usize::from(numbers.next() < 0.01),
        });
    }
    (tasks, truths)
}

#[test]
fn the_longest_way_first_is_near_what_no_order_can_beat() {
    for seed in 1..6 {
        let (tasks, truths) = layers(600, seed);
        for jobs in [2, 16] {
            let policy = Policy {
                memory: 8_000_000_000 * jobs as u64,
                retries: 3,
                ..Policy::jobs(jobs)
            };
            let ratio = |order| makespan(&tasks, &truths, policy, order) / bound(&tasks, &truths, jobs);
            let ours = ratio(Order::LongestWay);
            assert!((1.0..1.15).contains(&ours), "seed {seed}, {jobs} at once: {ours}");
        }
    }
}

#[test]
fn fifty_thousand_tasks_are_no_trouble_and_all_run_within_the_limits() {
    let (tasks, truths) = layers(50_000, 7);
    let policy = Policy {
        memory: 64_000_000_000,
        retries: 1,
        ..Policy::jobs(128)
    };
    let mut queue = queue(&tasks, policy);
    let (mut running, mut memory, mut ended) = (std::collections::VecDeque::new(), 0, 0);
    loop {
        while let Some(start) = queue.start() {
            memory += tasks[start.index].memory;
            running.push_back(start);
        }
        assert!(running.len() <= 128 && memory <= policy.memory);
        let Some(start) = running.pop_front() else { break };
        memory -= tasks[start.index].memory;
        ended += 1;
        match start.failures < truths[start.index].failures {
            true => assert!(queue.failed(start.index, true)),
            false => queue.done(start.index),
        }
    }
    assert!(queue.is_over() && queue.states().iter().all(|state| *state == State::Done));
    let again = truths.iter().filter(|truth| truth.failures > 0).count();
    assert_eq!(ended, tasks.len() + again);
}
