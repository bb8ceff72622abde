//! The repositories of the trees that a project stands on (`[keel.base] repository`): which state of each is used, what they
//! have, and packages of them in the store.
//!
//! 1. `keel.lock` pins the state: the digest of `repomd.xml`. `keel source lock` pins it, `keel source update` takes a newer one.
//! 2. `repomd.xml` is signed by the key that the tree names; it says the digest of the list of packages, and that says theirs.
//! 3. A component of the base whose packages are all there is not built, unless it was asked for by its name.
//! 4. A package comes into the store when a root or an image wants it, and is signed by that key, too.

mod states;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use keel_artefact::{ComponentName, Interrupt, Sha256, Sink};
use keel_build::{
    BuiltPackage, Kind,
    foreign::{self, Components, Refusal},
};
use keel_config::{BaseRepository, Component, Project, Tree};
use keel_plan::{Published, PublishedComponent, PublishedPackage, Targets};
use keel_repo::offer::{self, Offered};
use keel_rpm::sign::Certificates;
use keel_source::{Answer, Remote, TransferError};
use keel_spec::{Recipe, RecipePackage};
use keel_store::Store;
use serde::{Deserialize, Serialize};

use crate::{
    context::Context,
    failure::{Class, Failure},
    names, pipeline,
};

pub use states::{State, pin_new, pin_states, states};

/// Under which kind of action the store remembers the signature of a `repomd.xml`.
const SIGNATURE: &str = "base-repository";
/// Where these are in a repository.
const MANIFEST: &str = "repodata/repomd.xml";
const MANIFEST_SIGNATURE: &str = "repodata/repomd.xml.asc";

/// What helps if the repository went on.
const NEWER: &str = "where the repository has another state by now, `keel source update` takes that";

/// What the repositories of a project's bases have.
#[derive(Default)]
pub struct Base {
    /// For the plan.
    pub published: Published,
    /// For builds.
    pub components: Components,
    /// How each package may be had, and who has to have signed it.
    files: BTreeMap<Sha256, File>,
}

struct File {
    remote: Remote,
    trusted: Arc<Certificates>,
}

/// A repository that a tree names.
struct Asked<'a> {
    /// The tree's number.
    tree: usize,
    repository: &'a BaseRepository,
    address: String,
}

impl Base {
    /// Reads what there is, of what `keel.lock` pins. Components that are asked for by name are built.
    pub fn of(
        context: &Context<'_>,
        project: &Project,
        recipes: &[Recipe],
        targets: &Targets,
    ) -> Result<Self, Failure> {
        let mut base = Self::default();
        let asked = repositories(context, project);
        if asked.is_empty() {
            return Ok(base);
        }
        let lock = names::lock(project)?;
        for asked in asked {
            let pinned = lock.repositories.get(&asked.address).ok_or_else(|| {
                let text = format!("the repository {} is not pinned", asked.address);
                Failure::input(text).hint(
                    "`keel source lock` writes its state into keel.lock: with that, the same packages are used until you say otherwise",
                )
            })?;
            let trusted = Arc::new(context.certificates(Some(&asked.repository.key))?);
            let manifest = manifest(context, &asked, pinned, &trusted)?;
            let offered = packages(context, &asked, &manifest)?;
            base.add(project, recipes, targets, &asked, offered, &trusted);
        }
        Ok(base)
    }

