//! The `keel` program: arguments in, one stage after the other, results on standard output.
//!
//! [`args`] is what can be typed; [`context`] is what every command starts from (project, store, stage0); [`pipeline`] is the
//! flow; [`commands`] has one file a subcommand; [`terminal`] tells progress and [`failure`] what went wrong. Nothing else in Keel
//! prints, exits, or reads the environment.

mod args;
mod base;
mod commands;
mod context;
mod drawing;
mod events;
mod failure;
mod inputs;
mod machine;
mod names;
mod pipeline;
mod planned;
mod policy;
mod rendered;
mod rendering;
mod replan;
mod report;
mod revision;
mod terminal;
mod variants;

use std::{io::IsTerminal as _, process::ExitCode};

use clap::Parser as _;

use crate::{
    args::{Cli, Form, When},
    context::Context,
    events::Events,
    failure::{Class, Failure},
    terminal::{Terminal, Volume},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    keel_sandbox::init_main();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are results; everything else is wrong input.
            let is_result = !error.use_stderr();
            match is_result || !wants_json(std::env::args_os()) {
                true => drop(error.print()),
                false => {
                    let text = error.to_string();
                    let text = text.trim_start_matches("error: ").trim_end();
                    let terminal = Terminal::new(Volume::Quiet, false, Form::Json, None);
                    terminal.failure(&Failure::input(text));
                }
            }
            return if is_result {
                ExitCode::SUCCESS
            } else {
                Class::Input.exit_code()
            };
        }
    };
    catch_bugs();
    let paint = match cli.global.color {
        When::Always => true,
        When::Never => false,
        When::Auto => {
            std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
                && std::io::stderr().is_terminal()
        }
    };
    let volume = match (cli.global.quiet, cli.global.verbose) {
        (true, _) => Volume::Quiet,
        (false, false) => Volume::Normal,
        (false, true) => Volume::Verbose,
    };
    let events = match cli.global.events.as_deref().map(Events::open).transpose() {
        Ok(events) => events,
        Err(error) => {
            let failure = Failure::because(Class::Input, "cannot write events", &error);
            Terminal::new(volume, paint, cli.global.output, None).line(&failure.render(paint));
            return failure.class.exit_code();
        }
    };
    let terminal = Terminal::new(volume, paint, cli.global.output, events);
    terminal.begin(std::env::args().skip(1));
    let result = Context::new(cli.global, &terminal).and_then(|context| {
        commands::run(&context, cli.command).map_err(|failure| failure.after(&context.interrupt))
    });
    terminal.end(result.as_ref().err());
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            terminal.failure(&failure);
            failure.class.exit_code()
        }
    }
}

/// Is JSON wanted by arguments that cannot be read?
fn wants_json(arguments: impl Iterator<Item = std::ffi::OsString>) -> bool {
    let arguments: Vec<_> = arguments.take_while(|argument| argument != "--").collect();
    let pairs = arguments.windows(2);
    arguments.iter().any(|one| one == "--output=json")
        || pairs
            .into_iter()
            .any(|pair| pair[0] == "--output" && pair[1] == "json")
}

/// A panic is a bug in Keel: it says so, and ends with the code for that.
fn catch_bugs() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        default(panic);
        let failure = Failure::new(Class::Bug, "this is a bug in keel; finished work is kept")
            .hint("please report it with the lines above and the command that you ran");
        let _ = std::io::Write::write_all(&mut std::io::stderr(), failure.render(false).as_bytes());
        #[allow(
            clippy::exit,
            reason = "a worker's panic must end the run; the sandboxes die with this process"
        )]
        std::process::exit(70);
    }));
}
