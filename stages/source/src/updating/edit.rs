//! A newer version written into the TOML that names it: the one value, and no other byte.

use std::{
    collections::BTreeSet,
    io,
    ops::Range,
    path::{Component, PathBuf},
};

use keel_config::{Location, Project};
use toml_edit::{Document, Item, TableLike};

use super::{Change, Update};
use crate::{Error, Errors, lock::write_atomically};

/// Files of the configuration that were changed, with what they were before.
#[derive(Debug, Default)]
#[must_use = "what was written may have to be taken back"]
pub struct Edited {
    files: Vec<(PathBuf, String)>,
}

impl Edited {
    /// Writes what the files were before.
    pub fn undo(&self) -> io::Result<()> {
        let mut files = self.files.iter();
        files.try_for_each(|(path, text)| write_atomically(path, text.as_bytes()))
    }
}

/// Writes all versions that stand in TOML alone. If one cannot be written, none is.
pub fn edit(project: &Project, updates: &[Update]) -> Result<Edited, Errors> {
    let mut texts: Vec<(PathBuf, String, String)> = Vec::new();
    let mut done = BTreeSet::new();
    for update in updates {
        let Change::Toml { location, key, value } = &update.change else {
            continue;
        };
        // What several components inherit stands there once.
        if !done.insert((location, &update.origin)) {
            continue;
        }
        let failed = |source| Error::Edit {
            component: update.component.clone(),
            name: update.name.clone(),
            location: Box::new(location.clone()),
            source,
        };
        let path = path(project, location).ok_or_else(|| failed(other("it is not a file of this tree")))?;
        let at = match texts.iter().position(|(known, ..)| *known == path) {
            Some(at) => at,
            None => {
                let text = fs_err::read_to_string(&path).map_err(failed)?;
                texts.push((path, text.clone(), text));
                texts.len() - 1
            }
        };
        let (_, _, text) = &mut texts[at];
        let range = find(text, update, location, key).map_err(failed)?;
        text.replace_range(range, &format!("\"{value}\""));
    }
    let mut edited = Edited::default();
    for (path, before, after) in texts {
        let written = write_atomically(&path, after.as_bytes());
        edited.files.push((path, before));
        if let Err(error) = written {
            // The first error is the one to report.
            let _ = edited.undo();
            return Err(Error::from(keel_store::Error::from(error)).into());
        }
    }
    Ok(edited)
}

fn other(why: &str) -> io::Error {
    io::Error::other(why.to_owned())
}

/// The file, if it is one of the project's own.
pub(super) fn path(project: &Project, location: &Location) -> Option<PathBuf> {
    let is_inside = (location.file.components()).all(|part| matches!(part, Component::Normal(_)));
    is_inside.then(|| project.root.join(&location.file))
}

/// Where the value stands that is to be replaced, in bytes. A line and a column do not move: every edit stays in its line.
fn find(text: &str, update: &Update, location: &Location, key: &str) -> io::Result<Range<usize>> {
    let document =
        Document::parse(text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    let line = usize::try_from(location.line).unwrap_or(usize::MAX);
    let is_there = |range: &Range<usize>| {
        text.get(..range.start)
            .is_some_and(|before| before.matches('\n').count() + 1 == line)
    };
    let mut found = Vec::new();
    walk(document.as_table(), 0, &mut |table| {
        let name = table.get("filename");
        let is_it = name.is_some_and(|name| {
            name.as_str() == Some(&update.name) && name.span().as_ref().is_some_and(is_there)
        });
        if is_it {
            let origins = ["origin", "origins"].iter().filter_map(|key| table.get(key));
            found.extend(origins.flat_map(|origin| values(origin, update, key)));
        }
    });
    match found.as_slice() {
        [range] => Ok(range.clone()),
        [] => Err(other("it does not stand there any more")),
        _ => Err(other("it stands there more than once")),
    }
}

/// The values of the origin that was asked.
fn values(origin: &Item, update: &Update, key: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut look = |table: &dyn TableLike| {
        let is = |key, text: &str| table.get(key).and_then(Item::as_str) == Some(text);
        let is_it = match (update.origin.split_once(':'), key) {
            (Some(("git", rest)), "commit") => {
                let commit = table.get("commit").and_then(Item::as_str).unwrap_or_default();
                let commit = commit.to_ascii_lowercase();
                is("type", "git")
                    && rest
                        .strip_prefix(&commit)
                        .is_some_and(|rest| is("url", rest.trim_start_matches(':')))
            }
            (Some((kind, rest)), "version") => rest.rsplit_once(':').is_some_and(|(name, version)| {
                is("type", kind) && is("name", name) && is("version", version)
            }),
            _ => false,
        };
        if is_it && let Some(range) = table.get(key).and_then(Item::span) {
            found.push(range);
        }
    };
    if let Some(table) = origin.as_table_like() {
        look(table);
    }
    for table in origin
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|value| value.as_inline_table())
    {
        look(table);
    }
    for table in origin.as_array_of_tables().into_iter().flatten() {
        look(table);
    }
    found
}

/// All tables, however deep; toml_edit refuses what is nested deeper than a program may be.
fn walk(table: &dyn TableLike, depth: u32, look: &mut dyn FnMut(&dyn TableLike)) {
    look(table);
    if depth > 100 {
        return;
    }
    for (_, item) in table.iter() {
        if let Some(table) = item.as_table_like() {
            walk(table, depth + 1, look);
        }
        for table in item.as_array_of_tables().into_iter().flatten() {
            walk(table, depth + 1, look);
        }
        for table in item
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|value| value.as_inline_table())
        {
            walk(table, depth + 1, look);
        }
    }
}
