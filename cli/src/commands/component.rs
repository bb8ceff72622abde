//! `keel component`: looking at components.

use keel_artefact::ComponentName;
use keel_spec::Recipe;
use serde::Serialize;

use crate::{args, context::Context, failure::Failure, pipeline, report};

#[derive(Serialize)]
struct Row<'a> {
    name: &'a ComponentName,
    version: String,
    packages: Vec<String>,
    licence: &'a str,
}

/// Does what was asked for.
pub fn run(context: &Context<'_>, command: args::Component) -> Result<(), Failure> {
    let project = context.project()?;
    match command {
        args::Component::List => {
            let stage0 = context.stage0(&project)?;
            let recipes = pipeline::recipes(context, &project, &stage0)?;
            let row = |recipe: &'_ Recipe| Row {
                name: project
                    .components
                    .get_key_value(&recipe.component)
                    .expect("recipes are of components")
                    .0,
                version: recipe.evr.to_string(),
                packages: recipe
                    .packages
                    .iter()
                    .map(|package| package.nevra.name.to_string())
                    .collect(),
                licence: "",
            };
            let rows: Vec<Row<'_>> = recipes
                .iter()
                .map(|recipe| Row {
                    licence: &recipe.licence,
                    ..row(recipe)
                })
                .collect();
            report::print(context, &rows, |rows| {
                let cells = |row: &Row<'_>| {
                    vec![
                        row.name.to_string(),
                        row.version.clone(),
                        row.licence.to_owned(),
                        row.packages.join(" "),
                    ]
                };
                report::table(
                    &["component", "version", "licence", "packages"],
                    &rows.iter().map(cells).collect::<Vec<_>>(),
                )
            })
        }
        args::Component::Show { name } => {
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
