//! Containers, judged by skopeo, umoci and rpm.

use std::{fs, os::unix::fs::MetadataExt as _, os::unix::fs::PermissionsExt as _};

use std::{collections::BTreeMap, path::Path};

use keel_config::image::{Format, Layers};

use crate::fixture::{Packages, Place, digests, image, is_root, is_root_or_says, judge, tool};

const FORMATS: [Format; 2] = [Format::Oci, Format::OciArchive];

#[test]
fn readers_of_containers_agree() {
    let place = Place::new();
    let built = place
        .build(&image("box", &["tool"], &FORMATS), &Packages::base())
        .unwrap();
    assert_eq!(built.packages.len(), 2);
    let layout = format!("{}:0.1", built.file(Format::Oci).unwrap().display());
    let archive = format!("{}:0.1", built.file(Format::OciArchive).unwrap().display());
    let one = judge("skopeo", &["skopeo", "inspect", &format!("oci:{layout}")]);
    let other = judge(
        "skopeo",
        &["skopeo", "inspect", &format!("oci-archive:{archive}")],
    );
    assert_eq!(one, other);
    for text in [
        "\"Architecture\": \"amd64\"",
        "2026-01-01T00:00:00Z",
        "\"LANG=C.UTF-8\"",
        "\"PATH=/usr/bin\"",
    ] {
        assert!(one.contains(text), "{text} in {one}");
    }
    let config = judge(
        "skopeo",
        &["skopeo", "inspect", "--config", &format!("oci:{layout}")],
    );
    for text in ["/bin/tool", "--help", "\"daemon\"", "/tmp"] {
        assert!(config.contains(text), "{text} in {config}");
    }

    let bundle = place.dir.path().join("bundle");
    unpack(&layout, &bundle);
    let root = bundle.join("rootfs");
    let at = |name: &str| root.join(name);
    assert_eq!(fs::read_link(at("bin")).unwrap().to_str(), Some("usr/bin"));
    assert_eq!(fs::read_to_string(at("usr/lib64/data")).unwrap(), "data\n");
    assert_eq!(fs::read_to_string(at("usr/bin/other")).unwrap(), "#!/bin/sh\n");
    assert_eq!(
        fs::read_link(at("etc/os-release")).unwrap().to_str(),
        Some("../usr/lib/os-release")
    );
    assert!(at(&format!("usr/share/tool/{0}/{0}", "a".repeat(120))).is_file());
    assert!(at("usr/share/tool/ünï").is_file());
    assert_eq!(
        fs::metadata(at("tmp")).unwrap().permissions().mode() & 0o7777,
        0o1777
    );
    let passwd = fs::read_to_string(at("etc/passwd")).unwrap();
    assert_eq!(
        passwd,
        "root:x:0:0:Super User:/root:/usr/sbin/nologin\ndaemon:x:2:2:A daemon:/var:/usr/sbin/nologin\n"
    );
    let secret = fs::metadata(at("usr/share/tool/secret")).unwrap();
    assert_eq!(secret.permissions().mode() & 0o7777, 0o640);
    if is_root_or_says("umoci unpacks owners and capabilities as they should be") {
        assert_eq!((secret.uid(), secret.gid()), (2, 5));
        let caps = judge("libcap2-bin", &["getcap", &at("usr/bin/tool").to_string_lossy()]);
        assert!(caps.contains("cap_net_raw=ep"), "{caps}");
    }

    // rpm's own view of the tree that it never installed.
    let root = root.to_string_lossy();
    let rpm = |action: &str| {
        let mut argv = if is_root() { vec![] } else { vec!["unshare", "-r"] };
        argv.extend([
            "rpm",
            "--root",
            &root,
            "--dbpath",
            "/usr/lib/sysimage/rpm",
            "--nosignature",
            action,
        ]);
        argv.extend(if is_root() {
            &[][..]
        } else {
            &["--nouser", "--nogroup", "--nocaps"]
        });
        let output = tool("rpm", &argv);
        let mut lines: Vec<_> = String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(str::to_owned)
            .collect();
        lines.sort();
        lines
    };
    assert_eq!(rpm("-qa"), ["base-1-1.noarch", "tool-1-1.noarch"]);
    assert_eq!(rpm("-Va"), Vec::<String>::new());
}

