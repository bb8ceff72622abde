//! Packages in, tree out: headers give names, types, modes and owners, payloads give contents.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::Path,
    sync::Arc,
};

use keel_artefact::{Epoch, Interrupt, RootPath};
use keel_rpm::{FileInfo, FileKind, PackageInfo};

use crate::{
    Error,
    accounts::Accounts,
    caps, error,
    left_out::LeftOut,
    tree::{File, Kind, Node, Spool, Tree},
};

/// A package and its file on the host.
#[derive(Debug, Clone, Copy)]
pub struct Package<'a> {
    /// Its header.
    pub info: &'a PackageInfo,
    /// The RPM file.
    pub file: &'a Path,
    /// What does not come along.
    pub left_out: &'a LeftOut,
}

impl<'a> Package<'a> {
    /// What comes along.
    fn files(&self) -> impl Iterator<Item = &'a FileInfo> + use<'a> {
        let left_out = self.left_out;
        let files = self.info.files.iter().enumerate();
        files
            .filter(|(number, file)| !file.flags.is_ghost() && !left_out.has(*number))
            .map(|(_, file)| file)
    }
}

/// A tree of what the packages hold, with numeric owners. Times later than the build of their package become that, which no other
/// package changes; folders that no package has are of the time `clock`.
///
/// A path that runs through a link to a folder (`/lib64` of a merged /usr) lands where the link leads. Folders and
/// identical files may be in several packages; anything else twice is an error that names both.
pub fn compose(
    packages: &[Package<'_>],
    spool: Spool,
    clock: Epoch,
    interrupt: &Interrupt,
) -> Result<(Tree, Accounts), Error> {
    if let Some(package) = packages.iter().find(|package| !package.info.scripts.is_empty()) {
        let (package, scripts) = (package.info.nevra.to_string(), package.info.scripts.join(", "));
        return Err(Error::Scriptlets { package, scripts });
    }
    let mut tree = Tree::new(spool, clock.0);
    let links = links(packages, clock)?;
    let mut owners: BTreeMap<RootPath, (&str, &str, &str)> = BTreeMap::new();
    for package in packages {
        error::check(interrupt)?;
        let from: Arc<str> = package.info.nevra.to_string().into();
        let contents = contents(package, &mut tree)?;
        for file in package.files() {
            let path = place(&links, file, &from)?;
            let content = contents.get(file.same_as.as_ref().unwrap_or(&file.path)).cloned();
            let node = node(file, content, package.info.build_time, &from)?;
            let owner = (file.user.as_str(), file.group.as_str());
            if let Some(there) = tree
                .get(&path)
                .filter(|there| there.from.as_ref() != crate::finalise::FINALISER)
            {
                let (user, group, _) = owners.get(&path).copied().unwrap_or(("root", "root", ""));
                same(&path, there, &node, (user, group), owner)?;
                continue;
            }
            if owner != ("root", "root") {
                owners.insert(path.clone(), (owner.0, owner.1, package.info.nevra.name.as_str()));
            }
            tree.insert(path, node);
        }
    }
    let all: Vec<(RootPath, Arc<str>)> = tree
        .nodes()
        .iter()
        .map(|(path, node)| (path.clone(), node.from.clone()))
        .collect();
    for (path, from) in all {
        tree.add_parents(&path, clock.0, &from);
    }
    let accounts = Accounts::read(&tree)?;
    for (path, (user, group, package)) in owners {
        let unknown = |kind, name: &str| Error::UnknownOwner {
            package: package.to_owned(),
            path: path.clone(),
            kind,
            name: name.to_owned(),
        };
        let uid = accounts.uid(user).ok_or_else(|| unknown("user", user))?;
        let gid = accounts.gid(group).ok_or_else(|| unknown("group", group))?;
        if let Some(node) = tree.get_mut(&path) {
            (node.uid, node.gid) = (uid, gid);
        }
    }
    Ok((tree, accounts))
}

/// A tree of all symbolic links, which tells where paths lead.
fn links(packages: &[Package<'_>], clock: Epoch) -> Result<Tree, Error> {
    let files = packages
        .iter()
        .flat_map(|package| package.files().map(move |file| (package, file)));
    let mut all: Vec<_> = files.filter(|(_, file)| file.kind == FileKind::Symlink).collect();
    // Links near the root first: those further down may lie behind them.
    all.sort_by_key(|(_, file)| (file.path.as_str().matches('/').count(), file.path.clone()));
    let mut tree = Tree::new(Spool::empty(), clock.0);
    for (package, file) in all {
        let from: Arc<str> = package.info.nevra.to_string().into();
        let path = place(&tree, file, &from)?;
        let node = node(file, None, clock, &from)?;
        tree.insert(path, node);
    }
    Ok(tree)
}

/// Where a file really lands.
fn place(links: &Tree, file: &FileInfo, package: &str) -> Result<RootPath, Error> {
    let last = file.kind == FileKind::Directory;
    links.resolve(&file.path, last).ok_or_else(|| Error::Loop {
        package: package.to_owned(),
        path: file.path.clone(),
    })
}

/// The content of those of the package's regular files that come along, by the path that carries it in the package.
fn contents(package: &Package<'_>, tree: &mut Tree) -> Result<HashMap<RootPath, File>, Error> {
    let wanted: HashSet<&RootPath> = package
        .files()
        .map(|file| file.same_as.as_ref().unwrap_or(&file.path))
        .collect();
    let mut contents = HashMap::new();
    let name = package.info.nevra.to_string();
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| Error::Package {
        package: name.clone(),
        source,
    };
    keel_rpm::payload::<Failure>(package.file, &mut |file, reader| {
        if file.kind == FileKind::Regular && file.same_as.is_none() && wanted.contains(&file.path) {
            contents.insert(file.path.clone(), tree.spool_mut().add(reader)?);
        }
        Ok(())
    })
    .map_err(|failure| match failure {
        Failure::Rpm(error) => failed(error.into()),
        Failure::Io(error) => failed(error.into()),
    })?;
    Ok(contents)
}

/// What ends a payload early.
enum Failure {
    Rpm(keel_rpm::Error),
    Io(std::io::Error),
}

impl From<keel_rpm::Error> for Failure {
    fn from(error: keel_rpm::Error) -> Self {
        Self::Rpm(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

fn node(file: &FileInfo, content: Option<File>, clock: Epoch, from: &Arc<str>) -> Result<Node, Error> {
    let refuse = |why: String| Error::Unwritable {
        path: file.path.clone(),
        format: "a file of an image",
        why,
    };
    let (major, minor) = file.device.unwrap_or_default();
    let kind = match file.kind {
        FileKind::Directory => Kind::Dir,
        FileKind::Symlink => Kind::Symlink(file.link.clone().unwrap_or_default()),
        FileKind::Fifo => Kind::Fifo,
        FileKind::CharDevice => Kind::CharDevice { major, minor },
        FileKind::BlockDevice => Kind::BlockDevice { major, minor },
        FileKind::Socket => return Err(refuse("sockets cannot be shipped".into())),
        FileKind::Regular => {
            Kind::File(content.ok_or_else(|| refuse(format!("package `{from}` holds no content for it")))?)
        }
    };
    let mut xattrs = BTreeMap::new();
    if let Some(text) = &file.caps
        && let Some(value) =
            caps::attribute(text).map_err(|why| refuse(format!("its capabilities `{text}`: {why}")))?
    {
        xattrs.insert("security.capability".to_owned(), value);
    }
    let mode = if matches!(kind, Kind::Symlink(_)) {
        0o777
    } else {
        file.mode
    };
    Ok(Node {
        kind,
        mode,
        uid: 0,
        gid: 0,
        mtime: file.mtime.min(clock.0),
        xattrs,
        from: from.clone(),
    })
}

/// May two packages have this path both? Times may differ: rpm compares none either.
fn same(
    path: &RootPath,
    there: &Node,
    new: &Node,
    owner: (&str, &str),
    new_owner: (&str, &str),
) -> Result<(), Error> {
    let difference = if !there.kind.same(&new.kind) {
        match there.kind.noun() == new.kind.noun() {
            true => "their contents differ".to_owned(),
            false => format!(
                "it is {} in one and {} in the other",
                there.kind.noun(),
                new.kind.noun()
            ),
        }
    } else if there.mode != new.mode {
        format!(
            "its mode is {:04o} in one and {:04o} in the other",
            there.mode, new.mode
        )
    } else if owner != new_owner {
        format!(
            "it belongs to {}:{} in one and {}:{} in the other",
            owner.0, owner.1, new_owner.0, new_owner.1
        )
    } else if there.xattrs != new.xattrs {
        "its capabilities differ".to_owned()
    } else {
        return Ok(());
    };
    let (one, other) = (there.from.to_string(), new.from.to_string());
    Err(Error::Conflict {
        path: path.clone(),
        one,
        other,
        difference,
    })
}
