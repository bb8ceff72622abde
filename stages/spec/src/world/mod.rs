//! What macros are told about the machine that they are expanded for: the implementation of [`World`].
//!
//! Purpose: the same answers on every machine, those of the target; and SPECs that nobody has read yet can do no harm.
//! Input: [`Options`]. Output: [`Surroundings`], one for a run and shared by its threads, which gives each SPEC its
//! [`SpecWorld`].
//!
//! A command (`%(…)`) is answered by the first of these that can:
//!
//! 1. With a record to replay (`record.rs`), by that alone.
//! 2. The memo (`memo.rs`): it has been asked before, by any SPEC of this run.
//! 3. A small shell of our own ([`shell`]), for texts that only cut text; the programs that it meets are answered by
//!    [`Facts`] about the target.
//! 4. With [`Policy::Sandbox`], by bash in a sandbox (`commands.rs`) over the target's root (`guest.rs`): no network, nothing of the host
//!    but programs, limits of time, memory, processes and output.
//!
//! Files (`files.rs`) are those of the target's root and of the folders that [`Options::readable`] lists; variables those of
//! [`Options::environment`].
//!
//! Invariants: no answer depends on the order or the number of SPECs or threads. What one SPEC's commands write, no other
//! SPEC sees: an answer is shared only if nothing was written before it, or by it. A command that fails gives what it
//! printed so far, as in rpm; one that takes too long or prints too much is an error that says so.
//!
//! Never: a process outside the sandbox; the host's environment, users or network.

mod commands;
mod facts;
mod files;
mod guest;
mod layered;
mod memo;
mod record;
mod shell;
mod spec;
#[cfg(test)]
mod tests;

use std::{
    borrow::Cow,
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use keel_artefact::{Interrupt, RootPath};

pub use facts::Facts;
pub use layered::Layered;
pub use spec::SpecWorld;

#[cfg(doc)]
use crate::macros::World;

/// What commands of SPECs may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// Nothing: each is an error.
    Deny,
    /// Only what facts and our own shell can answer; others are errors.
    Facts,
    /// What is left is run in a sandbox.
    #[default]
    Sandbox,
}

impl FromStr for Policy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "deny" => Ok(Self::Deny),
            "facts" => Ok(Self::Facts),
            "sandbox" => Ok(Self::Sandbox),
            _ => Err(format!("`{text}` is none of deny, facts, sandbox")),
        }
    }
}

/// Where the target's files are.
#[derive(Debug, Clone, Default)]
pub enum Root {
    /// There are none: only facts answer, and the readable folders.
    #[default]
    Nothing,
    /// In a folder that holds a whole root.
    Folder(PathBuf),
    /// In folders that lie over each other, the top first, and together are a root.
    Layers(Vec<PathBuf>),
    /// The target is like this machine: its programs (`/usr`), and an `/etc` without users, keys and addresses. A few
    /// small files are kept in the folder `cache`, which may be deleted at any time.
    Host {
        /// A folder for what is Keel's alone.
        cache: PathBuf,
    },
}

/// What a run may know and do.
#[derive(Debug, Clone)]
pub struct Options {
    /// What commands may do.
    pub policy: Policy,
    /// Where the target's files are.
    pub root: Root,
    /// What the target's programs say.
    pub facts: Facts,
    /// Where to write all answers ([`Surroundings::finish`] does).
    pub record: Option<PathBuf>,
    /// A record that answers everything; nothing is run then, whatever the policy.
    pub replay: Option<PathBuf>,
    /// Folders (or files) of the host that SPECs may read, at the same paths: SPECs, sources, macro files. Absolute.
    pub readable: Vec<PathBuf>,
    /// Folders that commands may write besides `/tmp` and `/var/tmp`, each SPEC its own: the build folders, the home.
    pub writable: Vec<RootPath>,
    /// Where commands run, and relative paths begin.
    pub directory: RootPath,
    /// The whole environment.
    pub environment: BTreeMap<String, String>,
    /// How many processors the target's builds have.
    pub processors: usize,
    /// Seconds since 1970.
    pub now: i64,
    /// Stops what runs.
    pub interrupt: Interrupt,
}

