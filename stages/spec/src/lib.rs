//! The second stage: [`Project`] → [`Recipe`]s.
//!
//! Purpose: what each SPEC means, for one architecture: names, versions, what it needs and makes, which files it asks for.
//!
//! Input: a [`Project`], the architecture, stage0. Output: one [`Recipe`] a component, by name.
//!
//! 1. Read what each SPEC can see, and take its digest ([`inputs`]).
//! 2. Those that the store remembers are done.
//! 3. The others are put into one layer over stage0's tools, and evaluated there ([`native`]): macros are stage0's rpm's and
//!    the distribution's own, commands run in a sandbox over that root.
//! 4. What they say becomes recipes ([`answer`]), errors become diagnostics with place, excerpt and hint ([`messages`]).
//!
//! SPECs without a project, which `keel spec` is about, are evaluated by the same modules: [`environment`] (macros as
//! data), [`macros`] (the engine), [`world`] (what macros may ask), [`eval`] (the SPEC), [`header`] and [`query`]
//! (questions), [`graph`]. [`syntax`], [`format`] and [`lint`] look at the text only; [`overlay`] changes it, and [`render`]
//! makes of a component's pristine folder the one that is built. [`conditions`] finds what can be switched.
//!
//! Invariants:
//! - A recipe depends on nothing but what is in its key: SPEC, files beside it, macro files, architecture, macros
//!   defined, stage0, [`PROTOCOL`].
//! - All SPECs are tried, and all that is wrong is reported together.
//! - What rpm calls an error is one even where rpm goes on after it.
//!
//! Never: the network; a SPEC's commands outside the sandbox; a component's own SPEC changed.
//!
//! Files owned: none. In the store: actions of the kind `recipe`.

mod answer;
pub mod conditions;
pub mod environment;
mod error;
pub mod eval;
pub mod format;
pub mod graph;
pub mod header;
mod inputs;
pub mod lint;
pub mod macros;
pub mod messages;
mod native;
pub mod overlay;
pub mod parallel;
pub mod query;
mod recipe;
pub mod render;
pub mod syntax;
#[cfg(test)]
mod tests;
pub mod world;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use keel_artefact::{Arch, ComponentName, Event, Interrupt, RootPath, Sink, event};
use keel_config::{Component, Diagnostic, Errors, Location, Project};
use keel_host::stage0::Stage0;
use keel_store::Store;

pub use error::Error;
pub use recipe::{BuildRequire, Recipe, RecipePackage, RecipeSource, SourceKind};

use answer::Evaluated;
use eval::Outcome;
use inputs::{Inputs, Macros, Request, Surroundings};
use native::Ground;

/// The version of [`Recipe`]'s serialised form.
pub const FORMAT: keel_artefact::format::Version = keel_artefact::format::Version(2);

/// How SPECs are evaluated; raised when the same inputs may give another recipe.
pub const PROTOCOL: &str = "recipe/3";

/// The version of the digest of macro files, which recipes and build roots have in common.
pub const MACROS_PROTOCOL: &str = "macros/1";

/// Where the SPECs' folders lie in the sandbox.
const BASE: &str = "/keel/specs";
/// The store's name for remembered recipes.
const KIND: &str = "recipe";

/// Macros that a component gets besides those of its configuration: `upstream_version` of a refreshed source.
pub type Overrides = BTreeMap<ComponentName, BTreeMap<String, String>>;

/// Rebuild counters of components; one that is not named has none.
pub type Rebuilds = BTreeMap<ComponentName, u32>;

/// What components get besides their configuration.
#[derive(Debug, Clone, Default)]
pub struct Additions {
    /// Macros.
    pub overrides: Overrides,
    /// Counters: with N, `%dist` is what it was, and `.N`.
    pub rebuilds: Rebuilds,
}

/// Evaluates the SPECs of `components` (none named: of all) for `arch`, by name.
///
/// Without names, a component that is not for `arch` (`ExclusiveArch`) is left out, and noted; with names it is an error.
#[expect(
    clippy::too_many_arguments,
    reason = "a stage's entry function names each of its inputs"
)]
pub fn evaluate(
    project: &Project,
    components: &[ComponentName],
    arch: Arch,
    stage0: &Stage0,
    store: &Store,
    additions: &Additions,
    sink: &dyn Sink,
    interrupt: &Interrupt,
) -> Result<Vec<Recipe>, Error> {
    let ground = Ground::new(stage0, arch);
    let ask = |layer: &Path, requests: &[Request]| ground.evaluate(layer, requests, interrupt);
    let base = BASE.parse().expect("a constant root path");
    let run = Evaluation {
        project,
        arch,
        stage0: stage0.digest,
        base,
        store,
        sink,
        ask: &ask,
    };
    run.run(components, additions)
}

