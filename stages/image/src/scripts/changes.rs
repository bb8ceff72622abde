//! What a script changed, from the overlay's upper folder into the tree.
//!
//! The folder has what all scripts so far changed. It is held against the tree as the one before left it: what is equal was not
//! changed by this one.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Read},
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::Path,
};

use keel_artefact::{Epoch, Interrupt, RootPath};
use keel_config::image::{Script, os};
use keel_sandbox::{Change, Found};

use crate::{
    Error,
    error::{At, check},
    finalise::{FINALISER, RPMDB},
    tree::{Kind, Node, Tree},
};

/// What is as it was before, whatever a script did to it: Keel has the last word, or no two runs give the same (`ldconfig`).
const KEPT: [&str; 3] = [RPMDB, "/etc/machine-id", "/var/cache/ldconfig"];
/// Set-user-id and set-group-id.
const SET_ID: u32 = 0o6000;
/// Bytes of all files that scripts leave, by the sizes that they say: all are read. On the disk they may have as much.
const MOST: u64 = 20 << 30;
/// So much that is wrong is told.
const MOST_TOLD: usize = 20;

type Attributes = BTreeMap<String, Vec<u8>>;

/// Makes the tree as the folder `upper` says it is. Gives the paths that were made, changed or removed; of a folder that is gone, its own.
pub(super) fn apply(
    tree: &mut Tree,
    upper: &Path,
    script: &Script,
    clock: Epoch,
    interrupt: &Interrupt,
) -> Result<BTreeSet<RootPath>, Error> {
    let is_kept = |path: &&RootPath| kept(path);
    let above = |path: &RootPath| std::iter::successors(Some(path.clone()), RootPath::parent);
    let held = tree.nodes().keys().filter(is_kept).flat_map(above).collect();
    let mut reading = Reading {
        tree,
        clock,
        interrupt,
        held,
        seen: BTreeSet::new(),
        opaque: Vec::new(),
        changed: BTreeSet::new(),
        wrong: Vec::new(),
        left: MOST,
    };
    keel_sandbox::changes(upper, &mut |path, change| reading.visit(path, change)).map_err(|failure| {
        match failure {
            Failure::Image(error) => error,
            Failure::Io(source) => Error::Io {
                action: "read",
                what: format!("what script `{}` changed", script.name),
                source,
            },
        }
    })?;
    reading.close_opaque();
    let Reading {
        changed, mut wrong, ..
    } = reading;
    if wrong.is_empty() {
        return Ok(changed);
    }
    wrong.sort();
    wrong.dedup();
    if wrong.len() > MOST_TOLD {
        let more = wrong.len() - MOST_TOLD;
        wrong.truncate(MOST_TOLD);
        wrong.push(format!("and {more} more"));
    }
    Err(Error::ScriptChange {
        script: script.name.clone(),
        at: script.defined_at.clone(),
        wrong,
    })
}

/// Is it as it was before, whatever a script did to it?
fn kept(path: &RootPath) -> bool {
    let is_in = |folder: &str| {
        let rest = path.as_str().strip_prefix(folder);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    KEPT.into_iter().any(is_in)
}

struct Reading<'a> {
    tree: &'a mut Tree,
    clock: Epoch,
    interrupt: &'a Interrupt,
    /// What is not removed: what is kept, and the folders above.
    held: BTreeSet<RootPath>,
    /// What is in the upper folder.
    seen: BTreeSet<RootPath>,
    /// Folders of which nothing is left but what was seen.
    opaque: Vec<RootPath>,
    changed: BTreeSet<RootPath>,
    wrong: Vec<String>,
    /// Bytes that files may still have.
    left: u64,
}

/// What ends the reading early.
enum Failure {
    Io(io::Error),
    Image(Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Image(error)
    }
}

