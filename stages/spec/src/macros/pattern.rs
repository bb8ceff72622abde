//! Patterns of the shell's kind, as C's `glob` and `fnmatch` have them.

use super::{World, text};

/// The most paths that one pattern gives.
const MOST: usize = 10_000;

/// The paths that a pattern leads to, of each of its braces' alternatives sorted, as `glob(3)` gives them.
pub(super) fn glob(world: &dyn World, pattern: &str) -> Vec<String> {
    let mut found = Vec::new();
    for pattern in alternatives(pattern) {
        let root = if pattern.starts_with('/') { "/" } else { "" };
        let mut paths = vec![root.to_owned()];
        for part in pattern.split('/').filter(|part| !part.is_empty()) {
            let is_plain = !part.contains(['*', '?', '[', '\\']);
            let mut next = Vec::new();
            for folder in &paths {
                let join = |name: &str| match folder.as_str() {
                    "" | "/" => format!("{folder}{name}"),
                    _ => format!("{folder}/{name}"),
                };
                if is_plain {
                    next.extend(Some(join(part)).filter(|path| world.exists(path)));
                    continue;
                }
                let names = world.list(if folder.is_empty() { "." } else { folder });
                let names = names.iter().filter(|name| pattern_matches(part, name));
                next.extend(names.map(|name| join(name)).take(MOST - next.len().min(MOST)));
            }
            paths = next;
        }
        found.extend(paths.into_iter().filter(|path| !path.is_empty()));
        found.truncate(MOST);
    }
    found
}

/// Does `name` (no `/` in it) match a pattern of the shell's kind, as C's `glob` has it with braces?
///
/// Bytes are compared; a period at the start is matched by a period only.
pub fn pattern_matches(pattern: &str, name: &str) -> bool {
    alternatives(pattern).iter().any(|pattern| {
        let hidden = name.starts_with('.') && !pattern.trim_start_matches('\\').starts_with('.');
        !hidden && matches(pattern.as_bytes(), name.as_bytes())
    })
}

/// `a{b,c}d` as `abd` and `acd`. Braces that are escaped, empty, never closed or in a `[…]` are characters, and so are all of a
/// pattern that is too long, or would give too many.
fn alternatives(pattern: &str) -> Vec<String> {
    const LONGEST: usize = 1024;
    const STEPS: usize = 2_000;
    if pattern.len() > LONGEST || !pattern.contains('{') {
        return vec![pattern.to_owned()];
    }
    let (mut open, mut made) = (vec![pattern.to_owned()], Vec::new());
    for _ in 0..STEPS {
        let Some(pattern) = open.pop() else {
            return made;
        };
        let Some((start, commas, close)) = first_braces(pattern.as_bytes()) else {
            made.push(pattern);
            continue;
        };
        let (before, after) = (&pattern[..start], &pattern[close + 1..]);
        let ends = commas.iter().copied().chain([close]);
        let starts = [start].into_iter().chain(commas.iter().copied());
        let parts = starts.zip(ends).map(|(start, end)| &pattern[start + 1..end]);
        let parts: Vec<String> = parts.map(|part| format!("{before}{part}{after}")).collect();
        open.extend(parts.into_iter().rev());
    }
    vec![pattern.to_owned()]
}

/// Where the first pair of braces opens, its own commas, and where it closes.
fn first_braces(pattern: &[u8]) -> Option<(usize, Vec<usize>, usize)> {
    let (mut open, mut commas, mut depth, mut at) = (None, Vec::new(), 0_usize, 0);
    while at < pattern.len() {
        match pattern[at] {
            b'\\' => at += 1,
            b'[' => at += set(&pattern[at..], 0).map_or(0, |(length, _)| length - 1),
            b'{' if depth == 0 && pattern.get(at + 1) == Some(&b'}') => at += 1,
            b'{' => {
                depth += 1;
                open.get_or_insert(at);
            }
            b',' if depth == 1 => commas.push(at),
            b'}' if depth == 1 => return Some((open?, commas, at)),
            b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    None
}

/// Matches with one point to come back to: the last `*`.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star = None;
    loop {
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            star = Some((p, n));
            continue;
        }
        let taken = match name.get(n) {
            None if p == pattern.len() => return true,
            None => return false,
            Some(byte) => one(&pattern[p..], *byte),
        };
        match (taken, star) {
            (Some(length), _) => (p, n) = (p + length, n + 1),
            (None, Some((after, from))) => {
                (p, n) = (after, from + 1);
                star = Some((after, n));
            }
            (None, None) => return false,
        }
    }
}

