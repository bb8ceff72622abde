//! A SPEC as rpm reads it ([`Semantics::Structural`](keel_config::overlay::Semantics)): over the syntax tree.
//!
//! What is better than line by line: bodies of definitions and of macros in brackets hold no sections and no tags; lines
//! that are appended stay out of an `%if` around the next section; a section goes with the `%if` that held nothing else;
//! a macro that is needed elsewhere does not go with the section that sets it; a tag keeps its column; a tag that can be
//! there once is not added twice; patches without number are known, and where `%prep` applies them.

use keel_config::{glob::Glob, overlay::Change, re2::Pattern};

use super::{
    edits::refused,
    failure::{Failure, Kind, literal_part, nearest_line},
    own, removed,
};
use crate::syntax::{Edit, Kind as LineKind, Line, Names, Package, Section, SectionKind, Span, Tag, Tree};

/// A SPEC's tree, and what is needed to speak about it.
pub(super) struct Structure<'t> {
    pub(super) shown: &'t str,
    pub(super) tree: &'t Tree<'t>,
    pub(super) names: Names<'t>,
}

impl<'t> Structure<'t> {
    pub(super) fn of(tree: &'t Tree<'t>, shown: &'t str) -> Self {
        Self {
            shown,
            tree,
            names: tree.names(),
        }
    }

    /// The edits that a change of the SPEC is.
    pub(super) fn change(&self, change: &Change) -> Result<Vec<Edit>, Failure> {
        match change {
            Change::SpecAddTag { package, tag, value } => self.add_tag(package.as_deref(), tag, value),
            Change::SpecInsertTag { package, tag, value } => {
                let edit = self
                    .tree
                    .insert_tag(about(package.as_deref()), tag, value, &self.names);
                edit.map(|edit| vec![edit]).map_err(|error| self.refused(&error))
            }
            Change::SpecSetTag { package, tag, value } => {
                let edits = self
                    .tree
                    .set_tag(about(package.as_deref()), tag, value, &self.names);
                edits.map_err(|error| self.refused(&error))
            }
            Change::SpecUpdateTag { package, tag, value } => {
                let found = self.tree.find_tags(about(package.as_deref()), tag, &self.names);
                match found.is_empty() {
                    true => Err(self.no_tag(tag, None)),
                    false => Ok(found
                        .iter()
                        .map(|(_, found)| self.tree.set_value(found, value))
                        .collect()),
                }
            }
            Change::SpecRemoveTag { package, tag, value } => {
                let value = value.as_deref().filter(|value| !value.is_empty());
                let edits = self
                    .tree
                    .remove_tag(about(package.as_deref()), tag, value, &self.names);
                edits.map_err(|_| self.no_tag(tag, value))
            }
            Change::SpecPrependLines {
                section,
                package,
                lines,
            } => match section {
                Some(section) => self.each(section, package.as_deref(), |section| {
                    self.tree.prepend(section, &lines.join("\n"))
                }),
                None => Ok(vec![Edit::insert(0, lines.join("\n") + "\n")]),
            },
            Change::SpecAppendLines {
                section,
                package,
                lines,
            } => match section {
                Some(section) => self.each(section, package.as_deref(), |section| {
                    self.tree.append(section, &lines.join("\n"))
                }),
                None => {
                    let text = self.tree.text();
                    let start = if text.is_empty() || text.ends_with('\n') {
                        ""
                    } else {
                        "\n"
                    };
                    let lines = format!("{start}{}\n", lines.join("\n"));
                    Ok(vec![Edit::insert(text.len(), lines)])
                }
            },
            Change::SpecSearchReplace {
                section,
                package,
                regex,
                replacement,
            } => self.search_replace(section.as_deref(), package.as_deref(), regex, replacement),
            Change::SpecRemoveSection { section, package } => {
                let found = self.sections(section, package.as_deref())?;
                removed::sections(self, &found)
            }
            Change::SpecRemoveSubpackage { package } => {
                let found: Vec<&Section> = self.about(package).collect();
                match found.is_empty() {
                    true => Err(self.no_package(package)),
                    false => removed::sections(self, &found),
                }
            }
            Change::SpecSetMacro { .. } | Change::SpecSetBcond { .. } | Change::SpecReplaceSection { .. } => {
                own::change(self, change)
            }
            _ => Err(Failure::new(Kind::NotPossible, "this is no change of the SPEC")),
        }
    }

    fn add_tag(&self, package: Option<&str>, tag: &str, value: &str) -> Result<Vec<Edit>, Failure> {
        let there = self.tree.find_tags(about(package), tag, &self.names);
        let single = there
            .iter()
            .find(|(_, found)| found.kind.is_some_and(|kind| kind.single));
        if let Some((line, _)) = single {
            let failure = Failure::new(Kind::Exists, format!("there is a tag `{tag}` already"));
            return Err(self
                .at(failure, "it is", line.span.start)
                .hint("`spec-set-tag` changes a tag, and adds it where it is not"));
        }
        let edit = self.tree.append_tag(about(package), tag, value, &self.names);
        edit.map(|edit| vec![edit]).map_err(|error| self.refused(&error))
    }

