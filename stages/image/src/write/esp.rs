//! The EFI system partition: a FAT file system, written in one go because all its files are known.
//!
//! Format: Microsoft's "FAT32 File System Specification" 1.03 (which covers FAT16), long names included. No crate:
//! `fatfs` 0.3 writes folders that fsck.fat finds broken. FAT32 where it can be, FAT16 below 34 MiB.
//!
//! Times are all FAT's first, because nothing reads them and none is true; the volume's number is from the content.

use std::{collections::BTreeMap, sync::Arc};

use keel_artefact::Sha256;

/// A file of the partition: its path with `/` and without a leading one, and its bytes.
pub type File = (String, Arc<[u8]>);

const SECTOR: u64 = 512;
/// FAT32 with clusters of 512 bytes has more than the 65,525 clusters that make it one.
const FAT32_FROM: u64 = 34 * 1024 * 1024;
/// FAT16 with clusters of 512 bytes has more than the 4,085 clusters that make it one.
const SMALLEST: u64 = 3 * 1024 * 1024;
/// 1980-01-01.
const DATE: u16 = 1 << 5 | 1;
const FOLDER: u8 = 0x10;
const ARCHIVE: u8 = 0x20;
const VOLUME: u8 = 0x08;
const LONG_NAME: u8 = 0x0f;
/// Entries of FAT16's root folder.
const ROOT_ENTRIES: u64 = 512;

/// How many bytes a partition with these files has at least, tables included.
pub fn needs(files: &[File]) -> u64 {
    let content: u64 = files
        .iter()
        .map(|(_, bytes)| (bytes.len() as u64).next_multiple_of(4096) + 8192)
        .sum();
    // Two FATs of four bytes for each cluster of 512 bytes, reserved sectors, FAT16's root.
    (content + content / 60 + 128 * 1024).max(SMALLEST)
}

/// A file system of `size` bytes with these files; the caller has compared `size` with [`needs`].
pub fn write(size: u64, files: &[File]) -> Vec<u8> {
    let mut root = Folder::default();
    let mut identity = String::new();
    for (name, bytes) in files {
        root.add(name, bytes.clone());
        identity.push_str(&format!("{name} {}\n", Sha256::of(bytes)));
    }
    let id = *Sha256::of(identity.as_bytes()).as_bytes();
    let mut disk = Disk::new(Shape::of(size), u32::from_le_bytes([id[0], id[1], id[2], id[3]]));
    disk.root(&root);
    disk.finish();
    disk.bytes
}

/// Names and what they are, sorted.
#[derive(Default)]
struct Folder(BTreeMap<String, Item>);

enum Item {
    Folder(Folder),
    File(Arc<[u8]>),
}

impl Folder {
    fn add(&mut self, path: &str, bytes: Arc<[u8]>) {
        match path.split_once('/') {
            None => drop(self.0.insert(path.to_owned(), Item::File(bytes))),
            Some((first, rest)) => {
                let folder = self
                    .0
                    .entry(first.to_owned())
                    .or_insert_with(|| Item::Folder(Self::default()));
                if let Item::Folder(folder) = folder {
                    folder.add(rest, bytes);
                }
            }
        }
    }
}

/// Sizes, all in sectors but `clusters`.
#[derive(Clone, Copy)]
struct Shape {
    is_32: bool,
    total: u64,
    reserved: u64,
    fat: u64,
    root: u64,
    cluster: u64,
    clusters: u64,
}

impl Shape {
    fn of(size: u64) -> Self {
        let is_32 = size >= FAT32_FROM;
        let cluster = match size >> 20 {
            260.. => 8,
            5..34 => 2,
            _ => 1,
        };
        let (reserved, root) = if is_32 {
            (32, 0)
        } else {
            (1, ROOT_ENTRIES * 32 / SECTOR)
        };
        let (total, width) = (size / SECTOR, if is_32 { 4 } else { 2 });
        let mut fat = 1;
        loop {
            let clusters = (total - reserved - root - 2 * fat) / cluster;
            let need = ((clusters + 2) * width).div_ceil(SECTOR);
            if need <= fat {
                return Self {
                    is_32,
                    total,
                    reserved,
                    fat,
                    root,
                    cluster,
                    clusters,
                };
            }
            fat = need;
        }
    }
}

