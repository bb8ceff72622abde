//! One job: compose its build root, run rpmbuild in it, check and keep what it made.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use keel_artefact::{Event, Interrupt, Sha256, Sink};
use keel_host::{rpmbuild, stage0::Stage0};
use keel_plan::Job;
use keel_sandbox::{Bind, Limits};
use keel_store::{Store, TempDir};

use crate::{
    Built, BuiltPackage, Error, Failure,
    built::{self, Output},
    checks::{self, Examined},
    closure, fingerprint, packages,
    root::{self, Root},
};

/// What all jobs of a run share.
pub struct Workshop<'a> {
    /// Where results are kept.
    pub store: &'a Store,
    /// Lends compiler and tools.
    pub stage0: &'a Stage0,
    /// Macro files of the distribution, in reading order.
    pub macros: &'a [PathBuf],
    /// Capabilities that stage0 lends.
    pub is_lent: &'a (dyn Fn(&str) -> bool + Sync),
    /// Folder for logs of failed builds.
    pub logs: &'a Path,
    /// How many processes a build may start at once.
    pub cores: usize,
    /// Told of progress.
    pub sink: &'a dyn Sink,
    /// Ends everything.
    pub interrupt: &'a Interrupt,
}

/// In which surroundings a build runs. None of this may reach a package: [`Surroundings::other`] is the proof.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Everything is different: clock, host name, user name, locale, time zone, umask, number of cores.
    pub other: bool,
}

/// A finished job, and whether it had to run.
#[derive(Debug, Clone)]
pub struct Finished {
    /// What it made.
    pub built: Arc<Built>,
    /// The store had it.
    pub was_cached: bool,
}

