//! The question that stages ask: which packages do these dependencies need, where nothing is installed?

use keel_artefact::{Dependency, Rich};

use super::{
    Action, Job, Missing, PackageId, Policy, Pool, Problem, Request, Select, Solution, solve, world::World,
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

/// Packages that meet all `wishes`, and what they require, without those that are `disabled`; with what they recommend, if
/// `weak` says so. The jobs of the answer are the wishes, by number.
pub fn install(
    pool: &Pool,
    wishes: &[Dependency],
    disabled: &[PackageId],
    weak: bool,
) -> Result<Solution, Box<Refusal>> {
    let mut request = Request {
        jobs: wishes.iter().map(wish).collect(),
        disabled: disabled.to_vec(),
        policy: Policy {
            weak,
            ..Policy::default()
        },
    };
    let first = match solve(pool, &request) {
        Ok(solution) => return Ok(solution),
        Err(unsolvable) => unsolvable.problems,
    };
    request.policy.weak = false;
    request.policy.allow_missing = true;
    let (without, problems) = match solve(pool, &request) {
        Ok(without) => (without, Vec::new()),
        Err(unsolvable) => (unsolvable.without, unsolvable.problems),
    };
    let missing = without.missing.clone();
    let problems = match missing.is_empty() && problems.is_empty() {
        true => first,
        false => problems,
    };
    Err(Box::new(Refusal {
        missing,
        problems,
        without,
    }))
}

/// Can any package meet a requirement, or rpm itself? Of a condition that some package meets, what it asks for must be there,
/// too. What cannot be read is met by none.
pub fn is_met(pool: &Pool, requirement: &Dependency) -> bool {
    let request = Request::default();
    Rich::of(requirement).is_ok_and(|rich| World::new(pool, &request).can_hold(&rich))
}

/// A package and what it requires, as far as that is there; by id.
pub fn closure(pool: &Pool, package: PackageId) -> Vec<PackageId> {
    let mut request = Request {
        jobs: vec![Job::new(Action::Install, Select::Package(package))],
        ..Request::default()
    };
    request.policy.weak = false;
    request.policy.allow_missing = true;
    let solution = match solve(pool, &request) {
        Ok(solution) => solution,
        Err(unsolvable) => unsolvable.without,
    };
    let mut all = solution.packages();
    if let Err(at) = all.binary_search(&package) {
        all.insert(at, package);
    }
    all
}

/// What cannot be read is no package's.
fn wish(dependency: &Dependency) -> Job {
    let select = match Rich::of(dependency) {
        Ok(rich) => Select::Provides(rich, None),
        Err(_) => Select::Name(dependency.clone(), None),
    };
    Job::new(Action::Install, select)
}
