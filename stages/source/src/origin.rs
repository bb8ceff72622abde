//! Origins: where a source file may be had.
//!
//! As text, in locks and messages: `debian:SUITE:PATH`, `https://…`, `file:PATH`, `crates:NAME:VERSION`,
//! `pypi:NAME:VERSION`. None of them names a mirror or registry: those are the machine's, not the project's.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use keel_artefact::Sha256;
use serde::Deserialize;

use crate::{
    Answer, Options,
    http::{Client, Failure, Url},
};

/// The longest registry document that is read, in bytes.
const MAX_DOCUMENT: u64 = 64 << 20;

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

/// One exact place to take a file from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Url(Url),
    File(PathBuf),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => url.fmt(f),
            Self::File(path) => path.display().fmt(f),
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
    fn indexed(&self, _: &Ask<'_>) -> Result<Option<Sha256>, Failure> {
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
            Config::Custom { .. } | Config::Overlay => return None,
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

/// A line of cargo's registry index.
#[derive(Deserialize)]
struct CrateLine {
    vers: String,
    cksum: String,
}

/// cargo's `config.json` of a registry.
#[derive(Deserialize)]
struct CrateConfig {
    dl: String,
}

impl Crate {
    fn ask_index<T>(
        &self,
        ask: &Ask<'_>,
        path: &str,
        read: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<T, Failure> {
        let base = ask
            .options
            .registries
            .crates
            .as_deref()
            .ok_or(Answer::NoRegistry("crates"))?;
        let base = base.strip_prefix("sparse+").unwrap_or(base).trim_end_matches('/');
        let url = Url::parse(&format!("{base}/{path}"), false)?;
        let bytes = ask.client.document(&url, MAX_DOCUMENT)?;
        Ok(read(&bytes)
            .ok_or_else(|| Answer::Nonsense(format!("{url} is not what cargo's index has there")))?)
    }

    /// Where the index keeps the crate: cargo's layout by the length of the name.
    fn index_path(&self) -> String {
        let name = self.name.to_ascii_lowercase();
        match name.len() {
            1 | 2 => format!("{}/{name}", name.len()),
            3 => format!("3/{}/{name}", &name[..1]),
            _ => format!("{}/{}/{name}", &name[..2], &name[2..4]),
        }
    }

    fn check(&self) -> Result<(), Answer> {
        let fits = |text: &str, more: &str| {
            !text.is_empty()
                && text
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || more.contains(c))
        };
        let good = fits(&self.name, "-_") && fits(&self.version, ".+-");
        good.then_some(())
            .ok_or_else(|| Answer::Nonsense(format!("`{}` is no crate and version", self.version)))
    }
}

impl Source for Crate {
    fn places(&self, ask: &Ask<'_>) -> Result<Vec<Place>, Failure> {
        self.check()?;
        let config: CrateConfig =
            self.ask_index(ask, "config.json", |bytes| serde_json::from_slice(bytes).ok())?;
        let url = if config.dl.contains("{crate}") {
            config
                .dl
                .replace("{crate}", &self.name)
                .replace("{version}", &self.version)
        } else {
            format!(
                "{}/{}/{}/download",
                config.dl.trim_end_matches('/'),
                self.name,
                self.version
            )
        };
        Ok(vec![Place::Url(Url::parse(&url, false)?)])
    }

    fn indexed(&self, ask: &Ask<'_>) -> Result<Option<Sha256>, Failure> {
        self.check()?;
        self.ask_index(ask, &self.index_path(), |bytes| {
            let lines = std::str::from_utf8(bytes).ok()?.lines();
            let mut lines = lines.filter_map(|line| serde_json::from_str::<CrateLine>(line).ok());
            let line = lines.find(|line| line.vers == self.version)?;
            line.cksum.parse().ok().map(Some)
        })
    }
}

/// The part of PyPI's JSON API that is read.
#[derive(Deserialize)]
struct PypiDocument {
    urls: Vec<PypiFile>,
}

#[derive(Deserialize)]
struct PypiFile {
    packagetype: String,
    filename: String,
    url: String,
    digests: PypiDigests,
}

#[derive(Deserialize)]
struct PypiDigests {
    sha256: String,
}

impl Sdist {
    /// The source distribution of the wanted name, or the only one there is.
    fn ask_index(&self, ask: &Ask<'_>) -> Result<PypiFile, Failure> {
        let base = ask
            .options
            .registries
            .pypi
            .as_deref()
            .ok_or(Answer::NoRegistry("pypi"))?;
        let fits = |text: &str| {
            text.chars()
                .all(|c| c.is_ascii_alphanumeric() || "._+!-".contains(c))
        };
        if !fits(&self.name) || !fits(&self.version) {
            return Err(Answer::Nonsense(format!("`{}` is no project and version", self.version)).into());
        }
        let base = base.trim_end_matches('/');
        let url = Url::parse(&format!("{base}/pypi/{}/{}/json", self.name, self.version), false)?;
        let bytes = ask.client.document(&url, MAX_DOCUMENT)?;
        let nonsense = |what: &str| Answer::Nonsense(format!("{url} {what}"));
        let document: PypiDocument =
            serde_json::from_slice(&bytes).map_err(|_| nonsense("is not PyPI's JSON"))?;
        let mut sdists: Vec<_> = (document.urls.into_iter())
            .filter(|file| file.packagetype == "sdist")
            .collect();
        let at = sdists.iter().position(|file| file.filename == ask.file_name);
        match at {
            Some(at) => Ok(sdists.swap_remove(at)),
            None if sdists.len() == 1 => Ok(sdists.swap_remove(0)),
            None => Err(nonsense("names no such source distribution").into()),
        }
    }
}

impl Source for Sdist {
    fn places(&self, ask: &Ask<'_>) -> Result<Vec<Place>, Failure> {
        Ok(vec![Place::Url(Url::parse(&self.ask_index(ask)?.url, false)?)])
    }

    fn indexed(&self, ask: &Ask<'_>) -> Result<Option<Sha256>, Failure> {
        let digest = self.ask_index(ask)?.digests.sha256.parse();
        Ok(Some(digest.map_err(|_| {
            Answer::Nonsense("its index has no SHA-256".to_owned())
        })?))
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
        }
    }
}

/// A text is no origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no origin (`debian:SUITE:pool/…`, `https://…`, `file:PATH`, `crates:NAME:VERSION`, `pypi:NAME:VERSION`)"
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
            "crates" | "pypi" => {
                let (name, version) = pair().ok_or_else(error)?;
                let (name, version) = (name.to_owned(), version.to_owned());
                Ok(match kind {
                    "crates" => Self::Crates(Crate { name, version }),
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

    #[test]
    fn crates_lie_where_cargo_looks() {
        for (name, path) in [
            ("a", "1/a"),
            ("ab", "2/ab"),
            ("abc", "3/a/abc"),
            ("Serde", "se/rd/serde"),
        ] {
            let version = "1.0.0".to_owned();
            let name = name.to_owned();
            assert_eq!(Crate { name, version }.index_path(), path);
        }
    }
}
