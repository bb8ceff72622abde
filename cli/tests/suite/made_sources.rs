//! `keel source` as people type it: files that programs of the tree make.

use std::fs;

use crate::harness::{Fixture, judge};

const SPEC: &str = "\
Name: made
Version: 1
Release: 1
Summary: s
License: MIT
BuildArch: noarch
Source0: made-1.tar.gz
Source1: list.txt
%description
d
%files
%changelog
* Thu Jan 01 2026 A B <a@b.test> - 1-1
- New.
";

const COMPONENT: &str = "\
[components.made]
spec = { type = \"local\", path = \"../specs/made/made.spec\" }
[[components.made.source-files]]
filename = \"made-1.tar.gz\"
origin = { type = \"custom\", script = \"make.sh\", inputs = [\"names\"] }
[[components.made.source-files]]
filename = \"list.txt\"
origin = { type = \"custom\", script = \"list.sh\", inputs = [\"names\"] }
";

fn fixture(make: &str) -> Fixture {
    let fixture = Fixture::new();
    fs::create_dir_all(fixture.path("specs/made")).unwrap();
    for (file, text) in [
        ("specs/made/made.spec", SPEC),
        ("components/made.toml", COMPONENT),
        ("components/make.sh", make),
        (
            "components/list.sh",
            "#!/bin/sh -e\nsort names > $OUTPUT/list.txt\n",
        ),
        ("components/names", "b\na\n"),
    ] {
        fs::write(fixture.path(file), text).unwrap();
    }
    fixture
}

#[test]
fn a_program_of_the_tree_makes_a_file_in_a_sandbox() {
    let make = "#!/bin/sh -e\nmkdir $OUTPUT/made-1\nfor name in $(cat names); do echo $name > $OUTPUT/made-1/$name; done\n\
                test $(ls /inputs | wc -l) = 2\n! cat < /dev/tcp/127.0.0.1/80\n";
    let fixture = fixture(make);
    fixture.keel(&["source", "lock", "made"]).ok();
    let lock = fs::read_to_string(fixture.path("keel.lock")).unwrap();
    assert_eq!(lock.matches("component = \"made\"").count(), 2, "{lock}");
    // Made again, under another time: the same bytes, or it would not fit the lock.
    let listed = fixture
        .keel(&["source", "fetch", "made", "--output", "json"])
        .ok();
    let files: serde_json::Value = serde_json::from_str(&listed.stdout).unwrap();
    for file in files.as_array().unwrap() {
        let digest = file["digest"].as_str().unwrap();
        let object = crate::harness::cache()
            .join("objects")
            .join(&digest[..2])
            .join(&digest[2..]);
        fs::remove_file(object).unwrap();
    }
    fixture.keel(&["source", "fetch", "made"]).ok();
    // What it reads is changed: it makes something else, and that is found.
    fs::write(fixture.path("components/names"), "c\n").unwrap();
    for file in files.as_array().unwrap() {
        let digest = file["digest"].as_str().unwrap();
        let object = crate::harness::cache()
            .join("objects")
            .join(&digest[..2])
            .join(&digest[2..]);
        fs::remove_file(object).unwrap();
    }
    let other = fixture.keel(&["source", "fetch", "made"]);
    assert_eq!(other.code, Some(2), "{}", other.stderr);
    assert!(other.errors().contains("it gave other bytes"), "{}", other.stderr);
}

#[test]
fn a_program_that_fails_says_its_last_words() {
    let fixture = fixture("#!/bin/sh\necho no such moon >&2\nexit 3\n");
    let failed = fixture.keel(&["source", "lock", "made"]);
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    let errors = failed.errors();
    for part in [
        "made-1.tar.gz",
        "components/make.sh",
        "no such moon",
        "components/made.toml:",
    ] {
        assert!(errors.contains(part), "{part}: {errors}");
    }
    let nothing = self::fixture("#!/bin/sh\n");
    let nothing = nothing.keel(&["source", "lock", "made"]);
    assert!(nothing.errors().contains("left nothing in"), "{}", nothing.stderr);
}

#[test]
fn prepared_sources_have_what_programs_make() {
    let make = "#!/bin/sh -e\nmkdir $OUTPUT/made-1\nfor name in $(cat names); do echo $name > $OUTPUT/made-1/$name; done\n";
    let fixture = fixture(make);
    fixture.keel(&["source", "lock", "made"]).ok();
    let prepare = || {
        fixture.keel(&[
            "component",
            "prepare-sources",
            "made",
            "--to",
            "folder",
            "--force",
        ])
    };
    prepare().ok();
    assert_eq!(
        fs::read_to_string(fixture.path("folder/list.txt")).unwrap(),
        "a\nb\n"
    );
    let archive = fs::read(fixture.path("folder/made-1.tar.gz")).unwrap();
    let fetched = fixture
        .keel(&["source", "fetch", "made", "--output", "json"])
        .ok();
    let files: serde_json::Value = serde_json::from_str(&fetched.stdout).unwrap();
    let digest = files[1]["digest"].as_str().unwrap();
    let object = crate::harness::cache()
        .join("objects")
        .join(&digest[..2])
        .join(&digest[2..]);
    assert_eq!(archive, fs::read(object).unwrap());

    // By a SHA-512 of the configuration, without a lock.
    fs::remove_file(fixture.path("keel.lock")).unwrap();
    let unpinned = prepare();
    assert_eq!(unpinned.code, Some(2), "{}", unpinned.stderr);
    let mut text = COMPONENT.to_owned();
    for name in ["made-1.tar.gz", "list.txt"] {
        let said = judge(
            "sha512sum",
            &[fixture.path("folder").join(name).to_str().unwrap()],
        );
        let digest = said.split(' ').next().unwrap();
        let line = format!("filename = \"{name}\"\n");
        text = text.replace(
            &line,
            &format!("{line}hash = \"{digest}\"\nhash-type = \"SHA512\"\n"),
        );
    }
    fs::write(fixture.path("components/made.toml"), text).unwrap();
    fs::remove_dir_all(fixture.path("folder")).unwrap();
    prepare().ok();
    assert_eq!(fs::read(fixture.path("folder/made-1.tar.gz")).unwrap(), archive);
}
