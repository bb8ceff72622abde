//! SquashFS and ISO 9660 by stage0's programs.

use std::{collections::BTreeMap, fs, path::Path};

use keel_artefact::{Epoch, Interrupt};
use keel_host::{mksquashfs, xorriso};

use crate::{erofs::archive, stage0::prepared};

#[test]
fn a_squashfs_is_the_same_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let tar = folder.path().join("root.tar");
    fs::write(&tar, archive()).unwrap();
    let made = |name: &str, attribute: &str| {
        let image = folder.path().join(name);
        let request = mksquashfs::Request {
            archive: &tar,
            image: &image,
            clock: Epoch(1_700_000_000),
            root: mksquashfs::Root {
                mode: 0o750,
                uid: 3,
                gid: 4,
                mtime: 1_600_000_000,
                attributes: BTreeMap::from([(
                    attribute.to_owned(),
                    b"system_u:object_r:root t:s0-s0:c0.c1023\\\0".to_vec(),
                )]),
            },
        };
        mksquashfs::make(prepared(), &request, &Interrupt::default())?;
        Ok::<_, keel_host::Error>(fs::read(image).unwrap())
    };
    let make = |name: &str| made(name, "security.selinux").unwrap();
    let one = make("one");
    // Times are in seconds.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    for round in 0..8 {
        assert!(one == make("other"), "round {round} differs");
    }
    let wrong = made("wrong", "user.a=b").unwrap_err().to_string();
    assert!(wrong.contains("`user.a=b`, which cannot be said"), "{wrong}");
    assert_eq!(&one[..4], b"hsqs");
    assert_eq!(one[8..12], 1_700_000_000_u32.to_le_bytes(), "its own time");
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        3,
        "nothing is left beside the images"
    );
}

#[test]
fn a_medium_is_the_same_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("medium/boot/grub")).unwrap();
    fs::write(at("medium").join(xorriso::BIOS_IMAGE), vec![7; 40_000]).unwrap();
    fs::write(at("medium/Some long name, with blanks.txt"), "x").unwrap();
    fs::write(at("esp"), vec![1; 1 << 20]).unwrap();
    fs::write(at("mbr"), vec![2; 512]).unwrap();
    let (medium, esp, mbr) = (at("medium"), at("esp"), at("mbr"));
    let make = |image: &Path, volume: &str| {
        let request = xorriso::Request {
            folder: &medium,
            image,
            volume,
            guid: "1b4e28ba-2fa1-41d2-883f-0016d3cca427",
            clock: Epoch(1_700_000_000),
            esp: Some(&esp),
            mbr: Some(&mbr),
        };
        xorriso::make(prepared(), &request, &Interrupt::default())
    };
    make(&at("one"), "KEEL_1").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    make(&at("other"), "KEEL_1").unwrap();
    let one = fs::read(at("one")).unwrap();
    assert!(one == fs::read(at("other")).unwrap(), "the two differ");
    // ECMA-119: the primary volume descriptor is in sector 16.
    assert_eq!(&one[16 * 2048 + 1..][..5], b"CD001");
    assert_eq!(&one[16 * 2048 + 40..][..32], b"KEEL_1                          ");
    assert_eq!(&one[16 * 2048 + 813..][..16], b"2023111422132000", "made then");
    assert_eq!(&one[512..520], b"EFI PART");
    assert!(
        fs::write(at("medium/more"), "").is_ok(),
        "the folder is the caller's again"
    );
    for wrong in ["", "small", "A-B", &"A".repeat(33)] {
        assert!(make(&at("wrong"), wrong).is_err(), "{wrong}");
    }
    assert!(!at("wrong").exists());
}
