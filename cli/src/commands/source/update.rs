//! `keel source update`: what is newer, and the versions that TOML alone names written and pinned.

use keel_artefact::Event;
use keel_config::{Location, Project};
use keel_source::{
    Options, Trust,
    updating::{self, Change, Edited, Update},
};
use keel_spec::Recipe;
use serde::Serialize;

use crate::{
    base::{self, State},
    context::Context,
    failure::{Class, Failure},
    pipeline, report,
};

/// One file, for programs.
#[derive(Serialize)]
struct Row<'a> {
    /// Of the repository of a base: `keel.base`.
    component: &'a str,
    file: &'a str,
    origin: &'a str,
    now: Option<String>,
    /// Null if nothing is newer.
    newest: Option<String>,
    /// `newest`, `newer`, `unknown`, or `set` where the configuration was changed and the file pinned.
    state: &'static str,
    /// What is to be done, or was done; or why it cannot be told.
    note: Option<String>,
    /// Where Keel changed it.
    edited: Option<&'a Location>,
}

/// Does it for these recipes.
pub(super) fn run(
    context: &Context<'_>,
    project: &Project,
    recipes: &[Recipe],
    options: &Options,
    trust: &Trust,
    states: Vec<State>,
    check_only: bool,
) -> Result<(), Failure> {
    let (store, sink) = (context.store()?, context.sink());
    let updates = keel_source::update(project, recipes, store, options, trust, sink, &context.interrupt)?;
    let newer = updates
        .files
        .iter()
        .filter(|update| update.newest.is_some())
        .count();
    let edits = |update: &&Update| matches!(update.change, Change::Toml { .. });
    let edited = !check_only && updates.files.iter().any(|update| edits(&update));
    if edited {
        let components: Vec<_> = updates
            .files
            .iter()
            .filter(edits)
            .map(|update| &update.component)
            .collect();
        let mut recipes = recipes.to_vec();
        recipes.retain(|recipe| components.contains(&&recipe.component));
        let written = updating::edit(project, &updates.files)?;
        if let Err(mut failure) = pin(context, &recipes, options, trust) {
            take_back(&written, &mut failure);
            return Err(failure);
        }
    }
    let newer = newer + states.iter().filter(|state| state.newer().is_some()).count();
    if !check_only {
        base::pin_states(context, project, &states)?;
    }
    let files = updates.files.iter().map(|update| row(update, edited));
    let repositories = states.iter().map(|state| of_repository(state, !check_only));
    let rows: Vec<Row<'_>> = files.chain(repositories).collect();
    let same = rows.len() - rows.iter().filter(|row| row.note.is_some()).count();
    if same > 0 {
        let text = format!("{same} of {} pinned files are the newest", rows.len());
        sink.event(Event::Note { text: &text });
    }
    report::print(context, &rows, |rows| text(rows))?;
    if let Some(failure) = failed(updates.failures, states) {
        return Err(failure);
    }
    match (check_only, newer) {
        (true, 1..) => Err(Failure::new(
            Class::Failed,
            format!("{newer} pinned files have newer versions"),
        )),
        _ => Ok(()),
    }
}

/// What could not be told, of files and of repositories.
fn failed(files: Option<keel_source::Errors>, states: Vec<State>) -> Option<Failure> {
    let repositories = states.into_iter().filter_map(|state| state.now.err());
    let all = files.map(Failure::from).into_iter().chain(repositories);
    all.reduce(|mut first, more| {
        first.diagnostics.extend(more.diagnostics);
        first
    })
}

/// Pins what the configuration, which was changed, now names.
fn pin(context: &Context<'_>, recipes: &[Recipe], options: &Options, trust: &Trust) -> Result<(), Failure> {
    let project = pipeline::project(context)?;
    let (store, sink) = (context.store()?, context.sink());
    let changes = keel_source::lock(&project, recipes, store, options, trust, sink, &context.interrupt)?;
    for line in changes.to_string().lines() {
        sink.event(Event::Note { text: line });
    }
    Ok(())
}

/// A version that cannot be pinned does not stay in the configuration.
fn take_back(written: &Edited, failure: &mut Failure) {
    if let Err(error) = written.undo() {
        let more = Failure::because(Class::Environment, "cannot take back what was written", &error);
        failure.diagnostics.extend(more.diagnostics);
    }
}

fn row(update: &Update, edited: bool) -> Row<'_> {
    let (note, edited) = match &update.change {
        Change::Nothing => (None, None),
        Change::Unknown(why) => (Some(why.clone()), None),
        Change::Person(what) => (
            Some(format!("{what}; then `keel source lock {}`", update.component)),
            None,
        ),
        Change::Toml { location, key, value } => {
            let what = if edited { "set and pinned" } else { "to set" };
            let note = format!("{what}: `{key} = \"{value}\"` at {location}");
            (Some(note), edited.then_some(location))
        }
    };
    let state = match (&update.change, &update.newest) {
        (Change::Unknown(_), _) => "unknown",
        (Change::Toml { .. }, _) if edited.is_some() => "set",
        (_, Some(_)) => "newer",
        (_, None) => "newest",
    };
    Row {
        component: update.component.as_str(),
        file: &update.name,
        state,
        origin: &update.origin,
        now: update.now.clone(),
        newest: update.newest.clone(),
        note,
        edited,
    }
}

/// The repository of a base.
fn of_repository(state: &State, pinned: bool) -> Row<'_> {
    let newer = state.newer();
    let (word, note) = match (&state.now, newer, pinned) {
        (Err(failure), ..) => ("unknown", Some(failure.in_a_line())),
        (Ok(_), None, _) => ("newest", None),
        (Ok(_), Some(_), true) => ("set", Some("pinned in keel.lock".to_owned())),
        (Ok(_), Some(_), false) => ("newer", Some("to be pinned by `keel source update`".to_owned())),
    };
    Row {
        component: "keel.base",
        file: "repomd.xml",
        origin: &state.address,
        now: state.pinned.map(|digest| digest.to_string()),
        newest: newer.map(|digest| digest.to_string()),
        state: word,
        note,
        edited: None,
    }
}

/// All that is not the newest, as a table, and below it what to do.
fn text(rows: &[Row<'_>]) -> String {
    let told: Vec<&Row<'_>> = rows.iter().filter(|row| row.note.is_some()).collect();
    if told.is_empty() {
        return String::new();
    }
    let cells = |row: &&Row<'_>| {
        vec![
            row.component.to_string(),
            row.file.to_owned(),
            row.now.clone().unwrap_or("-".to_owned()),
            row.newest.clone().unwrap_or("?".to_owned()),
            row.origin.to_owned(),
        ]
    };
    let rows: Vec<_> = told.iter().map(cells).collect();
    let mut text = report::table(&["component", "file", "now", "newest", "origin"], &rows);
    for row in told {
        let note = row.note.as_deref().unwrap_or_default();
        text.push_str(&format!("\n{}: {}: {note}", row.component, row.file));
    }
    text
}
