//! Origins: where a source file may be had.
//!
//! As text, in locks and messages: `debian:SUITE:PATH`, `https://…`, `file:PATH`, `crates:NAME:VERSION`,
//! `pypi:NAME:VERSION`, `npm:NAME:VERSION`, `git:COMMIT:URL`. None of them names a mirror or registry: those are the machine's, not the project's.

mod address;
mod crates;
mod npm;
mod pypi;

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use keel_artefact::{Sha256, Sha512};

use crate::{
    Answer, Options,
    http::{Client, Failure, Url},
};

/// The longest registry document that is read, in bytes.
pub(crate) const MAX_DOCUMENT: u64 = 64 << 20;

/// Where a source file may be had.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Origin {
    /// Debian's archive.
    Debian(Debian),
    /// A URL with `https`.
    Https(Https),
    /// A file of this machine.
    File(File),
    /// A crate of crates.io.
    Crates(Crate),
    /// A source distribution of PyPI.
    Pypi(Sdist),
    /// A package of npm.
    Npm(NpmPackage),
    /// The files of a commit, as a tar archive.
    Git(Git),
    /// What a program of the tree makes. Only the configuration says how: a lock does not hold it.
    Generated(Generated),
}

/// A file of Debian's pool.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Debian {
    /// Suite: `trixie`, `trixie-security`.
    pub suite: String,
    /// Below the archive's root: `pool/main/z/zlib/zlib_1.3.orig.tar.gz`.
    pub path: String,
}

/// A URL with `https`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Https {
    /// The URL.
    pub url: String,
}

/// A file of this machine; a relative path counts from the project's folder.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct File {
    /// Where it lies.
    pub path: PathBuf,
}

/// A crate of crates.io.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Crate {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// A source distribution of PyPI.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sdist {
    /// Name of the project.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// A package of npm.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NpmPackage {
    /// Its name: `left-pad`, `@scope/name`.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// A commit, whose files are the content of a tar archive, below a folder that is called as the archive is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Git {
    /// The repository: `https://…` or `file:///…`.
    pub url: String,
    /// All digits of the commit's name.
    pub commit: String,
}

/// A program of the tree that makes a file. Relative paths count from the project's folder.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Generated {
    /// The program.
    pub program: PathBuf,
    /// Files that it reads.
    pub inputs: Vec<PathBuf>,
    /// Packages that it asks for, in azldev's world.
    pub packages: Vec<String>,
}

/// One exact place to take a file from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Url(Url),
    File(PathBuf),
    Commit(Git),
    Program(Generated),
}

/// What an index says of a file's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vouched {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => url.fmt(f),
            Self::File(path) => path.display().fmt(f),
            Self::Commit(git) => git.url.fmt(f),
            Self::Program(made) => made.program.display().fmt(f),
        }
    }
}

/// What an origin needs to find its places.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) client: &'a Client<'a>,
    pub(crate) options: &'a Options,
    /// The project's folder.
    pub(crate) root: &'a Path,
    /// The wanted file's name.
    pub(crate) file_name: &'a str,
}

/// What every kind of origin does.
pub(crate) trait Source {
    /// The places where it has the file, best first.
    fn places(&self, ask: &Ask<'_>) -> Result<Vec<Place>, Failure>;

    /// What its own index, if it has one, says the file's digest is.
    fn indexed(&self, _: &Ask<'_>) -> Result<Option<Vouched>, Failure> {
        Ok(None)
    }
}

impl Origin {
    pub(crate) fn source(&self) -> &dyn Source {
        match self {
            Self::Debian(origin) => origin,
            Self::Https(origin) => origin,
            Self::File(origin) => origin,
            Self::Crates(origin) => origin,
            Self::Pypi(origin) => origin,
            Self::Npm(origin) => origin,
            Self::Git(origin) => origin,
            Self::Generated(origin) => origin,
        }
    }

