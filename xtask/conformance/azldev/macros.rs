//! Macros files: those of the rendered tree against those that the configuration makes.

use anyhow::{Context as _, Result};
use keel_config::Project;
use keel_spec::render::macros_file;

use super::{REVISION, git::Git, pairs};

/// How many differ.
pub fn run(git: &Git, project: &Project) -> Result<usize> {
    let paths = git.list(REVISION, "specs")?;
    let (mut total, mut failed) = (0, 0);
    for path in paths.iter().filter(|path| path.ends_with(macros_file::EXTENSION)) {
        total += 1;
        let file = path.rsplit('/').next().unwrap_or_default();
        let name = file
            .strip_suffix(macros_file::EXTENSION)
            .context("a name of a macros file")?;
        let options = pairs::macros(&super::component(project, name)?.build);
        let expected = git.show(&format!("{REVISION}:{path}"))?;
        if options.file().map(String::into_bytes) != Some(expected) {
            failed += 1;
            println!("{path}: {:?}", options.file());
        }
    }
    println!("macros files: {} of {total} equal", total - failed);
    Ok(failed)
}
