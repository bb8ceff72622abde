//! A folder of its own for a program in a sandbox, beside the file that it makes: nothing else is in its reach.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use keel_sandbox::Bind;

use crate::{Error, Program};

/// The folder; it goes with all that is in it.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    /// A new folder beside `image`, which is to be made by `program`.
    pub(crate) fn beside(image: &Path, program: Program) -> Result<Self, Error> {
        let (Some(folder), Some(name)) = (image.parent(), image.file_name()) else {
            return Err(Error::Request {
                program: program.name(),
                why: format!("{} is no file", image.display()),
            });
        };
        let mut hidden = OsString::from(".");
        hidden.push(name);
        hidden.push(".mkfs");
        let path = folder.join(hidden);
        // Left by a killed run.
        keel_store::temp::remove_all(&path)?;
        fs_err::create_dir(&path)?;
        keel_sandbox::hand_over(&path)?;
        Ok(Self(path))
    }

    /// The folder as `/tmp/out` of a sandbox.
    pub(crate) fn bind(&self) -> Bind {
        bind(&self.0, "/tmp/out", true)
    }

    /// Gives the file `image` of the folder its own name.
    pub(crate) fn show(&self, image: &Path) -> Result<(), Error> {
        let made = self.0.join("image");
        keel_sandbox::take_back(&made)?;
        fs_err::rename(made, image)?;
        Ok(())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is removed by the next run with this image.
        let _ = keel_store::temp::remove_all(&self.0);
    }
}

/// A file or folder of the host, in a sandbox.
pub(crate) fn bind(host: &Path, guest: &str, writable: bool) -> Bind {
    Bind {
        host: host.to_owned(),
        guest: guest.parse().expect("a constant root path"),
        writable,
    }
}
