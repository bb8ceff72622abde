//! The scheduler on a corpus's graph: `conformance schedule --corpus DIR …`
//!
//! 1. Keel evaluates the SPECs and says which needs which to be built; a cycle becomes one job.
//! 2. Times, memory and failures are drawn, the same for the same seed: times log-normal, what is expected of them wrong by a
//!    log-normal factor of 2; memory of a heavy tail, under a limit; 1 of 100 runs fails and is tried again.
//! 3. The scheduler's own queue is run without work, beside other orders. No order can beat the longest chain of jobs, nor
//!    all work spread evenly, failed runs included: that is 1.00.
//! 4. Where nearly all waits for one job, no order comes near that. What is between a long way before and a long way after is
//!    a bound that is closer: Keel is measured by that, too.
//!
//! Fails where Keel is above the bar, measured by the closer bound.

use std::{
    collections::{BTreeMap, BTreeSet},
    f64::consts::{LN_2, PI},
    time::Instant,
};

use anyhow::{Context as _, Result, bail, ensure};
use keel_build::scheduler::{
    Order, Policy, Task,
    simulation::{Truth, bound, close_bound, makespan},
};

use crate::{graph, keel::Keel, options::Options};

/// How many at once, and whether the bar counts there.
const WORKERS: [(usize, bool); 4] = [(2, true), (16, true), (32, true), (128, false)];
const ORDERS: [(&str, Order); 3] = [
    ("keel", Order::LongestWay),
    ("by name", Order::Given),
    ("first ready", Order::FirstReady),
];
const GIB: f64 = (1_u64 << 30) as f64;
/// Memory for each worker.
const SHARE: f64 = 4.0 * GIB;
/// The most that one build needs: as much as 4 workers have.
const MOST: f64 = 4.0 * SHARE;
/// Seconds of a build in the middle.
const MEDIAN: f64 = 60.0;

/// Draws, runs, prints.
pub fn run(mut options: Options) -> Result<()> {
    let corpus = options.required("--corpus")?;
    let keel = Keel::from_options(&mut options)?;
    let defines = options.values("--define")?;
    let seeds = options.parsed::<u64>("--seeds")?.unwrap_or(20);
    let bar = options.parsed::<f64>("--bar")?.unwrap_or(1.15);
    if let Some(word) = options.words()?.first() {
        bail!("`{word}` is not understood here");
    }
    ensure!(seeds > 0, "no seed is no run");
    let (names, needs) = build_graph(&keel, &defines, &corpus)?;
    let (jobs, members) = condensed(&needs);
    println!(
        "{} SPECs, {} needs; {} jobs; makespan / what no order can beat, worst (middle) of {seeds} seeds",
        names.len(),
        needs.iter().map(BTreeSet::len).sum::<usize>(),
        jobs.len()
    );
    let mut worst_of_ours: f64 = 0.0;
    for (title, sizes) in [
        ("a cycle takes as long as one job", vec![1; jobs.len()]),
        ("a cycle takes as long as all in it", members),
    ] {
        let names = ORDERS.iter().map(|(name, _)| *name);
        let titles = names.chain(["closer bound", "keel by closer"]);
        let titles: String = titles.map(|title| format!("{title:>16}")).collect();
        println!("\n{title}\nworkers  {titles}");
        for (workers, counts) in WORKERS {
            let ratios = ratios(&jobs, &sizes, workers, seeds);
            let all = || ratios.iter().flatten();
            ensure!(
                all().all(|ratio| ratio.is_finite() && *ratio >= 1.0 - 1e-9),
                "{workers} workers: a run that did not end, or that beats what no order can beat: {:?}",
                all().find(|ratio| !ratio.is_finite() || **ratio < 1.0 - 1e-9)
            );
            let cells = ratios.iter().map(|ratios| {
                let middle = ratios[ratios.len() / 2];
                format!("{:>8.3} ({middle:.3})", ratios[ratios.len() - 1])
            });
            println!("{workers:>7}  {}", cells.collect::<String>());
            if counts {
                let ours = ratios.last().and_then(|ours| ours.last());
                worst_of_ours = ours.copied().unwrap_or(f64::INFINITY).max(worst_of_ours);
            }
        }
    }
    println!("\n{}", speed(&jobs));
    ensure!(
        worst_of_ours <= bar,
        "above the bar: {worst_of_ours:.3}, where {bar} is allowed"
    );
    Ok(())
}

