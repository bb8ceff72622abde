//! `Sources` and `Packages`: which files the pool holds, by SHA-256.

use std::{
    cmp::Ordering,
    io::{BufRead, BufReader, Read},
};

use keel_artefact::Sha256;

use super::{
    deb822::{Paragraph, Paragraphs, ParseError},
    version,
};
use crate::{Origin, origin::Debian};

/// How big an index may get when it is unpacked, in bytes (trixie's `Sources` has 55 MB, `Packages` 60 MB).
const MAX_UNPACKED: u64 = 1 << 30;
/// How much memory the decompressor may take, in bytes.
const MAX_MEMORY: u64 = 256 << 20;

/// One version of a source or binary package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// The suite in whose index it stands.
    pub suite: String,
    /// Its name.
    pub name: String,
    /// Its whole version, with epoch and revision.
    pub version: String,
    /// Only kept because a binary package was built with it; to be left alone.
    pub extra_source_only: bool,
    /// Its files.
    pub files: Vec<File>,
}

/// A file of the pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Below the archive's root: `pool/main/z/zlib/zlib_1.3.orig.tar.gz`.
    pub path: String,
    /// Its digest.
    pub digest: Sha256,
    /// Its size in bytes.
    pub size: u64,
}

impl File {
    /// The last part of its path.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}

impl Package {
    /// Upstream's part of its version.
    pub fn upstream(&self) -> &str {
        version::upstream(&self.version)
    }

    /// Its file of this name.
    pub fn file(&self, name: &str) -> Option<&File> {
        self.files.iter().find(|file| file.name() == name)
    }

    /// The order of versions.
    pub fn compare(&self, other: &Self) -> Ordering {
        version::compare(&self.version, &other.version)
    }
}

/// The packages of an xz-compressed index that `wanted` names, in its order.
pub fn read_xz(
    suite: &str,
    reader: impl Read,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<Vec<Package>, ParseError> {
    let stream = liblzma::stream::Stream::new_stream_decoder(MAX_MEMORY, liblzma::stream::CONCATENATED)
        .map_err(std::io::Error::from)?;
    let unpacked = liblzma::read::XzDecoder::new_stream(reader, stream);
    // The digest of the packed bytes is signed; the limit is for the day on which that is not enough.
    read(
        suite,
        BufReader::with_capacity(1 << 17, unpacked.take(MAX_UNPACKED)),
        wanted,
    )
}

/// The packages of an index that `wanted` names, in its order.
pub fn read(
    suite: &str,
    reader: impl BufRead,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<Vec<Package>, ParseError> {
    let mut packages = Vec::new();
    for paragraph in Paragraphs::new(reader) {
        let paragraph = paragraph?;
        if paragraph.get("Package").is_some_and(wanted) {
            packages.extend(package(suite, &paragraph));
        }
    }
    Ok(packages)
}

/// A package whose fields make sense; one that does not is as good as absent.
fn package(suite: &str, paragraph: &Paragraph) -> Option<Package> {
    let files = match paragraph.get("Filename") {
        Some(path) => vec![File {
            path: path.to_owned(),
            digest: paragraph.get("SHA256")?.parse().ok()?,
            size: paragraph.get("Size")?.parse().ok()?,
        }],
        None => {
            let folder = paragraph.get("Directory")?;
            let file = |record: Vec<&str>| {
                let [digest, size, name] = record[..] else {
                    return None;
                };
                let (digest, size) = (digest.parse().ok()?, size.parse().ok()?);
                let path = format!("{folder}/{name}");
                Some(File { path, digest, size })
            };
            paragraph
                .records("Checksums-Sha256")
                .map(file)
                .collect::<Option<_>>()?
        }
    };
    let is_safe = |file: &File| crate::origin::check_pool_path(&file.path).is_ok();
    files.iter().all(is_safe).then_some(Package {
        suite: suite.to_owned(),
        name: paragraph.get("Package")?.to_owned(),
        version: paragraph.get("Version")?.to_owned(),
        extra_source_only: paragraph
            .get("Extra-Source-Only")
            .is_some_and(|value| value.eq_ignore_ascii_case("yes")),
        files,
    })
}

/// The newest version that a build may use and that has a file named `name`; otherwise the newest one of the
/// upstream series (see [`version::series`]) that has a file of the same form. With it, that file.
pub fn newest<'a>(packages: &'a [Package], name: &str, of: Option<&str>) -> Option<(&'a Package, &'a File)> {
    let usable = || packages.iter().filter(|package| !package.extra_source_only);
    let exact = usable().filter_map(|package| Some((package, package.file(name)?)));
    let exact = exact.max_by(|(one, _), (other, _)| one.compare(other));
    exact.or_else(|| newest_in_series(packages, name, of))
}

/// The newest version of the upstream series of the file `name` that has a file of the same form.
pub fn newest_in_series<'a>(
    packages: &'a [Package],
    name: &str,
    of: Option<&str>,
) -> Option<(&'a Package, &'a File)> {
    let candidates = packages
        .iter()
        .filter(|package| !package.extra_source_only)
        .filter_map(|package| {
            let old = FileName::parse(name, &package.name)?;
            let series = of.unwrap_or_else(|| version::series(old.upstream()));
            if !version::is_in_series(package.upstream(), series) {
                return None;
            }
            Some((
                package,
                package.files.iter().find(|file| old.is_same_form(file.name()))?,
            ))
        });
    candidates.max_by(|(one, _), (other, _)| one.compare(other))
}

/// Where a file may be had: at every place where an index has the same bytes, those of the suite asked for first. (The
/// pool of the security archive may have lost what the main one still serves.)
pub fn origins(packages: &[Package], suite: &str, file: &File) -> Vec<Origin> {
    let places = packages
        .iter()
        .flat_map(|package| package.files.iter().map(move |file| (package, file)));
    let same = places.filter(|(_, other)| other.digest == file.digest && other.size == file.size);
    let mut same: Vec<_> = same
        .map(|(package, file)| (package.suite != suite, &package.suite, &file.path))
        .collect();
    same.sort();
    same.dedup();
    let origin = |(_, suite, path): (bool, &String, &String)| {
        let (suite, path) = (suite.clone(), path.clone());
        Origin::Debian(Debian { suite, path })
    };
    same.into_iter().map(origin).collect()
}

/// A file name of the pool, taken apart: `SOURCE_VERSION.FORM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileName<'a> {
    /// The package.
    pub package: &'a str,
    /// Upstream's version, or all of it without the epoch (`.debian.tar.xz`, native packages, `.deb`).
    pub version: &'a str,
    /// From the dot on: `.orig.tar.xz`, `.orig-cpython.tar.gz`, `.debian.tar.xz`, `_amd64.deb`.
    pub form: &'a str,
}

