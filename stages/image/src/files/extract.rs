//! Files of an image into a folder, or into a tar archive.
//!
//! In a folder, everything is made below it by descriptors: every folder on the way is opened without following links, every file is
//! made anew (`O_EXCL`). So a link inside the image leads nothing out of it. What only root may make or set is left out and counted.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufWriter, Write},
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    path::Path,
};

use keel_artefact::RootPath;
use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, Timespec, Timestamps},
    io::Errno,
};
use serde::Serialize;

use super::{Entry, Error, Files, Kind, under};
use crate::{
    fresh::{self, Fresh},
    write::tar::{self, Member, What},
};

/// What was taken out of an image.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Extracted {
    /// Names: files, folders and all else.
    pub names: u64,
    /// Bytes of files; what has several names counts once.
    pub bytes: u64,
    /// What is not as in the image, by what that is: `owners`, `devices`, …
    pub left_out: BTreeMap<&'static str, u64>,
}

impl Extracted {
    fn without(&mut self, what: &'static str, is_so: bool) {
        if is_so {
            *self.left_out.entry(what).or_default() += 1;
        }
    }
}

impl Files {
    /// These paths with all that is below them, and the folders on the way there; all, if none is given. Links on the way to a path are
    /// followed, and its last part is taken as it is.
    pub fn chosen(&self, paths: &[String]) -> Result<Vec<(RootPath, Entry)>, Error> {
        if paths.is_empty() {
            return Ok(self
                .names
                .iter()
                .map(|(path, entry)| (path.clone(), entry.clone()))
                .collect());
        }
        let mut chosen = BTreeMap::new();
        for path in paths {
            let real = self.find(path, false)?;
            let mut add = |path: &RootPath| chosen.insert(path.clone(), self.names[path].clone());
            let mut above = Some(real.clone());
            while let Some(path) = above {
                add(&path);
                above = path.parent();
            }
            under(&self.names, &real).for_each(|path| drop(add(path)));
        }
        Ok(chosen.into_iter().collect())
    }

    /// Writes these as a tar archive, with everything that they have; only sockets have no place in one.
    pub fn archive(&mut self, chosen: &[(RootPath, Entry)], out: impl Write) -> Result<Extracted, Error> {
        let mut out = BufWriter::with_capacity(1 << 18, out);
        let mut done = Extracted::default();
        let mut seen: BTreeMap<u64, &RootPath> = BTreeMap::new();
        let failed = |source| Error::Write {
            what: "a tar archive".to_owned(),
            source,
        };
        for (path, entry) in chosen {
            self.interrupt.check()?;
            let (what, size) = match &entry.kind {
                Kind::Dir => (What::Dir, 0),
                Kind::File { id, size } => match seen.get(id) {
                    Some(first) => (What::Link(first), 0),
                    None => (What::File, *size),
                },
                Kind::Symlink(target) => (What::Symlink(target), 0),
                Kind::CharDevice { major, minor } => (What::CharDevice(*major, *minor), 0),
                Kind::BlockDevice { major, minor } => (What::BlockDevice(*major, *minor), 0),
                Kind::Fifo => (What::Fifo, 0),
                Kind::Socket => {
                    done.without("sockets", true);
                    continue;
                }
            };
            let has_content = matches!(what, What::File);
            let member = Member {
                path,
                what,
                size,
                mode: entry.mode,
                owner: (entry.uid, entry.gid),
                mtime: entry.mtime.max(0).unsigned_abs(),
                xattrs: &entry.xattrs,
                all_times: false,
            };
            member.write(&mut out).map_err(failed)?;
            if let Kind::File { id, size } = entry.kind
                && has_content
            {
                self.copy(id, size, &mut out)?;
                tar::pad(size, &mut out).map_err(failed)?;
                seen.insert(id, path);
                done.bytes += size;
            }
            done.names += 1;
        }
        out.write_all(&[0; 1024])
            .and_then(|()| out.flush())
            .map_err(failed)?;
        Ok(done)
    }
}

/// Writes these into the new or empty folder `to`: all of them, or, after an error, nothing.
pub fn extract(files: &mut Files, chosen: &[(RootPath, Entry)], to: &Path) -> Result<Extracted, Error> {
    let is_empty = match std::fs::read_dir(to) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == io::ErrorKind::NotFound && std::fs::symlink_metadata(to).is_err(),
    };
    if !is_empty || to.file_name().is_none() {
        return Err(Error::Exists {
            folder: to.to_owned(),
        });
    }
    let fresh = Fresh::new(to).map_err(Box::new)?;
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    let root = rustix::fs::openat(CWD, &fresh.path, flags, Mode::empty())
        .map_err(|errno| wrong(to.display(), errno.into()))?;
    let mut writer = Writer {
        root,
        current: None,
        seen: BTreeMap::new(),
        done: Extracted::default(),
    };
    for (path, entry) in chosen {
        files.interrupt.check()?;
        writer.entry(files, path, entry)?;
    }
    // Writing into a folder changes its time, and one may be closed to its owner: the deepest first.
    for (path, entry) in chosen.iter().rev().filter(|(_, entry)| entry.kind == Kind::Dir) {
        let folder = writer.enter(path).map_err(|source| wrong(path, source))?;
        let set = rustix::fs::fchmod(folder, mode(entry))
            .and_then(|()| rustix::fs::futimens(folder, &times(entry.mtime)));
        set.map_err(|errno| wrong(path, errno.into()))?;
    }
    let done = writer.done;
    fresh.show(to).map_err(Box::new)?;
    Ok(done)
}

