//! `Source` and `Patch`: which file each is.

use super::{Parser, SourceKind, Stop, lines, model::Source, options, prep};
use crate::macros::text::is_space;

impl Parser<'_> {
    /// Adds a source; `rest` is what follows the tag's name, where a number may be.
    pub(super) fn add_source(
        &mut self,
        kind: SourceKind,
        rest: Option<&str>,
        full: &str,
    ) -> Result<(), Stop> {
        let (name, upper) = match kind {
            SourceKind::Source => ("source", "SOURCE"),
            SourceKind::Patch => ("patch", "PATCH"),
        };
        let digits = rest.map_or("", |rest| {
            let end = rest.find([':', ' ', '\t']).unwrap_or(rest.len());
            &rest[..end]
        });
        let next = match kind {
            SourceKind::Source => &mut self.next_source,
            SourceKind::Patch => &mut self.next_patch,
        };
        let number = if digits.is_empty() {
            u32::try_from(*next).unwrap_or(u32::MAX)
        } else {
            match options::number(digits) {
                Some(number) => number,
                None => {
                    return Err(self.error_line(&format!("Bad {name} number")));
                }
            }
        };
        *next = (*next).max(i64::from(number) + 1);
        let there = |source: &Source| source.kind == kind && source.number == number;
        if self.engine.prep.sources.iter().any(there) {
            return Err(self.error(format!("{name} {number} defined multiple times")));
        }
        let file = file_name(full).to_owned();
        let path = self.engine.expand_leniently(&format!("%{{_sourcedir}}/{file}"));
        let path = prep::clean_path(&path);
        self.engine
            .push(&format!("{upper}{number}"), None, &path, lines::TAG);
        self.engine
            .push(&format!("{upper}URL{number}"), None, full, lines::TAG);
        self.engine.prep.sources.push(Source {
            number,
            kind,
            file,
            full: full.to_owned(),
            path,
            left_out: false,
        });
        Ok(())
    }

    pub(super) fn leave_out(&mut self, kind: SourceKind, value: &str) -> Result<(), Stop> {
        let name = match kind {
            SourceKind::Source => "source",
            SourceKind::Patch => "patch",
        };
        self.spec.no_source = true;
        let separator = |c: char| c == ',' || u8::try_from(c).is_ok_and(is_space);
        for word in value.split(separator).filter(|word| !word.is_empty()) {
            let line = self.lines.number;
            let Some(number) = options::number(word) else {
                return Err(self.error(format!("line {line}: Bad number: {word}")));
            };
            let mut sources = self.engine.prep.sources.iter_mut();
            match sources.find(|source| source.kind == kind && source.number == number) {
                Some(source) => source.left_out = true,
                None => return Err(self.error(format!("line {line}: Bad no{name} number: {number}"))),
            }
        }
        Ok(())
    }
}

/// What is after the last `/`, and after the last `=` behind that.
fn file_name(full: &str) -> &str {
    match full.rfind('/') {
        None => full,
        Some(slash) => {
            let name = &full[slash..];
            name.rfind('=').map_or(&name[1..], |equals| &name[equals + 1..])
        }
    }
}
