//! Overlays of tags, line by line.

use super::{
    document::Splice,
    failure::{Failure, Kind},
    lines::{Lines, Tag, depth_change, same_letters},
};

impl Lines<'_> {
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
}

/// The section that tags of a package are added to.
fn tags_of(package: &str) -> &'static str {
    match package {
        "" => "",
        _ => "%package",
    }
}

/// A tag's name without digits at its end, in small letters.
fn family(tag: &str) -> String {
    let lower = tag.to_lowercase();
    match lower.trim_end_matches(|c: char| c.is_ascii_digit()) {
        "" => lower,
        family => family.to_owned(),
    }
}
