//! Sections: their kinds, and what their headers say.

use std::ops::Range;

use serde::Serialize;

use super::Span;
use crate::macros::text;

/// What a section is for. Trigger kinds keep rpm's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "each but the first is its own token")]
pub enum SectionKind {
    /// What is before the first header.
    Preamble,
    Package,
    Description,
    Prep,
    GenerateBuildrequires,
    Conf,
    Build,
    Install,
    Check,
    Clean,
    Pre,
    Post,
    Preun,
    Postun,
    Pretrans,
    Posttrans,
    Preuntrans,
    Postuntrans,
    Verifyscript,
    Triggerprein,
    Triggerin,
    Triggerun,
    Triggerpostun,
    Filetriggerin,
    Filetriggerun,
    Filetriggerpostun,
    Transfiletriggerin,
    Transfiletriggerun,
    Transfiletriggerpostun,
    Files,
    Sourcelist,
    Patchlist,
    Sepolicy,
    Changelog,
    End,
}

/// What the lines of a section are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Tags.
    Tags,
    /// Text for people.
    Description,
    /// A script that rpmbuild runs.
    BuildScript,
    /// A script that runs on the machine where the package is installed.
    Scriptlet,
    /// A scriptlet that waits for other packages or their files.
    Trigger,
    /// Files of a package.
    Files,
    /// One file, or one policy, a line.
    List,
    /// The changelog.
    Changelog,
    /// Nothing (`%end`).
    Nothing,
}

use Class as C;
use SectionKind as S;

/// By token, without `%`.
const SECTIONS: [(&str, SectionKind, Class); 36] = [
    ("package", S::Package, C::Tags),
    ("description", S::Description, C::Description),
    ("prep", S::Prep, C::BuildScript),
    ("generate_buildrequires", S::GenerateBuildrequires, C::BuildScript),
    ("conf", S::Conf, C::BuildScript),
    ("build", S::Build, C::BuildScript),
    ("install", S::Install, C::BuildScript),
    ("check", S::Check, C::BuildScript),
    ("clean", S::Clean, C::BuildScript),
    ("pre", S::Pre, C::Scriptlet),
    ("post", S::Post, C::Scriptlet),
    ("preun", S::Preun, C::Scriptlet),
    ("postun", S::Postun, C::Scriptlet),
    ("pretrans", S::Pretrans, C::Scriptlet),
    ("posttrans", S::Posttrans, C::Scriptlet),
    ("preuntrans", S::Preuntrans, C::Scriptlet),
    ("postuntrans", S::Postuntrans, C::Scriptlet),
    ("verifyscript", S::Verifyscript, C::Scriptlet),
    ("triggerprein", S::Triggerprein, C::Trigger),
    ("triggerin", S::Triggerin, C::Trigger),
    ("trigger", S::Triggerin, C::Trigger),
    ("triggerun", S::Triggerun, C::Trigger),
    ("triggerpostun", S::Triggerpostun, C::Trigger),
    ("filetriggerin", S::Filetriggerin, C::Trigger),
    ("filetrigger", S::Filetriggerin, C::Trigger),
    ("filetriggerun", S::Filetriggerun, C::Trigger),
    ("filetriggerpostun", S::Filetriggerpostun, C::Trigger),
    ("transfiletriggerin", S::Transfiletriggerin, C::Trigger),
    ("transfiletrigger", S::Transfiletriggerin, C::Trigger),
    ("transfiletriggerun", S::Transfiletriggerun, C::Trigger),
    ("transfiletriggerpostun", S::Transfiletriggerpostun, C::Trigger),
    ("files", S::Files, C::Files),
    ("sourcelist", S::Sourcelist, C::List),
    ("patchlist", S::Patchlist, C::List),
    ("sepolicy", S::Sepolicy, C::List),
    ("changelog", S::Changelog, C::Changelog),
];

impl SectionKind {
    /// Its token without `%`; nothing for the preamble.
    pub fn name(self) -> &'static str {
        match self {
            Self::Preamble => "",
            Self::End => "end",
            _ => (SECTIONS.iter().find(|(_, kind, _)| *kind == self)).map_or("", |(name, ..)| name),
        }
    }

    /// The kind with this token, which may begin with `%`; the case of letters does not matter, as in rpm.
    pub fn of_name(name: &str) -> Option<Self> {
        let name = name.strip_prefix('%').unwrap_or(name);
        if name.eq_ignore_ascii_case("end") {
            return Some(Self::End);
        }
        let found = SECTIONS
            .iter()
            .find(|(token, ..)| token.eq_ignore_ascii_case(name));
        found.map(|(_, kind, _)| *kind)
    }

    /// The tokens of all kinds, without `%`.
    pub fn names() -> impl Iterator<Item = &'static str> {
        SECTIONS.iter().map(|(name, ..)| *name)
    }

    /// What its lines are.
    pub fn class(self) -> Class {
        match self {
            Self::Preamble => Class::Tags,
            Self::End => Class::Nothing,
            _ => (SECTIONS.iter().find(|(_, kind, _)| *kind == self))
                .map_or(Class::Nothing, |(.., class)| *class),
        }
    }

    /// Are its lines those of a script, of any kind?
    pub fn is_script(self) -> bool {
        matches!(
            self.class(),
            Class::BuildScript | Class::Scriptlet | Class::Trigger
        )
    }

    /// Can one SPEC have it once only (without `-a` and `-p`)?
    pub fn is_single(self) -> bool {
        self.class() == Class::BuildScript || self == Self::Changelog
    }
}

