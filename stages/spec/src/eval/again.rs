//! The errors behind the first: rpm stops at it, and people mend them one by one.
//!
//! A SPEC that cannot be read is read again without the line that is wrong; what is wrong behind it is told, too.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Buildable, Outcome, Part, directive::is_directive, evaluate};
use crate::{
    macros::{Behaviour, Engine, Limits, Message, Severity},
    messages::{Lines, Said, calls, is_about_all, nearest_tag},
};

/// How many errors are looked for.
const MOST: usize = 10;
/// How long all of it may take: a SPEC that takes longer says one error.
const LONGEST: Duration = Duration::from_secs(1);
/// How many other files are kept for excerpts.
const FILES: usize = 8;

/// As [`evaluate`]; where reading stops, what stands behind that line is tried, for more errors. Texts of other files that
/// errors are in come with it.
pub fn evaluate_past_errors(
    engine: &mut Engine,
    name: &str,
    text: &str,
    buildable: Buildable<'_>,
) -> Outcome {
    let fresh = engine.fresh();
    let started = Instant::now();
    let mut outcome = evaluate(engine, name, text, buildable);
    let is_stopped = engine.stopped().is_some();
    if outcome.evaluated.is_none() && !is_stopped {
        let more = Search {
            fresh,
            name,
            buildable,
            started,
        };
        more.add(&mut outcome.messages, text.to_owned());
    }
    add_files(engine, &mut outcome, name);
    outcome
}

struct Search<'s> {
    fresh: Engine,
    name: &'s str,
    buildable: Buildable<'s>,
    started: Instant,
}

impl Search<'_> {
    fn add(&self, messages: &mut Vec<Message>, mut text: String) {
        // A caret, or what only follows, has the place of what it follows.
        let last = messages
            .iter()
            .rfind(|message| message.severity == Severity::Error);
        let mut last = last.cloned();
        // What has a value of ours now: an error in a line with it may be of our making.
        let mut made_up: Vec<String> = Vec::new();
        let mut lacks_sources = false;
        for _ in 1..MOST {
            let Some((line, place)) = last.and_then(|message| self.place(&message)) else {
                return;
            };
            let left = LONGEST.checked_sub(self.started.elapsed());
            let mended = Mended::new(&text, line, self.fresh.behaviour());
            let (Some(mended), Some(left)) = (mended, left) else {
                return;
            };
            let mut engine = self.fresh.fresh();
            engine.limit(Limits {
                time: left,
                ..engine.limits()
            });
            text = mended.text;
            made_up.extend(mended.made_up);
            let decides = |line: &str| is_directive(line) && made_up.iter().any(|name| calls(line, name));
            if text.lines().any(decides) || mended.has_loaded {
                return;
            }
            lacks_sources |= mended.lacks_source;
            let outcome = evaluate(&mut engine, self.name, &text, self.buildable);
            if engine.stopped().is_some() {
                return;
            }
            let is_new = |message: &Message| {
                let is_error = message.severity == Severity::Error;
                let place_of_it = || self.place(message).is_some_and(|(_, at)| at > line.min(place));
                let is_ours = lacks_sources
                    && ["No patch number", "No source number"]
                        .iter()
                        .any(|text| message.text.contains(text));
                is_error && place_of_it() && !is_ours && !messages.contains(message)
            };
            let new: Vec<Message> = outcome.messages.into_iter().filter(is_new).collect();
            last = new.last().cloned();
            let lines = Lines::new(&text);
            messages.extend(new.into_iter().filter(|message| {
                let run = self.place(message).and_then(|(line, _)| lines.run(line));
                let (first, last) = run.unwrap_or_default();
                let read = &text[lines.range(first, last)];
                made_up.iter().all(|name| !calls(read, name))
            }));
        }
    }

    /// The line that a message names, and the line that was read, if they are the SPEC's.
    fn place(&self, message: &Message) -> Option<(u32, u32)> {
        let (file, line) = message.place.as_ref().filter(|(file, _)| **file == *self.name)?;
        let said = Said::of(message, file);
        (!is_about_all(said.text)).then(|| (said.line.unwrap_or(*line), *line))
    }
}

