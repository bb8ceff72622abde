//! A tree as a container: gzip layers in the OCI image layout, as a folder or as one tar file.
//!
//! Formats: <https://github.com/opencontainers/image-spec> 1.0 (image-layout, manifest, config, layer). gzip, not
//! zstd, because umoci 0.4 does not read zstd.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::Path,
};

use keel_artefact::{Arch, Epoch, Sha256};
use keel_store::Store;
use serde::Serialize;

use crate::{
    Error,
    error::At,
    layers::Packed,
    layout::{INDEX, MANIFEST, TAG},
};

/// The file `oci-layout`.
pub(crate) const LAYOUT_VERSION: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
/// Where programs are looked for, if the image does not say.
pub(crate) const PATH: &str = "/usr/bin";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// What the container is, besides its files.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What it was built for.
    pub arch: Arch,
    /// Its time: of the newest package.
    pub created: Epoch,
    /// Its tag in the layout.
    pub tag: String,
    /// Annotations of the manifest: title, version and the like.
    pub annotations: BTreeMap<String, String>,
    /// The program that always runs.
    pub entrypoint: Vec<String>,
    /// Its default arguments.
    pub cmd: Vec<String>,
    /// Environment; `PATH` is added if it is not there.
    pub env: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Working directory.
    pub workdir: Option<String>,
    /// `user`, `uid`, `user:group` or `uid:gid`.
    pub user: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: &'static str,
    digest: String,
    size: u64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<Platform>,
}

#[derive(Serialize)]
struct Platform {
    architecture: &'static str,
    os: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    schema_version: u32,
    media_type: &'static str,
    config: Descriptor,
    layers: Vec<Descriptor>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u32,
    media_type: &'static str,
    manifests: Vec<Descriptor>,
}

#[derive(Serialize)]
struct Config<'a> {
    created: String,
    architecture: &'static str,
    os: &'static str,
    config: Run<'a>,
    rootfs: RootFs,
    history: Vec<History<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Run<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    user: &'a Option<String>,
    env: Vec<String>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    entrypoint: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    cmd: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    working_dir: &'a Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
struct RootFs {
    #[serde(rename = "type")]
    kind: &'static str,
    diff_ids: Vec<String>,
}

#[derive(Serialize)]
struct History<'a> {
    created: String,
    created_by: &'static str,
    comment: &'a str,
}

/// Writes the layout into `dir`, which must not exist, and returns the digest of the manifest: the image's identity.
///
/// Layers come with what their history says of them, the lowest first, and from the store.
pub fn layout(
    layers: &[(String, Packed)],
    store: &Store,
    settings: &Settings,
    dir: &Path,
) -> Result<Sha256, Error> {
    let blobs = dir.join("blobs/sha256");
    fs_err::create_dir_all(&blobs).at("make", "an OCI layout")?;
    let mut descriptors = Vec::new();
    for (_, layer) in layers {
        let blob = blobs.join(layer.digest.to_hex());
        // Two layers may have the same bytes: of files without a difference but their names' order, say.
        if !blob.exists() {
            store.copy_object(&layer.digest, &blob)?;
            let synced = fs_err::File::open(&blob).and_then(|file| file.sync_all());
            synced.at("write", blob.display())?;
        }
        descriptors.push(descriptor(LAYER, layer.digest, layer.size));
    }
    let config = put(
        &blobs,
        &config(settings, layers),
        "application/vnd.oci.image.config.v1+json",
    )?;
    let manifest = Manifest {
        schema_version: 2,
        media_type: MANIFEST,
        config,
        layers: descriptors,
        annotations: settings.annotations.clone(),
    };
    let bytes = json(&manifest);
    let identity = Sha256::of(&bytes);
    write_file(&blobs.join(identity.to_hex()), &bytes)?;
    let index = index(identity, bytes.len() as u64, &settings.tag, settings.arch);
    write_file(&dir.join("index.json"), &index)?;
    write_file(&dir.join("oci-layout"), LAYOUT_VERSION)?;
    Ok(identity)
}

