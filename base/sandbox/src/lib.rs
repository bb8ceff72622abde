//! Runs one command in a sandbox of Linux namespaces.
//!
//! Input: a [`Sandbox`] (what the command may see) and a [`Run`] (the command and its streams).
//! Output: an [`Exit`]: how it ended, what it said, what it cost.
//!
//! 1. [`run`](run()) starts this same program again as a helper, sends it the request over a socket, and reads the
//!    command's output until it ends, its time is up, or the user interrupts.
//! 2. The helper (`init`) makes the namespaces and forks the first process of the new process namespace.
//! 3. That process (`inside`) mounts the root (`mounts`, `skeleton`), gives up every privilege (`privileges`), starts the
//!    command and reaps. When it ends, however it ends, the kernel kills everything in the namespace.
//!
//! A [`Session`] does the first steps once and then runs one command after another in the same sandbox, each in about the
//! time that it takes itself.
//!
//! **Who the command is.** It has one user and one group id: 0 ([`User::Root`]) or 1000 ([`User::Builder`]) inside.
//! Outside that is the caller; or, when the caller is root, the unprivileged [`identity::OUTSIDE`], so that nothing
//! in a sandbox is root of this machine. Files made inside belong to [`owner`]; what is bound writable, and the
//! lowers too if their owner should not show as `nobody`, must belong to it: [`hand_over`]. `chown` to any other id
//! fails inside, or does nothing ([`Sandbox::ignore_owners`]).
//!
//! **What it sees.** A read-only overlay of the lowers (or a writable one over an `upper`), the binds, `/proc` of its
//! own process namespace with a read-only `/proc/sys`, a small `/dev`, no `/sys`, one network interface (loopback,
//! up), a given host name, environment, umask 022, no terminal, no file descriptor but the three streams.
//!
//! Invariants: no mount is ever made in the machine's mount namespace, so none survives; when the caller dies
//! (`kill -9` included) so does everything inside; a path is resolved inside the root, so a symbolic link there
//! cannot lead a bind elsewhere; unreadable parents of a lower or bind do not matter to root.
//!
//! Never: gains a privilege the caller does not have; fails because the machine has no control groups to offer: then memory is
//! limited for each process only.
//!
//! [`child`] ties other child processes (QEMU) to the life of the caller; [`with_own_mounts`] is for those that mount; with [`Beneath`],
//! what a sandbox wrote is read on the host, and with [`changes`], what it changed of its root.
//!
//! Re-execution needs no help of the program that links this crate: a constructor (`init`) runs before `main`, in
//! tests too. [`init_main`] does the same where constructors do not run.

mod aside;
mod beneath;
mod bound;
mod calls;
mod cgroup;
pub mod child;
mod error;
pub mod identity;
mod init;
mod inside;
mod landlock;
mod limits;
mod memory;
mod mounts;
mod output;
mod privileges;
mod run;
mod serve;
mod session;
mod skeleton;
mod terminal;
mod upper;
mod wire;

use std::{collections::BTreeMap, fs::File, path::PathBuf, time::Duration};

use keel_artefact::RootPath;
use serde::{Deserialize, Serialize};

pub use aside::with_own_mounts;
pub use beneath::{Beneath, Found};
pub use bound::Disk;
pub use error::Error;
pub use identity::{hand_over, hand_over_alone, owner, take_back};
pub use init::init_main;
pub use run::run;
pub use session::{Session, State};
pub use terminal::talk;
pub use upper::{Change, changes};

/// What a command sees. [`Sandbox::new`] gives one with nothing but a root.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sandbox {
    /// Folders that make up the root, the top one first. Never written. At most 490.
    pub lowers: Vec<PathBuf>,
    /// A folder that takes what is written to the root, which is read-only without one. For composing a layer.
    /// It must be empty or made by an earlier run, handed over ([`hand_over`]), and its parent writable by the
    /// caller: the overlay's work folder lies beside it for the time of the run.
    pub upper: Option<PathBuf>,
    /// Files and folders of the host, at places inside. Missing mount points are made (not in the lowers).
    pub binds: Vec<Bind>,
    /// Empty, writable folders in memory, with mode 1777.
    pub tmpfs: Vec<RootPath>,
    /// The whole environment.
    pub env: BTreeMap<String, String>,
    /// Where the command starts.
    pub cwd: RootPath,
    /// Host name.
    pub hostname: String,
    /// Who the command is, inside.
    pub user: User,
    /// Changes of a file's owner succeed and change nothing: for programs that hand files to other users than the one there
    /// is inside (rpm, and the scriptlets of packages).
    #[serde(default)]
    pub ignore_owners: bool,
    /// May it use the host's network? Without, it has a loopback interface of its own.
    pub network: bool,
    /// What it may use.
    pub limits: Limits,
}

impl Sandbox {
    /// A sandbox over these lowers: the builder in `/`, `/tmp` and `/var/tmp` in memory, no environment but `PATH`, no network.
    pub fn new(lowers: Vec<PathBuf>) -> Self {
        let path = |text: &str| text.parse().expect("a constant root path");
        Self {
            lowers,
            upper: None,
            binds: Vec::new(),
            tmpfs: vec![path("/tmp"), path("/var/tmp")],
            env: BTreeMap::from([("PATH".to_owned(), "/usr/bin:/usr/sbin:/bin:/sbin".to_owned())]),
            cwd: RootPath::root(),
            hostname: "keel".to_owned(),
            user: User::Builder,
            ignore_owners: false,
            network: false,
            limits: Limits::default(),
        }
    }
}

/// A file or folder of the host, seen inside. Only the file system it lies on: mounts below it are not taken along.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// On the host. Symbolic links in it are followed on the host, before the sandbox exists.
    pub host: PathBuf,
    /// Inside. Symbolic links in it are followed inside the root.
    pub guest: RootPath,
    /// May the command write it? Then it should have been handed over ([`hand_over`]).
    pub writable: bool,
}

