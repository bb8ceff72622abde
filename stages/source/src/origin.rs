//! Origins: where a source file may be had.
//!
//! As text, in locks and messages: `debian:SUITE:PATH`, `https://…`, `file:PATH`, `crates:NAME:VERSION`,
//! `pypi:NAME:VERSION`, `npm:NAME:VERSION`, `git:COMMIT:URL`. None of them names a mirror or registry: those are the machine's, not the project's.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use keel_artefact::{Sha256, Sha512};
use serde::Deserialize;

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
    pub(crate) fn ask_index<T>(
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
    pub(crate) fn index_path(&self) -> String {
        let name = self.name.to_ascii_lowercase();
        match name.len() {
            1 | 2 => format!("{}/{name}", name.len()),
            3 => format!("3/{}/{name}", &name[..1]),
            _ => format!("{}/{}/{name}", &name[..2], &name[2..4]),
        }
    }

    pub(crate) fn check(&self) -> Result<(), Answer> {
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

    fn indexed(&self, ask: &Ask<'_>) -> Result<Option<Vouched>, Failure> {
        self.check()?;
        self.ask_index(ask, &self.index_path(), |bytes| {
            let lines = std::str::from_utf8(bytes).ok()?.lines();
            let mut lines = lines.filter_map(|line| serde_json::from_str::<CrateLine>(line).ok());
            let line = lines.find(|line| line.vers == self.version)?;
            line.cksum
                .parse()
                .ok()
                .map(|digest| Some(Vouched::Sha256(digest)))
        })
    }
}

/// The part of a project's page of the simple index that is read, in JSON
/// (<https://packaging.python.org/en/latest/specifications/simple-repository-api/>).
#[derive(Deserialize)]
pub(crate) struct PypiDocument {
    pub(crate) files: Vec<PypiFile>,
}

#[derive(Deserialize)]
pub(crate) struct PypiFile {
    pub(crate) filename: String,
    /// `false`, or why.
    #[serde(default)]
    pub(crate) yanked: serde_json::Value,
    url: String,
    #[serde(default)]
    hashes: PypiHashes,
}

#[derive(Default, Deserialize)]
struct PypiHashes {
    sha256: Option<String>,
}

impl Sdist {
    /// The project's page of the index.
    pub(crate) fn page(&self, ask: &Ask<'_>) -> Result<(Url, PypiDocument), Failure> {
        const JSON: &str = "application/vnd.pypi.simple.v1+json";
        let base = ask
            .options
            .registries
            .pypi
            .as_deref()
            .ok_or(Answer::NoRegistry("pypi"))?;
        let fits = |text: &str| {
            !text.is_empty()
                && text
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "._+!-".contains(c))
        };
        if !fits(&self.name) || !fits(&self.version) {
            return Err(Answer::Nonsense(format!("`{}` is no project and version", self.version)).into());
        }
        let (base, name) = (base.trim_end_matches('/'), normalized(&self.name));
        let url = Url::parse(&format!("{base}/{name}/"), false)?;
        let bytes = ask.client.document_as(&url, JSON, MAX_DOCUMENT)?;
        let document = serde_json::from_slice(&bytes)
            .map_err(|_| Answer::Nonsense(format!("{url} is no page of a simple index in JSON")))?;
        Ok((url, document))
    }

    /// The wanted file, or the version's source distribution if there is but one, and the page that it is on.
    fn ask_index(&self, ask: &Ask<'_>) -> Result<(Url, PypiFile), Failure> {
        let (url, document) = self.page(ask)?;
        let (mut files, mut sdists) = (Vec::new(), Vec::new());
        for file in document.files {
            if file.filename == ask.file_name {
                files.push(file);
            } else if self.is_sdist(&file.filename) {
                sdists.push(file);
            }
        }
        match (files.pop(), sdists.len()) {
            (Some(file), _) => Ok((url, file)),
            (None, 1) => Ok((url, sdists.swap_remove(0))),
            (None, _) => Err(Answer::Nonsense(format!("{url} names no such source distribution")).into()),
        }
    }

    /// Is it called as the source distribution of this version (PEP 625, and what came before it)?
    fn is_sdist(&self, file_name: &str) -> bool {
        self.sdist_version(file_name) == Some(self.version.as_str())
    }

    /// The version of this project that a file is the source distribution of, if it is one.
    pub(crate) fn sdist_version<'f>(&self, file_name: &'f str) -> Option<&'f str> {
        let stem = [".tar.gz", ".zip", ".tar.bz2"]
            .iter()
            .find_map(|end| file_name.strip_suffix(end))?;
        let (name, version) = stem.rsplit_once('-')?;
        (normalized(name) == normalized(&self.name)).then_some(version)
    }
}

