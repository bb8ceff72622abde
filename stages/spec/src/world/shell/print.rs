//! `echo` and `printf`, as bash has them built in.

use std::{iter::Peekable, str::Chars};

use super::{Sure, Unsure};

/// bash's, without `xpg_echo`.
pub(super) fn echo(arguments: &[String]) -> Sure<String> {
    let is_option = |word: &&String| {
        let letters = word.strip_prefix('-').unwrap_or("");
        !letters.is_empty() && letters.bytes().all(|letter| matches!(letter, b'n' | b'e' | b'E'))
    };
    let options = arguments.iter().take_while(is_option).count();
    let (options, words) = arguments.split_at(options);
    let text = words.join(" ");
    if options.iter().any(|option| option.contains('e')) && text.contains('\\') {
        return Err(Unsure);
    }
    let silent = options.iter().any(|option| option.contains('n'));
    Ok(if silent { text } else { text + "\n" })
}

/// `%s`, `%d` and `%%`, with a width and, for text, a precision.
pub(super) fn printf(arguments: &[String]) -> Sure<String> {
    let marked = arguments.strip_prefix(&["--".to_owned()]);
    let (format, mut values) = marked.unwrap_or(arguments).split_first().ok_or(Unsure)?;
    if marked.is_none() && format.starts_with('-') || format.is_empty() {
        return Err(Unsure);
    }
    let mut out = String::new();
    // The format is used again as long as there are values.
    loop {
        let before = values.len();
        let mut chars = format.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\\' => out.push(match chars.next().ok_or(Unsure)? {
                    'n' => '\n',
                    't' => '\t',
                    '\\' => '\\',
                    _ => return Err(Unsure),
                }),
                '%' if chars.next_if_eq(&'%').is_some() => out.push('%'),
                '%' => {
                    let (value, rest) = values.split_first().ok_or(Unsure)?;
                    values = rest;
                    out += &conversion(&mut chars, value)?;
                }
                _ => out.push(c),
            }
        }
        if values.is_empty() {
            return Ok(out);
        }
        if values.len() == before || out.len() > super::LONGEST {
            return Err(Unsure);
        }
    }
}

/// What follows a `%`, for one value.
fn conversion(chars: &mut Peekable<Chars<'_>>, value: &str) -> Sure<String> {
    let zero = chars.next_if_eq(&'0').is_some();
    let width = number(chars)?.unwrap_or(0);
    let precision = match chars.next_if_eq(&'.') {
        Some(_) => Some(number(chars)?.ok_or(Unsure)?),
        None => None,
    };
    match (chars.next(), precision) {
        (Some('s'), _) if !zero => {
            let end = precision.unwrap_or(value.len()).min(value.len());
            Ok(format!("{:>width$}", &value[..end]))
        }
        (Some('d'), None) if is_decimal(value) => {
            let value: i64 = value.parse().map_err(|_| Unsure)?;
            Ok(if zero {
                format!("{value:0width$}")
            } else {
                format!("{value:width$}")
            })
        }
        _ => Err(Unsure),
    }
}

fn number(chars: &mut Peekable<Chars<'_>>) -> Sure<Option<usize>> {
    let mut digits = String::new();
    while let Some(digit) = chars.next_if(char::is_ascii_digit) {
        digits.push(digit);
    }
    match digits.len() {
        0 => Ok(None),
        1..=3 => digits.parse().map(Some).map_err(|_| Unsure),
        _ => Err(Unsure),
    }
}

/// A leading zero would make it octal.
fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits == "0"
        || !digits.starts_with('0') && !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}
