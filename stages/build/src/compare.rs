//! A job built again where everything around it is different, and compared.

use std::{fmt, path::Path, sync::Arc};

use keel_host::disorderfs;
use keel_plan::Job;
use keel_store::Store;
use serde::Serialize;

use crate::{
    Built, Error,
    built::Output,
    folders::has_room_in_memory,
    job::{Turn, Workshop},
    root::Root,
};

/// In which surroundings a build runs. None of this may reach a package: [`Surroundings::other`] is the proof.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Everything is different (clock, host name, user name, locale, time zone, umask, number of cores), folders list their entries so.
    pub other: Option<Order>,
}

/// How another order of the entries of folders comes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// At random, each time anew, by disorderfs(1).
    Disorderfs,
    /// As a file system in memory lists them.
    Memory,
    /// Not at all: there is neither disorderfs (and root, and FUSE) nor the memory.
    Same,
}

impl Order {
    /// The best there is on this machine.
    pub fn of_this_machine(store: &Store) -> Result<Self, keel_store::Error> {
        Ok(if disorderfs::works(store.temp_dir("disorder")?.path()) {
            Self::Disorderfs
        } else if has_room_in_memory() {
            Self::Memory
        } else {
            Self::Same
        })
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disorderfs => "disorderfs, at random",
            Self::Memory => "in memory",
            Self::Same => "the same: neither disorderfs works here nor are 8 GiB of memory free",
        })
    }
}

impl Workshop<'_> {
    /// Builds `job` again, in other surroundings, and compares each package with what `built` has. Those that differ are copied to `kept`.
    pub fn compare(
        &self,
        job: &Job,
        before: &[Arc<Built>],
        built: &Built,
        order: Order,
        kept: &Path,
    ) -> Result<(), Error> {
        // Of an earlier run.
        keel_store::temp::remove_all(kept)?;
        let root = Root::compose(self, job, built.root.clone())?;
        let turn = Turn::alone(1);
        let surroundings = Surroundings { other: Some(order) };
        let make = || self.make(job, &root, &turn, &surroundings, &built.fingerprint);
        let again = match order {
            Order::Disorderfs => keel_sandbox::with_own_mounts(make)??,
            Order::Memory | Order::Same => make()?,
        };
        let again = self.check(job, built.fingerprint, before, root, again, Vec::new())?;
        let missing = |output: &&Output| {
            let nevra = &output.package.nevra;
            again.outputs.iter().all(|again| again.package.nevra != *nevra)
        };
        if let Some(output) = built.outputs.iter().find(missing) {
            return Err(Error::NotMade(output.package.nevra.clone()));
        }
        let mut packages = Vec::new();
        for Output { package, .. } in again.outputs {
            let first = built.outputs.iter().map(|output| &output.package);
            let Some(first) = first.clone().find(|first| first.nevra == package.nevra) else {
                return Err(Error::Undeclared(package.nevra));
            };
            if first.rpm != package.rpm {
                let name = package.nevra.file_name();
                for (folder, rpm) in [("first", &first.rpm), ("second", &package.rpm)] {
                    fs_err::create_dir_all(kept.join(folder))?;
                    fs_err::copy(self.store.object(rpm)?, kept.join(folder).join(&name))?;
                }
                packages.push(package.nevra);
            }
        }
        if packages.is_empty() {
            return Ok(());
        }
        let kept = kept.to_owned();
        Err(Error::Differs { packages, kept })
    }
}
