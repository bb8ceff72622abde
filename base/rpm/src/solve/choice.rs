//! Clauses that prefer: an update of what is installed before a new package (rule 1), and yum's obsoletes.

use super::{
    choose::Mode,
    pool::{Id, List, Need},
    rules::{Kind, lit},
    sat::{ClauseId, Lit},
    set::Bits,
    solver::Solver,
};

impl Solver<'_> {
    /// Where a dependency may be met by what is installed, by an update of it, or by something new, a weak clause
    /// leaves out the new.
    pub(super) fn add_choice_clauses(&mut self) {
        if self.world.installed().is_empty() {
            return;
        }
        let policy = &self.world.policy;
        let looks_down = policy.allow_downgrade
            || ((self.maps.upgrade_all || self.maps.upgrade.any()) && policy.upgrade_allow_downgrade);
        let mut barred = self.world.pool.all();
        for clause in self.inferior.iter().chain(&self.unwanted) {
            if let [one] = self.sat.literals(*clause) {
                barred.add(one.unsigned_abs());
            }
        }
        // 0 not looked at, 1 has nothing to do with what is installed, 2 is or replaces something installed.
        let mut relation: Vec<u8> = vec![0; self.world.pool.entries.len()];
        let mut last: Vec<Lit> = Vec::new();
        for clause in 0..self.package_end {
            let literals = self.sat.literals(clause);
            if literals[0] >= 0 || literals.len() < 2 || literals[1..].iter().all(|lit| *lit < 0) {
                continue;
            }
            let mut kinds = 0;
            for id in literals[1..].iter().filter(|lit| **lit > 0).map(|lit| *lit as Id) {
                let of = &mut relation[id as usize];
                if *of == 0 {
                    *of = 1 + u8::from(self.world.is_installed(id) || self.predecessor(id).is_some());
                }
                kinds |= *of;
            }
            if kinds != 3 {
                continue;
            }
            let Some(choice) = self.choice(clause, &barred, looks_down) else {
                continue;
            };
            if choice == last {
                continue;
            }
            let new = self.add(&choice, Kind::Choice(clause));
            self.sat.set_weak(new);
            self.choices.push((new, clause));
            last = choice;
        }
    }

    fn choice(&mut self, clause: ClauseId, barred: &Bits, looks_down: bool) -> Option<Vec<Lit>> {
        let literals = self.sat.literals(clause).to_vec();
        let world = &self.world;
        let (mut pairs, mut is_choice, mut from_installed) = (Vec::new(), false, false);
        for &literal in &literals {
            let id = literal.unsigned_abs();
            if literal < 0 {
                from_installed |= world.is_installed(id) && !self.maps.is_updated(id);
            } else if world.is_installed(id) {
                pairs.push((id, id));
            } else if let Some(old) = self.predecessor(id) {
                if !barred.has(id) && !world.forbidden(old, id, self.maps.is_upgraded(old)).any() {
                    pairs.push((old, id));
                }
            } else {
                is_choice = true;
            }
        }
        if !is_choice || pairs.is_empty() {
            return None;
        }
        let positive = |id: Id| literals.contains(&lit(id));
        if !from_installed {
            let mut kept = Vec::new();
            for (old, new) in pairs {
                let world = &self.world;
                let down = looks_down
                    && world.entry(old).name == world.entry(new).name
                    && world.compare(old, new).is_gt();
                if (down || self.maps.is_updated(old)) && self.loses(old, &positive) {
                    continue;
                }
                kept.push((old, new));
            }
            pairs = kept;
        }
        let stays_same = |old: Id| match self.own_clause(self.world.place(old)) {
            Some(own) => self.sat.literals(own).iter().all(|lit| positive(*lit as Id)),
            None => true,
        };
        if pairs.is_empty() || pairs.iter().all(|(old, _)| stays_same(*old)) {
            return None;
        }
        let negative = literals.iter().copied().filter(|lit| *lit < 0);
        Some(negative.chain(pairs.iter().map(|(_, new)| lit(*new))).collect())
    }

    /// Would the best update of `old` no longer be one of the packages that are needed?
    fn loses(&mut self, old: Id, positive: &dyn Fn(Id) -> bool) -> bool {
        let Some(own) = self.own_clause(self.world.place(old)) else {
            return false;
        };
        let mut list: Vec<Id> = self.sat.literals(own).iter().map(|lit| *lit as Id).collect();
        if list.iter().all(|id| positive(*id)) {
            return false;
        }
        self.prune(&mut list, Mode::One, None);
        !list.iter().any(|id| positive(*id))
    }

    /// An installed package that `id` would replace.
    fn predecessor(&self, id: Id) -> Option<Id> {
        let world = &self.world;
        (world.siblings(id))
            .find(|old| world.is_installed(*old) && world.colors_meet(id, *old))
            .or_else(|| {
                let mut named = world
                    .list(id, List::Obsoletes)
                    .iter()
                    .flat_map(|need| world.obsoleted_by(id, *need));
                named.find(|old| world.is_installed(*old))
            })
    }

    /// A choice clause stands in the way: it goes, with all that would keep the same packages away.
    pub(super) fn drop_choice(&mut self, clause: ClauseId) {
        let Some(&(_, original)) = self.choices.iter().find(|(choice, _)| *choice == clause) else {
            return;
        };
        self.sat.enable(clause, false);
        let has = self.sat.literals(clause);
        let left_out: Vec<Lit> = (self.sat.literals(original).iter().copied())
            .filter(|lit| *lit > 0 && !has.contains(lit))
            .collect();
        for (choice, original) in self.choices.clone() {
            if self
                .sat
                .literals(original)
                .iter()
                .any(|lit| left_out.contains(lit))
            {
                self.sat.enable(choice, false);
            }
        }
    }

    /// Choice clauses that keep away what is installed anyway are of no use. Was one dropped?
    pub(super) fn drop_needless_choices(&mut self) -> bool {
        let mut dropped = false;
        for (choice, original) in self.choices.clone() {
            if !self.sat.is_enabled(choice) || !self.sat.is_enabled(original) {
                continue;
            }
            let kept = self.sat.literals(choice);
            let needless = (self.sat.literals(original).iter())
                .any(|lit| *lit > 0 && self.sat.is_true(*lit) && !kept.contains(lit));
            if needless {
                self.drop_choice(choice);
                dropped = true;
            }
        }
        dropped
    }

    /// Packages of several names that obsolete the same installed one: who installs one installs one of each name.
    pub(super) fn add_yum_clauses(&mut self) {
        if !self.world.policy.yum_obsoletes {
            return;
        }
        let mut needs: Vec<Need> = Vec::new();
        for old in self.world.installed() {
            for new in self.world.replacers(old) {
                for &need in self.world.list(new, List::Obsoletes) {
                    let meets =
                        |other: Id| self.world.is_installed(other) && self.world.colors_meet(old, other);
                    if !needs.contains(&need) && self.world.obsoleted_by(new, need).any(meets) {
                        needs.push(need);
                    }
                }
            }
        }
        for need in needs {
            let groups = self.yum_groups(need);
            for (number, group) in groups.iter().enumerate() {
                for &id in group
                    .iter()
                    .filter(|id| !self.world.is_installed(**id))
                    .collect::<Vec<_>>()
                {
                    for (other, list) in groups.iter().enumerate() {
                        if other != number {
                            let clause = self.add_all(Some(-lit(id)), list, Kind::YumObsoletes(id));
                            self.yum.push(clause);
                        }
                    }
                }
            }
        }
    }

    /// Packages that have this very obsoletes, by name, the names that matter only.
    fn yum_groups(&mut self, need: Need) -> Vec<Vec<Id>> {
        let world = &self.world;
        let mut all: Vec<Id> = Vec::new();
        for old in world.obsoleted_by(0, need).filter(|old| world.is_installed(*old)) {
            let same = world.named(world.entry(old).name);
            for id in world.replacers(old).chain(same) {
                let says = world.list(id, List::Obsoletes).contains(&need);
                if says && world.colors_meet(old, id) && !all.contains(&id) {
                    all.push(id);
                }
            }
        }
        let mut best = all.clone();
        self.prune_versions(&mut best);
        let groups: Vec<Vec<Id>> = (best.into_iter())
            .map(|best| {
                let name = self.world.entry(best).name;
                all.iter()
                    .copied()
                    .filter(|id| self.world.entry(*id).name == name)
                    .collect()
            })
            .collect();
        if groups.len() > 1 { groups } else { Vec::new() }
    }

    /// Candidates that come along with an earlier one, by yum's obsoletes, are no choice.
    pub(super) fn prune_yum(&self, list: &mut Vec<Id>) {
        let mut at = 0;
        while at + 1 < list.len() {
            let first = list[at];
            let along: Vec<Lit> = (self.yum.iter())
                .map(|clause| self.sat.literals(*clause))
                .filter(|literals| literals[0] == -lit(first))
                .flat_map(|literals| literals[1..].iter().copied())
                .collect();
            let mut place = 0;
            list.retain(|id| {
                place += 1;
                place <= at + 1 || !along.contains(&lit(*id))
            });
            at += 1;
        }
    }
}
