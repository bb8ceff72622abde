//! One file a subcommand.

pub mod add;
pub mod build;
pub mod changed;
pub mod check;
pub mod component;
pub mod config;
pub mod diff;
pub mod history;
pub mod image;
mod import;
pub mod key;
pub mod licenses;
pub mod manual;
pub mod package;
pub mod plan;
pub mod prepare_sources;
pub mod query;
pub mod registry;
pub mod render;
pub mod repo;
pub mod reproduce;
pub mod shell;
pub mod source;
pub mod spec;
pub mod store;

use keel_artefact::ComponentName;
use keel_config::{Project, diagnostic::nearest};

use crate::{args::Command, context::Context, failure::Failure};

/// Does what was asked for.
pub fn run(context: &Context<'_>, command: Command) -> Result<(), Failure> {
    match command {
        Command::Check => check::run(context),
        Command::Config(command) => config::run(context, command),
        Command::Component(command) => component::run(context, command),
        Command::Licenses(command) => licenses::run(context, &command),
        Command::Source(command) => source::run(context, command),
        Command::Plan(command) => plan::run(context, &command),
        Command::Build(command) => build::run(context, &command),
        Command::Reproduce(command) => reproduce::run(context, &command),
        Command::Shell(command) => shell::run(context, &command),
        Command::Package(command) => package::run(context, command),
        Command::Repo(command) => repo::run(context, command),
        Command::Image(command) => image::run(context, command),
        Command::Spec(command) => spec::run(context, *command),
        Command::Key(command) => key::run(context, command),
        Command::Store(command) => store::run(context, command),
        Command::Clean => store::clean(context),
        Command::Completions { shell } => manual::completions(shell),
        Command::Man { dir } => manual::pages(dir.as_deref()),
    }
}

/// Fails for a component that the project does not have.
pub fn check_component(project: &Project, name: &ComponentName) -> Result<(), Failure> {
    if project.components.contains_key(name) {
        return Ok(());
    }
    let failure = Failure::input(format!("no such component: `{name}`"));
    Err(
        match nearest(
            name.as_str(),
            project.components.keys().map(ComponentName::as_str),
        ) {
            Some(near) => failure.hint(format!("did you mean `{near}`?")),
            None => failure.hint("`keel component list` names them all"),
        },
    )
}
