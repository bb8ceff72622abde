//! Files of EROFS: what mkfs.erofs 1.8 writes, but MicroLZMA.
//!
//! Format: <https://docs.kernel.org/filesystems/erofs.html>, and `fs/erofs/erofs_fs.h` of Linux, whose names are in the comments.
//! What is not read (other devices, 48 bits, prefixes of attributes) is refused by its name.

mod index;

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use super::{
    Contents, Entry, Kind, Names, archive, device,
    error::{damaged, unsupported},
    inodes::Inodes,
    le16, le32, le64, lz4,
    volume::Volume,
};
use index::{Extent, How, Map};

/// The largest folder.
const LARGEST: u64 = 256 << 20;
/// The most that is unpacked at once (`Z_EROFS_PCLUSTER_MAX_DSIZE` is less).
const MOST_AT_ONCE: u64 = 16 << 20;
/// What is understood of `feature_incompat`: padding before what is compressed, large clusters, chunks, two methods, tails, fragments.
const KNOWN: u32 = 0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x20;

struct Erofs {
    volume: Volume,
    /// Bytes of a block, as a power of two.
    bits: u32,
    features: u32,
    meta: u64,
    shared: u64,
    packed: u64,
    time: i64,
    /// The extents of the inode that was read last, and of that of fragments.
    maps: [Option<(u64, Map)>; 2],
    /// What was unpacked last: from this byte of the disk.
    unpacked: Option<(u64, Vec<u8>)>,
}

/// An inode.
struct Inode {
    layout: u16,
    mode: u32,
    size: u64,
    /// `i_u`: a block, a device, the format of chunks.
    union: u32,
    uid: u32,
    gid: u32,
    mtime: i64,
    /// Where its attributes are, and how many bytes of them.
    attributes: (u64, u64),
}

impl Inode {
    /// The first byte after it and its attributes.
    fn end(&self) -> u64 {
        self.attributes.0 + self.attributes.1
    }
}

/// All names of the file system.
pub(super) fn list(mut volume: Volume) -> io::Result<(Names, Box<dyn Contents>)> {
    let head = volume.bytes::<128>(1024)?;
    let features = le32(&head, 80);
    let named = [
        (0x40, "prefixes of attributes"),
        (0x80, "48 bits"),
        (0x100, "metabox"),
    ];
    if let Some((_, name)) = named.iter().find(|(bit, _)| features & bit != 0) {
        return Err(unsupported(format!("its EROFS has {name}")));
    }
    if features & !KNOWN != 0 {
        return Err(unsupported(format!(
            "its EROFS has features {:#x}, which are not known",
            features & !KNOWN
        )));
    }
    if le16(&head, 86) != 0 {
        return Err(unsupported("its EROFS has parts on other devices"));
    }
    let bits = u32::from(head[12]);
    if !(9..=16).contains(&bits) || head[90] != 0 {
        return Err(unsupported("its EROFS has blocks of another size"));
    }
    let mut system = Erofs {
        volume,
        bits,
        features,
        meta: u64::from(le32(&head, 40)) << bits,
        shared: u64::from(le32(&head, 44)) << bits,
        packed: le64(&head, 96),
        time: le64(&head, 24) as i64,
        maps: [None, None],
        unpacked: None,
    };
    let names = system.names(u64::from(le16(&head, 14)))?;
    Ok((names, Box::new(system)))
}

impl Inodes for Erofs {
    type Number = u64;
    type Inode = Inode;

    fn inode(&mut self, number: u64) -> io::Result<Inode> {
        let wrong = || damaged(format!("it has no inode {number}"));
        let at = number
            .checked_mul(32)
            .and_then(|at| at.checked_add(self.meta))
            .ok_or_else(wrong)?;
        let head = self.volume.bytes::<32>(at)?;
        let format = le16(&head, 0);
        if format >> 4 != 0 {
            return Err(unsupported(format!(
                "inode {number} of its EROFS has the format {format:#x}"
            )));
        }
        let attributes = match u64::from(le16(&head, 2)) {
            0 => 0,
            count => 12 + (count - 1) * 4,
        };
        let (mode, union) = (u32::from(le16(&head, 4)), le32(&head, 16));
        let layout = format >> 1;
        Ok(match format & 1 {
            0 => Inode {
                layout,
                mode,
                size: u64::from(le32(&head, 8)),
                union,
                uid: u32::from(le16(&head, 24)),
                gid: u32::from(le16(&head, 26)),
                mtime: self.time,
                attributes: (at + 32, attributes),
            },
            _ => {
                let more = self.volume.bytes::<16>(at + 32)?;
                Inode {
                    layout,
                    mode,
                    size: le64(&head, 8),
                    union,
                    uid: le32(&head, 24),
                    gid: le32(&head, 28),
                    mtime: le64(&more, 0) as i64,
                    attributes: (at + 64, attributes),
                }
            }
        })
    }

