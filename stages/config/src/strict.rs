//! Holds a file against the model: unknown keys, wrong types, missing keys, wrong words.
//!
//! What passes here can be read without another word ([`crate::table`]).

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Diagnostic,
    model::{self, Form, Key, Kind, Merge},
    table::{Problems, join, title},
    tree::{Entries, Place, Sources, Value},
};

/// Reports whatever in `value`, a table of this model, the model does not allow.
pub(crate) fn check(sources: &Sources, problems: &Problems, model: &'static model::Table, value: &Value) {
    let Some(entries) = value.entries() else { return };
    let check = Check { sources, problems };
    let root = Within {
        name: "",
        in_array: false,
    };
    check.table(model, entries, value.at, &root);
}

struct Check<'a> {
    sources: &'a Sources,
    problems: &'a Problems,
}

/// Which table it is, for messages.
struct Within<'n> {
    name: &'n str,
    in_array: bool,
}

impl Within<'_> {
    fn title(&self) -> String {
        title(self.name, self.in_array)
    }

    /// Where messages say that a key is: in this table.
    fn words(&self) -> String {
        let preposition = if self.name.is_empty() { "at" } else { "in" };
        format!("{preposition} {}", self.title())
    }
}

impl Check<'_> {
    fn report(&self, at: Place, message: String) {
        self.problems.push(self.sources.wrong(at, message));
    }

    fn table(&self, model: &'static model::Table, entries: &Entries, at: Place, within: &Within<'_>) {
        let kind = self.kind(model, entries, within);
        for (name, entry) in entries {
            match model.key(name) {
                None => self
                    .problems
                    .push(self.unknown(model, kind, name, entry.key, within)),
                Some(key) => {
                    self.fits_kind(model, kind, key, entry.key, within);
                    self.value(key, &key.form, &entry.value, entry.key, within);
                }
            }
        }
        let of_kind = kind.map_or(&[][..], |kind| kind.required);
        let required = (model.keys.iter()).filter(|key| key.required || of_kind.contains(&key.name));
        for key in required {
            let because = match kind {
                Some(kind) if of_kind.contains(&key.name) => format!(" of type `{}`", kind.word),
                _ => String::new(),
            };
            match entries.get(key.name) {
                None => self.report(
                    at,
                    format!("{}{because} needs the key `{}`", within.title(), key.name),
                ),
                Some(entry) if self.is_blank(&entry.value) && !self.may_be_blank(model, key) => self.report(
                    entry.value.at,
                    format!("`{}` {} must not be empty", key.name, within.words()),
                ),
                Some(_) => {}
            }
        }
    }

    fn is_blank(&self, value: &Value) -> bool {
        match (value.text(), value.items()) {
            (Some(text), _) if self.sources.is_explicit(value.at) => text.trim().is_empty(),
            (Some(text), _) => text.is_empty(),
            (_, Some(items)) => items.is_empty(),
            _ => false,
        }
    }

    /// A kind may be called by an empty word.
    fn may_be_blank(&self, model: &model::Table, key: &Key) -> bool {
        let is_tag = |kinds: &&model::Kinds| kinds.tag == key.name && kinds.words().contains(&"");
        model.kinds.filter(is_tag).is_some()
    }

    fn unknown(
        &self,
        model: &model::Table,
        kind: Option<&Kind>,
        name: &str,
        at: Place,
        within: &Within<'_>,
    ) -> Diagnostic {
        let fits = |key: &&Key| match (model.kinds, kind) {
            (Some(kinds), Some(kind)) => !kinds.is_special(key.name) || kind.has(key.name),
            _ => true,
        };
        let known = model.keys.iter().filter(fits).map(|key| key.name);
        let message = format!("unknown key `{name}` {}", within.words());
        self.sources.wrong(at, message).did_you_mean(name, known)
    }

    /// The kind that a table says it is; an unknown one is reported.
    fn kind(
        &self,
        model: &'static model::Table,
        entries: &Entries,
        within: &Within<'_>,
    ) -> Option<&'static Kind> {
        let kinds = model.kinds?;
        let value = &entries.get(kinds.tag)?.value;
        let word = value.text()?;
        let found = kinds.kinds.iter().find(|kind| kind.word == word);
        if found.is_none() && !word.is_empty() {
            let words: Vec<&str> = kinds
                .words()
                .into_iter()
                .filter(|word| !word.is_empty())
                .collect();
            self.word(kinds.tag, value, word, &words, within);
        }
        found
    }

    fn fits_kind(
        &self,
        model: &model::Table,
        kind: Option<&Kind>,
        key: &Key,
        at: Place,
        within: &Within<'_>,
    ) {
        let (Some(kinds), Some(kind)) = (model.kinds, kind) else {
            return;
        };
        let is_excused = kinds.loose && !self.sources.is_explicit(at);
        if kinds.is_special(key.name) && !kind.has(key.name) && !is_excused {
            let message = match kind.word {
                "" => format!("`{}` {} needs a `type`", key.name, within.words()),
                word => format!("`{}` is no key of {} of type `{word}`", key.name, within.title()),
            };
            let others: Vec<String> = (kinds.kinds.iter())
                .filter(|other| other.has(key.name))
                .map(|other| format!("`{}`", other.word))
                .collect();
            let hint = format!("it is one of type {}", others.join(", "));
            self.problems.push(self.sources.wrong(at, message).hint(hint));
        }
    }

    fn word(&self, key: &str, value: &Value, word: &str, words: &[&str], _within: &Within<'_>) {
        let message = format!("unknown `{key}`: `{word}` (known: {})", words.join(", "));
        let wrong = self.sources.wrong(value.at, message);
        self.problems
            .push(wrong.did_you_mean(word, words.iter().copied()));
    }

    fn wrong_type(&self, key: &str, value: &Value, wanted: &str, within: &Within<'_>) {
        let message = format!(
            "`{key}` {} must be {wanted}, not {}",
            within.words(),
            value.kind()
        );
        self.report(value.at, message);
    }

    /// A value of `form`. `name_at`: where its key stands.
    fn value(
        &self,
        key: &'static Key,
        form: &'static Form,
        value: &Value,
        name_at: Place,
        within: &Within<'_>,
    ) {
        self.named_value(key, key.name, form, value, name_at, within);
    }

    fn named_value(
        &self,
        key: &'static Key,
        name: &str,
        form: &'static Form,
        value: &Value,
        name_at: Place,
        within: &Within<'_>,
    ) {
        let wrong = |wanted: &str| self.wrong_type(name, value, wanted, within);
        match form {
            Form::Text(pattern) => match value.text() {
                Some("") if !self.sources.is_explicit(value.at) => {}
                Some(text) => {
                    if let Some(message) = (pattern.wrong)(name, text) {
                        self.report(value.at, message);
                    } else {
                        self.fetched(pattern, value, text);
                    }
                }
                None => wrong("a string"),
            },
            Form::Words(words) => match value.text() {
                Some("") if !self.sources.is_explicit(value.at) => {}
                Some(word) if words.contains(&word) => {}
                Some(word) => self.word(name, value, word, words, within),
                None => wrong("a string"),
            },
            Form::Flag => match &value.data {
                crate::tree::Data::Flag(_) => {}
                _ => wrong("true or false"),
            },
            Form::TextOrFlag => match &value.data {
                crate::tree::Data::Text(_) | crate::tree::Data::Flag(_) => {}
                _ => wrong("a string"),
            },
            Form::Whole | Form::Number => self.number(name, form, value, within),
            Form::List(item) => self.list(key, name, item, value, within),
            Form::OneOrMore(item) => match value.text() {
                Some(_) => self.named_value(key, name, item, value, name_at, within),
                None => self.list(key, name, item, value, within),
            },
            Form::Map(item) => match value.entries() {
                Some(entries) => {
                    let path = join(within.name, name);
                    let below = Within {
                        name: &path,
                        in_array: false,
                    };
                    for (name, entry) in entries {
                        self.named_value(key, name, item, &entry.value, entry.key, &below);
                    }
                }
                None => wrong("a table"),
            },
            Form::Table(model) => match value.entries() {
                Some(entries) => {
                    let path = join(within.name, name);
                    let below = Within {
                        name: &path,
                        in_array: false,
                    };
                    self.table(model, entries, name_at, &below);
                }
                None => wrong("a table"),
            },
            Form::Named(model) => match value.entries() {
                Some(entries) => {
                    let path = join(within.name, name);
                    let above = Within {
                        name: &path,
                        in_array: false,
                    };
                    for (name, entry) in entries {
                        let path = join(&path, name);
                        let below = Within {
                            name: &path,
                            in_array: false,
                        };
                        match entry.value.entries() {
                            Some(entries) => self.table(model, entries, entry.key, &below),
                            None => self.wrong_type(name, &entry.value, "a table", &above),
                        }
                    }
                }
                None => wrong("a table"),
            },
            Form::Tables(model) => self.tables(key, model, value, within),
        }
    }

    /// What Keel would refuse to fetch from. Of azldev's projects, only when it is fetched.
    fn fetched(&self, pattern: &model::Pattern, value: &Value, text: &str) {
        let Some(which) = pattern.fetched.filter(|_| self.sources.is_explicit(value.at)) else {
            return;
        };
        if let Some(message) = model::not_fetched(text, which) {
            let wrong = self.sources.wrong(value.at, message);
            let hint = match which {
                model::Fetched::Https => {
                    "Keel fetches over `https://` only; a file of this machine has an origin of the type `file`"
                }
                model::Fetched::HttpsOrFile => {
                    "Keel fetches over `https://`, or from this machine (`file:///`)"
                }
            };
            self.problems.push(wrong.hint(hint));
        }
    }

    fn number(&self, name: &str, form: &Form, value: &Value, within: &Within<'_>) {
        use crate::tree::Data;
        let (fits, wanted) = match (form, &value.data) {
            (Form::Whole, Data::Whole(number)) => (*number >= 0, "an integer of 0 or more"),
            (Form::Whole, _) => (false, "an integer of 0 or more"),
            (_, Data::Whole(number)) => (*number > 0, "a number above 0"),
            (_, Data::Number(number)) => (number.is_finite() && *number > 0.0, "a number above 0"),
            _ => (false, "a number above 0"),
        };
        if fits {
        } else if matches!(value.data, Data::Whole(_) | Data::Number(_)) {
            self.report(value.at, format!("`{name}` {} must be {wanted}", within.words()));
        } else {
            self.wrong_type(name, value, wanted, within);
        }
    }

    fn list(&self, key: &'static Key, name: &str, item: &'static Form, value: &Value, within: &Within<'_>) {
        let Some(items) = list_of(key, value) else {
            self.wrong_type(name, value, "an array of strings", within);
            return;
        };
        let mut seen = BTreeSet::new();
        for value in items {
            let Some(text) = value.text() else {
                self.wrong_type(name, value, "an array of strings", within);
                continue;
            };
            if key.distinct && !seen.insert(text) {
                self.report(value.at, format!("`{text}` is twice in `{name}`"));
            } else {
                self.named_value(key, name, item, value, value.at, within);
            }
        }
    }

    fn tables(&self, key: &'static Key, model: &'static model::Table, value: &Value, within: &Within<'_>) {
        let Some(items) = list_of(key, value) else {
            self.wrong_type(key.name, value, "an array of tables", within);
            return;
        };
        let path = join(within.name, key.name);
        if let Merge::By(name_of) = key.merge {
            self.once_each(&path, name_of, items);
        }
        for value in items {
            let below = Within {
                name: &path,
                in_array: true,
            };
            match value.entries() {
                Some(entries) => self.table(model, entries, value.at, &below),
                None => self.wrong_type(key.name, value, "a table", within),
            }
        }
    }

    /// Tables that are told apart by a key have a value of it each.
    fn once_each(&self, path: &str, name_of: &str, items: &[Value]) {
        let mut seen: BTreeMap<&str, Place> = BTreeMap::new();
        for value in items.iter().filter_map(|item| item.get(&[name_of])) {
            let Some(name) = value.text() else { continue };
            if let Some(first) = seen.insert(name, value.at) {
                let message = format!("`{name}` is twice in {}", title(path, true));
                let first = self.sources.location(first);
                let wrong = self.sources.wrong(value.at, message);
                self.problems
                    .push(wrong.cause(format!("it is already there at {first}")));
            }
        }
    }
}

/// The items of a list; `{ replace = […] }` stands for a list that is added to no other.
pub(crate) fn list_of<'v>(key: &Key, value: &'v Value) -> Option<&'v [Value]> {
    match value.entries() {
        Some(entries) if key.merge.adds() && entries.len() == 1 => entries.get("replace")?.value.items(),
        _ => value.items(),
    }
}
