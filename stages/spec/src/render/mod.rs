//! Rendering: a component's pristine folder → the folder that is checked in, and built.
//!
//! Purpose: the same bytes as `azldev component render` makes. Input: a [`Request`]: the folder (dist-git's, or a local
//! SPEC's) and the component's configuration with all defaults merged. Output: `specs/<letter>/<name>/` and an
//! [`Outcome`]: what differs from what lay there, and which overlay wrote which lines.
//!
//! 1. The folder is copied, without git's files, and the SPEC called `NAME.spec`.
//! 2. `NAME.azl.macros` is written, if there are macros ([`macros_file`]).
//! 3. Overlays are applied: those of archives; those that load the macros, the configured ones, the one that skips `%check`,
//!    the header ([`synthesized`]).
//! 4. `sources` gets the lines of `source-files` ([`sources_file`]).
//! 5. The Release is counted up ([`release`]).
//! 6. rpmautospec's work is done ([`autospec`]), if a history is supplied.
//! 7. Files that the SPEC does not ask for go ([`listing`]).
//! 8. The folder takes the other one's place, if it differs ([`place`]).
//!
//! The rules are told, and numbered, in `docs/explanation/model-render.md`.
//!
//! Invariants: the same request gives the same bytes. What lay there before is replaced whole, or not at all.
//!
//! Never: the input changed; git; the network; the clock.

pub mod autospec;
mod error;
pub mod fingerprint;
pub mod listing;
pub mod macros_file;
pub mod place;
mod places;
pub mod release;
pub mod sources_file;
pub mod stale;
pub mod synthesized;
pub mod upstream;

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
};

use keel_config::overlay::{Calculation, Overlay, Semantics};
use serde::Serialize;

use crate::{
    macros::text,
    overlay::{self, Document, Folder, Record, Written, archive},
    syntax::Tree,
};
use autospec::Features;
pub use error::Error;
use listing::List;
use place::Difference;
pub use places::Places;

/// How a component is rendered.
pub struct Request<'a> {
    /// The component's name.
    pub name: &'a str,
    /// The pristine folder.
    pub input: &'a Path,
    /// What the SPEC is called in there.
    pub spec: &'a str,
    /// Overlays in their order, inherited ones first.
    pub overlays: &'a [Overlay],
    /// How they see the SPEC.
    pub semantics: Semantics,
    /// Macros of the build.
    pub macros: macros_file::Options<'a>,
    /// Why `%check` is skipped, if it is.
    pub skip_check: Option<&'a str>,
    /// Who counts up the Release.
    pub calculation: Calculation,
    /// How many changes of this component there were since it was taken over.
    pub changes: u64,
    /// Keel's own: where `Source9999` is taken, the macros file gets the next free number.
    pub free_source_number: bool,
    /// The header is there even where nothing else was changed, as azldev writes it.
    pub always_header: bool,
    /// The files that `sources` must list besides.
    pub source_files: &'a [sources_file::SourceFile],
    /// Whether the archives are in the folder, so that overlays can change them.
    pub with_archives: bool,
    /// For rpmautospec; without a history its work is left to others.
    pub history: Option<&'a autospec::History>,
    /// Keep all files.
    pub skip_file_filter: bool,
    /// Tells which files the SPEC asks for, and what SPECs of the history said; without it all are kept.
    pub list: Option<&'a dyn List>,
}

/// What rendering did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The component's folder, relative to that of all.
    pub folder: PathBuf,
    /// What differs from what lay there; nothing means unchanged.
    pub differences: Vec<Difference>,
    /// What came to be, in the folder that it came to be in.
    pub rendered: Rendered,
}

/// A folder, rendered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rendered {
    /// What each overlay did, in the order in which they were applied; the last may be the Release's.
    pub overlays: Vec<Record>,
    /// Which lines of the SPEC (before rpmautospec's) which of them wrote.
    pub written: Vec<Written>,
    /// Archives that overlays changed.
    pub archives: Vec<archive::Repacked>,
    /// Archives that overlays are about, and that were left alone because they are not there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub archives_left: Vec<String>,
    /// Whether rpmautospec's part was done.
    pub autospec: bool,
    /// Files that the SPEC does not ask for, and that are gone.
    pub left_out: Vec<String>,
    /// Why all files were kept, if they were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept_because: Option<String>,
    /// Where the SPEC's lines come from.
    #[serde(skip)]
    pub places: Places,
}

