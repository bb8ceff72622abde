//! QEMU's format, versions 2 and 3 (docs/interop/qcow2.txt of QEMU). Backing files, encryption, external data and extended L2
//! entries are refused; so are internal snapshots' states, which are not the disk: what is active is read.

use std::io;

use flate2::{Decompress, FlushDecompress};

use super::{Disk, Input, Map, Place, Table, be32, be64, damaged, unsupported};
use crate::write::qcow2::{COMPRESSED, COMPRESSION_TYPE};

pub(super) const MAGIC: &[u8; 4] = b"QFI\xfb";

/// Bits of an entry that are a place in the file.
const PLACE: u64 = 0x00ff_ffff_ffff_fe00;
/// Bit 0 of an L2 entry of version 3: zeros, whatever the place.
const ZEROS: u64 = 1;

// Incompatible features.
const DIRTY: u64 = 1;
const CORRUPT: u64 = 1 << 1;
const EXTERNAL_DATA: u64 = 1 << 2;
const EXTENDED_L2: u64 = 1 << 4;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Compression {
    Deflate,
    Zstd,
}

struct Clusters {
    version: u32,
    bits: u32,
    compression: Compression,
    l1: Table,
    /// The L2 table that was used last, and its place.
    l2: Option<(u64, Table)>,
}

pub(super) fn open(mut input: Input) -> io::Result<Disk> {
    let head: [u8; 72] = input.bytes(0)?;
    if !head.starts_with(MAGIC) {
        return Err(damaged("it does not begin as qcow2 does"));
    }
    let version = be32(&head, 4);
    let (features, compression) = match version {
        2 => (0, Compression::Deflate),
        3 => {
            let more: [u8; 32] = input.bytes(72)?;
            features(&mut input, be64(&more, 0), be32(&more, 28))?
        }
        _ => return Err(unsupported(format!("it is of version {version}, not 2 or 3"))),
    };
    if features & CORRUPT != 0 {
        return Err(damaged(
            "it is marked as corrupt: `qemu-img check -r all` may mend it",
        ));
    }
    if be64(&head, 8) != 0 {
        return Err(unsupported(
            "it is a difference to a backing file, which is not opened; `qemu-img rebase -b ''` makes it whole",
        ));
    }
    if be32(&head, 32) != 0 {
        return Err(unsupported("it is encrypted"));
    }
    let bits = be32(&head, 20);
    if !(9..=21).contains(&bits) {
        return Err(damaged(format!(
            "its clusters have 2^{bits} bytes, not 512 to 2 MiB"
        )));
    }
    let (size, cluster) = (be64(&head, 24), 1_u64 << bits);
    let needed = size.div_ceil(cluster).div_ceil(cluster / 8);
    if needed > u64::from(be32(&head, 36)) {
        return Err(damaged("its L1 table is too short for its disk"));
    }
    let l1 = Table::new(&input, be64(&head, 40), needed, 8, "L1 table")?;
    let clusters = Clusters {
        version,
        bits,
        compression,
        l1,
        l2: None,
    };
    let mut disk = Disk::new(input, Box::new(clusters), size, cluster);
    // QEMU itself leaves out the end of the last cluster where that is zeros.
    disk.open_end = true;
    Ok(disk)
}

/// Incompatible features of version 3, as far as they are known, and how clusters are compressed.
fn features(input: &mut Input, features: u64, header: u32) -> io::Result<(u64, Compression)> {
    if features & EXTERNAL_DATA != 0 {
        return Err(unsupported("its data lies in another file, which is not opened"));
    }
    if features & EXTENDED_L2 != 0 {
        return Err(unsupported("it has extended L2 entries"));
    }
    // `DIRTY` is about refcounts, which nobody needs who only reads.
    let unknown = features & !(DIRTY | CORRUPT | COMPRESSION_TYPE);
    if unknown != 0 {
        return Err(unsupported(format!(
            "it has features that are not known: {unknown:#x}"
        )));
    }
    if features & COMPRESSION_TYPE == 0 {
        return Ok((features, Compression::Deflate));
    }
    if header < 105 {
        return Err(damaged("its header ends before the type of compression"));
    }
    let [kind] = input.bytes(104)?;
    match kind {
        0 => Ok((features, Compression::Deflate)),
        1 => Ok((features, Compression::Zstd)),
        _ => Err(unsupported(format!("it is compressed with method {kind}"))),
    }
}

