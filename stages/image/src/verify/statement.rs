//! A statement, read back.

use std::collections::BTreeMap;

use keel_artefact::Sha256;
use serde_json::Value;

use super::Identity;
use crate::provenance;

/// What a statement says, as far as it is looked at.
pub(super) struct Statement {
    pub(super) image: Identity,
    pub(super) builder: Option<String>,
    /// Digests of files, by name.
    pub(super) files: BTreeMap<String, Sha256>,
    /// Packages: identity, digest, digest before it was signed.
    pub(super) packages: BTreeMap<String, (Sha256, Option<Sha256>)>,
}

impl Statement {
    /// From its JSON; what is wrong with it, in words.
    pub(super) fn parse(payload: &[u8]) -> Result<Self, String> {
        let value: Value = serde_json::from_slice(payload)
            .map_err(|error| format!("its statement cannot be read: {error}"))?;
        for (key, wanted) in [
            ("_type", provenance::STATEMENT),
            ("predicateType", provenance::PREDICATE),
        ] {
            if value[key] != wanted {
                return Err(format!("it is no provenance: `{key}` is {}", value[key]));
            }
        }
        let definition = &value["predicate"]["buildDefinition"];
        if definition["buildType"] != provenance::BUILD_TYPE {
            return Err(format!(
                "it is of another kind of build: {}",
                definition["buildType"]
            ));
        }
        let digest = |value: &Value| value.as_str()?.parse::<Sha256>().ok();
        let mut files = BTreeMap::new();
        for subject in value["subject"].as_array().into_iter().flatten() {
            let (Some(name), Some(digest)) = (subject["name"].as_str(), digest(&subject["digest"]["sha256"]))
            else {
                return Err("it has a subject without name or digest".to_owned());
            };
            if name.contains('/') || matches!(name, "" | "." | "..") {
                return Err(format!("its subject `{name}` is no file of the folder"));
            }
            files.insert(name.to_owned(), digest);
        }
        let mut packages = BTreeMap::new();
        for dependency in definition["resolvedDependencies"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let uri = dependency["uri"].as_str().unwrap_or_default();
            let unsigned = digest(&dependency["annotations"][provenance::UNSIGNED]);
            if let (true, Some(name), Some(digest)) = (
                uri.starts_with("pkg:rpm/"),
                dependency["name"].as_str(),
                digest(&dependency["digest"]["sha256"]),
            ) {
                packages.insert(name.to_owned(), (digest, unsigned));
            }
        }
        let parameter = |key: &str| {
            let text = definition["externalParameters"][key].as_str();
            text.map(|text| text.replace(char::is_control, " "))
                .ok_or_else(|| format!("it does not say the image's `{key}`"))
        };
        let builder = value["predicate"]["runDetails"]["builder"]["id"].as_str();
        Ok(Self {
            image: Identity {
                name: parameter("image")?,
                version: parameter("version")?,
                arch: parameter("arch")?,
            },
            builder: builder.map(str::to_owned),
            files,
            packages,
        })
    }
}
