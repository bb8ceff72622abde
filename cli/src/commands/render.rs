//! `keel component render`: from pristine SPECs to the folders that are checked in, and built.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use keel_artefact::{Interrupt, RootPath};
use keel_config::{Component, Diagnostic, Digest, Origin, Project, Spec};
use keel_host::git::Git;
use keel_spec::{
    environment::Distribution,
    render::{
        self, Outcome, Request,
        macros_file::Options,
        place::{self, How},
        sources_file::SourceFile,
    },
};
use keel_store::Store;
use serde::Serialize;

use super::spec::evaluate::{Macros, cores};
use crate::{
    args::{self, spec as spec_args},
    context::Context,
    failure::{Class, Failure},
    pipeline, report,
};

/// What became of one component.
#[derive(Serialize)]
struct Row {
    component: String,
    /// The commit of the other distribution's repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
    #[serde(flatten)]
    outcome: Option<Outcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip)]
    diagnostic: Option<Diagnostic>,
}

/// Renders the components that were chosen.
pub fn render(context: &Context<'_>, command: &args::Render) -> Result<(), Failure> {
    let select = &command.select;
    let is_chosen =
        select.all || !select.patterns.is_empty() || !select.more.is_empty() || !select.groups.is_empty();
    if !is_chosen && !command.clean_stale {
        return Err(Failure::input("no component is named")
            .hint("name components or groups; `--all` means all of them"));
    }
    let project = context.project()?;
    let chosen = match is_chosen {
        true => keel_config::select::select(&project, &select.selection())?,
        false => Vec::new(),
    };
    let specs = match &command.to {
        Some(folder) => context.directory.join(folder),
        None => project.trees[0].rendered_specs_dir.clone(),
    };
    let scratch = context.store()?.temp_dir("render")?;
    let run = Run {
        store: context.store()?,
        interrupt: &context.interrupt,
        project: &project,
        macros: macros(context, &project, command.macros.as_deref(), scratch.path())?,
        options: pipeline::source_options(context)?,
        specs: &specs,
        scratch: scratch.path(),
        check: command.check_only,
        is_azldevs: is_azldevs(&project),
    };
    let rows = in_parallel(&chosen, |component| run.row(component))?;
    context.interrupt.check()?;
    let names = || project.components.keys().map(|name| name.as_str());
    let stale = match (command.clean_stale, command.check_only) {
        (false, _) => Vec::new(),
        (true, true) => place::stale(&specs, names())?,
        (true, false) => place::clean_stale(&specs, names())?,
    };
    tell(context, &rows, &stale, command.check_only)
}

/// The project with its own overlays applied: what is built. SPECs that have any are rendered below the output folder.
pub fn applied(context: &Context<'_>, mut project: Project) -> Result<Project, Failure> {
    let has_overlays = |component: &&Component| {
        matches!(component.spec, Some(Spec::Local { .. })) && !component.overlays.is_empty()
    };
    let changed: Vec<&Component> = project.components.values().filter(has_overlays).collect();
    if changed.is_empty() {
        return Ok(project);
    }
    let specs = project.output_dir.join("rendered");
    let scratch = context.store()?.temp_dir("render")?;
    let run = Run {
        store: context.store()?,
        interrupt: &context.interrupt,
        macros: macros(context, &project, None, scratch.path())?,
        options: pipeline::source_options(context)?,
        specs: &specs,
        scratch: scratch.path(),
        check: false,
        is_azldevs: is_azldevs(&project),
        project: &project,
    };
    let rows = in_parallel(&changed, |component| run.row(component))?;
    context.interrupt.check()?;
    let diagnostics: Vec<Diagnostic> = failed(&rows).cloned().collect();
    if !diagnostics.is_empty() {
        return Err(Failure {
            class: Class::Input,
            diagnostics,
        });
    }
    for row in rows {
        let Some(outcome) = row.outcome else { continue };
        if let Some(archive) = outcome.rendered.archives_left.first() {
            let text = format!("`{}` has overlays of the archive `{archive}`", row.component);
            return Err(Failure::input(text).hint("this version of Keel does not build such components yet"));
        }
        let path = specs.join(outcome.folder).join(format!("{}.spec", row.component));
        let component = project
            .components
            .values_mut()
            .find(|component| component.name.as_str() == row.component);
        if let Some(component) = component {
            let settings = Arc::make_mut(&mut component.settings);
            settings.spec = Some(Spec::Local { path });
            settings.overlays.clear();
        }
    }
    Ok(project)
}

