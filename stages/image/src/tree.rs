//! The file system of an image, in memory: what every writer writes.
//!
//! A tree knows names, types, modes, owners, times and digests; the contents lie in a [`Spool`], one anonymous
//! file on disk, so that a tree of a gigabyte costs a few megabytes of memory.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    os::unix::fs::FileExt,
    path::Path,
    sync::Arc,
};

use keel_artefact::{Fingerprint, RootPath, Sha256};

use crate::{Error, error::At};

/// Contents of files, one after the other in a nameless file. The same content is kept once.
#[derive(Debug)]
pub struct Spool {
    /// None in a tree that holds no files.
    file: Option<fs_err::File>,
    length: u64,
    known: BTreeMap<Sha256, (u64, u64)>,
}

impl Spool {
    /// A spool in a file without a name on the file system of `dir`: it is gone when the process is.
    pub fn new(dir: &Path) -> io::Result<Self> {
        let path = dir.join(format!("spool-{}", std::process::id()));
        let file = fs_err::OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)?;
        fs_err::remove_file(&path)?;
        Ok(Self {
            file: Some(file),
            length: 0,
            known: BTreeMap::new(),
        })
    }

    /// A spool that takes nothing: for a tree of names.
    pub(crate) fn empty() -> Self {
        Self {
            file: None,
            length: 0,
            known: BTreeMap::new(),
        }
    }

    fn file(&self) -> io::Result<&std::fs::File> {
        self.file
            .as_ref()
            .map(fs_err::File::file)
            .ok_or_else(|| io::ErrorKind::Unsupported.into())
    }

    /// Takes all that `reader` gives.
    pub fn add(&mut self, reader: impl Read) -> io::Result<File> {
        let mut counted = Appender {
            file: self.file()?,
            at: self.length,
        };
        let (digest, size) = {
            let mut tee = Tee {
                from: reader,
                to: &mut counted,
            };
            Sha256::of_reader(&mut tee)?
        };
        let known = self.known.get(&digest).copied();
        let (offset, _) = *self.known.entry(digest).or_insert((self.length, size));
        if known.is_none() {
            self.length += size;
        }
        Ok(File {
            content: Content::Spooled { offset },
            size,
            digest,
        })
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file()?.read_at(buffer, offset)
    }
}

struct Appender<'a> {
    file: &'a std::fs::File,
    at: u64,
}

impl Write for Appender<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write_at(bytes, self.at)?;
        self.at += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Tee<'a, R> {
    from: R,
    to: &'a mut Appender<'a>,
}

impl<R: Read> Read for Tee<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(buffer)?;
        self.to.write_all(&buffer[..n])?;
        Ok(n)
    }
}

/// Where the bytes of a file are.
#[derive(Clone, Debug)]
pub enum Content {
    /// Here.
    Bytes(Arc<[u8]>),
    /// In the tree's spool, from this offset.
    Spooled {
        /// In bytes.
        offset: u64,
    },
}

/// A regular file's content.
#[derive(Clone, Debug)]
pub struct File {
    /// Its bytes.
    pub content: Content,
    /// How many.
    pub size: u64,
    /// Their digest.
    pub digest: Sha256,
}

impl File {
    /// A file of these bytes.
    pub fn of(bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        Self {
            size: bytes.len() as u64,
            digest: Sha256::of(&bytes),
            content: Content::Bytes(bytes),
        }
    }
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A folder.
    Dir,
    /// A regular file.
    File(File),
    /// A symbolic link and its target, as written.
    Symlink(String),
    /// A character device.
    CharDevice {
        /// Its number.
        major: u32,
        /// Its number.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Its number.
        major: u32,
        /// Its number.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
}

impl Kind {
    /// What a message calls it.
    pub fn noun(&self) -> &'static str {
        match self {
            Self::Dir => "a folder",
            Self::File(_) => "a file",
            Self::Symlink(_) => "a symbolic link",
            Self::CharDevice { .. } | Self::BlockDevice { .. } => "a device",
            Self::Fifo => "a pipe",
        }
    }

