//! Finding a file below a folder, and nowhere else.

use std::{
    fs::File,
    io,
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::Path,
};

use rustix::fs::{CWD, Mode, OFlags};

/// The folder that is served.
pub(super) struct Root(OwnedFd);

/// A regular file below it.
pub(super) struct Found {
    pub(super) file: File,
    pub(super) size: u64,
    /// Changes whenever the file does, also when its time and size stay.
    pub(super) tag: String,
}

impl Root {
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        Ok(Self(rustix::fs::openat(
            CWD,
            dir,
            OFlags::DIRECTORY | OFlags::PATH | OFlags::CLOEXEC,
            Mode::empty(),
        )?))
    }

    /// Opens the file that these names lead to, each below the one before. None if there is no such regular file;
    /// symbolic links are not followed, and names that begin with a dot do not exist.
    pub(super) fn find(&self, names: &[String]) -> Option<Found> {
        let (last, folders) = names.split_last()?;
        if names
            .iter()
            .any(|name| name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']))
        {
            return None;
        }
        let mut at: Option<OwnedFd> = None;
        for folder in folders {
            let flags = OFlags::DIRECTORY | OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            at = Some(
                rustix::fs::openat(
                    at.as_ref().unwrap_or(&self.0),
                    folder.as_str(),
                    flags,
                    Mode::empty(),
                )
                .ok()?,
            );
        }
        // NONBLOCK: a pipe would wait for a writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(
            at.as_ref().unwrap_or(&self.0),
            last.as_str(),
            flags,
            Mode::empty(),
        )
        .ok()?;
        let file = File::from(file);
        let meta = file.metadata().ok()?;
        let tag = format!(
            "\"{:x}-{:x}-{:x}.{:x}\"",
            meta.ino(),
            meta.len(),
            meta.ctime(),
            meta.ctime_nsec()
        );
        meta.is_file().then_some(Found {
            file,
            size: meta.len(),
            tag,
        })
    }
}
