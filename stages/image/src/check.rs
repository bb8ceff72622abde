//! An image, made again where everything is different, and compared: are the bytes those of the packages and the definition alone?
//!
//! What differs the second time: nothing is taken from the store that was derived before, files land elsewhere, packages come in another order, and
//! stage0's tools run [elsewhere](keel_host::stage0::Stage0::elsewhere). Scripts of the definition run on another host name, one core and
//! a later second; their clock is the machine's, since the programs are the image's.

use std::{
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

use keel_artefact::{Interrupt, Sha256};

use crate::{
    Built, Error, Request,
    build::make,
    error::At,
    manifest::{MANIFEST, SUMS},
    provenance,
    tools::Tools,
};
use keel_store::Store;

/// A file of two images that are to be the same.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    /// Its name, from the folder of the image.
    pub file: String,
    /// The first byte that differs, from 0; the shorter one's size where it has no more. None: only one of the two has the file.
    pub at: Option<u64>,
}

/// What became of it.
#[derive(Debug)]
pub enum Checked {
    /// Every file has the same bytes.
    Same,
    /// They differ, and the second one is kept.
    Differs {
        /// Smallest files first.
        differences: Vec<Difference>,
        /// The folder of the second image.
        second: PathBuf,
    },
}

/// Makes the image of `request` again below `out`, with `tools` that run elsewhere, and compares it with `first`.
pub(crate) fn check(
    request: &Request<'_>,
    first: &Built,
    tools: &dyn Tools,
    store: &Store,
    out: &Path,
    sink: &dyn keel_artefact::Sink,
    interrupt: &Interrupt,
) -> Result<Checked, Error> {
    let scratch = store.temp_dir("a store in which nothing is derived yet")?;
    let empty = Store::open(scratch.path())?;
    let mut packages = request.packages.to_vec();
    packages.reverse();
    let again = Request {
        packages: &packages,
        out,
        is_elsewhere: true,
        ..*request
    };
    let second = make(&again, tools, &empty, sink, interrupt)?;
    let differences = differences(first, &second)?;
    if differences.is_empty() {
        fs_err::remove_dir_all(&second.dir).at("remove", second.dir.display())?;
        return Ok(Checked::Same);
    }
    Ok(Checked::Differs {
        differences,
        second: second.dir,
    })
}

/// Which files are not the same, or are in one of the two only.
fn differences(first: &Built, second: &Built) -> Result<Vec<Difference>, Error> {
    let mut files = Vec::new();
    for name in names(first).into_iter().chain(names(second)) {
        let (one, other) = (first.dir.join(&name), second.dir.join(&name));
        if one.is_dir() && other.is_dir() {
            for dir in [&one, &other] {
                below(dir, &name, &mut files)?;
            }
        } else {
            files.push(name);
        }
    }
    files.sort();
    files.dedup();
    let mut found = Vec::new();
    for file in files {
        let (one, other) = (first.dir.join(&file), second.dir.join(&file));
        let at = match (one.is_file(), other.is_file()) {
            (true, true) => match first_difference(&one, &other)? {
                None => continue,
                at => at,
            },
            _ => None,
        };
        let size = fs_err::metadata(&one).map_or(0, |metadata| metadata.len());
        found.push((size, Difference { file, at }));
    }
    found.sort_by_key(|found| found.0);
    Ok(found.into_iter().map(|(_, difference)| difference).collect())
}

/// Every file and folder that an image consists of.
fn names(built: &Built) -> Vec<String> {
    let mut names: Vec<String> = built.files.iter().map(|file| file.name.clone()).collect();
    names.extend([MANIFEST, SUMS].map(str::to_owned));
    names.push(provenance::name(&built.image));
    names
}

/// Adds every file below `dir`, named from above it.
fn below(dir: &Path, name: &str, files: &mut Vec<String>) -> Result<(), Error> {
    for entry in fs_err::read_dir(dir).at("read", dir.display())? {
        let entry = entry.at("read", dir.display())?;
        let name = format!("{name}/{}", entry.file_name().to_string_lossy());
        match entry.file_type().at("read", entry.path().display())?.is_dir() {
            true => below(&entry.path(), &name, files)?,
            false => files.push(name),
        }
    }
    Ok(())
}

/// Where two files begin to differ.
fn first_difference(one: &Path, other: &Path) -> Result<Option<u64>, Error> {
    let digest = |path: &Path| Sha256::of_file(path).at("read", path.display());
    if digest(one)? == digest(other)? {
        return Ok(None);
    }
    let open = |path: &Path| fs_err::File::open(path).at("read", path.display());
    let (mut left, mut right) = (
        BufReader::new(open(one)?).bytes(),
        BufReader::new(open(other)?).bytes(),
    );
    let mut at = 0;
    loop {
        let left = left.next().transpose().at("read", one.display())?;
        let right = right.next().transpose().at("read", other.display())?;
        // Both at their end: somebody made them the same meanwhile.
        if left != right || left.is_none() {
            return Ok((left != right).then_some(at));
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_that_differs_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (dir.path().join("1"), dir.path().join("2"));
        for (left, right, at) in [
            ("abc", "abc", None),
            ("abc", "abd", Some(2)),
            ("abc", "ab", Some(2)),
            ("", "a", Some(0)),
        ] {
            fs_err::write(&one, left).unwrap();
            fs_err::write(&other, right).unwrap();
            assert_eq!(first_difference(&one, &other).unwrap(), at, "{left} {right}");
        }
    }
}
