//! What differs between two builds of one package: libraries and their symbols, files and what they are, capabilities,
//! requirements, scripts, what the header says, size.

mod aspects;

use std::collections::{BTreeMap, BTreeSet};

use keel_rpm::exports::{Export, Kind};
use serde::Serialize;

pub use aspects::{Aspect, FileChange};

use crate::{Package, rules::libraries::libraries};

/// How one library changed that kept its soname.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Library {
    /// Its soname.
    pub soname: String,
    /// Where it is now.
    pub path: String,
    /// Symbols that are gone, as `name@version`.
    pub gone: Vec<String>,
    /// Symbols that changed, and how: `name@version: 8 bytes, were 4`.
    pub changed: Vec<String>,
    /// New symbols.
    pub new: Vec<String>,
}

/// What is new and what is gone of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Only in the new one.
    pub new: Vec<String>,
    /// Only in the old one.
    pub gone: Vec<String>,
}

impl Change {
    /// Is all as it was?
    pub fn is_empty(&self) -> bool {
        self.new.is_empty() && self.gone.is_empty()
    }
}

/// What differs between two builds of one package.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Its name.
    pub package: String,
    /// Epoch, version and release of the old one.
    pub old: String,
    /// Those of the new one.
    pub new: String,
    /// Libraries that kept their soname, and changed.
    pub libraries: Vec<Library>,
    /// Sonames that came and went.
    pub sonames: Change,
    /// Paths.
    pub files: Change,
    /// Files of both that are not what they were.
    pub changed: Vec<FileChange>,
    /// Capabilities.
    pub provides: Change,
    /// Requirements.
    pub requires: Change,
    /// Conflicts, obsoletes and weak dependencies that differ, by their names.
    pub relations: BTreeMap<&'static str, Change>,
    /// Scriptlets and triggers.
    pub scripts: Change,
    /// What the header says otherwise.
    pub header: Vec<Aspect>,
    /// Installed bytes, before and now.
    pub size: (u64, u64),
}

/// Two builds of one package, and what differs.
pub(crate) struct Pair<'a> {
    pub(crate) new: &'a Package,
    pub(crate) difference: Difference,
}

/// Compares a package with an older build of it. `others` are the new builds of all packages: a library may have moved to another one.
pub fn difference(old: &Package, new: &Package, others: &[Package]) -> Difference {
    let (before, now) = (old.info(), new.info());
    let paths = |info: &keel_rpm::PackageInfo| info.files.iter().map(|file| file.path.to_string()).collect();
    let mut everywhere: BTreeMap<&str, &crate::Elf> = BTreeMap::new();
    for package in others.iter().chain([new]) {
        for elf in libraries(package) {
            if let Some(soname) = &elf.facts.soname {
                everywhere.insert(soname, elf);
            }
        }
    }
    let mut found = Vec::new();
    for elf in libraries(old) {
        let now = elf
            .facts
            .soname
            .as_deref()
            .and_then(|soname| everywhere.get(soname));
        found.extend(now.map(|now| library(elf, now)));
    }
    found
        .retain(|library| !(library.gone.is_empty() && library.changed.is_empty() && library.new.is_empty()));
    let mut sonames = change(sonames(old), sonames(new));
    sonames
        .gone
        .retain(|soname| !everywhere.contains_key(soname.as_str()));
    // Its own name and number of build change each time, and say nothing.
    let provides = |package: &Package| -> BTreeSet<String> {
        let info = package.info();
        let said = info
            .provides
            .iter()
            .filter(|provide| provide.evr.as_ref() != Some(&info.nevra.evr));
        let own = info
            .provides
            .iter()
            .filter(|provide| provide.evr.as_ref() == Some(&info.nevra.evr));
        (said.map(ToString::to_string))
            .chain(own.map(|provide| provide.name.clone()))
            .collect()
    };
    let requires = |info: &keel_rpm::PackageInfo| aspects::texts(&info.requires, &info.nevra.evr);
    let scripts = |info: &keel_rpm::PackageInfo| info.scripts.iter().cloned().collect();
    Difference {
        package: new.name().to_owned(),
        old: before.nevra.evr.to_string(),
        new: now.nevra.evr.to_string(),
        libraries: found,
        sonames,
        files: change(paths(before), paths(now)),
        provides: change(provides(old), provides(new)),
        requires: change(requires(before), requires(now)),
        changed: aspects::files(before, now),
        relations: aspects::relations(before, now),
        scripts: change(scripts(before), scripts(now)),
        header: aspects::header(before, now),
        size: (before.installed_size, now.installed_size),
    }
}

impl Difference {
    /// Is nothing different that is looked at?
    pub fn is_empty(&self) -> bool {
        let all = [
            &self.sonames,
            &self.files,
            &self.provides,
            &self.requires,
            &self.scripts,
        ];
        all.into_iter()
            .chain(self.relations.values())
            .all(Change::is_empty)
            && self.libraries.is_empty()
            && self.changed.is_empty()
            && self.header.is_empty()
            && self.size.0 == self.size.1
            && self.old == self.new
    }
}

fn sonames(package: &Package) -> BTreeSet<String> {
    libraries(package)
        .filter_map(|elf| elf.facts.soname.clone())
        .collect()
}

fn change(old: BTreeSet<String>, new: BTreeSet<String>) -> Change {
    Change {
        new: new.difference(&old).cloned().collect(),
        gone: old.difference(&new).cloned().collect(),
    }
}

fn library(old: &crate::Elf, new: &crate::Elf) -> Library {
    // Private versions are for the library's own parts: glibc's `GLIBC_PRIVATE`.
    let is_public = |export: &&Export| {
        export
            .version
            .as_deref()
            .is_none_or(|version| !version.contains("PRIVATE"))
    };
    let by_name = |exports: &'_ [Export]| -> BTreeMap<String, (Kind, u64)> {
        let public = exports.iter().filter(is_public);
        public
            .map(|export| (export.identity(), (export.kind, export.size)))
            .collect()
    };
    let (before, now) = (by_name(&old.exports), by_name(&new.exports));
    let mut changed = Vec::new();
    for (name, (kind, size)) in &before {
        let Some((other, length)) = now.get(name) else {
            continue;
        };
        let is_data = matches!(kind, Kind::Object | Kind::ThreadLocal);
        if kind != other {
            changed.push(format!("{name}: {}, was {}", word(*other), word(*kind)));
        } else if is_data && size != length {
            changed.push(format!("{name}: {length} bytes, were {size}"));
        }
    }
    let only = |these: &BTreeMap<String, (Kind, u64)>, those: &BTreeMap<String, (Kind, u64)>| {
        these
            .keys()
            .filter(|name| !those.contains_key(*name))
            .cloned()
            .collect()
    };
    Library {
        soname: old.facts.soname.clone().unwrap_or_default(),
        path: new.path.to_string(),
        gone: only(&before, &now),
        new: only(&now, &before),
        changed,
    }
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Function => "a function",
        Kind::Object => "data",
        Kind::ThreadLocal => "data of each thread",
        Kind::Other => "of no kind",
    }
}
