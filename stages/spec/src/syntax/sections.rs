//! Edits of sections.

use std::ops::Range;

use super::{Edit, Error, Kind, Line, Names, Package, Section, SectionKind, Span, Tree};

impl Tree<'_> {
    /// The sections of this kind that are about a package, in order. More than one can be there: in different conditions,
    /// or with `-a` and `-p`.
    pub fn find_sections<'t>(
        &'t self,
        kind: SectionKind,
        package: Package<'t>,
        names: &'t Names<'_>,
    ) -> impl Iterator<Item = &'t Section> {
        self.sections_about(package, names)
            .filter(move |section| section.kind == kind)
    }

    /// Puts lines at the start of a section, after its header.
    pub fn prepend(&self, section: &Section, lines: &str) -> Edit {
        self.insert_line(section.body().start, lines.strip_suffix('\n').unwrap_or(lines))
    }

    /// Puts lines at the end of a section: before empty lines, before comments that an empty line divides from it, and
    /// before directives of conditions that do not begin and end in it.
    pub fn append(&self, section: &Section, lines: &str) -> Edit {
        self.insert_line(
            self.content_end(section),
            lines.strip_suffix('\n').unwrap_or(lines),
        )
    }

    /// Gives a section other lines; header, and what [`Tree::append`] goes before, stay.
    pub fn replace_body(&self, section: &Section, lines: &str) -> Edit {
        let range = section.body().start..self.content_end(section).max(section.body().start);
        self.replace_lines(range, lines)
    }

    /// Gives a range of lines another text (none: removes them). The text gets an end of line if it has none.
    pub fn replace_lines(&self, range: Range<usize>, lines: &str) -> Edit {
        let span = self.span_of(range.clone());
        if lines.is_empty() {
            return Edit::remove(span);
        }
        let text = self
            .insert_line(range.start, lines.strip_suffix('\n').unwrap_or(lines))
            .text;
        Edit::replace(span, text)
    }

    /// Removes a section, header and all. Directives at its end whose conditions go on outside of it stay, and so do
    /// comments and empty lines after the first of them; anything else after it is not only this section's, and an error.
    pub fn remove_section(&self, section: &Section) -> Result<Edit, Error> {
        if section.kind == SectionKind::Preamble {
            return Err(Error::Preamble);
        }
        let end = self.first_straddling(section).unwrap_or(section.lines.end);
        let rest = &self.lines[end..section.lines.end];
        let foreign = rest.iter().find(|line| match line.kind {
            Kind::Blank | Kind::Comment | Kind::Dnl => false,
            _ => !self.straddles(line, section),
        });
        match foreign {
            Some(line) => Err(Error::Straddles {
                line: self.position(line.span.start).line,
            }),
            None => Ok(Edit::remove(self.span_of(section.lines.start..end))),
        }
    }

    /// Removes all sections that are about a package other than the main one.
    pub fn remove_package(&self, package: &str, names: &Names<'_>) -> Result<Vec<Edit>, Error> {
        let sections = self.sections_about(Package::Named(package), names);
        let edits: Vec<Edit> = sections
            .map(|section| self.remove_section(section))
            .collect::<Result<_, _>>()?;
        if edits.is_empty() {
            let package = package.to_owned();
            return Err(Error::NoPackage { package });
        }
        Ok(edits)
    }

    /// Adds a section (its header, and lines), with an empty line on both sides: before another one (and before the `%if`s
    /// and comments that belong to that), or at the end.
    pub fn add_section(&self, lines: &str, before: Option<&Section>) -> Result<Edit, Error> {
        let lines = lines.trim_end_matches('\n');
        let Some(before) = before else {
            let blank = match self.lines.last() {
                Some(last) if last.kind != Kind::Blank => "\n",
                _ => "",
            };
            return Ok(self.insert_line(self.lines.len(), &format!("{blank}{lines}")));
        };
        if before.kind == SectionKind::Preamble {
            return Err(Error::Preamble);
        }
        let start = self.lead_in(before);
        let blank = match start.checked_sub(1).map(|last| &self.lines[last].kind) {
            Some(Kind::Blank) | None => "",
            Some(_) => "\n",
        };
        Ok(self.insert_line(start, &format!("{blank}{lines}\n")))
    }

    /// The first of the `%if`s and comments right before a section's header: they are about it.
    pub(crate) fn lead_in(&self, section: &Section) -> usize {
        let mut start = section.lines.start;
        while let Some(line) = start.checked_sub(1).and_then(|before| self.lines.get(before)) {
            let leads = match &line.kind {
                Kind::Directive(directive) => directive.keyword.opens(),
                Kind::Comment => !self.section_of(line).kind.is_script(),
                _ => false,
            };
            let leads = leads && self.block_of(line).is_none();
            if !leads || line.joined || self.lines[start].joined {
                break;
            }
            start -= 1;
        }
        start
    }

    /// The line before which lines go that are appended to a section.
    pub(super) fn content_end(&self, section: &Section) -> usize {
        let start = section.body().start;
        let mut at = self.first_straddling(section).unwrap_or(section.lines.end);
        let mut end = at;
        while at > start && self.block_of(&self.lines[at - 1]).is_none() {
            match self.lines[at - 1].kind {
                Kind::Blank => end = at - 1,
                Kind::Comment | Kind::Dnl => {}
                _ => break,
            }
            at -= 1;
        }
        end
    }

    fn first_straddling(&self, section: &Section) -> Option<usize> {
        let mut body = self.body(section).iter();
        body.find(|line| self.straddles(line, section))
            .map(|line| line.index)
    }

    /// Is a line the directive of a condition that does not begin and end in the section?
    fn straddles(&self, line: &Line, section: &Section) -> bool {
        let Kind::Directive(directive) = &line.kind else {
            return false;
        };
        directive.condition.is_some_and(|condition| {
            let lines = &self.conditions[condition].lines;
            lines.start < section.lines.start || lines.end > section.lines.end
        })
    }

    /// All bytes of a section.
    pub fn section_span(&self, section: &Section) -> Span {
        self.span_of(section.lines.clone())
    }
}
