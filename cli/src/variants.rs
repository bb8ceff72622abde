//! SPECs read with their build conditions the other way round: is one of them the way out of a cycle?

use std::sync::Arc;

use keel_artefact::event::Silent;
use keel_config::Project;
use keel_host::stage0::Stage0;
use keel_plan::Variant;
use keel_spec::{Recipe, conditions::conditions};

use crate::context::Context;

/// How many conditions of one SPEC are tried: each is a reading of it.
const MOST: usize = 24;

/// The SPEC of `recipe`, with each condition turned round. One that cannot be read so is no way out.
pub fn of(context: &Context<'_>, project: &Project, stage0: &Stage0, recipe: &Recipe) -> Vec<Variant> {
    let Ok(bytes) = fs_err::read(&recipe.spec_file) else {
        return Vec::new();
    };
    let build = project
        .components
        .get(&recipe.component)
        .map(|component| &component.build);
    let is_said =
        |name: &String| build.is_some_and(|build| build.with.contains(name) || build.without.contains(name));
    let mut variants = Vec::new();
    for condition in conditions(&String::from_utf8_lossy(&bytes))
        .into_iter()
        .take(MOST)
    {
        if is_said(&condition.name) {
            continue;
        }
        let turns = match condition.default {
            Some(default) => vec![!default],
            None => vec![false, true],
        };
        for on in turns {
            let Some(recipe) = read(context, project, stage0, recipe, &condition.name, on) else {
                continue;
            };
            let key = if on { "with" } else { "without" };
            variants.push(Variant {
                setting: format!("{key} = [\"{}\"]", condition.name),
                recipe,
            });
        }
    }
    variants
}

fn read(
    context: &Context<'_>,
    project: &Project,
    stage0: &Stage0,
    recipe: &Recipe,
    condition: &str,
    on: bool,
) -> Option<Recipe> {
    let mut project = project.clone();
    let component = project.components.get_mut(&recipe.component)?;
    let build = &mut Arc::make_mut(&mut component.settings).build;
    let list = if on { &mut build.with } else { &mut build.without };
    list.push(condition.to_owned());
    let read = keel_spec::evaluate(
        &project,
        std::slice::from_ref(&recipe.component),
        context.arch(),
        stage0,
        context.store().ok()?,
        &keel_spec::Additions::default(),
        &Silent,
        &context.interrupt,
    );
    read.ok()?.into_iter().next()
}
