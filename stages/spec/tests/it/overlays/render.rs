//! Rendering, case by case.

use std::{collections::BTreeMap, io, path::Path};

use keel_config::{Diagnostic, overlay::Calculation};
use keel_spec::{
    overlay::Document,
    render::{
        self, Request,
        autospec::{self, Commit, History, Parents, Seen, Version},
        listing::List,
        macros_file, release,
        sources_file::{self, SourceFile},
    },
};
use toml::{Table, Value};

use super::{differs, found, lay_out, overlays, run, semantics, text, texts};

/// Lists what it was told.
struct Told(Result<Vec<String>, String>);

impl List for Told {
    fn sources(&self, _: &Path, _: &[u8]) -> Result<Vec<String>, Vec<Diagnostic>> {
        self.0.clone().map_err(|why| vec![Diagnostic::new(why)])
    }

    fn version(&self, _: &Path, spec: &[u8]) -> Option<Version> {
        let spec = String::from_utf8_lossy(spec);
        let version = spec.lines().find_map(|line| line.strip_prefix("Version: "))?;
        Some(Version::of(None, version, ""))
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

pub(super) struct Macros {
    pub(super) with: Vec<String>,
    without: Vec<String>,
    defines: BTreeMap<String, String>,
    undefines: Vec<String>,
    upstream: BTreeMap<String, String>,
}

impl Macros {
    pub(super) fn of(case: &Table) -> Self {
        Self {
            with: strings(case, "with"),
            without: strings(case, "without"),
            defines: texts(case, "defines"),
            undefines: strings(case, "undefines"),
            upstream: texts(case, "upstream-says"),
        }
    }

    pub(super) fn options(&self) -> macros_file::Options<'_> {
        macros_file::Options {
            with: &self.with,
            without: &self.without,
            defines: &self.defines,
            undefines: &self.undefines,
            upstream: &self.upstream,
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
        parents: Parents::Before,
        seen: match text(table, "was") {
            Some("rendered") => Seen::Rendered,
            Some(spec) => Seen::Was(spec.as_bytes().into()),
            None => Seen::Unknown,
        },
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