/// SPECs by path, and for each those that it needs to be built.
fn build_graph(keel: &Keel, defines: &[String], corpus: &str) -> Result<(Vec<String>, Vec<BTreeSet<usize>>)> {
    let mut command = keel.command("graph", defines);
    let output = command
        .args(["--dot", corpus])
        .output()
        .with_context(|| format!("cannot run {}", keel.program.display()))?;
    let dot = String::from_utf8(output.stdout).context("the graph is no UTF-8")?;
    let edges: Vec<(&str, &str)> = dot.lines().filter_map(edge).collect();
    ensure!(
        !edges.is_empty(),
        "keel says nothing of {corpus}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    // SPECs that nothing needs and that need nothing stand alone.
    let alone = dot
        .lines()
        .filter_map(|line| quoted(line.trim().strip_suffix(';')?));
    let mut numbers: BTreeMap<&str, usize> = edges
        .iter()
        .flat_map(|(one, other)| [(*one, 0), (*other, 0)])
        .collect();
    numbers.extend(alone.map(|name| (name, 0)));
    for (number, value) in numbers.values_mut().enumerate() {
        *value = number;
    }
    let mut needs = vec![BTreeSet::new(); numbers.len()];
    for (one, other) in edges {
        needs[numbers[one]].insert(numbers[other]);
    }
    Ok((numbers.into_keys().map(str::to_owned).collect(), needs))
}

/// `"a" -> "b";`
fn edge(line: &str) -> Option<(&str, &str)> {
    let (one, other) = line.trim().strip_suffix(';')?.split_once(" -> ")?;
    Some((quoted(one)?, quoted(other)?))
}

fn quoted(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('"')?.strip_suffix('"')?;
    (!inside.contains('"')).then_some(inside)
}

/// One job for each cycle, in the order of the first names, and how many SPECs are in each.
fn condensed(needs: &[BTreeSet<usize>]) -> (Vec<BTreeSet<usize>>, Vec<usize>) {
    let mut parts = graph::components(needs);
    for part in &mut parts {
        part.sort_unstable();
    }
    parts.sort();
    let mut part_of = vec![0; needs.len()];
    for (number, part) in parts.iter().enumerate() {
        for node in part {
            part_of[*node] = number;
        }
    }
    let jobs = parts.iter().enumerate().map(|(number, part)| {
        let needed = part
            .iter()
            .flat_map(|node| &needs[*node])
            .map(|node| part_of[*node]);
        needed.filter(|other| *other != number).collect()
    });
    (jobs.collect(), parts.iter().map(Vec::len).collect())
}

/// For each order the ratios of all seeds, ascending; then the closer bound, and Keel's order by it.
fn ratios(jobs: &[BTreeSet<usize>], sizes: &[usize], workers: usize, seeds: u64) -> Vec<Vec<f64>> {
    let mut all = vec![Vec::new(); ORDERS.len() + 2];
    for seed in 1..=seeds {
        let (tasks, truths) = draw(jobs, sizes, &mut Numbers(seed));
        let policy = Policy {
            memory: (SHARE * workers as f64) as u64,
            retries: usize::MAX,
            ..Policy::jobs(workers)
        };
        let best = bound(&tasks, &truths, workers);
        for (ratios, (_, order)) in all.iter_mut().zip(ORDERS) {
            ratios.push(makespan(&tasks, &truths, policy, order) / best);
        }
        let closer = close_bound(&tasks, &truths, workers);
        let ours = makespan(&tasks, &truths, policy, ORDERS[0].1);
        all[ORDERS.len()].push(closer / best);
        all[ORDERS.len() + 1].push(ours / closer);
    }
    for ratios in &mut all {
        ratios.sort_by(f64::total_cmp);
    }
    all
}

fn draw(jobs: &[BTreeSet<usize>], sizes: &[usize], numbers: &mut Numbers) -> (Vec<Task>, Vec<Truth>) {
    let one = |(needs, size): (&BTreeSet<usize>, &usize)| {
        let seconds: f64 = (0..*size).map(|_| MEDIAN * numbers.log_normal(1.2)).sum();
        let mut failures = 0;
        while numbers.uniform() < 0.01 {
            failures += 1;
        }
        let memory = 0.5 * GIB / numbers.uniform().powf(1.0 / 1.3);
        let task = Task {
            needs: needs.iter().copied().collect(),
            rank: 0,
            seconds: seconds * numbers.log_normal(LN_2),
            memory: memory.min(MOST) as u64,
        };
        (task, Truth { seconds, failures })
    };
    jobs.iter().zip(sizes).map(one).unzip()
}

/// What a decision costs where there are many: the corpus as often as it takes.
fn speed(jobs: &[BTreeSet<usize>]) -> String {
    let copies = 50_000_usize.div_ceil(jobs.len());
    let many: Vec<BTreeSet<usize>> = (0..copies)
        .flat_map(|copy| {
            let shift = copy * jobs.len();
            jobs.iter()
                .map(move |needs| needs.iter().map(|need| need + shift).collect())
        })
        .collect();
    let (tasks, truths) = draw(&many, &vec![1; many.len()], &mut Numbers(1));
    let policy = Policy {
        memory: (SHARE * 128.0) as u64,
        retries: usize::MAX,
        ..Policy::jobs(128)
    };
    let started = Instant::now();
    makespan(&tasks, &truths, policy, Order::LongestWay);
    let elapsed = started.elapsed();
    let each = elapsed.as_secs_f64() / tasks.len() as f64;
    format!(
        "{} jobs, 128 at once: {:.2} s for all decisions, {:.1} µs each",
        tasks.len(),
        elapsed.as_secs_f64(),
        each * 1e6
    )
}

/// Numbers that are the same for the same seed (splitmix64, Steele et al. 2014).
pub struct Numbers(pub u64);

impl Numbers {
    /// Above 0, up to 1.
    pub fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11).wrapping_add(1) as f64 / (1_u64 << 53) as f64
    }

    /// Around 1 (Box and Muller 1958).
    fn log_normal(&mut self, sigma: f64) -> f64 {
        let (one, other) = (self.uniform(), self.uniform());
        (sigma * (-2.0 * one.ln()).sqrt() * (2.0 * PI * other).cos()).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(nodes: &[usize]) -> BTreeSet<usize> {
        nodes.iter().copied().collect()
    }

    #[test]
    fn edges_are_read_and_cycles_become_one() {
        assert_eq!(edge("  \"a b\" -> \"c\";"), Some(("a b", "c")));
        assert_eq!(edge("  rankdir=LR;"), None);
        assert_eq!(quoted("\"a\"; \"b\""), None);
        let (jobs, sizes) = condensed(&[set(&[1]), set(&[0, 2]), set(&[]), set(&[1])]);
        assert_eq!(jobs, [set(&[1]), set(&[]), set(&[0])]);
        assert_eq!(sizes, [2, 1, 1]);
    }

    #[test]
    fn numbers_are_spread_as_they_should() {
        let mut numbers = Numbers(3);
        let mut drawn: Vec<f64> = (0..10_001).map(|_| numbers.log_normal(LN_2)).collect();
        drawn.sort_by(f64::total_cmp);
        let within = |value: f64, expected: f64| (value / expected - 1.0).abs() < 0.05;
        assert!(within(drawn[5000], 1.0), "{}", drawn[5000]);
        // A standard deviation is a factor of 2.
        assert!(within(drawn[8413], 2.0), "{}", drawn[8413]);
        assert!((0..1000).all(|_| (0.0..=1.0).contains(&numbers.uniform())));
    }

    #[test]
    fn our_order_is_better_than_none() {
        // Chains beside each other, the longest with the last names.
        let jobs: Vec<BTreeSet<usize>> = (0..400)
            .map(|job| {
                if job % 20 == 0 || job < 200 {
                    set(&[])
                } else {
                    set(&[job - 1])
                }
            })
            .collect();
        let ratios = ratios(&jobs, &vec![1; jobs.len()], 16, 5);
        assert!(ratios[0][4] < 1.15 && ratios[0][4] < ratios[1][0], "{ratios:?}");
    }
}
