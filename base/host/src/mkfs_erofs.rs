//! `mkfs.erofs`: a tar archive becomes a read-only file system (erofs-utils, mkfs.erofs(1)).

use std::path::Path;

use keel_artefact::{Epoch, Interrupt};

use crate::{
    Error, Program,
    scratch::{Scratch, bind},
    stage0::Stage0,
};

/// How blocks are compressed; the kernel that mounts it must know the method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// LZ4 by its slow compressor: small, and the fastest to read (`CONFIG_EROFS_FS_ZIP`).
    #[default]
    Lz4hc,
    /// Zstandard: a fifth smaller, slower to read (`CONFIG_EROFS_FS_ZIP_ZSTD`, Linux 6.10).
    Zstd,
}

/// One file system.
#[derive(Debug)]
pub struct Request<'a> {
    /// A tar archive (ustar, GNU or pax). Owners, modes, times and attributes are taken from it.
    pub archive: &'a Path,
    /// The image to write. Its folder must exist; a file of that name is replaced.
    pub image: &'a Path,
    /// Its identity, as in `1b4e28ba-2fa1-11d2-883f-0016d3cca427`.
    pub uuid: &'a str,
    /// Its label, 15 bytes at most.
    pub label: &'a str,
    /// Its own time; files keep theirs.
    pub clock: Epoch,
    /// How it is compressed.
    pub compression: Compression,
}

/// Makes the image. The same request over the same bytes gives the same image.
pub fn make(stage0: &Stage0, request: &Request<'_>, interrupt: &Interrupt) -> Result<(), Error> {
    let program = Program::MkfsErofs;
    if request.label.len() > 15 || request.label.contains('\0') {
        return Err(Error::Request {
            program: program.name(),
            why: format!("the label `{}` is longer than 15 bytes", request.label),
        });
    }
    let scratch = Scratch::beside(request.image, program)?;
    let mut sandbox = stage0.sandbox();
    // Whatever the caller's umask is.
    keel_sandbox::hand_over_alone(&[request.archive.to_owned()])?;
    sandbox.binds = vec![bind(request.archive, "/tmp/archive", false), scratch.bind()];
    program.run_in(&sandbox, &arguments(request), interrupt)?;
    scratch.show(request.image)
}

fn arguments(request: &Request<'_>) -> Vec<String> {
    let mut arguments = vec![
        "--quiet".to_owned(),
        "--tar=f".to_owned(),
        format!("-T{}", request.clock.0),
        "--mkfs-time".to_owned(),
        format!("-U{}", request.uuid),
        "-b4096".to_owned(),
        // Compressed by one thread: the order of blocks is then that of the archive.
        "--workers=1".to_owned(),
    ];
    if !request.label.is_empty() {
        arguments.push(format!("-L{}", request.label));
    }
    match request.compression {
        Compression::None => {}
        // Level 12 is 0.2 % smaller and takes seven times as long.
        Compression::Lz4hc => arguments.extend(["-zlz4hc,level=9", "-C65536"].map(str::to_owned)),
        Compression::Zstd => arguments.extend(["-zzstd,level=12", "-C131072"].map(str::to_owned)),
    }
    // Never `-Efragments`: erofs-utils 1.8.6 then writes zeros instead of some small files of a tar archive.
    arguments.extend(["/tmp/out/image", "/tmp/archive"].map(str::to_owned));
    arguments
}

/// Checks an image, every block of it, with `fsck.erofs`.
pub fn check(stage0: &Stage0, image: &Path, interrupt: &Interrupt) -> Result<(), Error> {
    let mut sandbox = stage0.sandbox();
    sandbox.binds = vec![bind(image, "/tmp/image", false)];
    let arguments = ["--extract", "/tmp/image"].map(str::to_owned);
    Program::FsckErofs
        .run_in(&sandbox, &arguments, interrupt)
        .map(drop)
}

/// Unpacks an image into `folder`, which must be new, without owners: to see what was written. Everything there is the
/// caller's afterwards.
pub fn extract(stage0: &Stage0, image: &Path, folder: &Path, interrupt: &Interrupt) -> Result<(), Error> {
    fs_err::create_dir(folder)?;
    keel_sandbox::hand_over(folder)?;
    let mut sandbox = stage0.sandbox();
    sandbox.binds = vec![bind(image, "/tmp/image", false), bind(folder, "/tmp/out", true)];
    let arguments = ["--extract=/tmp/out/tree", "--no-preserve", "/tmp/image"].map(str::to_owned);
    Program::FsckErofs.run_in(&sandbox, &arguments, interrupt)?;
    Ok(keel_sandbox::take_back(folder)?)
}
