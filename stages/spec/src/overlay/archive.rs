//! Overlays of what is inside an archive among the sources.
//!
//! 1. The archive is unpacked into a folder of its own (`unpack.rs`): files, folders and links that stay inside; anything else
//!    in it is an error, for it would be lost.
//! 2. All its overlays are applied there, below the one folder at its top, if there is one and nothing beside it.
//! 3. It is packed again (`pack.rs`): sorted, times 0, owner 0, compressed as it was; and takes its place at once.
//!
//! Bytes go through memory piece by piece. How much an archive may become is limited.

mod pack;
mod unpack;

use std::{
    collections::BTreeMap,
    io::{self, Read as _, Seek as _, Write},
    path::Path,
};

use keel_config::overlay::{Change, Overlay, Semantics};
use serde::Serialize;
use sha2::{Digest as _, Sha256, Sha512};

use crate::macros::text;

use super::{
    Error, Record,
    failure::{Failure, Kind},
    files,
    folder::{Folder, is_inside},
};

/// An archive that overlays changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Repacked {
    /// Its file name.
    pub archive: String,
    /// What it is now.
    pub sha256: String,
    /// What it is now.
    pub sha512: String,
    /// What each overlay did in it.
    pub overlays: Vec<Record>,
}

impl Repacked {
    /// Its digest, in hexadecimal, by an algorithm's name as `sources` writes it.
    pub fn digest(&self, algorithm: &str) -> Option<String> {
        match algorithm {
            "SHA256" => Some(self.sha256.clone()),
            "SHA512" => Some(self.sha512.clone()),
            _ => None,
        }
    }
}

/// How an archive is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compression {
    None,
    Gzip,
    Xz,
    Zstd,
}

impl Compression {
    /// By a file's first bytes; an empty file has none.
    fn of(magic: &[u8]) -> Self {
        match magic {
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            _ => Self::None,
        }
    }
}

/// Is it a file name that archives have which can be changed?
pub fn is_archive(name: &str) -> bool {
    const ENDS: [&str; 7] = [".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.zst", ".tzst"];
    let lower = name.to_ascii_lowercase();
    ENDS.iter().any(|end| lower.ends_with(end))
}

/// Applies all overlays that are about archives, archive by archive in the order in which they are first named. Archives lie
/// in `folder`; `scratch` must not be there, and is not there afterwards.
pub fn apply(
    folder: &Folder,
    scratch: &Path,
    overlays: &[Overlay],
    semantics: Semantics,
) -> Result<Vec<Repacked>, Error> {
    let mut groups: Vec<(&str, Vec<&Overlay>)> = Vec::new();
    for overlay in overlays {
        let Some(archive) = overlay.archive.as_deref() else {
            continue;
        };
        match groups.iter_mut().find(|(name, _)| *name == archive) {
            Some((_, group)) => group.push(overlay),
            None => groups.push((archive, vec![overlay])),
        }
    }
    let mut repacked = Vec::new();
    for (archive, group) in groups {
        for overlay in &group {
            may(archive, &overlay.change).map_err(|failure| failure.of(overlay))?;
        }
        let done = one(folder, scratch, archive, &group, semantics);
        let cleaned = match fs_err::remove_dir_all(scratch) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        let done = done?;
        cleaned.map_err(|error| failed(archive, &error).of(group[0]))?;
        repacked.push(done);
    }
    Ok(repacked)
}

/// Packs all that is in a folder as the archive `name` says, into the file `to`: sorted, times and owners 0, permissions 755
/// or 644. Files and links are taken, all else is an error.
pub fn pack(folder: &Path, name: &str, to: &Path) -> io::Result<()> {
    let lower = name.to_ascii_lowercase();
    let ends = |ends: &[&str]| ends.iter().any(|end| lower.ends_with(end));
    let compression = match () {
        () if ends(&[".tar"]) => Compression::None,
        () if ends(&[".tar.gz", ".tgz"]) => Compression::Gzip,
        () if ends(&[".tar.xz", ".txz"]) => Compression::Xz,
        () if ends(&[".tar.zst", ".tzst"]) => Compression::Zstd,
        () => {
            return Err(io::Error::other(format!(
                "`{name}` is not called like an archive"
            )));
        }
    };
    let mut contents = Contents::default();
    contents.take(folder, &mut Vec::new())?;
    let whole = Folder::open(folder)?;
    let mut file = fs_err::File::create(to)?;
    pack::pack(&contents, &whole, compression, Hashed::new(&mut file))?;
    file.sync_all()
}

fn may(archive: &str, change: &Change) -> Result<(), Failure> {
    if archive.contains('/') || !is_inside(archive) || !is_archive(archive) {
        let what = format!("`{archive}` is no archive that can be changed");
        return Err(Failure::new(Kind::Name, what)
            .hint("names end in .tar, .tar.gz, .tgz, .tar.xz, .txz, .tar.zst, .tzst"));
    }
    match change {
        Change::FileRemove { .. } | Change::FileSearchReplace { .. } => Ok(()),
        _ => Err(Failure::new(
            Kind::NotPossible,
            "in archives there are only `file-remove` and `file-search-replace`",
        )),
    }
}

