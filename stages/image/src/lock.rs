//! `image.lock`: which packages images consist of.
//!
//! ```toml
//! version = 1
//!
//! [[image]]
//! name = "web"
//! arch = "x86_64"
//! [image.packages]
//! "nginx-1.28.0-1.kl1.x86_64" = { sha256 = "07aa…", component = "nginx" }
//! "zlib-1.3.1-1.kl1.x86_64" = { sha256 = "d2f1…", component = "zlib", repository = "https://packages.example.org/4.0/x86_64/os" }
//! ```
//!
//! A digest is that of the package before this tree's key signed it: who signs with another key has the same lock. Each image
//! has one beside it; that of the tree, beside `keel.lock`, holds those that were recorded. The text is stable: sorted, always the same form,
//! one line a package.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    io,
    path::{Path, PathBuf},
};

use keel_artefact::{Arch, ComponentName, ImageName, Nevra, Sha256, format};
use serde::Deserialize;

use crate::Candidate;

/// The version of the lock's format.
pub const FORMAT: format::Version = format::Version(1);
/// Its name.
pub const NAME: &str = "image.lock";

/// The longest lock that is read, in bytes.
const MAX_SIZE: u64 = 64 << 20;

/// A lock: the packages of images, by the image's name and architecture.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lock {
    /// What is locked.
    pub images: BTreeMap<(ImageName, Arch), Locked>,
}

/// The packages of one image, by identity as it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Locked {
    /// What is in it.
    pub packages: BTreeMap<String, Entry>,
}

/// One package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its identity.
    pub nevra: Nevra,
    /// Digest before this tree's key signed it.
    pub sha256: Sha256,
    /// The component that made it.
    pub component: ComponentName,
    /// The address of the repository that it was fetched from; none if it was built.
    pub repository: Option<String>,
}

/// How the packages of an image differ from the locked ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// It was not there.
    New(Nevra),
    /// It is not there any more.
    Gone(Nevra),
    /// Another version, release or architecture.
    Moved {
        /// What is locked.
        from: Nevra,
        /// What there is.
        to: Nevra,
    },
    /// The same identity with other bytes, or from elsewhere.
    Other {
        /// The identity.
        nevra: Nevra,
        /// What is locked.
        from: String,
        /// What there is.
        to: String,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New(nevra) => write!(f, "`{nevra}` is new"),
            Self::Gone(nevra) => write!(f, "`{nevra}` is gone"),
            Self::Moved { from, to } => write!(f, "`{from}` is now `{to}`"),
            Self::Other { nevra, from, to } => write!(f, "`{nevra}` is now {to}, and was {from}"),
        }
    }
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
    #[error("the lock {path} is damaged: image `{image}`: {why}")]
    Value {
        /// The lock.
        path: PathBuf,
        /// Of which image.
        image: String,
        /// What is wrong.
        why: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    version: format::Version,
    #[serde(default)]
    image: Vec<ImageText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ImageText {
    name: String,
    arch: String,
    #[serde(default)]
    packages: BTreeMap<String, EntryText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryText {
    sha256: String,
    component: String,
    repository: Option<String>,
}

impl Lock {
    /// Of one image.
    pub fn one(image: &ImageName, arch: Arch, locked: Locked) -> Self {
        Self {
            images: BTreeMap::from([((image.clone(), arch), locked)]),
        }
    }

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

    /// From its text; `path` names it in errors.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Error> {
        let text: Text = toml::from_str(text).map_err(|source| Error::Text {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        text.version.check(path.display().to_string(), FORMAT)?;
        let mut lock = Self::default();
        for image in text.image {
            let bad = |why: &dyn fmt::Display| Error::Value {
                path: path.to_owned(),
                image: image.name.clone(),
                why: why.to_string(),
            };
            let name: ImageName = image.name.parse().map_err(|error| bad(&error))?;
            let arch: Arch = image.arch.parse().map_err(|error| bad(&error))?;
            let mut locked = Locked::default();
            for (nevra, entry) in image.packages {
                let entry = Entry {
                    nevra: nevra.parse().map_err(|error| bad(&error))?,
                    sha256: entry.sha256.parse().map_err(|error| bad(&error))?,
                    component: entry.component.parse().map_err(|error| bad(&error))?,
                    repository: entry.repository,
                };
                locked.packages.insert(nevra, entry);
            }
            if lock.images.insert((name, arch), locked).is_some() {
                return Err(bad(&"it is listed twice for one architecture"));
            }
        }
        Ok(lock)
    }

    /// Its text.
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "# Made by `keel image build`; what it holds is reviewed, not edited.\nversion = {}\n",
            FORMAT.0
        );
        for ((name, arch), locked) in &self.images {
            // Writing to a String cannot fail.
            let _ = write!(
                text,
                "\n[[image]]\nname = {}\narch = {}\n[image.packages]\n",
                quote(name.as_str()),
                quote(arch.rpm())
            );
            for (nevra, entry) in &locked.packages {
                let _ = write!(
                    text,
                    "{} = {{ sha256 = \"{}\", component = {}",
                    quote(nevra),
                    entry.sha256,
                    quote(entry.component.as_str())
                );
                if let Some(repository) = &entry.repository {
                    let _ = write!(text, ", repository = {}", quote(repository));
                }
                text.push_str(" }\n");
            }
        }
        text
    }

    /// Writes it to `path` at once: readers see the old text or the new one. Does nothing if the text is the same.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let text = self.to_text();
        if fs_err::read(path).is_ok_and(|old| old == text.as_bytes()) {
            return Ok(());
        }
        crate::fresh::replace(path, text.as_bytes()).map_err(|source| Error::Io {
            path: path.to_owned(),
            source,
        })
    }
}

