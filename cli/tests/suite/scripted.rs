//! Scripts of an image, the whole way: real packages, a real shell in the image.

use crate::harness::{Fixture, judge, statement};

/// Has the container run this, too.
fn add(fixture: &Fixture, text: &str) {
    let definition = fixture.path("images/box.image.toml");
    let before = fs_err::read_to_string(&definition).unwrap();
    fs_err::write(definition, format!("{before}\n{text}")).unwrap();
}

const SCRIPTS: &str = r#"
[[scripts.finalize-customization]]
name = "last"
content = "set -e; cat /srv/made >> /srv/all; rm /usr/bin/hello; hello && exit 1; true"

[[scripts.post-customization]]
name = "make"
path = "make.sh"
arguments = ["a b"]
environment-variables = { WHO = "me" }
"#;

const MAKE: &str = "set -e\nmkdir -m 750 /srv\necho \"$1 $WHO $(id -u) $(pwd)\" > /srv/made\nhello\nchmod 600 /etc/os-release\n";

fn scripted() -> Fixture {
    let fixture = Fixture::new();
    add(&fixture, SCRIPTS);
    fs_err::write(fixture.path("images/make.sh"), MAKE).unwrap();
    fixture
}

#[test]
fn scripts_change_the_image_and_the_same_twice() {
    let fixture = scripted();
    fixture.keel(&["image", "build", "box"]).ok();
    let manifest = fs_err::read_to_string(fixture.path("out/images/box/manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let changed = &manifest["changed"];
    assert_eq!(
        changed["script last"],
        serde_json::json!(["/srv/all", "/usr/bin/hello"])
    );
    let made = changed["script make"].as_array().unwrap();
    assert!(made.contains(&"/srv/made".into()), "{made:?}");

    // Who reads the provenance sees what was run, by its digest.
    let statement = statement(&fixture.path("out/images/box/box.intoto.jsonl"));
    let materials = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
        .as_array()
        .unwrap();
    let made = materials
        .iter()
        .find(|material| material["name"] == "script make")
        .unwrap();
    let digest = judge("sha256sum", &[fixture.path("images/make.sh").to_str().unwrap()]);
    assert_eq!(made["digest"]["sha256"], digest.split(' ').next().unwrap());

    let bundle = tempfile::tempdir().unwrap();
    let target = bundle.path().join("bundle");
    let image = format!("{}:1", fixture.path("out/images/box/box.oci").display());
    let unpack = [
        "unpack",
        "--rootless",
        "--image",
        &image,
        target.to_str().unwrap(),
    ];
    judge("umoci", &unpack);
    let root = target.join("rootfs");
    assert_eq!(
        fs_err::read_to_string(root.join("srv/all")).unwrap(),
        "a b me 0 /\n"
    );
    assert!(!root.join("usr/bin/hello").exists());

    let sums = |fixture: &Fixture| fs_err::read(fixture.path("out/images/box/SHA256SUMS")).unwrap();
    let other = scripted();
    other.keel(&["image", "build", "box"]).ok();
    assert_eq!(sums(&fixture), sums(&other));
    // What a script says is an input, and so is its file.
    fs_err::write(
        other.path("images/make.sh"),
        format!("{MAKE}echo more >> /srv/made\n"),
    )
    .unwrap();
    other.keel(&["image", "build", "box"]).ok();
    assert_ne!(sums(&fixture), sums(&other));
}

#[test]
fn a_script_that_fails_leaves_no_image() {
    for (text, code, expected) in [
        (
            "content = \"echo one; echo two >&2; exit 7\"",
            1,
            "error: the image failed\n  caused by: script `bad` (images/box.image.toml:10:1) failed (exit code 7)\n      | one\n      | two",
        ),
        (
            "content = \"cp /bin/sh /srv; chmod 4755 /srv\"",
            1,
            "error: the image failed\n  caused by: script `bad` (images/box.image.toml:10:1) leaves what an image does not take:\n      \
             `/srv` has set-id bits (mode 4755), which only packages give",
        ),
        (
            "content = \"true\"\ninterpreter = \"perl\"",
            2,
            "error: the image has no `perl` to run script `bad` with\n  images/box.image.toml:10:1",
        ),
    ] {
        let fixture = Fixture::new();
        add(
            &fixture,
            &format!("[[scripts.post-customization]]\nname = \"bad\"\n{text}\n"),
        );
        let ran = fixture.keel(&["image", "build", "box"]);
        let errors = ran.errors();
        assert!(errors.starts_with(expected), "{errors}");
        assert_eq!(ran.code, Some(code));
        assert!(!fixture.path("out/images/box").exists());
    }
}

#[test]
fn an_image_is_made_twice_and_compared() {
    let fixture = scripted();
    let ran = fixture.keel(&["image", "build", "box", "--check"]).ok();
    assert!(
        ran.stderr
            .contains("image `box` made twice: every file has the same bytes"),
        "{}",
        ran.stderr
    );
    assert!(!fixture.path("out/differs/images/box").exists());
    // What no image is to depend on, in a script's hands.
    for (name, text) in [
        ("host", "read -r it < /proc/sys/kernel/hostname; echo $it"),
        (
            "cores",
            "while read -r key it; do case $key in Cpus_allowed_list:) echo $it;; esac; done < /proc/self/status",
        ),
        ("time", "read -r it < /proc/uptime; echo $it"),
    ] {
        let fixture = Fixture::new();
        add(
            &fixture,
            &format!("[[scripts.post-customization]]\nname = \"{name}\"\ncontent = \"({text}) > /found\""),
        );
        let ran = fixture.keel(&["image", "build", "box", "--check"]);
        assert_eq!(ran.code, Some(1), "{name}: {}", ran.stderr);
        assert!(
            ran.stderr.contains("manifest.json: from byte"),
            "{name}: {}",
            ran.stderr
        );
        assert!(fixture.path("out/differs/images/box/manifest.json").exists());
        // The image itself is there, and is what was built first.
        fixture.keel(&["image", "verify", "out/images/box"]).ok();
    }
}

#[test]
fn files_of_an_image_are_seen_and_compared_in_every_format_of_it() {
    let fixture = Fixture::new();
    let definition = fixture.path("images/box.image.toml");
    let text = fs_err::read_to_string(&definition).unwrap();
    fs_err::write(
        &definition,
        text.replace("\"oci-archive\"", "\"oci-archive\", \"tar\", \"cpio\""),
    )
    .unwrap();
    fixture.keel(&["image", "build", "box"]).ok();
    let at = |name: &str| format!("out/images/box/box{name}");
    let release = fixture
        .keel(&["image", "cat", &at(".tar"), "/etc/os-release"])
        .ok();
    assert!(release.stdout.contains("ID="), "{}", release.stdout);
    for other in [".oci.tar", ".tar", ".cpio.zst"] {
        let same = fixture.keel(&["image", "diff", &at(".oci"), &at(other)]).ok();
        assert!(
            same.stdout.contains("files: the same"),
            "{other}: {}",
            same.stdout
        );
    }
    fixture
        .keel(&["image", "extract", &at(".oci"), "--to", "tree"])
        .ok();
    let unpacked = fs_err::read_to_string(fixture.path("tree/etc/os-release")).unwrap();
    assert_eq!(unpacked, release.stdout);
    let again = fixture.keel(&["image", "extract", &at(".oci"), "--to", "tree"]);
    assert_eq!(again.code, Some(2), "{}", again.stderr);
    // What an archive of all of it has is what the image's own has.
    fixture
        .keel(&["image", "extract", &at(".oci"), "--tar", "all.tar"])
        .ok();
    fixture.keel(&["image", "diff", "all.tar", &at(".tar")]).ok();

    add(&fixture, SCRIPTS);
    fs_err::write(fixture.path("images/make.sh"), MAKE).unwrap();
    fixture.keel(&["image", "build", "box"]).ok();
    let other = fixture.keel(&["image", "diff", "all.tar", &at(".oci"), "--contents"]);
    assert_eq!(other.code, Some(1), "{}", other.stderr);
    for line in [
        "  + /srv/made (",
        "  - /usr/bin/hello (",
        "  ! /usr/lib/os-release: mode ",
    ] {
        assert!(other.stdout.contains(line), "{line}: {}", other.stdout);
    }
}
