//! Users and groups of the image's definition: they join those that packages declare.

use std::{collections::BTreeMap, fmt::Write as _};

use keel_artefact::RootPath;
use keel_config::{
    Diagnostic,
    image::os::{self, Os},
};

use super::Make;
use crate::{
    accounts::{Accounts, Group, NOLOGIN, User, root_path},
    tree::{Kind, Tree},
};

/// Declares the image's users to systemd-sysusers, which makes them again where /etc was reset.
const DECLARED: &str = "/usr/lib/sysusers.d/keel-image.conf";

/// A hash that no password has, for users that are let in by a key. A field that begins with `!` locks them out of sshd, too
/// (OpenSSH's `LOCKED_PASSWD_PREFIX`).
const ONLY_KEYS: &str = "*";

/// Adds the definition's users and groups; what does not fit is told.
pub(super) fn join(accounts: &mut Accounts, tree: &Tree, os: &Os) -> Vec<Diagnostic> {
    let mut wrong = Vec::new();
    for group in &os.groups {
        wrong.extend(join_group(accounts, group).err());
    }
    for user in &os.users {
        wrong.extend(join_user(accounts, tree, user).err());
    }
    // Users may be in groups of users that come later.
    for user in &os.users {
        for name in &user.secondary_groups {
            match accounts.groups.get_mut(name) {
                Some(group) => drop(group.members.insert(user.name.clone())),
                None => wrong.push(no_group(accounts, user, name)),
            }
        }
    }
    wrong
}

fn join_group(accounts: &mut Accounts, group: &os::Group) -> Result<(), Diagnostic> {
    let refuse = |why: String| Err(Diagnostic::new(why).at(group.defined_at.clone()));
    let name = &group.name;
    let there = accounts.gid(name);
    let gid = match (group.gid, there) {
        (Some(gid), Some(there)) if gid != there => {
            return refuse(format!(
                "group `{name}` is {there} by what packages declare, not {gid}"
            ));
        }
        (None, None) => return refuse(format!("group `{name}` needs a `gid`: no package declares it")),
        (_, Some(_)) => return Ok(()),
        (Some(gid), None) => gid,
    };
    add_group(accounts, name, gid).or_else(refuse)
}

fn add_group(accounts: &mut Accounts, name: &str, gid: u32) -> Result<(), String> {
    if let Some((other, _)) = accounts.groups.iter().find(|(_, group)| group.gid == gid) {
        return Err(format!("group `{name}` cannot be {gid}: `{other}` is"));
    }
    let members = Default::default();
    accounts.groups.insert(name.to_owned(), Group { gid, members });
    Ok(())
}

fn no_group(accounts: &Accounts, user: &os::User, name: &str) -> Diagnostic {
    let message = format!(
        "user `{}` is to be in group `{name}`, which there is not",
        user.name
    );
    let wrong = Diagnostic::new(message).at(user.defined_at.clone());
    wrong.did_you_mean(name, accounts.groups.keys().map(String::as_str))
}

fn join_user(accounts: &mut Accounts, tree: &Tree, user: &os::User) -> Result<(), Diagnostic> {
    let refuse = |why: String| Diagnostic::new(why).at(user.defined_at.clone());
    let name = &user.name;
    let there = accounts.users.get(name).cloned();
    let uid = match (user.uid, &there) {
        (Some(uid), Some(there)) if uid != there.uid => {
            let message = format!(
                "user `{name}` is {} by what packages declare, not {uid}",
                there.uid
            );
            return Err(refuse(message));
        }
        (_, Some(there)) => there.uid,
        (Some(uid), None) => uid,
        (None, None) => {
            return Err(refuse(format!(
                "user `{name}` needs a `uid`: no package declares it"
            )));
        }
    };
    if let Some((other, _)) = (accounts.users.iter()).find(|(other, user)| *other != name && user.uid == uid)
    {
        return Err(refuse(format!("user `{name}` cannot be {uid}: `{other}` is")));
    }
    let gid = match (&user.primary_group, &there, accounts.gid(name)) {
        (Some(group), ..) => accounts
            .gid(group)
            .ok_or_else(|| no_group(accounts, user, group))?,
        (None, Some(there), _) => there.gid,
        (None, None, Some(gid)) => gid,
        (None, None, None) => {
            add_group(accounts, name, uid).map_err(|why| {
                refuse(why).hint(format!(
                    "user `{name}` says no `primary-group`, and so gets one of its own"
                ))
            })?;
            uid
        }
    };
    let shell = match (&user.startup_command, &there) {
        (Some(shell), _) if is_program(tree, shell) => shell.to_string(),
        (Some(shell), _) => {
            return Err(refuse(format!(
                "user `{name}` is to start `{shell}`, which is not in the image"
            )));
        }
        (None, Some(there)) => there.shell.clone(),
        (None, None) if tree.follow(&root_path("/bin/sh")).is_some() => "/bin/sh".to_owned(),
        (None, None) => NOLOGIN.to_owned(),
    };
    let home = match (&user.home_directory, &there) {
        (Some(home), _) => home.to_string(),
        (None, Some(there)) => there.home.clone(),
        (None, None) => format!("/home/{name}"),
    };
    if home == "/" && !user.ssh_public_keys.is_empty() {
        let message = format!("user `{name}` has no home for its public keys");
        return Err(refuse(message).hint("`home-directory` gives it one"));
    }
    let password = match &user.password {
        Some(hash) => hash.clone(),
        None if !user.ssh_public_keys.is_empty() => ONLY_KEYS.to_owned(),
        None => there.as_ref().map_or_else(
            || crate::accounts::LOCKED.to_owned(),
            |there| there.password.clone(),
        ),
    };
    let gecos = there.map(|there| there.gecos).unwrap_or_default();
    let joined = User {
        uid,
        gid,
        gecos,
        home,
        shell,
        password,
    };
    accounts.users.insert(name.clone(), joined);
    Ok(())
}

