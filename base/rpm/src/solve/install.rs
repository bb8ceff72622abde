//! The question that stages ask: which packages do these dependencies need, where nothing is installed?

use keel_artefact::{Dependency, Rich};

use super::{
    Action, Job, Limits, Missing, NoSolution, PackageId, Policy, Pool, Problem, Request, Select, Solution,
    Stopped, quick, searched, solve, world::World,
};

/// There is no such set of packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// All that is asked for or required, and that nothing provides.
    pub missing: Vec<Missing>,
    /// Why the rest cannot be together. Empty only if something is missing.
    pub problems: Vec<Problem>,
    /// What there is without what is missing and without the wishes that the problems blame.
    pub without: Solution,
}

impl Refusal {
    /// Each problem from what is asked for down to what makes it impossible.
    pub fn chains(&self) -> Vec<Vec<String>> {
        self.problems
            .iter()
            .map(|problem| problem.chain.clone())
            .collect()
    }
}

/// There is no such set of packages, or none was found in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoAnswer {
    /// It is proved that there is none.
    Refused(Box<Refusal>),
    /// Nothing is known.
    Stopped(Stopped),
}

impl From<Stopped> for NoAnswer {
    fn from(stopped: Stopped) -> Self {
        Self::Stopped(stopped)
    }
}

/// Packages that meet all `wishes`, and what they require, without those that are `disabled`; with what they recommend, if
/// `weak` says so. The jobs of the answer are the wishes, by number.
pub fn install(
    pool: &Pool,
    wishes: &[Dependency],
    disabled: &[PackageId],
    weak: bool,
    limits: &Limits,
) -> Result<Solution, NoAnswer> {
    let request = Request {
        jobs: wishes.iter().map(wish).collect(),
        disabled: disabled.to_vec(),
        policy: Policy {
            weak,
            ..Policy::default()
        },
    };
    if let Some(solution) = quick::forced(pool, &request) {
        return Ok(solution);
    }
    let first = searched(pool, &request, limits)?;
    if first.found.is_empty() {
        return Ok(first.solution());
    }
    // Sentences are made for what is told, only: they take longer than the search.
    let refuse = |without: Solution, problems: Vec<Problem>| {
        let problems = match without.missing.is_empty() && problems.is_empty() {
            true => first.problems(),
            false => problems,
        };
        NoAnswer::Refused(Box::new(Refusal {
            missing: without.missing.clone(),
            problems,
            without,
        }))
    };
    let mut lenient = request.clone();
    lenient.policy.weak = false;
    lenient.policy.allow_missing = true;
    Err(match solve(pool, &lenient, limits) {
        Ok(without) => refuse(without, Vec::new()),
        Err(NoSolution::Unsolvable(unsolvable)) => refuse(unsolvable.without, unsolvable.problems),
        // That there is none is known: only what could be had without some of it is not.
        Err(NoSolution::Stopped(Stopped::TooHard { .. })) => refuse(first.solution(), first.problems()),
        Err(NoSolution::Stopped(stopped)) => NoAnswer::Stopped(stopped),
    })
}

/// Can any package meet a requirement, or rpm itself? Of a condition that some package meets, what it asks for must be there,
/// too. What cannot be read is met by none.
pub fn is_met(pool: &Pool, requirement: &Dependency) -> bool {
    let request = Request::default();
    Rich::of(requirement).is_ok_and(|rich| World::new(pool, &request).can_hold(&rich))
}

/// A package and what it requires, as far as that is there; by id.
pub fn closure(pool: &Pool, package: PackageId, limits: &Limits) -> Result<Vec<PackageId>, Stopped> {
    let mut request = Request {
        jobs: vec![Job::new(Action::Install, Select::Package(package))],
        ..Request::default()
    };
    request.policy.weak = false;
    request.policy.allow_missing = true;
    let solution = match quick::forced(pool, &request) {
        Some(solution) => solution,
        None => searched(pool, &request, limits)?.solution(),
    };
    let mut all = solution.packages();
    if let Err(at) = all.binary_search(&package) {
        all.insert(at, package);
    }
    Ok(all)
}

/// What cannot be read is no package's.
fn wish(dependency: &Dependency) -> Job {
    let select = match Rich::of(dependency) {
        Ok(rich) => Select::Provides(rich, None),
        Err(_) => Select::Name(dependency.clone(), None),
    };
    Job::new(Action::Install, select)
}
