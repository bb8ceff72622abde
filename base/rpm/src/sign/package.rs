//! Signatures of packages: over the header, which holds the digest of the payload (rpm's "header-only" signatures).

use std::{
    io::{self, BufReader, Read, Write},
    path::Path,
};

use keel_artefact::{Epoch, Sha256};
use pgp::packet::{self, PacketParser, Signature};
use rpm::{Header, HeaderEntry, IndexData, IndexSignatureTag, PackageMetadata};

use super::{Certificates, Error, Key, KeyFingerprint, key::Packet};
use crate::{Error as PackageError, Fault, PackageInfo, blob::Frame};

/// A package whose signature and digests are good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The primary key of the signer.
    pub by: KeyFingerprint,
    /// SHA-256 of the whole package file.
    pub digest: Sha256,
    /// Its header.
    pub info: PackageInfo,
}

/// Writes a copy of the package at `input` to the new file `output`, signed by `key` as of `time`. Signatures that it had are
/// dropped; the header and the payload stay as they are.
pub fn sign_package(input: &Path, output: &Path, key: &Key, time: Epoch) -> Result<(), PackageError> {
    rewrite(input, output, |header| Ok(Some(key.sign_packet(header, time)?)))
}

/// Writes a copy of the package at `input` without signatures to the new file `output`.
pub fn clear_package(input: &Path, output: &Path) -> Result<(), PackageError> {
    rewrite(input, output, |_| Ok(None))
}

fn rewrite(
    input: &Path,
    output: &Path,
    sign: impl FnOnce(&[u8]) -> Result<Option<Packet>, Error>,
) -> Result<(), PackageError> {
    let unreadable = |source| PackageError::Read {
        package: input.to_owned(),
        source,
    };
    let unsound = |fault| PackageError::Unsound {
        package: input.to_owned(),
        fault,
    };
    let unwritable = |source| PackageError::Output {
        path: output.to_owned(),
        source,
    };
    let file = fs_err::File::open(input).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    let mut reader = BufReader::new(file);
    let frame = Frame::read(&mut reader, size).map_err(unsound)?;
    check_header_digest(&frame).map_err(unsound)?;
    let signature = sign(frame.header_bytes())?;
    let metadata = with_signature(&frame, signature).map_err(unsound)?;
    let mut head = Vec::new();
    metadata.write(&mut head).map_err(|error| unsound(error.into()))?;
    if !head.ends_with(frame.header_bytes()) {
        return Err(unsound(Fault::HeaderDigest));
    }
    let mut file = fs_err::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(output)
        .map_err(unwritable)?;
    file.write_all(&head).map_err(unwritable)?;
    io::copy(&mut reader, &mut file).map_err(unwritable)?;
    Ok(())
}

/// The frame with other signatures; everything else in the signature header stays, as with rpmsign.
fn with_signature(frame: &Frame, signature: Option<Packet>) -> Result<PackageMetadata, Fault> {
    use IndexSignatureTag as T;
    // The region is made anew; PGP and GPG are signatures over header and payload, of rpm 3.
    let dropped = [
        T::HEADER_SIGNATURES,
        T::RPMSIGTAG_RSA,
        T::RPMSIGTAG_DSA,
        T::RPMSIGTAG_PGP,
        T::RPMSIGTAG_GPG,
        T::RPMSIGTAG_OPENPGP,
    ]
    .map(u32::from);
    let mut entries: Vec<HeaderEntry> = (frame.metadata.signature.get_all_entries()?.into_iter())
        .filter(|(tag, _)| !dropped.contains(tag))
        .map(|(tag, data)| HeaderEntry::new(tag, data))
        .collect();
    if let Some(packet) = signature {
        // rpm 4 looks in RSA and DSA (for everything that is not RSA), later ones in OPENPGP.
        let tag = if packet.is_rsa {
            T::RPMSIGTAG_RSA
        } else {
            T::RPMSIGTAG_DSA
        };
        let text = IndexData::StringArray(vec![base64(&packet.bytes)]);
        entries.push(HeaderEntry::new(T::RPMSIGTAG_OPENPGP.into(), text));
        entries.push(HeaderEntry::new(tag.into(), IndexData::Bin(packet.bytes)));
    }
    let mut metadata = frame.metadata.clone();
    metadata.signature = Header::from_entries(entries, T::HEADER_SIGNATURES);
    Ok(metadata)
}

