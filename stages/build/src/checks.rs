//! What is checked of every package before it counts as built.

use std::{
    collections::BTreeSet,
    io::Read,
    path::{Path, PathBuf},
};

use keel_artefact::Sha256;
use keel_host::stage0::Manifest;
use keel_plan::Job;
use keel_rpm::{FileInfo, FileKind, PackageInfo, elf};

use crate::{
    Built, Error, Kind,
    built::Links,
    trace::{self, Leak},
};

/// One package that rpmbuild wrote, read whole.
pub struct Examined {
    /// Where it lies.
    pub file: PathBuf,
    /// Its header.
    pub info: PackageInfo,
    /// Its ELF files.
    pub elves: Vec<(FileInfo, elf::ElfFacts)>,
    /// Digests of its regular files.
    digests: Vec<(FileInfo, Sha256)>,
}

/// Reads a package: header and every file.
pub fn examine(file: &Path) -> Result<Examined, Error> {
    let (mut elves, mut digests) = (Vec::new(), Vec::new());
    let info = keel_rpm::payload(file, &mut |entry, content| -> Result<(), Error> {
        if entry.kind != FileKind::Regular || entry.same_as.is_some() {
            return Ok(());
        }
        if let Some(digest) = entry.digest {
            digests.push((entry.clone(), digest));
        }
        let mut magic = Vec::with_capacity(4);
        content.take(4).read_to_end(&mut magic)?;
        if magic == b"\x7fELF" {
            content.read_to_end(&mut magic)?;
            elves.extend(elf::facts(&magic).map(|facts| (entry.clone(), facts)));
        }
        Ok(())
    })?;
    Ok(Examined {
        file: file.to_owned(),
        info,
        elves,
        digests,
    })
}

impl Examined {
    /// What the package is for.
    pub fn kind(&self) -> Kind {
        Kind::of(&self.info)
    }
}

/// The packages are those that the SPEC declares, and have no scriptlets.
pub fn declared(job: &Job, packages: &[Examined]) -> Result<(), Error> {
    let declared: BTreeSet<_> = job
        .recipe
        .packages
        .iter()
        .map(|package| package.nevra.to_string())
        .collect();
    let mut made = BTreeSet::new();
    for package in packages.iter().filter(|package| package.kind() == Kind::Binary) {
        let nevra = &package.info.nevra;
        made.insert(nevra.to_string());
        if !declared.contains(&nevra.to_string()) {
            return Err(Error::Undeclared(nevra.clone()));
        }
        if !package.info.scripts.is_empty() {
            return Err(Error::Scriptlets {
                package: nevra.clone(),
                scripts: package.info.scripts.clone(),
            });
        }
    }
    // A subpackage without %files is not made; rpmbuild then says nothing. Whoever requires it would find out late.
    match job
        .recipe
        .packages
        .iter()
        .find(|package| !made.contains(&package.nevra.to_string()))
    {
        Some(package) if package.nevra.name != job.recipe.name => Err(Error::NotMade(package.nevra.clone())),
        _ => Ok(()),
    }
}

/// No ELF file, object or archive is one of stage0's, by content or by build-id.
pub fn nothing_borrowed(packages: &[Examined], manifest: &Manifest) -> Result<(), Error> {
    for package in packages {
        let by_digest = package
            .digests
            .iter()
            .find(|(_, digest)| manifest.has_digest(digest));
        let has_id = |facts: &elf::ElfFacts| {
            facts
                .build_id
                .as_deref()
                .is_some_and(|id| manifest.has_build_id(id))
        };
        let by_id = package.elves.iter().find(|(_, facts)| has_id(facts));
        if let Some(file) = by_digest.map(|(file, _)| file).or(by_id.map(|(file, _)| file)) {
            return Err(Error::Borrowed {
                package: package.info.nevra.clone(),
                path: file.path.to_string(),
            });
        }
    }
    Ok(())
}

/// Every `DT_NEEDED` is the soname (or file name) of a library in these packages or in Keel packages of the root.
pub fn libraries(packages: &[Examined], root: &[std::sync::Arc<Built>]) -> Result<(), Error> {
    let mut known: BTreeSet<&str> = BTreeSet::new();
    for (file, facts) in packages.iter().flat_map(|package| &package.elves) {
        known.insert(file.path.file_name());
        known.extend(facts.soname.as_deref());
    }
    let provides = root
        .iter()
        .flat_map(|built| &built.outputs)
        .flat_map(|output| &output.provides);
    known.extend(provides.filter_map(|provide| provide.name.split_once('(').map(|(soname, _)| soname)));
    for package in packages {
        for (file, facts) in &package.elves {
            if let Some(library) = facts
                .needed
                .iter()
                .find(|library| !known.contains(library.as_str()))
            {
                return Err(Error::NoLibrary {
                    package: package.info.nevra.clone(),
                    path: file.path.to_string(),
                    library: library.clone(),
                });
            }
        }
    }
    Ok(())
}

/// Can the linker's output be one of the files that are shipped? They may have got a version (`libc.so` → `libc.so.6`), and
/// glibc renames its loader and some programs (`iconv_prog` → `iconv`) while it installs them.
fn is_shipped(output: &str, shipped: &BTreeSet<&str>) -> bool {
    let name = output.rsplit('/').next().unwrap_or_default();
    let plain = name
        .strip_suffix("_prog")
        .or(name.strip_suffix("-modern"))
        .unwrap_or(name);
    let is_it = |file: &&str| {
        *file == plain
            || file.strip_prefix(plain).is_some_and(|rest| rest.starts_with('.'))
            || (name == "ld.so" && file.starts_with("ld-linux"))
    };
    shipped.iter().any(is_it)
}

/// The linker's trace, its runs parted by NUL bytes: nothing borrowed but gcc's own.
///
/// Where Debian's libc is in the root (`bootstrap-libc`), programs that only help the build may be linked with it; what is
/// shipped may not, unless the component says `borrowed-libc`.
pub fn links(trace: &[u8], trees: &[PathBuf], packages: &[Examined], job: &Job) -> Result<Links, Error> {
    let trees: Vec<&Path> = trees.iter().map(PathBuf::as_path).collect();
    let shipped: BTreeSet<&str> = packages
        .iter()
        .flat_map(|package| &package.elves)
        .map(|(file, _)| file.path.file_name())
        .collect();
    let mut links = Links::default();
    let mut leaks: BTreeSet<Leak> = BTreeSet::new();
    for run in trace.split(|byte| *byte == 0) {
        let Some(link) = trace::parse(&String::from_utf8_lossy(run)) else {
            continue;
        };
        links.count += 1;
        leaks.extend(trace::leaks(&link, &trees));
    }
    if job.bootstrap_libc {
        let (bad, fine): (BTreeSet<_>, BTreeSet<_>) = leaks
            .into_iter()
            .partition(|leak| !job.borrowed_libc && is_shipped(&leak.output, &shipped));
        links.borrowed = fine.into_iter().collect();
        leaks = bad;
    }
    if leaks.is_empty() {
        Ok(links)
    } else {
        Err(Error::Leaked(leaks.into_iter().collect()))
    }
}
