//! Checking a finished image: what its provenance says is signed by a trusted key, every file is the one that it names, and
//! manifest, lock and bills of materials speak of the same files and packages.

mod container;
mod files;
mod statement;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read as _,
    path::{Path, PathBuf},
};

use keel_artefact::{Interrupt, Sha256, parallel};
use keel_config::image::Format;
use keel_rpm::sign::{Certificates, KeyFingerprint};
use serde::Serialize;
use serde_json::Value;

use crate::{
    Built, Error, bill,
    error::At,
    lock::{self, Lock},
    manifest::{self, MANIFEST, SUMS},
    provenance::{self, Envelope},
};

pub(crate) use container::Container;
pub(crate) use files::wrong_with;
use statement::Statement;

/// The largest document that is read, in bytes.
const MAX_DOCUMENT: u64 = 256 << 20;
/// A folder with this file in it is a container.
const LAYOUT: &str = "oci-layout";

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The folder.
    pub dir: PathBuf,
    /// What it is, as the provenance says.
    pub image: Option<Identity>,
    /// Whose signature the provenance has; none: no good one.
    pub signed_by: Option<KeyFingerprint>,
    /// Who says that it built the image.
    pub builder: Option<String>,
    /// Files that are what the provenance says, by name.
    pub good: Vec<String>,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

/// Which image it is. Another one that is signed with the same key is as good: whoever asked for one looks at this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// Its name.
    pub name: String,
    /// The distribution's version.
    pub version: String,
    /// What it runs on.
    pub arch: String,
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "image `{}` {} for {}", self.name, self.version, self.arch)
    }
}

/// Something is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file, in the folder.
    pub file: String,
    /// What is wrong with it.
    pub what: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.file, self.what)
    }
}

/// Checks the image in the folder `path`; or of an image the file `path` alone, and all documents that stand for it.
pub fn verify(path: &Path, certificates: &Certificates, interrupt: &Interrupt) -> Result<Report, Error> {
    let metadata = fs_err::metadata(path).at("read", path.display())?;
    let is_image = metadata.is_dir() && !path.join(LAYOUT).exists();
    let (dir, only) = match (is_image, path.parent(), path.file_name()) {
        (false, Some(dir), Some(name)) => (dir, Some(name.to_string_lossy().into_owned())),
        _ => (path, None),
    };
    let mut check = Check {
        dir,
        problems: Vec::new(),
    };
    let mut report = Report {
        dir: dir.to_owned(),
        image: None,
        signed_by: None,
        builder: None,
        good: Vec::new(),
        problems: Vec::new(),
    };
    if let Some((name, statement)) = check.provenance(certificates, &mut report)? {
        report.image = Some(statement.image.clone());
        report.builder = statement.builder.clone();
        check.required(&name, &statement);
        let manifest = check.manifest()?;
        // What it says of other files counts only if it is the one that was signed.
        let signed = statement.files.get(MANIFEST);
        let built = (manifest.as_ref())
            .filter(|(_, digest)| signed == Some(digest))
            .map(|(built, _)| built);
        report.good = check.files(&name, &statement, built, only.as_deref(), interrupt)?;
        if let Some((built, _)) = &manifest {
            check.documents(&name, &statement, built)?;
        }
    }
    report.problems = check.problems;
    Ok(report)
}

struct Check<'a> {
    dir: &'a Path,
    problems: Vec<Problem>,
}