/// `index.json` of a layout with one image: digest and size of its manifest, its tag, and what it runs on.
pub(crate) fn index(manifest: Sha256, size: u64, tag: &str, arch: Arch) -> Vec<u8> {
    let mut entry = descriptor(MANIFEST, manifest, size);
    entry.annotations = BTreeMap::from([(TAG.to_owned(), tag.to_owned())]);
    entry.platform = Some(Platform {
        architecture: arch.oci(),
        os: "linux",
    });
    json(&Index {
        schema_version: 2,
        media_type: INDEX,
        manifests: vec![entry],
    })
}

/// Packs a layout into one tar file, sorted, with one time for all.
pub fn archive(layout: &Path, created: Epoch, file: &Path) -> Result<(), Error> {
    let what = || file.display().to_string();
    let out = fs_err::File::create(file).at("write", what())?;
    let mut archive = ::tar::Builder::new(io::BufWriter::with_capacity(256 * 1024, out));
    let mut names = vec!["index.json".to_owned(), "oci-layout".to_owned()];
    for entry in fs_err::read_dir(layout.join("blobs/sha256")).at("read", what())? {
        let entry = entry.at("read", what())?;
        names.push(format!("blobs/sha256/{}", entry.file_name().to_string_lossy()));
    }
    names.extend(["blobs/".to_owned(), "blobs/sha256/".to_owned()]);
    names.sort();
    for name in names {
        let mut header = ::tar::Header::new_ustar();
        header.set_mtime(created.0);
        header.set_uid(0);
        header.set_gid(0);
        if name.ends_with('/') {
            header.set_entry_type(::tar::EntryType::Directory);
            header.set_mode(0o755);
            header.set_size(0);
            archive
                .append_data(&mut header, &name, io::empty())
                .at("write", what())?;
        } else {
            let content = fs_err::File::open(layout.join(&name)).at("read", what())?;
            header.set_mode(0o644);
            header.set_size(content.metadata().at("read", what())?.len());
            archive
                .append_data(&mut header, &name, content)
                .at("write", what())?;
        }
    }
    let mut out = archive.into_inner().at("write", what())?;
    out.flush()
        .and_then(|()| out.get_ref().sync_all())
        .at("write", what())
}

fn config<'a>(settings: &'a Settings, layers: &'a [(String, Packed)]) -> Config<'a> {
    let mut env = settings.env.clone();
    env.entry("PATH".into()).or_insert_with(|| PATH.into());
    Config {
        created: settings.created.rfc3339(),
        architecture: settings.arch.oci(),
        os: "linux",
        config: Run {
            user: &settings.user,
            env: env.iter().map(|(key, value)| format!("{key}={value}")).collect(),
            entrypoint: &settings.entrypoint,
            cmd: &settings.cmd,
            working_dir: &settings.workdir,
            labels: &settings.labels,
        },
        rootfs: RootFs {
            kind: "layers",
            diff_ids: layers
                .iter()
                .map(|(_, layer)| format!("sha256:{}", layer.diff_id))
                .collect(),
        },
        history: layers
            .iter()
            .map(|(title, _)| History {
                created: settings.created.rfc3339(),
                created_by: "keel image build",
                comment: title,
            })
            .collect(),
    }
}

fn descriptor(media_type: &'static str, digest: Sha256, size: u64) -> Descriptor {
    let digest = format!("sha256:{digest}");
    Descriptor {
        media_type,
        digest,
        size,
        annotations: BTreeMap::new(),
        platform: None,
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("structs of strings and numbers are JSON")
}

fn put(blobs: &Path, value: &impl Serialize, media_type: &'static str) -> Result<Descriptor, Error> {
    let bytes = json(value);
    let digest = Sha256::of(&bytes);
    write_file(&blobs.join(digest.to_hex()), &bytes)?;
    Ok(descriptor(media_type, digest, bytes.len() as u64))
}

pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let write = || {
        let mut file = fs_err::File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().at("write", path.display())
}
