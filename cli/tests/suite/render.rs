//! `keel component render`: overlays, another distribution's SPECs out of git, what cannot be rendered.

use std::fs;

use crate::harness::{Fixture, Ran, git, tool};

pub const SPEC: &str = "\
Name: demo
Version: 1
Release: 3%{?dist}
Summary: s
License: MIT
Source0: https://example.org/demo-%{version}.tar.gz
Patch0: a.patch
%description
d
%check
make check
%files
";

/// A tree of its own; `rest` is the end of its `keel.toml`.
pub fn tree(fixture: &Fixture, main: &str, rest: &str) {
    let folder = fixture.path("tree");
    fs::create_dir_all(folder.join("demo")).unwrap();
    fs::write(folder.join("demo/demo.spec"), SPEC).unwrap();
    fs::write(folder.join("demo/a.patch"), "--- a\n").unwrap();
    fs::write(folder.join("demo/notes.txt"), "nobody names it\n").unwrap();
    fs::create_dir_all(folder.join("macros")).unwrap();
    fs::write(folder.join("macros/macros"), "%dist .t1\n").unwrap();
    let keel = if main == "keel.toml" {
        "[keel.stage0]\nsuite = \"trixie\"\n"
    } else {
        ""
    };
    let text = format!(
        "[project]\ndefault-distro = {{ name = \"t\", version = \"1\" }}\nrendered-specs-dir = \"rendered\"\n\
         [distros.t.versions.1]\nrelease-ver = \"1\"\n{keel}{rest}"
    );
    fs::write(folder.join(main), text).unwrap();
}

fn render(fixture: &Fixture, arguments: &[&str]) -> Ran {
    let macros = fixture.path("tree/macros");
    let all = [
        &["component", "render", "--macros", macros.to_str().unwrap()],
        arguments,
    ]
    .concat();
    fixture.keel_in("tree", &all)
}

fn rendered(fixture: &Fixture, file: &str) -> String {
    fs::read_to_string(fixture.path("tree/rendered").join(file)).unwrap()
}

