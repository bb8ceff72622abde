//! `keel image`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use keel_artefact::ImageName;
use keel_host::qemu::Forward;
use keel_image::{
    provenance,
    registry::{Reference, reference},
};

use super::{How, Signing};

/// `keel image`.
#[derive(Debug, Subcommand)]
pub enum Image {
    /// All images, one a line
    List,
    /// Print an image's definition with all that it inherits, and where each value comes from
    Show {
        /// Which image
        image: ImageName,
    },
    /// Make a definition of another builder's: Image Customizer's YAML, or an image of Azure Linux's toolkit (JSON)
    #[command(after_help = "\
Examples:
  keel image import ../azurelinux/toolkit/imageconfigs/core-efi.json --map names.toml --known --out images/core-efi.image.toml

names.toml says what packages are called here:
  [packages]
  iproute = \"iproute2\"
  grub2-efi-binary = [\"systemd-boot\"]
  shim = []

More: docs/how-to/import-an-image.md")]
    Import {
        /// The configuration
        file: PathBuf,
        /// What the other's packages are called here: TOML, `[packages]`
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        map: Option<PathBuf>,
        /// Leave out, and name, packages that no component of this tree makes
        #[arg(long)]
        known: bool,
        /// Write the definition to this new file
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Build images, and what they need
    #[command(after_help = "\
Examples:
  keel image build web             out/images/web: the image, image.lock, bills of materials, signed provenance
  keel image build web --record    and write its packages into the tree's image.lock
  keel image build web --locked    in CI: fails if its packages are not those of image.lock, and says how
  keel image build web --check     and again where everything is different: fails unless every byte is the same

More: docs/how-to/trust-an-image.md")]
    Build(Build),
    /// Check a finished image: signature and provenance, every file's digest, and that manifest, lock and bills of materials agree
    Verify(Verify),
    /// Boot an image under QEMU, with its console on this terminal
    #[command(after_help = "\
Nothing that the guest writes is kept. It reaches the network that this machine reaches; nothing reaches it but forwarded ports.

Examples:
  keel image boot vm --forward 2222:22 --user me --ssh-key ~/.ssh/id_ed25519.pub
                                   then, elsewhere: ssh -p 2222 me@127.0.0.1
  keel image boot vm --firmware uefi --tpm")]
    Boot {
        /// Which image
        image: ImageName,
        /// How to boot
        #[command(flatten)]
        boot: Boot,
        /// TCP port of this machine (127.0.0.1) that leads to one of the guest's; once for each
        #[arg(long, value_name = "PORT:PORT", value_parser = forward)]
        forward: Vec<Forward>,
        /// Make this user in the guest, who may become root with sudo: for images with systemd and a root that is written to
        #[arg(long, value_name = "NAME", requires = "ssh_key")]
        user: Option<String>,
        /// Public keys that the user logs in with, one a line; once for each file
        #[arg(long, value_name = "FILE", requires = "user", value_hint = ValueHint::FilePath)]
        ssh_key: Vec<PathBuf>,
    },
    /// Boot images under QEMU, run their checks inside, power off
    #[command(after_help = "\
Examples:
  keel image test                  every image that boots
  keel image test vm --firmware both --junit vm.xml

The guest's network is a router that gives it an address, and nothing beyond.")]
    Test {
        /// Images; all bootable ones if none is named
        images: Vec<ImageName>,
        /// How to boot
        #[command(flatten)]
        boot: Boot,
        /// Write what was found as JUnit's XML, which CI systems show
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        junit: Option<PathBuf>,
    },
    /// Join finished containers of several architectures into one image
    #[command(after_help = "\
Examples:
  keel image index core.oci amd64/core.oci arm64/core.oci.tar
                                   an OCI layout with an index; its name decides: `….tar` is one file")]
    Index {
        /// Where to put it: an OCI layout, or a tar file of one. It takes the place of a layout that is there
        #[arg(value_name = "FILE", value_hint = ValueHint::AnyPath)]
        file: PathBuf,
        /// OCI layouts, or tar files of them: of the same image and version, each for another architecture
        #[arg(value_name = "LAYOUT", required = true, value_hint = ValueHint::AnyPath)]
        layouts: Vec<PathBuf>,
    },
    /// Send a finished container to a registry: what it lacks, and nothing twice
    #[command(after_help = "\
Examples:
  keel image push core registry.example.org/keel/core
  keel image push ./core.oci.tar registry.example.org/keel/core:0.1 --mount-from keel/base

Logins are those of `podman login` and `docker login`. More: docs/how-to/use-registries.md")]
    Push {
        /// An image that is built, or the path of an OCI layout or of a tar file of one (with a `/` in it)
        image: String,
        /// Where to, with a tag or without: then it is the image's version
        #[arg(value_name = "REGISTRY/REPOSITORY[:TAG]")]
        reference: Reference,
        /// Have blobs taken over that this repository of the same registry has
        #[arg(long, value_name = "REPOSITORY", value_parser = reference::repository)]
        mount_from: Option<String>,
        /// How to ask
        #[command(flatten)]
        registry: Registry,
    },
    /// Get a container from a registry, every byte checked against its digest
    #[command(after_help = "\
Examples:
  keel image pull registry.example.org/keel/core:0.1 core.oci
  keel image pull registry.example.org/keel/core@sha256:DIGEST core.oci --all-platforms")]
    Pull {
        /// Which one; without tag and digest, `latest`
        #[arg(value_name = "REGISTRY/REPOSITORY[:TAG][@DIGEST]")]
        reference: Reference,
        /// The new OCI layout
        #[arg(value_hint = ValueHint::DirPath)]
        dir: PathBuf,
        /// Of an image of several architectures, all of them (else that of `--arch`)
        #[arg(long)]
        all_platforms: bool,
        /// How to ask
        #[command(flatten)]
        registry: Registry,
    },
    /// Tell what is in an image of this or another builder: of a disk (raw, qcow2, VHD, VHDX) partitions, file systems and kernels; of a container
    /// (OCI layout, or a tar file of one) how it runs, and its layers; of an archive (tar, cpio, WSL) the system and its names; packages of all
    #[command(after_help = "\
Examples:
  keel image inspect core          every file of the tree's image `core`, in out/images/core
  keel image inspect core.oci.tar  a container: digests, annotations, user and program, sizes of layers
  keel image inspect vm.vhdx --output json

More: docs/how-to/look-into-images.md")]
    Inspect {
        /// A file or folder; if none is called so, an image of the tree by its name
        #[arg(value_name = "FILE|NAME", value_hint = ValueHint::AnyPath)]
        file: PathBuf,
    },
    /// Write a page for each finished image: files, packages with sizes, programs with more rights than their user, who can log in, enabled units, what
    /// listens, and what its last test measured
    #[command(after_help = "\
Examples:
  keel image describe --to docs/images
                                   a page for every image, and README.md, which lists them
  keel image describe --to docs/images --check
                                   in CI: fails if a page is not what its image is; what was measured is not compared
  keel image describe vm           one page, on standard output

What listens and what was measured is known where `keel image test` was run on just this image.")]
    Describe(Describe),
    /// Take files out of an image of this or another builder, without mounting it: a disk (raw, qcow2, VHD, VHDX), a file system (EROFS, ext2 to
    /// ext4, FAT), a container (OCI layout), an archive (tar, cpio)
    #[command(after_help = "\
Examples:
  keel image extract vm.qcow2 --to vm-root
                                   every file of the root; owners, devices and attributes need --tar
  keel image extract vm.qcow2 --partition esp --to esp
  keel image extract core.oci --tar - /etc | tar -t

More: docs/how-to/look-into-images.md")]
    Extract(Extract),
    /// Print one file of an image, which may be all that `keel image extract` takes
    #[command(after_help = "\
Examples:
  keel image cat vm.vhdx /etc/os-release")]
    Cat(Cat),
    /// Compare the packages and files of two images: content, kind, mode, owner, attributes; times are no difference.
    /// Ends with 0 if they are the same, 1 if not, 2 if they cannot be compared, 3 if this machine is why
    #[command(after_help = "\
Examples:
  keel image diff old/vm.raw out/images/vm/vm.qcow2
  keel image diff core.oci rootfs.tar.zst --contents
                                   and what is different in files of text")]
    Diff(Compare),
    /// Write a disk in another format: raw, qcow2, VHD or VHDX, of this or another builder
    Convert(Convert),
}

/// `keel image build`.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Build {
    /// Images; all if none is named. They are made in this order, each as soon as its packages are there
    pub images: Vec<ImageName>,
    /// How to build what is missing
    #[command(flatten)]
    pub how: How,
    /// Signing
    #[command(flatten)]
    pub signing: Signing,
    /// Write into image.lock, beside keel.lock, which packages these images consist of
    #[arg(long, conflicts_with = "locked")]
    pub record: bool,
    /// Make each image twice, the second time with another clock, host name, time zone, umask, folder and order of packages, on one core
    /// and with nothing from the store: fails where a byte differs, and says where
    #[arg(long)]
    pub check: bool,
    /// Who builds, for the provenance: a URI that others know this machine by
    #[arg(long, value_name = "URI", env = "KEEL_BUILDER", default_value = provenance::LOCAL, value_parser = builder)]
    pub builder: String,
}

/// `keel image verify`.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Verify {
    /// The folder of an image, or one file in it
    #[arg(value_name = "DIR|FILE", value_hint = ValueHint::AnyPath)]
    pub path: PathBuf,
    /// Public key to trust [default: the development key]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub certificate: Option<PathBuf>,
}

