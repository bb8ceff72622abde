//! Files of ext2, ext3 and ext4, whoever made it.
//!
//! Structures: <https://docs.kernel.org/filesystems/ext4/>. Checksums are e2fsck's matter. One that was not unmounted is refused: what is
//! in its journal is not where it should be yet.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use super::{
    Contents, Entry, Kind, Names, archive, device,
    error::{damaged, unsupported},
    inodes::Inodes,
    le16, le32,
    volume::Volume,
    wide,
};
use crate::read::ext4::prefix;

/// The inode of the root folder.
const ROOT: u32 = 2;
/// The largest folder.
const LARGEST: u64 = 256 << 20;
/// The most pieces of a file.
const MOST_EXTENTS: usize = 4 << 20;
/// Magic number of attributes, in an inode and in a block.
const ATTRIBUTES: u32 = 0xEA02_0000;
/// What is understood of what must be: types in folders, extents, 64 bits, protection from two mounts, groups of groups, seed of
/// checksums, large folders, small files in inodes (each of which is refused), names without case.
const KNOWN: u32 = 0x2 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x2000 | 0x4000 | 0x8000 | 0x1_0000 | 0x2_0000;
/// The others, by name.
const NAMED: [(u32, &str); 5] = [
    (0x1, "compression"),
    (0x4, "a journal that was not replayed (it was not unmounted)"),
    (0x8, "a journal on another disk"),
    (0x10, "groups of descriptors (meta_bg)"),
    (0x1000, "data in folders (dirdata)"),
];

struct Ext4 {
    volume: Volume,
    block: u64,
    per_group: u32,
    inode: u64,
    inodes: u32,
    descriptors: u64,
    width: u64,
}

struct Inode {
    mode: u32,
    size: u64,
    flags: u32,
    raw: Vec<u8>,
}

/// All names of the file system.
pub(super) fn list(mut volume: Volume) -> io::Result<(Names, Box<dyn Contents>)> {
    let head = volume.bytes::<1024>(1024)?;
    let must = le32(&head, 0x60);
    if let Some((_, name)) = NAMED.iter().find(|(bit, _)| must & bit != 0) {
        return Err(unsupported(format!("its ext4 has {name}")));
    }
    if must & !KNOWN != 0 {
        return Err(unsupported(format!(
            "its ext4 has features {:#x}, which are not known",
            must & !KNOWN
        )));
    }
    let (log, per_group, in_group) = (le32(&head, 0x18), le32(&head, 0x28), le32(&head, 0x20));
    let inode = match le32(&head, 0x4C) {
        0 => 128,
        _ => u64::from(le16(&head, 0x58)),
    };
    let width = match (must & 0x80 != 0, u64::from(le16(&head, 0xFE))) {
        (true, width) => width,
        (false, _) => 32,
    };
    let is_sound = le16(&head, 0x38) == 0xEF53
        && log <= 6
        && per_group > 0
        && in_group > 0
        && (128..=4096).contains(&inode)
        && (32..=1024).contains(&width);
    if !is_sound {
        return Err(damaged("the superblock of its ext4"));
    }
    let block = 1024_u64 << log;
    let mut system = Ext4 {
        volume,
        block,
        per_group,
        inode,
        inodes: le32(&head, 0),
        descriptors: (u64::from(le32(&head, 0x14)) + 1) * block,
        width,
    };
    let names = system.names(ROOT)?;
    Ok((names, Box::new(system)))
}

impl Inodes for Ext4 {
    type Number = u32;
    type Inode = Inode;

    fn inode(&mut self, number: u32) -> io::Result<Inode> {
        if number == 0 || number > self.inodes {
            return Err(damaged(format!("it has no inode {number}")));
        }
        let (group, index) = ((number - 1) / self.per_group, (number - 1) % self.per_group);
        let at = self.descriptors + u64::from(group) * self.width;
        let low = self.volume.bytes::<4>(at + 8)?;
        let high = match self.width >= 64 {
            true => self.volume.bytes::<4>(at + 0x28)?,
            false => [0; 4],
        };
        let table = wide(le32(&high, 0), le32(&low, 0));
        let at = table.checked_mul(self.block);
        let at = at.and_then(|at| at.checked_add(u64::from(index) * self.inode));
        let raw = self
            .volume
            .vec(at.ok_or_else(|| damaged("a table of inodes"))?, self.inode)?;
        let mode = u32::from(le16(&raw, 0));
        // Of other kinds, the higher part was something else.
        let high = if mode >> 12 == 0o10 { le32(&raw, 0x6C) } else { 0 };
        Ok(Inode {
            mode,
            size: wide(high, le32(&raw, 4)),
            flags: le32(&raw, 0x20),
            raw,
        })
    }

