//! Where the parts of a compressed file are: its logical clusters, one by one, as `fs/erofs/zmap.c` of Linux reads them.

use std::io;

use super::{super::volume::Volume, Inode};
use crate::files::{
    error::{damaged, unsupported},
    le16, le32,
};

/// The most logical clusters of a file: 32 GiB of 4 KiB each.
const MOST: u64 = 8 << 20;
/// `Z_EROFS_LI_D0_CBLKCNT`: it is the number of blocks, not a distance.
const COUNT: u32 = 1 << 11;

/// How an extent is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// As it is, from the first byte of its block.
    Shifted,
    /// As it is, rotated.
    Interlaced,
    /// Compressed.
    Method(u8),
    /// In the file of fragments, from this byte on.
    Fragment {
        /// The byte.
        at: u64,
    },
}

/// A part of a file that is read at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    /// The first byte in the file.
    pub(super) from: u64,
    /// How many.
    pub(super) length: u64,
    /// The first byte on the disk.
    pub(super) at: u64,
    /// How many there.
    pub(super) packed: u64,
    pub(super) how: How,
}

/// A file's extents, in their order.
#[derive(Debug)]
pub(super) struct Map {
    pub(super) extents: Vec<Extent>,
}

/// What is said of one logical cluster.
#[derive(Debug, Clone, Copy)]
enum Cluster {
    /// An extent begins in it, after so many bytes; at this block.
    Head { kind: u32, offset: u64, block: u32 },
    /// None does. If it is the second of an extent, it may say how many blocks that has.
    Inner { blocks: Option<u32> },
}

/// The extents of a compressed inode.
pub(super) fn map(volume: &mut Volume, bits: u32, inode: &Inode) -> io::Result<Map> {
    let at = inode.end().next_multiple_of(8);
    let head = volume.bytes::<8>(at)?;
    if head[7] & 0x80 != 0 {
        // All of it is a fragment.
        let place = u64::from_le_bytes(head) & !(1 << 63);
        let how = How::Fragment { at: place };
        return Ok(Map {
            extents: vec![Extent {
                from: 0,
                length: inode.size,
                at: 0,
                packed: 0,
                how,
            }],
        });
    }
    let (advise, methods) = (le16(&head, 4), head[6]);
    if advise & !0x3f != 0 || (inode.layout == 1 && advise & 0x1 != 0) {
        return Err(unsupported(format!(
            "its EROFS has an index of the kind {advise:#x}"
        )));
    }
    let cluster_bits = bits + u32::from(head[7] & 7);
    let count = inode.size.div_ceil(1 << cluster_bits);
    if count > MOST || head[7] & 0x78 != 0 {
        return Err(unsupported(format!("its EROFS has a file of {count} clusters")));
    }
    let index = Index {
        compact: inode.layout == 3,
        base: at + 8,
        bits: cluster_bits,
        count,
        two: advise & 0x1 != 0,
        large: advise & 0x2 != 0,
    };
    let mut extents: Vec<Extent> = Vec::new();
    let mut heads: Vec<u32> = Vec::new();
    let mut is_second = false;
    for number in 0..count {
        match index.cluster(volume, number)? {
            Cluster::Head { kind, offset, block } => {
                let from = (number << cluster_bits) + offset;
                if from >= inode.size {
                    // The rest of the last cluster belongs to nobody.
                    break;
                }
                if let Some(last) = extents.last_mut() {
                    let length = from.checked_sub(last.from).filter(|length| *length > 0);
                    last.length = length.ok_or_else(|| damaged("an extent has no length"))?;
                } else if from != 0 {
                    return Err(damaged("the first extent of a file is not at its start"));
                }
                extents.push(Extent {
                    from,
                    length: inode.size - from,
                    at: u64::from(block) << bits,
                    packed: 1 << bits,
                    how: match kind {
                        0 if advise & 0x10 != 0 => How::Interlaced,
                        0 => How::Shifted,
                        1 => How::Method(methods & 15),
                        _ => How::Method(methods >> 4),
                    },
                });
                heads.push(kind);
                is_second = true;
            }
            Cluster::Inner { blocks } => {
                let (Some(last), Some(kind)) = (extents.last_mut(), heads.last()) else {
                    return Err(damaged("the first extent of a file is not at its start"));
                };
                let is_large = match kind {
                    1 => advise & 0x2 != 0,
                    _ => advise & 0x4 != 0 || (*kind == 0 && advise & 0x2 != 0),
                };
                if let Some(blocks) = blocks.filter(|_| is_second && is_large) {
                    last.packed = u64::from(blocks) << bits;
                }
                is_second = false;
            }
        }
    }
    if let Some(last) = extents.last_mut() {
        if advise & 0x8 != 0 {
            // The end of the file lies after the index.
            if last.how == How::Interlaced {
                return Err(unsupported("its EROFS has a rotated end of a file"));
            }
            last.at = index.end();
            last.packed = u64::from(le16(&head, 2));
        } else if advise & 0x20 != 0 {
            let at = u64::from(le32(&head, 0));
            last.how = How::Fragment { at };
        }
    }
    Ok(Map { extents })
}

