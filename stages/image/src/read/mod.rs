//! Readers of disk formats: a file in → the disk that is in it, as a [`Source`].
//!
//! The files come from anywhere. So nothing of a file is believed that was not checked against the file's length; tables
//! are read page by page, however long they claim to be; and a disk gives no more bytes than its file can hold: a
//! file whose tables point to the same place again and again is damaged. No other file is ever opened: a disk that needs
//! one (a backing file, a parent) is refused.

pub mod ext4;
pub mod qcow2;
pub mod vhd;
pub mod vhdx;

use std::{
    io::{self, Read as _, Seek as _, SeekFrom},
    ops::Range,
};

use keel_artefact::Epoch;

pub use crate::write::sparse::File;
use crate::write::sparse::Source;

/// No larger disk is read; VHDX has none, and nobody else either.
const LARGEST: u64 = 64 << 40;
/// Bytes of a table that are read at once.
const PAGE: u64 = 4096;
/// By how much a disk may give more bytes than its file has: the end of its last block need not be in the file.
const SLACK: u64 = 4 << 20;

/// How a disk is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// As it is.
    Raw,
    /// QEMU's own.
    Qcow2,
    /// Microsoft's first.
    Vhd,
    /// Microsoft's second.
    Vhdx,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Raw, Self::Qcow2, Self::Vhd, Self::Vhdx];

    /// Its name, which files of it end with.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
            Self::Vhd => "vhd",
            Self::Vhdx => "vhdx",
        }
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the file says that it is: by its first bytes, or, of a fixed VHD, its last. All else is a raw disk.
pub fn probe(file: &mut dyn File) -> io::Result<Format> {
    let size = file.seek(SeekFrom::End(0))?;
    let mut read = |at: u64| -> io::Result<[u8; 8]> {
        let mut bytes = [0; 8];
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    };
    if size < 8 {
        return Ok(Format::Raw);
    }
    let first = read(0)?;
    let last = if size >= 512 { read(size - 512)? } else { [0; 8] };
    Ok(if first.starts_with(qcow2::MAGIC) {
        Format::Qcow2
    } else if first == *vhdx::MAGIC {
        Format::Vhdx
    } else if first == *vhd::MAGIC || last == *vhd::MAGIC {
        Format::Vhd
    } else {
        Format::Raw
    })
}

/// The disk in `file`. Fails with `InvalidData` where the file is not what it should be, and with `Unsupported` where it is
/// more than this reads.
pub fn open(file: Box<dyn File>, format: Format) -> io::Result<Disk> {
    let input = Input::new(file)?;
    let disk = match format {
        Format::Raw => {
            let size = input.size;
            Disk::new(input, Box::new(Flat::default()), size, FLAT)
        }
        Format::Qcow2 => qcow2::open(input)?,
        Format::Vhd => vhd::open(input)?,
        Format::Vhdx => vhdx::open(input)?,
    };
    if disk.size > LARGEST {
        return Err(unsupported(format!(
            "its disk has {} bytes, more than 64 TiB",
            disk.size
        )));
    }
    Ok(disk)
}

/// The file is not what it should be.
fn damaged(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

/// The file is more than this reads.
fn unsupported(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, what.into())
}

/// A file, with its length, and what was read of it for the disk.
struct Input {
    file: Box<dyn File>,
    size: u64,
    spent: u64,
}

impl Input {
    fn new(mut file: Box<dyn File>) -> io::Result<Self> {
        let size = file.seek(SeekFrom::End(0))?;
        let spent = 0;
        Ok(Self { file, size, spent })
    }

    /// Is this range within the file?
    fn has(&self, at: u64, length: u64) -> bool {
        at.checked_add(length).is_some_and(|end| end <= self.size)
    }

    /// Fills `buffer` with what is at `at`.
    fn read(&mut self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        if !self.has(at, buffer.len() as u64) {
            return Err(damaged(format!(
                "it points to byte {at}, and has {} bytes",
                self.size
            )));
        }
        self.file.seek(SeekFrom::Start(at))?;
        self.file.read_exact(buffer)
    }

