//! `xorriso`: a folder becomes an ISO 9660 file system that firmware starts, as a CD and as a disk (xorriso 1.5.6,
//! xorrisofs(1)).
//!
//! What firmware finds: of a CD, boot images by El Torito, one for BIOS and one for UEFI; of a disk, code in the master boot record for
//! BIOS, and a partition table (GPT) with an EFI system partition, which lies behind the file system.

use std::path::Path;

use keel_artefact::{Epoch, Interrupt};

use crate::{
    Error, Program,
    scratch::{Scratch, bind},
    stage0::Stage0,
};

/// Where GRUB's boot image for BIOS is in the folder.
pub const BIOS_IMAGE: &str = "boot/grub/eltorito.img";

/// One medium.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The folder of all its files; owners are not kept.
    pub folder: &'a Path,
    /// The image to write. Its folder must exist; a file of that name is replaced.
    pub image: &'a Path,
    /// What it is called: 32 of `A-Z 0-9 _` at most.
    pub volume: &'a str,
    /// The identity of its partition table, as in `1b4e28ba-2fa1-11d2-883f-0016d3cca427`.
    pub guid: &'a str,
    /// The time of all of it.
    pub clock: Epoch,
    /// A FAT file system for UEFI.
    pub esp: Option<&'a Path>,
    /// GRUB's master boot record for BIOS; [`BIOS_IMAGE`] is in the folder.
    pub mbr: Option<&'a Path>,
}

/// Makes the medium. The same request over the same bytes gives the same image.
pub fn make(stage0: &Stage0, request: &Request<'_>, interrupt: &Interrupt) -> Result<(), Error> {
    let program = Program::Xorriso;
    let allowed = |c: u8| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'_';
    if request.volume.is_empty() || request.volume.len() > 32 || !request.volume.bytes().all(allowed) {
        return Err(Error::Request {
            program: program.name(),
            why: format!("`{}` is no name of a volume (32 of A-Z 0-9 _)", request.volume),
        });
    }
    let scratch = Scratch::beside(request.image, program)?;
    let mut sandbox = stage0.sandbox();
    // Whatever the caller's umask is.
    keel_sandbox::hand_over(request.folder)?;
    sandbox.binds = vec![bind(request.folder, "/tmp/medium", false), scratch.bind()];
    for (file, guest) in [(request.esp, "/tmp/esp"), (request.mbr, "/tmp/mbr")] {
        if let Some(file) = file {
            keel_sandbox::hand_over_alone(&[file.to_owned()])?;
            sandbox.binds.push(bind(file, guest, false));
        }
    }
    let inside = Request {
        folder: Path::new("/tmp/medium"),
        image: Path::new("/tmp/out/image"),
        esp: request.esp.map(|_| Path::new("/tmp/esp")),
        mbr: request.mbr.map(|_| Path::new("/tmp/mbr")),
        ..*request
    };
    program.run_in(&sandbox, &arguments(&inside), interrupt)?;
    scratch.show(request.image)?;
    Ok(keel_sandbox::take_back(request.folder)?)
}

/// What xorriso is called with, where it sees the request's paths as they are.
pub fn arguments(request: &Request<'_>) -> Vec<String> {
    // `YYYYMMDDhhmmsscc`, as the volume descriptor has it.
    let time: String = request
        .clock
        .rfc3339()
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    let time = format!("{time}00");
    let date = format!("={}", request.clock.0);
    let mut arguments: Vec<String> = Vec::new();
    let mut add = |words: &[&str]| arguments.extend(words.iter().map(|word| (*word).to_owned()));
    // Without the user's files of defaults.
    add(&["-no_rc", "-as", "mkisofs", "-quiet", "-o", &text(request.image)]);
    add(&["-V", request.volume, "-volset", request.volume]);
    // Rock Ridge: real names and modes, all of root.
    add(&["-rational-rock", "-iso-level", "3"]);
    add(&[
        &format!("--modification-date={time}"),
        "--set_all_file_dates",
        &date,
    ]);
    add(&["--gpt_disk_guid", request.guid]);
    if let Some(mbr) = request.mbr {
        add(&[
            "-b",
            BIOS_IMAGE,
            "-c",
            "boot/boot.cat",
            "-no-emul-boot",
            "-boot-load-size",
            "4",
        ]);
        add(&["-boot-info-table", "--grub2-boot-info", "--grub2-mbr", &text(mbr)]);
    }
    if let Some(esp) = request.esp {
        // One copy of it, which El Torito and the partition table both name.
        add(&[
            "-append_partition",
            "2",
            "0xef",
            &text(esp),
            "-appended_part_as_gpt",
        ]);
        if request.mbr.is_some() {
            add(&["-eltorito-alt-boot"]);
        }
        add(&["-e", "--interval:appended_partition_2:all::", "-no-emul-boot"]);
    }
    add(&[&text(request.folder)]);
    arguments
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
