//! A folder that somebody else wrote, asked on the host without leaving it.
//!
//! What ran in a sandbox may have put links into its `upper` that lead anywhere. Nothing here follows them out of the folder: every path
//! is opened below it (openat2(2), `RESOLVE_BENEATH` and `RESOLVE_NO_SYMLINKS`), and only regular files are read.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{CStr, CString, OsString},
    fs::{File, Metadata},
    io::{self, Read as _},
    os::{
        fd::{AsFd as _, AsRawFd, BorrowedFd, OwnedFd},
        unix::{
            ffi::{OsStrExt as _, OsStringExt as _},
            fs::{MetadataExt as _, PermissionsExt as _},
        },
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, Dir, Mode, OFlags, ResolveFlags},
    io::Errno,
};

/// A folder, and what lies in it. Nobody may write it meanwhile.
#[derive(Debug)]
pub struct Beneath {
    folder: OwnedFd,
    path: PathBuf,
}

/// Something in the folder; a link is itself, not what it leads to.
#[derive(Debug)]
pub struct Found {
    file: File,
    metadata: Metadata,
    path: PathBuf,
}

impl Beneath {
    /// The folder at this path of the host, whose links are followed.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder =
            rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(|errno| named(path, errno))?;
        let path = path.to_owned();
        Ok(Self { folder, path })
    }

    /// What has this name, relative to the folder. None: nothing has, or what is on the way there is no folder, but a link, for example.
    pub fn find(&self, name: &Path) -> io::Result<Option<Found>> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let Some(fd) = self.resolve(name, resolve)? else {
            return Ok(None);
        };
        let (file, path) = (File::from(fd), self.path.join(name));
        let metadata = file.metadata()?;
        Ok(Some(Found { file, metadata, path }))
    }

    /// Has something this name where the folder is the root? Links on the way are followed as they would be there.
    pub fn has(&self, name: &Path) -> io::Result<bool> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        Ok(self.resolve(name, resolve)?.is_some())
    }

    /// The content of the regular file of this name, of at most `most` bytes; none as in [`Self::find`]. What is there and no file, or
    /// larger, is an error.
    pub fn read(&self, name: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
        self.find(name)?.map(|found| found.read(most)).transpose()
    }

    /// Removes what has this name, with all that is in it, however deep that is. Nothing happens where [`Self::find`] finds nothing.
    pub fn remove(&self, name: &Path) -> io::Result<()> {
        let (Some(found), Some(last)) = (self.find(name)?, name.file_name()) else {
            return Ok(());
        };
        let parent: OwnedFd = match name.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            Some(parent) => match self.find(parent)? {
                Some(parent) => parent.file.into(),
                None => return Ok(()),
            },
            None => rustix::io::fcntl_dupfd_cloexec(&self.folder, 0)?,
        };
        let removed = match found.metadata.is_dir() {
            true => CString::new(last.as_bytes())
                .map_err(|_| Errno::INVAL)
                .and_then(|last| remove_folder(parent.as_fd(), &last)),
            false => rustix::fs::unlinkat(&parent, last, AtFlags::empty()),
        };
        removed.map_err(|errno| named(&found.path, errno))
    }

    fn resolve(&self, name: &Path, resolve: ResolveFlags) -> io::Result<Option<OwnedFd>> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        loop {
            return match rustix::fs::openat2(&self.folder, name, flags, Mode::empty(), resolve) {
                Ok(fd) => Ok(Some(fd)),
                // A rename elsewhere on the machine got in the way (openat2(2)).
                Err(Errno::AGAIN) => continue,
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => Ok(None),
                Err(errno) => Err(named(&self.path.join(name), errno)),
            };
        }
    }
}

impl Found {
    /// What it is.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Where a link leads.
    pub fn target(&self) -> io::Result<OsString> {
        let target =
            rustix::fs::readlinkat(&self.file, "", Vec::new()).map_err(|errno| named(&self.path, errno))?;
        Ok(OsString::from_vec(target.into_bytes()))
    }

