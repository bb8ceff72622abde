//! `[[disk.partitions]]`: what a disk has besides its EFI system partition and its root.

use keel_artefact::RootPath;
use serde::Serialize;

use super::FileSystem;
use crate::Location;

/// One partition.
#[derive(Debug, Clone, Serialize)]
pub struct Partition {
    /// Its name in the partition table; unique on its disk.
    pub label: String,
    /// Its type in the partition table.
    #[serde(rename = "type")]
    pub kind: PartitionType,
    /// How large it is.
    pub size: PartitionSize,
    /// What is on it.
    pub content: PartitionContent,
    /// Where it is said.
    #[serde(skip)]
    pub defined_at: Location,
}

/// Types of the Discoverable Partitions Specification, by Image Customizer's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartitionType {
    /// Data that says nothing of itself.
    LinuxGeneric,
    /// Homes of users.
    Home,
    /// Data of services.
    Srv,
    /// What services keep.
    Var,
    /// What services keep for a while.
    Tmp,
    /// Memory on a disk.
    Swap,
    /// Kernels that the boot loader finds.
    Xbootldr,
}

impl PartitionType {
    /// All of them, by the name that TOML uses.
    pub const NAMES: [(&'static str, Self); 7] = [
        ("linux-generic", Self::LinuxGeneric),
        ("home", Self::Home),
        ("srv", Self::Srv),
        ("var", Self::Var),
        ("tmp", Self::Tmp),
        ("swap", Self::Swap),
        ("xbootldr", Self::Xbootldr),
    ];

    /// That of what is mounted there.
    pub fn of(mount_point: &RootPath) -> Self {
        match mount_point.as_str() {
            "/home" => Self::Home,
            "/srv" => Self::Srv,
            "/var" => Self::Var,
            "/var/tmp" => Self::Tmp,
            _ => Self::LinuxGeneric,
        }
    }
}

/// How large a partition is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartitionSize {
    /// As its content needs.
    Fits,
    /// So many bytes, a multiple of 1 MiB.
    Bytes(u64),
    /// All that the others leave of the disk; one at most.
    Grow,
}

/// What is on a partition.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartitionContent {
    /// A file system that holds the files below its mount point.
    Mounted {
        /// Its kind.
        filesystem: FileSystem,
        /// Where it is mounted; unique on its disk.
        mount_point: RootPath,
        /// Mount options, separated by commas.
        mount_options: Option<String>,
    },
    /// Swap space; its size is in bytes.
    Swap,
}

impl Partition {
    /// Where it is mounted.
    pub fn mount_point(&self) -> Option<&RootPath> {
        match &self.content {
            PartitionContent::Mounted { mount_point, .. } => Some(mount_point),
            PartitionContent::Swap => None,
        }
    }
}
