//! What an image leaves out of its packages: documentation and languages that its definition does not want. Files that are
//! left out are in no tree, and rpm's database says so.
//!
//! The rules are rpm's own for `--excludedocs` and `%_install_langs` (`skipInstallFiles` in `lib/transaction.c`), but that texts of
//! licences stay whatever else they are, and that no folder goes while a file of its package stays beneath it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use keel_artefact::RootPath;
use keel_config::Image;
use keel_rpm::{FileInfo, FileKind, PackageInfo};

use crate::{compose::Package, files::rpmdb};

/// The files of a package that an image leaves out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Their places in the package's header.
    files: BTreeSet<usize>,
}

impl LeftOut {
    /// What `image` leaves out of this package.
    pub fn of(package: &PackageInfo, image: &Image) -> Self {
        Self::new(&package.files, image.documentation, image.languages.as_deref())
    }

    fn new(files: &[FileInfo], documentation: bool, languages: Option<&[String]>) -> Self {
        let is_unwanted = |file: &FileInfo| {
            let is_licence = file.flags.is_licence();
            (!documentation && file.flags.is_doc() && !is_licence) || !is_spoken(file, languages)
        };
        let mut left_out = BTreeSet::new();
        // Folders that something of the package is in, which goes or stays.
        let (mut losing, mut keeping) = (BTreeSet::new(), BTreeSet::new());
        let mut folders: Vec<(usize, &FileInfo)> = Vec::new();
        for (number, file) in files.iter().enumerate() {
            if file.kind == FileKind::Directory {
                folders.push((number, file));
            } else if is_unwanted(file) {
                left_out.insert(number);
                losing.extend(file.path.parent());
            } else {
                keeping.extend(file.path.parent());
            }
        }
        // Those inside others first.
        folders.sort_by_key(|(_, folder)| std::cmp::Reverse(depth(&folder.path)));
        for (number, folder) in folders {
            let goes = is_unwanted(folder) || losing.contains(&folder.path);
            let stays = keeping.contains(&folder.path) || is_above(&folder.path, &keeping);
            if goes && !stays {
                left_out.insert(number);
                losing.extend(folder.path.parent());
            } else {
                keeping.extend(folder.path.parent());
            }
        }
        Self { files: left_out }
    }

    /// Is the file in this place of the header left out?
    pub(crate) fn has(&self, number: usize) -> bool {
        self.files.contains(&number)
    }
}

/// Is the file for one of these languages, or for none? Of a file that is for `de`, `de_AT` is one.
fn is_spoken(file: &FileInfo, languages: Option<&[String]>) -> bool {
    let (Some(of_file), Some(languages)) = (&file.languages, languages) else {
        return true;
    };
    let is_one = |word: &str| !word.is_empty() && languages.iter().any(|language| language.starts_with(word));
    of_file.split('|').any(is_one)
}

fn depth(path: &RootPath) -> usize {
    path.as_str().matches('/').count()
}

/// Is one of these sorted paths beneath the folder?
fn is_above(folder: &RootPath, paths: &BTreeSet<RootPath>) -> bool {
    let prefix = format!("{}/", folder.as_str().trim_end_matches('/'));
    // What begins with the folder's name and a lesser byte than `/` lies between: `/a-b` between `/a` and `/a/b`.
    let after = paths.range(folder.clone()..);
    after
        .take_while(|path| path.as_str().starts_with(folder.as_str()))
        .any(|path| path.as_str().starts_with(&prefix))
}

/// Says in rpm's database, of which `database` are the bytes, what was left out of these packages.
pub(crate) fn record(packages: &[Package<'_>], database: &mut [u8]) -> io::Result<()> {
    let mut all = BTreeMap::new();
    for package in packages
        .iter()
        .filter(|package| !package.left_out.files.is_empty())
    {
        let nevra = &package.info.nevra;
        let name = format!("{}.{}", nevra.name, nevra.arch);
        all.insert((name, nevra.evr.to_string()), &package.left_out.files);
    }
    match all.is_empty() {
        true => Ok(()),
        false => rpmdb::leave_out(database, all),
    }
}

#[cfg(test)]
mod tests {
    use keel_rpm::FileFlags;

    use super::*;

    /// `KIND PATH [FLAGS [LANGUAGES]]`
    fn file(line: &str) -> FileInfo {
        let words: Vec<&str> = line.split_whitespace().collect();
        FileInfo {
            path: words[1].parse().unwrap(),
            kind: match words[0] {
                "d" => FileKind::Directory,
                _ => FileKind::Regular,
            },
            mode: 0o644,
            user: "root".to_owned(),
            group: "root".to_owned(),
            size: 0,
            mtime: 0,
            digest: None,
            link: None,
            same_as: None,
            caps: None,
            device: None,
            languages: words.get(3).map(|&languages| languages.to_owned()),
            flags: FileFlags(words.get(2).map_or(0, |flags| flags.parse().unwrap())),
        }
    }

    fn left_out(lines: &[&str], documentation: bool, languages: Option<&[&str]>) -> Vec<String> {
        let files: Vec<FileInfo> = lines.iter().map(|line| file(line)).collect();
        let languages: Option<Vec<String>> =
            languages.map(|all| all.iter().map(|&language| language.to_owned()).collect());
        let left_out = LeftOut::new(&files, documentation, languages.as_deref());
        let path = |number: &usize| files[*number].path.to_string();
        left_out.files.iter().map(path).collect()
    }

    #[test]
    fn documentation_goes_and_licences_stay() {
        let files = [
            "d /usr/share/doc/a 2",
            "f /usr/share/doc/a/README 2",
            "d /usr/share/doc/b 2",
            "f /usr/share/doc/b/COPYING 130",
            "f /usr/share/doc/b/NEWS 2",
            "d /usr/share/doc/b-c 2",
            "d /usr/share/licenses/a 128",
            "f /usr/share/licenses/a/COPYING 128",
            "d /usr/share/a",
            "d /usr/share/a/manual",
            "f /usr/share/a/manual/1 2",
            "d /usr/share/empty",
            "d /usr/share/doc 2",
        ];
        let gone = left_out(&files, false, None);
        assert_eq!(
            gone,
            [
                "/usr/share/doc/a",
                "/usr/share/doc/a/README",
                "/usr/share/doc/b/NEWS",
                "/usr/share/doc/b-c",
                "/usr/share/a",
                "/usr/share/a/manual",
                "/usr/share/a/manual/1",
            ]
        );
        assert_eq!(left_out(&files, true, None), Vec::<String>::new());
    }

    #[test]
    fn a_language_is_asked_for_as_with_rpm() {
        let files = ["f /de 0 de", "f /at 0 de_AT", "f /two 0 en|fr", "f /none"];
        for (languages, gone) in [
            (None, &[][..]),
            (Some(&["de"][..]), &["/at", "/two"]),
            (Some(&["de_AT"]), &["/two"]),
            (Some(&["fr", "de_AT"]), &[]),
            (Some(&[]), &["/de", "/at", "/two"]),
        ] {
            assert_eq!(left_out(&files, true, languages), gone, "{languages:?}");
        }
    }
}
