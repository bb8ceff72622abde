//! Who one is at a registry: given, or from the files that docker and podman write when one logs in.
//!
//! Format: containers-auth.json(5), and Docker's `config.json`. The most specific entry counts: of a repository, of those above
//! it, of the registry.

use std::path::{Path, PathBuf};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::Value;

use super::{Error, reference::Reference};

/// A file of logins is never larger than this, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// How one proves who one is.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    /// With a password.
    Password {
        /// Who.
        user: String,
        /// The password.
        password: String,
    },
    /// With a token that the registry's token server gave for longer.
    Token(String),
}

impl std::fmt::Debug for Login {
    /// Without its secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Password { user, .. } => write!(f, "Login({user})"),
            Self::Token(_) => f.write_str("Login(token)"),
        }
    }
}

impl Login {
    /// What stands after `Authorization: ` for a password.
    pub(crate) fn basic(&self) -> Option<String> {
        match self {
            Self::Password { user, password } => Some(format!(
                "Basic {}",
                BASE64_STANDARD.encode(format!("{user}:{password}"))
            )),
            Self::Token(_) => None,
        }
    }
}

/// The login that `file` has for `reference`. It must be there.
pub fn named(file: &Path, reference: &Reference) -> Result<Option<Login>, Error> {
    match read(file)? {
        Some(document) => of(&document, file, reference),
        None => Err(Error::Logins {
            file: file.to_owned(),
            why: "it is not there".to_owned(),
        }),
    }
}

/// The login that the first of `files` has for `reference`; files that are not there are passed over.
pub fn find(files: &[PathBuf], reference: &Reference) -> Result<Option<Login>, Error> {
    for file in files {
        if let Some(document) = read(file)?
            && let Some(login) = of(&document, file, reference)?
        {
            return Ok(Some(login));
        }
    }
    Ok(None)
}

fn read(file: &Path) -> Result<Option<Value>, Error> {
    use std::io::Read as _;
    let wrong = |why: String| Error::Logins {
        file: file.to_owned(),
        why,
    };
    let mut bytes = Vec::new();
    let read = fs_err::File::open(file).and_then(|file| file.take(MAX_FILE).read_to_end(&mut bytes));
    match read {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(wrong(error.to_string())),
        Ok(_) => {}
    }
    // What serde says may quote the file; it is not repeated.
    let document = serde_json::from_slice(&bytes).map_err(|error| {
        wrong(format!(
            "it is no JSON (line {}, column {})",
            error.line(),
            error.column()
        ))
    })?;
    Ok(Some(document))
}

fn of(document: &Value, file: &Path, reference: &Reference) -> Result<Option<Login>, Error> {
    let wrong = |why: &str| Error::Logins {
        file: file.to_owned(),
        why: why.to_owned(),
    };
    for key in keys(reference) {
        if let Some(entry) = document["auths"].get(&key) {
            if let Some(token) = entry["identitytoken"].as_str().filter(|token| !token.is_empty()) {
                return Ok(Some(Login::Token(token.to_owned())));
            }
            if let Some(text) = entry["auth"].as_str().filter(|text| !text.is_empty()) {
                let bytes = BASE64_STANDARD.decode(text.trim()).ok();
                let plain = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
                let (user, password) = plain
                    .as_deref()
                    .and_then(|plain| plain.split_once(':'))
                    .ok_or_else(|| wrong(&format!("the entry `{key}` is not `user:password` in Base64")))?;
                return Ok(Some(Login::Password {
                    user: user.to_owned(),
                    password: password.trim_end_matches('\0').to_owned(),
                }));
            }
        }
        let of_registry = document["credHelpers"].get(&key).and_then(Value::as_str);
        let of_all = document["credsStore"].as_str();
        let is_kept_elsewhere = document["auths"].get(&key).is_some();
        if let Some(helper) = of_registry.or(of_all.filter(|_| is_kept_elsewhere)) {
            return Err(wrong(&format!(
                "the login for `{key}` is kept by the program docker-credential-{helper}, which keel does not run"
            )));
        }
    }
    Ok(None)
}

/// Under which names a login may stand, the most specific first.
fn keys(reference: &Reference) -> Vec<String> {
    let mut name = format!("{}/{}", reference.registry, reference.repository);
    let mut keys = vec![name.clone()];
    while let Some(at) = name.rfind('/') {
        name.truncate(at);
        keys.push(name.clone());
    }
    let registry = &reference.registry;
    keys.push(format!("https://{registry}"));
    keys.push(format!("https://{registry}/v1/"));
    keys.push(format!("https://{registry}/v2/"));
    if registry == "docker.io" {
        keys.push("https://index.docker.io/v1/".to_owned());
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, reference: &str) -> Result<Option<Login>, String> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("auth.json");
        fs_err::write(&file, text).unwrap();
        let files = [dir.path().join("not-there.json"), file];
        find(&files, &reference.parse().unwrap()).map_err(|error| error.to_string())
    }

    fn password(user: &str, password: &str) -> Option<Login> {
        let (user, password) = (user.to_owned(), password.to_owned());
        Some(Login::Password { user, password })
    }

    #[test]
    fn the_most_specific_login_counts() {
        // a:b, c:d:e and f:g.
        let text = r#"{"auths": {"r.example": {"auth": "YTpi"}, "r.example/x/y": {"auth": "YzpkOmU="},
            "https://s.example/v1/": {"auth": "Zjpn"}, "t.example": {"identitytoken": "T"}, "u.example": {}}}"#;
        for (reference, wanted) in [
            ("r.example/x", password("a", "b")),
            ("r.example/x/y", password("c", "d:e")),
            ("r.example/x/y/z", password("c", "d:e")),
            ("r.example/x/yy", password("a", "b")),
            ("s.example/x", password("f", "g")),
            ("t.example/x", Some(Login::Token("T".to_owned()))),
            ("u.example/x", None),
            ("v.example/x", None),
        ] {
            assert_eq!(found(text, reference), Ok(wanted), "{reference}");
        }
        assert_eq!(format!("{:?}", password("me", "secret").unwrap()), "Login(me)");
    }

    #[test]
    fn what_cannot_be_used_is_told_without_secrets() {
        for (text, wanted) in [
            ("{\"auths\": secret", "it is no JSON (line 1, column 11)"),
            (
                r#"{"auths": {"r.example": {"auth": "!secret"}}}"#,
                "the entry `r.example` is not",
            ),
            (
                r#"{"credHelpers": {"r.example": "pass"}}"#,
                "docker-credential-pass, which keel does not run",
            ),
            (
                r#"{"auths": {"r.example": {}}, "credsStore": "desktop"}"#,
                "docker-credential-desktop",
            ),
        ] {
            let found = found(text, "r.example/x").unwrap_err();
            assert!(found.contains(wanted) && !found.contains("secret"), "{found}");
        }
    }
}
