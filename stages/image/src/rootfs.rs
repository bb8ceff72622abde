//! Outputs that are a root file system in one file: a tar archive, an initial RAM disk, a distribution for WSL.
//!
//! | format | file | what it is |
//! |---|---|---|
//! | `tar` | `NAME.tar` | the tree, with extended attributes |
//! | `cpio` | `NAME.cpio.zst`, `NAME.cpio.gz` | the tree for a kernel to unpack; with systemd as the first process `/init` leads to it |
//! | `wsl` | `NAME.wsl` | the tree as tar.gz, and in it how Windows installs and starts it ([`wsl`]) |

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use keel_artefact::{Epoch, RootPath};
use keel_config::{
    Image,
    image::{Compression, Format},
};

use crate::{
    Error,
    accounts::root_path,
    error::At,
    finalise::Make,
    selinux,
    tree::{Node, Spool, Tree},
    write::{
        cpio,
        tar::{self, Root},
    },
    wsl,
};

/// Level of zstd's compression: more of it costs much and saves little.
const ZSTD: i32 = 3;
/// Level of gzip's compression.
const GZIP: u32 = 6;
/// The first process of a machine that runs systemd.
const SYSTEMD: &str = "/usr/lib/systemd/systemd";

/// Writes those formats of `image` that are such files into the folder `out`. What a format cannot hold is told to `warn`.
pub fn write(
    tree: &Tree,
    image: &Image,
    distro: &str,
    clock: Epoch,
    out: &Path,
    warn: &dyn Fn(&str),
) -> Result<Vec<(Format, PathBuf)>, Error> {
    let mut written = Vec::new();
    for format in &image.formats {
        let name = match (format, image.cpio) {
            (Format::Tar, _) => "tar",
            (Format::Cpio, Compression::Zstd) => "cpio.zst",
            (Format::Cpio, Compression::Gzip) => "cpio.gz",
            (Format::Wsl, _) => "wsl",
            _ => continue,
        };
        let path = out.join(format!("{}.{name}", image.name));
        let what = || path.display().to_string();
        let file = fs_err::File::create(&path).at("write", what())?;
        let file = match format {
            Format::Tar => {
                tar::write(tree, Root::With, &file)?;
                file
            }
            Format::Cpio => {
                tell_attributes(tree, warn);
                let more = initrd(tree, image, clock);
                let nodes = with(tree, &more);
                match image.cpio {
                    Compression::Zstd => {
                        let mut packed = zstd::Encoder::new(file, ZSTD).at("write", what())?;
                        cpio::write(tree, nodes, &mut packed)?;
                        packed.finish().at("write", what())?
                    }
                    Compression::Gzip => {
                        let mut packed = gzip(file);
                        cpio::write(tree, nodes, &mut packed)?;
                        packed.finish().at("write", what())?
                    }
                }
            }
            _ => {
                let more = wsl::files(tree, image, distro, clock)?;
                let mut packed = gzip(file);
                tar::write_nodes(tree, with(tree, &more), Root::Without, &mut packed)?;
                packed.finish().at("write", what())?
            }
        };
        file.sync_all().at("write", what())?;
        written.push((*format, path));
    }
    Ok(written)
}

fn gzip(file: fs_err::File) -> flate2::write::GzEncoder<fs_err::File> {
    flate2::write::GzEncoder::new(file, flate2::Compression::new(GZIP))
}

/// The nodes of a tree, and those of another one that it lacks.
fn with<'a>(tree: &'a Tree, more: &'a Tree) -> BTreeMap<&'a RootPath, &'a Node> {
    more.nodes().iter().chain(tree.nodes()).collect()
}

/// What an initial RAM disk has besides: the name under which a kernel starts the first process.
fn initrd(tree: &Tree, image: &Image, clock: Epoch) -> Tree {
    let mut more = Tree::new(Spool::empty(), clock.0);
    if image.capabilities.systemd && tree.follow(&root_path(SYSTEMD)).is_some() {
        Make::new(&mut more, clock).link(&root_path("/init"), SYSTEMD.trim_start_matches('/'));
    }
    more
}

fn tell_attributes(tree: &Tree, warn: &dyn Fn(&str)) {
    // Files of an initial RAM disk are labelled when a policy is loaded, if ever.
    let has_some = |node: &Node| node.xattrs.keys().any(|name| name != selinux::ATTRIBUTE);
    let mut with_some = tree.nodes().iter().filter(|(_, node)| has_some(node));
    if let Some((first, _)) = with_some.next() {
        let others = match with_some.count() {
            0 => String::new(),
            count => format!(" and of {count} others"),
        };
        warn(&format!(
            "an initial RAM disk has no extended attributes: those of `{first}`{others} (capabilities, say) are not in it"
        ));
    }
}