    /// A regular file, for reading. Anything else is an error: a FIFO would be waited for.
    pub fn open(&self) -> io::Result<File> {
        if !self.metadata.is_file() {
            return Err(named(&self.path, io::Error::other("this is no regular file")));
        }
        File::open(opened(&self.file)).map_err(|error| named(&self.path, error))
    }

    /// As [`Self::open`], of a file that its owner may have closed to himself: it is as closed as it was afterwards.
    pub fn open_closed(&self) -> io::Result<File> {
        self.closed_too(|| self.open())
    }

    /// Tries again with the right to read where there was none, for as long as that takes.
    fn closed_too<T>(&self, read: impl Fn() -> io::Result<T>) -> io::Result<T> {
        let mode = self.metadata.mode() & 0o7777;
        match read() {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && mode & 0o400 == 0 => {
                self.set_mode(mode | 0o400)?;
                let again = read();
                self.set_mode(mode)?;
                again
            }
            done => done,
        }
    }

    /// Permission bits of a file or folder; of a link, there are none.
    pub(crate) fn set_mode(&self, mode: u32) -> io::Result<()> {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(opened(&self.file), mode).map_err(|error| named(&self.path, error))
    }

    /// What is in a folder, sorted.
    pub(crate) fn names(&self) -> io::Result<Vec<OsString>> {
        let entries = std::fs::read_dir(opened(&self.file));
        let names = entries.and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect());
        let mut names: Vec<OsString> = names.map_err(|error: io::Error| named(&self.path, error))?;
        names.sort();
        Ok(names)
    }

    /// Extended attributes of a file or folder, by their whole names, in so far as the caller may see them; none where the file system
    /// has none. Those of anything else are not looked at.
    pub fn attributes(&self) -> io::Result<BTreeMap<String, Vec<u8>>> {
        let mut attributes = BTreeMap::new();
        if !(self.metadata.is_file() || self.metadata.is_dir()) {
            return Ok(attributes);
        }
        let file = opened(&self.file);
        let names = match of_attributes(|buffer| rustix::fs::listxattr(&file, buffer)) {
            Err(Errno::OPNOTSUPP) => return Ok(attributes),
            names => names.map_err(|errno| named(&self.path, errno))?,
        };
        for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
            let value = self.closed_too(|| {
                match of_attributes(|buffer| rustix::fs::getxattr(&file, name, buffer)) {
                    // Some are listed and cannot be had.
                    Err(Errno::NODATA | Errno::PERM | Errno::OPNOTSUPP) => Ok(None),
                    value => value.map(Some).map_err(|errno| named(&self.path, errno)),
                }
            })?;
            if let Some(value) = value {
                attributes.insert(String::from_utf8_lossy(name).into_owned(), value);
            }
        }
        Ok(attributes)
    }

    fn read(&self, most: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut file = self.open()?.take(most.saturating_add(1));
        file.read_to_end(&mut bytes)
            .map_err(|error| named(&self.path, error))?;
        if bytes.len() as u64 > most {
            let text = format!("this is larger than {most} bytes");
            return Err(named(&self.path, io::Error::other(text)));
        }
        Ok(bytes)
    }
}

/// Removes a folder with all that is in it. A folder in it that is not empty moves up into it before its turn: so two are open at a time,
/// and no name is a path, however deep it is.
fn remove_folder(parent: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<()> {
    // Its owner may have closed it to himself.
    rustix::fs::chmodat(parent, name, Mode::RWXU, AtFlags::empty())?;
    let top = open_folder(parent, name)?;
    let mut moved = 0_u64;
    // All that is left in it: folders.
    let mut waiting = BTreeSet::from_iter(remove_in(top.as_fd())?);
    while let Some(next) = waiting.first().cloned() {
        let folder = open_folder(top.as_fd(), &next)?;
        for inner in remove_in(folder.as_fd())? {
            let place = loop {
                moved += 1;
                let place = CString::new(moved.to_string()).expect("a number has no NUL in it");
                if !waiting.contains(&place) {
                    break place;
                }
            };
            rustix::fs::renameat(&folder, &inner, &top, &place)?;
            waiting.insert(place);
        }
        rustix::fs::unlinkat(&top, &next, AtFlags::REMOVEDIR)?;
        waiting.remove(&next);
    }
    rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)
}

