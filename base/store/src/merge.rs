//! Several folders as one, by hard links: what an overlay of them would show, at the price of one folder for a look-up.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::{FileTimes, Metadata},
    io::{self, ErrorKind},
    os::unix::fs::{MetadataExt as _, PermissionsExt},
    path::{Path, PathBuf},
};

use fs_err::os::unix::fs::symlink;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};

/// Fills the empty folder `to` with links to all that is in `layers`, as an overlay of them shows it: of a name the first layer that
/// has it decides, and folders of a name are one as long as every layer down to there has a folder. Folders have the mode and time
/// of the uppermost.
///
/// The layers are of the same file system and the same owner, and are never written again: files are shared with them. Links are
/// shared, too, and lead where they led, wherever that is. Whiteouts mean nothing here. A folder that its owner may not read is an error.
///
/// Gives what is not shared, but was made: folders, `to` with them, and copies of what has as many links as the file system allows. It
/// belongs to the caller.
pub fn merge(layers: &[PathBuf], to: &Path) -> io::Result<Vec<PathBuf>> {
    let mut made = Vec::new();
    let mut folders = vec![Folder {
        at: PathBuf::new(),
        layers: layers.iter().collect(),
    }];
    let mut done = Vec::new();
    while let Some(folder) = folders.pop() {
        let top = fs_err::symlink_metadata(folder.layers[0].join(&folder.at))?;
        for (name, entry) in folder.entries()? {
            let at = folder.at.join(name);
            match entry {
                Entry::Folder(layers) => {
                    fs_err::create_dir(to.join(&at))?;
                    folders.push(Folder { at, layers });
                }
                Entry::Other(layer) => {
                    let place = to.join(&at);
                    if link(&layer.join(&at), &place)? {
                        made.push(place);
                    }
                }
            }
        }
        done.push((to.join(&folder.at), top));
    }
    // Below first: filling a folder changes its time, and closing it would hide what is below.
    for (folder, top) in done.iter().rev() {
        like(folder, top)?;
    }
    made.extend(done.into_iter().map(|(folder, _)| folder));
    Ok(made)
}

/// A folder of the result, and the layers that have a part in it.
struct Folder<'l> {
    at: PathBuf,
    layers: Vec<&'l PathBuf>,
}

enum Entry<'l> {
    Folder(Vec<&'l PathBuf>),
    Other(&'l Path),
}

impl<'l> Folder<'l> {
    fn entries(&self) -> io::Result<BTreeMap<OsString, Entry<'l>>> {
        let mut entries: BTreeMap<OsString, Entry<'l>> = BTreeMap::new();
        // Folders that end here: a layer in between has something else of their name.
        let mut ended = Vec::new();
        for layer in &self.layers {
            for found in fs_err::read_dir(layer.join(&self.at))? {
                let found = found?;
                let (name, is_folder) = (found.file_name(), found.file_type()?.is_dir());
                match entries.get_mut(&name) {
                    None if is_folder => drop(entries.insert(name, Entry::Folder(vec![layer]))),
                    None => drop(entries.insert(name, Entry::Other(layer))),
                    Some(Entry::Folder(layers)) if is_folder && !ended.contains(&name) => layers.push(layer),
                    Some(Entry::Folder(_)) if !is_folder => ended.push(name),
                    Some(_) => {}
                }
            }
        }
        Ok(entries)
    }
}

/// Shares a file or link. True if that could not be, and there is a copy.
fn link(from: &Path, to: &Path) -> io::Result<bool> {
    // linkat(2) without AT_SYMLINK_FOLLOW: of a link, the link itself.
    match fs_err::hard_link(from, to) {
        // So many roots have it already: one copy, that the next ones do not share.
        Err(error) if error.kind() == ErrorKind::TooManyLinks => copy(from, to).map(|()| true),
        linked => linked.map(|()| false),
    }
}

/// A copy of a file, or another link to where a link leads.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let original = fs_err::symlink_metadata(from)?;
    if original.is_symlink() {
        symlink(fs_err::read_link(from)?, to)?;
        let time = |seconds, nanoseconds| Timespec {
            tv_sec: seconds,
            tv_nsec: nanoseconds,
        };
        let times = Timestamps {
            last_access: time(original.atime(), original.atime_nsec()),
            last_modification: time(original.mtime(), original.mtime_nsec()),
        };
        return Ok(rustix::fs::utimensat(CWD, to, &times, AtFlags::SYMLINK_NOFOLLOW)?);
    }
    if !original.is_file() {
        let text = format!(
            "{}: too many links to what is neither file nor link",
            from.display()
        );
        return Err(io::Error::other(text));
    }
    fs_err::copy(from, to)?;
    like(to, &original)
}

