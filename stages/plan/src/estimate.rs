//! How long what is left will take, and what it waits for.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::{CostFrom, Job, graph};

/// One build that is still to be done.
#[derive(Debug, Clone, Default)]
pub struct Step {
    /// Steps that come before it, by index.
    pub needs: BTreeSet<usize>,
    /// How long it takes if nothing else runs, in seconds.
    pub alone: f64,
    /// How many cores it keeps busy meanwhile.
    pub cores: f64,
}

/// What is to be expected of some steps.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Outlook {
    /// How long all of it takes, in seconds.
    pub seconds: f64,
    /// How long the longest chain takes, in seconds: no number of cores makes it shorter.
    pub critical_seconds: f64,
    /// The steps of that chain, by index, in their order.
    pub critical: Vec<usize>,
    /// For each step, how much later it could end without anything ending later, in seconds.
    pub slack: Vec<f64>,
}

impl Step {
    /// The build of `job` on a machine of `cores`: as its last build went, or as its hint has it.
    pub fn of(job: &Job, cores: usize, needs: BTreeSet<usize>) -> Self {
        let most = cores.max(1) as f64;
        match (job.cost_from, job.wall_seconds) {
            (CostFrom::Measured, Some(wall)) if wall > 0.0 => {
                let busy = (job.cpu_seconds / wall).clamp(0.05, most);
                // On a machine with more cores than this one it went faster.
                let alone = wall.max(job.cpu_seconds / most);
                Self {
                    needs,
                    alone,
                    cores: busy,
                }
            }
            // A build is seldom parallel all the way.
            _ => {
                let busy = (most / 2.0).max(1.0);
                let alone = job.cpu_seconds / busy;
                Self {
                    needs,
                    alone,
                    cores: busy,
                }
            }
        }
    }
}

/// Plays a run of `steps` through, `jobs` at once on `cores`; those with the longest way to go start first, as in a build.
/// What needs itself is left out.
pub fn outlook(steps: &[Step], jobs: usize, cores: usize) -> Outlook {
    let needs: Vec<BTreeSet<usize>> = steps.iter().map(|step| step.needs.clone()).collect();
    let order = graph::order(&needs);
    let alone: Vec<f64> = steps.iter().map(|step| step.alone).collect();
    let after = graph::critical_paths(&needs, &order, &alone);
    let mut before = vec![0.0_f64; steps.len()];
    for &step in &order {
        let latest = needs[step].iter().map(|need| before[*need]).fold(0.0, f64::max);
        before[step] = latest + alone[step];
    }
    let critical_seconds = order.iter().map(|step| after[*step]).fold(0.0, f64::max);
    let slack: Vec<f64> = (0..steps.len())
        .map(|step| (critical_seconds - before[step] - after[step] + alone[step]).max(0.0))
        .collect();
    Outlook {
        seconds: play(steps, &after, &order, jobs.max(1), cores.max(1) as f64),
        critical_seconds,
        critical: chain(&needs, &order, &after),
        slack,
    }
}

/// The longest chain, from its first step on.
fn chain(needs: &[BTreeSet<usize>], order: &[usize], after: &[f64]) -> Vec<usize> {
    let longest = |steps: &mut dyn Iterator<Item = usize>| {
        steps.max_by(|one, other| after[*one].total_cmp(&after[*other]).then(other.cmp(one)))
    };
    let mut chain: Vec<usize> = Vec::new();
    while let Some(next) = match chain.last() {
        None => longest(&mut order.iter().copied()),
        Some(last) => longest(&mut order.iter().copied().filter(|step| needs[*step].contains(last))),
    } {
        chain.push(next);
    }
    chain
}

/// How long a run takes in which what runs shares the cores.
fn play(steps: &[Step], after: &[f64], order: &[usize], jobs: usize, cores: f64) -> f64 {
    let mut waiting: Vec<usize> = order.to_vec();
    waiting.sort_by(|one, other| after[*other].total_cmp(&after[*one]).then(one.cmp(other)));
    let mut users: Vec<Vec<usize>> = vec![Vec::new(); steps.len()];
    let mut missing: Vec<usize> = vec![0; steps.len()];
    for &step in order {
        missing[step] = steps[step].needs.len();
        steps[step].needs.iter().for_each(|need| users[*need].push(step));
    }
    let mut rank = vec![0; steps.len()];
    waiting.iter().enumerate().for_each(|(at, step)| rank[*step] = at);
    let mut ready: BTreeSet<(usize, usize)> = waiting
        .iter()
        .filter(|step| missing[**step] == 0)
        .map(|step| (rank[*step], *step))
        .collect();
    let mut running: Vec<(usize, f64)> = Vec::new();
    let mut now = 0.0;
    loop {
        while running.len() < jobs {
            let Some((_, step)) = ready.pop_first() else { break };
            running.push((step, steps[step].alone));
        }
        if running.is_empty() {
            return now;
        }
        let wanted: f64 = running.iter().map(|(step, _)| steps[*step].cores).sum();
        let speed = (cores / wanted.max(0.01)).min(1.0);
        let first = running
            .iter()
            .map(|(_, left)| *left)
            .fold(f64::INFINITY, f64::min);
        now += first / speed;
        let mut done = Vec::new();
        running.retain_mut(|(step, left)| {
            *left -= first;
            if *left <= 1e-9 {
                done.push(*step);
            }
            *left > 1e-9
        });
        for user in done.iter().flat_map(|step| &users[*step]) {
            missing[*user] -= 1;
            if missing[*user] == 0 {
                ready.insert((rank[*user], *user));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(needs: &[usize], alone: f64, cores: f64) -> Step {
        let needs = needs.iter().copied().collect();
        Step { needs, alone, cores }
    }

    #[test]
    fn a_run_is_as_long_as_its_work_and_its_longest_chain() {
        let steps = [
            step(&[], 10.0, 1.0),
            step(&[0], 5.0, 1.0),
            step(&[], 4.0, 1.0),
            step(&[1, 2], 1.0, 1.0),
        ];
        let two = outlook(&steps, 2, 2);
        assert_eq!((two.seconds, two.critical_seconds), (16.0, 16.0));
        assert_eq!(two.critical, [0, 1, 3]);
        assert_eq!(two.slack, [0.0, 0.0, 11.0, 0.0]);
        assert_eq!(outlook(&steps, 1, 2).seconds, 20.0);
        // Two that want both cores share them.
        let greedy = [step(&[], 3.0, 2.0), step(&[], 3.0, 2.0)];
        assert_eq!(outlook(&greedy, 2, 2).seconds, 6.0);
        assert_eq!(outlook(&greedy, 2, 4).seconds, 3.0);
        assert_eq!(outlook(&[], 2, 2), Outlook::default());
    }

    #[test]
    fn what_needs_itself_is_left_out() {
        let steps = [step(&[1], 1.0, 1.0), step(&[0], 1.0, 1.0), step(&[], 2.0, 1.0)];
        assert_eq!(outlook(&steps, 2, 2).seconds, 2.0);
    }
}
