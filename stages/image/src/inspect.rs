//! What is in an image, whoever made it. Of a disk, whatever format it is written in: partitions, file systems, kernels and their command
//! lines. Of a container: its images, how they run, and their layers ([`container`]). Of an archive: its names and packages ([`archive`]).
//! Nothing is mounted, and nothing of an image is believed that was not checked against its size.
//!
//! Formats: UEFI specification §5.3 (GPT), the Unified Kernel Image of the UAPI group, and the superblocks as Linux has them
//! (`fs/erofs/erofs_fs.h`, `fs/ext4/ext4.h`, `fs/squashfs/squashfs_fs.h`, `fs/xfs/libxfs/xfs_format.h`); FAT by Microsoft's specification.

pub mod archive;
pub mod container;
mod superblock;

use std::{
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use keel_artefact::{Arch, ImageName, Interrupt};
use object::{Object as _, ObjectSection as _, read::pe::PeFile64};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    Built, Error,
    error::At,
    files::{self, cpio, tar, unpack},
    layout::Layout,
    manifest::{self, MANIFEST},
    read::{self, Disk, Format},
    write::{gpt::SECTOR, sparse::Source as _},
};

pub use archive::Archive;
pub use container::Container;
pub use superblock::FileSystem;

/// The most partitions that are told.
const MOST_PARTITIONS: u32 = 128;
/// What is read of a file on the EFI system partition: headers, and each section that is told, have no more bytes.
const LARGEST_PART: u64 = 64 << 10;
/// What is read of a partition, in bytes, and what is unpacked of a disk, for chains of a damaged one go round.
const ENOUGH: u64 = 1 << 30;
/// The largest manifest that is read.
const LARGEST_MANIFEST: u64 = 64 << 20;
/// The partition type of an EFI system partition.
pub(crate) const ESP: Uuid = Uuid::from_u128(0xc12a7328_f81f_11d2_ba4b_00a0c93ec93b);
/// Where unified kernel images lie on it.
const KERNELS: &str = "EFI/Linux";
/// Where firmware looks for what it starts on a medium that it does not know: a boot loader, or a kernel.
const REMOVABLE: &str = "EFI/BOOT";

/// What a file or folder is.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Found {
    /// A disk, or a file system alone.
    Disk(Inspected),
    /// A container.
    Container(Container),
    /// An archive of files.
    Archive(Archive),
}

/// A disk in a file.
#[derive(Debug, Serialize)]
pub struct Inspected {
    /// The file.
    pub file: PathBuf,
    /// How it is written down.
    pub format: Format,
    /// Bytes of the file.
    pub size: u64,
    /// Bytes of the disk.
    pub disk_size: u64,
    /// What is in it.
    #[serde(flatten)]
    pub content: Content,
    /// Its packages, as the manifest beside the file says; none: there is no manifest that names the file.
    pub packages: Option<Vec<String>>,
}

/// What is in a disk.
#[derive(Debug, Serialize)]
pub struct Content {
    /// The disk's identity; none: it has no partition table (GPT).
    pub guid: Option<Uuid>,
    /// By number.
    pub partitions: Vec<Partition>,
    /// What the disk holds where it has no partition table; with one, ISO 9660 beside it: a hybrid medium.
    pub file_system: Option<FileSystem>,
    /// Kernels that its firmware may start, by path.
    pub kernels: Vec<Kernel>,
    /// What of that could not be read, and why.
    pub unread: Vec<String>,
}

/// A partition.
#[derive(Debug, Serialize)]
pub struct Partition {
    /// Its number, from 1.
    pub number: u32,
    /// Its name.
    pub label: String,
    /// What it is for.
    pub type_guid: Uuid,
    /// Its identity.
    pub guid: Uuid,
    /// Where it begins, in bytes.
    pub offset: u64,
    /// Its size in bytes.
    pub size: u64,
    /// What it holds, if that is known.
    pub file_system: Option<FileSystem>,
}

/// A unified kernel image.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Kernel {
    /// Where it lies on the EFI system partition.
    pub path: String,
    /// `uname -r`.
    pub release: Option<String>,
    /// The kernel's command line.
    pub cmdline: Option<String>,
}

