//! A SPEC line by line, as azldev sees it ([`Semantics::Lines`](keel_config::overlay::Semantics)).
//!
//! The rules are azldev's own: a line whose first word is a section's token, in whatever case and after whatever white
//! space, begins that section; in the preamble and in `%package`, `NAME: VALUE` is a tag. Macros, `\` at the end of a
//! line and `%if` mean nothing, except where an operation says so. A line that starts with `#` is empty.

use super::{
    document::{Document, Splice},
    failure::{Failure, Kind},
};

/// Tokens of sections: not those of rpm, but those of azldev.
const SECTIONS: [&str; 32] = [
    "%package",
    "%prep",
    "%conf",
    "%build",
    "%install",
    "%check",
    "%clean",
    "%generate_buildrequires",
    "%pre",
    "%post",
    "%preun",
    "%postun",
    "%pretrans",
    "%posttrans",
    "%preuntrans",
    "%postuntrans",
    "%verify",
    "%triggerin",
    "%triggerun",
    "%triggerprein",
    "%triggerpostun",
    "%filetriggerin",
    "%filetriggerun",
    "%filetriggerpostun",
    "%transfiletriggerin",
    "%transfiletriggerun",
    "%transfiletriggerpostun",
    "%description",
    "%files",
    "%changelog",
    "%patchlist",
    "%sourcelist",
];

/// Which section a line is in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Place {
    /// As the header writes it; nothing for the preamble.
    pub(super) name: String,
    /// As the header writes it; nothing for the main package.
    pub(super) package: String,
}

impl Place {
    pub(super) fn is(&self, name: &str, package: &str) -> bool {
        self.name == name && self.package == package
    }

    fn has_tags(&self) -> bool {
        self.name.is_empty() || self.name.eq_ignore_ascii_case("%package")
    }
}

/// A section: its header (none for the preamble) and all up to the next.
#[derive(Debug, Clone)]
pub(super) struct Section {
    pub(super) place: Place,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// A tag, where it is.
pub(super) struct Tag<'a> {
    pub(super) line: usize,
    pub(super) name: &'a str,
    pub(super) value: &'a str,
    pub(super) package: &'a str,
    pub(super) section: usize,
}

/// What overlays look at.
pub(super) struct Lines<'d> {
    /// What messages call the SPEC.
    pub(super) shown: &'d str,
    pub(super) lines: Vec<&'d str>,
    pub(super) sections: Vec<Section>,
}

impl<'d> Lines<'d> {
    pub(super) fn of(document: &'d Document, shown: &'d str) -> Self {
        let lines: Vec<&str> = document.lines().collect();
        let mut sections = vec![Section {
            place: Place::default(),
            start: 0,
            end: lines.len(),
        }];
        for (index, line) in lines.iter().enumerate() {
            if let Some(place) = header(line) {
                if let Some(last) = sections.last_mut() {
                    last.end = index;
                }
                sections.push(Section {
                    place,
                    start: index,
                    end: lines.len(),
                });
            }
        }
        Self {
            shown,
            lines,
            sections,
        }
    }

