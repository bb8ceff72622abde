//! The flow, as one function a stage: configuration → recipes → sources → plan → packages → repository → images.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use keel_artefact::{ComponentName, ImageName, Interrupt, PackageName};
use keel_build::{Foreign, Names, Packages, Results, Workshop};
use keel_config::{Image, Project, diagnostic::nearest};
use keel_host::{git::Git, stage0::Stage0};
use keel_plan::{Job, Known, Plan, Targets};
use keel_source::SourceSet;
use keel_spec::{Additions, Recipe};

use crate::{
    args,
    base::{Base, Bringer},
    context::Context,
    failure::{Class, Failure},
    machine,
    names::{self, Again},
    planned::Material,
    replan,
};

/// Macros that refreshed sources bring to the SPECs of their components.
pub use keel_spec::Overrides;

pub use crate::planned::Planned;

/// The project as it is built: with its overlays applied.
pub fn project(context: &Context<'_>) -> Result<Project, Failure> {
    crate::commands::render::applied(context, context.project()?)
}

/// Every component's recipe, in the versions of the tree.
pub fn recipes(context: &Context<'_>, project: &Project, stage0: &Stage0) -> Result<Vec<Recipe>, Failure> {
    evaluate(context, project, stage0, &Overrides::new())
}

/// Which bytes a plan is made of.
#[derive(Debug, Clone, Copy)]
pub enum Files {
    /// All in the store.
    Fetched(args::Refresh),
    /// Those that are pinned, wherever they are: enough to look at a plan.
    Pinned,
}

/// From the tree to a plan: configuration, recipes, sources, order.
pub fn plan(context: &Context<'_>, targets: &args::Targets, files: Files) -> Result<Planned, Failure> {
    plan_of(context, project(context)?, targets, files)
}

/// The same of a project that was loaded.
pub fn plan_of(
    context: &Context<'_>,
    project: Project,
    targets: &args::Targets,
    files: Files,
) -> Result<Planned, Failure> {
    let images = images(&project, &targets.images)?;
    for name in &targets.components {
        crate::commands::check_component(&project, name)?;
    }
    let asked = Targets::Components(targets.components.clone());
    let targets = wanted(&project, targets, &images);
    let stage0 = context.stage0(&project)?;
    let recipes = recipes(context, &project, &stage0)?;
    let generated = replan::remembered(context, &project, &stage0, &recipes)?;
    let base = Base::of(context, &project, &recipes, &asked)?;
    let material = Material {
        targets,
        recipes,
        sources: Vec::new(),
        generated,
        asked: BTreeSet::new(),
        failed: BTreeSet::new(),
        base,
        unchecked: None,
        files,
    };
    material.planned(context, project, stage0, images)
}

/// The components that are built for `targets`. On a cycle, SPECs are read otherwise to find a way out.
pub fn select(
    context: &Context<'_>,
    project: &Project,
    stage0: &Stage0,
    recipes: &[Recipe],
    targets: &Targets,
    known: &Known<'_>,
) -> Result<Vec<ComponentName>, Failure> {
    let variants = |recipe: &Recipe| crate::variants::of(context, project, stage0, recipe);
    Ok(keel_plan::select(project, recipes, targets, &variants, known)?)
}

/// The files of these recipes, in the store. Where a refresh replaced one, its recipe is read again.
pub fn fetch(
    context: &Context<'_>,
    project: &Project,
    stage0: &Stage0,
    mut recipes: Vec<Recipe>,
    mut options: keel_source::Options,
    refresh: args::Refresh,
) -> Result<(Vec<Recipe>, Vec<SourceSet>), Failure> {
    if refresh.refresh {
        let overrides = crate::commands::source::refresh(context, project, &recipes, &mut options)?;
        if !overrides.is_empty() {
            let names: BTreeSet<_> = recipes.iter().map(|recipe| recipe.component.clone()).collect();
            recipes = evaluate(context, project, stage0, &overrides)?;
            recipes.retain(|recipe| names.contains(&recipe.component));
        }
    }
    let (store, sink) = (context.store()?, context.sink());
    let sources = keel_source::fetch(project, &recipes, store, &options, sink, &context.interrupt)?;
    Ok((recipes, sources))
}

