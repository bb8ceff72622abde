//! `keel image convert`: formats by name and by content, and what is said where it does not go.

use std::fs;

use serde_json::Value;

use crate::harness::{Fixture, judge};

fn fixture() -> Fixture {
    let fixture = Fixture::new();
    let mut disk = vec![0; 3 << 20];
    disk[1 << 20..2 << 20].fill(b'x');
    fs::write(fixture.path("disk.img"), disk).unwrap();
    fixture
}

#[test]
fn a_disk_goes_from_format_to_format_by_the_names_of_files() {
    let fixture = fixture();
    let (mut from, names) = ("disk.img", ["a.vhdx", "b.vhd", "c.qcow2", "d.raw"]);
    for to in names {
        let ran = fixture
            .keel(&["image", "convert", from, to, "--output", "json"])
            .ok();
        let told: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(told["disk_size"], 3 << 20);
        let format = to.rsplit('.').next().unwrap();
        assert_eq!(told["to"], format);
        let size = fs::metadata(fixture.path(to)).unwrap().len();
        assert_eq!(told["size"], size);
        let theirs = if format == "vhd" { "vpc" } else { format };
        let (one, other) = (fixture.path("disk.img"), fixture.path(to));
        let (one, other) = (one.to_str().unwrap(), other.to_str().unwrap());
        judge("qemu-img", &["compare", "-f", "raw", "-F", theirs, one, other]);
        from = to;
    }
    let same = |name: &str| fs::read(fixture.path(name)).unwrap();
    assert!(same("d.raw") == same("disk.img"));
}

#[test]
fn what_does_not_go_is_told() {
    let fixture = fixture();
    fs::write(fixture.path("cut.qcow2"), b"QFI\xfb\0\0\0\x03").unwrap();
    fs::write(fixture.path("there.vhd"), "precious").unwrap();
    for (arguments, parts) in [
        (
            &["disk.img", "disk.vmdk"][..],
            &["`disk.vmdk` does not tell a format", "hint: say it: --to"][..],
        ),
        (
            &["disk.img", "there.vhd"],
            &["there.vhd` exists", "hint: --force replaces it"],
        ),
        (
            &["disk.img", "new.vhd", "--compression", "none"],
            &["`--compression` is about qcow2, and this is to be vhd"],
        ),
        (&["none.img", "new.vhd"], &["cannot read", "none.img"]),
        (
            &["cut.qcow2", "new.raw"],
            &["cannot be read as qcow2", "it points to byte 0, and has 8 bytes"],
        ),
        (
            &["disk.img", "new.raw", "--from", "vhdx"],
            &["cannot be read as vhdx", "does not begin as a VHDX does"],
        ),
    ] {
        let ran = fixture.keel(&[&["image", "convert"], arguments].concat());
        assert_eq!(ran.code, Some(2), "{arguments:?}: {}", ran.stderr);
        for part in parts {
            assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
        }
    }
    assert_eq!(fs::read(fixture.path("there.vhd")).unwrap(), b"precious");
    let new = fs::read_dir(fixture.path("")).unwrap().filter(|entry| {
        entry
            .as_ref()
            .unwrap()
            .file_name()
            .to_string_lossy()
            .contains("new")
    });
    assert_eq!(new.count(), 0);
    fixture
        .keel(&["image", "convert", "disk.img", "there.vhd", "--force", "-q"])
        .ok();
}
