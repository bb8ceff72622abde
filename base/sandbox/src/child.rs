//! Child processes outside any sandbox that must not outlive their caller: QEMU, mmdebstrap.

#![allow(unsafe_code)] // code between fork and exec

use std::{os::unix::process::CommandExt as _, process::Command};

/// Has the kernel kill the child when the thread that starts it ends, `kill -9` included (prctl(2),
/// `PR_SET_PDEATHSIG`). That thread must therefore wait for the child, or live as long as it is needed.
pub fn dies_with_caller(command: &mut Command) -> &mut Command {
    let parent = rustix::process::getpid();
    let tie = move || {
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
        // The parent was gone before the tie.
        if rustix::process::getppid() != Some(parent) {
            return Err(rustix::io::Errno::SRCH.into());
        }
        Ok(())
    };
    // SAFETY: the closure makes two system calls and allocates nothing (async-signal-safe, signal-safety(7)).
    unsafe { command.pre_exec(tie) }
}

/// Makes the child the leader of a session of its own, which its standard input, a terminal, is the terminal of.
pub(crate) fn controls_its_terminal(command: &mut Command) -> &mut Command {
    let take = || {
        rustix::process::setsid()?;
        rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?;
        Ok(())
    };
    // SAFETY: as above.
    unsafe { command.pre_exec(take) }
}
