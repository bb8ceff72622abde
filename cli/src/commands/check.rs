//! `keel check`: the whole tree, without building or fetching.

use std::collections::BTreeMap;

use keel_plan::Targets;
use keel_source::SourceSet;
use keel_spec::Recipe;
use serde::Serialize;

use crate::{context::Context, failure::Failure, pipeline, rendered, replan, report};

#[derive(Serialize)]
struct Checked {
    components: usize,
    packages: usize,
    images: usize,
    cpu_seconds: f64,
}

/// Configuration, SPECs, pins, and that a plan exists.
pub fn run(context: &Context<'_>) -> Result<(), Failure> {
    let project = pipeline::project(context)?;
    crate::policy::of(&project)?;
    let stage0 = context.stage0(&project)?;
    let recipes = pipeline::recipes(context, &project, &stage0)?;
    rendered::check(context, &project, &|_| true, false)?;
    keel_source::check(&project, &recipes, &pipeline::source_options(context)?)?;
    let generated = replan::remembered(context, &project, &stage0, &recipes)?;
    // Nothing is fetched, so the plan is of jobs without their files.
    let no_files = |recipe: &Recipe| SourceSet {
        format: keel_source::FORMAT,
        component: recipe.component.clone(),
        arch: recipe.arch,
        files: Vec::new(),
    };
    let sources: Vec<SourceSet> = recipes.iter().map(no_files).collect();
    let targets = pipeline::all(&project);
    pipeline::select(context, &project, &stage0, &recipes, &targets, &generated)?;
    let names = recipes.iter().map(|recipe| &recipe.component);
    let costs = keel_build::record::costs(context.store()?, &project.name, context.arch(), names)?;
    let plan = keel_plan::plan(&project, &recipes, &sources, &targets, &costs, &generated)?;
    let mut images = BTreeMap::new();
    for image in (project.images.values()).filter(|image| image.check_buildable().is_ok()) {
        let targets = Targets::Packages(image.packages.clone());
        images.insert(
            &image.name,
            pipeline::select(context, &project, &stage0, &recipes, &targets, &generated)?.len(),
        );
    }
    let checked = Checked {
        components: project.components.len(),
        packages: recipes.iter().map(|recipe| recipe.packages.len()).sum(),
        images: images.len(),
        cpu_seconds: plan.jobs.iter().map(|job| job.cpu_seconds).sum(),
    };
    report::print(context, &checked, |checked| {
        format!(
            "{} is right: {} components, {} packages, {} images; a full build takes about {:.0} processor seconds",
            project.name, checked.components, checked.packages, checked.images, checked.cpu_seconds
        )
    })
}
