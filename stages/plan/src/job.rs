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
    /// The rounds of `%generate_buildrequires`, as far as they are known: the first one prints nothing yet. Empty without the section.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rounds: Vec<Round>,
    /// What must be in its build root and is met by stage0, by name.
    pub lent: Vec<String>,
    /// Its build root has Debian's libc.
    pub bootstrap_libc: bool,
    /// What it ships may be linked with Debian's libc (test fixtures).
    pub borrowed_libc: bool,
    /// `%check` is left out.
    pub skip_check: bool,
    /// Who left it out; none: nobody did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip: Option<Skip>,
    /// Why it is in the plan: the first reason that was found.
    pub why: Why,
    /// For each of `needs`, the first requirement that leads to it.
    pub because: BTreeMap<ComponentName, Because>,
    /// What the build costs: processor time, as [`Job::cost_from`] says.
    pub cpu_seconds: f64,
    /// What the build costs by hint or guess, whatever was measured: processor time.
    pub hinted_seconds: f64,
    /// How much memory the build needs at its peak, by hint, in bytes.
    pub memory: Option<u64>,
    /// How much memory the last build had at its peak, in bytes, if that is known.
    pub peak_memory: Option<u64>,
    /// Known to be one of the long builds.
    pub expensive: bool,
    /// How long the last build took, if that is known.
    pub wall_seconds: Option<f64>,
    /// How well `cpu_seconds` is known.
    pub cost_from: CostFrom,
}

/// What is in a build root when `%generate_buildrequires` has run so often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Round {
    /// What it printed last, and not before. That is a hint of an earlier run, or what it asked for in this one: a build goes by what the
    /// section prints then, and asks for another plan if that is something else.
    pub prints: Vec<Dependency>,
    /// Jobs whose packages may be in the root then, by name: for what the SPEC says, and what was printed in this round and those before.
    /// It does not depend on what is known of later rounds.
    pub after: Vec<ComponentName>,
}

/// Who left `%check` out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "by", rename_all = "kebab-case")]
pub enum Skip {
    /// `build.check.skip` of the component.
    Configuration {
        /// `skip_reason`.
        reason: Option<String>,
    },
    /// Whoever called, for this run.
    CommandLine,
}

impl std::fmt::Display for Skip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Configuration { reason: Some(reason) } => write!(f, "by the configuration: {reason}"),
            Self::Configuration { reason: None } => {
                f.write_str("by the configuration, which gives no reason")
            }
            Self::CommandLine => f.write_str("by the command line"),
        }
    }
}

/// Why a component is in a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum Why {
    /// It was asked for by its name, or all were.
    Asked,
    /// It makes a package that an image (if one is known) or the user asked for.
    Package {
        /// The package.
        package: PackageName,
        /// The image that installs it.
        image: Option<String>,
    },
    /// It makes a package that another package requires.
    Requires {
        /// That package.
        by: PackageName,
        /// What it says.
        requirement: String,
        /// The component that makes that package.
        of: ComponentName,
    },
    /// It is needed to build another component.
    Build {
        /// That component.
        of: ComponentName,
        /// What its SPEC says.
        requirement: String,
    },
}

/// A requirement, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Because {
    /// The SPEC's line, if it says so literally.
    pub line: Option<u32>,
    /// What it says.
    pub says: String,
    /// The capability that it comes down to: if that were lent, it would lead nowhere.
    pub capability: String,
}

/// How well the cost of a build is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CostFrom {
    /// It was built before.
    Measured,
    /// `build.hints` says it.
    Hint,
    /// Nobody knows.
    Guess,
}

/// What a build cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Processor time of all its processes, in seconds.
    pub cpu: f64,
    /// How long it took, in seconds.
    pub wall: f64,
    /// Memory of all its processes together at the peak, in bytes; 0 if nobody looked.
    pub memory: u64,
}

/// What the last builds of components cost.
pub type Costs = BTreeMap<ComponentName, Cost>;

/// What a `%generate_buildrequires` prints: what is new in each round, in the order of rounds.
pub type Printed = Vec<Vec<Dependency>>;

/// What components' `%generate_buildrequires` are known to print.
pub type Generated = BTreeMap<ComponentName, Printed>;

impl Job {
    /// All that its `%generate_buildrequires` is known to print.
    pub fn generated(&self) -> impl Iterator<Item = &Dependency> {
        self.rounds.iter().flat_map(|round| &round.prints)
    }
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
    /// Components without a job, because a base's repository has their packages; by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub published: Vec<crate::Taken>,
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
