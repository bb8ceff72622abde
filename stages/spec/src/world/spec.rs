//! The world of one SPEC.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use keel_sandbox::Session;
use rustix::{fs::FileType, io::Errno};

use super::{
    Answer, Policy, Printed, Surroundings,
    record::Turns,
    shell::{self, Machine, Presence, Seen, Sure, Unsure},
};
use crate::macros::{Complaint, World};

/// For all commands of a SPEC that are run.
const TIME: Duration = Duration::from_secs(30);
/// The longest command, in bytes: what one argument of a program may have (execve(2)).
const LONGEST: usize = 128 << 10;

/// The surroundings as one SPEC sees them.
pub struct SpecWorld {
    shared: Arc<Surroundings>,
    name: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The sandbox that this SPEC's commands have written to.
    own: Option<Session>,
    /// It had one, and lost it to a command that took too long.
    has_lost: bool,
    spent: Duration,
    turns: Turns,
    complaints: Vec<Complaint>,
}

impl SpecWorld {
    pub(super) fn new(shared: Arc<Surroundings>, name: &str) -> Self {
        Self {
            shared,
            name: name.to_owned(),
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, command: &[u8]) -> Arc<Answer> {
        let error = |why: &str| (Arc::new(Err(why.to_owned())), true);
        let shared = &self.shared;
        let mut state = self.state();
        let (answer, is_for_all) = if let Some(replay) = &shared.replay {
            let answer = replay.answer(&self.name, command, &mut state.turns);
            answer.unwrap_or_else(|| error("it is not in the record that is replayed"))
        } else if shared.options.policy == Policy::Deny {
            error("commands are denied")
        } else if state.own.is_some() || state.has_lost {
            // What was written can be what is asked for.
            let (answer, is_for_all) = self.find(command, &mut state);
            (Arc::new(answer), is_for_all)
        } else {
            shared.memo.get(command, || self.find(command, &mut state))
        };
        if let Some(recorder) = &shared.recorder {
            recorder.note((!is_for_all).then_some(self.name.as_str()), command, &answer);
        }
        answer
    }

    /// The answer, and whether it is the same for every SPEC.
    fn find(&self, command: &[u8], state: &mut State) -> (Answer, bool) {
        if command.len() >= LONGEST || command.contains(&0) {
            return (
                Err(format!(
                    "it is longer than {} KiB, or has a NUL in it",
                    LONGEST >> 10
                )),
                true,
            );
        }
        let environment = &self.shared.options.environment;
        let text = std::str::from_utf8(command).map_err(|_| Unsure);
        if let Ok(said) = text.and_then(|text| shell::run(text, environment, &*self.shared)) {
            return (
                Ok(Printed {
                    stdout: said.stdout.into(),
                    stderr: said.stderr.into(),
                }),
                true,
            );
        }
        let Some(commands) = &self.shared.commands else {
            let why = match self.shared.options.policy {
                Policy::Sandbox => "there is no root to run it in",
                _ => "no fact answers it",
            };
            return (Err(why.to_owned()), true);
        };
        let left = TIME.saturating_sub(state.spent);
        if left.is_zero() {
            return (
                Err(format!(
                    "the commands of this SPEC take longer than {} s",
                    TIME.as_secs()
                )),
                false,
            );
        }
        let own = state.own.take();
        let had_own = own.is_some() || state.has_lost;
        let ran = commands.run(command, own, left);
        state.spent += ran.took;
        state.own = ran.touched;
        state.has_lost = had_own && state.own.is_none() && ran.answer.is_err();
        (ran.answer, ran.is_for_all)
    }
}

impl World for SpecWorld {
    fn shell(&self, command: &[u8]) -> Result<Vec<u8>, String> {
        let answer = self.answer(command);
        match &*answer {
            Ok(printed) => {
                if !printed.stderr.is_empty() {
                    let text = String::from_utf8_lossy(&printed.stderr)
                        .trim_end_matches('\n')
                        .to_owned();
                    self.state().complaints.push(Complaint {
                        command: beginning(command),
                        text,
                    });
                }
                Ok(printed.stdout.clone())
            }
            Err(why) => Err(format!("cannot run `{}`: {why}", beginning(command))),
        }
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.shared.options.environment.get(name).cloned()
    }

    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        match self.shared.files.read(&self.shared.absolute(path)) {
            Err(error) if is_elsewhere(&error) => match path {
                "/proc/meminfo" => Ok(meminfo(self.shared.options.processors).into_bytes()),
                _ => Err(io::ErrorKind::NotFound.into()),
            },
            done => done,
        }
    }

