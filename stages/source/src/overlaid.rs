//! Archives among the sources that overlays of the project change: what is fetched is what is pinned, what is built has the
//! changes.
//!
//! The changed archive is an object of its own, made by the code that `prepare-sources` uses, in a scratch folder of the
//! store. The store remembers what became of which archive by which overlays: they are applied once.

use std::{
    collections::BTreeMap,
    io,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use keel_artefact::{Event, Fingerprint, Interrupt, Sha256, Sink, event::Outcome as How};
use keel_config::{
    Component, Digest, Origin, Project,
    overlay::{Overlay, Semantics},
};
use keel_spec::overlay::{
    Folder,
    archive::{self, Repacked},
};
use keel_store::{Store, TempDir};
use serde::{Deserialize, Serialize};

use crate::{Error, Errors, SourceSet, fetch::object_size};

/// The kind of action under which the store remembers what archives became.
const CHANGED: &str = "archive-overlays";

/// What an archive became.
#[derive(Serialize, Deserialize)]
struct Changed {
    sha256: Sha256,
    sha512: String,
}

/// Puts changed archives in the place of those that were fetched. All that is wrong is told together.
pub fn overlaid(
    project: &Project,
    sets: &mut [SourceSet],
    store: &Store,
    sink: &dyn Sink,
    interrupt: &Interrupt,
) -> Result<(), Errors> {
    let mut errors = Vec::new();
    for set in sets {
        let Some(component) = project.components.get(&set.component) else {
            continue;
        };
        for (archive, overlays) in by_archive(component) {
            let at = set.files.iter().position(|file| file.name == archive);
            let Some(file) = at.map(|at| &mut set.files[at]) else {
                errors.push(Error::NotNamed {
                    component: set.component.clone(),
                    location: Box::new(overlays[0].defined_at.clone()),
                    name: archive.to_owned(),
                });
                continue;
            };
            let work = Work {
                archive: archive.to_owned(),
                original: file.digest,
                overlays,
                semantics: component.semantics,
            };
            let changed = work.changed(store, sink, interrupt);
            match changed.and_then(|changed| checked(component, archive, changed)) {
                Ok(digest) => {
                    file.size = object_size(store, &digest)?;
                    file.overlaid = Some(file.digest);
                    file.digest = digest;
                }
                Err(error) => errors.push(error),
            }
        }
    }
    Errors::check((), errors)
}

/// Overlays of archives, in their order.
fn by_archive(component: &Component) -> BTreeMap<&str, Vec<Overlay>> {
    let mut groups: BTreeMap<&str, Vec<Overlay>> = BTreeMap::new();
    for overlay in &component.overlays {
        if let Some(archive) = &overlay.archive {
            groups.entry(archive).or_default().push(overlay.clone());
        }
    }
    groups
}

/// The configuration may say what it becomes.
fn checked(component: &Component, archive: &str, changed: Changed) -> Result<Sha256, Error> {
    let stated = component
        .source_files
        .iter()
        .find(|file| file.filename == archive && file.origins.contains(&Origin::Overlay));
    let Some((file, digest)) = stated.and_then(|file| Some((file, file.digest.as_ref()?))) else {
        return Ok(changed.sha256);
    };
    let (stated, computed) = match digest {
        Digest::Sha256(digest) => (digest.to_hex(), changed.sha256.to_hex()),
        Digest::Sha512(digest) => (digest.clone(), changed.sha512),
    };
    if stated == computed {
        return Ok(changed.sha256);
    }
    Err(Error::BecameOther {
        component: component.name.clone(),
        name: archive.to_owned(),
        location: Box::new(file.defined_at.clone()),
        stated,
        computed,
    })
}

/// One archive and its overlays.
struct Work {
    archive: String,
    original: Sha256,
    overlays: Vec<Overlay>,
    semantics: Semantics,
}

impl Work {
    fn changed(self, store: &Store, sink: &dyn Sink, interrupt: &Interrupt) -> Result<Changed, Error> {
        interrupt.check()?;
        let key = self.key()?;
        if let Some(known) = store.action::<Changed>(CHANGED, &key)?
            && store.contains(&known.sha256)
        {
            return Ok(known);
        }
        let (id, started) = (format!("overlay:{}", self.archive), Instant::now());
        let title = format!("overlays of {}", self.archive);
        sink.event(Event::Started {
            id: &id,
            title: &title,
            total: None,
        });
        let made = self.make(store, interrupt);
        sink.event(Event::Finished {
            id: &id,
            outcome: if made.is_ok() { How::Done } else { How::Failed },
            elapsed: started.elapsed(),
        });
        let changed = made?;
        store.record(CHANGED, &key, &changed)?;
        Ok(changed)
    }

    /// All that the result depends on; also the Keel that packs it, for each version may pack otherwise.
    fn key(&self) -> Result<Sha256, Error> {
        let mut fingerprint = Fingerprint::new("archive-overlays/1");
        fingerprint
            .add("keel", env!("CARGO_PKG_VERSION"))
            .add("archive", &self.archive)
            .add("semantics", format!("{:?}", self.semantics))
            .add_digest("original", &self.original);
        for overlay in &self.overlays {
            let change = serde_json::to_string(&overlay.change).map_err(io::Error::from);
            fingerprint.add("overlay", change.map_err(keel_store::Error::from)?);
        }
        Ok(fingerprint.finish())
    }

    fn make(self, store: &Store, interrupt: &Interrupt) -> Result<Changed, Error> {
        let scratch = store.temp_dir("overlaid")?;
        let file = scratch.path().join(&self.archive);
        store.verify(&self.original)?;
        store.copy_object(&self.original, &file)?;
        let (scratch, repacked) = self.apply(scratch, interrupt)?;
        let digest = store.adopt(&scratch.path().join(&repacked.archive))?.0;
        Ok(Changed {
            sha256: digest,
            sha512: repacked.sha512,
        })
    }

    /// Applies the overlays; packing a large archive takes minutes, and Ctrl-C does not wait for it.
    fn apply(self, scratch: TempDir, interrupt: &Interrupt) -> Result<(TempDir, Repacked), Error> {
        let (done, waits) = mpsc::channel();
        thread::spawn(move || {
            let result = self.repacked(&scratch);
            // Nobody waits for it any more: the folder goes.
            let _ = done.send((scratch, result));
        });
        loop {
            match waits.recv_timeout(Duration::from_millis(100)) {
                Ok((scratch, result)) => return Ok((scratch, result?)),
                Err(RecvTimeoutError::Timeout) => interrupt.check()?,
                Err(RecvTimeoutError::Disconnected) => {
                    let error = io::Error::other("the thread that packs an archive ended without a result");
                    return Err(keel_store::Error::from(error).into());
                }
            }
        }
    }

    fn repacked(&self, scratch: &TempDir) -> Result<Repacked, Error> {
        let folder = Folder::open(scratch.path()).map_err(keel_store::Error::from)?;
        let inside = scratch.path().join(".unpacked");
        let mut repacked = archive::apply(&folder, &inside, &self.overlays, self.semantics)
            .map_err(|error| Error::Overlay(Box::new(error)))?;
        Ok(repacked.remove(0))
    }
}
