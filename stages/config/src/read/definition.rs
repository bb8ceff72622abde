//! Definitions of images, and what they inherit from each other: from files to one table for each image.
//!
//! `docs/explanation/model.md` numbers the rules (M63, M64).

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use keel_artefact::ImageName;

use crate::{
    image::Capabilities,
    includes, merge,
    model::DEFINITION,
    read::{self, os::full},
    strict,
    table::{Problems, Table, Text},
    tree::{Data, Place, Sources, Value},
};

/// So many definitions stand on each other at most.
const MOST_DEPTH: usize = 8;

/// An image's definition with all that it inherits.
pub(crate) struct Definition {
    /// What each file says, the most basic one first; the last is the image's own.
    pub(crate) levels: Vec<Level>,
    /// All of it as one table.
    pub(crate) merged: Value,
}

impl Definition {
    /// The image that it inherits from.
    pub(crate) fn inherits(&self) -> Option<&ImageName> {
        self.levels.iter().rev().nth(1).map(|level| &level.image)
    }

    /// What its own file says.
    pub(crate) fn own(&self) -> Option<&Level> {
        self.levels.last()
    }

    /// Does the image itself say something of what these keys, one in the other, lead to?
    pub(crate) fn is_own(&self, keys: &[&str]) -> bool {
        let mut value = self.levels.last().map(|level| &level.value);
        for key in keys {
            value = value.and_then(|value| Some(&value.entries()?.get(*key)?.value));
        }
        value.is_some()
    }
}

/// What one file says.
pub(crate) struct Level {
    /// Whose definition it is.
    pub(crate) image: ImageName,
    /// The file.
    pub(crate) path: PathBuf,
    pub(crate) value: Value,
}

/// All definitions of a project; a file is read once, and what is wrong with it is told once.
pub(crate) struct Definitions<'a> {
    project_root: &'a Path,
    root: &'a Table<'a>,
    read: RefCell<BTreeMap<PathBuf, Option<Value>>>,
    /// What was told to lead nowhere.
    told: RefCell<BTreeSet<Place>>,
}

impl<'a> Definitions<'a> {
    pub(crate) fn new(project_root: &'a Path, root: &'a Table<'a>) -> Self {
        Self {
            project_root,
            root,
            read: RefCell::default(),
            told: RefCell::default(),
        }
    }

