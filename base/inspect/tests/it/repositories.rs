//! Rules about all packages of a repository.

use keel_inspect::{Policy, repository};

use crate::fixture::{build, found, spec};

#[test]
fn packages_of_a_repository_fit_together() {
    let noarch = "BuildArch: noarch\n";
    let one = spec(
        "one",
        &format!(
            "{noarch}Requires: two\nRequires: (filesystem or nobody)\nRequires: absent >= 2\nRequires: /usr/bin/tool"
        ),
        "mkdir -p usr/share/mine usr/share/both usr/share/three\necho one > usr/share/both/file; echo > usr/share/mine/file\n\
         ln -s ../two/there usr/share/both/good; ln -s nowhere usr/share/both/bad; ln -s ../three/x usr/share/both/lost\n\
         ln -s ../../../run/later usr/share/both/later; ln -s usr/alias/there usr/share/both/alias; echo > usr/share/three/one",
        "%dir %attr(0700,root,root) /usr/share/both\n/usr/share/both/*\n/usr/share/mine/file\n/usr/share/three/one",
    );
    let two = spec(
        "two",
        noarch,
        "mkdir -p usr/share/two usr/share/both; echo > usr/share/two/there; echo two > usr/share/both/file; echo > usr/bin/tool",
        "%dir /usr/share/two\n/usr/share/two/there\n%dir /usr/share/both\n/usr/share/both/file\n/usr/bin/tool",
    );
    let three = spec(
        "three",
        &format!("{noarch}Conflicts: two"),
        "mkdir -p usr/share/three usr/share/both; echo > usr/share/three/x; echo three > usr/share/both/file",
        "/usr/share/three\n%dir /usr/share/both\n/usr/share/both/file",
    );
    let filesystem = spec(
        "filesystem",
        noarch,
        "mkdir -p usr/share usr/bin",
        "%dir /usr\n%dir /usr/bin\n%dir /usr/share",
    );
    let mut all = Vec::new();
    for text in [one, two, three, filesystem] {
        all.extend(build(&text));
    }
    let mut found = found(&repository(&all, &Policy::default()));
    found.sort();
    let expected = [
        "dangling-symlink one /usr/share/both/alias",
        "dangling-symlink one /usr/share/both/bad",
        "dangling-symlink one /usr/share/both/lost",
        "file-conflict three /usr/share/both/file",
        "file-conflict two /usr/share/both/file",
        "folder-differs three /usr/share/both",
        "folder-differs two /usr/share/both",
        "unmet-requirement one -",
        "unowned-folder one /usr/share/mine",
        "unowned-folder one /usr/share/three",
    ];
    let others: Vec<&String> = found
        .iter()
        .filter(|text| !text.starts_with("unowned-folder filesystem"))
        .collect();
    assert_eq!(others, expected);
}

#[test]
fn boolean_dependencies_mean_what_rpm_means() {
    let unmet = [
        "(absent or missing)",
        "(one-way with other-way)",
        "(other-way without packs)",
        "(absent if packs)",
        "(absent if packs else packs)",
        "(packs if absent else missing)",
        "(packs and (absent or missing))",
    ];
    let met = [
        "(absent or packs)",
        "(one-way with both)",
        "(both without other-way)",
        "(absent if missing)",
        "(packs if absent else both)",
        "(packs and (both or missing))",
    ];
    let requires = |all: &[&str]| {
        let lines: Vec<String> = all.iter().map(|need| format!("Requires: {need}\n")).collect();
        lines.concat()
    };
    let noarch = "BuildArch: noarch\n";
    let mut all = build(&spec(
        "asks",
        &format!("{noarch}{}{}", requires(&unmet), requires(&met)),
        "",
        "",
    ));
    let packs = format!("{noarch}Provides: other-way");
    let both = format!("{noarch}Provides: one-way");
    all.extend(build(&spec("packs", &packs, "", "")));
    all.extend(build(&spec("both", &both, "", "")));
    let findings = repository(&all, &Policy::default());
    let mut told: Vec<&str> = findings
        .0
        .iter()
        .filter(|finding| finding.rule == "unmet-requirement")
        .map(|finding| finding.message.as_str())
        .collect();
    told.sort_unstable();
    let mut expected: Vec<String> = unmet
        .iter()
        .map(|need| format!("no package provides `{need}`"))
        .collect();
    expected.sort_unstable();
    assert_eq!(told, expected);
}
