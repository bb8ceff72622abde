//! Rules about one package, and about those of a component: a package with everything wrong, and one with nothing.

use keel_artefact::Interrupt;
use keel_inspect::{Allowance, Policy, Severity, component, policy::Accounts};

use crate::fixture::{HARD, binary, build, check, found, gcc, packages, spec};

/// Findings must be these, in any order; nothing else.
#[track_caller]
fn assert_found(findings: &keel_inspect::Findings, expected: &[&str]) {
    let mut expected: Vec<&str> = expected.to_vec();
    expected.sort_unstable();
    let mut found = found(findings);
    found.sort();
    assert_eq!(found, expected);
}

#[test]
fn nothing_is_wrong_with_a_good_package() {
    let install = format!(
        "{}mkdir -p usr/share/licenses/good\necho MIT > usr/share/licenses/good/COPYING\n",
        gcc("/usr/bin/good", HARD)
    );
    let packages = build(&spec(
        "good",
        "",
        &install,
        "/usr/bin/good\n%license /usr/share/licenses/good/COPYING",
    ));
    // Its debugging information was stripped away above.
    assert_found(&check(&packages), &["no-debuginfo good /usr/bin/good"]);
}

#[test]
fn headers() {
    let text = "Name: head\nVersion: 1\nRelease: 1\nSummary: %{nil}x\nLicense: Public Domain\nBuildArch: noarch\n\
                Requires: /usr/share/somebody/file\nRequires: /usr/bin/sh\n\n%description\n\n%install\n\
                mkdir -p %{buildroot}/usr/share/licenses %{buildroot}/usr/share/x\necho > %{buildroot}/usr/share/licenses/COPYING\n\
                echo > %{buildroot}/usr/share/x/later\n\
                %post\n:\n%files\n/usr/share/licenses/COPYING\n%attr(0644,nobody,mail) /usr/share/x/later\n\
                %package empty\nSummary: Nothing\nLicense: MIT\nURL: https://example.org/\n%description empty\nNothing.\n%files empty\n";
    let mut all = build(text);
    // rpmbuild makes no times in the future, if it is told not to.
    binary(&mut all, "head").info.files[1].mtime += 5;
    let expected = [
        "empty-package head-empty -",
        "file-requirement head -",
        "licence-not-spdx head -",
        "no-description head -",
        "no-url head -",
        "scriptlets head -",
        "time-after-build head /usr/share/x/later",
    ];
    assert_found(&check(&all), &expected);
    // rpmbuild refuses what has no summary or licence: others may not.
    let facts = binary(&mut all, "head");
    facts.info.summary = " ".to_owned();
    facts.info.licence = String::new();
    facts.unread.push("/usr/share/x/later".parse().unwrap());
    facts.info.files[0].path = "/usr/share/licenses/\u{fffd}".parse().unwrap();
    let text = found(&check(&all));
    for rule in [
        "no-summary head -",
        "no-licence head -",
        "elf-unreadable head /usr/share/x/later",
    ] {
        assert!(text.iter().any(|found| found == rule), "{rule}: {text:?}");
    }
    assert!(
        text.iter().any(|found| found.starts_with("name-not-utf8 ")),
        "{text:?}"
    );
    let mut policy = Policy {
        accounts: Some(Accounts::default()),
        ..Policy::default()
    };
    let all: Vec<_> = all.iter().collect();
    let findings = component(&all, &policy, true, &Interrupt::default()).unwrap();
    let owners = findings
        .0
        .iter()
        .filter(|finding| finding.rule == "unknown-owner");
    let texts: Vec<&str> = owners.map(|finding| finding.message.as_str()).collect();
    assert_eq!(
        texts,
        [
            "it belongs to the group `mail`",
            "it belongs to the user `nobody`"
        ]
    );
    let accounts = policy.accounts.as_mut().unwrap();
    accounts.users.insert("nobody".to_owned());
    accounts.groups.insert("mail".to_owned());
    let known = component(&all, &policy, true, &Interrupt::default()).unwrap();
    assert!(known.0.iter().all(|finding| finding.rule != "unknown-owner"));
}

