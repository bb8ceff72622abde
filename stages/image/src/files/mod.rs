//! The files of a finished image, of this or another builder, without mounting it: a disk (raw, qcow2, VHD, VHDX), a file system
//! (EROFS, SquashFS, ext4, FAT, ISO 9660), a container (OCI layout, as a folder or as one file), an archive (tar, cpio; compressed or not).
//!
//! Every reader lists the names first ([`Files::entries`]); contents are read when they are asked for ([`Files::copy`]). Images
//! come from anywhere: nothing of them is believed that was not checked, lists and contents have bounds, loops have ends, and
//! what a reader does not know is an error that names it, never a guess.

pub(crate) mod archive;
pub(crate) mod cpio;
mod erofs;
mod error;
mod ext4;
mod extract;
mod fat;
mod inodes;
mod iso;
mod layers;
mod lz4;
mod open;
pub(crate) mod rpmdb;
mod squashfs;
pub(crate) mod tar;
pub(crate) mod unpack;
mod volume;

pub mod diff;

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::{Path, PathBuf},
};

use keel_artefact::{Interrupt, RootPath, Sha256};

pub use error::Error;
use error::damaged;
pub use extract::{Extracted, extract, pack};
pub use open::{Options, open};

/// The most names of an image.
const MOST_NAMES: usize = 4 << 20;
/// The most bytes of names, targets and attributes.
const MOST_WORDS: u64 = 1 << 30;
/// The most bytes of contents that are read of one image.
const MOST_CONTENT: u64 = 1 << 40;
/// How many symbolic links a look-up follows (the kernel's number).
const MOST_LINKS: usize = 40;

/// One name of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Permission bits, `0o7777` at most.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Seconds since 1970.
    pub mtime: i64,
    /// Extended attributes by their full names.
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

impl Entry {
    /// What nothing is said of.
    fn folder() -> Self {
        Self {
            kind: Kind::Dir,
            mode: 0o755,
            uid: 0,
            gid: 0,
            mtime: 0,
            xattrs: BTreeMap::new(),
        }
    }
}

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A folder.
    Dir,
    /// A regular file.
    File {
        /// Of its content: names with the same are hard links of each other.
        id: u64,
        /// In bytes.
        size: u64,
    },
    /// A symbolic link and its target.
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
    /// A socket.
    Socket,
}

impl Kind {
    /// What a message calls it.
    pub fn noun(&self) -> &'static str {
        match self {
            Self::Dir => "a folder",
            Self::File { .. } => "a file",
            Self::Symlink(_) => "a symbolic link",
            Self::CharDevice { .. } | Self::BlockDevice { .. } => "a device",
            Self::Fifo => "a pipe",
            Self::Socket => "a socket",
        }
    }

    /// Of the file-type bits of stat(2); `None`: a regular file, or none that is known.
    fn special(mode: u32, (major, minor): (u32, u32)) -> Option<Self> {
        Some(match mode >> 12 & 0o17 {
            0o01 => Self::Fifo,
            0o02 => Self::CharDevice { major, minor },
            0o06 => Self::BlockDevice { major, minor },
            0o14 => Self::Socket,
            _ => return None,
        })
    }
}

/// Major and minor number, as Linux packs them into 32 bits.
fn device(number: u32) -> (u32, u32) {
    (number >> 8 & 0xfff, number & 0xff | number >> 12 & 0xf_ff00)
}

/// The names of an image.
type Names = BTreeMap<RootPath, Entry>;

/// Names that are being listed, within bounds.
#[derive(Default)]
struct Listing {
    names: Names,
    words: u64,
}

impl Listing {
    /// The path of a name in a folder.
    fn path(folder: &RootPath, name: &[u8]) -> io::Result<RootPath> {
        let wrong = || {
            damaged(format!(
                "`{}` in `{folder}` is no name of a file that can be told",
                String::from_utf8_lossy(name).escape_debug()
            ))
        };
        let text = std::str::from_utf8(name).map_err(|_| wrong())?;
        match text.is_empty() || text.contains('/') || text.len() > 1024 {
            true => Err(wrong()),
            false => folder.join(text).map_err(|_| wrong()),
        }
    }

