//! Wishes as clauses, and which policies they put out of force.

use keel_artefact::{Comparison, Rich};

use super::{
    Action, Job, Select,
    pool::{Id, List, overlap},
    rich::Cnf,
    rules::{Kind, lit},
    sat::ClauseId,
    set::Bits,
    solver::Solver,
    world::World,
};

/// A policy that a job puts out of force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Lift {
    /// An installed package need not stay.
    Update(Id),
    /// All architectures of a name are fine.
    Arch(super::pool::Text),
    /// A distribution upgrade has no say in a name.
    Upgrade(super::pool::Text),
    /// Priorities have no say in a name.
    Priority(super::pool::Text),
}

impl World<'_> {
    /// Packages that a selection means.
    pub fn select(&self, select: &Select) -> Vec<Id> {
        let arch_fits = |id: Id, arch: &Option<String>| {
            arch.as_ref()
                .is_none_or(|arch| self.pool.texts.get(self.entry(id).arch) == arch)
        };
        let all = 1..self.pool.entries.len() as Id;
        let mut found: Vec<Id> = match select {
            Select::All => all.collect(),
            Select::Repository(number) => all
                .filter(|id| self.entry(*id).repository as usize == *number)
                .collect(),
            Select::Package(id) => vec![id.0],
            Select::OneOf(ids) => ids.iter().map(|id| id.0).collect(),
            Select::Name(dependency, arch) => {
                let asked = dependency
                    .version
                    .as_ref()
                    .map(|(comparison, evr)| (*comparison, evr));
                let name = self.pool.texts.find(&dependency.name);
                let evr = |id: Id| &self.pool.evrs[self.entry(id).evr as usize];
                (name.into_iter())
                    .flat_map(|name| self.pool.named(name))
                    .copied()
                    .filter(|id| overlap(Some((Comparison::Equal, evr(*id))), asked) && arch_fits(*id, arch))
                    .collect()
            }
            Select::Provides(rich, arch) => self
                .set(rich)
                .into_iter()
                .filter(|id| arch_fits(*id, arch))
                .collect(),
        };
        let only = matches!(select, Select::Package(_) | Select::OneOf(_));
        found.retain(|id| {
            (*id as usize) < self.pool.entries.len() && *id > 0 && (only || self.is_visible(*id))
        });
        found
    }

    /// Is there no package that an install job could mean?
    pub fn means_nothing(&self, select: &Select) -> bool {
        match select {
            Select::Provides(rich, _) if !is_set(rich) => self.cnf_of(rich, true) == Cnf::Never,
            _ => self.select(select).is_empty(),
        }
    }
}

