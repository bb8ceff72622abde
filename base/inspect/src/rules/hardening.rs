//! Rules about how programs and libraries are hardened, read from the files themselves, not from the flags of a build.

use keel_rpm::elf::{Kind, Relro};

use super::{Check, Report, Rule, Severity::*};
use crate::{Elf, Objects, Package, Policy};

/// `e_machine` of x86-64 and AArch64.
const X86_64: u16 = 62;
const AARCH64: u16 = 183;

/// Code of that many bytes has a function that the stack protector guards, nearly always.
const MUCH_CODE: u64 = 32 << 10;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "elf-no-pie",
        severity: Warning,
        what: "a program lies at fixed addresses (is not position independent)",
        why: "Address space randomisation does not move it: an attacker knows where its code is.",
        remedy: "Compile with `-fPIE`, link with `-pie`.",
        check: Check::Package(no_pie),
    },
    Rule {
        id: "elf-no-relro",
        severity: Warning,
        what: "relocations stay writable while a program runs (no RELRO)",
        why: "Who can write one word of memory can redirect a function.",
        remedy: "Link with `-Wl,-z,relro`.",
        check: Check::Package(no_relro),
    },
    Rule {
        id: "elf-lazy-binding",
        severity: Warning,
        what: "symbols are bound when they are first called, not at start (RELRO is partial)",
        why: "The table of functions must then stay writable.",
        remedy: "Link with `-Wl,-z,now`.",
        check: Check::Package(lazy),
    },
    Rule {
        id: "elf-executable-stack",
        severity: Error,
        what: "a program or library asks for an executable stack",
        why: "What an attacker writes into a buffer can be run. One library is enough to make all stacks of the process executable.",
        remedy: "Mostly an assembler file without `.section .note.GNU-stack,\"\",@progbits`; nested functions of C are the other cause.",
        check: Check::Package(executable_stack),
    },
    Rule {
        id: "elf-writable-code",
        severity: Error,
        what: "a segment is both writable and executable",
        why: "Code can be changed while it runs, by whoever can write there.",
        remedy: "Link without `-z separate-code`'s opposites (`-N`, `--omagic`) and without linker scripts of that kind.",
        check: Check::Package(writable_code),
    },
    Rule {
        id: "elf-text-relocations",
        severity: Error,
        what: "the loader must change code (text relocations)",
        why: "The pages become writable, and cannot be shared between processes. Hardened kernels refuse.",
        remedy: "Compile everything in the library with `-fPIC`; look for assembler with absolute addresses.",
        check: Check::Package(text_relocations),
    },
    Rule {
        id: "elf-no-stack-protector",
        severity: Warning,
        what: "a file with more than 32 KiB of code never checks the stack",
        why: "With `-fstack-protector-strong` a file of that size has guarded functions: it was compiled without.",
        remedy: "Let the build use the distribution's flags (`%{optflags}`, `%set_build_flags`).",
        check: Check::Package(stack_protector),
    },
    Rule {
        id: "elf-no-fortify",
        severity: Warning,
        what: "a file calls `printf` or the like, and no checked function at all",
        why: "`_FORTIFY_SOURCE` replaces these wherever they are called: the file was compiled without, and no `memcpy` in it is \
              checked either.",
        remedy: "Let the build use the distribution's flags (`-O2 -D_FORTIFY_SOURCE=3`).",
        check: Check::Package(fortify),
    },
    Rule {
        id: "elf-no-control-flow",
        severity: Warning,
        what: "a file is not marked for IBT and shadow stacks (x86-64), or BTI (AArch64)",
        why: "The loader switches the processor's protection off for the whole process if one file lacks the mark.",
        remedy: "Compile with `-fcf-protection` (x86-64) or `-mbranch-protection=standard` (AArch64); assembler files need the note, too.",
        check: Check::Package(control_flow),
    },
    Rule {
        id: "object-no-control-flow",
        severity: Warning,
        what: "an object file or static library with code that is not marked for IBT and shadow stacks (x86-64), or BTI (AArch64)",
        why: "The linker marks a program only if all that is linked into it is marked: start files of a C library without it take the \
              protection from every program.",
        remedy: "Compile with `-fcf-protection` (glibc: `--enable-cet`) or `-mbranch-protection=standard`; assembler files need the note, too.",
        check: Check::Package(objects_control_flow),
    },
    Rule {
        id: "object-lto",
        severity: Error,
        what: "an object file or static library holds what only a link-time optimiser reads (`.gnu.lto_*`), or nothing else",
        why: "Its form is of one version of one compiler: another cannot link it. It is larger than the code, and its sections have random names.",
        remedy: "Compile with `-ffat-lto-objects`, and `strip -p -R '.gnu.lto_*' -R '.gnu.debuglto_*' -N __gnu_lto_v1` in `%install`; \
                 `%global _lto_cflags %{nil}` does without.",
        check: Check::Package(link_time),
    },
    Rule {
        id: "elf-rpath",
        severity: Error,
        what: "a file looks for libraries outside of `/usr/lib` and `/usr/lib64` (RPATH, RUNPATH)",
        why: "Who can write in that folder can run code in the program; a folder of the build does not exist on a machine.",
        remedy: "Configure with `--disable-rpath`, or take it out with `chrpath -d` in `%install`.",
        check: Check::Package(rpath),
    },
    Rule {
        id: "elf-static",
        severity: Warning,
        what: "a program has its libraries linked into it",
        why: "A mistake that is mended in a library stays in it until it is linked again, and nothing says that it has to be.",
        remedy: "Link it dynamically. What must run when no library does (a loader's helper, a rescue shell) is an exception.",
        check: Check::Package(linked_statically),
    },
    Rule {
        id: "elf-not-stripped",
        severity: Warning,
        what: "a program or library has its symbol table or debugging information in it",
        why: "It is larger by that, and the package of debugging information lacks it.",
        remedy: "Let rpmbuild's `brp-strip` and `find-debuginfo` see it: they pass over files that are not executable (mode 0755).",
        check: Check::Package(not_stripped),
    },
    Rule {
        id: "elf-no-build-id",
        severity: Warning,
        what: "a program or library has no build-id",
        why: "Neither a debugger nor a core dump finds its debugging information, and nothing tells which build it is of.",
        remedy: "Link with `-Wl,--build-id=sha1`.",
        check: Check::Package(no_build_id),
    },
];