    /// Adds what a repository has of the components of its tree.
    fn add(
        &mut self,
        project: &Project,
        recipes: &[Recipe],
        targets: &Targets,
        asked: &Asked<'_>,
        offered: Vec<Offered>,
        trusted: &Arc<Certificates>,
    ) {
        let named: BTreeSet<&ComponentName> = match targets {
            Targets::Components(names) => names.iter().collect(),
            Targets::All | Targets::Packages(_) => BTreeSet::new(),
        };
        let mut by_source: BTreeMap<String, Vec<Offered>> = BTreeMap::new();
        let binary = |offered: &Offered| offered.output.package.kind == Kind::Binary;
        for offered in offered.into_iter().filter(binary) {
            by_source.entry(offered.source.clone()).or_default().push(offered);
        }
        for recipe in recipes {
            let is_its = (project.components.get(&recipe.component)).is_some_and(|component| {
                component.changed_in == asked.tree && !is_rendered_above(project, component)
            });
            if !is_its || named.contains(&recipe.component) {
                continue;
            }
            let Some(there) = by_source.get(recipe.name.as_str()) else {
                continue;
            };
            let has = |package: &RecipePackage| {
                let mut names = there.iter().map(|offered| &offered.output.package.nevra.name);
                names.any(|name| *name == package.nevra.name)
            };
            if recipe.packages.is_empty() || !recipe.packages.iter().all(has) {
                continue;
            }
            let there = by_source.remove(recipe.name.as_str()).unwrap_or_default();
            // What an older SPEC made may be there still.
            let makes = |offered: &Offered| {
                let name = &offered.output.package.nevra.name;
                recipe.packages.iter().any(|package| package.nevra.name == *name)
            };
            let (its, older): (Vec<_>, Vec<_>) = there.into_iter().partition(makes);
            self.take(&recipe.component, its, asked, trusted);
            (self.published.replaced).extend(older.iter().map(published));
        }
        let rest = by_source.into_values().flatten();
        self.published
            .replaced
            .extend(rest.map(|offered| published(&offered)));
    }

    fn take(
        &mut self,
        component: &ComponentName,
        there: Vec<Offered>,
        asked: &Asked<'_>,
        trusted: &Arc<Certificates>,
    ) {
        let mut new = PublishedComponent {
            repository: asked.address.clone(),
            packages: Vec::new(),
        };
        let mut outputs = Vec::new();
        for offered in there {
            new.packages.push(published(&offered));
            let mut output = offered.output;
            output.package.component = component.clone();
            let remote = Remote {
                name: output.package.nevra.file_name(),
                address: format!("{}/{}", asked.address, offered.location),
                digest: output.package.rpm,
                size: output.package.size,
            };
            let trusted = Arc::clone(trusted);
            self.files.insert(remote.digest, File { remote, trusted });
            outputs.push(output);
        }
        self.published.components.insert(component.clone(), new);
        let built = Arc::new(foreign::component(outputs));
        self.components.insert(component.clone(), built);
    }

    /// Is it not built?
    pub fn has(&self, component: &ComponentName) -> bool {
        self.published.has(component)
    }
}

/// Is a component of a base built from a SPEC that the project's own tree rendered, and that is another one than the base's?
fn is_rendered_above(project: &Project, component: &Component) -> bool {
    let (Some(own), Some(base)) = (project.trees.first(), project.trees.get(component.changed_in)) else {
        return false;
    };
    let Ok(file) = project.spec_file(component) else {
        return false;
    };
    let Ok(place) = file.strip_prefix(&own.rendered_specs_dir) else {
        return false;
    };
    let of_base = base.rendered_specs_dir.join(place);
    match (fs_err::read(&file), fs_err::read(&of_base)) {
        (Ok(own), Ok(base)) => own != base,
        _ => true,
    }
}

/// Brings packages of a [`Base`] into the store.
pub struct Bringer<'a> {
    base: &'a Base,
    store: &'a Store,
    options: keel_source::Options,
    sink: &'a dyn Sink,
    interrupt: &'a Interrupt,
    /// Those whose signature was checked in this run.
    checked: Mutex<BTreeSet<Sha256>>,
}

impl<'a> Bringer<'a> {
    /// With the settings of this run.
    pub fn new(context: &'a Context<'_>, base: &'a Base) -> Result<Self, Failure> {
        Ok(Self {
            base,
            store: context.store()?,
            options: pipeline::source_options(context)?,
            sink: context.sink(),
            interrupt: &context.interrupt,
            checked: Mutex::default(),
        })
    }

    /// Makes sure that the store has these packages, and that each is what the repository says and signed as it must be.
    pub fn bring(&self, packages: &[&BuiltPackage]) -> Result<(), Refusal> {
        let known = |package: &&BuiltPackage| self.base.files.get(&package.rpm);
        let files: Vec<(&BuiltPackage, &File)> = (packages.iter())
            .filter_map(|package| Some((*package, known(package)?)))
            .collect();
        let remotes: Vec<Remote> = files.iter().map(|(_, file)| file.remote.clone()).collect();
        keel_source::bring(&remotes, self.store, &self.options, self.sink, self.interrupt)?;
        for (package, file) in files {
            self.interrupt.check()?;
            let Err(refused) = self.check(package, file) else {
                continue;
            };
            // Bytes that got damaged in the store are no fault of the repository: they are fetched again.
            match self.store.verify(&package.rpm) {
                Err(keel_store::Error::Damaged { .. }) => {}
                _ => return Err(refused),
            }
            let again = std::slice::from_ref(&file.remote);
            keel_source::bring(again, self.store, &self.options, self.sink, self.interrupt)?;
            self.check(package, file)?;
        }
        Ok(())
    }

