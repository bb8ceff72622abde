//! What is recorded of images: where their packages come from, at which revision of the tree, and which packages they are
//! (`image.lock`).

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use keel_artefact::{Event, ImageName};
use keel_build::{Packages, Results};
use keel_config::{Image, Project};
use keel_image::{
    Built, Material, Origin, Origins, Source,
    lock::{self, Lock, Locked},
    provenance::Revision,
};
use keel_plan::Job;
use keel_source::{Kind, Lock as SourceLock};

use crate::{
    context::Context,
    failure::{Class, Failure},
    names,
    pipeline::{self, Planned},
};

/// Where each of these packages comes from.
pub fn origins(planned: &Planned, results: &Results, packages: &Packages) -> Result<Origins, Failure> {
    let lock = names::lock(&planned.project)?;
    let of_job = |job: &Job| {
        let finished = results.get(&job.component)?;
        let made = material(&planned.project, finished.job(job), &lock);
        Some((job.component.clone(), Arc::new(made)))
    };
    let materials: BTreeMap<_, _> = planned.plan.jobs.iter().filter_map(of_job).collect();
    let published = &planned.base().published.components;
    let origin = |package: &keel_build::BuiltPackage| Origin {
        sha256: package.rpm,
        component: package.component.clone(),
        repository: published
            .get(&package.component)
            .map(|component| component.repository.clone()),
        material: materials.get(&package.component).cloned(),
    };
    let packages = packages.packages.iter();
    Ok(packages
        .map(|package| (package.nevra.clone(), origin(package)))
        .collect())
}

fn material(project: &Project, job: &Job, lock: &SourceLock) -> Material {
    let source = |file: &keel_source::PinnedFile| {
        let origins = match file.kind {
            Kind::Fetched => keel_source::origins(project, &job.component, &file.name, lock),
            Kind::Local => Vec::new(),
        };
        Source {
            name: file.name.clone(),
            sha256: file.overlaid.unwrap_or(file.digest),
            in_tree: file.kind == Kind::Local,
            url: origins.iter().find_map(keel_source::Origin::address),
            purl: origins.iter().find_map(keel_source::Origin::purl),
            changed: file.overlaid.map(|_| file.digest),
        }
    };
    Material {
        spec: job.recipe.spec_digest,
        sources: job.sources.files.iter().map(source).collect(),
    }
}

/// Where the tree is in its history. That it cannot be told is no reason to build nothing.
pub fn revision(context: &Context<'_>, project: &Project) -> Option<Revision> {
    let git = pipeline::git(&context.interrupt);
    let ask = || {
        if !git.has_commits(&project.root)? {
            return Ok(None);
        }
        Ok::<_, keel_host::Error>(Some(Revision {
            commit: git.commit_of(&project.root, "HEAD")?,
            is_changed: git.is_changed(&project.root)?,
        }))
    };
    match ask() {
        Ok(revision) => revision,
        Err(error) => {
            let failure = Failure::because(
                Class::Environment,
                "git does not tell the tree's revision",
                &error,
            );
            let text = format!(
                "{}: the provenance of images does not name it",
                failure.in_a_line()
            );
            context.sink().event(Event::Warning { text: &text });
            None
        }
    }
}

/// `image.lock` of the tree, beside `keel.lock`.
fn path(project: &Project) -> PathBuf {
    project.lock_file.with_file_name(lock::NAME)
}

/// What these images must consist of, in their order.
pub fn locked(context: &Context<'_>, project: &Project, images: &[Image]) -> Result<Vec<Locked>, Failure> {
    let lock = Lock::read(&path(project)).map_err(unreadable)?;
    let of_image = |image: &Image| {
        let found = lock.images.get(&(image.name.clone(), context.arch()));
        found.cloned().ok_or_else(|| {
            let text = format!(
                "{} does not have image `{}` for {}",
                lock::NAME,
                image.name,
                context.arch()
            );
            Failure::input(text).hint(format!(
                "`keel image build {} --record` writes it there",
                image.name
            ))
        })
    };
    images.iter().map(of_image).collect()
}

/// Writes into the tree which packages these images consist of. What the tree does not have any more goes.
pub fn record(context: &Context<'_>, project: &Project, built: &[Built]) -> Result<(), Failure> {
    let path = path(project);
    // What another run writes meanwhile is read, not lost.
    let _tree = context.lock_folder(path.parent().unwrap_or(&project.root), "records images in")?;
    let mut lock = Lock::read(&path).map_err(unreadable)?;
    for built in built {
        let of_image = of(built)?;
        lock.images.insert((built.image.clone(), built.arch), of_image);
    }
    lock.images
        .retain(|(name, _), _| project.images.contains_key(name));
    lock.write(&path).map_err(unreadable)?;
    let text = format!(
        "recorded the packages of {} images in {}",
        built.len(),
        path.display()
    );
    context.sink().event(Event::Note { text: &text });
    Ok(())
}

/// Tells of images that have other packages than the tree's lock says.
pub fn tell(context: &Context<'_>, project: &Project, built: &[Built]) -> Result<(), Failure> {
    let lock = Lock::read(&path(project)).map_err(unreadable)?;
    for built in built {
        let name: &ImageName = &built.image;
        let Some(locked) = lock.images.get(&(name.clone(), built.arch)) else {
            continue;
        };
        let differences = locked.differences(&of(built)?);
        if let Some(first) = differences.first() {
            let text = format!(
                "image `{name}` has other packages than {} says: {first}{} (`--record` takes them, `--locked` fails)",
                lock::NAME,
                match differences.len() - 1 {
                    0 => String::new(),
                    more => format!(", and {more} more"),
                }
            );
            context.sink().event(Event::Note { text: &text });
        }
    }
    Ok(())
}

/// The packages of a finished image.
fn of(built: &Built) -> Result<Locked, Failure> {
    let path = built.dir.join(lock::NAME);
    let mut lock = Lock::read(&path).map_err(unreadable)?;
    let found = lock.images.remove(&(built.image.clone(), built.arch));
    found.ok_or_else(|| {
        let text = format!("{} does not have image `{}`", path.display(), built.image);
        Failure::new(Class::Environment, text)
    })
}

fn unreadable(error: lock::Error) -> Failure {
    let class = match &error {
        lock::Error::Io { .. } => Class::Environment,
        lock::Error::Text { .. } | lock::Error::Format(_) | lock::Error::Value { .. } => Class::Input,
    };
    let failure = Failure::because(class, "images cannot be locked", &error);
    match class {
        Class::Input => failure.hint("`git checkout` brings back the one that was reviewed; without the file, `--record` writes a new one"),
        _ => failure,
    }
}
