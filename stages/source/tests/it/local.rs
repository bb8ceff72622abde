//! Files of this machine and beside the SPEC, and what is in the store already.

use std::io;
use std::os::unix::fs::symlink;
use std::sync::Arc;

use keel_artefact::Sha256;
use keel_source::Kind;

use crate::{
    fetching::{NAME, body},
    fixture::{Fixture, debian},
    server::Server,
};

#[test]
fn files_of_this_machine_are_origins_too() {
    let entry = |path: &str, size: usize| {
        format!(
            "[[components.hello.source-files]]\nfilename = \"{NAME}\"\nhash = \"{}\"\nhash-type = \"SHA256\"\n\
             size = {size}\norigin = {{ type = \"file\", path = \"{path}\" }}\n",
            Sha256::of(&body())
        )
    };
    let fixture = Fixture::new(&entry("files/a", 50_000));
    for (make, message) in [
        (
            (|_| Ok(())) as fn(&std::path::Path) -> io::Result<()>,
            "there is no such file",
        ),
        (|dir| fs_err::create_dir_all(dir.join("a")), "cannot be read"),
        (
            |dir| fs_err::remove_dir(dir.join("a")).and_then(|()| fs_err::write(dir.join("a"), "x")),
            "it offers 1 bytes",
        ),
        (
            |dir| fs_err::write(dir.join("a"), vec![0; 50_000]),
            "it gave other bytes",
        ),
    ] {
        fs_err::create_dir_all(fixture.root().join("files")).unwrap();
        make(&fixture.root().join("files")).unwrap();
        let errors = fixture.fetch(&[NAME]).unwrap_err();
        let text = errors.to_string();
        assert!(text.contains(message) && text.contains("file:files/a"), "{text}");
    }
    fs_err::write(fixture.root().join("files/a"), body()).unwrap();
    let sets = fixture.fetch(&[NAME]).unwrap();
    assert_eq!(sets[0].files[0].origin.as_deref(), Some("file:files/a"));
    fixture.assert_tidy();
}

#[test]
fn a_mirror_may_be_a_folder() {
    let fixture = Fixture::new(&debian(NAME, &body()));
    let mirror = fixture.dir.path().join("mirror");
    fs_err::create_dir_all(mirror.join("pool/main/h/hello")).unwrap();
    fs_err::write(mirror.join("pool/main/h/hello").join(NAME), body()).unwrap();
    let fixture = fixture.with_mirrors(&[format!("file://{}", mirror.display())]);
    fixture.fetch(&[NAME]).unwrap();
}

#[test]
fn files_beside_the_spec() {
    let fixture = Fixture::new("");
    fs_err::write(fixture.spec_dir().join("fix.patch"), "a patch").unwrap();
    let sets = fixture.fetch(&["fix.patch", "fix.patch"]).unwrap();
    assert_eq!(sets[0].files.len(), 1);
    let file = &sets[0].files[0];
    assert_eq!(
        (file.kind, file.size, file.digest),
        (Kind::Local, 7, Sha256::of(b"a patch"))
    );
    assert_eq!(fixture.store.read(&file.digest).unwrap(), b"a patch");
    // Links inside the project are followed; links out of it are not.
    symlink("fix.patch", fixture.spec_dir().join("inside.patch")).unwrap();
    fixture.fetch(&["inside.patch"]).unwrap();
    fs_err::write(fixture.dir.path().join("secret"), "x").unwrap();
    symlink("../../../secret", fixture.spec_dir().join("outside.patch")).unwrap();
    fs_err::create_dir(fixture.spec_dir().join("folder")).unwrap();
    symlink("nowhere", fixture.spec_dir().join("dangling")).unwrap();
    for (name, message) in [
        (
            "outside.patch",
            "it is a link that leads out of the SPEC's folder",
        ),
        ("folder", "it is no regular file"),
        ("dangling", "caused by: "),
        ("../hello/fix.patch", "is no plain file name"),
        ("..", "is no plain file name"),
        ("", "is no plain file name"),
        ("a\nb", "is no plain file name"),
    ] {
        let text = fixture.fetch(&[name]).unwrap_err().to_string();
        assert!(text.contains(message), "{name:?}: {text}");
    }
}

