//! The build stage: a plan becomes packages, each built from source in a sandbox, once.
//!
//! Input: a [`Plan`](keel_plan::Plan), stage0, the store. Output: [`Packages`], not signed, each an object of the store.
//!
//! 1. [`scheduler`] starts the jobs whose needs are done: first what the user waits for, then the longest chain; as many as
//!    there are places, and memory by what each is [`expected`] to need.
//! 2. [`closure`] finds which packages a job's root holds; [`fingerprint`](mod@fingerprint) names all that it can see.
//!    What a base's repository has ([`foreign`]) is a candidate beside the results of jobs, and comes into the store when a root wants it.
//! 3. Known fingerprint, no build. Packages are in the fingerprint by digest and are reproducible, so a rebuild that gives
//!    the same bytes stops there: what depends on it keeps its fingerprint (early cut-off).
//! 4. [`root`] mounts the layers; that of a set of packages (`set`) has what depends on all of them; [`scriptlets`] tells what those of
//!    foreign packages did; [`job`] runs the real rpmbuild in them. Where the SPEC has `%generate_buildrequires`, what it prints
//!    is in the root, too ([`generate`]).
//! 5. [`checks`] refuse a package that was not declared, has scriptlets, contains or was linked with anything borrowed, or
//!    needs a library that no Keel package has.
//! 6. Rules about packages ([`keel_inspect`]) find what must not be shipped, or could be better. They are no part of a result: other
//!    rules, or exceptions, check again and build nothing.
//! 7. [`names`]: where a published name would stand for other bytes, the job is done again with a higher rebuild counter;
//!    what comes after it sees that one.
//! 8. [`provenance`] says what each component was made from; [`record`] keeps it for the next time.
//! 9. Without building anything, [`forecast`](mod@forecast) says which jobs a run would build, and why; [`outlook`](mod@outlook) how long it takes.
//!
//! Invariants: a job sees its declared inputs and nothing else; its root does not depend on the order of other jobs; what
//! is finished is kept, however the run ends; a name that is published stands for the same bytes; two jobs of one fingerprint have the same result.
//!
//! Never: signs, publishes, or reads the network.
//!
//! | on disk | owner |
//! |---|---|
//! | store: actions `build`, `rpmbuild`, `last-build`, `last-own-build`, `generated`, `generates`, `has-scriptlets`, `last-failure`; trees of unpacked packages, macro files, layers of sets | this crate |
//! | `out/logs/COMPONENT.log` of a failed build, `….log.N` of one that ran again | [`job`] |

mod attempt;
pub mod built;
pub mod checked;
pub mod checks;
pub mod closure;
mod compare;
mod error;
pub mod expected;
pub mod fingerprint;
mod folders;
pub mod forecast;
pub mod foreign;
pub mod generate;
pub mod job;
pub mod kept;
pub mod log;
mod merged;
pub mod names;
pub mod outlook;
pub mod packages;
mod progress;
pub mod provenance;
pub mod record;
pub mod root;
mod run;
pub mod scheduler;
pub mod scriptlets;
pub mod set;
pub mod trace;

pub use built::Built;
pub use checked::Check;
pub use compare::{Order, Surroundings};
pub use error::{Error, Errors, Failure};
pub use forecast::{Forecast, forecast};
pub use foreign::Foreign;
pub use job::Workshop;
pub use names::Names;
pub use outlook::{Outlook, outlook};
pub use packages::{BuiltPackage, Kind, Packages};
pub use run::{Options, Results, run};