/// The files that are pinned, wherever they are, in the order of the recipes. What is not here yet cannot be changed by
/// overlays; it will be when it is fetched.
pub fn pinned(
    context: &Context<'_>,
    project: &Project,
    recipes: &[Recipe],
) -> Result<Vec<SourceSet>, Failure> {
    let store = context.store()?;
    let sources = keel_source::pinned(project, recipes, store, &source_options(context)?)?;
    let is_here = |set: &SourceSet| set.files.iter().all(|file| store.contains(&file.digest));
    let places = sources.iter().map(is_here).collect::<Vec<_>>();
    let (here, away): (Vec<_>, Vec<_>) = sources.into_iter().zip(&places).partition(|(_, here)| **here);
    let mut here: Vec<SourceSet> = here.into_iter().map(|(set, _)| set).collect();
    overlaid(context, project, &mut here)?;
    let (mut here, mut away) = (here.into_iter(), away.into_iter().map(|(set, _)| set));
    let next = |is_here: &bool| if *is_here { here.next() } else { away.next() };
    Ok(places.iter().filter_map(next).collect())
}

/// Puts archives that overlays change in the place of those that were fetched: what is built has the changes.
pub fn overlaid(context: &Context<'_>, project: &Project, sources: &mut [SourceSet]) -> Result<(), Failure> {
    let (store, sink) = (context.store()?, context.sink());
    Ok(keel_source::overlaid(
        project,
        sources,
        store,
        sink,
        &context.interrupt,
    )?)
}

/// From a plan to packages, and to the plan that they were built by: components may ask for more than was known. `on_progress` hears
/// of finished components while others still build.
pub fn build(
    context: &Context<'_>,
    planned: Planned,
    how: &args::How,
    on_progress: &mut dyn FnMut(&Planned, &Results),
) -> Result<(Planned, Results), Failure> {
    replan::until_known(context, planned, how.keep_going, &mut |planned| {
        run(context, planned, &planned.plan, how, &mut |results| {
            on_progress(planned, results)
        })
    })
}

/// Builds a plan, or a part of one.
pub fn run(
    context: &Context<'_>,
    planned: &Planned,
    plan: &Plan,
    how: &args::How,
    on_progress: &mut dyn FnMut(&Results),
) -> Result<Result<Results, keel_build::Errors>, Failure> {
    let options = keel_build::Options {
        jobs: how.jobs.map_or_else(machine::cores, NonZeroUsize::get),
        keep_going: how.keep_going,
        memory: how.memory.unwrap_or_else(machine::memory),
        retries: how.retry,
        groups: planned.groups.clone(),
        failed: planned.material.failed.clone(),
    };
    with_workshop(
        context,
        &planned.project,
        &planned.stage0,
        planned.base(),
        |shop| {
            let shop = Workshop {
                index: &keel_build::closure::Index::default(),
                refused: Default::default(),
                keep_roots: how.keep_root,
                names: Names {
                    locked: how.locked,
                    ..shop.names
                },
                ..*shop
            };
            keel_build::run(&shop, plan, &options, on_progress)
        },
    )
}

/// Calls `work` with what all builds share.
pub fn with_workshop<T>(
    context: &Context<'_>,
    project: &Project,
    stage0: &Stage0,
    base: &Base,
    work: impl FnOnce(&Workshop<'_>) -> T,
) -> Result<T, Failure> {
    let lends = |name: &str| is_lent(project, name);
    let policy = crate::policy::of(project)?;
    let (lock, again) = (names::lock(project)?, again(context, project, stage0)?);
    let raise = |job: &Job, rebuild| again.raise(job, rebuild);
    let bringer = Bringer::new(context, base)?;
    let bring = |packages: &[&keel_build::BuiltPackage]| bringer.bring(packages);
    Ok(work(&Workshop {
        index: &keel_build::closure::Index::default(),
        refused: Default::default(),
        policy: &policy,
        foreign: Foreign {
            components: &base.components,
            bring: &bring,
        },
        names: Names {
            lock: &lock,
            raise: &raise,
            locked: false,
        },
        store: context.store()?,
        distribution: &project.name,
        stage0,
        macros: &project.macros,
        is_lent: &lends,
        output: &project.output_dir,
        cores: machine::cores(),
        keep_roots: false,
        sink: context.sink(),
        interrupt: &context.interrupt,
    }))
}

/// Reads SPECs again, with rebuild counters.
pub fn again<'a>(
    context: &'a Context<'_>,
    project: &'a Project,
    stage0: &'a Stage0,
) -> Result<Again<'a>, Failure> {
    Ok(Again {
        project,
        stage0,
        store: context.store()?,
        arch: context.arch(),
        interrupt: &context.interrupt,
    })
}

/// Does stage0 lend this capability?
pub fn is_lent(project: &Project, name: &str) -> bool {
    let plain = keel_plan::without_isa(name).unwrap_or(name);
    let lent = &project.stage0.lends;
    lent.contains_key(name) || lent.contains_key(plain)
}

/// The artefact of a finished build.
pub fn packages(planned: &Planned, results: &Results) -> Packages {
    Packages::of(&planned.plan, results)
}

