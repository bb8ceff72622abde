//! Strict reading of TOML tables: every key is asked for by name, and what nobody asked for is an error.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    ops::Range,
    path::{Component as Part, Path, PathBuf},
    str::FromStr,
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{Diagnostic, Excerpt, Location};

/// A TOML file, read.
#[derive(Debug)]
pub(crate) struct Source {
    /// Absolute.
    pub(crate) path: PathBuf,
    /// As people should see it.
    pub(crate) shown: PathBuf,
    pub(crate) text: String,
}

impl Source {
    /// Line, column and excerpt of a span in bytes.
    pub(crate) fn place(&self, span: &Range<usize>) -> (Location, Excerpt) {
        let mut start = span.start.min(self.text.len());
        while !self.text.is_char_boundary(start) {
            start -= 1;
        }
        let before = &self.text[..start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let text = self.text[line_start..].lines().next().unwrap_or("");
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let column = number(self.text[line_start..start].chars().count() + 1);
        let part = self
            .text
            .get(start..span.end)
            .unwrap_or("")
            .lines()
            .next()
            .unwrap_or("");
        let location = Location {
            file: self.shown.clone(),
            line: number(before.matches('\n').count() + 1),
            column,
        };
        let width = number(part.trim_end().chars().count().max(1));
        let text = text.to_owned();
        (location, Excerpt { text, column, width })
    }

    pub(crate) fn location(&self, span: &Range<usize>) -> Location {
        self.place(span).0
    }

    /// A diagnostic about a span.
    pub(crate) fn wrong(&self, span: &Range<usize>, message: impl Into<String>) -> Diagnostic {
        let (location, excerpt) = self.place(span);
        Diagnostic::new(message).at(location).excerpt(Some(excerpt))
    }

    /// A path that this file says: absolute, without `.` and `..`.
    pub(crate) fn resolve(&self, path: &str) -> PathBuf {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        normalise(&folder.join(path))
    }
}

/// Drops `.` and resolves `..` by name.
pub(crate) fn normalise(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Part::CurDir => {}
            Part::ParentDir => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal
}

/// What has been found wrong so far.
#[derive(Debug, Default)]
pub(crate) struct Problems(RefCell<Vec<Diagnostic>>);

impl Problems {
    pub(crate) fn push(&self, diagnostic: Diagnostic) {
        self.0.borrow_mut().push(diagnostic);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    pub(crate) fn into_vec(self) -> Vec<Diagnostic> {
        self.0.into_inner()
    }
}

/// A value with the place it came from.
#[derive(Debug, Clone)]
pub(crate) struct Placed<T> {
    pub(crate) value: T,
    pub(crate) span: Range<usize>,
}

/// A table that is being read.
pub(crate) struct Table<'a> {
    pub(crate) source: &'a Source,
    pub(crate) problems: &'a Problems,
    /// As its header would be: `[images.core]`.
    pub(crate) name: String,
    /// Of its header or braces.
    pub(crate) span: Range<usize>,
    /// It is an element of an array of tables.
    in_array: bool,
    table: &'a DeTable<'a>,
    known: RefCell<Vec<&'static str>>,
}

impl<'a> Table<'a> {
    /// The whole file.
    pub(crate) fn root(source: &'a Source, problems: &'a Problems, table: &'a DeTable<'a>) -> Self {
        Self::new(source, problems, String::new(), 0..0, table)
    }

    fn new(
        source: &'a Source,
        problems: &'a Problems,
        path: String,
        span: Range<usize>,
        table: &'a DeTable<'a>,
    ) -> Self {
        let known = RefCell::default();
        Self {
            source,
            problems,
            name: path,
            span,
            in_array: false,
            table,
            known,
        }
    }

    /// How messages call this table: `[images.core]`, `[[tests]]`.
    pub(crate) fn title(&self) -> String {
        match (self.name.is_empty(), self.in_array) {
            (true, _) => "the top level".to_owned(),
            (false, false) => format!("`[{}]`", self.name),
            (false, true) => format!("`[[{}]]`", self.name),
        }
    }

    /// Where messages say that a key is: in this table.
    fn within(&self) -> String {
        let preposition = if self.name.is_empty() { "at" } else { "in" };
        format!("{preposition} {}", self.title())
    }

    pub(crate) fn location(&self) -> Location {
        self.source.location(&self.span)
    }

    pub(crate) fn report(&self, span: &Range<usize>, message: impl Into<String>) {
        self.problems.push(self.source.wrong(span, message));
    }

    /// Whether the key is there; it counts as known from now on.
    pub(crate) fn has(&self, key: &'static str) -> bool {
        self.get(key).is_some()
    }

