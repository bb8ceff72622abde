//! Images, and Keel's own definitions of them.

use super::{
    Form, Merge, Table,
    component::{TEXT, TEXTS},
    key, ours,
    pattern::{ANY, CHANNEL, LABEL, MOUNT_OPTIONS, PACKAGE, PATH, ROOT_PATH, SIZE, SIZE_OR_GROW, WORD},
};

/// By the names that [`crate::image::Format`] has.
const FORMATS: &[&str] = &[
    "oci",
    "oci-archive",
    "tar",
    "cpio",
    "wsl",
    "squashfs",
    "erofs",
    "iso",
    "pxe",
    "raw",
    "qcow2",
    "vhd",
    "vhdx",
];

pub(super) static IMAGE: Table = Table {
    id: "image",
    path: "images.NAME",
    doc: "",
    keys: &[
        super::project::OVERRIDE,
        key("description", TEXT, "one line"),
        key("definition", Form::Table(&IMAGE_DEFINITION), "what is in it"),
        key("capabilities", Form::Table(&CAPABILITIES), "what it claims to be"),
        key("tests", Form::Table(&IMAGE_TESTS), "how it is tested"),
        key("publish", Form::Table(&IMAGE_PUBLISH), "where it is published"),
    ],
    kinds: None,
};

static IMAGE_DEFINITION: Table = Table {
    id: "image-definition",
    path: "images.NAME.definition",
    doc: "",
    keys: &[
        key(
            "type",
            Form::Words(&["keel", "kiwi"]),
            "form of the definition: Keel's own, or kiwi's, which Keel keeps as data but does not build",
        )
        .required(),
        key(
            "path",
            Form::Text(&PATH),
            "the definition; Keel's own is a file `NAME.image.toml`, whose keys follow below",
        )
        .required(),
        key("profile", TEXT, "the part of it that is meant"),
    ],
    kinds: None,
};

static CAPABILITIES: Table = Table {
    id: "capabilities",
    path: "images.NAME.capabilities",
    doc: "What the image claims to be; checked against its formats.",
    keys: &[
        key("container", Form::Flag, "it runs as a container"),
        key("machine-bootable", Form::Flag, "it boots"),
        key("systemd", Form::Flag, "systemd is its first process"),
        key(
            "runtime-package-management",
            Form::Flag,
            "packages can be installed in it",
        ),
    ],
    kinds: None,
};

static IMAGE_TESTS: Table = Table {
    id: "image-tests",
    path: "images.NAME.tests",
    doc: "",
    keys: &[key(
        "test-suites",
        Form::Tables(&TEST_SUITE_REFERENCE),
        "which suites it must pass",
    )],
    kinds: None,
};

static TEST_SUITE_REFERENCE: Table = Table {
    id: "test-suite-reference",
    path: "images.NAME.tests.test-suites[]",
    doc: "",
    keys: &[key("name", TEXT, "a `[test-suites.NAME]`").required()],
    kinds: None,
};

static IMAGE_PUBLISH: Table = Table {
    id: "image-publish",
    path: "images.NAME.publish",
    doc: "",
    keys: &[key("channels", Form::List(&Form::Text(&CHANNEL)), "channels")],
    kinds: None,
};

