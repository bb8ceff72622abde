//! Files of a folder that somebody else may have filled: what is opened is a regular file of that folder, and nothing that waits,
//! never ends, or lies elsewhere.

use std::{fs::File, path::Path};

use keel_artefact::Sha256;
use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};

use super::container::{self, Container};
use crate::{Error, error::At};

/// Opens the regular file `path`; or says what else is there. Neither a link is followed nor a FIFO waited for.
pub(super) fn open(path: &Path) -> Result<Result<File, String>, Error> {
    let wrong = |what: &str| Ok(Err(what.to_owned()));
    match fs_err::symlink_metadata(path) {
        Ok(there) if there.is_symlink() => return wrong("it is a symbolic link, and should be a file"),
        Ok(there) if !there.is_file() => return wrong("it is no regular file, and should be one"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return wrong("it is missing"),
        _ => {}
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => Ok(Ok(File::from(file))),
        Err(Errno::NOENT) => wrong("it is missing"),
        Err(Errno::LOOP) => wrong("it is a symbolic link, and should be a file"),
        Err(error) => Err(std::io::Error::from(error)).at("read", path.display()),
    }
}

/// Is there a folder of that name, and no link to one?
pub(super) fn is_folder(path: &Path) -> bool {
    fs_err::symlink_metadata(path).is_ok_and(|there| there.is_dir())
}

/// What is wrong with a file that should have this digest; of a `container` in a folder, its manifest should.
pub(crate) fn wrong_with(
    path: &Path,
    digest: &Sha256,
    container: Option<Container<'_>>,
) -> Result<Option<String>, Error> {
    if let Some(container) = container {
        return Ok(container::check(path, digest, container).err());
    }
    let file = match open(path)? {
        Ok(file) => file,
        Err(what) => return Ok(Some(what)),
    };
    let (found, _) = Sha256::of_reader(file).at("read", path.display())?;
    Ok((found != *digest).then(|| format!("its digest is {found}, and should be {digest}")))
}
