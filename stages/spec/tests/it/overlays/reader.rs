//! Overlays from tables, as the configuration writes them.
//!
//! To be replaced by `keel_config`'s own reader as soon as that reads them.

use std::path::Path;

use keel_config::{
    Location,
    overlay::{Change, Overlay},
};
use toml::{Table, Value};

pub fn overlay(table: &Table, sources: &Path) -> Overlay {
    let optional = |key: &str| table.get(key).and_then(Value::as_str).map(str::to_owned);
    Overlay {
        change: change(table, sources),
        description: optional("description"),
        archive: optional("archive"),
        metadata: None,
        defined_at: Location::line("case.toml", 7),
    }
}

fn change(table: &Table, sources: &Path) -> Change {
    let optional = |key: &str| table.get(key).and_then(Value::as_str).map(str::to_owned);
    let required = |key: &str| optional(key).unwrap_or_else(|| panic!("an overlay has no {key}"));
    let lines = || {
        let lines = table["lines"].as_array().unwrap().iter();
        lines
            .map(|line| line.as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let (package, section) = (optional("package"), optional("section"));
    let tag = || (required("tag"), required("value"));
    match required("type").as_str() {
        "spec-add-tag" => {
            let (tag, value) = tag();
            Change::SpecAddTag { package, tag, value }
        }
        "spec-insert-tag" => {
            let (tag, value) = tag();
            Change::SpecInsertTag { package, tag, value }
        }
        "spec-set-tag" => {
            let (tag, value) = tag();
            Change::SpecSetTag { package, tag, value }
        }
        "spec-update-tag" => {
            let (tag, value) = tag();
            Change::SpecUpdateTag { package, tag, value }
        }
        "spec-remove-tag" => Change::SpecRemoveTag {
            package,
            tag: required("tag"),
            value: optional("value"),
        },
        "spec-prepend-lines" => Change::SpecPrependLines {
            section,
            package,
            lines: lines(),
        },
        "spec-append-lines" => Change::SpecAppendLines {
            section,
            package,
            lines: lines(),
        },
        "spec-search-replace" => Change::SpecSearchReplace {
            section,
            package,
            regex: required("regex"),
            replacement: required("replacement"),
        },
        "spec-remove-section" => Change::SpecRemoveSection {
            section: required("section"),
            package,
        },
        "spec-remove-subpackage" => Change::SpecRemoveSubpackage {
            package: required("package"),
        },
        "patch-add" => Change::PatchAdd {
            source: sources.join(required("source")),
            file: optional("file"),
        },
        "patch-remove" => Change::PatchRemove {
            file: required("file"),
        },
        "file-prepend-lines" => Change::FilePrependLines {
            file: required("file"),
            lines: lines(),
        },
        "file-search-replace" => Change::FileSearchReplace {
            file: required("file"),
            regex: required("regex"),
            replacement: required("replacement"),
        },
        "file-add" => Change::FileAdd {
            file: required("file"),
            source: sources.join(required("source")),
        },
        "file-remove" => Change::FileRemove {
            file: required("file"),
        },
        "file-rename" => Change::FileRename {
            file: required("file"),
            replacement: required("replacement"),
        },
        "spec-set-macro" => Change::SpecSetMacro {
            name: required("name"),
            value: required("value"),
        },
        "spec-set-bcond" => Change::SpecSetBcond {
            name: required("name"),
            value: table["value"].as_bool().unwrap(),
        },
        "spec-replace-section" => Change::SpecReplaceSection {
            section: required("section"),
            package,
            lines: lines(),
        },
        other => panic!("no overlay {other}"),
    }
}