/// Programs and libraries of the system: no kernel modules, nor what a kernel maps into processes, nor objects.
pub(super) fn programs(package: &Package) -> impl Iterator<Item = &Elf> {
    let is_one = |elf: &&Elf| {
        matches!(elf.facts.kind, Kind::Executable | Kind::Pie | Kind::Shared)
            && matches!(elf.facts.machine, X86_64 | AARCH64)
            && !is_of_kernel(elf.path.as_str())
    };
    package.facts.elves.iter().filter(is_one)
}

/// Object files and static libraries: no kernel modules, nor firmware.
fn linked_elsewhere(package: &Package) -> impl Iterator<Item = &Objects> {
    let is_one = |objects: &&Objects| !is_of_kernel(objects.path.as_str());
    package.facts.objects.iter().filter(is_one)
}

fn is_of_kernel(path: &str) -> bool {
    let folders = [
        "/usr/lib/modules/",
        "/usr/lib/debug/",
        "/usr/lib/firmware/",
        "/boot/",
    ];
    folders.iter().any(|folder| path.starts_with(folder))
}

fn tell(package: &Package, report: &mut Report<'_>, message: &str, is_wrong: impl Fn(&Elf) -> bool) {
    for elf in programs(package).filter(|elf| is_wrong(elf)) {
        report.file(package, &elf.path, message);
    }
}

fn no_pie(package: &Package, _: &Policy, report: &mut Report<'_>) {
    tell(package, report, "it lies at fixed addresses", |elf| {
        elf.facts.kind == Kind::Executable
    });
}

fn no_relro(package: &Package, _: &Policy, report: &mut Report<'_>) {
    tell(package, report, "no RELRO", |elf| elf.facts.relro == Relro::None);
}

fn lazy(package: &Package, _: &Policy, report: &mut Report<'_>) {
    tell(
        package,
        report,
        "symbols are bound when they are first called",
        |elf| {
            // What needs nothing has nothing to bind; the loader itself is such a file.
            elf.facts.relro == Relro::Partial && !elf.facts.needed.is_empty()
        },
    );
}

fn executable_stack(package: &Package, _: &Policy, report: &mut Report<'_>) {
    tell(package, report, "it asks for an executable stack", |elf| {
        elf.facts.executable_stack
    });
}

fn writable_code(package: &Package, _: &Policy, report: &mut Report<'_>) {
    tell(package, report, "a segment is writable and executable", |elf| {
        elf.facts.writable_code
    });
}

