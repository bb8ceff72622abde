//! npm's registry, and those like it.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::Deserialize;

use super::{Ask, MAX_DOCUMENT, NpmPackage, Place, Source, Vouched};
use crate::{
    Answer,
    http::{Failure, Url},
};

/// The part of npm's document of a version that is read.
#[derive(Deserialize)]
struct NpmDocument {
    dist: NpmDist,
}

#[derive(Deserialize)]
struct NpmDist {
    tarball: String,
    /// Subresource integrity (<https://www.w3.org/TR/SRI/>): `sha512-` and base64, perhaps others beside it.
    #[serde(default)]
    integrity: String,
}

impl NpmPackage {
    /// Where the registry's document of the package is.
    pub(crate) fn address(&self, ask: &Ask<'_>) -> Result<String, Failure> {
        let base = ask.options.registries.npm.as_deref();
        let base = base.ok_or(Answer::NoRegistry("npm"))?.trim_end_matches('/');
        let fits = |text: &str, more: &str| {
            !text.is_empty()
                && text
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || more.contains(c))
        };
        let (scope, name) = match self.name.strip_prefix('@').and_then(|name| name.split_once('/')) {
            Some((scope, name)) => (Some(scope), name),
            None => (None, self.name.as_str()),
        };
        let is_good = |part: &str| fits(part, "-_.") && !part.starts_with('.');
        if !is_good(name) || !scope.is_none_or(is_good) || !fits(&self.version, ".+-") {
            return Err(Answer::Nonsense(format!("`{}` is no package and version", self.name)).into());
        }
        let scope = scope.map_or(String::new(), |scope| format!("@{scope}%2f"));
        Ok(format!("{base}/{scope}{name}"))
    }

    fn ask_index(&self, ask: &Ask<'_>) -> Result<NpmDist, Failure> {
        let url = Url::parse(&format!("{}/{}", self.address(ask)?, self.version), false)?;
        let bytes = ask.client.document(&url, MAX_DOCUMENT)?;
        let document: NpmDocument = serde_json::from_slice(&bytes)
            .map_err(|_| Answer::Nonsense(format!("{url} is not npm's JSON")))?;
        Ok(document.dist)
    }
}

impl Source for NpmPackage {
    fn places(&self, ask: &Ask<'_>) -> Result<Vec<Place>, Failure> {
        Ok(vec![Place::Url(Url::parse(
            &self.ask_index(ask)?.tarball,
            false,
        )?)])
    }

    fn indexed(&self, ask: &Ask<'_>) -> Result<Option<Vouched>, Failure> {
        let integrity = self.ask_index(ask)?.integrity;
        let mut all = integrity.split_ascii_whitespace();
        let digest = all.find_map(|one| one.strip_prefix("sha512-")).and_then(|text| {
            let bytes = BASE64.decode(text).ok()?;
            <[u8; 64]>::try_from(bytes).ok()
        });
        let digest = digest.ok_or_else(|| Answer::Nonsense("its index has no SHA-512".to_owned()))?;
        Ok(Some(Vouched::Sha512(digest.into())))
    }
}
