//! `keel plan` and `keel build`.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use keel_artefact::{ComponentName, Event, event::Outcome};
use keel_build::{Built, Kind, Results, provenance::Provenance};
use keel_plan::Job;

use crate::{
    args,
    context::Context,
    failure::{Class, Failure},
    pipeline::{self, Planned},
    report,
};

/// `keel plan`.
pub fn plan(context: &Context<'_>, command: &args::Plan) -> Result<(), Failure> {
    let planned = pipeline::plan(context, &command.targets, command.refresh)?;
    report::print(context, &planned.plan, |plan| {
        let row = |job: &Job| {
            let needs: Vec<_> = job.needs.iter().map(ComponentName::as_str).collect();
            vec![
                job.component.to_string(),
                job.recipe.evr.to_string(),
                format!("{:.0}", job.cpu_seconds),
                format!("{:.0}", job.critical_path),
                needs.join(" "),
            ]
        };
        let rows: Vec<_> = plan.jobs.iter().map(row).collect();
        report::table(&["component", "version", "cpu s", "path s", "after"], &rows)
    })
}

/// `keel build`.
pub fn run(context: &Context<'_>, command: &args::Build) -> Result<(), Failure> {
    let planned = pipeline::plan(context, &command.targets, command.how.refresh)?;
    context.sink().event(Event::Stage {
        title: "Building packages",
    });
    let results = pipeline::build(context, &planned, &command.how, &mut |_| {})?;
    export(context, &planned, &results)?;
    super::package::summarise(context, &results);
    if command.twice {
        again(context, &planned, &results, &command.targets.components)?;
    }
    report::print(context, &pipeline::packages(&planned, &results), |packages| {
        let binary = packages
            .packages
            .iter()
            .filter(|package| package.kind == Kind::Binary);
        let row = |package: &keel_build::BuiltPackage| {
            vec![
                package.nevra.to_string(),
                report::bytes(package.size),
                package.rpm.short(),
            ]
        };
        report::table(
            &["package", "size", "sha256"],
            &binary.map(row).collect::<Vec<_>>(),
        )
    })
}

/// Copies packages, provenance, log and timings to `out/packages/ARCH/COMPONENT/`, where they are not there already.
pub fn export(context: &Context<'_>, planned: &Planned, results: &Results) -> Result<(), Failure> {
    let store = context.store()?;
    let packages = pipeline::packages(planned, results);
    let unlocked: BTreeSet<_> = packages.unlocked.iter().collect();
    let base = planned
        .project
        .output_dir
        .join("packages")
        .join(context.arch().rpm());
    for job in &planned.plan.jobs {
        let Some(finished) = results.get(&job.component) else {
            continue;
        };
        let dir = base.join(job.component.as_str());
        fs_err::create_dir_all(&dir)?;
        let locked = !unlocked.contains(&job.component);
        let provenance = Provenance::of(job, &finished.built, &planned.stage0.digest, locked);
        let json = serde_json::to_vec_pretty(&provenance)
            .map_err(|error| Failure::because(Class::Bug, "cannot write the provenance", &error))?;
        let marker = dir.join("provenance.json");
        if fs_err::read(&marker).is_ok_and(|there| there == json) && is_complete(&finished.built, &dir) {
            continue;
        }
        for old in fs_err::read_dir(&dir)? {
            fs_err::remove_file(old?.path())?;
        }
        for output in &finished.built.outputs {
            store.copy_object(&output.package.rpm, &dir.join(output.package.nevra.file_name()))?;
        }
        store.copy_object(&finished.built.log, &dir.join("build.log"))?;
        let (wall, cpu) = (
            finished.built.wall.as_secs_f64(),
            finished.built.cpu.as_secs_f64(),
        );
        let timings = format!("{{ \"wall_seconds\": {wall:.1}, \"cpu_seconds\": {cpu:.1} }}\n");
        fs_err::write(dir.join("timings.json"), timings)?;
        fs_err::write(&marker, json)?;
    }
    Ok(())
}

fn is_complete(built: &Built, dir: &Path) -> bool {
    let there =
        |file: PathBuf, size: u64| fs_err::metadata(file).is_ok_and(|metadata| metadata.len() == size);
    built
        .outputs
        .iter()
        .all(|output| there(dir.join(output.package.nevra.file_name()), output.package.size))
}

/// Builds the named components (all if none is named) again, in other surroundings.
fn again(
    context: &Context<'_>,
    planned: &Planned,
    results: &Results,
    names: &[ComponentName],
) -> Result<(), Failure> {
    context.sink().event(Event::Stage {
        title: "Building again: other clock, host, user, locale, time zone, umask, cores",
    });
    let mut failures: Vec<keel_config::Diagnostic> = Vec::new();
    for job in planned
        .plan
        .jobs
        .iter()
        .filter(|job| names.is_empty() || names.contains(&job.component))
    {
        let before: Vec<Arc<Built>> = job
            .after
            .iter()
            .filter_map(|name| results.get(name))
            .map(|done| Arc::clone(&done.built))
            .collect();
        let kept = planned
            .project
            .output_dir
            .join("differs")
            .join(job.component.as_str());
        let id = format!("build:{}", job.component);
        let title = format!("{} again", job.component);
        let started = std::time::Instant::now();
        context.sink().event(Event::Started {
            id: &id,
            title: &title,
            total: None,
        });
        let compared = pipeline::with_workshop(context, &planned.project, &planned.stage0, |shop| {
            shop.compare(job, &before, &results[&job.component].built, &kept)
        })?;
        let outcome = if compared.is_ok() {
            Outcome::Done
        } else {
            Outcome::Failed
        };
        context.sink().event(Event::Finished {
            id: &id,
            outcome,
            elapsed: started.elapsed(),
        });
        context.interrupt.check()?;
        if compared.is_ok() {
            let text = format!(
                "`{}` built twice: every package has the same bytes",
                job.component
            );
            context.sink().event(Event::Note { text: &text });
        }
        if let Err(error) = compared {
            let diagnostic = keel_config::Diagnostic::new(format!("`{}` built twice", job.component));
            failures.push(diagnostic.caused_by(&error));
        }
    }
    if failures.is_empty() {
        Ok(())
    } else {
        Err(Failure {
            class: Class::Failed,
            diagnostics: failures,
        })
    }
}