pub(crate) static DEFINITION: Table = Table {
    id: "definition",
    path: "",
    doc: "A file `NAME.image.toml`, which `[images.NAME.definition]` names. Of what it inherits, lists are added to, tables merge key by key, \
          and anything else is replaced; `KEY.replace = […]` takes the place of an inherited list.",
    keys: &[
        ours("$schema", TEXT, "ignored; editors read it"),
        ours(
            "inherits",
            TEXT,
            "an image of the tree (or of its base), whose definition this one is laid over; capabilities that \
             `[images.NAME.capabilities]` does not state are that image's, too",
        ),
        ours(
            "purpose",
            TEXT,
            "what the image is for, and what it leaves to others: paragraphs of Markdown for its page (`keel image describe`)",
        ),
        ours(
            "packages",
            Form::List(&Form::Text(&PACKAGE)),
            "what to install; what they require comes along",
        )
        .distinct()
        .merge(Merge::Append),
        ours(
            "remove-packages",
            Form::List(&Form::Text(&PACKAGE)),
            "inherited packages that are not to be installed for their own sake; they still come along where others require them \
             (`exclude` forbids that)",
        )
        .distinct(),
        ours(
            "exclude",
            Form::List(&Form::Text(&PACKAGE)),
            "what must not come along",
        )
        .distinct()
        .merge(Merge::Append),
        ours(
            "install-weak-deps",
            Form::Flag,
            "what packages recommend, or supplements them, comes along, too, where it can; as `install_weak_deps` of dnf",
        )
        .default("false"),
        ours(
            "documentation",
            Form::Flag,
            "files that packages call documentation (`%doc` of SPECs, which manuals are, too) come along; texts of licences always do. rpm's \
             database tells what was left out",
        )
        .default("true"),
        ours(
            "languages",
            TEXTS,
            "languages whose files come along, of those that packages mark with one (`%lang` of SPECs), as `%_install_langs` of rpm: `de_AT` \
             takes the files of `de_AT` and `de`, `de` those of `de` alone; `all` stands for all of them, and `[]` for none",
        )
        .default("[\"all\"]")
        .merge(Merge::Append),
        ours("package-groups", TEXTS, "groups to install").merge(Merge::Append),
        ours(
            "formats",
            Form::List(&Form::Words(FORMATS)),
            "the files that leave",
        )
        .distinct()
        .merge(Merge::Append),
        ours(
            "memory",
            Form::Text(&SIZE),
            "of the virtual machine that boots it in tests",
        )
        .default("512M"),
        ours(
            "container",
            Form::Table(&CONTAINER),
            "the container's configuration",
        ),
        ours("cpio", Form::Table(&CPIO), "the initial RAM disk"),
        ours("wsl", Form::Table(&WSL), "the distribution for WSL"),
        ours("disk", Form::Table(&DISK), "the disk"),
        ours("live", Form::Table(&LIVE), "the live system"),
        ours("os", Form::Table(&super::os::OS), "what the system is made to be"),
        ours(
            "scripts",
            Form::Table(&super::scripts::SCRIPTS),
            "what else is done to the system, by programs of its own",
        ),
        ours("tests", Form::Tables(&TEST), "what is tested inside").merge(Merge::By("name")),
    ],
    kinds: None,
};

static CONTAINER: Table = Table {
    id: "container",
    path: "container",
    doc: "The container's configuration, as the OCI image specification has it.",
    keys: &[
        ours("entrypoint", TEXTS, "the program that always runs"),
        ours("cmd", TEXTS, "its arguments, unless others are given"),
        ours("env", Form::Map(&TEXT), "environment variables"),
        ours("labels", Form::Map(&TEXT), "labels"),
        ours("workdir", Form::Text(&ROOT_PATH), "the working directory"),
        ours("user", TEXT, "`user`, `uid`, `user:group` or `uid:gid`"),
        ours(
            "layers",
            Form::Words(&["packages", "one"]),
            "one for each large package and a few that small ones share, so that an update of a package is a download of its \
             layer alone; or all in one, which is a little smaller",
        )
        .default("packages"),
    ],
    kinds: None,
};

static CPIO: Table = Table {
    id: "cpio",
    path: "cpio",
    doc: "The initial RAM disk: the root file system for a kernel to unpack.",
    keys: &[ours(
        "compression",
        Form::Words(&["zstd", "gzip"]),
        "kernels read zstd since Linux 5.9",
    )
    .default("zstd")],
    kinds: None,
};

static WSL: Table = Table {
    id: "wsl",
    path: "wsl",
    doc: "How the Windows Subsystem for Linux installs the image (`/etc/wsl-distribution.conf`).",
    keys: &[
        ours(
            "default-name",
            Form::Text(&WORD),
            "what it is called unless the user says otherwise",
        )
        .default("the distribution's name"),
        ours("default-uid", Form::Whole, "the user that a shell runs as"),
        ours(
            "oobe-command",
            Form::Text(&ROOT_PATH),
            "in the image: what runs when it is first started",
        ),
        ours(
            "icon",
            Form::Text(&ROOT_PATH),
            "in the image: its icon in the start menu, an `.ico` file",
        ),
        ours(
            "terminal-profile",
            Form::Text(&ROOT_PATH),
            "in the image: what its profile in Windows Terminal is made of, a JSON file",
        ),
    ],
    kinds: None,
};

