//! Why a component cannot be rendered: with the place in the SPEC, in the TOML or in `sources` where somebody wrote it.

use keel_config::{Component, Diagnostic, Excerpt, Location, Project};
use keel_spec::render::{self, sources_file};

use super::Pristine;
use crate::failure::{Class, Failure};

/// A file beyond this size is shown no line of.
const LARGEST: u64 = 16 << 20;

/// Why rendering stopped.
pub fn why(project: &Project, pristine: &Pristine, error: render::Error) -> Failure {
    let input = |diagnostics| Failure {
        class: Class::Input,
        diagnostics,
    };
    match error {
        render::Error::Evaluation { errors } => {
            input(errors.into_iter().map(|one| placed(project, one)).collect())
        }
        render::Error::Overlay(error) => input(vec![placed(project, *error.diagnostic)]),
        render::Error::Sources(error) => {
            let line = match error {
                sources_file::Error::Line { line, .. } => line,
                sources_file::Error::Twice { second, .. } => second,
                _ => 0,
            };
            let diagnostic = Diagnostic::new(error.to_string());
            input(vec![match u32::try_from(line) {
                Ok(0) | Err(_) => diagnostic,
                Ok(line) => {
                    let file = pristine.folder.join("sources");
                    placed(project, diagnostic.at(Location::line(file, line)))
                }
            }])
        }
        error => {
            let class = match &error {
                render::Error::Io(_) => Class::Environment,
                // Not the component's fault, whose folder must stay.
                render::Error::InOneAnother { .. } => Class::Failed,
                _ => Class::Input,
            };
            Failure::because(class, "rendering stopped", &error)
        }
    }
}

/// With files as people should see them, and the line that is meant.
fn placed(project: &Project, mut diagnostic: Diagnostic) -> Diagnostic {
    for further in &mut diagnostic.further {
        if let Some(at) = &mut further.location {
            at.file = project.display(&at.file);
        }
    }
    let Some(at) = &mut diagnostic.location else {
        return diagnostic;
    };
    let file = project.root.join(&at.file);
    at.file = project.display(&at.file);
    if diagnostic.excerpt.is_none() && at.line > 0 {
        let is_small = fs_err::metadata(&file).is_ok_and(|file| file.is_file() && file.len() <= LARGEST);
        // That it cannot be read is not what is to be told here.
        let text = is_small.then(|| fs_err::read(&file).ok()).flatten();
        diagnostic.excerpt = text.and_then(|text| Excerpt::of_line(&String::from_utf8_lossy(&text), at.line));
    }
    diagnostic
}

/// Says of which component something could not be done.
pub fn of(component: &Component, what: &str, failure: Failure) -> Failure {
    let subject = format!("cannot {what} `{}`", component.name);
    let (placed, unplaced): (Vec<Diagnostic>, Vec<Diagnostic>) =
        (failure.diagnostics.into_iter()).partition(|diagnostic| diagnostic.location.is_some());
    let mut diagnostics: Vec<Diagnostic> = placed
        .into_iter()
        .map(|diagnostic| Diagnostic {
            message: format!("{subject}: {}", diagnostic.message),
            ..diagnostic
        })
        .collect();
    if !unplaced.is_empty() {
        let mut diagnostic = Diagnostic::new(subject).at(component.defined_at.clone());
        for found in &unplaced {
            diagnostic = diagnostic.cause(found.to_string().trim_start_matches("error: "));
        }
        diagnostics.push(diagnostic);
    }
    Failure {
        class: failure.class,
        diagnostics,
    }
}