fn open_folder(parent: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}

/// Removes what is in a folder, but folders that are not empty: gives their names. Their owner may write them.
fn remove_in(folder: BorrowedFd<'_>) -> rustix::io::Result<Vec<CString>> {
    let entries = Dir::read_from(folder)?;
    let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_owned()));
    let mut left = Vec::new();
    for name in names.collect::<Result<Vec<_>, _>>()? {
        if [c".", c".."].contains(&name.as_c_str()) {
            continue;
        }
        match rustix::fs::unlinkat(folder, &name, AtFlags::empty()) {
            Err(Errno::ISDIR) => {}
            removed => {
                removed?;
                continue;
            }
        }
        match rustix::fs::unlinkat(folder, &name, AtFlags::REMOVEDIR) {
            Err(Errno::NOTEMPTY | Errno::EXIST) => {
                // Another parent is written into it.
                rustix::fs::chmodat(folder, &name, Mode::RWXU, AtFlags::empty())?;
                left.push(name);
            }
            removed => removed?,
        }
    }
    Ok(left)
}

/// What a call about attributes says: no list and no value is larger than 64 KiB (xattr(7)).
fn of_attributes(call: impl Fn(&mut [u8]) -> rustix::io::Result<usize>) -> rustix::io::Result<Vec<u8>> {
    let mut buffer = vec![0; 64 << 10];
    let length = call(&mut buffer)?;
    buffer.truncate(length);
    Ok(buffer)
}

fn opened(fd: &impl AsRawFd) -> PathBuf {
    format!("/proc/self/fd/{}", fd.as_raw_fd()).into()
}

