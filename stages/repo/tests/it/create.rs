//! What `create` and `sign` leave on disk.

use std::process::Command;

use keel_artefact::{Interrupt, event::Silent};
use keel_repo::{Error, Section, create, lay_out, open, sign, verify};
use keel_rpm::sign::Key;

use crate::fixture::{EPOCH, NOW, World, ending, files, flip, run, tool};

#[test]
fn the_layout_is_as_documented() {
    let world = World::new();
    let repository = world.create();
    let names: Vec<String> = files(&world.out())
        .into_keys()
        .map(|path| path.to_str().unwrap().to_owned())
        .collect();
    let packages: Vec<&str> = names
        .iter()
        .map(String::as_str)
        .filter(|name| name.ends_with(".rpm"))
        .collect();
    assert_eq!(
        packages,
        [
            "debug/Packages/k/kr+app-debuginfo-2.0~rc1^git5-3.kl1.noarch.rpm",
            "os/Packages/k/kr+app-2.0~rc1^git5-3.kl1.noarch.rpm",
            "os/Packages/k/kr-base-1.0-1.noarch.rpm",
            "os/Packages/u/Upper-3-1.noarch.rpm",
            "source/Packages/k/kr+app-2.0~rc1^git5-3.kl1.src.rpm",
            "source/Packages/k/kr-base-1.0-1.src.rpm",
            "source/Packages/u/Upper-3-1.src.rpm",
        ]
    );
    for section in ["os", "debug", "source"] {
        let repodata = world.out().join(section).join("repodata");
        for end in [
            "/repomd.xml",
            "/repomd.xml.asc",
            "/repomd.xml.key",
            "-primary.xml.zst",
            "-filelists.xml.zst",
            "-other.xml.zst",
        ] {
            ending(&repodata, end);
        }
    }
    assert_eq!(names.len(), 7 + 3 * 6, "{names:?}");
    assert_eq!(repository.packages.len(), 7);
    assert_eq!(repository.installable().count(), 3);
    assert_eq!(repository.signed_by, Some(world.key.fingerprint()));
    let xml = std::fs::read_to_string(world.out().join("os/repodata/repomd.xml")).unwrap();
    assert!(xml.contains(&format!("<revision>{EPOCH}</revision>")), "{xml}");
    assert_eq!(
        open(&world.out(), Some(&world.certificates()), &Interrupt::default()).unwrap(),
        repository
    );
    let json = serde_json::to_string(&repository).unwrap();
    assert_eq!(
        serde_json::from_str::<keel_repo::Repository>(&json).unwrap(),
        repository
    );
}

#[test]
fn what_is_laid_out_is_what_users_install_and_no_more() {
    let world = World::new();
    let published = world.create();
    let out = world.dir.path().join("passing");
    let interrupt = Interrupt::default();
    let laid = lay_out(&world.packages, &world.store, Some(&world.key), &out, &interrupt).unwrap();
    let of = |entry: &keel_repo::Entry| {
        (
            entry.nevra.clone(),
            entry.digest,
            std::fs::read(&entry.file).unwrap(),
        )
    };
    let wanted: Vec<_> = published.installable().map(of).collect();
    assert!(
        laid.packages.iter().map(of).eq(wanted),
        "in the same order, with the same bytes"
    );
    assert_eq!(laid.signed_by, published.signed_by);
    let read = |path: Option<std::path::PathBuf>| std::fs::read(path.unwrap()).unwrap();
    assert!(read(laid.certificate()) == read(published.certificate()));
    assert_eq!(files(&out).len(), 3 + 1, "packages and the certificate");
}

#[test]
fn two_runs_give_the_same_bytes() {
    let (one, other) = (World::new(), World::new());
    one.create();
    other.create();
    assert!(files(&one.out()) == files(&other.out()));
    // And a second run in the same place changes nothing, not even files.
    let repomd = one.out().join("os/repodata/repomd.xml");
    let before = std::os::unix::fs::MetadataExt::ino(&repomd.metadata().unwrap());
    one.create();
    assert_eq!(
        std::os::unix::fs::MetadataExt::ino(&repomd.metadata().unwrap()),
        before
    );
    assert!(files(&one.out()) == files(&other.out()));
}

#[test]
fn an_unchanged_package_is_signed_once() {
    let world = World::new();
    world.create();
    let objects = || {
        run(Command::new("find")
            .arg(world.store.dir().join("objects"))
            .args(["-type", "f", "-printf", "%i\n"]))
    };
    let before = objects();
    world.create();
    assert_eq!(objects(), before);
}

