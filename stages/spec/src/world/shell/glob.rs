//! Patterns of the shell: `*`, `?`, `[a-z]`.

use super::{Sure, Unsure};

/// A pattern, which matches a whole text or does not.
#[derive(Debug)]
pub(super) struct Glob(Vec<Item>);

#[derive(Debug)]
enum Item {
    /// `*`
    Run,
    /// `?`
    One,
    This(u8),
    /// `[…]`
    Of {
        members: Vec<(u8, u8)>,
        negated: bool,
    },
}

/// The work of one expansion, in comparisons of a pattern with a text.
const MOST_TRIES: usize = 20_000;

impl Glob {
    /// Reads a pattern whose bytes say whether they were quoted.
    pub(super) fn parse(marked: &[(u8, bool)]) -> Sure<Self> {
        let mut items = Vec::new();
        let mut rest = marked;
        while let Some(((byte, quoted), after)) = rest.split_first() {
            rest = after;
            items.push(match byte {
                _ if *quoted => Item::This(*byte),
                b'*' => Item::Run,
                b'?' => Item::One,
                b'[' => {
                    let end = rest
                        .iter()
                        .skip(1)
                        .position(|(byte, _)| *byte == b']')
                        .ok_or(Unsure)?
                        + 1;
                    let inner = &rest[..end];
                    rest = &rest[end + 1..];
                    set(inner)?
                }
                // From an unquoted value: whether it quotes depends on the version of bash.
                b'\\' => return Err(Unsure),
                _ => Item::This(*byte),
            });
        }
        // The expansions that make a pattern may be long, and matching is quadratic.
        if items.len() > 200 {
            Err(Unsure)
        } else {
            Ok(Self(items))
        }
    }

    fn is_match(&self, text: &[u8]) -> bool {
        // Where to go on when something does not fit: the last `*` takes one more.
        let (mut item, mut at) = (0, 0);
        let mut again: Option<(usize, usize)> = None;
        loop {
            match self.0.get(item) {
                Some(Item::Run) => {
                    again = Some((item + 1, at));
                    item += 1;
                    continue;
                }
                Some(one) if text.get(at).is_some_and(|byte| one.takes(*byte)) => {
                    (item, at) = (item + 1, at + 1);
                    continue;
                }
                None if at == text.len() => return true,
                _ => {}
            }
            match again {
                Some((after, from)) if from < text.len() => {
                    (item, at) = (after, from + 1);
                    again = Some((after, from + 1));
                }
                _ => return false,
            }
        }
    }
}

impl Item {
    fn takes(&self, byte: u8) -> bool {
        match self {
            Self::Run => false,
            Self::One => true,
            Self::This(this) => *this == byte,
            Self::Of { members, negated } => {
                members
                    .iter()
                    .any(|(first, last)| (*first..=*last).contains(&byte))
                    != *negated
            }
        }
    }
}

/// What is between the brackets.
fn set(inner: &[(u8, bool)]) -> Sure<Item> {
    if inner
        .iter()
        .any(|(byte, quoted)| *quoted || matches!(byte, b'[' | b'\\' | b'/'))
    {
        return Err(Unsure);
    }
    let bytes: Vec<u8> = inner.iter().map(|(byte, _)| *byte).collect();
    let (negated, mut rest) = match bytes.as_slice() {
        [b'!' | b'^', rest @ ..] => (true, rest),
        all => (false, all),
    };
    let mut members = Vec::new();
    while let [first, after @ ..] = rest {
        (members, rest) = match after {
            [b'-', last, after @ ..] if first <= last => ([members, vec![(*first, *last)]].concat(), after),
            [b'-', _, ..] => return Err(Unsure),
            _ => ([members, vec![(*first, *first)]].concat(), after),
        };
    }
    if members.is_empty() {
        Err(Unsure)
    } else {
        Ok(Item::Of { members, negated })
    }
}

/// `text` without the shortest or longest beginning, or end, that matches.
pub(super) fn strip<'a>(text: &'a str, pattern: &Glob, longest: bool, at_end: bool) -> Sure<&'a str> {
    if text.len() > MOST_TRIES {
        return Err(Unsure);
    }
    // From short to long for `#` and `%`, from long to short for the doubled ones.
    let lengths: Box<dyn Iterator<Item = usize>> = if longest {
        Box::new((0..=text.len()).rev())
    } else {
        Box::new(0..=text.len())
    };
    for length in lengths {
        let (kept, matched) = if at_end {
            text.split_at(text.len() - length)
        } else {
            let (matched, kept) = text.split_at(length);
            (kept, matched)
        };
        if pattern.is_match(matched.as_bytes()) {
            return Ok(kept);
        }
    }
    Ok(text)
}

/// `text` with the first match, or every one from left to right, replaced; the longest at each place.
pub(super) fn replace(text: &str, pattern: &Glob, with: &str, all: bool) -> Sure<String> {
    if text.len() * text.len() > MOST_TRIES * 50 || pattern.is_match(b"") {
        return Err(Unsure);
    }
    let mut out = String::new();
    let mut at = 0;
    while at < text.len() {
        let end = (at + 1..=text.len())
            .rev()
            .find(|end| pattern.is_match(&text.as_bytes()[at..*end]));
        match end {
            Some(end) => {
                out.push_str(with);
                at = end;
                if !all {
                    break;
                }
            }
            None => {
                out.push_str(&text[at..=at]);
                at += 1;
            }
        }
    }
    out.push_str(&text[at..]);
    Ok(out)
}
