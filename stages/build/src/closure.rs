//! Which packages a build root holds: those asked for, and what they require in turn.
//!
//! Only packages of components that the job's plan says come before it can be chosen, whatever else happens to be
//! built already: the root of a job never depends on the order in which jobs ran.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use keel_artefact::{Dependency, PackageName};

use crate::{Built, BuiltPackage};

/// A requirement that no candidate and nothing borrowed meets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmet {
    /// What is required.
    pub requirement: Dependency,
    /// The package that requires it; none when the SPEC itself does.
    pub by: Option<PackageName>,
}

/// The packages for a root, sorted by name: providers of `asked` among `candidates` and, transitively, of what these
/// require. `is_lent` says what the borrowed root provides; such a requirement brings nothing in.
pub fn close(
    asked: &[Dependency],
    candidates: &[Arc<Built>],
    is_lent: &dyn Fn(&str) -> bool,
) -> Result<Vec<BuiltPackage>, Unmet> {
    let providers = Providers::new(candidates);
    let mut chosen: BTreeMap<&PackageName, Candidate<'_>> = BTreeMap::new();
    let mut asked_by: Vec<(&Dependency, Option<&PackageName>)> =
        asked.iter().map(|need| (need, None)).collect();
    let mut seen = BTreeSet::new();
    while let Some((need, by)) = asked_by.pop() {
        if need.is_rpmlib() || !seen.insert(need.to_string()) {
            continue;
        }
        let Some(candidate) = providers.best(need) else {
            if is_lent(&need.name) {
                continue;
            }
            return Err(Unmet {
                requirement: need.clone(),
                by: by.cloned(),
            });
        };
        // A package that is lent as a capability (a shell) is not pulled in by another package's wish for it.
        if by.is_some() && is_lent(&need.name) && !chosen.contains_key(&candidate.package.nevra.name) {
            continue;
        }
        let name = &candidate.package.nevra.name;
        if chosen.insert(name, candidate).is_none() {
            asked_by.extend(candidate.requires.iter().map(|need| (need, Some(name))));
        }
    }
    Ok(chosen
        .into_values()
        .map(|candidate| candidate.package.clone())
        .collect())
}

#[derive(Clone, Copy)]
struct Candidate<'a> {
    package: &'a BuiltPackage,
    requires: &'a [Dependency],
}

/// Capability (or file that a package ships) → who provides it.
struct Providers<'a> {
    by_name: BTreeMap<&'a str, Vec<(&'a keel_artefact::Provide, Candidate<'a>)>>,
    by_file: BTreeMap<&'a str, Vec<Candidate<'a>>>,
}

impl<'a> Providers<'a> {
    fn new(candidates: &'a [Arc<Built>]) -> Self {
        let mut new = Self {
            by_name: BTreeMap::new(),
            by_file: BTreeMap::new(),
        };
        for output in candidates.iter().flat_map(|built| &built.outputs) {
            let candidate = Candidate {
                package: &output.package,
                requires: &output.requires,
            };
            if output.package.kind != crate::Kind::Binary {
                continue;
            }
            for provide in &output.provides {
                new.by_name
                    .entry(&provide.name)
                    .or_default()
                    .push((provide, candidate));
            }
            for file in &output.files {
                new.by_file.entry(file.as_str()).or_default().push(candidate);
            }
        }
        new
    }

    /// The provider with the shortest name, then the first by name: `zlib` before `zlib-ng-compat`.
    fn best(&self, need: &Dependency) -> Option<Candidate<'a>> {
        let named = self.by_name.get(need.name.as_str()).into_iter().flatten();
        let named = named
            .filter(|(provide, _)| need.is_satisfied_by(provide))
            .map(|(_, candidate)| *candidate);
        let filed = self
            .by_file
            .get(need.name.as_str())
            .into_iter()
            .flatten()
            .copied();
        named.chain(filed).min_by_key(|candidate| {
            let name = candidate.package.nevra.name.as_str();
            (name != need.name, name.len(), name)
        })
    }
}

#[cfg(test)]
mod tests;