impl Solver<'_> {
    /// What has to be known before any clause is made.
    pub(super) fn read_jobs(&mut self) {
        let jobs = self.jobs;
        for job in jobs {
            let refine = job.refine;
            let all = matches!(job.select, Select::All);
            let installed_repository = |solver: &Self, number: usize| {
                let range = solver.world.installed();
                !range.is_empty() && solver.world.entry(range.start).repository as usize == number
            };
            let whole = all || matches!(job.select, Select::Repository(n) if installed_repository(self, n));
            let found = || self.world.select(&job.select);
            let installed = |ids: Vec<Id>| {
                ids.into_iter()
                    .filter(|id| self.world.is_installed(*id))
                    .collect::<Vec<_>>()
            };
            match job.action {
                Action::Verify if whole => self.maps.fix_all = true,
                Action::Verify => mark(&mut self.maps.fix, &installed(found())),
                Action::AllowUninstall if whole => self.maps.uninstall_all = true,
                Action::AllowUninstall => mark(&mut self.maps.uninstall, &installed(found())),
                Action::DropOrphaned if whole => self.maps.drop_all = true,
                Action::DropOrphaned => mark(&mut self.maps.drop, &installed(found())),
                Action::ExcludeFromWeak => mark(&mut self.maps.not_weak, &found()),
                Action::Update if all || (whole && !refine.targeted) => {
                    self.maps.update_all = true;
                    self.maps.best_all |= refine.best;
                    if refine.clean {
                        self.maps.clean_updates.extend(self.world.installed());
                    }
                }
                Action::Update => {
                    let ids = found();
                    let old = installed(ids.clone());
                    let by_repository = matches!(job.select, Select::Repository(_));
                    if !refine.targeted && !by_repository && !old.is_empty() {
                        mark(&mut self.maps.update, &old);
                        if refine.best {
                            mark(&mut self.maps.best, &old);
                        }
                        if refine.clean {
                            self.maps.clean_updates.extend(old);
                        }
                    } else if refine.targeted || !self.world.policy.no_auto_target {
                        for id in ids {
                            self.add_target(id, refine.best, refine.clean);
                        }
                    }
                }
                Action::DistUpgrade => {
                    self.maps.has_upgrade = true;
                    self.maps.orphans |= all;
                }
                Action::Favor | Action::Disfavor => {
                    let ids = found();
                    if self.favor.is_empty() {
                        self.favor = vec![0; self.world.pool.entries.len()];
                    }
                    self.favored += 1;
                    let rank = if job.action == Action::Favor {
                        self.favored
                    } else {
                        -self.favored
                    };
                    for id in ids {
                        self.favor[id as usize] = rank;
                    }
                }
                _ => {}
            }
        }
    }

    /// Packages that jobs ask for: they and what they need may play a part.
    pub(super) fn job_seeds(&self) -> Vec<Id> {
        let jobs = self.jobs.iter().filter(|job| job.action == Action::Install);
        jobs.flat_map(|job| self.candidates(&job.select)).collect()
    }

    /// What an install job may install.
    fn candidates(&self, select: &Select) -> Vec<Id> {
        match select {
            Select::Provides(rich, _) if !is_set(rich) => {
                let mut all = Vec::new();
                rich.leaves(&mut |leaf| all.extend(self.world.set(&Rich::Simple(leaf.clone()))));
                all
            }
            _ => self.world.select(select),
        }
    }

    pub(super) fn add_job_clauses(&mut self) {
        let mut asked = self.world.pool.all();
        mark(&mut asked, &self.job_seeds());
        let jobs = self.jobs;
        for (number, job) in jobs.iter().enumerate() {
            let weak = job.refine.weak;
            match job.action {
                Action::Install => self.install_clauses(number, job),
                Action::Erase => {
                    for id in self.erased(job, &asked) {
                        self.job_clause(number, &[-lit(id)], weak);
                    }
                }
                Action::Lock => {
                    for id in self.world.select(&job.select) {
                        self.locked.add(id);
                        let sign = if self.world.is_installed(id) { 1 } else { -1 };
                        self.job_clause(number, &[sign * lit(id)], weak);
                    }
                }
                _ => {}
            }
            self.maps.clean |= job.refine.clean && matches!(job.action, Action::Install | Action::Erase);
        }
    }

    fn job_clause(&mut self, number: usize, literals: &[i32], weak: bool) {
        let clause = self.add(literals, Kind::Job(number as u32));
        if weak {
            self.sat.set_weak(clause);
        }
        self.job_clauses.push((clause, number));
    }

    fn install_clauses(&mut self, number: usize, job: &Job) {
        if self.world.policy.allow_missing && self.world.means_nothing(&job.select) {
            return;
        }
        if let Select::Provides(rich, _) = &job.select
            && !is_set(rich)
        {
            match self.world.cnf_of(rich, true) {
                Cnf::Never | Cnf::TooBig => self.job_clause(number, &[-self.ground], job.refine.weak),
                Cnf::All(clauses) => {
                    for clause in clauses {
                        self.job_clause(number, &clause, job.refine.weak);
                    }
                }
            }
            return;
        }
        let found = self.world.select(&job.select);
        if found.is_empty() {
            if !matches!(&job.select, Select::OneOf(_)) {
                self.job_clause(number, &[-self.ground], job.refine.weak);
            }
            return;
        }
        let literals: Vec<i32> = found.into_iter().map(lit).collect();
        self.job_clause(number, &literals, job.refine.weak);
    }

    /// What an erase job removes. Where it means one installed package, what could take its place is meant, too.
    fn erased(&self, job: &Job, asked: &Bits) -> Vec<Id> {
        let world = &self.world;
        let mut list = world.select(&job.select);
        let by_id = match &job.select {
            Select::Package(_) => true,
            Select::Name(dependency, arch) => dependency.version.is_some() || arch.is_some(),
            _ => false,
        };
        let old: Vec<Id> = list
            .iter()
            .copied()
            .filter(|id| world.is_installed(*id))
            .collect();
        if let ([one], true) = (old.as_slice(), by_id) {
            let heirs = world
                .siblings(*one)
                .filter(|id| !world.is_installed(*id) && !asked.has(*id));
            let heirs: Vec<Id> = heirs
                .filter(|id| world.colors_meet(*one, *id) && !list.contains(id))
                .collect();
            list.extend(heirs);
        }
        list
    }

    /// Puts the policies out of force that stand against the jobs.
    pub(super) fn lift_policies(&mut self) {
        self.noupdate.clear();
        for lift in self.lifts(None) {
            self.lift(lift, false);
        }
    }

    /// What the jobs lift; with `only`, that one alone.
    pub(super) fn lifts(&mut self, only: Option<usize>) -> Vec<Lift> {
        let mut all = Vec::new();
        let mut last = None;
        for (clause, number) in self.job_clauses.clone() {
            let meant = only.map_or_else(|| self.sat.is_enabled(clause), |only| only == number);
            if meant && last != Some(number) {
                last = Some(number);
                self.lifts_of(&self.jobs[number], &mut all);
            }
        }
        if only.is_none() && (self.maps.clean || !self.maps.clean_updates.is_empty()) {
            self.find_clean();
            all.extend(self.clean_ids().into_iter().map(Lift::Update));
        }
        all
    }

    pub(super) fn lift(&mut self, lift: Lift, back: bool) {
        let place = |solver: &Self, id: Id| solver.world.place(id);
        match lift {
            Lift::Update(id) => {
                if back {
                    self.noupdate.remove(id)
                } else {
                    _ = self.noupdate.add(id)
                }
                let (update, feature) = (self.update[place(self, id)], self.feature[place(self, id)]);
                if let Some(clause) = update.or(if back { feature } else { None }) {
                    self.sat.enable(clause, back);
                }
                if let (Some(feature), false) = (feature, back) {
                    self.sat.enable(feature, false);
                }
                for (clause, of) in &self.best {
                    if *of == Kind::BestUpdate(id) {
                        self.sat.enable(*clause, back);
                    }
                }
            }
            Lift::Arch(name) => self.switch_name(&self.inferior.clone(), name, back),
            Lift::Upgrade(name) => self.switch_name(&self.unwanted.clone(), name, back),
            Lift::Priority(name) => self.switch_name(&self.low.clone(), name, back),
        }
    }

    fn switch_name(&mut self, clauses: &[ClauseId], name: super::pool::Text, on: bool) {
        for &clause in clauses {
            let id = self.sat.literals(clause)[0].unsigned_abs();
            if self.world.entry(id).name == name {
                self.sat.enable(clause, on);
            }
        }
    }

    fn lifts_of(&self, job: &Job, all: &mut Vec<Lift>) {
        let world = &self.world;
        let ids = world.select(&job.select);
        let mut names: Vec<_> = ids.iter().map(|id| world.entry(*id).name).collect();
        names.sort_unstable();
        names.dedup();
        match job.action {
            Action::Install => self.install_lifts(job, &ids, &names, all),
            Action::Erase => {
                let old = ids.iter().copied().filter(|id| world.is_installed(*id));
                all.extend(old.clone().map(Lift::Update));
                let by_arch = match &job.select {
                    Select::Package(_) => true,
                    Select::Name(_, arch) | Select::Provides(_, arch) => arch.is_some(),
                    _ => false,
                };
                if world.policy.colors && (job.refine.arch || (by_arch && !job.refine.no_auto)) {
                    let stuck = old.filter(|id| self.is_in_lockstep(*id));
                    all.extend(stuck.map(|id| Lift::Arch(world.entry(id).name)));
                }
            }
            Action::Lock => {
                let old = ids.iter().copied().filter(|id| world.is_installed(*id));
                all.extend(old.map(|id| Lift::Upgrade(world.entry(id).name)));
            }
            _ => {}
        }
    }

    fn is_in_lockstep(&self, id: Id) -> bool {
        (self.inferior.iter()).any(|clause| {
            let literals = self.sat.literals(*clause);
            self.world.is_installed(literals[0].unsigned_abs()) && literals.contains(&lit(id))
        })
    }

    fn install_lifts(&self, job: &Job, ids: &[Id], names: &[super::pool::Text], all: &mut Vec<Lift>) {
        let world = &self.world;
        let said = Said::of(job);
        if said == Said::default() {
            return;
        }
        if said.arch {
            let bad = |name: &super::pool::Text| {
                (self.inferior.iter()).any(|clause| {
                    let id = self.sat.literals(*clause)[0].unsigned_abs();
                    world.entry(id).name == *name && ids.contains(&id)
                })
            };
            all.extend(names.iter().copied().filter(bad).map(Lift::Arch));
        }
        if said.repository {
            all.extend(names.iter().copied().map(Lift::Upgrade));
            all.extend(names.iter().copied().map(Lift::Priority));
        }
        let everything = said.evr && said.arch && said.vendor;
        if let (Select::Package(id), true) = (&job.select, everything)
            && world.is_installed(id.0)
            && self.best.iter().any(|(_, of)| *of == Kind::BestUpdate(id.0))
        {
            all.push(Lift::Update(id.0));
            return;
        }
        let bars =
            |id: Id| world.is_installed(id) || (world.multi.has(id) && !world.policy.keep_explicit_obsoletes);
        if ids.iter().any(|id| bars(*id)) {
            return;
        }
        let mut replaced: Option<Vec<Id>> = None;
        for &id in ids {
            let mut now = world.replaced_by(id);
            if let Some(before) = replaced {
                now.retain(|old| before.contains(old));
            }
            replaced = Some(now);
        }
        for old in replaced.unwrap_or_default() {
            let wrong = |new: Id| {
                let mut changes = world.forbidden(old, new, self.maps.is_upgraded(old));
                let other_version = said.version && {
                    let (a, b) = (world.entry(old).evr as usize, world.entry(new).evr as usize);
                    world.pool.evrs[a].version != world.pool.evrs[b].version
                };
                changes.downgrade &= !said.evr && !other_version;
                changes.name &= !said.name;
                changes.arch &= !said.arch;
                changes.vendor &= !said.vendor;
                changes.any()
            };
            if everything || !ids.iter().any(|new| wrong(*new)) {
                all.push(Lift::Update(old));
            }
        }
    }
}

