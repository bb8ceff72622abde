//! `keel plan`: what would be built, why, and how long it takes; plans of SPECs without a project.

use std::fs;

use serde_json::Value;

use crate::harness::{Fixture, Ran, git};

/// The fixture under a name of its own: last builds are remembered by it.
fn fixture() -> Fixture {
    let fixture = Fixture::new();
    let own = fixture
        .path("")
        .file_name()
        .unwrap()
        .to_string_lossy()
        .to_lowercase();
    for (file, from, to) in [
        ("keel.toml", "name = \"fixture\"", format!("name = \"{own}\"")),
        ("settings.toml", "[distros.fixture]", format!("[distros.{own}]")),
        ("settings.toml", "[distros.fixture.", format!("[distros.{own}.")),
    ] {
        change(&fixture, file, from, &to);
    }
    fixture
}

fn change(fixture: &Fixture, file: &str, from: &str, to: &str) {
    let file = fixture.path(file);
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(file, text.replace(from, to)).unwrap();
}

fn json(ran: Ran) -> Value {
    serde_json::from_str(&ran.ok().stdout).unwrap()
}

/// Component and state of each job.
fn states(forecasts: &Value) -> Vec<String> {
    let one = |forecast: &Value| {
        let text = |key: &str| forecast[key].as_str().unwrap().to_owned();
        format!("{} {}", text("component"), text("state"))
    };
    forecasts.as_array().unwrap().iter().map(one).collect()
}

#[test]
fn a_plan_says_what_is_built_and_why() {
    let fixture = fixture();
    fixture.keel(&["build", "hello"]).ok();
    let plan = || json(fixture.keel(&["plan", "hello", "--output", "json"]));
    let before = plan();
    assert_eq!(states(&before["forecast"]), ["zlib cached", "hello cached"]);
    assert_eq!(before["summary"]["cached"], 2);
    assert_eq!(before["jobs"][0]["cost_from"], "measured");

    // Another SPEC that makes the same packages: what depends on it may be saved.
    change(
        &fixture,
        "specs/zlib/zlib.spec",
        "%prep\n",
        "%prep\n: another line\n",
    );
    let touched = plan();
    assert_eq!(states(&touched["forecast"]), ["zlib build", "hello maybe"]);
    assert_eq!(touched["forecast"][0]["changes"][0]["kind"], "spec");
    assert_eq!(
        touched["summary"]["critical"],
        serde_json::json!(["zlib", "hello"])
    );
    let table = fixture.keel(&["plan", "hello"]).ok().stdout;
    assert!(
        table.contains("2 jobs: 0 cached, 1 to build, 1 depend on them"),
        "{table}"
    );
    assert!(
        table.contains("costs: 2 measured, 0 hinted, 0 guessed"),
        "{table}"
    );

    let explained = fixture.keel(&["plan", "--explain", "zlib-devel"]).ok().stdout;
    for part in [
        "zlib 1.3.1-1.fx1 will be built",
        "  `hello` is built with `zlib-devel`\n  image `",
        "changed since its last build\n  SPEC: ",
        "may be in the build root of 1\n  hello",
    ] {
        assert!(explained.contains(part), "{part}:\n{explained}");
    }
    // In the whole tree another chain may be longer: costs of what was never built are guessed.
    let alone = fixture
        .keel(&["plan", "hello", "--explain", "zlib-devel"])
        .ok()
        .stdout;
    assert!(alone.contains("  it is on the longest chain"), "{alone}");
    let explained = fixture.keel(&["plan", "hello", "--explain", "hello"]).ok().stdout;
    assert!(
        explained.contains("in the plan because\n  asked for"),
        "{explained}"
    );
    assert!(
        explained.contains("zlib (build): specs/hello/hello.spec:10: BuildRequires: zlib-devel"),
        "{explained}"
    );
    let unknown = fixture.keel(&["plan", "--explain", "zlib-devle"]);
    assert_eq!(unknown.code, Some(2));
    assert!(
        unknown.stderr.contains("did you mean `zlib-devel`?"),
        "{}",
        unknown.stderr
    );

    // Another version: what has it in its root is built for sure.
    change(
        &fixture,
        "specs/zlib/zlib.spec",
        "Release:        1",
        "Release:        2",
    );
    let newer = plan();
    assert_eq!(states(&newer["forecast"]), ["zlib build", "hello build"]);
    assert_eq!(newer["forecast"][1]["replaced"][0]["component"], "zlib");
}

#[test]
fn a_graph_is_drawn_in_three_forms() {
    let fixture = fixture();
    let graph = |form: &str| fixture.keel(&["plan", "hello", "--graph", form]).ok().stdout;
    let dot = graph("dot");
    assert!(dot.contains("\n  \"hello\" -> \"zlib\";\n"), "{dot}");
    let drawing: Value = serde_json::from_str(&graph("json")).unwrap();
    assert_eq!(drawing["nodes"][1]["name"], "hello");
    assert_eq!(drawing["nodes"][1]["layer"], 1);
    let page = graph("html");
    assert!(
        page.starts_with("<!doctype html>") && page.contains("\"name\":\"hello\""),
        "{page}"
    );
}

