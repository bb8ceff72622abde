//! Holds `docs/reference/configuration.md` against the reader: each key that it asks for, in each table, and no other.

use std::{cell::RefCell, collections::BTreeSet};

use crate::table::Table;

type Keys = BTreeSet<(String, String)>;

thread_local! {
    /// What the reader asked for: table and key.
    static ASKED: RefCell<Keys> = RefCell::default();
}

/// Called whenever a table is asked for a key.
pub(crate) fn asked(table: &Table<'_>, key: &str) {
    let is_definition = table.source.path.to_string_lossy().ends_with(".image.toml");
    let name = match (table.name.as_str(), is_definition) {
        ("", true) => "image definition".to_owned(),
        ("", false) => "keel.toml".to_owned(),
        (name, _) => name.replace(".origins", ".origin"),
    };
    ASKED.with_borrow_mut(|asked| asked.insert((name, key.to_owned())));
}

/// Every table there is. The reader asks a table for all of its keys, whether they are there or not; an origin's depend
/// on its type.
const PROJECT: &str = r#"
project = { default-distro = { name = "NAME" } }
distros.NAME.versions.NAME = { release-ver = "1" }
package-groups.NAME = {}
keel.stage0 = { suite = "trixie", packages = [], libc-dev = [], lends = {} }
keel.macros = []
keel.base-requires = []
keel.users = "users.toml"

[components.NAME]
spec = { type = "local", path = "NAME.spec" }
build = { check = {}, hints = {} }

[[components.NAME.source-files]]
filename = "NAME"
origins = [
    { type = "debian", source = "NAME", suite = "trixie" },
    { type = "https", url = "https://keel.test/NAME" },
    { type = "download", uri = "https://keel.test/NAME" },
    { type = "file", path = "NAME" },
    { type = "crates", name = "NAME", version = "1" },
]

[images.NAME]
definition = { type = "keel", path = "NAME.image.toml" }
capabilities = {}
"#;
const IMAGE: &str = r#"
formats = ["oci", "raw"]
container = {}
disk = {}
tests = [{ name = "NAME", run = "true" }]
"#;

/// Tables and keys of the page: headings with the table's name, rows that start with keys.
fn documented(page: &str) -> Keys {
    let mut keys = Keys::new();
    let mut table = String::new();
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            table = match heading.trim_matches(['`', '[', ']']) {
                "Top level of `keel.toml` and of included files" => "keel.toml".to_owned(),
                "Top level of an image definition" => "image definition".to_owned(),
                name => name.to_owned(),
            };
        } else if let Some(cell) = line.strip_prefix("| `").and_then(|row| row.split_once("` |")) {
            let names = cell.0.split("`, `");
            keys.extend(names.map(|key| (table.clone(), key.to_owned())));
        }
    }
    keys
}

#[test]
fn the_reference_names_every_key() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("keel.toml", PROJECT),
        ("NAME.image.toml", IMAGE),
        ("NAME.spec", ""),
        ("users.toml", ""),
    ] {
        fs_err::write(folder.path().join(name), text).unwrap();
    }
    // Names in capitals are refused, after everything was read.
    let _refused = crate::load(&folder.path().join("keel.toml"));
    let asked = ASKED.take();
    let page = include_str!("../../../docs/reference/configuration.md");
    let documented = documented(page);
    let missing: Vec<_> = asked.difference(&documented).collect();
    let extra: Vec<_> = documented.difference(&asked).collect();
    assert!(
        missing.is_empty() && extra.is_empty(),
        "missing {missing:?}, extra {extra:?}"
    );
}
