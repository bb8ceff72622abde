//! What comes, what goes, what stays, and why.

use std::collections::{VecDeque, hash_map::Entry};

use keel_artefact::Dependency;
use rustc_hash::FxHashMap;

use super::{
    Action, Job, PackageId, Request,
    pool::{Id, List, Need},
    solver::Solver,
    world::World,
};

/// Why a package is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// A job asked for it: its number, from 0.
    Asked(usize),
    /// Another package requires something that it provides.
    Required {
        /// Who.
        by: PackageId,
        /// What.
        dependency: String,
    },
    /// Another package recommends something that it provides.
    Recommended {
        /// Who.
        by: PackageId,
        /// What.
        dependency: String,
    },
    /// It supplements what is there.
    Supplements,
    /// It takes the place of an installed package.
    Replaces(PackageId),
    /// It is installed and stays.
    Stays,
}

/// A package that is installed in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// Which.
    pub package: PackageId,
    /// Why, as shortly as it can be said.
    pub why: Why,
}

/// What is to be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Solution {
    /// New packages, those that replace others too. By id: the same request gives the same list.
    pub install: Vec<Chosen>,
    /// Installed packages that go, those that are replaced too.
    pub erase: Vec<PackageId>,
    /// Installed package, and the one that takes its place: of the same name, or one that obsoletes it.
    pub replace: Vec<(PackageId, PackageId)>,
    /// Installed packages that stay.
    pub stay: Vec<PackageId>,
    /// What was asked for in vain, each once; empty without [`Policy::allow_missing`](super::Policy::allow_missing).
    pub missing: Vec<Missing>,
}

/// Something that no package provides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// A job asks for it: its number, from 0.
    Asked(usize),
    /// A package of the solution requires it.
    Required {
        /// Who.
        by: PackageId,
        /// What.
        dependency: Dependency,
    },
}

impl Solution {
    /// Everything that is installed in the end, by id.
    pub fn packages(&self) -> Vec<PackageId> {
        let mut all: Vec<PackageId> = self
            .install
            .iter()
            .map(|chosen| chosen.package)
            .chain(self.stay.iter().copied())
            .collect();
        all.sort_unstable();
        all
    }
}

impl Solver<'_> {
    pub(super) fn solution(&self) -> Solution {
        let there = |id: &Id| self.sat.value(*id) > 0;
        let mut new: Vec<Id> = (self.sat.trail.iter())
            .filter(|lit| **lit > 0 && **lit != self.ground)
            .map(|lit| *lit as Id)
            .filter(|id| !self.world.is_installed(*id))
            .collect();
        new.sort_unstable();
        let (stay, erase): (Vec<Id>, Vec<Id>) = self.world.installed().partition(there);
        let replace = self.replaced(&new, &erase);
        let why = self.reasons(&new, &replace);
        let missing = match self.world.policy.allow_missing {
            true => missing(&self.world, self.jobs, &new),
            false => Vec::new(),
        };
        let ids = |list: Vec<Id>| list.into_iter().map(PackageId).collect();
        Solution {
            install: chosen(&new, why),
            erase: ids(erase),
            replace: replace
                .into_iter()
                .map(|(old, new)| (PackageId(old), PackageId(new)))
                .collect(),
            stay: ids(stay),
            missing,
        }
    }

    /// What takes the place of what goes: the same name before another one, the same architecture before another one.
    fn replaced(&self, new: &[Id], erase: &[Id]) -> Vec<(Id, Id)> {
        let world = &self.world;
        let mut by_name: FxHashMap<u32, Vec<Id>> = FxHashMap::default();
        for &id in new {
            by_name.entry(world.entry(id).name).or_default().push(id);
        }
        let obsoleting: Vec<Id> = new
            .iter()
            .copied()
            .filter(|id| !world.list(*id, List::Obsoletes).is_empty())
            .collect();
        let mut pairs = Vec::new();
        for &old in erase {
            let same = by_name.get(&world.entry(old).name).into_iter().flatten().copied();
            let same: Vec<Id> = same
                .filter(|id| !world.multi.has(*id) && world.colors_meet(old, *id))
                .collect();
            let of_arch = same
                .iter()
                .copied()
                .find(|id| world.entry(*id).arch == world.entry(old).arch);
            let counts = |id: &Id| world.policy.keep_explicit_obsoletes || !world.multi.has(*id);
            let heir = || {
                obsoleting
                    .iter()
                    .copied()
                    .filter(counts)
                    .find(|id| world.obsoletes(*id, old))
            };
            if let Some(new) = of_arch.or(same.first().copied()).or_else(heir) {
                pairs.push((old, new));
            }
        }
        pairs
    }

    /// From the jobs along what packages require, breadth first: the shortest reason wins.
    fn reasons(&self, new: &[Id], replace: &[(Id, Id)]) -> FxHashMap<Id, Why> {
        let jobs = self.job_clauses.iter();
        let asked = jobs.filter(|(_, number)| self.is_job(*number, Action::Install));
        let asked: Vec<(usize, Vec<Id>)> = asked
            .map(|(clause, number)| {
                let literals = self.sat.literals(*clause).iter().filter(|lit| **lit > 0);
                (*number, literals.map(|lit| *lit as Id).collect())
            })
            .collect();
        let asked: Vec<(usize, &[Id])> = asked
            .iter()
            .map(|(number, ids)| (*number, ids.as_slice()))
            .collect();
        let there = |id: Id| self.sat.value(id) > 0;
        Reasons::new(&self.world, &there).follow(&asked, replace, new)
    }
}

