//! Users and groups: from the sysusers.d files of a tree to numbers, and to /etc/passwd and its kin.
//!
//! Format: sysusers.d(5), lines `u`, `g` and `m`; `r` says nothing to an image. Numbers must be fixed: an image has no
//! machine on which a free one could be looked for.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use keel_artefact::RootPath;

use crate::{
    Error as ImageError,
    tree::{Kind, Tree},
};

/// A declaration that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A line is not in the format.
    #[error("`{file}` line {line}: {why}")]
    Line {
        /// The file in the image.
        file: RootPath,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// No number.
    #[error(
        "`{file}` line {line}: `{name}` has no fixed number; an image needs one (the registry of users gives it)"
    )]
    NoNumber {
        /// The file in the image.
        file: RootPath,
        /// Counted from 1.
        line: usize,
        /// The user or group.
        name: String,
    },
    /// Two declarations that differ.
    #[error("`{file}` line {line}: {kind} `{name}` is {number} here and {other} elsewhere")]
    Differs {
        /// The file in the image.
        file: RootPath,
        /// Counted from 1.
        line: usize,
        /// `user` or `group`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// The number here.
        number: u32,
        /// The number elsewhere.
        other: u32,
    },
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its number.
    pub uid: u32,
    /// Its group's number.
    pub gid: u32,
    /// What people call it.
    pub gecos: String,
    /// Home folder.
    pub home: String,
    /// Login shell.
    pub shell: String,
    /// Its field in /etc/shadow: a hash, or [`LOCKED`].
    pub password: String,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its number.
    pub gid: u32,
    /// Users in it besides those whose own group it is.
    pub members: BTreeSet<String>,
}

/// All users and groups of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accounts {
    pub(crate) users: BTreeMap<String, User>,
    pub(crate) groups: BTreeMap<String, Group>,
}

/// Where declarations are, the first folder winning over a file of the same name in the second.
const FOLDERS: [&str; 2] = ["/etc/sysusers.d", "/usr/lib/sysusers.d"];
/// No declaration file is larger.
const LIMIT: u64 = 1024 * 1024;
/// The shell of users that do not log in (systemd's choice).
pub(crate) const NOLOGIN: &str = "/usr/sbin/nologin";
/// What systemd-sysusers enters for users without a password.
pub(crate) const LOCKED: &str = "!*";

impl Accounts {
    /// Root, what /etc/passwd and /etc/group of the tree hold, and what its sysusers.d files declare.
    pub fn read(tree: &Tree) -> Result<Self, ImageError> {
        let mut all = Self::default();
        if let Some(text) = text(tree, "/etc/passwd")? {
            all.passwd(&text);
        }
        if let Some(text) = text(tree, "/etc/group")? {
            all.group(&text);
        }
        let mut files: BTreeMap<String, RootPath> = BTreeMap::new();
        for folder in FOLDERS {
            let folder = root_path(folder);
            for (path, _) in tree
                .under(&folder)
                .filter(|(path, _)| path.parent().as_ref() == Some(&folder))
            {
                if path.file_name().ends_with(".conf") {
                    files
                        .entry(path.file_name().to_owned())
                        .or_insert_with(|| path.clone());
                }
            }
        }
        let mut lines = Vec::new();
        for path in files.values() {
            let Some(file) = tree.file(path) else { continue };
            let bytes = tree.read(path, file, LIMIT)?;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            for (number, line) in (1..).zip(text.lines()) {
                let line = line.trim();
                if !line.is_empty() && !line.starts_with('#') {
                    lines.push((path.clone(), number, words(line)));
                }
            }
        }
        // Groups first, then users, then memberships: as systemd-sysusers resolves references between them.
        for kind in ["g", "u", "m"] {
            for (file, line, words) in &lines {
                let of_kind = words
                    .first()
                    .map(|word| word.trim_end_matches(['!', '-', '+', '=']));
                if of_kind == Some(kind) {
                    all.line(kind, file, *line, words)?;
                } else if !of_kind.is_some_and(|kind| ["g", "u", "m", "r"].contains(&kind)) {
                    let why = format!("unknown type `{}`", words.first().map_or("", String::as_str));
                    return Err(Error::Line {
                        file: file.clone(),
                        line: *line,
                        why,
                    }
                    .into());
                }
            }
        }
        all.groups.entry("root".into()).or_insert(Group {
            gid: 0,
            members: BTreeSet::new(),
        });
        all.users.entry("root".into()).or_insert_with(|| User {
            uid: 0,
            gid: 0,
            gecos: "Super User".into(),
            home: "/root".into(),
            shell: if tree.follow(&root_path("/bin/sh")).is_some() {
                "/bin/sh"
            } else {
                NOLOGIN
            }
            .into(),
            password: LOCKED.into(),
        });
        Ok(all)
    }

    /// A user's number.
    pub fn uid(&self, name: &str) -> Option<u32> {
        self.users.get(name).map(|user| user.uid)
    }

    /// A group's number.
    pub fn gid(&self, name: &str) -> Option<u32> {
        self.groups.get(name).map(|group| group.gid)
    }