#[test]
fn a_source_that_nothing_pins_is_told_with_the_line_of_the_spec() {
    let fixture = Fixture::new(&debian("hello_1.1.orig.tar.gz", b"x"));
    let text = fixture.fetch(&[NAME]).unwrap_err().to_string();
    let expected = "error: `hello` has no source `hello_1.0.orig.tar.gz`\n  specs/hello/hello.spec:2:\n    \
        2 | Source0: hello_1.0.orig.tar.gz\nhint: did you mean `hello_1.1.orig.tar.gz`?";
    assert_eq!(text, expected);
    let fixture = Fixture::new("");
    let text = fixture.fetch(&[NAME]).unwrap_err().to_string();
    assert!(
        text.contains(
            "or say where it may be had in `[[components.hello.source-files]]` and run `keel source lock"
        ),
        "{text}"
    );
}

#[test]
fn configuration_lock_and_folder_must_agree() {
    let fixture = Fixture::new(&debian(NAME, &body()));
    fs_err::write(fixture.spec_dir().join(NAME), "other").unwrap();
    let text = fixture.fetch(&[NAME]).unwrap_err().to_string();
    assert!(
        text.contains("twice: beside its SPEC") && text.contains("hello.spec:2"),
        "{text}"
    );
    fs_err::write(fixture.spec_dir().join(NAME), body()).unwrap();
    assert_eq!(fixture.fetch(&[NAME]).unwrap()[0].files[0].kind, Kind::Local);
    fs_err::remove_file(fixture.spec_dir().join(NAME)).unwrap();
    let lock = |digest: Sha256, size: u64| {
        let text = format!(
            "version = 1\n[[file]]\ncomponent = \"hello\"\nname = \"{NAME}\"\nsize = {size}\nsha256 = \"{digest}\"\n\
             origins = []\nlocked = true\n"
        );
        fs_err::write(fixture.root().join("keel.lock"), text).unwrap();
        fixture.fetch(&[NAME]).unwrap_err().to_string()
    };
    let text = lock(Sha256::of(b"x"), 50_000);
    assert!(
        text.contains("the SHA-256 of `hello_1.0.orig.tar.gz` differs") && text.contains("keel.toml:13"),
        "{text}"
    );
    let text = lock(Sha256::of(&body()), 7);
    assert!(
        text.contains("the size of `hello_1.0.orig.tar.gz` differs"),
        "{text}"
    );
    fs_err::write(fixture.root().join("keel.lock"), "version = 1\n[[file]]\n").unwrap();
    let text = fixture.fetch(&[NAME]).unwrap_err().to_string();
    assert!(
        text.contains("the lock ") && text.contains("is damaged") && text.contains("missing field"),
        "{text}"
    );
}

#[test]
fn a_wrong_size_is_not_hidden_by_a_full_store() {
    let server = Server::new(|request, answer| answer.file(request, &body()));
    let entry = debian(NAME, &body()).replace("size = 50000", "size = 49999");
    let fixture = Fixture::new(&entry).with_mirrors(&[server.url("")]);
    fixture.store.put_bytes(&body()).unwrap();
    let text = fixture.fetch(&[NAME]).unwrap_err().to_string();
    assert!(text.contains("the pinned file has 49999"), "{text}");
    assert!(fixture.store.contains(&Sha256::of(&body())));
}

#[test]
fn damaged_objects_are_found_and_fetched_again() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = Arc::new(Server::new(|request, answer| answer.file(request, &body())));
    let fixture = Fixture::new(&debian(NAME, &body())).with_mirrors(&[server.url("")]);
    let states = || {
        let verified = keel_source::verify(&fixture.project(), &fixture.store, &fixture.interrupt).unwrap();
        verified
            .iter()
            .map(|one| format!("{:?}", one.state))
            .collect::<Vec<_>>()
    };
    assert_eq!(states(), ["Absent"]);
    fixture.fetch(&[NAME]).unwrap();
    assert_eq!(states(), ["Good"]);
    let object = fixture.store.object(&Sha256::of(&body())).unwrap();
    fs_err::set_permissions(&object, std::fs::Permissions::from_mode(0o644)).unwrap();
    fs_err::write(&object, "short").unwrap();
    // A wrong size is seen at once; wrong bytes of the right size when they are read, or by `verify`.
    fixture.fetch(&[NAME]).unwrap();
    assert_eq!(server.requests().len(), 2);
    fs_err::set_permissions(&object, std::fs::Permissions::from_mode(0o644)).unwrap();
    fs_err::write(&object, vec![1; 50_000]).unwrap();
    assert_eq!(states(), ["Damaged"]);
    assert_eq!(states(), ["Absent"]);
}
