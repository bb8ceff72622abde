//! Layers become one: what a later file, a group or a component says is laid over what was said before.
//!
//! The rules are the model's ([`crate::model::Merge`]); `docs/explanation/model.md` numbers them.

use std::sync::Arc;

use crate::{
    model::{self, Form, Key, Merge, Table},
    strict,
    table::{Problems, join},
    tree::{Data, Entries, Entry, Place, Sources, Value},
};

/// Lays `from` over `into`; both are tables of `model`.
pub(crate) fn lay_over(
    sources: &Sources,
    problems: &Problems,
    model: &'static Table,
    into: &mut Value,
    from: &Value,
) {
    let always = false;
    Merging {
        sources,
        problems,
        always,
    }
    .table(model, into, from, "");
}

/// Lays what a definition of an image says over what it inherits. Whatever is said counts, be it empty or false, in every project.
pub(crate) fn lay_over_definition(
    sources: &Sources,
    problems: &Problems,
    model: &'static Table,
    into: &mut Value,
    from: &Value,
) {
    let always = true;
    Merging {
        sources,
        problems,
        always,
    }
    .table(model, into, from, "");
}

/// Drops what a tree says for itself alone.
pub(crate) fn drop_private(model: &'static Table, value: &mut Value) {
    let Some(entries) = entries_mut(value) else { return };
    for key in model.keys {
        if key.merge == Merge::Private {
            entries.remove(key.name);
        } else if let (Form::Table(below), Some(entry)) = (&key.form, entries.get_mut(key.name)) {
            drop_private(below, &mut entry.value);
        }
    }
}

/// Keys of tables in arrays of which a table has one: where a layer says the first, the second is put aside.
const EITHER: [(&str, &str); 2] = [("source", "content"), ("content", "source")];

struct Merging<'a> {
    sources: &'a Sources,
    problems: &'a Problems,
    /// Empty and false values count in an azldev project, too.
    always: bool,
}

fn entries_mut(value: &mut Value) -> Option<&mut Entries> {
    match &mut value.data {
        Data::Table(entries) => Some(Arc::make_mut(entries)),
        _ => None,
    }
}

