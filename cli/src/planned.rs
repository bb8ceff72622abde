//! What a run plans with, and plans again with when it knows more.

use std::collections::BTreeSet;

use keel_artefact::ComponentName;
use keel_config::{Image, Project};
use keel_host::stage0::Stage0;
use keel_plan::{Generated, Job, Known, Plan, Skip, Targets};
use keel_source::SourceSet;
use keel_spec::Recipe;

use crate::{
    args,
    base::Base,
    context::Context,
    failure::Failure,
    pipeline::{Files, fetch, overlaid, pinned, select, source_options},
    rendered,
};

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
    /// The components that each of these images needs and that are built, build requirements included.
    pub groups: Vec<BTreeSet<ComponentName>>,
    /// The components that each of these images may need and that a base's repository has.
    pub foreign: Vec<BTreeSet<ComponentName>>,
    /// What it is made of.
    pub material: Material,
}

impl Planned {
    /// What is not built, because a base's repository has it.
    pub fn base(&self) -> &Base {
        &self.material.base
    }

    /// Another plan, which knows that components asked for this, and that others failed.
    pub fn again(
        self,
        context: &Context<'_>,
        wanted: Generated,
        failed: BTreeSet<ComponentName>,
    ) -> Result<Self, Failure> {
        let mut material = self.material;
        material.asked.extend(wanted.keys().cloned());
        material.generated.extend(wanted);
        material.failed = failed;
        if let Files::Pinned = material.files {
            material.files = Files::Fetched(args::Refresh::default());
        }
        material.planned(context, self.project, self.stage0, self.images)
    }

    /// Leaves out `%check` of these components, or of all if none is named.
    pub fn leave_out_checks(&mut self, names: &[ComponentName]) {
        leave_out_checks(&mut self.plan, names);
        self.material.unchecked = Some(names.to_vec());
    }
}

/// What a plan is made of besides the project: with more of it, there is another plan.
pub struct Material {
    /// What is asked for.
    pub targets: Targets,
    /// Of all components.
    pub recipes: Vec<Recipe>,
    /// Of those that were chosen before.
    pub sources: Vec<SourceSet>,
    /// What sections are known to print.
    pub generated: Generated,
    /// Of `generated`, what was asked for in this run: the rest are hints of earlier ones.
    pub asked: BTreeSet<ComponentName>,
    /// What failed by an earlier plan of this run.
    pub failed: BTreeSet<ComponentName>,
    /// What is not built.
    pub base: Base,
    /// Whose `%check` the command line leaves out: of these components, or of all if there is none.
    pub unchecked: Option<Vec<ComponentName>>,
    /// Which bytes its sources are.
    pub files: Files,
}

impl Material {
    /// The plan that is made of it.
    pub fn planned(
        mut self,
        context: &Context<'_>,
        project: Project,
        stage0: Stage0,
        images: Vec<Image>,
    ) -> Result<Planned, Failure> {
        self.leave_out_hints(context, &project)?;
        let choose = |recipes: &[Recipe], targets: &Targets| {
            let known = self.known(context);
            select(context, &project, &stage0, recipes, targets, &known)
        };
        let is_built = |name: &ComponentName| !self.base.has(name);
        let mut needed = choose(&self.recipes, &self.targets)?;
        needed.retain(is_built);
        let may_fetch = matches!(self.files, Files::Fetched(_));
        rendered::check(context, &project, &|name| needed.contains(name), may_fetch)?;
        let (mut groups, mut foreign) = (Vec::new(), Vec::new());
        for image in &images {
            let packages = Targets::Packages(image.all_packages());
            let chosen = choose(&self.recipes, &packages)?.into_iter();
            let (built, others): (BTreeSet<_>, BTreeSet<_>) = chosen.partition(is_built);
            groups.push(built);
            foreign.push(others);
        }
        self.gather(context, &project, &stage0, &needed)?;
        // Of refreshed sources there are other versions.
        self.leave_out_hints(context, &project)?;
        let names = self.recipes.iter().map(|recipe| &recipe.component);
        let costs = keel_build::record::costs(context.store()?, &project.name, context.arch(), names)?;
        let (recipes, sources) = (&self.recipes, &self.sources);
        let known = self.known(context);
        let mut plan = keel_plan::plan(&project, recipes, sources, &self.targets, &costs, &known)?;
        if let Some(names) = &self.unchecked {
            leave_out_checks(&mut plan, names);
        }
        Ok(Planned {
            project,
            stage0,
            plan,
            images,
            groups,
            foreign,
            material: self,
        })
    }

    fn known<'a>(&'a self, context: &'a Context<'_>) -> Known<'a> {
        Known {
            generated: &self.generated,
            published: &self.base.published,
            interrupt: &context.interrupt,
        }
    }

    /// Leaves out what sections printed in earlier runs, and cannot print now.
    fn leave_out_hints(&mut self, context: &Context<'_>, project: &Project) -> Result<(), Failure> {
        let is_asked = |component: &ComponentName| self.asked.contains(component);
        self.generated = keel_plan::fitting(project, &self.recipes, &self.known(context), &is_asked)?;
        Ok(())
    }

    /// Adds the sources of those that are needed and have none yet.
    fn gather(
        &mut self,
        context: &Context<'_>,
        project: &Project,
        stage0: &Stage0,
        needed: &[ComponentName],
    ) -> Result<(), Failure> {
        let has_sources: BTreeSet<ComponentName> =
            self.sources.iter().map(|set| set.component.clone()).collect();
        let (new, others): (Vec<Recipe>, Vec<Recipe>) =
            std::mem::take(&mut self.recipes).into_iter().partition(|recipe| {
                needed.contains(&recipe.component) && !has_sources.contains(&recipe.component)
            });
        if new.is_empty() {
            self.recipes = others;
            return Ok(());
        }
        let (recipes, sources) = match self.files {
            Files::Fetched(refresh) => {
                let mut options = source_options(context)?;
                options.tools = stage0.tool_lowers();
                let (recipes, mut sources) = fetch(context, project, stage0, new, options, refresh)?;
                overlaid(context, project, &mut sources)?;
                (recipes, sources)
            }
            Files::Pinned => {
                let sources = pinned(context, project, &new)?;
                (new, sources)
            }
        };
        self.recipes = recipes;
        self.recipes.extend(others);
        self.sources.extend(sources);
        Ok(())
    }
}

fn leave_out_checks(plan: &mut Plan, names: &[ComponentName]) {
    let is_meant = |job: &&mut Job| names.is_empty() || names.contains(&job.component);
    for job in plan.jobs.iter_mut().filter(is_meant) {
        if job.recipe.has_check && !job.skip_check {
            job.skip_check = true;
            job.skip = Some(Skip::CommandLine);
        }
    }
}
