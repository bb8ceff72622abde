//! What may become of installed packages: which packages may replace them, and the clauses that keep one of those.

use rustc_hash::FxHashMap;

use super::{pool::Id, rules::Kind, sat::ClauseId, set::Bits, solver::Solver, world::World};

/// How far an update may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// As the policy says.
    Policy,
    /// Any package that replaces it.
    All,
    /// As the policy says for distribution upgrades.
    Upgrade,
}

/// What the jobs say of installed packages.
#[derive(Debug, Default)]
pub(super) struct Maps {
    pub update_all: bool,
    pub update: Bits,
    pub best_all: bool,
    pub best: Bits,
    pub fix_all: bool,
    pub fix: Bits,
    pub upgrade_all: bool,
    /// Packages that a distribution upgrade is about.
    pub upgrade: Bits,
    pub has_upgrade: bool,
    /// Packages that a distribution upgrade may end with.
    pub wanted: Bits,
    /// Where a distribution upgrade of everything was asked for: orphans are looked at.
    pub orphans: bool,
    pub drop_all: bool,
    pub drop: Bits,
    pub uninstall_all: bool,
    pub uninstall: Bits,
    pub not_weak: Bits,
    /// Installed package → what exactly it shall become.
    pub targets: FxHashMap<Id, Vec<Id>>,
    /// Installed packages that are updated and then cleaned up after.
    pub clean_updates: Vec<Id>,
    /// Is anything to be cleaned?
    pub clean: bool,
}

impl Maps {
    /// Shall this installed package be updated?
    pub fn is_updated(&self, id: Id) -> bool {
        self.update_all || self.update.has(id)
    }

    /// Is this package a matter of a distribution upgrade?
    pub fn is_upgraded(&self, id: Id) -> bool {
        self.upgrade_all || self.upgrade.has(id)
    }

    pub fn may_uninstall(&self) -> bool {
        self.uninstall_all || self.uninstall.any()
    }

    pub fn drops(&self, id: Id) -> bool {
        self.drop_all || self.drop.has(id)
    }
}

/// Changes that a policy forbids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a change of its own")]
pub(super) struct Changes {
    pub downgrade: bool,
    pub name: bool,
    pub arch: bool,
    pub vendor: bool,
}

impl Changes {
    pub fn any(self) -> bool {
        self.downgrade || self.name || self.arch || self.vendor
    }
}

impl World<'_> {
    /// What the policy does not allow in replacing `from` by `to`.
    pub fn forbidden(&self, from: Id, to: Id, upgraded: bool) -> Changes {
        let policy = &self.policy;
        let allows = |normal: bool, upgrade: bool| if upgraded { upgrade } else { normal };
        let same_name = self.entry(from).name == self.entry(to).name;
        Changes {
            downgrade: !allows(policy.allow_downgrade, policy.upgrade_allow_downgrade)
                && same_name
                && self.compare(from, to).is_gt(),
            name: !allows(policy.allow_name_change, policy.upgrade_allow_name_change) && !same_name,
            arch: !allows(policy.allow_arch_change, policy.upgrade_allow_arch_change)
                && self.is_arch_change(from, to),
            vendor: !allows(policy.allow_vendor_change, policy.upgrade_allow_vendor_change)
                && self.is_vendor_change(from, to),
        }
    }
}

