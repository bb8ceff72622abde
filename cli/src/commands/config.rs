//! `keel config`: what the tree's TOML says, and why.

use std::collections::BTreeMap;

use keel_config::{Explanation, Project, Spec, schema};
use keel_spec::overlay::kind_of;
use serde::Serialize;

use crate::{
    args::config::{Config, SchemaOf},
    context::Context,
    failure::Failure,
    report,
};

/// How much there is of what.
#[derive(Debug, Default, Serialize)]
struct Counts {
    project: String,
    files: usize,
    components: usize,
    own_components: usize,
    bare_components: usize,
    local_specs: usize,
    upstream_specs: usize,
    pinned_specs: usize,
    renamed_specs: usize,
    manual_releases: usize,
    skipped_checks: usize,
    source_files: usize,
    overlays: usize,
    components_with_overlays: usize,
    overlays_by_type: BTreeMap<&'static str, usize>,
    component_groups: usize,
    package_groups: usize,
    packages_in_groups: usize,
    images: usize,
    test_suites: usize,
    repositories: usize,
}

/// Does what was asked for.
pub fn run(context: &Context<'_>, command: Config) -> Result<(), Failure> {
    let checkout = |base: &keel_config::GitBase| context.checkout(base);
    match command {
        Config::Check => report::print(context, &count(&context.project()?), show),
        Config::Dump { resolve } => {
            let dump = keel_config::dump(&context.directory, &checkout, resolve)?;
            report::print(context, &dump, keel_config::Dump::toml)
        }
        Config::Explain { key } => {
            let explained = keel_config::explain(&context.directory, &checkout, &key)?;
            report::print(context, &explained, |explained| {
                let shown: Vec<String> = explained.iter().map(explanation).collect();
                shown.join("\n\n")
            })
        }
        Config::Schema { kind } => {
            let kind = match kind {
                SchemaOf::Project => schema::Kind::Project,
                SchemaOf::Image => schema::Kind::Image,
                SchemaOf::Overlays => schema::Kind::Overlays,
            };
            let json = serde_json::to_string_pretty(&schema::schema(kind));
            let json = json.map_err(|error| {
                Failure::because(crate::failure::Class::Bug, "cannot write the schema", &error)
            })?;
            report::line(&json)
        }
    }
}

fn count(project: &Project) -> Counts {
    let mut counts = Counts {
        project: project.name.clone(),
        files: project.files.len(),
        components: project.components.len(),
        own_components: project.own_components().count(),
        component_groups: project.component_groups.len(),
        package_groups: project.package_groups.len(),
        packages_in_groups: project
            .package_groups
            .values()
            .map(|group| group.packages.len())
            .sum(),
        images: project.images.len(),
        test_suites: project.test_suites.len(),
        repositories: project.resources.repositories.len(),
        ..Counts::default()
    };
    for component in project.components.values() {
        match &component.spec {
            Some(Spec::Local { .. }) => counts.local_specs += 1,
            Some(Spec::Upstream(upstream)) => {
                counts.upstream_specs += 1;
                counts.pinned_specs += usize::from(upstream.commit.is_some());
                counts.renamed_specs += usize::from(upstream.name.is_some());
            }
            None => {}
        }
        counts.bare_components += usize::from(component.is_bare);
        counts.manual_releases += usize::from(component.release == keel_config::overlay::Calculation::Manual);
        counts.skipped_checks += usize::from(component.build.check.skip);
        counts.source_files += component.source_files.len();
        counts.overlays += component.overlays.len();
        counts.components_with_overlays += usize::from(!component.overlays.is_empty());
        for overlay in &component.overlays {
            *counts
                .overlays_by_type
                .entry(kind_of(&overlay.change))
                .or_default() += 1;
        }
    }
    counts
}

fn show(counts: &Counts) -> String {
    let mut lines = vec![format!("{} is right", counts.project)];
    let rows = [
        ("files", counts.files),
        ("components", counts.components),
        ("  of this tree", counts.own_components),
        ("  bare", counts.bare_components),
        ("  local SPEC", counts.local_specs),
        ("  upstream SPEC", counts.upstream_specs),
        ("    pinned", counts.pinned_specs),
        ("    of another name", counts.renamed_specs),
        ("  release by hand", counts.manual_releases),
        ("  without %check", counts.skipped_checks),
        ("  with overlays", counts.components_with_overlays),
        ("component groups", counts.component_groups),
        ("package groups", counts.package_groups),
        ("  packages", counts.packages_in_groups),
        ("images", counts.images),
        ("test suites", counts.test_suites),
        ("repositories", counts.repositories),
        ("source files", counts.source_files),
        ("overlays", counts.overlays),
    ];
    let by_type = counts.overlays_by_type.iter();
    let rows = (rows.iter().map(|(name, count)| ((*name).to_owned(), *count)))
        .chain(by_type.map(|(kind, count)| (format!("  {kind}"), *count)));
    lines.extend(rows.map(|(name, count)| format!("{name:24}{count:>7}")));
    lines.join("\n")
}

fn explanation(explanation: &Explanation) -> String {
    let value = explanation.value.as_deref().unwrap_or("not said");
    let mut lines = vec![format!("{} = {}", explanation.key, short(value))];
    if explanation.said.is_empty() {
        lines.push("  the default: no file says anything".to_owned());
    }
    for said in &explanation.said {
        let counts = if said.counts { "counts" } else { "lost" };
        lines.push(format!(
            "  {counts:6}  {}  {}  {}",
            said.at,
            said.layer,
            short(&said.value)
        ));
    }
    lines.join("\n")
}

/// Long values in part; `--output json` has them whole.
fn short(value: &str) -> String {
    const MOST: usize = 120;
    match value.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}…", &value[..at]),
        None => value.to_owned(),
    }
}
