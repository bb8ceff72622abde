//! `[os]` of an image definition.

use std::{collections::BTreeSet, path::PathBuf};

use keel_artefact::RootPath;

use crate::{
    Diagnostic, crypt,
    diagnostic::nearest,
    image::os::{
        self, Content, Dir, File, Group, LoadMode, Module, Os, Owner, Selinux, SelinuxMode, Services, Unit,
        User,
    },
    includes, ssh,
    table::{Table, Text},
};

/// What the table says; what is wrong is reported.
pub(crate) fn read(table: &Table<'_>) -> Os {
    Os {
        hostname: table.string("hostname"),
        kernel_command_line: table.texts("kernel-command-line"),
        groups: all(table, "groups", group),
        users: all(table, "users", user),
        services: table
            .table("services")
            .map(|table| services(&table))
            .unwrap_or_default(),
        selinux: table.table("selinux").and_then(|table| selinux(&table)),
        modules: all(table, "modules", module),
        additional_dirs: all(table, "additional-dirs", dir),
        additional_files: all(table, "additional-files", file),
    }
}

/// The tables of an array. That each has a name of its own was seen to where they were held against the model.
pub(crate) fn all<T>(table: &Table<'_>, array: &str, read: impl Fn(&Table<'_>) -> Option<T>) -> Vec<T> {
    table.tables(array).iter().filter_map(read).collect()
}

fn selinux(table: &Table<'_>) -> Option<Selinux> {
    // Of the merged table: a child may say another policy alone.
    if !table.has("mode") {
        table.report(table.at, format!("{} needs the key `mode`", table.title()));
    }
    let mode = match table.text("mode")?.value {
        "disabled" => SelinuxMode::Disabled,
        "permissive" => SelinuxMode::Permissive,
        "enforcing" => SelinuxMode::Enforcing,
        "force-enforcing" => SelinuxMode::ForceEnforcing,
        _ => return None,
    };
    Some(Selinux {
        mode,
        policy: table.string("policy"),
        defined_at: table.location(),
    })
}

/// Adds what `[os.selinux]` says to the kernel, which nobody may say besides.
pub(crate) fn say_selinux(table: &Table<'_>, os: &mut Os) {
    let Some(mode) = os.selinux.as_ref().map(|selinux| selinux.mode) else {
        return;
    };
    for word in table.strings("kernel-command-line") {
        let key = word.value.split('=').next().unwrap_or_default();
        let is_ours = matches!(key, "selinux" | "enforcing" | "security");
        if is_ours && !mode.words().contains(&word.value) {
            let message = format!("`{}` and `[os.selinux]` both say what SELinux does", word.value);
            let hint = format!("remove `{}`: `mode` says it to the kernel, too", word.value);
            table.problems.push(table.wrong(word.at, message).hint(hint));
        }
    }
    for word in mode.words() {
        if !os.kernel_command_line.iter().any(|there| there == word) {
            os.kernel_command_line.push((*word).to_owned());
        }
    }
}

fn group(table: &Table<'_>) -> Option<Group> {
    Some(Group {
        name: table.string("name")?,
        gid: number(table, "gid"),
        defined_at: table.location(),
    })
}

fn user(table: &Table<'_>) -> Option<User> {
    Some(User {
        name: table.string("name")?,
        uid: number(table, "uid"),
        password: password(table),
        ssh_public_keys: keys(table),
        primary_group: table.string("primary-group"),
        secondary_groups: table.texts("secondary-groups"),
        home_directory: field(table, "home-directory"),
        startup_command: field(table, "startup-command"),
        defined_at: table.location(),
    })
}

/// A number of a user or group. `(uid_t) -1` is nobody's, and its 16 bits are not either (systemd: "UID range 65535").
fn number(table: &Table<'_>, key: &str) -> Option<u32> {
    let number = table.integer(key)?;
    let found = u32::try_from(number)
        .ok()
        .filter(|id| !matches!(*id, 65_535 | u32::MAX));
    if found.is_none() {
        let message = format!("`{key}` {number} is a number that no user or group can have");
        table.report(table.key_at(key), message);
    }
    found
}

