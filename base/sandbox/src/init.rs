//! The helper: this program, started again by [`crate::run()`]. It makes the namespaces, forks the first process
//! inside ([`crate::inside`]), kills it when told to or when the caller is gone, and reports what all of it cost.
//!
//! It must be single-threaded (`unshare` of a user namespace demands it, and `fork` is sound then), which only a
//! fresh process is. So [`CONSTRUCTOR`] takes over before `main` of whatever program links this crate.

#![allow(unsafe_code)] // a constructor, two forks' worth of system calls that no safe wrapper covers

use std::os::{
    fd::{AsFd, FromRawFd, OwnedFd},
    unix::net::UnixStream,
};
use std::time::{Duration, Instant};

use nix::{
    libc,
    sched::{CloneFlags, unshare},
    sys::{
        resource::{UsageWho, getrusage},
        signal::{SigHandler, Signal, kill, signal},
        time::TimeValLike as _,
        wait::waitpid,
    },
    unistd::{ForkResult, Pid, fork},
};
use rustix::event::{PollFd, PollFlags, poll};

use crate::{
    Usage,
    identity::Identity,
    inside,
    wire::{self, Failure, Report, Request, Step},
};

/// In the environment of the helper, which has no other variable.
pub(crate) const MARKER: &str = "KEEL_SANDBOX_HELPER";

/// Runs before `main`, like a constructor in C (`.init_array`, see the System V ABI, "Initialization and Termination
/// Functions"). Without the marker it does nothing but look for it.
#[used]
// SAFETY: the section holds pointers to functions which the C library calls before `main`, with arguments that
// this one does not take; it does not unwind (`extern "C"` aborts) and uses only parts of `std` that need no set-up.
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = {
    extern "C" fn constructor() {
        init_main();
    }
    constructor
};

/// Becomes the helper if this process was started as one, and then never returns. Otherwise it does nothing.
///
/// A constructor calls it before `main`; a program may call it again as the first thing in `main`.
pub fn init_main() {
    if std::env::var_os(MARKER).is_some() {
        let code = helper();
        // SAFETY: `_exit` ends the process at once; nothing in this process needs destructors.
        unsafe { libc::_exit(code) }
    }
}

/// The exit code is for people with a debugger only: the caller goes by the reports.
fn helper() -> i32 {
    let started = Instant::now();
    // SAFETY: [`crate::run()`] made descriptor 0 a socket for this process alone; nothing else here owns it.
    let control = UnixStream::from(unsafe { OwnedFd::from_raw_fd(0) });
    let (stdin, request) = match (wire::receive_fd(&control), wire::receive::<Request>(&control)) {
        (Ok(stdin), Ok(Some(request))) => (stdin, request),
        _ => return 2,
    };
    match start(&control, request, stdin) {
        Ok((child, sync)) => {
            if let Err(Failure { step, errno }) = supervise(&control, &sync, child) {
                let _ = wire::send(&control, &Report::Failed { step, errno });
            }
            let _ = wire::send(&control, &Report::Gone(usage(started)));
            0
        }
        Err(Failure { step, errno }) => {
            let _ = wire::send(&control, &Report::Failed { step, errno });
            1
        }
    }
}