    fn sources(&self) -> &'a Sources {
        self.root.sources
    }

    fn problems(&self) -> &'a Problems {
        self.root.problems
    }

    /// The definition of an image, whose table is `image`. None if it or one that it inherits from cannot be read.
    pub(crate) fn of(&self, name: &ImageName, image: &Table<'_>) -> Option<Definition> {
        let mut levels = vec![self.level(name, image)?];
        while let Some(parent) = self.parent(&levels)? {
            levels.push(parent);
        }
        levels.reverse();
        let mut merged = Value::empty(levels.last()?.value.at);
        for level in &levels {
            override_services(&mut merged, &level.value);
            merge::lay_over_definition(
                self.sources(),
                self.problems(),
                &DEFINITION,
                &mut merged,
                &level.value,
            );
        }
        Some(Definition { levels, merged })
    }

    /// Capabilities that an image does not state are those of the image that it inherits from.
    pub(crate) fn capabilities(&self, definition: &Definition) -> Capabilities {
        let images = self.root.named("images");
        let of = |level: &Level| {
            let (_, image) = images.iter().find(|(name, _)| *name == level.image.as_str())?;
            image.table("capabilities")
        };
        let levels: Vec<Option<Table<'_>>> = definition.levels.iter().map(of).collect();
        read::image::capabilities(&levels)
    }

    fn level(&self, name: &ImageName, image: &Table<'_>) -> Option<Level> {
        let definition = image.table("definition")?;
        let said = definition.text("path")?;
        let path = self.sources().resolve(said.at, said.value);
        if !path.is_file() {
            if self.told.borrow_mut().insert(said.at) {
                definition.existing_file(said, "image definition")?;
            }
            return None;
        }
        let tree = self.sources().tree(image.at);
        let value = self.file(tree, &path)?;
        Some(Level {
            image: name.clone(),
            path,
            value,
        })
    }

    fn file(&self, tree: usize, path: &Path) -> Option<Value> {
        if let Some(read) = self.read.borrow().get(path) {
            return read.clone();
        }
        let value = includes::document(self.project_root, tree, self.sources(), self.problems(), path);
        if let Some(value) = &value {
            strict::check(self.sources(), self.problems(), &DEFINITION, value);
        }
        self.read.borrow_mut().insert(path.to_owned(), value.clone());
        value
    }

    /// What the last level inherits from: `Some(None)` if it says nothing of that, none if that leads nowhere.
    fn parent(&self, levels: &[Level]) -> Option<Option<Level>> {
        let last = levels.last()?;
        let Some(entry) = last.value.entries()?.get("inherits") else {
            return Some(None);
        };
        let name = Text {
            value: entry.value.text()?,
            at: entry.value.at,
        };
        let wrong = |message: String| {
            let is_new = self.told.borrow_mut().insert(name.at);
            is_new.then(|| self.root.wrong(name.at, message))
        };
        let images = self.root.named("images");
        let Some((_, image)) = images.iter().find(|(known, _)| *known == name.value) else {
            let known = images.iter().map(|(known, _)| *known);
            let message = format!("there is no image `{}` to inherit from", name.value);
            self.problems().extend(
                wrong(message)
                    .map(|wrong| wrong.did_you_mean(name.value, known))
                    .into_iter()
                    .collect(),
            );
            return None;
        };
        let kind = image.table("definition").and_then(|table| table.string("type"));
        let parsed = name.value.parse::<ImageName>().ok()?;
        let way = || -> String {
            let names = levels.iter().map(|level| level.image.as_str());
            names.chain([name.value]).collect::<Vec<_>>().join(" → ")
        };
        let message = if kind.as_deref() == Some("kiwi") {
            format!(
                "image `{}` is defined for kiwi: there is nothing that Keel could inherit",
                name.value
            )
        } else if levels.iter().any(|level| level.image == parsed) {
            format!("images inherit from each other in a circle: {}", way())
        } else if levels.len() >= MOST_DEPTH {
            format!("more than {MOST_DEPTH} images inherit from each other: {}", way())
        } else {
            return self.level(&parsed, image).map(Some);
        };
        self.problems().extend(wrong(message).into_iter().collect());
        None
    }
}

/// What a level says of a unit takes the place of what was said of it before: it leaves the list of the other key.
fn override_services(merged: &mut Value, level: &Value) {
    for (said, other) in [("enable", "disable"), ("disable", "enable")] {
        let items = level
            .get(&["os", "services", said])
            .map(items_of)
            .unwrap_or_default();
        let names: BTreeSet<String> = items.iter().filter_map(Value::text).map(full).collect();
        let Some(list) = at_mut(merged, &["os", "services", other]) else {
            continue;
        };
        let list = match list.get(&["replace"]) {
            Some(_) => at_mut(list, &["replace"]),
            None => Some(list),
        };
        if let Some(Data::List(items)) = list.map(|list| &mut list.data) {
            Arc::make_mut(items).retain(|item| item.text().is_none_or(|text| !names.contains(&full(text))));
        }
    }
}

/// The items of a list, be it one that takes the place of another.
pub(crate) fn items_of(value: &Value) -> &[Value] {
    value
        .get(&["replace"])
        .unwrap_or(value)
        .items()
        .unwrap_or_default()
}

fn at_mut<'v>(value: &'v mut Value, path: &[&str]) -> Option<&'v mut Value> {
    path.iter().try_fold(value, |value, key| match &mut value.data {
        Data::Table(entries) => Some(&mut Arc::make_mut(entries).get_mut(*key)?.value),
        _ => None,
    })
}
