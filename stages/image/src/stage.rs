//! The stage as the flow calls it: a repository and stage0 in, an image out.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use keel_artefact::{Arch, Epoch, Interrupt, Sink};
use keel_config::{Image, Project};
use keel_host::{mkfs_erofs, mkfs_ext4, rpmdb, stage0::Stage0};
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
    tools::{Erofs, Ext4, Failure, Tools},
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

/// Builds `image` of the packages of `repository` into `out/NAME`, unless it is there already.
#[allow(clippy::too_many_arguments)] // the stage's inputs, each of another kind
pub fn build(
    image: &Image,
    repository: &Repository,
    project: &Project,
    arch: Arch,
    stage0: &Stage0,
    store: &Store,
    out: &Path,
    record: &Record<'_>,
    sink: &dyn Sink,
    interrupt: &Interrupt,
) -> Result<Built, Error> {
    let parts = Parts::read(image, repository, project, arch, stage0, out, record)?;
    let tools = Borrowed {
        stage0,
        store,
        interrupt,
    };
    crate::make(&parts.request(), &tools, store, sink, interrupt)
}

/// Builds `first`, which [`build`] just made of the same, again where everything is different, in `elsewhere`, and compares.
#[allow(clippy::too_many_arguments)] // those of `build`, and two more
pub fn check(
    image: &Image,
    repository: &Repository,
    project: &Project,
    arch: Arch,
    stage0: &Stage0,
    store: &Store,
    first: &Built,
    elsewhere: &Path,
    record: &Record<'_>,
    sink: &dyn Sink,
    interrupt: &Interrupt,
) -> Result<Checked, Error> {
    let parts = Parts::read(image, repository, project, arch, stage0, elsewhere, record)?;
    let moved = stage0.elsewhere();
    let moved = moved.map_err(|source| Error::Tool {
        tool: "stage0",
        image: image.name.to_string(),
        source: source.into(),
    })?;
    let tools = Borrowed {
        stage0: &moved,
        store,
        interrupt,
    };
    check::check(&parts.request(), first, &tools, store, elsewhere, sink, interrupt)
}

/// What a request consists of.
struct Parts<'a> {
    image: &'a Image,
    project: &'a Project,
    arch: Arch,
    stage0: &'a Stage0,
    out: &'a Path,
    record: &'a Record<'a>,
    packages: Vec<Candidate>,
    key: Option<Vec<u8>>,
}

impl<'a> Parts<'a> {
    fn read(
        image: &'a Image,
        repository: &Repository,
        project: &'a Project,
        arch: Arch,
        stage0: &'a Stage0,
        out: &'a Path,
        record: &'a Record<'a>,
    ) -> Result<Self, Error> {
        let mut packages = Vec::new();
        for entry in repository.installable() {
            let info = keel_rpm::read(&entry.file).map_err(|source| Error::Package {
                package: entry.nevra.to_string(),
                source: source.into(),
            })?;
            let origin = record.origins.get(&entry.nevra).cloned();
            packages.push(Candidate {
                info,
                file: entry.file.clone(),
                sha256: entry.digest,
                origin: origin.ok_or_else(|| Error::NoOrigin {
                    package: entry.nevra.to_string(),
                })?,
            });
        }
        let key = match repository.certificate() {
            Some(path) => Some(fs_err::read(&path).at("read", path.display())?),
            None => None,
        };
        Ok(Self {
            image,
            project,
            arch,
            stage0,
            out,
            record,
            packages,
            key,
        })
    }

    fn request(&self) -> Request<'_> {
        Request {
            image: self.image,
            distro: &self.project.distro.name,
            version: &self.project.distro.version,
            arch: self.arch,
            packages: &self.packages,
            key: self.key.as_deref(),
            tools_digest: self.stage0.digest,
            out: self.out,
            signer: self.record.signer,
            locked: self.record.locked,
            is_elsewhere: false,
        }
    }
}

/// The image as it was built last.
pub fn existing(project: &Project, image: &Image) -> Result<Built, Error> {
    let dir = project.output_dir.join("images").join(image.name.as_str());
    let path = dir.join(MANIFEST);
    let bytes = fs_err::read(&path).at("read", path.display())?;
    let unread = |error: serde_json::Error| Err(std::io::Error::from(error)).at("read", path.display());
    let mut built: Built = serde_json::from_slice(&bytes).or_else(unread)?;
    built.format.check(path.display().to_string(), manifest::FORMAT)?;
    built.dir = dir;
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
