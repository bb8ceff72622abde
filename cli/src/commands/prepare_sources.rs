//! `keel component prepare-sources`: a folder that `rpmbuild -bs` makes a source package of.
//!
//! 1. The component is rendered once without its archives: what its SPEC names then is what is wanted.
//! 2. What the folder lacks is fetched.
//! 3. It is rendered again, with the archives in the folder, so that overlays can change what is in them.
//! 4. The result is moved into the folder that was named.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use keel_config::{Component, Origin, Project, SourceFile};
use keel_spec::{
    macros::text,
    render::{
        self, Places,
        listing::{self, List as _},
        place, sources_file,
    },
};
use serde::Serialize;

use crate::{
    args::component::PrepareSources,
    commands::spec::watchdog::{watched, watched_for},
    context::Context,
    failure::{Class, Failure},
    rendering::{self, Pristine, Rendering},
    report,
};

/// What lies in the folder now.
#[derive(Serialize)]
struct Made {
    component: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
    folder: PathBuf,
    spec: String,
    files: Vec<String>,
    /// Files that were fetched.
    fetched: Vec<String>,
    /// Archives that overlays changed.
    archives: Vec<String>,
}

/// Makes the folder.
pub fn run(context: &Context<'_>, command: &PrepareSources) -> Result<(), Failure> {
    let project = Arc::new(context.project()?);
    super::check_component(&project, &command.component)?;
    let component = &project.components[&command.component];
    let to = context.directory.join(&command.to);
    let is_empty = !to.exists() || fs_err::read_dir(&to)?.next().is_none();
    if !is_empty && !command.force {
        let text = format!("{} is not empty", command.to.display());
        return Err(Failure::input(text).hint("`--force` writes over files of the same names"));
    }
    let scratch = context.store()?.temp_dir("prepare-sources")?;
    let rendering = Rendering::new(context, &project, &command.macros, scratch.path())?;
    let made = make(context, &project, &rendering, component, command)
        .map_err(|failure| rendering::of(component, "prepare the sources of", failure))?;
    context.interrupt.check()?;
    move_into(&made.folder, &to)?;
    let made = Made { folder: to, ..made };
    report::print(context, &made, |made| made.files.join("\n"))
}

fn make(
    context: &Context<'_>,
    project: &Project,
    rendering: &Rendering,
    component: &Component,
    command: &PrepareSources,
) -> Result<Made, Failure> {
    let name = component.name.as_str();
    let pristine = rendering.pristine(component)?;
    let wrong = |error: render::Error| Failure::because(Class::Failed, "its folder cannot be read", &error);
    // Named as components are, so that SPECs that look at their folder see the same.
    let (first, input, last) = (
        rendering.scratch.join("first"),
        rendering.scratch.join("input"),
        rendering.scratch.join("last"),
    );
    for folder in [&first, &last] {
        fs_err::create_dir(folder)?;
    }
    let (first, last) = (first.join(name), last.join(name));
    place::copy(&pristine.folder, &input).map_err(wrong)?;
    let named = match command.skip_overlays {
        true => {
            place::copy(&pristine.folder, &first).map_err(wrong)?;
            let places = Places::of_copy(&pristine.folder, &first);
            watched(&context.interrupt, || {
                named(rendering, (&pristine, &places), &first, &pristine.spec)
            })?
        }
        false => {
            let prepared = watched(&context.interrupt, || {
                rendering.with_request(component, &pristine, |request| render::prepare(&request, &first))
            })?;
            let named = watched(&context.interrupt, || {
                let of = (&pristine, &prepared.places);
                named(rendering, of, &first, &format!("{name}.spec"))
            })?;
            // What overlays change inside must be there, and nothing of what nobody knows may lack.
            let all = match prepared.kept_because {
                Some(_) => listed(&pristine)?,
                None => Vec::new(),
            };
            named
                .into_iter()
                .chain(prepared.archives_left)
                .chain(all)
                .collect()
        }
    };
    let fetched = match command.skip_sources {
        true => Vec::new(),
        false => fetch(context, project, rendering, component, &named, (&first, &input))?,
    };
    let commit = pristine.commit.clone();
    let (folder, spec, archives) = match (command.skip_overlays, command.skip_sources) {
        (true, _) => (input, pristine.spec, Vec::new()),
        (false, true) => (first, format!("{name}.spec"), Vec::new()),
        (false, false) => {
            let full = Pristine {
                folder: input,
                ..pristine
            };
            // Its SPEC was read before, and ended; archives take as long as they are large.
            let rendered = watched_for(Duration::MAX, &context.interrupt, || {
                rendering.with_request(component, &full, |mut request| {
                    request.with_archives = true;
                    render::prepare(&request, &last)
                })
            })?;
            let archives = rendered.archives.into_iter().map(|one| one.archive);
            (last, format!("{name}.spec"), archives.collect())
        }
    };
    let mut files = Vec::new();
    for entry in fs_err::read_dir(&folder)? {
        files.push(entry?.file_name().to_string_lossy().into_owned());
    }
    files.sort();
    Ok(Made {
        component: name.to_owned(),
        commit,
        folder,
        spec,
        files,
        fetched,
        archives,
    })
}

