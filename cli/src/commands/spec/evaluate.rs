//! Many SPECs, evaluated in parallel, answered in their order.

use std::{
    collections::BTreeSet,
    io,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use keel_artefact::{RootPath, Sha256};
use keel_spec::{
    environment::{Distribution, Environment, Options, Target},
    eval::{self, Evaluated, Outcome},
    macros::{Engine, Limits, Message, Severity, level, text},
    messages::Source,
    parallel,
    render::listing::Evaluator,
    world::{self, Facts, Layered, Policy, Root, Surroundings},
};
use serde::Serialize;

use super::{
    files::File,
    told::{self, say},
};
use crate::{
    args::spec::{How, Messages, Shell, with, without},
    context::Context,
    failure::{Class, Failure},
};

/// What rpm's own folder is called on any machine.
const RPM: &str = "/usr/lib/rpm";
/// More readable folders than this become the one that all are in.
const FOLDERS: usize = 16;

/// What all SPECs of a run are evaluated with.
pub struct Macros {
    options: Options,
    environment: Environment,
    surroundings: Arc<Surroundings>,
    defines_sourcedir: bool,
    wants_json: bool,
    jobs: usize,
    messages: Messages,
}

impl Macros {
    /// Reads macros, opens what SPECs may ask.
    pub fn load(context: &Context<'_>, how: &How, files: &[File]) -> Result<Self, Failure> {
        Self::load_for(context, how, readable(context, how, files), RootPath::root())
    }

    /// The same with folders that may be read, and where relative paths begin.
    pub fn load_for(
        context: &Context<'_>,
        how: &How,
        mut readable: Vec<PathBuf>,
        directory: RootPath,
    ) -> Result<Self, Failure> {
        let in_dir = |path: &PathBuf| context.directory.join(path);
        let folder = how.macros.as_ref().map_or_else(|| PathBuf::from(RPM), in_dir);
        let options = Options::open(&folder, Path::new(RPM), target(context, how)?, how.rpm);
        let mut options = options.map_err(|error| {
            let failure = Failure::because(Class::Input, "there are no macros", &error);
            failure.hint("name rpm's folder, a root or a checkout with --macros")
        })?;
        options.extra.extend(how.load.iter().map(in_dir));
        options.defines.extend(how.defines.iter().cloned());
        options.defines.extend(how.with.iter().map(|name| with(name)));
        options
            .defines
            .extend(how.without.iter().map(|name| without(name)));
        options.undefines.extend(how.undefines.iter().cloned());
        let environment = Environment::load(&options)
            .map_err(|error| Failure::because(Class::Input, "cannot read the macros", &error))?;
        say_some(context, &environment.messages);
        let sourcedir = environment.table.get("_sourcedir");
        let defines_sourcedir = sourcedir.is_some_and(|found| found.level() == level::CMDLINE);
        if defines_sourcedir {
            readable.extend(source_folder(&environment)?);
        }
        let surroundings = surroundings(context, how, &folder, readable, directory)?;
        Ok(Self {
            options,
            environment,
            surroundings,
            defines_sourcedir,
            wants_json: false,
            messages: how.messages,
            jobs: how.jobs.map_or_else(cores, NonZeroUsize::get),
        })
    }

    /// Tells which files a SPEC names.
    pub fn evaluator(&self) -> Evaluator<'_> {
        Evaluator {
            environment: &self.environment,
            surroundings: &self.surroundings,
        }
    }

    /// Is there a macro of this name, whatever a SPEC defines?
    pub fn defines(&self, name: &str) -> bool {
        self.environment.table.get(name).is_some()
    }

    /// The digest of all the macros that a SPEC can see.
    pub fn digest(&self) -> Result<Sha256, Failure> {
        let digest = self.options.digest();
        digest.map_err(|error| Failure::because(Class::Input, "cannot read the macros", &error))
    }

    /// Each answer has its line of `keel spec eval`.
    pub fn with_json(mut self) -> Self {
        self.wants_json = true;
        self
    }

    /// Writes the record, if one is wanted.
    pub fn finish(&self) -> Result<(), Failure> {
        let finished = self.surroundings.finish();
        finished.map_err(|error| Failure::because(Class::Failed, "the record is lost", &error))
    }

    /// An engine for one SPEC, or for what is called so.
    pub fn engine(&self, name: &str) -> Engine {
        let world = Arc::new(Layered {
            tree: self.environment.tree.clone(),
            rest: self.surroundings.of_spec(name),
        });
        let table = self.environment.table.clone();
        Engine::new(table, self.environment.behaviour, world, Limits::default())
    }

    fn evaluate(&self, file: &File) -> io::Result<Answer> {
        let bytes = fs_err::read(&file.path)?;
        let source = text::decode(&bytes);
        let mut engine = self.engine(&file.shown);
        if !self.defines_sourcedir {
            let folder = file.path.parent().unwrap_or(Path::new("/")).to_string_lossy();
            engine.push("_sourcedir", None, &folder, level::CMDLINE);
        }
        let path = file.path.to_string_lossy();
        let buildable = |arch: &str| self.environment.machine_score(arch) > 0;
        let evaluate = match self.messages {
            Messages::Full => eval::evaluate_past_errors,
            Messages::Rpm => eval::evaluate,
        };
        let mut outcome = evaluate(&mut engine, &path, &source, &buildable);
        if self.messages == Messages::Full && outcome.evaluated.is_some() {
            // rpm says "error", and goes on.
            for message in &mut outcome.messages {
                if message.severity == Severity::Error {
                    message.severity = Severity::Warning;
                }
            }
        }
        let source = match outcome.messages.is_empty() {
            true => String::new(),
            false => source.into_owned(),
        };
        self.answer(file, source, outcome)
    }

    /// For a file whose evaluation does not end.
    fn left_behind(&self, file: &File) -> io::Result<Answer> {
        self.answer(file, String::new(), Outcome::left_behind(&file.shown))
    }

    fn answer(&self, file: &File, source: String, outcome: Outcome) -> io::Result<Answer> {
        let mut answer = Answer {
            path: file.shown.clone(),
            name: file.path.to_string_lossy().into_owned(),
            source,
            outcome,
            json: None,
        };
        if self.wants_json {
            // Here, where all cores do it: it takes as long as reading the SPEC.
            answer.json = Some(serde_json::to_string(&answer.shown())?);
        }
        Ok(answer)
    }
}