/// Renders a component into its place below `specs`; with `check`, only says what would change.
///
/// `scratch` is a folder of the caller's, which a folder is made in and removed from; best on the same file system.
pub fn render(request: &Request<'_>, specs: &Path, scratch: &Path, check: bool) -> Result<Outcome, Error> {
    let folder = place::of(request.name)?;
    apart(request.input, &specs.join(&folder))?;
    apart(request.input, scratch)?;
    let new = scratch.join(request.name);
    let result = prepare(request, &new).and_then(|rendered| {
        let differences = place::differences(&specs.join(&folder), &new)?;
        match differences.is_empty() {
            _ if check => {}
            true => place::link(specs, request.name)?,
            false => place::put(specs, request.name, &new)?,
        }
        Ok(Outcome {
            folder,
            differences,
            rendered,
        })
    });
    match fs_err::remove_dir_all(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => result.and(Err(error.into())),
        _ => result,
    }
}

/// Fails for two folders of which one is in the other: one is read while the other is written.
fn apart(input: &Path, output: &Path) -> Result<(), Error> {
    let real = |path: &Path| -> PathBuf {
        let there = path
            .ancestors()
            .find_map(|above| Some((above, fs_err::canonicalize(above).ok()?)));
        match there {
            Some((above, real)) => real.join(path.strip_prefix(above).unwrap_or(Path::new(""))),
            None => path.to_owned(),
        }
    };
    let (one, other) = (real(input), real(output));
    if one.starts_with(&other) || other.starts_with(&one) {
        return Err(Error::InOneAnother {
            input: input.to_owned(),
            output: output.to_owned(),
        });
    }
    Ok(())
}

/// Renders a component into the folder `into`, which must not be there.
pub fn prepare(request: &Request<'_>, into: &Path) -> Result<Rendered, Error> {
    place::of(request.name)?;
    fs_err::create_dir(into)?;
    place::copy(request.input, into)?;
    let folder = Folder::open(into)?;
    let spec = format!("{}.spec", request.name);
    let is_file = |name: &str| {
        into.join(name)
            .symlink_metadata()
            .is_ok_and(|metadata| metadata.is_file())
    };
    if !is_file(request.spec) {
        return Err(Error::NoSpec {
            path: request.input.join(request.spec),
        });
    }
    if request.spec != spec {
        if folder.exists(&spec)? {
            return Err(Error::TwoSpecs {
                spec: request.spec.to_owned(),
                other: spec,
            });
        }
        folder.rename(request.spec, &spec)?;
    }
    if let Some(text) = request.macros.file() {
        folder.write(&macros_name(request.name)?, text.as_bytes(), 0o644)?;
    }
    let (bytes, mode) = folder.read(&spec)?;
    let mut document = Document::new(&bytes);

    let mut records = Vec::new();
    let (archives, archives_left) = match request.with_archives {
        true => {
            let scratch = into.with_file_name(format!(".{}.keel-archive", request.name));
            let done = archive::apply(&folder, &scratch, request.overlays, request.semantics)?;
            (done, Vec::new())
        }
        false => {
            let named: BTreeSet<&String> = request
                .overlays
                .iter()
                .flat_map(|overlay| &overlay.archive)
                .collect();
            (Vec::new(), named.into_iter().cloned().collect())
        }
    };
    let overlays = overlays(request, &document)?;
    records.extend(overlay::apply(
        &mut document,
        &spec,
        &folder,
        &overlays,
        request.semantics,
    )?);

    // Keel's own trees pin files in their lock.
    let lists = !request.free_source_number || folder.exists("sources")?;
    if archives.is_empty() || lists || !request.source_files.is_empty() {
        merge_sources(request, &folder, &archives)?;
    }
    let (calculation, by) = (request.calculation, records.len());
    records.extend(release::set(
        &mut document,
        &spec,
        calculation,
        request.changes,
        by,
    )?);
    let written = document.written();
    let mut bytes = document.bytes();
    let processed = request
        .history
        .and_then(|history| processed(request, history, &into.join(&spec), &bytes));
    let autospec = processed.is_some();
    bytes = processed.unwrap_or(bytes);
    folder.write(&spec, &bytes, mode)?;

    let (input, rendered) = ((request.input, request.spec), (into, spec.as_str()));
    let places = Places::of(input, rendered, &document, &bytes, &overlays);
    let filtered = filter(request, into, &spec, &bytes).map_err(|error| match error {
        Error::Evaluation { errors } => Error::Evaluation {
            errors: errors.into_iter().map(|one| places.told(one)).collect(),
        },
        error => error,
    });
    let (left_out, kept_because) = match filtered? {
        Filter::Kept(because) => (Vec::new(), Some(because)),
        Filter::LeftOut(files) => (files, None),
    };
    Ok(Rendered {
        overlays: records,
        written,
        archives,
        archives_left,
        autospec,
        left_out,
        kept_because,
        places,
    })
}

