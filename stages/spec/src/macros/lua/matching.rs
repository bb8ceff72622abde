//! Lua's patterns (Lua 5.4 reference manual, §6.4.1), matched within a budget: Lua's own matcher cannot be stopped, and a
//! pattern of a few characters can keep it busy for years.

use std::ops::Range;

/// The most captures of a pattern, as in Lua.
const MOST_CAPTURES: usize = 32;
/// How deep a match may recurse, as in Lua.
const DEEPEST: u32 = 200;
/// How many steps lie between two looks at the clock.
const SLICE: u64 = 1 << 16;

/// What a pattern's brackets took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Capture {
    /// A part of the text.
    Text { from: usize, to: usize },
    /// `()`: a position, from 0.
    Position(usize),
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wrong {
    /// The pattern is none; Lua's words.
    Pattern(String),
    /// There is no more time.
    TooLong,
}

type Result<T> = std::result::Result<T, Wrong>;

fn wrong<T>(text: impl Into<String>) -> Result<T> {
    Err(Wrong::Pattern(text.into()))
}

#[derive(Debug, Clone, Copy)]
enum Open {
    /// The bracket is not closed yet.
    Unfinished,
    Closed(usize),
    Position,
}

/// One pattern and one text.
pub(super) struct Matcher<'m> {
    text: &'m [u8],
    pattern: &'m [u8],
    captures: Vec<(usize, Open)>,
    depth: u32,
    steps: u64,
    /// Is time up?
    is_late: &'m dyn Fn() -> bool,
}

impl<'m> Matcher<'m> {
    pub(super) fn new(text: &'m [u8], pattern: &'m [u8], is_late: &'m dyn Fn() -> bool) -> Self {
        Self {
            text,
            pattern,
            captures: Vec::new(),
            depth: 0,
            steps: 0,
            is_late,
        }
    }

    /// The end of the match that begins at `start`.
    pub(super) fn at(&mut self, start: usize) -> Result<Option<usize>> {
        self.captures.clear();
        self.depth = 0;
        self.run(start, 0)
    }

    /// The first match from `start` on; with `anchored` only there.
    pub(super) fn search(&mut self, start: usize, anchored: bool) -> Result<Option<Range<usize>>> {
        for from in start..=self.text.len() {
            if let Some(to) = self.at(from)? {
                return Ok(Some(from..to));
            }
            if anchored {
                break;
            }
        }
        Ok(None)
    }

    /// The captures of the last match.
    pub(super) fn captures(&self) -> Result<Vec<Capture>> {
        self.captures.iter().map(capture).collect()
    }

    /// One of them, from 0; none if there are not as many. Without any, the first is the whole match.
    pub(super) fn capture(&self, index: usize, whole: &Range<usize>) -> Result<Option<Capture>> {
        match self.captures.get(index) {
            Some(taken) => capture(taken).map(Some),
            None if index == 0 => Ok(Some(Capture::Text {
                from: whole.start,
                to: whole.end,
            })),
            None => Ok(None),
        }
    }

    fn pay(&mut self, steps: usize) -> Result<()> {
        let before = self.steps / SLICE;
        self.steps += steps as u64;
        match self.steps / SLICE > before && (self.is_late)() {
            true => Err(Wrong::TooLong),
            false => Ok(()),
        }
    }

