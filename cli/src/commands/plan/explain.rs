//! `keel plan --explain`: all about one job.

use std::{collections::BTreeSet, fmt, time::Duration};

use keel_artefact::ComponentName;
use keel_build::{
    forecast::{Replaced, State},
    record::Change,
    scriptlets::Changes,
};
use keel_config::diagnostic::nearest;
use keel_plan::{CostFrom, Job, Plan, Taken, TakenPackage, Why};
use serde::Serialize;

use super::{Foreseen, cost, word};
use crate::{failure::Failure, terminal::readable};

/// All about one job.
#[derive(Debug, Serialize)]
pub struct Explained<'a> {
    component: &'a ComponentName,
    version: String,
    state: State,
    /// From the component to a target: the reasons why each is in the plan.
    asked_by: Vec<&'a Why>,
    built_before: bool,
    changes: &'a [Change],
    replaced: &'a [Replaced],
    problem: Option<&'a String>,
    /// Why its rebuild counter is higher than the published one.
    #[serde(skip_serializing_if = "Option::is_none")]
    raised_because: Option<&'a String>,
    waits_for: Vec<Wait<'a>>,
    /// What `%generate_buildrequires` asked for in earlier builds of the same.
    generated: Vec<String>,
    /// What scriptlets of foreign packages did in its build root, where the store has its result.
    #[serde(skip_serializing_if = "Option::is_none")]
    scriptlets: Option<&'a Changes>,
    /// Jobs that may wait for it.
    awaited_by: Vec<&'a ComponentName>,
    cost_from: CostFrom,
    cpu_seconds: f64,
    wall_seconds: Option<f64>,
    /// How much later it could end without anything ending later, in seconds; 0: it is on the longest chain.
    slack_seconds: Option<f64>,
    #[serde(skip)]
    cost: String,
}

/// A component that is not built, because a repository has it.
#[derive(Debug, Serialize)]
pub struct FromRepository<'a> {
    component: &'a ComponentName,
    repository: &'a str,
    packages: &'a [TakenPackage],
}

/// The component of that name, or of a package of that name, if a repository has it.
pub fn taken<'a>(plan: &'a Plan, name: &str) -> Option<FromRepository<'a>> {
    let is_it = |taken: &&Taken| {
        let mut packages = taken.packages.iter();
        taken.component.as_str() == name || packages.any(|package| package.name.as_str() == name)
    };
    let taken = plan.published.iter().find(is_it)?;
    Some(FromRepository {
        component: &taken.component,
        repository: &taken.repository,
        packages: &taken.packages,
    })
}

impl fmt::Display for FromRepository<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} is not built: {} has it", self.component, self.repository)?;
        for package in self.packages {
            write!(f, "\n  {}: {}", package.nevra, told(&package.why))?;
        }
        Ok(())
    }
}

/// A job that is waited for.
#[derive(Debug, Serialize)]
struct Wait<'a> {
    component: &'a ComponentName,
    state: State,
    /// The requirement that leads to it, with its place.
    because: Option<String>,
}

/// Explains a component, or the one that makes a package.
pub fn of<'a>(foreseen: &'a Foreseen<'a>, name: &str) -> Result<Explained<'a>, Failure> {
    let plan = foreseen.plan;
    let maker = plan.providers.get(name).map(ComponentName::as_str);
    let found = |name: &str| foreseen.jobs().find(|(job, _)| job.component.as_str() == name);
    let Some((job, forecast)) = found(name).or_else(|| found(maker?)) else {
        return Err(unknown(foreseen, name, maker));
    };
    let state_of = |name: &ComponentName| {
        let forecast = foreseen
            .forecasts
            .iter()
            .find(|forecast| forecast.component == *name);
        forecast.map_or(State::Build, |forecast| forecast.state)
    };
    let wait = |component: &'a ComponentName| Wait {
        component,
        state: state_of(component),
        because: job.because.get(component).map(|because| {
            let line = because.line.map(|line| format!(":{line}")).unwrap_or_default();
            format!("{}{line}: {}", job.recipe.spec_shown.display(), because.says)
        }),
    };
    let awaited = plan
        .jobs
        .iter()
        .filter(|other| other.after.contains(&job.component));
    Ok(Explained {
        component: &job.component,
        version: super::version(job, forecast),
        state: forecast.state,
        asked_by: chain(foreseen, job),
        built_before: forecast.built_before,
        changes: &forecast.changes,
        replaced: &forecast.replaced,
        problem: forecast.problem.as_ref(),
        raised_because: forecast.raised_because.as_ref(),
        waits_for: forecast.waits_for.iter().map(wait).collect(),
        generated: job.generated().map(ToString::to_string).collect(),
        scriptlets: forecast.scriptlets.as_ref(),
        awaited_by: awaited.map(|other| &other.component).collect(),
        cost_from: job.cost_from,
        cpu_seconds: job.cpu_seconds,
        wall_seconds: job.wall_seconds,
        slack_seconds: foreseen.slack.get(&job.component).copied(),
        cost: cost(job),
    })
}

