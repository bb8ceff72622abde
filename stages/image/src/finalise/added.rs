//! Files and folders of the image's definition: from the tree of its authors into the image.

use std::{
    fmt::Write as _,
    io::Cursor,
    path::{Path, PathBuf},
};

use keel_artefact::{Fingerprint, RootPath, Sha256};
use keel_config::{
    Diagnostic, Errors, Location,
    image::os::{Content, Dir, Os, Owner},
};

use super::Make;
use crate::{Error, accounts::Accounts, error::At, tree::Kind};

/// So deep are folders at most, and so many names are in one; a link that leads up cannot make it more: links are not followed.
const MOST_DEPTH: usize = 64;
const MOST_NAMES: usize = 100_000;

/// What a definition adds, in the order in which it lands.
#[derive(Debug, Default)]
pub struct Added(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    what: What,
    destination: RootPath,
    /// Of what was not there, and of what was.
    mode: Option<u32>,
    merged: Option<u32>,
    owner: Owner,
    defined_at: Location,
}

#[derive(Debug)]
enum What {
    Dir,
    Link(String),
    File {
        bytes: Bytes,
        digest: Sha256,
        /// Its source can be executed.
        is_program: bool,
    },
}

#[derive(Debug)]
enum Bytes {
    Here(String),
    At(PathBuf),
}

impl Added {
    /// Looks at all sources, and takes their digests.
    pub(crate) fn read(os: &Os) -> Result<Self, Error> {
        let mut all = Self::default();
        let mut wrong = Vec::new();
        for dir in &os.additional_dirs {
            all.dir(dir, &dir.destination, dir.source.as_deref(), 0, &mut wrong)?;
        }
        all.files_of(&os.additional_files)?;
        Errors::check(all, wrong).map_err(Error::Definition)
    }

    /// Files alone.
    pub(crate) fn of_files(files: &[keel_config::image::os::File]) -> Result<Self, Error> {
        let mut all = Self::default();
        all.files_of(files)?;
        Ok(all)
    }

    fn files_of(&mut self, files: &[keel_config::image::os::File]) -> Result<(), Error> {
        for file in files {
            let what = match &file.content {
                Content::Text(text) => What::File {
                    digest: Sha256::of(text.as_bytes()),
                    bytes: Bytes::Here(text.clone()),
                    is_program: false,
                },
                Content::Source(path) => of_file(path)?,
            };
            self.0.push(Entry {
                what,
                destination: file.destination.clone(),
                mode: file.permissions,
                merged: None,
                owner: file.owner.clone(),
                defined_at: file.defined_at.clone(),
            });
        }
        Ok(())
    }

    /// A folder, and what is in its source.
    fn dir(
        &mut self,
        dir: &Dir,
        at: &RootPath,
        source: Option<&Path>,
        depth: usize,
        wrong: &mut Vec<Diagnostic>,
    ) -> Result<(), Error> {
        let entry = |what, destination, mode, merged| Entry {
            what,
            destination,
            mode,
            merged,
            owner: dir.owner.clone(),
            defined_at: dir.defined_at.clone(),
        };
        if let Some(ours) = keel_config::image::os::taken(at) {
            let why = format!("`{at}` is of Keel itself (`{ours}`): nothing is added there");
            wrong.push(Diagnostic::new(why).at(dir.defined_at.clone()));
            return Ok(());
        }
        let merged = dir.merged_dir_permissions;
        self.0
            .push(entry(What::Dir, at.clone(), dir.new_dir_permissions, merged));
        let Some(source) = source else { return Ok(()) };
        let refused = |why: String| Diagnostic::new(why).at(dir.defined_at.clone());
        if depth > MOST_DEPTH || self.0.len() > MOST_NAMES {
            wrong.push(refused(format!(
                "`{}` is too deep, or has too many names",
                source.display()
            )));
            return Ok(());
        }
        let mut paths = Vec::new();
        for found in fs_err::read_dir(source).at("read", source.display())? {
            paths.push(found.at("read", source.display())?.path());
        }
        paths.sort();
        for path in paths {
            let name = path.file_name().and_then(|name| name.to_str());
            let Some(destination) = name.and_then(|name| at.join(name).ok()) else {
                wrong.push(refused(format!("the name of `{}` is not UTF-8", path.display())));
                continue;
            };
            if let Some(ours) = keel_config::image::os::taken(&destination) {
                let why = format!(
                    "`{}` would land in `{ours}`, which is of Keel itself or not seen",
                    path.display()
                );
                wrong.push(refused(why));
                continue;
            }
            let kind = fs_err::symlink_metadata(&path)
                .at("read", path.display())?
                .file_type();
            if kind.is_dir() {
                self.dir(dir, &destination, Some(&path), depth + 1, wrong)?;
            } else if kind.is_symlink() {
                let target = fs_err::read_link(&path).at("read", path.display())?;
                match target.to_str() {
                    Some(target) => {
                        self.0
                            .push(entry(What::Link(target.to_owned()), destination, None, None));
                    }
                    None => wrong.push(refused(format!(
                        "the target of `{}` is not UTF-8",
                        path.display()
                    ))),
                }
            } else if kind.is_file() {
                let mode = dir.child_file_permissions;
                self.0.push(entry(of_file(&path)?, destination, mode, None));
            } else {
                wrong.push(refused(format!(
                    "`{}` is neither a file, a folder nor a link",
                    path.display()
                )));
            }
        }
        Ok(())
    }

