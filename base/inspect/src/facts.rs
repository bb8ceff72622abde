//! What rules look at: a package, read once.

use std::{
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use keel_artefact::{Interrupt, RootPath, Sha256, format::Version, parallel};
use keel_rpm::{
    FileKind, PackageInfo, archive,
    elf::{self, ElfFacts},
    exports::{self, Export},
};
use keel_store::Store;
use serde::{Deserialize, Serialize};

use crate::Error;

/// The version of [`Facts`] as kept in the store: raised when more is read, or something is read otherwise.
pub const FORMAT: Version = Version(4);

/// The largest ELF file or static library that is read. It lies in memory whole.
const LARGEST_ELF: u64 = 256 << 20;

/// Findings of one kind in the content of files, at most, for each package.
const MOST: usize = 1000;

/// Members of one static library that are named, at most.
const MOST_MEMBERS: usize = 3;

/// A member's name is cut here.
const LONGEST_MEMBER: usize = 200;

/// Package files below a folder, at most.
const MOST_FILES: usize = 1_000_000;

/// What a package is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Installed by users.
    Binary,
    /// `-debuginfo` and `-debugsource`.
    Debug,
    /// The source package.
    Source,
}

impl Kind {
    /// What a package of this header is for.
    pub fn of(info: &PackageInfo) -> Self {
        let name = info.nevra.name.as_str();
        if info.is_source() {
            Self::Source
        } else if name.ends_with("-debuginfo") || name.ends_with("-debugsource") {
            Self::Debug
        } else {
            Self::Binary
        }
    }
}

/// What was read of a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Version of this format.
    pub format: Version,
    /// The header.
    pub info: PackageInfo,
    /// Its ELF files, in the order of the payload. Of packages of debugging information, and of source packages, only the header is
    /// read.
    pub elves: Vec<Elf>,
    /// Its object files and static libraries, in the same order.
    pub objects: Vec<Objects>,
    /// Files that name the folder that they were built in, and how.
    pub build_paths: Vec<(RootPath, String)>,
    /// Files that begin as ELF files do, and cannot be read as one.
    pub unread: Vec<RootPath>,
}

/// One ELF file of a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Elf {
    /// Where it is.
    pub path: RootPath,
    /// What it says.
    pub facts: ElfFacts,
    /// What a shared library offers; empty for programs.
    pub exports: Vec<Export>,
}

/// An object file, or a static library of such: what is linked into other programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Objects {
    /// Where it is.
    pub path: RootPath,
    /// The members (of an object file: itself) that hold what only a link-time optimiser reads; the first few.
    pub with_lto: Vec<String>,
    /// Those that have code, and no mark for IBT and shadow stacks (x86-64) or BTI (AArch64); the first few.
    pub unmarked: Vec<String>,
}

impl Objects {
    fn new(path: &RootPath) -> Self {
        Self {
            path: path.clone(),
            with_lto: Vec::new(),
            unmarked: Vec::new(),
        }
    }

    fn add(&mut self, name: &str, facts: &ElfFacts) {
        if facts.has_lto && self.with_lto.len() < MOST_MEMBERS {
            self.with_lto.push(name.to_owned());
        }
        if facts.code_size > 0 && facts.lacks_control_flow() && self.unmarked.len() < MOST_MEMBERS {
            self.unmarked.push(name.to_owned());
        }
    }
}

/// A package that is checked.
#[derive(Debug, Clone)]
pub struct Package {
    /// The component that it is of: as the tree calls it or, without a tree, the name of its source package.
    pub component: String,
    /// What was read.
    pub facts: Arc<Facts>,
}

impl Package {
    /// A package of no tree.
    pub fn foreign(facts: Arc<Facts>) -> Self {
        Self {
            component: facts.source_name().to_owned(),
            facts,
        }
    }

    /// Its header.
    pub fn info(&self) -> &PackageInfo {
        &self.facts.info
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.facts.info.nevra.name.as_str()
    }
}

