//! Patterns, replaced line by line.

use keel_config::re2::Pattern;

use super::{
    document::Splice,
    failure::{Failure, Kind, literal_part, nearest_line},
    lines::{Lines, Place, header},
};

impl Lines<'_> {
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
