//! What rendering needs of a project, for all commands that render: where each component's pristine folder is, and how it is
//! rendered.

mod changes;
mod past;
mod told;

pub use told::of;

use std::{
    collections::BTreeMap,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use keel_artefact::{Fingerprint, Interrupt, RootPath, Sha256};
use keel_config::{Component, Diagnostic, Digest, Origin, Project, Spec, select};
use keel_source::dist_git;
use keel_spec::{
    environment::Distribution,
    parallel::{self, How},
    render::{self, Places, Request, fingerprint, macros_file::Options, place, sources_file::SourceFile},
};
use keel_store::Store;
use serde::{Deserialize, Serialize};

use crate::{
    args::{self, config::Select, spec as spec_args},
    commands::spec::evaluate::{Macros, cores},
    context::Context,
    failure::{Class, Failure},
    pipeline,
};

pub use past::{Past, asks, check_counted};

/// The kind of action under which the store remembers what rendering gives.
const RENDERED: &str = "rendered";

/// And that under which it remembers where rendering wrote which folder.
const MADE: &str = "rendered-there";

/// What rendering gave.
#[derive(Serialize, Deserialize)]
struct Rendered {
    folder: Sha256,
}

/// What all components of a run are rendered with.
pub struct Rendering {
    store: Store,
    interrupt: Interrupt,
    project: Arc<Project>,
    /// The macros that SPECs are read with.
    pub macros: Macros,
    macros_digest: OnceLock<Sha256>,
    /// How files are fetched.
    pub options: keel_source::Options,
    /// A folder for what is made on the way; SPECs in it may be read.
    pub scratch: PathBuf,
    /// The bytes are azldev's, to the last line.
    is_azldevs: bool,
    /// The project's locks and their histories, once somebody asked for one.
    locks: Mutex<Option<Arc<changes::Locks>>>,
}

/// A component's folder before anything is changed.
pub struct Pristine {
    /// The folder. Never to be written.
    pub folder: PathBuf,
    /// What the SPEC is called there.
    pub spec: String,
    /// The commit of the other distribution's repository.
    pub commit: Option<String>,
    /// What came before.
    pub past: Past,
    /// What the upstream's SPEC says of itself, as macros.
    pub upstream: BTreeMap<String, String>,
    /// The digest of all that rendering it depends on, as it was before anything was read; none for a local SPEC.
    pub key: Option<Sha256>,
}

/// The components that are chosen; an error if nothing was said.
pub fn chosen<'p>(project: &'p Project, select: &Select) -> Result<Vec<&'p Component>, Failure> {
    if !select.says_any() {
        return Err(Failure::input("no component is named")
            .hint("name components or groups; `--all` means all of them"));
    }
    Ok(select::select(project, &select.selection())?)
}

impl Rendering {
    /// Reads macros: those asked for, or else what the project says.
    pub fn new(
        context: &Context<'_>,
        project: &Arc<Project>,
        asked: &args::component::Macros,
        scratch: &Path,
    ) -> Result<Arc<Self>, Failure> {
        Ok(Arc::new(Self {
            store: context.store()?.clone(),
            interrupt: context.interrupt.clone(),
            project: Arc::clone(project),
            macros: macros(context, project, asked.macros.as_deref(), scratch)?,
            macros_digest: OnceLock::new(),
            options: pipeline::source_options(context)?,
            scratch: scratch.to_owned(),
            is_azldevs: is_azldevs(project),
            locks: Mutex::default(),
        }))
    }

