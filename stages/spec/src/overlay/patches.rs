//! What a SPEC says of patches, line by line.

use keel_config::glob::Glob;

use super::{
    document::Splice,
    failure::{Failure, Kind},
    lines::{Lines, Tag},
};

/// The section in which patches are listed by name alone.
const LIST: &str = "%patchlist";

impl Lines<'_> {
    /// Says that there is one more patch: in `%patchlist`, or as a tag with the next number.
    pub(super) fn add_patch(&self, file: &str) -> Result<Vec<Splice>, Failure> {
        if self.has_section(LIST) {
            return self.append(LIST, "", &[file.to_owned()]);
        }
        let next = self.highest_patch().map_or(0, |highest| highest + 1);
        self.add_tag("", &format!("Patch{next}"), file)
    }

    /// Tags without number take the numbers from 0 up.
    fn highest_patch(&self) -> Option<u64> {
        let numbered = self.tags().filter_map(|tag| number(&tag)).max();
        let bare = self
            .tags()
            .filter(|tag| tag.name.eq_ignore_ascii_case("patch"))
            .count() as u64;
        numbered.max(bare.checked_sub(1))
    }

    /// Takes away what is said of patches whose names fit.
    pub(super) fn remove_patches(&self, glob: &Glob, written: &str) -> Result<Vec<Splice>, Failure> {
        let tags = self
            .tags()
            .filter(|tag| number(tag).is_some() && glob.fits(tag.value));
        let mut lines: Vec<usize> = tags.map(|tag| tag.line).collect();
        for section in self.sections.iter().filter(|section| section.place.name == LIST) {
            lines.extend((section.start + 1..section.end).filter(|line| {
                let entry = self.lines[*line].trim();
                !entry.is_empty() && glob.fits(entry)
            }));
        }
        lines.sort_unstable();
        if !lines.is_empty() {
            return Ok(lines
                .into_iter()
                .map(|line| Splice::remove(line..line + 1))
                .collect());
        }
        let failure = Failure::new(Kind::NoFile, format!("the SPEC has no patch `{written}`"));
        let bare = self
            .tags()
            .find(|tag| tag.name.eq_ignore_ascii_case("patch") && glob.fits(tag.value));
        if let Some(bare) = bare {
            return Err(failure
                .line(
                    "it is here, without a number",
                    self.shown,
                    bare.line,
                    self.lines[bare.line],
                )
                .hint("say `overlay-semantics = \"structural\"`, or remove the tag with `spec-remove-tag`"));
        }
        let known: Vec<Tag<'_>> = self.tags().filter(|tag| number(tag).is_some()).collect();
        let near = known
            .iter()
            .map(|tag| (strsim::normalized_levenshtein(written, tag.value), tag))
            .filter(|(score, _)| *score >= 0.4)
            .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.line.cmp(&a.1.line)));
        Err(match near {
            Some((_, tag)) => failure.line("the nearest is", self.shown, tag.line, self.lines[tag.line]),
            None => failure,
        })
    }
}

/// The number of a `PatchN` tag.
fn number(tag: &Tag<'_>) -> Option<u64> {
    let lower = tag.name.to_lowercase();
    let digits = lower.strip_prefix("patch").filter(|digits| !digits.is_empty())?;
    // Go reads a sign here too; rpm knows no such number.
    digits.parse::<u32>().ok().map(u64::from)
}
