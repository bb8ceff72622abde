//! The stage's function: what is built, in which order, and how it becomes visible.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Instant,
};

use keel_artefact::{Arch, Epoch, Event, Interrupt, Nevra, Sha256, Sink, event::Outcome};
use keel_config::{
    Image,
    image::{Container, Format, Layers},
};
use keel_rpm::{PackageInfo, solve::Stopped};
use keel_store::Store;

use crate::{
    Built, Error, Origin, audit,
    bill::{self, Bill},
    compose, container,
    disk::{self, Recipe},
    error::{At, check},
    finalise::{self, Changed, Identity},
    formats,
    fresh::{Fresh, write_synced},
    fstab,
    inputs::Inputs,
    key, layers,
    lock::{self, Lock, Locked},
    manifest::{self, MANIFEST, SUMS},
    provenance::{self, Signer},
    resolve, rootfs,
    tools::Tools,
    tree::{Spool, Tree},
    verify,
    write::{oci, sparse},
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
    let chosen = chosen.map_err(|source| match source {
        resolve::Error::Stopped(Stopped::Interrupted(interrupted)) => Error::Interrupted(interrupted),
        source => Error::Resolve {
            image: name.to_owned(),
            source,
        },
    })?;
    let chosen: Vec<&Candidate> = chosen.into_iter().map(|index| &request.packages[index]).collect();
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

struct Work<'a> {
    request: &'a Request<'a>,
    tools: &'a dyn Tools,
    store: &'a Store,
    sink: &'a dyn Sink,
    interrupt: &'a Interrupt,
    id: &'a str,
    inputs: &'a Inputs<'a>,
    packages: Locked,
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
        let (tree, seed, changed) = self.tree(chosen, clock, scratch.path())?;
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
            files: Vec::new(),
            boot: None,
            dir: dir.to_owned(),
        };
        let wanted = |format| self.request.image.formats.contains(&format);
        if let Some(container) = self
            .request
            .image
            .container
            .as_ref()
            .filter(|_| self.request.image.is_container())
        {
            check(self.interrupt)?;
            self.say("container");
            let layout = fresh.path.join(format!("{name}.oci"));
            let layers = match container.layers {
                Layers::Packages => layers::by_package(
                    &tree,
                    &layers::sources(chosen.iter().map(|package| &package.info)),
                ),
                Layers::One => layers::one(&tree),
            };
            let packed = layers::pack(&tree, &layers, self.store, self.interrupt)?;
            let titles = layers.into_iter().map(|layer| layer.title);
            let layers: Vec<_> = titles.zip(packed).collect();
            let digest = oci::layout(&layers, self.store, &self.settings(container, clock), &layout)?;
            if wanted(Format::OciArchive) {
                let archive = fresh.path.join(format!("{name}.oci.tar"));
                oci::archive(&layout, clock, &archive)?;
                built.files.push(listed_file(
                    &archive,
                    Format::OciArchive.as_str(),
                    self.interrupt,
                )?);
            }
            if wanted(Format::Oci) {
                let (format, size) = (Format::Oci.as_str().to_owned(), blobs(&layout)?);
                built.files.push(manifest::File {
                    name: format!("{name}.oci"),
                    format,
                    sha256: digest,
                    size,
                });
            } else {
                fs_err::remove_dir_all(&layout).at("remove", layout.display())?;
            }
        }
        check(self.interrupt)?;
        let warn = |text: &str| {
            let text = format!("image `{name}`: {text}");
            self.sink.event(Event::Warning { text: &text });
        };
        let (image, distro) = (self.request.image, self.request.distro);
        for (format, path) in rootfs::write(&tree, image, distro, clock, &fresh.path, &warn)? {
            built
                .files
                .push(listed_file(&path, format.as_str(), self.interrupt)?);
        }
        if self.request.image.is_disk() {
            check(self.interrupt)?;
            self.disk(&tree, seed, clock, scratch.path(), &fresh.path, &mut built)?;
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
            built.files.push(listed_file(&path, format, self.interrupt)?);
        }
        built.files.sort_by(|one, two| one.name.cmp(&two.name));
        Ok(())
    }

    fn say(&self, text: &str) {
        self.sink.event(Event::Message { id: self.id, text });
    }

    /// Steps 2 to 5: everything before the first byte of output. The digest is what the identities of a disk are derived
    /// from: that of the tree without what they are in.
    fn tree(
        &self,
        chosen: &[&Candidate],
        clock: Epoch,
        scratch: &Path,
    ) -> Result<(Tree, Sha256, Changed), Error> {
        let image = self.request.image;
        let failed = |tool, source| Error::Tool {
            tool,
            image: image.name.to_string(),
            source,
        };
        self.say("packages");
        for package in chosen {
            let (digest, _) = Sha256::of_file(&package.file).at("read", package.file.display())?;
            if digest != package.sha256 {
                return Err(Error::Changed {
                    package: package.info.nevra.to_string(),
                });
            }
        }
        let packages: Vec<compose::Package<'_>> = chosen
            .iter()
            .map(|package| compose::Package {
                info: &package.info,
                file: &package.file,
            })
            .collect();
        let spool = Spool::new(scratch).at("make", "a spool for the image's files")?;
        let (mut tree, accounts) = compose::compose(&packages, spool, clock, self.interrupt)?;
        self.say("rpm's database");
        let files: Vec<PathBuf> = chosen.iter().map(|package| package.file.clone()).collect();
        let identity = Identity {
            bootable: image.is_machine(),
            systemd: image.is_machine() && image.capabilities.systemd,
            os: image.os.clone(),
            key: self.request.key.map(<[u8]>::to_vec),
            rpmdb: self
                .tools
                .rpmdb(&files, clock)
                .map_err(|source| failed("rpm", source))?,
        };
        let mut changed = finalise::finalise(&mut tree, &accounts, &identity, &self.inputs.added, clock)?;
        let say = |text: &str| self.say(text);
        (self.inputs.scripts).run(&mut tree, &mut changed, clock, self.store, &say, self.interrupt)?;
        let seed = tree.digest();
        if let Some(disk) = &image.disk {
            fstab::add(&mut tree, disk, &seed, clock, &mut changed)?;
        }
        self.say("audit");
        let foreign = self.tools.foreign().map_err(|source| failed("stage0", source))?;
        let cmdline = match &image.disk {
            Some(_) => disk::words(&tree, &image.os.kernel_command_line)?,
            None => Vec::new(),
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
        Ok((tree, seed, changed))
    }

    fn settings(&self, container: &Container, clock: Epoch) -> oci::Settings {
        let Request {
            image,
            distro,
            version,
            arch,
            ..
        } = self.request;
        let annotation =
            |key: &str, value: &str| (format!("org.opencontainers.image.{key}"), value.to_owned());
        let mut labels = container.labels.clone();
        labels.extend([
            annotation("title", image.name.as_str()),
            annotation("version", version),
        ]);
        labels.extend(container.labels.clone());
        oci::Settings {
            arch: *arch,
            created: clock,
            tag: (*version).to_owned(),
            annotations: BTreeMap::from([
                annotation("title", image.name.as_str()),
                annotation("version", version),
                annotation("vendor", distro),
                annotation("created", &clock.rfc3339()),
            ]),
            entrypoint: container.entrypoint.clone(),
            cmd: container.cmd.clone(),
            env: container.env.clone(),
            labels,
            workdir: container.workdir.as_ref().map(ToString::to_string),
            user: container.user.clone(),
        }
    }

    fn disk(
        &self,
        tree: &Tree,
        seed: Sha256,
        clock: Epoch,
        scratch: &Path,
        out: &Path,
        built: &mut Built,
    ) -> Result<(), Error> {
        let (image, name) = (self.request.image, self.request.image.name.as_str());
        let missing = || Error::NoSuchFormat {
            image: name.to_owned(),
            what: "disk",
        };
        let id = format!("{}_{}", self.request.distro, self.request.version);
        let disk = image.disk.as_ref().ok_or_else(missing)?;
        let recipe = Recipe {
            image: name,
            disk,
            words: &image.os.kernel_command_line,
            arch: self.request.arch,
            id: &id,
            clock,
            seed,
        };
        self.say("root file system and disk");
        let raw = out.join(format!("{name}.raw"));
        let made = disk::write(tree, &recipe, self.tools, scratch, &raw)?;
        for target in formats::targets(&image.formats, disk, clock) {
            check(self.interrupt)?;
            let format = target.format();
            self.say(format.as_str());
            let path = out.join(format!("{name}.{format}"));
            formats::write(&raw, target, &path, self.interrupt)?;
            built
                .files
                .push(listed_file(&path, format.as_str(), self.interrupt)?);
        }
        if image.formats.contains(&Format::Raw) {
            built
                .files
                .push(listed_file(&raw, Format::Raw.as_str(), self.interrupt)?);
        } else {
            fs_err::remove_file(&raw).at("remove", raw.display())?;
        }
        let mut beside = |suffix: &str, bytes: &[u8]| {
            let path = out.join(format!("{name}.{suffix}"));
            write_synced(&path, bytes)?;
            let mut file = listed_file(&path, suffix, self.interrupt)?;
            let label = file.name.clone();
            file.format = if suffix == "vmlinuz" { "kernel" } else { "initrd" }.to_owned();
            built.files.push(file);
            Ok::<_, Error>(label)
        };
        let kernel = beside("vmlinuz", &made.kernel)?;
        let initrd = made
            .initrd
            .as_deref()
            .map(|bytes| beside("initrd", bytes))
            .transpose()?;
        built.boot = Some(manifest::Boot {
            cmdline: made.cmdline,
            kernel,
            initrd,
            release: made.release,
        });
        Ok(())
    }
}

fn listed(package: &Candidate) -> manifest::Package {
    let nevra: Nevra = package.info.nevra.clone();
    manifest::Package {
        nevra,
        sha256: package.sha256,
    }
}

fn listed_file(path: &Path, format: &str, interrupt: &Interrupt) -> Result<manifest::File, Error> {
    let digest = sparse::digest(path, interrupt);
    check(interrupt)?;
    let (sha256, size) = digest.at("read", path.display())?;
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    Ok(manifest::File {
        name,
        format: format.to_owned(),
        sha256,
        size,
    })
}

fn blobs(layout: &Path) -> Result<u64, Error> {
    let mut size = 0;
    for entry in fs_err::read_dir(layout.join("blobs/sha256")).at("read", layout.display())? {
        size += entry
            .and_then(|entry| entry.metadata())
            .at("read", layout.display())?
            .len();
    }
    Ok(size)
}
