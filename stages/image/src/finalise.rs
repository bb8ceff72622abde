//! What no package brings because it depends on all of them, or on the image: users, identity, enabled units, the
//! list of installed packages.

use std::{collections::BTreeMap, sync::Arc};

use keel_artefact::{Epoch, RootPath};

use crate::{
    Error,
    accounts::{Accounts, root_path, text},
    presets, tmpfiles,
    tree::{File, Kind, Node, Tree},
};

/// Who brought what this module makes, where a package's NEVRA would be ([`Node::from`]).
pub const FINALISER: &str = "keel image";

/// Where the public key of the repository lies in an image.
pub const KEY: &str = "/usr/share/keel/keys/keel-release.asc";
/// Where rpm's database lies in an image.
pub const RPMDB: &str = "/usr/lib/sysimage/rpm";

/// What the image is, as far as its files depend on it.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    /// Boots on a machine.
    pub bootable: bool,
    /// Its first process is systemd.
    pub systemd: bool,
    /// Static host name.
    pub hostname: Option<String>,
    /// Public key that packages and metadata are signed with, armoured.
    pub key: Option<Vec<u8>>,
    /// Files of rpm's database, by name.
    pub rpmdb: BTreeMap<String, Vec<u8>>,
}

/// Adds to the tree what belongs to the image as a whole. Every file it makes has the time `clock`.
pub fn finalise(
    tree: &mut Tree,
    accounts: &Accounts,
    identity: &Identity,
    clock: Epoch,
) -> Result<(), Error> {
    let mut make = Make { tree, clock };
    users(&mut make, accounts)?;
    if let Some(hostname) = &identity.hostname {
        make.file(&root_path("/etc/hostname"), 0o644, format!("{hostname}\n"));
    }
    if let Some(key) = &identity.key {
        make.file(&root_path(KEY), 0o644, key.clone());
    }
    tmpfiles::apply(&mut make, accounts)?;
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
        presets::apply(&mut make)?;
    }
    let rpmdb = root_path(RPMDB);
    for (name, bytes) in &identity.rpmdb {
        let path = rpmdb.join(name).map_err(|error| Error::Unwritable {
            path: rpmdb.clone(),
            format: "rpm's database",
            why: error.to_string(),
        })?;
        make.file(&path, 0o644, bytes.clone());
    }
    Ok(())
}

/// Packages may bring the files themselves; they are rewritten only if someone is missing in them.
fn users(make: &mut Make<'_>, accounts: &Accounts) -> Result<(), Error> {
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
        let complete = text(make.tree, name)?.is_some_and(|there| names(&there) == names(&content));
        if !complete {
            make.file(&root_path(name), mode, content);
        }
    }
    Ok(())
}

/// Makes nodes for the image itself, owned by root.
pub(crate) struct Make<'a> {
    pub(crate) tree: &'a mut Tree,
    clock: Epoch,
}

impl<'a> Make<'a> {
    /// Makes nodes of the time `clock`.
    pub(crate) fn new(tree: &'a mut Tree, clock: Epoch) -> Self {
        Self { tree, clock }
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

    pub(crate) fn node(&mut self, path: &RootPath, mode: u32, kind: Kind) {
        let path = self.tree.resolve(path, false).unwrap_or_else(|| path.clone());
        let from: Arc<str> = FINALISER.into();
        self.tree.add_parents(&path, self.clock.0, &from);
        let (mtime, xattrs) = (self.clock.0, BTreeMap::new());
        self.tree.insert(
            path,
            Node {
                kind,
                mode,
                uid: 0,
                gid: 0,
                mtime,
                xattrs,
                from,
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::tests::{path, tree};

    fn run(entries: &[(&str, &str)], identity: &Identity) -> Tree {
        let mut tree = tree(entries);
        let accounts = Accounts::read(&tree).unwrap();
        finalise(&mut tree, &accounts, identity, Epoch(7)).unwrap();
        tree
    }

    #[test]
    fn a_bootable_image_gets_its_identity() {
        let identity = Identity {
            bootable: true,
            systemd: true,
            hostname: Some("keel".into()),
            key: Some(b"KEY".to_vec()),
            rpmdb: BTreeMap::from([("rpmdb.sqlite".into(), b"db".to_vec())]),
        };
        let tree = run(&[("/usr/lib/sysusers.d/a.conf", "g tty 5")], &identity);
        let read = |at: &str| {
            let file = tree.file(&path(at)).unwrap();
            String::from_utf8(tree.read(&path(at), file, 1000).unwrap()).unwrap()
        };
        assert_eq!(read("/etc/machine-id"), "uninitialized\n");
        assert_eq!(read("/etc/hostname"), "keel\n");
        assert_eq!(read("/etc/group"), "root:x:0:\ntty:x:5:\n");
        assert_eq!(read(KEY), "KEY");
        assert_eq!(read("/usr/lib/sysimage/rpm/rpmdb.sqlite"), "db");
        assert_eq!(tree.get(&path("/tmp")).unwrap().mode, 0o1777);
        assert_eq!(tree.get(&path("/etc/shadow")).unwrap().mode, 0o400);
        assert_eq!(tree.get(&path("/etc/shadow")).unwrap().mtime, 7);
    }

    #[test]
    fn complete_files_of_packages_stay_as_they_are() {
        let passwd = "root:x:0:0:me:/root:/bin/sh\n";
        let tree = run(
            &[("/etc/passwd", passwd), ("/etc/group", "root:x:0:\n")],
            &Identity::default(),
        );
        assert_eq!(tree.get(&path("/etc/passwd")).unwrap().from.as_ref(), "test");
        assert_eq!(tree.get(&path("/etc/shadow")).unwrap().from.as_ref(), FINALISER);
        let tree = run(
            &[("/etc/passwd", passwd), ("/usr/lib/sysusers.d/a.conf", "u x 5")],
            &Identity::default(),
        );
        let file = tree.file(&path("/etc/passwd")).unwrap();
        let text = tree.read(&path("/etc/passwd"), file, 1000).unwrap();
        assert_eq!(
            text,
            b"root:x:0:0:me:/root:/bin/sh\nx:x:5:5::/:/usr/sbin/nologin\n"
        );
    }
}