/// A project's name in addresses: lower case, runs of `-`, `_` and `.` are one `-`.
fn normalized(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '-' | '_' | '.' if text.ends_with('-') => {}
            '-' | '_' | '.' => text.push('-'),
            c => text.push(c.to_ascii_lowercase()),
        }
    }
    text
}

impl Source for Sdist {
    fn places(&self, ask: &Ask<'_>) -> Result<Vec<Place>, Failure> {
        let (page, file) = self.ask_index(ask)?;
        Ok(vec![Place::Url(page.redirect(&file.url)?)])
    }

    fn indexed(&self, ask: &Ask<'_>) -> Result<Option<Vouched>, Failure> {
        let digest = self
            .ask_index(ask)?
            .1
            .hashes
            .sha256
            .and_then(|text| text.parse().ok());
        let digest = digest.ok_or_else(|| Answer::Nonsense("its index has no SHA-256".to_owned()))?;
        Ok(Some(Vouched::Sha256(digest)))
    }
}

/// The part of npm's document of a version that is read.
#[derive(Deserialize)]
struct NpmDocument {
    dist: NpmDist,
}

#[derive(Deserialize)]
struct NpmDist {
    tarball: String,
    /// Subresource integrity (<https://www.w3.org/TR/SRI/>): `sha512-` and base64, perhaps others beside it.
    #[serde(default)]
    integrity: String,
}

impl NpmPackage {
    /// Where the registry's document of the package is.
    pub(crate) fn address(&self, ask: &Ask<'_>) -> Result<String, Failure> {
        let base = ask.options.registries.npm.as_deref();
        let base = base.ok_or(Answer::NoRegistry("npm"))?.trim_end_matches('/');
        let fits = |text: &str, more: &str| {
            !text.is_empty()
                && text
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || more.contains(c))
        };
        let (scope, name) = match self.name.strip_prefix('@').and_then(|name| name.split_once('/')) {
            Some((scope, name)) => (Some(scope), name),
            None => (None, self.name.as_str()),
        };
        let is_good = |part: &str| fits(part, "-_.") && !part.starts_with('.');
        if !is_good(name) || !scope.is_none_or(is_good) || !fits(&self.version, ".+-") {
            return Err(Answer::Nonsense(format!("`{}` is no package and version", self.name)).into());
        }
        let scope = scope.map_or(String::new(), |scope| format!("@{scope}%2f"));
        Ok(format!("{base}/{scope}{name}"))
    }

    fn ask_index(&self, ask: &Ask<'_>) -> Result<NpmDist, Failure> {
        let url = Url::parse(&format!("{}/{}", self.address(ask)?, self.version), false)?;
        let bytes = ask.client.document(&url, MAX_DOCUMENT)?;
        let document: NpmDocument = serde_json::from_slice(&bytes)
            .map_err(|_| Answer::Nonsense(format!("{url} is not npm's JSON")))?;
        Ok(document.dist)
    }
}

impl Source for NpmPackage {
    fn places(&self, ask: &Ask<'_>) -> Result<Vec<Place>, Failure> {
        Ok(vec![Place::Url(Url::parse(
            &self.ask_index(ask)?.tarball,
            false,
        )?)])
    }

    fn indexed(&self, ask: &Ask<'_>) -> Result<Option<Vouched>, Failure> {
        let integrity = self.ask_index(ask)?.integrity;
        let mut all = integrity.split_ascii_whitespace();
        let digest = all.find_map(|one| one.strip_prefix("sha512-")).and_then(|text| {
            let bytes = BASE64.decode(text).ok()?;
            <[u8; 64]>::try_from(bytes).ok()
        });
        let digest = digest.ok_or_else(|| Answer::Nonsense("its index has no SHA-512".to_owned()))?;
        Ok(Some(Vouched::Sha512(digest.into())))
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

    #[test]
    fn source_distributions_are_told_by_their_names() {
        let sdist = Sdist {
            name: "Zope.Interface".to_owned(),
            version: "5.4.0".to_owned(),
        };
        for (name, is_it) in [
            ("zope.interface-5.4.0.tar.gz", true),
            ("zope_interface-5.4.0.zip", true),
            ("zope.interface-5.4.0.post1.tar.gz", false),
            ("zope_interface-5.4.0-cp39-cp39-linux.whl", false),
            ("interface-5.4.0.tar.gz", false),
        ] {
            assert_eq!(sdist.is_sdist(name), is_it, "{name}");
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
