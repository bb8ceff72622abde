//! What the world calls an origin: a URL that anybody may fetch the bytes from, and a package URL.

use keel_artefact::purl;

use super::{Crate, Debian, Git, Https, NpmPackage, Origin, Sdist};

impl Origin {
    /// Where anybody may fetch the bytes, whatever mirrors this machine has. None for what lies in the tree or is made, and where
    /// only a registry's index knows.
    ///
    /// A commit is written as SPDX writes it: `git+https://…@COMMIT` (SPDX 2.3, §7.7).
    pub fn address(&self) -> Option<String> {
        match self {
            Self::Debian(Debian { suite, path }) if suite.ends_with("-security") => {
                Some(format!("https://security.debian.org/debian-security/{path}"))
            }
            Self::Debian(Debian { path, .. }) => Some(format!("https://deb.debian.org/debian/{path}")),
            Self::Https(Https { url }) => Some(url.clone()),
            Self::Crates(Crate { name, version }) => Some(format!(
                "https://static.crates.io/crates/{name}/{name}-{version}.crate"
            )),
            Self::Npm(NpmPackage { name, version }) => {
                let file = name.rsplit('/').next().unwrap_or(name);
                Some(format!(
                    "https://registry.npmjs.org/{name}/-/{file}-{version}.tgz"
                ))
            }
            Self::Git(Git { url, commit }) if url.starts_with("https://") => {
                Some(format!("git+{url}@{commit}"))
            }
            Self::Git(_) | Self::Pypi(_) | Self::File(_) | Self::Generated(_) => None,
        }
    }

    /// The package URL of what a language's registry has.
    pub fn purl(&self) -> Option<String> {
        match self {
            Self::Crates(Crate { name, version }) => Some(purl("cargo", "", name, version, &[])),
            // PyPI's names are one with `-` and `_`, in any case.
            Self::Pypi(Sdist { name, version }) => {
                let name = name.to_lowercase().replace('_', "-");
                Some(purl("pypi", "", &name, version, &[]))
            }
            Self::Npm(NpmPackage { name, version }) => {
                let (scope, name) = name.rsplit_once('/').unwrap_or(("", name));
                Some(purl("npm", scope, name, version, &[]))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_have_public_names() {
        for (origin, address, purl) in [
            (
                "debian:trixie:pool/main/z/zlib/zlib_1.3.orig.tar.gz",
                Some("https://deb.debian.org/debian/pool/main/z/zlib/zlib_1.3.orig.tar.gz"),
                None,
            ),
            (
                "debian:trixie-security:pool/updates/main/c/curl/curl_8.orig.tar.gz",
                Some(
                    "https://security.debian.org/debian-security/pool/updates/main/c/curl/curl_8.orig.tar.gz",
                ),
                None,
            ),
            (
                "https://example.org/b-1.tar.xz",
                Some("https://example.org/b-1.tar.xz"),
                None,
            ),
            (
                "crates:libc:0.2.1+x",
                Some("https://static.crates.io/crates/libc/libc-0.2.1+x.crate"),
                Some("pkg:cargo/libc@0.2.1%2Bx"),
            ),
            (
                "pypi:Typing_Extensions:4",
                None,
                Some("pkg:pypi/typing-extensions@4"),
            ),
            (
                "npm:@types/node:22.1.0",
                Some("https://registry.npmjs.org/@types/node/-/node-22.1.0.tgz"),
                Some("pkg:npm/%40types/node@22.1.0"),
            ),
            (
                "git:0123456789abcdef0123456789abcdef01234567:https://example.org/a.git",
                Some("git+https://example.org/a.git@0123456789abcdef0123456789abcdef01234567"),
                None,
            ),
            ("file:specs/a/b.tar", None, None),
        ] {
            let read: Origin = origin.parse().unwrap();
            assert_eq!(read.address().as_deref(), address, "{origin}");
            assert_eq!(read.purl().as_deref(), purl, "{origin}");
        }
    }
}
