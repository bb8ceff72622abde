//! Files with holes: what is all zero takes no space on the host's disk, and is not read where it is known to be zero.

use std::{
    io::{self, Read, Seek, SeekFrom, Write},
    ops::Range,
    os::fd::AsFd,
    path::Path,
};

use keel_artefact::{Fingerprint, Interrupt, Sha256};
use rustix::{fs, io::Errno};

/// Unit of a hole.
const BLOCK: usize = 64 * 1024;

/// What [`put`] leaves out if it is all zero.
const PAGE: usize = 4096;

/// Unit in which [`each`] hands out a disk.
pub const UNIT: u64 = BLOCK as u64;

/// A file that may know where it has nothing but zeros.
pub trait File: Read + Seek {
    /// The next range, not empty, that ends after `at` and is not known to be zeros; it may reach beyond the end of the file.
    /// None if nothing but zeros follows.
    fn extent(&mut self, at: u64) -> io::Result<Option<Range<u64>>> {
        Ok(Some(at..u64::MAX))
    }
}

impl<T: AsRef<[u8]>> File for io::Cursor<T> {}

impl File for fs_err::File {
    fn extent(&mut self, at: u64) -> io::Result<Option<Range<u64>>> {
        extent(&*self, at)
    }
}

impl File for std::fs::File {
    fn extent(&mut self, at: u64) -> io::Result<Option<Range<u64>>> {
        extent(&*self, at)
    }
}

/// What lies between holes (lseek(2), `SEEK_DATA`).
fn extent(file: impl AsFd, at: u64) -> io::Result<Option<Range<u64>>> {
    let start = match fs::seek(&file, fs::SeekFrom::Data(at)) {
        Ok(start) => start,
        Err(Errno::NXIO) => return Ok(None),
        // A file system without holes.
        Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(Some(at..u64::MAX)),
        Err(error) => return Err(error.into()),
    };
    let end = fs::seek(&file, fs::SeekFrom::Hole(start))?;
    Ok(Some(start..end.max(start + 1)))
}

/// A disk that can be read anywhere: what the writers of disk formats read, and what the readers of disk formats are.
pub trait Source {
    /// Its bytes.
    fn size(&self) -> u64;

    /// Fills `buffer` with what is at `at`; all of it is within the disk.
    fn read_at(&mut self, at: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// The next range, not empty, that ends after `at` and is not known to be zeros; none if nothing but zeros follows.
    fn data(&mut self, at: u64) -> io::Result<Option<Range<u64>>>;
}

/// A disk whose bytes lie one after the other in a file.
#[derive(Debug)]
pub struct Raw<R> {
    file: R,
    size: u64,
}

impl<R: File> Raw<R> {
    /// The first `size` bytes of `file`.
    pub fn new(file: R, size: u64) -> Self {
        Self { file, size }
    }
}

impl<R: File> Source for Raw<R> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&mut self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(at))?;
        self.file.read_exact(buffer)
    }

    fn data(&mut self, at: u64) -> io::Result<Option<Range<u64>>> {
        if at >= self.size {
            return Ok(None);
        }
        let found = self.file.extent(at)?;
        let found = found.map(|found| found.start..found.end.min(self.size));
        Ok(found.filter(|found| !found.is_empty()))
    }
}

/// Told how far a writer has got, in bytes of the disk; an error stops it.
pub type Progress<'a> = &'a mut dyn FnMut(u64) -> io::Result<()>;

/// Shows `visit` every [`UNIT`] of a disk that has anything but zeros in it, in order, with its place. The last one is
/// shorter where the disk is no multiple of the unit.
pub fn each(
    disk: &mut dyn Source,
    progress: Progress<'_>,
    mut visit: impl FnMut(u64, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let size = disk.size();
    let mut block = vec![0; BLOCK];
    let mut at = 0;
    while at < size
        && let Some(range) = disk.data(at)?
    {
        at = at.max(range.start / UNIT * UNIT);
        let end = range.end.min(size);
        while at < end {
            let want = UNIT.min(size - at) as usize;
            disk.read_at(at, &mut block[..want])?;
            if !is_zero(&block[..want]) {
                visit(at, &block[..want])?;
            }
            at = at.saturating_add(UNIT);
            progress(at.min(size))?;
        }
    }
    progress(size)
}

/// The digest of a file, and its size, as [`Sha256::of_file`]; but holes are not read, and an interrupt is an error.
pub(crate) fn digest(path: &Path, interrupt: &Interrupt) -> io::Result<(Sha256, u64)> {
    let file = fs_err::File::open(path)?;
    let size = file.metadata()?.len();
    Sha256::of_reader(Bytes {
        file,
        size,
        at: 0,
        known: 0..0,
        interrupt,
    })
}

/// All bytes of a file, one after the other.
struct Bytes<'a> {
    file: fs_err::File,
    size: u64,
    at: u64,
    /// Not zeros; what lies between `at` and its start is.
    known: Range<u64>,
    interrupt: &'a Interrupt,
}

