//! Disks that this crate wrote, disks that QEMU wrote in ways that this crate does not, and bytes that somebody made up.

use std::{io::Cursor, process::Command};

use keel_config::image::Qcow2Compression;

use super::*;
use crate::write::{
    qcow2 as write_qcow2,
    sparse::{Raw, each},
    vhd as write_vhd, vhdx as write_vhdx,
};

/// Text, noise and zeros, and no whole number of any block.
pub(crate) fn content() -> Vec<u8> {
    let mut seed = 7_u64;
    let mut noise = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 56) as u8
    };
    let mut disk = vec![0; (5 << 20) + 1536];
    for (number, part) in disk.chunks_mut(100_000).enumerate() {
        match number % 4 {
            0 => part.fill_with(&mut noise),
            1 => part.fill(b'x'),
            _ => {}
        }
    }
    disk
}

fn written(format: Format, disk: &[u8]) -> Vec<u8> {
    let mut from = Raw::new(Cursor::new(disk), disk.len() as u64);
    let (mut out, mut go) = (Cursor::new(Vec::new()), |_| Ok(()));
    match format {
        Format::Raw => return disk.to_vec(),
        Format::Qcow2 => write_qcow2::write(&mut from, Qcow2Compression::Zstd, &mut out, &mut go),
        Format::Vhd => write_vhd::write(&mut from, Epoch(1 << 30), &mut out, &mut go),
        Format::Vhdx => write_vhdx::write(&mut from, &mut out, &mut go),
    }
    .unwrap();
    out.into_inner()
}

/// The whole disk, by way of [`each`], which leaves out what is known to be zeros.
fn whole(disk: &mut Disk) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; disk.size() as usize];
    each(disk, &mut |_| Ok(()), |at, part| {
        bytes[at as usize..at as usize + part.len()].copy_from_slice(part);
        Ok(())
    })?;
    Ok(bytes)
}

fn opened(bytes: &[u8]) -> io::Result<Disk> {
    let format = probe(&mut Cursor::new(bytes))?;
    open(Box::new(Cursor::new(bytes.to_vec())), format)
}

#[test]
fn what_is_written_is_read() {
    let disk = content();
    for format in Format::ALL {
        let file = written(format, &disk);
        assert_eq!(probe(&mut Cursor::new(&file)).unwrap(), format);
        let mut read = whole(&mut opened(&file).unwrap()).unwrap();
        // A VHD is a whole number of MiB.
        assert!(read.len() >= disk.len() && read[disk.len()..].iter().all(|byte| *byte == 0));
        read.truncate(disk.len());
        assert!(read == disk, "{format}");
    }
    let vhd = opened(&written(Format::Vhd, &disk)).unwrap();
    assert_eq!(vhd.clock(), Some(Epoch(1 << 30)));
}

/// What qemu-img makes of `content` with these arguments; QEMU is the judge of these formats.
fn of_qemu(dir: &std::path::Path, arguments: &[&str]) -> Vec<u8> {
    let (from, to) = (dir.join("raw"), dir.join("disk"));
    std::fs::write(&from, content()).unwrap();
    let output = Command::new("qemu-img")
        .args(["convert", "-f", "raw"])
        .args(arguments)
        .args([&from, &to])
        .output();
    let output = output.unwrap_or_else(|error| panic!("qemu-img: {error}; apt-get install qemu-utils"));
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    std::fs::read(to).unwrap()
}

