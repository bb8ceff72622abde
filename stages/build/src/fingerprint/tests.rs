use std::collections::BTreeMap;

use keel_artefact::{Arch, ComponentName, Epoch};
use keel_plan::{CostFrom, Why};
use keel_source::{PinnedFile, SourceSet};
use keel_spec::Recipe;

use super::*;

/// A job of one package, its component's; it needs nothing.
pub(crate) fn job(name: &str, version: &str) -> Job {
    let component: ComponentName = name.parse().unwrap();
    let evr: keel_artefact::Evr = format!("{version}-1").parse().unwrap();
    let file = |name: &str, text: &str| PinnedFile {
        name: name.to_owned(),
        digest: Sha256::of(text.as_bytes()),
        size: 1,
        kind: keel_source::Kind::Local,
        locked: true,
        origin: None,
        overlaid: None,
    };
    Job {
        component: component.clone(),
        arch: Arch::X86_64,
        recipe: Recipe {
            format: keel_spec::FORMAT,
            component: component.clone(),
            arch: Arch::X86_64,
            name: name.parse().unwrap(),
            evr: evr.clone(),
            spec_digest: Sha256::of(format!("{name} {version}").as_bytes()),
            spec_file: "/p/a.spec".into(),
            spec_shown: "a.spec".into(),
            macros_digest: Sha256::of(b"macros"),
            source_date_epoch: Epoch(0),
            licence: "MIT".into(),
            noarch: false,
            build_requires: vec![],
            packages: vec![keel_spec::RecipePackage {
                nevra: keel_artefact::Nevra {
                    name: name.parse().unwrap(),
                    evr,
                    arch: keel_artefact::PackageArch::Noarch,
                },
                provides: vec![],
                requires: vec![],
                conflicts: vec![],
                obsoletes: vec![],
                recommends: vec![],
                supplements: vec![],
                summary: String::new(),
            }],
            sources: vec![],
            defines: BTreeMap::from([("_with_x".to_owned(), "1".to_owned())]),
            undefines: vec!["u".to_owned()],
            rebuild: 0,
            generates: None,
            has_check: false,
        },
        sources: SourceSet {
            format: keel_source::FORMAT,
            component,
            arch: Arch::X86_64,
            files: vec![file("z.tar", "z"), file("a.patch", "a")],
        },
        needs: vec![],
        after: vec![],
        direct: vec![],
        generated: vec![],
        lent: vec![],
        bootstrap_libc: true,
        borrowed_libc: false,
        skip_check: false,
        skip: None,
        why: Why::Asked,
        because: BTreeMap::new(),
        cpu_seconds: 20.0,
        wall_seconds: None,
        hinted_seconds: 1.0,
        memory: None,
        peak_memory: None,
        expensive: false,
        cost_from: CostFrom::Guess,
    }
}

/// The fingerprints of build/5 are in stores everywhere: each input, in this order, with these labels.
#[test]
fn fingerprints_are_those_of_all_stores() {
    let (job, stage0) = (job("demo", "1"), Sha256::of(b"stage0"));
    let root = [BuiltPackage {
        nevra: "demo"
            .parse()
            .map(|name| keel_artefact::Nevra {
                name,
                evr: "1:2-3".parse().unwrap(),
                arch: keel_artefact::PackageArch::Noarch,
            })
            .unwrap(),
        component: "demo".parse().unwrap(),
        kind: crate::Kind::Binary,
        rpm: Sha256::of(b"rpm"),
        size: 1,
        epoch: Epoch(0),
        scriptlets: false,
    }];
    let mut print = Fingerprint::new("build/5");
    print.add("arch", "x86_64").add("component", "demo");
    print.add_digest("spec", &Sha256::of(b"demo 1"));
    print.add_digest("macros", &Sha256::of(b"macros"));
    print.add("define", "_with_x").add("value", "1");
    print
        .add("source", "a.patch")
        .add_digest("bytes", &Sha256::of(b"a"));
    print
        .add("source", "z.tar")
        .add_digest("bytes", &Sha256::of(b"z"));
    print.add_digest("stage0", &stage0);
    print.add("undefine", "u");
    print.add("skip-check", [0]).add("borrowed-libc", [0]);
    print.add("bootstrap-libc", [1]);
    print.add("package", "demo-1:2-3.noarch");
    print.add_digest("rpm", &Sha256::of(b"rpm"));
    assert_eq!(of(&inputs(&job, &stage0, &root, None, &[])), print.finish());
    // Where a package has scriptlets, what they made is seen, too.
    let made = Sha256::of(b"made");
    print.add_digest("scriptlets", &made);
    assert_eq!(of(&inputs(&job, &stage0, &root, Some(made), &[])), print.finish());
}
