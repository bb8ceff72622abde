//! `keel source update`: is there a newer version of what is pinned?
//!
//! Each pinned file's origins are asked, the best first: Debian's signed index, a registry's index, a repository's tags.
//! Nothing is fetched and nothing changes; [`edit()`] then writes the versions that stand in TOML alone, and
//! [`lock()`](crate::lock()) pins the new files. A version that the SPEC names is the SPEC's to change, which Keel does not.

mod ask;
mod edit;
mod order;

use std::collections::{BTreeMap, BTreeSet};

use keel_artefact::{ComponentName, Interrupt, Sink};
use keel_config::{Location, Project};
use keel_spec::Recipe;
use keel_store::Store;

use crate::{
    Asked, Error, Errors, Lock, Options, Origin, Trust,
    archive::{Archive, Listing},
    debian::{index::Package, version},
    http::{Client, with_client},
    origin::Ask,
    refresh,
    wanted::{self, Locks, Pin},
};
use ask::Told;

pub use edit::{Edited, edit};

/// What origins said of one pinned file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// The component.
    pub component: ComponentName,
    /// The file.
    pub name: String,
    /// The origin that was asked, as the lock writes it.
    pub origin: String,
    /// The version that is pinned, where an origin has versions.
    pub now: Option<String>,
    /// What is to be done.
    pub change: Change,
    /// The newer version, if there is one.
    pub newest: Option<String>,
}

/// What is to be done for the newest version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Nothing: it is pinned.
    Nothing,
    /// It cannot be told whether there is a newer one.
    Unknown(String),
    /// A value of the origin in TOML; [`edit()`] writes it.
    Toml {
        /// Where the file is pinned.
        location: Location,
        /// `version` or `commit`.
        key: &'static str,
        /// The new value.
        value: String,
    },
    /// What a person must do.
    Person(String),
}

/// What all origins said.
#[derive(Debug)]
pub struct Updates {
    /// By component and file.
    pub files: Vec<Update>,
    /// Files whose origins did not answer.
    pub failures: Option<Errors>,
}

/// Asks the origins of all pinned files of the recipes for their newest versions.
pub fn update(
    project: &Project,
    recipes: &[Recipe],
    store: &Store,
    options: &Options,
    trust: &Trust,
    sink: &dyn Sink,
    interrupt: &Interrupt,
) -> Result<Updates, Errors> {
    let locks = Locks {
        project: Lock::read(&project.lock_file)?,
        refreshed: Lock::default(),
    };
    let mut pins = refresh::pins(project, recipes, &locks)?;
    pins.sort_by(|one, other| (&one.component, &one.name).cmp(&(&other.component, &other.name)));
    let mut seen = BTreeSet::new();
    pins.retain(|pin| seen.insert((pin.component.clone(), pin.name.clone())));
    let asked = with_client(options, interrupt, |client| {
        let archive = Archive::open(client, store, options, trust, sink)?;
        let (packages, mut errors) = read_packages(&archive, &pins)?;
        let run = Run {
            client,
            project,
            store,
            options,
            packages,
        };
        let mut files = Vec::new();
        for pin in &pins {
            match run.ask(pin) {
                Ok(update) => files.extend(update),
                Err(error @ Error::Interrupted(_)) => return Err(error),
                Err(error) => errors.push(error),
            }
        }
        Ok((files, errors))
    });
    let (files, errors) = asked.map_err(Error::from)??;
    let failures = Errors::check((), errors).err();
    Ok(Updates { files, failures })
}

struct Run<'a> {
    client: &'a Client<'a>,
    project: &'a Project,
    store: &'a Store,
    options: &'a Options,
    packages: Packages,
}

/// Packages by suite and listing.
type Packages = BTreeMap<(String, Listing), Vec<Package>>;

/// Of all suites that can be read; each index is read once.
fn read_packages(archive: &Archive<'_>, pins: &[Pin]) -> Result<(Packages, Vec<Error>), Error> {
    let mut names: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for group in pins.iter().filter_map(refresh::debian) {
        let key = (group.suite, group.listing);
        names.entry(key).or_default().insert(group.package);
    }
    let (mut packages, mut errors) = (Packages::new(), Vec::new());
    for (key, names) in names {
        match archive.packages(&key.0, &key.1, &|name| names.contains(name)) {
            Ok(found) => drop(packages.insert(key, found)),
            Err(error @ Error::Interrupted(_)) => return Err(error),
            Err(error) => errors.push(error),
        }
    }
    Ok((packages, errors))
}