/// Evaluates SPECs in a layer.
type Ask<'a> = dyn Fn(&Path, &[Request]) -> Result<Vec<Outcome>, Error> + 'a;

struct Evaluation<'a> {
    project: &'a Project,
    arch: Arch,
    stage0: keel_artefact::Sha256,
    base: RootPath,
    store: &'a Store,
    sink: &'a dyn Sink,
    ask: &'a Ask<'a>,
}

impl Evaluation<'_> {
    fn run(&self, names: &[ComponentName], additions: &Additions) -> Result<Vec<Recipe>, Error> {
        let chosen = self.choose(names)?;
        let macros = Macros::read(self.project)?;
        let around = Surroundings {
            macros: &macros,
            arch: self.arch,
            stage0: self.stage0,
            base: &self.base,
        };
        let mut known: Vec<(Inputs<'_>, Option<Evaluated>)> = Vec::new();
        for (component, spec_file) in self.spec_files(chosen)? {
            let inputs = Inputs::read(component, spec_file, additions, &around)?;
            let evaluated = self.store.action(KIND, &inputs.key)?;
            known.push((inputs, evaluated));
        }
        let mut wrong = self.ask_about_the_rest(&mut known, &macros)?;

        let mut recipes = Vec::new();
        for (inputs, evaluated) in known {
            let Some(evaluated) = evaluated else { continue };
            let shown = self.project.display(&inputs.spec_file);
            for message in &evaluated.warnings {
                let text = message.shown(&shown);
                self.sink.event(Event::Warning { text: &text });
            }
            match self.recipe(inputs, evaluated, &macros) {
                Ok(recipe) => recipes.push(recipe),
                Err(Unfit::OtherArch(text)) if names.is_empty() => {
                    self.sink.event(Event::Note { text: &text })
                }
                Err(Unfit::OtherArch(text)) => wrong.push(Diagnostic::new(text)),
                Err(Unfit::Wrong(diagnostic)) => wrong.push(*diagnostic),
            }
        }
        Ok(Errors::check(recipes, wrong)?)
    }

    fn choose(&self, names: &[ComponentName]) -> Result<Vec<&Component>, Errors> {
        let components = &self.project.components;
        if names.is_empty() {
            return Ok(components.values().collect());
        }
        let (mut chosen, mut wrong) = (BTreeMap::new(), Vec::new());
        for name in names {
            match components.get(name) {
                Some(component) => {
                    chosen.insert(name, component);
                }
                None => wrong.push(
                    Diagnostic::new(format!("there is no component `{name}`"))
                        .did_you_mean(name.as_str(), components.keys().map(ComponentName::as_str)),
                ),
            }
        }
        Errors::check(chosen.into_values().collect(), wrong)
    }

    /// The SPEC of each; those that have none yet are told together.
    fn spec_files<'c>(&self, chosen: Vec<&'c Component>) -> Result<Vec<(&'c Component, PathBuf)>, Errors> {
        let (mut files, mut wrong) = (Vec::new(), Vec::new());
        for component in chosen {
            match self.project.spec_file(component) {
                Ok(file) => files.push((component, file)),
                Err(diagnostic) => wrong.push(diagnostic),
            }
        }
        const MOST: usize = 3;
        let more = wrong.len().saturating_sub(MOST);
        wrong.truncate(MOST);
        if let (Some(last), true) = (wrong.last_mut(), more > 0) {
            last.hints
                .push(format!("{more} more components must be rendered, too"));
        }
        Errors::check(files, wrong)
    }

    /// Fills in what the store did not remember; what is wrong with SPECs comes back.
    fn ask_about_the_rest(
        &self,
        known: &mut [(Inputs<'_>, Option<Evaluated>)],
        macros: &Macros,
    ) -> Result<Vec<Diagnostic>, Error> {
        let missing: Vec<&Inputs<'_>> = known
            .iter()
            .filter(|(_, evaluated)| evaluated.is_none())
            .map(|(inputs, _)| inputs)
            .collect();
        if missing.is_empty() {
            return Ok(Vec::new());
        }
        let id = "spec:evaluate";
        let title = match missing.as_slice() {
            [one] => format!("the SPEC of {}", one.component.name),
            several => format!("{} SPECs", several.len()),
        };
        self.sink.event(Event::Started {
            id,
            title: &title,
            total: None,
        });
        let started = Instant::now();
        let finish = |outcome| {
            let elapsed: Duration = started.elapsed();
            self.sink.event(Event::Finished { id, outcome, elapsed });
        };
        let scratch = self.store.temp_dir("specs")?;
        let layer = scratch.path().join("layer");
        let answers = inputs::lay_out(&layer, &self.base, &missing, macros).and_then(|()| {
            let requests: Vec<Request> = missing.iter().map(|inputs| inputs.request.clone()).collect();
            (self.ask)(&layer, &requests)
        });
        let answers = answers.inspect_err(|_| finish(event::Outcome::Failed))?;
        let mut wrong = Vec::new();
        let missing = known.iter_mut().filter(|(_, evaluated)| evaluated.is_none());
        for ((inputs, evaluated), answer) in missing.zip(&answers) {
            match self.judge(inputs, answer) {
                Ok(fresh) => {
                    self.store.record(KIND, &inputs.key, &fresh)?;
                    *evaluated = Some(fresh);
                }
                Err(diagnostics) => wrong.extend(diagnostics),
            }
        }
        finish(if wrong.is_empty() {
            event::Outcome::Done
        } else {
            event::Outcome::Failed
        });
        Ok(wrong)
    }

    fn judge(&self, inputs: &Inputs<'_>, outcome: &Outcome) -> Result<Evaluated, Vec<Diagnostic>> {
        let shown = self.project.display(&inputs.spec_file);
        let name = inputs.request.spec.as_str();
        let source = messages::Source::new(name, &shown, &inputs.text, &outcome.files);
        let errors = source.errors(&outcome.messages);
        if !errors.is_empty() {
            return Err(errors);
        }
        let wrong = Diagnostic::new(format!("cannot evaluate the SPEC of `{}`", inputs.component.name));
        let wrong = wrong.at(Location::file(&shown));
        let Some(evaluated) = &outcome.evaluated else {
            return Err(vec![wrong.note("there is no reason given")]);
        };
        let mut evaluated = answer::read(evaluated, &inputs.text, self.arch)
            .map_err(|odd| vec![source.about_macro(wrong, &odd.0)])?;
        evaluated.warnings = source.warnings(&outcome.messages);
        evaluated.raised_dist.clone_from(&outcome.raised_dist);
        Ok(evaluated)
    }

    fn recipe(&self, inputs: Inputs<'_>, evaluated: Evaluated, macros: &Macros) -> Result<Recipe, Unfit> {
        let component = inputs.component;
        let spec_shown = self.project.display(&inputs.spec_file);
        if let Some(only) = evaluated.not_for {
            let text = format!(
                "`{}` is not for {} ({}: {only})",
                component.name,
                self.arch,
                spec_shown.display()
            );
            return Err(Unfit::OtherArch(text));
        }
        let Some(source_date_epoch) = evaluated.source_date_epoch else {
            let diagnostic = Diagnostic::new(format!("the SPEC of `{}` has no date", component.name))
                .at(Location::file(spec_shown))
                .note("`%changelog` has no entry, and its newest entry is the clock of the build")
                .hint("%changelog\n  * Thu Jan 01 2026 Name <name@example.org> - 1.0-1\n  - What changed.");
            return Err(Unfit::Wrong(Box::new(diagnostic)));
        };
        let rebuild = inputs.request.rebuild;
        let (mut defines, mut undefines) = (inputs.request.defines, inputs.request.undefines);
        if let Some(dist) = evaluated.raised_dist {
            defines.insert("dist".to_owned(), dist);
            undefines.retain(|name| name != "dist");
        }
        Ok(Recipe {
            format: FORMAT,
            component: component.name.clone(),
            arch: self.arch,
            name: evaluated.name,
            evr: evaluated.evr,
            spec_digest: inputs.spec_digest,
            spec_file: inputs.spec_file,
            spec_shown,
            macros_digest: macros.digest,
            source_date_epoch,
            licence: evaluated.licence,
            noarch: evaluated.noarch,
            build_requires: evaluated.build_requires,
            packages: evaluated.packages,
            sources: evaluated.sources,
            generates: evaluated.generates,
            has_check: evaluated.has_check,
            defines,
            undefines,
            rebuild,
        })
    }
}

/// Why what a SPEC says makes no recipe.
enum Unfit {
    OtherArch(String),
    Wrong(Box<Diagnostic>),
}
