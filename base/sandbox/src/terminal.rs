//! A command that somebody talks to: a shell in a sandbox.
//!
//! It has a terminal of its own (a pseudo-terminal, pty(7)), not the caller's: what is typed and what is said goes through the
//! caller, whose terminal is raw meanwhile. Where input or output is something else, a file or a pipe, it has the caller's streams
//! themselves; into a terminal among them it cannot type (`calls`).

use std::{
    fs::File,
    io::{self, IsTerminal as _, Read as _, Write as _},
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
};

use keel_artefact::Interrupt;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt},
    termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize},
};

use crate::{
    Error, Output, Run, Sandbox, Status, Stdin,
    run::{run_with, start},
};

/// How often the size of the caller's window is looked at.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 200_000_000,
};

/// Runs a command with the caller's own streams, and gives how it ended. If these are a terminal, the command has one of its
/// own that they are joined to, and it gets what is typed: Ctrl-C, too.
pub fn talk(sandbox: &Sandbox, argv: Vec<String>, interrupt: &Interrupt) -> Result<Status, Error> {
    let program = argv.first().cloned().unwrap_or_default();
    let pipe = start(&program, "take over the streams");
    let copy = |fd: BorrowedFd<'_>| fd.try_clone_to_owned().map(File::from).map_err(&pipe);
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        let run = Run {
            argv,
            stdin: Stdin::File(copy(io::stdin().as_fd())?),
            stdout: Output::File(copy(io::stdout().as_fd())?),
            stderr: Output::File(copy(io::stderr().as_fd())?),
        };
        return Ok(run_with(sandbox, run, false, interrupt)?.status);
    }
    let (ours, theirs) = pair().map_err(start(&program, "make a terminal"))?;
    let theirs = File::from(theirs);
    let again = || theirs.try_clone().map_err(&pipe);
    let run = Run {
        argv,
        stdin: Stdin::File(again()?),
        stdout: Output::File(again()?),
        stderr: Output::File(again()?),
    };
    // Only the command has it now: when that ends, so does what can be read.
    drop(theirs);
    let _raw = Raw::new().map_err(start(&program, "take over the terminal"))?;
    let (done, stop) = io::pipe().map_err(&pipe)?;
    std::thread::scope(|scope| {
        scope.spawn(|| relay(&File::from(ours), done.as_fd()));
        let exit = run_with(sandbox, run, true, interrupt);
        drop(stop);
        Ok(exit?.status)
    })
}

/// A terminal: our end and the command's.
fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let ours = openpt(flags)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    let theirs = ioctl_tiocgptpeer(&ours, flags)?;
    Ok((ours, theirs))
}

/// Carries bytes both ways until `done` is closed and the command's last words are said.
fn relay(terminal: &File, done: BorrowedFd<'_>) {
    let (input, mut output) = (io::stdin(), io::stdout());
    let (mut reads, mut size) = (true, None);
    let mut bytes = [0; 8192];
    loop {
        let now = tcgetwinsize(&input).ok().map(|size| (size.ws_row, size.ws_col));
        if now != size
            && let Ok(window) = tcgetwinsize(&input)
        {
            let _ = tcsetwinsize(terminal, window);
            size = now;
        }
        let mut fds = vec![
            PollFd::new(terminal, PollFlags::IN),
            PollFd::from_borrowed_fd(done, PollFlags::IN),
        ];
        if reads {
            fds.push(PollFd::new(&input, PollFlags::IN));
        }
        if poll(&mut fds, Some(&LOOK)).is_err() {
            continue;
        }
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(fds);
        if ready[0] {
            match (&*terminal).read(&mut bytes) {
                // Nobody has the other end open any more (EIO), or not yet.
                Ok(0) | Err(_) if ready[1] => return,
                Ok(0) | Err(_) => std::thread::sleep(std::time::Duration::from_millis(10)),
                Ok(count) => {
                    let _ = output.write_all(&bytes[..count]).and_then(|()| output.flush());
                    if ready[1] {
                        // What is left of its last words comes first.
                        continue;
                    }
                }
            }
        }
        if ready[1] {
            return;
        }
        if ready.get(2) == Some(&true) {
            // Not through a buffer: what is left in one, the shell that called would miss.
            match rustix::io::read(&input, &mut bytes) {
                Ok(0) | Err(_) => reads = false,
                Ok(count) => reads = (&*terminal).write_all(&bytes[..count]).is_ok(),
            }
        }
    }
}

/// The caller's terminal, raw: each key as it is pressed, without echo. As it was when this goes.
struct Raw(Termios);

impl Raw {
    fn new() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Drain, &raw)?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &self.0);
    }
}
