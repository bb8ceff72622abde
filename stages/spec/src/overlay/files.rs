//! Overlays of the files beside a SPEC.

use std::{io, path::Path};

use keel_config::{
    glob::Glob,
    overlay::{Change, Semantics},
};
use serde::Serialize;

use super::{
    failure::{Failure, Kind},
    folder::{Entry, Folder, is_inside},
};
use crate::macros::text;

/// The largest file that is copied in, in bytes.
const LARGEST: u64 = 256 << 20;
/// Permissions of files that are copied in.
const MODE: u32 = 0o644;

/// What was done to a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "did", rename_all = "kebab-case")]
pub enum Action {
    /// It is new.
    Add {
        /// Its path in the folder.
        file: String,
    },
    /// Its content is another one.
    Change {
        /// Its path in the folder.
        file: String,
    },
    /// It is gone.
    Remove {
        /// Its path in the folder.
        file: String,
    },
    /// It has another name.
    Rename {
        /// Its path in the folder, before.
        file: String,
        /// And after.
        to: String,
    },
}

/// Makes a change of files in a folder.
pub(super) fn apply(folder: &Folder, change: &Change, semantics: Semantics) -> Result<Vec<Action>, Failure> {
    match change {
        Change::FileAdd { file, source } => add(folder, file, source),
        Change::PatchAdd { file, source } => add(folder, &patch_name(source, file.as_deref())?, source),
        Change::FilePrependLines { file, lines } => {
            let head = lines.join("\n") + "\n";
            each(folder, file, |path| {
                let (bytes, mode) = folder.read(path)?;
                folder.write(path, &[head.as_bytes(), &bytes].concat(), mode)?;
                Ok(true)
            })
        }
        Change::FileSearchReplace {
            file,
            regex,
            replacement,
        } => {
            let pattern = super::pattern(regex)?;
            let changed = each(folder, file, |path| {
                let (bytes, mode) = folder.read(path)?;
                let before = text::decode(&bytes);
                let after = pattern.replace(&before, replacement);
                let changes = after != before;
                if changes {
                    folder.write(path, &text::encode(&after), mode)?;
                }
                Ok(changes)
            })?;
            match changed.is_empty() {
                true => Err(Failure::new(
                    Kind::PatternNotFound,
                    format!("`{regex}` changes nothing in `{file}`"),
                )
                .hint("`^` and `$` are about the whole file; about lines with `(?m)`")),
                false => Ok(changed),
            }
        }
        Change::FileRemove { file } | Change::PatchRemove { file } => {
            let files = matching(folder, file, true)?;
            for entry in &files {
                folder.remove(&entry.path).map_err(|error| failed(&error))?;
            }
            Ok(files
                .into_iter()
                .map(|entry| Action::Remove { file: entry.path })
                .collect())
        }
        Change::FileRename { file, replacement } => rename(folder, file, replacement, semantics),
        _ => Err(Failure::new(Kind::NotPossible, "this is no change of files")),
    }
}

/// The name that a patch gets.
pub(super) fn patch_name(source: &Path, file: Option<&str>) -> Result<String, Failure> {
    if let Some(file) = file.filter(|file| !file.is_empty()) {
        return Ok(file.to_owned());
    }
    let name = source.file_name().and_then(|name| name.to_str());
    name.map(str::to_owned).ok_or_else(|| {
        let what = format!("the patch {} has no name that a SPEC could say", source.display());
        Failure::new(Kind::Name, what)
    })
}

pub(super) fn glob(pattern: &str) -> Result<Glob, Failure> {
    let failed = |error: keel_config::glob::Error| {
        Failure::new(Kind::Pattern, format!("`{pattern}` is no pattern")).because(error.to_string())
    };
    Glob::new(pattern).map_err(failed)
}

fn add(folder: &Folder, file: &str, source: &Path) -> Result<Vec<Action>, Failure> {
    inside(file)?;
    if is_spec(file) {
        let what = format!("`{file}` is a SPEC, which only `spec-…` overlays are about");
        return Err(Failure::new(Kind::Name, what));
    }
    if folder.exists(file).map_err(|error| failed(&error))? {
        return Err(Failure::new(
            Kind::Exists,
            format!("there is a file `{file}` already"),
        ));
    }
    let bytes = read_source(source).map_err(|error| {
        Failure::new(Kind::NoSource, format!("{} cannot be read", source.display())).cause(&error)
    })?;
    folder.write(file, &bytes, MODE).map_err(|error| failed(&error))?;
    Ok(vec![Action::Add {
        file: file.to_owned(),
    }])
}