impl<'a> FileName<'a> {
    /// Takes `name` apart, a file of the package `package`.
    pub fn parse(name: &'a str, package: &str) -> Option<Self> {
        let rest = name.strip_prefix(package)?.strip_prefix('_')?;
        let version_ends = [".orig.tar.", ".orig-", ".debian.tar.", ".tar.", ".dsc", ".diff."];
        let at = match rest.strip_suffix(".deb") {
            Some(stem) => stem.rfind('_')?,
            None => version_ends.iter().find_map(|end| rest.find(end))?,
        };
        Some(Self {
            package: &name[..package.len()],
            version: &rest[..at],
            form: &rest[at..],
        })
    }

    /// Upstream's part of its version.
    pub fn upstream(&self) -> &'a str {
        match self.form.starts_with(".orig") {
            true => self.version,
            false => version::upstream(self.version),
        }
    }

    /// Is it another version of this file? The compression may differ.
    pub fn is_same_form(&self, other: &str) -> bool {
        fn kind(form: &str) -> (&str, bool) {
            let kind = form.rsplit_once(".tar.").map_or(form, |(kind, _)| kind);
            (kind, form.ends_with(".asc"))
        }
        FileName::parse(other, self.package).is_some_and(|other| kind(other.form) == kind(self.form))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCES: &str = "\
Package: linux\nVersion: 6.12.101-1\nDirectory: pool/main/l/linux\nChecksums-Sha256:\n \
1111111111111111111111111111111111111111111111111111111111111111 10 linux_6.12.101.orig.tar.xz\n \
2222222222222222222222222222222222222222222222222222222222222222 20 linux_6.12.101-1.debian.tar.xz\n
Package: linux\nVersion: 6.12.107-1\nDirectory: pool/main/l/linux\nChecksums-Sha256:\n \
3333333333333333333333333333333333333333333333333333333333333333 30 linux_6.12.107.orig.tar.xz\n \
3333333333333333333333333333333333333333333333333333333333333333 3 linux_6.12.107.orig.tar.xz.asc\n
Package: linux\nVersion: 6.13.1-1\nDirectory: pool/main/l/linux\nChecksums-Sha256:\n \
4444444444444444444444444444444444444444444444444444444444444444 40 linux_6.13.1.orig.tar.xz\n
Package: linux\nVersion: 6.12.200-1\nExtra-Source-Only: yes\nDirectory: pool/main/l/linux\nChecksums-Sha256:\n \
5555555555555555555555555555555555555555555555555555555555555555 50 linux_6.12.200.orig.tar.xz\n
Package: other\nVersion: 1\nDirectory: pool/main/o/other\n
Package: linux\nVersion: 6.12.300-1\nDirectory: pool/../../etc\nChecksums-Sha256:\n \
5555555555555555555555555555555555555555555555555555555555555555 50 linux_6.12.300.orig.tar.xz\n
Package: linux\nVersion: 6.12.301-1\nDirectory: pool/main/l/linux\nChecksums-Sha256:\n nonsense\n
";

    #[test]
    fn the_newest_usable_file_is_found() {
        let packages = read("trixie", SOURCES.as_bytes(), &|name| name == "linux").unwrap();
        assert_eq!(packages.len(), 4, "two are refused, one is not wanted");
        for (name, series, found) in [
            (
                "linux_6.12.101.orig.tar.xz",
                None,
                Some("linux_6.12.101.orig.tar.xz"),
            ),
            (
                "linux_6.12.38.orig.tar.gz",
                None,
                Some("linux_6.12.107.orig.tar.xz"),
            ),
            (
                "linux_6.12.38.orig.tar.xz.asc",
                None,
                Some("linux_6.12.107.orig.tar.xz.asc"),
            ),
            (
                "linux_6.12.38-2.debian.tar.xz",
                None,
                Some("linux_6.12.101-1.debian.tar.xz"),
            ),
            (
                "linux_6.12.38.orig.tar.xz",
                Some("6"),
                Some("linux_6.13.1.orig.tar.xz"),
            ),
            ("linux_6.11.1.orig.tar.xz", None, None),
            (
                "linux_6.12.200.orig.tar.xz",
                None,
                Some("linux_6.12.107.orig.tar.xz"),
            ),
            ("linux.tar.xz", None, None),
        ] {
            let file = newest(&packages, name, series).map(|(_, file)| file.name());
            assert_eq!(file, found, "{name}");
        }
    }

    #[test]
    fn an_xz_index_is_read_and_a_cut_one_is_an_error() {
        let mut packed = Vec::new();
        let mut encoder = liblzma::read::XzEncoder::new(SOURCES.as_bytes(), 6);
        encoder.read_to_end(&mut packed).unwrap();
        let all = |_: &str| true;
        assert_eq!(read_xz("trixie", &packed[..], &all).unwrap().len(), 5);
        assert!(read_xz("trixie", &packed[..packed.len() / 2], &all).is_err());
        assert!(read_xz("trixie", &b"not xz"[..], &all).is_err());
    }

    #[test]
    fn a_binary_index_has_one_file_a_package() {
        let text = format!(
            "Package: a\nVersion: 1:2-3\nFilename: pool/main/a/a/a_2-3_amd64.deb\nSize: 7\nSHA256: {:064}\n",
            0
        );
        let packages = read("trixie", text.as_bytes(), &|_| true).unwrap();
        assert_eq!(packages[0].files[0].name(), "a_2-3_amd64.deb");
        assert_eq!(packages[0].upstream(), "2");
        let (_, file) = newest(&packages, "a_2-1_amd64.deb", None).unwrap();
        assert_eq!(file.size, 7);
    }

    #[test]
    fn all_places_of_the_same_bytes_are_origins() {
        let linux = |name: &str| name == "linux";
        let mut packages = read("trixie-security", SOURCES.as_bytes(), &linux).unwrap();
        packages.extend(read("trixie", SOURCES.as_bytes(), &linux).unwrap());
        let file = packages[0].files[0].clone();
        let origins: Vec<_> = origins(&packages, "trixie", &file)
            .iter()
            .map(ToString::to_string)
            .collect();
        let path = "pool/main/l/linux/linux_6.12.101.orig.tar.xz";
        assert_eq!(
            origins,
            [
                format!("debian:trixie:{path}"),
                format!("debian:trixie-security:{path}")
            ]
        );
    }

    #[test]
    fn names_are_taken_apart() {
        for (name, package, expected) in [
            (
                "glibc_2.41.orig.tar.xz",
                "glibc",
                Some(("2.41", "2.41", ".orig.tar.xz")),
            ),
            (
                "glibc_2.41-12+deb13u2.debian.tar.xz",
                "glibc",
                Some(("2.41-12+deb13u2", "2.41", ".debian.tar.xz")),
            ),
            (
                "perl_5.40.1.orig-regen-configure.tar.gz",
                "perl",
                Some(("5.40.1", "5.40.1", ".orig-regen-configure.tar.gz")),
            ),
            (
                "ca-certificates_20250419.tar.xz",
                "ca-certificates",
                Some(("20250419", "20250419", ".tar.xz")),
            ),
            (
                "linux-source-6.12_6.12.107-1_all.deb",
                "linux-source-6.12",
                Some(("6.12.107-1", "6.12.107", "_all.deb")),
            ),
            ("glibc-2.41.tar.xz", "glibc", None),
            ("glibc_", "glibc", None),
        ] {
            let parts = FileName::parse(name, package).map(|file| (file.version, file.upstream(), file.form));
            assert_eq!(parts, expected, "{name}");
        }
    }
}
