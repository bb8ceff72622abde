//! What is published already: whole, damaged, of other bytes.

use keel_artefact::{Epoch, Interrupt, PackageArch, Sha256};
use keel_build::{Kind, Packages};
use keel_repo::{Standing, other_bytes, recover, standing};
use keel_rpm::sign::Key;
use keel_store::Store;

use crate::fixture::{World, flip};

fn look(world: &World) -> Standing {
    standing(&world.out(), &Interrupt::default()).unwrap()
}

fn others(world: &World, packages: &Packages, key: &Key) -> Vec<String> {
    let others = other_bytes(&look(world), packages, &world.store, key, &Interrupt::default());
    others.unwrap().iter().map(ToString::to_string).collect()
}

/// N14: what is damaged is named, and what is published again is whole.
#[test]
fn damage_is_told_and_mended() {
    let world = World::new();
    assert!(look(&world).whole.is_empty(), "nothing is there yet");
    let repository = world.create();
    let whole = look(&world);
    assert_eq!(
        (whole.whole, whole.damaged),
        (repository.packages.clone(), vec![])
    );
    let [one, other, third] = [0, 1, 4].map(|index| repository.packages[index].file.clone());
    flip(&one);
    std::fs::write(&other, "no package").unwrap();
    std::fs::remove_file(&third).unwrap();
    let found = look(&world);
    assert_eq!(found.whole.len(), 4);
    let told: Vec<String> = found.damaged.iter().map(ToString::to_string).collect();
    for (file, why) in [
        (&one, "its digest is"),
        (&other, "it has 10 bytes"),
        (&third, "it is gone"),
    ] {
        let start = format!("{} is damaged: {why}", file.display());
        assert!(
            told.iter().any(|line| line.starts_with(&start)),
            "{start}: {told:?}"
        );
    }
    assert_eq!(world.create(), repository);
    assert!(look(&world).damaged.is_empty());
    let manifest = world.out().join("os/repodata/repomd.xml");
    std::fs::write(&manifest, "<").unwrap();
    let found = look(&world);
    assert_eq!((found.damaged.len(), found.installable().count()), (1, 0));
    assert_eq!(world.create(), repository);
}

/// N13: a name is told that gets other bytes, whoever signed the ones that are there.
#[test]
fn a_name_with_other_bytes_is_found_whatever_key_signed_it() {
    let world = World::new();
    world.create();
    let stranger = Key::generate("Another <other@localhost>", Epoch(1_700_000_000)).unwrap();
    assert_eq!(others(&world, &world.packages, &world.key), Vec::<String>::new());
    assert_eq!(others(&world, &world.packages, &stranger), Vec::<String>::new());
    let mut packages = world.packages.clone();
    let base = |name: &str| {
        let mut all = world.packages.packages.iter();
        let is_it = |package: &&keel_build::BuiltPackage| {
            package.nevra.name.as_str() == name && package.kind == Kind::Binary
        };
        all.find(|package| is_it(package)).unwrap().clone()
    };
    let changed = packages
        .packages
        .iter_mut()
        .find(|package| package.nevra.name.as_str() == "kr-base" && package.kind == Kind::Binary)
        .unwrap();
    changed.rpm = base("Upper").rpm;
    assert_eq!(others(&world, &packages, &stranger), ["kr-base-1.0-1.noarch"]);
}

/// N9: a source package that the store lost comes back from the repository, if it is the one.
#[test]
fn a_published_source_package_comes_back() {
    let world = World::new();
    world.create();
    let mut sources = world.packages.packages.iter();
    let source = sources.find(|package| package.kind == Kind::Source).unwrap();
    assert_eq!(source.nevra.arch, PackageArch::Src);
    let other = tempfile::tempdir().unwrap();
    let store = Store::open(other.path()).unwrap();
    let from = |digest: &Sha256| recover(&world.out(), &source.nevra, digest, &store).unwrap();
    assert!(!from(&Sha256::of(b"another")));
    assert!(from(&source.rpm));
    store.verify(&source.rpm).unwrap();
}
