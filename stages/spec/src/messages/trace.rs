//! The macros that were being expanded.

use keel_config::{Diagnostic, Further, Location};

use super::{Rule, Said, Source, lines, lines::Spot, mark::Mark};
use crate::macros::{Message, Within, is_builtin};

/// Shown of a long way: so many at its inner end, and so many at its outer.
const INNER: usize = 4;
const OUTER: usize = 2;

/// Adds where each macro around the error was defined, from the inside out.
pub(super) fn add(
    error: &mut Diagnostic,
    source: &Source<'_>,
    message: &Message,
    rule: Option<&'static Rule>,
    said: &Said<'_>,
) {
    let within = &message.within;
    let is_shown = |at: usize| {
        let name = &within[at].name;
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        // Of one that calls itself, the outermost call.
        let is_again = || within[..at].iter().any(|outer| outer.name == *name);
        is_name && !is_builtin(name) && !is_again()
    };
    let shown: Vec<usize> = (0..within.len()).rev().filter(|at| is_shown(*at)).collect();
    if shown.is_empty() {
        return;
    }
    error.note = Some("expanded from here".to_owned());
    let left_out = shown.len().saturating_sub(INNER + OUTER);
    for (count, at) in shown.iter().enumerate() {
        if left_out > 1 && (INNER..INNER + left_out).contains(&count) {
            if count == INNER {
                error.further.push(Further::new(format!("… {left_out} more …")));
            }
            continue;
        }
        let inner = within.get(at + 1);
        error.further.push(one(source, &within[*at], inner, rule, said));
    }
}

fn one(
    source: &Source<'_>,
    within: &Within,
    inner: Option<&Within>,
    rule: Option<&'static Rule>,
    said: &Said<'_>,
) -> Further {
    let name = &within.name;
    let Some((file, line)) = &within.defined else {
        return Further::new(format!("in the expansion of %{name}"));
    };
    let words = format!("in the expansion of %{name}, defined at");
    let at = |line, column| Location {
        file: source.shown(file).into(),
        line,
        column,
    };
    let lines = source.lines();
    let run = lines.run(*line).filter(|_| **file == *source.name);
    let Some((first, last)) = run else {
        return Further {
            location: Some(at(*line, 0)),
            ..Further::new(words)
        };
    };
    let run = lines.range(first, last);
    let text = &lines.text[run.clone()];
    let inner = inner.and_then(|inner| lines::call(text, &inner.name));
    let part = inner.or_else(|| match rule.map(|rule| rule.mark) {
        Some(mark @ (Mark::Command | Mark::Open | Mark::Defined)) => mark.find(text, said, ""),
        _ => None,
    });
    let spot = match part {
        Some(part) => lines.place(run.start + part.start..run.start + part.end),
        None => Spot {
            line: first,
            column: 0,
            width: 1,
        },
    };
    Further {
        location: Some(at(spot.line, spot.column)),
        excerpt: Some(lines.excerpt(spot)),
        ..Further::new(words)
    }
}
