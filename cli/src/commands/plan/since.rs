//! `keel plan --changed-since`: what a build of the files as they are now differs in from one of an earlier revision.

use std::collections::{BTreeMap, BTreeSet};

use keel_artefact::{ComponentName, Sha256};
use keel_build::{
    Forecast,
    fingerprint::{self, Input, Own},
    forecast::{Replaced, State},
    record::{self, Change},
};
use keel_config::Project;
use keel_plan::Plan;
use keel_source::SourceSet;
use keel_spec::Recipe;
use serde::Serialize;

use super::{Foreseen, Summary, cost, reason, word};
use crate::{
    args,
    context::Context,
    failure::Failure,
    names,
    pipeline::{self, Files, Planned},
    report,
    revision::History,
};

/// What differs.
#[derive(Serialize)]
struct Shown<'a> {
    since: &'a str,
    /// Jobs that differ or may, in the order of building. `built_before`: it was there then.
    jobs: Vec<Row<'a>>,
    /// Components that were there then.
    removed: Vec<ComponentName>,
    /// Keys of the configuration that are in every build root and differ.
    everywhere: Vec<&'static str>,
    summary: &'a Summary,
}

#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    forecast: &'a Forecast,
    version: String,
    cost: String,
    /// The store has the result already.
    in_store: bool,
}

/// Compares.
pub fn run(
    context: &Context<'_>,
    command: &args::plan::Plan,
    revision: &str,
    at_once: usize,
) -> Result<(), Failure> {
    let history = History::open(context)?;
    let then = history.at(revision, "then")?;
    let in_revision = |failure: Failure| failure.hint(format!("this is in revision `{revision}`"));
    let now = pipeline::plan(context, &command.targets, Files::Pinned)?;
    let then = crate::commands::render::applied(context, then.project).map_err(in_revision)?;
    let old = Old::read(context, then, &now).map_err(in_revision)?;
    let everywhere = old.everywhere(&now.project);
    let forecasts = forecasts(&now, &old, !everywhere.is_empty());
    let foreseen = Foreseen::with(&now.plan, forecasts, at_once);
    let of_store = Foreseen::of(context, &now, at_once)?;
    let mut jobs = Vec::new();
    for ((job, forecast), (_, stored)) in foreseen.jobs().zip(of_store.jobs()) {
        if forecast.state != State::Cached {
            jobs.push(Row {
                forecast,
                version: job.recipe.evr.to_string(),
                cost: cost(job),
                in_store: stored.state == State::Cached,
            });
        }
    }
    let is_gone = |name: &&ComponentName| !now.project.components.contains_key(*name);
    let shown = Shown {
        since: revision,
        jobs,
        removed: old.inputs.keys().filter(is_gone).cloned().collect(),
        everywhere,
        summary: &foreseen.summary,
    };
    report::print(context, &shown, table)
}

fn table(shown: &Shown<'_>) -> String {
    let row = |row: &Row<'_>| {
        let why = match (row.forecast.built_before, shown.everywhere.as_slice()) {
            (false, _) => "new".to_owned(),
            (true, []) => reason(row.forecast),
            (true, keys) if row.forecast.changes.is_empty() => format!("{} differ", keys.join(", ")),
            (true, _) => reason(row.forecast),
        };
        let state = word(row.forecast.state);
        let cost = if row.in_store { "in the store" } else { &row.cost };
        [row.forecast.component.as_str(), &row.version, state, cost, &why]
            .map(str::to_owned)
            .to_vec()
    };
    let rows: Vec<_> = shown.jobs.iter().map(row).collect();
    let mut text = match rows.is_empty() {
        true => format!("nothing that is built differs from {}", shown.since),
        false => {
            let heading = ["component", "version", "state", "cost", "why"];
            format!(
                "{}\n\n{}",
                report::table(&heading, &rows),
                shown.summary.to_string().replacen("cached", "as before", 1)
            )
        }
    };
    if !shown.removed.is_empty() {
        let names: Vec<&str> = shown.removed.iter().map(ComponentName::as_str).collect();
        text.push_str(&format!("\ngone: {}", names.join(" ")));
    }
    text
}

/// What builds saw then.
struct Old {
    project: Project,
    inputs: BTreeMap<ComponentName, Vec<Input>>,
    /// Identities of all packages.
    packages: BTreeSet<String>,
}

