//! `conformance azldev-pairs`: Keel's overlays and rendering against what azldev made of Azure Linux 4's own SPECs.
//!
//! 1. [`counts`]: the configuration is read as it is, all of it.
//! 2. [`pairs`]: SPECs as they were rendered before overlays were written, those overlays, and what azldev rendered then.
//! 3. [`macros`]: all `*.azl.macros` of the rendered tree.
//! 4. [`corpus`]: on every SPEC of folders, overlays leave every byte alone that they are not about.
//! 5. [`listing`]: the files of each rendered folder are those that its SPEC asks for.
//!
//! Everything comes from a git directory of Azure Linux's repository and a checkout of the commit whose configuration is read,
//! by Keel's own reader; nothing of it is committed here.

mod changelog;
mod corpus;
mod counts;
mod git;
mod listing;
mod macros;
mod pairs;

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use keel_config::{Component, Project};

use crate::options::Options;

/// Where the components' configuration and the rendered tree are read.
const REVISION: &str = "afd2c0a114bf";

pub fn run(mut options: Options) -> Result<()> {
    let pairs = options.value("--pairs")?;
    let git = options.value("--git")?;
    let tree = options.value("--tree")?;
    let show = options.value("--show")?;
    let folders = options.values("--specs")?;
    let checkout = options.value("--listing")?;
    let macros = options.value("--macros")?;
    let rpm = options
        .value("--rpm")?
        .unwrap_or_else(|| "/usr/lib/rpm".to_owned());
    options.words()?;
    let mut failures = 0;
    if let Some(directory) = &git {
        let git = git::Git::new(directory);
        let tree = tree.context("`--git` needs `--tree`, a checkout of the configuration")?;
        let project = keel_config::load(Path::new(&tree))?;
        failures += counts::run(&project);
        if let Some(pairs) = &pairs {
            failures += pairs::run(&git, &project, pairs, show.as_deref())?;
        }
        failures += macros::run(&git, &project)?;
    }
    for folder in &folders {
        failures += corpus::run(folder)?;
    }
    if let Some(checkout) = &checkout {
        failures += listing::run(checkout, macros.as_ref().unwrap_or(checkout), &rpm)?;
    }
    match failures {
        0 => Ok(()),
        failures => bail!("{failures} differ"),
    }
}

fn component<'p>(project: &'p Project, name: &str) -> Result<&'p Component> {
    let mut components = project.components.values();
    let component = components.find(|component| component.name.as_str() == name);
    component.with_context(|| format!("the checkout has no component `{name}`"))
}