    /// Does `work` for each of the components and its pristine folder, several at once; results in their order. All that must
    /// be fetched is fetched before; whatever then takes longer than any limit allows is an error of its own.
    pub fn each<T: Send + 'static>(
        self: &Arc<Self>,
        components: &[&Component],
        work: impl Fn(&Self, &Component, Pristine) -> Result<T, Failure> + Send + Sync + 'static,
    ) -> Result<Vec<Result<T, Failure>>, Failure> {
        past::check_whole(
            &pipeline::git(&self.interrupt),
            &self.project,
            components.iter().copied(),
        )?;
        let pristine = self.each_component(components, Self::fetched)?;
        let components: Arc<[Component]> = components.iter().map(|component| (*component).clone()).collect();
        // A fetch that Ctrl-C ended leaves fewer.
        let count = pristine.len();
        let pristine = Mutex::new(pristine.into_iter().map(Some).collect::<Vec<_>>());
        let (rendering, how) = (Arc::clone(self), How::new(cores(), &self.interrupt));
        in_order(count, &how, move |at| {
            let taken = pristine.lock().unwrap_or_else(PoisonError::into_inner)[at].take();
            let pristine = taken.expect("each number is worked at once")?;
            let pristine = rendering.told(&components[at], pristine)?;
            work(&rendering, &components[at], pristine)
        })
    }

    /// Does `work`, which may fetch, for each of the components, several at once; results in their order.
    pub fn each_component<T: Send + 'static>(
        self: &Arc<Self>,
        components: &[&Component],
        work: impl Fn(&Self, &Component) -> Result<T, Failure> + Send + Sync + 'static,
    ) -> Result<Vec<Result<T, Failure>>, Failure> {
        let components: Arc<[Component]> = components.iter().map(|component| (*component).clone()).collect();
        let fetching = How {
            // git and its limits decide how long it may take.
            patience: Duration::MAX,
            ..How::new(cores(), &self.interrupt)
        };
        let rendering = Arc::clone(self);
        in_order(components.len(), &fetching, move |at| {
            work(&rendering, &components[at])
        })
    }

    /// Where a component's SPEC comes from: a folder of the tree, or a commit that is fetched into the store. With what came
    /// before it.
    pub fn pristine(&self, component: &Component) -> Result<Pristine, Failure> {
        let git = pipeline::git(&self.interrupt);
        past::check_whole(&git, &self.project, std::iter::once(component))?;
        self.told(component, self.fetched(component)?)
    }

    /// All of it that git has.
    fn fetched(&self, component: &Component) -> Result<Pristine, Failure> {
        self.interrupt.check()?;
        let (folder, spec, found) = match &component.spec {
            Some(Spec::Local { path }) => {
                let name = path.file_name().unwrap_or_default();
                let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
                (folder, name.to_string_lossy().into_owned(), None)
            }
            _ => {
                let found = self.dist_git(component).map_err(no_spec)?;
                let found = found.ok_or_else(|| Failure::input("nothing says where its SPEC comes from"))?;
                (found.folder.clone(), found.spec.clone(), Some(found))
            }
        };
        // Before: a file that is saved meanwhile must not count as what was rendered. Why there is no key, rendering tells.
        let key = found
            .as_ref()
            .and_then(|found| self.fingerprint(component, &found.commit).ok());
        let past = self.past(component, found.as_ref(), &folder.join(&spec))?;
        Ok(Pristine {
            folder,
            spec,
            commit: found.map(|found| found.commit),
            past,
            upstream: BTreeMap::new(),
            key,
        })
    }

    /// And what SPECs say.
    fn told(&self, component: &Component, mut pristine: Pristine) -> Result<Pristine, Failure> {
        let spec = pristine.folder.join(&pristine.spec);
        pristine.upstream = self.upstream_macros(component, &spec, &mut pristine.past)?;
        Ok(pristine)
    }

    fn dist_git(&self, component: &Component) -> Result<Option<dist_git::DistGit>, dist_git::Error> {
        let (store, interrupt) = (&self.store, &self.interrupt);
        dist_git::dist_git(&self.project, component, store, &self.options, interrupt)
    }

    /// Can another distribution's SPEC be had without the network, if that is not to be used: its files, and its history where
    /// that is asked for?
    pub fn has_files(&self, component: &Component) -> bool {
        let files = self.dist_git(component).and_then(|found| match found {
            Some(found) if past::needs_history(component, &fs_err::read(found.folder.join(&found.spec))?) => {
                dist_git::history(&found, &self.store, &self.options, &self.interrupt).map(drop)
            }
            _ => Ok(()),
        });
        !matches!(files, Err(dist_git::Error::Offline { .. }))
    }

    /// The commit that another distribution's SPEC is taken from; nothing for a local one.
    pub fn commit(&self, component: &Component) -> Result<String, dist_git::Error> {
        let (store, interrupt) = (&self.store, &self.interrupt);
        let place = dist_git::place(&self.project, component, store, &self.options, interrupt)?;
        Ok(place.map(|(_, commit)| commit).unwrap_or_default())
    }

    /// The digest of the folder that rendering a commit's SPEC gives, if the store knows.
    pub fn remembered(&self, component: &Component, commit: &str) -> Result<Option<Sha256>, Failure> {
        let key = self.fingerprint(component, commit)?;
        let known = self.store.action::<Rendered>(RENDERED, &key)?;
        Ok(known.map(|known| known.folder))
    }

    /// Remembers that `folder` is what rendering gives, if what it was made of is a commit.
    pub fn remember(&self, pristine: &Pristine, folder: &Path) -> Result<(), Failure> {
        let Some(key) = &pristine.key else {
            return Ok(());
        };
        let rendered = Rendered {
            folder: place::digest(folder)?,
        };
        Ok(self.store.record(RENDERED, key, &rendered)?)
    }

    /// Remembers that rendering wrote this folder.
    pub fn made(&self, folder: &Path) -> Result<(), Failure> {
        Ok(self.store.record(MADE, &place_and_content(folder)?, &())?)
    }

    fn fingerprint(&self, component: &Component, commit: &str) -> Result<Sha256, Failure> {
        let macros = match self.macros_digest.get() {
            Some(digest) => *digest,
            None => {
                let digest = self.macros.digest()?;
                *self.macros_digest.get_or_init(|| digest)
            }
        };
        // Where the files lie makes no difference.
        let pristine = Pristine {
            folder: PathBuf::new(),
            spec: dist_git::spec_of(component),
            commit: None,
            past: Past::default(),
            upstream: BTreeMap::new(),
            key: None,
        };
        let request = self.with_request(component, &pristine, |request| {
            Ok(fingerprint::of(&request, commit, &macros)?)
        })?;
        let mut print = Fingerprint::new("rendered-from/1");
        print.add_digest("request", &request);
        self.past_counts(component, &mut print)?;
        Ok(print.finish())
    }

    /// Calls `work` with how the component is rendered.
    pub fn with_request<T>(
        &self,
        component: &Component,
        pristine: &Pristine,
        work: impl FnOnce(Request<'_>) -> Result<T, render::Error>,
    ) -> Result<T, Failure> {
        let build = &component.build;
        // What has no digest here is pinned by `keel.lock`, and is no business of `sources`.
        let is_listed = |file: &&keel_config::SourceFile| {
            self.is_azldevs || file.digest.is_some() || file.replaces_upstream
        };
        let files = component.source_files.iter().filter(is_listed);
        let source_files: Vec<SourceFile> = files.map(source_file).collect();
        let evaluator = self.macros.evaluator();
        let request = Request {
            name: component.name.as_str(),
            input: &pristine.folder,
            spec: &pristine.spec,
            overlays: &component.overlays,
            semantics: component.semantics,
            macros: Options {
                with: &build.with,
                without: &build.without,
                defines: &build.defines,
                undefines: &build.undefines,
                upstream: &pristine.upstream,
            },
            skip_check: (build.check.skip).then(|| build.check.skip_reason.as_deref().unwrap_or_default()),
            calculation: component.release,
            changes: pristine.past.changes.len() as u64,
            free_source_number: !self.is_azldevs,
            always_header: self.is_azldevs,
            source_files: &source_files,
            with_archives: false,
            history: pristine.past.history.as_ref(),
            skip_file_filter: component.skip_file_filter,
            list: Some(&evaluator),
        };
        work(request).map_err(|error| told::why(&self.project, pristine, error))
    }

    /// Renders a component into a new folder of its own name in the scratch folder.
    pub fn prepare(&self, component: &Component, pristine: Pristine) -> Result<Prepared, Failure> {
        let folder = self.scratch.join(component.name.as_str());
        let rendered =
            self.with_request(component, &pristine, |request| render::prepare(&request, &folder))?;
        Ok(Prepared {
            pristine,
            places: rendered.places,
            folder,
        })
    }

    /// That a rendered SPEC cannot be evaluated, told where it was written.
    pub fn not_evaluated(&self, pristine: &Pristine, places: &Places, errors: Vec<Diagnostic>) -> Failure {
        let errors = errors.into_iter().map(|one| places.told(one)).collect();
        told::why(&self.project, pristine, render::Error::Evaluation { errors })
    }
}

