//! `keel plan`: what would be built, in which order, why, and how long it takes.

mod explain;
mod since;

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroUsize,
    time::Duration,
};

use keel_artefact::ComponentName;
use keel_build::{
    Forecast,
    forecast::{Question, State},
    scheduler::Policy,
};
use keel_plan::{CostFrom, Job, Plan};
use serde::Serialize;

use crate::{
    args,
    context::Context,
    drawing::{self, Drawing},
    failure::Failure,
    machine, names,
    pipeline::{self, Files, Planned},
    report,
    terminal::readable,
};

/// Plans, and tells what was asked for.
pub fn run(context: &Context<'_>, command: &args::plan::Plan) -> Result<(), Failure> {
    let jobs = command.jobs.map_or_else(machine::cores, NonZeroUsize::get);
    if let Some(revision) = &command.changed_since {
        return since::run(context, command, revision, jobs);
    }
    // To replace what vanished, it must be asked for.
    let files = match command.refresh.refresh {
        true => Files::Fetched(command.refresh),
        false => Files::Pinned,
    };
    let planned = pipeline::plan(context, &command.targets, files)?;
    let foreseen = Foreseen::of(context, &planned, jobs)?;
    if let Some(name) = &command.explain {
        if let Some(taken) = explain::taken(&planned.plan, name) {
            return report::print(context, &taken, ToString::to_string);
        }
        let explained = explain::of(&foreseen, name)?;
        return report::print(context, &explained, ToString::to_string);
    }
    if let Some(form) = command.graph {
        return report::line(&drawing::written(&foreseen.drawing(), form)?);
    }
    report::print(context, &foreseen.shown(), |_| foreseen.table())
}

/// A plan, and what is to be expected of it.
pub struct Foreseen<'a> {
    plan: &'a Plan,
    forecasts: Vec<Forecast>,
    summary: Summary,
    /// For each job that may be built, how much later it could end without anything ending later, in seconds.
    slack: BTreeMap<&'a ComponentName, f64>,
}

/// What is to be expected, in numbers.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// All jobs.
    jobs: usize,
    /// Those that the store has.
    cached: usize,
    /// Those that will be built.
    build: usize,
    /// Those that will be built if what they wait for comes out otherwise than before.
    maybe: usize,
    /// How long it takes if all of these are built, in seconds.
    seconds: f64,
    /// How long it takes if none of these is, in seconds.
    seconds_at_least: f64,
    /// The longest chain of jobs that may be built.
    critical: Vec<ComponentName>,
    /// How long that takes, in seconds.
    critical_seconds: f64,
    /// Builds at once.
    at_once: usize,
    /// Cores of this machine.
    cores: usize,
    /// Jobs to be built whose cost was measured, is hinted, is guessed.
    costs: [usize; 3],
}

impl<'a> Foreseen<'a> {
    /// Looks into the store.
    pub fn of(context: &Context<'_>, planned: &'a Planned, at_once: usize) -> Result<Self, Failure> {
        let lock = names::lock(&planned.project)?;
        let again = pipeline::again(context, &planned.project, &planned.stage0)?;
        let raise = |job: &Job, rebuild| again.raise(job, rebuild);
        let question = Question {
            index: &keel_build::closure::Index::default(),
            names: keel_build::Names {
                lock: &lock,
                raise: &raise,
                locked: false,
            },
            foreign: &planned.base().components,
            store: context.store()?,
            distribution: &planned.project.name,
            stage0: &planned.stage0.digest,
            is_lent: &|name| pipeline::is_lent(&planned.project, name),
            interrupt: &context.interrupt,
        };
        let forecasts = keel_build::forecast(&question, &planned.plan)?;
        Ok(Self::with(&planned.plan, forecasts, at_once))
    }

    fn with(plan: &'a Plan, forecasts: Vec<Forecast>, at_once: usize) -> Self {
        let cores = machine::cores();
        let states: Vec<State> = forecasts.iter().map(|forecast| forecast.state).collect();
        let jobs = |wanted: &[State]| -> Vec<&'a Job> {
            let pairs = plan.jobs.iter().zip(&states);
            let chosen = pairs.filter(|(_, state)| wanted.contains(state));
            chosen.map(|(job, _)| job).collect()
        };
        let (open, sure) = (jobs(&[State::Build, State::Maybe]), jobs(&[State::Build]));
        let policy = Policy {
            memory: machine::memory(),
            ..Policy::jobs(at_once)
        };
        let outlook = |chosen: &[&Job]| {
            let names: BTreeSet<&ComponentName> = chosen.iter().map(|job| &job.component).collect();
            keel_build::outlook(plan, &|job| names.contains(&job.component), policy)
        };
        let most = outlook(&open);
        let names = most.critical.iter().map(|index| open[*index].component.clone());
        let with_cost = |from| open.iter().filter(|job| job.cost_from == from).count();
        let summary = Summary {
            jobs: plan.jobs.len(),
            cached: plan.jobs.len() - open.len(),
            build: sure.len(),
            maybe: open.len() - sure.len(),
            seconds: most.seconds,
            seconds_at_least: outlook(&sure).seconds,
            critical: names.collect(),
            critical_seconds: most.critical_seconds,
            at_once,
            cores,
            costs: [CostFrom::Measured, CostFrom::Hint, CostFrom::Guess].map(with_cost),
        };
        let components = open.iter().map(|job| &job.component);
        Self {
            plan,
            forecasts,
            summary,
            slack: components.zip(most.slack).collect(),
        }
    }

    fn jobs(&self) -> impl Iterator<Item = (&'a Job, &Forecast)> {
        self.plan.jobs.iter().zip(&self.forecasts)
    }

    fn shown(&self) -> Shown<'_> {
        Shown {
            plan: self.plan,
            forecast: &self.forecasts,
            summary: &self.summary,
        }
    }

    fn table(&self) -> String {
        let row = |(job, forecast): (&Job, &Forecast)| {
            let cost = match forecast.state {
                State::Cached => String::new(),
                _ => cost(job),
            };
            vec![
                job.component.to_string(),
                version(job, forecast),
                word(forecast.state).to_owned(),
                cost,
                reason(forecast),
            ]
        };
        let rows: Vec<_> = self.jobs().map(row).collect();
        let heading = ["component", "version", "state", "cost", "why"];
        let text = format!("{}\n\n{}", report::table(&heading, &rows), self.summary);
        text + &taken(self.plan)
    }

    fn drawing(&self) -> Drawing {
        let places: BTreeMap<&ComponentName, usize> = (self.plan.jobs.iter().enumerate())
            .map(|(index, job)| (&job.component, index))
            .collect();
        let critical: BTreeSet<&ComponentName> = self.summary.critical.iter().collect();
        let node = |(job, forecast): (&Job, &Forecast)| drawing::Node {
            name: job.component.to_string(),
            version: version(job, forecast),
            state: Some(word(forecast.state)),
            seconds: job.wall_seconds.unwrap_or(job.cpu_seconds),
            critical: critical.contains(&job.component),
            why: reason(forecast),
            needs: job
                .needs
                .iter()
                .filter_map(|need| places.get(need).copied())
                .collect(),
        };
        Drawing::new("Plan", self.jobs().map(node).collect())
    }
}

