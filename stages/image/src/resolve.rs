//! Which packages an image consists of: what it names, and what that requires, from one repository; the solver of
//! [`keel_rpm::solve`] says which.

use std::collections::{BTreeMap, BTreeSet};

use keel_artefact::{Dependency, Interrupt, PackageName, Rich};
use keel_rpm::{
    PackageInfo,
    solve::{
        self, Limits, Missing, NoAnswer, Package, PackageId, Pool, Refusal, Repository, Stopped, Target,
    },
};

/// A requirement that nothing in the repository meets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unmet {
    /// Who asks: a package, or none for the image itself.
    pub by: Option<String>,
    /// What is asked for.
    pub wanted: String,
    /// What comes near: another version, an excluded package.
    pub near: Option<String>,
}

impl std::fmt::Display for Unmet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let by = self
            .by
            .as_deref()
            .map_or_else(|| "the image".to_owned(), |by| format!("`{by}`"));
        write!(
            f,
            "{by} requires `{}`, which no package of the repository provides",
            self.wanted
        )?;
        match &self.near {
            Some(near) => write!(f, " ({near})"),
            None => Ok(()),
        }
    }
}

/// The set does not close.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing provides these.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Unmet(Vec<Unmet>),
    /// Packages stand in each other's way: each problem from what the image asks for down to what makes it impossible.
    #[error("its packages cannot be installed together\n    {}", .0.iter().flatten().cloned().collect::<Vec<_>>().join("\n    "))]
    Apart(Vec<Vec<String>>),
    /// More packages than the solver takes.
    #[error(transparent)]
    TooMany(#[from] solve::Error),
    /// The solver ended without an answer.
    #[error("{stopped} ({hint})", stopped = .0, hint = Stopped::HINT)]
    Stopped(Stopped),
}

/// The packages of an image, as indices into `all`, sorted by name. With `weak`, what they recommend and what supplements
/// them comes along where it can.
///
/// Of each name only the newest is looked at. Which of several packages that provide the same is taken, the rules of
/// [`keel_rpm::solve`] say; the order of `all` says nothing.
pub fn resolve(
    all: &[PackageInfo],
    wanted: &[PackageName],
    exclude: &[PackageName],
    weak: bool,
    interrupt: &Interrupt,
) -> Result<Vec<usize>, Error> {
    let repository = Repository {
        name: "repository".to_owned(),
        packages: Package::all(all),
        ..Repository::default()
    };
    let pool = Pool::new(&[repository], &Target::default())?;
    let view = View::new(&pool, exclude);
    let wishes: Vec<Dependency> = wanted.iter().map(|name| Dependency::any(name.as_str())).collect();
    let answer = solve::install(&pool, &wishes, &view.hidden, weak, &Limits::until(interrupt));
    let solution = answer.map_err(|none| match none {
        NoAnswer::Refused(refusal) => view.refused(&refusal, &wishes),
        NoAnswer::Stopped(stopped) => Error::Stopped(stopped),
    })?;
    let mut taken: Vec<usize> = solution
        .install
        .iter()
        .map(|chosen| pool.place(chosen.package))
        .collect();
    taken.sort_by(|one, two| all[*one].nevra.name.cmp(&all[*two].nevra.name));
    Ok(taken)
}

/// A repository as an image sees it.
struct View<'a> {
    pool: &'a Pool,
    exclude: BTreeSet<&'a str>,
    /// What is excluded, and all but the newest of each name, in the pool's order.
    hidden: Vec<PackageId>,
}

impl<'a> View<'a> {
    fn new(pool: &'a Pool, exclude: &'a [PackageName]) -> Self {
        let exclude: BTreeSet<&str> = exclude.iter().map(PackageName::as_str).collect();
        let is_binary = |id: &PackageId| !matches!(pool.arch(*id), "src" | "nosrc");
        let mut newest: BTreeMap<&str, PackageId> = BTreeMap::new();
        for id in pool.packages().filter(is_binary) {
            let best = newest.entry(pool.name(id)).or_insert(id);
            if pool.evr(id).compare(pool.evr(*best)).is_gt() {
                *best = id;
            }
        }
        let is_hidden = |id: &PackageId| {
            let name = pool.name(*id);
            exclude.contains(name) || newest.get(name) != Some(id)
        };
        Self {
            hidden: pool.packages().filter(is_hidden).collect(),
            pool,
            exclude,
        }
    }

    fn is_hidden(&self, id: &PackageId) -> bool {
        self.hidden.binary_search(id).is_ok()
    }

    fn refused(&self, refusal: &Refusal, wishes: &[Dependency]) -> Error {
        if refusal.missing.is_empty() {
            return Error::Apart(refusal.chains());
        }
        let unmet: BTreeSet<Unmet> = (refusal.missing.iter())
            .map(|missing| match missing {
                Missing::Asked(number) => self.unmet(&wishes[*number], None),
                Missing::Required { by, dependency } => self.unmet(dependency, Some(*by)),
            })
            .collect();
        Error::Unmet(unmet.into_iter().collect())
    }

    fn unmet(&self, wanted: &Dependency, by: Option<PackageId>) -> Unmet {
        let mut near = None;
        if let Ok(rich) = Rich::of(wanted) {
            rich.leaves(&mut |leaf| near = near.take().or_else(|| self.near(leaf)));
        }
        Unmet {
            by: by.map(|by| self.pool.nevra(by)),
            wanted: wanted.to_string(),
            near,
        }
    }

    /// What a message can say about something that is missing.
    fn near(&self, dependency: &Dependency) -> Option<String> {
        let name = |id: &PackageId| self.pool.name(*id);
        let meeting = self.pool.provide(dependency);
        if meeting.iter().any(|id| !self.is_hidden(id)) {
            return None;
        }
        if let Some(id) = meeting.iter().find(|id| self.exclude.contains(name(id))) {
            return Some(format!("`{}` does, but the image excludes it", name(id)));
        }
        let others = self.pool.provide(&Dependency::any(dependency.name.as_str()));
        let other = others.iter().rfind(|id| !self.is_hidden(id))?;
        Some(format!("the newest there is `{}`", self.pool.nevra(*other)))
    }
}

#[cfg(test)]
mod tests;
