//! `keel source lock`.

use keel_artefact::{Sha256, event::Silent};
use keel_source::{Errors, Lock, LockChange};

use crate::{archive::Archive, fixture::Fixture, server::Server};

const NAME: &str = "hello_1.0.orig.tar.gz";

fn origin(name: &str, more: &str) -> String {
    format!(
        "[[components.hello.source-files]]\nfilename = \"{name}\"\n{more}\
         origin = {{ type = \"debian\", source = \"hello\", suite = \"trixie\" }}\n"
    )
}

fn lock(fixture: &Fixture, archive: &Archive, sources: &[&str]) -> Result<LockChange, Errors> {
    let recipes = [fixture.recipe("1.0", sources)];
    let trust = archive.trust(fixture);
    let (project, options) = (fixture.project(), &fixture.options);
    keel_source::lock(
        &project,
        &recipes,
        &fixture.store,
        options,
        &trust,
        &Silent,
        &fixture.interrupt,
    )
}

#[test]
fn debians_files_are_pinned_through_the_signed_index() {
    let mut archive = Archive::new();
    archive.add(
        "1.0-1",
        &[(NAME, b"one"), ("hello_1.0-1.debian.tar.xz", b"debian")],
        true,
        "",
    );
    archive.add("2.0-1", &[("hello_2.0.orig.tar.gz", b"two")], true, "");
    let server = archive.serve();
    let fixture = Fixture::new(&origin(NAME, "")).with_mirrors(&[server.url("")]);
    let text = fixture.fetch(&[NAME]).unwrap_err().to_string();
    assert!(
        text.contains("has no source") && text.contains("keel source lock hello"),
        "{text}"
    );
    // The second file is only in the SPEC: the form of its name says where to look.
    let sources = [NAME, "hello_1.0-1.debian.tar.xz"];
    let change = lock(&fixture, &archive, &sources).unwrap();
    let digest = Sha256::of(b"one");
    assert_eq!(
        change.to_string(),
        format!(
            "+ hello: hello_1.0-1.debian.tar.xz (6 bytes, {}): the signed index of trixie of Sat, 21 Nov 2026 00:00:00 UTC\n\
             + hello: {NAME} (3 bytes, {}): the signed index of trixie of Sat, 21 Nov 2026 00:00:00 UTC\n",
            Sha256::of(b"debian").short(),
            digest.short()
        )
    );
    let text = fs_err::read_to_string(fixture.root().join("keel.lock")).unwrap();
    assert!(
        text.ends_with(&format!(
            "\n[[file]]\ncomponent = \"hello\"\nname = \"{NAME}\"\nsize = 3\nsha256 = \"{digest}\"\n\
             origins = [\"debian:trixie:pool/main/h/hello/{NAME}\"]\nlocked = true\n"
        )),
        "{text}"
    );
    assert!(!text.contains("127.0.0.1"), "no mirror is in a lock");
    // Again: nothing to do, and nobody is asked.
    let asked = server.requests().len();
    assert_eq!(
        lock(&fixture, &archive, &sources).unwrap().to_string(),
        "no change\n"
    );
    assert_eq!(server.requests().len(), asked);
    assert_eq!(fixture.fetch(&sources).unwrap()[0].files.len(), 2);
    // A file that nothing names any more leaves the lock.
    let change = lock(&fixture, &archive, &[NAME]).unwrap();
    assert_eq!(
        change.to_string(),
        "- hello: hello_1.0-1.debian.tar.xz: nothing names it any more\n"
    );
}

#[test]
fn an_index_without_by_hash_is_found_by_its_name() {
    let mut archive = Archive::new();
    archive.by_hash = false;
    archive.add("1.0-1", &[(NAME, b"one")], true, "");
    let server = archive.serve();
    let fixture = Fixture::new(&origin(NAME, "")).with_mirrors(&[server.url("")]);
    lock(&fixture, &archive, &[NAME]).unwrap();
}

#[test]
fn versions_kept_only_for_their_binaries_are_passed_over() {
    let mut archive = Archive::new();
    archive.add("1.0-9", &[(NAME, b"stale")], true, "Extra-Source-Only: yes\n");
    archive.add("1.0-1", &[(NAME, b"one")], true, "");
    let server = archive.serve();
    let fixture = Fixture::new(&origin(NAME, "")).with_mirrors(&[server.url("")]);
    lock(&fixture, &archive, &[NAME]).unwrap();
    let lock = Lock::read(&fixture.root().join("keel.lock")).unwrap();
    assert_eq!(lock.files.values().next().unwrap().digest, Sha256::of(b"one"));
}

#[test]
fn a_superseded_name_is_pinned_as_its_successor_and_said_so() {
    let mut archive = Archive::new();
    archive.add("1.7-1", &[("hello_1.7.orig.tar.gz", b"seven")], true, "");
    let server = archive.serve();
    let fixture = Fixture::new(&origin(NAME, "")).with_mirrors(&[server.url("")]);
    let change = lock(&fixture, &archive, &[NAME]).unwrap().to_string();
    assert!(change.starts_with("+ hello: hello_1.7.orig.tar.gz"), "{change}");
    assert!(change.contains("set the SPEC's version to 1.7"), "{change}");
}

