//! Rendering, case by case; and what is about more than one run.

use std::{collections::BTreeMap, io, path::Path};

use keel_config::overlay::Calculation;
use keel_spec::{
    environment::{Environment, Options, Tree},
    macros::Behaviour,
    overlay::Document,
    render::{
        self, Request,
        autospec::{self, Commit, History, Version},
        listing::{Evaluator, List},
        macros_file, place, release,
        sources_file::{self, SourceFile},
    },
    world::{self, Policy, Surroundings},
};
use toml::{Table, Value};

use super::{differs, found, lay_out, overlays, run, semantics, text, texts};

/// Lists what it was told.
struct Told(Result<Vec<String>, String>);

impl List for Told {
    fn sources(&self, _: &Path, _: &[u8]) -> Result<Vec<String>, String> {
        self.0.clone()
    }
}

fn strings(case: &Table, key: &str) -> Vec<String> {
    let list = case.get(key).and_then(Value::as_array).into_iter().flatten();
    list.map(|value| value.as_str().unwrap().to_owned()).collect()
}

fn tables<'t>(case: &'t Table, key: &str) -> impl Iterator<Item = &'t Table> {
    let list = case.get(key).and_then(Value::as_array).into_iter().flatten();
    list.map(|value| value.as_table().unwrap())
}

fn number(case: &Table, key: &str) -> Option<i64> {
    case.get(key).map(|value| value.as_integer().unwrap())
}

fn flag(case: &Table, key: &str) -> bool {
    case.get(key).is_some_and(|value| value.as_bool().unwrap())
}

/// The result of a case that can fail, against what it should be.
fn expect<T>(case: &Table, result: Result<T, String>) -> Result<Option<T>, String> {
    match (result, text(case, "says")) {
        (Ok(done), None) => Ok(Some(done)),
        (Ok(_), Some(says)) => Err(format!("nothing failed, and should say {says:?}")),
        (Err(said), Some(says)) if said.contains(says) => Ok(None),
        (Err(said), _) => Err(format!("it said {said:?}")),
    }
}

#[test]
fn rendering_does_what_its_cases_say() {
    let count = run("render", |case| match text(case, "kind").unwrap() {
        "macros" => macros(case),
        "release" => count_up(case),
        "sources" => sources(case),
        "autospec" => process(case),
        "history" => history(case),
        "render" => whole(case),
        other => panic!("no kind {other}"),
    });
    assert!(count >= 80, "{count} cases of rendering");
}

struct Macros {
    with: Vec<String>,
    without: Vec<String>,
    defines: BTreeMap<String, String>,
    undefines: Vec<String>,
}

impl Macros {
    fn of(case: &Table) -> Self {
        Self {
            with: strings(case, "with"),
            without: strings(case, "without"),
            defines: texts(case, "defines"),
            undefines: strings(case, "undefines"),
        }
    }

    fn options(&self) -> macros_file::Options<'_> {
        macros_file::Options {
            with: &self.with,
            without: &self.without,
            defines: &self.defines,
            undefines: &self.undefines,
        }
    }
}

fn macros(case: &Table) -> Result<(), String> {
    let file = Macros::of(case).options().file();
    differs("the file", &file, &text(case, "expected").map(str::to_owned))
}

fn calculation(case: &Table) -> Calculation {
    match text(case, "calculation") {
        None | Some("auto") => Calculation::Auto,
        Some("static") => Calculation::Static,
        Some("autorelease") => Calculation::Autorelease,
        Some("manual") => Calculation::Manual,
        Some(other) => panic!("no calculation {other}"),
    }
}

fn count_up(case: &Table) -> Result<(), String> {
    let spec = text(case, "spec").unwrap();
    let mut document = Document::new(spec.as_bytes());
    let changes = u64::try_from(number(case, "changes").unwrap()).unwrap();
    let set = release::set(&mut document, "a.spec", calculation(case), changes, 0);
    let Some(record) = expect(case, set.map_err(|error| error.to_string()))? else {
        return Ok(());
    };
    let expected = text(case, "expected");
    differs(
        "whether anything was done",
        &record.is_some(),
        &expected.is_some(),
    )?;
    differs("the SPEC", &document.text(), &expected.unwrap_or(spec).to_owned())
}