    fn run(&mut self, s: usize, p: usize) -> Result<Option<usize>> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return wrong("pattern too complex");
        }
        let result = self.walk(s, p);
        self.depth -= 1;
        result
    }

    /// Matches the pattern from `p` on at `s`.
    fn walk(&mut self, mut s: usize, mut p: usize) -> Result<Option<usize>> {
        loop {
            self.pay(1)?;
            let Some(&byte) = self.pattern.get(p) else {
                return Ok(Some(s));
            };
            let next = self.pattern.get(p + 1).copied();
            match (byte, next) {
                (b'(', Some(b')')) => return self.open(s, p + 2, Open::Position),
                (b'(', _) => return self.open(s, p + 1, Open::Unfinished),
                (b')', _) => return self.close(s, p + 1),
                (b'$', None) => return Ok((s == self.text.len()).then_some(s)),
                (b'%', Some(b'b')) => match self.balanced(s, p + 2)? {
                    Some(end) => (s, p) = (end, p + 4),
                    None => return Ok(None),
                },
                (b'%', Some(b'f')) => {
                    p += 2;
                    if self.pattern.get(p) != Some(&b'[') {
                        return wrong("missing '[' after '%f' in pattern");
                    }
                    let end = self.class_end(p)?;
                    self.pay(3 * (end - p))?;
                    let before = if s == 0 { 0 } else { self.text[s - 1] };
                    let after = self.text.get(s).copied().unwrap_or(0);
                    if self.in_set(before, p, end - 1) || !self.in_set(after, p, end - 1) {
                        return Ok(None);
                    }
                    p = end;
                }
                (b'%', Some(digit @ b'0'..=b'9')) => match self.again(s, digit)? {
                    Some(end) => (s, p) = (end, p + 2),
                    None => return Ok(None),
                },
                _ => {
                    let end = self.class_end(p)?;
                    self.pay(end - p)?;
                    match self.pattern.get(end) {
                        Some(b'?') => {
                            if self.single(s, p, end)
                                && let Some(found) = self.run(s + 1, end + 1)?
                            {
                                return Ok(Some(found));
                            }
                            p = end + 1;
                        }
                        Some(b'+') => {
                            return match self.single(s, p, end) {
                                true => self.most(s + 1, p, end),
                                false => Ok(None),
                            };
                        }
                        Some(b'*') => return self.most(s, p, end),
                        Some(b'-') => return self.fewest(s, p, end),
                        _ if self.single(s, p, end) => (s, p) = (s + 1, end),
                        _ => return Ok(None),
                    }
                }
            }
        }
    }

    fn open(&mut self, s: usize, p: usize, how: Open) -> Result<Option<usize>> {
        if self.captures.len() >= MOST_CAPTURES {
            return wrong("too many captures");
        }
        self.captures.push((s, how));
        let count = self.captures.len();
        let result = self.run(s, p)?;
        if result.is_none() {
            self.captures.truncate(count - 1);
        }
        Ok(result)
    }

    fn close(&mut self, s: usize, p: usize) -> Result<Option<usize>> {
        let open = |(_, how): &(usize, Open)| matches!(how, Open::Unfinished);
        let Some(index) = self.captures.iter().rposition(open) else {
            return wrong("invalid pattern capture");
        };
        self.captures[index].1 = Open::Closed(s);
        let result = self.run(s, p)?;
        if result.is_none() {
            self.captures[index].1 = Open::Unfinished;
        }
        Ok(result)
    }

    /// `%bxy`: where the pair that begins at `s` ends.
    fn balanced(&mut self, s: usize, p: usize) -> Result<Option<usize>> {
        let (Some(&open), Some(&close)) = (self.pattern.get(p), self.pattern.get(p + 1)) else {
            return wrong("malformed pattern (missing arguments to '%b')");
        };
        if self.text.get(s) != Some(&open) {
            return Ok(None);
        }
        let mut depth = 1_usize;
        for (index, &byte) in self.text.iter().enumerate().skip(s + 1) {
            if byte == close {
                depth -= 1;
                if depth == 0 {
                    self.pay(index - s)?;
                    return Ok(Some(index + 1));
                }
            } else if byte == open {
                depth += 1;
            }
        }
        self.pay(self.text.len() - s)?;
        Ok(None)
    }

    /// `%1`: the same as a capture once more.
    fn again(&mut self, s: usize, digit: u8) -> Result<Option<usize>> {
        let index = usize::from(digit).wrapping_sub(usize::from(b'1'));
        let (from, to) = match self.captures.get(index) {
            Some((from, Open::Closed(to))) => (*from, *to),
            Some((_, Open::Position)) => return Ok(None),
            _ => return wrong(format!("invalid capture index %{}", index.wrapping_add(1))),
        };
        self.pay(to - from)?;
        let same = self.text[s..].starts_with(&self.text[from..to]);
        Ok(same.then_some(s + to - from))
    }

    /// As many as there are, then fewer.
    fn most(&mut self, s: usize, p: usize, end: usize) -> Result<Option<usize>> {
        let mut count = 0;
        while self.single(s + count, p, end) {
            count += 1;
            self.pay(end - p)?;
        }
        loop {
            if let Some(found) = self.run(s + count, end + 1)? {
                return Ok(Some(found));
            }
            if count == 0 {
                return Ok(None);
            }
            count -= 1;
        }
    }

    /// None, then more.
    fn fewest(&mut self, mut s: usize, p: usize, end: usize) -> Result<Option<usize>> {
        loop {
            if let Some(found) = self.run(s, end + 1)? {
                return Ok(Some(found));
            }
            self.pay(end - p)?;
            if !self.single(s, p, end) {
                return Ok(None);
            }
            s += 1;
        }
    }

    /// Where the single-character class at `p` ends.
    fn class_end(&self, p: usize) -> Result<usize> {
        match self.pattern.get(p) {
            Some(b'%') if p + 1 >= self.pattern.len() => wrong("malformed pattern (ends with '%')"),
            Some(b'%') => Ok(p + 2),
            Some(b'[') => {
                let mut at = p + 1;
                if self.pattern.get(at) == Some(&b'^') {
                    at += 1;
                }
                loop {
                    // The first character is one of the set, even if it is a bracket.
                    match self.pattern.get(at) {
                        None => return wrong("malformed pattern (missing ']')"),
                        Some(b'%') => at += 2,
                        Some(_) => at += 1,
                    }
                    if self.pattern.get(at) == Some(&b']') {
                        return Ok(at + 1);
                    }
                }
            }
            _ => Ok(p + 1),
        }
    }

    /// Does the class from `p` to `end` match the character at `s`?
    fn single(&self, s: usize, p: usize, end: usize) -> bool {
        let Some(&byte) = self.text.get(s) else {
            return false;
        };
        match self.pattern[p] {
            b'.' => true,
            b'%' => is_of_class(byte, self.pattern[p + 1]),
            b'[' => self.in_set(byte, p, end - 1),
            plain => plain == byte,
        }
    }

    /// Is the character in the set from the bracket at `p` to the one at `end`?
    fn in_set(&self, byte: u8, p: usize, end: usize) -> bool {
        let negated = self.pattern.get(p + 1) == Some(&b'^');
        let mut at = if negated { p + 2 } else { p + 1 };
        while at < end {
            let found = match self.pattern[at] {
                b'%' => {
                    at += 1;
                    let found = is_of_class(byte, self.pattern[at]);
                    at += 1;
                    found
                }
                low if self.pattern[at + 1] == b'-' && at + 2 < end => {
                    let high = self.pattern[at + 2];
                    at += 3;
                    (low..=high).contains(&byte)
                }
                plain => {
                    at += 1;
                    plain == byte
                }
            };
            if found {
                return !negated;
            }
        }
        negated
    }
}

