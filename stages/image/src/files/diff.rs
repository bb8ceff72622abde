//! What two images have that is not the same: packages, and files with what of them differs. Times are no difference.

use std::collections::{BTreeMap, BTreeSet};

use keel_artefact::RootPath;
use serde::Serialize;

use super::{Entry, Error, Files, Kind, rpmdb};
use crate::inspect;

/// The largest database of packages that is read.
const LARGEST: u64 = 512 << 20;

/// Two images, compared.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Differences {
    /// Packages; none: at least one of the images does not say what it has.
    pub packages: Option<Vec<Package>>,
    /// Files, by path.
    pub files: Vec<Changed>,
    /// Bytes of all files, what has several names counted once: of one image, and of the other.
    pub bytes: (u64, u64),
}

impl Differences {
    /// Is nothing different?
    pub fn is_same(&self) -> bool {
        self.files.is_empty() && self.packages.as_ref().is_none_or(Vec::is_empty)
    }
}

/// A package that the images do not have alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Package {
    /// With its architecture.
    pub name: String,
    /// Versions in one image.
    pub before: Vec<String>,
    /// Versions in the other.
    pub after: Vec<String>,
}

/// A file that the images do not have alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// Its path.
    pub path: RootPath,
    /// How.
    pub how: How,
    /// Its size in one image and in the other, where it is a file.
    pub size: (Option<u64>, Option<u64>),
    /// What is different of one that both have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub what: Vec<Aspect>,
}

/// How.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// The other image has it.
    Added,
    /// The other image has it no more.
    Removed,
    /// Both have it.
    Changed,
}

/// One thing about a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Aspect {
    /// `content`, `mode`, …
    pub what: String,
    /// In one image.
    pub before: String,
    /// In the other.
    pub after: String,
}

/// Compares two images.
pub fn compare(one: &mut Files, other: &mut Files) -> Result<Differences, Error> {
    let packages = match (packages(one)?, packages(other)?) {
        (Some(before), Some(after)) => Some(of_packages(before, after)),
        _ => None,
    };
    let paths: BTreeSet<RootPath> = one.names.keys().chain(other.names.keys()).cloned().collect();
    let mut files = Vec::new();
    for path in paths {
        one.interrupt.check()?;
        let (before, after) = (one.names.get(&path).cloned(), other.names.get(&path).cloned());
        let size = |entry: &Option<Entry>| match entry.as_ref().map(|entry| &entry.kind) {
            Some(Kind::File { size, .. }) => Some(*size),
            _ => None,
        };
        let size = (size(&before), size(&after));
        let (how, what) = match (&before, &after) {
            (Some(before), Some(after)) => (How::Changed, aspects(one, before, other, after)?),
            (Some(_), None) => (How::Removed, Vec::new()),
            _ => (How::Added, Vec::new()),
        };
        if how != How::Changed || !what.is_empty() {
            files.push(Changed {
                path,
                how,
                size,
                what,
            });
        }
    }
    Ok(Differences {
        packages,
        files,
        bytes: (bytes(one), bytes(other)),
    })
}

fn bytes(files: &Files) -> u64 {
    let content = |entry: &Entry| match entry.kind {
        Kind::File { id, size } => Some((id, size)),
        _ => None,
    };
    let each: BTreeMap<u64, u64> = files.names.values().filter_map(content).collect();
    each.values().fold(0, |sum, size| sum.saturating_add(*size))
}

fn aspects(one: &mut Files, before: &Entry, other: &mut Files, after: &Entry) -> Result<Vec<Aspect>, Error> {
    let mut all = Vec::new();
    let mut add = |what: &str, before: String, after: String| {
        if before != after {
            let what = what.to_owned();
            all.push(Aspect { what, before, after });
        }
    };
    match (&before.kind, &after.kind) {
        (
            Kind::File { id, size },
            Kind::File {
                id: id_after,
                size: size_after,
            },
        ) => {
            if size != size_after {
                add("size", size.to_string(), size_after.to_string());
            }
            let (digest, digest_after) = (one.digest(*id, *size)?, other.digest(*id_after, *size_after)?);
            add("content", digest.to_string(), digest_after.to_string());
        }
        (Kind::Symlink(to), Kind::Symlink(to_after)) => add("target", to.clone(), to_after.clone()),
        (Kind::CharDevice { major, minor }, Kind::CharDevice { major: a, minor: b })
        | (Kind::BlockDevice { major, minor }, Kind::BlockDevice { major: a, minor: b }) => {
            add("device", format!("{major}:{minor}"), format!("{a}:{b}"));
        }
        (one, other) => {
            let name = |kind: &Kind| match kind {
                Kind::CharDevice { .. } => "a character device",
                Kind::BlockDevice { .. } => "a block device",
                other => other.noun(),
            };
            add("kind", name(one).to_owned(), name(other).to_owned());
        }
    }
    // Nobody looks at the mode of a link.
    let has_mode = !(matches!(before.kind, Kind::Symlink(_)) && matches!(after.kind, Kind::Symlink(_)));
    if has_mode {
        add(
            "mode",
            format!("{:04o}", before.mode),
            format!("{:04o}", after.mode),
        );
    }
    let owner = |entry: &Entry| format!("{}:{}", entry.uid, entry.gid);
    add("owner", owner(before), owner(after));
    let names: BTreeSet<&String> = before.xattrs.keys().chain(after.xattrs.keys()).collect();
    for name in names {
        let value = |entry: &Entry| match entry.xattrs.get(name) {
            Some(value) => value.iter().map(|byte| format!("{byte:02x}")).collect(),
            None => "none".to_owned(),
        };
        add(name, value(before), value(after));
    }
    Ok(all)
}