    /// Names everything that the image takes from here.
    pub(crate) fn add_to(&self, key: &mut Fingerprint) {
        for entry in &self.0 {
            let mut text = String::new();
            let (mode, merged) = (entry.mode.map(octal), entry.merged.map(octal));
            // Writing to a String cannot fail.
            let _ = write!(
                text,
                "{} {mode:?} {merged:?} {:?} ",
                entry.destination, entry.owner
            );
            match &entry.what {
                What::Dir => text.push_str("dir"),
                What::Link(target) => text.push_str(target),
                What::File {
                    digest, is_program, ..
                } => {
                    let _ = write!(text, "{digest} {is_program}");
                }
            }
            key.add("added", text);
        }
    }

    /// Where each file lands, and its bytes.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&RootPath, Sha256)> {
        self.0.iter().filter_map(|entry| match &entry.what {
            What::File { digest, .. } => Some((&entry.destination, *digest)),
            What::Dir | What::Link(_) => None,
        })
    }

    /// Puts all of it into the tree; what does not fit there is told.
    pub(crate) fn apply(&self, make: &mut Make<'_>, accounts: &Accounts) -> Result<Vec<Diagnostic>, Error> {
        let mut wrong = Vec::new();
        for entry in &self.0 {
            match owner(entry, accounts) {
                Ok(owner) => wrong.extend(entry.apply(make, owner)?),
                Err(unknown) => wrong.push(unknown),
            }
        }
        // A folder's owner is said once, and told once for all that is in it.
        wrong.dedup_by(|one, two| one.to_string() == two.to_string());
        Ok(wrong)
    }
}

fn octal(mode: u32) -> String {
    format!("{mode:04o}")
}

fn of_file(path: &Path) -> Result<What, Error> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs_err::metadata(path)
        .at("read", path.display())?
        .permissions()
        .mode();
    Ok(What::File {
        digest: Sha256::of_file(path).at("read", path.display())?.0,
        bytes: Bytes::At(path.to_owned()),
        is_program: mode & 0o111 != 0,
    })
}

/// Whose it will be, in numbers.
fn owner(entry: &Entry, accounts: &Accounts) -> Result<(u32, u32), Diagnostic> {
    let number = |said: &Option<String>, kind: &str, known: Option<u32>, names: Vec<&str>| {
        let Some(said) = said else { return Ok(0) };
        known.or_else(|| said.parse().ok()).ok_or_else(|| {
            let wrong = Diagnostic::new(format!("the image has no {kind} `{said}`"));
            wrong.at(entry.defined_at.clone()).did_you_mean(said, names)
        })
    };
    let Owner { user, group } = &entry.owner;
    let uid = user.as_ref().and_then(|name| accounts.uid(name));
    let gid = group.as_ref().and_then(|name| accounts.gid(name));
    Ok((
        number(
            user,
            "user",
            uid,
            accounts.users.keys().map(String::as_str).collect(),
        )?,
        number(
            group,
            "group",
            gid,
            accounts.groups.keys().map(String::as_str).collect(),
        )?,
    ))
}

impl Entry {
    fn apply(&self, make: &mut Make<'_>, owner: (u32, u32)) -> Result<Option<Diagnostic>, Error> {
        let at = &self.destination;
        let in_the_way = |kind: &Kind, what: &str| {
            let message = format!("`{at}` cannot be {what}: it is {} in the image", kind.noun());
            Some(Diagnostic::new(message).at(self.defined_at.clone()))
        };
        if let What::Dir = self.what {
            match make.tree.follow(at) {
                Some((real, node)) if matches!(node.kind, Kind::Dir) => {
                    if let (Some(mode), Some(node)) = (self.merged, make.tree.get_mut(&real)) {
                        node.mode = mode;
                        make.changed(real);
                    }
                }
                Some((_, node)) => return Ok(in_the_way(&node.kind, "a folder")),
                None => make.owned(at, self.mode.unwrap_or(0o755), Kind::Dir, owner),
            }
            return Ok(None);
        }
        let there = make.tree.resolve(at, false).and_then(|real| make.tree.get(&real));
        if let Some(node) = there.filter(|node| matches!(node.kind, Kind::Dir)) {
            return Ok(in_the_way(&node.kind, "a file"));
        }
        match &self.what {
            What::Dir => {}
            What::Link(target) => make.owned(at, 0o777, Kind::Symlink(target.clone()), owner),
            What::File {
                bytes,
                digest,
                is_program,
            } => {
                let spool = make.tree.spool_mut();
                let file = match bytes {
                    Bytes::Here(text) => spool.add(Cursor::new(text.as_bytes())).at("write", at)?,
                    Bytes::At(path) => {
                        let source = fs_err::File::open(path).at("read", path.display())?;
                        spool.add(source).at("copy", path.display())?
                    }
                };
                if let Bytes::At(path) = bytes
                    && file.digest != *digest
                {
                    return Err(Error::Moving { file: path.clone() });
                }
                let mode = self.mode.unwrap_or(if *is_program { 0o755 } else { 0o644 });
                make.owned(at, mode, Kind::File(file), owner);
            }
        }
        Ok(None)
    }
}
