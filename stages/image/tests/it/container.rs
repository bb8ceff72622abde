//! Containers, judged by skopeo, umoci and rpm.

use std::{fs, os::unix::fs::MetadataExt as _, os::unix::fs::PermissionsExt as _};

use keel_config::image::Format;

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
    let bundle_name = bundle.to_string_lossy();
    let mut argv = vec!["umoci", "unpack", "--image", &layout];
    argv.extend(if is_root() { None } else { Some("--rootless") });
    judge("umoci", &[&argv[..], &[&bundle_name]].concat());
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
