//! `keel spec expand`: texts, one after the other, with what each defines.

use std::path::{Path, PathBuf};

use keel_artefact::RootPath;
use keel_spec::macros::{Behaviour, Engine, Message, Severity, text};
use serde::Serialize;

use super::{
    evaluate::Macros,
    told::{self, say},
    watchdog,
};
use crate::{
    args::spec::{How, Messages, Step},
    context::Context,
    failure::{Class, Failure},
    report,
};

/// Where commands can write, so that no file of the host is to be seen there.
const MEMORY: [&str; 4] = ["/", "/root", "/tmp", "/var/tmp"];

/// Defines, reads and expands in the order that was typed.
pub fn expand(context: &Context<'_>, mut how: How, steps: &[Step]) -> Result<(), Failure> {
    let here = &context.directory;
    // These are read here, one by one, where each is told if it cannot be.
    how.load.clear();
    let mut readable = Vec::new();
    let mut directory = RootPath::root();
    let shown = here.to_str().filter(|path| !MEMORY.contains(path));
    if let Some(Ok(path)) = shown.map(str::parse) {
        directory = path;
        readable.push(here.clone());
    }
    for list in [
        &mut how.defines,
        &mut how.undefines,
        &mut how.with,
        &mut how.without,
    ] {
        list.clear();
    }
    let macros = Macros::load_for(context, &how, readable, directory)?;
    let done = take_steps(context, &how, steps, &macros);
    // What was asked is worth its record, whatever came of it.
    done.and(macros.finish())
}

fn take_steps(context: &Context<'_>, how: &How, steps: &[Step], macros: &Macros) -> Result<(), Failure> {
    let here = &context.directory;
    let mut engine = macros.engine("<text>");
    engine.set_verbose(context.global.verbose);
    for step in steps {
        context.interrupt.check()?;
        match step {
            Step::Define(text) => {
                let made = engine.define_option(text);
                tell(context, &mut engine, how.messages, ("<define>", text))?;
                made.map_err(|_| Failure::input(format!("cannot define `{text}`")))?;
            }
            Step::Undefine(name) => engine.pop(name.strip_prefix('%').unwrap_or(name)),
            Step::Load(file) => {
                for file in files(&here.join(file), file)? {
                    load(context, &mut engine, how.messages, &file)?;
                }
            }
            Step::Expand(text) => {
                let expanded = watchdog::watched(&context.interrupt, || engine.expand_far(text));
                print(context, &mut engine, how.messages, text, expanded)?;
            }
        }
    }
    Ok(())
}

/// The file, or those in the folder, sorted.
fn files(path: &Path, shown: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !path.is_dir() {
        return Ok(vec![shown.to_owned()]);
    }
    let mut names = fs_err::read_dir(path)?
        .map(|entry| Ok(shown.join(entry?.file_name())))
        .collect::<Result<Vec<_>, Failure>>()?;
    names.retain(|name| path.join(name.file_name().unwrap_or_default()).is_file());
    names.sort();
    Ok(names)
}

fn load(context: &Context<'_>, engine: &mut Engine, how: Messages, file: &Path) -> Result<(), Failure> {
    let bytes = fs_err::read(context.directory.join(file))
        .map_err(|error| Failure::because(Class::Input, "cannot read the macros", &error))?;
    let (name, text) = (file.to_string_lossy(), text::decode(&bytes));
    engine.load_text(&name, &text);
    // What can be read counts, as with `rpm --macros`.
    tell(context, engine, how, (&name, &text)).map(drop)
}

fn print(
    context: &Context<'_>,
    engine: &mut Engine,
    how: Messages,
    text: &str,
    expanded: Result<String, String>,
) -> Result<(), Failure> {
    let printed = tell(context, engine, how, ("<text>", text))?;
    match expanded {
        Ok(value) if context.wants_json() => report::line(&super::json(&Shown {
            text,
            value: &value,
            printed: &printed,
        })?),
        // rpm 6 prints no empty line for nothing.
        Ok(expanded) if expanded.is_empty() && engine.behaviour() >= Behaviour::Rpm6 => Ok(()),
        Ok(expanded) => report::bytes_as_they_are(&(expanded + "\n")),
        Err(far) => {
            if context.global.verbose {
                context.terminal.line(&far);
            }
            Err(Failure::new(
                Class::Failed,
                format!("cannot expand `{}`", beginning(text)),
            ))
        }
    }
}

/// One line of JSON.
#[derive(Serialize)]
struct Shown<'a> {
    text: &'a str,
    value: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    printed: &'a str,
}

/// Hands on what was said of `text`, which is called `name`. What macros write is a result: in JSON it comes back from here.
fn tell(
    context: &Context<'_>,
    engine: &mut Engine,
    how: Messages,
    (name, text): (&str, &str),
) -> Result<String, Failure> {
    let (output, messages): (Vec<_>, Vec<_>) = engine
        .take_messages()
        .into_iter()
        .partition(|message| message.severity == Severity::Output);
    let mut printed = String::new();
    for message in &output {
        match context.wants_json() {
            true => printed.push_str(&message.text),
            false => report::bytes_as_they_are(&message.text)?,
        }
    }
    if how == Messages::Full {
        told::of_text(context, name, text, messages);
        return Ok(printed);
    }
    for message in &messages {
        say(context, None, message);
        if context.global.verbose {
            trace(context, message);
        }
    }
    Ok(printed)
}

/// The macros around an error, as rpm shows them when it is to say more.
fn trace(context: &Context<'_>, message: &Message) {
    for (depth, call) in message.within.iter().enumerate().rev() {
        let indent = " ".repeat(2 * depth + 2);
        context
            .terminal
            .line(&format!("{depth:3}<{indent}(%{})", call.name));
    }
}

/// As much of a text as fits into a message.
fn beginning(text: &str) -> String {
    const MOST: usize = 200;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