/// Those that let nobody in need not be there.
fn is_program(tree: &Tree, path: &RootPath) -> bool {
    matches!(path.file_name(), "nologin" | "false") || tree.file(path).is_some()
}

/// Homes, public keys, and the declaration of those that `before` did not have.
pub(super) fn apply(make: &mut Make<'_>, accounts: &Accounts, before: &Accounts, os: &Os) -> Vec<Diagnostic> {
    let mut wrong = Vec::new();
    for said in &os.users {
        let Some(user) = accounts.users.get(&said.name) else {
            continue;
        };
        let is_new = !before.users.contains_key(&said.name);
        if !(is_new || said.home_directory.is_some() || !said.ssh_public_keys.is_empty()) {
            continue;
        }
        let Ok(home) = user.home.parse::<RootPath>() else {
            continue;
        };
        match make.tree.follow(&home).map(|(_, node)| &node.kind) {
            None => make.owned(&home, 0o700, Kind::Dir, (user.uid, user.gid)),
            Some(Kind::Dir) => {}
            Some(other) => {
                let message = format!("the home `{home}` of user `{}` is {}", said.name, other.noun());
                wrong.push(Diagnostic::new(message).at(said.defined_at.clone()));
                continue;
            }
        }
        if !said.ssh_public_keys.is_empty() {
            let lines: String = said
                .ssh_public_keys
                .iter()
                .map(|key| format!("{key}\n"))
                .collect();
            let owner = (user.uid, user.gid);
            let ssh = home.join(".ssh").expect("a plain name");
            make.owned(&ssh, 0o700, Kind::Dir, owner);
            let keys = ssh.join("authorized_keys").expect("a plain name");
            make.owned(
                &keys,
                0o600,
                Kind::File(crate::tree::File::of(lines.into_bytes())),
                owner,
            );
        }
    }
    if let Some(text) = declared(accounts, before) {
        make.file(&root_path(DECLARED), 0o644, text);
    }
    wrong
}

/// Lines of sysusers.d(5) for who is new, and for who is in more groups.
fn declared(accounts: &Accounts, before: &Accounts) -> Option<String> {
    let mut text = String::new();
    let mut groups: BTreeMap<(u32, &String), _> = BTreeMap::new();
    for (name, group) in &accounts.groups {
        groups.insert((group.gid, name), group);
        if !before.groups.contains_key(name) {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "g {name} {}", group.gid);
        }
    }
    for (name, user) in accounts
        .users
        .iter()
        .filter(|(name, _)| !before.users.contains_key(*name))
    {
        let User {
            uid,
            gid,
            home,
            shell,
            ..
        } = user;
        let _ = writeln!(text, "u {name} {uid}:{gid} - {home} {shell}");
    }
    for ((_, name), group) in groups {
        let had = before.groups.get(name).map(|group| &group.members);
        for member in group
            .members
            .iter()
            .filter(|member| !had.is_some_and(|had| had.contains(*member)))
        {
            let _ = writeln!(text, "m {member} {name}");
        }
    }
    (!text.is_empty()).then(|| format!("# Users of the image's definition.\n{text}"))
}