/// The files that a SPEC names.
fn named(
    rendering: &Rendering,
    (pristine, places): (&Pristine, &Places),
    folder: &Path,
    spec: &str,
) -> Result<BTreeSet<String>, Failure> {
    let path = folder.join(spec);
    let sources = rendering.macros.evaluator().sources(&path, &fs_err::read(&path)?);
    let sources = sources.map_err(|errors| rendering.not_evaluated(pristine, places, errors))?;
    Ok(sources
        .iter()
        .filter_map(|source| listing::file_of(source))
        .collect())
}

/// The text of a folder's `sources`; none is an empty one.
fn sources(folder: &Path) -> Result<String, Failure> {
    match fs_err::read(folder.join("sources")) {
        Ok(bytes) => Ok(text::decode(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error.into()),
    }
}

fn listed(pristine: &Pristine) -> Result<Vec<String>, Failure> {
    let text = sources(&pristine.folder)?;
    let listed = sources_file::listed(&text)
        .map_err(|error| Failure::because(Class::Input, "its `sources` cannot be read", &error))?;
    Ok(listed.into_iter().map(|line| line.file.to_owned()).collect())
}

/// Brings what neither folder has into the second one; says what that is.
fn fetch(
    context: &Context<'_>,
    project: &Project,
    rendering: &Rendering,
    component: &Component,
    named: &BTreeSet<String>,
    (rendered, input): (&Path, &Path),
) -> Result<Vec<String>, Failure> {
    let is_there = |name: &str| {
        let is_in = |folder: &Path| folder.join(name).symlink_metadata().is_ok();
        is_in(rendered) || is_in(input)
    };
    let lacking = named.iter().filter(|name| !is_there(name)).cloned().collect();
    let store = context.store()?;
    let mut options = rendering.options.clone();
    let is_made = |file: &SourceFile| {
        let mut origins = file.origins.iter();
        origins.any(|origin| matches!(origin, Origin::Custom { .. }))
    };
    if component.source_files.iter().any(is_made) {
        // Programs of the tree run over stage0's tools, as for `keel source fetch`.
        options.tools = context.stage0(project)?.tool_lowers();
    }
    let files = keel_source::lookaside::files(
        project,
        component,
        &lacking,
        &sources(input)?,
        (store, &options),
        context.sink(),
        &context.interrupt,
    )?;
    for file in &files {
        fs_err::copy(store.object(&file.digest)?, input.join(&file.name))?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        fs_err::set_permissions(input.join(&file.name), mode)?;
    }
    Ok(files.into_iter().map(|file| file.name).collect())
}

/// Puts what is in one folder into another one, over what has the same names there. Links that lie there are not followed.
fn move_into(from: &Path, to: &Path) -> Result<(), Failure> {
    fs_err::create_dir_all(to)?;
    for entry in fs_err::read_dir(from)? {
        let (entry, target) = entry.map(|entry| (entry.path(), to.join(entry.file_name())))?;
        match target.symlink_metadata() {
            Ok(metadata) if metadata.is_dir() => fs_err::remove_dir_all(&target)?,
            Ok(_) => fs_err::remove_file(&target)?,
            Err(_) => {}
        }
        if fs_err::rename(&entry, &target).is_ok() {
            continue;
        }
        // Another file system.
        let metadata = entry.symlink_metadata()?;
        if metadata.is_dir() {
            place::copy(&entry, &target)
                .map_err(|error| Failure::because(Class::Failed, "cannot write the folder", &error))?;
        } else if metadata.is_symlink() {
            fs_err::os::unix::fs::symlink(fs_err::read_link(&entry)?, &target)?;
        } else {
            fs_err::copy(&entry, &target)?;
        }
    }
    Ok(())
}