#[test]
fn what_cannot_be_locked_leaves_the_lock_as_it_was() {
    let mut archive = Archive::new();
    archive.add("1.0-1", &[(NAME, b"one")], false, "");
    archive.add("3.0-1", &[("hello_3.0.orig.tar.gz", b"three")], true, "");
    let server = archive.serve();
    let fixture = Fixture::new(&origin(NAME, "")).with_mirrors(&[server.url("")]);
    for (sources, message) in [
        (&[NAME, "hello_3.0.orig.tar.gz"][..], "it is not there (404)"),
        (
            &["hello_2.0.orig.tar.gz"],
            "has no file `hello_2.0.orig.tar.gz` of `hello`, nor one of the same series",
        ),
        (&["other_1.orig.tar.gz"], "of `other`"),
        (
            &["what.tar"],
            "nothing says where `what.tar`, a source of `hello`, could be had",
        ),
        (&["../x"], "is no plain file name"),
    ] {
        let text = lock(&fixture, &archive, sources).unwrap_err().to_string();
        assert!(text.contains(message), "{text}");
        assert!(!fixture.root().join("keel.lock").exists());
    }
    let text = lock(&fixture, &archive, &["hello_2.0.orig.tar.gz"])
        .unwrap_err()
        .to_string();
    assert!(text.contains("caused by: it has: 1.0-1, 3.0-1"), "{text}");
}

#[test]
fn an_index_that_is_not_trusted_pins_nothing() {
    let mut archive = Archive::new();
    archive.add("1.0-1", &[(NAME, b"one")], true, "");
    let server = archive.serve();
    let fixture = Fixture::new(&origin(NAME, "")).with_mirrors(&[server.url("")]);
    let stranger = Archive::new();
    let text = lock(&fixture, &stranger, &[NAME]).unwrap_err().to_string();
    assert!(
        text.contains("the index of Debian's `trixie` from http://127.0.0.1"),
        "{text}"
    );
    assert!(
        text.contains("is not trusted\n  caused by: no valid signature"),
        "{text}"
    );
    // An index whose bytes are not those that were signed.
    let mut archive = archive;
    let (_, packed) = archive.release();
    let place = format!("/dists/trixie/main/source/by-hash/SHA256/{}", Sha256::of(&packed));
    let (text, _) = archive.release();
    archive.files.insert(
        "/dists/trixie/InRelease".to_owned(),
        crate::archive::sign(&archive.key, &text).into_bytes(),
    );
    let mut swapped = packed.clone();
    *swapped.last_mut().unwrap() ^= 1;
    let files = archive.files.clone();
    let server = Server::new(move |request, answer| match files.get(&request.path) {
        _ if request.path == place => answer.ok(&swapped),
        Some(bytes) => answer.ok(bytes),
        None => answer.status(404, ""),
    });
    let fixture = fixture.with_mirrors(&[server.url("")]);
    let text = lock(&fixture, &archive, &[NAME]).unwrap_err().to_string();
    assert!(
        text.contains("the index of Debian's `trixie` cannot be had"),
        "{text}"
    );
    assert!(text.contains("it gave other bytes"), "{text}");
    // No keyring, a keyring that is none.
    for (keyrings, message) in [
        (vec![], "no keyring of Debian's archive was given"),
        (
            vec![fixture.dir.path().join("none.gpg")],
            "cannot use the keyring",
        ),
        (
            vec![fixture.root().join("keel.toml")],
            "no OpenPGP keys in the keyring",
        ),
    ] {
        let recipes = [fixture.recipe("1.0", &[NAME])];
        let trust = keel_source::Trust {
            keyrings,
            now: crate::archive::NOW,
        };
        let (project, options) = (fixture.project(), &fixture.options);
        let result = keel_source::lock(
            &project,
            &recipes,
            &fixture.store,
            options,
            &trust,
            &Silent,
            &fixture.interrupt,
        );
        let text = result.unwrap_err().to_string();
        assert!(text.contains(message), "{text}");
    }
}

#[test]
fn a_configured_digest_is_locked_once_it_was_fetched() {
    let mut archive = Archive::new();
    archive.add("1.0-1", &[(NAME, b"one")], true, "");
    let server = archive.serve();
    let hash = |bytes: &[u8]| format!("hash = \"{}\"\nhash-type = \"SHA256\"\n", Sha256::of(bytes));
    let fixture = Fixture::new(&origin(NAME, &hash(b"one"))).with_mirrors(&[server.url("")]);
    let change = lock(&fixture, &archive, &[NAME]).unwrap().to_string();
    assert!(
        change.contains(&format!("+ hello: {NAME} (3 bytes")) && change.ends_with("as configured\n"),
        "{change}"
    );
    // Other bytes are configured now: the archive has none such.
    fixture.configure(&origin(NAME, &hash(b"other")));
    let text = lock(&fixture, &archive, &[NAME]).unwrap_err().to_string();
    assert!(text.contains("no origin gives"), "{text}");
}
