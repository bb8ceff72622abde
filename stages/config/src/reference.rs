//! The model as a page of the reference.

use std::collections::BTreeSet;

use crate::model::{DEFINITION, Form, Key, Kinds, Merge, OVERLAY_FILE, ROOT, Table};

const TOP: &str = "# Configuration: every table and key

A project is a folder with `keel.toml` (or `azldev.toml`) and what that file includes. This page is made from the
description that the reader itself goes by (`KEEL_UPDATE_REFERENCE=1 cargo test -p keel-config reference`), and a test
keeps it current; `keel config schema` says the same to editors. An unknown key is an error. How files and layers become
one is told in [the model](../explanation/model.md).

Words in capitals (`NAME`) stand for names that you choose. A path counts from the folder of the file that says it.
Sizes are text: `\"64M\"`, `\"2G\"` (powers of 1024). A key marked * is required; one marked ◆ is Keel's own, and azldev
does not know it.
";

/// The page, in Markdown.
pub fn reference() -> String {
    let mut page = Page {
        text: TOP.to_owned(),
        seen: BTreeSet::new(),
    };
    page.table(&ROOT, "Top level of `keel.toml` and of included files");
    page.table(&DEFINITION, "Top level of an image definition");
    page.table(&OVERLAY_FILE, "Top level of a file of overlays");
    page.text
}

struct Page {
    text: String,
    seen: BTreeSet<&'static str>,
}

impl Page {
    /// A table, and those below it that are not on the page yet.
    fn table(&mut self, model: &'static Table, heading: &str) {
        if !self.seen.insert(model.id) {
            return;
        }
        self.text.push_str(&format!("\n## {heading}\n"));
        if !model.doc.is_empty() {
            self.text.push_str(&format!("\n{}\n", model.doc));
        }
        self.text.push_str("\n| key | form | meaning |\n|---|---|---|\n");
        for key in model.keys {
            self.text.push_str(&row(model, key));
        }
        if let Some(kinds) = model.kinds {
            self.kinds(kinds);
        }
        for key in model.keys {
            if let Form::Table(below) | Form::Named(below) | Form::Tables(below) = &key.form {
                self.table(below, &title(below));
            }
        }
    }

    fn kinds(&mut self, kinds: &Kinds) {
        let kind = kinds.tag;
        self.text
            .push_str(&format!("\n| `{kind}` | meaning | keys |\n|---|---|---|\n"));
        for kind in kinds.kinds {
            let keys = (kind.required.iter().map(|key| format!("`{key}`*")))
                .chain(kind.optional.iter().map(|key| format!("`{key}`")));
            let keys: Vec<String> = keys.collect();
            let own = if kind.ours { " ◆" } else { "" };
            self.text.push_str(&format!(
                "| `\"{}\"`{own} | {} | {} |\n",
                kind.word,
                kind.doc,
                keys.join(", ")
            ));
        }
    }
}

/// `[components.NAME.build]`, `[[components.NAME.overlays]]`
fn title(model: &Table) -> String {
    match model.path.strip_suffix("[]") {
        Some(path) => format!("`[[{}]]`", path.replace("[]", "")),
        None => format!("`[{}]`", model.path.replace("[]", "")),
    }
}

fn row(model: &Table, key: &Key) -> String {
    let mark = match (key.required, key.ours) {
        (true, true) => "* ◆",
        (true, false) => "*",
        (false, true) => " ◆",
        (false, false) => "",
    };
    let is_tag = model.kinds.is_some_and(|kinds| kinds.tag == key.name);
    let form = if is_tag {
        "see below".to_owned()
    } else {
        form(&key.form)
    };
    let mut meaning = key.doc.to_owned();
    if !key.default.is_empty() {
        meaning.push_str(&format!("; default: `{}`", key.default));
    }
    let merge = match key.merge {
        Merge::Append => "; added to what is inherited",
        Merge::By(_) => "; added to what is inherited, by name",
        _ => "",
    };
    if let Form::Table(below) | Form::Named(below) | Form::Tables(below) = &key.form {
        meaning.push_str(&format!(": {}", title(below)));
    }
    format!("| `{}`{mark} | {form} | {meaning}{merge} |\n", key.name)
}

fn form(form_of: &Form) -> String {
    match form_of {
        Form::Text(pattern) => pattern.word.to_owned(),
        Form::Words(words) => {
            let words: Vec<String> = words.iter().map(|word| format!("`\"{word}\"`")).collect();
            words.join(", ")
        }
        Form::Flag => "boolean".to_owned(),
        Form::TextOrFlag => "string or boolean".to_owned(),
        Form::Whole => "integer".to_owned(),
        Form::Number => "number".to_owned(),
        Form::List(item) => format!("list: {}", form(item)),
        Form::OneOrMore(item) => format!("{}, or a list of such", form(item)),
        Form::Map(item) => format!("name → {}", form(item)),
        Form::Table(_) => "table".to_owned(),
        Form::Named(_) => "tables by name".to_owned(),
        Form::Tables(_) => "array of tables".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    const PAGE: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/reference/configuration.md"
    );

    #[test]
    fn the_reference_is_what_the_model_says() {
        let page = super::reference();
        if std::env::var_os("KEEL_UPDATE_REFERENCE").is_some() {
            fs_err::write(PAGE, &page).unwrap();
        }
        let written = fs_err::read_to_string(PAGE).unwrap_or_default();
        assert!(
            written == page,
            "docs/reference/configuration.md is not current: KEEL_UPDATE_REFERENCE=1 cargo test -p keel-config reference"
        );
    }

    /// What links rely on: every table is on the page, under a name that no other has.
    #[test]
    fn every_table_has_a_place_of_its_own() {
        let mut tables = std::collections::BTreeMap::new();
        for top in [&super::ROOT, &super::DEFINITION, &super::OVERLAY_FILE] {
            crate::schema::collect(top, &mut tables);
        }
        let mut paths = std::collections::BTreeSet::new();
        for model in tables.values().filter(|model| !model.path.is_empty()) {
            assert!(paths.insert(model.path), "{}", model.path);
            let mut keys = std::collections::BTreeSet::new();
            for key in model.keys {
                assert!(keys.insert(key.name), "{} {}", model.path, key.name);
            }
            for kind in model.kinds.iter().flat_map(|kinds| kinds.kinds) {
                for key in kind.required.iter().chain(kind.optional) {
                    assert!(model.key(key).is_some(), "{} {key}", model.path);
                }
            }
        }
    }
}
