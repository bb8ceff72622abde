//! The folder that a SPEC is in: what overlays may read and write, and nothing else.
//!
//! Every path is walked part by part from the opened folder, and no part may be a link (openat(2), `O_NOFOLLOW`). So no
//! name in an overlay, and nothing that lies in the folder, leads out of it.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, RawMode},
    io::Errno,
};

/// The largest file that is read, in bytes.
pub const LARGEST: u64 = 256 << 20;
/// Files in one folder, at most.
const MOST: usize = 2_000_000;
/// Folders in folders, at most.
const DEEPEST: usize = 64;

/// A folder, opened.
#[derive(Debug)]
pub struct Folder {
    fd: OwnedFd,
    path: PathBuf,
}

/// A file of the folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Relative, with slashes.
    pub path: String,
    /// It is a link, to whatever.
    pub is_link: bool,
}

/// A path that was looked up: the folder that it is in, and its last part.
struct Found<'p> {
    parent: OwnedFd,
    name: &'p str,
}

impl Folder {
    /// Opens a folder.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| about(errno, path))?;
        Ok(Self {
            fd,
            path: path.to_owned(),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All files and links in it, in whichever folder, sorted. Names that are not UTF-8 are left out.
    pub fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let top = rustix::io::fcntl_dupfd_cloexec(&self.fd, 0)?;
        self.walk(top, "", 0, &mut entries)?;
        entries.sort();
        Ok(entries)
    }

    fn walk(&self, folder: OwnedFd, prefix: &str, depth: usize, out: &mut Vec<Entry>) -> io::Result<()> {
        for entry in rustix::fs::Dir::read_from(&folder)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else {
                continue;
            };
            if matches!(name, "." | "..") {
                continue;
            }
            let path = format!("{prefix}{name}");
            let stat = rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|errno| about(errno, &self.path.join(&path)))?;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory if depth < DEEPEST => {
                    let inner =
                        open_folder(&folder, name).map_err(|errno| about(errno, &self.path.join(&path)))?;
                    self.walk(inner, &format!("{path}/"), depth + 1, out)?;
                }
                kind @ (FileType::RegularFile | FileType::Symlink) => {
                    if out.len() == MOST {
                        return Err(io::Error::other(format!(
                            "{} has too many files",
                            self.path.display()
                        )));
                    }
                    out.push(Entry {
                        path,
                        is_link: kind == FileType::Symlink,
                    });
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn find<'p>(&self, path: &'p str) -> io::Result<Found<'p>> {
        if !is_inside(path) {
            let text = format!("`{path}` is no path inside a folder");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut parent = rustix::io::fcntl_dupfd_cloexec(&self.fd, 0)?;
        for part in folders.split('/').filter(|part| !part.is_empty()) {
            parent = open_folder(&parent, part).map_err(|errno| about(errno, &self.path.join(path)))?;
        }
        Ok(Found { parent, name })
    }

    /// Is anything there?
    pub fn exists(&self, path: &str) -> io::Result<bool> {
        let found = self.find(path)?;
        match rustix::fs::statat(&found.parent, found.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(about(errno, &self.path.join(path))),
        }
    }

    /// A regular file, opened to be read, and its permissions.
    pub fn open_file(&self, path: &str) -> io::Result<(File, u32)> {
        let found = self.find(path)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let opened = rustix::fs::openat(&found.parent, found.name, flags, Mode::empty());
        let fd = opened.map_err(|errno| about(errno, &self.path.join(path)))?;
        let stat = rustix::fs::fstat(&fd)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(io::Error::other(format!(
                "{} is no file",
                self.path.join(path).display()
            )));
        }
        Ok((File::from(fd), stat.st_mode & 0o7777))
    }