impl Old {
    /// With the stage0 of now, which is what both are read with; where another was asked for then, all inputs say so.
    fn read(context: &Context<'_>, project: Project, now: &Planned) -> Result<Self, Failure> {
        let recipes = pipeline::recipes(context, &project, &now.stage0)?;
        let sources = pipeline::pinned(context, &project, &recipes)?;
        let asked = |project: &Project| {
            let stage0 = &project.stage0;
            format!("{:?} {:?} {:?}", stage0.suite, stage0.packages, stage0.libc_dev)
        };
        let stage0 = match asked(&project) == asked(&now.project) {
            true => now.stage0.digest,
            false => Sha256::of(asked(&project).as_bytes()),
        };
        let inputs = |(recipe, sources): (&Recipe, &SourceSet)| {
            let build = project
                .components
                .get(&recipe.component)
                .map(|component| &component.build);
            let own = Own {
                recipe,
                sources,
                skip_check: build.is_some_and(|build| build.check.skip),
                borrowed_libc: build.is_some_and(|build| build.borrowed_libc),
                bootstrap_libc: build.is_some_and(|build| build.bootstrap_libc),
            };
            (recipe.component.clone(), fingerprint::own_inputs(&own, &stage0))
        };
        let packages = recipes.iter().flat_map(|recipe| &recipe.packages);
        Ok(Self {
            inputs: recipes.iter().zip(&sources).map(inputs).collect(),
            packages: packages.map(|package| package.nevra.to_string()).collect(),
            project,
        })
    }

    /// What is in every build root, and differs.
    fn everywhere(&self, now: &Project) -> Vec<&'static str> {
        let then = &self.project;
        let mut keys = Vec::new();
        if then.base_requires != now.base_requires {
            keys.push("base-requires");
        }
        if then.stage0.lends.keys().ne(now.stage0.lends.keys()) {
            keys.push("lends");
        }
        // What cannot be read is told by whoever needs it; here it counts as another.
        let pins = |project: &Project| names::lock(project).ok().map(|lock| lock.repositories);
        if pins(then) != pins(now) {
            keys.push("the base's repository");
        }
        keys
    }

    fn changes(&self, own: &[Input], component: &ComponentName) -> Option<Vec<Change>> {
        Some(record::changes(self.inputs.get(component)?, own))
    }
}

/// Each job as it is compared with then: [`State::Cached`] is one that does not differ.
fn forecasts(now: &Planned, old: &Old, all: bool) -> Vec<Forecast> {
    let mut differ: BTreeMap<&ComponentName, State> = BTreeMap::new();
    let mut forecasts = Vec::new();
    for job in &now.plan.jobs {
        let own = fingerprint::own_inputs(&Own::from(job), &now.stage0.digest);
        let changes = old.changes(&own, &job.component);
        let waits: Vec<ComponentName> = job
            .needs
            .iter()
            .filter(|need| differ.contains_key(need))
            .cloned()
            .collect();
        let replaced = replaced(&now.plan, old, &waits);
        let state = match &changes {
            None => Some(State::Build),
            Some(changes) if !changes.is_empty() => Some(State::Build),
            // That it needs them means that packages of theirs are in its root.
            Some(_) if !replaced.is_empty() => Some(State::Build),
            Some(_) => {
                let follows = all || job.after.iter().any(|name| differ.contains_key(name));
                follows.then_some(State::Maybe)
            }
        };
        if let Some(state) = state {
            differ.insert(&job.component, state);
        }
        forecasts.push(Forecast {
            component: job.component.clone(),
            state: state.unwrap_or(State::Cached),
            fingerprint: None,
            built_before: changes.is_some(),
            changes: changes.unwrap_or_default(),
            replaced,
            waits_for: waits,
            problem: None,
            raised: None,
            raised_because: None,
            scriptlets: None,
        });
    }
    forecasts
}

/// Packages of these components, all of which have another version than then.
fn replaced(plan: &Plan, old: &Old, components: &[ComponentName]) -> Vec<Replaced> {
    let mut replaced = Vec::new();
    for name in components {
        let Some(job) = plan.job(name) else { continue };
        let packages = &job.recipe.packages;
        if packages
            .iter()
            .any(|package| old.packages.contains(&package.nevra.to_string()))
        {
            // Some stayed as they were: which of them are in a root is not known here.
            continue;
        }
        let known = |package: &&keel_spec::RecipePackage| {
            let name = package.nevra.name.as_str();
            old.packages.iter().find(|was| record::package_name(was) == name)
        };
        let first = packages
            .iter()
            .find_map(|package| Some((package, known(&package)?)));
        replaced.extend(first.map(|(package, was)| Replaced {
            was: was.clone(),
            becomes: Some(package.nevra.to_string()),
            component: name.clone(),
        }));
    }
    replaced
}

#[cfg(test)]
mod tests {
    use keel_build::fingerprint::{Kind, Value};

    use super::*;

    #[test]
    fn another_stage0_is_a_change_of_every_job() {
        let input = |text: &str| Input {
            kind: Kind::Stage0,
            name: None,
            value: Value::Digest(Sha256::of(text.as_bytes())),
        };
        let old = Old {
            project: Project::empty("/p".as_ref()),
            inputs: BTreeMap::from([("demo".parse().unwrap(), vec![input("a")])]),
            packages: BTreeSet::new(),
        };
        let changes = old.changes(&[input("b")], &"demo".parse().unwrap()).unwrap();
        assert_eq!(changes[0].kind, Kind::Stage0);
        assert_eq!(old.changes(&[], &"new".parse().unwrap()), None);
        assert_eq!(old.everywhere(&Project::empty("/p".as_ref())), Vec::<&str>::new());
    }
}
