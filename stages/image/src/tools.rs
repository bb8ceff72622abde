//! The two things that real programs do better: file systems and rpm's database. A trait, so that what is made of
//! their results can be tested without them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use keel_artefact::Epoch;
use keel_host::{mkfs_ext4::Attribute, mksquashfs};
use uuid::Uuid;

use crate::{audit::Foreign, write::ext4::Layout};

/// Why a tool failed.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How an EROFS is made, besides its content.
#[derive(Debug, Clone, Copy)]
pub struct Erofs<'a> {
    /// Its identity.
    pub uuid: Uuid,
    /// Its label, 15 bytes at most.
    pub label: &'a str,
    /// The time of the file system itself; files have their own.
    pub clock: Epoch,
}

/// How a SquashFS is made, besides its content.
#[derive(Debug, Clone)]
pub struct Squashfs {
    /// The time of the file system itself; files have their own.
    pub clock: Epoch,
    /// Its root, which is not taken from the archive.
    pub root: mksquashfs::Root,
}

/// How an ext4 is made, besides its content.
#[derive(Debug, Clone, Copy)]
pub struct Ext4<'a> {
    /// Its identity.
    pub uuid: Uuid,
    /// What the order of names in large folders depends on.
    pub hash_seed: Uuid,
    /// Its label, 16 bytes at most.
    pub label: &'a str,
    /// The time of the file system itself; files have their own.
    pub clock: Epoch,
    /// Its size, and what it has room for.
    pub layout: Layout,
    /// Attributes that the archive has, but mke2fs does not take from it.
    pub attributes: &'a [Attribute<'a>],
}

/// How a medium is made, besides its files.
#[derive(Debug, Clone, Copy)]
pub struct Iso<'a> {
    /// What it is called: 32 of `A-Z 0-9 _` at most.
    pub volume: &'a str,
    /// The identity of its partition table.
    pub guid: Uuid,
    /// The time of all of it.
    pub clock: Epoch,
    /// A FAT file system for UEFI.
    pub esp: Option<&'a Path>,
    /// GRUB's master boot record for BIOS, whose other half is [`keel_host::xorriso::BIOS_IMAGE`] in the folder.
    pub mbr: Option<&'a Path>,
}

/// What stage0 does for an image.
pub trait Tools {
    /// Makes the EROFS `image` of the tar archive `archive`.
    fn mkfs_erofs(&self, archive: &Path, image: &Path, options: &Erofs<'_>) -> Result<(), Failure>;

    /// Makes the SquashFS `image` of the tar archive `archive`.
    fn mksquashfs(&self, archive: &Path, image: &Path, options: &Squashfs) -> Result<(), Failure>;

    /// Makes the ISO 9660 `image` of the files in `folder`.
    fn xorriso(&self, folder: &Path, image: &Path, options: &Iso<'_>) -> Result<(), Failure>;

    /// Makes the ext4 `image` of the tar archive `archive`.
    fn mkfs_ext4(&self, archive: &Path, image: &Path, options: &Ext4<'_>) -> Result<(), Failure>;

    /// Unpacks the EROFS `image` into the new folder `folder`; what was its root is `folder/tree`.
    fn extract_erofs(&self, image: &Path, folder: &Path) -> Result<(), Failure>;

    /// Files of rpm's database, by name, for these packages installed at `clock`.
    fn rpmdb(&self, packages: &[PathBuf], clock: Epoch) -> Result<BTreeMap<String, Vec<u8>>, Failure>;

    /// What must not be in an image.
    fn foreign(&self) -> Result<Foreign, Failure>;
}
