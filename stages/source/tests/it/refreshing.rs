//! `--refresh`.

use std::collections::BTreeMap;

use keel_artefact::{Sha256, event::Silent};
use keel_source::{Errors, Lock, Refreshed};

use crate::{
    archive::Archive,
    fixture::{Fixture, debian},
    server::Server,
};

const OLD: &str = "hello_1.0.1.orig.tar.gz";
const NEW: &str = "hello_1.0.7.orig.tar.gz";
const OLD_DEBIAN: &str = "hello_1.0.1-1.debian.tar.xz";

fn refresh(fixture: &Fixture, archive: &Archive, sources: &[&str]) -> Result<Refreshed, Errors> {
    let recipes = [fixture.recipe("1.0.1", sources)];
    let trust = archive.trust(fixture);
    let (project, options) = (fixture.project(), &fixture.options);
    keel_source::refresh(
        &project,
        &recipes,
        &fixture.store,
        options,
        &trust,
        &Silent,
        &fixture.interrupt,
    )
}

/// The pool has dropped 1.0.1; 1.0.7 is there, 1.0.9 is only in the index, 1.1.0 is another series.
fn moved_on() -> Archive {
    let mut archive = Archive::new();
    archive.add(
        "1.0.7-2",
        &[(NEW, b"seven"), ("hello_1.0.7-2.debian.tar.xz", b"debian seven")],
        true,
        "",
    );
    archive.add("1.0.9-1", &[("hello_1.0.9.orig.tar.gz", b"nine")], false, "");
    archive.add(
        "1.1.0-1",
        &[("hello_1.1.0.orig.tar.gz", b"other series")],
        true,
        "",
    );
    archive
}

#[test]
fn a_file_that_is_gone_is_replaced_by_the_newest_of_its_series_that_is_served() {
    let archive = moved_on();
    let server = archive.serve();
    let files = debian(OLD, b"old") + &debian(OLD_DEBIAN, b"old debian");
    let mut fixture = Fixture::new(&files).with_mirrors(&[server.url("")]);
    let sources = [OLD, OLD_DEBIAN];
    let errors = fixture.fetch_version("1.0.1", &sources, &Silent).unwrap_err();
    assert!(
        errors.iter().all(keel_source::Error::is_gone) && errors.to_string().contains("`--refresh`"),
        "{errors}"
    );

    let refreshed = refresh(&fixture, &archive, &sources).unwrap();
    let defines = &refreshed.overrides["hello"];
    let expected = [("debian_version", "1.0.7-2"), ("upstream_version", "1.0.7")];
    assert_eq!(
        *defines,
        BTreeMap::from(expected.map(|(key, value)| (key.to_owned(), value.to_owned())))
    );
    let text = refreshed.to_string();
    assert!(
        text.contains(&format!(
            "~ hello: {OLD} ({}) → {NEW} (",
            Sha256::of(b"old").short()
        )),
        "{text}"
    );
    assert!(
        text.contains("→ hello_1.0.7-2.debian.tar.xz (") && text.contains("unlocked; by the signed index"),
        "{text}"
    );
    assert!(
        !fixture.root().join("keel.lock").exists(),
        "the project's lock is never written"
    );
    assert_eq!(
        refreshed.lock_file,
        fixture.root().join("out/keel.refreshed.lock")
    );

    // The SPEC, evaluated with the override, names the new file; the old name of Debian's own tarball still serves.
    let without = fixture
        .fetch_version("1.0.7", &[NEW, OLD_DEBIAN], &Silent)
        .unwrap_err()
        .to_string();
    assert!(
        without.contains("has no source `hello_1.0.7.orig.tar.gz`"),
        "{without}"
    );
    fixture.options.refreshed = Some(refreshed.lock_file.clone());
    let sets = fixture
        .fetch_version("1.0.7", &[NEW, OLD_DEBIAN], &Silent)
        .unwrap();
    let files: Vec<_> = sets[0]
        .files
        .iter()
        .map(|file| (file.name.as_str(), file.digest, file.locked))
        .collect();
    assert_eq!(
        files,
        [
            (OLD_DEBIAN, Sha256::of(b"debian seven"), false),
            (NEW, Sha256::of(b"seven"), false)
        ]
    );
    assert!(!sets[0].is_locked());

    // Again: what was replaced stays replaced, and nobody is asked.
    let asked = server.requests().len();
    assert_eq!(refresh(&fixture, &archive, &sources).unwrap(), refreshed);
    assert_eq!(server.requests().len(), asked);

    // The project has moved on and pins another file: what replaced the old one counts no more.
    fixture.configure(&debian(NEW, b"seven"));
    let again = refresh(&fixture, &archive, &[NEW]).unwrap();
    assert!(again.changes.is_empty() && again.overrides.is_empty());
    assert!(Lock::read(&again.lock_file).unwrap().files.is_empty());
    assert!(fixture.fetch_version("1.0.7", &[NEW], &Silent).unwrap()[0].is_locked());
}

