//! Reading files as the target sees them: a path is resolved in the target's root, link by link, and no link, no `..`
//! and no odd file leads out of it.
//!
//! Every step opens one path without following links (openat2(2), `RESOLVE_NO_SYMLINKS` and `RESOLVE_BENEATH`), under
//! the place that is mounted there in a sandbox. So what a command inside would read is what is read here.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read as _},
    os::fd::{AsRawFd as _, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FileType, Mode, OFlags, ResolveFlags, Stat},
    io::Errno,
};

use super::{Error, guest::Guest};

/// The largest file that is read, in bytes.
pub(super) const LARGEST: u64 = 64 << 20;
/// As many links as Linux follows.
const MOST_LINKS: u32 = 40;

/// The target's files.
#[derive(Debug)]
pub(super) struct Files {
    /// The longest paths first.
    places: Vec<Place>,
}

#[derive(Debug)]
struct Place {
    /// Inside; empty for the root.
    at: String,
    /// The folders there, the top first. None is memory: what is in there, only the commands of one SPEC know.
    layers: Vec<OwnedFd>,
}

/// A file found.
pub(super) struct Found {
    /// Without links; empty for the root.
    at: String,
    /// Opened as a path only.
    fd: OwnedFd,
    pub(super) stat: Stat,
    /// Everybody may search all folders on the way.
    pub(super) is_public: bool,
}

impl Files {
    pub(super) fn new(guest: &Guest) -> Result<Self, Error> {
        let mut places = Vec::new();
        for memory in &guest.memory {
            places.push(Place {
                at: memory.as_str().to_owned(),
                layers: Vec::new(),
            });
        }
        for elsewhere in ["/proc", "/dev", "/sys"] {
            places.push(Place {
                at: elsewhere.to_owned(),
                layers: Vec::new(),
            });
        }
        let open = |host: &PathBuf| open_path(host).map_err(|source| Error::root(host, source));
        if !guest.lowers.is_empty() {
            let layers = guest.lowers.iter().map(open).collect::<Result<_, _>>()?;
            places.push(Place {
                at: String::new(),
                layers,
            });
        }
        for (host, at) in &guest.binds {
            places.push(Place {
                at: at.as_str().to_owned(),
                layers: vec![open(host)?],
            });
        }
        places.sort_by_key(|place| std::cmp::Reverse(place.at.len()));
        Ok(Self { places })
    }