#[test]
fn names_and_modes() {
    let install = "mkdir -p opt/x usr/local usr/share/man/man1 usr/include usr/lib64/pkgconfig usr/share/big\n\
         echo > opt/x/file; echo > usr/local/mine; echo > usr/share/.hidden; echo > usr/share/Case; echo > usr/share/case\n\
         echo > usr/lib64/libx.la; ar rc usr/lib64/libx.a usr/share/Case; echo > usr/include/x.h; echo > usr/lib64/pkgconfig/x.pc\n\
         ln -s libx.so.1 usr/lib64/libx.so; echo > usr/share/man/man1/plain.1x; echo > usr/bin/all; echo > usr/bin/root\n\
         echo > usr/bin/caps; echo > usr/share/secret; ln -s /usr/bin/all usr/bin/absolute; mkfifo usr/share/pipe\n\
         echo /tmp/build/BUILD/x/y.c > usr/share/built; head -c 70000 /dev/zero > usr/share/big/a; cp usr/share/big/a usr/share/big/b";
    let files = "/opt/x/file\n/usr/local/mine\n/usr/share/.hidden\n/usr/share/Case\n/usr/share/case\n/usr/lib64/*\n/usr/include/x.h\n\
         /usr/share/man/man1/plain.1x*\n%attr(0666,root,root) /usr/bin/all\n%attr(4755,root,root) /usr/bin/root\n\
         %caps(cap_net_raw=ep) /usr/bin/caps\n%attr(0600,root,root) /usr/share/secret\n/usr/bin/absolute\n/usr/share/pipe\n\
         /usr/share/built\n/usr/share/big\n%dir %attr(1777,root,root) /usr/include";
    let all = build(&spec(
        "names",
        "BuildArch: noarch\n%global __os_install_post %{nil}",
        install,
        files,
    ));
    let expected = [
        "absolute-symlink names /usr/bin/absolute",
        "build-path names /usr/share/built",
        "development-file names /usr/include/x.h",
        "development-file names /usr/lib64/libx.so",
        "development-file names /usr/lib64/pkgconfig/x.pc",
        "device-node names /usr/share/pipe",
        "duplicate-file names /usr/share/big/b",
        "file-capabilities names /usr/bin/caps",
        "file-outside-usr names /opt/x/file",
        "forbidden-folder names /usr/local/mine",
        "hidden-file names /usr/share/.hidden",
        "libtool-archive names /usr/lib64/libx.la",
        "names-differ-in-case names /usr/share/case",
        "no-licence-file names -",
        "plain-manual names /usr/share/man/man1/plain.1x",
        "setuid-file names /usr/bin/root",
        "static-library names /usr/lib64/libx.a",
        "unreadable-file names /usr/share/secret",
        "world-writable names /usr/bin/all",
    ];
    assert_found(&check(&all), &expected);
}

