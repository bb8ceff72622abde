//! A tree as a cpio archive in the format `newc`, which kernels read as an initial RAM disk.
//!
//! Format: Documentation/driver-api/early-userspace/buffer-format.rst of Linux, cpio(5) of libarchive. Order of entries: the
//! tree's, by path. The format holds no extended attributes, and no file of 4 GiB.

use std::io::{self, Write};

use keel_artefact::RootPath;

use crate::{
    Error,
    error::At,
    tree::{Kind, Node, Tree},
};

/// What the last entry is called.
const TRAILER: &str = "TRAILER!!!";

/// Writes these nodes, which have their contents in the spool of `tree`, and the entry at the end. The root folder is `.`.
pub fn write<'a>(
    tree: &Tree,
    nodes: impl IntoIterator<Item = (&'a RootPath, &'a Node)>,
    out: impl Write,
) -> Result<(), Error> {
    let mut out = io::BufWriter::with_capacity(256 * 1024, out);
    let mut length = 0;
    // Numbers of files, which tell hard links apart: there are none here.
    for (number, (path, node)) in (1..).zip(nodes) {
        length += entry(tree, path, node, number, &mut out)?;
    }
    let what = "a cpio archive";
    length += header(&[0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0], TRAILER, &mut out).at("write", what)?;
    // To whole sectors, as cpio(1) does.
    let end = length.next_multiple_of(512) - length;
    out.write_all(&[0; 512][..end as usize])
        .and_then(|()| out.flush())
        .at("write", what)
}

fn entry(tree: &Tree, path: &RootPath, node: &Node, number: u32, out: &mut impl Write) -> Result<u64, Error> {
    let refuse = |why: String| Error::Unwritable {
        path: path.clone(),
        format: "cpio",
        why,
    };
    let (kind, links) = match &node.kind {
        Kind::Fifo => (0o010_000, 1),
        Kind::CharDevice { .. } => (0o020_000, 1),
        Kind::Dir => (0o040_000, 2),
        Kind::BlockDevice { .. } => (0o060_000, 1),
        Kind::File(_) => (0o100_000, 1),
        Kind::Symlink(_) => (0o120_000, 1),
    };
    let size = match &node.kind {
        Kind::File(file) => file.size,
        Kind::Symlink(target) => target.len() as u64,
        _ => 0,
    };
    let size =
        u32::try_from(size).map_err(|_| refuse(format!("it has {size} bytes, and 4 GiB are too many")))?;
    let mtime = u32::try_from(node.mtime).map_err(|_| refuse("its time is after 2106".to_owned()))?;
    let (major, minor) = match node.kind {
        Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor } => (major, minor),
        _ => (0, 0),
    };
    let name = match path.relative() {
        "" => ".",
        name => name,
    };
    let fields = [
        number,
        kind | node.mode,
        node.uid,
        node.gid,
        links,
        mtime,
        size,
        0,
        0,
        major,
        minor,
    ];
    let mut write = || {
        let mut length = header(&fields, name, out)?;
        length += match &node.kind {
            Kind::File(file) => io::copy(&mut tree.open(file), out)?,
            Kind::Symlink(target) => {
                out.write_all(target.as_bytes())?;
                target.len() as u64
            }
            _ => 0,
        };
        Ok(length + pad(length, out)?)
    };
    write().at("write", format!("`{path}` to a cpio archive"))
}

/// The fixed part with eleven of its fields, and the name; says how many bytes that is.
fn header(fields: &[u32; 11], name: &str, out: &mut impl Write) -> io::Result<u64> {
    let mut bytes = b"070701".to_vec();
    for field in fields {
        bytes.extend(format!("{field:08x}").bytes());
    }
    let length = name.len() as u32 + 1;
    // The last field is a sum that only the format `crc` has.
    bytes.extend(format!("{length:08x}{:08x}{name}\0", 0).bytes());
    out.write_all(&bytes)?;
    let length = bytes.len() as u64;
    Ok(length + pad(length, out)?)
}

/// Zeros up to a multiple of four.
fn pad(length: u64, out: &mut impl Write) -> io::Result<u64> {
    let missing = length.next_multiple_of(4) - length;
    out.write_all(&[0; 4][..missing as usize])?;
    Ok(missing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::tests::{path, tree};

    #[test]
    fn an_archive_is_what_the_kernel_documents() {
        let tree = tree(&[("/a/", ""), ("/a/b", "hello"), ("/l", "-> a/b")]);
        let mut bytes = Vec::new();
        write(&tree, tree.nodes(), &mut bytes).unwrap();
        assert_eq!(bytes.len() % 512, 0);
        let text = String::from_utf8(bytes).unwrap();
        let header = |number: u32, mode: &str, links: u32, size: u32, name: u32| {
            let zeros = "00000000".repeat(4);
            format!(
                "070701{number:08x}{mode}{:016x}{links:08x}000003e8{size:08x}{zeros}{name:08x}00000000",
                0
            )
        };
        let wanted = [
            header(1, "000041ed", 2, 0, 2) + ".\0",
            header(2, "000041ed", 2, 0, 2) + "a\0",
            header(3, "000081a4", 1, 5, 4) + "a/b\0\0\0hello\0\0\0",
            header(4, "0000a1ff", 1, 3, 2) + "l\0a/b\0",
        ]
        .concat();
        assert!(text.starts_with(&wanted), "{text}");
        assert!(text[wanted.len()..].starts_with("070701"), "{text}");
        assert!(text.trim_end_matches('\0').ends_with(TRAILER));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut tree = tree(&[("/a", "x")]);
        tree.get_mut(&path("/a")).unwrap().mtime = 1 << 33;
        let found = write(&tree, tree.nodes(), io::sink()).unwrap_err().to_string();
        assert_eq!(found, "`/a` cannot be written as cpio: its time is after 2106");
    }
}
