//! `keel key`: signing keys.

use std::path::{Path, PathBuf};

use keel_rpm::sign::Key;
use serde::Serialize;

use crate::{
    args,
    context::Context,
    failure::{Class, Failure},
    report,
};

/// A key pair on disk.
#[derive(Serialize)]
pub struct Written {
    fingerprint: String,
    secret: PathBuf,
    public: PathBuf,
}

/// Does what was asked for.
pub fn run(context: &Context<'_>, command: args::Key) -> Result<(), Failure> {
    let args::Key::Generate { file, user_id } = command;
    let written = write(context, &context.directory.join(file), &user_id)?;
    report::print(context, &written, |written| {
        format!(
            "secret key   {} (keep it to yourself)\npublic key   {}\nfingerprint  {}",
            written.secret.display(),
            written.public.display(),
            written.fingerprint
        )
    })
}

/// Makes a key pair. Never overwrites a file.
pub fn write(context: &Context<'_>, file: &Path, user_id: &str) -> Result<Written, Failure> {
    let wrong = |error: &keel_rpm::sign::Error| Failure::because(Class::Input, "cannot make a key", error);
    let public = PathBuf::from(format!("{}.pub.asc", file.display()));
    if let Some(existing) = [file, &public].into_iter().find(|file| file.exists()) {
        return Err(Failure::input(format!(
            "{} exists, and a key is never overwritten",
            existing.display()
        )));
    }
    if let Some(folder) = file.parent() {
        fs_err::create_dir_all(folder)?;
    }
    let key = Key::generate(user_id, context.now()).map_err(|error| wrong(&error))?;
    // The secret key last: where it is, the other is too.
    fs_err::write(&public, key.certificate().map_err(|error| wrong(&error))?)?;
    key.save(file).map_err(|error| wrong(&error))?;
    Ok(Written {
        fingerprint: key.fingerprint().as_str().to_owned(),
        secret: file.to_owned(),
        public,
    })
}