    fn check(&self, package: &BuiltPackage, file: &File) -> Result<(), Refusal> {
        let checked = || self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        if checked().contains(&package.rpm) {
            return Ok(());
        }
        let object = self.store.object(&package.rpm)?;
        let refused = |why: String| -> Refusal { format!("{}: {why}", file.remote.address).into() };
        let signed = keel_rpm::sign::verify_package(&object, &file.trusted)
            .map_err(|error| refused(with_causes(&error)))?;
        if signed.digest != package.rpm {
            let text = format!("its digest is {}, and should be {}", signed.digest, package.rpm);
            return Err(refused(text));
        }
        if signed.info.nevra != package.nevra {
            let text = format!(
                "it is `{}`, the repository says `{}`",
                signed.info.nevra, package.nevra
            );
            return Err(refused(text));
        }
        checked().insert(package.rpm);
        Ok(())
    }
}

/// What to do if a file of a base's repository cannot be had for that reason.
pub fn hint(error: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    let answer = match error.downcast_ref()? {
        TransferError::WrongBytes { .. } => return Some(NEWER),
        TransferError::Answer { answer, .. } => answer,
        _ => return None,
    };
    match **answer {
        Answer::Absent { .. } | Answer::NoFile(_) | Answer::WrongSize { .. } => Some(NEWER),
        Answer::Offline => Some("run it once without `--offline`: the store keeps what was fetched"),
        _ => None,
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

/// What a plan must know of a package.
fn published(offered: &Offered) -> PublishedPackage {
    let output = &offered.output;
    PublishedPackage {
        package: RecipePackage {
            nevra: output.package.nevra.clone(),
            provides: output.provides.clone(),
            requires: output.requires.clone(),
            conflicts: output.conflicts.clone(),
            obsoletes: output.obsoletes.clone(),
            recommends: offered.recommends.clone(),
            supplements: offered.supplements.clone(),
            summary: offered.summary.clone(),
        },
        files: output.files.clone(),
    }
}

/// The repositories that the project's trees name for the trees they stand on.
fn repositories<'a>(context: &Context<'_>, project: &'a Project) -> Vec<Asked<'a>> {
    let asked = |(tree, base): (usize, &'a Tree)| {
        let repository = base.repository.as_ref()?;
        Some(Asked {
            tree,
            repository,
            address: repository.address_for(context.arch().rpm()),
        })
    };
    project.trees.iter().enumerate().filter_map(asked).collect()
}

#[derive(Serialize, Deserialize)]
struct Signature {
    digest: Sha256,
}

/// `repomd.xml` in the state that is pinned, from the store or from its repository; signed.
fn manifest(
    context: &Context<'_>,
    asked: &Asked<'_>,
    pinned: &Sha256,
    trusted: &Certificates,
) -> Result<Vec<u8>, Failure> {
    let store = context.store()?;
    let known: Option<Signature> = store.action(SIGNATURE, pinned)?;
    let known = known.filter(|known| store.contains(pinned) && store.contains(&known.digest));
    if let Some(known) = known {
        let (manifest, signature) = (store.read(pinned)?, store.read(&known.digest)?);
        return match verify(asked, &manifest, &signature, trusted) {
            Ok(()) => Ok(manifest),
            Err(refused) => signed_anew(context, asked, pinned, trusted, refused),
        };
    }
    let (manifest, signature) = current(context, asked, trusted)?;
    let found = Sha256::of(&manifest);
    if found != *pinned {
        let text = format!(
            "the repository {} is in another state than the pinned one: its repomd.xml is {found}, keel.lock pins {pinned}",
            asked.address
        );
        return Err(Failure::input(text).hint(
            "`keel source update` takes the newer state; the older one is only where somebody kept it, this machine's store did not",
        ));
    }
    keep(store, &manifest, &signature)?;
    Ok(manifest)
}

/// The pinned state, if the repository has it with a signature that is good, where that in the store is `refused`: the tree may
/// trust another key by now.
fn signed_anew(
    context: &Context<'_>,
    asked: &Asked<'_>,
    pinned: &Sha256,
    trusted: &Certificates,
    refused: Failure,
) -> Result<Vec<u8>, Failure> {
    if context.global.offline {
        return Err(refused);
    }
    match current(context, asked, trusted) {
        Ok((manifest, signature)) if Sha256::of(&manifest) == *pinned => {
            keep(context.store()?, &manifest, &signature)?;
            Ok(manifest)
        }
        Err(failure) if failure.class == Class::Interrupted => Err(failure),
        // What it has now is not what is pinned, or not to be had: what is wrong is the signature here.
        Ok(_) | Err(_) => Err(refused),
    }
}

/// Keeps `repomd.xml` and its signature.
fn keep(store: &Store, manifest: &[u8], signature: &[u8]) -> Result<(), Failure> {
    let pinned = store.put_bytes(manifest)?;
    let digest = store.put_bytes(signature)?;
    Ok(store.record(SIGNATURE, &pinned, &Signature { digest })?)
}

/// `repomd.xml` as it is now, and its signature, which is good.
fn current(
    context: &Context<'_>,
    asked: &Asked<'_>,
    trusted: &Certificates,
) -> Result<(Vec<u8>, Vec<u8>), Failure> {
    let options = pipeline::source_options(context)?;
    let document = |name: &str| {
        let address = format!("{}/{name}", asked.address);
        let limit = offer::LARGEST_MANIFEST;
        keel_source::document(&address, limit, &options, &context.interrupt).map_err(|error| {
            let text = format!("cannot read the repository {}", asked.address);
            Failure::because(Class::Environment, text, &error)
        })
    };
    let manifest = document(MANIFEST)?;
    let signature = document(MANIFEST_SIGNATURE).map_err(|failure| {
        failure
            .hint("it has to be signed: `repomd.xml.asc` lies beside `repomd.xml` in its folder `repodata`")
    })?;
    verify(asked, &manifest, &signature, trusted)?;
    Ok((manifest, signature))
}

fn verify(
    asked: &Asked<'_>,
    manifest: &[u8],
    signature: &[u8],
    trusted: &Certificates,
) -> Result<(), Failure> {
    let what = format!("{}/{MANIFEST}", asked.address);
    let signature = String::from_utf8_lossy(signature);
    match trusted.verify_detached(manifest, &signature, &what) {
        Ok(_) => Ok(()),
        Err(error) => {
            let text = format!("the repository {} is refused", asked.address);
            let key = asked.repository.key.display();
            Err(Failure::because(Class::Input, text, &error).hint(format!(
                "`gpg-key` of `[keel.base]` names the key to trust: {key}"
            )))
        }
    }
}

/// All packages of the repository, by what its signed `repomd.xml` says.
fn packages(context: &Context<'_>, asked: &Asked<'_>, manifest: &[u8]) -> Result<Vec<Offered>, Failure> {
    let unreadable =
        |why: String| Failure::input(format!("cannot read the repository {}: {why}", asked.address));
    let primary = offer::primary(manifest).map_err(unreadable)?;
    let remote = Remote {
        name: format!("packages of {}", asked.address),
        address: format!("{}/{}", asked.address, primary.location()),
        digest: primary.digest(),
        size: primary.size(),
    };
    let store = context.store()?;
    let options = pipeline::source_options(context)?;
    keel_source::bring(&[remote], store, &options, context.sink(), &context.interrupt).map_err(|error| {
        let text = format!("cannot read the repository {}", asked.address);
        let failure = Failure::because(Class::Environment, text, &error);
        match hint(&error) {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    })?;
    let packed = store.read(&primary.digest())?;
    offer::read(&primary, &packed, context.arch(), &context.interrupt).map_err(|error| match error {
        offer::Error::Wrong(why) => unreadable(why),
        offer::Error::Interrupted(interrupted) => Failure::new(Class::Interrupted, interrupted.to_string()),
    })
}

#[cfg(test)]
mod tests;
