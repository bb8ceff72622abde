//! What builds are expected to need: what the last build of the component needed, else what its hints say, else a guess.
//! Order, memory and the time that is foretold depend on it; no result does.

use std::time::Duration;

use keel_artefact::{Fingerprint, Sha256, format};
use keel_plan::{Job, Plan};
use keel_store::Store;
use serde::{Deserialize, Serialize};

use crate::Error;

/// The version of [`Past`] as recorded in the store.
const FORMAT: format::Version = format::Version(1);

/// Memory of a build that nobody measured.
const MEMORY: u64 = 1 << 30;
/// The same, where it is known to be one of the long ones.
const MEMORY_EXPENSIVE: u64 = 4 << 30;

/// What the last build of a component needed, recorded in the store under its name and architecture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    format: format::Version,
    /// How long it took.
    pub wall: Duration,
    /// Memory of all its processes at the peak, in bytes.
    pub memory: u64,
}

impl Past {
    /// Keeps what a build needed.
    pub fn record(store: &Store, job: &Job, wall: Duration, memory: u64) -> Result<(), Error> {
        let past = Self {
            format: FORMAT,
            wall,
            memory,
        };
        Ok(store.record("past", &key(job), &past)?)
    }

    /// What the last build of this component needed, if there was one.
    pub fn of(store: &Store, job: &Job) -> Result<Option<Self>, Error> {
        let past: Option<Self> = store.action("past", &key(job))?;
        Ok(past.filter(|past| past.format == FORMAT))
    }
}

fn key(job: &Job) -> Sha256 {
    let mut print = Fingerprint::new("past");
    print.add("arch", job.arch.rpm());
    print.add("component", job.component.as_str());
    print.finish()
}

/// What one build is expected to need.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expected {
    /// How long it takes.
    pub seconds: f64,
    /// Memory of all its processes at the peak, in bytes.
    pub memory: u64,
}

/// What each job of the plan is expected to need, in the plan's order.
pub fn of(store: &Store, plan: &Plan) -> Result<Vec<Expected>, Error> {
    let past = |job| Past::of(store, job);
    let pasts = plan.jobs.iter().map(past).collect::<Result<Vec<_>, _>>()?;
    let hints: Vec<Hints> = plan.jobs.iter().map(Hints::of).collect();
    Ok(from(&hints, &pasts))
}

/// What the configuration says of a build.
#[derive(Debug, Clone, Copy, Default)]
struct Hints {
    cpu_seconds: f64,
    memory: Option<u64>,
    expensive: bool,
}

impl Hints {
    fn of(job: &Job) -> Self {
        Self {
            cpu_seconds: job.cpu_seconds,
            memory: job.memory,
            expensive: job.expensive,
        }
    }
}

fn from(hints: &[Hints], pasts: &[Option<Past>]) -> Vec<Expected> {
    // Hints are processor seconds of another machine: what both are known of tells what they are worth here.
    let (mut hinted, mut measured) = (0.0, 0.0);
    for (hints, past) in hints.iter().zip(pasts) {
        if let Some(past) = past {
            hinted += hints.cpu_seconds;
            measured += past.wall.as_secs_f64();
        }
    }
    let worth = if hinted > 0.0 { measured / hinted } else { 1.0 };
    let expect = |(hints, past): (&Hints, &Option<Past>)| {
        let guess = if hints.expensive { MEMORY_EXPENSIVE } else { MEMORY };
        match past {
            Some(past) => Expected {
                seconds: past.wall.as_secs_f64(),
                memory: past.memory.max(hints.memory.unwrap_or(0)),
            },
            None => Expected {
                seconds: hints.cpu_seconds * worth,
                memory: hints.memory.unwrap_or(guess),
            },
        }
    };
    hints.iter().zip(pasts).map(expect).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_measured_comes_before_hints_and_tells_what_they_are_worth() {
        let hints = |cpu_seconds, memory, expensive| Hints {
            cpu_seconds,
            memory,
            expensive,
        };
        let past = |seconds, memory| {
            Some(Past {
                format: FORMAT,
                wall: Duration::from_secs(seconds),
                memory,
            })
        };
        let all = [
            hints(100.0, Some(7), false),
            hints(10.0, None, false),
            hints(20.0, None, true),
            hints(20.0, Some(9), true),
        ];
        let expect = |seconds, memory| Expected { seconds, memory };
        assert_eq!(
            from(&all, &[past(50, 5), None, None, past(10, 30)]),
            [
                expect(50.0, 7),
                expect(5.0, MEMORY),
                expect(10.0, MEMORY_EXPENSIVE),
                expect(10.0, 30)
            ]
        );
        assert_eq!(from(&all[1..2], &[None]), [expect(10.0, MEMORY)]);
    }
}