/// A URI, as far as anybody can tell without asking: a scheme, and no white space (RFC 3986, §3).
fn builder(text: &str) -> Result<String, String> {
    let scheme = text.split_once(':').filter(|(_, rest)| !rest.is_empty());
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    };
    let is_plain = text.chars().all(|c| c.is_ascii_graphic());
    match scheme.is_some_and(|(scheme, _)| is_scheme(scheme)) && is_plain {
        true => Ok(text.to_owned()),
        false => Err("it is no URI, such as https://ci.example.org/builders/1".to_owned()),
    }
}

/// How a registry is asked.
#[derive(Debug, Clone, Args)]
#[group(skip)]
pub struct Registry {
    /// Who asks; the password comes with --password-stdin
    #[arg(long, value_name = "NAME", requires = "password_stdin")]
    pub username: Option<String>,
    /// Read the password, or a token, from standard input
    #[arg(long, requires = "username")]
    pub password_stdin: bool,
    /// File of logins, instead of those that podman and docker keep
    #[arg(long, value_name = "FILE", env = "REGISTRY_AUTH_FILE", value_hint = ValueHint::FilePath)]
    pub auth_file: Option<PathBuf>,
    /// Certificates (PEM) that are trusted besides those of this machine
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub ca_file: Option<PathBuf>,
    /// Ask without TLS: only a registry on this machine, for tests
    #[arg(long)]
    pub insecure_http: bool,
}

