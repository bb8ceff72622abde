//! Documents and files of a repository of packages: by address, in the bounds of all that is fetched.

use std::path::{Path, PathBuf};

use keel_artefact::{Interrupt, Sha256, Sink, event::Outcome, interrupt::Interrupted};
use keel_store::Store;

use crate::{
    Answer, CertificateError, Options, download,
    fetch::{Progress, in_parallel},
    http::{Client, Failure, Url, with_client},
    origin::Place,
};

/// Why something could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// What has that address answers so.
    #[error("cannot get {address}: {answer}")]
    Answer {
        /// The address.
        address: String,
        /// The answer.
        answer: Box<Answer>,
    },
    /// Other bytes than the wanted ones.
    #[error("{address} has other bytes than its repository says: it is {found}, and should be {wanted}")]
    WrongBytes {
        /// The address.
        address: String,
        /// The digest of what is there.
        found: Sha256,
        /// The digest of what should be there.
        wanted: Sha256,
    },
    /// The certificates for `https` cannot be read.
    #[error(transparent)]
    Certificates(#[from] CertificateError),
    /// The store.
    #[error(transparent)]
    Store(#[from] keel_store::Error),
    /// The user ended it. Not transparent: that is a cause, which those find who look for it.
    #[error("{0}")]
    Interrupted(#[from] Interrupted),
}

/// A file that is wanted from an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// What users know it by.
    pub name: String,
    /// `https://…` or `file:///…`.
    pub address: String,
    /// Its digest.
    pub digest: Sha256,
    /// Its size in bytes.
    pub size: u64,
}

/// The bytes at `address` (`https://…` or `file:///…`), of which there are `limit` at most.
pub fn document(
    address: &str,
    limit: u64,
    options: &Options,
    interrupt: &Interrupt,
) -> Result<Vec<u8>, TransferError> {
    let told = |answer| TransferError::Answer {
        address: address.to_owned(),
        answer: Box::new(answer),
    };
    match place(address).map_err(told)? {
        Place::File(path) => read(&path, limit).map_err(told),
        Place::Url(url) => with_client(options, interrupt, |client: &Client<'_>| {
            client.document(&url, limit).map_err(|failure| match failure {
                Failure::Answer(answer) => told(answer),
                Failure::Interrupted(interrupted) => interrupted.into(),
            })
        })?,
        Place::Commit(_) | Place::Program(_) => Err(told(Answer::NotMade)),
    }
}

/// Brings files into the store, several at once. The first error is told; what was fetched stays.
pub fn bring(
    files: &[Remote],
    store: &Store,
    options: &Options,
    sink: &dyn Sink,
    interrupt: &Interrupt,
) -> Result<(), TransferError> {
    let missing: Vec<&Remote> = files
        .iter()
        .filter(|file| !store.contains(&file.digest))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    with_client(options, interrupt, |client: &Client<'_>| {
        let results = in_parallel(options.jobs, &missing, |file| {
            let id = format!("fetch:{}", file.name);
            let started = std::time::Instant::now();
            sink.event(keel_artefact::Event::Started {
                id: &id,
                title: &file.name,
                total: Some(file.size),
            });
            let result = one(client, store, file, &Progress::new(sink, &id));
            sink.event(keel_artefact::Event::Finished {
                id: &id,
                outcome: match result {
                    Ok(()) => Outcome::Done,
                    Err(_) => Outcome::Failed,
                },
                elapsed: started.elapsed(),
            });
            result
        });
        results.into_iter().collect()
    })?
}

fn one(
    client: &Client<'_>,
    store: &Store,
    file: &Remote,
    progress: &Progress<'_>,
) -> Result<(), TransferError> {
    let told = |answer| match answer {
        Answer::WrongBytes { found } => TransferError::WrongBytes {
            address: file.address.clone(),
            found,
            wanted: file.digest,
        },
        answer => TransferError::Answer {
            address: file.address.clone(),
            answer: Box::new(answer),
        },
    };
    let wanted = download::Wanted {
        file_name: &file.name,
        root: Path::new("/"),
        digest: file.digest,
        size: Some(file.size),
        progress: &|done| progress.tell(done),
    };
    match download::fetch(client, store, &place(&file.address).map_err(told)?, &wanted) {
        Ok(_) => Ok(()),
        Err(download::Error::Answer(answer)) => Err(told(answer)),
        Err(download::Error::Interrupted(interrupted)) => Err(interrupted.into()),
        Err(download::Error::Store(error)) => Err(error.into()),
    }
}

fn place(address: &str) -> Result<Place, Answer> {
    match address.strip_prefix("file://") {
        Some(path) => Ok(Place::File(PathBuf::from(path))),
        None => Ok(Place::Url(Url::parse(address, false)?)),
    }
}

fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Answer> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let file = fs_err::File::open(path).map_err(Answer::NoFile)?;
    let is_file = file.metadata().map_err(Answer::NoFile)?.is_file();
    if !is_file {
        return Err(Answer::NoFile(std::io::ErrorKind::NotFound.into()));
    }
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| Answer::Read {
            path: path.to_owned(),
            source,
        })?;
    match bytes.len() as u64 > limit {
        true => Err(Answer::TooBig { limit }),
        false => Ok(bytes),
    }
}