    /// The `N` bytes at `at`.
    fn bytes<const N: usize>(&mut self, at: u64) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.read(at, &mut bytes)?;
        Ok(bytes)
    }

    /// Counts what the disk takes from the file. Each part of a file is used once at most, so that all of it is no more than
    /// the file.
    fn spend(&mut self, bytes: u64) -> io::Result<()> {
        self.spent = self.spent.saturating_add(bytes);
        if self.spent > self.size.saturating_add(SLACK) {
            return Err(damaged("its tables point to the same bytes more than once"));
        }
        Ok(())
    }
}

/// Entries of the same width in a file, of which one page is in memory.
struct Table {
    at: u64,
    entries: u64,
    width: u64,
    page: Vec<u8>,
    /// The first entry of the page.
    first: Option<u64>,
}

impl Table {
    /// A table, all of which is in the file. `what` is its name in messages.
    fn new(input: &Input, at: u64, entries: u64, width: u64, what: &str) -> io::Result<Self> {
        let fits = entries
            .checked_mul(width)
            .is_some_and(|length| input.has(at, length));
        if !fits {
            return Err(damaged(format!("its {what} is not within the file")));
        }
        Ok(Self {
            at,
            entries,
            width,
            page: Vec::new(),
            first: None,
        })
    }

    /// The bytes of an entry.
    fn get(&mut self, input: &mut Input, index: u64) -> io::Result<&[u8]> {
        if index >= self.entries {
            return Err(damaged("its table is too short"));
        }
        let of_page = PAGE / self.width;
        let first = index / of_page * of_page;
        if self.first != Some(first) {
            let count = of_page.min(self.entries - first);
            self.page.resize((count * self.width) as usize, 0);
            self.first = None;
            input.read(self.at + first * self.width, &mut self.page)?;
            self.first = Some(first);
        }
        let at = ((index - first) * self.width) as usize;
        Ok(&self.page[at..at + self.width as usize])
    }

    fn u32_be(&mut self, input: &mut Input, index: u64) -> io::Result<u32> {
        self.get(input, index).map(|bytes| be32(bytes, 0))
    }

    fn u64_be(&mut self, input: &mut Input, index: u64) -> io::Result<u64> {
        self.get(input, index).map(|bytes| be64(bytes, 0))
    }

    fn u64_le(&mut self, input: &mut Input, index: u64) -> io::Result<u64> {
        self.get(input, index).map(|bytes| le64(bytes, 0))
    }
}

// Numbers in a header whose length the caller knows.
fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(array(bytes, at))
}

fn be64(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(array(bytes, at))
}

fn le16(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array(bytes, at))
}

fn le32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(bytes, at))
}

fn le64(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array(bytes, at))
}

/// Where a block of the disk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nowhere, and neither is any before this one: zeros.
    Zeros { until: u64 },
    /// From this byte of the file on.
    At(u64),
    /// Compressed.
    Packed { at: u64, length: u64 },
}

/// Which block of a disk is where.
trait Map {
    /// The place of a block of the disk.
    fn place(&mut self, input: &mut Input, block: u64) -> io::Result<Place>;

    /// Fills `block` with what was compressed to `bytes`.
    fn unpack(&self, _bytes: &[u8], _block: &mut [u8]) -> io::Result<()> {
        Err(damaged("it has a compressed block"))
    }
}

/// A disk that is its file. Its blocks are only what is asked for at once.
#[derive(Default)]
struct Flat {
    /// What the file said last that is no hole.
    known: Range<u64>,
}

/// Bytes of a block of such a disk.
const FLAT: u64 = 1 << 20;

impl Map for Flat {
    fn place(&mut self, input: &mut Input, block: u64) -> io::Result<Place> {
        let at = block * FLAT;
        if !self.known.contains(&at) {
            let Some(next) = input.file.extent(at)? else {
                return Ok(Place::Zeros { until: u64::MAX });
            };
            let until = next.start / FLAT;
            self.known = next;
            if until > block {
                return Ok(Place::Zeros { until });
            }
        }
        Ok(Place::At(at))
    }
}

/// So many unpacked blocks are kept: those of a file, and of the tables that say where it goes on.
const UNPACKED: usize = 8;

