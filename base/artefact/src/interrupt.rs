//! Ctrl-C as a value: whoever works long looks at it, and whoever waits is woken by the signal.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Set once, when the user wants everything to stop. Cheap to clone and to look at.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

/// The user interrupted the run. What was finished is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("interrupted; finished work is kept, the same command goes on from there")]
pub struct Interrupted;

impl Interrupt {
    /// The flag behind it, for a signal handler.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }

    /// Asks everything to stop.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Has the user interrupted?
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Fails once the user has interrupted.
    pub fn check(&self) -> Result<(), Interrupted> {
        if self.is_set() { Err(Interrupted) } else { Ok(()) }
    }
}