/// The packages of an image: by rpm's database in it, or by the manifest beside it. None: there is neither.
fn packages(files: &mut Files) -> Result<Option<rpmdb::Packages>, Error> {
    if let Some(bytes) = database(files)? {
        return rpmdb::packages(&bytes)
            .map(Some)
            .map_err(|source| files.unread(source));
    }
    let listed = inspect::packages(&files.file).map_err(Box::new)?;
    Ok(listed.map(|all| {
        let mut packages = rpmdb::Packages::new();
        for nevra in all {
            let (name, version) = split(&nevra);
            packages.entry(name).or_default().push(version);
        }
        packages
    }))
}

/// Bytes of the files of each package, by `NAME.ARCH`, as rpm's database says; nothing: there is none.
pub(crate) fn sizes(files: &mut Files) -> Result<std::collections::BTreeMap<String, u64>, Error> {
    match database(files)? {
        Some(bytes) => rpmdb::sizes(&bytes).map_err(|source| files.unread(source)),
        None => Ok(std::collections::BTreeMap::new()),
    }
}

/// rpm's database. Beside it may be SQLite's write-ahead log, and what is in that is newer.
fn database(files: &mut Files) -> Result<Option<Vec<u8>>, Error> {
    for place in rpmdb::PLACES {
        let Ok((id, size)) = files.file(place) else {
            continue;
        };
        let log = format!("{place}-wal");
        if files.file(&log).is_ok_and(|(_, size)| size > 0) {
            let file = files.file.clone();
            return Err(Error::Unmerged { file, log });
        }
        if let Some(bytes) = files.whole(id, size, LARGEST)? {
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}

/// The packages, each as `NAME-[EPOCH:]VERSION-RELEASE.ARCH`, sorted.
pub(crate) fn identities(files: &mut Files) -> Result<Option<Vec<String>>, Error> {
    let told = |(name, versions): (String, Vec<String>)| {
        let (name, arch) = match name.rsplit_once('.') {
            Some((name, arch)) => (name.to_owned(), format!(".{arch}")),
            None => (name, String::new()),
        };
        versions
            .into_iter()
            .map(move |version| format!("{name}-{version}{arch}"))
    };
    Ok(packages(files)?.map(|all| all.into_iter().flat_map(told).collect()))
}

/// `NAME-[EPOCH:]VERSION-RELEASE.ARCH` as `NAME.ARCH` and the rest, which are what a database has.
fn split(nevra: &str) -> (String, String) {
    let (rest, arch) = nevra.rsplit_once('.').unwrap_or((nevra, ""));
    let mut parts = rest.rsplitn(3, '-');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(release), Some(version), Some(name)) => {
            (format!("{name}.{arch}"), format!("{version}-{release}"))
        }
        _ => (nevra.to_owned(), String::new()),
    }
}

fn of_packages(mut before: rpmdb::Packages, mut after: rpmdb::Packages) -> Vec<Package> {
    let names: BTreeSet<String> = before.keys().chain(after.keys()).cloned().collect();
    let package = |name: String| Package {
        before: before.remove(&name).unwrap_or_default(),
        after: after.remove(&name).unwrap_or_default(),
        name,
    };
    names
        .into_iter()
        .map(package)
        .filter(|package| package.before != package.after)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_packages_are_taken_apart() {
        let pair = |one: &str, other: &str| (one.to_owned(), other.to_owned());
        assert_eq!(
            split("gcc-c++-1:13.2-1.kl1.x86_64"),
            pair("gcc-c++.x86_64", "1:13.2-1.kl1")
        );
        assert_eq!(split("odd"), pair("odd", ""));
    }
}
