//! Boolean dependencies as clauses over packages.

use std::cell::Cell;

use keel_artefact::Rich;

use super::{
    pool::{Id, Kept, Need},
    sat::Lit,
    world::World,
};

/// A condition over packages: of every list, one literal must be true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cnf {
    Never,
    /// More than [`LITERALS`] or [`STEPS`]: nobody knows, so it counts as one that cannot be had.
    TooBig,
    All(Vec<Vec<Lit>>),
}

/// Literals of a dependency, at most.
const LITERALS: usize = 20_000;

/// Parts of a dependency that are looked at, at most. `else` needs its condition twice, so nests of it double with each level.
const STEPS: usize = 50_000;

impl World<'_> {
    /// The condition that a dependency holds (or, without `positive`, that it does not).
    pub fn cnf(&self, need: Need, positive: bool) -> Cnf {
        match self.pool.kept(need) {
            Kept::Rich(rich) => self.cnf_of(self.pool.rich(*rich), positive),
            Kept::Plain { .. } => simple(self.providers(need).collect(), positive),
        }
    }

    /// [`World::cnf`] of any tree. Its depth is bounded by the parser.
    pub fn cnf_of(&self, rich: &Rich, positive: bool) -> Cnf {
        self.part(rich, positive, &Cell::new(STEPS))
    }

    fn part(&self, rich: &Rich, positive: bool, steps: &Cell<usize>) -> Cnf {
        match steps.get().checked_sub(1) {
            Some(left) => steps.set(left),
            None => return Cnf::TooBig,
        }
        match rich {
            Rich::Simple(_) | Rich::With(_) | Rich::Without(..) => simple(self.set(rich), positive),
            Rich::And(list) => self.join(list, positive, positive, steps),
            Rich::Or(list) => self.join(list, positive, !positive, steps),
            // (A or not B) and (C or B)
            Rich::If(then, condition, otherwise) => {
                let implied = |sign: bool| {
                    let (a, b) = (self.part(then, sign, steps), self.part(condition, !sign, steps));
                    if sign { either(a, b) } else { both(a, b) }
                };
                let Some(otherwise) = otherwise else {
                    return implied(positive);
                };
                let c = self.part(otherwise, positive, steps);
                let b = self.part(condition, positive, steps);
                match positive {
                    true => both(implied(true), either(c, b)),
                    false => either(implied(false), both(c, b)),
                }
            }
            // (A and not B) or (C and B)
            Rich::Unless(then, condition, otherwise) => {
                let alone = |sign: bool| {
                    let (a, b) = (self.part(then, sign, steps), self.part(condition, !sign, steps));
                    if sign { both(a, b) } else { either(a, b) }
                };
                let Some(otherwise) = otherwise else {
                    return alone(positive);
                };
                let c = self.part(otherwise, positive, steps);
                let b = self.part(condition, positive, steps);
                match positive {
                    true => either(alone(true), both(c, b)),
                    false => both(alone(false), either(c, b)),
                }
            }
        }
    }

    fn join(&self, list: &[Rich], positive: bool, all: bool, steps: &Cell<usize>) -> Cnf {
        let parts = list.iter().map(|item| self.part(item, positive, steps));
        match all {
            true => parts.fold(Cnf::All(Vec::new()), both),
            false => parts.fold(Cnf::Never, either),
        }
    }

    /// Packages that satisfy an expression by themselves.
    pub fn set(&self, rich: &Rich) -> Vec<Id> {
        let mut found = match rich {
            Rich::Simple(dependency) => {
                let mut found = self.pool.find_plain(dependency);
                found.retain(|id| self.is_visible(*id));
                return found;
            }
            Rich::With(list) => {
                let mut sets = list.iter().map(|item| self.set(item));
                let first = sets.next().unwrap_or_default();
                sets.fold(first, |mut all, set| {
                    all.retain(|id| set.binary_search(id).is_ok());
                    all
                })
            }
            Rich::Without(one, other) => {
                let (mut all, set) = (self.set(one), self.set(other));
                all.retain(|id| set.binary_search(id).is_err());
                all
            }
            Rich::And(list) | Rich::Or(list) => list.iter().flat_map(|item| self.set(item)).collect(),
            Rich::If(then, _, otherwise) | Rich::Unless(then, _, otherwise) => {
                let mut all = self.set(then);
                all.extend(otherwise.iter().flat_map(|other| self.set(other)));
                all
            }
        };
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Packages that could help to satisfy a dependency.
    pub fn helpers(&self, need: Need) -> Vec<Id> {
        match self.pool.kept(need) {
            Kept::Rich(_) => match self.cnf(need, true) {
                Cnf::Never | Cnf::TooBig => Vec::new(),
                Cnf::All(clauses) => {
                    let mut all: Vec<Id> = clauses
                        .into_iter()
                        .flatten()
                        .filter(|lit| *lit > 0)
                        .map(|lit| lit as Id)
                        .collect();
                    all.sort_unstable();
                    all.dedup();
                    all
                }
            },
            Kept::Plain { .. } => self.providers(need).collect(),
        }
    }

    /// Can a dependency hold, where all packages may be installed? What makes it hold by being absent may always be absent, but
    /// for the condition of `if`: who installs that must find the rest.
    pub fn can_hold(&self, rich: &Rich) -> bool {
        let other = |otherwise: &Option<Box<Rich>>, none: bool| match otherwise {
            Some(otherwise) => self.can_hold(otherwise),
            None => none,
        };
        match rich {
            Rich::Simple(need) => need.is_rpmlib() || !self.set(rich).is_empty(),
            Rich::With(_) | Rich::Without(..) => !self.set(rich).is_empty(),
            Rich::And(list) => list.iter().all(|item| self.can_hold(item)),
            Rich::Or(list) => list.iter().any(|item| self.can_hold(item)),
            Rich::If(then, condition, otherwise) => match self.can_hold(condition) {
                true => self.can_hold(then),
                false => other(otherwise, true),
            },
            Rich::Unless(then, condition, otherwise) => {
                self.can_hold(then) || (other(otherwise, false) && self.can_hold(condition))
            }
        }
    }

    /// Can nothing that there is make a dependency hold?
    pub fn is_missing(&self, need: Need) -> bool {
        match self.pool.kept(need) {
            Kept::Rich(_) => matches!(self.cnf(need, true), Cnf::Never),
            Kept::Plain { .. } => self.providers(need).next().is_none(),
        }
    }

    /// Does a dependency hold, if just these packages are there?
    pub fn holds(&self, need: Need, has: &dyn Fn(Id) -> bool) -> bool {
        match self.pool.kept(need) {
            Kept::Rich(rich) => self.holds_of(self.pool.rich(*rich), has),
            Kept::Plain { .. } => self.providers(need).any(has),
        }
    }

    fn holds_of(&self, rich: &Rich, has: &dyn Fn(Id) -> bool) -> bool {
        let otherwise = |other: &Option<Box<Rich>>, none: bool| match other {
            Some(other) => self.holds_of(other, has),
            None => none,
        };
        match rich {
            Rich::Simple(_) | Rich::With(_) | Rich::Without(..) => self.set(rich).into_iter().any(has),
            Rich::And(list) => list.iter().all(|item| self.holds_of(item, has)),
            Rich::Or(list) => list.iter().any(|item| self.holds_of(item, has)),
            Rich::If(then, condition, other) => match self.holds_of(condition, has) {
                true => self.holds_of(then, has),
                false => otherwise(other, true),
            },
            Rich::Unless(then, condition, other) => match self.holds_of(condition, has) {
                true => otherwise(other, false),
                false => self.holds_of(then, has),
            },
        }
    }
}