impl Workshop<'_> {
    /// Builds `job`, or finds that the same was built before. `before` are the results of [`Job::after`].
    pub fn finish(&self, job: &Job, before: &[Arc<Built>], nice: i32) -> Result<Finished, Error> {
        self.interrupt.check()?;
        let packages =
            closure::close(&job.direct, before, &|name| self.lends(job, name)).map_err(Error::Unmet)?;
        let key = fingerprint::of(job, &self.stage0.digest, &packages);
        if let Some(built) = self.recorded(&key)? {
            return Ok(Finished {
                built: Arc::new(built),
                was_cached: true,
            });
        }
        let root = Root::compose(self, job, packages)?;
        let bench = self.store.temp_dir(&format!("build-{}", job.component))?;
        let made = self.make(job, before, &root, &bench, nice, &Surroundings::default())?;
        let built = self.keep(job, key, root.packages, made)?;
        self.store.record("build", &key, &built)?;
        Ok(Finished {
            built: Arc::new(built),
            was_cached: false,
        })
    }

    /// Builds `job` again, in other surroundings, and compares each package with what `built` has.
    pub fn compare(&self, job: &Job, before: &[Arc<Built>], built: &Built, kept: &Path) -> Result<(), Error> {
        let root = Root::compose(self, job, built.root.clone())?;
        let bench = self.store.temp_dir(&format!("again-{}", job.component))?;
        let made = self.make(job, before, &root, &bench, 0, &Surroundings { other: true })?;
        for package in &made.packages {
            let nevra = &package.info.nevra;
            let (second, _) = Sha256::of_file(&package.file)?;
            let first = built.outputs.iter().find(|output| output.package.nevra == *nevra);
            let Some(first) = first else {
                return Err(Error::Undeclared(nevra.clone()));
            };
            if first.package.rpm != second {
                fs_err::create_dir_all(kept.join("first"))?;
                fs_err::create_dir_all(kept.join("second"))?;
                let name = nevra.file_name();
                fs_err::copy(
                    self.store.object(&first.package.rpm)?,
                    kept.join("first").join(&name),
                )?;
                fs_err::copy(&package.file, kept.join("second").join(&name))?;
                let (package, first) = (nevra.clone(), first.package.rpm);
                return Err(Error::Differs {
                    package,
                    first,
                    second,
                    kept: kept.to_owned(),
                });
            }
        }
        Ok(())
    }

    /// Is this met by stage0? Where Debian's libc may be shipped, libraries are too.
    fn lends(&self, job: &Job, name: &str) -> bool {
        let is_library = name.contains(".so") || name.starts_with("rtld(");
        (self.is_lent)(name) || (job.borrowed_libc && is_library)
    }

    /// The recorded result, if all that it names is still in the store.
    fn recorded(&self, key: &Sha256) -> Result<Option<Built>, Error> {
        let built: Option<Built> = self.store.action("build", key)?;
        let is_whole = |built: &Built| {
            built.format == built::FORMAT
                && built
                    .outputs
                    .iter()
                    .all(|output| self.store.contains(&output.package.rpm))
        };
        Ok(built.filter(is_whole))
    }

    fn make(
        &self,
        job: &Job,
        before: &[Arc<Built>],
        root: &Root,
        bench: &TempDir,
        nice: i32,
        surroundings: &Surroundings,
    ) -> Result<Made, Error> {
        let folders = Folders::lay_out(self.store, job, bench.path())?;
        let id = format!("build:{}", job.component);
        let mut sandbox = root.sandbox();
        sandbox.binds.push(bind(&folders.build, "/build", true));
        sandbox
            .binds
            .push(bind(&folders.sources, "/build/SOURCES", false));
        sandbox.binds.push(bind(&folders.specs, "/build/SPECS", false));
        sandbox.limits = Limits {
            nice,
            wall: Some(Duration::from_secs(6 * 3600)),
            ..Limits::default()
        };
        let request = rpmbuild::Request {
            spec: format!("/build/SPECS/{}.spec", job.recipe.name),
            arch: job.arch,
            defines: &job.recipe.defines,
            undefines: &job.recipe.undefines,
            skip_check: job.skip_check,
            cores: if surroundings.other { 1 } else { self.cores },
            source_date_epoch: job.recipe.source_date_epoch,
            other_surroundings: surroundings.other,
        };
        let started = Instant::now();
        let mut phase = "%prep".to_owned();
        let mut on_phase = |name: &str| {
            phase = name.to_owned();
            self.sink.event(Event::Message { id: &id, text: name });
        };
        let log = bench.path().join("log");
        let exit = rpmbuild::run(&sandbox, &request, &log, &mut on_phase, self.interrupt)?;
        self.interrupt.check()?;
        if !exit.success() {
            return Err(self.failure(job, phase, exit.status.to_string(), &log)?);
        }
        let packages = folders.packages()?;
        let packages = packages
            .iter()
            .map(|file| checks::examine(file))
            .collect::<Result<Vec<_>, _>>()?;
        checks::declared(job, &packages)?;
        checks::nothing_borrowed(&packages, &self.stage0.manifest)?;
        if !job.borrowed_libc {
            checks::libraries(&packages, before)?;
        }
        let links = checks::links(&folders.trace, &root.trees, &packages, job)?;
        Ok(Made {
            packages,
            links,
            log,
            wall: started.elapsed(),
            cpu: exit.usage.user + exit.usage.system,
        })
    }

    fn keep(&self, job: &Job, key: Sha256, root: Vec<BuiltPackage>, made: Made) -> Result<Built, Error> {
        let log = self.store.put_file(&made.log)?;
        let mut outputs = Vec::new();
        for package in made.packages {
            let (rpm, size) = self.store.put_reader(fs_err::File::open(&package.file)?)?;
            let kind = package.kind();
            let files = package.info.files.iter().map(|file| file.path.to_string());
            outputs.push(Output {
                files: files.filter(|path| built::is_primary(path)).collect(),
                package: BuiltPackage {
                    nevra: package.info.nevra,
                    component: job.component.clone(),
                    kind,
                    rpm,
                    size,
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
            root,
            log,
            wall: made.wall,
            cpu: made.cpu,
            links: made.links,
        })
    }

    fn failure(&self, job: &Job, phase: String, how: String, log: &Path) -> Result<Error, Error> {
        let kept = self.logs.join(format!("{}.log", job.component));
        fs_err::create_dir_all(self.logs)?;
        fs_err::copy(log, &kept)?;
        let text = fs_err::read(log)?;
        let lines = crate::log::lines_that_matter(&String::from_utf8_lossy(&text));
        let component = job.component.clone();
        Ok(Error::Failed(Box::new(Failure {
            component,
            phase,
            how,
            lines,
            log: kept,
        })))
    }
}

/// What rpmbuild left.
struct Made {
    packages: Vec<Examined>,
    links: built::Links,
    log: PathBuf,
    wall: Duration,
    cpu: Duration,
}

/// The folders of one build on the host.
struct Folders {
    build: PathBuf,
    sources: PathBuf,
    specs: PathBuf,
    trace: PathBuf,
}

impl Folders {
    fn lay_out(store: &Store, job: &Job, bench: &Path) -> Result<Self, Error> {
        let new = Self {
            build: bench.join("build"),
            sources: bench.join("sources"),
            specs: bench.join("specs"),
            trace: bench.join("build/trace"),
        };
        for folder in ["BUILD", "BUILDROOT", "RPMS", "SRPMS", "SOURCES", "SPECS", "trace"] {
            fs_err::create_dir_all(new.build.join(folder))?;
        }
        fs_err::create_dir_all(&new.sources)?;
        fs_err::create_dir_all(&new.specs)?;
        let spec = fs_err::read(&job.recipe.spec_file)?;
        if Sha256::of(&spec) != job.recipe.spec_digest {
            return Err(Error::SpecChanged {
                path: job.recipe.spec_file.clone(),
            });
        }
        fs_err::write(new.specs.join(format!("{}.spec", job.recipe.name)), spec)?;
        for file in &job.sources.files {
            // Bound read-only, so that the object behind the link cannot be written.
            let (object, name) = (store.object(&file.digest)?, new.sources.join(&file.name));
            if fs_err::hard_link(&object, &name).is_err() {
                fs_err::copy(&object, &name)?;
            }
        }
        keel_sandbox::hand_over(&new.build)?;
        Ok(new)
    }

    /// All packages that rpmbuild wrote, in the order of their names.
    fn packages(&self) -> Result<Vec<PathBuf>, Error> {
        let mut found = Vec::new();
        let mut folders = vec![self.build.join("RPMS"), self.build.join("SRPMS")];
        while let Some(folder) = folders.pop() {
            for entry in fs_err::read_dir(folder)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    folders.push(entry.path());
                } else if entry.file_type()?.is_file()
                    && entry.path().extension().is_some_and(|end| end == "rpm")
                {
                    found.push(entry.path());
                }
            }
        }
        found.sort();
        Ok(found)
    }
}

fn bind(host: &Path, guest: &str, writable: bool) -> Bind {
    Bind {
        host: host.to_owned(),
        guest: root::path(guest),
        writable,
    }
}

/// All packages of these results.
pub fn all_packages<'a>(results: impl Iterator<Item = &'a Built>) -> Vec<packages::BuiltPackage> {
    results
        .flat_map(|built| &built.outputs)
        .map(|output| output.package.clone())
        .collect()
}
