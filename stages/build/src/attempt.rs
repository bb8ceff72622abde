//! One run of rpmbuild in a root: for packages, or for what `%generate_buildrequires` prints.

use std::{path::Path, time::Instant};

use keel_artefact::{ComponentName, Dependency, Event, Sha256};
use keel_host::{
    disorderfs::Disordered,
    rpmbuild::{self, What},
};
use keel_plan::Job;
use keel_sandbox::{Exit, Sandbox};
use keel_store::TempDir;

use crate::{
    BuiltPackage, Error, Failure,
    built::{self, Unchecked},
    checked,
    compare::{Order, Surroundings},
    folders::{self, Folders, tail},
    job::{Turn, Workshop},
    kept::{self, Place},
    record::Since,
    root::Root,
};

/// Requirements that one section may print. The largest programs in Rust have a thousand.
const MOST_GENERATED: usize = 20_000;

/// How one run ended, and where it was.
struct Ran {
    /// Taken away before the folders below are.
    _shown: Option<Disordered>,
    exit: Exit,
    /// The last phase that began, and whether `%check` was among them.
    phase: String,
    checked: Option<bool>,
    sandbox: Sandbox,
    bench: TempDir,
    folders: Folders,
}

impl Ran {
    fn log(&self) -> std::path::PathBuf {
        self.bench.path().join("log")
    }
}

