//! The model as JSON Schema (draft 2020-12), for editors.

use std::collections::BTreeMap;

use crate::{
    dump::{Dump, Plain},
    model::{DEFINITION, Form, Key, OVERLAY_FILE, ROOT, Table},
};

/// The kinds of files that a project is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `keel.toml` and what it includes.
    Project,
    /// `NAME.image.toml`.
    Image,
    /// `NAME.overlay.toml`.
    Overlays,
}

/// The schema of a kind of file.
pub fn schema(kind: Kind) -> Dump {
    let (top, title) = match kind {
        Kind::Project => (&ROOT, "Keel's project file"),
        Kind::Image => (&DEFINITION, "Keel's definition of an image"),
        Kind::Overlays => (&OVERLAY_FILE, "A file of overlays"),
    };
    let mut tables = BTreeMap::new();
    collect(top, &mut tables);
    let definitions = tables
        .into_iter()
        .map(|(id, model)| (id.to_owned(), table(model)));
    Dump(Plain::Table(vec![
        entry("$schema", text("https://json-schema.org/draft/2020-12/schema")),
        entry("title", text(title)),
        entry("$ref", text(&format!("#/$defs/{}", top.id))),
        entry("$defs", Plain::Table(definitions.collect())),
    ]))
}

/// Every table that `model` leads to.
pub(crate) fn collect(model: &'static Table, tables: &mut BTreeMap<&'static str, &'static Table>) {
    if tables.insert(model.id, model).is_some() {
        return;
    }
    for key in model.keys {
        if let Form::Table(below) | Form::Named(below) | Form::Tables(below) = &key.form {
            collect(below, tables);
        }
    }
}

fn entry(key: &str, value: Plain) -> (String, Plain) {
    (key.to_owned(), value)
}

fn text(text: &str) -> Plain {
    Plain::Text(text.to_owned())
}

fn texts(texts: &[&str]) -> Plain {
    Plain::List(texts.iter().map(|word| text(word)).collect())
}

fn table(model: &'static Table) -> Plain {
    let properties = model
        .keys
        .iter()
        .map(|key| (key.name.to_owned(), property(model, key)));
    let required: Vec<&str> = (model.keys.iter())
        .filter(|key| key.required)
        .map(|key| key.name)
        .collect();
    let mut schema = vec![entry("type", text("object"))];
    if !model.doc.is_empty() {
        schema.push(entry("description", text(model.doc)));
    }
    schema.push(entry("additionalProperties", Plain::Flag(false)));
    schema.push(entry("properties", Plain::Table(properties.collect())));
    if !required.is_empty() {
        schema.push(entry("required", texts(&required)));
    }
    if model.kinds.is_some() {
        schema.push(entry("allOf", Plain::List(kinds(model))));
    }
    Plain::Table(schema)
}

/// What a table's kind asks for.
fn kinds(model: &'static Table) -> Vec<Plain> {
    let Some(kinds) = model.kinds else {
        return Vec::new();
    };
    let condition = |kind: &crate::model::Kind| {
        let word = Plain::Table(vec![entry("const", text(kind.word))]);
        let is_kind = vec![
            entry("properties", Plain::Table(vec![entry(kinds.tag, word)])),
            entry("required", texts(&[kinds.tag])),
        ];
        let foreign = model
            .keys
            .iter()
            .filter(|key| !kinds.loose && kinds.is_special(key.name) && !kind.has(key.name));
        let foreign: Vec<_> = foreign.map(|key| entry(key.name, Plain::Flag(false))).collect();
        let mut then = vec![entry("description", text(kind.doc))];
        if !kind.required.is_empty() {
            then.push(entry("required", texts(kind.required)));
        }
        if !foreign.is_empty() {
            then.push(entry("properties", Plain::Table(foreign)));
        }
        Plain::Table(vec![
            entry("if", Plain::Table(is_kind)),
            entry("then", Plain::Table(then)),
        ])
    };
    kinds.kinds.iter().map(condition).collect()
}

fn property(model: &'static Table, key: &'static Key) -> Plain {
    let mut schema = match model.kinds.filter(|kinds| kinds.tag == key.name) {
        Some(kinds) => vec![
            entry("type", text("string")),
            entry("enum", texts(&kinds.words())),
        ],
        None => form(&key.form),
    };
    if key.distinct {
        schema.push(entry("uniqueItems", Plain::Flag(true)));
    }
    if key.merge.adds() {
        let replace = vec![
            entry("type", text("object")),
            entry("additionalProperties", Plain::Flag(false)),
            entry(
                "properties",
                Plain::Table(vec![entry("replace", Plain::Table(schema.clone()))]),
            ),
            entry("required", texts(&["replace"])),
        ];
        schema = vec![entry(
            "anyOf",
            Plain::List(vec![Plain::Table(schema), Plain::Table(replace)]),
        )];
    }
    schema.push(entry("description", text(key.doc)));
    if !key.default.is_empty() {
        schema.push(entry("default", text(key.default)));
    }
    Plain::Table(schema)
}

fn form(form_of: &'static Form) -> Vec<(String, Plain)> {
    let typed = |word: &str| entry("type", text(word));
    let reference = |model: &Table| Plain::Table(vec![entry("$ref", text(&format!("#/$defs/{}", model.id)))]);
    match form_of {
        Form::Text(pattern) if pattern.regex.is_empty() => vec![typed("string")],
        Form::Text(pattern) => vec![typed("string"), entry("pattern", text(pattern.regex))],
        Form::Words(words) => vec![typed("string"), entry("enum", texts(words))],
        Form::Flag => vec![typed("boolean")],
        Form::TextOrFlag => vec![entry("type", texts(&["string", "boolean"]))],
        Form::Whole => vec![typed("integer"), entry("minimum", Plain::Whole(0))],
        Form::Number => vec![typed("number"), entry("exclusiveMinimum", Plain::Whole(0))],
        Form::List(item) => vec![typed("array"), entry("items", Plain::Table(form(item)))],
        Form::OneOrMore(item) => {
            let several = vec![typed("array"), entry("items", Plain::Table(form(item)))];
            let either = vec![Plain::Table(form(item)), Plain::Table(several)];
            vec![entry("anyOf", Plain::List(either))]
        }
        Form::Map(item) => vec![
            typed("object"),
            entry("additionalProperties", Plain::Table(form(item))),
        ],
        Form::Table(model) => vec![entry("$ref", text(&format!("#/$defs/{}", model.id)))],
        Form::Named(model) => vec![typed("object"), entry("additionalProperties", reference(model))],
        Form::Tables(model) => vec![typed("array"), entry("items", reference(model))],
    }
}
