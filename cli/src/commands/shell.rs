//! `keel shell`: into the build root of a component.

use std::{collections::BTreeSet, sync::Arc};

use keel_artefact::{ComponentName, Event};
use keel_build::{Built, kept::Place};
use keel_sandbox::{Status, User};

use crate::{
    args::{self, shell::Shell},
    context::Context,
    failure::{Class, Failure},
    pipeline::{self, Files},
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
    let Some((place, _lock)) = kept else {
        return fresh(context, command);
    };
    let phase = place.failed_in.as_deref().unwrap_or("the build");
    let text = format!("this is where `{}` failed, in {phase}", command.component);
    context.sink().event(Event::Note { text: &text });
    talk(context, place, command)
}

/// Into a root made for it, after what belongs into it was built.
fn fresh(context: &Context<'_>, command: &Shell) -> Result<(), Failure> {
    let name = &command.component;
    let targets = args::Targets {
        components: vec![name.clone()],
        images: Vec::new(),
    };
    let mut planned = pipeline::plan(context, &targets, Files::Fetched(args::Refresh::default()))?;
    let at = planned.plan.jobs.iter().position(|job| job.component == *name);
    let Some(at) = at else {
        return Err(Failure::input(format!("nothing is built of `{name}`")));
    };
    let job = planned.plan.jobs.remove(at);
    let needed: BTreeSet<&ComponentName> = job.after.iter().collect();
    planned
        .plan
        .jobs
        .retain(|other| needed.contains(&other.component));
    let results = pipeline::build(context, &planned, &args::How::default(), &mut |_| {})?;
    let before: Vec<Arc<Built>> = results.values().map(|done| Arc::clone(&done.built)).collect();
    let (place, _folder) = pipeline::with_workshop(context, &planned.project, &planned.stage0, |shop| {
        shop.place(&job, &before)
    })?
    .map_err(|error| wrong(&error))?;
    talk(context, place, command)
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
        other => Err(Failure::new(Class::Failed, format!("it ended with {other}"))),
    }
}

/// A command as a shell reads it.
fn quoted(argv: &[String]) -> String {
    let quoted = argv
        .iter()
        .map(|word| format!("'{}'", word.replace('\'', "'\\''")));
    quoted.collect::<Vec<_>>().join(" ")
}
