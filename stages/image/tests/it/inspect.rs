//! What `inspect` says of disks, beside what blkid and sgdisk say.

use std::fs;

use keel_config::image::Format;
use keel_image::inspect::{FileSystem, inspect};

use crate::fixture::{Packages, Place, image, judge};

#[test]
fn a_disk_in_any_format_is_told_as_other_readers_tell_it() {
    let place = Place::new();
    let formats = [Format::Raw, Format::Qcow2, Format::Vhd, Format::Vhdx];
    let mut definition = image("disk", &["tool", "kernel", "boot"], &formats);
    definition.os.kernel_command_line.push("quiet".into());
    let built = place.build(&definition, &Packages::bootable()).unwrap();
    let raw = built.file(Format::Raw).unwrap();
    let told = inspect(&raw).unwrap();
    let path = raw.to_string_lossy();
    assert_eq!(told.partitions.len(), 2);
    for partition in &told.partitions {
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
    assert_eq!(told.kernels.len(), 1);
    assert_eq!(told.kernels[0].cmdline.as_deref(), Some(boot.cmdline.as_str()));
    assert_eq!(told.kernels[0].release.as_deref(), Some(boot.release.as_str()));
    let packages: Vec<String> = built
        .packages
        .iter()
        .map(|package| package.nevra.to_string())
        .collect();
    assert_eq!(told.packages, Some(packages));

    for format in formats {
        let other = inspect(&built.file(format).unwrap()).unwrap();
        assert_eq!(other.format.as_str(), format.as_str());
        assert_eq!(other.kernels, told.kernels);
        assert_eq!(
            serde_json::to_value(&other.partitions).unwrap(),
            serde_json::to_value(&told.partitions).unwrap()
        );
    }
}

#[test]
fn file_systems_are_told_without_a_partition_table() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
    let uuid = "01234567-89ab-cdef-0123-456789abcdef";
    fs::create_dir(dir.path().join("empty")).unwrap();
    let cases: [(&str, &[&str], Option<(&str, &str)>); 4] = [
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
        let told = inspect(file.as_ref()).unwrap();
        assert_eq!((told.guid, told.partitions.len(), told.packages), (None, 0, None));
        let expected =
            expected.map(|(label, uuid)| (kind.to_owned(), Some(label.to_owned()), Some(uuid.to_owned())));
        let found = told
            .file_system
            .map(|FileSystem { kind, label, uuid }| (kind.to_owned(), label, uuid));
        assert_eq!(found, expected, "{kind}");
    }
}

#[test]
fn damaged_tables_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("disk");
    let mut disk = vec![0_u8; 1 << 20];
    disk[512..520].copy_from_slice(b"EFI PART");
    let mut wrong = |at: usize, bytes: &[u8]| {
        disk[512 + at..512 + at + bytes.len()].copy_from_slice(bytes);
        fs::write(&file, &disk).unwrap();
        inspect(&file).map(|told| told.partitions.len())
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
