//! What is to be built, and in which order.

use std::collections::BTreeMap;

use keel_artefact::{Arch, ComponentName, Dependency, PackageName, format::Version};
use keel_source::SourceSet;
use keel_spec::Recipe;
use serde::Serialize;

/// One build with all its inputs, except for the packages that other jobs make.
#[derive(Debug, Clone, Serialize)]
pub struct Job {
    /// The component that is built.
    pub component: ComponentName,
    /// The architecture it is built for.
    pub arch: Arch,
    /// Its SPEC, evaluated.
    pub recipe: Recipe,
    /// Its files.
    pub sources: SourceSet,
    /// Jobs whose packages are in its build root for what it, or a package in its root, asks for; by name.
    pub needs: Vec<ComponentName>,
    /// `needs`, and what these need, and so on: every job whose packages may be in its build root; by name.
    pub after: Vec<ComponentName>,
    /// What must be in its build root and is met by Keel's packages, in the SPEC's order.
    pub direct: Vec<Dependency>,
    /// What must be in its build root and is met by stage0, by name.
    pub lent: Vec<String>,
    /// Its build root has Debian's libc.
    pub bootstrap_libc: bool,
    /// What it ships may be linked with Debian's libc (test fixtures).
    pub borrowed_libc: bool,
    /// `%check` is left out.
    pub skip_check: bool,
    /// What the build costs, by hint or guess.
    pub cpu_seconds: f64,
    /// How much memory the build needs at its peak, by hint, in bytes.
    pub memory: Option<u64>,
    /// Known to be one of the long builds.
    pub expensive: bool,
    /// What the most expensive chain of jobs that starts with this one costs, by hints and guesses.
    pub critical_path: f64,
}

/// Jobs in an order in which they can be built one after another.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// Version of this artefact's format.
    pub format: Version,
    /// The architecture of all jobs.
    pub arch: Arch,
    /// A job comes after all that it needs; where that leaves a choice, by name.
    pub jobs: Vec<Job>,
    /// Which component makes which package, of all components (also of those without a job).
    pub providers: BTreeMap<PackageName, ComponentName>,
}

impl Plan {
    /// The job of a component.
    pub fn job(&self, component: &ComponentName) -> Option<&Job> {
        self.jobs.iter().find(|job| job.component == *component)
    }
}

/// What a plan is made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Targets {
    /// Every component.
    All,
    /// These components, and what their builds need.
    Components(Vec<ComponentName>),
    /// These packages and all that they are known to require at run time, and what the builds of these need.
    Packages(Vec<PackageName>),
}
