//! What is done with a job besides building it: a place for people to try it in, and its source package alone.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use keel_host::rpmbuild::{self, What};
use keel_plan::Job;
use keel_source::SourceSet;
use keel_spec::Recipe;
use keel_store::TempDir;

use super::{Turn, Workshop};
use crate::{
    Built, Error, Surroundings,
    folders::Folders,
    generate::Settled,
    kept::Place,
    root::{self, Root},
};

impl Workshop<'_> {
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
}
