//! The partition table: GPT (UEFI specification 2.10, chapter 5) with types of the Discoverable Partitions
//! Specification (<https://uapi-group.org/specifications/specs/discoverable_partitions_specification/>).
//!
//! Every GUID is derived from the content, so that the same content gives the same table.

use std::collections::BTreeMap;

use keel_artefact::{Arch, Sha256};
use keel_config::image::partition::PartitionType;
use uuid::Uuid;

use crate::{Error, error::At};

/// Partitions start and end on multiples of this.
pub const ALIGNMENT: u64 = 1024 * 1024;
/// Bytes of a sector.
pub const SECTOR: u64 = 512;
/// What the two tables take: one unit of alignment at the start, one at the end.
pub const OVERHEAD: u64 = 2 * ALIGNMENT;

/// Namespace of Keel's name-based UUIDs.
const NAMESPACE: Uuid = Uuid::from_u128(0x5b9c_4f3e_8a0d_4d5c_9f6e_0c7a_5c1e_4b21);

/// The UUID for a role of this content: version 5 (RFC 9562) over `digest/role`.
pub fn uuid(digest: &Sha256, role: &str) -> Uuid {
    Uuid::new_v5(&NAMESPACE, format!("{digest}/{role}").as_bytes())
}

/// What a partition is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The EFI system partition.
    Esp,
    /// The root file system of an architecture.
    Root(Arch),
    /// What a definition says.
    Data(PartitionType),
}

impl Role {
    fn type_guid(self) -> ::gpt::partition_types::Type {
        // gpt has no names for these.
        let linux = |guid| ::gpt::partition_types::Type {
            guid: Uuid::from_u128(guid),
            os: ::gpt::partition_types::OperatingSystem::Linux,
        };
        match self {
            Self::Data(PartitionType::LinuxGeneric) => ::gpt::partition_types::LINUX_FS,
            Self::Data(PartitionType::Home) => ::gpt::partition_types::LINUX_HOME,
            Self::Data(PartitionType::Srv) => ::gpt::partition_types::LINUX_SRV,
            Self::Data(PartitionType::Var) => linux(0x4d21_b016_b534_45c2_a9fb_5c16_e091_fd2d),
            Self::Data(PartitionType::Tmp) => linux(0x7ec6_f557_3bc5_4aca_b293_16ef_5df6_39d1),
            Self::Data(PartitionType::Swap) => ::gpt::partition_types::LINUX_SWAP,
            Self::Data(PartitionType::Xbootldr) => ::gpt::partition_types::FREEDESK_BOOT,
            Self::Esp => ::gpt::partition_types::EFI,
            Self::Root(Arch::X86_64) => ::gpt::partition_types::LINUX_ROOT_X64,
            Self::Root(Arch::Aarch64) => ::gpt::partition_types::LINUX_ROOT_ARM_64,
        }
    }
}

/// What may be done with a partition: the bits of the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing is said of it.
    Plain,
    /// Bit 59: its file system is to be grown to its size when it is mounted.
    Grows,
    /// Bit 60: it is never written to.
    ReadOnly,
}

impl Access {
    fn flags(self) -> u64 {
        match self {
            Self::Plain => 0,
            Self::Grows => 1 << 59,
            Self::ReadOnly => 1 << 60,
        }
    }
}

/// A partition to be.
#[derive(Clone, Debug)]
pub struct Partition {
    /// What it is for.
    pub role: Role,
    /// Whether it is written to.
    pub access: Access,
    /// Its name, 36 characters of UTF-16 at most.
    pub label: String,
    /// Its identity.
    pub guid: Uuid,
    /// Bytes from the start of the disk, aligned.
    pub offset: u64,
    /// Bytes, aligned.
    pub size: u64,
}

/// Writes protective MBR and both tables onto `file`, a disk of `size` bytes.
pub fn write(file: &mut fs_err::File, size: u64, disk: Uuid, partitions: &[Partition]) -> Result<(), Error> {
    let sectors = u32::try_from(size / SECTOR - 1).unwrap_or(u32::MAX);
    let wrong = |error: ::gpt::GptError| std::io::Error::other(error);
    ::gpt::mbr::ProtectiveMBR::with_lb_size(sectors)
        .overwrite_lba0(file)
        .map_err(std::io::Error::other)
        .at("write", "a protective MBR")?;
    let entries: BTreeMap<u32, ::gpt::partition::Partition> = (1..)
        .zip(partitions)
        .map(|(number, partition)| {
            let entry = ::gpt::partition::Partition {
                part_type_guid: partition.role.type_guid(),
                part_guid: partition.guid,
                first_lba: partition.offset / SECTOR,
                last_lba: (partition.offset + partition.size) / SECTOR - 1,
                flags: partition.access.flags(),
                name: partition.label.clone(),
            };
            (number, entry)
        })
        .collect();
    let write = || {
        let mut table = ::gpt::GptConfig::new()
            .writable(true)
            .logical_block_size(::gpt::disk::LogicalBlockSize::Lb512)
            .create_from_device(file, Some(disk))?;
        table.update_partitions(entries)?;
        table.write()
    };
    write()
        .map(drop)
        .map_err(wrong)
        .at("write", "a GPT partition table")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_follow_content_and_role() {
        let (one, two) = (Sha256::of(b"1"), Sha256::of(b"2"));
        assert_eq!(uuid(&one, "esp"), uuid(&one, "esp"));
        assert_ne!(uuid(&one, "esp"), uuid(&one, "root"));
        assert_ne!(uuid(&one, "esp"), uuid(&two, "esp"));
        assert_eq!(uuid(&one, "disk").get_version_num(), 5);
    }
}
