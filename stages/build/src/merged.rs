//! Many packages as one layer of a build root.

use std::path::PathBuf;

use keel_artefact::{Fingerprint, Sha256};
use keel_store::Store;

use crate::{Error, root::UNPACKED};

/// More packages than these are merged into one layer. An overlay asks every layer for a name that none has, and a build asks for
/// thousands of such names: each takes about 6 µs for a layer, while a merge takes 20 µs for a file of the packages, once for a set.
const MOST_LAYERS: usize = 32;

/// The layers of these packages: their trees, or one tree of links to all of them, made once for a set.
pub(crate) fn layers<'r>(
    store: &Store,
    rpms: impl Iterator<Item = &'r Sha256>,
    trees: &[PathBuf],
) -> Result<Vec<PathBuf>, Error> {
    if trees.len() <= MOST_LAYERS {
        return Ok(trees.to_vec());
    }
    // 2: what was made belongs to whoever the trees belong to. Else it would be nobody's in a root, and a closed folder stay closed.
    let mut key = Fingerprint::new("merged-trees/2");
    key.add("unpacked", UNPACKED);
    for rpm in rpms {
        key.add_digest("rpm", rpm);
    }
    let merged = store.tree(&key.finish(), |folder| -> Result<(), Error> {
        let made = keel_store::merge(trees, folder)?;
        Ok(keel_sandbox::hand_over_alone(&made)?)
    })?;
    Ok(vec![merged])
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt};

    use super::*;

    /// Trees with a file each, and a digest for each.
    fn packages(count: usize, store: &Store) -> (Vec<Sha256>, Vec<PathBuf>) {
        let one = |number: usize| {
            let tree = store.dir().join(format!("tree-{number}"));
            fs_err::create_dir_all(tree.join("usr/bin")).unwrap();
            fs_err::write(tree.join(format!("usr/bin/{number}")), "").unwrap();
            (Sha256::of(format!("{number}").as_bytes()), tree)
        };
        (0..count).map(one).unzip()
    }

    #[test]
    fn many_packages_are_one_layer_and_few_are_their_own() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let (few, trees) = packages(MOST_LAYERS, &store);
        assert_eq!(layers(&store, few.iter(), &trees).unwrap(), trees);
        let (many, trees) = packages(600, &store);
        let merged = layers(&store, many.iter(), &trees).unwrap();
        assert_eq!(merged.len(), 1);
        assert_eq!(fs_err::read_dir(merged[0].join("usr/bin")).unwrap().count(), 600);
        assert_eq!(layers(&store, many.iter(), &trees).unwrap(), merged);
        let (other, trees) = packages(599, &store);
        assert_ne!(layers(&store, other.iter(), &trees).unwrap(), merged);
    }

    #[test]
    fn a_merged_tree_belongs_to_the_owner_of_its_parts_and_a_closed_folder_can_be_entered() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let (many, trees) = packages(MOST_LAYERS + 1, &store);
        for tree in &trees {
            let closed = tree.join("usr/closed");
            fs_err::create_dir(&closed).unwrap();
            fs_err::write(closed.join("file"), "text").unwrap();
            fs_err::set_permissions(&closed, PermissionsExt::from_mode(0o700)).unwrap();
            keel_sandbox::hand_over(tree).unwrap();
        }
        let merged = layers(&store, many.iter(), &trees).unwrap();
        for name in ["", "usr", "usr/bin", "usr/closed", "usr/closed/file"] {
            let found = fs_err::symlink_metadata(merged[0].join(name)).unwrap();
            assert_eq!((found.uid(), found.gid()), keel_sandbox::owner(), "{name}");
        }
        let mode = fs_err::symlink_metadata(merged[0].join("usr/closed"))
            .unwrap()
            .mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}
