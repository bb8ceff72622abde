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
//! | architecture; whether Debian's libc is in the root (`bootstrap-libc`), and may be shipped (`borrowed-libc`) | yes |
//! | how a build is run ([`PROTOCOL`]) | yes |
//! | signing key | no: packages are signed afterwards |
//! | number of cores, output folder, cache folder, user, host | no: they never reach a package |
//! | hints (`cpu-seconds`, `memory`, `expensive`), descriptions | no |
//! | whether a source is the locked one | no: it is told in the provenance |

use keel_artefact::{Fingerprint, Sha256};
use keel_plan::Job;

use crate::BuiltPackage;

/// Raised when the way that a build is run changes. (Checks have their own version: [`crate::built::FORMAT`].)
pub const PROTOCOL: &str = "build/4";

/// The fingerprint of `job` in a root of stage0 and `root`, which is sorted by name.
pub fn of(job: &Job, stage0: &Sha256, root: &[BuiltPackage]) -> Sha256 {
    let mut print = Fingerprint::new(PROTOCOL);
    print.add("arch", job.arch.rpm());
    print.add("component", job.component.as_str());
    print.add_digest("spec", &job.recipe.spec_digest);
    print.add_digest("macros", &job.recipe.macros_digest);
    for (name, value) in &job.recipe.defines {
        print.add("define", name).add("value", value);
    }
    let mut files: Vec<_> = job
        .sources
        .files
        .iter()
        .map(|file| (&file.name, &file.digest))
        .collect();
    files.sort();
    for (name, digest) in files {
        print.add("source", name).add_digest("bytes", digest);
    }
    print.add_digest("stage0", stage0);
    for name in &job.recipe.undefines {
        print.add("undefine", name);
    }
    print.add("skip-check", [u8::from(job.skip_check)]);
    print.add("borrowed-libc", [u8::from(job.borrowed_libc)]);
    print.add("bootstrap-libc", [u8::from(job.bootstrap_libc)]);
    for package in root {
        print
            .add("package", package.nevra.to_string())
            .add_digest("rpm", &package.rpm);
    }
    print.finish()
}
