//! One job: compose its build root, run rpmbuild in it, check and keep what it made.

use std::{
    cell::Cell,
    path::{Path, PathBuf},
    sync::Arc,
};

use keel_artefact::{Dependency, Interrupt, Sha256, Sink};
use keel_host::{
    rpmbuild::{self, What},
    stage0::Stage0,
};
use keel_inspect::{Facts, Findings, Package, Policy, Severity};
use keel_plan::Job;
use keel_source::SourceSet;
use keel_spec::Recipe;
use keel_store::{Store, TempDir};

use crate::{
    Built, BuiltPackage, Error,
    built::{self, Output, Unchecked},
    checks,
    compare::Surroundings,
    fingerprint::{self, Input},
    folders::Folders,
    generate::{Ground, Settled},
    kept::{self, Place},
    packages,
    record::{self, Since},
    root::{self, Root},
};

/// What all jobs of a run share.
pub struct Workshop<'a> {
    /// Where results are kept.
    pub store: &'a Store,
    /// The name of what is built: last builds are remembered by it.
    pub distribution: &'a str,
    /// Lends compiler and tools.
    pub stage0: &'a Stage0,
    /// Macro files of the distribution, in reading order.
    pub macros: &'a [PathBuf],
    /// What the tree says about checks of packages.
    pub policy: &'a Policy,
    /// Capabilities that stage0 lends.
    pub is_lent: &'a (dyn Fn(&str) -> bool + Sync),
    /// The project's output folder. Logs of failed builds are in `logs` there.
    pub output: &'a Path,
    /// How many processes a build may start at once.
    pub cores: usize,
    /// Keep the build root of a build that fails, for [`Place::kept`].
    pub keep_roots: bool,
    /// Told of progress.
    pub sink: &'a dyn Sink,
    /// Ends everything.
    pub interrupt: &'a Interrupt,
}

/// How a job runs, this time. None of it may reach a package.
#[derive(Debug, Clone)]
pub struct Turn {
    /// Added to the niceness.
    pub nice: i32,
    /// How many processes it may start at once.
    pub cores: usize,
    /// How often it has failed before, in this run.
    pub failures: usize,
    /// How often it may run again after a failure.
    pub retries: usize,
}

impl Turn {
    /// The only one.
    pub fn alone(cores: usize) -> Self {
        Self {
            nice: 0,
            cores,
            failures: 0,
            retries: 0,
        }
    }

    /// Does it run again, if it fails now?
    pub fn runs_again(&self) -> bool {
        self.failures < self.retries
    }
}

/// A finished job, and whether it had to run.
#[derive(Debug, Clone)]
pub struct Finished {
    /// What it made.
    pub built: Arc<Built>,
    /// What rules about its packages find: no errors but those that the tree explains.
    pub findings: Arc<Findings>,
    /// The store had it.
    pub was_cached: bool,
    /// How often it failed in this run before.
    pub failures: usize,
}

