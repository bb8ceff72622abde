//! The second pass: what is recommended, and what supplements what is there.

use super::{
    choose::{Mode, is_attached},
    pool::{Id, List, Need},
    rich::Cnf,
    rules::lit,
    set::Bits,
    solver::Solver,
};

impl Solver<'_> {
    /// Installs weak dependencies that can be had. The level to go on from, or none where nothing was open.
    pub(super) fn resolve_weak(&mut self, start: i32) -> Option<i32> {
        let mut recommended = self.recommended();
        let mut supplementing = self.supplementing();
        self.without_obsoleted(&mut recommended);
        self.without_obsoleted(&mut supplementing);
        supplementing.retain(|id| self.may_supplement(*id));
        for id in &supplementing {
            if !recommended.contains(id) {
                recommended.push(*id);
            }
        }
        if recommended.len() < 2 {
            let one = *recommended.first()?;
            return Some(self.step(start, lit(one), None));
        }
        self.prune(&mut recommended, Mode::Best, None);
        let mut best = self.world.pool.all();
        for id in &recommended {
            best.add(*id);
        }
        supplementing.retain(|id| best.has(*id));
        self.prune(&mut supplementing, Mode::Order, None);
        let decided = self.sat.trail.len();
        let mut level = start;
        for id in supplementing {
            if self.sat.is_open(id) {
                let before = level;
                level = self.step(level, lit(id), None);
                if level <= before {
                    return Some(level);
                }
            }
        }
        if self.sat.trail.len() < decided {
            return Some(level);
        }
        Some(self.install_recommended(level, decided, &best))
    }

    fn install_recommended(&mut self, start: i32, decided: usize, best: &Bits) -> i32 {
        let mut level = start;
        for at in 0..decided {
            let literal = self.sat.trail[at];
            if literal <= 0 || literal == self.ground || !self.recommends_count(literal as Id) {
                continue;
            }
            for &need in self.world.pool.list(literal as Id, List::Recommends) {
                let mut list = self.wanted_for(need, &|id| best.has(id));
                if list.is_empty() {
                    continue;
                }
                if list.len() > 1 {
                    self.prune(&mut list, Mode::One, None);
                }
                if list.len() > 1 {
                    self.branch(level, &list, None);
                }
                let before = level;
                level = self.step(level, lit(list[0]), None);
                if level <= before || self.sat.trail.len() < decided {
                    return level;
                }
            }
        }
        level
    }

    /// Do the recommendations of this package count?
    fn recommends_count(&self, id: Id) -> bool {
        self.world.policy.already_recommended || !self.world.is_installed(id)
    }

    /// Open packages of which one should be installed so that a recommendation holds; none where it holds.
    fn wanted_for(&self, need: Need, fine: &dyn Fn(Id) -> bool) -> Vec<Id> {
        let Cnf::All(clauses) = self.world.cnf(need, true) else {
            return Vec::new();
        };
        let mut all: Vec<Id> = Vec::new();
        for clause in clauses {
            let moot = |l: &i32| {
                if *l < 0 {
                    !self.sat.is_false(*l)
                } else {
                    self.sat.is_true(*l)
                }
            };
            if clause.iter().any(moot) {
                continue;
            }
            for id in clause.into_iter().filter(|l| *l > 0).map(|l| l as Id) {
                if self.sat.is_open(id) && self.added.has(id) && fine(id) && !all.contains(&id) {
                    all.push(id);
                }
            }
        }
        all
    }

    /// An orphan that may go is not kept for a weak dependency.
    fn is_dropped(&self, id: Id) -> bool {
        self.maps.orphans && self.world.is_installed(id) && self.maps.drops(id)
    }

    fn is_unwanted(&self, id: Id) -> bool {
        self.favor.get(id as usize).is_some_and(|rank| *rank < 0) || self.maps.not_weak.has(id)
    }

    fn recommended(&self) -> Vec<Id> {
        let mut ids: Vec<Id> = self
            .sat
            .trail
            .iter()
            .filter(|l| **l > 0 && **l != self.ground)
            .map(|l| *l as Id)
            .collect();
        ids.sort_unstable();
        let mut seen = self.world.pool.all();
        let mut all = Vec::new();
        for id in ids.into_iter().filter(|id| self.recommends_count(*id)) {
            for &need in self.world.list(id, List::Recommends) {
                let list = self.wanted_for(need, &|id| !self.is_dropped(id) && !self.is_unwanted(id));
                all.extend(list.into_iter().filter(|id| seen.add(*id)));
            }
        }
        all
    }

    fn supplementing(&self) -> Vec<Id> {
        (self.world.pool.attached.iter().copied())
            .filter(|id| self.sat.is_open(*id) && self.world.is_installable(*id) && self.added.has(*id))
            .filter(|id| !self.is_dropped(*id) && !self.is_unwanted(*id))
            .filter(|id| is_attached(&self.world, &self.sat, *id, List::Supplements))
            .collect()
    }

    /// What an installed package obsoletes does not come back.
    fn without_obsoleted(&self, list: &mut Vec<Id>) {
        let world = &self.world;
        list.retain(|id| {
            let name = world.entry(*id).name;
            !(world.pool.obsoleting(name).iter()).any(|by| {
                world.is_installed(*by)
                    && self.sat.value(*by) > 0
                    && (world.policy.keep_explicit_obsoletes || !world.multi.has(*by))
                    && world.obsoletes(*by, *id)
            })
        });
    }

    fn may_supplement(&self, id: Id) -> bool {
        let world = &self.world;
        // What already supplemented installed packages was not wanted then.
        if !world.policy.already_recommended {
            let new = |other: Id| self.sat.value(other) > 0;
            let old = |other: Id| self.sat.value(other) > 0 && world.is_installed(other);
            let supplements = world.list(id, List::Supplements);
            if !supplements
                .iter()
                .any(|need| world.holds(*need, &new) && !world.holds(*need, &old))
            {
                return false;
            }
        }
        let taken = |other: Id| self.sat.value(other) > 0;
        if world.multi.has(id) && world.siblings(id).any(taken) {
            return false;
        }
        let other_arch = |other: Id| taken(other) && world.entry(other).arch != world.entry(id).arch;
        !(world.policy.colors && world.siblings(id).any(other_arch))
    }
}
