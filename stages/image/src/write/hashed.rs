//! Counts and hashes what is written through it.

use std::io::{self, Write};

use keel_artefact::Sha256;
use sha2::Digest as _;

/// A writer that knows what went through.
pub(crate) struct Hashed<W> {
    inner: W,
    hasher: sha2::Sha256,
    size: u64,
}

impl<W> Hashed<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self {
            inner,
            hasher: sha2::Sha256::new(),
            size: 0,
        }
    }

    /// The writer behind it, and the digest and number of the bytes that it got.
    pub(crate) fn done(self) -> (W, Sha256, u64) {
        let digest = <[u8; 32]>::from(self.hasher.finalize());
        (self.inner, Sha256::from(digest), self.size)
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..n]);
        self.size += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
