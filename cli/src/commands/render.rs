//! `keel component render`: from pristine SPECs to the folders that are checked in, and built.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use keel_artefact::Event;
use keel_config::{
    Component, Diagnostic, Project, Spec,
    component::{Origin, SignaturePlace},
    overlay::Overlay,
};
use keel_spec::render::{
    self, Outcome,
    autospec::Change,
    place::{self, How},
    stale::{self, Left, Stale, Witness},
};
use keel_store::Store;
use serde::Serialize;

use crate::{
    args::component::{Macros, Render},
    context::Context,
    failure::{Class, Failure},
    pipeline,
    rendering::{self, Pristine, Rendering},
    report,
};

/// What became of one component.
#[derive(Serialize)]
struct Row {
    component: String,
    /// The commit of the other distribution's repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
    /// Changes of the project that count into its Release, the oldest first.
    changes: Vec<Change>,
    /// What somebody should know of its history.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    #[serde(flatten)]
    outcome: Option<Outcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip)]
    failure: Option<Failure>,
}

/// What became of all.
#[derive(Serialize)]
struct Report<'r> {
    components: &'r [Row],
    /// Folders of components that there are no more: those that rendering made.
    stale: &'r [PathBuf],
    /// Those that somebody else may have made.
    left: &'r [Left],
}

/// Renders the components that were chosen.
pub fn render(context: &Context<'_>, command: &Render) -> Result<(), Failure> {
    let project = Arc::new(context.project()?);
    if command.clean_stale && command.select.says_any() && !command.select.all {
        return Err(Failure::input("`--clean-stale` is about all components")
            .hint("say it with `--all`, or without any component"));
    }
    let chosen = match command.clean_stale && !command.select.says_any() {
        true => Vec::new(),
        false => rendering::chosen(&project, &command.select)?,
    };
    let specs = match &command.to {
        Some(folder) => context.directory.join(folder),
        None => project.trees[0].rendered_specs_dir.clone(),
    };
    let _lock = match command.check_only {
        true => None,
        false => Some(context.lock_folder(&specs, "renders into")?),
    };
    let scratch = context.store()?.temp_dir("render")?;
    let run = Run {
        rendering: Rendering::new(context, &project, &command.macros, scratch.path())?,
        specs: &specs,
        check: command.check_only,
        marks: true,
    };
    let rows = run.rows(context, &chosen)?;
    let stale = match command.clean_stale {
        true => {
            let names = project.components.keys().map(|name| name.as_str());
            stale::find(
                &specs,
                names,
                &used(&project),
                &Seen {
                    context,
                    store: context.store()?,
                },
            )?
        }
        false => Stale::default(),
    };
    if !command.check_only {
        stale::remove(&specs, &stale)?;
    }
    tell(context, &rows, &stale, command.check_only)
}

/// The files of the tree, absolute, from which components are made.
fn used(project: &Project) -> BTreeSet<PathBuf> {
    let mut all = BTreeSet::new();
    for component in project.components.values() {
        if let Some(Spec::Local { path }) = &component.spec {
            all.insert(path.clone());
        }
        for overlay in &component.overlays {
            use keel_config::overlay::Change as Does;
            if let Does::PatchAdd { source, .. } | Does::FileAdd { source, .. } = &overlay.change {
                all.insert(source.clone());
            }
        }
        for file in &component.source_files {
            for origin in &file.origins {
                match origin {
                    Origin::File { path } => _ = all.insert(path.clone()),
                    Origin::Custom { script, inputs, .. } => {
                        all.extend(inputs.iter().chain([script]).cloned())
                    }
                    _ => {}
                }
            }
            if let Some(signature) = &file.signature {
                all.insert(signature.key.clone());
                if let SignaturePlace::File(path) = &signature.place {
                    all.insert(path.clone());
                }
            }
        }
    }
    all
}

/// What the store and git know of rendered folders.
struct Seen<'s> {
    context: &'s Context<'s>,
    store: &'s Store,
}

