//! `keel.lock`: every fetched source file, pinned by SHA-256 and size; and what is published.
//!
//! ```toml
//! version = 1
//!
//! [[file]]
//! component = "zlib"
//! name = "zlib_1.3.dfsg+really1.3.1.orig.tar.gz"
//! size = 1325737
//! sha256 = "60dd…"
//! origins = ["debian:trixie:pool/main/z/zlib/zlib_1.3.dfsg+really1.3.1.orig.tar.gz"]
//! locked = true
//! ```
//!
//! The text is stable: sorted by component and name, always the same form, so that a change of it is the change of
//! a source. The same format serves the file that a refresh writes; there `locked` is false, and `replaces` and
//! `replaces-name` say what the project pins instead.
//!
//! What `keel repo create --record` published follows the files. A lock with such records has version 2; without them it is
//! version 1, as it always was.
//!
//! ```toml
//! [[published]]
//! component = "zlib"
//! arch = "x86_64"
//! version = "1.3.1-1.kl1"
//! rebuild = 0
//! source = "07aa…"
//! [published.packages]
//! "zlib-1.3.1-1.kl1.x86_64" = "d2f1…"
//! ```
//!
//! Before these stand the repositories that a tree takes packages of its base from (`[keel.base]`), and which state of each: the
//! digest of its `repomd.xml`. A lock with such a record has version 3.
//!
//! ```toml
//! [[repository]]
//! address = "https://packages.example.org/4.0/x86_64/os"
//! sha256 = "1c0f…"
//! ```

mod published;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io,
    path::{Path, PathBuf},
};

use keel_artefact::{Arch, ComponentName, Sha256, Sha512, format};
use serde::Deserialize;

use crate::{Origin, wanted};

use published::PublishedText;
pub use published::{Differences, MOST_REBUILDS, Published};

/// The version of the lock's format.
pub const FORMAT: format::Version = format::Version(3);

/// The version of a lock that knows nothing of repositories.
const WITH_PUBLISHED: format::Version = format::Version(2);

/// The version of a lock that knows nothing of what is published.
const FILES_ONLY: format::Version = format::Version(1);

/// The longest lock that is read, in bytes.
const MAX_SIZE: u64 = 64 << 20;

/// A lock: files by component and name, and what is published by component and architecture.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lock {
    /// What is pinned.
    pub files: BTreeMap<(ComponentName, String), Entry>,
    /// Which state of a base's repository is used: the digest of its `repomd.xml`, by its address.
    pub repositories: BTreeMap<String, Sha256>,
    /// What is published.
    pub published: BTreeMap<(ComponentName, Arch), Published>,
}

/// What the lock says of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its size in bytes.
    pub size: u64,
    /// Its digest.
    pub digest: Sha256,
    /// The digest that the configuration pins it by, if that is of this kind.
    pub sha512: Option<Sha512>,
    /// Where it may be had, best first.
    pub origins: Vec<Origin>,
    /// It was chosen by the project, not by a refresh.
    pub locked: bool,
    /// The upstream series that a refresh may look in, where it is not the usual one.
    pub series: Option<String>,
    /// In the lock of a refresh: the pinned file that is gone.
    pub replaces: Option<Replaced>,
}

/// The pinned file that a refresh replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// Its name.
    pub name: String,
    /// Its digest.
    pub digest: Sha256,
    /// The macros that the SPEC is evaluated again with (`upstream_version`).
    pub defines: BTreeMap<String, String>,
}

