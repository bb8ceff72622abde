//! A path inside a root: of a package, a build root, an image. A path on the host is a [`std::path::Path`].

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

/// An absolute, normalised path inside a root: no `.`, `..`, empty part or NUL; `/` is the root itself.
///
/// It can only be turned into a host path under a given folder ([`RootPath::under`]); that call does not
/// resolve symbolic links, so it is for folders that nobody else writes, or for names only.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RootPath(String);

impl RootPath {
    /// The root itself.
    pub fn root() -> Self {
        Self("/".to_owned())
    }

    /// With its leading slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Without its leading slash: how archives name it. Empty for the root.
    pub fn relative(&self) -> &str {
        &self.0[1..]
    }

    /// The last part; empty for the root.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or("")
    }

    /// The folder it is in; none for the root.
    pub fn parent(&self) -> Option<Self> {
        if self.0 == "/" {
            return None;
        }
        match self.0.rfind('/') {
            Some(0) | None => Some(Self::root()),
            Some(at) => Some(Self(self.0[..at].to_owned())),
        }
    }

    /// A part further down. Fails as parsing does.
    pub fn join(&self, part: &str) -> Result<Self, ParseError> {
        format!("{}/{part}", self.0.trim_end_matches('/')).parse()
    }

    /// Where it lies when the root is the folder `base` on the host.
    pub fn under(&self, base: &Path) -> PathBuf {
        base.join(self.relative())
    }
}

impl fmt::Display for RootPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RootPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// A text is no path inside a root.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no absolute path inside a root (no `.`, `..`, empty part or NUL byte)")]
pub struct ParseError(pub String);

impl FromStr for RootPath {
    type Err = ParseError;

    /// A leading `./` or a missing slash is not accepted; one trailing slash is dropped.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text == "/" {
            return Ok(Self::root());
        }
        let error = || ParseError(text.to_owned());
        let parts = text
            .strip_suffix('/')
            .unwrap_or(text)
            .strip_prefix('/')
            .ok_or_else(error)?;
        if text.contains('\0') || parts.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(error());
        }
        Ok(Self(format!("/{parts}")))
    }
}

crate::name::serde_as_text!(RootPath);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_path_stays_inside() {
        for bad in ["", "a", "./a", "/a/../b", "/..", "//", "/a//b", "/a/./b", "/a\0"] {
            assert!(bad.parse::<RootPath>().is_err(), "{bad:?}");
        }
        let path: RootPath = "/usr/bin/".parse().unwrap();
        assert_eq!(path.as_str(), "/usr/bin");
        assert_eq!(path.parent().unwrap().as_str(), "/usr");
        assert_eq!(path.parent().unwrap().parent().unwrap().as_str(), "/");
        assert_eq!(
            path.join("sh").unwrap().under(Path::new("/tmp/r")),
            Path::new("/tmp/r/usr/bin/sh")
        );
        assert!(path.join("../x").is_err());
    }
}
