//! `[scripts]` of an image definition.

use super::{
    Form, Merge, Table,
    component::{TEXT, TEXTS},
    ours,
    pattern::{INTERPRETER, PATH, SCRIPT},
};

pub(super) static SCRIPTS: Table = Table {
    id: "scripts",
    path: "scripts",
    doc: "Scripts that change the image's file system, after packages and `[os]`, one after the other. They run in a sandbox whose root \
          is the image: as root there, without a network, for an hour at most, with `SOURCE_DATE_EPOCH` as the image's time. \
          What they change is in the image, and in `manifest.json` (`changed`, as `script NAME`). \
          [Define an image](../how-to/define-an-image.md#scripts) has the rules.",
    keys: &[
        ours(
            "post-customization",
            Form::Tables(&SCRIPT_TABLE),
            "run first, in the order given",
        )
        .merge(Merge::By("name")),
        ours(
            "finalize-customization",
            Form::Tables(&SCRIPT_TABLE),
            "run after all others, those of images that inherit this one, too",
        )
        .merge(Merge::By("name")),
    ],
    kinds: None,
};

pub(crate) static SCRIPT_TABLE: Table = Table {
    id: "script",
    path: "scripts.post-customization[]",
    doc: "A script; entries of `finalize-customization` have the same keys.",
    keys: &[
        ours(
            "name",
            Form::Text(&SCRIPT),
            "what it is called; once in `[scripts]`",
        )
        .required(),
        ours(
            "path",
            Form::Text(&PATH),
            "a file of the tree; either this or `content`",
        ),
        ours("content", TEXT, "its text"),
        ours(
            "interpreter",
            Form::Text(&INTERPRETER),
            "the program of the image that runs it: an absolute path, or a name that is looked for in `PATH`",
        )
        .default("/bin/sh"),
        ours("arguments", TEXTS, "what it is called with"),
        ours(
            "environment-variables",
            Form::Map(&TEXT),
            "variables besides `PATH`, `HOME`, `LANG`, `TZ` and `SOURCE_DATE_EPOCH`, or in their place",
        ),
    ],
    kinds: None,
};