/// A path for `/etc/passwd`, whose fields are separated by colons.
fn field(table: &Table<'_>, key: &str) -> Option<RootPath> {
    let text = table.text(key)?;
    if text.value.contains([':', '\n']) {
        table.report(text.at, format!("`{key}` has a `:` or the end of a line"));
        return None;
    }
    text.value.parse().ok()
}

/// The hash. What is none is not shown: it may be a password.
fn password(table: &Table<'_>) -> Option<String> {
    let text = table.text("password").filter(|text| text.value != "locked")?;
    if crypt::is_hash(text.value) {
        return Some(text.value.to_owned());
    }
    let message = format!(
        "`password` in {} is neither `locked` nor a hash of crypt(5) (SHA-256, SHA-512, bcrypt, scrypt or yescrypt)",
        table.title()
    );
    let wrong = Diagnostic::new(message).at(table.sources.location(text.at));
    table.problems.push(
        wrong
            .hint("`openssl passwd -6` or `mkpasswd` asks for a password and prints its hash: `password = \"$6$…\"`")
            .hint("if this was a password in clear text, change it: whoever reads the tree has read it"),
    );
    None
}

/// Keys that are there, and those of files.
fn keys(table: &Table<'_>) -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    for text in table.strings("ssh-public-keys") {
        if !keys.iter().any(|key| key == text.value) {
            keys.push(text.value.to_owned());
        }
    }
    for path in table.strings("ssh-public-key-paths") {
        let Some(file) = existing(table, path, "file") else {
            continue;
        };
        let text = match includes::read_text(&file) {
            Ok(text) => text,
            Err(why) => {
                table.report(path.at, format!("cannot read `{}`: {why}", path.value));
                continue;
            }
        };
        let lines = (text.lines().map(str::trim)).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let lines: Vec<&str> = lines.collect();
        if lines.is_empty() {
            table.report(path.at, format!("`{}` has no public key", path.value));
        }
        for line in lines {
            if let Some(why) = ssh::wrong("ssh-public-key-paths", line) {
                table.report(path.at, format!("`{}`: {why}", path.value));
                break;
            }
            if !keys.iter().any(|key| key == line) {
                keys.push(line.to_owned());
            }
        }
    }
    keys
}

fn services(table: &Table<'_>) -> Services {
    let units = |key| -> Vec<Unit> {
        let unit = |text: Text<'_>| Unit {
            name: full(text.value),
            defined_at: table.sources.location(text.at),
        };
        let mut seen = BTreeSet::new();
        let strings = table.strings(key).into_iter();
        strings
            .map(unit)
            .filter(|unit| seen.insert(unit.name.clone()))
            .collect()
    };
    let services = Services {
        enable: units("enable"),
        disable: units("disable"),
    };
    for text in table.strings("disable") {
        if services.enable.iter().any(|unit| unit.name == full(text.value)) {
            let message = format!("`{}` is in `enable` and in `disable`", text.value);
            table.report(text.at, message);
        }
    }
    services
}

/// What systemd.unit(5) calls the types of units.
const SUFFIXES: [&str; 11] = [
    "service",
    "socket",
    "device",
    "mount",
    "automount",
    "swap",
    "target",
    "path",
    "timer",
    "slice",
    "scope",
];

/// A unit's whole name.
pub(crate) fn full(name: &str) -> String {
    let is_whole = (name.rsplit_once('.')).is_some_and(|(_, suffix)| SUFFIXES.contains(&suffix));
    if is_whole {
        name.to_owned()
    } else {
        format!("{name}.service")
    }
}

fn module(table: &Table<'_>) -> Option<Module> {
    let load_mode = table.text("load-mode").and_then(|word| match word.value {
        "always" => Some(LoadMode::Always),
        "auto" => Some(LoadMode::Auto),
        "disable" => Some(LoadMode::Disable),
        _ => None,
    });
    let options = table.map("options");
    let is_word = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    for name in options
        .keys()
        .filter(|name| name.is_empty() || !name.chars().all(is_word))
    {
        let message = format!("`{name}` is not the name of a parameter");
        table.report(table.key_at("options"), message);
    }
    if load_mode == Some(LoadMode::Disable) && !options.is_empty() {
        let message = "parameters of a module that is never loaded are of no use";
        table.report(table.key_at("options"), message);
    }
    Some(Module {
        name: table.string("name")?,
        load_mode,
        options,
        defined_at: table.location(),
    })
}

