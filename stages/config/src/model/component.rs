//! Components: SPEC, build, sources, overlays, channels.

use super::{
    Form, Key, Kinds, Merge, Table, key, kind, our_kind, ours,
    overlay::{METADATA, OVERLAY},
    pattern::{
        ANY, CHANNEL, COMMIT, CONDITION, DOWNLOAD, FILE_NAME, FULL_COMMIT, GLOB, INSTANT, MACRO, ORIGIN_URL,
        PACKAGE, PATH, POOL, SIZE, SPEC_FILE, URL,
    },
};

pub(super) const TEXT: Form = Form::Text(&ANY);
pub(super) const TEXTS: Form = Form::List(&TEXT);

pub(crate) static COMPONENT: Table = Table {
    id: "component",
    path: "components.NAME",
    doc: "One source package. What a component does not say, it inherits: from the `default-component-config` of the \
          distribution's version, then of the project, then of each of its groups in the order of their names. The same \
          keys stand in `[default-component-config]`, `[component-groups.NAME.default-component-config]` and \
          `[distros.NAME.versions.NAME.default-component-config]`.\n\n\
          Lists are added to what is inherited. To leave out what is inherited, write `KEY.replace = […]` instead of \
          `KEY = […]` (Keel's own form): `overlays.replace = []` takes all inherited overlays away.",
    keys: COMPONENT_KEYS,
    kinds: None,
};

static COMPONENT_KEYS: &[Key] = &[
    ours(
        "override",
        Form::Words(&["extend", "replace"]),
        "what is said here changes a component of the tree that `[keel.base]` names: `extend` adds to what the base says, \
         `replace` puts it aside",
    ),
    key("spec", Form::Table(&SPEC), "where its SPEC comes from; said or inherited"),
    key("release", Form::Table(&RELEASE), "who counts up its Release"),
    key("overlays", Form::Tables(&OVERLAY), "changes to the SPEC and the files beside it, in this order")
        .merge(Merge::Append),
    key(
        "overlay-files",
        Form::List(&Form::Text(&GLOB)),
        "files of overlays, read after `overlays`: paths or patterns, in the order said; files of one pattern by their \
         names. `{component}` stands for the component's name; such a path counts from the file that says it, any other from \
         the file of the component. Said anew, it takes the place of what is inherited; `[]` is none",
    )
    .merge(Merge::Always),
    ours(
        "overlay-semantics",
        Form::Words(&["lines", "structural"]),
        "how overlays see the SPEC: line by line as azldev does, or as rpm reads it",
    )
    .default("lines"),
    ours(
        "licence",
        TEXT,
        "the licence of the SPEC and what lies beside it, not of what it builds: an SPDX expression (`keel licenses`)",
    ),
    key("build", Form::Table(&BUILD), "how it is built"),
    key("render", Form::Table(&RENDER), "how its SPEC is rendered"),
    key("source-files", Form::Tables(&SOURCE_FILE), "source files that do not lie beside the SPEC")
        .merge(Merge::Append),
    key("packages", Form::Named(&PACKAGE_CONFIG), "settings of its packages, by their names"),
    key("publish", Form::Table(&PUBLISH), "where its packages are published"),
    ours("package-checks", Form::Table(&PACKAGE_CHECKS), "what checks of its packages find, and is as it should be"),
];

static PACKAGE_CHECKS: Table = Table {
    id: "package-checks",
    path: "components.NAME.package-checks",
    doc: "Exceptions from the rules that `keel package rules` lists. No build depends on them: a change checks packages again, and \
          builds nothing. An exception that nothing needs is told.",
    keys: &[ours("allow", Form::Tables(&ALLOWANCE), "the exceptions").merge(Merge::Append)],
    kinds: None,
};

static ALLOWANCE: Table = Table {
    id: "package-check-exception",
    path: "components.NAME.package-checks.allow[]",
    doc: "",
    keys: &[
        ours("rule", TEXT, "the rule, by its name").required(),
        ours(
            "package",
            TEXT,
            "a pattern of package names (`*`, `?`); all packages of the component if it is not said",
        ),
        ours(
            "path",
            TEXT,
            "a pattern of paths, from `/` on (`*` and `?` within a name, `**` over several); all findings of the rule if it is not said",
        ),
        ours("reason", TEXT, "why it is as it should be").required(),
    ],
    kinds: None,
};