/// Base64 with padding (RFC 4648 §4).
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk
            .iter()
            .fold(0_u32, |group, byte| group << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for digit in 0..4 {
            match digit <= chunk.len() {
                true => text.push(char::from(DIGITS[(group >> (18 - 6 * digit)) as usize & 63])),
                false => text.push('='),
            }
        }
    }
    text
}

/// Verifies the package at `path`: its header's signature by one of `certificates`, and by it the payload.
pub fn verify_package(path: &Path, certificates: &Certificates) -> Result<Signed, PackageError> {
    let unreadable = |source| PackageError::Read {
        package: path.to_owned(),
        source,
    };
    let unsound = |fault| PackageError::Unsound {
        package: path.to_owned(),
        fault,
    };
    let what = format!("the package `{}`", path.display());
    let file = fs_err::File::open(path).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    let mut reader = BufReader::with_capacity(128 * 1024, file);
    let frame = Frame::read(&mut reader, size).map_err(unsound)?;
    check_header_digest(&frame).map_err(unsound)?;
    let by = verify_header(&frame, certificates, &what)?;
    let info = PackageInfo::of(&frame, size).map_err(unsound)?;
    let (payload, digest) = digests(&frame.bytes, reader).map_err(unreadable)?;
    match info.payload_digest {
        Some(stated) if stated == payload => Ok(Signed { by, digest, info }),
        stated => Err(unsound(Fault::PayloadDigest {
            found: payload.to_hex(),
            stated: stated.map_or_else(|| "none".to_owned(), |digest| digest.to_hex()),
        })),
    }
}

/// The digests of the payload and of the whole file.
fn digests(head: &[u8], mut payload: impl Read) -> io::Result<(Sha256, Sha256)> {
    use sha2::Digest as _;
    let mut whole = sha2::Sha256::new_with_prefix(head);
    let mut part = sha2::Sha256::new();
    let mut buffer = vec![0; 128 * 1024];
    loop {
        match payload.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                whole.update(&buffer[..count]);
                part.update(&buffer[..count]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok((
        <[u8; 32]>::from(part.finalize()).into(),
        <[u8; 32]>::from(whole.finalize()).into(),
    ))
}

/// Any of the signatures by a trusted key will do; otherwise the error is that of the last.
fn verify_header(
    frame: &Frame,
    certificates: &Certificates,
    what: &str,
) -> Result<KeyFingerprint, PackageError> {
    let packets = frame
        .metadata
        .raw_signatures()
        .map_err(|error| PackageError::Unsound {
            package: what.into(),
            fault: error.into(),
        })?;
    let mut refused = Error::Unsigned(what.to_owned());
    for packet in packets {
        match parse(&packet, what)
            .and_then(|signature| certificates.verify(frame.header_bytes(), &signature, what))
        {
            Ok(key) => return Ok(key),
            Err(error) => refused = error,
        }
    }
    Err(refused.into())
}

fn parse(packet: &[u8], what: &str) -> Result<Signature, Error> {
    let unreadable = |source| Error::Unreadable {
        what: what.to_owned(),
        source: Box::new(source),
    };
    match PacketParser::new(packet).next() {
        Some(Ok(packet::Packet::Signature(signature))) => Ok(signature),
        Some(Err(source)) => Err(unreadable(source)),
        _ => Err(Error::Unsigned(what.to_owned())),
    }
}

/// At least one digest of the header, and all of them right.
fn check_header_digest(frame: &Frame) -> Result<(), Fault> {
    let report = frame.metadata.check_digests()?;
    let digests = [report.header_sha1, report.header_sha256, report.header_sha3_256];
    let good = digests.iter().any(|status| status.is_verified())
        && !digests.iter().any(|status| status.is_mismatch());
    if good { Ok(()) } else { Err(Fault::HeaderDigest) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_as_in_rfc_4648() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
