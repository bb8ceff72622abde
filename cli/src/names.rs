//! What is published under which name, and what the rebuild counter does about it: docs/explanation/names.md.

use std::collections::BTreeMap;

use keel_artefact::{Arch, Event, Interrupt, event::Silent};
use keel_build::{Packages, Results, names};
use keel_config::Project;
use keel_host::stage0::Stage0;
use keel_plan::Job;
use keel_source::Lock;
use keel_spec::{Additions, Rebuilds, Recipe};
use keel_store::Store;

use crate::{
    context::Context,
    failure::Failure,
    pipeline::{self, Overrides, Planned},
};

/// The project's lock.
pub fn lock(project: &Project) -> Result<Lock, Failure> {
    Ok(Lock::read(&project.lock_file).map_err(keel_source::Errors::from)?)
}

/// The counters of those recipes that are published with one, in just this version and release.
pub fn rebuilds(lock: &Lock, recipes: &[Recipe]) -> Rebuilds {
    let counter = |recipe: &Recipe| {
        let published = lock.published.get(&(recipe.component.clone(), recipe.arch))?;
        let counts = published.rebuild > 0 && published.evr == recipe.evr;
        counts.then(|| (recipe.component.clone(), published.rebuild))
    };
    recipes.iter().filter_map(counter).collect()
}

/// Reads SPECs of a project again, with counters.
pub struct Again<'a> {
    /// The project.
    pub project: &'a Project,
    /// The root that lends compiler and tools.
    pub stage0: &'a Stage0,
    /// Where recipes are remembered.
    pub store: &'a Store,
    /// The architecture.
    pub arch: Arch,
    /// Ends it.
    pub interrupt: &'a Interrupt,
}

impl Again<'_> {
    /// Those that have a counter in `additions`. What is to be told of them was told when they were read without.
    pub fn read(&self, additions: &Additions) -> Result<Vec<Recipe>, keel_spec::Error> {
        let names: Vec<_> = additions.rebuilds.keys().cloned().collect();
        keel_spec::evaluate(
            self.project,
            &names,
            self.arch,
            self.stage0,
            self.store,
            additions,
            &Silent,
            self.interrupt,
        )
    }

    /// The recipe of a job with this counter, and all macros that it has otherwise.
    pub fn raise(&self, job: &Job, rebuild: u32) -> Result<Recipe, keel_spec::Error> {
        let mut defines = job.recipe.defines.clone();
        // What the configuration says of it is said again.
        defines.remove("dist");
        let additions = Additions {
            overrides: Overrides::from([(job.component.clone(), defines)]),
            rebuilds: Rebuilds::from([(job.component.clone(), rebuild)]),
        };
        let recipes = self.read(&additions)?;
        let read = recipes.into_iter().next();
        Ok(read.expect("a component that is named is read, or an error"))
    }
}

/// The packages to publish: those of a build, but source packages that are published with the same packages stay.
pub fn to_publish(context: &Context<'_>, planned: &Planned, results: &Results) -> Result<Packages, Failure> {
    let lock = lock(&planned.project)?;
    let mut packages = pipeline::packages(planned, results);
    let mut published = BTreeMap::new();
    for job in &planned.plan.jobs {
        let Some(finished) = results.get(&job.component) else {
            continue;
        };
        let job = finished.job(job);
        if let Some(digest) = names::published_source(&lock, job, &finished.built) {
            published.insert(&job.component, digest);
        }
    }
    let dir = pipeline::repository_dir(context, &planned.project);
    let store = context.store()?;
    for package in &mut packages.packages {
        let is_source = package.kind == keel_build::Kind::Source;
        let Some(digest) = published.get(&package.component).filter(|_| is_source) else {
            continue;
        };
        if keel_repo::recover(&dir, &package.nevra, digest, store)? {
            package.rpm = *digest;
            package.size = fs_err::metadata(store.object(digest)?)?.len();
        } else {
            let text = format!(
                "{} gets other bytes: only what no other package shows has changed, and the one that is published is neither in the \
                 store nor in {}",
                package.nevra,
                dir.display()
            );
            context.sink().event(Event::Warning { text: &text });
        }
    }
    Ok(packages)
}

/// What is recorded must be what the tree pins.
pub fn check_locked(planned: &Planned, results: &Results) -> Result<(), Failure> {
    let unlocked = pipeline::packages(planned, results).unlocked;
    let Some(first) = unlocked.first() else {
        return Ok(());
    };
    let text = format!(
        "{} components are built from sources that keel.lock does not pin, `{first}` first: they are not recorded",
        unlocked.len()
    );
    Err(Failure::input(text)
        .hint("pin them with `keel source update` or `keel source lock`, and leave `--refresh` out"))
}

/// Writes down what is published now: `packages` are those that [`to_publish`] gave.
pub fn record(planned: &Planned, results: &Results, packages: &Packages) -> Result<(), Failure> {
    let project = &planned.project;
    let is_known = |component: &keel_artefact::ComponentName| project.components.contains_key(component);
    let lock = names::record(&lock(project)?, &planned.plan, results, packages, &is_known);
    Ok(lock
        .write(&project.lock_file)
        .map_err(keel_source::Errors::from)?)
}
