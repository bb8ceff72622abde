//! Why SPECs could not be evaluated.

use keel_artefact::ComponentName;
use keel_config::Errors;

/// Why SPECs could not be evaluated.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something is wrong with the input: a SPEC, or the name of a component.
    #[error(transparent)]
    Input(#[from] Errors),
    /// The SPEC's file name cannot be a path inside a root.
    #[error("the SPEC of `{component}` cannot be called `{file}`")]
    Name {
        /// Whose SPEC.
        component: ComponentName,
        /// Its file name.
        file: String,
    },
    /// rpmspec could not be run.
    #[error("cannot evaluate SPECs in stage0")]
    Host(#[source] keel_host::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] keel_store::Error),
    /// A file could not be read or written; the error names it.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The user wants to stop.
    #[error("{0}")]
    Interrupted(#[from] keel_artefact::interrupt::Interrupted),
}

impl From<keel_host::Error> for Error {
    fn from(error: keel_host::Error) -> Self {
        match error {
            keel_host::Error::Interrupted(interrupted) => Self::Interrupted(interrupted),
            other => Self::Host(other),
        }
    }
}
