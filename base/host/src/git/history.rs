//! Histories: commits with what they say, files as they were in them (git-log(1), git-cat-file(1), git-hash-object(1)).

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    os::unix::ffi::OsStrExt as _,
    path::Path,
    sync::Arc,
};

use super::{Git, REPOSITORY, check_commit, text, unexpected};
use crate::Error;

/// The most that is read at once of a history's files, in bytes.
const MOST: u64 = 128 << 20;
/// The most that is read of one file of a history, in bytes. git's limit for what is fetched, which is that of files left out.
const LARGEST: u64 = (8 << 20) - 1;
/// The filter of git-rev-list(1) that leaves larger files out.
const FILTER: &str = "--filter=blob:limit=8m";

/// Where a repository is.
#[derive(Debug, Clone, Copy)]
pub enum At<'a> {
    /// A bare repository.
    Bare(&'a Path),
    /// A folder of a working tree. Relative paths begin there.
    Tree(&'a Path),
}

impl<'a> At<'a> {
    fn place(self) -> (&'static str, &'a Path) {
        match self {
            At::Bare(path) => (REPOSITORY, path),
            At::Tree(path) => ("-C", path),
        }
    }
}

/// The folder with a `.git` that `folder` is, or is below; none: it is in no working tree.
pub fn repository_of(folder: &Path) -> Option<&Path> {
    // One that cannot be looked at is git's to tell of.
    let has_git = |folder: &&Path| folder.join(".git").try_exists().unwrap_or(true);
    folder.ancestors().find(has_git)
}

/// A commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// All digits of its name.
    pub hash: String,
    /// Those of its parents' names.
    pub parents: Vec<String>,
    /// The name of all its files: the same for the same files.
    pub tree: String,
    /// Its author's name.
    pub author: String,
    /// And address.
    pub email: String,
    /// When the author wrote it, in seconds since 1970.
    pub authored: i64,
    /// When it was committed.
    pub committed: i64,
    /// Its message.
    pub message: String,
}

/// Files that a commit changed, and what they became.
pub type Changed = Vec<(String, Option<String>)>;

/// How a commit is printed: so many fields.
const FIELDS: usize = 8;
const FORMAT: &str = "--format=%H%x00%P%x00%T%x00%an%x00%ae%x00%at%x00%ct%x00%B";

impl Commit {
    fn of(fields: &[&[u8]]) -> Result<Self, Error> {
        let field =
            |at: usize| String::from_utf8_lossy(fields.get(at).copied().unwrap_or_default()).into_owned();
        let hash = field(0);
        check_commit(&hash)?;
        Ok(Self {
            hash,
            parents: field(1).split_whitespace().map(str::to_owned).collect(),
            tree: field(2),
            author: field(3),
            email: field(4),
            authored: field(5).parse().unwrap_or(0),
            committed: field(6).parse().unwrap_or(0),
            message: field(7),
        })
    }
}

/// A file of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blob {
    /// There is none, or none that was fetched.
    Missing,
    /// There is one, and it is too large.
    Large,
    /// Its bytes; the same ones for the same content.
    Bytes(Arc<[u8]>),
}

