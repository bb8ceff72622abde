//! Mount points that the layers lack: made in a layer of their own on top, in memory, so that neither the lowers nor an
//! upper folder get them.

use std::{
    collections::BTreeSet,
    io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use keel_artefact::RootPath;
use rustix::{
    fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, Uid},
    io::Errno,
};

use crate::{
    mounts::{Place, QUIET, What, fd_path, open_folder, open_in},
    wire::{Failure, Step},
};

/// A small file system in memory, in this namespace only: mount points live here.
pub(crate) struct Scratch {
    base: PathBuf,
    owner: u32,
}

impl Scratch {
    pub(crate) fn mount(owner: u32) -> Result<Self, Failure> {
        let candidates = ["/tmp", "/mnt", "/run", "/var/tmp", "/media"].map(Path::new);
        let base = candidates.into_iter().find(|folder| folder.is_dir());
        let base = base
            .ok_or(io::Error::from_raw_os_error(nix::libc::ENOENT))
            .step(|| "find /tmp".into())?;
        rustix::mount::mount("tmpfs", base, "tmpfs", QUIET, Some(c"mode=0755"))
            .step(|| "mount a tmpfs".into())?;
        let new = Self {
            base: base.to_owned(),
            owner,
        };
        for folder in [new.root(), new.base.join("skeleton")] {
            make_folder(CWD, &folder, 0o755, owner).step(|| format!("make {}", folder.display()))?;
        }
        Ok(new)
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.base.join("root")
    }

    /// A layer with the mount points that the mounted root lacks; none if it lacks none. Folders on the way there get
    /// the mode that they have in the root, since this layer will be on top.
    pub(crate) fn skeleton(&self, places: &[Place]) -> Result<Option<OwnedFd>, Failure> {
        let root = open_folder(&self.root())?;
        let skeleton = open_folder(&self.base.join("skeleton"))?;
        let mut used = false;
        let covered: BTreeSet<&RootPath> = places.iter().map(|place| &place.at).collect();
        for place in places {
            let at = &place.at;
            if ancestors(at).iter().any(|above| covered.contains(above)) {
                continue; // Its mount point is in another mount: made there, or there already.
            }
            match open_in(&root, at, OFlags::PATH) {
                Ok(found) => {
                    let mode = rustix::fs::fstat(&found)
                        .step(|| format!("look at {at}"))?
                        .st_mode;
                    if FileType::from_raw_mode(mode).is_dir() != place.is_folder {
                        let errno = if place.is_folder {
                            Errno::NOTDIR
                        } else {
                            Errno::ISDIR
                        };
                        return Err(errno).step(|| format!("mount {at} on what is in the root"));
                    }
                }
                Err(Errno::NOENT) => {
                    self.add(&root, &skeleton, at, place.is_folder)
                        .step(|| format!("make the mount point {at}"))?;
                    used = true;
                }
                Err(errno) => return Err(errno).step(|| format!("find the mount point {at}")),
            }
        }
        if used {
            let mode = rustix::fs::fstat(&root)
                .step(|| "look at the root".into())?
                .st_mode;
            rustix::fs::chmodat(
                &skeleton,
                ".",
                Mode::from_raw_mode(mode & 0o7777),
                AtFlags::empty(),
            )
            .step(|| "set the mode of the root".into())?;
        }
        Ok(used.then_some(skeleton))
    }

