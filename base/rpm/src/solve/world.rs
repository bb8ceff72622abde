//! A pool as one request sees it: what is switched off, and how two packages compare.

use std::cmp::Ordering;

use super::{
    Policy, Request,
    pool::{Entry, Id, Kept, List, Need, Pool, Text},
    set::Bits,
};

/// A pool and the request's view of it.
#[derive(Debug)]
pub(super) struct World<'a> {
    pub pool: &'a Pool,
    pub policy: Policy,
    /// Disabled packages.
    pub off: Bits,
    /// Packages of which several versions may be installed.
    pub multi: Bits,
}

impl<'a> World<'a> {
    pub fn new(pool: &'a Pool, request: &Request) -> Self {
        let mut off = pool.all();
        for id in &request.disabled {
            off.add(id.0);
        }
        Self {
            pool,
            policy: request.policy,
            off,
            multi: Bits::default(),
        }
    }
}

impl World<'_> {
    pub fn entry(&self, id: Id) -> &Entry {
        self.pool.entry(id)
    }

    pub fn is_installed(&self, id: Id) -> bool {
        self.entry(id).installed
    }

    pub fn list(&self, id: Id, list: List) -> &[Need] {
        self.pool.list(id, list)
    }

    /// Is there such a package, for this request?
    pub fn is_visible(&self, id: Id) -> bool {
        let entry = self.entry(id);
        entry.installed || (entry.fits && !self.off.has(id))
    }

    /// May it be installed?
    pub fn is_installable(&self, id: Id) -> bool {
        let entry = self.entry(id);
        entry.fits && entry.unreadable.is_none() && !self.off.has(id)
    }

    pub fn providers(&self, need: Need) -> impl Iterator<Item = Id> {
        self.pool
            .providers(need)
            .iter()
            .copied()
            .filter(|id| self.is_visible(*id))
    }

    /// Packages of a name.
    pub fn named(&self, name: Text) -> impl Iterator<Item = Id> {
        self.pool
            .named(name)
            .iter()
            .copied()
            .filter(|id| self.is_visible(*id))
    }

    /// Other packages of the same name.
    pub fn siblings(&self, id: Id) -> impl Iterator<Item = Id> {
        self.named(self.entry(id).name).filter(move |other| *other != id)
    }

    pub fn is_rich(&self, need: Need) -> bool {
        matches!(self.pool.kept(need), Kept::Rich(_))
    }

    /// Packages that an `Obsoletes` of `of` names, `of` itself left out.
    pub fn obsoleted_by(&self, of: Id, need: Need) -> impl Iterator<Item = Id> {
        let name = match self.pool.kept(need) {
            Kept::Plain { name, .. } => Some(*name),
            Kept::Rich(_) => None,
        };
        (name.into_iter())
            .flat_map(|name| self.named(name))
            .filter(move |other| *other != of && self.pool.is_named_by(*other, need))
    }

    /// Does `one` say that it obsoletes `other`?
    pub fn obsoletes(&self, one: Id, other: Id) -> bool {
        (self.list(one, List::Obsoletes).iter()).any(|need| self.pool.is_named_by(other, *need))
    }

    /// Packages of other names that obsolete `id` and could be installed.
    pub fn replacers(&self, id: Id) -> impl Iterator<Item = Id> {
        let name = self.entry(id).name;
        (self.pool.obsoleting(name).iter().copied())
            .filter(move |other| self.entry(*other).name != name && self.is_installable(*other))
            .filter(move |other| self.obsoletes(*other, id))
            .scan(0, |last, other| {
                Some(std::mem::replace(last, other)).map(|before| (before, other))
            })
            .filter_map(|(before, other)| (before != other).then_some(other))
    }

    pub fn compare(&self, one: Id, other: Id) -> Ordering {
        let (one, other) = (self.entry(one).evr, self.entry(other).evr);
        match one == other {
            true => Ordering::Equal,
            false => self.pool.evrs[one as usize].compare(&self.pool.evrs[other as usize]),
        }
    }

    pub fn same_evr(&self, one: Id, other: Id) -> bool {
        self.entry(one).evr == self.entry(other).evr
    }

    /// The same package, of two repositories?
    pub fn is_identical(&self, one: Id, other: Id) -> bool {
        let (a, b) = (self.entry(one), self.entry(other));
        (a.name, a.evr, a.arch, a.vendor) == (b.name, b.evr, b.arch, b.vendor)
            && self.list(one, List::Requires) == self.list(other, List::Requires)
    }

    /// How good an architecture is: 0 unknown, 1 any machine, then the lower the better.
    pub fn score(&self, id: Id) -> usize {
        let arch = self.entry(id).arch;
        let place = self.pool.arches.iter().position(|known| *known == arch);
        match place {
            _ if self.pool.arches.is_empty() => 0,
            _ if arch == self.pool.noarch => 1,
            Some(place) => place + 2,
            None => 0,
        }
    }

    /// 32-bit, 64-bit, or both.
    fn color(&self, id: Id) -> u8 {
        let arch = self.entry(id).arch;
        match self.pool.texts.get(arch) {
            _ if arch == self.pool.noarch => 3,
            "aarch64" | "s390x" => 2,
            text if text.ends_with("64") || text.contains("64_v") || text.ends_with("64le") => 2,
            _ => 1,
        }
    }

    /// Do two packages stand in each other's way, if colours count?
    pub fn colors_meet(&self, one: Id, other: Id) -> bool {
        !self.policy.colors || self.color(one) & self.color(other) != 0
    }

    pub fn priority(&self, id: Id) -> i32 {
        self.pool.repositories[self.entry(id).repository as usize].1
    }

    pub fn cost(&self, id: Id) -> i32 {
        self.pool.repositories[self.entry(id).repository as usize].2
    }

    pub fn name(&self, id: Id) -> &str {
        self.pool.texts.get(self.entry(id).name)
    }

    /// Another architecture, where neither is `noarch`.
    pub fn is_arch_change(&self, from: Id, to: Id) -> bool {
        let (a, b) = (self.entry(from).arch, self.entry(to).arch);
        a != b
            && a != self.pool.noarch
            && b != self.pool.noarch
            && !self.pool.arches.is_empty()
            && self.score(from) != self.score(to)
    }

    pub fn is_vendor_change(&self, from: Id, to: Id) -> bool {
        self.entry(from).vendor != self.entry(to).vendor
    }

    pub fn installed(&self) -> std::ops::Range<Id> {
        self.pool.installed.clone()
    }

    /// Place of an installed package among the installed ones.
    pub fn place(&self, id: Id) -> usize {
        (id - self.pool.installed.start) as usize
    }
}
