//! `[[components.NAME.source-files]]`.

use std::collections::BTreeSet;

use crate::{
    Digest, Origin, Signature, SignaturePlace, SourceFile,
    model::POOL_PATH,
    table::{Table, Text},
};

pub(crate) fn read(component: &Table<'_>) -> Vec<SourceFile> {
    let mut files = Vec::new();
    let mut seen = BTreeSet::new();
    for table in component.tables("source-files") {
        let digest = digest(&table);
        let origins = origins(&table);
        let signature = table.table("signature").and_then(|table| signature(&table));
        let replaces_upstream = replacement(&table, &origins);
        let Some(filename) = table.text("filename") else {
            continue;
        };
        if origins.iter().any(|origin| matches!(origin, Origin::Git { .. }))
            && !filename.value.ends_with(".tar")
        {
            let message = format!(
                "the files of a commit are made a `.tar`, and `{}` is none",
                filename.value
            );
            table.report(filename.at, message);
        }
        if !seen.insert(filename.value.to_owned()) {
            table.report(
                filename.at,
                format!("source file `{}` is listed twice", filename.value),
            );
        } else if !origins.is_empty() {
            files.push(SourceFile {
                filename: filename.value.to_owned(),
                digest,
                size: table.integer("size"),
                origins,
                signature,
                replaces_upstream,
                defined_at: table.sources.location(filename.at),
            });
        }
    }
    files
}

fn digest(table: &Table<'_>) -> Option<Digest> {
    let kind = table.text("hash-type");
    let hash = table.text("hash");
    let (Some(kind), Some(hash)) = (kind, hash) else {
        if let (None, Some(_)) = (kind, hash) {
            let message = format!(
                "{} has a `hash` and needs the `hash-type` that goes with it",
                table.title()
            );
            let wrong = table.wrong(table.key_at("hash"), message);
            table.problems.push(wrong.hint("`hash-type = \"SHA256\"`"));
        }
        return None;
    };
    let digits = match kind.value {
        "SHA256" => 64,
        "SHA512" => 128,
        _ => return None,
    };
    let is_hash = hash.value.len() == digits && hash.value.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_hash {
        let found = match hash.value.chars().count() {
            count if count == digits => "other characters".to_owned(),
            count => format!("{count} characters"),
        };
        let message = format!(
            "a {} `hash` has {digits} hexadecimal digits, this one has {found}",
            kind.value
        );
        table.report(hash.at, message);
        return None;
    }
    let lower = hash.value.to_ascii_lowercase();
    match kind.value {
        "SHA256" => lower.parse().ok().map(Digest::Sha256),
        _ => Some(Digest::Sha512(lower)),
    }
}

/// Whether it takes the place of an upstream's file, which needs a reason.
fn replacement(table: &Table<'_>, origins: &[Origin]) -> bool {
    let replaces = table.boolean("replace-upstream");
    let reason = table.string("replace-reason");
    let is_blank = reason.as_deref().is_none_or(|reason| reason.trim().is_empty());
    if replaces && is_blank {
        let message = format!(
            "{} replaces the upstream's file and needs a `replace-reason`",
            table.title()
        );
        table.report(table.key_at("replace-upstream"), message);
    }
    if !replaces && reason.is_some() {
        let message = "`replace-reason` is of no use without `replace-upstream = true`";
        table.report(table.key_at("replace-reason"), message);
    }
    if !replaces && origins.contains(&Origin::Overlay) {
        let message = "an archive that overlays change takes the place of the upstream's: say `replace-upstream = true`";
        table.report(table.key_at("origin"), message);
    }
    replaces
}

fn signature(table: &Table<'_>) -> Option<Signature> {
    let url = table.text("url");
    if let Some(url) = url.filter(|url| !url.value.starts_with("https://")) {
        table.report(url.at, format!("`{}` is not an `https://` URL", url.value));
    }
    let place = match (url, table.path("file")) {
        (Some(url), None) => SignaturePlace::Url(url.value.to_owned()),
        (None, Some(path)) => SignaturePlace::File(path),
        _ => {
            table.report(
                table.at,
                format!("{} needs one of `url` and `file`", table.title()),
            );
            return None;
        }
    };
    Some(Signature {
        place,
        key: table.path("key")?,
        uncompressed: table
            .text("over")
            .is_some_and(|over| over.value == "uncompressed"),
        defined_at: table.location(),
    })
}

/// `origin = { … }`, or Keel's own `origins = [ { … }, … ]`, best first.
fn origins(table: &Table<'_>) -> Vec<Origin> {
    let single = table.table("origin");
    let several = table.tables("origins");
    if !table.has("origin") && several.is_empty() {
        table.report(table.at, format!("{} needs the key `origin`", table.title()));
    }
    if table.has("origin") && table.has("origins") {
        table.report(
            table.key_at("origins"),
            "`origin` and `origins` exclude each other",
        );
    }
    single.iter().chain(&several).filter_map(origin).collect()
}

fn origin(table: &Table<'_>) -> Option<Origin> {
    let value = |key| table.string(key);
    Some(match table.text("type")?.value {
        "debian" => return debian(table),
        "https" => {
            let url = table.text("url")?;
            if url.value.starts_with("file:") {
                table.report(
                    url.at,
                    "an `https` origin has an `https://` URL; a file of this machine is of the type `file`",
                );
            }
            Origin::Https {
                url: url.value.to_owned(),
            }
        }
        "download" => Origin::Https { url: value("uri")? },
        "file" => Origin::File {
            path: table.path("path")?,
        },
        "crates" => Origin::Crates {
            name: value("name")?,
            version: value("version")?,
        },
        "pypi" => Origin::Pypi {
            name: value("name")?,
            version: value("version")?,
        },
        "npm" => Origin::Npm {
            name: value("name")?,
            version: value("version")?,
        },
        "git" => return git(table),
        "custom" => {
            let script = table.text("script")?;
            let inputs = table.strings("inputs");
            for input in inputs.iter().filter(|input| input.value == script.value) {
                table.report(input.at, "the `script` is no input of itself");
            }
            Origin::Custom {
                script: table.sources.resolve(script.at, script.value),
                packages: table.texts("mock-packages"),
                inputs: (inputs.iter())
                    .map(|input| table.sources.resolve(input.at, input.value))
                    .collect(),
            }
        }
        "overlay" => Origin::Overlay,
        _ => return None,
    })
}

fn git(table: &Table<'_>) -> Option<Origin> {
    let (url, commit) = (table.text("url")?, table.text("commit")?);
    Some(Origin::Git {
        url: url.value.to_owned(),
        commit: commit.value.to_ascii_lowercase(),
    })
}

fn debian(table: &Table<'_>) -> Option<Origin> {
    let path: Option<Text<'_>> = table.text("path");
    if let Some(path) = path
        && let Some(message) = (POOL_PATH.wrong)("path", path.value)
    {
        table.report(path.at, message);
        return None;
    }
    let is_deb = path.is_some_and(|path| path.value.ends_with(".deb"));
    Some(Origin::Debian {
        source: table.string("source")?,
        suite: table.string("suite")?,
        path: path.map(|path| path.value.to_owned()),
        binary: table.flag("binary").unwrap_or(is_deb),
    })
}
