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
    Ok(from(&plan.jobs, &pasts))
}

fn from(jobs: &[Job], pasts: &[Option<Past>]) -> Vec<Expected> {
    // Hints are processor seconds of another machine: what both are known of tells what they are worth here.
    let (mut hinted, mut measured) = (0.0, 0.0);
    for (job, past) in jobs.iter().zip(pasts) {
        if let Some(past) = past {
            hinted += job.cpu_seconds;
            measured += past.wall.as_secs_f64();
        }
    }
    let worth = if hinted > 0.0 { measured / hinted } else { 1.0 };
    let expect = |(job, past): (&Job, &Option<Past>)| {
        let guess = if job.expensive { MEMORY_EXPENSIVE } else { MEMORY };
        match past {
            Some(past) => Expected {
                seconds: past.wall.as_secs_f64(),
                memory: past.memory.max(job.memory.unwrap_or(0)),
            },
            None => Expected {
                seconds: job.cpu_seconds * worth,
                memory: job.memory.unwrap_or(guess),
            },
        }
    };
    jobs.iter().zip(pasts).map(expect).collect()
}
