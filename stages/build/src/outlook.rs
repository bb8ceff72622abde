//! How long a run will take, and what it waits for: the scheduler's own queue, played through without work.

use std::collections::BTreeMap;

use keel_artefact::ComponentName;
use keel_plan::{Job, Plan};
use serde::Serialize;

use crate::{
    expected,
    scheduler::{Order, Policy, Queue, Task, queue, simulation},
};

/// What is to be expected of some jobs.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Outlook {
    /// How long all of them take, in seconds.
    pub seconds: f64,
    /// How long the longest chain takes, in seconds: no number of builds at once makes it shorter.
    pub critical_seconds: f64,
    /// The jobs of that chain, in their order, by index in what was asked about.
    pub critical: Vec<usize>,
    /// For each job, how much later it could end without anything ending later, in seconds.
    pub slack: Vec<f64>,
}

/// What is to be expected of those jobs of a plan that `is_open` names, as a run with this policy would go.
pub fn outlook(plan: &Plan, is_open: &dyn Fn(&Job) -> bool, policy: Policy) -> Outlook {
    let open: Vec<(usize, &Job)> = (plan.jobs.iter().enumerate())
        .filter(|(_, job)| is_open(job))
        .collect();
    let places: BTreeMap<&ComponentName, usize> = (open.iter().enumerate())
        .map(|(at, (_, job))| (&job.component, at))
        .collect();
    let expected = expected::of(plan);
    let task = |(index, job): &(usize, &Job)| {
        // Through jobs that are done, too.
        let needs = job.after.iter().filter_map(|name| places.get(name).copied());
        Task {
            needs: needs.collect(),
            rank: 0,
            seconds: expected[*index].seconds,
            memory: expected[*index].memory,
        }
    };
    let tasks: Vec<Task> = open.iter().map(task).collect();
    of(&tasks, policy)
}

/// The same of tasks, each of which comes after those that it needs.
fn of(tasks: &[Task], policy: Policy) -> Outlook {
    let users = queue::users(tasks);
    let after = queue::ways(tasks, &users);
    let mut before = vec![0.0_f64; tasks.len()];
    for (index, task) in tasks.iter().enumerate() {
        let latest = task.needs.iter().map(|need| before[*need]).fold(0.0, f64::max);
        before[index] = latest + task.seconds;
    }
    let critical_seconds = after.iter().copied().fold(0.0, f64::max);
    let slack = (0..tasks.len())
        .map(|index| (critical_seconds - before[index] - after[index] + tasks[index].seconds).max(0.0))
        .collect();
    let queue = Queue::new(tasks, policy, Order::LongestWay);
    Outlook {
        seconds: simulation::rest(queue, &[], &|index, _| (tasks[index].seconds, true)),
        critical_seconds,
        critical: chain(&users, &after),
        slack,
    }
}

/// The longest chain, from its first task on.
fn chain(users: &[Vec<usize>], after: &[f64]) -> Vec<usize> {
    let longest = |tasks: &mut dyn Iterator<Item = usize>| {
        tasks.max_by(|one, other| after[*one].total_cmp(&after[*other]).then(other.cmp(one)))
    };
    let mut chain: Vec<usize> = Vec::new();
    while let Some(next) = match chain.last() {
        None => longest(&mut (0..users.len())),
        Some(last) => longest(&mut users[*last].iter().copied()),
    } {
        chain.push(next);
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(needs: &[usize], seconds: f64, memory: u64) -> Task {
        Task {
            needs: needs.to_vec(),
            rank: 0,
            seconds,
            memory,
        }
    }

    #[test]
    fn a_run_is_as_long_as_its_work_and_its_longest_chain() {
        let tasks = [
            task(&[], 10.0, 1),
            task(&[0], 5.0, 1),
            task(&[], 4.0, 1),
            task(&[1, 2], 1.0, 1),
        ];
        let two = of(&tasks, Policy::jobs(2));
        assert_eq!((two.seconds, two.critical_seconds), (16.0, 16.0));
        assert_eq!(two.critical, [0, 1, 3]);
        assert_eq!(two.slack, [0.0, 0.0, 11.0, 0.0]);
        assert_eq!(of(&tasks, Policy::jobs(1)).seconds, 20.0);
        assert_eq!(of(&[], Policy::jobs(2)), Outlook::default());
    }

    #[test]
    fn memory_that_a_run_does_not_have_makes_it_longer() {
        let tasks = [task(&[], 3.0, 2), task(&[], 3.0, 2)];
        let policy = |memory| Policy {
            memory,
            ..Policy::jobs(2)
        };
        assert_eq!(of(&tasks, policy(4)).seconds, 3.0);
        assert_eq!(of(&tasks, policy(3)).seconds, 6.0);
    }
}
