//! What the caller, the helper and the first process inside say to each other over one socket: frames of JSON, each
//! after its length. The first byte from the caller carries the command's standard input as a file descriptor.

use std::{
    io::{self, IoSlice, IoSliceMut, Read},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Sandbox, Status, Usage, identity::Identity};

/// From the caller to the helper.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) sandbox: Sandbox,
    /// Empty for a session: then what comes in place of the standard input is the socket of its commands.
    pub(crate) argv: Vec<String>,
    /// Standard input is a terminal, and the command's own.
    pub(crate) terminal: bool,
    pub(crate) identity: Identity,
    /// Among the allowed CPUs, with which one to begin when `limits.cpus` takes some: jobs that run at once spread.
    pub(crate) first_cpu: usize,
}

/// From the helper, or the first process inside, to the caller.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    /// The sandbox could not be made.
    Failed { step: String, errno: i32 },
    /// The command could not be executed.
    NotExecuted { errno: i32 },
    /// The command has ended.
    Ended(Status),
    /// Everything inside is dead. The last report.
    Gone(Usage),
}

/// From the first process inside, when it serves a session, to the caller: over the socket of the session.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// The sandbox is made.
    Ready,
    /// The command could not be executed.
    NotExecuted { errno: i32 },
    /// The command has ended.
    Ended(Status),
    /// Nothing of it runs any more.
    Swept { untouched: bool },
}

/// A step of the set-up that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) step: String,
    pub(crate) errno: i32,
}

/// Names the step that an error came from.
pub(crate) trait Step<T> {
    fn step(self, step: impl FnOnce() -> String) -> Result<T, Failure>;
}

impl<T, E: Into<io::Error>> Step<T> for Result<T, E> {
    fn step(self, step: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|error| Failure {
            step: step(),
            errno: error.into().raw_os_error().unwrap_or(nix::libc::EIO),
        })
    }
}

/// Requests are lists of paths and an environment; more than this is a mistake.
const LARGEST: u32 = 16 << 20;

pub(crate) fn send(socket: &UnixStream, message: &impl Serialize) -> io::Result<()> {
    let json = serde_json::to_vec(message)?;
    let length = u32::try_from(json.len()).ok().filter(|length| *length <= LARGEST);
    let length = length.ok_or_else(|| io::Error::from_raw_os_error(nix::libc::E2BIG))?;
    let mut frame = length.to_le_bytes().to_vec();
    frame.extend_from_slice(&json);
    // Never by `write`: the helper has no handler for SIGPIPE when the caller is gone.
    let mut rest = frame.as_slice();
    while !rest.is_empty() {
        let sent = rustix::io::retry_on_intr(|| rustix::net::send(socket, rest, SendFlags::NOSIGNAL))?;
        rest = &rest[sent..];
    }
    Ok(())
}

/// The next message; none at the end.
pub(crate) fn receive<T: DeserializeOwned>(mut socket: &UnixStream) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    match socket.read_exact(&mut length) {
        Ok(()) => {}
        // Reset: the other end went without reading everything.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error),
    }
    let length = u32::from_le_bytes(length);
    if length > LARGEST {
        return Err(io::Error::from(io::ErrorKind::InvalidData));
    }
    let mut json = vec![0; length as usize];
    socket.read_exact(&mut json)?;
    Ok(Some(serde_json::from_slice(&json)?))
}

pub(crate) fn send_fd(socket: &UnixStream, fd: BorrowedFd<'_>) -> io::Result<()> {
    let fds = [fd];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&fds));
    let byte = [IoSlice::new(b"k")];
    rustix::net::sendmsg(socket, &byte, &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

pub(crate) fn receive_fd(socket: &UnixStream) -> io::Result<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    rustix::net::recvmsg(
        socket.as_fd(),
        &mut [IoSliceMut::new(&mut byte)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(mut fds) = message
            && let Some(fd) = fds.next()
        {
            return Ok(fd);
        }
    }
    Err(io::Error::from(io::ErrorKind::InvalidData))
}

/// Tells the other end one byte. Nobody there is no error: it is noticed elsewhere.
pub(crate) fn nudge(socket: &UnixStream) {
    let _ = rustix::net::send(socket, b"k", SendFlags::NOSIGNAL);
}
