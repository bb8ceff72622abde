//! Histories: commits with what they say, files as they were in them (git-log(1), git-cat-file(1), git-hash-object(1)).

use std::{collections::BTreeMap, io::Write as _, path::Path, sync::Arc};

use super::{Git, REPOSITORY, check_commit, text, unexpected};
use crate::Error;

/// The most that is read of all files of a history together, in bytes.
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
        const FIELDS: usize = 8;
        let format = "--format=%H%x00%P%x00%T%x00%an%x00%ae%x00%at%x00%ct%x00%B";
        let all = [&["log", "-z", "--encoding=UTF-8", format], arguments].concat();
        let printed = self.run(at.place(), &all, None)?;
        let fields: Vec<&[u8]> = printed.split(|byte| *byte == 0).collect();
        let text = |field: &[u8]| String::from_utf8_lossy(field).into_owned();
        let number = |field: &[u8]| text(field).parse().unwrap_or(0);
        let commit = |fields: &[&[u8]]| {
            let hash = text(fields[0]);
            check_commit(&hash)?;
            Ok(Commit {
                hash,
                parents: text(fields[1]).split_whitespace().map(str::to_owned).collect(),
                tree: text(fields[2]),
                author: text(fields[3]),
                email: text(fields[4]),
                authored: number(fields[5]),
                committed: number(fields[6]),
                message: text(fields[7]),
            })
        };
        fields.chunks_exact(FIELDS).map(commit).collect()
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
        let (mut wanted, mut sum) = (BTreeMap::new(), 0);
        for line in &lines {
            if let Told::Blob { name, size } = line
                && *size <= LARGEST
                && !wanted.contains_key(*name)
                && sum + size <= MOST
            {
                sum += size;
                wanted.insert((*name).to_owned(), *size);
            }
        }
        let names: Vec<String> = wanted.keys().cloned().collect();
        let printed = match names.is_empty() {
            true => Vec::new(),
            false => self.asked(at, &["cat-file", "--batch"], &names)?,
        };
        let contents = contents(&printed, &wanted)?;
        let blob = |line: &Told<'_>| match line {
            Told::None => Blob::Missing,
            Told::Blob { name, .. } => contents
                .get(*name)
                .map_or(Blob::Large, |bytes| Blob::Bytes(Arc::clone(bytes))),
        };
        Ok(lines.iter().map(blob).collect())
    }

    /// Is the history of a working tree's repository cut off?
    pub fn is_shallow(&self, tree: &Path) -> Result<bool, Error> {
        let told = text(self.run(("-C", tree), &["rev-parse", "--is-shallow-repository"], None)?)?;
        Ok(told.trim() == "true")
    }

    /// Does a file below a folder of a working tree differ from the newest commit's? Files that git does not know do not
    /// count, nor do links. No filter of the repository is run.
    pub fn is_changed(&self, folder: &Path) -> Result<bool, Error> {
        let listed = self.run(("-C", folder), &["ls-tree", "-r", "-z", "HEAD"], None)?;
        let (mut paths, mut hashes) = (Vec::new(), Vec::new());
        for line in listed.split(|byte| *byte == 0) {
            let line = String::from_utf8_lossy(line);
            let Some((about, path)) = line.split_once('\t') else {
                continue;
            };
            let mut about = about.split(' ');
            let (mode, hash) = (about.next().unwrap_or_default(), about.nth(1).unwrap_or_default());
            if !mode.starts_with("100") || path.contains(|c: char| c.is_control() || c == '\u{fffd}') {
                continue;
            }
            let path = folder.join(path);
            let is_file = path.symlink_metadata().is_ok_and(|found| found.is_file());
            if !is_file {
                return Ok(true);
            }
            // Relative ones would begin at the top of the working tree.
            paths.push(path.to_string_lossy().into_owned());
            hashes.push(hash.to_owned());
        }
        if paths.is_empty() {
            return Ok(false);
        }
        let arguments = ["hash-object", "--no-filters", "--stdin-paths"];
        let told = text(self.asked(At::Tree(folder), &arguments, &paths)?)?;
        Ok(!told.lines().eq(hashes.iter().map(String::as_str)))
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
    use std::{process::Command, time::Duration};

    use keel_artefact::Interrupt;

    use super::*;

    fn sh(folder: &Path, line: &str) -> String {
        let output = Command::new("sh")
            .args(["-ec", line])
            .current_dir(folder)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_DATE"), "2020-01-02T03:04:05Z")))
            .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_NAME"), "a b")))
            .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_EMAIL"), "a@example.org")))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    #[test]
    fn a_history_tells_its_commits_and_its_files() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("source");
        fs_err::create_dir(&source).unwrap();
        let interrupt = Interrupt::default();
        let git = Git {
            certificates: None,
            proxy: None,
            time: Duration::from_secs(60),
            size: 1 << 30,
            interrupt: &interrupt,
        };
        sh(&source, "git init -q -b main . && mkdir p && echo one > p/a");
        sh(&source, "git add . && git commit -qm one -m body");
        sh(
            &source,
            "echo two > p/a && head -c 8388608 /dev/zero > p/b && git add . && git commit -qm two",
        );
        let newest = sh(&source, "git rev-parse HEAD");
        let folder = source.join("p");
        let here = git.commits(At::Tree(&folder), &["--", "a"]).unwrap();
        let told: Vec<_> = here
            .iter()
            .map(|one| (one.message.trim(), one.committed))
            .collect();
        assert_eq!(told, [("two", 1_577_934_245), ("one\n\nbody", 1_577_934_245)]);
        assert_eq!(
            (here[0].author.as_str(), here[0].email.as_str()),
            ("a b", "a@example.org")
        );

        let bare = dir.path().join("bare");
        git.fetch_whole(&bare, &format!("file://{}", source.display()), &newest)
            .unwrap();
        let all = git
            .commits(At::Bare(&bare), &["--first-parent", &newest])
            .unwrap();
        assert_eq!(all, here);
        let of = |at, path: &str| {
            let names: Vec<String> = all.iter().map(|one| format!("{}:{path}", one.hash)).collect();
            git.blobs(at, &names).unwrap()
        };
        let bytes = |text: &str| Blob::Bytes(Arc::from(text.as_bytes()));
        assert_eq!(of(At::Bare(&bare), "p/a"), [bytes("two\n"), bytes("one\n")]);
        assert_eq!(of(At::Tree(&folder), "./a"), [bytes("two\n"), bytes("one\n")]);
        // It is too large, and before it was not there; a folder is no file.
        assert_eq!(of(At::Tree(&folder), "./b"), [Blob::Large, Blob::Missing]);
        assert_eq!(of(At::Tree(&folder), "p"), [Blob::Missing, Blob::Missing]);
        assert!(git.blobs(At::Bare(&bare), &["a\nb".to_owned()]).is_err());

        assert!(!git.is_changed(&folder).unwrap());
        fs_err::write(folder.join("new"), "git does not know it").unwrap();
        assert!(!git.is_changed(&folder).unwrap());
        fs_err::write(folder.join("a"), "three\n").unwrap();
        assert!(git.is_changed(&folder).unwrap());
        fs_err::remove_file(folder.join("a")).unwrap();
        assert!(git.is_changed(&folder).unwrap());

        assert!(!git.is_shallow(&source).unwrap());
        sh(dir.path(), "git clone -q --depth=1 file://$PWD/source shallow");
        assert!(git.is_shallow(&dir.path().join("shallow")).unwrap());
    }
}