struct Disk {
    shape: Shape,
    bytes: Vec<u8>,
    id: u32,
    /// The table; the first two entries are no clusters.
    fat: Vec<u32>,
}

const LABEL: &[u8; 11] = b"ESP        ";

impl Disk {
    fn new(shape: Shape, id: u32) -> Self {
        // The kernel gives zero pages lazily, so that an empty partition costs nothing here.
        let bytes = vec![0; (shape.total * SECTOR) as usize];
        Self {
            shape,
            bytes,
            id,
            fat: vec![0x0fff_fff8, 0x0fff_ffff],
        }
    }

    fn put(&mut self, at: u64, bytes: &[u8]) {
        let at = at as usize;
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Takes a chain of clusters for so many bytes; 0 for none.
    fn take(&mut self, size: u64) -> u32 {
        let count = size.div_ceil(self.shape.cluster * SECTOR);
        let first = self.fat.len() as u32;
        for number in 1..=count {
            let next = if number == count {
                0x0fff_ffff
            } else {
                first + number as u32
            };
            self.fat.push(next);
        }
        if count == 0 { 0 } else { first }
    }

    fn offset(&self, cluster: u32) -> u64 {
        let data = self.shape.reserved + 2 * self.shape.fat + self.shape.root;
        (data + u64::from(cluster - 2) * self.shape.cluster) * SECTOR
    }

    fn root(&mut self, folder: &Folder) {
        let size = 32 + entries_size(folder);
        let cluster = if self.shape.is_32 { self.take(size) } else { 0 };
        let mut entries = vec![entry(LABEL, VOLUME, 0, 0).to_vec()];
        self.folder(folder, 0, &mut entries);
        let at = match cluster {
            0 => (self.shape.reserved + 2 * self.shape.fat) * SECTOR,
            cluster => self.offset(cluster),
        };
        self.put(at, &entries.concat());
    }

    /// Writes what is in a folder, and adds its entries to `entries`. `own` is its cluster, 0 for the root.
    fn folder(&mut self, folder: &Folder, own: u32, entries: &mut Vec<Vec<u8>>) {
        let mut short_names = Vec::new();
        for (name, item) in &folder.0 {
            let short = short_name(name, &mut short_names);
            if !is_short(name) {
                entries.push(long_name(name, &short));
            }
            match item {
                Item::File(bytes) => {
                    let cluster = self.take(bytes.len() as u64);
                    if cluster != 0 {
                        self.put(self.offset(cluster), bytes);
                    }
                    entries.push(entry(&short, ARCHIVE, cluster, bytes.len() as u32).to_vec());
                }
                Item::Folder(inner) => {
                    let cluster = self.take(64 + entries_size(inner));
                    let mut content = vec![
                        entry(b".          ", FOLDER, cluster, 0).to_vec(),
                        entry(b"..         ", FOLDER, own, 0).to_vec(),
                    ];
                    self.folder(inner, cluster, &mut content);
                    self.put(self.offset(cluster), &content.concat());
                    entries.push(entry(&short, FOLDER, cluster, 0).to_vec());
                }
            }
        }
    }

    /// Boot sector, summary, tables.
    fn finish(&mut self) {
        let Shape {
            is_32,
            total,
            reserved,
            fat,
            cluster,
            clusters,
            ..
        } = self.shape;
        let mut boot = [0_u8; 512];
        boot[..3].copy_from_slice(if is_32 { b"\xeb\x58\x90" } else { b"\xeb\x3c\x90" });
        boot[3..11].copy_from_slice(b"KEEL    ");
        boot[11..13].copy_from_slice(&(SECTOR as u16).to_le_bytes());
        boot[13] = cluster as u8;
        boot[14..16].copy_from_slice(&(reserved as u16).to_le_bytes());
        boot[16] = 2;
        boot[21] = 0xf8;
        boot[24..26].copy_from_slice(&63_u16.to_le_bytes());
        boot[26..28].copy_from_slice(&255_u16.to_le_bytes());
        boot[32..36].copy_from_slice(&(total as u32).to_le_bytes());
        let extended = if is_32 {
            boot[36..40].copy_from_slice(&(fat as u32).to_le_bytes());
            boot[44..48].copy_from_slice(&2_u32.to_le_bytes()); // the root's first cluster
            boot[48..50].copy_from_slice(&1_u16.to_le_bytes()); // sector of the summary
            boot[50..52].copy_from_slice(&6_u16.to_le_bytes()); // sector of the copy
            64
        } else {
            boot[17..19].copy_from_slice(&(ROOT_ENTRIES as u16).to_le_bytes());
            boot[22..24].copy_from_slice(&(fat as u16).to_le_bytes());
            if let Ok(total) = u16::try_from(total) {
                boot[19..21].copy_from_slice(&total.to_le_bytes());
                boot[32..36].fill(0);
            }
            36
        };
        boot[extended] = 0x80;
        boot[extended + 2] = 0x29;
        boot[extended + 3..extended + 7].copy_from_slice(&self.id.to_le_bytes());
        boot[extended + 7..extended + 18].copy_from_slice(LABEL);
        boot[extended + 18..extended + 26].copy_from_slice(if is_32 { b"FAT32   " } else { b"FAT16   " });
        boot[510..].copy_from_slice(&[0x55, 0xaa]);
        self.put(0, &boot);
        let next = self.fat.len() as u32;
        if is_32 {
            let mut summary = [0_u8; 512];
            let free = clusters as u32 + 2 - next;
            for (at, word) in [
                (0, 0x4161_5252),
                (484, 0x6141_7272),
                (488, free),
                (492, next),
                (508, 0xaa55_0000),
            ] {
                summary[at..at + 4].copy_from_slice(&word.to_le_bytes());
            }
            for at in [0, 6] {
                self.put(at * SECTOR, &boot);
                self.put((at + 1) * SECTOR, &summary);
            }
        }
        let table: Vec<u8> = match is_32 {
            true => self.fat.iter().flat_map(|next| next.to_le_bytes()).collect(),
            false => self
                .fat
                .iter()
                .flat_map(|next| (*next as u16).to_le_bytes())
                .collect(),
        };
        for copy in 0..2 {
            self.put((reserved + copy * fat) * SECTOR, &table);
        }
    }
}

/// Bytes of a folder's entries, without those for itself and its parent.
fn entries_size(folder: &Folder) -> u64 {
    let long = |name: &str| {
        if is_short(name) {
            0
        } else {
            name.encode_utf16().count().div_ceil(13) as u64
        }
    };
    folder.0.keys().map(|name| 32 * (1 + long(name))).sum()
}

fn entry(name: &[u8; 11], attributes: u8, cluster: u32, size: u32) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..11].copy_from_slice(name);
    bytes[11] = attributes;
    for at in [16, 18, 24] {
        bytes[at..at + 2].copy_from_slice(&DATE.to_le_bytes());
    }
    bytes[20..22].copy_from_slice(&((cluster >> 16) as u16).to_le_bytes());
    bytes[26..28].copy_from_slice(&(cluster as u16).to_le_bytes());
    bytes[28..].copy_from_slice(&size.to_le_bytes());
    bytes
}

