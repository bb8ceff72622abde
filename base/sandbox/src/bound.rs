//! A bound on what a sandbox writes in all: bytes and files, over every folder of the host that it may write.
//!
//! The kernel has quotas for that, but not for every file system, and not without root. So the caller looks itself: not at
//! every file all the time, but first at how much fuller the file system has become since it last counted (one cheap
//! call, and whoever else writes there can only make it count too early), and only when that could be too much at the
//! files. Files that were removed but are still open count, too.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use crate::{Sandbox, memory, mounts};

/// What a sandbox may write to disk, in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// Bytes that its files take on disk.
    pub bytes: u64,
    /// Files, folders and everything else with a name.
    pub files: u64,
}

/// Bytes in a block of `st_blocks`, whatever the file system's own (stat(2)).
const BLOCK: u64 = 512;
/// As long as the file system has not become fuller, this often: others may have made room meanwhile.
const AT_LEAST: Duration = Duration::from_secs(60);
/// Counting takes at most this part of the time: when nothing says that there is more, and when something does.
const SHARE: u32 = 50;
const SHARE_WHEN_FULLER: u32 = 5;
/// Less growth than this is not worth counting.
const STEP: Disk = Disk {
    bytes: 64 << 20,
    files: 10_000,
};

/// Watches one sandbox.
pub(crate) struct Watch {
    bound: Disk,
    folders: Vec<PathBuf>,
    helper: u32,
    counted: Disk,
    /// How full the file systems were at first, and when it counted last.
    at_first: Disk,
    fullness: Disk,
    at: Instant,
    took: Duration,
}

impl Watch {
    /// None if it is not bound, or writes nothing of the host. `helper` is the process that the sandbox is below.
    pub(crate) fn new(sandbox: &Sandbox, helper: u32) -> Option<Self> {
        let bound = sandbox.limits.disk?;
        let binds = sandbox.binds.iter().filter(|bind| bind.writable);
        let binds = binds.map(|bind| bind.host.clone());
        let upper = sandbox
            .upper
            .iter()
            .flat_map(|upper| [upper.clone(), mounts::work_folder(upper)]);
        let folders: Vec<PathBuf> = binds.chain(upper).collect();
        let full = fullness(&folders);
        (!folders.is_empty()).then_some(Self {
            bound,
            at_first: full,
            fullness: full,
            folders,
            helper,
            counted: Disk::default(),
            at: Instant::now(),
            took: Duration::ZERO,
        })
    }

    /// Did it write more than it may? To be asked often: it says no at once while that cannot be.
    pub(crate) fn is_over(&mut self) -> bool {
        let now = fullness(&self.folders);
        let (bytes, files) = (
            now.bytes.saturating_sub(self.fullness.bytes),
            now.files.saturating_sub(self.fullness.files),
        );
        let room = |bound: u64, counted: u64, step: u64| {
            (bound.saturating_sub(counted) / 2).max(step.min(bound / 4))
        };
        let is_fuller = bytes > room(self.bound.bytes, self.counted.bytes, STEP.bytes)
            || files > room(self.bound.files, self.counted.files, STEP.files);
        let since = self.at.elapsed();
        let is_time = match is_fuller {
            true => since >= self.took * SHARE_WHEN_FULLER,
            false => since >= (self.took * SHARE).max(AT_LEAST),
        };
        if !is_time {
            return false;
        }
        let began = Instant::now();
        self.counted = self.count(now);
        (self.fullness, self.at, self.took) = (now, Instant::now(), began.elapsed());
        self.counted.bytes > self.bound.bytes || self.counted.files > self.bound.files
    }

    fn count(&self, now: Disk) -> Disk {
        let mut count = Count::default();
        for folder in &self.folders {
            count.walk(folder, self.bound);
        }
        count.removed(self.helper);
        if count.is_hidden {
            // Whatever it is, it is no more than what came to the file system: better too much than nothing.
            let (bytes, files) = (
                now.bytes.saturating_sub(self.at_first.bytes),
                now.files.saturating_sub(self.at_first.files),
            );
            count.total.bytes = count.total.bytes.max(bytes);
            count.total.files = count.total.files.max(files);
        }
        count.total
    }
}

#[derive(Default)]
struct Count {
    total: Disk,
    /// Files with several names, and those that several processes have open: device and inode.
    seen: BTreeSet<(u64, u64)>,
    /// There is a folder that cannot be read: closed by its owner, or too deep for a path.
    is_hidden: bool,
}

impl Count {
    /// Everything below a folder; stops when it is more than `most`.
    fn walk(&mut self, folder: &Path, most: Disk) {
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                // It went away meanwhile.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(_) => {
                    self.is_hidden = true;
                    continue;
                }
            };
            for entry in entries.flatten() {
                let Ok(metadata) = entry.metadata() else { continue };
                self.total.files += 1;
                let is_new = metadata.nlink() < 2
                    || metadata.is_dir()
                    || self.seen.insert((metadata.dev(), metadata.ino()));
                if is_new {
                    self.total.bytes += metadata.blocks() * BLOCK;
                }
                if metadata.is_dir() {
                    folders.push(entry.path());
                }
                if self.total.bytes > most.bytes || self.total.files > most.files {
                    return;
                }
            }
        }
    }

    /// Files without a name that processes of the sandbox have open.
    fn removed(&mut self, helper: u32) {
        for process in memory::below(helper) {
            let Ok(open) = fs::read_dir(format!("/proc/{process}/fd")) else {
                continue;
            };
            for file in open.flatten() {
                // Through the link: the file itself.
                let Ok(metadata) = fs::metadata(file.path()) else {
                    continue;
                };
                let is_removed = metadata.is_file() && metadata.nlink() == 0;
                if is_removed && self.seen.insert((metadata.dev(), metadata.ino())) {
                    self.total.bytes += metadata.blocks() * BLOCK;
                    self.total.files += 1;
                }
            }
        }
    }
}

/// How full the file systems of the folders are, each counted once.
fn fullness(folders: &[PathBuf]) -> Disk {
    let mut seen = BTreeSet::new();
    let mut full = Disk::default();
    for folder in folders {
        let Ok(device) = fs::metadata(folder).map(|metadata| metadata.dev()) else {
            continue;
        };
        let Ok(system) = rustix::fs::statvfs(folder) else {
            continue;
        };
        if seen.insert(device) {
            full.bytes += system.f_blocks.saturating_sub(system.f_bfree) * system.f_frsize;
            full.files += system.f_files.saturating_sub(system.f_ffree);
        }
    }
    full
}
