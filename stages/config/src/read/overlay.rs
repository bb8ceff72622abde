//! Reading overlays, inline and in files of their own.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use crate::{
    glob, includes, model,
    model::is_plain_name,
    overlay::{Change, Metadata, Overlay},
    re2, strict,
    table::{Problems, Table, Text},
    tree::{self, Sources, Value},
};

/// `[metadata]`; what is wrong with it is reported.
pub(crate) fn metadata(table: &Table<'_>) -> Metadata {
    let addresses = |key| -> Vec<String> {
        let tables = table.tables(key);
        tables
            .iter()
            .filter_map(|address| address.string("url"))
            .collect()
    };
    let metadata = Metadata {
        category: table.string_or_empty("category"),
        upstream_status: table.string_or_empty("upstream-status"),
        commits: addresses("commits"),
        bugs: addresses("bugs"),
    };
    if metadata.category == "upstream-backport" {
        if metadata.commits.is_empty() {
            let message = format!(
                "{} is a backport and needs `commits`: what was taken over?",
                table.title()
            );
            table.report(table.key_at("category"), message);
        }
        if let Some(status) = table.text("upstream-status")
            && !matches!(status.value, "upstreamed" | "upstreamable")
        {
            let message = format!(
                "a backport is `upstreamed` or at least `upstreamable`, not `{}`",
                status.value
            );
            table.report(status.at, message);
        }
    }
    metadata
}

/// One overlay; none if it cannot be.
pub(crate) fn overlay(table: &Table<'_>) -> Option<Overlay> {
    let archive = table.text("archive");
    let kind = table.text("type")?.value;
    if let Some(archive) = archive
        && !matches!(kind, "file-remove" | "file-search-replace")
    {
        let message = format!("an overlay of type `{kind}` cannot change an archive");
        table.report(archive.at, message);
    }
    Some(Overlay {
        change: change(table, kind)?,
        description: table.string("description"),
        archive: archive.map(|archive| archive.value.to_owned()),
        metadata: table.table("metadata").map(|table| metadata(&table)),
        defined_at: table.location(),
    })
}

fn change(table: &Table<'_>, kind: &str) -> Option<Change> {
    let text = |key| table.string(key);
    let regex = || text_that_is(table, "regex", wrong_regex);
    let names = || text_that_is(table, "file", wrong_glob);
    let package = text("package");
    let section = text("section");
    let replacement = table.string_or_empty("replacement");
    let lines = table.texts("lines");
    let tag = text("tag");
    Some(match kind {
        "spec-add-tag" => Change::SpecAddTag {
            package,
            tag: tag?,
            value: text("value")?,
        },
        "spec-insert-tag" => Change::SpecInsertTag {
            package,
            tag: tag?,
            value: text("value")?,
        },
        "spec-set-tag" => Change::SpecSetTag {
            package,
            tag: tag?,
            value: text("value")?,
        },
        "spec-update-tag" => Change::SpecUpdateTag {
            package,
            tag: tag?,
            value: text("value")?,
        },
        "spec-remove-tag" => Change::SpecRemoveTag {
            package,
            tag: tag?,
            value: text("value"),
        },
        "spec-prepend-lines" => Change::SpecPrependLines {
            section,
            package,
            lines,
        },
        "spec-append-lines" => Change::SpecAppendLines {
            section,
            package,
            lines,
        },
        "spec-search-replace" => Change::SpecSearchReplace {
            section,
            package,
            regex: regex()?,
            replacement,
        },
        "spec-remove-section" => Change::SpecRemoveSection {
            section: section?,
            package,
        },
        "spec-remove-subpackage" => {
            if section.is_some() {
                let message =
                    "an overlay of type `spec-remove-subpackage` removes all sections and takes no `section`";
                table.report(table.key_at("section"), message);
            }
            Change::SpecRemoveSubpackage { package: package? }
        }
        "patch-add" => Change::PatchAdd {
            source: added(table)?,
            file: text("file"),
        },
        "patch-remove" => Change::PatchRemove { file: names()? },
        "file-prepend-lines" => Change::FilePrependLines {
            file: names()?,
            lines,
        },
        "file-search-replace" => Change::FileSearchReplace {
            file: names()?,
            regex: regex()?,
            replacement,
        },
        "file-add" => {
            let file = table.text("file")?;
            if file.value.ends_with(".spec") {
                table.report(file.at, "an overlay cannot add a SPEC");
            }
            Change::FileAdd {
                file: file.value.to_owned(),
                source: added(table)?,
            }
        }
        "file-remove" => Change::FileRemove { file: names()? },
        "file-rename" => {
            let new = table.text("replacement")?;
            if !is_plain_name(new.value) {
                let message = format!(
                    "`{}` is not a plain file name: a file stays in its folder",
                    new.value
                );
                table.report(new.at, message);
            }
            Change::FileRename {
                file: names()?,
                replacement,
            }
        }
        "spec-set-macro" => Change::SpecSetMacro {
            name: text("name")?,
            value: text("value")?,
        },
        "spec-set-bcond" => match table.flag("value") {
            Some(value) => Change::SpecSetBcond {
                name: text("name")?,
                value,
            },
            None => {
                table.report(
                    table.key_at("value"),
                    "`value` of an overlay of type `spec-set-bcond` is true or false",
                );
                return None;
            }
        },
        "spec-replace-section" => Change::SpecReplaceSection {
            section: section?,
            package,
            lines,
        },
        _ => return None,
    })
}

