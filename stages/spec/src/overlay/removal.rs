//! Removing whole sections, line by line, with `%if` and `%endif` kept in pairs.

use std::ops::Range;

use super::{
    document::Splice,
    failure::{Failure, Kind},
    lines::{Lines, depth_change, is_branch},
};

impl Lines<'_> {
    /// Removes every such section.
    pub(super) fn remove_section(&self, name: &str, package: &str) -> Result<Vec<Splice>, Failure> {
        if name.is_empty() {
            let what = "the preamble cannot be removed, and no section is named";
            return Err(Failure::new(Kind::NotPossible, what));
        }
        let found = self.ranges(|section, of| section == name && of == package)?;
        match found.is_empty() {
            true => Err(self.no_section(name, package)),
            false => Ok(found),
        }
    }

    /// Removes every section of a package.
    pub(super) fn remove_package(&self, package: &str) -> Result<Vec<Splice>, Failure> {
        if package.is_empty() {
            return Err(Failure::new(Kind::NotPossible, "no package is named"));
        }
        let found = self.ranges(|_, of| of == package)?;
        if !found.is_empty() {
            return Ok(found);
        }
        let what = format!("no section is about `{package}`");
        let packages = self.sections.iter().map(|section| section.place.package.as_str());
        Err(Failure::new(Kind::SectionNotFound, what)
            .did_you_mean(package, packages)
            .hint("a package is called here as the headers of its sections call it"))
    }

    fn ranges(&self, matches: impl Fn(&str, &str) -> bool) -> Result<Vec<Splice>, Failure> {
        let sections = self.sections.iter().skip(1);
        let found: Vec<Range<usize>> = sections
            .filter(|section| matches(&section.place.name, &section.place.package))
            .map(|section| section.start..section.end)
            .collect();
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let pairs = self.pairs()?;
        found
            .into_iter()
            .map(|range| self.balanced(range, &pairs).map(Splice::remove))
            .collect()
    }

    /// For each `%if`, `%endif` and branch, the `%if` and `%endif` that it belongs to; none for other lines.
    fn pairs(&self) -> Result<Vec<Option<(usize, usize)>>, Failure> {
        let mut pairs = vec![None; self.lines.len()];
        // What is open: its `%if`, and its branches so far.
        let mut open: Vec<Vec<usize>> = Vec::new();
        let unbalanced = |what: &str, line: usize| {
            Failure::new(Kind::Unbalanced, format!("there is {what} in the SPEC")).line(
                "at",
                self.shown,
                line,
                self.lines[line],
            )
        };
        for (index, line) in self.lines.iter().enumerate() {
            match depth_change(line) {
                1 => open.push(vec![index]),
                -1 => {
                    let Some(lines) = open.pop() else {
                        return Err(unbalanced("an `%endif` without `%if`", index));
                    };
                    for line in lines.iter().chain([&index]) {
                        pairs[*line] = Some((lines[0], index));
                    }
                }
                _ if is_branch(line) => {
                    if let Some(last) = open.last_mut() {
                        last.push(index);
                    }
                }
                _ => {}
            }
        }
        match open.first() {
            Some(lines) => Err(unbalanced("an `%if` without `%endif`", lines[0])),
            None => Ok(pairs),
        }
    }

    /// The part of a section that can go: what is after the first directive whose other half is elsewhere stays.
    fn balanced(
        &self,
        range: Range<usize>,
        pairs: &[Option<(usize, usize)>],
    ) -> Result<Range<usize>, Failure> {
        let mut end = range.end;
        for line in range.clone() {
            let Some((opening, closing)) = pairs[line] else {
                continue;
            };
            if range.contains(&opening) && range.contains(&closing) {
                continue;
            }
            if is_branch(self.lines[line]) {
                let what = "a branch of a condition that is larger than the section begins in it";
                return Err(self.spans(what, line, &range));
            }
            end = end.min(line);
        }
        // All that stays must be directives, empty lines and comments.
        if end < range.end {
            self.nothing_after(end, &range)?;
        }
        Ok(range.start..end)
    }

    fn nothing_after(&self, from: usize, range: &Range<usize>) -> Result<(), Failure> {
        let is_content = |line: &&str| {
            let line = line.trim();
            !line.is_empty() && !line.starts_with('#') && depth_change(line) == 0
        };
        match self.lines[from..range.end].iter().position(is_content) {
            Some(ahead) => {
                let what = "a condition spans the section's end and has content on both sides";
                Err(self.spans(what, from + ahead, range))
            }
            None => Ok(()),
        }
    }

    fn spans(&self, what: &str, line: usize, range: &Range<usize>) -> Failure {
        Failure::new(
            Kind::ConditionSpans,
            format!("{what} (lines {} to {})", range.start + 1, range.end),
        )
        .line("section", self.shown, range.start, self.lines[range.start])
        .line("at", self.shown, line, self.lines[line])
        .hint("move the conditions with a `spec-search-replace` before this overlay")
    }
}