/// A text without what is wrong.
struct Mended {
    text: String,
    /// The macro whose value is none of the SPEC's.
    made_up: Option<String>,
    /// A source or a patch is gone that others may ask for.
    lacks_source: bool,
    /// A file of macros is gone.
    has_loaded: bool,
}

impl Mended {
    /// With nothing wrong at this line, if that is no line which others depend on.
    fn new(text: &str, line: u32, behaviour: Behaviour) -> Option<Self> {
        let lines = Lines::new(text);
        let (first, mut last) = lines.run(line)?;
        if lines.is_open((first, last)) {
            // What nothing closes goes to the end.
            last = first;
        }
        let start = lines.line(first);
        if is_directive(start) || Part::of(start, behaviour).is_some() {
            return None;
        }
        let range = lines.range(first, last);
        let ends = text[range.clone()].matches('\n').count();
        let word = start.trim_start().to_ascii_lowercase();
        let (kept, made_up) = match kept(start, text) {
            Some((kept, name)) => (kept, Some(name)),
            None => (String::new(), None),
        };
        let (before, after) = (&text[..range.start], &text[range.end..]);
        Some(Self {
            text: format!("{before}{kept}{}{after}", "\n".repeat(ends)),
            made_up,
            lacks_source: word.starts_with("source") || word.starts_with("patch"),
            has_loaded: word.contains("%{load:"),
        })
    }
}

/// What must be there so that nothing else becomes wrong: a tag that each SPEC has, a macro that others use; and its name.
fn kept(line: &str, text: &str) -> Option<(String, String)> {
    let words = line.trim_start();
    if let Some(definition) = words.strip_prefix("%global ").or(words.strip_prefix("%define ")) {
        let definition = definition.trim_start();
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let (name, rest) = definition.split_at(definition.find(|c| !is_name(c)).unwrap_or(definition.len()));
        let options = rest.find(')').filter(|_| rest.starts_with('('));
        let options = options.map_or("", |end| &rest[..=end]);
        return (!name.is_empty()).then(|| (format!("%global {name}{options} 0"), name.to_owned()));
    }
    let (tag, value) = words.split_once(':')?;
    let tag = tag.trim().to_ascii_lowercase();
    if !is_needed(&tag) {
        let near = nearest_tag(&tag)?.to_ascii_lowercase();
        let is_there = |line: &str| {
            let name = line.split(':').next().unwrap_or_default().trim();
            name.eq_ignore_ascii_case(&near)
        };
        let is_missing = is_needed(&near) && !text.lines().any(is_there);
        return is_missing.then(|| (format!("{near}:{value}"), near));
    }
    let word = value.split_whitespace().next().unwrap_or("");
    let good = |c: &char| c.is_ascii_alphanumeric() || "._+".contains(*c);
    let word: String = word.chars().filter(good).collect();
    let word = if word.is_empty() { "0" } else { &word };
    Some((format!("{tag}: {word}"), tag))
}

fn is_needed(tag: &str) -> bool {
    matches!(tag, "name" | "version" | "release" | "summary" | "license")
}

fn add_files(engine: &Engine, outcome: &mut Outcome, name: &str) {
    let errors = outcome
        .messages
        .iter()
        .filter(|message| message.severity == Severity::Error);
    let places = errors.filter_map(|message| message.place.as_ref());
    for (file, _) in places {
        let file: &Arc<str> = file;
        if **file == *name || outcome.files.contains_key(&**file) || outcome.files.len() == FILES {
            continue;
        }
        if let Ok(text) = engine.read_file(file) {
            outcome.files.insert(file.to_string(), text);
        }
    }
}