impl Git<'_> {
    /// Brings `commit` and all of its history into the bare repository at `to`, without files of 8 MiB or more if the
    /// server can leave them out.
    pub fn fetch_whole(&self, to: &Path, url: &str, commit: &str) -> Result<(), Error> {
        self.fetch_with(to, url, commit, &[FILTER], &[FILTER])
    }

    /// The commits that `git log` finds with these arguments, in its order.
    pub fn commits(&self, at: At<'_>, arguments: &[&str]) -> Result<Vec<Commit>, Error> {
        let all = [&["log", "-z", "--encoding=UTF-8", FORMAT], arguments].concat();
        let printed = self.run(at.place(), &all, None)?;
        let fields: Vec<&[u8]> = printed.split(|byte| *byte == 0).collect();
        fields.chunks_exact(FIELDS).map(Commit::of).collect()
    }

    /// All commits that changed files in a folder of a working tree, the newest first, with the files (relative to the folder)
    /// and the names of what they became; none for those that went. None at all if there are merges that matter, of which
    /// each file may have a history of its own.
    pub fn changes_in(&self, folder: &Path) -> Result<Option<Vec<(Commit, Changed)>>, Error> {
        let place = At::Tree(folder).place();
        let merges = [
            "rev-list",
            "--count",
            "--merges",
            "--full-history",
            "HEAD",
            "--",
            ".",
        ];
        if text(self.run(place, &merges, None)?)?.trim() != "0" {
            return Ok(None);
        }
        let log = [
            "log",
            "-z",
            "--encoding=UTF-8",
            FORMAT,
            "--raw",
            "--no-abbrev",
            "--no-renames",
        ];
        let log = [&log[..], &["--root", "--relative", "--", "."]].concat();
        let printed = self.run(place, &log, None)?;
        let mut rest: Vec<&[u8]> = printed.split(|byte| *byte == 0).collect();
        rest.reverse();
        let mut commits = Vec::new();
        while rest.len() > FIELDS {
            let fields = rest.split_off(rest.len() - FIELDS);
            let fields: Vec<&[u8]> = fields.into_iter().rev().collect();
            let mut files = Changed::new();
            while let Some(about) = rest
                .last()
                .and_then(|token| token.trim_ascii_start().strip_prefix(b":"))
            {
                let became = String::from_utf8_lossy(about);
                let became = became.split(' ').nth(3).unwrap_or_default().to_owned();
                rest.pop();
                let path = String::from_utf8_lossy(rest.pop().unwrap_or_default()).into_owned();
                let is_there = became.bytes().any(|byte| byte != b'0');
                files.push((path, Some(became).filter(|_| is_there)));
            }
            commits.push((Commit::of(&fields)?, files));
        }
        Ok(Some(commits))
    }

    /// Files, each named as git does (`COMMIT:PATH`, in a working tree `COMMIT:./PATH`), in the order of the names.
    pub fn blobs(&self, at: At<'_>, names: &[String]) -> Result<Vec<Blob>, Error> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let format = "--batch-check=%(objectname) %(objecttype) %(objectsize)";
        let told = text(self.asked(at, &["cat-file", format], names)?)?;
        let lines: Vec<Told> = told.lines().map(Told::of).collect();
        if lines.len() != names.len() {
            return Err(unexpected(format!(
                "it told {} of {} files",
                lines.len(),
                names.len()
            )));
        }
        let sizes = lines.iter().filter_map(|line| match line {
            Told::Blob { name, size } if *size <= LARGEST => Some(((*name).to_owned(), *size)),
            _ => None,
        });
        let mut found = BTreeMap::new();
        for batch in batches(sizes.collect()) {
            let names: Vec<String> = batch.keys().cloned().collect();
            let printed = self.asked(at, &["cat-file", "--batch"], &names)?;
            found.append(&mut contents(&printed, &batch)?);
        }
        let blob = |line: &Told<'_>| match line {
            Told::None => Blob::Missing,
            Told::Blob { name, .. } => found
                .get(*name)
                .map_or(Blob::Large, |bytes| Blob::Bytes(Arc::clone(bytes))),
        };
        Ok(lines.iter().map(blob).collect())
    }

    /// Is a folder in a working tree whose repository has commits? What keeps git from looking there is an error.
    pub fn has_commits(&self, folder: &Path) -> Result<bool, Error> {
        if repository_of(folder).is_none() {
            return Ok(false);
        }
        let arguments = ["log", "--all", "--max-count=1", "--format=%H"];
        let newest = text(self.run(At::Tree(folder).place(), &arguments, None)?)?;
        Ok(!newest.trim().is_empty())
    }

    /// Is the history of a working tree's repository cut off?
    pub fn is_shallow(&self, tree: &Path) -> Result<bool, Error> {
        let told = text(self.run(("-C", tree), &["rev-parse", "--is-shallow-repository"], None)?)?;
        Ok(told.trim() == "true")
    }

    /// Does a file below a folder of a working tree differ from the newest commit's? Files that git does not know do not
    /// count, nor do links. No filter of the repository is run.
    pub fn is_changed(&self, folder: &Path) -> Result<bool, Error> {
        let (mut paths, mut hashes) = (Vec::new(), Vec::new());
        for Listed { mode, hash, path } in self.listed(folder)? {
            if !mode.starts_with("100") || is_unsaid(&path) {
                continue;
            }
            let path = folder.join(path);
            let is_file = path.symlink_metadata().is_ok_and(|found| found.is_file());
            if !is_file {
                return Ok(true);
            }
            // Relative ones would begin at the top of the working tree.
            paths.push(path.to_string_lossy().into_owned());
            hashes.push(hash);
        }
        if paths.is_empty() {
            return Ok(false);
        }
        let arguments = ["hash-object", "--no-filters", "--stdin-paths"];
        let told = text(self.asked(At::Tree(folder), &arguments, &paths)?)?;
        Ok(!told.lines().eq(hashes.iter().map(String::as_str)))
    }

    /// Does the newest commit have all that is in a folder of a working tree, byte for byte? Not so for links whose names
    /// have control characters, and for what is neither file nor link.
    pub fn has_all(&self, folder: &Path) -> Result<bool, Error> {
        if !self.has_commits(folder)? {
            return Ok(false);
        }
        let known = self.listed(folder)?;
        let mut here = BTreeSet::new();
        if !files_of(folder, folder, 0, &mut here)?
            || !here
                .iter()
                .eq(known.iter().map(|one| &one.path).collect::<BTreeSet<_>>())
        {
            return Ok(false);
        }
        let links: Vec<&String> = here
            .iter()
            .filter(|path| folder.join(path).is_symlink())
            .collect();
        let names: Vec<String> = links.iter().map(|path| format!("HEAD:./{path}")).collect();
        if here.iter().any(|path| is_unsaid(path)) || self.is_changed(folder)? {
            return Ok(false);
        }
        let is_same = |(path, blob): (&&String, &Blob)| {
            let target = fs_err::read_link(folder.join(path)).unwrap_or_default();
            matches!(blob, Blob::Bytes(bytes) if **bytes == *target.as_os_str().as_bytes())
        };
        Ok(links
            .iter()
            .zip(&self.blobs(At::Tree(folder), &names)?)
            .all(is_same))
    }

    /// What the newest commit has below a folder of a working tree.
    fn listed(&self, folder: &Path) -> Result<Vec<Listed>, Error> {
        let told = self.run(("-C", folder), &["ls-tree", "-r", "-z", "HEAD"], None)?;
        let listed = |line: &[u8]| {
            let line = String::from_utf8_lossy(line);
            let (about, path) = line.split_once('\t')?;
            let mut about = about.split(' ').map(str::to_owned);
            Some(Listed {
                mode: about.next()?,
                hash: about.nth(1)?,
                path: path.to_owned(),
            })
        };
        Ok(told.split(|byte| *byte == 0).filter_map(listed).collect())
    }

    /// What git answers to lines on its standard input.
    fn asked(&self, at: At<'_>, arguments: &[&str], lines: &[String]) -> Result<Vec<u8>, Error> {
        if let Some(line) = lines.iter().find(|line| line.contains(char::is_control)) {
            return Err(super::request(format!("{line:?} cannot be said in a line")));
        }
        let mut input = temporary()?;
        input.write_all((lines.join("\n") + "\n").as_bytes())?;
        std::io::Seek::rewind(&mut input)?;
        self.run_with(at.place(), arguments, Some(input), None)
    }
}

