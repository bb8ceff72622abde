//! Objects: files named by the SHA-256 of their bytes, read-only, two levels deep.

use std::{
    io::{self, Read, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use keel_artefact::Sha256;

use crate::{Error, Store, action::touch, temp};

impl Store {
    /// Stores `bytes`.
    pub fn put_bytes(&self, bytes: &[u8]) -> Result<Sha256, Error> {
        let digest = Sha256::of(bytes);
        if self.object(&digest).is_err() {
            let temporary = self.temp_file("object");
            let written = fs_err::write(&temporary, bytes);
            self.keep(&temporary, &digest, written)?;
        }
        Ok(digest)
    }

    /// Stores all that `reader` gives; also says how many bytes that was.
    pub fn put_reader(&self, mut reader: impl Read) -> Result<(Sha256, u64), Error> {
        let temporary = self.temp_file("object");
        let mut copy = || -> io::Result<(Sha256, u64)> {
            let file = fs_err::File::create(&temporary)?;
            let mut tee = Tee {
                reader: &mut reader,
                file,
            };
            Sha256::of_reader(&mut tee)
        };
        match copy() {
            Ok((digest, size)) => {
                self.keep(&temporary, &digest, Ok(()))?;
                Ok((digest, size))
            }
            Err(error) => {
                let _ = fs_err::remove_file(&temporary);
                Err(error.into())
            }
        }
    }

    /// Stores a copy of the file at `path`.
    pub fn put_file(&self, path: &Path) -> Result<Sha256, Error> {
        Ok(self.put_reader(fs_err::File::open(path)?)?.0)
    }

    /// Moves the finished file at `path` (on the store's file system, e.g. in a [`Store::temp_dir`]) into the store.
    pub fn adopt(&self, path: &Path) -> Result<(Sha256, u64), Error> {
        let (digest, size) = Sha256::of_reader(fs_err::File::open(path)?)?;
        self.keep(path, &digest, Ok(()))?;
        Ok((digest, size))
    }

    /// Is the object here? (Its bytes are checked when it is read.)
    pub fn contains(&self, digest: &Sha256) -> bool {
        self.place(digest).is_file()
    }

    /// The file that holds the object: read-only, and never to be written. It counts as used now.
    pub fn object(&self, digest: &Sha256) -> Result<PathBuf, Error> {
        let place = self.place(digest);
        if place.is_file() {
            touch(&place)?;
            Ok(place)
        } else {
            Err(Error::Missing(*digest))
        }
    }

    /// The object's bytes, checked against its digest. A damaged object is removed, so that it can be made again.
    pub fn read(&self, digest: &Sha256) -> Result<Vec<u8>, Error> {
        let place = self.object(digest)?;
        let bytes = fs_err::read(&place)?;
        let found = Sha256::of(&bytes);
        if found == *digest {
            return Ok(bytes);
        }
        fs_err::remove_file(&place)?;
        Err(Error::Damaged {
            expected: *digest,
            found,
        })
    }

    /// Checks the object's bytes against its digest. A damaged object is removed, so that it can be made again.
    pub fn verify(&self, digest: &Sha256) -> Result<(), Error> {
        let place = self.object(digest)?;
        let (found, _) = Sha256::of_reader(fs_err::File::open(&place)?)?;
        if found == *digest {
            return Ok(());
        }
        fs_err::remove_file(&place)?;
        Err(Error::Damaged {
            expected: *digest,
            found,
        })
    }

    /// Copies the object to `target`, which must not exist, sharing blocks where the file system can. What was copied is read back:
    /// of a damaged object there is no copy.
    pub fn copy_object(&self, digest: &Sha256, target: &Path) -> Result<(), Error> {
        // `std::fs::copy` reflinks through copy_file_range where possible.
        fs_err::copy(self.object(digest)?, target)?;
        if Sha256::of_file(target)?.0 != *digest {
            fs_err::remove_file(target)?;
            self.verify(digest)?;
            return Err(
                std::io::Error::other(format!("{} changed while it was copied", target.display())).into(),
            );
        }
        Ok(fs_err::set_permissions(
            target,
            std::fs::Permissions::from_mode(0o644),
        )?)
    }

    pub(crate) fn place(&self, digest: &Sha256) -> PathBuf {
        let hex = digest.to_hex();
        self.dir().join("objects").join(&hex[..2]).join(&hex[2..])
    }

    fn temp_file(&self, purpose: &str) -> PathBuf {
        self.dir().join("tmp").join(temp::unique_name(purpose))
    }

    /// Gives the file at `temporary` its final name, unless writing it failed.
    fn keep(&self, temporary: &Path, digest: &Sha256, written: io::Result<()>) -> Result<(), Error> {
        let finish = || -> io::Result<()> {
            written?;
            let file = fs_err::File::open(temporary)?;
            file.sync_all()?;
            file.set_permissions(std::fs::Permissions::from_mode(0o444))?;
            let place = self.place(digest);
            if let Some(folder) = place.parent() {
                fs_err::create_dir_all(folder)?;
            }
            fs_err::rename(temporary, place)
        };
        finish().map_err(|error| {
            let _ = fs_err::remove_file(temporary);
            error.into()
        })
    }
}

/// Writes what it reads into a file.
struct Tee<'a, R> {
    reader: &'a mut R,
    file: fs_err::File,
}

impl<R: Read> Read for Tee<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.reader.read(buffer)?;
        self.file.write_all(&buffer[..n])?;
        Ok(n)
    }
}
