//! `[disk]` of an image definition.

use keel_artefact::{ImageName, RootPath};

use crate::{
    Diagnostic,
    image::{
        Boot, Disk, FileSystem, Qcow2Compression,
        partition::{Partition, PartitionContent, PartitionSize, PartitionType},
    },
    size,
    table::{Table, Text},
};

const MIB: u64 = 1 << 20;
/// Where nothing else is said: enough for a loader and two kernels.
const ESP_SIZE: u64 = 64 * MIB;
/// What the partition table takes at both ends.
const TABLE: u64 = 2 * MIB;

/// What has to be there before anything else is mounted, or is not on any disk.
const NEVER: [&str; 12] = [
    "/bin",
    "/boot/efi",
    "/dev",
    "/efi",
    "/etc",
    "/lib",
    "/lib64",
    "/proc",
    "/run",
    "/sbin",
    "/sys",
    "/usr",
];

/// What the table says; what is wrong is reported.
pub(crate) fn read(table: &Table<'_>, name: &ImageName) -> Disk {
    let disk = Disk {
        size: bytes(table, "size"),
        esp_size: bytes(table, "esp-size").unwrap_or(ESP_SIZE),
        root_fs: table
            .text("root-fs")
            .map_or(FileSystem::Erofs, |word| file_system(word.value)),
        root_label: table
            .string("root-label")
            .unwrap_or_else(|| format!("{name}-root")),
        root_size: bytes(table, "root-size"),
        root_mount_options: table.string("root-mount-options"),
        partitions: table.tables("partitions").iter().filter_map(partition).collect(),
        qcow2_compression: match table.text("qcow2-compression") {
            Some(word) if word.value == "none" => Qcow2Compression::None,
            _ => Qcow2Compression::Zstd,
        },
        kernel: table.parsed("kernel"),
        boot: match table.text("boot") {
            Some(word) if word.value == "uki" => Boot::Uki,
            _ => Boot::SystemdBoot,
        },
        initrd: table.parsed("initrd"),
    };
    fit(&disk, table);
    disk
}

/// The file system of this name; the model lets no other name through.
pub(crate) fn file_system(name: &str) -> FileSystem {
    let all = [FileSystem::Erofs, FileSystem::Squashfs];
    let found = all.into_iter().find(|system| system.as_str() == name);
    found.unwrap_or(FileSystem::Ext4)
}

fn partition(table: &Table<'_>) -> Option<Partition> {
    let label = table.string("label")?;
    let filesystem = table.text("filesystem").map_or("ext4", |word| word.value);
    let size = match table.text("size") {
        None => PartitionSize::Fits,
        Some(text) if text.value == "grow" => PartitionSize::Grow,
        Some(text) => PartitionSize::Bytes(within(table, &text)?),
    };
    let wrong = |key, message: String| table.report(table.key_at(key), message);
    let said = table.text("type");
    let said = said.and_then(|word| {
        Some(
            PartitionType::NAMES
                .iter()
                .find(|(name, _)| *name == word.value)?
                .1,
        )
    });
    let is_swap = filesystem == "swap";
    if said.is_some_and(|kind| (kind == PartitionType::Swap) != is_swap) {
        let message =
            format!("partition `{label}`: the type `swap` and the file system `swap` belong together");
        wrong("type", message);
        return None;
    }
    let content = if is_swap {
        for key in ["mount-point", "mount-options"] {
            if table.has(key) {
                wrong(
                    key,
                    format!("partition `{label}`: swap space is not mounted: it has no `{key}`"),
                );
            }
        }
        if !matches!(size, PartitionSize::Bytes(_)) {
            let key = if table.has("size") { "size" } else { "label" };
            wrong(
                key,
                format!("partition `{label}`: swap space needs a `size`, such as `512M`"),
            );
            return None;
        }
        PartitionContent::Swap
    } else {
        let Some(text) = table.text("mount-point") else {
            let message = format!("partition `{label}` has no `mount-point`");
            let hint = "say where it is mounted, or `filesystem = \"swap\"`";
            table
                .problems
                .push(table.wrong(table.key_at("label"), message).hint(hint));
            return None;
        };
        let mount_point: RootPath = text.value.parse().ok()?;
        if let Some(why) = unmountable(&mount_point) {
            table.report(
                text.at,
                format!("partition `{label}` cannot be `{mount_point}`: {why}"),
            );
        }
        let filesystem = file_system(filesystem);
        if filesystem.is_read_only() && size == PartitionSize::Grow {
            let message = format!(
                "partition `{label}` cannot grow: {} is never written to, more space is of no use",
                if filesystem == FileSystem::Erofs {
                    "an EROFS"
                } else {
                    "a SquashFS"
                }
            );
            wrong("size", message);
        }
        PartitionContent::Mounted {
            filesystem,
            mount_point,
            mount_options: table.string("mount-options"),
        }
    };
    let kind = match (&content, said) {
        (_, Some(kind)) => kind,
        (PartitionContent::Swap, None) => PartitionType::Swap,
        (PartitionContent::Mounted { mount_point, .. }, None) => PartitionType::of(mount_point),
    };
    Some(Partition {
        label,
        kind,
        size,
        content,
        defined_at: table.location(),
    })
}

