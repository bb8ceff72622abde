//! Upstreams' signatures over source files, by keys that the configuration pins.

use std::io::Read as _;

use keel_source::{Errors, LockChange};
use pgp::{
    composed::{ArmorOptions, DetachedSignature, SignedSecretKey},
    packet::{SignatureConfig, SignatureType, Subpacket, SubpacketData},
    ser::Serialize as _,
    types::{KeyDetails as _, Password, Timestamp},
};

use crate::{
    archive::{MADE, NOW, key, public},
    fixture::Fixture,
    registries::{certificate, lock, trusting, unpinned},
    server::Server,
};

const NAME: &str = "hello.tar.xz";

/// A detached signature that was made `days` after the key was.
fn sign(key: &SignedSecretKey, bytes: &[u8], days: u32) -> DetachedSignature {
    let mut rng = rand::thread_rng();
    let mut config = SignatureConfig::from_key(&mut rng, &key.primary_key, SignatureType::Binary).unwrap();
    let made = Timestamp::from_secs(MADE + days * 86_400);
    config.hashed_subpackets = [
        SubpacketData::SignatureCreationTime(made),
        SubpacketData::IssuerFingerprint(key.primary_key.fingerprint()),
    ]
    .into_iter()
    .map(|data| Subpacket::regular(data).unwrap())
    .collect();
    let signature = config.sign(&key.primary_key, &Password::empty(), bytes);
    DetachedSignature::new(signature.unwrap())
}

fn armored(signature: &DetachedSignature) -> Vec<u8> {
    signature.to_armored_bytes(ArmorOptions::default()).unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    liblzma::read::XzEncoder::new(bytes, 1)
        .read_to_end(&mut packed)
        .unwrap();
    packed
}

/// A project whose source file has these bytes, and a signature that is asked for like this.
fn project(bytes: &[u8], signature: &[u8], keys: &[u8], more: &str) -> Fixture {
    let entry = unpinned(NAME, "type = \"file\", path = \"up/file\"");
    let place = if more.contains("url") {
        ""
    } else {
        "file = \"up/file.asc\", "
    };
    let fixture = Fixture::new(&format!(
        "{entry}signature = {{ {place}key = \"keys/upstream.asc\"{more} }}\n"
    ));
    for folder in ["up", "keys"] {
        fs_err::create_dir(fixture.root().join(folder)).unwrap();
    }
    fs_err::write(fixture.root().join("up/file"), bytes).unwrap();
    fs_err::write(fixture.root().join("up/file.asc"), signature).unwrap();
    fs_err::write(fixture.root().join("keys/upstream.asc"), keys).unwrap();
    fixture
}

fn locked(fixture: &Fixture) -> Result<LockChange, Errors> {
    lock(fixture, NAME)
}

/// Bytes, signature, pinned keys, more of the table, what is told.
type Case<'a> = (&'a [u8], Vec<u8>, &'a [u8], &'a str, String);

const OVER: &str = ", over = \"uncompressed\"";

#[test]
fn a_good_signature_by_a_pinned_key() {
    let (one, other) = (key(None), key(None));
    let packed = xz(b"text");
    let both = [public(&other), public(&one)].concat();
    let binary = sign(&one, &packed, 10).to_bytes().unwrap();
    // The key has expired since, but was good when it signed.
    let short = key(Some(20));
    for (signature, keys, more) in [
        (armored(&sign(&one, &packed, 10)), &both, ""),
        (binary, &both, ""),
        (armored(&sign(&one, b"text", 10)), &both, OVER),
        (armored(&sign(&short, b"text", 10)), &public(&short), OVER),
    ] {
        let fixture = project(&packed, &signature, keys, more);
        let change = locked(&fixture).unwrap().to_string();
        assert!(change.starts_with("+ hello: hello.tar.xz"), "{change}");
        assert_eq!(locked(&fixture).unwrap().to_string(), "no change\n");
        fixture.fetch(&[NAME]).unwrap();
    }
}

#[test]
fn what_was_never_locked_is_checked_when_it_is_fetched() {
    let (one, other) = (key(None), key(None));
    let packed = xz(b"text");
    let digest = keel_artefact::Sha256::of(&packed).to_hex();
    let pinned = |signer: &SignedSecretKey| {
        let signature = armored(&sign(signer, &packed, 10));
        let fixture = project(&packed, &signature, &public(&one), "");
        // Only the hash pins it.
        let hash = format!("hash-type = \"SHA256\"\nhash = \"{digest}\"\nfilename =");
        let entry = unpinned(NAME, "type = \"file\", path = \"up/file\"").replace("filename =", &hash);
        fixture.configure(&format!(
            "{entry}signature = {{ file = \"up/file.asc\", key = \"keys/upstream.asc\" }}\n"
        ));
        fixture
    };
    let good = pinned(&one);
    good.fetch(&[NAME]).unwrap();
    // Once is enough, until the keys are others.
    good.fetch(&[NAME]).unwrap();
    fs_err::write(good.root().join("keys/upstream.asc"), public(&other)).unwrap();
    let told = good.fetch(&[NAME]).unwrap_err().to_string();
    assert!(told.contains("not in the keyring"), "{told}");
    // A bad one is told each time, though the file is in the store.
    let bad = pinned(&other);
    for _ in 0..2 {
        let told = bad.fetch(&[NAME]).unwrap_err().to_string();
        assert!(told.contains("not in the keyring"), "{told}");
    }
}

