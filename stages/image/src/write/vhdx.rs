//! A disk as a dynamic VHDX, for Hyper-V. After \[MS-VHDX\], "Virtual Hard Disk v2 (VHDX) File Format", of Microsoft's Open
//! Specifications.
//!
//! Layout, everything on a multiple of 1 MiB: file type, two headers and two region tables in the first; a log, empty;
//! metadata; the block allocation table (BAT); blocks of the disk, in its order, those of zeros left out. All GUIDs are
//! derived from the content. Numbers are little-endian.

use std::io::{self, Seek, SeekFrom, Write};

use keel_artefact::Sha256;
use uuid::{Uuid, uuid};

use super::{
    gpt,
    sparse::{self, Content, Progress, Source},
};

pub(crate) const MIB: u64 = 1024 * 1024;
/// No VHDX is larger: 64 TiB.
pub const LARGEST: u64 = 64 << 40;
/// Bytes of a sector, as the guest sees it.
pub(crate) const SECTOR: u64 = 512;

// Places within the first MiB (2.2).
pub(crate) const SIGNATURE: &[u8; 8] = b"vhdxfile";
pub(crate) const HEADERS: [u64; 2] = [64 * 1024, 128 * 1024];
pub(crate) const HEADER_SIZE: usize = 4096;
pub(crate) const REGION_TABLES: [u64; 2] = [192 * 1024, 256 * 1024];
pub(crate) const TABLE_SIZE: usize = 64 * 1024;

// Places of this writer.
const LOG: u64 = MIB;
const METADATA: u64 = 2 * MIB;
const BAT: u64 = 3 * MIB;

// Regions (2.2.3.2) and items of metadata (2.6.2).
pub(crate) const REGION_BAT: Uuid = uuid!("2dc27766-f623-4200-9d64-115e9bfd4a08");
pub(crate) const REGION_METADATA: Uuid = uuid!("8b7ca206-4790-4b9a-b8fe-575f050f886e");
pub(crate) const FILE_PARAMETERS: Uuid = uuid!("caa16737-fa36-4d43-b3b6-33f0aa44e76b");
pub(crate) const VIRTUAL_SIZE: Uuid = uuid!("2fa54224-cd1b-4876-b211-5dbed83bf4b8");
pub(crate) const DISK_ID: Uuid = uuid!("beca12ab-b2e6-4523-93ef-c309e000c746");
pub(crate) const LOGICAL_SECTOR: Uuid = uuid!("8141bf1d-a96f-4709-ba47-f233a8faab5f");
pub(crate) const PHYSICAL_SECTOR: Uuid = uuid!("cda348c7-445d-4471-9cc9-e9885251c556");

// States of a block (2.5.1.1).
pub(crate) const ZERO: u64 = 2;
pub(crate) const FULLY_PRESENT: u64 = 6;

/// Bytes of a block. 1 MiB, to which Keel's partitions are aligned, and which Microsoft advises for Linux ("Best Practices for
/// running Linux on Hyper-V"): its file systems write here and there, and each place takes a block of 32 MiB by
/// default. Of disks of more than 1 TiB 32 MiB, so that the table stays small.
fn block_size(size: u64) -> u64 {
    if size <= 1 << 40 { MIB } else { 32 * MIB }
}

/// Blocks for which the table has one entry more, of a sector bitmap (2.5.1): only disks with a parent have any.
pub(crate) fn chunk_ratio(block: u64, sector: u64) -> u64 {
    (sector << 23) / block
}

