//! Finding the part of a file that a message is about.

use std::{collections::HashMap, ops::Range};

use keel_config::Excerpt;

use super::{
    Group, Lines, Rule, Said, Source, is_about_all,
    lines::{self, Spot},
    mark::{self, Mark},
    said,
};
use crate::macros::Message;

/// More lines that are read as one are not looked through.
const MOST_LINES: usize = 256;

/// Where a message is, and what it says.
pub(super) struct Found<'a> {
    pub(super) said: Said<'a>,
    pub(super) rule: Option<&'static Rule>,
    /// The lines of the file, if its text is known.
    pub(super) lines: Option<&'a Lines<'a>>,
    /// The line, or the lines that are read as one.
    pub(super) line: &'a str,
    pub(super) spot: Spot,
    /// The line as rpm saw it, if that is not how it is written.
    pub(super) seen: Option<Excerpt>,
}

/// A part of the line that is written, and the line as rpm saw it if that is another.
type Marked = (Option<Range<usize>>, Option<Excerpt>);

impl<'s> Source<'s> {
    pub(super) fn find<'a>(
        &'a self,
        message: &'a Message,
        group: Option<&Group<'_>>,
        other: Option<&'a Lines<'a>>,
    ) -> Found<'a> {
        let said = Said::of(message, self.name);
        // What a SPEC itself says is no message of rpm's.
        let is_own = message
            .within
            .last()
            .is_some_and(|within| &*within.name == "error");
        let place = message.place.as_ref();
        let is_here = place.is_none_or(|(file, _)| **file == *self.name);
        let number = said.line.or(place.map(|(_, line)| *line));
        let number = number.filter(|_| is_own || !is_about_all(said.text));
        let mut found = Found {
            rule: said::rule(&said).filter(|_| !is_own),
            said,
            lines: if is_here { Some(self.lines()) } else { other },
            line: "",
            spot: Spot {
                line: number.unwrap_or(0),
                column: 0,
                width: 1,
            },
            seen: None,
        };
        let (Some(number), Some(lines)) = (number, found.lines) else {
            return found;
        };
        let number = self.in_changelog(&found.said).unwrap_or(number);
        match lines.run(number) {
            Some(run) => found.mark(lines, run, message, group, self.name),
            None => found.lines = None,
        }
        found
    }

    /// The line of a date that a message is about: rpm reads the changelog as a whole.
    fn in_changelog(&self, said: &Said<'_>) -> Option<u32> {
        let (_, date) = said.text.split_once(" date in %changelog: ")?;
        let entries = self.entries.get_or_init(|| {
            let lines = self.text.lines().zip(1..);
            let entries = lines.filter_map(|(line, number)| Some((line.strip_prefix('*')?.trim(), number)));
            entries.collect::<HashMap<_, _>>()
        });
        entries.get(date.trim()).copied()
    }
}

impl<'a> Found<'a> {
    fn mark(
        &mut self,
        lines: &'a Lines<'a>,
        (first, last): (u32, u32),
        message: &Message,
        group: Option<&Group<'_>>,
        name: &str,
    ) {
        let run = lines.range(first, last);
        let text = &lines.text[run.clone()];
        let mut piece = run.clone();
        let caret = group.and_then(|group| expression(&mut self.said, group, name));
        if self.said.seen.is_none()
            && let Some(at) = self.said.cut(self.rule, text.lines().take(MOST_LINES))
        {
            let line = first + u32::try_from(at).unwrap_or(0);
            piece = lines.range(line, line);
        }
        let (mut marked, seen) = self.as_seen(&lines.text[piece.clone()], caret);
        if let Some(call) = message
            .within
            .first()
            .and_then(|outer| lines::call(text, &outer.name))
        {
            let offset = piece.start - run.start;
            let inside = marked.map(|part| part.start + offset..part.end + offset);
            let inside = inside.filter(|part| call.contains(&part.start) && part.end <= call.end);
            marked = Some(inside.unwrap_or(call));
            piece = run;
        }
        self.line = &lines.text[piece.clone()];
        let marked = marked
            .or_else(|| self.by_rule(self.line))
            .filter(|marked| !marked.is_empty())
            .unwrap_or_else(|| mark::first_word(self.line));
        self.spot = lines.place(piece.start + marked.start..piece.start + marked.end);
        self.seen = seen;
    }

    fn by_rule(&self, line: &str) -> Option<Range<usize>> {
        let rule = self.rule?;
        rule.mark.find(line, &self.said, rule.says)
    }

    /// The part of `line` that the line as rpm saw it tells.
    fn as_seen(&self, line: &str, caret: Option<Range<usize>>) -> Marked {
        let Some(seen) = self.said.seen else {
            return (None, None);
        };
        let seen = seen.lines().next().unwrap_or("");
        let is_expression = matches!(self.rule, Some(rule) if matches!(rule.mark, Mark::Rest));
        let part = caret
            .or_else(|| self.by_rule(seen).filter(|_| !is_expression))
            .filter(|part| !part.is_empty() && part.end <= seen.len());
        if let Some(at) = lines::find(line, seen) {
            let part = part.unwrap_or(0..seen.len());
            return (Some(at.start + part.start..at.start + part.end), None);
        }
        let whole = match is_expression {
            true => Mark::Rest,
            false => Mark::Value,
        };
        let marked = part
            .clone()
            .and_then(|part| lines::find(line, &seen[part]))
            .or_else(|| whole.find(line, &self.said, ""));
        let excerpt = Excerpt {
            text: seen.to_owned(),
            column: part
                .clone()
                .map_or(0, |part| lines::count(&seen[..part.start]) + 1),
            width: part.map_or(1, |part| lines::count(&seen[part])),
        };
        (marked, Some(excerpt))
    }
}

/// Takes an expression and its error apart; gives the part that is meant.
fn expression(said: &mut Said<'_>, group: &Group<'_>, name: &str) -> Option<Range<usize>> {
    let at = group.follows.iter().find_map(|message| said::caret(message));
    let condition = group.follows.iter().find_map(|message| {
        let text = Said::of(message, name).text;
        let text = text.strip_prefix("bad %if condition:");
        text.or_else(|| Said::of(message, name).text.strip_prefix("bad %elif condition:"))
    });
    let text = said.text;
    let split = match condition {
        Some(condition) if text.ends_with(condition.trim()) => text.len() - condition.trim().len(),
        _ if at.is_some() => text.find(": ")? + 2,
        _ => return None,
    };
    let expression = &text[split..];
    said.head = text[..split].trim_end().trim_end_matches(':');
    said.seen = Some(expression);
    let at = at?.checked_sub(split)?;
    let is_word = |c: char| c.is_alphanumeric() || "_.".contains(c);
    let (before, after) = (expression.get(..at)?, expression.get(at..)?);
    let length = after.find(|c| !is_word(c)).unwrap_or(after.len());
    if length == 0 {
        let end = match after.starts_with('%') {
            true => lines::end(expression, at),
            false => at + after.chars().next()?.len_utf8(),
        };
        return Some(at..end);
    }
    Some(before.trim_end_matches(is_word).len()..at + length)
}
