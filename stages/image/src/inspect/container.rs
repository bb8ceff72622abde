//! What is in a container: the images of an OCI layout, how each runs, and its layers.
//!
//! Formats: the manifest, index and configuration of <https://github.com/opencontainers/image-spec>, and Docker's, which have the same
//! keys. Whoever made the layout may have left out what is not there: such a manifest or layer is told as missing.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Read},
    path::{Path, PathBuf},
};

use keel_artefact::{Interrupt, Sha256};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    Error, error,
    files::unpack::{self, Method},
    layout::{Descriptor, Index, Layout, Manifest, Platform, TAG, digest},
    write::hashed::Hashed,
};

/// The most images of a layout that are told.
const MOST_IMAGES: usize = 256;
/// The most layers of an image: runtimes take 127.
const MOST_LAYERS: usize = 1024;
/// How deep an index may lie in another.
const DEPTH: usize = 3;
/// What is unpacked of all layers together, to tell their size.
const MOST_UNPACKED: u64 = 16 << 30;
/// Title of a layer, as an annotation.
const TITLE: &str = "org.opencontainers.image.title";

/// A container.
#[derive(Debug, Serialize)]
pub struct Container {
    /// The folder or file.
    pub file: PathBuf,
    /// `oci`, a folder, or `oci-archive`.
    pub format: &'static str,
    /// Bytes of the file; of a folder, of all blobs that its images name.
    pub size: u64,
    /// Its indexes of several images.
    pub indexes: Vec<Listed>,
    /// Its images, in the order of the layout.
    pub images: Vec<One>,
}

/// An index in a layout.
#[derive(Debug, Serialize)]
pub struct Listed {
    /// The tag that it has in the layout.
    pub tag: Option<String>,
    /// Its digest.
    #[serde(with = "digest")]
    pub digest: Sha256,
    /// What else is said of it.
    pub annotations: BTreeMap<String, String>,
    /// The images in it.
    pub platforms: Vec<String>,
}

/// An image of a layout.
#[derive(Debug, Serialize)]
pub struct One {
    /// The tag that it has in the layout.
    pub tag: Option<String>,
    /// Digest of its manifest.
    #[serde(with = "digest")]
    pub digest: Sha256,
    /// Kind of its manifest.
    pub media_type: String,
    /// What it runs on, as the index says or else its configuration.
    pub platform: Option<Platform>,
    /// What else is said of it.
    pub annotations: BTreeMap<String, String>,
    /// How it runs; none: it is no image for a runtime, or not all there.
    pub config: Option<Config>,
    /// Its layers, the lowest first.
    pub layers: Vec<Layer>,
    /// Bytes of its layers, as they are stored.
    pub size: u64,
    /// Bytes of its layers, unpacked; none: that is not known of all.
    pub unpacked: Option<u64>,
    /// What is not there, or not as it should be.
    pub unread: Vec<String>,
}

/// How an image runs.
#[derive(Debug, Default, Serialize)]
pub struct Config {
    /// When it was made.
    pub created: Option<String>,
    /// Who made it.
    pub author: Option<String>,
    /// As whom its program runs.
    pub user: Option<String>,
    /// The program that always runs.
    pub entrypoint: Vec<String>,
    /// Its default arguments, or the program.
    pub cmd: Vec<String>,
    /// `NAME=VALUE`
    pub env: Vec<String>,
    /// Where it starts.
    pub workdir: Option<String>,
    /// Ports that it listens on: `8080/tcp`.
    pub ports: Vec<String>,
    /// Folders whose content is kept elsewhere.
    pub volumes: Vec<String>,
    /// What ends it.
    pub stop_signal: Option<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// A layer.
#[derive(Debug, Serialize)]
pub struct Layer {
    /// Its digest.
    #[serde(with = "digest")]
    pub digest: Sha256,
    /// What it is.
    pub media_type: String,
    /// Its size in bytes, as it is stored.
    pub size: u64,
    /// Unpacked; none: it is not there, or is not unpacked.
    pub unpacked: Option<u64>,
    /// What is said of it: packages, or the command that made it.
    pub title: Option<String>,
}

/// Looks at the layout at `path`. Fails where its documents are not what they should be.
pub(super) fn look(path: &Path, layout: &Layout, interrupt: &Interrupt) -> Result<Container, Error> {
    let mut looking = Looking {
        layout,
        interrupt,
        left: MOST_UNPACKED,
        known: BTreeMap::new(),
        indexes: Vec::new(),
        images: Vec::new(),
        seen: BTreeSet::new(),
        size: 0,
    };
    for one in layout.index()?.manifests {
        let tag = one.annotations.get(TAG).cloned();
        looking.walk(&one, tag, DEPTH)?;
    }
    let is_folder = path.is_dir();
    let size = match is_folder {
        true => looking.size,
        false => error::At::at(fs_err::metadata(path), "read", path.display())?.len(),
    };
    Ok(Container {
        file: path.to_owned(),
        format: if is_folder { "oci" } else { "oci-archive" },
        size,
        indexes: looking.indexes,
        images: looking.images,
    })
}

struct Looking<'a> {
    layout: &'a Layout,
    interrupt: &'a Interrupt,
    /// Bytes that may still be unpacked.
    left: u64,
    /// What became of each layer: images share them.
    known: BTreeMap<Sha256, Result<Seen, String>>,
    indexes: Vec<Listed>,
    images: Vec<One>,
    /// Blobs that were counted.
    seen: BTreeSet<Sha256>,
    size: u64,
}

