//! The packages there are, indexed once and used for many problems.

use std::sync::OnceLock;

use keel_artefact::{Comparison, Dependency, Evr, Rich};
use rustc_hash::FxHashMap;

use super::{
    Error,
    build::{Builder, Texts, canonical, nothing},
    index::Index,
    lend::LENDER,
    package::{Package, Repository},
    set::Bits,
};

/// A package of a [`Pool`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PackageId(pub(super) u32);

/// Repositories (name, priority, cost), the installed packages, architectures, `noarch`.
type Frame = (Vec<(String, i32, i32)>, std::ops::Range<Id>, Vec<Text>, Text);

/// What the pool is for.
#[derive(Debug, Clone, Default)]
pub struct Target<'a> {
    /// Architectures that can be installed, best first; `noarch` always can. Empty: all, and none is better.
    pub arches: &'a [&'a str],
    /// Paths that requests will ask for, though no package names them.
    pub paths: &'a [&'a str],
}

/// A text of the pool.
pub(super) type Text = u32;
/// A dependency of the pool.
pub(super) type Need = u32;
/// A package: 0 is none, so that a literal can be negative.
pub(super) type Id = u32;

/// A dependency as the pool keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Kept {
    Plain {
        name: Text,
        version: Option<(Comparison, u32)>,
    },
    Rich(u32),
}

/// The eight lists of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum List {
    Provides,
    Requires,
    Conflicts,
    Obsoletes,
    Recommends,
    Suggests,
    Supplements,
    Enhances,
}

#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub name: Text,
    pub evr: u32,
    pub arch: Text,
    pub vendor: Text,
    pub repository: u32,
    /// Its place in the repository's list.
    pub place: u32,
    pub installed: bool,
    /// Can its architecture be installed?
    pub fits: bool,
    /// A dependency that nobody can read: it cannot be installed.
    pub unreadable: Option<Text>,
    pub bounds: [u32; 9],
}

/// Packages of all repositories, interned and indexed. Immutable; shared by any number of problems and threads.
#[derive(Debug)]
pub struct Pool {
    pub(super) texts: Texts,
    pub(super) evrs: Vec<Evr>,
    pub(super) entries: Vec<Entry>,
    pub(super) repositories: Vec<(String, i32, i32)>,
    pub(super) installed: std::ops::Range<Id>,
    pub(super) arches: Vec<Text>,
    pub(super) noarch: Text,
    lists: Vec<Need>,
    kept: Vec<Kept>,
    rich: Vec<Rich>,
    providers: Vec<OnceLock<Box<[Id]>>>,
    /// Name of a capability → (package, dependency of its `provides`).
    provided: Index<(Id, Need)>,
    by_name: Index<Id>,
    /// Name of a package → packages that say they obsolete it.
    obsoleted: Index<Id>,
    files: FxHashMap<Text, Vec<Id>>,
    /// Packages with supplements or enhances.
    pub(super) attached: Vec<Id>,
}

impl Pool {
    /// How many packages a pool takes.
    pub const PACKAGES: usize = 4_000_000;

    /// Indexes the packages of `repositories`: linear in their number and in the number of their dependencies.
    ///
    /// The order of packages within a repository means nothing; the order of repositories is the last thing that
    /// decides between two packages that are alike in all else.
    pub fn new(repositories: &[Repository], target: &Target<'_>) -> Result<Self, Error> {
        let count: usize = repositories
            .iter()
            .map(|repository| repository.packages.len())
            .sum();
        if count > Self::PACKAGES {
            return Err(Error::TooMany { count });
        }
        if repositories
            .iter()
            .filter(|repository| repository.installed)
            .count()
            > 1
        {
            return Err(Error::TwoInstalled);
        }
        let mut builder = Builder::default();
        let noarch = builder.texts.intern("noarch");
        let arches: Vec<Text> = target
            .arches
            .iter()
            .map(|arch| builder.texts.intern(arch))
            .collect();
        for path in target.paths {
            let path = builder.texts.intern(path);
            builder.paths.insert(path);
        }
        let mut entries = vec![builder.package(&nothing(), 0, false, &arches, noarch)];
        let mut sources: Vec<&Package> = Vec::with_capacity(count);
        let mut installed = 0..0;
        for (number, repository) in repositories.iter().enumerate() {
            let first = entries.len() as Id;
            let mut order: Vec<(usize, &Package)> = repository.packages.iter().enumerate().collect();
            order.sort_by(|(_, a), (_, b)| canonical(a, b));
            for (place, package) in order {
                let mut entry =
                    builder.package(package, number as u32, repository.installed, &arches, noarch);
                entry.place = place as u32;
                entries.push(entry);
                sources.push(package);
            }
            if repository.installed {
                installed = first..entries.len() as Id;
            }
        }
        let names = repositories
            .iter()
            .map(|r| (r.name.clone(), r.priority, r.cost))
            .collect();
        Ok(Self::index(
            builder,
            entries,
            &sources,
            (names, installed, arches, noarch),
        ))
    }

