//! Finished containers, read back: an OCI image layout as a folder, or as one tar file.
//!
//! Format: <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>. What a layout says is checked: blobs are
//! named by digests, and have them; documents have bounds.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use keel_artefact::{Interrupt, Sha256};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    Error,
    error::At,
    files::{
        Entry, Kind,
        archive::{Archive, Member},
        tar,
    },
};

/// Of a manifest or an index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Of a manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Under which annotation a layout has the tag of an image.
pub const TAG: &str = "org.opencontainers.image.ref.name";
/// The largest manifest or index that is read, in bytes: what registries take.
pub const MAX_DOCUMENT: u64 = 4 << 20;
/// How deep an index may lie in another.
const MAX_DEPTH: usize = 3;

/// A reference to a blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What it is.
    pub media_type: String,
    /// Its digest.
    #[serde(with = "digest")]
    pub digest: Sha256,
    /// Its size in bytes.
    pub size: u64,
    /// What else is said of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// What it runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

impl Descriptor {
    /// Of these bytes.
    pub fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: Sha256::of(bytes),
            size: bytes.len() as u64,
            annotations: BTreeMap::new(),
            platform: None,
        }
    }

    /// Is it a list of manifests, of ours or of Docker's kind?
    pub fn is_index(&self) -> bool {
        self.media_type == INDEX || self.media_type.ends_with(".manifest.list.v2+json")
    }

    /// Is it an image's manifest, of ours or of Docker's kind?
    pub fn is_manifest(&self) -> bool {
        self.media_type == MANIFEST || self.media_type.ends_with(".docker.distribution.manifest.v2+json")
    }
}

/// What an image runs on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Platform {
    /// In Go's words: `amd64`, `arm64`.
    pub architecture: String,
    /// `linux`.
    pub os: String,
    /// Of an architecture that has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant
            .iter()
            .try_for_each(|variant| write!(f, "/{variant}"))
    }
}

/// A list of manifests.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// 2.
    pub schema_version: u32,
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Its manifests, and other indexes.
    pub manifests: Vec<Descriptor>,
    /// What else is said of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// What an image consists of.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// How it runs.
    pub config: Descriptor,
    /// Its files, the lowest layer first.
    pub layers: Vec<Descriptor>,
    /// What else is said of it.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

/// `sha256:` and 64 digits.
pub(crate) mod digest {
    use keel_artefact::Sha256;
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    pub fn serialize<S: Serializer>(digest: &Sha256, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("sha256:{digest}"))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Sha256, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(&text).ok_or_else(|| D::Error::custom(format!("`{text}` is no SHA-256 digest")))
    }

    /// Lower-case digits only: a digest is a name, and has one form.
    pub fn parse(text: &str) -> Option<Sha256> {
        let digits = text.strip_prefix("sha256:")?;
        let digest: Sha256 = digits.parse().ok()?;
        (digest.to_hex() == digits).then_some(digest)
    }
}

/// A layout on this machine.
#[derive(Debug)]
pub struct Layout {
    path: PathBuf,
    /// Where its files are in the tar file that it is, by name: offset and size.
    packed: Option<BTreeMap<String, (u64, u64)>>,
}

/// Where bytes lie on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// In this file.
    pub file: PathBuf,
    /// From this byte on.
    pub from: u64,
    /// So many.
    pub size: u64,
}

impl Place {
    /// A reader of what is there, after `skip` bytes.
    pub fn open(&self, skip: u64) -> std::io::Result<impl Read + use<>> {
        let mut file = fs_err::File::open(&self.file)?;
        file.seek(SeekFrom::Start(self.from + skip))?;
        Ok(file.take(self.size.saturating_sub(skip)))
    }
}