/// How many SPECs are read at once if nobody says it.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn surroundings(
    context: &Context<'_>,
    how: &How,
    folder: &Path,
    readable: Vec<PathBuf>,
    directory: RootPath,
) -> Result<Arc<Surroundings>, Failure> {
    let in_dir = |path: &PathBuf| context.directory.join(path);
    let arch = context.arch();
    let wrong = |error: world::Error| {
        let failure = Failure::because(Class::Input, "commands in macros cannot be answered", &error);
        failure.hint("`--shell facts` needs no root; `--cache-dir` says where Keel may write")
    };
    let facts = match how.facts.as_deref() {
        Some(name) if Facts::profiles().iter().any(|profile| profile == name) => Facts::profile(name, arch),
        Some(name) if Path::new(name).exists() || context.directory.join(name).exists() => {
            let file = fs_err::read_to_string(context.directory.join(name))?;
            Facts::parse(&file, name, arch)
        }
        Some(name) => Facts::profile(name, arch),
        None => match Distribution::of(folder) {
            Some(Distribution::AzureLinux3) => Facts::profile("azurelinux-3", arch),
            Some(Distribution::AzureLinux4) => Facts::profile("azurelinux-4", arch),
            None => Facts::profile("plain", arch),
        },
    };
    let policy = match how.shell {
        Shell::Deny => Policy::Deny,
        Shell::Facts => Policy::Facts,
        Shell::Sandbox => Policy::Sandbox,
    };
    let root = match (&how.root, policy) {
        (Some(root), _) => Root::Folder(in_dir(root)),
        (None, Policy::Sandbox) => Root::Host {
            cache: context.cache_dir()?.join("spec"),
        },
        (None, _) => Root::Nothing,
    };
    Surroundings::new(world::Options {
        policy,
        root,
        facts: facts.map_err(wrong)?,
        record: how.record.as_ref().map(in_dir),
        replay: how.replay.as_ref().map(in_dir),
        readable,
        directory,
        processors: cores(),
        now: i64::try_from(context.now().0).unwrap_or(0),
        interrupt: context.interrupt.clone(),
        ..world::Options::default()
    })
    .map_err(wrong)
}

/// For what to build: `--target`, or else the `--arch` of every command.
pub fn target(context: &Context<'_>, how: &How) -> Result<Target, Failure> {
    match &how.target {
        Some(target) => Ok(target.clone()),
        None => {
            let arch = context.arch().rpm();
            arch.parse()
                .map_err(|error| Failure::input(format!("{arch} is no target: {error}")))
        }
    }
}

/// The sources' folder, if it was named and is the same for all SPECs.
fn source_folder(environment: &Environment) -> Result<Option<PathBuf>, Failure> {
    let nowhere = Surroundings::new(world::Options {
        policy: Policy::Deny,
        ..world::Options::default()
    });
    let nowhere = nowhere.map_err(|error| Failure::because(Class::Bug, "there is no empty world", &error))?;
    let world = Arc::new(nowhere.of_spec("_sourcedir"));
    let table = environment.table.clone();
    let mut engine = Engine::new(table, environment.behaviour, world, Limits::default());
    let folder = engine.expand("%{_sourcedir}").ok().map(PathBuf::from);
    Ok(folder.filter(|folder| folder.is_absolute() && folder.is_dir()))
}