fn one(
    folder: &Folder,
    scratch: &Path,
    archive: &str,
    overlays: &[&Overlay],
    semantics: Semantics,
) -> Result<Repacked, Error> {
    let first = overlays[0];
    let wrong = |error: io::Error| failed(archive, &error).of(first);
    fs_err::create_dir(scratch).map_err(wrong)?;
    let whole = Folder::open(scratch).map_err(wrong)?;
    let (mut file, mode) = folder.open_file(archive).map_err(wrong)?;
    let mut magic = Vec::new();
    (&file).take(6).read_to_end(&mut magic).map_err(wrong)?;
    file.rewind().map_err(wrong)?;
    let compression = Compression::of(&magic);
    let size = file.metadata().map_err(wrong)?.len();
    let mut contents = unpack::unpack(file, size, compression, &whole).map_err(wrong)?;
    if let Some(link) = keel_store::links::first_outside(scratch).map_err(wrong)? {
        let text = format!("the link `{}` in it leads out of it", link.display());
        return Err(wrong(io::Error::other(text)));
    }

    let top = contents.single_top();
    let root = match &top {
        Some(top) => Folder::open(&scratch.join(top)).map_err(wrong)?,
        None => whole,
    };
    let mut records = Vec::new();
    for overlay in overlays {
        let actions =
            files::apply(&root, &overlay.change, semantics).map_err(|failure| failure.of(overlay))?;
        for action in &actions {
            if let files::Action::Remove { file } = action {
                contents.remove(&match &top {
                    Some(top) => format!("{top}/{file}"),
                    None => file.clone(),
                });
            }
        }
        records.push(Record {
            files: actions,
            ..Record::of(overlay)
        });
    }
    let whole = Folder::open(scratch).map_err(wrong)?;
    let digests = folder.replace(archive, mode, |file| {
        let hashed = pack::pack(&contents, &whole, compression, Hashed::new(&mut *file))?;
        let digests = hashed.finish();
        file.sync_all()?;
        Ok(digests)
    });
    let (sha256, sha512) = digests.map_err(wrong)?;
    Ok(Repacked {
        archive: archive.to_owned(),
        sha256,
        sha512,
        overlays: records,
    })
}

fn failed(archive: &str, error: &io::Error) -> Failure {
    Failure::new(
        Kind::Archive,
        format!("the archive `{archive}` cannot be changed"),
    )
    .because(error.to_string())
}

/// What an archive holds, by path: with stand-ins for bytes that are not UTF-8, as everywhere here.
#[derive(Debug, Default)]
struct Contents {
    entries: BTreeMap<Vec<String>, Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    kind: EntryKind,
    /// Permissions.
    mode: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum EntryKind {
    File,
    Folder,
    Link(String),
}

impl Contents {
    /// The one folder at the top, if there is nothing else.
    fn single_top(&self) -> Option<String> {
        let mut tops = self.entries.keys().filter_map(|path| path.first());
        let first = tops.next()?;
        let entry = self.entries.get(std::slice::from_ref(first))?;
        let single = tops.all(|top| top == first) && entry.kind == EntryKind::Folder;
        single.then(|| first.clone())
    }

    /// Takes in what lies in a folder, whose path in the archive is `path`.
    fn take(&mut self, folder: &Path, path: &mut Vec<String>) -> io::Result<()> {
        use std::os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _};
        const DEEPEST: usize = 64;
        if path.len() > DEEPEST {
            return Err(io::Error::other(format!(
                "folders are nested deeper than {DEEPEST}"
            )));
        }
        for entry in fs_err::read_dir(folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            let is_program = entry.metadata()?.permissions().mode() & 0o100 != 0;
            let mode = if kind.is_dir() || is_program { 0o755 } else { 0o644 };
            path.push(text::decode(entry.file_name().as_bytes()).into_owned());
            let kind = if kind.is_dir() {
                self.take(&entry.path(), path)?;
                EntryKind::Folder
            } else if kind.is_symlink() {
                let target = fs_err::read_link(entry.path())?;
                EntryKind::Link(text::decode(target.as_os_str().as_bytes()).into_owned())
            } else if kind.is_file() {
                EntryKind::File
            } else {
                let text = format!("`{}` is neither file nor folder nor link", path.join("/"));
                return Err(io::Error::other(text));
            };
            self.entries.insert(path.clone(), Entry { kind, mode });
            path.pop();
        }
        Ok(())
    }

    fn remove(&mut self, path: &str) {
        let path: Vec<String> = path.split('/').map(str::to_owned).collect();
        self.entries.remove(&path);
    }
}

/// Counts digests of what goes through it.
struct Hashed<W> {
    inner: W,
    sha256: Sha256,
    sha512: Sha512,
}

impl<W> Hashed<W> {
    fn new(inner: W) -> Self {
        Self {
            inner,
            sha256: Sha256::new(),
            sha512: Sha512::new(),
        }
    }

    fn finish(self) -> (String, String) {
        (
            hex::encode(self.sha256.finalize()),
            hex::encode(self.sha512.finalize()),
        )
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.sha256.update(&bytes[..count]);
        self.sha512.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests;
