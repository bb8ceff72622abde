//! The Release of a rendered SPEC: the number in it, plus the number of changes since it was taken over. Rules R40 to R46.

use keel_config::overlay::{Calculation, Change, Overlay, Semantics};

use super::{Error, synthesized};
use crate::overlay::{self, Document, Record};

/// Does a Release leave its number to rpmautospec?
pub fn is_automatic(value: &str) -> bool {
    let ends = |rest: &str, brace: bool| {
        let next = rest.chars().next();
        next.is_none_or(|c| matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{c}') || (brace && c == '}'))
    };
    value.match_indices('%').any(|(at, _)| {
        let rest = &value[at + 1..];
        match rest.strip_prefix('{') {
            Some(inner) => {
                let inner = inner.strip_prefix('?').unwrap_or(inner);
                inner
                    .strip_prefix("autorelease")
                    .is_some_and(|rest| ends(rest, true))
            }
            None => rest
                .strip_prefix("autorelease")
                .is_some_and(|rest| ends(rest, false)),
        }
    })
}

/// The Release after `changes` changes: `3%{?dist}` becomes `5%{?dist}` after two. None for all but a number, with or
/// without `%{?dist}` or `%{dist}`.
pub fn counted_up(value: &str, changes: u64) -> Option<String> {
    let end = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    let (digits, suffix) = value.split_at(end);
    let number: u64 = digits.parse().ok()?;
    matches!(suffix, "" | "%{?dist}" | "%{dist}")
        .then(|| number.checked_add(changes))?
        .map(|number| format!("{number}{suffix}"))
}

/// Counts up the Release of a SPEC, if that is whose it is; what was done comes back.
///
/// Without changes, nothing is done, whatever the Release is. The Release is the last one of the preamble; all of them are
/// set to the same value, as azldev does.
pub fn set(
    document: &mut Document,
    shown: &str,
    calculation: Calculation,
    changes: u64,
    by: usize,
) -> Result<Option<Record>, Error> {
    let counts = matches!(calculation, Calculation::Auto | Calculation::Static);
    if changes == 0 || !counts {
        return Ok(None);
    }
    let Some(value) = overlay::release(document) else {
        return Err(Error::NoRelease {
            spec: shown.to_owned(),
        });
    };
    if is_automatic(&value) {
        return match calculation {
            Calculation::Static => Err(Error::Autorelease {
                spec: shown.to_owned(),
            }),
            _ => Ok(None),
        };
    }
    let Some(new) = counted_up(&value, changes) else {
        return Err(Error::OddRelease {
            spec: shown.to_owned(),
            value,
        });
    };
    let overlay = Overlay {
        change: Change::SpecUpdateTag {
            package: None,
            tag: "Release".to_owned(),
            value: new,
        },
        ..synthesized::header()
    };
    Ok(Some(overlay::apply_to_spec(
        document,
        shown,
        &overlay,
        Semantics::Lines,
        by,
    )?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn automatic_releases_are_known() {
        for value in [
            "%autorelease",
            "%{autorelease}",
            "%{?autorelease}",
            "%{autorelease -e asan}",
            "%autorelease -b 3",
            "1%autorelease",
            "%{autorelease",
        ] {
            assert!(is_automatic(value), "{value}");
        }
        for value in [
            "1%{?dist}",
            "%autorelease}",
            "%autoreleasex",
            "%{autorelease2}",
            "autorelease",
            "%{!?autorelease}",
        ] {
            assert!(!is_automatic(value), "{value}");
        }
    }

    #[test]
    fn numbers_are_counted_up() {
        for (value, changes, new) in [
            ("1", 1, Some("2")),
            ("9%{?dist}", 3, Some("12%{?dist}")),
            ("5%{dist}", 0, Some("5%{dist}")),
            ("007", 1, Some("8")),
            ("0.1%{?dist}", 1, None),
            ("1%{?dist}.2", 1, None),
            ("%{rel}", 1, None),
            ("", 1, None),
            ("1%dist", 1, None),
            ("99999999999999999999", 1, None),
            ("18446744073709551615", 1, None),
        ] {
            assert_eq!(counted_up(value, changes).as_deref(), new, "{value}");
        }
    }
}
