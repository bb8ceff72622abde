//! The folders that rpm's configuration lies in, as macros see them.
//!
//! What is seen at `/usr/lib/rpm` may lie in any folder of the host, or in memory; nothing else of the host is seen
//! through it. Folders are walked once; files are read when they are asked for.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use keel_artefact::Fingerprint;

/// Where rpm has its configuration.
pub const CONFIG: &str = "/usr/lib/rpm";
/// Where a machine's own configuration of rpm lies.
pub const ETC: &str = "/etc/rpm";

/// Files by the path that they are seen at.
#[derive(Debug, Clone)]
pub struct Tree {
    files: BTreeMap<String, Content>,
    /// The folders that this tree answers for.
    places: BTreeSet<String>,
}

/// Where a file's bytes are.
#[derive(Debug, Clone)]
enum Content {
    Disk(PathBuf),
    Memory(Arc<[u8]>),
}

impl Content {
    fn read(&self) -> io::Result<Vec<u8>> {
        match self {
            Self::Disk(path) => fs_err::read(path),
            Self::Memory(bytes) => Ok(bytes.to_vec()),
        }
    }
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl Tree {
    /// A tree with nothing at [`CONFIG`] and [`ETC`].
    pub fn new() -> Self {
        Self {
            files: BTreeMap::new(),
            places: BTreeSet::from([CONFIG.to_owned(), ETC.to_owned()]),
        }
    }

    /// Shows what `folder` holds at `place`, over what is there already.
    ///
    /// An absolute link leads into the root that `folder` is part of, if the folder's path ends in `place`. A link to
    /// nothing, and one to a folder that it is in, are left out.
    pub fn add_folder(&mut self, folder: &Path, place: &str) -> io::Result<()> {
        let place = normal(place);
        let inside = folder.to_string_lossy();
        let root = inside.trim_end_matches('/').strip_suffix(&place);
        let root = root.map(|root| PathBuf::from(format!("{root}/")));
        self.places.insert(place.clone());
        let mut chain = vec![fs_err::canonicalize(folder)?];
        self.walk(&mut chain, &place, root.as_deref())
    }

    /// Walks the last of `chain`, which holds the folders around it.
    fn walk(&mut self, chain: &mut Vec<PathBuf>, place: &str, root: Option<&Path>) -> io::Result<()> {
        let Some(folder) = chain.last() else {
            return Ok(());
        };
        for entry in fs_err::read_dir(folder)? {
            let entry = entry?;
            let seen = format!("{place}/{}", entry.file_name().to_string_lossy());
            let (mut path, mut kind) = (entry.path(), entry.file_type()?);
            if kind.is_symlink() {
                let Ok(to) = fs_err::canonicalize(target(path, root)?) else {
                    continue;
                };
                kind = fs_err::metadata(&to)?.file_type();
                path = to;
            }
            if kind.is_dir() && !chain.contains(&path) {
                chain.push(path);
                self.walk(chain, &seen, root)?;
                chain.pop();
            } else if kind.is_file() {
                self.files.insert(seen, Content::Disk(path));
            }
        }
        Ok(())
    }

    /// Shows a file of the host at `place`.
    pub fn add_file(&mut self, file: impl Into<PathBuf>, place: &str) {
        self.files.insert(normal(place), Content::Disk(file.into()));
    }

    /// Shows `bytes` as a file at `place`.
    pub fn add_bytes(&mut self, bytes: impl Into<Arc<[u8]>>, place: &str) {
        self.files.insert(normal(place), Content::Memory(bytes.into()));
    }

    /// Does this tree say what lies at `path`, be it nothing?
    pub fn covers(&self, path: &str) -> bool {
        let path = normal(path);
        let is_in = |place: &String| {
            let rest = path.strip_prefix(place.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.places.iter().any(is_in) || self.files.contains_key(&path)
    }

    /// A whole file. The error names it as it is seen, or as it lies on the host.
    pub fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        match self.files.get(&normal(path)) {
            Some(content) => content.read(),
            None => Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("there is no {path}"),
            )),
        }
    }

    /// Is there such a file?
    pub fn is_file(&self, path: &str) -> bool {
        self.files.contains_key(&normal(path))
    }

    /// Are these one file of the host, by two names?
    pub fn is_same(&self, one: &str, other: &str) -> bool {
        match (self.files.get(&normal(one)), self.files.get(&normal(other))) {
            (Some(Content::Disk(one)), Some(Content::Disk(other))) => one == other,
            _ => false,
        }
    }

