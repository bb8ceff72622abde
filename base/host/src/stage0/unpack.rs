//! Unpacks the root's archive as it comes, as any user: no owners, devices, set-id bits or attributes, every folder
//! enterable and every file readable. Package lists are read on the way and not written.

use std::{
    collections::HashSet,
    io::{self, Read},
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt, fs::symlink},
    path::{Component, Path, PathBuf},
    time::{Duration, SystemTime},
};

use tar::{Archive, EntryType};

use super::debs::Index;
use crate::Error;

/// Unpacks into the empty folder `into`, and tells which packages it saw.
pub(crate) fn unpack(archive: &mut dyn Read, into: &Path) -> Result<Index, Error> {
    let mut index = Index::default();
    let mut unpacker = Unpacker {
        into,
        folders: HashSet::from([PathBuf::new()]),
    };
    for entry in Archive::new(archive).entries()? {
        let mut entry = entry?;
        let path = inside(&entry.path()?)?;
        if path.starts_with("var/lib/apt/lists") {
            if path.as_os_str().as_bytes().ends_with(b"_Packages") {
                index.read_list(&mut entry)?;
            }
            continue;
        }
        unpacker.add(&path, &mut entry)?;
        if path == Path::new("var/lib/dpkg/status") {
            index.read_status(fs_err::File::open(into.join(path))?)?;
        }
    }
    Ok(index)
}

struct Unpacker<'a> {
    into: &'a Path,
    /// Folders made here: nothing is written through anything else, a link of the archive say.
    folders: HashSet<PathBuf>,
}

impl Unpacker<'_> {
    fn add<R: Read>(&mut self, path: &Path, entry: &mut tar::Entry<'_, R>) -> Result<(), Error> {
        let unusable = |why: &str| Error::Unpack {
            path: path.to_owned(),
            why: why.to_owned(),
        };
        let target = self.into.join(path);
        let kind = entry.header().entry_type();
        let mode = entry.header().mode()? & 0o777;
        if kind == EntryType::Directory {
            if self.folders.insert(path.to_owned()) {
                self.check_parent(path)?;
                fs_err::create_dir(&target)?;
            }
            fs_err::set_permissions(&target, PermissionsExt::from_mode(mode | 0o755))?;
            return Ok(());
        }
        self.check_parent(path)?;
        match kind {
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let time = SystemTime::UNIX_EPOCH + Duration::from_secs(entry.header().mtime()?);
                let mut file = fs_err::File::create_new(&target)?;
                io::copy(entry, &mut file)?;
                file.set_permissions(PermissionsExt::from_mode(mode | 0o644))?;
                // Python's compiled files name the time of their sources.
                file.file()
                    .set_times(std::fs::FileTimes::new().set_modified(time))?;
            }
            EntryType::Symlink => {
                let link = entry.link_name()?.ok_or_else(|| unusable("a link to nowhere"))?;
                symlink(link, &target)?;
            }
            EntryType::Link => {
                let link = entry.link_name()?.ok_or_else(|| unusable("a link to nowhere"))?;
                let link = inside(&link)?;
                self.check_parent(&link)?;
                fs_err::hard_link(self.into.join(link), &target)?;
            }
            // Devices and sockets: a sandbox has its own.
            EntryType::Block | EntryType::Char | EntryType::Fifo => {}
            _ => return Err(unusable("an entry of unknown kind")),
        }
        Ok(())
    }

    fn check_parent(&self, path: &Path) -> Result<(), Error> {
        if path.parent().is_some_and(|parent| self.folders.contains(parent)) {
            Ok(())
        } else {
            Err(Error::Unpack {
                path: path.to_owned(),
                why: "its folder is not in the archive before it".to_owned(),
            })
        }
    }
}

/// A path of the archive relative to the root. `./` is dropped; `..` is refused.
fn inside(path: &Path) -> Result<PathBuf, Error> {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                return Err(Error::Unpack {
                    path: path.to_owned(),
                    why: "it leads out of the root".to_owned(),
                });
            }
        }
    }
    Ok(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(entries: &[(&str, EntryType, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, kind, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_mode(0o4700);
            header.set_mtime(1_000_000);
            // By hand: the crate refuses to write what is tested here.
            header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
            let mut body = content.as_bytes();
            if matches!(kind, EntryType::Symlink | EntryType::Link) {
                header.set_link_name_literal(content).unwrap();
                body = b"";
            }
            header.set_size(body.len() as u64);
            header.set_cksum();
            builder.append(&header, body).unwrap();
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn a_root_is_unpacked_without_owners_and_devices() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = archive(&[
            ("./", EntryType::Directory, ""),
            ("./bin", EntryType::Symlink, "usr/bin"),
            ("./usr/", EntryType::Directory, ""),
            ("./usr/x", EntryType::Regular, "content"),
            ("./usr/y", EntryType::Link, "./usr/x"),
            ("./usr/null", EntryType::Char, ""),
        ]);
        unpack(&mut bytes.as_slice(), folder.path()).unwrap();
        let metadata = fs_err::metadata(folder.path().join("usr/x")).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o7777, 0o744);
        assert_eq!(
            metadata.modified().unwrap(),
            SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000)
        );
        assert_eq!(
            fs_err::read_to_string(folder.path().join("usr/y")).unwrap(),
            "content"
        );
        assert!(!folder.path().join("usr/null").exists());
    }

    #[test]
    fn nothing_is_written_outside() {
        for entries in [
            &[("../x", EntryType::Regular, "")][..],
            &[
                ("out", EntryType::Symlink, "/tmp"),
                ("out/keel-escaped", EntryType::Regular, "x"),
            ],
            &[
                ("out", EntryType::Symlink, "/tmp"),
                ("out", EntryType::Regular, "x"),
            ],
            &[("a", EntryType::Link, "../../etc/passwd")],
            &[
                ("out", EntryType::Symlink, "/etc"),
                ("a", EntryType::Link, "out/passwd"),
            ],
            &[("nowhere/x", EntryType::Regular, "x")],
        ] {
            let folder = tempfile::tempdir().unwrap();
            let bytes = archive(entries);
            assert!(
                unpack(&mut bytes.as_slice(), folder.path()).is_err(),
                "{entries:?}"
            );
            assert!(!Path::new("/tmp/keel-escaped").exists());
        }
    }
}