/// The images of these names, in the order given.
pub fn images(project: &Project, names: &[ImageName]) -> Result<Vec<Image>, Failure> {
    let find = |name: &ImageName| {
        let image = project.images.get(name).cloned().ok_or_else(|| {
            let failure = Failure::input(format!("no such image: `{name}`"));
            match nearest(name.as_str(), project.images.keys().map(ImageName::as_str)) {
                Some(near) => failure.hint(format!("did you mean `{near}`?")),
                None => failure.hint("`keel image list` names them all"),
            }
        })?;
        image
            .check_buildable()
            .map_err(|wrong| Failure::from(keel_config::Errors::from(wrong)))?;
        Ok(image)
    };
    names.iter().map(find).collect()
}

/// How to fetch, in this run. What an earlier refresh replaced counts only in a run that refreshes.
pub fn source_options(context: &Context<'_>) -> Result<keel_source::Options, Failure> {
    let bundle = PathBuf::from("/etc/ssl/certs/ca-certificates.crt");
    Ok(keel_source::Options {
        mirrors: context.mirrors()?,
        offline: context.global.offline,
        certificates: bundle.exists().then_some(bundle),
        registries: context.registries()?,
        now: context.now(),
        ..keel_source::Options::default()
    })
}

/// git, for what is in repositories of this machine.
pub fn git(interrupt: &Interrupt) -> Git<'_> {
    Git {
        certificates: None,
        proxy: None,
        time: keel_source::Limits::default().total,
        size: u64::MAX,
        interrupt,
    }
}

/// Where the repository of an architecture lies.
pub fn repository_dir(context: &Context<'_>, project: &Project) -> PathBuf {
    project.output_dir.join("repo").join(context.arch().rpm())
}

/// Fails for an image that does not boot.
pub fn check_bootable(image: &Image) -> Result<(), Failure> {
    if image.boots() {
        return Ok(());
    }
    let what = if image.is_container() {
        "a container"
    } else {
        "no disk"
    };
    Err(Failure::new(
        Class::Input,
        format!("image `{}` is {what} and does not boot", image.name),
    )
    .hint("`formats` of an image that boots has one of `raw`, `qcow2`, `vhd`, `vhdx`, `iso`, `pxe`"))
}

/// Fails early where nothing can be put into the output folder.
pub fn check_output(project: &Project) -> Result<(), Failure> {
    let out = &project.output_dir;
    let refused = |folder: &Path, error| {
        let text = format!("nothing can be written to the output folder {}", folder.display());
        Failure::because(Class::Environment, text, &error)
            .hint("`output-dir` in `[project]` says where it is")
    };
    fs_err::create_dir_all(out).map_err(|error| refused(out, error))?;
    let images = out.join("images");
    for folder in [out, &images] {
        // As a folder: a file is told, too.
        let probed = match rustix::fs::access(folder.join("."), rustix::fs::Access::WRITE_OK) {
            Err(rustix::io::Errno::NOENT) if *folder == images => Ok(()),
            probed => probed,
        };
        probed.map_err(|error| refused(folder, error.into()))?;
    }
    Ok(())
}

fn evaluate(
    context: &Context<'_>,
    project: &Project,
    stage0: &Stage0,
    overrides: &Overrides,
) -> Result<Vec<Recipe>, Failure> {
    let (store, sink) = (context.store()?, context.sink());
    let mut additions = Additions {
        overrides: overrides.clone(),
        ..Additions::default()
    };
    let mut recipes = keel_spec::evaluate(
        project,
        &[],
        context.arch(),
        stage0,
        store,
        &additions,
        sink,
        &context.interrupt,
    )?;
    additions.rebuilds = names::rebuilds(&names::lock(project)?, &recipes);
    if !additions.rebuilds.is_empty() {
        let again = again(context, project, stage0)?.read(&additions)?;
        let mut again: BTreeMap<_, _> = (again.into_iter())
            .map(|recipe| (recipe.component.clone(), recipe))
            .collect();
        for recipe in &mut recipes {
            if let Some(counted) = again.remove(&recipe.component) {
                *recipe = counted;
            }
        }
    }
    Ok(recipes)
}

fn wanted(project: &Project, targets: &args::Targets, images: &[Image]) -> Targets {
    if !targets.components.is_empty() {
        return Targets::Components(targets.components.clone());
    }
    if images.is_empty() {
        return all(project);
    }
    let packages: BTreeSet<PackageName> = images.iter().flat_map(Image::all_packages).collect();
    Targets::Packages(packages.into_iter().collect())
}

/// Where no names are given, what a tree stands on is not built again but for what needs it.
pub fn all(project: &Project) -> Targets {
    match project.trees.len() {
        0 | 1 => Targets::All,
        _ => Targets::Components(
            project
                .own_components()
                .map(|component| component.name.clone())
                .collect(),
        ),
    }
}
