//! What lies beside an image: lock, bills of materials, provenance; and what `verify` says when something is changed.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use keel_artefact::{Epoch, Interrupt, Sha256};
use keel_config::image::Format;
use keel_image::{
    Built, Error,
    lock::{Lock, Locked},
    provenance::{self, Envelope, Revision},
    verify::{Report, verify},
};
use keel_rpm::sign::Key;
use serde_json::Value;

use crate::fixture::{CLOCK, Packages, Place, image, judge, key, tool};

const FORMATS: [Format; 2] = [Format::Oci, Format::Tar];

/// A container of two packages, and the place it is in.
fn container() -> (Place, Built) {
    let place = Place::new();
    let built = place
        .build(&image("box", &["tool"], &FORMATS), &Packages::base())
        .unwrap();
    (place, built)
}

fn check(path: &Path) -> Report {
    let trusted = key().certificates(Epoch(CLOCK + 1000)).unwrap();
    verify(path, &trusted, &Interrupt::default()).unwrap()
}

fn problems(path: &Path) -> Vec<String> {
    check(path).problems.iter().map(ToString::to_string).collect()
}

fn json(built: &Built, name: &str) -> Value {
    serde_json::from_slice(&fs::read(built.dir.join(name)).unwrap()).unwrap()
}

/// The envelope and what is in it.
fn statement(built: &Built) -> (Value, Value) {
    let envelope = json(built, "box.intoto.jsonl");
    let payload = BASE64_STANDARD
        .decode(envelope["payload"].as_str().unwrap())
        .unwrap();
    (envelope, serde_json::from_slice(&payload).unwrap())
}

/// A program of the environment that `cargo xtask setup test` makes for judges of bills of materials.
fn judges(program: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/judges/bin");
    let program = path.join(program);
    assert!(
        program.exists(),
        "no {}: `cargo xtask setup test` makes it",
        program.display()
    );
    program.to_string_lossy().into_owned()
}

#[test]
fn bills_of_materials_are_what_validators_expect() {
    let mut packages = Packages::base();
    packages.add(
        "odd",
        "Epoch: 2\nVendor: Odd (and) Sons\nURL: ftp:nowhere",
        "true",
        "",
    );
    packages.add(
        "known",
        "URL: https://example.org/known\nVendor: Keel",
        "true",
        "",
    );
    // Of a repository of a base nothing is known but the package.
    let fetched = packages.all.last_mut().unwrap();
    fetched.origin.repository = Some("https://packages.example.org/1/x86_64/os".into());
    fetched.origin.material = None;
    for (package, licence) in
        packages
            .all
            .iter_mut()
            .zip(["GPLv2+ and \"more\"", "LicenseRef-A OR MIT", "", "MIT"])
    {
        package.info.licence = licence.into();
    }
    let built = Place::new();
    let built = built
        .build(&image("box", &["tool", "odd", "known"], &FORMATS), &packages)
        .map(|image| (built, image));
    let (_place, built) = built.unwrap();

    let spdx = built.dir.join("box.spdx.json");
    judge(
        "-",
        &[&judges("pyspdxtools"), "--infile", &spdx.to_string_lossy()],
    );
    let cyclonedx = built.dir.join("box.cdx.json");
    let script = "import sys\nfrom cyclonedx.schema import SchemaVersion\n\
                  from cyclonedx.validation.json import JsonStrictValidator\n\
                  error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read())\n\
                  sys.exit(str(error) if error else 0)\n";
    judge(
        "-",
        &[&judges("python"), "-c", script, &cyclonedx.to_string_lossy()],
    );
    // The judges do judge.
    for (file, from, to) in [
        (&spdx, "\"DESCRIBES\"", "\"DESCRIPES\""),
        (&cyclonedx, "\"SHA-256\"", "\"SHA-255\""),
    ] {
        let text = fs::read_to_string(file).unwrap().replace(from, to);
        let wrong = built
            .dir
            .join(format!("wrong.{}", file.file_name().unwrap().to_string_lossy()));
        fs::write(&wrong, text).unwrap();
        let wrong = wrong.to_string_lossy();
        let refused = match file == &spdx {
            true => tool("-", &[&judges("pyspdxtools"), "--infile", &wrong]),
            false => tool("-", &[&judges("python"), "-c", script, &wrong]),
        };
        assert!(!refused.status.success(), "{wrong}");
    }
}