/// Writes `disk` to `out`, which is empty. What the disk lacks to a whole sector is zeros.
pub fn write(disk: &mut dyn Source, out: &mut (impl Write + Seek), progress: Progress<'_>) -> io::Result<()> {
    let size = disk.size().div_ceil(SECTOR).saturating_mul(SECTOR);
    if size > LARGEST {
        let why = format!(
            "a VHDX has 64 TiB at most, and the disk has {} bytes",
            disk.size()
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    let block = block_size(size);
    let (blocks, ratio) = (size.div_ceil(block), chunk_ratio(block, SECTOR));
    let entries = blocks + blocks.saturating_sub(1) / ratio;
    let bat_size = (entries * 8).next_multiple_of(MIB).max(MIB);
    let entry_of = |index: u64| (index + index / ratio) as usize;
    let mut bat = vec![0_u64; entries as usize];
    for index in 0..blocks {
        bat[entry_of(index)] = ZERO;
    }
    let mut content = Content::new(size);
    let mut end = BAT + bat_size;
    sparse::each(disk, progress, |at, bytes| {
        content.add(at, bytes);
        let entry = &mut bat[entry_of(at / block)];
        if *entry == ZERO {
            // The place in MiB lies in the bits from 20 on, so that the place in bytes needs no shift.
            *entry = end | FULLY_PRESENT;
            end += block;
        }
        let place = *entry - FULLY_PRESENT;
        sparse::put(out, place + at % block, bytes)
    })?;
    let digest = content.finish();
    let table: Vec<u8> = bat.iter().flat_map(|entry| entry.to_le_bytes()).collect();
    sparse::put(out, BAT, &table)?;
    sparse::put(out, METADATA, &metadata(size, block, &digest))?;
    sparse::put(out, 0, &file_type())?;
    for (number, place) in (1..).zip(HEADERS) {
        sparse::put(out, place, &header(number, &digest))?;
    }
    for place in REGION_TABLES {
        sparse::put(out, place, &regions(bat_size))?;
    }
    sparse::extend(out, end)?;
    out.seek(SeekFrom::Start(end)).map(drop)
}

/// The file type identifier (2.2.1).
fn file_type() -> Vec<u8> {
    let mut bytes = SIGNATURE.to_vec();
    bytes.extend("Keel".encode_utf16().flat_map(u16::to_le_bytes));
    bytes
}

/// A header (2.2.2), without a log that would have to be replayed.
fn header(number: u64, content: &Sha256) -> Vec<u8> {
    let mut bytes = b"head\0\0\0\0".to_vec();
    bytes.extend(number.to_le_bytes());
    bytes.extend(gpt::uuid(content, "vhdx file").to_bytes_le());
    bytes.extend(gpt::uuid(content, "vhdx data").to_bytes_le());
    bytes.extend([0; 16]); // the log's GUID: empty
    bytes.extend(0_u16.to_le_bytes()); // the log's version
    bytes.extend(1_u16.to_le_bytes()); // the format's
    bytes.extend((MIB as u32).to_le_bytes());
    bytes.extend(LOG.to_le_bytes());
    bytes.resize(HEADER_SIZE, 0);
    summed(bytes)
}

/// The region table (2.2.3).
fn regions(bat_size: u64) -> Vec<u8> {
    let mut bytes = b"regi\0\0\0\0".to_vec();
    bytes.extend(2_u32.to_le_bytes());
    bytes.extend([0; 4]);
    for (region, place, size) in [(REGION_BAT, BAT, bat_size), (REGION_METADATA, METADATA, MIB)] {
        bytes.extend(region.to_bytes_le());
        bytes.extend(place.to_le_bytes());
        bytes.extend((size as u32).to_le_bytes());
        bytes.extend(1_u32.to_le_bytes()); // required
    }
    bytes.resize(TABLE_SIZE, 0);
    summed(bytes)
}

/// The metadata table (2.6.1) and its items.
fn metadata(size: u64, block: u64, content: &Sha256) -> Vec<u8> {
    /// `IsRequired`, of which the first item is the file's and the others are the disk's (`IsVirtualDisk`).
    const REQUIRED: u32 = 4;
    const OF_DISK: u32 = 2;
    let parameters = [(block as u32).to_le_bytes(), [0; 4]].concat(); // no parent
    let items = [
        (FILE_PARAMETERS, REQUIRED, parameters),
        (VIRTUAL_SIZE, REQUIRED | OF_DISK, size.to_le_bytes().to_vec()),
        (
            DISK_ID,
            REQUIRED | OF_DISK,
            gpt::uuid(content, "vhdx disk").to_bytes_le().to_vec(),
        ),
        (
            LOGICAL_SECTOR,
            REQUIRED | OF_DISK,
            (SECTOR as u32).to_le_bytes().to_vec(),
        ),
        (
            PHYSICAL_SECTOR,
            REQUIRED | OF_DISK,
            4096_u32.to_le_bytes().to_vec(),
        ),
    ];
    let mut table = b"metadata\0\0".to_vec();
    table.extend((items.len() as u16).to_le_bytes());
    table.extend([0; 20]);
    let mut values = Vec::new();
    for (item, flags, value) in items {
        table.extend(item.to_bytes_le());
        table.extend(((TABLE_SIZE + values.len()) as u32).to_le_bytes());
        table.extend((value.len() as u32).to_le_bytes());
        table.extend(flags.to_le_bytes());
        table.extend([0; 4]);
        values.extend(value);
    }
    table.resize(TABLE_SIZE, 0);
    table.extend(values);
    table
}

/// Puts the checksum of all of it, counted as zero there, into bytes 4 to 7.
fn summed(mut bytes: Vec<u8>) -> Vec<u8> {
    let sum = crc32c(&bytes);
    bytes[4..8].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// CRC-32C (Castagnoli; RFC 3720, appendix B.4) of bytes.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum: u32, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            (sum >> 1) ^ (0x82f6_3b78 * (sum & 1))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_is_that_of_the_rfc() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
    }

    #[test]
    fn a_place_is_left_for_the_bitmap_of_each_chunk() {
        // 4 GiB of blocks of 1 MiB make a chunk: the 4097th block's entry comes after that of the first bitmap.
        assert_eq!(chunk_ratio(MIB, SECTOR), 4096);
        let size = 4097 * MIB;
        let mut out = io::Cursor::new(Vec::new());
        let mut disk = Last(size);
        write(&mut disk, &mut out, &mut |_| Ok(())).unwrap();
        let out = out.into_inner();
        let entry = |index: usize| {
            let at = BAT as usize + 8 * index;
            u64::from_le_bytes(out[at..at + 8].try_into().unwrap())
        };
        assert_eq!(
            [entry(0), entry(4095), entry(4096), entry(4097)],
            [ZERO, ZERO, 0, (4 * MIB) | FULLY_PRESENT]
        );
        assert_eq!(out.len() as u64, 5 * MIB);
    }

    /// A disk of zeros but for its last byte.
    struct Last(u64);

    impl Source for Last {
        fn size(&self) -> u64 {
            self.0
        }

        fn read_at(&mut self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
            buffer.fill(0);
            let end = at + buffer.len() as u64;
            if end == self.0
                && let Some(last) = buffer.last_mut()
            {
                *last = 1;
            }
            Ok(())
        }

        fn data(&mut self, at: u64) -> io::Result<Option<std::ops::Range<u64>>> {
            Ok((at < self.0).then_some(self.0 - 1..self.0))
        }
    }
}
