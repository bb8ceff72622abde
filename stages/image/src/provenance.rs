//! Provenance: who built an image, of what. A statement (in-toto, SLSA) that is signed with the tree's key (DSSE).
//!
//! Formats: <https://slsa.dev/spec/v1.0/provenance>, <https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md>,
//! <https://github.com/secure-systems-lab/dsse/blob/master/envelope.md>. The signature in the envelope is OpenPGP's (RFC 9580, a
//! detached signature in binary), over DSSE's PAE: by the key that packages and repositories are signed with, and accepted where
//! their signatures are.
//!
//! The statement has no time of its own: the same tree, packages and key give the same bytes. It changes with the tree's revision, and is
//! written anew then; nothing else of an image is.

use std::path::Path;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use keel_artefact::{Epoch, Sha256};
use keel_rpm::sign::{self, Certificates, Key, KeyFingerprint};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    Built, Candidate, Error, Request, bill,
    error::At,
    fresh,
    inputs::Inputs,
    manifest::{MANIFEST, SUMS},
    origin, stale,
};

/// What the file's name ends with, after the image's name.
pub const SUFFIX: &str = "intoto.jsonl";
/// How images are built: docs/reference/image-documents.md.
pub const BUILD_TYPE: &str = "https://github.com/keel-linux/keel/build-types/image/v1";
/// Who builds, where nobody says otherwise.
pub const LOCAL: &str = "https://github.com/keel-linux/keel/builders/local";

pub(crate) const STATEMENT: &str = "https://in-toto.io/Statement/v1";
pub(crate) const PREDICATE: &str = "https://slsa.dev/provenance/v1";
const PAYLOAD: &str = "application/vnd.in-toto+json";
/// The name of the definition among the materials.
pub(crate) const DEFINITION: &str = "definition";
/// Under which annotation a package has its digest from before it was signed.
pub(crate) const UNSIGNED: &str = "sha256-before-signing";

/// Who signs, and what is said besides.
#[derive(Debug, Clone, Copy)]
pub struct Signer<'a> {
    /// The tree's key.
    pub key: &'a Key,
    /// Who builds: a URI that means a place and how far it is trusted.
    pub builder: &'a str,
    /// Where the tree is in its history; none: it has none.
    pub tree: Option<&'a Revision>,
}

/// Where a tree is in its history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// All digits of git's commit.
    pub commit: String,
    /// There are changes that are not committed.
    pub is_changed: bool,
}

/// A signed document (DSSE).
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// The document, in base64.
    payload: String,
    /// What it is.
    payload_type: String,
    /// Who signed it.
    signatures: Vec<Signature>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Signature {
    /// The fingerprint of the primary key.
    #[serde(default)]
    keyid: String,
    /// The signature, in base64.
    sig: String,
}

/// Writes the provenance of a finished image into `dir`, where it is not there already.
pub(crate) fn write(
    request: &Request<'_>,
    chosen: &[&Candidate],
    inputs: &Inputs<'_>,
    built: &Built,
    dir: &Path,
) -> Result<(), Error> {
    let statement = statement(request, chosen, inputs, built);
    let payload = serde_json::to_vec(&statement).expect("texts are JSON");
    let envelope = Envelope::sign(&payload, request.signer.key, built.clock)?;
    let mut line = serde_json::to_vec(&envelope).expect("texts are JSON");
    line.push(b'\n');
    let path = dir.join(name(&built.image));
    fresh::clear(&path)?;
    if fs_err::read(&path).is_ok_and(|old| old == line) {
        return Ok(());
    }
    fresh::replace(&path, &line).at("write", path.display())
}

/// The file's name.
pub(crate) fn name(image: &keel_artefact::ImageName) -> String {
    format!("{image}.{SUFFIX}")
}

fn statement(request: &Request<'_>, chosen: &[&Candidate], inputs: &Inputs<'_>, built: &Built) -> Value {
    let subject = |name: &str, digest: &Sha256| json!({ "name": name, "digest": { "sha256": digest } });
    let mut subjects: Vec<Value> = (built.files.iter())
        .map(|file| subject(&file.name, &file.sha256))
        .collect();
    subjects.push(subject(MANIFEST, &Sha256::of(&built.json())));
    subjects.push(subject(SUMS, &Sha256::of(built.sums().as_bytes())));
    let formats: Vec<&str> = (request.image.formats.iter())
        .map(|format| format.as_str())
        .collect();
    json!({
        "_type": STATEMENT,
        "subject": subjects,
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "image": request.image.name,
                    "distribution": request.distro,
                    "version": request.version,
                    "arch": request.arch.rpm(),
                    "formats": formats,
                },
                "internalParameters": { "stage0": request.tools_digest },
                "resolvedDependencies": dependencies(request, chosen, inputs),
            },
            "runDetails": {
                "builder": { "id": request.signer.builder, "version": { "keel": env!("CARGO_PKG_VERSION") } },
            },
        },
    })
}

