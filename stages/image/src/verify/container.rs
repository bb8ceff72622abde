//! A container's layout, of which the digest of the manifest alone is signed: all else in it follows from that, or is wrong.

use std::{collections::BTreeSet, path::Path};

use keel_artefact::{Arch, Sha256};

use super::files;
use crate::{
    Error,
    layout::{Layout, MANIFEST, Manifest},
    write::oci,
};

/// What the files of a layout say besides its manifest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Container<'a> {
    /// Its tag.
    pub(crate) tag: &'a str,
    /// What it runs on.
    pub(crate) arch: Arch,
}

/// Has the folder this container, and nothing but what belongs to it, byte for byte?
pub(super) fn check(path: &Path, digest: &Sha256, container: Container<'_>) -> Result<(), String> {
    let told = |error: Error| error.to_string();
    // Before anything is read of it: only folders and regular files, and these alone.
    let blobs = path.join("blobs/sha256");
    if !files::is_folder(path) {
        let there = fs_err::symlink_metadata(path).is_ok();
        return Err(if there {
            "it is no folder, and should be one"
        } else {
            "it is missing"
        }
        .to_owned());
    }
    let top = names(path)?;
    for name in ["blobs", "index.json", "oci-layout"] {
        if !top.contains(name) {
            return Err(format!("its `{name}` is missing"));
        }
    }
    if let Some(name) = top
        .iter()
        .find(|name| !matches!(name.as_str(), "blobs" | "index.json" | "oci-layout"))
    {
        return Err(format!("its `{name}` belongs to nothing"));
    }
    if !files::is_folder(&path.join("blobs")) || !files::is_folder(&blobs) {
        return Err("its `blobs/sha256` is no folder".to_owned());
    }
    if let Some(name) = names(&path.join("blobs"))?.iter().find(|name| *name != "sha256") {
        return Err(format!("its `blobs/{name}` belongs to nothing"));
    }
    for name in ["index.json", "oci-layout"] {
        files::open(&path.join(name))
            .map_err(told)?
            .map_err(|what| format!("its `{name}`: {what}"))?;
    }
    let there = names(&blobs)?;
    for name in &there {
        files::open(&blobs.join(name))
            .map_err(told)?
            .map_err(|what| format!("its blob {name}: {what}"))?;
    }

    let layout = Layout::open(path).map_err(told)?;
    let index = layout.index().map_err(told)?;
    let [image] = index.manifests.as_slice() else {
        return Err(format!(
            "it has {} images, and should have one",
            index.manifests.len()
        ));
    };
    if image.digest != *digest {
        return Err(format!(
            "its manifest is {}, and should be {digest}",
            image.digest
        ));
    }
    if image.media_type != MANIFEST {
        return Err(format!(
            "it calls its manifest `{}`, and should `{MANIFEST}`",
            image.media_type
        ));
    }
    let manifest: Manifest = layout.parsed(image).map_err(told)?;
    let mut wanted = BTreeSet::from([image.digest.to_hex()]);
    for blob in manifest.layers.iter().chain([&manifest.config]) {
        let name = blob.digest.to_hex();
        if !there.contains(&name) {
            return Err(format!("its blob {name} is missing"));
        }
        // Its size, too.
        layout.blob(blob).map_err(told)?;
        if !wanted.insert(name.clone()) {
            continue;
        }
        if files::wrong_with(&blobs.join(&name), &blob.digest, None)
            .map_err(told)?
            .is_some()
        {
            return Err(format!("its blob {name} is damaged"));
        }
    }
    if let Some(name) = there.difference(&wanted).next() {
        return Err(format!("its blob {name} belongs to nothing"));
    }
    // Tags and annotations, in bytes: what they are is a function of what is signed.
    let expected = [
        (
            "index.json",
            oci::index(image.digest, image.size, container.tag, container.arch),
        ),
        ("oci-layout", oci::LAYOUT_VERSION.to_vec()),
    ];
    for (name, bytes) in expected {
        if files::wrong_with(&path.join(name), &Sha256::of(&bytes), None)
            .map_err(told)?
            .is_some()
        {
            return Err(format!("its `{name}` is not what belongs to its manifest"));
        }
    }
    Ok(())
}

/// What is in a folder.
fn names(folder: &Path) -> Result<BTreeSet<String>, String> {
    let entries = fs_err::read_dir(folder).map_err(|error| error.to_string())?;
    let name = |entry: std::io::Result<fs_err::DirEntry>| match entry {
        Ok(entry) => Ok(entry.file_name().to_string_lossy().into_owned()),
        Err(error) => Err(error.to_string()),
    };
    entries.map(name).collect()
}
