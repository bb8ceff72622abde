//! The partitions of a disk: what is on each, how large it is and where it lies.
//!
//! 1. The tree is cut at the mount points: each partition has the files below its own.
//! 2. An EROFS or SquashFS is made at once, for nobody knows its size before; an ext4 is planned.
//! 3. All that is not said to be of a size gets what it needs; one partition gets what the others leave.
//! 4. The ext4s are made.

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
};

use keel_artefact::RootPath;
use keel_config::image::{
    FileSystem,
    partition::{Partition, PartitionContent, PartitionSize},
};
use keel_host::mkfs_ext4;

use crate::{
    Error,
    disk::Recipe,
    error::At,
    filesystem::{self, Nodes},
    tools::Tools,
    tree::Tree,
    write::{
        esp,
        ext4::Needs,
        gpt::{self, ALIGNMENT, Access, OVERHEAD, Role},
        swap,
    },
};

/// A partition that is ready to be written.
pub(crate) struct Ready {
    /// Its entry in the partition table.
    pub(crate) entry: gpt::Partition,
    /// What is written at its start.
    pub(crate) content: Content,
}

/// What a partition begins with; zeros follow.
pub(crate) enum Content {
    /// These bytes.
    Bytes(Vec<u8>),
    /// The bytes of a file.
    File(PathBuf),
}

/// The partitions in the order in which they lie on the disk, the size of the disk, and that of the root's file system.
pub(crate) fn make(
    tree: &Tree,
    recipe: &Recipe<'_>,
    files: &[esp::File],
    tools: &dyn Tools,
    scratch: &Path,
) -> Result<(Vec<Ready>, u64, u64), Error> {
    let mut parts = parts(tree, recipe, files)?;
    for part in &mut parts {
        part.measure(tree, recipe, tools, scratch)?;
    }
    let size = share_out(tree, recipe, &mut parts)?;
    for part in &parts {
        part.is_within()?;
    }
    let (mut ready, mut at, mut root_size) = (Vec::new(), ALIGNMENT, 0);
    for part in parts {
        let (role, size) = (part.role, part.size);
        let entry = gpt::Partition {
            role,
            access: part.access(),
            label: part.label.to_owned(),
            guid: gpt::uuid(&recipe.seed, &part.id),
            offset: at,
            size,
        };
        let content = part.content(tree, recipe, files, tools, scratch)?;
        if let (Role::Root(_), Content::File(file)) = (role, &content) {
            root_size = fs_err::metadata(file).at("read", file.display())?.len();
        }
        ready.push(Ready { entry, content });
        at += size;
    }
    Ok((ready, size, root_size))
}

/// A partition on its way.
struct Part<'a> {
    role: Role,
    label: &'a str,
    /// What its identity is derived from.
    id: String,
    wanted: PartitionSize,
    source: Source<'a>,
    /// What it cannot do without.
    least: Least,
    /// What it gets if nothing else is said, and then what it gets.
    size: u64,
}

/// The least that a partition can be.
#[derive(Clone, Copy)]
enum Least {
    /// So many bytes.
    Bytes(u64),
    /// What an ext4 needs.
    Ext4(Needs),
}

impl Least {
    /// The smallest size from `size` on that will do.
    fn from(self, size: u64) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.max(size),
            Self::Ext4(needs) => needs.least(size),
        }
    }
}

enum Source<'a> {
    Esp,
    Swap,
    System {
        kind: FileSystem,
        nodes: Cow<'a, Nodes>,
        /// Once it is made.
        image: Option<PathBuf>,
    },
}

/// The partitions in their order, without sizes: EFI system partition, those of the definition, the root. What takes the rest of the
/// disk is the last one, so that it can grow with the disk.
fn parts<'a>(tree: &'a Tree, recipe: &Recipe<'a>, files: &[esp::File]) -> Result<Vec<Part<'a>>, Error> {
    let disk = recipe.disk;
    let (size, needs) = (disk.esp_size.next_multiple_of(ALIGNMENT), esp::needs(files));
    if needs > size {
        let largest = files
            .iter()
            .map(|(name, bytes)| format!("{name} has {} MiB", mib(bytes.len() as u64)));
        let largest = format!("{}. Raise `esp-size`.", largest.collect::<Vec<_>>().join(", "));
        return Err(too_big(recipe, "the EFI system partition", needs, size, largest));
    }
    let mut all = vec![Part {
        role: Role::Esp,
        label: "esp",
        id: "esp".to_owned(),
        wanted: PartitionSize::Bytes(size),
        source: Source::Esp,
        least: Least::Bytes(needs),
        size,
    }];
    let mounts: Vec<&RootPath> = disk
        .partitions
        .iter()
        .filter_map(Partition::mount_point)
        .collect();
    let mut systems = cut(tree, &mounts).into_iter();
    let root = systems.next().unwrap_or_default();
    for partition in &disk.partitions {
        let source = match &partition.content {
            PartitionContent::Swap => Source::Swap,
            PartitionContent::Mounted { filesystem, .. } => Source::System {
                kind: *filesystem,
                nodes: systems.next().unwrap_or_default(),
                image: None,
            },
        };
        all.push(Part {
            role: Role::Data(partition.kind),
            label: &partition.label,
            id: id(partition),
            wanted: partition.size,
            source,
            least: Least::Bytes(0),
            size: 0,
        });
    }
    all.push(Part {
        role: Role::Root(recipe.arch),
        label: &disk.root_label,
        id: "root".to_owned(),
        wanted: match disk.root_size {
            Some(bytes) => PartitionSize::Bytes(bytes),
            None if disk.root_grows() => PartitionSize::Grow,
            None => PartitionSize::Fits,
        },
        source: Source::System {
            kind: disk.root_fs,
            nodes: root,
            image: None,
        },
        least: Least::Bytes(0),
        size: 0,
    });
    all.sort_by_key(|part| part.wanted == PartitionSize::Grow);
    Ok(all)
}

