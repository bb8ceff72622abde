//! A tree as a disk that boots: unified kernel image that names the root → partitions ([`crate::partitions`]) → table.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use keel_artefact::{Arch, Epoch, RootPath, Sha256};
use keel_config::image::{Boot, Disk, FileSystem};

use crate::{
    Error,
    accounts::root_path,
    error::At,
    partitions::{self, Content, Ready},
    tools::Tools,
    tree::{Kind, Tree},
    write::{esp, gpt, sparse, uki},
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

/// No kernel, stub or initial RAM disk is larger.
const LIMIT: u64 = 512 * 1024 * 1024;

/// Writes the disk `raw`, with temporary files in `scratch`.
pub fn write(
    tree: &Tree,
    recipe: &Recipe<'_>,
    tools: &dyn Tools,
    scratch: &Path,
    raw: &Path,
) -> Result<Made, Error> {
    let kernel = kernel(tree, recipe)?;
    let release = uki::kernel_release(&kernel.bytes)
        .or_else(|| kernel.path.parent().map(|folder| folder.file_name().to_owned()))
        .unwrap_or_default();
    let initrd = match &recipe.disk.initrd {
        Some(path) => Some(read(
            tree,
            recipe,
            path,
            "it is `initrd` of the image's definition",
        )?),
        None => None,
    };
    let cmdline = cmdline(recipe, tree)?;
    let files = esp_files(tree, recipe, &cmdline, &release, &kernel.bytes, initrd.as_deref())?;
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
            Content::Bytes(bytes) => sparse::copy(&bytes[..], &mut file, entry.offset).at("write", &what)?,
            Content::File(path) => {
                let content = fs_err::File::open(&path).at("read", path.display())?;
                let copied = sparse::copy(content, &mut file, entry.offset).at("write", &what)?;
                fs_err::remove_file(&path).at("remove", path.display())?;
                copied
            }
        };
        entries.push(entry);
    }
    gpt::write(&mut file, size, gpt::uuid(&recipe.seed, "disk"), &entries)?;
    file.flush()
        .and_then(|()| file.sync_all())
        .at("write", raw.display())?;
    let (raw, kernel) = (raw.to_owned(), kernel.bytes);
    Ok(Made {
        raw,
        size,
        root_size,
        cmdline,
        kernel,
        initrd,
        release,
    })
}

/// The kernel's command line: where the root is, unless the image says so itself, and [`words`].
pub fn cmdline(recipe: &Recipe<'_>, tree: &Tree) -> Result<String, Error> {
    let words = words(tree, recipe.words)?;
    let has = |key: &str| words.iter().any(|word| key_of(word) == key);
    let mut line = Vec::new();
    if !has("root") {
        line.push(format!("root=PARTUUID={}", gpt::uuid(&recipe.seed, "root")));
    }
    if !has("rootfstype") {
        line.push(format!("rootfstype={}", recipe.disk.root_fs.as_str()));
    }
    if !has("ro") && !has("rw") {
        let access = match recipe.disk.root_fs {
            FileSystem::Erofs => "ro",
            FileSystem::Ext4 => "rw",
        };
        line.push(access.to_owned());
    }
    line.extend(words);
    Ok(line.join(" "))
}

/// Where packages put words for the kernel's command line.
const CMDLINE: &str = "/usr/lib/kernel/cmdline.d";

/// Words of the packages' `/usr/lib/kernel/cmdline.d/*.conf`, sorted by file, but for those that the image says
/// something about; then the image's.
pub fn words(tree: &Tree, own: &[String]) -> Result<Vec<String>, Error> {
    let mut words = Vec::new();
    for (path, node) in tree.under(&root_path(CMDLINE)) {
        let Kind::File(file) = &node.kind else { continue };
        if path.file_name().ends_with(".conf") {
            let text = tree.read(path, file, 64 * 1024)?;
            let text = String::from_utf8_lossy(&text);
            let said = text.lines().filter(|line| !line.trim_start().starts_with('#'));
            words.extend(said.flat_map(str::split_whitespace).map(str::to_owned));
        }
    }
    words.retain(|word| own.iter().all(|own| key_of(own) != key_of(word)));
    words.extend(own.iter().cloned());
    Ok(words)
}

