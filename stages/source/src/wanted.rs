//! Which files a recipe needs, and what is pinned for each: configuration, lock and the SPEC's folder in one answer.

use std::{
    io,
    path::{Path, PathBuf},
};

use keel_artefact::{ComponentName, Sha256, Sha512};
use keel_config::{Component, Digest, Excerpt, Location, Project, SourceFile, diagnostic};
use keel_spec::{Recipe, RecipeSource, SourceKind};

use crate::{Error, Lock, Origin, debian::index::FileName, lock::Entry};

/// Where one wanted file is.
#[derive(Debug, Clone)]
pub(crate) enum Wanted {
    /// Beside the SPEC.
    Local { name: String, path: PathBuf },
    /// To be fetched by its digest.
    Pinned(Pin),
}

/// A pinned file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pin {
    pub(crate) component: ComponentName,
    pub(crate) name: String,
    pub(crate) digest: Sha256,
    pub(crate) size: Option<u64>,
    pub(crate) origins: Vec<Origin>,
    pub(crate) locked: bool,
    pub(crate) series: Option<String>,
    /// Where the configuration pins it.
    pub(crate) location: Option<Location>,
}

/// The locks that a run goes by.
#[derive(Debug, Clone, Default)]
pub(crate) struct Locks {
    pub(crate) project: Lock,
    pub(crate) refreshed: Lock,
}

/// What a file's name may not be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no plain file name (no `/`, no `.` or `..`, no control characters, at most 255 bytes)")]
pub struct FileNameError(pub String);

/// Checks that a name can only be a file in the folder it is put in.
pub(crate) fn check_file_name(name: &str) -> Result<(), FileNameError> {
    let good = !matches!(name, "" | "." | "..")
        && name.len() <= 255
        && !name.contains('/')
        && !name.chars().any(char::is_control);
    good.then_some(()).ok_or_else(|| FileNameError(name.to_owned()))
}

/// All files of a recipe, by name, and all that is wrong with them.
pub(crate) fn of_recipe(project: &Project, recipe: &Recipe, locks: &Locks) -> (Vec<Wanted>, Vec<Error>) {
    let mut sources: Vec<&RecipeSource> = recipe.sources.iter().collect();
    sources.sort_by(|one, other| one.file_name.cmp(&other.file_name));
    sources.dedup_by(|one, other| one.file_name == other.file_name);
    let (mut wanted, mut errors) = (Vec::new(), Vec::new());
    for source in sources {
        match of_source(project, recipe, locks, source) {
            Ok(one) => wanted.push(one),
            Err(error) => errors.push(error),
        }
    }
    (wanted, errors)
}

fn of_source(
    project: &Project,
    recipe: &Recipe,
    locks: &Locks,
    source: &RecipeSource,
) -> Result<Wanted, Error> {
    let (component, name) = (&recipe.component, &source.file_name);
    if let Err(error) = check_file_name(name) {
        return Err(Error::FileName {
            component: component.clone(),
            location: Box::new(place(recipe, source).0),
            source: error,
        });
    }
    let pin = pin(project, component, name, locks)?;
    match (local(project, recipe, name)?, pin) {
        (None, Some(pin)) => Ok(Wanted::Pinned(pin)),
        (Some(path), None) => Ok(Wanted::Local {
            name: name.clone(),
            path,
        }),
        (Some(path), Some(pin)) => {
            let (digest, _) = Sha256::of_file(&path).map_err(|source| Error::Local {
                component: component.clone(),
                path: path.clone(),
                source,
            })?;
            if digest == pin.digest {
                let name = name.clone();
                return Ok(Wanted::Local { name, path });
            }
            Err(Error::Twice {
                component: component.clone(),
                name: name.clone(),
                location: Box::new(place(recipe, source).0),
                local: digest,
                pinned: pin.digest,
            })
        }
        (None, None) => Err(unpinned(project, recipe, locks, source)),
    }
}

