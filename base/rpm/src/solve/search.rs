//! The search: assertions, wishes, what is installed, dependencies, weak dependencies, and a look back.

use keel_artefact::Rich;

use super::{
    Focus, Select,
    choose::{Mode, Ranks, is_attached},
    pool::{Id, Kept, List, Text},
    rules::{Kind, lit},
    sat::{ClauseId, Lit, Outcome, Why},
    solver::{Branch, Solver},
};

/// How often a choice is looked at again: each time costs a part of the search.
const STEPS_BACK: u32 = 500;

impl Solver<'_> {
    /// Searches until nothing is open, giving up what makes it impossible ([`Solver::found`] tells), or until it must end
    /// ([`Sat::halt`](super::sat::Sat::halt) tells).
    pub(super) fn run(&mut self) {
        let mut level = 0;
        self.next_installed = self.world.installed().start;
        // Wishes are done below this level.
        let mut system = 1;
        let has_installed = !self.world.installed().is_empty();
        let focus = self.world.policy.focus;
        loop {
            if self.sat.is_spent() {
                return;
            }
            if level <= 0 {
                level = self.ground();
                if let Some(broken) = self.sat.propagate(level) {
                    level = self.unsolvable(broken);
                    continue;
                }
                system = level + 1;
            }
            if level < system && focus != Focus::Installed {
                let before = level;
                self.early = has_installed;
                level = self.resolve_jobs(level);
                self.early = false;
                if level < before {
                    continue;
                }
                system = level + 1;
            }
            if level < system && has_installed && matches!(focus, Focus::New | Focus::Best) {
                let before = level;
                self.early = true;
                level = self.resolve_dependencies(level);
                self.early = false;
                if level < before {
                    continue;
                }
                system = level + 1;
            }
            if level < system && has_installed {
                let before = level;
                level = self.resolve_installed(level);
                if level < before {
                    continue;
                }
                system = level + 1;
            }
            if level < system && focus == Focus::Installed {
                let before = level;
                level = self.resolve_jobs(level);
                if level < before {
                    continue;
                }
                system = level + 1;
            }
            system = system.min(level);
            let before = level;
            level = self.resolve_dependencies(level);
            if level < before {
                continue;
            }
            match self.extras(level) {
                Some(next) => level = next,
                None => return,
            }
        }
    }

    /// All dependencies hold: what else could be done? None when nothing is left.
    fn extras(&mut self, level: i32) -> Option<i32> {
        let mut now = level;
        if self.cleans() {
            for id in self.clean_ids() {
                if self.sat.is_open(id) {
                    let before = now;
                    now = self.step(now, -lit(id), None);
                    if now < before {
                        return Some(now);
                    }
                }
            }
        }
        if self.world.policy.weak
            && let Some(next) = self.resolve_weak(now)
        {
            return Some(next);
        }
        if let Some(next) = self.resolve_orphaned(&mut now) {
            return Some(next);
        }
        for id in self.world.installed() {
            if self.sat.is_open(id) {
                let before = now;
                now = self.step(now, -lit(id), None);
                if now < before {
                    return Some(now);
                }
            }
        }
        if (self.cleans() && self.mend_clean()) || self.drop_needless_choices() {
            self.restart();
            return Some(0);
        }
        self.minimize()
    }

    /// What must hold whatever is decided, at level 1.
    fn ground(&mut self) -> i32 {
        'again: loop {
            self.restart();
            for is_weak in [false, true] {
                for at in 0..self.sat.assertions().len() {
                    let id = self.sat.assertions()[at];
                    if !self.sat.is_enabled(id) || self.sat.is_weak(id) != is_weak {
                        continue;
                    }
                    let literal = self.sat.literals(id)[0];
                    if self.sat.is_true(literal) {
                        continue;
                    }
                    if self.sat.is_open(literal.unsigned_abs()) {
                        self.sat.set(literal, 1, Why::Forced(id));
                    } else if self.sat.is_learnt(id) {
                        self.sat.enable(id, false);
                    } else if is_weak {
                        self.give_up(self.culprit(id));
                        continue 'again;
                    } else {
                        self.contradiction(id, literal);
                        continue 'again;
                    }
                }
            }
            return 1;
        }
    }

    /// Decides, and follows what comes of it.
    pub(super) fn step(&mut self, level: i32, literal: Lit, because: Option<ClauseId>) -> i32 {
        match self.sat.decide(literal, level, because) {
            Outcome::Level(now) => {
                if now <= level {
                    self.ranks.forget();
                    self.agenda.forget();
                    self.branches.retain(|branch| branch.level < now);
                }
                now
            }
            Outcome::Unsolvable(broken) => self.unsolvable(broken),
            Outcome::Halted => {
                self.restart();
                0
            }
        }
    }

    /// Packages of which one is still to be chosen so that the clause holds; none where it holds, or need not.
    pub(super) fn open(&self, clause: ClauseId) -> Vec<Id> {
        let mut list = Vec::new();
        for &literal in self.sat.literals(clause) {
            if self.sat.is_true(literal) || (literal < 0 && !self.sat.is_false(literal)) {
                return Vec::new();
            }
            if literal > 0 && self.sat.is_open(literal as u32) {
                list.push(literal as Id);
            }
        }
        list
    }

    /// The name that a dependency asks for.
    pub(super) fn asked(&self, clause: ClauseId) -> Option<Text> {
        match self.kind(clause) {
            Kind::Requires(_, need) | Kind::Recommends(_, need) => match self.world.pool.kept(need) {
                Kept::Plain { name, .. } => Some(*name),
                Kept::Rich(_) => None,
            },
            Kind::Job(number) => match self.jobs.get(number as usize).map(|job| &job.select) {
                Some(Select::Provides(Rich::Simple(wish), _)) => self.world.pool.texts.find(&wish.name),
                _ => None,
            },
            _ => None,
        }
    }

    /// Installs the best of `list`.
    pub(super) fn choose(&mut self, level: i32, mut list: Vec<Id>, because: ClauseId) -> i32 {
        self.prune(&mut list, Mode::One, self.asked(because));
        if list.len() > 1 && self.early {
            let replacing: Vec<Id> = list
                .iter()
                .copied()
                .filter(|id| self.replaces_something(*id))
                .collect();
            if !replacing.is_empty() {
                list = replacing;
            }
            if list.len() > 1 {
                self.order_for_installed(&mut list);
            }
        }
        if list.len() > 1 && !self.yum.is_empty() {
            self.prune_yum(&mut list);
        }
        if list.len() > 1 {
            self.branch(level, &list, Some(because));
        }
        self.step(level, lit(list[0]), Some(because))
    }

    pub(super) fn branch(&mut self, level: i32, list: &[Id], because: Option<ClauseId>) {
        let mut options: Vec<Lit> = list.iter().map(|id| lit(*id)).collect();
        options[0] = -options[0];
        self.branches.push(Branch {
            level,
            options,
            because,
        });
    }

    /// Is it installed, or would it take the place of something installed?
    fn replaces_something(&self, id: Id) -> bool {
        let stays = |old: Id| self.world.is_installed(old) && !self.noupdate.has(old);
        stays(id) || self.world.replaced_by(id).into_iter().any(stays)
    }

    /// What installed packages will recommend and suggest comes first, though they are not decided yet.
    fn order_for_installed(&mut self, list: &mut [Id]) {
        let open: Vec<Id> = (self.world.installed())
            .filter(|id| self.sat.is_open(*id) && !self.noupdate.has(*id))
            .collect();
        if open.is_empty() {
            return;
        }
        let (world, sat) = (&self.world, &self.sat);
        let mut ranks = Ranks::default();
        ranks.update(world, sat);
        for id in &open {
            ranks.add(world, *id);
        }
        let has = |id: Id| sat.value(id) > 0 || open.binary_search(&id).is_ok();
        let attached =
            |id: Id, which: List| world.list(id, which).iter().any(|need| world.holds(*need, &has));
        list.sort_by_cached_key(|id| {
            let suggested = ranks.is_suggested(world, sat, *id) || attached(*id, List::Enhances);
            !(world.is_installed(*id) || suggested)
        });
        list.sort_by_cached_key(|id| {
            let recommended = ranks.is_recommended(world, sat, *id) || attached(*id, List::Supplements);
            !(world.is_installed(*id) || recommended)
        });
        if !self.favor.is_empty() {
            list.sort_by_key(|id| -self.favor[*id as usize]);
        }
    }

    fn resolve_jobs(&mut self, start: i32) -> i32 {
        let (mut level, mut at) = (start, 0);
        while at < self.job_clauses.len() {
            let (clause, _) = self.job_clauses[at];
            let mut list = if self.sat.is_enabled(clause) {
                self.open(clause)
            } else {
                Vec::new()
            };
            if list.is_empty() {
                at += 1;
                continue;
            }
            let updates = self.maps.update_all
                || list
                    .iter()
                    .any(|id| self.world.is_installed(*id) && self.maps.update.has(*id));
            if !updates && list.iter().any(|id| self.world.is_installed(*id)) {
                list.retain(|id| self.world.is_installed(*id));
            }
            let before = level;
            level = self.choose(level, list, clause);
            if level < start {
                return level;
            }
            match level.cmp(&before) {
                std::cmp::Ordering::Greater => at += 1,
                std::cmp::Ordering::Equal => {}
                std::cmp::Ordering::Less => at = 0,
            }
        }
        level
    }

    /// Does a package that is new need this (and, without [`Focus::Best`], is nothing of it installed)?
    pub(super) fn is_of_new(&self, clause: ClauseId) -> bool {
        let literals = self.sat.literals(clause);
        let installed = |literal: &Lit| self.world.is_installed(literal.unsigned_abs());
        let from_new = literals
            .iter()
            .any(|l| *l < 0 && self.sat.is_false(*l) && !installed(l));
        from_new
            && (self.world.policy.focus == Focus::Best || !literals.iter().any(|l| *l > 0 && installed(l)))
    }

    /// What is about to be cleaned away stays where it is needed, or is updated if that was wanted.
    pub(super) fn prune_cleaned(&self, list: &mut Vec<Id>) {
        let cleaned = |id: Id| self.world.is_installed(id) && self.cleaned.has(id);
        if let Some(kept) = list
            .iter()
            .copied()
            .find(|id| cleaned(*id) && !self.maps.is_updated(*id))
        {
            *list = vec![kept];
            return;
        }
        let mut fine: Vec<Id> = Vec::new();
        for &id in list.iter().filter(|id| cleaned(**id)) {
            let heirs: Vec<Id> = match self.special.get(&id) {
                Some(special) => special.clone(),
                None => {
                    let own = self.update[self.world.place(id)];
                    own.map_or(Vec::new(), |own| {
                        self.sat.literals(own).iter().map(|l| *l as Id).collect()
                    })
                }
            };
            let targets = self.maps.targets.get(&id);
            fine.push(id);
            fine.extend(
                heirs
                    .into_iter()
                    .filter(|new| targets.is_none_or(|targets| targets.contains(new))),
            );
        }
        if !fine.is_empty() {
            list.retain(|id| fine.contains(id));
        }
    }

    fn resolve_orphaned(&mut self, now: &mut i32) -> Option<i32> {
        let mut kept = false;
        for id in self.orphaned.clone() {
            if self.sat.is_open(id) && !self.maps.drops(id) {
                let before = *now;
                *now = self.step(*now, lit(id), None);
                kept = true;
                if *now < before {
                    return Some(*now);
                }
            }
        }
        if kept {
            return Some(*now);
        }
        for id in self.orphaned.clone() {
            if self.sat.is_open(id) {
                let before = *now;
                *now = self.step(*now, -lit(id), None);
                if *now < before {
                    return Some(*now);
                }
            }
        }
        None
    }

    /// Was something chosen that something else, chosen later, makes needless? Then that is taken instead.
    fn minimize(&mut self) -> Option<i32> {
        if self.branches.is_empty() || self.steps_back >= STEPS_BACK {
            return None;
        }
        self.ranks.update(&self.world, &self.sat);
        let mut take = None;
        for (number, branch) in self.branches.iter().enumerate().rev() {
            let untried = || {
                branch
                    .options
                    .iter()
                    .enumerate()
                    .filter(|(_, option)| **option > 0)
            };
            if let Some((place, _)) =
                untried().find(|(_, option)| self.sat.value(option.unsigned_abs()) > branch.level)
            {
                take = Some((number, place));
                continue;
            }
            let favor = |id: Id| self.favor.get(id as usize).copied().unwrap_or(0);
            let liked = |id: Id| {
                self.ranks.is_recommended(&self.world, &self.sat, id)
                    || is_attached(&self.world, &self.sat, id, List::Supplements)
            };
            let better = untried().find(|(_, option)| favor(**option as Id) >= 0 && liked(**option as Id));
            let Some((place, option)) = better else {
                continue;
            };
            let dull = |current: Id| {
                self.sat.value(current) == branch.level + 1
                    && favor(current) <= favor(*option as Id)
                    && !self.replaces_something(current)
                    && !liked(current)
            };
            if branch
                .options
                .iter()
                .any(|option| *option < 0 && dull(option.unsigned_abs()))
            {
                take = Some((number, place));
            }
        }
        let (number, place) = take?;
        self.steps_back += 1;
        let branch = &mut self.branches[number];
        let literal = branch.options[place];
        branch.options[place] = -literal;
        let (level, because) = (branch.level, branch.because);
        self.branches.truncate(number + 1);
        self.sat.revert(level);
        self.ranks.forget();
        self.agenda.forget();
        Some(self.step(level, literal, because))
    }
}
