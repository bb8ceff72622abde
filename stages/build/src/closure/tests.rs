use std::time::Duration;

use keel_artefact::{Epoch, Nevra, PackageArch, Provide, Sha256};

use super::*;
use crate::{
    Kind,
    built::{self, Links, Output},
};

/// A component of one package, which provides itself and more.
fn built(name: &str, provides: &[&str], requires: &[&str], files: &[&str]) -> Arc<Built> {
    let digest = Sha256::of(name.as_bytes());
    let nevra = Nevra {
        name: name.parse().unwrap(),
        evr: "1.0-1".parse().unwrap(),
        arch: PackageArch::Noarch,
    };
    let provide = |name: &&str| Provide {
        name: (*name).to_owned(),
        evr: None,
    };
    let mut all = vec![Provide {
        name: name.to_owned(),
        evr: Some(nevra.evr.clone()),
    }];
    all.extend(provides.iter().map(provide));
    let package = BuiltPackage {
        nevra,
        component: name.parse().unwrap(),
        kind: Kind::Binary,
        rpm: digest,
        size: 1,
        epoch: Epoch(0),
    };
    let output = Output {
        package,
        provides: all,
        requires: requires.iter().map(|text| text.parse().unwrap()).collect(),
        files: files.iter().map(|file| (*file).to_owned()).collect(),
    };
    Arc::new(Built {
        format: built::FORMAT,
        fingerprint: digest,
        outputs: vec![output],
        root: Vec::new(),
        log: digest,
        wall: Duration::ZERO,
        cpu: Duration::ZERO,
        memory: 0,
        links: Links::default(),
        generated: vec![],
        checked: None,
    })
}

fn names(asked: &[&str], candidates: &[Arc<Built>]) -> Result<Vec<String>, Unmet> {
    let asked: Vec<Dependency> = asked.iter().map(|text| text.parse().unwrap()).collect();
    let lent = |name: &str| matches!(name, "gcc" | "/usr/bin/sh");
    let packages = close(&asked, candidates, &lent)?;
    Ok(packages
        .iter()
        .map(|package| package.nevra.name.to_string())
        .collect())
}

#[test]
fn requirements_are_followed_through_sonames_files_and_versions() {
    let candidates = [
        built(
            "zlib",
            &["libz.so.1()(64bit)"],
            &["libc.so.6()(64bit)", "rpmlib(X) <= 1"],
            &[],
        ),
        built("zlib-devel", &[], &["zlib = 1.0-1", "/usr/bin/sh"], &[]),
        built("glibc", &["libc.so.6()(64bit)"], &[], &[]),
        built("bash", &[], &["libc.so.6()(64bit)"], &["/usr/bin/sh"]),
    ];
    assert_eq!(
        names(&["zlib-devel", "gcc"], &candidates).unwrap(),
        ["glibc", "zlib", "zlib-devel"]
    );
    assert_eq!(
        names(&["/usr/bin/sh"], &candidates).unwrap(),
        ["bash", "glibc"],
        "asked for by the SPEC itself"
    );
}

#[test]
fn what_nothing_provides_is_named_with_who_asks() {
    let candidates = [built("a", &[], &["libq.so.2()(64bit)"], &[])];
    let unmet = names(&["a"], &candidates).unwrap_err();
    assert_eq!(unmet.requirement.name, "libq.so.2()(64bit)");
    assert_eq!(unmet.by.unwrap().as_str(), "a");
    assert!(names(&["a >= 2"], &candidates).is_err());
}

#[test]
fn the_shortest_name_wins_whatever_the_order() {
    let two = [
        built("zlib-ng", &["libz.so.1()(64bit)"], &[], &[]),
        built("zlib", &["libz.so.1()(64bit)"], &[], &[]),
    ];
    assert_eq!(names(&["libz.so.1()(64bit)"], &two).unwrap(), ["zlib"]);
    let turned = [Arc::clone(&two[1]), Arc::clone(&two[0])];
    assert_eq!(names(&["libz.so.1()(64bit)"], &turned).unwrap(), ["zlib"]);
}
