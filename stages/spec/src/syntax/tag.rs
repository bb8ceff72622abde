//! Tags: `Name: zlib`, `Requires(post): sh`, `Source1: https://…`.

use super::Span;
use crate::macros::text;

/// What may stand in parentheses after a tag's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Qualifier {
    /// Nothing.
    None,
    /// A language.
    Language,
    /// When a dependency must be there (`pre,post`), or a stage of the build.
    Stages,
}

/// A tag that rpm knows.
#[derive(Debug, PartialEq, Eq)]
pub struct TagKind {
    /// Its name as people write it.
    pub name: &'static str,
    /// What it may be qualified with.
    pub qualifier: Qualifier,
    /// Is its value a list of packages or capabilities?
    pub dependency: bool,
    /// Can one package have it once only?
    pub single: bool,
}

const fn plain(name: &'static str) -> TagKind {
    TagKind {
        name,
        qualifier: Qualifier::None,
        dependency: false,
        single: false,
    }
}

const fn single(name: &'static str) -> TagKind {
    TagKind {
        single: true,
        ..plain(name)
    }
}

const fn translated(name: &'static str) -> TagKind {
    TagKind {
        qualifier: Qualifier::Language,
        ..single(name)
    }
}

const fn dependency(name: &'static str) -> TagKind {
    TagKind {
        dependency: true,
        ..plain(name)
    }
}

const fn staged(name: &'static str) -> TagKind {
    TagKind {
        qualifier: Qualifier::Stages,
        ..dependency(name)
    }
}

/// rpm's tags, and two that it once had (`Copyright`, `Serial`).
static TAGS: [TagKind; 55] = [
    single("Name"),
    single("Version"),
    single("Release"),
    single("Epoch"),
    translated("Summary"),
    single("License"),
    single("SourceLicense"),
    single("Distribution"),
    single("DistURL"),
    single("Vendor"),
    translated("Group"),
    single("Packager"),
    single("URL"),
    single("VCS"),
    plain("Source"),
    plain("Patch"),
    plain("NoSource"),
    plain("NoPatch"),
    plain("ExcludeArch"),
    plain("ExclusiveArch"),
    plain("ExcludeOS"),
    plain("ExclusiveOS"),
    plain("Icon"),
    dependency("Provides"),
    staged("Requires"),
    staged("Recommends"),
    staged("Suggests"),
    staged("Supplements"),
    staged("Enhances"),
    staged("PreReq"),
    dependency("Conflicts"),
    dependency("Obsoletes"),
    single("Prefixes"),
    single("Prefix"),
    single("BuildRoot"),
    plain("BuildArchitectures"),
    plain("BuildArch"),
    dependency("BuildConflicts"),
    TagKind {
        dependency: false,
        ..staged("BuildOption")
    },
    dependency("BuildPreReq"),
    dependency("BuildRequires"),
    single("BuildSystem"),
    single("AutoReqProv"),
    single("AutoReq"),
    single("AutoProv"),
    plain("DocDir"),
    single("DistTag"),
    single("BugURL"),
    single("TranslationURL"),
    single("UpstreamReleases"),
    staged("OrderWithRequires"),
    single("RemovePathPostfixes"),
    single("ModularityLabel"),
    single("Copyright"),
    single("Serial"),
];

/// A line that is a tag: a name, perhaps a qualifier, a colon, a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// Its name, with the number: `Source1`.
    pub name: Span,
    /// What rpm knows it as; none for a tag that rpm does not know.
    pub kind: Option<&'static TagKind>,
    /// The number of a source or patch, if it is written, and in digits.
    pub number: Option<u32>,
    /// What stands in parentheses, without white space around it.
    pub qualifier: Option<Span>,
    /// Name, qualifier and colon.
    pub head: Span,
    /// The value, without white space around it. Where brackets are open it has several lines.
    pub value: Span,
}

impl Tag {
    /// Its name as rpm knows it, without number.
    pub fn known(&self) -> &'static str {
        self.kind.map_or("", |kind| kind.name)
    }

    /// Is it this tag of rpm's (`Source` for all sources)?
    pub fn is(&self, name: &str) -> bool {
        self.kind.is_some_and(|kind| kind.name.eq_ignore_ascii_case(name))
    }
}

/// Reads the line at `span` as a tag, whether rpm knows such a tag or not.
pub(super) fn tag(source: &str, span: Span) -> Option<Tag> {
    let bytes = &source.as_bytes()[..span.end];
    let skip = |from: usize, over: fn(u8) -> bool| {
        let rest = &bytes[from..];
        from + rest.iter().position(|byte| !over(*byte)).unwrap_or(rest.len())
    };
    let start = skip(span.start, text::is_space);
    let letters = skip(start, |byte| byte.is_ascii_alphabetic());
    if letters == start {
        return None;
    }
    let known = |name: &str| TAGS.iter().find(|kind| kind.name.eq_ignore_ascii_case(name));
    let kind = known(&source[start..letters]);
    let end = if kind.is_some_and(is_numbered) {
        skip_number(bytes, letters)
    } else {
        skip(letters, |byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
        })
    };
    let kind = kind.filter(|kind| end == letters || is_numbered(kind));
    let mut at = skip(end, text::is_space);
    if kind.is_some_and(is_numbered) {
        // `Patch 0:`: rpm takes the number for nothing.
        at = skip(skip(at, |byte| byte.is_ascii_digit()), text::is_space);
    }
    let mut qualifier = None;
    if bytes.get(at) == Some(&b'(') {
        let length = source[at..span.end].find(')')?;
        qualifier = Some(Span::new(at + 1, at + length).trimmed(source));
        at = skip(at + length + 1, text::is_space);
    }
    if bytes.get(at) != Some(&b':') {
        return None;
    }
    Some(Tag {
        name: Span::new(start, end),
        kind: kind.filter(|kind| qualifier.is_none() || kind.qualifier != Qualifier::None),
        number: source[letters..end].parse().ok(),
        qualifier,
        head: Span::new(start, at + 1),
        value: Span::new(at + 1, span.end).trimmed(source),
    })
}

fn is_numbered(kind: &TagKind) -> bool {
    matches!(kind.name, "Source" | "Patch")
}

/// After the number of a source or patch, which a macro may give.
fn skip_number(bytes: &[u8], mut at: usize) -> usize {
    while let Some(byte) = bytes.get(at) {
        match (byte, bytes.get(at + 1)) {
            (b'%', Some(b'{')) => match text::after_match(bytes, at + 1, b'}') {
                Some(end) => at = end,
                None => return at,
            },
            (b'%' | b'_', _) => at += 1,
            (byte, _) if byte.is_ascii_alphanumeric() => at += 1,
            _ => return at,
        }
    }
    at
}