#[test]
fn bills_of_materials_say_what_is_in_the_image() {
    let (_place, built) = container();
    let spdx = json(&built, "box.spdx.json");
    let packages = spdx["packages"].as_array().unwrap();
    let named = |name: &str| -> &Value {
        packages
            .iter()
            .find(|package| package["packageFileName"] == name)
            .unwrap()
    };
    let tool = named("tool-1-1.noarch.rpm");
    let digest = built.packages[1].sha256.to_hex();
    assert_eq!(tool["checksums"][0]["checksumValue"], digest);
    assert_eq!(tool["licenseDeclared"], "MIT");
    let purl = "pkg:rpm/keel/tool@1-1?arch=noarch&distro=keel-0.1&upstream=tool-1-1.src.rpm";
    assert_eq!(tool["externalRefs"][0]["referenceLocator"], purl);
    assert_eq!(spdx["creationInfo"]["created"], Epoch(CLOCK).rfc3339());
    let relation = |from: &Value, kind: &str, to: &Value| {
        (spdx["relationships"].as_array().unwrap().iter()).any(|relation| {
            relation["spdxElementId"] == from["SPDXID"]
                && relation["relationshipType"] == kind
                && relation["relatedSpdxElement"] == to["SPDXID"]
        })
    };
    let (source, tarball) = (named("tool-1-1.src.rpm"), named("tool-1.tar.gz"));
    assert!(relation(tool, "DEPENDS_ON", named("base-1-1.noarch.rpm")));
    assert!(relation(tool, "GENERATED_FROM", source));
    assert!(relation(source, "CONTAINS", tarball));
    assert_eq!(tarball["downloadLocation"], "https://example.org/x-1.tar.gz");
    assert_eq!(
        tarball["checksums"][0]["checksumValue"],
        Sha256::of(b"tool-1.tar.gz").to_hex()
    );

    let cyclonedx = json(&built, "box.cdx.json");
    let tool = &cyclonedx["components"][1];
    assert_eq!((&tool["name"], &tool["purl"]), (&"tool".into(), &purl.into()));
    let sources = &tool["pedigree"]["ancestors"][0]["components"];
    assert_eq!(
        sources[0]["externalReferences"][0]["url"],
        "https://example.org/x-1.tar.gz"
    );
    assert_eq!(sources[1]["name"], "tool.patch");
    assert_eq!(sources[2]["purl"], "pkg:cargo/x@1");
    let depends = cyclonedx["dependencies"].as_array().unwrap();
    let of_tool = depends.iter().find(|one| one["ref"] == purl).unwrap();
    assert_eq!(of_tool["dependsOn"].as_array().unwrap().len(), 1);
}

#[test]
fn provenance_names_what_went_in_and_gpg_accepts_it() {
    let (place, built) = container();
    let (envelope, statement) = statement(&built);
    let subject = |name: &str| {
        let subjects = statement["subject"].as_array().unwrap();
        let found = subjects.iter().find(|subject| subject["name"] == name);
        found.map(|subject| subject["digest"]["sha256"].as_str().unwrap().to_owned())
    };
    for name in [
        "box.tar",
        "manifest.json",
        "SHA256SUMS",
        "image.lock",
        "box.spdx.json",
        "box.cdx.json",
    ] {
        let (digest, _) = Sha256::of_file(&built.dir.join(name)).unwrap();
        assert_eq!(subject(name), Some(digest.to_hex()), "{name}");
    }
    let layout = built.dir.join("box.oci");
    let inspected = judge(
        "skopeo",
        &["skopeo", "inspect", &format!("oci:{}", layout.display())],
    );
    assert!(inspected.contains(&subject("box.oci").unwrap()), "{inspected}");
    let materials = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
        .as_array()
        .unwrap();
    let names: Vec<&str> = materials
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(names[..3], ["definition", "base-1-1.noarch", "tool-1-1.noarch"]);
    assert!(
        names.contains(&"tool: SPEC") && names.contains(&"tool: tool.patch"),
        "{names:?}"
    );

    // What DSSE says is signed, put together by hand, and the signature, by another program.
    let payload = BASE64_STANDARD
        .decode(envelope["payload"].as_str().unwrap())
        .unwrap();
    let mut signed = format!("DSSEv1 28 application/vnd.in-toto+json {} ", payload.len()).into_bytes();
    signed.extend(payload);
    let at = |name: &str| place.dir.path().join(name).to_string_lossy().into_owned();
    fs::write(at("signed"), signed).unwrap();
    let signature = envelope["signatures"][0]["sig"].as_str().unwrap();
    fs::write(at("signature"), BASE64_STANDARD.decode(signature).unwrap()).unwrap();
    fs::write(at("key.asc"), key().certificate().unwrap()).unwrap();
    let home = at("gnupg");
    judge("coreutils", &["install", "-d", "-m700", &home]);
    judge(
        "gpg",
        &["gpg", "--homedir", &home, "--batch", "--import", &at("key.asc")],
    );
    let told = judge(
        "gpg",
        &[
            "gpg",
            "--homedir",
            &home,
            "--batch",
            "--verify",
            &at("signature"),
            &at("signed"),
        ],
    );
    assert!(told.contains("Good signature"), "{told}");
}