/// A disk in a file.
pub struct Disk {
    input: Input,
    map: Box<dyn Map>,
    size: u64,
    block: u64,
    /// The blocks that were unpacked last, the newest first.
    unpacked: Vec<(u64, Vec<u8>)>,
    /// So many bytes may still be unpacked.
    to_unpack: u64,
    /// Is what the last block of the file lacks zeros?
    open_end: bool,
    clock: Option<Epoch>,
}

impl Disk {
    fn new(input: Input, map: Box<dyn Map>, size: u64, block: u64) -> Self {
        Self {
            input,
            map,
            size,
            block,
            unpacked: Vec::new(),
            to_unpack: u64::MAX,
            open_end: false,
            clock: None,
        }
    }

    /// When it was made, if its file says so.
    pub fn clock(&self) -> Option<Epoch> {
        self.clock
    }

    /// Lets no more than so many bytes be unpacked from now on, again and again the same ones, too: whoever does not read a disk from its
    /// beginning to its end could be led around in it.
    pub fn unpack_at_most(&mut self, bytes: u64) {
        self.to_unpack = bytes;
    }

    /// Forgets what was read until now: for who reads here and there, again and again, and has a bound of his own.
    pub fn recount(&mut self) {
        self.input.spent = 0;
    }

    fn unpack(&mut self, block: u64, at: u64, length: u64) -> io::Result<&[u8]> {
        if let Some(known) = self.unpacked.iter().position(|(known, _)| *known == block) {
            self.unpacked[..=known].rotate_right(1);
        } else {
            // The end of the last sector is another's; a cluster of one value takes a few bytes.
            self.input.spend(length.min(4))?;
            let left = self.to_unpack.checked_sub(self.block);
            self.to_unpack = left.ok_or_else(|| damaged("there is no end to unpacking what it points to"))?;
            let mut bytes = match self.unpacked.len() < UNPACKED {
                true => Vec::new(),
                false => self.unpacked.pop().unwrap_or_default().1,
            };
            let mut packed = vec![0; length as usize];
            self.input.read(at, &mut packed)?;
            bytes.resize(self.block as usize, 0);
            self.map.unpack(&packed, &mut bytes)?;
            self.unpacked.insert(0, (block, bytes));
        }
        Ok(self.unpacked.first().map_or(&[], |(_, bytes)| bytes))
    }

    fn stored(&mut self, at: u64, part: &mut [u8]) -> io::Result<()> {
        self.input.spend(part.len() as u64)?;
        let have = match self.input.size.checked_sub(at) {
            Some(have) if self.open_end && have > 0 => {
                part.len().min(usize::try_from(have).unwrap_or(usize::MAX))
            }
            _ => part.len(),
        };
        let (there, beyond) = part.split_at_mut(have);
        beyond.fill(0);
        self.input.read(at, there)
    }
}

impl Source for Disk {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&mut self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut done = 0;
        while done < buffer.len() {
            let here = at + done as u64;
            let (block, offset) = (here / self.block, here % self.block);
            let want = (self.block - offset).min((buffer.len() - done) as u64) as usize;
            let part = &mut buffer[done..done + want];
            match self.map.place(&mut self.input, block)? {
                Place::Zeros { .. } => part.fill(0),
                Place::At(place) => {
                    let place = place.checked_add(offset);
                    self.stored(place.ok_or_else(|| damaged("a block has no place"))?, part)?;
                }
                Place::Packed { at, length } => {
                    let offset = offset as usize;
                    part.copy_from_slice(&self.unpack(block, at, length)?[offset..offset + want]);
                }
            }
            done += want;
        }
        Ok(())
    }

    fn data(&mut self, at: u64) -> io::Result<Option<Range<u64>>> {
        let blocks = self.size.div_ceil(self.block);
        let mut block = at / self.block;
        while block < blocks {
            match self.map.place(&mut self.input, block)? {
                Place::Zeros { until } => block = until.max(block + 1),
                _ => {
                    let start = block * self.block;
                    return Ok(Some(start..start.saturating_add(self.block).min(self.size)));
                }
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
