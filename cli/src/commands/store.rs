//! `keel store` and `keel clean`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use keel_store::{gc::Amount, temp};

use crate::{args, context::Context, failure::Failure, report};

/// Does what was asked for.
pub fn run(context: &Context<'_>, command: args::Store) -> Result<(), Failure> {
    let store = context.store()?;
    match command {
        args::Store::Stat => {
            let stat = store.stat()?;
            report::print(context, &stat, |stat| {
                rows(&[
                    ("objects", stat.objects),
                    ("actions", stat.actions),
                    ("trees", stat.trees),
                    ("kept", stat.kept),
                    ("temporary", stat.temporary),
                ])
            })
        }
        args::Store::Gc { days, dry_run } => {
            let unused_for = Duration::from_secs(days.saturating_mul(86_400));
            let collected = store.collect(SystemTime::now(), unused_for, dry_run)?;
            report::print(context, &collected, |collected| {
                let heading = if dry_run { "would be removed" } else { "removed" };
                let kinds = [
                    ("objects", collected.objects),
                    ("actions", collected.actions),
                    ("trees", collected.trees),
                    ("kept", collected.kept),
                ];
                format!("{heading}\n{}", rows(&kinds))
            })
        }
    }
}

fn rows(kinds: &[(&str, Amount)]) -> String {
    let row = |(kind, amount): &(&str, Amount)| {
        vec![
            (*kind).to_owned(),
            amount.count.to_string(),
            report::bytes(amount.bytes),
        ]
    };
    report::table(
        &["kind", "count", "size"],
        &kinds.iter().map(row).collect::<Vec<_>>(),
    )
}

/// Removes the output folder of the project.
pub fn clean(context: &Context<'_>) -> Result<(), Failure> {
    let project = context.project()?;
    let out = &project.output_dir;
    let specs = project
        .components
        .values()
        .filter_map(|component| match &component.spec {
            Some(keel_config::Spec::Local { path }) => Some(path),
            _ => None,
        });
    let mut own = specs
        .chain(project.trees.first().map(|tree| &tree.rendered_specs_dir))
        .chain(&project.macros)
        .chain(&project.users)
        .chain(&project.files)
        .chain([&project.lock_file])
        .chain([&project.root]);
    if let Some(file) = own.find(|file| file.starts_with(out)) {
        return Err(Failure::input(format!(
            "output-dir is {}, which holds {}, a part of the project itself",
            out.display(),
            file.display()
        )));
    }
    // What is there must be what Keel puts there, whatever `output-dir` says.
    if let Some(foreign) = foreign(out)? {
        let (foreign, out) = (foreign.display(), out.display());
        return Err(
            Failure::input(format!("{foreign} is not Keel's, and output-dir is {out}"))
                .hint("nothing was removed; move it away, or remove the folder yourself"),
        );
    }
    temp::remove_all(out)?;
    report::print(context, &BTreeMap::from([("removed", out)]), |_| {
        format!("removed {}", out.display())
    })
}

/// What commands make in an output folder.
const MADE: [&str; 13] = [
    "differs",
    "images",
    "keel.refreshed.lock",
    "keys",
    "licenses",
    "logs",
    "packages",
    "rendered",
    "repo",
    "reports",
    "sources",
    "srpms",
    "test",
];

/// Something in the folder that no command made.
fn foreign(out: &Path) -> Result<Option<PathBuf>, Failure> {
    if !out.is_dir() {
        return Ok(None);
    }
    for entry in fs_err::read_dir(out)? {
        let entry = entry?;
        if !MADE.iter().any(|made| entry.file_name() == *made) {
            return Ok(Some(entry.path()));
        }
    }
    Ok(None)
}