#[test]
fn hardening_and_libraries() {
    let soft = "-O0 -fno-stack-protector -U_FORTIFY_SOURCE -fcf-protection=none -no-pie -fno-PIE -Wl,-z,norelro -z execstack \
                -Wl,--build-id=none -Wl,-rpath,/opt/x";
    let library = "-shared -fPIC -O2 -fcf-protection -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--build-id=sha1 -s -fstack-protector-all";
    let install = [
        gcc("/usr/bin/soft", soft),
        gcc("/usr/bin/lazy", &HARD.replace(",-z,now", ",-z,lazy")),
        gcc("/usr/bin/static", &HARD.replace("-pie", "-static-pie")),
        gcc("/usr/lib64/libnameless.so.1", &format!("{library} -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2")),
        gcc("/usr/lib64/libplain.so", &format!("{library} -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -Wl,-soname,libplain.so")),
        gcc("/usr/lib64/liblink.so.1.2", &format!("{library} -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -Wl,-soname,liblink.so.1")),
        "printf '%s' 'char b[40960]={1};int f(void){return 0;}' > %{_builddir}/c.c\n\
                 printf '%%s\\n' '.text' '.globl g' 'g:' '.fill 40960,1,0x90' 'ret' '.section .note.GNU-stack,\"\",%%progbits' \
                 > %{_builddir}/g.s; gcc -shared -fPIC -fcf-protection %{_builddir}/c.c %{_builddir}/g.s \
                 -Wl,-z,relro,-z,now,-z,ibt,-z,shstk -Wl,--build-id=sha1 -s -o usr/lib64/libcode.so.1 -Wl,-soname,libcode.so.1 -Wl,--no-as-needed -lc\n".to_owned(),
        "printf '%%s\\n' '.section .wx,\"awx\",%%progbits' '.byte 0' '.section .note.GNU-stack,\"\",%%progbits' > %{_builddir}/wx.s\n"
            .to_owned(),
        gcc("/usr/bin/wx", &format!("{HARD} %{{_builddir}}/wx.s")),
        "chmod 0755 usr/lib64/*\n".to_owned(),
    ]
    .concat();
    let tags = "%global __os_install_post %{nil}\n%global debug_package %{nil}\n%global __provides_exclude ^liblink\n\
                %global __requires_exclude ^libc\\\\.so";
    let all = build(&spec("elves", tags, &install, "/usr/bin/*\n/usr/lib64/*"));
    let found = found(&check(&all));
    let of = |path: &str| -> Vec<&str> {
        let end = format!(" elves {path}");
        let rules = found.iter().filter_map(|text| text.strip_suffix(&end));
        rules.filter(|rule| *rule != "no-debuginfo").collect()
    };
    let mut soft = of("/usr/bin/soft");
    soft.sort_unstable();
    let expected = [
        "elf-executable-stack",
        "elf-no-build-id",
        "elf-no-control-flow",
        "elf-no-fortify",
        "elf-no-pie",
        "elf-no-relro",
        "elf-not-stripped",
        "elf-rpath",
        "library-not-required",
    ];
    assert_eq!(soft, expected);
    assert!(of("/usr/bin/lazy").contains(&"elf-lazy-binding"), "{found:?}");
    assert!(of("/usr/bin/static").contains(&"elf-static"), "{found:?}");
    assert!(
        of("/usr/lib64/libnameless.so.1").contains(&"library-without-soname"),
        "{found:?}"
    );
    assert!(
        of("/usr/lib64/libplain.so").contains(&"soname-without-version"),
        "{found:?}"
    );
    let link = of("/usr/lib64/liblink.so.1.2");
    assert!(
        link.contains(&"soname-link-missing") && link.contains(&"soname-not-provided"),
        "{found:?}"
    );
    assert!(
        of("/usr/lib64/libcode.so.1").contains(&"elf-no-stack-protector"),
        "{found:?}"
    );
    assert!(of("/usr/bin/wx").contains(&"elf-writable-code"), "{found:?}");
}

#[test]
fn a_library_that_only_its_component_uses_needs_no_capability() {
    let install = "mkdir -p usr/lib64/private; echo 'int f(void) { return 1; }' > %{_builddir}/f.c\n\
         gcc -shared -fPIC %{_builddir}/f.c -o usr/lib64/private/libf.so -Wl,-soname,libf.so\n\
         echo 'int f(void); int main(void) { return f(); }' > %{_builddir}/m.c\n\
         for p in private user stranger; do gcc %{_builddir}/m.c -o usr/bin/$p usr/lib64/private/libf.so; done\n\
         chmod 0755 usr/lib64/private/libf.so";
    let more = "/usr/bin/private\n/usr/lib64/private\n\
         %package user\nSummary: x\nRequires: private = 1-1\n%description user\n%files user\n/usr/bin/user\n\
         %package stranger\nSummary: x\n%description stranger\n%files stranger\n/usr/bin/stranger";
    let tags = "%global __provides_exclude ^libf\n%global __requires_exclude ^libf";
    let all = build(&spec("private", tags, install, more));
    let found = found(&check(&all));
    let of_rule: Vec<&String> = found
        .iter()
        .filter(|text| text.starts_with("library-not-required"))
        .collect();
    assert_eq!(
        of_rule,
        ["library-not-required private-stranger /usr/bin/stranger"]
    );
}

#[test]
fn what_a_file_says_of_itself_is_believed_of_every_kind() {
    let install = gcc("/usr/bin/one", HARD);
    let mut all = build(&spec("one", "", &install, "/usr/bin/one"));
    let facts = binary(&mut all, "one");
    facts.elves[0].facts.text_relocations = true;
    facts.info.nevra.arch = keel_artefact::PackageArch::Noarch;
    let found = found(&check(&all));
    for rule in [
        "elf-text-relocations one /usr/bin/one",
        "elf-in-noarch one /usr/bin/one",
    ] {
        assert!(found.iter().any(|found| found == rule), "{rule}: {found:?}");
    }
}

