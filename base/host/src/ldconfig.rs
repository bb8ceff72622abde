//! `ldconfig`: the loader's cache for a set of layers (glibc, ldconfig(8)).

use std::{
    io,
    path::{Path, PathBuf},
};

use keel_artefact::Interrupt;
use keel_sandbox::{Beneath, Bind, Run, Sandbox, User};
use keel_store::TempDir;

use crate::{Error, Program};

/// Where Debian has it.
const FOLDER: &str = "usr/sbin";
/// Bytes of the largest cache that is read.
const MOST: u64 = 64 << 20;

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
    let lender = lowers.iter().rev().find_map(|layer| lent(layer).transpose());
    if let Some(host) = lender.transpose()? {
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
    let cache = Beneath::open(&upper)?.read(Path::new("etc/ld.so.cache"), MOST)?;
    cache.ok_or_else(|| Error::Unexpected {
        program: Program::Ldconfig.name(),
        why: "there is no /etc/ld.so.cache".to_owned(),
    })
}

/// The folder of a layer that has the program. A layer that scriptlets wrote may have a link there.
fn lent(layer: &Path) -> io::Result<Option<PathBuf>> {
    let program = Beneath::open(layer)?.find(&Path::new(FOLDER).join("ldconfig"))?;
    let is_there = program.is_some_and(|program| program.metadata().is_file());
    Ok(is_there.then(|| layer.join(FOLDER)))
}
