//! What `keel` says to each mistake of a user, and with which exit code.

use crate::harness::Fixture;

/// Runs `keel` in a broken project: exit code and the errors told.
fn broken(project: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let fixture = Fixture::new();
    let ran = fixture.keel_in(&format!("broken/{project}"), arguments);
    (ran.code, ran.errors())
}

macro_rules! snapshot {
    ($project:literal, $arguments:expr, $code:literal) => {
        let (code, errors) = broken($project, &$arguments);
        assert_eq!(code, Some($code), "{errors}");
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!($project, errors);
        });
    };
}

#[test]
fn unknown_key() {
    snapshot!("unknown-key", ["check"], 2);
}

#[test]
fn spec_syntax() {
    snapshot!("spec-syntax", ["check"], 2);
}

#[test]
fn missing_source() {
    snapshot!("missing-source", ["source", "fetch"], 2);
}

#[test]
fn wrong_hash() {
    snapshot!("wrong-hash", ["source", "fetch"], 2);
}

#[test]
fn unprovided() {
    snapshot!("unprovided", ["plan"], 2);
}

#[test]
fn cycle() {
    snapshot!("cycle", ["plan"], 2);
}

#[test]
fn compile_error() {
    snapshot!("compile-error", ["build"], 1);
}

#[test]
fn image_too_big() {
    snapshot!("image-too-big", ["image", "build"], 2);
}

#[test]
fn no_project() {
    let empty = tempfile::tempdir().unwrap();
    let fixture = Fixture::new();
    let ran = fixture.keel_in(&empty.path().display().to_string(), &["component", "list"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("keel.toml"), "{}", ran.stderr);
}

#[test]
fn no_such_image_or_component() {
    let fixture = Fixture::new();
    let ran = fixture.keel(&["image", "build", "boxx"]);
    assert_eq!(
        (ran.code, ran.errors().as_str()),
        (Some(2), "error: no such image: `boxx`\nhint: did you mean `box`?")
    );
    let ran = fixture.keel(&["build", "zlb"]);
    assert_eq!(
        (ran.code, ran.errors().as_str()),
        (
            Some(2),
            "error: no such component: `zlb`\nhint: did you mean `zlib`?"
        )
    );
}

#[test]
fn wrong_arguments() {
    let fixture = Fixture::new();
    let ran = fixture.keel(&["biuld"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("build"), "{}", ran.stderr);
}

#[test]
fn an_unsigned_repository_is_refused() {
    let fixture = Fixture::new();
    fixture.keel(&["repo", "create"]).ok();
    let repodata = fixture.path("out/repo/x86_64/os/repodata");
    fs_err::remove_file(repodata.join("repomd.xml.asc")).unwrap();
    let ran = fixture.keel(&["repo", "verify"]);
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert!(said.contains("repomd.xml") && said.contains("sign"), "{said}");
}

#[test]
fn stage0_is_asked_for_where_something_is_built() {
    let fixture = Fixture::new();
    let folder = fixture.path("plain");
    fs_err::create_dir(&folder).unwrap();
    let text = "[project]\ndefault-distro = { name = \"t\", version = \"1\" }\n[distros.t.versions.1]\nrelease-ver = \"1\"\n\
                [components.a]\nspec = { type = \"local\", path = \"a.spec\" }\n";
    fs_err::write(folder.join("keel.toml"), text).unwrap();
    fs_err::write(folder.join("a.spec"), "Name: a\n").unwrap();
    fixture.keel_in("plain", &["config", "check"]).ok();
    let ran = fixture.keel_in("plain", &["check"]);
    assert_eq!(
        (ran.code, ran.errors().as_str()),
        (
            Some(2),
            "error: this project does not say which Debian suite lends compiler and tools\nhint: [keel.stage0]\n      suite \
             = \"trixie\""
        )
    );
}

#[test]
fn sections_that_rpm_would_not_see() {
    let fixture = Fixture::new();
    let spec = fixture.path("specs/hello/hello.spec");
    let text = std::fs::read_to_string(&spec).unwrap();
    std::fs::write(
        &spec,
        text.replace("\n%build\n", "\n%biuld\n")
            .replace("\n%check\n", "\n %check\n"),
    )
    .unwrap();
    let ran = fixture.keel(&["check"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    let errors = ran.errors();
    for part in [
        "`%biuld` is no section: did you mean `%build`?",
        "specs/hello/hello.spec:19",
        "`%check` begins no section here: it must be at the very start of the line",
        "hint: if it is right, `# keel-lint: allow(misspelt-section)` in the line before says so",
    ] {
        assert!(errors.contains(part), "{part}:\n{errors}");
    }
    // Of no package: rpm refuses it, and Keel with it.
    std::fs::write(&spec, text.replace("%files\n", "%post tools\ntrue\n\n%files\n")).unwrap();
    let ran = fixture.keel(&["check"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("package hello-tools does not exist"),
        "{}",
        ran.stderr
    );
}

#[test]
fn packages_that_are_not_there_or_damaged() {
    let fixture = Fixture::new();
    std::fs::create_dir_all(fixture.path("elsewhere")).unwrap();
    std::fs::write(fixture.path("elsewhere/x.rpm"), "no package").unwrap();
    for (folder, name, parts) in [
        (
            ".",
            "x.rpm",
            &[
                "there is no package file or folder `x.rpm`",
                "hint: name an RPM, a folder of them, or a component",
            ][..],
        ),
        (
            ".",
            "elsewhere/x.rpm",
            &[
                "elsewhere/x.rpm` is not a sound RPM package",
                "hint: it is damaged, or no RPM",
            ],
        ),
        (".", "elsewhere", &["elsewhere/x.rpm` is not a sound RPM package"]),
        (".", "helo", &["did you mean `hello`?"]),
    ] {
        let ran = fixture.keel_in(folder, &["package", "check", name]);
        assert!(matches!(ran.code, Some(1 | 2)), "{name}: {}", ran.stderr);
        for part in parts {
            assert!(ran.errors().contains(part), "{name}: {part}:\n{}", ran.stderr);
        }
    }
    let exception = "\n[[components.hello.package-checks.allow]]\nrule = \"setuid-file\"\npath = \"/usr/[\"\nreason = \"a test\"\n";
    let file = fixture.path("components/packages.toml");
    let text = std::fs::read_to_string(&file).unwrap() + exception;
    std::fs::write(&file, text).unwrap();
    let ran = fixture.keel(&["check"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("`path` of the exception is no pattern"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_repository_that_is_not_as_it_was_signed() {
    let fixture = Fixture::new();
    fixture.keel(&["repo", "create"]).ok();
    let stray = fixture.path("out/repo/x86_64/os/stray");
    assert!(stray.parent().unwrap().is_dir());
    std::fs::write(&stray, "").unwrap();
    let ran = fixture.keel(&["repo", "verify"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(
        ran.stdout
            .contains("/os/stray: no metadata names it: no client will ever ask for it\n"),
        "{}",
        ran.stdout
    );
    for part in [
        "is not as it was signed: 1 files are wrong",
        "hint: one of this tree is made anew by `keel repo create`",
    ] {
        assert!(ran.stderr.contains(part), "{part}:\n{}", ran.stderr);
    }
}
