use keel_artefact::{Epoch, PackageArch, Provide};
use keel_rpm::{FileFlags, FileInfo, FileKind};

use super::*;

/// `name-version: requires, …; +provides, …; !conflicts; -obsoletes; ?recommends; ^supplements; =/file`
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
    let marked = |mark: char| {
        let words = words.iter().filter_map(|word| word.strip_prefix(mark));
        words.map(|word| word.parse().unwrap()).collect()
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
            .filter(|word| !word.starts_with(['+', '!', '-', '?', '^', '=']))
            .map(|word| word.parse().unwrap())
            .collect(),
        conflicts: marked('!'),
        obsoletes: marked('-'),
        recommends: marked('?'),
        suggests: vec![],
        supplements: marked('^'),
        enhances: vec![],
        files: words
            .iter()
            .filter_map(|word| word.strip_prefix('='))
            .map(file)
            .collect(),
        scripts: vec![],
        scripts_digest: None,
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

fn file(path: &str) -> FileInfo {
    FileInfo {
        path: path.parse().unwrap(),
        kind: FileKind::Regular,
        mode: 0o644,
        user: "root".to_owned(),
        group: "root".to_owned(),
        size: 0,
        mtime: 0,
        digest: None,
        link: None,
        same_as: None,
        caps: None,
        device: None,
        languages: None,
        flags: FileFlags(0),
    }
}

fn run(packages: &[&str], wanted: &[&str], exclude: &[&str]) -> Result<String, String> {
    run_with(packages, wanted, exclude, false)
}

/// The names of what is chosen.
fn names(result: Result<String, String>) -> String {
    let all = result.unwrap();
    let names = all.split(' ').map(|nevra| nevra.split('-').next().unwrap());
    names.collect::<Vec<_>>().join(" ")
}

fn run_with(packages: &[&str], wanted: &[&str], exclude: &[&str], weak: bool) -> Result<String, String> {
    let names = |list: &[&str]| {
        list.iter()
            .map(|name| name.parse().unwrap())
            .collect::<Vec<PackageName>>()
    };
    let mut all: Vec<_> = packages.iter().map(|text| package(text)).collect();
    let mut results = Vec::new();
    for _ in 0..2 {
        let result = resolve(&all, &names(wanted), &names(exclude), weak, &Interrupt::default());
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
        "tiny-1: +/usr/bin/sh",
        "glibc-2: +libc.so(64bit)",
        "app-1: /usr/bin/sh, glibc >= 2",
        "old-1: glibc < 2",
        "pick-1: /usr/bin/sh, tiny",
        "rich-1: (locale if glibc), (tiny or absent)",
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
                "its packages cannot be installed together\n    asked for: install enemy\n    asked for: install app\n    \
                 app-1-1.noarch requires glibc >= 2, which glibc-2-1.noarch provides\n    \
                 enemy-1-1.noarch conflicts with glibc >= 2, which glibc-2-1.noarch provides",
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

#[test]
fn of_several_providers_one_is_taken_whatever_their_order() {
    let repo = [
        "app-1: cap, tool",
        "bb-1: +cap",
        "aa-1: +cap",
        "c-1: +tool",
        "tool-1: ",
        "new-1: +job, -old < 2",
        "old-1: +job",
        "does-1: job",
    ];
    assert_eq!(names(run(&repo, &["app"], &[])), "aa app tool");
    assert_eq!(names(run(&repo, &["app"], &["aa"])), "app bb tool");
    assert_eq!(names(run(&repo, &["app", "bb"], &[])), "app bb tool");
    // What another one obsoletes is no choice.
    assert_eq!(names(run(&repo, &["does"], &[])), "does new");
    assert_eq!(names(run(&repo, &["does", "old"], &[])), "does old");
}

#[test]
fn a_conflict_is_avoided_where_there_is_another_way() {
    let repo = ["app-1: cap", "aa-1: +cap", "bb-1: +cap", "enemy-1: !aa"];
    assert_eq!(names(run(&repo, &["app"], &[])), "aa app");
    assert_eq!(names(run(&repo, &["app", "enemy"], &[])), "app bb enemy");
    let error = run(&["new-1: -old", "old-1: "], &["new", "old"], &[]).unwrap_err();
    assert!(
        error.ends_with("new-1-1.noarch obsoletes old, which is old-1-1.noarch"),
        "{error}"
    );
}

#[test]
fn weak_dependencies_come_along_if_the_image_says_so_and_break_nothing() {
    let repo = [
        "app-1: ?docs, ?broken, ?enemy, ?gone",
        "docs-1: ",
        "broken-1: nothing",
        "enemy-1: !app",
        "plugin-1: ^(app and docs)",
        "other-1: ^absent",
    ];
    let weak = |exclude: &[&str]| names(run_with(&repo, &["app"], exclude, true));
    assert_eq!(names(run(&repo, &["app"], &[])), "app");
    assert_eq!(weak(&[]), "app docs plugin");
    assert_eq!(weak(&["docs"]), "app");
    assert_eq!(weak(&["plugin"]), "app docs");
}

#[test]
fn boolean_dependencies() {
    let repo = [
        "with-1: (cap with extra)",
        "without-1: (cap without extra)",
        "unless-1: (small unless big)",
        "a-1: +cap",
        "both-1: +cap, +extra",
        "small-1: ",
        "big-1: ",
        "lost-1: (cap and gone)",
    ];
    for (wanted, set) in [
        (&["with"][..], "both with"),
        (&["without"], "a without"),
        (&["unless"], "small unless"),
    ] {
        assert_eq!(names(run(&repo, wanted, &[])), set);
    }
    assert!(run(&repo, &["unless", "big"], &[]).is_err());
    assert_eq!(
        run(&repo, &["lost"], &[]).unwrap_err(),
        "`lost-1-1.noarch` requires `(cap and gone)`, which no package of the repository provides"
    );
}

/// Whoever names a path, and however.
#[test]
fn files_are_found_by_the_paths_that_are_named() {
    let repo = [
        "shell-1: =/usr/bin/sh, =/usr/share/doc/shell",
        "coreutils-1: =/usr/bin/env",
        "scripts-1: /usr/bin/sh",
        "rich-1: (/usr/bin/env and /usr/bin/sh)",
        "against-1: !/usr/bin/env",
        "weak-1: ?/usr/bin/env",
        "absent-1: /usr/bin/perl",
    ];
    let chosen = |wanted: &[&str], weak| names(run_with(&repo, wanted, &[], weak));
    assert_eq!(chosen(&["scripts"], false), "scripts shell");
    assert_eq!(chosen(&["rich"], false), "coreutils rich shell");
    assert_eq!(chosen(&["weak"], false), "weak");
    assert_eq!(chosen(&["weak"], true), "coreutils weak");
    assert!(
        run(&repo, &["against", "rich"], &[])
            .unwrap_err()
            .contains("cannot be installed together")
    );
    let told = run(&repo, &["scripts"], &["shell"]).unwrap_err();
    assert!(told.contains("`shell` does, but the image excludes it"), "{told}");
    assert!(run(&repo, &["absent"], &[]).is_err());
}

#[test]
fn of_the_files_those_that_are_named_are_kept() {
    let infos = [
        "shell-1: =/usr/bin/sh, =/usr/share/doc/shell",
        "scripts-1: (/usr/bin/sh or nothing)",
    ];
    let packages = Package::all(&infos.map(package));
    assert_eq!(packages[0].files, ["/usr/bin/sh"]);
    assert!(packages[1].files.is_empty());
}