impl Locked {
    /// These packages.
    pub(crate) fn of(chosen: &[&Candidate]) -> Self {
        let entry = |package: &&Candidate| Entry {
            nevra: package.info.nevra.clone(),
            sha256: package.origin.sha256,
            component: package.origin.component.clone(),
            repository: package.origin.repository.clone(),
        };
        let entries = chosen.iter().map(entry);
        Self {
            packages: entries.map(|entry| (entry.nevra.to_string(), entry)).collect(),
        }
    }

    /// How `now` differs from what is locked, by name. Packages of one name are told as moved where each side has one.
    pub fn differences(&self, now: &Self) -> Vec<Difference> {
        let mut by_name: BTreeMap<&str, (Vec<&Entry>, Vec<&Entry>)> = BTreeMap::new();
        for entry in self.packages.values() {
            by_name
                .entry(entry.nevra.name.as_str())
                .or_default()
                .0
                .push(entry);
        }
        for entry in now.packages.values() {
            by_name
                .entry(entry.nevra.name.as_str())
                .or_default()
                .1
                .push(entry);
        }
        let mut found = Vec::new();
        for (before, after) in by_name.into_values() {
            let same =
                |entry: &&Entry, others: &[&Entry]| others.iter().any(|other| other.nevra == entry.nevra);
            for one in &before {
                let other = after.iter().find(|other| other.nevra == one.nevra);
                found.extend(other.and_then(|other| one.other(other)));
            }
            let gone: Vec<_> = before.iter().filter(|entry| !same(entry, &after)).collect();
            let new: Vec<_> = after.iter().filter(|entry| !same(entry, &before)).collect();
            match (gone.as_slice(), new.as_slice()) {
                ([from], [to]) => found.push(Difference::Moved {
                    from: from.nevra.clone(),
                    to: to.nevra.clone(),
                }),
                _ => {
                    found.extend(gone.iter().map(|entry| Difference::Gone(entry.nevra.clone())));
                    found.extend(new.iter().map(|entry| Difference::New(entry.nevra.clone())));
                }
            }
        }
        found
    }
}

impl Entry {
    /// How another package of the same identity differs.
    fn other(&self, now: &Self) -> Option<Difference> {
        let told = |entry: &Self| match &entry.repository {
            Some(address) => format!("{} of {address}", entry.sha256.short()),
            None => format!("{} built from `{}`", entry.sha256.short(), entry.component),
        };
        (self != now).then(|| Difference::Other {
            nevra: self.nevra.clone(),
            from: told(self),
            to: told(now),
        })
    }
}

