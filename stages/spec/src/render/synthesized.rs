//! Overlays that nobody wrote: they load the macros file, skip `%check` and say who wrote the SPEC. Rules R30, R34, R35.
//!
//! Their texts are a file format: rendered SPECs are compared byte by byte.

use keel_config::{
    Location,
    overlay::{Change, Overlay},
};

/// The number of the macros file's `Source` tag.
pub const SOURCE_NUMBER: u64 = 9999;

/// Two overlays: the SPEC loads the macros file, and names it as a source.
pub fn load_macros(file: &str, source: u64) -> [Overlay; 2] {
    let lines = [
        "# All Azure Linux specs with overlays include this macro file, irrespective of whether new macros have been added.",
        &format!("%{{load:%{{_sourcedir}}/{file}}}"),
        "",
    ];
    [
        prepended(None, &lines),
        made(Change::SpecInsertTag {
            package: None,
            tag: format!("Source{source}"),
            value: file.to_owned(),
        }),
    ]
}

/// `%check` ends before it begins.
pub fn skip_check(reason: &str) -> Overlay {
    prepended(
        Some("%check"),
        &[&format!("# Check section disabled: {reason}"), "exit 0", ""],
    )
}

/// What the first lines of every rendered SPEC say.
pub const HEADER: [&str; 2] = [
    "# This spec file has been modified by azldev to include build configuration overlays.",
    "# Do not edit manually; changes may be overwritten.",
];

/// The first lines of every rendered SPEC.
pub fn header() -> Overlay {
    let [first, second] = HEADER;
    prepended(None, &[first, second, ""])
}

fn prepended(section: Option<&str>, lines: &[&str]) -> Overlay {
    made(Change::SpecPrependLines {
        section: section.map(str::to_owned),
        package: None,
        lines: lines.iter().map(|line| (*line).to_owned()).collect(),
    })
}

fn made(change: Change) -> Overlay {
    Overlay {
        change,
        description: None,
        archive: None,
        metadata: None,
        defined_at: Location::file(""),
    }
}
