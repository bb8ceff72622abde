//! A system that runs from a medium or the network: its root is one file that is never written to, and what it writes stays in
//! memory.
//!
//! | file | what it is |
//! |---|---|
//! | `NAME.iso` | ISO 9660: the root as `/live/root.img`; kernel and initial RAM disk for GRUB (BIOS), and an EFI system partition with both in one file (UEFI) |
//! | `NAME.pxe.initrd` | initial RAM disk with the root in it: all that a loader has to fetch besides the kernel |
//! | `NAME.pxe.efi` | kernel and that RAM disk in one file, for UEFI that boots by HTTP |
//! | `NAME.ipxe` | tells iPXE what to fetch, from where it was fetched itself |
//!
//! The first process of the initial RAM disk (package `keel-live`) finds the root by a word of the command line, `keel.live=`.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use keel_artefact::{Arch, Epoch, RootPath, Sha256};
use keel_config::{
    Errors,
    image::{Firmware, Live},
};
use keel_host::xorriso::BIOS_IMAGE;

use crate::{
    Error,
    accounts::{Accounts, root_path},
    error::At,
    filesystem,
    finalise::{Added, Make},
    kernel::{self, Kernel},
    tools::{Iso, Tools},
    tree::{Kind, Spool, Tree},
    write::{cpio, esp, gpt},
};

/// What of the command line names the root's place.
const WORD: &str = "keel.live";
/// The root is in the initial RAM disk.
pub(crate) const IN_INITRD: &str = "initrd";
/// Where the root is, on a medium and in an initial RAM disk.
pub(crate) const ROOT: &str = "/live/root.img";
/// GRUB for BIOS, in an image that has it: what a CD starts with, and the first sector of a disk.
const GRUB: &str = "/usr/lib/grub/i386-pc/eltorito.img";
const GRUB_MBR: &str = "/usr/lib/grub/i386-pc/boot_hybrid.img";
/// What brings it.
const GRUB_HINT: &str =
    "add the package with GRUB for BIOS (grub2-pc), or say `firmware = [\"uefi\"]` in `[live]`";
/// Level of zstd's compression of the initial RAM disk: it is small.
const ZSTD: i32 = 12;
const MIB: u64 = 1 << 20;

/// What a live system is made of, with what, and where.
#[derive(Clone, Copy)]
pub(crate) struct Recipe<'a> {
    /// The root.
    pub(crate) tree: &'a Tree,
    /// The image's name.
    pub(crate) image: &'a str,
    /// `[live]`.
    pub(crate) live: &'a Live,
    /// Words that the image adds to the kernel's command line.
    pub(crate) words: &'a [String],
    /// What it runs on.
    pub(crate) arch: Arch,
    /// The image's time.
    pub(crate) clock: Epoch,
    /// What identities are derived from.
    pub(crate) seed: Sha256,
    /// What makes file systems.
    pub(crate) tools: &'a dyn Tools,
    /// For what is made on the way.
    pub(crate) scratch: &'a Path,
}

/// What medium and network have in common.
pub(crate) struct Parts {
    /// The kernel.
    pub(crate) kernel: Kernel,
    /// The initial RAM disk, without the root.
    pub(crate) initrd: Vec<u8>,
    /// The root, as a file system in a file.
    root: PathBuf,
}

/// Gives an initial RAM disk its first process, and the folders that it mounts things on.
pub(crate) fn first_process(
    tree: &mut Tree,
    image: &str,
    init: &RootPath,
    clock: Epoch,
) -> Result<(), Error> {
    if tree.file(init).is_none() {
        return Err(Error::Missing {
            image: image.to_owned(),
            what: format!("`{init}` in its initial RAM disk"),
            hint: "add the package that has it to `initrd-packages` in `[live]`, or say in `init` where its first process is"
                .to_owned(),
        });
    }
    let mut make = Make::new(tree, clock);
    for (path, mode) in [
        ("/dev", 0o755),
        ("/proc", 0o555),
        ("/run", 0o755),
        ("/sys", 0o555),
    ] {
        make.dir(&root_path(path), mode);
    }
    make.link(&root_path("/init"), init.relative());
    Ok(())
}

