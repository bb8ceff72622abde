//! Scripts of the image's definition: they run over the tree, and what they change is read back.
//!
//! 1. The tree is written to a folder of the store, with the owner that everything has in a [sandbox](keel_sandbox).
//! 2. One after the other, scripts run as root of a sandbox whose root is an overlay of that folder: without a network, within the
//!    limits of a build and [`WALL`], with a fixed environment, in `/`. `/run`, `/tmp` and `/var/tmp` are in memory, and go.
//! 3. After each, what the overlay has (its `upper`) is compared with the tree, and the tree is changed.
//!
//! What is the same whoever builds the image:
//!
//! - **Owners.** There is one user inside, root. What has a name that was there before keeps its owner, what is new belongs to root;
//!   `chown` to anybody else fails.
//! - **Times.** What is made or written has the image's time.
//! - **Set-id bits** of files, capabilities, access lists, devices and sockets that a script makes are an error: a review of packages
//!   would not see them. Programs that have such bits keep them as long as nobody writes them.
//! - **Keel's own files** (users, host name, keys) are changed by the definition: a script that does is an error. rpm's database,
//!   `/etc/machine-id` and the cache of `ldconfig` are as they were, whatever a script did to them.
//!
//! Devices of packages are not in the folder: an ordinary user cannot make any.

mod changes;
mod lay;

use std::{path::Path, time::Duration};

use keel_artefact::{Epoch, Fingerprint, Interrupt, Sha256};
use keel_config::{
    Diagnostic, Errors,
    image::{Script, os::Content},
};
use keel_sandbox::{Bind, Limits, Output, Run, Sandbox, Status, Stdin, User};
use keel_store::Store;

use crate::{Error, accounts::root_path, error::At, finalise::Changed, tree::Tree};

/// How long a script may take.
pub const WALL: Duration = Duration::from_secs(3600);
/// Where a script is, inside.
const PLACE: &str = "/run/keel/script";
/// No script is larger.
const LARGEST: u64 = 16 << 20;
/// Bytes of what it says that are kept, and lines that a message shows.
const KEPT: usize = 64 << 10;
const LAST: usize = 12;
/// Raised when the same scripts give something else than before.
const PROTOCOL: &str = "scripts/1";
/// Where programs are.
const PATH: &str = "/usr/bin:/usr/sbin:/bin:/sbin";

/// The scripts of a definition, read.
#[derive(Debug, Default)]
pub(crate) struct Scripts<'a> {
    all: Vec<(&'a Script, Vec<u8>)>,
    /// They see another host name and one core.
    is_elsewhere: bool,
}

impl<'a> Scripts<'a> {
    pub(crate) fn read(scripts: &'a [Script], is_elsewhere: bool) -> Result<Self, Error> {
        let text = |script: &Script| match &script.content {
            Content::Text(text) => Ok(text.clone().into_bytes()),
            Content::Source(path) => {
                let size = fs_err::metadata(path).at("read", path.display())?.len();
                if size > LARGEST {
                    let source = std::io::Error::other(format!("this is larger than {LARGEST} bytes"));
                    return Err(source).at("read", path.display());
                }
                fs_err::read(path).at("read", path.display())
            }
        };
        let all = scripts.iter().map(|script| Ok((script, text(script)?)));
        Ok(Self {
            all: all.collect::<Result<_, Error>>()?,
            is_elsewhere,
        })
    }

    /// Names everything that the image takes from here.
    pub(crate) fn add_to(&self, key: &mut Fingerprint) {
        for (script, text) in &self.all {
            let said = serde_json::json!({
                "name": script.name, "interpreter": script.interpreter, "arguments": script.arguments,
                "environment": script.environment_variables,
            });
            key.add(PROTOCOL, said.to_string())
                .add_digest("text", &Sha256::of(text));
        }
    }

    /// Their names, and the digests of their texts.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&str, Sha256)> {
        self.all
            .iter()
            .map(|(script, text)| (script.name.as_str(), Sha256::of(text)))
    }

    /// Runs them over the tree, and notes what each changed.
    pub(crate) fn run(
        &self,
        tree: &mut Tree,
        changed: &mut Changed,
        clock: Epoch,
        store: &Store,
        say: &dyn Fn(&str),
        interrupt: &Interrupt,
    ) -> Result<(), Error> {
        if self.all.is_empty() {
            return Ok(());
        }
        say("files for scripts");
        let scratch = store.temp_dir("scripts")?;
        let mut place = Place::new(tree, scratch.path(), interrupt)?;
        place.is_elsewhere = self.is_elsewhere;
        for (script, text) in &self.all {
            say(&format!("script {}", script.name));
            has_interpreter(tree, script)?;
            place.run(script, text, clock, WALL, interrupt)?;
            let paths = changes::apply(tree, &place.upper, script, clock, interrupt)?;
            if !paths.is_empty() {
                changed.insert(format!("script {}", script.name), paths);
            }
        }
        Ok(())
    }
}