#[test]
fn a_commit_is_told_by_what_it_builds_again() {
    let fixture = fixture();
    let top = fixture.path("");
    git(&top, "git init -q -b main . && git add . && git commit -qm one");
    let since =
        |revision: &str| json(fixture.keel(&["plan", "--changed-since", revision, "--output", "json"]));
    assert_eq!(since("HEAD")["jobs"], serde_json::json!([]));
    change(
        &fixture,
        "specs/zlib/zlib.spec",
        "%prep\n",
        "%prep\n: another line\n",
    );
    let touched = since("HEAD");
    assert_eq!(states(&touched["jobs"]), ["zlib build", "hello maybe"]);
    assert_eq!(touched["jobs"][0]["changes"][0]["kind"], "spec");
    fs::write(
        fixture.path("specs/hello/hello.c"),
        "int main(void) { return 1; }\n",
    )
    .unwrap();
    change(
        &fixture,
        "specs/zlib/zlib.spec",
        "Release:        1",
        "Release:        2",
    );
    let table = fixture.keel(&["plan", "--changed-since", "HEAD"]).ok().stdout;
    let lines: Vec<&str> = table.lines().collect();
    assert!(
        lines[1].starts_with("zlib       1.3.1-2.fx1  build  ") && lines[1].contains("  SPEC: "),
        "{table}"
    );
    assert!(lines[2].starts_with("hello      1.0-1.fx1    build  "), "{table}");
    assert!(lines[2].contains("source hello.c: "), "{table}");
    assert!(
        lines[2].contains("zlib-1.3.1-1.fx1.x86_64 becomes zlib-1.3.1-2.fx1.x86_64"),
        "{table}"
    );
    git(&top, "git commit -qam two");
    assert_eq!(since("HEAD")["jobs"], serde_json::json!([]));
    assert_eq!(states(&since("HEAD~1")["jobs"]), ["zlib build", "hello build"]);
    // What stage0 lends concerns every root.
    change(
        &fixture,
        "settings.toml",
        "tar = [\"tar\"]",
        "tar = [\"tar\"]\n\"tar2\" = [\"tar\"]",
    );
    let everywhere = since("HEAD");
    assert_eq!(everywhere["everywhere"], serde_json::json!(["lends"]));
    assert!(
        states(&everywhere["jobs"])
            .iter()
            .all(|job| job.ends_with(" maybe")),
        "{everywhere}"
    );
    let wrong = fixture.keel(&["plan", "--changed-since", "none"]);
    assert_eq!(wrong.code, Some(2), "{}", wrong.stderr);
}

#[test]
fn a_tree_of_specs_has_a_plan_once_its_toolchain_is_assumed() {
    let fixture = Fixture::new();
    let spec = |name: &str, more: &str| {
        let folder = fixture.path(&format!("SPECS/{name}"));
        fs::create_dir_all(&folder).unwrap();
        let text = format!(
            "Name: {name}\nVersion: 1\nRelease: 1\nSummary: s\nLicense: MIT\n{more}%description\nd\n%files\n"
        );
        fs::write(folder.join(format!("{name}.spec")), text).unwrap();
    };
    spec("cc", "BuildRequires: libc\n");
    spec("libc", "BuildRequires: cc\nBuildRequires: sed\n");
    spec(
        "tool",
        "BuildRequires: libc >= 1\nBuildRequires: pkgconfig(x)\nRequires: x-%{odd}\nProvides: t = %{odd}\n",
    );
    let plan = |arguments: &[&str]| {
        let all = [&["spec", "plan", "SPECS", "--shell", "deny"], arguments].concat();
        fixture.keel(&all)
    };
    let missing = plan(&[]);
    assert_eq!(missing.code, Some(2), "{}", missing.stderr);
    for part in [
        "error: 2 capabilities are asked for, and no SPEC provides them",
        "    1  pkgconfig(x)  (first SPECS/tool/tool.spec:7)",
        "    1  sed  (first SPECS/libc/libc.spec:7)",
    ] {
        assert!(missing.stderr.contains(part), "{part}:\n{}", missing.stderr);
    }
    let cycle = plan(&["--assume-provided", "sed,pkgconfig(x)"]);
    assert_eq!(cycle.code, Some(2), "{}", cycle.stderr);
    assert!(
        cycle.stderr.contains("cannot plan a cycle: cc → libc → cc"),
        "{}",
        cycle.stderr
    );
    let list = plan(&["--suggest"]).ok().stdout;
    let names: Vec<&str> = list
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    assert_eq!(names, ["cc", "pkgconfig(x)", "sed"], "{list}");
    fs::write(fixture.path("toolchain.list"), list).unwrap();
    let table = plan(&["--assume-provided", "toolchain.list", "-v"]).ok();
    assert!(
        table
            .stdout
            .ends_with("3 jobs in 2 steps; 3 capabilities are assumed\n"),
        "{}",
        table.stdout
    );
    for part in [
        "note planning: 0.",
        "SPECS/tool/tool.spec: a macro that nobody defines: `%{odd}` is read as `odd`",
        "SPECS/tool/tool.spec: a macro that nobody defines: `x-%{odd}` is left out",
    ] {
        assert!(table.stderr.contains(part), "{part}:\n{}", table.stderr);
    }
    let page = plan(&["--assume-provided", "toolchain.list", "--graph", "html"])
        .ok()
        .stdout;
    assert!(page.contains("\"name\":\"tool\""), "{page}");
}
