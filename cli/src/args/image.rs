//! `keel image`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use keel_artefact::ImageName;

use super::{How, Signing};

/// `keel image`.
#[derive(Debug, Subcommand)]
pub enum Image {
    /// All images, one a line
    List,
    /// Print an image's definition with all that it inherits, and where each value comes from
    Show {
        /// Which image
        image: ImageName,
    },
    /// Make a definition of another builder's: Image Customizer's YAML, or an image of Azure Linux's toolkit (JSON)
    Import {
        /// The configuration
        file: PathBuf,
        /// Write the definition to this new file
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
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
