//! What a user can know of an image: lock, bills of materials, provenance, and `keel image verify`.

use serde_json::Value;

use crate::harness::{Fixture, Ran, git, judge, root, statement};

fn json(text: &[u8]) -> Value {
    serde_json::from_slice(text).unwrap()
}

fn read(fixture: &Fixture, path: &str) -> String {
    fs_err::read_to_string(fixture.path(path)).unwrap()
}

#[test]
fn an_image_comes_with_documents_that_agree_and_can_be_checked() {
    let fixture = Fixture::new();
    git(
        &fixture.path(""),
        "git init -q -b main . && git add . && git commit -qm one",
    );
    fixture
        .keel(&["image", "build", "box", "--builder", "https://ci.example.org/1"])
        .ok();
    let out = fixture.path("out/images/box");
    let verified = fixture
        .keel(&["image", "verify", "out/images/box", "--output", "json"])
        .ok();
    let verified = json(verified.stdout.as_bytes());
    assert_eq!(verified["problems"], Value::Array(Vec::new()));
    assert_eq!(verified["builder"], "https://ci.example.org/1");
    assert!(
        verified["signed_by"].as_str().is_some_and(|key| key.len() == 40),
        "{verified}"
    );

    // What judges of the documents say of a real image.
    let judges = root().join("target/judges/bin");
    let at = |name: &str| out.join(name).to_string_lossy().into_owned();
    judge(
        &judges.join("pyspdxtools").to_string_lossy(),
        &["--infile", &at("box.spdx.json")],
    );
    let script = "import sys\nfrom cyclonedx.schema import SchemaVersion\n\
                  from cyclonedx.validation.json import JsonStrictValidator\n\
                  error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read())\n\
                  sys.exit(str(error) if error else 0)\n";
    judge(
        &judges.join("python").to_string_lossy(),
        &["-c", script, &at("box.cdx.json")],
    );

    // A tarball that was fetched, with the digest that the tree pins and where anybody may fetch it.
    let bill = json(&fs_err::read(at("box.spdx.json")).unwrap());
    let packages = bill["packages"].as_array().unwrap();
    let fetched: Vec<&Value> = (packages.iter())
        .filter(|package| {
            package["downloadLocation"]
                .as_str()
                .unwrap()
                .starts_with("https://")
        })
        .collect();
    let settings = format!(
        "{}{}",
        read(&fixture, "components/packages.toml"),
        read(&fixture, "components/tools.toml")
    );
    assert!(!fetched.is_empty());
    for package in fetched {
        let digest = package["checksums"][0]["checksumValue"].as_str().unwrap();
        assert!(settings.contains(digest), "{package}");
    }
    // The tree's revision, and what `hello` was built of.
    let commit = git(&fixture.path(""), "git rev-parse HEAD");
    let statement = statement(at("box.intoto.jsonl").as_ref());
    let definition = &statement["predicate"]["buildDefinition"];
    let materials = definition["resolvedDependencies"].as_array().unwrap();
    assert_eq!(materials[0]["digest"]["gitCommit"], commit.as_str());
    assert_eq!(materials[0]["annotations"], Value::Null, "nothing is changed");
    assert!(
        materials.iter().any(|one| one["name"] == "hello: hello.c"),
        "{materials:#?}"
    );

    // A flipped byte, and a key that is not trusted.
    let archive = out.join("box.oci.tar");
    let mut bytes = fs_err::read(&archive).unwrap();
    bytes[700] ^= 1;
    fs_err::write(&archive, bytes).unwrap();
    let ran = fixture.keel(&["image", "verify", "out/images/box"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(
        ran.stdout.starts_with("box.oci.tar: its digest is "),
        "{}",
        ran.stdout
    );
    assert!(
        ran.errors().contains("not as it was built and signed: 1 problem"),
        "{}",
        ran.stderr
    );
    fixture.keel(&["image", "verify", "out/images/box/box.oci"]).ok();
    fixture.keel(&["key", "generate", "other.key"]).ok();
    let verify = [
        "image",
        "verify",
        "out/images/box/box.oci",
        "--certificate",
        "other.key.pub.asc",
    ];
    let ran = fixture.keel(&verify);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stdout.contains("is not a trusted key"), "{}", ran.stdout);
    let ran = fixture.keel(&["image", "verify", "out/nowhere"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
}

#[test]
fn a_recorded_lock_holds_the_packages_of_an_image() {
    let fixture = Fixture::new();
    let build = |options: &[&str]| -> Ran { fixture.keel(&[&["image", "build", "box"], options].concat()) };
    let ran = build(&["--locked"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(
        ran.errors()
            .contains("image.lock does not have image `box` for x86_64"),
        "{}",
        ran.stderr
    );

    build(&["--record"]).ok();
    let lock = read(&fixture, "image.lock");
    assert!(lock.contains("\"hello-"), "{lock}");
    assert_eq!(lock, read(&fixture, "out/images/box/image.lock"));
    build(&["--locked"]).ok();
    // Whoever signs with another key has the same lock.
    fixture.keel(&["key", "generate", "other.key"]).ok();
    build(&["--locked", "--key", "other.key"]).ok();

    let definition = fixture.path("images/box.image.toml");
    let text = fs_err::read_to_string(&definition).unwrap();
    fs_err::write(&definition, text.replace(", \"hello\"]", "]")).unwrap();
    let ran = build(&["--locked"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    for part in [
        "image `box` is not what image.lock says",
        "`hello-",
        "is gone",
        "--record",
    ] {
        assert!(ran.errors().contains(part), "{part}: {}", ran.stderr);
    }
    assert_eq!(
        lock,
        read(&fixture, "out/images/box/image.lock"),
        "nothing was built"
    );
    let ran = build(&[]).ok();
    assert!(
        ran.stderr
            .contains("image `box` has other packages than image.lock says"),
        "{}",
        ran.stderr
    );
    assert_eq!(lock, read(&fixture, "image.lock"));
    build(&["--record"]).ok();
    assert!(!read(&fixture, "image.lock").contains("\"hello-"));
}