impl Merging<'_> {
    fn table(&self, model: &'static Table, into: &mut Value, from: &Value, name: &str) {
        let (Some(entries), Some(said)) = (entries_mut(into), from.entries()) else {
            return;
        };
        for (key_name, entry) in said {
            if let Some(key) = model.key(key_name) {
                self.entry(key, entries, entry, &join(name, key_name));
            }
        }
    }

    fn entry(&self, key: &'static Key, entries: &mut Entries, from: &Entry, name: &str) {
        // A name that is defined twice, or changes nothing, can only be told entry by entry.
        if key.merge == Merge::Union && !entries.contains_key(key.name) {
            let empty = Entry {
                key: from.key,
                value: Value::empty(from.value.at),
            };
            entries.insert(key.name.into(), empty);
        }
        let Some(into) = entries.get_mut(key.name) else {
            entries.insert(key.name.into(), from.clone());
            return;
        };
        match (&key.form, key.merge) {
            (Form::Table(model), _) if both_tables(into, from) => {
                self.table(model, &mut into.value, &from.value, name)
            }
            (Form::Named(model), merge) if both_tables(into, from) => {
                self.named(model, merge, &mut into.value, &from.value, name)
            }
            (Form::Map(_), merge) if merge != Merge::Once && both_tables(into, from) => {
                let said = from.value.entries().into_iter().flatten();
                if let Some(into) = entries_mut(&mut into.value) {
                    into.extend(said.map(|(name, entry)| (name.clone(), entry.clone())));
                }
            }
            (Form::Tables(model), Merge::By(name_of)) if from.value.items().is_some() => {
                self.by_name(model, name_of, into, from, name);
            }
            (_, Merge::By(_)) => *into = from.clone(),
            (_, Merge::Append) => self.append(key, into, from),
            (_, Merge::Once) => self.once(into, from, name),
            (_, Merge::Always) => *into = from.clone(),
            (_, Merge::Said) if from.value.is_zero() => {}
            _ if self.always || self.sources.is_explicit(from.key) || !from.value.is_zero() => {
                *into = from.clone();
            }
            _ => {}
        }
    }

    fn append(&self, key: &'static Key, into: &mut Entry, from: &Entry) {
        let replaces = |value: &Value| value.entries().is_some();
        if replaces(&from.value) {
            *into = from.clone();
            return;
        }
        let (Some(first), Some(more)) = (
            strict::list_of(key, &into.value),
            strict::list_of(key, &from.value),
        ) else {
            return;
        };
        let items: Vec<Value> = first.iter().chain(more).cloned().collect();
        let list = Value {
            at: from.value.at,
            data: Data::List(Arc::new(items)),
        };
        match entries_mut(&mut into.value).and_then(|entries| entries.get_mut("replace")) {
            Some(replace) => replace.value = list,
            None => into.value = list,
        }
    }

    /// Tables of an array: one of a name that is there is laid over it, others come after.
    fn by_name(&self, model: &'static Table, name_of: &str, into: &mut Entry, from: &Entry, name: &str) {
        let said = from.value.items().unwrap_or_default();
        let list = match entries_mut(&mut into.value) {
            Some(entries) => entries.get_mut("replace").map(|replace| &mut replace.value),
            None => Some(&mut into.value),
        };
        let Some(Data::List(items)) = list.map(|list| &mut list.data) else {
            return;
        };
        let items = Arc::make_mut(items);
        for item in said {
            let is_called = |other: &&mut Value| {
                let names = (other.get(&[name_of]), item.get(&[name_of]));
                matches!(names, (Some(one), Some(two)) if one.text().is_some() && one.text() == two.text())
            };
            match items.iter_mut().find(is_called) {
                Some(first) => {
                    for (said, other) in EITHER {
                        if item.get(&[said]).is_some()
                            && let Some(entries) = entries_mut(first)
                        {
                            entries.remove(other);
                        }
                    }
                    self.table(model, first, item, name);
                }
                None => items.push(item.clone()),
            }
        }
    }

    fn once(&self, into: &mut Entry, from: &Entry, name: &str) {
        if self.sources.tree(into.key) == self.sources.tree(from.key) {
            let wrong = self.sources.wrong(from.key, format!("`{name}` is set twice"));
            let first = self.sources.location(into.key);
            self.problems
                .push(wrong.cause(format!("it is already set at {first}")));
            return;
        }
        *into = from.clone();
    }

    fn named(&self, model: &'static Table, merge: Merge, into: &mut Value, from: &Value, name: &str) {
        let (Some(entries), Some(said)) = (entries_mut(into), from.entries()) else {
            return;
        };
        for (entry_name, entry) in said {
            match (entries.get_mut(entry_name), merge) {
                (None, _) => {
                    let changes = entry.value.get(&["override"]).map(|value| value.at);
                    if let (Merge::Union, Some(at)) = (merge, changes) {
                        self.changes_nothing(model, entry_name, at);
                    }
                    entries.insert(entry_name.clone(), entry.clone());
                }
                (Some(first), Merge::Union) => self.again(model, entry_name, first, entry, name),
                (Some(first), Merge::Entries) => *first = entry.clone(),
                (Some(first), Merge::Fields) => self.table(model, &mut first.value, &entry.value, name),
                (Some(first), _) if self.sources.is_explicit(entry.key) => {
                    self.table(model, &mut first.value, &entry.value, name);
                }
                (Some(first), _) => *first = entry.clone(),
            }
        }
    }

    fn changes_nothing(&self, model: &model::Table, name: &str, at: Place) {
        let message = format!(
            "`override` changes nothing: no base tree has a {} `{name}`",
            model.noun()
        );
        self.problems.push(self.sources.wrong(at, message));
    }

    /// A name that is there already.
    fn again(&self, model: &'static Table, name: &str, first: &mut Entry, entry: &Entry, path: &str) {
        let noun = model.noun();
        let place = self.sources.location(first.key);
        if self.sources.tree(first.key) == self.sources.tree(entry.key) {
            let wrong = self
                .sources
                .wrong(entry.key, format!("{noun} `{name}` is defined twice"));
            self.problems
                .push(wrong.cause(format!("it is already defined at {place}")));
            return;
        }
        match entry.value.get(&["override"]).and_then(Value::text) {
            Some("extend") => {
                first.key = entry.key;
                self.table(model, &mut first.value, &entry.value, &join(path, name));
            }
            Some("replace") => *first = entry.clone(),
            _ => {
                let message = format!("{noun} `{name}` is one of the base tree's, too");
                let wrong = self.sources.wrong(entry.key, message);
                self.problems
                    .push(wrong.cause(format!("the base defines it at {place}")).hint(
                        "`override = \"extend\"` adds to what the base says, `override = \"replace\"` puts it aside",
                    ));
            }
        }
    }
}

fn both_tables(into: &Entry, from: &Entry) -> bool {
    into.value.entries().is_some() && from.value.entries().is_some()
}
