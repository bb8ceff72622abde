//! `keel component changed`: which components differ between two revisions of a project, and why.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use keel_artefact::{ComponentName, Sha256};
use keel_spec::render::place::{self, Difference, How};
use serde::Serialize;

use crate::{
    args::component::Changed,
    context::Context,
    failure::Failure,
    inputs::{self, Inputs},
    report,
    revision::{History, Side},
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

/// Compares.
pub fn run(context: &Context<'_>, command: &Changed) -> Result<(), Failure> {
    let history = History::open(context)?;
    let from = history.at(&command.from, "from")?;
    let to = match &command.to {
        Some(revision) => history.at(revision, "to")?,
        None => history.now()?,
    };
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
            row.keys
                .iter()
                .cloned()
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
        };
        match (before.get(component), after.get(component)) {
            (None, _) => row.change = Change::Added,
            (_, None) => row.change = Change::Deleted,
            (Some(one), Some(other)) => {
                let one = inputs::of(&from.project, one, &from.top)?;
                let other = inputs::of(&to.project, other, &to.top)?;
                row.keys = inputs::differing(&one.settings, &other.settings);
                row.files = files((from, &one), (to, &other), &mut folders)?;
                if !row.keys.is_empty() || !row.files.is_empty() {
                    row.change = Change::Changed;
                }
            }
        }
        rows.push(row);
    }
    Ok(rows)
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
