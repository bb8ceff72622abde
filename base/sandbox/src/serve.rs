//! The first process inside, when it serves a session: runs what it is told, one command after another, and sweeps
//! after each.
//!
//! Commands cannot reach it, though they have its user: it is not dumpable, so it can be neither traced nor looked into,
//! and the first process of a namespace gets no signal from inside that it does not handle (pid_namespaces(7)).

use std::{
    fs,
    os::{
        fd::OwnedFd,
        unix::{fs::MetadataExt as _, net::UnixStream, process::CommandExt as _},
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use nix::{
    sys::{
        signal::{Signal, kill},
        wait::waitpid,
    },
    unistd::Pid,
};

use crate::{
    Sandbox,
    inside::wait_for,
    wire::{self, Answer},
};

/// Returns when the caller is gone.
pub(crate) fn serve(sandbox: &Sandbox, socket: OwnedFd) {
    let socket = UnixStream::from(socket);
    let is_watched = sandbox.upper.is_none() && !sandbox.binds.iter().any(|bind| bind.writable);
    let before = Traces::of(sandbox, usize::MAX);
    if wire::send(&socket, &Answer::Ready).is_err() {
        return;
    }
    while let Some(done) = run(sandbox, &socket) {
        if wire::send(&socket, &done).is_err() {
            return;
        }
        // The caller has read all that it wants to.
        let mut byte = [0];
        if !matches!(
            rustix::net::recv(&socket, &mut byte, rustix::net::RecvFlags::empty()),
            Ok((_, 1))
        ) {
            return;
        }
        let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
        while waitpid(None, None) != Err(nix::Error::ECHILD) {}
        let most = before.as_ref().map_or(0, |before| before.0.len());
        let untouched = is_watched && before.is_some() && before == Traces::of(sandbox, most);
        if wire::send(&socket, &Answer::Swept { untouched }).is_err() {
            return;
        }
    }
}

/// Runs the next command; none when there is none.
fn run(sandbox: &Sandbox, socket: &UnixStream) -> Option<Answer> {
    let streams = || wire::receive_fd(socket).ok().map(Stdio::from);
    let (stdin, stdout, stderr) = (streams()?, streams()?, streams()?);
    let argv = wire::receive::<Vec<String>>(socket).ok().flatten()?;
    let (program, arguments) = argv.split_first()?;
    let child = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(&sandbox.env)
        .stdin(stdin)
        .stdout(stdout)
        .stderr(stderr)
        .process_group(0)
        .spawn();
    Some(match wait_for(child) {
        Ok(status) => Answer::Ended(status),
        Err(errno) => Answer::NotExecuted { errno },
    })
}

/// What there is in the folders that are in memory, by path and mode, and in System V's shared memory and queues.
#[derive(PartialEq)]
struct Traces(Vec<(PathBuf, u32)>);

impl Traces {
    /// None if there are more than `most`, or some that cannot be seen.
    fn of(sandbox: &Sandbox, most: usize) -> Option<Self> {
        let mut all = Vec::new();
        let folders = sandbox.tmpfs.iter().map(|path| Path::new(path.as_str()));
        for folder in folders.chain([Path::new("/dev/shm")]) {
            let metadata = fs::metadata(folder).ok()?;
            all.push((folder.to_owned(), metadata.mode()));
            walk(folder, metadata.dev(), most, &mut all)?;
        }
        for kind in ["shm", "sem", "msg"] {
            // The first line is a heading. A kernel without System V's has no such file.
            let text = fs::read_to_string(Path::new("/proc/sysvipc").join(kind)).unwrap_or_default();
            all.extend(text.lines().skip(1).map(|line| (PathBuf::from(line), 0)));
        }
        all.sort();
        (all.len() <= most).then_some(Self(all))
    }
}

/// Everything below a folder, but not what is mounted there.
fn walk(folder: &Path, device: u64, most: usize, all: &mut Vec<(PathBuf, u32)>) -> Option<()> {
    for entry in fs::read_dir(folder).ok()? {
        let path = entry.ok()?.path();
        let metadata = fs::symlink_metadata(&path).ok()?;
        all.push((path.clone(), metadata.mode()));
        if all.len() > most {
            return None;
        }
        if metadata.is_dir() && metadata.dev() == device {
            walk(&path, device, most, all)?;
        }
    }
    Some(())
}