impl Workshop<'_> {
    /// Builds `job`, or finds that the same was built before. `before` are the results of [`Job::after`].
    /// `begins` is called in the first case.
    pub fn finish(
        &self,
        job: &Job,
        before: &[Arc<Built>],
        turn: &Turn,
        begins: &dyn Fn(),
    ) -> Result<Finished, Error> {
        self.interrupt.check()?;
        let is_told = Cell::new(false);
        let begins = || {
            if !is_told.replace(true) {
                begins();
            }
        };
        let Settled { packages, generated } = self.settle(job, before, turn, &begins)?;
        let inputs = fingerprint::inputs(job, &self.stage0.digest, &packages, &generated);
        let key = fingerprint::of(&inputs);
        let kept = kept::name(self.output, &job.component);
        if let Some(built) = recorded(self.store, &key)? {
            self.store.drop_kept(&kept);
            record::keep(self.store, self.distribution, job, inputs, &built)?;
            return Ok(Finished {
                findings: Arc::new(self.inspect(job, &built)?),
                built: Arc::new(built),
                was_cached: true,
                failures: turn.failures,
            });
        }
        begins();
        let root = Root::compose(self, job, packages)?;
        let unchecked = match self.unchecked(&key)? {
            Some(unchecked) => unchecked,
            None => {
                let made = self.make(job, &root, turn, &Surroundings::default(), &key);
                let made = made.map_err(|error| self.compared(job, &inputs, error))?;
                self.store.record("rpmbuild", &key, &made)?;
                made
            }
        };
        let built = self.check(job, key, before, root, unchecked, generated)?;
        self.store.record("build", &key, &built)?;
        record::keep(self.store, self.distribution, job, inputs, &built)?;
        // What may be there is of a build that failed.
        self.store.drop_kept(&kept);
        Ok(Finished {
            findings: Arc::new(self.inspect(job, &built)?),
            built: Arc::new(built),
            was_cached: false,
            failures: turn.failures,
        })
    }

    /// Holds the packages against the rules of [`keel_inspect`]. What is found is kept under the digests of the packages, the rules and
    /// the policy: other rules check again, and build nothing.
    fn inspect(&self, job: &Job, built: &Built) -> Result<Findings, Error> {
        let digests: Vec<Sha256> = built.outputs.iter().map(|output| output.package.rpm).collect();
        let component = job.component.as_str();
        let read = || {
            let facts = |digest: &Sha256| {
                let facts = Facts::kept(self.store, digest, &self.store.object(digest)?)?;
                let component = component.to_owned();
                Ok(Package { component, facts })
            };
            digests.iter().map(facts).collect()
        };
        let findings = keel_inspect::check::kept(self.store, component, &digests, self.policy, read)?;
        if findings.count(Severity::Error) > 0 {
            return Err(Error::Refused(findings.of(Severity::Error).cloned().collect()));
        }
        Ok(findings)
    }

    /// The job's root, with what its SPEC's own section asks for.
    fn settle(
        &self,
        job: &Job,
        before: &[Arc<Built>],
        turn: &Turn,
        begins: &dyn Fn(),
    ) -> Result<Settled, Error> {
        let ground = Ground {
            store: self.store,
            stage0: &self.stage0.digest,
            is_lent: self.is_lent,
            job,
            before,
        };
        let settled = ground.settle(&mut |packages| {
            begins();
            let inputs = fingerprint::inputs(job, &self.stage0.digest, packages, &[]);
            let printed = self.generate(job, packages.to_vec(), turn, &fingerprint::of(&inputs));
            printed
                .map(Some)
                .map_err(|error| self.compared(job, &inputs, error))
        })?;
        Ok(settled.expect("every root is asked about"))
    }

    /// A failure with what differs from the last build that went well.
    fn compared(&self, job: &Job, inputs: &[Input], error: Error) -> Error {
        match (
            error,
            record::last(self.store, self.distribution, job.arch, &job.component),
        ) {
            (Error::Failed(mut failure), Ok(last)) => {
                failure.since = Since::of(last.as_ref(), inputs);
                Error::Failed(failure)
            }
            // That the store cannot be read is told by whoever needs it.
            (error, _) => error,
        }
    }

    /// What rpmbuild made of the same inputs before, if the store still has all of it.
    fn unchecked(&self, key: &Sha256) -> Result<Option<Unchecked>, Error> {
        let made: Option<Unchecked> = self.store.action("rpmbuild", key)?;
        let is_whole = |made: &Unchecked| {
            let mut objects = made.rpms.iter().chain([&made.trace, &made.log]);
            made.format == built::FORMAT_UNCHECKED && objects.all(|object| self.store.contains(object))
        };
        Ok(made.filter(is_whole))
    }

    /// The root in which `job` would be built, with its SPEC and sources in place and nothing run. It lasts as long as the
    /// folder that is given with it.
    pub fn place(&self, job: &Job, before: &[Arc<Built>]) -> Result<(Place, TempDir), Error> {
        self.interrupt.check()?;
        let turn = Turn::alone(self.cores);
        let Settled { packages, .. } = self.settle(job, before, &turn, &|| ())?;
        let root = Root::compose(self, job, packages)?;
        let bench = self.store.temp_dir(&format!("shell-{}", job.component))?;
        let folders = Folders::lay_out(self.store, &job.recipe, &job.sources, bench.path())?;
        let request = self.request(job, self.cores, &Surroundings::default());
        let sandbox = rpmbuild::surrounded(&folders.in_sandbox(root.sandbox(), 0), &request);
        Ok((Place::new(sandbox, rpmbuild::command(&request), None), bench))
    }

    /// Makes a recipe's source package, as a build makes it; a copy of it is in `to`. Gives the file.
    pub fn source_package(&self, recipe: &Recipe, sources: &SourceSet, to: &Path) -> Result<PathBuf, Error> {
        self.interrupt.check()?;
        let bench = self.store.temp_dir(&format!("srpm-{}", recipe.component))?;
        let folders = Folders::lay_out(self.store, recipe, sources, bench.path())?;
        let request = rpmbuild::Request {
            spec: format!("/build/SPECS/{}.spec", recipe.name),
            arch: recipe.arch,
            defines: &recipe.defines,
            undefines: &recipe.undefines,
            what: What::Source,
            skip_check: false,
            cores: self.cores,
            source_date_epoch: recipe.source_date_epoch,
            other_surroundings: false,
        };
        let sandbox = folders.in_sandbox(root::of_tools(self, &recipe.macros_digest)?, 0);
        let log = bench.path().join("log");
        let exit = rpmbuild::run(&sandbox, &request, &log, &mut |_| (), self.interrupt)?;
        self.interrupt.check()?;
        if !exit.success() {
            let how = exit.status.to_string();
            let name = format!("{}.log", recipe.component);
            let failure = self.failure(&recipe.component, "-bs".to_owned(), how, &log, &name)?;
            return Err(Error::Failed(Box::new(failure)));
        }
        let made = folders.packages()?;
        let [made] = made.as_slice() else {
            return Err(std::io::Error::other("rpmbuild made not one source package").into());
        };
        fs_err::create_dir_all(to)?;
        let file = to.join(made.file_name().unwrap_or_default());
        let temporary = to.join(format!(".{}.new", recipe.component));
        fs_err::copy(made, &temporary)?;
        fs_err::rename(&temporary, &file)?;
        Ok(file)
    }

    /// Checks what rpmbuild made. Refused packages stay in the store: mending a check does not build them again.
    pub(crate) fn check(
        &self,
        job: &Job,
        key: Sha256,
        before: &[Arc<Built>],
        root: Root,
        made: Unchecked,
        generated: Vec<Dependency>,
    ) -> Result<Built, Error> {
        let examine = |rpm: &Sha256| checks::examine(&self.store.object(rpm)?);
        let packages = made.rpms.iter().map(examine).collect::<Result<Vec<_>, _>>()?;
        checks::declared(job, &packages)?;
        checks::nothing_borrowed(&packages, &self.stage0.manifest)?;
        if !job.borrowed_libc {
            checks::libraries(&packages, before)?;
        }
        let links = checks::links(&self.store.read(&made.trace)?, &root.trees, &packages, job)?;
        let mut outputs = Vec::new();
        for (package, rpm) in packages.into_iter().zip(made.rpms) {
            let kind = package.kind();
            let files = package.info.files.iter().map(|file| file.path.to_string());
            outputs.push(Output {
                files: files.filter(|path| built::is_primary(path)).collect(),
                package: BuiltPackage {
                    nevra: package.info.nevra,
                    component: job.component.clone(),
                    kind,
                    size: fs_err::metadata(&package.file)?.len(),
                    rpm,
                    epoch: job.recipe.source_date_epoch,
                },
                provides: package.info.provides,
                requires: package.info.requires,
            });
        }
        outputs.sort_by_key(|output| output.package.nevra.to_string());
        Ok(Built {
            format: built::FORMAT,
            fingerprint: key,
            outputs,
            root: root.packages,
            log: made.log,
            wall: made.wall,
            cpu: made.cpu,
            memory: made.memory,
            links,
            generated,
            checked: made.checked,
        })
    }
}

/// Is this met by stage0? Where Debian's libc may be shipped, libraries are too.
pub(crate) fn lends(is_lent: &dyn Fn(&str) -> bool, job: &Job, name: &str) -> bool {
    let is_library = name.contains(".so") || name.starts_with("rtld(");
    is_lent(name) || (job.borrowed_libc && is_library)
}

/// The recorded result, if all that it names is still in the store.
pub(crate) fn recorded(store: &Store, key: &Sha256) -> Result<Option<Built>, keel_store::Error> {
    let built: Option<Built> = store.action("build", key)?;
    let is_whole = |built: &Built| {
        built.format == built::FORMAT
            && built
                .outputs
                .iter()
                .all(|output| store.contains(&output.package.rpm))
    };
    Ok(built.filter(is_whole))
}

/// All packages of these results.
pub fn all_packages<'a>(results: impl Iterator<Item = &'a Built>) -> Vec<packages::BuiltPackage> {
    results
        .flat_map(|built| &built.outputs)
        .map(|output| output.package.clone())
        .collect()
}
