//! Bills of materials: what an image consists of, put together once and written in two forms, [SPDX 2.3](spdx) and
//! [CycloneDX 1.6](cyclonedx).
//!
//! They say, of every package: identity, digest, licence, vendor, what it requires of the others, which source package it was made from; of
//! every source package that was built here, its files with their digests and where they may be fetched.
//!
//! The same image has the same bytes: times are the image's, identities come from the content.

pub(crate) mod cyclonedx;
mod licence;
pub(crate) mod spdx;

use std::collections::BTreeMap;

use keel_artefact::{Arch, ComponentName, Epoch, Evr, Nevra, Rich, Sha256, purl};
use keel_rpm::solve::{self, Package, Pool, Repository, Target};

use crate::{
    Built, Candidate,
    manifest::File,
    origin::{Material, Source},
};

use licence::Licence;

/// What wrote it.
const TOOL: &str = "keel";
/// Its version.
const TOOL_VERSION: &str = env!("CARGO_PKG_VERSION");

/// How the names of the documents end, after the image's name.
pub(crate) const SPDX: &str = "spdx.json";
pub(crate) const CYCLONEDX: &str = "cdx.json";

/// What a document says, as far as it is compared with others: digests of packages by name and version, and of files by name.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) packages: BTreeMap<String, Sha256>,
    pub(crate) files: BTreeMap<String, Sha256>,
}

/// What an image consists of.
pub(crate) struct Bill<'a> {
    image: &'a str,
    distro: &'a str,
    version: &'a str,
    arch: Arch,
    clock: Epoch,
    tree: Sha256,
    /// It leaves as a container, and as nothing else.
    is_container: bool,
    /// Its files.
    files: &'a [File],
    /// By name.
    packages: Vec<Item<'a>>,
    /// By file name.
    sources: Vec<SourcePackage<'a>>,
}

/// A package of it.
struct Item<'a> {
    package: &'a Candidate,
    purl: String,
    licence: Licence,
    /// The packages that meet what it requires: places in the list.
    needs: Vec<usize>,
    /// The source package: a place in the list.
    source: Option<usize>,
}

/// A source package that packages were made from.
struct SourcePackage<'a> {
    /// Its file's name.
    file: &'a str,
    name: String,
    evr: String,
    purl: String,
    component: &'a ComponentName,
    vendor: Option<&'a str>,
    material: Option<&'a Material>,
}

impl SourcePackage<'_> {
    fn files(&self) -> &[Source] {
        self.material.map_or(&[], |material| &material.sources)
    }
}

impl<'a> Bill<'a> {
    /// Of an image whose files are complete.
    pub(crate) fn new(
        built: &'a Built,
        distro: &'a str,
        is_container: bool,
        chosen: &[&'a Candidate],
    ) -> Result<Self, solve::Error> {
        let mut sources: BTreeMap<(&str, &ComponentName), SourcePackage<'a>> = BTreeMap::new();
        for package in chosen {
            if let Some(file) = package.info.source_rpm.as_deref() {
                let key = (file, &package.origin.component);
                sources
                    .entry(key)
                    .or_insert_with(|| SourcePackage::of(file, package, distro));
            }
        }
        let places: BTreeMap<_, usize> = sources.keys().copied().zip(0..).collect();
        let needs = needs(chosen)?;
        let of_distro = format!("{distro}-{}", built.version);
        let item = |(package, needs): (&&'a Candidate, Vec<usize>)| {
            let source = package.info.source_rpm.as_deref();
            let place = source.and_then(|file| places.get(&(file, &package.origin.component)));
            Item {
                package,
                purl: package_url(&package.info.nevra, distro, &of_distro, source),
                licence: Licence::of(&package.info.licence),
                needs,
                source: place.copied(),
            }
        };
        Ok(Self {
            image: built.image.as_str(),
            distro,
            version: &built.version,
            arch: built.arch,
            clock: built.clock,
            tree: built.tree,
            is_container,
            files: &built.files,
            packages: chosen.iter().zip(needs).map(item).collect(),
            sources: sources.into_values().collect(),
        })
    }
}

impl<'a> SourcePackage<'a> {
    fn of(file: &'a str, package: &'a Candidate, distro: &str) -> Self {
        let nevra: Option<Nevra> = file.strip_suffix(".rpm").and_then(|name| name.parse().ok());
        // The file's name has no epoch; the package's is the source's, but where a SPEC says otherwise of a subpackage.
        let (name, evr) = match nevra {
            Some(nevra) => (nevra.name.to_string(), nevra.evr.to_string()),
            None => (file.to_owned(), String::new()),
        };
        Self {
            file,
            purl: purl("rpm", &distro.to_lowercase(), &name, &evr, &[("arch", "src")]),
            name,
            evr,
            component: &package.origin.component,
            vendor: package.info.vendor.as_deref(),
            material: package.origin.material.as_deref(),
        }
    }
}

/// `pkg:rpm/DISTRO/NAME@VERSION-RELEASE`, with what scanners look for: architecture, distribution, source package.
/// (<https://github.com/package-url/purl-spec/blob/main/types-doc/rpm-definition.md>)
pub(crate) fn package_url(nevra: &Nevra, distro: &str, of_distro: &str, source: Option<&str>) -> String {
    let Evr {
        epoch,
        version,
        release,
    } = &nevra.evr;
    let epoch = match epoch {
        0 => String::new(),
        epoch => epoch.to_string(),
    };
    let qualifiers = [
        ("arch", &*nevra.arch.to_string()),
        ("distro", of_distro),
        ("epoch", &epoch),
        ("upstream", source.unwrap_or_default()),
    ];
    let version = format!("{version}-{release}");
    purl(
        "rpm",
        &distro.to_lowercase(),
        nevra.name.as_str(),
        &version,
        &qualifiers,
    )
}

/// For each package, which of the others meet what it requires; of a boolean requirement, all that it names and that are there.
fn needs(chosen: &[&Candidate]) -> Result<Vec<Vec<usize>>, solve::Error> {
    let repository = Repository {
        name: "image".to_owned(),
        packages: Package::all(chosen.iter().map(|package| &package.info)),
        ..Repository::default()
    };
    let pool = Pool::new(&[repository], &Target::default())?;
    let of_one = |(place, package): (usize, &&Candidate)| {
        let mut needs = Vec::new();
        for dependency in &package.info.requires {
            if let Ok(rich) = Rich::of(dependency) {
                rich.leaves(&mut |leaf| {
                    needs.extend(pool.provide(leaf).into_iter().map(|id| pool.place(id)));
                });
            }
        }
        needs.retain(|need| *need != place);
        needs.sort_unstable();
        needs.dedup();
        needs
    };
    Ok(chosen.iter().enumerate().map(of_one).collect())
}

/// As JSON for people and programs.
fn text(document: &serde_json::Value) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(document).expect("texts and numbers are JSON");
    bytes.push(b'\n');
    bytes
}
