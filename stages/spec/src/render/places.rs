//! Where the lines of a rendered SPEC come from, so that what is wrong with it is told where somebody wrote it.

use std::path::{Path, PathBuf};

use keel_config::{Diagnostic, Excerpt, Further, Location, overlay::Overlay};

use crate::{
    macros::text,
    overlay::{Document, document::Origin},
};

/// What rpmautospec puts before a SPEC, at most, in lines.
const PRELUDE: usize = 200;

/// Where the lines of a rendered SPEC come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    /// The rendered folder.
    folder: PathBuf,
    /// The pristine one.
    input: PathBuf,
    /// What the SPEC is called in the rendered folder, and in the pristine one.
    spec: String,
    pristine: String,
    /// By line.
    origins: Vec<Origin>,
    /// Where each overlay is written; none for one that nobody wrote.
    overlays: Vec<Option<Location>>,
}

impl Places {
    /// Of `document`, to which `overlays` were applied; `bytes` are what became of it, with all that rpmautospec adds.
    pub(super) fn of(
        (input, pristine): (&Path, &str),
        (folder, spec): (&Path, &str),
        document: &Document,
        bytes: &[u8],
        overlays: &[Overlay],
    ) -> Self {
        let written =
            |overlay: &Overlay| Some(overlay.defined_at.clone()).filter(|at| !at.file.as_os_str().is_empty());
        Self {
            folder: folder.to_owned(),
            input: input.to_owned(),
            spec: spec.to_owned(),
            pristine: pristine.to_owned(),
            origins: origins(document, &text::decode(bytes)),
            // Those of archives are applied before, and have no number.
            overlays: (overlays.iter())
                .filter(|overlay| overlay.archive.is_none())
                .map(written)
                .collect(),
        }
    }

    /// Of a folder that is a copy of `input`.
    pub fn of_copy(input: &Path, folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            input: input.to_owned(),
            ..Self::default()
        }
    }

    /// What is wrong with the rendered SPEC, told where it was written: in the pristine SPEC or an overlay. What nobody wrote
    /// is told with the rendered text, which is said to be that.
    pub fn told(&self, mut diagnostic: Diagnostic) -> Diagnostic {
        for further in &mut diagnostic.further {
            further.location = further.location.take().map(|at| self.place(at).0);
        }
        let Some(at) = diagnostic.location.take() else {
            return diagnostic;
        };
        let (place, by) = self.place(at);
        let Some(overlay) = by else {
            return diagnostic.at(place);
        };
        let excerpt: Option<Excerpt> = diagnostic.excerpt.take();
        let words = match diagnostic.note.replace("this overlay wrote it".to_owned()) {
            Some(note) => format!("{note}, in"),
            None => "in".to_owned(),
        };
        let rendered = Further {
            words,
            location: Some(place),
            excerpt,
        };
        diagnostic.further.insert(0, rendered);
        diagnostic.at(overlay)
    }

    /// The place of a place of the rendered folder, and the overlay that wrote it.
    fn place(&self, at: Location) -> (Location, Option<Location>) {
        let Ok(file) = at.file.strip_prefix(&self.folder).map(Path::to_owned) else {
            return (at, None);
        };
        let in_file = |file: PathBuf, line| Location { file, line, ..at };
        let pristine = self.input.join(&file);
        if file != Path::new(&self.spec) {
            return match pristine.is_file() {
                true => (in_file(pristine, at.line), None),
                false => (in_file(rendered(&file), at.line), None),
            };
        }
        let index = (at.line as usize).checked_sub(1);
        match index.and_then(|index| self.origins.get(index)) {
            Some(Origin::Line(line)) => {
                let line = u32::try_from(*line).unwrap_or(u32::MAX);
                (in_file(self.input.join(&self.pristine), line), None)
            }
            Some(Origin::Overlay(by)) => {
                let overlay = self.overlays.get(*by).cloned().flatten();
                (in_file(rendered(&file), at.line), overlay)
            }
            None if at.line == 0 => (in_file(self.input.join(&self.pristine), 0), None),
            _ => (in_file(rendered(&file), at.line), None),
        }
    }
}

/// A name for what is in no folder of the user's.
fn rendered(file: &Path) -> PathBuf {
    PathBuf::from(format!("{} (rendered)", file.display()))
}

/// The origins of the lines of `text`, which is the document or what rpmautospec made of it: lines before it, and another end.
fn origins(document: &Document, text: &str) -> Vec<Origin> {
    let of_document = document.origins();
    let before: Vec<&str> = document.lines().collect();
    let after: Vec<&str> = text.lines().collect();
    let most = PRELUDE.min(after.len().saturating_sub(1));
    let head = &before[..before.len().min(3)];
    let Some(shift) = (0..=most).find(|shift| after[*shift..].starts_with(head)) else {
        return Vec::new();
    };
    let prelude = std::iter::repeat_n(Origin::Nobody, shift);
    let pairs = before.iter().zip(&after[shift..]);
    // The first line that differs begins rpmautospec's end.
    let same = pairs.take_while(|(before, after)| before == after).count();
    prelude.chain(of_document.into_iter().take(same)).collect()
}

#[cfg(test)]
mod tests {
    use keel_config::overlay::{Change, Semantics};

    use super::*;

    /// R70: what is wrong with a rendered SPEC is told where it was written.
    #[test]
    fn lines_are_told_where_they_were_written() {
        let input = tempfile::tempdir().unwrap();
        fs_err::write(input.path().join("a.inc"), "x\n").unwrap();
        let overlay = |file: &str, line: &str| Overlay {
            change: Change::SpecPrependLines {
                section: None,
                package: None,
                lines: vec![line.to_owned()],
            },
            description: None,
            archive: None,
            metadata: None,
            defined_at: Location::line(file, 7),
        };
        let overlays = [overlay("o.toml", "one"), overlay("", "two")];
        let mut document = Document::new(b"Name: a\nVersion: 1\n%changelog\n");
        for (by, overlay) in overlays.iter().enumerate() {
            crate::overlay::apply_to_spec(&mut document, "s", overlay, Semantics::Lines, by).unwrap();
        }
        // As rpmautospec leaves it.
        let bytes = b"## block\ntwo\none\nName: a\nVersion: 1\n%changelog\n- new\n";
        let places = Places::of(
            (input.path(), "b.spec"),
            (Path::new("/r"), "a.spec"),
            &document,
            bytes,
            &overlays,
        );
        let pristine = |name: &str, line: u32| format!("{}/{name}:{line}", input.path().display());
        let told = |file: &str, line: u32| {
            let diagnostic = Diagnostic::new("m").at(Location::line(file, line));
            places.told(diagnostic).to_string().replace("error: m\n  ", "")
        };
        assert_eq!(told("/r/a.spec", 5), pristine("b.spec", 2));
        assert_eq!(
            told("/r/a.spec", 3),
            "o.toml:7: this overlay wrote it\n  in a.spec (rendered):3"
        );
        assert_eq!(told("/r/a.spec", 2), "a.spec (rendered):2");
        assert_eq!(told("/r/a.spec", 1), "a.spec (rendered):1");
        assert_eq!(told("/r/a.spec", 7), "a.spec (rendered):7");
        assert_eq!(told("/r/a.inc", 1), pristine("a.inc", 1));
        assert_eq!(told("/r/a.azl.macros", 1), "a.azl.macros (rendered):1");
        assert_eq!(told("/usr/lib/rpm/macros", 4), "/usr/lib/rpm/macros:4");
    }
}