impl Run<'_> {
    /// By the first origin that answers; none for a file of a suite that could not be read.
    fn ask(&self, pin: &Pin) -> Result<Option<Update>, Error> {
        let ask = Ask {
            client: self.client,
            options: self.options,
            root: &self.project.root,
            file_name: &pin.name,
        };
        let mut asked = Vec::new();
        for origin in &pin.origins {
            let answer = match origin {
                Origin::Debian(debian) => return Ok(self.ask_debian(pin, origin, &debian.path)),
                _ => ask::newest(&ask, self.store, origin),
            };
            match answer {
                Ok(Some(told)) => return Ok(Some(self.update(pin, origin, told))),
                Ok(None) => {}
                Err(error) => asked.push(Asked {
                    origin: origin.to_string(),
                    place: None,
                    answer: error.into_answer()?,
                }),
            }
        }
        if !asked.is_empty() {
            return Err(Error::NotTold {
                component: pin.component.clone(),
                name: pin.name.clone(),
                location: pin.location.clone().map(Box::new),
                asked,
            });
        }
        let origin = pin.origins.first().map_or_else(String::new, ToString::to_string);
        Ok(Some(Update {
            component: pin.component.clone(),
            name: pin.name.clone(),
            origin,
            now: None,
            newest: None,
            change: Change::Unknown("its origin cannot be asked".to_owned()),
        }))
    }

    fn ask_debian(&self, pin: &Pin, origin: &Origin, path: &str) -> Option<Update> {
        let group = refresh::debian(pin)?;
        let packages = self.packages.get(&(group.suite.clone(), group.listing.clone()))?;
        let packages: Vec<Package> = (packages.iter())
            .filter(|package| package.name == group.package)
            .cloned()
            .collect();
        let file_name = path.rsplit('/').next().unwrap_or_default();
        let (told, successor) = ask::newest_package(&packages, &group, file_name);
        let mut update = self.update(pin, origin, told);
        if let (Change::Person(text), Some(newest)) = (&mut update.change, &update.newest) {
            let version = version::upstream(newest);
            *text = format!("set the SPEC's version to {version}, so that it names `{successor}`");
            if let Some(location) = &pin.location {
                *text = format!("{text}, and change its entry at {location}");
            }
        }
        Some(update)
    }

    fn update(&self, pin: &Pin, origin: &Origin, told: Told) -> Update {
        let (now, newest, change) = match told {
            Told::Same { now } => (now, None, Change::Nothing),
            Told::Unknown { now, why } => (now, None, Change::Unknown(why)),
            Told::Newer {
                now,
                newest,
                key,
                value,
            } => {
                let change = self.change(pin, (&now, &newest), key, value);
                (now, Some(newest), change)
            }
        };
        Update {
            component: pin.component.clone(),
            name: pin.name.clone(),
            origin: origin.to_string(),
            now: Some(now),
            newest,
            change,
        }
    }

    /// Only what stands in the origin alone is Keel's to change.
    fn change(&self, pin: &Pin, (now, newest): (&str, &str), key: &'static str, value: String) -> Change {
        let Some(location) = &pin.location else {
            return Change::Person(format!("set the SPEC's version to {newest}"));
        };
        let mut configured = wanted::configured(self.project, &pin.component);
        let has_hash = configured
            .any(|file| file.filename == pin.name && (file.digest.is_some() || file.size.is_some()));
        let bare = order::split_tag(now).map_or(now, |(_, version)| version);
        if pin.name.contains(bare) {
            return Change::Person(format!(
                "set the SPEC's version, and at {location} the `filename` and `{key} = \"{value}\"`"
            ));
        }
        if has_hash {
            return Change::Person(format!(
                "at {location}, set `{key} = \"{value}\"` and take `hash` and `size` away"
            ));
        }
        if edit::path(self.project, location).is_none() {
            return Change::Person(format!(
                "at {location}, which is another tree's, set `{key} = \"{value}\"`"
            ));
        }
        Change::Toml {
            location: location.clone(),
            key,
            value,
        }
    }
}