    /// The origin that the configuration means; none for a file of Debian's archive whose path is not pinned.
    pub fn from_config(origin: &keel_config::Origin, root: &Path) -> Option<Self> {
        use keel_config::Origin as Config;
        Some(match origin {
            Config::Debian { suite, path, .. } => Self::Debian(Debian {
                suite: suite.clone(),
                path: path.clone()?,
            }),
            Config::Https { url } => Self::Https(Https { url: url.clone() }),
            Config::File { path } => Self::File(File {
                path: path.strip_prefix(root).unwrap_or(path).to_owned(),
            }),
            Config::Crates { name, version } => Self::Crates(Crate {
                name: name.clone(),
                version: version.clone(),
            }),
            Config::Pypi { name, version } => Self::Pypi(Sdist {
                name: name.clone(),
                version: version.clone(),
            }),
            Config::Npm { name, version } => Self::Npm(NpmPackage {
                name: name.clone(),
                version: version.clone(),
            }),
            Config::Git { url, commit } => Self::Git(Git {
                url: url.clone(),
                commit: commit.clone(),
            }),
            Config::Custom {
                script,
                packages,
                inputs,
            } => {
                let relative = |path: &PathBuf| path.strip_prefix(root).unwrap_or(path).to_owned();
                Self::Generated(Generated {
                    program: relative(script),
                    inputs: inputs.iter().map(relative).collect(),
                    packages: packages.clone(),
                })
            }
            Config::Overlay => return None,
        })
    }
}

impl Source for Debian {
    fn places(&self, ask: &Ask<'_>) -> Result<Vec<Place>, Failure> {
        check_pool_path(&self.path).map_err(|error| Answer::Nonsense(error.to_string()))?;
        pool_places(ask.options, &self.suite, &self.path)
    }
}

/// The places of a path of the archive on all mirrors of a suite.
pub(crate) fn pool_places(options: &Options, suite: &str, path: &str) -> Result<Vec<Place>, Failure> {
    let place = |base: &String| match base.strip_prefix("file:") {
        Some(folder) => Ok(Place::File(Path::new(folder.trim_start_matches("//")).join(path))),
        None => Url::parse(&format!("{base}/{path}"), true).map(Place::Url),
    };
    let places = options
        .mirrors
        .of(suite)
        .iter()
        .map(place)
        .collect::<Result<Vec<_>, _>>()?;
    if places.is_empty() {
        return Err(Answer::NoMirror(suite.to_owned()).into());
    }
    Ok(places)
}

impl Source for Https {
    fn places(&self, _: &Ask<'_>) -> Result<Vec<Place>, Failure> {
        Ok(vec![Place::Url(Url::parse(&self.url, false)?)])
    }
}

impl Source for File {
    fn places(&self, ask: &Ask<'_>) -> Result<Vec<Place>, Failure> {
        Ok(vec![Place::File(ask.root.join(&self.path))])
    }
}

impl Source for Generated {
    fn places(&self, _: &Ask<'_>) -> Result<Vec<Place>, Failure> {
        Ok(vec![Place::Program(self.clone())])
    }
}

impl Source for Git {
    fn places(&self, ask: &Ask<'_>) -> Result<Vec<Place>, Failure> {
        if !ask.file_name.ends_with(".tar") {
            let text = format!("a commit is made a `.tar`, and `{}` is none", ask.file_name);
            return Err(Answer::Nonsense(text).into());
        }
        Ok(vec![Place::Commit(self.clone())])
    }
}

/// A path is no path of Debian's pool.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no path below Debian's pool (`pool/…`, no `.` or `..`)")]
pub struct PoolPathError(pub String);

/// Checks that `path` is a relative path of plain parts below `pool/`.
pub(crate) fn check_pool_path(path: &str) -> Result<(), PoolPathError> {
    let is_plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    let is_known = |c: char| c.is_ascii_alphanumeric() || "/._+~-:".contains(c);
    let good = path.starts_with("pool/") && path.split('/').all(is_plain) && path.chars().all(is_known);
    good.then_some(()).ok_or_else(|| PoolPathError(path.to_owned()))
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Debian(Debian { suite, path }) => write!(f, "debian:{suite}:{path}"),
            Self::Https(Https { url }) => f.write_str(url),
            Self::File(File { path }) => write!(f, "file:{}", path.display()),
            Self::Crates(Crate { name, version }) => write!(f, "crates:{name}:{version}"),
            Self::Pypi(Sdist { name, version }) => write!(f, "pypi:{name}:{version}"),
            Self::Npm(NpmPackage { name, version }) => write!(f, "npm:{name}:{version}"),
            Self::Git(Git { url, commit }) => write!(f, "git:{commit}:{url}"),
            Self::Generated(Generated { program, .. }) => write!(f, "generated:{}", program.display()),
        }
    }
}

