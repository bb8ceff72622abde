//! A tree as a tar archive: ustar headers, pax records for what they cannot hold.
//!
//! Formats: POSIX.1-2024 `pax`, ustar and pax interchange; extended attributes as `SCHILY.xattr.NAME`, as in
//! star(1), which mkfs.erofs, umoci, skopeo and GNU tar read. Order of entries: the tree's, by path.

use std::io::{self, Write};

use keel_artefact::RootPath;

use crate::{
    Error,
    error::At,
    tree::{Kind, Node, Tree},
};

/// Which entries a reader expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// With an entry `./` for the root folder: a whole file system.
    With,
    /// Without: a layer over something else.
    Without,
}

/// Writes the whole tree, and the two empty blocks at the end.
pub fn write(tree: &Tree, root: Root, out: impl Write) -> Result<(), Error> {
    write_nodes(tree, tree.nodes(), root, out)
}

/// Writes these nodes, which have their contents in the spool of `tree`, and the two empty blocks at the end.
pub fn write_nodes<'a>(
    tree: &Tree,
    nodes: impl IntoIterator<Item = (&'a RootPath, &'a Node)>,
    root: Root,
    out: impl Write,
) -> Result<(), Error> {
    let mut out = io::BufWriter::with_capacity(256 * 1024, out);
    for (path, node) in nodes {
        if path.relative().is_empty() && root == Root::Without {
            continue;
        }
        entry(tree, path, node, &mut out)?;
    }
    out.write_all(&[0; 1024])
        .and_then(|()| out.flush())
        .at("write", "a tar archive")
}

fn entry(tree: &Tree, path: &RootPath, node: &Node, out: &mut impl Write) -> Result<(), Error> {
    let mut pax = Vec::new();
    let mut header = Header::default();
    let mut name = path.relative().to_owned();
    if matches!(node.kind, Kind::Dir) {
        name.push_str(if name.is_empty() { "./" } else { "/" });
    }
    if !header.name(&name) {
        record(&mut pax, "path", name.as_bytes());
    }
    header.octal(100, 8, u64::from(node.mode));
    for (at, key, id) in [(108, "uid", node.uid), (116, "gid", node.gid)] {
        if !header.octal(at, 8, u64::from(id)) {
            record(&mut pax, key, id.to_string().as_bytes());
        }
    }
    header.octal(136, 12, node.mtime);
    let mut size = 0;
    header.0[156] = match &node.kind {
        Kind::File(file) => {
            size = file.size;
            b'0'
        }
        Kind::Symlink(target) => {
            if !header.text(157, 100, target) {
                record(&mut pax, "linkpath", target.as_bytes());
            }
            b'2'
        }
        Kind::CharDevice { .. } => b'3',
        Kind::BlockDevice { .. } => b'4',
        Kind::Dir => b'5',
        Kind::Fifo => b'6',
    };
    if let Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor } = node.kind {
        header.octal(329, 8, u64::from(major));
        header.octal(337, 8, u64::from(minor));
    }
    if !header.octal(124, 12, size) {
        record(&mut pax, "size", size.to_string().as_bytes());
    }
    for (key, value) in &node.xattrs {
        record(&mut pax, &format!("SCHILY.xattr.{key}"), value);
    }
    let what = || format!("`{path}` to a tar archive");
    if !pax.is_empty() {
        let mut extended = Header::default();
        // The name is for readers that do not know pax; it need not be unique.
        extended.text(0, 100, "pax");
        extended.octal(100, 8, 0o644);
        extended.octal(136, 12, node.mtime);
        extended.octal(124, 12, pax.len() as u64);
        extended.0[156] = b'x';
        extended
            .finish(out)
            .and_then(|()| padded(&pax, out))
            .at("write", what())?;
    }
    header.finish(out).at("write", what())?;
    if let Kind::File(file) = &node.kind {
        let copied = io::copy(&mut tree.open(file), out).at("write", what())?;
        out.write_all(&[0; 512][..padding(copied)]).at("write", what())?;
    }
    Ok(())
}

/// `LENGTH KEY=VALUE\n`, where the length counts itself.
fn record(pax: &mut Vec<u8>, key: &str, value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    pax.extend(format!("{length} {key}=").bytes());
    pax.extend(value);
    pax.push(b'\n');
}

fn padding(size: u64) -> usize {
    (size.next_multiple_of(512) - size) as usize
}

