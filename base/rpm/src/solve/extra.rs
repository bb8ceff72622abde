//! Policies as clauses: the best architecture, distribution upgrades, priorities, the best version.

use super::{
    Action,
    choose::Mode,
    pool::{Id, List},
    rules::{Kind, lit},
    sat::Lit,
    solver::Solver,
};

impl Solver<'_> {
    /// What distribution upgrades are about, and what they may end with.
    pub(super) fn read_upgrades(&mut self) {
        let jobs = self.jobs;
        for job in jobs.iter().filter(|job| job.action == Action::DistUpgrade) {
            let refine = job.refine;
            let ids = self.world.select(&job.select);
            let new = |solver: &Self, id: Id| !solver.world.is_installed(id);
            match &job.select {
                super::Select::All => {
                    self.maps.upgrade_all = true;
                    for id in ids {
                        if new(self, id) && self.world.is_installable(id) {
                            self.maps.wanted.add(id);
                        }
                    }
                    self.maps.best_all |= refine.best;
                    if refine.clean {
                        self.maps.clean_updates.extend(self.world.installed());
                    }
                }
                _ => {
                    let has_installed = ids.iter().any(|id| !new(self, *id));
                    let auto = !self.world.policy.no_auto_target;
                    let targeted = refine.targeted || (auto && !has_installed);
                    for id in ids {
                        if new(self, id) && (!targeted || !self.world.is_installable(id)) {
                            continue;
                        }
                        self.add_to_upgrade(id, targeted, refine.best, refine.clean);
                    }
                }
            }
        }
        if self.maps.upgrade_all {
            self.maps.update_all = true;
        } else {
            for id in self.world.installed() {
                if self.maps.upgrade.has(id) {
                    self.maps.update.add(id);
                }
            }
        }
    }

    fn add_to_upgrade(&mut self, id: Id, targeted: bool, best: bool, clean: bool) {
        let (world, maps) = (&self.world, &mut self.maps);
        maps.upgrade.add(id);
        if targeted {
            maps.wanted.add(id);
        }
        let mut touched: Vec<Id> = Vec::new();
        for other in world.named(world.entry(id).name) {
            maps.upgrade.add(other);
            if world.is_installed(other) {
                touched.push(other);
            } else if !targeted {
                maps.wanted.add(other);
            }
        }
        if targeted && !world.is_installed(id) {
            for need in world.list(id, List::Obsoletes) {
                for other in world.obsoleted_by(id, *need) {
                    maps.upgrade.add(other);
                    if world.is_installed(other) {
                        touched.push(other);
                    }
                }
            }
        }
        for old in touched {
            if targeted {
                for heir in world.replacers(old).filter(|heir| !world.is_installed(*heir)) {
                    maps.upgrade.add(heir);
                }
            }
            if best && !maps.best_all {
                maps.best.add(old);
            }
            if clean {
                maps.clean_updates.push(old);
            }
        }
        if world.is_installed(id) {
            for heir in world.replacers(id).filter(|heir| !world.is_installed(*heir)) {
                maps.upgrade.add(heir);
                if !targeted {
                    maps.wanted.add(heir);
                }
            }
        }
    }

    /// Packages that may play a part, by name: each name once, at its first package.
    fn groups(&self) -> Vec<Vec<Id>> {
        let count = self.world.pool.entries.len() as Id;
        let mut seen = self.world.pool.all();
        let mut groups = Vec::new();
        for id in (1..count).filter(|id| self.added.has(*id)) {
            if !seen.has(id) {
                let all = self.world.named(self.world.entry(id).name);
                let group: Vec<Id> = all.filter(|other| self.added.has(*other)).collect();
                for other in &group {
                    seen.add(*other);
                }
                groups.push(group);
            }
        }
        groups
    }

    pub(super) fn add_arch_clauses(&mut self) {
        if self.world.policy.any_arch || self.world.pool.arches.is_empty() {
            return;
        }
        for group in self.groups() {
            let world = &self.world;
            let counts =
                |id: Id| world.is_installed(id) && !self.maps.is_upgraded(id) && world.score(id) != 1;
            let mut allowed: Vec<usize> = group
                .iter()
                .filter(|id| counts(**id))
                .map(|id| world.score(*id))
                .collect();
            let fresh = group
                .iter()
                .filter(|id| !world.is_installed(**id) || world.score(**id) == 1);
            let mut best = fresh.map(|id| world.score(*id)).filter(|score| *score > 1).min();
            if best.is_none() && allowed.len() > 1 && world.policy.colors {
                best = allowed.iter().copied().filter(|score| *score > 1).min();
            }
            let Some(best) = best else {
                continue;
            };
            let partners = |id: Id| {
                world.siblings(id).filter(move |other| {
                    world.same_evr(*other, id)
                        && world.entry(*other).arch != world.entry(id).arch
                        && (world.score(*other) == 1 || world.score(*other) == best)
                })
            };
            if world.policy.colors {
                // An inferior architecture stays only where its package does not go with a better one.
                let alone = |id: &&Id| {
                    world.score(**id) == 0 || (world.score(**id) != best && partners(**id).next().is_none())
                };
                let kept = group.iter().filter(|id| counts(**id)).filter(alone);
                allowed = kept.map(|id| world.score(*id)).collect();
            }
            let mut drafts: Vec<(Lit, Vec<Id>)> = Vec::new();
            for &id in &group {
                let score = world.score(id);
                if score == 1 || score == best || (world.is_installed(id) && !world.policy.colors) {
                    continue;
                }
                if !world.is_installed(id) && allowed.contains(&score) {
                    continue;
                }
                let with: Vec<Id> = if world.policy.colors {
                    partners(id).collect()
                } else {
                    Vec::new()
                };
                if world.is_installed(id) && !with.iter().any(|other| world.is_installed(*other)) {
                    continue;
                }
                drafts.push((-lit(id), with));
            }
            for (first, with) in drafts {
                let clause = self.add_all(Some(first), &with, Kind::InferiorArch(first.unsigned_abs()));
                self.inferior.push(clause);
            }
        }
    }

    pub(super) fn add_upgrade_clauses(&mut self) {
        if !self.maps.upgrade_all && !self.maps.upgrade.any() {
            return;
        }
        for id in self.groups().into_iter().flatten() {
            if !self.maps.is_upgraded(id) || self.maps.wanted.has(id) {
                continue;
            }
            let mut others: Vec<Id> = Vec::new();
            if self.world.is_installed(id) {
                if self.world.off.has(id) {
                    continue;
                }
                let world = &self.world;
                let place = world.place(id);
                let good = world
                    .siblings(id)
                    .any(|twin| self.maps.wanted.has(twin) && world.is_identical(id, twin));
                let own = self.own_clause(place);
                let special = self.special.get(&id).cloned();
                let alone =
                    |clause: Option<u32>| clause.is_none_or(|clause| self.sat.literals(clause).len() == 1);
                let orphan = match (own, &special) {
                    (None, _) => true,
                    (Some(_), Some(_)) => false,
                    (Some(own), None) => self.sat.literals(own) == [lit(id)] && alone(self.feature[place]),
                };
                if good || orphan {
                    self.maps.wanted.add(id);
                    continue;
                }
                others = special.unwrap_or_default();
            }
            let clause = self.add_all(Some(-lit(id)), &others, Kind::NotInUpgrade(id));
            self.unwanted.push(clause);
        }
    }

    pub(super) fn add_priority_clauses(&mut self) {
        if !self.world.policy.strict_priority {
            return;
        }
        for group in self.groups() {
            let Some(first) = group.first() else {
                continue;
            };
            let all = self.world.named(self.world.entry(*first).name);
            let Some(top) = all.map(|id| self.world.priority(id)).max() else {
                continue;
            };
            for id in group {
                if !self.world.is_installed(id) && self.world.priority(id) < top {
                    let clause = self.add(&[-lit(id)], Kind::LowPriority(id));
                    self.low.push(clause);
                }
            }
        }
    }

    /// Strong recommendations once more, without what is disfavoured.
    pub(super) fn add_recommends_copies(&mut self) {
        if !self.favor.iter().any(|rank| *rank < 0) {
            return;
        }
        for clause in self.strong.clone() {
            let literals = self.sat.literals(clause).to_vec();
            let bad = |other: &Lit| *other > 0 && self.favor[*other as usize] < 0;
            let left: Vec<Lit> = literals.iter().copied().filter(|other| !bad(other)).collect();
            if left.len() == literals.len() {
                continue;
            }
            self.sat.enable(clause, false);
            if left.len() > 1 && left.iter().any(|other| *other > 0) {
                let copy = self.add(&left, Kind::RecommendsCopy(clause));
                // Not weak by itself: what breaks it is told apart from what broke the original.
                self.sat.set_weak(copy);
                self.copies.push(copy);
            }
        }
    }

    pub(super) fn add_best_clauses(&mut self) {
        for (clause, number) in self.job_clauses.clone() {
            let job = &self.jobs[number];
            if job.action == Action::Install && job.refine.best {
                self.best_job(clause, job.refine.weak);
            }
        }
        if !self.maps.best_all && !self.maps.best.any() {
            return;
        }
        for id in self.world.installed() {
            if self.maps.is_updated(id) && (self.maps.best_all || self.maps.best.has(id)) {
                self.best_update(id);
            }
        }
    }

    fn best_job(&mut self, clause: u32, weak: bool) {
        let literals = self.sat.literals(clause).to_vec();
        let all: Vec<Id> = literals
            .iter()
            .filter(|lit| **lit > 0)
            .map(|lit| *lit as Id)
            .collect();
        let mut list = all.clone();
        self.prune(&mut list, Mode::Best, None);
        if all.is_empty() || list.len() == all.len() {
            return;
        }
        if self.locked.any() {
            let mut free: Vec<Id> = Vec::new();
            for &id in &all {
                match (self.world.is_installed(id), self.locked.has(id)) {
                    (true, true) => {
                        push_new(&mut list, id);
                        free.push(id);
                    }
                    (false, true) => {}
                    _ => free.push(id),
                }
            }
            self.prune(&mut free, Mode::Best, None);
            free.into_iter().for_each(|id| push_new(&mut list, id));
        }
        let mut best: Vec<Lit> = literals.iter().copied().filter(|lit| *lit < 0).collect();
        best.extend(list.into_iter().map(lit));
        let kind = Kind::BestJob(clause);
        let new = self.add(&best, kind);
        if weak {
            self.sat.set_weak(new);
        }
        self.best.push((new, kind));
    }

    fn best_update(&mut self, id: Id) {
        let place = self.world.place(id);
        let (update, feature) = (self.update[place], self.feature[place]);
        let chosen = if self.world.policy.best_obeys_policy {
            update
        } else {
            feature.or(update)
        };
        let positive = |solver: &Self, clause: Option<u32>| -> Vec<Id> {
            let literals = clause.map_or(&[][..], |clause| solver.sat.literals(clause));
            literals
                .iter()
                .filter(|lit| **lit > 0)
                .map(|lit| *lit as Id)
                .collect()
        };
        let all = match self.special.get(&id) {
            Some(special) if chosen == update => {
                let own = positive(self, chosen).first() == Some(&id);
                own.then_some(id)
                    .into_iter()
                    .chain(special.iter().copied())
                    .collect()
            }
            _ => positive(self, chosen),
        };
        let mut list = self.pruned_update(id, all.clone());
        if list.is_empty() {
            return;
        }
        if self.locked.any() {
            self.add_unlocked(id, all, &mut list);
        }
        if self.world.policy.best_obeys_policy && feature.is_some() {
            let all = positive(self, feature);
            self.pruned_update(id, all.clone())
                .into_iter()
                .for_each(|new| push_new(&mut list, new));
            if self.locked.any() {
                self.add_unlocked(id, all, &mut list);
            }
        }
        let kind = Kind::BestUpdate(id);
        if self.world.policy.allow_uninstall || self.maps.may_uninstall() {
            // It may go, but may not be replaced by less than the best.
            let may_go =
                self.world.policy.allow_uninstall || self.maps.uninstall_all || self.maps.uninstall.has(id);
            if may_go {
                for other in positive(self, feature.or(update)) {
                    if !list.contains(&other) {
                        let clause = self.add_all(Some(-lit(other)), &list, kind);
                        self.best.push((clause, kind));
                    }
                }
                return;
            }
        }
        let clause = self.add_all(None, &list, kind);
        self.best.push((clause, kind));
    }

    fn add_unlocked(&mut self, id: Id, mut all: Vec<Id>, list: &mut Vec<Id>) {
        if self.locked.has(id) {
            push_new(&mut all, id);
        }
        for &other in &all {
            if self.world.is_installed(other) && self.locked.has(other) {
                push_new(list, other);
            }
        }
        all.retain(|other| self.world.is_installed(*other) || !self.locked.has(*other));
        self.pruned_update(id, all)
            .into_iter()
            .for_each(|new| push_new(list, new));
    }

    fn pruned_update(&mut self, id: Id, mut list: Vec<Id>) -> Vec<Id> {
        if let Some(targets) = self.maps.targets.get(&id) {
            list.retain(|new| targets.contains(new));
        }
        if self.maps.upgrade.has(id) {
            list.retain(|new| self.maps.wanted.has(*new));
        }
        self.prune(&mut list, Mode::Best, None);
        list
    }
}

fn push_new(list: &mut Vec<Id>, id: Id) {
    if !list.contains(&id) {
        list.push(id);
    }
}