fn simple(ids: Vec<Id>, positive: bool) -> Cnf {
    match positive {
        true if ids.is_empty() => Cnf::Never,
        true => Cnf::All(vec![ids.into_iter().map(|id| id as Lit).collect()]),
        false => Cnf::All(ids.into_iter().map(|id| vec![-(id as Lit)]).collect()),
    }
}

fn both(one: Cnf, other: Cnf) -> Cnf {
    match (one, other) {
        (Cnf::All(mut one), Cnf::All(other)) => {
            one.extend(other);
            one.sort_unstable();
            one.dedup();
            match one.iter().map(Vec::len).sum::<usize>() > LITERALS {
                true => Cnf::TooBig,
                false => Cnf::All(one),
            }
        }
        // Whatever else it says.
        (Cnf::Never, _) | (_, Cnf::Never) => Cnf::Never,
        _ => Cnf::TooBig,
    }
}

fn either(one: Cnf, other: Cnf) -> Cnf {
    let (one, other) = match (one, other) {
        (Cnf::Never, cnf) | (cnf, Cnf::Never) => return cnf,
        (Cnf::All(one), Cnf::All(other)) => (one, other),
        _ => return Cnf::TooBig,
    };
    let (mut all, mut size) = (Vec::new(), 0);
    for a in &one {
        for b in &other {
            let mut list: Vec<Lit> = a.iter().chain(b).copied().collect();
            list.sort_unstable();
            list.dedup();
            size += list.len();
            if size > LITERALS {
                return Cnf::TooBig;
            }
            if !list
                .iter()
                .any(|lit| *lit > 0 && list.binary_search(&-lit).is_ok())
            {
                all.push(list);
            }
        }
    }
    all.sort_unstable();
    all.dedup();
    Cnf::All(all)
}
