//! Rules about where files lie, and how they are called.

use std::collections::BTreeMap;

use keel_rpm::FileKind;

use super::{Check, Report, Rule, Severity::*};
use crate::{Package, Policy};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "file-outside-usr",
        severity: Warning,
        what: "a file lies outside of `/usr` and `/etc`",
        why: "A read-only, verified `/usr` that is replaced as a whole is all of the system; what lies elsewhere is not updated with it. \
              `/etc` holds what differs on this machine; `/var` is filled by tmpfiles.d.",
        remedy: "Install below `/usr`; make what must be elsewhere with tmpfiles.d or sysusers.d; `%ghost` is no answer.",
        check: Check::Package(outside),
    },
    Rule {
        id: "forbidden-folder",
        severity: Error,
        what: "a file lies in a folder that belongs to users, to this machine, or to this boot",
        why: "`/usr/local`, `/home`, `/root`, `/run`, `/tmp` and the like are not the distribution's: what a package puts there is \
              overwritten, hidden by a mount, or gone after a boot.",
        remedy: "Install below `/usr`; make folders in `/run` and `/var/tmp` with tmpfiles.d.",
        check: Check::Package(forbidden),
    },
    Rule {
        id: "hidden-file",
        severity: Warning,
        what: "a file's name begins with a dot",
        why: "Mostly the upstream's own (`.gitignore`, `.buildinfo`), shipped by mistake; sometimes what somebody wants nobody to see.",
        remedy: "Remove it in `%install`; what is meant to be there gets an exception.",
        check: Check::Package(hidden),
    },
    Rule {
        id: "names-differ-in-case",
        severity: Warning,
        what: "two files of a package have names that differ in upper and lower case only",
        why: "On file systems that do not tell them apart (FAT, macOS, Windows) one overwrites the other.",
        remedy: "Rename one; where a protocol wants both, make an exception.",
        check: Check::Package(case),
    },
    Rule {
        id: "name-not-utf8",
        severity: Error,
        what: "a file's name is not UTF-8",
        why: "Repository metadata is XML, which can hold only UTF-8; tools show such names wrongly and cannot be told them.",
        remedy: "Rename it in `%install`.",
        check: Check::Package(utf8),
    },
    Rule {
        id: "libtool-archive",
        severity: Warning,
        what: "a libtool archive (`.la`) is shipped",
        why: "It names the folders of this build, and makes other programs link with all that this library needs. Nothing but libtool \
              reads it, and libtool can do without.",
        remedy: "`find %{buildroot} -name '*.la' -delete` in `%install`.",
        check: Check::Package(libtool),
    },
    Rule {
        id: "static-library",
        severity: Warning,
        what: "a static library is in a package that is not called `-static` or `-devel`",
        why: "What is linked statically keeps the mistakes of the day on which it was linked: whoever does that should have to ask for it.",
        remedy: "Remove it, or give it a `-static` subpackage.",
        check: Check::Package(static_library),
    },
    Rule {
        id: "development-file",
        severity: Warning,
        what: "a header, pkg-config file or linker's link is in a package that is not for development",
        why: "It is of use to compilers only: every machine would carry it, and the folders that it brings along.",
        remedy: "Move it into the `-devel` package.",
        check: Check::Package(development),
    },
    Rule {
        id: "plain-manual",
        severity: Info,
        what: "a manual page is not compressed",
        why: "rpmbuild's own step compresses them; one that is not was installed later, or elsewhere.",
        remedy: "Let `brp-compress` run, or drop manual pages from packages of images.",
        check: Check::Package(manual),
    },
];

