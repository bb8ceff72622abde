//! stage0: a Debian root that lends compiler and tools, and ships nothing.
//!
//! Input: a [`Stage0Spec`] (which Debian, which packages). Output: a [`Stage0`]: layers to mount, and the record of what
//! is in them.
//!
//! 1. [`crate::mmdebstrap`] makes the root; its archive is unpacked (`unpack`) as it comes, without owners or devices.
//! 2. [`debs`] reads, in that archive, which packages are installed and what digest apt's signed lists give them.
//! 3. `split` takes Debian's libc and its headers out into layers of their own, so that a build root can have Keel's.
//! 4. [`fix`] makes the small layer that turns the rest into a build root: wrappers of compiler and linker, users,
//!    where libraries lie.
//! 5. [`manifest`] records each program, library, object and archive by digest, so that none can be shipped unseen.
//!
//! All of it is one tree of the store, keyed by what was asked for; [`Stage0::digest`] is over what was got. Two machines
//! that asked on different days may thus differ, and say so ([`lock`]).
//!
//! Never: runs anything of the root outside a sandbox, once it is made.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use keel_artefact::{Arch, Event, Fingerprint, Interrupt, Sha256, Sink, event::Outcome};
use keel_sandbox::Sandbox;
use keel_store::Store;

use crate::{Error, mmdebstrap};

pub mod debs;
pub mod fix;
pub mod lock;
pub mod manifest;
mod split;
mod unpack;

pub use debs::Deb;
pub use lock::{Drift, Stage0Lock};
pub use manifest::Manifest;

/// How the layers are made; raised when the same Debian packages would give other layers.
const PROTOCOL: &str = "stage0/1";

/// Which root is wanted.
#[derive(Clone, Debug)]
pub struct Stage0Spec {
    /// Debian's release: `trixie`.
    pub suite: String,
    /// Base address of a mirror of it. Where bytes come from changes nothing in what they are: not part of any key.
    pub mirror: String,
    /// The architecture of the root and of what is built in it.
    pub arch: Arch,
    /// Packages besides the essential ones.
    pub packages: Vec<String>,
    /// The packages with Debian's libc headers and start files, for the first libc only.
    pub libc_dev_packages: Vec<String>,
}

/// The root, as layers in the store.
#[derive(Clone, Debug)]
pub struct Stage0 {
    /// Over the packages (name, version, architecture, SHA-256), what was asked for, and how the layers are made.
    pub digest: Sha256,
    /// The architecture of its programs.
    pub arch: Arch,
    /// Everything but Debian's libc.
    pub tools: PathBuf,
    /// Headers, start files and link libraries of Debian's libc.
    pub libc_dev: PathBuf,
    /// Debian's libc itself: loader and libraries.
    pub libc: PathBuf,
    /// Over the tools in a root with Keel's libc.
    pub fix: PathBuf,
    /// Over the tools in a root with Debian's libc.
    pub fix_bootstrap: PathBuf,
    /// What is in it.
    pub manifest: Manifest,
    /// Its tools run where everything is different.
    pub is_elsewhere: bool,
}

/// Where faketime(1)'s library is in the root, below the folder of libraries of the architecture.
const FAKETIME: &str = "faketime/libfaketime.so.1";

impl Stage0 {
    /// The same root for tools whose output must not depend on their surroundings: the clock is 400 days ahead, host name, time zone and
    /// language are others, and there is one core. An error if the root lacks faketime.
    pub fn elsewhere(&self) -> Result<Self, Error> {
        let root = Self {
            is_elsewhere: true,
            ..self.clone()
        };
        let library = self.tools.join(root.faketime().trim_start_matches('/'));
        if library.exists() {
            return Ok(root);
        }
        Err(Error::Request {
            program: "faketime",
            why: "the clock cannot be changed: `packages` of `[keel.stage0]` needs faketime".to_owned(),
        })
    }

    /// Inside.
    fn faketime(&self) -> String {
        format!("/usr/lib/{}-linux-gnu/{FAKETIME}", self.arch.rpm())
    }

    /// A root to run Debian's tools in, over Debian's own libc; the top layer first.
    pub fn tool_lowers(&self) -> Vec<PathBuf> {
        vec![self.fix_bootstrap.clone(), self.libc.clone(), self.tools.clone()]
    }

    /// The layers of a build root; Keel's packages belong right after the first. `bootstrap` adds Debian's libc.
    pub fn build_lowers(&self, bootstrap: bool) -> Vec<PathBuf> {
        let layers = if bootstrap {
            vec![&self.fix_bootstrap, &self.libc_dev, &self.libc, &self.tools]
        } else {
            vec![&self.fix, &self.tools]
        };
        layers.into_iter().cloned().collect()
    }

    /// A sandbox over [`Stage0::tool_lowers`], with a fixed environment.
    pub fn sandbox(&self) -> Sandbox {
        let mut sandbox = Sandbox::new(self.tool_lowers());
        let variables = [
            ("HOME", "/tmp"),
            ("LANG", "C.UTF-8"),
            ("TZ", "UTC"),
            ("PATH", "/usr/bin:/usr/sbin"),
        ];
        sandbox.env = variables
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        if self.is_elsewhere {
            let faketime = self.faketime();
            let others = [
                ("LANG", "C"),
                ("TZ", "ELSE-11:30"),
                ("LD_PRELOAD", &faketime),
                ("FAKETIME", "+400d"),
                // What waits for something would wait for 400 days.
                ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ];
            let others = others.map(|(name, value)| (name.to_owned(), value.to_owned()));
            sandbox.env.extend(others);
            sandbox.hostname = "elsewhere.example".to_owned();
            sandbox.limits.cpus = Some(1);
        }
        sandbox
    }

