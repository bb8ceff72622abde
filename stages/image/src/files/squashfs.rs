//! Files of SquashFS 4.0, compressed with gzip, xz, lz4 or zstd.
//!
//! Structures: `fs/squashfs/squashfs_fs.h` of Linux, whose names are in the comments.

mod metadata;

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use super::{
    Contents, Entry, Kind, Names, archive, device,
    error::{damaged, unsupported},
    inodes::Inodes,
    le16, le32, le64,
    volume::Volume,
};
use metadata::{Blocks, Method, Place};

/// The largest folder.
const LARGEST: u64 = 256 << 20;
/// The most blocks of one file.
const MOST_BLOCKS: u64 = 64 << 20;
/// No such table, fragment or attribute.
const NONE: u32 = u32::MAX;
/// The most bytes of attributes that one file has.
const MOST_ATTRIBUTES: usize = 1 << 20;

struct Squashfs {
    blocks: Blocks,
    block: u64,
    inodes: u64,
    folders: u64,
    ids: Vec<u32>,
    fragments: Vec<(u64, u32)>,
    attributes: Option<Attributes>,
    /// The fragment that was unpacked last.
    fragment: Option<(u32, Vec<u8>)>,
}

/// Where attributes are (`squashfs_xattr_id_table`).
struct Attributes {
    start: u64,
    /// Place, how many, for each number.
    lists: Vec<(u64, u32)>,
}

struct Inode {
    kind: u16,
    mode: u16,
    uid: u32,
    gid: u32,
    mtime: u32,
    attributes: u32,
    what: What,
}

enum What {
    Dir {
        place: Place,
        size: u64,
    },
    File {
        start: u64,
        size: u64,
        fragment: u32,
        offset: u32,
        sizes: Place,
    },
    Symlink(Vec<u8>),
    Device(u32),
    Other,
}

/// All names of the file system.
pub(super) fn list(mut volume: Volume) -> io::Result<(Names, Box<dyn Contents>)> {
    let head = volume.bytes::<96>(0)?;
    if &head[..4] != b"hsqs" || le16(&head, 28) != 4 {
        return Err(unsupported("its SquashFS is not of version 4"));
    }
    let method = match le16(&head, 20) {
        1 => Method::Gzip,
        4 => Method::Xz,
        5 => Method::Lz4,
        6 => Method::Zstd,
        2 => return Err(unsupported("its SquashFS is compressed with lzma")),
        3 => return Err(unsupported("its SquashFS is compressed with lzo")),
        other => {
            return Err(unsupported(format!(
                "its SquashFS is compressed with method {other}"
            )));
        }
    };
    let block = u64::from(le32(&head, 12));
    if !(4096..=1 << 20).contains(&block) || !block.is_power_of_two() {
        return Err(damaged("the superblock of its SquashFS"));
    }
    let mut system = Squashfs {
        blocks: Blocks::new(volume, method),
        block,
        inodes: le64(&head, 64),
        folders: le64(&head, 72),
        ids: Vec::new(),
        fragments: Vec::new(),
        attributes: None,
        fragment: None,
    };
    let ids = system
        .blocks
        .table(le64(&head, 48), u64::from(le16(&head, 26)), 4)?;
    system.ids = ids.chunks_exact(4).map(|id| le32(id, 0)).collect();
    let fragments = system
        .blocks
        .table(le64(&head, 80), u64::from(le32(&head, 16)), 16)?;
    let fragment = |entry: &[u8]| (le64(entry, 0), le32(entry, 8));
    system.fragments = fragments.chunks_exact(16).map(fragment).collect();
    system.attributes = system.attributes(le64(&head, 56))?;
    let names = system.names(le64(&head, 32))?;
    Ok((names, Box::new(system)))
}

impl Squashfs {
    fn attributes(&mut self, at: u64) -> io::Result<Option<Attributes>> {
        if at == u64::MAX {
            return Ok(None);
        }
        let head = self.blocks.volume.bytes::<16>(at)?;
        let lists = self.blocks.table(at + 16, u64::from(le32(&head, 8)), 16)?;
        Ok(Some(Attributes {
            start: le64(&head, 0),
            lists: lists
                .chunks_exact(16)
                .map(|list| (le64(list, 0), le32(list, 8)))
                .collect(),
        }))
    }

    fn id(&self, index: u16) -> io::Result<u32> {
        let id = self.ids.get(usize::from(index)).copied();
        id.ok_or_else(|| damaged("an owner that is not in the table"))
    }

