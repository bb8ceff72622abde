//! The last resort against a SPEC that no limit stops: Lua can be made to run a handler in which nothing is counted.

use std::{
    collections::HashMap,
    io::Write as _,
    sync::{Arc, Mutex, PoisonError, Weak},
    thread::{self, ThreadId},
    time::{Duration, Instant},
};

use crate::failure::{Class, Failure};

/// Longer than the 5 seconds that a SPEC has, and the 30 of its commands.
const LIMIT: Duration = Duration::from_secs(60);

/// What each thread is at, and since when.
type Running = Mutex<HashMap<ThreadId, (Instant, String)>>;

/// Ends the program when one SPEC takes longer than that.
pub struct Watchdog(Arc<Running>);

impl Watchdog {
    /// Begins to watch; it ends with the value.
    pub fn new() -> Self {
        let running = Arc::new(Running::default());
        let watched = Arc::downgrade(&running);
        thread::spawn(move || watch(&watched));
        Self(running)
    }

    /// Does `work`, which messages call `name`.
    pub fn watched<R>(&self, name: &str, work: impl FnOnce() -> R) -> R {
        let running = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let id = thread::current().id();
        running().insert(id, (Instant::now(), name.to_owned()));
        let result = work();
        running().remove(&id);
        result
    }
}

fn watch(running: &Weak<Running>) {
    while let Some(running) = running.upgrade() {
        let late = running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .find(|(since, _)| since.elapsed() > LIMIT)
            .map(|(_, name)| name.clone());
        drop(running);
        if let Some(name) = late {
            let text = format!("the evaluation of {name} does not end, and cannot be stopped alone");
            let failure = Failure::new(Class::Failed, text).hint("leave it out: the others are well");
            let _ = writeln!(std::io::stderr(), "{}", failure.render(false));
            #[allow(
                clippy::exit,
                reason = "no thread can be stopped; the sandboxes die with this process"
            )]
            std::process::exit(1);
        }
        thread::sleep(Duration::from_millis(500));
    }
}
