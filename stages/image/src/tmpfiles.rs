//! Defaults of /etc, made when the image is: the lines of tmpfiles.d(5) about /etc.
//!
//! A container runs no systemd-tmpfiles, and a read-only root cannot: so `L`, `C`, `d` and `f` lines under /etc are
//! carried out here, as `systemd-tmpfiles --create --boot` would. Other paths are the running system's, which has
//! /run and /var to write to.

use std::collections::BTreeMap;

use keel_artefact::RootPath;

use crate::{
    Error,
    accounts::{Accounts, root_path},
    finalise::Make,
    tree::{File, Kind},
};

const FOLDERS: [&str; 2] = ["/etc/tmpfiles.d", "/usr/lib/tmpfiles.d"];
/// No configuration file is larger.
const LIMIT: u64 = 1024 * 1024;
/// Where `C` and `L` without a source find theirs.
const FACTORY: &str = "/usr/share/factory";

/// Carries out the lines about /etc. What is there stays.
pub(crate) fn apply(make: &mut Make<'_>, accounts: &Accounts) -> Result<(), Error> {
    let mut lines: BTreeMap<RootPath, Vec<String>> = BTreeMap::new();
    for words in read(make)? {
        let Some(Ok(path)) = words.get(1).map(|path| path.parse::<RootPath>()) else {
            continue;
        };
        if path.as_str().starts_with("/etc/") && !path.as_str().contains(['%', '*']) {
            lines.entry(path).or_insert(words);
        }
    }
    for (path, words) in lines {
        let word = |at: usize| {
            words
                .get(at)
                .map(String::as_str)
                .filter(|word| !word.is_empty() && *word != "-")
        };
        let kind = words[0].trim_end_matches(['!', '-', '=', '~', '^', '$', '?', '+']);
        let there = make
            .tree
            .resolve(&path, false)
            .is_some_and(|at| make.tree.get(&at).is_some());
        if there {
            continue;
        }
        let source = || word(6).map_or_else(|| format!("{FACTORY}{path}"), str::to_owned);
        let mode = word(2).and_then(|text| u32::from_str_radix(text.trim_start_matches(['~', ':']), 8).ok());
        match kind {
            "L" => make.link(&path, &source()),
            "d" | "D" | "v" | "q" | "Q" => make.dir(&path, mode.unwrap_or(0o755)),
            "f" | "F" => make.node(&path, mode.unwrap_or(0o644), Kind::File(content(word(6)))),
            "C" => copy(make, &path, &source(), mode),
            _ => continue,
        }
        let ids = (
            word(3).and_then(|name| id(name, accounts.uid(name))),
            word(4).and_then(|name| id(name, accounts.gid(name))),
        );
        if let Some(node) = make
            .tree
            .resolve(&path, false)
            .and_then(|at| make.tree.get_mut(&at))
        {
            (node.uid, node.gid) = (ids.0.unwrap_or(node.uid), ids.1.unwrap_or(node.gid));
        }
    }
    Ok(())
}

/// The lines of all files, those that win first.
fn read(make: &Make<'_>) -> Result<Vec<Vec<String>>, Error> {
    let mut files: BTreeMap<String, RootPath> = BTreeMap::new();
    for folder in FOLDERS.map(root_path) {
        for (path, _) in make
            .tree
            .under(&folder)
            .filter(|(path, _)| path.file_name().ends_with(".conf"))
        {
            files
                .entry(path.file_name().to_owned())
                .or_insert_with(|| path.clone());
        }
    }
    let mut lines = Vec::new();
    for path in files.values() {
        let Some(file) = make.tree.file(path) else {
            continue;
        };
        let text = make.tree.read(path, file, LIMIT)?;
        let text = String::from_utf8_lossy(&text);
        let said = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.extend(said.map(fields).filter(|fields| fields.len() > 1));
    }
    Ok(lines)
}

/// Six fields and the argument, which is the rest of the line.
fn fields(line: &str) -> Vec<String> {
    let mut fields = Vec::new();
    let mut rest = line;
    while !rest.is_empty() && fields.len() < 6 {
        let (field, after) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
        fields.push(field.trim_matches('"').to_owned());
        rest = after.trim_start();
    }
    if !rest.is_empty() {
        fields.push(rest.trim_matches('"').to_owned());
    }
    fields
}

fn id(name: &str, known: Option<u32>) -> Option<u32> {
    known.or_else(|| name.parse().ok())
}

/// The argument of `f` is the content, with C escapes; the usual one is `\n`.
fn content(argument: Option<&str>) -> File {
    let text = argument.unwrap_or("").replace("\\n", "\n");
    File::of(text.into_bytes())
}

fn copy(make: &mut Make<'_>, path: &RootPath, source: &str, mode: Option<u32>) {
    let Ok(source) = source.parse::<RootPath>() else {
        return;
    };
    let Some((real, node)) = make.tree.follow(&source) else {
        return;
    };
    let (kind, own) = (node.kind.clone(), node.mode);
    let children: Vec<String> = match kind {
        Kind::Dir => make
            .tree
            .under(&real)
            .filter(|(at, _)| at.parent().as_ref() == Some(&real))
            .map(|(at, _)| at.file_name().to_owned())
            .collect(),
        _ => Vec::new(),
    };
    make.node(path, mode.unwrap_or(own), kind);
    for name in children {
        if let (Ok(from), Ok(to)) = (real.join(&name), path.join(&name)) {
            copy(make, &to, from.as_str(), None);
        }
    }
}

#[cfg(test)]
mod tests {
    use keel_artefact::Epoch;

    use super::*;
    use crate::{
        finalise,
        tree::tests::{path, tree},
    };

    #[test]
    fn lines_about_etc_are_carried_out() {
        let mut tree = tree(&[
            (
                "/usr/lib/tmpfiles.d/a.conf",
                "L /etc/a - - - - ../usr/share/a\nC /etc/c - - - -\nd /etc/d 0750 root tty\nf /etc/f 0600 - - - hi\\n\n\
                 L+ /etc/kept - - - - /x\nd /var/x\nL /etc/%m - - - - x\nR /etc/r\n",
            ),
            ("/usr/lib/sysusers.d/a.conf", "g tty 5"),
            ("/usr/share/factory/etc/c/one", "1"),
            ("/etc/kept", "mine"),
        ]);
        let accounts = Accounts::read(&tree).unwrap();
        finalise::finalise(
            &mut tree,
            &accounts,
            &finalise::Identity::default(),
            &finalise::Added::default(),
            Epoch(1),
        )
        .unwrap();
        let kind = |at: &str| tree.get(&path(at)).map(|node| node.kind.noun());
        for (at, expected) in [
            ("/etc/a", Some("a symbolic link")),
            ("/etc/c/one", Some("a file")),
            ("/etc/d", Some("a folder")),
            ("/etc/f", Some("a file")),
            ("/etc/kept", Some("a file")),
            ("/etc/%m", None),
            ("/etc/r", None),
            ("/var/x", None),
        ] {
            assert_eq!(kind(at), expected, "{at}");
        }
        let dir = tree.get(&path("/etc/d")).unwrap();
        assert_eq!((dir.mode, dir.uid, dir.gid), (0o750, 0, 5));
        assert_eq!(tree.get(&path("/etc/f")).unwrap().mode, 0o600);
    }
}