/// A finished image in its folder.
#[derive(Debug, Serialize)]
pub struct Image {
    /// Its name.
    pub image: ImageName,
    /// The distribution's version.
    pub version: String,
    /// What it runs on.
    pub arch: Arch,
    /// The folder.
    pub dir: PathBuf,
    /// Its packages.
    pub packages: Vec<String>,
    /// Its files, by name.
    pub files: Vec<OfImage>,
}

/// A file of a finished image.
#[derive(Debug, Serialize)]
pub struct OfImage {
    /// Its name in the folder.
    pub name: String,
    /// As `manifest.json` has it.
    pub format: String,
    /// Bytes.
    pub size: u64,
    /// What is in it; none: it is no image, but a kernel, say, or a document.
    pub found: Option<Found>,
}

/// What of an image's files is not looked into.
const NO_IMAGES: [&str; 4] = ["kernel", "lock", "spdx", "cyclonedx"];

/// Tells what is in each file of a finished image.
pub fn image(built: &Built, scratch: &Path, interrupt: &Interrupt) -> Result<Image, files::Error> {
    let look = |file: &manifest::File| {
        // Anybody's manifest may name anything.
        let is_name = Path::new(&file.name).file_name() == Some(file.name.as_ref());
        if !is_name {
            let file = built.dir.join(MANIFEST);
            let source = damaged("it names files that are not beside it");
            return Err(files::Error::Read { file, source });
        }
        // Of what the network gives, the RAM disk alone is one.
        let is_none = NO_IMAGES.contains(&file.format.as_str())
            || file.format == "pxe" && !file.name.ends_with(".initrd");
        let found = match is_none {
            true => None,
            false => Some(inspect(&built.dir.join(&file.name), scratch, interrupt)?),
        };
        Ok(OfImage {
            name: file.name.clone(),
            format: file.format.clone(),
            size: file.size,
            found,
        })
    };
    let packages = built.packages.iter();
    Ok(Image {
        image: built.image.clone(),
        version: built.version.clone(),
        arch: built.arch,
        dir: built.dir.clone(),
        packages: packages.map(|package| package.nevra.to_string()).collect(),
        files: built.files.iter().map(look).collect::<Result<_, _>>()?,
    })
}

/// Tells what is at `path`; what is compressed is unpacked into files without names in the folder `scratch`.
pub fn inspect(path: &Path, scratch: &Path, interrupt: &Interrupt) -> Result<Found, files::Error> {
    let of_layout = |layout: &Layout| {
        let container = container::look(path, layout, interrupt);
        interrupt.check()?;
        Ok(Found::Container(container.map_err(Box::new)?))
    };
    if path.is_dir() {
        return of_layout(&Layout::open(path).map_err(Box::new)?);
    }
    let unread = |source| files::Error::Read {
        file: path.to_owned(),
        source,
    };
    let file = fs_err::File::open(path).map_err(unread)?;
    let size = file.metadata().map_err(unread)?.len();
    let head = |file: &mut dyn Read| -> io::Result<Vec<u8>> {
        let mut head = Vec::new();
        file.take(SECTOR).read_to_end(&mut head)?;
        Ok(head)
    };
    let mut first = head(&mut &file).map_err(unread)?;
    let method = unpack::method(&first);
    if method.is_some() {
        let mut reader = fs_err::File::open(path)
            .and_then(|file| unpack::reader(file, method))
            .map_err(unread)?;
        // What begins as if it were compressed, and is not, is a disk.
        first = head(&mut reader).unwrap_or_default();
    }
    let is_tar = tar::is_header(&first);
    if !is_tar && !cpio::is_header(&first) {
        return Ok(Found::Disk(disk(path).map_err(Box::new)?));
    }
    if is_tar
        && method.is_none()
        && let Ok(layout) = Layout::open(path)
    {
        return of_layout(&layout);
    }
    // An archive has neither partitions nor architectures.
    let options = files::Options {
        partition: None,
        arch: Arch::X86_64,
        scratch,
    };
    let mut files = files::open(path, &options, interrupt)?;
    let method = method.map(unpack::Method::as_str);
    Ok(Found::Archive(archive::look(
        path, size, method, is_tar, &mut files,
    )?))
}

