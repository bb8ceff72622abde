//! Who a sandbox's processes are outside, and the ownership of what they read and write.

use std::{
    io,
    os::unix::fs::{MetadataExt as _, PermissionsExt, lchown},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::Error;

/// The user and group id, outside, of processes in sandboxes that root started. Its own, so that it owns nothing else
/// on the machine: 0x6b65656c ("keel") is above the ranges that distributions and `useradd` give out.
pub const OUTSIDE: u32 = 0x6b65_656c;

/// Used instead where a container has no mapping for [`OUTSIDE`].
const NOBODY: u32 = 65_534;

/// How a sandbox gets its identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Identity {
    /// The caller is root: it mounts as root, and the command gets this id.
    FromRoot { outside: u32 },
    /// The caller is an ordinary user (or root of a container with a single id): the command has the caller's ids.
    Caller { uid: u32, gid: u32 },
}

impl Identity {
    pub(crate) fn of_caller() -> Self {
        let (uid, gid) = (
            rustix::process::geteuid().as_raw(),
            rustix::process::getegid().as_raw(),
        );
        if uid == 0 && may_administrate() {
            for outside in [OUTSIDE, NOBODY] {
                if is_mapped("/proc/self/uid_map", outside) && is_mapped("/proc/self/gid_map", outside) {
                    return Self::FromRoot { outside };
                }
            }
        }
        Self::Caller { uid, gid }
    }
}

/// The user and group that own, on the host, the files which are made in a sandbox.
pub fn owner() -> (u32, u32) {
    match Identity::of_caller() {
        Identity::FromRoot { outside } => (outside, outside),
        Identity::Caller { uid, gid } => (uid, gid),
    }
}

/// Gives a file, or a folder with all that is in it, to [`owner`]. Modes are kept; links are not followed.
/// Nothing happens when the caller is an ordinary user: it is the owner already.
pub fn hand_over(path: &Path) -> Result<(), Error> {
    match Identity::of_caller() {
        Identity::FromRoot { outside } => walk(path, &|path, metadata| give(path, metadata, outside)),
        Identity::Caller { .. } => Ok(()),
    }
}

/// Gives files and folders to [`owner`] as [`hand_over`] does, but nothing that is in them.
pub fn hand_over_alone(paths: &[PathBuf]) -> Result<(), Error> {
    let Identity::FromRoot { outside } = Identity::of_caller() else {
        return Ok(());
    };
    for path in paths {
        let given = fs_err::symlink_metadata(path).and_then(|metadata| give(path, &metadata, outside));
        given.map_err(|source| Error::Owner {
            path: path.clone(),
            source,
        })?;
    }
    Ok(())
}

/// Takes a file, or a folder with all that is in it, back for the caller, and makes it readable and removable. Set-id bits, which
/// whoever ran in the sandbox may have set, are gone: files of the caller's with them would be the caller's programs for all.
pub fn take_back(path: &Path) -> Result<(), Error> {
    let caller = rustix::process::geteuid().as_raw();
    walk(path, &|path, metadata| {
        if metadata.uid() != caller {
            lchown(path, Some(caller), Some(caller))?;
        }
        let needed = if metadata.is_dir() { 0o700 } else { 0o600 };
        let mode = metadata.mode() & 0o1777 | needed;
        if !metadata.is_symlink() && metadata.mode() & 0o7777 != mode {
            fs_err::set_permissions(path, PermissionsExt::from_mode(mode))?;
        }
        Ok(())
    })
}

fn give(path: &Path, metadata: &std::fs::Metadata, id: u32) -> io::Result<()> {
    if (metadata.uid(), metadata.gid()) == (id, id) {
        return Ok(());
    }
    lchown(path, Some(id), Some(id))?;
    // The kernel takes set-id bits away when the owner changes (chown(2)).
    if !metadata.is_symlink() && metadata.mode() & 0o6000 != 0 {
        fs_err::set_permissions(path, PermissionsExt::from_mode(metadata.mode() & 0o7777))?;
    }
    Ok(())
}

type Visit<'a> = &'a dyn Fn(&Path, &std::fs::Metadata) -> io::Result<()>;

/// Visits folders before what is in them, so that [`take_back`] can open the closed ones. One folder is open at a time, however deep.
fn walk(path: &Path, visit: Visit<'_>) -> Result<(), Error> {
    let mut waiting = vec![path.to_owned()];
    while let Some(path) = waiting.pop() {
        let mut look = || {
            let metadata = fs_err::symlink_metadata(&path)?;
            visit(&path, &metadata)?;
            if metadata.is_dir() {
                for entry in fs_err::read_dir(&path)? {
                    waiting.push(entry?.path());
                }
            }
            Ok(())
        };
        let looked = look();
        looked.map_err(|source| Error::Owner { path, source })?;
    }
    Ok(())
}

fn may_administrate() -> bool {
    rustix::thread::capabilities(None)
        .is_ok_and(|sets| sets.effective.contains(rustix::thread::CapabilitySet::SYS_ADMIN))
}

/// Does a map of user_namespaces(7) (`inside outside count` a line) have this id?
fn is_mapped(map: &str, id: u32) -> bool {
    fs_err::read_to_string(map).is_ok_and(|text| has_id(&text, id))
}

fn has_id(map: &str, id: u32) -> bool {
    map.lines().any(|line| {
        let mut numbers = line.split_whitespace().map(str::parse::<u64>);
        match (numbers.next(), numbers.next(), numbers.next()) {
            (Some(Ok(first)), Some(Ok(_)), Some(Ok(count))) => {
                (first..first + count).contains(&u64::from(id))
            }
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outside_id_must_be_mapped() {
        for (map, mapped) in [
            ("         0          0 4294967295\n", true),
            ("0 1000 1\n1 100000 65536\n", false),
            ("0 1000 1\n", false),
            ("", false),
            ("x y z\n", false),
        ] {
            assert_eq!(has_id(map, OUTSIDE), mapped, "{map:?}");
        }
        assert!(has_id("0 1000 1\n1 100000 65536\n", NOBODY));
    }

    #[test]
    fn what_is_taken_back_has_no_set_id_bits() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        fs_err::create_dir(&tree).unwrap();
        let modes = [
            ("setuid", 0o4755, 0o755),
            ("setgid", 0o2711, 0o711),
            ("closed", 0o6000, 0o600),
        ];
        for (name, mode, _) in modes {
            fs_err::write(tree.join(name), "").unwrap();
            fs_err::set_permissions(tree.join(name), PermissionsExt::from_mode(mode)).unwrap();
        }
        fs_err::set_permissions(&tree, PermissionsExt::from_mode(0o7555)).unwrap();
        let mode = |path: &Path| fs_err::metadata(path).unwrap().mode() & 0o7777;
        hand_over(&tree).unwrap();
        assert_eq!(
            mode(&tree.join("setuid")),
            0o4755,
            "what is given away keeps its mode"
        );
        take_back(&tree).unwrap();
        for (name, _, wanted) in modes {
            assert_eq!(mode(&tree.join(name)), wanted, "{name}");
        }
        assert_eq!(mode(&tree), 0o1755);
    }

    #[test]
    fn deep_folders_are_taken_back_with_one_open_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let deepest = dir.path().join("d/".repeat(1900));
        fs_err::create_dir_all(&deepest).unwrap();
        take_back(&dir.path().join("d")).unwrap();
        assert!(deepest.is_dir());
    }
}
