//! Upstreams' OpenPGP signatures over source files, by keys that the configuration pins.
//!
//! They are checked before `keel.lock` is written, each time, over the bytes in the store that it will pin; and, once a store, when
//! files are fetched that were never locked, or whose signatures lie in the tree.

use std::{
    cell::RefCell,
    io::{self, BufReader, Read},
    path::Path,
    rc::Rc,
};

use keel_artefact::{Epoch, Interrupt, Sha256, Sink};
use keel_config::{Location, Project, Signature, SignaturePlace};
use keel_spec::Recipe;
use keel_store::Store;

use crate::{
    Answer, Error, Errors, KeyringProblem, Lock, Options, SignatureProblem, Trust,
    debian::openpgp::Keyring,
    fetch::fetch_pins,
    http::{Client, Url, with_client},
    wanted::{self, Pin},
};

/// The longest signature that is read, in bytes.
const MOST_SIGNATURE: u64 = 1 << 20;
/// The longest file of keys that is read, in bytes.
const MOST_KEYS: u64 = 16 << 20;
/// How much memory a decompressor may take, in bytes.
const MOST_MEMORY: u64 = 256 << 20;

/// Checks the signatures of all locked files of the recipes that are to have one. What the store lacks is fetched.
#[expect(clippy::too_many_arguments, reason = "what `lock` has, and the lock")]
pub(crate) fn check_all(
    project: &Project,
    recipes: &[Recipe],
    lock: &Lock,
    store: &Store,
    options: &Options,
    trust: &Trust,
    sink: &dyn Sink,
    interrupt: &Interrupt,
) -> Result<(), Errors> {
    let mut signed: Vec<(Pin, &Signature)> = Vec::new();
    for recipe in recipes {
        for file in wanted::configured(project, &recipe.component) {
            let entry = lock.files.get(&(recipe.component.clone(), file.filename.clone()));
            let (Some(signature), Some(entry)) = (&file.signature, entry) else {
                continue;
            };
            let pin = wanted::from_entry(&recipe.component, &file.filename, entry);
            if !signed.iter().any(|(known, _)| *known == pin) {
                signed.push((pin, signature));
            }
        }
    }
    if signed.is_empty() {
        return Ok(());
    }
    let pins: Vec<Pin> = signed.iter().map(|(pin, _)| pin.clone()).collect();
    let failures = fetch_pins(&project.root, &pins, store, options, sink, interrupt)?;
    Errors::check((), failures.into_iter().map(|(_, error)| error).collect())?;
    let errors = with_client(options, interrupt, |client| {
        let check =
            |(pin, signature): &(Pin, &Signature)| check(client, store, trust.now, pin, signature).err();
        signed.iter().filter_map(check).collect()
    });
    Errors::check((), errors.map_err(Error::from)?)
}

/// The kind of action under which the store remembers good signatures.
const GOOD: &str = "source-signature";

/// Checks the signatures of fetched files, each once a store. What the lock pins was checked when it was locked: of those files,
/// only signatures that lie in the tree are checked, so that no build depends on an address that nothing needs.
pub(crate) fn check_fetched(
    project: &Project,
    pins: &[Pin],
    lock: &Lock,
    store: &Store,
    options: &Options,
    interrupt: &Interrupt,
) -> Result<(), Errors> {
    let mut signed: Vec<(&Pin, &Signature, Sha256)> = Vec::new();
    // A file that replaces one that is gone is another one than upstream signed.
    for pin in pins.iter().filter(|pin| pin.locked) {
        let files = wanted::configured(project, &pin.component);
        let mut signatures = files.filter(|file| file.filename == pin.name);
        let Some(signature) = signatures.find_map(|file| file.signature.as_ref()) else {
            continue;
        };
        let entry = lock.files.get(&(pin.component.clone(), pin.name.clone()));
        let was_checked = entry.is_some_and(|entry| entry.digest == pin.digest);
        if was_checked && matches!(signature.place, SignaturePlace::Url(_)) {
            continue;
        }
        let key = memory(pin, signature);
        if store.action::<bool>(GOOD, &key).map_err(Error::from)? != Some(true) {
            signed.push((pin, signature, key));
        }
    }
    if signed.is_empty() {
        return Ok(());
    }
    let errors = with_client(options, interrupt, |client| {
        let check = |(pin, signature, key): &(&Pin, &Signature, Sha256)| -> Option<Error> {
            let checked = check(client, store, options.now, pin, signature);
            let kept = checked.and_then(|()| Ok(store.record(GOOD, key, &true)?));
            kept.err()
        };
        signed.iter().filter_map(check).collect()
    });
    Errors::check((), errors.map_err(Error::from)?)
}

/// What a good signature is remembered by: the bytes, the signature and the keys.
fn memory(pin: &Pin, signature: &Signature) -> Sha256 {
    // What cannot be read is told when it is checked, and never remembered.
    let read = |path: &Path, most| read_small(path, most).map(|bytes| Sha256::of(&bytes).to_hex());
    let place = match &signature.place {
        SignaturePlace::Url(url) => url.clone(),
        SignaturePlace::File(path) => read(path, MOST_SIGNATURE).unwrap_or_default(),
    };
    let keys = read(&signature.key, MOST_KEYS).unwrap_or_default();
    let over = signature.uncompressed;
    Sha256::of(format!("{}\n{place}\n{keys}\n{over}", pin.digest).as_bytes())
}