fn unpinned(project: &Project, recipe: &Recipe, locks: &Locks, source: &RecipeSource) -> Error {
    let component = &recipe.component;
    let (location, excerpt) = place(recipe, source);
    let configured = configured(project, component).filter(|file| {
        // An entry without a hash needs the lock, not another name.
        file.sha256().is_some() || file.filename != source.file_name
    });
    let names = configured.map(|file| file.filename.as_str());
    let locked = locks
        .project
        .files
        .keys()
        .filter(|(of, _)| of == component)
        .map(|(_, name)| name.as_str());
    let near = diagnostic::nearest(&source.file_name, names.chain(locked)).map(str::to_owned);
    Error::Unpinned {
        component: component.clone(),
        name: source.file_name.clone(),
        location: Box::new(location),
        excerpt: excerpt.map(Box::new),
        near,
    }
}

/// The file of that name beside the SPEC, if there is one. A link must not lead out of the project.
pub(crate) fn local(project: &Project, recipe: &Recipe, name: &str) -> Result<Option<PathBuf>, Error> {
    let path = recipe.spec_file.parent().unwrap_or(Path::new("")).join(name);
    let error = |source| Error::Local {
        component: recipe.component.clone(),
        path: path.clone(),
        source,
    };
    let refuse = |why| error(io::Error::new(io::ErrorKind::InvalidInput, why));
    match fs_err::symlink_metadata(&path) {
        Err(found) if found.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(found) => return Err(error(found)),
        Ok(metadata) if metadata.is_symlink() => {
            let target = fs_err::canonicalize(&path).map_err(error)?;
            let folder = recipe.spec_file.parent().unwrap_or(&project.root);
            let folder = fs_err::canonicalize(folder).map_err(error)?;
            if !target.starts_with(folder) {
                return Err(refuse("it is a link that leads out of the SPEC's folder"));
            }
        }
        Ok(_) => {}
    }
    if !fs_err::metadata(&path).map_err(error)?.is_file() {
        return Err(refuse("it is no regular file"));
    }
    Ok(Some(path))
}

/// What is pinned under a name: configuration and lock must not contradict each other.
pub(crate) fn pin(
    project: &Project,
    component: &ComponentName,
    name: &str,
    locks: &Locks,
) -> Result<Option<Pin>, Error> {
    let locked = locks.project.files.get(&(component.clone(), name.to_owned()));
    let file = configured(project, component).find(|file| file.filename == name);
    let pinned = match (file, locked) {
        (None, None) => None,
        (None, Some(entry)) => Some(from_entry(component, name, entry)),
        (Some(file), locked) => from_config(project, component, file, locked)?,
    };
    Ok(refreshed(component, name, pinned.as_ref(), project, locks).or(pinned))
}

/// The file that a refresh put in the place of one that is gone: under its own name, when the SPEC has moved to it, or
/// under the old name, where the SPEC names no version that could move (`glibc_2.41-12.debian.tar.xz`).
fn refreshed(
    component: &ComponentName,
    name: &str,
    pinned: Option<&Pin>,
    project: &Project,
    locks: &Locks,
) -> Option<Pin> {
    let own = |entries: &mut dyn Iterator<Item = (&'_ String, &'_ Entry)>| -> Option<Pin> {
        let (_, entry) = entries.next()?;
        let mut pin = from_entry(component, name, entry);
        pin.locked = false;
        Some(pin)
    };
    let entries = || {
        let of_component = locks
            .refreshed
            .files
            .iter()
            .filter(|((of, _), _)| of == component);
        of_component.map(|((_, name), entry)| (name, entry))
    };
    // An entry counts only as long as the project still pins the file that it replaces.
    let still_pinned = |entry: &Entry| {
        let replaced = entry.replaces.as_ref()?;
        let locked = locks
            .project
            .files
            .get(&(component.clone(), replaced.name.clone()));
        let file = configured(project, component).find(|file| file.filename == replaced.name);
        let digest = file
            .and_then(SourceFile::sha256)
            .or(locked.map(|entry| entry.digest));
        (digest == Some(replaced.digest)).then_some(())
    };
    let is_debians_own = |entry: &Entry| {
        entry
            .replaces
            .as_ref()
            .is_some_and(|old| is_debians_own(&old.name))
    };
    match pinned {
        None => own(&mut entries().filter(|(own_name, entry)| {
            let is_named = *own_name == name || (is_debians_own(entry) && is_same_form(own_name, name));
            is_named && still_pinned(entry).is_some()
        })),
        Some(pinned) => own(&mut entries().filter(|(_, entry)| {
            let replaces = entry.replaces.as_ref();
            replaces.is_some_and(|old| old.name == name && old.digest == pinned.digest)
                && is_debians_own(entry)
        })),
    }
}

