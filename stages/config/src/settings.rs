//! `[project]`, `[distros]`, `[package-groups]` and `[keel]`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use keel_artefact::{ComponentName, ImageName};

use crate::{
    Component, Diagnostic, Group, Stage0,
    definition::ImageDraft,
    table::{Placed, Table},
};

/// What has been read so far of all files.
#[derive(Default)]
pub(crate) struct Draft {
    pub(crate) description: String,
    pub(crate) output_dir: Option<PathBuf>,
    pub(crate) default_distro: Option<DistroReference>,
    pub(crate) distros: BTreeMap<String, DistroDraft>,
    pub(crate) keel: KeelDraft,
    pub(crate) components: BTreeMap<ComponentName, Component>,
    pub(crate) images: BTreeMap<ImageName, ImageDraft>,
    pub(crate) groups: BTreeMap<String, Group>,
    /// Files read beside the sources: image definitions.
    pub(crate) files: Vec<PathBuf>,
}

/// `project.default-distro`.
pub(crate) struct DistroReference {
    pub(crate) name: String,
    pub(crate) version: Option<String>,
    /// An error about it that only lacks its message.
    pub(crate) wrong: Diagnostic,
}

/// `[distros.NAME]`; later files add to it and win.
#[derive(Default)]
pub(crate) struct DistroDraft {
    pub(crate) description: String,
    pub(crate) default_version: Option<String>,
    /// Version → `release-ver`.
    pub(crate) versions: BTreeMap<String, String>,
}

/// `[keel]`; each key is set once in a project.
#[derive(Default)]
pub(crate) struct KeelDraft {
    pub(crate) macros: Vec<PathBuf>,
    pub(crate) base_requires: Vec<String>,
    pub(crate) users: Option<PathBuf>,
    pub(crate) stage0: Stage0,
    /// Names in `lends` that are no package of stage0 can only be told once all is read.
    pub(crate) lenders: Vec<(String, String, Diagnostic)>,
    set: BTreeMap<&'static str, String>,
}

pub(crate) fn read(root: &Table<'_>, draft: &mut Draft) {
    root.has("$schema");
    for pattern in root.strings("includes") {
        drop(pattern); // followed when the files were read; here only its type is checked
    }
    if let Some(table) = root.table("project") {
        project(&table, draft);
    }
    for (name, table) in root.named_tables("distros") {
        distro(&table, draft.distros.entry(name.value).or_default());
    }
    for (name, table) in root.named_tables("package-groups") {
        group(&name, &table, draft);
    }
    if let Some(table) = root.table("keel") {
        keel(&table, &mut draft.keel);
    }
}

fn project(table: &Table<'_>, draft: &mut Draft) {
    if let Some(text) = table.string("description") {
        draft.description = text.value;
    }
    if let Some(path) = table.string("output-dir") {
        draft.output_dir = Some(table.source.resolve(&path.value));
    }
    if let Some(reference) = table.table("default-distro") {
        if let Some(name) = reference.required("name") {
            let version = reference.string("version").map(|version| version.value);
            let wrong = table.source.wrong(&name.span, "");
            draft.default_distro = Some(DistroReference {
                name: name.value,
                version,
                wrong,
            });
        }
        reference.finish(&["snapshot"]);
    }
    table.finish(&[
        "log-dir",
        "work-dir",
        "rendered-specs-dir",
        "lock-dir",
        "default-author-email",
    ]);
}

fn distro(table: &Table<'_>, draft: &mut DistroDraft) {
    if let Some(text) = table.string("description") {
        draft.description = text.value;
    }
    if let Some(version) = table.string("default-version") {
        draft.default_version = Some(version.value);
    }
    for (name, version) in table.named_tables("versions") {
        version.string("description");
        // A version without its release is reported here, and there all the same for whoever refers to it.
        let release = version.required("release-ver").map(|text| text.value);
        draft.versions.insert(name.value, release.unwrap_or_default());
        version.finish(&[
            "dist-git-branch",
            "default-component-config",
            "mock-config",
            "mock-config-x86_64",
            "mock-config-aarch64",
            "inputs",
        ]);
    }
    table.finish(&[
        "dist-git-base-uri",
        "lookaside-base-uri",
        "repos",
        "disable-origins",
    ]);
}

fn group(name: &Placed<String>, table: &Table<'_>, draft: &mut Draft) {
    let group = Group {
        description: table
            .string("description")
            .map(|text| text.value)
            .unwrap_or_default(),
        packages: table.parsed_strings("packages"),
        defined_at: table.location(),
    };
    table.finish(&["default-package-config"]);
    if let Some(first) = draft.groups.get(&name.value) {
        table
            .problems
            .push(twice(table, name, "package group", &first.defined_at));
        return;
    }
    draft.groups.insert(name.value.clone(), group);
}

