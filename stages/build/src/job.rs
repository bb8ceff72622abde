//! One job: compose its build root, run rpmbuild in it, check and keep what it made.

mod aside;

use std::{
    cell::Cell,
    path::{Path, PathBuf},
    sync::Arc,
};

use keel_artefact::{Dependency, Event, Interrupt, Interrupted, Sha256, Sink};
use keel_host::stage0::Stage0;
use keel_inspect::{Facts, Findings, Package, Policy, Severity};
use keel_plan::Job;
use keel_store::{Claim, Store};

use crate::{
    Built, BuiltPackage, Error, Foreign,
    built::{self, Output, Unchecked},
    checks,
    compare::Surroundings,
    fingerprint::{self, Input, Own},
    generate::{self, Ground, Settled},
    kept,
    names::{Names, Raised},
    packages,
    record::{self, Record, Since},
    root::Root,
    scriptlets::Seen,
    set,
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
    /// What is published under which name.
    pub names: Names<'a>,
    /// What comes from a base's repositories.
    pub foreign: Foreign<'a>,
    /// Capabilities that stage0 lends.
    pub is_lent: &'a (dyn Fn(&str) -> bool + Sync),
    /// What jobs of the run made, for the roots of others.
    pub index: &'a crate::closure::Index,
    /// Foreign packages that cannot be installed. None when a run begins.
    pub refused: set::Refused,
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
    /// The job that was finished in place of the planned one, if its name would have lied.
    pub raised: Option<Arc<Raised>>,
}

impl Finished {
    /// The job that was finished: the planned one, or that with a higher rebuild counter.
    pub fn job<'a>(&'a self, planned: &'a Job) -> &'a Job {
        self.raised.as_ref().map_or(planned, |raised| &raised.job)
    }
}

/// How a failed build is compared with the last one.
type Compare = fn(Option<&Record>, &Job, &[Input]) -> Since;

/// A result, of this run or an earlier one.
struct Had {
    built: Built,
    inputs: Vec<Input>,
    was_cached: bool,
}

