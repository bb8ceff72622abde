//! `keel repo`: making, signing, checking and serving repositories.

use std::path::PathBuf;

use keel_artefact::Event;
use keel_repo::Repository;
use serde::Serialize;

use crate::{
    args,
    context::Context,
    failure::{Class, Failure},
    pipeline::{self, Planned},
    report,
};

/// What was signed.
#[derive(Serialize)]
struct Signed {
    dir: PathBuf,
    fingerprint: String,
}

/// Does what was asked for.
pub fn run(context: &Context<'_>, command: args::Repo) -> Result<(), Failure> {
    match command {
        args::Repo::Create { how, signing } => {
            let targets = args::Targets {
                components: Vec::new(),
                images: Vec::new(),
            };
            let planned = pipeline::plan(context, &targets, pipeline::Files::Fetched(how.refresh))?;
            context.sink().event(Event::Stage {
                title: "Building packages",
            });
            let (planned, results) = pipeline::build(context, planned, &how, &mut |_, _| {})?;
            super::build::export(context, &planned, &results)?;
            super::package::before_publishing(context, &planned, &results)?;
            let key = context.key(&signing)?;
            let repository = create(context, &planned, &results, &key)?;
            report::print(context, &repository, |repository| {
                format!(
                    "{} packages in {}",
                    repository.packages.len(),
                    repository.dir.display()
                )
            })
        }
        args::Repo::Sign { dir, signing } => {
            let dir = folder(context, dir)?;
            let key = context.key(&signing)?;
            keel_repo::sign(&dir, context.store()?, &key, context.sink(), &context.interrupt)?;
            let signed = Signed {
                fingerprint: key.fingerprint().as_str().to_owned(),
                dir,
            };
            report::print(context, &signed, |signed| {
                format!("signed {} with {}", signed.dir.display(), signed.fingerprint)
            })
        }
        args::Repo::Verify { dir, certificate } => {
            let dir = folder(context, dir)?;
            let certificates = context.certificates(certificate.as_deref())?;
            let found = keel_repo::verify(&dir, Some(&certificates), context.sink(), &context.interrupt)?;
            report::print(context, &found, |found| {
                let mut lines: Vec<String> = found.differences.iter().map(ToString::to_string).collect();
                lines.push(format!(
                    "{} packages read, {} differences",
                    found.packages,
                    found.differences.len()
                ));
                lines.join("\n")
            })?;
            if found.is_good() {
                return Ok(());
            }
            Err(Failure::new(
                Class::Failed,
                format!("{} is not as it was signed", dir.display()),
            ))
        }
        args::Repo::Serve { dir, listen } => {
            let dir = folder(context, dir)?;
            let mut ready = |address: std::net::SocketAddr| {
                let text = format!("serving {} at http://{address}/ (Ctrl-C ends it)", dir.display());
                context.terminal.line(&text);
            };
            Ok(keel_repo::serve(
                &dir,
                listen,
                &context.interrupt,
                context.sink(),
                &mut ready,
            )?)
        }
    }
}

/// The repository of everything in `results`.
pub fn create(
    context: &Context<'_>,
    planned: &Planned,
    results: &keel_build::Results,
    key: &keel_rpm::sign::Key,
) -> Result<Repository, Failure> {
    let packages = pipeline::packages(planned, results);
    let dir = pipeline::repository_dir(context, &planned.project);
    Ok(keel_repo::create(
        &packages,
        context.store()?,
        Some(key),
        &dir,
        context.sink(),
        &context.interrupt,
    )?)
}

/// The folder named, or the project's own repository.
fn folder(context: &Context<'_>, named: Option<PathBuf>) -> Result<PathBuf, Failure> {
    match named {
        Some(dir) => Ok(context.directory.join(dir)),
        None => Ok(pipeline::repository_dir(context, &context.project()?)),
    }
}