struct Writer {
    root: OwnedFd,
    /// The folder written to last; the next file is mostly in the same.
    current: Option<(RootPath, OwnedFd)>,
    /// Contents that are there, and under which name.
    seen: BTreeMap<u64, RootPath>,
    done: Extracted,
}

impl Writer {
    fn entry(&mut self, files: &mut Files, path: &RootPath, entry: &Entry) -> Result<(), Error> {
        let failed = |source: io::Error| wrong(path, source);
        self.done.without("attributes", !entry.xattrs.is_empty());
        let others = (entry.uid, entry.gid)
            != (
                rustix::process::geteuid().as_raw(),
                rustix::process::getegid().as_raw(),
            );
        self.done.without("owners", others);
        let (Some(parent), name) = (path.parent(), path.file_name()) else {
            return Ok(());
        };
        if let Kind::File { id, .. } = entry.kind
            && let Some(first) = self.seen.get(&id).cloned()
        {
            self.done.names += 1;
            return self.link(&first, path).map_err(failed);
        }
        let folder = self.enter(&parent).map_err(failed)?;
        let time = times(entry.mtime);
        match &entry.kind {
            Kind::Dir => {
                rustix::fs::mkdirat(folder, name, Mode::RWXU).map_err(|errno| failed(errno.into()))?
            }
            Kind::File { id, size } => {
                let flags =
                    OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let made = rustix::fs::openat(folder, name, flags, Mode::RUSR | Mode::WUSR);
                let mut file = File::from(made.map_err(|errno| failed(errno.into()))?);
                files.copy(*id, *size, &mut file)?;
                let set =
                    rustix::fs::fchmod(&file, mode(entry)).and_then(|()| rustix::fs::futimens(&file, &time));
                set.map_err(|errno| failed(errno.into()))?;
                self.seen.insert(*id, path.clone());
                self.done.bytes += size;
            }
            Kind::Symlink(target) => {
                let set = rustix::fs::symlinkat(target.as_str(), folder, name)
                    .and_then(|()| rustix::fs::utimensat(folder, name, &time, AtFlags::SYMLINK_NOFOLLOW));
                set.map_err(|errno| failed(errno.into()))?;
            }
            Kind::Fifo => {
                // The umask is taken from the mode that a name is made with.
                let set = rustix::fs::mknodat(folder, name, rustix::fs::FileType::Fifo, Mode::RUSR, 0)
                    .and_then(|()| rustix::fs::chmodat(folder, name, mode(entry), AtFlags::empty()))
                    .and_then(|()| rustix::fs::utimensat(folder, name, &time, AtFlags::SYMLINK_NOFOLLOW));
                set.map_err(|errno| failed(errno.into()))?;
            }
            Kind::CharDevice { .. } | Kind::BlockDevice { .. } => {
                self.done.without("devices", true);
                return Ok(());
            }
            Kind::Socket => {
                self.done.without("sockets", true);
                return Ok(());
            }
        }
        // They would make whoever runs the file the one who unpacked it.
        let is_special = !matches!(entry.kind, Kind::Symlink(_)) && entry.mode & 0o6000 != 0;
        self.done.without("set-user-id and set-group-id bits", is_special);
        self.done.names += 1;
        Ok(())
    }

    /// Opens a folder that is there, part by part, no link followed.
    fn enter(&mut self, path: &RootPath) -> io::Result<BorrowedFd<'_>> {
        if self.current.as_ref().is_none_or(|(current, _)| current != path) {
            let mut fd = rustix::io::fcntl_dupfd_cloexec(&self.root, 0)?;
            for part in path.relative().split('/').filter(|part| !part.is_empty()) {
                let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
                fd = rustix::fs::openat(&fd, part, flags, Mode::empty())?;
            }
            self.current = Some((path.clone(), fd));
        }
        Ok(self
            .current
            .as_ref()
            .map_or(self.root.as_fd(), |(_, fd)| fd.as_fd()))
    }

    fn link(&mut self, first: &RootPath, path: &RootPath) -> io::Result<()> {
        let folder = |path: &RootPath| path.parent().unwrap_or_else(RootPath::root);
        let from = self.enter(&folder(first))?.try_clone_to_owned()?;
        let to = self.enter(&folder(path))?;
        match rustix::fs::linkat(&from, first.file_name(), to, path.file_name(), AtFlags::empty()) {
            Ok(()) => Ok(()),
            Err(Errno::MLINK) => Err(io::Error::other(
                "this file has more names than there may be here",
            )),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// The mode that a name has in the folder: that of the image, but for what would give the rights of whoever unpacked it.
fn mode(entry: &Entry) -> Mode {
    Mode::from_raw_mode(entry.mode & 0o1777)
}

fn wrong(what: impl ToString, source: io::Error) -> Error {
    let what = what.to_string();
    Error::Write { what, source }
}

fn times(seconds: i64) -> Timestamps {
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: 0,
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

/// Writes these into the new tar archive `to`, which has its name when it is whole.
pub fn pack(files: &mut Files, chosen: &[(RootPath, Entry)], to: &Path) -> Result<Extracted, Error> {
    if std::fs::symlink_metadata(to).is_ok() {
        return Err(Error::Exists {
            folder: to.to_owned(),
        });
    }
    let new = fresh::beside(to, "new");
    fresh::remove(&new).map_err(Box::new)?;
    let failed = |source| wrong(to.display(), source);
    let packed = File::create_new(&new).map_err(failed).and_then(|file| {
        let done = files.archive(chosen, &file)?;
        file.sync_all()
            .and_then(|()| std::fs::rename(&new, to))
            .map_err(failed)?;
        Ok(done)
    });
    if packed.is_err() {
        fresh::remove(&new).map_err(Box::new)?;
    }
    packed
}