/// A text that can be read as what it stands for; one that cannot is reported.
fn text_that_is(table: &Table<'_>, key: &str, wrong: fn(&str) -> Option<String>) -> Option<String> {
    let text = table.text(key)?;
    if let Some(why) = wrong(text.value) {
        let diagnostic = table.wrong(text.at, format!("`{key}` of {} cannot be read", table.title()));
        table.problems.push(diagnostic.cause(why));
        return None;
    }
    Some(text.value.to_owned())
}

fn wrong_regex(text: &str) -> Option<String> {
    let error = re2::Pattern::new(text).err()?;
    Some(match error.column {
        0 => error.what,
        column => format!("at character {column} of the pattern: {}", error.what),
    })
}

fn wrong_glob(text: &str) -> Option<String> {
    glob::Glob::new(text).err().map(|error| error.to_string())
}

/// The file that an overlay adds.
fn added(table: &Table<'_>) -> Option<PathBuf> {
    let source = table.text("source")?;
    match table.sources.is_explicit(source.at) {
        true => table.existing_file(source, "file"),
        false => Some(table.sources.resolve(source.at, source.value)),
    }
}

/// Files of overlays, each read once.
pub(crate) struct Files<'a> {
    pub(crate) root: &'a Path,
    pub(crate) sources: &'a Sources,
    pub(crate) problems: &'a Problems,
    read: RefCell<BTreeMap<PathBuf, Vec<Overlay>>>,
}

impl<'a> Files<'a> {
    pub(crate) fn new(root: &'a Path, sources: &'a Sources, problems: &'a Problems) -> Self {
        Self {
            root,
            sources,
            problems,
            read: RefCell::default(),
        }
    }

    /// The overlays of all files that patterns name, in the order of the patterns, files of one by their names.
    pub(crate) fn overlays(&self, patterns: &[Text<'_>], component: &str, folder: &Path) -> Vec<Overlay> {
        let mut order: Vec<(PathBuf, usize)> = Vec::new();
        let mut seen = BTreeSet::new();
        for pattern in patterns {
            for path in self.matching(*pattern, component, folder) {
                if seen.insert(path.clone()) {
                    order.push((path, self.sources.tree(pattern.at)));
                }
            }
        }
        let of_file = |(path, tree): &(PathBuf, usize)| {
            let mut read = self.read.borrow_mut();
            let read = read.entry(path.clone());
            read.or_insert_with(|| self.read(path, *tree)).clone()
        };
        order.iter().flat_map(of_file).collect()
    }

    fn matching(&self, pattern: Text<'_>, component: &str, folder: &Path) -> Vec<PathBuf> {
        let is_shared = pattern.value.contains(PLACEHOLDER);
        let filled = pattern.value.replace(PLACEHOLDER, component);
        let folder = match is_shared {
            true => self.sources.folder(pattern.at),
            false => folder.to_owned(),
        };
        if !glob::is_pattern(&filled) {
            let target = tree::normalise(&folder.join(&filled));
            if target.is_file() {
                return vec![target];
            }
            // What is inherited by all need not be there for each.
            if !is_shared {
                let message = format!("there is no file of overlays `{}`", pattern.value);
                self.problems.push(self.sources.wrong(pattern.at, message));
            }
            return Vec::new();
        }
        match includes::expand(&folder, &filled, &[]) {
            Ok(mut found) => {
                found.sort_by(|a, b| (a.file_name(), a).cmp(&(b.file_name(), b)));
                found
            }
            Err(error) => {
                let wrong = includes::not_expanded(self.sources, pattern, &error);
                self.problems.push(wrong);
                Vec::new()
            }
        }
    }

    fn read(&self, path: &Path, tree: usize) -> Vec<Overlay> {
        let Some(value) = includes::document(self.root, tree, self.sources, self.problems, path) else {
            return Vec::new();
        };
        strict::check(self.sources, self.problems, &model::OVERLAY_FILE, &value);
        let Some(table) = Table::new(self.sources, self.problems, String::new(), value.at, &value) else {
            return Vec::new();
        };
        let metadata = table.table("metadata").map(|table| metadata(&table));
        let mut overlays = Vec::new();
        for table in table.tables("overlays") {
            if table.has("metadata") {
                table.report(
                    table.key_at("metadata"),
                    "an overlay in a file of its own has no `metadata`: the file's holds for all of them",
                );
            }
            overlays.extend(overlay(&table).map(|overlay| Overlay {
                metadata: metadata.clone(),
                ..overlay
            }));
        }
        overlays
    }
}

/// Stands for the name of a component in `overlay-files`.
pub(crate) const PLACEHOLDER: &str = "{component}";

/// Does what a component inherits depend on its name or folder?
pub(crate) fn are_individual(value: &Value) -> bool {
    let patterns = value.get(&["overlay-files"]).and_then(Value::items);
    patterns.is_some_and(|patterns| !patterns.is_empty())
}
