//! What an image is: `[images.NAME]` and the definition file that it names.

pub mod os;
pub mod partition;

use std::{collections::BTreeMap, path::PathBuf};

use keel_artefact::{ImageName, PackageName, RootPath};
use serde::Serialize;

use os::Content;
pub use os::Os;
pub use partition::Partition;

use crate::{Diagnostic, Location};

/// An image: which packages, and in which formats it leaves.
#[derive(Debug, Clone, Serialize)]
pub struct Image {
    /// Its name: the key of `[images.NAME]`.
    pub name: ImageName,
    /// One line for people.
    pub description: String,
    /// Paragraphs for its page.
    pub purpose: Option<String>,
    /// What it can do.
    pub capabilities: Capabilities,
    /// Its definition file. Absolute.
    pub definition: PathBuf,
    /// Whose form the definition has; of any but Keel's own, nothing below is known.
    pub kind: Kind,
    /// The part of the definition that is meant.
    pub profile: Option<String>,
    /// Suites of tests that it must pass, by name.
    pub test_suites: Vec<String>,
    /// Where it is published.
    pub channels: Vec<String>,
    /// The image whose definition this one is laid over.
    pub inherits: Option<ImageName>,
    /// Packages asked for (groups unfolded), in the order given, each once; what they require comes along.
    pub packages: Vec<PackageName>,
    /// Packages that must not come along; it is an error if something needs them.
    pub exclude: Vec<PackageName>,
    /// Does what packages recommend, or supplements them, come along, too? Where it can: nothing fails for it.
    pub install_weak_deps: bool,
    /// Do files come along that packages call documentation (rpm's `%doc`)? Texts of licences always do.
    pub documentation: bool,
    /// Languages whose files come along (rpm's `%lang`), each once; none: all.
    pub languages: Option<Vec<String>>,
    /// Formats, each once: first those of a container, then root file systems, then those of a disk.
    pub formats: Vec<Format>,
    /// The container's settings; always there when `formats` has one of a container.
    pub container: Option<Container>,
    /// The disk's settings; always there when `formats` has one of a disk.
    pub disk: Option<Disk>,
    /// The live system's settings; always there when `formats` has one of a live system.
    pub live: Option<Live>,
    /// How an initial RAM disk is compressed.
    pub cpio: Compression,
    /// How a distribution for WSL is installed.
    pub wsl: Wsl,
    /// Memory for boots, in MiB.
    pub memory_mib: u32,
    /// What it is made to be, besides its packages.
    pub os: Os,
    /// What changes it further, in the order in which they run; names are unique.
    pub scripts: Vec<Script>,
    /// Checks that `keel image test` runs inside.
    pub tests: Vec<Test>,
    /// Where its `[images.NAME]` is.
    pub defined_at: Location,
}

impl Image {
    /// Fails for an image that Keel cannot build.
    pub fn check_buildable(&self) -> Result<(), Diagnostic> {
        match self.kind {
            Kind::Keel => Ok(()),
            Kind::Kiwi => {
                let message = format!(
                    "image `{}` is defined for kiwi, which Keel does not run",
                    self.name
                );
                let wrong = Diagnostic::new(message).at(self.defined_at.clone());
                Err(wrong.hint("a definition of `type = \"keel\"` says the same for Keel"))
            }
        }
    }

    /// All packages asked for: of its root, and of a live system's initial RAM disk, which is a root of its own.
    pub fn all_packages(&self) -> Vec<PackageName> {
        let initrd = self.live.iter().flat_map(|live| &live.initrd_packages);
        let mut all = self.packages.clone();
        for name in initrd {
            if !all.contains(name) {
                all.push(name.clone());
            }
        }
        all
    }

    /// Does it leave as a container?
    pub fn is_container(&self) -> bool {
        self.formats.iter().any(|format| format.is_container())
    }

    /// Does it leave as something that runs as a machine: a disk, a live system, an initial RAM disk, a distribution for WSL?
    pub fn is_machine(&self) -> bool {
        let is_machine = |format: &Format| {
            format.is_disk() || format.is_live() || matches!(format, Format::Cpio | Format::Wsl)
        };
        self.formats.iter().any(is_machine)
    }

    /// Does it leave as a system that runs from a medium or the network, in memory?
    pub fn is_live(&self) -> bool {
        self.formats.iter().any(|format| format.is_live())
    }

    /// Does Keel start its kernel: from a disk, or as a live system?
    pub fn boots(&self) -> bool {
        self.is_disk() || self.is_live()
    }

    /// Does it leave as a disk?
    pub fn is_disk(&self) -> bool {
        self.formats.iter().any(|format| format.is_disk())
    }
}

