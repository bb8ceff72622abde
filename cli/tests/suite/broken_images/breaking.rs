//! The ways to break things; each may be done twice.

use std::{
    path::{Path, PathBuf},
    time::SystemTime,
};

use keel_store::Store;
use serde_json::Value;

use super::Place;
use crate::harness::{Fixture, cache};

/// An image's definition, as it is in the repository but for one place.
pub fn edit(fixture: &Fixture, image: &str, from: &str, to: &str) {
    let part = format!("images/{image}.image.toml");
    let text = fs_err::read_to_string(crate::harness::root().join("tests/fixture").join(&part)).unwrap();
    assert!(text.contains(from), "{text}");
    fs_err::write(fixture.path(&part), text.replacen(from, to, 1)).unwrap();
}

/// The container has this package, too.
pub fn wish(fixture: &Fixture, package: &str) {
    edit(
        fixture,
        "box",
        "\"hello\"]",
        &format!("\"hello\", \"{package}\"]"),
    );
}

pub fn script(fixture: &Fixture, line: &str) {
    let script =
        format!("\n[[scripts.post-customization]]\nname = \"bad\"\ncontent = '{line}'\n\n[container]");
    edit(fixture, "box", "[container]", &script);
}

/// After [`edit`].
pub fn add_format(fixture: &Fixture, format: &str) {
    let file = fixture.path("images/box.image.toml");
    let text = fs_err::read_to_string(&file).unwrap();
    let text = text.replace("\"oci-archive\"", &format!("\"oci-archive\", \"{format}\""));
    fs_err::write(file, text).unwrap();
}

pub fn partition(label: &str, size: &str) -> String {
    format!("[[disk.partitions]]\nlabel = \"{label}\"\nmount-point = \"/var\"\nsize = \"{size}\"\n\n[os]")
}

/// A component whose package has `/usr/share/odd`, which says `text`.
pub fn add(fixture: &Fixture, name: &str, tags: &str, text: &str) {
    let spec = format!(
        "Name: {name}\nVersion: 1\nRelease: 1\nSummary: A test\nLicense: MIT\nURL: https://example.org/\nBuildArch: noarch\n{tags}\n\
         %description\nA test.\n\n%package hater\nSummary: A test\nConflicts: hello\n\n%description hater\nA test.\n\n\
         %install\nmkdir -p %{{buildroot}}/usr/share\necho {text} > %{{buildroot}}/usr/share/odd\n\n\
         %files\n/usr/share/odd\n\n%files hater\n\n%changelog\n* Thu Jan 01 2026 A B <a@b.test> - 1-1\n- New.\n"
    );
    fs_err::create_dir_all(fixture.path(&format!("specs/{name}"))).unwrap();
    fs_err::write(fixture.path(&format!("specs/{name}/{name}.spec")), spec).unwrap();
    let component = format!(
        "[components.{name}]\nspec = {{ type = \"local\", path = \"../specs/{name}/{name}.spec\" }}\n"
    );
    fs_err::write(fixture.path(&format!("components/{name}.toml")), component).unwrap();
}

/// A package of this test alone, which may be damaged in the store that all share: no other has its bytes.
pub fn odd(fixture: &Fixture) {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    add(fixture, "odd", "", &format!("{now}"));
    wish(fixture, "odd");
}

/// The signed package of the good image in the store, as sound as it was the first time.
pub fn in_store(place: &Place, package: &str) -> PathBuf {
    let manifest = fs_err::read(place.good.path().join("box/manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let packages = manifest["packages"].as_array().unwrap();
    let of_name = |one: &&Value| one["nevra"]["name"] == package;
    let digest = packages.iter().find(of_name).unwrap()["sha256"].as_str().unwrap();
    let store = Store::open(&cache()).unwrap();
    let copy = place.good.path().join("copy.rpm");
    match store.object(&digest.parse().unwrap()) {
        Ok(object) if !copy.exists() => {
            fs_err::copy(object, &copy).unwrap();
        }
        Ok(_) => {}
        Err(_) => {
            store.put_file(&copy).unwrap();
        }
    }
    store.object(&digest.parse().unwrap()).unwrap()
}

/// Leaves of a package a part of its header.
pub fn cut(file: &Path) {
    let mut bytes = fs_err::read(file).unwrap();
    bytes.truncate(3000);
    fs_err::remove_file(file).unwrap();
    fs_err::write(file, bytes).unwrap();
}

/// The fixture is published and signed, but for what only machines have; the tree `team` stands on it.
pub fn team(fixture: &Fixture) {
    let tools = fixture.path("components/tools.toml");
    let text = fs_err::read_to_string(&tools).unwrap();
    let is_for_machines = |part: &&str| {
        ["boot", "init", "kernel"]
            .iter()
            .any(|name| part.contains(&format!("components.fixture-{name}")))
    };
    let kept: Vec<&str> = text.split("\n\n").filter(|part| !is_for_machines(part)).collect();
    fs_err::write(&tools, kept.join("\n\n")).unwrap();
    fixture.keel(&["key", "generate", "keys/base"]).ok();
    fixture.keel(&["repo", "create", "--key", "keys/base"]).ok();
    let project = format!(
        "[project]\ndescription = \"A team's\"\noutput-dir = \"out\"\n\n\
         [keel.base]\npath = \"..\"\nrepository = \"file://{}/$basearch/os\"\ngpg-key = \"keys/base.pub.asc\"\n\n\
         [images.small]\ndescription = \"Of the base\"\ndefinition = {{ type = \"keel\", path = \"small.image.toml\" }}\n\
         capabilities = {{ container = true }}\n",
        fixture.path("out/repo").display()
    );
    fs_err::create_dir_all(fixture.path("team")).unwrap();
    fs_err::write(fixture.path("team/keel.toml"), project).unwrap();
    fs_err::copy(
        fixture.path("images/box.image.toml"),
        fixture.path("team/small.image.toml"),
    )
    .unwrap();
    fixture.keel_in("team", &["source", "lock"]).ok();
}

/// A package of the published fixture.
pub fn published(fixture: &Fixture) -> PathBuf {
    let folder = fixture.path("out/repo/x86_64/os/Packages/h");
    let mut files = fs_err::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let is_wanted = |file: &PathBuf| {
        file.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("hello-1"))
    };
    files.find(is_wanted).unwrap()
}
