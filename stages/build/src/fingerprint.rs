//! The fingerprint of a job: all that it can see.
//!
//! | input | changes the fingerprint |
//! |---|---|
//! | SPEC (the bytes that rpmbuild reads) | yes |
//! | macros defined or undefined for it (`with`, `defines`, refreshed versions); whether `%check` runs | yes |
//! | sources and patches: name and digest of each | yes |
//! | macro files of the distribution | yes |
//! | stage0: versions and digests of its Debian packages, and how it is laid out | yes |
//! | packages in the build root: identity and digest, unsigned | yes |
//! | what `%generate_buildrequires` printed | yes |
//! | what scriptlets made of the packages in the root, if one has some: the whole tree, and the users | yes |
//! | architecture; whether Debian's libc is in the root (`bootstrap-libc`), and may be shipped (`borrowed-libc`) | yes |
//! | how a build is run ([`PROTOCOL`]) | yes |
//! | signing key | no: packages are signed afterwards |
//! | number of cores, output folder, cache folder, user, host | no: they never reach a package |
//! | hints (`cpu-seconds`, `memory`, `expensive`), descriptions | no |
//! | whether a source is the locked one | no: it is told in the provenance |

use std::fmt;

use keel_artefact::{Dependency, Fingerprint, Sha256};
use keel_plan::Job;
use keel_source::SourceSet;
use keel_spec::Recipe;
use serde::{Deserialize, Serialize};

use crate::BuiltPackage;

/// Raised when the way that a build is run changes. (Checks have their own version: [`crate::built::FORMAT`].)
///
/// 5: what the sandbox denies (system calls, Landlock, bounds) counts as a part of how a build is run.
pub const PROTOCOL: &str = "build/5";

/// One thing that a job can see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// What it is.
    pub kind: Kind,
    /// Its name, where there may be several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is like.
    pub value: Value,
}

/// What an input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// How a build is run.
    Protocol,
    /// The architecture.
    Arch,
    /// The component's name.
    Component,
    /// The SPEC's bytes.
    Spec,
    /// The distribution's macro files.
    Macros,
    /// A macro that is defined.
    Define,
    /// A source or patch.
    Source,
    /// The borrowed root.
    Stage0,
    /// A macro that is undefined.
    Undefine,
    /// Whether `%check` is left out.
    SkipCheck,
    /// Whether Debian's libc may be shipped.
    BorrowedLibc,
    /// Whether Debian's libc is in the root.
    BootstrapLibc,
    /// What `%generate_buildrequires` printed.
    Generated,
    /// A package in the root.
    Package,
    /// What scriptlets made of the root, if a package in it has some.
    Scriptlets,
}

/// What an input is like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Value {
    /// Yes or no.
    Flag(bool),
    /// These bytes.
    Digest(Sha256),
    /// This text.
    Text(String),
}

impl Kind {
    /// Is it known before there is a root?
    pub fn is_own(self) -> bool {
        !matches!(self, Self::Generated | Self::Package | Self::Scriptlets)
    }

    /// The label in the fingerprint, and that of the value where there is a name.
    fn labels(self) -> (&'static str, &'static str) {
        match self {
            Self::Protocol => ("protocol", ""),
            Self::Arch => ("arch", ""),
            Self::Component => ("component", ""),
            Self::Spec => ("spec", ""),
            Self::Macros => ("macros", ""),
            Self::Define => ("define", "value"),
            Self::Source => ("source", "bytes"),
            Self::Stage0 => ("stage0", ""),
            Self::Undefine => ("undefine", ""),
            Self::SkipCheck => ("skip-check", ""),
            Self::BorrowedLibc => ("borrowed-libc", ""),
            Self::BootstrapLibc => ("bootstrap-libc", ""),
            Self::Generated => ("generated", ""),
            Self::Package => ("package", "rpm"),
            Self::Scriptlets => ("scriptlets", ""),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Protocol => "how builds are run",
            Self::Spec => "SPEC",
            Self::Macros => "the distribution's macros",
            Self::Define => "macro",
            Self::Undefine => "undefined macro",
            Self::SkipCheck => "leaving out %check",
            Self::Generated => "generated requirement",
            Self::Package => "root package",
            Self::Scriptlets => "what scriptlets made of the root",
            other => other.labels().0,
        })
    }
}

