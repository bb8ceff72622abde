//! What a file is, and which part of it is meant.

use std::{fs::File, io, os::unix::fs::FileExt as _, path::Path};

use keel_artefact::{Arch, Interrupt};

use super::{
    Contents, Error, Files, Names,
    archive::Archive,
    cpio, erofs,
    error::{damaged, unsupported},
    ext4, fat, iso, layers, squashfs, tar, unpack,
    volume::Volume,
};
use crate::{
    inspect::{self, Partition},
    layout::Layout,
    read,
    write::sparse::Source as _,
};

/// What of an image is meant, and where there is room for it.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// Number or name of a partition; `esp` is the EFI system partition. None: the root.
    pub partition: Option<&'a str>,
    /// Of a container for several architectures, this one.
    pub arch: Arch,
    /// A folder for files without names: what is compressed is unpacked there.
    pub scratch: &'a Path,
}

/// Opens the image at `path`, and lists its names.
pub fn open(path: &Path, options: &Options<'_>, interrupt: &Interrupt) -> Result<Files, Error> {
    let opened = if path.is_dir() {
        let layout = Layout::open(path).map_err(Box::new)?;
        no_partitions(path, options)?;
        layers::list(&layout, options.arch, options.scratch, interrupt)
    } else {
        let opened = fs_err::File::open(path).map_err(|source| unread(path, source));
        of_file(path, opened?.into_parts().0, options, interrupt, true)
    };
    // What failed after the user stopped it failed because of that.
    interrupt.check()?;
    let (names, contents) = opened?;
    Ok(Files::new(path, names, contents, interrupt))
}

type Listed = Result<(Names, Box<dyn Contents>), Error>;

fn of_file(
    path: &Path,
    mut file: File,
    options: &Options<'_>,
    interrupt: &Interrupt,
    packed: bool,
) -> Listed {
    let unread = |source| unread(path, source);
    let size = file.metadata().map_err(unread)?.len();
    let mut head = vec![0; size.min(512) as usize];
    file.read_exact_at(&mut head, 0).map_err(unread)?;
    if let Some(method) = unpack::method(&head).filter(|_| packed) {
        let first = unpack::first_bytes(&file, method, 512).unwrap_or_default();
        if cpio::is_header(&first) {
            // Behind a packed archive may be another one, which is not.
            no_partitions(path, options)?;
            let mut archive = Archive::new(interrupt);
            let laid = cpio::lay(file, &mut archive, options.scratch, interrupt);
            return laid.and_then(|()| archive.done()).map_err(unread);
        }
        let inner = unpack::unpack(&file, Some(method), options.scratch, interrupt).map_err(unread)?;
        return of_file(path, inner, options, interrupt, false);
    }
    if cpio::is_header(&head) || tar::is_header(&head) {
        no_partitions(path, options)?;
        if packed && tar::is_header(&head) && is_layout(path) {
            let layout = Layout::open(path).map_err(Box::new)?;
            return layers::list(&layout, options.arch, options.scratch, interrupt);
        }
        let mut archive = Archive::new(interrupt);
        let laid = match tar::is_header(&head) {
            true => tar::list(file, &mut archive, interrupt).and_then(|members| archive.lay(members, false)),
            false => cpio::lay(file, &mut archive, options.scratch, interrupt),
        };
        return laid.and_then(|()| archive.done()).map_err(unread);
    }
    let format = read::probe(&mut file).map_err(unread)?;
    let mut disk = read::open(Box::new(file), format).map_err(unread)?;
    disk.recount();
    let content = inspect::look(&mut disk).map_err(unread)?;
    // From here on a volume bounds what is read.
    disk.unpack_at_most(u64::MAX);
    let (from, size, kind) = match &content.guid {
        // A hybrid medium is a disk, too, with a partition for firmware.
        Some(_) if options.partition.is_none() && content.file_system.is_some() => {
            (0, disk.size(), content.file_system.as_ref())
        }
        None => {
            no_partitions(path, options)?;
            (0, disk.size(), content.file_system.as_ref())
        }
        Some(_) => {
            let partition = choose(path, &content.partitions, options.partition)?;
            (partition.offset, partition.size, partition.file_system.as_ref())
        }
    };
    let volume = Volume::new(disk, from, size, interrupt);
    let listed = match kind.map(|found| found.kind) {
        Some("erofs") => erofs::list(volume),
        Some("ext4" | "ext3" | "ext2") => ext4::list(volume),
        Some("squashfs") => squashfs::list(volume),
        Some("iso9660") => iso::list(volume),
        Some("vfat") => fat::list(volume),
        Some(other) => Err(unsupported(format!("files of {other} are not read"))),
        None => Err(damaged(
            "there is no disk, file system, container or archive in it that is known",
        )),
    };
    listed.map_err(unread)
}

fn unread(path: &Path, source: io::Error) -> Error {
    Error::Read {
        file: path.to_owned(),
        source,
    }
}

/// Is the archive an OCI layout?
fn is_layout(path: &Path) -> bool {
    Layout::open(path).is_ok()
}

fn no_partitions(path: &Path, options: &Options<'_>) -> Result<(), Error> {
    match options.partition {
        None => Ok(()),
        Some(wanted) => Err(Error::Partition {
            file: path.to_owned(),
            why: format!("has no partition `{wanted}`"),
            there: Vec::new(),
        }),
    }
}

/// The partition that is wanted: by number or name. None: the root, by its type (Discoverable Partitions Specification), then by its
/// name, then the only one that holds files of Linux.
fn choose<'a>(path: &Path, all: &'a [Partition], wanted: Option<&str>) -> Result<&'a Partition, Error> {
    let found = match wanted {
        Some(wanted) => {
            let by_number = all.iter().find(|one| one.number.to_string() == wanted);
            let by_name = || only(all.iter().filter(|one| one.label == wanted));
            let esp = || {
                only(
                    all.iter()
                        .filter(|one| one.type_guid == inspect::ESP && wanted == "esp"),
                )
            };
            by_number.or_else(by_name).or_else(esp)
        }
        None => {
            let kind = |one: &&Partition| ROOTS.contains(&one.type_guid.as_u128());
            let name = |one: &&Partition| one.label == "root" || one.label.starts_with("root-");
            let linux = |one: &&Partition| {
                let system = one.file_system.as_ref().map(|system| system.kind);
                matches!(
                    system,
                    Some("erofs" | "ext4" | "ext3" | "ext2" | "xfs" | "squashfs")
                )
            };
            only(all.iter().filter(kind).filter(linux))
                .or_else(|| only(all.iter().filter(name).filter(linux)))
                .or_else(|| only(all.iter().filter(linux)))
        }
    };
    found.ok_or_else(|| Error::Partition {
        file: path.to_owned(),
        why: match wanted {
            Some(wanted) => format!("has no one partition `{wanted}`"),
            None => "has no one partition that is the root".to_owned(),
        },
        there: all
            .iter()
            .map(|one| format!("{} ({})", one.number, one.label))
            .collect(),
    })
}

fn only<'a>(mut all: impl Iterator<Item = &'a Partition>) -> Option<&'a Partition> {
    let one = all.next();
    match all.next() {
        None => one,
        Some(_) => None,
    }
}

/// Types of roots: of x86-64, AArch64, and 64-bit RISC-V.
const ROOTS: [u128; 3] = [
    0x4f68bce3_e8cd_4db1_96e7_fbcaf984b709,
    0xb921b045_1df0_41c3_af44_4c6f280d3fae,
    0x72ec70a6_cf74_40e6_bd49_4bda08e8f224,
];
