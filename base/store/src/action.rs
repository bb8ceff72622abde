//! Results of actions: small JSON values under a kind and the fingerprint of all inputs.

use std::{io, path::PathBuf};

use keel_artefact::Sha256;
use serde::{Serialize, de::DeserializeOwned};

use crate::{Error, Store, write_atomically};

impl Store {
    /// The recorded result of the action, if there is one that this program can read. A record of another shape, or a
    /// damaged one, counts as absent: the action runs again.
    pub fn action<T: DeserializeOwned>(&self, kind: &str, key: &Sha256) -> Result<Option<T>, Error> {
        let place = self.record_place(kind, key);
        let bytes = match fs_err::read(&place) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let Ok(value) = serde_json::from_slice(&bytes) else {
            return Ok(None);
        };
        touch(&place)?;
        Ok(Some(value))
    }

    /// Records the result of the action.
    pub fn record(&self, kind: &str, key: &Sha256, value: &impl Serialize) -> Result<(), Error> {
        let bytes = serde_json::to_vec(value).map_err(|source| Error::Encode {
            kind: kind.to_owned(),
            key: *key,
            source,
        })?;
        let place = self.record_place(kind, key);
        if let Some(folder) = place.parent() {
            fs_err::create_dir_all(folder)?;
        }
        write_atomically(&self.dir().join("tmp"), &place, &bytes)
    }

    /// Forgets the result, if there is one.
    pub fn forget(&self, kind: &str, key: &Sha256) -> Result<(), Error> {
        match fs_err::remove_file(self.record_place(kind, key)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn record_place(&self, kind: &str, key: &Sha256) -> PathBuf {
        debug_assert!(
            !kind.contains(['/', '.']),
            "the kind of an action is a plain word"
        );
        let hex = key.to_hex();
        self.dir()
            .join("actions")
            .join(kind)
            .join(&hex[..2])
            .join(format!("{}.json", &hex[2..]))
    }
}

/// Marks a file or folder as used now, for [`crate::gc`].
pub(crate) fn touch(path: &std::path::Path) -> Result<(), Error> {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, utimensat};
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: UTIME_NOW,
    };
    let times = Timestamps {
        last_access: now,
        last_modification: now,
    };
    match utimensat(CWD, path, &times, AtFlags::empty()) {
        // A store that is shared read-only, or garbage-collected meanwhile, is still good for reading.
        Ok(()) | Err(rustix::io::Errno::ACCESS | rustix::io::Errno::ROFS | rustix::io::Errno::NOENT) => {
            Ok(())
        }
        Err(errno) => Err(io::Error::from(errno).into()),
    }
}
