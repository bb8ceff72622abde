//! Preferences: which of several packages is the best. The numbered rules are those of the [module](super).

use std::cmp::Ordering;

use super::{
    pool::{Id, Kept, List, Text},
    sat::Sat,
    set::Bits,
    update::Maps,
    world::World,
};
use keel_artefact::Comparison;

/// What the candidates are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// One will be installed: every rule.
    One,
    /// As [`Mode::One`], but only what is left matters, not in which order.
    Left,
    /// The best of each name; weak dependencies have no say.
    Best,
    /// All will be tried, in the best order.
    Order,
}

/// What installed and chosen packages recommend and suggest, followed along the trail.
#[derive(Debug, Default)]
pub(super) struct Ranks {
    recommended: Bits,
    suggested: Bits,
    upto: usize,
    /// Rich ones, looked at anew each time: `true` for recommends.
    rich: Vec<(bool, u32)>,
}

impl Ranks {
    /// Something was taken back.
    pub fn forget(&mut self) {
        self.recommended.clear();
        self.suggested.clear();
        self.rich.clear();
        self.upto = 0;
    }

    pub fn update(&mut self, world: &World<'_>, sat: &Sat) {
        while let Some(&lit) = sat.trail.get(self.upto) {
            self.upto += 1;
            // The one literal that is no package is the last.
            if lit > 0 && (lit as usize) < world.pool.entries.len() {
                self.add(world, lit as Id);
            }
        }
        for (is_recommends, need) in std::mem::take(&mut self.rich) {
            for lit in blocks(world, sat, need) {
                match is_recommends {
                    true => self.recommended.add(lit),
                    false => self.suggested.add(lit),
                };
            }
            self.rich.push((is_recommends, need));
        }
    }

    /// What `id` would recommend and suggest.
    pub fn add(&mut self, world: &World<'_>, id: Id) {
        for (list, is_recommends) in [(List::Recommends, true), (List::Suggests, false)] {
            for &need in world.list(id, list) {
                if world.is_rich(need) {
                    self.rich.push((is_recommends, need));
                    continue;
                }
                for provider in world.providers(need) {
                    match is_recommends {
                        true => self.recommended.add(provider),
                        false => self.suggested.add(provider),
                    };
                }
            }
        }
    }

    pub fn is_recommended(&self, world: &World<'_>, sat: &Sat, id: Id) -> bool {
        self.recommended.has(id) || is_attached(world, sat, id, List::Supplements)
    }

    pub fn is_suggested(&self, world: &World<'_>, sat: &Sat, id: Id) -> bool {
        self.suggested.has(id) || is_attached(world, sat, id, List::Enhances)
    }
}

/// Packages that a rich weak dependency asks for now.
fn blocks(world: &World<'_>, sat: &Sat, need: u32) -> Vec<Id> {
    let super::rich::Cnf::All(clauses) = world.cnf(need, true) else {
        return Vec::new();
    };
    (clauses.iter())
        .filter(|clause| clause.iter().all(|lit| *lit > 0 || sat.is_true(-lit)))
        .flat_map(|clause| clause.iter().filter(|lit| **lit > 0).map(|lit| *lit as Id))
        .collect()
}

/// Is `id` supplementing (or enhancing) what is decided?
pub(super) fn is_attached(world: &World<'_>, sat: &Sat, id: Id, list: List) -> bool {
    (world.list(id, list).iter()).any(|need| world.holds(*need, &|id| sat.value(id) > 0))
}

/// Where choices are made.
pub(super) struct Chooser<'a, 'b> {
    pub world: &'b World<'a>,
    pub sat: &'b Sat,
    pub ranks: &'b mut Ranks,
    /// Per package: above 0 favoured, below 0 avoided; empty where nothing is.
    pub favor: &'b [i32],
    pub maps: &'b Maps,
    /// The name that was asked for, where a dependency asked.
    pub asked: Option<Text>,
}

impl Chooser<'_, '_> {
    /// Leaves the best of `list`, the best first.
    pub fn prune(&mut self, list: &mut Vec<Id>, mode: Mode) {
        if mode == Mode::Order {
            self.dislike_old(list);
            self.by_common_capability(list);
            self.suggested_first(list);
            self.favored_first(list);
            return;
        }
        let favor = |id: Id| self.favor.get(id as usize).copied().unwrap_or(0);
        let mut groups: Vec<i32> = list.iter().map(|id| favor(*id)).collect();
        groups.sort_unstable_by(|a, b| b.cmp(a));
        groups.dedup();
        if groups.len() < 2 {
            return self.prune_group(list, mode);
        }
        // Rule 8: each group is pruned together with those above it, and keeps what is left of itself.
        let mut result = Vec::new();
        for group in groups {
            let mut upto: Vec<Id> = list.iter().copied().filter(|id| favor(*id) >= group).collect();
            self.favored_first(&mut upto);
            self.prune_group(&mut upto, mode);
            result.extend(upto.into_iter().filter(|id| favor(*id) == group));
        }
        *list = result;
    }