static SPEC: Table = Table {
    id: "spec",
    path: "components.NAME.spec",
    doc: "",
    keys: &[
        key("type", TEXT, "where the SPEC lies")
            .required()
            .merge(Merge::Said),
        key(
            "path",
            Form::Text(&SPEC_FILE),
            "the SPEC; its patches and local sources lie beside it",
        ),
        key(
            "upstream-distro",
            Form::Table(&super::project::DISTRO_REFERENCE),
            "whose SPEC it is",
        ),
        key("upstream-name", TEXT, "what it is called there, if not as here"),
        key(
            "upstream-commit",
            Form::Text(&COMMIT),
            "the commit of its repository; without it, the last one of the snapshot",
        ),
    ],
    kinds: Some(&Kinds {
        tag: "type",
        kinds: &[
            kind("local", &["path"], &[], "a file of this tree"),
            kind(
                "upstream",
                &[],
                &["upstream-distro", "upstream-name", "upstream-commit"],
                "another distribution's",
            ),
            kind("", &[], &["upstream-distro"], "as inherited"),
        ],
        loose: false,
    }),
};

static RELEASE: Table = Table {
    id: "release",
    path: "components.NAME.release",
    doc: "",
    keys: &[key(
        "calculation",
        Form::Words(&["auto", "autorelease", "static", "manual"]),
        "`auto`: rpmautospec where the SPEC asks for it, otherwise `static`; `autorelease`: rpmautospec; `static`: the \
         SPEC's number plus the number of changes since; `manual`: it stays as it is",
    )
    .default("auto")],
    kinds: None,
};

static BUILD: Table = Table {
    id: "build",
    path: "components.NAME.build",
    doc: "",
    keys: &[
        key(
            "with",
            Form::List(&Form::Text(&CONDITION)),
            "build conditions (`%bcond`) that are on",
        )
        .merge(Merge::Append),
        key(
            "without",
            Form::List(&Form::Text(&CONDITION)),
            "build conditions that are off",
        )
        .merge(Merge::Append),
        key("defines", Form::Map(&TEXT), "macros, with what they expand to"),
        key("undefines", Form::List(&Form::Text(&MACRO)), "macros taken away").merge(Merge::Append),
        key(
            "emit-upstream-provenance",
            Form::Flag,
            "macros tell the upstream's version and release to the SPEC: `%fedora_upstream_version` and `%fedora_upstream_release`, \
             if `fedora` is its distribution",
        ),
        ours(
            "bootstrap-libc",
            Form::Flag,
            "the build root has Debian's libc and its headers: for the first libc only",
        ),
        ours(
            "borrowed-libc",
            Form::Flag,
            "packages may be linked with Debian's libc: for tests only, never for what is shipped; provenance says so",
        ),
        key("check", Form::Table(&CHECK), "the SPEC's tests"),
        key("failure", Form::Table(&FAILURE), "builds that are known to fail"),
        key("hints", Form::Table(&HINTS), "what helps to plan a build"),
    ],
    kinds: None,
};

static CHECK: Table = Table {
    id: "check",
    path: "components.NAME.build.check",
    doc: "",
    keys: &[
        key("skip", Form::Flag, "`%check` does not run"),
        key("skip_reason", TEXT, "why; required with `skip`"),
    ],
    kinds: None,
};

static FAILURE: Table = Table {
    id: "failure",
    path: "components.NAME.build.failure",
    doc: "",
    keys: &[
        key("expected", Form::Flag, "the build is known to fail"),
        key("expected-reason", TEXT, "why; required with `expected`"),
    ],
    kinds: None,
};

static HINTS: Table = Table {
    id: "hints",
    path: "components.NAME.build.hints",
    doc: "Hints change the order of work and the time that is foretold, never a result.",
    keys: &[
        ours("cpu-seconds", Form::Number, "processor time of a build"),
        ours(
            "memory",
            Form::Text(&SIZE),
            "memory that a build needs at its peak, where none was measured or it measured less",
        ),
        key("expensive", Form::Flag, "is it one of the long ones?"),
    ],
    kinds: None,
};

