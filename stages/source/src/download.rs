//! One file into the store: from the first of its places that gives the right bytes.
//!
//! A transfer writes to `tmp/partial/DIGEST` in the store's folder, under a lock, and goes on from what an earlier
//! one left there: of this run, of a killed one, or of one whose connection broke. Only when all bytes are there and
//! have the right digest does the file become an object. Wrong bytes are removed at once.

use std::{
    fs::TryLockError,
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use keel_artefact::{Sha256, Sha512, interrupt::Interrupted};
use keel_store::Store;
use ureq::http::header;

use crate::{
    Answer, commit, generated,
    http::{Client, Failure, Url},
    origin::Place,
};

/// How much is read at once, in bytes.
const CHUNK: usize = 64 * 1024;

/// What is wanted, and who is told how far it is (in bytes from the start of the file).
pub(crate) struct Wanted<'a> {
    pub(crate) file_name: &'a str,
    /// The project's folder.
    pub(crate) root: &'a Path,
    pub(crate) digest: Sha256,
    /// In bytes, if it is pinned.
    pub(crate) size: Option<u64>,
    pub(crate) progress: &'a dyn Fn(u64),
}

/// Why a file did not get into the store.
#[derive(Debug)]
pub(crate) enum Error {
    Answer(Answer),
    Interrupted(Interrupted),
    Store(keel_store::Error),
}

impl Error {
    /// The origin's answer; anything else is an error of this machine, or the user's interruption.
    pub(crate) fn into_answer(self) -> Result<Answer, crate::Error> {
        match self {
            Self::Answer(answer) => Ok(answer),
            Self::Interrupted(interrupted) => Err(interrupted.into()),
            Self::Store(error) => Err(error.into()),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Answer(answer) => Self::Answer(answer),
            Failure::Interrupted(interrupted) => Self::Interrupted(interrupted),
        }
    }
}

impl From<Answer> for Error {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

impl From<Interrupted> for Error {
    fn from(interrupted: Interrupted) -> Self {
        Self::Interrupted(interrupted)
    }
}

impl From<keel_store::Error> for Error {
    fn from(error: keel_store::Error) -> Self {
        Self::Store(error)
    }
}

/// Failing to write on this machine: no answer of an origin.
impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Brings the wanted file from `place` into the store. Says its size.
pub(crate) fn fetch(
    client: &Client<'_>,
    store: &Store,
    place: &Place,
    wanted: &Wanted<'_>,
) -> Result<u64, Error> {
    match place {
        Place::File(path) => copy(client, store, path, wanted),
        Place::Commit(git) => {
            let made = commit::archive(client, store, git, wanted.file_name)?;
            adopt(store, &made.path().join(commit::ARCHIVE), wanted)
        }
        Place::Program(program) => {
            let made = generated::make(client, store, wanted.root, program, wanted.file_name)?;
            adopt(store, &made.path().join(generated::RESULT), wanted)
        }
        Place::Url(url) => {
            let folder = store.dir().join("tmp/partial");
            fs_err::create_dir_all(&folder)?;
            let partial = folder.join(wanted.digest.to_hex());
            let _lock = lock(client, &partial)?;
            // Another run may have had it meanwhile.
            if let Ok(object) = store.object(&wanted.digest) {
                let found = fs_err::metadata(object)?.len();
                return match wanted.size {
                    Some(wanted) if wanted != found => Err(Answer::WrongSize { found, wanted }.into()),
                    _ => Ok(found),
                };
            }
            transfer(client, store, url, wanted, &partial)
        }
    }
}

/// Brings a file of this machine into the store.
fn copy(client: &Client<'_>, store: &Store, path: &Path, wanted: &Wanted<'_>) -> Result<u64, Error> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Answer::NoFile(source),
        _ => Answer::Read {
            path: path.to_owned(),
            source,
        },
    };
    let metadata = fs_err::metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")).into());
    }
    let size = metadata.len();
    if wanted.size.is_some_and(|wanted| wanted != size) {
        let wanted = wanted.size.unwrap_or_default();
        return Err(Answer::WrongSize { found: size, wanted }.into());
    }
    let dir = store.temp_dir("copy")?;
    let temporary = dir.path().join("file");
    let mut input = fs_err::File::open(path).map_err(failed)?;
    let mut output = fs_err::File::create(&temporary)?;
    let mut buffer = vec![0; CHUNK];
    let mut done = 0;
    loop {
        client.interrupt.check()?;
        match input.read(&mut buffer).map_err(failed)? {
            0 => break,
            n => output.write_all(&buffer[..n])?,
        }
        done += CHUNK as u64;
        (wanted.progress)(done.min(size));
    }
    drop(output);
    adopt(store, &temporary, wanted)
}

