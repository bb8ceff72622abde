//! The project, its distributions, resources, tools, test suites, and Keel's own settings.

use super::{
    Form, Key, Kinds, Merge, Table,
    component::{COMPONENT, COMPONENT_GROUP, PACKAGE_CONFIG, PACKAGE_GROUP, SNAPSHOT, TEXT, TEXTS},
    image::IMAGE,
    key, kind, ours,
    pattern::{
        ADDRESS, ANY, CAPABILITY, DEBIAN_PACKAGE, GLOB, GPG_KEY, LINE, ORIGIN_URL, PATH, REPOSITORY, SUBPATH,
        URL, WHOLE_COMMIT,
    },
};

/// How a tree says that it changes what its base has.
pub(super) const OVERRIDE: Key = ours(
    "override",
    Form::Words(&["extend", "replace"]),
    "as in `[components.NAME]`",
);

const FOLDER: Form = Form::Text(&PATH);

pub(crate) static ROOT: Table = Table {
    id: "project-file",
    path: "",
    doc: "Tables by name are a union over all files, in which a name occurs once; `distros` and `resources` may be said in \
          parts. Of a table that is said in parts, what a later file says wins: a file comes before those that it includes, \
          and these come in the order in which they are included.",
    keys: &[
        key("$schema", TEXT, "ignored; editors read it"),
        key(
            "includes",
            Form::List(&Form::Text(&GLOB)),
            "files to read too: paths or patterns (`*`, `?`, `[…]`, `**`); a pattern without a match is fine, a path without a \
             file is not",
        )
        .merge(Merge::Private),
        key("project", Form::Table(&PROJECT), "the project itself"),
        key("distros", Form::Named(&DISTRO), "distributions: the one that is built, and those that lend SPECs")
            .merge(Merge::Fields),
        key("components", Form::Named(&COMPONENT), "source packages").merge(Merge::Union),
        key("component-groups", Form::Named(&COMPONENT_GROUP), "components with something in common")
            .merge(Merge::Union),
        key("default-component-config", Form::Table(&COMPONENT), "what all components inherit"),
        key("package-groups", Form::Named(&PACKAGE_GROUP), "packages under one name").merge(Merge::Union),
        key("default-package-config", Form::Table(&PACKAGE_CONFIG), "settings of all packages"),
        key("images", Form::Named(&IMAGE), "images").merge(Merge::Union),
        key("test-suites", Form::Named(&TEST_SUITE), "tests of images").merge(Merge::Union),
        key("resources", Form::Table(&RESOURCES), "repositories of packages"),
        key("tools", Form::Table(&TOOLS), "external tools"),
        ours("keel", Form::Table(&KEEL), "Keel's own settings"),
    ],
    kinds: None,
};

static PROJECT: Table = Table {
    id: "project",
    path: "project",
    doc: "",
    keys: &[
        key("description", TEXT, "one line").merge(Merge::Private),
        key("output-dir", FOLDER, "where repositories, images and logs go")
            .default("out")
            .merge(Merge::Private),
        key("log-dir", FOLDER, "where logs go")
            .default("build/logs")
            .merge(Merge::Private),
        key("work-dir", FOLDER, "where work in progress lies")
            .default("build/work")
            .merge(Merge::Private),
        key(
            "lock-dir",
            FOLDER,
            "where azldev keeps its locks; commits that change the fingerprint of one count into Releases",
        )
        .default("locks")
        .merge(Merge::Private),
        key(
            "rendered-specs-dir",
            FOLDER,
            "where rendered SPECs lie, as `LETTER/NAME/NAME.spec`",
        )
        .default("specs")
        .merge(Merge::Private),
        key(
            "default-distro",
            Form::Table(&DISTRO_REFERENCE),
            "which distribution is built",
        ),
        key(
            "default-author-email",
            TEXT,
            "the author of entries in changelogs that a program writes",
        ),
    ],
    kinds: None,
};

pub(super) static DISTRO_REFERENCE: Table = Table {
    id: "distro-reference",
    path: "project.default-distro",
    doc: "The same keys stand in `[components.NAME.spec.upstream-distro]`.",
    keys: &[
        key("name", TEXT, "a `[distros.NAME]`").required(),
        key(
            "version",
            TEXT,
            "one of its versions; without it, the distribution's `default-version`",
        ),
        key(
            "snapshot",
            SNAPSHOT,
            "its state at this time (RFC 3339); for defaults only: one component is pinned by `upstream-commit`",
        ),
    ],
    kinds: None,
};

