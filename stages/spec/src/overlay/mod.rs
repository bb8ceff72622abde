//! Overlays: small declared changes to a SPEC and to the files beside it, applied.
//!
//! Purpose: the same bytes as azldev makes of the same overlays ([`Semantics::Lines`]), or what their author meant
//! ([`Semantics::Structural`]).
//!
//! Input: a SPEC ([`Document`]) and the folder that it is in ([`Folder`]); [`Overlay`]s. Output: both changed, and a
//! [`Record`] of each overlay: which lines of which file.
//!
//! 1. Overlays of archives come first, by archive ([`archive`]): extract, change, pack again.
//! 2. The others follow in their order. A change of the SPEC is made line by line (`lines.rs`; `tags.rs`, `replace.rs`, `removal.rs`, `patches.rs`)
//!    or over the syntax tree (`structural.rs`, `removed.rs`); Keel's own changes (`own.rs`) always over the tree. A
//!    change of other files is made in the folder (`files.rs`).
//!
//! Invariants:
//! - An overlay that changes nothing is an error, which shows the overlay and what is nearest to what it looks for.
//! - Bytes that an overlay is not about stay, also those that are not UTF-8. (Line by line, the last line gets an end.)
//! - Nothing outside the folder is written, and nothing read but an overlay's `source`; links are not followed.
//!
//! Never: macros expanded; a process; the network.

pub mod archive;
pub(crate) mod document;
mod edits;
mod failure;
mod files;
pub mod folder;
mod lines;
mod own;
mod patches;
mod removal;
mod removed;
mod replace;
mod structural;
mod tags;

use keel_config::{
    overlay::{Change, Overlay, Semantics},
    re2::Pattern,
};
use serde::Serialize;

pub use document::{Document, Hunk, Written};
pub use failure::{Error, Kind};
pub use files::Action;
pub use folder::Folder;

use failure::Failure;
use lines::Lines;
use structural::Structure;

use crate::{macros::text, syntax::Tree};

/// What an overlay did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Record {
    /// Its kind: `spec-add-tag`.
    pub overlay: &'static str,
    /// Why, in its author's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where it is written; none for one that Keel made up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub defined_at: Option<keel_config::Location>,
    /// Lines of the SPEC.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub spec: Vec<Hunk>,
    /// Other files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<Action>,
}

impl Record {
    fn of(overlay: &Overlay) -> Self {
        let at = &overlay.defined_at;
        Self {
            overlay: kind_of(&overlay.change),
            description: overlay.description.clone(),
            defined_at: Some(at.clone()).filter(|at| !at.file.as_os_str().is_empty()),
            spec: Vec::new(),
            files: Vec::new(),
        }
    }
}

/// Applies an overlay to a SPEC, which messages call `shown`; `by` is what its lines are marked with.
///
/// Of `patch-add` and `patch-remove`, it is the half that is about the SPEC. An overlay that is about other files alone is
/// an error.
pub fn apply_to_spec(
    document: &mut Document,
    shown: &str,
    overlay: &Overlay,
    semantics: Semantics,
    by: usize,
) -> Result<Record, Error> {
    writable(&overlay.change).map_err(|failure| failure.of(overlay))?;
    let hunks = match semantics {
        Semantics::Lines if !is_own(&overlay.change) => by_lines(document, shown, overlay, by),
        _ => by_structure(document, shown, overlay, by),
    };
    let spec = hunks.map_err(|failure| failure.of(overlay))?;
    Ok(Record {
        spec,
        ..Record::of(overlay)
    })
}

/// Applies overlays in their order to a SPEC and to the folder that it is in. Those of archives are left out.
///
/// Records come in the order of the overlays; the SPEC is not written.
pub fn apply<'o>(
    document: &mut Document,
    shown: &str,
    folder: &Folder,
    overlays: impl IntoIterator<Item = &'o Overlay>,
    semantics: Semantics,
) -> Result<Vec<Record>, Error> {
    let mut records = Vec::new();
    for overlay in overlays.into_iter().filter(|overlay| overlay.archive.is_none()) {
        let by = records.len();
        let mut record = match changes_spec(&overlay.change) {
            true => apply_to_spec(document, shown, overlay, semantics, by)?,
            false => Record::of(overlay),
        };
        if changes_files(&overlay.change) {
            record.files =
                files::apply(folder, &overlay.change, semantics).map_err(|failure| failure.of(overlay))?;
        }
        records.push(record);
    }
    Ok(records)
}

fn by_lines(
    document: &mut Document,
    shown: &str,
    overlay: &Overlay,
    by: usize,
) -> Result<Vec<Hunk>, Failure> {
    let lines = Lines::of(document, shown);
    let of = |name: &Option<String>| name.clone().unwrap_or_default();
    let splices = match &overlay.change {
        Change::SpecAddTag { package, tag, value } => lines.add_tag(&of(package), tag, value),
        Change::SpecInsertTag { package, tag, value } => lines.insert_tag(&of(package), tag, value),
        Change::SpecSetTag { package, tag, value } => lines.set_tag(&of(package), tag, value),
        Change::SpecUpdateTag { package, tag, value } => lines.update_tag(&of(package), tag, value),
        Change::SpecRemoveTag { package, tag, value } => {
            lines.remove_tag(&of(package), tag, value.as_deref())
        }
        Change::SpecPrependLines {
            section,
            package,
            lines: with,
        } => match of(section).as_str() {
            "" => Ok(vec![document::Splice::insert(0, with.clone())]),
            section => lines.prepend(section, &of(package), with),
        },
        Change::SpecAppendLines {
            section,
            package,
            lines: with,
        } => match of(section).as_str() {
            "" => Ok(vec![document::Splice::insert(lines.lines.len(), with.clone())]),
            section => lines.append(section, &of(package), with),
        },
        Change::SpecSearchReplace {
            section,
            package,
            regex,
            replacement,
        } => {
            let pattern = pattern(regex)?;
            lines.search_replace(&of(section), &of(package), (&pattern, regex), replacement)
        }
        Change::SpecRemoveSection { section, package } => lines.remove_section(section, &of(package)),
        Change::SpecRemoveSubpackage { package } => lines.remove_package(package),
        Change::PatchAdd { source, file } => lines.add_patch(&files::patch_name(source, file.as_deref())?),
        Change::PatchRemove { file } => lines.remove_patches(&files::glob(file)?, file),
        _ => Err(Failure::new(Kind::NotPossible, "this is no change of the SPEC")),
    }?;
    let hunks = document.splice(splices, by);
    document.end();
    Ok(hunks)
}

