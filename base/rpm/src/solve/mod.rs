//! Which packages a set of wishes needs: one solver for build roots (before the build and at it), images and the checks of
//! repositories.
//!
//! Purpose: rpm's dependencies, answered as `dnf` and `zypper` would. Input: a [`Pool`] of the packages of several
//! repositories, one of which may be what is installed, and a [`Request`]. Output: a [`Solution`], with the reason for every
//! package, or [`Problem`]s that a person can act on.
//!
//! 1. [`Pool::new`] interns and indexes packages; it is built once and serves any number of requests and threads.
//! 2. [`solve`] makes clauses of the packages that could play a part, of what is installed, and of the wishes.
//!    Where each of them leaves no choice, the answer is there already.
//! 3. A search with learning (CDCL) decides by the rules below; what it cannot reconcile it gives up, and tells.
//! 4. Weak dependencies are a second pass over what holds already; they never make a solution impossible.
//!
//! What is meant by the dependencies of packages is libsolv's reading of rpm (<https://github.com/openSUSE/libsolv>): a
//! provide without a version answers no request with one; `Obsoletes` speaks of names; a package never conflicts with
//! itself. What was broken among installed packages before may stay broken ([`Action::Verify`] mends).
//!
//! Preferences, the strongest first. The tests name the numbers.
//!
//! 1. What is installed stays unless a wish or a dependency is against it; where a dependency can be met by an update of
//!    something installed, that comes before a new package.
//! 2. The repository of the highest priority, whatever the version.
//! 3. The highest version of a name; a package that another candidate obsoletes is none.
//! 4. The best architecture; `noarch` is as good as any.
//! 5. What is recommended by, or supplements, what is chosen; then what is suggested or enhances.
//! 6. A package that is not superseded by a newer version of itself.
//! 7. Who provides a capability in the higher version.
//! 8. Favoured packages come before all others, disfavoured ones after; this stands above rules 2 to 7.
//! 9. The package whose name is what the dependency asks for.
//! 10. The shortest name.
//! 11. The alphabet; then the repository that was named first.
//!
//! Invariants: the same packages in any order give the same answer; an answer satisfies every dependency of what it
//! installs; no answer is given up that exists ("unsolvable" is proved); no dependency, however nested, makes this panic,
//! loop or recurse without bound; where a search would take too long, [`Stopped`] says so ([`Limits`]).
//!
//! Never: reads files, the clock or the environment; looks at payloads; downloads.
//!
//! The core is Keel's own and not resolvo: the order of decisions *is* the policy here (passes over wishes, installed packages
//! and dependencies; clauses that may be given up, the last first), and resolvo decides its order itself.

mod agenda;
mod build;
mod choice;
mod choose;
mod clean;
mod extra;
mod index;
mod install;
mod jobs;
mod keep;
mod lend;
mod limits;
mod package;
mod pool;
mod problem;
mod quick;
mod request;
mod rich;
mod rules;
mod sat;
mod search;
mod set;
mod solution;
mod solver;
mod update;
mod weak;
mod world;

#[cfg(test)]
mod tests;

pub use install::{NoAnswer, Refusal, closure, install, is_met};
pub use lend::{lend, lent};
pub use limits::{Limits, NoSolution, Stopped};
pub use package::{Package, Repository};
pub use pool::{PackageId, Pool, Target};
pub use problem::{Problem, Remedy};
pub use request::{Action, Focus, Job, Policy, Refine, Request, Select};
pub use solution::{Chosen, Missing, Solution, Why};

/// A pool cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// More packages than a pool takes.
    #[error("{count} packages are more than the {} that a pool takes", Pool::PACKAGES)]
    TooMany {
        /// How many.
        count: usize,
    },
    /// Two repositories say that they are what is installed.
    #[error("two repositories are marked as what is installed")]
    TwoInstalled,
}

/// Not all that was asked for can be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsolvable {
    /// Why, the shortest first. Never empty.
    pub problems: Vec<Problem>,
    /// What could be done without everything that a problem blames.
    pub without: Solution,
}

/// Solves a problem.
pub fn solve(pool: &Pool, request: &Request, limits: &Limits) -> Result<Solution, NoSolution> {
    match quick::forced(pool, request) {
        Some(solution) => Ok(solution),
        None => search(pool, request, limits),
    }
}

/// [`solve`] without its short cut.
fn search(pool: &Pool, request: &Request, limits: &Limits) -> Result<Solution, NoSolution> {
    let solver = searched(pool, request, limits).map_err(NoSolution::Stopped)?;
    let solution = solver.solution();
    if solver.found.is_empty() {
        return Ok(solution);
    }
    Err(NoSolution::Unsolvable(Unsolvable {
        problems: solver.problems(),
        without: solution,
    }))
}

/// A solver that is done.
fn searched<'a>(
    pool: &'a Pool,
    request: &'a Request,
    limits: &'a Limits,
) -> Result<solver::Solver<'a>, Stopped> {
    limits.interrupt.check()?;
    let mut solver = solver::Solver::new(pool, request, limits);
    solver.run();
    match solver.sat.halt() {
        None => Ok(solver),
        Some(sat::Halt::Interrupted) => Err(Stopped::Interrupted(keel_artefact::Interrupted)),
        Some(sat::Halt::Conflicts) => Err(Stopped::too_hard(pool, request, limits)),
    }
}