fn key_of(word: &str) -> &str {
    word.split('=').next().unwrap_or(word)
}

struct Kernel {
    path: RootPath,
    bytes: Vec<u8>,
}

/// The kernel of the package that the image names, or the only one there is.
fn kernel(tree: &Tree, recipe: &Recipe<'_>) -> Result<Kernel, Error> {
    let package = recipe.disk.kernel.as_ref();
    let is_kernel = |path: &RootPath| {
        let folders = ["/usr/lib/modules/", "/boot/"];
        path.file_name().starts_with("vmlinuz")
            && folders.iter().any(|folder| path.as_str().starts_with(folder))
    };
    let of_package = |from: &str| {
        package.is_none_or(|name| {
            from.strip_prefix(name.as_str())
                .is_some_and(|rest| rest.starts_with('-'))
        })
    };
    let mut found: Vec<_> = tree
        .nodes()
        .iter()
        .filter(|(path, node)| {
            matches!(node.kind, Kind::File(_)) && is_kernel(path) && of_package(&node.from)
        })
        .collect();
    let (hint, what) = match (found.len(), package) {
        (1, _) => (None, String::new()),
        (0, Some(name)) => (
            Some("its kernel is `vmlinuz` in a folder of /usr/lib/modules"),
            format!("kernel of package `{name}`"),
        ),
        (0, None) => (
            Some("add a kernel to its packages"),
            "kernel (/usr/lib/modules/*/vmlinuz)".to_owned(),
        ),
        _ => (
            Some("say in `[disk]` which one boots: kernel = \"PACKAGE\""),
            "single kernel".to_owned(),
        ),
    };
    match (hint, found.pop()) {
        (None, Some((path, _))) => {
            let bytes = read(tree, recipe, path, "it is the kernel")?;
            Ok(Kernel {
                path: path.clone(),
                bytes,
            })
        }
        (hint, _) => {
            let hint = hint.unwrap_or_default().to_owned();
            Err(Error::Missing {
                image: recipe.image.to_owned(),
                what,
                hint,
            })
        }
    }
}

fn read(tree: &Tree, recipe: &Recipe<'_>, path: &RootPath, hint: &str) -> Result<Vec<u8>, Error> {
    let missing = || Error::Missing {
        image: recipe.image.to_owned(),
        what: format!("`{path}`"),
        hint: hint.to_owned(),
    };
    tree.read(path, tree.file(path).ok_or_else(missing)?, LIMIT)
}

/// What lies on the EFI system partition.
fn esp_files(
    tree: &Tree,
    recipe: &Recipe<'_>,
    cmdline: &str,
    release: &str,
    kernel: &[u8],
    initrd: Option<&[u8]>,
) -> Result<Vec<esp::File>, Error> {
    let efi = recipe.arch.efi();
    let folder = root_path("/usr/lib/systemd/boot/efi");
    let in_folder = |name: String| folder.join(&name).unwrap_or_else(|_| folder.clone());
    let stub = in_folder(format!("linux{efi}.efi.stub"));
    let hint = "add the package with systemd's boot loader and stub (systemd-boot)";
    let stub_bytes = read(tree, recipe, &stub, hint)?;
    let os_release = read(
        tree,
        recipe,
        &root_path("/usr/lib/os-release"),
        "it names the system in the boot menu",
    )?;
    let mut sections = vec![
        uki::Section {
            name: ".osrel",
            bytes: &os_release,
        },
        uki::Section {
            name: ".cmdline",
            bytes: cmdline.as_bytes(),
        },
        uki::Section {
            name: ".uname",
            bytes: release.as_bytes(),
        },
    ];
    sections.extend(initrd.map(|bytes| uki::Section {
        name: ".initrd",
        bytes,
    }));
    sections.push(uki::Section {
        name: ".linux",
        bytes: kernel,
    });
    let unified: Arc<[u8]> = uki::write(&stub, &stub_bytes, &sections)?.into();
    let removable = format!("EFI/BOOT/BOOT{}.EFI", efi.to_uppercase());
    Ok(match recipe.disk.boot {
        Boot::Uki => vec![(removable, unified)],
        Boot::SystemdBoot => {
            let loader = read(tree, recipe, &in_folder(format!("systemd-boot{efi}.efi")), hint)?;
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