    /// A regular file's bytes, and its permissions.
    pub fn read(&self, path: &str) -> io::Result<(Vec<u8>, u32)> {
        let (file, mode) = self.open_file(path)?;
        let mut bytes = Vec::new();
        file.take(LARGEST + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > LARGEST {
            return Err(io::Error::other(format!(
                "{} is too large",
                self.path.join(path).display()
            )));
        }
        Ok((bytes, mode))
    }

    /// Writes a file with these permissions; what was there is replaced at once, or not at all.
    pub fn write(&self, path: &str, bytes: &[u8], mode: u32) -> io::Result<()> {
        self.replace(path, mode, |file| file.write_all(bytes))
    }

    /// The same for what comes bit by bit.
    pub fn replace<T>(
        &self,
        path: &str,
        mode: u32,
        fill: impl FnOnce(&mut File) -> io::Result<T>,
    ) -> io::Result<T> {
        let found = self.find(path)?;
        let temporary = format!(".{}.keel-new", found.name);
        let named = |errno| about(errno, &self.path.join(path));
        match rustix::fs::unlinkat(&found.parent, temporary.as_str(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(named(errno)),
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(
            &found.parent,
            temporary.as_str(),
            flags,
            Mode::from_raw_mode(0o600),
        )
        .map_err(named)?;
        let mut file = File::from(fd);
        let filled = fill(&mut file).and_then(|filled| {
            rustix::fs::fchmod(file.as_fd(), Mode::from_raw_mode(mode as RawMode)).map_err(named)?;
            rustix::fs::renameat(&found.parent, temporary.as_str(), &found.parent, found.name)
                .map_err(named)?;
            Ok(filled)
        });
        if filled.is_err() {
            // What went wrong before is what to tell.
            let _ = rustix::fs::unlinkat(&found.parent, temporary.as_str(), AtFlags::empty());
        }
        filled
    }

    /// Makes a folder, and those that it is in, where they are not there.
    pub fn make_folders(&self, path: &str) -> io::Result<()> {
        let mut end = 0;
        while end < path.len() {
            end = path[end + 1..].find('/').map_or(path.len(), |at| end + 1 + at);
            let found = self.find(&path[..end])?;
            match rustix::fs::mkdirat(&found.parent, found.name, Mode::from_raw_mode(0o700)) {
                Ok(()) => {}
                Err(Errno::EXIST) => drop(
                    open_folder(&found.parent, found.name)
                        .map_err(|errno| about(errno, &self.path.join(path)))?,
                ),
                Err(errno) => return Err(about(errno, &self.path.join(path))),
            }
        }
        Ok(())
    }

    /// Makes a link; where it leads is the caller's.
    pub fn make_link(&self, path: &str, target: &str) -> io::Result<()> {
        let found = self.find(path)?;
        let made = rustix::fs::symlinkat(target, &found.parent, found.name);
        made.map_err(|errno| about(errno, &self.path.join(path)))
    }

    /// Removes a file, or a link.
    pub fn remove(&self, path: &str) -> io::Result<()> {
        let found = self.find(path)?;
        let removed = rustix::fs::unlinkat(&found.parent, found.name, AtFlags::empty());
        removed.map_err(|errno| about(errno, &self.path.join(path)))
    }

    /// Gives a file, or a link, another name in its folder.
    pub fn rename(&self, path: &str, name: &str) -> io::Result<()> {
        let found = self.find(path)?;
        if name.contains('/') || !is_inside(name) {
            let text = format!("`{name}` is no name of a file");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let renamed = rustix::fs::renameat(&found.parent, found.name, &found.parent, name);
        renamed.map_err(|errno| about(errno, &self.path.join(path)))
    }
}

fn open_folder(parent: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}

/// Does a path stay in the folder that it starts in, by its letters alone?
pub fn is_inside(path: &str) -> bool {
    !path.is_empty() && !path.contains('\0') && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

fn about(errno: Errno, path: &Path) -> io::Error {
    let text = match errno {
        Errno::LOOP | Errno::NOTDIR => format!("{}: a link, or a file, is on the way", path.display()),
        errno => format!("{}: {}", path.display(), io::Error::from(errno)),
    };
    io::Error::new(io::Error::from(errno).kind(), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leads_out_of_it() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("in");
        fs_err::create_dir_all(path.join("sub")).unwrap();
        fs_err::write(temp.path().join("secret"), "s").unwrap();
        fs_err::write(path.join("a"), "1").unwrap();
        std::os::unix::fs::symlink("..", path.join("up")).unwrap();
        std::os::unix::fs::symlink("../secret", path.join("link")).unwrap();
        let folder = Folder::open(&path).unwrap();
        for name in [
            "../secret",
            "/etc/passwd",
            "up/secret",
            "link",
            "sub/../../secret",
            "",
            ".",
            "a/b",
            "a\0",
        ] {
            assert!(folder.read(name).is_err(), "{name:?}");
        }
        for name in ["../new", "/tmp/keel-new", "up/new", "sub/../../new", "", "."] {
            assert!(folder.write(name, b"x", 0o644).is_err(), "{name:?}");
            assert!(folder.rename("a", name).is_err(), "{name:?}");
        }
        assert!(folder.remove("up/secret").is_err());
        // A link is replaced, not written through.
        folder.write("link", b"x", 0o600).unwrap();
        assert_eq!(fs_err::read(temp.path().join("secret")).unwrap(), b"s");
        assert_eq!(folder.read("link").unwrap(), (b"x".to_vec(), 0o600));
        let entries: Vec<String> = folder
            .entries()
            .unwrap()
            .into_iter()
            .map(|entry| entry.path)
            .collect();
        assert_eq!(entries, ["a", "link", "up"]);
    }
}
