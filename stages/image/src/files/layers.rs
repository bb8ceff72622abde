//! The files of a container: its layers, one over the other, each with the digest that it is named by.

use std::{io, path::Path};

use keel_artefact::{Arch, Interrupt};

use super::{Contents, Error, Names, archive::Archive, error::damaged, tar, unpack};
use crate::layout::{Descriptor, Index, Layout, Manifest};

/// How deep an index may lie in another.
const DEPTH: usize = 3;
/// The most layers: runtimes take 127.
const MOST: usize = 1024;

/// All names of the layout's image for `arch`, or of its only one.
pub(super) fn list(
    layout: &Layout,
    arch: Arch,
    scratch: &Path,
    interrupt: &Interrupt,
) -> Result<(Names, Box<dyn Contents>), Error> {
    let unread = |source| Error::Read {
        file: layout.path().to_owned(),
        source,
    };
    let manifest = manifest(layout, arch)?;
    if manifest.layers.len() > MOST {
        return Err(unread(damaged(format!(
            "it has {} layers",
            manifest.layers.len()
        ))));
    }
    let mut archive = Archive::new(interrupt);
    for layer in &manifest.layers {
        interrupt.check()?;
        let place = layout.blob(layer).map_err(Box::new)?;
        let one = |archive: &mut Archive| -> io::Result<()> {
            let mut checked = crate::write::hashed::Hashed::new(io::sink());
            io::copy(&mut place.open(0)?, &mut checked)?;
            if checked.done().1 != layer.digest {
                return Err(damaged(format!("layer {} is damaged", layer.digest)));
            }
            let mut head = [0; 6];
            let have = io::Read::read(&mut place.open(0)?, &mut head)?;
            let method = unpack::method(&head[..have]);
            let file = unpack::unpack(place.open(0)?, method, scratch, interrupt)?;
            let members = tar::list(file, archive, interrupt)?;
            archive.lay(members, true)
        };
        let laid = one(&mut archive);
        interrupt.check()?;
        laid.map_err(unread)?;
    }
    archive.done().map_err(unread)
}

fn manifest(layout: &Layout, arch: Arch) -> Result<Manifest, Error> {
    let mut index = layout.index().map_err(Box::new)?;
    for _ in 0..DEPTH {
        let one = choose(&index, arch).ok_or_else(|| {
            let name = |one: &Descriptor| match &one.platform {
                Some(platform) => platform.to_string(),
                None => one.digest.to_string(),
            };
            Error::Partition {
                file: layout.path().to_owned(),
                why: format!("has no one image for linux/{}", arch.oci()),
                there: index.manifests.iter().take(20).map(name).collect(),
            }
        })?;
        if !one.is_index() {
            return Ok(layout.parsed(&one).map_err(Box::new)?);
        }
        index = layout.parsed(&one).map_err(Box::new)?;
    }
    Err(Error::Read {
        file: layout.path().to_owned(),
        source: damaged("its indexes lie too deep in each other"),
    })
}

/// The only one, or the only one for this architecture.
fn choose(index: &Index, arch: Arch) -> Option<Descriptor> {
    let only = |mut all: Vec<&Descriptor>| match all.len() {
        1 => all.pop().cloned(),
        _ => None,
    };
    let fits = |one: &&Descriptor| {
        let platform = one.platform.as_ref();
        platform.is_some_and(|of| of.os == "linux" && of.architecture == arch.oci())
    };
    only(index.manifests.iter().collect()).or_else(|| only(index.manifests.iter().filter(fits).collect()))
}
