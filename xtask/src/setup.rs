//! The Debian packages that a task needs on the host: few, since stage0 lends everything that builds and makes images. And
//! what judges bills of materials, which Debian does not have.

use std::{
    fmt,
    path::Path,
    process::{Command, Stdio},
    str::FromStr,
};

use anyhow::{Context as _, Result, bail, ensure};

/// Why each package is needed, for which set.
const PACKAGES: &[(&str, Set, &str)] = &[
    (
        "gcc",
        Set::Image,
        "compiles the C in Keel's dependencies (zstd, xz, ring)",
    ),
    ("libc6-dev", Set::Image, "is what that C is compiled against"),
    (
        "mmdebstrap",
        Set::Image,
        "makes stage0, the root that lends compiler and tools",
    ),
    (
        "uidmap",
        Set::Image,
        "gives an ordinary user the user ids that stage0 is made with",
    ),
    (
        "debian-archive-keyring",
        Set::Image,
        "has the keys that Debian's archive is signed with",
    ),
    ("qemu-system-x86", Set::Image, "boots images"),
    ("swtpm", Set::Test, "is a TPM for an image that boots"),
    ("ovmf", Set::Image, "is the UEFI firmware that images boot with"),
    (
        "ca-certificates",
        Set::Image,
        "is what HTTPS sources are trusted by",
    ),
    ("createrepo-c", Set::Test, "judges repository metadata"),
    ("dnf", Set::Test, "judges repositories"),
    ("rpm", Set::Test, "judges packages"),
    ("cpio", Set::Test, "unpacks what packages hold, to compare"),
    (
        "gpg-agent",
        Set::Test,
        "makes the keys that tests of signatures use",
    ),
    ("gpg", Set::Test, "judges signatures"),
    ("skopeo", Set::Test, "judges container images"),
    (REGISTRY, Set::Test, "takes and gives container images"),
    ("umoci", Set::Test, "unpacks container images"),
    (
        "libarchive-tools",
        Set::Test,
        "judges root file systems in one file",
    ),
    ("zstd", Set::Test, "unpacks initial RAM disks"),
    ("erofs-utils", Set::Test, "judges erofs file systems"),
    ("sqlite3", Set::Test, "makes databases like rpm's"),
    (
        "selinux-policy-default",
        Set::Test,
        "a policy to hold labels against",
    ),
    ("selinux-utils", Set::Test, "judges labels"),
    ("squashfs-tools", Set::Test, "writes and judges SquashFS"),
    ("xorriso", Set::Test, "writes and judges media"),
    ("dosfstools", Set::Test, "judges EFI system partitions"),
    ("mtools", Set::Test, "reads EFI system partitions"),
    ("gdisk", Set::Test, "judges partition tables"),
    ("fdisk", Set::Test, "judges partition tables"),
    ("e2fsprogs", Set::Test, "judges file systems"),
    ("qemu-utils", Set::Test, "judges disk images"),
    ("binutils", Set::Test, "reads what is in a unified kernel image"),
    (
        "util-linux",
        Set::Test,
        "runs tests as another user and in namespaces",
    ),
    (
        "disorderfs",
        Set::Test,
        "lists folders in another order while packages are built again",
    ),
    ("procps", Set::Test, "looks for processes that outlive a run"),
    (
        "python3-venv",
        Set::Test,
        "has the judges of bills of materials, which are Python's",
    ),
];

/// For which task a package is needed. A test run needs both sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Set {
    /// `make image`
    Image,
    /// `make test`
    Test,
}

impl FromStr for Set {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "image" => Ok(Self::Image),
            "test" => Ok(Self::Test),
            _ => bail!("no such set-up: `{text}` (image or test)"),
        }
    }
}

/// Something has to be installed, and this user cannot.
#[derive(Debug)]
pub struct NotRoot {
    line: String,
}

impl fmt::Display for NotRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "some packages are missing and this is not root; run this line, then the same command again:\n\n    {}\n",
            self.line
        )
    }
}

impl std::error::Error for NotRoot {}

/// Installs what is missing.
pub fn install(set: Set) -> Result<()> {
    packages(set)?;
    match set {
        Set::Image => Ok(()),
        Set::Test => judges(),
    }
}

/// Which Python packages judge bills of materials, each in one version.
const JUDGES: &str = include_str!("../judges.txt");

/// Makes `target/judges`, where tests look for them: Debian 12 has none.
fn judges() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("the workspace has a folder")?;
    let dir = root.join("target/judges");
    let marker = dir.join("judges.txt");
    if std::fs::read_to_string(&marker).is_ok_and(|there| there == JUDGES) {
        return Ok(());
    }
    println!("    pip install -r xtask/judges.txt (into target/judges)");
    let list = root.join("xtask/judges.txt");
    python(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&dir))?;
    let mut pip = Command::new(dir.join("bin/pip"));
    pip.args([
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--requirement",
    ]);
    python(pip.arg(list))?;
    std::fs::write(&marker, JUDGES).with_context(|| format!("cannot write {}", marker.display()))
}

fn python(command: &mut Command) -> Result<()> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .context("cannot run Python")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} failed:\n{said}");
    Ok(())
}

/// Debian's packages.
fn packages(set: Set) -> Result<()> {
    let wanted: Vec<_> = PACKAGES.iter().filter(|(_, of, _)| *of <= set).collect();
    let mut missing = Vec::new();
    for (package, _, why) in wanted {
        if !is_installed(package)? {
            println!("    needs {package}: {why}");
            missing.push(*package);
        }
    }
    if missing.is_empty() {
        println!("    everything is installed");
        return Ok(());
    }
    let list = missing.join(" ");
    if !is_root()? {
        let line = format!("sudo apt-get update && sudo apt-get install -y --no-install-recommends {list}");
        return Err(NotRoot { line }.into());
    }
    println!("    apt-get install -y --no-install-recommends {list}");
    apt(&["update", "-qq"])?;
    if missing.contains(&REGISTRY) {
        never_started(REGISTRY)?;
    }
    let mut arguments = vec!["install", "-y", "-qq", "--no-install-recommends"];
    arguments.extend(missing);
    apt(&arguments)
}

/// Tests start it themselves, on a port of their own; as a service it would be open to the network, for everybody.
const REGISTRY: &str = "docker-registry";

/// Keeps systemd from starting a service when its package comes (systemctl(1), `mask`); who wants it says `systemctl unmask`.
fn never_started(service: &str) -> Result<()> {
    let link = format!("/etc/systemd/system/{service}.service");
    if std::fs::symlink_metadata(&link).is_ok() {
        return Ok(());
    }
    std::fs::create_dir_all("/etc/systemd/system")?;
    std::os::unix::fs::symlink("/dev/null", &link).with_context(|| format!("cannot write {link}"))
}

fn apt(arguments: &[&str]) -> Result<()> {
    let output = Command::new("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output()
        .context("cannot run apt-get: this set-up is for Debian 12")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "apt-get {} failed:\n{said}",
        arguments.join(" ")
    );
    Ok(())
}

fn is_installed(package: &str) -> Result<bool> {
    let output = Command::new("dpkg-query")
        .args(["-W", "-f", "${db:Status-Status}", package])
        .output()
        .context("cannot run dpkg-query: this set-up is for Debian 12")?;
    Ok(output.status.success() && output.stdout == b"installed")
}

fn is_root() -> Result<bool> {
    let output = Command::new("id").arg("-u").output().context("cannot run id")?;
    Ok(output.stdout.trim_ascii() == b"0")
}
