use super::*;

fn capability(text: &str) -> Capability {
    let words: Vec<&str> = match text.starts_with('(') {
        true => vec![text],
        false => text.split(' ').collect(),
    };
    let version = match words.as_slice() {
        [_, op, version] => {
            let comparison = match *op {
                "=" => Comparison::Equal,
                ">=" => Comparison::GreaterOrEqual,
                _ => Comparison::Less,
            };
            Some((comparison, (*version).to_owned()))
        }
        _ => None,
    };
    Capability {
        name: words[0].to_owned(),
        version,
    }
}

/// A SPEC that makes one package of its name, version 1.0-1.
fn node(name: &str, build_requires: &[&str], provides: &[&str], requires: &[&str]) -> Node {
    let own = format!("{name} = 1.0-1");
    let provides = [own.as_str()].into_iter().chain(provides.iter().copied());
    Node {
        spec: format!("{name}/{name}.spec"),
        build_requires: build_requires.iter().map(|text| capability(text)).collect(),
        packages: vec![Package {
            name: name.to_owned(),
            provides: provides.map(capability).collect(),
            requires: requires.iter().map(|text| capability(text)).collect(),
        }],
        ..Node::default()
    }
}

fn distribution() -> Vec<Node> {
    vec![
        node("make", &["gcc", "sh"], &[], &["glibc", "make"]),
        node("gcc", &["glibc", "make >= 2.0"], &[], &["glibc"]),
        node("glibc", &["gcc", "rpmlib(X) = 1"], &["libc"], &[]),
        node("dash", &["make", "pkgconfig(x)"], &["sh"], &["libc", "/bin/x"]),
        node("bash", &["(make or ninja)", "pkgconfig(x)"], &["sh"], &["libc"]),
        Node {
            exclusive_arch: vec!["riscv64".into()],
            ..node("other", &["make"], &[], &[])
        },
    ]
}

#[test]
fn graphs_are_counted() {
    let analysis = analyse(&distribution(), "x86_64");
    let report = &analysis.report;
    assert_eq!(
        (report.specs, report.packages, report.provides, report.requires),
        (5, 5, 8, 6)
    );
    assert_eq!(report.skipped, ["other/other.spec"]);
    let seen = &report.build_requires;
    assert_eq!(
        (seen.entries, seen.capabilities, seen.rich, seen.ambiguous),
        (9, 10, 1, 1)
    );
    // bash comes before dash, so `sh` is bash's.
    assert_eq!(report.ambiguous[0].specs, ["bash/bash.spec", "dash/dash.spec"]);
    let circle = [
        "bash/bash.spec",
        "gcc/gcc.spec",
        "glibc/glibc.spec",
        "make/make.spec",
    ];
    assert_eq!(report.build.cycles, [circle.map(str::to_owned).to_vec()]);
    assert_eq!(
        (report.build.nodes, report.build.edges, report.build.depth),
        (5, 7, 2)
    );
    assert_eq!(
        (report.run.nodes, report.run.edges, report.run.self_loops),
        (5, 5, 1)
    );
    assert_eq!((report.build_and_run.nodes, report.build_and_run.edges), (10, 17));
    assert_eq!(report.most_needed[0], ("make/make.spec".to_owned(), 3));
}

#[test]
fn what_nobody_provides_is_named_with_who_asks() {
    let report = analyse(&distribution(), "x86_64").report;
    let [first, second] = report.build_requires.unresolved.as_slice() else {
        panic!("{:?}", report.build_requires.unresolved);
    };
    assert_eq!((first.name.as_str(), first.kind), ("pkgconfig(x)", "pkgconfig()"));
    assert_eq!(first.asked_by, ["bash/bash.spec", "dash/dash.spec"]);
    assert_eq!((second.name.as_str(), second.kind), ("ninja", "name"));
    assert_eq!(report.run_unresolved[0].name, "/bin/x");
    let [unfit] = report.build_requires.unfit.as_slice() else {
        panic!("{:?}", report.build_requires.unfit);
    };
    assert_eq!(unfit.wanted, "make >= 2.0");
    assert_eq!(unfit.provided, ["make = 1.0-1"]);
    assert_eq!(unfit.asked_by, ["gcc/gcc.spec"]);
}

#[test]
fn reports_can_be_read() {
    let analysis = analyse(&distribution(), "x86_64");
    let table = analysis.report.to_string();
    for line in [
        "for x86_64: 5 SPECs (1 are for other architectures)",
        "a circle of 4 SPECs:",
        "  pkgconfig(x), for bash/bash.spec, dash/dash.spec",
    ] {
        assert!(table.contains(line), "{table}");
    }
    let json = serde_json::to_value(&analysis.report).unwrap();
    assert_eq!(json["build"]["depth"], 2);
    let dot = analysis.build.dot("build");
    assert!(dot.contains("\"dash/dash.spec\" -> \"make/make.spec\";"), "{dot}");
    assert!(dot.contains("subgraph cluster_0"), "{dot}");
}
