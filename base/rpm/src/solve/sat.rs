//! Clauses, unit propagation and learning (CDCL), without any idea of packages.
//!
//! Who decides, and in which order, is the caller's business: [`Sat::decide`] takes one literal at a time and returns at
//! which level the search stands then. Clauses are never reordered; two watched literals are kept beside them.

use super::Limits;

/// A variable, or its negation. Never 0.
pub(super) type Lit = i32;
/// A clause.
pub(super) type ClauseId = u32;

pub(super) fn var(lit: Lit) -> u32 {
    lit.unsigned_abs()
}

fn slot(lit: Lit) -> usize {
    (var(lit) as usize) << 1 | usize::from(lit < 0)
}

#[derive(Debug, Clone)]
struct Clause {
    start: u32,
    len: u32,
    watched: [Lit; 2],
    enabled: bool,
    weak: bool,
}

/// Why a literal is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// The caller wanted it, because of a clause if it says so.
    Decided(Option<ClauseId>),
    /// A clause left no choice.
    Forced(ClauseId),
}

/// What became of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The search stands at this level (a lower one, where something was learnt).
    Level(i32),
    /// The clause cannot hold, whatever is decided.
    Unsolvable(ClauseId),
    /// The search must end ([`Sat::halt`]).
    Halted,
}

/// Why a search must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Halt {
    Interrupted,
    Conflicts,
}

#[derive(Debug)]
pub(super) struct Sat {
    limits: Limits,
    conflicts: u32,
    halt: Option<Halt>,
    clauses: Vec<Clause>,
    literals: Vec<Lit>,
    watches: Vec<Vec<ClauseId>>,
    /// Per variable: the level at which it became true, or minus that.
    value: Vec<i32>,
    pub trail: Vec<Lit>,
    pub why: Vec<Why>,
    done: usize,
    /// First learnt clause; all clauses are learnt from there on.
    pub learnt: Option<ClauseId>,
    /// Of each learnt clause, the clauses that it follows from.
    premises: Vec<Vec<ClauseId>>,
    assertions: Vec<ClauseId>,
    seen: Vec<bool>,
}

impl Sat {
    pub fn new(variables: usize, limits: &Limits) -> Self {
        Self {
            limits: limits.clone(),
            conflicts: 0,
            halt: None,
            clauses: Vec::new(),
            literals: Vec::new(),
            watches: vec![Vec::new(); variables * 2],
            value: vec![0; variables],
            trail: Vec::new(),
            why: Vec::new(),
            done: 0,
            learnt: None,
            premises: Vec::new(),
            assertions: Vec::new(),
            seen: vec![false; variables],
        }
    }

    /// Adds a clause of at least one literal. It takes part once [`Sat::start`] was called (learnt ones at once).
    pub fn add(&mut self, literals: &[Lit]) -> ClauseId {
        let id = self.clauses.len() as ClauseId;
        let start = self.literals.len() as u32;
        self.literals.extend_from_slice(literals);
        let watched = match literals {
            [one, two, ..] => [*one, *two],
            [one] => [*one, 0],
            [] => [0, 0],
        };
        self.clauses.push(Clause {
            start,
            len: literals.len() as u32,
            watched,
            enabled: true,
            weak: false,
        });
        id
    }

    /// No more clauses but learnt ones.
    pub fn start(&mut self) {
        self.learnt = Some(self.clauses.len() as ClauseId);
        for id in 0..self.clauses.len() as ClauseId {
            self.attach(id);
        }
    }

    fn attach(&mut self, id: ClauseId) {
        let clause = &self.clauses[id as usize];
        match clause.len {
            0 => {}
            1 => self.assertions.push(id),
            _ => {
                for lit in clause.watched {
                    self.watches[slot(lit)].push(id);
                }
            }
        }
    }

    pub fn literals(&self, id: ClauseId) -> &[Lit] {
        let clause = &self.clauses[id as usize];
        &self.literals[clause.start as usize..(clause.start + clause.len) as usize]
    }

    pub fn len(&self) -> usize {
        self.clauses.len()
    }

    pub fn is_enabled(&self, id: ClauseId) -> bool {
        self.clauses[id as usize].enabled
    }

    pub fn enable(&mut self, id: ClauseId, on: bool) {
        self.clauses[id as usize].enabled = on;
    }

