//! The files of a package, as its header lists them.

use std::collections::{BTreeSet, HashMap};

use keel_artefact::{RootPath, Sha256};
use rpm::{Header, IndexTag};
use serde::{Deserialize, Serialize};

use crate::Fault;

/// What a path of a package is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// A file with content.
    Regular,
    /// A folder.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
}

impl FileKind {
    /// From the type bits of `st_mode`.
    fn from_mode(mode: u16) -> Option<Self> {
        Some(match mode & 0o170_000 {
            0o100_000 => Self::Regular,
            0o040_000 => Self::Directory,
            0o120_000 => Self::Symlink,
            0o010_000 => Self::Fifo,
            0o140_000 => Self::Socket,
            0o020_000 => Self::CharDevice,
            0o060_000 => Self::BlockDevice,
            _ => return None,
        })
    }
}

/// rpm's flags of a file (`RPMFILE_*` in rpmfiles.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FileFlags(pub u32);

impl FileFlags {
    /// `%config`
    pub fn is_config(self) -> bool {
        self.0 & 1 != 0
    }

    /// `%doc`
    pub fn is_doc(self) -> bool {
        self.0 & 2 != 0
    }

    /// `%config(missingok)`
    pub fn is_missing_ok(self) -> bool {
        self.0 & 8 != 0
    }

    /// `%config(noreplace)`
    pub fn is_no_replace(self) -> bool {
        self.0 & 16 != 0
    }

    /// `%ghost`: owned by the package, absent from its payload.
    pub fn is_ghost(self) -> bool {
        self.0 & 64 != 0
    }

    /// `%license`
    pub fn is_licence(self) -> bool {
        self.0 & 128 != 0
    }

    /// `%artifact`: a by-product, such as a link to debug information.
    pub fn is_artifact(self) -> bool {
        self.0 & 4096 != 0
    }
}

/// One path of a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileInfo {
    /// Where it is. The files of a source package, which have bare names, lie in the root.
    pub path: RootPath,
    /// What it is.
    pub kind: FileKind,
    /// Permission bits, with set-user-id, set-group-id and sticky (`mode & 07777`).
    pub mode: u32,
    /// Owner, by name.
    pub user: String,
    /// Group, by name.
    pub group: String,
    /// Bytes of content; 0 for what has none.
    pub size: u64,
    /// Seconds since 1970.
    pub mtime: u64,
    /// SHA-256 of a regular file's content; none for other kinds, ghosts, and packages with another algorithm.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub digest: Option<Sha256>,
    /// The target of a symbolic link.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub link: Option<String>,
    /// A hard link to this other file of the package, which carries the content in the payload.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub same_as: Option<RootPath>,
    /// File capabilities as text (`cap_net_raw=ep`).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub caps: Option<String>,
    /// Major and minor number of a device.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub device: Option<(u32, u32)>,
    /// Languages that the file is for, in rpm's words (`%lang`): `de`, `de|fr`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub languages: Option<String>,
    /// rpm's flags.
    pub flags: FileFlags,
}

/// The files of `header`, in its order.
pub(crate) fn list(header: &Header<IndexTag>) -> Result<Vec<FileInfo>, Fault> {
    let tags = Tags::read(header)?;
    let mut files = Vec::with_capacity(tags.bases.len());
    let mut seen = BTreeSet::new();
    for index in 0..tags.bases.len() {
        let file = tags.file(index)?;
        if !seen.insert(file.path.clone()) {
            return Err(Fault::PathTwice(file.path));
        }
        files.push(file);
    }
    tags.link(&mut files);
    Ok(files)
}

