//! The text of a command to its tree: lists, pipelines, compound and simple commands. Whatever POSIX or bash has beyond
//! it is [`Unsure`].

use super::{
    Sure, Unsure,
    tree::{Command, List, Part, Pipeline, Redirection, What, When, Word},
};

/// Nesting deeper than this is no SPEC's.
pub(super) const DEEPEST: u32 = 50;

const RESERVED: [&str; 21] = [
    "!", "[[", "{", "}", "case", "coproc", "do", "done", "elif", "else", "esac", "fi", "for", "function",
    "if", "in", "select", "then", "time", "until", "while",
];

pub(super) fn parse(text: &str) -> Sure<List> {
    parse_at(text, 0)
}

pub(super) fn parse_at(text: &str, depth: u32) -> Sure<List> {
    if depth > DEEPEST {
        return Err(Unsure);
    }
    let mut parser = Parser {
        text: text.as_bytes(),
        at: 0,
        depth,
    };
    let list = parser.list(&[])?;
    if parser.at == text.len() {
        Ok(list)
    } else {
        Err(Unsure)
    }
}

pub(super) struct Parser<'a> {
    pub(super) text: &'a [u8],
    pub(super) at: usize,
    pub(super) depth: u32,
}

impl Parser<'_> {
    pub(super) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    pub(super) fn starts(&self, with: &str) -> bool {
        self.text[self.at..].starts_with(with.as_bytes())
    }

    pub(super) fn take(&mut self, token: &str) -> bool {
        let found = self.starts(token);
        if found {
            self.at += token.len();
        }
        found
    }

    /// Skips blanks and, if allowed, ends of lines and comments.
    fn skip(&mut self, lines: bool) {
        loop {
            match self.peek() {
                Some(b' ' | b'\t') => self.at += 1,
                Some(b'\n') if lines => self.at += 1,
                Some(b'\\') if self.starts("\\\n") => self.at += 2,
                Some(b'#') => {
                    while self.peek().is_some_and(|byte| byte != b'\n') {
                        self.at += 1;
                    }
                }
                _ => return,
            }
        }
    }

    /// The reserved word here, if one is.
    fn reserved(&self) -> Option<&'static str> {
        let rest = &self.text[self.at..];
        let end = rest
            .iter()
            .position(|byte| is_end_of_word(*byte))
            .unwrap_or(rest.len());
        RESERVED.into_iter().find(|word| word.as_bytes() == &rest[..end])
    }

    /// Up to the end of the text, a `)`, or one of the words `until`.
    pub(super) fn list(&mut self, until: &[&str]) -> Sure<List> {
        let mut list = Vec::new();
        let mut when = When::Always;
        loop {
            self.skip(true);
            let ends = matches!(self.peek(), None | Some(b')'))
                || self.reserved().is_some_and(|word| until.contains(&word));
            if ends {
                return if when == When::Always {
                    Ok(List(list))
                } else {
                    Err(Unsure)
                };
            }
            list.push((when, self.pipeline()?));
            self.skip(false);
            when = if self.take("&&") {
                When::Success
            } else if self.take("||") {
                When::Failure
            } else if self.take(";") || self.take("\n") {
                When::Always
            } else if matches!(self.peek(), None | Some(b')')) {
                return Ok(List(list));
            } else {
                return Err(Unsure);
            };
        }
    }

    fn pipeline(&mut self) -> Sure<Pipeline> {
        let negated = self.reserved() == Some("!");
        if negated {
            self.at += 1;
            self.skip(false);
        }
        let mut commands = vec![self.command()?];
        loop {
            self.skip(false);
            if self.starts("||") || !self.take("|") {
                return Ok(Pipeline { negated, commands });
            }
            self.skip(true);
            commands.push(self.command()?);
        }
    }

    fn command(&mut self) -> Sure<Command> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Unsure);
        }
        let what = match self.reserved() {
            Some("if") => self.conditional()?,
            Some("{") => {
                self.at += 1;
                let list = self.list(&["}"])?;
                self.keyword("}")?;
                What::Group(list)
            }
            Some(_) => return Err(Unsure),
            None if self.starts("((") => return Err(Unsure),
            None if self.take("(") => {
                let list = self.list(&[])?;
                if list.0.is_empty() || !self.take(")") {
                    return Err(Unsure);
                }
                What::Subshell(list)
            }
            None => {
                self.depth -= 1;
                return self.simple();
            }
        };
        self.depth -= 1;
        let mut redirections = Vec::new();
        loop {
            self.skip(false);
            match self.redirection()? {
                Some(redirection) => redirections.push(redirection),
                None => return Ok(Command { what, redirections }),
            }
        }
    }

    fn keyword(&mut self, word: &str) -> Sure<()> {
        let found = self.reserved() == Some(word);
        self.at += word.len();
        if found { Ok(()) } else { Err(Unsure) }
    }

    fn conditional(&mut self) -> Sure<What> {
        let mut arms = Vec::new();
        self.keyword("if")?;
        loop {
            let condition = self.list(&["then"])?;
            self.keyword("then")?;
            let consequence = self.list(&["elif", "else", "fi"])?;
            if condition.0.is_empty() || consequence.0.is_empty() {
                return Err(Unsure);
            }
            arms.push((condition, consequence));
            if self.reserved() != Some("elif") {
                break;
            }
            self.keyword("elif")?;
        }
        let mut otherwise = List::default();
        if self.reserved() == Some("else") {
            self.keyword("else")?;
            otherwise = self.list(&["fi"])?;
            if otherwise.0.is_empty() {
                return Err(Unsure);
            }
        }
        self.keyword("fi")?;
        Ok(What::If { arms, otherwise })
    }

    fn simple(&mut self) -> Sure<Command> {
        let (mut assignments, mut words, mut redirections) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            self.skip(false);
            if let Some(redirection) = self.redirection()? {
                redirections.push(redirection);
                continue;
            }
            match self.peek() {
                None | Some(b'\n' | b';' | b'|' | b')' | b'&') => break,
                Some(b'(' | b'<' | b'>') => return Err(Unsure),
                Some(_) => {}
            }
            match self.assigned().filter(|_| words.is_empty()) {
                Some(name) => {
                    self.at += name.len() + 1;
                    if matches!(self.peek(), Some(b'~' | b'(')) {
                        return Err(Unsure);
                    }
                    let is_empty = self.peek().is_none_or(is_end_of_word);
                    let value = if is_empty { Word::default() } else { self.word()? };
                    assignments.push((name, value));
                }
                None => words.push(self.word()?),
            }
        }
        if assignments.is_empty() && words.is_empty() && redirections.is_empty() {
            return Err(Unsure);
        }
        Ok(Command {
            what: What::Simple { assignments, words },
            redirections,
        })
    }

    /// The name before a `=` here.
    fn assigned(&self) -> Option<String> {
        let name = self.name();
        let follows = self.text.get(self.at + name.len()) == Some(&b'=');
        (follows && !name.is_empty()).then_some(name)
    }

    pub(super) fn name(&self) -> String {
        let rest = &self.text[self.at..];
        let is_part = |(index, byte): (usize, &u8)| {
            *byte == b'_' || byte.is_ascii_alphabetic() || index > 0 && byte.is_ascii_digit()
        };
        let end = rest
            .iter()
            .enumerate()
            .position(|part| !is_part(part))
            .unwrap_or(rest.len());
        String::from_utf8_lossy(&rest[..end]).into_owned()
    }

    fn redirection(&mut self) -> Sure<Option<Redirection>> {
        let start = self.at;
        let number = self.peek().filter(|byte| byte.is_ascii_digit());
        self.at += usize::from(number.is_some());
        if number.is_none() && self.take("&>") {
            // Both streams; as two redirections it would be `>/dev/null 2>&1`.
            return if self.is_null_device()? {
                Ok(Some(Redirection::Null(0)))
            } else {
                Err(Unsure)
            };
        }
        let number = number.map(|byte| byte - b'0');
        if self.take("<<<") {
            self.skip(false);
            let word = self.word()?;
            return if number.is_none() {
                Ok(Some(Redirection::Text(word)))
            } else {
                Err(Unsure)
            };
        }
        if self.take("<") {
            return if number.is_none() && self.is_null_device()? {
                Ok(Some(Redirection::Nothing))
            } else {
                Err(Unsure)
            };
        }
        if !self.take(">") {
            self.at = start;
            return Ok(None);
        }
        let from = number.unwrap_or(1);
        if !matches!(from, 1 | 2) {
            return Err(Unsure);
        }
        if self.take("&") {
            let to = match self.peek() {
                Some(b'1') => 1,
                Some(b'2') => 2,
                _ => return Err(Unsure),
            };
            self.at += 1;
            let ends = self.peek().is_none_or(is_end_of_word);
            return if ends {
                Ok(Some(Redirection::Copy { from, to }))
            } else {
                Err(Unsure)
            };
        }
        if self.is_null_device()? {
            Ok(Some(Redirection::Null(from)))
        } else {
            Err(Unsure)
        }
    }

    fn is_null_device(&mut self) -> Sure<bool> {
        self.skip(false);
        let word = self.word()?;
        Ok(matches!(word.0.as_slice(), [Part::Text { text, .. }] if text == "/dev/null"))
    }
}

pub(super) fn is_end_of_word(byte: u8) -> bool {
    matches!(
        byte,
        b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b'<' | b'>' | b'(' | b')'
    )
}
