//! Cutting a SPEC into lines, and what a line is by its first word.
//!
//! rpm reads on while a bracket of a macro is open or the line ends with a backslash, expands all that at once, and takes
//! the result line by line. So after a backslash a new line begins (an `%if` there is an `%if`), but not inside brackets,
//! and not where the text before takes it in: the body of a definition, the expression of a condition.

use super::{
    Span,
    condition::{Keyword, keyword},
    section::{SectionKind, section_kind},
};
use crate::macros::text::{self, Open};

/// What defines, or takes back, a macro.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefinitionKind {
    /// `%define`
    Define,
    /// `%global`
    Global,
    /// `%undefine`
    Undefine,
    /// `%bcond`
    Bcond,
    /// `%bcond_with`
    BcondWith,
    /// `%bcond_without`
    BcondWithout,
}

impl DefinitionKind {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "define" => Self::Define,
            "global" => Self::Global,
            "undefine" => Self::Undefine,
            "bcond" => Self::Bcond,
            "bcond_with" => Self::BcondWith,
            "bcond_without" => Self::BcondWithout,
            _ => return None,
        })
    }

    /// Does it give a macro a body?
    pub fn has_body(self) -> bool {
        matches!(self, Self::Define | Self::Global)
    }
}

/// A line that defines a macro.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// By which word.
    pub kind: DefinitionKind,
    /// The macro's (or the condition's) name.
    pub name: Span,
    /// What stands in parentheses after the name; that they are there makes the macro parametric.
    pub options: Option<Span>,
    /// The rest, without white space around it; backslashes at the ends of its lines are in it.
    pub body: Span,
}

/// A line, and what its first word makes of it.
pub(super) struct Cut {
    pub(super) span: Span,
    pub(super) joined: bool,
    pub(super) lead: Lead,
}

/// What a line is by its first word, in whatever section.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Lead {
    Blank,
    Comment,
    Dnl,
    Section(SectionKind),
    Directive(Keyword),
    Include,
    Definition(DefinitionKind),
    Macro(Span),
    Other,
}

impl Lead {
    /// Does it take in what follows a backslash?
    fn goes_on(self) -> bool {
        match self {
            Self::Directive(_) | Self::Include => true,
            Self::Definition(kind) => kind.has_body(),
            _ => false,
        }
    }
}

/// All lines of a text, where the lines of the file start, and the line that is open at its end, if one is.
pub(super) struct Cuts {
    pub(super) lines: Vec<Cut>,
    pub(super) starts: Vec<usize>,
    pub(super) unterminated: Option<usize>,
}

/// Cuts a text.
pub(super) fn cut(text: &str) -> Cuts {
    let mut open = Open::default();
    let (mut lines, mut starts): (Vec<Cut>, Vec<usize>) = (Vec::new(), Vec::new());
    let mut group = 0;
    let mut start = 0;
    for piece in text.split_inclusive('\n') {
        let span = Span::new(start, start + piece.len());
        start = span.end;
        starts.push(span.start);
        let (inside, joined) = (open.brackets(), open.goes_on());
        open.scan(piece.as_bytes());
        match lines.last_mut() {
            Some(last) if inside || (joined && last.lead.goes_on()) => last.span.end = span.end,
            _ => {
                let lead = lead(text, span);
                if !joined {
                    group = lines.len();
                }
                lines.push(Cut { span, joined, lead });
            }
        }
    }
    let unterminated = match (open.brackets(), open.goes_on()) {
        (true, _) => lines.len().checked_sub(1),
        (false, true) => Some(group),
        (false, false) => None,
    };
    Cuts {
        lines,
        starts,
        unterminated,
    }
}

fn lead(text: &str, span: Span) -> Lead {
    let line = span.of(text);
    let bytes = line.as_bytes();
    let Some(first) = bytes.iter().position(|byte| !text::is_space(*byte)) else {
        return Lead::Blank;
    };
    match bytes[first] {
        b'#' => return Lead::Comment,
        b'%' => {}
        _ => return Lead::Other,
    }
    if first == 0
        && let Some(kind) = section_kind(line)
    {
        return Lead::Section(kind);
    }
    let rest = &line[first..];
    if let Some(keyword) = keyword(rest) {
        return Lead::Directive(keyword);
    }
    if follows(rest, "%include") {
        return Lead::Include;
    }
    let Some(name) = macro_name(rest) else {
        return Lead::Other;
    };
    let plain = name.start == 1;
    let offset = span.start + first;
    match (plain, DefinitionKind::of(name.of(rest)), name.of(rest)) {
        (true, Some(kind), _) => Lead::Definition(kind),
        (true, None, "dnl") => Lead::Dnl,
        _ => Lead::Macro(Span::new(offset + name.start, offset + name.end)),
    }
}

/// Does `line` start with `word`, and does a blank or nothing follow?
pub(super) fn follows(line: &str, word: &str) -> bool {
    line.strip_prefix(word)
        .is_some_and(|rest| rest.bytes().next().is_none_or(text::is_blank))
}

/// The name of the macro that `text` starts with: `%name`, `%?name`, `%{name…}`, `%{!?name:…}`.
pub(super) fn macro_name(text: &str) -> Option<Span> {
    let bytes = text.as_bytes();
    let mut at = 1;
    if bytes.get(at) == Some(&b'{') {
        at += 1;
    }
    while matches!(bytes.get(at), Some(b'?' | b'!' | b'-')) {
        at += 1;
    }
    let start = at;
    while bytes
        .get(at)
        .is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
    {
        at += 1;
    }
    (at > start && !bytes[start].is_ascii_digit()).then_some(Span::new(start, at))
}

/// Reads a definition; `span` is the whole line's.
pub(super) fn definition(text: &str, span: Span, kind: DefinitionKind) -> Definition {
    let bytes = text.as_bytes();
    let skip = |from: usize, over: fn(u8) -> bool| {
        let rest = &bytes[from..span.end];
        from + rest.iter().position(|byte| !over(*byte)).unwrap_or(rest.len())
    };
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let keyword = skip(skip(span.start, text::is_space) + 1, word);
    let mut start = skip(keyword, text::is_blank);
    // rpm 6: `%define -e name …`.
    while bytes[..span.end].get(start) == Some(&b'-') {
        start = skip(skip(start, |byte| !text::is_space(byte)), text::is_blank);
    }
    let end = skip(start, word);
    let (options, body) = match bytes[..span.end].get(end) {
        Some(b'(') => match text[end..span.end].find(')') {
            Some(length) => (Some(Span::new(end + 1, end + length)), end + length + 1),
            None => (None, end),
        },
        _ => (None, end),
    };
    Definition {
        kind,
        name: Span::new(start, end),
        options,
        body: Span::new(body, span.end).trimmed(text),
    }
}
