//! Which SPEC files are meant.

use std::path::{Path, PathBuf};

use crate::{context::Context, failure::Failure};

/// A SPEC file.
#[derive(Debug, Clone)]
pub struct File {
    /// As it was typed, or found below what was typed.
    pub shown: String,
    /// Where it is, absolute.
    pub path: PathBuf,
}

/// The files named, and those in folders named, sorted.
pub fn find(context: &Context<'_>, paths: &[PathBuf]) -> Result<Vec<File>, Failure> {
    if paths.is_empty() {
        return Err(Failure::input("no SPEC file is named").hint("name files or folders, `.` for this one"));
    }
    let mut files = Vec::new();
    for shown in paths {
        let path = plain(&context.directory.join(shown));
        if !path.is_dir() {
            if !path.exists() {
                let text = format!("there is no SPEC file {}", shown.display());
                return Err(Failure::input(text).hint("name files, or folders in which they are looked for"));
            }
            files.push(File {
                shown: shown.to_string_lossy().into_owned(),
                path,
            });
            continue;
        }
        let before = files.len();
        walk(&path, shown, &mut files, 0)?;
        if files.len() == before {
            return Err(Failure::input(format!(
                "there is no SPEC file in {}",
                shown.display()
            )));
        }
    }
    Ok(files)
}

fn walk(folder: &Path, shown: &Path, files: &mut Vec<File>, depth: u32) -> Result<(), Failure> {
    const DEEPEST: u32 = 16;
    let mut entries = fs_err::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs_err::DirEntry::file_name);
    for entry in entries {
        let (path, shown) = (entry.path(), shown.join(entry.file_name()));
        let kind = entry.file_type()?;
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if kind.is_dir() && !hidden && depth < DEEPEST {
            walk(&path, &shown, files, depth + 1)?;
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "spec") {
            let shown = shown.to_string_lossy();
            files.push(File {
                shown: shown.strip_prefix("./").unwrap_or(&shown).to_owned(),
                path,
            });
        }
    }
    Ok(())
}

/// A path without `..` and `.`, if there is such a folder.
fn plain(path: &Path) -> PathBuf {
    use std::path::Component;
    // What is left out between two slashes, `components` leaves out already.
    let plain: PathBuf = path.components().collect();
    if !plain.components().any(|part| part == Component::ParentDir) {
        return plain;
    }
    if plain.is_dir() {
        return fs_err::canonicalize(&plain).unwrap_or(plain);
    }
    let folder = plain
        .parent()
        .and_then(|folder| fs_err::canonicalize(folder).ok());
    match (folder, plain.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => plain,
    }
}
