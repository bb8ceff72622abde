//! Debian's archive over the network: suites opened by their signature, indexes by their digest.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use keel_artefact::{Event, Sink};
use keel_store::Store;

use crate::{
    Asked, Error, KeyringProblem, Options, Trust,
    debian::{
        index::{self, Package},
        openpgp::Keyring,
        release::{self, Release},
    },
    download,
    http::Client,
    origin::{Place, pool_places},
};

/// What is looked for in the archive.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Listing {
    /// Source packages.
    Sources,
    /// Binary packages of an architecture, by Debian's name of it.
    Packages(&'static str),
}

impl Listing {
    fn index(&self) -> String {
        match self {
            Self::Sources => "main/source/Sources.xz".to_owned(),
            Self::Packages(arch) => format!("main/binary-{arch}/Packages.xz"),
        }
    }
}

/// The archive, as this run sees it. Each suite is opened once.
pub(crate) struct Archive<'a> {
    client: &'a Client<'a>,
    store: &'a Store,
    options: &'a Options,
    trust: &'a Trust,
    keyring: Keyring,
    sink: &'a dyn Sink,
    suites: Mutex<BTreeMap<String, Option<Arc<Release>>>>,
}

impl<'a> Archive<'a> {
    pub(crate) fn open(
        client: &'a Client<'a>,
        store: &'a Store,
        options: &'a Options,
        trust: &'a Trust,
        sink: &'a dyn Sink,
    ) -> Result<Self, Error> {
        let mut keyring = Keyring::default();
        for path in &trust.keyrings {
            let failed = |source| Error::Keyring {
                path: path.clone(),
                source,
            };
            let bytes = fs_err::read(path).map_err(|error| failed(KeyringProblem::Io(error)))?;
            keyring
                .add(&bytes)
                .map_err(|error| failed(KeyringProblem::OpenPgp(error)))?;
        }
        Ok(Self {
            client,
            store,
            options,
            trust,
            keyring,
            sink,
            suites: Mutex::default(),
        })
    }

    /// The packages of a suite, and of its updates and security updates where they are served, that `wanted` names.
    pub(crate) fn packages(
        &self,
        suite: &str,
        listing: &Listing,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<Package>, Error> {
        let mut packages = Vec::new();
        let base = ["-updates", "-security"]
            .iter()
            .find_map(|pocket| suite.strip_suffix(pocket))
            .unwrap_or(suite);
        for pocket in ["", "-updates", "-security"] {
            let name = format!("{base}{pocket}");
            if let Some(release) = self.release(&name, name == suite)? {
                packages.extend(self.read(&release, listing, wanted)?);
            }
        }
        Ok(packages)
    }

    /// When a suite's index was made, as it says itself.
    pub(crate) fn date(&self, suite: &str) -> String {
        let suites = self.suites.lock().unwrap_or_else(PoisonError::into_inner);
        let release = suites.get(suite).and_then(Option::as_ref);
        release.map_or_else(String::new, |release| release.date.clone())
    }

    /// A suite's signed index; none if it is not `required` and no mirror has it.
    fn release(&self, suite: &str, required: bool) -> Result<Option<Arc<Release>>, Error> {
        if self.keyring.is_empty() {
            return Err(Error::NoKeyring);
        }
        let mut suites = self.suites.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(release) = suites.get(suite) {
            return Ok(release.clone());
        }
        let release = self.fetch_release(suite, required)?.map(Arc::new);
        suites.insert(suite.to_owned(), release.clone());
        Ok(release)
    }

    /// From the first mirror whose file is trusted.
    fn fetch_release(&self, suite: &str, required: bool) -> Result<Option<Release>, Error> {
        let path = format!("dists/{suite}/InRelease");
        let (mut asked, mut untrusted) = (Vec::new(), None);
        let mut told = |place: Option<&Place>, answer| {
            asked.push(Asked {
                origin: format!("debian:{suite}:{path}"),
                place: place.map(ToString::to_string),
                answer,
            });
        };
        match pool_places(self.options, suite, &path) {
            Err(failure) => told(None, failure.into_answer()?),
            Ok(places) => {
                for place in &places {
                    let bytes = match place {
                        Place::Url(url) => self.client.document(url, release::MAX_SIZE),
                        Place::File(path) => {
                            fs_err::read(path).map_err(|error| crate::Answer::NoFile(error).into())
                        }
                        Place::Commit(_) | Place::Program(_) => {
                            let text = "a mirror is a server or a folder".to_owned();
                            Err(crate::Answer::Nonsense(text).into())
                        }
                    };
                    match bytes {
                        Err(failure) => told(Some(place), failure.into_answer()?),
                        Ok(bytes) => match Release::parse(suite, &bytes, &self.keyring, self.trust.now) {
                            Ok(release) => {
                                let text = format!(
                                    "Debian {suite}: index of {}, signed by {}",
                                    release.date, release.signer
                                );
                                self.sink.event(Event::Note { text: &text });
                                return Ok(Some(release));
                            }
                            Err(error) => {
                                untrusted.get_or_insert((place.to_string(), error));
                            }
                        },
                    }
                }
            }
        }
        if let Some((place, source)) = untrusted {
            return Err(Error::Release {
                suite: suite.to_owned(),
                place,
                source: Box::new(source),
            });
        }
        let is_nowhere = asked
            .iter()
            .all(|asked| asked.answer.is_absent() || matches!(asked.answer, crate::Answer::NoMirror(_)));
        if !required && is_nowhere {
            return Ok(None);
        }
        Err(Error::Archive {
            suite: suite.to_owned(),
            asked,
        })
    }

    fn read(
        &self,
        release: &Release,
        listing: &Listing,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<Package>, Error> {
        let (suite, index) = (&release.suite, listing.index());
        let Some((digest, size)) = release.file(&index) else {
            let (suite, index) = (suite.clone(), index);
            return Err(Error::NoIndex { suite, index });
        };
        if !self.store.contains(&digest) {
            let failed = |asked| Error::Archive {
                suite: suite.clone(),
                asked,
            };
            let mut asked = Vec::new();
            for path in release.places(&index, &digest) {
                let places = match pool_places(self.options, suite, &path) {
                    Ok(places) => places,
                    Err(failure) => {
                        let (origin, answer) = (format!("debian:{suite}:{path}"), failure.into_answer()?);
                        let place = None;
                        return Err(failed(vec![Asked {
                            origin,
                            place,
                            answer,
                        }]));
                    }
                };
                for place in places {
                    let wanted = download::Wanted {
                        file_name: &path,
                        root: std::path::Path::new("/"),
                        digest,
                        size: Some(size),
                        progress: &|_| (),
                    };
                    match download::fetch(self.client, self.store, &place, &wanted) {
                        Ok(_) => break,
                        Err(error) => asked.push(Asked {
                            origin: format!("debian:{suite}:{path}"),
                            place: Some(place.to_string()),
                            answer: error.into_answer()?,
                        }),
                    }
                }
                if self.store.contains(&digest) {
                    break;
                }
            }
            if !self.store.contains(&digest) {
                return Err(failed(asked));
            }
        }
        // The signature is over the digest of the bytes: they are checked here, and not only when they were fetched.
        let bytes = self.store.read(&digest)?;
        index::read_xz(suite, &bytes[..], wanted).map_err(|source| Error::Index {
            suite: suite.clone(),
            index,
            source,
        })
    }
}
