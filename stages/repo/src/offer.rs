//! What somebody else's repository offers: the packages that its metadata tells of, with all that a solver must know.
//!
//! Where the bytes come from is the caller's: `repomd.xml` and its signature, then the file that [`primary`] names, then
//! packages. Any rpm-md repository will do, not only one of Keel's, as long as its digests are SHA-256.
//!
//! 1. [`primary`]: the record of `primary.xml` in `repomd.xml`, whose signature was checked.
//! 2. [`read`]: the packages of it, each with its digest. What is for another architecture than the wanted one is passed over,
//!    and of several versions of what is left the newest counts.

use std::{collections::BTreeMap, io::Read as _};

use keel_artefact::{
    Arch, Comparison, Dependency, Epoch, Evr, Interrupt, Nevra, PackageArch, PackageName, Provide, Sha256,
    interrupt::Interrupted,
};
use keel_build::{BuiltPackage, Kind, built::Output};

use crate::{
    manifest::{self, Record, Tag, Walked, digest, number, walk},
    metadata,
};

/// The most that `repomd.xml` or its signature may have, in bytes.
pub const LARGEST_MANIFEST: u64 = 1 << 20;
/// The most that `primary` may have, packed or not.
const LARGEST: u64 = 1 << 30;
/// The longest path of a package in its repository.
const LONGEST: usize = 512;

/// Why the list of packages cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// What is wrong with it.
    #[error("{0}")]
    Wrong(String),
    /// The user ended it.
    #[error("{0}")]
    Interrupted(#[from] Interrupted),
}

/// Where the list of packages is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Primary(Record);

impl Primary {
    /// Its path, relative to the repository.
    pub fn location(&self) -> String {
        format!("repodata/{}", self.0.file)
    }

    /// Its digest as it lies there.
    pub fn digest(&self) -> Sha256 {
        self.0.digest
    }

    /// Its size as it lies there, in bytes.
    pub fn size(&self) -> u64 {
        self.0.size
    }
}

/// A package of the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// The name of its source package.
    pub source: String,
    /// Its path, relative to the repository.
    pub location: String,
    /// What it is, provides and requires. Its component is none yet: its name stands for it.
    pub output: Output,
    /// What should be installed with it.
    pub recommends: Vec<Dependency>,
    /// With what it should be installed.
    pub supplements: Vec<Dependency>,
    /// One line.
    pub summary: String,
}

/// The record of `primary` in the text of `repomd.xml`. The error says what is wrong.
pub fn primary(repomd: &[u8]) -> Result<Primary, String> {
    let text = std::str::from_utf8(repomd).map_err(|error| error.to_string())?;
    let record = manifest::record(text, "primary")?;
    if record.size.max(record.open_size) > LARGEST {
        return Err(format!("its `primary` has more than {LARGEST} bytes"));
    }
    let primary = Primary(record);
    match is_inside(&primary.location()) {
        true => Ok(primary),
        false => Err(format!("`{}` is no path in a repository", primary.location())),
    }
}

/// The packages of `primary` that are for `arch` or for all, sorted by name; its bytes are `packed`.
pub fn read(
    primary: &Primary,
    packed: &[u8],
    arch: Arch,
    interrupt: &Interrupt,
) -> Result<Vec<Offered>, Error> {
    let text = text(&primary.0, packed).map_err(Error::Wrong)?;
    let offered = packages(&text, arch, interrupt);
    // Then that is why it ended.
    interrupt.check()?;
    offered.map_err(Error::Wrong)
}

/// The list, if it is what `repomd.xml` says.
fn text(record: &Record, packed: &[u8]) -> Result<String, String> {
    metadata::check_packed(record, packed)?;
    let document = unpack(record, packed)?;
    let found = Sha256::of(&document);
    if found != record.open_digest {
        return Err(format!(
            "the digest of its content is {found}, repomd.xml says {}",
            record.open_digest
        ));
    }
    String::from_utf8(document).map_err(|error| error.to_string())
}

