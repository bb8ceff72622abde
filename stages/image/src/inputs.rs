//! What a definition brings along besides packages: files, folders, keys and scripts, read once.

use keel_artefact::{Fingerprint, Sha256};
use keel_config::Image;

use crate::{Error, finalise::Added, scripts::Scripts};

/// All that comes from the tree itself.
#[derive(Debug)]
pub(crate) struct Inputs<'a> {
    pub(crate) added: Added,
    pub(crate) scripts: Scripts<'a>,
    /// What a live system's medium has besides.
    pub(crate) medium: Added,
}

impl<'a> Inputs<'a> {
    /// `is_elsewhere`: the image is made to be compared.
    pub(crate) fn read(image: &'a Image, is_elsewhere: bool) -> Result<Self, Error> {
        Ok(Self {
            added: Added::read(&image.os)?,
            scripts: Scripts::read(&image.scripts, is_elsewhere)?,
            medium: match &image.live {
                Some(live) => Added::of_files(&live.additional_files)?,
                None => Added::default(),
            },
        })
    }

    /// Names everything that the image takes from here.
    pub(crate) fn add_to(&self, key: &mut Fingerprint) {
        self.added.add_to(key);
        self.scripts.add_to(key);
        key.add("medium", "");
        self.medium.add_to(key);
    }

    /// Every file of the tree that is in the image or was run for it: what it is, and its bytes.
    pub(crate) fn materials(&self) -> Vec<(String, Sha256)> {
        let files = self
            .added
            .files()
            .map(|(path, digest)| (format!("file {path}"), digest));
        let scripts = self
            .scripts
            .texts()
            .map(|(name, digest)| (format!("script {name}"), digest));
        let medium = self
            .medium
            .files()
            .map(|(path, digest)| (format!("file {path} of the medium"), digest));
        files.chain(scripts).chain(medium).collect()
    }
}
