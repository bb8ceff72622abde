//! Public certificates, and what they accept.

use std::path::Path;

use keel_artefact::Epoch;
use pgp::{
    composed::{Deserializable, DetachedSignature, SignedPublicKey, SignedPublicSubKey},
    crypto::hash::HashAlgorithm,
    packet::{Signature, SignatureType, SubpacketData},
    types::{Fingerprint, KeyDetails, VerifyingKey},
};

use super::{Error, KeyFingerprint};

/// The certificates that are trusted. Nothing else is: there is no web of trust and no network.
#[derive(Debug, Clone)]
pub struct Certificates {
    certificates: Vec<SignedPublicKey>,
    now: Epoch,
}

impl Certificates {
    /// Trusts nobody; `now` decides what has expired.
    pub fn none(now: Epoch) -> Self {
        Self {
            certificates: Vec::new(),
            now,
        }
    }

    /// From armoured text, which may hold several; `what` names it in errors. An expired or revoked one is an error.
    pub fn parse(text: &str, what: &str, now: Epoch) -> Result<Self, Error> {
        let mut all = Self::none(now);
        all.add(text, what)?;
        Ok(all)
    }

    /// From an armoured file.
    pub fn load(path: &Path, now: Epoch) -> Result<Self, Error> {
        let text = fs_err::read_to_string(path).map_err(|source| Error::File {
            what: "read",
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text, &format!("`{}`", path.display()), now)
    }

    /// Trusts those of another armoured text too.
    pub fn add(&mut self, text: &str, what: &str) -> Result<(), Error> {
        let unreadable = |source| Error::Key {
            what: what.to_owned(),
            source: Box::new(source),
        };
        let (certificates, _) = SignedPublicKey::from_string_many(text).map_err(unreadable)?;
        let before = self.certificates.len();
        for certificate in certificates {
            let certificate = certificate.map_err(unreadable)?;
            certificate.verify_bindings().map_err(unreadable)?;
            check_usable(&certificate, self.now)?;
            self.certificates.push(certificate);
        }
        if self.certificates.len() == before {
            return Err(Error::NoKey(what.to_owned()));
        }
        Ok(())
    }

    /// The fingerprints of their primary keys.
    pub fn fingerprints(&self) -> impl Iterator<Item = KeyFingerprint> {
        self.certificates.iter().map(KeyFingerprint::of)
    }

    /// Verifies an armoured detached signature of `bytes`; `what` names them in errors.
    pub fn verify_detached(
        &self,
        bytes: &[u8],
        signature: &str,
        what: &str,
    ) -> Result<KeyFingerprint, Error> {
        let unreadable = |source| Error::Unreadable {
            what: what.to_owned(),
            source: Box::new(source),
        };
        let (signatures, _) = DetachedSignature::from_string_many(signature).map_err(unreadable)?;
        let mut refused = Error::Unsigned(what.to_owned());
        for signature in signatures {
            match self.verify(bytes, &signature.map_err(unreadable)?.signature, what) {
                Ok(key) => return Ok(key),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    /// Verifies a binary detached signature of `bytes`; `what` names them in errors.
    pub fn verify_binary(&self, bytes: &[u8], signature: &[u8], what: &str) -> Result<KeyFingerprint, Error> {
        let read = DetachedSignature::from_bytes(signature).map_err(|source| Error::Unreadable {
            what: what.to_owned(),
            source: Box::new(source),
        })?;
        self.verify(bytes, &read.signature, what)
    }

    /// Verifies one signature over `bytes`.
    pub(crate) fn verify(
        &self,
        bytes: &[u8],
        signature: &Signature,
        what: &str,
    ) -> Result<KeyFingerprint, Error> {
        for certificate in &self.certificates {
            if is_issuer(signature, certificate) {
                let expiry = expiry_of_primary(certificate);
                return self.verify_with(
                    certificate,
                    certificate,
                    expiry,
                    primary_signs(certificate),
                    bytes,
                    signature,
                    what,
                );
            }
            for subkey in &certificate.public_subkeys {
                if is_issuer(signature, &subkey.key) {
                    let expiry = earlier(expiry_of_primary(certificate), expiry_of_subkey(subkey));
                    let may_sign = subkey_signs(subkey);
                    return self.verify_with(
                        certificate,
                        &subkey.key,
                        expiry,
                        may_sign,
                        bytes,
                        signature,
                        what,
                    );
                }
            }
        }
        let issuer = (signature
            .issuer_fingerprint()
            .first()
            .map(|fingerprint| fingerprint.to_string().to_uppercase()))
        .or_else(|| {
            signature
                .issuer_key_id()
                .first()
                .map(|id| id.to_string().to_uppercase())
        })
        .unwrap_or_else(|| "an unnamed key".to_owned());
        Err(Error::Foreign {
            what: what.to_owned(),
            issuer,
        })
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the facts about one key, gathered by the only two callers"
    )]
    fn verify_with(
        &self,
        certificate: &SignedPublicKey,
        key: &impl VerifyingKey,
        expiry: Option<Epoch>,
        may_sign: bool,
        bytes: &[u8],
        signature: &Signature,
        what: &str,
    ) -> Result<KeyFingerprint, Error> {
        let name = KeyFingerprint::of(certificate);
        let refuse = |why: String| Error::Unacceptable {
            what: what.to_owned(),
            key: name.clone(),
            why,
        };
        if !may_sign {
            return Err(refuse("the key may not sign".to_owned()));
        }
        if signature.typ() != Some(SignatureType::Binary) {
            return Err(refuse("it is not a signature of a file".to_owned()));
        }
        let strong = [
            HashAlgorithm::Sha256,
            HashAlgorithm::Sha384,
            HashAlgorithm::Sha512,
        ];
        if !signature.hash_alg().is_some_and(|hash| strong.contains(&hash)) {
            return Err(refuse(format!(
                "its digest ({:?}) is too weak",
                signature.hash_alg()
            )));
        }
        let Some(made) = signature.created().map(|time| Epoch(time.as_secs().into())) else {
            return Err(refuse("it does not say when it was made".to_owned()));
        };
        if made < Epoch(key.created_at().as_secs().into()) {
            return Err(refuse("it is older than the key".to_owned()));
        }
        if expiry.is_some_and(|expiry| made >= expiry) {
            return Err(refuse("it was made after the key expired".to_owned()));
        }
        if expiry.is_some_and(|expiry| self.now >= expiry) {
            return Err(refuse("the key has expired".to_owned()));
        }
        let lifetime = signature
            .signature_expiration_time()
            .map_or(0, |time| time.as_secs());
        if lifetime != 0 && self.now.0 >= made.0 + u64::from(lifetime) {
            return Err(refuse("it has expired".to_owned()));
        }
        signature.verify(key, bytes).map_err(|source| Error::Bad {
            what: what.to_owned(),
            key: name.clone(),
            source: Box::new(source),
        })?;
        Ok(name)
    }
}

/// Does the signature name this key? By fingerprint where it gives one, else by key id.
fn is_issuer(signature: &Signature, key: &impl KeyDetails) -> bool {
    let fingerprints = signature.issuer_fingerprint();
    match fingerprints.is_empty() {
        false => fingerprints.contains(&&key.fingerprint()),
        true => signature.issuer_key_id().contains(&&key.legacy_key_id()),
    }
}

/// Fails when the primary key has expired, was revoked, or has no self-signature.
pub(super) fn check_usable(certificate: &SignedPublicKey, now: Epoch) -> Result<(), Error> {
    let unusable = |why: String| Error::Unusable {
        key: KeyFingerprint::of(certificate),
        why,
    };
    if !certificate.details.revocation_signatures.is_empty() {
        return Err(unusable("it was revoked".to_owned()));
    }
    if self_signatures(certificate).next().is_none() {
        return Err(unusable("it has no signature of its own".to_owned()));
    }
    match expiry_of_primary(certificate) {
        Some(expiry) if now >= expiry => Err(unusable(format!("it expired at {}", expiry.rfc3339()))),
        _ => Ok(()),
    }
}

/// The newest subkey that may sign now.
pub(super) fn signing_subkey(certificate: &SignedPublicKey, now: Epoch) -> Option<Fingerprint> {
    (certificate.public_subkeys.iter())
        .filter(|subkey| subkey_signs(subkey) && expiry_of_subkey(subkey).is_none_or(|expiry| now < expiry))
        .max_by_key(|subkey| subkey.key.created_at().as_secs())
        .map(|subkey| subkey.key.fingerprint())
}

/// Signatures of the key on itself: direct ones and those on its user ids.
fn self_signatures(certificate: &SignedPublicKey) -> impl Iterator<Item = &Signature> {
    let users = certificate.details.users.iter().flat_map(|user| &user.signatures);
    (certificate.details.direct_signatures.iter().chain(users))
        .filter(|signature| is_issuer(signature, certificate))
}

/// The newest of several signatures rules.
fn newest<'a>(signatures: impl Iterator<Item = &'a Signature>) -> Option<&'a Signature> {
    signatures.max_by_key(|signature| signature.created().map(|time| time.as_secs()))
}

fn expiry(key: &impl KeyDetails, signature: Option<&Signature>) -> Option<Epoch> {
    let lifetime = signature?.key_expiration_time()?.as_secs();
    (lifetime != 0).then(|| Epoch(u64::from(key.created_at().as_secs()) + u64::from(lifetime)))
}

fn expiry_of_primary(certificate: &SignedPublicKey) -> Option<Epoch> {
    expiry(certificate, newest(self_signatures(certificate)))
}

fn expiry_of_subkey(subkey: &SignedPublicSubKey) -> Option<Epoch> {
    expiry(&subkey.key, newest(subkey.signatures.iter()))
}

fn earlier(one: Option<Epoch>, other: Option<Epoch>) -> Option<Epoch> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

pub(super) fn primary_signs(certificate: &SignedPublicKey) -> bool {
    match newest(self_signatures(certificate)) {
        // A key without flags may do everything (RFC 9580 §5.2.3.29).
        Some(signature) if has_flags(signature) => signature.key_flags().sign(),
        Some(_) => true,
        None => false,
    }
}

fn subkey_signs(subkey: &SignedPublicSubKey) -> bool {
    let revoked = subkey
        .signatures
        .iter()
        .any(|signature| signature.typ() == Some(SignatureType::SubkeyRevocation));
    !revoked && newest(subkey.signatures.iter()).is_some_and(|signature| signature.key_flags().sign())
}

fn has_flags(signature: &Signature) -> bool {
    let config = signature.config();
    config.is_some_and(|config| {
        config
            .hashed_subpackets()
            .any(|packet| matches!(packet.data, SubpacketData::KeyFlags(_)))
    })
}
