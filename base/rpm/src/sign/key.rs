//! Secret keys.

use std::{
    fmt,
    io::Write,
    path::{Path, PathBuf},
};

use keel_artefact::Epoch;
use pgp::{
    composed::{
        ArmorOptions, Deserializable, DetachedSignature, KeyType, SecretKeyParamsBuilder, SignedSecretKey,
    },
    crypto::{hash::HashAlgorithm, public_key::PublicKeyAlgorithm},
    packet::{PacketTrait as _, SignatureConfig, SignatureType, Subpacket, SubpacketData},
    types::{KeyDetails as _, KeyVersion, Password, SigningKey},
};

use super::{Certificates, Error, KeyFingerprint, certificates, timestamp};

/// A key that signs: a primary key, or its signing subkey.
#[derive(Clone)]
pub struct Key {
    secret: SignedSecretKey,
    /// Which subkey signs; none: the primary key.
    subkey: Option<usize>,
}

/// A signature as rpm keeps it.
pub(crate) struct Packet {
    pub(crate) bytes: Vec<u8>,
    pub(crate) is_rsa: bool,
}

impl Key {
    /// Makes an Ed25519 key that never expires.
    ///
    /// `user_id` is its name for people (`Keel development key <keel@localhost>`), `created` its time of creation.
    pub fn generate(user_id: &str, created: Epoch) -> Result<Self, Error> {
        let make = |source| Error::Make {
            what: "make a key",
            source: Box::new(source),
        };
        let mut parameters = SecretKeyParamsBuilder::default();
        parameters
            .key_type(KeyType::Ed25519Legacy)
            .version(KeyVersion::V4)
            .can_certify(true)
            .can_sign(true)
            .created_at(timestamp(created))
            .preferred_hash_algorithms(
                [HashAlgorithm::Sha512, HashAlgorithm::Sha256]
                    .into_iter()
                    .collect(),
            )
            .primary_user_id(user_id.to_owned());
        let parameters = parameters
            .build()
            .map_err(|error| make(pgp::errors::Error::from(error.to_string())))?;
        let secret = parameters.generate(rand::rngs::OsRng).map_err(make)?;
        Ok(Self { secret, subkey: None })
    }

