//! Epoch, version, release; name and architecture. Ordered as rpm orders them (`rpmvercmp`).

use std::{cmp::Ordering, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{PackageArch, PackageName};

/// Epoch, version and release. `release` may be empty where only a version is compared.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Evr {
    /// Epoch; rpm treats a missing one as 0.
    pub epoch: u32,
    /// Upstream's version.
    pub version: String,
    /// The distribution's release.
    pub release: String,
}

impl Evr {
    /// As rpm compares: epochs, then versions, then releases. An empty release on either side is not compared.
    pub fn compare(&self, other: &Self) -> Ordering {
        let releases = || {
            if self.release.is_empty() || other.release.is_empty() {
                Ordering::Equal
            } else {
                rpmvercmp(&self.release, &other.release)
            }
        };
        (self.epoch.cmp(&other.epoch))
            .then_with(|| rpmvercmp(&self.version, &other.version))
            .then_with(releases)
    }
}

impl fmt::Display for Evr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.epoch != 0 {
            write!(f, "{}:", self.epoch)?;
        }
        f.write_str(&self.version)?;
        if !self.release.is_empty() {
            write!(f, "-{}", self.release)?;
        }
        Ok(())
    }
}

/// rpm's `rpmvercmp` on one part of a version.
pub fn rpmvercmp(one: &str, other: &str) -> Ordering {
    rpm_version::Evr::new("", one, "").cmp(&rpm_version::Evr::new("", other, ""))
}

/// A text is not `[epoch:]version[-release]`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a version ([epoch:]version[-release])")]
pub struct ParseError(pub String);

impl FromStr for Evr {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let error = || ParseError(text.to_owned());
        let (epoch, rest) = match text.split_once(':') {
            Some((epoch, rest)) => (epoch.parse().map_err(|_| error())?, rest),
            None => (0, text),
        };
        let (version, release) = rest.rsplit_once('-').unwrap_or((rest, ""));
        if version.is_empty() {
            return Err(error());
        }
        Ok(Self {
            epoch,
            version: version.to_owned(),
            release: release.to_owned(),
        })
    }
}

/// The identity of a package: two packages of one NEVRA must have the same bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Nevra {
    /// Package name.
    pub name: PackageName,
    /// Epoch, version, release.
    pub evr: Evr,
    /// Architecture.
    pub arch: PackageArch,
}

impl Nevra {
    /// The customary file name, without epoch: `zlib-1.3.1-1.kl1.x86_64.rpm`.
    pub fn file_name(&self) -> String {
        format!(
            "{}-{}-{}.{}.rpm",
            self.name, self.evr.version, self.evr.release, self.arch
        )
    }
}

impl fmt::Display for Nevra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}.{}", self.name, self.evr, self.arch)
    }
}

/// A text is not `name-[epoch:]version-release.arch`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the identity of a package (name-[epoch:]version-release.arch)")]
pub struct NotNevra(pub String);

impl FromStr for Nevra {
    type Err = NotNevra;

    /// Reads what [`Display`](fmt::Display) writes.
    fn from_str(text: &str) -> Result<Self, NotNevra> {
        let error = || NotNevra(text.to_owned());
        let (rest, arch) = text.rsplit_once('.').ok_or_else(error)?;
        let (rest, release) = rest.rsplit_once('-').ok_or_else(error)?;
        let (name, version) = rest.rsplit_once('-').ok_or_else(error)?;
        let nevra = Self {
            name: name.parse().map_err(|_| error())?,
            evr: format!("{version}-{release}").parse().map_err(|_| error())?,
            arch: arch.parse().map_err(|_| error())?,
        };
        match nevra.to_string() == text {
            true => Ok(nevra),
            false => Err(error()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_rpm_orders_them() {
        let ordered = [
            "1.0~rc1-1",
            "1.0-1",
            "1.0-1.kl1",
            "1.0-10",
            "1.0.1-1",
            "1.10-1",
            "1:0.1-1",
        ];
        for pair in ordered.windows(2) {
            let (low, high): (Evr, Evr) = (pair[0].parse().unwrap(), pair[1].parse().unwrap());
            assert_eq!(low.compare(&high), Ordering::Less, "{low} < {high}");
        }
        // N2: a rebuild is newer than what it replaces, and older than the next release.
        let ordered = [
            "3-3.kl1",
            "3-3.kl1.1",
            "3-3.kl1.2",
            "3-3.kl1.10",
            "3-3.kl2",
            "3-4.kl1",
        ];
        for pair in ordered.windows(2) {
            let (low, high): (Evr, Evr) = (pair[0].parse().unwrap(), pair[1].parse().unwrap());
            assert_eq!(low.compare(&high), Ordering::Less, "{low} < {high}");
        }
        let bare: Evr = "1.0".parse().unwrap();
        assert_eq!(bare.compare(&"1.0-7".parse().unwrap()), Ordering::Equal);
    }

    #[test]
    fn identities_are_read_as_they_are_written() {
        for text in ["zlib-devel-1.3-1.kl1.x86_64", "a-2:1~rc1-1.noarch", "b-1-1.src"] {
            assert_eq!(text.parse::<Nevra>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "a",
            "a-1.noarch",
            "a-1-1",
            "a-1-1.vax",
            "-1-1.src",
            "a-x:1-1.src",
            "a--1.src",
            "a-0:1-1.src",
            "a-1-.src",
        ] {
            assert!(text.parse::<Nevra>().is_err(), "{text}");
        }
    }
}