/// Did rendering write this folder, as it is now, to this place? As far as the store remembers.
pub fn has_made(store: &Store, folder: &Path) -> Result<bool, Failure> {
    let known = store.action::<()>(MADE, &place_and_content(folder)?)?;
    Ok(known.is_some())
}

/// What lies elsewhere with the same content is another folder: it may be what this one was rendered from.
fn place_and_content(folder: &Path) -> Result<Sha256, Failure> {
    let mut print = Fingerprint::new("rendered-there/1");
    print.add("place", fs_err::canonicalize(folder)?.as_os_str().as_bytes());
    print.add_digest("content", &place::digest(folder)?);
    Ok(print.finish())
}

/// Why another distribution's SPEC is not there.
pub fn no_spec(error: dist_git::Error) -> Failure {
    use dist_git::Error as E;
    let class = match &error {
        E::Unsaid { .. } | E::Short { .. } | E::NoCommit { .. } | E::NoSpec { .. } => Class::Input,
        _ => Class::Environment,
    };
    Failure::because(class, "its SPEC cannot be had", &error)
}

/// A component, rendered where nothing else is.
pub struct Prepared {
    /// What it was before.
    pub pristine: Pristine,
    /// Where the lines of its SPEC come from.
    pub places: Places,
    /// The rendered folder.
    pub folder: PathBuf,
}