impl Check<'_> {
    fn wrong(&mut self, file: &str, what: impl Into<String>) {
        // What is told may be somebody else's words, for a terminal.
        let plain = |text: &str| text.replace(char::is_control, " ");
        self.problems.push(Problem {
            file: plain(file),
            what: plain(&what.into()),
        });
    }

    /// The provenance that is there.
    fn provenance(
        &mut self,
        certificates: &Certificates,
        report: &mut Report,
    ) -> Result<Option<(String, Statement)>, Error> {
        let names = self.names()?;
        let is_one = |name: &&String| name.ends_with(&format!(".{}", provenance::SUFFIX));
        let found: Vec<&String> = names.iter().filter(is_one).collect();
        let name = match found.as_slice() {
            [name] => (*name).clone(),
            [] => {
                let name = format!("*.{}", provenance::SUFFIX);
                self.wrong(
                    &name,
                    "there is no provenance: nothing says who built what is here",
                );
                return Ok(None);
            }
            [_, second, ..] => {
                let second = (*second).clone();
                self.wrong(&second, "there is more than one provenance");
                return Ok(None);
            }
        };
        let Some(bytes) = self.document(&name)? else {
            self.wrong(&name, "it is no regular file");
            return Ok(None);
        };
        let envelope = match Envelope::parse(&bytes) {
            Ok(envelope) => envelope,
            Err(why) => {
                self.wrong(&name, why);
                return Ok(None);
            }
        };
        match envelope.verify(certificates, "it") {
            Ok(key) => report.signed_by = Some(key),
            // Whatever it names may be anybody's.
            Err(why) => {
                self.wrong(&name, why);
                return Ok(None);
            }
        }
        match envelope.payload().and_then(|payload| Statement::parse(&payload)) {
            Ok(statement) => {
                let expected = format!("{}.{}", statement.image.name, provenance::SUFFIX);
                if name != expected {
                    self.wrong(
                        &name,
                        format!("it is of {}, and should be called {expected}", statement.image),
                    );
                }
                Ok(Some((name, statement)))
            }
            Err(why) => {
                self.wrong(&name, why);
                Ok(None)
            }
        }
    }

    /// Every image has these beside it: one that is not named could be left out, and nobody would know.
    fn required(&mut self, provenance: &str, statement: &Statement) {
        let name = &statement.image.name;
        let bills = [bill::SPDX, bill::CYCLONEDX].map(|end| format!("{name}.{end}"));
        let names = [MANIFEST, SUMS, lock::NAME].map(str::to_owned);
        for name in names.iter().chain(&bills) {
            if !statement.files.contains_key(name) {
                self.wrong(
                    provenance,
                    format!("it does not name {name}, which every image has"),
                );
            }
        }
    }

    /// Is every file there that the statement names, and is each one the one? Gives those that are.
    fn files(
        &mut self,
        provenance: &str,
        statement: &Statement,
        built: Option<&Built>,
        only: Option<&str>,
        interrupt: &Interrupt,
    ) -> Result<Vec<String>, Error> {
        if let Some(only) = only.filter(|only| *only != provenance && !statement.files.contains_key(*only)) {
            self.wrong(only, format!("{provenance} does not name it"));
        }
        let is_document = |name: &str| [MANIFEST, SUMS].contains(&name) || is_of_documents(name);
        let wanted: Vec<(&String, &Sha256)> = (statement.files.iter())
            .filter(|(name, _)| only.is_none_or(|only| *name == only || is_document(name)))
            .collect();
        // What is signed says which are folders, not the folder.
        let container = |name: &str| {
            let built = built?;
            let file = built.files.iter().find(|file| file.name == name)?;
            (file.format == Format::Oci.as_str()).then(|| built.container())
        };
        let found = parallel::map(&wanted, interrupt, |(name, digest)| {
            interrupt.check()?;
            wrong_with(&self.dir.join(name), digest, container(name))
        })?;
        let mut good = Vec::new();
        for ((name, _), found) in wanted.into_iter().zip(found) {
            match found {
                None => good.push(name.clone()),
                Some(what) => self.wrong(name, what),
            }
        }
        if only.is_none() {
            for name in self.names()? {
                // What a boot said, and what was found of it, is no part of the image.
                let is_log = (name.starts_with("console-") && name.ends_with(".log")
                    || name.starts_with("test-") && name.ends_with(".json"))
                    && files::open(&self.dir.join(&name))?.is_ok();
                if name != provenance && !is_log && !statement.files.contains_key(&name) {
                    self.wrong(&name, format!("{provenance} does not name it"));
                }
            }
        }
        Ok(good)
    }

    /// Do the documents speak of the same?
    fn documents(&mut self, provenance: &str, statement: &Statement, built: &Built) -> Result<(), Error> {
        let image = Identity {
            name: built.image.to_string(),
            version: built.version.clone(),
            arch: built.arch.rpm().to_owned(),
        };
        if image != statement.image {
            self.wrong(
                MANIFEST,
                format!("it is of {image}, and {provenance} of {}", statement.image),
            );
        }
        let packages: BTreeMap<String, Sha256> = (built.packages.iter())
            .map(|package| (package.nevra.to_string(), package.sha256))
            .collect();
        let of_statement = (statement.packages.iter()).map(|(nevra, (digest, _))| (nevra.clone(), *digest));
        self.compare(provenance, "package", &of_statement.collect(), &packages);
        let mut files: BTreeMap<String, Sha256> = (built.files.iter())
            .map(|file| (file.name.clone(), file.sha256))
            .collect();
        let outputs = files
            .iter()
            .filter(|(name, _)| !is_of_documents(name))
            .map(|(name, digest)| (name.clone(), *digest))
            .collect();
        files.extend(
            [MANIFEST, SUMS]
                .map(|name| (name.to_owned(), statement.files.get(name).copied()))
                .into_iter()
                .filter_map(|(name, digest)| Some((name, digest?))),
        );
        self.compare(provenance, "file", &statement.files, &files);
        if let Some(sums) = self.document(SUMS)?
            && sums != built.sums().into_bytes()
        {
            self.wrong(SUMS, format!("it is not that of {MANIFEST}"));
        }
        self.lock(built, statement)?;
        for (end, read) in [
            (bill::SPDX, bill::spdx::read as fn(&Value) -> bill::Told),
            (bill::CYCLONEDX, bill::cyclonedx::read),
        ] {
            let name = format!("{}.{end}", built.image);
            let Some(bytes) = self.document(&name)? else {
                continue;
            };
            match serde_json::from_slice(&bytes) {
                Ok(document) => {
                    let told = read(&document);
                    // Identities there have no architecture: the digest says which it is.
                    let by_name = (built.packages.iter()).map(|package| {
                        (
                            format!("{}-{}", package.nevra.name, package.nevra.evr),
                            package.sha256,
                        )
                    });
                    self.compare(&name, "package", &told.packages, &by_name.collect());
                    self.compare(&name, "file", &told.files, &outputs);
                }
                Err(error) => self.wrong(&name, format!("it cannot be read: {error}")),
            }
        }
        Ok(())
    }

    fn manifest(&mut self) -> Result<Option<(Built, Sha256)>, Error> {
        let Some(bytes) = self.document(MANIFEST)? else {
            return Ok(None);
        };
        match serde_json::from_slice::<Built>(&bytes) {
            Ok(built) if built.format == manifest::FORMAT => Ok(Some((built, Sha256::of(&bytes)))),
            Ok(built) => {
                let version = built.format.0;
                self.wrong(
                    MANIFEST,
                    format!("its format is version {version}, which this keel does not read"),
                );
                Ok(None)
            }
            Err(error) => {
                self.wrong(MANIFEST, format!("it cannot be read: {error}"));
                Ok(None)
            }
        }
    }

    /// The lock has digests from before packages were signed: the statement has both.
    fn lock(&mut self, built: &Built, statement: &Statement) -> Result<(), Error> {
        let Some(bytes) = self.document(lock::NAME)? else {
            return Ok(());
        };
        let path = self.dir.join(lock::NAME);
        let text = String::from_utf8_lossy(&bytes);
        let lock = match Lock::parse(&text, &path) {
            Ok(lock) => lock,
            Err(error) => {
                let cause = std::error::Error::source(&error).map_or(String::new(), |why| format!(": {why}"));
                self.wrong(lock::NAME, format!("{error}{cause}"));
                return Ok(());
            }
        };
        let Some(locked) = lock.images.get(&(built.image.clone(), built.arch)) else {
            let what = format!("it does not have `{}` for {}", built.image, built.arch);
            self.wrong(lock::NAME, what);
            return Ok(());
        };
        let told = (locked.packages.iter()).map(|(nevra, entry)| (nevra.clone(), entry.sha256));
        let expected = (statement.packages.iter())
            .filter_map(|(nevra, (_, unsigned))| Some((nevra.clone(), (*unsigned)?)));
        self.compare(lock::NAME, "package", &told.collect(), &expected.collect());
        Ok(())
    }

    /// Says where a document differs from what it should tell.
    fn compare(
        &mut self,
        file: &str,
        kind: &str,
        told: &BTreeMap<String, Sha256>,
        expected: &BTreeMap<String, Sha256>,
    ) {
        let names: BTreeSet<&String> = told.keys().chain(expected.keys()).collect();
        for name in names {
            let what = match (told.get(name), expected.get(name)) {
                (Some(one), Some(other)) if one == other => continue,
                (Some(one), Some(other)) => {
                    let (one, other) = (one.short(), other.short());
                    format!("it says that {kind} `{name}` is {one}, and it is {other}")
                }
                (None, _) => format!("{kind} `{name}` is missing in it"),
                (_, None) => format!("it has {kind} `{name}`, which the image has not"),
            };
            self.wrong(file, what);
        }
    }

    /// The bytes of a document; none if it is no file, which was told.
    fn document(&mut self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let path = self.dir.join(name);
        let file = match files::open(&path)? {
            Ok(file) => file,
            // With the other files, where the statement names it.
            Err(_) => return Ok(None),
        };
        let mut bytes = Vec::new();
        file.take(MAX_DOCUMENT)
            .read_to_end(&mut bytes)
            .at("read", path.display())?;
        Ok(Some(bytes))
    }

    fn names(&self) -> Result<Vec<String>, Error> {
        let mut names = Vec::new();
        for entry in fs_err::read_dir(self.dir).at("read", self.dir.display())? {
            let entry = entry.at("read", self.dir.display())?;
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }
}

/// Is it no output, but tells of them?
fn is_of_documents(name: &str) -> bool {
    name == lock::NAME
        || [bill::SPDX, bill::CYCLONEDX]
            .iter()
            .any(|end| name.ends_with(&format!(".{end}")))
}