static DISTRO: Table = Table {
    id: "distro",
    path: "distros.NAME",
    doc: "",
    keys: &[
        key("description", TEXT, "one line"),
        key("default-version", TEXT, "used where no version is asked for"),
        key(
            "dist-git-base-uri",
            Form::Text(&ADDRESS),
            "address of its SPECs' repositories; `$pkg` stands for the name",
        ),
        key(
            "lookaside-base-uri",
            Form::Text(&ADDRESS),
            "address of its source files; `$pkg`, `$filename`, `$hashtype` and `$hash` stand for what they say",
        ),
        key(
            "repos",
            Form::Tables(&REPOSITORY_OF_DISTRO),
            "its repositories of packages",
        ),
        key(
            "disable-origins",
            Form::Flag,
            "source files come from its own servers only",
        ),
        key(
            "versions",
            Form::Named(&VERSION),
            "its versions. In an azldev project, a later file's version takes the \
             place of an earlier file's, whole",
        ),
    ],
    kinds: None,
};

static REPOSITORY_OF_DISTRO: Table = Table {
    id: "package-repository",
    path: "distros.NAME.repos[]",
    doc: "",
    keys: &[key("base-uri", TEXT, "its address").required()],
    kinds: None,
};

static VERSION: Table = Table {
    id: "distro-version",
    path: "distros.NAME.versions.NAME",
    doc: "",
    keys: &[
        key("description", TEXT, "one line"),
        key(
            "release-ver",
            TEXT,
            "the release version, as repository URLs and os-release say it",
        )
        .required(),
        key("dist-git-branch", TEXT, "the branch of its SPECs' repositories"),
        key(
            "default-component-config",
            Form::Table(&COMPONENT),
            "what components of this version inherit first",
        ),
        key("mock-config", FOLDER, "mock's configuration"),
        key("mock-config-x86_64", FOLDER, "the same for one architecture"),
        key("mock-config-aarch64", FOLDER, "the same for one architecture"),
        key(
            "inputs",
            Form::Table(&INPUTS),
            "repositories that it is made from",
        ),
    ],
    kinds: None,
};

static INPUTS: Table = Table {
    id: "distro-inputs",
    path: "distros.NAME.versions.NAME.inputs",
    doc: "",
    keys: &[
        key("rpm-build", Form::Tables(&INPUT), "for packages"),
        key("image-build", Form::Tables(&INPUT), "for images"),
    ],
    kinds: None,
};

static INPUT: Table = Table {
    id: "distro-input",
    path: "distros.NAME.versions.NAME.inputs.rpm-build[]",
    doc: "Either `repo` or `set`.",
    keys: &[
        key("repo", TEXT, "one of `[resources.rpm-repos]`"),
        key("set", TEXT, "all of one of `[resources.rpm-repo-sets]`"),
    ],
    kinds: None,
};

static RESOURCES: Table = Table {
    id: "resources",
    path: "resources",
    doc: "An entry of a later file takes the place of an earlier file's, whole.",
    keys: &[
        key("rpm-repos", Form::Named(&RPM_REPO), "repositories").merge(Merge::Entries),
        key(
            "rpm-repo-set-templates",
            Form::Named(&TEMPLATE),
            "layouts of sets of repositories",
        )
        .merge(Merge::Entries),
        key(
            "rpm-repo-sets",
            Form::Named(&RPM_REPO_SET),
            "sets of repositories",
        )
        .merge(Merge::Entries),
    ],
    kinds: None,
};

static RPM_REPO: Table = Table {
    id: "rpm-repo",
    path: "resources.rpm-repos.NAME",
    doc: "Either `base-uri` or `metalink`; `gpg-key`, unless `disable-gpg-check` is set.",
    keys: &[
        key("description", Form::Text(&LINE), "one line"),
        key("type", Form::Words(&["rpm-md"]), "its form").default("rpm-md"),
        key("base-uri", Form::Text(&URL), "its address"),
        key("metalink", Form::Text(&URL), "address of a list of mirrors"),
        key("disable-gpg-check", Form::Flag, "signatures are not checked"),
        key("gpg-key", Form::Text(&GPG_KEY), "the key of its signatures"),
        key("arches", TEXTS, "architectures that it is for; without it, all"),
    ],
    kinds: None,
};

