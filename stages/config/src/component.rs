//! `[components.NAME]`.

use std::{collections::BTreeSet, path::PathBuf};

use keel_artefact::{ComponentName, Sha256};

use crate::{
    BuildOptions, Check, Component, Origin, SourceFile,
    settings::{Draft, existing_file, twice},
    table::{Placed, Table},
};

pub(crate) fn read(root: &Table<'_>, draft: &mut Draft) {
    for (name, table) in root.named_tables("components") {
        let Some(component) = component(&name, &table) else {
            continue;
        };
        if let Some(first) = draft.components.get(&component.name) {
            table
                .problems
                .push(twice(&table, &name, "component", &first.defined_at));
            continue;
        }
        draft.components.insert(component.name.clone(), component);
    }
}

fn component(name: &Placed<String>, table: &Table<'_>) -> Option<Component> {
    let parsed: Option<ComponentName> = table.parse(name);
    let spec = spec(table);
    let build = table
        .table("build")
        .map(|build| build_options(&build))
        .unwrap_or_default();
    let source_files = source_files(table);
    table.finish(&[
        "release",
        "overlays",
        "overlay-files",
        "render",
        "packages",
        "publish",
    ]);
    Some(Component {
        name: parsed?,
        spec: spec?,
        build,
        source_files,
        defined_at: table.location(),
    })
}

fn spec(table: &Table<'_>) -> Option<PathBuf> {
    if !table.has("spec") {
        table.report(&table.span, format!("{} needs the key `spec`", table.title()));
        return None;
    }
    let spec = table.table("spec")?;
    let kind = spec.required("type");
    let path = match kind {
        Some(kind) if kind.value == "upstream" => {
            spec.report(
                &kind.span,
                "this version of Keel does not support SPECs of another distribution",
            );
            return None;
        }
        Some(kind) => spec
            .choose("type", &kind, &[("local", ())])
            .and_then(|()| spec.required("path")),
        None => None,
    };
    spec.has("path");
    spec.finish(&["upstream-distro", "upstream-name", "upstream-commit"]);
    let path = path?;
    if !path.value.ends_with(".spec") {
        spec.report(
            &path.span,
            format!(
                "`{}` is not the name of a SPEC: it must end in `.spec`",
                path.value
            ),
        );
        return None;
    }
    existing_file(&spec, &path, "SPEC")
}

fn build_options(table: &Table<'_>) -> BuildOptions {
    let check = table
        .table("check")
        .map(|check| check_options(&check))
        .unwrap_or_default();
    let (mut cpu_seconds, mut expensive) = (None, false);
    if let Some(hints) = table.table("hints") {
        cpu_seconds = hints.number("cpu-seconds");
        if cpu_seconds.is_some_and(|seconds| !(0.0..1e9).contains(&seconds)) {
            hints.report(
                &hints.key_span("cpu-seconds"),
                "`cpu-seconds` is a number of seconds from 0 to 1e9",
            );
            cpu_seconds = None;
        }
        expensive = hints.boolean("expensive").unwrap_or_default();
        hints.finish(&[]);
    }
    let options = BuildOptions {
        with: table.texts("with"),
        without: table.texts("without"),
        defines: table.map("defines"),
        undefines: table.texts("undefines"),
        bootstrap_libc: table.boolean("bootstrap-libc").unwrap_or_default(),
        borrowed_libc: table.boolean("borrowed-libc").unwrap_or_default(),
        check,
        cpu_seconds,
        expensive,
    };
    for name in options.with.iter().filter(|name| options.without.contains(name)) {
        table.report(
            &table.key_span("without"),
            format!("`{name}` is in both `with` and `without`"),
        );
    }
    let macros = options.defines.keys().chain(&options.undefines);
    for name in macros.filter(|name| !is_macro_name(name)) {
        table.report(
            &table.key_span("defines"),
            format!("`{name}` is not the name of a macro"),
        );
    }
    let switches = options.with.iter().chain(&options.without);
    for name in switches.filter(|name| {
        !name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_-+.".contains(c))
    }) {
        table.report(
            &table.span,
            format!("`{name}` is not the name of a build condition"),
        );
    }
    table.finish(&["emit-upstream-provenance", "failure"]);
    options
}

/// rpm's rule: at least three characters, the first a letter or `_` (`rpm-macros(7)`).
fn is_macro_name(name: &str) -> bool {
    name.len() >= 3
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn check_options(table: &Table<'_>) -> Check {
    let skip = table.boolean("skip").unwrap_or_default();
    let skip_reason = table.string("skip_reason").map(|reason| reason.value);
    if skip
        && skip_reason
            .as_deref()
            .is_none_or(|reason| reason.trim().is_empty())
    {
        table.report(
            &table.key_span("skip"),
            format!("{} skips the tests and needs a `skip_reason`", table.title()),
        );
    }
    table.finish(&[]);
    Check { skip, skip_reason }
}

fn source_files(component: &Table<'_>) -> Vec<SourceFile> {
    let mut files = Vec::new();
    let mut seen = BTreeSet::new();
    for table in component.tables("source-files") {
        let filename = table.required("filename");
        let digest = digest(&table);
        let size = table.integer("size");
        let origins = origins(&table);
        table.finish(&["replace-upstream", "replace-reason"]);
        let Some(filename) = filename else { continue };
        if !is_plain_name(&filename.value) {
            table.report(
                &filename.span,
                format!("`{}` is not a plain file name", filename.value),
            );
        } else if !seen.insert(filename.value.clone()) {
            table.report(
                &filename.span,
                format!("source file `{}` is listed twice", filename.value),
            );
        } else if !origins.is_empty() {
            let defined_at = table.source.location(&filename.span);
            files.push(SourceFile {
                filename: filename.value,
                digest,
                size,
                origins,
                defined_at,
            });
        }
    }
    files
}

/// One name in one folder, of characters that every tool takes.
fn is_plain_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && !name.starts_with('-')
        && name.len() <= 255
        && !name.contains(['/', '\\'])
        && !name.chars().any(|c| c.is_control() || c.is_whitespace())
}