/// Which part of an image.
#[derive(Debug, Clone, Args)]
#[group(skip)]
pub struct Part {
    /// Number or name of a partition, or `esp` [default: the root]
    #[arg(long, value_name = "NUMBER|NAME")]
    pub partition: Option<String>,
}

/// `keel image describe`.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Describe {
    /// Images, which must be built; all if none is named
    pub images: Vec<ImageName>,
    /// Write the pages into this folder: NAME.md, and of all images README.md
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub to: Option<PathBuf>,
    /// Compare the pages that are there, and show what differs
    #[arg(long, requires = "to")]
    pub check: bool,
}

/// `keel image extract`.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Extract {
    /// The image
    #[arg(value_hint = ValueHint::AnyPath)]
    pub image: PathBuf,
    /// Files and folders in it [default: all]
    #[arg(value_name = "PATH")]
    pub paths: Vec<String>,
    /// Put them into this folder, which must be new or empty
    #[arg(long, value_name = "DIR", required_unless_present = "tar", conflicts_with = "tar", value_hint = ValueHint::DirPath)]
    pub to: Option<PathBuf>,
    /// Put them into this new tar archive, with all that they have; `-` is standard output
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub tar: Option<PathBuf>,
    /// Which part
    #[command(flatten)]
    pub part: Part,
}