fn source_files(case: &Table) -> Vec<SourceFile> {
    let file = |table: &Table| SourceFile {
        filename: text(table, "filename").unwrap().to_owned(),
        hash: text(table, "hash").map(|hash| (text(table, "hash-type").unwrap().to_owned(), hash.to_owned())),
        replace_upstream: flag(table, "replace-upstream"),
        by_overlay: flag(table, "by-overlay"),
    };
    tables(case, "files").map(file).collect()
}

fn sources(case: &Table) -> Result<(), String> {
    let empty = Table::new();
    let changed = case.get("changed").and_then(Value::as_table).unwrap_or(&empty);
    let names: Vec<String> = changed.keys().cloned().collect();
    let digest = |file: &str, algorithm: &str| {
        let known = changed[file].get(algorithm).and_then(Value::as_str);
        known
            .map(str::to_owned)
            .ok_or_else(|| io::Error::other(format!("`{algorithm}` is not known")))
    };
    let merged = sources_file::merged(text(case, "text").unwrap(), &source_files(case), &names, &digest);
    match expect(case, merged.map_err(|error| error.to_string()))? {
        Some(merged) => differs("the file", &merged, &text(case, "expected").unwrap().to_owned()),
        None => Ok(()),
    }
}

fn commits(case: &Table) -> Vec<Commit> {
    let commit = |(index, table): (usize, &Table)| Commit {
        hash: format!("{index}"),
        author: text(table, "author").unwrap_or("A").to_owned(),
        email: text(table, "email").unwrap_or("a@x").to_owned(),
        time: number(table, "time").unwrap_or(0),
        message: text(table, "message").unwrap().to_owned(),
        version: text(table, "version").map(|version| Version {
            epoch_version: version.to_owned(),
            prerelease: flag(table, "prerelease"),
            base: number(table, "base").map(|base| u64::try_from(base).unwrap()),
            extra: text(table, "extra").map(str::to_owned),
            snapshot: text(table, "snapshot").map(str::to_owned),
        }),
        without_spec: flag(table, "without-spec"),
        changelog: text(table, "changelog").map(str::to_owned),
    };
    tables(case, "commits").enumerate().map(commit).collect()
}

fn process(case: &Table) -> Result<(), String> {
    let history = History {
        commits: commits(case),
        program: "0.8.3".to_owned(),
    };
    if let Some(numbers) = case.get("numbers").and_then(Value::as_array) {
        let numbers: Vec<u64> = numbers
            .iter()
            .map(|number| u64::try_from(number.as_integer().unwrap()).unwrap())
            .collect();
        differs(
            "the numbers",
            &autospec::release_numbers(&history.commits),
            &numbers,
        )?;
    }
    if case.contains_key("entries") {
        let out = autospec::process(b"%changelog\n%autochangelog\n", &history).unwrap();
        let out = String::from_utf8(out).unwrap();
        let entries = out.split_once("## START: Generated by rpmautospec\n").unwrap().1;
        let expected = strings(case, "entries").join("\n\n") + "\n## END: Generated by rpmautospec\n";
        differs("the entries", &entries.to_owned(), &expected)?;
    }
    let Some(spec) = text(case, "spec").filter(|_| !case.contains_key("numbers")) else {
        return Ok(());
    };
    let out = autospec::process(spec.as_bytes(), &history);
    let out = out.map(|out| String::from_utf8(out).unwrap());
    differs("the SPEC", &out, &text(case, "expected").map(str::to_owned))
}

fn history(case: &Table) -> Result<(), String> {
    let upstream: Vec<Commit> = strings(case, "upstream")
        .into_iter()
        .map(|hash| Commit {
            hash,
            ..Commit::default()
        })
        .collect();
    let change = |table: &Table| autospec::Change {
        hash: text(table, "hash").unwrap().to_owned(),
        author: String::new(),
        email: String::new(),
        time: 0,
        subject: "S".to_owned(),
        upstream: text(table, "upstream").map(str::to_owned),
    };
    let changes: Vec<autospec::Change> = tables(case, "changes").map(change).collect();
    let (commits, lost) = autospec::interleaved(&upstream, &changes);
    let made = commits.iter().filter(|commit| commit.hash.starts_with('c'));
    let told = made
        .into_iter()
        .all(|commit| commit.message == format!("S\n\nProject commit: {}", commit.hash));
    differs("the messages", &told, &true)?;
    let hashes: Vec<String> = commits.into_iter().map(|commit| commit.hash).collect();
    differs("the commits", &hashes, &strings(case, "expected"))?;
    let lost: Vec<String> = lost.into_iter().map(|change| change.hash).collect();
    differs("the lost", &lost, &strings(case, "lost"))
}