/// Makes the whole file at `path` an object, if it has the right bytes.
fn adopt(store: &Store, path: &Path, wanted: &Wanted<'_>) -> Result<u64, Error> {
    let (found, size) = Sha256::of_file(path)?;
    if found != wanted.digest {
        return Err(Answer::WrongBytes { found }.into());
    }
    store.adopt(path)?;
    Ok(size)
}

/// Transfers until the file is whole, going on after what may pass.
fn transfer(
    client: &Client<'_>,
    store: &Store,
    url: &Url,
    wanted: &Wanted<'_>,
    partial: &Path,
) -> Result<u64, Error> {
    let deadline = Instant::now() + client.limits.total;
    let mut tries = 1;
    let mut may_restart = true;
    loop {
        let before = length(partial)?;
        let result =
            attempt(client, url, wanted, partial, deadline).and_then(|()| adopt(store, partial, wanted));
        let answer = match result {
            Ok(size) => return Ok(size),
            Err(Error::Answer(answer)) => answer,
            Err(error) => return Err(error),
        };
        let is_passing = answer.is_passing();
        if !is_passing && !matches!(answer, Answer::TimeUp(_)) {
            remove(partial)?;
            let may_be_older_bytes = matches!(answer, Answer::WrongBytes { .. } | Answer::Nonsense(_));
            if before > 0 && may_be_older_bytes && may_restart {
                // What was there before may have been another origin's: once more, from the start.
                may_restart = false;
                continue;
            }
        }
        if Instant::now() >= deadline {
            return Err(Answer::TimeUp(client.limits.total).into());
        }
        if !is_passing || tries >= client.limits.tries {
            return Err(answer.into());
        }
        // A server that gives some bytes each time is slow, not broken; the time for all is the limit.
        tries = if length(partial)? > before { 1 } else { tries + 1 };
        client.pause(tries)?;
    }
}

/// One request: appends to the partial file what is missing.
fn attempt(
    client: &Client<'_>,
    url: &Url,
    wanted: &Wanted<'_>,
    partial: &Path,
    deadline: Instant,
) -> Result<(), Error> {
    let limit = wanted.size.unwrap_or(client.limits.size);
    let mut have = length(partial)?;
    if have > limit {
        remove(partial)?;
        have = 0;
    }
    if have == limit && wanted.size.is_some() && have > 0 {
        return Ok(());
    }
    let response = client.get(url, have, deadline)?;
    let status = response.status().as_u16();
    let nonsense = |what: &str| Error::Answer(Answer::Nonsense(what.to_owned()));
    let mut file = fs_err::OpenOptions::new()
        .create(true)
        .append(true)
        .open(partial)?;
    match (status, have) {
        (206, 1..) => {
            let range = response
                .headers()
                .get(header::CONTENT_RANGE)
                .and_then(|value| value.to_str().ok());
            if !range.is_some_and(|range| range.starts_with(&format!("bytes {have}-"))) {
                return Err(nonsense("another range than the one asked for"));
            }
        }
        (200, _) => {
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            have = 0;
        }
        (416, 1..) => return Err(nonsense("the file is shorter than what came of it before")),
        _ => return Err(Answer::Status { status }.into()),
    }
    // The length of an encoded body is the length of what is on the wire: that is what is taken.
    let length = response
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok());
    let offered = length
        .and_then(|text| text.parse::<u64>().ok())
        .and_then(|length| length.checked_add(have));
    match (offered, wanted.size) {
        (Some(found), Some(wanted)) if found != wanted => {
            return Err(Answer::WrongSize { found, wanted }.into());
        }
        (Some(found), None) if found > limit => return Err(Answer::TooBig { limit }.into()),
        _ => {}
    }
    let expected = wanted.size.or(offered);
    let mut reader = response.into_body().into_reader();
    let mut buffer = vec![0; CHUNK];
    loop {
        client.interrupt.check()?;
        (wanted.progress)(have);
        let n = match reader.read(&mut buffer) {
            Ok(0) if expected.is_some_and(|expected| have < expected) => {
                let wanted = expected;
                return Err(Answer::Truncated { found: have, wanted }.into());
            }
            Ok(0) => return Ok(()),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(client.read_failure(error, have, expected).into()),
        };
        have += n as u64;
        if have > limit {
            return Err(Answer::TooBig { limit }.into());
        }
        file.write_all(&buffer[..n])?;
    }
}

