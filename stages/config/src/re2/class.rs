//! Classes (`[a-z]`, `\d`, `\p{Greek}`) and escaped characters.

use super::push_literal;

/// What is wrong, and how many characters on.
type Wrong = (usize, String);

/// `\d` and its like, as a class.
pub(super) fn perl(c: char) -> Option<&'static str> {
    Some(match c {
        'd' => "[0-9]",
        'D' => "[^0-9]",
        's' => r"[\t\n\f\r ]",
        'S' => r"[^\t\n\f\r ]",
        'w' => "[0-9A-Za-z_]",
        'W' => "[^0-9A-Za-z_]",
        _ => return None,
    })
}

/// The class that `chars` start with, as the `regex` crate writes it, and how long it is.
pub(super) fn read(chars: &[char]) -> Result<(String, usize), Wrong> {
    let mut at = 1;
    let mut out = "[".to_owned();
    if chars.get(at) == Some(&'^') {
        out.push('^');
        at += 1;
    }
    let first = at;
    loop {
        let rest = &chars[at..];
        match rest {
            [] => return Err((0, "this `[` is not closed".to_owned())),
            [']', ..] if at > first => {
                out.push(']');
                return Ok((out, at + 1));
            }
            ['[', ':', ..] => {
                if let Some((written, length)) = posix(rest).map_err(|what| (at, what))? {
                    out.push_str(&written);
                    at += length;
                    continue;
                }
            }
            ['\\', 'p' | 'P', ..] => {
                let (written, length) = property(rest).map_err(|what| (at, what))?;
                out.push_str(&written);
                at += length;
                continue;
            }
            ['\\', c, ..] => {
                if let Some(class) = perl(*c) {
                    out.push_str(class);
                    at += 2;
                    continue;
                }
            }
            _ => {}
        }
        let (low, length) = one(rest).map_err(|what| (at, what))?;
        let start = at;
        at += length;
        push_literal(&mut out, low);
        if chars.get(at) == Some(&'-') && chars.get(at + 1).is_some_and(|c| *c != ']') {
            let (high, length) = one(&chars[at + 1..]).map_err(|what| (at + 1, what))?;
            if high < low {
                return Err((start, "this range ends before it begins".to_owned()));
            }
            at += 1 + length;
            out.push('-');
            push_literal(&mut out, high);
        }
    }
}

/// One character of a class.
fn one(chars: &[char]) -> Result<(char, usize), String> {
    match chars {
        ['\\', ..] => character(chars),
        [c, ..] => Ok((*c, 1)),
        [] => Err("the class is not closed".to_owned()),
    }
}

/// `[:alpha:]`; without the second colon, the bracket means itself.
fn posix(chars: &[char]) -> Result<Option<(String, usize)>, String> {
    const NAMES: [&str; 14] = [
        "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
        "upper", "word", "xdigit",
    ];
    let inner = &chars[2..];
    let Some(length) = inner.windows(2).position(|two| two == [':', ']']) else {
        return Ok(None);
    };
    let name: String = inner[..length].iter().collect();
    match NAMES.contains(&name.strip_prefix('^').unwrap_or(&name)) {
        true => Ok(Some((format!("[:{name}:]"), length + 4))),
        false => Err(format!("there is no class `[:{name}:]`")),
    }
}

/// `\pL`, `\p{Greek}`, `\P{^Greek}`, and how long it is.
pub(super) fn property(chars: &[char]) -> Result<(String, usize), String> {
    let unknown = || "this names no class of characters".to_owned();
    let mut negated = chars[1] == 'P';
    let (name, length) = match chars.get(2) {
        Some('{') => {
            let end = chars
                .iter()
                .take(64)
                .position(|c| *c == '}')
                .ok_or_else(unknown)?;
            (chars[3..end].iter().collect::<String>(), end + 1)
        }
        Some(c) => (c.to_string(), 3),
        None => return Err(unknown()),
    };
    let name = match name.strip_prefix('^') {
        Some(rest) => {
            negated = !negated;
            rest
        }
        None => &name,
    };
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(unknown());
    }
    Ok((format!("\\{}{{{name}}}", if negated { 'P' } else { 'p' }), length))
}

/// The character that an escape stands for, and how long it is.
pub(super) fn character(chars: &[char]) -> Result<(char, usize), String> {
    let Some(c) = chars.get(1).copied() else {
        return Err("a backslash is at the end".to_owned());
    };
    let simple = match c {
        'a' => Some('\u{7}'),
        'f' => Some('\u{c}'),
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        'v' => Some('\u{b}'),
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => Some(c),
        _ => None,
    };
    if let Some(simple) = simple {
        return Ok((simple, 2));
    }
    let digit = |at: usize| chars.get(at).and_then(|c| c.to_digit(8));
    match c {
        // A single digit other than zero would be a reference back.
        '1'..='7' if digit(2).is_none() => Err("RE2 has no references back to groups".to_owned()),
        '0'..='7' => {
            let digits: Vec<u32> = (1..4).map_while(digit).collect();
            let code = digits.iter().fold(0, |code, digit| code * 8 + digit);
            Ok((char::from_u32(code).unwrap_or_default(), digits.len() + 1))
        }
        'x' => hexadecimal(chars),
        _ => Err(format!("`\\{c}` is no escape that RE2 has")),
    }
}

fn hexadecimal(chars: &[char]) -> Result<(char, usize), String> {
    let wrong = || "this is no character's number".to_owned();
    let (digits, length) = match chars.get(2) {
        Some('{') => {
            let end = chars.iter().take(16).position(|c| *c == '}').ok_or_else(wrong)?;
            (chars[3..end].iter().collect::<String>(), end + 1)
        }
        _ => (chars.get(2..4).ok_or_else(wrong)?.iter().collect(), 4),
    };
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let code = u32::from_str_radix(&digits, 16).ok().filter(|_| plain);
    code.and_then(char::from_u32)
        .map(|c| (c, length))
        .ok_or_else(wrong)
}
