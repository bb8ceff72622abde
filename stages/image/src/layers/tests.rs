//! Tests of `layers.rs`.

use keel_artefact::Interrupt;

use super::*;
use crate::tree::{
    File,
    tests::{path, tree},
};

/// A tree of packages `(name, bytes)`, each with two files in folders of its own and in one that all share.
fn packages(list: &[(&str, usize)]) -> Tree {
    let files: Vec<(String, String, String)> = list
        .iter()
        .flat_map(|(name, size)| {
            let from = format!("{name}-1-1.noarch");
            [
                (format!("/usr/bin/{name}"), "x".repeat(*size), from.clone()),
                (format!("/usr/share/{name}/doc"), name.to_string(), from),
            ]
        })
        .collect();
    let entries: Vec<(&str, &str)> = files
        .iter()
        .map(|(at, content, _)| (at.as_str(), content.as_str()))
        .collect();
    let mut tree = tree(&entries);
    for node in tree.values_mut() {
        node.from = FINALISER.into();
    }
    for (at, _, from) in &files {
        let at = path(at);
        tree.get_mut(&at).unwrap().from = from.as_str().into();
        if at.as_str().starts_with("/usr/share/") {
            tree.get_mut(&at.parent().unwrap()).unwrap().from = from.as_str().into();
        }
    }
    tree.add_parents(&path("/etc/x"), 1000, &FINALISER.into());
    let passwd = tree.get(&path("/usr")).unwrap().clone();
    let kind = Kind::File(File::of(format!("{} packages", list.len()).into_bytes()));
    tree.insert(path("/etc/passwd"), Node { kind, ..passwd });
    tree
}

fn by_name(tree: &Tree) -> Vec<Layer<'_>> {
    let froms = tree.nodes().values().map(|node| node.from.to_string());
    let sources = froms.map(|from| (from.clone(), from.split('-').next().unwrap().to_owned()));
    by_package(tree, &sources.collect())
}

fn keys(tree: &Tree) -> BTreeMap<String, Sha256> {
    by_name(tree)
        .iter()
        .map(|layer| (layer.title.clone(), key(layer)))
        .collect()
}

const SOME: [(&str, usize); 5] = [
    ("bash", 2 << 20),
    ("glibc", 3 << 20),
    ("tzdata", 100),
    ("sed", 200),
    ("grep", 300),
];

#[test]
fn layers_one_over_the_other_are_the_tree() {
    let tree = packages(&SOME);
    let layers = by_name(&tree);
    assert_eq!(
        (layers[0].title.as_str(), layers[1].title.as_str()),
        ("bash", "glibc")
    );
    assert_eq!(layers.last().unwrap().title, "the image itself");
    let mut all: BTreeMap<&RootPath, Node> = BTreeMap::new();
    for layer in &layers {
        let mut here = BTreeSet::new();
        for (path, node) in &layer.nodes {
            assert!(
                path.parent().is_none_or(|parent| here.contains(&parent)),
                "{path}"
            );
            here.insert((*path).clone());
            let there = all.insert(path, node.clone().into_owned());
            assert!(
                there.is_none_or(|there| matches!(there.kind, Kind::Dir) && matches!(node.kind, Kind::Dir)),
                "{path} is in two layers"
            );
        }
    }
    let digest = |nodes: &mut dyn Iterator<Item = (&RootPath, &Node)>| {
        let mut all = Fingerprint::new("test");
        nodes.for_each(|(path, node)| node.add_to(path, &mut all));
        all.finish()
    };
    assert_eq!(
        digest(&mut all.iter().map(|(path, node)| (*path, node))),
        digest(&mut tree.nodes().iter())
    );
}

#[test]
fn an_update_changes_the_layer_of_its_package() {
    let before = keys(&packages(&SOME));
    for (changed, size, wanted) in [("bash", 5 << 20, 1), ("sed", 250, 1), ("sed", BIG as usize, 2)] {
        let mut list = SOME;
        list.iter_mut().find(|(name, _)| *name == changed).unwrap().1 = size;
        let after = keys(&packages(&list));
        let differ: Vec<&String> = after
            .iter()
            .filter(|(title, key)| before.get(*title) != Some(key))
            .map(|(title, _)| title)
            .collect();
        // One that grows large leaves the layer that it shared, if anybody is left there.
        assert!(
            differ.len() <= wanted && !differ.is_empty(),
            "{changed}: {differ:?}"
        );
        assert!(
            differ
                .iter()
                .all(|title| title.contains("sed") || *title == changed),
            "{differ:?}"
        );
    }
}

#[test]
fn there_are_never_too_many_layers() {
    let big: Vec<String> = (0..60).map(|number| format!("big{number}")).collect();
    let small: Vec<String> = (0..300).map(|number| format!("small{number}")).collect();
    let all: Vec<(&str, usize)> = (big.iter().map(|name| (name.as_str(), BIG as usize)))
        .chain(small.iter().map(|name| (name.as_str(), 10)))
        .collect();
    let tree = packages(&all);
    let layers = by_name(&tree);
    assert_eq!(layers.len(), OWN + SHARED as usize + 1);
    let single = layers.iter().filter(|layer| big.contains(&layer.title)).count();
    assert_eq!(single, OWN);
}

#[test]
fn layers_are_the_same_on_one_core_and_on_all_and_come_from_the_store() {
    let tree = packages(&SOME);
    let layers = by_name(&tree);
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (one, other) = (
        Store::open(one.path()).unwrap(),
        Store::open(other.path()).unwrap(),
    );
    let single: Vec<Packed> = layers
        .iter()
        .map(|layer| pack_one(&tree, layer, &one).unwrap())
        .collect();
    let interrupt = Interrupt::default();
    assert_eq!(pack(&tree, &layers, &other, &interrupt).unwrap(), single);

    // The same again, of a tree whose contents cannot be read any more: nothing is compressed.
    let mut empty = Tree::new(crate::tree::Spool::empty(), 1000);
    for (path, node) in tree.nodes() {
        empty.insert(path.clone(), node.clone());
    }
    let again = by_name(&empty);
    assert_eq!(pack(&empty, &again, &other, &interrupt).unwrap(), single);
    let object = other.object(&single[0].digest).unwrap();
    fs_err::set_permissions(&object, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    fs_err::write(&object, "damaged").unwrap();
    assert!(
        pack(&empty, &again, &other, &interrupt).is_err(),
        "it would have to be read"
    );
    assert_eq!(
        pack(&tree, &layers, &other, &interrupt).unwrap(),
        single,
        "it is made again"
    );
}

#[test]
fn packages_go_where_their_source_goes() {
    for (file, wanted) in [
        ("ncurses-6.5-1.kl1.src.rpm", Some("ncurses")),
        ("perl-libs-5-1.src.rpm", Some("perl-libs")),
        ("odd", None),
    ] {
        assert_eq!(source_name(file), wanted);
    }
}
