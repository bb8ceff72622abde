//! Architectures. An identity without one does not exist in Keel.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// An architecture that Keel builds for, by rpm's name of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arch {
    /// 64-bit x86.
    #[serde(rename = "x86_64")]
    X86_64,
    /// 64-bit ARM.
    Aarch64,
}

impl Arch {
    /// rpm's name: `x86_64`, `aarch64`.
    pub fn rpm(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// The OCI image specification's name (GOARCH): `amd64`, `arm64`.
    pub fn oci(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Aarch64 => "arm64",
        }
    }

    /// Debian's name: `amd64`, `arm64`.
    pub fn debian(self) -> &'static str {
        self.oci()
    }

    /// GNU triplet of Debian's compiler: `x86_64-linux-gnu`.
    pub fn debian_triplet(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-linux-gnu",
            Self::Aarch64 => "aarch64-linux-gnu",
        }
    }

    /// UEFI's suffix of removable-media file names: `x64`, `aa64`.
    pub fn efi(self) -> &'static str {
        match self {
            Self::X86_64 => "x64",
            Self::Aarch64 => "aa64",
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.rpm())
    }
}

/// A name is no architecture of Keel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown architecture `{0}` (known: x86_64, aarch64)")]
pub struct ParseError(pub String);

impl FromStr for Arch {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text {
            "x86_64" => Ok(Self::X86_64),
            "aarch64" => Ok(Self::Aarch64),
            _ => Err(ParseError(text.to_owned())),
        }
    }
}

/// The architecture field of a package: a real one, `noarch`, or `src`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum PackageArch {
    /// Built for one architecture.
    Arch(Arch),
    /// Fits every architecture.
    Noarch,
    /// A source package.
    Src,
}

impl fmt::Display for PackageArch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arch(arch) => arch.fmt(f),
            Self::Noarch => f.write_str("noarch"),
            Self::Src => f.write_str("src"),
        }
    }
}

impl FromStr for PackageArch {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text {
            "noarch" => Ok(Self::Noarch),
            "src" | "nosrc" => Ok(Self::Src),
            other => other.parse().map(Self::Arch),
        }
    }
}

crate::name::serde_as_text!(PackageArch);