    pub(super) fn tags(&self) -> impl Iterator<Item = Tag<'_>> {
        let sections = self
            .sections
            .iter()
            .enumerate()
            .filter(|(_, section)| section.place.has_tags());
        sections.flat_map(move |(at, section)| {
            (section.start..section.end).filter_map(move |line| {
                // The header itself is none, even with a colon in it.
                if at > 0 && line == section.start {
                    return None;
                }
                let (name, value) = tag(self.lines[line])?;
                Some(Tag {
                    line,
                    name,
                    value,
                    package: &section.place.package,
                    section: at,
                })
            })
        })
    }

    pub(super) fn has_section(&self, name: &str) -> bool {
        self.sections.iter().any(|section| section.place.name == name)
    }

    pub(super) fn named<'s>(&'s self, name: &'s str, package: &'s str) -> impl Iterator<Item = &'s Section> {
        let sections = self.sections.iter();
        sections.filter(move |section| section.place.is(name, package))
    }

    pub(super) fn no_section(&self, name: &str, package: &str) -> Failure {
        let what = match (name, package) {
            ("", package) => format!("there is no `%package {package}`"),
            (name, "") => format!("there is no section `{name}`"),
            (name, package) => format!("there is no section `{name}` of `{package}`"),
        };
        let failure = Failure::new(Kind::SectionNotFound, what);
        let wanted = format!("{} {package}", if name.is_empty() { "%package" } else { name });
        let headers = self.sections.iter().skip(1);
        let alike = headers.map(|section| {
            (
                section,
                format!("{} {}", section.place.name, section.place.package),
            )
        });
        let best = alike
            .map(|(section, written)| {
                (
                    strsim::normalized_levenshtein(wanted.trim(), written.trim()),
                    section,
                )
            })
            .filter(|(score, _)| *score >= 0.5)
            .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.start.cmp(&a.1.start)));
        let Some((_, section)) = best else { return failure };
        let failure = failure.line(
            "the nearest is",
            self.shown,
            section.start,
            self.lines[section.start],
        );
        match section.place.name.eq_ignore_ascii_case(name) && section.place.name != name {
            true => failure.hint(format!("the SPEC writes it `{}`", section.place.name)),
            false => failure,
        }
    }

    /// Lines at the end of each such section.
    pub(super) fn append(&self, name: &str, package: &str, lines: &[String]) -> Result<Vec<Splice>, Failure> {
        let ends = self.named(name, package).map(|section| section.end);
        self.found(
            ends.map(|end| Splice::insert(end, lines.to_vec())).collect(),
            name,
            package,
        )
    }

    /// Lines at the start of each such section, after its header.
    pub(super) fn prepend(
        &self,
        name: &str,
        package: &str,
        lines: &[String],
    ) -> Result<Vec<Splice>, Failure> {
        let starts = self
            .named(name, package)
            .map(|section| section.start + usize::from(!name.is_empty()));
        self.found(
            starts.map(|at| Splice::insert(at, lines.to_vec())).collect(),
            name,
            package,
        )
    }

    fn found(&self, splices: Vec<Splice>, name: &str, package: &str) -> Result<Vec<Splice>, Failure> {
        match splices.is_empty() {
            true => Err(self.no_section(name, package)),
            false => Ok(splices),
        }
    }
}

/// The section that a line is the header of.
pub(super) fn header(line: &str) -> Option<Place> {
    if line.starts_with('#') {
        return None;
    }
    let mut words = line.split_whitespace();
    let name = words.next().filter(|word| word.starts_with('%'))?;
    let lower = name.to_lowercase();
    if !SECTIONS.contains(&lower.as_str()) {
        return None;
    }
    let package = match lower.as_str() {
        "%changelog" | "%patchlist" | "%sourcelist" => String::new(),
        _ => package(words).to_owned(),
    };
    Some(Place {
        name: name.to_owned(),
        package,
    })
}

fn package<'l>(mut words: impl Iterator<Item = &'l str>) -> &'l str {
    let (mut whole, mut suffix) = ("", "");
    while let Some(word) = words.next() {
        match word {
            "--" => break,
            "-n" => whole = words.next().unwrap_or(whole),
            "-f" | "-p" | "-l" | "-P" => drop(words.next()),
            _ if word.starts_with('-') => {}
            _ if suffix.is_empty() => suffix = word,
            _ => {}
        }
    }
    if whole.is_empty() { suffix } else { whole }
}

/// Name and value of the tag that a line is: what is before its first colon has no white space in it.
pub(super) fn tag(line: &str) -> Option<(&str, &str)> {
    if line.starts_with('#') {
        return None;
    }
    let line = line.trim();
    let (name, value) = line.split_once(':')?;
    if name.is_empty() || name.contains(is_space) {
        return None;
    }
    Some((name, value.trim_matches(is_space)))
}

/// Go's `\s`.
fn is_space(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\u{c}' | '\r' | ' ')
}

pub(super) fn same_letters(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other) || one.to_lowercase() == other.to_lowercase()
}

/// One more `%if`, one less, or neither.
pub(super) fn depth_change(line: &str) -> i64 {
    match first_word(line).as_deref() {
        Some("%endif") => -1,
        Some("%if" | "%ifarch" | "%ifnarch" | "%ifos" | "%ifnos") => 1,
        _ => 0,
    }
}

/// Is it `%else` or one of its kind?
pub(super) fn is_branch(line: &str) -> bool {
    matches!(
        first_word(line).as_deref(),
        Some("%else" | "%elif" | "%elifarch" | "%elifnarch" | "%elifos" | "%elifnos")
    )
}

fn first_word(line: &str) -> Option<String> {
    line.split_whitespace()
        .next()
        .filter(|word| word.starts_with('%'))
        .map(str::to_lowercase)
}
