//! Rendering: what is about more than one run, or about the folder around.

use std::path::Path;

use keel_config::overlay::Calculation;
use keel_spec::{
    environment::{Environment, Options, Tree},
    macros::Behaviour,
    render::{self, Request, listing::Evaluator, place, stale, synthesized},
    world::{self, Policy, Surroundings},
};
use toml::Table;

use super::{found, lay_out, render::Macros};

#[test]
fn a_folder_is_replaced_whole_and_has_a_link_beside_it() {
    let temp = tempfile::tempdir().unwrap();
    let specs = temp.path().join("specs");
    let new = |files: &[(&str, &str)]| {
        let folder = temp.path().join("new");
        fs_err::create_dir(&folder).unwrap();
        let files = files
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        lay_out(&folder, &files.collect());
        folder
    };
    place::put(&specs, "libxml++", &new(&[("a", "1"), ("d/b", "2")])).unwrap();
    let at = specs.join("l/libxml++");
    let differences = place::differences(&at, &new(&[("a", "x"), ("c", "3")])).unwrap();
    let told: Vec<_> = differences
        .iter()
        .map(|one| (one.file.as_str(), one.how))
        .collect();
    assert_eq!(
        told,
        [
            ("a", place::How::Changed),
            ("c", place::How::Added),
            ("d/b", place::How::Removed)
        ]
    );
    place::put(&specs, "libxml++", &temp.path().join("new")).unwrap();
    assert_eq!(
        found(&at).into_iter().collect::<Vec<_>>(),
        [("a".into(), "x".into()), ("c".into(), "3".into())]
    );
    let link = specs.join("l/libxml%2B%2B");
    assert_eq!(fs_err::read_link(&link).unwrap(), Path::new("libxml++"));
    assert_eq!(
        fs_err::read_dir(specs.join("l")).unwrap().count(),
        2,
        "nothing half-made stays"
    );

    assert!(place::fail(&specs, "libxml++", true).unwrap());
    assert_eq!(found(&at).len(), 2, "a check writes nothing");
    assert!(place::fail(&specs, "libxml++", false).unwrap());
    assert!(!place::fail(&specs, "libxml++", false).unwrap());
    let marker: Vec<_> = found(&at).into_iter().collect();
    assert_eq!(
        marker,
        [(place::MARKER.to_owned(), place::MARKER_TEXT.to_owned())]
    );

    fs_err::remove_file(&link).unwrap();
    fs_err::create_dir(&link).unwrap();
    let error = place::put(&specs, "libxml++", &new(&[("a", "1")])).unwrap_err();
    assert!(matches!(error, render::Error::Occupied { .. }), "{error}");
}

/// Knows of these folders that they were rendered, or committed.
struct Told<'t> {
    made: &'t [&'t str],
    committed: &'t [&'t str],
}

impl stale::Witness for Told<'_> {
    type Error = std::io::Error;

    fn is_made(&self, folder: &Path) -> std::io::Result<bool> {
        Ok(self.made.iter().any(|end| folder.ends_with(end)))
    }

    fn is_committed(&self, folder: &Path) -> std::io::Result<bool> {
        Ok(self.committed.iter().any(|end| folder.ends_with(end)))
    }
}

#[test]
fn only_folders_that_rendering_made_are_stale() {
    // R86.
    let temp = tempfile::tempdir().unwrap();
    let specs = temp.path();
    let header = synthesized::HEADER.join("\n");
    let rendered = format!("## START\n\n{header}\n\nName: x\n");
    for (file, text) in [
        ("a/abc/abc.spec", rendered.as_str()),
        ("a/committed/committed.spec", &rendered),
        ("a/edited/edited.spec", &rendered),
        ("g/gtk+/gtk+.spec", &rendered),
        ("g/gone++/gone++.spec", ""),
        ("h/hand/hand.spec", "Name: hand\n"),
        ("h/half/half.spec", synthesized::HEADER[0]),
        ("b/other/RENDER_FAILED", place::MARKER_TEXT),
        ("b/beside/RENDER_FAILED", place::MARKER_TEXT),
        ("b/beside/notes", "mine"),
        ("tooling/x/x.spec", &rendered),
        ("q/.q.keel-new-7/q.spec", ""),
        ("s/src/notes", ""),
        ("u/used/used.spec", &rendered),
        ("u/used/deep/a.patch", ""),
        ("u/used+/used+.spec", &rendered),
        ("a/file", ""),
        ("README.md", ""),
    ] {
        lay_out(specs, &[(file.to_owned(), text.to_owned())].into());
    }
    for name in ["gtk", "gone"] {
        let count = if name == "gtk" { 1 } else { 2 };
        let (link, target) = ("%2B".repeat(count), "+".repeat(count));
        let link = specs.join(format!("g/{name}{link}"));
        std::os::unix::fs::symlink(format!("{name}{target}"), link).unwrap();
    }
    let names = ["abc", "gtk+"];
    // A SPEC that is there, told by another way to it.
    let used = [specs.join("a/../u/used/deep/a.patch"), specs.join("abc.spec")].into();
    let told = Told {
        made: &["g/gone++", "u/used", "u/used+"],
        committed: &["a/committed", "h/hand"],
    };
    let found = stale::find(specs, names, &used, &told).unwrap();
    let made = ["a/committed", "b/other", "g/gone++", "q/.q.keel-new-7", "u/used+"];
    assert_eq!(found.made, made.map(std::path::PathBuf::from));
    let left: Vec<_> = found
        .left
        .iter()
        .map(|one| (one.folder.to_str().unwrap(), one.why))
        .collect();
    let expected = [
        ("a/edited", stale::Why::NotCommitted),
        ("b/beside", stale::Why::BesideMarker),
        ("h/half", stale::Why::NotRendered),
        ("h/hand", stale::Why::NotRendered),
        ("u/used", stale::Why::InUse),
    ];
    assert_eq!(left, expected);
    stale::remove(specs, &found).unwrap();
    let again = stale::find(specs, names, &used, &told).unwrap();
    assert_eq!((again.made.len(), again.left), (0, found.left));
    assert!(specs.join("g/gone%2B%2B").symlink_metadata().is_err());
    for stays in [
        "g/gtk%2B/gtk+.spec",
        "h/hand/hand.spec",
        "s/src/notes",
        "tooling/x/x.spec",
        "a/file",
    ] {
        assert!(specs.join(stays).exists(), "{stays}");
    }
    assert_eq!(
        stale::find(&specs.join("none"), names, &used, &told).unwrap(),
        stale::Stale::default()
    );
}

