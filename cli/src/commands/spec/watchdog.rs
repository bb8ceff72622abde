//! The last resort against a text that no limit stops: Lua can be made to run a handler in which nothing is counted.
//!
//! Many SPECs have it in [`keel_spec::parallel`], where the others go on. Texts stand in a row, each over what the one before
//! defined, and one SPEC stands alone: there is nothing to go on with.

use std::{
    io::Write as _,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use keel_artefact::Interrupt;
use keel_spec::parallel::PATIENCE;

use crate::failure::{Class, Failure};

/// What hears an interrupt has ended by then.
const FAREWELL: Duration = Duration::from_secs(2);

/// Does `work`; ends the program where that takes too long, or hears no interrupt.
pub fn watched<R>(interrupt: &Interrupt, work: impl FnOnce() -> R) -> R {
    watched_for(PATIENCE, interrupt, work)
}

/// The same for work that may take that long.
pub fn watched_for<R>(patience: Duration, interrupt: &Interrupt, work: impl FnOnce() -> R) -> R {
    let (done, waits) = mpsc::channel::<()>();
    let interrupt = interrupt.clone();
    thread::spawn(move || {
        let (started, mut asked) = (Instant::now(), None);
        while waits.recv_timeout(Duration::from_millis(200)) == Err(RecvTimeoutError::Timeout) {
            if interrupt.is_set() {
                asked.get_or_insert_with(Instant::now);
            }
            if started.elapsed() > patience || asked.is_some_and(|asked| asked.elapsed() > FAREWELL) {
                end();
            }
        }
    });
    let result = work();
    drop(done);
    result
}

fn end() {
    let failure = Failure::new(Class::Failed, "reading it does not end, and no limit stops it");
    let _ = writeln!(std::io::stderr(), "{}", failure.render(false));
    #[allow(
        clippy::exit,
        reason = "no thread can be stopped; the sandboxes die with this process"
    )]
    std::process::exit(1);
}
