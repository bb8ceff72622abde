//! A part of a disk that is read here and there: a file system.

use std::io::{self, Read, Seek, SeekFrom, Write};

use keel_artefact::Interrupt;

use super::error::damaged;
use crate::{read::Disk, write::sparse::Source as _};

/// Unit in which the disk is read.
const PAGE: u64 = 64 << 10;
/// How many units are kept: each has one place.
const PAGES: usize = 256;
/// How much may be read: so many times what there is, and [`LEAST`]. Structures that point to each other have an end.
const TIMES: u64 = 16;
/// The least that may be read, in bytes.
const LEAST: u64 = 16 << 30;

/// A part of a disk.
pub(super) struct Volume {
    disk: Disk,
    from: u64,
    size: u64,
    pages: Vec<Option<(u64, Vec<u8>)>>,
    left: u64,
    pub(super) interrupt: Interrupt,
}

impl Volume {
    /// `size` bytes of a disk, which are within it.
    pub(super) fn new(disk: Disk, from: u64, size: u64, interrupt: &Interrupt) -> Self {
        Self {
            disk,
            from,
            size,
            pages: (0..PAGES).map(|_| None).collect(),
            left: size.saturating_mul(TIMES).saturating_add(LEAST),
            interrupt: interrupt.clone(),
        }
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Fills `buffer` with what is at `at`.
    pub(super) fn read(&mut self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        let length = buffer.len() as u64;
        if at.checked_add(length).is_none_or(|end| end > self.size) {
            return Err(damaged(format!(
                "the file system points to byte {at}, and has {} bytes",
                self.size
            )));
        }
        let left = self.left.checked_sub(length.max(1));
        self.left =
            left.ok_or_else(|| damaged("the file system points to the same bytes again and again"))?;
        let mut done = 0;
        while done < buffer.len() {
            let here = at + done as u64;
            let (page, offset) = (here / PAGE, (here % PAGE) as usize);
            let bytes = self.page(page)?;
            let want = (bytes.len() - offset).min(buffer.len() - done);
            buffer[done..done + want].copy_from_slice(&bytes[offset..offset + want]);
            done += want;
        }
        Ok(())
    }

    fn page(&mut self, page: u64) -> io::Result<&[u8]> {
        let slot = &mut self.pages[page as usize % PAGES];
        if slot.as_ref().is_none_or(|(known, _)| *known != page) {
            self.interrupt.check().map_err(io::Error::other)?;
            let (_, mut bytes) = slot.take().unwrap_or_default();
            bytes.resize(PAGE.min(self.size - page * PAGE) as usize, 0);
            // The disk bounds who reads it once from end to end; this has a bound of its own.
            self.disk.recount();
            self.disk.read_at(self.from + page * PAGE, &mut bytes)?;
            *slot = Some((page, bytes));
        }
        Ok(slot.as_ref().map_or(&[], |(_, bytes)| bytes))
    }

    /// The `N` bytes at `at`.
    pub(super) fn bytes<const N: usize>(&mut self, at: u64) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.read(at, &mut bytes)?;
        Ok(bytes)
    }

    /// The `length` bytes at `at`. They are there before there is room for them.
    pub(super) fn vec(&mut self, at: u64, length: u64) -> io::Result<Vec<u8>> {
        if length > self.size {
            return Err(damaged(format!(
                "the file system has {} bytes, and points to {length}",
                self.size
            )));
        }
        let mut bytes = vec![0; length as usize];
        self.read(at, &mut bytes)?;
        Ok(bytes)
    }

    /// Gives `length` bytes from `at` on to `out`.
    pub(super) fn copy(&mut self, mut at: u64, mut length: u64, out: &mut dyn Write) -> io::Result<()> {
        let mut buffer = vec![0; PAGE.min(length) as usize];
        while length > 0 {
            let want = length.min(PAGE) as usize;
            self.read(at, &mut buffer[..want])?;
            out.write_all(&buffer[..want])?;
            at += want as u64;
            length -= want as u64;
        }
        Ok(())
    }

    /// Gives `length` zeros to `out`.
    pub(super) fn zeros(&self, mut length: u64, out: &mut dyn Write) -> io::Result<()> {
        static ZEROS: [u8; PAGE as usize] = [0; PAGE as usize];
        while length > 0 {
            self.interrupt.check().map_err(io::Error::other)?;
            let want = length.min(PAGE);
            out.write_all(&ZEROS[..want as usize])?;
            length -= want;
        }
        Ok(())
    }
}

/// The same as a file, for who wants one.
pub(super) struct Cursor {
    pub(super) volume: Volume,
    pub(super) at: u64,
}

impl Read for Cursor {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.volume.size.saturating_sub(self.at);
        let length = left.min(buffer.len() as u64) as usize;
        self.volume
            .read(self.at.min(self.volume.size), &mut buffer[..length])?;
        self.at += length as u64;
        Ok(length)
    }
}

impl Seek for Cursor {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.volume.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| damaged("it points before its first byte"))?;
        Ok(self.at)
    }
}

/// The reader of FAT wants a file that it could write: it is not asked to.
impl Write for Cursor {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "the disk is only read",
        ))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