/// Why a lock cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file.
    #[error("cannot read or write the lock {path}")]
    Io {
        /// The lock.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The text.
    #[error("the lock {path} is damaged")]
    Text {
        /// The lock.
        path: PathBuf,
        /// Why, with line and column.
        source: Box<toml::de::Error>,
    },
    /// The version of its format.
    #[error(transparent)]
    Format(#[from] format::Mismatch),
    /// A value.
    #[error("the lock {path} is damaged: {what} of `{component}` {name:?}: {why}")]
    Value {
        /// The lock.
        path: PathBuf,
        /// Whose.
        component: String,
        /// Which file.
        name: String,
        /// Which key.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

/// The lock as TOML has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    version: format::Version,
    #[serde(default)]
    file: Vec<FileText>,
    #[serde(default)]
    repository: Vec<RepositoryText>,
    #[serde(default)]
    published: Vec<PublishedText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RepositoryText {
    address: String,
    sha256: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct FileText {
    component: String,
    name: String,
    size: u64,
    sha256: String,
    sha512: Option<String>,
    origins: Vec<String>,
    locked: bool,
    series: Option<String>,
    replaces: Option<String>,
    replaces_name: Option<String>,
    #[serde(default)]
    defines: BTreeMap<String, String>,
}

impl Lock {
    /// Reads the lock at `path`; an absent one is empty.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let io = |source| Error::Io {
            path: path.to_owned(),
            source,
        };
        match fs_err::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(io(error)),
            Ok(metadata) if metadata.len() > MAX_SIZE => {
                return Err(io(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "it is too big for a lock",
                )));
            }
            Ok(_) => {}
        }
        Self::parse(&fs_err::read_to_string(path).map_err(io)?, path)
    }

    /// Reads the text of a lock; `path` is for messages.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Error> {
        let text: Text = toml::from_str(text).map_err(|source| Error::Text {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        if ![FILES_ONLY, WITH_PUBLISHED].contains(&text.version) {
            text.version
                .check(format!("the lock {}", path.display()), FORMAT)?;
        }
        let mut lock = Self::default();
        for file in text.file {
            let (component, name) = (file.component.clone(), file.name.clone());
            let bad = |what: &'static str, why: &dyn std::fmt::Display| Error::Value {
                path: path.to_owned(),
                component: component.clone(),
                name: name.clone(),
                what,
                why: why.to_string(),
            };
            let key = (
                component.parse().map_err(|error| bad("component", &error))?,
                name.clone(),
            );
            wanted::check_file_name(&name).map_err(|error| bad("name", &error))?;
            let entry = file.entry(&bad)?;
            if lock.files.insert(key, entry).is_some() {
                return Err(bad("name", &"it is listed twice"));
            }
        }
        for repository in text.repository {
            let bad = |what: &'static str, why: &dyn std::fmt::Display| Error::Value {
                path: path.to_owned(),
                component: "keel.base".to_owned(),
                name: repository.address.clone(),
                what,
                why: why.to_string(),
            };
            if text.version != FORMAT {
                let version = text.version.0;
                let why = format!("a lock of version {version} has no such records");
                return Err(bad("repository", &why));
            }
            let digest = repository.sha256.parse().map_err(|error| bad("sha256", &error))?;
            if lock
                .repositories
                .insert(repository.address.clone(), digest)
                .is_some()
            {
                return Err(bad("repository", &"it is listed twice"));
            }
        }
        for published in text.published {
            let (component, name) = (published.component.clone(), published.version.clone());
            let bad = |what: &'static str, why: &dyn std::fmt::Display| Error::Value {
                path: path.to_owned(),
                component: component.clone(),
                name: name.clone(),
                what,
                why: why.to_string(),
            };
            if text.version == FILES_ONLY {
                return Err(bad("published", &"a lock of version 1 has no such records"));
            }
            let (key, entry) = published.entry(&bad)?;
            if lock.published.insert(key, entry).is_some() {
                return Err(bad("published", &"it is listed twice for one architecture"));
            }
        }
        Ok(lock)
    }

    /// Its text.
    pub fn to_text(&self) -> String {
        let version = match (self.repositories.is_empty(), self.published.is_empty()) {
            (true, true) => FILES_ONLY,
            (true, false) => WITH_PUBLISHED,
            (false, _) => FORMAT,
        };
        let mut text = format!(
            "# Made by `keel source lock`; what it pins is reviewed, not edited.\nversion = {}\n",
            version.0
        );
        for ((component, name), entry) in &self.files {
            // Writing to a String cannot fail.
            let _ = entry.write(&mut text, component, name);
        }
        for (address, digest) in &self.repositories {
            let _ = write!(
                text,
                "\n[[repository]]\naddress = {}\nsha256 = \"{digest}\"\n",
                quote(address)
            );
        }
        for ((component, arch), published) in &self.published {
            let _ = published.write(&mut text, component, *arch);
        }
        text
    }

    /// Writes it to `path` at once: readers see the old text or the new one. Does nothing if the text is the same.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let text = self.to_text();
        if fs_err::read(path).is_ok_and(|old| old == text.as_bytes()) {
            return Ok(());
        }
        write_atomically(path, text.as_bytes()).map_err(|source| Error::Io {
            path: path.to_owned(),
            source,
        })
    }
}