/// Makes them; `initrd` is the tree of the initial RAM disk.
pub(crate) fn parts(initrd: &Tree, recipe: &Recipe<'_>) -> Result<Parts, Error> {
    let tree = recipe.tree;
    let kernel = kernel::kernel(tree, recipe.image, recipe.live.kernel.as_ref(), "live")?;
    let what = "the initial RAM disk";
    let mut packed = zstd::Encoder::new(Vec::new(), ZSTD).at("pack", what)?;
    cpio::write(initrd, initrd.nodes(), &mut packed)?;
    let kind = recipe.live.root_fs;
    let request = filesystem::Request {
        image: recipe.image,
        kind,
        label: "root",
        uuid: gpt::uuid(&recipe.seed, kind.as_str()),
        hash_seed: gpt::uuid(&recipe.seed, "hash/root"),
        clock: recipe.clock,
        size: 0,
    };
    Ok(Parts {
        kernel,
        initrd: packed.finish().at("pack", what)?,
        root: filesystem::make(tree, tree.nodes(), &request, recipe.tools, recipe.scratch)?,
    })
}

/// The kernel's command line of a system whose root is at `place`.
pub(crate) fn cmdline(place: &str, recipe: &Recipe<'_>) -> Result<String, Error> {
    let own = [recipe.words, &recipe.live.kernel_command_line[..]].concat();
    let mut line = vec![format!("{WORD}={place}")];
    line.extend(
        kernel::words(recipe.tree, &own)?
            .into_iter()
            .filter(|word| kernel::key_of(word) != WORD),
    );
    Ok(line.join(" "))
}

/// What the medium is called, which no other medium is.
pub(crate) fn volume(recipe: &Recipe<'_>) -> String {
    let name = recipe.image.to_ascii_uppercase();
    let name = name.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    let id = gpt::uuid(&recipe.seed, "live").simple().to_string();
    format!("{}_{}", &name[..name.len().min(23)], id[..8].to_ascii_uppercase())
}

/// An EFI program of all that starts the system.
pub(crate) fn unified(
    parts: &Parts,
    cmdline: &str,
    initrd: &[u8],
    recipe: &Recipe<'_>,
) -> Result<Arc<[u8]>, Error> {
    let (tree, initrd) = (recipe.tree, Some(initrd));
    kernel::unified(tree, recipe.image, recipe.arch, &parts.kernel, cmdline, initrd)
}

/// The initial RAM disk and, behind it, an archive with the root, which is compressed itself.
pub(crate) fn whole_initrd(parts: &Parts, recipe: &Recipe<'_>) -> Result<Vec<u8>, Error> {
    let spool = Spool::new(recipe.scratch).at("make", "a spool for the root")?;
    let mut tree = Tree::new(spool, 0);
    let root = fs_err::File::open(&parts.root).at("read", parts.root.display())?;
    let content = tree.spool_mut().add(root).at("copy", parts.root.display())?;
    Make::new(&mut tree, Epoch(0)).node(&root_path(ROOT), 0o444, Kind::File(content));
    let mut whole = parts.initrd.clone();
    whole.resize(whole.len().next_multiple_of(4), 0);
    cpio::write(&tree, tree.nodes(), &mut whole)?;
    Ok(whole)
}

/// What tells iPXE of kernel and initial RAM disk, which lie beside it.
pub(crate) fn ipxe(kernel: &str, initrd: &str, cmdline: &str) -> String {
    // `initrd=` is for kernels that are started as EFI programs.
    format!("#!ipxe\nkernel {kernel} initrd={initrd} {cmdline}\ninitrd {initrd}\nboot\n")
}

