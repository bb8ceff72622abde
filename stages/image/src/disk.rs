//! A tree as a disk that boots: unified kernel image that names the root → partitions ([`crate::partitions`]) → table.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use keel_artefact::{Arch, Epoch, Sha256};
use keel_config::image::{Boot, Disk};

use crate::{
    Error,
    error::At,
    kernel::{self, Kernel},
    partitions::{self, Content, Ready},
    tools::Tools,
    tree::Tree,
    write::{esp, gpt, sparse},
};

/// What the disk is made of, besides the tree.
#[derive(Debug, Clone, Copy)]
pub struct Recipe<'a> {
    /// The image's name, for messages.
    pub image: &'a str,
    /// `[disk]`.
    pub disk: &'a Disk,
    /// Words that the image adds to the kernel's command line.
    pub words: &'a [String],
    /// What it runs on.
    pub arch: Arch,
    /// `NAME_VERSION` of the distribution: the name of the kernel image.
    pub id: &'a str,
    /// The image's time.
    pub clock: Epoch,
    /// What identities are derived from.
    pub seed: Sha256,
}

/// A finished disk.
#[derive(Debug)]
pub struct Made {
    /// The disk, sparse.
    pub raw: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// Size of the root file system in bytes.
    pub root_size: u64,
    /// The whole kernel command line.
    pub cmdline: String,
    /// The kernel.
    pub kernel: Vec<u8>,
    /// The initial RAM disk.
    pub initrd: Option<Vec<u8>>,
    /// `uname -r`.
    pub release: String,
}

/// Writes the disk `raw`, with temporary files in `scratch`.
pub fn write(
    tree: &Tree,
    recipe: &Recipe<'_>,
    tools: &dyn Tools,
    scratch: &Path,
    raw: &Path,
) -> Result<Made, Error> {
    let (image, disk) = (recipe.image, recipe.disk);
    let kernel = kernel::kernel(tree, image, disk.kernel.as_ref(), "disk")?;
    let hint = "it is `initrd` of the image's definition";
    let initrd = match &disk.initrd {
        Some(path) => Some(kernel::read(tree, image, path, hint)?),
        None => None,
    };
    let cmdline = cmdline(recipe, tree)?;
    let files = esp_files(tree, recipe, &cmdline, &kernel, initrd.as_deref())?;
    let (ready, size, root_size) = partitions::make(tree, recipe, &files, tools, scratch)?;
    let what = raw.display();
    let mut file = fs_err::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(raw)
        .at("write", &what)?;
    file.set_len(size).at("write", raw.display())?;
    let mut entries = Vec::new();
    for Ready { entry, content } in ready {
        match content {
            Content::Bytes(bytes) => {
                sparse::put(&mut file, entry.offset, &bytes).at("write", &what)?;
            }
            Content::File(path) => {
                let content = fs_err::File::open(&path).at("read", path.display())?;
                let length = content.metadata().at("read", path.display())?.len();
                let mut content = sparse::Raw::new(content, length);
                sparse::copy(&mut content, &mut file, entry.offset).at("write", &what)?;
                fs_err::remove_file(&path).at("remove", path.display())?;
            }
        }
        entries.push(entry);
    }
    gpt::write(&mut file, size, gpt::uuid(&recipe.seed, "disk"), &entries)?;
    file.flush()
        .and_then(|()| file.sync_all())
        .at("write", raw.display())?;
    Ok(Made {
        raw: raw.to_owned(),
        size,
        root_size,
        cmdline,
        kernel: kernel.bytes,
        initrd,
        release: kernel.release,
    })
}

/// The kernel's command line: where the root is, unless the image says so itself, and those of packages.
pub fn cmdline(recipe: &Recipe<'_>, tree: &Tree) -> Result<String, Error> {
    let words = kernel::words(tree, recipe.words)?;
    let has = |key: &str| words.iter().any(|word| kernel::key_of(word) == key);
    let mut line = Vec::new();
    if !has("root") {
        line.push(format!("root=PARTUUID={}", gpt::uuid(&recipe.seed, "root")));
    }
    if !has("rootfstype") {
        line.push(format!("rootfstype={}", recipe.disk.root_fs.as_str()));
    }
    if !has("ro") && !has("rw") {
        let access = if recipe.disk.root_fs.is_read_only() {
            "ro"
        } else {
            "rw"
        };
        line.push(access.to_owned());
    }
    line.extend(words);
    Ok(line.join(" "))
}

/// What lies on the EFI system partition.
fn esp_files(
    tree: &Tree,
    recipe: &Recipe<'_>,
    cmdline: &str,
    kernel: &Kernel,
    initrd: Option<&[u8]>,
) -> Result<Vec<esp::File>, Error> {
    let (image, arch) = (recipe.image, recipe.arch);
    let unified = kernel::unified(tree, image, arch, kernel, cmdline, initrd)?;
    let removable = kernel::removable(arch);
    Ok(match recipe.disk.boot {
        Boot::Uki => vec![(removable, unified)],
        Boot::SystemdBoot => {
            let loader = kernel::loader(tree, image, arch)?;
            // `editor no`: whoever edits the command line is root without a password.
            let settings: Arc<[u8]> = Arc::from(&b"timeout 0\neditor no\n"[..]);
            vec![
                (removable, loader.into()),
                (format!("EFI/Linux/{}.efi", recipe.id), unified),
                ("loader/loader.conf".to_owned(), settings),
            ]
        }
    })
}
