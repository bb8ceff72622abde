//! Edits of bytes as changes of lines, so that each line knows who wrote it.

use super::{
    document::{Document, Hunk, Splice},
    failure::{Failure, Kind},
};
use crate::syntax::{Edit, Error, apply};

impl Document {
    /// Makes edits of [`Document::text`], which is `text`, for overlay `by`.
    pub(super) fn edit(&mut self, text: &str, edits: Vec<Edit>, by: usize) -> Result<Vec<Hunk>, Failure> {
        let new = apply(text, edits.clone()).map_err(|error| refused(&error))?;
        match splices(text, edits) {
            // Without an end of the last line, places of lines are not enough.
            Some(splices) if text.ends_with('\n') && new.ends_with('\n') => Ok(self.splice(splices, by)),
            _ => Ok(self.become_text(&new, by)),
        }
    }
}

fn splices(text: &str, mut edits: Vec<Edit>) -> Option<Vec<Splice>> {
    edits.sort_by_key(|edit| (edit.span.start, edit.span.end));
    let starts: Vec<usize> = std::iter::once(0)
        .chain(text.match_indices('\n').map(|(at, _)| at + 1))
        .collect();
    let line_of = |offset: usize| starts.partition_point(|start| *start <= offset) - 1;
    let is_start = |offset: usize| starts.binary_search(&offset).is_ok();
    let mut out: Vec<(usize, usize, String)> = Vec::new();
    let mut at = 0;
    for edit in edits {
        let (start, end) = (edit.span.start, edit.span.end);
        let whole = is_start(start) && is_start(end) && (edit.text.is_empty() || edit.text.ends_with('\n'));
        let first = line_of(start);
        let last = if whole { line_of(end) } else { line_of(end) + 1 };
        match out.last_mut() {
            // The same line again: what is between the two edits stays.
            Some((_, until, with)) if first < *until => {
                let kept = with
                    .len()
                    .checked_sub(starts.get(*until).copied().unwrap_or(text.len()) - at)?;
                with.truncate(kept);
                with.push_str(text.get(at..start)?);
                with.push_str(&edit.text);
                *until = last.max(*until);
                let until = starts.get(*until).copied().unwrap_or(text.len());
                with.push_str(text.get(end..until)?);
            }
            _ => {
                let until = starts.get(last).copied().unwrap_or(text.len());
                let mut with = text.get(starts[first]..start)?.to_owned();
                with.push_str(&edit.text);
                with.push_str(text.get(end..until)?);
                out.push((first, last, with));
            }
        }
        at = end;
    }
    let mut splices = Vec::with_capacity(out.len());
    for (first, last, with) in out {
        let with = match with.strip_suffix('\n') {
            Some(lines) => vec![lines.to_owned()],
            None if with.is_empty() => Vec::new(),
            None => return None,
        };
        splices.push(Splice {
            lines: first..last,
            with,
        });
    }
    Some(splices)
}

/// What the syntax tree refuses.
pub(super) fn refused(error: &Error) -> Failure {
    let kind = match error {
        Error::NoPackage { .. } => Kind::SectionNotFound,
        Error::NoTag { .. } => Kind::NoSuchTag,
        Error::Straddles { .. } => Kind::ConditionSpans,
        Error::Preamble | Error::Overlap { .. } | Error::NotInText { .. } => Kind::NotPossible,
    };
    Failure::new(kind, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::Span;

    #[test]
    fn edits_of_bytes_are_changes_of_lines() {
        let text = "one\ntwo\nthree\nfour\n";
        let edits = vec![
            Edit::replace(Span::new(0, 1), "O"),
            Edit::replace(Span::new(2, 3), "E"),
            Edit::insert(8, "new\n"),
            Edit::remove(Span::new(14, 19)),
        ];
        let mut document = Document::new(text.as_bytes());
        let hunks = document.edit(text, edits, 3).unwrap();
        assert_eq!(document.text(), "OnE\ntwo\nnew\nthree\n");
        let hunks: Vec<_> = hunks
            .iter()
            .map(|hunk| (hunk.line, hunk.removed, hunk.added))
            .collect();
        assert_eq!(hunks, [(1, 1, 1), (3, 0, 1), (4, 1, 0)]);
        let written: Vec<_> = document
            .written()
            .iter()
            .map(|one| (one.first, one.last))
            .collect();
        assert_eq!(written, [(1, 1), (3, 3)]);
    }
}