    fn exists(&self, path: &str) -> bool {
        self.shared.files.find(&self.shared.absolute(path)).is_ok()
    }

    fn list(&self, path: &str) -> Vec<String> {
        self.shared
            .files
            .list(&self.shared.absolute(path))
            .unwrap_or_default()
    }

    fn processors(&self) -> usize {
        self.shared.options.processors
    }

    fn now(&self) -> i64 {
        self.shared.options.now
    }

    fn is_interrupted(&self) -> bool {
        self.shared.options.interrupt.is_set()
    }

    fn complaints(&self) -> Vec<Complaint> {
        std::mem::take(&mut self.state().complaints)
    }
}

/// What the kernel says of memory: macros that limit a build's jobs ask it. A machine has 4 GiB for each processor.
fn meminfo(processors: usize) -> String {
    let kib = processors << 22;
    format!("MemTotal: {kib:>14} kB\nMemFree: {kib:>15} kB\nMemAvailable: {kib:>10} kB\n")
}

/// The first line of a command, or as much as fits in a message.
fn beginning(command: &[u8]) -> String {
    let text = String::from_utf8_lossy(command);
    let line = text.trim_start().lines().next().unwrap_or_default();
    match line.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None if line.len() < text.trim().len() => format!("{line} …"),
        None => line.to_owned(),
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// In a folder that only the commands of a SPEC know, or that is the kernel's.
fn is_elsewhere(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::XDEV.raw_os_error())
}

impl Machine for Surroundings {
    fn fact(&self, argv: &[String]) -> Option<(String, i32)> {
        self.options.facts.answer(argv)
    }

    fn program(&self, name: &str) -> Presence {
        if self.path.is_empty() {
            return Presence::Unknown;
        }
        let candidates: Vec<String> = if name.contains('/') {
            vec![name.to_owned()]
        } else {
            self.path
                .iter()
                .map(|folder| format!("{folder}/{name}"))
                .collect()
        };
        for candidate in candidates {
            match self.look(&candidate) {
                Ok(None) => {}
                Ok(Some(seen)) if seen.is_file && seen.mode & 0o111 == 0o111 => return Presence::Present,
                _ => return Presence::Unknown,
            }
        }
        Presence::Absent
    }

    fn look(&self, path: &str) -> Sure<Option<Seen>> {
        let found = match self.files.find(&self.absolute(path)) {
            Ok(found) if found.is_public => found,
            Err(error) if is_missing(&error) => return Ok(None),
            _ => return Err(Unsure),
        };
        let kind = FileType::from_raw_mode(found.stat.st_mode);
        Ok(Some(Seen {
            is_file: kind == FileType::RegularFile,
            is_folder: kind == FileType::Directory,
            mode: found.stat.st_mode & 0o7777,
            size: u64::try_from(found.stat.st_size).map_err(|_| Unsure)?,
        }))
    }

    fn read(&self, path: &str) -> Sure<Option<String>> {
        let Some(seen) = self.look(path)? else {
            return Ok(None);
        };
        if !seen.is_file || seen.mode & 0o444 != 0o444 || seen.size > 1 << 20 {
            return Err(Unsure);
        }
        let bytes = self.files.read(&self.absolute(path)).map_err(|_| Unsure)?;
        let text = String::from_utf8(bytes).map_err(|_| Unsure)?;
        if shell::is_plain(&text) {
            Ok(Some(text))
        } else {
            Err(Unsure)
        }
    }
}