    /// Reads an armoured secret key file. `now` decides whether it has expired.
    pub fn load(path: &Path, now: Epoch) -> Result<Self, Error> {
        let text = fs_err::read_to_string(path).map_err(|source| Error::File {
            what: "read",
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text, &format!("`{}`", path.display()), now)
    }

    /// Reads an armoured secret key; `what` names it in errors, `now` decides whether it has expired.
    pub fn parse(text: &str, what: &str, now: Epoch) -> Result<Self, Error> {
        let unreadable = |source| Error::Key {
            what: what.to_owned(),
            source: Box::new(source),
        };
        let (secret, _) = SignedSecretKey::from_string(text).map_err(unreadable)?;
        secret.verify_bindings().map_err(unreadable)?;
        let public = secret.to_public_key();
        certificates::check_usable(&public, now)?;
        let usable = certificates::signing_subkey(&public, now);
        let subkey = usable.and_then(|fingerprint| {
            secret
                .secret_subkeys
                .iter()
                .position(|subkey| subkey.key.fingerprint() == fingerprint)
        });
        let locked = match subkey {
            Some(index) => secret.secret_subkeys[index].key.secret_params().is_encrypted(),
            None => secret.primary_key.secret_params().is_encrypted(),
        };
        if locked {
            return Err(Error::Locked(KeyFingerprint::of(&public)));
        }
        if subkey.is_none() && !certificates::primary_signs(&public) {
            return Err(Error::Unusable {
                key: KeyFingerprint::of(&public),
                why: "neither it nor a subkey may sign".to_owned(),
            });
        }
        Ok(Self { secret, subkey })
    }

    /// Writes the armoured secret key to a new file that only its owner can read.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let text = self
            .secret
            .to_armored_string(ArmorOptions::default())
            .map_err(|source| Error::Make {
                what: "write the key as text",
                source: Box::new(source),
            })?;
        // Written under another name first: whoever is killed here leaves no half key.
        let temporary = PathBuf::from(format!("{}.{}.new", path.display(), std::process::id()));
        let write = || {
            use fs_err::os::unix::fs::OpenOptionsExt as _;
            let mut file = fs_err::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&temporary)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            // Unlike a rename, a link fails if the name is taken.
            let named = fs_err::hard_link(&temporary, path);
            fs_err::remove_file(&temporary)?;
            named
        };
        write().map_err(|source| Error::File {
            what: "write",
            path: path.to_owned(),
            source,
        })
    }

    /// The public certificate, armoured: what verifiers import.
    pub fn certificate(&self) -> Result<String, Error> {
        let public = self.secret.to_public_key();
        public
            .to_armored_string(ArmorOptions::default())
            .map_err(|source| Error::Make {
                what: "write the certificate as text",
                source: Box::new(source),
            })
    }

    /// The certificate as the only one trusted.
    pub fn certificates(&self, now: Epoch) -> Result<Certificates, Error> {
        Certificates::parse(&self.certificate()?, "the signing key", now)
    }

    /// The fingerprint of the primary key.
    pub fn fingerprint(&self) -> KeyFingerprint {
        KeyFingerprint::of(&self.secret.primary_key)
    }

    /// When the part of it that signs was made: no signature is older.
    pub fn created(&self) -> Epoch {
        Epoch(u64::from(match self.subkey {
            Some(index) => self.secret.secret_subkeys[index].key.created_at().as_secs(),
            None => self.secret.primary_key.created_at().as_secs(),
        }))
    }

    /// An armoured detached signature of `bytes`, as of `time`.
    pub fn sign_detached(&self, bytes: &[u8], time: Epoch) -> Result<String, Error> {
        let signature = DetachedSignature::new(self.sign(bytes, time)?);
        signature
            .to_armored_string(ArmorOptions::default())
            .map_err(|source| Error::Make {
                what: "write the signature as text",
                source: Box::new(source),
            })
    }

    /// A detached signature of `bytes` in binary, as of `time`.
    pub fn sign_binary(&self, bytes: &[u8], time: Epoch) -> Result<Vec<u8>, Error> {
        Ok(self.sign_packet(bytes, time)?.bytes)
    }

    /// A signature packet over `bytes`, as rpm keeps it.
    pub(crate) fn sign_packet(&self, bytes: &[u8], time: Epoch) -> Result<Packet, Error> {
        let signature = self.sign(bytes, time)?;
        let mut packet = Vec::new();
        signature
            .to_writer_with_header(&mut packet)
            .map_err(|source| Error::Make {
                what: "sign",
                source: Box::new(source),
            })?;
        let algorithm = signature.config().map(|config| config.pub_alg);
        Ok(Packet {
            bytes: packet,
            is_rsa: algorithm == Some(PublicKeyAlgorithm::RSA),
        })
    }

    fn sign(&self, bytes: &[u8], time: Epoch) -> Result<pgp::packet::Signature, Error> {
        let time = time.max(self.created());
        match self.subkey {
            Some(index) => sign_with(&self.secret.secret_subkeys[index].key, bytes, time),
            None => sign_with(&self.secret.primary_key, bytes, time),
        }
        .map_err(|source| Error::Make {
            what: "sign",
            source: Box::new(source),
        })
    }
}

fn sign_with(
    key: &impl SigningKey,
    bytes: &[u8],
    time: Epoch,
) -> pgp::errors::Result<pgp::packet::Signature> {
    // gpg refuses SHA-256 for nothing, and rpm 4.18 knows no better for EdDSA; larger keys ask for more themselves.
    let mut config = match key.version() {
        KeyVersion::V6 => SignatureConfig::v6(
            rand::rngs::OsRng,
            SignatureType::Binary,
            key.algorithm(),
            key.hash_alg(),
        )?,
        _ => SignatureConfig::v4(SignatureType::Binary, key.algorithm(), HashAlgorithm::Sha256),
    };
    config.hashed_subpackets = vec![
        Subpacket::regular(SubpacketData::SignatureCreationTime(timestamp(time)))?,
        Subpacket::regular(SubpacketData::IssuerFingerprint(key.fingerprint()))?,
    ];
    if key.version() != KeyVersion::V6 {
        config.unhashed_subpackets = vec![Subpacket::regular(SubpacketData::IssuerKeyId(
            key.legacy_key_id(),
        ))?];
    }
    config.sign(key, &Password::empty(), bytes)
}

impl fmt::Debug for Key {
    /// Never shows the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").field(&self.fingerprint()).finish()
    }
}