/// Fails unless the image has the program that runs a script.
fn has_interpreter(tree: &Tree, script: &Script) -> Result<(), Error> {
    let program = &script.interpreter;
    let folders = script.environment_variables.get("PATH");
    let places: Vec<String> = match program.starts_with('/') {
        true => vec![program.clone()],
        false => {
            let folders = folders.map_or(PATH, String::as_str).split(':');
            folders.map(|folder| format!("{folder}/{program}")).collect()
        }
    };
    let mut places = places.iter().filter_map(|place| place.parse().ok());
    if places.any(|place| tree.file(&place).is_some()) {
        return Ok(());
    }
    let message = format!(
        "the image has no `{program}` to run script `{}` with",
        script.name
    );
    let wrong = Diagnostic::new(message).at(script.defined_at.clone());
    let wrong = wrong.hint("add the package that has it, or say `interpreter = …`");
    Errors::check((), vec![wrong]).map_err(Error::Definition)
}

/// The folders of the host that scripts run in.
struct Place {
    lower: std::path::PathBuf,
    upper: std::path::PathBuf,
    file: std::path::PathBuf,
    /// The host name is another one, and there is one core.
    is_elsewhere: bool,
}

impl Place {
    fn new(tree: &Tree, scratch: &Path, interrupt: &Interrupt) -> Result<Self, Error> {
        let place = Self {
            lower: scratch.join("lower"),
            upper: scratch.join("upper"),
            file: scratch.join("script"),
            is_elsewhere: false,
        };
        lay::lay(tree, &place.lower, interrupt)?;
        fs_err::create_dir(&place.upper).at("make", place.upper.display())?;
        lay::root_mode(tree, &place.upper)?;
        for folder in [&place.lower, &place.upper] {
            hand_over(folder)?;
        }
        Ok(place)
    }

    fn run(
        &self,
        script: &Script,
        text: &[u8],
        clock: Epoch,
        wall: Duration,
        interrupt: &Interrupt,
    ) -> Result<(), Error> {
        fs_err::write(&self.file, text).at("write", self.file.display())?;
        hand_over(&self.file)?;
        let mut sandbox = Sandbox::new(vec![self.lower.clone()]);
        sandbox.upper = Some(self.upper.clone());
        sandbox.tmpfs.push(root_path("/run"));
        sandbox.binds = vec![Bind {
            host: self.file.clone(),
            guest: root_path(PLACE),
            writable: false,
        }];
        sandbox.user = User::Root;
        let usual = [
            ("HOME", "/root"),
            ("LANG", "C.UTF-8"),
            ("PATH", PATH),
            ("TZ", "UTC"),
        ];
        let usual = usual.map(|(name, value)| (name.to_owned(), value.to_owned()));
        sandbox.env = usual.into();
        let epoch = clock.0.to_string();
        sandbox.env.insert("SOURCE_DATE_EPOCH".to_owned(), epoch);
        sandbox.env.extend(script.environment_variables.clone());
        sandbox.limits = Limits {
            wall: Some(wall),
            ..Limits::of_a_build(0)
        };
        if self.is_elsewhere {
            sandbox.hostname = "elsewhere.example".to_owned();
            sandbox.limits.cpus = Some(1);
        }
        let mut argv = vec![script.interpreter.clone(), PLACE.to_owned()];
        argv.extend_from_slice(&script.arguments);
        let run = Run {
            argv,
            stdin: Stdin::Null,
            stdout: Output::Tail { limit: KEPT },
            stderr: Output::WithStdout,
        };
        let exit = match keel_sandbox::run(&sandbox, run, interrupt) {
            Ok(exit) if exit.success() => return Ok(()),
            Ok(exit) => exit,
            Err(keel_sandbox::Error::Interrupted(interrupted)) => return Err(interrupted.into()),
            Err(source) => {
                return Err(Error::Sandbox {
                    script: script.name.clone(),
                    source,
                });
            }
        };
        let how = match exit.status {
            Status::TimedOut => format!("took longer than {} minutes", wall.as_secs().div_ceil(60)),
            status => format!("failed ({status})"),
        };
        Err(Error::Script {
            script: script.name.clone(),
            at: script.defined_at.clone(),
            how,
            said: said(&exit.stdout),
        })
    }
}

fn hand_over(path: &Path) -> Result<(), Error> {
    keel_sandbox::hand_over(path)
        .map_err(std::io::Error::other)
        .at("hand over", path.display())
}

/// The last lines that are not empty, one below the other, without what a terminal would take for a command.
fn said(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    if lines.is_empty() {
        return "\n  it said nothing".to_owned();
    }
    let plain = |line: &str| -> String {
        let plain = |c: char| {
            if c.is_control() && c != '\t' {
                '\u{fffd}'
            } else {
                c
            }
        };
        line.chars().map(plain).collect()
    };
    lines[lines.len().saturating_sub(LAST)..]
        .iter()
        .map(|line| format!("\n  | {}", plain(line)))
        .collect()
}

#[cfg(test)]
mod tests;