impl Witness for Seen<'_> {
    type Error = Failure;

    fn is_made(&self, folder: &Path) -> Result<bool, Failure> {
        rendering::has_made(self.store, folder)
    }

    fn is_committed(&self, folder: &Path) -> Result<bool, Failure> {
        let git = pipeline::git(&self.context.interrupt);
        git.has_all(folder).map_err(|error| {
            let what = format!("git cannot tell whether it has {}", folder.display());
            Failure::because(Class::Failed, what, &error)
        })
    }
}

/// The project with its own overlays applied: what is built. SPECs that have any, and those that leave rpmautospec something
/// to do, are rendered below the output folder.
pub fn applied(context: &Context<'_>, project: Project) -> Result<Project, Failure> {
    let is_rendered = |component: &&Component| match &component.spec {
        Some(Spec::Local { path }) => {
            component.overlays.iter().any(Overlay::is_beside)
                || fs_err::read(path).is_ok_and(|spec| rendering::asks(&spec))
        }
        _ => false,
    };
    if !project
        .components
        .values()
        .any(|component| is_rendered(&component))
    {
        return Ok(project);
    }
    let project = Arc::new(project);
    let changed: Vec<&Component> = project.components.values().filter(is_rendered).collect();
    let specs = project.output_dir.join("rendered");
    let _lock = context.lock_folder(&specs, "renders into")?;
    let scratch = context.store()?.temp_dir("render")?;
    let run = Run {
        rendering: Rendering::new(context, &project, &Macros::default(), scratch.path())?,
        specs: &specs,
        check: false,
        marks: false,
    };
    rendering::check_counted(&run.rendering, &pipeline::git(&context.interrupt), &changed)?;
    let rows = run.rows(context, &changed)?;
    fail(&rows, Class::Input)?;
    for row in &rows {
        for note in &row.notes {
            let text = format!("component `{}`: {note}", row.component);
            context.sink().event(Event::Warning { text: &text });
        }
    }
    drop((run, changed));
    let mut project = Arc::unwrap_or_clone(project);
    for row in rows {
        let Some(outcome) = row.outcome else { continue };
        let path = specs.join(outcome.folder).join(format!("{}.spec", row.component));
        let component = project
            .components
            .values_mut()
            .find(|component| component.name.as_str() == row.component);
        if let Some(component) = component {
            let settings = Arc::make_mut(&mut component.settings);
            settings.spec = Some(Spec::Local { path });
            // Those of archives are applied to what is fetched.
            settings.overlays.retain(|overlay| !overlay.is_beside());
        }
    }
    Ok(project)
}

fn tell(context: &Context<'_>, rows: &[Row], stale: &Stale, check: bool) -> Result<(), Failure> {
    let changed = |row: &&Row| {
        row.outcome
            .as_ref()
            .is_some_and(|done| !done.differences.is_empty())
    };
    let report = Report {
        components: rows,
        stale: &stale.made,
        left: &stale.left,
    };
    report::print(context, &report, |_| {
        let mut lines = Vec::new();
        for row in rows {
            let left = row.outcome.iter().flat_map(|done| &done.rendered.archives_left);
            for archive in left {
                lines.push(format!(
                    "! {}: overlays of `{archive}` are left to `keel component prepare-sources`",
                    row.component
                ));
            }
        }
        for row in rows {
            let notes = row.notes.iter();
            lines.extend(notes.map(|note| format!("! {}: {note}", row.component)));
        }
        for row in rows.iter().filter(changed) {
            let differences = row.outcome.iter().flat_map(|done| &done.differences);
            for difference in differences {
                let sign = match difference.how {
                    How::Added => '+',
                    How::Removed => '-',
                    How::Changed => '~',
                };
                lines.push(format!("{sign} {}: {}", row.component, difference.file));
            }
        }
        let left = stale.left.iter();
        lines.extend(left.map(|one| {
            let folder = one.folder.display();
            format!(
                "! {folder} is no component's and stays: {}; remove it by hand if nobody needs it",
                one.why
            )
        }));
        let made = stale.made.iter();
        lines.extend(made.map(|folder| format!("- {}", folder.display())));
        let (changed, failed) = (rows.iter().filter(changed).count(), failed(rows).count());
        let unchanged = rows.len() - changed - failed;
        let word = if check { "would change" } else { "rendered" };
        lines.push(format!(
            "{changed} {word}, {unchanged} unchanged, {failed} failed"
        ));
        lines.join("\n")
    })?;
    fail(rows, Class::Failed)?;
    let differ = rows.iter().filter(changed).count() + stale.made.len();
    if check && differ > 0 {
        return Err(Failure::new(
            Class::Failed,
            format!("{differ} folders are not as they would be rendered"),
        )
        .hint("`keel component render` without `--check-only` writes them"));
    }
    Ok(())
}