impl Value {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Flag(flag) => vec![u8::from(*flag)],
            Self::Digest(digest) => digest.as_bytes().to_vec(),
            Self::Text(text) => text.as_bytes().to_vec(),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => f.write_str(if *flag { "yes" } else { "no" }),
            Self::Digest(digest) => f.write_str(&digest.short()),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// All that `job` can see in a root of stage0 and `root`, which is sorted by name, and what its `%generate_buildrequires` printed.
/// `scriptlets` is the digest of what a transaction made of `root`; none where no package has scriptlets.
pub fn inputs(
    job: &Job,
    stage0: &Sha256,
    root: &[BuiltPackage],
    scriptlets: Option<Sha256>,
    generated: &[Dependency],
) -> Vec<Input> {
    let mut inputs = own_inputs(&Own::from(job), stage0);
    inputs.extend(generated.iter().map(|requirement| Input {
        kind: Kind::Generated,
        name: None,
        value: Value::Text(requirement.to_string()),
    }));
    inputs.extend(root.iter().map(|package| Input {
        kind: Kind::Package,
        name: Some(package.nevra.to_string()),
        value: Value::Digest(package.rpm),
    }));
    inputs.extend(scriptlets.map(|digest| Input {
        kind: Kind::Scriptlets,
        name: None,
        value: Value::Digest(digest),
    }));
    inputs
}

/// What a job has of its own.
#[derive(Debug, Clone, Copy)]
pub struct Own<'a> {
    /// Its SPEC, evaluated.
    pub recipe: &'a Recipe,
    /// Its files.
    pub sources: &'a SourceSet,
    /// `%check` is left out.
    pub skip_check: bool,
    /// Debian's libc may be shipped.
    pub borrowed_libc: bool,
    /// Debian's libc is in the root.
    pub bootstrap_libc: bool,
}

impl<'a> From<&'a Job> for Own<'a> {
    fn from(job: &'a Job) -> Self {
        Self {
            recipe: &job.recipe,
            sources: &job.sources,
            skip_check: job.skip_check,
            borrowed_libc: job.borrowed_libc,
            bootstrap_libc: job.bootstrap_libc,
        }
    }
}

/// All that a job can see but the packages in its root: what is known before anything is built.
pub fn own_inputs(job: &Own<'_>, stage0: &Sha256) -> Vec<Input> {
    let one = |kind, value| Input {
        kind,
        name: None,
        value,
    };
    let named = |kind, name: &str, value| {
        let name = Some(name.to_owned());
        Input { kind, name, value }
    };
    let text = |text: &str| Value::Text(text.to_owned());
    let recipe = &job.recipe;
    let mut all = vec![
        one(Kind::Protocol, text(PROTOCOL)),
        one(Kind::Arch, text(recipe.arch.rpm())),
        one(Kind::Component, text(recipe.component.as_str())),
        one(Kind::Spec, Value::Digest(recipe.spec_digest)),
        one(Kind::Macros, Value::Digest(recipe.macros_digest)),
    ];
    let defines = recipe.defines.iter();
    all.extend(defines.map(|(name, value)| named(Kind::Define, name, text(value))));
    let files = job.sources.files.iter();
    let mut files: Vec<_> = files.map(|file| (&file.name, &file.digest)).collect();
    files.sort();
    let files = files.into_iter();
    all.extend(files.map(|(name, digest)| named(Kind::Source, name, Value::Digest(*digest))));
    all.push(one(Kind::Stage0, Value::Digest(*stage0)));
    let undefines = recipe.undefines.iter();
    all.extend(undefines.map(|name| one(Kind::Undefine, text(name))));
    all.push(one(Kind::SkipCheck, Value::Flag(job.skip_check)));
    all.push(one(Kind::BorrowedLibc, Value::Flag(job.borrowed_libc)));
    all.push(one(Kind::BootstrapLibc, Value::Flag(job.bootstrap_libc)));
    all
}

/// The fingerprint of these [`inputs`].
pub fn of(inputs: &[Input]) -> Sha256 {
    let mut print = Fingerprint::new(PROTOCOL);
    for input in inputs.iter().filter(|input| input.kind != Kind::Protocol) {
        let (label, value) = input.kind.labels();
        match &input.name {
            Some(name) => print.add(label, name).add(value, input.value.bytes()),
            None => print.add(label, input.value.bytes()),
        };
    }
    print.finish()
}

#[cfg(test)]
pub(crate) mod tests;
