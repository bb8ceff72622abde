//! File systems in which a name leads to the number of an inode, and an inode of a folder to names.

use std::{collections::BTreeSet, io};

use keel_artefact::RootPath;

use super::{Entry, Kind, Listing, MOST_NAMES, Names, error::damaged};

pub(super) trait Inodes {
    type Number: Copy + Ord;
    type Inode;

    fn inode(&mut self, number: Self::Number) -> io::Result<Self::Inode>;

    fn entry(&mut self, number: Self::Number, inode: &Self::Inode) -> io::Result<Entry>;

    /// What is in a folder, without `.` and `..`.
    fn folder(
        &mut self,
        number: Self::Number,
        inode: &Self::Inode,
    ) -> io::Result<Vec<(Vec<u8>, Self::Number)>>;

    /// All names below the folder `root`. Each folder has one name.
    fn names(&mut self, root: Self::Number) -> io::Result<Names> {
        let (mut listing, mut seen) = (Listing::default(), BTreeSet::new());
        let mut waiting = vec![(RootPath::root(), root)];
        while let Some((path, number)) = waiting.pop() {
            let inode = self.inode(number)?;
            let entry = self.entry(number, &inode)?;
            let is_folder = entry.kind == Kind::Dir;
            if path == RootPath::root() && !is_folder {
                return Err(damaged("its root is no folder"));
            }
            listing.add(path.clone(), entry)?;
            if is_folder {
                if !seen.insert(number) {
                    return Err(damaged(format!("folder `{path}` is in another place, too")));
                }
                for (name, number) in self.folder(number, &inode)? {
                    waiting.push((Listing::path(&path, &name)?, number));
                }
                if waiting.len() > MOST_NAMES {
                    return Err(damaged("it has too many names"));
                }
            }
        }
        Ok(listing.names)
    }
}
