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
    /// The macros of stage0 or of the distribution cannot be read.
    #[error("cannot read the macros that SPECs are evaluated with")]
    Macros(#[from] crate::environment::Error),
    /// There is no such target.
    #[error(transparent)]
    Target(#[from] crate::environment::TargetError),
    /// What commands in macros see cannot be set up.
    #[error("cannot set up what SPECs may see")]
    World(#[from] crate::world::Error),
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
