//! Rules about all packages of a component together.

use std::collections::BTreeSet;

use super::{Check, Report, Rule, Severity::*};
use crate::{Kind, Package, World};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "no-licence-file",
        severity: Warning,
        what: "neither a package, nor one of its component that it requires, has a licence file",
        why: "Most licences ask that their text goes along with the program.",
        remedy: "Name it in `%files`: `%license COPYING`. A library's programs need none if they require the library's package.",
        check: Check::Component(licence_file),
    },
    Rule {
        id: "no-debuginfo",
        severity: Warning,
        what: "no package of the component has the debugging information of a program or library",
        why: "A core dump of it cannot be read, and nobody can make the information afterwards.",
        remedy: "Compile with `-g`, install with the mode 0755, and do not strip in the upstream's `make install`.",
        check: Check::Component(debuginfo),
    },
];

fn licence_file(world: &World<'_>, report: &mut Report<'_>) {
    let has_own = |package: &Package| {
        let mut files = package.info().files.iter();
        files.any(|file| file.flags.is_licence() || file.path.as_str().starts_with("/usr/share/licenses/"))
    };
    for (index, package) in world.packages.iter().enumerate() {
        if package.facts.kind() != Kind::Binary || package.info().files.is_empty() || has_own(package) {
            continue;
        }
        let required = world.required(index);
        if !required.iter().any(|other| has_own(world.packages[*other])) {
            report.package(
                package,
                "it has no licence file, nor does it require a package of its component that has one",
            );
        }
    }
}

fn debuginfo(world: &World<'_>, report: &mut Report<'_>) {
    let packages = &world.packages;
    let debug = packages
        .iter()
        .filter(|package| package.facts.kind() == Kind::Debug);
    let files = debug.flat_map(|package| &package.info().files);
    let known: BTreeSet<String> = files
        .filter_map(|file| {
            let id = file.path.as_str().strip_prefix("/usr/lib/debug/.build-id/")?;
            Some(id.strip_suffix(".debug")?.replace('/', ""))
        })
        .collect();
    for package in packages
        .iter()
        .filter(|package| package.facts.kind() == Kind::Binary)
    {
        for elf in super::hardening::programs(package) {
            if let Some(id) = &elf.facts.build_id
                && !known.contains(id)
            {
                report.file(
                    package,
                    &elf.path,
                    format!("no package has the debugging information of {id}"),
                );
            }
        }
    }
}
