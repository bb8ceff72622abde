//! Reading a repository back.

use std::path::Path;

use keel_artefact::{Arch, Interrupt, Sha256, parallel};
use keel_rpm::sign::{Certificates, KeyFingerprint};

use crate::{
    Entry, Error, FORMAT, Repository, Section,
    manifest::{self, Manifest},
    metadata::{self, Listed},
    section_dir,
};

/// `repomd.xml` is small: more than this is an attack.
const LARGEST_MANIFEST: u64 = 1 << 20;

/// Opens the repository in `dir` (`out/repo/<arch>`).
///
/// With `certificates`: `repomd.xml` must be signed by one of them, the metadata must be what it says, and every
/// package must be what the metadata says and be signed by one of them too. Without: the same, but signatures are not
/// looked at. The first thing wrong is the error; [`crate::verify()`] lists all.
pub fn open(
    dir: &Path,
    certificates: Option<&Certificates>,
    interrupt: &Interrupt,
) -> Result<Repository, Error> {
    let mut arch: Option<Arch> = None;
    let mut signed_by: Option<KeyFingerprint> = None;
    let mut packages = Vec::new();
    for section in Section::ALL {
        let opened = Opened::read(dir, section, certificates)?;
        if arch.is_some_and(|arch| arch != opened.manifest.arch) {
            return Err(Error::NotRepository {
                dir: dir.to_owned(),
                why: format!("its parts are for {arch:?} and {}", opened.manifest.arch),
            });
        }
        arch = Some(opened.manifest.arch);
        signed_by = opened.signed_by.clone();
        packages.extend(opened.entries(dir)?);
    }
    parallel::map(&packages, interrupt, |entry| check(entry, certificates))?;
    let Some(arch) = arch else {
        return Err(Error::NotRepository {
            dir: dir.to_owned(),
            why: "it is empty".to_owned(),
        });
    };
    Ok(Repository {
        format: FORMAT,
        dir: dir.to_owned(),
        arch,
        packages,
        signed_by,
    })
}

/// Is the package the one that the metadata names, and signed as it should be?
pub(crate) fn check(entry: &Entry, certificates: Option<&Certificates>) -> Result<(), Error> {
    let damaged = |why: String| Error::Damaged {
        file: entry.file.clone(),
        why,
    };
    let meta = fs_err::symlink_metadata(&entry.file).map_err(Error::read)?;
    if !meta.is_file() {
        return Err(damaged("it is not a regular file".to_owned()));
    }
    if meta.len() != entry.size {
        return Err(damaged(format!(
            "it has {} bytes, the metadata says {}",
            meta.len(),
            entry.size
        )));
    }
    let (digest, nevra) = match certificates {
        // The digest first: a changed package is called changed, whatever else that breaks.
        Some(certificates) => {
            let (digest, _) = Sha256::of_file(&entry.file).map_err(Error::read)?;
            if digest != entry.digest {
                (digest, None)
            } else {
                let signed = keel_rpm::sign::verify_package(&entry.file, certificates)?;
                (signed.digest, Some(signed.info.nevra))
            }
        }
        None => (
            Sha256::of_file(&entry.file).map_err(Error::read)?.0,
            Some(keel_rpm::read(&entry.file)?.nevra),
        ),
    };
    if digest != entry.digest {
        return Err(damaged(format!(
            "its digest is {digest}, the metadata says {}",
            entry.digest
        )));
    }
    match nevra {
        Some(nevra) if nevra != entry.nevra => Err(damaged(format!(
            "it is `{nevra}`, the metadata says `{}`",
            entry.nevra
        ))),
        _ => Ok(()),
    }
}

/// The metadata of one section, checked from the signature down.
pub(crate) struct Opened {
    pub(crate) section: Section,
    pub(crate) manifest: Manifest,
    pub(crate) signed_by: Option<KeyFingerprint>,
    /// The documents, in the order of [`metadata::KINDS`].
    pub(crate) documents: Vec<String>,
    pub(crate) listed: Vec<Listed>,
}

impl Opened {
    pub(crate) fn read(
        dir: &Path,
        section: Section,
        certificates: Option<&Certificates>,
    ) -> Result<Self, Error> {
        let repodata = section_dir(dir, section).join("repodata");
        let path = repodata.join(manifest::MANIFEST);
        if !path.is_file() {
            return Err(Error::NotRepository {
                dir: dir.to_owned(),
                why: format!("`{}` is missing", path.display()),
            });
        }
        let damaged = |why: String| Error::Damaged {
            file: path.clone(),
            why,
        };
        let xml = read_bounded(&path, LARGEST_MANIFEST)?;
        let signed_by = match certificates {
            Some(certificates) => Some(check_signature(&repodata, &xml, certificates)?),
            None => None,
        };
        let xml = String::from_utf8(xml).map_err(|error| damaged(error.to_string()))?;
        let manifest = Manifest::parse(&xml).map_err(damaged)?;
        if manifest.section != section {
            return Err(damaged(format!(
                "it belongs to the section `{}`",
                manifest.section.folder()
            )));
        }
        let mut documents = Vec::new();
        for kind in metadata::KINDS {
            let record = manifest.records.iter().find(|record| record.kind == kind);
            let record = record.ok_or_else(|| damaged(format!("it does not name `{kind}`")))?;
            let file = repodata.join(&record.file);
            let packed = read_bounded(&file, record.size)?;
            let document = metadata::unpack(record, &packed).map_err(|why| Error::Damaged { file, why })?;
            documents.push(document);
        }
        let listed = metadata::read_primary(&documents[0]).map_err(|why| Error::Damaged {
            file: repodata.join(&manifest.records[0].file),
            why,
        })?;
        Ok(Self {
            section,
            manifest,
            signed_by,
            documents,
            listed,
        })
    }

    pub(crate) fn entries(&self, dir: &Path) -> Result<Vec<Entry>, Error> {
        let section = section_dir(dir, self.section);
        let entry = |listed: &Listed| Entry {
            nevra: listed.nevra.clone(),
            section: self.section,
            file: section.join(&listed.location),
            digest: listed.digest,
            size: listed.size,
        };
        Ok(self.listed.iter().map(entry).collect())
    }
}

pub(crate) fn check_signature(
    repodata: &Path,
    xml: &[u8],
    certificates: &Certificates,
) -> Result<KeyFingerprint, Error> {
    let what = format!("`{}`", repodata.join(manifest::MANIFEST).display());
    let path = repodata.join(manifest::SIGNATURE);
    if !path.is_file() {
        return Err(keel_rpm::sign::Error::Unsigned(what).into());
    }
    let signature = read_bounded(&path, LARGEST_MANIFEST)?;
    let signature = String::from_utf8_lossy(&signature);
    Ok(certificates.verify_detached(xml, &signature, &what)?)
}

/// A file's bytes, unless it has more than it should. One byte more is read, so that the caller's check sees it.
pub(crate) fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let file = fs_err::File::open(path).map_err(Error::read)?;
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(Error::read)?;
    Ok(bytes)
}
