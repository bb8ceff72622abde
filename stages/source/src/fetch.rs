//! Fetching: every wanted file into the store, several at once.

use std::{
    cell::Cell,
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use keel_artefact::{ComponentName, Event, Interrupt, Sha256, Sink, event::Outcome};
use keel_config::Project;
use keel_spec::Recipe;
use keel_store::Store;
use serde::{Deserialize, Serialize};

use crate::{
    Asked, Error, Errors, Kind, Lock, Options, PinnedFile, SourceSet, download,
    http::{Client, with_client},
    origin::{Ask, Place},
    signature,
    wanted::{self, Locks, Pin, Wanted},
};

/// How often progress is told.
const TICK: Duration = Duration::from_millis(100);

/// The kind of action under which the store remembers who gave a file.
const PROVENANCE: &str = "source-origin";

/// Checks that every file of the recipes lies beside its SPEC or is pinned, without fetching anything.
pub fn check(project: &Project, recipes: &[Recipe], options: &Options) -> Result<(), Errors> {
    wanted_by(project, recipes, &locks(project, options)?).map(drop)
}

/// Says which the files of the recipes are, without fetching anything: a file that is not in the store yet has the digest that
/// it is pinned by, and no size where none is pinned. Sorted as the recipes are.
pub fn pinned(
    project: &Project,
    recipes: &[Recipe],
    store: &Store,
    options: &Options,
) -> Result<Vec<SourceSet>, Errors> {
    let all = wanted_by(project, recipes, &locks(project, options)?)?;
    let sets = all.iter().map(|(recipe, wanted)| set(recipe, wanted, store));
    Ok(sets.collect::<Result<_, Error>>()?)
}

fn locks(project: &Project, options: &Options) -> Result<Locks, Error> {
    let refreshed = options.refreshed.as_deref().map(Lock::read).transpose()?;
    Ok(Locks {
        project: Lock::read(&project.lock_file)?,
        refreshed: refreshed.unwrap_or_default(),
    })
}

fn wanted_by<'r>(
    project: &Project,
    recipes: &'r [Recipe],
    locks: &Locks,
) -> Result<Vec<(&'r Recipe, Vec<Wanted>)>, Errors> {
    let (mut all, mut errors) = (Vec::new(), Vec::new());
    for recipe in recipes {
        let (wanted, wrong) = wanted::of_recipe(project, recipe, locks);
        all.push((recipe, wanted));
        errors.extend(wrong);
    }
    Errors::check(all, errors)
}

/// Brings all files of the recipes into the store, and says which they are. Sorted as the recipes are.
///
/// What lies beside a SPEC is taken from there; all else must be pinned, and is fetched from the first of its origins
/// that gives the pinned bytes; a signature that it should have, and that nobody checked yet, must be good. All that is wrong is told
/// together; what was fetched before an error stays.
pub fn fetch(
    project: &Project,
    recipes: &[Recipe],
    store: &Store,
    options: &Options,
    sink: &dyn Sink,
    interrupt: &Interrupt,
) -> Result<Vec<SourceSet>, Errors> {
    let locks = locks(project, options)?;
    let all = wanted_by(project, recipes, &locks)?;
    let pins = all
        .iter()
        .flat_map(|(_, wanted)| wanted)
        .filter_map(|wanted| match wanted {
            Wanted::Pinned(pin) => Some(pin),
            Wanted::Local { .. } => None,
        });
    let pins: Vec<Pin> = pins.cloned().collect();
    let failures = fetch_pins(&project.root, &pins, store, options, sink, interrupt)?;
    Errors::check((), failures.into_iter().map(|(_, error)| error).collect())?;
    signature::check_fetched(project, &pins, &locks.project, store, options, interrupt)?;
    let sets = all.iter().map(|(recipe, wanted)| set(recipe, wanted, store));
    Ok(sets.collect::<Result<_, Error>>()?)
}

fn set(recipe: &Recipe, wanted: &[Wanted], store: &Store) -> Result<SourceSet, Error> {
    let file = |wanted: &Wanted| match wanted {
        Wanted::Local { name, path } => local_file(&recipe.component, name, path, store),
        Wanted::Pinned(pin) => Ok(PinnedFile {
            name: pin.name.clone(),
            digest: pin.digest,
            size: match store.contains(&pin.digest) {
                true => object_size(store, &pin.digest)?,
                false => pin.size.unwrap_or_default(),
            },
            kind: Kind::Fetched,
            locked: pin.locked,
            origin: store
                .action::<Provenance>(PROVENANCE, &pin.digest)?
                .map(|provenance| provenance.origin),
            overlaid: None,
        }),
    };
    Ok(SourceSet {
        format: crate::FORMAT,
        component: recipe.component.clone(),
        arch: recipe.arch,
        files: wanted.iter().map(file).collect::<Result<_, Error>>()?,
    })
}

fn local_file(
    component: &ComponentName,
    name: &str,
    path: &Path,
    store: &Store,
) -> Result<PinnedFile, Error> {
    let failed = |source| Error::Local {
        component: component.clone(),
        path: path.to_owned(),
        source,
    };
    let (mut digest, size) = Sha256::of_file(path).map_err(failed)?;
    if !store.contains(&digest) {
        digest = store.put_file(path)?;
    }
    Ok(PinnedFile {
        name: name.to_owned(),
        digest,
        size,
        kind: Kind::Local,
        locked: true,
        origin: None,
        overlaid: None,
    })
}

pub(crate) fn object_size(store: &Store, digest: &Sha256) -> Result<u64, Error> {
    let metadata = fs_err::metadata(store.object(digest)?).map_err(keel_store::Error::from)?;
    Ok(metadata.len())
}

