//! Rules about shared libraries: their names, and who says that they are there.

use std::collections::BTreeSet;

use keel_rpm::elf::Kind;

use super::{Check, Report, Rule, Severity::*};
use crate::{Elf, Package, Policy, World};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "soname-not-provided",
        severity: Error,
        what: "a library of the system is not among the capabilities of its package",
        why: "Programs require libraries by their sonames: what is linked with this one could not be installed.",
        remedy: "Let rpmbuild's generator see it: the file is executable, and no `__provides_exclude` covers it.",
        check: Check::Package(not_provided),
    },
    Rule {
        id: "library-not-required",
        severity: Error,
        what: "an ELF file needs a library that its package does not require",
        why: "The package can be installed without the library, and the program does not start.",
        remedy: "Let rpmbuild's generator see the file: it is executable, and no `__requires_exclude` covers it.",
        check: Check::Component(not_required),
    },
    Rule {
        id: "library-without-soname",
        severity: Warning,
        what: "a library of the system has no soname",
        why: "Programs that are linked with it require its file's name, with every number in it, or break without notice.",
        remedy: "Link it with `-Wl,-soname,libNAME.so.N`; a plugin belongs into a folder of its own.",
        check: Check::Package(no_soname),
    },
    Rule {
        id: "soname-without-version",
        severity: Info,
        what: "the soname of a library of the system has no version in it",
        why: "When its interface changes nothing can tell: the old and the new one have the same name.",
        remedy: "Ask the upstream for a version (`libNAME.so.N` or `libNAME-N.so`); a plugin belongs into a folder of its own.",
        check: Check::Package(no_version),
    },
    Rule {
        id: "soname-link-missing",
        severity: Warning,
        what: "a library is not in its package under the name of its soname",
        why: "The loader looks for that name. A link that only ldconfig makes belongs to no package, and is not in a read-only image.",
        remedy: "Let `make install` or `%install` make the link.",
        check: Check::Package(no_link),
    },
];

/// Libraries where the loader looks of itself.
pub(crate) fn libraries(package: &Package) -> impl Iterator<Item = &Elf> {
    let is_one = |elf: &&Elf| {
        let folder = elf
            .path
            .as_str()
            .rsplit_once('/')
            .map_or("", |(folder, _)| folder);
        elf.facts.kind == Kind::Shared && matches!(folder, "/usr/lib64" | "/usr/lib" | "/lib64" | "/lib")
    };
    package.facts.elves.iter().filter(is_one)
}

/// `libz.so.1` of `libz.so.1(ZLIB_1.2)(64bit)`.
fn library_of(capability: &str) -> &str {
    capability.split_once('(').map_or(capability, |(name, _)| name)
}

fn not_provided(package: &Package, _: &Policy, report: &mut Report<'_>) {
    let provides = package.info().provides.iter();
    let provided: BTreeSet<&str> = provides.map(|provide| library_of(&provide.name)).collect();
    for elf in libraries(package) {
        if let Some(soname) = elf
            .facts
            .soname
            .as_deref()
            .filter(|soname| !provided.contains(soname))
        {
            report.file(
                package,
                &elf.path,
                format!("the package does not provide `{soname}`"),
            );
        }
    }
}

fn not_required(world: &World<'_>, report: &mut Report<'_>) {
    for (index, package) in world.packages.iter().enumerate() {
        let info = package.info();
        let mut known: BTreeSet<&str> = info.requires.iter().map(|need| library_of(&need.name)).collect();
        known.extend(info.provides.iter().map(|provide| library_of(&provide.name)));
        known.extend(info.files.iter().map(|file| file.path.file_name()));
        let lacks = |known: &BTreeSet<&str>| {
            let mut needed = super::hardening::programs(package).flat_map(|elf| &elf.facts.needed);
            needed.any(|library| !known.contains(library.as_str()))
        };
        if !lacks(&known) {
            continue;
        }
        // A library that only its own component uses needs no capability: whoever requires its package has it.
        for other in world.required(index) {
            let files = &world.packages[*other].info().files;
            known.extend(files.iter().map(|file| file.path.file_name()));
        }
        for elf in super::hardening::programs(package) {
            for library in elf
                .facts
                .needed
                .iter()
                .filter(|library| !known.contains(library.as_str()))
            {
                report.file(
                    package,
                    &elf.path,
                    format!("the package does not require `{library}`"),
                );
            }
        }
    }
}

fn no_soname(package: &Package, _: &Policy, report: &mut Report<'_>) {
    for elf in libraries(package).filter(|elf| elf.facts.soname.is_none()) {
        report.file(package, &elf.path, "it has no soname");
    }
}

fn no_version(package: &Package, _: &Policy, report: &mut Report<'_>) {
    for elf in libraries(package) {
        let Some(soname) = elf.facts.soname.as_deref() else {
            continue;
        };
        let has_version = match soname.split_once(".so") {
            Some((_, version)) if !version.is_empty() => true,
            Some((name, _)) => name
                .rsplit('-')
                .next()
                .is_some_and(|end| end.starts_with(|c: char| c.is_ascii_digit())),
            None => false,
        };
        if !has_version {
            report.file(package, &elf.path, format!("its soname is `{soname}`"));
        }
    }
}

fn no_link(package: &Package, _: &Policy, report: &mut Report<'_>) {
    let info = package.info();
    for elf in libraries(package) {
        let link = elf
            .facts
            .soname
            .as_deref()
            .and_then(|soname| elf.path.parent()?.join(soname).ok());
        if let Some(link) = link
            && link != elf.path
            && info.file(&link).is_none()
        {
            report.file(package, &elf.path, format!("the package has no `{link}`"));
        }
    }
}
