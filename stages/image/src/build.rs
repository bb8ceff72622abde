//! The stage's function: what is built, in which order, and how it becomes visible.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use keel_artefact::{Arch, Epoch, Event, Interrupt, Nevra, Sha256, Sink, event::Outcome};
use keel_config::{
    Image,
    image::{Format, Live, Os},
};
use keel_rpm::{PackageInfo, solve::Stopped};
use keel_store::Store;

mod outputs;

use outputs::{Making, blobs};

use crate::{
    Built, Error, Origin, audit,
    bill::{self, Bill},
    compose, container,
    error::{At, check},
    finalise::{self, Changed, Identity},
    fresh::{self, Fresh, write_synced},
    fstab,
    inputs::Inputs,
    kernel, key,
    left_out::{self, LeftOut},
    live,
    lock::{self, Lock, Locked},
    manifest::{self, MANIFEST, SUMS},
    provenance::{self, Signer},
    resolve, rootfs,
    selinux::{self, Labels},
    tools::Tools,
    tree::{Spool, Tree},
    verify,
};

/// A package that may go into an image.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Its header.
    pub info: PackageInfo,
    /// The signed RPM file.
    pub file: PathBuf,
    /// The file's digest.
    pub sha256: Sha256,
    /// Where it comes from.
    pub origin: Origin,
}

/// What to build, of what, to where.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The definition.
    pub image: &'a Image,
    /// The distribution's name.
    pub distro: &'a str,
    /// Its version.
    pub version: &'a str,
    /// What it runs on.
    pub arch: Arch,
    /// The packages of the repository.
    pub packages: &'a [Candidate],
    /// The public key that they are signed with, armoured.
    pub key: Option<&'a [u8]>,
    /// Names the tools: what they make may differ with it.
    pub tools_digest: Sha256,
    /// The folder of all images: `out/images`.
    pub out: &'a Path,
    /// Who signs the provenance.
    pub signer: Signer<'a>,
    /// What its packages must be.
    pub locked: Option<&'a Locked>,
    /// Scripts run on another host name and one core: the image is made to be compared.
    pub is_elsewhere: bool,
}

/// Builds an image with the given tools, unless it is there already.
pub fn make(
    request: &Request<'_>,
    tools: &dyn Tools,
    store: &Store,
    sink: &dyn Sink,
    interrupt: &Interrupt,
) -> Result<Built, Error> {
    let name = request.image.name.as_str();
    let infos: Vec<PackageInfo> = request
        .packages
        .iter()
        .map(|package| package.info.clone())
        .collect();
    let image = request.image;
    let (wanted, weak) = (&image.packages, image.install_weak_deps);
    let chosen = resolve::resolve(&infos, wanted, &image.exclude, weak, interrupt);
    let chosen = chosen.map_err(|source| unresolved(name, source))?;
    let mut initrd = Vec::new();
    if let Some(live) = &image.live {
        let found = resolve::resolve(&infos, &live.initrd_packages, &[], false, interrupt);
        initrd = found.map_err(|source| unresolved(name, source))?;
    }
    let of_root = chosen.clone();
    let mut all: Vec<usize> = chosen.into_iter().chain(initrd.iter().copied()).collect();
    all.sort_by(|one, two| infos[*one].nevra.name.cmp(&infos[*two].nevra.name));
    all.dedup();
    let candidates = |all: Vec<usize>| -> Vec<&Candidate> {
        all.into_iter().map(|index| &request.packages[index]).collect()
    };
    let (chosen, of_root, initrd) = (candidates(all), candidates(of_root), candidates(initrd));
    let packages = Locked::of(&chosen);
    let differences = request.locked.map(|locked| locked.differences(&packages));
    if let Some(differences) = differences.filter(|differences| !differences.is_empty()) {
        return Err(Error::Locked {
            image: name.to_owned(),
            differences,
        });
    }
    let inputs = Inputs::read(image, request.is_elsewhere)?;
    let key = key::of(request, &chosen, &inputs);
    let dir = request.out.join(name);
    let id = format!("image:{name}");
    let start = Instant::now();
    sink.event(Event::Started {
        id: &id,
        title: &format!("image {name}"),
        total: None,
    });
    let finish = |outcome| {
        sink.event(Event::Finished {
            id: &id,
            outcome,
            elapsed: start.elapsed(),
        })
    };
    if let Some(mut built) = store.action::<Built>("image", &key)? {
        built.dir.clone_from(&dir);
        if is_there(&built)? {
            fresh::clear_beside(&dir)?;
            // The tree may have moved on without changing anything of the image.
            provenance::write(request, &chosen, &inputs, &built, &dir)?;
            finish(Outcome::Cached);
            return Ok(built);
        }
    }
    let built = Work {
        request,
        tools,
        store,
        sink,
        interrupt,
        id: &id,
        inputs: &inputs,
        packages,
        of_root,
        of_initrd: initrd,
    }
    .run(&chosen, &dir);
    finish(if built.is_ok() {
        Outcome::Done
    } else {
        Outcome::Failed
    });
    let built = built?;
    store.record("image", &key, &built)?;
    Ok(built)
}