/// A file of a commit.
struct Listed {
    mode: String,
    hash: String,
    path: String,
}

/// Can a path not be said in a line?
fn is_unsaid(path: &str) -> bool {
    path.contains(|c: char| c.is_control() || c == '\u{fffd}')
}

/// Folders in folders, at most.
const DEEPEST: usize = 64;

/// Adds the files and links below a folder, relative to `top`. Whether that is all of it comes back.
fn files_of(top: &Path, folder: &Path, depth: usize, out: &mut BTreeSet<String>) -> Result<bool, Error> {
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        let kind = path.symlink_metadata()?.file_type();
        let is_told = match kind.is_dir() {
            true => depth < DEEPEST && files_of(top, &path, depth + 1, out)?,
            false => kind.is_file() || kind.is_symlink(),
        };
        if !is_told {
            return Ok(false);
        }
        if let (false, Ok(path)) = (kind.is_dir(), path.strip_prefix(top)) {
            out.insert(path.to_string_lossy().into_owned());
        }
    }
    Ok(true)
}

/// A file without a name.
fn temporary() -> Result<std::fs::File, Error> {
    use rustix::fs::{MemfdFlags, memfd_create};
    let made = memfd_create("keel-git", MemfdFlags::CLOEXEC);
    Ok(made.map(std::fs::File::from).map_err(std::io::Error::from)?)
}

