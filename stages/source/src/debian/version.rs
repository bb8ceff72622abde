//! Debian's versions: their order (deb-version(7)) and their upstream series.

use std::cmp::Ordering;

/// Compares two whole versions, `[epoch:]upstream[-revision]`, as dpkg does.
pub fn compare(one: &str, other: &str) -> Ordering {
    let (one_epoch, one_upstream, one_revision) = split(one);
    let (other_epoch, other_upstream, other_revision) = split(other);
    compare_part(one_epoch, other_epoch)
        .then_with(|| compare_part(one_upstream, other_upstream))
        .then_with(|| compare_part(one_revision, other_revision))
}

/// Upstream's part of a version: without epoch and Debian's revision.
pub fn upstream(version: &str) -> &str {
    split(version).1
}

/// A version as file names have it: without its epoch.
pub fn without_epoch(version: &str) -> &str {
    version.split_once(':').map_or(version, |(_, rest)| rest)
}

/// The upstream series of an upstream version: all up to its last dot (`6.12` of `6.12.107`). A version without a dot is
/// a date, or counts editions (`20250419`, `2026c`): there every version is of the one series, the empty one.
pub fn series(upstream: &str) -> &str {
    upstream.rsplit_once('.').map_or("", |(series, _)| series)
}

/// Does the upstream version belong to the series?
pub fn is_in_series(upstream: &str, series: &str) -> bool {
    match upstream.strip_prefix(series) {
        Some(rest) => series.is_empty() || rest.is_empty() || rest.starts_with('.'),
        None => false,
    }
}

fn split(version: &str) -> (&str, &str, &str) {
    let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, "0"));
    (epoch, upstream, revision)
}

/// Digits count as numbers; of all else `~` comes first, then the end, then letters, then the rest.
fn compare_part(one: &str, other: &str) -> Ordering {
    let (mut one, mut other) = (one.as_bytes(), other.as_bytes());
    while !one.is_empty() || !other.is_empty() {
        let (one_text, other_text) = (take(&mut one, false), take(&mut other, false));
        for at in 0..one_text.len().max(other_text.len()) {
            let ordering = weight(one_text.get(at)).cmp(&weight(other_text.get(at)));
            if ordering.is_ne() {
                return ordering;
            }
        }
        let (one_digits, other_digits) = (digits(&mut one), digits(&mut other));
        let ordering = (one_digits.len().cmp(&other_digits.len())).then_with(|| one_digits.cmp(other_digits));
        if ordering.is_ne() {
            return ordering;
        }
    }
    Ordering::Equal
}

/// Takes the digits, or all but digits, that `text` starts with.
fn take<'a>(text: &mut &'a [u8], take_digits: bool) -> &'a [u8] {
    let end = (text.iter().position(|byte| byte.is_ascii_digit() != take_digits)).unwrap_or(text.len());
    let (part, rest) = text.split_at(end);
    *text = rest;
    part
}

/// The number that `text` starts with, without leading zeros.
fn digits<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let part = take(text, true);
    &part[part.iter().position(|&byte| byte != b'0').unwrap_or(part.len())..]
}

fn weight(byte: Option<&u8>) -> i32 {
    match byte {
        Some(b'~') => -1,
        None => 0,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(*byte),
        Some(byte) => i32::from(*byte) + 256,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Judged by `dpkg --compare-versions` in `tests/`, here by hand.
    pub(crate) const ORDERED: [&str; 12] = [
        "0~rc1-1",
        "0-1",
        "1.0~beta1-1",
        "1.0-1",
        "1.0-1+deb13u1",
        "1.0-1.1",
        "1.0a-1",
        "1.0+dfsg-1",
        "1.0.1-1",
        "1.00010-1",
        "1.11-2",
        "1:0.1-1",
    ];

    #[test]
    fn versions_are_ordered() {
        for (at, low) in ORDERED.iter().enumerate() {
            assert_eq!(compare(low, low), Ordering::Equal);
            for high in &ORDERED[at + 1..] {
                assert_eq!(compare(low, high), Ordering::Less, "{low} < {high}");
                assert_eq!(compare(high, low), Ordering::Greater, "{high} > {low}");
            }
        }
        assert_eq!(compare("1.0", "1.0-0"), Ordering::Equal);
        assert_eq!(compare("1.01", "1.1"), Ordering::Equal);
    }

    #[test]
    fn dpkg_orders_them_so_too() {
        for pair in ORDERED.windows(2) {
            let status = std::process::Command::new("dpkg")
                .args(["--compare-versions", pair[0], "lt", pair[1]])
                .status()
                .expect("dpkg is needed for this test (Debian package `dpkg`)");
            assert!(status.success(), "dpkg says not {} < {}", pair[0], pair[1]);
        }
    }

    #[test]
    fn series_of_versions() {
        for (version, upstream_version, of) in [
            ("6.12.107-1", "6.12.107", "6.12"),
            ("2:5.2.37-2+b3", "5.2.37", "5.2"),
            ("20250419", "20250419", ""),
            ("2026c-0+deb13u1", "2026c", ""),
            ("257.13-1~deb13u1", "257.13", "257"),
            ("1.0-rc-1", "1.0-rc", "1"),
        ] {
            assert_eq!(upstream(version), upstream_version);
            assert_eq!(series(upstream_version), of);
            assert!(is_in_series(upstream_version, of));
        }
        assert!(is_in_series("2027a", series("2026c")));
        assert!(!is_in_series("6.121", "6.12"));
        assert!(!is_in_series("6.1", "6.12"));
        assert_eq!(without_epoch("1:2-3"), "2-3");
    }
}