/// Are the bytes to be azldev's, to the last line?
fn is_azldevs(project: &Project) -> bool {
    project
        .files
        .first()
        .is_some_and(|file| file.ends_with("azldev.toml"))
}

fn tell(context: &Context<'_>, rows: &[Row], stale: &[PathBuf], check: bool) -> Result<(), Failure> {
    let changed = |row: &&Row| {
        row.outcome
            .as_ref()
            .is_some_and(|done| !done.differences.is_empty())
    };
    report::print(context, &rows, |rows| {
        let mut lines = Vec::new();
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
        for folder in stale {
            lines.push(format!("- {}", folder.display()));
        }
        let (changed, failed) = (rows.iter().filter(changed).count(), failed(rows).count());
        let unchanged = rows.len() - changed - failed;
        let word = if check { "would change" } else { "rendered" };
        lines.push(format!(
            "{changed} {word}, {unchanged} unchanged, {failed} failed"
        ));
        lines.join("\n")
    })?;
    let diagnostics: Vec<Diagnostic> = failed(rows).cloned().collect();
    if !diagnostics.is_empty() {
        return Err(Failure {
            class: Class::Failed,
            diagnostics,
        });
    }
    let differ = rows.iter().filter(changed).count() + stale.len();
    if check && differ > 0 {
        return Err(Failure::new(
            Class::Failed,
            format!("{differ} folders are not as they would be rendered"),
        )
        .hint("`keel component render` without `--check-only` writes them"));
    }
    Ok(())
}

fn failed(rows: &[Row]) -> impl Iterator<Item = &Diagnostic> {
    rows.iter().filter_map(|row| row.diagnostic.as_ref())
}

/// What all components are rendered with.
struct Run<'r> {
    store: &'r Store,
    interrupt: &'r Interrupt,
    project: &'r Project,
    macros: Macros,
    options: keel_source::Options,
    specs: &'r Path,
    scratch: &'r Path,
    check: bool,
    /// The bytes are azldev's, to the last line.
    is_azldevs: bool,
}

