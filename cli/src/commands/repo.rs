//! `keel repo`: making, signing, checking and serving repositories.

use std::path::{Path, PathBuf};

use keel_artefact::Event;
use keel_repo::{Repository, Standing};
use serde::Serialize;

use crate::{
    args,
    context::Context,
    failure::{Class, Failure},
    names,
    pipeline::{self, Planned},
    report,
};

/// What was signed.
#[derive(Serialize)]
struct Signed {
    dir: PathBuf,
    fingerprint: String,
}

/// What is served, and where.
#[derive(Serialize)]
struct Served {
    dir: PathBuf,
    address: String,
}

/// Does what was asked for.
pub fn run(context: &Context<'_>, command: args::Repo) -> Result<(), Failure> {
    match command {
        args::Repo::Create { how, record, signing } => {
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
            if record {
                names::check_locked(&planned, &results)?;
            }
            let standing = standing(context, &planned.project)?;
            super::package::before_publishing(context, &planned, &results, &standing)?;
            let key = context.key(&signing)?;
            let packages = names::to_publish(context, &planned, &results)?;
            let repository = create(context, &planned, &packages, &key, &standing)?;
            if record {
                names::record(&planned, &results, &packages)?;
            }
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
            Err(unsound(&dir, found.differences.len(), certificate.is_none()))
        }
        args::Repo::Serve { dir, listen } => {
            let dir = folder(context, dir)?;
            let mut told = Ok(());
            let mut ready = |address: std::net::SocketAddr| {
                let served = Served {
                    dir: dir.clone(),
                    address: format!("http://{address}/"),
                };
                told = report::print(context, &served, |served| served.address.clone());
                let text = format!("serving {} (Ctrl-C ends it)", dir.display());
                context.terminal.line(&text);
            };
            keel_repo::serve(&dir, listen, &context.interrupt, context.sink(), &mut ready)?;
            told
        }
    }
}

/// That a repository is not what somebody signed, and what to do.
fn unsound(dir: &Path, differences: usize, is_own_key: bool) -> Failure {
    let text = format!(
        "{} is not as it was signed: {differences} files are wrong",
        dir.display()
    );
    let failure = Failure::new(Class::Failed, text)
        .hint("one of this tree is made anew by `keel repo create`, with `--key` for others; a copy that was damaged on the way is copied again");
    match is_own_key {
        true => failure.hint(
            "only this machine's development key was trusted: `--certificate FILE` names another public key",
        ),
        false => failure,
    }
}

/// The repository of these packages.
fn create(
    context: &Context<'_>,
    planned: &Planned,
    packages: &keel_build::Packages,
    key: &keel_rpm::sign::Key,
    standing: &Standing,
) -> Result<Repository, Failure> {
    let store = context.store()?;
    for nevra in keel_repo::other_bytes(standing, packages, store, key, &context.interrupt)? {
        let text = format!(
            "{nevra} is published with other bytes, and gets new ones: clients that have it see no update (`--record` prevents that \
             from the next time on; now, raise `Release`)"
        );
        context.sink().event(Event::Warning { text: &text });
    }
    let dir = pipeline::repository_dir(context, &planned.project);
    Ok(keel_repo::create(
        packages,
        store,
        Some(key),
        &dir,
        context.sink(),
        &context.interrupt,
    )?)
}

/// What is published now. What is damaged is told: it is put there anew, or goes.
fn standing(context: &Context<'_>, project: &keel_config::Project) -> Result<Standing, Failure> {
    let dir = pipeline::repository_dir(context, project);
    let standing = keel_repo::standing(&dir, &context.interrupt)?;
    for damaged in &standing.damaged {
        let text = format!(
            "{damaged}; what the distribution still makes is made anew from the store, the rest goes"
        );
        context.sink().event(Event::Warning { text: &text });
    }
    Ok(standing)
}

/// The folder named, or the project's own repository.
fn folder(context: &Context<'_>, named: Option<PathBuf>) -> Result<PathBuf, Failure> {
    match named {
        Some(dir) => Ok(context.directory.join(dir)),
        None => Ok(pipeline::repository_dir(context, &context.project()?)),
    }
}