/// Where a file or folder lands; what cannot be there is reported.
fn destination(table: &Table<'_>) -> Option<RootPath> {
    let text = table.text("destination")?;
    let path: RootPath = text.value.parse().ok()?;
    let is_in = |folder: &str| os::is_in(&path, folder);
    if let Some((ours, key)) = os::OURS.iter().find(|(ours, _)| is_in(ours)) {
        let wrong = table.wrong(text.at, format!("`{ours}` is made by Keel itself"));
        table.problems.push(match *key {
            "" => wrong,
            key => wrong.hint(format!("`{key}` says what is in it")),
        });
        return None;
    }
    if let Some(hidden) = os::HIDDEN.iter().find(|hidden| is_in(hidden)) {
        let message = format!("nobody would see `{path}`: `{hidden}` is mounted over when the image runs");
        table.report(text.at, message);
        return None;
    }
    Some(path)
}

fn permissions(table: &Table<'_>, key: &str) -> Option<u32> {
    u32::from_str_radix(table.text(key)?.value, 8).ok()
}

fn owner(table: &Table<'_>) -> Owner {
    Owner {
        user: table.string("owner"),
        group: table.string("group"),
    }
}

pub(crate) fn file(table: &Table<'_>) -> Option<File> {
    let destination = destination(table);
    let content = match (table.text("source"), table.has("content")) {
        (Some(path), false) => Content::Source(existing(table, path, "file")?),
        (None, true) => Content::Text(table.string_or_empty("content")),
        _ => {
            let message = format!("{} has either `source` or `content`", table.title());
            table.report(table.at, message);
            return None;
        }
    };
    Some(File {
        content,
        destination: destination?,
        permissions: permissions(table, "permissions"),
        owner: owner(table),
        defined_at: table.location(),
    })
}

fn dir(table: &Table<'_>) -> Option<Dir> {
    let destination = destination(table);
    let source = match table.text("source") {
        Some(path) => Some(existing(table, path, "folder")?),
        None => None,
    };
    Some(Dir {
        source,
        destination: destination?,
        new_dir_permissions: permissions(table, "new-dir-permissions"),
        merged_dir_permissions: permissions(table, "merged-dir-permissions"),
        child_file_permissions: permissions(table, "child-file-permissions"),
        owner: owner(table),
        defined_at: table.location(),
    })
}

/// A file or folder of the tree that must be there; the nearest name beside it is told otherwise.
pub(super) fn existing(table: &Table<'_>, path: Text<'_>, what: &str) -> Option<PathBuf> {
    let resolved = table.sources.resolve(path.at, path.value);
    if !table.sources.is_inside(path.at, &resolved) {
        let wrong = table.wrong(path.at, format!("`{}` is outside of the tree", path.value));
        table.problems.push(
            wrong.hint("what an image is made of is in the tree: a file elsewhere has nobody who reviews it"),
        );
        return None;
    }
    let is_there = if what == "file" {
        resolved.is_file()
    } else {
        resolved.is_dir()
    };
    if is_there {
        return Some(resolved);
    }
    let wrong = table.wrong(path.at, format!("there is no {what} `{}`", path.value));
    let beside = resolved.parent().map(fs_err::read_dir);
    // A folder that cannot be read has no names to tell of.
    let names: Vec<String> = (beside.into_iter().flatten().flatten().flatten())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    let name = resolved.file_name().unwrap_or_default().to_string_lossy();
    let near = nearest(&name, names.iter().map(String::as_str)).filter(|near| *near != name);
    let folder = path
        .value
        .rsplit_once('/')
        .map_or(String::new(), |(folder, _)| format!("{folder}/"));
    table.problems.push(match near {
        Some(near) => wrong.hint(format!("did you mean `{folder}{near}`?")),
        None => wrong.hint("a path counts from the folder of the file that says it"),
    });
    None
}
