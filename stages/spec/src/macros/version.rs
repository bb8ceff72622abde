//! Versions in expressions: `v"1:2-3"`.

use std::cmp::Ordering;

use keel_artefact::nevra::rpmvercmp;

/// `[epoch:]version[-release]`, none of them empty.
pub(super) fn is_version(text: &str) -> bool {
    split_version(text).is_some()
}

/// Epoch, version, release.
pub(super) fn split_version(text: &str) -> Option<(u32, &str, Option<&str>)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (epoch, rest) = match text.as_bytes().get(digits) {
        Some(b':') if digits == 0 => (0, &text[1..]),
        Some(b':') => (text[..digits].parse().ok()?, &text[digits + 1..]),
        _ => (0, text),
    };
    let (version, release) = match rest.rsplit_once('-') {
        Some((version, release)) => (version, Some(release)),
        None => (rest, None),
    };
    let good = !version.is_empty() && release != Some("");
    good.then_some((epoch, version, release))
}

/// Epochs, versions, releases; one without a release is older than one with.
pub(super) fn compare_versions(left: &str, right: &str) -> Ordering {
    let (Some(left), Some(right)) = (split_version(left), split_version(right)) else {
        return Ordering::Equal;
    };
    (left.0.cmp(&right.0))
        .then_with(|| rpmvercmp(left.1, right.1))
        .then_with(|| match (left.2, right.2) {
            (Some(left), Some(right)) => rpmvercmp(left, right),
            (left, right) => left.is_some().cmp(&right.is_some()),
        })
}