impl Layout {
    /// Opens the folder or tar file at `path`.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let packed = match path.is_dir() {
            true => None,
            false => Some(packed(path)?),
        };
        let layout = Self {
            path: path.to_owned(),
            packed,
        };
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Version {
            image_layout_version: String,
        }
        let version: Version = layout.json("oci-layout", &layout.small_file("oci-layout")?)?;
        match version.image_layout_version.starts_with("1.") {
            true => Ok(layout),
            false => Err(layout.wrong(format!("it has version {}", version.image_layout_version))),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it holds.
    pub fn index(&self) -> Result<Index, Error> {
        self.json("index.json", &self.small_file("index.json")?)
    }

    /// The one image, or index of images, that it holds; with `tag`, the one that is called so.
    pub fn image(&self, tag: Option<&str>) -> Result<Descriptor, Error> {
        let index = self.index()?;
        let mut fitting = index
            .manifests
            .iter()
            .filter(|one| tag.is_none_or(|tag| one.annotations.get(TAG).is_some_and(|name| name == tag)));
        match (fitting.next(), fitting.next()) {
            (Some(one), None) => Ok(one.clone()),
            (None, _) => Err(self.wrong("it holds no image".to_owned())),
            (Some(_), Some(_)) => Err(self.wrong("it holds several images".to_owned())),
        }
    }

    /// Is the blob there? A layout for one architecture may have an index of several.
    pub fn has(&self, blob: &Descriptor) -> bool {
        self.place(&blob_name(blob)).is_ok()
    }

    /// Where a blob lies. Its bytes are not looked at.
    pub fn blob(&self, blob: &Descriptor) -> Result<Place, Error> {
        let place = self.place(&blob_name(blob))?;
        match place.size == blob.size {
            true => Ok(place),
            false => {
                let (digest, found, wanted) = (blob.digest, place.size, blob.size);
                Err(self.wrong(format!(
                    "blob {digest} has {found} bytes, and should have {wanted}"
                )))
            }
        }
    }

    /// A manifest or an index: its bytes, which have the digest that names them.
    pub fn document(&self, blob: &Descriptor) -> Result<Vec<u8>, Error> {
        let place = self.blob(blob)?;
        if place.size > MAX_DOCUMENT {
            return Err(self.wrong(format!("manifest {} has {} bytes", blob.digest, place.size)));
        }
        let mut bytes = Vec::new();
        let read = place
            .open(0)
            .and_then(|mut reader| reader.read_to_end(&mut bytes));
        read.at("read", self.path.display())?;
        match Sha256::of(&bytes) == blob.digest {
            true => Ok(bytes),
            false => Err(self.wrong(format!("blob {} is damaged", blob.digest))),
        }
    }

    /// The same, understood.
    pub fn parsed<T: DeserializeOwned>(&self, blob: &Descriptor) -> Result<T, Error> {
        self.json(&blob.digest.to_hex(), &self.document(blob)?)
    }

    /// All blobs that `image` stands on, each once, what is pointed to before what points there: an index comes last.
    pub fn blobs_of(&self, image: &Descriptor) -> Result<Vec<Descriptor>, Error> {
        let (mut all, mut seen) = (Vec::new(), BTreeSet::new());
        self.collect(image, MAX_DEPTH, &mut all, &mut seen)?;
        Ok(all)
    }

    fn collect(
        &self,
        blob: &Descriptor,
        depth: usize,
        all: &mut Vec<Descriptor>,
        seen: &mut BTreeSet<Sha256>,
    ) -> Result<(), Error> {
        if !seen.insert(blob.digest) {
            return Ok(());
        }
        if blob.is_index() {
            if depth == 0 {
                return Err(self.wrong("its indexes lie too deep in each other".to_owned()));
            }
            for one in self.parsed::<Index>(blob)?.manifests {
                self.collect(&one, depth - 1, all, seen)?;
            }
        } else if blob.is_manifest() {
            let manifest: Manifest = self.parsed(blob)?;
            for part in manifest.layers.into_iter().chain([manifest.config]) {
                if seen.insert(part.digest) {
                    all.push(part);
                }
            }
        }
        all.push(blob.clone());
        Ok(())
    }

    fn place(&self, name: &str) -> Result<Place, Error> {
        let missing = || self.wrong(format!("it has no `{name}`"));
        match &self.packed {
            Some(files) => {
                let (from, size) = *files.get(name).ok_or_else(missing)?;
                let file = self.path.clone();
                Ok(Place { file, from, size })
            }
            None => {
                let file = self.path.join(name);
                let metadata = fs_err::metadata(&file).map_err(|_| missing())?;
                // Whoever opens a pipe waits.
                if !metadata.is_file() {
                    return Err(self.wrong(format!("its `{name}` is no file")));
                }
                let (from, size) = (0, metadata.len());
                Ok(Place { file, from, size })
            }
        }
    }

    fn small_file(&self, name: &str) -> Result<Vec<u8>, Error> {
        let place = self.place(name)?;
        if place.size > MAX_DOCUMENT {
            return Err(self.wrong(format!("its `{name}` has {} bytes", place.size)));
        }
        let mut bytes = Vec::new();
        let read = place
            .open(0)
            .and_then(|mut reader| reader.read_to_end(&mut bytes));
        read.at("read", self.path.display())?;
        Ok(bytes)
    }

    fn json<T: DeserializeOwned>(&self, name: &str, bytes: &[u8]) -> Result<T, Error> {
        serde_json::from_slice(bytes).map_err(|error| self.wrong(format!("`{name}`: {error}")))
    }

    pub(crate) fn wrong(&self, why: String) -> Error {
        Error::Layout {
            path: self.path.clone(),
            why,
        }
    }
}

fn blob_name(blob: &Descriptor) -> String {
    format!("blobs/sha256/{}", blob.digest)
}

/// Where the files of a tar file are.
fn packed(path: &Path) -> Result<BTreeMap<String, (u64, u64)>, Error> {
    let read = || -> std::io::Result<_> {
        let interrupt = Interrupt::default();
        let file = fs_err::File::open(path)?.into_parts().0;
        let mut archive = Archive::new(&interrupt);
        let mut files = BTreeMap::new();
        for (name, member) in tar::list(file, &mut archive, &interrupt)? {
            if let Member::Entry(Entry {
                kind: Kind::File { id, size },
                ..
            }) = member
                && let Some(at) = archive.place(id)
            {
                files.insert(name.as_str().trim_start_matches('/').to_owned(), (at, size));
            }
        }
        Ok(files)
    };
    read().map_err(|error| Error::Layout {
        path: path.to_owned(),
        why: error.to_string(),
    })
}
