//! Reads an ext4 file system that was just made, to compare it with what it was made of.
//!
//! Structures: <https://docs.kernel.org/filesystems/ext4/>. It knows what mke2fs writes with the features of
//! [`keel_host::mkfs_ext4`] (extents, blocks of 4 KiB, no inline data) and refuses all else; checksums are e2fsck's matter.

use std::{
    collections::BTreeMap,
    io::{self, Read},
    os::unix::fs::FileExt,
};

use keel_host::mkfs_ext4::BLOCK;

/// The inode of the root folder.
pub const ROOT: u32 = 2;
/// What no file is larger than that is read at once: a folder, a link, a block of attributes.
const MOST: u64 = 256 << 20;
/// Magic number of attributes, in an inode and in a block.
const ATTRIBUTES: u32 = 0xEA02_0000;

/// A file system in a file.
#[derive(Debug)]
pub struct Ext4<'a> {
    file: &'a std::fs::File,
    /// Inodes of a group, and bytes of one.
    per_group: u32,
    inode: usize,
    /// Where the inodes of each group are, in bytes.
    tables: Vec<u64>,
    /// Blocks that nothing uses.
    pub free: u64,
}

/// An inode.
#[derive(Debug, Clone)]
pub struct Inode {
    /// Kind and permission bits, as in stat(2).
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Seconds since 1970 of the last change to its content, to itself, and of the last use.
    pub times: [u32; 3],
    /// Bytes of its content.
    pub size: u64,
    /// How many names it has.
    pub links: u16,
    raw: Vec<u8>,
}

impl<'a> Ext4<'a> {
    /// Opens the file system.
    pub fn open(file: &'a std::fs::File) -> io::Result<Self> {
        let mut block = [0; 1024];
        file.read_exact_at(&mut block, 1024)?;
        let (blocks, per_group) = (u64::from(u32_at(&block, 0x4)), u32_at(&block, 0x28));
        let blocks = blocks | u64::from(u32_at(&block, 0x150)) << 32;
        let known = u16_at(&block, 0x38) == 0xEF53 && u32_at(&block, 0x18) == 2 && u16_at(&block, 0xFE) == 64;
        let (in_group, inode) = (u64::from(u32_at(&block, 0x20)), usize::from(u16_at(&block, 0x58)));
        if !known || in_group == 0 || per_group == 0 || inode < 160 {
            return Err(damaged("it is no ext4 as Keel makes it"));
        }
        let groups = blocks.div_ceil(in_group);
        if groups * 64 > MOST {
            return Err(damaged("it is too large"));
        }
        let mut descriptors = vec![0; groups as usize * 64];
        file.read_exact_at(&mut descriptors, BLOCK)?;
        let table = |descriptor: &[u8]| wide(u32_at(descriptor, 0x28), u32_at(descriptor, 8)) * BLOCK;
        Ok(Self {
            file,
            per_group,
            inode,
            tables: descriptors.chunks_exact(64).map(table).collect(),
            free: wide(u32_at(&block, 0x158), u32_at(&block, 0xC)),
        })
    }

    /// An inode by its number.
    pub fn inode(&self, number: u32) -> io::Result<Inode> {
        let index = number.checked_sub(1).ok_or_else(|| damaged("inode 0"))?;
        let table = self.tables.get((index / self.per_group) as usize);
        let table = table.ok_or_else(|| damaged("an inode that is not there"))?;
        let mut raw = vec![0; self.inode];
        let at = table + u64::from(index % self.per_group) * self.inode as u64;
        self.file.read_exact_at(&mut raw, at)?;
        let id = |low, high| u32::from(u16_at(&raw, low)) | u32::from(u16_at(&raw, high)) << 16;
        Ok(Inode {
            mode: u32::from(u16_at(&raw, 0)),
            uid: id(0x2, 0x78),
            gid: id(0x18, 0x7A),
            times: [0x10, 0xC, 0x8].map(|at| u32_at(&raw, at)),
            size: wide(u32_at(&raw, 0x6C), u32_at(&raw, 0x4)),
            links: u16_at(&raw, 0x1A),
            raw,
        })
    }

    /// The names in a folder, but for itself and its parent, with the inodes that they are names of.
    pub fn names(&self, folder: &Inode) -> io::Result<Vec<(String, u32)>> {
        let content = self.whole(folder)?;
        let mut names = Vec::new();
        for block in content.chunks_exact(BLOCK as usize) {
            let mut at = 0;
            while at + 8 <= block.len() {
                let (inode, length) = (u32_at(block, at), usize::from(u16_at(block, at + 4)));
                let name = block.get(at + 8..at + 8 + usize::from(block[at + 6]));
                let name = name.ok_or_else(|| damaged("a name that is cut off"))?;
                if inode != 0 && name != b"." && name != b".." {
                    let name = String::from_utf8(name.to_vec());
                    names.push((name.map_err(|_| damaged("a name that is no text"))?, inode));
                }
                if length < 8 {
                    return Err(damaged("a folder"));
                }
                at += length;
            }
        }
        Ok(names)
    }

    /// Where a symbolic link leads.
    pub fn target(&self, link: &Inode) -> io::Result<String> {
        let bytes = match link.size {
            0..60 => link.raw[0x28..0x28 + link.size as usize].to_vec(),
            _ => self.whole(link)?,
        };
        String::from_utf8(bytes).map_err(|_| damaged("a link that is no text"))
    }

