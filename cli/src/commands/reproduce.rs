//! `keel reproduce`: is what was built the same when it is built elsewhere?

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use keel_artefact::{ComponentName, Event, event::Outcome};
use keel_build::{Error, Order, Results};
use keel_config::Diagnostic;
use keel_host::diffoscope;
use serde::Serialize;

use crate::{
    args::shell::Reproduce,
    context::Context,
    failure::{Class, Failure},
    pipeline::{self, Files, Planned},
    report,
};

/// Of what diffoscope says, so many lines are shown; the rest is in a file.
const SHOWN: usize = 40;

/// What became of one component.
#[derive(Debug, Serialize)]
pub struct Row {
    component: ComponentName,
    /// Every package has the same bytes.
    same: bool,
    /// What listed folders in another order.
    order: Order,
    /// Packages that differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    differ: Vec<String>,
    /// Where both are, and what diffoscope says of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<PathBuf>,
    /// Why it was not even built the second time.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip)]
    diagnostic: Option<Diagnostic>,
}

/// What became of all.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Rows(Vec<Row>);

impl Rows {
    /// Fails if anything differs.
    pub fn check(self) -> Result<(), Failure> {
        let diagnostics: Vec<Diagnostic> = self.0.into_iter().filter_map(|row| row.diagnostic).collect();
        match diagnostics.is_empty() {
            true => Ok(()),
            false => Err(Failure {
                class: Class::Failed,
                diagnostics,
            }),
        }
    }
}

/// Builds what is not built, and then all of it once more.
pub fn run(context: &Context<'_>, command: &Reproduce) -> Result<(), Failure> {
    let planned = pipeline::plan(context, &command.targets, Files::Fetched(command.how.refresh))?;
    context.sink().event(Event::Stage {
        title: "Building packages",
    });
    let (planned, results) = pipeline::build(context, planned, &command.how, &mut |_, _| {})?;
    let rows = compare(context, &planned, &results, &command.targets.components)?;
    report::print(context, &rows, |rows| {
        let row = |row: &Row| {
            let state = match (row.same, &row.error) {
                (true, _) => "same bytes".to_owned(),
                (false, Some(_)) => "failed".to_owned(),
                (false, None) => format!("{} differ", row.differ.len()),
            };
            let kept = row
                .kept
                .as_ref()
                .map_or_else(String::new, |kept| kept.display().to_string());
            vec![row.component.to_string(), state, kept]
        };
        report::table(
            &["component", "built twice", "both"],
            &rows.0.iter().map(row).collect::<Vec<_>>(),
        )
    })?;
    rows.check()
}

/// Builds the named components (all if none is named) again, in other surroundings, and compares.
pub fn compare(
    context: &Context<'_>,
    planned: &Planned,
    results: &Results,
    names: &[ComponentName],
) -> Result<Rows, Failure> {
    context.sink().event(Event::Stage {
        title: "Building again: other clock, host, user, locale, time zone, umask, cores, order of folders",
    });
    let order = Order::of_this_machine(context.store()?)?;
    let text = format!("the order of entries in folders: {order}");
    context.sink().event(match order {
        Order::Disorderfs | Order::Memory => Event::Note { text: &text },
        Order::Same => Event::Warning { text: &text },
    });
    let jobs = planned.plan.jobs.iter();
    let chosen = jobs.filter(|job| names.is_empty() || names.contains(&job.component));
    let mut rows = Vec::new();
    for job in chosen {
        let Some(first) = results.get(&job.component) else {
            continue;
        };
        let kept = planned
            .project
            .output_dir
            .join("differs")
            .join(job.component.as_str());
        let (project, stage0) = (&planned.project, &planned.stage0);
        let compared = pipeline::with_workshop(context, project, stage0, planned.base(), |shop| {
            let before = shop.foreign.before(job, results);
            told(context, &job.component, || {
                shop.compare(first.job(job), &before, &first.built, order, &kept)
            })
        })?;
        context.interrupt.check()?;
        rows.push(row(context, job.component.clone(), order, compared, &kept)?);
    }
    Ok(Rows(rows))
}

/// Tells the user that something is built, and how that ends.
fn told(
    context: &Context<'_>,
    component: &ComponentName,
    work: impl FnOnce() -> Result<(), Error>,
) -> Result<(), Error> {
    let (id, title) = (format!("build:{component}"), format!("{component} again"));
    let started = Instant::now();
    context.sink().event(Event::Started {
        id: &id,
        title: &title,
        total: None,
    });
    let done = work();
    context.sink().event(Event::Finished {
        id: &id,
        outcome: if done.is_ok() {
            Outcome::Done
        } else {
            Outcome::Failed
        },
        elapsed: started.elapsed(),
    });
    if done.is_ok() {
        let text = format!("`{component}` built twice: every package has the same bytes");
        context.sink().event(Event::Note { text: &text });
    }
    done
}

fn row(
    context: &Context<'_>,
    component: ComponentName,
    order: Order,
    compared: Result<(), Error>,
    kept: &Path,
) -> Result<Row, Failure> {
    let mut row = Row {
        component,
        same: compared.is_ok(),
        order,
        differ: Vec::new(),
        kept: None,
        error: None,
        diagnostic: None,
    };
    let Err(error) = compared else { return Ok(row) };
    let mut diagnostic = Diagnostic::new(format!("`{}` built twice", row.component)).caused_by(&error);
    if let Error::Differs { packages, kept } = &error {
        row.kept = Some(kept.clone());
        row.differ = packages.iter().map(|package| package.file_name()).collect();
        for package in &row.differ {
            context.interrupt.check()?;
            diagnostic = explained(context, diagnostic, kept, package)?;
        }
    } else {
        row.error = Some(error.to_string());
        if kept.exists() {
            row.kept = Some(kept.to_owned());
        }
    }
    row.diagnostic = Some(diagnostic);
    Ok(row)
}

/// Adds what diffoscope says of the two packages, if it is installed.
fn explained(
    context: &Context<'_>,
    diagnostic: Diagnostic,
    kept: &Path,
    package: &str,
) -> Result<Diagnostic, Failure> {
    let file = kept.join(format!("{package}.diff.txt"));
    let (first, second) = (
        kept.join("first").join(package),
        kept.join("second").join(package),
    );
    let told = diffoscope::explain(context.store()?, &first, &second, &file, &context.interrupt);
    context.interrupt.check()?;
    Ok(match (told, fs_err::read(&file)) {
        (Ok(true), Ok(text)) => {
            let text = String::from_utf8_lossy(&text).into_owned();
            let mut lines: Vec<&str> = text.lines().take(SHOWN).collect();
            let more = format!("… the rest is in {}", file.display());
            if text.lines().count() > SHOWN {
                lines.push(&more);
            }
            diagnostic.note(lines.join("\n"))
        }
        (Err(keel_host::Error::NotFound { .. }), _) => {
            diagnostic.hint("`apt install diffoscope`, and what differs is shown here")
        }
        (Err(error), _) => diagnostic.hint(format!("diffoscope could not tell what differs: {error}")),
        _ => diagnostic.hint(format!("diffoscope could not tell what differs in {package}")),
    })
}
