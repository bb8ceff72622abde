//! A project as one file: what all files together say, in the form in which they say it.

use std::path::Path;

use serde::{Serialize, Serializer, ser::SerializeMap as _};

use crate::{
    Checkout, Errors,
    load::Layers,
    model::{self, Form, ROOT},
    tree::{Data, Entries, Place, Sources, Value},
};

/// What all files of a project say, as one table: values in the form of the files, paths absolute.
#[derive(Debug)]
pub struct Dump(pub(crate) Plain);

/// A value without its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Plain {
    Text(String),
    Whole(i64),
    Number(f64),
    Flag(bool),
    List(Vec<Plain>),
    /// In the order in which it is to be written.
    Table(Vec<(String, Plain)>),
}

/// The project of `dir` as one table; with `resolve`, each component with all that it inherits.
///
/// Fails with everything that is wrong in any of its files.
pub fn dump(dir: &Path, checkout: &Checkout<'_>, resolve: bool) -> Result<Dump, Errors> {
    let layers = Layers::read(dir, checkout)?;
    let project = layers.checked()?;
    let mut merged = layers.merged.clone();
    if resolve {
        let inheritance = layers.inheritance(Some(&project.distro));
        if let Data::Table(entries) = &mut merged.data
            && let Some(components) = std::sync::Arc::make_mut(entries).get_mut("components")
            && let Data::Table(components) = &mut components.value.data
        {
            for (name, entry) in std::sync::Arc::make_mut(components) {
                entry.value = inheritance.resolve(name, &entry.value);
            }
        }
    }
    let entries = merged.entries().cloned().unwrap_or_default();
    Ok(Dump(table(&layers.sources, &ROOT, &entries)))
}

impl Dump {
    /// As TOML.
    pub fn toml(&self) -> String {
        toml::to_string(&self.0).unwrap_or_default()
    }
}

impl Serialize for Dump {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl Serialize for Plain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Whole(number) => serializer.serialize_i64(*number),
            Self::Number(number) => serializer.serialize_f64(*number),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::List(items) => items.serialize(serializer),
            Self::Table(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

/// A value as TOML writes it on one line.
pub(crate) fn inline(value: &Plain) -> String {
    match value {
        Plain::Text(text) => toml::Value::String(text.clone()).to_string(),
        Plain::Whole(number) => number.to_string(),
        Plain::Number(number) => toml::Value::Float(*number).to_string(),
        Plain::Flag(flag) => flag.to_string(),
        Plain::List(items) => {
            let items: Vec<String> = items.iter().map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        Plain::Table(entries) => {
            let entry = |(key, value): &(String, Plain)| {
                format!("{} = {}", crate::table::join("", key), inline(value))
            };
            let entries: Vec<String> = entries.iter().map(entry).collect();
            match entries.is_empty() {
                true => "{}".to_owned(),
                false => format!("{{ {} }}", entries.join(", ")),
            }
        }
    }
}

/// A table, with its own values before the tables in it.
pub(crate) fn table(sources: &Sources, model: &'static model::Table, entries: &Entries) -> Plain {
    let is_pool = |name: &str| {
        let kind = entries.get("type").and_then(|entry| entry.value.text());
        model.id == "origin" && name == "path" && kind == Some("debian")
    };
    static ANY: Form = Form::Flag;
    let entries = entries.iter().filter_map(|(name, entry)| {
        let key = model.key(name).filter(|key| key.name != "includes")?;
        let form = if is_pool(name) { &ANY } else { &key.form };
        let value = plain(sources, form, &entry.value);
        Some((name.to_string(), value))
    });
    Plain::Table(sorted(entries.collect()))
}

fn sorted(mut entries: Vec<(String, Plain)>) -> Vec<(String, Plain)> {
    entries.sort_by_key(|(_, value)| match value {
        Plain::Table(_) => true,
        Plain::List(items) => items.iter().any(|item| matches!(item, Plain::Table(_))),
        _ => false,
    });
    entries
}

/// A value of a form: paths become absolute.
pub(crate) fn plain(sources: &Sources, form: &'static Form, value: &Value) -> Plain {
    let named = |entries: &Entries, of: &dyn Fn(&Value) -> Plain| {
        let entries = entries
            .iter()
            .map(|(name, entry)| (name.to_string(), of(&entry.value)));
        Plain::Table(sorted(entries.collect()))
    };
    match (form, &value.data) {
        (Form::Text(pattern), Data::Text(text)) if pattern.is_path && !text.is_empty() => {
            Plain::Text(absolute(sources, value.at, text))
        }
        (Form::List(item) | Form::OneOrMore(item), Data::List(items)) => {
            Plain::List(items.iter().map(|value| plain(sources, item, value)).collect())
        }
        (Form::Tables(model), Data::List(items)) => {
            let of = |item: &Value| item.entries().map(|entries| table(sources, model, entries));
            Plain::List(items.iter().filter_map(of).collect())
        }
        (Form::Table(model), Data::Table(entries)) => table(sources, model, entries),
        (Form::Named(model), Data::Table(entries)) => named(entries, &|value| match value.entries() {
            Some(entries) => table(sources, model, entries),
            None => plain(sources, form, value),
        }),
        (Form::Map(item), Data::Table(entries)) => named(entries, &|value| plain(sources, item, value)),
        // `{ replace = […] }`
        (Form::List(_) | Form::Tables(_), Data::Table(entries)) => {
            named(entries, &|value| plain(sources, form, value))
        }
        (_, Data::Text(text) | Data::Date(text)) => Plain::Text(text.to_string()),
        (_, Data::Whole(number)) => Plain::Whole(*number),
        (_, Data::Number(number)) => Plain::Number(*number),
        (_, Data::Flag(flag)) => Plain::Flag(*flag),
        (_, Data::List(_) | Data::Table(_)) => Plain::Table(Vec::new()),
    }
}

/// URLs stay as they are.
fn absolute(sources: &Sources, at: Place, text: &str) -> String {
    match text.contains("://") {
        true => text.to_owned(),
        false => sources.resolve(at, text).display().to_string(),
    }
}
