//! SPECs and macro files as text, although rpm reads bytes.
//!
//! A byte that is not UTF-8 becomes a character of Unicode's last private plane, and that byte again when it is written;
//! so nothing is lost and everything between is `str`.

use std::borrow::Cow;

/// The first of 256 characters (U+10FF00 …) that stand for bytes.
const STAND_IN: u32 = 0x10_FF00;

/// Bytes as text.
pub fn decode(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains(is_stand_in) => Cow::Borrowed(text),
        _ => Cow::Owned(decode_slowly(bytes)),
    }
}

fn decode_slowly(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            // A stand-in that is in the text itself would come back as one byte: its bytes stand for themselves.
            if is_stand_in(c) {
                out.extend(c.encode_utf8(&mut [0; 4]).bytes().map(stand_in));
            } else {
                out.push(c);
            }
        }
        out.extend(chunk.invalid().iter().copied().map(stand_in));
    }
    out
}

/// Text as the bytes that it stands for.
pub fn encode(text: &str) -> Cow<'_, [u8]> {
    if !text.contains(is_stand_in) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut out = Vec::with_capacity(text.len());
    for c in text.chars() {
        match (c as u32).checked_sub(STAND_IN) {
            Some(byte) if byte < 256 => out.push(byte as u8),
            _ => out.extend(c.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    Cow::Owned(out)
}

/// Is there a character in `text` that stands for a byte: a byte that is not UTF-8?
pub fn has_stand_ins(text: &str) -> bool {
    // The first byte of each character of that plane, and of few others.
    memchr::memchr(0xF4, text.as_bytes()).is_some() && text.contains(is_stand_in)
}

fn is_stand_in(c: char) -> bool {
    (STAND_IN..STAND_IN + 256).contains(&(c as u32))
}

fn stand_in(byte: u8) -> char {
    char::from_u32(STAND_IN + u32::from(byte)).expect("the plane ends at U+10FFFF")
}

/// rpm's blank: space and tab.
pub fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// rpm's white space, whatever the locale.
pub fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// End of a line, as rpm sees it.
pub fn is_eol(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// `text` without white space at either end, as rpm sees it.
pub fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| u8::try_from(c).is_ok_and(is_space))
}

/// `text` without white space at its start, as rpm sees it.
pub fn trim_start(text: &str) -> &str {
    text.trim_start_matches(|c: char| u8::try_from(c).is_ok_and(is_space))
}

/// `text` without white space at its end, as rpm sees it.
pub fn trim_end(text: &str) -> &str {
    text.trim_end_matches(|c: char| u8::try_from(c).is_ok_and(is_space))
}

/// The position after the bracket that closes the one at `start`; a backslash hides the byte after it.
pub fn after_match(text: &[u8], start: usize, close: u8) -> Option<usize> {
    let open = text[start];
    let mut level = 0_usize;
    let mut at = start;
    while at < text.len() {
        let byte = text[at];
        at += 1;
        if byte == b'\\' {
            at += 1;
        } else if byte == close {
            level = level.saturating_sub(1);
            if level == 0 {
                return Some(at);
            }
        } else if byte == open {
            level += 1;
        }
    }
    None
}

/// Open brackets of macros (`%{`, `%(`, `%[`) and a backslash at the end: whether a line goes on in the next.
///
/// Counts as rpm's readers do: a bare bracket counts only inside a macro's of the same kind, and quotes mean nothing.
#[derive(Default)]
pub struct Open {
    braces: u32,
    parens: u32,
    squares: u32,
    continued: bool,
}

impl Open {
    /// Counts what `text` opens and closes.
    pub fn scan(&mut self, text: &[u8]) {
        if !self.brackets() && !text.contains(&b'%') && !text.contains(&b'\\') {
            self.continued &= !text.contains(&b'\n');
            return;
        }
        let mut at = 0;
        while at < text.len() {
            let byte = text[at];
            if byte.is_ascii_alphanumeric() || byte == b' ' {
                at += 1;
                continue;
            }
            let next = text.get(at + 1).copied();
            match byte {
                b'\\' => match next {
                    Some(b'\n') => {
                        self.continued = true;
                        at += 1;
                    }
                    Some(_) => at += 1,
                    None => {}
                },
                b'\n' => self.continued = false,
                b'%' => match next {
                    Some(b'{') => (self.braces, at) = (self.braces + 1, at + 1),
                    Some(b'(') => (self.parens, at) = (self.parens + 1, at + 1),
                    Some(b'[') => (self.squares, at) = (self.squares + 1, at + 1),
                    Some(b'%') => at += 1,
                    _ => {}
                },
                b'{' if self.braces > 0 => self.braces += 1,
                b'}' => self.braces = self.braces.saturating_sub(1),
                b'(' if self.parens > 0 => self.parens += 1,
                b')' => self.parens = self.parens.saturating_sub(1),
                b'[' if self.squares > 0 => self.squares += 1,
                b']' => self.squares = self.squares.saturating_sub(1),
                _ => {}
            }
            at += 1;
        }
    }

    /// Is a bracket open?
    pub fn brackets(&self) -> bool {
        self.braces > 0 || self.parens > 0 || self.squares > 0
    }

    /// Does the text go on in the next line?
    pub fn goes_on(&self) -> bool {
        self.brackets() || self.continued
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back() {
        let wild: Vec<u8> = (0..=255).chain("ü\u{10FFE4}€".bytes()).collect();
        for bytes in [&b"plain"[..], "ünï".as_bytes(), &wild, &[0xff], b""] {
            assert_eq!(encode(&decode(bytes)), bytes);
        }
    }

    #[test]
    fn brackets_are_matched_with_escapes() {
        assert_eq!(after_match(b"{a{b}c}d", 0, b'}'), Some(7));
        assert_eq!(after_match(b"{a\\}b}", 0, b'}'), Some(6));
        assert_eq!(after_match(b"{a", 0, b'}'), None);
    }
}