    fn add(&mut self, path: RootPath, entry: Entry) -> io::Result<()> {
        let target = match &entry.kind {
            Kind::Symlink(target) => target.len(),
            _ => 0,
        };
        let attributes: usize = entry
            .xattrs
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        self.words += (path.as_str().len() + target + attributes) as u64;
        if self.names.len() >= MOST_NAMES || self.words > MOST_WORDS {
            return Err(damaged(format!(
                "it has more than {MOST_NAMES} names, or too long ones"
            )));
        }
        match self.names.insert(path.clone(), entry) {
            Some(_) => Err(damaged(format!("it has `{path}` twice"))),
            None => Ok(()),
        }
    }
}

/// Where contents come from.
trait Contents {
    /// Gives the content of this number to `out`.
    fn copy(&mut self, id: u64, size: u64, out: &mut dyn Write) -> io::Result<()>;
}

/// The files of an image.
pub struct Files {
    file: PathBuf,
    names: Names,
    contents: Box<dyn Contents>,
    digests: BTreeMap<u64, Sha256>,
    left: u64,
    interrupt: Interrupt,
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Files")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl Files {
    fn new(file: &Path, names: Names, contents: Box<dyn Contents>, interrupt: &Interrupt) -> Self {
        let mut names = names;
        names.entry(RootPath::root()).or_insert_with(Entry::folder);
        Self {
            file: file.to_owned(),
            names,
            contents,
            digests: BTreeMap::new(),
            left: MOST_CONTENT,
            interrupt: interrupt.clone(),
        }
    }

    /// Every name, sorted: folders come before what is in them.
    pub fn entries(&self) -> &BTreeMap<RootPath, Entry> {
        &self.names
    }

    /// Gives the content of a file to `out`: as many bytes as its entry says.
    pub fn copy(&mut self, id: u64, size: u64, out: &mut dyn Write) -> Result<(), Error> {
        let mut counted = Counted {
            out,
            left: size,
            failed: None,
        };
        let copied = match self.left.checked_sub(size) {
            None => Err(damaged(format!("its files have more than {MOST_CONTENT} bytes"))),
            Some(left) => {
                self.left = left;
                self.contents.copy(id, size, &mut counted)
            }
        };
        let (left, failed) = (counted.left, counted.failed);
        self.interrupt.check()?;
        if let Some(source) = failed {
            let what = "the content of a file".to_owned();
            return Err(Error::Write { what, source });
        }
        let whole = copied.and_then(|()| match left {
            0 => Ok(()),
            _ => Err(damaged(format!("a file of {size} bytes ends {left} bytes early"))),
        });
        whole.map_err(|source| self.unread(source))
    }

    /// The digest of a file's content.
    pub fn digest(&mut self, id: u64, size: u64) -> Result<Sha256, Error> {
        if let Some(digest) = self.digests.get(&id) {
            return Ok(*digest);
        }
        let mut hashed = crate::write::hashed::Hashed::new(io::sink());
        self.copy(id, size, &mut hashed)?;
        let (_, digest, _) = hashed.done();
        self.digests.insert(id, digest);
        Ok(digest)
    }

