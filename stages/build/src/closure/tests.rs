use std::time::Duration;

use keel_artefact::{Epoch, Nevra, PackageArch, Provide, Sha256};

use super::*;
use crate::{
    Kind,
    built::{self, Links, Output},
};

/// A component of one package, which provides itself and more.
pub(crate) fn built(name: &str, provides: &[&str], requires: &[&str], files: &[&str]) -> Arc<Built> {
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
        scriptlets: false,
    };
    let output = Output {
        package,
        provides: all,
        requires: requires.iter().map(|text| text.parse().unwrap()).collect(),
        conflicts: vec![],
        obsoletes: vec![],
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
        scriptlets: None,
        generated: vec![],
        checked: None,
    })
}

fn names(asked: &[&str], candidates: &[Arc<Built>]) -> Result<Vec<String>, Error> {
    let asked: Vec<Dependency> = asked.iter().map(|text| text.parse().unwrap()).collect();
    let lent = |name: &str| matches!(name, "gcc" | "/usr/bin/sh");
    let packages = close(&asked, candidates, &lent, &Interrupt::default())?;
    Ok(packages
        .iter()
        .map(|package| package.nevra.name.to_string())
        .collect())
}

/// The same candidates in another order give the same root.
fn either_way(asked: &[&str], candidates: &[Arc<Built>]) -> Result<Vec<String>, Error> {
    let turned: Vec<Arc<Built>> = candidates.iter().rev().map(Arc::clone).collect();
    let first = names(asked, candidates);
    assert_eq!(
        first,
        names(asked, &turned),
        "the order of candidates must not matter"
    );
    first
}

pub(crate) fn with(built: Arc<Built>, change: impl Fn(&mut Output)) -> Arc<Built> {
    let mut new = Built::clone(&built);
    change(&mut new.outputs[0]);
    Arc::new(new)
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
    let candidates = [
        built("a", &[], &["libq.so.2()(64bit)"], &[]),
        built("b", &[], &["(x and libr.so.1)", "a"], &[]),
    ];
    assert_eq!(
        names(&["b", "a >= 2"], &candidates).unwrap_err().to_string(),
        "nothing provides `a >= 2`, which the SPEC requires; nothing provides `libq.so.2()(64bit)`, which `a` in the build \
         root requires; nothing provides `(x and libr.so.1)`, which `b` in the build root requires"
    );
}

#[test]
fn of_two_providers_the_asked_name_then_the_shortest_wins_whatever_the_order() {
    let two = [
        built("zlib-ng", &["libz.so.1()(64bit)"], &[], &[]),
        built("zlib", &["libz.so.1()(64bit)"], &[], &[]),
    ];
    assert_eq!(either_way(&["libz.so.1()(64bit)"], &two).unwrap(), ["zlib"]);
    let named = [
        built("m4", &["flex-tool"], &[], &[]),
        built("flex-tool", &[], &[], &[]),
    ];
    assert_eq!(either_way(&["flex-tool"], &named).unwrap(), ["flex-tool"]);
}

#[test]
fn boolean_requirements_of_specs_and_of_packages() {
    let candidates = [
        with(
            built("tool", &["cap"], &["(locale if glibc)", "(shell or gcc)"], &[]),
            |_| (),
        ),
        built("glibc", &[], &[], &[]),
        built("locale", &[], &[], &[]),
        built("other", &["cap", "extra"], &[], &[]),
        built("shell", &[], &[], &[]),
    ];
    for (asked, root) in [
        (&["tool"][..], &["tool"][..]),
        (&["tool", "glibc"], &["glibc", "locale", "tool"]),
        (&["(tool or other)"], &["tool"]),
        (&["(cap with extra)"], &["other"]),
        (&["(cap without extra)"], &["tool"]),
        (&["(locale and shell)"], &["locale", "shell"]),
        // `gcc` is lent: the condition holds.
        (&["(locale if gcc)"], &["locale"]),
        (&["(locale if nobody)"], &[]),
        (&["(locale if nobody else shell)"], &["shell"]),
        (&["(locale unless nobody)"], &["locale"]),
        (&["(locale unless gcc else shell)"], &["shell"]),
    ] {
        assert_eq!(either_way(asked, &candidates).unwrap(), root, "{asked:?}");
    }
}

/// A path in an expression is found among files, whether or not another package names it.
#[test]
fn a_path_in_an_expression_is_a_file() {
    let tool = built("tool", &[], &[], &["/usr/bin/tool"]);
    let root = either_way(&["(/usr/bin/tool or nothing)"], &[tool]);
    assert_eq!(root.unwrap(), ["tool"]);
}

#[test]
fn conflicts_and_obsoletes_hold_in_a_root_and_say_who_is_against_whom() {
    let candidates = [
        with(built("a", &[], &[], &[]), |output| {
            output.conflicts = vec!["b".parse().unwrap()]
        }),
        built("b", &[], &[], &[]),
        with(built("new", &["cap"], &[], &[]), |output| {
            output.obsoletes = vec!["old < 2".parse().unwrap()]
        }),
        built("old", &["cap"], &[], &[]),
        built("x", &[], &["cap"], &[]),
        // What stage0 lends is in nobody's way.
        with(built("y", &[], &["gcc"], &[]), |output| {
            output.conflicts = vec!["gcc".parse().unwrap()]
        }),
    ];
    assert_eq!(
        either_way(&["a", "b"], &candidates).unwrap_err().to_string(),
        "the packages of the build root cannot be installed together\n    asked for: install a\n    asked for: install b\n    \
         a-1.0-1.noarch conflicts with b-1.0-1.noarch"
    );
    assert!(matches!(
        either_way(&["new", "old"], &candidates),
        Err(Error::Apart(_))
    ));
    assert_eq!(either_way(&["x"], &candidates).unwrap(), ["new", "x"]);
    assert_eq!(either_way(&["y"], &candidates).unwrap(), ["y"]);
}