fn whole(case: &Table) -> Result<(), String> {
    let temp = tempfile::tempdir().unwrap();
    let at = |name: &str| temp.path().join(name);
    for folder in ["input", "sources", "specs", "scratch"] {
        fs_err::create_dir(at(folder)).unwrap();
    }
    lay_out(&at("input"), &texts(case, "input"));
    lay_out(&at("sources"), &texts(case, "sources"));
    let component = text(case, "component").unwrap();
    let spec = text(case, "spec").map_or_else(|| format!("{component}.spec"), str::to_owned);
    let (macros, overlays, files) = (
        Macros::of(case),
        overlays(case, &at("sources")),
        source_files(case),
    );
    let told = match text(case, "list-fails") {
        Some(why) => Some(Told(Err(why.to_owned()))),
        None => case.contains_key("list").then(|| Told(Ok(strings(case, "list")))),
    };
    let request = Request {
        name: component,
        input: &at("input"),
        spec: &spec,
        overlays: &overlays,
        semantics: semantics(case),
        macros: macros.options(),
        skip_check: text(case, "skip-check"),
        calculation: calculation(case),
        changes: u64::try_from(number(case, "changes").unwrap_or(0)).unwrap(),
        free_source_number: flag(case, "free-source-number"),
        always_header: !flag(case, "header-only-if-changed"),
        source_files: &files,
        with_archives: false,
        history: None,
        skip_file_filter: flag(case, "skip-file-filter"),
        list: told.as_ref().map(|told| told as &dyn List),
    };
    let go = |check| render::render(&request, &at("specs"), &at("scratch"), check);
    let before = found(&at("input"));
    let checked = go(true).map_err(|error| error.to_string());
    differs("what a check wrote", &found(&at("specs")).len(), &0)?;
    let Some(checked) = expect(case, checked)? else {
        return Ok(());
    };
    let done = go(false).map_err(|error| error.to_string())?;
    differs("what a check said", &checked.differences, &done.differences)?;
    differs("the input", &found(&at("input")), &before)?;
    differs(
        "what is left",
        &fs_err::read_dir(at("scratch")).unwrap().count(),
        &0,
    )?;
    if let Some(folder) = text(case, "folder") {
        differs("the folder", &done.folder, &folder.into())?;
    }
    let files = found(&at("specs").join(&done.folder));
    if case.contains_key("expected") {
        differs("the folder", &files, &texts(case, "expected"))?;
    }
    if case.contains_key("expected-files") {
        let names: Vec<String> = files.keys().cloned().collect();
        differs("the files", &names, &strings(case, "expected-files"))?;
    }
    if let Some(expected) = text(case, "expected-spec") {
        let all = &files[&format!("{component}.spec")];
        let rest: String = all
            .lines()
            .skip_while(|line| !line.contains(':') || line.starts_with(['#', '%']))
            .map(|line| format!("{line}\n"))
            .collect();
        differs("the SPEC", &rest, &expected.to_owned())?;
    }
    let again = go(false).map_err(|error| error.to_string())?;
    differs("what changes the second time", &again.differences, &Vec::new())
}

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

#[test]
fn stale_folders_are_found_and_removed() {
    let temp = tempfile::tempdir().unwrap();
    let specs = temp.path();
    for folder in [
        "a/abc",
        "a/gone",
        "g/gtk+",
        "g/gtk%2B",
        "b/other",
        "tooling/x",
        "q/.q.keel-new",
    ] {
        fs_err::create_dir_all(specs.join(folder)).unwrap();
    }
    fs_err::write(specs.join("a/file"), "").unwrap();
    fs_err::write(specs.join("README.md"), "").unwrap();
    let names = ["abc", "gtk+"];
    let stale = place::stale(specs, names).unwrap();
    assert_eq!(
        stale,
        ["a/gone", "b/other", "q/.q.keel-new"].map(std::path::PathBuf::from)
    );
    assert_eq!(place::clean_stale(specs, names).unwrap(), stale);
    assert!(place::stale(specs, names).unwrap().is_empty());
    assert!(specs.join("tooling/x").exists() && specs.join("a/file").exists());
    assert!(place::stale(&specs.join("none"), names).unwrap().is_empty());
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
