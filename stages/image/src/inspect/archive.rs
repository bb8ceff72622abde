//! What is in an archive that is a root file system: how many names of which kind, which system it is, its packages.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::files::{Error, Files, Kind, diff};

/// The largest `os-release` that is read.
const LARGEST: u64 = 64 << 10;

/// An archive.
#[derive(Debug, Serialize)]
pub struct Archive {
    /// The file.
    pub file: PathBuf,
    /// `tar`, `cpio`, or `wsl`: a tar archive for the Windows Subsystem for Linux.
    pub format: &'static str,
    /// `gzip`, `zstd` or `xz`.
    pub compression: Option<&'static str>,
    /// Bytes of the file.
    pub size: u64,
    /// Bytes of its regular files, each content once.
    pub content: u64,
    /// What its names stand for.
    pub names: Names,
    /// The name of the system, as its `os-release` has it.
    pub system: Option<String>,
    /// Its packages, as rpm's database in it says, or else the manifest beside it; none: neither does.
    pub packages: Option<Vec<String>>,
}

/// How many names of each kind.
#[derive(Debug, Default, Serialize)]
pub struct Names {
    /// Folders, with the root.
    pub folders: usize,
    /// Regular files, each name of one.
    pub files: usize,
    /// Symbolic links.
    pub links: usize,
    /// Devices, pipes and sockets.
    pub others: usize,
}

/// Tells of the files of an archive.
pub(super) fn look(
    path: &Path,
    size: u64,
    compression: Option<&'static str>,
    is_tar: bool,
    files: &mut Files,
) -> Result<Archive, Error> {
    let (mut names, mut content, mut seen) = (Names::default(), 0_u64, BTreeSet::new());
    for entry in files.entries().values() {
        match entry.kind {
            Kind::Dir => names.folders += 1,
            Kind::File { id, size } => {
                names.files += 1;
                if seen.insert(id) {
                    content = content.saturating_add(size);
                }
            }
            Kind::Symlink(_) => names.links += 1,
            _ => names.others += 1,
        }
    }
    let is_wsl = files.file("/etc/wsl-distribution.conf").is_ok();
    Ok(Archive {
        file: path.to_owned(),
        format: match (is_tar, is_wsl) {
            (true, true) => "wsl",
            (true, false) => "tar",
            (false, _) => "cpio",
        },
        compression,
        size,
        content,
        names,
        system: system(files)?,
        packages: diff::identities(files)?,
    })
}

fn system(files: &mut Files) -> Result<Option<String>, Error> {
    let place = ["/etc/os-release", "/usr/lib/os-release"]
        .iter()
        .find_map(|path| files.file(path).ok());
    let Some((id, size)) = place else {
        return Ok(None);
    };
    let text = files.whole(id, size, LARGEST)?;
    let text = text
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .unwrap_or_default();
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key));
        line.map(|value| value.trim_matches(['"', '\'']).to_owned())
    };
    Ok(value("PRETTY_NAME=").or_else(|| value("NAME=")))
}