    /// The same thing with the same content?
    pub fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Dir, Self::Dir) | (Self::Fifo, Self::Fifo) => true,
            (Self::File(one), Self::File(two)) => one.digest == two.digest,
            (Self::Symlink(one), Self::Symlink(two)) => one == two,
            (Self::CharDevice { major: a, minor: b }, Self::CharDevice { major: c, minor: d })
            | (Self::BlockDevice { major: a, minor: b }, Self::BlockDevice { major: c, minor: d }) => {
                (a, b) == (c, d)
            }
            _ => false,
        }
    }
}

/// One name in a tree.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Permission bits, `0o7777` at most. Of a symbolic link `0o777`.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Seconds since 1970.
    pub mtime: u64,
    /// Extended attributes by their full name (`security.capability`).
    pub xattrs: BTreeMap<String, Vec<u8>>,
    /// Who brought it: a package's NEVRA, or `finaliser`.
    pub from: Arc<str>,
}

impl Node {
    /// Adds all that a writer can see of it.
    pub(crate) fn add_to(&self, path: &RootPath, all: &mut Fingerprint) {
        all.add("path", path.as_str());
        let (kind, what) = match &self.kind {
            Kind::Dir => ("dir", Vec::new()),
            Kind::File(file) => ("file", file.digest.as_bytes().to_vec()),
            Kind::Symlink(target) => ("symlink", target.clone().into_bytes()),
            Kind::CharDevice { major, minor } => ("char", format!("{major}:{minor}").into_bytes()),
            Kind::BlockDevice { major, minor } => ("block", format!("{major}:{minor}").into_bytes()),
            Kind::Fifo => ("fifo", Vec::new()),
        };
        all.add(kind, what);
        all.add(
            "meta",
            format!("{:o} {} {} {}", self.mode, self.uid, self.gid, self.mtime),
        );
        for (name, value) in &self.xattrs {
            all.add(name, value);
        }
    }
}

/// Paths and what is there, sorted; contents behind it. Parents come before their children.
#[derive(Debug)]
pub struct Tree {
    nodes: BTreeMap<RootPath, Node>,
    spool: Spool,
}

/// How many symbolic links a look-up follows before it gives up (the kernel's number).
const MAX_LINKS: usize = 40;

impl Tree {
    /// A tree of nothing but the root folder.
    pub fn new(spool: Spool, mtime: u64) -> Self {
        let root = Node {
            kind: Kind::Dir,
            mode: 0o755,
            uid: 0,
            gid: 0,
            mtime,
            xattrs: BTreeMap::new(),
            from: crate::finalise::FINALISER.into(),
        };
        Self {
            nodes: BTreeMap::from([(RootPath::root(), root)]),
            spool,
        }
    }

    /// Every node by path, sorted.
    pub fn nodes(&self) -> &BTreeMap<RootPath, Node> {
        &self.nodes
    }

    /// Where contents are put.
    pub fn spool_mut(&mut self) -> &mut Spool {
        &mut self.spool
    }

