//! `keel spec`: SPEC files without a project.

pub mod evaluate;
mod expand;
mod files;
mod plan;
mod syntax;
mod text;
mod told;
pub mod watchdog;

use std::{collections::BTreeMap, num::NonZeroUsize, sync::Arc};

use keel_spec::{
    eval::{Dependency, Package},
    graph,
    header::{self, Header},
    query::Query,
};
use serde::Serialize;

use crate::{
    args::spec::{Spec, What},
    context::Context,
    failure::{Class, Failure},
    report,
};

use evaluate::{Answer, Macros};

/// Does what was asked for.
pub fn run(context: &Context<'_>, command: Spec) -> Result<(), Failure> {
    match command {
        Spec::Eval { files, how } => {
            let files = files::find(context, &files.paths)?;
            let macros = Arc::new(Macros::load(context, &how, &files)?.with_json());
            evaluate::each(context, &macros, &files, &mut |_, answer| {
                report::line(answer.json.as_deref().unwrap_or_default())
            })
        }
        Spec::Query { files, what, how } => {
            let files = files::find(context, &files.paths)?;
            let query = what.format.as_deref().map(Query::parse).transpose();
            let query = query.map_err(|error| Failure::input(error.to_string()))?;
            let macros = Arc::new(Macros::load(context, &how, &files)?);
            evaluate::each(context, &macros, &files, &mut |_, answer| {
                answer_query(context, answer, &what, query.as_ref())
            })
        }
        Spec::Parse { files, how } => {
            let files = files::find(context, &files.paths)?;
            let macros = Arc::new(Macros::load(context, &how, &files)?);
            evaluate::each(context, &macros, &files, &mut |_, answer| {
                if answer.outcome.evaluated.is_none() {
                    return Ok(());
                }
                match context.wants_json() {
                    true => report::line(&json(&Parsed {
                        spec: &answer.path,
                        text: &answer.outcome.parsed,
                    })?),
                    false => report::bytes_as_they_are(&answer.outcome.parsed),
                }
            })
        }
        Spec::Expand { steps, how, .. } => expand::expand(context, how, &steps.0),
        Spec::Fmt { files, check } => text::format(context, &files::find(context, &files.paths)?, check),
        Spec::Lint {
            files,
            fix,
            rules,
            list,
        } => match list {
            true => text::rules(context),
            false => {
                let files = files::find(context, &files.paths)?;
                text::lint(context, &files, rules.as_deref(), fix)
            }
        },
        Spec::Syntax { files, jobs } => {
            let files = files::find(context, &files.paths)?;
            syntax::syntax(
                context,
                &files,
                jobs.map_or_else(evaluate::cores, NonZeroUsize::get),
            )
        }
        Spec::Graph { files, dot, how } => {
            let files = files::find(context, &files.paths)?;
            let macros = Arc::new(Macros::load(context, &how, &files)?);
            let mut nodes = Vec::new();
            let arch = evaluate::target(context, &how)?.cpu.clone();
            let evaluated = evaluate::each(context, &macros, &files, &mut |_, answer| {
                nodes.extend(
                    answer
                        .outcome
                        .evaluated
                        .iter()
                        .map(|spec| header::node(&answer.path, spec)),
                );
                Ok(())
            });
            let analysis = graph::analyse(&nodes, &arch);
            if dot {
                report::line(&analysis.build.dot("build requirements"))?;
            } else {
                report::print(context, &analysis.report, |report| report.to_string())?;
            }
            // What could not be read is not in the graph: the exit code says so.
            evaluated
        }
        Spec::Plan {
            files,
            assume_provided,
            suggest,
            graph,
            how,
        } => {
            let files = files::find(context, &files.paths)?;
            plan::plan(context, &how, &files, &assume_provided, suggest, graph)
        }
    }
}

#[derive(Serialize)]
struct Parsed<'a> {
    spec: &'a str,
    text: &'a str,
}

fn value(value: &[Dependency]) -> Result<serde_json::Value, Failure> {
    serde_json::to_value(value)
        .map_err(|error| Failure::because(Class::Bug, "cannot write the result as JSON", &error))
}

fn json(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(value)
        .map_err(|error| Failure::because(Class::Bug, "cannot write the result as JSON", &error))
}

fn answer_query(
    context: &Context<'_>,
    answer: &Answer,
    what: &What,
    query: Option<&Query>,
) -> Result<(), Failure> {
    let Some(spec) = &answer.outcome.evaluated else {
        return Ok(());
    };
    let of_source = what.srpm || what.buildrequires || what.buildconflicts;
    let headers: Vec<Header<'_>> = match of_source {
        true => vec![Header::source(spec)],
        false => Header::packages(spec, what.builtrpms).collect(),
    };
    for header in headers {
        let package = header.package();
        let arch = match (of_source, spec.no_source) {
            (true, true) => "nosrc",
            (true, false) => "src",
            _ => &package.arch,
        };
        let (name, version, release) = (&package.name, &package.version, &package.release);
        let named = format!("{name}-{version}-{release}.{arch}");
        let text = query.map(|query| query.show(&header)).transpose();
        let text = text.map_err(|error| Failure::input(error.to_string()))?;
        let as_json = context.wants_json();
        match (asked(what, package), text) {
            (Some((kind, list)), _) if as_json => {
                report::line(&json(&BTreeMap::from([
                    ("package", serde_json::Value::from(named)),
                    (kind, value(list)?),
                ]))?)?;
            }
            (Some((_, list)), _) => {
                let lines: Vec<String> = list.iter().map(ToString::to_string).collect();
                report::line(&lines.join("\n"))?;
            }
            (None, Some(text)) if as_json => {
                report::line(&json(&BTreeMap::from([("package", named), ("text", text)]))?)?;
            }
            (None, Some(text)) => report::bytes_as_they_are(&text)?,
            (None, None) if as_json => report::line(&json(package)?)?,
            (None, None) => report::line(&named)?,
        }
    }
    Ok(())
}

/// The list that was asked for, and its name in JSON.
fn asked<'p>(what: &What, package: &'p Package) -> Option<(&'static str, &'p [Dependency])> {
    let lists: [(bool, &'static str, &[Dependency]); 10] = [
        (what.buildrequires, "requires", &package.requires),
        (what.requires, "requires", &package.requires),
        (what.buildconflicts, "conflicts", &package.conflicts),
        (what.conflicts, "conflicts", &package.conflicts),
        (what.provides, "provides", &package.provides),
        (what.obsoletes, "obsoletes", &package.obsoletes),
        (what.recommends, "recommends", &package.recommends),
        (what.suggests, "suggests", &package.suggests),
        (what.supplements, "supplements", &package.supplements),
        (what.enhances, "enhances", &package.enhances),
    ];
    let mut asked = lists.into_iter().filter(|(is_asked, ..)| *is_asked);
    asked.next().map(|(_, name, list)| (name, list))
}
