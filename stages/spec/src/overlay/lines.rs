//! A SPEC line by line, as azldev sees it ([`Semantics::Lines`](keel_config::overlay::Semantics)).
//!
//! The rules are azldev's own: a line whose first word is a section's token, in whatever case and after whatever white
//! space, begins that section; in the preamble and in `%package`, `NAME: VALUE` is a tag. Macros, `\` at the end of a
//! line and `%if` mean nothing, except where an operation says so. A line that starts with `#` is empty.

use super::{
    document::{Document, Splice},
    failure::{Failure, Kind, literal_part, nearest_line},
    pattern::Pattern,
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
    fn is(&self, name: &str, package: &str) -> bool {
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
    section: usize,
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

    fn named<'s>(&'s self, name: &'s str, package: &'s str) -> impl Iterator<Item = &'s Section> {
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

    pub(super) fn add_tag(&self, package: &str, tag: &str, value: &str) -> Result<Vec<Splice>, Failure> {
        self.append(tags_of(package), package, &[format!("{tag}: {value}")])
    }

    /// After the last tag of the family, or the last tag of all, and after the `%if` that this is in.
    pub(super) fn insert_tag(&self, package: &str, tag: &str, value: &str) -> Result<Vec<Splice>, Failure> {
        let name = tags_of(package);
        let Some(last) = self.named(name, package).last() else {
            return Err(self.no_section(name, package));
        };
        let wanted = family(tag);
        let (mut of_family, mut of_any) = (None, None);
        for found in self
            .tags()
            .filter(|found| self.sections[found.section].place.is(name, package))
        {
            of_any = Some(found.line);
            if family(found.name) == wanted {
                of_family = Some(found.line);
            }
        }
        let Some(after) = of_family.or(of_any) else {
            return self.add_tag(package, tag, value);
        };
        let after = self.past_condition(after, last.end);
        Ok(vec![Splice::insert(after + 1, vec![format!("{tag}: {value}")])])
    }

    fn past_condition(&self, line: usize, end: usize) -> usize {
        let mut depth: i64 = self.lines[..=line].iter().map(|line| depth_change(line)).sum();
        if depth <= 0 {
            return line;
        }
        for (index, text) in self.lines[..end].iter().enumerate().skip(line + 1) {
            depth += depth_change(text);
            if depth <= 0 {
                return index;
            }
        }
        line
    }

    pub(super) fn set_tag(&self, package: &str, tag: &str, value: &str) -> Result<Vec<Splice>, Failure> {
        match self.update_tag(package, tag, value) {
            Err(failure) if failure.kind == Kind::NoSuchTag => self.add_tag(package, tag, value),
            other => other,
        }
    }

    pub(super) fn update_tag(&self, package: &str, tag: &str, value: &str) -> Result<Vec<Splice>, Failure> {
        let splices: Vec<Splice> = self
            .tags_called(package, tag)
            .map(|found| Splice::replace(found.line, format!("{tag}: {value}")))
            .collect();
        match splices.is_empty() {
            true => Err(self.no_tag(package, tag, None)),
            false => Ok(splices),
        }
    }

    pub(super) fn remove_tag(
        &self,
        package: &str,
        tag: &str,
        value: Option<&str>,
    ) -> Result<Vec<Splice>, Failure> {
        let value = value.filter(|value| !value.is_empty());
        let fits = |found: &Tag<'_>| value.is_none_or(|value| same_letters(found.value, value));
        let found = self.tags_called(package, tag).filter(fits);
        let splices: Vec<Splice> = found
            .map(|found| Splice::remove(found.line..found.line + 1))
            .collect();
        match splices.is_empty() {
            true => Err(self.no_tag(package, tag, value)),
            false => Ok(splices),
        }
    }

    fn tags_called(&self, package: &str, tag: &str) -> impl Iterator<Item = Tag<'_>> {
        let (package, tag) = (package.to_owned(), tag.to_owned());
        self.tags()
            .filter(move |found| found.package == package && same_letters(found.name, &tag))
    }

    fn no_tag(&self, package: &str, tag: &str, value: Option<&str>) -> Failure {
        let of = match package {
            "" => "the preamble".to_owned(),
            package => format!("`%package {package}`"),
        };
        let with = value.map_or_else(String::new, |value| format!(" with the value `{value}`"));
        let failure = Failure::new(Kind::NoSuchTag, format!("there is no tag `{tag}`{with} in {of}"));
        if !package.is_empty()
            && !self
                .sections
                .iter()
                .any(|section| section.place.package == package)
        {
            let packages = self.sections.iter().map(|section| section.place.package.as_str());
            return failure.did_you_mean(package, packages);
        }
        let wanted = value.map_or_else(|| format!("{tag}:"), |value| format!("{tag}: {value}"));
        let same = self.tags().filter(|found| same_letters(found.name, tag));
        let elsewhere = same.min_by_key(|found| (found.package != package, found.line));
        let near = elsewhere.or_else(|| {
            let here = self.tags().filter(|found| found.package == package);
            let score =
                |found: &Tag<'_>| strsim::normalized_levenshtein(&wanted, &format!("{}:", found.name));
            here.map(|found| (score(&found), found))
                .filter(|(score, _)| *score >= 0.5)
                .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.line.cmp(&a.1.line)))
                .map(|(_, found)| found)
        });
        match near {
            Some(near) => {
                let failure = failure.line("the nearest is", self.shown, near.line, self.lines[near.line]);
                match near.package == package {
                    true => failure,
                    false if near.package.is_empty() => failure.hint("leave `package` out"),
                    false => failure.hint(format!("say `package = \"{}\"`", near.package)),
                }
            }
            None => failure,
        }
    }

    /// The pattern in all lines of a section (or of all), one by one, without headers.
    pub(super) fn search_replace(
        &self,
        section: &str,
        package: &str,
        pattern: (&Pattern, &str),
        replacement: &str,
    ) -> Result<Vec<Splice>, Failure> {
        let (pattern, written) = pattern;
        let mut splices = Vec::new();
        let mut place = Place::default();
        for (index, line) in self.lines.iter().enumerate() {
            if let Some(next) = header(line) {
                place = next;
                continue;
            }
            let wanted = section.is_empty() || place.name == section;
            if !wanted || !(package.is_empty() || place.package == package) {
                continue;
            }
            let new = pattern.replace(line, replacement);
            if new != *line {
                // What was replaced may begin a section itself.
                if let Some(next) = header(&new) {
                    place = next;
                }
                splices.push(Splice::replace(index, new.into_owned()));
            }
        }
        if !splices.is_empty() {
            return Ok(splices);
        }
        Err(self.no_match(section, package, pattern, written))
    }

    fn no_match(&self, section: &str, package: &str, pattern: &Pattern, written: &str) -> Failure {
        let place = match (section, package) {
            ("", "") => String::new(),
            ("", package) => format!(" in sections of `{package}`"),
            (section, "") => format!(" in `{section}`"),
            (section, package) => format!(" in `{section}` of `{package}`"),
        };
        let failure = Failure::new(
            Kind::PatternNotFound,
            format!("`{written}` changes no line{place}"),
        );
        if let Some(index) = self.lines.iter().position(|line| pattern.is_in(line)) {
            let failure = failure.line("it is found at", self.shown, index, self.lines[index]);
            return match header(self.lines[index]) {
                Some(_) => failure.hint("headers of sections are left alone"),
                None if place.is_empty() => failure.hint("the replacement is what stands there already"),
                None => failure,
            };
        }
        match nearest_line(&literal_part(written), self.lines.iter().copied()) {
            Some((index, line)) => failure.line("the nearest line is", self.shown, index, line),
            None => failure,
        }
    }
}

/// The section that tags of a package are added to.
pub(super) fn tags_of(package: &str) -> &'static str {
    match package {
        "" => "",
        _ => "%package",
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

/// A tag's name without digits at its end, in small letters.
fn family(tag: &str) -> String {
    let lower = tag.to_lowercase();
    match lower.trim_end_matches(|c: char| c.is_ascii_digit()) {
        "" => lower,
        family => family.to_owned(),
    }
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
