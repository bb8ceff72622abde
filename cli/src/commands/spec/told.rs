//! What is wrong with SPECs, on standard error and in JSON.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use keel_spec::{
    macros::{Message, Severity},
    messages::Source,
};
use serde::Serialize;

use crate::{context::Context, report};

/// A message in JSON.
#[derive(Serialize)]
pub struct Shown<'a> {
    severity: &'static str,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    within: Vec<Within<'a>>,
}

/// A macro that was being expanded.
#[derive(Serialize)]
struct Within<'a> {
    name: &'a str,
    /// Where it was defined.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
}

impl<'a> Shown<'a> {
    /// With its place in `source`.
    pub fn new(message: &'a Message, source: &Source<'_>) -> Self {
        let location = source.location(message);
        let within = message.within.iter().map(|within| Within {
            name: &within.name,
            file: within
                .defined
                .as_ref()
                .map(|(file, _)| source.shown(file).to_owned()),
            line: within.defined.as_ref().map(|(_, line)| *line),
        });
        let known = |number: u32| Some(number).filter(|number| *number > 0);
        Self {
            severity: word(message.severity),
            text: &message.text,
            line: location.as_ref().and_then(|location| known(location.line)),
            column: location.as_ref().and_then(|location| known(location.column)),
            file: location.map(|location| location.file),
            within: within.collect(),
        }
    }
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Output => "output",
        Severity::Note => "note",
        Severity::Complaint => "complaint",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

/// Says what rpm would, on standard error.
pub fn say(context: &Context<'_>, path: Option<&str>, message: &Message) {
    let place = path.map_or(String::new(), |path| format!("{path}: "));
    let text = format!("{place}{}", message.text);
    match message.severity {
        Severity::Warning => context.terminal.warning(&text),
        Severity::Error => context.terminal.error(&text, &format!("error: {text}")),
        Severity::Output | Severity::Note | Severity::Complaint => {
            context.terminal.line(message.text.trim_end_matches('\n'));
        }
    }
}

/// Says all of it, errors last, with their places, what led to them, and hints. What commands complain of is said where
/// something is wrong, for it may be why, or where more is to be said.
pub fn all(context: &Context<'_>, source: &Source<'_>, messages: &[Message]) {
    let is_wrong = messages.iter().any(|message| message.severity == Severity::Error);
    for message in messages {
        match message.severity {
            Severity::Error => {}
            Severity::Complaint if !is_wrong && !context.global.verbose => {}
            Severity::Warning => context.terminal.warning(&report::harmless(&source.line(message))),
            Severity::Complaint if is_wrong => {
                let text = report::harmless(message.text.trim_end_matches('\n'));
                context.terminal.error(&text, &text);
            }
            Severity::Output | Severity::Note | Severity::Complaint => {
                context
                    .terminal
                    .line(&report::harmless(message.text.trim_end_matches('\n')));
            }
        }
    }
    for error in source.errors(messages) {
        context.terminal.diagnostic(&error);
    }
}

/// As [`all`], of a text that is called `name`; one in no file is one line.
pub fn of_text(context: &Context<'_>, name: &str, text: &str, mut messages: Vec<Message>) {
    let files = BTreeMap::new();
    let mut source = Source::new(name, Path::new(name), text, &files);
    for message in &mut messages {
        if message.place.is_none() {
            message.place = Some((name.into(), 1));
            source = source.whole();
        }
    }
    all(context, &source, &messages);
}