    fn index(
        builder: Builder,
        entries: Vec<Entry>,
        sources: &[&Package],
        (repositories, installed, arches, noarch): Frame,
    ) -> Self {
        let count = builder.texts.len();
        let ids = || (1..entries.len() as Id).zip(&entries[1..]);
        let list = |entry: &Entry, list: List| {
            let list = list as usize;
            &builder.lists[entry.bounds[list] as usize..entry.bounds[list + 1] as usize]
        };
        let named = |need: Need| match builder.kept[need as usize] {
            Kept::Plain { name, .. } => Some(name),
            Kept::Rich(_) => None,
        };
        let each = |which: List| {
            ids().flat_map(move |(id, entry)| {
                (list(entry, which).iter()).filter_map(move |&need| Some((named(need)?, (id, need))))
            })
        };
        let mut files: FxHashMap<Text, Vec<Id>> = FxHashMap::default();
        for (id, package) in (1..).zip(sources) {
            for path in &package.files {
                if let Some(path) = builder
                    .texts
                    .find(path)
                    .filter(|path| builder.paths.contains(path))
                {
                    let holders = files.entry(path).or_default();
                    if holders.last() != Some(&id) {
                        holders.push(id);
                    }
                }
            }
        }
        let attached = (ids())
            .filter(|(_, entry)| entry.bounds[List::Supplements as usize] < entry.bounds[8])
            .map(|(id, _)| id);
        Self {
            provided: Index::new(count, each(List::Provides)),
            by_name: Index::new(count, ids().map(|(id, entry)| (entry.name, id))),
            obsoleted: Index::new(count, each(List::Obsoletes).map(|(name, (id, _))| (name, id))),
            attached: attached.collect(),
            providers: builder.kept.iter().map(|_| OnceLock::new()).collect(),
            texts: builder.texts,
            evrs: builder.evrs,
            lists: builder.lists,
            kept: builder.kept,
            rich: builder.rich,
            files,
            entries,
            repositories,
            installed,
            arches,
            noarch,
        }
    }

    /// How many packages there are.
    pub fn len(&self) -> usize {
        self.entries.len() - 1
    }

    /// Is there no package?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All packages: repository by repository, by name and version in each.
    pub fn packages(&self) -> impl Iterator<Item = PackageId> {
        (1..self.entries.len() as Id).map(PackageId)
    }

    /// The package's name.
    pub fn name(&self, package: PackageId) -> &str {
        self.texts.get(self.entry(package.0).name)
    }

    /// Its epoch, version and release.
    pub fn evr(&self, package: PackageId) -> &Evr {
        &self.evrs[self.entry(package.0).evr as usize]
    }

    /// Its architecture.
    pub fn arch(&self, package: PackageId) -> &str {
        self.texts.get(self.entry(package.0).arch)
    }

    /// The repository it is of: its place in the list that the pool was made from.
    pub fn repository(&self, package: PackageId) -> usize {
        self.entry(package.0).repository as usize
    }

    /// Its place in the list of packages of its repository, as that was given.
    pub fn place(&self, package: PackageId) -> usize {
        self.entry(package.0).place as usize
    }

    /// Packages that provide a capability, or have the file, by id; all of them, whatever a request disables. None for an
    /// expression.
    pub fn provide(&self, dependency: &Dependency) -> Vec<PackageId> {
        self.find_plain(dependency).into_iter().map(PackageId).collect()
    }

    /// Is it installed?
    pub fn is_installed(&self, package: PackageId) -> bool {
        self.entry(package.0).installed
    }

    /// `name-version-release.arch`, with the epoch where there is one.
    pub fn nevra(&self, package: PackageId) -> String {
        let entry = self.entry(package.0);
        let (name, arch) = (self.texts.get(entry.name), self.texts.get(entry.arch));
        if name == LENDER {
            return "what is lent".to_owned();
        }
        format!("{name}-{}.{arch}", self.evrs[entry.evr as usize])
    }

    pub(super) fn entry(&self, id: Id) -> &Entry {
        &self.entries[id as usize]
    }

    pub(super) fn list(&self, id: Id, list: List) -> &[Need] {
        let (entry, list) = (self.entry(id), list as usize);
        &self.lists[entry.bounds[list] as usize..entry.bounds[list + 1] as usize]
    }

