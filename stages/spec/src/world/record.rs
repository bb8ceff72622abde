//! What commands printed, as a file: written by one run, it lets another do without running anything.
//!
//! Format 1: lines of JSON, sorted. The first is `{"format":1,"environment":{…}}`; each other is one command:
//! `command`, and then `output` or `error`, and `warning` if it wrote to standard error. A command whose answer depends on
//! what the same SPEC wrote before has `spec`, and is there as often as it was run, in that order, with `turn` from 0.
//! Bytes that are not UTF-8 are characters as [`text`] makes them.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

use super::{Answer, Error, Printed};
use crate::macros::text;

const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    format: u32,
    environment: BTreeMap<String, String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    command: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    spec: Option<String>,
    #[serde(default, skip_serializing_if = "is_zero")]
    turn: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    warning: String,
}

#[expect(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// Collects answers until they are written.
#[derive(Debug)]
pub(super) struct Recorder {
    file: PathBuf,
    answers: Mutex<Answers>,
}

/// By SPEC, where the answer is its own, and command.
type Answers = BTreeMap<(Option<String>, Vec<u8>), Vec<Arc<Answer>>>;

impl Recorder {
    pub(super) fn new(file: &Path) -> Self {
        Self {
            file: file.to_owned(),
            answers: Mutex::default(),
        }
    }

    pub(super) fn note(&self, spec: Option<&str>, command: &[u8], answer: &Arc<Answer>) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let turns = answers
            .entry((spec.map(str::to_owned), command.to_owned()))
            .or_default();
        if spec.is_some() || turns.is_empty() {
            turns.push(answer.clone());
        }
    }

    /// Writes the file, whole or not at all.
    pub(super) fn write(&self, environment: &BTreeMap<String, String>) -> Result<(), Error> {
        let mut out = json(&Head {
            format: FORMAT,
            environment: environment.clone(),
        });
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        for ((spec, command), turns) in &*answers {
            for (turn, answer) in turns.iter().enumerate() {
                let words = |bytes: &[u8]| text::decode(bytes).into_owned();
                let (output, error, warning) = match &**answer {
                    Ok(printed) => (Some(words(&printed.stdout)), None, words(&printed.stderr)),
                    Err(why) => (None, Some(why.clone()), String::new()),
                };
                let command = words(command);
                out += &json(&Line {
                    command,
                    spec: spec.clone(),
                    turn,
                    output,
                    error,
                    warning,
                });
            }
        }
        let error = |source| Error::Record {
            file: self.file.clone(),
            source,
        };
        let mut new = self.file.clone().into_os_string();
        new.push(".new");
        fs_err::write(&new, out).map_err(error)?;
        fs_err::rename(&new, &self.file).map_err(error)
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("maps have text as keys") + "\n"
}

/// A file of answers, read.
#[derive(Debug, Default)]
pub(super) struct Replay {
    answers: HashMap<Vec<u8>, Arc<Answer>>,
    /// By SPEC and command, in turns.
    own: HashMap<(String, Vec<u8>), Vec<Arc<Answer>>>,
}

impl Replay {
    pub(super) fn read(file: &Path, environment: &BTreeMap<String, String>) -> Result<Self, Error> {
        let error = |source| Error::Record {
            file: file.to_owned(),
            source,
        };
        let wrong = |line: usize, why: String| Error::Replay {
            file: file.to_owned(),
            line,
            why,
        };
        let text = fs_err::read_to_string(file).map_err(error)?;
        let mut lines = text.lines().zip(1..);
        let (head, _) = lines.next().ok_or_else(|| wrong(1, "it is empty".to_owned()))?;
        let head: Head = serde_json::from_str(head).map_err(|source| wrong(1, source.to_string()))?;
        if head.format != FORMAT {
            return Err(wrong(
                1,
                format!("format {} is unknown; this Keel reads {FORMAT}", head.format),
            ));
        }
        if let Some(name) = differing(&head.environment, environment) {
            return Err(wrong(
                1,
                format!("it was recorded with another value of the variable `{name}`"),
            ));
        }
        let mut new = Self::default();
        for (line, number) in lines {
            let line: Line =
                serde_json::from_str(line).map_err(|source| wrong(number, source.to_string()))?;
            let bytes = |words: &str| text::encode(words).into_owned();
            let answer = Arc::new(match (line.output, line.error) {
                (Some(output), None) => Ok(Printed {
                    stdout: bytes(&output),
                    stderr: bytes(&line.warning),
                }),
                (None, Some(why)) => Err(why),
                _ => return Err(wrong(number, "it has not one of `output` and `error`".to_owned())),
            });
            let command = bytes(&line.command);
            match line.spec {
                None => drop(new.answers.insert(command, answer)),
                Some(spec) => {
                    let turns = new.own.entry((spec, command)).or_default();
                    if turns.len() != line.turn {
                        return Err(wrong(number, format!("turn {} is not the next", line.turn)));
                    }
                    turns.push(answer);
                }
            }
        }
        Ok(new)
    }

    /// The next answer for this SPEC, which says in `turns` what it has asked since it began to write; and whether it is
    /// the same for every SPEC.
    pub(super) fn answer(
        &self,
        spec: &str,
        command: &[u8],
        turns: &mut Turns,
    ) -> Option<(Arc<Answer>, bool)> {
        let shared = self.answers.get(command).map(|answer| (answer.clone(), true));
        if shared.is_some() && !turns.has_written {
            return shared;
        }
        let Some(own) = self.own.get(&(spec.to_owned(), command.to_owned())) else {
            return shared;
        };
        turns.has_written = true;
        let turn = turns.asked.entry(command.to_owned()).or_default();
        let answer = own.get(*turn).or(own.last())?;
        *turn += 1;
        Some((answer.clone(), false))
    }
}

/// What a SPEC has asked of its own answers.
#[derive(Debug, Default)]
pub(super) struct Turns {
    has_written: bool,
    asked: HashMap<Vec<u8>, usize>,
}

fn differing(one: &BTreeMap<String, String>, other: &BTreeMap<String, String>) -> Option<String> {
    let names = one.keys().chain(other.keys());
    names
        .into_iter()
        .find(|name| one.get(*name) != other.get(*name))
        .cloned()
}
