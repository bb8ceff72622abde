//! Rules about what a package says of itself.

use std::collections::BTreeSet;

use super::{Check, Report, Rule, Severity::*};
use crate::{Package, Policy};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "scriptlets",
        severity: Error,
        what: "a package has scriptlets or triggers",
        why: "They run as root on every machine, in an order that nobody tests, and an image that is a pure function of its packages \
              cannot run them. The build stage refuses them, too.",
        remedy: "Declare instead: users in sysusers.d, folders in tmpfiles.d, units in presets. Caches are for file triggers and images.",
        check: Check::Package(scriptlets),
    },
    Rule {
        id: "no-summary",
        severity: Error,
        what: "a package has no summary",
        why: "It is what a user sees in every list.",
        remedy: "Write `Summary:`, one line without a full stop.",
        check: Check::Package(summary),
    },
    Rule {
        id: "no-description",
        severity: Warning,
        what: "a package has no description",
        why: "Users decide by it whether they need the package.",
        remedy: "Write `%description`.",
        check: Check::Package(description),
    },
    Rule {
        id: "no-url",
        severity: Info,
        what: "a package names no home page",
        why: "Whoever has a question about the program, or looks for a newer version, starts there.",
        remedy: "Write `URL:`; a package that is made by the distribution names the distribution's.",
        check: Check::Package(url),
    },
    Rule {
        id: "no-licence",
        severity: Error,
        what: "a package has no licence",
        why: "Nobody may distribute what has no licence.",
        remedy: "Write `License:`.",
        check: Check::Package(licence),
    },
    Rule {
        id: "licence-not-spdx",
        severity: Warning,
        what: "a licence is not an SPDX expression",
        why: "Tools that make bills of materials, and lawyers, read SPDX; other names mean different things in different distributions.",
        remedy: "Write the SPDX identifiers with `AND`, `OR`, `WITH`; what has none is a `LicenseRef-NAME`.",
        check: Check::Package(spdx),
    },
    Rule {
        id: "empty-package",
        severity: Warning,
        what: "a package has neither files nor requirements",
        why: "It does nothing: mostly a `%files` whose patterns match less than was thought.",
        remedy: "Fill `%files`, say what the package requires, or take it out.",
        check: Check::Package(empty),
    },
    Rule {
        id: "file-requirement",
        severity: Warning,
        what: "a package requires a file outside of `/usr/bin`, `/usr/sbin` and `/etc`",
        why: "Clients read which package has such a file only from the whole list of files, which is many times larger than the rest \
              of the metadata.",
        remedy: "Require the package, or a capability that it provides.",
        check: Check::Package(file_requirement),
    },
    Rule {
        id: "unknown-owner",
        severity: Error,
        what: "a file belongs to a user or group that the tree's registry does not have",
        why: "The number behind the name would depend on the machine: files of one image would belong to somebody else in the next.",
        remedy: "Register the name (`keel.users`), or let the file belong to root.",
        check: Check::Package(owners),
    },
    Rule {
        id: "time-after-build",
        severity: Warning,
        what: "a file is newer than its package's build",
        why: "Times are those of the sources, so that two builds give the same bytes. One that is later comes from a clock.",
        remedy: "Let the macros have `%clamp_mtime_to_source_date_epoch 1`, and do not set times in `%install`.",
        check: Check::Package(times),
    },
];

fn scriptlets(package: &Package, _: &Policy, report: &mut Report<'_>) {
    let scripts = &package.info().scripts;
    if !scripts.is_empty() {
        report.package(package, format!("it has {}", scripts.join(", ")));
    }
}

fn summary(package: &Package, _: &Policy, report: &mut Report<'_>) {
    if package.info().summary.trim().is_empty() {
        report.package(package, "it has no summary");
    }
}

fn description(package: &Package, _: &Policy, report: &mut Report<'_>) {
    if package.info().description.trim().is_empty() {
        report.package(package, "it has no description");
    }
}

fn url(package: &Package, _: &Policy, report: &mut Report<'_>) {
    if package
        .info()
        .url
        .as_deref()
        .is_none_or(|url| url.trim().is_empty())
    {
        report.package(package, "it names no home page");
    }
}

fn licence(package: &Package, _: &Policy, report: &mut Report<'_>) {
    if package.info().licence.trim().is_empty() {
        report.package(package, "it has no licence");
    }
}

fn spdx(package: &Package, _: &Policy, report: &mut Report<'_>) {
    let licence = package.info().licence.trim();
    let mode = spdx::ParseMode {
        allow_deprecated: true,
        ..spdx::ParseMode::STRICT
    };
    if let Err(error) = spdx::Expression::parse_mode(licence, mode)
        && !licence.is_empty()
    {
        report.package(package, format!("its licence `{licence}`: {}", error.reason));
    }
}

fn empty(package: &Package, _: &Policy, report: &mut Report<'_>) {
    let info = package.info();
    if info.files.is_empty() && info.requires.iter().all(|need| need.is_rpmlib()) {
        report.package(package, "it has no files and requires nothing");
    }
}

fn file_requirement(package: &Package, _: &Policy, report: &mut Report<'_>) {
    let is_listed = |path: &str| path.starts_with("/etc/") || path.contains("bin/");
    let info = package.info();
    for need in info.requires.iter().filter(|need| need.name.starts_with('/')) {
        let is_own = info.files.iter().any(|file| file.path.as_str() == need.name);
        if !is_listed(&need.name) && !is_own {
            report.package(package, format!("it requires the file `{}`", need.name));
        }
    }
}

fn owners(package: &Package, policy: &Policy, report: &mut Report<'_>) {
    let Some(accounts) = &policy.accounts else { return };
    for file in &package.info().files {
        for (what, name, known) in [
            ("user", &file.user, &accounts.users),
            ("group", &file.group, &accounts.groups),
        ] {
            if !is_known(name, known) {
                report.file(package, &file.path, format!("it belongs to the {what} `{name}`"));
            }
        }
    }
}

fn is_known(name: &str, known: &BTreeSet<String>) -> bool {
    name == "root" || known.contains(name)
}

fn times(package: &Package, _: &Policy, report: &mut Report<'_>) {
    let info = package.info();
    for file in &info.files {
        if file.mtime > info.build_time.0 {
            let by = file.mtime - info.build_time.0;
            report.file(package, &file.path, format!("it is {by} s newer than the build"));
        }
    }
}