fn failed(rows: &[Row]) -> impl Iterator<Item = &Failure> {
    rows.iter().filter_map(|row| row.failure.as_ref())
}

/// Fails if a component did; of the `class` given, unless it was not the component's fault.
fn fail(rows: &[Row], class: Class) -> Result<(), Failure> {
    let diagnostics: Vec<Diagnostic> = failed(rows)
        .flat_map(|failure| failure.diagnostics.clone())
        .collect();
    if diagnostics.is_empty() {
        return Ok(());
    }
    let other = failed(rows)
        .map(|failure| failure.class)
        .find(|class| *class != Class::Input);
    Err(Failure {
        class: other.unwrap_or(class),
        diagnostics,
    })
}

/// How folders are written.
struct Run<'r> {
    rendering: Arc<Rendering>,
    specs: &'r Path,
    check: bool,
    /// The folder of a component that is wrong says so.
    marks: bool,
}

impl Run<'_> {
    fn rows(&self, context: &Context<'_>, components: &[&Component]) -> Result<Vec<Row>, Failure> {
        let (specs, check) = (self.specs.to_owned(), self.check);
        let results = self
            .rendering
            .each(components, move |rendering, component, pristine| {
                let outcome = rendering.with_request(component, &pristine, |request| {
                    render::render(&request, &specs, &rendering.scratch, check)
                });
                if let Ok(outcome) = &outcome
                    && (!check || outcome.differences.is_empty())
                {
                    rendering.remember(&pristine, &specs.join(&outcome.folder))?;
                }
                if let (Ok(outcome), false) = (&outcome, check) {
                    rendering.made(&specs.join(&outcome.folder))?;
                }
                Ok((pristine, outcome))
            })?;
        context.interrupt.check()?;
        let rows = components.iter().zip(results);
        Ok(rows
            .map(|(component, result)| self.row(component, result))
            .collect())
    }

    fn row(
        &self,
        component: &Component,
        result: Result<(Pristine, Result<Outcome, Failure>), Failure>,
    ) -> Row {
        let (pristine, outcome) = match result {
            Ok((pristine, outcome)) => (Some(pristine), outcome),
            Err(failure) => (None, Err(failure)),
        };
        let (commit, past) = pristine.map_or_else(Default::default, |found| (found.commit, found.past));
        let mut row = Row {
            component: component.name.to_string(),
            commit,
            changes: past.changes,
            notes: past.notes,
            outcome: None,
            error: None,
            failure: None,
        };
        match outcome {
            Ok(outcome) => row.outcome = Some(outcome),
            Err(failure) => {
                let mut failure = rendering::of(component, "render", failure);
                let texts: Vec<String> = failure.diagnostics.iter().map(ToString::to_string).collect();
                row.error = Some(texts.join("\n"));
                // That it is wrong is told in the folder, too, where reviewers look; not that a network was down, or that
                // somebody pressed Ctrl-C.
                let is_its_own = failure.class == Class::Input;
                if self.marks
                    && is_its_own
                    && let Err(error) = place::fail(self.specs, component.name.as_str(), self.check)
                {
                    failure.diagnostics.push(Diagnostic::new(error.to_string()));
                }
                row.failure = Some(failure);
            }
        }
        row
    }
}
