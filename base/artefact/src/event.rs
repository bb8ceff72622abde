//! Progress, as values. Libraries tell a [`Sink`]; only the command line prints.

use std::time::Duration;

/// What happened. `id` names the piece of work (`build:zlib`, `fetch:bash_5.2.tar.xz`) from `Started` to `Finished`.
#[derive(Debug, Clone)]
pub enum Event<'a> {
    /// A stage of the flow begins: `Resolving sources`, `Building`.
    Stage {
        /// Shown to the user, in the present participle.
        title: &'a str,
    },
    /// A piece of work begins.
    Started {
        /// Its identity.
        id: &'a str,
        /// Shown to the user.
        title: &'a str,
        /// How much there is to do, in the unit of `Progress`; none if unknown.
        total: Option<u64>,
    },
    /// How long a piece of work that began is expected to take.
    Expected {
        /// Its identity.
        id: &'a str,
        /// From its start.
        time: Duration,
    },
    /// A piece of work has got further.
    Progress {
        /// Its identity.
        id: &'a str,
        /// How much is done.
        done: u64,
    },
    /// A line of what a piece of work says (the phase of a build).
    Message {
        /// Its identity.
        id: &'a str,
        /// One line.
        text: &'a str,
    },
    /// A piece of work is over.
    Finished {
        /// Its identity.
        id: &'a str,
        /// How it ended.
        outcome: Outcome,
        /// How long it took.
        elapsed: Duration,
    },
    /// A piece of work that need not begin: what it would make is there.
    Unchanged {
        /// Its identity.
        id: &'a str,
        /// Shown to the user.
        title: &'a str,
    },
    /// What became of the tests that come with the sources of a build that is over.
    Checked {
        /// Its identity.
        id: &'a str,
        /// `passed`, `left-out` or `none`.
        result: &'a str,
        /// Who left them out, and why.
        by: Option<&'a str>,
    },
    /// Time left in the running stage, by the scheduler's reckoning.
    Remaining {
        /// From now.
        left: Duration,
    },
    /// How many pieces of work of the running stage are where.
    Tally(Tally),
    /// A component's packages have other bytes than those that are published under their names: its rebuild counter goes up.
    Raised {
        /// The component.
        component: &'a str,
        /// Epoch, version and release that are published.
        from: &'a str,
        /// Those that it gets.
        to: &'a str,
        /// What differs.
        why: &'a str,
    },
    /// The user should know, and need not act.
    Note {
        /// One line.
        text: &'a str,
    },
    /// The user should act, though the work goes on.
    Warning {
        /// One line.
        text: &'a str,
    },
}

/// How a piece of work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Done now.
    Done,
    /// Done now, after it had failed so often.
    Flaky(usize),
    /// Nothing to do: the store had it.
    Cached,
    /// It failed; the error is returned, not told here.
    Failed,
    /// It is to be done another time, when what it asked for is planned.
    Postponed,
}

/// How many pieces of work are where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Going on.
    pub running: usize,
    /// Done, now or before.
    pub done: usize,
    /// Failed.
    pub failed: usize,
    /// Not begun, since something they need failed, or all was stopped.
    pub skipped: usize,
    /// Not begun.
    pub waiting: usize,
}

/// Who listens.
pub trait Sink: Sync {
    /// Takes one event. Must not block for long: builds wait for it.
    fn event(&self, event: Event<'_>);
}

/// Nobody listens.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Sink for Silent {
    fn event(&self, _: Event<'_>) {}
}
