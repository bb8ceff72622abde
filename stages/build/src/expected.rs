//! What builds are expected to need: what the last build of the component needed, else what its hints say, else a guess.
//! Order, memory and the time that is foretold depend on it; no result does.

use keel_plan::{Job, Plan};

/// Memory of a build that nobody measured.
const MEMORY: u64 = 1 << 30;
/// The same, where it is known to be one of the long ones.
const MEMORY_EXPENSIVE: u64 = 4 << 30;

/// What one build is expected to need.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expected {
    /// How long it takes.
    pub seconds: f64,
    /// Memory of all its processes at the peak, in bytes.
    pub memory: u64,
}

/// What each job of the plan is expected to need, in the plan's order.
pub fn of(plan: &Plan) -> Vec<Expected> {
    let known: Vec<Known> = plan.jobs.iter().map(Known::of).collect();
    from(&known)
}

/// What is known of a build before it begins.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    cpu_seconds: f64,
    memory: Option<u64>,
    expensive: bool,
    /// Of the last build: how long it took, and its memory at the peak.
    last: Option<(f64, u64)>,
}

impl Known {
    fn of(job: &Job) -> Self {
        Self {
            cpu_seconds: job.hinted_seconds,
            memory: job.memory,
            expensive: job.expensive,
            last: job
                .wall_seconds
                .map(|seconds| (seconds, job.peak_memory.unwrap_or(0))),
        }
    }
}

fn from(all: &[Known]) -> Vec<Expected> {
    // Hints are processor seconds of another machine: what both are known of tells what they are worth here.
    let (mut cpu, mut measured) = (0.0, 0.0);
    for known in all {
        if let Some((seconds, _)) = known.last {
            cpu += known.cpu_seconds;
            measured += seconds;
        }
    }
    let worth = if cpu > 0.0 { measured / cpu } else { 1.0 };
    let expect = |known: &Known| {
        let guess = if known.expensive { MEMORY_EXPENSIVE } else { MEMORY };
        let hint = known.memory.unwrap_or(0);
        match known.last {
            Some((seconds, memory)) => Expected {
                seconds,
                // An older Keel did not look.
                memory: match memory.max(hint) {
                    0 => guess,
                    memory => memory,
                },
            },
            None => Expected {
                seconds: known.cpu_seconds * worth,
                memory: known.memory.unwrap_or(guess),
            },
        }
    };
    all.iter().map(expect).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_measured_comes_before_hints_and_tells_what_they_are_worth() {
        let known = |cpu_seconds, memory, expensive, last| Known {
            cpu_seconds,
            memory,
            expensive,
            last,
        };
        let all = [
            known(100.0, Some(7), false, Some((50.0, 5))),
            known(10.0, None, false, None),
            known(20.0, None, true, None),
            known(20.0, Some(9), true, Some((10.0, 30))),
            known(0.0, None, false, Some((1.0, 0))),
        ];
        let expect = |seconds, memory| Expected { seconds, memory };
        let worth = 61.0 / 120.0;
        assert_eq!(
            from(&all),
            [
                expect(50.0, 7),
                expect(10.0 * worth, MEMORY),
                expect(20.0 * worth, MEMORY_EXPENSIVE),
                expect(10.0, 30),
                expect(1.0, MEMORY)
            ]
        );
        assert_eq!(from(&all[1..2]), [expect(10.0, MEMORY)]);
    }
}