/// Writes the medium to `path`, with the files `added`. The root goes into it.
pub(crate) fn iso(
    parts: &Parts,
    cmdline: &str,
    added: &Added,
    recipe: &Recipe<'_>,
    path: &Path,
) -> Result<(), Error> {
    let (tree, scratch) = (recipe.tree, recipe.scratch);
    let medium = scratch.join("medium");
    let put = |name: &str, bytes: &[u8]| {
        let path = medium.join(name);
        let folder = path.parent().unwrap_or(&medium);
        let written = fs_err::create_dir_all(folder).and_then(|()| fs_err::write(&path, bytes));
        written.at("write", path.display())
    };
    let has = |firmware| recipe.live.firmware.contains(&firmware);
    let root = medium.join(root_path(ROOT).relative());
    put(root_path(ROOT).relative(), b"")?;
    fs_err::rename(&parts.root, &root).at("write", root.display())?;
    let mbr = scratch.join("mbr.img");
    if has(Firmware::Bios) {
        let file = |path| kernel::read(tree, recipe.image, &root_path(path), GRUB_HINT);
        put(BIOS_IMAGE, &file(GRUB)?)?;
        fs_err::write(&mbr, file(GRUB_MBR)?).at("write", mbr.display())?;
        put("boot/grub/grub.cfg", grub(cmdline).as_bytes())?;
        put("boot/vmlinuz", &parts.kernel.bytes)?;
        put("boot/initrd", &parts.initrd)?;
    }
    let esp = scratch.join("esp.img");
    if has(Firmware::Uefi) {
        let unified = unified(parts, cmdline, &parts.initrd, recipe)?;
        let files = [(kernel::removable(recipe.arch), unified)];
        let bytes = esp::write(esp::needs(&files).next_multiple_of(MIB), &files);
        fs_err::write(&esp, bytes).at("write", esp.display())?;
    }
    let mut more = Tree::new(
        Spool::new(scratch).at("make", "a spool for the medium")?,
        recipe.clock.0,
    );
    let wrong = added.apply(&mut Make::new(&mut more, recipe.clock), &Accounts::default())?;
    Errors::check((), wrong).map_err(Error::Definition)?;
    for (path, node) in more.nodes() {
        if let Kind::File(file) = &node.kind {
            put(path.relative(), b"")?;
            let to = path.under(&medium);
            let mut out = fs_err::File::create(&to).at("write", to.display())?;
            io::copy(&mut more.open(file), &mut out)
                .and_then(|_| out.flush())
                .at("write", to.display())?;
        }
    }
    let volume = volume(recipe);
    let options = Iso {
        volume: &volume,
        guid: gpt::uuid(&recipe.seed, "medium"),
        clock: recipe.clock,
        esp: has(Firmware::Uefi).then_some(&*esp),
        mbr: has(Firmware::Bios).then_some(&*mbr),
    };
    let made = recipe.tools.xorriso(&medium, path, &options);
    made.map_err(|source| Error::tool("xorriso", recipe.image, source))?;
    fs_err::remove_dir_all(&medium).at("remove", medium.display())
}

/// What GRUB does: it starts the system, and lets nobody change how.
fn grub(cmdline: &str) -> String {
    let words: Vec<String> = cmdline.split(' ').map(quoted).collect();
    format!(
        "set superusers=\"\"\nexport superusers\nserial --unit=0 --speed=115200\nterminal_output console serial\n\
         linux /boot/vmlinuz {}\ninitrd /boot/initrd\nboot\n",
        words.join(" ")
    )
}

/// A word for GRUB's shell, in which nothing has a meaning between apostrophes.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._=,:/-+@%".contains(c);
    match word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_grub_mean_themselves() {
        assert_eq!(quoted("console=ttyS0,115200"), "console=ttyS0,115200");
        assert_eq!(quoted("a=$b;c"), "'a=$b;c'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
    }
}
