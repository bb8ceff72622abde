//! What registries say of themselves: how they want to be asked, and what went wrong.

use serde::Deserialize;

use super::reference;

/// What a registry wants to know, from `WWW-Authenticate` (RFC 9110, 11.6.1).
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String> },
}

impl Challenge {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let (mut realm, mut service) = (None, None);
        let mut rest = rest;
        while let Some((key, after)) = rest.split_once('=') {
            let value;
            (value, rest) = match after.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"')?,
                None => after.split_once(',').unwrap_or((after, "")),
            };
            match key.trim_matches([' ', ',']).to_ascii_lowercase().as_str() {
                "realm" => realm = Some(value.to_owned()),
                "service" => service = Some(value.to_owned()),
                _ => {}
            }
        }
        Some(Self::Bearer {
            realm: realm?,
            service,
        })
    }
}

/// The codes of an error document: words of the specification, and nothing that could play tricks on a terminal.
pub(super) fn said(bytes: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Document {
        errors: Vec<One>,
    }
    #[derive(Deserialize)]
    struct One {
        code: String,
    }
    let codes: Vec<String> = serde_json::from_slice::<Document>(bytes)
        .map(|document| document.errors)
        .unwrap_or_default()
        .into_iter()
        .take(3)
        .map(|one| one.code)
        .filter(|code| code.len() < 100 && code.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
        .collect();
    match codes.is_empty() {
        true => String::new(),
        false => format!(": {}", codes.join(", ")),
    }
}

/// A value in a query.
pub(super) fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    text.bytes()
        .map(|byte| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

/// What is asked of token servers for a repository: `actions` is `pull` or `pull,push`.
pub(super) fn scope(repository: &str, actions: &str) -> String {
    debug_assert!(reference::is_repository(repository));
    format!("repository:{repository}:{actions}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_understood() {
        let bearer = |realm: &str, service: Option<&str>| Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
        };
        for (text, wanted) in [
            ("Basic realm=\"x\"", Some(Challenge::Basic)),
            ("basic", Some(Challenge::Basic)),
            (
                "Bearer realm=\"https://a.example/token\",service=\"a, b\",scope=\"repository:x:pull\"",
                Some(bearer("https://a.example/token", Some("a, b"))),
            ),
            ("Bearer service=s, realm=r", Some(bearer("r", Some("s")))),
            ("bearer realm=\"r\"", Some(bearer("r", None))),
            ("Bearer service=\"s\"", None),
            ("Bearer realm=\"r", None),
            ("Digest realm=\"r\"", None),
            ("", None),
        ] {
            assert_eq!(Challenge::parse(text), wanted, "{text}");
        }
    }

    #[test]
    fn what_a_registry_says_is_shown_as_codes() {
        for (text, wanted) in [
            (
                r#"{"errors":[{"code":"DENIED","message":"no"},{"code":"x\u001b[1m"}]}"#,
                ": DENIED",
            ),
            ("<html>", ""),
            ("{}", ""),
        ] {
            assert_eq!(said(text.as_bytes()), wanted);
        }
        assert_eq!(
            escaped("repository:a/b:pull,push"),
            "repository%3Aa%2Fb%3Apull%2Cpush"
        );
    }
}