    /// The attributes of a number (`squashfs_xattr_entry`).
    fn list_of(&mut self, number: u32) -> io::Result<BTreeMap<String, Vec<u8>>> {
        let mut all = BTreeMap::new();
        if number == NONE {
            return Ok(all);
        }
        let wrong = || damaged("attributes that are not there");
        let table = self.attributes.as_ref().ok_or_else(wrong)?;
        let (start, list) = (table.start, table.lists.get(number as usize).copied());
        let (reference, count) = list.ok_or_else(wrong)?;
        let (mut place, mut total) = (Place::of(start, reference)?, 0);
        for _ in 0..count {
            let head = self.blocks.take(&mut place, 4)?;
            let (kind, length) = (le16(&head, 0), usize::from(le16(&head, 2)));
            let name = self.blocks.take(&mut place, length)?;
            let size = le32(&self.blocks.take(&mut place, 4)?, 0) as usize;
            let value = if kind & 0x100 != 0 {
                let reference = self.blocks.take(&mut place, 8)?;
                let mut elsewhere = Place::of(start, le64(&reference, 0))?;
                let size = le32(&self.blocks.take(&mut elsewhere, 4)?, 0) as usize;
                self.blocks.take(&mut elsewhere, size.min(MOST_ATTRIBUTES))?
            } else {
                self.blocks.take(&mut place, size.min(MOST_ATTRIBUTES))?
            };
            total += name.len() + value.len();
            if total > MOST_ATTRIBUTES {
                return Err(damaged("a file has too many attributes"));
            }
            let prefix = match kind & 0xff {
                0 => "user.",
                1 => "trusted.",
                2 => "security.",
                other => {
                    return Err(unsupported(format!(
                        "its SquashFS has attributes of the kind {other}"
                    )));
                }
            };
            let name = format!("{prefix}{}", String::from_utf8_lossy(&name));
            if all.insert(name, value).is_some() {
                return Err(damaged("a file has an attribute twice"));
            }
        }
        Ok(all)
    }

    /// The content of a regular file.
    fn content(&mut self, inode: &Inode, out: &mut dyn Write) -> io::Result<()> {
        let What::File {
            start,
            size,
            fragment,
            offset,
            sizes,
        } = inode.what
        else {
            return Err(damaged("a file that none is"));
        };
        let (mut at, mut left, mut sizes) = (start, size, sizes);
        let blocks = match fragment {
            NONE => size.div_ceil(self.block),
            _ => size / self.block,
        };
        if blocks > MOST_BLOCKS {
            return Err(damaged("a file has too many blocks"));
        }
        for _ in 0..blocks {
            let word = le32(&self.blocks.take(&mut sizes, 4)?, 0);
            let (length, want) = (u64::from(word & 0xff_ffff), left.min(self.block));
            if length == 0 {
                self.blocks.volume.zeros(want, out)?;
            } else {
                let bytes = self.data(at, length, word & 1 << 24 == 0)?;
                let bytes = bytes.get(..want as usize);
                out.write_all(bytes.ok_or_else(|| damaged("a block of a file is too short"))?)?;
                at = at
                    .checked_add(length)
                    .ok_or_else(|| damaged("a block of a file"))?;
            }
            left -= want;
        }
        if left == 0 {
            return Ok(());
        }
        if self.fragment.as_ref().is_none_or(|(known, _)| *known != fragment) {
            let found = self.fragments.get(fragment as usize).copied();
            let (at, word) = found.ok_or_else(|| damaged("a fragment that is not there"))?;
            let bytes = self.data(at, u64::from(word & 0xff_ffff), word & 1 << 24 == 0)?;
            self.fragment = Some((fragment, bytes));
        }
        let from = offset as usize;
        let bytes = self.fragment.as_ref().map_or(&[][..], |(_, bytes)| bytes);
        let bytes = bytes.get(from..from.saturating_add(left as usize));
        out.write_all(bytes.ok_or_else(|| damaged("a fragment is too short"))?)
    }

    fn data(&mut self, at: u64, length: u64, is_packed: bool) -> io::Result<Vec<u8>> {
        if length > self.block {
            return Err(damaged("a block of a file is too large"));
        }
        let bytes = self.blocks.volume.vec(at, length)?;
        match is_packed {
            true => self.blocks.unpack(&bytes, self.block as usize),
            false => Ok(bytes),
        }
    }
}

impl Inodes for Squashfs {
    /// A block of metadata, from the first of inodes, and a byte in it.
    type Number = u64;
    type Inode = Inode;