/// Makes the namespaces and forks.
fn start(control: &UnixStream, request: Request, stdin: OwnedFd) -> Result<(Pid, Sync), Failure> {
    die_with_parent()?;
    // SAFETY: marks descriptors, which no Rust object's validity depends on; they close when the command starts.
    if unsafe {
        libc::syscall(
            libc::SYS_close_range,
            3,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    } != 0
    {
        return Err(nix::Error::last())
            .step(|| "mark inherited descriptors (Linux 5.11 or newer is needed)".into());
    }
    // Keys of the caller's session are not for the sandbox (keyctl(2), KEYCTL_JOIN_SESSION_KEYRING, a new one without
    // name). A kernel without keys has none to keep.
    // SAFETY: changes the credentials of this process only; no memory is passed.
    unsafe { libc::syscall(libc::SYS_keyctl, 1, 0) };
    for number in Signal::iterator().filter(|number| !matches!(number, Signal::SIGKILL | Signal::SIGSTOP)) {
        // SAFETY: the default disposition runs no code of ours.
        unsafe { signal(number, SigHandler::SigDfl) }.step(|| format!("reset {number}"))?;
    }
    // The mount namespace is the child's alone: `pivot_root` there would move this process too.
    let mut namespaces = CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWCGROUP;
    if !request.sandbox.network {
        namespaces |= CloneFlags::CLONE_NEWNET;
    }
    match request.identity {
        // The user namespace comes last, made by the child: until then it mounts as root.
        Identity::FromRoot { .. } => unshare(namespaces).step(|| "make namespaces".into())?,
        Identity::Caller { uid, gid } => {
            unshare(namespaces | CloneFlags::CLONE_NEWUSER).step(|| "make namespaces".into())?;
            map_ids("self", request.sandbox.user.id(), uid, gid)?;
        }
    }
    // Changing credentials has cleared it.
    die_with_parent()?;
    let (ours, theirs) = UnixStream::pair().step(|| "make a socket".into())?;
    // SAFETY: this process has one thread: it was just started, and nothing here starts another.
    match unsafe { fork() }.step(|| "fork".into())? {
        ForkResult::Child => {
            drop(ours);
            let code = inside::main(control, &theirs, &request, stdin);
            // SAFETY: as above, nothing is left to be destructed.
            unsafe { libc::_exit(code) }
        }
        ForkResult::Parent { child } => {
            let outside = match request.identity {
                Identity::FromRoot { outside } => Some((request.sandbox.user.id(), outside)),
                Identity::Caller { .. } => None,
            };
            Ok((
                child,
                Sync {
                    socket: ours,
                    outside,
                },
            ))
        }
    }
}

/// What the parent does for the first process inside: when that has made its user namespace, it asks for the id maps.
struct Sync {
    socket: UnixStream,
    /// The id inside and the id outside.
    outside: Option<(u32, u32)>,
}

/// Waits for the end of the first process inside. When it is dead, so is everything in its process namespace
/// (pid_namespaces(7)): `waitpid` returns no earlier.
fn supervise(control: &UnixStream, sync: &Sync, child: Pid) -> Result<(), Failure> {
    let done = wait(control, sync, child);
    let _ = kill(child, Signal::SIGKILL);
    while waitpid(child, None) == Err(nix::Error::EINTR) {}
    done
}

/// Until the process inside ends, or the caller says so or is gone.
fn wait(control: &UnixStream, sync: &Sync, child: Pid) -> Result<(), Failure> {
    let pid = rustix::process::Pid::from_raw(child.as_raw()).expect("fork gives a positive number");
    // Readable when the process ends.
    let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())
        .step(|| "watch the sandbox".into())?;
    let mut answering = true;
    loop {
        let mut fds = vec![
            PollFd::new(&pidfd, PollFlags::IN),
            PollFd::new(control, PollFlags::IN),
        ];
        if answering {
            fds.push(PollFd::new(&sync.socket, PollFlags::IN));
        }
        if poll(&mut fds, None).is_err() {
            continue;
        }
        if fds[..2].iter().any(|fd| !fd.revents().is_empty()) {
            return Ok(());
        }
        if fds[2..].iter().any(|fd| !fd.revents().is_empty()) {
            let mut byte = [0];
            let asked = rustix::net::recv(&sync.socket, &mut byte, rustix::net::RecvFlags::empty());
            answering = matches!(asked, Ok((_, 1)));
            if answering && let Some((inside, outside)) = sync.outside {
                map_ids(&child.to_string(), inside, outside, outside)?;
                wire::nudge(&sync.socket);
            }
        }
    }
}

/// user_namespaces(7): one id inside is one id outside; `setgroups` must be denied before an ordinary user may map.
fn map_ids(process: &str, inside: u32, uid: u32, gid: u32) -> Result<(), Failure> {
    for (file, text) in [
        ("setgroups", "deny".to_owned()),
        ("gid_map", format!("{inside} {gid} 1")),
        ("uid_map", format!("{inside} {uid} 1")),
    ] {
        std::fs::write(format!("/proc/{process}/{file}"), text).step(|| format!("write {file}"))?;
    }
    Ok(())
}

pub(crate) fn die_with_parent() -> Result<(), Failure> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .step(|| "tie the sandbox's life to its caller's".into())
}

fn usage(started: Instant) -> Usage {
    let wall = started.elapsed();
    let Ok(all) = getrusage(UsageWho::RUSAGE_CHILDREN) else {
        return Usage {
            wall,
            ..Usage::default()
        };
    };
    let duration =
        |time: nix::sys::time::TimeVal| Duration::from_micros(time.num_microseconds().unsigned_abs());
    Usage {
        user: duration(all.user_time()),
        system: duration(all.system_time()),
        // In KiB on Linux (getrusage(2)).
        max_rss: u64::try_from(all.max_rss()).unwrap_or(0) * 1024,
        wall,
        ..Usage::default()
    }
}

/// Is the other end of the socket still there? Asked once after [`die_with_parent`], in case it died just before.
pub(crate) fn is_connected(socket: &UnixStream) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::empty())];
    let now = rustix::event::Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(&mut fds, Some(&now)).is_ok() && !fds[0].revents().contains(PollFlags::HUP)
}