impl Read for Bytes<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.interrupt.check().map_err(io::Error::other)?;
        if self.at < self.size && self.at >= self.known.end {
            self.known = self.file.extent(self.at)?.unwrap_or(self.size..self.size);
        }
        let is_hole = self.at < self.known.start;
        let end = if is_hole { self.known.start } else { self.known.end };
        let have = end.min(self.size).saturating_sub(self.at);
        let want = usize::try_from(have).unwrap_or(usize::MAX).min(buffer.len());
        let buffer = &mut buffer[..want];
        let n = match is_hole {
            true => {
                buffer.fill(0);
                want
            }
            false => {
                self.file.seek(SeekFrom::Start(self.at))?;
                self.file.read(buffer)?
            }
        };
        self.at += n as u64;
        Ok(n)
    }
}

/// Digest of a disk's content: of its size, and of every unit of it that is not all zero. Whoever knows where the zeros are
/// need not read them.
#[derive(Clone)]
pub struct Content(Fingerprint);

impl Content {
    /// Of a disk of `size` bytes.
    pub fn new(size: u64) -> Self {
        let mut all = Fingerprint::new("disk/1");
        all.add("size", size.to_le_bytes());
        Self(all)
    }

    /// Adds what [`each`] shows.
    pub fn add(&mut self, at: u64, bytes: &[u8]) {
        self.0.add("at", at.to_le_bytes()).add("bytes", bytes);
    }

    /// The digest.
    pub fn finish(&self) -> Sha256 {
        self.0.finish()
    }
}

/// Writes `bytes` at `offset` of `file`, which reads as zeros there so far, leaving out what is all zero.
pub fn put(file: &mut (impl Write + Seek), offset: u64, bytes: &[u8]) -> io::Result<()> {
    let pages: Vec<&[u8]> = bytes.chunks(PAGE).collect();
    let mut at = offset;
    // What lies together is written at once.
    for run in pages.chunk_by(|one, next| is_zero(one) == is_zero(next)) {
        let length: usize = run.iter().map(|page| page.len()).sum();
        if !is_zero(run[0]) {
            let start = (at - offset) as usize;
            file.seek(SeekFrom::Start(at))?;
            file.write_all(&bytes[start..start + length])?;
        }
        at += length as u64;
    }
    Ok(())
}

/// Makes `file` at least `size` bytes long, with zeros.
pub fn extend(file: &mut (impl Write + Seek), size: u64) -> io::Result<()> {
    if size > file.seek(SeekFrom::End(0))? {
        file.seek(SeekFrom::Start(size - 1))?;
        file.write_all(&[0])?;
    }
    Ok(())
}

/// Copies a disk to `file` at `offset`, which reads as zeros so far, leaving out what is all zero.
pub fn copy(from: &mut dyn Source, file: &mut (impl Write + Seek), offset: u64) -> io::Result<()> {
    each(from, &mut |_| Ok(()), |at, bytes| put(file, offset + at, bytes))
}

