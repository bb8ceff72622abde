//! Cases in text files: what files say, and what becomes of it.

use std::path::Path;

use keel_config::{Errors, Project, load};

/// A project that is right, for cases to break.
pub const BASE: [(&str, &str); 3] = [
    (
        "keel.toml",
        "includes = [\"more/*.toml\"]\n[project]\ndefault-distro = { name = \"demo\" }\n[distros.demo]\n\
         default-version = \"1\"\nversions.1.release-ver = \"1.0\"\n[keel.stage0]\nsuite = \"trixie\"\n\
         packages = [\"gcc\", \"bash\"]\n",
    ),
    ("a.spec", ""),
    ("good.image.toml", "packages = [\"bash\"]\nformats = [\"oci\"]\n"),
];

pub fn write(root: &Path, file: &str, text: &str) {
    let path = root.join(file);
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(path, text).unwrap();
}

pub fn project(files: &[(&str, &str)]) -> (tempfile::TempDir, Result<Project, Errors>) {
    let dir = tempfile::tempdir().unwrap();
    let has = |name| files.iter().any(|(file, _)| *file == name);
    // A project of azldev's is one without a `keel.toml`.
    let is_wanted = |file: &&(&str, &str)| file.0 != "keel.toml" || !has("azldev.toml") || has("keel.toml");
    for (file, text) in BASE.iter().filter(is_wanted).chain(files) {
        write(dir.path(), file, text);
    }
    let loaded = load(dir.path());
    (dir, loaded)
}

/// Title, files (name and text), `error` or `values`, expected text.
pub type Case = (String, Vec<(String, String)>, String, String);

/// The cases of `errors.txt`.
pub fn cases(text: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    for case in text.split("\n=== ").skip(1) {
        let (title, rest) = case.split_once('\n').unwrap();
        let mut parts = rest.split("--- ").skip(1).map(|part| {
            let (name, text) = part.split_once('\n').unwrap_or((part, ""));
            (name.trim().to_owned(), text.to_owned())
        });
        let mut files: Vec<(String, String)> = parts.by_ref().collect();
        let (kind, expected) = files.pop().unwrap();
        assert!(kind == "error" || kind == "values", "{title} ends with `{kind}`");
        cases.push((title.to_owned(), files, kind, expected.trim_end().to_owned()));
    }
    cases
}

/// Holds a file of cases against what becomes of them; `KEEL_BLESS=1` writes it anew.
pub fn hold(file: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it").join(file);
    let text = fs_err::read_to_string(&file).unwrap();
    let mut blessed = text.split("\n=== ").next().unwrap().trim_end().to_owned() + "\n";
    let mut wrong = Vec::new();
    for (title, files, kind, expected) in cases(&text) {
        let borrowed: Vec<(&str, &str)> = files
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
            .collect();
        let (dir, loaded) = project(&borrowed);
        let root = fs_err::canonicalize(dir.path()).unwrap().display().to_string();
        let found = match (loaded, kind.as_str()) {
            (Err(errors), _) => errors.to_string(),
            (Ok(_), "error") => "NO ERROR".to_owned(),
            (Ok(project), _) => values(&project, &expected),
        };
        let found = found.replace(&root, "ROOT");
        let keeps = kind == "values" && found.starts_with("error: ");
        if found != expected {
            wrong.push(format!("=== {title}\n{found}\n"));
        }
        blessed.push_str(&format!("\n=== {title}\n"));
        for (name, text) in files {
            blessed.push_str(&format!("--- {name}\n{text}"));
        }
        // What is to be asked for is not lost to an error that was not wanted.
        let found = if keeps { expected } else { found };
        blessed.push_str(&format!("--- {kind}\n{found}\n"));
    }
    if std::env::var_os("KEEL_BLESS").is_some() {
        fs_err::write(&file, blessed).unwrap();
    } else {
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

/// What a project has at JSON pointers.
fn values(project: &Project, pointers: &str) -> String {
    let project = serde_json::to_value(project).unwrap();
    let value = |line: &str| {
        let pointer = line.split(" = ").next().unwrap();
        let found = match pointer.split_once("/*") {
            None => project.pointer(pointer).cloned(),
            Some((list, below)) => {
                let items = project.pointer(list).and_then(|list| list.as_array());
                items.map(|items| {
                    items
                        .iter()
                        .filter_map(|item| item.pointer(below))
                        .cloned()
                        .collect()
                })
            }
        };
        match found {
            Some(found) => format!("{pointer} = {found}"),
            None => format!("{pointer} = NOTHING"),
        }
    };
    pointers.lines().map(value).collect::<Vec<_>>().join("\n")
}
