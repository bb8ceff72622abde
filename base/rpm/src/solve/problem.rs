//! What cannot be had, why, and what could be done about it.

use std::fmt;

use super::{
    Action, Job, PackageId, Select,
    pool::Id,
    rich::Cnf,
    rules::Kind,
    sat::{ClauseId, Lit, Why},
    solver::Solver,
};

/// What could be given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Culprit {
    Job(usize),
    Clause(ClauseId),
}

/// A contradiction: what is to blame, and all that it follows from.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub culprits: Vec<Culprit>,
    pub proof: Vec<ClauseId>,
}

/// Why something cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Sentences, from what is asked for down to what makes it impossible; the last is the reason.
    pub chain: Vec<String>,
    /// What could be done: any of these.
    pub remedies: Vec<Remedy>,
}

/// A way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Remedy {
    /// Do without this job, counted from 0.
    DropJob(usize),
    /// Let this installed package be removed.
    AllowErase(PackageId),
    /// Be content with a lower version of what replaces this installed package.
    AllowOther(PackageId),
    /// Let this package be installed, against the policy (architecture, priority, distribution upgrade).
    Allow(PackageId),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, line) in self.chain.iter().enumerate() {
            write!(f, "{}{line}", if i == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

/// How many sentences a chain has at most.
const CHAIN: usize = 24;

impl Solver<'_> {
    /// The clause cannot hold: gives up something weak, or something that may go, or records a problem. Returns level 0.
    pub(super) fn unsolvable(&mut self, broken: ClauseId) -> i32 {
        let proof = self.sat.proof(broken);
        let weak: Vec<ClauseId> = proof
            .iter()
            .copied()
            .filter(|clause| self.sat.is_weak(*clause))
            .collect();
        if weak.is_empty() {
            let mut culprits: Vec<Culprit> = Vec::new();
            for &clause in proof.iter().filter(|clause| **clause >= self.package_end) {
                let culprit = self.culprit(clause);
                if !culprits.contains(&culprit) {
                    culprits.push(culprit);
                }
            }
            if !self.uninstalls(&culprits) {
                self.record(culprits, proof);
            }
        } else {
            self.give_up_weak(&weak);
        }
        self.restart();
        0
    }

    /// Gives up the last of some weak clauses; of strong recommendations, all.
    fn give_up_weak(&mut self, weak: &[ClauseId]) {
        let recommends = |clause: ClauseId| self.strong.contains(&clause) || self.copies.contains(&clause);
        let last = weak
            .iter()
            .copied()
            .filter(|clause| !self.copies.contains(clause))
            .max();
        match last {
            Some(last) if !self.strong.contains(&last) => {
                if matches!(self.kind(last), Kind::Choice(_)) {
                    self.drop_choice(last);
                } else {
                    self.give_up(self.culprit(last));
                }
            }
            _ => {
                let all: Vec<ClauseId> = weak
                    .iter()
                    .copied()
                    .filter(|clause| recommends(*clause))
                    .collect();
                for clause in all {
                    self.sat.enable(clause, false);
                }
            }
        }
    }

    fn record(&mut self, mut culprits: Vec<Culprit>, proof: Vec<ClauseId>) {
        if culprits.is_empty() {
            // Packages alone never contradict each other: nothing installed is a solution. If they do, no wish can be met.
            culprits = (0..self.jobs.len()).map(Culprit::Job).collect();
        }
        for culprit in &culprits {
            self.disable(*culprit);
        }
        self.found.push(Found { culprits, proof });
    }

    /// Two assertions contradict each other: `clause` and what was there before.
    pub(super) fn contradiction(&mut self, clause: ClauseId, literal: Lit) {
        let before = (self.sat.trail.iter().position(|lit| *lit == -literal)).map(|at| self.sat.why[at]);
        let before = match before {
            Some(Why::Forced(before)) => before,
            _ => clause,
        };
        let mut clauses = vec![clause];
        if before >= self.package_end {
            let first = self.sat.learnt.unwrap_or(0);
            clauses = (self.package_end..first)
                .filter(|id| self.sat.is_enabled(*id) && !self.sat.is_weak(*id))
                .filter(|id| matches!(self.sat.literals(*id), [one] if one.unsigned_abs() == literal.unsigned_abs()))
                .collect();
        }
        let mut culprits: Vec<Culprit> = Vec::new();
        for &clause in &clauses {
            let culprit = self.culprit(clause);
            if !culprits.contains(&culprit) {
                culprits.push(culprit);
            }
        }
        let keeps = |clause: &ClauseId| matches!(self.kind(*clause), Kind::Feature(_) | Kind::Update(_));
        if clauses.iter().any(keeps) && self.uninstalls(&culprits) {
            return;
        }
        if !clauses.contains(&before) {
            clauses.push(before);
        }
        self.record(culprits, clauses);
    }

    /// Gives up an installed package that may be removed, if one is to blame.
    fn uninstalls(&mut self, culprits: &[Culprit]) -> bool {
        let anything = self.world.policy.allow_uninstall || self.maps.uninstall_all;
        if !anything && !self.maps.uninstall.any() {
            return false;
        }
        let best = |id: Id| {
            let kind = Kind::BestUpdate(id);
            culprits
                .iter()
                .any(|culprit| matches!(culprit, Culprit::Clause(clause) if self.kind(*clause) == kind))
        };
        let (mut only, mut loose) = (None, None);
        for culprit in culprits {
            let Culprit::Clause(clause) = *culprit else {
                continue;
            };
            let Kind::Update(id) = self.kind(clause) else {
                continue;
            };
            if !(anything || self.maps.uninstall.has(id)) || self.world.off.has(id) || best(id) {
                continue;
            }
            if self.feature[self.world.place(id)].is_some() {
                loose = loose.max(Some(clause));
                continue;
            }
            only = only.max(Some(clause));
            if self.world.policy.keep_orphans && self.sat.literals(clause) == [id as Lit] {
                (only, loose) = (Some(clause), None);
                break;
            }
        }
        let Some(clause) = loose.or(only) else {
            return false;
        };
        self.sat.enable(clause, false);
        let mut jobs = culprits.iter().filter_map(|culprit| match culprit {
            Culprit::Job(number) => Some(self.jobs[*number].refine.clean),
            Culprit::Clause(_) => None,
        });
        if self.cleans() && jobs.next() == Some(true) && jobs.all(|clean| clean) {
            let id = self.sat.literals(clause)[0].unsigned_abs();
            if !self.maps.clean_updates.contains(&id) {
                self.maps.clean_updates.push(id);
                self.lift_policies();
            }
        }
        true
    }

    /// The problems, for people: the shortest first.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut all: Vec<Problem> = self.found.iter().map(|found| self.explain(found)).collect();
        all.sort_by_key(|problem| problem.chain.len());
        all
    }

    fn explain(&self, found: &Found) -> Problem {
        let mut rest: Vec<ClauseId> = found.proof.clone();
        rest.sort_unstable();
        let mut order: Vec<ClauseId> = Vec::new();
        let mut known: Vec<u32> = Vec::new();
        let mut front: Vec<ClauseId> = rest
            .iter()
            .copied()
            .filter(|clause| *clause >= self.package_end)
            .collect();
        if front.is_empty() {
            front = rest.first().copied().into_iter().collect();
        }
        // From the wishes outward, along the packages that they speak of; what closes the way comes last.
        while !front.is_empty() {
            rest.retain(|clause| !front.contains(clause));
            for clause in front {
                known.extend(self.sat.literals(clause).iter().map(|lit| lit.unsigned_abs()));
                order.push(clause);
            }
            front = (rest.iter().copied())
                .filter(|clause| {
                    let of = self
                        .sat
                        .literals(*clause)
                        .iter()
                        .filter(|lit| **lit < 0)
                        .map(|lit| lit.unsigned_abs());
                    of.into_iter().any(|id| known.contains(&id))
                })
                .collect();
        }
        order.extend(rest);
        order.sort_by_key(|clause| is_end(self.kind(*clause)));
        let mut chain: Vec<String> = Vec::new();
        for clause in order {
            if let Some(line) = self.sentence(clause)
                && !chain.contains(&line)
            {
                chain.push(line);
            }
        }
        if chain.len() > CHAIN {
            let left = chain.len() - CHAIN;
            let last = chain.split_off(chain.len() - 1);
            chain.truncate(CHAIN - 1);
            chain.push(format!("({left} more)"));
            chain.extend(last);
        }
        let mut remedies: Vec<Remedy> = found
            .culprits
            .iter()
            .filter_map(|culprit| self.remedy(*culprit))
            .collect();
        remedies.dedup();
        Problem { chain, remedies }
    }

    fn remedy(&self, culprit: Culprit) -> Option<Remedy> {
        match culprit {
            Culprit::Job(number) => Some(Remedy::DropJob(number)),
            Culprit::Clause(clause) => match self.kind(clause) {
                Kind::Feature(id) | Kind::Update(id) => Some(Remedy::AllowErase(PackageId(id))),
                Kind::BestUpdate(id) => Some(Remedy::AllowOther(PackageId(id))),
                Kind::InferiorArch(id)
                | Kind::NotInUpgrade(id)
                | Kind::LowPriority(id)
                | Kind::YumObsoletes(id) => Some(Remedy::Allow(PackageId(id))),
                _ => None,
            },
        }
    }

    fn sentence(&self, clause: ClauseId) -> Option<String> {
        let pool = self.world.pool;
        let nevra = |id: Id| pool.nevra(PackageId(id));
        Some(match self.kind(clause) {
            Kind::Learnt | Kind::Choice(_) => return None,
            Kind::NotInstallable(id) => match self.world.entry(id).unreadable {
                Some(text) => format!(
                    "{} has a dependency that is none: `{}`",
                    nevra(id),
                    pool.texts.get(text)
                ),
                None => format!(
                    "{} cannot be installed here: it is disabled, or of another architecture",
                    nevra(id)
                ),
            },
            Kind::Missing(id, need) => format!(
                "{} requires {}, which no package provides",
                nevra(id),
                pool.show(need)
            ),
            Kind::TooBig(id, need) => format!(
                "{} has a dependency that is too large: `{}`",
                nevra(id),
                pool.show(need).chars().take(200).collect::<String>()
            ),
            Kind::Requires(id, need) => {
                let others = self
                    .sat
                    .literals(clause)
                    .iter()
                    .filter(|lit| **lit > 0)
                    .map(|lit| *lit as Id);
                format!(
                    "{} requires {}, which {} provides",
                    nevra(id),
                    pool.show(need),
                    self.names(others.collect())
                )
            }
            Kind::Recommends(id, need) => format!("{} recommends {}", nevra(id), pool.show(need)),
            Kind::RecommendsCopy(of) => return self.sentence(of),
            Kind::Conflicts(id, need, other) if other == id => {
                format!(
                    "{} conflicts with {}, which cannot be avoided",
                    nevra(id),
                    pool.show(need)
                )
            }
            Kind::Conflicts(id, need, other) => match pool.name(PackageId(other)) == pool.show(need) {
                true => format!("{} conflicts with {}", nevra(id), nevra(other)),
                false => format!(
                    "{} conflicts with {}, which {} provides",
                    nevra(id),
                    pool.show(need),
                    nevra(other)
                ),
            },
            Kind::Obsoletes(id, need, other) => {
                format!(
                    "{} obsoletes {}, which is {}",
                    nevra(id),
                    pool.show(need),
                    nevra(other)
                )
            }
            Kind::SameName(id, other) => {
                format!(
                    "{} and {} cannot be installed at the same time",
                    nevra(id.min(other)),
                    nevra(id.max(other))
                )
            }
            Kind::Feature(id) | Kind::Update(id) => match self.sat.literals(clause).len() {
                1 => format!("{} is installed, and nothing replaces it", nevra(id)),
                _ => format!("{} is installed: it, or what replaces it, must stay", nevra(id)),
            },
            Kind::BestUpdate(id) => format!("{} must become the best that there is", nevra(id)),
            Kind::BestJob(of) => match self.kind(of) {
                Kind::Job(number) => format!("only the best will do for `{}`", self.wish(number as usize)),
                _ => return None,
            },
            Kind::Job(number) => match self.sat.literals(clause) {
                [one] if *one == -self.ground && self.is_too_big(number as usize) => {
                    format!("what is asked for is too large: `{}`", self.wish(number as usize))
                }
                [one] if *one == -self.ground => {
                    format!("no package is meant by `{}`", self.wish(number as usize))
                }
                _ => format!("asked for: {}", self.wish(number as usize)),
            },
            Kind::InferiorArch(id) => format!("{} is of an architecture that is not the best", nevra(id)),
            Kind::NotInUpgrade(id) => format!("{} is not what the distribution upgrades to", nevra(id)),
            Kind::YumObsoletes(id) => format!("{} comes with all that obsolete the same package", nevra(id)),
            Kind::LowPriority(id) => format!("{} is hidden by a repository of higher priority", nevra(id)),
        })
    }

    fn names(&self, mut ids: Vec<Id>) -> String {
        const SOME: usize = 3;
        let more = ids.len().saturating_sub(SOME);
        // The last, not the first: of many versions, the newest are of interest.
        let mut names: Vec<String> = ids
            .split_off(more)
            .into_iter()
            .map(|id| self.world.pool.nevra(PackageId(id)))
            .collect();
        names.reverse();
        match more {
            0 if names.is_empty() => "nothing that can be installed".to_owned(),
            0 => names.join(" or "),
            more => format!("{} or {more} more", names.join(" or ")),
        }
    }

    fn is_too_big(&self, number: usize) -> bool {
        match self.jobs.get(number).map(|job| &job.select) {
            Some(Select::Provides(rich, _)) => self.world.cnf_of(rich, true) == Cnf::TooBig,
            _ => false,
        }
    }

    fn wish(&self, number: usize) -> String {
        self.jobs
            .get(number)
            .map_or_else(String::new, |job| job.describe(self.world.pool))
    }
}