/// Reads until the buffer is full or there is no more.
pub(crate) fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut have = 0;
    while have < buffer.len() {
        match from.read(&mut buffer[have..]) {
            Ok(0) => break,
            Ok(n) => have += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(have)
}

/// Nothing but zeros?
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    let (head, rest) = bytes.split_at(bytes.len() % 16);
    head.iter().all(|byte| *byte == 0) && rest.chunks_exact(16).all(|word| word == [0; 16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_left_out_and_the_rest_arrives() {
        let mut data = vec![0_u8; 300_000];
        data[5000] = 1;
        data[299_999] = 2;
        data[8191..20_000].fill(3);
        let mut out = io::Cursor::new(vec![0; 301_000]);
        let mut from = Raw::new(io::Cursor::new(data.clone()), 300_000);
        copy(&mut from, &mut out, 1000).unwrap();
        let out = out.into_inner();
        assert_eq!(&out[1000..], &data[..]);
        assert!(is_zero(&[0; 33]));
        assert!(!is_zero(&[0, 0, 1]));
    }
    #[test]
    fn units_that_are_zero_are_not_shown() {
        let mut data = vec![0_u8; 3 * BLOCK + 100];
        data[BLOCK + 5] = 1;
        data[3 * BLOCK + 99] = 2;
        let size = data.len() as u64;
        let (mut seen, mut last) = (Vec::new(), 0);
        let mut progress = |done| {
            last = done;
            Ok(())
        };
        each(
            &mut Raw::new(io::Cursor::new(data), size),
            &mut progress,
            |at, bytes| {
                seen.push((at, bytes.len()));
                Ok(())
            },
        )
        .unwrap();
        assert_eq!(seen, [(UNIT, BLOCK), (3 * UNIT, 100)]);
        assert_eq!(last, size);
    }

    /// A file of 3 MiB with something in it at a few places, and holes.
    fn holey(dir: &Path) -> (std::path::PathBuf, Vec<u8>) {
        let path = dir.join("file");
        let mut file = fs_err::File::create(&path).unwrap();
        file.set_len(3 << 20).unwrap();
        let mut bytes = vec![0; 3 << 20];
        for (at, length) in [(1 << 20, 5000), (2_500_000, 1), (2_600_000, 70_000)] {
            bytes[at..at + length].fill(7);
            file.seek(SeekFrom::Start(at as u64)).unwrap();
            file.write_all(&bytes[at..at + length]).unwrap();
        }
        file.sync_all().unwrap();
        (path, bytes)
    }

    #[test]
    fn holes_are_skipped_and_the_rest_is_shown() {
        let dir = tempfile::tempdir().unwrap();
        let (path, bytes) = holey(dir.path());
        let shown = |disk: &mut dyn Source| {
            let (mut out, mut steps) = (vec![0; bytes.len()], 0);
            let mut progress = |_| {
                steps += 1;
                Ok(())
            };
            each(disk, &mut progress, |at, unit| {
                out[at as usize..at as usize + unit.len()].copy_from_slice(unit);
                Ok(())
            })
            .unwrap();
            assert!(out == bytes);
            steps
        };
        let size = bytes.len() as u64;
        let all = shown(&mut Raw::new(io::Cursor::new(bytes.clone()), size));
        assert_eq!(all, size / UNIT + 1);
        let mut file = fs_err::File::open(&path).unwrap();
        // A file system without holes has nothing to skip.
        let has_holes = file.extent(0).unwrap().unwrap().start > 0;
        let few = shown(&mut Raw::new(fs_err::File::open(&path).unwrap(), size));
        assert!(!has_holes || few < 12, "{few}");
        let file = fs_err::File::open(&path).unwrap();
        let mut disk = crate::read::open(Box::new(file), crate::read::Format::Raw).unwrap();
        let few = shown(&mut disk);
        assert!(!has_holes || few < 40, "{few}");
    }

    #[test]
    fn a_digest_is_that_of_all_bytes_and_can_be_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let (path, bytes) = holey(dir.path());
        let interrupt = Interrupt::default();
        let expected = (Sha256::of(&bytes), bytes.len() as u64);
        assert_eq!(digest(&path, &interrupt).unwrap(), expected);
        interrupt.set();
        assert!(digest(&path, &interrupt).is_err());
    }

    #[test]
    fn content_knows_places_and_size() {
        let digest = |size, at, bytes: &[u8]| {
            let mut content = Content::new(size);
            content.add(at, bytes);
            content.finish()
        };
        assert_eq!(digest(10, 0, b"a"), digest(10, 0, b"a"));
        assert_ne!(digest(10, 0, b"a"), digest(11, 0, b"a"));
        assert_ne!(digest(10, 0, b"a"), digest(10, 1, b"a"));
    }
}