/// One `[[scripts.post-customization]]` or `[[scripts.finalize-customization]]`.
#[derive(Debug, Clone, Serialize)]
pub struct Script {
    /// Its name.
    pub name: String,
    /// Its text.
    pub content: Content,
    /// The program that runs it: an absolute path, or a name without `/`.
    pub interpreter: String,
    /// What it is called with.
    pub arguments: Vec<String>,
    /// Variables of its environment besides the usual ones, or in their place.
    pub environment_variables: BTreeMap<String, String>,
    /// Where it is said.
    #[serde(skip)]
    pub defined_at: Location,
}

/// Whose form a definition has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Keel's own.
    Keel,
    /// kiwi's, which Keel does not build.
    Kiwi,
}

/// `[images.NAME.capabilities]`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Capabilities {
    /// It runs as a container.
    pub container: bool,
    /// It boots on a machine.
    pub machine_bootable: bool,
    /// Its first process is systemd.
    pub systemd: bool,
    /// Packages can be installed while it runs.
    pub runtime_package_management: bool,
}

/// In which form an image leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// A folder in the OCI image layout.
    Oci,
    /// The same as one tar file.
    OciArchive,
    /// The root file system as a tar file.
    Tar,
    /// The root file system as an initial RAM disk.
    Cpio,
    /// The root file system as a distribution for the Windows Subsystem for Linux.
    Wsl,
    /// The root file system as a SquashFS.
    Squashfs,
    /// The root file system as an EROFS.
    Erofs,
    /// A live system on a medium: a CD, or any disk that the same bytes are written to.
    Iso,
    /// A live system that firmware loads from the network: kernel, initial RAM disk, and what tells iPXE of them.
    Pxe,
    /// A disk, sparse.
    Raw,
    /// A disk in QEMU's format.
    Qcow2,
    /// A disk as a fixed VHD, for Azure.
    Vhd,
    /// A disk as a dynamic VHDX, for Hyper-V.
    Vhdx,
}

impl Format {
    /// All of them, by the name that TOML uses.
    pub const NAMES: [(&'static str, Self); 13] = [
        ("oci", Self::Oci),
        ("oci-archive", Self::OciArchive),
        ("tar", Self::Tar),
        ("cpio", Self::Cpio),
        ("wsl", Self::Wsl),
        ("squashfs", Self::Squashfs),
        ("erofs", Self::Erofs),
        ("iso", Self::Iso),
        ("pxe", Self::Pxe),
        ("raw", Self::Raw),
        ("qcow2", Self::Qcow2),
        ("vhd", Self::Vhd),
        ("vhdx", Self::Vhdx),
    ];

    /// Its name in TOML.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Oci => "oci",
            Self::OciArchive => "oci-archive",
            Self::Tar => "tar",
            Self::Cpio => "cpio",
            Self::Wsl => "wsl",
            Self::Squashfs => "squashfs",
            Self::Erofs => "erofs",
            Self::Iso => "iso",
            Self::Pxe => "pxe",
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
            Self::Vhd => "vhd",
            Self::Vhdx => "vhdx",
        }
    }

    /// Is it a container?
    pub fn is_container(self) -> bool {
        matches!(self, Self::Oci | Self::OciArchive)
    }

    /// Is it a live system?
    pub fn is_live(self) -> bool {
        matches!(self, Self::Iso | Self::Pxe)
    }

    /// Do its files have labels of SELinux? Those of a container and of a distribution for WSL are of the machine that they run
    /// on, and an initial RAM disk has none.
    pub fn has_labels(self) -> bool {
        !(self.is_container() || matches!(self, Self::Cpio | Self::Wsl))
    }

    /// Is it a disk?
    pub fn is_disk(self) -> bool {
        matches!(self, Self::Raw | Self::Qcow2 | Self::Vhd | Self::Vhdx)
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a container is cut into layers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layers {
    /// By package: an update of one is a download of one.
    #[default]
    Packages,
    /// All in one.
    One,
}

/// `[container]`: the OCI image configuration (<https://github.com/opencontainers/image-spec/blob/main/config.md>).
#[derive(Debug, Clone, Default, Serialize)]
pub struct Container {
    /// The program that always runs.
    pub entrypoint: Vec<String>,
    /// Its default arguments.
    pub cmd: Vec<String>,
    /// Environment.
    pub env: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Working directory.
    pub workdir: Option<RootPath>,
    /// `user`, `uid`, `user:group` or `uid:gid`.
    pub user: Option<String>,
    /// Its layers.
    pub layers: Layers,
    /// Where its keys are said.
    #[serde(skip)]
    pub said_at: BTreeMap<&'static str, Location>,
}

/// How a file is compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compression {
    /// Smaller and faster; kernels read it since Linux 5.9.
    #[default]
    Zstd,
    /// What every kernel reads.
    Gzip,
}

