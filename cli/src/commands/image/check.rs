//! `keel image build --check`: is an image the same when it is made elsewhere?

use std::{fmt::Write as _, time::Instant};

use keel_artefact::{Event, event::Outcome};
use keel_build::Results;
use keel_config::Diagnostic;
use keel_image::{Built, Checked, Difference};
use rustix::{fs::Mode, process::umask};

use super::{Recorded, with_ingredients};
use crate::{
    context::Context,
    failure::{Class, Failure},
    pipeline::Planned,
};

/// So many differences are told.
const TOLD: usize = 10;

/// Makes all images again, and fails where one differs; the others are checked all the same.
pub(super) fn all(
    context: &Context<'_>,
    planned: &Planned,
    results: &Results,
    recorded: &Recorded<'_>,
    built: &[Built],
) -> Result<(), Failure> {
    context.sink().event(Event::Stage {
        title: "Making images again: other clock, host, time zone, umask, folder, order of packages, one core",
    });
    let out = planned.project.output_dir.join("differs").join("images");
    let mut wrong = Vec::new();
    for (index, first) in built.iter().enumerate() {
        let (id, title) = (
            format!("check:{}", first.image),
            format!("image {} again", first.image),
        );
        let (started, _mask) = (Instant::now(), Mask::new());
        context.sink().event(Event::Started {
            id: &id,
            title: &title,
            total: None,
        });
        let checked = with_ingredients(context, planned, results, recorded, index, |of| {
            let (store, silent) = (context.store()?, &keel_artefact::event::Silent);
            Ok(keel_image::check(
                of,
                first,
                &out,
                store,
                silent,
                &context.interrupt,
            )?)
        });
        context.sink().event(Event::Finished {
            id: &id,
            outcome: match checked {
                Ok(Checked::Same) => Outcome::Done,
                _ => Outcome::Failed,
            },
            elapsed: started.elapsed(),
        });
        match checked? {
            Checked::Same => {
                let text = format!(
                    "image `{}` made twice: every file has the same bytes",
                    first.image
                );
                context.sink().event(Event::Note { text: &text });
            }
            Checked::Differs { differences, second } => {
                let cause = format!(
                    "not reproducible in other surroundings (the first is in {}, the second is kept in {}):{}",
                    first.dir.display(),
                    second.display(),
                    told(&differences),
                );
                let mut diagnostic = Diagnostic::new(format!("image `{}` made twice", first.image));
                diagnostic.causes.push(cause);
                wrong.push(diagnostic.hint(
                    "a script of the definition that writes a time or a random number? `diffoscope` of both folders says what is in the bytes",
                ));
            }
        }
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(Failure {
            class: Class::Failed,
            diagnostics: wrong,
        }),
    }
}

/// One a line.
fn told(differences: &[Difference]) -> String {
    let mut text = String::new();
    for difference in differences.iter().take(TOLD) {
        // Writing to a String cannot fail.
        let _ = match difference.at {
            Some(at) => write!(text, "\n  {}: from byte {at} on", difference.file),
            None => write!(text, "\n  {}: one of the two has no such file", difference.file),
        };
    }
    if differences.len() > TOLD {
        let _ = write!(text, "\n  and {} more files", differences.len() - TOLD);
    }
    text
}

/// Another umask, for as long as this lives.
struct Mask(Mode);

impl Mask {
    fn new() -> Self {
        Self(umask(Mode::RWXG | Mode::RWXO))
    }
}

impl Drop for Mask {
    fn drop(&mut self) {
        umask(self.0);
    }
}