impl Workshop<'_> {
    /// Builds `job`, or finds that the same was built before. `before` are the results of [`Job::after`].
    /// `begins` is called in the first case. Where published names would stand for other bytes, it is done again with a
    /// higher rebuild counter.
    pub fn finish(
        &self,
        job: &Job,
        before: &[Arc<Built>],
        turn: &Turn,
        begins: &dyn Fn(),
    ) -> Result<Finished, Error> {
        let begun = Cell::new(false);
        let begins = || {
            if !begun.replace(true) {
                begins();
            }
        };
        let first = self.have(job, before, turn, &begins)?;
        let planned = record::own(&first.inputs);
        let raised = (self.names.instead(job, &first.built, self.sink)?).map(Arc::new);
        let had = match &raised {
            None => first,
            Some(raised) => {
                let again = self.have(&raised.job, before, turn, &begins)?;
                let was_cached = first.was_cached && again.was_cached;
                Had { was_cached, ..again }
            }
        };
        let job = raised.as_ref().map_or(job, |raised| &raised.job);
        record::keep(
            self.store,
            self.distribution,
            job,
            &planned,
            had.inputs,
            &had.built,
        )?;
        // What may be there is of a build that failed.
        self.store.drop_kept(&kept::name(self.output, &job.component));
        Ok(Finished {
            findings: Arc::new(self.inspect(job, &had.built)?),
            built: Arc::new(had.built),
            was_cached: had.was_cached,
            failures: turn.failures,
            raised,
        })
    }

    /// The result of just this job.
    fn have(&self, job: &Job, before: &[Arc<Built>], turn: &Turn, begins: &dyn Fn()) -> Result<Had, Error> {
        self.interrupt.check()?;
        let Settled {
            packages,
            scriptlets,
            generated,
        } = self.settle(job, before, turn, begins)?;
        let inputs = fingerprint::inputs(job, &self.stage0.digest, &packages, scriptlets, &generated);
        let key = fingerprint::of(&inputs);
        let cached = |built| Had {
            built,
            inputs: inputs.clone(),
            was_cached: true,
        };
        if let Some(built) = recorded(self.store, &key)? {
            return Ok(cached(built));
        }
        let _claim = self.claim(job, &key)?;
        // By another run, meanwhile.
        if let Some(built) = recorded(self.store, &key)? {
            return Ok(cached(built));
        }
        begins();
        let root = Root::compose(self, job, packages)?;
        let unchecked = match self.unchecked(&key)? {
            Some(unchecked) => unchecked,
            None => {
                let made = self.make(job, &root, turn, &Surroundings::default(), &key);
                let made = made.map_err(|error| self.compared(job, &inputs, Since::of, error))?;
                self.store.record("rpmbuild", &key, &made)?;
                made
            }
        };
        let built = self.check(job, key, before, root, unchecked, generated)?;
        self.store.record("build", &key, &built)?;
        Ok(Had {
            built,
            inputs,
            was_cached: false,
        })
    }

    /// Waits while another run builds the same.
    fn claim(&self, job: &Job, key: &Sha256) -> Result<Claim, Error> {
        self.claim_work(key, &format!("builds `{}`", job.component))
    }

    /// Waits while another run, or another job of this one, does the work of this key: what it does then is told.
    pub(crate) fn claim_work(&self, key: &Sha256, does: &str) -> Result<Claim, Error> {
        let mut waits = |owner: Option<u32>| {
            let who = match owner {
                Some(process) if process == std::process::id() => "another job".to_owned(),
                Some(process) => format!("another keel (process {process})"),
                None => "another keel".to_owned(),
            };
            let text = format!("{who} {does}: waiting for it");
            self.sink.event(Event::Note { text: &text });
        };
        let claim = self.store.claim(key, self.interrupt, &mut waits)?;
        claim.ok_or_else(|| Interrupted.into())
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
        let findings =
            keel_inspect::check::kept(self.store, component, &digests, self.policy, read, self.interrupt)?;
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
            index: self.index,
            scriptlets: &|packages| self.scriptlets(job, packages),
            interrupt: self.interrupt,
        };
        let settled = ground.settle(&mut |packages, key| {
            let _claim = self.claim(job, key)?;
            // By another run, meanwhile.
            if let Some(printed) = generate::printed(self.store, key)? {
                return Ok(Some(printed));
            }
            begins();
            // A root of a round is none that the last build was made in: only the job's own inputs can be compared.
            let own = fingerprint::own_inputs(&Own::from(job), &self.stage0.digest);
            let printed = self.generate(job, packages.to_vec(), turn, key);
            let printed = printed.map_err(|error| self.compared(job, &own, Since::of_own, error))?;
            generate::keep(self.store, key, &printed)?;
            Ok(Some(printed))
        })?;
        Ok(settled.expect("every root is asked about"))
    }

    /// What scriptlets make of a root of these packages. They run now, unless they did before.
    fn scriptlets(&self, job: &Job, packages: &mut [BuiltPackage]) -> Result<Seen, Error> {
        self.foreign
            .note_scriptlets(self.store, packages, self.interrupt)?;
        let packages = &*packages;
        let known = || set::seen(self.store, &self.stage0.digest, job.bootstrap_libc, packages);
        match known()? {
            Seen::NotRun => {
                Root::compose(self, job, packages.to_vec())?;
                Ok(known()?)
            }
            known => Ok(known),
        }
    }

    /// A failure with what differs from the last build that went well.
    fn compared(&self, job: &Job, inputs: &[Input], since: Compare, error: Error) -> Error {
        match (
            error,
            record::last(self.store, self.distribution, job.arch, &job.component),
        ) {
            (Error::Failed(mut failure), Ok(last)) => {
                failure.since = since(last.as_ref(), job, inputs);
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
                    scriptlets: !package.info.scripts.is_empty(),
                    nevra: package.info.nevra,
                    component: job.component.clone(),
                    kind,
                    size: fs_err::metadata(&package.file)?.len(),
                    rpm,
                    epoch: job.recipe.source_date_epoch,
                },
                provides: package.info.provides,
                requires: package.info.requires,
                conflicts: package.info.conflicts,
                obsoletes: package.info.obsoletes,
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
            scriptlets: root.changes,
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
