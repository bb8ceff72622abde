//! What packages of another distribution are called here.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use keel_artefact::PackageName;
use serde::Deserialize;

use crate::{Diagnostic, Location, includes};

/// What becomes of the packages that a configuration names.
#[derive(Debug, Default)]
pub struct Packages {
    /// By the other's name: what takes its place, which may be nothing.
    pub map: BTreeMap<String, Vec<PackageName>>,
    /// The packages that there are; all others are left out. None: whatever is named is carried over.
    pub known: Option<BTreeSet<PackageName>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    packages: BTreeMap<String, OneOrMany>,
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "the name of a package is wanted here, or a list of names"
)]
enum OneOrMany {
    One(PackageName),
    Many(Vec<PackageName>),
}

impl Packages {
    /// Reads a map of names: `[packages]`, in which `foreign = "own"` or `foreign = ["one", "other"]`. Messages call the file `shown`.
    pub fn read_map(path: &Path, shown: &Path) -> Result<BTreeMap<String, Vec<PackageName>>, Diagnostic> {
        let text =
            includes::read_text(path).map_err(|why| includes::unreadable(Path::new(""), shown, &why))?;
        Self::map(&text, shown)
    }

    fn map(text: &str, shown: &Path) -> Result<BTreeMap<String, Vec<PackageName>>, Diagnostic> {
        let file: File = toml::from_str(text).map_err(|error| {
            let before = error
                .span()
                .and_then(|span| text.get(..span.start))
                .unwrap_or_default();
            let last = before.rsplit('\n').next().unwrap_or_default();
            let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
            Diagnostic::new(error.message()).at(Location {
                file: shown.to_owned(),
                line: count(before.matches('\n').count() + 1),
                column: count(last.chars().count() + 1),
            })
        })?;
        let names = |value| match value {
            OneOrMany::One(name) => vec![name],
            OneOrMany::Many(names) => names,
        };
        Ok(file
            .packages
            .into_iter()
            .map(|(name, value)| (name, names(value)))
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_read_and_what_is_wrong_in_it_has_its_place() {
        let read = |text: &str| Packages::map(text, Path::new("names.toml"));
        let map = read("[packages]\nshim = []\niproute = \"iproute2\"\nbase = [\"a\", \"b\"]\n").unwrap();
        let counts: Vec<usize> = map.values().map(Vec::len).collect();
        assert_eq!(counts, [2, 1, 0]);
        assert_eq!(map["iproute"][0].as_str(), "iproute2");
        for (text, place, part) in [
            (
                "[packages]\na = 7\n",
                "names.toml:2:5",
                "the name of a package is wanted here",
            ),
            (
                "[packages]\na = \"b c\"\n",
                "names.toml:2:5",
                "the name of a package is wanted here",
            ),
            ("[package]\n", "names.toml:1:2", "unknown field `package`"),
            ("[packages]\na =\n", "names.toml:2:4", ""),
            ("", "names.toml:1:1", "packages"),
        ] {
            let told = read(text).unwrap_err().to_string();
            assert!(
                told.contains(place) && told.contains(part),
                "{place} {part}: {told}"
            );
        }
    }
}
