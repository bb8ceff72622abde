//! The first process of the process namespace: makes the root, gives up its privileges, starts the command, reaps.

use std::{
    io,
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream, process::CommandExt as _},
    },
    process::{Child, Command, Stdio},
};

use nix::{
    sched::{CloneFlags, unshare},
    sys::wait::{WaitStatus, waitpid},
    unistd::{Gid, Uid, setgroups, sethostname, setresgid, setresuid, setsid},
};

use crate::{
    Status, calls, child,
    identity::Identity,
    init::{die_with_parent, is_connected},
    landlock, mounts, privileges, serve,
    wire::{self, Failure, Report, Request, Step},
};

/// Returns the exit code of the process; the caller learns the rest from the reports.
pub(crate) fn main(control: &UnixStream, sync: &UnixStream, request: &Request, stdin: OwnedFd) -> i32 {
    let report = match prepare(sync, request) {
        Ok(()) if is_connected(control) && request.argv.is_empty() => {
            serve::serve(&request.sandbox, stdin);
            return 0;
        }
        Ok(()) if is_connected(control) => execute(request, stdin),
        Ok(()) => return 1,
        Err(Failure { step, errno }) => Report::Failed { step, errno },
    };
    i32::from(wire::send(control, &report).is_err())
}

/// From a process with every privilege over its namespaces to one with none.
fn prepare(sync: &UnixStream, request: &Request) -> Result<(), Failure> {
    let sandbox = &request.sandbox;
    die_with_parent()?;
    if !is_connected(sync) {
        return Err(io::Error::from_raw_os_error(nix::libc::EPIPE)).step(|| "find the helper".into());
    }
    // Cannot fail: a forked child leads no process group.
    setsid().step(|| "leave the terminal".into())?;
    unshare(CloneFlags::CLONE_NEWNS).step(|| "make a mount namespace".into())?;
    die_with_parent()?;
    privileges::set_limits(&sandbox.limits, request.first_cpu)?;
    sethostname(&sandbox.hostname).step(|| format!("set the host name `{}`", sandbox.hostname))?;
    rustix::system::setdomainname(b"(none)").step(|| "set the domain name".into())?;
    if !sandbox.network {
        raise_loopback().step(|| "raise the loopback interface".into())?;
    }
    let sysctl = mounts::enter_root(request)?;
    if let Identity::FromRoot { .. } = request.identity {
        become_unprivileged(sync, sandbox.user.id())?;
    }
    privileges::forbid_user_namespaces(&sysctl)?;
    drop(sysctl);
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    privileges::drop_all(sandbox.user)?;
    landlock::restrict(sandbox)?;
    calls::deny(sandbox.ignore_owners)?;
    die_with_parent()?;
    // As the command's user: a folder that it may not enter is an error of its own.
    let cwd = sandbox.cwd.as_str();
    rustix::process::chdir(cwd).step(|| format!("enter {cwd}"))
}

/// Leaves real root for good: in a new user namespace that knows one id, which outside is nobody's.
fn become_unprivileged(sync: &UnixStream, id: u32) -> Result<(), Failure> {
    setgroups(&[]).step(|| "drop supplementary groups".into())?;
    unshare(CloneFlags::CLONE_NEWUSER).step(|| "make a user namespace".into())?;
    wire::nudge(sync);
    let mut byte = [0];
    let answered = rustix::net::recv(sync, &mut byte, rustix::net::RecvFlags::empty());
    if !matches!(answered, Ok((_, 1))) {
        return Err(io::Error::from_raw_os_error(nix::libc::EPIPE)).step(|| "have the ids mapped".into());
    }
    let (uid, gid) = (Uid::from_raw(id), Gid::from_raw(id));
    // Becoming another id than 0 would drop the capabilities over the new namespace, which are needed a little longer.
    rustix::thread::set_keep_capabilities(true).step(|| "keep capabilities".into())?;
    setresgid(gid, gid, gid).step(|| "change the group".into())?;
    setresuid(uid, uid, uid).step(|| "change the user".into())?;
    privileges::raise_permitted()
}

/// Runs the command and reaps everything else until it ends.
fn execute(request: &Request, stdin: OwnedFd) -> Report {
    let [program, arguments @ ..] = request.argv.as_slice() else {
        return Report::NotExecuted {
            errno: nix::libc::EINVAL,
        };
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(&request.sandbox.env)
        .stdin(Stdio::from(stdin));
    match request.terminal {
        true => child::controls_its_terminal(&mut command),
        false => command.process_group(0),
    };
    match wait_for(command.spawn()) {
        Ok(status) => Report::Ended(status),
        Err(errno) => Report::NotExecuted { errno },
    }
}

/// Waits for a child, and reaps whatever else ends before it.
pub(crate) fn wait_for(child: io::Result<Child>) -> Result<Status, i32> {
    let child = child.map_err(|error| error.raw_os_error().unwrap_or(nix::libc::EIO))?;
    let child = i32::try_from(child.id()).unwrap_or(-1);
    loop {
        match waitpid(None, None) {
            Ok(WaitStatus::Exited(pid, code)) if pid.as_raw() == child => return Ok(Status::Code(code)),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid.as_raw() == child => {
                return Ok(Status::Signal(signal as i32));
            }
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(errno) => return Err(errno as i32),
        }
    }
}

/// rtnetlink(7): RTM_NEWLINK for interface 1, which is `lo` in a new network namespace, with IFF_UP set.
fn raise_loopback() -> io::Result<()> {
    use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
    const RTM_NEWLINK: u16 = 16;
    const NLM_F_REQUEST: u16 = 1;
    const NLM_F_ACK: u16 = 4;
    const IFF_UP: u32 = 1;
    let socket = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        None, // protocol 0: NETLINK_ROUTE
    )?;
    let mut message = Vec::with_capacity(32);
    message.extend(32_u32.to_ne_bytes()); // nlmsghdr: length
    message.extend(RTM_NEWLINK.to_ne_bytes());
    message.extend((NLM_F_REQUEST | NLM_F_ACK).to_ne_bytes());
    message.extend([0; 8]); // sequence, port
    message.extend([0; 4]); // ifinfomsg: family, padding, type
    message.extend(1_u32.to_ne_bytes()); // index
    message.extend(IFF_UP.to_ne_bytes()); // flags
    message.extend(IFF_UP.to_ne_bytes()); // which of them to change
    rustix::net::send(&socket, &message, SendFlags::empty())?;
    let mut answer = [0; 256];
    let (_, length) = rustix::net::recv(&socket, answer.as_mut_slice(), RecvFlags::empty())?;
    // nlmsgerr follows the 16 bytes of the header: a negative errno, or 0.
    match answer[..length]
        .get(16..20)
        .map(|bytes| [bytes[0], bytes[1], bytes[2], bytes[3]])
    {
        Some([0, 0, 0, 0]) => Ok(()),
        Some(errno) => Err(io::Error::from_raw_os_error(
            i32::from_ne_bytes(errno).wrapping_neg(),
        )),
        None => Err(io::Error::from(io::ErrorKind::InvalidData)),
    }
}
