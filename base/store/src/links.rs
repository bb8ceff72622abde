//! Symbolic links in folders of foreign origin: do they stay there?

use std::{
    ffi::OsString,
    io::{self, ErrorKind},
    path::{Component, Path, PathBuf},
};

/// As many links on one way as the kernel follows (path_resolution(7)).
const MOST: u32 = 40;

/// The first link below `root`, in the order of names, whose way leads out of `root`: an absolute one, one with too many `..`
/// (counted where other links on its way really lead), or one that goes on for ever. A link to nothing inside is none.
pub fn first_outside(root: &Path) -> io::Result<Option<PathBuf>> {
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let entries = fs_err::read_dir(root.join(&folder))?;
        let mut names = entries
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect::<io::Result<Vec<_>>>()?;
        names.sort();
        for name in names {
            let path = folder.join(name);
            let kind = fs_err::symlink_metadata(root.join(&path))?.file_type();
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_symlink() && !stays(root, &path)? {
                return Ok(Some(path));
            }
        }
    }
    Ok(None)
}

fn stays(root: &Path, link: &Path) -> io::Result<bool> {
    let mut at: Vec<OsString> = parts(link.parent().unwrap_or(Path::new(""))).unwrap_or_default();
    // What is still to be walked, the next part last.
    let mut todo: Vec<OsString> = link.file_name().into_iter().map(ToOwned::to_owned).collect();
    let mut links = 0;
    while let Some(part) = todo.pop() {
        if part == ".." {
            if at.pop().is_none() {
                return Ok(false);
            }
            continue;
        }
        at.push(part);
        let here: PathBuf = at.iter().collect();
        match fs_err::read_link(root.join(here)) {
            Ok(target) => {
                links += 1;
                let Some(parts) = parts(&target).filter(|_| links <= MOST) else {
                    return Ok(false);
                };
                at.pop();
                todo.extend(parts.into_iter().rev());
            }
            // Not a link, or nothing.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::InvalidInput | ErrorKind::NotFound | ErrorKind::NotADirectory
                ) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// The parts of a relative path; none of an absolute one.
fn parts(path: &Path) -> Option<Vec<OsString>> {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => parts.push(name.to_owned()),
            Component::ParentDir => parts.push("..".into()),
            Component::CurDir => {}
            _ => return None,
        }
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_to_where_they_lead() {
        for (links, outside) in [
            (
                &[("a", "b"), ("d/e/c", "../../a"), ("d/nothing", "x/y")][..],
                None,
            ),
            (&[("a", "..")], Some("a")),
            (&[("a", "/etc")], Some("a")),
            (&[("d/a", "../..")], Some("d/a")),
            // By letters, `..` is counted from `d/e/up`; it is `d`.
            (&[("d/e/up", "../.."), ("leak", "d/e/up/../x")], Some("leak")),
            (&[("a", "a")], Some("a")),
            (&[("d/e/up", ".."), ("fine", "d/e/up/../d")], None),
        ] {
            let dir = tempfile::tempdir().unwrap();
            fs_err::create_dir_all(dir.path().join("d/e")).unwrap();
            for (link, target) in links {
                std::os::unix::fs::symlink(target, dir.path().join(link)).unwrap();
            }
            let found = first_outside(dir.path()).unwrap();
            assert_eq!(found.as_deref(), outside.map(Path::new), "{links:?}");
        }
    }
}