static TEMPLATE: Table = Table {
    id: "rpm-repo-set-template",
    path: "resources.rpm-repo-set-templates.NAME",
    doc: "",
    keys: &[
        key("description", Form::Text(&LINE), "one line"),
        key("subrepos", Form::Tables(&SUBREPO), "its repositories").required(),
    ],
    kinds: None,
};

static SUBREPO: Table = Table {
    id: "subrepo",
    path: "resources.rpm-repo-set-templates.NAME.subrepos[]",
    doc: "",
    keys: &[
        key(
            "name",
            Form::Text(&REPOSITORY),
            "its name, after the set's `name-prefix`",
        )
        .required(),
        key(
            "subpath",
            Form::Text(&SUBPATH),
            "its path, after the set's `base-uri`",
        )
        .required(),
        key(
            "kind",
            Form::Words(&["binary", "debug", "source"]),
            "what is in it",
        )
        .default("binary"),
    ],
    kinds: None,
};

static RPM_REPO_SET: Table = Table {
    id: "rpm-repo-set",
    path: "resources.rpm-repo-sets.NAME",
    doc: "Repositories after a template: each is called `name-prefix` and its name in the template.",
    keys: &[
        key("description", Form::Text(&LINE), "one line"),
        key("template", TEXT, "one of `[resources.rpm-repo-set-templates]`").required(),
        key("base-uri", Form::Text(&URL), "the address above all of them").required(),
        key("name-prefix", TEXT, "how their names begin"),
        key("gpg-key", Form::Text(&GPG_KEY), "the key of their signatures"),
        key("disable-gpg-check", Form::Flag, "signatures are not checked"),
        key(
            "arches",
            TEXTS,
            "architectures that they are for; without it, all",
        ),
        key("subrepos", TEXTS, "only these of the template").distinct(),
    ],
    kinds: None,
};

static TOOLS: Table = Table {
    id: "tools",
    path: "tools",
    doc: "",
    keys: &[key(
        "imageCustomizer",
        Form::Table(&IMAGE_CUSTOMIZER),
        "the Image Customizer",
    )],
    kinds: None,
};

static IMAGE_CUSTOMIZER: Table = Table {
    id: "image-customizer",
    path: "tools.imageCustomizer",
    doc: "",
    keys: &[key("containerTag", TEXT, "its container")],
    kinds: None,
};

static TEST_SUITE: Table = Table {
    id: "test-suite",
    path: "test-suites.NAME",
    doc: "",
    keys: &[
        OVERRIDE,
        key("description", TEXT, "one line"),
        key("type", TEXT, "what runs it").required(),
        key("pytest", Form::Table(&PYTEST), "how pytest runs it"),
        key("lisa", Form::Table(&LISA), "how LISA runs it"),
    ],
    kinds: Some(&Kinds {
        tag: "type",
        kinds: &[
            kind("pytest", &["pytest"], &[], "pytest, on this machine"),
            kind("lisa", &["lisa"], &[], "LISA, against a booted machine"),
        ],
        loose: false,
    }),
};

static PYTEST: Table = Table {
    id: "pytest",
    path: "test-suites.NAME.pytest",
    doc: "",
    keys: &[
        key("working-dir", FOLDER, "where it runs"),
        key("test-paths", TEXTS, "files of tests, or patterns of such"),
        key("extra-args", TEXTS, "arguments"),
        key(
            "install",
            Form::Words(&["pyproject", "requirements", "none"]),
            "what says which modules it needs; all but `none` need `working-dir`",
        ),
    ],
    kinds: None,
};

static LISA: Table = Table {
    id: "lisa",
    path: "test-suites.NAME.lisa",
    doc: "",
    keys: &[
        key("framework", Form::Table(&GIT), "where LISA itself comes from").required(),
        key("test-cases", TEXTS, "what to run").required(),
        key("pip-pre-install", TEXTS, "modules to install first"),
        key("pip-extras", TEXTS, "extras of LISA"),
        key("extra-args", TEXTS, "arguments"),
    ],
    kinds: None,
};

