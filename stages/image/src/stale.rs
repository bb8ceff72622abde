//! Is an image that was built still what the tree says? As far as that can be told without planning a build.

use std::collections::BTreeMap;

use keel_artefact::Sha256;
use keel_config::{Image, Project, Spec, overlay::Calculation};
use serde_json::Value;

use crate::{
    Built, Error,
    error::At,
    inputs::Inputs,
    key,
    provenance::{self, Envelope},
};

/// What follows the name of a component whose SPEC is among the materials.
pub(crate) const SPEC: &str = ": SPEC";

/// What of the tree is not as when the image was built, in words: its definition, files and scripts that it adds, packages
/// that it asks for, and SPECs of the tree that its packages were built from. It goes by the image's provenance; of an
/// image without one, nothing is known.
pub fn changed(project: &Project, image: &Image, built: &Built) -> Result<Vec<String>, Error> {
    let path = built.dir.join(provenance::name(&built.image));
    let Ok(bytes) = fs_err::read(&path) else {
        return Ok(Vec::new());
    };
    let Some(then) = materials(&bytes) else {
        return Ok(Vec::new());
    };
    let inputs = Inputs::read(image, false)?;
    let definition = Sha256::of(key::definition(image).as_bytes());
    let mut now = vec![(provenance::DEFINITION.to_owned(), definition)];
    now.extend(inputs.materials());
    let mut changed = Vec::new();
    for (name, digest) in &now {
        if then.get(name) != Some(digest) {
            changed.push(format!("its {name}"));
        }
    }
    for wanted in &image.all_packages() {
        if built.packages.iter().all(|package| package.nevra.name != *wanted) {
            changed.push(format!("package `{wanted}`, which it did not have"));
        }
    }
    for (name, digest) in &then {
        let Some(component) = name.strip_suffix(SPEC) else {
            continue;
        };
        let component = component
            .parse()
            .ok()
            .and_then(|name| project.components.get::<keel_artefact::ComponentName>(&name));
        // What is made of a SPEC before it is read is known only when it is made.
        let Some(component) = component.filter(|component| {
            component.overlays.is_empty()
                && matches!(component.release, Calculation::Auto | Calculation::Manual)
        }) else {
            continue;
        };
        if let Some(Spec::Local { path }) = &component.spec {
            let (found, _) = Sha256::of_file(path).at("read", path.display())?;
            if found != *digest {
                changed.push(format!("the SPEC of `{}`", component.name));
            }
        }
    }
    Ok(changed)
}

/// Digests by names, of a provenance. Whoever signed it: this is about what was built, not about trust.
fn materials(bytes: &[u8]) -> Option<BTreeMap<String, Sha256>> {
    let payload = Envelope::parse(bytes).ok()?.payload().ok()?;
    let statement: Value = serde_json::from_slice(&payload).ok()?;
    let all = statement["predicate"]["buildDefinition"]["resolvedDependencies"].as_array()?;
    let one = |material: &Value| {
        let digest = material["digest"]["sha256"].as_str()?.parse().ok()?;
        Some((material["name"].as_str()?.to_owned(), digest))
    };
    Some(all.iter().filter_map(one).collect())
}