/// What of a job's packages was said on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Said {
    evr: bool,
    version: bool,
    arch: bool,
    vendor: bool,
    repository: bool,
    name: bool,
}

impl Said {
    fn of(job: &Job) -> Self {
        let refine = job.refine;
        let mut said = Self {
            evr: refine.evr,
            version: false,
            arch: refine.arch,
            vendor: refine.vendor,
            repository: refine.repository,
            name: refine.name,
        };
        if refine.no_auto {
            return said;
        }
        match &job.select {
            Select::Package(_) => {
                said = Self {
                    evr: true,
                    version: false,
                    arch: true,
                    vendor: true,
                    repository: true,
                    name: true,
                };
            }
            Select::Name(dependency, arch) => {
                said.name = true;
                said.arch |= arch.is_some();
                if let Some((Comparison::Equal, evr)) = &dependency.version {
                    said.evr |= !evr.release.is_empty();
                    said.version |= evr.release.is_empty();
                }
            }
            Select::Provides(_, arch) => said.arch |= arch.is_some(),
            _ => {}
        }
        said
    }
}

impl World<'_> {
    /// Installed packages that `id` would replace.
    pub fn replaced_by(&self, id: Id) -> Vec<Id> {
        let mut list: Vec<Id> = (self.siblings(id))
            .filter(|old| self.is_installed(*old) && self.colors_meet(id, *old))
            .collect();
        for need in self.list(id, List::Obsoletes) {
            list.extend(self.obsoleted_by(id, *need).filter(|old| self.is_installed(*old)));
        }
        list.sort_unstable();
        list.dedup();
        list
    }
}

pub(super) fn is_set(rich: &Rich) -> bool {
    matches!(rich, Rich::Simple(_) | Rich::With(_) | Rich::Without(..))
}

pub(super) fn mark(bits: &mut Bits, ids: &[Id]) {
    for id in ids {
        bits.add(*id);
    }
}