    /// A whole regular file of at most [`LARGEST`] bytes.
    pub(super) fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        self.find(path)?.read()
    }

    /// The names in a folder, in whichever of its layers, sorted.
    pub(super) fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let found = self.find(path)?;
        let (place, rest) = self.place(&found.at)?;
        let mut names = BTreeSet::new();
        for layer in &place.layers {
            let folder = match open_below(layer, rest).and_then(|fd| reopen(&fd, OFlags::DIRECTORY)) {
                Ok(folder) => folder,
                Err(Errno::NOENT) => continue,
                // What lies on top hides what is below.
                Err(_) if !names.is_empty() => break,
                Err(errno) => return Err(errno.into()),
            };
            for entry in rustix::fs::Dir::new(folder)? {
                names.insert(entry?.file_name().to_string_lossy().into_owned());
            }
        }
        Ok(names
            .into_iter()
            .filter(|name| name != "." && name != "..")
            .collect())
    }

    /// The file that a path leads to. `EXDEV` where only the commands of a SPEC can know.
    pub(super) fn find(&self, path: &str) -> io::Result<Found> {
        let mut pending: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
        let mut here: Vec<String> = Vec::new();
        let mut links = 0;
        let mut found = self.open(&here);
        let mut is_public = true;
        while let Some(part) = pending.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => drop(here.pop()),
                _ => here.push(part),
            }
            found = self.open(&here);
            let stat = match &found {
                Ok((_, stat)) => stat,
                Err(Errno::NOENT | Errno::XDEV) if self.is_above_a_place(&here) => continue,
                Err(errno) => return Err((*errno).into()),
            };
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Symlink => {
                    links += 1;
                    if links > MOST_LINKS {
                        return Err(Errno::LOOP.into());
                    }
                    let (fd, _) = found?;
                    let target = rustix::fs::readlinkat(&fd, "", Vec::new())?;
                    let target = target.into_string().map_err(|_| Errno::ILSEQ)?;
                    here.pop();
                    if target.starts_with('/') {
                        here.clear();
                    }
                    pending.extend(target.split('/').rev().map(str::to_owned));
                    found = self.open(&here);
                }
                FileType::Directory => is_public &= stat.st_mode & 0o001 != 0,
                _ if !pending.is_empty() => return Err(Errno::NOTDIR.into()),
                _ => {}
            }
        }
        let (fd, stat) = found?;
        let at = path_of(&here);
        Ok(Found {
            at,
            fd,
            stat,
            is_public,
        })
    }

    /// Opens a path whose folders are no links; the last part may be one.
    fn open(&self, parts: &[String]) -> rustix::io::Result<(OwnedFd, Stat)> {
        let path = path_of(parts);
        let (place, rest) = self.place(&path)?;
        let mut result = Err(Errno::XDEV);
        for layer in &place.layers {
            result = open_below(layer, rest);
            if !matches!(result, Err(Errno::NOENT)) {
                break;
            }
        }
        let fd = result?;
        let stat = rustix::fs::fstat(&fd)?;
        Ok((fd, stat))
    }

    /// What is mounted where a path is, and the rest of the path: empty, or with a slash in front. Where there is no root,
    /// nobody knows.
    fn place<'a>(&self, path: &'a str) -> rustix::io::Result<(&Place, &'a str)> {
        let inside = |place: &Place| {
            let rest = path.strip_prefix(&place.at)?;
            (rest.is_empty() || rest.starts_with('/')).then_some(rest)
        };
        let mut places = self.places.iter();
        places
            .find_map(|place| Some((place, inside(place)?)))
            .ok_or(Errno::XDEV)
    }

    /// Is it a folder on the way to something mounted, which the root need not have?
    fn is_above_a_place(&self, parts: &[String]) -> bool {
        let path = path_of(parts) + "/";
        self.places.iter().any(|place| place.at.starts_with(&path))
    }
}

impl Found {
    /// All of it, if it is a regular file: a pipe or a device is never opened.
    pub(super) fn read(&self) -> io::Result<Vec<u8>> {
        match FileType::from_raw_mode(self.stat.st_mode) {
            FileType::RegularFile => {}
            FileType::Directory => return Err(io::ErrorKind::IsADirectory.into()),
            _ => return Err(io::Error::other("it is not a regular file")),
        }
        let too_large = || {
            io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("it has more than {} MiB", LARGEST >> 20),
            )
        };
        if u64::try_from(self.stat.st_size).is_ok_and(|size| size > LARGEST) {
            return Err(too_large());
        }
        let file = File::from(reopen(&self.fd, OFlags::NONBLOCK | OFlags::NOCTTY)?);
        let mut bytes = Vec::new();
        // It may grow meanwhile.
        file.take(LARGEST + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > LARGEST {
            Err(too_large())
        } else {
            Ok(bytes)
        }
    }
}

/// The file behind a path descriptor, for reading (proc(5), `/proc/pid/fd`).
fn reopen(fd: &OwnedFd, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    rustix::fs::open(path, flags | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

fn path_of(parts: &[String]) -> String {
    parts.iter().flat_map(|part| ["/", part]).collect()
}

/// Opens `rest`, which is empty or begins with a slash, below a folder.
fn open_below(folder: &OwnedFd, rest: &str) -> rustix::io::Result<OwnedFd> {
    let Some(path) = rest.strip_prefix('/') else {
        return rustix::io::fcntl_dupfd_cloexec(folder, 0);
    };
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    loop {
        match rustix::fs::openat2(folder, path, flags, Mode::empty(), resolve) {
            // A rename elsewhere on the machine got in the way (openat2(2)).
            Err(Errno::AGAIN) => {}
            done => return done,
        }
    }
}

fn open_path(path: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(
        path,
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
    )?)
}
