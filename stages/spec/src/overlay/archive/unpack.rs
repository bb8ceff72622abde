//! Unpacking, into a folder that is left by nothing.

use std::{
    fs::File,
    io::{self, BufReader, Read},
};

use super::{Compression, Contents, Entry, EntryKind};
use crate::{
    macros::text,
    overlay::folder::{Folder, is_inside},
};

/// The largest file in an archive, in bytes.
const LARGEST: u64 = 10 << 30;
/// What an archive of any size may become, in bytes.
const ALWAYS: u64 = 1 << 30;
/// Above that: how many times its own size it may become.
const RATIO: u64 = 200;
/// And never more than this, in bytes.
const MOST: u64 = 64 << 30;
/// Entries, at most.
const ENTRIES: usize = 2_000_000;
/// Parts of a path, at most.
const DEEPEST: usize = 64;
/// What xz may take of memory, in bytes.
const MEMORY: u64 = 1 << 30;

/// Unpacks the archive `file`, of `size` bytes, into `folder`.
pub(super) fn unpack(
    file: File,
    size: u64,
    compression: Compression,
    folder: &Folder,
) -> io::Result<Contents> {
    let limit = size.saturating_mul(RATIO).clamp(ALWAYS, MOST);
    let reader = Limited {
        inner: decompressed(file, compression)?,
        left: limit,
    };
    let mut archive = tar::Archive::new(reader);
    let mut contents = Contents::default();
    for entry in archive.entries()? {
        if contents.entries.len() >= ENTRIES {
            return Err(io::Error::other("it has too many entries"));
        }
        add(entry?, folder, &mut contents)?;
    }
    Ok(contents)
}

fn decompressed(file: File, compression: Compression) -> io::Result<Box<dyn Read>> {
    let file = BufReader::with_capacity(1 << 16, file);
    Ok(match compression {
        Compression::None => Box::new(file),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
        Compression::Xz => {
            let flags = liblzma::stream::CONCATENATED;
            let stream = liblzma::stream::Stream::new_stream_decoder(MEMORY, flags)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(file, stream))
        }
        Compression::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(file)?),
    })
}

fn add<R: Read>(mut entry: tar::Entry<'_, R>, folder: &Folder, contents: &mut Contents) -> io::Result<()> {
    let kind = entry.header().entry_type();
    if kind.is_pax_global_extensions() || kind.is_pax_local_extensions() {
        return Ok(());
    }
    let bytes = entry.path_bytes();
    let name = text::decode(&bytes).into_owned();
    let path = cleaned(&name)?;
    let mode = entry.header().mode()? & 0o777;
    let joined = path.join("/");
    let kind = if kind.is_dir() {
        if path.is_empty() {
            return Ok(());
        }
        parents(&path, folder, contents)?;
        folder.make_folders(&joined)?;
        EntryKind::Folder
    } else if kind.is_symlink() {
        let target = entry.link_name_bytes().unwrap_or_default();
        let target = text::decode(&target).into_owned();
        if target.is_empty() || target.contains('\0') || path.is_empty() {
            return Err(io::Error::other(format!("the link `{name}` in it leads nowhere")));
        }
        parents(&path, folder, contents)?;
        folder.make_link(&joined, &target)?;
        EntryKind::Link(target)
    } else if kind.is_file() {
        if path.is_empty() {
            return Err(io::Error::other("it has a file without a name"));
        }
        if entry.size() > LARGEST {
            return Err(io::Error::other(format!("`{name}` in it is too large")));
        }
        parents(&path, folder, contents)?;
        let size = entry.size();
        let copied = folder.replace(&joined, 0o600, |file| io::copy(&mut entry, file))?;
        if copied != size {
            return Err(io::Error::other(format!("`{name}` in it is cut off")));
        }
        EntryKind::File
    } else {
        return Err(io::Error::other(format!(
            "`{name}` in it is neither file nor folder nor symbolic link, and would be lost"
        )));
    };
    contents.entries.insert(path, Entry { kind, mode });
    Ok(())
}

/// Folders that the archive leaves out.
fn parents(path: &[String], folder: &Folder, contents: &mut Contents) -> io::Result<()> {
    for length in 1..path.len() {
        let above = &path[..length];
        match contents.entries.get(above) {
            Some(entry) if entry.kind == EntryKind::Folder => {}
            Some(_) => {
                let text = format!("`{}` in it is below what is no folder", path.join("/"));
                return Err(io::Error::other(text));
            }
            None => {
                folder.make_folders(&above.join("/"))?;
                let entry = Entry {
                    kind: EntryKind::Folder,
                    mode: 0o755,
                };
                contents.entries.insert(above.to_vec(), entry);
            }
        }
    }
    Ok(())
}

/// The parts of a path without `.` and empty ones; an error if it leads out, or is absolute.
fn cleaned(name: &str) -> io::Result<Vec<String>> {
    let parts: Vec<String> = name
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .map(str::to_owned)
        .collect();
    let inside = parts.is_empty() || is_inside(&parts.join("/"));
    match !name.starts_with('/') && inside && parts.len() <= DEEPEST {
        true => Ok(parts),
        false => Err(io::Error::other(format!(
            "`{name}` in it is no path inside a folder"
        ))),
    }
}

struct Limited<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = (self.left.checked_sub(count as u64))
            .ok_or_else(|| io::Error::other("it unpacks to more than any source should"))?;
        Ok(count)
    }
}
