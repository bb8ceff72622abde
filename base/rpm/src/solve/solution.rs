//! What comes, what goes, what stays, and why.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::{
    Action, PackageId,
    choose::is_attached,
    pool::{Id, List},
    solver::Solver,
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
        let mut why = self.reasons(&new, &replace);
        let install = (new.iter())
            .map(|id| Chosen {
                package: PackageId(*id),
                why: why.remove(id).unwrap_or(Why::Supplements),
            })
            .collect();
        let ids = |list: Vec<Id>| list.into_iter().map(PackageId).collect();
        Solution {
            install,
            erase: ids(erase),
            replace: replace
                .into_iter()
                .map(|(old, new)| (PackageId(old), PackageId(new)))
                .collect(),
            stay: ids(stay),
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
        let mut why: FxHashMap<Id, Why> = FxHashMap::default();
        let mut queue = VecDeque::new();
        for (clause, number) in &self.job_clauses {
            if self.is_job(*number, Action::Install) {
                for &lit in self
                    .sat
                    .literals(*clause)
                    .iter()
                    .filter(|lit| **lit > 0 && self.sat.is_true(**lit))
                {
                    let id = lit as Id;
                    why.entry(id).or_insert_with(|| {
                        queue.push_back(id);
                        Why::Asked(*number)
                    });
                }
            }
        }
        for (old, new) in replace {
            why.entry(*new).or_insert_with(|| {
                queue.push_back(*new);
                Why::Replaces(PackageId(*old))
            });
        }
        for id in self.world.installed().filter(|id| self.sat.value(*id) > 0) {
            why.entry(id).or_insert_with(|| {
                queue.push_back(id);
                Why::Stays
            });
        }
        self.follow(&mut why, queue, new);
        why
    }

    fn follow(&self, why: &mut FxHashMap<Id, Why>, mut queue: VecDeque<Id>, new: &[Id]) {
        let world = &self.world;
        let mut all: Vec<Id> = queue.iter().copied().collect();
        loop {
            while let Some(by) = queue.pop_front() {
                for &need in world.list(by, List::Requires) {
                    for id in world
                        .helpers(need)
                        .into_iter()
                        .filter(|id| self.sat.value(*id) > 0)
                    {
                        why.entry(id).or_insert_with(|| {
                            queue.push_back(id);
                            all.push(id);
                            Why::Required {
                                by: PackageId(by),
                                dependency: world.pool.show(need),
                            }
                        });
                    }
                }
            }
            // Weak dependencies, once nothing else explains what is left.
            for &by in &all {
                for &need in world.list(by, List::Recommends) {
                    for id in world
                        .helpers(need)
                        .into_iter()
                        .filter(|id| self.sat.value(*id) > 0)
                    {
                        why.entry(id).or_insert_with(|| {
                            queue.push_back(id);
                            Why::Recommended {
                                by: PackageId(by),
                                dependency: world.pool.show(need),
                            }
                        });
                    }
                }
            }
            if queue.is_empty() {
                let left = new.iter().copied().filter(|id| !why.contains_key(id));
                let attached: Vec<Id> = left
                    .filter(|id| is_attached(world, &self.sat, *id, List::Supplements))
                    .collect();
                for id in attached {
                    why.insert(id, Why::Supplements);
                    queue.push_back(id);
                }
            }
            if queue.is_empty() {
                return;
            }
            all.extend(queue.iter().copied());
        }
    }
}