/// What the identity of a partition is derived from, besides the content of the tree.
pub(crate) fn id(partition: &Partition) -> String {
    format!("partition/{}", partition.label)
}

/// The files of the root, and of each mount point: a file belongs to the deepest one that it is below. A mount point itself is
/// the root of its own file system, and an empty folder in the one around it.
fn cut<'a>(tree: &'a Tree, mounts: &[&RootPath]) -> Vec<Cow<'a, Nodes>> {
    if mounts.is_empty() {
        return vec![Cow::Borrowed(tree.nodes())];
    }
    let mut all = vec![Nodes::new(); mounts.len() + 1];
    for (path, node) in tree.nodes() {
        let below = |mount: &RootPath| {
            let rest = path.as_str().strip_prefix(mount.as_str())?;
            (rest.is_empty() || rest.starts_with('/')).then_some(rest)
        };
        // The deepest first.
        let mut around: Vec<(usize, &str)> = (mounts.iter().enumerate())
            .filter_map(|(index, mount)| Some((index + 1, below(mount)?)))
            .collect();
        around.sort_by_key(|(_, rest)| rest.len());
        around.push((0, path.as_str()));
        for (index, rest) in around {
            let here = rest.parse().unwrap_or_else(|_| RootPath::root());
            all[index].insert(here, node.clone());
            if !rest.is_empty() {
                break;
            }
        }
    }
    all.into_iter().map(Cow::Owned).collect()
}

impl Part<'_> {
    /// Sees how large it is. What is compressed is made.
    fn measure(
        &mut self,
        tree: &Tree,
        recipe: &Recipe<'_>,
        tools: &dyn Tools,
        scratch: &Path,
    ) -> Result<(), Error> {
        if let Source::System { kind, nodes, image } = &mut self.source {
            match kind {
                FileSystem::Erofs | FileSystem::Squashfs => {
                    let request = request(recipe, self.role, self.label, &self.id, *kind, 0);
                    let made = filesystem::make(tree, nodes, &request, tools, scratch)?;
                    let size = fs_err::metadata(&made).at("read", made.display())?.len();
                    self.size = size.next_multiple_of(ALIGNMENT);
                    self.least = Least::Bytes(self.size);
                    *image = Some(made);
                }
                FileSystem::Ext4 => {
                    let needs = Needs::of(nodes);
                    (self.least, self.size) = (Least::Ext4(needs), needs.roomy());
                }
            }
        }
        if let PartitionSize::Bytes(bytes) = self.wanted {
            let least = self.least.from(bytes);
            if least > bytes {
                let (what, key) = match self.role {
                    Role::Root(_) => ("the root".to_owned(), "`root-size`"),
                    _ => (format!("partition `{}`", self.label), "its `size`"),
                };
                let largest = format!("Raise {key}, or leave packages out.");
                return Err(too_big(recipe, &what, least, bytes, largest));
            }
            self.size = bytes;
        }
        Ok(())
    }

    /// An ext4 has room set aside to grow to its largest size: it is made smaller.
    fn is_within(&self) -> Result<(), Error> {
        let is_ext4 = matches!(
            &self.source,
            Source::System {
                kind: FileSystem::Ext4,
                ..
            }
        );
        if !is_ext4 || self.size < mkfs_ext4::LARGEST {
            return Ok(());
        }
        Err(Error::LargeExt4 {
            partition: self.label.to_owned(),
            size: self.size >> 30,
            largest: mkfs_ext4::LARGEST >> 30,
        })
    }

    fn access(&self) -> Access {
        match &self.source {
            Source::System { kind, .. } if kind.is_read_only() => Access::ReadOnly,
            Source::System {
                kind: FileSystem::Ext4,
                ..
            } if self.wanted == PartitionSize::Grow => Access::Grows,
            _ => Access::Plain,
        }
    }

    fn content(
        self,
        tree: &Tree,
        recipe: &Recipe<'_>,
        files: &[esp::File],
        tools: &dyn Tools,
        scratch: &Path,
    ) -> Result<Content, Error> {
        Ok(match self.source {
            Source::Esp => Content::Bytes(esp::write(self.size, files)),
            Source::Swap => {
                let id = gpt::uuid(&recipe.seed, &format!("swap/{}", self.label));
                Content::Bytes(swap::header(self.size, id, self.label))
            }
            Source::System {
                image: Some(image), ..
            } => Content::File(image),
            Source::System { kind, nodes, .. } => {
                let request = request(recipe, self.role, self.label, &self.id, kind, self.size);
                Content::File(filesystem::make(tree, &nodes, &request, tools, scratch)?)
            }
        })
    }
}

