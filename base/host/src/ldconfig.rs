//! `ldconfig`: the loader's cache for a set of layers (glibc, ldconfig(8)).

use std::path::PathBuf;

use keel_artefact::Interrupt;
use keel_sandbox::{Bind, Run, Sandbox, User};
use keel_store::TempDir;

use crate::{Error, Program};

/// Where Debian has it.
const FOLDER: &str = "usr/sbin";

/// The bytes of `/etc/ld.so.cache` for a root of these layers (top first), whose `/etc/ld.so.conf` says where libraries
/// lie. `scratch` takes what ldconfig writes.
pub fn cache(lowers: &[PathBuf], scratch: &TempDir, interrupt: &Interrupt) -> Result<Vec<u8>, Error> {
    let upper = scratch.path().join("upper");
    fs_err::create_dir(&upper)?;
    keel_sandbox::hand_over(&upper)?;
    let mut sandbox = Sandbox::new(lowers.to_vec());
    sandbox.upper = Some(upper.clone());
    sandbox.user = User::Root;
    // Keel's `filesystem` makes /usr/sbin a link to /usr/bin, which hides Debian's folder in the layers below. The program
    // is linked statically.
    let lender = lowers
        .iter()
        .rev()
        .map(|layer| layer.join(FOLDER))
        .find(|folder| folder.join("ldconfig").is_file());
    if let Some(host) = lender {
        let guest = "/mnt".parse().expect("a constant root path");
        sandbox.binds.push(Bind {
            host,
            guest,
            writable: false,
        });
    }
    let exit = keel_sandbox::run(&sandbox, Run::captured(["/mnt/ldconfig", "-X"]), interrupt)?;
    if !exit.success() {
        return Err(Error::failed(Program::Ldconfig, &exit));
    }
    Ok(fs_err::read(upper.join("etc/ld.so.cache"))?)
}
