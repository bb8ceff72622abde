//! A tree as files of the host.

use std::{io, os::unix::fs::PermissionsExt, path::Path};

use keel_artefact::{Interrupt, RootPath};
use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps};

use crate::{
    Error,
    error::{At, check},
    tree::{Kind, Node, Tree},
};

/// Writes all but devices into the new folder `to`, as the caller's: contents, permissions, times and links. No file system needs to take
/// attributes or owners.
pub(super) fn lay(tree: &Tree, to: &Path, interrupt: &Interrupt) -> Result<(), Error> {
    for (path, node) in tree.nodes() {
        check(interrupt)?;
        let place = path.under(to);
        let parent = path.parent().and_then(|parent| tree.get(&parent));
        if parent.is_some_and(|parent| !matches!(parent.kind, Kind::Dir)) {
            // On the host, it would lie where a link of the image leads.
            let error = io::Error::other("what it is in is no folder");
            return Err(error).at("write", path);
        }
        write(tree, node, &place).at("write", path)?;
    }
    // What is written into a folder changes its time, and may be forbidden.
    for (path, node) in tree.nodes().iter().rev() {
        if matches!(node.kind, Kind::Dir) {
            let place = path.under(to);
            finish(node, &place).at("write", path)?;
        }
    }
    Ok(())
}

/// Gives a folder the permissions of the tree's root.
pub(super) fn root_mode(tree: &Tree, folder: &Path) -> Result<(), Error> {
    let mode = tree.get(&RootPath::root()).map_or(0o755, |root| root.mode);
    fs_err::set_permissions(folder, PermissionsExt::from_mode(mode)).at("write", folder.display())
}

fn write(tree: &Tree, node: &Node, place: &Path) -> io::Result<()> {
    match &node.kind {
        Kind::Dir => return fs_err::create_dir(place),
        Kind::File(file) => {
            let mut to = fs_err::OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(place)?;
            io::copy(&mut tree.open(file), &mut to)?;
        }
        Kind::Symlink(target) => fs_err::os::unix::fs::symlink(target, place)?,
        Kind::Fifo => rustix::fs::mknodat(CWD, place, FileType::Fifo, Mode::RWXU, 0)?,
        Kind::CharDevice { .. } | Kind::BlockDevice { .. } => return Ok(()),
    }
    finish(node, place)
}

fn finish(node: &Node, place: &Path) -> io::Result<()> {
    if !matches!(node.kind, Kind::Symlink(_)) {
        fs_err::set_permissions(place, PermissionsExt::from_mode(node.mode))?;
    }
    let time = Timespec {
        tv_sec: i64::try_from(node.mtime).unwrap_or(i64::MAX),
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    Ok(rustix::fs::utimensat(
        CWD,
        place,
        &times,
        AtFlags::SYMLINK_NOFOLLOW,
    )?)
}
