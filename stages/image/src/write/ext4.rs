//! How large an ext4 has to be for what it is to hold. stage0's mke2fs makes it ([`keel_host::mkfs_ext4`]).
//!
//! Numbers: <https://docs.kernel.org/filesystems/ext4/>, with the features that `mkfs_ext4` asks for.

use std::collections::BTreeMap;

use keel_artefact::RootPath;
use keel_host::mkfs_ext4::{BLOCK, INODE, LARGEST};

use crate::{
    tree::{Kind, Node},
    write::gpt::ALIGNMENT,
};

const MIB: u64 = 1 << 20;
/// Blocks of a group: what the bits of one block can tell of.
const IN_GROUP: u64 = BLOCK * 8;
/// Bytes of the file system to each inode, which stays so when it grows.
const PER_INODE: u64 = 16 * 1024;
/// Bytes of attributes that have room in an inode.
const INNER: usize = 88;
/// Blocks that are always there besides: `lost+found`, rounding of groups, trees of extents.
const MARGIN: u64 = 1024;

/// What is to be in a file system, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    blocks: u64,
    inodes: u64,
}

/// How it is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Bytes.
    pub size: u64,
    /// Room for files and folders.
    pub inodes: u64,
    /// Size of the journal.
    pub journal_mib: u64,
}

impl Needs {
    /// Of these files.
    pub fn of(nodes: &BTreeMap<RootPath, Node>) -> Self {
        let mut folders: BTreeMap<RootPath, Folder> = BTreeMap::new();
        let mut blocks = 0;
        for (path, node) in nodes {
            if let Some(parent) = path.parent() {
                folders.entry(parent).or_default().add(path.file_name());
            }
            blocks += match &node.kind {
                Kind::Dir => 1,
                Kind::File(file) => file.size.div_ceil(BLOCK),
                Kind::Symlink(target) => u64::from(target.len() >= 60),
                _ => 0,
            };
            let attributes = node.xattrs.iter();
            let attributes =
                attributes.map(|(name, value)| 16 + name.len() + value.len().next_multiple_of(4));
            blocks += u64::from(attributes.sum::<usize>() > INNER);
        }
        blocks += folders.values().map(|folder| folder.blocks).sum::<u64>();
        let inodes = nodes.len() as u64 + 11;
        Self { blocks, inodes }
    }

    /// The smallest that holds it and has `size` bytes or more. A larger one may hold less: it has a larger journal.
    pub fn least(self, size: u64) -> u64 {
        let mut size = size.max(self.blocks * BLOCK);
        loop {
            let needs = (self.blocks + self.overhead(size)) * BLOCK;
            if needs <= size {
                return size.next_multiple_of(ALIGNMENT);
            }
            size = needs.next_multiple_of(ALIGNMENT);
        }
    }

    /// One that leaves as much as a quarter of its content free, and 64 MiB at least.
    pub fn roomy(self) -> u64 {
        let free = (self.blocks / 4).max(64 * MIB / BLOCK);
        let blocks = self.blocks + free;
        Self { blocks, ..self }.least(0)
    }

    /// A file system of `size` bytes for it.
    pub fn layout(self, size: u64) -> Layout {
        Layout {
            size,
            // An eighth more than there are: a system that is written to makes more.
            inodes: (size / PER_INODE).max(self.inodes + self.inodes / 8),
            journal_mib: match size / MIB {
                0..128 => 4,
                128..1024 => 16,
                _ => 64,
            },
        }
    }

    /// Blocks that the file system itself takes of `size` bytes.
    fn overhead(self, size: u64) -> u64 {
        let Layout {
            inodes, journal_mib, ..
        } = self.layout(size);
        let groups = size.div_ceil(BLOCK * IN_GROUP).max(1);
        let table = inodes.div_ceil(groups).next_multiple_of(BLOCK / INODE) * INODE / BLOCK;
        // Copies of superblock and descriptors: in group 0 and 1, and in the powers of 3, 5 and 7.
        let copies = 2 + [3_u64, 5, 7]
            .map(|base| std::iter::successors(Some(base), move |power| Some(power * base)))
            .into_iter()
            .map(|powers| powers.take_while(|power| *power < groups).count() as u64)
            .sum::<u64>();
        let descriptors = LARGEST / (BLOCK * IN_GROUP) * 64 / BLOCK;
        groups * (table + 2) + copies.min(groups) * (1 + descriptors) + journal_mib * MIB / BLOCK + MARGIN
    }
}

/// A folder's blocks beyond the first, as its names fill them.
#[derive(Debug, Default)]
struct Folder {
    blocks: u64,
    used: u64,
}

impl Folder {
    fn add(&mut self, name: &str) {
        // Its own two names, and a checksum at the end of each block.
        const OWN: u64 = 24;
        const CHECKSUM: u64 = 12;
        let entry = 8 + (name.len() as u64).next_multiple_of(4);
        let used = if self.used == 0 { OWN } else { self.used };
        if used + entry + CHECKSUM > BLOCK {
            self.blocks += 1;
            self.used = entry;
        } else {
            self.used = used + entry;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::tests::tree;

    #[test]
    fn content_counts_by_blocks() {
        let (long, big) = ("-> ".to_owned() + &"t".repeat(60), "x".repeat(4097));
        let mut tree = tree(&[
            ("/d/", ""),
            ("/d/f", "x"),
            ("/e", ""),
            ("/l", &long),
            ("/big", &big),
        ]);
        // Two folders, a file of one block, a long link, a file of two.
        let Needs { blocks, inodes } = Needs::of(tree.nodes());
        assert_eq!((blocks, inodes), (2 + 1 + 1 + 2, 6 + 11));
        let node = tree.get_mut(&"/e".parse().unwrap()).unwrap();
        node.xattrs.insert("user.a".into(), vec![0; 60]);
        assert_eq!(Needs::of(tree.nodes()).blocks, blocks);
        let node = tree.get_mut(&"/e".parse().unwrap()).unwrap();
        node.xattrs.insert("user.b".into(), vec![0; 60]);
        assert_eq!(Needs::of(tree.nodes()).blocks, blocks + 1);
    }

    #[test]
    fn names_fill_a_folder() {
        let mut folder = Folder::default();
        for number in 0..=14 {
            folder.add(&format!("{number:0255}"));
        }
        assert_eq!((folder.blocks, folder.used), (0, 24 + 15 * 264));
        folder.add("x");
        assert_eq!((folder.blocks, folder.used), (0, 24 + 15 * 264 + 12));
        folder.add(&"y".repeat(255));
        assert_eq!((folder.blocks, folder.used), (1, 264));
    }

    #[test]
    fn a_file_system_has_room_for_itself() {
        for blocks in [0, 1000, 30_000, 200_000, 3_000_000] {
            let needs = Needs {
                blocks,
                inodes: blocks / 4 + 12,
            };
            let least = needs.least(0);
            let holds = |size| size >= (blocks + needs.overhead(size)) * BLOCK;
            assert!(holds(least) && !holds(least - MIB), "{blocks}");
            // Where the journal becomes larger, too.
            for size in (least..least + 64 * MIB).step_by(MIB as usize) {
                assert_eq!(needs.least(size) == size, holds(size), "{blocks}: {size}");
            }
            assert!(least < blocks * BLOCK * 11 / 10 + 64 * MIB, "{blocks}: {least}");
            assert!(needs.roomy() >= least + 64 * MIB, "{blocks}");
            assert!(needs.layout(least).inodes > needs.inodes);
        }
    }
}
