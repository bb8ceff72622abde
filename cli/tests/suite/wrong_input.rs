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