impl Facts {
    /// Reads a package file.
    pub fn read(file: &Path) -> Result<Self, Error> {
        let info = keel_rpm::read(file)?;
        let mut facts = Self {
            format: FORMAT,
            info,
            elves: Vec::new(),
            objects: Vec::new(),
            build_paths: Vec::new(),
            unread: Vec::new(),
        };
        if facts.kind() == Kind::Binary {
            keel_rpm::payload(file, &mut |entry, content| {
                if entry.kind == FileKind::Regular && entry.same_as.is_none() {
                    facts.file(&entry.path, entry.size, content)?;
                }
                Ok::<(), Error>(())
            })?;
        }
        Ok(facts)
    }

    /// [`Facts::read`], kept in `store` by the digest of the file.
    pub fn kept(store: &Store, digest: &Sha256, file: &Path) -> Result<Arc<Self>, Error> {
        let kept: Option<Self> = store.action("package-facts", digest)?;
        if let Some(kept) = kept.filter(|kept| kept.format == FORMAT) {
            return Ok(Arc::new(kept));
        }
        let facts = Self::read(file)?;
        // A header alone is read faster than what is kept of it. A file that was replaced meanwhile is not the one of `digest`.
        if facts.kind() == Kind::Binary && Sha256::of_file(file)?.0 == *digest {
            store.record("package-facts", digest, &facts)?;
        }
        Ok(Arc::new(facts))
    }

    fn file(&mut self, path: &RootPath, size: u64, content: &mut dyn Read) -> Result<(), Error> {
        let mut start = Vec::with_capacity(8);
        content.take(8).read_to_end(&mut start)?;
        if elf::is_elf(&start) {
            if size > LARGEST_ELF {
                self.unread.push(path.clone());
                return Ok(());
            }
            content.read_to_end(&mut start)?;
            self.elf(path, &start);
            return Ok(());
        }
        if archive::is_archive(&start) && size <= LARGEST_ELF {
            content.read_to_end(&mut start)?;
            self.archive(path, &start);
            self.name_build_path(path, build_path(&start));
            return Ok(());
        }
        if self.build_paths.len() < MOST {
            let found = build_path_in(&start, content)?;
            self.name_build_path(path, found);
        }
        Ok(())
    }

    fn name_build_path(&mut self, path: &RootPath, found: Option<String>) {
        if let Some(found) = found
            && self.build_paths.len() < MOST
        {
            self.build_paths.push((path.clone(), found));
        }
    }

    /// A static library. Of what cannot be read nothing is said.
    fn archive(&mut self, path: &RootPath, bytes: &[u8]) {
        let mut objects = Objects::new(path);
        for member in archive::members(bytes).unwrap_or_default() {
            if let Some(facts) = elf::facts(member.bytes) {
                let name = &member.name[..member.name.len().min(LONGEST_MEMBER)];
                objects.add(&String::from_utf8_lossy(name), &facts);
            }
        }
        self.objects.push(objects);
    }

    fn elf(&mut self, path: &RootPath, bytes: &[u8]) {
        let Some(facts) = elf::facts(bytes) else {
            self.unread.push(path.clone());
            return;
        };
        let exports = match facts.kind {
            elf::Kind::Shared => exports::exports(bytes),
            _ => Some(Vec::new()),
        };
        let Some(exports) = exports else {
            self.unread.push(path.clone());
            return;
        };
        self.name_build_path(path, build_path(bytes));
        if facts.kind == elf::Kind::Relocatable {
            let mut objects = Objects::new(path);
            objects.add(path.file_name(), &facts);
            self.objects.push(objects);
        }
        self.elves.push(Elf {
            path: path.clone(),
            facts,
            exports,
        });
    }

    /// What the package is for.
    pub fn kind(&self) -> Kind {
        Kind::of(&self.info)
    }

