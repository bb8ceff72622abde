//! YAML (and so JSON) as values with their places, within limits.

use std::{collections::BTreeSet, path::Path};

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use crate::{Diagnostic, Location};

/// No configuration is larger, deeper, or of more values.
const MOST_BYTES: usize = 4 << 20;
const MOST_DEPTH: usize = 64;
const MOST_NODES: usize = 200_000;

/// A value and where it begins.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) data: Data,
    pub(super) line: u32,
    pub(super) column: u32,
}

#[derive(Debug)]
pub(super) enum Data {
    Null,
    /// A scalar, as it is written: `true`, `0644`, `text`.
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) value: Node,
}

impl Node {
    pub(super) fn text(&self) -> Option<&str> {
        match &self.data {
            Data::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value of a key of a map.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        match &self.data {
            Data::Map(entries) => Some(&entries.iter().find(|entry| entry.key == key)?.value),
            _ => None,
        }
    }

    /// Is it the truth value, in a spelling of YAML's or JSON's?
    pub(super) fn is_true(&self) -> bool {
        matches!(self.text(), Some("true" | "True" | "TRUE"))
    }
}

/// A list or map that is not at its end.
struct Open {
    node: Node,
    /// Of a map: the key whose value comes next.
    key: Option<String>,
    seen: BTreeSet<String>,
}

/// The document in `text`, the content of `file`. Anchors are taken, aliases are not: what is short must not become long.
pub(super) fn parse(file: &Path, text: &str) -> Result<Node, Diagnostic> {
    let wrong = |line: usize, column: usize, message: String| {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let at = Location {
            file: file.to_owned(),
            line: number(line),
            column: number(column),
        };
        Diagnostic::new(message).at(at)
    };
    let refuse = |span: Span, message: String| wrong(span.start.line(), span.start.col() + 1, message);
    if text.len() > MOST_BYTES {
        return Err(wrong(
            0,
            0,
            format!("{} bytes are too many for a configuration", text.len()),
        ));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (mut open, mut done, mut count) = (Vec::<Open>::new(), None, 0);
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let at = error.marker();
            wrong(
                at.line(),
                at.col() + 1,
                format!("not valid YAML or JSON: {}", error.info()),
            )
        })?;
        count += 1;
        if count > MOST_NODES || open.len() > MOST_DEPTH {
            return Err(refuse(
                span,
                format!("more than {MOST_NODES} values, or {MOST_DEPTH} levels"),
            ));
        }
        let node = |data: Data| Node {
            data,
            line: u32::try_from(span.start.line()).unwrap_or(u32::MAX),
            column: u32::try_from(span.start.col() + 1).unwrap_or(u32::MAX),
        };
        let start = |data: Data| Open {
            node: node(data),
            key: None,
            seen: BTreeSet::new(),
        };
        let finished = match event {
            Event::Alias(_) => {
                return Err(refuse(
                    span,
                    "an alias (`*name`) is not followed: write out what it stands for".to_owned(),
                ));
            }
            Event::DocumentStart(_) if done.is_some() => {
                return Err(refuse(span, "more than one document is in the file".to_owned()));
            }
            Event::SequenceStart(..) => {
                open.push(start(Data::List(Vec::new())));
                continue;
            }
            Event::MappingStart(..) => {
                open.push(start(Data::Map(Vec::new())));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(open) => open.node,
                None => continue,
            },
            Event::Scalar(text, style, ..) => {
                let is_null = style == ScalarStyle::Plain
                    && matches!(text.as_ref(), "" | "~" | "null" | "Null" | "NULL");
                node(if is_null {
                    Data::Null
                } else {
                    Data::Text(text.into_owned())
                })
            }
            _ => continue,
        };
        let Some(above) = open.last_mut() else {
            done = Some(finished);
            continue;
        };
        match &mut above.node.data {
            Data::List(items) => items.push(finished),
            Data::Map(entries) => match above.key.take() {
                Some(key) => entries.push(Entry { key, value: finished }),
                None => {
                    let Data::Text(key) = finished.data else {
                        return Err(refuse(span, "a key must be a text".to_owned()));
                    };
                    if !above.seen.insert(key.clone()) {
                        return Err(refuse(span, format!("the key `{key}` is there twice")));
                    }
                    above.key = Some(key);
                }
            },
            Data::Null | Data::Text(_) => {}
        }
    }
    Ok(done.unwrap_or(Node {
        data: Data::Map(Vec::new()),
        line: 1,
        column: 1,
    }))
}