    /// The place of a key; the table's own if it is not there.
    pub(crate) fn key_span(&self, key: &str) -> Range<usize> {
        (self.table.get_key_value(key)).map_or_else(|| self.span.clone(), |(key, _)| key.span())
    }

    fn get(&self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known.borrow_mut().push(key);
        #[cfg(test)]
        crate::reference::asked(self, key);
        self.table.get(key)
    }

    fn path(&self, key: &str) -> String {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let key = if !key.is_empty() && key.chars().all(plain) {
            key.to_owned()
        } else {
            format!("{key:?}")
        };
        if self.name.is_empty() {
            key
        } else {
            format!("{}.{key}", self.name)
        }
    }

    fn wrong_type(&self, key: &str, value: &Spanned<DeValue<'_>>, wanted: &str) {
        let found = match value.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        };
        self.report(
            &value.span(),
            format!("`{key}` {} must be {wanted}, not {found}", self.within()),
        );
    }

    pub(crate) fn string(&self, key: &'static str) -> Option<Placed<String>> {
        let value = self.get(key)?;
        match value.get_ref() {
            DeValue::String(text) => Some(Placed {
                value: text.to_string(),
                span: value.span(),
            }),
            _ => {
                self.wrong_type(key, value, "a string");
                None
            }
        }
    }

    /// A string that must be there and must not be empty.
    pub(crate) fn required(&self, key: &'static str) -> Option<Placed<String>> {
        if !self.has(key) {
            self.report(&self.span, format!("{} needs the key `{key}`", self.title()));
            return None;
        }
        let text = self.string(key)?;
        if text.value.trim().is_empty() {
            self.report(&text.span, format!("`{key}` {} must not be empty", self.within()));
            return None;
        }
        Some(text)
    }

    /// A string that is parsed; what the parser says is the message.
    pub(crate) fn parsed<T: FromStr<Err: std::fmt::Display>>(&self, key: &'static str) -> Option<T> {
        let text = self.string(key)?;
        self.parse(&text)
    }

