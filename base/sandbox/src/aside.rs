//! A thread with mounts of its own.

use std::{io, thread};

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};

/// Does `work` on a thread in a mount namespace of its own (unshare(2), `CLONE_NEWNS`). What is mounted there is seen by that thread, and by
/// what it starts, sandboxes too; it is gone with the last of them, however they end. Only root can.
///
/// The error is that the namespace could not be made; what `work` gives is passed on.
pub fn with_own_mounts<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    let apart = || -> io::Result<T> {
        unshare(CloneFlags::CLONE_NEWNS)?;
        // Nothing that is mounted here reaches the machine.
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>)?;
        Ok(work())
    };
    thread::scope(|scope| match scope.spawn(apart).join() {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}
