//! `keel component`: looking at components.

use std::collections::BTreeMap;

use keel_artefact::ComponentName;
use keel_config::{Component, Location, Spec};
use keel_spec::{Recipe, overlay::kind_of};
use serde::Serialize;

use crate::{
    args::{component::Component as Command, config::Select},
    context::Context,
    failure::Failure,
    pipeline, report,
};

/// One line of the list.
#[derive(Serialize)]
struct Row<'a> {
    name: &'a ComponentName,
    /// Of this tree, and not of one that it stands on.
    own: bool,
    spec: &'a Option<Spec>,
    groups: &'a [String],
    overlays: BTreeMap<&'static str, usize>,
    defined_at: &'a Location,
}

fn list(context: &Context<'_>, select: &Select) -> Result<(), Failure> {
    let project = context.project()?;
    let row = |component: &'_ Component| -> Row<'_> {
        let component = &project.components[&component.name];
        let mut overlays = BTreeMap::new();
        for overlay in &component.overlays {
            *overlays.entry(kind_of(&overlay.change)).or_default() += 1;
        }
        Row {
            name: &component.name,
            own: component.is_own(),
            spec: &component.spec,
            groups: &component.groups,
            overlays,
            defined_at: &component.defined_at,
        }
    };
    let chosen = keel_config::select::select(&project, &select.selection())?;
    let rows: Vec<Row<'_>> = chosen.into_iter().map(row).collect();
    report::print(context, &rows, |rows| {
        let cells = |row: &Row<'_>| {
            let overlays: usize = row.overlays.values().sum();
            let spec = match row.spec {
                Some(Spec::Local { .. }) => "local".to_owned(),
                Some(Spec::Upstream(upstream)) => upstream.to_string(),
                None => "-".to_owned(),
            };
            vec![
                row.name.to_string(),
                spec,
                match overlays {
                    0 => "-".to_owned(),
                    count => count.to_string(),
                },
                row.groups.join(" "),
            ]
        };
        report::table(
            &["component", "spec", "overlays", "groups"],
            &rows.iter().map(cells).collect::<Vec<_>>(),
        )
    })
}

/// Does what was asked for.
pub fn run(context: &Context<'_>, command: Command) -> Result<(), Failure> {
    match command {
        Command::Add(command) => super::add::run(context, &command),
        Command::Changed(command) => super::changed::run(context, &command),
        Command::Diff(command) => super::diff::run(context, &command),
        Command::History(command) => super::history::run(context, &command),
        Command::List(select) => list(context, &select),
        Command::PrepareSources(command) => super::prepare_sources::run(context, &command),
        Command::Query(command) => super::query::run(context, &command),
        Command::Render(command) => super::render::render(context, &command),
        Command::Show { name } => {
            let project = pipeline::project(context)?;
            super::check_component(&project, &name)?;
            let stage0 = context.stage0(&project)?;
            let recipes = pipeline::recipes(context, &project, &stage0)?;
            let recipe = recipes.into_iter().find(|recipe| recipe.component == name);
            let recipe = recipe.expect("every component has a recipe");
            report::print(context, &recipe, show)
        }
    }
}

fn show(recipe: &Recipe) -> String {
    let mut lines = vec![
        format!("component  {}", recipe.component),
        format!("version    {}", recipe.evr),
        format!("licence    {}", recipe.licence),
        format!("spec       {}", recipe.spec_shown.display()),
        format!("clock      {}", recipe.source_date_epoch.rfc3339()),
    ];
    for package in &recipe.packages {
        lines.push(format!("package    {}: {}", package.nevra, package.summary));
    }
    for source in &recipe.sources {
        lines.push(format!("source     {}", source.file_name));
    }
    for need in &recipe.build_requires {
        lines.push(format!("needs      {}", need.dependency));
    }
    lines.join("\n")
}
