//! The payload of a package, streamed file by file, each held against the header.

use std::{
    collections::{HashMap, HashSet},
    io::{self, BufRead, Read},
    path::Path,
};

use keel_artefact::{RootPath, Sha256};
use sha2::Digest as _;

use crate::{
    Error, Fault, FileInfo, FileKind, PackageInfo,
    cpio::{Archive, Member},
    info,
};

/// How much a package may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Files in the header.
    pub files: u64,
    /// Bytes of content, unpacked.
    pub bytes: u64,
}

impl Default for Limits {
    /// A million files, 64 GiB.
    fn default() -> Self {
        Self {
            files: 1_000_000,
            bytes: 64 << 30,
        }
    }
}

/// Calls `each` for every file in the payload of the package at `path`, with a reader of its content (which is empty
/// for anything but a regular file).
///
/// Order: the archive's, which rpmbuild sorts by path; a hard link comes after the file that it is the same as
/// ([`FileInfo::same_as`]), with an empty reader. Ghosts are not in the payload and are not told. Content that `each`
/// leaves unread is skipped, and checked all the same: a size, digest or link target that differs from the header, a
/// file too many or too few, is an error.
pub fn payload<E: From<Error>>(
    path: &Path,
    each: &mut dyn FnMut(&FileInfo, &mut dyn Read) -> Result<(), E>,
) -> Result<PackageInfo, E> {
    payload_within(path, Limits::default(), each)
}

/// [`payload`](fn@payload) with limits of the caller's.
pub fn payload_within<E: From<Error>>(
    path: &Path,
    limits: Limits,
    each: &mut dyn FnMut(&FileInfo, &mut dyn Read) -> Result<(), E>,
) -> Result<PackageInfo, E> {
    let (info, reader) = info::open(path)?;
    stream(&info, reader, limits, each).map_err(|stop| match stop {
        Stop::Caller(error) => error,
        Stop::Fault(fault) => E::from(Error::Unsound {
            package: path.to_owned(),
            fault,
        }),
    })?;
    Ok(info)
}

/// Why a stream ended early.
enum Stop<E> {
    /// The caller's own error.
    Caller(E),
    /// The package's.
    Fault(Fault),
}

impl<E> From<Fault> for Stop<E> {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

type Each<'a, E> = &'a mut dyn FnMut(&FileInfo, &mut dyn Read) -> Result<(), E>;

fn stream<E>(
    info: &PackageInfo,
    reader: impl BufRead,
    limits: Limits,
    each: Each<'_, E>,
) -> Result<(), Stop<E>> {
    let total = info
        .files
        .iter()
        .filter(|file| carries(file))
        .fold(0_u64, |sum, file| sum.saturating_add(file.size));
    for (what, found, limit) in [
        ("files", info.files.len() as u64, limits.files),
        ("bytes", total, limits.bytes),
    ] {
        if found > limit {
            return Err(Fault::Limit { what, found, limit }.into());
        }
    }
    let by_path: HashMap<&RootPath, usize> = info
        .files
        .iter()
        .enumerate()
        .map(|(i, file)| (&file.path, i))
        .collect();
    let mut state = State {
        files: &info.files,
        by_path: &by_path,
        told: HashSet::new(),
        waiting: HashMap::new(),
        each,
    };
    let mut archive = Archive::new(io::BufReader::new(decoder(&info.payload_compressor, reader)?));
    loop {
        let (index, stated) = match archive.next()? {
            Member::End => break,
            Member::Named { name, size } => {
                let index = name_to_path(&name).and_then(|path| by_path.get(&path).copied());
                (index.ok_or_else(|| unexpected(&name))?, Some(size))
            }
            Member::Numbered(number) => (number as usize, None),
        };
        state.file(&mut archive, index, stated)?;
    }
    match info
        .files
        .iter()
        .enumerate()
        .find(|(i, file)| !file.flags.is_ghost() && !state.told.contains(i))
    {
        Some((_, file)) => Err(Fault::Absent(file.path.clone()).into()),
        None => Ok(()),
    }
}

/// Does the payload hold bytes of content for it?
fn carries(file: &FileInfo) -> bool {
    file.kind == FileKind::Regular && file.same_as.is_none() && !file.flags.is_ghost()
}

fn unexpected(name: &[u8]) -> Fault {
    Fault::Unexpected(String::from_utf8_lossy(name).into_owned())
}

/// `./usr/bin/sh` in a binary package, `zlib.spec` in a source package.
fn name_to_path(name: &[u8]) -> Option<RootPath> {
    let name = std::str::from_utf8(name).ok()?;
    let name = name
        .strip_prefix('.')
        .filter(|rest| rest.starts_with('/'))
        .unwrap_or(name);
    match name.starts_with('/') {
        true => name.parse().ok(),
        false => format!("/{name}").parse().ok(),
    }
}

/// What was told, and which hard links wait for the file with their content.
struct State<'a, E> {
    files: &'a [FileInfo],
    by_path: &'a HashMap<&'a RootPath, usize>,
    told: HashSet<usize>,
    waiting: HashMap<&'a RootPath, Vec<usize>>,
    each: Each<'a, E>,
}

