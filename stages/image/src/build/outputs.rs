//! The files of an image, each a function of its tree.

use std::{collections::BTreeMap, path::Path};

use keel_artefact::{Epoch, Interrupt, Sha256};
use keel_config::image::{Container, FileSystem, Format, Layers, Live};

use super::Work;
use crate::{
    Built, Candidate, Error, Request,
    disk::{self, Recipe},
    error::{At, check},
    filesystem, formats,
    fresh::write_synced,
    layers, live, manifest,
    tree::Tree,
    write::{gpt, oci, sparse},
};

/// What the files of an image are made of, and where.
#[derive(Clone, Copy)]
pub(super) struct Making<'a> {
    /// The finished root.
    pub(super) tree: &'a Tree,
    /// What identities are derived from.
    pub(super) seed: Sha256,
    /// The image's time.
    pub(super) clock: Epoch,
    /// For what is made on the way.
    pub(super) scratch: &'a Path,
    /// Where the files go.
    pub(super) out: &'a Path,
}

impl Work<'_> {
    pub(super) fn container(
        &self,
        of: &Making<'_>,
        chosen: &[&Candidate],
        built: &mut Built,
    ) -> Result<(), Error> {
        let Making { tree, clock, out, .. } = *of;
        let (image, name) = (self.request.image, self.request.image.name.as_str());
        let Some(container) = image.container.as_ref().filter(|_| image.is_container()) else {
            return Ok(());
        };
        let wanted = |format| image.formats.contains(&format);
        check(self.interrupt)?;
        self.say("container");
        let layout = out.join(format!("{name}.oci"));
        let layers = match container.layers {
            Layers::Packages => {
                layers::by_package(tree, &layers::sources(chosen.iter().map(|package| &package.info)))
            }
            Layers::One => layers::one(tree),
        };
        let packed = layers::pack(tree, &layers, self.store, self.interrupt)?;
        let titles = layers.into_iter().map(|layer| layer.title);
        let layers: Vec<_> = titles.zip(packed).collect();
        let digest = oci::layout(&layers, self.store, &self.settings(container, clock), &layout)?;
        if wanted(Format::OciArchive) {
            let archive = out.join(format!("{name}.oci.tar"));
            oci::archive(&layout, clock, &archive)?;
            self.list(&archive, Format::OciArchive.as_str(), built)?;
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
        Ok(())
    }

    /// The root as one file system in one file.
    pub(super) fn file_systems(&self, of: &Making<'_>, built: &mut Built) -> Result<(), Error> {
        let Making {
            tree,
            seed,
            clock,
            scratch,
            out,
        } = *of;
        let image = self.request.image;
        for format in &image.formats {
            let kind = match format {
                Format::Squashfs => FileSystem::Squashfs,
                Format::Erofs => FileSystem::Erofs,
                _ => continue,
            };
            check(self.interrupt)?;
            self.say(format.as_str());
            let request = filesystem::Request {
                image: image.name.as_str(),
                kind,
                label: "root",
                uuid: gpt::uuid(&seed, kind.as_str()),
                hash_seed: gpt::uuid(&seed, "hash"),
                clock,
                size: 0,
            };
            let made = filesystem::make(tree, tree.nodes(), &request, self.tools, scratch)?;
            let path = out.join(format!("{}.{format}", image.name));
            place(&made, &path)?;
            self.list(&path, format.as_str(), built)?;
        }
        Ok(())
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

    pub(super) fn disk(&self, of: &Making<'_>, built: &mut Built) -> Result<(), Error> {
        let Making {
            tree,
            seed,
            clock,
            scratch,
            out,
        } = *of;
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
            self.list(&path, format.as_str(), built)?;
        }
        if image.formats.contains(&Format::Raw) {
            self.list(&raw, Format::Raw.as_str(), built)?;
        } else {
            fs_err::remove_file(&raw).at("remove", raw.display())?;
        }
        let kernel = self.beside("vmlinuz", "kernel", &made.kernel, out, built)?;
        let initrd = match &made.initrd {
            Some(bytes) => Some(self.beside("initrd", "initrd", bytes, out, built)?),
            None => None,
        };
        built.boot = Some(manifest::Boot {
            cmdline: made.cmdline,
            kernel,
            initrd,
            release: made.release,
        });
        Ok(())
    }

    /// A live system: on a medium, and for the network.
    pub(super) fn live(
        &self,
        live: &Live,
        initrd: &Tree,
        of: &Making<'_>,
        built: &mut Built,
    ) -> Result<(), Error> {
        let out = of.out;
        let (image, name) = (self.request.image, self.request.image.name.as_str());
        let recipe = live::Recipe {
            tree: of.tree,
            image: name,
            live,
            words: &image.os.kernel_command_line,
            arch: self.request.arch,
            clock: of.clock,
            seed: of.seed,
            tools: self.tools,
            scratch: of.scratch,
        };
        self.say("live root and initial RAM disk");
        let parts = live::parts(initrd, &recipe)?;
        let kernel = self.beside("vmlinuz", "kernel", &parts.kernel.bytes, out, built)?;
        let mut boot = None;
        if image.formats.contains(&Format::Pxe) {
            check(self.interrupt)?;
            self.say(Format::Pxe.as_str());
            let cmdline = live::cmdline(live::IN_INITRD, &recipe)?;
            let whole = live::whole_initrd(&parts, &recipe)?;
            let format = Format::Pxe.as_str();
            let initrd = self.beside("pxe.initrd", format, &whole, out, built)?;
            let unified = live::unified(&parts, &cmdline, &whole, &recipe)?;
            self.beside("pxe.efi", format, &unified, out, built)?;
            let script = live::ipxe(&kernel, &initrd, &cmdline);
            self.beside("ipxe", format, script.as_bytes(), out, built)?;
            boot = Some((cmdline, initrd));
        }
        if image.formats.contains(&Format::Iso) {
            check(self.interrupt)?;
            self.say(Format::Iso.as_str());
            let initrd = self.beside("initrd", "initrd", &parts.initrd, out, built)?;
            let cmdline = live::cmdline(&live::volume(&recipe), &recipe)?;
            let path = out.join(format!("{name}.iso"));
            live::iso(&parts, &cmdline, &self.inputs.medium, &recipe, &path)?;
            self.list(&path, Format::Iso.as_str(), built)?;
            boot = Some((cmdline, initrd));
        }
        built.boot = boot.map(|(cmdline, initrd)| manifest::Boot {
            cmdline,
            kernel,
            initrd: Some(initrd),
            release: parts.kernel.release,
        });
        Ok(())
    }

    /// A file `NAME.SUFFIX` of these bytes, listed as `format`. Its name.
    fn beside(
        &self,
        suffix: &str,
        format: &str,
        bytes: &[u8],
        out: &Path,
        built: &mut Built,
    ) -> Result<String, Error> {
        let name = format!("{}.{suffix}", self.request.image.name);
        let path = out.join(&name);
        write_synced(&path, bytes)?;
        self.list(&path, format, built)?;
        Ok(name)
    }

    /// Lists a finished file, once it is on the disk.
    pub(super) fn list(&self, path: &Path, format: &str, built: &mut Built) -> Result<(), Error> {
        let synced = fs_err::File::open(path).and_then(|file| file.sync_all());
        synced.at("write", path.display())?;
        built.files.push(listed_file(path, format, self.interrupt)?);
        Ok(())
    }
}

/// Gives a finished file its place, which may be on another file system.
fn place(made: &Path, path: &Path) -> Result<(), Error> {
    if fs_err::rename(made, path).is_ok() {
        return Ok(());
    }
    fs_err::copy(made, path).at("write", path.display())?;
    fs_err::remove_file(made).at("remove", made.display())
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

pub(super) fn blobs(layout: &Path) -> Result<u64, Error> {
    let mut size = 0;
    for entry in fs_err::read_dir(layout.join("blobs/sha256")).at("read", layout.display())? {
        size += entry
            .and_then(|entry| entry.metadata())
            .at("read", layout.display())?
            .len();
    }
    Ok(size)
}