/// Readers see the old bytes or the new ones.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use io::Write as _;
    if let Some(folder) = path.parent() {
        fs_err::create_dir_all(folder)?;
    }
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}.new", std::process::id()));
    let temporary = PathBuf::from(temporary);
    let mut file = fs_err::File::create(&temporary)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    let renamed = written.and_then(|()| fs_err::rename(&temporary, path));
    if renamed.is_err() {
        // The first error is the one to report.
        let _ = fs_err::remove_file(&temporary);
    }
    renamed
}

impl FileText {
    fn entry(self, bad: &dyn Fn(&'static str, &dyn std::fmt::Display) -> Error) -> Result<Entry, Error> {
        let digest = |what, text: &str| text.parse::<Sha256>().map_err(|error| bad(what, &error));
        let origins = self
            .origins
            .iter()
            .map(|text| text.parse().map_err(|error| bad("origins", &error)));
        let replaces = match (&self.replaces, self.replaces_name) {
            (None, _) => None,
            (Some(text), name) => Some(Replaced {
                name: name.unwrap_or(self.name),
                digest: digest("replaces", text)?,
                defines: self.defines,
            }),
        };
        Ok(Entry {
            size: self.size,
            digest: digest("sha256", &self.sha256)?,
            sha512: (self.sha512.map(|text| text.parse()).transpose())
                .map_err(|error| bad("sha512", &error))?,
            origins: origins.collect::<Result<_, _>>()?,
            locked: self.locked,
            series: self.series,
            replaces,
        })
    }
}

impl Entry {
    fn write(&self, out: &mut String, component: &ComponentName, name: &str) -> std::fmt::Result {
        writeln!(out, "\n[[file]]")?;
        writeln!(out, "component = {}", quote(component.as_str()))?;
        writeln!(out, "name = {}", quote(name))?;
        writeln!(out, "size = {}", self.size)?;
        writeln!(out, "sha256 = \"{}\"", self.digest)?;
        if let Some(digest) = &self.sha512 {
            writeln!(out, "sha512 = \"{digest}\"")?;
        }
        let origins: Vec<_> = self
            .origins
            .iter()
            // How such a file is made is in the configuration alone.
            .filter(|origin| !matches!(origin, Origin::Generated(_)))
            .map(|origin| quote(&origin.to_string()))
            .collect();
        match &origins[..] {
            [] => writeln!(out, "origins = []")?,
            [origin] => writeln!(out, "origins = [{origin}]")?,
            _ => writeln!(out, "origins = [\n    {},\n]", origins.join(",\n    "))?,
        }
        writeln!(out, "locked = {}", self.locked)?;
        if let Some(series) = &self.series {
            writeln!(out, "series = {}", quote(series))?;
        }
        if let Some(replaced) = &self.replaces {
            writeln!(out, "replaces = \"{}\"", replaced.digest)?;
            writeln!(out, "replaces-name = {}", quote(&replaced.name))?;
            if !replaced.defines.is_empty() {
                let define =
                    |(name, value): (&String, &String)| format!("{} = {}", quote(name), quote(value));
                let defines: Vec<_> = replaced.defines.iter().map(define).collect();
                writeln!(out, "defines = {{ {} }}", defines.join(", "))?;
            }
        }
        Ok(())
    }
}

/// A TOML basic string.
fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\U{:08X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests;
