//! Files of a tree as a file system in a file: EROFS or ext4, made by stage0's programs, read back and compared.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use keel_artefact::{Arch, Epoch, Interrupt, RootPath, Sha256};
use keel_config::image::FileSystem;
use keel_host::{mkfs_ext4::Attribute, mksquashfs};
use uuid::Uuid;

use crate::{
    Error,
    error::At,
    files, read,
    tools::{Erofs, Ext4, Squashfs, Tools},
    tree::{Kind, Node, Tree},
    write::{ext4::Needs, tar},
};

/// The files of a file system, by their paths from its root.
pub type Nodes = BTreeMap<RootPath, Node>;

/// What is made.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The image's name, for messages.
    pub image: &'a str,
    /// The kind.
    pub kind: FileSystem,
    /// Its label; what does not fit is left out.
    pub label: &'a str,
    /// Its identity.
    pub uuid: Uuid,
    /// What the order of names in large folders depends on.
    pub hash_seed: Uuid,
    /// The image's time.
    pub clock: Epoch,
    /// Bytes that an ext4 is to have; an EROFS has what it needs.
    pub size: u64,
}

/// Makes the file system in `scratch`. The contents of `nodes` are in the spool of `tree`.
pub fn make(
    tree: &Tree,
    nodes: &Nodes,
    request: &Request<'_>,
    tools: &dyn Tools,
    scratch: &Path,
) -> Result<PathBuf, Error> {
    let stem = request.uuid.to_string();
    let (archive, image) = (
        scratch.join(format!("{stem}.tar")),
        scratch.join(format!("{stem}.fs")),
    );
    let file = fs_err::File::create(&archive).at("write", archive.display())?;
    let failed = |tool| {
        move |source| Error::Tool {
            tool,
            image: request.image.to_owned(),
            source,
        }
    };
    match request.kind {
        FileSystem::Erofs => {
            tar::write_nodes(tree, nodes, tar::Root::With, file)?;
            let options = Erofs {
                uuid: request.uuid,
                label: fitting(request.label, 15),
                clock: request.clock,
            };
            let made = tools.mkfs_erofs(&archive, &image, &options);
            made.map_err(failed("mkfs.erofs"))?;
            same_as_erofs(nodes, request.image, tools, &image, &scratch.join("check"))?;
        }
        FileSystem::Squashfs => {
            tar::write_nodes(tree, nodes, tar::Root::With, file)?;
            let root = nodes.get(&RootPath::root());
            let options = Squashfs {
                clock: request.clock,
                root: root.map_or_else(Default::default, |root| mksquashfs::Root {
                    mode: root.mode,
                    uid: root.uid,
                    gid: root.gid,
                    mtime: root.mtime,
                    attributes: root.xattrs.clone(),
                }),
            };
            let made = tools.mksquashfs(&archive, &image, &options);
            made.map_err(failed("mksquashfs"))?;
            same_as_squashfs(nodes, request.image, &image, scratch)?;
        }
        FileSystem::Ext4 => {
            tar::write_nodes(tree, nodes, tar::Root::WithTimes, file)?;
            let options = Ext4 {
                uuid: request.uuid,
                hash_seed: request.hash_seed,
                label: fitting(request.label, 16),
                clock: request.clock,
                layout: Needs::of(nodes).layout(request.size),
                attributes: &attributes(nodes),
            };
            let made = tools.mkfs_ext4(&archive, &image, &options);
            made.map_err(failed("mke2fs"))?;
            same_as_ext4(nodes, request.image, &image)?;
        }
    }
    fs_err::remove_file(&archive).at("remove", archive.display())?;
    Ok(image)
}

/// As much of a label as a file system has room for.
fn fitting(label: &str, most: usize) -> &str {
    label.get(..most).unwrap_or(label)
}

/// mke2fs takes no others from an archive.
fn attributes(nodes: &Nodes) -> Vec<Attribute<'_>> {
    let all = nodes.iter().flat_map(|(path, node)| {
        node.xattrs.iter().map(|(name, value)| Attribute {
            path: path.as_str(),
            name,
            value,
        })
    });
    all.filter(|attribute| attribute.name != "security.capability")
        .collect()
}

/// Reads an EROFS back and compares it with its files: mkfs.erofs 1.8.6 was seen to write zeros instead of files
/// (`-Efragments`), and fsck.erofs to find nothing wrong with that.
fn same_as_erofs(
    nodes: &Nodes,
    name: &str,
    tools: &dyn Tools,
    image: &Path,
    check: &Path,
) -> Result<(), Error> {
    let is_device = |kind: &Kind| matches!(kind, Kind::CharDevice { .. } | Kind::BlockDevice { .. });
    if nodes.values().any(|node| is_device(&node.kind)) {
        // Devices cannot be made without privileges, so neither can the copy.
        return Ok(());
    }
    tools.extract_erofs(image, check).map_err(|source| Error::Tool {
        tool: "fsck.erofs",
        image: name.to_owned(),
        source,
    })?;
    let root = check.join("tree");
    for (path, node) in nodes {
        let found = path.under(&root);
        let same = match &node.kind {
            Kind::File(file) => Sha256::of_file(&found).is_ok_and(|(digest, _)| digest == file.digest),
            Kind::Symlink(target) => fs_err::read_link(&found).is_ok_and(|to| to == Path::new(target)),
            Kind::Dir => found.is_dir(),
            _ => true,
        };
        if !same {
            return Err(Error::Unfaithful {
                tool: "mkfs.erofs",
                image: name.to_owned(),
                path: path.clone(),
                what: None,
            });
        }
    }
    fs_err::remove_dir_all(check).at("remove", check.display())
}

