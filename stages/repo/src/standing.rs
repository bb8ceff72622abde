//! What is published already, before it is replaced: what is whole, what is damaged, and which names get other bytes.

use std::{
    collections::BTreeMap,
    fmt,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use keel_artefact::{Interrupt, Nevra, Sha256, parallel};
use keel_build::Packages;
use keel_rpm::sign::Key;
use keel_store::Store;

use crate::{
    Entry, Error, Section, metadata,
    open::{self, Opened},
    section_dir, signing,
};

/// What a folder of a repository holds.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// Packages that are what the metadata says, by section.
    pub whole: Vec<Entry>,
    /// What is not.
    pub damaged: Vec<Damaged>,
}

/// A file of a repository that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damaged {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is damaged: {}", self.file.display(), self.why)
    }
}

impl Standing {
    /// The packages that users install.
    pub fn installable(&self) -> impl Iterator<Item = &Entry> {
        self.whole.iter().filter(|entry| entry.section == Section::Os)
    }
}

/// Looks at what is published in `dir`. A folder that is not there, or not yet a repository, holds nothing. Signatures are not looked
/// at: what is published anew is signed anew.
pub fn standing(dir: &Path, interrupt: &Interrupt) -> Result<Standing, Error> {
    let mut standing = Standing::default();
    let mut entries = Vec::new();
    for section in Section::ALL {
        let repodata = section_dir(dir, section).join("repodata");
        if !repodata.exists() {
            if section_dir(dir, section).join("Packages").exists() {
                let why = "it is gone, and there are packages".to_owned();
                standing.damaged.push(Damaged { file: repodata, why });
            }
            continue;
        }
        match Opened::read(dir, section, None) {
            Ok(opened) => entries.extend(opened.entries(dir)?),
            Err(error) => standing.damaged.push(damage(&repodata, error)?),
        }
    }
    let checked = parallel::map(&entries, interrupt, |entry| match open::check(entry, None) {
        Ok(()) => Ok(None),
        Err(error) => damage(&entry.file, error).map(Some),
    })?;
    for (entry, damaged) in entries.into_iter().zip(checked) {
        match damaged {
            None => standing.whole.push(entry),
            Some(damaged) => standing.damaged.push(damaged),
        }
    }
    Ok(standing)
}

/// What is wrong with the file; an error that says nothing of it stays one.
fn damage(file: &Path, error: Error) -> Result<Damaged, Error> {
    let why = match error {
        Error::Damaged { file: inner, why } if inner == file => why,
        Error::Damaged { file: inner, why } => format!("{}: {why}", inner.display()),
        Error::NotRepository { why, .. } => why,
        Error::Package(keel_rpm::Error::Read { source, .. }) if source.kind() == ErrorKind::NotFound => {
            "it is gone".to_owned()
        }
        // It cannot be opened, for want of rights or of descriptors: that says nothing of what it holds.
        error @ Error::Package(keel_rpm::Error::Read { .. }) => return Err(error),
        Error::Package(error) => error.to_string(),
        Error::File { source, .. } if source.kind() == ErrorKind::NotFound => "it is gone".to_owned(),
        error => return Err(error),
    };
    Ok(Damaged {
        file: file.to_owned(),
        why,
    })
}

/// Packages whose names stand for other bytes there than in `packages`, unsigned; `key` is what these will be signed with.
pub fn other_bytes(
    standing: &Standing,
    packages: &Packages,
    store: &Store,
    key: &Key,
    interrupt: &Interrupt,
) -> Result<Vec<Nevra>, Error> {
    let published: BTreeMap<(Section, String), &Entry> = (standing.whole.iter())
        .map(|entry| ((entry.section, metadata::location(&entry.nevra)), entry))
        .collect();
    let changed = parallel::map(&packages.packages, interrupt, |package| {
        let place = (package.kind.into(), metadata::location(&package.nevra));
        let Some(entry) = published.get(&place).filter(|entry| entry.nevra == package.nevra) else {
            return Ok(None);
        };
        // Mostly it is the very file that is made now.
        if signing::signed(store, &package.rpm, key, package.epoch)? == entry.digest {
            return Ok(None);
        }
        let (_bench, _, digest) = bare(store, &entry.file)?;
        Ok::<_, Error>((digest != package.rpm).then(|| package.nevra.clone()))
    })?;
    Ok(changed.into_iter().flatten().collect())
}

/// Is the source package of this digest, not signed, in the store? If it is not, but is what is published in `dir` under this name,
/// it is put there.
pub fn recover(dir: &Path, nevra: &Nevra, digest: &Sha256, store: &Store) -> Result<bool, Error> {
    if store.contains(digest) && store.verify(digest).is_ok() {
        return Ok(true);
    }
    let file = section_dir(dir, Section::Source).join(metadata::location(nevra));
    if !file.is_file() {
        return Ok(false);
    }
    let Ok((_bench, bare, found)) = bare(store, &file) else {
        // It is damaged, which is told elsewhere.
        return Ok(false);
    };
    if found != *digest {
        return Ok(false);
    }
    store.adopt(&bare)?;
    Ok(true)
}

/// The package without its signatures, in a folder of its own, and its digest.
fn bare(store: &Store, file: &Path) -> Result<(keel_store::TempDir, PathBuf, Sha256), Error> {
    let bench = store.temp_dir("unsign")?;
    let bare = bench.path().join("unsigned.rpm");
    keel_rpm::sign::clear_package(file, &bare)?;
    let (digest, _) = Sha256::of_file(&bare).map_err(Error::read)?;
    Ok((bench, bare, digest))
}