/// The content, as its file's name says it is packed.
fn unpack(record: &Record, packed: &[u8]) -> Result<Vec<u8>, String> {
    let mut document = Vec::new();
    let limit = record.open_size.saturating_add(1);
    let end = record.file.rsplit('.').next().unwrap_or_default();
    let result = match end {
        "xml" => packed.take(limit).read_to_end(&mut document),
        "gz" => flate2::read::MultiGzDecoder::new(packed)
            .take(limit)
            .read_to_end(&mut document),
        "zst" => zstd::Decoder::new(packed).and_then(|reader| reader.take(limit).read_to_end(&mut document)),
        "xz" => liblzma::read::XzDecoder::new_multi_decoder(packed)
            .take(limit)
            .read_to_end(&mut document),
        other => {
            return Err(format!(
                "`.{other}` is no form that Keel reads: it has to be gz, xz or zst"
            ));
        }
    };
    result.map_err(|error| error.to_string())?;
    Ok(document)
}

fn packages(xml: &str, arch: Arch, interrupt: &Interrupt) -> Result<Vec<Offered>, String> {
    let mut newest: BTreeMap<PackageName, Offered> = BTreeMap::new();
    let mut draft = Draft::default();
    walk(xml, &mut |path, event| {
        interrupt.check().map_err(|interrupted| interrupted.to_string())?;
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        match (path.as_slice(), event) {
            (["metadata", "package"], Walked::Start(_)) => draft = Draft::default(),
            (["metadata", "package"], Walked::End) => {
                let Some(new) = std::mem::take(&mut draft).complete(arch)? else {
                    return Ok(());
                };
                let name = new.output.package.nevra.name.clone();
                let evr = |offered: &Offered| offered.output.package.nevra.evr.clone();
                let is_newer = newest
                    .get(&name)
                    .is_none_or(|there| evr(there).compare(&evr(&new)).is_lt());
                if is_newer {
                    newest.insert(name, new);
                }
            }
            (["metadata", "package", field], event) => draft.take(field, event)?,
            (["metadata", "package", "format", field], event) => draft.format(field, event)?,
            (["metadata", "package", "format", list, "rpm:entry"], Walked::Start(tag)) => {
                draft.entry(list, &tag)?;
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(newest.into_values().collect())
}

#[derive(Default)]
struct Draft {
    name: Option<String>,
    arch: Option<String>,
    evr: Option<Evr>,
    digest: Option<Sha256>,
    size: Option<u64>,
    built: Option<u64>,
    location: Option<String>,
    source: Option<String>,
    summary: String,
    provides: Vec<Dependency>,
    requires: Vec<Dependency>,
    conflicts: Vec<Dependency>,
    obsoletes: Vec<Dependency>,
    recommends: Vec<Dependency>,
    supplements: Vec<Dependency>,
    files: Vec<String>,
}

impl Draft {
    fn take(&mut self, field: &str, event: Walked<'_>) -> Result<(), String> {
        match (field, event) {
            ("name", Walked::Text(text)) => self.name = Some(text.to_owned()),
            ("arch", Walked::Text(text)) => self.arch = Some(text.to_owned()),
            ("summary", Walked::Text(text)) => text.clone_into(&mut self.summary),
            ("checksum", Walked::Start(tag)) if tag.attribute("type")?.as_deref() != Some("sha256") => {
                return Err("a package's checksum is not a SHA-256".to_owned());
            }
            ("checksum", Walked::Text(text)) => self.digest = Some(digest(text)?),
            ("version", Walked::Start(tag)) => self.evr = evr(&tag)?,
            ("size", Walked::Start(tag)) => {
                self.size = tag.attribute("package")?.map(|text| number(&text)).transpose()?;
            }
            ("time", Walked::Start(tag)) => {
                self.built = tag.attribute("build")?.map(|text| number(&text)).transpose()?;
            }
            ("location", Walked::Start(tag)) => self.location = tag.attribute("href")?,
            _ => {}
        }
        Ok(())
    }

    fn format(&mut self, field: &str, event: Walked<'_>) -> Result<(), String> {
        match (field, event) {
            ("rpm:sourcerpm", Walked::Text(text)) => self.source = source_name(text),
            ("file", Walked::Text(text)) if text.starts_with('/') => self.files.push(text.to_owned()),
            _ => {}
        }
        Ok(())
    }

    fn entry(&mut self, list: &str, tag: &Tag<'_>) -> Result<(), String> {
        let list = match list {
            "rpm:provides" => &mut self.provides,
            "rpm:requires" => &mut self.requires,
            "rpm:conflicts" => &mut self.conflicts,
            "rpm:obsoletes" => &mut self.obsoletes,
            "rpm:recommends" => &mut self.recommends,
            "rpm:supplements" => &mut self.supplements,
            _ => return Ok(()),
        };
        let name = tag.attribute("name")?.ok_or("a dependency has no name")?;
        let comparison = match tag.attribute("flags")?.as_deref() {
            None => None,
            Some("EQ") => Some(Comparison::Equal),
            Some("LT") => Some(Comparison::Less),
            Some("LE") => Some(Comparison::LessOrEqual),
            Some("GT") => Some(Comparison::Greater),
            Some("GE") => Some(Comparison::GreaterOrEqual),
            Some(other) => return Err(format!("`{other}` is no comparison of versions")),
        };
        let version = match comparison {
            Some(comparison) => evr(tag)?.map(|evr| (comparison, evr)),
            None => None,
        };
        list.push(Dependency { name, version });
        Ok(())
    }

    /// None for a package that is not used: of another architecture than `wanted` (Keel need not know it), or a source package.
    fn complete(self, wanted: Arch) -> Result<Option<Offered>, String> {
        let name = self.name.ok_or("a package has no name")?;
        let missing = |what: &str| format!("the package `{name}` has no {what}");
        let arch = self.arch.ok_or_else(|| missing("architecture"))?;
        let fits = [PackageArch::Noarch, PackageArch::Arch(wanted)];
        let Some(arch) = fits.into_iter().find(|fits| fits.to_string() == arch) else {
            return Ok(None);
        };
        let parsed: PackageName = name
            .parse()
            .map_err(|error: keel_artefact::name::ParseError| error.to_string())?;
        let nevra = Nevra {
            name: parsed,
            evr: self.evr.ok_or_else(|| missing("version"))?,
            arch,
        };
        let location = self.location.ok_or_else(|| missing("location"))?;
        if !is_inside(&location) {
            return Err(format!(
                "`{nevra}` lies at `{location}`, which is no path in a repository"
            ));
        }
        let provides = self.provides.into_iter().map(|provide| Provide {
            name: provide.name,
            evr: provide.version.map(|(_, evr)| evr),
        });
        let is_debug = name.ends_with("-debuginfo") || name.ends_with("-debugsource");
        let package = BuiltPackage {
            component: name.parse().map_err(|_| missing("plain name"))?,
            kind: if is_debug { Kind::Debug } else { Kind::Binary },
            rpm: self.digest.ok_or_else(|| missing("checksum"))?,
            size: self.size.ok_or_else(|| missing("size"))?,
            epoch: Epoch(self.built.ok_or_else(|| missing("time of build"))?),
            // Metadata does not say; the header does.
            scriptlets: false,
            nevra,
        };
        Ok(Some(Offered {
            source: self.source.unwrap_or(name),
            location,
            output: Output {
                package,
                provides: provides.collect(),
                requires: self.requires,
                conflicts: self.conflicts,
                obsoletes: self.obsoletes,
                files: self.files,
            },
            recommends: self.recommends,
            supplements: self.supplements,
            summary: self.summary,
        }))
    }
}

/// `epoch`, `ver` and `rel` of an element; none without a version.
fn evr(tag: &Tag<'_>) -> Result<Option<Evr>, String> {
    let Some(version) = tag.attribute("ver")? else {
        return Ok(None);
    };
    let epoch = tag.attribute("epoch")?.unwrap_or_default();
    let epoch = match epoch.as_str() {
        "" => 0,
        text => text.parse().map_err(|_| format!("`{text}` is not an epoch"))?,
    };
    let release = tag.attribute("rel")?.unwrap_or_default();
    Ok(Some(Evr {
        epoch,
        version,
        release,
    }))
}

/// `zlib-1.3.1-1.src.rpm` → `zlib`.
fn source_name(file: &str) -> Option<String> {
    let mut parts = file.rsplitn(3, '-');
    let name = (parts.next(), parts.next(), parts.next()).2?;
    (!name.is_empty()).then(|| name.to_owned())
}

/// A path below the repository, and nothing else: it becomes a part of an address, where `%2e` may be read as `.`, and `%2f` as `/`.
fn is_inside(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    if lower.contains("%2e") || lower.contains("%2f") {
        return false;
    }
    let is_good = |part: &str| !matches!(part, "" | "." | "..");
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._+~^/%".contains(c);
    path.len() <= LONGEST && path.split('/').all(is_good) && path.chars().all(is_plain)
}

#[cfg(test)]
mod tests;
