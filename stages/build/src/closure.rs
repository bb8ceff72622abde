//! Which packages a build root holds: those asked for, and what they require in turn. The solver of [`keel_rpm::solve`] says
//! which; what packages only recommend or suggest is not in a build root.
//!
//! Only packages of components that the job's plan says come before it can be chosen, whatever else happens to be
//! built already: the root of a job never depends on the order in which jobs ran.

use std::{collections::BTreeSet, fmt, sync::Arc};

use keel_artefact::{Dependency, Interrupt, PackageName, Rich};
use keel_rpm::solve::{
    self, Limits, Missing, NoAnswer, Package, PackageId, Pool, Refusal, Repository, Stopped, Target,
};

use crate::{Built, BuiltPackage, built::Output};

mod near;

pub use near::Index;

/// A requirement that no candidate and nothing borrowed meets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmet {
    /// What is required.
    pub requirement: Dependency,
    /// The package that requires it; none when the SPEC itself does.
    pub by: Option<PackageName>,
}

/// There is no such root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// Nothing meets these; never empty.
    Unmet(Vec<Unmet>),
    /// Packages stand in each other's way: each problem from what the SPEC requires down to what makes it impossible.
    Apart(Vec<Vec<String>>),
    /// More packages than the solver takes.
    TooMany(solve::Error),
    /// The solver ended without an answer.
    Stopped(Stopped),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unmet(all) => {
                for (at, unmet) in all.iter().enumerate() {
                    let comma = if at == 0 { "nothing" } else { "; nothing" };
                    write!(f, "{comma} provides `{}`, which ", unmet.requirement)?;
                    match &unmet.by {
                        Some(by) => write!(f, "`{by}` in the build root requires")?,
                        None => write!(f, "the SPEC requires")?,
                    }
                }
                Ok(())
            }
            Self::Apart(problems) => {
                write!(f, "the packages of the build root cannot be installed together")?;
                for line in problems.iter().flatten() {
                    write!(f, "\n    {line}")?;
                }
                Ok(())
            }
            Self::TooMany(error) => error.fmt(f),
            Self::Stopped(stopped) => write!(f, "{stopped} ({})", Stopped::HINT),
        }
    }
}

/// The packages for a root, sorted by name: providers of `asked` among `candidates` and, transitively, of what these
/// require. `is_lent` says what the borrowed root provides; such a requirement brings nothing in, but for one of `asked` that
/// a candidate meets, too.
pub fn close(
    asked: &[Dependency],
    candidates: &[Arc<Built>],
    is_lent: &dyn Fn(&str) -> bool,
    interrupt: &Interrupt,
) -> Result<Vec<BuiltPackage>, Error> {
    let binary = |output: &&Output| output.package.kind == crate::Kind::Binary;
    let outputs: Vec<&Output> = (candidates.iter())
        .flat_map(|built| &built.outputs)
        .filter(binary)
        .collect();
    let mut packages: Vec<Package> = outputs.iter().copied().map(package).collect();
    let lent: Vec<Dependency> = asked.iter().map(|need| solve::lent(need, is_lent)).collect();
    let lender = solve::lend(&mut packages, asked, is_lent);
    let new = Repository {
        name: "built".to_owned(),
        packages,
        ..Repository::default()
    };
    let paths = paths(asked);
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let target = Target {
        arches: &[],
        paths: &paths,
    };
    let pool = Pool::new(&[lender, new], &target).map_err(Error::TooMany)?;
    let wishes: Vec<Dependency> = (asked.iter().zip(lent))
        .filter(|(need, _)| !need.is_rpmlib())
        .map(|(need, lent)| {
            if pool.provide(need).is_empty() {
                lent
            } else {
                need.clone()
            }
        })
        .collect();
    let name = |id| outputs[pool.place(id)].package.nevra.name.clone();
    let answer = solve::install(&pool, &wishes, &[], false, &Limits::until(interrupt));
    let solution = answer.map_err(|none| match none {
        NoAnswer::Refused(refusal) => refused(&refusal, &wishes, &name),
        NoAnswer::Stopped(stopped) => Error::Stopped(stopped),
    })?;
    let chosen = solution.install.iter();
    let mut chosen: Vec<BuiltPackage> = chosen
        .map(|chosen| outputs[pool.place(chosen.package)].package.clone())
        .collect();
    chosen.sort_by(|one, other| one.nevra.name.cmp(&other.nevra.name));
    Ok(chosen)
}

fn refused(refusal: &Refusal, wishes: &[Dependency], name: &dyn Fn(PackageId) -> PackageName) -> Error {
    if refusal.missing.is_empty() {
        return Error::Apart(refusal.chains());
    }
    let unmet = refusal.missing.iter().map(|missing| match missing {
        Missing::Asked(number) => Unmet {
            requirement: wishes[*number].clone(),
            by: None,
        },
        Missing::Required { by, dependency } => Unmet {
            requirement: dependency.clone(),
            by: Some(name(*by)),
        },
    });
    Error::Unmet(unmet.collect())
}

/// The paths that these ask for, on their own or in expressions.
fn paths(asked: &[Dependency]) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    for rich in asked.iter().filter_map(|need| Rich::of(need).ok()) {
        rich.leaves(&mut |leaf| {
            if leaf.name.starts_with('/') {
                paths.insert(leaf.name.clone());
            }
        });
    }
    paths
}

fn package(output: &Output) -> Package {
    let mut package = Package::of(&output.package.nevra, &output.provides, &output.requires);
    package.conflicts.clone_from(&output.conflicts);
    package.obsoletes.clone_from(&output.obsoletes);
    package.files.clone_from(&output.files);
    package
}

#[cfg(test)]
pub(crate) mod tests;
