//! A lock on a folder that several runs may write: one at a time does. It is the folder itself that is locked (flock(2)), so
//! that nothing is left in it, and the lock goes with the process, however that ends.

use std::{
    fs::{File, TryLockError},
    io,
    os::unix::fs::MetadataExt as _,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use keel_artefact::Interrupt;

/// How often a waiting run looks.
const TICK: Duration = Duration::from_millis(50);
/// Whoever waits longer is told.
const SILENT: Duration = Duration::from_secs(1);

/// Held while a folder is written. Dropping it frees the folder.
#[derive(Debug)]
pub struct FolderLock {
    pub(crate) file: File,
}

impl FolderLock {
    /// Makes the folder if need be, and locks it; none if another run has it.
    pub fn try_take(folder: &Path) -> io::Result<Option<Self>> {
        let file = open(folder)?;
        Ok(try_lock(&file)?.then_some(Self { file }))
    }

    /// Locks a folder that is there; none if another run has it.
    pub(crate) fn try_take_existing(folder: &Path) -> io::Result<Option<Self>> {
        let file = fs_err::File::open(folder)?.into_parts().0;
        Ok(try_lock(&file)?.then_some(Self { file }))
    }

    /// Makes the folder if need be, and locks it. After a second of waiting for another run, `waits` hears of it once, with
    /// the number of that process if it can be told. None if the user ends the wait.
    pub fn take(
        folder: &Path,
        interrupt: &Interrupt,
        waits: &mut dyn FnMut(Option<u32>),
    ) -> io::Result<Option<Self>> {
        let file = open(folder)?;
        let (started, mut is_told) = (Instant::now(), false);
        while !try_lock(&file)? {
            if interrupt.is_set() {
                return Ok(None);
            }
            if !is_told && started.elapsed() > SILENT {
                waits(owner(&file));
                is_told = true;
            }
            thread::sleep(TICK);
        }
        Ok(Some(Self { file }))
    }
}

fn open(folder: &Path) -> io::Result<File> {
    fs_err::create_dir_all(folder)?;
    Ok(fs_err::File::open(folder)?.into_parts().0)
}

fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// The process that has locked the file, by proc(5)'s `/proc/locks`: `1: FLOCK ADVISORY WRITE PID MAJOR:MINOR:INODE 0 EOF`.
fn owner(file: &File) -> Option<u32> {
    let inode = file.metadata().ok()?.ino();
    owner_in(&fs_err::read_to_string("/proc/locks").ok()?, inode)
}

/// Numbers of devices are not compared: some file systems (btrfs, overlayfs) show others there than stat(2) does.
fn owner_in(locks: &str, inode: u64) -> Option<u32> {
    locks.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, _, process, place, ..] = words[..] else {
            return None;
        };
        let is_it = place.rsplit(':').next()?.parse() == Ok(inode);
        process.parse().ok().filter(|process| is_it && *process != 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_has_a_folder() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a/b");
        let first = FolderLock::try_take(&folder).unwrap().unwrap();
        assert!(FolderLock::try_take(&folder).unwrap().is_none());
        let interrupt = Interrupt::default();
        let mut told = Vec::new();
        let stop = interrupt.clone();
        let waits = FolderLock::take(&folder, &interrupt, &mut |owner| {
            told.push(owner);
            stop.set();
        });
        assert!(waits.unwrap().is_none());
        assert_eq!(told.len(), 1);
        assert!(
            told[0].is_none_or(|owner| owner == std::process::id()),
            "{told:?}"
        );
        drop(first);
        let again = FolderLock::take(&folder, &Interrupt::default(), &mut |_| panic!("nobody has it"));
        assert!(again.unwrap().is_some());
        assert_eq!(fs_err::read_dir(&folder).unwrap().count(), 0);
    }

    #[test]
    fn the_owner_of_a_lock_is_told() {
        let locks = "1: POSIX  ADVISORY  WRITE 1 08:01:42 0 EOF\n2: FLOCK  ADVISORY  WRITE 77 08:01:42 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 78 08:01:42 0 EOF\n3: FLOCK  ADVISORY  WRITE 0 08:01:43 0 EOF\n";
        for (inode, owner) in [(42, Some(77)), (43, None), (4, None)] {
            assert_eq!(owner_in(locks, inode), owner, "{inode}");
        }
        assert_eq!(owner_in("x\n1: FLOCK\n", 1), None);
    }
}
