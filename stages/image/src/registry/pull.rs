//! A container from a registry into an OCI image layout.
//!
//! Blobs land in the store, where they are found again: by the next pull, and by this one if it is run again after it broke, which
//! goes on where it was (`Range`). Names of files are digests that were checked, never what a registry says.

use std::{
    collections::BTreeMap,
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use keel_artefact::{Arch, Event, Interrupt, Sha256, Sink, interrupt::Interrupted, parallel};
use keel_store::Store;
use serde::{Serialize, de::DeserializeOwned};
use ureq::http::{Method, header};

use super::{
    Answer, Error, Options, Reference,
    client::{Ask, Client, with_client},
    error::Failure,
    words::scope,
};
use crate::{
    error::At,
    fresh::Fresh,
    layout::{Descriptor, INDEX, Index, MANIFEST, MAX_DOCUMENT, Manifest, TAG},
    write::oci,
};

/// The most manifests of one index.
const MAX_MANIFESTS: usize = 64;
/// What is understood.
const KINDS: [&str; 4] = [
    MANIFEST,
    INDEX,
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pulled {
    /// From where.
    pub reference: String,
    /// Its digest: of its manifest, or index.
    pub digest: Sha256,
    /// Blobs that were sent.
    pub fetched: Vec<Sha256>,
    /// Blobs that were in the store.
    pub there: Vec<Sha256>,
    /// The layout.
    pub dir: PathBuf,
}

/// Which images of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// That for an architecture.
    For(Arch),
    /// All, and the index.
    All,
}

/// Pulls `reference` into the new folder `dir`.
pub fn pull(
    reference: &Reference,
    which: Which,
    dir: &Path,
    options: &Options,
    store: &Store,
    sink: &dyn Sink,
    interrupt: &Interrupt,
) -> Result<Pulled, Error> {
    if dir.exists() {
        return Err(Error::Exists(dir.to_owned()));
    }
    let scopes = vec![scope(&reference.repository, "pull")];
    with_client(reference, scopes, options, interrupt, |client| {
        let pull = Pull {
            client,
            store,
            sink,
            interrupt,
        };
        let (image, documents) = pull.documents(which)?;
        let blobs = pull.blobs(&documents)?;
        let fetched = parallel::map(&blobs, interrupt, |blob| {
            pull.blob(blob)
                .map_err(|failure| failure.when("pull", format_args!("blob {}", blob.digest), reference))
        })?;
        pull.lay(&image, &documents, &blobs, dir)?;
        let list = |wanted| {
            let all = blobs
                .iter()
                .zip(&fetched)
                .filter(move |(_, fetched)| **fetched == wanted);
            all.map(|(blob, _)| blob.digest).collect()
        };
        Ok(Pulled {
            reference: reference.to_string(),
            digest: image.digest,
            fetched: list(true),
            there: list(false),
            dir: dir.to_owned(),
        })
    })
}

struct Pull<'a> {
    client: &'a Client<'a>,
    store: &'a Store,
    sink: &'a dyn Sink,
    interrupt: &'a Interrupt,
}

/// Manifests and indexes, with their bytes.
type Documents = Vec<(Descriptor, Vec<u8>)>;

