//! `keel spec plan`: in which order a tree of SPECs can be built, with no project and no sources.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use keel_artefact::{ComponentName, Event};
use keel_config::{Diagnostic, Location, Project};
use keel_plan::{Costs, Generated, Plan, Suggestion, Targets};
use keel_source::SourceSet;
use keel_spec::Recipe;
use serde::Serialize;

use super::{
    evaluate::{self, Macros},
    files::File,
};
use crate::{
    args::{plan::Graph, spec::How},
    context::Context,
    drawing::{self, Drawing, Node},
    failure::{Class, Failure},
    report,
};

/// How much of a file of names is read.
const MOST_BYTES: u64 = 4 << 20;

/// Evaluates, plans, tells.
pub fn plan(
    context: &Context<'_>,
    how: &How,
    files: &[File],
    assumed: &[String],
    suggest: bool,
    graph: Option<Graph>,
) -> Result<(), Failure> {
    let mut project = Project::empty(&context.directory);
    for text in assumed {
        let names = names(context, text)?;
        project
            .stage0
            .lends
            .extend(names.into_iter().map(|name| (name, Vec::new())));
    }
    let mut clock = Clock::new(context);
    let (recipes, read) = recipes(context, how, files)?;
    clock.phase("evaluating");
    let recipes = once(context, recipes);
    if suggest {
        let suggested = keel_plan::suggest(&project, &recipes, &context.interrupt)?;
        clock.phase("looking for what must be provided");
        report::line(&list(&project, suggested))?;
        return read;
    }
    let missing = keel_plan::missing(&project, &recipes, &context.interrupt)?;
    if !missing.is_empty() {
        return Err(told(&missing, &recipes));
    }
    clock.phase("resolving");
    let sources: Vec<SourceSet> = recipes.iter().map(no_files).collect();
    let plan = keel_plan::plan(
        &project,
        &recipes,
        &sources,
        &Targets::All,
        &Costs::new(),
        &keel_plan::Known {
            generated: &Generated::new(),
            published: &keel_plan::Published::default(),
            interrupt: &context.interrupt,
        },
    )?;
    clock.phase("planning");
    let drawing = drawn(&plan);
    if let Some(form) = graph {
        report::line(&drawing::written(&drawing, form)?)?;
    } else {
        let shown = Shown::of(&plan, &project, &drawing);
        report::print(context, &shown, Shown::table)?;
    }
    read
}

/// Tells how long each phase took, to those who want to know.
struct Clock<'a> {
    context: &'a Context<'a>,
    last: Instant,
}

impl<'a> Clock<'a> {
    fn new(context: &'a Context<'a>) -> Self {
        let last = Instant::now();
        Self { context, last }
    }

    fn phase(&mut self, what: &str) {
        let took: Duration = self.last.elapsed();
        self.last = Instant::now();
        if self.context.global.verbose {
            let text = format!("{what}: {:.2} s", took.as_secs_f64());
            self.context.sink().event(Event::Note { text: &text });
        }
    }
}

/// The names in a file, or between commas.
fn names(context: &Context<'_>, text: &str) -> Result<BTreeSet<String>, Failure> {
    let file = context.directory.join(text);
    let is_file = file.is_file();
    let listed = match is_file {
        true => {
            if fs_err::metadata(&file)?.len() > MOST_BYTES {
                return Err(Failure::input(format!("{text} is too long for a list of names")));
            }
            fs_err::read_to_string(&file)?
        }
        false => text.replace(',', "\n"),
    };
    let names = listed.lines().map(|line| match is_file {
        true => line.split('#').next().unwrap_or_default().trim(),
        false => line.trim(),
    });
    let names: BTreeSet<String> = names.filter(|name| !name.is_empty()).map(str::to_owned).collect();
    match names.iter().find(|name| !is_file && name.ends_with(".list")) {
        Some(name) => Err(Failure::input(format!("there is no file {name}"))),
        None => Ok(names),
    }
}

