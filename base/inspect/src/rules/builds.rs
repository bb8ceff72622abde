//! What the build stage refuses: each has an error of its own there, and no exception.

use super::{Check, Rule, Severity::Error};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "undeclared-package",
        severity: Error,
        what: "a build made a package that its SPEC, as evaluated, does not declare",
        why: "Plans, repositories and images go by what SPECs declare. A package that appears only in a build is in none of them.",
        remedy: "Declare it with `%package`, under the same conditions as its `%files`.",
        check: Check::Build,
    },
    Rule {
        id: "package-not-made",
        severity: Error,
        what: "a build did not make a package that its SPEC declares",
        why: "Whoever requires it would find out only when it is installed. rpmbuild says nothing about a package without `%files`.",
        remedy: "Give the package a `%files` section, or take it out.",
        check: Check::Build,
    },
    Rule {
        id: "borrowed-file",
        severity: Error,
        what: "a file is the same as one of stage0's",
        why: "Stage0 lends compiler and tools, and ships nothing: what users run is built from the source that they can read.",
        remedy: "Find which step of the SPEC copies it (`keel build` names the file) and build it instead.",
        check: Check::Build,
    },
    Rule {
        id: "borrowed-link",
        severity: Error,
        what: "the linker took files of stage0 into what is shipped",
        why: "A static library or start file of another distribution would be shipped inside, unseen and never updated.",
        remedy: "Require the package of this distribution that has the library (`BuildRequires`), or build the library first.",
        check: Check::Build,
    },
    Rule {
        id: "missing-library",
        severity: Error,
        what: "an ELF file needs a library that no package of its build root provides",
        why: "It was linked with a library of stage0: it would not start on a machine.",
        remedy: "Require the package that has the library, or switch the feature off that wants it.",
        check: Check::Build,
    },
];