/// Looks at the disk in a file.
pub fn disk(path: &Path) -> Result<Inspected, Error> {
    let mut file = fs_err::File::open(path).at("read", path.display())?;
    let format = read::probe(&mut file).at("read", path.display())?;
    let size = file.metadata().at("read", path.display())?.len();
    let unread = |source| Error::Unreadable {
        file: path.to_owned(),
        format,
        source,
    };
    let mut disk = read::open(Box::new(file), format).map_err(unread)?;
    Ok(Inspected {
        file: path.to_owned(),
        format,
        size,
        disk_size: disk.size(),
        content: look(&mut disk).map_err(unread)?,
        packages: packages(path)?,
    })
}

/// What is in a disk. Fails with `InvalidData` where it is not what it should be.
pub fn look(disk: &mut Disk) -> io::Result<Content> {
    disk.unpack_at_most(ENOUGH);
    let (size, medium) = (disk.size(), superblock::medium(disk)?);
    let Some((guid, partitions)) = table(disk)? else {
        let file_system = match medium {
            Some(medium) => Some(medium),
            None => superblock::of(disk, 0, size)?,
        };
        return Ok(Content {
            guid: None,
            partitions: Vec::new(),
            file_system,
            kernels: Vec::new(),
            unread: Vec::new(),
        });
    };
    let (mut kernels, mut unread) = (Vec::new(), Vec::new());
    for partition in partitions.iter().filter(|partition| partition.type_guid == ESP) {
        if let Err(error) = kernels_of(disk, partition, &mut kernels, &mut unread) {
            unread.push(format!("kernels of partition {}: {error}", partition.number));
        }
    }
    Ok(Content {
        guid: Some(guid),
        partitions,
        file_system: medium,
        kernels,
        unread,
    })
}

/// The partition table, if there is one (UEFI §5.3.2 and §5.3.3).
fn table(disk: &mut Disk) -> io::Result<Option<(Uuid, Vec<Partition>)>> {
    let size = disk.size();
    if size < 34 * SECTOR {
        return Ok(None);
    }
    let mut header = [0; 92];
    disk.read_at(SECTOR, &mut header)?;
    if !header.starts_with(b"EFI PART") {
        return Ok(None);
    }
    let (first, count, width) = (le64(&header, 72), le32(&header, 80), le32(&header, 84));
    if width < 128 || !width.is_power_of_two() || width > 4096 {
        return Err(damaged(format!(
            "entries of its partition table have {width} bytes"
        )));
    }
    let mut partitions = Vec::new();
    for number in 0..count.min(MOST_PARTITIONS) {
        let at =
            (first.checked_mul(SECTOR)).and_then(|at| at.checked_add(u64::from(number) * u64::from(width)));
        let at = at.filter(|at| at.checked_add(128).is_some_and(|end| end <= size));
        let at = at.ok_or_else(|| damaged("its partition table is not within the disk"))?;
        let mut entry = [0; 128];
        disk.read_at(at, &mut entry)?;
        let kind = guid(&entry, 0);
        if kind.is_nil() {
            continue;
        }
        let (begin, last) = (le64(&entry, 32), le64(&entry, 40));
        let bounds = (|| {
            let end = last.checked_add(1)?.checked_mul(SECTOR)?;
            let begin = begin.checked_mul(SECTOR)?;
            (begin < end && end <= size).then(|| (begin, end - begin))
        })();
        let (offset, length) =
            bounds.ok_or_else(|| damaged(format!("partition {} is not within the disk", number + 1)))?;
        let label: Vec<u16> = (entry[56..].chunks_exact(2))
            .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
            .take_while(|unit| *unit != 0)
            .collect();
        partitions.push(Partition {
            number: number + 1,
            label: String::from_utf16_lossy(&label),
            type_guid: kind,
            guid: guid(&entry, 16),
            offset,
            size: length,
            file_system: superblock::of(disk, offset, length)?,
        });
    }
    Ok(Some((guid(&header, 56), partitions)))
}