/// Gives it the mode and time of the other.
fn like(path: &Path, other: &Metadata) -> io::Result<()> {
    let times = FileTimes::new().set_modified(other.modified()?);
    fs_err::File::open(path)?.file().set_times(times)?;
    fs_err::set_permissions(path, PermissionsExt::from_mode(other.mode() & 0o7777))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every path below `root`, with what is there.
    fn shown(root: &Path) -> Vec<String> {
        let mut shown = Vec::new();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs_err::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                let metadata = fs_err::symlink_metadata(&path).unwrap();
                let name = path.strip_prefix(root).unwrap().display().to_string();
                let what = if metadata.is_dir() {
                    folders.push(path);
                    format!("folder {:o} {}", metadata.mode() & 0o7777, metadata.mtime())
                } else if metadata.is_symlink() {
                    format!("-> {}", fs_err::read_link(&path).unwrap().display())
                } else {
                    fs_err::read_to_string(&path).unwrap()
                };
                shown.push(format!("{name}: {what}"));
            }
        }
        shown.sort();
        shown
    }

    fn layer(dir: &Path, name: &str, files: &[(&str, &str)]) -> PathBuf {
        let layer = dir.join(name);
        fs_err::create_dir(&layer).unwrap();
        for (path, text) in files {
            let path = layer.join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            match text.strip_prefix("-> ") {
                Some(target) => symlink(target, path).unwrap(),
                None => fs_err::write(path, text).unwrap(),
            }
        }
        layer
    }

    #[test]
    fn layers_are_merged_as_an_overlay_shows_them() {
        let dir = tempfile::tempdir().unwrap();
        let layers = [
            layer(
                dir.path(),
                "top",
                &[("usr/bin/cc", "top"), ("lib", "-> usr/lib"), ("over", "file")],
            ),
            layer(
                dir.path(),
                "between",
                &[
                    ("usr/bin/cc", "between"),
                    ("usr/bin/ld", "ld"),
                    ("usr/mixed", "file"),
                ],
            ),
            layer(
                dir.path(),
                "bottom",
                &[
                    ("over/hidden", "no"),
                    ("lib/hidden", "no"),
                    ("usr/mixed/x", "no"),
                    ("usr/share/doc", "doc"),
                ],
            ),
        ];
        let folder = layers[0].join("usr");
        let time = FileTimes::new().set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(77));
        fs_err::File::open(&folder)
            .unwrap()
            .file()
            .set_times(time)
            .unwrap();
        fs_err::set_permissions(&folder, PermissionsExt::from_mode(0o555)).unwrap();
        let to = dir.path().join("merged");
        fs_err::create_dir(&to).unwrap();
        merge(&layers, &to).unwrap();
        let found = shown(&to);
        let found: Vec<&str> = found.iter().map(String::as_str).collect();
        assert!(found.contains(&"usr: folder 555 77"), "{found:?}");
        let files: Vec<&str> = found
            .into_iter()
            .filter(|line| !line.contains(": folder"))
            .collect();
        assert_eq!(
            files,
            [
                "lib: -> usr/lib",
                "over: file",
                "usr/bin/cc: top",
                "usr/bin/ld: ld",
                "usr/mixed: file",
                "usr/share/doc: doc",
            ]
        );
        // Shared, not copied.
        let inode = |path: PathBuf| fs_err::symlink_metadata(path).unwrap().ino();
        assert_eq!(inode(to.join("usr/bin/cc")), inode(layers[0].join("usr/bin/cc")));
    }

    #[test]
    fn a_folder_goes_down_to_the_first_layer_that_has_something_else() {
        let dir = tempfile::tempdir().unwrap();
        let layers = [
            layer(dir.path(), "1", &[("a/one", "1")]),
            layer(dir.path(), "2", &[("a", "-> b")]),
            layer(dir.path(), "3", &[("a/three", "3")]),
        ];
        let to = dir.path().join("merged");
        fs_err::create_dir(&to).unwrap();
        merge(&layers, &to).unwrap();
        assert!(to.join("a/one").exists() && !to.join("a/three").exists());
    }

    #[test]
    fn links_are_shared_or_made_again_and_never_followed() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::write(dir.path().join("outside"), "outside").unwrap();
        let outside = dir.path().join("outside").display().to_string();
        let (absolute, files) = (format!("-> {outside}"), [("file", "text"), ("other", "text")]);
        let layers = [
            layer(
                dir.path(),
                "1",
                &[("dangling", "-> not/there"), ("absolute", &absolute), files[0]],
            ),
            layer(dir.path(), "2", &[files[1]]),
        ];
        let to = dir.path().join("merged");
        fs_err::create_dir(&to).unwrap();
        let made = merge(&layers, &to).unwrap();
        assert_eq!(made, std::slice::from_ref(&to), "all else is shared");
        // Where a link more is one too many, as on a file system after thousands of roots.
        let again = dir.path().join("again");
        fs_err::create_dir(&again).unwrap();
        for name in ["dangling", "absolute", "file"] {
            let (from, to) = (layers[0].join(name), again.join(name));
            copy(&from, &to).unwrap();
            let time = |path: &Path| fs_err::symlink_metadata(path).unwrap().modified().unwrap();
            assert_eq!(time(&from), time(&to), "{name}");
        }
        fs_err::write(again.join("other"), "text").unwrap();
        for merged in [&to, &again] {
            assert_eq!(
                shown(merged),
                [
                    format!("absolute: -> {outside}"),
                    "dangling: -> not/there".to_owned(),
                    "file: text".to_owned(),
                    "other: text".to_owned(),
                ]
            );
        }
    }
}
