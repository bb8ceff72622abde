//! A project as one file: what all files together say, in the form in which they say it.

use std::{path::Path, sync::Arc};

use serde::{Serialize, Serializer, ser::SerializeMap as _};

use crate::{
    Checkout, Errors, glob,
    inherit::Inheritance,
    load::Layers,
    model::{self, Form, GLOB, ROOT},
    read::overlay::PLACEHOLDER,
    tree::{Data, Entries, Entry, Place, Sources, Value},
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

/// The project of `dir` as one table; with `resolve`, each component with all that it inherits. Read back, either is the same
/// project.
///
/// Of the defaults that were resolved, `spec` stays where it is: a `snapshot` may stand nowhere else (M25), and all else of it
/// every component then says itself. Patterns of overlay files become absolute where they are a component's; in defaults that
/// were not resolved they count from the file of each component, and stay as they are.
///
/// Fails with everything that is wrong in any of its files.
pub fn dump(dir: &Path, checkout: &Checkout<'_>, resolve: bool) -> Result<Dump, Errors> {
    let layers = Layers::read(dir, checkout)?;
    let project = layers.checked()?;
    let mut merged = layers.merged.clone();
    let inheritance = layers.inheritance(Some(&project.distro));
    if resolve {
        name_found(&mut merged, &inheritance);
    }
    each_component(&mut merged, |name, entry| {
        if resolve {
            entry.value = inheritance.resolve(name, &entry.value);
            only_own_of_spec(&mut entry.value);
        }
        let folder = layers.sources.folder(entry.key);
        let whole = |pattern: &Value| absolute_pattern(&layers.sources, &folder, pattern);
        if let Some(patterns) = at_mut(&mut entry.value, &["overlay-files"])
            && let Data::List(items) = &mut patterns.data
        {
            *items = Arc::new(items.iter().map(whole).collect());
        }
    });
    if resolve {
        only_spec_in_defaults(&mut merged);
    }
    let entries = merged.entries().cloned().unwrap_or_default();
    Ok(Dump(table(&layers.sources, &ROOT, &entries)))
}

/// Hands over each component that some file says something of.
fn each_component(merged: &mut Value, mut with: impl FnMut(&str, &mut Entry)) {
    if let Some(components) = at_mut(merged, &["components"])
        && let Data::Table(components) = &mut components.data
    {
        for (name, entry) in Arc::make_mut(components) {
            with(name, entry);
        }
    }
}

/// Makes components that only a pattern of a group named ones that say where their SPEC is.
fn name_found(merged: &mut Value, inheritance: &Inheritance<'_>) {
    let entry = |at: Place, data: Data| Entry {
        key: at,
        value: Value { at, data },
    };
    let text = |at: Place, text: &str| entry(at, Data::Text(text.into()));
    let table = |at: Place, entries: Vec<(&str, Entry)>| {
        let entries = entries.into_iter().map(|(key, entry)| (Arc::from(key), entry));
        entry(at, Data::Table(Arc::new(entries.collect())))
    };
    let Data::Table(entries) = &mut merged.data else {
        return;
    };
    for (name, spec, at) in inheritance.only_found() {
        let path = spec.to_string_lossy();
        let spec = table(at, vec![("type", text(at, "local")), ("path", text(at, &path))]);
        let component = table(at, vec![("spec", spec)]);
        let components = Arc::make_mut(entries).entry("components".into());
        let components = components.or_insert_with(|| table(at, Vec::new()));
        if let Data::Table(components) = &mut components.value.data {
            Arc::make_mut(components).insert(name.into(), component);
        }
    }
}

/// The value at the end of a path.
fn at_mut<'v>(value: &'v mut Value, path: &[&str]) -> Option<&'v mut Value> {
    path.iter().try_fold(value, |value, key| match &mut value.data {
        Data::Table(entries) => Some(&mut Arc::make_mut(entries).get_mut(*key)?.value),
        _ => None,
    })
}

/// Leaves of a component's `spec` what it may say itself: a local one takes nothing of what is inherited (M22), and none says a
/// `snapshot` (M25).
fn only_own_of_spec(component: &mut Value) {
    let Some(spec) = at_mut(component, &["spec"]) else {
        return;
    };
    let is_local = spec.get(&["type"]).and_then(Value::text) == Some("local");
    let (table, keeps): (_, fn(&str) -> bool) = match is_local {
        true => (Some(spec), |key| matches!(key, "type" | "path")),
        false => (at_mut(spec, &["upstream-distro"]), |key| key != "snapshot"),
    };
    if let Some(Value {
        data: Data::Table(entries),
        ..
    }) = table
    {
        Arc::make_mut(entries).retain(|key, _| keeps(key));
    }
}

/// Leaves `spec` alone of all that components inherit.
fn only_spec_in_defaults(merged: &mut Value) {
    const CONFIG: &str = "default-component-config";
    fn prune(table: &mut Value) {
        if let Some(Value {
            data: Data::Table(entries),
            ..
        }) = at_mut(table, &[CONFIG])
        {
            Arc::make_mut(entries).retain(|key, _| &**key == "spec");
        }
    }
    fn each(table: &mut Value, key: &str, with: impl Fn(&mut Value)) {
        if let Some(Value {
            data: Data::Table(entries),
            ..
        }) = at_mut(table, &[key])
        {
            (Arc::make_mut(entries).values_mut()).for_each(|entry| with(&mut entry.value));
        }
    }
    prune(merged);
    each(merged, "component-groups", prune);
    each(merged, "distros", |distro| each(distro, "versions", prune));
}

/// A pattern of overlay files as it may stand in any file: from the component's folder or, with `{component}`, from that of the
/// file that says it.
fn absolute_pattern(sources: &Sources, folder: &Path, pattern: &Value) -> Value {
    let Some(text) = pattern.text() else {
        return pattern.clone();
    };
    let folder = match text.contains(PLACEHOLDER) {
        true => sources.folder(pattern.at),
        false => folder.to_owned(),
    };
    let text = match text.starts_with('/') {
        true => text.to_owned(),
        false => format!("{}/{text}", glob::escaped(&folder.to_string_lossy())),
    };
    Value {
        at: pattern.at,
        data: Data::Text(text.as_str().into()),
    }
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
        let value = match &**name {
            "path" if is_pool(name) => plain(sources, &ANY, &entry.value),
            "overlay-files" => overlay_files(sources, &entry.value),
            _ => plain(sources, &key.form, &entry.value),
        };
        Some((name.to_string(), value))
    });
    Plain::Table(sorted(entries.collect()))
}

/// Patterns of overlay files: what counts from the file that says it becomes absolute.
fn overlay_files(sources: &Sources, value: &Value) -> Plain {
    let shown = |pattern: &Value| {
        let is_shared = pattern.text().is_some_and(|text| text.contains(PLACEHOLDER));
        let folder = sources.folder(pattern.at);
        let whole = is_shared.then(|| absolute_pattern(sources, &folder, pattern));
        Plain::Text(
            whole
                .as_ref()
                .unwrap_or(pattern)
                .text()
                .unwrap_or_default()
                .to_owned(),
        )
    };
    Plain::List(value.items().unwrap_or_default().iter().map(shown).collect())
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
        (Form::Text(kind), Data::Text(_)) if std::ptr::eq(*kind, &GLOB) => {
            let whole = absolute_pattern(sources, &sources.folder(value.at), value);
            Plain::Text(whole.text().unwrap_or_default().to_owned())
        }
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