impl Pull<'_> {
    /// What is pulled, and all manifests of it.
    fn documents(&self, which: Which) -> Result<(Descriptor, Documents), Error> {
        let reference = self.client.reference;
        let told = |failure: Failure| failure.when("pull", "the manifest", reference);
        let (image, bytes) = self
            .manifest(&reference.version(), reference.digest)
            .map_err(told)?;
        if !image.is_index() {
            return Ok((image.clone(), vec![(image, bytes)]));
        }
        let index: Index = parsed(&bytes).map_err(told)?;
        let one = |listed: &Descriptor| -> Result<(Descriptor, Vec<u8>), Error> {
            let got = self.manifest(&format!("sha256:{}", listed.digest), Some(listed.digest));
            let (found, bytes) = got.map_err(told)?;
            match found.is_manifest() {
                true => Ok((found, bytes)),
                false => Err(told(
                    Answer::Nonsense("its index lists an index".to_owned()).into(),
                )),
            }
        };
        match which {
            Which::For(arch) => {
                let fits = |listed: &&Descriptor| {
                    let platform = listed.platform.as_ref();
                    platform.is_some_and(|of| of.os == "linux" && of.architecture == arch.oci())
                };
                let listed = index.manifests.iter().find(fits).ok_or_else(|| {
                    let platforms = index
                        .manifests
                        .iter()
                        .filter_map(|listed| listed.platform.as_ref());
                    let plain = |text: String| text.chars().filter(|c| !c.is_control()).take(60).collect();
                    told(
                        Answer::NoPlatform {
                            wanted: format!("linux/{}", arch.oci()),
                            there: platforms
                                .take(20)
                                .map(|platform| plain(platform.to_string()))
                                .collect(),
                        }
                        .into(),
                    )
                })?;
                let (image, bytes) = one(listed)?;
                Ok((image.clone(), vec![(image, bytes)]))
            }
            Which::All => {
                if index.manifests.len() > MAX_MANIFESTS {
                    let many = format!("its index lists {} manifests", index.manifests.len());
                    return Err(told(Answer::Nonsense(many).into()));
                }
                let mut all = index
                    .manifests
                    .iter()
                    .map(one)
                    .collect::<Result<Documents, Error>>()?;
                all.push((image.clone(), bytes));
                Ok((image, all))
            }
        }
    }

    /// A manifest or index by tag or digest: of the right digest, if it is known, and of a kind that is understood.
    fn manifest(&self, version: &str, wanted: Option<Sha256>) -> Result<(Descriptor, Vec<u8>), Failure> {
        let uri = self.client.uri(&format!("manifests/{version}"))?;
        let ask = Ask::new(Method::GET, uri).header(header::ACCEPT, KINDS.join(", "));
        self.client.retry(&|| 0, || {
            let response = self.client.wanted(self.client.download(ask.clone())?, &[200])?;
            let kind = response.headers().get(header::CONTENT_TYPE);
            let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
            let kind = kind.split(';').next().unwrap_or_default().trim();
            let kind = KINDS.into_iter().find(|known| *known == kind);
            let bytes = self.client.bytes(response, MAX_DOCUMENT)?;
            let kind = kind.ok_or_else(|| Answer::Nonsense("what it has is no image".to_owned()))?;
            let found = Descriptor::of(kind, &bytes);
            match wanted {
                Some(wanted) if wanted != found.digest => {
                    let found = found.digest;
                    Err(Answer::WrongBytes { found, wanted }.into())
                }
                _ => Ok((found, bytes)),
            }
        })
    }

    /// The blobs of all manifests, each once.
    fn blobs(&self, documents: &Documents) -> Result<Vec<Descriptor>, Error> {
        let told = |failure: Failure| failure.when("pull", "the manifest", self.client.reference);
        let mut all: BTreeMap<Sha256, Descriptor> = BTreeMap::new();
        for (document, bytes) in documents {
            if document.is_manifest() {
                let manifest: Manifest = parsed(bytes).map_err(told)?;
                let parts = manifest.layers.into_iter().chain([manifest.config]);
                all.extend(parts.map(|part| (part.digest, part)));
            }
        }
        Ok(all.into_values().collect())
    }

    /// Brings a blob into the store, unless it is there. Says whether it was fetched.
    fn blob(&self, blob: &Descriptor) -> Result<bool, Failure> {
        let limit = self.client.options.limits.blob;
        if blob.size > limit {
            return Err(Answer::TooBig { limit }.into());
        }
        let here = |error: keel_store::Error| Failure::from(io::Error::other(error));
        let claim = self.store.claim(&blob.digest, self.interrupt, &mut |_| {})?;
        let _claim = claim.ok_or(Interrupted)?;
        match self.store.verify(&blob.digest) {
            Ok(()) => return Ok(false),
            Err(keel_store::Error::Missing(_) | keel_store::Error::Damaged { .. }) => {}
            Err(error) => return Err(here(error)),
        }
        let folder = self.store.dir().join("tmp/partial");
        fs_err::create_dir_all(&folder)?;
        let partial = folder.join(format!("blob-{}", blob.digest));
        let id = format!("blob:{}", blob.digest.short());
        let start = std::time::Instant::now();
        let (title, total) = (id.as_str(), Some(blob.size));
        self.sink.event(Event::Started {
            id: &id,
            title,
            total,
        });
        let result = self.client.retry(&|| length(&partial), || {
            self.part(blob, &partial, &id)?;
            let (found, _) = Sha256::of_file(&partial)?;
            if found == blob.digest {
                return Ok(());
            }
            fs_err::remove_file(&partial)?;
            let wanted = blob.digest;
            Err(Answer::WrongBytes { found, wanted }.into())
        });
        let outcome = match result {
            Ok(()) => keel_artefact::event::Outcome::Done,
            Err(_) => keel_artefact::event::Outcome::Failed,
        };
        self.sink.event(Event::Finished {
            id: &id,
            outcome,
            elapsed: start.elapsed(),
        });
        result?;
        self.store.adopt(&partial).map_err(here)?;
        Ok(true)
    }

    /// One request: appends to the partial file what is missing.
    fn part(&self, blob: &Descriptor, partial: &Path, id: &str) -> Result<(), Failure> {
        let mut have = length(partial);
        if have > blob.size {
            fs_err::remove_file(partial)?;
            have = 0;
        }
        if have == blob.size && have > 0 {
            return Ok(());
        }
        let uri = self.client.uri(&format!("blobs/sha256:{}", blob.digest))?;
        let mut ask = Ask::new(Method::GET, uri);
        if have > 0 {
            ask = ask.header(header::RANGE, format!("bytes={have}-"));
        }
        let response = self.client.wanted(self.client.download(ask)?, &[200, 206])?;
        let mut file = fs_err::OpenOptions::new()
            .create(true)
            .append(true)
            .open(partial)?;
        if response.status() == 206 {
            let range = response.headers().get(header::CONTENT_RANGE);
            let range = range.and_then(|range| range.to_str().ok()).unwrap_or_default();
            if !range.starts_with(&format!("bytes {have}-")) {
                return Err(Answer::Nonsense("another range than the one asked for".to_owned()).into());
            }
        } else {
            file.set_len(0)?;
            have = 0;
        }
        let mut reader = response.into_body().into_reader();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            self.interrupt.check()?;
            self.sink.event(Event::Progress { id, done: have });
            let n = match reader.read(&mut buffer) {
                Ok(0) if have < blob.size => {
                    let (found, wanted) = (have, blob.size);
                    return Err(Answer::Truncated { found, wanted }.into());
                }
                Ok(0) => return Ok(()),
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.client.read_failure(&error)),
            };
            have += n as u64;
            if have > blob.size {
                drop(file);
                fs_err::remove_file(partial)?;
                return Err(Answer::TooBig { limit: blob.size }.into());
            }
            file.write_all(&buffer[..n])?;
        }
    }

    /// Writes the layout; nothing is visible under its name before it is whole.
    fn lay(
        &self,
        image: &Descriptor,
        documents: &Documents,
        blobs: &[Descriptor],
        dir: &Path,
    ) -> Result<(), Error> {
        let reference = self.client.reference;
        let fresh = Fresh::new(dir)?;
        let folder = fresh.path.join("blobs/sha256");
        fs_err::create_dir_all(&folder).at("make", folder.display())?;
        for blob in blobs {
            self.interrupt.check()?;
            self.store
                .copy_object(&blob.digest, &folder.join(blob.digest.to_hex()))?;
        }
        for (document, bytes) in documents {
            oci::write_file(&folder.join(document.digest.to_hex()), bytes)?;
        }
        let mut entry = image.clone();
        let tag = reference.tag.clone().filter(|_| reference.digest.is_none());
        let tag = tag.or_else(|| reference.digest.is_none().then(|| "latest".to_owned()));
        entry.annotations = tag.into_iter().map(|tag| (TAG.to_owned(), tag)).collect();
        let index = Index {
            schema_version: 2,
            media_type: Some(INDEX.to_owned()),
            manifests: vec![entry],
            annotations: BTreeMap::new(),
        };
        let index = serde_json::to_vec(&index).expect("structs of strings and numbers are JSON");
        oci::write_file(&fresh.path.join("index.json"), &index)?;
        oci::write_file(&fresh.path.join("oci-layout"), oci::LAYOUT_VERSION)?;
        Ok(fresh.show(dir)?)
    }
}

fn parsed<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    // What serde says may quote what the registry sent; line and column say enough.
    serde_json::from_slice(bytes).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Answer::Nonsense(format!("its manifest is none (line {line}, column {column})")).into()
    })
}

fn length(path: &Path) -> u64 {
    fs_err::metadata(path).map_or(0, |metadata| metadata.len())
}
