//! What packages say of themselves, as clauses: for every package that could be installed, and no others.

use std::collections::VecDeque;

use super::{
    choose::{Chooser, Mode},
    pool::{Id, Kept, List, Need, Text},
    rich::Cnf,
    sat::{ClauseId, Lit},
    solver::Solver,
};

/// Why a clause is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Switched off, or of an architecture that does not fit.
    NotInstallable(Id),
    /// Nothing provides what it requires.
    Missing(Id, Need),
    /// What it requires, or conflicts with, is too large to be looked through.
    TooBig(Id, Need),
    Requires(Id, Need),
    Recommends(Id, Need),
    Conflicts(Id, Need, Id),
    Obsoletes(Id, Need, Id),
    SameName(Id, Id),
    /// What is installed stays or is replaced by something.
    Feature(Id),
    /// As [`Kind::Feature`], by something that the policy allows.
    Update(Id),
    Job(u32),
    /// There is a better architecture of it.
    InferiorArch(Id),
    /// A distribution upgrade does not want it.
    NotInUpgrade(Id),
    /// Only the best update of this installed package.
    BestUpdate(Id),
    /// Only the best for a job's clause.
    BestJob(ClauseId),
    YumObsoletes(Id),
    /// A repository of higher priority has the name.
    LowPriority(Id),
    /// A copy of a clause, with what need not be installed left out.
    Choice(ClauseId),
    /// A copy of a strong recommendation, without what is disfavoured.
    RecommendsCopy(ClauseId),
    Learnt,
}

pub(super) fn lit(id: Id) -> Lit {
    id as Lit
}

/// Clauses before they are sorted: all literals in one list.
#[derive(Default)]
pub(super) struct Drafts {
    literals: Vec<Lit>,
    /// Start, length, reason.
    clauses: Vec<(u32, u32, Kind)>,
}

impl Drafts {
    fn push(&mut self, literals: impl IntoIterator<Item = Lit>, kind: Kind) {
        let start = self.literals.len();
        self.literals.extend(literals);
        self.literals[start..].sort_unstable();
        self.clauses
            .push((start as u32, (self.literals.len() - start) as u32, kind));
    }

    fn of(&self, (start, len, _): &(u32, u32, Kind)) -> &[Lit] {
        &self.literals[*start as usize..(start + len) as usize]
    }

    /// Sorted by literals, each clause once: into groups of the first literal, then each group.
    fn sorted(&mut self) {
        let mut clauses = std::mem::take(&mut self.clauses);
        let first = |clause: &(u32, u32, Kind)| self.literals[clause.0 as usize];
        clauses.sort_by_key(first);
        for group in clauses.chunk_by_mut(|a, b| first(a) == first(b)) {
            group.sort_unstable_by(|a, b| self.of(a).cmp(self.of(b)).then_with(|| a.2.cmp(&b.2)));
        }
        clauses.dedup_by(|later, before| self.of(later) == self.of(before));
        self.clauses = clauses;
    }
}