impl Map for Clusters {
    fn place(&mut self, input: &mut Input, cluster: u64) -> io::Result<Place> {
        let entries = 1_u64 << (self.bits - 3);
        let (table, index) = (cluster / entries, cluster % entries);
        let at = self.l1.u64_be(input, table)? & PLACE;
        if at == 0 {
            let until = (table + 1) * entries;
            return Ok(Place::Zeros { until });
        }
        if self.l2.as_ref().is_none_or(|(known, _)| *known != at) {
            self.aligned(at, "L2 table")?;
            input.spend(1 << self.bits)?;
            self.l2 = Some((at, Table::new(input, at, entries, 8, "L2 table")?));
        }
        let Some((_, table)) = &mut self.l2 else {
            return Err(damaged("it has no L2 table"));
        };
        let entry = table.u64_be(input, index)?;
        if entry & COMPRESSED != 0 {
            return self.packed(input, entry);
        }
        let at = entry & PLACE;
        if at == 0 || (self.version == 3 && entry & ZEROS != 0) {
            return Ok(Place::Zeros { until: cluster + 1 });
        }
        self.aligned(at, "cluster")?;
        Ok(Place::At(at))
    }

    fn unpack(&self, bytes: &[u8], block: &mut [u8]) -> io::Result<()> {
        let wrong = || damaged("a compressed cluster is not what it should be");
        let length = match self.compression {
            Compression::Deflate => {
                let mut inflate = Decompress::new(false);
                // Bytes after the end are the next cluster's.
                inflate
                    .decompress(bytes, block, FlushDecompress::Finish)
                    .map_err(|_| wrong())?;
                inflate.total_out()
            }
            Compression::Zstd => unpack_zstd(bytes, block).ok_or_else(wrong)? as u64,
        };
        if length == block.len() as u64 {
            Ok(())
        } else {
            Err(wrong())
        }
    }
}

impl Clusters {
    fn aligned(&self, at: u64, what: &str) -> io::Result<()> {
        if at.is_multiple_of(1 << self.bits) {
            return Ok(());
        }
        Err(damaged(format!(
            "a place of a {what}, {at}, is no multiple of its clusters"
        )))
    }

    fn packed(&self, input: &Input, entry: u64) -> io::Result<Place> {
        let shift = 62 - (self.bits - 8);
        let at = entry & ((1 << shift) - 1);
        let sectors = ((entry & (COMPRESSED - 1)) >> shift) + 1;
        let length = sectors * 512 - at % 512;
        // Of the last sector of a file, only what is needed need be there.
        match input.size.checked_sub(at) {
            None | Some(0) => Err(damaged(format!(
                "a compressed cluster lies at {at}, after the end"
            ))),
            Some(left) => Ok(Place::Packed {
                at,
                length: length.min(left),
            }),
        }
    }
}

/// Unpacks one frame after the other until the block is full: of what comes then, nobody knows whose it is. None if something
/// is wrong. Needs no memory but the block.
fn unpack_zstd(mut bytes: &[u8], block: &mut [u8]) -> Option<usize> {
    let mut context = zstd::zstd_safe::DCtx::create();
    let mut done = 0;
    while done < block.len() && !bytes.is_empty() {
        let frame = zstd::zstd_safe::find_frame_compressed_size(bytes).ok()?;
        let (this, rest) = bytes.split_at_checked(frame)?;
        done += context.decompress(&mut block[done..], this).ok()?;
        bytes = rest;
    }
    Some(done)
}
