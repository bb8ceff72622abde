//! Dependency tags: names, versions, rich dependencies; in rpm's order.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::macros::text::{is_space, trim_start};

/// Which tag a dependency stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `Provides:`.
    Provides,
    /// `Requires:`, `BuildRequires:`.
    Requires,
    /// `Conflicts:`, `BuildConflicts:`.
    Conflicts,
    /// `Obsoletes:`.
    Obsoletes,
    /// `Recommends:`.
    Recommends,
    /// `Suggests:`.
    Suggests,
    /// `Supplements:`.
    Supplements,
    /// `Enhances:`.
    Enhances,
    /// `OrderWithRequires:`.
    OrderWithRequires,
}

impl Kind {
    fn allows_rich(self) -> bool {
        !matches!(self, Self::Provides | Self::Obsoletes | Self::OrderWithRequires)
    }

    fn keeps_qualifiers(self) -> bool {
        !matches!(self, Self::Provides | Self::Obsoletes)
    }
}

/// The bits of rpm's dependency flags, which decide the order of equal names.
pub mod flags {
    #![allow(missing_docs, reason = "rpm's own names")]
    pub const LESS: u32 = 1 << 1;
    pub const GREATER: u32 = 1 << 2;
    pub const EQUAL: u32 = 1 << 3;
    pub const POSTTRANS: u32 = 1 << 5;
    pub const PREREQ: u32 = 1 << 6;
    pub const PRETRANS: u32 = 1 << 7;
    pub const INTERP: u32 = 1 << 8;
    pub const PRE: u32 = 1 << 9;
    pub const POST: u32 = 1 << 10;
    pub const PREUN: u32 = 1 << 11;
    pub const POSTUN: u32 = 1 << 12;
    pub const VERIFY: u32 = 1 << 13;
    pub const TRIGGERIN: u32 = 1 << 16;
    pub const TRIGGERUN: u32 = 1 << 17;
    pub const TRIGGERPOSTUN: u32 = 1 << 18;
    pub const PREUNTRANS: u32 = 1 << 20;
    pub const POSTUNTRANS: u32 = 1 << 21;
    pub const RPMLIB: u32 = 1 << 24;
    pub const TRIGGERPREIN: u32 = 1 << 25;
    pub const META: u32 = 1 << 29;
    pub const SENSE: u32 = LESS | GREATER | EQUAL;
}

/// Words in `Requires(…)`, and their bits; the last two since rpm 4.19.
pub(crate) const QUALIFIERS: &[(&str, u32)] = &[
    ("pre", flags::PRE),
    ("post", flags::POST),
    ("preun", flags::PREUN),
    ("postun", flags::POSTUN),
    ("pretrans", flags::PRETRANS),
    ("posttrans", flags::POSTTRANS),
    ("verify", flags::VERIFY),
    ("interp", flags::INTERP),
    ("meta", flags::META),
    ("rpmlib", flags::RPMLIB),
    ("preuntrans", flags::PREUNTRANS),
    ("postuntrans", flags::POSTUNTRANS),
];

/// One dependency.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct Dependency {
    /// The name, or a whole rich dependency in brackets.
    pub name: String,
    /// The version that it is compared with; empty if there is none.
    pub evr: String,
    /// rpm's flags: comparison and qualifiers.
    pub flags: u32,
}

/// The serialised form, which says in words what the flags say.
#[derive(Serialize, Deserialize)]
struct Stored {
    name: String,
    op: Option<String>,
    evr: Option<String>,
    qualifiers: Vec<String>,
    flags: u32,
}

impl From<Dependency> for Stored {
    fn from(dependency: Dependency) -> Self {
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Self {
            op: some(dependency.operator()),
            evr: some(&dependency.evr),
            qualifiers: dependency.qualifiers().map(str::to_owned).collect(),
            flags: dependency.flags,
            name: dependency.name,
        }
    }
}

