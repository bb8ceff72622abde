//! `keel component query`: what rendered SPECs say that they build, by Keel's own evaluator.

use std::sync::Arc;

use keel_config::{Component, Diagnostic};
use keel_spec::eval::{Evaluated, Package};
use serde::Serialize;

use crate::{
    args::component::Query,
    context::Context,
    failure::{Class, Failure},
    rendering::{self, Pristine, Rendering},
    report,
};

/// One component.
#[derive(Serialize)]
struct Row {
    component: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Built>,
    /// The packages that it builds, in the order of the SPEC.
    packages: Vec<Built>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// One package, source or binary.
#[derive(Serialize)]
struct Built {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<u32>,
    version: String,
    release: String,
    arch: String,
}

impl From<&Package> for Built {
    fn from(package: &Package) -> Self {
        Self {
            name: package.name.clone(),
            epoch: package.epoch,
            version: package.version.clone(),
            release: package.release.clone(),
            arch: package.arch.clone(),
        }
    }
}

/// Tells it.
pub fn run(context: &Context<'_>, command: &Query) -> Result<(), Failure> {
    let project = Arc::new(context.project()?);
    let chosen = rendering::chosen(&project, &command.select)?;
    let scratch = context.store()?.temp_dir("query")?;
    let rendering = Rendering::new(context, &project, &command.macros, scratch.path())?;
    let results = rendering.each(&chosen, query)?;
    context.interrupt.check()?;
    let mut diagnostics: Vec<Diagnostic> = Vec::new();
    let mut row = |(result, component): (Result<(Evaluated, _), Failure>, &&Component)| {
        let mut row = Row {
            component: component.name.to_string(),
            commit: None,
            source: None,
            packages: Vec::new(),
            error: None,
        };
        match result {
            Ok((evaluated, commit)) => {
                row.source = Some(Built::from(&evaluated.source));
                row.packages = evaluated.built().map(Built::from).collect();
                row.commit = commit;
            }
            Err(failure) => {
                let failure = rendering::of(component, "query", failure);
                let texts: Vec<String> = failure.diagnostics.iter().map(ToString::to_string).collect();
                row.error = Some(texts.join("\n"));
                diagnostics.extend(failure.diagnostics);
            }
        }
        row
    };
    let rows: Vec<Row> = results.into_iter().zip(&chosen).map(&mut row).collect();
    report::print(context, &rows, |rows| {
        let cells = |row: &Row| {
            let source = row.source.as_ref()?;
            let packages: Vec<&str> = row.packages.iter().map(|package| package.name.as_str()).collect();
            Some(vec![
                row.component.clone(),
                format!("{}-{}-{}", source.name, source.version, source.release),
                packages.join(" "),
            ])
        };
        let cells: Vec<_> = rows.iter().filter_map(cells).collect();
        report::table(&["component", "source", "packages"], &cells)
    })?;
    match diagnostics.is_empty() {
        true => Ok(()),
        false => Err(Failure {
            class: Class::Failed,
            diagnostics,
        }),
    }
}

fn query(
    rendering: &Rendering,
    component: &Component,
    pristine: Pristine,
) -> Result<(Evaluated, Option<String>), Failure> {
    let prepared = rendering.prepare(component, pristine)?;
    let path = prepared.folder.join(format!("{}.spec", component.name));
    let evaluated = rendering
        .macros
        .evaluator()
        .evaluate(&path, &fs_err::read(&path)?);
    let evaluated =
        evaluated.map_err(|errors| rendering.not_evaluated(&prepared.pristine, &prepared.places, errors));
    fs_err::remove_dir_all(&prepared.folder)?;
    let evaluated = evaluated?;
    Ok((evaluated, prepared.pristine.commit))
}
