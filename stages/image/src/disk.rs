//! A tree as a disk that boots: root file system → unified kernel image that names it → EFI system partition → table.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use keel_artefact::{Arch, Epoch, RootPath, Sha256};
use keel_config::image::{Boot, Disk};

use crate::{
    Error,
    accounts::root_path,
    error::At,
    tools::{Erofs, Tools},
    tree::{Kind, Tree},
    write::{
        esp,
        gpt::{self, ALIGNMENT, OVERHEAD, Partition, Role},
        sparse, tar, uki,
    },
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
    let digest = tree.digest();
    let root = root_file_system(tree, recipe, &digest, tools, scratch)?;
    let root_size = fs_err::metadata(&root).at("read", root.display())?.len();
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
    let cmdline = cmdline(recipe, tree, &digest)?;
    let files = esp_files(tree, recipe, &cmdline, &release, &kernel.bytes, initrd.as_deref())?;
    let size = layout(tree, recipe, root_size, &files)?;
    let esp_size = recipe.disk.esp_size.next_multiple_of(ALIGNMENT);
    let partitions = [
        Partition {
            role: Role::Esp,
            label: "esp".into(),
            guid: gpt::uuid(&digest, "esp"),
            offset: ALIGNMENT,
            size: esp_size,
        },
        Partition {
            role: Role::Root(recipe.arch),
            label: recipe.disk.root_label.clone(),
            guid: gpt::uuid(&digest, "root"),
            offset: ALIGNMENT + esp_size,
            size: size - OVERHEAD - esp_size,
        },
    ];
    let what = raw.display();
    let mut file = fs_err::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(raw)
        .at("write", what)?;
    file.set_len(size).at("write", raw.display())?;
    let esp = esp::write(esp_size, &files);
    sparse::copy(&esp[..], &mut file, partitions[0].offset).at("write", raw.display())?;
    drop(esp);
    let content = fs_err::File::open(&root).at("read", root.display())?;
    sparse::copy(content, &mut file, partitions[1].offset).at("write", raw.display())?;
    gpt::write(&mut file, size, gpt::uuid(&digest, "disk"), &partitions)?;
    file.flush()
        .and_then(|()| file.sync_all())
        .at("write", raw.display())?;
    fs_err::remove_file(&root).at("remove", root.display())?;
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
pub fn cmdline(recipe: &Recipe<'_>, tree: &Tree, digest: &Sha256) -> Result<String, Error> {
    let words = words(tree, recipe.words)?;
    let has = |key: &str| words.iter().any(|word| key_of(word) == key);
    let mut line = Vec::new();
    if !has("root") {
        line.push(format!("root=PARTUUID={}", gpt::uuid(digest, "root")));
    }
    if !has("rootfstype") {
        line.push("rootfstype=erofs".to_owned());
    }
    if !has("ro") && !has("rw") {
        line.push("ro".to_owned());
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

fn root_file_system(
    tree: &Tree,
    recipe: &Recipe<'_>,
    digest: &Sha256,
    tools: &dyn Tools,
    scratch: &Path,
) -> Result<PathBuf, Error> {
    let (archive, image) = (scratch.join("root.tar"), scratch.join("root.erofs"));
    let file = fs_err::File::create(&archive).at("write", archive.display())?;
    tar::write(tree, tar::Root::With, file)?;
    let options = Erofs {
        uuid: gpt::uuid(digest, "erofs"),
        label: "root",
        clock: recipe.clock,
    };
    tools
        .mkfs_erofs(&archive, &image, &options)
        .map_err(|source| Error::Tool {
            tool: "mkfs.erofs",
            image: recipe.image.to_owned(),
            source,
        })?;
    fs_err::remove_file(&archive).at("remove", archive.display())?;
    faithful(tree, recipe, tools, &image, &scratch.join("root.check"))?;
    Ok(image)
}

/// Reads the file system back and compares it with the tree: mkfs.erofs 1.8.6 was seen to write zeros instead of
/// files (`-Efragments`), and fsck.erofs to find nothing wrong with that.
fn faithful(
    tree: &Tree,
    recipe: &Recipe<'_>,
    tools: &dyn Tools,
    image: &Path,
    check: &Path,
) -> Result<(), Error> {
    let is_device = |kind: &Kind| matches!(kind, Kind::CharDevice { .. } | Kind::BlockDevice { .. });
    if tree.nodes().values().any(|node| is_device(&node.kind)) {
        // Devices cannot be made without privileges, so neither can the copy.
        return Ok(());
    }
    tools.extract_erofs(image, check).map_err(|source| Error::Tool {
        tool: "fsck.erofs",
        image: recipe.image.to_owned(),
        source,
    })?;
    let root = check.join("tree");
    for (path, node) in tree.nodes() {
        let found = path.under(&root);
        let same = match &node.kind {
            Kind::File(file) => Sha256::of_file(&found).is_ok_and(|(digest, _)| digest == file.digest),
            Kind::Symlink(target) => fs_err::read_link(&found).is_ok_and(|to| to == Path::new(target)),
            Kind::Dir => found.is_dir(),
            _ => true,
        };
        if !same {
            let (image, path) = (recipe.image.to_owned(), path.clone());
            return Err(Error::Unfaithful { image, path });
        }
    }
    fs_err::remove_dir_all(check).at("remove", check.display())
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

/// The size of the disk, once everything is known to fit.
fn layout(tree: &Tree, recipe: &Recipe<'_>, root: u64, files: &[esp::File]) -> Result<u64, Error> {
    let mib = |bytes: u64| bytes.div_ceil(ALIGNMENT);
    let esp = recipe.disk.esp_size.next_multiple_of(ALIGNMENT);
    let too_big = |part, needs, has, largest| Error::TooBig {
        image: recipe.image.to_owned(),
        part,
        needs: mib(needs),
        has: has / ALIGNMENT,
        largest,
    };
    let esp_needs = esp::needs(files);
    if esp_needs > esp {
        let largest = files
            .iter()
            .map(|(name, bytes)| format!("{name} has {} MiB", mib(bytes.len() as u64)));
        let largest = format!("{}. Raise `esp-size`.", largest.collect::<Vec<_>>().join(", "));
        return Err(too_big("the EFI system partition", esp_needs, esp, largest));
    }
    let needs = OVERHEAD + esp + root.next_multiple_of(ALIGNMENT);
    let size = recipe.disk.size.unwrap_or(needs);
    if needs > size {
        let biggest: Vec<String> = tree
            .biggest()
            .iter()
            .take(5)
            .map(|(who, bytes)| format!("{who} {} MiB", mib(*bytes)))
            .collect();
        let largest = format!(
            "The EFI system partition takes {} MiB, the compressed root {} MiB, the partition table {} MiB. Largest \
             packages, uncompressed: {}. Raise `size`, or leave packages out.",
            mib(esp),
            mib(root),
            mib(OVERHEAD),
            biggest.join(", ")
        );
        return Err(too_big("the disk", needs, size, largest));
    }
    Ok(size)
}