    /// Is there such a file or folder?
    pub fn exists(&self, path: &str) -> bool {
        let path = normal(path);
        self.files.contains_key(&path) || self.below(&path).next().is_some()
    }

    /// The names in a folder, sorted; none when there is no such folder.
    pub fn list(&self, folder: &str) -> Vec<String> {
        let folder = normal(folder);
        let names = self
            .below(&folder)
            .filter_map(|path| path[folder.len() + 1..].split('/').next());
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.dedup();
        names
    }

    /// All files below a folder, sorted.
    pub fn below<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = &'a str> {
        let all = self
            .files
            .range(format!("{folder}/")..)
            .map(|(path, _)| path.as_str());
        all.take_while(move |path| {
            path.strip_prefix(folder)
                .is_some_and(|rest| rest.starts_with('/'))
        })
    }

    /// Writes all that is seen at `place` into a folder, with the permissions that files have on the host.
    pub fn write(&self, place: &str, folder: &Path) -> io::Result<()> {
        let place = normal(place);
        for path in self.below(&place) {
            let file = folder.join(&path[place.len() + 1..]);
            fs_err::create_dir_all(file.parent().unwrap_or(folder))?;
            match &self.files[path] {
                Content::Disk(from) => drop(fs_err::copy(from, &file)?),
                Content::Memory(bytes) => fs_err::write(&file, bytes)?,
            }
        }
        Ok(())
    }

    /// Adds all files to a fingerprint.
    pub(super) fn add_to(&self, print: &mut Fingerprint) -> io::Result<()> {
        for (path, content) in &self.files {
            print.add("file", path).add("bytes", content.read()?);
        }
        Ok(())
    }
}

/// What a link leads to.
fn target(link: PathBuf, root: Option<&Path>) -> io::Result<PathBuf> {
    let to = fs_err::read_link(&link)?;
    Ok(match root {
        Some(root) if to.is_absolute() => root.join(to.strip_prefix("/").unwrap_or(&to)),
        _ => link.parent().unwrap_or(Path::new("/")).join(to),
    })
}

/// An absolute path without `.`, `..`, empty parts and a slash at its end.
fn normal(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_seen_where_it_is_said_to_be() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("usr/lib/rpm");
        fs_err::create_dir_all(folder.join("macros.d")).unwrap();
        fs_err::create_dir_all(root.path().join("opt")).unwrap();
        fs_err::write(folder.join("macros"), "%a 1\n").unwrap();
        fs_err::write(folder.join("macros.d/macros.b"), "%b 1\n").unwrap();
        fs_err::write(root.path().join("opt/c"), "%c 1\n").unwrap();
        let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, folder.join(name)).unwrap();
        link("/opt/c", "macros.d/macros.c");
        link("/etc/passwd", "macros.d/macros.host");
        link(".", "circle");
        link("macros.d", "vendor");
        let mut tree = Tree::new();
        tree.add_folder(&folder, CONFIG).unwrap();
        tree.add_bytes(*b"x", "/usr/lib/rpm/macros");
        tree.add_bytes(*b"y", "/elsewhere/file");

        assert_eq!(tree.read("/usr/lib//rpm/./lua/../macros").unwrap(), b"x");
        assert_eq!(tree.list("/usr/lib/rpm/macros.d"), ["macros.b", "macros.c"]);
        assert_eq!(tree.read("/usr/lib/rpm/vendor/macros.c").unwrap(), b"%c 1\n");
        assert!(tree.exists("/usr/lib/rpm/macros.d/") && tree.exists(CONFIG));
        assert!(!tree.exists("/usr/lib/rpm/macros.d/macros.host"));
        assert!(tree.read("/usr/lib/rpm/none").is_err());
        assert!(
            tree.covers("/usr/lib/rpm/none") && tree.covers("/etc/rpm") && tree.covers("/elsewhere/file")
        );
        assert!(!tree.covers("/usr/lib/rpm2") && !tree.covers("/elsewhere"));

        let out = tempfile::tempdir().unwrap();
        tree.write(CONFIG, out.path()).unwrap();
        assert_eq!(fs_err::read(out.path().join("macros")).unwrap(), b"x");
        assert_eq!(
            fs_err::read(out.path().join("vendor/macros.b")).unwrap(),
            b"%b 1\n"
        );
    }
}
