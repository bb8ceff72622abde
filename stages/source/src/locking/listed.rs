//! What the `sources` beside a SPEC says of a file: the other distribution's own word for its bytes.
//!
//! A file that is listed by SHA-512 or SHA-256 must be that. MD5, which old packages of Fedora still have, proves little: who
//! wants to can make two files of one MD5. It is checked, and the lock pins what came by SHA-256; the report says so.

use std::{
    io::{self, Read as _},
    path::Path,
};

use keel_artefact::{Sha256, Sha512};
use keel_config::{Component, Project};
use keel_spec::{Recipe, macros::text, render::sources_file};
use md5::{Digest as _, Md5};

use crate::{Error, lookaside};

/// The largest `sources` that is read, in bytes.
const LARGEST: u64 = 16 << 20;

/// A line of `sources`, and where its file is kept.
pub(super) struct Listed {
    algorithm: String,
    /// In small hexadecimal digits.
    hash: String,
    /// Where the distribution keeps the file, if the configuration says so.
    pub(super) origin: Option<keel_config::Origin>,
    /// Nobody else is to be asked.
    pub(super) only: bool,
}

impl Listed {
    /// The line of a file, if there is one whose digest can be checked.
    pub(super) fn of(project: &Project, recipe: &Recipe, name: &str) -> Result<Option<Self>, Error> {
        let Some(component) = project.components.get(&recipe.component) else {
            return Ok(None);
        };
        let path = recipe.spec_file.with_file_name("sources");
        let Some(text) = read(component, &path)? else {
            return Ok(None);
        };
        let listed = sources_file::listed(&text).map_err(|source| Error::Listed {
            component: component.name.clone(),
            source,
        })?;
        let is_known = |algorithm: &str| matches!(algorithm, "SHA512" | "SHA256" | "MD5");
        let Some(line) = (listed.iter()).find(|line| line.file == name && is_known(line.algorithm)) else {
            return Ok(None);
        };
        let hash = line.hash.to_ascii_lowercase();
        let (origin, only) = lookaside::kept_at(
            project,
            component,
            (name, &line.algorithm.to_ascii_lowercase(), &hash),
        );
        Ok(Some(Self {
            algorithm: line.algorithm.to_owned(),
            hash,
            origin,
            only,
        }))
    }

    /// Is this the listed file?
    pub(super) fn is_of(&self, file: &Path) -> io::Result<bool> {
        let found = match self.algorithm.as_str() {
            "SHA512" => Sha512::of_file(file)?.to_string(),
            "SHA256" => Sha256::of_file(file)?.0.to_hex(),
            _ => md5(file)?,
        };
        Ok(found == self.hash)
    }

    /// Why its bytes are trusted, for people.
    pub(super) fn how(&self) -> String {
        match self.algorithm.as_str() {
            "MD5" => "its MD5 is the one in `sources`, which proves little; pinned by SHA-256 from now on"
                .to_owned(),
            algorithm => format!("its {algorithm} is the one in `sources`"),
        }
    }
}

fn read(component: &Component, path: &Path) -> Result<Option<String>, Error> {
    let failed = |source| Error::Local {
        component: component.name.clone(),
        path: path.to_owned(),
        source,
    };
    if !path.is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    let file = fs_err::File::open(path).map_err(failed)?;
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
    match bytes.len() as u64 > LARGEST {
        true => Err(failed(io::Error::other("it is too large"))),
        false => Ok(Some(text::decode(&bytes).into_owned())),
    }
}

fn md5(path: &Path) -> io::Result<String> {
    let mut file = fs_err::File::open(path)?;
    let (mut hasher, mut buffer) = (Md5::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            count => hasher.update(&buffer[..count]),
        }
    }
    Ok(hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn md5_is_that_of_rfc_1321() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        for (text, digest) in [
            ("", "d41d8cd98f00b204e9800998ecf8427e"),
            ("abc", "900150983cd24fb0d6963f7d28e17f72"),
        ] {
            fs_err::write(&path, text).unwrap();
            assert_eq!(md5(&path).unwrap(), digest);
        }
    }
}
