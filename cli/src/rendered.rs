//! Is what lies in the folders of other distributions' SPECs what rendering gives now? Rules R87 to R89.
//!
//! 1. The digest of all that rendering depends on is taken ([`fingerprint`](keel_spec::render::fingerprint)).
//! 2. Where the store knows which folder that gives, the digests of folders are compared; nothing is rendered.
//! 3. All others are rendered into a scratch folder, compared file by file, and remembered.

use std::{path::PathBuf, sync::Arc};

use keel_artefact::{ComponentName, Event};
use keel_config::{Component, Diagnostic, Project, Spec};
use keel_source::dist_git;
use keel_spec::render::place::{self, Difference, How};

use crate::{
    args::component::Macros,
    context::Context,
    failure::{Class, Failure},
    rendering::{self, Rendering},
};

/// Files that differ, as many as are named.
const MOST_FILES: usize = 5;
/// Components that are told.
const MOST_COMPONENTS: usize = 10;

/// How a folder is.
enum State {
    Current,
    /// It is another one; how, if that can be told.
    Stale(Vec<Difference>),
    /// Nothing is here that it could be compared with.
    Unchecked,
    /// Nobody knows yet.
    Unknown,
}

/// Fails if the rendered folder of a component that is `wanted` is not what rendering gives. Without `may_fetch`, what the
/// store has is all that is looked at.
pub fn check(
    context: &Context<'_>,
    project: &Project,
    wanted: &dyn Fn(&ComponentName) -> bool,
    may_fetch: bool,
) -> Result<(), Failure> {
    let is_rendered = |component: &&Component| {
        matches!(component.spec, Some(Spec::Upstream(_)))
            && wanted(&component.name)
            && is_of_this_tree(project, component)
    };
    let chosen: Vec<&Component> = project.components.values().filter(is_rendered).collect();
    if chosen.is_empty() {
        return Ok(());
    }
    let project = Arc::new(project.clone());
    let scratch = context.store()?.temp_dir("rendered")?;
    let mut rendering = Rendering::new(context, &project, &Macros::default(), scratch.path())?;
    if let Some(rendering) = Arc::get_mut(&mut rendering) {
        rendering.options.offline |= !may_fetch;
    }
    let mut states = by_memory(&rendering, &project, &chosen)?;
    context.interrupt.check()?;
    let unknown: Vec<usize> = (0..states.len())
        .filter(|at| matches!(states[*at], Ok(State::Unknown)))
        .collect();
    let components: Vec<&Component> = unknown.iter().map(|at| chosen[*at]).collect();
    let rendered = by_rendering(&rendering, &project, &components)?;
    context.interrupt.check()?;
    for (at, state) in unknown.into_iter().zip(rendered) {
        states[at] = state;
    }
    tell(context, &project, &chosen, states)
}

/// What a base tree rendered is the base's to check; not so what this tree changes, or rendered itself.
fn is_of_this_tree(project: &Project, component: &Component) -> bool {
    let folder = project.rendered_spec(component);
    component.is_own() || folder.starts_with(&project.trees[0].rendered_specs_dir)
}

fn folder_of(project: &Project, component: &Component) -> PathBuf {
    let spec = project.rendered_spec(component);
    spec.parent().map(PathBuf::from).unwrap_or(spec)
}

/// By what the store remembers.
fn by_memory(
    rendering: &Arc<Rendering>,
    project: &Arc<Project>,
    chosen: &[&Component],
) -> Result<Vec<Result<State, Failure>>, Failure> {
    let project = Arc::clone(project);
    rendering.each_component(chosen, move |rendering, component| {
        let commit = match rendering.commit(component) {
            Err(dist_git::Error::Offline { .. }) => return Ok(State::Unchecked),
            commit => commit.map_err(rendering::no_spec)?,
        };
        let known = rendering.remembered(component, &commit)?;
        let is_out_of_reach = || rendering.options.offline && !rendering.has_files(component);
        Ok(match known {
            Some(known) if known == place::digest(&folder_of(&project, component))? => State::Current,
            Some(_) if is_out_of_reach() => State::Stale(Vec::new()),
            None if is_out_of_reach() => State::Unchecked,
            _ => State::Unknown,
        })
    })
}

/// By rendering.
fn by_rendering(
    rendering: &Arc<Rendering>,
    project: &Arc<Project>,
    chosen: &[&Component],
) -> Result<Vec<Result<State, Failure>>, Failure> {
    if chosen.is_empty() {
        return Ok(Vec::new());
    }
    let project = Arc::clone(project);
    rendering.each(chosen, move |rendering, component, pristine| {
        let prepared = rendering.prepare(component, pristine)?;
        let differences = place::differences(&folder_of(&project, component), &prepared.folder)?;
        rendering.remember(&prepared.pristine, &prepared.folder)?;
        fs_err::remove_dir_all(&prepared.folder)?;
        Ok(match differences.is_empty() {
            true => State::Current,
            false => State::Stale(differences),
        })
    })
}

fn tell(
    context: &Context<'_>,
    project: &Project,
    chosen: &[&Component],
    states: Vec<Result<State, Failure>>,
) -> Result<(), Failure> {
    let (mut wrong, mut class, mut unchecked) = (Vec::new(), Class::Input, 0);
    for (component, state) in chosen.iter().zip(states) {
        match state {
            Ok(State::Current) => {}
            Ok(State::Unchecked | State::Unknown) => unchecked += 1,
            Ok(State::Stale(differences)) => wrong.push(stale(project, component, &differences)),
            Err(failure) => {
                let mut failure = rendering::of(component, "check the rendered folder of", failure);
                if failure.class != Class::Input {
                    class = failure.class;
                    failure = failure.hint("with `--offline`, what cannot be asked is not checked");
                }
                wrong.extend(failure.diagnostics);
            }
        }
    }
    if unchecked > 0 {
        let text = format!(
            "{unchecked} rendered folders were not checked: the SPECs that they come from are not in the store, and are not \
             fetched here; `keel component render --check-only` does both"
        );
        context.sink().event(Event::Warning { text: &text });
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let more = wrong.len().saturating_sub(MOST_COMPONENTS);
    wrong.truncate(MOST_COMPONENTS);
    if let (Some(last), true) = (wrong.last_mut(), more > 0) {
        last.hints
            .push(format!("{more} more components are wrong in this way"));
    }
    Err(Failure {
        class,
        diagnostics: wrong,
    })
}

fn stale(project: &Project, component: &Component, differences: &[Difference]) -> Diagnostic {
    let name = &component.name;
    let folder = folder_of(project, component);
    let shown = project.display(&folder).display().to_string();
    let message = match folder.is_dir() {
        true => format!("the rendered folder of `{name}` is not what rendering gives now"),
        false => format!("the rendered folder of `{name}` is not there"),
    };
    let mut diagnostic = Diagnostic::new(message)
        .at(component.defined_at.clone())
        .note(format!("it is {shown}"));
    for difference in differences.iter().take(MOST_FILES) {
        let how = match difference.how {
            How::Added => "is missing",
            How::Removed => "should not be there",
            How::Changed => "is another one",
        };
        diagnostic = diagnostic.cause(format!("{shown}/{} {how}", difference.file));
    }
    if differences.is_empty() {
        diagnostic = diagnostic
            .cause("which files differ cannot be told: the SPEC is not in the store, only what it gave");
    }
    if differences.len() > MOST_FILES {
        diagnostic = diagnostic.cause(format!("and {} more files", differences.len() - MOST_FILES));
    }
    diagnostic.hint(format!(
        "`keel component render {name}` writes it anew; changes of one's own belong into overlays"
    ))
}