static GIT: Table = Table {
    id: "git-source",
    path: "test-suites.NAME.lisa.framework",
    doc: "",
    keys: &[
        key("git-url", TEXT, "address of the repository").required(),
        key("ref", Form::Text(&WHOLE_COMMIT), "the commit").required(),
    ],
    kinds: None,
};

static KEEL: Table = Table {
    id: "keel",
    path: "keel",
    doc: "Keel's own settings; each is said once in a tree.",
    keys: &[
        ours(
            "merge",
            Form::Words(&["explicit", "azldev"]),
            "what a later layer says wins, always (`explicit`), or only if it is not empty, 0 or false (`azldev`). \
             Default: `explicit` in a project whose main file is `keel.toml`, `azldev` in one of `azldev.toml`",
        )
        .merge(Merge::Private),
        ours("base", Form::Table(&BASE), "the tree that this one stands on").merge(Merge::Private),
        ours(
            "macros",
            Form::List(&FOLDER),
            "RPM macro files of the distribution, read in this order, over those of rpm itself",
        )
        .merge(Merge::Once),
        ours(
            "base-requires",
            Form::List(&Form::Text(&CAPABILITY)),
            "what every build root has, besides what its SPEC requires",
        )
        .merge(Merge::Once),
        ours("users", FOLDER, "the registry of users and groups, with their fixed numbers").merge(Merge::Once),
        ours("stage0", Form::Table(&STAGE0), "the borrowed root"),
        ours("package-checks", Form::Table(&PACKAGE_CHECKS), "how bad what checks of packages find is here"),
    ],
    kinds: None,
};

static PACKAGE_CHECKS: Table = Table {
    id: "project-package-checks",
    path: "keel.package-checks",
    doc: "",
    keys: &[ours(
        "severity",
        Form::Map(&Form::Words(&["error", "warning", "info", "off"])),
        "severities by rule, in place of those that `keel package rules` tells; an `error` stops builds and repositories",
    )
    .merge(Merge::Once)],
    kinds: None,
};

static STAGE0: Table = Table {
    id: "stage0",
    path: "keel.stage0",
    doc: "The borrowed root that lends compiler and tools. Nothing of it is ever shipped.",
    keys: &[
        ours("suite", TEXT, "Debian's code name: `trixie`").merge(Merge::Once),
        ours("packages", Form::List(&Form::Text(&DEBIAN_PACKAGE)), "what is installed in it")
            .distinct()
            .merge(Merge::Once),
        ours(
            "libc-dev",
            Form::List(&Form::Text(&DEBIAN_PACKAGE)),
            "taken out of it again, and lent only to a component with `bootstrap-libc`",
        )
        .distinct()
        .merge(Merge::Once),
        ours(
            "lends",
            Form::Map(&Form::OneOrMore(&Form::Text(&ANY))),
            "capability → Debian packages: what a `BuildRequires` may take from stage0: `make = \"make\"`, `python3 = \
             [\"python3\"]`. A capability that is lent is not looked for among the project's components",
        )
        .merge(Merge::Once),
    ],
    kinds: None,
};

static BASE: Table = Table {
    id: "base",
    path: "keel.base",
    doc: "A tree stands on another one: it has its components, groups, images, distributions and settings, and adds its own. \
          What the base has is changed only by an entry that says `override`. Only a tree's own components are built where \
          no names are given.",
    keys: &[
        ours("path", FOLDER, "the base's folder"),
        ours(
            "git",
            Form::Text(&ORIGIN_URL),
            "or: the address of its repository, `https://…` or `file:///…`",
        ),
        ours(
            "commit",
            Form::Text(&WHOLE_COMMIT),
            "and the commit; required with `git`",
        ),
        ours(
            "repository",
            Form::Text(&ORIGIN_URL),
            "where the packages of the base may be had: what a `.repo` file calls `baseurl`, `https://…` or `file:///…`, `$basearch` \
             is the architecture. What it has of the base is not built",
        ),
        ours(
            "gpg-key",
            Form::Text(&GPG_KEY),
            "the public key that signed the repository and its packages: a file of this tree, or else of the base, or `file:///…`; \
             required with `repository`",
        ),
    ],
    kinds: None,
};
