//! `mke2fs`: a tar archive becomes a file system that can be written (e2fsprogs 1.47.1 or later, mke2fs(8), debugfs(8)).
//!
//! Names, kinds, owners, modes, times and `security.capability` come from the archive; all other attributes mke2fs leaves
//! out, and debugfs adds them. Neither mounts anything, and the file system is not of any host's: nobody's privileges matter.

use std::{fmt::Write as _, path::Path};

use keel_artefact::{Epoch, Interrupt};

use crate::{
    Error, Program,
    scratch::{Scratch, bind},
    stage0::Stage0,
};

/// Bytes of a block.
pub const BLOCK: u64 = 4096;
/// Bytes of an inode.
pub const INODE: u64 = 256;
/// The size up to which a mounted file system can be grown by space that is set aside for it: 4 TiB, the largest disk that
/// Azure starts a machine from. (Beyond it, the kernel needs `meta_bg`.)
pub const LARGEST: u64 = 4 << 40;

/// What Linux 4.4 and later read and write. `metadata_csum_seed`: the UUID can be changed while it is mounted.
const FEATURES: &str = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,\
                        large_file,huge_file,dir_nlink,extra_isize,metadata_csum,metadata_csum_seed";
/// Per cent of the blocks that only root can use.
const RESERVED: &str = "1";

/// One file system.
#[derive(Debug)]
pub struct Request<'a> {
    /// A tar archive (ustar or pax), with an entry `./` for the root; pax records `atime` and `ctime` count.
    pub archive: &'a Path,
    /// What of the archive's attributes mke2fs does not take, sorted.
    pub attributes: &'a [Attribute<'a>],
    /// The image to write. Its folder must exist; a file of that name is replaced.
    pub image: &'a Path,
    /// Its size in bytes, a multiple of [`BLOCK`].
    pub size: u64,
    /// How many files and folders it has room for.
    pub inodes: u64,
    /// Size of its journal in MiB.
    pub journal_mib: u64,
    /// Its identity, as in `1b4e28ba-2fa1-11d2-883f-0016d3cca427`.
    pub uuid: &'a str,
    /// What the order of names in large folders depends on, in the same form.
    pub hash_seed: &'a str,
    /// Its label, 16 bytes at most.
    pub label: &'a str,
    /// Its own time, and that at which its files were made in it.
    pub clock: Epoch,
}

/// An extended attribute of a file.
#[derive(Debug, Clone, Copy)]
pub struct Attribute<'a> {
    /// The file, from the root of the file system, with a leading `/`.
    pub path: &'a str,
    /// Its full name.
    pub name: &'a str,
    /// Its value.
    pub value: &'a [u8],
}

/// Makes the image, and lets e2fsck look at it. The same request over the same bytes gives the same image.
pub fn make(stage0: &Stage0, request: &Request<'_>, interrupt: &Interrupt) -> Result<(), Error> {
    let program = Program::Mke2fs;
    let refuse = |why: String| Error::Request {
        program: program.name(),
        why,
    };
    if request.label.len() > 16 || request.label.contains('\0') {
        return Err(refuse(format!(
            "the label `{}` is longer than 16 bytes",
            request.label
        )));
    }
    if !request.size.is_multiple_of(BLOCK) {
        return Err(refuse(format!("{} bytes are no whole blocks", request.size)));
    }
    let scratch = Scratch::beside(request.image, program)?;
    let mut sandbox = stage0.sandbox();
    // Whatever the caller's umask is.
    keel_sandbox::hand_over_alone(&[request.archive.to_owned()])?;
    sandbox.binds = vec![bind(request.archive, "/tmp/archive", false), scratch.bind()];
    for (name, value) in [
        // Not SOURCE_DATE_EPOCH, which also takes later times from files.
        ("E2FSPROGS_FAKE_TIME", request.clock.0.to_string()),
        // Debian's defaults do not count.
        ("MKE2FS_CONFIG", "/dev/null".to_owned()),
    ] {
        sandbox.env.insert(name.to_owned(), value);
    }
    program.run_in(&sandbox, &arguments(request), interrupt)?;
    if !request.attributes.is_empty() {
        let commands = commands(request.attributes, &scratch.0)?;
        fs_err::write(scratch.0.join("commands"), commands)?;
        keel_sandbox::hand_over(&scratch.0)?;
        let arguments = ["-w", "-f", "/tmp/out/commands", "/tmp/out/image"].map(str::to_owned);
        let exit = Program::Debugfs.run_in(&sandbox, &arguments, interrupt)?;
        // It ends with 0 whatever happens; but for its version it is silent when all is well.
        let said = String::from_utf8_lossy(&exit.stderr);
        if let Some(line) = said.lines().find(|line| !line.starts_with("debugfs 1.")) {
            return Err(Error::Unexpected {
                program: Program::Debugfs.name(),
                why: line.to_owned(),
            });
        }
    }
    fsck(&sandbox, "/tmp/out/image", interrupt)?;
    scratch.show(request.image)
}

/// Checks an image with `e2fsck`.
pub fn check(stage0: &Stage0, image: &Path, interrupt: &Interrupt) -> Result<(), Error> {
    let mut sandbox = stage0.sandbox();
    sandbox.binds = vec![bind(image, "/tmp/image", false)];
    fsck(&sandbox, "/tmp/image", interrupt)
}

fn fsck(sandbox: &keel_sandbox::Sandbox, image: &str, interrupt: &Interrupt) -> Result<(), Error> {
    let arguments = ["-f", "-n", image].map(str::to_owned);
    Program::E2fsck.run_in(sandbox, &arguments, interrupt).map(drop)
}

fn arguments(request: &Request<'_>) -> Vec<String> {
    let extended = format!(
        // Nothing is left for the kernel to do in the background.
        "hash_seed={},root_owner=0:0,resize={},lazy_itable_init=0,lazy_journal_init=0,nodiscard",
        request.hash_seed,
        LARGEST / BLOCK
    );
    let mut arguments: Vec<String> = ["-q", "-F", "-t", "ext4", "-O", FEATURES, "-m", RESERVED]
        .map(str::to_owned)
        .into();
    for (option, value) in [
        ("-b", BLOCK.to_string()),
        ("-I", INODE.to_string()),
        ("-N", request.inodes.to_string()),
        ("-J", format!("size={}", request.journal_mib)),
        ("-U", request.uuid.to_owned()),
        ("-L", request.label.to_owned()),
        ("-E", extended),
        ("-d", "/tmp/archive".to_owned()),
    ] {
        arguments.extend([option.to_owned(), value]);
    }
    arguments.extend(["/tmp/out/image".to_owned(), (request.size / BLOCK).to_string()]);
    arguments
}

/// What debugfs is told; values go into files of `folder`, each once.
fn commands(attributes: &[Attribute<'_>], folder: &Path) -> Result<String, Error> {
    let mut values: Vec<&[u8]> = attributes.iter().map(|attribute| attribute.value).collect();
    values.sort_unstable();
    values.dedup();
    for (number, value) in values.iter().enumerate() {
        fs_err::write(folder.join(format!("value-{number}")), value)?;
    }
    let mut all = String::new();
    for Attribute { path, name, value } in attributes {
        if let Some(text) = [path, name].into_iter().find(|text| text.contains('\n')) {
            return Err(Error::Request {
                program: Program::Debugfs.name(),
                why: format!("`{}` has more than one line", text.escape_debug()),
            });
        }
        let number = values.binary_search(value).expect("every value is in the list");
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let (path, name) = (quoted(path), quoted(name));
        let _ = writeln!(all, "ea_set -f /tmp/out/value-{number} {path} {name}");
    }
    Ok(all)
}