/// Does a sentence end a chain?
fn is_end(kind: Kind) -> bool {
    use Kind::{Conflicts, Missing, NotInstallable, Obsoletes, SameName, TooBig};
    matches!(
        kind,
        Missing(..) | TooBig(..) | NotInstallable(_) | Conflicts(..) | Obsoletes(..) | SameName(..)
    )
}

impl Job {
    /// In words: `install zlib >= 1.3`.
    pub fn describe(&self, pool: &super::Pool) -> String {
        let verb = match self.action {
            Action::Install => "install",
            Action::Erase => "erase",
            Action::Update => "update",
            Action::DistUpgrade => "upgrade the distribution of",
            Action::Lock => "lock",
            Action::Favor => "favor",
            Action::Disfavor => "disfavor",
            Action::MultiVersion => "keep several versions of",
            Action::Verify => "mend",
            Action::AllowUninstall => "allow to uninstall",
            Action::DropOrphaned => "drop orphaned",
            Action::UserInstalled => "note as asked for",
            Action::ExcludeFromWeak => "never install for a weak dependency",
            Action::Nothing => "do nothing about",
        };
        let arch = |arch: &Option<String>| arch.as_ref().map_or(String::new(), |arch| format!(" ({arch})"));
        let what = match &self.select {
            Select::All => "all packages".to_owned(),
            Select::Repository(number) => {
                let name = pool
                    .repositories
                    .get(*number)
                    .map_or("", |repository| &repository.0);
                format!("all of repository {name}")
            }
            Select::Package(id) => pool.nevra(*id),
            Select::OneOf(ids) => ids
                .iter()
                .map(|id| pool.nevra(*id))
                .collect::<Vec<_>>()
                .join(" or "),
            Select::Name(dependency, of) => format!("{dependency}{}", arch(of)),
            Select::Provides(rich, of) => format!("{rich}{}", arch(of)),
        };
        format!("{verb} {what}")
    }
}