impl Solver<'_> {
    /// Clauses of all packages that may play a part.
    pub(super) fn add_package_clauses(&mut self, seeds: &[Id]) {
        let mut drafts = Drafts::default();
        let installed: Vec<Id> = self.world.installed().collect();
        for &id in &installed {
            self.package_clauses(id, &mut drafts);
        }
        for &id in &installed {
            for updater in self.updaters(id, super::update::Reach::All) {
                self.package_clauses(updater, &mut drafts);
            }
        }
        for &id in seeds {
            self.package_clauses(id, &mut drafts);
        }
        self.attached_clauses(&mut drafts);
        drafts.sorted();
        self.group_end = vec![0; self.world.pool.entries.len()];
        self.group_start = self.group_end.clone();
        for draft in &drafts.clauses {
            let clause = self.add(drafts.of(draft), draft.2);
            let group = drafts.of(draft)[0].unsigned_abs() as usize;
            if self.group_end[group] == 0 {
                self.group_start[group] = clause;
            }
            self.group_end[group] = clause + 1;
            if matches!(draft.2, Kind::Recommends(..)) {
                self.strong.push(clause);
                self.sat.set_weak(clause);
            }
        }
        self.package_end = self.sat.len() as ClauseId;
    }

    /// Packages that supplement or enhance what may be installed.
    fn attached_clauses(&mut self, drafts: &mut Drafts) {
        loop {
            let possible = |need: Need| match self.world.pool.kept(need) {
                Kept::Plain { .. } => self.world.providers(need).any(|id| self.added.has(id)),
                Kept::Rich(rich) => {
                    let mut any = false;
                    self.world.pool.rich(*rich).leaves(&mut |leaf| {
                        any |= self
                            .world
                            .pool
                            .find_plain(leaf)
                            .iter()
                            .any(|id| self.added.has(*id));
                    });
                    any
                }
            };
            let new: Vec<Id> = (self.world.pool.attached.iter().copied())
                .filter(|id| !self.added.has(*id) && self.world.is_installable(*id))
                .filter(|id| {
                    let lists = [List::Supplements, List::Enhances];
                    lists
                        .iter()
                        .any(|list| self.world.list(*id, *list).iter().any(|need| possible(*need)))
                })
                .collect();
            if new.is_empty() {
                return;
            }
            for id in new {
                self.package_clauses(id, drafts);
            }
        }
    }

    /// Clauses of `first` and of all that it may bring.
    fn package_clauses(&mut self, first: Id, drafts: &mut Drafts) {
        let mut queue = VecDeque::from([first]);
        while let Some(id) = queue.pop_front() {
            if !self.added.add(id) {
                continue;
            }
            let installed = self.world.is_installed(id);
            let frozen = installed && !self.mends(id);
            if !frozen && !self.world.is_installable(id) {
                drafts.push([-lit(id)], Kind::NotInstallable(id));
            }
            self.requires_clauses(id, frozen, &mut queue, drafts);
            self.conflict_clauses(id, frozen, &mut queue, drafts);
            self.obsolete_clauses(id, installed, frozen, drafts);
            if self.world.policy.colors && self.world.score(id) > 1 {
                let better = self.world.siblings(id).filter(|other| {
                    self.world.same_evr(*other, id)
                        && (2..self.world.score(id)).contains(&self.world.score(*other))
                });
                queue.extend(better);
            }
            for list in [List::Recommends, List::Suggests] {
                for need in self.world.list(id, list) {
                    queue.extend(
                        self.world
                            .helpers(*need)
                            .into_iter()
                            .filter(|id| !self.added.has(*id)),
                    );
                }
            }
        }
    }

    fn requires_clauses(&self, id: Id, frozen: bool, queue: &mut VecDeque<Id>, drafts: &mut Drafts) {
        for &need in self.world.list(id, List::Requires) {
            self.need_clauses(id, need, Kind::Requires(id, need), frozen, queue, drafts);
        }
        if self.world.policy.strong_recommends {
            for &need in self.world.list(id, List::Recommends) {
                self.need_clauses(id, need, Kind::Recommends(id, need), frozen, queue, drafts);
            }
        }
    }

    /// `frozen`: what was broken among installed packages may stay broken.
    fn need_clauses(
        &self,
        id: Id,
        need: Need,
        kind: Kind,
        frozen: bool,
        queue: &mut VecDeque<Id>,
        drafts: &mut Drafts,
    ) {
        let is_hard = matches!(kind, Kind::Requires(..));
        if !self.world.is_rich(need) {
            return self.plain_clause(id, need, kind, frozen && is_hard, queue, drafts);
        }
        let clauses = match self.world.cnf(need, true) {
            Cnf::All(clauses) => clauses,
            none => {
                let why = match none {
                    Cnf::TooBig => Kind::TooBig(id, need),
                    _ => Kind::Missing(id, need),
                };
                let passes = self.world.policy.allow_missing && matches!(why, Kind::Missing(..));
                if is_hard && !frozen && !passes {
                    drafts.push([-lit(id)], why);
                }
                return;
            }
        };
        for clause in clauses {
            let was_met = |other: &Lit| self.world.is_installed(other.unsigned_abs()) == (*other > 0);
            if clause.contains(&lit(id)) || (frozen && is_hard && !clause.iter().any(was_met)) {
                continue;
            }
            queue.extend(
                clause
                    .iter()
                    .filter(|other| **other > 0)
                    .map(|other| *other as Id),
            );
            let others = clause.into_iter().filter(|other| *other != -lit(id));
            drafts.push(std::iter::once(-lit(id)).chain(others), kind);
        }
    }

    /// As [`Solver::need_clauses`], of a dependency that is no expression: nearly all are none.
    fn plain_clause(
        &self,
        id: Id,
        need: Need,
        kind: Kind,
        frozen: bool,
        queue: &mut VecDeque<Id>,
        drafts: &mut Drafts,
    ) {
        let providers = || self.world.providers(need);
        let (mut own, mut any, mut old) = (false, false, false);
        for provider in providers() {
            own |= provider == id;
            any = true;
            old |= self.world.is_installed(provider);
        }
        if own || (frozen && !old) {
            return;
        }
        if any {
            queue.extend(providers().filter(|provider| !self.added.has(*provider)));
            drafts.push(std::iter::once(-lit(id)).chain(providers().map(lit)), kind);
        } else if matches!(kind, Kind::Requires(..)) && !self.world.policy.allow_missing {
            drafts.push([-lit(id)], Kind::Missing(id, need));
        }
    }

    fn conflict_clauses(&self, id: Id, frozen: bool, queue: &mut VecDeque<Id>, drafts: &mut Drafts) {
        for &need in self.world.list(id, List::Conflicts) {
            if !self.world.is_rich(need) {
                for other in self.world.providers(need) {
                    if other != id && !(frozen && self.world.is_installed(other)) {
                        drafts.push(pair(id, other), Kind::Conflicts(id, need, other));
                    }
                }
                continue;
            }
            let clauses = match self.world.cnf(need, false) {
                Cnf::All(clauses) => clauses,
                none => {
                    let why = match none {
                        Cnf::TooBig => Kind::TooBig(id, need),
                        _ => Kind::Conflicts(id, need, id),
                    };
                    if !frozen {
                        drafts.push([-lit(id)], why);
                    }
                    continue;
                }
            };
            for clause in clauses {
                let was_met = |other: &Lit| self.world.is_installed(other.unsigned_abs()) == (*other > 0);
                if clause == [-lit(id)]
                    || clause.contains(&lit(id))
                    || (frozen && !clause.iter().any(was_met))
                {
                    continue;
                }
                let other = clause[0].unsigned_abs();
                queue.extend(
                    clause
                        .iter()
                        .filter(|other| **other > 0)
                        .map(|other| *other as Id),
                );
                let mut literals = clause;
                literals.push(-lit(id));
                literals.sort_unstable();
                literals.dedup();
                drafts.push(literals, Kind::Conflicts(id, need, other));
            }
        }
    }

    fn obsolete_clauses(&self, id: Id, installed: bool, frozen: bool, drafts: &mut Drafts) {
        let world = &self.world;
        let multi = world.multi.has(id);
        if !multi || world.policy.keep_explicit_obsoletes {
            for &need in world.list(id, List::Obsoletes) {
                for other in world.obsoleted_by(id, need) {
                    if !(frozen && world.is_installed(other)) {
                        drafts.push(pair(id, other), Kind::Obsoletes(id, need, other));
                    }
                }
            }
        }
        if installed && frozen {
            return;
        }
        for other in world.siblings(id) {
            let other_installed = world.is_installed(other);
            if installed && !other_installed {
                continue;
            }
            // rpm still replaces a package of the same version and architecture.
            let twin = world.same_evr(id, other) && world.entry(id).arch == world.entry(other).arch;
            if multi && !twin && (installed || !other_installed || world.multi.has(other)) {
                continue;
            }
            if world.colors_meet(id, other) {
                drafts.push(pair(id, other), Kind::SameName(id, other));
            }
        }
    }

    /// Are broken dependencies of this installed package to be mended?
    fn mends(&self, id: Id) -> bool {
        self.maps.fix_all || self.maps.fix.has(id)
    }

    pub(super) fn add(&mut self, literals: &[Lit], kind: Kind) -> ClauseId {
        let clause = self.sat.add(literals);
        self.kinds.push(kind);
        clause
    }

    pub(super) fn add_all(&mut self, first: Option<Lit>, rest: &[Id], kind: Kind) -> ClauseId {
        let literals: Vec<Lit> = first.into_iter().chain(rest.iter().map(|id| lit(*id))).collect();
        self.add(&literals, kind)
    }

    /// The best version of each name, and none that another one obsoletes.
    pub(super) fn prune_versions(&mut self, list: &mut Vec<Id>) {
        self.chooser(None).best_version(list);
    }

    /// Prunes `list` by the policy.
    pub(super) fn prune(&mut self, list: &mut Vec<Id>, mode: Mode, asked: Option<Text>) {
        if list.len() < 2 && mode != Mode::Best {
            return;
        }
        self.chooser(asked).prune(list, mode);
    }

    fn chooser(&mut self, asked: Option<Text>) -> Chooser<'_, '_> {
        Chooser {
            world: &self.world,
            sat: &self.sat,
            ranks: &mut self.ranks,
            favor: &self.favor,
            maps: &self.maps,
            asked,
        }
    }
}

fn pair(one: Id, other: Id) -> [Lit; 2] {
    [-lit(one.max(other)), -lit(one.min(other))]
}
