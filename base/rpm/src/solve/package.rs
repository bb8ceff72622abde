//! What a pool is made of: packages and repositories, as the solver sees them.

use keel_artefact::{Comparison, Dependency, Evr, Nevra, Provide, Rich};
use rustc_hash::FxHashSet;

use crate::PackageInfo;

/// A package as the solver sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Name.
    pub name: String,
    /// Epoch, version, release.
    pub evr: Evr,
    /// rpm's word: `x86_64`, `noarch`, `i686`, `src`.
    pub arch: String,
    /// Who made it; none counts as one vendor.
    pub vendor: Option<String>,
    /// Capabilities; a comparison other than `=` is a range that is provided.
    pub provides: Vec<Dependency>,
    /// What it needs.
    pub requires: Vec<Dependency>,
    /// What it cannot be installed with.
    pub conflicts: Vec<Dependency>,
    /// Names of packages that it replaces.
    pub obsoletes: Vec<Dependency>,
    /// What should be installed with it.
    pub recommends: Vec<Dependency>,
    /// What ranks higher when it is installed.
    pub suggests: Vec<Dependency>,
    /// With what it should be installed.
    pub supplements: Vec<Dependency>,
    /// With what it ranks higher.
    pub enhances: Vec<Dependency>,
    /// Absolute paths. Only those that some dependency or wish names are kept.
    pub files: Vec<String>,
}

impl Package {
    /// A package that says nothing of itself but its identity.
    pub fn named(name: impl Into<String>, evr: Evr, arch: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            evr,
            arch: arch.into(),
            vendor: None,
            provides: Vec::new(),
            requires: Vec::new(),
            conflicts: Vec::new(),
            obsoletes: Vec::new(),
            recommends: Vec::new(),
            suggests: Vec::new(),
            supplements: Vec::new(),
            enhances: Vec::new(),
            files: Vec::new(),
        }
    }

    /// A package that provides and requires. It provides its own name, whether or not that is among `provides`.
    pub fn of(nevra: &Nevra, provides: &[Provide], requires: &[Dependency]) -> Self {
        let mut new = Self::named(nevra.name.as_str(), nevra.evr.clone(), nevra.arch.to_string());
        let provide = |provide: &Provide| Dependency {
            name: provide.name.clone(),
            version: provide.evr.clone().map(|evr| (Comparison::Equal, evr)),
        };
        new.provides = provides.iter().map(provide).collect();
        if !provides.iter().any(|provide| provide.name == new.name) {
            new.provides.push(Dependency {
                name: new.name.clone(),
                version: Some((Comparison::Equal, new.evr.clone())),
            });
        }
        // rpm itself answers for `rpmlib(…)`: no package provides it.
        let requires = requires.iter().filter(|need| !need.is_rpmlib());
        new.requires = requires.cloned().collect();
        new
    }
}

impl Package {
    /// These packages, each with those of its paths that one of them names: a repository has a hundred times as many, and a
    /// [`Pool`](super::Pool) of them alone would keep no others.
    pub fn all<'i>(infos: impl IntoIterator<Item = &'i PackageInfo>) -> Vec<Self> {
        let infos: Vec<&PackageInfo> = infos.into_iter().collect();
        let mut all: Vec<Self> = infos.iter().map(|info| Self::without_paths(info)).collect();
        let mut named: FxHashSet<String> = FxHashSet::default();
        let mut name = |dependency: &Dependency| {
            if dependency.name.starts_with('/') && !named.contains(&dependency.name) {
                named.insert(dependency.name.clone());
            }
        };
        for dependency in all.iter().flat_map(Self::dependencies) {
            if !dependency.is_rich() {
                name(dependency);
            } else if let Ok(rich) = Rich::of(dependency) {
                rich.leaves(&mut name);
            }
        }
        for (package, info) in all.iter_mut().zip(infos) {
            let paths = info.files.iter().map(|file| file.path.as_str());
            let paths = paths.filter(|path| named.contains(*path));
            package.files = paths.map(str::to_owned).collect();
        }
        all
    }

    fn without_paths(info: &PackageInfo) -> Self {
        Self {
            vendor: info.vendor.clone(),
            conflicts: info.conflicts.clone(),
            obsoletes: info.obsoletes.clone(),
            recommends: info.recommends.clone(),
            suggests: info.suggests.clone(),
            supplements: info.supplements.clone(),
            enhances: info.enhances.clone(),
            ..Self::of(&info.nevra, &info.provides, &info.requires)
        }
    }

    /// Of each kind.
    fn dependencies(&self) -> impl Iterator<Item = &Dependency> {
        let lists = [
            &self.provides,
            &self.requires,
            &self.conflicts,
            &self.obsoletes,
            &self.recommends,
            &self.suggests,
            &self.supplements,
            &self.enhances,
        ];
        lists.into_iter().flatten()
    }
}

/// A repository, or what is installed.
#[derive(Debug, Clone, Default)]
pub struct Repository {
    /// Its name: of no meaning to the solver but for messages and selections.
    pub name: String,
    /// Higher is preferred, whatever the versions.
    pub priority: i32,
    /// Prefers one of two repositories that have the same package.
    pub cost: i32,
    /// Is it what is installed? At most one may be.
    pub installed: bool,
    /// Its packages, in any order.
    pub packages: Vec<Package>,
}
