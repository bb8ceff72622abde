//! `InRelease`: which indexes a suite has, by SHA-256, under the archive's signature.

use std::collections::BTreeMap;

use keel_artefact::{Epoch, Sha256};

use super::{
    deb822::{self, Paragraphs},
    openpgp::{self, Keyring},
};

/// The longest `InRelease` that is read, in bytes.
pub const MAX_SIZE: u64 = 16 << 20;

/// A suite of the archive, as its signed `InRelease` describes it.
#[derive(Debug, Clone)]
pub struct Release {
    /// The suite that was asked for.
    pub suite: String,
    /// `Date`, as it stands.
    pub date: String,
    /// Fingerprint of the primary key that signed.
    pub signer: String,
    /// Indexes are served under their digests as well.
    pub by_hash: bool,
    files: BTreeMap<String, (Sha256, u64)>,
}

/// Why an `InRelease` is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its signature.
    #[error(transparent)]
    Signature(#[from] openpgp::Error),
    /// Its text.
    #[error("the signed text is damaged")]
    Text(#[from] deb822::ParseError),
    /// It describes another suite: a mirror gave another one's file.
    #[error("it describes the suite `{found}`, not `{wanted}`")]
    Suite {
        /// The suite asked for.
        wanted: String,
        /// Codename and suite that it has.
        found: String,
    },
    /// It is out of date: a mirror that stands still, or somebody who hides updates.
    #[error("it was valid until {until}")]
    Expired {
        /// `Valid-Until`, as it stands.
        until: String,
    },
    /// A field cannot be understood.
    #[error("its field `{field}` cannot be understood: `{value}`")]
    Field {
        /// Its name.
        field: &'static str,
        /// Its value.
        value: String,
    },
}

impl Release {
    /// Reads and checks the bytes of `InRelease`.
    pub fn parse(suite: &str, bytes: &[u8], keyring: &Keyring, now: Epoch) -> Result<Self, Error> {
        let (text, signer) = keyring.verify_clearsigned(bytes, now)?;
        let paragraph = Paragraphs::new(text.as_bytes())
            .next()
            .transpose()?
            .unwrap_or_default();
        let field = |name| paragraph.get(name).unwrap_or_default();
        if field("Codename") != suite && field("Suite") != suite {
            return Err(Error::Suite {
                wanted: suite.to_owned(),
                found: format!("{}/{}", field("Codename"), field("Suite")),
            });
        }
        if let Some(until) = paragraph.get("Valid-Until") {
            let epoch = parse_date(until).ok_or_else(|| Error::Field {
                field: "Valid-Until",
                value: until.to_owned(),
            })?;
            if now > epoch {
                return Err(Error::Expired {
                    until: until.to_owned(),
                });
            }
        }
        let mut files = BTreeMap::new();
        for record in paragraph.records("SHA256") {
            let bad = || Error::Field {
                field: "SHA256",
                value: record.join(" "),
            };
            let [digest, size, name] = record[..] else {
                return Err(bad());
            };
            let digest = digest.parse().map_err(|_| bad())?;
            files.insert(name.to_owned(), (digest, size.parse().map_err(|_| bad())?));
        }
        Ok(Self {
            suite: suite.to_owned(),
            date: field("Date").to_owned(),
            signer,
            by_hash: field("Acquire-By-Hash").eq_ignore_ascii_case("yes"),
            files,
        })
    }

    /// Digest and size of an index (`main/source/Sources.xz`).
    pub fn file(&self, name: &str) -> Option<(Sha256, u64)> {
        self.files.get(name).copied()
    }

    /// Where an index may be had, below the archive's root, best first.
    pub fn places(&self, name: &str, digest: &Sha256) -> Vec<String> {
        let plain = format!("dists/{}/{name}", self.suite);
        match name.rsplit_once('/') {
            Some((folder, _)) if self.by_hash => {
                vec![
                    format!("dists/{}/{folder}/by-hash/SHA256/{digest}", self.suite),
                    plain,
                ]
            }
            _ => vec![plain],
        }
    }
}

/// `Sat, 12 Sep 2026 07:55:41 UTC` → seconds since 1970.
fn parse_date(text: &str) -> Option<Epoch> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let words: Vec<_> = text.split_whitespace().collect();
    let [_, day, month, year, time, "UTC" | "GMT" | "+0000"] = words[..] else {
        return None;
    };
    let month = MONTHS.iter().position(|name| *name == month)? as u64 + 1;
    let (day, year): (u64, u64) = (day.parse().ok()?, year.parse().ok()?);
    let mut clock = time.split(':').map(str::parse::<u64>);
    let (hour, minute, second) = (clock.next()?.ok()?, clock.next()?.ok()?, clock.next()?.ok()?);
    if !(1970..10_000).contains(&year) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60
    {
        return None;
    }
    // Days of the proleptic Gregorian calendar, counted in years that start in March.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    Some(Epoch(days * 86_400 + hour * 3600 + minute * 60 + second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (text, seconds) in [
            ("Thu, 01 Jan 1970 00:00:00 UTC", Some(0)),
            ("Tue, 29 Feb 2000 12:34:56 UTC", Some(951_827_696)),
            ("Sat, 21 Nov 2026 00:00:00 UTC", Some(1_795_219_200)),
            ("Sat, 21 Nov 2026 00:00:00 CET", None),
            ("21 Nov 2026", None),
            ("Sat, 99999999999 Nov 2026 00:00:00 UTC", None),
        ] {
            assert_eq!(parse_date(text), seconds.map(Epoch), "{text}");
        }
    }
}