/// `[wsl]` (<https://learn.microsoft.com/windows/wsl/build-custom-distro>).
#[derive(Debug, Clone, Default, Serialize)]
pub struct Wsl {
    /// What it is called unless the user says otherwise; none: the distribution's name.
    pub default_name: Option<String>,
    /// The user that a shell runs as.
    pub default_uid: Option<u32>,
    /// What runs when it is first started.
    pub oobe_command: Option<RootPath>,
    /// Its icon in the start menu: an `.ico` file.
    pub icon: Option<RootPath>,
    /// What its profile in Windows Terminal is made of: a JSON file.
    pub terminal_profile: Option<RootPath>,
}

/// `[disk]`.
#[derive(Debug, Clone, Serialize)]
pub struct Disk {
    /// Size of the whole disk in bytes, a multiple of 1 MiB; none: as small as its content allows.
    pub size: Option<u64>,
    /// Size of the EFI system partition in bytes.
    pub esp_size: u64,
    /// File system of the root.
    pub root_fs: FileSystem,
    /// Label of the root partition.
    pub root_label: String,
    /// Size of the root partition in bytes; none: what the others leave, or what it needs.
    pub root_size: Option<u64>,
    /// Mount options of the root, separated by commas.
    pub root_mount_options: Option<String>,
    /// Further partitions, in the order given.
    pub partitions: Vec<Partition>,
    /// The package whose kernel boots; it is among the image's packages.
    pub kernel: Option<PackageName>,
    /// How a qcow2 is compressed.
    pub qcow2_compression: Qcow2Compression,
    /// What the firmware starts.
    pub boot: Boot,
    /// A file of the root that is the initial RAM disk, if there is one.
    pub initrd: Option<RootPath>,
}

impl Disk {
    /// Does the root take what the others leave?
    pub fn root_grows(&self) -> bool {
        let others = &self.partitions;
        self.root_size.is_none()
            && others
                .iter()
                .all(|other| other.size != partition::PartitionSize::Grow)
    }
}

/// `[live]`: a system whose root is read-only in one file, and which writes to memory.
#[derive(Debug, Clone, Serialize)]
pub struct Live {
    /// How the root is packed: [`FileSystem::Erofs`] or [`FileSystem::Squashfs`].
    pub root_fs: FileSystem,
    /// The package whose kernel boots; it is among the image's packages.
    pub kernel: Option<PackageName>,
    /// What the initial RAM disk is made of, which finds the root and starts it; what they require comes along.
    pub initrd_packages: Vec<PackageName>,
    /// Where its first process is, in the initial RAM disk.
    pub init: RootPath,
    /// Words that the kernel's command line has besides.
    pub kernel_command_line: Vec<String>,
    /// What the medium starts with, each once.
    pub firmware: Vec<Firmware>,
    /// Files on the medium, beside those that start the system.
    pub additional_files: Vec<os::File>,
}

/// What starts a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Firmware {
    /// UEFI.
    Uefi,
    /// That of PCs before UEFI.
    Bios,
}

/// File systems that an image can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileSystem {
    /// EROFS: read-only, compressed.
    Erofs,
    /// ext4: written to by the machine.
    Ext4,
    /// SquashFS: read-only, compressed.
    Squashfs,
}

impl FileSystem {
    /// Its name in TOML, and for the kernel.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Erofs => "erofs",
            Self::Ext4 => "ext4",
            Self::Squashfs => "squashfs",
        }
    }

    /// Is it made once and never written to?
    pub fn is_read_only(self) -> bool {
        matches!(self, Self::Erofs | Self::Squashfs)
    }
}

/// How the clusters of a qcow2 are compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Qcow2Compression {
    /// With Zstandard (QEMU 5.1 of 2020 and later read it): as small as with zlib in a fifth of the time.
    #[default]
    Zstd,
    /// Not at all.
    None,
}

/// What the firmware starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Boot {
    /// systemd-boot, which starts a unified kernel image.
    SystemdBoot,
    /// A unified kernel image at the removable-media path.
    Uki,
}

/// One `[[tests]]`: passes when its shell line exits with 0 inside the running image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Test {
    /// Shown to people; unique in its image.
    pub name: String,
    /// A line for the image's `/bin/sh`.
    pub run: String,
}
