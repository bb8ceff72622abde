//! `keel licenses`: under which licence each SPEC is, and what it builds.

use std::collections::{BTreeMap, BTreeSet};

use keel_artefact::ComponentName;
use keel_config::{Diagnostic, Location};
use serde::Serialize;
use spdx::{Expression, ParseMode};

use crate::{
    args::Licenses,
    context::Context,
    failure::{Class, Failure},
    pipeline, report,
};

/// What counts as an expression: SPDX's, and identifiers that it knows and would have written otherwise today.
const MODE: ParseMode = ParseMode {
    allow_deprecated: true,
    ..ParseMode::STRICT
};

/// What is under one licence, or one expression of several.
#[derive(Default, Serialize)]
struct Under<'p> {
    /// SPECs, with the patches and files beside them that say nothing else.
    specs: BTreeSet<&'p ComponentName>,
    /// What components build, as their SPECs say.
    programs: BTreeSet<&'p ComponentName>,
}

/// All licences of a tree.
#[derive(Serialize)]
struct Licences<'p> {
    licences: BTreeMap<String, Under<'p>>,
    /// Components for whose SPEC no licence is said.
    without: Vec<&'p ComponentName>,
    /// Expressions that SPDX does not know, and why.
    unknown: BTreeMap<String, String>,
}

/// Tells them; with `--check`, fails for what is wrong.
pub fn run(context: &Context<'_>, command: &Licenses) -> Result<(), Failure> {
    let project = pipeline::project(context)?;
    let stage0 = context.stage0(&project)?;
    let recipes = pipeline::recipes(context, &project, &stage0)?;
    let mut licences: BTreeMap<String, Under<'_>> = BTreeMap::new();
    let (mut without, mut diagnostics) = (Vec::new(), Vec::new());
    for component in project.own_components() {
        match &component.licence {
            Some(licence) => {
                let under = licences.entry(licence.clone()).or_default();
                under.specs.insert(&component.name);
            }
            None => {
                without.push(&component.name);
                let text = format!("nothing says the licence of the SPEC of `{}`", component.name);
                diagnostics.push(Diagnostic::new(text).at(component.defined_at.clone()));
            }
        }
    }
    for recipe in &recipes {
        if let Some(component) = project.components.get(&recipe.component)
            && component.is_own()
        {
            let under = licences.entry(recipe.licence.clone()).or_default();
            under.programs.insert(&component.name);
        }
    }
    let mut unknown = BTreeMap::new();
    for (licence, under) in &licences {
        let Err(error) = Expression::parse_mode(licence, MODE) else {
            continue;
        };
        unknown.insert(licence.clone(), error.reason.to_string());
        let all = under.specs.iter().chain(&under.programs);
        let names: BTreeSet<String> = all.map(|name| format!("`{name}`")).collect();
        let of = |name: &&ComponentName| project.components.get(*name);
        let recipe = recipes
            .iter()
            .find(|recipe| under.programs.contains(&recipe.component));
        let at = match (under.specs.first().and_then(of), recipe) {
            (Some(component), _) => component.defined_at.clone(),
            (None, Some(recipe)) => Location::file(&recipe.spec_shown),
            (None, None) => continue,
        };
        diagnostics.push(
            Diagnostic::new(format!("`{licence}` is no SPDX expression: {}", error.reason))
                .at(at)
                .note(format!("of {}", names.into_iter().collect::<Vec<_>>().join(", "))),
        );
    }
    let found = Licences {
        licences,
        without,
        unknown,
    };
    report::print(context, &found, text)?;
    if !command.check || diagnostics.is_empty() {
        return Ok(());
    }
    let failure = Failure {
        class: Class::Failed,
        diagnostics,
    };
    Err(match found.without.is_empty() {
        true => failure,
        false => failure.hint("say it for all: [default-component-config]\n  licence = \"MIT\""),
    })
}

fn text(found: &Licences<'_>) -> String {
    let mut lines = Vec::new();
    let names = |names: &mut dyn Iterator<Item = &&ComponentName>| {
        let names: Vec<&str> = names.map(|name| name.as_str()).collect();
        names.join(" ")
    };
    for (licence, under) in &found.licences {
        let known = match found.unknown.get(licence) {
            Some(why) => format!("   ({why})"),
            None => String::new(),
        };
        lines.push(format!("{licence}{known}"));
        for (what, under) in [("SPECs", &under.specs), ("programs", &under.programs)] {
            if !under.is_empty() {
                lines.push(format!("  {what:8}  {}", names(&mut under.iter())));
            }
        }
    }
    if !found.without.is_empty() {
        lines.push(format!(
            "nothing is said of the SPECs of  {}",
            names(&mut found.without.iter())
        ));
    }
    lines.join("\n")
}