impl Workshop<'_> {
    /// Runs rpmbuild in the root, and keeps what it made.
    pub(crate) fn make(
        &self,
        job: &Job,
        root: &Root,
        turn: &Turn,
        surroundings: &Surroundings,
        key: &Sha256,
    ) -> Result<Unchecked, Error> {
        let request = self.request(job, turn.cores, surroundings);
        let started = Instant::now();
        let ran = self.run_rpmbuild(job, root, turn, surroundings, &request)?;
        if !ran.exit.success() {
            return Err(self.failed(job, turn, &request, ran, key)?);
        }
        let mut rpms = Vec::new();
        for file in ran.folders.packages()? {
            rpms.push(self.store.put_file(&file)?);
        }
        Ok(Unchecked {
            format: built::FORMAT_UNCHECKED,
            rpms,
            trace: self.store.put_bytes(&ran.folders.trace()?)?,
            log: self.store.put_file(&ran.log())?,
            wall: started.elapsed(),
            cpu: ran.exit.usage.user + ran.exit.usage.system,
            memory: ran.exit.usage.peak_memory,
            checked: ran.checked,
        })
    }

    /// What `%generate_buildrequires` prints in a root of these packages, besides what the SPEC says itself.
    pub(crate) fn generate(
        &self,
        job: &Job,
        packages: Vec<BuiltPackage>,
        turn: &Turn,
        key: &Sha256,
    ) -> Result<Vec<Dependency>, Error> {
        let root = Root::compose(self, job, packages)?;
        let surroundings = Surroundings::default();
        let request = rpmbuild::Request {
            what: What::Generated,
            ..self.request(job, turn.cores, &surroundings)
        };
        let ran = self.run_rpmbuild(job, &root, turn, &surroundings, &request)?;
        let made = ran.folders.packages()?;
        let (keel_sandbox::Status::Code(rpmbuild::GENERATED), [made]) = (ran.exit.status, made.as_slice())
        else {
            return Err(self.failed(job, turn, &request, ran, key)?);
        };
        let said = keel_rpm::read(made)?.requires;
        let is_static = |requirement: &Dependency| {
            let mut known = job.recipe.build_requires.iter();
            known.any(|known| known.dependency == *requirement)
        };
        let mut generated: Vec<Dependency> = said
            .into_iter()
            .filter(|requirement| !requirement.is_rpmlib() && !is_static(requirement))
            .collect();
        generated.sort_by_cached_key(Dependency::to_string);
        generated.dedup();
        if generated.len() > MOST_GENERATED {
            return Err(Error::TooMany {
                count: generated.len(),
                most: MOST_GENERATED,
            });
        }
        Ok(generated)
    }

    fn run_rpmbuild(
        &self,
        job: &Job,
        root: &Root,
        turn: &Turn,
        surroundings: &Surroundings,
        request: &rpmbuild::Request<'_>,
    ) -> Result<Ran, Error> {
        let bench = self.store.temp_dir(&format!("build-{}", job.component))?;
        let folders = Folders::lay_out(self.store, &job.recipe, &job.sources, bench.path())?;
        let id = format!("build:{}", job.component);
        let mut sandbox = folders.in_sandbox(root.sandbox(), turn.nice);
        let shown = match surroundings.other {
            Some(Order::Disorderfs) => Some(folders.in_disorder(&mut sandbox)?),
            Some(Order::Memory) => {
                folders::in_memory(&mut sandbox);
                None
            }
            Some(Order::Same) | None => None,
        };
        let (mut phase, mut checked) = ("%prep".to_owned(), None);
        let mut on_phase = |name: &str| {
            phase = name.to_owned();
            checked = Some(checked::heard(checked.unwrap_or(false), name));
            self.sink.event(Event::Message { id: &id, text: name });
        };
        let log = bench.path().join("log");
        let exit = rpmbuild::run(&sandbox, request, &log, &mut on_phase, self.interrupt)?;
        self.interrupt.check()?;
        Ok(Ran {
            _shown: shown,
            exit,
            phase,
            checked,
            sandbox,
            bench,
            folders,
        })
    }

    /// What there is to say of a run that failed. Its root is kept, if that is wanted.
    fn failed(
        &self,
        job: &Job,
        turn: &Turn,
        request: &rpmbuild::Request<'_>,
        ran: Ran,
        key: &Sha256,
    ) -> Result<Error, Error> {
        let again = request.other_surroundings;
        let name = match (again, turn.runs_again()) {
            (true, _) => format!("{}.log.again", job.component),
            (false, true) => format!("{}.log.{}", job.component, turn.failures + 1),
            (false, false) => format!("{}.log", job.component),
        };
        let how = ran.exit.status.to_string();
        let mut failure = self.failure(&job.component, ran.phase.clone(), how, &ran.log(), &name)?;
        if !again {
            kept::failed(self.store, self.output, &job.component, key)?;
        }
        if self.keep_roots && !again {
            let sandbox = rpmbuild::surrounded(&ran.sandbox, request);
            let place = Place::new(sandbox, rpmbuild::command(request), Some((ran.phase, *key)));
            failure.kept = self.keep(place, ran.bench, &job.component);
        }
        Ok(Error::Failed(Box::new(failure)))
    }

    /// Keeps a build root; that it cannot be kept is told, but hides no failure.
    fn keep(&self, place: Place, bench: TempDir, component: &ComponentName) -> bool {
        let why = match place.keep(self.store, bench, &kept::name(self.output, component)) {
            Ok(true) => return true,
            Ok(false) => "somebody is in the one before".to_owned(),
            Err(error) => error.to_string(),
        };
        let text = format!("the build root of `{component}` is not kept: {why}");
        self.sink.event(Event::Warning { text: &text });
        false
    }

    pub(crate) fn request<'j>(
        &self,
        job: &'j Job,
        cores: usize,
        surroundings: &Surroundings,
    ) -> rpmbuild::Request<'j> {
        rpmbuild::Request {
            spec: format!("/build/SPECS/{}.spec", job.recipe.name),
            arch: job.arch,
            defines: &job.recipe.defines,
            undefines: &job.recipe.undefines,
            what: What::Packages {
                generates: job.recipe.generates.is_some(),
            },
            skip_check: job.skip_check,
            cores,
            source_date_epoch: job.recipe.source_date_epoch,
            other_surroundings: surroundings.other.is_some(),
        }
    }

    pub(crate) fn failure(
        &self,
        component: &ComponentName,
        phase: String,
        how: String,
        log: &Path,
        name: &str,
    ) -> Result<Failure, Error> {
        let logs = self.output.join("logs");
        let kept = logs.join(name);
        fs_err::create_dir_all(logs)?;
        fs_err::copy(log, &kept)?;
        let text = tail(log)?;
        let text = String::from_utf8_lossy(&text);
        Ok(Failure {
            component: component.clone(),
            phase: crate::log::phase(&text, phase),
            how,
            lines: crate::log::lines_that_matter(&text),
            log: kept,
            kept: false,
            since: Since::Never,
        })
    }
}