    /// Sections of a package, by what follows `%package` or by its whole name, whichever of the two each of them says.
    fn about(&self, package: &str) -> impl Iterator<Item = &Section> {
        let sections = self.tree.sections().iter();
        sections.filter(move |section| self.is_about(section, Package::Named(package)))
    }

    fn is_about(&self, section: &Section, package: Package<'_>) -> bool {
        let whole = match package {
            Package::Named(suffix) => Some(format!("{}-{suffix}", self.names.resolve("%{name}"))),
            Package::Main => None,
        };
        self.tree.is_about(section, package, &self.names)
            || whole.is_some_and(|whole| self.tree.is_about(section, Package::Named(&whole), &self.names))
    }

    pub(super) fn sections(&self, section: &str, package: Option<&str>) -> Result<Vec<&Section>, Failure> {
        let Some(kind) = SectionKind::of_name(section) else {
            let what = format!("rpm knows no section `{section}`");
            return Err(Failure::new(Kind::SectionNotFound, what));
        };
        let found: Vec<&Section> = self
            .tree
            .sections()
            .iter()
            .filter(|one| one.kind == kind && self.is_about(one, about(package)))
            .collect();
        match found.is_empty() {
            true => Err(self.no_section(section, package)),
            false => Ok(found),
        }
    }

    fn each(
        &self,
        section: &str,
        package: Option<&str>,
        edit: impl Fn(&Section) -> Edit,
    ) -> Result<Vec<Edit>, Failure> {
        let found = self.sections(section, package)?;
        Ok(found.into_iter().map(edit).collect())
    }

    fn search_replace(
        &self,
        section: Option<&str>,
        package: Option<&str>,
        written: &str,
        replacement: &str,
    ) -> Result<Vec<Edit>, Failure> {
        let pattern = super::pattern(written)?;
        let chosen: Vec<&Section> = match (section, package) {
            (Some(section), package) => self.sections(section, package)?,
            (None, Some(package)) => self.about(package).collect(),
            (None, None) => self.tree.sections().iter().collect(),
        };
        let mut edits = Vec::new();
        for section in &chosen {
            let body = self.tree.span_of(section.body());
            let mut start = body.start;
            for line in body.of(self.tree.text()).split_inclusive('\n') {
                let inner = line.trim_end_matches(['\n', '\r']);
                let new = pattern.replace(inner, replacement);
                if new != inner {
                    edits.push(Edit::replace(Span::new(start, start + inner.len()), new));
                }
                start += line.len();
            }
        }
        match edits.is_empty() {
            true => Err(self.no_match(&pattern, written)),
            false => Ok(edits),
        }
    }

    fn no_match(&self, pattern: &Pattern, written: &str) -> Failure {
        let failure = Failure::new(
            Kind::PatternNotFound,
            format!("`{written}` changes no line that it is about"),
        );
        let lines = || self.tree.text().lines();
        if let Some((index, line)) = lines().enumerate().find(|(_, line)| pattern.is_in(line)) {
            return failure.line("it is found at", self.shown, index, line);
        }
        match nearest_line(&literal_part(written), lines()) {
            Some((index, line)) => failure.line("the nearest line is", self.shown, index, line),
            None => failure,
        }
    }

    /// Says that there is one more patch.
    pub(super) fn add_patch(&self, file: &str) -> Result<Vec<Edit>, Failure> {
        if let Some(list) = self
            .tree
            .sections()
            .iter()
            .find(|section| section.kind == SectionKind::Patchlist)
        {
            return Ok(vec![self.tree.append(list, file)]);
        }
        let next = self.patches().last().map_or(0, |_| {
            self.patches()
                .filter_map(|(_, _, number)| number)
                .max()
                .map_or(0, |highest| highest + 1)
        });
        let edit = self
            .tree
            .insert_tag(Package::Main, &format!("Patch{next}"), file, &self.names);
        edit.map(|edit| vec![edit]).map_err(|error| self.refused(&error))
    }

    /// All patches with their numbers, as rpm counts: one without number follows the one before it.
    pub(super) fn patches(&self) -> impl Iterator<Item = (&'t Line, &'t Tag, Option<u64>)> {
        let mut last = None::<u64>;
        let tags = self.tree.tags().filter(|(_, tag)| tag.known() == "Patch");
        tags.map(move |(line, tag)| {
            let name = self.tree.slice(tag.name);
            let number = match tag.number {
                Some(number) => Some(u64::from(number)),
                None if name.len() == "Patch".len() => Some(last.map_or(0, |last| last + 1)),
                None => None,
            };
            last = number.or(last);
            (line, tag, number)
        })
    }

