//! Which label a path has: the files of a policy that say so (selabel_file(5)).
//!
//! `file_contexts` is lines of a regular expression for whole paths, a type or none, and a context or `<<none>>`. Of two that
//! match, the later one counts; a path without a regular expression before those with one. `file_contexts.homedirs` and
//! `file_contexts.local` come after it. `file_contexts.subs` and `file_contexts.subs_dist` are lines of two paths: what is
//! below the first one is looked up as if it was below the second; in a file the later line counts. The compiled `.bin`
//! beside them says the same, and is not read.

use std::{collections::HashMap, sync::OnceLock};

use keel_artefact::RootPath;
use regex::bytes::{Regex, RegexBuilder};

use crate::tree::Kind;

/// Those files' names, each with what it means, in the order in which they count.
pub(super) const FILES: [(&str, Meaning); 5] = [
    ("file_contexts", Meaning::Contexts),
    ("file_contexts.homedirs", Meaning::Contexts),
    ("file_contexts.local", Meaning::Contexts),
    ("file_contexts.subs", Meaning::Substitutes),
    ("file_contexts.subs_dist", Meaning::Substitutes),
];
/// Lines of all files together; Fedora's policy has 7,000.
const MOST_LINES: usize = 200_000;
/// Bytes of a context; the kernel takes no more than a page.
const MOST_CONTEXT: usize = 4095;
/// Bytes of a compiled expression.
const MOST_REGEX: usize = 1 << 20;
/// No label, on purpose.
const NONE: &str = "<<none>>";

/// What the lines of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Contexts,
    Substitutes,
}

/// A line that says nothing that can be followed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// The file, from the root of the image.
    pub(super) file: RootPath,
    /// From 1.
    pub(super) line: usize,
    pub(super) why: String,
}

/// All that a policy says of files.
#[derive(Debug, Default)]
pub(super) struct Contexts {
    files: Vec<RootPath>,
    /// In the order of the files.
    lines: Vec<Line>,
    /// Lines that are paths and no expressions.
    exact: HashMap<Vec<u8>, Vec<usize>>,
    /// All others, by the bytes with which what they match must begin.
    by_start: HashMap<Vec<u8>, Vec<usize>>,
    /// A list for each file, the line that counts most first.
    substitutes: Vec<Vec<(String, String)>>,
    read: usize,
}

#[derive(Debug)]
struct Line {
    expression: String,
    kind: Option<char>,
    /// None: no label.
    context: Option<String>,
    /// Of `files`, and the line's number.
    place: (usize, usize),
    compiled: OnceLock<Result<Regex, String>>,
}

impl Contexts {
    /// Takes the lines of a file.
    pub(super) fn read(&mut self, file: RootPath, meaning: Meaning, text: &str) -> Result<(), Wrong> {
        let mut substitutes = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |why: String| Wrong {
                file: file.clone(),
                line: number + 1,
                why,
            };
            self.read += 1;
            if self.read > MOST_LINES {
                return Err(wrong(format!(
                    "a policy has no more than {MOST_LINES} lines of labels"
                )));
            }
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            match meaning {
                Meaning::Contexts => {
                    let place = (self.files.len(), number + 1);
                    let line = Line::of(&words, place).map_err(wrong)?;
                    self.add(line);
                }
                Meaning::Substitutes => substitutes.push(substitute(&words).map_err(wrong)?),
            }
        }
        if meaning == Meaning::Substitutes {
            substitutes.reverse();
            self.substitutes.push(substitutes);
        }
        self.files.push(file);
        Ok(())
    }

    fn add(&mut self, line: Line) {
        let index = self.lines.len();
        let start = start(&line.expression);
        let places = match start.is_all {
            true => &mut self.exact,
            false => &mut self.by_start,
        };
        places.entry(start.bytes).or_default().push(index);
        self.lines.push(line);
    }

    /// The label of what is there; none if no line speaks of it, or one says that it has none.
    pub(super) fn of(&self, path: &RootPath, kind: &Kind) -> Result<Option<&str>, Wrong> {
        let path = self.substituted(path.as_str());
        let kind = match kind {
            Kind::File(_) => '-',
            Kind::Dir => 'd',
            Kind::Symlink(_) => 'l',
            Kind::CharDevice { .. } => 'c',
            Kind::BlockDevice { .. } => 'b',
            Kind::Fifo => 'p',
        };
        let fits = |index: &&usize| self.lines[**index].kind.is_none_or(|only| only == kind);
        let exact = self.exact.get(path.as_bytes()).into_iter().flatten();
        if let Some(index) = exact.rev().find(fits) {
            return Ok(self.lines[*index].context.as_deref());
        }
        let starts = (0..=path.len()).filter_map(|end| self.by_start.get(&path.as_bytes()[..end]));
        let mut candidates: Vec<usize> = starts.flatten().filter(fits).copied().collect();
        candidates.sort_unstable();
        for index in candidates.into_iter().rev() {
            let line = &self.lines[index];
            if line.matches(&path).map_err(|why| self.wrong(line, why))? {
                return Ok(line.context.as_deref());
            }
        }
        Ok(None)
    }

    fn wrong(&self, line: &Line, why: String) -> Wrong {
        let (file, line) = line.place;
        let file = self.files[file].clone();
        Wrong { file, line, why }
    }

    fn substituted(&self, path: &str) -> String {
        let mut path = path.to_owned();
        for lines in &self.substitutes {
            let below = |from: &str| -> Option<String> {
                let rest = path.strip_prefix(from)?;
                (rest.is_empty() || rest.starts_with('/')).then(|| rest.to_owned())
            };
            let found = lines.iter().find_map(|(from, to)| Some((below(from)?, to)));
            if let Some((rest, to)) = found {
                path = match (rest.as_str(), to.as_str()) {
                    (rest, "/") if !rest.is_empty() => rest.to_owned(),
                    (rest, to) => format!("{to}{rest}"),
                };
            }
        }
        path
    }
}