/// The folders of the SPECs and of files that were named; few of them.
fn readable(context: &Context<'_>, how: &How, files: &[File]) -> Vec<PathBuf> {
    let folders = files.iter().filter_map(|file| file.path.parent());
    let folders = folders.filter(|folder| folder.is_dir()).map(Path::to_owned);
    let loaded = how.load.iter().map(|path| context.directory.join(path));
    let mut all: BTreeSet<PathBuf> = folders.collect();
    if all.len() > FOLDERS
        && let Some(first) = all.first().cloned()
    {
        let common = all.iter().skip(1).fold(first, |common, path| {
            let shared = common.components().zip(path.components());
            let shared = shared.take_while(|(one, other)| one == other);
            shared.map(|(component, _)| component).collect()
        });
        all = BTreeSet::from([common]);
    }
    all.extend(loaded);
    // The whole machine is never to be seen.
    all.retain(|path| path.parent().is_some());
    all.into_iter().collect()
}

/// What came of one SPEC.
pub struct Answer {
    /// The file, as it was named.
    pub path: String,
    /// What messages call it.
    name: String,
    /// Its text, if there is something to say of it.
    source: String,
    /// What it says.
    pub outcome: Outcome,
    /// The line of `keel spec eval`, if that was asked for.
    pub json: Option<String>,
}

/// One line of `keel spec eval`.
#[derive(Serialize)]
pub struct Shown<'a> {
    spec: &'a str,
    #[serde(flatten)]
    evaluated: Option<&'a Evaluated>,
    error: Option<&'a str>,
    messages: Vec<told::Shown<'a>>,
}

impl Answer {
    /// Why there is no result.
    fn error(&self) -> Option<&str> {
        if self.outcome.evaluated.is_some() {
            return None;
        }
        let mut messages = self.outcome.messages.iter();
        let first = messages.find(|message| message.severity == Severity::Error);
        Some(first.map_or("it cannot be read", |message| &message.text))
    }

    /// The text that messages are about.
    fn source(&self) -> Source<'_> {
        Source::new(
            &self.name,
            Path::new(&self.path),
            &self.source,
            &self.outcome.files,
        )
    }

    /// As `keel spec eval` prints it.
    pub fn shown(&self) -> Shown<'_> {
        let source = self.source();
        let messages = self.outcome.messages.iter();
        let messages = messages.map(|message| told::Shown::new(message, &source));
        Shown {
            spec: &self.path,
            evaluated: self.outcome.evaluated.as_ref(),
            error: self.error(),
            messages: messages.collect(),
        }
    }
}

/// What was said while macros were read: not much of it, for there may be thousands of macros.
fn say_some(context: &Context<'_>, messages: &[Message]) {
    const ENOUGH: usize = 3;
    let shown = if context.global.verbose {
        messages.len()
    } else {
        ENOUGH
    };
    for message in messages.iter().take(shown) {
        say(context, None, message);
    }
    let rest = messages.len().saturating_sub(shown);
    if rest > 0 {
        let text = format!("{rest} more about macro files; --verbose shows them");
        context.terminal.warning(&text);
    }
}

/// Evaluates all, on all cores, and hands the answers over in the order of the files.
pub fn each(
    context: &Context<'_>,
    macros: &Arc<Macros>,
    files: &[File],
    with: &mut dyn FnMut(usize, &Answer) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut failed: Vec<String> = Vec::new();
    let (workers, evaluated) = (Arc::clone(macros), files.to_owned());
    parallel::each(
        files.len(),
        &parallel::How::new(macros.jobs, &context.interrupt),
        move |index| workers.evaluate(&evaluated[index]),
        |index| macros.left_behind(&files[index]),
        |index, answer: io::Result<Answer>| {
            let answer = answer?;
            let shown = (files.len() > 1).then_some(answer.path.as_str());
            let messages = &answer.outcome.messages;
            match macros.messages {
                Messages::Full => told::all(context, &answer.source(), messages),
                Messages::Rpm => messages.iter().for_each(|message| say(context, shown, message)),
            }
            if answer.outcome.evaluated.is_none() {
                failed.push(answer.path.clone());
            }
            with(index, &answer)
        },
    )?;
    context.interrupt.check()?;
    macros.finish()?;
    if failed.is_empty() {
        return Ok(());
    }
    const SHOWN: usize = 20;
    let total = files.len();
    let failure = Failure::new(
        Class::Failed,
        format!("{} of {total} SPECs could not be read", failed.len()),
    );
    if total == 1 {
        return Err(failure);
    }
    let more = failed.len().saturating_sub(SHOWN);
    failed.truncate(SHOWN);
    let more = if more > 0 {
        format!(", and {more} more")
    } else {
        String::new()
    };
    Err(failure.hint(format!("these: {}{more}", failed.join(", "))))
}
