//! VHDX, dynamic and fixed (\[MS-VHDX\], "Virtual Hard Disk v2 (VHDX) File Format"). Differencing disks, and those whose log
//! is to be replayed first, are refused.

use std::io;

use uuid::Uuid;

use super::{Disk, Input, Map, Place, Table, array, damaged, le16, le32, le64, unsupported};
use crate::write::vhdx::{
    DISK_ID, FILE_PARAMETERS, FULLY_PRESENT, HEADER_SIZE, HEADERS, LOGICAL_SECTOR, MIB, PHYSICAL_SECTOR,
    REGION_BAT, REGION_METADATA, REGION_TABLES, SIGNATURE, TABLE_SIZE, VIRTUAL_SIZE, chunk_ratio, crc32c,
};

pub(super) const MAGIC: &[u8; 8] = SIGNATURE;

const PARENT_LOCATOR: Uuid = uuid::uuid!("a8d35f2d-b30b-454d-abf7-d3d84834ab0c");
/// Regions and items of metadata at most (2.2.3, 2.6.1).
const MOST: usize = 2047;

struct Blocks {
    table: Table,
    ratio: u64,
}

/// A part of the file.
#[derive(Clone, Copy)]
struct Region {
    at: u64,
    length: u64,
}

pub(super) fn open(mut input: Input) -> io::Result<Disk> {
    if input.bytes(0)? != *MAGIC {
        return Err(damaged("it does not begin as a VHDX does"));
    }
    header(&mut input)?;
    let (bat, metadata) = regions(&mut input)?;
    let found = Metadata::read(&mut input, metadata)?;
    let (block, sector) = (u64::from(found.block), u64::from(found.sector));
    if !block.is_power_of_two() || !(MIB..=256 * MIB).contains(&block) {
        return Err(damaged(format!(
            "its blocks have {block} bytes, not 1 to 256 MiB"
        )));
    }
    if ![512, 4096].contains(&sector) {
        return Err(damaged(format!("its sectors have {sector} bytes")));
    }
    let (blocks, ratio) = (found.size.div_ceil(block), chunk_ratio(block, sector));
    let entries = blocks + blocks.saturating_sub(1) / ratio;
    if entries.checked_mul(8).is_none_or(|length| length > bat.length) {
        return Err(damaged("its block allocation table is too short for its disk"));
    }
    let table = Table::new(&input, bat.at, entries, 8, "block allocation table")?;
    Ok(Disk::new(
        input,
        Box::new(Blocks { table, ratio }),
        found.size,
        block,
    ))
}

/// Checks the current one of the two headers: the valid one that was written last.
fn header(input: &mut Input) -> io::Result<()> {
    let mut current: Option<[u8; HEADER_SIZE]> = None;
    for place in HEADERS {
        let header: [u8; HEADER_SIZE] = input.bytes(place)?;
        let newer = current
            .as_ref()
            .is_none_or(|other| le64(other, 8) < le64(&header, 8));
        if header.starts_with(b"head") && is_summed(&header) && newer {
            current = Some(header);
        }
    }
    let header = current.ok_or_else(|| damaged("both its headers are damaged"))?;
    let version = le16(&header, 66);
    if version != 1 {
        return Err(unsupported(format!("it is of version {version}")));
    }
    if header[48..64] != [0; 16] {
        return Err(unsupported(
            "its log was not replayed: it was not closed. Opening it in Hyper-V, or `qemu-img check -r all`, replays it",
        ));
    }
    Ok(())
}

/// Is the checksum in bytes 4 to 7 right?
fn is_summed(bytes: &[u8]) -> bool {
    let mut zeroed = bytes.to_vec();
    zeroed[4..8].fill(0);
    crc32c(&zeroed) == le32(bytes, 4)
}

fn guid(bytes: &[u8], at: usize) -> Uuid {
    Uuid::from_bytes_le(array(bytes, at))
}

/// Block allocation table and metadata, by the first valid region table.
fn regions(input: &mut Input) -> io::Result<(Region, Region)> {
    let mut valid = None;
    for place in REGION_TABLES {
        let table: [u8; TABLE_SIZE] = input.bytes(place)?;
        if valid.is_none() && table.starts_with(b"regi") && is_summed(&table) {
            valid = Some(table);
        }
    }
    let table = valid.ok_or_else(|| damaged("both its region tables are damaged"))?;
    let count = le32(&table, 8) as usize;
    if count > MOST {
        return Err(damaged(format!("it has {count} regions")));
    }
    let (mut bat, mut metadata) = (None, None);
    for entry in table[16..].chunks_exact(32).take(count) {
        let region = Region {
            at: le64(entry, 16),
            length: u64::from(le32(entry, 24)),
        };
        match guid(entry, 0) {
            REGION_BAT => bat = Some(region),
            REGION_METADATA => metadata = Some(region),
            unknown if le32(entry, 28) & 1 != 0 => {
                return Err(unsupported(format!(
                    "it has a region {unknown}, which is not known"
                )));
            }
            _ => {}
        }
    }
    bat.zip(metadata)
        .ok_or_else(|| damaged("it lacks the block allocation table or metadata"))
}

#[derive(Default)]
struct Metadata {
    size: u64,
    block: u32,
    sector: u32,
}

impl Metadata {
    fn read(input: &mut Input, region: Region) -> io::Result<Self> {
        let table: [u8; TABLE_SIZE] = input.bytes(region.at)?;
        let count = usize::from(le16(&table, 10));
        if !table.starts_with(b"metadata") || count > MOST {
            return Err(damaged("its metadata is damaged"));
        }
        let mut found = Self::default();
        for entry in table[32..].chunks_exact(32).take(count) {
            found.take(input, region, entry)?;
        }
        if found.block == 0 || found.sector == 0 {
            return Err(damaged(
                "its metadata does not tell the size of blocks and sectors",
            ));
        }
        Ok(found)
    }

    /// Takes an item, if it matters.
    fn take(&mut self, input: &mut Input, region: Region, entry: &[u8]) -> io::Result<()> {
        let (item, offset) = (guid(entry, 0), u64::from(le32(entry, 16)));
        let is_required = le32(entry, 24) & 4 != 0;
        let at = region.at.checked_add(offset);
        let at = at.ok_or_else(|| damaged("an item of its metadata has no place"))?;
        match item {
            FILE_PARAMETERS => {
                let value: [u8; 8] = input.bytes(at)?;
                self.block = le32(&value, 0);
                if le32(&value, 4) & 2 != 0 {
                    return Err(unsupported(
                        "it is a difference to another disk, which is not opened",
                    ));
                }
            }
            VIRTUAL_SIZE => self.size = u64::from_le_bytes(input.bytes(at)?),
            LOGICAL_SECTOR => self.sector = u32::from_le_bytes(input.bytes(at)?),
            DISK_ID | PHYSICAL_SECTOR | PARENT_LOCATOR => {}
            _ if is_required => {
                return Err(unsupported(format!(
                    "its metadata has {item}, which is not known"
                )));
            }
            _ => {}
        }
        Ok(())
    }
}

impl Map for Blocks {
    fn place(&mut self, input: &mut Input, block: u64) -> io::Result<Place> {
        let entry = self.table.u64_le(input, block + block / self.ratio)?;
        match entry & 7 {
            // Not present, undefined, zero, unmapped.
            0..=3 => Ok(Place::Zeros { until: block + 1 }),
            FULLY_PRESENT => Ok(Place::At(entry & !(MIB - 1))),
            state => Err(damaged(format!(
                "a block is in state {state}, which only differencing disks have"
            ))),
        }
    }
}
