//! `--refresh`: pinned files that no origin has any more are replaced by the newest of the same upstream series.
//!
//! Debian's pool drops superseded versions, so a lock alone would stop working within months. Only a file that every
//! one of its origins says it does not have is replaced; it is replaced by what the archive's signed index says is
//! the newest of its series and what a mirror serves; the other files of the same source package move along with it.
//! The result goes to a lock of its own, never into `keel.lock`, and all of it says `locked = false`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::PathBuf,
};

use keel_artefact::{ComponentName, Interrupt, Sha256, Sink};
use keel_config::Project;
use keel_spec::Recipe;
use keel_store::Store;

use crate::{
    Error, Errors, Lock, Options, Origin, Trust,
    archive::{Archive, Listing},
    debian::{
        index::{self, FileName, Package},
        version,
    },
    fetch::fetch_pins,
    http::with_client,
    lock::{Entry, Replaced},
    locking::binary_package,
    wanted::{self, Locks, Pin, Wanted},
};

/// Where the lock of a refresh goes when [`Options::refreshed`] says nothing: in the project's output folder.
pub const LOCK_NAME: &str = "keel.refreshed.lock";

/// What [`refresh()`] replaced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refreshed {
    /// The macros that SPECs are to be evaluated again with: `upstream_version`, `debian_version`.
    pub overrides: BTreeMap<ComponentName, BTreeMap<String, String>>,
    /// By component and old name.
    pub changes: Vec<Replacement>,
    /// The lock that [`fetch`](crate::fetch()) must go by, as [`Options::refreshed`].
    pub lock_file: PathBuf,
}

/// One file that took the place of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    /// The component.
    pub component: ComponentName,
    /// The pinned file, which is gone: its name and digest.
    pub old: (String, Sha256),
    /// The file in its place.
    pub new: (String, Sha256),
    /// Why it is trusted, for people.
    pub how: String,
}

impl fmt::Display for Refreshed {
    /// One line a replacement.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for change in &self.changes {
            let Replacement {
                component,
                old,
                new,
                how,
            } = change;
            let (before, after) = (old.1.short(), new.1.short());
            writeln!(
                f,
                "~ {component}: {} ({before}) → {} ({after}): {how}",
                old.0, new.0
            )?;
        }
        Ok(())
    }
}

/// A pinned file of Debian's archive, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Group {
    component: ComponentName,
    pub(crate) package: String,
    pub(crate) suite: String,
    pub(crate) listing: Listing,
}

/// Replaces the pinned files of the recipes that are gone, and writes the lock of the refresh.
///
/// The recipes are those without overrides. Files that are not gone are fetched by the way. What an earlier refresh
/// replaced, and the project still pins, stays replaced. An error is told as [`fetch`](crate::fetch()) tells it.
pub fn refresh(
    project: &Project,
    recipes: &[Recipe],
    store: &Store,
    options: &Options,
    trust: &Trust,
    sink: &dyn Sink,
    interrupt: &Interrupt,
) -> Result<Refreshed, Errors> {
    let lock_file = options
        .refreshed
        .clone()
        .unwrap_or_else(|| project.output_dir.join(LOCK_NAME));
    let project_lock = Lock::read(&project.lock_file)?;
    let earlier = Lock::read(&lock_file)?;
    let locks = Locks {
        project: project_lock,
        refreshed: Lock::default(),
    };
    let pins = pins(project, recipes, &locks)?;
    let mut lock = Lock::default();
    let is_here = |digest: &Sha256| store.contains(digest);
    for (key, entry) in &earlier.files {
        let replaces = |pin: &&Pin| {
            let old = entry.replaces.as_ref();
            pin.component == key.0 && old.is_some_and(|old| old.name == pin.name && old.digest == pin.digest)
        };
        let pin = pins.iter().find(replaces);
        if pin.is_some_and(|pin| !is_here(&pin.digest)) && is_here(&entry.digest) {
            lock.files.insert(key.clone(), entry.clone());
        }
    }
    let is_replaced = |lock: &Lock, pin: &Pin| {
        let mut entries = lock.files.iter().filter(|(key, _)| key.0 == pin.component);
        entries.any(|(_, entry)| entry.replaces.as_ref().is_some_and(|old| old.name == pin.name))
    };
    let asked: Vec<Pin> = pins
        .iter()
        .filter(|pin| !is_replaced(&lock, pin))
        .cloned()
        .collect();
    let failures = fetch_pins(&project.root, &asked, store, options, sink, interrupt)?;
    let (gone, failed): (Vec<_>, Vec<_>) =
        (failures.into_iter()).partition(|(at, error)| error.is_gone() && debian(&asked[*at]).is_some());
    Errors::check((), failed.into_iter().map(|(_, error)| error).collect())?;
    if !gone.is_empty() {
        let gone: Vec<(&Pin, Error)> = gone.into_iter().map(|(at, error)| (&asked[at], error)).collect();
        let run = Run {
            project,
            recipes,
            store,
            options,
            sink,
            interrupt,
            pins: &pins,
        };
        let packages = with_client(options, interrupt, |client| {
            let archive = Archive::open(client, store, options, trust, sink)?;
            read_packages(&archive, &gone)
        });
        let packages = packages.map_err(Error::from)??;
        run.replace_all(gone, &packages, &mut lock)?;
    }
    if !lock.files.is_empty() || lock_file.exists() {
        lock.write(&lock_file)?;
    }
    Ok(report(&lock, lock_file))
}