fn capture((from, open): &(usize, Open)) -> Result<Capture> {
    match open {
        Open::Unfinished => wrong("unfinished capture"),
        Open::Closed(to) => Ok(Capture::Text { from: *from, to: *to }),
        Open::Position => Ok(Capture::Position(*from)),
    }
}

/// `%a` and its like, in the C locale; a capital letter is the opposite.
fn is_of_class(byte: u8, class: u8) -> bool {
    let found = match class.to_ascii_lowercase() {
        b'a' => byte.is_ascii_alphabetic(),
        b'c' => byte.is_ascii_control(),
        b'd' => byte.is_ascii_digit(),
        b'g' => byte.is_ascii_graphic(),
        b'l' => byte.is_ascii_lowercase(),
        b'p' => byte.is_ascii_punctuation(),
        b's' => crate::macros::text::is_space(byte),
        b'u' => byte.is_ascii_uppercase(),
        b'w' => byte.is_ascii_alphanumeric(),
        b'x' => byte.is_ascii_hexdigit(),
        // Of Lua 5.1, and still there.
        b'z' => byte == 0,
        _ => return class == byte,
    };
    found != class.is_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_ends_when_time_is_up() {
        let text = [b'a'; 30_000];
        let pattern = [&b".-".repeat(8)[..], b"b"].concat();
        let looks = std::cell::Cell::new(0);
        let is_late = || {
            looks.set(looks.get() + 1);
            looks.get() > 3
        };
        let mut matcher = Matcher::new(&text, &pattern, &is_late);
        assert_eq!(matcher.search(0, false), Err(Wrong::TooLong));
        assert_eq!(looks.get(), 4);
    }

    #[test]
    fn no_pattern_is_read_beyond_its_end() {
        for pattern in [
            "[", "[^", "[]", "[%", "[a-", "%", "%b", "%bx", "%f", "(", "a)", "[%]", "%0",
        ] {
            let mut matcher = Matcher::new(b"ab]", pattern.as_bytes(), &|| false);
            let result = matcher.search(0, false).and_then(|_| matcher.captures());
            assert!(matches!(result, Err(Wrong::Pattern(_))), "{pattern}: {result:?}");
        }
    }
}