/// Who gave a file, as the store remembers it.
#[derive(Serialize, Deserialize)]
struct Provenance {
    /// The origin, as the lock writes it.
    origin: String,
}

/// Brings all pinned files into the store; says which cannot be had, and why, by their place in `pins`.
pub(crate) fn fetch_pins(
    root: &Path,
    pins: &[Pin],
    store: &Store,
    options: &Options,
    sink: &dyn Sink,
    interrupt: &Interrupt,
) -> Result<Vec<(usize, Error)>, Error> {
    let mut missing = Vec::new();
    for (at, pin) in pins.iter().enumerate() {
        interrupt.check()?;
        let is_first = !pins[..at].iter().any(|earlier| earlier.digest == pin.digest);
        if !is_first {
            continue;
        }
        if options.verify && store.contains(&pin.digest) && !is_good(store, pin)? {
            let text = format!("`{}` had changed in the store: fetched again", pin.name);
            sink.event(Event::Warning { text: &text });
        }
        if !is_here(store, pin)? {
            missing.push(at);
        }
    }
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    // The big ones first: they are the ones to wait for.
    missing.sort_by_key(|&at| std::cmp::Reverse(pins[at].size));
    sink.event(Event::Stage {
        title: "Fetching sources",
    });
    let failures = with_client(options, interrupt, |client| {
        in_parallel(options.jobs, &missing, |&at| {
            let result = fetch_pin(client, root, &pins[at], store, options, sink);
            result.err().map(|error| (at, error))
        })
    })?;
    let mut failures: Vec<_> = failures.into_iter().flatten().collect();
    failures.sort_by_key(|(at, _)| *at);
    Ok(failures)
}

/// Does `work` for all items on at most `jobs` threads; results in the order of the items.
pub(crate) fn in_parallel<T: Sync, R: Send>(
    jobs: usize,
    items: &[T],
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, items.len().max(1)) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(at) else { return };
                    let result = work(item);
                    results
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push((at, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Is the pinned file in the store, at its full size? One that is damaged is removed.
pub(crate) fn is_here(store: &Store, pin: &Pin) -> Result<bool, Error> {
    if !store.contains(&pin.digest) {
        return Ok(false);
    }
    match pin.size {
        Some(size) if object_size(store, &pin.digest)? != size => {
            // If its bytes are right, it is the pinned size that is wrong, as whoever is asked for it will say.
            is_good(store, pin)?;
            Ok(false)
        }
        _ => Ok(true),
    }
}

/// Are the bytes in the store the pinned ones? Others are removed.
fn is_good(store: &Store, pin: &Pin) -> Result<bool, Error> {
    match store.verify(&pin.digest) {
        Ok(()) => Ok(true),
        Err(keel_store::Error::Damaged { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn fetch_pin(
    client: &Client<'_>,
    root: &Path,
    pin: &Pin,
    store: &Store,
    options: &Options,
    sink: &dyn Sink,
) -> Result<(), Error> {
    client.interrupt.check()?;
    let id = format!("fetch:{}", pin.name);
    let started = Instant::now();
    sink.event(Event::Started {
        id: &id,
        title: &pin.name,
        total: pin.size,
    });
    let result = from_origins(client, root, pin, store, options, sink, &id);
    sink.event(Event::Finished {
        id: &id,
        outcome: if result.is_ok() {
            Outcome::Done
        } else {
            Outcome::Failed
        },
        elapsed: started.elapsed(),
    });
    result
}

/// From the first origin, and the first of its places, that gives the right bytes.
fn from_origins(
    client: &Client<'_>,
    root: &Path,
    pin: &Pin,
    store: &Store,
    options: &Options,
    sink: &dyn Sink,
    id: &str,
) -> Result<(), Error> {
    let ask = Ask {
        client,
        options,
        root,
        file_name: &pin.name,
    };
    let progress = Progress::new(sink, id);
    let wanted = download::Wanted {
        file_name: &pin.name,
        root,
        digest: pin.digest,
        size: pin.size,
        progress: &|done| progress.tell(done),
    };
    let mut asked = Vec::new();
    for origin in &pin.origins {
        let told = |place: Option<&Place>, answer| Asked {
            origin: origin.to_string(),
            place: place.map(ToString::to_string),
            answer,
        };
        let places = match origin.source().places(&ask) {
            Ok(places) => places,
            Err(failure) => {
                asked.push(told(None, failure.into_answer()?));
                continue;
            }
        };
        for place in &places {
            match download::fetch(client, store, place, &wanted) {
                Ok(_) => {
                    let origin = origin.to_string();
                    store.record(PROVENANCE, &pin.digest, &Provenance { origin })?;
                    return Ok(());
                }
                Err(error) => {
                    let one = told(Some(place), error.into_answer()?);
                    sink.event(Event::Message {
                        id,
                        text: &one.to_string(),
                    });
                    asked.push(one);
                }
            }
        }
    }
    Err(Error::Unavailable {
        component: pin.component.clone(),
        name: pin.name.clone(),
        pinned: Some((pin.digest, pin.size)),
        location: pin.location.clone().map(Box::new),
        asked,
    })
}

/// Tells how far a transfer is, not too often.
pub(crate) struct Progress<'a> {
    sink: &'a dyn Sink,
    id: &'a str,
    last: Cell<Option<Instant>>,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(sink: &'a dyn Sink, id: &'a str) -> Self {
        let last = Cell::new(None);
        Self { sink, id, last }
    }

    pub(crate) fn tell(&self, done: u64) {
        let now = Instant::now();
        if self
            .last
            .get()
            .is_none_or(|last| now.duration_since(last) >= TICK)
        {
            self.last.set(Some(now));
            self.sink.event(Event::Progress { id: self.id, done });
        }
    }
}
