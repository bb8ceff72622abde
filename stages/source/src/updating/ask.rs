//! What origins say is their newest version.

use keel_host::git;
use serde::Deserialize;

use super::order;
use crate::{
    Answer, Origin, commit,
    debian::{
        index::{self, FileName, Package},
        version,
    },
    download,
    http::Url,
    origin::{Ask, Crate, MAX_DOCUMENT, NpmPackage, Sdist},
    refresh::Group,
};

/// What an origin told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    /// There is no newer version.
    Same { now: String },
    /// There is; `key` of the origin in TOML becomes `value`.
    Newer {
        now: String,
        newest: String,
        key: &'static str,
        value: String,
    },
    /// Which one is newer cannot be said.
    Unknown { now: String, why: String },
}

/// Asks an origin that is not Debian's; none if it is of a kind that cannot be asked.
pub(super) fn newest(
    ask: &Ask<'_>,
    store: &keel_store::Store,
    origin: &Origin,
) -> Result<Option<Told>, download::Error> {
    let told = |now: &str, newest: Option<String>| match newest {
        Some(newest) if order::compare(&newest, now).is_gt() => Told::Newer {
            now: now.to_owned(),
            value: newest.clone(),
            newest,
            key: "version",
        },
        _ => Told::Same { now: now.to_owned() },
    };
    Ok(Some(match origin {
        Origin::Crates(origin) => told(&origin.version, newest_crate(ask, origin)?),
        Origin::Pypi(origin) => told(&origin.version, newest_sdist(ask, origin)?),
        Origin::Npm(origin) => told(&origin.version, newest_npm(ask, origin)?),
        Origin::Git(origin) => newest_tag(&commit::tags(ask.client, store, origin)?, &origin.commit),
        Origin::Debian(_) | Origin::Https(_) | Origin::File(_) | Origin::Generated(_) => return Ok(None),
    }))
}

/// The newest of those that are releases and can be written down.
fn newest_of<'v>(versions: impl Iterator<Item = &'v str>) -> Option<String> {
    let usable = versions.filter(|version| order::is_plain(version) && !order::is_prerelease(version));
    usable
        .max_by(|one, other| order::compare(one, other))
        .map(str::to_owned)
}

#[derive(Deserialize)]
struct CrateLine {
    vers: String,
    #[serde(default)]
    yanked: bool,
}

fn newest_crate(ask: &Ask<'_>, origin: &Crate) -> Result<Option<String>, download::Error> {
    origin.check()?;
    let lines = origin.ask_index(ask, &origin.index_path(), |bytes| {
        let lines = std::str::from_utf8(bytes).ok()?.lines();
        let lines = lines.filter_map(|line| serde_json::from_str::<CrateLine>(line).ok());
        Some(lines.collect::<Vec<_>>())
    })?;
    // semver.org §9: what has a hyphen before its build metadata is a pre-release, however it is called.
    let is_release = |version: &str| !version.split('+').next().unwrap_or_default().contains('-');
    let usable = lines.iter().filter(|line| !line.yanked && is_release(&line.vers));
    Ok(newest_of(usable.map(|line| line.vers.as_str())))
}

fn newest_sdist(ask: &Ask<'_>, origin: &Sdist) -> Result<Option<String>, download::Error> {
    let (_, page) = origin.page(ask)?;
    let usable = page.files.iter().filter(|file| {
        matches!(
            file.yanked,
            serde_json::Value::Null | serde_json::Value::Bool(false)
        )
    });
    Ok(newest_of(
        usable.filter_map(|file| origin.sdist_version(&file.filename)),
    ))
}

/// The part of npm's document of a package that is read.
#[derive(Deserialize)]
struct NpmDocument {
    #[serde(rename = "dist-tags")]
    tags: NpmTags,
}

#[derive(Deserialize)]
struct NpmTags {
    latest: Option<String>,
}

fn newest_npm(ask: &Ask<'_>, origin: &NpmPackage) -> Result<Option<String>, download::Error> {
    // The form for installers is a tenth of the whole.
    const SHORT: &str = "application/vnd.npm.install-v1+json, application/json;q=0.8";
    let url = Url::parse(&origin.address(ask)?, false).map_err(Answer::from)?;
    let bytes = ask.client.document_as(&url, SHORT, MAX_DOCUMENT)?;
    let document: NpmDocument =
        serde_json::from_slice(&bytes).map_err(|_| Answer::Nonsense(format!("{url} is not npm's JSON")))?;
    // What the package calls its latest is that, whatever it is called.
    Ok(document.tags.latest.filter(|version| order::is_plain(version)))
}

/// A tag taken apart.
#[derive(Clone, Copy)]
struct Candidate<'t> {
    tag: &'t git::Tag,
    prefix: &'t str,
    version: &'t str,
}

/// The newest tag that is called as the one of `commit` is, but for the version.
fn newest_tag(tags: &[git::Tag], commit: &str) -> Told {
    let candidates = tags
        .iter()
        .filter(|tag| order::is_plain(&tag.name))
        .filter_map(|tag| {
            let (prefix, version) = order::split_tag(&tag.name)?;
            Some(Candidate { tag, prefix, version })
        });
    let candidates: Vec<_> = candidates.collect();
    let newest = |wanted: &dyn Fn(&Candidate<'_>) -> bool| {
        let wanted = candidates.iter().copied().filter(wanted);
        wanted.max_by(|one, other| order::compare(one.version, other.version))
    };
    let is_release = |candidate: &Candidate<'_>| !order::is_prerelease(candidate.version);
    let Some(now) = newest(&|candidate| candidate.tag.commit == commit) else {
        let newest = newest(&is_release);
        let newest = newest.map_or(String::new(), |newest| {
            format!("; the newest of them is `{}`", newest.tag.name)
        });
        return Told::Unknown {
            now: commit.get(..12).unwrap_or(commit).to_owned(),
            why: format!("the commit is none of its tags{newest}"),
        };
    };
    let newest = newest(&|candidate| candidate.prefix == now.prefix && is_release(candidate));
    match newest.filter(|newest| order::compare(newest.version, now.version).is_gt()) {
        Some(newest) => Told::Newer {
            now: now.tag.name.clone(),
            newest: newest.tag.name.clone(),
            key: "commit",
            value: newest.tag.commit.clone(),
        },
        None => Told::Same {
            now: now.tag.name.clone(),
        },
    }
}

/// What Debian's index says of a file of the pool, and the name of the file that takes its place.
pub(super) fn newest_package(packages: &[Package], group: &Group, file_name: &str) -> (Told, String) {
    let version_of = |name: &str| {
        let parts = FileName::parse(name, &group.package);
        parts.map_or_else(|| name.to_owned(), |parts| parts.version.to_owned())
    };
    let now = version_of(file_name);
    // The empty series has all versions.
    let Some((package, file)) = index::newest_in_series(packages, file_name, Some("")) else {
        let why = format!(
            "Debian's `{}` has no such file of `{}`",
            group.suite, group.package
        );
        return (Told::Unknown { now, why }, String::new());
    };
    let newest = version_of(file.name());
    let with_it = packages
        .iter()
        .filter(|package| package.file(file_name).is_some());
    let is_newer = match with_it.max_by(|one, other| one.compare(other)) {
        Some(current) => file.name() != file_name && package.compare(current).is_gt(),
        None => version::compare(&newest, &now).is_gt(),
    };
    let told = match is_newer {
        true => Told::Newer {
            now,
            newest,
            key: "path",
            value: file.path.clone(),
        },
        false => Told::Same { now },
    };
    (told, file.name().to_owned())
}
