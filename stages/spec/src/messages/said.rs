//! A message of rpm, taken apart.
//!
//! They come as `line 7: …`, `/path/a.spec: line 7: …`, `/path/a.spec:7: …` or without a place, and many end with the line
//! that they are about (`build/parseSpec.c`, `build/expression.c` in rpm).

use super::rules::{self, Rule};
use crate::macros::Message;

/// A message without its place.
pub(crate) struct Said<'m> {
    /// The line that it names.
    pub(crate) line: Option<u32>,
    pub(crate) text: &'m str,
    /// Without the line that it ends with.
    pub(super) head: &'m str,
    /// That line, macros expanded.
    pub(super) seen: Option<&'m str>,
}

impl<'m> Said<'m> {
    /// `file`: what the file is called if the message does not know.
    pub(crate) fn of(message: &'m Message, file: &str) -> Self {
        let text = message.text.trim();
        let file = message.place.as_ref().map_or(file, |(file, _)| file);
        let stripped = Some(text)
            .filter(|_| !file.is_empty())
            .and_then(|text| text.strip_prefix(file)?.strip_prefix(':'));
        let rest = stripped.unwrap_or(text).trim_start();
        let (mut line, mut text) = (None, rest);
        // `%setup` says it twice.
        while let Some((number, rest)) = numbered(text, stripped.is_some() && line.is_none()) {
            (line, text) = (Some(number), rest);
        }
        Self {
            line,
            text,
            head: text,
            seen: None,
        }
    }

    /// Cuts off the line, if it is one of `lines`; gives which. Else what the rule takes for it.
    pub(super) fn cut<'l>(
        &mut self,
        rule: Option<&Rule>,
        mut lines: impl Iterator<Item = &'l str>,
    ) -> Option<usize> {
        let text = self.text;
        let found = lines.position(|line| {
            let line = line.trim();
            if line.is_empty() {
                return false;
            }
            let front = || text.strip_prefix(line)?.strip_prefix(": ");
            let back = || {
                let before = text.strip_suffix(line)?.strip_suffix(": ")?;
                Some(before.strip_suffix(" in").unwrap_or(before))
            };
            match back().or_else(front) {
                Some(head) => {
                    self.head = head;
                    true
                }
                None => false,
            }
        });
        if found.is_some() {
            return found;
        }
        let rule = rule.filter(|rule| rule.quotes)?;
        let after = text.find(rule.says)? + rule.says.len();
        let colon = after + text[after..].find(": ")?;
        self.head = text[..colon].strip_suffix(" in").unwrap_or(&text[..colon]);
        self.seen = Some(text[colon + 2..].trim());
        None
    }
}

/// `line 7: …`; with `bare` also `7: …`.
fn numbered(text: &str, bare: bool) -> Option<(u32, &str)> {
    let rest = text.strip_prefix("line ").or(Some(text).filter(|_| bare))?;
    let (number, rest) = rest.split_once(':')?;
    Some((number.parse().ok()?, rest.trim()))
}

/// A mark under an expression, which rpm says after the error: its place in that message, in bytes.
pub(super) fn caret(message: &Message) -> Option<usize> {
    let text = message.text.trim_end_matches('\n');
    (text.trim() == "^").then(|| text.len().saturating_sub(1))
}

/// Is `next` only what comes of `root`?
pub(super) fn follows(root: &Message, next: &Message, file: &str) -> bool {
    let text = next.text.trim();
    if text.is_empty() || text == "^" {
        return true;
    }
    if next.place != root.place {
        return false;
    }
    let (said, said_of_root) = (Said::of(next, file).text, Said::of(root, file).text);
    let words = ["bad %if condition", "bad %elif condition", "expanded string: "];
    said == said_of_root
        || words.iter().any(|words| said.starts_with(words))
        || said.starts_with("Only package names are allowed in Obsoletes")
        || (said.starts_with("Macro %") && said.ends_with(" failed to expand"))
        || (next.within.len() < root.within.len() && root.within.starts_with(&next.within))
}

pub(super) fn rule(message: &Said<'_>) -> Option<&'static Rule> {
    rules::of(message.text)
}
