//! The stage as the flow calls it: a repository and stage0 in, an image out.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use keel_artefact::{Arch, Epoch, Interrupt, Sink};
use keel_config::{Image, Project};
use keel_host::{mkfs_erofs, mkfs_ext4, mksquashfs, rpmdb, stage0::Stage0, xorriso};
use keel_repo::Repository;
use keel_store::Store;

use crate::{
    Built, Candidate, Error, Origins, Request,
    audit::Foreign,
    check::{self, Checked},
    error::At,
    lock::Locked,
    manifest::{self, MANIFEST},
    provenance::Signer,
    tools::{Erofs, Ext4, Failure, Iso, Squashfs, Tools},
};

/// What is recorded of an image, besides what is in it.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    /// Where each package of the repository comes from.
    pub origins: &'a Origins,
    /// Who signs the provenance.
    pub signer: Signer<'a>,
    /// What its packages must be.
    pub locked: Option<&'a Locked>,
}

/// What an image is made of.
#[derive(Clone, Copy)]
pub struct Ingredients<'a> {
    /// Its definition.
    pub image: &'a Image,
    /// Where its packages are.
    pub repository: &'a Repository,
    /// The tree that defines it.
    pub project: &'a Project,
    /// What it is to run on.
    pub arch: Arch,
    /// What lends tools.
    pub stage0: &'a Stage0,
    /// What is recorded of it.
    pub record: Record<'a>,
}

/// Builds an image into `out/NAME`, unless it is there already.
pub fn build(
    of: &Ingredients<'_>,
    out: &Path,
    store: &Store,
    sink: &dyn Sink,
    interrupt: &Interrupt,
) -> Result<Built, Error> {
    let tools = Borrowed {
        stage0: of.stage0,
        store,
        interrupt,
    };
    crate::make(&of.read()?.request(of, out), &tools, store, sink, interrupt)
}

/// Builds `first`, which [`build`] just made of the same, again where everything is different, in `elsewhere`, and compares.
pub fn check(
    of: &Ingredients<'_>,
    first: &Built,
    elsewhere: &Path,
    store: &Store,
    sink: &dyn Sink,
    interrupt: &Interrupt,
) -> Result<Checked, Error> {
    let moved = of.stage0.elsewhere();
    let moved = moved.map_err(|source| Error::Tool {
        tool: "stage0",
        image: of.image.name.to_string(),
        source: source.into(),
    })?;
    let tools = Borrowed {
        stage0: &moved,
        store,
        interrupt,
    };
    let read = of.read()?;
    check::check(
        &read.request(of, elsewhere),
        first,
        &tools,
        store,
        elsewhere,
        sink,
        interrupt,
    )
}

/// What a repository has, read.
struct Offered {
    packages: Vec<Candidate>,
    key: Option<Vec<u8>>,
}

impl Ingredients<'_> {
    fn read(&self) -> Result<Offered, Error> {
        let mut packages = Vec::new();
        for entry in self.repository.installable() {
            let info = keel_rpm::read(&entry.file).map_err(|source| Error::Package {
                package: entry.nevra.to_string(),
                source: source.into(),
            })?;
            let origin = self.record.origins.get(&entry.nevra).cloned();
            packages.push(Candidate {
                info,
                file: entry.file.clone(),
                sha256: entry.digest,
                origin: origin.ok_or_else(|| Error::NoOrigin {
                    package: entry.nevra.to_string(),
                })?,
            });
        }
        let key = match self.repository.certificate() {
            Some(path) => Some(fs_err::read(&path).at("read", path.display())?),
            None => None,
        };
        Ok(Offered { packages, key })
    }
}

impl Offered {
    fn request<'a>(&'a self, of: &Ingredients<'a>, out: &'a Path) -> Request<'a> {
        Request {
            image: of.image,
            distro: &of.project.distro.name,
            version: &of.project.distro.version,
            arch: of.arch,
            packages: &self.packages,
            key: self.key.as_deref(),
            tools_digest: of.stage0.digest,
            out,
            signer: of.record.signer,
            locked: of.record.locked,
            is_elsewhere: false,
        }
    }
}

/// The image as it was built last.
pub fn existing(project: &Project, image: &Image) -> Result<Built, Error> {
    of_folder(&project.output_dir.join("images").join(image.name.as_str()))
}

/// The finished image in a folder, by its manifest.
pub fn of_folder(dir: &Path) -> Result<Built, Error> {
    let path = dir.join(MANIFEST);
    let bytes = fs_err::read(&path).at("read", path.display())?;
    let unread = |error: serde_json::Error| Err(std::io::Error::from(error)).at("read", path.display());
    let mut built: Built = serde_json::from_slice(&bytes).or_else(unread)?;
    built.format.check(path.display().to_string(), manifest::FORMAT)?;
    built.dir = dir.to_owned();
    Ok(built)
}

/// The tools that stage0 lends.
struct Borrowed<'a> {
    stage0: &'a Stage0,
    store: &'a Store,
    interrupt: &'a Interrupt,
}

impl Tools for Borrowed<'_> {
    fn mkfs_erofs(&self, archive: &Path, image: &Path, options: &Erofs<'_>) -> Result<(), Failure> {
        let uuid = options.uuid.to_string();
        let request = mkfs_erofs::Request {
            archive,
            image,
            uuid: &uuid,
            label: options.label,
            clock: options.clock,
            compression: mkfs_erofs::Compression::Lz4hc,
        };
        Ok(mkfs_erofs::make(self.stage0, &request, self.interrupt)?)
    }

    fn mksquashfs(&self, archive: &Path, image: &Path, options: &Squashfs) -> Result<(), Failure> {
        let request = mksquashfs::Request {
            archive,
            image,
            clock: options.clock,
            root: options.root.clone(),
        };
        Ok(mksquashfs::make(self.stage0, &request, self.interrupt)?)
    }

    fn xorriso(&self, folder: &Path, image: &Path, options: &Iso<'_>) -> Result<(), Failure> {
        let guid = options.guid.to_string();
        let request = xorriso::Request {
            folder,
            image,
            volume: options.volume,
            guid: &guid,
            clock: options.clock,
            esp: options.esp,
            mbr: options.mbr,
        };
        Ok(xorriso::make(self.stage0, &request, self.interrupt)?)
    }

    fn mkfs_ext4(&self, archive: &Path, image: &Path, options: &Ext4<'_>) -> Result<(), Failure> {
        let (uuid, hash_seed) = (options.uuid.to_string(), options.hash_seed.to_string());
        let request = mkfs_ext4::Request {
            archive,
            attributes: options.attributes,
            image,
            size: options.layout.size,
            inodes: options.layout.inodes,
            journal_mib: options.layout.journal_mib,
            uuid: &uuid,
            hash_seed: &hash_seed,
            label: options.label,
            clock: options.clock,
        };
        Ok(mkfs_ext4::make(self.stage0, &request, self.interrupt)?)
    }

    fn extract_erofs(&self, image: &Path, folder: &Path) -> Result<(), Failure> {
        Ok(mkfs_erofs::extract(self.stage0, image, folder, self.interrupt)?)
    }

    fn rpmdb(&self, packages: &[PathBuf], clock: Epoch) -> Result<BTreeMap<String, Vec<u8>>, Failure> {
        Ok(rpmdb::make(
            self.stage0,
            self.store,
            packages,
            clock,
            self.interrupt,
        )?)
    }

    fn foreign(&self) -> Result<Foreign, Failure> {
        let manifest = &self.stage0.manifest;
        Ok(Foreign {
            digests: manifest.digests().clone(),
            build_ids: manifest.build_ids().clone(),
        })
    }
}