/// The arrays that rpm keeps instead of records; all of one length.
struct Tags<'a> {
    bases: Vec<&'a str>,
    dirs: Vec<&'a str>,
    dir_of: Vec<u32>,
    modes: Vec<u16>,
    users: Vec<&'a str>,
    groups: Vec<&'a str>,
    sizes: Vec<u64>,
    mtimes: Vec<u32>,
    digests: Vec<&'a str>,
    sha256: bool,
    links: Vec<&'a str>,
    flags: Vec<u32>,
    rdevs: Vec<u16>,
    caps: Option<Vec<&'a str>>,
    languages: Option<Vec<&'a str>>,
    inodes: Option<Vec<(u32, u32)>>,
}

impl<'a> Tags<'a> {
    fn read(header: &'a Header<IndexTag>) -> Result<Self, Fault> {
        use IndexTag as T;
        if header.entry_is_present(T::RPMTAG_OLDFILENAMES) {
            return Err(Fault::Tag {
                tag: "OLDFILENAMES",
                why: "the package is in the format of rpm 3".to_owned(),
            });
        }
        let bases = optional(header.get_entry_data_as_string_array(T::RPMTAG_BASENAMES))?.unwrap_or_default();
        let count = bases.len();
        let texts = |tag, name| counted(header.get_entry_data_as_string_array(tag), count, name);
        let words = |tag, name| counted(header.get_entry_data_as_u32_array(tag), count, name);
        let shorts = |tag, name| counted(header.get_entry_data_as_u16_array(tag), count, name);
        let sizes = match optional(header.get_entry_data_as_u64_array(T::RPMTAG_LONGFILESIZES))? {
            Some(sizes) => counted(Ok(sizes), count, "LONGFILESIZES")?,
            None => words(T::RPMTAG_FILESIZES, "FILESIZES")?
                .into_iter()
                .map(u64::from)
                .collect(),
        };
        let caps = match optional(header.get_entry_data_as_string_array(T::RPMTAG_FILECAPS))? {
            Some(caps) => Some(counted(Ok(caps), count, "FILECAPS")?),
            None => None,
        };
        let languages = match optional(header.get_entry_data_as_string_array(T::RPMTAG_FILELANGS))? {
            Some(languages) => Some(counted(Ok(languages), count, "FILELANGS")?),
            None => None,
        };
        let inodes = match optional(header.get_entry_data_as_u32_array(T::RPMTAG_FILEINODES))? {
            Some(inodes) => {
                let inodes = counted(Ok(inodes), count, "FILEINODES")?;
                let devices = match optional(header.get_entry_data_as_u32_array(T::RPMTAG_FILEDEVICES))? {
                    Some(devices) => counted(Ok(devices), count, "FILEDEVICES")?,
                    None => vec![0; count],
                };
                Some(devices.into_iter().zip(inodes).collect())
            }
            None => None,
        };
        // PGPHASHALGO_SHA256; without the tag the digests are MD5.
        let sha256 = optional(header.get_entry_data_as_u32(T::RPMTAG_FILEDIGESTALGO))? == Some(8);
        Ok(Self {
            dirs: optional(header.get_entry_data_as_string_array(T::RPMTAG_DIRNAMES))?.unwrap_or_default(),
            dir_of: words(T::RPMTAG_DIRINDEXES, "DIRINDEXES")?,
            modes: shorts(T::RPMTAG_FILEMODES, "FILEMODES")?,
            users: texts(T::RPMTAG_FILEUSERNAME, "FILEUSERNAME")?,
            groups: texts(T::RPMTAG_FILEGROUPNAME, "FILEGROUPNAME")?,
            mtimes: words(T::RPMTAG_FILEMTIMES, "FILEMTIMES")?,
            digests: texts(T::RPMTAG_FILEDIGESTS, "FILEDIGESTS")?,
            links: texts(T::RPMTAG_FILELINKTOS, "FILELINKTOS")?,
            flags: words(T::RPMTAG_FILEFLAGS, "FILEFLAGS")?,
            rdevs: shorts(T::RPMTAG_FILERDEVS, "FILERDEVS")?,
            bases,
            sizes,
            sha256,
            caps,
            languages,
            inodes,
        })
    }

