//! VHD, fixed and dynamic ("Virtual Hard Disk Image Format Specification", Microsoft, version 1.0). Differencing disks are
//! refused.
//!
//! The bitmap before each block of a dynamic disk, of sectors that were written, is not read: whoever takes a block fills it
//! with zeros, and others (QEMU among them) write sectors without a mark there.

use std::io;

use keel_artefact::Epoch;

use super::{Disk, FLAT, Flat, Input, Map, Place, Table, be32, be64, damaged, unsupported};
use crate::write::vhd::{EPOCH_2000, FOOTER, checksum};

pub(super) const MAGIC: &[u8; 8] = b"conectix";

const SECTOR: u64 = 512;
const LARGEST_BLOCK: u64 = 256 << 20;
/// An entry of a block that is not there.
const UNUSED: u32 = u32::MAX;

struct Blocks {
    table: Table,
    /// Bytes of the bitmap before each block.
    bitmap: u64,
}

pub(super) fn open(mut input: Input) -> io::Result<Disk> {
    let end = input.size.checked_sub(FOOTER);
    let end = end.ok_or_else(|| damaged("it is too short for a VHD"))?;
    let footer: [u8; FOOTER as usize] = input.bytes(end)?;
    if !footer.starts_with(MAGIC) {
        return Err(damaged("it does not end with the footer of a VHD"));
    }
    if be32(&footer, 64) != checksum(&footer, 64) {
        return Err(damaged("the checksum of its footer is wrong"));
    }
    let version = be32(&footer, 12);
    if version >> 16 != 1 {
        return Err(unsupported(format!("it is of version {}", version >> 16)));
    }
    let size = be64(&footer, 48);
    let mut disk = match be32(&footer, 60) {
        2 if size > end => return Err(damaged(format!("its disk has {size} bytes, and it has {end}"))),
        2 => Disk::new(input, Box::new(Flat::default()), size, FLAT),
        3 => dynamic(input, be64(&footer, 16), size)?,
        4 => {
            return Err(unsupported(
                "it is a difference to another disk, which is not opened",
            ));
        }
        kind => return Err(unsupported(format!("it is a disk of type {kind}"))),
    };
    disk.clock = Some(Epoch(EPOCH_2000 + u64::from(be32(&footer, 24))));
    Ok(disk)
}

fn dynamic(mut input: Input, at: u64, size: u64) -> io::Result<Disk> {
    let header: [u8; 1024] = input.bytes(at)?;
    if !header.starts_with(b"cxsparse") {
        return Err(damaged("it has no header of a dynamic disk"));
    }
    if be32(&header, 36) != checksum(&header, 36) {
        return Err(damaged("the checksum of its dynamic header is wrong"));
    }
    let block = u64::from(be32(&header, 32));
    if !block.is_power_of_two() || !(SECTOR..=LARGEST_BLOCK).contains(&block) {
        return Err(damaged(format!("its blocks have {block} bytes")));
    }
    let blocks = size.div_ceil(block);
    if blocks > u64::from(be32(&header, 28)) {
        return Err(damaged("its table is too short for its disk"));
    }
    let table = Table::new(&input, be64(&header, 16), blocks, 4, "block allocation table")?;
    let bitmap = block.div_ceil(SECTOR * 8).next_multiple_of(SECTOR);
    Ok(Disk::new(input, Box::new(Blocks { table, bitmap }), size, block))
}

impl Map for Blocks {
    fn place(&mut self, input: &mut Input, block: u64) -> io::Result<Place> {
        Ok(match self.table.u32_be(input, block)? {
            UNUSED => Place::Zeros { until: block + 1 },
            sector => Place::At(u64::from(sector) * SECTOR + self.bitmap),
        })
    }
}
