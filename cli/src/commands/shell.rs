//! `keel shell`: into the build root of a component.

use std::time::SystemTime;

use keel_artefact::{ComponentName, Epoch, Event};
use keel_build::{Error, Errors, kept::Place};
use keel_sandbox::{Status, User};
use keel_store::TempDir;

use crate::{
    args::{self, shell::Shell},
    context::Context,
    failure::{Class, Failure},
    pipeline::{self, Files, Planned},
    replan,
};

/// Enters the root, and fails if what ran in it did.
pub fn run(context: &Context<'_>, command: &Shell) -> Result<(), Failure> {
    let (store, project) = (context.store()?, context.project()?);
    super::check_component(&project, &command.component)?;
    let kept = match command.fresh {
        true => None,
        false => {
            Place::kept(store, &project.output_dir, &command.component).map_err(|error| wrong(&error))?
        }
    };
    let Some(kept) = kept else {
        return fresh(context, command);
    };
    let (name, when) = (&command.component, time_of(kept.when));
    let phase = kept.place.failed_in.as_deref().unwrap_or("the build");
    if kept.is_older {
        let text = format!(
            "this is where an older build of `{name}` failed, in {phase}, on {when}: the root of the last one was not kept \
             (`keel build --keep-root {name}` keeps it)"
        );
        context.sink().event(Event::Warning { text: &text });
    } else {
        let text = format!("this is where `{name}` failed, in {phase}, on {when}");
        context.sink().event(Event::Note { text: &text });
    }
    talk(context, kept.place, command)
}

fn time_of(when: SystemTime) -> String {
    let since = when.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Epoch(since.as_secs()).rfc3339()
}

/// Into a root made for it, after what belongs into it was built.
fn fresh(context: &Context<'_>, command: &Shell) -> Result<(), Failure> {
    let name = &command.component;
    let targets = args::Targets {
        components: vec![name.clone()],
        images: Vec::new(),
    };
    let planned = pipeline::plan(context, &targets, Files::Fetched(args::Refresh::default()))?;
    let made = replan::until_known(context, planned, false, &mut |planned| {
        place(context, planned, name)
    });
    let (_planned, (place, _folder)) = made?;
    talk(context, place, command)
}

/// The root, after all that belongs into it was built.
fn place(
    context: &Context<'_>,
    planned: &Planned,
    name: &ComponentName,
) -> Result<Result<(Place, TempDir), Errors>, Failure> {
    let Some(job) = planned.plan.job(name) else {
        return Err(Failure::input(format!("nothing is built of `{name}`")));
    };
    let mut plan = planned.plan.clone();
    plan.jobs.retain(|other| job.after.contains(&other.component));
    let results = match pipeline::run(context, planned, &plan, &args::How::default(), &mut |_| {})? {
        Ok(results) => results,
        Err(errors) => return Ok(Err(errors)),
    };
    let (project, stage0) = (&planned.project, &planned.stage0);
    let placed = pipeline::with_workshop(context, project, stage0, planned.base(), |shop| {
        shop.place(job, &shop.foreign.before(job, &results))
    })?;
    match placed {
        Ok(placed) => Ok(Ok(placed)),
        Err(Error::Wants(all)) => Ok(Err(Errors {
            failed: Vec::new(),
            wanted: [(name.clone(), all)].into(),
            skipped: Vec::new(),
        })),
        Err(error) => Err(wrong(&error)),
    }
}

fn wrong(error: &keel_build::Error) -> Failure {
    Failure::because(Class::Failed, "there is no build root", error)
}

fn talk(context: &Context<'_>, mut place: Place, command: &Shell) -> Result<(), Failure> {
    let sandbox = &mut place.sandbox;
    sandbox.limits.wall = None;
    // What made it fail may be that it is full.
    sandbox.limits.disk = None;
    if command.root {
        sandbox.user = User::Root;
    }
    if let Ok(terminal) = std::env::var("TERM") {
        sandbox.env.insert("TERM".to_owned(), terminal);
    }
    let argv = match command.command.is_empty() {
        true => {
            let text = "the sources are in /build/SOURCES, the SPEC in /build/SPECS; what would build it is in $BUILD: sh -c \"$BUILD\"";
            context.sink().event(Event::Note { text });
            sandbox.env.insert("BUILD".to_owned(), quoted(&place.command));
            vec!["/bin/sh".to_owned()]
        }
        false => command.command.clone(),
    };
    // The screen is theirs now.
    context.terminal.clear();
    let status = keel_sandbox::talk(&place.sandbox, argv, &context.interrupt)
        .map_err(|error| Failure::because(Class::Environment, "cannot enter the build root", &error))?;
    match status {
        Status::Code(0) => Ok(()),
        other => Err(Failure::new(
            Class::Ran(code(other)),
            format!("it ended with {other}"),
        )),
    }
}

/// How it ended, as a shell says it.
fn code(status: Status) -> u8 {
    let code = match status {
        Status::Code(code) => code,
        Status::Signal(signal) => 128 + signal,
        Status::OutOfMemory => 128 + 9,
        Status::TimedOut | Status::DiskFull => 1,
    };
    // More than a byte there is not.
    u8::try_from(code & 0xff).unwrap_or(1)
}

/// A command as a shell reads it.
fn quoted(argv: &[String]) -> String {
    let quoted = argv
        .iter()
        .map(|word| format!("'{}'", word.replace('\'', "'\\''")));
    quoted.collect::<Vec<_>>().join(" ")
}
