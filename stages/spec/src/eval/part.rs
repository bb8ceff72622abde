//! The parts of a SPEC, and the words that begin them.

use crate::macros::Behaviour;

/// A part of a SPEC. Each begins with a line that says what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Preamble,
    /// A script of the build, by name.
    Build(&'static str),
    Files,
    Changelog,
    Description,
    /// A script or trigger of a package, by name.
    Script(&'static str),
    Policies,
    Empty,
    PatchList,
    SourceList,
}

const PARTS: &[(&str, Part, Behaviour)] = &[
    ("%package", Part::Preamble, Behaviour::Rpm418),
    ("%prep", Part::Build("prep"), Behaviour::Rpm418),
    (
        "%generate_buildrequires",
        Part::Build("generate_buildrequires"),
        Behaviour::Rpm418,
    ),
    ("%conf", Part::Build("conf"), Behaviour::Rpm418),
    ("%build", Part::Build("build"), Behaviour::Rpm418),
    ("%install", Part::Build("install"), Behaviour::Rpm418),
    ("%check", Part::Build("check"), Behaviour::Rpm418),
    ("%clean", Part::Build("clean"), Behaviour::Rpm418),
    ("%preun", Part::Script("preun"), Behaviour::Rpm418),
    ("%postun", Part::Script("postun"), Behaviour::Rpm418),
    ("%pretrans", Part::Script("pretrans"), Behaviour::Rpm418),
    ("%posttrans", Part::Script("posttrans"), Behaviour::Rpm418),
    ("%preuntrans", Part::Script("preuntrans"), Behaviour::Rpm420),
    ("%postuntrans", Part::Script("postuntrans"), Behaviour::Rpm420),
    ("%pre", Part::Script("pre"), Behaviour::Rpm418),
    ("%post", Part::Script("post"), Behaviour::Rpm418),
    ("%files", Part::Files, Behaviour::Rpm418),
    ("%changelog", Part::Changelog, Behaviour::Rpm418),
    ("%description", Part::Description, Behaviour::Rpm418),
    ("%triggerpostun", Part::Script("triggerpostun"), Behaviour::Rpm418),
    ("%triggerprein", Part::Script("triggerprein"), Behaviour::Rpm418),
    ("%triggerun", Part::Script("triggerun"), Behaviour::Rpm418),
    ("%triggerin", Part::Script("triggerin"), Behaviour::Rpm418),
    ("%trigger", Part::Script("triggerin"), Behaviour::Rpm418),
    ("%verifyscript", Part::Script("verifyscript"), Behaviour::Rpm418),
    ("%sepolicy", Part::Policies, Behaviour::Rpm418),
    ("%filetriggerin", Part::Script("filetriggerin"), Behaviour::Rpm418),
    ("%filetrigger", Part::Script("filetriggerin"), Behaviour::Rpm418),
    ("%filetriggerun", Part::Script("filetriggerun"), Behaviour::Rpm418),
    (
        "%filetriggerpostun",
        Part::Script("filetriggerpostun"),
        Behaviour::Rpm418,
    ),
    (
        "%transfiletriggerin",
        Part::Script("transfiletriggerin"),
        Behaviour::Rpm418,
    ),
    (
        "%transfiletrigger",
        Part::Script("transfiletriggerin"),
        Behaviour::Rpm418,
    ),
    (
        "%transfiletriggerun",
        Part::Script("transfiletriggerun"),
        Behaviour::Rpm418,
    ),
    (
        "%transfiletriggerpostun",
        Part::Script("transfiletriggerpostun"),
        Behaviour::Rpm418,
    ),
    ("%end", Part::Empty, Behaviour::Rpm418),
    ("%patchlist", Part::PatchList, Behaviour::Rpm418),
    ("%sourcelist", Part::SourceList, Behaviour::Rpm418),
];

/// The names of all sections, without `%`.
pub(crate) fn sections() -> impl Iterator<Item = &'static str> {
    PARTS.iter().map(|(name, ..)| &name[1..])
}

impl Part {
    /// The part that a line begins, if it does.
    pub(super) fn of(line: &str, behaviour: Behaviour) -> Option<Self> {
        if !line.starts_with('%') {
            return None;
        }
        let end = line
            .bytes()
            .position(crate::macros::text::is_space)
            .unwrap_or(line.len());
        let word = &line[..end];
        let found = PARTS
            .iter()
            .find(|(name, _, since)| *since <= behaviour && name.eq_ignore_ascii_case(word))?;
        Some(found.1)
    }
}

/// The scripts of a build in the order in which rpm makes up those that a build system has.
pub(super) const BUILD_SECTIONS: [&str; 7] = [
    "prep",
    "conf",
    "generate_buildrequires",
    "build",
    "install",
    "check",
    "clean",
];