    fn add(
        &self,
        root: &OwnedFd,
        skeleton: &OwnedFd,
        at: &RootPath,
        is_folder: bool,
    ) -> rustix::io::Result<()> {
        // Where the longest existing part of the path really is, symbolic links followed inside the root.
        let mut existing = at.parent().unwrap_or_else(RootPath::root);
        let found = loop {
            match open_in(root, &existing, OFlags::DIRECTORY | OFlags::PATH) {
                Ok(found) => break found,
                Err(Errno::NOENT) => existing = existing.parent().ok_or(Errno::NOENT)?,
                Err(errno) => return Err(errno),
            }
        };
        let link = rustix::fs::readlink(fd_path(&found), Vec::new())?;
        let link = PathBuf::from(link.into_string().map_err(|_| Errno::ILSEQ)?);
        let real = link
            .strip_prefix(self.root())
            .map_err(|_| Errno::XDEV)?
            .to_owned();
        let rest = at.as_str()[existing.as_str().len()..].trim_start_matches('/');
        let wanted = real.join(rest);
        let mut here = PathBuf::new();
        for part in wanted.parent().unwrap_or(Path::new("")).components() {
            here.push(part);
            let mode = match rustix::fs::statat(root, &here, AtFlags::SYMLINK_NOFOLLOW) {
                // Not a link that leads nowhere: a folder in its place would hide it.
                Ok(stat) if !FileType::from_raw_mode(stat.st_mode).is_dir() => return Err(Errno::NOTDIR),
                Ok(stat) => stat.st_mode & 0o7777,
                Err(_) => 0o755,
            };
            make_folder(skeleton, &here, mode, self.owner)?;
        }
        if rustix::fs::statat(root, &wanted, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
            return Err(Errno::EXIST);
        }
        if is_folder {
            make_folder(skeleton, &wanted, 0o755, self.owner)
        } else {
            make_file(skeleton, &wanted)
        }
    }
}

/// Is the mount that the path lies in one of our empty ones? `places` are sorted, so the last match is the nearest.
pub(crate) fn is_in_memory(places: &[Place], at: &RootPath) -> bool {
    let above = ancestors(at);
    let nearest = places.iter().rfind(|place| above.contains(&place.at));
    nearest.is_some_and(|place| matches!(place.what, What::Tmpfs { .. }))
}

/// Makes a mount point, and the folders on the way to it, in the mounted root.
pub(crate) fn make_in(root: &OwnedFd, place: &Place, owner: u32) -> rustix::io::Result<()> {
    let mut above = ancestors(&place.at);
    above.reverse();
    let (folders, file) = if place.is_folder {
        (Some(&place.at), None)
    } else {
        (None, Some(&place.at))
    };
    for folder in above.iter().chain(folders) {
        if let (Err(Errno::NOENT), Some(parent)) = (open_in(root, folder, OFlags::PATH), folder.parent()) {
            let parent = open_in(root, &parent, OFlags::PATH | OFlags::DIRECTORY)?;
            make_folder(&parent, Path::new(folder.file_name()), 0o755, owner)?;
        }
    }
    if let (Some(file), Some(parent)) = (file, place.at.parent()) {
        make_file(
            &open_in(root, &parent, OFlags::PATH | OFlags::DIRECTORY)?,
            Path::new(file.file_name()),
        )?;
    }
    Ok(())
}

/// All folders above a path but the root.
fn ancestors(path: &RootPath) -> Vec<RootPath> {
    std::iter::successors(path.parent(), RootPath::parent)
        .filter(|above| above.as_str() != "/")
        .collect()
}

fn make_folder(at: impl AsFd, path: &Path, mode: u32, owner: u32) -> rustix::io::Result<()> {
    match rustix::fs::mkdirat(&at, path, Mode::from_raw_mode(0o700)) {
        Ok(()) => {}
        Err(Errno::EXIST) => return Ok(()),
        Err(errno) => return Err(errno),
    }
    rustix::fs::chownat(
        &at,
        path,
        Some(Uid::from_raw(owner)),
        Some(Gid::from_raw(owner)),
        AtFlags::empty(),
    )?;
    rustix::fs::chmodat(&at, path, Mode::from_raw_mode(mode), AtFlags::empty())
}

pub(crate) fn make_file(at: &OwnedFd, path: &Path) -> rustix::io::Result<()> {
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
    rustix::fs::openat(at, path, flags, Mode::from_raw_mode(0o666)).map(drop)
}
