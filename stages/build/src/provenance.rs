//! What each component was made from, for whoever must prove it.

use keel_artefact::{Arch, ComponentName, Dependency, Nevra, Sha256, format};
use keel_plan::Job;
use serde::Serialize;

use crate::{Built, BuiltPackage, Check, scriptlets::Changes, trace::Leak};

/// The version of [`Provenance`] as JSON.
pub const FORMAT: format::Version = format::Version(1);

/// How one component was built. Written beside its packages; the same in every run that gives the same packages.
#[derive(Debug, Clone, Serialize)]
pub struct Provenance<'a> {
    /// Version of this format.
    pub format: format::Version,
    /// The component.
    pub component: &'a ComponentName,
    /// The architecture.
    pub arch: Arch,
    /// Digest of all that the build could see.
    pub fingerprint: Sha256,
    /// Whose compiler it was: `borrowed` is stage0's.
    pub compiler: &'static str,
    /// The borrowed root.
    pub stage0: Sha256,
    /// Were all sources, and those of all packages in the build root, the locked ones?
    pub locked: bool,
    /// The SPEC.
    pub spec: Sha256,
    /// The distribution's macro files.
    pub macros: Sha256,
    /// Sources and patches.
    pub sources: Vec<Material<'a>>,
    /// Keel packages in the build root.
    pub root: &'a [BuiltPackage],
    /// What `%generate_buildrequires` asked for.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub generated: &'a [Dependency],
    /// What became of `%check`.
    pub check: &'static str,
    /// What it made.
    pub packages: Vec<Product<'a>>,
    /// May its packages be linked with Debian's libc? Only those of test fixtures may.
    pub borrowed_libc: bool,
    /// How many runs of the linker were traced. None that made what is shipped read a file of stage0 but gcc's own.
    pub links_traced: usize,
    /// What runs of the linker borrowed for programs that only helped this build, before there was a libc.
    pub links_borrowed: &'a [Leak],
    /// What scriptlets of foreign packages did in the build root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scriptlets: Option<&'a Changes>,
}

/// One source file.
#[derive(Debug, Clone, Serialize)]
pub struct Material<'a> {
    /// File name.
    pub name: &'a str,
    /// Digest.
    pub sha256: Sha256,
    /// Is it the one in the lock?
    pub locked: bool,
    /// The one in the lock, where overlays made this one of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlaid: Option<Sha256>,
}

/// One package.
#[derive(Debug, Clone, Serialize)]
pub struct Product<'a> {
    /// Identity.
    pub nevra: &'a Nevra,
    /// Digest, unsigned.
    pub sha256: Sha256,
}

impl<'a> Provenance<'a> {
    /// The provenance of a finished job. `locked`: neither it nor anything before it is unlocked.
    pub fn of(job: &'a Job, built: &'a Built, stage0: &Sha256, locked: bool) -> Self {
        let material = |file: &'a keel_source::PinnedFile| Material {
            name: &file.name,
            sha256: file.digest,
            locked: file.locked,
            overlaid: file.overlaid,
        };
        let product = |output: &'a crate::built::Output| Product {
            nevra: &output.package.nevra,
            sha256: output.package.rpm,
        };
        Self {
            format: FORMAT,
            component: &job.component,
            arch: job.arch,
            fingerprint: built.fingerprint,
            compiler: "borrowed",
            stage0: *stage0,
            locked,
            spec: job.recipe.spec_digest,
            macros: job.recipe.macros_digest,
            sources: job.sources.files.iter().map(material).collect(),
            root: &built.root,
            generated: &built.generated,
            check: Check::of(job, built).word(),
            packages: built.outputs.iter().map(product).collect(),
            borrowed_libc: job.borrowed_libc,
            links_traced: built.links.count,
            links_borrowed: &built.links.borrowed,
            scriptlets: built.scriptlets.as_ref(),
        }
    }
}
