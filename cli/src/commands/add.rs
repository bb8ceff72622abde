//! `keel component add`: components appended to the project's main file. All of its other bytes stay.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use keel_artefact::ComponentName;
use keel_config::{Diagnostic, Project};
use serde::Serialize;
use toml_edit::{DocumentMut, InlineTable, Item, Table};

use crate::{
    args::component::Add,
    context::Context,
    failure::{Class, Failure},
    report,
};

/// What was added.
#[derive(Serialize)]
struct Added<'a> {
    file: PathBuf,
    components: &'a [ComponentName],
}

/// Appends them, if the project is right with them.
pub fn run(context: &Context<'_>, command: &Add) -> Result<(), Failure> {
    let project = context.project()?;
    let main = keel_config::find(&context.directory)?;
    check_new(&project, &command.components)?;
    let spec = match &command.spec {
        Some(spec) => Some(spec_path(context, &project, spec)?),
        None => None,
    };
    let file = fs_err::canonicalize(&main)?;
    let before = fs_err::read_to_string(&file)?;
    let after = appended(&before, &command.components, spec.as_deref()).map_err(|error| {
        let what = format!("nothing can be appended to {}", project.display(&main).display());
        Failure::because(Class::Input, what, &error).hint("`components` must be no inline table there")
    })?;
    replace(&file, &after)?;
    if let Err(wrong) = context.project() {
        replace(&file, &before)?;
        return Err(wrong.hint("nothing was added"));
    }
    let added = Added {
        file: project.display(&main),
        components: &command.components,
    };
    report::print(context, &added, |added| {
        let lines: Vec<String> = (added.components.iter())
            .map(|name| format!("{}: {name}", added.file.display()))
            .collect();
        lines.join("\n")
    })
}

fn check_new(project: &Project, names: &[ComponentName]) -> Result<(), Failure> {
    let (mut seen, mut diagnostics) = (BTreeSet::new(), Vec::new());
    for name in names {
        let known = project.components.get(name);
        if known.is_none() && seen.insert(name) {
            continue;
        }
        diagnostics.push(match known {
            Some(known) => {
                Diagnostic::new(format!("there is a component `{name}` already")).at(known.defined_at.clone())
            }
            None => Diagnostic::new(format!("`{name}` is named twice")),
        });
    }
    match diagnostics.is_empty() {
        true => Ok(()),
        false => Err(Failure {
            class: Class::Input,
            diagnostics,
        }),
    }
}

/// Relative to the project.
fn spec_path(context: &Context<'_>, project: &Project, spec: &Path) -> Result<String, Failure> {
    let wrong = |why: &str| Failure::input(format!("{} {why}", spec.display()));
    let path = fs_err::canonicalize(context.directory.join(spec)).map_err(|_| wrong("is not there"))?;
    if path.extension().is_none_or(|end| end != "spec") || !path.is_file() {
        return Err(wrong("is no SPEC file"));
    }
    let inside = path.strip_prefix(&project.root);
    let inside = inside.map_err(|_| wrong("is not in the project's folder"))?;
    let text = inside
        .to_str()
        .ok_or_else(|| wrong("has a name that is not UTF-8"))?;
    Ok(text.to_owned())
}

/// The text with tables at its end; an error if that is no TOML.
fn appended(text: &str, names: &[ComponentName], spec: Option<&str>) -> Result<String, toml_edit::TomlError> {
    let mut components = Table::new();
    components.set_implicit(true);
    for (position, name) in names.iter().enumerate() {
        let mut table = Table::new();
        if let Some(path) = spec {
            let spec = InlineTable::from_iter([("type", "local"), ("path", path)]);
            table.insert("spec", toml_edit::value(spec));
        }
        if position == 0 && !text.is_empty() {
            table.decor_mut().set_prefix("\n");
        }
        components.insert(name.as_str(), Item::Table(table));
    }
    let mut document = DocumentMut::new();
    document.insert("components", Item::Table(components));
    let mut added = document.to_string();
    if !text.is_empty() && !text.ends_with('\n') {
        added.insert(0, '\n');
    }
    if text.contains("\r\n") {
        added = added.replace('\n', "\r\n");
    }
    let whole = format!("{text}{added}");
    whole.parse::<DocumentMut>()?;
    Ok(whole)
}

/// In one step: whoever reads the file meanwhile sees the one or the other.
fn replace(file: &Path, text: &str) -> Result<(), Failure> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".keel-new");
    let new = file.with_file_name(name);
    fs_err::write(&new, text)?;
    fs_err::set_permissions(&new, fs_err::metadata(file)?.permissions())?;
    Ok(fs_err::rename(new, file)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_other_bytes_stay() {
        let names = ["a".parse().unwrap(), "gtk3.0+".parse().unwrap()];
        for (text, spec, wanted) in [
            ("", None, Ok("[components.a]\n\n[components.\"gtk3.0+\"]\n")),
            (
                "# x\r\na  =  1",
                None,
                Ok("# x\r\na  =  1\r\n\r\n[components.a]\r\n\r\n[components.\"gtk3.0+\"]\r\n"),
            ),
            (
                "[components.b]\n",
                Some("s/\"a.spec"),
                Ok(
                    "[components.b]\n\n[components.a]\nspec = { type = \"local\", path = 's/\"a.spec' }\n\n\
                    [components.\"gtk3.0+\"]\nspec = { type = \"local\", path = 's/\"a.spec' }\n",
                ),
            ),
            ("components = {}\n", None, Err(())),
            ("[components.a]\n", None, Err(())),
        ] {
            let done = appended(text, &names, spec);
            assert_eq!(done.as_deref().map_err(|_| ()), wanted, "{text}");
        }
    }
}
