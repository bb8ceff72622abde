//! OpenPGP signatures, checked against keyring files: clear-signatures (RFC 9580 §7) over the archive's `InRelease`, and
//! detached ones (§10.4) over source files.
//!
//! A signature counts if it is by a key of the keyring that may sign, is bound to its primary key, is not revoked, and
//! had not expired at the time given; the hash must be SHA-2 or SHA-3 of at least 256 bits. One such signature is
//! enough, as for apt. Only the signed text is returned: what stands around it is refused.

use std::io::{Cursor, Read};

use keel_artefact::Epoch;
use pgp::{
    composed::{
        CleartextSignedMessage, Deserializable as _, DetachedSignature, SignedPublicKey, SignedPublicSubKey,
    },
    crypto::hash::HashAlgorithm,
    packet::{Signature, SignatureType},
    types::{KeyDetails as _, Tag, Timestamp},
};

/// How many signatures of one file are looked at.
const MOST_SIGNATURES: usize = 32;
/// How far a signer's clock may be ahead, in seconds.
const CLOCKS_DIFFER: u64 = 86_400;

/// Why a text is not trusted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The keyring has no keys, or is none.
    #[error("no OpenPGP keys in the keyring")]
    Keyring(#[source] Option<Box<pgp::errors::Error>>),
    /// It is not a clear-signed text and nothing else.
    #[error("not a clear-signed text")]
    Form(#[source] Box<pgp::errors::Error>),
    /// It is no detached signature.
    #[error("not a detached signature")]
    Detached(#[source] Box<pgp::errors::Error>),
    /// It is not UTF-8.
    #[error("not UTF-8")]
    Encoding(#[from] std::str::Utf8Error),
    /// No signature counts; why each does not.
    #[error("no valid signature by a key of the keyring: {}", .0.join("; "))]
    Untrusted(Vec<String>),
}

/// The keys that are trusted.
#[derive(Debug, Clone, Default)]
pub struct Keyring(Vec<SignedPublicKey>);

impl Keyring {
    /// Adds the keys of a keyring file, binary or armored. A key of a kind that is not known is passed over.
    pub fn add(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let keyring = |error| Error::Keyring(Some(Box::new(error)));
        let (keys, _) = SignedPublicKey::from_reader_many_buf(Cursor::new(bytes)).map_err(keyring)?;
        let before = self.0.len();
        self.0.extend(keys.filter_map(Result::ok));
        if self.0.len() == before {
            return Err(Error::Keyring(None));
        }
        Ok(())
    }

    /// Has it no keys?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text that is signed, and the fingerprint of the primary key behind the signature.
    pub fn verify_clearsigned(&self, bytes: &[u8], now: Epoch) -> Result<(String, String), Error> {
        let text = std::str::from_utf8(bytes)?;
        let form = |error| Error::Form(Box::new(error));
        let (message, _) = CleartextSignedMessage::from_string(text).map_err(form)?;
        let signed = message.signed_text();
        let mut reasons = Vec::new();
        for signature in message.signatures() {
            match self.signer(signature, &|| Box::new(signed.as_bytes()), now, now) {
                Ok(signer) => return Ok((signed.replace("\r\n", "\n"), signer)),
                Err(reason) => reasons.push(reason),
            }
        }
        if reasons.is_empty() {
            reasons.push("it has no signature".to_owned());
        }
        Err(Error::Untrusted(reasons))
    }

    /// The fingerprint of the primary key behind a detached signature over what `open` reads, from its start each time. The
    /// key must have been good when it signed; the signature must be good `now`.
    pub fn verify_detached(
        &self,
        signature: &[u8],
        open: &dyn Fn() -> Box<dyn Read>,
        now: Epoch,
    ) -> Result<String, Error> {
        let form = |error| Error::Detached(Box::new(error));
        let (signatures, _) =
            DetachedSignature::from_reader_many_buf(Cursor::new(signature)).map_err(form)?;
        let mut reasons = Vec::new();
        for signature in signatures.take(MOST_SIGNATURES) {
            let signature = signature.map_err(form)?.signature;
            let is_over_a_file = matches!(signature.typ(), Some(SignatureType::Binary | SignatureType::Text));
            let made = signature.created().map(|made| Epoch(u64::from(made.as_secs())));
            let result = match made {
                _ if !is_over_a_file => Err("a signature that is over no file".to_owned()),
                Some(made) if made.0 > now.0 + CLOCKS_DIFFER => Err("a signature of the future".to_owned()),
                Some(made) => self.signer(&signature, open, made, now),
                None => Err("a signature without a time".to_owned()),
            };
            match result {
                Ok(signer) => return Ok(signer),
                Err(reason) => reasons.push(reason),
            }
        }
        if reasons.is_empty() {
            reasons.push("there is no signature in it".to_owned());
        }
        Err(Error::Untrusted(reasons))
    }

    /// The fingerprints of its primary keys.
    pub fn fingerprints(&self) -> Vec<String> {
        let keys = self.0.iter();
        keys.map(|key| key.primary_key.fingerprint().to_string())
            .collect()
    }

    /// The primary key by which the signature is good `now`, and which was good `then`.
    fn signer<'t>(
        &self,
        signature: &Signature,
        open: &dyn Fn() -> Box<dyn Read + 't>,
        then: Epoch,
        now: Epoch,
    ) -> Result<String, String> {
        if !signature.hash_alg().is_some_and(is_strong) {
            return Err("a signature with a weak hash".to_owned());
        }
        let made = signature.created().ok_or("a signature without a time")?;
        if let Some(valid) = signature.signature_expiration_time()
            && is_over(made, valid.as_secs(), now)
        {
            return Err("a signature that has expired".to_owned());
        }
        let mut reason = None;
        for key in &self.0 {
            let by_primary = signature.verify(&key.primary_key, open()).is_ok();
            let subkey = key
                .public_subkeys
                .iter()
                .find(|subkey| signature.verify(&subkey.key, open()).is_ok());
            if !by_primary && subkey.is_none() {
                continue;
            }
            let name = key.primary_key.fingerprint().to_string();
            let usable = check_primary(key, then, by_primary).and_then(|()| match subkey {
                Some(subkey) if !by_primary => check_subkey(key, subkey, then),
                _ => Ok(()),
            });
            match usable {
                Ok(()) => return Ok(name),
                Err(why) => reason = Some(format!("key {name} {why}")),
            }
        }
        Err(reason.unwrap_or_else(|| {
            let fingerprints = signature
                .issuer_fingerprint()
                .into_iter()
                .map(ToString::to_string);
            let ids = signature.issuer_key_id().into_iter().map(ToString::to_string);
            let issuer = fingerprints
                .chain(ids)
                .next()
                .unwrap_or_else(|| "nobody named".to_owned());
            let is_known = self.0.iter().any(|key| {
                let subkeys = key.public_subkeys.iter().map(|subkey| subkey.key.fingerprint());
                let mut all = subkeys.chain([key.primary_key.fingerprint()]);
                all.any(|one| one.to_string().ends_with(&issuer))
            });
            match is_known {
                true => format!("a signature by {issuer}, over another text"),
                false => format!("a signature by {issuer}: not in the keyring"),
            }
        }))
    }
}

/// May the primary key vouch at `now`? The newest of its self-signatures says until when; a revocation ends it.
fn check_primary(key: &SignedPublicKey, now: Epoch, signs_itself: bool) -> Result<(), &'static str> {
    let primary = &key.primary_key;
    let is_revoked = |signature: &Signature| {
        signature.typ() == Some(SignatureType::KeyRevocation) && signature.verify_key(primary).is_ok()
    };
    if key.details.revocation_signatures.iter().any(is_revoked) {
        return Err("is revoked");
    }
    let by_user = key.details.users.iter().flat_map(|user| {
        let certifies = |signature: &&Signature| {
            signature.is_certification()
                && signature
                    .verify_certification(primary, Tag::UserId, &user.id)
                    .is_ok()
        };
        user.signatures.iter().filter(certifies)
    });
    let direct = key.details.direct_signatures.iter().filter(|signature| {
        signature.typ() == Some(SignatureType::Key) && signature.verify_key(primary).is_ok()
    });
    let newest = by_user
        .chain(direct)
        .max_by_key(|signature| signature.created().map(Timestamp::as_secs));
    let newest = newest.ok_or("has no signature of its own")?;
    check_life(primary.created_at(), newest, now)?;
    // A key without flags may sign (RFC 9580 §5.2.3.29 leaves it open; old keys have none).
    let flags = newest.key_flags();
    let says_nothing = !flags.sign() && !flags.certify();
    if signs_itself && !flags.sign() && !says_nothing {
        return Err("may not sign");
    }
    Ok(())
}

/// Is the subkey bound to its primary key, for signing, at `now`?
fn check_subkey(key: &SignedPublicKey, subkey: &SignedPublicSubKey, now: Epoch) -> Result<(), &'static str> {
    let bound = |signature: &&Signature| {
        signature
            .verify_subkey_binding(&key.primary_key, &subkey.key)
            .is_ok()
    };
    let signatures: Vec<_> = subkey.signatures.iter().filter(bound).collect();
    if signatures
        .iter()
        .any(|signature| signature.typ() == Some(SignatureType::SubkeyRevocation))
    {
        return Err("has revoked its subkey");
    }
    let bindings = signatures
        .into_iter()
        .filter(|signature| signature.typ() == Some(SignatureType::SubkeyBinding));
    let newest = bindings.max_by_key(|signature| signature.created().map(Timestamp::as_secs));
    let newest = newest.ok_or("is not bound to its subkey")?;
    if !newest.key_flags().sign() {
        return Err("has a subkey that may not sign");
    }
    let back = newest.embedded_signature();
    if !back.is_some_and(|back| {
        back.verify_primary_key_binding(&subkey.key, &key.primary_key)
            .is_ok()
    }) {
        return Err("is not acknowledged by its subkey");
    }
    check_life(subkey.key.created_at(), newest, now)
}

fn check_life(created: Timestamp, binding: &Signature, now: Epoch) -> Result<(), &'static str> {
    if let Some(life) = binding.key_expiration_time()
        && is_over(created, life.as_secs(), now)
    {
        return Err("has expired");
    }
    if let Some(life) = binding.signature_expiration_time()
        && binding
            .created()
            .is_none_or(|made| is_over(made, life.as_secs(), now))
    {
        return Err("has an expired signature of its own");
    }
    Ok(())
}

/// A life of 0 seconds means for ever.
fn is_over(from: Timestamp, life: u32, now: Epoch) -> bool {
    life != 0 && now.0 >= u64::from(from.as_secs()) + u64::from(life)
}

fn is_strong(hash: HashAlgorithm) -> bool {
    matches!(
        hash,
        HashAlgorithm::Sha256
            | HashAlgorithm::Sha384
            | HashAlgorithm::Sha512
            | HashAlgorithm::Sha3_256
            | HashAlgorithm::Sha3_512
    )
}
