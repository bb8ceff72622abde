//! What can go wrong around a command. That it ends with another code than 0 is no error here.

use std::{io, path::PathBuf};

use keel_artefact::interrupt::Interrupted;

/// An error of the sandbox.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The helper process cannot be started or spoken to.
    #[error("cannot start the sandbox for `{program}`: {what}")]
    Start {
        /// The command's program.
        program: String,
        /// What failed.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The sandbox cannot be made.
    #[error("cannot set up the sandbox for `{program}`: {step}{}", hint(source))]
    Setup {
        /// The command's program.
        program: String,
        /// What was being done.
        step: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The program is not in the root, or cannot be executed there.
    #[error("cannot run `{program}` in the sandbox")]
    Exec {
        /// The program.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// The helper was killed from outside (out of memory, say).
    #[error("the sandbox of `{program}` was killed from outside")]
    Killed {
        /// The command's program.
        program: String,
    },
    /// A request that makes no sense.
    #[error("wrong sandbox for `{program}`: {why}")]
    Request {
        /// The command's program.
        program: String,
        /// What is wrong with it.
        why: String,
    },
    /// A file or folder cannot be given to, or taken back from, the sandbox's user.
    #[error("cannot change the owner of {path}")]
    Owner {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The user wants to stop; everything inside is dead.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// The usual reason why namespaces cannot be made.
fn hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied => {
            " (are unprivileged user namespaces allowed? see `sysctl kernel.unprivileged_userns_clone \
             kernel.apparmor_restrict_unprivileged_userns user.max_user_namespaces`; in a container it must be privileged)"
        }
        _ => "",
    }
}
