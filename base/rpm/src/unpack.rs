//! A package as files in a folder: the tree that build roots are made of.
//!
//! Every folder on the way to a file is opened without following symbolic links, and every file is made with `O_EXCL`:
//! a package cannot write outside the folder, nor through a link that it planted itself. (That a folder of one package
//! is a link of another, as with a merged /usr, is for the overlay of the trees to resolve, not for this function.)

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

use keel_artefact::RootPath;
use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, Timespec, Timestamps},
    io::Errno,
};

use crate::{Error, Fault, FileInfo, FileKind, Limits, PackageInfo, info, payload::payload_within};

/// Unpacks the package file at `package` into the folder `dir`, which is made if need be.
///
/// Kept: content, kinds, hard links, permissions (the owner can always read and write, and enter folders), times, but
/// none later than the package's build. Not kept: owners (everything belongs to the caller), set-user-id and
/// set-group-id bits and capabilities (the tree lies on the host, where they would be a danger). Device nodes and
/// sockets are an error. Folders that the package does not name itself get mode 0755 and the time of the build.
pub fn unpack(package: &Path, dir: &Path) -> Result<PackageInfo, Error> {
    unpack_within(package, dir, Limits::default())
}

/// [`unpack`](fn@unpack) with limits of the caller's.
pub fn unpack_within(package: &Path, dir: &Path, limits: Limits) -> Result<PackageInfo, Error> {
    let output = |source| Error::Output {
        path: dir.to_owned(),
        source,
    };
    fs_err::create_dir_all(dir).map_err(output)?;
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    let root = rustix::fs::openat(CWD, dir, flags, Mode::empty()).map_err(|errno| output(errno.into()))?;
    let info = info::read(package)?;
    let mut writer = Writer {
        package,
        latest: info.build_time.0,
        root,
        current: None,
        folders: BTreeMap::new(),
    };
    payload_within(package, limits, &mut |file, content| writer.write(file, content))?;
    writer.finish()?;
    Ok(info)
}

struct Writer<'a> {
    package: &'a Path,
    /// No time is later: that of the package's build.
    latest: u64,
    root: OwnedFd,
    /// The folder written to last; the next file is mostly in the same.
    current: Option<(RootPath, OwnedFd)>,
    /// Folders made or named, with their final mode and time. Set at the end: writing into them changes their times.
    folders: BTreeMap<RootPath, (u32, u64)>,
}