/// `keel image cat`.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Cat {
    /// The image
    #[arg(value_hint = ValueHint::AnyPath)]
    pub image: PathBuf,
    /// The file in it; symbolic links are followed inside the image
    pub path: String,
    /// Which part
    #[command(flatten)]
    pub part: Part,
}

/// `keel image diff`.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Compare {
    /// An image
    #[arg(value_hint = ValueHint::AnyPath)]
    pub one: PathBuf,
    /// Another
    #[arg(value_hint = ValueHint::AnyPath)]
    pub other: PathBuf,
    /// Show what is different in files of text
    #[arg(long)]
    pub contents: bool,
    /// Which part of both
    #[command(flatten)]
    pub part: Part,
}

/// `keel image convert`.
#[derive(Debug, Args)]
pub struct Convert {
    /// The disk
    #[arg(value_hint = ValueHint::FilePath)]
    pub from: PathBuf,
    /// The file to write
    #[arg(value_hint = ValueHint::FilePath)]
    pub to: PathBuf,
    /// Format of FROM [default: what the file says that it is]
    #[arg(long = "from", value_name = "FORMAT")]
    pub from_format: Option<DiskFormat>,
    /// Format of TO [default: by the end of its name]
    #[arg(long = "to", value_name = "FORMAT")]
    pub to_format: Option<DiskFormat>,
    /// Replace TO if it is there
    #[arg(long)]
    pub force: bool,
    /// How a qcow2 is compressed [default: zstd]
    #[arg(long, value_name = "METHOD")]
    pub compression: Option<Compression>,
}

/// How a disk is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DiskFormat {
    /// As it is, with holes (ends with .raw or .img).
    Raw,
    /// QEMU's.
    Qcow2,
    /// Fixed, a multiple of 1 MiB, as Azure takes it; dynamic ones are read.
    Vhd,
    /// Dynamic, for Hyper-V.
    Vhdx,
}

/// How a qcow2 is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Compression {
    /// With Zstandard, which QEMU 5.1 and later read.
    Zstd,
    /// Not at all.
    None,
}

/// How to boot.
#[derive(Debug, Clone, Args)]
#[group(skip)]
pub struct Boot {
    /// Firmware: `direct` starts the kernel without any, the others boot as a machine would
    #[arg(long, default_value = "direct")]
    pub firmware: Firmware,
    /// What a live system's ISO is to the machine: a CD, or a disk such as a USB stick
    #[arg(long, default_value = "cd")]
    pub medium: Medium,
    /// Memory of the machine, in MiB [default: what the image says]
    #[arg(long, value_name = "MIB")]
    pub memory: Option<u32>,
    /// Give up after this many seconds [default: 300 to get ready under test; none for `boot`]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout: Option<u64>,
    /// Give it a TPM 2.0, new each time (needs swtpm)
    #[arg(long)]
    pub tpm: bool,
    /// Run it with KVM, where this machine lets you; without, all is emulated, which is slow and works everywhere
    #[arg(long)]
    pub kvm: bool,
}

/// `HOST:GUEST`
fn forward(text: &str) -> Result<Forward, String> {
    let port = |text: &str| (text.parse::<u16>().ok()).filter(|port| *port != 0);
    let ports = text
        .split_once(':')
        .and_then(|(host, guest)| Some((port(host)?, port(guest)?)));
    let (host, guest) = ports.ok_or("two ports, `2222:22`: this machine's, and the guest's")?;
    Ok(Forward { host, guest })
}

/// What starts the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Firmware {
    /// QEMU loads the kernel itself.
    Direct,
    /// UEFI (OVMF) loads the boot loader from the disk.
    Uefi,
    /// The BIOS of old PCs loads it from a live system's ISO.
    Bios,
    /// iPXE loads a live system from the network: what format `pxe` has written, by TFTP.
    Pxe,
    /// `direct`, then `uefi` (tests only).
    Both,
}

/// How a live system's medium is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Medium {
    /// As a CD.
    Cd,
    /// As a disk.
    Disk,
}