    fn entry(&mut self, number: u32, inode: &Inode) -> io::Result<Entry> {
        let raw = &inode.raw;
        let id = |low, high| u32::from(le16(raw, low)) | u32::from(le16(raw, high)) << 16;
        let numbers = match (le32(raw, 0x28), le32(raw, 0x2C)) {
            (0, new) => device(new),
            (old, _) => (old >> 8 & 0xff, old & 0xff),
        };
        let kind = match inode.mode >> 12 {
            0o04 => Kind::Dir,
            0o10 => {
                self.is_plain(inode)?;
                Kind::File {
                    id: u64::from(number),
                    size: inode.size,
                }
            }
            0o12 if inode.size < 60 && inode.flags & 0x80000 == 0 => {
                Kind::Symlink(archive::target(&raw[0x28..0x28 + inode.size as usize])?)
            }
            0o12 if inode.size <= 4096 => {
                let mut bytes = Vec::new();
                self.content(inode, &mut bytes)?;
                Kind::Symlink(archive::target(&bytes)?)
            }
            _ => Kind::special(inode.mode, numbers)
                .ok_or_else(|| damaged(format!("inode {number} has the mode {:o}", inode.mode)))?,
        };
        let has_extra = raw.len() >= 0x90 && le16(raw, 0x80) >= 12;
        let extra = if has_extra { le32(raw, 0x88) & 3 } else { 0 };
        Ok(Entry {
            kind,
            mode: inode.mode & 0o7777,
            uid: id(0x2, 0x78),
            gid: id(0x18, 0x7A),
            mtime: i64::from(le32(raw, 0x10) as i32) + (i64::from(extra) << 32),
            xattrs: self.attributes(raw)?,
        })
    }

    fn folder(&mut self, _: u32, inode: &Inode) -> io::Result<Vec<(Vec<u8>, u32)>> {
        self.is_plain(inode)?;
        if inode.size > LARGEST || inode.size > self.volume.size() {
            return Err(damaged(format!("a folder has {} bytes", inode.size)));
        }
        let mut content = Vec::new();
        self.content(inode, &mut content)?;
        let mut names = Vec::new();
        for block in content.chunks_exact(self.block as usize) {
            let mut at = 0;
            while at + 8 <= block.len() {
                let inode = le32(block, at);
                let length = match usize::from(le16(block, at + 4)) {
                    0 | 0xFFFF if self.block == 0x1_0000 => 0x1_0000,
                    length => length,
                };
                let name = block.get(at + 8..at + 8 + usize::from(block[at + 6]));
                let name = name.ok_or_else(|| damaged("a name in a folder is cut off"))?;
                if inode != 0 && name != b"." && name != b".." {
                    names.push((name.to_vec(), inode));
                }
                if length < 8 {
                    return Err(damaged("a folder"));
                }
                at += length;
            }
        }
        Ok(names)
    }
}

impl Ext4 {
    fn is_plain(&self, inode: &Inode) -> io::Result<()> {
        match inode.flags {
            flags if flags & 0x800 != 0 => Err(unsupported("its ext4 has encrypted files")),
            flags if flags & 0x1000_0000 != 0 => {
                Err(unsupported("its ext4 has files within inodes (inline_data)"))
            }
            _ => Ok(()),
        }
    }

    fn content(&mut self, inode: &Inode, out: &mut dyn Write) -> io::Result<()> {
        self.is_plain(inode)?;
        let map = &inode.raw[0x28..0x64];
        if inode.flags & 0x80000 == 0 {
            return self.mapped(map, inode.size, out);
        }
        let mut extents = Vec::new();
        self.extents(map, 5, &mut extents)?;
        let mut done = 0;
        for (from, length, at) in extents {
            if from < done {
                return Err(damaged("a tree of extents has a place twice"));
            }
            if from >= inode.size {
                break;
            }
            self.volume.zeros(from - done, out)?;
            let want = length.min(inode.size - from);
            match at {
                Some(at) => self.volume.copy(at, want, out)?,
                None => self.volume.zeros(want, out)?,
            }
            done = from + want;
        }
        self.volume.zeros(inode.size - done, out)
    }

    /// From, how many, and where; nowhere: it was never written.
    fn extents(&mut self, node: &[u8], depth: u16, all: &mut Vec<(u64, u64, Option<u64>)>) -> io::Result<()> {
        let (magic, count, level) = (le16(node, 0), usize::from(le16(node, 2)), le16(node, 6));
        if magic != 0xF30A || level > depth || 12 + count * 12 > node.len() {
            return Err(damaged("a tree of extents"));
        }
        let size = self.block;
        let place = |high: u16, low| wide(u32::from(high), low).checked_mul(size);
        for entry in node[12..12 + count * 12].chunks_exact(12) {
            if level > 0 {
                let at = place(le16(entry, 8), le32(entry, 4));
                let at = at.ok_or_else(|| damaged("a tree of extents"))?;
                let below = self.volume.vec(at, self.block)?;
                // Each level lies below its own: so it ends.
                self.extents(&below, level - 1, all)?;
                continue;
            }
            let at = place(le16(entry, 6), le32(entry, 8)).ok_or_else(|| damaged("an extent"))?;
            let (length, at) = match u64::from(le16(entry, 4)) {
                length @ 0..=32768 => (length, Some(at)),
                length => (length - 32768, None),
            };
            all.push((u64::from(le32(entry, 0)) * self.block, length * self.block, at));
            if all.len() > MOST_EXTENTS {
                return Err(damaged(format!("a file has more than {MOST_EXTENTS} extents")));
            }
        }
        Ok(())
    }