#[test]
fn what_qemu_writes_is_read() {
    let (dir, disk) = (tempfile::tempdir().unwrap(), content());
    for arguments in [
        &["-O", "qcow2"][..],
        &["-O", "qcow2", "-o", "compat=0.10"],
        &["-O", "qcow2", "-o", "cluster_size=512"],
        &["-O", "qcow2", "-o", "cluster_size=2M"],
        &["-O", "qcow2", "-o", "preallocation=metadata"],
        &["-O", "qcow2", "-c"],
        &["-O", "qcow2", "-c", "-o", "cluster_size=4k"],
        &["-O", "qcow2", "-c", "-o", "cluster_size=2M"],
        &["-O", "qcow2", "-c", "-o", "compression_type=zstd"],
        &["-O", "qcow2", "-c", "-o", "compression_type=zstd,cluster_size=2M"],
        &["-O", "vpc"],
        &["-O", "vpc", "-o", "force_size=on"],
        &["-O", "vpc", "-o", "subformat=fixed"],
        &["-O", "vpc", "-o", "subformat=fixed,force_size=on"],
        &["-O", "vhdx"],
        &["-O", "vhdx", "-o", "subformat=fixed"],
        &["-O", "vhdx", "-o", "block_size=1M"],
        &["-O", "vhdx", "-o", "block_size=256M,block_state_zero=off"],
    ] {
        let file = of_qemu(dir.path(), arguments);
        let read = opened(&file).and_then(|mut disk| whole(&mut disk));
        let read = read.unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
        assert!(read[..disk.len()] == disk, "{arguments:?}");
        assert!(read[disk.len()..].iter().all(|byte| *byte == 0), "{arguments:?}");
    }
}

#[test]
fn what_needs_more_than_the_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let secret = "--object=secret,id=s,data=x";
    let qcow2 = written(Format::Qcow2, &content());
    std::fs::write(dir.path().join("base"), qcow2).unwrap();
    let create = |arguments: &[&str]| {
        let to = dir.path().join("new");
        let output = Command::new("qemu-img")
            .current_dir(dir.path())
            .arg("create")
            .args(arguments)
            .args(["new", "4M"])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        std::fs::read(to).unwrap()
    };
    for (arguments, reason) in [
        (&["-f", "qcow2", "-b", "base", "-F", "qcow2"][..], "backing file"),
        (
            &[
                "-f",
                "qcow2",
                secret,
                "-o",
                "encrypt.format=aes,encrypt.key-secret=s",
            ],
            "encrypted",
        ),
        (&["-f", "qcow2", "-o", "data_file=data"], "another file"),
        (&["-f", "qcow2", "-o", "extended_l2=on"], "extended L2"),
    ] {
        let error = opened(&create(arguments)).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported, "{arguments:?}: {error}");
        assert!(error.to_string().contains(reason), "{error}");
    }
}

/// `file` with these bytes at this place, and, where there is one, a checksum that is right again.
fn patched(file: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut file = file.to_vec();
    file[at..at + bytes.len()].copy_from_slice(bytes);
    if file.starts_with(vhdx::MAGIC) {
        for (start, length) in [
            (64 << 10, 4096),
            (128 << 10, 4096),
            (192 << 10, 64 << 10),
            (256 << 10, 64 << 10),
        ] {
            file[start + 4..start + 8].fill(0);
            let sum = write_vhdx::crc32c(&file[start..start + length]);
            file[start + 4..start + 8].copy_from_slice(&sum.to_le_bytes());
        }
    } else if file.ends_with(&[0; 400]) {
        let footer = file.len() - 512;
        let sum = write_vhd::checksum(&file[footer..], 64);
        file[footer + 64..footer + 68].copy_from_slice(&sum.to_be_bytes());
    }
    file
}