    /// Takes away what is said of patches that fit: tags, entries of the list, and lines of `%prep` that apply one.
    pub(super) fn remove_patches(&self, glob: &Glob, written: &str) -> Result<Vec<Edit>, Failure> {
        let mut spans = Vec::new();
        let mut numbers = Vec::new();
        for (line, tag, number) in self.patches() {
            let value = self.names.resolve(self.tree.slice(tag.value));
            let base = value.rsplit('/').next().unwrap_or_default();
            if glob.fits(&value) || glob.fits(base) {
                spans.push(line.span);
                numbers.extend(number);
            }
        }
        let lists = self
            .tree
            .sections()
            .iter()
            .filter(|section| section.kind == SectionKind::Patchlist);
        for line in lists.flat_map(|section| self.tree.body(section)) {
            let entry = self.tree.slice(line.span).trim();
            if line.kind == LineKind::Text && glob.fits(&self.names.resolve(entry)) {
                spans.push(line.span);
            }
        }
        if spans.is_empty() {
            let patches = self.patches().map(|(_, tag, _)| self.tree.slice(tag.value));
            return Err(
                Failure::new(Kind::NoFile, format!("the SPEC has no patch `{written}`"))
                    .did_you_mean(written, patches),
            );
        }
        let prep = self
            .tree
            .sections()
            .iter()
            .filter(|section| section.kind == SectionKind::Prep);
        for line in prep.flat_map(|section| self.tree.body(section)) {
            if let LineKind::Macro(name) = line.kind
                && applied(self.tree.slice(name), self.tree.slice(line.span))
                    .is_some_and(|number| numbers.contains(&number))
            {
                spans.push(line.span);
            }
        }
        Ok(spans.into_iter().map(Edit::remove).collect())
    }

    pub(super) fn at(&self, failure: Failure, words: &str, offset: usize) -> Failure {
        let index = self.tree.line_number(offset) as usize - 1;
        let text = self.tree.text().lines().nth(index).unwrap_or_default();
        failure.line(words, self.shown, index, text)
    }

    fn refused(&self, error: &crate::syntax::Error) -> Failure {
        match error {
            crate::syntax::Error::NoPackage { package } => self.no_package(package),
            other => refused(other),
        }
    }

    fn no_package(&self, package: &str) -> Failure {
        let sections = self.tree.sections().iter();
        let written = sections.filter_map(|section| section.header.as_ref()?.package);
        Failure::new(Kind::SectionNotFound, format!("there is no package `{package}`"))
            .did_you_mean(package, written.map(|span| self.tree.slice(span)))
    }

    fn no_section(&self, section: &str, package: Option<&str>) -> Failure {
        let of = package.map_or_else(String::new, |package| format!(" of `{package}`"));
        let failure = Failure::new(
            Kind::SectionNotFound,
            format!("there is no section `{section}`{of}"),
        );
        let kind = SectionKind::of_name(section);
        let alike = self
            .tree
            .sections()
            .iter()
            .find(|one| Some(one.kind) == kind && one.header.is_some());
        match alike {
            Some(alike) => self.at(failure, "the nearest is", self.tree.section_span(alike).start),
            None => failure,
        }
    }

    fn no_tag(&self, tag: &str, value: Option<&str>) -> Failure {
        let with = value.map_or_else(String::new, |value| format!(" with the value `{value}`"));
        let failure = Failure::new(Kind::NoSuchTag, format!("there is no tag `{tag}`{with}"));
        let score = |found: &Tag| strsim::normalized_levenshtein(tag, self.tree.slice(found.name));
        let near = self
            .tree
            .tags()
            .map(|(line, found)| (score(found), line))
            .filter(|(score, _)| *score >= 0.5)
            .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.index.cmp(&a.1.index)));
        match near {
            Some((_, line)) => self.at(failure, "the nearest is", line.span.start),
            None => failure,
        }
    }
}

pub(super) fn about(package: Option<&str>) -> Package<'_> {
    match package {
        None | Some("") => Package::Main,
        Some(name) => Package::Named(name),
    }
}

/// The one patch that a line of `%prep` applies: `%patch3 …`, `%patch -P3 …`, `%patch -P 3 …`, `%patch 3`.
fn applied(name: &str, line: &str) -> Option<u64> {
    let digits = name.strip_prefix("patch")?;
    if !digits.is_empty() {
        return digits.parse().ok();
    }
    let mut words = line.split_whitespace().skip(1);
    let mut numbers = Vec::new();
    while let Some(word) = words.next() {
        let number = match word.strip_prefix("-P") {
            Some("") => words.next(),
            Some(attached) => Some(attached),
            None => Some(word).filter(|word| !word.starts_with('-')),
        };
        numbers.extend(number);
    }
    match numbers.as_slice() {
        [one] => one.parse().ok(),
        _ => None,
    }
}