/// What git tells of one name.
enum Told<'a> {
    None,
    Blob { name: &'a str, size: u64 },
}

impl<'a> Told<'a> {
    fn of(line: &'a str) -> Self {
        let parts: Vec<&str> = line.split(' ').collect();
        match parts.as_slice() {
            [name, "blob", size] => match (check_commit(name), size.parse()) {
                (Ok(()), Ok(size)) => Told::Blob { name, size },
                _ => Told::None,
            },
            _ => Told::None,
        }
    }
}

/// Objects, and their sizes, in as many parts as must be read one after the other.
fn batches(all: BTreeMap<String, u64>) -> Vec<BTreeMap<String, u64>> {
    let (mut batches, mut sum) = (Vec::<BTreeMap<String, u64>>::new(), 0);
    for (name, size) in all {
        sum += size;
        match batches.last_mut().filter(|_| sum <= MOST) {
            Some(batch) => {
                batch.insert(name, size);
            }
            None => {
                sum = size;
                batches.push(BTreeMap::from([(name, size)]));
            }
        }
    }
    batches
}

/// The objects in what `git cat-file --batch` printed.
fn contents(
    mut printed: &[u8],
    wanted: &BTreeMap<String, u64>,
) -> Result<BTreeMap<String, Arc<[u8]>>, Error> {
    let mut found = BTreeMap::new();
    for (name, size) in wanted {
        let cut = || unexpected(format!("it printed another object than {name}"));
        let head = format!("{name} blob {size}\n");
        let rest = printed.strip_prefix(head.as_bytes()).ok_or_else(cut)?;
        let size = usize::try_from(*size).map_err(|_| cut())?;
        let (bytes, rest) = rest.split_at_checked(size).ok_or_else(cut)?;
        found.insert(name.clone(), Arc::from(bytes));
        printed = rest.strip_prefix(b"\n").ok_or_else(cut)?;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_in_parts() {
        let sizes = |sizes: &[u64]| {
            sizes
                .iter()
                .enumerate()
                .map(|(at, size)| (at.to_string(), *size))
                .collect()
        };
        let lengths = |all: &[u64]| batches(sizes(all)).iter().map(BTreeMap::len).collect::<Vec<_>>();
        assert_eq!(lengths(&[]), Vec::<usize>::new());
        assert_eq!(lengths(&[1, MOST - 1, 1, 2]), [2, 2]);
        assert_eq!(lengths(&[MOST; 3]), [1, 1, 1]);
    }
}