    fn prune_group(&mut self, list: &mut Vec<Id>, mode: Mode) {
        self.best_priority(list);
        self.best_arch(list);
        self.best_version(list);
        if list.len() < 2 || mode == Mode::Best {
            return;
        }
        self.recommended(list);
        if list.len() > 1 && mode == Mode::One {
            self.dislike_old(list);
            self.by_common_capability(list);
            self.replacing_first(list);
            self.suggested_first(list);
            self.favored_first(list);
        }
    }

    /// Rule 2.
    fn best_priority(&self, list: &mut Vec<Id>) {
        let world = self.world;
        let best = |list: &[Id]| {
            let new = list.iter().filter(|id| !world.is_installed(**id));
            new.map(|id| world.priority(*id)).max()
        };
        let Some(mut top) = best(list).filter(|_| list.len() > 1) else {
            return;
        };
        list.retain(|id| world.is_installed(*id) || world.priority(*id) == top);
        if list.len() < 2
            || !list
                .iter()
                .any(|id| world.is_installed(*id) && self.maps.is_upgraded(*id))
        {
            return;
        }
        // An installed package that is being upgraded stays only if a repository has the very same.
        let mut kept = Vec::new();
        for &id in list.iter() {
            if !world.is_installed(id) && world.priority(id) < top {
                continue;
            }
            if world.is_installed(id) && self.maps.is_upgraded(id) {
                let twins = world.siblings(id).filter(|twin| !world.is_installed(*twin));
                let twin = twins
                    .filter(|twin| world.is_identical(id, *twin))
                    .map(|twin| world.priority(twin))
                    .max();
                match twin {
                    Some(priority) if priority > top => {
                        top = priority;
                        kept.clear();
                    }
                    Some(priority) if priority == top => {}
                    _ => continue,
                }
            }
            kept.push(id);
        }
        if !kept.is_empty() {
            *list = kept;
        }
    }

    /// Rule 4.
    fn best_arch(&self, list: &mut Vec<Id>) {
        let scores = list.iter().map(|id| self.world.score(*id));
        let Some(best) = scores.filter(|score| *score > 1).min() else {
            return;
        };
        list.retain(|id| matches!(self.world.score(*id), 1) || self.world.score(*id) == best);
    }

    /// The last rules, 9 to 11.
    fn by_name(&self, one: Id, other: Id) -> Ordering {
        let world = self.world;
        let (a, b) = (world.entry(one), world.entry(other));
        if a.name != b.name {
            let asked = |name: Text| self.asked != Some(name);
            let (x, y) = (world.name(one), world.name(other));
            return (asked(a.name).cmp(&asked(b.name)))
                .then_with(|| x.len().cmp(&y.len()))
                .then_with(|| x.cmp(y));
        }
        if a.arch != b.arch {
            let (x, y) = (world.score(one), world.score(other));
            if x != y && x > 1 && y > 1 {
                return x.cmp(&y);
            }
        }
        (b.installed.cmp(&a.installed))
            .then_with(|| world.cost(one).cmp(&world.cost(other)))
            .then_with(|| one.cmp(&other))
    }

    /// Rule 3: one package of each name, and none that another one obsoletes.
    pub fn best_version(&self, list: &mut Vec<Id>) {
        if list.len() < 2 {
            return;
        }
        list.sort_by(|a, b| self.by_name(*a, *b));
        let mut best: Vec<Id> = Vec::new();
        for &id in list.iter() {
            match best.last_mut() {
                Some(last) if self.world.entry(*last).name == self.world.entry(id).name => {
                    if self.world.compare(*last, id).is_lt() {
                        *last = id;
                    }
                }
                _ => best.push(id),
            }
        }
        *list = best;
        self.without_obsoleted(list);
    }