#[test]
fn nothing_is_locked_without_a_good_signature() {
    let (one, other, short) = (key(None), key(None), key(Some(20)));
    let name = |key: &SignedSecretKey| key.primary_key.fingerprint().to_string();
    let packed = xz(b"text");
    let bomb = xz(&vec![0; 200_000]);
    let keys = public(&one);
    let future = u32::try_from(NOW.0).unwrap().abs_diff(MADE) / 86_400 + 3;
    let cases: [Case<'_>; 10] = [
        (
            &packed,
            armored(&sign(&one, b"text", 10)),
            &keys,
            "",
            format!("by {}, over another text", name(&one)),
        ),
        (
            &packed,
            armored(&sign(&one, &packed, 10)),
            &keys,
            OVER,
            format!("by {}, over another text", name(&one)),
        ),
        (
            &packed,
            armored(&sign(&other, &packed, 10)),
            &keys,
            "",
            format!("by {}: not in the keyring", name(&other)),
        ),
        (
            &packed,
            armored(&sign(&short, &packed, 30)),
            &public(&short),
            "",
            format!("key {} has expired", name(&short)),
        ),
        (
            &packed,
            armored(&sign(&one, &packed, future)),
            &keys,
            "",
            "a signature of the future".to_owned(),
        ),
        (&packed, b"nonsense".to_vec(), &keys, "", "signature".to_owned()),
        (&packed, Vec::new(), &keys, "", "signature".to_owned()),
        (
            &packed,
            armored(&sign(&one, &packed, 10)),
            b"nonsense",
            "",
            "keys/upstream.asc cannot be used".to_owned(),
        ),
        (
            &bomb,
            armored(&sign(&one, b"text", 10)),
            &keys,
            OVER,
            "it unpacks to more than 100000 bytes".to_owned(),
        ),
        (
            b"plain",
            armored(&sign(&one, b"plain", 10)),
            &keys,
            OVER,
            "it is not compressed by".to_owned(),
        ),
    ];
    for (bytes, signature, keys, more, message) in cases {
        let fixture = project(bytes, &signature, keys, more);
        let text = locked(&fixture).unwrap_err().to_string();
        assert!(
            text.contains(&message)
                && text.contains("`hello.tar.xz`, a source of `hello`, has not the signature")
                && text.contains("keel.toml:15:"),
            "{message}: {text}"
        );
        assert!(!fixture.root().join("keel.lock").exists(), "{message}");
    }
    // A file that was locked before is held against the signature, too, and the lock stays as it was.
    let fixture = project(&packed, &armored(&sign(&one, &packed, 10)), &keys, "");
    locked(&fixture).unwrap();
    let before = fs_err::read(fixture.root().join("keel.lock")).unwrap();
    fs_err::write(fixture.root().join("keys/upstream.asc"), public(&other)).unwrap();
    let text = locked(&fixture).unwrap_err().to_string();
    assert!(
        text.contains(&format!("keys that may sign: {}", name(&other))),
        "{text}"
    );
    fs_err::remove_file(fixture.root().join("up/file.asc")).unwrap();
    let text = locked(&fixture).unwrap_err().to_string();
    assert!(text.contains("the signature cannot be had from"), "{text}");
    assert_eq!(fs_err::read(fixture.root().join("keel.lock")).unwrap(), before);
}

#[test]
fn a_signature_at_a_url() {
    let (pem, config) = certificate();
    let one = key(None);
    let signature = armored(&sign(&one, b"text", 10));
    let server = Server::tls(config, move |request, answer| match request.path.as_str() {
        "/file.asc" => answer.ok(&signature),
        _ => answer.status(404, ""),
    });
    let make = |path: &str| {
        let more = format!(", url = \"{}\"", server.url(path));
        trusting(project(b"text", b"", &public(&one), &more), &pem)
    };
    locked(&make("/file.asc")).unwrap();
    let text = locked(&make("/none.asc")).unwrap_err().to_string();
    assert!(text.contains("it is not there (404)"), "{text}");
    let mut fixture = make("/file.asc");
    fixture.options.offline = true;
    let text = locked(&fixture).unwrap_err().to_string();
    assert!(text.contains("--offline"), "{text}");
}