static RENDER: Table = Table {
    id: "render",
    path: "components.NAME.render",
    doc: "",
    keys: &[key(
        "skip-file-filter",
        Form::Flag,
        "files that the SPEC does not name are rendered, too",
    )],
    kinds: None,
};

static PUBLISH: Table = Table {
    id: "component-publish",
    path: "components.NAME.publish",
    doc: "Channels of all that a component builds. `none` publishes nothing.",
    keys: &[
        key("rpm-channel", Form::Text(&CHANNEL), "of its packages"),
        key("srpm-channel", Form::Text(&CHANNEL), "of its source package"),
        key(
            "debuginfo-channel",
            Form::Text(&CHANNEL),
            "of its debugging information",
        ),
    ],
    kinds: None,
};

pub(super) static PACKAGE_CONFIG: Table = Table {
    id: "package-config",
    path: "components.NAME.packages.NAME",
    doc: "Settings of one package. The same keys stand in `[default-package-config]` and \
          `[package-groups.NAME.default-package-config]`; the default of the project comes first, then the package's group, then \
          its component, then what stands here.",
    keys: &[key(
        "publish",
        Form::Table(&PACKAGE_PUBLISH),
        "where it is published",
    )],
    kinds: None,
};

static PACKAGE_PUBLISH: Table = Table {
    id: "package-publish",
    path: "components.NAME.packages.NAME.publish",
    doc: "",
    keys: &[
        key("rpm-channel", Form::Text(&CHANNEL), "of the package"),
        key(
            "debuginfo-channel",
            Form::Text(&CHANNEL),
            "of its debugging information",
        ),
        key("channel", Form::Text(&CHANNEL), "the older name of `rpm-channel`"),
    ],
    kinds: None,
};

static SOURCE_FILE: Table = Table {
    id: "source-file",
    path: "components.NAME.source-files[]",
    doc: "",
    keys: &[
        key(
            "filename",
            Form::Text(&FILE_NAME),
            "as the SPEC's `Source:` or `Patch:` calls it",
        )
        .required(),
        key(
            "hash-type",
            Form::Words(&["SHA256", "SHA512"]),
            "required with `hash`",
        ),
        key(
            "hash",
            TEXT,
            "64 hexadecimal digits for SHA256, 128 for SHA512; a file without it must be pinned by `keel.lock` (`keel \
             source lock`)",
        ),
        ours("size", Form::Whole, "bytes"),
        key("origin", Form::Table(&ORIGIN), "where it may be had"),
        ours(
            "origins",
            Form::Tables(&ORIGIN),
            "several, the best first, instead of `origin`",
        ),
        ours(
            "signature",
            Form::Table(&SIGNATURE),
            "its upstream's OpenPGP signature, which `keel source lock` checks",
        ),
        key(
            "replace-upstream",
            Form::Flag,
            "it takes the place of an upstream's file of that name",
        ),
        key("replace-reason", TEXT, "why; required with `replace-upstream`"),
    ],
    kinds: None,
};

static SIGNATURE: Table = Table {
    id: "source-file-signature",
    path: "components.NAME.source-files[].signature",
    doc: "A detached signature, armored or binary, which must be by a pinned key that was good when it signed. `url` or `file` \
          says where it is. Nothing is locked if it is not good.",
    keys: &[
        ours("url", Form::Text(&URL), "its address (`https://`)"),
        ours("file", Form::Text(&PATH), "where it lies in this tree"),
        ours(
            "key",
            Form::Text(&PATH),
            "a file with the keys that may sign, armored or binary",
        )
        .required(),
        ours(
            "over",
            Form::Words(&["file", "uncompressed"]),
            "what is signed: the file, or the archive in it before it was compressed",
        )
        .default("file"),
    ],
    kinds: None,
};