    pub(super) fn kept(&self, need: Need) -> &Kept {
        &self.kept[need as usize]
    }

    pub(super) fn rich(&self, rich: u32) -> &Rich {
        &self.rich[rich as usize]
    }

    /// A dependency as people write it.
    pub(super) fn show(&self, need: Need) -> String {
        match &self.kept[need as usize] {
            Kept::Rich(rich) => self.rich[*rich as usize].to_string(),
            Kept::Plain { name, version: None } => self.texts.get(*name).to_owned(),
            Kept::Plain {
                name,
                version: Some((comparison, evr)),
            } => {
                let (name, evr) = (self.texts.get(*name), &self.evrs[*evr as usize]);
                format!("{name} {} {evr}", comparison.as_str())
            }
        }
    }

    /// A dependency as packages have it.
    pub(super) fn dependency(&self, need: Need) -> Dependency {
        match &self.kept[need as usize] {
            Kept::Rich(rich) => Dependency::any(self.rich[*rich as usize].to_string()),
            Kept::Plain { name, version } => Dependency {
                name: self.texts.get(*name).to_owned(),
                version: version.map(|(comparison, evr)| (comparison, self.evrs[evr as usize].clone())),
            },
        }
    }

    pub(super) fn named(&self, name: Text) -> &[Id] {
        self.by_name.get(name)
    }

    /// Packages that say they obsolete the package name `name`, in some version.
    pub(super) fn obsoleting(&self, name: Text) -> &[Id] {
        self.obsoleted.get(name)
    }

    /// All packages that provide a plain dependency, by id. Empty for a rich one.
    pub(super) fn providers(&self, need: Need) -> &[Id] {
        self.providers[need as usize].get_or_init(|| match &self.kept[need as usize] {
            Kept::Plain { name, version } => {
                let version = version.map(|(comparison, evr)| (comparison, &self.evrs[evr as usize]));
                self.find(*name, version).into()
            }
            Kept::Rich(_) => Box::default(),
        })
    }

    /// Packages that provide `dependency`, which need not be one of the pool's.
    pub(super) fn find_plain(&self, dependency: &Dependency) -> Vec<Id> {
        match self.texts.find(&dependency.name) {
            Some(name) => {
                let version = dependency
                    .version
                    .as_ref()
                    .map(|(comparison, evr)| (*comparison, evr));
                self.find(name, version)
            }
            None => Vec::new(),
        }
    }

    fn find(&self, name: Text, asked: Option<(Comparison, &Evr)>) -> Vec<Id> {
        let mut found: Vec<Id> = Vec::new();
        for &(id, provide) in self.provided.get(name) {
            let Kept::Plain { version, .. } = self.kept[provide as usize] else {
                continue;
            };
            let has = version.map(|(comparison, evr)| (comparison, &self.evrs[evr as usize]));
            if overlap(has, asked) {
                found.push(id);
            }
        }
        if asked.is_none() {
            found.extend(self.files.get(&name).into_iter().flatten());
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Is the package one that an `Obsoletes` (or a selection by name) means: by its own name and version?
    pub(super) fn is_named_by(&self, id: Id, need: Need) -> bool {
        match self.kept[need as usize] {
            Kept::Plain { name, version } if name == self.entry(id).name => {
                let version = version.map(|(comparison, evr)| (comparison, &self.evrs[evr as usize]));
                overlap(
                    Some((Comparison::Equal, &self.evrs[self.entry(id).evr as usize])),
                    version,
                )
            }
            _ => false,
        }
    }

    pub(super) fn all(&self) -> Bits {
        Bits::new(self.entries.len())
    }
}

/// Do a capability that is provided and one that is asked for meet? A provide without a version meets only a request
/// without one; a release that one side leaves out is any release.
pub(super) fn overlap(has: Option<(Comparison, &Evr)>, asked: Option<(Comparison, &Evr)>) -> bool {
    use std::cmp::Ordering::{Equal, Greater, Less};
    let (Some((have, has)), Some((ask, asked))) = (has, asked) else {
        return asked.is_none();
    };
    let up = |c: Comparison| matches!(c, Comparison::Greater | Comparison::GreaterOrEqual);
    let down = |c: Comparison| matches!(c, Comparison::Less | Comparison::LessOrEqual);
    let level = |c: Comparison| c.accepts(Equal);
    if (up(have) && up(ask)) || (down(have) && down(ask)) {
        return true;
    }
    match has.compare(asked) {
        Less => up(have) || down(ask),
        Greater => down(have) || up(ask),
        Equal if has.release.is_empty() != asked.release.is_empty() => match has.release.is_empty() {
            true => level(have),
            false => level(ask),
        },
        Equal => level(have) && level(ask),
    }
}
