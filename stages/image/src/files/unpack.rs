//! Compressed files, unpacked into a file without a name: they are read here and there then.

use std::{
    fs::File,
    io::{self, BufReader, Read, Write as _},
    os::unix::fs::FileExt as _,
    path::Path,
};

use keel_artefact::Interrupt;

use super::error::damaged;

/// The most bytes that one file is unpacked to.
pub(super) const MOST: u64 = 256 << 30;
/// The most memory that a decoder of xz may take.
const MEMORY: u64 = 256 << 20;

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Gzip,
    Zstd,
    Xz,
}

impl Method {
    /// Its name.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
        }
    }
}

/// By the first bytes.
pub(crate) fn method(head: &[u8]) -> Option<Method> {
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

/// What `reader` gives, unpacked.
pub(crate) fn reader<'a>(reader: impl Read + 'a, method: Option<Method>) -> io::Result<Box<dyn Read + 'a>> {
    let reader = BufReader::with_capacity(1 << 18, reader);
    Ok(match method {
        None => Box::new(reader),
        Some(Method::Gzip) => Box::new(flate2::bufread::MultiGzDecoder::new(reader)),
        Some(Method::Zstd) => Box::new(zstd::Decoder::with_buffer(reader)?),
        Some(Method::Xz) => {
            let stream = liblzma::stream::Stream::new_stream_decoder(MEMORY, liblzma::stream::CONCATENATED)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(reader, stream))
        }
    })
}

/// Everything that `reader` gives, unpacked, in a file without a name.
pub(super) fn unpack(
    packed: impl Read,
    method: Option<Method>,
    scratch: &Path,
    interrupt: &Interrupt,
) -> io::Result<File> {
    fill(&mut reader(packed, method)?, MOST, scratch, interrupt)
}

/// What begins at byte `at` of `file`, unpacked up to its own end, after which something else may follow, and to `most` bytes; and
/// where it ends.
pub(super) fn unpack_one(
    file: &File,
    at: u64,
    method: Method,
    most: u64,
    scratch: &Path,
    interrupt: &Interrupt,
) -> io::Result<(File, u64)> {
    let mut packed = BufReader::with_capacity(1 << 18, Tail { file, at });
    let unpacked = fill(&mut one(&mut packed, method)?, most, scratch, interrupt)?;
    Ok((unpacked, packed.get_ref().at - packed.buffer().len() as u64))
}

/// The first bytes of what a packed file begins with.
pub(super) fn first_bytes(file: &File, method: Method, most: u64) -> io::Result<Vec<u8>> {
    let mut packed = BufReader::new(Tail { file, at: 0 });
    let mut bytes = Vec::new();
    one(&mut packed, method)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// One frame, member or stream of a method.
fn one<'a>(packed: &'a mut BufReader<Tail<'_>>, method: Method) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match method {
        Method::Gzip => Box::new(flate2::bufread::GzDecoder::new(packed)),
        Method::Zstd => Box::new(zstd::Decoder::with_buffer(packed)?.single_frame()),
        Method::Xz => {
            let stream = liblzma::stream::Stream::new_stream_decoder(MEMORY, 0)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(packed, stream))
        }
    })
}

/// A file from some byte on, wherever others read it.
struct Tail<'a> {
    file: &'a File,
    at: u64,
}

impl Read for Tail<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(buffer, self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

fn fill(reader: &mut dyn Read, most: u64, scratch: &Path, interrupt: &Interrupt) -> io::Result<File> {
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
        if length > most {
            return Err(damaged(format!("it unpacks to more than {MOST} bytes")));
        }
        file.write_all(&buffer[..n])?;
    }
}