/// A text is no origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no origin (`debian:SUITE:pool/…`, `https://…`, `file:PATH`, `crates:NAME:VERSION`, `pypi:NAME:VERSION`, \
     `npm:NAME:VERSION`, `git:COMMIT:https://…`)"
)]
pub struct ParseError(pub String);

impl FromStr for Origin {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let error = || ParseError(text.to_owned());
        let (kind, rest) = text.split_once(':').ok_or_else(error)?;
        let pair = || {
            rest.split_once(':')
                .filter(|(one, other)| !one.is_empty() && !other.is_empty())
        };
        match kind {
            "debian" => {
                let (suite, path) = pair().ok_or_else(error)?;
                check_pool_path(path).map_err(|_| error())?;
                let (suite, path) = (suite.to_owned(), path.to_owned());
                Ok(Self::Debian(Debian { suite, path }))
            }
            "https" => {
                Url::parse(text, false).map_err(|_| error())?;
                Ok(Self::Https(Https { url: text.to_owned() }))
            }
            "file" if !rest.is_empty() => Ok(Self::File(File { path: rest.into() })),
            "git" => {
                let (commit, url) = pair().ok_or_else(error)?;
                let is_whole =
                    matches!(commit.len(), 40 | 64) && commit.bytes().all(|b| b.is_ascii_hexdigit());
                if !is_whole || !(url.starts_with("https://") || url.starts_with("file:///")) {
                    return Err(error());
                }
                let (commit, url) = (commit.to_owned(), url.to_owned());
                Ok(Self::Git(Git { url, commit }))
            }
            "crates" | "pypi" | "npm" => {
                let (name, version) = pair().ok_or_else(error)?;
                let (name, version) = (name.to_owned(), version.to_owned());
                Ok(match kind {
                    "crates" => Self::Crates(Crate { name, version }),
                    "npm" => Self::Npm(NpmPackage { name, version }),
                    _ => Self::Pypi(Sdist { name, version }),
                })
            }
            _ => Err(error()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_origins() {
        for good in [
            "debian:trixie:pool/main/z/zlib/zlib_1.3.dfsg+really1.3.1.orig.tar.gz",
            "debian:trixie-security:pool/updates/main/o/openssl/openssl_3.5~rc1.orig.tar.gz",
            "https://example.org/a/b-1.tar.xz",
            "file:specs/a/b.tar",
            "file:/srv/b.tar",
            "crates:libc:0.2.1+x",
            "pypi:meson:1.7.0",
            "npm:@types/node:22.1.0",
            "git:0123456789abcdef0123456789abcdef01234567:https://example.org/a.git",
        ] {
            assert_eq!(good.parse::<Origin>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "debian",
            "debian:trixie",
            "debian:trixie:",
            "debian::pool/x",
            "debian:trixie:pool/../x",
            "debian:trixie:/etc/passwd",
            "debian:trixie:pool//x",
            "debian:trixie:pool/a b",
            "http://example.org/x",
            "https://u:p@example.org/x",
            "file:",
            "crates:libc",
            "pypi::1",
            "git:x:y",
        ] {
            assert!(bad.parse::<Origin>().is_err(), "{bad:?}");
        }
    }
}