#[test]
fn what_is_damaged_or_more_is_told() {
    let disk = content();
    let [_, qcow2, vhd, vhdx] = Format::ALL.map(|format| written(format, &disk));
    let footer = vhd.len() - 512;
    let most = u64::MAX.to_be_bytes();
    let cases: [(&[u8], usize, &[u8], &str); 21] = [
        (&qcow2, 7, &[9], "version 9"),
        (&qcow2, 23, &[40], "2^40 bytes"),
        (&qcow2, 24, &most, "L1 table is too short"),
        (&qcow2, 40, &most, "not within the file"),
        (&qcow2, 79, &[2], "corrupt"),
        (&qcow2, 78, &[1], "not known: 0x100"),
        (&qcow2, 104, &[7], "method 7"),
        (&vhd, footer + 48, &most, "its disk has"),
        (&vhd, footer + 63, &[4], "difference to another disk"),
        (&vhd, footer + 63, &[3], "points to byte"),
        (&vhd, footer + 13, &[2], "version 2"),
        (&vhdx, (64 << 10) + 48, &[1; 16], "both"),
        (&vhdx, (64 << 10) + 66, &[2], "both"),
        (&vhdx, (192 << 10) + 8, &[255; 4], "regions"),
        (&vhdx, (192 << 10) + 16, &[1; 16], "region 01010101"),
        (&vhdx, 2 << 20, b"M", "metadata is damaged"),
        (
            &vhdx,
            (2 << 20) + (64 << 10),
            &[1, 0, 0, 0],
            "blocks have 1 bytes",
        ),
        (
            &vhdx,
            (2 << 20) + (64 << 10) + 4,
            &[2],
            "difference to another disk",
        ),
        (
            &vhdx,
            (2 << 20) + (64 << 10) + 8,
            &[255; 8],
            "too short for its disk",
        ),
        (&vhdx, (2 << 20) + 32, &[1; 16], "not known"),
        (&vhdx, (2 << 20) + 32 + 16, &[255; 4], "points to byte"),
    ];
    for (file, at, bytes, reason) in cases {
        // Of two headers, the second counts: it is newer.
        let (at, reason) = match reason {
            "both" => (at + (64 << 10), if bytes.len() > 1 { "log" } else { "version 2" }),
            _ => (at, reason),
        };
        let error = opened(&patched(file, at, bytes)).err();
        let error = error.unwrap_or_else(|| panic!("{reason} at {at} is read"));
        assert!(error.to_string().contains(reason), "{reason}: {error}");
    }
    // Without a right checksum.
    for (file, at, reason) in [(&vhd, footer + 70, "checksum"), (&vhdx, 64 << 10, "")] {
        let mut file = file.clone();
        file[at] ^= 1;
        match opened(&file) {
            Ok(mut disk) => assert!(
                reason.is_empty() && whole(&mut disk).is_ok(),
                "the other header counts"
            ),
            Err(error) => assert!(error.to_string().contains(reason), "{error}"),
        }
    }
    // A file that was cut off.
    for file in [&qcow2, &vhdx] {
        let cut = opened(&file[..file.len() / 2]).and_then(|mut disk| whole(&mut disk));
        assert_eq!(cut.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}

#[test]
fn a_file_whose_tables_go_in_circles_gives_no_more_than_it_has() {
    // All L2 entries point to the first cluster of data: 64 KiB that would be 500 MiB.
    let (mut disk, size) = (vec![0; 4 << 20], 500_u64 << 20);
    disk[0] = 1;
    let mut from = Raw::new(Cursor::new(disk), 4 << 20);
    let mut out = Cursor::new(Vec::new());
    write_qcow2::write(&mut from, Qcow2Compression::None, &mut out, &mut |_| Ok(())).unwrap();
    let mut file = out.into_inner();
    file[24..32].copy_from_slice(&size.to_be_bytes());
    let l2 = 2 << 16;
    let entry: [u8; 8] = file[l2..l2 + 8].try_into().unwrap();
    for at in (l2..3 << 16).step_by(8) {
        file[at..at + 8].copy_from_slice(&entry);
    }
    let error = opened(&file).and_then(|mut disk| whole(&mut disk)).unwrap_err();
    assert!(error.to_string().contains("more than once"), "{error}");
}

/// Bytes of real files changed here and there: an error or a disk, but no panic, no endless loop and no more than the
/// file. (The fuzz target goes on from here.)
#[test]
fn made_up_files_do_no_harm() {
    let disk = content();
    let mut seed = 1_u64;
    let mut next = |below: usize| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    for format in [Format::Qcow2, Format::Vhd, Format::Vhdx] {
        let file = written(format, &disk[..1 << 20]);
        // Where numbers are: the beginning, the tables, the end.
        let interesting = [0, 64 << 10, 192 << 10, 2 << 20, 3 << 20, file.len() - 512];
        for _ in 0..60 {
            let start = interesting[next(interesting.len())].min(file.len() - 512);
            let bytes: Vec<u8> = (0..1 + next(8)).map(|_| [0, 1, 0x7f, 0xff][next(4)]).collect();
            let at = (start + next(504)).min(file.len() - bytes.len());
            let Ok(mut disk) = open(Box::new(Cursor::new(patched(&file, at, &bytes))), format) else {
                continue;
            };
            let mut left = 64 << 20;
            let _ = each(&mut disk, &mut |_| Ok(()), |_, part| {
                left -= part.len() as i64;
                if left < 0 {
                    Err(io::Error::other("enough"))
                } else {
                    Ok(())
                }
            });
        }
    }
}
