//! Reading every byte of a repository, and telling every difference.

use std::{
    collections::BTreeSet,
    error::Error as _,
    fmt,
    path::{Path, PathBuf},
    sync::Mutex,
};

use keel_artefact::{Event, Interrupt, Sink, parallel};
use keel_rpm::sign::Certificates;
use serde::Serialize;

use crate::{
    Entry, Error, Section, manifest,
    metadata::{self, KINDS},
    open::{self, Opened},
    publish, section_dir,
};

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Difference {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.what)
    }
}

/// What [`verify`](fn@verify) found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// How many packages were read.
    pub packages: usize,
    /// Everything that is wrong, by file.
    pub differences: Vec<Difference>,
}

impl Report {
    /// Is everything as it should be?
    pub fn is_good(&self) -> bool {
        self.differences.is_empty()
    }
}

/// Re-reads the repository in `dir`: signatures (with `certificates`), every file of metadata, every package; makes the
/// metadata anew from the packages and compares it; and looks for files that nothing names.
///
/// An error means that it could not be looked at; what is wrong with it is in the [`Report`].
pub fn verify(
    dir: &Path,
    certificates: Option<&Certificates>,
    sink: &dyn Sink,
    interrupt: &Interrupt,
) -> Result<Report, Error> {
    if !dir.is_dir() {
        return Err(Error::NotRepository {
            dir: dir.to_owned(),
            why: "there is no such folder".to_owned(),
        });
    }
    let is_part = |section: &Section| dir.ends_with(section.folder());
    if dir.join("repodata").is_dir() && Section::ALL.iter().any(is_part) {
        return Err(Error::Part { dir: dir.to_owned() });
    }
    sink.event(Event::Stage {
        title: "Verifying the repository",
    });
    let mut report = Report {
        packages: 0,
        differences: Vec::new(),
    };
    for section in Section::ALL {
        interrupt.check()?;
        verify_section(dir, section, certificates, &mut report, interrupt)?;
    }
    report.differences.sort();
    report.differences.dedup();
    Ok(report)
}

fn verify_section(
    dir: &Path,
    section: Section,
    certificates: Option<&Certificates>,
    report: &mut Report,
    interrupt: &Interrupt,
) -> Result<(), Error> {
    let repodata = section_dir(dir, section).join("repodata");
    let opened = match Opened::read(dir, section, certificates) {
        Ok(opened) => opened,
        Err(error) => {
            report
                .differences
                .push(difference(&repodata.join(manifest::MANIFEST), &error));
            // The signature is wrong: what else is wrong shows without it.
            match certificates.map(|_| Opened::read(dir, section, None)) {
                Some(Ok(opened)) => opened,
                Some(Err(other)) if other.to_string() != error.to_string() => {
                    report
                        .differences
                        .push(difference(&repodata.join(manifest::MANIFEST), &other));
                    return Ok(());
                }
                _ => return Ok(()),
            }
        }
    };
    let entries = opened.entries(dir)?;
    report.packages += entries.len();
    let found = Mutex::new(Vec::new());
    let described = parallel::map(&entries, interrupt, |entry| {
        if let Err(error) = open::check(entry, certificates)
            && let Ok(mut found) = found.lock()
        {
            found.push(difference(&entry.file, &error));
        }
        Ok::<_, Error>(describe(entry))
    })?;
    report.differences.extend(found.into_inner().unwrap_or_default());
    // Where a package cannot even be described, its own difference says why.
    if let Some(described) = described.into_iter().collect::<Option<Vec<_>>>() {
        let documents =
            metadata::documents(&described).map_err(|source| Error::Metadata(Box::new(source)))?;
        for ((kind, ours), theirs) in KINDS.iter().zip(&documents).zip(&opened.documents) {
            if ours != theirs.as_bytes() {
                let record = opened.manifest.records.iter().find(|record| record.kind == *kind);
                report.differences.push(Difference {
                    file: repodata.join(record.map_or(*kind, |record| &record.file)),
                    what:
                        "it does not describe the packages that lie here: made anew from them, it is another"
                            .to_owned(),
                });
            }
        }
    }
    strays(dir, &opened, report)
}

/// The metadata of a package as its header gives it, under the digest that the metadata claims.
fn describe(entry: &Entry) -> Option<rpmrepo_metadata::Package> {
    let (info, header) = keel_rpm::read_with_metadata(&entry.file).ok()?;
    metadata::describe(&info, &header, &entry.digest).ok()
}

/// Files that nothing names.
fn strays(dir: &Path, opened: &Opened, report: &mut Report) -> Result<(), Error> {
    let section = section_dir(dir, opened.section);
    let mut named: BTreeSet<PathBuf> = opened
        .listed
        .iter()
        .map(|listed| section.join(&listed.location))
        .collect();
    let repodata = section.join("repodata");
    named.extend([manifest::MANIFEST, manifest::SIGNATURE, manifest::KEY].map(|name| repodata.join(name)));
    named.extend(
        opened
            .manifest
            .records
            .iter()
            .map(|record| repodata.join(&record.file)),
    );
    let mut folders = vec![section];
    while let Some(folder) = folders.pop() {
        for path in publish::list(&folder)? {
            let meta = fs_err::symlink_metadata(&path).map_err(Error::read)?;
            if meta.is_dir() {
                folders.push(path);
            } else if !named.contains(&path) {
                report.differences.push(Difference {
                    file: path,
                    what: "no metadata names it: no client will ever ask for it".to_owned(),
                });
            }
        }
    }
    Ok(())
}

/// What is wrong with which file: with all its causes, on one line, and the file named once.
fn difference(file: &Path, error: &Error) -> Difference {
    let at = |file: &Path, what: String| Difference {
        file: file.to_owned(),
        what,
    };
    match error {
        Error::Damaged { file, why } => at(file, why.clone()),
        Error::NotRepository { .. } => at(
            file,
            "it is missing, and what else lies here means nothing without it".to_owned(),
        ),
        Error::File { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            at(file, "it is missing, and the metadata names it".to_owned())
        }
        _ => at(file, with_causes(error)),
    }
}

fn with_causes(error: &Error) -> String {
    let mut what = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !what.ends_with(&text) {
            what = format!("{what}: {text}");
        }
        source = cause.source();
    }
    what
}