/// All overlays of a component, with those that nobody wrote, in the order in which they are applied.
pub fn overlays(request: &Request<'_>, pristine: &Document) -> Result<Vec<Overlay>, Error> {
    let mut overlays = Vec::new();
    if !request.macros.macros().is_empty() {
        let number = match request.free_source_number {
            true => source_number(&pristine.text()),
            false => synthesized::SOURCE_NUMBER,
        };
        overlays.extend(synthesized::load_macros(&macros_name(request.name)?, number));
    }
    overlays.extend(request.overlays.iter().cloned());
    overlays.extend(request.skip_check.map(synthesized::skip_check));
    if request.always_header || !overlays.is_empty() {
        overlays.push(synthesized::header());
    }
    Ok(overlays)
}

fn macros_name(component: &str) -> Result<String, Error> {
    macros_file::name(component).ok_or_else(|| Error::MacrosName {
        name: component.to_owned(),
    })
}

/// 9999, or, if a source has that number, the one after the highest.
fn source_number(spec: &str) -> u64 {
    let tree = Tree::parse(spec);
    let sources = || tree.tags().filter(|(_, tag)| tag.known() == "Source");
    let numbers = || sources().filter_map(|(_, tag)| tag.number).map(u64::from);
    match numbers().any(|number| number == synthesized::SOURCE_NUMBER) {
        true => {
            numbers().max().unwrap_or(0)
                + 1
                + sources().filter(|(_, tag)| tag.number.is_none()).count() as u64
        }
        false => synthesized::SOURCE_NUMBER,
    }
}

fn merge_sources(
    request: &Request<'_>,
    folder: &Folder,
    archives: &[archive::Repacked],
) -> Result<(), Error> {
    const NAME: &str = "sources";
    let nothing_to_add = request.source_files.is_empty() && archives.is_empty();
    let (text, mode) = match folder.exists(NAME)? {
        true => folder.read(NAME)?,
        false if nothing_to_add => return Ok(()),
        false => (Vec::new(), 0o644),
    };
    let text = text::decode(&text).into_owned();
    if nothing_to_add {
        // It stays as it is, to the end of its last line.
        sources_file::listed(&text)?;
        return Ok(());
    }
    let changed: Vec<String> = archives.iter().map(|one| one.archive.clone()).collect();
    let digest = |file: &str, algorithm: &str| {
        let found = archives.iter().find(|one| one.archive == file);
        found
            .and_then(|one| one.digest(algorithm))
            .ok_or_else(|| io::Error::other(format!("`{algorithm}` is no algorithm that is known here")))
    };
    let merged = sources_file::merged(&text, request.source_files, &changed, &digest)?;
    Ok(folder.write(NAME, &text::encode(&merged), mode)?)
}

/// The SPEC with rpmautospec's work done, if there is any.
fn processed(
    request: &Request<'_>,
    history: &autospec::History,
    path: &Path,
    bytes: &[u8],
) -> Option<Vec<u8>> {
    let features = Features::of(&text::decode(bytes));
    if !features.need_processing() {
        return None;
    }
    let mut history = history.clone();
    let mut read = |spec: &[u8]| request.list.and_then(|list| list.version(path, spec));
    autospec::versions::fill(&mut history.commits, &features, bytes, &mut read);
    autospec::process(bytes, &history)
}

enum Filter {
    Kept(String),
    LeftOut(Vec<String>),
}

/// Removes what is at the top of the folder and is neither the SPEC nor `sources` nor asked for.
fn filter(request: &Request<'_>, folder: &Path, spec: &str, bytes: &[u8]) -> Result<Filter, Error> {
    if request.skip_file_filter {
        return Ok(Filter::Kept("`render.skip-file-filter` says so".to_owned()));
    }
    let Some(list) = request.list else {
        return Ok(Filter::Kept(
            "nobody tells which files the SPEC asks for".to_owned(),
        ));
    };
    let sources = list
        .sources(&folder.join(spec), bytes)
        .map_err(|errors| Error::Evaluation { errors })?;
    let files: Vec<String> = sources
        .iter()
        .filter_map(|source| listing::file_of(source))
        .collect();
    if let Some(file) = files.iter().find(|file| file.contains("%{")) {
        return Ok(Filter::Kept(format!("nobody knows what file `{file}` is")));
    }
    let top = files.iter().filter_map(|file| file.split('/').next());
    let keep: BTreeSet<&str> = top.chain([spec, "sources"]).collect();
    let mut left_out = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| keep.contains(name)) {
            continue;
        }
        match entry.file_type()?.is_dir() {
            true => fs_err::remove_dir_all(entry.path())?,
            false => fs_err::remove_file(entry.path())?,
        }
        left_out.push(name.to_string_lossy().into_owned());
    }
    left_out.sort();
    Ok(Filter::LeftOut(left_out))
}
