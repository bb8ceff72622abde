//! The `keel` program: arguments in, one stage after the other, results on standard output.
//!
//! [`args`] is what can be typed; [`context`] is what every command starts from (project, store, stage0); [`pipeline`] is the
//! flow; [`commands`] has one file a subcommand; [`terminal`] tells progress and [`failure`] what went wrong. Nothing else in Keel
//! prints, exits, or reads the environment.

mod args;
mod commands;
mod context;
mod failure;
mod inputs;
mod pipeline;
mod policy;
mod rendering;
mod report;
mod terminal;

use std::{io::IsTerminal as _, process::ExitCode};

use clap::Parser as _;

use crate::{
    args::{Cli, When},
    context::Context,
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
            let _ = error.print();
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
    let terminal = Terminal::new(volume, paint);
    let result = Context::new(cli.global, &terminal).and_then(|context| {
        commands::run(&context, cli.command).map_err(|failure| failure.after(&context.interrupt))
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            terminal.clear();
            terminal.line(&failure.render(paint));
            failure.class.exit_code()
        }
    }
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