/// What SPECs mean, by path; and whether all could be read.
fn recipes(
    context: &Context<'_>,
    how: &How,
    files: &[File],
) -> Result<(Vec<Recipe>, Result<(), Failure>), Failure> {
    let macros = Arc::new(Macros::load(context, how, files)?);
    let mut recipes = Vec::new();
    let mut taken = BTreeSet::new();
    let arch = context.arch();
    let evaluated = evaluate::each(context, &macros, files, &mut |index, answer| {
        let Some(spec) = &answer.outcome.evaluated else {
            return Ok(());
        };
        let path = Path::new(&answer.path);
        let text = fs_err::read(&files[index].path)?;
        let text = String::from_utf8_lossy(&text);
        let odd = |why: String| {
            let wrong = Diagnostic::new("this SPEC is not in the plan").at(Location::file(path));
            context.terminal.diagnostic(&wrong.cause(why));
        };
        let name = match component(path, &mut taken) {
            Ok(name) => name,
            Err(why) => {
                odd(why);
                return Ok(());
            }
        };
        match Recipe::of_spec(name, path, &text, spec, arch) {
            Ok(None) => {}
            Ok(Some((recipe, told))) => {
                for what in told {
                    let text = format!("{}: a macro that nobody defines: {what}", path.display());
                    context.sink().event(Event::Warning { text: &text });
                }
                recipes.push(recipe);
            }
            Err(why) => odd(why),
        }
        Ok(())
    });
    Ok((recipes, evaluated))
}

/// The SPEC's name; where another has it, with the names of folders in front.
fn component(path: &Path, taken: &mut BTreeSet<ComponentName>) -> Result<ComponentName, String> {
    let stem = path
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let mut name = stem;
    for folder in path.ancestors().skip(1).filter_map(Path::file_name) {
        let parsed: ComponentName = name.parse().map_err(|error| format!("{error}"))?;
        if taken.insert(parsed.clone()) {
            return Ok(parsed);
        }
        name = format!("{}-{name}", folder.to_string_lossy());
    }
    let parsed: ComponentName = name.parse().map_err(|error| format!("{error}"))?;
    match taken.insert(parsed.clone()) {
        true => Ok(parsed),
        false => Err(format!("there is another SPEC called `{parsed}`")),
    }
}

/// Each package once: the first SPEC by path makes it.
fn once(context: &Context<'_>, mut recipes: Vec<Recipe>) -> Vec<Recipe> {
    recipes.sort_by(|one, other| one.spec_shown.cmp(&other.spec_shown));
    let mut made = BTreeSet::new();
    let mut again = 0;
    for recipe in &mut recipes {
        let before = recipe.packages.len();
        recipe
            .packages
            .retain(|package| made.insert(package.nevra.name.clone()));
        again += before - recipe.packages.len();
    }
    if again > 0 {
        let text =
            format!("{again} packages are made by more than one SPEC: those of the first by path count");
        context.sink().event(Event::Note { text: &text });
    }
    recipes.sort_by(|one, other| one.component.cmp(&other.component));
    recipes
}

fn no_files(recipe: &Recipe) -> SourceSet {
    SourceSet {
        format: keel_source::FORMAT,
        component: recipe.component.clone(),
        arch: recipe.arch,
        files: Vec::new(),
    }
}

/// What is missing, as one error.
fn told(missing: &[Suggestion], recipes: &[Recipe]) -> Failure {
    let place = |one: &Suggestion| {
        let recipe = recipes.iter().find(|recipe| recipe.component == one.first)?;
        let mut requires = recipe.build_requires.iter();
        let line = requires
            .find(|require| require.dependency.name == one.name)
            .and_then(|require| require.line);
        Some(Location::line(&recipe.spec_shown, line.unwrap_or(0)).to_string())
    };
    let lines = missing.iter().map(|one| {
        let place = place(one).unwrap_or_default();
        format!("{:>5}  {}  (first {place})", one.asked, one.name)
    });
    let message = format!(
        "{} capabilities are asked for, and no SPEC provides them",
        missing.len()
    );
    let failure = Failure {
        class: Class::Input,
        diagnostics: vec![Diagnostic::new(message).note(lines.collect::<Vec<_>>().join("\n"))],
    };
    failure.hint("`--assume-provided` names what is there before; `--suggest` writes a list of it")
}

