//! An image's definition with all that it inherits, and where each value comes from.

use std::path::{Path, PathBuf};

use keel_artefact::ImageName;
use serde::Serialize;

use crate::{
    Checkout, Diagnostic, Errors, Location,
    dump::{inline, plain},
    image::Kind,
    load::Layers,
    model::{DEFINITION, Form, Key, Table as Model},
    read::{
        definition::{Definition, Definitions, items_of},
        image::packages,
    },
    table::{Table, join},
    tree::{Entries, Place, Value},
};

/// A definition as it counts.
#[derive(Debug, Clone, Serialize)]
pub struct Shown {
    /// Whose.
    pub image: ImageName,
    /// The files that it is made of, the most basic one first.
    pub definitions: Vec<Part>,
    /// Its values, in the order of the reference.
    pub values: Vec<Said>,
}

/// One file of a definition.
#[derive(Debug, Clone, Serialize)]
pub struct Part {
    /// Whose definition it is.
    pub image: ImageName,
    /// The file. Absolute.
    pub file: PathBuf,
}

/// A value, or one item of a list.
#[derive(Debug, Clone, Serialize)]
pub struct Said {
    /// The table that it is in, as its header is written: `[os]`, `[[os.users]]`; empty at the top.
    pub table: String,
    /// Which of the tables of that name, from 0.
    pub index: usize,
    /// The key in there.
    pub key: String,
    /// Is it one of a list?
    pub is_item: bool,
    /// The value, as TOML.
    pub value: String,
    /// Whose definition says it.
    pub image: ImageName,
    /// Where.
    pub at: Location,
    /// The package group that a package came with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// The definition of an image of the project of `dir`, with all that it inherits.
///
/// Fails with everything that is wrong in any file, and for an image that there is not, or that is not Keel's.
pub fn show(dir: &Path, checkout: &Checkout<'_>, image: &ImageName) -> Result<Shown, Errors> {
    let layers = Layers::read(dir, checkout)?;
    let project = layers.checked()?;
    let Some(found) = project.images.get(image) else {
        let known = project.images.keys().map(|name| name.as_str());
        let wrong = Diagnostic::new(format!("no such image: `{image}`"));
        return Err(wrong.did_you_mean(image.as_str(), known).into());
    };
    if found.kind != Kind::Keel {
        found.check_buildable()?;
    }
    let (sources, merged) = (&layers.sources, &layers.merged);
    let problems = crate::table::Problems::default();
    let nothing = || Errors::from(Diagnostic::new(format!("image `{image}` has no definition")));
    let root = Table::new(sources, &problems, String::new(), merged.at, merged).ok_or_else(nothing)?;
    let images = root.named("images");
    let (_, table) = (images.iter().find(|(name, _)| *name == image.as_str())).ok_or_else(nothing)?;
    let definitions = Definitions::new(&layers.root, &root);
    let definition = definitions.of(image, table).ok_or_else(nothing)?;
    let mut showing = Showing {
        root: &root,
        definition: &definition,
        values: Vec::new(),
    };
    for wanted in packages(&definition, &root, &project.package_groups) {
        let value = toml::Value::String(wanted.name.to_string()).to_string();
        showing.said("", 0, "packages", true, value, wanted.at);
        if let Some(last) = showing.values.last_mut() {
            last.group = wanted.group;
        }
    }
    if let Some(entries) = definition.merged.entries() {
        showing.table(&DEFINITION, entries, "", 0, "");
    }
    let part = |level: &crate::read::definition::Level| Part {
        image: level.image.clone(),
        file: level.path.clone(),
    };
    Ok(Shown {
        image: image.clone(),
        definitions: definition.levels.iter().map(part).collect(),
        values: showing.values,
    })
}

/// What says which packages there are, and is shown as the packages themselves; and what only editors read.
const TOLD_OTHERWISE: [&str; 5] = [
    "$schema",
    "inherits",
    "packages",
    "package-groups",
    "remove-packages",
];

struct Showing<'d> {
    root: &'d Table<'d>,
    definition: &'d Definition,
    values: Vec<Said>,
}

