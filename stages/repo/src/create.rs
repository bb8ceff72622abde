//! Making a repository out of packages in the store.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use keel_artefact::{Arch, Epoch, Event, Interrupt, Nevra, Sha256, Sink, event::Outcome, parallel};
use keel_build::Packages;
use keel_rpm::sign::Key;
use keel_store::Store;
use rpmrepo_metadata::Package;

use crate::{
    Entry, Error, FORMAT, Repository, Section,
    manifest::{self, Manifest},
    metadata, open,
    publish::{self, Placed},
    section_dir, signing,
};

/// One package that goes into a repository.
struct Input {
    nevra: Nevra,
    section: Section,
    /// Not signed, in the store.
    rpm: Sha256,
    /// The time of its signature.
    time: Epoch,
}

/// One package as it will lie in the repository.
struct Prepared {
    nevra: Nevra,
    section: Section,
    digest: Sha256,
    size: u64,
    built: Epoch,
    package: Package,
}

/// Where packages go.
#[derive(Clone, Copy)]
struct Target<'a> {
    /// Who signs them.
    key: Option<&'a Key>,
    out: &'a Path,
    /// Nobody looks at it after this run.
    is_passing: bool,
}

fn inputs(packages: &Packages) -> Vec<Input> {
    let all = packages.packages.iter().map(|package| Input {
        nevra: package.nevra.clone(),
        section: package.kind.into(),
        rpm: package.rpm,
        time: package.epoch,
    });
    all.collect()
}

/// Publishes `packages` in the folder `out` (`out/repo/<arch>`), signed by `key`; without a key, nothing is signed.
///
/// What is already there and right stays; what is no longer named goes. `sink` hears of it as `repo:packages` and
/// `repo:metadata`.
pub fn create(
    packages: &Packages,
    store: &Store,
    key: Option<&Key>,
    out: &Path,
    sink: &dyn Sink,
    interrupt: &Interrupt,
) -> Result<Repository, Error> {
    let inputs = inputs(packages);
    refuse_same_names(&inputs)?;
    let _lock = publish::Lock::take(out)?;
    write(packages.arch, &inputs, store, key, out, sink, interrupt)
}

/// Lays out the packages that users install as in a repository, in the new folder `out`, for one that is read once and is gone then: signed,
/// and with the certificate, but without metadata, and without waiting for the disk.
pub fn lay_out(
    packages: &Packages,
    store: &Store,
    key: Option<&Key>,
    out: &Path,
    interrupt: &Interrupt,
) -> Result<Repository, Error> {
    let mut inputs = inputs(packages);
    inputs.retain(|input| input.section == Section::Os);
    refuse_same_names(&inputs)?;
    let target = Target {
        key,
        out,
        is_passing: true,
    };
    let prepared = prepare_all(&inputs, store, target, &keel_artefact::event::Silent, interrupt)?;
    let repository = repository(packages.arch, prepared, key, out);
    if let (Some(key), Some(path)) = (key, repository.certificate()) {
        if let Some(folder) = path.parent() {
            publish::make_dir(folder)?;
        }
        fs_err::write(path, key.certificate()?).map_err(Error::write)?;
    }
    Ok(repository)
}

/// Signs the packages and metadata of the repository in `dir` with `key`, whatever signatures they had. The digests of
/// metadata and packages are checked, signatures that were there are not: that is for who calls this to decide.
pub fn sign(
    dir: &Path,
    store: &Store,
    key: &Key,
    sink: &dyn Sink,
    interrupt: &Interrupt,
) -> Result<Repository, Error> {
    // Before it is read: what another run publishes meanwhile is not lost.
    let _lock = publish::Lock::take(dir)?;
    let before = open::open(dir, None, interrupt)?;
    let inputs = parallel::map(&before.packages, interrupt, |entry| {
        let temporary = store.temp_dir("unsign")?;
        let bare = temporary.path().join("unsigned.rpm");
        keel_rpm::sign::clear_package(&entry.file, &bare)?;
        let time = keel_rpm::read(&bare)?.build_time;
        let (rpm, _) = store.adopt(&bare)?;
        Ok::<_, Error>(Input {
            nevra: entry.nevra.clone(),
            section: entry.section,
            rpm,
            time,
        })
    })?;
    write(before.arch, &inputs, store, Some(key), dir, sink, interrupt)
}

/// Writes packages and metadata. The caller holds the lock of `out`.
fn write(
    arch: Arch,
    inputs: &[Input],
    store: &Store,
    key: Option<&Key>,
    out: &Path,
    sink: &dyn Sink,
    interrupt: &Interrupt,
) -> Result<Repository, Error> {
    sink.event(Event::Stage {
        title: "Publishing the repository",
    });
    let target = Target {
        key,
        out,
        is_passing: false,
    };
    let prepared = prepare_all(inputs, store, target, sink, interrupt)?;
    let started = Instant::now();
    sink.event(Event::Started {
        id: "repo:metadata",
        title: "metadata",
        total: None,
    });
    // One revision for all sections, so that a change of sources alone does not leave the binaries' older.
    let revision = prepared
        .iter()
        .map(|package| package.built)
        .max()
        .unwrap_or(Epoch(0));
    for section in Section::ALL {
        interrupt.check()?;
        let packages: Vec<&Prepared> = prepared
            .iter()
            .filter(|package| package.section == section)
            .collect();
        write_section(arch, section, &packages, revision, key, out)?;
    }
    sink.event(Event::Finished {
        id: "repo:metadata",
        outcome: Outcome::Done,
        elapsed: started.elapsed(),
    });
    Ok(repository(arch, prepared, key, out))
}

