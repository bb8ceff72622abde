//! `keel component history`: the commits that touched what makes a component.
//!
//! That is the file that defines it (with all else that is in it), files of its overlays, the folder of its SPEC.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use keel_artefact::ComponentName;
use keel_config::{Component, Project};
use keel_host::git::Git;
use serde::Serialize;

use crate::{
    args::component::History,
    context::Context,
    failure::{Class, Failure},
    inputs, pipeline, report,
};

/// One commit.
#[derive(Serialize)]
struct Row<'a> {
    component: &'a ComponentName,
    /// Of its author, with the zone (RFC 3339).
    date: String,
    commit: String,
    author: String,
    subject: String,
}

/// Tells it, newest first.
pub fn run(context: &Context<'_>, command: &History) -> Result<(), Failure> {
    let project = context.project()?;
    for name in &command.components {
        super::check_component(&project, name)?;
    }
    let git = pipeline::git(&context.interrupt);
    let mut rows = Vec::new();
    for name in &command.components {
        context.interrupt.check()?;
        let commits = of(&git, &project, &project.components[name]);
        rows.extend(commits?);
    }
    report::print(context, &rows, |rows| {
        let is_one = command.components.len() == 1;
        let cells = |row: &Row<'_>| {
            let cells = [
                row.component.to_string(),
                row.date.get(..10).unwrap_or_default().to_owned(),
                row.commit.get(..12).unwrap_or_default().to_owned(),
                row.author.clone(),
                row.subject.clone(),
            ];
            cells.into_iter().skip(usize::from(is_one)).collect()
        };
        let heading = &["component", "date", "commit", "author", "subject"][usize::from(is_one)..];
        report::table(heading, &rows.iter().map(cells).collect::<Vec<_>>())
    })
}

fn of<'p>(git: &Git<'_>, project: &'p Project, component: &'p Component) -> Result<Vec<Row<'p>>, Failure> {
    let no_history = |error| {
        let what = format!("the history of `{}` cannot be read", component.name);
        Failure::because(Class::Input, what, &error)
    };
    let tree = project.trees.get(component.tree);
    let root = tree.map_or(&project.root, |tree| &tree.root);
    let top = git.top(root).map_err(no_history)?;
    let arguments = ["--format=%H%x1f%aI%x1f%an%x1f%s", "--encoding=UTF-8", "--"];
    let mut arguments: Vec<String> = arguments.map(str::to_owned).to_vec();
    let before = arguments.len();
    for path in paths(project, component, &top)? {
        // A name may have characters that mean something to git.
        arguments.push(format!(":(top,literal){}", path.to_string_lossy()));
    }
    if arguments.len() == before {
        // Without a path, everything would be told.
        return Ok(Vec::new());
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let log = git.log(root, &arguments).map_err(no_history)?;
    let row = |line: &str| {
        let mut parts = line.splitn(4, '\x1f').map(printable);
        Some(Row {
            component: &component.name,
            commit: parts.next()?,
            date: parts.next()?,
            author: parts.next()?,
            subject: parts.next()?,
        })
    };
    Ok(log.lines().filter_map(row).collect())
}

/// Without what a terminal would obey.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// The paths that count, relative to the repository.
fn paths(project: &Project, component: &Component, top: &Path) -> Result<BTreeSet<PathBuf>, Failure> {
    let inputs = inputs::of(project, component, top)?;
    let mut paths = inputs.files;
    paths.extend(inputs.folder);
    let written = component.overlays.iter().map(|overlay| &overlay.defined_at);
    for location in written.chain([&component.defined_at]) {
        let file = project.root.join(&location.file);
        paths.extend(file.strip_prefix(top).ok().map(Path::to_owned));
    }
    Ok(paths)
}
