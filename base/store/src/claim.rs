//! Work that one run at a time does: two runs with one store do not make the same twice.
//!
//! A claim is a folder in `claims/`, locked while the work is done ([`FolderLock`]) and removed with it. A run that is killed
//! leaves an empty folder that nobody holds; the next run that opens the store removes it.

use std::{
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use keel_artefact::{Interrupt, Sha256};

use crate::{FolderLock, Store};

/// The right to do a piece of work. Dropping it lets the next one have it.
#[derive(Debug)]
pub struct Claim {
    place: PathBuf,
    _lock: FolderLock,
}

impl Drop for Claim {
    fn drop(&mut self) {
        // While it is locked: who waits for it sees that it is gone, and makes a new one. One that stays does no harm.
        let _ = std::fs::remove_dir(&self.place);
    }
}

impl Store {
    /// Waits until no other run (nor another thread of this one) does the work of this fingerprint. After a second `waits`
    /// hears of it once, with the number of the other process if it can be told. None if the user ends the wait.
    pub fn claim(
        &self,
        key: &Sha256,
        interrupt: &Interrupt,
        waits: &mut dyn FnMut(Option<u32>),
    ) -> io::Result<Option<Claim>> {
        let place = folder(self.dir()).join(key.to_hex());
        let mut is_told = false;
        let mut waits = |owner| {
            if !std::mem::replace(&mut is_told, true) {
                waits(owner);
            }
        };
        loop {
            let lock = match FolderLock::take(&place, interrupt, &mut waits) {
                // The one before was done just now.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                // Or while it was looked whether what is there is a folder. What is none stays in the way.
                Err(error)
                    if error.kind() == io::ErrorKind::AlreadyExists
                        && std::fs::symlink_metadata(&place).map_or(true, |there| there.is_dir()) =>
                {
                    continue;
                }
                lock => lock?,
            };
            let Some(lock) = lock else { return Ok(None) };
            if lock.is_at(&place) {
                return Ok(Some(Claim { place, _lock: lock }));
            }
        }
    }
}

/// Removes what killed runs left.
pub(crate) fn reap(store: &Path) -> io::Result<()> {
    for entry in fs_err::read_dir(folder(store))? {
        let place = entry?.path();
        match FolderLock::try_take_existing(&place) {
            Ok(Some(lock)) if lock.is_at(&place) => drop(Claim { place, _lock: lock }),
            // It is held, or gone.
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn folder(store: &Path) -> PathBuf {
    store.join("claims")
}

impl FolderLock {
    /// Is what is locked still what is called so?
    fn is_at(&self, place: &Path) -> bool {
        let identity = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
        match (self.file.metadata(), std::fs::symlink_metadata(place)) {
            (Ok(held), Ok(there)) => identity(held) == identity(there),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc, Barrier,
            atomic::{AtomicUsize, Ordering},
        },
        thread,
    };

    use super::*;

    #[test]
    fn one_at_a_time_works_and_nothing_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let key = Sha256::of(b"work");
        let (inside, most, start) = (AtomicUsize::new(0), AtomicUsize::new(0), Barrier::new(8));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    start.wait();
                    for _ in 0..20 {
                        let claim = store.claim(&key, &Interrupt::default(), &mut |_| ()).unwrap();
                        let now = inside.fetch_add(1, Ordering::SeqCst) + 1;
                        most.fetch_max(now, Ordering::SeqCst);
                        thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(claim);
                    }
                });
            }
        });
        assert_eq!(most.into_inner(), 1);
        assert_eq!(fs_err::read_dir(folder(store.dir())).unwrap().count(), 0);
    }

    #[test]
    fn who_waits_is_told_and_may_stop() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let key = Sha256::of(b"work");
        let held = store.claim(&key, &Interrupt::default(), &mut |_| ()).unwrap();
        let other = store.claim(&Sha256::of(b"other"), &Interrupt::default(), &mut |_| ());
        assert!(other.unwrap().is_some());
        let interrupt = Interrupt::default();
        let (stop, told) = (interrupt.clone(), Arc::new(AtomicUsize::new(0)));
        let waits = store.claim(&key, &interrupt, &mut |_| {
            told.fetch_add(1, Ordering::SeqCst);
            stop.set();
        });
        assert!(waits.unwrap().is_none());
        assert_eq!(told.load(Ordering::SeqCst), 1);
        drop(held);
        // What a killed run leaves is an empty folder that nobody holds.
        fs_err::create_dir(folder(store.dir()).join(key.to_hex())).unwrap();
        let again = store.claim(&key, &Interrupt::default(), &mut |_| panic!("nobody has it"));
        let again = again.unwrap().unwrap();
        Store::open(dir.path()).unwrap();
        assert!(again.place.exists(), "what is held is not removed");
        drop(again);
        fs_err::create_dir(folder(store.dir()).join(key.to_hex())).unwrap();
        Store::open(dir.path()).unwrap();
        assert_eq!(fs_err::read_dir(folder(store.dir())).unwrap().count(), 0);
    }
}