/// Unified kernel images on an EFI system partition. One that cannot be read as such has none.
fn kernels_of(
    disk: &mut Disk,
    esp: &Partition,
    kernels: &mut Vec<Kernel>,
    unread: &mut Vec<String>,
) -> io::Result<()> {
    let is_fat = |found: &FileSystem| found.kind == "vfat";
    if !esp.file_system.as_ref().is_some_and(is_fat) {
        return Ok(());
    }
    let window = Window {
        disk,
        offset: esp.offset,
        size: esp.size,
        at: 0,
        budget: ENOUGH,
    };
    let fat = fatfs::FileSystem::new(window, fatfs::FsOptions::new())?;
    let before = kernels.len();
    for place in [KERNELS, REMOVABLE] {
        let folder = match fat.root_dir().open_dir(place) {
            Ok(folder) => folder,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in folder.iter() {
            let entry = entry?;
            let name = entry.file_name();
            if !(entry.is_file() && name.to_lowercase().ends_with(".efi")) {
                continue;
            }
            let path = format!("/{place}/{name}");
            // One that cannot be read does not hide the others.
            match kernel(path.clone(), &mut entry.to_file()) {
                // There, a boot loader may be, which starts what is in the other folder.
                Ok(found) if place == REMOVABLE && found.cmdline.is_none() => {}
                Ok(found) => kernels.push(found),
                Err(error) => unread.push(format!("kernel `{path}`: {error}")),
            }
        }
    }
    kernels[before..].sort_by(|one, other| one.path.cmp(&other.path));
    Ok(())
}

/// The sections of a PE file that say what it is. All others, the kernel itself, are not looked at.
fn kernel(path: String, file: &mut (impl Read + Seek)) -> io::Result<Kernel> {
    let mut part = |from: u64, size: u64| -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(from))?;
        file.take(size).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let headers = part(0, LARGEST_PART)?;
    let pe = PeFile64::parse(headers.as_slice()).ok();
    let mut section = |name: &str| -> io::Result<Option<String>> {
        let section = pe.as_ref().and_then(|pe| pe.section_by_name(name));
        // Padded to the alignment of the file: what counts is its size in memory.
        let range = section.and_then(|section| Some((section.file_range()?, section.size())));
        let Some(((from, stored), size)) = range.filter(|(_, size)| *size <= LARGEST_PART) else {
            return Ok(None);
        };
        let text = String::from_utf8(part(from, size.min(stored))?).ok();
        Ok(text.map(|text| text.trim_end_matches(['\0', '\n']).to_owned()))
    };
    let (release, cmdline) = (section(".uname")?, section(".cmdline")?);
    Ok(Kernel {
        path,
        release,
        cmdline,
    })
}

/// What the manifest beside a file says, if it names the file.
pub(crate) fn packages(path: &Path) -> Result<Option<Vec<String>>, Error> {
    let manifest = path.with_file_name(MANIFEST);
    let is_small = |metadata: std::fs::Metadata| metadata.is_file() && metadata.len() <= LARGEST_MANIFEST;
    if !fs_err::metadata(&manifest).is_ok_and(is_small) {
        return Ok(None);
    }
    let bytes = fs_err::read(&manifest).at("read", manifest.display())?;
    // Anybody's file may have that name.
    let Ok(built) = serde_json::from_slice::<Built>(&bytes) else {
        return Ok(None);
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_its = built.format == manifest::FORMAT && built.files.iter().any(|file| *file.name == *name);
    let packages = built.packages.iter().map(|package| package.nevra.to_string());
    Ok(is_its.then(|| packages.collect()))
}

/// A part of a disk, to be read.
struct Window<'a> {
    disk: &'a mut Disk,
    offset: u64,
    size: u64,
    at: u64,
    /// How many bytes may still be read: chains of a damaged FAT go round.
    budget: u64,
}

impl Read for Window<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Whoever asks for little at a time asks often.
        let spent = (buffer.len() as u64).max(SECTOR);
        self.budget =
            (self.budget.checked_sub(spent)).ok_or_else(|| damaged("its EFI system partition has no end"))?;
        let left = self.size.saturating_sub(self.at);
        let length = left.min(buffer.len() as u64) as usize;
        self.disk.read_at(self.offset + self.at, &mut buffer[..length])?;
        self.at += length as u64;
        Ok(length)
    }
}

impl Seek for Window<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| damaged("it points before its first byte"))?;
        Ok(self.at)
    }
}

/// The reader of FAT wants a file that it could write: it is not asked to.
impl Write for Window<'_> {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "the disk is only read",
        ))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn damaged(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

/// A GUID as GPT writes it: the first three parts little-endian.
fn guid(bytes: &[u8], at: usize) -> Uuid {
    Uuid::from_bytes_le(array(bytes, at))
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

fn le32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(bytes, at))
}

fn le64(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array(bytes, at))
}
