//! SPECs of a project, evaluated: over stage0, with its rpm's macros and the distribution's own.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use keel_artefact::{Arch, Interrupt};
use keel_host::stage0::Stage0;

use crate::{
    Error,
    environment::{self, Environment, Target, Tree},
    eval::{self, Outcome},
    inputs::Request,
    macros::{Behaviour, Engine, Limits, level, text},
    parallel,
    world::{self, Facts, Layered, Policy, Root, Surroundings},
};

/// What SPECs are evaluated over.
pub(crate) struct Ground {
    /// The folders of the root, the top first.
    pub(crate) layers: Vec<PathBuf>,
    pub(crate) behaviour: Behaviour,
    pub(crate) arch: Arch,
}

impl Ground {
    pub(crate) fn new(stage0: &Stage0, arch: Arch) -> Self {
        let packages = stage0.lock().packages;
        let version = packages.iter().find(|package| package.name == "rpm");
        let behaviour = match version.map(|package| package.version.as_str()) {
            Some(version) if version.starts_with("4.18") => Behaviour::Rpm418,
            Some(version) if version.starts_with('6') => Behaviour::Rpm6,
            _ => Behaviour::Rpm420,
        };
        Self {
            layers: stage0.tool_lowers(),
            behaviour,
            arch,
        }
    }

    /// Evaluates SPECs that lie in `layer`, which goes over the root.
    pub(crate) fn evaluate(
        &self,
        layer: &Path,
        requests: &[Request],
        interrupt: &Interrupt,
    ) -> Result<Vec<Outcome>, Error> {
        let mut layers = vec![layer.to_owned()];
        layers.extend(self.layers.iter().cloned());
        let environment = self.environment(&layers)?;
        let surroundings = Surroundings::new(world::Options {
            policy: Policy::Sandbox,
            root: Root::Layers(layers),
            facts: Facts::profile("plain", self.arch)?,
            environment: BTreeMap::from(
                [
                    ("HOME", "/tmp"),
                    ("LANG", "C.UTF-8"),
                    ("PATH", "/usr/bin:/usr/sbin"),
                    ("TZ", "UTC"),
                ]
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
            ),
            interrupt: interrupt.clone(),
            ..world::Options::default()
        })?;
        let jobs = std::thread::available_parallelism().map_or(1, usize::from);
        let mut outcomes = Vec::with_capacity(requests.len());
        let (layer, asked) = (layer.to_owned(), requests.to_owned());
        parallel::each(
            requests.len(),
            &parallel::How::new(jobs, interrupt),
            move |index| evaluate(&environment, &surroundings, &layer, &asked[index]),
            |index| Ok(Outcome::left_behind(requests[index].spec.as_str())),
            |_, outcome| {
                outcomes.push(outcome?);
                Ok::<(), Error>(())
            },
        )?;
        interrupt.check()?;
        Ok(outcomes)
    }

    fn environment(&self, layers: &[PathBuf]) -> Result<Environment, Error> {
        let mut tree = Tree::new();
        for layer in layers.iter().rev() {
            for place in [environment::CONFIG, environment::ETC] {
                let folder = layer.join(place.trim_start_matches('/'));
                if folder.is_dir() {
                    tree.add_folder(&folder, place)?;
                }
            }
        }
        let target: Target = format!("{}-linux", self.arch.rpm()).parse()?;
        let mut options = environment::Options::new(tree, target, self.behaviour);
        // Where `inputs::lay_out` puts the distribution's macros, which win over rpm's own.
        options.vendor = Some("vendor".to_owned());
        Ok(Environment::load(&options)?)
    }
}

fn evaluate(
    environment: &Environment,
    surroundings: &Arc<Surroundings>,
    layer: &Path,
    request: &Request,
) -> Result<Outcome, Error> {
    let spec = &request.spec;
    let source = fs_err::read(spec.under(layer))?;
    let world = Layered {
        tree: environment.tree.clone(),
        rest: surroundings.of_spec(spec.as_str()),
    };
    let table = environment.table.clone();
    let mut engine = Engine::new(table, environment.behaviour, Arc::new(world), Limits::default());
    let folder = spec.parent();
    let folder = folder.as_ref().map_or("/", |folder| folder.as_str());
    for name in ["_sourcedir", "_specdir"] {
        engine.push(name, None, folder, level::CMDLINE);
    }
    for (name, value) in &request.defines {
        // What cannot be defined is in the messages.
        let _ = engine.define(&format!("{name} {value}"), level::CMDLINE);
    }
    for name in &request.undefines {
        engine.pop(name);
    }
    let raised_dist = (request.rebuild > 0).then(|| raise(&mut engine, request.rebuild));
    let buildable = |arch: &str| environment.machine_score(arch) > 0;
    let outcome = eval::evaluate_past_errors(&mut engine, spec.as_str(), &text::decode(&source), &buildable);
    Ok(Outcome {
        raised_dist,
        ..outcome
    })
}

/// Makes `%dist` end with the rebuild counter, whatever it was before. Gives its new value.
fn raise(engine: &mut Engine, rebuild: u32) -> String {
    let dist = format!("{}.{rebuild}", engine.expand_leniently("%{?dist}"));
    // What cannot be defined is in the messages.
    let _ = engine.define(&format!("dist {dist}"), level::CMDLINE);
    dist
}
