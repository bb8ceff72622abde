//! Bytes that are not UTF-8, which a header must not have (rpm's `checkForEncoding`).

use super::Evaluated;
use crate::{
    header::Header,
    macros::text,
    query::{Tags, Values},
};

/// Tags of strings, in the order of their numbers, with the names that rpm prints.
const TAGS: [&str; 41] = [
    "Name",
    "Version",
    "Release",
    "Summary",
    "Description",
    "Distribution",
    "Vendor",
    "License",
    "Packager",
    "Group",
    "Url",
    "Os",
    "Arch",
    "Prein",
    "Postin",
    "Preun",
    "Postun",
    "Providename",
    "Requirename",
    "Requireversion",
    "Conflictname",
    "Conflictversion",
    "Verifyscript",
    "Changelogname",
    "Changelogtext",
    "Preinprog",
    "Postinprog",
    "Preunprog",
    "Postunprog",
    "Obsoletename",
    "Prefixes",
    "Provideversion",
    "Obsoleteversion",
    "Bugurl",
    "Pretrans",
    "Posttrans",
    "Recommendname",
    "Suggestname",
    "Supplementname",
    "Enhancename",
    "Vcs",
];

/// What is not UTF-8 in the packages' headers, in rpm's words.
pub(super) fn complaints(spec: &Evaluated) -> Vec<String> {
    let mut complaints = Vec::new();
    for header in Header::packages(spec, false) {
        for tag in TAGS {
            let Some(Values::Strings(values)) = header.get(&tag.to_ascii_uppercase()) else {
                continue;
            };
            for value in values.iter().filter(|value| text::has_stand_ins(value)) {
                let name = &header.package().name;
                let why = why(value);
                complaints.push(format!(
                    "Package {name}: invalid utf-8 encoding in {tag}: {value} - {why}"
                ));
            }
        }
    }
    complaints
}

/// In the words of C's `strerror`: iconv tells a character that is wrong from one that is not whole at the end.
fn why(value: &str) -> &'static str {
    match std::str::from_utf8(&text::encode(value)) {
        Err(error) if error.error_len().is_none() => "Invalid argument",
        _ => "Invalid or incomplete multibyte or wide character",
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        eval::evaluate,
        macros::{Behaviour, Message, level, tests::engine, text},
    };

    /// Asked of rpm 4.18.0.
    #[test]
    fn what_is_not_utf8_is_refused_as_rpm_does() {
        let spec = b"Name: l\nVersion: 1\nRelease: 1\nSummary: caf\xe9\nLicense: x\n%description\nd\xe9 x\n";
        for (strict, is_read) in [("1", false), ("0", true)] {
            let mut engine = engine(Behaviour::Rpm418);
            engine.push("_invalid_encoding_terminates_build", None, strict, level::GLOBAL);
            engine.push("_target_cpu", None, "x86_64", level::GLOBAL);
            engine.push("buildroot", None, "/root", level::GLOBAL);
            let outcome = evaluate(&mut engine, "l.spec", &text::decode(spec), &|_| true);
            assert_eq!(outcome.evaluated.is_some(), is_read);
            let said: Vec<&str> = outcome
                .messages
                .iter()
                .map(|Message { text, .. }| text.as_str())
                .collect();
            assert_eq!(said.len(), 2, "{said:?}");
            assert!(said[0].starts_with("Package l: invalid utf-8 encoding in Summary: caf"));
            assert!(said[0].ends_with(" - Invalid argument"));
            assert!(said[1].starts_with("Package l: invalid utf-8 encoding in Description: d"));
            assert!(said[1].ends_with(" x - Invalid or incomplete multibyte or wide character"));
        }
    }
}
