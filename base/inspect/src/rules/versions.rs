//! Rules about two builds of one package: the one that is published, and the one that would take its place.

use super::{Check, Report, Rule, Severity::*};
use crate::diff::{Change, Pair};

/// Names that a message holds; all of them are in the JSON of `keel package diff`.
const SHOWN: usize = 5;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "abi-break",
        severity: Error,
        what: "a library lost symbols, or changed them, and kept its soname",
        why: "Programs that were linked with the published library do not start with this one, or use memory wrongly; their packages \
              require only the soname, and nothing holds them back.",
        remedy: "Give the library a new soname, or keep the symbols. Where nobody outside of the component ever used them, make an \
                 exception with that reason.",
        check: Check::Versions(abi_break),
    },
    Rule {
        id: "soname-gone",
        severity: Warning,
        what: "a soname that is published is provided no more",
        why: "What requires it must be built again, and goes into the same update.",
        remedy: "Build the dependents (Keel does, in one tree); for programs of others, keep the old library in a compat package.",
        check: Check::Versions(soname_gone),
    },
    Rule {
        id: "symbols-new",
        severity: Info,
        what: "a library has new symbols",
        why: "What is linked with it now may need them, and does not run with the published library.",
        remedy: "Nothing: versions of symbols, or a newer requirement, tell clients.",
        check: Check::Versions(symbols_new),
    },
    Rule {
        id: "files-changed",
        severity: Info,
        what: "a package has other files than the published one",
        why: "A file that went is missed by somebody; one that came may be in another package, too.",
        remedy: "Look whether that is meant.",
        check: Check::Versions(files),
    },
    Rule {
        id: "capabilities-changed",
        severity: Info,
        what: "a package provides something else than the published one",
        why: "Others may require what went.",
        remedy: "Look whether that is meant; `unmet-requirement` finds those of this repository.",
        check: Check::Versions(capabilities),
    },
    Rule {
        id: "requirements-changed",
        severity: Info,
        what: "a package requires something else than the published one",
        why: "An image, and a machine that updates, gets more or less than before.",
        remedy: "Look whether that is meant.",
        check: Check::Versions(requirements),
    },
    Rule {
        id: "size-changed",
        severity: Info,
        what: "a package is larger or smaller than the published one by a quarter, and by 64 KiB",
        why: "Mostly something was built that was not before, or is missing now.",
        remedy: "`keel package diff` lists files that came and went.",
        check: Check::Versions(size),
    },
];

/// `a, b and 7 more`
fn some(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    match names.len().checked_sub(SHOWN) {
        Some(more) if more > 0 => format!("{} and {more} more", shown.join(", ")),
        _ => shown.join(", "),
    }
}

fn abi_break(pair: &Pair<'_>, report: &mut Report<'_>) {
    for library in &pair.difference.libraries {
        let mut parts = Vec::new();
        if !library.gone.is_empty() {
            parts.push(format!(
                "{} symbols are gone: {}",
                library.gone.len(),
                some(&library.gone)
            ));
        }
        if !library.changed.is_empty() {
            parts.push(format!(
                "{} changed: {}",
                library.changed.len(),
                some(&library.changed)
            ));
        }
        if !parts.is_empty() {
            let text = format!(
                "`{}` of {}: {}",
                library.soname,
                pair.difference.old,
                parts.join("; ")
            );
            report.path(pair.new, &library.path, text);
        }
    }
}

fn soname_gone(pair: &Pair<'_>, report: &mut Report<'_>) {
    for soname in &pair.difference.sonames.gone {
        report.package(
            pair.new,
            format!("`{soname}` of {} is provided no more", pair.difference.old),
        );
    }
}

fn symbols_new(pair: &Pair<'_>, report: &mut Report<'_>) {
    for library in pair
        .difference
        .libraries
        .iter()
        .filter(|library| !library.new.is_empty())
    {
        let text = format!("{} new symbols: {}", library.new.len(), some(&library.new));
        report.path(pair.new, &library.path, text);
    }
}

fn tell(pair: &Pair<'_>, report: &mut Report<'_>, what: &str, change: &Change) {
    for (how, names) in [("new", &change.new), ("gone", &change.gone)] {
        if !names.is_empty() {
            report.package(pair.new, format!("{} {what} {how}: {}", names.len(), some(names)));
        }
    }
}

fn files(pair: &Pair<'_>, report: &mut Report<'_>) {
    tell(pair, report, "files", &pair.difference.files);
}

fn capabilities(pair: &Pair<'_>, report: &mut Report<'_>) {
    tell(pair, report, "capabilities", &pair.difference.provides);
}

fn requirements(pair: &Pair<'_>, report: &mut Report<'_>) {
    tell(pair, report, "requirements", &pair.difference.requires);
}

fn size(pair: &Pair<'_>, report: &mut Report<'_>) {
    let (before, now) = pair.difference.size;
    let by = before.abs_diff(now);
    if by >= 64 << 10 && by >= before / 4 {
        report.package(pair.new, format!("{now} bytes installed, {before} before"));
    }
}
