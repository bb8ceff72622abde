//! `git` of the machine: a commit fetched, a commit as a tar archive, a history read, tags listed (git-fetch(1),
//! git-archive(1), git-log(1), git-ls-remote(1)).
//!
//! What git does depends on what it is told here alone: no configuration of the machine or the user is read, no hook, filter
//! or helper that a repository names runs, nobody is asked for a password, and it talks to `https` and `file` only.

mod history;

use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use keel_artefact::{Epoch, Interrupt};
use keel_sandbox::Status;

pub use history::{At, Blob, Commit, repository_of};

use crate::{Error, Program};

/// The most that is read of what git prints, in bytes.
const MOST_TEXT: u64 = 256 << 20;
/// The option that names a repository without a working tree.
const REPOSITORY: &str = "--git-dir";
/// How often it is looked whether git is to be stopped.
const LOOK: Duration = Duration::from_millis(50);
/// How often the size of what is fetched is looked at, in looks.
const WEIGH: u32 = 20;

/// How git is run.
#[derive(Debug, Clone)]
pub struct Git<'a> {
    /// Certificates (PEM) that servers are checked against, instead of the machine's.
    pub certificates: Option<&'a Path>,
    /// A proxy (`http://HOST:PORT`).
    pub proxy: Option<&'a str>,
    /// How long one command may take.
    pub time: Duration,
    /// The most that a repository may weigh, in bytes.
    pub size: u64,
    /// Ends it.
    pub interrupt: &'a Interrupt,
}

/// A tag of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// Its name: `v1.0`.
    pub name: String,
    /// All digits of the commit that it leads to.
    pub commit: String,
}

