//! `keel source lock`: pins what is not pinned yet.

mod find;
mod listed;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use keel_artefact::{ComponentName, Interrupt, Sha256, Sha512, Sink};
use keel_config::{Location, Project, SourceFile};
use keel_spec::{Recipe, RecipeSource};
use keel_store::Store;
use listed::Listed;

use crate::{
    Error, Errors, Lock, Options, Origin, Trust,
    debian::index,
    fetch::fetch_pins,
    http::with_client,
    lock::Entry,
    signature,
    wanted::{self, Pin},
};

/// What [`lock()`] changed in `keel.lock`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LockChange {
    /// By component and name.
    pub changes: Vec<Change>,
}

/// One file that the lock has gained, lost, or pins anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The component.
    pub component: ComponentName,
    /// The file.
    pub name: String,
    /// Its digest before.
    pub before: Option<Sha256>,
    /// Its digest and size now.
    pub after: Option<(Sha256, u64)>,
    /// Where it may be had first.
    pub origin: Option<String>,
    /// Why the new digest is trusted, or why the file is gone, for people.
    pub how: String,
}

impl fmt::Display for LockChange {
    /// One line a change; `+` new, `~` changed, `-` gone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.changes.is_empty() {
            return f.write_str("no change\n");
        }
        for change in &self.changes {
            let Change {
                component, name, how, ..
            } = change;
            match (change.before, change.after) {
                (None, Some((digest, size))) => {
                    writeln!(
                        f,
                        "+ {component}: {name} ({size} bytes, {}): {how}",
                        digest.short()
                    )?;
                }
                (Some(before), Some((digest, size))) => {
                    let (before, after) = (before.short(), digest.short());
                    writeln!(
                        f,
                        "~ {component}: {name} ({size} bytes, {before} → {after}): {how}"
                    )?;
                }
                (_, None) => writeln!(f, "- {component}: {name}: {how}")?,
            }
        }
        Ok(())
    }
}

/// A file to pin.
struct Todo<'a> {
    component: ComponentName,
    name: String,
    location: Location,
    configured: Option<&'a SourceFile>,
    origins: Vec<keel_config::Origin>,
    listed: Option<Listed>,
    arch: keel_artefact::Arch,
}

/// What a file is to be pinned as.
struct Found {
    name: String,
    digest: Sha256,
    origins: Vec<Origin>,
    how: String,
}

/// Pins the source files of the recipes' components that the configuration or `keel.lock` do not pin yet, or pin
/// differently, and writes `keel.lock`. Files of these components that nothing names any more leave it.
///
/// Everything that is pinned is fetched, too: a file that its origins name but do not serve is an error. If anything
/// is wrong, the lock stays as it was.
pub fn lock(
    project: &Project,
    recipes: &[Recipe],
    store: &Store,
    options: &Options,
    trust: &Trust,
    sink: &dyn Sink,
    interrupt: &Interrupt,
) -> Result<LockChange, Errors> {
    let before = Lock::read(&project.lock_file)?;
    let mut lock = before.clone();
    let (todo, kept, errors) = plan(project, recipes, &before);
    Errors::check((), errors)?;
    let considered: BTreeSet<_> = recipes.iter().map(|recipe| &recipe.component).collect();
    lock.files
        .retain(|key, _| !considered.contains(&key.0) || kept.contains(key));
    let found = with_client(options, interrupt, |client| {
        find::find_all(client, project, store, options, trust, sink, &todo)
    })
    .map_err(Error::from)??;
    let pins: Vec<Pin> = (todo.iter().zip(&found))
        .map(|(todo, found)| pin(todo, found))
        .collect();
    let failures = fetch_pins(&project.root, &pins, store, options, sink, interrupt)?;
    Errors::check((), failures.into_iter().map(|(_, error)| error).collect())?;
    let mut reasons = BTreeMap::new();
    for (todo, found) in todo.iter().zip(found) {
        let key = (todo.component.clone(), found.name);
        let object = store.object(&found.digest).map_err(Error::from)?;
        let sha512 = todo.configured.and_then(wanted::sha512);
        if let Some(configured) = sha512 {
            let came = Sha512::of_file(&object).map_err(keel_store::Error::from);
            let came = came.map_err(Error::from)?;
            if came != configured {
                let error = Error::OtherBytes {
                    name: todo.name.clone(),
                    location: Box::new(todo.location.clone()),
                    configured,
                    found: came,
                };
                return Err(error.into());
            }
        }
        let size = fs_err::metadata(object)
            .map_err(keel_store::Error::from)
            .map_err(Error::from)?
            .len();
        let series = before.files.get(&key).and_then(|entry| entry.series.clone());
        let entry = Entry {
            size,
            digest: found.digest,
            sha512,
            origins: found.origins,
            locked: true,
            series,
            replaces: None,
        };
        reasons.insert(key.clone(), found.how);
        lock.files.insert(key, entry);
    }
    signature::check_all(project, recipes, &lock, store, options, trust, sink, interrupt)?;
    lock.write(&project.lock_file)?;
    Ok(difference(&before, &lock, &reasons))
}

type Key = (ComponentName, String);

