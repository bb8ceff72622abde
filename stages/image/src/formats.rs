//! A disk in each of the formats of disks: which, and with what besides its bytes.

use std::{
    io::{self, Seek, Write},
    path::Path,
};

use keel_artefact::{Epoch, Interrupt};
use keel_config::image::{Disk, Format, Qcow2Compression};

use crate::{
    Error,
    error::{At, check},
    write::{
        qcow2,
        sparse::{self, Progress, Raw, Source},
        vhd, vhdx,
    },
};

/// A format to write, with what it says that the disk does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The bytes as they are, with holes.
    Raw,
    /// QEMU's.
    Qcow2(Qcow2Compression),
    /// A fixed VHD of this time.
    Vhd(Epoch),
    /// A dynamic VHDX.
    Vhdx,
}

impl Target {
    /// Its format.
    pub fn format(self) -> Format {
        match self {
            Self::Raw => Format::Raw,
            Self::Qcow2(_) => Format::Qcow2,
            Self::Vhd(_) => Format::Vhd,
            Self::Vhdx => Format::Vhdx,
        }
    }
}

/// What has to be written besides the raw disk.
pub fn targets(formats: &[Format], disk: &Disk, clock: Epoch) -> Vec<Target> {
    let target = |format: &Format| match format {
        Format::Qcow2 => Some(Target::Qcow2(disk.qcow2_compression)),
        Format::Vhd => Some(Target::Vhd(clock)),
        Format::Vhdx => Some(Target::Vhdx),
        _ => None,
    };
    formats.iter().filter_map(target).collect()
}

/// Writes the disk `raw` as `target` to the file `to`.
pub fn write(raw: &Path, target: Target, to: &Path, interrupt: &Interrupt) -> Result<(), Error> {
    let from = fs_err::File::open(raw).at("read", raw.display())?;
    let size = from.metadata().at("read", raw.display())?.len();
    let mut out = fs_err::File::create(to).at("write", to.display())?;
    let mut progress = |_| interrupt.check().map_err(io::Error::other);
    let written = write_to(&mut Raw::new(from, size), target, &mut out, &mut progress);
    // An interrupted writer fails, too, and that is not what is wrong.
    check(interrupt)?;
    written.and_then(|()| out.sync_all()).at("write", to.display())
}

/// Writes a disk as `target` to `out`, which is empty.
pub fn write_to(
    disk: &mut dyn Source,
    target: Target,
    out: &mut (impl Write + Seek),
    progress: Progress<'_>,
) -> io::Result<()> {
    match target {
        Target::Raw => {
            let size = disk.size();
            sparse::each(disk, progress, |at, bytes| sparse::put(out, at, bytes))?;
            sparse::extend(out, size)
        }
        Target::Qcow2(compression) => qcow2::write(disk, compression, out, progress),
        Target::Vhd(clock) => vhd::write(disk, clock, out, progress),
        Target::Vhdx => vhdx::write(disk, out, progress),
    }
}