/// All pinned files of the recipes.
pub(crate) fn pins(project: &Project, recipes: &[Recipe], locks: &Locks) -> Result<Vec<Pin>, Errors> {
    let (mut pins, mut errors) = (Vec::<Pin>::new(), Vec::new());
    for recipe in recipes {
        let (wanted, wrong) = wanted::of_recipe(project, recipe, locks);
        errors.extend(wrong);
        for wanted in wanted {
            match wanted {
                Wanted::Pinned(pin) if !pins.contains(&pin) => pins.push(pin),
                _ => {}
            }
        }
    }
    Errors::check(pins, errors)
}

/// The pinned file's place in Debian's archive, if it has one: which package of which suite.
pub(crate) fn debian(pin: &Pin) -> Option<Group> {
    let origin = pin.origins.iter().find_map(|origin| match origin {
        Origin::Debian(debian) => Some(debian),
        _ => None,
    })?;
    let mut parts = origin.path.rsplit('/');
    let (name, folder) = (parts.next()?, parts.next()?);
    let (package, listing) = match name.strip_suffix(".deb") {
        // An `_all.deb` stands in the index of every architecture.
        Some(stem) => {
            let arch = if stem.ends_with("_arm64") {
                "arm64"
            } else {
                "amd64"
            };
            (binary_package(name), Listing::Packages(arch))
        }
        None => (folder, Listing::Sources),
    };
    let suite = ["-updates", "-security"]
        .iter()
        .find_map(|pocket| origin.suite.strip_suffix(pocket));
    Some(Group {
        component: pin.component.clone(),
        package: package.to_owned(),
        suite: suite.unwrap_or(&origin.suite).to_owned(),
        listing,
    })
}

/// Packages by suite and listing.
type Packages = BTreeMap<(String, Listing), Vec<Package>>;

fn read_packages(archive: &Archive<'_>, gone: &[(&Pin, Error)]) -> Result<Packages, Error> {
    let mut names: BTreeMap<(String, Listing), BTreeSet<String>> = BTreeMap::new();
    for group in gone.iter().filter_map(|(pin, _)| debian(pin)) {
        names
            .entry((group.suite, group.listing))
            .or_default()
            .insert(group.package);
    }
    let read = |((suite, listing), names): ((String, Listing), BTreeSet<String>)| {
        let packages = archive.packages(&suite, &listing, &|name| names.contains(name))?;
        Ok(((suite, listing), packages))
    };
    names.into_iter().map(read).collect()
}

/// A file of a component under its key in the lock.
type Locked = ((ComponentName, String), Entry);

/// A pinned file, the one that takes its place, and the macros that move the SPEC to it.
struct Moved {
    old: Pin,
    new: Pin,
    defines: BTreeMap<String, String>,
}

struct Run<'a> {
    project: &'a Project,
    recipes: &'a [Recipe],
    store: &'a Store,
    options: &'a Options,
    sink: &'a dyn Sink,
    interrupt: &'a Interrupt,
    /// All pinned files of the recipes.
    pins: &'a [Pin],
}

