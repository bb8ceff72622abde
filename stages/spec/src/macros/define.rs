//! `%define`, `%global`, `%undefine`: reading a definition.

use super::{
    Behaviour, Engine, Failed, Severity,
    expand::Frame,
    table::{Body, Definition},
    text::{after_match, is_blank, is_eol},
};

/// A definition as it stands in the text.
struct Read {
    name: String,
    options: Option<String>,
    body: String,
    /// Nothing separates the body from what is before it.
    glued: bool,
    /// Bytes read, with the ends of line after it.
    length: usize,
}

/// Why there is no definition: rpm's words, and the bytes to skip.
struct Unreadable(String, usize);

/// Reads `NAME[(OPTIONS)] BODY` from the start of `source`. With `free`, the body ends with its line (or brace), and
/// backslashes are taken out of it; without, it is all of the rest.
fn read(source: &str, free: bool) -> Result<Read, Unreadable> {
    let bytes = source.as_bytes();
    let at = |index: usize| bytes.get(index).copied().unwrap_or(0);
    let blanks = |mut index: usize| {
        while is_blank(at(index)) {
            index += 1;
        }
        index
    };
    let start = blanks(0);
    let mut s = start;
    while at(s).is_ascii_alphanumeric() || at(s) == b'_' {
        s += 1;
    }
    let name = source[start..s].to_owned();
    let mut options = None;
    if at(s) == b'(' {
        let Some(length) = source[s + 1..].find(')') else {
            return Err(Unreadable(format!("Macro %{name} has unterminated opts"), s + 1));
        };
        options = Some(source[s + 1..s + 1 + length].to_owned());
        s += length + 2;
    }
    let continues = at(s) == b'\\' && is_eol(at(s + 1));
    let glued = !(is_blank(at(s)) || continues);
    s = blanks(s);
    let unterminated = |s| Unreadable(format!("Macro %{name} has unterminated body"), s);
    let body;
    if !free {
        body = source[s..].to_owned();
        s = bytes.len();
    } else if at(s) == b'{' {
        let end = after_match(bytes, s, b'}').ok_or_else(|| unterminated(s))?;
        body = source[s + 1..end - 1].to_owned();
        s = end;
    } else {
        let (text, end, closed) = free_field(source, s);
        if !closed {
            return Err(unterminated(end));
        }
        body = text;
        s = end;
    }
    while is_eol(at(s)) {
        s += 1;
    }
    Ok(Read {
        name,
        options,
        body,
        glued,
        length: s,
    })
}

/// A body without braces around it: to the end of the line, unless a backslash or an open `%{` or `%(` hides it.
/// Gives the text without backslashes, where it ends, and whether all brackets are closed.
fn free_field(source: &str, start: usize) -> (String, usize, bool) {
    let bytes = source.as_bytes();
    let (mut braces, mut parens, mut squares) = (0_u32, 0_u32, 0_u32);
    let mut body = String::new();
    let mut from = start;
    let mut s = start;
    // An open `%[` does not hide the end of a line: so it is in rpm.
    while s < bytes.len() && (braces > 0 || parens > 0 || !is_eol(bytes[s])) {
        let next = bytes.get(s + 1).copied();
        match bytes[s] {
            b'\\' if next.is_some() => {
                body.push_str(&source[from..s]);
                s += 1;
                from = s;
            }
            b'%' => match next {
                Some(b'{') => (braces, s) = (braces + 1, s + 1),
                Some(b'(') => (parens, s) = (parens + 1, s + 1),
                Some(b'[') => (squares, s) = (squares + 1, s + 1),
                Some(b'%') => s += 1,
                _ => {}
            },
            b'{' if braces > 0 => braces += 1,
            b'}' => braces = braces.saturating_sub(1),
            b'(' if parens > 0 => parens += 1,
            b')' => parens = parens.saturating_sub(1),
            b'[' if squares > 0 => squares += 1,
            b']' => squares = squares.saturating_sub(1),
            _ => {}
        }
        s += 1;
    }
    s = s.min(bytes.len());
    body.push_str(&source[from..s]);
    let end = body.trim_end_matches([' ', '\t', '\n', '\r']).len();
    body.truncate(end);
    (body, s, braces == 0 && parens == 0 && squares == 0)
}

impl Engine {
    /// Reads a definition and makes it; gives the bytes read.
    pub(super) fn define_from(
        &mut self,
        frame: &mut Frame,
        source: &str,
        level: i32,
        expand_body: bool,
        free: bool,
    ) -> usize {
        let read = match read(source, free) {
            Ok(read) => read,
            Err(Unreadable(why, length)) => {
                self.fail(frame, &why);
                return length;
            }
        };
        let length = read.length;
        self.make(frame, read, level, expand_body);
        length
    }

    fn make(&mut self, frame: &mut Frame, read: Read, level: i32, expand_body: bool) {
        let name = &read.name;
        let how = if expand_body { "%global" } else { "%define" };
        if !self.may_define(frame, name, how) {
            return;
        }
        if read.body.is_empty() {
            return self.fail(frame, &format!("Macro %{name} has empty body"));
        }
        if read.glued {
            self.say_here(
                Severity::Warning,
                &format!("Macro %{name} needs whitespace before body"),
            );
        }
        let (mut body, mut quoted) = (read.body, false);
        if expand_body {
            let (expanded, failed, has_quotes) = self.apart(frame, &body, true);
            if failed {
                return self.fail(frame, &format!("Macro %{name} failed to expand"));
            }
            quoted = has_quotes && self.behaviour > Behaviour::Rpm418;
            body = expanded;
        }
        self.pay(body.len());
        let body = Body::Text(body.into());
        let mut definition = Definition::new(name, read.options.as_deref(), body, level);
        definition.quoted = quoted;
        definition.place = self.place.clone();
        self.table.push(definition);
    }

    /// `rpm.undefine` of Lua: rpm 6 leaves its own functions alone.
    pub(super) fn undefine(&mut self, name: &str) -> Result<(), Failed> {
        let mut frame = self.frame();
        if self.behaviour < Behaviour::Rpm6 || self.may_define(&mut frame, name, "%undefine") {
            self.table.pop(name);
        }
        frame.result().map(drop)
    }

    /// Whether a macro may have this name: letters or `_` first, at least two characters after `_`, no built-in's.
    pub(super) fn may_define(&mut self, frame: &mut Frame, name: &str, how: &str) -> bool {
        let first = name.bytes().next().unwrap_or(0);
        if !(first.is_ascii_alphabetic() || (first == b'_' && name.len() > 1)) {
            self.fail(frame, &format!("Macro %{name} has illegal name ({how})"));
            return false;
        }
        let found = self.table.get(name);
        if found.is_some_and(|found| found.automatic || found.is_builtin()) {
            self.fail(frame, &format!("Macro %{name} is a built-in ({how})"));
            return false;
        }
        true
    }
}