fn named(path: &Path, error: impl Into<io::Error>) -> io::Error {
    let error = error.into();
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A folder whose links lead to another one, with all that a careless reader would take or remove there.
    fn trap() -> (tempfile::TempDir, Beneath, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let (folder, decoy) = (dir.path().join("folder"), dir.path().join("decoy"));
        for path in [&folder.join("real/in"), &decoy.join("in")] {
            fs_err::create_dir_all(path).unwrap();
            fs_err::write(path.join("file"), "text").unwrap();
        }
        symlink(&decoy, folder.join("absolute")).unwrap();
        symlink("../decoy", folder.join("relative")).unwrap();
        symlink("real", folder.join("within")).unwrap();
        symlink(decoy.join("in/file"), folder.join("link")).unwrap();
        let beneath = Beneath::open(&folder).unwrap();
        (dir, beneath, decoy)
    }

    #[test]
    fn nothing_is_found_behind_a_link() {
        let (_dir, folder, decoy) = trap();
        for link in ["absolute", "relative", "within"] {
            let file = Path::new(link).join("in/file");
            assert!(folder.find(&file).unwrap().is_none(), "{link}");
            assert!(folder.read(&file, 9).unwrap().is_none(), "{link}");
            folder.remove(&file).unwrap();
            folder.remove(&Path::new(link).join("in")).unwrap();
        }
        assert!(decoy.join("in/file").exists());
        assert!(folder.find(Path::new("/etc/passwd")).unwrap().is_none());
        assert!(folder.find(Path::new("real/../../decoy")).unwrap().is_none());
        let link = folder.find(Path::new("absolute")).unwrap().unwrap();
        assert!(link.metadata().is_symlink());
        assert_eq!(link.target().unwrap(), decoy);
        assert!(folder.read(Path::new("link"), 9).is_err(), "a link is no file");
        // As in a root: a link to a folder of it is one, and what leads out of it ends there.
        for (name, is_there) in [
            ("within/in/file", true),
            ("relative/in/file", false),
            ("absolute/in", false),
        ] {
            assert_eq!(folder.has(Path::new(name)).unwrap(), is_there, "{name}");
        }
    }

    #[test]
    fn what_is_in_the_folder_is_read_and_removed_within_bounds() {
        let (dir, folder, decoy) = trap();
        let file = Path::new("real/in/file");
        assert_eq!(folder.read(file, 4).unwrap().unwrap(), b"text");
        let error = folder.read(file, 3).unwrap_err().to_string();
        assert!(
            error.contains("real/in/file") && error.contains("larger than 3"),
            "{error}"
        );
        let fifo = dir.path().join("folder/fifo");
        rustix::fs::mknodat(
            CWD,
            &fifo,
            rustix::fs::FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        let error = folder.read(Path::new("fifo"), 9).unwrap_err().to_string();
        assert!(error.contains("no regular file"), "{error}");
        for name in ["real/in", "absolute", "fifo", "not/there"] {
            folder.remove(Path::new(name)).unwrap();
            assert!(folder.find(Path::new(name)).unwrap().is_none(), "{name}");
        }
        assert!(
            decoy.join("in/file").exists(),
            "the link went, not what it led to"
        );
    }

    #[test]
    fn attributes_and_contents_of_closed_files_are_read() {
        use rustix::fs::XattrFlags;
        let (_dir, folder, _) = trap();
        for (name, mode) in [("real/in/file", 0o000), ("real/in", 0o600), ("real", 0o755)] {
            let at = folder.path.join(name);
            rustix::fs::setxattr(&at, "user.keel", name.as_bytes(), XattrFlags::empty()).unwrap();
            let found = folder.find(Path::new(name)).unwrap().unwrap();
            found.set_mode(mode).unwrap();
            let found = folder.find(Path::new(name)).unwrap().unwrap();
            assert_eq!(found.attributes().unwrap()["user.keel"], name.as_bytes());
            if found.metadata().is_file() {
                let text = io::read_to_string(found.open_closed().unwrap()).unwrap();
                assert_eq!(text, "text");
            }
            let mode_now = fs_err::metadata(&at).unwrap().mode() & 0o7777;
            assert_eq!(mode_now, mode, "{name}");
            found.set_mode(0o700).unwrap();
        }
        let link = folder.find(Path::new("absolute")).unwrap().unwrap();
        assert!(link.attributes().unwrap().is_empty());
    }

    /// A chain of folders below `top`, each with a file and another folder in it.
    fn chain(top: &Path, depth: usize) {
        fs_err::create_dir_all(top).unwrap();
        let mut folder = OwnedFd::from(File::open(top).unwrap());
        for _ in 0..depth {
            for name in ["d", "1"] {
                rustix::fs::mkdirat(&folder, name, Mode::RWXU).unwrap();
            }
            let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
            for name in ["file", "1/file"] {
                rustix::fs::openat(&folder, name, flags, Mode::RWXU).unwrap();
            }
            folder = open_folder(folder.as_fd(), c"d").unwrap();
        }
    }

    #[test]
    fn what_is_removed_may_be_of_any_depth() {
        let (_dir, folder, decoy) = trap();
        let top = folder.path.join("real/deep");
        chain(&top, 5000);
        symlink(&decoy, top.join("link")).unwrap();
        folder.remove(Path::new("real/deep")).unwrap();
        assert!(folder.find(Path::new("real/deep")).unwrap().is_none());
        assert!(folder.has(Path::new("real/in/file")).unwrap());
        assert!(decoy.join("in/file").exists());
    }

    /// Who is root may look into every folder: there, this shows nothing.
    #[test]
    fn what_is_removed_may_be_closed_to_its_owner() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_dir, folder, _) = trap();
        let closed = folder.path.join("real/closed");
        for mode in [0o000, 0o100, 0o400, 0o500] {
            chain(&closed, 2);
            for name in ["d/1", "d", "1", ""] {
                let mode = std::fs::Permissions::from_mode(mode);
                fs_err::set_permissions(closed.join(name), mode).unwrap();
            }
            folder.remove(Path::new("real/closed")).unwrap();
            assert!(
                folder.find(Path::new("real/closed")).unwrap().is_none(),
                "{mode:o}"
            );
        }
    }
}