fn repository(arch: Arch, prepared: Vec<Prepared>, key: Option<&Key>, out: &Path) -> Repository {
    let packages = (prepared.into_iter())
        .map(|package| Entry {
            file: section_dir(out, package.section).join(metadata::location(&package.nevra)),
            nevra: package.nevra,
            section: package.section,
            digest: package.digest,
            size: package.size,
        })
        .collect();
    Repository {
        format: FORMAT,
        dir: out.to_owned(),
        arch,
        packages,
        signed_by: key.map(Key::fingerprint),
    }
}

fn refuse_same_names(inputs: &[Input]) -> Result<(), Error> {
    let mut names = BTreeMap::new();
    for input in inputs {
        if let Some(one) = names.insert((input.section, input.nevra.file_name()), input.rpm) {
            return Err(Error::SameName {
                file: input.nevra.file_name(),
                one,
                other: input.rpm,
            });
        }
    }
    Ok(())
}

/// Signs, describes and places every package; they are sorted as a repository's are.
fn prepare_all(
    inputs: &[Input],
    store: &Store,
    target: Target<'_>,
    sink: &dyn Sink,
    interrupt: &Interrupt,
) -> Result<Vec<Prepared>, Error> {
    let id = "repo:packages";
    let title = if target.key.is_some() {
        "signed packages"
    } else {
        "unsigned packages"
    };
    let (started, done) = (Instant::now(), AtomicU64::new(0));
    sink.event(Event::Started {
        id,
        title,
        total: Some(inputs.len() as u64),
    });
    let result: Result<Vec<Prepared>, Error> = parallel::map(inputs, interrupt, |input| {
        let prepared = prepare(input, store, target).map_err(|error| match error {
            Error::Store(source @ keel_store::Error::Damaged { .. }) => Error::Unsound {
                nevra: Box::new(input.nevra.clone()),
                source,
            },
            error => error,
        })?;
        sink.event(Event::Progress {
            id,
            done: done.fetch_add(1, Ordering::Relaxed) + 1,
        });
        Ok(prepared)
    });
    let outcome = if result.is_ok() {
        Outcome::Done
    } else {
        Outcome::Failed
    };
    sink.event(Event::Finished {
        id,
        outcome,
        elapsed: started.elapsed(),
    });
    let mut prepared = result?;
    prepared.sort_by(|one, other| {
        (one.section.cmp(&other.section))
            .then_with(|| one.nevra.name.cmp(&other.nevra.name))
            .then_with(|| one.nevra.evr.compare(&other.nevra.evr))
            .then_with(|| one.nevra.arch.cmp(&other.nevra.arch))
    });
    Ok(prepared)
}

fn prepare(input: &Input, store: &Store, target: Target<'_>) -> Result<Prepared, Error> {
    let digest = match target.key {
        Some(key) => signing::signed(store, &input.rpm, key, input.time)?,
        None => input.rpm,
    };
    let (info, header) = keel_rpm::read_with_metadata(&store.object(&digest)?).or_else(|unread| {
        // Of bytes that got damaged in the store, that is the matter, and the store forgets them.
        store.verify(&digest)?;
        Err(Error::from(unread))
    })?;
    if info.nevra != input.nevra {
        return Err(Error::OtherPackage {
            stated: Box::new(input.nevra.clone()),
            found: Box::new(info.nevra),
        });
    }
    let package = metadata::describe(&info, &header, &digest).map_err(|source| Error::Describe {
        nevra: info.nevra.clone(),
        source: Box::new(source),
    })?;
    let placed = Placed {
        location: metadata::location(&info.nevra),
        digest,
        built: info.build_time,
    };
    let section = section_dir(target.out, input.section);
    publish::put(store, &section, &placed, target.is_passing)?;
    Ok(Prepared {
        nevra: info.nevra,
        section: input.section,
        digest,
        size: info.file_size,
        built: info.build_time,
        package,
    })
}

fn write_section(
    arch: Arch,
    section: Section,
    packages: &[&Prepared],
    revision: Epoch,
    key: Option<&Key>,
    out: &Path,
) -> Result<(), Error> {
    let dir = section_dir(out, section);
    publish::make_dir(&dir)?;
    let described: Vec<Package> = packages.iter().map(|package| package.package.clone()).collect();
    let documents = metadata::documents(&described).map_err(|source| Error::Metadata(Box::new(source)))?;
    let mut files = BTreeMap::new();
    let mut records = Vec::new();
    for (kind, document) in metadata::KINDS.into_iter().zip(&documents) {
        let (record, bytes) = metadata::pack(kind, document)?;
        files.insert(record.file.clone(), bytes);
        records.push(record);
    }
    let manifest = Manifest {
        revision,
        arch,
        section,
        records,
    }
    .to_xml();
    if let Some(key) = key {
        files.insert(
            manifest::SIGNATURE.to_owned(),
            key.sign_detached(manifest.as_bytes(), revision)?.into_bytes(),
        );
        files.insert(manifest::KEY.to_owned(), key.certificate()?.into_bytes());
    }
    files.insert(manifest::MANIFEST.to_owned(), manifest.into_bytes());
    let locations: Vec<String> = (packages.iter())
        .map(|package| metadata::location(&package.nevra))
        .collect();
    let locations: BTreeSet<&str> = locations.iter().map(String::as_str).collect();
    publish::settle(&dir, &locations)?;
    publish::swap(&dir, &files)?;
    publish::clear_stale(&dir, &locations)
}