    /// The node at exactly this path, no link followed.
    pub fn get(&self, path: &RootPath) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, path: &RootPath) -> Option<&mut Node> {
        self.nodes.get_mut(path)
    }

    /// Every node, to change it.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Node> {
        self.nodes.values_mut()
    }

    /// Puts a node there, in place of what was there. The caller sees to its parent ([`Tree::add_parents`]).
    pub fn insert(&mut self, path: RootPath, node: Node) {
        self.nodes.insert(path, node);
    }

    /// Takes the node at exactly this path away.
    pub fn remove(&mut self, path: &RootPath) -> Option<Node> {
        self.nodes.remove(path)
    }

    /// Everything under the folder `path`, without itself.
    pub fn under(&self, path: &RootPath) -> impl Iterator<Item = (&RootPath, &Node)> {
        let prefix = format!("{}/", path.as_str().trim_end_matches('/'));
        self.nodes
            .range((
                std::ops::Bound::Excluded(path.clone()),
                std::ops::Bound::Unbounded,
            ))
            .skip_while({
                let prefix = prefix.clone();
                move |(at, _)| at.as_str() < prefix.as_str()
            })
            .take_while(move |(at, _)| at.as_str().starts_with(&prefix))
    }

    /// Makes the missing folders above `path`, owned by root.
    pub fn add_parents(&mut self, path: &RootPath, mtime: u64, from: &Arc<str>) {
        let mut at = path.parent();
        while let Some(parent) = at {
            if self.nodes.contains_key(&parent) {
                break;
            }
            let dir = Node {
                kind: Kind::Dir,
                mode: 0o755,
                uid: 0,
                gid: 0,
                mtime,
                xattrs: BTreeMap::new(),
                from: from.clone(),
            };
            self.nodes.insert(parent.clone(), dir);
            at = parent.parent();
        }
    }

    /// The path with every symbolic link in it followed, the last part included if `last`. Parts that do not exist
    /// stay as they are. None when links go round, or leave the root.
    pub fn resolve(&self, path: &RootPath, last: bool) -> Option<RootPath> {
        let mut done: Vec<String> = Vec::new();
        let mut rest: Vec<String> = parts(path.as_str());
        rest.reverse();
        let mut links = 0;
        while let Some(part) = rest.pop() {
            match part.as_str() {
                "." => continue,
                ".." => {
                    done.pop();
                    continue;
                }
                _ => done.push(part),
            }
            if rest.is_empty() && !last {
                break;
            }
            let here: RootPath = format!("/{}", done.join("/")).parse().ok()?;
            let Some(Node {
                kind: Kind::Symlink(target),
                ..
            }) = self.nodes.get(&here)
            else {
                continue;
            };
            links += 1;
            if links > MAX_LINKS {
                return None;
            }
            done.pop();
            if target.starts_with('/') {
                done.clear();
            }
            rest.extend(parts(target).into_iter().rev());
        }
        format!("/{}", done.join("/")).parse().ok()
    }

    /// The node that `path` leads to, links followed.
    pub fn follow(&self, path: &RootPath) -> Option<(RootPath, &Node)> {
        let real = self.resolve(path, true)?;
        let node = self.nodes.get(&real)?;
        Some((real, node))
    }

    /// The file that `path` leads to, links followed.
    pub fn file(&self, path: &RootPath) -> Option<&File> {
        match &self.follow(path)?.1.kind {
            Kind::File(file) => Some(file),
            _ => None,
        }
    }

    /// A reader of a file's content. It does not check the digest: the spool is nobody else's.
    pub fn open<'a>(&'a self, file: &'a File) -> Reader<'a> {
        Reader {
            tree: self,
            file,
            at: 0,
        }
    }

    /// The whole content of a file, at most `limit` bytes of it.
    pub fn read(&self, path: &RootPath, file: &File, limit: u64) -> Result<Vec<u8>, Error> {
        if file.size > limit {
            return Err(Error::FileTooLarge {
                path: path.clone(),
                size: file.size,
                limit,
            });
        }
        let mut bytes = Vec::with_capacity(file.size as usize);
        self.open(file)
            .read_to_end(&mut bytes)
            .at("read", "the spool of the image's files")?;
        Ok(bytes)
    }

    /// The digest of everything a writer can see: it names the tree.
    pub fn digest(&self) -> Sha256 {
        let mut all = Fingerprint::new("tree/1");
        for (path, node) in &self.nodes {
            node.add_to(path, &mut all);
        }
        all.finish()
    }

    /// Who brought how many bytes, most first.
    pub fn biggest(&self) -> Vec<(Arc<str>, u64)> {
        let mut sums: BTreeMap<Arc<str>, u64> = BTreeMap::new();
        for node in self.nodes.values() {
            if let Kind::File(file) = &node.kind {
                *sums.entry(node.from.clone()).or_default() += file.size;
            }
        }
        let mut list: Vec<_> = sums.into_iter().collect();
        list.sort_by(|one, two| two.1.cmp(&one.1).then_with(|| one.0.cmp(&two.0)));
        list
    }
}

fn parts(path: &str) -> Vec<String> {
    path.split('/')
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Reads a file of a tree from its start.
#[derive(Debug)]
pub struct Reader<'a> {
    tree: &'a Tree,
    file: &'a File,
    at: u64,
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.file.size - self.at;
        let want = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let n = match &self.file.content {
            Content::Bytes(bytes) => {
                let from = self.at as usize;
                buffer[..want].copy_from_slice(&bytes[from..from + want]);
                want
            }
            Content::Spooled { offset } => self.tree.spool.read_at(&mut buffer[..want], offset + self.at)?,
        };
        if n == 0 && want > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += n as u64;
        Ok(n)
    }
}

#[cfg(test)]
pub(crate) mod tests;