impl Run<'_> {
    fn replace_all(
        &self,
        gone: Vec<(&Pin, Error)>,
        packages: &Packages,
        lock: &mut Lock,
    ) -> Result<(), Errors> {
        let mut groups: BTreeMap<Group, Vec<(&Pin, Error)>> = BTreeMap::new();
        for (pin, error) in gone {
            if let Some(group) = debian(pin) {
                groups.entry(group).or_default().push((pin, error));
            }
        }
        let mut errors = Vec::new();
        for (group, gone) in groups {
            let candidates = packages.get(&(group.suite.clone(), group.listing.clone()));
            match self.replace(&group, gone, candidates.map_or(&[][..], Vec::as_slice)) {
                Ok(entries) => lock.files.extend(entries),
                Err(wrong) => errors.extend(wrong),
            }
        }
        Errors::check((), errors)
    }

    /// Moves the files of one package of one component to the newest version of their series that is served.
    fn replace(
        &self,
        group: &Group,
        gone: Vec<(&Pin, Error)>,
        packages: &[Package],
    ) -> Result<Vec<Locked>, Vec<Error>> {
        let Some((first, _)) = gone.first() else {
            return Ok(Vec::new());
        };
        let mut candidates: Vec<&Package> = (packages.iter())
            .filter(|package| package.name == group.package && !package.extra_source_only)
            .filter(|package| {
                index::newest_in_series(&[(*package).clone()], &first.name, first.series.as_deref()).is_some()
            })
            .collect();
        candidates.sort_by(|one, other| other.compare(one));
        candidates.dedup_by(|one, other| one.version == other.version);
        if candidates.is_empty() {
            return Err(vec![Error::NotInArchive {
                component: group.component.clone(),
                name: first.name.clone(),
                package: group.package.clone(),
                suite: group.suite.clone(),
                location: first.location.clone().map(Box::new),
                versions: packages.iter().map(|package| package.version.clone()).collect(),
            }]);
        }
        let mut failures = Vec::new();
        for package in candidates {
            let moved = self
                .move_to(group, package, packages)
                .map_err(|error| vec![error])?;
            // A version that still has the files that are gone: the index names them, and no mirror serves them.
            let has_gone = |pin: &Pin| moved.iter().any(|moved| moved.new.digest == pin.digest);
            if gone.iter().any(|(pin, _)| has_gone(pin)) || moved.is_empty() {
                continue;
            }
            let pins: Vec<Pin> = moved.iter().map(|moved| moved.new.clone()).collect();
            let wrong = fetch_pins(
                &self.project.root,
                &pins,
                self.store,
                self.options,
                self.sink,
                self.interrupt,
            );
            let wrong = wrong.map_err(|error| vec![error])?;
            if wrong.is_empty() {
                return self.entries(&moved).map_err(|error| vec![error]);
            }
            failures.extend(wrong.into_iter().map(|(_, error)| error));
        }
        let mut errors: Vec<Error> = gone.into_iter().map(|(_, error)| error).collect();
        errors.extend(failures);
        Err(errors)
    }

    /// The files of the group's component and package in another version, where they are others: pin and old pin.
    fn move_to(&self, group: &Group, package: &Package, packages: &[Package]) -> Result<Vec<Moved>, Error> {
        let mut moved = Vec::new();
        let own = self
            .pins
            .iter()
            .filter(|pin| debian(pin).is_some_and(|of| of == *group));
        for old in own {
            let Some(name) = FileName::parse(&old.name, &group.package) else {
                continue;
            };
            let Some(file) = package.files.iter().find(|file| name.is_same_form(file.name())) else {
                continue;
            };
            if file.digest == old.digest {
                continue;
            }
            let defines = self.defines(old, &name, package, file.name())?;
            let new = Pin {
                component: old.component.clone(),
                name: file.name().to_owned(),
                digest: file.digest,
                size: Some(file.size),
                origins: index::origins(packages, &group.suite, file),
                locked: false,
                series: old.series.clone(),
                location: old.location.clone(),
            };
            let old = old.clone();
            moved.push(Moved { old, new, defines });
        }
        Ok(moved)
    }

    /// The macros that move the SPEC to the new version.
    fn defines(
        &self,
        old: &Pin,
        name: &FileName<'_>,
        package: &Package,
        successor: &str,
    ) -> Result<BTreeMap<String, String>, Error> {
        let mut defines = BTreeMap::new();
        let whole = version::without_epoch(&package.version).to_owned();
        defines.insert("debian_version".to_owned(), whole);
        let (from, to) = (name.upstream(), package.upstream());
        if from == to {
            return Ok(defines);
        }
        let recipe = self
            .recipes
            .iter()
            .find(|recipe| recipe.component == old.component);
        let current = recipe.map_or(from, |recipe| recipe.evr.version.as_str());
        let moved = spec_version(from, to, current).ok_or_else(|| Error::NoVersion {
            component: old.component.clone(),
            name: old.name.clone(),
            successor: successor.to_owned(),
        })?;
        defines.insert("upstream_version".to_owned(), moved);
        Ok(defines)
    }

    fn entries(&self, moved: &[Moved]) -> Result<Vec<Locked>, Error> {
        let entry = |Moved { old, new, defines }: &Moved| {
            let object = self.store.object(&new.digest)?;
            let entry = Entry {
                size: fs_err::metadata(object).map_err(keel_store::Error::from)?.len(),
                digest: new.digest,
                sha512: None,
                origins: new.origins.clone(),
                locked: false,
                series: new.series.clone(),
                replaces: Some(Replaced {
                    name: old.name.clone(),
                    digest: old.digest,
                    defines: defines.clone(),
                }),
            };
            Ok(((new.component.clone(), new.name.clone()), entry))
        };
        moved.iter().map(entry).collect()
    }
}

