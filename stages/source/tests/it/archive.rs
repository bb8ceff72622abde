//! A Debian archive of a test's own: pool, signed index, server.

use std::{collections::BTreeMap, io::Read as _, path::PathBuf, sync::Arc};

use keel_artefact::{Epoch, Sha256};
use keel_source::Trust;
use pgp::{
    composed::{CleartextSignedMessage, KeyType, SecretKeyParamsBuilder, SignedPublicKey, SignedSecretKey},
    packet::{KeyFlags, SignatureConfig, SignatureType, Subpacket, SubpacketData},
    ser::Serialize as _,
    types::{Duration, KeyDetails as _, Password, Tag, Timestamp},
};

use crate::{
    fixture::Fixture,
    server::{Answer, Request, Server},
};

/// When everything here happens: 2026-11-21.
pub const NOW: Epoch = Epoch(1_795_219_200);
/// When keys were made: a hundred days before.
pub const MADE: u32 = 1_795_219_200 - 100 * 86_400;

/// A key that signs; with a life in days if it is to end.
pub fn key(life: Option<u32>) -> SignedSecretKey {
    let mut rng = rand::thread_rng();
    let mut params = SecretKeyParamsBuilder::default();
    params
        .key_type(KeyType::Ed25519)
        .can_sign(true)
        .can_certify(true)
        .created_at(Timestamp::from_secs(MADE));
    params.primary_user_id("Test archive <archive@example.org>".to_owned());
    let mut key = params.build().unwrap().generate(&mut rng).unwrap();
    let mut flags = KeyFlags::default();
    flags.set_sign(true);
    flags.set_certify(true);
    let mut config =
        SignatureConfig::from_key(&mut rng, &key.primary_key, SignatureType::CertPositive).unwrap();
    let mut data = vec![
        SubpacketData::SignatureCreationTime(Timestamp::from_secs(MADE)),
        SubpacketData::IssuerFingerprint(key.primary_key.fingerprint()),
        SubpacketData::KeyFlags(flags),
    ];
    if let Some(days) = life {
        data.push(SubpacketData::KeyExpirationTime(Duration::from_secs(
            days * 86_400,
        )));
    }
    config.hashed_subpackets = data
        .into_iter()
        .map(|data| Subpacket::regular(data).unwrap())
        .collect();
    let public = key.to_public_key();
    let user = &mut key.details.users[0];
    let signature = config.sign_certification(
        &key.primary_key,
        &public.primary_key,
        &Password::empty(),
        Tag::UserId,
        &user.id,
    );
    user.signatures = vec![signature.unwrap()];
    key
}

pub fn public(key: &SignedSecretKey) -> Vec<u8> {
    SignedPublicKey::from(key.clone()).to_bytes().unwrap()
}

/// `text`, clear-signed.
pub fn sign(key: &SignedSecretKey, text: &str) -> String {
    let message =
        CleartextSignedMessage::sign(rand::thread_rng(), text, &key.primary_key, &Password::empty());
    message
        .unwrap()
        .to_armored_string(pgp::composed::ArmorOptions::default())
        .unwrap()
}

/// What is in the archive.
#[derive(Clone)]
pub struct Archive {
    pub key: Arc<SignedSecretKey>,
    /// `Sources` of trixie, as paragraphs.
    pub sources: String,
    /// What is served, by path. `dists/…` is made from `sources`.
    pub files: BTreeMap<String, Vec<u8>>,
    pub by_hash: bool,
    pub extra_fields: String,
}

impl Archive {
    pub fn new() -> Self {
        Self {
            key: Arc::new(key(None)),
            sources: String::new(),
            files: BTreeMap::new(),
            by_hash: true,
            extra_fields: String::new(),
        }
    }

    /// A version of the source package `hello` with these files, of which `served` ones are in the pool.
    pub fn add(&mut self, version: &str, files: &[(&str, &[u8])], served: bool, extra: &str) {
        let mut text = format!(
            "Package: hello\nVersion: {version}\n{extra}Directory: pool/main/h/hello\nChecksums-Sha256:\n"
        );
        for (name, bytes) in files {
            text += &format!(" {} {} {name}\n", Sha256::of(bytes), bytes.len());
            if served {
                self.files
                    .insert(format!("/pool/main/h/hello/{name}"), bytes.to_vec());
            }
        }
        self.sources += &text;
        self.sources += "\n";
    }

    /// The text of `Release`, and the packed index.
    pub fn release(&self) -> (String, Vec<u8>) {
        let mut packed = Vec::new();
        liblzma::read::XzEncoder::new(self.sources.as_bytes(), 1)
            .read_to_end(&mut packed)
            .unwrap();
        let text = format!(
            "Origin: Debian\nSuite: stable\nCodename: trixie\nDate: Sat, 21 Nov 2026 00:00:00 UTC\n{}\
             Acquire-By-Hash: {}\nSHA256:\n {} {} main/source/Sources.xz\n",
            self.extra_fields,
            if self.by_hash { "yes" } else { "no" },
            Sha256::of(&packed),
            packed.len()
        );
        (text, packed)
    }

    pub fn serve(&self) -> Server {
        let (text, packed) = self.release();
        let mut files = self.files.clone();
        let place = match self.by_hash {
            true => format!("/dists/trixie/main/source/by-hash/SHA256/{}", Sha256::of(&packed)),
            false => "/dists/trixie/main/source/Sources.xz".to_owned(),
        };
        files.insert(place, packed);
        files
            .entry("/dists/trixie/InRelease".to_owned())
            .or_insert_with(|| sign(&self.key, &text).into_bytes());
        Server::new(
            move |request: &Request, answer: &mut Answer<'_>| match files.get(&request.path) {
                Some(bytes) => answer.file(request, bytes),
                None => answer.status(404, ""),
            },
        )
    }

    pub fn trust(&self, fixture: &Fixture) -> Trust {
        let path: PathBuf = fixture.dir.path().join("archive.gpg");
        fs_err::write(&path, public(&self.key)).unwrap();
        Trust {
            keyrings: vec![path],
            now: NOW,
        }
    }
}