fn by_structure(
    document: &mut Document,
    shown: &str,
    overlay: &Overlay,
    by: usize,
) -> Result<Vec<Hunk>, Failure> {
    let text = document.text();
    let tree = Tree::parse(&text);
    let structure = Structure::of(&tree, shown);
    let edits = match &overlay.change {
        Change::PatchAdd { source, file } => {
            structure.add_patch(&files::patch_name(source, file.as_deref())?)
        }
        Change::PatchRemove { file } => structure.remove_patches(&files::glob(file)?, file),
        change => structure.change(change),
    }?;
    let hunks = document.edit(&text, edits, by)?;
    match document.text() == text {
        true => Err(Failure::new(Kind::NothingChanged, "the SPEC says that already")),
        false => Ok(hunks),
    }
}

fn pattern(text: &str) -> Result<Pattern, Failure> {
    Pattern::new(text).map_err(|error| {
        let at = match error.column {
            0 => String::new(),
            column => format!(" (at character {column})"),
        };
        Failure::new(Kind::Pattern, format!("`{text}` is no pattern{at}")).because(error.what)
    })
}

/// Characters that stand for bytes in a SPEC's text must come from the SPEC.
fn writable(change: &Change) -> Result<(), Failure> {
    let texts = serde_json::to_string(change).unwrap_or_default();
    match text::has_stand_ins(&texts) {
        true => Err(Failure::new(
            Kind::NotPossible,
            "it has a character of the private plane U+10FF00 to U+10FFFF",
        )),
        false => Ok(()),
    }
}

fn is_own(change: &Change) -> bool {
    matches!(
        change,
        Change::SpecSetMacro { .. } | Change::SpecSetBcond { .. } | Change::SpecReplaceSection { .. }
    )
}

/// Is the SPEC, or a part of what it says, changed?
pub fn changes_spec(change: &Change) -> bool {
    !matches!(
        change,
        Change::FilePrependLines { .. }
            | Change::FileSearchReplace { .. }
            | Change::FileAdd { .. }
            | Change::FileRemove { .. }
            | Change::FileRename { .. }
    )
}

/// Are files beside the SPEC changed?
pub fn changes_files(change: &Change) -> bool {
    !changes_spec(change) || matches!(change, Change::PatchAdd { .. } | Change::PatchRemove { .. })
}

/// The value of the last Release in the preamble, line by line.
pub fn release(document: &Document) -> Option<String> {
    tag_values(document, "Release")
        .pop()
        .filter(|value| !value.is_empty())
}

/// The value of the first tag of a name in the preamble, line by line, that has one.
pub fn first_tag(document: &Document, name: &str) -> Option<String> {
    let mut values = tag_values(document, name).into_iter();
    values.find(|value| !value.is_empty())
}

fn tag_values(document: &Document, name: &str) -> Vec<String> {
    let lines = Lines::of(document, "");
    let tags = lines.tags();
    let tags = tags.filter(|tag| tag.package.is_empty() && lines::same_letters(tag.name, name));
    tags.map(|tag| tag.value.to_owned()).collect()
}

/// What the configuration calls a change.
pub fn kind_of(change: &Change) -> &'static str {
    match change {
        Change::SpecAddTag { .. } => "spec-add-tag",
        Change::SpecInsertTag { .. } => "spec-insert-tag",
        Change::SpecSetTag { .. } => "spec-set-tag",
        Change::SpecUpdateTag { .. } => "spec-update-tag",
        Change::SpecRemoveTag { .. } => "spec-remove-tag",
        Change::SpecPrependLines { .. } => "spec-prepend-lines",
        Change::SpecAppendLines { .. } => "spec-append-lines",
        Change::SpecSearchReplace { .. } => "spec-search-replace",
        Change::SpecRemoveSection { .. } => "spec-remove-section",
        Change::SpecRemoveSubpackage { .. } => "spec-remove-subpackage",
        Change::PatchAdd { .. } => "patch-add",
        Change::PatchRemove { .. } => "patch-remove",
        Change::FilePrependLines { .. } => "file-prepend-lines",
        Change::FileSearchReplace { .. } => "file-search-replace",
        Change::FileAdd { .. } => "file-add",
        Change::FileRemove { .. } => "file-remove",
        Change::FileRename { .. } => "file-rename",
        Change::SpecSetMacro { .. } => "spec-set-macro",
        Change::SpecSetBcond { .. } => "spec-set-bcond",
        Change::SpecReplaceSection { .. } => "spec-replace-section",
    }
}