/// Is it a file whose name has Debian's revision, so that no version of a SPEC moves it?
fn is_debians_own(name: &str) -> bool {
    let ends = [".deb", ".dsc", ".diff.gz"];
    name.contains(".debian.tar.") || ends.iter().any(|end| name.ends_with(end))
}

fn is_same_form(one: &str, other: &str) -> bool {
    let package = one.split('_').next().unwrap_or_default();
    FileName::parse(one, package).is_some_and(|one| one.is_same_form(other))
}

/// Does the configuration say that overlays change this file?
pub(crate) fn is_overlaid(project: &Project, component: &ComponentName, name: &str) -> bool {
    let files = project
        .components
        .get(component)
        .map_or(&[][..], |component| &component.source_files);
    let is_it =
        |file: &SourceFile| file.filename == name && file.origins.contains(&keel_config::Origin::Overlay);
    files.iter().any(is_it)
}

/// Where a file of a component may be had, best first: what the configuration says, then what the lock does. Nothing of one that
/// lies beside the SPEC.
pub fn origins(project: &Project, component: &ComponentName, name: &str, lock: &Lock) -> Vec<Origin> {
    let locked = lock.files.get(&(component.clone(), name.to_owned()));
    match configured(project, component).find(|file| file.filename == name) {
        Some(file) => joined(project, file, locked),
        None => locked.map(|entry| entry.origins.clone()).unwrap_or_default(),
    }
}

fn joined(project: &Project, file: &SourceFile, locked: Option<&Entry>) -> Vec<Origin> {
    let from_config = |origin| Origin::from_config(origin, &project.root);
    let mut origins: Vec<_> = file.origins.iter().filter_map(from_config).collect();
    for origin in locked.map_or(&[][..], |entry| &entry.origins) {
        if !origins.contains(origin) {
            origins.push(origin.clone());
        }
    }
    origins
}

/// What the configuration says of files that are fetched or made; not of what overlays make of them.
pub(crate) fn configured<'a>(
    project: &'a Project,
    component: &ComponentName,
) -> impl Iterator<Item = &'a SourceFile> + Clone {
    let component: Option<&Component> = project.components.get(component);
    let files = component.map_or(&[][..], |component| &component.source_files);
    files
        .iter()
        .filter(|file| !file.origins.contains(&keel_config::Origin::Overlay))
}

pub(crate) fn from_entry(component: &ComponentName, name: &str, entry: &Entry) -> Pin {
    Pin {
        component: component.clone(),
        name: name.to_owned(),
        digest: entry.digest,
        size: Some(entry.size),
        origins: entry.origins.clone(),
        locked: entry.locked,
        series: entry.series.clone(),
        location: None,
    }
}

/// The SHA-512 that the configuration pins a file by.
pub(crate) fn sha512(file: &SourceFile) -> Option<Sha512> {
    match &file.digest {
        Some(Digest::Sha512(text)) => text.parse().ok(),
        _ => None,
    }
}

/// Does the configuration name another version of a registry, or another commit, than the one that was locked? (An origin
/// that names no version may move, and the bytes stay the same.)
pub(crate) fn is_other_version(file: &SourceFile, entry: &Entry) -> bool {
    let versions = file.origins.iter().filter_map(version);
    let mut versions = versions.peekable();
    file.digest.is_none()
        && versions.peek().is_some()
        && versions.all(|origin| !entry.origins.contains(&origin))
}

/// The origin, if its name is that of one version.
fn version(origin: &keel_config::Origin) -> Option<Origin> {
    let origin = Origin::from_config(origin, Path::new(""))?;
    matches!(
        origin,
        Origin::Crates(_) | Origin::Pypi(_) | Origin::Npm(_) | Origin::Git(_)
    )
    .then_some(origin)
}

