//! The same work on many SPECs, on several cores, with the results in order.

use std::{
    collections::BTreeMap,
    io,
    sync::{
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

use keel_artefact::Interrupt;

/// Macros may be nested deeply.
const STACK: usize = 64 << 20;

/// Does `work` for each number below `count`, `jobs` at once, and hands the results to `with` in the order of the numbers.
///
/// The first error of `with` ends it, as does the interrupt; then some numbers are left out.
pub fn each<R: Send, E: From<io::Error>>(
    count: usize,
    jobs: usize,
    interrupt: &Interrupt,
    work: impl Fn(usize) -> R + Sync,
    mut with: impl FnMut(usize, R) -> Result<(), E>,
) -> Result<(), E> {
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let jobs = jobs.min(count).max(1);
    // Few results wait for the one that is next: they are large.
    let (send, receive) = mpsc::sync_channel(4 * jobs);
    thread::scope(|scope| {
        for _ in 0..jobs {
            let send = send.clone();
            let (next, stop, work) = (&next, &stop, &work);
            let worker = move || {
                while !stop.load(Ordering::Relaxed) && !interrupt.is_set() {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count || send.send((index, work(index))).is_err() {
                        break;
                    }
                }
            };
            thread::Builder::new()
                .stack_size(STACK)
                .spawn_scoped(scope, worker)?;
        }
        drop(send);
        let mut in_order = || {
            let (mut waiting, mut next) = (BTreeMap::new(), 0);
            for (index, result) in &receive {
                waiting.insert(index, result);
                while let Some(result) = waiting.remove(&next) {
                    with(next, result)?;
                    next += 1;
                }
            }
            Ok(())
        };
        let result = in_order();
        stop.store(true, Ordering::Relaxed);
        drop(receive);
        result
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_and_an_error_ends_it() {
        let interrupt = Interrupt::default();
        let mut got = Vec::new();
        let done: io::Result<()> = each(
            100,
            4,
            &interrupt,
            |n| n * 2,
            |n, double| {
                got.push((n, double));
                Ok(())
            },
        );
        assert!(done.is_ok());
        assert!(got.iter().enumerate().all(|(n, found)| *found == (n, n * 2)) && got.len() == 100);
        let failed: io::Result<()> = each(
            1000,
            2,
            &interrupt,
            |n| n,
            |n, _| match n {
                5 => Err(io::Error::other("enough")),
                _ => Ok(()),
            },
        );
        assert_eq!(failed.unwrap_err().to_string(), "enough");
    }
}