/// The SPEC's version after Debian's upstream version has gone `from` → `to`: `1.3.dfsg+really1.3.1` may stand for a
/// SPEC's `1.3.1`. None if that cannot be told.
fn spec_version(from: &str, to: &str, current: &str) -> Option<String> {
    let at = from.rfind(current)?;
    let (before, after) = (&from[..at], &from[at + current.len()..]);
    let exact = to.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    // A repack's number may change: `+dfsg` → `+dfsg2`.
    let repack = |version: &'_ str| -> Option<String> {
        let end = ["+dfsg", "+ds", "~dfsg", "~ds"]
            .iter()
            .find_map(|mark| version.find(mark))?;
        version.get(before.len()..end).map(str::to_owned)
    };
    let moved = match exact {
        Some(moved) => Some(moved.to_owned()),
        None if to.starts_with(before) => repack(to),
        None => None,
    };
    moved.filter(|version| !version.is_empty() && !version.contains('-'))
}

fn report(lock: &Lock, lock_file: PathBuf) -> Refreshed {
    let mut refreshed = Refreshed {
        lock_file,
        ..Refreshed::default()
    };
    for ((component, name), entry) in &lock.files {
        let Some(old) = &entry.replaces else {
            continue;
        };
        refreshed
            .overrides
            .entry(component.clone())
            .or_default()
            .extend(old.defines.clone());
        let origins: Vec<_> = entry.origins.iter().map(ToString::to_string).collect();
        refreshed.changes.push(Replacement {
            component: component.clone(),
            old: (old.name.clone(), old.digest),
            new: (name.clone(), entry.digest),
            how: format!("unlocked; by the signed index, {}", origins.join(", ")),
        });
    }
    refreshed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_a_spec_moves_with_debians() {
        for (from, to, current, moved) in [
            ("6.12.107", "6.12.120", "6.12.107", Some("6.12.120")),
            (
                "1.3.dfsg+really1.3.1",
                "1.3.dfsg+really1.3.2",
                "1.3.1",
                Some("1.3.2"),
            ),
            ("4.20.1+dfsg", "4.20.2+dfsg", "4.20.1", Some("4.20.2")),
            ("4.20.1+dfsg", "4.20.2+dfsg2", "4.20.1", Some("4.20.2")),
            ("4.20.1+dfsg", "4.20.2", "4.20.1", None),
            ("20250419", "20260101", "2025", None),
            ("1.0", "1.1", "7", None),
        ] {
            assert_eq!(
                spec_version(from, to, current).as_deref(),
                moved,
                "{from} → {to} at {current}"
            );
        }
    }
}
