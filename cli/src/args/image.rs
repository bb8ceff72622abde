//! `keel image`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use keel_artefact::ImageName;

use super::{How, Signing};

/// `keel image`.
#[derive(Debug, Subcommand)]
pub enum Image {
    /// All images, one a line
    List,
    /// Build images, and what they need
    Build {
        /// Images; all if none is named. They are made in this order, each as soon as its packages are there
        images: Vec<ImageName>,
        /// How to build what is missing
        #[command(flatten)]
        how: How,
        /// Signing
        #[command(flatten)]
        signing: Signing,
    },
    /// Boot an image under QEMU, with its console on this terminal
    Boot {
        /// Which image
        image: ImageName,
        /// How to boot
        #[command(flatten)]
        boot: Boot,
    },
    /// Boot images under QEMU, run their checks inside, power off
    Test {
        /// Images; all bootable ones if none is named
        images: Vec<ImageName>,
        /// How to boot
        #[command(flatten)]
        boot: Boot,
    },
    /// Write a disk in another format: raw, qcow2, VHD or VHDX, of this or another builder
    Convert(Convert),
}

/// `keel image convert`.
#[derive(Debug, Args)]
pub struct Convert {
    /// The disk
    #[arg(value_hint = ValueHint::FilePath)]
    pub from: PathBuf,
    /// The file to write
    #[arg(value_hint = ValueHint::FilePath)]
    pub to: PathBuf,
    /// Format of FROM [default: what the file says that it is]
    #[arg(long = "from", value_name = "FORMAT")]
    pub from_format: Option<DiskFormat>,
    /// Format of TO [default: by the end of its name]
    #[arg(long = "to", value_name = "FORMAT")]
    pub to_format: Option<DiskFormat>,
    /// Replace TO if it is there
    #[arg(long)]
    pub force: bool,
    /// How a qcow2 is compressed
    #[arg(long, value_name = "METHOD", default_value = "zstd")]
    pub compression: Compression,
}

/// How a disk is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DiskFormat {
    /// As it is, with holes (ends with .raw or .img).
    Raw,
    /// QEMU's.
    Qcow2,
    /// Fixed, a multiple of 1 MiB, as Azure takes it; dynamic ones are read.
    Vhd,
    /// Dynamic, for Hyper-V.
    Vhdx,
}

/// How a qcow2 is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Compression {
    /// With Zstandard, which QEMU 5.1 and later read.
    Zstd,
    /// Not at all.
    None,
}

/// How to boot.
#[derive(Debug, Clone, Args)]
#[group(skip)]
pub struct Boot {
    /// Firmware: `direct` starts the kernel without any, `uefi` boots as a machine would
    #[arg(long, default_value = "direct")]
    pub firmware: Firmware,
    /// Memory of the machine, in MiB [default: what the image says]
    #[arg(long, value_name = "MIB")]
    pub memory: Option<u32>,
    /// Give up after this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout: u64,
}

/// What starts the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Firmware {
    /// QEMU loads the kernel itself.
    Direct,
    /// UEFI (OVMF) loads the boot loader from the disk.
    Uefi,
    /// One after the other (tests only).
    Both,
}
