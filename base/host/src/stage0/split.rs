//! Takes Debian's libc, and what compiles against it, out of the root: what dpkg lists as theirs moves to layers of
//! its own. Folders stay; only files and links move.

use std::path::{Path, PathBuf};

use crate::{Error, Program};

/// The package with the libc itself.
const LIBC: &str = "libc6";

/// Moves files of `tools` to `libc-dev` and `libc`, all in `folder`.
pub(crate) fn split(folder: &Path, libc_dev: &[String]) -> Result<(), Error> {
    let tools = folder.join("tools");
    for (layer, packages) in [("libc-dev", libc_dev), ("libc", &[LIBC.to_owned()][..])] {
        let layer = folder.join(layer);
        fs_err::create_dir(&layer)?;
        for package in packages {
            for path in listed(&tools, package)? {
                move_file(&tools, &layer, &path)?;
            }
        }
    }
    Ok(())
}

/// The paths of dpkg's list of a package, relative to the root.
fn listed(tools: &Path, package: &str) -> Result<Vec<PathBuf>, Error> {
    let info = tools.join("var/lib/dpkg/info");
    let is_its_list = |name: &str| {
        let stem = name
            .strip_suffix(".list")
            .and_then(|stem| stem.strip_prefix(package));
        stem.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    };
    for entry in fs_err::read_dir(&info)? {
        let entry = entry?;
        if is_its_list(&entry.file_name().to_string_lossy()) {
            let list = fs_err::read_to_string(entry.path())?;
            return Ok(list
                .lines()
                .filter_map(|line| line.strip_prefix('/'))
                .map(PathBuf::from)
                .collect());
        }
    }
    let why = format!("the root has no package `{package}`, whose files are to be a layer of their own");
    Err(Error::Unexpected {
        program: Program::Mmdebstrap.name(),
        why,
    })
}

/// Moves one file or link, if it is one, to the same place in `layer`. The place is where its folder really is: dpkg
/// may list `/lib/x` where `/lib` is a link to `usr/lib`.
fn move_file(tools: &Path, layer: &Path, path: &Path) -> Result<(), Error> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(());
    };
    if parent == Path::new("") {
        return Ok(()); // The links of merged /usr belong to the root.
    }
    let Some(parent) = real(tools, parent)? else {
        return Ok(());
    };
    let from = tools.join(&parent).join(name);
    let Ok(metadata) = fs_err::symlink_metadata(&from) else {
        return Ok(());
    };
    if metadata.is_dir() {
        return Ok(());
    }
    fs_err::create_dir_all(layer.join(&parent))?;
    Ok(fs_err::rename(from, layer.join(&parent).join(name))?)
}

/// Where a folder of the root really is, its links followed within the root; none if it is not there.
fn real(root: &Path, folder: &Path) -> Result<Option<PathBuf>, Error> {
    let mut done = PathBuf::new();
    let mut rest: Vec<std::ffi::OsString> = folder.iter().rev().map(Into::into).collect();
    let mut links = 0;
    while let Some(part) = rest.pop() {
        if part == ".." {
            done.pop();
            continue;
        }
        let here = done.join(&part);
        match fs_err::symlink_metadata(root.join(&here)) {
            Ok(metadata) if metadata.is_symlink() => {
                links += 1;
                if links > 40 {
                    return Ok(None);
                }
                let link = fs_err::read_link(root.join(&here))?;
                if link.is_absolute() {
                    done = PathBuf::new();
                }
                rest.extend(
                    link.iter()
                        .rev()
                        .filter(|part| *part != "/" && *part != ".")
                        .map(Into::into),
                );
            }
            Ok(metadata) if metadata.is_dir() => done = here,
            _ => return Ok(None),
        }
    }
    Ok(Some(done))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn listed_files_move_through_links_of_merged_usr() {
        let folder = tempfile::tempdir().unwrap();
        let tools = folder.path().join("tools");
        fs_err::create_dir_all(tools.join("usr/lib/x")).unwrap();
        fs_err::create_dir_all(tools.join("var/lib/dpkg/info")).unwrap();
        symlink("usr/lib", tools.join("lib")).unwrap();
        symlink("/usr/../usr/lib", tools.join("absolute")).unwrap();
        symlink("loop", tools.join("loop")).unwrap();
        for file in ["usr/lib/x/a", "usr/lib/b", "usr/lib/c", "usr/lib/kept"] {
            fs_err::write(tools.join(file), file).unwrap();
        }
        let info = tools.join("var/lib/dpkg/info");
        fs_err::write(
            info.join("libc6:amd64.list"),
            "/.\n/lib\n/lib/x\n/lib/x/a\n/absolute/b\n/loop/z\n/gone\n",
        )
        .unwrap();
        fs_err::write(info.join("libc6-dev:amd64.list"), "/usr/lib/c\n").unwrap();
        split(folder.path(), &["libc6-dev".to_owned()]).unwrap();
        assert_eq!(
            fs_err::read_to_string(folder.path().join("libc/usr/lib/x/a")).unwrap(),
            "usr/lib/x/a"
        );
        assert!(folder.path().join("libc/usr/lib/b").exists());
        assert!(folder.path().join("libc-dev/usr/lib/c").exists());
        assert!(tools.join("usr/lib/kept").exists() && tools.join("lib").is_symlink());
        assert!(!tools.join("usr/lib/b").exists());
    }
}
