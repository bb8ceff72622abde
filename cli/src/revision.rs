//! The project as it was at a revision of its repository.

use std::path::{Path, PathBuf};

use keel_config::Project;
use keel_store::temp::TempDir;

use crate::{
    context::Context,
    failure::{Class, Failure},
    pipeline,
};

/// A project at a time, and the folder of its whole repository.
pub struct Side {
    /// The project.
    pub project: Project,
    /// The folder.
    pub top: PathBuf,
}

/// The repository that the project is in. What was unpacked of it goes away with this.
pub struct History<'a> {
    context: &'a Context<'a>,
    scratch: TempDir,
    /// The project's main file.
    main: PathBuf,
    /// The repository's folder.
    top: PathBuf,
}

impl<'a> History<'a> {
    /// Finds it.
    pub fn open(context: &'a Context<'a>) -> Result<Self, Failure> {
        let main = keel_config::find(&context.directory)?;
        let root = main.parent().unwrap_or(Path::new("/"));
        let git = pipeline::git(&context.interrupt);
        let no_history =
            |error| Failure::because(Class::Input, "the project's history cannot be read", &error);
        let top = git.top(root).map_err(no_history)?;
        let scratch = context.store()?.temp_dir("revision")?;
        git.borrow(root, &scratch.path().join("repository"))
            .map_err(no_history)?;
        Ok(Self {
            context,
            scratch,
            main,
            top,
        })
    }

    /// The project as its files are now.
    pub fn now(&self) -> Result<Side, Failure> {
        Ok(Side {
            project: self.context.project()?,
            top: self.top.clone(),
        })
    }

    /// The project at a revision, in a folder called `name`.
    pub fn at(&self, revision: &str, name: &str) -> Result<Side, Failure> {
        let root = self.main.parent().unwrap_or(Path::new("/"));
        let inside = root.strip_prefix(&self.top).unwrap_or(Path::new(""));
        let git = pipeline::git(&self.context.interrupt);
        let what = format!("there is no revision `{revision}`");
        let commit = git.commit_of(root, revision);
        let commit = commit.map_err(|error| Failure::because(Class::Input, what, &error))?;
        let top = self.scratch.path().join(name);
        let repository = self.scratch.path().join("repository");
        git.extract(&repository, &commit, &top).map_err(|error| {
            let what = format!("the files of `{revision}` cannot be had");
            Failure::because(Class::Failed, what, &error)
        })?;
        // What counts commits counts those that there were.
        git.attach(root, &commit, &top).map_err(|error| {
            let what = format!("the history of `{revision}` cannot be had");
            Failure::because(Class::Failed, what, &error)
        })?;
        let main = self.main.file_name().map(|name| top.join(inside).join(name));
        if !main.is_some_and(|main| main.is_file()) {
            return Err(Failure::input(format!(
                "there is no project in revision `{revision}`"
            )));
        }
        let project = keel_config::load(&top.join(inside))
            .map_err(|errors| Failure::from(errors).hint(format!("this is in revision `{revision}`")))?;
        let top = fs_err::canonicalize(top)?;
        Ok(Side { project, top })
    }
}
