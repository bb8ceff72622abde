//! `docs/reference/package-rules.md` is made from the table.

use std::fmt::Write as _;

use keel_inspect::{Scope, rules};

const TOP: &str = "# Rules about packages

What `keel build`, `keel repo create` and `keel package check` look for in finished packages. This page is made from the
table that they go by (`KEEL_UPDATE_REFERENCE=1 cargo test -p keel-inspect reference`), and a test keeps it current. How to make exceptions, and
what rpmlint says: [package checks](../explanation/package-checks.md).
";

#[test]
fn the_reference_is_what_the_table_says() {
    let mut page = TOP.to_owned();
    let scopes = [
        (
            Scope::Build,
            "What a build is held against",
            "These have no exceptions, and no other severity.",
        ),
        (
            Scope::Package,
            "One package",
            "Looked at after each build, and by `keel package check`.",
        ),
        (
            Scope::Component,
            "All packages of a component",
            "Looked at after each build, and by `keel package check`.",
        ),
        (
            Scope::Repository,
            "All packages of a repository",
            "Looked at before a repository is published, and by `keel package check --all`.",
        ),
        (
            Scope::Versions,
            "Two builds of one package",
            "Looked at before a repository takes the place of the published one, and by `keel package check --against DIR`.",
        ),
        (
            Scope::Policy,
            "The exceptions",
            "Looked at together with what they except.",
        ),
    ];
    for (scope, title, when) in scopes {
        write!(page, "\n## {title}\n\n{when}\n").unwrap();
        for rule in rules().filter(|rule| rule.scope() == scope) {
            write!(
                page,
                "\n### `{}`\n\n{}: {}.\n\n{}\n\nWhat to do: {}\n",
                rule.id,
                rule.severity.word(),
                rule.what,
                rule.why,
                rule.remedy
            )
            .unwrap();
        }
    }
    let file = super::fixture::root().join("docs/reference/package-rules.md");
    if std::env::var_os("KEEL_UPDATE_REFERENCE").is_some() {
        std::fs::write(&file, &page).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        written == page,
        "docs/reference/package-rules.md is not current: KEEL_UPDATE_REFERENCE=1 cargo test -p keel-inspect reference"
    );
}
