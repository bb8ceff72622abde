//! What is said of a SPEC, as diagnostics: the place to the column, the macros around it, hints.
//!
//! 1. `said.rs` takes rpm's words apart; what only follows from an error is put to that error.
//! 2. `lines.rs` finds the place, `mark.rs` the part of the line, by the table in `rules.rs`.
//! 3. `hints.rs` says what may help.

mod find;
mod hints;
mod lines;
mod mark;
mod rules;
mod said;
#[cfg(test)]
mod tests;
mod trace;

use std::{
    cell::OnceCell,
    collections::{BTreeMap, HashMap},
    path::Path,
};

use keel_config::{Diagnostic, Further, Location};
use serde::{Deserialize, Serialize};

use crate::macros::{Message, Severity};
use find::Found;
use hints::About;
use rules::{Hint, Rule};

pub(crate) use hints::nearest_tag;
pub(crate) use lines::{Lines, calls};
pub(crate) use rules::is_about_all;
pub(crate) use said::Said;

/// More errors than this are only counted.
const MOST: usize = 100;

/// A warning as the store remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Warning {
    /// Line in the SPEC.
    pub(crate) line: Option<u32>,
    #[serde(default)]
    pub(crate) column: u32,
    pub(crate) text: String,
}

impl Warning {
    /// In one line.
    pub(crate) fn shown(&self, spec: &Path) -> String {
        let location = Location {
            file: spec.to_owned(),
            line: self.line.unwrap_or(0),
            column: self.column,
        };
        format!("{location}: {}", self.text)
    }
}

/// The text that messages are about.
pub struct Source<'s> {
    /// What it was called when it was read.
    name: &'s str,
    shown: &'s Path,
    text: &'s str,
    /// The texts of other files that messages are about.
    files: &'s BTreeMap<String, String>,
    is_one_line: bool,
    lines: OnceCell<Lines<'s>>,
    others: OnceCell<BTreeMap<&'s str, Lines<'s>>>,
    /// The lines of the changelog's entries.
    entries: OnceCell<HashMap<&'s str, u32>>,
}

/// An error, and what follows from it.
struct Group<'m> {
    root: &'m Message,
    follows: Vec<&'m Message>,
}

impl<'s> Source<'s> {
    /// A SPEC that was evaluated under the name `name`; `files` are those of [`crate::eval::Outcome`].
    pub fn new(name: &'s str, shown: &'s Path, text: &'s str, files: &'s BTreeMap<String, String>) -> Self {
        Self {
            name,
            shown,
            text,
            files,
            is_one_line: false,
            lines: OnceCell::new(),
            others: OnceCell::new(),
            entries: OnceCell::new(),
        }
    }

    /// A text that was expanded as a whole.
    pub fn whole(mut self) -> Self {
        self.is_one_line = true;
        self
    }