fn digest(table: &Table<'_>) -> Option<Sha256> {
    let kind = table.string("hash-type");
    let hash = table.string("hash");
    match (kind, hash) {
        (None, None) => None,
        (Some(kind), _) if kind.value == "SHA512" => {
            table.report(
                &kind.span,
                "this version of Keel pins sources by SHA256, not by SHA512",
            );
            None
        }
        (Some(kind), hash) => {
            table.choose("hash-type", &kind, &[("SHA256", ())])?;
            let hash = hash?;
            let parsed = hash.value.parse().ok();
            if parsed.is_none() {
                let found = match hash.value.chars().count() {
                    64 => "other characters".to_owned(),
                    length => format!("{length} characters"),
                };
                let message = format!("a SHA256 `hash` has 64 hexadecimal digits, this one has {found}");
                table.report(&hash.span, message);
            }
            parsed
        }
        (None, Some(_)) => {
            let message = format!(
                "{} has a `hash` and needs the `hash-type` that goes with it",
                table.title()
            );
            table.problems.push(
                (table.source.wrong(&table.key_span("hash"), message)).hint("`hash-type = \"SHA256\"`"),
            );
            None
        }
    }
}

/// `origin = { … }`, or Keel's own `origins = [ { … }, … ]`, best first.
fn origins(table: &Table<'_>) -> Vec<Origin> {
    let single = table.table("origin");
    let several = table.tables("origins");
    if !table.has("origin") && several.is_empty() {
        table.report(&table.span, format!("{} needs the key `origin`", table.title()));
    }
    if table.has("origin") && table.has("origins") {
        table.report(
            &table.key_span("origins"),
            "`origin` and `origins` exclude each other",
        );
    }
    single.iter().chain(&several).filter_map(origin).collect()
}

fn origin(table: &Table<'_>) -> Option<Origin> {
    let kind = table.required("type")?;
    let value = |key| table.required(key).map(|text| text.value);
    let origin = match kind.value.as_str() {
        "debian" => debian(table),
        "https" => table.required("url").and_then(|url| web(table, &url)),
        "download" => table.required("uri").and_then(|url| web(table, &url)),
        "file" => value("path").map(|path| Origin::File {
            path: table.source.resolve(&path),
        }),
        "crates" | "pypi" => {
            let (name, version) = (value("name"), value("version"));
            name.zip(version)
                .map(|(name, version)| match kind.value.as_str() {
                    "crates" => Origin::Crates { name, version },
                    _ => Origin::Pypi { name, version },
                })
        }
        "custom" | "overlay" => {
            let message = format!(
                "this version of Keel does not support azldev's origin type `{}`",
                kind.value
            );
            table.report(&kind.span, message);
            return None;
        }
        _ => {
            let known = ["debian", "https", "download", "file", "crates", "pypi"].map(|name| (name, ()));
            table.choose("type", &kind, &known);
            return None;
        }
    };
    table.finish(&["script", "mock-packages", "inputs"]);
    origin
}

fn debian(table: &Table<'_>) -> Option<Origin> {
    let source = table.required("source");
    let suite = table.required("suite");
    let path = table.string("path");
    let binary = table.boolean("binary");
    if let Some(path) = &path {
        let parts_are_plain = path.value.split('/').all(|part| !matches!(part, "" | "." | ".."));
        if !path.value.starts_with("pool/") || !parts_are_plain {
            let message = format!(
                "`{}` is not a path in Debian's archive (`pool/…`, without `..`)",
                path.value
            );
            table.report(&path.span, message);
            return None;
        }
    }
    let is_deb = path.as_ref().is_some_and(|path| path.value.ends_with(".deb"));
    Some(Origin::Debian {
        source: source?.value,
        suite: suite?.value,
        path: path.map(|path| path.value),
        binary: binary.unwrap_or(is_deb),
    })
}

fn web(table: &Table<'_>, url: &Placed<String>) -> Option<Origin> {
    let rest = url
        .value
        .strip_prefix("https://")
        .or_else(|| url.value.strip_prefix("http://"));
    let plain = !url.value.chars().any(|c| c.is_control() || c.is_whitespace());
    if rest.is_none_or(|rest| rest.is_empty() || rest.starts_with('/')) || !plain {
        table.report(
            &url.span,
            format!("`{}` is not an `https://` (or `http://`) URL", url.value),
        );
        return None;
    }
    Some(Origin::Https {
        url: url.value.clone(),
    })
}
