//! What is of no use once something else is gone or updated.
//!
//! First everything goes that what is removed may have brought, step by step; then everything comes back that those
//! that stay need. What does not come back stays only if the solution needs it.

use super::{
    Action, Select,
    jobs::mark,
    pool::{Id, List},
    sat::ClauseId,
    set::Bits,
    solver::Solver,
};

impl Solver<'_> {
    pub(super) fn clean_ids(&self) -> Vec<Id> {
        self.world
            .installed()
            .filter(|id| self.cleaned.has(*id))
            .collect()
    }

    /// Finds the packages that need not stay.
    pub(super) fn find_clean(&mut self) {
        let (asked, mut keep) = self.asked_for();
        let (erased, replaced) = self.gone(&mut keep);
        let mut gone: Vec<Id> = erased.iter().chain(&replaced).copied().collect();
        for id in &gone {
            keep.remove(*id);
        }
        mark(
            &mut keep,
            &self
                .world
                .installed()
                .filter(|id| self.world.off.has(*id))
                .collect::<Vec<_>>(),
        );
        let updates = self.maps.clean_updates.clone();
        let seeds = self.seeds(&updates, &keep);
        for id in updates.iter().filter(|id| !self.world.off.has(**id)) {
            gone.push(*id);
            keep.remove(*id);
        }
        let mut left = self.world.pool.all();
        mark(&mut left, &self.world.installed().collect::<Vec<_>>());
        self.remove(gone, &mut keep, &mut left);
        let mut barred = self.world.pool.all();
        for (clause, _) in &self.job_clauses {
            if let [one] = self.sat.literals(*clause)
                && *one < 0
                && one.unsigned_abs() < self.world.pool.entries.len() as Id
            {
                left.remove(one.unsigned_abs());
                barred.add(one.unsigned_abs());
            }
        }
        mark(&mut barred, &updates);
        self.add_back(asked, &barred, &mut left);
        for id in seeds
            .into_iter()
            .chain(erased)
            .chain(replaced)
            .chain(self.mistakes.clone())
        {
            left.add(id);
        }
        self.cleaned = self.world.pool.all();
        for id in self.world.installed() {
            if !left.has(id) && !self.world.off.has(id) {
                self.cleaned.add(id);
            }
        }
    }

    /// Packages that jobs ask for, and the installed ones that somebody asked for.
    fn asked_for(&self) -> (Vec<Id>, Bits) {
        let (mut asked, mut keep) = (Vec::new(), self.world.pool.all());
        for job in self.jobs.iter().filter(|job| job.action == Action::UserInstalled) {
            let ids = self.world.select(&job.select);
            for &id in &ids {
                if self.world.is_installed(id) {
                    keep.add(id);
                } else if matches!(job.select, Select::Package(_)) {
                    asked.push(id);
                }
            }
        }
        for (clause, number) in self.enabled_jobs() {
            for &lit in self.sat.literals(clause).iter().filter(|lit| **lit > 0) {
                let id = lit as Id;
                asked.push(id);
                if self.world.is_installed(id) && !self.jobs[number].refine.clean {
                    keep.add(id);
                }
            }
        }
        (asked, keep)
    }

    fn enabled_jobs(&self) -> Vec<(ClauseId, usize)> {
        self.job_clauses
            .iter()
            .copied()
            .filter(|(clause, _)| self.sat.is_enabled(*clause))
            .collect()
    }

    /// Installed packages that cleaning jobs erase, and those that they replace.
    fn gone(&self, keep: &mut Bits) -> (Vec<Id>, Vec<Id>) {
        let world = &self.world;
        let (mut erased, mut replaced) = (Vec::new(), Vec::new());
        for (clause, number) in self.enabled_jobs() {
            let (job, literals) = (&self.jobs[number], self.sat.literals(clause));
            match literals {
                [one] if *one < 0 && *one != -self.ground && world.is_installed(one.unsigned_abs()) => {
                    keep.remove(one.unsigned_abs());
                    if job.action == Action::Erase && job.refine.clean {
                        erased.push(one.unsigned_abs());
                    }
                }
                [one] if *one > 0 && world.is_installed(*one as Id) => {}
                _ if job.action == Action::Install
                    && job.refine.clean
                    && literals.iter().all(|lit| *lit > 0) =>
                {
                    let old = |lit: &i32| match world.is_installed(*lit as Id) {
                        true => vec![*lit as Id],
                        false => world.replaced_by(*lit as Id),
                    };
                    let mut common = literals.first().map(old).unwrap_or_default();
                    for lit in literals {
                        let now = old(lit);
                        common.retain(|id| now.contains(id));
                    }
                    replaced.extend(common);
                }
                _ => {}
            }
        }
        (erased, replaced)
    }

    /// Of the updated packages, those that no other of them brings.
    fn seeds(&self, updates: &[Id], keep: &Bits) -> Vec<Id> {
        let world = &self.world;
        let mut set = world.pool.all();
        mark(&mut set, updates);
        // Who is needed by whom: only where it is the one installed package that will do.
        let brought = |id: Id| -> Vec<Id> {
            let mut list = Vec::new();
            for need in [List::Requires, List::Recommends]
                .iter()
                .flat_map(|list| world.list(id, *list))
            {
                let old: Vec<Id> = world
                    .helpers(*need)
                    .into_iter()
                    .filter(|p| world.is_installed(*p) && *p != id)
                    .collect();
                if let [one] = old.as_slice()
                    && set.has(*one)
                {
                    list.push(*one);
                }
            }
            list
        };
        let edges: Vec<(Id, Vec<Id>)> = updates.iter().map(|id| (*id, brought(*id))).collect();
        let of = |id: Id| {
            edges
                .iter()
                .find(|(from, _)| *from == id)
                .map_or(&[][..], |(_, to)| to.as_slice())
        };
        let mut seeds: Vec<Id> = Vec::new();
        let mut covered = world.pool.all();
        let has_parent = |id: Id| edges.iter().any(|(from, to)| *from != id && to.contains(&id));
        let order = updates
            .iter()
            .filter(|id| !has_parent(**id))
            .chain(updates.iter().filter(|id| has_parent(**id)));
        for &id in order {
            if covered.has(id) {
                continue;
            }
            seeds.push(id);
            let mut open = vec![id];
            while let Some(id) = open.pop() {
                if covered.add(id) {
                    open.extend(of(id));
                }
            }
        }
        seeds.retain(|id| !keep.has(*id));
        seeds.extend(updates.iter().filter(|id| keep.has(**id)));
        seeds
    }

    fn remove(&self, mut open: Vec<Id>, keep: &mut Bits, left: &mut Bits) {
        let world = &self.world;
        open.reverse();
        loop {
            while let Some(id) = open.pop() {
                if !world.is_installed(id) || !left.has(id) || keep.has(id) {
                    continue;
                }
                left.remove(id);
                for need in [List::Requires, List::Recommends]
                    .iter()
                    .flat_map(|list| world.list(id, *list))
                {
                    open.extend(world.helpers(*need).into_iter().filter(|id| left.has(*id)));
                }
            }
            // What supplements something that is gone.
            for id in world
                .installed()
                .filter(|id| left.has(*id) && !keep.has(*id))
                .collect::<Vec<_>>()
            {
                let supplements = world.list(id, List::Supplements);
                let now = supplements
                    .iter()
                    .any(|need| world.holds(*need, &|other| left.has(other)));
                let before = supplements
                    .iter()
                    .any(|need| world.holds(*need, &|other| world.is_installed(other)));
                if before && !now {
                    let rest = supplements.iter().flat_map(|need| world.helpers(*need));
                    for other in rest.filter(|other| left.has(*other)) {
                        keep.add(other);
                    }
                    open.push(id);
                }
            }
            if open.is_empty() {
                return;
            }
        }
    }

    fn add_back(&self, asked: Vec<Id>, barred: &Bits, left: &mut Bits) {
        let world = &self.world;
        let mut open: Vec<Id> = world
            .installed()
            .filter(|id| left.has(*id))
            .chain(asked)
            .collect();
        loop {
            while let Some(id) = open.pop() {
                for need in [List::Requires, List::Recommends]
                    .iter()
                    .flat_map(|list| world.list(id, *list))
                {
                    let helpers = world.helpers(*need);
                    if helpers.contains(&id) {
                        continue;
                    }
                    for other in helpers {
                        if world.is_installed(other) && !left.has(other) && !barred.has(other) {
                            left.add(other);
                            open.push(other);
                        }
                    }
                }
            }
            for id in world.installed().filter(|id| !left.has(*id) && !barred.has(*id)) {
                let supplements = world.list(id, List::Supplements);
                if supplements
                    .iter()
                    .any(|need| world.holds(*need, &|other| left.has(other)))
                {
                    open.push(id);
                }
            }
            if open.is_empty() {
                return;
            }
            mark(left, &open);
        }
    }

    /// Was something cleaned away that is needed after all? Then it is no longer to be cleaned.
    pub(super) fn mend_clean(&mut self) -> bool {
        let mut wrong: Vec<Id> = Vec::new();
        self.ranks.update(&self.world, &self.sat);
        for id in self.world.installed() {
            if self.sat.value(id) > 0 {
                for need in self.world.list(id, List::Requires) {
                    let lost = |other: Id| {
                        self.world.is_installed(other)
                            && self.sat.value(other) <= 0
                            && self.cleaned.has(other)
                    };
                    wrong.extend(self.world.helpers(*need).into_iter().filter(|other| lost(*other)));
                }
            }
            if !self.cleaned.has(id) {
                continue;
            }
            let place = self.world.place(id);
            let (update, feature) = (self.update[place], self.feature[place]);
            let holds = |clause: ClauseId| {
                self.sat
                    .literals(clause)
                    .iter()
                    .any(|lit| *lit > 0 && self.sat.is_true(*lit))
            };
            let Some(own) = feature.or(update) else {
                continue;
            };
            let mistake = match holds(own) {
                false => self.ranks.is_recommended(&self.world, &self.sat, id),
                true => {
                    let best = (self.best.iter()).filter(|(_, of)| *of == super::rules::Kind::BestUpdate(id));
                    update.is_some_and(|update| !holds(update))
                        || best.into_iter().any(|(clause, _)| !holds(*clause))
                }
            };
            if mistake {
                wrong.push(id);
            }
        }
        wrong.sort_unstable();
        wrong.dedup();
        for &id in &wrong {
            self.mistakes.push(id);
            self.cleaned.remove(id);
            let lifted = self.lifts_of_jobs().contains(&super::jobs::Lift::Update(id));
            if !lifted {
                self.lift(super::jobs::Lift::Update(id), true);
            }
        }
        !wrong.is_empty()
    }
}