fn unresolved(image: &str, source: resolve::Error) -> Error {
    match source {
        resolve::Error::Stopped(Stopped::Interrupted(interrupted)) => Error::Interrupted(interrupted),
        source => Error::Resolve {
            image: image.to_owned(),
            source,
        },
    }
}

/// Are all its files where they should be, with the bytes they should have?
fn is_there(built: &Built) -> Result<bool, Error> {
    let is = |name: &str, bytes: &[u8]| fs_err::read(built.dir.join(name)).is_ok_and(|there| there == bytes);
    if !is(MANIFEST, &built.json()) || !is(SUMS, built.sums().as_bytes()) {
        return Ok(false);
    }
    for file in &built.files {
        let path = built.dir.join(&file.name);
        let is_layout = file.format == Format::Oci.as_str();
        let container = is_layout.then(|| built.container());
        if verify::wrong_with(&path, &file.sha256, container)?.is_some() {
            return Ok(false);
        }
        if is_layout && blobs(&path)? != file.size {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What every file of the image is made of.
struct Finished {
    tree: Tree,
    /// What the identities of a disk are derived from: the digest of the tree without what they are in.
    seed: Sha256,
    changed: Changed,
    selinux: Option<Labels>,
}

struct Work<'a> {
    request: &'a Request<'a>,
    tools: &'a dyn Tools,
    store: &'a Store,
    sink: &'a dyn Sink,
    interrupt: &'a Interrupt,
    id: &'a str,
    inputs: &'a Inputs<'a>,
    packages: Locked,
    /// The packages of the root.
    of_root: Vec<&'a Candidate>,
    /// The packages of a live system's initial RAM disk.
    of_initrd: Vec<&'a Candidate>,
}

impl Work<'_> {
    fn run(&self, chosen: &[&Candidate], dir: &Path) -> Result<Built, Error> {
        let name = self.request.image.name.as_str();
        let clock = chosen
            .iter()
            .map(|package| package.info.build_time)
            .max_by_key(|clock| clock.0)
            .unwrap_or(Epoch(0));
        let scratch = self.store.temp_dir("image")?;
        let Finished {
            tree,
            seed,
            changed,
            selinux,
        } = self.tree(clock, scratch.path())?;
        let fresh = Fresh::new(dir)?;
        let mut built = Built {
            format: manifest::FORMAT,
            image: self.request.image.name.clone(),
            version: self.request.version.to_owned(),
            arch: self.request.arch,
            clock,
            tree: tree.digest(),
            packages: chosen.iter().map(|package| listed(package)).collect(),
            changed,
            selinux,
            files: Vec::new(),
            boot: None,
            dir: dir.to_owned(),
        };
        let of = Making {
            tree: &tree,
            seed,
            clock,
            scratch: scratch.path(),
            out: &fresh.path,
        };
        self.container(&of, chosen, &mut built)?;
        check(self.interrupt)?;
        let warn = |text: &str| {
            let text = format!("image `{name}`: {text}");
            self.sink.event(Event::Warning { text: &text });
        };
        let (image, distro) = (self.request.image, self.request.distro);
        for (format, path) in rootfs::write(&tree, image, distro, clock, &fresh.path, &warn)? {
            self.list(&path, format.as_str(), &mut built)?;
        }
        check(self.interrupt)?;
        self.file_systems(&of, &mut built)?;
        if image.is_disk() {
            check(self.interrupt)?;
            self.disk(&of, &mut built)?;
        }
        if let Some(live) = image.live.as_ref().filter(|_| image.is_live()) {
            check(self.interrupt)?;
            let initrd = self.initrd(live, clock, scratch.path())?;
            self.live(live, &initrd, &of, &mut built)?;
        }
        built.files.sort_by(|one, two| one.name.cmp(&two.name));
        self.tell(chosen, &fresh.path, &mut built)?;
        for (file, bytes) in [(MANIFEST, built.json()), (SUMS, built.sums().into_bytes())] {
            let path = fresh.path.join(file);
            write_synced(&path, &bytes)?;
        }
        provenance::write(self.request, chosen, self.inputs, &built, &fresh.path)?;
        check(self.interrupt)?;
        fresh.show(dir)?;
        Ok(built)
    }

    /// Lock and bills of materials, of files that are complete.
    fn tell(&self, chosen: &[&Candidate], out: &Path, built: &mut Built) -> Result<(), Error> {
        let image = self.request.image;
        let is_container = image.is_container() && !image.is_machine();
        let bill = Bill::new(built, self.request.distro, is_container, chosen);
        let bill = bill.map_err(|source| Error::Needs {
            image: image.name.to_string(),
            source,
        })?;
        let lock = Lock::one(&image.name, self.request.arch, self.packages.clone());
        let documents = [
            (lock::NAME.to_owned(), "lock", lock.to_text().into_bytes()),
            (
                format!("{}.{}", image.name, bill::SPDX),
                "spdx",
                bill::spdx::write(&bill),
            ),
            (
                format!("{}.{}", image.name, bill::CYCLONEDX),
                "cyclonedx",
                bill::cyclonedx::write(&bill),
            ),
        ];
        for (name, format, bytes) in documents {
            let path = out.join(name);
            write_synced(&path, &bytes)?;
            self.list(&path, format, built)?;
        }
        built.files.sort_by(|one, two| one.name.cmp(&two.name));
        Ok(())
    }

    fn say(&self, text: &str) {
        self.sink.event(Event::Message { id: self.id, text });
    }

    /// Steps 2 to 5: everything before the first byte of output.
    fn tree(&self, clock: Epoch, scratch: &Path) -> Result<Finished, Error> {
        let image = self.request.image;
        let failed = |tool, source| Error::Tool {
            tool,
            image: image.name.to_string(),
            source,
        };
        self.say("packages");
        for package in self.of_root.iter().chain(&self.of_initrd) {
            let (digest, _) = Sha256::of_file(&package.file).at("read", package.file.display())?;
            if digest != package.sha256 {
                return Err(Error::Changed {
                    package: package.info.nevra.to_string(),
                });
            }
        }
        let left_out = self.left_out(&self.of_root);
        let packages = composed(&self.of_root, &left_out);
        let spool = Spool::new(scratch).at("make", "a spool for the image's files")?;
        let (mut tree, accounts) = compose::compose(&packages, spool, clock, self.interrupt)?;
        self.say("rpm's database");
        let files: Vec<PathBuf> = self.of_root.iter().map(|package| package.file.clone()).collect();
        let mut rpmdb = self
            .tools
            .rpmdb(&files, clock)
            .map_err(|source| failed("rpm", source))?;
        for bytes in rpmdb.values_mut() {
            left_out::record(&packages, bytes).map_err(|source| failed("rpm", source.into()))?;
        }
        let identity = Identity {
            bootable: image.is_machine(),
            systemd: image.is_machine() && image.capabilities.systemd,
            os: image.os.clone(),
            key: self.request.key.map(<[u8]>::to_vec),
            rpmdb,
        };
        let mut changed = finalise::finalise(&mut tree, &accounts, &identity, &self.inputs.added, clock)?;
        let say = |text: &str| self.say(text);
        (self.inputs.scripts).run(&mut tree, &mut changed, clock, self.store, &say, self.interrupt)?;
        let seed = tree.digest();
        if let Some(disk) = &image.disk {
            fstab::add(&mut tree, disk, &seed, clock, &mut changed)?;
        }
        let selinux = selinux::label(&mut tree, &image.formats)?;
        self.say("audit");
        let foreign = self.tools.foreign().map_err(|source| failed("stage0", source))?;
        let cmdline = match image.boots() {
            true => kernel::words(&tree, &image.os.kernel_command_line)?,
            false => Vec::new(),
        };
        let findings = audit::audit(&tree, &foreign, &image.os, &cmdline)?;
        if !findings.is_empty() {
            return Err(Error::Audit {
                image: image.name.to_string(),
                findings,
            });
        }
        if let Some(container) = &image.container {
            container::check(&tree, container)?;
        }
        Ok(Finished {
            tree,
            seed,
            changed,
            selinux,
        })
    }

    /// What the definition does not want of these packages.
    fn left_out(&self, packages: &[&Candidate]) -> Vec<LeftOut> {
        let of = |package: &&Candidate| LeftOut::of(&package.info, self.request.image);
        packages.iter().map(of).collect()
    }

    /// The initial RAM disk of a live system.
    fn initrd(&self, live: &Live, clock: Epoch, scratch: &Path) -> Result<Tree, Error> {
        let image = self.request.image.name.as_str();
        self.say("initial RAM disk");
        let spool = Spool::new(scratch).at("make", "a spool for the initial RAM disk")?;
        let left_out = self.left_out(&self.of_initrd);
        let packages = composed(&self.of_initrd, &left_out);
        let (mut tree, _) = compose::compose(&packages, spool, clock, self.interrupt)?;
        live::first_process(&mut tree, image, &live.init, clock)?;
        let foreign = self
            .tools
            .foreign()
            .map_err(|source| Error::tool("stage0", image, source))?;
        let findings = audit::audit(&tree, &foreign, &Os::default(), &[])?;
        match findings.is_empty() {
            true => Ok(tree),
            false => Err(Error::Audit {
                image: format!("{image} (initial RAM disk)"),
                findings,
            }),
        }
    }
}

fn composed<'a>(packages: &[&'a Candidate], left_out: &'a [LeftOut]) -> Vec<compose::Package<'a>> {
    let package = |(package, left_out): (&&'a Candidate, &'a LeftOut)| compose::Package {
        info: &package.info,
        file: &package.file,
        left_out,
    };
    packages.iter().zip(left_out).map(package).collect()
}

fn listed(package: &Candidate) -> manifest::Package {
    let nevra: Nevra = package.info.nevra.clone();
    manifest::Package {
        nevra,
        sha256: package.sha256,
    }
}
