//! Folders of components that there are no more: which of them rendering made, so that they may go. Rule R86.
//!
//! Input: the folder of all rendered SPECs, the names of all components, and a [`Witness`] that knows what rendering wrote and
//! what git keeps. Output: [`Stale`]: what may be removed, and what must stay, with the reason.
//!
//! Never: a file removed that nobody could have back.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{
    place::{self, MARKER},
    synthesized,
};

/// The largest SPEC that is looked at for the header of rendering, in bytes.
const LARGEST: u64 = 16 << 20;

/// What somebody else knows of a folder.
pub trait Witness {
    /// Why it could not be told.
    type Error: From<io::Error>;

    /// Did rendering write this folder, as it is now, to this place?
    fn is_made(&self, folder: &Path) -> Result<bool, Self::Error>;

    /// Is all of it in the newest commit of a repository, as it is now?
    fn is_committed(&self, folder: &Path) -> Result<bool, Self::Error>;
}

/// Folders of components that there are no more, relative to that of all.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Stale {
    /// Rendering made them.
    pub made: Vec<PathBuf>,
    /// Somebody else may have.
    pub left: Vec<Left>,
}

/// A folder that stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Left {
    /// Which, relative to that of all.
    pub folder: PathBuf,
    /// Why.
    pub why: Why,
}

/// Why a folder stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// Nothing says that its SPEC was rendered.
    NotRendered,
    /// Its SPEC was rendered, but has files that git could not give back.
    NotCommitted,
    /// It says that rendering failed, and holds other files.
    BesideMarker,
    /// A component is made from it, or from something in it.
    InUse,
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotRendered => {
                "its SPEC has no header of rendering, and this store did not see it rendered"
            }
            Self::NotCommitted => "it was rendered, but not all of it is committed as it is now",
            Self::InUse => "a component that there is uses files in it",
            Self::BesideMarker => "beside RENDER_FAILED it holds files that rendering did not write",
        })
    }
}

/// Finds them: what is in folders with names of one letter, holds what rendering makes, and is no component's. Where one of the
/// files that are `used` lies in such a folder, however deep, it stays.
pub fn find<'n, W: Witness>(
    specs: &Path,
    names: impl IntoIterator<Item = &'n str>,
    used: &BTreeSet<PathBuf>,
    witness: &W,
) -> Result<Stale, W::Error> {
    let names: BTreeSet<&str> = names.into_iter().collect();
    let used: BTreeSet<PathBuf> = used.iter().map(|path| real(path)).collect();
    let mut stale = Stale::default();
    for (folder, name) in folders(specs)? {
        if names.contains(name.as_str()) {
            continue;
        }
        match judged(&specs.join(&folder), &name, witness)? {
            Judged::NotRenderings => {}
            Judged::Made if is_used(&real(&specs.join(&folder)), &used) => {
                let why = Why::InUse;
                stale.left.push(Left { folder, why });
            }
            Judged::Made => stale.made.push(folder),
            Judged::Left(why) => stale.left.push(Left { folder, why }),
        }
    }
    stale.made.sort();
    stale.left.sort_by(|a, b| a.folder.cmp(&b.folder));
    Ok(stale)
}

/// Where a path leads; as it is written, where nothing is there.
fn real(path: &Path) -> PathBuf {
    fs_err::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

fn is_used(folder: &Path, used: &BTreeSet<PathBuf>) -> bool {
    let mut from = used.range(folder.to_owned()..);
    from.next().is_some_and(|file| file.starts_with(folder))
}

/// Removes those that rendering made, with the links beside them.
pub fn remove(specs: &Path, stale: &Stale) -> io::Result<()> {
    for folder in &stale.made {
        let (at, name) = (specs.join(folder), folder.file_name().unwrap_or_default());
        let alias = name
            .to_str()
            .and_then(place::alias)
            .map(|alias| at.with_file_name(alias));
        if let Some(link) = alias
            && fs_err::read_link(&link).is_ok_and(|target| target == Path::new(name))
        {
            fs_err::remove_file(link)?;
        }
        place::remove(&at)?;
    }
    Ok(())
}

/// Folders in folders with names of one letter, and what they are called. Links are none.
fn folders(specs: &Path) -> io::Result<Vec<(PathBuf, String)>> {
    let mut found = Vec::new();
    if !specs.is_dir() {
        return Ok(found);
    }
    for letter in fs_err::read_dir(specs)? {
        let letter = letter?;
        if !letter.file_type()?.is_dir() || letter.file_name().len() != 1 {
            continue;
        }
        for child in fs_err::read_dir(letter.path())? {
            let child = child?;
            if let (true, Some(name)) = (child.file_type()?.is_dir(), child.file_name().to_str()) {
                found.push((Path::new(&letter.file_name()).join(name), name.to_owned()));
            }
        }
    }
    Ok(found)
}

enum Judged {
    /// Nothing in it looks as if it were rendering's.
    NotRenderings,
    Made,
    Left(Why),
}

fn judged<W: Witness>(folder: &Path, name: &str, witness: &W) -> Result<Judged, W::Error> {
    // What a killed run left is nobody's.
    if name.starts_with('.') && name.contains(".keel-") {
        return Ok(Judged::Made);
    }
    let spec = folder.join(format!("{name}.spec"));
    let (has_spec, has_marker) = (spec.is_file(), folder.join(MARKER).is_file());
    if !has_spec && !has_marker {
        return Ok(Judged::NotRenderings);
    }
    if place::says_failed(folder)? || witness.is_made(folder)? {
        return Ok(Judged::Made);
    }
    if !has_spec {
        return Ok(Judged::Left(Why::BesideMarker));
    }
    if !has_header(&spec)? {
        return Ok(Judged::Left(Why::NotRendered));
    }
    Ok(match witness.is_committed(folder)? {
        true => Judged::Made,
        false => Judged::Left(Why::NotCommitted),
    })
}

/// Does a SPEC say that rendering wrote it?
fn has_header(spec: &Path) -> io::Result<bool> {
    if fs_err::metadata(spec)?.len() > LARGEST {
        return Ok(false);
    }
    let bytes = fs_err::read(spec)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    Ok(lines
        .windows(synthesized::HEADER.len())
        .any(|window| window == synthesized::HEADER))
}
