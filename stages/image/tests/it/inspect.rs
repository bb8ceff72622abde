//! What `inspect` says of disks, beside what blkid and sgdisk say.

use std::{fs, io::Cursor};

use keel_config::image::Format;
use keel_image::{
    inspect::{FileSystem, disk, look},
    read,
    write::sparse::Source as _,
};

use crate::fixture::{Packages, Place, image, judge};

#[test]
fn a_disk_in_any_format_is_told_as_other_readers_tell_it() {
    let place = Place::new();
    let formats = [Format::Raw, Format::Qcow2, Format::Vhd, Format::Vhdx];
    let mut definition = image("disk", &["tool", "kernel", "boot"], &formats);
    definition.os.kernel_command_line.push("quiet".into());
    let built = place.build(&definition, &Packages::bootable()).unwrap();
    let raw = built.file(Format::Raw).unwrap();
    let told = disk(&raw).unwrap();
    let path = raw.to_string_lossy();
    assert_eq!(told.content.partitions.len(), 2);
    for partition in &told.content.partitions {
        let number = partition.number.to_string();
        let listed = judge("gdisk", &["sgdisk", "-i", &number, &path]).to_lowercase();
        for part in [partition.guid.to_string(), partition.type_guid.to_string()] {
            assert!(listed.contains(&part), "{part}: {listed}");
        }
        assert!(
            listed.contains(&format!("partition name: '{}'", partition.label)),
            "{listed}"
        );
        let first = format!("first sector: {} ", partition.offset / 512);
        assert!(listed.contains(&first), "{first}: {listed}");
        let (offset, size) = (partition.offset.to_string(), partition.size.to_string());
        let argv = [
            "blkid", "-p", "--offset", &offset, "--size", &size, "-o", "export", &path,
        ];
        let probed = judge("util-linux", &argv);
        let value = |key: &str| {
            let line = probed
                .lines()
                .find_map(|line| line.strip_prefix(&format!("{key}=")));
            line.map(|text| text.replace('\\', ""))
        };
        let found = partition.file_system.clone().unwrap();
        assert_eq!(Some(found.kind.to_owned()), value("TYPE"), "{probed}");
        assert_eq!(found.uuid, value("UUID"), "{probed}");
        assert_eq!(found.label, value("LABEL"), "{probed}");
    }
    let boot = built.boot.as_ref().unwrap();
    assert_eq!(told.content.kernels.len(), 1);
    assert_eq!(
        told.content.kernels[0].cmdline.as_deref(),
        Some(boot.cmdline.as_str())
    );
    assert_eq!(
        told.content.kernels[0].release.as_deref(),
        Some(boot.release.as_str())
    );
    let packages: Vec<String> = built
        .packages
        .iter()
        .map(|package| package.nevra.to_string())
        .collect();
    assert_eq!(told.packages, Some(packages));

    for format in formats {
        let other = disk(&built.file(format).unwrap()).unwrap();
        assert_eq!(other.format.as_str(), format.as_str());
        assert_eq!(other.content.kernels, told.content.kernels);
        assert_eq!(
            serde_json::to_value(&other.content.partitions).unwrap(),
            serde_json::to_value(&told.content.partitions).unwrap()
        );
    }
}

#[test]
fn file_systems_are_told_without_a_partition_table() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
    let uuid = "01234567-89ab-cdef-0123-456789abcdef";
    fs::create_dir(dir.path().join("empty")).unwrap();
    type Case<'a> = (&'a str, &'a [&'a str], Option<(&'a str, &'a str)>);
    let cases: [Case<'_>; 4] = [
        (
            "ext4",
            &["mkfs.ext4", "-q", "-L", "data", "-U", uuid],
            Some(("data", uuid)),
        ),
        (
            "ext2",
            &["mkfs.ext2", "-q", "-L", "data", "-U", uuid],
            Some(("data", uuid)),
        ),
        (
            "vfat",
            &["mkfs.vfat", "-n", "DATA", "-i", "0123abcd"],
            Some(("DATA", "0123-ABCD")),
        ),
        ("", &["true"], None),
    ];
    for (kind, make, expected) in cases {
        let file = at("disk");
        let _ = fs::remove_file(&file);
        fs::File::create(&file).unwrap().set_len(8 << 20).unwrap();
        judge("e2fsprogs dosfstools", &[make, &[&file]].concat());
        let told = disk(file.as_ref()).unwrap();
        assert_eq!(
            (told.content.guid, told.content.partitions.len(), told.packages),
            (None, 0, None)
        );
        let expected =
            expected.map(|(label, uuid)| (kind.to_owned(), Some(label.to_owned()), Some(uuid.to_owned())));
        let found = told
            .content
            .file_system
            .map(|FileSystem { kind, label, uuid }| (kind.to_owned(), label, uuid));
        assert_eq!(found, expected, "{kind}");
    }
}

