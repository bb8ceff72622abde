//! `keel package`: rules, exceptions, and what stops builds and repositories.

use crate::harness::Fixture;

/// Adds a component with a SPEC of one noarch package.
fn add(fixture: &Fixture, name: &str, install: &str, files: &str, toml: &str) {
    fs_err::create_dir_all(fixture.path(&format!("specs/{name}"))).unwrap();
    let spec = format!(
        "Name: {name}\nVersion: 1\nRelease: 1\nSummary: A test\nLicense: MIT\nURL: https://example.org/\nBuildArch: noarch\n\n\
         %description\nA test.\n\n%install\nmkdir -p %{{buildroot}}/usr/share/licenses\n\
         echo MIT > %{{buildroot}}/usr/share/licenses/{name}\n{install}\n\n%files\n%license /usr/share/licenses/{name}\n{files}\n\n\
         %changelog\n* Thu Jan 01 2026 A B <a@b.test> - 1-1\n- New.\n"
    );
    fs_err::write(fixture.path(&format!("specs/{name}/{name}.spec")), spec).unwrap();
    let text = format!(
        "[components.{name}]\nspec = {{ type = \"local\", path = \"../specs/{name}/{name}.spec\" }}\n{toml}"
    );
    fs_err::write(fixture.path(&format!("components/{name}.toml")), text).unwrap();
}

const WRITABLE: &str = "echo x > %{buildroot}/usr/share/open\nchmod 0666 %{buildroot}/usr/share/open";

#[test]
fn rules_are_listed_and_a_wrong_name_is_told() {
    let fixture = Fixture::new();
    let all = fixture.keel(&["package", "rules", "--output", "json"]).ok();
    let all: serde_json::Value = serde_json::from_str(&all.stdout).unwrap();
    assert!(all.as_array().unwrap().len() > 50);
    let one = fixture.keel(&["package", "rules", "elf-no-relro"]).ok().stdout;
    assert!(
        one.starts_with("elf-no-relro (warning)") && one.contains("why: "),
        "{one}"
    );
    let wrong = fixture.keel(&["package", "check", "--all", "--rules", "elf-no-rello"]);
    assert_eq!(wrong.code, Some(2));
    assert!(
        wrong.stderr.contains("did you mean `elf-no-relro`?"),
        "{}",
        wrong.stderr
    );
}

#[test]
fn an_error_stops_a_build_and_an_exception_needs_no_new_one() {
    let fixture = Fixture::new();
    add(&fixture, "opened", WRITABLE, "/usr/share/open", "");
    let refused = fixture.keel(&["build", "opened"]);
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    let errors = refused.errors();
    assert!(
        errors.contains("opened /usr/share/open: its mode is 0666 [world-writable]"),
        "{errors}"
    );
    let exception = "[[components.opened.package-checks.allow]]\nrule = \"world-writable\"\npath = \"/usr/share/*\"\n\
                     reason = \"a test\"\n";
    add(&fixture, "opened", WRITABLE, "/usr/share/open", exception);
    let built = fixture.keel(&["build", "opened", "-v"]).ok();
    assert!(
        !built.stderr.contains("%install"),
        "nothing is built again: {}",
        built.stderr
    );
    let quiet = fixture.keel(&["package", "check", "opened"]).ok();
    assert_eq!(quiet.stdout, "", "{}", quiet.stderr);
    let told = fixture.keel(&["package", "check", "opened", "--allowed"]).ok();
    assert_eq!(
        told.stdout.trim(),
        "opened: /usr/share/open: error: its mode is 0666 [world-writable], explained: a test"
    );
    // As a file of somebody else it has nothing that explains it.
    let file = fixture.path("out/packages/x86_64/opened/opened-1-1.noarch.rpm");
    let elsewhere = tempfile::tempdir().unwrap();
    let file_there = elsewhere.path().join("other.rpm");
    fs_err::copy(file, &file_there).unwrap();
    let mut command = fixture.command(
        ".",
        &[
            "package",
            "check",
            file_there.to_str().unwrap(),
            "--output",
            "json",
        ],
    );
    command.arg("-C").arg(elsewhere.path());
    let foreign = command.output().unwrap();
    let found: serde_json::Value = serde_json::from_slice(&foreign.stdout).unwrap();
    assert_eq!(
        (foreign.status.code(), &found["errors"]),
        (Some(1), &1.into()),
        "{found}"
    );
}

#[test]
fn exceptions_name_rules_that_are_there() {
    let fixture = Fixture::new();
    let wrong = "[[components.opened.package-checks.allow]]\nrule = \"world-writeable\"\nreason = \"a test\"\n\
                 [[components.opened.package-checks.allow]]\nrule = \"borrowed-file\"\nreason = \"a test\"\n";
    add(&fixture, "opened", WRITABLE, "/usr/share/open", wrong);
    for command in [&["check"][..], &["package", "check", "--all"]] {
        let ran = fixture.keel(command);
        assert_eq!(ran.code, Some(2), "{}", ran.stderr);
        let errors = ran.errors();
        assert!(errors.contains("there is no rule `world-writeable`"), "{errors}");
        assert!(errors.contains("components/opened.toml:3:"), "{errors}");
        assert!(errors.contains("did you mean `world-writable`?"), "{errors}");
        assert!(
            errors.contains("`borrowed-file` is the build stage's own"),
            "{errors}"
        );
    }
}

#[test]
fn packages_that_do_not_fit_together_are_not_published() {
    let fixture = Fixture::new();
    let file = |text: &str| format!("echo {text} > %{{buildroot}}/usr/share/same");
    add(&fixture, "first", &file("one"), "/usr/share/same", "");
    add(&fixture, "second", &file("two"), "/usr/share/same", "");
    let refused = fixture.keel(&["repo", "create"]);
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    let errors = refused.errors();
    assert!(
        errors
            .contains("second: /usr/share/same: error: `first` has it with another content [file-conflict]"),
        "{errors}"
    );
    assert!(!fixture.path("out/repo/x86_64/os/repodata").exists());
    let told = fixture.keel(&["package", "check", "--all", "--rules", "file-conflict"]);
    assert_eq!(told.code, Some(1));
    assert_eq!(told.stdout.lines().count(), 1, "{}", told.stdout);
    add(&fixture, "second", &file("one"), "/usr/share/same", "");
    fixture.keel(&["repo", "create"]).ok();
    // What is published is what the next build is compared with.
    add(
        &fixture,
        "first",
        &format!("{}; echo > %{{buildroot}}/usr/share/more", file("one")),
        "/usr/share/same\n/usr/share/more",
        "",
    );
    fixture.keel(&["build", "first"]).ok();
    let diff = fixture.keel(&["package", "diff", "first"]).ok().stdout;
    assert!(diff.contains("  files\n    + /usr/share/more"), "{diff}");
    let other = fixture
        .keel(&["package", "diff", "out/repo", "first", "--output", "json"])
        .ok();
    let other: serde_json::Value = serde_json::from_str(&other.stdout).unwrap();
    assert_eq!(other[0]["files"]["new"][0], "/usr/share/more");
    let against = fixture
        .keel(&["package", "check", "first", "--against", "out/repo", "-v"])
        .ok()
        .stdout;
    assert!(against.contains("[files-changed]"), "{against}");
}
