//! What no package brings because it depends on all of them, or on the image: users, identity, enabled units, the
//! list of installed packages, and what the image's definition says in `[os]`.
//!
//! Each part is a function over the tree; no program runs. What a part changed is kept by its name ([`Changed`]), in the order
//! of this table:
//!
//! | part | what |
//! |---|---|
//! | `users` | /etc/passwd and its kin; homes and public keys of the definition's users |
//! | `identity` | host name, key of the repository, mount points |
//! | `defaults` | lines of tmpfiles.d about /etc |
//! | `files` | what the definition adds |
//! | `services` | links of units that start, the definition's preset |
//! | `selinux` | `/etc/selinux/config`, as the definition says; labels come last, and are not in this record ([`crate::selinux`]) |
//! | `modules` | modules-load.d and modprobe.d |
//! | `rpmdb` | rpm's database |
//! | `script NAME` | what a script of the definition changed, after all of these ([`crate::scripts`]) |

mod added;
mod modules;
mod users;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use keel_artefact::{Epoch, RootPath};
use keel_config::{Errors, image::os::Os};

pub use added::Added;

use crate::{
    Error,
    accounts::{Accounts, root_path, text},
    presets, selinux, tmpfiles,
    tree::{File, Kind, Node, Tree},
};

/// Who brought what this module makes, where a package's NEVRA would be ([`Node::from`]).
pub const FINALISER: &str = "keel image";

/// Where the public key of the repository lies in an image.
pub const KEY: &str = "/usr/share/keel/keys/keel-release.asc";
/// Where rpm's database lies in an image.
pub const RPMDB: &str = "/usr/lib/sysimage/rpm";

/// The paths that each part changed, sorted.
pub type Changed = BTreeMap<String, BTreeSet<RootPath>>;

/// What the image is, as far as its files depend on it.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    /// Boots on a machine.
    pub bootable: bool,
    /// Its first process is systemd.
    pub systemd: bool,
    /// What the definition says.
    pub os: Os,
    /// Public key that packages and metadata are signed with, armoured.
    pub key: Option<Vec<u8>>,
    /// Files of rpm's database, by name.
    pub rpmdb: BTreeMap<String, Vec<u8>>,
}

/// Adds to the tree what belongs to the image as a whole. Every file it makes has the time `clock`.
///
/// `declared` are the users and groups of packages. Fails with all that the definition asks for and the tree cannot have.
pub fn finalise(
    tree: &mut Tree,
    declared: &Accounts,
    identity: &Identity,
    added: &Added,
    clock: Epoch,
) -> Result<Changed, Error> {
    let os = &identity.os;
    let mut accounts = declared.clone();
    let mut make = Make::new(tree, clock);
    let mut wrong = Vec::new();

    make.part("users");
    wrong.extend(users::join(&mut accounts, make.tree, os));
    let is_customised = !(os.users.is_empty() && os.groups.is_empty());
    account_files(&mut make, &accounts, is_customised)?;

    make.part("identity");
    if let Some(hostname) = &os.hostname {
        make.file(&root_path("/etc/hostname"), 0o644, format!("{hostname}\n"));
    }
    if let Some(key) = &identity.key {
        make.file(&root_path(KEY), 0o644, key.clone());
    }

    make.part("defaults");
    tmpfiles::apply(&mut make, &accounts)?;

    make.part("users");
    wrong.extend(users::apply(&mut make, &accounts, declared, os));

    make.part("files");
    wrong.extend(added.apply(&mut make, &accounts)?);

    make.part("identity");
    if identity.bootable {
        // Where a running system mounts things; a read-only root cannot make them.
        for (path, mode) in [
            ("/dev", 0o755),
            ("/proc", 0o555),
            ("/run", 0o755),
            ("/sys", 0o555),
            ("/tmp", 0o1777),
            ("/var", 0o755),
        ] {
            make.dir(&root_path(path), mode);
        }
    }
    if identity.systemd {
        // machine-id(5): systemd makes a transient one at each boot, or a lasting one where /etc can be written.
        make.file(&root_path("/etc/machine-id"), 0o444, "uninitialized\n");
        make.part("services");
        wrong.extend(presets::apply(&mut make, &os.services)?);
    }
    make.part("selinux");
    wrong.extend(selinux::configure(&mut make, os)?);
    if !os.modules.is_empty() {
        make.part("modules");
        wrong.extend(modules::apply(&mut make, &os.modules)?);
    }

    make.part("rpmdb");
    let rpmdb = root_path(RPMDB);
    for (name, bytes) in &identity.rpmdb {
        let path = rpmdb.join(name).map_err(|error| Error::Unwritable {
            path: rpmdb.clone(),
            format: "rpm's database",
            why: error.to_string(),
        })?;
        make.file(&path, 0o644, bytes.clone());
    }
    Errors::check(make.changed, wrong).map_err(Error::Definition)
}