    pub fn is_weak(&self, id: ClauseId) -> bool {
        self.clauses[id as usize].weak
    }

    pub fn set_weak(&mut self, id: ClauseId) {
        self.clauses[id as usize].weak = true;
    }

    pub fn is_learnt(&self, id: ClauseId) -> bool {
        self.learnt.is_some_and(|first| id >= first)
    }

    pub fn assertions(&self) -> &[ClauseId] {
        &self.assertions
    }

    /// Positive where true, negative where false: the level at which it was decided.
    pub fn value(&self, variable: u32) -> i32 {
        self.value[variable as usize]
    }

    pub fn is_true(&self, lit: Lit) -> bool {
        let value = self.value[var(lit) as usize];
        if lit > 0 { value > 0 } else { value < 0 }
    }

    pub fn is_false(&self, lit: Lit) -> bool {
        self.is_true(-lit)
    }

    pub fn is_open(&self, variable: u32) -> bool {
        self.value[variable as usize] == 0
    }

    /// Makes an undecided literal true, without looking at what follows.
    pub fn set(&mut self, lit: Lit, level: i32, why: Why) {
        self.value[var(lit) as usize] = if lit > 0 { level } else { -level };
        self.trail.push(lit);
        self.why.push(why);
    }

    /// Takes back all that was decided above `level`.
    pub fn revert(&mut self, level: i32) {
        while let Some(&lit) = self.trail.last() {
            if self.value[var(lit) as usize].abs() <= level {
                break;
            }
            self.value[var(lit) as usize] = 0;
            self.trail.pop();
            self.why.pop();
        }
        self.done = self.done.min(self.trail.len());
    }

    /// Follows every consequence. Returns a clause that is broken.
    pub fn propagate(&mut self, level: i32) -> Option<ClauseId> {
        while let Some(&lit) = self.trail.get(self.done) {
            self.done += 1;
            let mut list = std::mem::take(&mut self.watches[slot(-lit)]);
            let mut kept = 0;
            let mut broken = None;
            let mut at = 0;
            while at < list.len() {
                let id = list[at];
                at += 1;
                if self.visit(id, -lit, level, &mut broken) {
                    list[kept] = id;
                    kept += 1;
                }
                if broken.is_some() {
                    break;
                }
            }
            list.copy_within(at.., kept);
            list.truncate(kept + list.len() - at);
            // What was watched anew meanwhile was never this literal: it is false.
            self.watches[slot(-lit)] = list;
            if broken.is_some() {
                return broken;
            }
        }
        None
    }

    /// Looks at a clause whose watched literal `gone` became false. Does it still watch it?
    fn visit(&mut self, id: ClauseId, gone: Lit, level: i32, broken: &mut Option<ClauseId>) -> bool {
        let clause = &self.clauses[id as usize];
        if !clause.enabled {
            return true;
        }
        let other = clause.watched[usize::from(clause.watched[0] == gone)];
        if self.is_true(other) {
            return true;
        }
        let range = clause.start as usize..(clause.start + clause.len) as usize;
        let next = (self.literals[range].iter().copied()).find(|lit| *lit != other && !self.is_false(*lit));
        if let Some(next) = next {
            self.clauses[id as usize].watched = [other, next];
            self.watches[slot(next)].push(id);
            return false;
        }
        if self.is_false(other) {
            *broken = Some(id);
        } else {
            self.set(other, level, Why::Forced(id));
        }
        true
    }

    /// Decides `lit` at a new level above `level` and follows what comes of it; learns until nothing is broken.
    pub fn decide(&mut self, lit: Lit, level: i32, because: Option<ClauseId>) -> Outcome {
        self.set(lit, level + 1, Why::Decided(because));
        let mut level = level + 1;
        while let Some(broken) = self.propagate(level) {
            if level <= 1 {
                return Outcome::Unsolvable(broken);
            }
            self.conflicts += 1;
            if self.is_spent() {
                return Outcome::Halted;
            }
            let (learnt, back) = self.learn(broken, level);
            level = back;
            let first = self.literals(learnt)[0];
            self.set(first, level, Why::Forced(learnt));
        }
        Outcome::Level(level)
    }

    /// Why the search ended, if not because all is decided.
    pub fn halt(&self) -> Option<Halt> {
        self.halt
    }

