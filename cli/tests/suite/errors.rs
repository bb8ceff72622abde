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

/// Every command, with what is wrong in a tree or in its arguments.
const COMMANDS: &[&str] = &[
    "check",
    "config check",
    "config dump",
    "config explain components",
    "config schema --of nothing",
    "licenses",
    "component add x",
    "component changed --from HEAD",
    "component diff -a",
    "component history typo",
    "component list",
    "component prepare-sources typo --to made",
    "component query -a",
    "component render -a",
    "component show typo",
    "source fetch",
    "source lock",
    "source srpm",
    "source update",
    "source verify",
    "plan",
    "build",
    "reproduce zlib",
    "shell zlib",
    "package check none.rpm",
    "package diff none.rpm none.rpm",
    "package rules none",
    "repo create",
    "repo sign none",
    "repo verify none",
    "repo serve none --listen x",
    "image list",
    "image show none",
    "image import none.yaml",
    "image build",
    "image boot x",
    "image test",
    "image verify none",
    "image describe x",
    "image inspect none.raw",
    "image convert none.raw made.qcow2",
    "image extract none.raw --to made",
    "image cat none.raw /etc/none",
    "image diff none.raw other.raw",
    "image index none.oci none",
    "image push none localhost:1/a",
    "image pull localhost:1/a /dev/null",
    "spec eval typo.spec none.spec",
    "spec query none.spec",
    "spec parse none.spec",
    "spec expand --macros none x",
    "spec fmt none.spec",
    "spec lint none.spec",
    "spec syntax none.spec",
    "spec graph none",
    "spec plan none",
    "key generate keel.toml",
    "store gc --days x",
    "store stat --nothing",
    "clean",
    "completions none",
    "man /dev/null/none",
];

/// Which of the reference's commands are no groups of commands.
fn all_commands() -> Vec<String> {
    let page = fs::read_to_string(crate::harness::root().join("docs/reference/cli.md")).unwrap();
    let titles = page.lines().filter_map(|line| line.strip_prefix("## `keel "));
    let titles: Vec<String> = titles
        .map(|title| title.trim_end_matches('`').to_owned())
        .collect();
    let is_group = |title: &String| titles.iter().any(|other| other.starts_with(&format!("{title} ")));
    titles.iter().filter(|title| !is_group(title)).cloned().collect()
}

#[test]
fn errors_are_json_where_results_are() {
    let tested = |command: &String| {
        COMMANDS
            .iter()
            .any(|line| format!("{line} ").starts_with(&format!("{command} ")))
    };
    let untested: Vec<String> = all_commands()
        .into_iter()
        .filter(|command| !tested(command))
        .collect();
    assert_eq!(untested, Vec::<String>::new());
    let fixture = Fixture::new();
    for line in COMMANDS {
        let words: Vec<&str> = line.split(' ').chain(["--output", "json"]).collect();
        let ran = fixture.keel_in("broken/unknown-key", &words);
        assert!(
            matches!(ran.code, Some(1..=3)),
            "{line}: {:?}\n{}",
            ran.code,
            ran.stderr
        );
        let said: Vec<serde_json::Value> = (ran.stderr.lines())
            .map(|said| serde_json::from_str(said).unwrap_or_else(|error| panic!("{line}: {error}: {said}")))
            .collect();
        let class = match ran.code {
            Some(1) => "failed",
            Some(2) => "input",
            _ => "environment",
        };
        let is_error = |one: &&serde_json::Value| one["level"] == "error" && one["class"] == class;
        let last = said
            .iter()
            .rfind(is_error)
            .unwrap_or_else(|| panic!("{line}: {}", ran.stderr));
        assert!(
            last["message"].as_str().is_some_and(|text| !text.is_empty()),
            "{line}: {last}"
        );
        for result in ran.stdout.lines().filter(|_| line.starts_with("spec eval")) {
            serde_json::from_str::<serde_json::Value>(result).unwrap();
        }
    }
    // And what a person reads is as it was.
    let ran = fixture.keel_in("broken/unknown-key", &["config", "check"]);
    assert!(
        ran.stderr.starts_with("error: unknown key `bootstrap_libc`"),
        "{}",
        ran.stderr
    );
    let ran = fixture.keel_in("broken/unknown-key", &["config", "check", "--output", "json"]);
    let said: serde_json::Value = serde_json::from_str(ran.stderr.trim()).unwrap();
    assert_eq!(said["location"]["file"], "keel.toml");
    assert_eq!(said["location"]["line"], 9);
}

#[test]
fn one_mistake_in_many_places_is_counted() {
    let fixture = Fixture::new();
    tree(&fixture, "keel.toml", "");
    let file = fixture.path("tree/keel.toml");
    let mut text = fs::read_to_string(&file).unwrap();
    for number in 0..500 {
        text.push_str(&format!("[components.c{number}]\nspce = 1\n"));
    }
    fs::write(&file, text).unwrap();
    let told = fixture.keel_in("tree", &["config", "check"]).errors();
    assert_eq!(told.matches("error: unknown key `spce`").count(), 20, "{told}");
    assert!(told.contains("… and 480 more like it"), "{told}");
    let json = fixture
        .keel_in("tree", &["config", "check", "--output", "json"])
        .stderr;
    assert_eq!(json.matches("unknown key `spce`").count(), 500);
}

#[test]
fn arguments_and_folders_that_cannot_be_are_told() {
    let fixture = Fixture::new();
    let ran = fixture.keel(&["build", "--jobs", "0"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("zero"), "{}", ran.stderr);
    // A tree below is told, and not where there is none.
    fs::create_dir_all(fixture.path("above/distro")).unwrap();
    fs::create_dir_all(fixture.path("above/other")).unwrap();
    fs::write(fixture.path("above/distro/keel.toml"), "").unwrap();
    let empty = tempfile::tempdir().unwrap();
    fs::rename(fixture.path("above"), empty.path().join("above")).unwrap();
    let at = |folder: &str| empty.path().join(folder).display().to_string();
    let told = fixture.keel_in(&at("above"), &["check"]).errors();
    assert!(told.ends_with("hint: there is one below: `-C distro`"), "{told}");
    let told = fixture.keel_in(&at("above/other"), &["check"]).errors();
    assert!(
        told.ends_with("hint: name the project's folder with `-C DIR`"),
        "{told}"
    );
    // Nothing is built for another machine.
    let other = match std::env::consts::ARCH {
        "x86_64" => "aarch64",
        _ => "x86_64",
    };
    let ran = fixture.keel(&["--arch", other, "build", "zlib"]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(
        ran.errors()
            .contains(&format!("error: this machine is {}", std::env::consts::ARCH)),
        "{}",
        ran.stderr
    );
}
