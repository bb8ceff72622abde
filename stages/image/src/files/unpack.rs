//! Compressed files, unpacked into a file without a name: they are read here and there then.

use std::{
    fs::File,
    io::{self, BufReader, Read, Write as _},
    path::Path,
};

use keel_artefact::Interrupt;

use super::error::damaged;

/// The most bytes that one file is unpacked to.
const MOST: u64 = 256 << 30;
/// The most memory that a decoder of xz may take.
const MEMORY: u64 = 256 << 20;

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Gzip,
    Zstd,
    Xz,
}

/// By the first bytes.
pub(super) fn method(head: &[u8]) -> Option<Method> {
    match head {
        [0x1f, 0x8b, 8, ..] => Some(Method::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Method::Zstd),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Method::Xz),
        _ => None,
    }
}

/// A file on the file system of the folder `scratch` that is gone when it is closed.
pub(super) fn nameless(scratch: &Path) -> io::Result<File> {
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::TMPFILE | rustix::fs::OFlags::CLOEXEC;
    let file = rustix::fs::openat(
        rustix::fs::CWD,
        scratch,
        flags,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
    )?;
    Ok(File::from(file))
}

/// Everything that `reader` gives, unpacked, in a file without a name.
pub(super) fn unpack(
    reader: impl Read,
    method: Option<Method>,
    scratch: &Path,
    interrupt: &Interrupt,
) -> io::Result<File> {
    let reader = BufReader::with_capacity(1 << 18, reader);
    let mut reader: Box<dyn Read + '_> = match method {
        None => Box::new(reader),
        Some(Method::Gzip) => Box::new(flate2::bufread::MultiGzDecoder::new(reader)),
        Some(Method::Zstd) => Box::new(zstd::Decoder::with_buffer(reader)?),
        Some(Method::Xz) => {
            let stream = liblzma::stream::Stream::new_stream_decoder(MEMORY, liblzma::stream::CONCATENATED)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(reader, stream))
        }
    };
    let mut file = nameless(scratch)?;
    let (mut buffer, mut length) = (vec![0; 1 << 18], 0);
    loop {
        interrupt.check().map_err(io::Error::other)?;
        let n = match reader.read(&mut buffer) {
            Ok(0) => return Ok(file),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(damaged(format!("it cannot be unpacked: {error}"))),
        };
        length += n as u64;
        if length > MOST {
            return Err(damaged(format!("it unpacks to more than {MOST} bytes")));
        }
        file.write_all(&buffer[..n])?;
    }
}
