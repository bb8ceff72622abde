//! From a folder to a [`Project`].

use std::path::{Path, PathBuf};

use crate::{
    Diagnostic, Errors, PROJECT_FILES, Project, check, component, definition, includes,
    settings::{self, Draft},
    table::{Problems, Table},
};

/// The project file of `dir` or of the nearest folder above it. Absolute.
///
/// Fails if there is none.
pub fn find(dir: &Path) -> Result<PathBuf, Errors> {
    let start = match fs_err::canonicalize(dir) {
        Ok(start) => start,
        Err(error) => {
            let message = format!("cannot enter the project's folder `{}`", dir.display());
            return Err(Diagnostic::new(message).caused_by(&error).into());
        }
    };
    let candidates = start
        .ancestors()
        .flat_map(|folder| PROJECT_FILES.map(|name| folder.join(name)));
    match candidates.into_iter().find(|file| file.is_file()) {
        Some(file) => Ok(file),
        None => {
            let message = format!(
                "no project: neither `{}` nor a folder above it has a `keel.toml`",
                dir.display()
            );
            Err(Diagnostic::new(message)
                .hint("name the project's folder with `-C DIR`")
                .into())
        }
    }
}

/// Reads the project of `dir` or of the nearest folder above it.
///
/// Fails with everything that is wrong in any of its files.
pub fn load(dir: &Path) -> Result<Project, Errors> {
    let main = find(dir)?;
    let root = main.parent().unwrap_or(Path::new("/")).to_owned();
    let problems = Problems::default();
    let sources = includes::read(&root, &main, &problems);
    let complete = problems.is_empty();

    let mut draft = Draft::default();
    for source in &sources {
        // Its syntax errors were reported when its includes were read.
        let Some(tables) = includes::parse(source, &Problems::default()) else {
            continue;
        };
        let table = Table::root(source, &problems, &tables);
        settings::read(&table, &mut draft);
        component::read(&table, &mut draft);
        definition::read(&root, &table, &mut draft);
        table.finish(&[
            "resources",
            "component-groups",
            "tools",
            "default-component-config",
            "default-package-config",
            "test-suites",
        ]);
    }
    draft
        .files
        .splice(0..0, sources.iter().map(|source| source.path.clone()));
    // What a file that could not be read may hold is not to be called missing.
    let project = complete
        .then(|| check::whole(&root, &main, draft, &problems))
        .flatten();
    let problems = problems.into_vec();
    match project {
        Some(project) => Errors::check(project, problems),
        None => Err(Errors::check((), problems).err().unwrap_or_else(|| {
            Errors::from(Diagnostic::new(
                "the project could not be read, and no reason was recorded",
            ))
        })),
    }
}
