//! `[os]` of an image definition.

use super::{
    Form, Merge, Table,
    component::TEXT,
    ours,
    pattern::{
        ACCOUNT, HOST_NAME, KEY_LINE, LABEL, MODULE, OWNER, PARAMETER, PASSWORD, PATH, PERMISSIONS,
        ROOT_PATH, UNIT, WORD,
    },
};

pub(crate) static OS: Table = Table {
    id: "os",
    path: "os",
    doc: "What the system is made to be besides its packages. It is carried out on the image's tree, after packages and before any \
          file system is written. `manifest.json` lists what each part changed (`changed`).",
    keys: &[
        ours(
            "hostname",
            Form::Text(&HOST_NAME),
            "static host name of a machine",
        ),
        ours(
            "kernel-command-line",
            Form::List(&Form::Text(&WORD)),
            "words that are added to the kernel's command line; they take the place of a package's words of the same key",
        )
        .merge(Merge::Append),
        ours("groups", Form::Tables(&OS_GROUP), "groups").merge(Merge::By("name")),
        ours("users", Form::Tables(&OS_USER), "users").merge(Merge::By("name")),
        ours("services", Form::Table(&OS_SERVICES), "which units start"),
        ours(
            "selinux",
            Form::Table(&OS_SELINUX),
            "SELinux; without it, what the packages' `/etc/selinux/config` says",
        ),
        ours("modules", Form::Tables(&OS_MODULE), "modules of the kernel").merge(Merge::By("name")),
        ours("additional-dirs", Form::Tables(&OS_DIR), "folders to add").merge(Merge::By("destination")),
        ours(
            "additional-files",
            Form::Tables(&OS_FILE),
            "files to add, after folders",
        )
        .merge(Merge::By("destination")),
    ],
    kinds: None,
};

pub(crate) static OS_GROUP: Table = Table {
    id: "os-group",
    path: "os.groups[]",
    doc: "A group that no package declares, or the number of one. It is in `/etc/group`, and declared in sysusers.d.",
    keys: &[
        ours("name", Form::Text(&ACCOUNT), "its name; once in a list").required(),
        ours(
            "gid",
            Form::Whole,
            "its number; needed, unless a package declares the group: an image gives out no free ones",
        ),
    ],
    kinds: None,
};

pub(crate) static OS_SELINUX: Table = Table {
    id: "os-selinux",
    path: "os.selinux",
    doc: "What SELinux does. A package brings the policy (`/etc/selinux/NAME`). Wherever the image's `/etc/selinux/config` names a policy \
          that is there, and is not `SELINUX=disabled`, all files are labelled as its `file_contexts` says (selabel_file(5)), but for layers \
          of containers, distributions for WSL, and initial RAM disks, which keep no labels.",
    keys: &[
        ours(
            "mode",
            Form::Words(&["disabled", "permissive", "enforcing", "force-enforcing"]),
            "`SELINUX=` of `/etc/selinux/config`, and words for the kernel's command line: `selinux=0`, or `selinux=1 security=selinux`; \
             `force-enforcing` is `enforcing` with `enforcing=1`, which that file cannot take back. Needed, here or in a parent",
        ),
        ours(
            "policy",
            Form::Text(&LABEL),
            "`SELINUXTYPE=` of that file; without it what is said there already, or the only policy of the image",
        ),
    ],
    kinds: None,
};

pub(crate) static OS_USER: Table = Table {
    id: "os-user",
    path: "os.users[]",
    doc: "A user that no package declares, or what is to be different about one (`root`, say). It is in `/etc/passwd` and \
          `/etc/shadow`, and declared in sysusers.d.",
    keys: &[
        ours("name", Form::Text(&ACCOUNT), "its name; once in a list").required(),
        ours(
            "uid",
            Form::Whole,
            "its number; needed, unless a package declares the user: an image gives out no free ones",
        ),
        ours(
            "password",
            Form::Text(&PASSWORD),
            "`\"locked\"`, or a hash of crypt(5) as `openssl passwd -6` or `mkpasswd` makes one: SHA-256, SHA-512, bcrypt, scrypt or \
             yescrypt. Never clear text: files of a tree are read by many, and so is an image",
        )
        .default("locked"),
        ours(
            "ssh-public-keys",
            Form::List(&Form::Text(&KEY_LINE)),
            "lines of `~/.ssh/authorized_keys`",
        )
        .distinct()
        .merge(Merge::Append),
        ours(
            "ssh-public-key-paths",
            Form::List(&Form::Text(&PATH)),
            "files of such lines",
        )
        .distinct()
        .merge(Merge::Append),
        ours(
            "primary-group",
            Form::Text(&ACCOUNT),
            "its group, which must be there; without it one of its own name, whose number is `uid`",
        ),
        ours(
            "secondary-groups",
            Form::List(&Form::Text(&ACCOUNT)),
            "further groups, which must be there",
        )
        .distinct()
        .merge(Merge::Append),
        ours(
            "home-directory",
            Form::Text(&ROOT_PATH),
            "is made for it alone (mode 0700), unless it is there",
        )
        .default("/home/NAME"),
        ours(
            "startup-command",
            Form::Text(&ROOT_PATH),
            "the login shell, which must be in the image",
        )
        .default("/bin/sh"),
    ],
    kinds: None,
};

