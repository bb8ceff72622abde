//! What is in a stage0: its packages, and every compiled file by digest and build-id. Kept beside the layers as
//! `manifest.json`.

use std::{
    collections::BTreeSet,
    io::Read as _,
    path::{Path, PathBuf},
};

use keel_artefact::{Arch, Interrupt, RootPath, Sha256, format};
use object::Object as _;
use serde::{Deserialize, Serialize};

use super::{Deb, Stage0Spec};
use crate::Error;

/// The version of `manifest.json`.
pub const FORMAT: format::Version = format::Version(1);

/// The record of a stage0.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this format.
    pub format: format::Version,
    /// [`super::Stage0::digest`].
    pub digest: Sha256,
    /// Debian's release.
    pub suite: String,
    /// Architecture of the programs.
    pub arch: Arch,
    /// The installed packages, sorted.
    pub packages: Vec<Deb>,
    /// Every ELF file, object and archive, sorted by path.
    pub files: Vec<Compiled>,
    #[serde(skip)]
    digests: BTreeSet<Sha256>,
    #[serde(skip)]
    build_ids: BTreeSet<String>,
}

/// A compiled file of stage0.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Compiled {
    /// In the whole root.
    pub path: RootPath,
    /// Of its bytes.
    pub sha256: Sha256,
    /// Its build-id in hexadecimal digits, if it has one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub build_id: Option<String>,
}

impl Manifest {
    /// Has stage0 a compiled file with these bytes?
    pub fn has_digest(&self, digest: &Sha256) -> bool {
        self.digests.contains(digest)
    }

    /// Has stage0 a program or library with this build-id (hexadecimal digits)?
    pub fn has_build_id(&self, build_id: &str) -> bool {
        self.build_ids.contains(build_id)
    }

    /// Digests of all compiled files.
    pub fn digests(&self) -> &BTreeSet<Sha256> {
        &self.digests
    }

    /// Build-ids of all compiled files that have one.
    pub fn build_ids(&self) -> &BTreeSet<String> {
        &self.build_ids
    }

    /// Looks at all layers in `folder`.
    pub(crate) fn of(
        folder: &Path,
        digest: Sha256,
        spec: &Stage0Spec,
        packages: Vec<Deb>,
        interrupt: &Interrupt,
    ) -> Result<Self, Error> {
        let mut files = Vec::new();
        for layer in ["tools", "libc-dev", "libc"] {
            let layer = folder.join(layer);
            let mut folders = vec![layer.clone()];
            while let Some(folder) = folders.pop() {
                interrupt.check()?;
                for entry in fs_err::read_dir(&folder)? {
                    let entry = entry?;
                    let kind = entry.file_type()?;
                    if kind.is_dir() {
                        folders.push(entry.path());
                    } else if kind.is_file() {
                        files.extend(compiled(&layer, entry.path())?);
                    }
                }
            }
        }
        files.sort();
        let (suite, arch) = (spec.suite.clone(), spec.arch);
        let (digests, build_ids) = Default::default();
        Ok(Self {
            format: FORMAT,
            digest,
            suite,
            arch,
            packages,
            files,
            digests,
            build_ids,
        })
    }

    pub(crate) fn write(&self, path: &Path) -> Result<(), Error> {
        let json = serde_json::to_vec(self).map_err(std::io::Error::from)?;
        Ok(fs_err::write(path, json)?)
    }

    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let mut new: Self = serde_json::from_slice(&fs_err::read(path)?).map_err(std::io::Error::from)?;
        new.format
            .check(path.display().to_string(), FORMAT)
            .map_err(|mismatch| Error::Unexpected {
                program: "keel",
                why: mismatch.to_string(),
            })?;
        // An archive without members (glibc's libdl.a, kept for old makefiles) has nothing of anybody's in it.
        let empty_archive = Sha256::of(b"!<arch>\n");
        let digests = new.files.iter().map(|file| file.sha256);
        new.digests = digests.filter(|digest| *digest != empty_archive).collect();
        new.build_ids = new
            .files
            .iter()
            .filter_map(|file| file.build_id.clone())
            .collect();
        Ok(new)
    }
}

/// The record of a file, if it is compiled: by its first bytes, not its name.
fn compiled(layer: &Path, path: PathBuf) -> Result<Option<Compiled>, Error> {
    let mut file = fs_err::File::open(&path)?;
    let mut bytes = Vec::with_capacity(8);
    (&mut file).take(8).read_to_end(&mut bytes)?;
    let is_elf = bytes.starts_with(b"\x7fELF");
    if !is_elf && !bytes.starts_with(b"!<arch>\n") && !bytes.starts_with(b"!<thin>\n") {
        return Ok(None);
    }
    file.read_to_end(&mut bytes)?;
    let build_id = match object::File::parse(bytes.as_slice()) {
        // A file that cannot be parsed has no build-id that a linker would have written.
        Ok(parsed) if is_elf => parsed.build_id().ok().flatten().map(hex),
        _ => None,
    };
    let inside = path
        .strip_prefix(layer)
        .ok()
        .and_then(Path::to_str)
        .map(|path| format!("/{path}"));
    let inside = inside
        .and_then(|path| path.parse().ok())
        .ok_or_else(|| Error::Unpack {
            path: path.clone(),
            why: "its name is not UTF-8".to_owned(),
        })?;
    Ok(Some(Compiled {
        path: inside,
        sha256: Sha256::of(&bytes),
        build_id,
    }))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
