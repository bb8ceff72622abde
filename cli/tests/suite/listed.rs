//! Source files that the `sources` of another distribution's SPEC lists: what it says of them is checked before they are pinned.

use std::fs;

use crate::harness::{Fixture, git, judge};

const SPEC: &str = "\
Name: listed
Version: 1
Release: 1%{?dist}
Summary: s
License: MIT
BuildArch: noarch
Source0: listed-1.tar.gz
%description
d
%files
%changelog
* Thu Jan 01 2026 A B <a@b.test> - 1-1
- New.
";

/// The fixture with a component whose file is kept under a digest of the algorithm; gives the digest.
fn fixture(algorithm: &str, program: &str) -> (Fixture, String) {
    let fixture = Fixture::new();
    let file = fixture.path("listed-1.tar.gz");
    fs::write(&file, "not looked into\n").unwrap();
    let said = judge(program, &[file.to_str().unwrap()]);
    let digest = said.split(' ').next().unwrap().to_owned();
    let rpms = fixture.path("rpms/listed.git");
    fs::create_dir_all(&rpms).unwrap();
    fs::write(rpms.join("listed.spec"), SPEC).unwrap();
    let line = match algorithm {
        "md5" => format!("{digest}  listed-1.tar.gz\n"),
        _ => format!("{} (listed-1.tar.gz) = {digest}\n", algorithm.to_uppercase()),
    };
    fs::write(rpms.join("sources"), line).unwrap();
    let commit = git(
        &rpms,
        "git init -q -b f1 . && git add . && git commit -qm one && git rev-parse HEAD",
    );
    let text = format!(
        "[distros.up]\ndist-git-base-uri = \"file://{0}/rpms/$pkg.git\"\n\
         lookaside-base-uri = \"file://{0}/kept/$hashtype/$hash/$filename\"\n\
         [distros.up.versions.1]\nrelease-ver = \"1\"\ndist-git-branch = \"f1\"\n[components.listed]\n\
         spec = {{ type = \"upstream\", upstream-distro = {{ name = \"up\", version = \"1\" }}, upstream-commit = \"{commit}\" }}\n",
        fixture.path("").display().to_string().trim_end_matches('/')
    );
    fs::write(fixture.path("components/listed.toml"), text).unwrap();
    let kept = fixture.path(&format!("kept/{algorithm}/{digest}"));
    fs::create_dir_all(&kept).unwrap();
    fs::rename(file, kept.join("listed-1.tar.gz")).unwrap();
    fixture.keel(&["component", "render", "listed"]).ok();
    (fixture, digest)
}

#[test]
fn what_sources_lists_is_checked_and_pinned() {
    for (algorithm, program, says) in [
        ("sha512", "sha512sum", "its SHA512 is the one in `sources`"),
        (
            "md5",
            "md5sum",
            "its MD5 is the one in `sources`, which proves little",
        ),
    ] {
        let (fixture, digest) = fixture(algorithm, program);
        let prepare = || {
            fixture.keel(&[
                "component",
                "prepare-sources",
                "listed",
                "--to",
                "made",
                "--force",
            ])
        };
        if algorithm == "md5" {
            let weak = prepare();
            assert_eq!(weak.code, Some(2), "{}", weak.stderr);
            let hint = "hint: `keel source lock listed` checks that, and pins the file by SHA-256";
            assert!(weak.stderr.contains(hint), "{}", weak.stderr);
        }
        let kept = fixture.path(&format!("kept/{algorithm}/{digest}/listed-1.tar.gz"));
        let right = fs::read(&kept).unwrap();
        fs::write(&kept, "something else\n").unwrap();
        let other = fixture.keel(&["source", "lock", "listed"]);
        assert_ne!(other.code, Some(0), "{}", other.stderr);
        assert!(other.stderr.contains("it gave other bytes"), "{}", other.stderr);
        assert!(!fixture.path("keel.lock").exists());
        fs::write(&kept, &right).unwrap();
        let ran = fixture.keel(&["source", "lock", "listed"]).ok();
        assert!(ran.stdout.contains(says), "{}", ran.stdout);
        let sha256 = judge("sha256sum", &[kept.to_str().unwrap()]);
        let lock = fs::read_to_string(fixture.path("keel.lock")).unwrap();
        assert!(lock.contains(sha256.split(' ').next().unwrap()), "{lock}");
        prepare().ok();
        assert_eq!(
            fs::read(fixture.path("made/listed-1.tar.gz")).unwrap(),
            right,
            "{algorithm}"
        );
    }
}