    /// Blocks one by one, as ext2 has them: twelve, then blocks of them, in up to three levels.
    fn mapped(&mut self, map: &[u8], size: u64, out: &mut dyn Write) -> io::Result<()> {
        let mut left = size;
        for index in 0..15 {
            let level = (index as u32).saturating_sub(11);
            self.below(le32(map, index * 4), level, &mut left, out)?;
        }
        match left {
            0 => Ok(()),
            _ => Err(damaged("a file is larger than its blocks")),
        }
    }

    fn below(&mut self, block: u32, level: u32, left: &mut u64, out: &mut dyn Write) -> io::Result<()> {
        let holds = self.block * (self.block / 4).pow(level);
        let want = holds.min(*left);
        if want == 0 {
            return Ok(());
        }
        let at = u64::from(block) * self.block;
        match (block, level) {
            (0, _) => self.volume.zeros(want, out)?,
            (_, 0) => self.volume.copy(at, want, out)?,
            _ => {
                let table = self.volume.vec(at, self.block)?;
                for entry in table.chunks_exact(4) {
                    self.below(le32(entry, 0), level - 1, left, out)?;
                }
                return Ok(());
            }
        }
        *left -= want;
        Ok(())
    }

    fn attributes(&mut self, raw: &[u8]) -> io::Result<BTreeMap<String, Vec<u8>>> {
        let mut all = BTreeMap::new();
        if raw.len() > 0x82 {
            let inner = raw.get(128 + usize::from(le16(raw, 0x80))..).unwrap_or_default();
            if inner.len() > 8 && le32(inner, 0) == ATTRIBUTES {
                // Offsets count from the first entry.
                entries(&inner[4..], 0, &mut all)?;
            }
        }
        let outer = wide(u32::from(le16(raw, 0x76)), le32(raw, 0x68));
        if outer != 0 {
            let at = outer
                .checked_mul(self.block)
                .ok_or_else(|| damaged("a block of attributes"))?;
            let block = self.volume.vec(at, self.block)?;
            if le32(&block, 0) != ATTRIBUTES {
                return Err(damaged("a block of attributes"));
            }
            entries(&block, 32, &mut all)?;
        }
        Ok(all)
    }
}

impl Contents for Ext4 {
    fn copy(&mut self, id: u64, _: u64, out: &mut dyn Write) -> io::Result<()> {
        let number = u32::try_from(id).map_err(|_| damaged("an inode that is not there"))?;
        let inode = self.inode(number)?;
        self.content(&inode, out)
    }
}

/// The entries from `at` on; the places of their values count from the start of `bytes`.
fn entries(bytes: &[u8], mut at: usize, all: &mut BTreeMap<String, Vec<u8>>) -> io::Result<()> {
    while at + 16 <= bytes.len() && le32(bytes, at) != 0 {
        let (length, index) = (usize::from(bytes[at]), bytes[at + 1]);
        if le32(bytes, at + 4) != 0 {
            return Err(unsupported(
                "its ext4 has attributes in inodes of their own (ea_inode)",
            ));
        }
        let name = bytes.get(at + 16..at + 16 + length);
        let (from, size) = (usize::from(le16(bytes, at + 2)), le32(bytes, at + 8) as usize);
        let value = bytes.get(from..from.saturating_add(size));
        let (Some(name), Some(value)) = (name, value) else {
            return Err(damaged("an attribute"));
        };
        let prefix = prefix(index)
            .ok_or_else(|| unsupported(format!("its ext4 has attributes of the kind {index}")))?;
        let value = match index {
            2 | 3 => list_of_access(value)?,
            _ => value.to_vec(),
        };
        all.insert(format!("{prefix}{}", String::from_utf8_lossy(name)), value);
        at += 16 + length.next_multiple_of(4);
    }
    Ok(())
}

/// A list of who may do what, as the kernel shows it (`linux/posix_acl_xattr.h`): on the disk it is shorter.
fn list_of_access(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let wrong = || damaged("a list of access");
    let (version, mut rest) = bytes.split_at_checked(4).ok_or_else(wrong)?;
    if le32(version, 0) != 1 {
        return Err(wrong());
    }
    let mut list = 2_u32.to_le_bytes().to_vec();
    while !rest.is_empty() {
        // Those of a named user or group have a number.
        let length = match rest.len() >= 4 && matches!(le16(rest, 0), 0x2 | 0x8) {
            true => 8,
            false => 4,
        };
        let (entry, after) = rest.split_at_checked(length).ok_or_else(wrong)?;
        list.extend(&entry[..4]);
        list.extend(entry.get(4..8).unwrap_or(&[0xff; 4]));
        rest = after;
    }
    Ok(list)
}
