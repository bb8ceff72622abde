//! SHA-256 digests as identities, and the fingerprint of everything that a job can see.

use std::{fmt, io, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::Digest as _;

/// A SHA-256 digest: 32 bytes, written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sha256([u8; 32]);

impl Sha256 {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// The digest of all that `reader` gives, and how many bytes that was.
    pub fn of_reader(mut reader: impl io::Read) -> io::Result<(Self, u64)> {
        let mut hasher = sha2::Sha256::new();
        let mut buffer = vec![0; 128 * 1024];
        let mut size = 0;
        loop {
            match reader.read(&mut buffer)? {
                0 => return Ok((Self(hasher.finalize().into()), size)),
                n => {
                    hasher.update(&buffer[..n]);
                    size += n as u64;
                }
            }
        }
    }

    /// The digest of the file at `path`, and its size in bytes.
    pub fn of_file(path: &std::path::Path) -> io::Result<(Self, u64)> {
        Self::of_reader(std::fs::File::open(path)?)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// All 64 hexadecimal digits.
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }

    /// The first 12 hexadecimal digits: enough for people, never for identity.
    pub fn short(&self) -> String {
        hex::encode(&self.0[..6])
    }
}

impl From<[u8; 32]> for Sha256 {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha256({})", self.short())
    }
}

/// A text is not a SHA-256 digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a SHA-256 digest (64 hexadecimal digits)")]
pub struct ParseError(pub String);

impl FromStr for Sha256 {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| ParseError(text.to_owned()))?;
        Ok(Self(bytes))
    }
}

impl Serialize for Sha256 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_hex())
    }
}

impl<'de> Deserialize<'de> for Sha256 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// A SHA-512 digest: 64 bytes, written as 128 lower-case hexadecimal digits. What others vouch by; Keel itself names bytes
/// by [`Sha256`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sha512([u8; 64]);

impl Sha512 {
    /// The digest of all that `reader` gives.
    pub fn of_reader(mut reader: impl io::Read) -> io::Result<Self> {
        let mut hasher = sha2::Sha512::new();
        let mut buffer = vec![0; 128 * 1024];
        loop {
            match reader.read(&mut buffer)? {
                0 => return Ok(Self(hasher.finalize().into())),
                n => hasher.update(&buffer[..n]),
            }
        }
    }

    /// The digest of the file at `path`.
    pub fn of_file(path: &std::path::Path) -> io::Result<Self> {
        Self::of_reader(std::fs::File::open(path)?)
    }
}

impl From<[u8; 64]> for Sha512 {
    fn from(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Sha512 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Sha512 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha512({})", hex::encode(&self.0[..6]))
    }
}

impl FromStr for Sha512 {
    type Err = ParseError512;

    fn from_str(text: &str) -> Result<Self, ParseError512> {
        let mut bytes = [0; 64];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| ParseError512(text.to_owned()))?;
        Ok(Self(bytes))
    }
}

/// A text is not a SHA-512 digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a SHA-512 digest (128 hexadecimal digits)")]
pub struct ParseError512(pub String);

impl Serialize for Sha512 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sha512 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// Collects named inputs into one digest. Every part is framed by its length, so no two lists of parts collide.
#[derive(Clone)]
pub struct Fingerprint(sha2::Sha256);

impl Fingerprint {
    /// Starts a fingerprint of the given kind (`"job/1"`): kinds never collide.
    pub fn new(kind: &str) -> Self {
        let mut new = Self(sha2::Sha256::new());
        new.frame(kind.as_bytes());
        new
    }

    /// Adds an input under a label.
    pub fn add(&mut self, label: &str, value: impl AsRef<[u8]>) -> &mut Self {
        self.frame(label.as_bytes());
        self.frame(value.as_ref());
        self
    }

    /// Adds a digest under a label.
    pub fn add_digest(&mut self, label: &str, digest: &Sha256) -> &mut Self {
        self.add(label, digest.as_bytes())
    }

    /// The digest of everything added.
    pub fn finish(&self) -> Sha256 {
        Sha256(self.0.clone().finalize().into())
    }

    fn frame(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_of_the_empty_string_is_the_published_one() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Sha256::of(b"").to_hex(), empty);
        assert_eq!(empty.parse(), Ok(Sha256::of(b"")));
        assert!("e3b0".parse::<Sha256>().is_err());
    }

    #[test]
    fn sha512_is_the_published_one() {
        let abc = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423\
                   643ce80e2a9ac94fa54ca49f";
        assert_eq!(Sha512::of_reader(&b"abc"[..]).unwrap().to_string(), abc);
        assert_eq!(abc.parse::<Sha512>().unwrap().to_string(), abc);
        assert!("ddaf".parse::<Sha512>().is_err());
    }

    #[test]
    fn parts_of_a_fingerprint_cannot_run_into_each_other() {
        let one = Fingerprint::new("t").add("a", "bc").finish();
        let two = Fingerprint::new("t").add("ab", "c").finish();
        assert_ne!(one, two);
    }
}
