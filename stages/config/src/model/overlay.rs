//! Overlays: changes to SPECs and the files beside them.

use super::{
    Form, Kind, Kinds, Table,
    component::{TEXT, TEXTS},
    key, kind, our_kind, ours,
    pattern::{ARCHIVE, PATH, RELATIVE, URL},
};

pub(crate) static OVERLAY: Table = Table {
    id: "overlay",
    path: "components.NAME.overlays[]",
    doc: "An overlay that changes nothing is an error. `package` names a subpackage as the section's header does; without it, \
          the main package is meant. `file` counts from the SPEC's folder.",
    keys: &[
        key("type", TEXT, "what it does").required(),
        key("description", TEXT, "why"),
        key(
            "file",
            Form::Text(&RELATIVE),
            "a file beside the SPEC, or a pattern of such",
        ),
        key(
            "archive",
            Form::Text(&ARCHIVE),
            "the archive among the sources in which `file` lies",
        ),
        key(
            "section",
            TEXT,
            "a section, with its `%`; without it, the whole file",
        ),
        key("package", TEXT, "a subpackage"),
        key("tag", TEXT, "a tag, without its colon"),
        key(
            "value",
            Form::TextOrFlag,
            "its value; for `spec-set-bcond` true or false: is it on unless a build says otherwise?",
        ),
        key("regex", TEXT, "a regular expression (RE2)"),
        key(
            "replacement",
            TEXT,
            "what takes the place of a match, taken as it is; or a new file name",
        ),
        key("lines", TEXTS, "lines of text"),
        key(
            "source",
            Form::Text(&PATH),
            "the file to add; counts from the file that says it",
        ),
        key(
            "metadata",
            Form::Table(&METADATA),
            "why it is there, for machines",
        ),
        ours("name", TEXT, "a macro or build condition"),
    ],
    kinds: Some(&Kinds {
        tag: "type",
        kinds: OVERLAY_KINDS,
        loose: true,
    }),
};

static OVERLAY_KINDS: &[Kind] = &[
    kind(
        "spec-add-tag",
        &["tag", "value"],
        &["package"],
        "a tag at the end of the preamble or of a `%package`",
    ),
    kind(
        "spec-insert-tag",
        &["tag", "value"],
        &["package"],
        "a tag after the last one of its family",
    ),
    kind(
        "spec-set-tag",
        &["tag", "value"],
        &["package"],
        "a tag, changed where it is there, added where not",
    ),
    kind(
        "spec-update-tag",
        &["tag", "value"],
        &["package"],
        "every tag of that name, changed",
    ),
    kind(
        "spec-remove-tag",
        &["tag"],
        &["package", "value"],
        "every tag of that name (and value), removed",
    ),
    kind(
        "spec-prepend-lines",
        &["lines"],
        &["section", "package"],
        "lines at the beginning",
    ),
    kind(
        "spec-append-lines",
        &["lines"],
        &["section", "package"],
        "lines at the end",
    ),
    kind(
        "spec-search-replace",
        &["regex"],
        &["section", "package", "replacement"],
        "a pattern replaced, line by line",
    ),
    kind(
        "spec-remove-section",
        &["section"],
        &["package"],
        "a section removed",
    ),
    kind(
        "spec-remove-subpackage",
        &["package"],
        &[],
        "all sections of a subpackage removed",
    ),
    kind(
        "patch-add",
        &["source"],
        &["file"],
        "a patch added, and named in the SPEC",
    ),
    kind(
        "patch-remove",
        &["file"],
        &[],
        "patches removed, and no longer named in the SPEC",
    ),
    kind(
        "file-prepend-lines",
        &["file", "lines"],
        &[],
        "lines before a file's own",
    ),
    kind(
        "file-search-replace",
        &["file", "regex"],
        &["replacement", "archive"],
        "a pattern replaced in files",
    ),
    kind("file-add", &["file", "source"], &[], "a file added"),
    kind("file-remove", &["file"], &["archive"], "files removed"),
    kind(
        "file-rename",
        &["file", "replacement"],
        &[],
        "a file renamed in its folder",
    ),
    our_kind(
        "spec-set-macro",
        &["name", "value"],
        &[],
        "the value of a `%global` or `%define`",
    ),
    our_kind(
        "spec-set-bcond",
        &["name", "value"],
        &[],
        "the default of a `%bcond`",
    ),
    our_kind(
        "spec-replace-section",
        &["section", "lines"],
        &["package"],
        "a section's content; its header stays",
    ),
];

pub(crate) static METADATA: Table = Table {
    id: "metadata",
    path: "components.NAME.overlays[].metadata",
    doc: "The same keys stand in `[metadata]` of a file of overlays and in `[component-groups.NAME.metadata]`.",
    keys: &[
        key(
            "category",
            Form::Words(&[
                "upstream-backport",
                "azl-pruning",
                "azl-compatibility",
                "azl-temp-workaround",
                "azl-branding-policy",
                "azl-disable-flaky-tests",
                "azl-disable-unsupported-tests",
                "azl-security-compliance",
                "azl-release-management",
                "azl-platform-adaptation",
                "pruning",
                "compatibility",
                "temp-workaround",
                "branding-policy",
                "disable-flaky-tests",
                "disable-unsupported-tests",
                "security-compliance",
                "release-management",
                "platform-adaptation",
            ]),
            "which kind of change; without `azl-`, the words are Keel's own",
        )
        .required(),
        key(
            "upstream-status",
            Form::Words(&[
                "upstreamed",
                "upstreamable",
                "needs-upstream-hook",
                "inapplicable",
                "unknown",
            ]),
            "where upstream stands",
        )
        .required(),
        key(
            "commits",
            Form::Tables(&ADDRESS),
            "commits; `upstream-backport` needs one",
        ),
        key("bugs", Form::Tables(&ADDRESS), "bugs"),
    ],
    kinds: None,
};

static ADDRESS: Table = Table {
    id: "address",
    path: "components.NAME.overlays[].metadata.commits[]",
    doc: "",
    keys: &[key("url", Form::Text(&URL), "its address").required()],
    kinds: None,
};

pub(crate) static OVERLAY_FILE: Table = Table {
    id: "overlay-file",
    path: "",
    doc: "A file `NAME.overlay.toml`, which `overlay-files` names: one change, told by one `[metadata]` for all of its \
          overlays. An overlay has no `metadata` of its own here, and `source` counts from this file.",
    keys: &[
        key("$schema", TEXT, "ignored; editors read it"),
        key("metadata", Form::Table(&METADATA), "why the change is there").required(),
        key("overlays", Form::Tables(&OVERLAY), "what changes; at least one").required(),
    ],
    kinds: None,
};