impl Line {
    fn of(words: &[&str], place: (usize, usize)) -> Result<Self, String> {
        let (expression, kind, context) = match words {
            [expression, context] => (expression, None, context),
            [expression, kind, context] => (expression, Some(*kind), context),
            _ => return Err("it is not an expression, a type or none, and a context".to_owned()),
        };
        let kind = match kind {
            None => None,
            Some(word) => match word.strip_prefix('-').and_then(|rest| rest.parse::<char>().ok()) {
                Some(kind @ ('-' | 'd' | 'l' | 'c' | 'b' | 'p' | 's')) => Some(kind),
                _ => {
                    return Err(format!(
                        "`{word}` is no type of a file (`--`, `-d`, `-l`, `-c`, `-b`, `-p`, `-s`)"
                    ));
                }
            },
        };
        let is_part = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_graphic());
        let is_context = |context: &str| {
            let parts: Vec<&str> = context.splitn(4, ':').collect();
            parts.len() >= 3 && parts.into_iter().all(is_part) && context.len() <= MOST_CONTEXT
        };
        if *context != NONE && !is_context(context) {
            return Err(format!("`{context}` is no context (`USER:ROLE:TYPE:LEVEL`)"));
        }
        Ok(Self {
            expression: (*expression).to_owned(),
            kind,
            context: (*context != NONE).then(|| (*context).to_owned()),
            place,
            compiled: OnceLock::new(),
        })
    }

    fn matches(&self, path: &str) -> Result<bool, String> {
        let compiled = self.compiled.get_or_init(|| compile(&self.expression));
        match compiled {
            Ok(regex) => Ok(regex.is_match(path.as_bytes())),
            Err(why) => Err(why.clone()),
        }
    }
}

/// Bytes, not characters, as libselinux does. `\<` and `\>` are those characters there, and the ends of words here.
fn compile(expression: &str) -> Result<Regex, String> {
    let plain = expression.replace("\\<", "<").replace("\\>", ">");
    let built = RegexBuilder::new(&format!("^{plain}$"))
        .unicode(false)
        .size_limit(MOST_REGEX)
        .build();
    built.map_err(|why| {
        let text = why.to_string();
        let last = text.lines().last().unwrap_or_default();
        let why = last.trim_start_matches("error:").trim();
        format!("the expression `{expression}` cannot be used: {why}")
    })
}

/// How all that an expression matches begins.
struct Start {
    bytes: Vec<u8>,
    /// It is a path: nothing in it is an expression.
    is_all: bool,
}

fn start(expression: &str) -> Start {
    let nothing = || Start {
        bytes: Vec::new(),
        is_all: false,
    };
    if is_choice(expression) {
        return nothing();
    }
    let mut bytes: Vec<u8> = Vec::new();
    // Where the last character begins: it may be there or not.
    let mut last = 0;
    let mut characters = expression.chars();
    while let Some(character) = characters.next() {
        let literal = match character {
            '\\' => match characters.next() {
                // A class of characters, or something else that is not itself.
                Some(next) if next.is_alphanumeric() => None,
                next => next,
            },
            '.' | '^' | '$' | '+' | '|' | '[' | '(' => None,
            '?' | '*' | '{' => {
                bytes.truncate(last);
                None
            }
            _ => Some(character),
        };
        let Some(literal) = literal else {
            return Start { bytes, is_all: false };
        };
        last = bytes.len();
        bytes.extend(literal.encode_utf8(&mut [0; 4]).as_bytes());
    }
    Start { bytes, is_all: true }
}

/// Does it match either this or that as a whole (`a|b`)? What it matches begins in no one way.
fn is_choice(expression: &str) -> bool {
    let (mut depth, mut in_class) = (0_usize, false);
    let mut characters = expression.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => drop(characters.next()),
            ']' => in_class = false,
            '[' => in_class = true,
            '(' if !in_class => depth += 1,
            ')' if !in_class => depth = depth.saturating_sub(1),
            '|' if !in_class && depth == 0 => return true,
            _ => {}
        }
    }
    false
}

fn substitute(words: &[&str]) -> Result<(String, String), String> {
    match words {
        [from, to] if [from, to].iter().all(|path| path.starts_with('/')) => {
            let from = from.trim_end_matches('/');
            Ok((from.to_owned(), (*to).to_owned()))
        }
        _ => Err("it is not two paths".to_owned()),
    }
}

#[cfg(test)]
mod tests;