    fn file(&self, index: usize) -> Result<FileInfo, Fault> {
        let dir = *self
            .dirs
            .get(self.dir_of[index] as usize)
            .ok_or_else(|| Fault::Tag {
                tag: "DIRINDEXES",
                why: format!(
                    "file {index} is in folder {}, there are {}",
                    self.dir_of[index],
                    self.dirs.len()
                ),
            })?;
        let name = self.bases[index];
        let path: RootPath = match dir {
            "" => format!("/{name}"),
            _ => format!("{dir}{name}"),
        }
        .parse()?;
        let mode = self.modes[index];
        let kind = FileKind::from_mode(mode).ok_or_else(|| Fault::Tag {
            tag: "FILEMODES",
            why: format!("`{path}` has the mode {mode:o}"),
        })?;
        let flags = FileFlags(self.flags[index]);
        let digest = match kind {
            FileKind::Regular if self.sha256 && !self.digests[index].is_empty() => {
                Some(self.digests[index].parse().map_err(|error| Fault::Tag {
                    tag: "FILEDIGESTS",
                    why: format!("`{path}`: {error}"),
                })?)
            }
            _ => None,
        };
        let link = match kind {
            FileKind::Symlink if self.links[index].is_empty() && !flags.is_ghost() => {
                return Err(Fault::Tag {
                    tag: "FILELINKTOS",
                    why: format!("the link `{path}` has no target"),
                });
            }
            FileKind::Symlink => Some(self.links[index].to_owned()),
            _ => None,
        };
        let device = matches!(kind, FileKind::CharDevice | FileKind::BlockDevice).then(|| {
            (
                u32::from(self.rdevs[index] >> 8),
                u32::from(self.rdevs[index] & 0xff),
            )
        });
        let caps = self
            .caps
            .as_ref()
            .map(|caps| caps[index])
            .filter(|caps| !caps.is_empty());
        let languages = self.languages.as_ref().map(|languages| languages[index]);
        let languages = languages.filter(|languages| !languages.is_empty());
        Ok(FileInfo {
            kind,
            mode: u32::from(mode & 0o7777),
            user: self.users[index].to_owned(),
            group: self.groups[index].to_owned(),
            size: if kind == FileKind::Regular {
                self.sizes[index]
            } else {
                0
            },
            mtime: u64::from(self.mtimes[index]),
            digest,
            link,
            same_as: None,
            caps: caps.map(str::to_owned),
            device,
            languages: languages.map(str::to_owned),
            flags,
            path,
        })
    }

    /// Finds sets of hard links. rpm puts the content with the last file of a set that is in the payload.
    fn link(&self, files: &mut [FileInfo]) {
        let Some(inodes) = &self.inodes else { return };
        let mut carriers = HashMap::new();
        for (index, file) in files.iter().enumerate() {
            if inodes[index].1 != 0 && file.kind == FileKind::Regular && !file.flags.is_ghost() {
                carriers.insert(inodes[index], (index, file.path.clone()));
            }
        }
        for (index, file) in files.iter_mut().enumerate() {
            if let Some((carrier, path)) = carriers.get(&inodes[index])
                && *carrier != index
                && file.kind == FileKind::Regular
                && !file.flags.is_ghost()
            {
                file.same_as = Some(path.clone());
            }
        }
    }
}

/// None when the tag is not there.
pub(crate) fn optional<T>(value: Result<T, rpm::Error>) -> Result<Option<T>, Fault> {
    match value {
        Ok(value) => Ok(Some(value)),
        Err(rpm::Error::TagNotFound(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// An array that must have `count` items, and need not be there when that is 0.
pub(crate) fn counted<T>(
    value: Result<Vec<T>, rpm::Error>,
    count: usize,
    tag: &'static str,
) -> Result<Vec<T>, Fault> {
    let items = optional(value)?.unwrap_or_default();
    if items.len() != count {
        return Err(Fault::Tag {
            tag,
            why: format!("it has {} items, there should be {count}", items.len()),
        });
    }
    Ok(items)
}