/// None if neither has a digest.
fn from_config(
    project: &Project,
    component: &ComponentName,
    file: &SourceFile,
    locked: Option<&Entry>,
) -> Result<Option<Pin>, Error> {
    let disagree = |what, configured: &dyn ToString, locked: &dyn ToString| Error::Disagree {
        what,
        name: file.filename.clone(),
        location: Box::new(file.defined_at.clone()),
        configured: configured.to_string(),
        locked: locked.to_string(),
    };
    if let (Some(configured), Some(locked)) = (sha512(file), locked)
        && locked.sha512 != Some(configured)
    {
        let locked = locked
            .sha512
            .map_or("another".to_owned(), |digest| digest.to_string());
        return Err(disagree("SHA-512", &configured, &locked));
    }
    match (file.sha256(), locked.map(|entry| entry.digest)) {
        (Some(configured), Some(locked)) if configured != locked => {
            return Err(disagree("SHA-256", &configured, &locked));
        }
        _ => {}
    }
    match (file.size, locked.map(|entry| entry.size)) {
        (Some(configured), Some(locked)) if configured != locked => {
            return Err(disagree("size", &configured, &locked));
        }
        _ => {}
    }
    if let Some(entry) = locked.filter(|entry| is_other_version(file, entry)) {
        let texts = |origins: &mut dyn Iterator<Item = Origin>| {
            let texts: Vec<String> = origins.map(|origin| origin.to_string()).collect();
            texts.join(", ")
        };
        let configured = texts(&mut file.origins.iter().filter_map(version));
        return Err(disagree(
            "origin",
            &configured,
            &texts(&mut entry.origins.iter().cloned()),
        ));
    }
    let Some(digest) = file.sha256().or(locked.map(|entry| entry.digest)) else {
        return Ok(None);
    };
    let origins = joined(project, file, locked);
    Ok(Some(Pin {
        component: component.clone(),
        name: file.filename.clone(),
        digest,
        size: file.size.or(locked.map(|entry| entry.size)),
        origins,
        locked: true,
        series: locked.and_then(|entry| entry.series.clone()),
        location: Some(file.defined_at.clone()),
    }))
}

/// Where the SPEC names a source: its line, if it does so literally.
pub(crate) fn place(recipe: &Recipe, source: &RecipeSource) -> (Location, Option<Excerpt>) {
    let text = fs_err::read(&recipe.spec_file).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let line = find_line(&text, source);
    let location = match line {
        Some(line) => Location::line(&recipe.spec_shown, line),
        None => Location::file(&recipe.spec_shown),
    };
    (location, line.and_then(|line| Excerpt::of_line(&text, line)))
}

fn find_line(text: &str, source: &RecipeSource) -> Option<u32> {
    let tag = match source.kind {
        SourceKind::Source => "source",
        SourceKind::Patch => "patch",
    };
    let is_tag = |line: &str| {
        let Some((name, _)) = line.split_once(':') else {
            return false;
        };
        let name = name.trim().to_ascii_lowercase();
        name == format!("{tag}{}", source.number) || (source.number == 0 && name == tag)
    };
    let at = text.lines().position(is_tag);
    let at = at.or_else(|| text.lines().position(|line| line.contains(&source.file_name)));
    at.and_then(|at| u32::try_from(at + 1).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for good in [
            "a",
            "zlib_1.3.dfsg+really1.3.1.orig.tar.gz",
            "-x",
            "a b",
            "é",
            "..a",
        ] {
            assert!(check_file_name(good).is_ok(), "{good}");
        }
        let long = "a".repeat(256);
        for bad in ["", ".", "..", "a/b", "/a", "../a", "a\n", "a\0", &long] {
            assert!(check_file_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_line_of_a_source_is_found() {
        let text = "Name: a\nSource: a.tar\nSOURCE1 : b.tar\nPatch10: c.patch\n%patchlist\nd.patch\n";
        for (file_name, number, kind, line) in [
            ("a.tar", 0, SourceKind::Source, Some(2)),
            ("b.tar", 1, SourceKind::Source, Some(3)),
            ("c.patch", 10, SourceKind::Patch, Some(4)),
            ("d.patch", 11, SourceKind::Patch, Some(6)),
            ("e.patch", 12, SourceKind::Patch, None),
        ] {
            let source = RecipeSource {
                file_name: file_name.to_owned(),
                url: None,
                number,
                kind,
            };
            assert_eq!(find_line(text, &source), line, "{file_name}");
        }
    }
}
