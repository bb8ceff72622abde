//! Overlays, and rendering, by cases that are data: `tests/overlays/*.toml` and `tests/render/*.toml`.
//!
//! Each case names the rule of `docs/explanation/model-render.md` that it is about.

mod generated;
mod place;
mod reader;
mod render;

use std::{collections::BTreeMap, path::Path};

use keel_config::overlay::{Overlay, Semantics};
use keel_spec::overlay::{Document, Folder, apply};
use toml::{Table, Value};

/// What the SPEC is called.
const SPEC: &str = "a.spec";

/// All cases of a folder, with the file that each is in.
fn cases(folder: &str) -> Vec<(String, Table)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let mut files: Vec<_> = fs_err::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut cases = Vec::new();
    for file in files {
        let text = fs_err::read_to_string(&file).unwrap();
        let table: Table = text
            .parse()
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        for case in table["case"].as_array().unwrap() {
            cases.push((name.clone(), case.as_table().unwrap().clone()));
        }
    }
    cases
}

fn text<'t>(case: &'t Table, key: &str) -> Option<&'t str> {
    case.get(key)
        .map(|value| value.as_str().unwrap_or_else(|| panic!("{key} is a text")))
}

fn texts(case: &Table, key: &str) -> BTreeMap<String, String> {
    let table = case.get(key).and_then(Value::as_table);
    let pairs = table.into_iter().flatten();
    pairs
        .map(|(name, text)| (name.clone(), text.as_str().unwrap().to_owned()))
        .collect()
}

/// Runs all cases, and tells all that fail.
fn run(folder: &str, one: impl Fn(&Table) -> Result<(), String>) -> usize {
    let cases = cases(folder);
    let rules = rules();
    let mut wrong = Vec::new();
    for (file, case) in &cases {
        let name = text(case, "name").unwrap();
        let rule = text(case, "rule").unwrap();
        if !rules.contains(&format!("**{rule}.**")) {
            wrong.push(format!("{file}: {name}: the rule {rule} is nowhere told"));
        }
        if let Err(why) = one(case) {
            wrong.push(format!("{file}: {name} ({rule}): {why}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} cases:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
    cases.len()
}

fn rules() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/explanation/model-render.md");
    fs_err::read_to_string(file).unwrap()
}

/// Writes files below a folder.
fn lay_out(folder: &Path, files: &BTreeMap<String, String>) {
    for (name, text) in files {
        let path = folder.join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }
}

/// Files below a folder, without links.
fn found(folder: &Path) -> BTreeMap<String, String> {
    fn walk(folder: &Path, prefix: &str, out: &mut BTreeMap<String, String>) {
        for entry in fs_err::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                walk(&entry.path(), &format!("{name}/"), out);
            } else if kind.is_file() {
                out.insert(name, fs_err::read_to_string(entry.path()).unwrap());
            }
        }
    }
    let mut out = BTreeMap::new();
    walk(folder, "", &mut out);
    out
}

fn differs<T: PartialEq + std::fmt::Debug>(what: &str, is: &T, expected: &T) -> Result<(), String> {
    match is == expected {
        true => Ok(()),
        false => Err(format!(
            "{what} is\n    {is:?}\n  and should be\n    {expected:?}"
        )),
    }
}

fn semantics(case: &Table) -> Semantics {
    match text(case, "semantics") {
        None | Some("lines") => Semantics::Lines,
        Some("structural") => Semantics::Structural,
        Some(other) => panic!("no semantics {other}"),
    }
}

fn overlays(case: &Table, sources: &Path) -> Vec<Overlay> {
    let single = case.get("overlay").into_iter();
    let several = case
        .get("overlays")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    single
        .chain(several)
        .map(|table| reader::overlay(table.as_table().unwrap(), sources))
        .collect()
}

#[test]
fn overlays_do_what_their_cases_say() {
    let count = run("overlays", |case| {
        let temp = tempfile::tempdir().unwrap();
        let (inside, outside) = (temp.path().join("in"), temp.path().join("sources"));
        fs_err::create_dir(&inside).unwrap();
        fs_err::create_dir(&outside).unwrap();
        lay_out(&inside, &texts(case, "files"));
        lay_out(&outside, &texts(case, "sources"));
        for (name, target) in texts(case, "links") {
            std::os::unix::fs::symlink(target, inside.join(name)).unwrap();
        }
        let times = case.get("spec-repeat").and_then(Value::as_integer).unwrap_or(1);
        let spec = text(case, "spec")
            .unwrap_or_default()
            .repeat(usize::try_from(times).unwrap());
        fs_err::write(inside.join(SPEC), &spec).unwrap();
        let folder = Folder::open(&inside).unwrap();
        let mut document = Document::new(spec.as_bytes());
        let result = apply(
            &mut document,
            SPEC,
            &folder,
            &overlays(case, &outside),
            semantics(case),
        );
        if case.contains_key("expected-files") {
            let mut files = found(&inside);
            files.remove(SPEC);
            differs("the folder", &files, &texts(case, "expected-files"))?;
        }
        let error = text(case, "error").map(str::to_owned);
        match (result, error) {
            (Ok(_), Some(error)) => Err(format!("no error {error}, but {:?}", document.text())),
            (Err(is), None) => Err(format!("an error: {is}")),
            (Err(is), Some(error)) => {
                let kind = serde_json::to_value(is.kind).unwrap();
                differs("the error", &kind.as_str().unwrap().to_owned(), &error)?;
                let said = is.to_string();
                match text(case, "says").filter(|says| !said.contains(says)) {
                    Some(says) => Err(format!("{said:?} does not say {says:?}")),
                    None => Ok(()),
                }
            }
            (Ok(records), None) => {
                if let Some(lines) = case.get("expected-lines").and_then(Value::as_integer) {
                    differs("the number of lines", &(document.len() as i64), &lines)?;
                }
                if let Some(expected) = text(case, "expected") {
                    differs("the SPEC", &document.text(), &expected.to_owned())?;
                }
                let written = document.written();
                let marked = written.iter().all(|lines| lines.by < records.len());
                differs("who wrote what", &marked, &true)
            }
        }
    });
    assert!(count >= 200, "{count} cases of overlays");
}
