//! Edits of tags.

use super::{Class, Edit, Error, Kind, Line, Names, Package, Section, Span, Tag, Tree};

/// Where values stand in tags that have no neighbour to go by: in the seventeenth column.
const COLUMN: usize = 16;

impl Tree<'_> {
    /// The tags of a package with this name, in any condition, by line. Case does not matter; number and qualifier do:
    /// `Source1`, `Requires(post)`.
    pub fn find_tags<'t>(
        &'t self,
        package: Package<'_>,
        name: &str,
        names: &Names<'_>,
    ) -> Vec<(&'t Line, &'t Tag)> {
        let lines = (self.sections.iter())
            .filter(|section| section.kind.class() == Class::Tags && self.is_about(section, package, names))
            .flat_map(|section| self.body(section));
        let tags = lines.filter_map(|line| match &line.kind {
            Kind::Tag(tag) => Some((line, tag)),
            _ => None,
        });
        tags.filter(|(_, tag)| self.title(tag).eq_ignore_ascii_case(name))
            .collect()
    }

    /// A tag's name with its qualifier: `Requires(post)`.
    pub fn title(&self, tag: &Tag) -> String {
        let name = self.slice(tag.name);
        match tag.qualifier {
            Some(qualifier) => format!("{name}({})", self.slice(qualifier)),
            None => name.to_owned(),
        }
    }

    /// Gives a tag another value.
    pub fn set_value(&self, tag: &Tag, value: &str) -> Edit {
        match tag.value.is_empty() {
            true => Edit::insert(tag.head.end, format!(" {value}")),
            false => Edit::replace(tag.value, value),
        }
    }

    /// Gives all tags of a package with this name another value; without such a tag, adds one ([`Tree::insert_tag`]).
    pub fn set_tag(
        &self,
        package: Package<'_>,
        name: &str,
        value: &str,
        names: &Names<'_>,
    ) -> Result<Vec<Edit>, Error> {
        let found = self.find_tags(package, name, names);
        if found.is_empty() {
            return Ok(vec![self.insert_tag(package, name, value, names)?]);
        }
        Ok(found.iter().map(|(_, tag)| self.set_value(tag, value)).collect())
    }

    /// Removes the tags of a package with this name, and with this value if one is given (in any case of letters).
    pub fn remove_tag(
        &self,
        package: Package<'_>,
        name: &str,
        value: Option<&str>,
        names: &Names<'_>,
    ) -> Result<Vec<Edit>, Error> {
        let fits = |tag: &Tag| value.is_none_or(|value| self.slice(tag.value).eq_ignore_ascii_case(value));
        let found = self.find_tags(package, name, names).into_iter();
        let edits: Vec<Edit> = (found.filter(|(_, tag)| fits(tag)))
            .map(|(line, _)| Edit::remove(line.span))
            .collect();
        if edits.is_empty() {
            return Err(Error::NoTag {
                tag: name.to_owned(),
                value: value.map(str::to_owned),
            });
        }
        Ok(edits)
    }

    /// Adds a tag to a package: after the last one of its kind (`Source2` after `Source1`), or else after the last tag, or
    /// else at the end of the package's tags. If the line before it would be in a condition that begins among these tags,
    /// it goes after that condition: a new tag is always there.
    pub fn insert_tag(
        &self,
        package: Package<'_>,
        name: &str,
        value: &str,
        names: &Names<'_>,
    ) -> Result<Edit, Error> {
        let section = self.tags_of(package, names)?;
        let family = family(name);
        let tags = || {
            self.body(section)
                .iter()
                .rev()
                .filter_map(|line| match &line.kind {
                    Kind::Tag(tag) => Some((line, tag)),
                    _ => None,
                })
        };
        let alike = tags().find(|(_, tag)| family.eq_ignore_ascii_case(self::family(self.slice(tag.name))));
        let neighbour = alike.or_else(|| tags().next());
        let before = match neighbour {
            Some((line, _)) => self.past_conditions(line, section),
            None => self.content_end(section),
        };
        let text = self.tag_line(name, value, neighbour.map(|(_, tag)| tag));
        Ok(self.insert_line(before, &text))
    }

    /// Adds a tag at the end of a package's tags.
    pub fn append_tag(
        &self,
        package: Package<'_>,
        name: &str,
        value: &str,
        names: &Names<'_>,
    ) -> Result<Edit, Error> {
        let section = self.tags_of(package, names)?;
        let last = self.body(section).iter().rev().find_map(|line| match &line.kind {
            Kind::Tag(tag) => Some(tag),
            _ => None,
        });
        let text = self.tag_line(name, value, last);
        Ok(self.insert_line(self.content_end(section), &text))
    }

    fn tags_of(&self, package: Package<'_>, names: &Names<'_>) -> Result<&Section, Error> {
        let found = (self.sections.iter())
            .find(|section| section.kind.class() == Class::Tags && self.is_about(section, package, names));
        found.ok_or_else(|| Error::NoPackage {
            package: match package {
                Package::Main => String::new(),
                Package::Named(name) => name.to_owned(),
            },
        })
    }

    /// The line before which a line can be put that is near `line`, and in no condition that begins in the section: after
    /// them, or before those that end in another section.
    fn past_conditions(&self, line: &Line, section: &Section) -> usize {
        let inside = self
            .branches_around(line)
            .map(|branch| &self.conditions[branch.condition]);
        let outermost = inside
            .take_while(|condition| condition.lines.start >= section.lines.start)
            .last();
        let mut after = match outermost {
            Some(condition) if condition.closed && condition.lines.end <= section.lines.end => {
                condition.lines.end
            }
            Some(condition) if !self.lines[condition.lines.start].joined => return condition.lines.start,
            _ => line.index + 1,
        };
        while self
            .lines
            .get(after)
            .is_some_and(|next| next.joined && next.section == section.index)
        {
            after += 1;
        }
        after
    }

    /// A tag as a line, its value in the column where its neighbour's is.
    fn tag_line(&self, name: &str, value: &str, neighbour: Option<&Tag>) -> String {
        let gap = neighbour.map(|tag| self.slice(Span::new(tag.head.end, tag.value.start)));
        if gap.is_some_and(|gap| gap.contains('\t')) {
            return format!("{name}:\t{value}");
        }
        let column = neighbour
            .filter(|tag| !tag.value.is_empty())
            .map_or(COLUMN, |tag| {
                self.slice(Span::new(tag.head.start, tag.value.start))
                    .chars()
                    .count()
            });
        let width = column.saturating_sub(1).max(name.chars().count() + 1);
        let head = format!("{name}:");
        format!("{head:width$} {value}")
    }

    /// Puts a line before the one at `index`, with the end of line that its neighbours have.
    pub(super) fn insert_line(&self, index: usize, line: &str) -> Edit {
        let before = index.checked_sub(1).and_then(|last| self.lines.get(last));
        let (offset, written) = before.map_or((0, "\n"), |line| (line.span.end, self.slice(line.span)));
        let end = if written.ends_with("\r\n") { "\r\n" } else { "\n" };
        let start = if written.ends_with('\n') { "" } else { end };
        Edit::insert(offset, format!("{start}{line}{end}"))
    }
}

/// A tag's name without number and qualifier.
fn family(name: &str) -> &str {
    let end = name
        .find(|c: char| !c.is_ascii_alphabetic())
        .unwrap_or(name.len());
    &name[..end]
}
