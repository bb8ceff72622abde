//! The folders of one build on the host: laid out before it, bounded while it runs, read after it.

use std::{
    io::{Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    time::Duration,
};

use keel_artefact::{Epoch, Sha256};
use keel_host::disorderfs::Disordered;
use keel_sandbox::{Bind, Limits, Sandbox};
use keel_source::SourceSet;
use keel_spec::Recipe;
use keel_store::Store;

use crate::{Error, root};

/// Bytes in each folder in memory of a build in other surroundings.
const IN_MEMORY: u64 = 8 << 30;
/// Of a log, so much is read to find what failed.
const MOST_LOGGED: u64 = 8 << 20;
/// Of what one run of the linker says, so much is read.
const MOST_TRACED: u64 = 64 << 20;

/// The folders of one build on the host.
pub(crate) struct Folders {
    build: PathBuf,
    sources: PathBuf,
    specs: PathBuf,
    trace: PathBuf,
}

impl Folders {
    pub(crate) fn lay_out(
        store: &Store,
        recipe: &Recipe,
        sources: &SourceSet,
        bench: &Path,
    ) -> Result<Self, Error> {
        let new = Self {
            build: bench.join("build"),
            sources: bench.join("sources"),
            specs: bench.join("specs"),
            trace: bench.join("build/trace"),
        };
        for folder in ["BUILD", "BUILDROOT", "RPMS", "SRPMS", "SOURCES", "SPECS", "trace"] {
            fs_err::create_dir_all(new.build.join(folder))?;
        }
        fs_err::create_dir_all(&new.sources)?;
        fs_err::create_dir_all(&new.specs)?;
        let spec = fs_err::read(&recipe.spec_file)?;
        if Sha256::of(&spec) != recipe.spec_digest {
            return Err(Error::SpecChanged {
                path: recipe.spec_file.clone(),
            });
        }
        let spec_file = new.specs.join(format!("{}.spec", recipe.name));
        fs_err::write(&spec_file, spec)?;
        set_time(&spec_file, recipe.source_date_epoch)?;
        for file in &sources.files {
            // A copy (where the file system can, of blocks that are shared), with the time that source packages give it: when
            // it was fetched is nobody's business.
            let name = new.sources.join(&file.name);
            store.verify(&file.digest)?;
            store.copy_object(&file.digest, &name)?;
            set_time(&name, recipe.source_date_epoch)?;
        }
        keel_sandbox::hand_over(&new.build)?;
        Ok(new)
    }

    /// The sandbox with these folders in it, and the limits of a build.
    pub(crate) fn in_sandbox(&self, mut sandbox: Sandbox, nice: i32) -> Sandbox {
        sandbox.limits = Limits::of_a_build(nice);
        sandbox.binds.push(bind(&self.build, "/build", true));
        sandbox.binds.push(bind(&self.sources, "/build/SOURCES", false));
        sandbox.binds.push(bind(&self.specs, "/build/SPECS", false));
        sandbox
    }

    /// Has a sandbox list the entries of the folders that it writes in a random order, as long as what is given lives. The thread must
    /// have mounts of its own.
    pub(crate) fn in_disorder(&self, sandbox: &mut Sandbox) -> Result<Disordered, Error> {
        let shown = Disordered::show(&self.build, &WRITTEN)?;
        let seen = WRITTEN.map(|name| bind(&shown.folder(name), &format!("/build/{name}"), true));
        sandbox.binds.extend(seen);
        Ok(shown)
    }

    /// What each run of the linker read, one file after the other, with a NUL byte between.
    pub(crate) fn trace(&self) -> Result<Vec<u8>, Error> {
        let mut files = Vec::new();
        for entry in read_own(&self.trace)? {
            let entry = entry?;
            // The build could have put anything there: what is no file is not followed.
            if entry.file_type()?.is_file() {
                let mut text = Vec::new();
                fs_err::File::open(entry.path())?
                    .take(MOST_TRACED)
                    .read_to_end(&mut text)?;
                files.push(text);
            }
        }
        files.sort();
        Ok(files.join(&0))
    }

    /// All packages that rpmbuild wrote, in the order of their names.
    pub(crate) fn packages(&self) -> Result<Vec<PathBuf>, Error> {
        let mut found = Vec::new();
        let mut folders = vec![self.build.join("RPMS"), self.build.join("SRPMS")];
        while let Some(folder) = folders.pop() {
            for entry in read_own(&folder)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    folders.push(entry.path());
                } else if entry.file_type()?.is_file()
                    && entry.path().extension().is_some_and(|end| end == "rpm")
                {
                    found.push(entry.path());
                }
            }
        }
        found.sort();
        Ok(found)
    }
}

/// The entries of a folder that a build could write, unless it put a link to another place there.
fn read_own(folder: &Path) -> Result<fs_err::ReadDir, Error> {
    if !fs_err::symlink_metadata(folder)?.is_dir() {
        let message = format!("the build replaced {} by something else", folder.display());
        return Err(std::io::Error::other(message).into());
    }
    Ok(fs_err::read_dir(folder)?)
}

/// Sets when a file was last changed.
fn set_time(file: &Path, epoch: Epoch) -> Result<(), Error> {
    let time = std::time::UNIX_EPOCH + Duration::from_secs(epoch.0);
    Ok(fs_err::OpenOptions::new()
        .write(true)
        .open(file)?
        .set_modified(time)?)
}

fn bind(host: &Path, guest: &str, writable: bool) -> Bind {
    Bind {
        host: host.to_owned(),
        guest: root::path(guest),
        writable,
    }
}

/// Where a build writes nearly all of its files, in `/build`.
const WRITTEN: [&str; 2] = ["BUILD", "BUILDROOT"];

/// Has a sandbox write them in memory: a folder there lists its entries in another order than one on disk.
pub(crate) fn in_memory(sandbox: &mut Sandbox) {
    let folders = WRITTEN.map(|name| root::path(&format!("/build/{name}")));
    sandbox.tmpfs.extend(folders);
    sandbox.limits.tmpfs = Some(IN_MEMORY);
}

/// Is there memory for what a build writes? 8 GiB are what a kernel needs, twice.
pub(crate) fn has_room_in_memory() -> bool {
    memory("MemAvailable").is_some_and(|available| available > IN_MEMORY)
}

/// A line of proc_meminfo(5), in bytes.
fn memory(what: &str) -> Option<u64> {
    let info = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix(what)?.strip_prefix(':'))?;
    line.trim()
        .strip_suffix(" kB")?
        .parse::<u64>()
        .ok()?
        .checked_mul(1024)
}

/// The end of a log: what failed is there.
pub(crate) fn tail(log: &Path) -> Result<Vec<u8>, Error> {
    let mut file = fs_err::File::open(log)?;
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(MOST_LOGGED)))?;
    let mut text = Vec::new();
    file.take(MOST_LOGGED).read_to_end(&mut text)?;
    Ok(text)
}
