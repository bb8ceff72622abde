//! Images of several architectures as one: an index over finished containers.
//!
//! Input: layouts ([`Layout`]) of the same image, each for another architecture. Output: a layout, or a tar file of one, whose
//! only image is an index of theirs, under the tag that they have. Which bytes come out depends on the images alone, not on
//! their order or places.

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use keel_artefact::{Epoch, Interrupt, Sha256};
use serde::Deserialize;

use crate::{
    Error,
    error::{At, check},
    fresh::{self, Fresh},
    layout::{Descriptor, INDEX, Index, Layout, Manifest, Platform, TAG},
    write::oci,
};

const TITLE: &str = "org.opencontainers.image.title";
const VERSION: &str = "org.opencontainers.image.version";

/// A finished index.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Joined {
    /// Digest of the index: the image's identity.
    pub digest: Sha256,
    /// Its tag in the layout.
    pub tag: String,
    /// What it runs on, sorted.
    pub platforms: Vec<Platform>,
    /// Where it lies.
    pub path: PathBuf,
}

/// Joins layouts into `out`: a tar file if it is called `….tar`, else a folder. It takes the place of what was there.
pub fn join(layouts: &[PathBuf], out: &Path, interrupt: &Interrupt) -> Result<Joined, Error> {
    if out.exists() {
        // What is no container is not ours to replace.
        Layout::open(out)?;
    }
    let mut all: BTreeMap<Platform, (Layout, Descriptor)> = BTreeMap::new();
    let mut first: Option<(BTreeMap<String, String>, String)> = None;
    for path in layouts {
        let layout = Layout::open(path)?;
        let wrong = |why: String| Error::Layout {
            path: path.clone(),
            why,
        };
        let image = layout.image(None)?;
        if !image.is_manifest() {
            return Err(wrong("it holds no image of one architecture".to_owned()));
        }
        let manifest: Manifest = layout.parsed(&image)?;
        let tag = image.annotations.get(TAG).cloned().unwrap_or_default();
        let annotations = manifest.annotations.clone();
        let names = |annotations: &BTreeMap<String, String>| {
            [TITLE, VERSION].map(|key| annotations.get(key).cloned().unwrap_or_default())
        };
        match &first {
            None => first = Some((annotations, tag)),
            Some((there, of_first)) if names(there) != names(&annotations) || *of_first != tag => {
                let said = |annotations, tag: &str| {
                    let [title, version] = names(annotations);
                    format!("`{title}` {version} ({tag})")
                };
                let (one, other) = (said(there, of_first), said(&annotations, &tag));
                return Err(wrong(format!("it is {other}, and the first one is {one}")));
            }
            Some(_) => {}
        }
        let platform = match image.platform.clone() {
            Some(platform) => platform,
            None => platform(&layout, &manifest)?,
        };
        if let Some((other, _)) = all.get(&platform) {
            let other = other.path().display();
            return Err(wrong(format!("it is for {platform}, and so is {other}")));
        }
        all.insert(platform, (layout, image));
    }
    let Some((mut annotations, tag)) = first else {
        return Err(Error::Layout {
            path: out.to_owned(),
            why: "no layout is named that it could be made of".to_owned(),
        });
    };
    // Of all of them: the time of one is not the others'.
    annotations.retain(|key, _| !key.ends_with(".created"));
    write(&all, annotations, tag, out, interrupt)
}

fn platform(layout: &Layout, manifest: &Manifest) -> Result<Platform, Error> {
    #[derive(Deserialize)]
    struct Config {
        #[serde(flatten)]
        platform: Platform,
    }
    Ok(layout.parsed::<Config>(&manifest.config)?.platform)
}

fn write(
    all: &BTreeMap<Platform, (Layout, Descriptor)>,
    annotations: BTreeMap<String, String>,
    tag: String,
    out: &Path,
    interrupt: &Interrupt,
) -> Result<Joined, Error> {
    let is_archive = out.extension().is_some_and(|extension| extension == "tar");
    let fresh = Fresh::new(out)?;
    let blobs = fresh.path.join("blobs/sha256");
    fs_err::create_dir_all(&blobs).at("make", blobs.display())?;
    let mut manifests = Vec::new();
    for (platform, (layout, image)) in all {
        for blob in layout.blobs_of(image)? {
            check(interrupt)?;
            copy(layout, &blob, &blobs.join(blob.digest.to_hex()))?;
        }
        manifests.push(Descriptor {
            platform: Some(platform.clone()),
            annotations: BTreeMap::new(),
            ..image.clone()
        });
    }
    let index = |manifests, annotations| {
        let index = Index {
            schema_version: 2,
            media_type: Some(INDEX.to_owned()),
            manifests,
            annotations,
        };
        serde_json::to_vec(&index).expect("structs of strings and numbers are JSON")
    };
    let bytes = index(manifests, annotations);
    let mut entry = Descriptor::of(INDEX, &bytes);
    let digest = entry.digest;
    oci::write_file(&blobs.join(digest.to_hex()), &bytes)?;
    entry.annotations = BTreeMap::from([(TAG.to_owned(), tag.clone())]);
    oci::write_file(
        &fresh.path.join("index.json"),
        &index(vec![entry], BTreeMap::new()),
    )?;
    oci::write_file(&fresh.path.join("oci-layout"), oci::LAYOUT_VERSION)?;
    if is_archive {
        let archive = fresh::beside(out, "new.tar");
        let written = oci::archive(&fresh.path, Epoch(0), &archive)
            .and_then(|()| fs_err::rename(&archive, out).at("write", out.display()));
        if written.is_err() {
            fresh::remove(&archive)?;
        }
        written?;
    } else {
        fresh.show(out)?;
    }
    Ok(Joined {
        digest,
        tag,
        platforms: all.keys().cloned().collect(),
        path: out.to_owned(),
    })
}

/// Copies a blob, which must have the digest that names it.
fn copy(layout: &Layout, blob: &Descriptor, to: &Path) -> Result<(), Error> {
    if to.exists() {
        return Ok(());
    }
    let place = layout.blob(blob)?;
    let copied = || {
        let mut file = fs_err::File::create(to)?;
        io::copy(&mut place.open(0)?, &mut file)?;
        file.flush()?;
        file.sync_all()?;
        Sha256::of_file(to)
    };
    let (found, _) = copied().at("write", to.display())?;
    match found == blob.digest {
        true => Ok(()),
        false => Err(Error::Layout {
            path: layout.path().to_owned(),
            why: format!("blob {} is damaged", blob.digest),
        }),
    }
}
