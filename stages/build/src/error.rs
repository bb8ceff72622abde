//! What can go wrong in a build.

use std::{collections::BTreeMap, io, path::PathBuf, sync::Arc};

use keel_artefact::{ComponentName, Dependency, Evr, Interrupted, Nevra, PackageName};
use keel_plan::{Generated, Printed};
use keel_rpm::solve::Stopped;

use crate::{closure, record::Since, trace::Leak};

/// An error of one job.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The user stopped the run.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// A file operation failed; the message names the file.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] keel_store::Error),
    /// The sandbox failed, not what ran in it.
    #[error("cannot run a sandbox")]
    Sandbox(#[from] keel_sandbox::Error),
    /// A program of the host or of stage0 failed.
    #[error(transparent)]
    Host(#[from] keel_host::Error),
    /// A package cannot be read or unpacked.
    #[error(transparent)]
    Rpm(#[from] keel_rpm::Error),
    /// The SPEC changed after it was evaluated.
    #[error("{path} changed while it was being built; run the command again")]
    SpecChanged {
        /// The SPEC.
        path: PathBuf,
    },
    /// A package of a base's repository cannot be had, or is refused.
    #[error("a package of the base cannot be used")]
    Foreign(#[source] crate::foreign::Refusal),
    /// There is no such root. Planning finds what SPECs say; this is what rpmbuild found in files.
    #[error("{0}")]
    Closure(closure::Error),
    /// The section printed something else than the plan knows: this, round by round. With it, there is another plan.
    #[error("its %generate_buildrequires does not ask for what its plan knows, but for: {}", rounds(.0))]
    Wants(Printed),
    /// It failed in this run before, by another plan.
    #[error("it failed before")]
    FailedBefore,
    /// The section wants something new each time.
    #[error(
        "its %generate_buildrequires still asks for something new after {} rounds: {}",
        crate::generate::ROUNDS,
        list(.new)
    )]
    Restless {
        /// What was new in the last round.
        new: Vec<Dependency>,
    },
    /// The section printed more than a root can have.
    #[error("its %generate_buildrequires asks for {count} things, and {most} are the most")]
    TooMany {
        /// So many.
        count: usize,
        /// So many may be.
        most: usize,
    },
    /// A kept build root is no longer whole.
    #[error("what was kept of `{0}` has lost a part of its root (`--fresh` makes a new one)")]
    KeptLost(ComponentName),
    /// rpmbuild failed.
    #[error("{}", failed(.0))]
    Failed(Box<Failure>),
    /// rpmbuild made a package that the SPEC, as evaluated, does not declare.
    #[error("the build made {0}, which its SPEC does not declare for this architecture")]
    Undeclared(Nevra),
    /// rpmbuild did not make a package that the SPEC declares.
    #[error("the build did not make {0}, which its SPEC declares (does it have a %files section?)")]
    NotMade(Nevra),
    /// The linker read files of the borrowed root.
    #[error("{}", leaked(.0))]
    Leaked(Vec<Leak>),
    /// A file of a package is the same as one of stage0's.
    #[error("{package} ships {path}, which is stage0's own file: nothing of Debian may be shipped")]
    Borrowed {
        /// The package.
        package: Nevra,
        /// The file in it.
        path: String,
    },
    /// A library is needed that no Keel package has.
    #[error("{package}: {path} needs {library}, which no package in its build root provides{}", libgcc(.library))]
    NoLibrary {
        /// The package.
        package: Nevra,
        /// The file in it.
        path: String,
        /// The `DT_NEEDED` entry.
        library: String,
    },
    /// A package has scriptlets.
    #[error("{package} has the scriptlets {}: Keel's packages declare users, folders and units instead", .scripts.join(", "))]
    Scriptlets {
        /// The package.
        package: Nevra,
        /// Their names.
        scripts: Vec<String>,
    },
    /// A name would stand for other bytes, and no counter may be raised.
    #[error(
        "{evr} is published with other bytes ({differences}): it needs a rebuild counter, and `--locked` raises none"
    )]
    NameTaken {
        /// Its version and release.
        evr: Evr,
        /// How packages differ.
        differences: String,
    },
    /// The SPEC cannot be read with a counter.
    #[error("its SPEC cannot be read with a rebuild counter")]
    Raise(#[source] Box<keel_spec::Error>),
    /// The counter changes more than names.
    #[error("it is published with other bytes, and a rebuild counter changes what its SPEC needs or makes")]
    RaiseChanges,
    /// The counter does not make a package newer.
    #[error(
        "it is published with other bytes, and a rebuild counter makes no newer `{package}` of {old}, but {new} ({})", .spec.display()
    )]
    NoCounter {
        /// The package.
        package: PackageName,
        /// The SPEC, as shown.
        spec: PathBuf,
        /// Its version and release.
        old: Evr,
        /// Those with the counter.
        new: Evr,
    },
    /// No counter is that high.
    #[error("its rebuild counter is as high as one may be")]
    TooManyRebuilds,
    /// Foreign packages cannot be installed.
    #[error("rpm cannot install the foreign packages of the build root; scriptlets are in {}", .packages.keys().cloned().collect::<Vec<_>>().join(", "))]
    Transaction {
        /// Those with scriptlets, and which.
        packages: BTreeMap<String, Vec<String>>,
        /// What rpm said.
        source: Box<keel_host::Error>,
    },
    /// Another job of this run had the same answer.
    #[error(transparent)]
    Before(Arc<Error>),
    /// Scriptlets of foreign packages left more than anybody would read.
    #[error(
        "foreign packages and their scriptlets leave {sum} bytes in the build root, by the sizes of files (sparse ones, too), the most in {path} with {size}: {} GiB is the most",
        crate::scriptlets::MOST_LEFT
    )]
    TooLarge {
        /// Bytes in all.
        sum: u64,
        /// The largest file, relative to the root.
        path: String,
        /// Its bytes.
        size: u64,
    },
    /// Packages cannot be read for the rules.
    #[error("cannot check the packages")]
    Inspect(#[from] keel_inspect::Error),
    /// Rules of severity `error` found something that no exception explains.
    #[error("{}", refused(.0))]
    Refused(Vec<keel_inspect::Finding>),
    /// Two builds of one job gave different bytes.
    #[error("not reproducible in other surroundings: {} (both are kept in {kept})", names(.packages))]
    Differs {
        /// The packages.
        packages: Vec<Nevra>,
        /// Folder with both.
        kept: PathBuf,
    },
}

