//! The same work on many things, on all cores.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use crate::{Interrupt, Interrupted};

/// Runs `work` on every item; results come in the order of the items. The first error (by item) ends it.
pub fn map<T: Sync, R: Send, E: From<Interrupted> + Send>(
    items: &[T],
    interrupt: &Interrupt,
    work: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let threads = thread::available_parallelism()
        .map_or(1, |count| count.get())
        .min(items.len());
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let results: Vec<Mutex<Option<Result<R, E>>>> = items.iter().map(|_| Mutex::new(None)).collect();
    let run = || {
        while !failed.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { break };
            let result = interrupt.check().map_err(E::from).and_then(|()| work(item));
            failed.fetch_or(result.is_err(), Ordering::Relaxed);
            if let Ok(mut place) = results[index].lock() {
                *place = Some(result);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(run);
        }
        run();
    });
    // Items after a failed one may be missing; the error comes before them or instead of them.
    let mut done = Vec::with_capacity(items.len());
    for result in results {
        match result.into_inner().ok().flatten() {
            Some(Ok(value)) => done.push(value),
            Some(Err(error)) => return Err(error),
            None => {}
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    enum Error {
        Interrupted,
        Fifty,
    }

    impl From<Interrupted> for Error {
        fn from(_: Interrupted) -> Self {
            Self::Interrupted
        }
    }

    #[test]
    fn results_keep_their_order_and_an_error_is_an_error() {
        let items: Vec<u32> = (0..100).collect();
        let interrupt = Interrupt::default();
        let doubled = map(&items, &interrupt, |item| Ok::<_, Error>(item * 2)).unwrap();
        assert_eq!(doubled, (0..100).map(|item| item * 2).collect::<Vec<_>>());
        let failing = |item: &u32| if *item == 50 { Err(Error::Fifty) } else { Ok(()) };
        assert_eq!(map(&items, &interrupt, failing), Err(Error::Fifty));
        assert!(map(&[] as &[u32], &interrupt, failing).is_ok());
        interrupt.set();
        assert_eq!(map(&items, &interrupt, |_| Ok(())), Err(Error::Interrupted));
    }
}