/// How much comes from which repository.
fn taken(plan: &Plan) -> String {
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for taken in &plan.published {
        let (packages, components) = counts.entry(&taken.repository).or_default();
        *packages += taken.packages.len();
        *components += 1;
    }
    let line = |(repository, (packages, components)): (&str, (usize, usize))| {
        format!("\n{packages} packages of {components} components from {repository}, not built")
    };
    counts.into_iter().map(line).collect()
}

/// A plan as JSON: that of the stage, and what is to be expected of it.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    plan: &'a Plan,
    forecast: &'a [Forecast],
    summary: &'a Summary,
}

/// `75 s`; with what it is worth, where nobody measured it.
fn cost(job: &Job) -> String {
    let time = |seconds: f64| readable(Duration::try_from_secs_f64(seconds).unwrap_or_default());
    match (job.cost_from, job.wall_seconds) {
        (CostFrom::Measured, Some(wall)) => time(wall),
        (CostFrom::Hint, _) => format!("{} cpu (hint)", time(job.cpu_seconds)),
        _ => format!("{} cpu (guess)", time(job.cpu_seconds)),
    }
}

/// Version and release; with a higher rebuild counter, where that is known.
fn version(job: &Job, forecast: &Forecast) -> String {
    forecast.raised.as_ref().unwrap_or(&job.recipe.evr).to_string()
}

fn word(state: State) -> &'static str {
    match state {
        State::Cached => "cached",
        State::Build => "build",
        State::Maybe => "maybe",
    }
}

/// One line: why it is built, or may be.
fn reason(forecast: &Forecast) -> String {
    const MOST: usize = 3;
    let mut reasons: Vec<String> = forecast.problem.iter().cloned().collect();
    reasons.extend(forecast.changes.iter().map(ToString::to_string));
    reasons.extend(forecast.replaced.iter().map(|replaced| match &replaced.becomes {
        Some(becomes) => format!("root package {} becomes {becomes}", replaced.was),
        None => format!("root package {} is made no more", replaced.was),
    }));
    if let Some(why) = &forecast.raised_because {
        reasons.insert(0, format!("published with other bytes: {why}"));
    }
    if forecast.state == State::Cached {
        reasons.truncate(usize::from(forecast.raised.is_some()));
        return reasons.join("");
    }
    if reasons.is_empty() && !forecast.waits_for.is_empty() && forecast.built_before {
        reasons.extend(forecast.waits_for.iter().map(|name| format!("after {name}")));
    }
    if !forecast.built_before {
        reasons.insert(0, "never built here".to_owned());
    }
    if reasons.is_empty() {
        reasons.push("the store lost its result".to_owned());
    }
    let more = reasons.len().saturating_sub(MOST);
    reasons.truncate(MOST);
    let more = if more > 0 {
        format!("; {more} more")
    } else {
        String::new()
    };
    reasons.join("; ") + &more
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let time = |seconds: f64| readable(Duration::try_from_secs_f64(seconds).unwrap_or_default());
        let Self {
            jobs,
            cached,
            build,
            maybe,
            at_once,
            cores,
            ..
        } = self;
        write!(f, "{jobs} jobs: {cached} cached, {build} to build")?;
        if *maybe > 0 {
            write!(f, ", {maybe} depend on them")?;
        }
        if build + maybe == 0 {
            return Ok(());
        }
        write!(f, "\nabout {}", time(self.seconds))?;
        if *maybe > 0 {
            write!(
                f,
                " ({} if none of those that depend on others is built)",
                time(self.seconds_at_least)
            )?;
        }
        write!(f, " with {at_once} at once on {cores} cores")?;
        let [measured, hint, guess] = self.costs;
        write!(f, "; costs: {measured} measured, {hint} hinted, {guess} guessed")?;
        let names: Vec<&str> = self.critical.iter().map(ComponentName::as_str).collect();
        write!(
            f,
            "\nlongest chain, {}: {}",
            time(self.critical_seconds),
            names.join(" → ")
        )
    }
}
