//! All packages of a repository, or of a component, and who has what.

use std::collections::{BTreeSet, HashMap};

use keel_artefact::{Dependency, Provide, Rich};
use keel_rpm::{FileInfo, FileKind};

use crate::{Kind, Package};

/// Links that are followed for one path, at most: what Linux allows.
const MOST_LINKS: usize = 40;

/// The longest target of a link, as on Linux.
const LONGEST_LINK: usize = 4096;

/// What the package provides whose folders are there before any other package is installed.
const FIRST: &str = "filesystem";

/// Packages by what they provide and have.
pub struct World<'a> {
    /// Binary packages and those of debugging information.
    pub packages: Vec<&'a Package>,
    by_name: HashMap<&'a str, Vec<(usize, &'a Provide)>>,
    by_path: HashMap<&'a str, Vec<(usize, &'a FileInfo)>>,
}

impl<'a> World<'a> {
    /// Looks at all packages once.
    pub fn new(packages: impl IntoIterator<Item = &'a Package>) -> Self {
        let mut new = Self {
            packages: (packages.into_iter())
                .filter(|package| package.facts.kind() != Kind::Source)
                .collect(),
            by_name: HashMap::new(),
            by_path: HashMap::new(),
        };
        for (index, package) in new.packages.iter().enumerate() {
            for provide in &package.info().provides {
                new.by_name
                    .entry(&provide.name)
                    .or_default()
                    .push((index, provide));
            }
            for file in &package.info().files {
                new.by_path
                    .entry(file.path.as_str())
                    .or_default()
                    .push((index, file));
            }
        }
        new
    }

    /// Paths that more than one package has, sorted, with all of them.
    pub(crate) fn shared_paths(&self) -> Vec<(&'a str, &[(usize, &'a FileInfo)])> {
        let shared = self.by_path.iter().filter(|(_, owners)| owners.len() > 1);
        let mut shared: Vec<_> = shared.map(|(path, owners)| (*path, owners.as_slice())).collect();
        shared.sort_by_key(|(path, _)| *path);
        shared
    }

    /// Who has this path.
    pub(crate) fn owners(&self, path: &str) -> &[(usize, &'a FileInfo)] {
        self.by_path.get(path).map_or(&[], Vec::as_slice)
    }

    /// The packages that meet a plain requirement, by index, each once.
    fn providers(&self, need: &Dependency) -> Vec<usize> {
        let named = self.by_name.get(need.name.as_str()).into_iter().flatten();
        let named = named
            .filter(|(_, provide)| need.is_satisfied_by(provide))
            .map(|(index, _)| *index);
        let owned = self.owners(&need.name).iter().map(|(index, _)| *index);
        let all: BTreeSet<usize> = named.chain(owned).collect();
        all.into_iter().collect()
    }

    /// Is a requirement met by a package, or by rpm itself? What cannot be read is not.
    pub(crate) fn is_met(&self, need: &Dependency) -> bool {
        match need.is_rich() {
            true => Rich::of(need).is_ok_and(|rich| self.can_hold(&rich)),
            false => need.is_rpmlib() || !self.providers(need).is_empty(),
        }
    }

    /// Can a boolean dependency hold, where all packages may be installed? What makes it hold by being absent may always be
    /// absent, but for the condition of `if`: who installs that must find the rest.
    fn can_hold(&self, rich: &Rich) -> bool {
        let other = |otherwise: &Option<Box<Rich>>, none: bool| match otherwise {
            Some(otherwise) => self.can_hold(otherwise),
            None => none,
        };
        match rich {
            Rich::Simple(need) => self.is_met(need),
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

    /// The packages that meet an expression by themselves.
    fn set(&self, rich: &Rich) -> BTreeSet<usize> {
        match rich {
            Rich::Simple(need) => self.providers(need).into_iter().collect(),
            Rich::With(list) => {
                let mut sets = list.iter().map(|item| self.set(item));
                let first = sets.next().unwrap_or_default();
                sets.fold(first, |all, set| &all & &set)
            }
            Rich::Without(one, other) => &self.set(one) - &self.set(other),
            Rich::And(list) | Rich::Or(list) => list.iter().flat_map(|item| self.set(item)).collect(),
            Rich::If(then, _, otherwise) | Rich::Unless(then, _, otherwise) => {
                let other = otherwise.iter().flat_map(|other| self.set(other));
                self.set(then).into_iter().chain(other).collect()
            }
        }
    }

    /// What is there when a package is installed: what it requires, and what comes first on every machine.
    pub(crate) fn closure(&self, package: usize) -> BTreeSet<usize> {
        let mut closure = self.required(package);
        closure.extend(self.first());
        closure
    }

    /// A package itself and, of what it requires, one package for each requirement: the one with
    /// the shortest name, then the first.
    pub(crate) fn required(&self, package: usize) -> BTreeSet<usize> {
        let mut closure = BTreeSet::from([package]);
        let mut todo = vec![package];
        while let Some(index) = todo.pop() {
            let requires = self.packages[index].info().requires.iter();
            for need in requires.filter(|need| !need.is_rpmlib() && !need.is_rich()) {
                let providers = self.providers(need);
                if providers.iter().any(|index| closure.contains(index)) {
                    continue;
                }
                let order =
                    |index: &usize| (self.packages[*index].name().len(), self.packages[*index].name());
                if let Some(best) = providers.into_iter().min_by_key(order) {
                    closure.insert(best);
                    todo.push(best);
                }
            }
        }
        closure
    }

    /// The package that comes first on every machine: `filesystem` or, where no package provides that, who owns `/usr`.
    fn first(&self) -> Option<usize> {
        let named = self.by_name.get(FIRST).and_then(|all| all.first());
        let named = named.map(|(index, _)| *index);
        named.or_else(|| self.owners("/usr").first().map(|(index, _)| *index))
    }

    /// What a path is among these packages, links in it followed. A folder that only has files in it counts, too.
    pub(crate) fn is_there(&self, path: &str, among: &BTreeSet<usize>) -> bool {
        let mut rest: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
        let (mut at, mut links) = (String::new(), 0);
        while let Some(part) = rest.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => at.truncate(at.rfind('/').unwrap_or(0)),
                part => at = format!("{at}/{part}"),
            }
            let mut owners = self.owners(&at).iter().filter(|(index, _)| among.contains(index));
            if let Some((_, file)) = owners.find(|(_, file)| file.kind == FileKind::Symlink) {
                links += 1;
                let target = file.link.as_deref().filter(|link| link.len() <= LONGEST_LINK);
                let Some(target) = target.filter(|_| links <= MOST_LINKS) else {
                    return false;
                };
                at.truncate(if target.starts_with('/') {
                    0
                } else {
                    at.rfind('/').unwrap_or(0)
                });
                rest.extend(target.split('/').rev().map(str::to_owned));
            }
        }
        let has_it = |(index, _): &(usize, &FileInfo)| among.contains(index);
        let below = format!("{at}/");
        let has_below = |index: &usize| {
            let mut files = self.packages[*index].info().files.iter();
            files.any(|file| file.path.as_str().starts_with(&below))
        };
        at.is_empty() || self.owners(&at).iter().any(has_it) || among.iter().any(has_below)
    }
}
