//! `keel source`: fetching and pinning source files.

mod rows;
mod update;

use std::path::PathBuf;

use keel_artefact::{ComponentName, Event};
use keel_config::Project;
use keel_host::stage0::Stage0;
use keel_plan::Generated;
use keel_source::{Mirrors, State, Trust};
use keel_spec::Recipe;

use crate::{
    args,
    base::{self, Base},
    context::Context,
    failure::{Class, Failure},
    pipeline, rendered, report,
};

/// Does what was asked for.
pub fn run(context: &Context<'_>, command: args::Source) -> Result<(), Failure> {
    let names = match &command {
        // What is pinned does not depend on what overlays make of SPECs.
        args::Source::Verify => return verify(context, &context.project()?),
        args::Source::Fetch(fetch) => &fetch.components,
        args::Source::Lock { components }
        | args::Source::Srpm { components, .. }
        | args::Source::Update { components, .. } => components,
    };
    let project = pipeline::project(context)?;
    for name in names {
        super::check_component(&project, name)?;
    }
    let stage0 = context.stage0(&project)?;
    let mut recipes = pipeline::recipes(context, &project, &stage0)?;
    let is_named = |name: &ComponentName| names.is_empty() || names.contains(name);
    recipes.retain(|recipe| is_named(&recipe.component));
    rendered::check(context, &project, &is_named, true)?;
    let mut options = pipeline::source_options(context)?;
    options.verify = true;
    options.tools = stage0.tool_lowers();
    let (store, sink) = (context.store()?, context.sink());
    match &command {
        args::Source::Verify => Ok(()),
        args::Source::Srpm { to, refresh, .. } => {
            let (recipes, mut sets) =
                pipeline::fetch(context, &project, &stage0, recipes, options, *refresh)?;
            pipeline::overlaid(context, &project, &mut sets)?;
            let to = match to {
                Some(to) => context.directory.join(to),
                None => project.output_dir.join("srpms"),
            };
            has_rpmbuild(&stage0)?;
            let (mut made, mut failed) = (Vec::new(), Vec::new());
            pipeline::with_workshop(context, &project, &stage0, &Base::default(), |shop| {
                for (recipe, set) in recipes.iter().zip(&sets) {
                    match shop.source_package(recipe, set, &to) {
                        Ok(file) => made.push(project.display(&file)),
                        Err(error) => failed.push((recipe.component.clone(), error)),
                    }
                }
            })?;
            if !failed.is_empty() {
                let skipped = Vec::new();
                return Err(keel_build::Errors {
                    failed,
                    wanted: Generated::new(),
                    skipped,
                }
                .into());
            }
            report::print(context, &made, |made| {
                let lines: Vec<String> = made.iter().map(|file| file.display().to_string()).collect();
                lines.join("\n")
            })
        }
        args::Source::Update { check_only, .. } => update::run(
            context,
            &project,
            &recipes,
            &options,
            &trust(context)?,
            match names.is_empty() {
                true => base::states(context, &project)?,
                false => Vec::new(),
            },
            *check_only,
        ),
        args::Source::Lock { .. } => {
            let trust = trust(context)?;
            let changes = keel_source::lock(
                &project,
                &recipes,
                store,
                &options,
                &trust,
                sink,
                &context.interrupt,
            )?;
            let pinned = match names.is_empty() {
                true => base::pin_new(context, &project),
                false => Ok(()),
            };
            // What was written is told, whatever happened then.
            report::print(context, &rows::locked(&changes), |_| changes.to_string())?;
            pinned
        }
        args::Source::Fetch(fetch) => {
            let sets = pipeline::fetch(context, &project, &stage0, recipes, options, fetch.refresh)?.1;
            report::print(context, &rows::fetched(sets), |rows| rows::table(rows))
        }
    }
}

/// Reads all pinned files again, and says how they are.
fn verify(context: &Context<'_>, project: &Project) -> Result<(), Failure> {
    let verified = keel_source::verify(project, context.store()?, &context.interrupt)?;
    report::print(context, &rows::verified(&verified), |rows| rows::table(rows))?;
    let damaged = verified.iter().filter(|file| file.state == State::Damaged);
    match damaged.count() {
        0 => Ok(()),
        damaged => Err(
            Failure::new(Class::Failed, format!("{damaged} files had changed in the store"))
                .hint("`keel source fetch` gets them again"),
        ),
    }
}

/// Fails where stage0 cannot make source packages.
fn has_rpmbuild(stage0: &Stage0) -> Result<(), Failure> {
    let layers = stage0.tool_lowers();
    if layers.iter().any(|layer| layer.join("usr/bin/rpmbuild").exists()) {
        return Ok(());
    }
    let failure = Failure::input("stage0 has no `rpmbuild`, which makes source packages");
    Err(failure.hint("add Debian's package of it:\n[keel.stage0]\n  packages = [\"rpm\", …]"))
}

/// Replaces pinned files that vanished, and says which. Gives the recipes to read again, with what macros.
pub fn refresh(
    context: &Context<'_>,
    project: &Project,
    recipes: &[Recipe],
    options: &mut keel_source::Options,
) -> Result<pipeline::Overrides, Failure> {
    let trust = trust(context)?;
    let (store, sink) = (context.store()?, context.sink());
    let refreshed = keel_source::refresh(project, recipes, store, options, &trust, sink, &context.interrupt)?;
    for line in refreshed.to_string().lines() {
        let text = format!("source replaced, what is built from it is unlocked: {line}");
        sink.event(Event::Warning { text: &text });
    }
    options.refreshed = Some(refreshed.lock_file);
    Ok(refreshed.overrides)
}

/// The mirrors that this machine's apt configuration names.
pub fn apt_mirrors() -> Result<Mirrors, Failure> {
    let mut files = Vec::new();
    let mut read = |path: PathBuf| -> Result<(), Failure> {
        match fs_err::read_to_string(&path) {
            Ok(text) => files.push((path, text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    };
    read(PathBuf::from("/etc/apt/sources.list"))?;
    let mut parts: Vec<PathBuf> = match fs_err::read_dir("/etc/apt/sources.list.d") {
        Ok(entries) => entries
            .map(|entry| Ok(entry?.path()))
            .collect::<std::io::Result<_>>()?,
        Err(_) => Vec::new(),
    };
    parts.retain(|path| {
        path.extension()
            .is_some_and(|end| end == "list" || end == "sources")
    });
    parts.sort();
    parts.into_iter().try_for_each(read)?;
    Ok(Mirrors::from_apt(
        files.iter().map(|(path, text)| (path.as_path(), text.as_str())),
    ))
}

/// Whose signatures on Debian's indexes are good: the archive's keys, as this machine has them.
fn trust(context: &Context<'_>) -> Result<Trust, Failure> {
    let folder = "/usr/share/keyrings";
    let missing = || {
        Failure::new(
            Class::Environment,
            format!("no keys of Debian's archive in {folder}"),
        )
        .hint("apt-get install debian-archive-keyring")
    };
    let mut keyrings = Vec::new();
    for entry in fs_err::read_dir(folder).map_err(|_| missing())? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name.starts_with("debian-archive-") && name.ends_with(".gpg") && !name.contains("removed") {
            keyrings.push(path);
        }
    }
    keyrings.sort();
    if keyrings.is_empty() {
        Err(missing())
    } else {
        Ok(Trust {
            keyrings,
            now: context.now(),
        })
    }
}