impl Git<'_> {
    /// Brings `commit` (all of its hexadecimal digits) of the repository at `url` into the bare repository at `to`, which
    /// is made if it is not there. Does nothing if it has it.
    pub fn fetch(&self, to: &Path, url: &str, commit: &str) -> Result<(), Error> {
        self.fetch_with(to, url, commit, &["--depth=1"], &[])
    }

    /// The same, with options for one commit and for all branches.
    fn fetch_with(
        &self,
        to: &Path,
        url: &str,
        commit: &str,
        one: &[&str],
        all: &[&str],
    ) -> Result<(), Error> {
        check_commit(commit)?;
        self.open(to, url)?;
        if self.has(to, commit)? {
            return Ok(());
        }
        // A server may refuse to be asked for a commit: then all of its branches.
        let fetch = ["fetch", "--quiet", "--no-tags"];
        let one = [&fetch, one, &[url, commit]].concat();
        let all = [&fetch, all, &[url, "+refs/heads/*:refs/heads/*"]].concat();
        if let Err(error) = self.in_repository(to, &one) {
            self.interrupt.check()?;
            if self.in_repository(to, &all).is_err() {
                return Err(error);
            }
        }
        match self.has(to, commit)? {
            true => Ok(()),
            false => Err(unexpected(format!("{url} has no commit {commit}"))),
        }
    }

    /// Brings the history of `branch` into the bare repository at `to`, without the content of files; gives its newest
    /// commit.
    pub fn fetch_history(&self, to: &Path, url: &str, branch: &str) -> Result<String, Error> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        if !branch.chars().all(plain) || branch.starts_with('-') || branch.contains("..") {
            return Err(request(format!("`{branch}` is no branch")));
        }
        self.open(to, url)?;
        let branch = format!("+refs/heads/{branch}:refs/heads/{branch}");
        self.in_repository(
            to,
            &[
                "fetch",
                "--quiet",
                "--no-tags",
                "--filter=blob:none",
                url,
                &branch,
            ],
        )?;
        let name = branch.rsplit(':').next().unwrap_or_default();
        self.commit(to, &["rev-parse", "--verify", "--quiet", name])
    }

    /// The tags of the repository at `url`, and the commits that they lead to, in the order of their names. `to` is a bare
    /// repository, which is made if it is not there; nothing comes into it.
    pub fn tags(&self, to: &Path, url: &str) -> Result<Vec<Tag>, Error> {
        self.open(to, url)?;
        let text = self.text(to, &["ls-remote", "--quiet", "--tags", url])?;
        let mut tags: Vec<Tag> = Vec::new();
        for line in text.lines() {
            let parts = line.split_once('\t');
            let parts = parts.and_then(|(commit, name)| Some((commit, name.strip_prefix("refs/tags/")?)));
            let (commit, name) = parts.ok_or_else(|| unexpected(format!("{url} lists `{line}` as a tag")))?;
            check_commit(commit)?;
            // An annotated tag is followed by what it leads to.
            match name.strip_suffix("^{}") {
                Some(name) => {
                    for tag in tags.iter_mut().rev().take(1).filter(|tag| tag.name == name) {
                        commit.clone_into(&mut tag.commit);
                    }
                }
                None => tags.push(Tag {
                    name: name.to_owned(),
                    commit: commit.to_owned(),
                }),
            }
        }
        Ok(tags)
    }

    /// The newest commit on the first parents' line of `from` that was made before `time`, if there is one.
    pub fn commit_before(&self, repository: &Path, from: &str, time: Epoch) -> Result<Option<String>, Error> {
        check_commit(from)?;
        // git takes `--before` of the time that it stands for, to the second.
        let before = format!("--before=@{}", time.0);
        let found = self.text(repository, &["rev-list", "-1", "--first-parent", &before, from])?;
        Ok(Some(found.trim().to_owned()).filter(|found| !found.is_empty()))
    }

    /// The files of `commit` as a tar archive, each below `prefix` (which ends with `/`, or is empty).
    ///
    /// The same commit gives the same bytes: attributes of the repository that change what is archived are not heard.
    pub fn archive(&self, repository: &Path, commit: &str, prefix: &str, to: &Path) -> Result<(), Error> {
        check_commit(commit)?;
        fs_err::create_dir_all(repository.join("info"))?;
        fs_err::write(
            repository.join("info/attributes"),
            "* -export-subst -export-ignore -text -ident -filter -working-tree-encoding\n",
        )?;
        let prefix = format!("--prefix={prefix}");
        let output = fs_err::File::create(to)?.into_parts().0;
        let arguments = ["-c", "tar.umask=0022", "archive", "--format=tar", &prefix, commit];
        // A few objects may become an archive of any size.
        self.run((REPOSITORY, repository), &arguments, Some(output))
            .map(drop)
    }

    /// The files of `commit` in the folder `to`, which is made.
    pub fn extract(&self, repository: &Path, commit: &str, to: &Path) -> Result<(), Error> {
        let path = repository.join("keel-archive.tar");
        self.archive(repository, commit, "", &path)?;
        fs_err::create_dir_all(to)?;
        let mut archive = tar::Archive::new(fs_err::File::open(&path)?);
        archive.set_preserve_mtime(false);
        let outside = |path: &Path| unexpected(format!("`{}` leads out of the repository", path.display()));
        for entry in archive.entries()? {
            let mut entry = entry?;
            if !entry.unpack_in(to)? {
                return Err(outside(&entry.path()?));
            }
        }
        if let Some(link) = keel_store::links::first_outside(to)? {
            return Err(outside(&link));
        }
        Ok(fs_err::remove_file(path)?)
    }

    /// The top folder of the working tree that `folder` is in.
    pub fn top(&self, folder: &Path) -> Result<PathBuf, Error> {
        let found = text(self.run(("-C", folder), &["rev-parse", "--show-toplevel"], None)?)?;
        Ok(PathBuf::from(found.strip_suffix('\n').unwrap_or(&found)))
    }

    /// All digits of the commit that `revision` (`HEAD~3`, a branch, a tag) means in the repository of a working tree.
    pub fn commit_of(&self, tree: &Path, revision: &str) -> Result<String, Error> {
        let commit = format!("{revision}^{{commit}}");
        let arguments = ["rev-parse", "--verify", "--end-of-options", &commit];
        let found = text(self.run(("-C", tree), &arguments, None)?)?;
        check_commit(found.trim())?;
        Ok(found.trim().to_owned())
    }

    /// Makes a bare repository at `to` that has all commits of a working tree's repository, and none of its
    /// configuration. The other one is only read.
    pub fn borrow(&self, tree: &Path, to: &Path) -> Result<(), Error> {
        let ask = |what: &[&str]| text(self.run(("-C", tree), &[&["rev-parse"], what].concat(), None)?);
        let objects = ask(&["--path-format=absolute", "--git-path", "objects"])?;
        let format = ask(&["--show-object-format"])?;
        let format = format!("--object-format={}", format.trim());
        fs_err::create_dir_all(to)?;
        self.in_repository(to, &["init", "--quiet", "--bare", "--template=", &format])?;
        fs_err::create_dir_all(to.join("objects/info"))?;
        Ok(fs_err::write(to.join("objects/info/alternates"), objects)?)
    }

    /// Makes the files of a commit, which were extracted to `to`, a working tree of a repository of its own: its newest commit
    /// is that one, and its objects are those of the repository of `tree`, which is only read.
    pub fn attach(&self, tree: &Path, commit: &str, to: &Path) -> Result<(), Error> {
        check_commit(commit)?;
        let repository = to.join(".git");
        self.borrow(tree, &repository)?;
        self.in_repository(&repository, &["config", "core.bare", "false"])?;
        let shallow = ["rev-parse", "--path-format=absolute", "--git-path", "shallow"];
        let shallow = text(self.run(("-C", tree), &shallow, None)?)?;
        // Where the history ends there, it ends here.
        match fs_err::read(shallow.strip_suffix('\n').unwrap_or(&shallow)) {
            Ok(ends) => fs_err::write(repository.join("shallow"), ends)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        Ok(fs_err::write(repository.join("HEAD"), format!("{commit}\n"))?)
    }

    /// What `git log` prints of a working tree with these arguments.
    pub fn log(&self, tree: &Path, arguments: &[&str]) -> Result<String, Error> {
        let bytes = self.run(("-C", tree), &[&["log"], arguments].concat(), None)?;
        text(bytes)
    }

    fn open(&self, repository: &Path, url: &str) -> Result<(), Error> {
        let is_plain = !url.contains(|c: char| c.is_control() || c.is_whitespace());
        let has_credentials = url.split('/').nth(2).is_some_and(|host| host.contains('@'));
        if !(is_plain && (url.starts_with("https://") || url.starts_with("file:///"))) || has_credentials {
            return Err(request(format!("`{url}` is neither `https://…` nor `file:///…`")));
        }
        if !repository.join("HEAD").exists() {
            fs_err::create_dir_all(repository)?;
            self.in_repository(repository, &["init", "--quiet", "--bare", "--template="])?;
        }
        Ok(())
    }

    fn has(&self, repository: &Path, commit: &str) -> Result<bool, Error> {
        let object = format!("{commit}^{{commit}}");
        match self.in_repository(repository, &["cat-file", "-e", &object]) {
            Ok(()) => Ok(true),
            Err(Error::Failed { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn commit(&self, repository: &Path, arguments: &[&str]) -> Result<String, Error> {
        let text = self.text(repository, arguments)?;
        check_commit(text.trim())?;
        Ok(text.trim().to_owned())
    }

    fn in_repository(&self, repository: &Path, arguments: &[&str]) -> Result<(), Error> {
        self.run((REPOSITORY, repository), arguments, None).map(drop)
    }

    fn text(&self, repository: &Path, arguments: &[&str]) -> Result<String, Error> {
        text(self.run((REPOSITORY, repository), arguments, None)?)
    }

    /// Runs it where the option with a folder says; gives what it printed, if that does not go to `output`.
    fn run(&self, place: (&str, &Path), arguments: &[&str], output: Option<File>) -> Result<Vec<u8>, Error> {
        self.run_with(place, arguments, None, output)
    }

    /// The same, with what it reads.
    fn run_with(
        &self,
        (option, folder): (&str, &Path),
        arguments: &[&str],
        input: Option<File>,
        output: Option<File>,
    ) -> Result<Vec<u8>, Error> {
        let made = output.as_ref().and_then(|file| file.try_clone().ok());
        let start = |source| Error::Start {
            program: Program::Git.name(),
            source,
        };
        let argv: Vec<&str> = [&["git"], arguments].concat();
        let mut command = Command::new(Program::Git.find()?);
        command
            .args(["-c", "protocol.allow=never"])
            .args([
                "-c",
                "protocol.https.allow=always",
                "-c",
                "protocol.file.allow=always",
            ])
            .args([
                "-c",
                "http.followRedirects=initial",
                "-c",
                "core.hooksPath=/dev/null",
            ])
            // Repositories that Keel made itself are its own, whoever runs it; of others, git asks whose they are.
            .args(
                (option == REPOSITORY)
                    .then_some(["-c", "safe.directory=*"])
                    .into_iter()
                    .flatten(),
            )
            // What a repository's own configuration may have run.
            .args(["-c", "log.showSignature=false", "-c", "gpg.program=/bin/false"])
            .args(["-c", "core.fsmonitor=false", "-c", "core.sshCommand=/bin/false"])
            .args(["-c", "gc.auto=0", "-c", "maintenance.auto=false"])
            .arg(option)
            .arg(folder)
            .args(arguments)
            .env_clear()
            .envs([
                ("PATH", "/usr/local/bin:/usr/bin:/bin"),
                ("LC_ALL", "C.UTF-8"),
                ("TZ", "UTC"),
                ("HOME", "/nonexistent"),
                ("GIT_CONFIG_NOSYSTEM", "1"),
                ("GIT_CONFIG_GLOBAL", "/dev/null"),
                ("GIT_TERMINAL_PROMPT", "0"),
                ("GIT_ASKPASS", "/bin/false"),
                ("GIT_OPTIONAL_LOCKS", "0"),
                ("GIT_NO_LAZY_FETCH", "1"),
            ])
            // Of root, git also asks whose work it does under sudo.
            .envs(std::env::var_os("SUDO_UID").map(|user| ("SUDO_UID", user)))
            .current_dir("/")
            .stdin(input.map_or_else(Stdio::null, Stdio::from))
            .stdout(output.map_or_else(Stdio::piped, Stdio::from))
            .stderr(Stdio::piped())
            .process_group(0);
        if let Some(path) = self.certificates {
            command.env("GIT_SSL_CAINFO", path);
        }
        if let Some(proxy) = self.proxy {
            command.env("https_proxy", proxy);
        }
        let child = keel_sandbox::child::dies_with_caller(&mut command)
            .spawn()
            .map_err(start)?;
        let mut running = Running(child);
        let (printed, talk) = (running.0.stdout.take(), running.0.stderr.take());
        let (status, printed, said) = std::thread::scope(|scope| {
            let printed = scope.spawn(move || all(printed, MOST_TEXT));
            let said = scope.spawn(move || all(talk, 1 << 20));
            let status = self.wait(&mut running, folder, made.as_ref());
            (status, joined(printed), joined(said))
        });
        let status = status?;
        if !status.success() {
            let status = status
                .code()
                .map_or_else(|| Status::Signal(status.signal().unwrap_or(0)), Status::Code);
            let argv: Vec<String> = argv.into_iter().map(str::to_owned).collect();
            return Err(Error::failed_with(
                Program::Git,
                &argv,
                status,
                &said.map_err(start)?,
            ));
        }
        printed.map_err(start)
    }

    fn wait(&self, running: &mut Running, folder: &Path, made: Option<&File>) -> Result<ExitStatus, Error> {
        let started = Instant::now();
        for look in 1_u32.. {
            let ended = running.0.try_wait().map_err(|source| Error::Start {
                program: Program::Git.name(),
                source,
            })?;
            if let Some(status) = ended {
                return Ok(status);
            }
            if let Err(interrupted) = self.interrupt.check() {
                running.kill();
                return Err(interrupted.into());
            }
            let why = if started.elapsed() > self.time {
                Some(format!("it takes longer than {} s", self.time.as_secs()))
            } else if look.is_multiple_of(WEIGH) && weight(folder).saturating_add(length(made)) > self.size {
                Some(format!("the repository is larger than {} MiB", self.size >> 20))
            } else {
                None
            };
            if let Some(why) = why {
                running.kill();
                return Err(unexpected(why));
            }
            std::thread::sleep(if look < 20 { LOOK / 10 } else { LOOK });
        }
        unreachable!("u32 looks are many years")
    }
}

fn text(bytes: Vec<u8>) -> Result<String, Error> {
    String::from_utf8(bytes).map_err(|_| unexpected("it printed what is not UTF-8".to_owned()))
}

fn joined(thread: std::thread::ScopedJoinHandle<'_, io::Result<Vec<u8>>>) -> io::Result<Vec<u8>> {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn all(stream: Option<impl io::Read>, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(mut stream) = stream {
        (&mut stream).take(most).read_to_end(&mut bytes)?;
        if io::copy(&mut stream, &mut io::sink())? > 0 {
            return Err(io::Error::other(format!("it printed more than {most} bytes")));
        }
    }
    Ok(bytes)
}

/// Bytes that were written so far.
fn length(file: Option<&File>) -> u64 {
    file.and_then(|file| file.metadata().ok())
        .map_or(0, |metadata| metadata.len())
}

/// Bytes of files below a folder; what cannot be read weighs nothing.
fn weight(folder: &Path) -> u64 {
    let Ok(entries) = fs_err::read_dir(folder) else {
        return 0;
    };
    let weight = |entry: io::Result<fs_err::DirEntry>| -> u64 {
        let Ok(entry) = entry else { return 0 };
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => weight(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        }
    };
    entries.map(weight).sum()
}

/// Ended when dropped.
struct Running(Child);

impl Running {
    fn kill(&mut self) {
        // It may have ended meanwhile.
        let group = rustix::process::Pid::from_child(&self.0);
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = self.0.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            self.kill();
        }
    }
}

fn unexpected(why: String) -> Error {
    Error::Unexpected {
        program: Program::Git.name(),
        why,
    }
}

fn request(why: String) -> Error {
    Error::Request {
        program: Program::Git.name(),
        why,
    }
}

/// All digits of a commit's name, SHA-1 or SHA-256.
fn check_commit(text: &str) -> Result<(), Error> {
    let is_hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    match is_hex && matches!(text.len(), 40 | 64) {
        true => Ok(()),
        false => Err(request(format!("`{text}` is not all of a commit's name"))),
    }
}

#[cfg(test)]
mod tests;
