//! Which file system is where, by its superblock: kind, label, identity.

use std::io;

use serde::Serialize;
use uuid::Uuid;

use super::{array, le32};
use crate::{read::Disk, write::sparse::Source as _};

/// A file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileSystem {
    /// `erofs`, `ext4`, `vfat`, …, as mount(8) calls it; `luks`.
    pub kind: &'static str,
    /// Its label, if it has one.
    pub label: Option<String>,
    /// Its identity, if it has one, as `/dev/disk/by-uuid` calls it.
    pub uuid: Option<String>,
}

/// Bytes that are looked at.
const HEAD: usize = 4096;
/// Where the superblocks of ext2 to ext4 and of EROFS begin.
const AT: usize = 1024;

/// What begins at `offset`, if that is known, within `size` bytes.
pub(super) fn of(disk: &mut Disk, offset: u64, size: u64) -> io::Result<Option<FileSystem>> {
    if size < HEAD as u64 {
        return Ok(None);
    }
    let mut head = [0; HEAD];
    disk.read_at(offset, &mut head)?;
    Ok(known(&head))
}

/// ISO 9660, whose first volume descriptor begins at 32 KiB (ECMA-119 8.4); its identity is when it was last changed.
pub(super) fn medium(disk: &mut Disk) -> io::Result<Option<FileSystem>> {
    const AT: u64 = 16 * 2048;
    if disk.size() < AT + 2048 {
        return Ok(None);
    }
    let mut head = [0; 2048];
    disk.read_at(AT, &mut head)?;
    if &head[..6] != b"\x01CD001" {
        return Ok(None);
    }
    let digits = &head[830..846];
    let part = |from: usize, to: usize| String::from_utf8_lossy(&digits[from..to]).into_owned();
    let is_date = digits.iter().all(u8::is_ascii_digit);
    let date = [(0, 4), (4, 6), (6, 8), (8, 10), (10, 12), (12, 14), (14, 16)];
    let date = date.map(|(from, to)| part(from, to)).join("-");
    Ok(Some(FileSystem {
        kind: "iso9660",
        label: text(&head[40..72]),
        uuid: is_date.then_some(date),
    }))
}

fn known(head: &[u8; HEAD]) -> Option<FileSystem> {
    let new = |kind, label: Option<&[u8]>, uuid: Option<usize>| {
        Some(FileSystem {
            kind,
            label: label.and_then(text),
            uuid: uuid
                .map(|at| Uuid::from_bytes(array(head, at)))
                .filter(|uuid| !uuid.is_nil())
                .map(|uuid| uuid.to_string()),
        })
    };
    let block = &head[AT..];
    if le32(block, 0) == 0xe0f5_e1e2 {
        return new("erofs", Some(&block[64..80]), Some(AT + 48));
    }
    if block[0x38..0x3a] == [0x53, 0xef] {
        // Features: extents make it ext4, a journal ext3.
        let kind = match (le32(block, 0x60) & 0x40 != 0, le32(block, 0x5c) & 0x4 != 0) {
            (true, _) => "ext4",
            (false, true) => "ext3",
            (false, false) => "ext2",
        };
        return new(kind, Some(&block[0x78..0x88]), Some(AT + 0x68));
    }
    if head.starts_with(b"hsqs") {
        return new("squashfs", None, None);
    }
    if head.starts_with(b"XFSB") {
        return new("xfs", Some(&head[108..120]), Some(32));
    }
    if head.starts_with(b"LUKS\xba\xbe") {
        return new("luks", None, None);
    }
    fat(head)
}

/// FAT has its serial number and label in another place where it is FAT32.
fn fat(head: &[u8; HEAD]) -> Option<FileSystem> {
    let at = match () {
        () if &head[82..87] == b"FAT32" => 67,
        () if &head[54..57] == b"FAT" => 39,
        () => return None,
    };
    if head[510..512] != [0x55, 0xaa] {
        return None;
    }
    let serial = le32(head, at);
    Some(FileSystem {
        kind: "vfat",
        label: text(&head[at + 4..at + 15]).filter(|label| label != "NO NAME"),
        uuid: Some(format!("{:04X}-{:04X}", serial >> 16, serial & 0xffff)),
    })
}

/// What is before the first zero, without the blanks at its end.
fn text(bytes: &[u8]) -> Option<String> {
    let bytes = bytes.split(|byte| *byte == 0).next()?;
    let text = String::from_utf8_lossy(bytes).trim_end().to_owned();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_system_is_none() {
        assert_eq!(known(&[0; HEAD]), None);
        assert_eq!(known(&[0xff; HEAD]), None);
        let mut fat = [0; HEAD];
        fat[82..87].copy_from_slice(b"FAT32");
        assert_eq!(known(&fat), None, "without the mark at the end of the sector");
    }
}