/// Is `path` the folder, or in it?
fn is_in(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn outside(package: &Package, _: &Policy, report: &mut Report<'_>) {
    for file in &package.info().files {
        let path = file.path.as_str();
        let is_fine = path == "/" || ["/usr", "/etc"].iter().any(|folder| is_in(path, folder));
        if !is_fine {
            report.file(package, &file.path, "it lies outside of `/usr` and `/etc`");
        }
    }
}

fn forbidden(package: &Package, _: &Policy, report: &mut Report<'_>) {
    const FOLDERS: [&str; 13] = [
        "/usr/local",
        "/home",
        "/root",
        "/run",
        "/tmp",
        "/var/run",
        "/var/tmp",
        "/var/lock",
        "/usr/tmp",
        "/mnt",
        "/media",
        "/proc",
        "/sys",
    ];
    for file in &package.info().files {
        let path = file.path.as_str();
        // The folders themselves are the base system's to make.
        let found = FOLDERS.iter().find(|folder| {
            path.strip_prefix(**folder)
                .is_some_and(|rest| rest.starts_with('/'))
        });
        if let Some(folder) = found
            && !file.flags.is_ghost()
        {
            report.file(package, &file.path, format!("`{folder}` is not for packages"));
        }
    }
}

fn hidden(package: &Package, _: &Policy, report: &mut Report<'_>) {
    for file in &package.info().files {
        let path = file.path.as_str();
        // `.build-id` links are rpmbuild's own, `.hmac` files are checksums beside libraries.
        let is_usual = path.contains("/.build-id") || path.ends_with(".hmac") || is_in(path, "/etc/skel");
        if file.path.file_name().starts_with('.') && !is_usual {
            report.file(package, &file.path, "its name begins with a dot");
        }
    }
}

fn case(package: &Package, _: &Policy, report: &mut Report<'_>) {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for file in &package.info().files {
        let path = file.path.as_str();
        if let Some(other) = seen.insert(path.to_lowercase(), path) {
            report.file(
                package,
                &file.path,
                format!("`{other}` differs from it in case only"),
            );
        }
    }
}

fn utf8(package: &Package, _: &Policy, report: &mut Report<'_>) {
    for file in &package.info().files {
        if file.path.as_str().contains('\u{fffd}') {
            report.file(package, &file.path, "its name is not UTF-8");
        }
    }
}

fn libtool(package: &Package, _: &Policy, report: &mut Report<'_>) {
    for file in &package.info().files {
        let path = file.path.as_str();
        if file.kind == FileKind::Regular && path.ends_with(".la") && path.contains("/lib") {
            report.file(package, &file.path, "it is a libtool archive");
        }
    }
}

fn static_library(package: &Package, _: &Policy, report: &mut Report<'_>) {
    if is_for_development(package) {
        return;
    }
    for file in &package.info().files {
        if file.kind == FileKind::Regular && file.path.as_str().ends_with(".a") {
            report.file(package, &file.path, "it is a static library");
        }
    }
}

/// Is the package for compilers: by its name, or by a name that it provides?
fn is_for_development(package: &Package) -> bool {
    let says = |name: &str| {
        ["-devel", "-static", "-headers", "-dev"]
            .iter()
            .any(|end| name.ends_with(end))
    };
    says(package.name()) || package.info().provides.iter().any(|provide| says(&provide.name))
}

fn development(package: &Package, _: &Policy, report: &mut Report<'_>) {
    if is_for_development(package) {
        return;
    }
    for file in &package.info().files {
        let path = file.path.as_str();
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let is_link = file.kind == FileKind::Symlink
            && path.ends_with(".so")
            && matches!(folder, "/usr/lib64" | "/usr/lib" | "/lib64" | "/lib")
            && file.link.as_deref().is_some_and(|target| target.contains(".so."));
        let is_header = file.kind == FileKind::Regular && is_in(path, "/usr/include");
        let is_pkg_config = path.ends_with(".pc") && folder.ends_with("/pkgconfig");
        if is_link || is_header || is_pkg_config {
            report.file(package, &file.path, "only compilers need it");
        }
    }
}

fn manual(package: &Package, _: &Policy, report: &mut Report<'_>) {
    for file in &package.info().files {
        let name = file.path.file_name();
        let is_page = is_in(file.path.as_str(), "/usr/share/man") && file.kind == FileKind::Regular;
        let is_packed = [".gz", ".xz", ".bz2", ".zst"]
            .iter()
            .any(|end| name.ends_with(end));
        if is_page && !is_packed {
            report.file(package, &file.path, "it is not compressed");
        }
    }
}