    fn lines(&self) -> &Lines<'s> {
        self.lines.get_or_init(|| match self.is_one_line {
            true => Lines::joined(self.text),
            false => Lines::new(self.text),
        })
    }

    /// The errors among the messages, each with what follows from it.
    pub fn errors(&self, messages: &[Message]) -> Vec<Diagnostic> {
        let mut groups: Vec<Group<'_>> = Vec::new();
        let mut left_out = 0;
        for message in messages
            .iter()
            .filter(|message| message.severity == Severity::Error)
        {
            let is_full = groups.len() == MOST;
            match groups.last_mut() {
                Some(group) if said::follows(group.root, message, self.name) => group.follows.push(message),
                _ if is_full => left_out += 1,
                _ => groups.push(Group {
                    root: message,
                    follows: Vec::new(),
                }),
            }
        }
        let mut errors: Vec<Diagnostic> = Vec::new();
        for group in &groups {
            let error = self.error(group);
            if !errors.contains(&error) {
                errors.push(error);
            }
        }
        if left_out > 0 {
            let text = format!("{left_out} more errors of this SPEC are not shown");
            errors.push(Diagnostic::new(text).at(Location::file(self.shown)));
        }
        errors
    }

    /// Where a message is.
    pub fn location(&self, message: &Message) -> Option<Location> {
        let (file, _) = message.place.as_ref()?;
        let said = Said::of(message, self.name);
        if is_about_all(said.text) {
            return None;
        }
        let other = self.other(message);
        let spot = self.find(message, None, other).spot;
        Some(Location {
            file: self.shown(file).into(),
            line: spot.line,
            column: spot.column,
        })
    }

    /// A message in one line: place and words.
    pub fn line(&self, message: &Message) -> String {
        let text = Said::of(message, self.name).text;
        match self.location(message) {
            Some(location) => format!("{location}: {text}"),
            None => format!("{}: {text}", self.shown.display()),
        }
    }

    /// The warnings, each once.
    pub(crate) fn warnings(&self, messages: &[Message]) -> Vec<Warning> {
        let mut warnings = Vec::new();
        for message in messages
            .iter()
            .filter(|message| message.severity == Severity::Warning)
        {
            let location = self.location(message);
            let location = location.filter(|location| location.file == self.shown);
            let warning = match &location {
                Some(Location { line, column, .. }) => Warning {
                    line: Some(*line),
                    column: *column,
                    text: Said::of(message, self.name).text.to_owned(),
                },
                None => Warning {
                    line: None,
                    column: 0,
                    text: message.text.trim().to_owned(),
                },
            };
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
        warnings
    }

    /// `error`, with the place of the macro that is in `why`.
    pub(crate) fn about_macro(&self, error: Diagnostic, why: &str) -> Diagnostic {
        let error = error.note(why);
        let name = hints::left_over(why);
        let Some((name, call)) = name.and_then(|name| Some((name, lines::call(self.text, name)?))) else {
            return error;
        };
        let spot = self.lines().place(call);
        let hint = hints::not_defined(self.text, spot.line, name);
        let location = Location {
            file: self.shown.to_owned(),
            line: spot.line,
            column: spot.column,
        };
        error
            .at(location)
            .excerpt(Some(self.lines().excerpt(spot)))
            .hint(hint)
    }

    /// What a file is called for people.
    pub fn shown<'f>(&'f self, file: &'f str) -> &'f Path {
        match file == self.name {
            true => self.shown,
            false => Path::new(file),
        }
    }

    /// The lines of the file that a message is about, if that is not the SPEC.
    fn other(&self, message: &Message) -> Option<&Lines<'s>> {
        let (file, _) = message.place.as_ref().filter(|(file, _)| **file != *self.name)?;
        let read = || {
            let files = self.files.iter();
            files
                .map(|(name, text)| (name.as_str(), Lines::new(text)))
                .collect()
        };
        self.others.get_or_init(read).get(&**file)
    }

    fn error(&self, group: &Group<'_>) -> Diagnostic {
        let root = group.root;
        let other = self.other(root);
        let Found {
            said,
            rule,
            lines,
            line,
            spot,
            seen,
        } = self.find(root, Some(group), other);
        let bad = group.follows.iter().find_map(|message| {
            let text = Said::of(message, self.name).text;
            text.starts_with("bad %")
                .then(|| text.split(':').next().unwrap_or(text))
        });
        let head = match bad {
            Some(bad) => format!("{bad}: {}", said.head),
            None => said.head.to_owned(),
        };
        let file = root.place.as_ref().map_or(self.name, |(file, _)| file);
        let mut error = Diagnostic::new(head).at(Location {
            file: self.shown(file).into(),
            line: spot.line,
            column: spot.column,
        });
        let mut marked = String::new();
        if let Some(lines) = lines.filter(|_| spot.line > 0) {
            let excerpt = lines.excerpt(spot);
            let from = spot.column.saturating_sub(1) as usize;
            marked.extend(excerpt.text.chars().skip(from).take(spot.width as usize));
            error.excerpt = Some(excerpt);
        }
        if let Some(seen) = seen {
            error.further.push(match seen.text.is_empty() {
                true => Further::new("with macros expanded nothing is left"),
                false => Further {
                    excerpt: Some(seen),
                    ..Further::new("with macros expanded")
                },
            });
        }
        trace::add(&mut error, self, root, rule, &said);
        self.add_follows(&mut error, group, &said);
        let about = About {
            said: &said,
            message: root,
            lines: lines.unwrap_or_else(|| self.lines()),
            line,
            marked: &marked,
        };
        let hint = match rule.map(|rule| rule.hint) {
            Some(Hint::Say(hint)) => Some(hint.to_owned()),
            Some(Hint::Make(hint)) => hint(&about),
            _ if said.seen.is_some() => hints::undefined(&about),
            _ => None,
        };
        error.hints.extend(hint);
        error
    }

    fn add_follows(&self, error: &mut Diagnostic, group: &Group<'_>, root: &Said<'_>) {
        for message in &group.follows {
            let text = Said::of(message, self.name).text;
            if text.is_empty() || text == "^" || text.starts_with("bad %") || text == root.text {
                continue;
            }
            let words = match text.strip_prefix("expanded string: ") {
                Some(text) => format!("it expands to `{text}`"),
                None => format!("then: {}", text.split(": ").next().unwrap_or(text)),
            };
            if error.further.iter().all(|further| further.words != words) {
                error.further.push(Further::new(words));
            }
        }
    }
}