impl Run<'_> {
    fn row(&self, component: &Component) -> Row {
        let mut row = Row {
            component: component.name.to_string(),
            commit: None,
            outcome: None,
            error: None,
            diagnostic: None,
        };
        match self.render(component, &mut row.commit) {
            Ok(outcome) => row.outcome = Some(outcome),
            Err(failure) => {
                let text = format!("cannot render `{}`", component.name);
                let mut diagnostic = Diagnostic::new(text).at(component.defined_at.clone());
                for found in &failure.diagnostics {
                    diagnostic = diagnostic.cause(found.to_string().trim_start_matches("error: "));
                }
                row.error = Some(diagnostic.to_string());
                // That it failed is told in the folder, too, where reviewers look.
                if let Err(error) = place::fail(self.specs, component.name.as_str(), self.check) {
                    diagnostic = diagnostic.caused_by(&error);
                }
                row.diagnostic = Some(diagnostic);
            }
        }
        row
    }

    fn render(&self, component: &Component, commit: &mut Option<String>) -> Result<Outcome, Failure> {
        self.interrupt.check()?;
        let (input, spec) = match &component.spec {
            Some(Spec::Local { path }) => (
                path.parent().unwrap_or(Path::new("/")).to_owned(),
                path.file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned(),
            ),
            _ => {
                let (store, interrupt) = (self.store, self.interrupt);
                let found = keel_source::dist_git(self.project, component, store, &self.options, interrupt);
                let wrong = |error| Failure::because(Class::Failed, "its SPEC cannot be had", &error);
                let found = found.map_err(wrong)?;
                let found = found.ok_or_else(|| Failure::input("nothing says where its SPEC comes from"))?;
                *commit = Some(found.commit);
                (found.folder, found.spec)
            }
        };
        let build = &component.build;
        let source_files: Vec<SourceFile> = component.source_files.iter().map(source_file).collect();
        let evaluator = self.macros.evaluator();
        let request = Request {
            name: component.name.as_str(),
            input: &input,
            spec: &spec,
            overlays: &component.overlays,
            semantics: component.semantics,
            macros: Options {
                with: &build.with,
                without: &build.without,
                defines: &build.defines,
                undefines: &build.undefines,
            },
            skip_check: (build.check.skip).then(|| build.check.skip_reason.as_deref().unwrap_or_default()),
            calculation: component.release,
            changes: self.changes(component)?,
            free_source_number: !self.is_azldevs,
            always_header: self.is_azldevs,
            source_files: &source_files,
            with_archives: false,
            history: None,
            skip_file_filter: component.skip_file_filter,
            list: Some(&evaluator),
        };
        render::render(&request, self.specs, self.scratch, self.check)
            .map_err(|error| Failure::because(Class::Failed, "rendering stopped", &error))
    }

    /// How many changes of a component the project's history tells: commits that changed its lock (`lock-dir`), as azldev
    /// counts them. Without a lock, none.
    fn changes(&self, component: &Component) -> Result<u64, Failure> {
        let lock = self.project.lock_dir.join(format!("{}.lock", component.name));
        if !lock.is_file() {
            return Ok(0);
        }
        let git = Git {
            certificates: None,
            proxy: None,
            time: self.options.limits.total,
            size: u64::MAX,
            interrupt: self.interrupt,
        };
        let path = lock.to_string_lossy();
        let log = git.log(&self.project.root, &["--format=%H", "--", &path]);
        let log = log.map_err(|error| {
            Failure::because(Class::Failed, "the project's history cannot be read", &error)
        })?;
        Ok(log.lines().count() as u64)
    }
}

fn source_file(file: &keel_config::SourceFile) -> SourceFile {
    let hash = match &file.digest {
        Some(Digest::Sha256(digest)) => Some(("SHA256".to_owned(), digest.to_hex())),
        Some(Digest::Sha512(digest)) => Some(("SHA512".to_owned(), digest.clone())),
        None => None,
    };
    SourceFile {
        filename: file.filename.clone(),
        hash,
        replace_upstream: file.replaces_upstream,
        by_overlay: file.origins.contains(&Origin::Overlay),
    }
}

/// The macros that tell which files a SPEC names: those asked for, the tree's own, stage0's, this machine's.
fn macros(
    context: &Context<'_>,
    project: &Project,
    asked: Option<&Path>,
    scratch: &Path,
) -> Result<Macros, Failure> {
    let stage0 = || -> Result<Option<PathBuf>, Failure> {
        let layers = context.stage0(project)?.tool_lowers();
        Ok(layers
            .into_iter()
            .find(|layer| layer.join("usr/lib/rpm/macros").is_file()))
    };
    let folder = match asked {
        Some(folder) => Some(folder.to_owned()),
        None if Distribution::of(&project.root).is_some() => Some(project.root.clone()),
        None if !project.stage0.suite.is_empty() => stage0()?,
        None => None,
    };
    let how = spec_args::How {
        macros: folder,
        load: project.macros.clone(),
        shell: spec_args::Shell::Facts,
        ..spec_args::How::default()
    };
    Macros::load_for(context, &how, vec![scratch.to_owned()], RootPath::root())
}

/// Does it for each, on all cores; results in their order.
fn in_parallel(
    components: &[&Component],
    work: impl Fn(&Component) -> Row + Sync,
) -> Result<Vec<Row>, io::Error> {
    // Macros may be nested deeply.
    const STACK: usize = 64 << 20;
    let (next, done) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    thread::scope(|scope| -> Result<(), io::Error> {
        for _ in 0..cores().min(components.len()) {
            thread::Builder::new().stack_size(STACK).spawn_scoped(scope, || {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(component) = components.get(at) else {
                        return;
                    };
                    let row = work(component);
                    done.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .insert(at, row);
                }
            })?;
        }
        Ok(())
    })?;
    let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(done.into_values().collect())
}