/// All that the image was made of: the tree, its definition with its files and scripts, packages; of what was built here, SPECs and sources.
fn dependencies(request: &Request<'_>, chosen: &[&Candidate], inputs: &Inputs<'_>) -> Vec<Value> {
    let mut all = Vec::new();
    if let Some(Revision { commit, is_changed }) = request.signer.tree {
        let mut tree = json!({ "name": "tree", "digest": { "gitCommit": commit } });
        if *is_changed {
            tree["annotations"] = json!({ "changed": true });
        }
        all.push(tree);
    }
    let definition = Sha256::of(crate::key::definition(request.image).as_bytes());
    all.push(json!({ "name": DEFINITION, "digest": { "sha256": definition } }));
    for (name, digest) in inputs.materials() {
        all.push(json!({ "name": name, "digest": { "sha256": digest } }));
    }
    let of_distro = format!("{}-{}", request.distro, request.version);
    for package in chosen {
        let (info, origin) = (&package.info, &package.origin);
        let purl = bill::package_url(
            &info.nevra,
            request.distro,
            &of_distro,
            info.source_rpm.as_deref(),
        );
        all.push(json!({
            "name": info.nevra.to_string(),
            "uri": purl,
            "digest": { "sha256": package.sha256 },
            "annotations": { UNSIGNED: origin.sha256 },
        }));
    }
    for (component, material) in origin::materials(chosen.iter().map(|package| &package.origin)) {
        let spec = format!("{component}{}", stale::SPEC);
        all.push(json!({ "name": spec, "digest": { "sha256": material.spec } }));
        for source in &material.sources {
            let name = format!("{component}: {}", source.name);
            let mut file = json!({ "name": name, "digest": { "sha256": source.sha256 } });
            if let Some(uri) = source.url.as_ref().or(source.purl.as_ref()) {
                file["uri"] = uri.as_str().into();
            }
            all.push(file);
        }
    }
    all
}

/// What is signed of a document: DSSE's pre-authentication encoding, version 1.
pub fn encoded(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

impl Envelope {
    /// Signs a statement, as of `time`.
    pub fn sign(payload: &[u8], key: &Key, time: Epoch) -> Result<Self, sign::Error> {
        let signature = key.sign_binary(&encoded(PAYLOAD, payload), time)?;
        Ok(Self {
            payload: BASE64_STANDARD.encode(payload),
            payload_type: PAYLOAD.to_owned(),
            signatures: vec![Signature {
                keyid: key.fingerprint().as_str().to_owned(),
                sig: BASE64_STANDARD.encode(signature),
            }],
        })
    }

    /// Reads one; what is wrong with it, in words.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let envelope: Self =
            serde_json::from_slice(bytes).map_err(|error| format!("it is no envelope: {error}"))?;
        match envelope.payload_type == PAYLOAD {
            true => Ok(envelope),
            false => Err(format!("it holds `{}`, and no statement", envelope.payload_type)),
        }
    }

    /// The document in it, whoever signed it.
    pub fn payload(&self) -> Result<Vec<u8>, String> {
        let decoded = BASE64_STANDARD.decode(&self.payload);
        decoded.map_err(|error| format!("its content is no base64: {error}"))
    }

    /// Whose signature is good. One of several is enough.
    pub fn verify(&self, certificates: &Certificates, what: &str) -> Result<KeyFingerprint, String> {
        let bytes = encoded(&self.payload_type, &self.payload()?);
        let mut refused = "it is not signed".to_owned();
        for signature in &self.signatures {
            let verified = match BASE64_STANDARD.decode(&signature.sig) {
                Ok(signature) => certificates.verify_binary(&bytes, &signature, what),
                Err(error) => {
                    refused = format!("its signature is no base64: {error}");
                    continue;
                }
            };
            match verified {
                Ok(key) => return Ok(key),
                Err(error) => refused = error.to_string(),
            }
        }
        Err(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_what_dsse_says() {
        // The example of DSSE's protocol.md.
        assert_eq!(
            encoded("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }

    #[test]
    fn a_signature_holds_for_this_content_and_key_only() {
        let now = Epoch(1_800_000_000);
        let key = || Key::generate("a test", Epoch(1_700_000_000)).unwrap();
        let (ours, others) = (key(), key());
        let envelope = Envelope::sign(b"{}", &ours, now).unwrap();
        let again = Envelope::sign(b"{}", &ours, now).unwrap();
        assert_eq!(envelope.signatures[0].sig, again.signatures[0].sig);
        let line = serde_json::to_vec(&envelope).unwrap();
        let mut read = Envelope::parse(&line).unwrap();
        let trusted = ours.certificates(now).unwrap();
        assert_eq!(read.verify(&trusted, "x").unwrap(), ours.fingerprint());
        let foreign = read.verify(&others.certificates(now).unwrap(), "x").unwrap_err();
        assert!(foreign.contains("not a trusted key"), "{foreign}");
        read.payload = BASE64_STANDARD.encode(b"{ }");
        let changed = read.verify(&trusted, "x").unwrap_err();
        assert!(changed.contains("does not fit"), "{changed}");
        read.signatures.clear();
        assert_eq!(read.verify(&trusted, "x").unwrap_err(), "it is not signed");
        read.payload_type = "text/plain".into();
        assert!(
            Envelope::parse(&serde_json::to_vec(&read).unwrap())
                .unwrap_err()
                .contains("no statement")
        );
    }
}