/// Does the name need no long one beside it?
fn is_short(name: &str) -> bool {
    let (base, extension) = name.split_once('.').unwrap_or((name, ""));
    let good = |part: &str| {
        part.chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || "_-".contains(c))
    };
    !base.is_empty() && base.len() <= 8 && extension.len() <= 3 && good(base) && good(extension)
}

/// The name as eight and three bytes: itself, or six letters, `~` and a number that no other has.
fn short_name(name: &str, taken: &mut Vec<[u8; 11]>) -> [u8; 11] {
    let (base, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let clean = |part: &str, length: usize| -> String {
        let kept = part.chars().filter(|c| !matches!(c, '.' | ' '));
        let kept = kept.map(|c| {
            if c.is_ascii_alphanumeric() || "_-".contains(c) {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        });
        kept.take(length).collect()
    };
    let pack = |base: &str| {
        let mut bytes = [b' '; 11];
        bytes[..base.len()].copy_from_slice(base.as_bytes());
        let extension = clean(extension, 3);
        bytes[8..8 + extension.len()].copy_from_slice(extension.as_bytes());
        bytes
    };
    let numbered = (1..).map(|number| {
        let tail = format!("~{number}");
        pack(&format!("{}{tail}", clean(base, 8 - tail.len())))
    });
    let own = is_short(name).then(|| pack(base));
    let short = own
        .into_iter()
        .chain(numbered)
        .find(|short| !taken.contains(short))
        .unwrap_or([b'_'; 11]);
    taken.push(short);
    short
}

/// The entries of a long name, which stand before the short one, last part first.
fn long_name(name: &str, short: &[u8; 11]) -> Vec<u8> {
    let sum = short
        .iter()
        .fold(0_u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte));
    let mut units: Vec<u16> = name.encode_utf16().collect();
    let count = units.len().div_ceil(13);
    if !units.len().is_multiple_of(13) {
        units.push(0);
    }
    units.resize(count * 13, 0xffff);
    let mut bytes = Vec::with_capacity(count * 32);
    for number in (1..=count).rev() {
        let part = &units[(number - 1) * 13..number * 13];
        let mut entry = [0_u8; 32];
        entry[0] = number as u8 | if number == count { 0x40 } else { 0 };
        entry[11] = LONG_NAME;
        entry[13] = sum;
        let places = (1..11)
            .step_by(2)
            .chain((14..26).step_by(2))
            .chain((28..32).step_by(2));
        for (at, unit) in places.zip(part) {
            entry[at..at + 2].copy_from_slice(&unit.to_le_bytes());
        }
        bytes.extend(entry);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read as _};

    use super::*;

    #[test]
    fn another_reader_reads_it_back_and_bytes_repeat() {
        let files: Vec<File> = vec![
            ("EFI/BOOT/BOOTX64.EFI".into(), vec![7_u8; 100_000].into()),
            (
                "EFI/Linux/keel_0.1.efi".into(),
                (0..1_900_000_u32).map(|n| n as u8).collect::<Vec<u8>>().into(),
            ),
            ("EFI/Linux/keel_0.2.efi".into(), vec![9_u8; 512].into()),
            (
                "loader/a name of more than thirteen letters.conf".into(),
                vec![].into(),
            ),
            ("loader/loader.conf".into(), b"timeout 0\n".to_vec().into()),
        ];
        for (mib, kind) in [
            (3, fatfs::FatType::Fat16),
            (6, fatfs::FatType::Fat16),
            (33, fatfs::FatType::Fat16),
            (34, fatfs::FatType::Fat32),
            (64, fatfs::FatType::Fat32),
            (300, fatfs::FatType::Fat32),
        ] {
            let size = mib << 20;
            let mut bytes = write(size, &files);
            assert_eq!(bytes, write(size, &files));
            assert_eq!(bytes.len() as u64, size);
            assert!(needs(&files) <= size);
            let fat = fatfs::FileSystem::new(Cursor::new(&mut bytes[..]), fatfs::FsOptions::new()).unwrap();
            assert_eq!(fat.fat_type(), kind, "{mib} MiB");
            for (name, bytes) in &files {
                let mut found = Vec::new();
                fat.root_dir()
                    .open_file(name)
                    .unwrap()
                    .read_to_end(&mut found)
                    .unwrap();
                assert!(found == bytes[..], "{name} at {mib} MiB");
            }
        }
    }

    #[test]
    fn short_names_differ() {
        let mut taken = Vec::new();
        for (name, short) in [
            ("BOOTX64.EFI", b"BOOTX64 EFI"),
            ("keel_0.1.efi", b"KEEL_0~1EFI"),
            ("keel_0.2.efi", b"KEEL_0~2EFI"),
            ("loader.conf", b"LOADER~1CON"),
        ] {
            assert_eq!(&short_name(name, &mut taken), short);
        }
    }
}