    fn entry(&mut self, number: u64, inode: &Inode) -> io::Result<Entry> {
        let kind = match inode.mode >> 12 {
            0o04 => Kind::Dir,
            0o10 => Kind::File {
                id: number,
                size: inode.size,
            },
            0o12 if inode.size <= 4096 => {
                let mut bytes = Vec::new();
                self.range(number, inode, 0, inode.size, &mut bytes)?;
                Kind::Symlink(archive::target(&bytes)?)
            }
            _ => Kind::special(inode.mode, device(inode.union))
                .ok_or_else(|| damaged(format!("inode {number} has the mode {:o}", inode.mode)))?,
        };
        Ok(Entry {
            kind,
            mode: inode.mode & 0o7777,
            uid: inode.uid,
            gid: inode.gid,
            mtime: inode.mtime,
            xattrs: self.attributes(inode)?,
        })
    }

    fn folder(&mut self, number: u64, inode: &Inode) -> io::Result<Vec<(Vec<u8>, u64)>> {
        if inode.size > LARGEST {
            return Err(damaged(format!("a folder has {} bytes", inode.size)));
        }
        let mut content = Vec::new();
        self.range(number, inode, 0, inode.size, &mut content)?;
        let mut names = Vec::new();
        for block in content.chunks(1 << self.bits) {
            let wrong = || damaged("a folder");
            if block.len() < 12 {
                return Err(wrong());
            }
            // Entries, then names, which begin where the first entry says.
            let first = usize::from(le16(block, 8));
            if first % 12 != 0 || first == 0 || first > block.len() {
                return Err(wrong());
            }
            for index in 0..first / 12 {
                let entry = &block[index * 12..];
                let from = usize::from(le16(entry, 8));
                let is_last = index + 1 == first / 12;
                let to = if is_last {
                    block.len()
                } else {
                    usize::from(le16(entry, 20))
                };
                let name = block.get(from..to).filter(|_| from >= first).ok_or_else(wrong)?;
                let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
                if name != b"." && name != b".." {
                    names.push((name.to_vec(), le64(entry, 0)));
                }
            }
        }
        Ok(names)
    }
}

impl Erofs {
    fn block(&self) -> u64 {
        1 << self.bits
    }

    /// Those after the inode (`erofs_xattr_ibody_header`), and those that several share.
    fn attributes(&mut self, inode: &Inode) -> io::Result<BTreeMap<String, Vec<u8>>> {
        let mut all = BTreeMap::new();
        let (at, size) = inode.attributes;
        if size == 0 {
            return Ok(all);
        }
        let bytes = self.volume.vec(at, size)?;
        let shared = usize::from(bytes[4]);
        let own = bytes
            .get(12 + shared * 4..)
            .ok_or_else(|| damaged("attributes"))?;
        for id in bytes[12..12 + shared * 4].chunks_exact(4) {
            let at = self.shared + u64::from(le32(id, 0)) * 4;
            let head = self.volume.bytes::<4>(at)?;
            let length = 4 + u64::from(head[0]) + u64::from(le16(&head, 2));
            let entry = self.volume.vec(at, length)?;
            attribute(&entry, &mut all)?;
        }
        let mut at = 0;
        while at + 4 <= own.len() && own[at..at + 4] != [0; 4] {
            at += attribute(&own[at..], &mut all)?.next_multiple_of(4);
        }
        Ok(all)
    }