/// As a TOML basic string.
fn quote(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(nevra: &str, bytes: &str, repository: Option<&str>) -> (String, Entry) {
        let entry = Entry {
            nevra: nevra.parse().unwrap(),
            sha256: Sha256::of(bytes.as_bytes()),
            component: "c".parse().unwrap(),
            repository: repository.map(str::to_owned),
        };
        (nevra.to_owned(), entry)
    }

    fn locked(entries: &[(&str, &str, Option<&str>)]) -> Locked {
        let entries = entries
            .iter()
            .map(|(nevra, bytes, from)| entry(nevra, bytes, *from));
        Locked {
            packages: entries.collect(),
        }
    }

    #[test]
    fn text_is_read_as_it_was_written() {
        let mut lock = Lock::one(
            &"web".parse().unwrap(),
            Arch::X86_64,
            locked(&[
                ("b-2:1~rc1-1.noarch", "b", None),
                ("a-1-1.x86_64", "a", Some("https://a.example/x\"y")),
            ]),
        );
        lock.images
            .insert(("empty".parse().unwrap(), Arch::Aarch64), Locked::default());
        let text = lock.to_text();
        assert_eq!(Lock::parse(&text, Path::new("x")).unwrap(), lock);
        assert_eq!(
            text.lines().filter(|line| line.contains("sha256")).count(),
            2,
            "one line a package:\n{text}"
        );
    }

    #[test]
    fn what_is_wrong_is_told() {
        let head = "version = 1\n[[image]]\nname = \"a\"\narch = \"x86_64\"\n";
        for (text, part) in [
            ("version = 2\n".to_owned(), "version 2"),
            ("version = 1\nx = 1\n".to_owned(), "damaged"),
            (
                format!("{head}[image.packages]\n\"a\" = {{ sha256 = \"0\", component = \"a\" }}\n"),
                "identity",
            ),
            (
                format!("{head}{}", head.strip_prefix("version = 1\n").unwrap()),
                "twice",
            ),
            (head.replace("x86_64", "vax"), "vax"),
        ] {
            let error = Lock::parse(&text, Path::new("image.lock"))
                .unwrap_err()
                .to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn differences_are_told_by_name() {
        let before = locked(&[
            ("bash-5.2-1.x86_64", "x", None),
            ("gone-1-1.noarch", "x", None),
            ("kernel-1-1.x86_64", "x", None),
            ("kernel-2-1.x86_64", "x", None),
            ("same-1-1.noarch", "x", None),
            ("zlib-1-1.x86_64", "x", None),
        ]);
        let now = locked(&[
            ("bash-5.3-1.x86_64", "x", None),
            ("kernel-2-1.x86_64", "x", Some("https://a.example")),
            ("kernel-3-1.x86_64", "x", None),
            ("kernel-4-1.x86_64", "x", None),
            ("new-1-1.noarch", "x", None),
            ("same-1-1.noarch", "x", None),
            ("zlib-1-1.x86_64", "y", None),
        ]);
        let told: Vec<String> = (before.differences(&now).iter())
            .map(ToString::to_string)
            .collect();
        let (x, y) = (Sha256::of(b"x").short(), Sha256::of(b"y").short());
        assert_eq!(
            told,
            [
                "`bash-5.2-1.x86_64` is now `bash-5.3-1.x86_64`".to_owned(),
                "`gone-1-1.noarch` is gone".to_owned(),
                format!("`kernel-2-1.x86_64` is now {x} of https://a.example, and was {x} built from `c`"),
                "`kernel-1-1.x86_64` is gone".to_owned(),
                "`kernel-3-1.x86_64` is new".to_owned(),
                "`kernel-4-1.x86_64` is new".to_owned(),
                "`new-1-1.noarch` is new".to_owned(),
                format!("`zlib-1-1.x86_64` is now {y} built from `c`, and was {x} built from `c`"),
            ]
        );
        assert_eq!(before.differences(&before), []);
    }
}
