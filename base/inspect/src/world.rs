//! All packages of a repository, or of a component, and who has what. What meets a requirement, and what comes with a package,
//! the solver of [`keel_rpm::solve`] says.

use std::collections::{BTreeSet, HashMap};

use keel_artefact::{Dependency, Interrupt, parallel};
use keel_rpm::{
    FileInfo, FileKind,
    solve::{self, Limits, PackageId, Pool, Repository, Target},
};

use crate::{Error, Kind, Package};

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
    /// The same for the solver.
    pool: Pool,
    /// What each requires, and itself.
    required: Vec<BTreeSet<usize>>,
    by_path: HashMap<&'a str, Vec<(usize, &'a FileInfo)>>,
}

impl<'a> World<'a> {
    /// Looks at all packages once, and asks the solver, on all cores, what each requires.
    pub fn new(
        packages: impl IntoIterator<Item = &'a Package>,
        interrupt: &Interrupt,
    ) -> Result<Self, Error> {
        let packages: Vec<&'a Package> = (packages.into_iter())
            .filter(|package| package.facts.kind() != Kind::Source)
            .collect();
        let repository = Repository {
            packages: solve::Package::all(packages.iter().map(|package| package.info())),
            ..Repository::default()
        };
        let pool = Pool::new(&[repository], &Target::default());
        let pool =
            pool.expect("one repository, and of fewer packages than fit into memory with all their files");
        let mut ids: Vec<PackageId> = pool.packages().collect();
        ids.sort_by_key(|id| pool.place(*id));
        let limits = Limits::until(interrupt);
        let required = parallel::map(&ids, interrupt, |id| {
            let all = solve::closure(&pool, *id, &limits).map_err(Error::from)?;
            Ok::<_, Error>(all.into_iter().map(|id| pool.place(id)).collect())
        })?;
        let mut by_path: HashMap<&str, Vec<(usize, &FileInfo)>> = HashMap::new();
        for (index, package) in packages.iter().enumerate() {
            for file in &package.info().files {
                by_path.entry(file.path.as_str()).or_default().push((index, file));
            }
        }
        Ok(Self {
            required,
            packages,
            pool,
            by_path,
        })
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

    /// Is a requirement met by a package, or by rpm itself? What cannot be read is not.
    pub(crate) fn is_met(&self, need: &Dependency) -> bool {
        solve::is_met(&self.pool, need)
    }

    /// What is there when a package is installed: what it requires, and what comes first on every machine.
    pub(crate) fn closure(&self, package: usize) -> BTreeSet<usize> {
        let mut closure = self.required(package).clone();
        closure.extend(self.first());
        closure
    }

    /// A package itself and what it requires, as the solver chooses; what is missing is left out.
    pub(crate) fn required(&self, package: usize) -> &BTreeSet<usize> {
        &self.required[package]
    }

    /// The package that comes first on every machine: `filesystem` or, where no package provides that, who owns `/usr`.
    fn first(&self) -> Option<usize> {
        let named = self.pool.provide(&Dependency::any(FIRST));
        let named = named.first().map(|id| self.pool.place(*id));
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