    /// The packages, to be compared with a lock.
    pub fn lock(&self) -> Stage0Lock {
        Stage0Lock::of(&self.manifest)
    }

    /// The stage0 that [`prepare`] has made at `folder`.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let manifest = Manifest::read(&folder.join(MANIFEST))?;
        Ok(Self {
            digest: manifest.digest,
            arch: manifest.arch,
            tools: folder.join("tools"),
            libc_dev: folder.join("libc-dev"),
            libc: folder.join("libc"),
            fix: folder.join("fix"),
            fix_bootstrap: folder.join("fix-bootstrap"),
            manifest,
            is_elsewhere: false,
        })
    }
}

/// The manifest's name in the tree.
const MANIFEST: &str = "manifest.json";

/// Does the store have the root that `spec` asks for?
pub fn is_prepared(store: &Store, spec: &Stage0Spec) -> bool {
    store.existing_tree(&key(spec)).is_some()
}

/// The root that `spec` asks for: from the store, or made now (a minute, and some 200 MB from the mirror).
pub fn prepare(
    store: &Store,
    spec: &Stage0Spec,
    sink: &dyn Sink,
    interrupt: &Interrupt,
) -> Result<Stage0, Error> {
    let started = Instant::now();
    let (id, title) = (
        format!("stage0:{}", spec.suite),
        format!("stage0 (Debian {}, {})", spec.suite, spec.arch),
    );
    sink.event(Event::Started {
        id: &id,
        title: &title,
        total: None,
    });
    let key = key(spec);
    let known = store.existing_tree(&key).is_some();
    let done = store.tree(&key, |folder| make(store, spec, folder, sink, &id, interrupt));
    let done = done.and_then(|folder| Stage0::open(&folder));
    let outcome = match &done {
        Ok(_) if known => Outcome::Cached,
        Ok(_) => Outcome::Done,
        Err(_) => Outcome::Failed,
    };
    sink.event(Event::Finished {
        id: &id,
        outcome,
        elapsed: started.elapsed(),
    });
    done
}

fn key(spec: &Stage0Spec) -> Sha256 {
    let mut key = Fingerprint::new(PROTOCOL);
    key.add("suite", &spec.suite).add("arch", spec.arch.rpm());
    // The owner of the files is part of how sandboxes see them.
    key.add("owner", keel_sandbox::owner().0.to_le_bytes());
    for (label, packages) in [("package", &spec.packages), ("libc-dev", &spec.libc_dev_packages)] {
        for package in sorted(packages) {
            key.add(label, package);
        }
    }
    key.finish()
}

fn sorted(names: &[String]) -> Vec<&String> {
    let mut names: Vec<&String> = names.iter().collect();
    names.sort();
    names.dedup();
    names
}

fn make(
    store: &Store,
    spec: &Stage0Spec,
    folder: &Path,
    sink: &dyn Sink,
    id: &str,
    interrupt: &Interrupt,
) -> Result<(), Error> {
    let scratch = store.temp_dir("mmdebstrap")?;
    let packages: Vec<String> = sorted(&[spec.packages.clone(), spec.libc_dev_packages.clone()].concat())
        .into_iter()
        .cloned()
        .collect();
    let request = mmdebstrap::Request {
        suite: &spec.suite,
        mirror: &spec.mirror,
        arch: spec.arch,
        packages: &packages,
        scratch: scratch.path(),
    };
    let tools = folder.join("tools");
    fs_err::create_dir(&tools)?;
    let mut on_line = |line: &str| {
        if let Some(text) = line.strip_prefix("I: ") {
            sink.event(Event::Message { id, text });
        }
    };
    let index = mmdebstrap::run(
        &request,
        |archive| unpack::unpack(archive, &tools),
        &mut on_line,
        interrupt,
    )?;
    sink.event(Event::Message {
        id,
        text: "splitting and recording",
    });
    let debs = debs::installed(&index)?;
    split::split(folder, &spec.libc_dev_packages)?;
    fix::make(folder, spec.arch)?;
    let digest = digest(spec, &debs);
    let manifest = Manifest::of(folder, digest, spec, debs, interrupt)?;
    manifest.write(&folder.join(MANIFEST))?;
    for layer in ["tools", "libc-dev", "libc", "fix", "fix-bootstrap"] {
        keel_sandbox::hand_over(&folder.join(layer))?;
    }
    Ok(())
}

/// What a build's result may depend on of stage0.
fn digest(spec: &Stage0Spec, debs: &[Deb]) -> Sha256 {
    let mut digest = Fingerprint::new(PROTOCOL);
    digest.add("suite", &spec.suite).add("arch", spec.arch.rpm());
    for (label, packages) in [("package", &spec.packages), ("libc-dev", &spec.libc_dev_packages)] {
        for package in sorted(packages) {
            digest.add(label, package);
        }
    }
    for deb in debs {
        digest
            .add("name", &deb.name)
            .add("version", &deb.version)
            .add("arch", &deb.arch);
        digest.add_digest("sha256", &deb.sha256);
    }
    digest.finish()
}