/// A file whose digest nobody knows yet, into the store: its digest and size. For [`lock`](crate::lock()) alone.
pub(crate) fn fetch_unpinned(
    client: &Client<'_>,
    store: &Store,
    (root, file_name): (&Path, &str),
    place: &Place,
    progress: &dyn Fn(u64),
) -> Result<(Sha256, u64), Error> {
    let limit = client.limits.size;
    let url = match place {
        Place::Url(url) => url,
        Place::Commit(git) => {
            let made = commit::archive(client, store, git, file_name)?;
            return Ok(store.adopt(&made.path().join(commit::ARCHIVE))?);
        }
        Place::Program(program) => {
            let made = generated::make(client, store, root, program, file_name)?;
            return Ok(store.adopt(&made.path().join(generated::RESULT))?);
        }
        Place::File(path) => {
            let (digest, size) = Sha256::of_file(path).map_err(Answer::NoFile)?;
            let wanted = Wanted {
                file_name,
                root,
                digest,
                size: Some(size),
                progress,
            };
            copy(client, store, path, &wanted)?;
            return Ok((digest, size));
        }
    };
    let dir = store.temp_dir("unpinned")?;
    let path = dir.path().join("file");
    whole(client, file_name, url, &path, progress)?;
    debug_assert!(length(&path)? <= limit);
    Ok(store.adopt(&path)?)
}

/// A file that is only known by its SHA-512, into the store: its SHA-256.
pub(crate) fn fetch_by_sha512(
    client: &Client<'_>,
    store: &Store,
    (root, file_name): (&Path, &str),
    place: &Place,
    wanted: &Sha512,
) -> Result<Sha256, Error> {
    let dir = store.temp_dir("sha512")?;
    let path = dir.path().join("file");
    let path = match place {
        Place::Url(url) => {
            whole(client, file_name, url, &path, &|_| {})?;
            path
        }
        Place::File(from) => {
            let metadata = fs_err::metadata(from).map_err(Answer::NoFile)?;
            let limit = client.limits.size;
            if !metadata.is_file() || metadata.len() > limit {
                return Err(Answer::TooBig { limit }.into());
            }
            fs_err::copy(from, &path).map_err(Answer::NoFile)?;
            path
        }
        Place::Commit(git) => {
            let made = commit::archive(client, store, git, file_name)?;
            fs_err::rename(made.path().join(commit::ARCHIVE), &path)?;
            path
        }
        Place::Program(program) => {
            let made = generated::make(client, store, root, program, file_name)?;
            fs_err::rename(made.path().join(generated::RESULT), &path)?;
            path
        }
    };
    let found = Sha512::of_file(&path)?;
    if found != *wanted {
        return Err(Answer::OtherBytes { found }.into());
    }
    Ok(store.adopt(&path)?.0)
}

/// All of a file whose SHA-256 nobody knows yet, from the start at each try.
fn whole(
    client: &Client<'_>,
    file_name: &str,
    url: &Url,
    path: &Path,
    progress: &dyn Fn(u64),
) -> Result<(), Error> {
    let deadline = Instant::now() + client.limits.total;
    let wanted = Wanted {
        file_name,
        root: Path::new("/"),
        digest: Sha256::of(b""),
        size: None,
        progress,
    };
    let mut tries = 1;
    loop {
        match attempt(client, url, &wanted, path, deadline) {
            Err(Error::Answer(answer)) if answer.is_passing() && tries < client.limits.tries => {
                remove(path)?;
                client.pause(tries)?;
                tries += 1;
            }
            result => return result,
        }
    }
}

/// Waits for the lock of a partial file. Held by whoever writes it; the file of a lock is removed with the partial.
fn lock(client: &Client<'_>, partial: &Path) -> Result<Lock, Error> {
    let path = partial.with_extension("lock");
    loop {
        let file = fs_err::File::create(&path)?.into_parts().0;
        match file.try_lock() {
            Ok(()) => {
                // Its last owner may have removed it between the opening and the locking.
                let is_same = fs_err::metadata(&path).is_ok_and(|on_disk| {
                    file.metadata()
                        .is_ok_and(|held| held.ino() == on_disk.ino() && held.dev() == on_disk.dev())
                });
                if is_same {
                    return Ok(Lock { path, _file: file });
                }
            }
            Err(TryLockError::WouldBlock) => {
                client.interrupt.check()?;
                std::thread::sleep(Duration::from_millis(100));
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
    }
}

struct Lock {
    path: PathBuf,
    _file: std::fs::File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // A lock file that stays is harmless: it is locked again by the next one.
        let _ = fs_err::remove_file(&self.path);
    }
}

fn length(path: &Path) -> io::Result<u64> {
    match fs_err::metadata(path) {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs_err::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
