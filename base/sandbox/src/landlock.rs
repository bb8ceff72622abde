//! Landlock: the same as the mounts say, said a second time by another part of the kernel.
//!
//! Everything may be read and executed; only the places that the sandbox has for it may be written, and no signal or
//! abstract socket leaves it. Where the kernel has no Landlock, or one that cannot tell a rename from a removal (before Linux
//! 5.19), the mounts are alone in it.

use std::io;

use keel_artefact::RootPath;
use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, Scope,
};

use crate::{
    Sandbox,
    wire::{Failure, Step},
};

/// The newest one whose rules are known here. Linux 6.12.
const NEWEST: ABI = ABI::V6;

/// For this process, which is inside its root already, and all that come of it, for ever.
pub(crate) fn restrict(sandbox: &Sandbox) -> Result<(), Failure> {
    rules(sandbox)
        .map_err(io::Error::other)
        .step(|| "restrict it with Landlock".into())
}

fn rules(sandbox: &Sandbox) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let reading = AccessFs::from_read(NEWEST);
    // A device made by a command is none that it may open, so there is no use in one.
    let writing = AccessFs::from_all(NEWEST) & !(AccessFs::MakeChar | AccessFs::MakeBlock);
    let everywhere = match &sandbox.upper {
        Some(_) => writing,
        None => reading,
    };
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::SoftRequirement)
        .handle_access(AccessFs::Refer)?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?;
    ruleset = ruleset.add_rule(PathBeneath::new(PathFd::new("/")?, everywhere))?;
    for place in places(sandbox) {
        ruleset = ruleset.add_rule(PathBeneath::new(PathFd::new(place.as_str())?, writing))?;
    }
    // Writing to what is there: devices, and what a process may say of itself (`/proc/self/comm`).
    let existing: BitFlags<AccessFs> =
        reading | AccessFs::WriteFile | AccessFs::Truncate | AccessFs::IoctlDev;
    for place in ["/dev", "/proc"] {
        ruleset = ruleset.add_rule(PathBeneath::new(PathFd::new(place)?, existing))?;
    }
    ruleset.restrict_self()?;
    Ok(())
}

/// Where files may be made.
fn places(sandbox: &Sandbox) -> Vec<RootPath> {
    let own = ["/dev/shm", "/dev/pts"].map(|path| path.parse().expect("a constant root path"));
    let binds = sandbox.binds.iter().filter(|bind| bind.writable);
    let binds = binds.map(|bind| bind.guest.clone());
    own.into_iter()
        .chain(sandbox.tmpfs.iter().cloned())
        .chain(binds)
        .collect()
}