fn read_source(source: &Path) -> io::Result<Vec<u8>> {
    let metadata = fs_err::metadata(source)?;
    match metadata.is_file() && metadata.len() <= LARGEST {
        true => fs_err::read(source),
        false => Err(io::Error::other("it is no file, or too large a one")),
    }
}

fn rename(folder: &Folder, file: &str, to: &str, semantics: Semantics) -> Result<Vec<Action>, Failure> {
    if to.contains('/') || !is_inside(to) {
        return Err(Failure::new(Kind::Name, format!("`{to}` is no name of a file")));
    }
    let files = matching(folder, file, true)?;
    let [one] = files.as_slice() else {
        let names: Vec<&str> = files.iter().take(4).map(|entry| entry.path.as_str()).collect();
        let what = format!("`{file}` fits {} files: {}", files.len(), names.join(", "));
        return Err(Failure::new(Kind::SeveralFiles, what).hint("one file is renamed at a time"));
    };
    let new = match one.path.rsplit_once('/') {
        Some((above, _)) => format!("{above}/{to}"),
        None => to.to_owned(),
    };
    // azldev overwrites any file; a SPEC is never lost here.
    let guarded = semantics == Semantics::Structural || is_spec(to);
    if guarded && folder.exists(&new).map_err(|error| failed(&error))? {
        return Err(Failure::new(
            Kind::Exists,
            format!("there is a file `{new}` already"),
        ));
    }
    folder.rename(&one.path, to).map_err(|error| failed(&error))?;
    Ok(vec![Action::Rename {
        file: one.path.clone(),
        to: new,
    }])
}

fn each(
    folder: &Folder,
    file: &str,
    mut change: impl FnMut(&str) -> io::Result<bool>,
) -> Result<Vec<Action>, Failure> {
    let mut actions = Vec::new();
    for entry in matching(folder, file, false)? {
        if change(&entry.path).map_err(|error| failed(&error))? {
            actions.push(Action::Change { file: entry.path });
        }
    }
    Ok(actions)
}

/// Files that fit a pattern: no SPEC, nothing of git's; links only if they are not read.
fn matching(folder: &Folder, pattern: &str, with_links: bool) -> Result<Vec<Entry>, Failure> {
    if pattern.starts_with('/') || pattern.split('/').any(|part| part == "..") {
        return Err(Failure::new(
            Kind::Name,
            format!("`{pattern}` leads out of the folder"),
        ));
    }
    let glob = glob(pattern)?;
    let entries = folder.entries().map_err(|error| failed(&error))?;
    let may = |entry: &&Entry| !is_spec(&entry.path) && !is_of_git(&entry.path);
    let fitting: Vec<Entry> = entries
        .iter()
        .filter(may)
        .filter(|entry| glob.fits(&entry.path))
        .cloned()
        .collect();
    let found: Vec<Entry> = fitting
        .iter()
        .filter(|entry| with_links || !entry.is_link)
        .cloned()
        .collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let failure = Failure::new(Kind::NoFile, format!("no file fits `{pattern}`"));
    if let Some(link) = fitting.first() {
        return Err(failure.hint(format!("`{}` is a link, and links are not followed", link.path)));
    }
    if entries
        .iter()
        .any(|entry| glob.fits(&entry.path) && is_spec(&entry.path))
    {
        return Err(failure.hint("SPECs are changed by `spec-…` overlays"));
    }
    let names: Vec<&str> = entries
        .iter()
        .filter(may)
        .map(|entry| entry.path.as_str())
        .collect();
    Err(nearest_file(failure, pattern, &names))
}

fn nearest_file(failure: Failure, pattern: &str, names: &[&str]) -> Failure {
    let score = |name: &&str| strsim::normalized_levenshtein(pattern, name);
    let best = names
        .iter()
        .map(|name| (score(name), name))
        .filter(|(score, _)| *score >= 0.4);
    match best.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(a.1))) {
        Some((_, name)) => failure.hint(format!("did you mean `{name}`?")),
        None if names.is_empty() => failure.hint("there are no files but the SPEC"),
        None => failure,
    }
}

fn inside(file: &str) -> Result<(), Failure> {
    match is_inside(file) && !is_of_git(file) {
        true => Ok(()),
        false => Err(Failure::new(
            Kind::Name,
            format!("`{file}` is no path inside the folder of the SPEC"),
        )),
    }
}

fn is_spec(path: &str) -> bool {
    path.ends_with(".spec")
}

fn is_of_git(path: &str) -> bool {
    path.starts_with(".git/") || path.contains("/.git/") || path == ".git"
}

fn failed(error: &io::Error) -> Failure {
    let kind = match error.kind() {
        io::ErrorKind::InvalidInput => Kind::Name,
        _ => Kind::Io,
    };
    Failure::new(kind, "the folder cannot be changed so").because(error.to_string())
}
