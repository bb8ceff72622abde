//! Every difference is found, by `open` and by `verify`.

use std::path::Path;

use keel_artefact::{Interrupt, event::Silent};
use keel_repo::{Report, open, verify};
use keel_rpm::sign::Key;

use crate::fixture::{NOW, World, ending, flip};

fn report(world: &World) -> Report {
    verify(
        &world.out(),
        Some(&world.certificates()),
        &Silent,
        &Interrupt::default(),
    )
    .unwrap()
}

/// Does something to a good repository; both must see it, and `verify` must say so.
fn seen(what: &str, damage: impl Fn(&World, &Path), said: &[&str]) {
    let world = World::new();
    world.create();
    assert!(report(&world).is_good(), "{:?}", report(&world));
    damage(&world, &world.out().join("os"));
    let report = report(&world);
    let text = report
        .differences
        .iter()
        .map(|difference| format!("{difference}\n"))
        .collect::<String>();
    assert!(!report.is_good(), "{what}");
    for said in said {
        assert!(text.contains(said), "{what}: {text}");
    }
    let opened = open(&world.out(), Some(&world.certificates()), &Interrupt::default());
    // A file that nothing names harms nobody who opens it.
    assert_eq!(
        opened.is_err(),
        said != ["no metadata names it: no client will ever ask for it"],
        "{what}: {opened:?}"
    );
}

const BASE: &str = "Packages/k/kr-base-1.0-1.noarch.rpm";

#[test]
fn every_damage_is_seen() {
    seen(
        "a byte of a package",
        |_, os| flip(&os.join(BASE)),
        &["its digest is"],
    );
    seen(
        "a package cut short",
        |_, os| std::fs::write(os.join(BASE), "x").unwrap(),
        &["kr-base-1.0-1.noarch.rpm: it has 1 bytes"],
    );
    seen(
        "a package gone",
        |_, os| std::fs::remove_file(os.join(BASE)).unwrap(),
        &["kr-base-1.0-1.noarch.rpm: it is missing, and the metadata names it"],
    );
    for kind in ["primary", "filelists", "other"] {
        let damage = |_: &World, os: &Path| flip(&ending(&os.join("repodata"), &format!("{kind}.xml.zst")));
        seen(kind, damage, &[kind, "its digest is"]);
    }
    seen(
        "repomd.xml",
        |_, os| flip(&os.join("repodata/repomd.xml")),
        &["repomd.xml", "does not fit"],
    );
    let gone = |_: &World, os: &Path| std::fs::remove_file(os.join("repodata/repomd.xml.asc")).unwrap();
    seen("the signature gone", gone, &["is not signed"]);
    seen(
        "a stray file",
        |_, os| std::fs::write(os.join("Packages/x"), "").unwrap(),
        &["no metadata names it: no client will ever ask for it"],
    );
    let gone = |_: &World, os: &Path| std::fs::remove_dir_all(os.join("repodata")).unwrap();
    seen("no metadata", gone, &["os/repodata/repomd.xml: it is missing"]);
}

#[test]
fn another_key_is_not_this_one() {
    seen(
        "signed by another",
        |world, _| {
            let other = Key::generate("other", NOW).unwrap();
            keel_repo::sign(&world.out(), &world.store, &other, &Silent, &Interrupt::default()).unwrap();
        },
        &["not a trusted key", "repomd.xml", "kr-base"],
    );
}

#[test]
fn a_part_of_a_repository_is_told_as_one() {
    let world = World::new();
    world.create();
    let part = verify(&world.out().join("os"), None, &Silent, &Interrupt::default());
    assert!(matches!(part, Err(keel_repo::Error::Part { .. })), "{part:?}");
}

#[test]
fn unsigned_packages_under_signed_metadata_are_seen() {
    seen(
        "packages not signed",
        |world, os| {
            let interrupt = Interrupt::default();
            let bare = world.dir.path().join("bare");
            keel_repo::create(&world.packages, &world.store, None, &bare, &Silent, &interrupt).unwrap();
            // The metadata is signed by the right key, the packages that it names by nobody.
            for section in ["os", "debug", "source"] {
                let repodata = bare.join(section).join("repodata");
                let xml = std::fs::read(repodata.join("repomd.xml")).unwrap();
                std::fs::write(
                    repodata.join("repomd.xml.asc"),
                    world.key.sign_detached(&xml, NOW).unwrap(),
                )
                .unwrap();
            }
            std::fs::remove_dir_all(os.parent().unwrap()).unwrap();
            std::fs::rename(bare, os.parent().unwrap()).unwrap();
        },
        &["is not signed", "kr-base"],
    );
}

#[test]
fn signed_lies_are_seen() {
    seen(
        "metadata that says what the packages do not",
        |world, os| {
            let repodata = os.join("repodata");
            let path = ending(&repodata, "primary.xml.zst");
            let old = std::fs::read(&path).unwrap();
            let document = String::from_utf8(zstd::stream::decode_all(&old[..]).unwrap()).unwrap();
            let document = document.replace("An empty one", "A very evil one");
            let new = zstd::stream::encode_all(document.as_bytes(), 3).unwrap();
            let digest = |bytes: &[u8]| keel_artefact::Sha256::of(bytes).to_hex();
            let mut xml = std::fs::read_to_string(repodata.join("repomd.xml")).unwrap();
            let open = zstd::stream::decode_all(&old[..]).unwrap();
            for (from, to) in [
                (digest(&old), digest(&new)),
                (digest(&open), digest(document.as_bytes())),
                (format!("<size>{}<", old.len()), format!("<size>{}<", new.len())),
                (
                    format!("<open-size>{}<", open.len()),
                    format!("<open-size>{}<", document.len()),
                ),
            ] {
                assert!(xml.contains(&from));
                xml = xml.replace(&from, &to);
            }
            std::fs::remove_file(&path).unwrap();
            std::fs::write(repodata.join(format!("{}-primary.xml.zst", digest(&new))), new).unwrap();
            std::fs::write(
                repodata.join("repomd.xml.asc"),
                world.key.sign_detached(xml.as_bytes(), NOW).unwrap(),
            )
            .unwrap();
            std::fs::write(repodata.join("repomd.xml"), xml).unwrap();
            // `open` trusts what is signed; only `verify` compares. So make it fail there too.
            flip(&os.join(BASE));
        },
        &["does not describe the packages that lie here", "primary"],
    );
}

#[test]
fn sections_cannot_be_exchanged() {
    seen(
        "debug in the place of os",
        |_, os| {
            let debug = os.parent().unwrap().join("debug");
            std::fs::remove_dir_all(os).unwrap();
            std::fs::rename(debug, os).unwrap();
        },
        &["belongs to the section `debug`"],
    );
}