#[test]
fn only_debians_own_tarball_may_be_gone() {
    let mut archive = Archive::new();
    archive.add(
        "1.0.1-3",
        &[(OLD, b"old"), ("hello_1.0.1-3.debian.tar.xz", b"debian three")],
        true,
        "",
    );
    let server = archive.serve();
    let files = debian(OLD, b"old") + &debian(OLD_DEBIAN, b"old debian");
    let mut fixture = Fixture::new(&files).with_mirrors(&[server.url("")]);
    let refreshed = refresh(&fixture, &archive, &[OLD, OLD_DEBIAN]).unwrap();
    let expected = BTreeMap::from([("debian_version".to_owned(), "1.0.1-3".to_owned())]);
    assert_eq!(refreshed.overrides["hello"], expected);
    assert_eq!(refreshed.changes.len(), 1);
    fixture.options.refreshed = Some(refreshed.lock_file);
    for name in [OLD_DEBIAN, "hello_1.0.1-3.debian.tar.xz"] {
        let sets = fixture.fetch_version("1.0.1", &[OLD, name], &Silent).unwrap();
        let file = |name: &str| {
            sets[0]
                .files
                .iter()
                .find(|file| file.name == name)
                .unwrap()
                .clone()
        };
        assert!(file(OLD).locked);
        assert!(!file(name).locked);
        assert_eq!(file(name).digest, Sha256::of(b"debian three"));
    }
}

#[test]
fn nothing_is_replaced_unless_it_is_gone_everywhere() {
    let archive = moved_on();
    let server = archive.serve();
    for (what, status) in [("ill", 500), ("forbidding", 403)] {
        let ill = Server::new(move |_, answer| answer.status(status, ""));
        let fixture = Fixture::new(&debian(OLD, b"old")).with_mirrors(&[server.url(""), ill.url("")]);
        let text = refresh(&fixture, &archive, &[OLD]).unwrap_err().to_string();
        assert!(text.contains(&format!("answered {status}")), "{what}: {text}");
        assert!(!text.contains("hint: Debian's pool drops"), "{text}");
    }
    // Another mirror still has it.
    let has = Server::new(|_, answer| answer.ok(b"old"));
    let fixture = Fixture::new(&debian(OLD, b"old")).with_mirrors(&[server.url(""), has.url("")]);
    let refreshed = refresh(&fixture, &archive, &[OLD]).unwrap();
    assert!(refreshed.changes.is_empty() && !refreshed.lock_file.exists());
    // The store still has it.
    let fixture = Fixture::new(&debian(OLD, b"old")).with_mirrors(&[server.url("")]);
    fixture.store.put_bytes(b"old").unwrap();
    assert!(refresh(&fixture, &archive, &[OLD]).unwrap().changes.is_empty());
}

#[test]
fn a_file_that_the_index_still_names_is_not_superseded() {
    let mut archive = Archive::new();
    archive.add("1.0.1-1", &[(OLD, b"old")], false, "");
    let server = archive.serve();
    let fixture = Fixture::new(&debian(OLD, b"old")).with_mirrors(&[server.url("")]);
    let text = refresh(&fixture, &archive, &[OLD]).unwrap_err().to_string();
    assert!(text.contains("it is not there (404)"), "{text}");
}

#[test]
fn without_a_successor_the_versions_are_told() {
    let mut archive = Archive::new();
    archive.add("2.0.0-1", &[("hello_2.0.0.orig.tar.gz", b"two")], true, "");
    let server = archive.serve();
    let fixture = Fixture::new(&debian(OLD, b"old")).with_mirrors(&[server.url("")]);
    let text = refresh(&fixture, &archive, &[OLD]).unwrap_err().to_string();
    assert!(
        text.contains("nor one of the same series") && text.contains("it has: 2.0.0-1"),
        "{text}"
    );
    // The lock may name a wider series.
    fixture.configure(&debian(OLD, b"old"));
    let lock = format!(
        "version = 1\n[[file]]\ncomponent = \"hello\"\nname = \"{OLD}\"\nsize = 3\nsha256 = \"{}\"\norigins = []\n\
         locked = true\nseries = \"2\"\n",
        Sha256::of(b"old")
    );
    fs_err::write(fixture.root().join("keel.lock"), lock).unwrap();
    let refreshed = refresh(&fixture, &archive, &[OLD]).unwrap();
    assert_eq!(refreshed.overrides["hello"]["upstream_version"], "2.0.0");
}

#[test]
fn a_successor_needs_the_archives_signature() {
    let archive = moved_on();
    let server = archive.serve();
    let fixture = Fixture::new(&debian(OLD, b"old")).with_mirrors(&[server.url("")]);
    let text = refresh(&fixture, &Archive::new(), &[OLD])
        .unwrap_err()
        .to_string();
    assert!(text.contains("is not trusted"), "{text}");
    // A file of the pool that is not the one the index names.
    let mut archive = archive;
    archive
        .files
        .insert(format!("/pool/main/h/hello/{NEW}"), b"evil!".to_vec());
    let server = archive.serve();
    let fixture = fixture.with_mirrors(&[server.url("")]);
    let text = refresh(&fixture, &archive, &[OLD]).unwrap_err().to_string();
    assert!(text.contains("it gave other bytes"), "{text}");
    assert!(!fixture.store.contains(&Sha256::of(b"evil!")));
}
