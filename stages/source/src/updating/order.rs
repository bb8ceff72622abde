//! The order of versions that crates, Python distributions, npm packages and tags have in common.
//!
//! Numbers count as numbers, whatever stands between them; `1.0` and `1.0.0` are one version; what is called a
//! pre-release comes before its release (PEP 440, semver.org §11); build metadata (`+…`) does not count.

use std::cmp::Ordering;

use crate::debian::version;

/// Words of pre-releases.
const BEFORE: [&str; 11] = [
    "alpha", "beta", "rc", "pre", "preview", "dev", "snapshot", "canary", "next", "nightly", "test",
];
/// Letters of pre-releases, where a number follows; `1.1.1w` is a release.
const BEFORE_A_NUMBER: [&str; 4] = ["a", "b", "c", "m"];

/// Which is the newer one?
pub(super) fn compare(one: &str, other: &str) -> Ordering {
    version::compare(&key(one), &key(other))
}

/// Is it called a pre-release?
pub(super) fn is_prerelease(version: &str) -> bool {
    key(version).contains('~')
}

/// A tag's version and what stands before it: `v`, `1.0` of `v1.0`. None if there is no digit in it.
pub(super) fn split_tag(tag: &str) -> Option<(&str, &str)> {
    let at = tag.find(|c: char| c.is_ascii_digit())?;
    tag.split_at_checked(at)
}

/// May it stand in a TOML string and on a terminal as it is?
pub(super) fn is_plain(version: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || "._+!-/@".contains(c);
    (1..=100).contains(&version.len()) && version.chars().all(known)
}

/// A version that Debian's order takes as it is meant.
fn key(version: &str) -> String {
    let version = version.split('+').next().unwrap_or_default().to_ascii_lowercase();
    let (mut release, mut rest) = (String::new(), version.as_str());
    let mut before = None;
    while let Some(first) = rest.chars().next() {
        let is_letter = first.is_ascii_alphabetic();
        let end = match is_letter {
            true => rest
                .find(|c: char| !c.is_ascii_alphabetic())
                .unwrap_or(rest.len()),
            false => first.len_utf8(),
        };
        let (part, more) = rest.split_at(end);
        let leads_a_number = more
            .trim_start_matches(['.', '-', '_'])
            .starts_with(|c: char| c.is_ascii_digit());
        let is_before = BEFORE.contains(&part) || (BEFORE_A_NUMBER.contains(&part) && leads_a_number);
        if is_letter && is_before && before.is_none() {
            release.truncate(release.trim_end_matches('.').len());
            before = Some(release.len());
        }
        match part {
            "-" | "_" | "." | "~" => release.push('.'),
            "!" => release.push(':'),
            // `1.0.post1` comes before `1.0.1`, as `1.0post1` does.
            part if is_letter => {
                release.truncate(release.trim_end_matches('.').len());
                release.push_str(part);
            }
            part => release.push_str(part),
        }
        rest = more;
    }
    let (mut release, after) = match before {
        Some(at) => {
            let after = release.split_off(at);
            (release, Some(after))
        }
        None => (release, None),
    };
    while let Some(shorter) = release.strip_suffix(".0").or(release.strip_suffix('.')) {
        release.truncate(shorter.len());
    }
    match after {
        // PEP 440: before all other pre-releases.
        Some(after) if after.starts_with("dev") => format!("{release}~~{after}"),
        Some(after) => format!("{release}~{after}"),
        None => release,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered() {
        let ordered = [
            "0.9",
            "1.0.dev1",
            "1.0a1",
            "1.0-alpha.2",
            "1.0b1",
            "1.0-rc1",
            "1.0_rc.2",
            "1.0",
            "1.0.post1",
            "1.0.1",
            "1.1.1",
            "1.1.1w",
            "1.2",
            "1_10",
            "2",
            "9.9p1",
            "1!0.1",
        ];
        for (at, low) in ordered.iter().enumerate() {
            for high in &ordered[at + 1..] {
                assert_eq!(compare(low, high), Ordering::Less, "{low} {high}");
                assert_eq!(compare(high, low), Ordering::Greater, "{low} {high}");
            }
        }
        for (one, other) in [
            ("1", "1.0.0"),
            ("1.0+b1", "1.0"),
            ("1.0.0-rc1", "1.0rc1"),
            ("8_5_0", "8.5"),
        ] {
            assert_eq!(compare(one, other), Ordering::Equal, "{one} {other}");
        }
    }

    #[test]
    fn prereleases_are_known_by_their_words() {
        for (version, is_one) in [
            ("1.0", false),
            ("1.0rc1", true),
            ("1.0-beta.1", true),
            ("1.0a2", true),
            ("1.1.1w", false),
            ("9.9p1", false),
            ("1.0.post2", false),
            ("2.0.dev0", true),
            ("é", false),
            ("", false),
        ] {
            assert_eq!(is_prerelease(version), is_one, "{version}");
        }
        assert_eq!(split_tag("curl-8_5_0"), Some(("curl-", "8_5_0")));
        assert_eq!((split_tag("é1"), split_tag("main")), (Some(("é", "1")), None));
    }
}
