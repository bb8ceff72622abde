//! What a distribution asks of its SPECs.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// How to check; nothing here is anybody's by default.
///
/// Patterns are compared with the whole text, whatever its case of letters: `*` is any text, `#` a number from 1 without
/// leading zeros, a space any white space.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Options {
    /// The name of the SPEC's file, which rule `invalid-spec-name` holds against `Name`.
    #[serde(skip)]
    pub file_name: Option<String>,
    /// Names of rules that are turned off.
    pub allow: BTreeSet<String>,
    /// Tags that the preamble must have, with the value that they must have (empty: any); rule `required-tag`.
    pub required_tags: BTreeMap<String, String>,
    /// Patterns of which `Release` must fit one (none: any will do); rule `release-format`.
    pub release_formats: Vec<String>,
    /// What the changelog must say; rule `changelog-statement`.
    pub changelog_statements: Vec<Statement>,
    /// Patches may only be applied by `%patch -P N`; rule `patch-without-flag`.
    pub patch_flag_required: bool,
}

/// Something that the changelog must say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Statement {
    /// What it is about, for the message: `where the SPEC comes from`.
    pub about: String,
    /// Patterns of which one line of the changelog must fit one.
    pub any_of: Vec<String>,
}

/// Does all of `text` fit a pattern ([`Options`])?
pub(super) fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where the last `*` is, and the text that it takes in so far.
    let mut star: Option<(usize, usize)> = None;
    loop {
        let step = match pattern.get(p) {
            None if t == text.len() => return true,
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
                continue;
            }
            Some(b'#') => number(&text[t..]),
            Some(b' ') => text[t..]
                .iter()
                .take_while(|byte| byte.is_ascii_whitespace())
                .count(),
            Some(byte) => usize::from(text.get(t).is_some_and(|other| other.eq_ignore_ascii_case(byte))),
            None => 0,
        };
        if step > 0 {
            (p, t) = (p + 1, t + step);
        } else if let Some((at, taken)) = star.filter(|(_, taken)| *taken < text.len()) {
            star = Some((at, taken + 1));
            (p, t) = (at + 1, taken + 1);
        } else {
            return false;
        }
    }
}

/// The length of the number that `text` starts with.
fn number(text: &[u8]) -> usize {
    match text.first() {
        Some(b'1'..=b'9') => text.iter().take_while(|byte| byte.is_ascii_digit()).count(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn patterns_fit_whole_texts() {
        for (pattern, text, expected) in [
            ("#%{?dist}", "12%{?dist}", true),
            ("#%{?dist}", "012%{?dist}", false),
            ("#%{?dist}", "1.2%{?dist}", false),
            ("*license verified*", "- License  verified.", true),
            (
                "- Initial import from Fedora # (license: MIT)*",
                "- Initial import from Fedora 36 (license: MIT)",
                true,
            ),
            (
                "- Initial import from Fedora # (license: MIT)",
                "- Initial import from Fedora x (license: MIT)",
                false,
            ),
            ("", "", true),
            ("a", "", false),
            ("*", "", true),
            ("*a*b", "xaxxb", true),
            ("*a*b", "xaxxbc", false),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }
}
