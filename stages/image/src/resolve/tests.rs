//! Tests of `resolve.rs`.

use keel_artefact::{Epoch, Provide};

use super::*;

/// `name-version: requires, …; +provides, …; !conflicts`
fn package(text: &str) -> PackageInfo {
    let (id, rest) = text.split_once(':').unwrap();
    let (name, version) = id.rsplit_once('-').unwrap();
    let evr: keel_artefact::Evr = format!("{version}-1").parse().unwrap();
    let words: Vec<&str> = rest
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .collect();
    let provide = |word: &&str| {
        let dependency: Dependency = word.strip_prefix('+')?.parse().unwrap();
        Some(Provide {
            name: dependency.name,
            evr: dependency.version.map(|(_, evr)| evr),
        })
    };
    let own = Provide {
        name: name.to_owned(),
        evr: Some(evr.clone()),
    };
    PackageInfo {
        nevra: keel_artefact::Nevra {
            name: name.parse().unwrap(),
            evr,
            arch: PackageArch::Noarch,
        },
        source_rpm: None,
        build_time: Epoch(0),
        build_host: None,
        provides: words.iter().filter_map(provide).chain([own]).collect(),
        requires: words
            .iter()
            .filter(|word| !word.starts_with(['+', '!']))
            .map(|word| word.parse().unwrap())
            .collect(),
        conflicts: words
            .iter()
            .filter_map(|word| Some(word.strip_prefix('!')?.parse().unwrap()))
            .collect(),
        obsoletes: vec![],
        recommends: vec![],
        suggests: vec![],
        supplements: vec![],
        enhances: vec![],
        files: vec![],
        scripts: vec![],
        licence: String::new(),
        summary: String::new(),
        description: String::new(),
        url: None,
        vendor: None,
        installed_size: 0,
        file_size: 0,
        header_range: 0..0,
        payload_digest: None,
        payload_compressor: String::new(),
    }
}

fn run(packages: &[&str], wanted: &[&str], exclude: &[&str]) -> Result<String, String> {
    let names = |list: &[&str]| {
        list.iter()
            .map(|name| name.parse().unwrap())
            .collect::<Vec<PackageName>>()
    };
    let mut all: Vec<_> = packages.iter().map(|text| package(text)).collect();
    let mut results = Vec::new();
    for _ in 0..2 {
        let result = resolve(&all, &names(wanted), &names(exclude));
        results.push(match result {
            Ok(taken) => Ok(taken
                .iter()
                .map(|i| all[*i].nevra.to_string())
                .collect::<Vec<_>>()
                .join(" ")),
            Err(error) => Err(error.to_string()),
        });
        all.reverse();
    }
    assert_eq!(results[0], results[1], "the order of packages must not matter");
    results.remove(0)
}

#[test]
fn closures() {
    let repo = [
        "sh-5: libc.so(64bit), rpmlib(X) <= 1, +/usr/bin/sh",
        "sh-4: +/usr/bin/sh",
        "tiny-1: +/usr/bin/sh, +sh = 9",
        "glibc-2: +libc.so(64bit)",
        "app-1: /usr/bin/sh, glibc >= 2",
        "old-1: glibc < 2",
        "pick-1: /usr/bin/sh, tiny",
        "rich-1: (locale if glibc), (tiny or sh)",
        "both-1: (nothing if absent else locale)",
        "locale-1: ",
        "enemy-1: !glibc >= 2",
    ];
    for (wanted, exclude, result) in [
        (
            &["app"][..],
            &[][..],
            Ok("app-1-1.noarch glibc-2-1.noarch sh-5-1.noarch"),
        ),
        (
            &["app"],
            &["sh"],
            Ok("app-1-1.noarch glibc-2-1.noarch tiny-1-1.noarch"),
        ),
        (&["pick"], &[], Ok("pick-1-1.noarch tiny-1-1.noarch")),
        (&["rich"], &[], Ok("rich-1-1.noarch tiny-1-1.noarch")),
        (
            &["rich", "glibc"],
            &[],
            Ok("glibc-2-1.noarch locale-1-1.noarch rich-1-1.noarch tiny-1-1.noarch"),
        ),
        (&["both"], &[], Ok("both-1-1.noarch locale-1-1.noarch")),
        (
            &["old"],
            &[],
            Err(
                "`old-1-1.noarch` requires `glibc < 2`, which no package of the repository provides \
                     (the newest there is `glibc-2-1.noarch`)",
            ),
        ),
        (
            &["nano"],
            &[],
            Err("the image requires `nano`, which no package of the repository provides"),
        ),
        (
            &["app"],
            &["glibc"],
            Err(
                "`app-1-1.noarch` requires `glibc >= 2`, which no package of the repository provides \
                     (`glibc` does, but the image excludes it)\n\
                     `sh-5-1.noarch` requires `libc.so(64bit)`, which no package of the repository provides \
                     (`glibc` does, but the image excludes it)",
            ),
        ),
        (
            &["enemy", "app"],
            &[],
            Err(
                "`enemy-1-1.noarch` conflicts with `glibc >= 2`, which is `glibc-2-1.noarch`, \
                     and both are needed",
            ),
        ),
    ] {
        let found = run(&repo, wanted, exclude);
        assert_eq!(
            found.as_deref().map_err(String::as_str),
            result,
            "{wanted:?} without {exclude:?}"
        );
    }
}
