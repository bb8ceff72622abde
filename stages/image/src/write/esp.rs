//! The EFI system partition: a FAT file system with fixed times and a volume number from its content.

use std::{
    io::{Cursor, Read, Write},
    sync::Arc,
};

use keel_artefact::Sha256;

use crate::{Error, error::At};

/// A file of the partition: its path with `/` and without a leading one, and its bytes.
pub type File = (String, Arc<[u8]>);

/// FAT32 with clusters of 512 bytes needs more than 65,525 of them; below this size the system is FAT16.
const FAT32_FROM: u64 = 34 * 1024 * 1024;

/// One time for all: FAT's first, because nothing reads it and none is true.
#[derive(Debug)]
struct FixedTime;

impl fatfs::TimeProvider for FixedTime {
    fn get_current_date(&self) -> fatfs::Date {
        fatfs::Date {
            year: 1980,
            month: 1,
            day: 1,
        }
    }

    fn get_current_date_time(&self) -> fatfs::DateTime {
        fatfs::DateTime {
            date: self.get_current_date(),
            time: fatfs::Time {
                hour: 0,
                min: 0,
                sec: 0,
                millis: 0,
            },
        }
    }
}

static FIXED_TIME: FixedTime = FixedTime;

/// How many bytes the files take on a partition at least, tables included.
pub fn needs(files: &[File]) -> u64 {
    let content: u64 = files
        .iter()
        .map(|(_, bytes)| (bytes.len() as u64).next_multiple_of(4096) + 8192)
        .sum();
    // Two FATs of four bytes for each cluster of 512 bytes, reserved sectors.
    content + content / 64 + 128 * 1024
}

/// A file system of `size` bytes with these files. The caller has compared `size` with [`needs`].
pub fn write(size: u64, files: &[File]) -> Result<Vec<u8>, Error> {
    // The kernel gives zero pages lazily, so that an empty partition costs nothing here.
    let mut bytes = vec![0; usize::try_from(size).unwrap_or(usize::MAX)];
    let volume = Sha256::of(
        files
            .iter()
            .map(|(name, bytes)| format!("{name} {}\n", Sha256::of(bytes)))
            .collect::<String>()
            .as_bytes(),
    );
    let id = volume.as_bytes();
    let (fat, cluster) = match size {
        s if s >= FAT32_FROM && s < 260 * 1024 * 1024 => (fatfs::FatType::Fat32, 512),
        s if s >= FAT32_FROM => (fatfs::FatType::Fat32, 4096),
        s if s >= 8 * 1024 * 1024 => (fatfs::FatType::Fat16, 1024),
        _ => (fatfs::FatType::Fat12, 4096),
    };
    let options = fatfs::FormatVolumeOptions::new()
        .fat_type(fat)
        .bytes_per_cluster(cluster)
        .volume_id(u32::from_le_bytes([id[0], id[1], id[2], id[3]]))
        .volume_label(*b"ESP        ");
    let make = || {
        fatfs::format_volume(&mut Cursor::new(&mut bytes[..]), options)?;
        let options = fatfs::FsOptions::new().time_provider(&FIXED_TIME);
        let fat = fatfs::FileSystem::new(Cursor::new(&mut bytes[..]), options)?;
        for (name, content) in files {
            let mut folder = fat.root_dir();
            let mut parts: Vec<&str> = name.split('/').collect();
            let last = parts.pop().unwrap_or_default();
            for part in parts {
                folder = folder.create_dir(part)?;
            }
            let mut file = folder.create_file(last)?;
            file.truncate()?;
            // Large writes spare the look-up of one cluster at a time.
            for part in content.chunks(1024 * 1024) {
                file.write_all(part)?;
            }
            file.flush()?;
        }
        fat.unmount()
    };
    make().at("write", "the EFI system partition")?;
    Ok(bytes)
}

/// Reads a file of such a partition back.
pub fn read(partition: &[u8], name: &str) -> Result<Vec<u8>, Error> {
    let read = || {
        let options = fatfs::FsOptions::new().time_provider(&FIXED_TIME);
        let mut copy = partition.to_vec();
        let fat = fatfs::FileSystem::new(Cursor::new(&mut copy[..]), options)?;
        let mut bytes = Vec::new();
        fat.root_dir().open_file(name)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().at("read", format_args!("`{name}` of the EFI system partition"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_back_and_bytes_repeat() {
        let files: Vec<File> = vec![
            ("EFI/BOOT/BOOTX64.EFI".into(), vec![7_u8; 100_000].into()),
            ("EFI/Linux/keel_0.1.efi".into(), vec![8_u8; 3_000_000].into()),
            ("loader/loader.conf".into(), b"timeout 0\n".to_vec().into()),
        ];
        for size in [6 << 20, 16 << 20, 64 << 20] {
            let one = write(size, &files).unwrap();
            assert_eq!(one, write(size, &files).unwrap());
            for (name, bytes) in &files {
                assert_eq!(&read(&one, name).unwrap()[..], &bytes[..]);
            }
            assert!(needs(&files) < size);
        }
    }
}