/// Why a partition cannot be mounted there.
fn unmountable(mount_point: &RootPath) -> Option<&'static str> {
    let text = mount_point.as_str();
    if text == "/" {
        return Some("that is the root, whose keys begin with `root-`");
    }
    let is_below = |never: &str| {
        text.strip_prefix(never)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    NEVER
        .into_iter()
        .any(is_below)
        .then_some("that is there before partitions are mounted, or never on a disk")
}

/// Do the parts of a disk go together?
fn fit(disk: &Disk, table: &Table<'_>) {
    let report = |diagnostic: Diagnostic| table.problems.push(diagnostic);
    let at =
        |partition: &Partition, message: String| Diagnostic::new(message).at(partition.defined_at.clone());
    for (index, partition) in disk.partitions.iter().enumerate() {
        let others = &disk.partitions[..index];
        if partition.label == disk.root_label || partition.label == "esp" {
            let message = format!(
                "the label `{}` is that of another partition of the disk",
                partition.label
            );
            report(at(partition, message));
        }
        let same = |other: &&Partition| {
            other
                .mount_point()
                .is_some_and(|place| Some(place) == partition.mount_point())
        };
        if let Some(other) = others.iter().find(same)
            && let Some(place) = partition.mount_point()
        {
            let message = format!(
                "partitions `{}` ({}) and `{}` overlap: both are mounted at `{place}`",
                other.label, other.defined_at, partition.label
            );
            report(at(partition, message).hint("each partition has a mount point of its own"));
        }
        let grows = |partition: &Partition| partition.size == PartitionSize::Grow;
        if let Some(other) = others.iter().find(|other| grows(other) && grows(partition)) {
            let message = format!(
                "partitions `{}` ({}) and `{}` both grow: only one can have what the others leave",
                other.label, other.defined_at, partition.label
            );
            report(at(partition, message));
        }
    }
    let sizes = disk
        .partitions
        .iter()
        .filter_map(|partition| match partition.size {
            PartitionSize::Bytes(bytes) => Some(bytes),
            _ => None,
        });
    let fixed = sizes.fold(TABLE + disk.esp_size, u64::saturating_add);
    // A root needs something, too.
    let least = fixed.saturating_add(disk.root_size.unwrap_or(MIB));
    if let Some(size) = disk.size.filter(|size| *size < least) {
        let message = format!(
            "the disk is too small: of its {} MiB, the EFI system partition, other partitions and the partition table take {} MiB, \
             so that {} MiB are missing for the root",
            size / MIB,
            fixed / MIB,
            (least - size) / MIB
        );
        table.report(table.key_at("size"), message);
    }
}

fn bytes(table: &Table<'_>, key: &str) -> Option<u64> {
    within(table, &table.text(key)?)
}

/// No disk is larger in any format (VHDX has this limit).
const LARGEST_DISK: u64 = 64 << 40;

/// A size in bytes that a disk may have; one that is none was reported.
fn within(table: &Table<'_>, text: &Text<'_>) -> Option<u64> {
    let bytes = size::parse(text.value).ok()?;
    if bytes > LARGEST_DISK {
        table.report(
            text.at,
            format!(
                "`{}` is more than 64 TiB, the largest disk that Keel makes",
                text.value
            ),
        );
        return None;
    }
    Some(bytes)
}
