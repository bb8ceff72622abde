//! `keel check`: the whole tree, without building or fetching.

use std::collections::BTreeMap;

use keel_config::{Diagnostic, Location, Project};
use keel_plan::Targets;
use keel_source::SourceSet;
use keel_spec::{Recipe, lint, macros::text};
use serde::Serialize;

use crate::{
    base::Base,
    context::Context,
    failure::{Class, Failure},
    pipeline, rendered, replan, report,
};

/// A SPEC beyond this size has other problems.
const LARGEST: u64 = 16 << 20;

/// Headers of sections that rpm would take for text. What rpm itself refuses is told when SPECs are evaluated.
fn sections(context: &Context<'_>, project: &Project) -> Result<(), Failure> {
    let mut diagnostics = Vec::new();
    for component in project.components.values() {
        context.interrupt.check()?;
        let Ok(path) = project.spec_file(component) else {
            // Its own error comes with all others.
            continue;
        };
        if fs_err::metadata(&path).map_or(true, |metadata| metadata.len() > LARGEST) {
            continue;
        }
        let text = text::decode(&fs_err::read(&path)?).into_owned();
        let shown = project.display(&path);
        for finding in lint::misspelt_sections(&text) {
            let hint = "if it is right, `# keel-lint: allow(misspelt-section)` in the line before says so";
            let line = text
                .lines()
                .nth(finding.line.saturating_sub(1) as usize)
                .unwrap_or_default();
            diagnostics.push(
                Diagnostic::new(finding.message)
                    .at(Location::line(shown.clone(), finding.line))
                    .note(format!(
                        "`{}`: rpm takes this line, and those after it, for text of the section before",
                        line.trim()
                    ))
                    .hint(hint),
            );
        }
    }
    match diagnostics.is_empty() {
        true => Ok(()),
        false => Err(Failure {
            class: Class::Input,
            diagnostics,
        }),
    }
}

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
    sections(context, &project)?;
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
    let base = Base::of(context, &project, &recipes, &Targets::Packages(Vec::new()))?;
    let known = |generated| keel_plan::Known {
        generated,
        published: &base.published,
        interrupt: &context.interrupt,
    };
    let generated = keel_plan::fitting(&project, &recipes, &known(&generated), &|_| false)?;
    let known = known(&generated);
    pipeline::select(context, &project, &stage0, &recipes, &targets, &known)?;
    let names = recipes.iter().map(|recipe| &recipe.component);
    let costs = keel_build::record::costs(context.store()?, &project.name, context.arch(), names)?;
    let plan = keel_plan::plan(&project, &recipes, &sources, &targets, &costs, &known)?;
    let mut images = BTreeMap::new();
    for image in (project.images.values()).filter(|image| image.check_buildable().is_ok()) {
        let targets = Targets::Packages(image.all_packages());
        images.insert(
            &image.name,
            pipeline::select(context, &project, &stage0, &recipes, &targets, &known)?.len(),
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
