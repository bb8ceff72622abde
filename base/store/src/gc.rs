//! What the store holds, and removing what nobody used for a while.

use std::{
    collections::HashSet,
    fs::TryLockError,
    io,
    path::Path,
    time::{Duration, SystemTime},
};

use keel_artefact::Sha256;
use serde::Serialize;

use crate::{Error, Store, temp};

/// How much of one kind of thing the store holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// How many.
    pub count: u64,
    /// Bytes on disk, as `du` counts them.
    pub bytes: u64,
}

/// What the store holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Stat {
    /// Files by digest.
    pub objects: Amount,
    /// Results of actions.
    pub actions: Amount,
    /// Unpacked trees.
    pub trees: Amount,
    /// Folders that somebody asked to keep.
    pub kept: Amount,
    /// Temporary files of runs that go on.
    pub temporary: Amount,
}

/// What a collection removed, or would remove.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Collected {
    /// Files by digest.
    pub objects: Amount,
    /// Results of actions.
    pub actions: Amount,
    /// Unpacked trees.
    pub trees: Amount,
    /// Folders that somebody asked to keep.
    pub kept: Amount,
}

impl Store {
    /// Counts what is in the store.
    pub fn stat(&self) -> Result<Stat, Error> {
        let mut stat = Stat::default();
        for (part, amount) in [
            ("objects", &mut stat.objects),
            ("actions", &mut stat.actions),
            ("trees", &mut stat.trees),
            ("kept", &mut stat.kept),
            ("tmp", &mut stat.temporary),
        ] {
            *amount = measure(&self.dir().join(part))?;
        }
        for (part, amount) in [("trees", &mut stat.trees), ("kept", &mut stat.kept)] {
            amount.count = fs_err::read_dir(self.dir().join(part))?.count() as u64;
        }
        Ok(stat)
    }

    /// Removes action results that were last used more than `unused_for` before `now`, and the objects and trees
    /// that no remaining result names and nobody made or used since. With `dry_run` it only counts.
    ///
    /// Fails with [`Error::InUse`] while another run has the store open: a build's results, objects and trees are marked as
    /// used when it reads them, but what it is about to make is named by nothing yet.
    pub fn collect(&self, now: SystemTime, unused_for: Duration, dry_run: bool) -> Result<Collected, Error> {
        let _alone = if dry_run { None } else { Some(self.alone()?) };
        let limit = now.checked_sub(unused_for).unwrap_or(SystemTime::UNIX_EPOCH);
        let mut collected = Collected::default();
        let mut named = HashSet::new();
        for_each_file(&self.dir().join("actions"), &mut |path| {
            if is_used_since(path, limit)? {
                named.extend(digest_of_place(&path.with_extension("")));
                digests_in(&fs_err::read(path)?, &mut named);
            } else {
                remove(path, &mut collected.actions, dry_run)?;
            }
            Ok(())
        })?;
        for_each_file(&self.dir().join("objects"), &mut |path| {
            let digest = digest_of_place(path);
            if digest.is_none_or(|digest| !named.contains(&digest)) && !is_used_since(path, limit)? {
                remove(path, &mut collected.objects, dry_run)?;
            }
            Ok(())
        })?;
        for entry in fs_err::read_dir(self.dir().join("trees"))? {
            let path = entry?.path();
            let key = path
                .file_name()
                .and_then(|name| name.to_str())
                .and_then(|name| name.parse().ok());
            if key.is_some_and(|key: Sha256| named.contains(&key)) || is_used_since(&path, limit)? {
                continue;
            }
            collected.trees.count += 1;
            collected.trees.bytes += measure(&path)?.bytes;
            if let (false, Some(key)) = (dry_run, key) {
                self.remove_tree(&key)?;
            }
        }
        for entry in fs_err::read_dir(self.dir().join("kept"))? {
            let path = entry?.path();
            if is_used_since(&path, limit)? {
                continue;
            }
            collected.kept.count += 1;
            collected.kept.bytes += measure(&path)?.bytes;
            if !dry_run {
                temp::remove_all(&path)?;
            }
        }
        Ok(collected)
    }

    /// Removes everything in the store. Fails with [`Error::InUse`] while another run has it open.
    pub fn clear(&self) -> Result<(), Error> {
        let _alone = self.alone()?;
        for part in ["objects", "actions", "trees", "kept"] {
            let place = self.dir().join(part);
            temp::remove_all(&place)?;
            fs_err::create_dir(&place)?;
        }
        Ok(())
    }
}

impl Store {
    /// Waits for nobody: the store is this run's alone until the result is dropped, or it is in use.
    fn alone(&self) -> Result<Alone<'_>, Error> {
        match self.in_use.try_lock() {
            Ok(()) => Ok(Alone(&self.in_use)),
            Err(TryLockError::WouldBlock) => {
                // An attempt to turn the shared lock into an exclusive one may give it up (flock(2)).
                self.in_use.lock_shared()?;
                Err(Error::InUse(self.dir().to_owned()))
            }
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }
}

/// The store's lock, exclusive; shared again when dropped.
struct Alone<'a>(&'a std::fs::File);

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        // Nobody else can hold it exclusively now, so that this neither waits nor fails.
        let _ = self.0.lock_shared();
    }
}

fn remove(path: &Path, amount: &mut Amount, dry_run: bool) -> io::Result<()> {
    amount.count += 1;
    amount.bytes += blocks(&fs_err::symlink_metadata(path)?);
    if dry_run {
        Ok(())
    } else {
        fs_err::remove_file(path)
    }
}

fn is_used_since(path: &Path, limit: SystemTime) -> io::Result<bool> {
    Ok(fs_err::symlink_metadata(path)?.modified()? >= limit)
}

fn digest_of_place(path: &Path) -> Option<Sha256> {
    let rest = path.file_name()?.to_str()?;
    let start = path.parent()?.file_name()?.to_str()?;
    format!("{start}{rest}").parse().ok()
}

/// Every run of exactly 64 hexadecimal digits: that is how records name objects and trees.
fn digests_in(bytes: &[u8], found: &mut HashSet<Sha256>) {
    for word in bytes.split(|byte| !byte.is_ascii_hexdigit()) {
        if let Some(digest) = std::str::from_utf8(word).ok().and_then(|text| text.parse().ok()) {
            found.insert(digest);
        }
    }
}

fn measure(folder: &Path) -> io::Result<Amount> {
    let mut amount = Amount::default();
    for_each_file(folder, &mut |path| {
        amount.count += 1;
        amount.bytes += blocks(&fs_err::symlink_metadata(path)?);
        Ok(())
    })?;
    Ok(amount)
}

fn blocks(metadata: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::blocks(metadata) * 512
}

/// Calls `each` for everything below `folder` that is no folder. What vanishes meanwhile is passed over.
fn for_each_file(folder: &Path, each: &mut dyn FnMut(&Path) -> io::Result<()>) -> io::Result<()> {
    for entry in fs_err::read_dir(folder)? {
        let entry = entry?;
        let kind = match entry.file_type() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            kind => kind?,
        };
        let done = if kind.is_dir() {
            for_each_file(&entry.path(), each)
        } else {
            each(&entry.path())
        };
        match done {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            done => done?,
        }
    }
    Ok(())
}
