//! Directives: which of them a line begins with.

use crate::macros::text::trim_start;

/// A directive that decides which lines count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Directive {
    If,
    IfArch,
    IfNArch,
    IfOs,
    IfNOs,
    Elif,
    ElifArch,
    ElifOs,
    Else,
    Endif,
    Include,
}

use Directive as D;

const DIRECTIVES: [(&str, Directive); 11] = [
    ("%endif", D::Endif),
    ("%else", D::Else),
    ("%if", D::If),
    ("%ifarch", D::IfArch),
    ("%ifnarch", D::IfNArch),
    ("%ifos", D::IfOs),
    ("%ifnos", D::IfNOs),
    ("%include", D::Include),
    ("%elifarch", D::ElifArch),
    ("%elifos", D::ElifOs),
    ("%elif", D::Elif),
];

impl Directive {
    /// The directive at the start of a line, and its text.
    pub(super) fn of(line: &str) -> Option<(Self, &'static str)> {
        if !line.starts_with('%') {
            return None;
        }
        let found = DIRECTIVES.iter().find(|(text, directive)| {
            let after = line.strip_prefix(text).map(|rest| rest.bytes().next());
            match (after, directive) {
                (None, _) => false,
                (Some(None), _) => true,
                (Some(Some(byte)), D::Endif | D::Else) => !byte.is_ascii_alphabetic(),
                (Some(Some(byte)), _) => matches!(byte, b' ' | b'\t'),
            }
        });
        found.map(|(text, directive)| (*directive, *text))
    }

    pub(super) fn is_elif(self) -> bool {
        matches!(self, D::Elif | D::ElifArch | D::ElifOs)
    }

    pub(super) fn takes_nothing(self) -> bool {
        matches!(self, D::Endif | D::Else)
    }
}

/// Does a line decide which lines count?
pub(super) fn is_directive(line: &str) -> bool {
    Directive::of(trim_start(line)).is_some()
}
