//! `keel component`: what its subcommands say of a tree of one or two components.

use std::fs;

use crate::{
    harness::{Fixture, Ran},
    render::{OVERLAYS, tree},
};

fn with_macros(fixture: &Fixture, command: &str, arguments: &[&str]) -> Ran {
    let macros = fixture.path("tree/macros");
    let all = [
        &["component", command, "--macros", macros.to_str().unwrap()],
        arguments,
    ]
    .concat();
    fixture.keel_in("tree", &all)
}

fn json(ran: &Ran) -> serde_json::Value {
    serde_json::from_str(&ran.stdout).unwrap()
}

#[test]
fn a_diff_is_what_rendering_changes() {
    let fixture = Fixture::new();
    tree(&fixture, "keel.toml", OVERLAYS);
    fs::write(fixture.path("tree/demo/picture.png"), b"\x89PNG\0\0").unwrap();
    let diff = with_macros(&fixture, "diff", &["demo"]).ok().stdout;
    for part in [
        "--- /dev/null\n+++ b/demo/demo.azl.macros\n@@ -0,0 +1",
        "--- a/demo/demo.spec\n+++ b/demo/demo.spec\n@@ ",
        "\n+BuildRequires: gcc\n",
        "--- a/demo/notes.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-nobody names it\n",
        "Binary files a/demo/picture.png and /dev/null differ\n",
    ] {
        assert!(diff.contains(part), "{part}:\n{diff}");
    }
    assert!(!diff.contains("demo/a.patch"), "{diff}");
    let rows = json(&with_macros(&fixture, "diff", &["-a", "--output", "json"]).ok());
    let files: Vec<&str> = rows[0]["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["file"].as_str().unwrap())
        .collect();
    assert_eq!(
        files,
        ["demo.azl.macros", "demo.spec", "notes.txt", "picture.png"]
    );
    assert_eq!(rows[0]["files"][3]["binary"], true);
    assert!(!fixture.path("tree/rendered").exists());
    let none = with_macros(&fixture, "diff", &[]);
    assert_eq!(none.code, Some(2), "{}", none.stderr);
    tree(
        &fixture,
        "keel.toml",
        &OVERLAYS.replace("spec-insert-tag", "spec-remove-tag"),
    );
    let wrong = with_macros(&fixture, "diff", &["demo"]);
    assert_eq!(wrong.code, Some(1), "{}", wrong.stderr);
    assert!(wrong.stderr.contains("cannot render `demo`"), "{}", wrong.stderr);
}