    fn line(&mut self, kind: &str, file: &RootPath, line: usize, words: &[String]) -> Result<(), Error> {
        let wrong = |why: &str| Error::Line {
            file: file.clone(),
            line,
            why: why.to_owned(),
        };
        let word = |at: usize| {
            words
                .get(at)
                .map(String::as_str)
                .filter(|word| !word.is_empty() && *word != "-")
        };
        let name = word(1).ok_or_else(|| wrong("no name"))?;
        if !is_name(name) {
            return Err(wrong("a name is of letters, digits, `_`, `-` and `.`"));
        }
        if kind == "m" {
            let group = word(2).ok_or_else(|| wrong("no group"))?;
            let group = self
                .groups
                .get_mut(group)
                .ok_or_else(|| wrong("the group is declared nowhere"))?;
            group.members.insert(name.to_owned());
            return Ok(());
        }
        let id = word(2);
        let known = if kind == "u" {
            self.uid(name)
        } else {
            self.gid(name)
        };
        let (first, second) = id.map_or((None, None), |id| match id.split_once(':') {
            Some((uid, gid)) => (Some(uid), Some(gid)),
            None => (Some(id), None),
        });
        let number = match (first.and_then(|text| text.parse::<u32>().ok()), known) {
            (Some(number), Some(other)) if number != other => {
                let kind = if kind == "u" { "user" } else { "group" };
                return Err(Error::Differs {
                    file: file.clone(),
                    line,
                    kind,
                    name: name.into(),
                    number,
                    other,
                });
            }
            (Some(number), _) | (None, Some(number)) => number,
            // A user named like a group that has a number takes that number.
            (None, None) => match (kind, self.gid(name)) {
                ("u", Some(gid)) => gid,
                _ => {
                    return Err(Error::NoNumber {
                        file: file.clone(),
                        line,
                        name: name.to_owned(),
                    });
                }
            },
        };
        if known.is_some() {
            return Ok(());
        }
        if kind == "g" {
            self.groups.insert(
                name.to_owned(),
                Group {
                    gid: number,
                    members: BTreeSet::new(),
                },
            );
            return Ok(());
        }
        let gid = match second {
            None => {
                let own = Group {
                    gid: number,
                    members: BTreeSet::new(),
                };
                self.groups.entry(name.to_owned()).or_insert(own).gid
            }
            Some(text) => match (text.parse(), self.gid(text)) {
                (Ok(gid), _) | (Err(_), Some(gid)) => gid,
                _ => return Err(wrong("its group is declared nowhere")),
            },
        };
        let field = |at: usize, default: &str| {
            let text = word(at).unwrap_or(default).to_owned();
            if text.contains([':', '\n']) {
                Err(wrong("a field holds `:`"))
            } else {
                Ok(text)
            }
        };
        let home = field(4, "/")?;
        let shell = field(5, if number == 0 { "/bin/sh" } else { NOLOGIN })?;
        let user = User {
            uid: number,
            gid,
            gecos: field(3, "")?,
            home,
            shell,
            password: LOCKED.into(),
        };
        self.users.insert(name.to_owned(), user);
        Ok(())
    }

    fn passwd(&mut self, text: &str) {
        for line in text.lines() {
            if let [name, _, uid, gid, gecos, home, shell] = line.split(':').collect::<Vec<_>>()[..]
                && let (Ok(uid), Ok(gid)) = (uid.parse(), gid.parse())
            {
                let (gecos, home, shell) = (gecos.to_owned(), home.to_owned(), shell.to_owned());
                self.users.insert(
                    name.to_owned(),
                    User {
                        uid,
                        gid,
                        gecos,
                        home,
                        shell,
                        password: LOCKED.into(),
                    },
                );
            }
        }
    }

    fn group(&mut self, text: &str) {
        for line in text.lines() {
            if let [name, _, gid, members] = line.split(':').collect::<Vec<_>>()[..]
                && let Ok(gid) = gid.parse()
            {
                let members = members
                    .split(',')
                    .filter(|name| !name.is_empty())
                    .map(str::to_owned)
                    .collect();
                self.groups.insert(name.to_owned(), Group { gid, members });
            }
        }
    }

