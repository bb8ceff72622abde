//! `keel component changed`: which components differ between two revisions of a project, and why.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use keel_artefact::{ComponentName, Sha256};
use keel_config::{Component, Project, Spec};
use keel_source::Lock;
use keel_spec::{
    macros::text,
    render::{
        place::{self, Difference, How},
        sources_file,
    },
};
use serde::Serialize;

use crate::{
    args::component::Changed,
    context::Context,
    failure::{Class, Failure},
    inputs::{self, Inputs},
    report,
    revision::{self, History},
};

/// One component.
#[derive(Serialize)]
struct Row<'a> {
    component: &'a ComponentName,
    change: Change,
    /// Keys of its configuration, inherited ones too, whose values differ.
    keys: Vec<String>,
    /// Files that differ, relative to the repository.
    files: Vec<Difference>,
    /// Source files that are pinned differently, by `keel.lock` or by a rendered `sources`.
    sources: Vec<Difference>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Change {
    Added,
    Changed,
    Deleted,
    Unchanged,
}

impl Change {
    fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Deleted => "deleted",
            Self::Unchanged => "unchanged",
        }
    }
}

/// A project at a time, and what it pins.
struct Side {
    project: Project,
    lock: Lock,
    top: PathBuf,
}

impl Side {
    fn new(revision::Side { project, top }: revision::Side) -> Result<Self, Failure> {
        let lock = Lock::read(&project.lock_file).map_err(keel_source::Errors::from)?;
        Ok(Self { project, lock, top })
    }
}

/// Compares.
pub fn run(context: &Context<'_>, command: &Changed) -> Result<(), Failure> {
    let history = History::open(context)?;
    let from = Side::new(history.at(&command.from, "from")?)?;
    let to = Side::new(match &command.to {
        Some(revision) => history.at(revision, "to")?,
        None => history.now()?,
    })?;
    let mut rows = rows(context, &from, &to)?;
    if !command.include_unchanged {
        rows.retain(|row| row.change != Change::Unchanged);
    }
    report::print(context, &rows, |rows| {
        let why = |row: &Row<'_>| {
            let sign = |how| match how {
                How::Added => '+',
                How::Removed => '-',
                How::Changed => '~',
            };
            let files = row.files.iter();
            let files = files.map(|file| format!("{}{}", sign(file.how), file.file));
            let sources = (!row.sources.is_empty()).then(|| "sources".to_owned());
            row.keys
                .iter()
                .cloned()
                .chain(sources)
                .chain(files)
                .collect::<Vec<_>>()
                .join(" ")
        };
        let cells = |row: &Row<'_>| vec![row.component.to_string(), row.change.word().to_owned(), why(row)];
        let cells: Vec<_> = rows.iter().map(cells).collect();
        report::table(&["component", "change", "why"], &cells)
    })
}

fn rows<'a>(context: &Context<'_>, from: &'a Side, to: &'a Side) -> Result<Vec<Row<'a>>, Failure> {
    let (before, after) = (&from.project.components, &to.project.components);
    let names: BTreeSet<&ComponentName> = before.keys().chain(after.keys()).collect();
    // Components may share a folder.
    let mut folders = BTreeMap::new();
    let mut rows = Vec::new();
    for component in names {
        context.interrupt.check()?;
        let mut row = Row {
            component,
            change: Change::Unchanged,
            keys: Vec::new(),
            files: Vec::new(),
            sources: Vec::new(),
        };
        match (before.get(component), after.get(component)) {
            (None, _) => row.change = Change::Added,
            (_, None) => row.change = Change::Deleted,
            (Some(one), Some(other)) => {
                row.sources = sources((from, one), (to, other))?;
                let one = inputs::of(&from.project, one, &from.top)?;
                let other = inputs::of(&to.project, other, &to.top)?;
                row.keys = inputs::differing(&one.settings, &other.settings);
                row.files = files((from, &one), (to, &other), &mut folders)?;
                if !row.keys.is_empty() || !row.files.is_empty() || !row.sources.is_empty() {
                    row.change = Change::Changed;
                }
            }
        }
        rows.push(row);
    }
    Ok(rows)
}

/// Which source files are pinned differently: their bytes are others, be nothing else changed.
fn sources(
    (from, one): (&Side, &Component),
    (to, other): (&Side, &Component),
) -> Result<Vec<Difference>, Failure> {
    let (before, after) = (pinned(from, one)?, pinned(to, other)?);
    let mut found = BTreeMap::new();
    for key in before.keys().chain(after.keys()) {
        let how = match (before.get(key), after.get(key)) {
            (old, new) if old == new => continue,
            (None, _) => How::Added,
            (_, None) => How::Removed,
            _ => How::Changed,
        };
        found.insert(key.1.clone(), how);
    }
    let difference = |(file, how)| Difference { file, how };
    Ok(found.into_iter().map(difference).collect())
}

/// Digests by who says them, and by file: the lock's and, for SPECs of other distributions, those of the rendered folder.
fn pinned(side: &Side, component: &Component) -> Result<BTreeMap<(bool, String), String>, Failure> {
    let locked = side
        .lock
        .files
        .iter()
        .filter(|((of, _), _)| *of == component.name);
    let mut pinned: BTreeMap<_, _> = locked
        .map(|((_, name), entry)| ((true, name.clone()), entry.digest.to_hex()))
        .collect();
    let Some(Spec::Upstream(_)) = component.spec else {
        return Ok(pinned);
    };
    let list = side.project.rendered_spec(component).with_file_name("sources");
    if !list.is_file() {
        return Ok(pinned);
    }
    let bytes = fs_err::read(&list)?;
    let text = text::decode(&bytes);
    let listed = sources_file::listed(&text).map_err(|error| {
        let what = format!(
            "`{}` of `{}` cannot be read",
            side.project.display(&list).display(),
            component.name
        );
        Failure::because(Class::Input, what, &error)
    })?;
    for line in listed {
        pinned.insert(
            (false, line.file.to_owned()),
            format!("{} {}", line.algorithm, line.hash),
        );
    }
    Ok(pinned)
}

type Folders = BTreeMap<(PathBuf, PathBuf), Vec<Difference>>;

/// Which of the files of a component differ.
fn files(
    (from, one): (&Side, &Inputs),
    (to, other): (&Side, &Inputs),
    folders: &mut Folders,
) -> Result<Vec<Difference>, Failure> {
    let mut found: BTreeMap<String, How> = BTreeMap::new();
    if let (Some(old), Some(new)) = (&one.folder, &other.folder) {
        let key = (old.clone(), new.clone());
        let differences = match folders.get(&key) {
            Some(known) => known.clone(),
            None => {
                let mut differences = place::differences(&from.top.join(old), &to.top.join(new))?;
                differences.retain(|difference| difference.file.split('/').next() != Some(".git"));
                folders.insert(key, differences.clone());
                differences
            }
        };
        for Difference { file, how } in differences {
            let folder = if how == How::Removed { old } else { new };
            found.insert(folder.join(file).to_string_lossy().into_owned(), how);
        }
    }
    for file in one.files.union(&other.files) {
        let how = match (one.files.contains(file), other.files.contains(file)) {
            (false, _) => How::Added,
            (_, false) => How::Removed,
            _ => {
                let digest = |side: &Side| Sha256::of_file(&side.top.join(file));
                if digest(from)?.0 == digest(to)?.0 {
                    continue;
                }
                How::Changed
            }
        };
        found.insert(file.to_string_lossy().into_owned(), how);
    }
    let difference = |(file, how)| Difference { file, how };
    Ok(found.into_iter().map(difference).collect())
}