#[test]
fn damaged_tables_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("disk");
    let mut whole = vec![0_u8; 1 << 20];
    whole[512..520].copy_from_slice(b"EFI PART");
    let mut wrong = |at: usize, bytes: &[u8]| {
        whole[512 + at..512 + at + bytes.len()].copy_from_slice(bytes);
        fs::write(&file, &whole).unwrap();
        disk(&file).map(|told| told.content.partitions.len())
    };
    assert!(
        wrong(84, &0_u32.to_le_bytes()).is_err(),
        "entries without a width"
    );
    wrong(80, &128_u32.to_le_bytes()).unwrap_err();
    assert!(wrong(84, &128_u32.to_le_bytes()).is_ok());
    assert!(
        wrong(72, &u64::MAX.to_le_bytes()).is_err(),
        "a table beyond the disk"
    );
    wrong(72, &2_u64.to_le_bytes()).unwrap();
    // A partition that ends before it begins.
    let mut entry = [1_u8; 128];
    entry[32..40].copy_from_slice(&9_u64.to_le_bytes());
    entry[40..48].copy_from_slice(&7_u64.to_le_bytes());
    assert!(wrong(512, &entry).is_err());
}

/// Where its first partition begins.
const ESP: usize = 64 * 512;

/// A small disk with an EFI system partition of mkfs.vfat with one kernel on it.
fn small() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
    let (disk, esp, kernel) = (at("disk"), at("esp"), at("kernel"));
    fs::File::create(&esp).unwrap().set_len(512 << 10).unwrap();
    judge("dosfstools", &["mkfs.vfat", &esp]);
    fs::write(&kernel, crate::fixture::stub_bytes()).unwrap();
    for folder in ["::EFI", "::EFI/Linux"] {
        judge("mtools", &["mmd", "-i", &esp, folder]);
    }
    judge(
        "mtools",
        &[
            "mcopy",
            "-i",
            &esp,
            &kernel,
            "::EFI/Linux/A kernel of some name.efi",
        ],
    );
    fs::File::create(&disk).unwrap().set_len(1 << 20).unwrap();
    judge(
        "gdisk",
        &["sgdisk", "-a", "1", "-n", "1:64:1087", "-t", "1:ef00", &disk],
    );
    let mut bytes = fs::read(&disk).unwrap();
    bytes[ESP..ESP + (512 << 10)].copy_from_slice(&fs::read(&esp).unwrap());
    bytes
}

#[test]
fn a_disk_of_others_is_told_and_a_damaged_one_ends_with_an_error() {
    let whole = small();
    let see = |bytes: &[u8]| {
        let mut disk = read::open(Box::new(Cursor::new(bytes.to_vec())), read::Format::Raw)?;
        look(&mut disk)
    };
    let told = see(&whole).unwrap();
    assert_eq!(told.kernels[0].path, "/EFI/Linux/A kernel of some name.efi");
    assert_eq!(told.kernels[0].cmdline, None);
    // A file system that is none takes nothing away from what else is told.
    let mut broken = whole.clone();
    broken[ESP + 11..ESP + 13].copy_from_slice(&[7, 7]);
    let told = see(&broken).unwrap();
    assert_eq!((told.partitions.len(), told.kernels.len()), (1, 0));
    assert!(
        told.unread[0].starts_with("kernels of partition 1: "),
        "{:?}",
        told.unread
    );
    // Bytes of the tables and folders, and of the boot sector most of all, by a generator that is the same each time.
    let (mut state, mut refused) = (0x2545_f491_4f6c_dd1d_u64, 0);
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    for round in 0..4000 {
        let mut damaged = whole.clone();
        for _ in 0..1 + random(4) {
            let at = match round % 4 {
                0 => 512 + random(4096),
                1 | 2 => ESP + random(128),
                _ => ESP + random(24 << 10),
            };
            damaged[at] = random(256) as u8;
        }
        refused += usize::from(!see(&damaged).is_ok_and(|told| told.unread.is_empty()));
    }
    assert!(refused > 100, "{refused}");
}

#[test]
fn blocks_that_are_compressed_are_unpacked_once_where_a_reader_goes_to_and_fro() {
    const CLUSTER: u64 = 64 << 10;
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
    let bytes: Vec<u8> = (0..20 * CLUSTER)
        .map(|at| (at / CLUSTER + at % 251) as u8)
        .collect();
    fs::write(at("raw"), &bytes).unwrap();
    judge(
        "qemu-utils",
        &[
            "qemu-img",
            "convert",
            "-c",
            "-O",
            "qcow2",
            &at("raw"),
            &at("qcow2"),
        ],
    );
    let file = fs_err::File::open(at("qcow2")).unwrap();
    let mut disk = read::open(Box::new(file), read::Format::Qcow2).unwrap();
    let mut see = |cluster: u64| {
        let (from, mut found) = (cluster * CLUSTER + 7, [0; 16]);
        let read = disk.read_at(from, &mut found);
        read.map(|()| assert_eq!(found, bytes[from as usize..][..16]))
    };
    for _ in 0..1000 {
        see(0).unwrap();
        see(11).unwrap();
    }
    disk.unpack_at_most(3 * CLUSTER);
    let mut byte = [0];
    for cluster in [0, 11, 12, 13, 14] {
        disk.read_at(cluster * CLUSTER, &mut byte).unwrap();
    }
    let error = disk.read_at(15 * CLUSTER, &mut byte).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData, "{error}");
}