    /// Gives a part of a file to `out`. All of it is within the file.
    fn range(
        &mut self,
        number: u64,
        inode: &Inode,
        from: u64,
        length: u64,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let block = self.block();
        match inode.layout {
            // Plain, and with the end after the inode.
            0 | 2 => {
                let whole = match inode.layout {
                    0 => inode.size,
                    _ => (inode.size.div_ceil(block).saturating_sub(1)) << self.bits,
                };
                let outer = length.min(whole.saturating_sub(from));
                if outer > 0 {
                    self.volume
                        .copy((u64::from(inode.union) << self.bits) + from, outer, out)?;
                }
                let inner = (from + outer).saturating_sub(whole);
                match length - outer {
                    0 => Ok(()),
                    rest if inode.size - whole <= block => self.volume.copy(inode.end() + inner, rest, out),
                    _ => Err(damaged("the end of a file is too long")),
                }
            }
            1 | 3 => self.compressed(number, inode, from, length, out),
            4 => self.chunks(inode, from, length, out),
            other => Err(unsupported(format!("its EROFS has files of the layout {other}"))),
        }
    }

    /// A file in pieces of the same size (`erofs_inode_chunk_index`).
    fn chunks(&mut self, inode: &Inode, mut from: u64, length: u64, out: &mut dyn Write) -> io::Result<()> {
        let (format, end) = (inode.union, from + length);
        if format & !0x3f != 0 {
            return Err(unsupported(format!(
                "its EROFS has chunks of the format {format:#x}"
            )));
        }
        let (bits, width) = (
            self.bits + (format & 0x1f),
            if format & 0x20 != 0 { 8 } else { 4 },
        );
        let table = inode.end().next_multiple_of(width);
        while from < end {
            let chunk = from.checked_shr(bits).unwrap_or(0);
            let entry = self.volume.vec(table + chunk * width, width)?;
            let place = match width {
                8 if le16(&entry, 2) != 0 => return Err(unsupported("its EROFS has parts on other devices")),
                8 if le16(&entry, 0) != 0 && le32(&entry, 4) != u32::MAX => {
                    return Err(unsupported("its EROFS has chunks beyond 32 bits"));
                }
                8 => le32(&entry, 4),
                _ => le32(&entry, 0),
            };
            let size = 1_u64.checked_shl(bits).unwrap_or(u64::MAX);
            let inner = from - chunk * size;
            let want = (size - inner).min(end - from);
            match place {
                u32::MAX => self.volume.zeros(want, out)?,
                place => self
                    .volume
                    .copy((u64::from(place) << self.bits) + inner, want, out)?,
            }
            from += want;
        }
        Ok(())
    }

    fn compressed(
        &mut self,
        number: u64,
        inode: &Inode,
        from: u64,
        length: u64,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let slot = usize::from(number == self.packed && self.features & 0x20 != 0);
        let map = match self.maps[slot].take() {
            Some((known, map)) if known == number => map,
            _ => index::map(&mut self.volume, self.bits, inode)?,
        };
        let given = self.extents(number, &map, from, from + length, out);
        self.maps[slot] = Some((number, map));
        given
    }

    fn extents(
        &mut self,
        number: u64,
        map: &Map,
        mut from: u64,
        end: u64,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let first = map
            .extents
            .partition_point(|extent| extent.from <= from)
            .saturating_sub(1);
        for extent in &map.extents[first..] {
            if from >= end {
                break;
            }
            let inner = from
                .checked_sub(extent.from)
                .filter(|inner| *inner < extent.length);
            let inner = inner.ok_or_else(|| damaged("a file has no content where it should"))?;
            let want = (extent.length - inner).min(end - from);
            match extent.how {
                How::Fragment { at } => {
                    if self.features & 0x20 == 0 || number == self.packed {
                        return Err(damaged("a fragment is where none should be"));
                    }
                    let packed = self.inode(self.packed)?;
                    let from = at
                        .checked_add(inner)
                        .filter(|from| from.checked_add(want).is_some_and(|end| end <= packed.size));
                    let from = from.ok_or_else(|| damaged("a fragment is not where it should be"))?;
                    self.range(self.packed, &packed, from, want, out)?;
                }
                _ => {
                    let bytes = self.unpack(extent)?;
                    let bytes = bytes.get(inner as usize..(inner + want) as usize);
                    out.write_all(bytes.ok_or_else(|| damaged("a cluster"))?)?;
                }
            }
            from += want;
        }
        match from < end {
            true => Err(damaged("a file has no content where it should")),
            false => Ok(()),
        }
    }