/// A file of names.
fn list(project: &Project, suggested: Vec<Suggestion>) -> String {
    let (missing, cycles): (Vec<_>, Vec<_>) = suggested.into_iter().partition(|one| one.is_missing);
    let sorted = |all: Vec<Suggestion>| -> Vec<String> {
        let names: BTreeSet<String> = all.into_iter().map(|one| one.name).collect();
        names.into_iter().collect()
    };
    let given: Vec<String> = project.stage0.lends.keys().cloned().collect();
    let mut text =
        "# What must be there before these SPECs are built. Written by `keel spec plan --suggest`.\n"
            .to_owned();
    for (heading, names) in [
        ("Asked for on the command line", given),
        (
            "On cycles: a toolchain that was built before lends them",
            sorted(cycles),
        ),
        (
            "Provided by no SPEC in this version and by this name",
            sorted(missing),
        ),
    ] {
        if !names.is_empty() {
            text.push_str(&format!("\n# {heading}\n{}\n", names.join("\n")));
        }
    }
    text
}

fn drawn(plan: &Plan) -> Drawing {
    let places: BTreeMap<&ComponentName, usize> = (plan.jobs.iter().enumerate())
        .map(|(at, job)| (&job.component, at))
        .collect();
    let node = |job: &keel_plan::Job| Node {
        name: job.component.to_string(),
        version: job.recipe.evr.to_string(),
        seconds: job.cpu_seconds,
        why: job.recipe.spec_shown.display().to_string(),
        needs: job
            .needs
            .iter()
            .filter_map(|need| places.get(need).copied())
            .collect(),
        ..Node::default()
    };
    Drawing::new("Plan of SPECs", plan.jobs.iter().map(node).collect())
}

/// The plan.
#[derive(Serialize)]
struct Shown<'a> {
    jobs: Vec<Row<'a>>,
    /// Capabilities that are borrowed.
    assumed: Vec<&'a str>,
    /// How many steps there are, one after the other.
    steps: usize,
}

#[derive(Serialize)]
struct Row<'a> {
    component: &'a ComponentName,
    version: String,
    spec: &'a Path,
    /// It can be built when so many steps are done.
    step: usize,
    needs: &'a [ComponentName],
    lent: &'a [String],
}

impl<'a> Shown<'a> {
    fn of(plan: &'a Plan, project: &'a Project, drawing: &Drawing) -> Self {
        let row = |(job, step): (&'a keel_plan::Job, usize)| Row {
            component: &job.component,
            version: job.recipe.evr.to_string(),
            spec: &job.recipe.spec_shown,
            step,
            needs: &job.needs,
            lent: &job.lent,
        };
        let mut jobs: Vec<Row<'a>> = plan.jobs.iter().zip(drawing.layers()).map(row).collect();
        jobs.sort_by_key(|row| row.step);
        Self {
            steps: jobs.last().map_or(0, |row| row.step + 1),
            jobs,
            assumed: project.stage0.lends.keys().map(String::as_str).collect(),
        }
    }

    fn table(&self) -> String {
        let row = |row: &Row<'_>| {
            vec![
                (row.step + 1).to_string(),
                row.component.to_string(),
                row.version.clone(),
                row.needs.len().to_string(),
                row.spec.display().to_string(),
            ]
        };
        let rows: Vec<_> = self.jobs.iter().map(row).collect();
        let heading = ["step", "component", "version", "needs", "SPEC"];
        format!(
            "{}\n\n{} jobs in {} steps; {} capabilities are assumed",
            report::table(&heading, &rows),
            self.jobs.len(),
            self.steps,
            self.assumed.len()
        )
    }
}
