//! `mksquashfs`: a tar archive becomes a read-only file system (squashfs-tools 4.6, mksquashfs(1)).

use std::{collections::BTreeMap, path::Path};

use keel_artefact::{Epoch, Interrupt};
use keel_sandbox::Stdin;

use crate::{Error, Program, scratch::Scratch, stage0::Stage0};

/// One file system.
#[derive(Debug)]
pub struct Request<'a> {
    /// A tar archive (ustar, GNU or pax). Owners, modes, times and attributes are taken
    /// from it.
    pub archive: &'a Path,
    /// The image to write. Its folder must exist; a file of that name is replaced.
    pub image: &'a Path,
    /// Its own time; files keep theirs.
    pub clock: Epoch,
    /// Its root.
    pub root: Root,
}

/// The root folder, which mksquashfs does not take from an archive.
#[derive(Clone, Debug)]
pub struct Root {
    /// Permission bits.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Seconds since 1970.
    pub mtime: u64,
    /// Extended attributes by their full name, which has no `=`, quote, backslash or white space.
    pub attributes: BTreeMap<String, Vec<u8>>,
}

impl Default for Root {
    fn default() -> Self {
        Self {
            mode: 0o755,
            uid: 0,
            gid: 0,
            mtime: 0,
            attributes: BTreeMap::new(),
        }
    }
}

/// Makes the image, compressed with Zstandard. The same request over the same bytes gives the same image.
pub fn make(stage0: &Stage0, request: &Request<'_>, interrupt: &Interrupt) -> Result<(), Error> {
    let program = Program::Mksquashfs;
    // A pseudo definition is words.
    let is_word = |name: &str| !name.contains(|c: char| c.is_whitespace() || "=\"\\".contains(c));
    if let Some(name) = request.root.attributes.keys().find(|name| !is_word(name)) {
        return Err(Error::Request {
            program: program.name(),
            why: format!("the root has an attribute `{name}`, which cannot be said"),
        });
    }
    let scratch = Scratch::beside(request.image, program)?;
    let mut sandbox = stage0.sandbox();
    sandbox.binds = vec![scratch.bind()];
    let archive = fs_err::File::open(request.archive)?.into_parts().0;
    program.run_fed(&sandbox, &arguments(request), Stdin::File(archive), interrupt)?;
    scratch.show(request.image)
}

fn arguments(request: &Request<'_>) -> Vec<String> {
    let mut arguments = vec![
        "-",
        "/tmp/out/image",
        "-tar",
        "-quiet",
        "-no-progress",
        "-noappend",
    ];
    // mksquashfs 4.6.1 finds equal files that end in fragments at one time and not at another: its images then differ,
    // even with one processor. Of a root, that saves 0.4 %.
    arguments.push("-no-duplicates");
    // Level 15, the default, is 2 % smaller and takes three times as long.
    arguments.extend([
        "-comp",
        "zstd",
        "-Xcompression-level",
        "9",
        "-b",
        "131072",
        "-mkfs-time",
    ]);
    let mut arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
    arguments.push(request.clock.0.to_string());
    let Root {
        mode,
        uid,
        gid,
        mtime,
        attributes,
    } = &request.root;
    for (option, value) in [
        ("-root-mode", format!("{mode:o}")),
        ("-root-uid", uid.to_string()),
        ("-root-gid", gid.to_string()),
        ("-root-time", mtime.to_string()),
    ] {
        arguments.extend([option.to_owned(), value]);
    }
    for (name, value) in attributes {
        // Every byte in octal: mksquashfs 4.6.1 writes beyond its memory when a value is in hexadecimal (`0x`).
        let value: String = value.iter().map(|byte| format!("\\{byte:03o}")).collect();
        arguments.extend(["-p".to_owned(), format!("/ x {name}=0t{value}")]);
    }
    arguments
}