impl Writer<'_> {
    fn write(&mut self, file: &FileInfo, content: &mut dyn Read) -> Result<(), Error> {
        let time = file.mtime.min(self.latest);
        if file.kind == FileKind::Directory {
            self.enter(&file.path)?;
            self.folders
                .insert(file.path.clone(), (file.mode & 0o1777 | 0o700, time));
            return Ok(());
        }
        let (Some(parent), name) = (file.path.parent(), file.path.file_name()) else {
            return Err(self.unsound(Fault::ThroughLink(file.path.clone())));
        };
        self.enter(&parent)?;
        let folder = self.folder()?;
        if let Some(carrier) = &file.same_as {
            return self.hard_link(file, carrier);
        }
        let made = match file.kind {
            FileKind::Regular => regular(folder, name, file, content, time),
            FileKind::Symlink => symlink(folder, name, file.link.as_deref().unwrap_or_default(), time),
            FileKind::Fifo => fifo(folder, name, file.mode, time),
            _ => return Err(self.unsound(Fault::Special(file.path.clone()))),
        };
        made.map_err(|source| self.failed(&file.path, source))
    }

    /// Makes `folder` current, with all above it.
    fn enter(&mut self, path: &RootPath) -> Result<(), Error> {
        if self.current.as_ref().is_some_and(|(current, _)| current == path) {
            return Ok(());
        }
        let mut fd = rustix::io::fcntl_dupfd_cloexec(&self.root, 0)
            .map_err(|errno| self.failed(path, errno.into()))?;
        let mut at = RootPath::root();
        for part in path.relative().split('/').filter(|part| !part.is_empty()) {
            at = at.join(part).map_err(|error| self.unsound(Fault::Path(error)))?;
            match rustix::fs::mkdirat(&fd, part, Mode::from_raw_mode(0o755)) {
                Ok(()) => {
                    self.folders.entry(at.clone()).or_insert((0o755, self.latest));
                }
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(self.failed(&at, errno.into())),
            }
            let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
            fd = match rustix::fs::openat(&fd, part, flags, Mode::empty()) {
                Ok(fd) => fd,
                Err(Errno::LOOP | Errno::NOTDIR) => return Err(self.unsound(Fault::ThroughLink(at))),
                Err(errno) => return Err(self.failed(&at, errno.into())),
            };
        }
        self.current = Some((path.clone(), fd));
        Ok(())
    }

    fn folder(&self) -> Result<BorrowedFd<'_>, Error> {
        Ok(self
            .current
            .as_ref()
            .map_or(self.root.as_fd(), |(_, fd)| fd.as_fd()))
    }

    fn hard_link(&mut self, file: &FileInfo, carrier: &RootPath) -> Result<(), Error> {
        let from = carrier.parent().unwrap_or_else(RootPath::root);
        let to = file.path.parent().unwrap_or_else(RootPath::root);
        self.enter(&from)?;
        let source = self
            .folder()?
            .try_clone_to_owned()
            .map_err(|error| self.failed(carrier, error))?;
        self.enter(&to)?;
        rustix::fs::linkat(
            &source,
            carrier.file_name(),
            self.folder()?,
            file.path.file_name(),
            AtFlags::empty(),
        )
        .map_err(|errno| self.failed(&file.path, errno.into()))
    }

    /// Modes and times of folders, the deepest first.
    fn finish(mut self) -> Result<(), Error> {
        for (path, (mode, time)) in std::mem::take(&mut self.folders).into_iter().rev() {
            self.enter(&path)?;
            let folder = self.folder()?;
            rustix::fs::fchmod(folder, Mode::from_raw_mode(mode))
                .and_then(|()| rustix::fs::futimens(folder, &times(time)))
                .map_err(|errno| self.failed(&path, errno.into()))?;
        }
        Ok(())
    }

    fn unsound(&self, fault: Fault) -> Error {
        Error::Unsound {
            package: self.package.to_owned(),
            fault,
        }
    }

    fn failed(&self, path: &RootPath, source: io::Error) -> Error {
        match source.kind() {
            io::ErrorKind::AlreadyExists => self.unsound(Fault::ThroughLink(path.clone())),
            _ => Error::Write {
                package: self.package.to_owned(),
                path: path.clone(),
                source,
            },
        }
    }
}

fn regular(
    folder: BorrowedFd<'_>,
    name: &str,
    file: &FileInfo,
    content: &mut dyn Read,
    time: u64,
) -> io::Result<()> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut output = File::from(rustix::fs::openat(
        folder,
        name,
        flags,
        Mode::from_raw_mode(0o600),
    )?);
    io::copy(content, &mut output)?;
    rustix::fs::fchmod(&output, Mode::from_raw_mode(file.mode & 0o777 | 0o600))?;
    rustix::fs::futimens(&output, &times(time))?;
    Ok(())
}

fn symlink(folder: BorrowedFd<'_>, name: &str, target: &str, time: u64) -> io::Result<()> {
    rustix::fs::symlinkat(target, folder, name)?;
    rustix::fs::utimensat(folder, name, &times(time), AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(())
}

fn fifo(folder: BorrowedFd<'_>, name: &str, mode: u32, time: u64) -> io::Result<()> {
    let mode = Mode::from_raw_mode(mode & 0o777 | 0o600);
    rustix::fs::mknodat(folder, name, rustix::fs::FileType::Fifo, mode, 0)?;
    rustix::fs::chmodat(folder, name, mode, AtFlags::empty())?;
    rustix::fs::utimensat(folder, name, &times(time), AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(())
}

fn times(seconds: u64) -> Timestamps {
    let time = Timespec {
        tv_sec: seconds.min(i64::MAX as u64) as i64,
        tv_nsec: 0,
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}
