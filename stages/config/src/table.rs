//! Reading tables that were held against the model: what is missing or of a wrong type was reported there, and is
//! passed over here.

use std::{cell::RefCell, collections::BTreeMap, path::PathBuf};

use crate::{
    Diagnostic, Location,
    tree::{Data, Entries, Place, Sources, Value},
};

/// What has been found wrong so far.
#[derive(Debug, Default)]
pub(crate) struct Problems(RefCell<Vec<Diagnostic>>);

impl Problems {
    pub(crate) fn push(&self, diagnostic: Diagnostic) {
        self.0.borrow_mut().push(diagnostic);
    }

    pub(crate) fn extend(&self, diagnostics: Vec<Diagnostic>) {
        self.0.borrow_mut().extend(diagnostics);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// Keeps the first of those that say the same of the same place.
    pub(crate) fn once(&self) {
        let mut said = std::collections::BTreeSet::new();
        self.0
            .borrow_mut()
            .retain(|diagnostic| said.insert(diagnostic.to_string()));
    }

    pub(crate) fn take(&self) -> Vec<Diagnostic> {
        self.0.take()
    }
}

/// A string with its place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text<'a> {
    pub(crate) value: &'a str,
    pub(crate) at: Place,
}

/// A table that is being read.
#[derive(Clone)]
pub(crate) struct Table<'a> {
    pub(crate) sources: &'a Sources,
    pub(crate) problems: &'a Problems,
    /// As its header would be: `images.core`.
    pub(crate) name: String,
    /// Of its header or braces.
    pub(crate) at: Place,
    /// It is an element of an array of tables.
    in_array: bool,
    entries: &'a Entries,
}

/// How messages call a table: `[images.core]`, `[[tests]]`.
pub(crate) fn title(name: &str, in_array: bool) -> String {
    match (name.is_empty(), in_array) {
        (true, _) => "the top level".to_owned(),
        (false, false) => format!("`[{name}]`"),
        (false, true) => format!("`[[{name}]]`"),
    }
}

/// A key below a table, as TOML would write it.
pub(crate) fn join(name: &str, key: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let quoted = key.is_empty() || !key.chars().all(plain);
    match (name.is_empty(), quoted) {
        (true, false) => key.to_owned(),
        (true, true) => format!("{key:?}"),
        (false, false) => format!("{name}.{key}"),
        (false, true) => format!("{name}.{key:?}"),
    }
}

impl<'a> Table<'a> {
    /// A table called `name`, whose header stands at `at`; nothing if it is no table.
    pub(crate) fn new(
        sources: &'a Sources,
        problems: &'a Problems,
        name: String,
        at: Place,
        value: &'a Value,
    ) -> Option<Self> {
        Some(Self {
            sources,
            problems,
            name,
            at,
            in_array: false,
            entries: value.entries()?,
        })
    }

    pub(crate) fn title(&self) -> String {
        title(&self.name, self.in_array)
    }

    pub(crate) fn location(&self) -> Location {
        self.sources.location(self.at)
    }

    pub(crate) fn wrong(&self, at: Place, message: impl Into<String>) -> Diagnostic {
        self.sources.wrong(at, message)
    }

    pub(crate) fn report(&self, at: Place, message: impl Into<String>) {
        self.problems.push(self.wrong(at, message));
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// The place of a key; the table's own if it is not there.
    pub(crate) fn key_at(&self, key: &str) -> Place {
        self.entries.get(key).map_or(self.at, |entry| entry.key)
    }

    fn get(&self, key: &str) -> Option<&'a Value> {
        self.entries.get(key).map(|entry| &entry.value)
    }