    /// What an extent holds.
    fn unpack(&mut self, extent: &Extent) -> io::Result<&[u8]> {
        let (at, size) = (extent.at, extent.length as usize);
        // Of the same cluster, files may have parts of different lengths.
        let is_known = self
            .unpacked
            .as_ref()
            .is_some_and(|(known, bytes)| *known == at && bytes.len() == size);
        if !is_known || matches!(extent.how, How::Interlaced) {
            self.unpacked = None;
            if extent.length > MOST_AT_ONCE {
                return Err(damaged(format!("a cluster unpacks to {size} bytes")));
            }
            let packed = self.volume.vec(at, extent.packed)?;
            let bytes = self.decoded(extent, &packed)?;
            self.unpacked = Some((at, bytes));
        }
        Ok(self.unpacked.as_ref().map_or(&[], |(_, bytes)| bytes))
    }

    fn decoded(&self, extent: &Extent, packed: &[u8]) -> io::Result<Vec<u8>> {
        let size = extent.length as usize;
        let short = || damaged("a cluster is too short");
        // What is compressed ends with its blocks.
        let padded = || {
            let zeros = match self.features & 0x1 {
                0 => 0,
                _ => packed.iter().take_while(|byte| **byte == 0).count(),
            };
            &packed[zeros..]
        };
        let stream = |mut reader: Box<dyn io::Read + '_>| -> io::Result<Vec<u8>> {
            let mut bytes = vec![0; size];
            reader
                .read_exact(&mut bytes)
                .map_err(|error| damaged(format!("a cluster cannot be unpacked: {error}")))?;
            Ok(bytes)
        };
        match extent.how {
            How::Shifted => Ok(packed.get(..size).ok_or_else(short)?.to_vec()),
            How::Interlaced => {
                // The first bytes are at the place in the block that they have in the file, the others at its start.
                let place = (extent.from & (self.block() - 1)) as usize;
                let head = size.min(packed.len().saturating_sub(place));
                let mut bytes = packed.get(place..place + head).ok_or_else(short)?.to_vec();
                bytes.extend(packed.get(..size - head).ok_or_else(short)?);
                Ok(bytes)
            }
            How::Method(0) => lz4::unpack(padded(), size).ok_or_else(|| damaged("a cluster of LZ4")),
            How::Method(1) => Err(unsupported("its EROFS is compressed with MicroLZMA")),
            How::Method(2) => stream(Box::new(flate2::read::DeflateDecoder::new(padded()))),
            How::Method(3) => stream(Box::new(zstd::Decoder::with_buffer(padded())?.single_frame())),
            How::Method(other) => Err(unsupported(format!(
                "its EROFS is compressed with method {other}"
            ))),
            How::Fragment { .. } => Err(damaged("a fragment is where none should be")),
        }
    }
}

impl Contents for Erofs {
    fn copy(&mut self, id: u64, size: u64, out: &mut dyn Write) -> io::Result<()> {
        let inode = self.inode(id)?;
        self.range(id, &inode, 0, size.min(inode.size), out)
    }
}

/// One attribute (`erofs_xattr_entry`) at the start of `bytes`, and how many bytes it has.
fn attribute(bytes: &[u8], all: &mut BTreeMap<String, Vec<u8>>) -> io::Result<usize> {
    let (length, index, size) = (usize::from(bytes[0]), bytes[1], usize::from(le16(bytes, 2)));
    let (name, value) = (bytes.get(4..4 + length), bytes.get(4 + length..4 + length + size));
    let (Some(name), Some(value)) = (name, value) else {
        return Err(damaged("an attribute"));
    };
    let prefix = match index {
        0 => "",
        1 => "user.",
        2 => "system.posix_acl_access",
        3 => "system.posix_acl_default",
        4 => "trusted.",
        5 => "lustre.",
        6 => "security.",
        other => {
            return Err(unsupported(format!(
                "its EROFS has attributes of the kind {other}"
            )));
        }
    };
    all.insert(
        format!("{prefix}{}", String::from_utf8_lossy(name)),
        value.to_vec(),
    );
    Ok(4 + length + size)
}