struct Index {
    compact: bool,
    base: u64,
    /// Of a logical cluster.
    bits: u32,
    count: u64,
    /// Are there packs of two bytes to a cluster?
    two: bool,
    large: bool,
}

impl Index {
    /// Clusters in packs of two before the first pack of 16, and how many are in packs of 16.
    fn packs(&self) -> (u64, u64) {
        let first = (32 - self.base % 32) / 4 % 8;
        match self.two && first < self.count {
            true => (first, (self.count - first) / 16 * 16),
            false => (first, 0),
        }
    }

    /// Where the entry of a cluster is, and how many bytes it has on average.
    fn place(&self, number: u64) -> (u64, u64) {
        if !self.compact {
            return (self.base + 8 + number * 8, 8);
        }
        let (first, sixteen) = self.packs();
        match number {
            number if number < first => (self.base + number * 4, 4),
            number if number - first < sixteen => (self.base + first * 4 + (number - first) * 2, 2),
            number => (
                self.base + first * 4 + sixteen * 2 + (number - first - sixteen) * 4,
                4,
            ),
        }
    }

    /// The first byte after the entry of the last cluster, and after the pack that it is in.
    fn end(&self) -> u64 {
        let (at, width) = self.place(self.count - 1);
        let pack = match width {
            8 => return at + 8,
            4 => 8,
            _ => 32,
        };
        at / pack * pack + pack
    }

    fn cluster(&self, volume: &mut Volume, number: u64) -> io::Result<Cluster> {
        let (at, width) = self.place(number);
        if width == 8 {
            let entry = volume.bytes::<8>(at)?;
            return Ok(match le16(&entry, 0) & 3 {
                2 => Cluster::Inner {
                    blocks: counted(u32::from(le16(&entry, 4))),
                },
                kind => self.head(u32::from(kind), u32::from(le16(&entry, 2)), le32(&entry, 4))?,
            });
        }
        let (entries, most) = if width == 4 { (2, 14) } else { (16, 12) };
        if self.bits > most {
            return Err(unsupported("its EROFS has clusters of an unusual size"));
        }
        let size = entries * width;
        let pack = volume.vec(at / size * size, size)?;
        // Between the entries and the number of a block, no bit is left over.
        let (each, low) = ((size - 4) * 8 / entries, self.bits.max(12));
        let entry = |index: i64| -> (u32, u32) {
            let bit = index as u64 * each;
            let byte = (bit / 8) as usize;
            let mut four = [0; 4];
            four.copy_from_slice(&pack[byte..byte + 4]);
            let value = u32::from_le_bytes(four) >> (bit % 8);
            (value & ((1 << low) - 1), value >> low & 3)
        };
        let mut index = (at % size / width) as i64;
        let (value, kind) = entry(index);
        if kind == 2 {
            return Ok(Cluster::Inner {
                blocks: counted(value),
            });
        }
        // The pack has the block before its first; each extent that begins before this one in it has some.
        let mut blocks = u32::from(!self.large);
        while index > 0 {
            index -= 1;
            let (value, kind) = entry(index);
            match (kind, self.large) {
                (2, false) => {
                    index -= i64::from(value);
                    blocks += u32::from(index >= 0);
                }
                (2, true) => match counted(value) {
                    Some(count) => {
                        index -= 1;
                        blocks = blocks.saturating_add(count);
                    }
                    None if value <= 1 => return Err(damaged("an index of clusters")),
                    None => index -= i64::from(value) - 2,
                },
                _ => blocks += 1,
            }
        }
        let before = le32(&pack, size as usize - 4);
        self.head(kind, value, before.wrapping_add(blocks))
    }

    fn head(&self, kind: u32, offset: u32, block: u32) -> io::Result<Cluster> {
        let offset = u64::from(offset);
        match offset < 1 << self.bits {
            true => Ok(Cluster::Head { kind, offset, block }),
            false => Err(damaged("an extent begins beyond its cluster")),
        }
    }
}

fn counted(value: u32) -> Option<u32> {
    (value & COUNT != 0).then_some(value & (COUNT - 1))
}
