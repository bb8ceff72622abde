//! The build root of a job: a mount of layers, not an installation.
//!
//! From the top: the distribution's macro files; the layer of just this set of packages (the loader's cache, rpm's database); stage0's
//! fixes (compiler and linker wrappers, users); each Keel package, unpacked once, or, where foreign packages have scriptlets,
//! what a real transaction of rpm made of them; Debian's libc with its headers, for the first libc
//! only; and the borrowed tools.

use std::path::{Path, PathBuf};

use keel_artefact::{Fingerprint, RootPath, Sha256};
use keel_plan::Job;
use keel_sandbox::{Beneath, Sandbox};

use crate::{BuiltPackage, Error, job::Workshop, merged, scriptlets::Changes, set::Set};

/// The libc of a root, once it is Keel's.
const LIBC: &str = "usr/lib64/libc.so.6";

/// How packages become trees. In the key of every tree that is made of them: raised when [`keel_rpm::unpack`] gives other ones.
pub(crate) const UNPACKED: &str = "unpacked-rpm/2";

/// A composed root.
pub struct Root {
    /// The Keel packages in it, sorted by name.
    pub packages: Vec<BuiltPackage>,
    /// Their unpacked trees, in the same order; or the one tree that a transaction of rpm's made of them all.
    pub trees: Vec<PathBuf>,
    /// What scriptlets did in that transaction.
    pub changes: Option<Changes>,
    lowers: Vec<PathBuf>,
}

impl Root {
    /// Makes sure that every layer is there. Layers are made once, whatever the number of jobs and runs.
    pub fn compose(shop: &Workshop<'_>, job: &Job, packages: Vec<BuiltPackage>) -> Result<Self, Error> {
        shop.foreign.bring(&packages)?;
        let mut trees = Vec::with_capacity(packages.len());
        for package in &packages {
            trees.push(unpacked(shop, &package.rpm)?);
        }
        // Where nothing is compiled (no libc of Keel's is asked for), the borrowed programs run on Debian's own libc.
        let mut has_libc = false;
        for tree in &trees {
            has_libc = has_libc || Beneath::open(tree)?.find(Path::new(LIBC))?.is_some();
        }
        let borrowed = match (job.bootstrap_libc, has_libc) {
            (true, _) => shop.stage0.build_lowers(true),
            (false, true) => shop.stage0.build_lowers(false),
            (false, false) => shop.stage0.tool_lowers(),
        };
        let digests = packages.iter().map(|package| &package.rpm);
        let layers = merged::layers(shop.store, digests, &trees)?;
        let set = Set {
            packages: &packages,
            layers: &layers,
            borrowed: &borrowed,
            has_libc,
            bootstrap_libc: job.bootstrap_libc,
        };
        let set = set.layer(shop)?;
        let (layers, trees, changes) = match set.installed {
            Some((installed, changes)) => (vec![installed.clone()], vec![installed], Some(changes)),
            None => (layers, trees, None),
        };
        let mut lowers = vec![macro_layer(shop, &job.recipe.macros_digest)?, set.layer];
        lowers.extend(below(&borrowed, &layers));
        Ok(Self {
            packages,
            trees,
            changes,
            lowers,
        })
    }

    /// A sandbox over it, with `/build` as its only place to write besides temporary folders.
    pub fn sandbox(&self) -> Sandbox {
        let mut sandbox = Sandbox::new(self.lowers.clone());
        sandbox.cwd = path("/build");
        sandbox
    }
}

/// A sandbox over the borrowed tools and the distribution's macros alone: nothing is compiled in it.
pub fn of_tools(shop: &Workshop<'_>, macros: &Sha256) -> Result<Sandbox, Error> {
    let mut lowers = vec![macro_layer(shop, macros)?];
    lowers.extend(shop.stage0.tool_lowers());
    let mut sandbox = Sandbox::new(lowers);
    sandbox.cwd = path("/build");
    Ok(sandbox)
}

/// The tree of one package.
fn unpacked(shop: &Workshop<'_>, rpm: &Sha256) -> Result<PathBuf, Error> {
    let key = Fingerprint::new(UNPACKED).add_digest("rpm", rpm).finish();
    shop.store.tree(&key, |folder| -> Result<(), Error> {
        shop.store.verify(rpm)?;
        keel_rpm::unpack(&shop.store.object(rpm)?, folder)?;
        Ok(keel_sandbox::hand_over(folder)?)
    })
}

/// The distribution's macro files, where rpm reads them.
fn macro_layer(shop: &Workshop<'_>, digest: &Sha256) -> Result<PathBuf, Error> {
    let key = Fingerprint::new("macro-layer/3")
        .add_digest("macros", digest)
        .finish();
    shop.store.tree(&key, |folder| -> Result<(), Error> {
        // rpm reads `macros.d` before its platform file and `vendor/macros` after it: the distribution wins over both.
        let rpm = folder.join("usr/lib/rpm");
        fs_err::create_dir_all(rpm.join("macros.d"))?;
        fs_err::create_dir_all(rpm.join("vendor"))?;
        fs_err::create_dir_all(folder.join("build"))?;
        let mut all = Vec::new();
        let mut print = Fingerprint::new(keel_spec::MACROS_PROTOCOL);
        for (number, file) in shop.macros.iter().enumerate() {
            let name = file
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let bytes = fs_err::read(file)?;
            print.add(&name, &bytes);
            fs_err::write(
                rpm.join("macros.d").join(format!("macros.{number:02}-{name}")),
                &bytes,
            )?;
            all.extend_from_slice(&bytes);
            all.push(b'\n');
        }
        if print.finish() != *digest {
            // They are not what the recipes were evaluated with.
            let path = shop.macros.first().cloned().unwrap_or_default();
            return Err(Error::SpecChanged { path });
        }
        fs_err::write(rpm.join("vendor/macros"), all)?;
        Ok(keel_sandbox::hand_over(folder)?)
    })
}

/// The packages' trees and the layers of stage0, which has its fixes on top of all.
pub(crate) fn below(borrowed: &[PathBuf], trees: &[PathBuf]) -> Vec<PathBuf> {
    let (fixes, tools) = borrowed.split_first().expect("stage0 has its fixes on top");
    let mut below = vec![fixes.clone()];
    below.extend_from_slice(trees);
    below.extend_from_slice(tools);
    below
}

/// A constant path inside a root.
pub fn path(text: &str) -> RootPath {
    text.parse().expect("a constant root path")
}
