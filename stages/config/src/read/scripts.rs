//! `[scripts]` of an image definition.

use crate::{
    image::{Script, os::Content},
    read::os::existing,
    table::Table,
};

/// What runs a script where nothing else is said.
const SHELL: &str = "/bin/sh";

/// All scripts, in the order in which they run; what is wrong is reported.
pub(crate) fn read(table: &Table<'_>) -> Vec<Script> {
    let mut scripts: Vec<Script> = Vec::new();
    for list in ["post-customization", "finalize-customization"] {
        for entry in table.tables(list) {
            let Some(script) = script(&entry) else { continue };
            if scripts.iter().any(|other| other.name == script.name) {
                let message = format!("two scripts have the name `{}`", script.name);
                entry.report(entry.key_at("name"), message);
            }
            scripts.push(script);
        }
    }
    scripts
}

fn script(table: &Table<'_>) -> Option<Script> {
    let content = match (table.text("path"), table.text("content")) {
        (Some(path), None) => Content::Source(existing(table, path, "file")?),
        (None, Some(text)) => Content::Text(text.value.to_owned()),
        _ => {
            let message = format!("{} has either `path` or `content`", table.title());
            table.report(table.at, message);
            return None;
        }
    };
    let environment_variables = table.map("environment-variables");
    let is_name = |name: &String| !name.is_empty() && !name.contains(['=', '\0']);
    for name in environment_variables.keys().filter(|name| !is_name(name)) {
        let message = format!("`{name}` is not the name of a variable");
        table.report(table.key_at("environment-variables"), message);
    }
    let arguments = table.texts("arguments");
    let texts = arguments.iter().chain(environment_variables.values());
    if texts.into_iter().any(|text| text.contains('\0')) {
        table.report(table.at, format!("{} has a NUL in a text", table.title()));
    }
    Some(Script {
        name: table.string("name")?,
        content,
        interpreter: table.string("interpreter").unwrap_or_else(|| SHELL.to_owned()),
        arguments,
        environment_variables,
        defined_at: table.location(),
    })
}