/// Packages may bring the files themselves; they are rewritten only if someone is missing in them, or the definition says
/// something of users.
fn account_files(make: &mut Make<'_>, accounts: &Accounts, is_customised: bool) -> Result<(), Error> {
    for (name, mode, content) in accounts.files() {
        let names = |text: &str| -> Vec<String> {
            let mut names: Vec<_> = text
                .lines()
                .filter_map(|line| line.split(':').next())
                .map(str::to_owned)
                .collect();
            names.sort();
            names
        };
        let complete =
            !is_customised && text(make.tree, name)?.is_some_and(|there| names(&there) == names(&content));
        if !complete {
            make.file(&root_path(name), mode, content);
        }
    }
    Ok(())
}

/// Makes nodes for the image itself.
pub(crate) struct Make<'a> {
    pub(crate) tree: &'a mut Tree,
    clock: Epoch,
    /// Which part is at work.
    part: &'static str,
    changed: Changed,
}

impl<'a> Make<'a> {
    /// Makes nodes of the time `clock`.
    pub(crate) fn new(tree: &'a mut Tree, clock: Epoch) -> Self {
        let changed = Changed::new();
        Self {
            tree,
            clock,
            part: "identity",
            changed,
        }
    }

    /// What was changed.
    pub(crate) fn finish(self) -> Changed {
        self.changed
    }

    /// What is changed from here on is changed by this part.
    fn part(&mut self, name: &'static str) {
        self.part = name;
    }

    /// Notes that a path was changed.
    pub(crate) fn changed(&mut self, path: RootPath) {
        self.changed.entry(self.part.to_owned()).or_default().insert(path);
    }

    /// A file, in place of what is there. Links in its folder are followed.
    pub(crate) fn file(&mut self, path: &RootPath, mode: u32, content: impl Into<Vec<u8>>) {
        let content: Vec<u8> = content.into();
        self.node(path, mode, Kind::File(File::of(content)));
    }

    /// A folder, unless one is there.
    pub(crate) fn dir(&mut self, path: &RootPath, mode: u32) {
        if self.tree.follow(path).is_none() {
            self.node(path, mode, Kind::Dir);
        }
    }

    /// A symbolic link, unless something is there.
    pub(crate) fn link(&mut self, path: &RootPath, target: &str) {
        if self
            .tree
            .resolve(path, false)
            .is_none_or(|at| self.tree.get(&at).is_none())
        {
            self.node(path, 0o777, Kind::Symlink(target.to_owned()));
        }
    }

    /// Anything, owned by root, in place of what is there.
    pub(crate) fn node(&mut self, path: &RootPath, mode: u32, kind: Kind) {
        self.owned(path, mode, kind, (0, 0));
    }

    /// Anything, in place of what is there; owner and group in numbers.
    pub(crate) fn owned(&mut self, path: &RootPath, mode: u32, kind: Kind, (uid, gid): (u32, u32)) {
        let path = self.tree.resolve(path, false).unwrap_or_else(|| path.clone());
        let from: Arc<str> = FINALISER.into();
        let missing = std::iter::successors(path.parent(), RootPath::parent);
        let missing: Vec<RootPath> = missing
            .take_while(|parent| self.tree.get(parent).is_none())
            .collect();
        for parent in missing {
            self.changed(parent);
        }
        self.tree.add_parents(&path, self.clock.0, &from);
        let (mtime, xattrs) = (self.clock.0, BTreeMap::new());
        let node = Node {
            kind,
            mode,
            uid,
            gid,
            mtime,
            xattrs,
            from,
        };
        self.tree.insert(path.clone(), node);
        self.changed(path);
    }
}

#[cfg(test)]
mod tests;
