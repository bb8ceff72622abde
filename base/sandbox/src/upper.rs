//! What a sandbox changed of its root: its `upper` folder, read as overlayfs wrote it
//! (<https://docs.kernel.org/filesystems/overlayfs.html>, "whiteouts and opaque directories").
//!
//! What is in there is in the place of what the lowers have; a device with the number 0 stands for what is there no more; of a
//! folder with the attribute `overlay.opaque`, nothing of the lowers is seen. Nothing is read through a link ([`Beneath`]).

use std::{
    ffi::OsString,
    io,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use crate::{
    beneath::{Beneath, Found},
    identity::Identity,
};

/// What became of one name.
#[derive(Debug)]
pub enum Change<'a> {
    /// It is gone, with all that was in it.
    Gone,
    /// It is a folder; what is in it follows.
    Folder {
        /// Its permissions and attributes.
        found: &'a Found,
        /// Of what the lowers have in it, there is nothing any more.
        is_opaque: bool,
    },
    /// It is anything else: itself, with what is in it.
    Other(&'a Found),
}

/// Shows what is in the folder `upper` of a sandbox that has ended: folders before what is in them, names in order, the root first (as an
/// empty path). What `visit` says false to is not looked into.
///
/// What belongs to the overlay itself is not shown; permissions are as the sandbox left them, before and after.
pub fn changes<E: From<io::Error>>(
    upper: &Path,
    visit: &mut dyn FnMut(&Path, Change<'_>) -> Result<bool, E>,
) -> Result<(), E> {
    let mark = match Identity::of_caller() {
        Identity::FromRoot { .. } => "trusted.overlay.opaque",
        Identity::Caller { .. } => "user.overlay.opaque",
    };
    let upper = Beneath::open(upper)?;
    // Folders that their owner closed to himself, and their permissions.
    let mut closed: Vec<(PathBuf, u32)> = Vec::new();
    let mut waiting = vec![PathBuf::new()];
    while let Some(path) = waiting.pop() {
        let place = match path.as_os_str().is_empty() {
            true => Path::new("."),
            false => &path,
        };
        let Some(found) = upper.find(place)? else {
            continue; // Nobody else writes there.
        };
        let kind = found.metadata().file_type();
        if kind.is_char_device() && found.metadata().rdev() == 0 {
            visit(&path, Change::Gone)?;
        } else if kind.is_dir() {
            let is_opaque = found.attributes()?.get(mark).is_some_and(|value| value == b"y");
            let change = Change::Folder {
                found: &found,
                is_opaque,
            };
            if visit(&path, change)? {
                let names = names(&found, &path, &mut closed)?;
                waiting.extend(names.into_iter().rev().map(|name| path.join(name)));
            }
        } else {
            visit(&path, Change::Other(&found))?;
        }
    }
    for (path, mode) in closed.into_iter().rev() {
        if let Some(found) = upper.find(&path)? {
            found.set_mode(mode)?;
        }
    }
    Ok(())
}

/// What is in a folder, which is opened for its owner if he closed it.
fn names(found: &Found, path: &Path, closed: &mut Vec<(PathBuf, u32)>) -> io::Result<Vec<OsString>> {
    let mode = found.metadata().mode() & 0o7777;
    if mode & 0o500 != 0o500 {
        found.set_mode(mode | 0o500)?;
        closed.push((path.to_owned(), mode));
    }
    found.names()
}