impl Error {
    /// Could it go well another time? Only a build can; what is checked afterwards is as it is.
    pub fn may_be_flaky(&self) -> bool {
        matches!(self, Self::Failed(_))
    }

    /// Is there nothing to be told of it, but that it is not done by this plan?
    pub fn is_postponed(&self) -> bool {
        matches!(self, Self::Wants(_) | Self::FailedBefore)
    }
}

/// rpmbuild ended with an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What was built.
    pub component: ComponentName,
    /// The phase that failed: `%build`.
    pub phase: String,
    /// How it ended.
    pub how: String,
    /// The lines of the log that matter.
    pub lines: Vec<String>,
    /// The whole log.
    pub log: PathBuf,
    /// Its build root was kept.
    pub kept: bool,
    /// What differs from the last build that went well.
    pub since: Since,
}

/// Errors of a run: each component that failed, and those that therefore were not built.
#[derive(Debug)]
pub struct Errors {
    /// Failed.
    pub failed: Vec<(ComponentName, Error)>,
    /// Asked by their own `%generate_buildrequires` for something else than the plan knows: all that it printed. Nothing is wrong,
    /// but that another plan is needed.
    pub wanted: Generated,
    /// Not tried, since something they need failed.
    pub skipped: Vec<ComponentName>,
}

impl std::fmt::Display for Errors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self
            .failed
            .iter()
            .map(|(component, _)| component)
            .chain(self.wanted.keys())
            .map(|component| format!("`{component}`"))
            .collect();
        write!(f, "cannot build {}", names.join(", "))
    }
}

impl std::error::Error for Errors {}

fn names(packages: &[Nevra]) -> String {
    packages
        .iter()
        .map(Nevra::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

fn rounds(printed: &[Vec<Dependency>]) -> String {
    match printed.concat().as_slice() {
        [] => "nothing".to_owned(),
        all => list(all),
    }
}

/// The first ten, and how many more there are.
fn list(requirements: &[Dependency]) -> String {
    let mut names: Vec<String> = requirements.iter().take(10).map(ToString::to_string).collect();
    if requirements.len() > 10 {
        names.push(format!("and {} more", requirements.len() - 10));
    }
    names.join(", ")
}

fn failed(failure: &Failure) -> String {
    let mut text = format!("{} failed ({})", failure.phase, failure.how);
    for line in &failure.lines {
        text.push_str("\n    ");
        text.push_str(line);
    }
    let since = failure.since.lines();
    if !since.is_empty() {
        text.push_str("\n  what differs from the last good build:");
        since
            .iter()
            .for_each(|line| text.push_str(&format!("\n    {line}")));
    }
    let component = &failure.component;
    let place = match failure.kept {
        true => format!("`keel shell {component}` goes there"),
        false => format!("`keel build --keep-root {component}` keeps it for `keel shell {component}`"),
    };
    format!(
        "{text}\n  log: {}\n  where it failed: {place}",
        failure.log.display()
    )
}

fn leaked(leaks: &[Leak]) -> String {
    let mut text = "the linker took files of the borrowed root".to_owned();
    for leak in leaks.iter().take(10) {
        text.push_str(&format!("\n    {} into {}", leak.input, leak.output));
    }
    if leaks.len() > 10 {
        text.push_str(&format!("\n    and {} more", leaks.len() - 10));
    }
    text
}

impl From<closure::Error> for Error {
    fn from(error: closure::Error) -> Self {
        match error {
            closure::Error::Stopped(Stopped::Interrupted(interrupted)) => Self::Interrupted(interrupted),
            error => Self::Closure(error),
        }
    }
}

fn refused(findings: &[keel_inspect::Finding]) -> String {
    let mut text = format!("checks of its packages found {} errors", findings.len());
    for finding in findings.iter().take(10) {
        let path = finding
            .path
            .as_deref()
            .map(|path| format!(" {path}"))
            .unwrap_or_default();
        text.push_str(&format!(
            "\n    {}{path}: {} [{}]",
            finding.package, finding.message, finding.rule
        ));
    }
    if findings.len() > 10 {
        text.push_str(&format!("\n    and {} more", findings.len() - 10));
    }
    text
}

fn libgcc(library: &str) -> &'static str {
    if library == "libgcc_s.so.1" {
        " (gcc's own library is borrowed and cannot be shipped)"
    } else {
        ""
    }
}
