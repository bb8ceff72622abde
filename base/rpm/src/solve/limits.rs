//! How long a search may go on.

use keel_artefact::{Interrupt, Interrupted};

use super::{Pool, Request, Unsolvable, request::Job};

/// How many wishes, and how much of each, an error names.
const WISHES: usize = 8;
const LETTERS: usize = 120;

/// How long a search may go on. The bound counts work and not time: the same question has the same answer on every machine.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Looked at whenever a decision was wrong.
    pub interrupt: Interrupt,
    /// How many decisions may turn out to be wrong, and teach the search a clause, before it ends without an answer.
    pub conflicts: u32,
}

impl Limits {
    /// Far more wrong decisions than real questions take: all of libsolv's test cases end after less than 200.
    pub const CONFLICTS: u32 = 10_000;

    /// The usual bound, until `interrupt` is set.
    pub fn until(interrupt: &Interrupt) -> Self {
        Self {
            interrupt: interrupt.clone(),
            conflicts: Self::CONFLICTS,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::until(&Interrupt::default())
    }
}

/// The search ended without an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    /// The user wanted that.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// The bound was reached: neither is an answer known, nor that there is none.
    #[error("{}", too_hard(.wishes, *.conflicts))]
    TooHard {
        /// What was asked for.
        wishes: Vec<String>,
        /// How many decisions were wrong.
        conflicts: u32,
    },
}

impl Stopped {
    /// What to do about it, where something can be done.
    pub const HINT: &'static str = "many packages that exclude each other offer the same capability: require one of them by \
                                    name, or drop Conflicts among them";

    pub(super) fn too_hard(pool: &Pool, request: &Request, limits: &Limits) -> Self {
        let wishes = request.jobs.iter().map(|job| shown(job, pool)).collect();
        Self::TooHard {
            wishes,
            conflicts: limits.conflicts,
        }
    }
}

fn shown(job: &Job, pool: &Pool) -> String {
    job.describe(pool).chars().take(LETTERS).collect()
}

fn too_hard(wishes: &[String], conflicts: u32) -> String {
    let some: Vec<String> = (wishes.iter().take(WISHES))
        .map(|wish| format!("`{wish}`"))
        .collect();
    let more = match wishes.len().saturating_sub(WISHES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "which packages meet this is too hard to tell: no answer after {conflicts} wrong decisions, asked for {}{more}",
        some.join(", ")
    )
}

/// There is no solution, or none was found in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoSolution {
    /// It is proved that not all can be had.
    Unsolvable(Unsolvable),
    /// Nothing is known.
    Stopped(Stopped),
}