    fn inode(&mut self, number: u64) -> io::Result<Inode> {
        let mut place = Place::of(self.inodes, number)?;
        let head = self.blocks.take(&mut place, 16)?;
        let kind = le16(&head, 0);
        let mut attributes = NONE;
        let what = match kind {
            1 => {
                let body = self.blocks.take(&mut place, 16)?;
                let place = Place {
                    block: self.folders.saturating_add(le32(&body, 0).into()),
                    offset: usize::from(le16(&body, 10)),
                };
                let size = u64::from(le16(&body, 8));
                What::Dir { place, size }
            }
            8 => {
                let body = self.blocks.take(&mut place, 24)?;
                attributes = le32(&body, 20);
                let place = Place {
                    block: self.folders.saturating_add(le32(&body, 8).into()),
                    offset: usize::from(le16(&body, 18)),
                };
                let size = u64::from(le32(&body, 4));
                What::Dir { place, size }
            }
            2 => {
                let body = self.blocks.take(&mut place, 16)?;
                What::File {
                    start: u64::from(le32(&body, 0)),
                    size: u64::from(le32(&body, 12)),
                    fragment: le32(&body, 4),
                    offset: le32(&body, 8),
                    sizes: place,
                }
            }
            9 => {
                let body = self.blocks.take(&mut place, 40)?;
                attributes = le32(&body, 36);
                What::File {
                    start: le64(&body, 0),
                    size: le64(&body, 8),
                    fragment: le32(&body, 28),
                    offset: le32(&body, 32),
                    sizes: place,
                }
            }
            3 | 10 => {
                let length = le32(&self.blocks.take(&mut place, 8)?, 4) as usize;
                if length > 4096 {
                    return Err(damaged("a symbolic link is too long"));
                }
                let target = self.blocks.take(&mut place, length)?;
                if kind == 10 {
                    attributes = le32(&self.blocks.take(&mut place, 4)?, 0);
                }
                What::Symlink(target)
            }
            4 | 5 | 11 | 12 => {
                let number = le32(&self.blocks.take(&mut place, 8)?, 4);
                if kind > 7 {
                    attributes = le32(&self.blocks.take(&mut place, 4)?, 0);
                }
                What::Device(number)
            }
            6 | 7 | 13 | 14 => {
                self.blocks.take(&mut place, 4)?;
                if kind > 7 {
                    attributes = le32(&self.blocks.take(&mut place, 4)?, 0);
                }
                What::Other
            }
            other => return Err(damaged(format!("an inode has the type {other}"))),
        };
        Ok(Inode {
            kind: if kind > 7 { kind - 7 } else { kind },
            mode: le16(&head, 2),
            uid: self.id(le16(&head, 4))?,
            gid: self.id(le16(&head, 6))?,
            mtime: le32(&head, 8),
            attributes,
            what,
        })
    }

    fn entry(&mut self, number: u64, inode: &Inode) -> io::Result<Entry> {
        let kind = match (&inode.what, inode.kind) {
            (What::Dir { .. }, _) => Kind::Dir,
            (What::File { size, .. }, _) => Kind::File {
                id: number,
                size: *size,
            },
            (What::Symlink(target), _) => Kind::Symlink(archive::target(target)?),
            (What::Device(number), kind) => {
                let (major, minor) = device(*number);
                match kind {
                    4 => Kind::BlockDevice { major, minor },
                    _ => Kind::CharDevice { major, minor },
                }
            }
            (What::Other, 6) => Kind::Fifo,
            (What::Other, _) => Kind::Socket,
        };
        Ok(Entry {
            kind,
            mode: u32::from(inode.mode) & 0o7777,
            uid: inode.uid,
            gid: inode.gid,
            mtime: i64::from(inode.mtime),
            xattrs: self.list_of(inode.attributes)?,
        })
    }

    fn folder(&mut self, _: u64, inode: &Inode) -> io::Result<Vec<(Vec<u8>, u64)>> {
        let What::Dir { mut place, size } = inode.what else {
            return Err(damaged("a folder that none is"));
        };
        // `.` and `..` count three bytes, and are not there.
        let mut left = size.saturating_sub(3);
        if left > LARGEST {
            return Err(damaged(format!("a folder has {size} bytes")));
        }
        let mut less = |bytes: u64| {
            let rest = left.checked_sub(bytes);
            left = rest.ok_or_else(|| damaged("a folder ends early"))?;
            Ok::<_, io::Error>(left)
        };
        let mut names = Vec::new();
        let mut rest = less(0)?;
        while rest > 0 {
            less(12)?;
            let head = self.blocks.take(&mut place, 12)?;
            let (count, block) = (le32(&head, 0), u64::from(le32(&head, 4)));
            if count >= 256 {
                return Err(damaged("a folder"));
            }
            for _ in 0..=count {
                let entry = self.blocks.take(&mut place, 8)?;
                let name = self.blocks.take(&mut place, usize::from(le16(&entry, 6)) + 1)?;
                rest = less(8 + name.len() as u64)?;
                names.push((name, block << 16 | u64::from(le16(&entry, 0))));
            }
        }
        Ok(names)
    }
}

impl Contents for Squashfs {
    fn copy(&mut self, id: u64, _: u64, out: &mut dyn Write) -> io::Result<()> {
        let inode = self.inode(id)?;
        self.content(&inode, out)
    }
}
