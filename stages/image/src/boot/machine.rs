//! The machine that an image is started in.

use std::path::{Path, PathBuf};

use keel_artefact::Arch;
use keel_config::{
    Image,
    image::{Firmware, Format},
};
use keel_host::qemu;

use super::{CPUS, Medium, Mode, Options};
use crate::{Built, Error, error::At};

/// Of the formats of a disk, the first that the image has is booted; they hold the same.
const DRIVES: [(Format, qemu::DriveFormat); 5] = [
    (Format::Raw, qemu::DriveFormat::Raw),
    (Format::Qcow2, qemu::DriveFormat::Qcow2),
    (Format::Vhd, qemu::DriveFormat::Vhd),
    (Format::Vhdx, qemu::DriveFormat::Vhdx),
    (Format::Iso, qemu::DriveFormat::Raw),
];

fn missing(image: &Image, what: &'static str) -> Error {
    Error::NoSuchFormat {
        image: image.name.to_string(),
        what,
    }
}

/// A network, and what is in it for a machine that boots from there.
pub(super) fn network(image: &Image, built: &Built, mode: Mode) -> Result<qemu::Network, Error> {
    let boot = match mode {
        Mode::Pxe => {
            let script = format!("{}.ipxe", image.name);
            let is_there = built.files.iter().any(|file| file.name == script);
            is_there
                .then_some(())
                .ok_or_else(|| missing(image, "set for the network (format `pxe`)"))?;
            Some((built.dir.clone(), script))
        }
        _ => None,
    };
    Ok(qemu::Network {
        boot,
        ..qemu::Network::default()
    })
}

pub(super) fn machine(
    image: &Image,
    built: &Built,
    options: &Options,
    short: &Short,
) -> Result<qemu::Machine, Error> {
    let mode = options.mode;
    let found = DRIVES
        .iter()
        .find_map(|(format, drive)| Some((built.file(*format)?, *format, *drive)));
    let drive = found.map(|(file, format, drive)| qemu::Drive {
        file,
        format: drive,
        read_only: format == Format::Iso && options.medium == Medium::Cd,
        snapshot: true,
        is_cd: format == Format::Iso && options.medium == Medium::Cd,
    });
    // What the network gives needs no disk; neither does a kernel that has its root in its RAM disk.
    let needs_none = mode == Mode::Pxe || mode == Mode::Direct && built.file(Format::Pxe).is_some();
    let drives: Vec<qemu::Drive> = drive.filter(|_| mode != Mode::Pxe).into_iter().collect();
    if drives.is_empty() && !needs_none {
        return Err(missing(image, "disk"));
    }
    let is_for_bios = built.file(Format::Iso).is_some()
        && (image.live.iter()).any(|live| live.firmware.contains(&Firmware::Bios));
    let boot = match (mode, &built.boot) {
        (Mode::Uefi, _) => qemu::Boot::Uefi,
        // Only PCs have a BIOS.
        (Mode::Pxe, _) if built.arch != Arch::X86_64 => qemu::Boot::Uefi,
        (Mode::Bios, _) if !is_for_bios => {
            let what = "medium for BIOS (format `iso`, with `bios` in `firmware` of `[live]`)";
            return Err(missing(image, what));
        }
        (Mode::Bios | Mode::Pxe, _) => qemu::Boot::Bios,
        (Mode::Direct, Some(boot)) => qemu::Boot::Kernel {
            kernel: built.dir.join(&boot.kernel),
            initrd: boot.initrd.as_ref().map(|name| built.dir.join(name)),
            command_line: boot.cmdline.clone(),
        },
        (Mode::Direct, None) => return Err(missing(image, "disk with a kernel")),
    };
    let console = built.dir.join(format!("console-{mode}.log"));
    fs_err::write(&console, b"").at("write", console.display())?;
    Ok(qemu::Machine {
        arch: built.arch,
        memory_mib: image.memory_mib,
        cpus: CPUS,
        boot,
        drives,
        console,
        port: None,
        credentials: Vec::new(),
        network: None,
        tpm: options.tpm.then(|| short.path().join("tpm.socket")),
        kvm: options.kvm,
        scratch: short.folder.clone(),
    })
}

/// A folder with a path short enough for sockets in it (108 bytes, unix(7)), gone when dropped.
pub(super) struct Short {
    link: Option<PathBuf>,
    folder: PathBuf,
}

impl Short {
    pub(super) fn new(scratch: &Path) -> Result<Self, Error> {
        let folder = scratch.to_owned();
        if folder.as_os_str().len() < 90 {
            return Ok(Self { link: None, folder });
        }
        let link = PathBuf::from(format!("/tmp/keel-port-{}", std::process::id()));
        // Left by a dead process of the same number.
        let _ = fs_err::remove_file(&link);
        std::os::unix::fs::symlink(&folder, &link).at("make", link.display())?;
        Ok(Self {
            link: Some(link),
            folder,
        })
    }

    pub(super) fn path(&self) -> &Path {
        self.link.as_ref().unwrap_or(&self.folder)
    }
}

impl Drop for Short {
    fn drop(&mut self) {
        if let Some(link) = &self.link {
            let _ = fs_err::remove_file(link);
        }
    }
}
