//! How errors are told: where somebody wrote what is wrong, once, and in JSON for programs.

use std::fs;

use crate::{
    harness::{Fixture, Ran},
    render::{OVERLAYS, SPEC, tree},
};

fn render(fixture: &Fixture, arguments: &[&str]) -> Ran {
    let macros = fixture.path("tree/macros");
    let all = [
        &["component", "render", "--macros", macros.to_str().unwrap()],
        arguments,
    ]
    .concat();
    fixture.keel_in("tree", &all)
}

/// The line, from 1, of the text that holds `part`.
fn line_of(text: &str, part: &str) -> usize {
    1 + text.lines().position(|line| line.contains(part)).unwrap()
}

#[test]
fn a_spec_that_cannot_be_evaluated_is_told_where_it_was_written() {
    let fixture = Fixture::new();
    tree(&fixture, "keel.toml", OVERLAYS);
    let wrong = SPEC
        .replace("Summary: s\n", "Summary: s\nEpoch: %{of}\n%global of one\n")
        .replace("%description", "Requires: a >= \n%description");
    fs::write(fixture.path("tree/demo/demo.spec"), &wrong).unwrap();
    let ran = render(&fixture, &["demo"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    // Overlays put four lines before these: the place is that of the SPEC that people edit.
    for (part, line) in [("Epoch", "Epoch"), ("Requires", "Requires: a")] {
        let place = format!("demo/demo.spec:{}:", line_of(&wrong, line));
        let told = ran.errors();
        assert!(
            told.contains("cannot render `demo`: ") && told.contains(&place) && told.contains(part),
            "{place}\n{told}"
        );
        assert!(told.contains("| Epoch: %{of}\n") && told.contains("^^"), "{told}");
    }
    let json = render(&fixture, &["demo", "--output", "json"]);
    let error =
        serde_json::from_str::<serde_json::Value>(&json.stdout).unwrap()["components"][0]["error"].clone();
    assert!(error.as_str().unwrap().contains("demo/demo.spec:"), "{error}");
    assert!(fixture.path("tree/rendered/d/demo/RENDER_FAILED").exists());
}

#[test]
fn a_line_of_an_overlay_is_told_in_its_toml() {
    let fixture = Fixture::new();
    let overlays = OVERLAYS.replace("tag = \"BuildRequires\"", "tag = \"Epoch\"");
    tree(&fixture, "keel.toml", &overlays);
    let toml = fs::read_to_string(fixture.path("tree/keel.toml")).unwrap();
    let place = format!("keel.toml:{}", line_of(&toml, "[[components.demo.overlays]]"));
    let ran = render(&fixture, &["demo"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let told = ran.errors();
    for part in [
        place.as_str(),
        ": this overlay wrote it",
        "| [[components.demo.overlays]]\n",
        "  in demo.spec (rendered):",
        "| Epoch: gcc\n",
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
    // One that does not apply is told there, too.
    let overlays = OVERLAYS.replace("insert-tag", "remove-tag");
    tree(&fixture, "keel.toml", &overlays);
    let told = render(&fixture, &["demo"]).errors();
    let first = "error: cannot render `demo`: overlay `spec-remove-tag` does not apply: ";
    assert!(told.starts_with(first) && told.contains(&place), "{told}");
    assert!(told.contains("| [[components.demo.overlays]]"), "{told}");
    // And what is wrong with `sources`, though nothing is put in.
    tree(&fixture, "keel.toml", OVERLAYS);
    fs::write(fixture.path("tree/demo/sources"), "# c\nSHA512 (a) =\n").unwrap();
    let told = render(&fixture, &["demo"]).errors();
    assert!(told.contains("  demo/sources:2:\n    2 | SHA512 (a) ="), "{told}");
}
