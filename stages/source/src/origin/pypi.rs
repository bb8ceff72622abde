//! PyPI, and indexes like it: Python's simple index, in JSON.

use serde::Deserialize;

use super::{Ask, MAX_DOCUMENT, Place, Sdist, Source, Vouched};
use crate::{
    Answer,
    http::{Failure, Url},
};

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