#[test]
fn links_that_lead_out_are_not_rendered() {
    for (target, fits) in [
        ("a", true),
        ("d/../a", true),
        ("../a", false),
        ("/etc/passwd", false),
    ] {
        let temp = tempfile::tempdir().unwrap();
        let input = temp.path().join("input");
        fs_err::create_dir(&input).unwrap();
        fs_err::write(input.join("x.spec"), "Name: x\n").unwrap();
        std::os::unix::fs::symlink(target, input.join("link")).unwrap();
        let (macros, none) = (Macros::of(&Table::new()), Vec::new());
        let request = Request {
            name: "x",
            input: &input,
            spec: "x.spec",
            overlays: &none,
            semantics: Default::default(),
            macros: macros.options(),
            skip_check: None,
            calculation: Calculation::Auto,
            changes: 0,
            free_source_number: false,
            always_header: true,
            source_files: &[],
            with_archives: false,
            history: None,
            skip_file_filter: false,
            list: None,
        };
        let done = render::prepare(&request, &temp.path().join("out"));
        assert_eq!(done.is_ok(), fits, "{target}: {done:?}");
    }
}

#[test]
fn files_are_those_that_the_evaluated_spec_asks_for() {
    let temp = tempfile::tempdir().unwrap();
    let root = fs_err::canonicalize(temp.path()).unwrap();
    for folder in ["input", "specs", "scratch"] {
        fs_err::create_dir(root.join(folder)).unwrap();
    }
    let spec = "Name: x\nVersion: 1\nRelease: 1\nSummary: s\nLicense: MIT\nSource0: https://x.org/%{name}-%{which}.tar\n\
                %if 0%{?_with_more}\nSource1: more.txt\n%else\nSource1: less.txt\n%endif\nPatch0: %{name}.patch\n\
                %description\nd\n";
    let files = [
        ("x.spec", spec),
        ("more.txt", "m"),
        ("less.txt", "l"),
        ("x.patch", "p"),
        ("sources", ""),
    ];
    let files = files.map(|(name, text)| (name.to_owned(), text.to_owned()));
    lay_out(&root.join("input"), &files.into());
    let mut options = Options::new(Tree::new(), "x86_64".parse().unwrap(), Behaviour::Rpm420);
    options.defines.push("which 1".to_owned());
    let environment = Environment::load(&options).unwrap();
    let surroundings = Surroundings::new(world::Options {
        policy: Policy::Deny,
        readable: vec![root.clone()],
        ..world::Options::default()
    });
    let evaluator = Evaluator {
        environment: &environment,
        surroundings: &surroundings.unwrap(),
    };
    let mut macros = Macros::of(&Table::new());
    macros.with.push("more".to_owned());
    let request = Request {
        name: "x",
        input: &root.join("input"),
        spec: "x.spec",
        overlays: &[],
        semantics: Default::default(),
        macros: macros.options(),
        skip_check: None,
        calculation: Calculation::Auto,
        changes: 1,
        free_source_number: false,
        always_header: true,
        source_files: &[],
        with_archives: false,
        history: None,
        skip_file_filter: false,
        list: Some(&evaluator),
    };
    let done = render::render(&request, &root.join("specs"), &root.join("scratch"), false).unwrap();
    assert_eq!(done.rendered.left_out, ["less.txt"]);
    let files: Vec<String> = found(&root.join("specs/x/x")).into_keys().collect();
    assert_eq!(
        files,
        ["more.txt", "sources", "x.azl.macros", "x.patch", "x.spec"]
    );
    let json = serde_json::to_value(&done).unwrap();
    let kinds: Vec<&str> = json["rendered"]["overlays"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| record["overlay"].as_str().unwrap())
        .collect();
    let prepend = "spec-prepend-lines";
    assert_eq!(kinds, [prepend, "spec-insert-tag", prepend, "spec-update-tag"]);
    let written: Vec<_> = done
        .rendered
        .written
        .iter()
        .map(|one| (one.first, one.last, one.by))
        .collect();
    assert_eq!(written, [(1, 3, 2), (4, 6, 0), (9, 9, 3), (18, 18, 1)]);
}