/// Reads a SquashFS back and compares everything in it with its files.
fn same_as_squashfs(nodes: &Nodes, name: &str, image: &Path, scratch: &Path) -> Result<(), Error> {
    let options = files::Options {
        partition: None,
        arch: Arch::X86_64,
        scratch,
    };
    let failed = |source: files::Error| Error::tool("mksquashfs", name, source);
    let mut found = files::open(image, &options, &Interrupt::default()).map_err(failed)?;
    let entries = found.entries().clone();
    let wrong = |path: &RootPath, what| Error::Unfaithful {
        tool: "mksquashfs",
        image: name.to_owned(),
        path: path.clone(),
        what: Some(what),
    };
    if let Some(path) = entries.keys().find(|path| !nodes.contains_key(*path)) {
        return Err(wrong(path, "it should not be there"));
    }
    for (path, node) in nodes {
        let entry = entries.get(path).ok_or_else(|| wrong(path, "it is missing"))?;
        let content = match (&node.kind, &entry.kind) {
            (Kind::File(file), files::Kind::File { id, size }) => {
                *size == file.size && found.digest(*id, *size).map_err(failed)? == file.digest
            }
            (Kind::Symlink(target), files::Kind::Symlink(to)) => target == to,
            (Kind::Dir, files::Kind::Dir) | (Kind::Fifo, files::Kind::Fifo) => true,
            (
                Kind::CharDevice { major, minor },
                files::Kind::CharDevice {
                    major: to_major,
                    minor: to_minor,
                },
            )
            | (
                Kind::BlockDevice { major, minor },
                files::Kind::BlockDevice {
                    major: to_major,
                    minor: to_minor,
                },
            ) => (major, minor) == (to_major, to_minor),
            _ => false,
        };
        let is_root = path.as_str() == "/";
        let all = [
            (content, "its kind or content"),
            (node.mode == entry.mode, "its mode"),
            ((node.uid, node.gid) == (entry.uid, entry.gid), "its owner"),
            (
                i64::try_from(node.mtime) == Ok(entry.mtime) || is_root,
                "its time",
            ),
            (node.xattrs == entry.xattrs, "its attributes"),
        ];
        if let Some((_, what)) = all.into_iter().find(|(same, _)| !same) {
            return Err(wrong(path, what));
        }
    }
    Ok(())
}

/// The folder that every ext4 has, for what e2fsck finds.
const LOST: &str = "/lost+found";

/// Reads an ext4 back and compares everything in it with its files.
pub(crate) fn same_as_ext4(nodes: &Nodes, name: &str, image: &Path) -> Result<(), Error> {
    let wrong = |path: &RootPath, what| Error::Unfaithful {
        tool: "mke2fs",
        image: name.to_owned(),
        path: path.clone(),
        what: Some(what),
    };
    let file = fs_err::File::open(image).at("read", image.display())?;
    let system = read::ext4::Ext4::open(file.file()).at("read", image.display())?;
    let mut folders = vec![(RootPath::root(), read::ext4::ROOT)];
    let mut seen = BTreeSet::new();
    while let Some((path, number)) = folders.pop() {
        let inode = system.inode(number).at("read", image.display())?;
        let Some(node) = nodes.get(&path) else {
            if path.as_str() == LOST {
                continue;
            }
            return Err(wrong(&path, "it should not be there"));
        };
        if let Some(what) = differs(&system, &inode, node).at("read", image.display())? {
            return Err(wrong(&path, what));
        }
        if matches!(node.kind, Kind::Dir) {
            for (name, number) in system.names(&inode).at("read", image.display())? {
                let below = path.join(&name).map_err(|_| wrong(&path, "its names"))?;
                folders.push((below, number));
            }
        }
        seen.insert(path);
    }
    match nodes.keys().find(|path| !seen.contains(*path)) {
        Some(path) => Err(wrong(path, "it is missing")),
        None => Ok(()),
    }
}

/// What of a file is not as it should be.
fn differs(
    system: &read::ext4::Ext4<'_>,
    inode: &read::ext4::Inode,
    node: &Node,
) -> std::io::Result<Option<&'static str>> {
    // mke2fs knows no later time.
    let time = u32::try_from(node.mtime.min(i32::MAX as u64)).unwrap_or(u32::MAX);
    let kind = match &node.kind {
        Kind::Dir => 0o04,
        Kind::File(_) => 0o10,
        Kind::Symlink(_) => 0o12,
        Kind::CharDevice { .. } => 0o02,
        Kind::BlockDevice { .. } => 0o06,
        Kind::Fifo => 0o01,
    };
    let content = match &node.kind {
        _ if inode.mode >> 12 != kind => return Ok(Some("its kind")),
        Kind::File(file) => {
            let digest = Sha256::of_reader(system.open_file(inode)?)?;
            digest == (file.digest, file.size)
        }
        Kind::Symlink(target) => system.target(inode)? == *target,
        Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor } => {
            inode.device() == (*major, *minor)
        }
        Kind::Dir | Kind::Fifo => true,
    };
    let all = [
        (content, "its content"),
        (inode.mode & 0o7777 == node.mode, "its mode"),
        ((inode.uid, inode.gid) == (node.uid, node.gid), "its owner"),
        (inode.times == [time; 3], "its time"),
        (system.attributes(inode)? == node.xattrs, "its attributes"),
    ];
    Ok(all.into_iter().find(|(same, _)| !same).map(|(_, what)| what))
}