/// What to pin, and what stays as it is.
fn plan<'a>(
    project: &'a Project,
    recipes: &[Recipe],
    lock: &Lock,
) -> (Vec<Todo<'a>>, BTreeSet<Key>, Vec<Error>) {
    let (mut todo, mut kept, mut seen, mut errors) =
        (Vec::new(), BTreeSet::new(), BTreeSet::new(), Vec::new());
    for recipe in recipes {
        for source in &recipe.sources {
            let key = (recipe.component.clone(), source.file_name.clone());
            if !seen.insert(key.clone()) {
                continue;
            }
            match plan_one(project, recipe, source, lock) {
                Ok(Plan::Nothing) => {}
                Ok(Plan::Keep) => drop(kept.insert(key)),
                Ok(Plan::Pin(one)) => todo.push(*one),
                Err(error) => errors.push(error),
            }
        }
    }
    (todo, kept, errors)
}

enum Plan<'a> {
    Nothing,
    Keep,
    Pin(Box<Todo<'a>>),
}

fn plan_one<'a>(
    project: &'a Project,
    recipe: &Recipe,
    source: &RecipeSource,
    lock: &Lock,
) -> Result<Plan<'a>, Error> {
    let (component, name) = (&recipe.component, &source.file_name);
    wanted::check_file_name(name).map_err(|error| Error::FileName {
        component: component.clone(),
        location: Box::new(wanted::place(recipe, source).0),
        source: error,
    })?;
    let configured = wanted::configured(project, component).find(|file| file.filename == *name);
    if configured.is_none() && wanted::local(project, recipe, name)?.is_some() {
        return Ok(Plan::Nothing);
    }
    let locked = lock.files.get(&(component.clone(), name.clone()));
    let agrees = |entry: &Entry, file: &SourceFile| {
        file.sha256().is_none_or(|digest| digest == entry.digest)
            && wanted::sha512(file).is_none_or(|digest| entry.sha512 == Some(digest))
            && file.size.is_none_or(|size| size == entry.size)
            && !wanted::is_other_version(file, entry)
    };
    if let Some(entry) = locked
        && configured.is_none_or(|file| agrees(entry, file))
    {
        return Ok(Plan::Keep);
    }
    let location = configured.map_or_else(|| wanted::place(recipe, source).0, |file| file.defined_at.clone());
    let listed = match configured {
        // `sources` lists what overlays make of an archive, and not what is fetched.
        None if !wanted::is_overlaid(project, component, name) => Listed::of(project, recipe, name)?,
        _ => None,
    };
    let origins = match configured {
        Some(file) => file.origins.clone(),
        None => inferred(project, source, listed.as_ref()),
    };
    if origins.is_empty() {
        return Err(Error::NoOrigin {
            component: component.clone(),
            name: name.clone(),
            location: Box::new(location),
        });
    }
    Ok(Plan::Pin(Box::new(Todo {
        component: component.clone(),
        name: name.clone(),
        location,
        configured,
        origins,
        listed,
        arch: recipe.arch,
    })))
}

/// Where a file that only the SPEC names may be had: where the SPEC's distribution keeps it, then where the SPEC says.
fn inferred(project: &Project, source: &RecipeSource, listed: Option<&Listed>) -> Vec<keel_config::Origin> {
    let kept = listed.and_then(|listed| listed.origin.clone());
    let elsewhere = match listed.is_some_and(|listed| listed.only) {
        true => None,
        false => infer(project, source),
    };
    kept.into_iter().chain(elsewhere).collect()
}

/// Where a file that only the SPEC names may be had: at its URL, or, by the form of its name, in Debian's pool.
fn infer(project: &Project, source: &RecipeSource) -> Option<keel_config::Origin> {
    if let Some(url) = &source.url {
        return Some(keel_config::Origin::Https { url: url.clone() });
    }
    let (package, _) = source.file_name.split_once('_')?;
    index::FileName::parse(&source.file_name, package)?;
    let suite = project.stage0.suite.clone();
    (!suite.is_empty()).then(|| keel_config::Origin::Debian {
        source: package.to_owned(),
        suite,
        path: None,
        binary: source.file_name.ends_with(".deb"),
    })
}

/// `NAME` of `NAME_VERSION_ARCH.deb`.
pub(crate) fn binary_package(file_name: &str) -> &str {
    file_name.split('_').next().unwrap_or_default()
}

fn pin(todo: &Todo<'_>, found: &Found) -> Pin {
    Pin {
        component: todo.component.clone(),
        name: found.name.clone(),
        digest: found.digest,
        size: todo
            .configured
            .filter(|file| file.digest.is_some())
            .and_then(|file| file.size),
        origins: found.origins.clone(),
        locked: true,
        series: None,
        location: Some(todo.location.clone()),
    }
}

fn difference(before: &Lock, after: &Lock, reasons: &BTreeMap<Key, String>) -> LockChange {
    let keys: BTreeSet<_> = before.files.keys().chain(after.files.keys()).collect();
    let change = |key: &&Key| {
        let (old, new) = (before.files.get(*key), after.files.get(*key));
        let how = reasons.get(*key).cloned();
        (old != new).then(|| Change {
            component: key.0.clone(),
            name: key.1.clone(),
            before: old.map(|entry| entry.digest),
            after: new.map(|entry| (entry.digest, entry.size)),
            origin: new
                .or(old)
                .and_then(|entry| Some(entry.origins.first()?.to_string())),
            how: how.unwrap_or_else(|| "nothing names it any more".to_owned()),
        })
    };
    LockChange {
        changes: keys.iter().filter_map(change).collect(),
    }
}
