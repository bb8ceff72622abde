//! `keel image convert`: a disk in one format in → the same disk in another out, without QEMU.
//!
//! The result is a function of the disk and of the format: identities come from the content, and a VHD's time is that of the
//! VHD it was, or the first second that a VHD can tell. It has its name when it is whole; what a killed run leaves
//! (`.NAME.new`) the next one with that name takes over.

use std::{
    fs::TryLockError,
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Instant,
};

use keel_artefact::{Epoch, Event, Interrupt, Sha256, Sink, event::Outcome};
use keel_config::image::Qcow2Compression;
use serde::Serialize;

use crate::{
    Error,
    error::{At, check},
    formats::{self, Target},
    read::{self, Format},
    write::{
        sparse::{self, Source as _},
        vhd, vhdx,
    },
};

/// What to convert.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The disk.
    pub from: &'a Path,
    /// Its format; none: what it says that it is.
    pub from_format: Option<Format>,
    /// The file to be.
    pub to: &'a Path,
    /// Its format.
    pub to_format: Format,
    /// How a qcow2 is compressed.
    pub compression: Qcow2Compression,
    /// May there be a file of that name, which is replaced then?
    pub force: bool,
}

/// A disk in its new format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Converted {
    /// What it was.
    pub from: Format,
    /// What it is.
    pub to: Format,
    /// Where it is.
    pub file: PathBuf,
    /// Bytes of the disk.
    pub disk_size: u64,
    /// Bytes of the file.
    pub size: u64,
    /// The file's digest.
    pub sha256: Sha256,
}

/// A unit of progress: every MiB would be a thousand events a second.
const STEP: u64 = 16 << 20;

/// Converts a disk.
pub fn convert(request: &Request<'_>, sink: &dyn Sink, interrupt: &Interrupt) -> Result<Converted, Error> {
    let (from, to) = (request.from, request.to);
    if !request.force && fs_err::symlink_metadata(to).is_ok() {
        return Err(Error::Exists { file: to.to_owned() });
    }
    let mut file = fs_err::File::open(from).at("read", from.display())?;
    let format = match request.from_format {
        Some(format) => format,
        None => read::probe(&mut file).at("read", from.display())?,
    };
    let unread = |source| Error::Unreadable {
        file: from.to_owned(),
        format,
        source,
    };
    let mut disk = read::open(Box::new(file), format).map_err(unread)?;
    let disk_size = disk.size();
    let largest = match request.to_format {
        Format::Vhd => vhd::LARGEST,
        Format::Vhdx => vhdx::LARGEST,
        Format::Raw | Format::Qcow2 => u64::MAX,
    };
    if disk_size > largest {
        let format = request.to_format;
        return Err(Error::TooLargeFor {
            format,
            disk_size,
            largest,
        });
    }
    let target = match request.to_format {
        Format::Raw => Target::Raw,
        Format::Qcow2 => Target::Qcow2(request.compression),
        Format::Vhd => Target::Vhd(disk.clock().unwrap_or(Epoch(0))),
        Format::Vhdx => Target::Vhdx,
    };
    let fresh = Fresh::new(to)?;
    let (id, start) = (format!("convert:{}", to.display()), Instant::now());
    sink.event(Event::Started {
        id: &id,
        title: &format!("{} as {}", from.display(), request.to_format),
        total: Some(disk_size),
    });
    let mut told = 0;
    let mut progress = |done: u64| {
        if done >= told + STEP {
            told = done;
            sink.event(Event::Progress { id: &id, done });
        }
        interrupt.check().map_err(io::Error::other)
    };
    let mut out = fresh.file.file();
    let written = formats::write_to(&mut disk, target, &mut out, &mut progress);
    let written = check(interrupt).and_then(|()| match written {
        // What is wrong with the input shows while it is read.
        Err(source) if is_about_input(&source) => Err(unread(source)),
        written => written.at("write", to.display()),
    });
    let digest = || {
        let digest = sparse::digest(&fresh.path, interrupt);
        check(interrupt)?;
        digest.at("read", fresh.path.display())
    };
    let shown = written.and_then(|()| {
        let digest = digest()?;
        fresh.show()?;
        Ok(digest)
    });
    sink.event(Event::Finished {
        id: &id,
        outcome: if shown.is_ok() {
            Outcome::Done
        } else {
            Outcome::Failed
        },
        elapsed: start.elapsed(),
    });
    let (sha256, size) = shown?;
    Ok(Converted {
        from: format,
        to: request.to_format,
        file: to.to_owned(),
        disk_size,
        size,
        sha256,
    })
}

fn is_about_input(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, Unsupported};
    matches!(error.kind(), InvalidData | Unsupported)
}

/// The file that takes its name when it is whole.
struct Fresh<'a> {
    file: fs_err::File,
    path: PathBuf,
    to: &'a Path,
    is_shown: std::cell::Cell<bool>,
}

impl<'a> Fresh<'a> {
    fn new(to: &'a Path) -> Result<Self, Error> {
        let is_file = fs_err::symlink_metadata(to).map_or(true, |found| found.is_file());
        let (true, Some(name)) = (is_file, to.file_name()) else {
            return Err(Error::Exists { file: to.to_owned() });
        };
        let path = to.with_file_name(format!(".{}.new", name.to_string_lossy()));
        // Not truncated before it is locked: another run may be writing it.
        let file = fs_err::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .at("write", path.display())?;
        match file.file().try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Busy { file: to.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(source).at("lock", path.display()),
        }
        let (opened, named) = (file.metadata(), fs_err::symlink_metadata(&path));
        let is_named = matches!((&opened, &named), (Ok(one), Ok(other)) if one.ino() == other.ino() && one.dev() == other.dev());
        if !is_named {
            // Another run was done between the two steps, and this is its result; or the name is a link to somewhere.
            return Err(Error::Busy { file: to.to_owned() });
        }
        file.set_len(0).at("write", path.display())?;
        let is_shown = std::cell::Cell::new(false);
        Ok(Self {
            file,
            path,
            to,
            is_shown,
        })
    }

    fn show(&self) -> Result<(), Error> {
        self.file.sync_all().at("write", self.path.display())?;
        fs_err::rename(&self.path, self.to).at("write", self.to.display())?;
        self.is_shown.set(true);
        Ok(())
    }
}

impl Drop for Fresh<'_> {
    fn drop(&mut self) {
        if !self.is_shown.get() {
            // What stays is taken over by the next run.
            let _ = fs_err::remove_file(&self.path);
        }
    }
}
