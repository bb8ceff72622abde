//! `ldconfig`: the loader's cache for a set of layers (glibc, ldconfig(8)).

use std::path::PathBuf;

use keel_artefact::Interrupt;
use keel_sandbox::{Run, Sandbox, User};
use keel_store::TempDir;

use crate::{Error, Program};

/// The bytes of `/etc/ld.so.cache` for a root of these layers (top first), whose `/etc/ld.so.conf` says where libraries
/// lie. `scratch` takes what ldconfig writes.
pub fn cache(lowers: &[PathBuf], scratch: &TempDir, interrupt: &Interrupt) -> Result<Vec<u8>, Error> {
    let upper = scratch.path().join("upper");
    fs_err::create_dir(&upper)?;
    keel_sandbox::hand_over(&upper)?;
    let mut sandbox = Sandbox::new(lowers.to_vec());
    sandbox.upper = Some(upper.clone());
    sandbox.user = User::Root;
    let exit = keel_sandbox::run(&sandbox, Run::captured(["ldconfig", "-X"]), interrupt)?;
    if !exit.success() {
        return Err(Error::failed(Program::Ldconfig, &exit));
    }
    Ok(fs_err::read(upper.join("etc/ld.so.cache"))?)
}
