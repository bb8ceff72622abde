//! A command that somebody talks to: a shell in a sandbox.
//!
//! It has a terminal of its own (a pseudo-terminal, pty(7)), not the caller's: what is typed and what is said goes through the
//! caller, whose terminal is raw meanwhile. Where input or output is something else, a file or a pipe, it has the caller's streams
//! themselves; into a terminal among them it cannot type (`calls`).

use std::{
    collections::VecDeque,
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

/// What is typed waits here while the command reads nothing; beyond this, the caller's keys wait in the caller's terminal.
const MOST_TYPED: usize = 1 << 20;

/// Carries bytes both ways until `done` is closed and the command's last words are said. Neither way waits for the other: what the
/// command has not read yet is kept here, while what it says goes on.
fn relay(terminal: &File, done: BorrowedFd<'_>) {
    let (input, mut output) = (io::stdin(), io::stdout());
    let (mut reads, mut size) = (rustix::io::ioctl_fionbio(terminal, true).is_ok(), None);
    let mut typed: VecDeque<u8> = VecDeque::new();
    let mut bytes = [0; 8192];
    loop {
        follow_size(&input, terminal, &mut size);
        let wanted = match typed.is_empty() {
            true => PollFlags::IN,
            false => PollFlags::IN | PollFlags::OUT,
        };
        let mut fds = vec![
            PollFd::new(terminal, wanted),
            PollFd::from_borrowed_fd(done, PollFlags::IN),
        ];
        if reads && typed.len() < MOST_TYPED {
            fds.push(PollFd::new(&input, PollFlags::IN));
        }
        if poll(&mut fds, Some(&LOOK)).is_err() {
            continue;
        }
        let ready: Vec<PollFlags> = fds.iter().map(PollFd::revents).collect();
        drop(fds);
        let is_over = !ready[1].is_empty();
        if !(ready[0] - PollFlags::OUT).is_empty() {
            match (&*terminal).read(&mut bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // Nobody has the other end open any more (EIO), or not yet.
                Ok(0) | Err(_) if is_over => return,
                Ok(0) | Err(_) => std::thread::sleep(std::time::Duration::from_millis(10)),
                Ok(count) => {
                    let _ = output.write_all(&bytes[..count]).and_then(|()| output.flush());
                    if is_over {
                        // What is left of its last words comes first.
                        continue;
                    }
                }
            }
        }
        if is_over {
            return;
        }
        if ready[0].contains(PollFlags::OUT) {
            reads &= pass_on(&mut typed, terminal);
        }
        if ready.get(2).is_some_and(|ready| !ready.is_empty()) {
            // Not through a buffer: what is left in one, the shell that called would miss.
            match rustix::io::read(&input, &mut bytes) {
                Ok(0) | Err(_) => reads = false,
                Ok(count) => typed.extend(&bytes[..count]),
            }
        }
    }
}

/// Gives the command as much of what was typed as it takes now. False if it takes nothing any more.
fn pass_on(typed: &mut VecDeque<u8>, mut terminal: &File) -> bool {
    let (first, _) = typed.as_slices();
    match terminal.write(first) {
        Ok(count) => drop(typed.drain(..count)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
        Err(_) => {
            typed.clear();
            return false;
        }
    }
    true
}

/// Gives the command's terminal the size of the caller's, where that is another than before.
fn follow_size(input: &io::Stdin, terminal: &File, size: &mut Option<(u16, u16)>) {
    let Ok(window) = tcgetwinsize(input) else {
        return;
    };
    let now = Some((window.ws_row, window.ws_col));
    if now != *size {
        let _ = tcsetwinsize(terminal, window);
        *size = now;
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
