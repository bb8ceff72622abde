//! Words: quotes, parameters, command substitutions.

use super::{
    Sure, Unsure,
    parse::{DEEPEST, Parser, is_end_of_word, parse_at},
    tree::{Change, Part, Word},
};

impl Parser<'_> {
    /// Quotes, expansions and literal text, up to the next blank or operator.
    pub(super) fn word(&mut self) -> Sure<Word> {
        let start = self.at;
        let mut has_braces = false;
        let mut parts = Parts::default();
        while let Some(byte) = self.peek() {
            match byte {
                _ if is_end_of_word(byte) => break,
                b'"' => self.quoted(&mut parts)?,
                b'{' | b'}' => {
                    has_braces = true;
                    self.piece(&mut parts)?;
                }
                b'*' | b'?' => return Err(Unsure),
                b'[' if !self.is_test(start) => return Err(Unsure),
                b'~' if self.at == start || matches!(self.text[self.at - 1], b'=' | b':') => {
                    return Err(Unsure);
                }
                _ => self.piece(&mut parts)?,
            }
        }
        let source = &self.text[start..self.at];
        // Braces mean nothing without one of these between them.
        if has_braces && (source.contains(&b',') || source.windows(2).any(|pair| pair == b"..")) {
            return Err(Unsure);
        }
        // Digits before a redirection are a descriptor.
        let is_number = source.iter().all(u8::is_ascii_digit);
        if is_number && matches!(self.peek(), Some(b'<' | b'>')) {
            return Err(Unsure);
        }
        if self.at == start {
            Err(Unsure)
        } else {
            Ok(parts.word())
        }
    }

    /// Is the word here the command `[`?
    fn is_test(&self, start: usize) -> bool {
        self.at == start && matches!(self.text.get(start + 1), None | Some(b' ' | b'\t'))
    }

    /// One piece of a word outside double quotes: what means the same in patterns and in `${…}`.
    fn piece(&mut self, parts: &mut Parts) -> Sure<()> {
        match self.peek().ok_or(Unsure)? {
            b'\'' => {
                let rest = &self.text[self.at + 1..];
                let end = rest.iter().position(|byte| *byte == b'\'').ok_or(Unsure)?;
                parts.text(&rest[..end], true);
                self.at += end + 2;
            }
            b'\\' => {
                let next = *self.text.get(self.at + 1).ok_or(Unsure)?;
                if next != b'\n' {
                    parts.text(&[next], true);
                }
                self.at += 2;
            }
            b'$' | b'`' => {
                let part = self.expansion(false)?;
                parts.part(part);
            }
            byte => {
                parts.text(&[byte], false);
                self.at += 1;
            }
        }
        Ok(())
    }

    fn quoted(&mut self, parts: &mut Parts) -> Sure<()> {
        self.at += 1;
        parts.text(b"", true);
        loop {
            match self.peek().ok_or(Unsure)? {
                b'"' => {
                    self.at += 1;
                    return Ok(());
                }
                b'\\' => {
                    let next = *self.text.get(self.at + 1).ok_or(Unsure)?;
                    match next {
                        b'\n' => {}
                        b'$' | b'`' | b'"' | b'\\' => parts.text(&[next], true),
                        _ => parts.text(&[b'\\', next], true),
                    }
                    self.at += 2;
                }
                b'$' | b'`' => {
                    let part = self.expansion(true)?;
                    parts.part(part);
                }
                byte => {
                    parts.text(&[byte], true);
                    self.at += 1;
                }
            }
        }
    }

    /// What begins with `$` or a backtick.
    fn expansion(&mut self, quoted: bool) -> Sure<Part> {
        if self.take("`") {
            return self.backticks(quoted);
        }
        if self.starts("$((") {
            return Err(Unsure);
        }
        if self.take("$(") {
            let mut inner = Parser {
                text: self.text,
                at: self.at,
                depth: self.depth + 1,
            };
            if inner.depth > DEEPEST {
                return Err(Unsure);
            }
            let list = inner.list(&[])?;
            self.at = inner.at;
            return if self.take(")") {
                Ok(Part::Command { list, quoted })
            } else {
                Err(Unsure)
            };
        }
        if self.take("${") {
            return self.braced(quoted);
        }
        self.at += 1;
        let name = match self.peek() {
            Some(b'?') => "?".to_owned(),
            // Special and positional parameters, `$'…'`, `$"…"`.
            Some(b'0'..=b'9' | b'@' | b'*' | b'#' | b'-' | b'$' | b'!' | b'[') => return Err(Unsure),
            Some(b'\'' | b'"') if !quoted => return Err(Unsure),
            _ => self.name(),
        };
        if name.is_empty() {
            return Ok(Part::Text {
                text: "$".to_owned(),
                quoted: true,
            });
        }
        self.at += name.len();
        Ok(Part::Parameter {
            name,
            change: Change::None,
            quoted,
        })
    }

    fn backticks(&mut self, quoted: bool) -> Sure<Part> {
        let mut inner = Vec::new();
        loop {
            let byte = self.peek().ok_or(Unsure)?;
            self.at += 1;
            match byte {
                b'`' => break,
                b'\\' => {
                    let next = self.peek().ok_or(Unsure)?;
                    self.at += 1;
                    match next {
                        b'$' | b'`' | b'\\' => inner.push(next),
                        b'"' if quoted => return Err(Unsure),
                        _ => inner.extend([b'\\', next]),
                    }
                }
                _ => inner.push(byte),
            }
        }
        let inner = String::from_utf8(inner).map_err(|_| Unsure)?;
        let list = parse_at(&inner, self.depth + 1)?;
        Ok(Part::Command { list, quoted })
    }

    /// After `${`.
    fn braced(&mut self, quoted: bool) -> Sure<Part> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Unsure);
        }
        let length = self.take("#");
        let name = self.name();
        if name.is_empty() {
            return Err(Unsure);
        }
        self.at += name.len();
        let change = if length {
            Change::Length
        } else {
            self.change(quoted)?
        };
        self.depth -= 1;
        if self.take("}") {
            Ok(Part::Parameter { name, change, quoted })
        } else {
            Err(Unsure)
        }
    }

    fn change(&mut self, quoted: bool) -> Sure<Change> {
        let even_empty = self.starts(":-") || self.starts(":+");
        self.at += usize::from(even_empty);
        let rest = &self.text[self.at..];
        let (is_double, first) = (rest.len() > 1 && rest[0] == rest[1], *rest.first().ok_or(Unsure)?);
        let length = if is_double { 2 } else { 1 };
        Ok(match first {
            b'}' => Change::None,
            b':' => {
                self.at += 1;
                let offset = self.number()?;
                let length = if self.take(":") {
                    Some(self.number()?)
                } else {
                    None
                };
                Change::Slice { offset, length }
            }
            b'-' | b'+' => {
                self.at += 1;
                let word = self.operand(quoted, false, false)?;
                // Quotes in it would have to keep their meaning for splitting.
                if word
                    .0
                    .iter()
                    .any(|part| matches!(part, Part::Text { quoted: true, .. }))
                {
                    return Err(Unsure);
                }
                if first == b'-' {
                    Change::Default { word, even_empty }
                } else {
                    Change::Alternative { word, even_empty }
                }
            }
            b'#' | b'%' => {
                self.at += length;
                let pattern = self.operand(quoted, true, false)?;
                Change::Strip {
                    pattern,
                    longest: is_double,
                    at_end: first == b'%',
                }
            }
            b'/' => {
                self.at += length;
                if matches!(self.peek(), Some(b'#' | b'%' | b'/' | b'}')) {
                    return Err(Unsure);
                }
                let pattern = self.operand(quoted, true, true)?;
                let mut with = Word::default();
                if self.take("/") {
                    with = self.operand(quoted, false, false)?;
                    // bash 5.2 gives `&` and `\` there a meaning.
                    let has_meaning = |part: &Part| match part {
                        Part::Text { text, .. } => text.contains(['&', '\\']),
                        _ => true,
                    };
                    if with.0.iter().any(has_meaning) {
                        return Err(Unsure);
                    }
                }
                Change::Replace {
                    pattern,
                    with,
                    all: is_double,
                }
            }
            b',' | b'^' if is_double && rest.get(2) == Some(&b'}') => {
                self.at += 2;
                if first == b',' {
                    Change::Lower
                } else {
                    Change::Upper
                }
            }
            _ => return Err(Unsure),
        })
    }

    fn number(&mut self) -> Sure<usize> {
        let rest = &self.text[self.at..];
        let end = rest
            .iter()
            .position(|byte| !byte.is_ascii_digit())
            .unwrap_or(rest.len());
        // A leading zero would make it octal.
        if end > 1 && rest[0] == b'0' {
            return Err(Unsure);
        }
        let digits = std::str::from_utf8(&rest[..end]).map_err(|_| Unsure)?;
        self.at += end;
        digits.parse().map_err(|_| Unsure)
    }

    /// The word of a `${name op word}`, up to its brace, or to a slash.
    fn operand(&mut self, in_quotes: bool, is_pattern: bool, to_slash: bool) -> Sure<Word> {
        let mut parts = Parts::default();
        let start = self.at;
        loop {
            match self.peek().ok_or(Unsure)? {
                b'}' => break,
                b'/' if to_slash => break,
                b'~' if self.at == start => return Err(Unsure),
                // In double quotes, quotes mean something else in each of these words.
                b'\'' | b'"' | b'\\' if in_quotes && !is_pattern => return Err(Unsure),
                b'\'' | b'"' if in_quotes => return Err(Unsure),
                b'"' => self.quoted(&mut parts)?,
                b'{' => return Err(Unsure),
                _ => self.piece(&mut parts)?,
            }
        }
        Ok(parts.word())
    }
}

/// Parts of a word; neighbouring texts become one.
#[derive(Default)]
struct Parts(Vec<Part>);

impl Parts {
    fn text(&mut self, new: &[u8], is_quoted: bool) {
        let new = String::from_utf8_lossy(new);
        match self.0.last_mut() {
            Some(Part::Text { text, quoted }) if *quoted == is_quoted => text.push_str(&new),
            _ => self.0.push(Part::Text {
                text: new.into_owned(),
                quoted: is_quoted,
            }),
        }
    }

    fn part(&mut self, part: Part) {
        match part {
            Part::Text { text, quoted } => self.text(text.as_bytes(), quoted),
            other => self.0.push(other),
        }
    }

    fn word(self) -> Word {
        Word(self.0)
    }
}