static ORIGIN: Table = Table {
    id: "origin",
    path: "components.NAME.source-files[].origin",
    doc: "",
    keys: &[
        key("type", TEXT, "which kind of origin").required(),
        ours("source", TEXT, "name of the source package"),
        ours("suite", TEXT, "code name of the release"),
        ours(
            "path",
            Form::Text(&PATH),
            "`debian`: path in the archive, `pool/…`; without it, the file of this name in the newest version. `file`: \
             where it lies",
        ),
        ours(
            "binary",
            Form::Flag,
            "a binary package; default: does `path` end in `.deb`?",
        ),
        ours(
            "url",
            Form::Text(&ORIGIN_URL),
            "its address; of a repository: `https://…` or `file:///…`",
        ),
        key(
            "uri",
            Form::Text(&DOWNLOAD),
            "its address; `http://` is for azldev's projects, and Keel does not fetch from there",
        ),
        ours("name", TEXT, "its name there"),
        ours("version", TEXT, "its version"),
        ours(
            "commit",
            Form::Text(&FULL_COMMIT),
            "all digits of the commit's name",
        ),
        key("script", Form::Text(&FILE_NAME), "the program that makes it"),
        key("mock-packages", TEXTS, "packages that the program needs"),
        key(
            "inputs",
            Form::List(&Form::Text(&FILE_NAME)),
            "files that the program reads",
        )
        .distinct(),
    ],
    kinds: Some(&Kinds {
        tag: "type",
        kinds: &[
            our_kind(
                "debian",
                &["source", "suite"],
                &["path", "binary"],
                "Debian's archive",
            ),
            our_kind("https", &["url"], &[], "an address; the digest makes it trusted"),
            kind("download", &["uri"], &[], "azldev's word for `https`"),
            our_kind("file", &["path"], &[], "a file of this machine or tree"),
            our_kind("crates", &["name", "version"], &[], "a crate on crates.io"),
            our_kind("pypi", &["name", "version"], &[], "a source distribution on PyPI"),
            our_kind("npm", &["name", "version"], &[], "a package on npm"),
            our_kind(
                "git",
                &["url", "commit"],
                &[],
                "the files of a commit, as the tar archive `filename`, below a folder that is called as the archive is",
            ),
            kind(
                "custom",
                &["script"],
                &["mock-packages", "inputs"],
                "a program of this tree makes it",
            ),
            kind(
                "overlay",
                &[],
                &[],
                "an archive of the upstream, changed by overlays",
            ),
        ],
        loose: false,
    }),
};

/// A path in Debian's archive, where an origin is Debian's.
pub(crate) static POOL_PATH: &super::Pattern = &POOL;

pub(super) static COMPONENT_GROUP: Table = Table {
    id: "component-group",
    path: "component-groups.NAME",
    doc: "Components that have something in common.",
    keys: &[
        super::project::OVERRIDE,
        key("description", TEXT, "one line"),
        key(
            "metadata",
            Form::Table(&METADATA),
            "why the group is there, for machines",
        ),
        key("components", TEXTS, "its members; each must be defined"),
        key(
            "specs",
            Form::List(&Form::Text(&GLOB)),
            "patterns of SPECs; each that is no component yet becomes one, by its file's name",
        ),
        key(
            "excluded-paths",
            Form::List(&Form::Text(&GLOB)),
            "patterns of SPECs that are left out",
        ),
        key(
            "default-component-config",
            Form::Table(&COMPONENT),
            "what its members inherit",
        ),
    ],
    kinds: None,
};

pub(super) static PACKAGE_GROUP: Table = Table {
    id: "package-group",
    path: "package-groups.NAME",
    doc: "Packages under one name. A package is in one group at most.",
    keys: &[
        super::project::OVERRIDE,
        key("description", TEXT, "one line"),
        key(
            "packages",
            Form::List(&Form::Text(&PACKAGE)),
            "what an image gets that names the group",
        )
        .distinct(),
        key(
            "default-package-config",
            Form::Table(&PACKAGE_CONFIG),
            "settings of its packages",
        ),
    ],
    kinds: None,
};

/// The time of a snapshot.
pub(super) const SNAPSHOT: Form = Form::Text(&INSTANT);
