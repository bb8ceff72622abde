//! Results on standard output: a table for people, JSON for programs.

use std::io::{IsTerminal as _, Write as _};

use serde::Serialize;

use crate::{context::Context, failure::Failure};

/// Prints `value` as JSON if that is wanted, else what `text` makes of it.
pub fn print<T: Serialize>(
    context: &Context<'_>,
    value: &T,
    text: impl FnOnce(&T) -> String,
) -> Result<(), Failure> {
    let bug = |error: serde_json::Error| {
        Failure::because(
            crate::failure::Class::Bug,
            "cannot write the result as JSON",
            &error,
        )
    };
    if context.terminal.events_take_stdout() {
        context.terminal.result(serde_json::to_value(value).map_err(bug)?);
        return Ok(());
    }
    line(&match context.wants_json() {
        true => serde_json::to_string_pretty(value).map_err(bug)?,
        false => text(value),
    })
}

/// Prints text. Whoever closes the pipe has seen enough: that is no failure.
pub fn line(text: &str) -> Result<(), Failure> {
    let text = text.trim_end_matches('\n');
    if text.is_empty() {
        return Ok(());
    }
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

/// Prints text as it is, with the bytes that it stands for, and no end of line.
pub fn bytes_as_they_are(text: &str) -> Result<(), Failure> {
    let bytes = keel_spec::macros::text::encode(text);
    match std::io::stdout().lock().write_all(&bytes) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

/// As [`harmless`], in one line: a name with a line break in it would look like two.
pub fn harmless_line(text: &str) -> String {
    harmless(&text.replace('\n', "\u{fffd}"))
}

/// Without what would tell a terminal to do something: for words that are somebody else's.
pub fn harmless(text: &str) -> String {
    let is_plain = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    text.chars()
        .map(|c| if is_plain(c) { c } else { '\u{fffd}' })
        .collect()
}

/// Columns, aligned, without a frame; the last one as wide as it is.
pub fn table(heading: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = heading.iter().map(|cell| cell.len()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let write = |cells: &mut dyn Iterator<Item = &str>| {
        let mut line = String::new();
        for (cell, width) in cells.zip(&widths) {
            line.push_str(&format!("{cell:width$}  "));
        }
        line.trim_end().to_owned()
    };
    let mut lines = vec![write(&mut heading.iter().copied())];
    lines.extend(rows.iter().map(|row| write(&mut row.iter().map(String::as_str))));
    let width = width();
    let lines: Vec<String> = lines.into_iter().map(|line| fitted(line, width)).collect();
    lines.join("\n")
}

/// How wide standard output is, if it is a terminal.
fn width() -> Option<usize> {
    let stdout = std::io::stdout();
    let size = stdout
        .is_terminal()
        .then(|| rustix::termios::tcgetwinsize(&stdout).ok())
        .flatten()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// What fits; the end of a longer line is left out.
fn fitted(line: String, width: Option<usize>) -> String {
    match width.and_then(|width| Some((width, line.char_indices().nth(width)?))) {
        Some((width, _)) => {
            let mut short: String = line.chars().take(width.saturating_sub(1)).collect();
            short.push('…');
            short
        }
        None => line,
    }
}

/// `1.5 MiB`
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{count} B")
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_aligned() {
        let rows = [
            vec!["zlib".to_owned(), "1.3".to_owned()],
            vec!["coreutils".to_owned(), "9.7".to_owned()],
        ];
        assert_eq!(
            table(&["name", "version"], &rows),
            "name       version\nzlib       1.3\ncoreutils  9.7"
        );
        let fit = |line: &str, width| fitted(line.to_owned(), width);
        assert_eq!(fit("ab cd", None), "ab cd");
        assert_eq!(fit("ab cd", Some(5)), "ab cd");
        assert_eq!(fit("äb cd", Some(4)), "äb …");
        assert_eq!(
            (bytes(17), bytes(1536)),
            ("17 B".to_owned(), "1.5 KiB".to_owned())
        );
    }
}
