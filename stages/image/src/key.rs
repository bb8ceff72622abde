//! The name under which the store remembers an image: all that its bytes depend on.

use keel_artefact::{Fingerprint, Sha256};
use keel_config::Image;

use crate::{Candidate, Request, inputs::Inputs};

/// Raised when the same inputs give other bytes than before.
const WRITERS: &str = "image/3";

/// The digest of everything that the image's bytes depend on.
pub(crate) fn of(request: &Request<'_>, chosen: &[&Candidate], inputs: &Inputs<'_>) -> Sha256 {
    let image = request.image;
    let mut key = Fingerprint::new(WRITERS);
    key.add("distro", request.distro)
        .add("version", request.version)
        .add("arch", request.arch.rpm());
    key.add_digest("tools", &request.tools_digest);
    key.add("key", request.key.unwrap_or_default());
    key.add("keel", env!("CARGO_PKG_VERSION"));
    key.add("definition", definition(image));
    inputs.add_to(&mut key);
    for package in chosen {
        let origin = serde_json::to_string(&package.origin).expect("texts and digests are JSON");
        key.add("package", package.info.nevra.to_string())
            .add_digest("rpm", &package.sha256)
            .add("origin", origin);
    }
    key.finish()
}

/// What a definition says of the image's bytes: tests, memory and descriptions change none.
pub(crate) fn definition(image: &Image) -> String {
    let definition = serde_json::json!({
        "name": image.name, "formats": image.formats, "container": image.container, "disk": image.disk,
        "os": image.os, "capabilities": image.capabilities, "cpio": image.cpio, "wsl": image.wsl,
        "scripts": image.scripts, "live": image.live, "documentation": image.documentation, "languages": image.languages,
    });
    definition.to_string()
}