/// A layer that was read.
#[derive(Clone, Copy)]
struct Seen {
    diff_id: Sha256,
    unpacked: u64,
}

impl Looking<'_> {
    fn count(&mut self, blob: &Descriptor) {
        if self.seen.insert(blob.digest) {
            self.size = self.size.saturating_add(blob.size);
        }
    }

    fn walk(&mut self, one: &Descriptor, tag: Option<String>, depth: usize) -> Result<(), Error> {
        error::check(self.interrupt)?;
        if !one.is_index() {
            if self.images.len() >= MOST_IMAGES {
                return Err(self
                    .layout
                    .wrong(format!("it has more than {MOST_IMAGES} images")));
            }
            let image = self.image(one, tag)?;
            self.images.push(image);
            return Ok(());
        }
        if depth == 0 || self.indexes.len() >= MOST_IMAGES {
            return Err(self
                .layout
                .wrong("its indexes lie too deep in each other".to_owned()));
        }
        let index: Index = self.layout.parsed(one)?;
        self.count(one);
        let name = |one: &Descriptor| match &one.platform {
            Some(platform) => platform.to_string(),
            None => one.digest.short(),
        };
        self.indexes.push(Listed {
            tag: tag.clone(),
            digest: one.digest,
            annotations: index.annotations,
            platforms: index.manifests.iter().map(name).take(MOST_IMAGES).collect(),
        });
        for inner in &index.manifests {
            self.walk(inner, tag.clone(), depth - 1)?;
        }
        Ok(())
    }

    fn image(&mut self, one: &Descriptor, tag: Option<String>) -> Result<One, Error> {
        let mut image = One {
            tag,
            digest: one.digest,
            media_type: one.media_type.clone(),
            platform: one.platform.clone(),
            annotations: one.annotations.clone(),
            config: None,
            layers: Vec::new(),
            size: 0,
            unpacked: None,
            unread: Vec::new(),
        };
        if !one.is_manifest() {
            image
                .unread
                .push(format!("`{}` is not looked into", one.media_type));
            return Ok(image);
        }
        if !self.layout.has(one) {
            image.unread.push("its manifest is not there".to_owned());
            return Ok(image);
        }
        let manifest: Manifest = self.layout.parsed(one)?;
        self.count(one);
        self.count(&manifest.config);
        if manifest.layers.len() > MOST_LAYERS {
            let count = manifest.layers.len();
            return Err(self
                .layout
                .wrong(format!("manifest {} has {count} layers", one.digest)));
        }
        image.annotations.extend(manifest.annotations);
        let mut diff_ids = Vec::new();
        let mut titles = Vec::new();
        let is_config = manifest.config.media_type.ends_with(".image.config.v1+json")
            || manifest.config.media_type.ends_with(".container.image.v1+json");
        if !self.layout.has(&manifest.config) {
            image.unread.push("its configuration is not there".to_owned());
        } else if is_config {
            let document: Document = self.layout.parsed(&manifest.config)?;
            diff_ids = document.rootfs.diff_ids;
            titles = document
                .history
                .into_iter()
                .filter(|step| !step.empty_layer)
                .map(Step::title)
                .collect();
            if let (None, Some(architecture), Some(os)) =
                (&image.platform, document.architecture, document.os)
            {
                let variant = document.variant;
                image.platform = Some(Platform {
                    architecture,
                    os,
                    variant,
                });
            }
            image.config = Some(Config {
                created: document.created,
                author: document.author,
                ..document.config.told()
            });
        }
        if titles.len() != manifest.layers.len() {
            titles = vec![None; manifest.layers.len()];
        }
        let mut unpacked = Some(0_u64);
        for (number, (layer, title)) in manifest.layers.into_iter().zip(titles).enumerate() {
            self.count(&layer);
            let seen = self.layer(&layer)?;
            let said = diff_ids.get(number).map(String::as_str);
            match &seen {
                Ok(seen) if image.config.is_some() && said != Some(&format!("sha256:{}", seen.diff_id)) => {
                    let what = format!(
                        "layer {} is not the one that its configuration names",
                        layer.digest.short()
                    );
                    image.unread.push(what);
                }
                Ok(_) => {}
                Err(why) => image
                    .unread
                    .push(format!("layer {}: {why}", layer.digest.short())),
            }
            let size = seen.ok().map(|seen| seen.unpacked);
            unpacked = unpacked.zip(size).map(|(sum, size)| sum.saturating_add(size));
            image.size = image.size.saturating_add(layer.size);
            image.layers.push(Layer {
                title: layer.annotations.get(TITLE).cloned().or(title),
                digest: layer.digest,
                media_type: layer.media_type,
                size: layer.size,
                unpacked: size,
            });
        }
        image.unpacked = unpacked;
        Ok(image)
    }

    /// Reads a layer to its end, once. Fails only where the user stopped it.
    fn layer(&mut self, layer: &Descriptor) -> Result<Result<Seen, String>, Error> {
        if let Some(known) = self.known.get(&layer.digest) {
            return Ok(known.clone());
        }
        let seen = match self.layout.has(layer) {
            true => self.read(layer),
            false => Err("it is not there".to_owned()),
        };
        error::check(self.interrupt)?;
        self.known.insert(layer.digest, seen.clone());
        Ok(seen)
    }

    fn read(&mut self, layer: &Descriptor) -> Result<Seen, String> {
        let place = self.layout.blob(layer).map_err(|error| error.to_string())?;
        let io = |error: io::Error| error.to_string();
        let mut head = Vec::new();
        let start = place
            .open(0)
            .and_then(|reader| reader.take(6).read_to_end(&mut head));
        start.map_err(io)?;
        let mut whole = Hashed::new(io::sink());
        copy(
            &mut place.open(0).map_err(io)?,
            &mut whole,
            u64::MAX,
            self.interrupt,
        )
        .map_err(io)?;
        let (_, digest, size) = whole.done();
        if digest != layer.digest {
            return Err("it is damaged".to_owned());
        }
        let method: Option<Method> = unpack::method(&head);
        let (diff_id, unpacked) = match method {
            None => (digest, size),
            Some(_) => {
                let mut reader = unpack::reader(place.open(0).map_err(io)?, method).map_err(io)?;
                let mut hashed = Hashed::new(io::sink());
                copy(&mut reader, &mut hashed, self.left, self.interrupt).map_err(io)?;
                let (_, diff_id, unpacked) = hashed.done();
                self.left -= unpacked;
                (diff_id, unpacked)
            }
        };
        Ok(Seen { diff_id, unpacked })
    }
}

