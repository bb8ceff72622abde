//! The rest of the commands: run by bash, in a sandbox that shows the target's root and nothing else.
//!
//! One sandbox serves all commands of a thread, as long as none leaves anything in it. The one that a SPEC's command
//! wrote to is that SPEC's alone from then on.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
    thread::{self, ThreadId},
    time::{Duration, Instant},
};

use keel_artefact::{Interrupt, RootPath};
use keel_sandbox::{Error, Exit, Output, Run, Sandbox, Session, State, Status, Stdin, User};

use super::{Answer, Printed, guest::Guest};

/// For one command.
pub(super) const TIME: Duration = Duration::from_secs(5);
/// Data of each process, in bytes.
const MEMORY: u64 = 512 << 20;
/// Of each folder that can be written, in bytes.
const WRITTEN: u64 = 64 << 20;
const PROCESSES: u64 = 64;
/// Standard output of one command, in bytes.
const OUTPUT: usize = 16 << 20;
/// What is kept of its standard error, in bytes.
const WARNING: usize = 16 << 10;

/// Runs commands for all SPECs.
pub(super) struct Commands {
    sandbox: Sandbox,
    interrupt: Interrupt,
    /// Untouched sessions, each for the thread that it ends with.
    idle: Mutex<HashMap<ThreadId, Session>>,
}

/// What became of a command.
pub(super) struct Ran {
    pub(super) answer: Answer,
    /// Would it be the same for every SPEC?
    pub(super) is_for_all: bool,
    /// The session, if something was left in it.
    pub(super) touched: Option<Session>,
    pub(super) took: Duration,
}

impl Commands {
    /// None if the guest has no root to run anything in.
    pub(super) fn new(
        guest: &Guest,
        environment: &BTreeMap<String, String>,
        directory: &RootPath,
        interrupt: &Interrupt,
    ) -> Option<Self> {
        let mut sandbox = guest.sandbox()?;
        sandbox.env.clone_from(environment);
        sandbox.cwd.clone_from(directory);
        sandbox.user = User::Builder;
        sandbox.limits.memory = Some(MEMORY);
        sandbox.limits.tmpfs = Some(WRITTEN);
        sandbox.limits.file_size = Some(WRITTEN);
        sandbox.limits.processes = Some(PROCESSES);
        Some(Self {
            sandbox,
            interrupt: interrupt.clone(),
            idle: Mutex::default(),
        })
    }

    /// Runs a command, in the SPEC's own session if it has one, for at most `time`.
    pub(super) fn run(&self, command: &[u8], own: Option<Session>, time: Duration) -> Ran {
        let started = Instant::now();
        let was_touched = own.is_some();
        let time = time.min(TIME);
        let done = self.exit(command, own, time);
        let took = started.elapsed();
        let (exit, session) = match done {
            Ok(done) => done,
            Err(error) => {
                let (why, is_for_all) = match error {
                    Error::Exec { .. } => ("there is no bash in the root".to_owned(), true),
                    other => (with_causes(&other), false),
                };
                return Ran {
                    answer: Err(why),
                    is_for_all,
                    touched: None,
                    took,
                };
            }
        };
        let touched = match session.state() {
            State::Untouched => {
                self.idle().insert(thread::current().id(), session);
                None
            }
            State::Touched => Some(session),
            State::Over => None,
        };
        let is_late = exit.status == Status::TimedOut;
        let answer = if is_late {
            Err(format!("it takes longer than {:.1} s", time.as_secs_f32()))
        } else if exit.truncated && exit.stdout.len() >= OUTPUT {
            Err(format!("it prints more than {} MiB", OUTPUT >> 20))
        } else {
            // One that fails, or is killed, has printed what it has printed.
            Ok(Printed {
                stdout: exit.stdout,
                stderr: exit.stderr,
            })
        };
        let is_for_all = !was_touched && touched.is_none() && (!is_late || time == TIME);
        Ran {
            answer,
            is_for_all,
            touched,
            took,
        }
    }

    fn exit(&self, command: &[u8], own: Option<Session>, time: Duration) -> Result<(Exit, Session), Error> {
        let mut session = match own {
            Some(session) => session,
            None => self.session()?,
        };
        // As /bin/sh, which not every root has as bash; the last word is what messages begin with.
        let run = Run {
            argv: vec![
                "bash".into(),
                "--posix".into(),
                "-c".into(),
                script(command),
                "sh".into(),
            ],
            stdin: Stdin::Null,
            stdout: Output::Capture { limit: OUTPUT },
            stderr: Output::Tail { limit: WARNING },
        };
        let exit = session.run(run, Some(time), &self.interrupt)?;
        Ok((exit, session))
    }

    fn session(&self) -> Result<Session, Error> {
        let idle = self.idle().remove(&thread::current().id());
        match idle {
            Some(session) => Ok(session),
            None => Session::start(&self.sandbox, &self.interrupt),
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, HashMap<ThreadId, Session>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The command as text; bytes that are none, in bash's `$'…'`.
fn script(command: &[u8]) -> String {
    match std::str::from_utf8(command) {
        Ok(text) => text.to_owned(),
        Err(_) => {
            let escaped: String = command.iter().map(|byte| format!("\\x{byte:02x}")).collect();
            format!("eval $'{escaped}'")
        }
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