    /// /etc/passwd, /etc/group, /etc/shadow, /etc/gshadow: name, mode, content. Only users of the image's definition have passwords.
    pub fn files(&self) -> [(&'static str, u32, String); 4] {
        let (mut passwd, mut group, mut shadow, mut gshadow) =
            (String::new(), String::new(), String::new(), String::new());
        let mut users: Vec<_> = self.users.iter().collect();
        users.sort_by_key(|(name, user)| (user.uid, *name));
        for (name, user) in users {
            let User {
                uid,
                gid,
                gecos,
                home,
                shell,
                password,
            } = user;
            // Writing to a String cannot fail.
            let _ = writeln!(passwd, "{name}:x:{uid}:{gid}:{gecos}:{home}:{shell}");
            let _ = writeln!(shadow, "{name}:{password}:::::::");
        }
        let mut groups: Vec<_> = self.groups.iter().collect();
        groups.sort_by_key(|(name, group)| (group.gid, *name));
        for (name, Group { gid, members }) in groups {
            let members: Vec<&str> = members.iter().map(String::as_str).collect();
            let members = members.join(",");
            let _ = writeln!(group, "{name}:x:{gid}:{members}");
            let _ = writeln!(gshadow, "{name}:{LOCKED}::{members}");
        }
        [
            ("/etc/passwd", 0o644, passwd),
            ("/etc/group", 0o644, group),
            ("/etc/shadow", 0o400, shadow),
            ("/etc/gshadow", 0o400, gshadow),
        ]
    }
}

fn is_name(text: &str) -> bool {
    text.len() <= 31
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
}

pub(crate) fn root_path(text: &'static str) -> RootPath {
    text.parse().expect("a path written in this crate")
}

/// The text of a file of the tree, if it is there.
pub(crate) fn text(tree: &Tree, path: &'static str) -> Result<Option<String>, ImageError> {
    let path = root_path(path);
    match tree.follow(&path) {
        Some((_, node)) if matches!(node.kind, Kind::File(_)) => {
            let Kind::File(file) = &node.kind else {
                return Ok(None);
            };
            Ok(Some(
                String::from_utf8_lossy(&tree.read(&path, file, LIMIT)?).into_owned(),
            ))
        }
        _ => Ok(None),
    }
}

/// Splits a line into words; quotes keep blanks, a backslash keeps the next character (systemd's `extract_first_word`
/// with EXTRACT_UNQUOTE).
pub(crate) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut open, mut inside) = (String::new(), false, None);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (inside, c) {
            (Some(quote), c) if c == quote => inside = None,
            (_, '\\') => word.extend(chars.next()),
            (Some(_), c) => word.push(c),
            (None, '"' | '\'') => inside = Some(c),
            (None, ' ' | '\t') => {
                if open {
                    words.push(std::mem::take(&mut word));
                }
                open = false;
                continue;
            }
            (None, c) => word.push(c),
        }
        open = true;
    }
    if open {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::tests::tree;

    fn read(conf: &str) -> Result<Accounts, ImageError> {
        Accounts::read(&tree(&[("/usr/lib/sysusers.d/a.conf", conf), ("/bin/sh", "")]))
    }

    #[test]
    fn declarations_become_files() {
        let conf = "# registry\ng tty 5\nu root 0 \"Super User\" /root /usr/bin/bash\nu! net 192:tty 'Network' - -\n\
                    u own 77\nm net own\nm root tty\nr - 500-900\n";
        let accounts = read(conf).unwrap();
        let [passwd, group, shadow, gshadow] = accounts.files().map(|(_, _, text)| text);
        assert_eq!(
            passwd,
            "root:x:0:0:Super User:/root:/usr/bin/bash\nown:x:77:77::/:/usr/sbin/nologin\n\
             net:x:192:5:Network:/:/usr/sbin/nologin\n"
        );
        assert_eq!(group, "root:x:0:\ntty:x:5:root\nown:x:77:net\n");
        assert_eq!(shadow, "root:!*:::::::\nown:!*:::::::\nnet:!*:::::::\n");
        assert_eq!(gshadow, "root:!*::\ntty:!*::root\nown:!*::net\n");
    }

    #[test]
    fn root_is_always_there() {
        assert_eq!(read("").unwrap().uid("root"), Some(0));
        assert_eq!(read("").unwrap().gid("root"), Some(0));
    }

    #[test]
    fn bad_declarations_name_file_and_line() {
        for (conf, message) in [
            (
                "\nu x - \"X\"",
                "`/usr/lib/sysusers.d/a.conf` line 2: `x` has no fixed number",
            ),
            ("g x\n", "line 1: `x` has no fixed number"),
            ("u x 5\ng x 6", "line 1: its"),
            ("g x 5\ng x 6", "line 2: group `x` is 6 here and 5 elsewhere"),
            ("z x 5", "line 1: unknown type `z`"),
            ("m a b", "line 1: the group is declared nowhere"),
            ("u x 5 \"a:b\"", "line 1: a field holds `:`"),
            ("u ../x 5", "line 1: a name is of letters"),
            ("u x 5:nobody", "line 1: its group is declared nowhere"),
        ] {
            let found = read(conf);
            if conf == "u x 5\ng x 6" {
                // The group is there first, with its own number; the user belongs to it.
                assert_eq!(found.unwrap().gid("x"), Some(6));
                continue;
            }
            let found = found.unwrap_err().to_string();
            assert!(found.contains(message), "{found}");
        }
    }

    #[test]
    fn words_are_split_as_systemd_splits_them() {
        for (line, expected) in [
            ("a  b\tc", vec!["a", "b", "c"]),
            ("a \"b c\" ''", vec!["a", "b c", ""]),
            (r"a b\ c", vec!["a", "b c"]),
            ("\"open", vec!["open"]),
        ] {
            assert_eq!(words(line), expected, "{line}");
        }
    }
}
