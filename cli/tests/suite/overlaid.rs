//! Archives among the sources that overlays change: what is pinned is what is fetched, what is built has the changes.

use std::fs;

use crate::harness::{Fixture, Ran, judge};

const SPEC: &str = "\
Name: greet
Version: 1
Release: 1%{?dist}
Summary: s
License: MIT
BuildArch: noarch
Source0: greet-1.tar.gz
%description
d
%prep
%setup -q
%install
install -D -m644 hello.txt %{buildroot}%{_datadir}/greet/hello.txt
%files
%{_datadir}/greet
%changelog
* Thu Jan 01 2026 A B <a@b.test> - 1-1
- New.
";

const COMPONENT: &str = "\
[components.greet]
spec = { type = \"local\", path = \"../specs/greet/greet.spec\" }
build = { bootstrap-libc = true, borrowed-libc = true }
[[components.greet.source-files]]
filename = \"greet-1.tar.gz\"
origin = { type = \"file\", path = \"../greet-1.tar.gz\" }
";

/// An overlay of the archive.
fn overlay(regex: &str, replacement: &str) -> String {
    format!(
        "[[components.greet.overlays]]\ntype = \"file-search-replace\"\narchive = \"greet-1.tar.gz\"\n\
         file = \"hello.txt\"\nregex = \"{regex}\"\nreplacement = \"{replacement}\"\n"
    )
}

fn fixture() -> Fixture {
    let fixture = Fixture::new();
    fs::create_dir_all(fixture.path("specs/greet")).unwrap();
    fs::create_dir_all(fixture.path("greet-1")).unwrap();
    fs::write(fixture.path("greet-1/hello.txt"), "hello\n").unwrap();
    let (folder, archive) = (fixture.path(""), fixture.path("greet-1.tar.gz"));
    let arguments = ["-C", folder.to_str().unwrap(), "-czf", archive.to_str().unwrap()];
    judge("tar", &[&arguments[..], &["greet-1"]].concat());
    fs::write(fixture.path("specs/greet/greet.spec"), SPEC).unwrap();
    say(&fixture, "");
    fixture
}

fn say(fixture: &Fixture, more: &str) {
    fs::write(
        fixture.path("components/greet.toml"),
        format!("{COMPONENT}{more}"),
    )
    .unwrap();
}

fn json(ran: &Ran) -> serde_json::Value {
    serde_json::from_str(&ran.stdout).unwrap()
}

/// What the built package holds.
fn greeting(fixture: &Fixture) -> String {
    let rpm = fixture.path("out/packages/x86_64/greet/greet-1-1.fx1.noarch.rpm");
    judge(
        "sh",
        &[
            "-c",
            &format!(
                "rpm2cpio '{}' | cpio --quiet -i --to-stdout '*hello.txt'",
                rpm.display()
            ),
        ],
    )
}

/// The files of the component's job, as the plan has them.
fn sources(fixture: &Fixture) -> serde_json::Value {
    let plan = json(&fixture.keel(&["plan", "greet", "--output", "json"]).ok());
    plan["jobs"][0]["sources"]["files"].clone()
}

fn provenance(fixture: &Fixture) -> serde_json::Value {
    let file = fixture.path("out/packages/x86_64/greet/provenance.json");
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

/// Rule R57.
#[test]
fn what_is_built_has_the_overlays_of_archives() {
    let fixture = fixture();
    say(&fixture, &overlay("hello", "bonjour"));
    fixture.keel(&["source", "lock", "greet"]).ok();
    let lock = fs::read_to_string(fixture.path("keel.lock")).unwrap();
    let original = judge("sha256sum", &[fixture.path("greet-1.tar.gz").to_str().unwrap()]);
    let original = original.split(' ').next().unwrap();
    assert!(lock.contains(original), "{lock}");

    fixture.keel(&["build", "greet"]).ok();
    assert_eq!(greeting(&fixture), "bonjour\n");
    let first = provenance(&fixture);
    assert_eq!(first["sources"][0]["overlaid"], original);
    assert_ne!(first["sources"][0]["sha256"], original);
    // The lock still has what is fetched, and fetching gives that.
    assert_eq!(fs::read_to_string(fixture.path("keel.lock")).unwrap(), lock);
    let fetched = json(
        &fixture
            .keel(&["source", "fetch", "greet", "--output", "json"])
            .ok(),
    );
    assert_eq!(fetched[0]["digest"], original);

    // Nothing changed: the same job. Another overlay: another one.
    let again = sources(&fixture);
    assert_eq!(again[0]["digest"], first["sources"][0]["sha256"]);
    fixture.keel(&["build", "greet"]).ok();
    assert_eq!(provenance(&fixture), first);
    say(&fixture, &overlay("hello", "ciao"));
    fixture.keel(&["build", "greet"]).ok();
    assert_eq!(greeting(&fixture), "ciao\n");
    let second = provenance(&fixture);
    assert_ne!(second["fingerprint"], first["fingerprint"]);
    assert_eq!(second["spec"], first["spec"]);

    // Overlays of the SPEC go with that, though only the lock pins the file.
    let vendor =
        "[[components.greet.overlays]]\ntype = \"spec-set-tag\"\ntag = \"Vendor\"\nvalue = \"Overlaid\"\n";
    say(&fixture, &(overlay("hello", "ciao") + vendor));
    fixture.keel(&["build", "greet"]).ok();
    assert_eq!(greeting(&fixture), "ciao\n");
    assert_ne!(provenance(&fixture)["spec"], first["spec"]);

    // The source package that is asked for alone is the one of the build.
    fixture.keel(&["source", "srpm", "greet", "--to", "srpms"]).ok();
    let name = "greet-1-1.fx1.src.rpm";
    let built = fs::read(fixture.path("out/packages/x86_64/greet").join(name)).unwrap();
    let alone = fs::read(fixture.path("srpms").join(name)).unwrap();
    assert!(built == alone, "{} bytes, and {} alone", built.len(), alone.len());
}

/// Rules R29, R55 and R57.
#[test]
fn overlays_of_archives_that_do_not_apply_are_wrong_input() {
    let fixture = fixture();
    fixture.keel(&["source", "lock", "greet"]).ok();
    for (more, says) in [
        (overlay("nothing", "x"), "components/greet.toml:7"),
        (
            overlay("hello", "x").replace("greet-1.tar.gz", "greet-2.tar.gz"),
            "overlays of `greet-2.tar.gz`, which its SPEC does not name",
        ),
    ] {
        say(&fixture, &more);
        let ran = fixture.keel(&["plan", "greet"]);
        assert_eq!(ran.code, Some(2), "{}", ran.stderr);
        assert!(ran.errors().contains(says), "{says}:\n{}", ran.stderr);
    }
    // The configuration may say what the archive becomes; the lock says what it is.
    let zeros = "0".repeat(64);
    let becomes = |digest: &str| {
        let text = format!(
            "[[components.greet.source-files]]\nfilename = \"greet-1.tar.gz\"\nhash = \"{digest}\"\n\
             hash-type = \"SHA256\"\norigin = {{ type = \"overlay\" }}\nreplace-upstream = true\n\
             replace-reason = \"politeness\"\n{}",
            overlay("hello", "bonjour")
        );
        let component: String = COMPONENT
            .lines()
            .take(3)
            .map(|line| format!("{line}\n"))
            .collect();
        fs::write(fixture.path("components/greet.toml"), component + &text).unwrap();
    };
    becomes(&zeros);
    let ran = fixture.keel(&["plan", "greet"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    let computed = ran.stderr.split("computed: ").nth(1).expect(&ran.stderr);
    becomes(computed.split_whitespace().next().unwrap());
    assert_eq!(
        sources(&fixture)[0]["digest"],
        computed.split_whitespace().next().unwrap()
    );
}
