//! Rules about what is in files.

use std::collections::BTreeMap;

use keel_artefact::PackageArch;
use keel_rpm::FileKind;

use super::{Check, Report, Rule, Severity::*};
use crate::{Package, Policy};

/// Smaller duplicates cost less than a link is worth.
const LARGE: u64 = 64 << 10;

/// `e_machine` of code for the kernel's virtual machine.
const BPF: u16 = 247;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "build-path",
        severity: Warning,
        what: "a file names the folder in which it was built",
        why: "It is of no use on a machine, tells how the build was made, and makes the bytes depend on it.",
        remedy: "Find who writes it: compilers take `-ffile-prefix-map`, configure scripts write their arguments into `*-config` and \
                 `Makefile`s, generators their own command line.",
        check: Check::Package(build_path),
    },
    Rule {
        id: "duplicate-file",
        severity: Info,
        what: "two files of a package, larger than 64 KiB, have the same content",
        why: "Each is downloaded, checked and stored again.",
        remedy: "Link one to the other (`ln` for the same file system, `ln -sr`).",
        check: Check::Package(duplicates),
    },
    Rule {
        id: "elf-in-noarch",
        severity: Error,
        what: "a package for all architectures has a program or library for one",
        why: "It would be installed where it cannot run.",
        remedy: "Take `BuildArch: noarch` away, or move the file into another package.",
        check: Check::Package(elf_in_noarch),
    },
    Rule {
        id: "elf-unreadable",
        severity: Warning,
        what: "a file begins as ELF files do, and cannot be read as one (or has more than 256 MiB)",
        why: "Nothing can be said of how it is hardened, or what it needs.",
        remedy: "See with `readelf -a` whether it is damaged.",
        check: Check::Package(unread),
    },
];

fn build_path(package: &Package, _: &Policy, report: &mut Report<'_>) {
    for (path, found) in &package.facts.build_paths {
        report.file(package, path, format!("it names `{found}`"));
    }
}

fn duplicates(package: &Package, _: &Policy, report: &mut Report<'_>) {
    let mut seen = BTreeMap::new();
    for file in &package.info().files {
        let Some(digest) = file.digest.filter(|_| file.kind == FileKind::Regular) else {
            continue;
        };
        if file.size < LARGE || file.same_as.is_some() {
            continue;
        }
        if let Some(other) = seen.get(&digest) {
            report.file(
                package,
                &file.path,
                format!("`{other}` is the same, {} bytes", file.size),
            );
        } else {
            seen.insert(digest, &file.path);
        }
    }
}

fn elf_in_noarch(package: &Package, _: &Policy, report: &mut Report<'_>) {
    if package.info().nevra.arch != PackageArch::Noarch {
        return;
    }
    for elf in &package.facts.elves {
        let is_firmware = elf.path.as_str().starts_with("/usr/lib/firmware/");
        if elf.facts.machine != BPF && !is_firmware {
            report.file(
                package,
                &elf.path,
                "it is an ELF file, and the package is for all architectures",
            );
        }
    }
}

fn unread(package: &Package, _: &Policy, report: &mut Report<'_>) {
    for path in &package.facts.unread {
        report.file(
            package,
            path,
            "it begins as an ELF file does, and cannot be read as one",
        );
    }
}