impl Showing<'_> {
    fn said(&mut self, table: &str, index: usize, key: &str, is_item: bool, value: String, at: Place) {
        let level = self
            .definition
            .levels
            .iter()
            .rev()
            .find(|level| level.value.at.file == at.file);
        let level = level
            .or(self.definition.levels.last())
            .expect("a definition has a level");
        self.values.push(Said {
            table: table.to_owned(),
            index,
            key: key.to_owned(),
            is_item,
            value,
            image: level.image.clone(),
            at: self.root.sources.location(at),
            group: None,
        });
    }

    /// The values of a table, then the tables in it; `name` is what its header says, without brackets.
    fn table(&mut self, model: &'static Model, entries: &Entries, header: &str, index: usize, name: &str) {
        let keys =
            || (model.keys.iter()).filter(|key| !(name.is_empty() && TOLD_OTHERWISE.contains(&key.name)));
        let said = |key: &&'static Key| entries.get(key.name).map(|entry| (*key, entry));
        for (key, entry) in keys().filter_map(|key| said(&key)) {
            match &key.form {
                Form::Table(_) | Form::Tables(_) | Form::Named(_) => {}
                Form::Map(item) => {
                    for (word, entry) in entry.value.entries().into_iter().flatten() {
                        let key = join(key.name, word);
                        let value = inline(&plain(self.root.sources, item, &entry.value));
                        self.said(header, index, &key, false, value, entry.key);
                    }
                }
                Form::List(item) => self.list(header, index, key.name, item, &entry.value),
                form => {
                    let value = inline(&plain(self.root.sources, form, &entry.value));
                    self.said(header, index, key.name, false, value, entry.key);
                }
            }
        }
        for (key, entry) in keys().filter_map(|key| said(&key)) {
            let below = join(name, key.name);
            match &key.form {
                Form::Table(model) => {
                    if let Some(entries) = entry.value.entries() {
                        self.table(model, entries, &format!("[{below}]"), 0, &below);
                    }
                }
                Form::Tables(model) => {
                    for (index, item) in items_of(&entry.value).iter().enumerate() {
                        if let Some(entries) = item.entries() {
                            self.table(model, entries, &format!("[[{below}]]"), index, &below);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn list(&mut self, header: &str, index: usize, key: &str, item: &'static Form, value: &Value) {
        let items = items_of(value);
        if items.is_empty() {
            self.said(header, index, key, false, "[]".to_owned(), value.at);
        }
        for value in items {
            let text = inline(&plain(self.root.sources, item, value));
            self.said(header, index, key, true, text, value.at);
        }
    }
}

impl Shown {
    /// As a definition that inherits nothing, with the place of each value beside it.
    pub fn toml(&self) -> String {
        let mut lines: Vec<(String, String)> = Vec::new();
        let (mut table, mut list) = ((String::new(), 0), None::<String>);
        for said in &self.values {
            let is_same = list.as_deref() == Some(&said.key) && table == (said.table.clone(), said.index);
            if list.is_some() && !(is_same && said.is_item) {
                lines.push(("]".to_owned(), String::new()));
                list = None;
            }
            if table != (said.table.clone(), said.index) {
                table = (said.table.clone(), said.index);
                lines.extend([
                    (String::new(), String::new()),
                    (said.table.clone(), String::new()),
                ]);
            }
            let group = said.group.as_ref().map(|group| format!(" (group `{group}`)"));
            let place = format!("{}{}", said.at, group.unwrap_or_default());
            if said.is_item {
                if list.is_none() {
                    lines.push((format!("{} = [", said.key), String::new()));
                    list = Some(said.key.clone());
                }
                lines.push((format!("    {},", said.value), place));
            } else {
                lines.push((format!("{} = {}", said.key, said.value), place));
            }
        }
        if list.is_some() {
            lines.push(("]".to_owned(), String::new()));
        }
        // A value that is very long pushes no other place aside.
        const WIDEST: usize = 60;
        let width = |text: &str| text.chars().count();
        let widest = lines
            .iter()
            .filter(|(_, place)| !place.is_empty())
            .map(|(text, _)| width(text));
        let widest = widest.filter(|width| *width <= WIDEST).max().unwrap_or(0);
        let line = |(text, place): &(String, String)| match place.as_str() {
            "" => text.clone(),
            place => format!(
                "{text}{}  # {place}",
                " ".repeat(widest.saturating_sub(width(text)))
            ),
        };
        lines.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}