#[test]
fn two_builds_are_the_same_and_a_third_is_not_needed() {
    let packages = Packages::base();
    let image = image("box", &["tool"], &FORMATS);
    let (one, other) = (Place::new(), Place::new());
    let first = one.build(&image, &packages).unwrap();
    let second = other.build(&image, &packages).unwrap();
    assert_eq!(digests(&first.dir), digests(&second.dir));
    assert_eq!(first.tree, second.tree);

    let written = |name: &str| fs::metadata(first.dir.join(name)).unwrap().modified().unwrap();
    let before = written("manifest.json");
    one.build(&image, &packages).unwrap();
    assert_eq!(
        before,
        written("manifest.json"),
        "nothing changed, nothing is written"
    );
    fs::write(first.dir.join("box.oci.tar"), "half").unwrap();
    one.build(&image, &packages).unwrap();
    assert_ne!(before, written("manifest.json"));
    assert_eq!(
        digests(&first.dir),
        digests(&second.dir),
        "a damaged file is made again"
    );
    assert_eq!(
        fs::read_dir(one.out()).unwrap().count(),
        1,
        "nothing is left beside the image"
    );
    let sums = first.dir.to_string_lossy();
    judge(
        "coreutils",
        &["sh", "-c", &format!("cd {sums} && sha256sum -c SHA256SUMS")],
    );
}

/// umoci makes a bundle of an image.
fn unpack(layout: &str, bundle: &Path) {
    let bundle = bundle.to_string_lossy();
    let mut argv = vec!["umoci", "unpack", "--image", layout];
    argv.extend(if is_root() { None } else { Some("--rootless") });
    judge("umoci", &[&argv[..], &[&bundle]].concat());
}

/// Packages of one large program, and of two small ones, of the given version.
fn with_large(packages: &mut Packages, large: u32, small: u32) {
    let install = format!("mkdir -p usr/bin; yes {large} | head -c 2000000 > usr/bin/large");
    packages.add("large", "", &install, "/usr/bin/large");
    let install = format!("mkdir -p usr/bin; echo {small} > usr/bin/small");
    packages.add("small", "", &install, "/usr/bin/small");
    packages.add(
        "other",
        "",
        "mkdir -p usr/bin; echo > usr/bin/also",
        "/usr/bin/also",
    );
}

/// Digests of the layers of an image, as skopeo has them.
fn layers(layout: &str) -> Vec<String> {
    let said = judge("skopeo", &["skopeo", "inspect", &format!("oci:{layout}")]);
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    let layers = said["Layers"].as_array().unwrap().iter();
    layers.map(|layer| layer.as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_update_of_a_package_changes_its_layer_and_the_last() {
    let names = ["tool", "large", "small", "other"];
    let built = |large, small| {
        let mut packages = Packages::base();
        with_large(&mut packages, large, small);
        let place = Place::new();
        let built = place.build(&image("box", &names, &FORMATS), &packages).unwrap();
        let layout = format!("{}:0.1", built.file(Format::Oci).unwrap().display());
        (layers(&layout), place)
    };
    let (first, _place) = built(1, 1);
    assert!(first.len() >= 4, "{first:?}");
    for (large, small) in [(2, 1), (1, 2)] {
        let (second, _place) = built(large, small);
        let new: Vec<usize> = (0..second.len())
            .filter(|at| !first.contains(&second[*at]))
            .collect();
        // The last has rpm's database, which names every package.
        assert_eq!(new.len(), 2, "{first:?} {second:?}");
        assert_eq!(new[1], second.len() - 1);
    }
}

#[test]
fn many_layers_are_the_same_tree_as_one() {
    let mut packages = Packages::base();
    with_large(&mut packages, 1, 1);
    let place = Place::new();
    let mut trees = Vec::new();
    for (name, cut) in [("many", Layers::Packages), ("one", Layers::One)] {
        let mut image = image(name, &["tool", "large", "small"], &[Format::Oci]);
        image.container.as_mut().unwrap().layers = cut;
        let built = place.build(&image, &packages).unwrap();
        let layout = format!("{}:0.1", built.file(Format::Oci).unwrap().display());
        assert_eq!(layers(&layout).len() > 1, cut == Layers::Packages);
        let bundle = place.dir.path().join(name);
        unpack(&layout, &bundle);
        trees.push((built.tree, listing(&bundle.join("rootfs"))));
    }
    assert!(trees[0].1.len() > 20);
    assert_eq!(trees[0], trees[1]);
}

/// Type, mode, owner, time and content of everything under a folder.
fn listing(root: &Path) -> BTreeMap<String, String> {
    let root = root.to_string_lossy();
    let list = judge(
        "findutils",
        &["find", &root, "-printf", "%P %y %m %U %G %T@ %l\n"],
    );
    let mut all: BTreeMap<String, String> = (list.lines())
        .map(|line| line.split_once(' ').unwrap())
        .map(|(path, meta)| (path.to_owned(), meta.to_owned()))
        .collect();
    for (path, digest) in digests(Path::new(root.as_ref())) {
        // Under links to folders there is what is told elsewhere.
        all.entry(path).and_modify(|meta| meta.push_str(&digest.to_hex()));
    }
    all
}
