//! Dependencies that are still to be looked at.
//!
//! A clause that holds goes on to hold until something is taken back, so only clauses of packages that came since the last
//! look matter. They are looked at in the order of the clauses, round and round: first those that leave one package,
//! and when no such is left, those that leave a choice.

use std::{cmp::Reverse, collections::BTreeSet, ops::Range};

use rustc_hash::FxHashMap;

use super::{Focus, choose::Mode, pool::Id, sat::ClauseId, solver::Solver};

/// Clauses that begin with this package; 0 for all that are not the packages' own, which come last.
type Group = Reverse<Id>;

#[derive(Debug, Default)]
pub(super) struct Agenda {
    fresh: BTreeSet<Group>,
    /// Groups with a choice that can wait.
    waiting: BTreeSet<Group>,
    /// How much of the trail was looked at.
    upto: usize,
    /// Package → groups of other packages with a clause that speaks of it.
    involved: FxHashMap<Id, Vec<Id>>,
}

impl Agenda {
    /// Something was taken back.
    pub fn forget(&mut self) {
        self.fresh.clear();
        self.waiting.clear();
        self.upto = 0;
    }
}

/// What a look at a group ended with.
enum Look {
    Decided(i32),
    Waits,
    Done,
}

impl Solver<'_> {
    /// Clauses with several conditions: they matter when the last of them is met.
    pub(super) fn find_involved(&mut self) {
        for clause in 0..self.package_end {
            let literals = self.sat.literals(clause);
            let conditions = literals.iter().take_while(|lit| **lit < 0).count();
            if conditions > 1 && conditions < literals.len() {
                for lit in &literals[1..conditions] {
                    self.agenda
                        .involved
                        .entry(lit.unsigned_abs())
                        .or_default()
                        .push(literals[0].unsigned_abs());
                }
            }
        }
    }

    /// Chooses for every clause that does not hold yet.
    pub(super) fn resolve_dependencies(&mut self, start: i32) -> i32 {
        let new_only = self.early && matches!(self.world.policy.focus, Focus::New | Focus::Best);
        let (mut level, mut at, mut first_wait, mut decides) = (start, Reverse(Id::MAX), None, false);
        self.note_new();
        loop {
            let next = self
                .agenda
                .fresh
                .range(at..)
                .next()
                .or_else(|| self.agenda.fresh.first())
                .copied();
            let Some(group) = next else {
                let Some(first) = first_wait.filter(|_| !decides && !self.agenda.waiting.is_empty()) else {
                    break;
                };
                (at, decides) = (first, true);
                self.agenda.fresh = std::mem::take(&mut self.agenda.waiting);
                continue;
            };
            match self.look(level, group, decides, new_only) {
                Look::Decided(now) => {
                    level = now;
                    if level < start {
                        return level;
                    }
                    at = group;
                    self.agenda.fresh.append(&mut self.agenda.waiting);
                    self.note_new();
                }
                Look::Waits => {
                    first_wait = first_wait.or(Some(group));
                    self.agenda.fresh.remove(&group);
                    self.agenda.waiting.insert(group);
                }
                Look::Done => {
                    self.agenda.fresh.remove(&group);
                }
            }
        }
        if new_only {
            // Not all was looked at.
            self.agenda.forget();
        }
        level
    }

    /// Packages that came since the last look are to be looked at.
    fn note_new(&mut self) {
        let agenda = &mut self.agenda;
        agenda.fresh.insert(Reverse(0));
        for &lit in &self.sat.trail[agenda.upto.min(self.sat.trail.len())..] {
            if lit > 0 && lit != self.ground {
                agenda.fresh.insert(Reverse(lit as Id));
                let others = agenda.involved.get(&(lit as Id)).into_iter().flatten();
                agenda.fresh.extend(others.map(|id| Reverse(*id)));
            }
        }
        agenda.upto = self.sat.trail.len();
    }

    fn clauses(&self, group: Id) -> Range<ClauseId> {
        if group == 0 {
            return self.package_end..self.sat.len() as ClauseId;
        }
        self.group_start[group as usize]..self.group_end[group as usize]
    }

    fn look(&mut self, level: i32, Reverse(group): Group, decides: bool, new_only: bool) -> Look {
        if group != 0 && self.sat.value(group) <= 0 {
            return Look::Done;
        }
        let mut waits = false;
        for clause in self.clauses(group) {
            let skipped = !self.sat.is_enabled(clause) || self.sat.literals(clause).len() < 2;
            if skipped || (new_only && (group == 0 || !self.is_of_new(clause))) {
                continue;
            }
            let mut list = self.open(clause);
            if list.is_empty() {
                continue;
            }
            if self.cleans() {
                self.prune_cleaned(&mut list);
            }
            if list.len() > 1 && !decides {
                self.prune(&mut list, Mode::Left, self.asked(clause));
                if list.len() > 1 {
                    waits = true;
                    continue;
                }
            }
            return Look::Decided(self.choose(level, list, clause));
        }
        if waits { Look::Waits } else { Look::Done }
    }
}