fn text_relocations(package: &Package, _: &Policy, report: &mut Report<'_>) {
    tell(package, report, "it has text relocations", |elf| {
        elf.facts.text_relocations
    });
}

fn stack_protector(package: &Package, _: &Policy, report: &mut Report<'_>) {
    tell(package, report, "nothing in it checks the stack", |elf| {
        let is_visible = !elf.facts.needed.is_empty() || elf.facts.has_symbols;
        is_visible && elf.facts.code_size > MUCH_CODE && !elf.facts.stack_protector
    });
}

fn fortify(package: &Package, _: &Policy, report: &mut Report<'_>) {
    tell(package, report, "it calls no checked function", |elf| {
        elf.facts.unfortified && !elf.facts.fortified
    });
}

fn control_flow(package: &Package, _: &Policy, report: &mut Report<'_>) {
    tell(
        package,
        report,
        "it is not marked for control-flow protection",
        |elf| elf.facts.lacks_control_flow(),
    );
}

fn objects_control_flow(package: &Package, _: &Policy, report: &mut Report<'_>) {
    for objects in linked_elsewhere(package).filter(|objects| !objects.unmarked.is_empty()) {
        let message = format!(
            "not marked for control-flow protection: {}",
            objects.unmarked.join(", ")
        );
        report.file(package, &objects.path, message);
    }
}

fn link_time(package: &Package, _: &Policy, report: &mut Report<'_>) {
    for objects in linked_elsewhere(package).filter(|objects| !objects.with_lto.is_empty()) {
        let message = format!(
            "it holds what a link-time optimiser reads: {}",
            objects.with_lto.join(", ")
        );
        report.file(package, &objects.path, message);
    }
}

fn rpath(package: &Package, _: &Policy, report: &mut Report<'_>) {
    for elf in programs(package) {
        let folder = elf
            .path
            .parent()
            .map(|folder| folder.as_str().to_owned())
            .unwrap_or_default();
        let said = [("RPATH", &elf.facts.rpath), ("RUNPATH", &elf.facts.runpath)];
        for (what, paths) in said
            .into_iter()
            .filter_map(|(what, paths)| Some((what, paths.as_deref()?)))
        {
            if let Some(path) = paths.split(':').find(|path| !is_of_system(path, &folder)) {
                report.file(package, &elf.path, format!("{what} `{paths}` has `{path}`"));
            }
        }
    }
}

/// Is a folder of an RPATH one of the system's? `$ORIGIN` is the folder of the file.
fn is_of_system(path: &str, origin: &str) -> bool {
    let path = path.replace("${ORIGIN}", origin).replace("$ORIGIN", origin);
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop(),
            part => parts.push(part),
        }
    }
    let is_library = matches!(
        parts.as_slice(),
        ["usr", "lib" | "lib64" | "libexec", ..] | ["lib" | "lib64", ..]
    );
    path.starts_with('/') && is_library
}

fn linked_statically(package: &Package, _: &Policy, report: &mut Report<'_>) {
    tell(package, report, "its libraries are linked into it", |elf| {
        elf.facts.is_static
    });
}

fn not_stripped(package: &Package, _: &Policy, report: &mut Report<'_>) {
    for elf in programs(package) {
        let message = match (elf.facts.has_debug_info, elf.facts.has_symbols) {
            (true, _) => "it has debugging information in it",
            (false, true) => "it has a symbol table in it",
            (false, false) => continue,
        };
        report.file(package, &elf.path, message);
    }
}

fn no_build_id(package: &Package, _: &Policy, report: &mut Report<'_>) {
    tell(package, report, "it has no build-id", |elf| {
        elf.facts.build_id.is_none()
    });
}

#[cfg(test)]
mod tests {
    use super::is_of_system;

    #[test]
    fn only_folders_of_the_system_are_searched() {
        for (path, is_fine) in [
            ("/usr/lib64/systemd", true),
            ("/lib64", true),
            ("$ORIGIN", true),
            ("$ORIGIN/../lib64", true),
            ("${ORIGIN}/../../../opt", false),
            ("/usr/lib/../../tmp", false),
            ("/build/BUILD/x", false),
            ("", false),
            (".", false),
            ("lib", false),
            ("/usr/library", false),
        ] {
            assert_eq!(is_of_system(path, "/usr/lib/x"), is_fine, "{path}");
        }
    }
}
