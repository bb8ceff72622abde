//! Names of images in registries: `REGISTRY/REPOSITORY[:TAG][@DIGEST]`.
//!
//! Grammar: <https://github.com/opencontainers/distribution-spec/blob/main/spec.md> ("Pulling manifests"). No registry is meant
//! without being named.

use std::{fmt, net::IpAddr, str::FromStr};

use keel_artefact::Sha256;

use crate::layout::digest;

/// A name of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Host, and port if it is said.
    pub registry: String,
    /// The repository.
    pub repository: String,
    /// The tag, if one is said.
    pub tag: Option<String>,
    /// The digest, if one is said.
    pub digest: Option<Sha256>,
}

/// A text is no name of an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no image of a registry (REGISTRY/REPOSITORY[:TAG][@sha256:DIGEST]): {why}")]
pub struct ParseError {
    text: String,
    why: &'static str,
}

impl FromStr for Reference {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong = |why| ParseError {
            text: text.to_owned(),
            why,
        };
        let (name, of_digest) = match text.split_once('@') {
            Some((name, text)) => {
                let digest =
                    digest::parse(text).ok_or_else(|| wrong("what follows `@` is no SHA-256 digest"))?;
                (name, Some(digest))
            }
            None => (text, None),
        };
        let (registry, rest) = name
            .split_once('/')
            .ok_or_else(|| wrong("it names no registry"))?;
        if !is_registry(registry) {
            return Err(wrong("what comes before the first `/` is no host"));
        }
        let (repository, tag) = match rest.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag.to_owned())),
            None => (rest, None),
        };
        if !is_repository(repository) {
            return Err(wrong(
                "the repository has other characters than a-z, 0-9 and separators between them",
            ));
        }
        if tag.as_deref().is_some_and(|tag| !is_tag(tag)) {
            return Err(wrong(
                "the tag has other characters than letters, digits, `_`, `.` and `-`",
            ));
        }
        Ok(Self {
            registry: registry.to_owned(),
            repository: repository.to_owned(),
            tag,
            digest: of_digest,
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        self.tag.iter().try_for_each(|tag| write!(f, ":{tag}"))?;
        self.digest
            .iter()
            .try_for_each(|digest| write!(f, "@sha256:{digest}"))
    }
}

impl Reference {
    /// The host and port that are asked.
    pub(crate) fn host(&self) -> &str {
        match self.registry.as_str() {
            // Docker Hub's registry is not where its name is.
            "docker.io" => "registry-1.docker.io",
            registry => registry,
        }
    }

    /// Is the registry on this machine?
    pub fn is_local(&self) -> bool {
        is_loopback(&self.registry)
    }

    /// The digest or tag that a request names it by.
    pub(crate) fn version(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => format!("sha256:{digest}"),
            (None, Some(tag)) => tag.clone(),
            (None, None) => "latest".to_owned(),
        }
    }
}

/// The name of a repository alone, checked.
pub fn repository(text: &str) -> Result<String, ParseError> {
    match is_repository(text) {
        true => Ok(text.to_owned()),
        false => Err(ParseError {
            text: text.to_owned(),
            why: "a repository has no other characters than a-z, 0-9 and separators between them",
        }),
    }
}

/// Does `HOST[:PORT]` lead to this machine, whatever a name server says?
pub(crate) fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A host as others write it, so that `ubuntu/x` is a mistake, and not a host of that name.
fn is_registry(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.split('.').all(|label| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
            !label.is_empty()
                && label.chars().all(allowed)
                && !label.starts_with('-')
                && !label.ends_with('-')
        }),
    };
    let is_said = host.contains(['.', ':']) || host == "localhost" || port.is_some();
    is_host && is_said && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

/// Parts of letters and digits, joined by `.`, `_`, `__` or dashes.
pub(crate) fn is_repository(text: &str) -> bool {
    let is_part = |part: &str| {
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let separators = part.split(is_plain).filter(|separator| !separator.is_empty());
        part.starts_with(is_plain)
            && part.ends_with(is_plain)
            && separators
                .into_iter()
                .all(|one| matches!(one, "." | "_" | "__") || one.chars().all(|c| c == '-'))
    };
    text.len() <= 255 && text.split('/').all(is_part)
}

/// May a registry call an image that?
pub(crate) fn is_tag(text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.len() <= 128
        && text.starts_with(is_word)
        && text.chars().all(|c| is_word(c) || matches!(c, '.' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_and_are_not() {
        let digest = format!("sha256:{}", "0".repeat(64));
        for text in [
            "localhost:5000/a",
            "localhost/a/b:1.0",
            "registry.example.org/keel/core:0.1_x-y",
            "127.0.0.1:5000/a__b/c.d/e---f",
            "[::1]:5000/a",
            &format!("r.example/a@{digest}"),
            &format!("r.example/a:t@{digest}"),
        ] {
            let parsed: Reference = text.parse().unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(parsed.to_string(), text);
        }
        for text in [
            "a",
            "keel/core",
            "/a",
            "r.example/",
            "r.example/A",
            "r.example/a/",
            "r.example/a//b",
            "r.example/../x",
            "r.example/a:",
            "r.example/a:.x",
            "r.example/a:b/c",
            "r.example/a._b",
            "r.example/a@sha256:00",
            &format!("r.example/a@{}", digest.replace("sha256", "sha512")),
            &format!("r.example/a@sha256:{}", "A".repeat(64)),
            "user@r.example/a",
            "https://r.example/a",
            "r.example:99999/a",
            "-r.example/a",
            "r.example/a b",
            "r.example/a\n",
            "",
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn this_machine_is_known() {
        for (registry, wanted) in [
            ("localhost", true),
            ("localhost:5000", true),
            ("127.0.0.1:5000", true),
            ("[::1]:5000", true),
            ("localhost.example.org", false),
            ("10.0.0.1:5000", false),
            ("registry.example.org", false),
        ] {
            assert_eq!(is_loopback(registry), wanted, "{registry}");
        }
    }
}
