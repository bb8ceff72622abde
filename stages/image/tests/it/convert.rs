//! Disks from one format to another, with QEMU as the judge.

use std::{fs, path::Path};

use keel_artefact::{Interrupt, event::Silent};
use keel_config::image::Qcow2Compression;
use keel_image::{
    Error,
    convert::{Converted, Request, convert},
    read::Format,
};

use crate::fixture::{judge, message};

/// A disk of 8 MiB: text here, zeros there, and a name at its end.
fn disk() -> Vec<u8> {
    let mut disk = vec![0; 8 << 20];
    for (at, byte) in disk.iter_mut().enumerate() {
        if at % (3 << 20) < 300_000 {
            *byte = (at / 7 % 251) as u8;
        }
    }
    disk[(8 << 20) - 4..].copy_from_slice(b"last");
    disk
}

fn request<'a>(from: &'a Path, to: &'a Path, to_format: Format) -> Request<'a> {
    Request {
        from,
        from_format: None,
        to,
        to_format,
        compression: Qcow2Compression::Zstd,
        force: false,
    }
}

fn made(request: &Request<'_>) -> Result<Converted, Error> {
    convert(request, &Silent, &Interrupt::default())
}

fn qemu_name(format: Format) -> &'static str {
    match format {
        Format::Vhd => "vpc",
        other => other.as_str(),
    }
}

#[test]
fn every_format_from_every_other_is_the_same_disk_and_the_same_file() {
    let dir = tempfile::tempdir().unwrap();
    let raw = dir.path().join("disk.raw");
    fs::write(&raw, disk()).unwrap();
    for to in [Format::Qcow2, Format::Vhd, Format::Vhdx] {
        let first = dir.path().join(format!("disk.{to}"));
        let told = made(&request(&raw, &first, to)).unwrap();
        assert_eq!((told.from, told.to, told.disk_size), (Format::Raw, to, 8 << 20));
        assert_eq!(told.size, fs::metadata(&first).unwrap().len());
        let (one, other) = (raw.to_string_lossy(), first.to_string_lossy());
        let name = qemu_name(to);
        judge(
            "qemu-utils",
            &["qemu-img", "compare", "-f", "raw", "-F", name, &one, &other],
        );
        if to != Format::Vhd {
            judge("qemu-utils", &["qemu-img", "check", "-f", name, &other]);
        }
        for back in Format::ALL {
            let second = dir.path().join(format!("from-{to}.{back}"));
            let told = made(&request(&first, &second, back)).unwrap();
            assert_eq!((told.from, told.to), (to, back));
            let direct = dir.path().join(format!("disk.{back}"));
            if direct.exists() {
                // The way does not show: identities come from the disk.
                assert!(
                    fs::read(&second).unwrap() == fs::read(&direct).unwrap(),
                    "{to} to {back}"
                );
            }
        }
    }
    let left: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_string_lossy().starts_with('.'))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn zeros_take_no_space() {
    use std::os::unix::fs::MetadataExt as _;
    let dir = tempfile::tempdir().unwrap();
    let raw = dir.path().join("disk.raw");
    let file = fs::File::create(&raw).unwrap();
    file.set_len(1 << 26).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"x", 20 << 20).unwrap();
    for to in Format::ALL {
        let path = dir.path().join(format!("new.{to}"));
        made(&request(&raw, &path, to)).unwrap();
        let blocks = fs::metadata(&path).unwrap().blocks() * 512;
        assert!(blocks < 1 << 20, "{to}: {blocks}");
    }
}

#[test]
fn what_is_there_stays_unless_it_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let (raw, to) = (dir.path().join("disk.raw"), dir.path().join("to"));
    fs::write(&raw, disk()).unwrap();
    fs::write(&to, "precious").unwrap();
    let mut request = request(&raw, &to, Format::Vhdx);
    assert!(matches!(made(&request), Err(Error::Exists { .. })));
    assert_eq!(fs::read(&to).unwrap(), b"precious");
    request.force = true;
    made(&request).unwrap();
    assert!(fs::read(&to).unwrap().starts_with(b"vhdxfile"));
    // A folder is never replaced.
    let folder = dir.path().join("folder");
    fs::create_dir(&folder).unwrap();
    request.to = &folder;
    assert!(matches!(made(&request), Err(Error::Exists { .. })));
    // What the disk is wins over what it is called; what is said wins over both.
    request.to = &to;
    request.to_format = Format::Raw;
    request.from = &to;
    request.from_format = Some(Format::Qcow2);
    let error = message(&made(&request).unwrap_err());
    assert!(error.contains("cannot be read as qcow2"), "{error}");
    assert!(error.contains("does not begin as qcow2 does"), "{error}");
    request.from_format = None;
    made(&request).unwrap();
    assert!(fs::read(&to).unwrap() == disk());
}

#[test]
fn an_interrupted_conversion_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (raw, to) = (dir.path().join("disk.raw"), dir.path().join("to"));
    fs::write(&raw, disk()).unwrap();
    let interrupt = Interrupt::default();
    interrupt.set();
    let error = convert(&request(&raw, &to, Format::Qcow2), &Silent, &interrupt);
    assert!(matches!(error, Err(Error::Interrupted(_))), "{error:?}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn two_runs_do_not_write_one_file() {
    let dir = tempfile::tempdir().unwrap();
    let (raw, to) = (dir.path().join("disk.raw"), dir.path().join("to"));
    fs::write(&raw, disk()).unwrap();
    let other = fs::File::create(dir.path().join(".to.new")).unwrap();
    other.lock().unwrap();
    assert!(matches!(
        made(&request(&raw, &to, Format::Qcow2)),
        Err(Error::Busy { .. })
    ));
    drop(other);
    // Nor does a link lead elsewhere.
    let (link, elsewhere) = (dir.path().join(".to.new"), dir.path().join("elsewhere"));
    fs::write(&elsewhere, "precious").unwrap();
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &link).unwrap();
    let refused = made(&request(&raw, &to, Format::Qcow2));
    assert!(matches!(refused, Err(Error::Busy { .. })));
    assert_eq!(fs::read(&elsewhere).unwrap(), b"precious");
    fs::remove_file(&link).unwrap();
    fs::write(&link, "left").unwrap();
    // And what a killed run left is no hindrance.
    made(&request(&raw, &to, Format::Qcow2)).unwrap();
}
