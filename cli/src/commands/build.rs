//! `keel build`.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use keel_artefact::Event;
use keel_build::{Built, Check, Kind, Packages, Results, provenance::Provenance};

use crate::{
    args,
    context::Context,
    failure::{Class, Failure},
    pipeline::{self, Files, Planned},
    report,
};

use super::reproduce;

/// `keel build`.
pub fn run(context: &Context<'_>, command: &args::Build) -> Result<(), Failure> {
    let mut planned = pipeline::plan(context, &command.targets, Files::Fetched(command.how.refresh))?;
    if command.no_check {
        planned.leave_out_checks(&command.targets.components);
    }
    context.sink().event(Event::Stage {
        title: "Building packages",
    });
    let (planned, results) = pipeline::build(context, planned, &command.how, &mut |_, _| {})?;
    export(context, &planned, &results)?;
    super::package::summarise(context, &results);
    let packages = pipeline::packages(&planned, &results);
    tell_checks(context, &packages);
    if command.twice {
        reproduce::compare(context, &planned, &results, &command.targets.components)?.check()?;
    }
    for (component, finished) in results.iter().filter(|(_, finished)| finished.failures > 0) {
        let failed = crate::terminal::times(finished.failures);
        let text = format!("flaky: `{component}` failed {failed} before it was built");
        context.sink().event(Event::Warning { text: &text });
    }
    report::print(context, &packages, |packages| {
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

/// What became of `%check`: how often it passed, and each that was left out.
fn tell_checks(context: &Context<'_>, packages: &Packages) {
    const MOST: usize = 20;
    let note = |text: String| context.sink().event(Event::Note { text: &text });
    let count = |wanted: &Check| packages.checks.values().filter(|check| *check == wanted).count();
    let left_out: Vec<_> = (packages.checks.iter())
        .filter(|(_, check)| matches!(check, Check::LeftOut { .. }))
        .collect();
    note(format!(
        "%check: {} passed, {} left out, {} SPECs have none",
        count(&Check::Passed),
        left_out.len(),
        count(&Check::None)
    ));
    for (component, check) in left_out.iter().take(MOST) {
        note(format!("`{component}`: {check}"));
    }
    if left_out.len() > MOST {
        let more = left_out.len() - MOST;
        note(format!(
            "%check left out of {more} more (`--output json` tells all)"
        ));
    }
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
        let provenance = Provenance::of(finished.job(job), &finished.built, &planned.stage0.digest, locked);
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
        let memory = finished.built.memory;
        let timings = format!(
            "{{ \"wall_seconds\": {wall:.1}, \"cpu_seconds\": {cpu:.1}, \"peak_memory_bytes\": {memory} }}\n"
        );
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
