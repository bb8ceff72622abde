//! What can go wrong, each naming its object.

use std::{io, path::PathBuf};

use keel_artefact::{Interrupt, RootPath, interrupt::Interrupted};

use crate::{accounts, audit, lock, resolve, tools::Failure};

/// An image could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The package set does not close.
    #[error("cannot resolve the packages of image `{image}`")]
    Resolve {
        /// The image.
        image: String,
        /// Every reason.
        #[source]
        source: resolve::Error,
    },
    /// Two packages disagree about a path.
    #[error("packages `{one}` and `{other}` both have `{path}`, and {difference}")]
    Conflict {
        /// The path.
        path: RootPath,
        /// A package.
        one: String,
        /// Another.
        other: String,
        /// How they differ.
        difference: String,
    },
    /// A package has scriptlets, which no image runs.
    #[error(
        "package `{package}` has scriptlets ({scripts}): images run none, use sysusers.d, tmpfiles.d and presets"
    )]
    Scriptlets {
        /// The package.
        package: String,
        /// Which ones.
        scripts: String,
    },
    /// A file's owner has no number.
    #[error(
        "package `{package}`: `{path}` belongs to {kind} `{name}`, which no sysusers.d file of the image declares"
    )]
    UnknownOwner {
        /// The package.
        package: String,
        /// The file.
        path: RootPath,
        /// `user` or `group`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// A path that leads nowhere: links in it go round.
    #[error("package `{package}`: `{path}` runs through symbolic links that go round")]
    Loop {
        /// The package.
        package: String,
        /// The path.
        path: RootPath,
    },
    /// The definition asks for what cannot be with these packages.
    #[error(transparent)]
    Definition(keel_config::Errors),
    /// A source of the definition is not what it was a moment ago.
    #[error("`{}` changed while the image was made", file.display())]
    Moving {
        /// The file of the tree.
        file: PathBuf,
    },
    /// A script of the definition failed.
    #[error("script `{script}` ({at}) {how}{said}")]
    Script {
        /// Its name.
        script: String,
        /// Where the definition has it.
        at: keel_config::Location,
        /// How it ended.
        how: String,
        /// The last lines of what it said, a line each.
        said: String,
    },
    /// A script left what an image cannot have.
    #[error(
        "script `{script}` ({at}) leaves what an image does not take:{}",
        indented(wrong)
    )]
    ScriptChange {
        /// Its name.
        script: String,
        /// Where the definition has it.
        at: keel_config::Location,
        /// What, a sentence each.
        wrong: Vec<String>,
    },
    /// A script cannot be run.
    #[error("cannot run script `{script}`")]
    Sandbox {
        /// Its name.
        script: String,
        /// Why not.
        #[source]
        source: keel_sandbox::Error,
    },
    /// A declaration of users is wrong.
    #[error(transparent)]
    Accounts(#[from] accounts::Error),
    /// Something that must be in the image is not.
    #[error("image `{image}` has no {what}: {hint}")]
    Missing {
        /// The image.
        image: String,
        /// What.
        what: String,
        /// What to do.
        hint: String,
    },
    /// A file is larger than makes sense for its use.
    #[error("`{path}` has {size} bytes, more than the {limit} that it may have there")]
    FileTooLarge {
        /// The file.
        path: RootPath,
        /// Its size.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// What a policy of SELinux says of labels cannot be followed.
    #[error("`{file}`, line {line}: {why}")]
    Label {
        /// The file of the image.
        file: RootPath,
        /// From 1.
        line: usize,
        /// Why not.
        why: String,
    },
    /// A value cannot be written in this format.
    #[error("`{path}` cannot be written as {format}: {why}")]
    Unwritable {
        /// The file.
        path: RootPath,
        /// The format.
        format: &'static str,
        /// Why not.
        why: String,
    },
    /// A PE file is not what it should be.
    #[error("`{path}` is no PE file that a unified kernel image can be made of: {why}")]
    Pe {
        /// The file.
        path: RootPath,
        /// Why not.
        why: String,
    },
    /// The file system does not hold what it should.
    #[error("{tool} wrote `{path}` wrongly{}; image `{image}` is not made", what.map(|what| format!(" ({what})")).unwrap_or_default())]
    Unfaithful {
        /// What wrote it.
        tool: &'static str,
        /// The image.
        image: String,
        /// The first such file.
        path: RootPath,
        /// What of it is wrong, if that is known.
        what: Option<&'static str>,
    },
    /// The disk is too small.
    #[error("image `{image}` does not fit: {part} needs {needs} of {has} MiB, {} MiB are missing. {largest}", needs.saturating_sub(*has))]
    TooBig {
        /// The image.
        image: String,
        /// The disk, or a partition of it.
        part: String,
        /// MiB, rounded up.
        needs: u64,
        /// MiB.
        has: u64,
        /// A sentence about what takes the most space.
        largest: String,
    },
    /// An ext4 is too large.
    #[error("partition `{partition}` has {size} GiB, and an ext4 of Keel's less than {largest}")]
    LargeExt4 {
        /// Its label.
        partition: String,
        /// GiB.
        size: u64,
        /// GiB.
        largest: u64,
    },
    /// The checks of the finished tree found something.
    #[error("image `{image}` must not leave as it is:\n{}", audit::list(findings))]
    Audit {
        /// The image.
        image: String,
        /// All that was found.
        findings: Vec<audit::Finding>,
    },
    /// A finished container is not what it should be.
    #[error("{} is no container that can be used: {why}", path.display())]
    Layout {
        /// The layout.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The packages are not those of the lock.
    #[error("image `{image}` is not what image.lock says:\n{}", list(differences))]
    Locked {
        /// The image.
        image: String,
        /// How they differ.
        differences: Vec<lock::Difference>,
    },
    /// A lock.
    #[error(transparent)]
    Lock(#[from] lock::Error),
    /// Nobody says where a package comes from.
    #[error("nothing says where package `{package}` of the repository comes from")]
    NoOrigin {
        /// The package.
        package: String,
    },
    /// The requirements of its packages are more than can be told.
    #[error("cannot tell what the packages of image `{image}` require")]
    Needs {
        /// The image.
        image: String,
        /// Why not.
        #[source]
        source: keel_rpm::solve::Error,
    },
    /// The provenance cannot be signed.
    #[error(transparent)]
    Sign(#[from] keel_rpm::sign::Error),
    /// The image has no such format.
    #[error("image `{image}` is built as no {what}, which this needs")]
    NoSuchFormat {
        /// The image.
        image: String,
        /// A disk, say.
        what: &'static str,
    },
    /// Of a user for one boot.
    #[error("{why}")]
    Seed {
        /// What is wrong with it.
        why: String,
    },
    /// There is a file of that name, or what is there is none.
    #[error("`{}` exists", file.display())]
    Exists {
        /// The file to be.
        file: PathBuf,
    },
    /// Two runs write the same file.
    #[error("`{}` is being written by another run", file.display())]
    Busy {
        /// The file to be.
        file: PathBuf,
    },
    /// A disk of somebody's is damaged, or more than is read.
    #[error("`{}` cannot be read as {format}", file.display())]
    Unreadable {
        /// The disk.
        file: PathBuf,
        /// The format that it has, or should have.
        format: crate::read::Format,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// No disk of a format is as large.
    #[error("a disk of {disk_size} bytes is larger than {} GiB, the most that {format} has", largest >> 30)]
    TooLargeFor {
        /// The format.
        format: crate::read::Format,
        /// Bytes of the disk.
        disk_size: u64,
        /// The most bytes.
        largest: u64,
    },
    /// The guest did not answer.
    #[error("image `{image}`: {what}; console log: {}", console.display())]
    Guest {
        /// The image.
        image: String,
        /// What happened, with the last lines of the console.
        what: String,
        /// The whole log.
        console: PathBuf,
    },
    /// Reading a package.
    #[error("cannot read package `{package}`")]
    Package {
        /// The package.
        package: String,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A tool of stage0, or QEMU.
    #[error("{tool} failed for image `{image}`")]
    Tool {
        /// Which.
        tool: &'static str,
        /// The image.
        image: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] keel_store::Error),
    /// A file of the host.
    #[error("cannot {action} {what}")]
    Io {
        /// Read, write, …
        action: &'static str,
        /// What.
        what: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file was written by another Keel.
    #[error(transparent)]
    Format(#[from] keel_artefact::format::Mismatch),
    /// A package changed after the repository was made.
    #[error("package `{package}`: the file is not the one that the repository lists")]
    Changed {
        /// The package.
        package: String,
    },
    /// The user stopped it.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl Error {
    /// A failed tool.
    pub(crate) fn tool(tool: &'static str, image: &str, source: impl Into<Failure>) -> Self {
        Self::Tool {
            tool,
            image: image.to_owned(),
            source: source.into(),
        }
    }
}

fn indented(lines: &[String]) -> String {
    lines.iter().map(|line| format!("\n  {line}")).collect()
}

/// Fails once the user has interrupted.
pub(crate) fn check(interrupt: &Interrupt) -> Result<(), Error> {
    Ok(interrupt.check()?)
}

/// Says what an I/O error was about.
pub(crate) trait At<T> {
    fn at(self, action: &'static str, what: impl std::fmt::Display) -> Result<T, Error>;
}

impl<T> At<T> for Result<T, io::Error> {
    fn at(self, action: &'static str, what: impl std::fmt::Display) -> Result<T, Error> {
        self.map_err(|source| Error::Io {
            action,
            what: what.to_string(),
            source,
        })
    }
}

/// A line for each difference.
fn list(differences: &[lock::Difference]) -> String {
    let lines = differences.iter().map(|difference| format!("    {difference}"));
    lines.collect::<Vec<_>>().join("\n")
}
