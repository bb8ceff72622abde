//! The flow, as one function a stage: configuration → recipes → sources → plan → packages → repository → images.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use keel_artefact::{ComponentName, ImageName, Interrupt, PackageName};
use keel_build::{Packages, Results, Workshop};
use keel_config::{Image, Project, diagnostic::nearest};
use keel_host::{git::Git, stage0::Stage0};
use keel_plan::{Plan, Targets};
use keel_source::SourceSet;
use keel_spec::Recipe;

use crate::{
    args,
    context::Context,
    failure::{Class, Failure},
};

/// Macros that refreshed sources bring to the SPECs of their components.
pub type Overrides = BTreeMap<ComponentName, BTreeMap<String, String>>;

/// All that is known before anything is built.
pub struct Planned {
    /// The configuration.
    pub project: Project,
    /// The root that lends compiler and tools.
    pub stage0: Stage0,
    /// Jobs in order.
    pub plan: Plan,
    /// Images that were asked for, in the order wanted.
    pub images: Vec<Image>,
    /// The components that each of these images needs, build requirements included.
    pub groups: Vec<BTreeSet<ComponentName>>,
}

/// The project as it is built: with its overlays applied.
pub fn project(context: &Context<'_>) -> Result<Project, Failure> {
    crate::commands::render::applied(context, context.project()?)
}

/// Every component's recipe, in the versions of the tree.
pub fn recipes(context: &Context<'_>, project: &Project, stage0: &Stage0) -> Result<Vec<Recipe>, Failure> {
    evaluate(context, project, stage0, &Overrides::new())
}

/// From the tree to a plan: configuration, recipes, sources, order.
pub fn plan(
    context: &Context<'_>,
    targets: &args::Targets,
    refresh: args::Refresh,
) -> Result<Planned, Failure> {
    let project = project(context)?;
    let images = images(&project, &targets.images)?;
    for name in &targets.components {
        crate::commands::check_component(&project, name)?;
    }
    let targets = wanted(&project, targets, &images);
    let stage0 = context.stage0(&project)?;
    let recipes = recipes(context, &project, &stage0)?;
    let needed = keel_plan::select(&project, &recipes, &targets)?;
    let mut groups = Vec::new();
    for image in &images {
        groups.push(keel_plan::select(
            &project,
            &recipes,
            &Targets::Packages(image.packages.clone()),
        )?);
    }
    let (needed, others): (Vec<Recipe>, Vec<Recipe>) = recipes
        .into_iter()
        .partition(|recipe| needed.contains(&recipe.component));
    let mut options = source_options(context)?;
    options.tools = stage0.tool_lowers();
    let (mut recipes, sources) = fetch(context, &project, &stage0, needed, options, refresh)?;
    recipes.extend(others);
    let plan = keel_plan::plan(&project, &recipes, &sources, &targets)?;
    let groups = groups
        .into_iter()
        .map(|group| group.into_iter().collect())
        .collect();
    Ok(Planned {
        project,
        stage0,
        plan,
        images,
        groups,
    })
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

/// From a plan to packages. `on_progress` hears of finished components while others still build.
pub fn build(
    context: &Context<'_>,
    planned: &Planned,
    how: &args::How,
    on_progress: &mut dyn FnMut(&Results),
) -> Result<Results, Failure> {
    let jobs = how.jobs.unwrap_or_else(cores).max(1);
    let options = keel_build::Options {
        jobs,
        keep_going: how.keep_going,
        groups: planned.groups.clone(),
    };
    let built = with_workshop(context, &planned.project, &planned.stage0, |shop| {
        keel_build::run(shop, &planned.plan, &options, on_progress)
    })?;
    Ok(built?)
}

/// Calls `work` with what all builds share.
pub fn with_workshop<T>(
    context: &Context<'_>,
    project: &Project,
    stage0: &Stage0,
    work: impl FnOnce(&Workshop<'_>) -> T,
) -> Result<T, Failure> {
    let lent = &project.stage0.lends;
    let lends = |name: &str| {
        let plain = keel_plan::without_isa(name).unwrap_or(name);
        lent.contains_key(name) || lent.contains_key(plain)
    };
    let logs = project.output_dir.join("logs");
    let policy = crate::policy::of(project)?;
    Ok(work(&Workshop {
        policy: &policy,
        store: context.store()?,
        stage0,
        macros: &project.macros,
        is_lent: &lends,
        logs: &logs,
        cores: cores(),
        sink: context.sink(),
        interrupt: &context.interrupt,
    }))
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

/// Fails for an image that is no disk.
pub fn check_bootable(image: &Image) -> Result<(), Failure> {
    if image.is_disk() {
        return Ok(());
    }
    Err(Failure::new(
        Class::Input,
        format!("image `{}` is a container and does not boot", image.name),
    ))
}

fn evaluate(
    context: &Context<'_>,
    project: &Project,
    stage0: &Stage0,
    overrides: &Overrides,
) -> Result<Vec<Recipe>, Failure> {
    let (store, sink) = (context.store()?, context.sink());
    Ok(keel_spec::evaluate(
        project,
        &[],
        context.arch(),
        stage0,
        store,
        overrides,
        sink,
        &context.interrupt,
    )?)
}

fn wanted(project: &Project, targets: &args::Targets, images: &[Image]) -> Targets {
    if !targets.components.is_empty() {
        return Targets::Components(targets.components.clone());
    }
    if images.is_empty() {
        return all(project);
    }
    let packages: BTreeSet<PackageName> = images.iter().flat_map(|image| image.packages.clone()).collect();
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

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