impl From<Stored> for Dependency {
    fn from(stored: Stored) -> Self {
        Self {
            name: stored.name,
            evr: stored.evr.unwrap_or_default(),
            flags: stored.flags,
        }
    }
}

impl Dependency {
    /// The comparison, or nothing.
    pub fn operator(&self) -> &'static str {
        match self.flags & flags::SENSE {
            flags::LESS => "<",
            flags::GREATER => ">",
            flags::EQUAL => "=",
            flags if flags == flags::LESS | flags::EQUAL => "<=",
            flags if flags == flags::GREATER | flags::EQUAL => ">=",
            0 => "",
            _ => "<>",
        }
    }

    /// `pre`, `post`, `interp` …
    pub fn qualifiers(&self) -> impl Iterator<Item = &'static str> {
        let bits = self.flags;
        QUALIFIERS
            .iter()
            .filter(move |(_, bit)| bits & bit != 0)
            .map(|(name, _)| *name)
    }

    /// Is it `(a if b)` or the like?
    pub fn is_rich(&self) -> bool {
        self.name.starts_with('(')
    }

    /// Puts it where rpm does: by name, version and flags, each once.
    pub(super) fn insert(self, into: &mut Vec<Self>) {
        if let Err(at) = into.binary_search(&self) {
            into.insert(at, self);
        }
    }
}

impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if !self.evr.is_empty() {
            write!(f, " {} {}", self.operator(), self.evr)?;
        }
        Ok(())
    }
}

/// What a dependency tag came to.
pub(super) struct Parsed {
    pub dependencies: Vec<Dependency>,
    pub warning: Option<String>,
}

fn is_separator(byte: u8) -> bool {
    is_space(byte) || byte == b','
}

fn skip(text: &str) -> &str {
    text.trim_start_matches(|c: char| u8::try_from(c).is_ok_and(is_separator))
}

/// The word at the start of `text`, and what is after it.
fn word(text: &str) -> (&str, &str) {
    let end = text.bytes().position(is_separator).unwrap_or(text.len());
    text.split_at(end)
}

fn sense(operator: &str) -> Option<u32> {
    Some(match operator {
        "<" => flags::LESS,
        ">" => flags::GREATER,
        "=" | "==" => flags::EQUAL,
        "<=" | "=<" => flags::LESS | flags::EQUAL,
        ">=" | "=>" => flags::GREATER | flags::EQUAL,
        _ => return None,
    })
}

/// Reads the value of a dependency tag. `qualifiers` are the bits from the tag's brackets.
///
/// The error is rpm's text.
pub(super) fn parse(field: &str, kind: Kind, qualifiers: u32) -> Result<Parsed, String> {
    read(field, kind, qualifiers, false).map_err(|(why, _)| why)
}

/// Reads what fires a trigger; the error has rpm's text and what was left to read.
pub(super) fn triggers(field: &str, bits: u32, are_paths: bool) -> Result<Vec<Dependency>, (String, &str)> {
    read(field, Kind::OrderWithRequires, bits, are_paths).map(|parsed| parsed.dependencies)
}

fn read(field: &str, kind: Kind, qualifiers: u32, are_paths: bool) -> Result<Parsed, (String, &str)> {
    let kept = if kind.keeps_qualifiers() { qualifiers } else { 0 };
    let mut parsed = Parsed {
        dependencies: Vec::new(),
        warning: None,
    };
    let mut rest = skip(field);
    while !rest.is_empty() {
        if rest.starts_with('(') {
            if !kind.allows_rich() {
                return Err(("No rich dependencies allowed for this type".to_owned(), rest));
            }
            let (name, after) = rich::parse(rest, kind).map_err(|why| (why, rest))?;
            parsed.dependencies.push(Dependency {
                name,
                evr: String::new(),
                flags: kept,
            });
            rest = skip(after);
            continue;
        }
        if are_paths && !rest.starts_with('/') {
            return Err(("file trigger conditions must begin with '/'".to_owned(), rest));
        }
        let (dependency, after, warning) = single(rest, kind, kept).map_err(|why| (why, rest))?;
        parsed.dependencies.push(dependency);
        parsed.warning = warning.or(parsed.warning);
        rest = skip(after);
    }
    Ok(parsed)
}