pub(crate) static DISK: Table = Table {
    id: "disk",
    path: "disk",
    doc: "The EFI system partition and a root: how an image that boots is laid out.",
    keys: &[
        ours(
            "size",
            Form::Text(&SIZE),
            "of the disk; without it, as large as its content needs",
        ),
        ours("esp-size", Form::Text(&SIZE), "of the EFI system partition").default("64M"),
        ours("root-fs", Form::Words(&["erofs", "ext4", "squashfs"]), "file system of the root: `erofs` and `squashfs` are compressed and never written to, `ext4` is written to by the machine and takes all of the disk").default("erofs"),
        ours("root-label", Form::Text(&LABEL), "of the root's partition").default("NAME-root"),
        ours(
            "root-size",
            Form::Text(&SIZE),
            "of the root's partition; without it, what the others leave, or, where another one grows, what it needs",
        ),
        ours(
            "root-mount-options",
            Form::Text(&MOUNT_OPTIONS),
            "how the root is mounted, in `/etc/fstab`",
        ),
        ours(
            "partitions",
            Form::Tables(&PARTITION),
            "further partitions, after the EFI system partition and before the root; the one that grows comes last",
        )
        .merge(Merge::By("label")),
        ours(
            "qcow2-compression",
            Form::Words(&["zstd", "none"]),
            "of a `qcow2`; `zstd` needs QEMU 5.1 or later, and is as small as zlib in a fifth of the time",
        )
        .default("zstd"),
        ours("kernel", Form::Text(&PACKAGE), "the kernel to boot"),
        ours(
            "boot",
            Form::Words(&["systemd-boot", "uki"]),
            "how UEFI starts the kernel",
        )
        .default("systemd-boot"),
        ours(
            "initrd",
            Form::Text(&ROOT_PATH),
            "in the image; without it the kernel mounts the root itself",
        ),
    ],
    kinds: None,
};

static LIVE: Table = Table {
    id: "live",
    path: "live",
    doc: "A system that runs from a medium (`iso`) or the network (`pxe`): its root is one file that is never written to, and what it writes \
          stays in memory.",
    keys: &[
        ours(
            "root-fs",
            Form::Words(&["erofs", "squashfs"]),
            "how the root is packed: `erofs` starts faster, `squashfs` is smaller",
        )
        .default("erofs"),
        ours("kernel", Form::Text(&PACKAGE), "the kernel to boot"),
        ours(
            "initrd-packages",
            Form::List(&Form::Text(&PACKAGE)),
            "what the initial RAM disk is made of, which finds the root and starts it; what they require comes along. Needed, here or in a parent",
        )
        .distinct()
        .merge(Merge::Append),
        ours(
            "init",
            Form::Text(&ROOT_PATH),
            "in the initial RAM disk: its first process",
        )
        .default("/usr/lib/keel-live/init"),
        ours(
            "kernel-command-line",
            Form::List(&Form::Text(&WORD)),
            "words for it besides those of `[os]`",
        )
        .merge(Merge::Append),
        ours(
            "firmware",
            Form::List(&Form::Words(&["uefi", "bios"])),
            "what starts the medium; `bios` takes GRUB of the image's packages",
        )
        .distinct()
        .default("[\"uefi\", \"bios\"]"),
        ours(
            "additional-files",
            Form::Tables(&super::os::OS_FILE),
            "files on the medium, outside the system; a medium has no owners and no permissions: those are not kept",
        )
        .merge(Merge::By("destination")),
    ],
    kinds: None,
};

pub(crate) static PARTITION: Table = Table {
    id: "partition",
    path: "disk.partitions[]",
    doc: "A partition of its own for what lies below a mount point: it has the files that packages and `[os]` put there, and \
          `/etc/fstab` mounts it by its PARTUUID. The keys are those of Image Customizer's partitions and file systems.",
    keys: &[
        ours("label", Form::Text(&LABEL), "its name; once on a disk").required(),
        ours(
            "type",
            Form::Words(&["linux-generic", "home", "srv", "var", "tmp", "swap", "xbootldr"]),
            "in the partition table; without it, what its mount point or `swap` stands for, or `linux-generic`",
        ),
        ours(
            "size",
            Form::Text(&SIZE_OR_GROW),
            "`\"grow\"`: all that the others leave. Without it, what its content needs; an ext4 with a quarter of that free, and \
             64M at least",
        ),
        ours(
            "filesystem",
            Form::Words(&["ext4", "erofs", "squashfs", "swap"]),
            "what is on it",
        )
        .default("ext4"),
        ours(
            "mount-point",
            Form::Text(&ROOT_PATH),
            "a folder that is not needed before partitions are mounted; each has its own",
        ),
        ours(
            "mount-options",
            Form::Text(&MOUNT_OPTIONS),
            "as in `nodev,nosuid`",
        )
        .default("defaults"),
    ],
    kinds: None,
};

static TEST: Table = Table {
    id: "test",
    path: "tests[]",
    doc: "What `keel image test` runs inside the booted machine, as root, with `/bin/sh -c`.",
    keys: &[
        ours("name", Form::Text(&ANY), "one line").required(),
        ours("run", TEXT, "a script; its exit code is the verdict").required(),
    ],
    kinds: None,
};