impl<'a, E> State<'a, E> {
    fn file<R: Read>(
        &mut self,
        archive: &mut Archive<R>,
        index: usize,
        found: Option<u64>,
    ) -> Result<(), Stop<E>> {
        let files = self.files;
        let file = files
            .get(index)
            .ok_or_else(|| unexpected(format!("file number {index}").as_bytes()))?;
        if file.flags.is_ghost() {
            return Err(unexpected(file.path.as_str().as_bytes()).into());
        }
        if !self.told.insert(index) {
            return Err(Fault::Twice(file.path.clone()).into());
        }
        let stated = match (&file.link, carries(file)) {
            (Some(target), _) => target.len() as u64,
            (None, true) => file.size,
            (None, false) => 0,
        };
        if let Some(found) = found.filter(|found| *found != stated) {
            return Err(Fault::Size {
                path: file.path.clone(),
                found,
                stated,
            }
            .into());
        }
        if let Some(carrier) = &file.same_as
            && !self.by_path.get(carrier).is_some_and(|at| self.told.contains(at))
        {
            self.waiting.entry(carrier).or_default().push(index);
            return Ok(());
        }
        let mut content = Checked {
            inner: archive.content(stated),
            hasher: file.digest.is_some().then(sha2::Sha256::new),
            failed: None,
        };
        match &file.link {
            Some(target) => {
                let mut text = Vec::new();
                content
                    .read_to_end(&mut text)
                    .map_err(|error| Fault::Archive(error.to_string()))?;
                if text != target.as_bytes() {
                    return Err(Fault::Content(file.path.clone()).into());
                }
                (self.each)(file, &mut io::empty()).map_err(Stop::Caller)?;
            }
            None => {
                let result = (self.each)(file, &mut content);
                // A broken payload is the reason, not the caller that saw it break.
                if let Some(why) = content.failed.take() {
                    return Err(Fault::Archive(why).into());
                }
                result.map_err(Stop::Caller)?;
                io::copy(&mut content, &mut io::sink()).map_err(|error| Fault::Archive(error.to_string()))?;
            }
        }
        content.finish(file)?;
        archive.end_content()?;
        for link in self.waiting.remove(&file.path).unwrap_or_default() {
            (self.each)(&files[link], &mut io::empty()).map_err(Stop::Caller)?;
        }
        Ok(())
    }
}

/// Counts and digests what passes.
struct Checked<R> {
    inner: io::Take<R>,
    hasher: Option<sha2::Sha256>,
    /// The error of the payload, kept in case the caller wraps it.
    failed: Option<String>,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.inner.read(buffer) {
            Ok(0) if self.inner.limit() > 0 && !buffer.is_empty() => {
                self.failed = Some("it ends early".to_owned());
                Err(io::ErrorKind::UnexpectedEof.into())
            }
            Ok(count) => {
                if let Some(hasher) = &mut self.hasher {
                    hasher.update(&buffer[..count]);
                }
                Ok(count)
            }
            Err(error) => {
                if error.kind() != io::ErrorKind::Interrupted {
                    self.failed = Some(error.to_string());
                }
                Err(error)
            }
        }
    }
}

impl<R> Checked<R> {
    fn finish(self, file: &FileInfo) -> Result<(), Fault> {
        if let (Some(hasher), Some(stated), true) = (self.hasher, file.digest, carries(file))
            && Sha256::from(<[u8; 32]>::from(hasher.finalize())) != stated
        {
            return Err(Fault::Content(file.path.clone()));
        }
        Ok(())
    }
}

/// The decompressor of a payload. Memory is bounded: zstd refuses windows over 128 MiB, xz gets 512 MiB.
fn decoder<'a>(compressor: &str, mut reader: impl BufRead + 'a) -> Result<Box<dyn Read + 'a>, Fault> {
    const XZ_MEMORY: u64 = 512 << 20;
    let xz = |error: liblzma::stream::Error| Fault::Archive(error.to_string());
    Ok(match compressor {
        "zstd" => Box::new(zstd::stream::read::Decoder::with_buffer(reader)?),
        // The tag is missing for gzip and for nothing at all; zlib's reader, which rpm uses, looks at the magic too.
        "gzip" if reader.fill_buf()?.starts_with(b"07070") => Box::new(reader),
        "gzip" => Box::new(flate2::bufread::MultiGzDecoder::new(reader)),
        "bzip2" => Box::new(bzip2::bufread::MultiBzDecoder::new(reader)),
        "xz" => {
            let stream =
                liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, liblzma::stream::CONCATENATED)
                    .map_err(xz)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(reader, stream))
        }
        "lzma" => {
            let stream = liblzma::stream::Stream::new_lzma_decoder(XZ_MEMORY).map_err(xz)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(reader, stream))
        }
        "none" | "identity" => Box::new(reader),
        other => return Err(Fault::Compression(other.to_owned())),
    })
}