    /// A string that is not empty.
    pub(crate) fn text(&self, key: &str) -> Option<Text<'a>> {
        let value = self.get(key)?;
        let text = value.text().filter(|text| !text.is_empty())?;
        Some(Text {
            value: text,
            at: value.at,
        })
    }

    pub(crate) fn string(&self, key: &str) -> Option<String> {
        self.text(key).map(|text| text.value.to_owned())
    }

    pub(crate) fn string_or_empty(&self, key: &str) -> String {
        self.string(key).unwrap_or_default()
    }

    /// A string that is parsed; one that is none was reported.
    pub(crate) fn parsed<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        self.text(key)?.value.parse().ok()
    }

    /// A path that counts from the file that says it.
    pub(crate) fn path(&self, key: &str) -> Option<PathBuf> {
        let text = self.text(key)?;
        Some(self.sources.resolve(text.at, text.value))
    }

    pub(crate) fn boolean(&self, key: &str) -> bool {
        self.flag(key).unwrap_or_default()
    }

    pub(crate) fn flag(&self, key: &str) -> Option<bool> {
        match self.get(key)?.data {
            Data::Flag(flag) => Some(flag),
            _ => None,
        }
    }

    pub(crate) fn integer(&self, key: &str) -> Option<u64> {
        match self.get(key)?.data {
            Data::Whole(number) => u64::try_from(number).ok(),
            _ => None,
        }
    }

    pub(crate) fn number(&self, key: &str) -> Option<f64> {
        match self.get(key)?.data {
            Data::Whole(number) => Some(number as f64),
            Data::Number(number) => Some(number),
            _ => None,
        }
    }

    fn items(&self, key: &str) -> &'a [Value] {
        let replaced = |value: &'a Value| value.get(&["replace"]).unwrap_or(value);
        let items = self.get(key).and_then(|value| replaced(value).items());
        items.unwrap_or_default()
    }

    /// An array of strings; empty if it is not there.
    pub(crate) fn strings(&self, key: &str) -> Vec<Text<'a>> {
        texts_of(self.items(key))
    }

    /// Only the texts of an array of strings.
    pub(crate) fn texts(&self, key: &str) -> Vec<String> {
        let strings = self.strings(key).into_iter();
        strings.map(|text| text.value.to_owned()).collect()
    }

    /// An array of strings that are parsed; what is none was reported.
    pub(crate) fn parsed_strings<T: std::str::FromStr>(&self, key: &str) -> Vec<T> {
        let strings = self.strings(key).into_iter();
        strings.filter_map(|text| text.value.parse().ok()).collect()
    }

    fn below(&self, key: &str, at: Place, value: &'a Value) -> Option<Self> {
        Self::new(self.sources, self.problems, join(&self.name, key), at, value)
    }

    pub(crate) fn table(&self, key: &str) -> Option<Self> {
        self.below(key, self.key_at(key), self.get(key)?)
    }

    /// An array of tables; empty if it is not there.
    pub(crate) fn tables(&self, key: &str) -> Vec<Self> {
        let items = self.items(key).iter();
        items
            .filter_map(|item| {
                Some(Self {
                    in_array: true,
                    ..self.below(key, item.at, item)?
                })
            })
            .collect()
    }

    /// A table of tables with names that people choose, by name.
    pub(crate) fn named(&self, key: &str) -> Vec<(&'a str, Self)> {
        let Some(parent) = self.table(key) else {
            return Vec::new();
        };
        (parent.entries.iter())
            .filter_map(|(name, entry)| Some((&**name, parent.below(name, entry.key, &entry.value)?)))
            .collect()
    }

    /// A table of strings with names that people choose.
    pub(crate) fn map(&self, key: &str) -> BTreeMap<String, String> {
        let entries = self.get(key).and_then(Value::entries).into_iter().flatten();
        entries
            .filter_map(|(name, entry)| Some((name.to_string(), entry.value.text()?.to_owned())))
            .collect()
    }

    /// A table of arrays of strings (or one string each) with names that people choose.
    pub(crate) fn map_of_lists(&self, key: &str) -> BTreeMap<String, Vec<Text<'a>>> {
        let entries = self.get(key).and_then(Value::entries).into_iter().flatten();
        let list = |value: &'a Value| match value.items() {
            Some(items) => texts_of(items),
            None => texts_of(std::slice::from_ref(value)),
        };
        entries
            .map(|(name, entry)| (name.to_string(), list(&entry.value)))
            .collect()
    }

    /// A file that must be there.
    pub(crate) fn existing_file(&self, path: Text<'_>, what: &str) -> Option<PathBuf> {
        let resolved = self.sources.resolve(path.at, path.value);
        if resolved.is_file() {
            return Some(resolved);
        }
        let message = format!("there is no {what} `{}`", path.value);
        let wrong = self.wrong(path.at, message);
        self.problems
            .push(wrong.hint("a path counts from the folder of the file that says it"));
        None
    }
}

fn texts_of(items: &[Value]) -> Vec<Text<'_>> {
    (items.iter())
        .filter_map(|item| {
            Some(Text {
                value: item.text()?,
                at: item.at,
            })
        })
        .collect()
}
