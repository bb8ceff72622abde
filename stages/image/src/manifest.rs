//! The list beside an image's files: what is in it, what came out.

use std::path::PathBuf;

use keel_artefact::{Arch, Epoch, ImageName, Nevra, Sha256, format};
use keel_config::image::Format;
use serde::{Deserialize, Serialize};

use crate::{finalise::Changed, selinux::Labels, verify::Container};

/// The version of `manifest.json`.
pub const FORMAT: format::Version = format::Version(1);
/// Its name.
pub const MANIFEST: &str = "manifest.json";
/// The name of the list of digests, which `sha256sum -c` reads.
pub const SUMS: &str = "SHA256SUMS";

/// A finished image: `manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Built {
    /// Version of this format.
    pub format: format::Version,
    /// The image.
    pub image: ImageName,
    /// The distribution's version.
    pub version: String,
    /// What it runs on.
    pub arch: Arch,
    /// Its time.
    pub clock: Epoch,
    /// Digest of the tree that all its files were written from.
    pub tree: Sha256,
    /// Its packages, by name.
    pub packages: Vec<Package>,
    /// What each finaliser changed in the tree, besides what packages hold: paths, sorted.
    #[serde(default)]
    pub changed: Changed,
    /// What of SELinux is in its files, if they have labels.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub selinux: Option<Labels>,
    /// Its files, by name.
    pub files: Vec<File>,
    /// What a direct boot needs, of an image that boots.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub boot: Option<Boot>,
    /// The folder it lies in; not in the file, which can be moved.
    #[serde(skip)]
    pub dir: PathBuf,
}

/// A package of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Its identity.
    pub nevra: Nevra,
    /// Digest of the RPM file in the repository.
    pub sha256: Sha256,
}

/// A file of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Its name in the folder of the image; for an OCI layout, of a folder there.
    pub name: String,
    /// `oci`, `oci-archive`, `tar`, `cpio`, `wsl`, `raw`, `qcow2`, `vhd`, `vhdx`, `kernel`, `initrd`; `lock`, `spdx`, `cyclonedx`.
    pub format: String,
    /// Digest of the file; of an OCI layout, of its manifest.
    pub sha256: Sha256,
    /// Its size in bytes; of an OCI layout, of all its blobs.
    pub size: u64,
}

/// How the disk starts, for QEMU's direct boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boot {
    /// The whole command line.
    pub cmdline: String,
    /// The kernel's name in the folder of the image.
    pub kernel: String,
    /// The initial RAM disk's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub initrd: Option<String>,
    /// `uname -r`.
    pub release: String,
}

impl Built {
    /// The path of the file in this format.
    pub fn file(&self, format: Format) -> Option<PathBuf> {
        let file = self.files.iter().find(|file| file.format == format.as_str())?;
        Some(self.dir.join(&file.name))
    }

    /// What its layout says, if it has one: its tag is the distribution's version.
    pub(crate) fn container(&self) -> Container<'_> {
        Container {
            tag: &self.version,
            arch: self.arch,
        }
    }

    /// As it is written to `manifest.json`.
    pub fn json(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("structs of strings and numbers are JSON");
        bytes.push(b'\n');
        bytes
    }

    /// As it is written to `SHA256SUMS`: all files but the OCI layout, which is a folder with digests as names.
    pub fn sums(&self) -> String {
        let files = self.files.iter().filter(|file| file.format != "oci");
        let manifest = format!("{}  {MANIFEST}\n", Sha256::of(&self.json()));
        files
            .map(|file| format!("{}  {}\n", file.sha256, file.name))
            .chain([manifest])
            .collect()
    }
}