/// A solution in which what is installed stays: new packages by id, and those that the jobs mean.
pub(super) fn of_new(
    world: &World<'_>,
    request: &Request,
    there: &dyn Fn(Id) -> bool,
    new: Vec<Id>,
    asked: &[(usize, &[Id])],
) -> Solution {
    let why = Reasons::new(world, there).follow(asked, &[], &new);
    Solution {
        install: chosen(&new, why),
        stay: world.installed().map(PackageId).collect(),
        missing: match world.policy.allow_missing {
            true => missing(world, &request.jobs, &new),
            false => Vec::new(),
        },
        ..Solution::default()
    }
}

fn chosen(new: &[Id], mut why: FxHashMap<Id, Why>) -> Vec<Chosen> {
    (new.iter())
        .map(|id| Chosen {
            package: PackageId(*id),
            why: why.remove(id).unwrap_or(Why::Supplements),
        })
        .collect()
}

/// What jobs and new packages want, and nothing provides.
fn missing(world: &World<'_>, jobs: &[Job], new: &[Id]) -> Vec<Missing> {
    let jobs = jobs.iter().enumerate();
    let asked = jobs.filter(|(_, job)| job.action == Action::Install && world.means_nothing(&job.select));
    let mut all: Vec<Missing> = asked.map(|(number, _)| Missing::Asked(number)).collect();
    for &id in new {
        let mut told: Vec<Need> = Vec::new();
        for &need in world.list(id, List::Requires) {
            if world.is_missing(need) && !told.contains(&need) {
                told.push(need);
                all.push(Missing::Required {
                    by: PackageId(id),
                    dependency: world.pool.dependency(need),
                });
            }
        }
    }
    all
}

/// Why packages are there.
struct Reasons<'a> {
    world: &'a World<'a>,
    there: &'a dyn Fn(Id) -> bool,
    why: FxHashMap<Id, Why>,
    queue: VecDeque<Id>,
    /// All that have a reason.
    all: Vec<Id>,
}

impl<'a> Reasons<'a> {
    fn new(world: &'a World<'a>, there: &'a dyn Fn(Id) -> bool) -> Self {
        Self {
            world,
            there,
            why: FxHashMap::default(),
            queue: VecDeque::new(),
            all: Vec::new(),
        }
    }

    fn tell(&mut self, id: Id, why: impl FnOnce() -> Why) {
        if let Entry::Vacant(place) = self.why.entry(id) {
            place.insert(why());
            self.queue.push_back(id);
            self.all.push(id);
        }
    }

    fn follow(mut self, asked: &[(usize, &[Id])], replace: &[(Id, Id)], new: &[Id]) -> FxHashMap<Id, Why> {
        for (number, ids) in asked {
            for &id in ids.iter().filter(|id| (self.there)(**id)) {
                self.tell(id, || Why::Asked(*number));
            }
        }
        for (old, new) in replace {
            self.tell(*new, || Why::Replaces(PackageId(*old)));
        }
        for id in self.world.installed().filter(|id| (self.there)(*id)) {
            self.tell(id, || Why::Stays);
        }
        loop {
            while let Some(by) = self.queue.pop_front() {
                self.along(by, List::Requires);
            }
            // Weak dependencies, once nothing else explains what is left.
            for at in 0..self.all.len() {
                self.along(self.all[at], List::Recommends);
            }
            if self.queue.is_empty() {
                let left = new.iter().copied().filter(|id| !self.why.contains_key(id));
                let attached: Vec<Id> = left.filter(|id| self.is_attached(*id)).collect();
                for id in attached {
                    self.tell(id, || Why::Supplements);
                }
            }
            if self.queue.is_empty() {
                return self.why;
            }
        }
    }

    fn along(&mut self, by: Id, list: List) {
        let world = self.world;
        for &need in world.list(by, list) {
            for id in (world.helpers(need).into_iter()).filter(|id| (self.there)(*id)) {
                self.tell(id, || {
                    let (by, dependency) = (PackageId(by), world.pool.show(need));
                    match list {
                        List::Recommends => Why::Recommended { by, dependency },
                        _ => Why::Required { by, dependency },
                    }
                });
            }
        }
    }

    fn is_attached(&self, id: Id) -> bool {
        let supplements = self.world.list(id, List::Supplements);
        (supplements.iter()).any(|need| self.world.holds(*need, self.there))
    }
}