/// Are the bytes to be azldev's, to the last line?
fn is_azldevs(project: &Project) -> bool {
    project
        .files
        .first()
        .is_some_and(|file| file.ends_with("azldev.toml"))
}

fn source_file(file: &keel_config::SourceFile) -> SourceFile {
    let hash = match &file.digest {
        Some(Digest::Sha256(digest)) => Some(("SHA256".to_owned(), digest.to_hex())),
        Some(Digest::Sha512(digest)) => Some(("SHA512".to_owned(), digest.clone())),
        None => None,
    };
    SourceFile {
        filename: file.filename.clone(),
        hash,
        replace_upstream: file.replaces_upstream,
        by_overlay: file.origins.contains(&Origin::Overlay),
    }
}

/// The macros that tell which files a SPEC names: those asked for, the tree's own, stage0's, this machine's.
fn macros(
    context: &Context<'_>,
    project: &Project,
    asked: Option<&Path>,
    scratch: &Path,
) -> Result<Macros, Failure> {
    let stage0 = || -> Result<Option<PathBuf>, Failure> {
        let layers = context.stage0(project)?.tool_lowers();
        Ok(layers
            .into_iter()
            .find(|layer| layer.join("usr/lib/rpm/macros").is_file()))
    };
    let folder = match asked {
        Some(folder) => Some(folder.to_owned()),
        None if Distribution::of(&project.root).is_some() => Some(project.root.clone()),
        None if !project.stage0.suite.is_empty() => stage0()?,
        None => None,
    };
    let how = spec_args::How {
        macros: folder,
        load: project.macros.clone(),
        shell: spec_args::Shell::Facts,
        ..spec_args::How::default()
    };
    Macros::load_for(context, &how, vec![scratch.to_owned()], RootPath::root())
}

/// Results in the order of their numbers; fewer, if the user interrupts.
fn in_order<T: Send + 'static>(
    count: usize,
    how: &How,
    work: impl Fn(usize) -> Result<T, Failure> + Send + Sync + 'static,
) -> Result<Vec<Result<T, Failure>>, Failure> {
    let mut results = Vec::with_capacity(count);
    let late = |_| {
        let text = "reading its SPEC does not end, and no limit stops it; it was left behind";
        Err(Failure::input(text))
    };
    parallel::each(count, how, work, late, |_, result| {
        results.push(result);
        Ok::<(), Failure>(())
    })?;
    Ok(results)
}
