//! `keel.lock`: every fetched source file, pinned by SHA-256 and size.
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

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io,
    path::{Path, PathBuf},
};

use keel_artefact::{ComponentName, Sha256, Sha512, format};
use serde::Deserialize;

use crate::{Origin, wanted};

/// The version of the lock's format.
pub const FORMAT: format::Version = format::Version(1);

/// The longest lock that is read, in bytes.
const MAX_SIZE: u64 = 64 << 20;

/// A lock: files by component and name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lock {
    /// What is pinned.
    pub files: BTreeMap<(ComponentName, String), Entry>,
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
        text.version
            .check(format!("the lock {}", path.display()), FORMAT)?;
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
        Ok(lock)
    }

    /// Its text.
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "# Made by `keel source lock`; what it pins is reviewed, not edited.\nversion = {}\n",
            FORMAT.0
        );
        for ((component, name), entry) in &self.files {
            // Writing to a String cannot fail.
            let _ = entry.write(&mut text, component, name);
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Lock, Error> {
        Lock::parse(text, Path::new("keel.lock"))
    }

    #[test]
    fn what_is_wrong_is_named() {
        let file = |rest: &str| format!("version = 1\n[[file]]\ncomponent = \"zlib\"\n{rest}");
        let digest = "0".repeat(64);
        let good =
            format!("name = \"z.tar\"\nsize = 1\nsha256 = \"{digest}\"\norigins = []\nlocked = true\n");
        assert_eq!(parse(&file(&good)).unwrap().files.len(), 1);
        assert_eq!(parse("version = 1\n").unwrap(), Lock::default());
        for (text, message) in [
            (
                "version = 2\n".to_owned(),
                "the lock keel.lock has format version 2, this keel reads version 1",
            ),
            (
                file(&good.replace("z.tar", "../z.tar")),
                "name of `zlib` \"../z.tar\"",
            ),
            (
                file(&good.replace("zlib", "z/lib").replace("[]", "[\"git:x\"]")),
                "`git:x` is no origin",
            ),
            (file(&good.replace(&digest, "00")), "`00` is not a SHA-256 digest"),
            (
                file(&(good.clone() + "[[file]]\ncomponent = \"zlib\"\n" + &good)),
                "it is listed twice",
            ),
            (file("name = 1"), "the lock keel.lock is damaged"),
            (
                "version = 1\nfoo = 1\n".to_owned(),
                "the lock keel.lock is damaged",
            ),
        ] {
            let error = parse(&text).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn a_lock_is_written_at_once_and_only_when_it_differs() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out/keel.lock");
        assert_eq!(Lock::read(&path).unwrap(), Lock::default());
        let lock = Lock::default();
        lock.write(&path).unwrap();
        let before = std::fs::metadata(&path).unwrap().modified().unwrap();
        lock.write(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), before);
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    fn entries() -> impl Strategy<Value = Entry> {
        let origins = proptest::collection::vec(
            prop_oneof![
                Just("debian:trixie:pool/main/z/z/z_1.orig.tar.gz"),
                Just("https://example.org/a?b=c"),
                Just("file:a \"b\" \\c"),
                Just("crates:a:1"),
            ],
            0..3,
        );
        let replaces = proptest::option::of(("[a-z]{1,5}", any::<[u8; 32]>(), "\\PC{0,5}"));
        (any::<u32>(), any::<[u8; 32]>(), origins, any::<bool>(), replaces).prop_map(
            |(size, digest, origins, locked, replaces)| Entry {
                size: size.into(),
                digest: digest.into(),
                sha512: (size % 2 == 0).then(|| [digest[0]; 64].into()),
                origins: origins.iter().map(|text| text.parse().unwrap()).collect(),
                locked,
                series: (!locked).then(|| "6.12\u{7}\"\\".to_owned()),
                replaces: replaces.map(|(name, digest, value)| Replaced {
                    name,
                    digest: digest.into(),
                    defines: BTreeMap::from([("upstream_version".to_owned(), value)]),
                }),
            },
        )
    }

    proptest! {
        #[test]
        fn a_lock_survives_the_round_trip(
            files in proptest::collection::btree_map(("[a-z]{1,4}", "[a-zA-Z0-9+~_]{1,6}"), entries(), 0..5),
        ) {
            let files = files.into_iter().map(|((component, name), entry)| ((component.parse().unwrap(), name), entry));
            let lock = Lock { files: files.collect() };
            let text = lock.to_text();
            prop_assert_eq!(&parse(&text).unwrap(), &lock);
            prop_assert_eq!(parse(&text).unwrap().to_text(), text);
        }

        #[test]
        fn no_text_makes_it_panic(text in "(version = 1\n|\\[\\[file\\]\\]\n|name = |\"[a-z/.]{0,5}\"\n|[a-z=\"\\[\\]]{0,6}){0,20}") {
            let _ = parse(&text);
        }
    }
}