#[test]
fn a_revision_changes_the_provenance_alone() {
    let packages = Packages::base();
    let definition = image("box", &["tool"], &FORMATS);
    let mut place = Place::new();
    let built = place.build(&definition, &packages).unwrap();
    let written = |name: &str| fs::metadata(built.dir.join(name)).unwrap().modified().unwrap();
    let before = written("manifest.json");
    place.tree = Some(Revision {
        commit: "0123456789abcdef0123456789abcdef01234567".into(),
        is_changed: true,
    });
    place.build(&definition, &packages).unwrap();
    assert_eq!(written("manifest.json"), before, "nothing else is written");
    let (_, statement) = statement(&built);
    let tree = &statement["predicate"]["buildDefinition"]["resolvedDependencies"][0];
    assert_eq!(
        tree["digest"]["gitCommit"],
        "0123456789abcdef0123456789abcdef01234567"
    );
    assert_eq!(tree["annotations"]["changed"], true);
    assert_eq!(problems(&built.dir), Vec::<String>::new());
    // Of a file that is gone, too.
    fs::remove_file(built.dir.join("box.intoto.jsonl")).unwrap();
    place.build(&definition, &packages).unwrap();
    assert_eq!(problems(&built.dir), Vec::<String>::new());
}

#[test]
fn an_image_is_not_built_of_other_packages_than_the_locked_ones() {
    let mut packages = Packages::base();
    let definition = image("box", &["tool"], &FORMATS);
    let mut place = Place::new();
    let built = place.build(&definition, &packages).unwrap();
    let mut lock = Lock::read(&built.dir.join("image.lock")).unwrap();
    let (_, locked) = lock.images.pop_first().unwrap();
    place.locked = Some(locked.clone());
    place.build(&definition, &packages).unwrap();
    packages.add("more", "Supplements: tool", "true", "");
    place.build(&definition, &packages).unwrap();

    packages.all[0].origin.sha256 = Sha256::of(b"other bytes");
    let told = |place: &Place, packages: &Packages| match place.build(&definition, packages) {
        Err(error @ Error::Locked { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    };
    let error = told(&place, &packages);
    let line = format!("`base-1-1.noarch` is now {}", Sha256::of(b"other bytes").short());
    assert!(error.contains(&line), "{error}");
    assert_eq!(error.lines().count(), 2, "{error}");
    place.locked = Some(Locked::default());
    let error = told(&place, &packages);
    assert!(error.contains("`tool-1-1.noarch` is new"), "{error}");
}

#[test]
fn a_good_image_has_no_problems() {
    let (_place, built) = container();
    let report = check(&built.dir);
    assert_eq!(report.problems, []);
    assert_eq!(report.signed_by, Some(key().fingerprint()));
    assert_eq!(report.builder.as_deref(), Some(provenance::LOCAL));
    assert_eq!(report.image.unwrap().to_string(), "image `box` 0.1 for x86_64");
    assert_eq!(report.good.len(), 7, "{:?}", report.good);
    // Logs of boots are no part of it; one file is looked at alone, with what stands for it.
    fs::write(built.dir.join("console-direct.log"), "hello").unwrap();
    assert_eq!(problems(&built.dir), Vec::<String>::new());
    flip(&built.dir.join("box.tar"));
    assert_eq!(problems(&built.dir.join("box.oci")), Vec::<String>::new());
    assert_eq!(problems(&built.dir.join("box.tar")).len(), 1);
    assert_eq!(
        problems(&built.dir.join("console-direct.log")),
        ["console-direct.log: box.intoto.jsonl does not name it"]
    );
}

fn flip(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, bytes).unwrap();
}

/// The largest blob of a layout.
fn layer(layout: &Path) -> PathBuf {
    let blobs = fs::read_dir(layout.join("blobs/sha256")).unwrap();
    let blobs = blobs.map(|blob| blob.unwrap());
    blobs
        .max_by_key(|blob| blob.metadata().unwrap().len())
        .unwrap()
        .path()
}

#[test]
fn whatever_is_changed_is_told_in_a_line() {
    type Change = fn(&Path);
    let cases: [(&str, Change, &[&str]); 21] = [
        (
            "a flipped bit",
            |dir| flip(&dir.join("box.tar")),
            &["box.tar: its digest is"],
        ),
        (
            "a layer",
            |dir| flip(&layer(&dir.join("box.oci"))),
            &["box.oci: its blob"],
        ),
        (
            "a layer that is gone",
            |dir| fs::remove_file(layer(&dir.join("box.oci"))).unwrap(),
            &["box.oci: its blob"],
        ),
        (
            "a blob too many",
            |dir| fs::write(dir.join("box.oci/blobs/sha256/more"), "x").unwrap(),
            &["box.oci: its blob more belongs to nothing"],
        ),
        (
            "a file that is gone",
            |dir| fs::remove_file(dir.join("box.tar")).unwrap(),
            &["box.tar: it is missing"],
        ),
        (
            "one too many",
            |dir| fs::write(dir.join("box.raw"), "x").unwrap(),
            &["box.raw: box.intoto.jsonl does not name it"],
        ),
        (
            "a package in the lock",
            |dir| edit(dir, "image.lock", "tool-1-1", "tool-1-2"),
            &[
                "image.lock: its digest is",
                "image.lock: package `tool-1-1.noarch` is missing in it",
                "image.lock: it has package `tool-1-2.noarch`, which the image has not",
            ],
        ),
        (
            "a version in SPDX",
            |dir| {
                edit(
                    dir,
                    "box.spdx.json",
                    "\"versionInfo\": \"1-1\"",
                    "\"versionInfo\": \"1-2\"",
                )
            },
            &[
                "box.spdx.json: its digest is",
                "box.spdx.json: package `base-1-1` is missing in it",
                "box.spdx.json: it has package `base-1-2`, which the image has not",
                "box.spdx.json: package `tool-1-1` is missing in it",
                "box.spdx.json: it has package `tool-1-2`, which the image has not",
            ],
        ),
        (
            "no JSON",
            |dir| fs::write(dir.join("box.cdx.json"), "{").unwrap(),
            &["box.cdx.json: its digest is", "box.cdx.json: it cannot be read"],
        ),
        (
            "no provenance",
            |dir| fs::remove_file(dir.join("box.intoto.jsonl")).unwrap(),
            &["*.intoto.jsonl: there is no provenance"],
        ),
        (
            "provenance of another name",
            |dir| fs::rename(dir.join("box.intoto.jsonl"), dir.join("bax.intoto.jsonl")).unwrap(),
            &["bax.intoto.jsonl: it is of image `box` 0.1 for x86_64, and should be called"],
        ),
        (
            "a container that calls its manifest something else, whose parts nobody would look at",
            |dir| {
                edit(
                    dir,
                    "box.oci/index.json",
                    "application/vnd.oci.image.manifest.v1+json",
                    "application/octet-stream",
                );
                fs::remove_file(layer(&dir.join("box.oci"))).unwrap();
            },
            &["box.oci: it calls its manifest `application/octet-stream`"],
        ),
        (
            "a container with another tag",
            |dir| edit(dir, "box.oci/index.json", "\"0.1\"", "\"9.9\""),
            &["box.oci: its `index.json` is not what belongs to its manifest"],
        ),
        (
            "a program in a container's folder",
            |dir| fs::write(dir.join("box.oci/payload.sh"), "x").unwrap(),
            &["box.oci: its `payload.sh` belongs to nothing"],
        ),
        (
            "blobs of another kind",
            |dir| fs::create_dir(dir.join("box.oci/blobs/sha512")).unwrap(),
            &["box.oci: its `blobs/sha512` belongs to nothing"],
        ),
        (
            "blobs that lie elsewhere",
            |dir| {
                fs::rename(dir.join("box.oci/blobs/sha256"), dir.join("console-b.log")).unwrap();
                symlink("../../console-b.log", dir.join("box.oci/blobs/sha256")).unwrap();
            },
            &[
                "box.oci: its `blobs/sha256` is no folder",
                "console-b.log: box.intoto.jsonl does not name it",
            ],
        ),
        (
            "a folder in the place of a file",
            |dir| {
                fs::remove_file(dir.join("box.tar")).unwrap();
                judge(
                    "coreutils",
                    &[
                        "cp",
                        "-a",
                        &dir.join("box.oci").to_string_lossy(),
                        &dir.join("box.tar").to_string_lossy(),
                    ],
                );
            },
            &["box.tar: it is no regular file"],
        ),
        (
            "a file in the place of a container",
            |dir| {
                fs::remove_dir_all(dir.join("box.oci")).unwrap();
                fs::write(dir.join("box.oci"), "x").unwrap();
            },
            &["box.oci: it is no folder"],
        ),
        (
            "a FIFO, which nobody ever writes to",
            |dir| {
                fs::remove_file(dir.join("box.tar")).unwrap();
                judge("coreutils", &["mkfifo", &dir.join("box.tar").to_string_lossy()]);
            },
            &["box.tar: it is no regular file"],
        ),
        (
            "a link to what never ends",
            |dir| {
                fs::remove_file(dir.join("image.lock")).unwrap();
                symlink("/dev/zero", dir.join("image.lock")).unwrap();
            },
            &["image.lock: it is a symbolic link"],
        ),
        (
            "a folder that is called like what a boot said",
            |dir| fs::create_dir(dir.join("console-x.log")).unwrap(),
            &["console-x.log: box.intoto.jsonl does not name it"],
        ),
    ];
    let (place, built) = container();
    for (what, change, expected) in cases {
        let copy = place.dir.path().join("copy");
        let (from, to) = (built.dir.to_string_lossy(), copy.to_string_lossy());
        judge("coreutils", &["cp", "-a", &from, &to]);
        change(&copy);
        let found = problems(&copy);
        let fits = found.len() == expected.len()
            && expected
                .iter()
                .all(|start| found.iter().any(|line| line.starts_with(start)));
        assert!(fits, "{what}: {found:#?}");
        assert!(
            found.iter().all(|line| !line.contains('\n')),
            "{what}: {found:#?}"
        );
        fs::remove_dir_all(copy).unwrap();
    }
}

fn edit(dir: &Path, name: &str, from: &str, to: &str) {
    let text = fs::read_to_string(dir.join(name)).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(dir.join(name), text.replace(from, to)).unwrap();
}

#[test]
fn a_signature_of_somebody_else_is_none() {
    let (_place, built) = container();
    let other = Key::generate("Somebody", Epoch(CLOCK)).unwrap();
    // Somebody who changes a file, and writes provenance that fits.
    fs::write(built.dir.join("box.tar"), "evil").unwrap();
    let (_, mut statement) = statement(&built);
    for subject in statement["subject"].as_array_mut().unwrap() {
        if subject["name"] == "box.tar" {
            subject["digest"]["sha256"] = Sha256::of(b"evil").to_hex().into();
        }
    }
    let payload = serde_json::to_vec(&statement).unwrap();
    let envelope = Envelope::sign(&payload, &other, Epoch(CLOCK)).unwrap();
    fs::write(
        built.dir.join("box.intoto.jsonl"),
        serde_json::to_vec(&envelope).unwrap(),
    )
    .unwrap();
    let report = check(&built.dir);
    assert_eq!(report.signed_by, None);
    let told: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
    let foreign = format!("signed by {}, which is not a trusted key", other.fingerprint());
    assert!(told.iter().any(|line| line.contains(&foreign)), "{told:#?}");
    // Nothing else that it says counts.
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(report.image, None);
}

#[test]
fn an_image_without_one_of_its_documents_is_told_whoever_signed_it() {
    let (_place, built) = container();
    let (_, mut statement) = statement(&built);
    let subjects = statement["subject"].as_array_mut().unwrap();
    subjects.retain(|subject| subject["name"] != "image.lock" && subject["name"] != "box.cdx.json");
    let payload = serde_json::to_vec(&statement).unwrap();
    let envelope = Envelope::sign(&payload, key(), Epoch(CLOCK)).unwrap();
    let file = built.dir.join("box.intoto.jsonl");
    fs::write(file, serde_json::to_vec(&envelope).unwrap()).unwrap();
    for name in ["image.lock", "box.cdx.json"] {
        fs::remove_file(built.dir.join(name)).unwrap();
    }
    let told = problems(&built.dir);
    for name in ["image.lock", "box.cdx.json"] {
        let line = format!("box.intoto.jsonl: it does not name {name}, which every image has");
        assert!(told.contains(&line), "{told:#?}");
    }
}