pub(crate) static OS_SERVICES: Table = Table {
    id: "os-services",
    path: "os.services",
    doc: "Which units start, of an image whose first process is systemd. It comes before all presets of packages, and is a preset \
          of the image as well.",
    keys: &[
        ours(
            "enable",
            Form::List(&Form::Text(&UNIT)),
            "units with an `[Install]` section; `.service` may be left out. A login prompt (`getty@tty1`) is one, too",
        )
        .distinct()
        .merge(Merge::Append),
        ours(
            "disable",
            Form::List(&Form::Text(&UNIT)),
            "units that presets would start",
        )
        .distinct()
        .merge(Merge::Append),
    ],
    kinds: None,
};

pub(crate) static OS_MODULE: Table = Table {
    id: "os-module",
    path: "os.modules[]",
    doc: "A module of the kernel: modules-load.d and modprobe.d.",
    keys: &[
        ours("name", Form::Text(&MODULE), "its name; once in a list").required(),
        ours(
            "load-mode",
            Form::Words(&["always", "auto", "disable"]),
            "`always` loads it at each boot, `auto` leaves it to the kernel, `disable` keeps the kernel from loading it by itself",
        ),
        ours("options", Form::Map(&Form::Text(&PARAMETER)), "its parameters"),
    ],
    kinds: None,
};

pub(crate) static OS_FILE: Table = Table {
    id: "os-additional-file",
    path: "os.additional-files[]",
    doc: "A file that is added, in place of what is there. What Keel makes itself (users, host name, rpm's database) is not \
          written over this way.",
    keys: &[
        ours(
            "source",
            Form::Text(&PATH),
            "a file of the tree; either this or `content`",
        ),
        ours("content", TEXT, "what is in it"),
        ours(
            "destination",
            Form::Text(&ROOT_PATH),
            "where it lands; once in a list",
        )
        .required(),
        ours(
            "permissions",
            Form::Text(&PERMISSIONS),
            "its permission bits, in octal digits; without it `0644`, or `0755` if the source can be executed",
        ),
        ours("owner", Form::Text(&OWNER), "name or number of a user").default("root"),
        ours("group", Form::Text(&OWNER), "name or number of a group").default("root"),
    ],
    kinds: None,
};

pub(crate) static OS_DIR: Table = Table {
    id: "os-additional-dir",
    path: "os.additional-dirs[]",
    doc: "A folder that is added, with all that is in it; what is there besides stays.",
    keys: &[
        ours(
            "source",
            Form::Text(&PATH),
            "a folder of the tree; without it, an empty one is made",
        ),
        ours(
            "destination",
            Form::Text(&ROOT_PATH),
            "where it lands; once in a list",
        )
        .required(),
        ours(
            "new-dir-permissions",
            Form::Text(&PERMISSIONS),
            "permission bits of folders that were not there",
        )
        .default("0755"),
        ours(
            "merged-dir-permissions",
            Form::Text(&PERMISSIONS),
            "permission bits of folders that were; without it they keep theirs",
        ),
        ours(
            "child-file-permissions",
            Form::Text(&PERMISSIONS),
            "permission bits of files; without it `0644`, or `0755` if the source can be executed",
        ),
        ours(
            "owner",
            Form::Text(&OWNER),
            "name or number of a user; of all of it",
        )
        .default("root"),
        ours(
            "group",
            Form::Text(&OWNER),
            "name or number of a group; of all of it",
        )
        .default("root"),
    ],
    kinds: None,
};
