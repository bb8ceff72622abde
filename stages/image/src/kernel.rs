//! What starts an image, whatever it is on: the kernel, its command line, and all in one file for UEFI.

use std::sync::Arc;

use keel_artefact::{Arch, PackageName, RootPath};

use crate::{
    Error,
    accounts::root_path,
    tree::{Kind, Tree},
    write::uki,
};

/// No kernel, stub or initial RAM disk is larger.
const LIMIT: u64 = 512 * 1024 * 1024;
/// Where systemd's boot loader and stub are.
const EFI: &str = "/usr/lib/systemd/boot/efi";
/// What brings them.
const EFI_HINT: &str = "add the package with systemd's boot loader and stub (systemd-boot)";

/// Where packages put words for the kernel's command line.
const CMDLINE: &str = "/usr/lib/kernel/cmdline.d";

/// Words of the packages' `/usr/lib/kernel/cmdline.d/*.conf`, sorted by file, but for those that the image says
/// something about; then the image's.
pub(crate) fn words(tree: &Tree, own: &[String]) -> Result<Vec<String>, Error> {
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

pub(crate) fn key_of(word: &str) -> &str {
    word.split('=').next().unwrap_or(word)
}

/// A kernel.
pub(crate) struct Kernel {
    /// The file.
    pub(crate) bytes: Vec<u8>,
    /// `uname -r`.
    pub(crate) release: String,
}

/// The kernel of this package, or, without one, the only one there is. `table` is where the definition says which.
pub(crate) fn kernel(
    tree: &Tree,
    image: &str,
    package: Option<&PackageName>,
    table: &str,
) -> Result<Kernel, Error> {
    let is_kernel = |path: &RootPath| {
        let folders = ["/usr/lib/modules/", "/boot/"];
        path.file_name().starts_with("vmlinuz")
            && folders.iter().any(|folder| path.as_str().starts_with(folder))
    };
    // NAME-VERSION-RELEASE.ARCH
    let of_package =
        |from: &str| package.is_none_or(|name| from.rsplitn(3, '-').nth(2) == Some(name.as_str()));
    let mut found: Vec<_> = tree
        .nodes()
        .iter()
        .filter(|(path, node)| {
            matches!(node.kind, Kind::File(_)) && is_kernel(path) && of_package(&node.from)
        })
        .map(|(path, _)| path)
        .collect();
    let (what, hint) = match (found.pop(), found.len(), package) {
        (Some(path), 0, _) => {
            let bytes = read(tree, image, path, "it is the kernel")?;
            let folder = path.parent().map(|folder| folder.file_name().to_owned());
            let release = uki::kernel_release(&bytes).or(folder).unwrap_or_default();
            return Ok(Kernel { bytes, release });
        }
        (None, _, Some(name)) => (
            format!("kernel of package `{name}`"),
            "its kernel is `vmlinuz` in a folder of /usr/lib/modules".to_owned(),
        ),
        (None, _, None) => (
            "kernel (/usr/lib/modules/*/vmlinuz)".to_owned(),
            "add a kernel to its packages".to_owned(),
        ),
        (Some(_), ..) => (
            "single kernel".to_owned(),
            format!("say in `[{table}]` which one boots: kernel = \"PACKAGE\""),
        ),
    };
    Err(Error::Missing {
        image: image.to_owned(),
        what,
        hint,
    })
}

/// The whole content of a file that the image cannot do without.
pub(crate) fn read(tree: &Tree, image: &str, path: &RootPath, hint: &str) -> Result<Vec<u8>, Error> {
    let missing = || Error::Missing {
        image: image.to_owned(),
        what: format!("`{path}`"),
        hint: hint.to_owned(),
    };
    tree.read(path, tree.file(path).ok_or_else(missing)?, LIMIT)
}

fn of_efi(name: &str) -> RootPath {
    let folder = root_path(EFI);
    folder.join(name).unwrap_or(folder)
}

/// Where firmware looks for what it starts on a medium that it does not know.
pub(crate) fn removable(arch: Arch) -> String {
    format!("EFI/BOOT/BOOT{}.EFI", arch.efi().to_uppercase())
}

/// systemd-boot.
pub(crate) fn loader(tree: &Tree, image: &str, arch: Arch) -> Result<Vec<u8>, Error> {
    read(
        tree,
        image,
        &of_efi(&format!("systemd-boot{}.efi", arch.efi())),
        EFI_HINT,
    )
}

/// A unified kernel image: systemd's stub with the kernel, its command line and its initial RAM disk.
pub(crate) fn unified(
    tree: &Tree,
    image: &str,
    arch: Arch,
    kernel: &Kernel,
    cmdline: &str,
    initrd: Option<&[u8]>,
) -> Result<Arc<[u8]>, Error> {
    let stub = of_efi(&format!("linux{}.efi.stub", arch.efi()));
    let stub_bytes = read(tree, image, &stub, EFI_HINT)?;
    let os_release = root_path("/usr/lib/os-release");
    let os_release = read(tree, image, &os_release, "it names the system in the boot menu")?;
    let section = |name, bytes| uki::Section { name, bytes };
    let mut sections = vec![
        section(".osrel", &os_release[..]),
        section(".cmdline", cmdline.as_bytes()),
        section(".uname", kernel.release.as_bytes()),
    ];
    sections.extend(initrd.map(|bytes| section(".initrd", bytes)));
    sections.push(section(".linux", &kernel.bytes));
    Ok(uki::write(&stub, &stub_bytes, &sections)?.into())
}