fn unknown(foreseen: &Foreseen<'_>, name: &str, maker: Option<&str>) -> Failure {
    if let Some(maker) = maker {
        let failure = Failure::input(format!("`{maker}`, which makes `{name}`, is not in this plan"));
        return failure.hint("`keel plan --explain` without components and images knows all");
    }
    let components = foreseen.plan.jobs.iter().map(|job| job.component.as_str());
    let packages = foreseen.plan.providers.keys().map(|package| package.as_str());
    let failure = Failure::input(format!(
        "there is no component and no package `{name}` in this plan"
    ));
    match nearest(name, components.chain(packages)) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure.hint("`keel plan` names them all"),
    }
}

/// The reasons, up to one that is a target.
fn chain<'a>(foreseen: &'a Foreseen<'a>, job: &'a Job) -> Vec<&'a Why> {
    let mut chain = Vec::new();
    let mut seen = BTreeSet::new();
    let mut next = Some(job);
    while let Some(job) = next.filter(|job| seen.insert(&job.component)) {
        chain.push(&job.why);
        next = match &job.why {
            Why::Asked | Why::Package { .. } => None,
            Why::Requires { of, .. } | Why::Build { of, .. } => foreseen.plan.job(of),
        };
    }
    chain
}

fn told(why: &Why) -> String {
    match why {
        Why::Asked => "asked for".to_owned(),
        Why::Package {
            package,
            image: Some(image),
        } => format!("image `{image}` installs `{package}`"),
        Why::Package { package, image: None } => format!("the package `{package}` was asked for"),
        Why::Requires { by, requirement, .. } => format!("`{by}` requires `{requirement}`"),
        Why::Build { of, requirement } => format!("`{of}` is built with `{requirement}`"),
    }
}

impl fmt::Display for Explained<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is = match self.state {
            State::Cached => "is in the store",
            State::Build => "will be built",
            State::Maybe => "will be built, unless what it waits for comes out with the same bytes as before",
        };
        writeln!(f, "{} {} {is}", self.component, self.version)?;
        let chain: Vec<String> = self.asked_by.iter().map(|why| told(why)).collect();
        writeln!(f, "\nin the plan because\n  {}", chain.join("\n  "))?;
        self.why_built(f)?;
        if !self.waits_for.is_empty() {
            writeln!(f, "\nwaits for")?;
        }
        for wait in &self.waits_for {
            let because = wait.because.as_deref().unwrap_or("through others");
            writeln!(f, "  {} ({}): {because}", wait.component, word(wait.state))?;
        }
        if !self.generated.is_empty() {
            writeln!(
                f,
                "\n%generate_buildrequires asks for\n  {}",
                self.generated.join("\n  ")
            )?;
        }
        if let Some(changes) = self.scriptlets {
            writeln!(f, "\nscriptlets ran in its build root")?;
            for (package, scripts) in &changes.packages {
                writeln!(f, "  {package}: {}", scripts.join(" "))?;
            }
            let Changes {
                added,
                changed,
                removed,
                ..
            } = changes;
            writeln!(
                f,
                "  files: {} added, {} changed, {} removed",
                added.len(),
                changed.len(),
                removed.len()
            )?;
        }
        const MOST: usize = 12;
        if !self.awaited_by.is_empty() {
            let names = self.awaited_by.iter().take(MOST).map(|name| name.as_str());
            let names = names.collect::<Vec<_>>().join(" ");
            let more = match self.awaited_by.len().saturating_sub(MOST) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            writeln!(
                f,
                "\nmay be in the build root of {}\n  {names}{more}",
                self.awaited_by.len()
            )?;
        }
        writeln!(f, "\ncost\n  {}", self.cost)?;
        match self.slack_seconds {
            None => Ok(()),
            Some(slack) if slack < 0.05 => writeln!(f, "  it is on the longest chain"),
            Some(slack) => {
                let slack = readable(Duration::try_from_secs_f64(slack).unwrap_or_default());
                writeln!(f, "  it could end {slack} later, and nothing would end later")
            }
        }
    }
}

impl Explained<'_> {
    fn why_built(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(why) = self.raised_because {
            writeln!(
                f,
                "\nits rebuild counter is up: what is published has other bytes\n  {why}"
            )?;
        }
        if self.state == State::Cached {
            return Ok(());
        }
        if let Some(problem) = self.problem {
            writeln!(f, "\nno build root can be made for it\n  {problem}")?;
        }
        if !self.built_before {
            return writeln!(f, "\nit was never built here");
        }
        if self.changes.is_empty() && self.replaced.is_empty() && self.waits_for.is_empty() {
            return writeln!(f, "\nthe store lost the result of its last build");
        }
        if !self.changes.is_empty() || !self.replaced.is_empty() {
            writeln!(f, "\nchanged since its last build")?;
        }
        for change in self.changes {
            writeln!(f, "  {change}")?;
        }
        for Replaced {
            was,
            becomes,
            component,
        } in self.replaced
        {
            match becomes {
                Some(becomes) => writeln!(f, "  root package {was}: `{component}` will make {becomes}")?,
                None => writeln!(f, "  root package {was}: `{component}` makes it no more")?,
            }
        }
        Ok(())
    }
}