fn padded(bytes: &[u8], out: &mut impl Write) -> io::Result<()> {
    out.write_all(bytes)?;
    out.write_all(&[0; 512][..padding(bytes.len() as u64)])
}

/// 512 bytes of ustar.
struct Header([u8; 512]);

impl Default for Header {
    fn default() -> Self {
        let mut bytes = [0; 512];
        bytes[257..265].copy_from_slice(b"ustar\x0000");
        let mut header = Self(bytes);
        for at in [108, 116, 329, 337] {
            header.octal(at, 8, 0);
        }
        header
    }
}

impl Header {
    /// Text in a field of `width`; false, and a truncated field, if it does not fit.
    fn text(&mut self, at: usize, width: usize, text: &str) -> bool {
        let n = text.len().min(width);
        self.0[at..at + n].copy_from_slice(&text.as_bytes()[..n]);
        text.len() <= width && text.is_ascii()
    }

    /// The name, split into prefix and name if need be.
    fn name(&mut self, name: &str) -> bool {
        if name.len() > 100 && name.is_ascii() {
            let split = name[..name.len().min(156)]
                .char_indices()
                .filter(|(at, c)| *c == '/' && name.len() - at - 1 <= 100 && *at + 1 < name.len())
                .map(|(at, _)| at)
                .next();
            if let Some(at) = split {
                self.text(345, 155, &name[..at]);
                return self.text(0, 100, &name[at + 1..]);
            }
        }
        self.text(0, 100, name)
    }

    /// A number in octal; false, and zero, if it does not fit.
    fn octal(&mut self, at: usize, width: usize, value: u64) -> bool {
        let text = format!("{value:0width$o}", width = width - 1);
        let fits = text.len() < width;
        let text = if fits { text } else { "0".repeat(width - 1) };
        self.0[at..at + width - 1].copy_from_slice(text.as_bytes());
        fits
    }

    fn finish(mut self, out: &mut impl Write) -> io::Result<()> {
        self.0[148..156].copy_from_slice(b"        ");
        let sum: u64 = self.0.iter().map(|byte| u64::from(*byte)).sum();
        self.0[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        out.write_all(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::tests::{path, tree};

    #[test]
    fn records_count_themselves() {
        for (value, length) in [(0, 5), (4, 9), (5, 11), (90, 96), (93, 99), (94, 101)] {
            let mut pax = Vec::new();
            record(&mut pax, "k", "v".repeat(value).as_bytes());
            assert_eq!(pax.len(), length);
            assert!(pax.starts_with(format!("{length} k=").as_bytes()));
        }
    }

    #[test]
    fn another_reader_reads_it_back() {
        let long = format!("/{}/{}", "d".repeat(90), "f".repeat(90));
        let longer = format!("/{}", "x".repeat(200));
        let target = format!("-> {}", "t".repeat(150));
        let mut tree = tree(&[
            ("/a/", ""),
            ("/a/ü", "hello"),
            (&long, "x"),
            (&longer, "y"),
            ("/l", &target),
        ]);
        let node = tree.get_mut(&path("/a/ü")).unwrap();
        node.uid = 3_000_000;
        node.xattrs
            .insert("security.capability".into(), vec![1, 0, 9, 255]);
        let mut bytes = Vec::new();
        write(&tree, Root::With, &mut bytes).unwrap();
        assert_eq!(bytes.len() % 512, 0);
        let mut archive = ::tar::Archive::new(&bytes[..]);
        let mut seen = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
            if name == "a/ü" {
                let all: Vec<_> = entry
                    .pax_extensions()
                    .unwrap()
                    .unwrap()
                    .map(|pair| pair.unwrap())
                    .map(|pair| (pair.key().unwrap().to_owned(), pair.value_bytes().to_vec()))
                    .collect();
                assert!(all.contains(&("SCHILY.xattr.security.capability".into(), vec![1, 0, 9, 255])));
                assert!(all.contains(&("uid".into(), b"3000000".to_vec())));
                assert_eq!(entry.size(), 5);
            }
            if name == "l" {
                assert_eq!(entry.link_name_bytes().unwrap().len(), 150);
            }
            seen.push(name);
        }
        let all: Vec<_> = tree
            .nodes()
            .iter()
            .map(|(at, node)| match (at.relative(), &node.kind) {
                ("", _) => "./".to_owned(),
                (name, Kind::Dir) => format!("{name}/"),
                (name, _) => name.to_owned(),
            })
            .collect();
        assert_eq!(seen, all);
    }
}