#[test]
fn exceptions_explain_and_are_told_when_nothing_needs_them() {
    let all = build(&spec(
        "except",
        "BuildArch: noarch",
        "mkdir -p usr/share/licenses/x; echo > usr/share/licenses/x/y; echo > usr/bin/a; echo > usr/bin/b",
        "/usr/share/licenses/x/y\n%attr(4755,root,root) /usr/bin/a\n%attr(4755,root,root) /usr/bin/b",
    ));
    let allow = |rule: &str, path: &str| Allowance {
        rule: rule.to_owned(),
        package: Some(keel_artefact::Glob::new("exc*").unwrap()),
        path: Some(keel_artefact::Glob::new(path).unwrap()),
        reason: "it must".to_owned(),
        said_at: "x.toml:3".to_owned(),
    };
    let mut policy = Policy::default();
    policy.allowances.insert(
        "except".to_owned(),
        vec![
            allow("setuid-file", "/usr/*/a"),
            allow("world-writable", "/**"),
            allow("abi-break", "/**"),
        ],
    );
    let packages: Vec<_> = all.iter().collect();
    let findings = component(&packages, &policy, true, &Interrupt::default()).unwrap();
    assert_found(
        &findings,
        &[
            "setuid-file except /usr/bin/a",
            "setuid-file except /usr/bin/b",
            "unused-exception  -",
        ],
    );
    let errors: Vec<_> = findings.of(Severity::Error).collect();
    assert!(
        errors.len() == 1 && errors[0].path.as_deref() == Some("/usr/bin/b"),
        "{errors:?}"
    );
    // Of some packages of a component nobody can tell what is not needed.
    assert_eq!(
        component(&packages, &policy, false, &Interrupt::default())
            .unwrap()
            .0
            .len(),
        2
    );
    // Severities are the tree's to change.
    policy.severities.insert("setuid-file".to_owned(), None);
    policy
        .severities
        .insert("unused-exception".to_owned(), Some(Severity::Error));
    assert_eq!(
        component(&packages, &policy, true, &Interrupt::default())
            .unwrap()
            .count(Severity::Error),
        1
    );
}

#[test]
fn results_are_kept_and_other_rules_or_exceptions_look_again() {
    let store = tempfile::tempdir().unwrap();
    let store = keel_store::Store::open(store.path()).unwrap();
    let (_dir, files) = crate::fixture::files(&spec(
        "kept",
        "BuildArch: noarch",
        "echo > usr/bin/a",
        "/usr/bin/a",
    ));
    let digests: Vec<_> = files
        .iter()
        .map(|file| keel_artefact::Sha256::of_file(file).unwrap().0)
        .collect();
    let reads = std::cell::Cell::new(0);
    let look = |policy: &Policy| {
        let read = || {
            reads.set(reads.get() + 1);
            Ok(packages(&files))
        };
        keel_inspect::check::kept(&store, "kept", &digests, policy, read, &Interrupt::default()).unwrap()
    };
    let mut policy = Policy::default();
    let first = look(&policy);
    assert_eq!((first.clone(), reads.get()), (look(&policy), 1));
    policy.severities.insert("no-licence-file".to_owned(), None);
    assert!(look(&policy).0.len() < first.0.len());
    assert_eq!(reads.get(), 2);
}

#[test]
fn damaged_packages_are_errors_and_no_panic() {
    let (dir, files) = crate::fixture::files(&spec(
        "harm",
        "BuildArch: noarch",
        "echo > usr/bin/a",
        "/usr/bin/a",
    ));
    let file = files
        .iter()
        .find(|file| file.to_string_lossy().contains("noarch"))
        .unwrap();
    let whole = std::fs::read(file).unwrap();
    let path = dir.path().join("damaged");
    for at in (0..whole.len()).step_by(whole.len() / 150 + 1) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0xff;
        std::fs::write(&path, &damaged).unwrap();
        let _ = keel_inspect::Facts::read(&path);
        std::fs::write(&path, &whole[..at]).unwrap();
        // Of a payload that lacks only its end all files may have been read.
        assert!(
            keel_inspect::Facts::read(&path).is_err() || at > whole.len() / 2,
            "{at}"
        );
    }
}