impl Reading<'_> {
    fn visit(&mut self, path: &Path, change: Change<'_>) -> Result<bool, Failure> {
        check(self.interrupt)?;
        let Some(at) = path
            .to_str()
            .and_then(|text| format!("/{text}").parse::<RootPath>().ok())
        else {
            let name = path.to_string_lossy();
            self.wrong
                .push(format!("the name of `/{}` is not UTF-8", name.escape_debug()));
            return Ok(false);
        };
        if kept(&at) {
            return Ok(false);
        }
        match change {
            Change::Gone => self.remove(&at),
            Change::Folder { found, is_opaque } => {
                self.seen.insert(at.clone());
                if is_opaque {
                    self.opaque.push(at.clone());
                }
                self.folder(&at, found)?;
            }
            Change::Other(found) => {
                self.seen.insert(at.clone());
                self.other(&at, found)?;
            }
        }
        Ok(true)
    }

    /// Takes away what is there, but what is held.
    fn remove(&mut self, at: &RootPath) {
        let below = self.tree.under(at).map(|(path, _)| path);
        let there = self.tree.get(at).map(|_| at);
        let all: Vec<RootPath> = there.into_iter().chain(below).cloned().collect();
        let gone: Vec<RootPath> = all.into_iter().filter(|path| !self.held.contains(path)).collect();
        if let Some(ours) = gone.iter().find(|path| os::ours(path).is_some()) {
            let ours = ours.clone();
            self.refuse_ours(&ours);
            return;
        }
        if !gone.is_empty() {
            self.changed.insert(at.clone());
        }
        for path in gone {
            self.tree.remove(&path);
        }
    }

    /// Of opaque folders, removes what the overlay does not show.
    fn close_opaque(&mut self) {
        for folder in std::mem::take(&mut self.opaque) {
            let below = self.tree.under(&folder).map(|(path, _)| path);
            let hidden: Vec<RootPath> = below.filter(|path| !self.seen.contains(path)).cloned().collect();
            for path in hidden {
                // What was in a folder that is gone is gone, too.
                if self.tree.get(&path).is_some() {
                    self.remove(&path);
                }
            }
        }
    }

    fn folder(&mut self, at: &RootPath, found: &Found) -> Result<(), Failure> {
        let attributes = self.attributes(at, found)?;
        let mode = found.metadata().mode() & 0o7777;
        self.put(at, mode, Kind::Dir, attributes);
        Ok(())
    }

    fn other(&mut self, at: &RootPath, found: &Found) -> Result<(), Failure> {
        let metadata = found.metadata();
        let kind = metadata.file_type();
        let mode = metadata.mode() & 0o7777;
        if kind.is_file() {
            self.file(at, mode, found)?;
        } else if kind.is_symlink() {
            match found.target()?.into_string() {
                Ok(target) => self.put(at, 0o777, Kind::Symlink(target), Attributes::new()),
                Err(_) => self.wrong.push(format!("the target of `{at}` is not UTF-8")),
            }
        } else if kind.is_fifo() {
            self.put(at, mode, Kind::Fifo, Attributes::new());
        } else {
            let noun = if kind.is_socket() { "socket" } else { "device" };
            self.wrong.push(format!("`{at}` is a {noun}"));
        }
        Ok(())
    }

    fn file(&mut self, at: &RootPath, mode: u32, found: &Found) -> Result<(), Failure> {
        let attributes = self.attributes(at, found)?;
        let Some(left) = self.left.checked_sub(found.metadata().len()) else {
            let largest = format!("with `{at}`, scripts leave more than {} GiB", MOST >> 30);
            return Err(io::Error::other(largest).into());
        };
        self.left = left;
        let reader = Until {
            reader: found.open_closed()?,
            interrupt: self.interrupt,
        };
        let added = self.tree.spool_mut().add(reader);
        check(self.interrupt)?;
        let kind = Kind::File(added.at("copy", at)?);
        let before = self.tree.get(at).filter(|node| node.kind.same(&kind));
        if mode & SET_ID & !before.map_or(0, |node| node.mode) != 0 {
            self.wrong.push(format!(
                "`{at}` has set-id bits (mode {mode:04o}), which only packages give"
            ));
            return Ok(());
        }
        self.put(at, mode, kind, attributes);
        Ok(())
    }

    /// Attributes that an image takes from a script. Those of the host are not the image's.
    fn attributes(&mut self, at: &RootPath, found: &Found) -> Result<Attributes, Failure> {
        let mut taken = Attributes::new();
        for (name, value) in found.attributes()? {
            match name.as_str() {
                "security.capability" => self
                    .wrong
                    .push(format!("`{at}` has capabilities, which only packages give")),
                "system.posix_acl_access" | "system.posix_acl_default" => {
                    self.wrong
                        .push(format!("`{at}` has an access list: an image has none"));
                }
                name if name.starts_with("user.overlay.") => {}
                name if name.starts_with("user.") => drop(taken.insert(name.to_owned(), value)),
                _ => {}
            }
        }
        Ok(taken)
    }

    /// What is at this path now. Nothing happens if that is what was there.
    fn put(&mut self, at: &RootPath, mode: u32, kind: Kind, mut attributes: Attributes) {
        let before = self.tree.get(at);
        let is_same = before.is_some_and(|node| node.kind.same(&kind));
        if let Some(node) = before.filter(|_| is_same) {
            // Those that packages gave; a script sees none of them.
            let others = node.xattrs.iter().filter(|(name, _)| !name.starts_with("user."));
            attributes.extend(others.map(|(name, value)| (name.clone(), value.clone())));
            if node.mode == mode && node.xattrs == attributes {
                return;
            }
        }
        if os::taken(at).is_some() {
            return self.refuse_ours(at);
        }
        let owner = before
            .filter(|node| std::mem::discriminant(&node.kind) == std::mem::discriminant(&kind))
            .map_or((0, 0), |node| (node.uid, node.gid));
        let is_folder = before.is_some_and(|node| matches!(node.kind, Kind::Dir));
        if is_folder && !is_same {
            self.remove(at);
        }
        self.changed.insert(at.clone());
        if is_same {
            if let Some(node) = self.tree.get_mut(at) {
                (node.mode, node.xattrs) = (mode, attributes);
            }
            return;
        }
        let node = Node {
            kind,
            mode,
            uid: owner.0,
            gid: owner.1,
            mtime: self.clock.0,
            xattrs: attributes,
            from: FINALISER.into(),
        };
        self.tree.insert(at.clone(), node);
    }

    fn refuse_ours(&mut self, at: &RootPath) {
        self.wrong.push(match os::ours(at) {
            Some((_, key)) if !key.is_empty() => {
                format!("`{at}` is made by Keel itself: `{key}` says what is in it")
            }
            Some(_) => format!("`{at}` is made by Keel itself"),
            None => format!("nobody would see `{at}`: something is mounted there while the image runs"),
        });
    }
}

/// A reader that ends with an error when the user interrupts.
struct Until<'a, R> {
    reader: R,
    interrupt: &'a Interrupt,
}

impl<R: Read> Read for Until<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.interrupt.check().map_err(io::Error::other)?;
        self.reader.read(buffer)
    }
}