/// Who a command is inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum User {
    /// Uid 0 with the capabilities of an administrator of files (no mounting): for `ldconfig`, `rpm --root`.
    Root,
    /// Uid 1000 without any capability: for builds and everything else.
    Builder,
}

impl User {
    pub(crate) fn id(self) -> u32 {
        match self {
            Self::Root => 0,
            Self::Builder => 1000,
        }
    }
}

/// What a command may use. The default limits nothing but core dumps (none) and open files (1024);
/// [`Limits::of_a_build`] has what somebody else's program may use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Time from start to end; then all is killed.
    pub wall: Option<Duration>,
    /// Bytes of data memory of each process (`RLIMIT_DATA`), not of all together.
    pub memory: Option<u64>,
    /// Bytes of memory of all together, the cache of their files included, where the caller may make control groups. More
    /// than that, and the kernel kills the largest.
    pub total_memory: Option<u64>,
    /// Processes and threads of all together (`RLIMIT_NPROC`; since Linux 5.14 counted for this sandbox alone).
    pub processes: Option<u64>,
    /// Bytes of the largest file (`RLIMIT_FSIZE`).
    pub file_size: Option<u64>,
    /// What it may write to folders of the host, in all. Seen within a moment, so a little more may be written.
    pub disk: Option<Disk>,
    /// Bytes of each folder in memory, `/dev/shm` too. Without it, each may fill half of the machine's.
    pub tmpfs: Option<u64>,
    /// Added to the niceness of the caller; 0 leaves it, more gives way to others. Less than 0 counts as 0.
    pub nice: i32,
    /// On how many CPUs it runs; `nproc` inside says the same. More than there are: all.
    pub cpus: Option<usize>,
}

/// A command and its streams.
#[derive(Debug)]
pub struct Run<'a> {
    /// Program and arguments. A program without `/` is looked for in the sandbox's `PATH`.
    pub argv: Vec<String>,
    /// What it reads.
    pub stdin: Stdin,
    /// Where its standard output goes.
    pub stdout: Output<'a>,
    /// Where its standard error goes.
    pub stderr: Output<'a>,
}

impl Run<'_> {
    /// A command without input whose output is captured: all of stdout up to 64 MiB, the last 64 KiB of stderr.
    pub fn captured<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            stdin: Stdin::Null,
            stdout: Output::Capture { limit: 64 << 20 },
            stderr: Output::Tail { limit: 64 << 10 },
        }
    }
}

/// What a command reads.
#[derive(Debug, Default)]
pub enum Stdin {
    /// Nothing.
    #[default]
    Null,
    /// These bytes.
    Bytes(Vec<u8>),
    /// An open file.
    File(File),
}

/// Where a stream of a command goes.
#[derive(Default)]
pub enum Output<'a> {
    /// Nowhere.
    #[default]
    Null,
    /// Into an open file.
    File(File),
    /// To a function, line by line, without the line's end. A line longer than 64 KiB comes in pieces.
    Lines(&'a mut dyn FnMut(&[u8])),
    /// Into memory: the first `limit` bytes. The rest is read and dropped, with [`Exit::truncated`] set.
    Capture {
        /// Bytes.
        limit: usize,
    },
    /// Into memory: the last `limit` bytes.
    Tail {
        /// Bytes.
        limit: usize,
    },
    /// For `stderr`: to where `stdout` goes, in the order written.
    WithStdout,
}

impl std::fmt::Debug for Output<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::File(file) => f.debug_tuple("File").field(file).finish(),
            Self::Lines(_) => f.write_str("Lines"),
            Self::Capture { limit } => write!(f, "Capture({limit})"),
            Self::Tail { limit } => write!(f, "Tail({limit})"),
            Self::WithStdout => f.write_str("WithStdout"),
        }
    }
}

/// How a command ended.
#[derive(Clone, Debug)]
pub struct Exit {
    /// Code, signal, or out of time.
    pub status: Status,
    /// Captured standard output; empty unless [`Output::Capture`] or [`Output::Tail`] asked for it.
    pub stdout: Vec<u8>,
    /// Captured standard error; likewise.
    pub stderr: Vec<u8>,
    /// A capture was longer than its limit.
    pub truncated: bool,
    /// What it cost.
    pub usage: Usage,
}

impl Exit {
    /// Did it end with code 0?
    pub fn success(&self) -> bool {
        self.status == Status::Code(0)
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// Killed, because `limits.wall` was over.
    TimedOut,
    /// Killed, because it wrote more than `limits.disk`.
    DiskFull,
    /// By itself or by a signal, after the kernel killed one of its processes: together they had more memory than
    /// `limits.total_memory`.
    OutOfMemory,
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => match nix::sys::signal::Signal::try_from(*signal) {
                Ok(name) => write!(f, "signal {signal} ({name})"),
                Err(_) => write!(f, "signal {signal}"),
            },
            Self::TimedOut => f.write_str("timed out"),
            Self::DiskFull => f.write_str("wrote more to disk than it may"),
            Self::OutOfMemory => f.write_str("ran out of the memory that it may have"),
        }
    }
}

/// What all processes of a sandbox used together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// CPU time in user mode.
    pub user: Duration,
    /// CPU time in the kernel.
    pub system: Duration,
    /// Resident memory of the largest process, in bytes.
    pub max_rss: u64,
    /// Memory of all processes together at the peak, in bytes, without what they share with files: looked at a few times a
    /// second, so that shorter peaks are missed; never less than `max_rss`.
    pub peak_memory: u64,
    /// From the start of the helper to the end of the last process.
    pub wall: Duration,
}