/// Copies all, but no more than `most` bytes.
fn copy(reader: &mut impl Read, to: &mut impl io::Write, most: u64, interrupt: &Interrupt) -> io::Result<()> {
    let (mut buffer, mut done) = (vec![0; 1 << 18], 0_u64);
    loop {
        interrupt.check().map_err(io::Error::other)?;
        let n = match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        done += n as u64;
        if done > most {
            return Err(super::damaged(format!(
                "the layers unpack to more than {MOST_UNPACKED} bytes"
            )));
        }
        to.write_all(&buffer[..n])?;
    }
}

/// The configuration as it is written down. What is null is not there.
#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    created: Option<String>,
    #[serde(default)]
    author: Option<String>,
    #[serde(default)]
    architecture: Option<String>,
    #[serde(default)]
    os: Option<String>,
    #[serde(default)]
    variant: Option<String>,
    #[serde(default, deserialize_with = "or_nothing")]
    config: Run,
    #[serde(default, deserialize_with = "or_nothing")]
    rootfs: RootFs,
    #[serde(default, deserialize_with = "or_nothing")]
    history: Vec<Step>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Run {
    user: Option<String>,
    #[serde(default, deserialize_with = "or_nothing")]
    entrypoint: Vec<String>,
    #[serde(default, deserialize_with = "or_nothing")]
    cmd: Vec<String>,
    #[serde(default, deserialize_with = "or_nothing")]
    env: Vec<String>,
    working_dir: Option<String>,
    #[serde(default, deserialize_with = "or_nothing")]
    exposed_ports: BTreeMap<String, serde::de::IgnoredAny>,
    #[serde(default, deserialize_with = "or_nothing")]
    volumes: BTreeMap<String, serde::de::IgnoredAny>,
    stop_signal: Option<String>,
    #[serde(default, deserialize_with = "or_nothing")]
    labels: BTreeMap<String, String>,
}

impl Run {
    fn told(self) -> Config {
        let said = |text: Option<String>| text.filter(|text| !text.is_empty());
        Config {
            created: None,
            author: None,
            user: said(self.user),
            entrypoint: self.entrypoint,
            cmd: self.cmd,
            env: self.env,
            workdir: said(self.working_dir),
            ports: self.exposed_ports.into_keys().collect(),
            volumes: self.volumes.into_keys().collect(),
            stop_signal: said(self.stop_signal),
            labels: self.labels,
        }
    }
}

#[derive(Default, Deserialize)]
struct RootFs {
    #[serde(default, deserialize_with = "or_nothing")]
    diff_ids: Vec<String>,
}

#[derive(Deserialize)]
struct Step {
    #[serde(default)]
    created_by: Option<String>,
    #[serde(default)]
    comment: Option<String>,
    #[serde(default)]
    empty_layer: bool,
}

impl Step {
    /// A tool that says what the layer is says more than the command that made it. BuildKit comments with its own name.
    fn title(self) -> Option<String> {
        let comment = self
            .comment
            .filter(|text| !text.is_empty() && !text.starts_with("buildkit."));
        comment.or(self.created_by).filter(|text| !text.is_empty())
    }
}

fn or_nothing<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}
