//! `sed` with nothing but `s` commands.

use super::{Sure, Unsure, regex::Regex};

/// A script.
pub(super) struct Script {
    commands: Vec<Substitute>,
    /// `-n`
    quiet: bool,
    /// What else was on the command line: files.
    pub(super) files: Vec<String>,
}

struct Substitute {
    regex: Regex,
    with: Vec<Piece>,
    all: bool,
    print: bool,
}

enum Piece {
    Text(String),
    /// `&` is 0.
    Group(usize),
}

impl Script {
    pub(super) fn parse(arguments: &[String]) -> Sure<Self> {
        let (mut texts, mut others) = (Vec::new(), Vec::new());
        let (mut extended, mut quiet) = (false, false);
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "-e" => texts.push(arguments.next().ok_or(Unsure)?.as_str()),
                "-E" | "-r" => extended = true,
                "-n" => quiet = true,
                "-re" | "-Ee" => {
                    extended = true;
                    texts.push(arguments.next().ok_or(Unsure)?.as_str());
                }
                "-ne" => {
                    quiet = true;
                    texts.push(arguments.next().ok_or(Unsure)?.as_str());
                }
                other if other.starts_with('-') => return Err(Unsure),
                _ => others.push(argument.clone()),
            }
        }
        let script = if texts.is_empty() {
            if others.is_empty() {
                return Err(Unsure);
            }
            others.remove(0)
        } else {
            texts.join("\n")
        };
        Ok(Self {
            commands: commands(&script, extended)?,
            quiet,
            files: others,
        })
    }

    pub(super) fn run(&self, input: &str) -> Sure<String> {
        let mut out = String::new();
        for piece in input.split_inclusive('\n') {
            let mut line = piece.trim_end_matches('\n').to_owned();
            let end = if piece.ends_with('\n') { "\n" } else { "" };
            for command in &self.commands {
                let changed = command.apply(&line)?;
                if let Some(changed) = changed {
                    // Several lines in the pattern space would give the anchors other meanings.
                    if changed.contains('\n') && self.commands.len() > 1 {
                        return Err(Unsure);
                    }
                    line = changed;
                    if command.print {
                        // A last line without its end gets one when more is written after it.
                        if end.is_empty() {
                            return Err(Unsure);
                        }
                        out.push_str(&line);
                        out.push_str(end);
                    }
                }
            }
            if !self.quiet {
                out.push_str(&line);
                out.push_str(end);
            }
        }
        Ok(out)
    }
}

impl Substitute {
    /// The line after it; none if nothing matched.
    fn apply(&self, line: &str) -> Sure<Option<String>> {
        let mut out = String::new();
        // Up to where the line is copied, and where the last match ended.
        let (mut at, mut after, mut changed) = (0, None, false);
        let mut from = 0;
        while from <= line.len() {
            let Some(found) = self.regex.find(line, from)? else {
                break;
            };
            // No empty match directly after another match.
            if found.start == found.end && after == Some(found.start) {
                from += 1;
                continue;
            }
            out.push_str(&line[at..found.start]);
            for piece in &self.with {
                match piece {
                    Piece::Text(text) => out.push_str(text),
                    Piece::Group(0) => out.push_str(&line[found.start..found.end]),
                    Piece::Group(number) => {
                        let (start, end) = *found.groups.get(number - 1).ok_or(Unsure)?;
                        out.push_str(&line[start..end]);
                    }
                }
            }
            (at, after, changed) = (found.end, Some(found.end), true);
            from = found.end + usize::from(found.start == found.end);
            if !self.all || out.len() > super::LONGEST {
                break;
            }
        }
        if out.len() > super::LONGEST {
            return Err(Unsure);
        }
        out.push_str(line.get(at..).unwrap_or_default());
        Ok(changed.then_some(out))
    }
}

fn commands(script: &str, extended: bool) -> Sure<Vec<Substitute>> {
    let mut commands = Vec::new();
    let mut rest = script;
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\n', ';']);
        if rest.is_empty() {
            break;
        }
        rest = rest.strip_prefix('s').ok_or(Unsure)?;
        let delimiter = rest.chars().next().ok_or(Unsure)?;
        if !"/,|!#:@%;_".contains(delimiter) {
            return Err(Unsure);
        }
        let (pattern, after) = part(&rest[1..], delimiter, true)?;
        let (with, after) = part(after, delimiter, false)?;
        let regex = Regex::parse(&pattern, extended)?;
        let with = replacement(&with, regex.groups())?;
        let flags = after.find([' ', '\t', '\n', ';']).unwrap_or(after.len());
        let (flags, after) = after.split_at(flags);
        let (all, print) = match flags {
            "" => (false, false),
            "g" => (true, false),
            "p" => (false, true),
            "gp" | "pg" => (true, true),
            _ => return Err(Unsure),
        };
        commands.push(Substitute {
            regex,
            with,
            all,
            print,
        });
        rest = after.trim_start_matches([' ', '\t']);
        if !rest.is_empty() && !rest.starts_with([';', '\n']) {
            return Err(Unsure);
        }
    }
    if commands.is_empty() {
        Err(Unsure)
    } else {
        Ok(commands)
    }
}

/// Up to the delimiter, and what follows it. An escaped delimiter loses its backslash.
fn part(text: &str, delimiter: char, is_pattern: bool) -> Sure<(String, &str)> {
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((index, c)) = chars.next() {
        match c {
            _ if c == delimiter => return Ok((out, &text[index + 1..])),
            '\n' => return Err(Unsure),
            // In brackets the delimiter still ends the pattern for sed, and people mean otherwise.
            '[' if is_pattern
                && text[index..]
                    .find(']')
                    .is_some_and(|end| text[index..][..end].contains(delimiter)) =>
            {
                return Err(Unsure);
            }
            '\\' => match chars.next().ok_or(Unsure)?.1 {
                next if next == delimiter && matches!(next, '/' | ',' | ':' | '!' | '@' | '%') => {
                    out.push(next)
                }
                next if next == delimiter => return Err(Unsure),
                next => out.extend(['\\', next]),
            },
            _ => out.push(c),
        }
    }
    Err(Unsure)
}

fn replacement(text: &str, groups: usize) -> Sure<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut run = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let group = match c {
            '&' => 0,
            '\\' => match chars.next().ok_or(Unsure)? {
                digit @ '1'..='9' => digit as usize - '0' as usize,
                'n' => {
                    run.push('\n');
                    continue;
                }
                literal if !literal.is_ascii_alphanumeric() => {
                    run.push(literal);
                    continue;
                }
                _ => return Err(Unsure),
            },
            _ => {
                run.push(c);
                continue;
            }
        };
        if group > groups {
            return Err(Unsure);
        }
        pieces.extend([Piece::Text(std::mem::take(&mut run)), Piece::Group(group)]);
    }
    pieces.push(Piece::Text(run));
    Ok(pieces)
}