impl Solver<'_> {
    /// Packages that may replace the installed package `id`.
    pub(super) fn updaters(&self, id: Id, reach: Reach) -> Vec<Id> {
        let world = &self.world;
        let fits = |to: Id| match reach {
            Reach::All => true,
            _ => !world.forbidden(id, to, reach == Reach::Upgrade).any(),
        };
        let names = match reach {
            Reach::All => true,
            Reach::Policy => world.policy.allow_name_change,
            Reach::Upgrade => world.policy.upgrade_allow_name_change,
        };
        let mut list: Vec<Id> = world.siblings(id).collect();
        let mut others: Vec<Id> = Vec::new();
        if names {
            // Those that provide its name as well as obsolete it are its heirs; all others only where there is none.
            let name = world.entry(id).name;
            let provides = |other: Id| {
                (world.list(other, super::pool::List::Provides).iter())
                    .any(|need| matches!(world.pool.kept(*need), super::pool::Kept::Plain { name: has, .. } if *has == name))
            };
            others = world.replacers(id).collect();
            let heirs: Vec<Id> = others.iter().copied().filter(|other| provides(*other)).collect();
            if !heirs.is_empty() && heirs.iter().any(|heir| world.colors_meet(id, *heir)) {
                others = heirs;
            }
        }
        list.append(&mut others);
        list.retain(|to| {
            world.colors_meet(id, *to) && fits(*to) && (!world.off.has(*to) || world.is_installed(*to))
        });
        list
    }

    /// May a distribution upgrade leave this installed package as it is?
    fn may_keep(&self, id: Id) -> bool {
        let world = &self.world;
        self.maps.wanted.has(id)
            || world
                .siblings(id)
                .any(|twin| self.maps.wanted.has(twin) && world.is_identical(id, twin))
    }

    pub(super) fn add_feature_clauses(&mut self) {
        for id in self.world.installed() {
            let all = self.updaters(id, Reach::All);
            let orphan = self.maps.is_upgraded(id)
                && !self.may_keep(id)
                && all
                    .iter()
                    .all(|to| self.world.is_installed(*to) && !self.may_keep(*to));
            let clause = (!orphan).then(|| self.add_all(Some(id as i32), &all, Kind::Feature(id)));
            self.feature.push(clause);
        }
    }

    pub(super) fn add_update_clauses(&mut self) {
        for id in self.world.installed() {
            let clause = self.update_clause(id);
            self.update.push(clause);
            let place = self.world.place(id);
            let feature = self.feature[place];
            match (clause, feature) {
                (None, Some(feature)) => {
                    self.sat.enable(feature, false);
                    self.feature[place] = None;
                }
                (Some(clause), Some(feature)) => {
                    if !self.maps.orphans && self.sat.literals(feature) == [id as i32] {
                        self.orphaned.push(id);
                    }
                    self.sat.enable(feature, false);
                    if self.sat.literals(clause) == self.sat.literals(feature) {
                        self.feature[place] = None;
                    }
                }
                _ => {}
            }
        }
    }

    fn update_clause(&mut self, id: Id) -> Option<ClauseId> {
        let alone = |solver: &mut Self| Some(solver.add(&[id as i32], Kind::Update(id)));
        if self.world.off.has(id) {
            return alone(self);
        }
        let keeps = self.world.policy.keep_orphans && !self.maps.drops(id);
        if self.feature[self.world.place(id)].is_none() {
            self.orphaned.push(id);
            return if keeps { alone(self) } else { None };
        }
        let upgraded = self.maps.is_upgraded(id);
        let all = self.updaters(id, if upgraded { Reach::Upgrade } else { Reach::Policy });
        let world = &self.world;
        // Of packages that stand side by side, only what says so replaces another version.
        let replaces = |to: Id| {
            !world.multi.has(to)
                || (world.policy.keep_explicit_obsoletes && world.obsoletes(to, id))
                || (world.entry(to).name == world.entry(id).name
                    && world.same_evr(to, id)
                    && world.entry(to).arch == world.entry(id).arch)
        };
        let mut list: Vec<Id> = all.iter().copied().filter(|to| replaces(*to)).collect();
        let had_multi = all.iter().any(|to| world.multi.has(*to));
        if had_multi && list.is_empty() && upgraded && !self.may_keep(id) {
            self.orphaned.push(id);
            self.special.insert(id, all.clone());
            if keeps {
                return alone(self);
            }
            list.clone_from(&all);
        }
        if list.len() < all.len() && self.maps.is_updated(id) {
            self.special.insert(id, all);
        }
        Some(self.add_all(Some(id as i32), &list, Kind::Update(id)))
    }

    /// The clause that is in force for an installed package, if it has one.
    pub(super) fn own_clause(&self, place: usize) -> Option<ClauseId> {
        self.update[place].or(self.feature[place])
    }

    /// Marks what `to` replaces as to be updated to just that.
    pub(super) fn add_target(&mut self, to: Id, best: bool, clean: bool) {
        let world = &self.world;
        let same = |id: Id| {
            world
                .named(world.entry(id).name)
                .filter(|other| world.is_installed(*other))
        };
        let mut pairs: Vec<(Id, Id)> = Vec::new();
        if world.is_installed(to) {
            pairs.push((to, to));
            pairs.extend(
                same(to)
                    .filter(|id| *id != to && world.colors_meet(to, *id))
                    .map(|id| (id, to)),
            );
        } else {
            let mut old: Vec<Id> = same(to).filter(|id| world.colors_meet(to, *id)).collect();
            let twin = old.iter().copied().rfind(|id| world.is_identical(to, *id));
            for need in world.list(to, super::pool::List::Obsoletes) {
                let named = world.obsoleted_by(to, *need);
                old.extend(
                    named.filter(|id| {
                        world.is_installed(*id) && world.entry(*id).name != world.entry(to).name
                    }),
                );
            }
            for id in old {
                pairs.push((id, to));
                pairs.extend(twin.map(|twin| (id, twin)));
                if best {
                    self.maps.best.add(id);
                }
                if clean {
                    self.maps.clean_updates.push(id);
                }
            }
        }
        for (id, to) in pairs {
            let list = self.maps.targets.entry(id).or_default();
            if !list.contains(&to) {
                list.push(to);
            }
            self.maps.update.add(id);
        }
    }
}