type Single<'t> = (Dependency, &'t str, Option<String>);

fn single(text: &str, kind: Kind, kept: u32) -> Result<Single<'_>, String> {
    let (name, after) = word(text);
    let mut rest = skip(after);
    let (mut evr, mut bits) = ("", kept);
    let (operator, behind) = word(rest);
    if let Some(sense) = sense(operator) {
        bits |= sense;
        let version = skip(behind);
        (evr, rest) = word(version);
        if evr.is_empty() {
            return Err("Version required".to_owned());
        }
    }
    let mut warning = check(name, Some(evr).filter(|evr| !evr.is_empty()))?;
    if kind == Kind::Obsoletes {
        if let Err(why) = characters(name, ".-_+%{}", Some("_%{")) {
            return Err(format!("{why}\u{0}Only package names are allowed in Obsoletes"));
        }
        if evr.is_empty() {
            warning = Some("It's not recommended to have unversioned Obsoletes".to_owned());
        } else if bits & flags::GREATER != 0 {
            warning = Some("It's not recommended to use '>' in Obsoletes".to_owned());
        }
    }
    let mut dependency = Dependency {
        name: name.to_owned(),
        evr: evr.to_owned(),
        flags: bits,
    };
    if name.starts_with("rpmlib(") && kind == Kind::Requires {
        dependency.flags |= flags::RPMLIB;
    } else if name.starts_with("rpmlib(") && kind == Kind::Provides && bits & flags::RPMLIB == 0 {
        return Err("invalid dependency".to_owned());
    }
    Ok((dependency, rest, warning))
}

/// Checks a name and a version; the good result may be a warning.
fn check(name: &str, evr: Option<&str>) -> Result<Option<String>, String> {
    let first = name.bytes().next().unwrap_or(0);
    if first.is_ascii() && !(first.is_ascii_alphanumeric() || b"_/".contains(&first)) {
        return Err("Dependency tokens must begin with alpha-numeric, '_' or '/'".to_owned());
    }
    let Some(evr) = evr else {
        return Ok(None);
    };
    if first == b'/' {
        return Err("Versioned file name not permitted".to_owned());
    }
    characters(evr, "._+%{}~^-:", None)?;
    for separator in ['-', ':'] {
        if evr.matches(separator).count() > 1 {
            return Ok(Some(format!(
                "Invalid version (double separator '{separator}'): {evr}"
            )));
        }
    }
    if let Some((epoch, _)) = evr.split_once(':')
        && !epoch.bytes().all(|byte| byte.is_ascii_digit())
    {
        return Ok(Some(format!(
            "Invalid version (epoch must be unsigned integer): {evr}"
        )));
    }
    Ok(None)
}

/// Refuses characters that are neither letters, digits nor in `allowed`; the first must be in `first` if that is given.
pub(super) fn characters(text: &str, allowed: &str, first: Option<&str>) -> Result<(), String> {
    let good = |c: char, allowed: &str| c.is_ascii_alphanumeric() || allowed.contains(c);
    if let (Some(first), Some(c)) = (first, text.chars().next())
        && !good(c, first)
    {
        return Err(illegal(c));
    }
    if let Some(c) = text.chars().find(|c| !good(*c, allowed)) {
        return Err(illegal(c));
    }
    match text.contains("..") {
        true => Err("Illegal sequence \"..\"".to_owned()),
        false => Ok(()),
    }
}

fn illegal(c: char) -> String {
    let code = c as u32;
    let shown = if c.is_ascii_graphic() || c == ' ' { c } else { '-' };
    format!("Illegal char '{shown}' (0x{code:x})")
}

mod rich;
#[cfg(test)]
mod tests;
