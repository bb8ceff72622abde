//! A tree as a tar archive: ustar headers, pax records for what they cannot hold.
//!
//! Formats: POSIX.1-2024 `pax`, ustar and pax interchange; extended attributes as `SCHILY.xattr.NAME`, as in
//! star(1), which mkfs.erofs, umoci, skopeo and GNU tar read. Order of entries: the tree's, by path.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    io::{self, Write},
};

use keel_artefact::RootPath;

use crate::{
    Error,
    error::At,
    selinux,
    tree::{Kind, Node, Tree},
};

/// Which entries a reader expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// With an entry `./` for the root folder: a whole file system.
    With,
    /// The same, and each entry has not only the time of its last change, but the same as those of its last use and of its
    /// inode's last change: mke2fs takes them for 1970 otherwise.
    WithTimes,
    /// Without, and without labels of SELinux: a layer over something else, or what runs beside it. What such files are there,
    /// the machine that they run on says.
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
        entry(tree, path, node, root, &mut out)?;
    }
    out.write_all(&[0; 1024])
        .and_then(|()| out.flush())
        .at("write", "a tar archive")
}

fn entry(tree: &Tree, path: &RootPath, node: &Node, root: Root, out: &mut impl Write) -> Result<(), Error> {
    let mut xattrs = Cow::Borrowed(&node.xattrs);
    if root == Root::Without && xattrs.contains_key(selinux::ATTRIBUTE) {
        xattrs.to_mut().remove(selinux::ATTRIBUTE);
    }
    let (kind, size) = match &node.kind {
        Kind::File(file) => (What::File, file.size),
        Kind::Symlink(target) => (What::Symlink(target), 0),
        Kind::CharDevice { major, minor } => (What::CharDevice(*major, *minor), 0),
        Kind::BlockDevice { major, minor } => (What::BlockDevice(*major, *minor), 0),
        Kind::Dir => (What::Dir, 0),
        Kind::Fifo => (What::Fifo, 0),
    };
    let member = Member {
        path,
        what: kind,
        size,
        mode: node.mode,
        owner: (node.uid, node.gid),
        mtime: node.mtime,
        xattrs: &xattrs,
        all_times: root == Root::WithTimes,
    };
    let what = || format!("`{path}` to a tar archive");
    member.write(out).at("write", what())?;
    if let Kind::File(file) = &node.kind {
        io::copy(&mut tree.open(file), out).at("write", what())?;
        pad(size, out).at("write", what())?;
    }
    Ok(())
}

/// What is in front of a file's content.
pub(crate) struct Member<'a> {
    pub(crate) path: &'a RootPath,
    pub(crate) what: What<'a>,
    /// Bytes of content that follow.
    pub(crate) size: u64,
    pub(crate) mode: u32,
    pub(crate) owner: (u32, u32),
    /// Seconds since 1970.
    pub(crate) mtime: u64,
    pub(crate) xattrs: &'a BTreeMap<String, Vec<u8>>,
    pub(crate) all_times: bool,
}

/// What a member is.
pub(crate) enum What<'a> {
    Dir,
    File,
    /// The file of that path.
    Link(&'a RootPath),
    Symlink(&'a str),
    CharDevice(u32, u32),
    BlockDevice(u32, u32),
    Fifo,
}

impl Member<'_> {
    /// Writes the headers; the content, and [`pad`], are the caller's.
    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let mut pax = Vec::new();
        let mut header = Header::default();
        let mut name = self.path.relative().to_owned();
        if matches!(self.what, What::Dir) {
            name.push_str(if name.is_empty() { "./" } else { "/" });
        }
        if !header.name(&name) {
            record(&mut pax, "path", name.as_bytes());
        }
        header.octal(100, 8, u64::from(self.mode));
        for (at, key, id) in [(108, "uid", self.owner.0), (116, "gid", self.owner.1)] {
            if !header.octal(at, 8, u64::from(id)) {
                record(&mut pax, key, id.to_string().as_bytes());
            }
        }
        header.octal(136, 12, self.mtime);
        header.0[156] = match self.what {
            What::File => b'0',
            What::Link(_) => b'1',
            What::Symlink(_) => b'2',
            What::CharDevice(..) => b'3',
            What::BlockDevice(..) => b'4',
            What::Dir => b'5',
            What::Fifo => b'6',
        };
        if let What::Symlink(target) = self.what
            && !header.text(157, 100, target)
        {
            record(&mut pax, "linkpath", target.as_bytes());
        }
        if let What::Link(to) = self.what
            && !header.text(157, 100, to.relative())
        {
            record(&mut pax, "linkpath", to.relative().as_bytes());
        }
        if let What::CharDevice(major, minor) | What::BlockDevice(major, minor) = self.what {
            header.octal(329, 8, u64::from(major));
            header.octal(337, 8, u64::from(minor));
        }
        if !header.octal(124, 12, self.size) {
            record(&mut pax, "size", self.size.to_string().as_bytes());
        }
        for (key, value) in self.xattrs {
            record(&mut pax, &format!("SCHILY.xattr.{key}"), value);
        }
        if self.all_times {
            for key in ["atime", "ctime"] {
                record(&mut pax, key, self.mtime.to_string().as_bytes());
            }
        }
        if !pax.is_empty() {
            let mut extended = Header::default();
            // The name is for readers that do not know pax; it need not be unique.
            extended.text(0, 100, "pax");
            extended.octal(100, 8, 0o644);
            extended.octal(136, 12, self.mtime);
            extended.octal(124, 12, pax.len() as u64);
            extended.0[156] = b'x';
            extended.finish(out)?;
            out.write_all(&pax)?;
            pad(pax.len() as u64, out)?;
        }
        header.finish(out)
    }
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

/// Fills the last block of `size` bytes.
pub(crate) fn pad(size: u64, out: &mut impl Write) -> io::Result<()> {
    out.write_all(&[0; 512][..(size.next_multiple_of(512) - size) as usize])
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
