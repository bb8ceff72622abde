//! Packing, so that the same files give the same bytes.

use std::io::{self, BufWriter, Read as _, Write};

use super::{Compression, Contents, Entry, EntryKind, Hashed};
use crate::{macros::text, overlay::folder::Folder};

/// Packs `contents`, whose files lie in `folder`, and gives `out` back.
pub(super) fn pack<W: Write>(
    contents: &Contents,
    folder: &Folder,
    compression: Compression,
    out: Hashed<W>,
) -> io::Result<Hashed<W>> {
    let out = BufWriter::with_capacity(1 << 16, out);
    let out = match compression {
        Compression::None => files(contents, folder, out)?,
        Compression::Gzip => {
            let header = flate2::GzBuilder::new().mtime(0).operating_system(255);
            files(contents, folder, header.write(out, flate2::Compression::best()))?.finish()?
        }
        Compression::Xz => files(contents, folder, liblzma::write::XzEncoder::new(out, 6))?.finish()?,
        Compression::Zstd => files(contents, folder, zstd::stream::write::Encoder::new(out, 3)?)?.finish()?,
    };
    out.into_inner().map_err(io::IntoInnerError::into_error)
}

fn files<W: Write>(contents: &Contents, folder: &Folder, out: W) -> io::Result<W> {
    let mut builder = tar::Builder::new(out);
    for (path, entry) in &contents.entries {
        one(&mut builder, &path.join("/"), entry, folder)?;
    }
    builder.into_inner()
}

fn one<W: Write>(
    builder: &mut tar::Builder<W>,
    path: &str,
    entry: &Entry,
    folder: &Folder,
) -> io::Result<()> {
    use std::os::unix::ffi::OsStrExt as _;
    let mut header = tar::Header::new_gnu();
    header.set_mode(entry.mode);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    header.set_device_major(0)?;
    header.set_device_minor(0)?;
    let name = text::encode(path);
    let as_path = |bytes: &[u8]| std::path::PathBuf::from(std::ffi::OsStr::from_bytes(bytes));
    match &entry.kind {
        EntryKind::Folder => {
            header.set_entry_type(tar::EntryType::Directory);
            let name = [&name, &b"/"[..]].concat();
            builder.append_data(&mut header, as_path(&name), io::empty())
        }
        EntryKind::Link(target) => {
            header.set_entry_type(tar::EntryType::Symlink);
            builder.append_link(&mut header, as_path(&name), as_path(&text::encode(target)))
        }
        EntryKind::File => {
            let (file, _) = folder.open_file(path)?;
            let size = file.metadata()?.len();
            header.set_entry_type(tar::EntryType::Regular);
            header.set_size(size);
            builder.append_data(&mut header, as_path(&name), file.take(size))
        }
    }
}