pub const OVERLAYS: &str = "\
[components.demo]
spec = { type = \"local\", path = \"demo/demo.spec\" }
[components.demo.build]
without = [\"docs\"]
check = { skip = true, skip_reason = \"no network\" }
[[components.demo.overlays]]
type = \"spec-insert-tag\"
tag = \"BuildRequires\"
value = \"gcc\"
";

#[test]
fn a_component_is_rendered_once_and_then_the_same() {
    let fixture = Fixture::new();
    tree(&fixture, "keel.toml", OVERLAYS);
    let would = render(&fixture, &["--all", "--check-only"]);
    assert_eq!(would.code, Some(1), "{}", would.stderr);
    assert!(!fixture.path("tree/rendered").exists());
    let first = render(&fixture, &["--all"]).ok();
    assert_eq!(
        first.stdout,
        "+ demo: a.patch\n+ demo: demo.azl.macros\n+ demo: demo.spec\n1 rendered, 0 unchanged, 0 failed\n"
    );
    let spec = rendered(&fixture, "d/demo/demo.spec");
    for part in [
        "%{load:%{_sourcedir}/demo.azl.macros}",
        "Source9999: demo.azl.macros\n",
        "BuildRequires: gcc\n",
        "%check\n# Check section disabled: no network\nexit 0\n",
        "Release: 3%{?dist}\n",
    ] {
        assert!(spec.contains(part), "{part}:\n{spec}");
    }
    assert!(rendered(&fixture, "d/demo/demo.azl.macros").ends_with("%_without_docs 1\n"));
    assert!(!fixture.path("tree/rendered/d/demo/notes.txt").exists());
    let again = render(&fixture, &["--all"]).ok();
    assert_eq!(again.stdout, "0 rendered, 1 unchanged, 0 failed\n");
    render(&fixture, &["--all", "--check-only"]).ok();
    // Somebody edits what is rendered: CI finds it, and rendering mends it.
    fs::write(fixture.path("tree/rendered/d/demo/demo.spec"), "x").unwrap();
    let edited = render(&fixture, &["demo", "--check-only"]);
    assert_eq!(
        (edited.code, edited.stdout.as_str()),
        (
            Some(1),
            "~ demo: demo.spec\n1 would change, 0 unchanged, 0 failed\n"
        )
    );
    render(&fixture, &["demo"]).ok();
    assert_eq!(rendered(&fixture, "d/demo/demo.spec"), spec);
}

#[test]
fn only_what_rendering_made_is_removed_when_its_component_is_gone() {
    // R86.
    let fixture = Fixture::new();
    let more = |names: &[&str]| {
        let overlaid = |name: &&str| OVERLAYS.replace("components.demo", &format!("components.{name}"));
        let plain = "[components.plain]\nspec = { type = \"local\", path = \"demo/demo.spec\" }\n";
        tree(
            &fixture,
            "keel.toml",
            &format!("{plain}{}", names.iter().map(overlaid).collect::<String>()),
        );
    };
    more(&["demo", "seen", "edited", "kept"]);
    render(&fixture, &["--all"]).ok();
    let folder = |name: &str| fixture.path("tree/rendered").join(&name[..1]).join(name);
    // By hand, as nobody would believe who sees only where it is.
    fs::create_dir_all(folder("hand")).unwrap();
    fs::write(folder("hand").join("hand.spec"), SPEC).unwrap();
    for name in ["edited", "kept"] {
        fs::write(folder(name).join("a.patch"), "--- edited\n").unwrap();
    }
    git(
        &fixture.path("tree"),
        "git init -q -b main . && git add rendered/h rendered/k && git commit -qm one",
    );
    more(&["demo"]);
    let would = render(&fixture, &["--check-only", "--clean-stale"]);
    assert_eq!(would.code, Some(1), "{}", would.stderr);
    let cleaned = render(&fixture, &["--clean-stale", "--output", "json"]).ok();
    let cleaned: serde_json::Value = serde_json::from_str(&cleaned.stdout).unwrap();
    // The store saw `seen`; git has `kept`, which is edited but has the header.
    assert_eq!(cleaned["stale"], serde_json::json!(["k/kept", "s/seen"]));
    let left = serde_json::json!([
        { "folder": "e/edited", "why": "not-committed" },
        { "folder": "h/hand", "why": "not-rendered" },
    ]);
    assert_eq!(cleaned["left"], left);
    let again = render(&fixture, &["--clean-stale", "--check-only"]).ok();
    let lines: Vec<&str> = again.stdout.lines().collect();
    assert!(
        lines[0].starts_with("! e/edited is no component's and stays: "),
        "{}",
        again.stdout
    );
    assert!(
        lines[1].contains("its SPEC has no header of rendering"),
        "{}",
        again.stdout
    );
    for (name, is_there) in [
        ("demo", true),
        ("plain", true),
        ("edited", true),
        ("hand", true),
        ("kept", false),
    ] {
        assert_eq!(folder(name).exists(), is_there, "{name}");
    }
}

#[test]
fn nothing_changed_is_nothing_added_but_in_azldevs_own_trees() {
    let plain = "[components.demo]\nspec = { type = \"local\", path = \"demo/demo.spec\" }\n";
    for (main, is_same) in [("keel.toml", true), ("azldev.toml", false)] {
        let fixture = Fixture::new();
        tree(&fixture, main, plain);
        render(&fixture, &["--all"]).ok();
        let spec = rendered(&fixture, "d/demo/demo.spec");
        assert_eq!(spec == SPEC, is_same, "{main}:\n{spec}");
        assert!(spec.ends_with(SPEC), "{main}:\n{spec}");
    }
}

#[test]
fn an_overlay_that_does_not_apply_is_told_and_marked() {
    let fixture = Fixture::new();
    tree(
        &fixture,
        "keel.toml",
        &OVERLAYS
            .replace("spec-insert-tag", "spec-update-tag")
            .replace("BuildRequires", "Licence"),
    );
    let ran = render(&fixture, &["--all"]);
    assert_eq!(ran.code, Some(1));
    for part in ["cannot render `demo`", "keel.toml:", "Licence", "License"] {
        assert!(ran.stderr.contains(part), "{part}:\n{}", ran.stderr);
    }
    assert!(fixture.path("tree/rendered/d/demo/RENDER_FAILED").exists());
    let none = render(&fixture, &[]);
    assert_eq!(none.code, Some(2), "{}", none.stderr);
}

#[test]
fn specs_of_another_distribution_come_out_of_git() {
    let fixture = Fixture::new();
    let upstream = fixture.path("rpms/demo.git");
    fs::create_dir_all(&upstream).unwrap();
    fs::write(upstream.join("demo.spec"), SPEC).unwrap();
    fs::write(upstream.join("a.patch"), "--- a\n").unwrap();
    fs::write(upstream.join("sources"), "SHA512 (demo-1.tar.gz) = 00\n").unwrap();
    let at = |date: &str| format!("GIT_AUTHOR_DATE={date} GIT_COMMITTER_DATE={date}");
    git(
        &upstream,
        &format!(
            "git init -q -b f1 . && git add . && {} git commit -qm one",
            at("2026-01-01T00:00:00Z")
        ),
    );
    fs::write(
        upstream.join("demo.spec"),
        SPEC.replace("Version: 1", "Version: 2"),
    )
    .unwrap();
    let newest = git(
        &upstream,
        &format!(
            "{} git commit -qam two && git rev-parse HEAD",
            at("2026-03-01T00:00:00Z")
        ),
    );
    let base = fixture.path("rpms/$pkg.git");
    let distro = format!(
        "[distros.up]\ndist-git-base-uri = \"file://{}\"\n[distros.up.versions.1]\nrelease-ver = \"1\"\ndist-git-branch = \"f1\"\n\
         [default-component-config]\nspec = {{ type = \"upstream\", upstream-distro = {{ name = \"up\", version = \"1\", \
         snapshot = \"2026-02-01T00:00:00Z\" }} }}\n[components.demo]\n",
        base.display()
    );
    tree(&fixture, "keel.toml", &distro);
    render(&fixture, &["--all"]).ok();
    assert!(rendered(&fixture, "d/demo/demo.spec").contains("Version: 1\n"));
    assert_eq!(
        rendered(&fixture, "d/demo/sources"),
        "SHA512 (demo-1.tar.gz) = 00\n"
    );
    // The snapshot and its files are in the store: the network is needed once.
    fs::rename(&upstream, fixture.path("rpms/gone")).unwrap();
    render(&fixture, &["--all", "--offline"]).ok();
    fs::rename(fixture.path("rpms/gone"), &upstream).unwrap();
    tree(
        &fixture,
        "keel.toml",
        &distro.replace(
            "[components.demo]\n",
            &format!("[components.demo]\nspec = {{ type = \"upstream\", upstream-commit = \"{newest}\" }}\n"),
        ),
    );
    let pinned = render(&fixture, &["demo", "--output", "json"]).ok();
    assert!(pinned.stdout.contains(&newest), "{}", pinned.stdout);
    assert!(rendered(&fixture, "d/demo/demo.spec").contains("Version: 2\n"));
}

#[test]
fn what_is_built_has_the_overlays() {
    let fixture = Fixture::new();
    let overlay =
        "\n[[components.zlib.overlays]]\ntype = \"spec-set-tag\"\ntag = \"Vendor\"\nvalue = \"Overlaid\"\n";
    let file = fixture.path("components/packages.toml");
    let text = fs::read_to_string(&file).unwrap() + overlay;
    fs::write(&file, &text).unwrap();
    fixture.keel(&["build", "zlib"]).ok();
    let built = fs::read_dir(fixture.path("out/packages/x86_64/zlib")).unwrap();
    let rpms = built.map(|entry| entry.unwrap().path());
    let rpms: Vec<_> = rpms
        .filter(|path| path.extension().is_some_and(|end| end == "rpm"))
        .collect();
    assert!(!rpms.is_empty());
    for rpm in rpms {
        let vendor = tool("rpm", &["-qp", "--qf", "%{vendor}", rpm.to_str().unwrap()]);
        assert_eq!(
            String::from_utf8_lossy(&vendor.stdout),
            "Overlaid",
            "{}",
            rpm.display()
        );
    }
    let wrong = text
        .replace("spec-set-tag", "spec-update-tag")
        .replace("\"Vendor\"", "\"Vendro\"");
    fs::write(&file, wrong).unwrap();
    let wrong = fixture.keel(&["check"]);
    assert_eq!(wrong.code, Some(2), "{}", wrong.stderr);
    let errors = wrong.errors();
    assert!(
        errors.contains("cannot render `zlib`") && errors.contains("components/packages.toml:"),
        "{errors}"
    );
}

#[test]
fn a_base_tree_may_be_a_commit() {
    let fixture = Fixture::new();
    tree(&fixture, "keel.toml", OVERLAYS);
    let base = fixture.path("tree");
    let commit = git(
        &base,
        "git init -q -b main . && git add . && git commit -qm base && git rev-parse HEAD",
    );
    let folder = fixture.path("team");
    fs::create_dir_all(folder.join("mine")).unwrap();
    fs::write(
        folder.join("mine/mine.spec"),
        SPEC.replace("Name: demo", "Name: mine"),
    )
    .unwrap();
    let text = |commit: &str| {
        format!(
            "[keel.base]\ngit = \"file://{}\"\ncommit = \"{commit}\"\n[components.mine]\nspec = {{ type = \"local\", path = \
             \"mine/mine.spec\" }}\n",
            base.display()
        )
    };
    fs::write(folder.join("keel.toml"), text(&commit)).unwrap();
    let listed = fixture
        .keel_in("team", &["component", "list", "--output", "json"])
        .ok();
    let listed: serde_json::Value = serde_json::from_str(&listed.stdout).unwrap();
    let names: Vec<(&str, bool)> = (listed.as_array().unwrap().iter())
        .map(|one| (one["name"].as_str().unwrap(), one["own"].as_bool().unwrap()))
        .collect();
    assert_eq!(names, [("demo", false), ("mine", true)]);
    let explained = fixture
        .keel_in("team", &["config", "explain", "components.demo.build.check.skip"])
        .ok();
    assert!(explained.stdout.contains("true"), "{}", explained.stdout);
    fs::write(folder.join("keel.toml"), text(&"0".repeat(40))).unwrap();
    let wrong = fixture.keel_in("team", &["component", "list"]);
    assert_eq!(wrong.code, Some(2), "{}", wrong.stderr);
    for part in ["cannot use the base tree", "keel.toml:1", "has no commit 0000"] {
        assert!(wrong.stderr.contains(part), "{part}: {}", wrong.stderr);
    }
}

#[test]
fn what_is_rendered_is_never_its_own_input() {
    let fixture = Fixture::new();
    tree(
        &fixture,
        "keel.toml",
        &OVERLAYS.replace("demo/demo.spec", "rendered/d/demo/demo.spec"),
    );
    let folder = fixture.path("tree/rendered/d");
    fs::create_dir_all(&folder).unwrap();
    fs::rename(fixture.path("tree/demo"), folder.join("demo")).unwrap();
    let ran = render(&fixture, &["--all"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("are in one another"), "{}", ran.stderr);
    assert_eq!(rendered(&fixture, "d/demo/demo.spec"), SPEC);
    assert_eq!(rendered(&fixture, "d/demo/notes.txt"), "nobody names it\n");
    // What was never rendered is no stale folder, and `--clean-stale` is about all components.
    fs::create_dir_all(fixture.path("tree/rendered/s/src")).unwrap();
    assert_eq!(render(&fixture, &["demo", "--clean-stale"]).code, Some(2));
    render(&fixture, &["--clean-stale"]).ok();
    assert!(fixture.path("tree/rendered/s/src").exists());
}

#[test]
fn a_network_that_is_down_is_no_reason_to_lose_what_was_rendered() {
    let fixture = Fixture::new();
    let distro = format!(
        "[distros.up]\ndist-git-base-uri = \"file://{}\"\n[distros.up.versions.1]\nrelease-ver = \"1\"\ndist-git-branch = \"f1\"\n\
         [components.demo]\nspec = {{ type = \"upstream\", upstream-distro = {{ name = \"up\", version = \"1\" }} }}\n",
        fixture.path("nowhere/$pkg").display()
    );
    tree(&fixture, "keel.toml", &distro);
    let folder = fixture.path("tree/rendered/d/demo");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("demo.spec"), "precious").unwrap();
    for more in [&["--all"][..], &["--all", "--offline"]] {
        let ran = render(&fixture, more);
        assert_eq!(ran.code, Some(3), "{}", ran.stderr);
        assert_eq!(rendered(&fixture, "d/demo/demo.spec"), "precious");
    }
}