fn request<'a>(
    recipe: &Recipe<'a>,
    role: Role,
    label: &'a str,
    id: &str,
    kind: FileSystem,
    size: u64,
) -> filesystem::Request<'a> {
    let (label, uuid) = match role {
        Role::Root(_) => ("root", kind.as_str().to_owned()),
        _ => (label, format!("{}/{id}", kind.as_str())),
    };
    filesystem::Request {
        image: recipe.image,
        kind,
        label,
        uuid: gpt::uuid(&recipe.seed, &uuid),
        hash_seed: gpt::uuid(&recipe.seed, &format!("hash/{id}")),
        clock: recipe.clock,
        size,
    }
}

/// Gives the last partition what the others leave, if it takes it. The size of the disk.
fn share_out(tree: &Tree, recipe: &Recipe<'_>, parts: &mut [Part<'_>]) -> Result<u64, Error> {
    let grows = |part: &Part<'_>| part.wanted == PartitionSize::Grow;
    let others = parts.iter().filter(|part| !grows(part)).map(|part| part.size);
    let others = OVERHEAD + others.sum::<u64>();
    let last = parts.iter_mut().find(|part| grows(part));
    let Some(size) = recipe.disk.size else {
        return Ok(others + last.map_or(0, |part| part.size));
    };
    let rest = size.saturating_sub(others);
    let least = last.as_ref().map_or(0, |part| part.least.from(rest));
    let needs = others + least;
    if needs <= size {
        if let Some(part) = last {
            part.size = rest;
        }
        return Ok(size);
    }
    let mut takes = Vec::new();
    for part in parts.iter() {
        let size = mib(if grows(part) { least } else { part.size });
        takes.push(match (part.role, &part.source) {
            (Role::Esp, _) => format!("The EFI system partition takes {size} MiB"),
            (Role::Root(_), Source::System { kind, .. }) if kind.is_read_only() => {
                format!("the compressed root {size} MiB")
            }
            (Role::Root(_), _) => format!("the root {size} MiB"),
            (Role::Data(_), _) => format!("partition `{}` {size} MiB", part.label),
        });
    }
    takes.push(format!("the partition table {} MiB", mib(OVERHEAD)));
    let biggest: Vec<String> = tree
        .biggest()
        .iter()
        .take(5)
        .map(|(who, bytes)| format!("{who} {} MiB", mib(*bytes)))
        .collect();
    let largest = format!(
        "{}. Largest packages, uncompressed: {}. Raise `size`, or leave packages out.",
        takes.join(", "),
        biggest.join(", ")
    );
    Err(too_big(recipe, "the disk", needs, size, largest))
}

fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(ALIGNMENT)
}

fn too_big(recipe: &Recipe<'_>, part: &str, needs: u64, has: u64, largest: String) -> Error {
    Error::TooBig {
        image: recipe.image.to_owned(),
        part: part.to_owned(),
        needs: mib(needs),
        has: has / ALIGNMENT,
        largest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::tests::{path, tree};

    #[test]
    fn files_belong_to_the_deepest_mount_point() {
        let tree = tree(&[
            ("/usr/f", "1"),
            ("/var/", ""),
            ("/var/log/", ""),
            ("/var/log/a", "2"),
            ("/var/lib/b", "3"),
            ("/variable", "4"),
        ]);
        let (var, log) = (path("/var"), path("/var/log"));
        let all = cut(&tree, &[&log, &var]);
        let names: Vec<Vec<&str>> = all
            .iter()
            .map(|nodes| nodes.keys().map(RootPath::as_str).collect())
            .collect();
        assert_eq!(
            names,
            [
                vec!["/", "/usr", "/usr/f", "/var", "/variable"],
                vec!["/", "/a"],
                vec!["/", "/lib", "/lib/b", "/log"],
            ]
        );
        assert!(matches!(cut(&tree, &[])[..], [Cow::Borrowed(nodes)] if nodes.len() == tree.nodes().len()));
    }
}