fn check(
    client: &Client<'_>,
    store: &Store,
    now: Epoch,
    pin: &Pin,
    signature: &Signature,
) -> Result<(), Error> {
    client.interrupt.check()?;
    let mut keyring = Keyring::default();
    let told = |pinned, source| Error::Signature {
        component: pin.component.clone(),
        name: pin.name.clone(),
        location: Box::new(Location::clone(&signature.defined_at)),
        pinned,
        source,
    };
    let keys = |source| SignatureProblem::Keys {
        path: signature.key.clone(),
        source: Box::new(source),
    };
    let read = read_small(&signature.key, MOST_KEYS).map_err(KeyringProblem::Io);
    let read = read.and_then(|bytes| keyring.add(&bytes).map_err(KeyringProblem::OpenPgp));
    read.map_err(|source| told(Vec::new(), keys(source)))?;
    let (place, answer) = match &signature.place {
        SignaturePlace::File(path) => {
            let bytes = read_small(path, MOST_SIGNATURE).map_err(|source| Answer::Read {
                path: path.clone(),
                source,
            });
            (path.display().to_string(), bytes)
        }
        SignaturePlace::Url(url) => {
            let parsed = Url::parse(url, false).map_err(Answer::from);
            let bytes = match parsed {
                Ok(url) => match client.document(&url, MOST_SIGNATURE) {
                    Ok(bytes) => Ok(bytes),
                    Err(failure) => Err(failure.into_answer()?),
                },
                Err(answer) => Err(answer),
            };
            (url.clone(), bytes)
        }
    };
    let bytes = answer.map_err(|answer| {
        let answer = Box::new(answer);
        told(keyring.fingerprints(), SignatureProblem::Absent { place, answer })
    })?;
    let object = store.object(&pin.digest)?;
    let broken = Rc::new(RefCell::new(None));
    let limit = client.limits.size;
    let open = || -> Box<dyn Read> {
        let reader = match signature.uncompressed {
            true => unpacked(&object),
            false => fs_err::File::open(&object).map(|file| Box::new(file) as Box<dyn Read>),
        };
        let interrupt = client.interrupt.clone();
        Box::new(Noting {
            reader: reader.unwrap_or_else(|error| Box::new(Failing(Some(error)))),
            left: if signature.uncompressed { limit } else { u64::MAX },
            limit,
            is_stopped: Box::new(move || interrupt.is_set()),
            broken: Rc::clone(&broken),
        })
    };
    let verified = keyring.verify_detached(&bytes, &open, now);
    client.interrupt.check()?;
    // A reader that failed makes every signature a bad one: why it failed is what is to be told.
    let problem = match (broken.take(), verified) {
        (Some(error), Err(_)) => SignatureProblem::Archive(error),
        (_, Err(error)) => error.into(),
        (_, Ok(_)) => return Ok(()),
    };
    Err(told(keyring.fingerprints(), problem))
}

/// A regular file of at most `most` bytes.
fn read_small(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    if !fs_err::metadata(path)?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is no regular file",
        ));
    }
    let mut bytes = Vec::new();
    fs_err::File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("it has more than {most} bytes"),
        ));
    }
    Ok(bytes)
}

/// What was compressed, by what the file starts with.
fn unpacked(path: &Path) -> io::Result<Box<dyn Read>> {
    let mut start = Vec::new();
    fs_err::File::open(path)?.take(6).read_to_end(&mut start)?;
    let file = BufReader::with_capacity(1 << 17, fs_err::File::open(path)?);
    Ok(match start.as_slice() {
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => {
            let stream =
                liblzma::stream::Stream::new_stream_decoder(MOST_MEMORY, liblzma::stream::CONCATENATED)
                    .map_err(io::Error::from)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(file, stream))
        }
        [b'B', b'Z', b'h', ..] => Box::new(bzip2::bufread::MultiBzDecoder::new(file)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(file)?;
            // 2^27 bytes is what zstd itself takes unless it is told otherwise.
            decoder.window_log_max(27)?;
            Box::new(decoder)
        }
        _ => {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "it is not compressed by gzip, xz, bzip2 or zstd",
            ));
        }
    })
}

/// Reads so many bytes at most, until the user interrupts, and keeps why it failed.
struct Noting {
    reader: Box<dyn Read>,
    left: u64,
    limit: u64,
    is_stopped: Box<dyn Fn() -> bool>,
    broken: Rc<RefCell<Option<io::Error>>>,
}

impl Read for Noting {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = if (self.is_stopped)() {
            Err(io::Error::other("interrupted"))
        } else {
            self.reader.read(buffer).and_then(|n| {
                let left = self.left.checked_sub(n as u64);
                self.left = left.ok_or_else(|| {
                    io::Error::other(format!("it unpacks to more than {} bytes", self.limit))
                })?;
                Ok(n)
            })
        };
        result.map_err(|error| {
            if error.kind() == io::ErrorKind::Interrupted {
                return error;
            }
            let (kind, text) = (error.kind(), error.to_string());
            self.broken.replace(Some(error));
            io::Error::new(kind, text)
        })
    }
}

/// What could not be opened.
struct Failing(Option<io::Error>);

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(self
            .0
            .take()
            .unwrap_or_else(|| io::Error::other("it could not be opened")))
    }
}
