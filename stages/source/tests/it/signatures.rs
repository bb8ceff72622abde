//! Whose `InRelease` is taken, and whose is not.

use keel_artefact::Epoch;
use keel_source::debian::{openpgp::Keyring, release::Release};

use crate::archive::{Archive, NOW, key, public, sign};

fn keyring(keys: &[&pgp::composed::SignedSecretKey]) -> Keyring {
    let mut keyring = Keyring::default();
    for key in keys {
        keyring.add(&public(key)).unwrap();
    }
    keyring
}

#[test]
fn a_good_release_is_read() {
    let archive = Archive::new();
    let (text, packed) = archive.release();
    let signed = sign(&archive.key, &text);
    let keyring = keyring(&[&key(None), &archive.key]);
    let release = Release::parse("trixie", signed.as_bytes(), &keyring, NOW).unwrap();
    assert_eq!(release.date, "Sat, 21 Nov 2026 00:00:00 UTC");
    let (digest, size) = release.file("main/source/Sources.xz").unwrap();
    assert_eq!(
        (digest, size),
        (keel_artefact::Sha256::of(&packed), packed.len() as u64)
    );
    let by_hash = format!("dists/trixie/main/source/by-hash/SHA256/{digest}");
    assert_eq!(
        release.places("main/source/Sources.xz", &digest),
        [by_hash, "dists/trixie/main/source/Sources.xz".to_owned()]
    );
    // `stable` names the same suite; carriage returns and dashes survive the signature's framing.
    Release::parse("stable", signed.as_bytes(), &keyring, NOW).unwrap();
    Release::parse("stable", signed.replace('\n', "\r\n").as_bytes(), &keyring, NOW).unwrap();
    let dashes = sign(
        &archive.key,
        &format!("{text}- dash\n-----x: y\n").replace("- dash\n", ""),
    );
    Release::parse("trixie", dashes.as_bytes(), &keyring, NOW).unwrap();
}

#[test]
fn what_is_not_trusted_is_told_why() {
    let archive = Archive::new();
    let (text, _) = archive.release();
    let signed = sign(&archive.key, &text);
    let expired = key(Some(99));
    let by_expired = sign(&expired, &text);
    let until = |date: &str| {
        let text = text.replace(
            "Acquire-By-Hash",
            &format!("Valid-Until: {date}\nAcquire-By-Hash"),
        );
        sign(&archive.key, &text)
    };
    let other_suite = sign(
        &archive.key,
        &text.replace("Codename: trixie", "Codename: bookworm"),
    );
    let bad_digest = sign(&archive.key, &text.replace("SHA256:\n ", "SHA256:\n zz"));
    let good = keyring(&[&archive.key, &expired]);
    let other = keyring(&[&key(None)]);
    for (what, bytes, keyring, message) in [
        (
            "tampered",
            signed.replace("Codename: trixie", "Codename: trixiE"),
            &good,
            "no valid signature",
        ),
        ("wrong key", signed.clone(), &other, "not in the keyring"),
        ("expired key", by_expired, &good, "has expired"),
        ("not signed", text.clone(), &good, "not a clear-signed text"),
        ("empty", String::new(), &good, "not a clear-signed text"),
        (
            "text before",
            format!("Codename: sid\n{signed}"),
            &good,
            "not a clear-signed text",
        ),
        (
            "text after",
            format!("{signed}Codename: sid\n"),
            &good,
            "not a clear-signed text",
        ),
        (
            "twice",
            format!("{signed}{signed}"),
            &good,
            "not a clear-signed text",
        ),
        (
            "signature cut",
            signed[..signed.len() - 60].to_owned(),
            &good,
            "not a clear-signed text",
        ),
        (
            "another suite",
            other_suite,
            &good,
            "it describes the suite `bookworm/stable`, not `trixie`",
        ),
        (
            "out of date",
            until("Fri, 20 Nov 2026 00:00:00 UTC"),
            &good,
            "it was valid until Fri, 20 Nov 2026",
        ),
        (
            "no date",
            until("tomorrow"),
            &good,
            "its field `Valid-Until` cannot be understood: `tomorrow`",
        ),
        (
            "no digest",
            bad_digest,
            &good,
            "its field `SHA256` cannot be understood",
        ),
    ] {
        let error = Release::parse("trixie", bytes.as_bytes(), keyring, NOW).unwrap_err();
        assert!(error.to_string().contains(message), "{what}: {error}");
    }
    Release::parse(
        "trixie",
        until("Sun, 22 Nov 2026 00:00:00 UTC").as_bytes(),
        &good,
        NOW,
    )
    .unwrap();
    assert!(Release::parse("trixie", &[0xff, 0xfe], &good, NOW).is_err());
    let later = Epoch(NOW.0 + 10_000 * 86_400);
    Release::parse("trixie", signed.as_bytes(), &good, later).unwrap();
}

#[test]
fn a_key_counts_only_as_long_as_it_lives() {
    let mortal = key(Some(200));
    let (text, _) = Archive::new().release();
    let signed = sign(&mortal, &text);
    let keyring = keyring(&[&mortal]);
    Release::parse("trixie", signed.as_bytes(), &keyring, NOW).unwrap();
    let later = Epoch(NOW.0 + 101 * 86_400);
    assert!(Release::parse("trixie", signed.as_bytes(), &keyring, later).is_err());
}

#[test]
fn a_key_without_a_self_signature_does_not_count() {
    let (good, mut bare) = (key(None), key(None));
    let (text, _) = Archive::new().release();
    let signed = sign(&bare, &text);
    // The signature of another key over this user's name: no self-signature.
    bare.details.users[0].signatures = good.details.users[0].signatures.clone();
    let error = Release::parse("trixie", signed.as_bytes(), &keyring(&[&bare]), NOW).unwrap_err();
    assert!(
        error.to_string().contains("has no signature of its own"),
        "{error}"
    );
}

#[test]
fn a_file_that_is_no_keyring_is_refused() {
    let mut keyring = Keyring::default();
    for bytes in [
        &b""[..],
        b"hello",
        &[0xff; 100],
        b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n",
    ] {
        assert!(keyring.add(bytes).is_err());
    }
    assert!(keyring.is_empty());
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    #[test]
    fn no_bytes_make_it_panic(at in 0_usize..2000, byte: u8, cut in 0_usize..2000) {
        static SIGNED: std::sync::LazyLock<(String, Keyring)> = std::sync::LazyLock::new(|| {
            let archive = Archive::new();
            (sign(&archive.key, &archive.release().0), keyring(&[&archive.key]))
        });
        let mut bytes = SIGNED.0.clone().into_bytes();
        let at = at % bytes.len();
        let was = bytes[at];
        bytes[at] = byte;
        let flipped = Release::parse("trixie", &bytes, &SIGNED.1, NOW);
        // Whatever is still taken has the digests that were signed.
        if let Ok(release) = flipped {
            let original = Release::parse("trixie", SIGNED.0.as_bytes(), &SIGNED.1, NOW).unwrap();
            assert_eq!(release.file("main/source/Sources.xz"), original.file("main/source/Sources.xz"), "{was} → {byte} at {at}");
        }
        bytes.truncate(cut);
        let _ = Release::parse("trixie", &bytes, &SIGNED.1, NOW);
    }
}