/// The kind of section that a line is the header of: its token is at the very start, and white space or nothing follows.
pub(super) fn section_kind(line: &str) -> Option<SectionKind> {
    let rest = line.strip_prefix('%')?;
    let end = rest.bytes().position(text::is_space).unwrap_or(rest.len());
    SectionKind::of_name(&rest[..end]).filter(|_| !rest.starts_with('%'))
}

/// One section: its header and all up to the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Its place in [`super::Tree::sections`].
    pub index: usize,
    /// What it is for.
    pub kind: SectionKind,
    /// What its header says; the preamble has none.
    pub header: Option<Header>,
    /// Its lines, the header with them.
    pub lines: Range<usize>,
}

impl Section {
    /// Its lines without the header.
    pub fn body(&self) -> Range<usize> {
        self.lines.start + usize::from(self.header.is_some())..self.lines.end
    }
}

/// How a section goes with another of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// It is the section.
    #[default]
    Whole,
    /// `-a`: it goes after it.
    Append,
    /// `-p`: it goes before it.
    Prepend,
}

/// What the header of a section says. Texts are as they are written, quotes and macros unexpanded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Header {
    /// The package's name, or its suffix; none for the main package.
    pub package: Option<Span>,
    /// `-n`: `package` is the whole name.
    pub whole_name: bool,
    /// `-p PROGRAM` of scriptlets and triggers.
    pub program: Option<Span>,
    /// `-l LANGUAGE` of a description.
    pub language: Option<Span>,
    /// `-f FILE` of `%files`, as often as it is there, and of scriptlets.
    pub files: Vec<Span>,
    /// `-P PRIORITY` of triggers.
    pub priority: Option<Span>,
    /// `-e` of scriptlets: macros are expanded when it runs.
    pub expanded: bool,
    /// `-q` of scriptlets: queries are expanded when it runs.
    pub query_format: bool,
    /// `-a`, `-p` of build scripts.
    pub mode: Mode,
    /// What a trigger waits for, after `--`.
    pub trigger: Option<Span>,
}

/// Reads the header of a section of this kind in the line at `span`.
pub(super) fn header(source: &str, span: Span, kind: SectionKind) -> Header {
    let mut header = Header::default();
    let mut words = Words::after_token(source, span);
    let class = kind.class();
    while let Some(word) = words.next() {
        let written = word.of(source);
        if written == "--" && class == Class::Trigger {
            let rest = Span::new(words.at, span.end).trimmed(source);
            header.trigger = (!rest.is_empty()).then_some(rest);
            break;
        }
        let Some(flag) = written.strip_prefix('-').and_then(|rest| rest.chars().next()) else {
            header.package.get_or_insert(word);
            continue;
        };
        match (class, flag) {
            (Class::BuildScript, 'a') => header.mode = Mode::Append,
            (Class::BuildScript, 'p') => header.mode = Mode::Prepend,
            (Class::Scriptlet | Class::Trigger, 'e') => header.expanded = true,
            (Class::Scriptlet | Class::Trigger, 'q') => header.query_format = true,
            (_, 'n' | 'p' | 'l' | 'f' | 'P') => {
                let attached = Span::new(word.start + 2, word.end);
                let value = if attached.is_empty() {
                    words.next()
                } else {
                    Some(attached)
                };
                header.set(flag, value);
            }
            _ => {}
        }
    }
    header
}

impl Header {
    fn set(&mut self, flag: char, value: Option<Span>) {
        match flag {
            'n' if value.is_some() => (self.package, self.whole_name) = (value, true),
            'p' => self.program = value,
            'l' => self.language = value,
            'f' => self.files.extend(value),
            'P' => self.priority = value,
            _ => {}
        }
    }
}

/// Words of a header: white space divides them, but not inside quotes and brackets of macros.
struct Words<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Words<'a> {
    fn after_token(source: &'a str, span: Span) -> Self {
        let bytes = &source.as_bytes()[..span.end];
        let token = bytes[span.start..].iter().position(|byte| text::is_space(*byte));
        let at = token.map_or(span.end, |length| span.start + length);
        Self { bytes, at }
    }
}

impl Iterator for Words<'_> {
    type Item = Span;

    fn next(&mut self) -> Option<Span> {
        let bytes = self.bytes;
        let space = bytes[self.at..].iter().take_while(|byte| text::is_space(**byte));
        let start = self.at + space.count();
        let mut at = start;
        let mut quote = None;
        while at < bytes.len() {
            let byte = bytes[at];
            match (byte, quote) {
                (b'\\', _) => at += 1,
                (b'%', _) => {
                    if let Some(end) = after_macro(bytes, at) {
                        at = end - 1;
                    }
                }
                (_, Some(mark)) => quote = quote.filter(|_| byte != mark),
                (b'"' | b'\'', None) => quote = Some(byte),
                _ if text::is_space(byte) => break,
                _ => {}
            }
            at += 1;
        }
        self.at = at.min(bytes.len());
        (start < self.at).then_some(Span::new(start, self.at))
    }
}

/// Where the brackets of the macro at `at` end; a bracket that nothing closes runs to the end.
fn after_macro(bytes: &[u8], at: usize) -> Option<usize> {
    let close = match bytes.get(at + 1)? {
        b'{' => b'}',
        b'(' => b')',
        b'[' => b']',
        _ => return None,
    };
    Some(text::after_match(bytes, at + 1, close).unwrap_or(bytes.len()))
}
