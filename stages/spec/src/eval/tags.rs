//! The tags that there are.

use super::{SourceKind, dependency::Kind};
use crate::macros::Behaviour;

/// What a tag's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Is {
    Name,
    /// Version or release.
    VerRel,
    Epoch,
    /// One word.
    Word,
    Text,
    /// A text that may be there in several languages.
    Lang,
    SourceLicense,
    Ignored,
    Prefixes,
    DocDir,
    AutoReqProv,
    AutoReq,
    AutoProv,
    Source(SourceKind),
    Icon,
    No(SourceKind),
    Dependency(Kind),
    PreReq,
    BuildDependency(Kind),
    Restriction(&'static str),
    BuildArch,
    RemovePathPostfixes,
    BuildSystem,
    BuildOption,
}

/// What may stand between a tag's name and its colon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    Nothing,
    /// A language in brackets.
    Language,
    /// Qualifiers in brackets.
    Qualifiers,
}

/// A tag of a SPEC.
pub(crate) struct Tag {
    pub name: &'static str,
    pub is: Is,
    pub before: Before,
    /// It becomes a macro.
    pub macro_: bool,
    pub deprecated: bool,
    pub since: Behaviour,
}

const fn tag(name: &'static str, is: Is, before: Before, macro_: bool) -> Tag {
    Tag {
        name,
        is,
        before,
        macro_,
        deprecated: false,
        since: Behaviour::Rpm418,
    }
}

use Before::{Language as L, Nothing as N, Qualifiers as Q};

/// In rpm's order: where one name begins another, the longer comes first.
pub(crate) const TAGS: &[Tag] = &[
    tag("name", Is::Name, N, true),
    tag("version", Is::VerRel, N, true),
    tag("release", Is::VerRel, N, true),
    tag("epoch", Is::Epoch, N, true),
    tag("summary", Is::Lang, L, true),
    tag("license", Is::Lang, N, true),
    tag("sourcelicense", Is::SourceLicense, N, true),
    tag("distribution", Is::Lang, N, true),
    tag("disturl", Is::Text, N, true),
    tag("vendor", Is::Lang, N, true),
    tag("group", Is::Lang, L, true),
    tag("packager", Is::Lang, N, true),
    tag("url", Is::Word, N, true),
    tag("vcs", Is::Word, N, true),
    tag("source", Is::Source(SourceKind::Source), N, false),
    tag("patch", Is::Source(SourceKind::Patch), N, false),
    tag("nosource", Is::No(SourceKind::Source), N, false),
    tag("nopatch", Is::No(SourceKind::Patch), N, false),
    tag("excludearch", Is::Restriction("excludearch"), N, false),
    tag("exclusivearch", Is::Restriction("exclusivearch"), N, false),
    tag("excludeos", Is::Restriction("excludeos"), N, false),
    tag("exclusiveos", Is::Restriction("exclusiveos"), N, false),
    tag("icon", Is::Icon, N, false),
    tag("provides", Is::Dependency(Kind::Provides), N, false),
    tag("requires", Is::Dependency(Kind::Requires), Q, false),
    tag("recommends", Is::Dependency(Kind::Recommends), Q, false),
    tag("suggests", Is::Dependency(Kind::Suggests), Q, false),
    tag("supplements", Is::Dependency(Kind::Supplements), Q, false),
    tag("enhances", Is::Dependency(Kind::Enhances), Q, false),
    Tag {
        deprecated: true,
        ..tag("prereq", Is::PreReq, Q, false)
    },
    tag("conflicts", Is::Dependency(Kind::Conflicts), N, false),
    tag("obsoletes", Is::Dependency(Kind::Obsoletes), N, false),
    tag("prefixes", Is::Prefixes, N, true),
    tag("prefix", Is::Prefixes, N, true),
    tag("buildroot", Is::Ignored, N, false),
    tag("buildarchitectures", Is::BuildArch, N, false),
    tag("buildarch", Is::BuildArch, N, false),
    tag("buildconflicts", Is::BuildDependency(Kind::Conflicts), N, false),
    Tag {
        since: Behaviour::Rpm420,
        ..tag("buildoption", Is::BuildOption, Q, false)
    },
    Tag {
        deprecated: true,
        ..tag("buildprereq", Is::BuildDependency(Kind::Requires), N, false)
    },
    tag("buildrequires", Is::BuildDependency(Kind::Requires), N, false),
    Tag {
        since: Behaviour::Rpm420,
        ..tag("buildsystem", Is::BuildSystem, N, true)
    },
    tag("autoreqprov", Is::AutoReqProv, N, false),
    tag("autoreq", Is::AutoReq, N, false),
    tag("autoprov", Is::AutoProv, N, false),
    tag("docdir", Is::DocDir, N, false),
    tag("disttag", Is::Word, N, true),
    tag("bugurl", Is::Word, N, true),
    tag("translationurl", Is::Text, N, true),
    tag("upstreamreleases", Is::Text, N, true),
    tag(
        "orderwithrequires",
        Is::Dependency(Kind::OrderWithRequires),
        Q,
        false,
    ),
    tag("removepathpostfixes", Is::RemovePathPostfixes, N, true),
    tag("modularitylabel", Is::Word, N, true),
];
