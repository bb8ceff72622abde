//! The same work on many SPECs, on several cores, with the results in order.
//!
//! Limits end nearly all that a SPEC can do; what they do not end (Lua can be made to run a handler in which nothing is
//! counted) is left behind: its thread goes on until the program ends, and all others go on without it.

use std::{
    collections::BTreeMap,
    io,
    panic::{self, AssertUnwindSafe},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use keel_artefact::Interrupt;

/// Macros may be nested deeply.
const STACK: usize = 64 << 20;
/// How often it is looked whether something takes too long.
const LOOK: Duration = Duration::from_millis(100);
/// Longer than the 5 seconds that a SPEC has, the 30 of its commands, and one more for further errors.
pub const PATIENCE: Duration = Duration::from_secs(45);
/// How long what is at work is waited for once nobody wants its result.
const FAREWELL: Duration = Duration::from_secs(2);

/// How [`each`] works.
#[derive(Debug, Clone)]
pub struct How {
    /// How many at once.
    pub jobs: usize,
    /// How long one may take.
    pub patience: Duration,
    /// Ends it.
    pub interrupt: Interrupt,
}

impl How {
    /// With the patience that a SPEC's own limits need.
    pub fn new(jobs: usize, interrupt: &Interrupt) -> Self {
        Self {
            jobs,
            patience: PATIENCE,
            interrupt: interrupt.clone(),
        }
    }
}

/// Does `work` for each number below `count`, several at once, and hands the results to `with` in the order of the
/// numbers; where `work` takes too long, `late` makes the result.
///
/// The first error of `with` ends it, as does the interrupt; then some numbers are left out.
pub fn each<R: Send + 'static, E: From<io::Error>>(
    count: usize,
    how: &How,
    work: impl Fn(usize) -> R + Send + Sync + 'static,
    late: impl Fn(usize) -> R,
    mut with: impl FnMut(usize, R) -> Result<(), E>,
) -> Result<(), E> {
    let jobs = how.jobs.min(count).max(1);
    // Few results wait for the one that is next: they are large.
    let (send, receive) = mpsc::sync_channel(4 * jobs);
    let crew = Arc::new(Crew {
        count,
        work,
        interrupt: how.interrupt.clone(),
        next: AtomicUsize::new(0),
        stop: AtomicBool::new(false),
        running: Mutex::default(),
    });
    for _ in 0..jobs {
        crew.join(send.clone())?;
    }
    let mut in_order = || {
        let (mut waiting, mut next) = (BTreeMap::new(), 0);
        while next < count {
            match receive.recv_timeout(LOOK) {
                Ok((index, result)) => {
                    let result = result.unwrap_or_else(|panicked| panic::resume_unwind(panicked));
                    waiting.insert(index, result);
                }
                Err(_) if how.interrupt.is_set() => break,
                // `send` is here: there are senders.
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            for index in crew.leave_behind(how.patience) {
                waiting.insert(index, late(index));
                crew.join(send.clone())?;
            }
            while let Some(result) = waiting.remove(&next) {
                with(next, result)?;
                next += 1;
            }
        }
        Ok(())
    };
    let result = in_order();
    crew.stop.store(true, Ordering::Relaxed);
    drop(receive);
    // What it uses may be gone after this.
    let since = Instant::now();
    while !crew.running().is_empty() && since.elapsed() < FAREWELL {
        thread::sleep(Duration::from_millis(5));
    }
    result
}

/// Those who do it.
struct Crew<W> {
    count: usize,
    work: W,
    interrupt: Interrupt,
    next: AtomicUsize,
    stop: AtomicBool,
    /// Since when each number is worked at; whoever is left behind is not here.
    running: Mutex<BTreeMap<usize, Instant>>,
}

impl<W> Crew<W> {
    fn running(&self) -> std::sync::MutexGuard<'_, BTreeMap<usize, Instant>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What takes too long: nobody waits for it any more.
    fn leave_behind(&self, patience: Duration) -> Vec<usize> {
        let mut running = self.running();
        let late = running.iter().filter(|(_, since)| since.elapsed() > patience);
        let late: Vec<usize> = late.map(|(index, _)| *index).collect();
        running.retain(|index, _| !late.contains(index));
        late
    }

    /// One more worker.
    fn join<R>(self: &Arc<Self>, send: mpsc::SyncSender<(usize, thread::Result<R>)>) -> io::Result<()>
    where
        R: Send + 'static,
        W: Fn(usize) -> R + Send + Sync + 'static,
    {
        let crew = Arc::clone(self);
        let work = move || {
            while !crew.stop.load(Ordering::Relaxed) && !crew.interrupt.is_set() {
                let index = crew.next.fetch_add(1, Ordering::Relaxed);
                if index >= crew.count {
                    break;
                }
                crew.running().insert(index, Instant::now());
                let result = panic::catch_unwind(AssertUnwindSafe(|| (crew.work)(index)));
                let is_late = crew.running().remove(&index).is_none();
                if is_late || send.send((index, result)).is_err() {
                    break;
                }
            }
        };
        thread::Builder::new().stack_size(STACK).spawn(work)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn how(jobs: usize) -> How {
        How::new(jobs, &Interrupt::default())
    }

    #[test]
    fn results_come_in_order_and_an_error_ends_it() {
        let mut got = Vec::new();
        let never = |n| unreachable!("{n} is not late");
        let done: io::Result<()> = each(
            100,
            &how(4),
            |n| n * 2,
            never,
            |n, double| {
                got.push((n, double));
                Ok(())
            },
        );
        assert!(done.is_ok());
        assert!(got.iter().enumerate().all(|(n, found)| *found == (n, n * 2)) && got.len() == 100);
        let failed: io::Result<()> = each(
            1000,
            &how(2),
            |n| n,
            never,
            |n, _| match n {
                5 => Err(io::Error::other("enough")),
                _ => Ok(()),
            },
        );
        assert_eq!(failed.unwrap_err().to_string(), "enough");
    }

    #[test]
    fn what_never_ends_is_left_behind_and_all_others_are_done() {
        let end = Arc::new(AtomicBool::new(false));
        let patience = Duration::from_millis(300);
        let mut got = Vec::new();
        let ended = Arc::clone(&end);
        let done: io::Result<()> = each(
            50,
            &How { patience, ..how(2) },
            move |n| {
                while n % 20 == 7 && !ended.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(1));
                }
                n
            },
            |n| n + 1000,
            |_, result| {
                got.push(result);
                Ok(())
            },
        );
        end.store(true, Ordering::Relaxed);
        assert!(done.is_ok());
        let wanted: Vec<usize> = (0..50).map(|n| if n % 20 == 7 { n + 1000 } else { n }).collect();
        assert_eq!(got, wanted);
    }

    #[test]
    fn an_interrupt_does_not_wait_for_what_never_ends() {
        let (interrupt, end) = (Interrupt::default(), Arc::new(AtomicBool::new(false)));
        let (asks, ended) = (interrupt.clone(), Arc::clone(&end));
        let started = Instant::now();
        let done: io::Result<()> = each(
            3,
            &How::new(1, &interrupt),
            move |_| {
                asks.set();
                while !ended.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(1));
                }
            },
            |_| (),
            |_, ()| Ok(()),
        );
        end.store(true, Ordering::Relaxed);
        assert!(done.is_ok() && started.elapsed() < PATIENCE / 2);
    }

    #[test]
    #[should_panic(expected = "broken")]
    fn a_panic_is_handed_on() {
        let _: io::Result<()> = each(3, &how(1), |_| panic!("broken"), |_| (), |_, ()| Ok(()));
    }
}
