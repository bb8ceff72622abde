//! `keel component`: what its subcommands say of a tree of one or two components.

use std::fs;

use crate::{
    harness::{Fixture, Ran, git, judge},
    render::{OVERLAYS, SPEC, tree},
};

fn with_macros(fixture: &Fixture, command: &str, arguments: &[&str]) -> Ran {
    let macros = fixture.path("tree/macros");
    let all = [
        &["component", command, "--macros", macros.to_str().unwrap()],
        arguments,
    ]
    .concat();
    fixture.keel_in("tree", &all)
}

fn json(ran: &Ran) -> serde_json::Value {
    serde_json::from_str(&ran.stdout).unwrap()
}

#[test]
fn a_diff_is_what_rendering_changes() {
    let fixture = Fixture::new();
    tree(&fixture, "keel.toml", OVERLAYS);
    fs::write(fixture.path("tree/demo/picture.png"), b"\x89PNG\0\0").unwrap();
    let diff = with_macros(&fixture, "diff", &["demo"]).ok().stdout;
    for part in [
        "--- /dev/null\n+++ b/demo/demo.azl.macros\n@@ -0,0 +1",
        "--- a/demo/demo.spec\n+++ b/demo/demo.spec\n@@ ",
        "\n+BuildRequires: gcc\n",
        "--- a/demo/notes.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-nobody names it\n",
        "Binary files a/demo/picture.png and /dev/null differ\n",
    ] {
        assert!(diff.contains(part), "{part}:\n{diff}");
    }
    assert!(!diff.contains("demo/a.patch"), "{diff}");
    let rows = json(&with_macros(&fixture, "diff", &["-a", "--output", "json"]).ok());
    let files: Vec<&str> = rows[0]["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["file"].as_str().unwrap())
        .collect();
    assert_eq!(
        files,
        ["demo.azl.macros", "demo.spec", "notes.txt", "picture.png"]
    );
    assert_eq!(rows[0]["files"][3]["binary"], true);
    assert!(!fixture.path("tree/rendered").exists());
    let none = with_macros(&fixture, "diff", &[]);
    assert_eq!(none.code, Some(2), "{}", none.stderr);
    tree(
        &fixture,
        "keel.toml",
        &OVERLAYS.replace("spec-insert-tag", "spec-remove-tag"),
    );
    let wrong = with_macros(&fixture, "diff", &["demo"]);
    assert_eq!(wrong.code, Some(1), "{}", wrong.stderr);
    assert!(wrong.stderr.contains("cannot render `demo`"), "{}", wrong.stderr);
}

/// A distribution with one SPEC in git and one archive in its lookaside; its part of a `keel.toml`.
fn upstream(fixture: &Fixture) -> String {
    let archive = fixture.path("demo-1.tar.gz");
    fs::create_dir_all(fixture.path("demo-1")).unwrap();
    fs::write(fixture.path("demo-1/hello.txt"), "hello\n").unwrap();
    let folder = fixture.path("");
    let at = folder.to_str().unwrap();
    judge("tar", &["-C", at, "-czf", archive.to_str().unwrap(), "demo-1"]);
    let said = judge("sha512sum", &[archive.to_str().unwrap()]);
    let digest = said.split(' ').next().unwrap();
    let kept = fixture.path(&format!("lookaside/demo/demo-1.tar.gz/sha512/{digest}"));
    fs::create_dir_all(&kept).unwrap();
    fs::rename(&archive, kept.join("demo-1.tar.gz")).unwrap();
    let rpms = fixture.path("rpms/demo.git");
    fs::create_dir_all(&rpms).unwrap();
    fs::write(rpms.join("demo.spec"), SPEC).unwrap();
    fs::write(rpms.join("a.patch"), "--- a\n").unwrap();
    fs::write(
        rpms.join("sources"),
        format!("SHA512 (demo-1.tar.gz) = {digest}\n"),
    )
    .unwrap();
    git(&rpms, "git init -q -b f1 . && git add . && git commit -qm one");
    format!(
        "[distros.up]\ndist-git-base-uri = \"file://{0}/rpms/$pkg.git\"\n\
         lookaside-base-uri = \"file://{0}/lookaside/$pkg/$filename/$hashtype/$hash/$filename\"\n\
         [distros.up.versions.1]\nrelease-ver = \"1\"\ndist-git-branch = \"f1\"\n\
         [components.demo]\nspec = {{ type = \"upstream\", upstream-distro = {{ name = \"up\", version = \"1\" }} }}\n",
        at.trim_end_matches('/')
    )
}

#[test]
fn prepared_sources_make_a_source_package() {
    let fixture = Fixture::new();
    let overlay = "[[components.demo.overlays]]\ntype = \"file-search-replace\"\narchive = \"demo-1.tar.gz\"\n\
                   file = \"hello.txt\"\nregex = \"hello\"\nreplacement = \"bonjour\"\n";
    tree(&fixture, "keel.toml", &(upstream(&fixture) + overlay));
    let ran = with_macros(
        &fixture,
        "prepare-sources",
        &["demo", "--to", "made", "--output", "json"],
    )
    .ok();
    let made = json(&ran);
    assert_eq!(made["files"].as_array().unwrap().len(), 4, "{made}");
    assert_eq!(made["archives"][0], "demo-1.tar.gz");
    let to = fixture.path("tree/made");
    let at = to.to_str().unwrap();
    let hello = judge(
        "tar",
        &["-xOf", &format!("{at}/demo-1.tar.gz"), "demo-1/hello.txt"],
    );
    assert_eq!(hello, "bonjour\n");
    judge(
        "sh",
        &[
            "-c",
            &format!("cd {at} && sed -n 's/SHA512 (\\(.*\\)) = \\(.*\\)/\\2  \\1/p' sources | sha512sum -c"),
        ],
    );
    let (sources, out) = (format!("_sourcedir {at}"), format!("_srcrpmdir {at}/out"));
    judge(
        "rpmbuild",
        &[
            "-bs",
            "--define",
            &sources,
            "--define",
            &out,
            &format!("{at}/demo.spec"),
        ],
    );
    assert_eq!(fs::read_dir(to.join("out")).unwrap().count(), 1);
    // A folder that is not empty is nobody's to overwrite; links in it are not followed.
    let again = with_macros(&fixture, "prepare-sources", &["demo", "--to", "made"]);
    assert_eq!(again.code, Some(2), "{}", again.stderr);
    fs::write(fixture.path("precious"), "p").unwrap();
    fs::remove_file(to.join("a.patch")).unwrap();
    std::os::unix::fs::symlink(fixture.path("precious"), to.join("a.patch")).unwrap();
    let pristine = ["demo", "--to", "made", "--force", "--skip-overlays", "--offline"];
    // Without a snapshot, the newest commit is asked for.
    assert_eq!(with_macros(&fixture, "prepare-sources", &pristine).code, Some(3));
    with_macros(&fixture, "prepare-sources", &pristine[..5]).ok();
    assert_eq!(fs::read_to_string(fixture.path("precious")).unwrap(), "p");
    assert_eq!(fs::read_to_string(to.join("demo.spec")).unwrap(), SPEC);
    with_macros(
        &fixture,
        "prepare-sources",
        &["demo", "--to", "bare", "--skip-sources"],
    )
    .ok();
    assert!(!fixture.path("tree/bare/demo-1.tar.gz").exists());
}

#[test]
fn other_bytes_of_the_lookaside_are_refused() {
    let fixture = Fixture::new();
    let rest = upstream(&fixture);
    let sources = fixture.path("rpms/demo.git/sources");
    let text = fs::read_to_string(&sources).unwrap();
    let digest = text.trim().rsplit(' ').next().unwrap();
    let at = |digest: &str| {
        fixture.path(&format!(
            "lookaside/demo/demo-1.tar.gz/sha512/{digest}/demo-1.tar.gz"
        ))
    };
    let other = digest.replace(|c: char| c.is_ascii_digit(), "a");
    fs::create_dir_all(at(&other).parent().unwrap()).unwrap();
    fs::copy(at(digest), at(&other)).unwrap();
    for (line, says) in [
        (text.replace(digest, &other), "it gave other bytes: SHA-512"),
        (text.replace("SHA512", "MD5"), "by no SHA-512"),
        (text.replace("demo-1", "demo-2"), "has no source `demo-1.tar.gz`"),
        ("nonsense\n".to_owned(), "line 1 of `sources`"),
    ] {
        fs::write(&sources, line).unwrap();
        git(&fixture.path("rpms/demo.git"), "git commit -qam other");
        tree(&fixture, "keel.toml", &rest);
        let ran = with_macros(&fixture, "prepare-sources", &["demo", "--to", "made"]);
        assert!(matches!(ran.code, Some(1 | 2)), "{}", ran.stderr);
        assert!(ran.stderr.contains(says), "{says}:\n{}", ran.stderr);
        assert!(!fixture.path("tree/made").exists());
    }
}

#[test]
fn a_lock_that_lies_beside_a_spec_is_none_of_its_files() {
    let fixture = Fixture::new();
    let demo = "[components.demo]\nspec = { type = \"local\", path = \"demo.spec\" }\n";
    tree(&fixture, "keel.toml", demo);
    for file in ["demo.spec", "a.patch"] {
        fs::copy(
            fixture.path("tree/demo").join(file),
            fixture.path("tree").join(file),
        )
        .unwrap();
    }
    let upper = fixture.path("upper");
    fs::create_dir_all(&upper).unwrap();
    let text =
        "[project]\ndefault-distro = { name = \"t\", version = \"1\" }\n[keel.base]\npath = \"../tree\"\n";
    fs::write(upper.join("keel.toml"), text).unwrap();
    let lock = |of: &str| {
        let text = format!(
            "version = 1\n\n[[file]]\ncomponent = \"{of}\"\nname = \"x.tar\"\nsize = 1\nsha256 = \"{}\"\n\
             origins = [\"https://example.org/x.tar\"]\nlocked = true\n",
            "0".repeat(64)
        );
        fs::write(fixture.path("tree/keel.lock"), text).unwrap();
    };
    lock("one");
    git(
        &fixture.path(""),
        "git init -q -b main . && git add . && git commit -qm one",
    );
    lock("other");
    for folder in ["tree", "upper"] {
        let ran = fixture
            .keel_in(folder, &["component", "changed", "--from", "HEAD"])
            .ok();
        assert_eq!(ran.stdout, "component  change  why\n", "{folder}");
    }
}

#[test]
fn changed_says_which_and_why() {
    let fixture = Fixture::new();
    let other = "[components.other]\nspec = { type = \"local\", path = \"other/other.spec\" }\n";
    tree(&fixture, "keel.toml", &format!("{OVERLAYS}{other}"));
    let top = fixture.path("");
    fs::create_dir_all(fixture.path("tree/other")).unwrap();
    fs::write(
        fixture.path("tree/other/other.spec"),
        SPEC.replace("demo", "other"),
    )
    .unwrap();
    // What the repository says of its files is not heard, and its own configuration neither.
    fs::write(
        fixture.path("tree/.gitattributes"),
        "*.patch export-ignore\n*.spec filter=evil\n",
    )
    .unwrap();
    git(
        &top,
        "git init -q -b main . && git config filter.evil.smudge 'touch EVIL; cat' && git add . && git commit -qm one && git tag v1",
    );
    let changed = |arguments: &[&str]| {
        let all = [&["component", "changed", "--from", "v1"], arguments].concat();
        fixture.keel_in("tree", &all)
    };
    assert_eq!(changed(&[]).ok().stdout, "component  change  why\n");
    let more = "# moved\n[components.third]\nspec = { type = \"local\", path = \"other/other.spec\" }\n";
    let overlays = OVERLAYS.replace("gcc", "clang").replace("[\"docs\"]", "[]");
    tree(&fixture, "keel.toml", &format!("{more}{overlays}"));
    fs::write(fixture.path("tree/demo/a.patch"), "--- b\n").unwrap();
    fs::write(fixture.path("tree/demo/new"), "").unwrap();
    let expected = "component  change   why\n\
        demo       changed  build.without overlays ~tree/demo/a.patch +tree/demo/new\n\
        other      deleted\nthird      added\n";
    assert_eq!(changed(&[]).ok().stdout, expected);
    assert_eq!(changed(&["--to", "HEAD"]).ok().stdout, "component  change  why\n");
    git(&top, "git add -A && git commit -qm 'two\twords'");
    assert_eq!(changed(&["--to", "HEAD"]).ok().stdout, expected);
    // What is pinned differently is changed, be nothing else so.
    let lock = |digit: &str| {
        let text = format!(
            "version = 1\n\n[[file]]\ncomponent = \"demo\"\nname = \"demo-1.tar.gz\"\nsize = 1\nsha256 = \"{}\"\n\
             origins = [\"https://example.org/demo-1.tar.gz\"]\nlocked = true\n",
            digit.repeat(64)
        );
        fs::write(fixture.path("tree/keel.lock"), text).unwrap();
    };
    lock("0");
    git(&top, "git add -A && git commit -qm lock && git tag locked");
    let since = |arguments: &[&str]| {
        let all = [&["component", "changed", "--from", "locked"], arguments].concat();
        fixture.keel_in("tree", &all).ok()
    };
    assert_eq!(since(&[]).stdout, "component  change  why\n");
    // Not so how the lock is written, and what it pins for others.
    let text = fs::read_to_string(fixture.path("tree/keel.lock")).unwrap();
    let more = text.replace("\"demo\"", "\"third\"").replace("version = 1\n", "");
    let written = format!("# another comment\n{}{more}", text.replace(" = ", "="));
    fs::write(fixture.path("tree/keel.lock"), written).unwrap();
    let third = "component  change   why\nthird      changed  sources\n";
    assert_eq!(since(&[]).stdout, third);
    lock("1");
    assert_eq!(
        since(&[]).stdout,
        "component  change   why\ndemo       changed  sources\n"
    );
    let pinned = json(&since(&["--output", "json"]));
    assert_eq!(
        pinned[0]["sources"],
        serde_json::json!([{ "file": "demo-1.tar.gz", "how": "changed" }])
    );
    git(&top, "git checkout -q -- . && git reset -q --hard HEAD~1");
    let rows = json(&changed(&["--to", "v1", "--include-unchanged", "--output", "json"]).ok());
    assert_eq!(rows[0]["change"], "unchanged");
    for wrong in ["--upload-pack=x", "none"] {
        let wrong = changed(&[&format!("--to={wrong}")]);
        assert_eq!(wrong.code, Some(2), "{}", wrong.stderr);
        assert!(wrong.stderr.contains("there is no revision"), "{}", wrong.stderr);
    }
    assert!(!fixture.path("EVIL").exists() && !fixture.path(".git/info/attributes").exists());
    let history = fixture.keel_in("tree", &["component", "history", "demo"]).ok();
    let lines: Vec<&str> = history.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{}", history.stdout);
    assert!(lines[1].ends_with("  a       twowords"), "{}", history.stdout);
    fs::write(fixture.path("tree/other/[x]*"), "").unwrap();
    git(&top, "git add -A && git commit -qm three");
    let history = fixture.keel_in(
        "tree",
        &["component", "history", "demo", "third", "--output", "json"],
    );
    let rows = json(&history.ok());
    let subjects: Vec<&str> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["subject"].as_str().unwrap())
        .collect();
    assert_eq!(subjects, ["twowords", "one", "three", "twowords", "one"]);
    let outside = Fixture::new();
    tree(&outside, "keel.toml", OVERLAYS);
    let ran = outside.keel_in("tree", &["component", "history", "demo"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
}

#[test]
fn components_are_added_where_they_are_right() {
    let fixture = Fixture::new();
    tree(&fixture, "keel.toml", OVERLAYS);
    let file = fixture.path("tree/keel.toml");
    let before = fs::read_to_string(&file).unwrap();
    let add = |arguments: &[&str]| {
        let all = [&["component", "add"], arguments].concat();
        fixture.keel_in("tree", &all)
    };
    fs::write(fixture.path("outside.spec"), SPEC).unwrap();
    for (wrong, says) in [
        (&["demo"][..], "there is a component `demo` already"),
        (&["x", "x"], "`x` is named twice"),
        (&["../x"], "cannot be the name of a component"),
        // Nothing is inherited here.
        (&["bare"], "nothing was added"),
        (&["x", "--spec", "../outside.spec"], "not in the project's folder"),
        (&["x", "--spec", "demo/a.patch"], "is no SPEC file"),
        (&["x", "--spec", "none.spec"], "is not there"),
    ] {
        let ran = add(wrong);
        assert_eq!(ran.code, Some(2), "{}", ran.stderr);
        assert!(ran.stderr.contains(says), "{says}:\n{}", ran.stderr);
        assert_eq!(fs::read_to_string(&file).unwrap(), before);
    }
    let ran = add(&["second", "--spec", "demo/demo.spec"]).ok();
    assert_eq!(ran.stdout, "keel.toml: second\n");
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        before + "\n[components.second]\nspec = { type = \"local\", path = \"demo/demo.spec\" }\n"
    );
    assert_eq!(fs::read_dir(fixture.path("tree")).unwrap().count(), 3);
}

#[test]
fn licences_are_told_and_checked() {
    let fixture = Fixture::new();
    let told = fixture.keel(&["licenses"]).ok().stdout;
    assert!(told.contains("nothing is said of the SPECs of  "), "{told}");
    let wrong = fixture.keel(&["licenses", "--check"]);
    assert_eq!(wrong.code, Some(1), "{}", wrong.stderr);
    assert!(
        wrong.stderr.contains("the licence of the SPEC of `zlib`"),
        "{}",
        wrong.stderr
    );
    let main = fixture.path("keel.toml");
    let text = fs::read_to_string(&main).unwrap();
    let say = |licence: &str| {
        let all = format!("{text}\n[default-component-config]\nlicence = \"{licence}\"\n");
        fs::write(&main, all).unwrap();
    };
    say("MIT OR Apache-2.0");
    fixture.keel(&["licenses", "--check"]).ok();
    let found = json(&fixture.keel(&["licenses", "--output", "json"]).ok());
    let specs = found["licences"]["MIT OR Apache-2.0"]["specs"]
        .as_array()
        .unwrap();
    assert!(specs.iter().any(|name| name == "zlib"), "{found}");
    assert_eq!(found["licences"]["Zlib"]["programs"][0], "zlib");
    say("MTI");
    let wrong = fixture.keel(&["licenses", "--check"]);
    assert_eq!(wrong.code, Some(1), "{}", wrong.stderr);
    assert!(
        wrong.stderr.contains("`MTI` is no SPDX expression"),
        "{}",
        wrong.stderr
    );
}

#[test]
fn query_says_what_rpmspec_says() {
    let fixture = Fixture::new();
    tree(&fixture, "keel.toml", OVERLAYS);
    let sub = "%package libs\nSummary: s\n%description libs\nd\n%files libs\n%package none\nSummary: s\n%description none\nd\n";
    fs::write(fixture.path("tree/demo/demo.spec"), format!("{SPEC}{sub}")).unwrap();
    let said = with_macros(&fixture, "query", &["demo"]).ok().stdout;
    assert_eq!(
        said,
        "component  source       packages\ndemo       demo-1-3.t1  demo demo-libs\n"
    );
    let spec = fixture.path("tree/demo/demo.spec");
    let asked = [
        "-q",
        "--srpm",
        "--define",
        "dist .t1",
        "--qf",
        "%{nvr}",
        spec.to_str().unwrap(),
    ];
    assert_eq!(judge("rpmspec", &asked), "demo-1-3.t1");
    let rows = json(&with_macros(&fixture, "query", &["-a", "--output", "json"]).ok());
    assert_eq!(rows[0]["packages"][1]["name"], "demo-libs");
    fs::write(&spec, SPEC.replace("Version: 1", "Version: %{")).unwrap();
    let wrong = with_macros(&fixture, "query", &["demo"]);
    assert_eq!(wrong.code, Some(1), "{}", wrong.stderr);
    assert!(wrong.stderr.contains("cannot query `demo`"), "{}", wrong.stderr);
}