    pub(crate) fn parse<T: FromStr<Err: std::fmt::Display>>(&self, text: &Placed<String>) -> Option<T> {
        match text.value.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.report(&text.span, error.to_string());
                None
            }
        }
    }

    /// One of some words.
    pub(crate) fn choice<T: Copy>(&self, key: &'static str, choices: &[(&'static str, T)]) -> Option<T> {
        let text = self.string(key)?;
        self.choose(key, &text, choices)
    }

    pub(crate) fn choose<T: Copy>(
        &self,
        key: &str,
        text: &Placed<String>,
        choices: &[(&str, T)],
    ) -> Option<T> {
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == text.value) {
            return Some(*value);
        }
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let message = format!("unknown `{key}`: `{}` (known: {})", text.value, names.join(", "));
        self.problems.push(
            self.source
                .wrong(&text.span, message)
                .did_you_mean(&text.value, names),
        );
        None
    }

    pub(crate) fn boolean(&self, key: &'static str) -> Option<bool> {
        let value = self.get(key)?;
        match value.get_ref() {
            DeValue::Boolean(flag) => Some(*flag),
            _ => {
                self.wrong_type(key, value, "true or false");
                None
            }
        }
    }

    /// An integer that is not negative.
    pub(crate) fn integer(&self, key: &'static str) -> Option<u64> {
        let value = self.get(key)?;
        let number = match value.get_ref() {
            DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        if number.is_none() {
            self.wrong_number(key, value, "an integer of 0 or more");
        }
        number
    }

    /// A number above 0.
    pub(crate) fn number(&self, key: &'static str) -> Option<f64> {
        let value = self.get(key)?;
        let number = match value.get_ref() {
            DeValue::Integer(number) => number.as_str().parse().ok(),
            DeValue::Float(number) => number.as_str().parse().ok(),
            _ => None,
        };
        let number = number.filter(|number: &f64| number.is_finite() && *number > 0.0);
        if number.is_none() {
            self.wrong_number(key, value, "a number above 0");
        }
        number
    }

    fn wrong_number(&self, key: &str, value: &Spanned<DeValue<'_>>, wanted: &str) {
        if matches!(value.get_ref(), DeValue::Integer(_) | DeValue::Float(_)) {
            let message = format!("`{key}` {} must be {wanted}", self.within());
            self.report(&value.span(), message);
        } else {
            self.wrong_type(key, value, wanted);
        }
    }

    /// An array of strings; empty if it is not there.
    pub(crate) fn strings(&self, key: &'static str) -> Vec<Placed<String>> {
        let Some(value) = self.get(key) else {
            return Vec::new();
        };
        self.strings_of(key, value)
    }

    fn strings_of(&self, key: &str, value: &Spanned<DeValue<'_>>) -> Vec<Placed<String>> {
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong_type(key, value, "an array of strings");
            return Vec::new();
        };
        let mut strings = Vec::new();
        for item in items.iter() {
            match item.get_ref() {
                DeValue::String(text) => strings.push(Placed {
                    value: text.to_string(),
                    span: item.span(),
                }),
                _ => self.wrong_type(key, item, "an array of strings"),
            }
        }
        strings
    }

    /// An array of strings that are parsed; what is there twice is an error.
    pub(crate) fn parsed_strings<T>(&self, key: &'static str) -> Vec<T>
    where
        T: FromStr<Err: std::fmt::Display> + PartialEq,
    {
        let mut values: Vec<T> = Vec::new();
        for text in self.strings(key) {
            let Some(value) = self.parse(&text) else { continue };
            if values.contains(&value) {
                self.report(&text.span, format!("`{}` is twice in `{key}`", text.value));
            } else {
                values.push(value);
            }
        }
        values
    }

    /// Only the texts of an array of strings.
    pub(crate) fn texts(&self, key: &'static str) -> Vec<String> {
        self.strings(key).into_iter().map(|text| text.value).collect()
    }

    pub(crate) fn table(&self, key: &'static str) -> Option<Self> {
        let value = self.get(key)?;
        self.table_of(key, self.key_span(key), value)
    }

    fn table_of(&self, key: &str, span: Range<usize>, value: &'a Spanned<DeValue<'a>>) -> Option<Self> {
        match value.get_ref() {
            DeValue::Table(table) => Some(Self::new(self.source, self.problems, self.path(key), span, table)),
            _ => {
                self.wrong_type(key, value, "a table");
                None
            }
        }
    }

    /// An array of tables; empty if it is not there.
    pub(crate) fn tables(&self, key: &'static str) -> Vec<Self> {
        let Some(value) = self.get(key) else {
            return Vec::new();
        };
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong_type(key, value, "an array of tables");
            return Vec::new();
        };
        (items.iter())
            .filter_map(|item| self.table_of(key, item.span(), item))
            .map(|table| Self {
                in_array: true,
                ..table
            })
            .collect()
    }

    /// A table of tables with names that people choose, by name. Its own keys are all known.
    pub(crate) fn named_tables(&self, key: &'static str) -> Vec<(Placed<String>, Self)> {
        let Some(parent) = self.table(key) else {
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (name, value) in parent.table.iter() {
            let placed = Placed {
                value: name.get_ref().to_string(),
                span: name.span(),
            };
            if let Some(table) = parent.table_of(&placed.value, name.span(), value) {
                tables.push((placed, table));
            }
        }
        tables
    }

    /// A table of strings with names that people choose.
    pub(crate) fn map(&self, key: &'static str) -> BTreeMap<String, String> {
        let Some(parent) = self.table(key) else {
            return BTreeMap::new();
        };
        let mut map = BTreeMap::new();
        for (name, value) in parent.table.iter() {
            match value.get_ref() {
                DeValue::String(text) => {
                    map.insert(name.get_ref().to_string(), text.to_string());
                }
                _ => parent.wrong_type(name.get_ref(), value, "a string"),
            }
        }
        map
    }

    /// A table of arrays of strings (or one string each) with names that people choose.
    pub(crate) fn map_of_lists(&self, key: &'static str) -> BTreeMap<String, Vec<Placed<String>>> {
        let Some(parent) = self.table(key) else {
            return BTreeMap::new();
        };
        let mut map = BTreeMap::new();
        for (name, value) in parent.table.iter() {
            let list = match value.get_ref() {
                DeValue::String(text) => vec![Placed {
                    value: text.to_string(),
                    span: value.span(),
                }],
                _ => parent.strings_of(name.get_ref(), value),
            };
            map.insert(name.get_ref().to_string(), list);
        }
        map
    }

    /// Reports every key that nobody asked for. `elsewhere`: keys of azldev's format that Keel does not do yet.
    pub(crate) fn finish(&self, elsewhere: &[&str]) {
        let known = self.known.borrow();
        for key in self.table.keys() {
            let name = key.get_ref().as_ref();
            if known.contains(&name) {
                continue;
            }
            let diagnostic = if elsewhere.contains(&name) {
                let message = format!(
                    "this version of Keel does not support azldev's `{name}` {}",
                    self.within()
                );
                self.source.wrong(&key.span(), message)
            } else {
                let message = format!("unknown key `{name}` {}", self.within());
                (self.source.wrong(&key.span(), message)).did_you_mean(name, known.iter().copied())
            };
            self.problems.push(diagnostic);
        }
    }
}