    /// The name of the source package that it was built from; its own if it does not say.
    pub fn source_name(&self) -> &str {
        let name = self.info.nevra.name.as_str();
        let source = self.info.source_rpm.as_deref().and_then(|file| {
            let mut parts = file.rsplitn(3, '-');
            parts.nth(2)
        });
        source.filter(|source| !source.is_empty()).unwrap_or(name)
    }
}

/// Looks for the folder of a build in a stream of any length, with bounded memory.
fn build_path_in(start: &[u8], content: &mut dyn Read) -> Result<Option<String>, Error> {
    /// What is kept of the bytes before, so that nothing is cut in two.
    const OVERLAP: usize = 256;
    let mut window = start.to_vec();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = match content.read(&mut buffer) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            result => result?,
        };
        window.extend_from_slice(&buffer[..count]);
        if let Some(found) = build_path(&window) {
            return Ok(Some(found));
        }
        if count == 0 {
            return Ok(None);
        }
        window.drain(..window.len().saturating_sub(OVERLAP));
    }
}

/// Places where a folder of a build may begin, at most, of those that are looked at closer.
const MOST_TRIES: usize = 100_000;

/// The first path in `bytes` that lies in the folder of a build by rpmbuild: `…/BUILD/…`, `…/BUILDROOT/…`.
fn build_path(bytes: &[u8]) -> Option<String> {
    let in_path = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+~:%".contains(byte);
    for at in memchr::memmem::find_iter(bytes, b"/BUILD").take(MOST_TRIES) {
        let rest = &bytes[at + 6..];
        if !(rest.starts_with(b"/") || rest.starts_with(b"ROOT/")) {
            continue;
        }
        let before = bytes[..at]
            .iter()
            .rev()
            .take(200)
            .take_while(|byte| in_path(byte))
            .count();
        let after = rest.iter().take(100).take_while(|byte| in_path(byte)).count();
        let path = &bytes[at - before..at + 6 + after];
        // `-ffile-prefix-map=/build/BUILD=…` names it too, but not as a file in it.
        let start = path.iter().position(|byte| *byte == b'/')?;
        let path = String::from_utf8_lossy(&path[start..]).into_owned();
        if !path.starts_with("/BUILD") {
            return Some(path);
        }
    }
    None
}

/// All package files below a folder, sorted, source packages too. Links are not followed.
pub fn find(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let (mut found, mut folders) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(&folder)? {
            let entry = entry?;
            let (kind, path) = (entry.file_type()?, entry.path());
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() && path.extension().is_some_and(|end| end == "rpm") {
                found.push(path);
            }
            if found.len() > MOST_FILES {
                let text = format!("{} holds more than {MOST_FILES} packages", dir.display());
                return Err(std::io::Error::other(text).into());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The facts of package files, in their order, on all cores. With a store, what is read is kept.
pub fn all(
    files: &[PathBuf],
    store: Option<&Store>,
    interrupt: &Interrupt,
) -> Result<Vec<Arc<Facts>>, Error> {
    parallel::map(files, interrupt, |file| match store {
        Some(store) => Facts::kept(store, &Sha256::of_file(file)?.0, file),
        None => Facts::read(file).map(Arc::new),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_builds_are_found_wherever_they_stand() {
        for (text, found) in [
            (" /build/BUILD/x-1/x.c ", Some("/build/BUILD/x-1/x.c")),
            ("--prefix=/b/BUILDROOT/usr", Some("/b/BUILDROOT/usr")),
            ("/BUILD/x", None),
            ("/build/BUILD", None),
            ("/build/BUILDING/x", None),
            ("nothing", None),
        ] {
            assert_eq!(build_path(text.as_bytes()).as_deref(), found, "{text}");
            for pad in [65_530, 65_536, 131_070] {
                let long = format!("{}{text} ", " ".repeat(pad));
                let streamed = build_path_in(b"", &mut long.as_bytes()).unwrap();
                assert_eq!(streamed.is_some(), found.is_some(), "{text} {pad}");
            }
        }
    }
}