/// The error about a second definition.
pub(crate) fn twice(
    table: &Table<'_>,
    name: &Placed<String>,
    what: &str,
    first: &crate::Location,
) -> Diagnostic {
    (table
        .source
        .wrong(&name.span, format!("{what} `{}` is defined twice", name.value)))
    .cause(format!("it is already defined at {first}"))
}

fn keel(table: &Table<'_>, draft: &mut KeelDraft) {
    let mut once = |table: &Table<'_>, key: &'static str, label: &'static str| -> bool {
        if !table.has(key) {
            return false;
        }
        let span = table.key_span(key);
        let here = table.source.location(&span).to_string();
        if let Some(first) = draft.set.get(label) {
            let diagnostic = table.source.wrong(&span, format!("`keel.{label}` is set twice"));
            table
                .problems
                .push(diagnostic.cause(format!("it is already set at {first}")));
            return false;
        }
        draft.set.insert(label, here);
        true
    };
    if once(table, "macros", "macros") {
        draft.macros = (table.strings("macros").iter())
            .filter_map(|path| existing_file(table, path, "macro file"))
            .collect();
    }
    if once(table, "base-requires", "base-requires") {
        draft.base_requires = capabilities(table, "base-requires");
    }
    if once(table, "users", "users") {
        draft.users = table
            .string("users")
            .and_then(|path| existing_file(table, &path, "registry of users"));
    }
    if let Some(stage0) = table.table("stage0") {
        if once(&stage0, "suite", "stage0.suite") {
            draft.stage0.suite = stage0
                .required("suite")
                .map(|text| text.value)
                .unwrap_or_default();
        }
        if once(&stage0, "packages", "stage0.packages") {
            draft.stage0.packages = debian_packages(&stage0, "packages");
        }
        if once(&stage0, "libc-dev", "stage0.libc-dev") {
            draft.stage0.libc_dev = debian_packages(&stage0, "libc-dev");
        }
        if once(&stage0, "lends", "stage0.lends") {
            lends(&stage0, draft);
        }
        stage0.finish(&[]);
    }
    table.finish(&[]);
}

fn lends(stage0: &Table<'_>, draft: &mut KeelDraft) {
    for (capability, lenders) in stage0.map_of_lists("lends") {
        if lenders.is_empty() {
            let message = format!("`lends` does not say which Debian package lends `{capability}`");
            stage0.report(&stage0.key_span("lends"), message);
        }
        let mut names = Vec::new();
        for lender in lenders {
            let message = format!(
                "`{}` lends `{capability}`, but is not among `keel.stage0.packages`",
                lender.value
            );
            let unlisted = stage0.source.wrong(&lender.span, message);
            draft
                .lenders
                .push((capability.clone(), lender.value.clone(), unlisted));
            names.push(lender.value);
        }
        draft.stage0.lends.insert(capability, names);
    }
}

fn capabilities(table: &Table<'_>, key: &'static str) -> Vec<String> {
    let mut names = Vec::new();
    for text in table.strings(key) {
        if text.value.is_empty() || text.value.contains(char::is_whitespace) {
            table.report(
                &text.span,
                format!("`{}` is not the name of a capability", text.value),
            );
        } else if !names.contains(&text.value) {
            names.push(text.value);
        }
    }
    names
}

/// Debian's package names: Debian Policy 5.6.7.
fn debian_packages(table: &Table<'_>, key: &'static str) -> Vec<String> {
    let mut names = Vec::new();
    let mut seen = BTreeSet::new();
    for text in table.strings(key) {
        let name = &text.value;
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c);
        if name.len() < 2
            || !name.starts_with(|c: char| c.is_ascii_alphanumeric())
            || !name.chars().all(legal)
        {
            table.report(
                &text.span,
                format!("`{name}` is not the name of a Debian package"),
            );
        } else if !seen.insert(name.clone()) {
            table.report(&text.span, format!("`{name}` is twice in `{key}`"));
        } else {
            names.push(text.value);
        }
    }
    names
}

/// A file that must be there.
pub(crate) fn existing_file(table: &Table<'_>, path: &Placed<String>, what: &str) -> Option<PathBuf> {
    let resolved = table.source.resolve(&path.value);
    if resolved.is_file() {
        return Some(resolved);
    }
    let message = format!("there is no {what} `{}`", path.value);
    let place = table.source.wrong(&path.span, message);
    table
        .problems
        .push(place.hint("a path counts from the folder of the file that says it"));
    None
}