    /// Must the search end?
    pub fn is_spent(&mut self) -> bool {
        if self.limits.interrupt.is_set() {
            self.halt = Some(Halt::Interrupted);
        } else if self.conflicts > self.limits.conflicts {
            self.halt = Some(Halt::Conflicts);
        }
        self.halt.is_some()
    }

    /// First unique implication point: the clause that follows from `broken` and from what forced its literals.
    fn learn(&mut self, broken: ClauseId, level: i32) -> (ClauseId, i32) {
        let mut premises = Vec::new();
        let mut rest: Vec<Lit> = Vec::new();
        let (mut here, mut ground, mut back) = (0_usize, 0_usize, 1);
        let mut touched = Vec::new();
        let mut at = self.trail.len();
        let mut clause = broken;
        let mut first = 0;
        loop {
            premises.push(clause);
            for i in 0..self.clauses[clause as usize].len as usize {
                let lit = self.literals[self.clauses[clause as usize].start as usize + i];
                if self.is_true(lit) || self.seen[var(lit) as usize] {
                    continue;
                }
                self.seen[var(lit) as usize] = true;
                touched.push(var(lit));
                match self.value[var(lit) as usize].abs() {
                    1 => ground += 1,
                    l if l == level => here += 1,
                    l => {
                        rest.push(lit);
                        back = back.max(l);
                    }
                }
            }
            // The next literal down the trail that is involved, of this level or, once that is done, of the first.
            let next = loop {
                if here == 0 && ground == 0 {
                    break None;
                }
                at -= 1;
                let lit = self.trail[at];
                if !self.seen[var(lit) as usize] {
                    continue;
                }
                let of = self.value[var(lit) as usize].abs();
                if of == level && here > 0 {
                    here -= 1;
                    if here == 0 {
                        first = -lit;
                        continue;
                    }
                } else if of == 1 {
                    ground -= 1;
                } else {
                    continue;
                }
                if let Why::Forced(reason) = self.why[at] {
                    break Some(reason);
                }
            };
            match next {
                Some(reason) => clause = reason,
                None => break,
            }
        }
        for variable in touched {
            self.seen[variable as usize] = false;
        }
        let mut literals = vec![first];
        literals.extend(rest);
        self.revert(back);
        let id = self.add(&literals);
        // The second watched literal must be the last to become open again.
        if let Some(second) = literals[1..]
            .iter()
            .copied()
            .max_by_key(|lit| self.value[var(*lit) as usize].abs())
        {
            self.clauses[id as usize].watched = [first, second];
        }
        self.attach(id);
        self.premises.push(premises);
        (id, back)
    }

    /// All clauses, learnt ones followed to those they come from, that make `broken` impossible at the first level.
    pub fn proof(&self, broken: ClauseId) -> Vec<ClauseId> {
        let mut involved = vec![false; self.value.len()];
        let mut direct = vec![broken];
        for lit in self.literals(broken) {
            involved[var(*lit) as usize] = true;
        }
        for (lit, why) in self.trail.iter().zip(&self.why).rev() {
            if let (true, Why::Forced(clause)) = (involved[var(*lit) as usize], why) {
                direct.push(*clause);
                for lit in self.literals(*clause) {
                    involved[var(*lit) as usize] = true;
                }
            }
        }
        self.origins(direct)
    }

    fn origins(&self, mut open: Vec<ClauseId>) -> Vec<ClauseId> {
        open.reverse();
        let (mut seen, mut all) = (vec![false; self.clauses.len()], Vec::new());
        while let Some(clause) = open.pop() {
            if std::mem::replace(&mut seen[clause as usize], true) {
                continue;
            }
            match self.learnt {
                Some(first) if clause >= first => {
                    open.extend(self.premises[(clause - first) as usize].iter().rev());
                }
                _ => all.push(clause),
            }
        }
        all
    }

    /// Everything is open again. Learnt clauses stay as far as all that they follow from is in force.
    pub fn reset(&mut self) {
        self.value.fill(0);
        self.trail.clear();
        self.why.clear();
        self.done = 0;
        let Some(first) = self.learnt else {
            return;
        };
        for (i, premises) in self.premises.iter().enumerate() {
            let holds = premises
                .iter()
                .all(|premise| self.clauses[*premise as usize].enabled);
            self.clauses[first as usize + i].enabled = holds;
        }
    }
}
