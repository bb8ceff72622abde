//! `[[components.NAME.overlays]]`: small declared changes to a SPEC and to the files beside it.
//!
//! The types and their rules are azldev's; [`Change::SetMacro`], [`Change::SetBcond`] and [`Change::ReplaceSection`] are
//! Keel's own. What they do to bytes is the work of the spec stage.

use std::path::PathBuf;

use serde::Serialize;

use crate::Location;

/// One overlay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Overlay {
    /// What it changes.
    #[serde(flatten)]
    pub change: Change,
    /// Why, in its author's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The archive among the sources in which `file` lies, instead of beside the SPEC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive: Option<String>,
    /// Why it is there and where it comes from, for machines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// Where it is written.
    pub defined_at: Location,
}

impl Overlay {
    /// Does it change the SPEC or what lies beside it, and not what is in an archive?
    pub fn is_beside(&self) -> bool {
        self.archive.is_none()
    }
}

/// What an overlay changes. `package`: a name as the section's header says it (`devel`, or `foo` of `-n foo`); none is
/// the main package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Change {
    /// A tag at the end of the preamble or of a `%package`.
    SpecAddTag {
        /// Subpackage.
        package: Option<String>,
        /// The tag, without its colon.
        tag: String,
        /// Its value.
        value: String,
    },
    /// A tag after the last one of its family.
    SpecInsertTag {
        /// Subpackage.
        package: Option<String>,
        /// The tag, without its colon.
        tag: String,
        /// Its value.
        value: String,
    },
    /// A tag changed where it is there, added where it is not.
    SpecSetTag {
        /// Subpackage.
        package: Option<String>,
        /// The tag, without its colon.
        tag: String,
        /// Its value.
        value: String,
    },
    /// Every tag of that name changed.
    SpecUpdateTag {
        /// Subpackage.
        package: Option<String>,
        /// The tag, without its colon.
        tag: String,
        /// Its value.
        value: String,
    },
    /// Every tag of that name (and value, if there is one) removed.
    SpecRemoveTag {
        /// Subpackage.
        package: Option<String>,
        /// The tag, without its colon.
        tag: String,
        /// Only where it has this value, whatever its case.
        value: Option<String>,
    },
    /// Lines at the beginning of a section, or of the file.
    SpecPrependLines {
        /// The section's name with its `%`; none: the whole file.
        section: Option<String>,
        /// Subpackage.
        package: Option<String>,
        /// The lines.
        lines: Vec<String>,
    },
    /// Lines at the end of a section, or of the file.
    SpecAppendLines {
        /// The section's name with its `%`; none: the whole file.
        section: Option<String>,
        /// Subpackage.
        package: Option<String>,
        /// The lines.
        lines: Vec<String>,
    },
    /// A pattern replaced, line by line.
    SpecSearchReplace {
        /// The section's name with its `%`; none: all sections.
        section: Option<String>,
        /// Subpackage.
        package: Option<String>,
        /// The pattern, in Go's (RE2's) syntax.
        regex: String,
        /// What takes its place, taken as it is.
        replacement: String,
    },
    /// A section removed, with its header.
    SpecRemoveSection {
        /// The section's name with its `%`.
        section: String,
        /// Subpackage.
        package: Option<String>,
    },
    /// All sections of a subpackage removed.
    SpecRemoveSubpackage {
        /// Subpackage.
        package: String,
    },
    /// A patch added: the file, and what the SPEC says of it.
    PatchAdd {
        /// The file to copy. Absolute.
        source: PathBuf,
        /// Its name beside the SPEC, if it is another one.
        file: Option<String>,
    },
    /// Patches removed: what the SPEC says of them, and the files.
    PatchRemove {
        /// Their names; a pattern.
        file: String,
    },
    /// Lines before a file's own.
    FilePrependLines {
        /// Names; a pattern.
        file: String,
        /// The lines.
        lines: Vec<String>,
    },
    /// A pattern replaced in files.
    FileSearchReplace {
        /// Names; a pattern.
        file: String,
        /// The pattern, in Go's (RE2's) syntax.
        regex: String,
        /// What takes its place, taken as it is.
        replacement: String,
    },
    /// A file added beside the SPEC.
    FileAdd {
        /// Its name there.
        file: String,
        /// The file to copy. Absolute.
        source: PathBuf,
    },
    /// Files removed.
    FileRemove {
        /// Names; a pattern.
        file: String,
    },
    /// A file that gets another name in its folder.
    FileRename {
        /// Its name; a pattern that fits one file.
        file: String,
        /// The new name.
        replacement: String,
    },
    /// Keel's own: the value of a macro that the SPEC sets with `%global` or `%define`.
    SpecSetMacro {
        /// The macro's name.
        name: String,
        /// Its body.
        value: String,
    },
    /// Keel's own: whether a `%bcond` of the SPEC is on unless a build says otherwise.
    SpecSetBcond {
        /// Its name.
        name: String,
        /// On or off.
        value: bool,
    },
    /// Keel's own: the content of a section; its header stays.
    SpecReplaceSection {
        /// The section's name with its `%`.
        section: String,
        /// Subpackage.
        package: Option<String>,
        /// The lines.
        lines: Vec<String>,
    },
}

impl Change {
    /// The file beside the SPEC that it is about, or the pattern of their names.
    pub fn file(&self) -> Option<&String> {
        match self {
            Self::PatchAdd { file, .. } => file.as_ref(),
            Self::PatchRemove { file }
            | Self::FilePrependLines { file, .. }
            | Self::FileSearchReplace { file, .. }
            | Self::FileAdd { file, .. }
            | Self::FileRemove { file }
            | Self::FileRename { file, .. } => Some(file),
            _ => None,
        }
    }
}

/// `overlays.metadata`: why an overlay is there, in words that a program can count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Metadata {
    /// Which kind of change: one of a fixed list.
    pub category: String,
    /// Where upstream stands: one of a fixed list.
    pub upstream_status: String,
    /// Addresses of commits.
    pub commits: Vec<String>,
    /// Addresses of bugs.
    pub bugs: Vec<String>,
}

/// How overlays see a SPEC (`overlay-semantics`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Semantics {
    /// Line by line, with azldev's exact results.
    #[default]
    Lines,
    /// As rpm reads it: `%if`, continued lines, sections that macros make.
    Structural,
}

/// `release.calculation`: who counts up a rendered SPEC's Release.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Calculation {
    /// rpmautospec where the SPEC asks for it, otherwise as [`Static`](Self::Static).
    #[default]
    Auto,
    /// rpmautospec.
    Autorelease,
    /// The number in the SPEC plus the number of changes since it was taken over.
    Static,
    /// Nobody: it stays as it is.
    Manual,
}