    /// The content of a file.
    pub fn open_file<'b>(&'b self, file: &Inode) -> io::Result<Content<'b>> {
        let mut extents = Vec::new();
        self.extents(&file.raw[0x28..0x64], 5, &mut extents)?;
        extents.sort_by_key(|extent| extent.from);
        Ok(Content {
            file: self.file,
            extents,
            size: file.size,
            at: 0,
        })
    }

    /// Extended attributes by their full names.
    pub fn attributes(&self, inode: &Inode) -> io::Result<BTreeMap<String, Vec<u8>>> {
        let mut all = BTreeMap::new();
        let start = 128 + usize::from(u16_at(&inode.raw, 0x80));
        let inner = inode.raw.get(start..).unwrap_or_default();
        if inner.len() > 8 && u32_at(inner, 0) == ATTRIBUTES {
            // Offsets count from the first entry.
            entries(&inner[4..], 0, &mut all)?;
        }
        let outer = wide(u32::from(u16_at(&inode.raw, 0x76)), u32_at(&inode.raw, 0x68));
        if outer != 0 {
            let mut block = vec![0; BLOCK as usize];
            self.file.read_exact_at(&mut block, outer * BLOCK)?;
            if u32_at(&block, 0) != ATTRIBUTES {
                return Err(damaged("a block of attributes"));
            }
            entries(&block, 32, &mut all)?;
        }
        Ok(all)
    }

    fn whole(&self, inode: &Inode) -> io::Result<Vec<u8>> {
        if inode.size > MOST {
            return Err(damaged("a folder or link that is too large"));
        }
        let mut bytes = Vec::with_capacity(inode.size as usize);
        self.open_file(inode)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// The extents of a node of their tree, which has at most `depth` levels below it.
    fn extents(&self, node: &[u8], depth: u16, all: &mut Vec<Extent>) -> io::Result<()> {
        let (magic, count, level) = (u16_at(node, 0), usize::from(u16_at(node, 2)), u16_at(node, 6));
        if magic != 0xF30A || level > depth || 12 + count * 12 > node.len() {
            return Err(damaged("a tree of extents"));
        }
        for entry in node[12..12 + count * 12].chunks_exact(12) {
            if level > 0 {
                let mut below = vec![0; BLOCK as usize];
                let at = wide(u32::from(u16_at(entry, 8)), u32_at(entry, 4));
                self.file.read_exact_at(&mut below, at * BLOCK)?;
                self.extents(&below, level - 1, all)?;
                continue;
            }
            let length = u64::from(u16_at(entry, 4));
            // A longer one is space that was never written.
            if length <= 32768 {
                all.push(Extent {
                    from: u64::from(u32_at(entry, 0)) * BLOCK,
                    bytes: length * BLOCK,
                    at: wide(u32::from(u16_at(entry, 6)), u32_at(entry, 8)) * BLOCK,
                });
            }
        }
        Ok(())
    }
}

impl Inode {
    /// Major and minor number of a device.
    pub fn device(&self) -> (u32, u32) {
        let (old, new) = (u32_at(&self.raw, 0x28), u32_at(&self.raw, 0x2C));
        match old {
            0 => ((new & 0xf_ff00) >> 8, new & 0xff | (new >> 12) & 0xf_ff00),
            _ => (old >> 8 & 0xff, old & 0xff),
        }
    }
}

/// A part of a file that lies in one piece.
#[derive(Debug)]
struct Extent {
    from: u64,
    bytes: u64,
    at: u64,
}

/// Reads a file from its start.
#[derive(Debug)]
pub struct Content<'a> {
    file: &'a std::fs::File,
    extents: Vec<Extent>,
    size: u64,
    at: u64,
}

impl Read for Content<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.size - self.at;
        let next = self.extents.partition_point(|extent| extent.from <= self.at);
        let here = next.checked_sub(1).map(|index| &self.extents[index]);
        let here = here.filter(|extent| self.at < extent.from + extent.bytes);
        let until = match (here, self.extents.get(next)) {
            (Some(extent), _) => extent.from + extent.bytes,
            (None, Some(extent)) => extent.from,
            (None, None) => self.size,
        };
        let want = (buffer.len() as u64).min(left).min(until - self.at) as usize;
        match here {
            Some(extent) => {
                let at = extent.at + (self.at - extent.from);
                self.file.read_exact_at(&mut buffer[..want], at)?;
            }
            None => buffer[..want].fill(0),
        }
        self.at += want as u64;
        Ok(want)
    }
}

/// How names of attributes of a kind begin (`fs/ext4/xattr.h`); none: the kind is not known.
pub(crate) fn prefix(kind: u8) -> Option<&'static str> {
    Some(match kind {
        0 => "",
        1 => "user.",
        2 => "system.posix_acl_access",
        3 => "system.posix_acl_default",
        4 => "trusted.",
        6 => "security.",
        7 => "system.",
        _ => return None,
    })
}

/// The entries from `at` on; the places of their values count from the start of `bytes`.
fn entries(bytes: &[u8], mut at: usize, all: &mut BTreeMap<String, Vec<u8>>) -> io::Result<()> {
    while at + 16 <= bytes.len() && u32_at(bytes, at) != 0 {
        let prefix = prefix(bytes[at + 1]).unwrap_or_default();
        let name = bytes.get(at + 16..at + 16 + usize::from(bytes[at]));
        let (from, size) = (usize::from(u16_at(bytes, at + 2)), u32_at(bytes, at + 8) as usize);
        let value = bytes.get(from..from.saturating_add(size));
        let (Some(name), Some(value)) = (name, value) else {
            return Err(damaged("an attribute"));
        };
        let name = format!("{prefix}{}", String::from_utf8_lossy(name));
        all.insert(name, value.to_vec());
        at += 16 + usize::from(bytes[at]).next_multiple_of(4);
    }
    Ok(())
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the file system is damaged: {what}"),
    )
}

fn wide(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