    /// The whole content of a file of at most `most` bytes; none: it is larger.
    pub fn whole(&mut self, id: u64, size: u64, most: u64) -> Result<Option<Vec<u8>>, Error> {
        if size > most {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        self.copy(id, size, &mut bytes)?;
        Ok(Some(bytes))
    }

    /// Where `path` leads inside the image, links followed: with the last one, if `last`.
    pub fn find(&self, path: &str, last: bool) -> Result<RootPath, Error> {
        let real = resolve(&self.names, path, last).ok_or_else(|| Error::Loop {
            path: path.to_owned(),
        })?;
        match self.names.contains_key(&real) {
            true => Ok(real),
            false => Err(Error::Missing {
                path: path.to_owned(),
                nearest: self.nearest(&real),
            }),
        }
    }

    /// Number and size of the regular file that `path` leads to.
    pub fn file(&self, path: &str) -> Result<(u64, u64), Error> {
        match &self.names[&self.find(path, true)?].kind {
            Kind::File { id, size } => Ok((*id, *size)),
            other => Err(Error::NoFile {
                path: path.to_owned(),
                what: other.noun(),
            }),
        }
    }

    /// The name most similar to `path` in the deepest folder of it that is there.
    fn nearest(&self, path: &RootPath) -> Option<String> {
        let (mut folder, mut wanted) = (path.parent()?, path.clone());
        while !self.names.contains_key(&folder) {
            wanted = folder.clone();
            folder = folder.parent()?;
        }
        let score = |at: &RootPath| strsim::normalized_levenshtein(at.file_name(), wanted.file_name());
        let there = under(&self.names, &folder).filter(|at| at.parent().as_ref() == Some(&folder));
        let best = there
            .map(|at| (score(at), at))
            .max_by(|one, other| one.0.total_cmp(&other.0))?;
        (best.0 > 0.5).then(|| best.1.to_string())
    }

    fn unread(&self, source: io::Error) -> Error {
        let file = self.file.clone();
        Error::Read { file, source }
    }
}

/// What is below a folder, without itself.
fn under<'a>(names: &'a Names, folder: &RootPath) -> impl Iterator<Item = &'a RootPath> + use<'a> {
    let prefix = format!("{}/", folder.as_str().trim_end_matches('/'));
    // Names of other things may lie between a folder and what is in it (`a`, `a-b`, `a/c`).
    let from = RootPath::join(folder, "\u{1}").unwrap_or_else(|_| folder.clone());
    let first = names.range(from..);
    first
        .map(|(at, _)| at)
        .take_while(move |at| at.as_str().starts_with(&prefix))
}

/// The path with every symbolic link on the way followed, the last part included if `last`; `..` does not lead out of the root.
/// Parts that do not exist stay as they are. None: links go round.
fn resolve(names: &Names, path: &str, last: bool) -> Option<RootPath> {
    let parts = |text: &str| -> Vec<String> {
        let parts = text.split('/').filter(|part| !part.is_empty());
        parts.map(str::to_owned).rev().collect()
    };
    let (mut here, mut rest, mut links) = (RootPath::root(), parts(path), 0);
    while let Some(part) = rest.pop() {
        match part.as_str() {
            "." => continue,
            ".." => {
                here = here.parent().unwrap_or_else(RootPath::root);
                continue;
            }
            _ => {}
        }
        let next = here.join(&part).ok()?;
        match names.get(&next).map(|entry| &entry.kind) {
            Some(Kind::Symlink(target)) if last || !rest.is_empty() => {
                links += 1;
                if links > MOST_LINKS || target.len() + rest.len() > 1 << 16 {
                    return None;
                }
                if target.starts_with('/') {
                    here = RootPath::root();
                }
                rest.extend(parts(target));
            }
            _ => here = next,
        }
    }
    Some(here)
}

/// Takes no more than a file has, and keeps apart what is wrong with where it goes.
struct Counted<'a> {
    out: &'a mut dyn Write,
    left: u64,
    failed: Option<io::Error>,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.left.checked_sub(bytes.len() as u64);
        let left = left.ok_or_else(|| damaged("a file has more bytes than it says"))?;
        if let Err(error) = self.out.write_all(bytes) {
            self.failed = Some(error);
            return Err(io::Error::other("it cannot be written"));
        }
        self.left = left;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// Numbers of a buffer whose length the caller has checked.
fn le16(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn le32(bytes: &[u8], at: usize) -> u32 {
    u32::from(le16(bytes, at)) | u32::from(le16(bytes, at + 2)) << 16
}

fn le64(bytes: &[u8], at: usize) -> u64 {
    u64::from(le32(bytes, at)) | u64::from(le32(bytes, at + 4)) << 32
}

fn wide(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

#[cfg(test)]
mod tests;