impl Default for Options {
    /// No facts, no root, one processor, 1 January 1970; the environment of a build.
    fn default() -> Self {
        let environment = [
            ("HOME", "/root"),
            ("LANG", "C.UTF-8"),
            ("PATH", "/usr/bin:/usr/sbin:/bin:/sbin"),
            ("TZ", "UTC"),
        ];
        Self {
            policy: Policy::default(),
            root: Root::default(),
            facts: Facts::default(),
            record: None,
            replay: None,
            readable: Vec::new(),
            writable: vec!["/root".parse().expect("a constant root path")],
            directory: RootPath::root(),
            environment: environment
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            processors: 1,
            now: 0,
            interrupt: Interrupt::default(),
        }
    }
}

/// Why there are no surroundings, or no record of them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such built-in profile.
    #[error("there is no profile `{name}` of facts; there are {}", known.join(", "))]
    Profile {
        /// The name asked for.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// A file of facts is wrong.
    #[error("cannot read the facts in {file}: {why}")]
    Facts {
        /// The file.
        file: String,
        /// What is wrong with it.
        why: String,
    },
    /// A root, or a readable folder, cannot be used.
    #[error("cannot use {path} for SPECs to read")]
    Root {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A writable folder would hide the root.
    #[error("commands cannot have {0} to write in")]
    Writable(RootPath),
    /// A record cannot be read or written.
    #[error("cannot read or write the record {file} of commands")]
    Record {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A record is wrong.
    #[error("cannot replay {file}:{line}: {why}")]
    Replay {
        /// The file.
        file: PathBuf,
        /// Its line.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
}

impl Error {
    fn root(path: &Path, source: io::Error) -> Self {
        Self::Root {
            path: path.to_owned(),
            source,
        }
    }
}

/// What a command wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Printed {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

/// Or why it has no result.
type Answer = Result<Printed, String>;

/// What all SPECs of a run share.
pub struct Surroundings {
    options: Options,
    files: files::Files,
    memo: memo::Memo,
    commands: Option<commands::Commands>,
    recorder: Option<record::Recorder>,
    replay: Option<record::Replay>,
    /// The folders in which programs are looked for; none if the root has no shell, and so perhaps no programs at all.
    path: Vec<String>,
}

impl Surroundings {
    /// Reads what is to be replayed, opens the folders. Runs nothing yet.
    pub fn new(mut options: Options) -> Result<Arc<Self>, Error> {
        options.facts.set("processors", &options.processors.to_string());
        let guest = guest::Guest::new(&options)?;
        let files = files::Files::new(&guest)?;
        let replay = options.replay.as_deref();
        let replay = replay
            .map(|file| record::Replay::read(file, &options.environment))
            .transpose()?;
        let commands = match options.policy {
            Policy::Sandbox if replay.is_none() => {
                let Options {
                    environment,
                    directory,
                    ..
                } = &options;
                commands::Commands::new(&guest, environment, directory, &options.interrupt)
            }
            _ => None,
        };
        let path = options
            .environment
            .get("PATH")
            .filter(|_| files.find("/bin/sh").is_ok());
        let path = path
            .map(|path| path.split(':').map(str::to_owned).collect())
            .unwrap_or_default();
        let recorder = options.record.as_deref().map(record::Recorder::new);
        Ok(Arc::new(Self {
            options,
            files,
            memo: memo::Memo::default(),
            commands,
            recorder,
            replay,
            path,
        }))
    }

    /// The world of one SPEC. `name`, which nothing else in the run has, says which SPEC is evaluated, and how.
    pub fn of_spec(self: &Arc<Self>, name: &str) -> SpecWorld {
        SpecWorld::new(self.clone(), name)
    }

    /// A path from the root.
    fn absolute<'p>(&self, path: &'p str) -> Cow<'p, str> {
        match path.starts_with('/') {
            true => Cow::Borrowed(path),
            false => Cow::Owned(format!("{}/{path}", self.options.directory)),
        }
    }

    /// Writes the record, if one was asked for. Call it when all SPECs are done.
    pub fn finish(&self) -> Result<(), Error> {
        match &self.recorder {
            Some(recorder) => recorder.write(&self.options.environment),
            None => Ok(()),
        }
    }
}