/// How long the first element of `pattern` is, if it matches `byte`.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match (pattern.first()?, pattern.get(1)) {
        (b'?', _) => Some(1),
        (b'\\', Some(escaped)) => (*escaped == byte).then_some(2),
        (b'[', _) => match set(pattern, byte) {
            Some((length, found)) => found.then_some(length),
            None => (byte == b'[').then_some(1),
        },
        (plain, _) => (*plain == byte).then_some(1),
    }
}

/// How long the `[…]` at the start of `pattern` is, and whether `byte` is in it; nothing if it is not closed.
fn set(pattern: &[u8], byte: u8) -> Option<(usize, bool)> {
    let negated = matches!(pattern.get(1), Some(b'!' | b'^'));
    let first = if negated { 2 } else { 1 };
    let (mut at, mut found) = (first, false);
    loop {
        match *pattern.get(at)? {
            b']' if at > first => return Some((at + 1, found != negated)),
            b'[' if pattern.get(at + 1) == Some(&b':') => {
                let length = pattern[at + 2..].windows(2).position(|two| two == b":]")?;
                found |= is_of_class(&pattern[at + 2..at + 2 + length], byte);
                at += length + 4;
            }
            _ => {
                let (low, after) = member(pattern, at)?;
                let dash = pattern.get(after) == Some(&b'-');
                if dash && pattern.get(after + 1).is_some_and(|next| *next != b']') {
                    let (high, after) = member(pattern, after + 1)?;
                    found |= (low..=high).contains(&byte);
                    at = after;
                } else {
                    found |= low == byte;
                    at = after;
                }
            }
        }
    }
}

/// The byte at `at`, which may be escaped, and the position after it.
fn member(pattern: &[u8], at: usize) -> Option<(u8, usize)> {
    match pattern.get(at)? {
        b'\\' => Some((*pattern.get(at + 1)?, at + 2)),
        byte => Some((*byte, at + 1)),
    }
}

fn is_of_class(class: &[u8], byte: u8) -> bool {
    match class {
        b"alnum" => byte.is_ascii_alphanumeric(),
        b"alpha" => byte.is_ascii_alphabetic(),
        b"blank" => text::is_blank(byte),
        b"digit" => byte.is_ascii_digit(),
        b"lower" => byte.is_ascii_lowercase(),
        b"punct" => byte.is_ascii_punctuation(),
        b"space" => text::is_space(byte),
        b"upper" => byte.is_ascii_uppercase(),
        b"xdigit" => byte.is_ascii_hexdigit(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_glob_does() {
        let yes = [
            ("macros.*", "macros.perl"),
            ("macros.*", "macros."),
            ("*.attr", "a.b.attr"),
            ("?[a-c0-9]*", "xb"),
            ("[!a]b", "xb"),
            ("[]x]", "]"),
            ("[[:digit:]_]", "_"),
            ("[a-]", "-"),
            ("a\\*", "a*"),
            ("[", "["),
            (".*", ".x"),
            ("{a,b{c,d}}e", "bde"),
            ("{}", "{}"),
            ("*a*b*c", "xaxbxbc"),
        ];
        let no = [
            ("macros.*", "macros"),
            ("*", ".hidden"),
            ("?x", ".x"),
            ("[!a]b", "ab"),
            ("a\\*", "ab"),
            ("{a,b}c", "ac.d"),
            ("*a*b*c", "xaxbxb"),
            ("", "a"),
        ];
        for (pattern, name) in yes {
            assert!(pattern_matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in no {
            assert!(!pattern_matches(pattern, name), "{pattern} {name}");
        }
        assert_eq!(alternatives("{a,b,}{c,d}"), ["ac", "ad", "bc", "bd", "c", "d"]);
    }
}