#[test]
fn what_went_goes_and_what_broke_is_mended() {
    let mut world = World::new();
    world.create();
    let first = files(&world.out());
    let target = world.out().join("os/Packages/k/kr-base-1.0-1.noarch.rpm");
    flip(&target);
    // What a killed run leaves.
    std::fs::write(
        world.out().join("os/Packages/k/kr-base-1.0-1.noarch.rpm.part"),
        "half",
    )
    .unwrap();
    std::fs::create_dir(world.out().join("os/repodata.part")).unwrap();
    std::fs::write(world.out().join("os/repodata.part/repomd.xml"), "half").unwrap();
    std::fs::create_dir_all(world.out().join("os/Packages/z")).unwrap();
    std::fs::write(world.out().join("os/Packages/z/zold-1-1.noarch.rpm"), "old").unwrap();
    world.create();
    assert!(files(&world.out()) == first);
    assert!(!world.out().join("os/Packages/z").exists() && !world.out().join("os/repodata.part").exists());

    world
        .packages
        .packages
        .retain(|package| package.nevra.name.as_str() != "Upper");
    world.create();
    assert!(!world.out().join("os/Packages/u").exists());
    let report = verify(
        &world.out(),
        Some(&world.certificates()),
        &Silent,
        &Interrupt::default(),
    )
    .unwrap();
    assert!(report.is_good(), "{report:?}");
}

#[test]
fn without_a_key_nothing_is_signed_and_sign_signs_it() {
    let world = World::new();
    let reference = World::new();
    reference.create();
    let interrupt = Interrupt::default();
    let bare = create(
        &world.packages,
        &world.store,
        None,
        &world.out(),
        &Silent,
        &interrupt,
    )
    .unwrap();
    assert_eq!(bare.signed_by, None);
    assert_eq!(bare.certificate(), None);
    open(&world.out(), None, &interrupt).unwrap();
    let refused = open(&world.out(), Some(&world.certificates()), &interrupt);
    assert!(
        matches!(refused, Err(Error::Sign(keel_rpm::sign::Error::Unsigned(_)))),
        "{refused:?}"
    );

    let other = Key::generate("other", NOW).unwrap();
    sign(&world.out(), &world.store, &other, &Silent, &interrupt).unwrap();
    assert!(open(&world.out(), Some(&world.certificates()), &interrupt).is_err());
    let signed = sign(&world.out(), &world.store, &world.key, &Silent, &interrupt).unwrap();
    assert!(
        files(&world.out()) == files(&reference.out()),
        "the same as signed at once"
    );
    assert_eq!(
        open(&world.out(), Some(&world.certificates()), &interrupt).unwrap(),
        signed
    );
}

#[test]
fn names_must_not_lie() {
    let mut world = World::new();
    let mut twin = world.packages.packages[0].clone();
    twin.rpm = world.packages.packages[1].rpm;
    world.packages.packages.push(twin);
    let interrupt = Interrupt::default();
    let make = |world: &World| {
        create(
            &world.packages,
            &world.store,
            None,
            &world.out(),
            &Silent,
            &interrupt,
        )
    };
    assert!(matches!(make(&world), Err(Error::SameName { .. })));
    world.packages.packages.remove(0);
    let result = make(&world);
    assert!(matches!(result, Err(Error::OtherPackage { .. })), "{result:?}");
}

#[test]
fn a_damaged_store_is_not_published() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    let object = world.store.object(&world.packages.packages[0].rpm).unwrap();
    std::fs::set_permissions(&object, std::fs::Permissions::from_mode(0o644)).unwrap();
    let sound = std::fs::read(&object).unwrap();
    let mut flipped = sound.clone();
    *flipped.last_mut().unwrap() ^= 1;
    // Another byte, and less than a header.
    for bytes in [&flipped, &sound[..1000]] {
        std::fs::write(&object, bytes).unwrap();
        let result = create(
            &world.packages,
            &world.store,
            None,
            &world.out(),
            &Silent,
            &Interrupt::default(),
        );
        assert!(matches!(result, Err(Error::Unsound { .. })), "{result:?}");
        assert!(!object.exists(), "it can be made again");
    }
}

#[test]
fn every_package_satisfies_rpm() {
    let world = World::new();
    let repository = world.create();
    let db = world.dir.path().join("db");
    let certificate = repository.certificate().unwrap();
    run(Command::new(tool("rpmkeys", "rpm"))
        .arg("--dbpath")
        .arg(&db)
        .arg("--import")
        .arg(certificate));
    for entry in &repository.packages {
        let mut command = Command::new("rpmkeys");
        command
            .arg("--dbpath")
            .arg(&db)
            .args(["--checksig", "--define", "_pkgverify_level all"])
            .arg(&entry.file);
        let text = run(&mut command);
        assert!(text.contains("signatures OK"), "{text}");
    }
    assert!(
        repository
            .packages
            .iter()
            .any(|entry| entry.section == Section::Source)
    );
}

#[test]
fn an_interrupt_stops_it() {
    let world = World::new();
    let interrupt = Interrupt::default();
    interrupt.set();
    let result = create(
        &world.packages,
        &world.store,
        None,
        &world.out(),
        &Silent,
        &interrupt,
    );
    assert!(matches!(result, Err(Error::Interrupted(_))));
}
