//! Where the packages of an image come from: told by whoever built or fetched them, for the lock, the bills of materials and the
//! provenance.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use keel_artefact::{ComponentName, Nevra, Sha256};
use serde::{Serialize, Serializer};

/// Of every package of a repository, where it comes from.
pub type Origins = HashMap<Nevra, Origin>;

/// Where a package comes from.
#[derive(Debug, Clone, Serialize)]
pub struct Origin {
    /// Digest of the package as it was built, or as its repository has it: before this tree's key signed it, so that it is the same
    /// whoever signs.
    pub sha256: Sha256,
    /// The component that made it.
    pub component: ComponentName,
    /// The address of the repository that it was fetched from; none if it was built here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// What the component was made of, where that is known: not of what was fetched.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "shared")]
    pub material: Option<Arc<Material>>,
}

/// What a component was made of.
#[derive(Debug, Clone, Serialize)]
pub struct Material {
    /// Digest of the SPEC. A comment in it changes this, and no package: it is said in the provenance only.
    #[serde(skip)]
    pub spec: Sha256,
    /// Sources and patches, by name.
    pub sources: Vec<Source>,
}

/// A source file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Source {
    /// Its name in the build.
    pub name: String,
    /// Digest of the file as it was fetched, or as it lies in the tree.
    pub sha256: Sha256,
    /// It lies beside the SPEC, in the tree.
    pub in_tree: bool,
    /// Where anybody may fetch these bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What it is called where packages are named by URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purl: Option<String>,
    /// Digest of what the build got, where overlays of the tree changed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<Sha256>,
}

fn shared<S: Serializer>(material: &Option<Arc<Material>>, serializer: S) -> Result<S::Ok, S::Error> {
    material.as_deref().serialize(serializer)
}

/// What components were made of, each once, by name.
pub(crate) fn materials<'a>(
    origins: impl Iterator<Item = &'a Origin>,
) -> BTreeMap<&'a ComponentName, &'a Material> {
    origins
        .filter_map(|origin| Some((&origin.component, origin.material.as_deref()?)))
        .collect()
}
