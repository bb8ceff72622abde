//! Which packages a Debian root has, and their digests: `/var/lib/dpkg/status` joined with apt's package lists, which
//! apt checked against the archive's signature (deb-control(5), apt-secure(8)).

use std::{
    collections::HashMap,
    io::{self, BufRead},
};

use keel_artefact::Sha256;
use serde::{Deserialize, Serialize};

use crate::{Error, Program};

/// One installed Debian package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Deb {
    /// Its name.
    pub name: String,
    /// Its architecture by Debian's name, or `all`.
    pub arch: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of the `.deb`.
    pub sha256: Sha256,
}

/// Name, version and architecture.
type Identity = (String, String, String);

/// What the archive of the root tells about its packages.
#[derive(Debug, Default)]
pub(crate) struct Index {
    digests: HashMap<Identity, Sha256>,
    installed: Vec<Identity>,
}

impl Index {
    /// Reads a `Packages` list.
    pub(crate) fn read_list(&mut self, list: impl io::Read) -> io::Result<()> {
        stanzas(list, &mut |fields| {
            if let (Some(identity), Some(digest)) = (identity(fields), fields.get("SHA256"))
                && let Ok(digest) = digest.parse()
            {
                self.digests.insert(identity, digest);
            }
        })
    }

    /// Reads dpkg's `status`.
    pub(crate) fn read_status(&mut self, status: impl io::Read) -> io::Result<()> {
        stanzas(status, &mut |fields| {
            let is_installed = fields
                .get("Status")
                .is_some_and(|status| status.ends_with(" installed"));
            self.installed.extend(identity(fields).filter(|_| is_installed));
        })
    }
}

/// The installed packages, sorted. Each must have a digest in a list.
pub(crate) fn installed(index: &Index) -> Result<Vec<Deb>, Error> {
    let unexpected = |why| Error::Unexpected {
        program: Program::Mmdebstrap.name(),
        why,
    };
    let mut debs = Vec::with_capacity(index.installed.len());
    for identity in &index.installed {
        let (name, version, arch) = identity.clone();
        let Some(sha256) = index.digests.get(identity) else {
            return Err(unexpected(format!(
                "{name} {version} ({arch}) is in none of apt's package lists"
            )));
        };
        debs.push(Deb {
            name,
            arch,
            version,
            sha256: *sha256,
        });
    }
    debs.sort();
    if debs.is_empty() {
        return Err(unexpected("the root has no packages".to_owned()));
    }
    Ok(debs)
}

fn identity(fields: &HashMap<String, String>) -> Option<Identity> {
    let get = |name: &str| fields.get(name).cloned();
    Some((get("Package")?, get("Version")?, get("Architecture")?))
}

/// Calls `each` with the wanted one-line fields of every paragraph.
fn stanzas(text: impl io::Read, each: &mut dyn FnMut(&HashMap<String, String>)) -> io::Result<()> {
    const WANTED: [&str; 5] = ["Package", "Version", "Architecture", "Status", "SHA256"];
    let mut fields = HashMap::new();
    let mut line = Vec::new();
    let mut text = io::BufReader::with_capacity(1 << 16, text);
    loop {
        line.clear();
        let length = text.read_until(b'\n', &mut line)?;
        let content = line.trim_ascii_end();
        if content.is_empty() {
            if !fields.is_empty() {
                each(&fields);
                fields.clear();
            }
            if length == 0 {
                return Ok(());
            }
        } else if let Some(wanted) = WANTED.iter().find(|name| {
            content
                .strip_prefix(name.as_bytes())
                .is_some_and(|rest| rest.starts_with(b":"))
        }) {
            let value = String::from_utf8_lossy(&content[wanted.len() + 1..]);
            fields.insert((*wanted).to_owned(), value.trim().to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "Package: zlib1g\nVersion: 1:1.3\nArchitecture: amd64\nDescription: x\n Package: not this\nSHA256: \
        e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n\nPackage: other\nVersion: 2\n";

    #[test]
    fn status_and_lists_are_joined() {
        let status = |version: &str| {
            format!(
                "Package: zlib1g\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n\n\
                 Package: gone\nStatus: deinstall ok config-files\nVersion: 1\nArchitecture: all\n"
            )
        };
        let mut index = Index::default();
        index.read_list(LIST.as_bytes()).unwrap();
        index.read_status(status("1:1.3").as_bytes()).unwrap();
        let debs = installed(&index).unwrap();
        assert_eq!(debs.len(), 1);
        assert_eq!(
            (debs[0].version.as_str(), debs[0].sha256),
            ("1:1.3", Sha256::of(b""))
        );

        let mut unknown = Index::default();
        unknown.read_list(LIST.as_bytes()).unwrap();
        unknown.read_status(status("1:1.4").as_bytes()).unwrap();
        let error = installed(&unknown).unwrap_err().to_string();
        assert!(
            error.contains("zlib1g 1:1.4 (amd64) is in none of apt's package lists"),
            "{error}"
        );
    }
}