    /// Removes what others of the list obsolete; a ring of packages that obsolete each other stays.
    fn without_obsoleted(&self, list: &mut Vec<Id>) {
        let count = list.len();
        if !(2..=200).contains(&count)
            || !list
                .iter()
                .any(|id| !self.world.list(*id, List::Obsoletes).is_empty())
        {
            return;
        }
        let names: Vec<Text> = list.iter().map(|id| self.world.entry(*id).name).collect();
        let over = |a: usize, b: usize| {
            names[a] != names[b]
                && (self.world.list(list[a], List::Obsoletes).iter())
                    .any(|need| self.world.pool.is_named_by(list[b], *need))
        };
        // Who is above whom, rings followed: reach[a] holds b where a obsoletes b, by any number of steps.
        let mut reach: Vec<Vec<bool>> = (0..count)
            .map(|a| (0..count).map(|b| over(a, b)).collect())
            .collect();
        if !reach.iter().flatten().any(|over| *over) {
            return;
        }
        for via in 0..count {
            for a in 0..count {
                if reach[a][via] {
                    let above = reach[via].clone();
                    for (over, more) in reach[a].iter_mut().zip(above) {
                        *over |= more;
                    }
                }
            }
        }
        let left = (0..count).filter(|&b| !(0..count).any(|a| a != b && reach[a][b] && !reach[b][a]));
        *list = left.map(|at| list[at]).collect();
    }

    /// Rule 5.
    fn recommended(&mut self, list: &mut Vec<Id>) {
        let world = self.world;
        if list.iter().filter(|id| !world.is_installed(**id)).count() < 2 {
            return;
        }
        self.ranks.update(world, self.sat);
        let is = |id: Id| !world.is_installed(id) && self.ranks.is_recommended(world, self.sat, id);
        if list.iter().any(|id| is(*id)) {
            list.retain(|id| world.is_installed(*id) || is(*id));
        }
    }

    /// Rule 6: what has a better version elsewhere comes last.
    fn dislike_old(&self, list: &mut [Id]) {
        let world = self.world;
        let is_old = |id: Id| {
            !world.is_installed(id)
                && (world.siblings(id))
                    .filter(|other| world.entry(*other).arch == world.entry(id).arch)
                    .any(|other| match world.priority(id).cmp(&world.priority(other)) {
                        Ordering::Greater => false,
                        Ordering::Less => true,
                        Ordering::Equal => world.compare(other, id).is_gt(),
                    })
        };
        list.sort_by_cached_key(|id| is_old(*id));
    }

    /// Rule 7: who provides a capability in a higher version than another candidate comes before it.
    fn by_common_capability(&self, list: &mut [Id]) {
        let world = self.world;
        let mut entries: Vec<(Text, usize, u32, bool)> = Vec::new();
        for (place, &id) in list.iter().enumerate() {
            for need in world.list(id, List::Provides) {
                let Kept::Plain {
                    name,
                    version: Some((comparison, evr)),
                } = *world.pool.kept(*need)
                else {
                    continue;
                };
                let below = comparison == Comparison::Less;
                if below || matches!(comparison, Comparison::Equal | Comparison::LessOrEqual) {
                    entries.push((name, place, evr, below));
                }
            }
        }
        let evr = |evr: u32| &world.pool.evrs[evr as usize];
        entries.sort_by(|a, b| {
            (a.0.cmp(&b.0))
                .then_with(|| evr(b.2).compare(evr(a.2)))
                .then_with(|| a.3.cmp(&b.3))
        });
        let (mut bad, mut badness) = (0_usize, vec![0_usize; list.len()]);
        for (i, entry) in entries.iter().enumerate() {
            match i.checked_sub(1).map(|before| &entries[before]) {
                Some(before) if before.0 == entry.0 => {
                    let lower = evr(entry.2).compare(evr(before.2)).is_lt() || (entry.3 && !before.3);
                    bad += usize::from(before.1 != entry.1 && lower);
                }
                _ => bad = 0,
            }
            badness[entry.1] += bad;
        }
        let mut order: Vec<(usize, Id)> = badness.into_iter().zip(list.iter().copied()).collect();
        order.sort_by_key(|(bad, id)| if world.is_installed(*id) { 0 } else { *bad });
        for (place, (_, id)) in order.into_iter().enumerate() {
            list[place] = id;
        }
    }

    /// Rule 1: what is installed, or replaces an installed package of its name, comes first.
    fn replacing_first(&self, list: &mut [Id]) {
        let world = self.world;
        let is_new =
            |id: Id| !world.is_installed(id) && !world.siblings(id).any(|other| world.is_installed(other));
        list.sort_by_cached_key(|id| is_new(*id));
    }

    /// Rule 5, for Suggests and Enhances.
    fn suggested_first(&mut self, list: &mut [Id]) {
        if list.len() > 1 {
            self.ranks.update(self.world, self.sat);
            let (world, sat) = (self.world, self.sat);
            list.sort_by_cached_key(|id| {
                !(world.is_installed(*id) || self.ranks.is_suggested(world, sat, *id))
            });
        }
    }

    pub fn favored_first(&self, list: &mut [Id]) {
        if !self.favor.is_empty() {
            list.sort_by_key(|id| -self.favor[*id as usize]);
        }
    }
}
