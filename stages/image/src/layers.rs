//! Which files of a tree are in which layer of a container, so that an update of one package is a download of one layer.
//!
//! - A package goes where its source goes: packages of one source are updated together.
//! - A source of [`BIG`] bytes or more has a layer of its own; of more than [`OWN`] such sources, those whose names have the
//!   lowest digests. All others share [`SHARED`] layers, by the digest of the source's name. No other source's size is looked at:
//!   what one source becomes moves no file of another.
//! - What finalisers made (users, rpm's database) depends on all packages: it is the last layer.
//! - A layer has the folders above its files with their final owner and mode, and with the time 0: whose time a shared folder has
//!   is some other package's matter. The last layer has every folder with its time, so that layers, one over the other, are the
//!   tree. No path but those of folders is in two layers; nothing is ever taken away (no whiteouts).

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    io::{self, Write as _},
};

use keel_artefact::{Fingerprint, Interrupt, RootPath, Sha256, parallel};
use keel_rpm::PackageInfo;
use keel_store::Store;
use serde::{Deserialize, Serialize};

use crate::{
    Error,
    error::At,
    finalise::FINALISER,
    tree::{Kind, Node, Tree},
    write::{
        hashed::Hashed,
        tar::{self, Root},
    },
};

/// From how many bytes on a source has a layer of its own. A smaller one would cost more in requests than it saves in bytes.
pub const BIG: u64 = 1 << 20;
/// How many sources may have layers of their own.
pub const OWN: usize = 40;
/// How many layers all others share. With the last one, a container has no more than 59: what registries and runtimes take is 127.
pub const SHARED: u64 = 18;

/// Level of a layer's compression.
const LEVEL: u32 = 6;
/// Raised when the same files give other bytes than before.
const WRITER: &str = "layer/1";

/// The files of one layer, by path.
#[derive(Debug)]
pub struct Layer<'a> {
    /// What is in it, for people: names of sources.
    pub title: String,
    /// Its nodes; folders come before what is in them.
    pub nodes: Vec<(&'a RootPath, Cow<'a, Node>)>,
}

/// A layer as it is handed out: an object of the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packed {
    /// Digest of the compressed layer.
    pub digest: Sha256,
    /// Its size in bytes.
    pub size: u64,
    /// Digest of the tar archive in it.
    pub diff_id: Sha256,
}

/// The whole tree as one layer.
pub fn one(tree: &Tree) -> Vec<Layer<'_>> {
    let nodes = tree
        .nodes()
        .iter()
        .map(|(path, node)| (path, Cow::Borrowed(node)));
    vec![Layer {
        title: "all packages".to_owned(),
        nodes: nodes.collect(),
    }]
}

/// Layers by package: those of one source in the order of names, then the shared ones, then the last. `sources` has the source of
/// each package, by NEVRA ([`sources`]).
pub fn by_package<'a>(tree: &'a Tree, sources: &BTreeMap<String, String>) -> Vec<Layer<'a>> {
    let source_of = |node: &Node| match node.from.as_ref() {
        FINALISER => None,
        from => Some(sources.get(from).map_or(from, String::as_str).to_owned()),
    };
    let mut sizes: BTreeMap<String, u64> = BTreeMap::new();
    for node in tree.nodes().values() {
        if let (Some(source), Kind::File(file)) = (source_of(node), &node.kind) {
            *sizes.entry(source).or_default() += file.size;
        }
    }
    let own = own(&sizes);
    let mut groups: BTreeMap<Group, Content<'_>> = BTreeMap::new();
    for (path, node) in tree.nodes() {
        let group = match source_of(node) {
            None => Group::Last,
            Some(source) => {
                let group = match own.contains(&source) {
                    true => Group::Own(source.clone()),
                    false => Group::Shared(number(&source) % SHARED),
                };
                groups.entry(group.clone()).or_default().sources.insert(source);
                group
            }
        };
        let is_last = group == Group::Last;
        let nodes = &mut groups.entry(group).or_default().nodes;
        let mut above = path.parent();
        while let Some(folder) = above.take() {
            if let Some((folder, node)) = tree.nodes().get_key_value(&folder)
                && !nodes.contains_key(folder)
            {
                nodes.insert(folder, Cow::Owned(without_time(node)));
                above = folder.parent();
            }
        }
        let node = match node.kind {
            Kind::Dir if !is_last => Cow::Owned(without_time(node)),
            _ => Cow::Borrowed(node),
        };
        nodes.insert(path, node);
    }
    let last = groups.entry(Group::Last).or_default();
    last.sources.insert("the image itself".to_owned());
    let folders = tree
        .nodes()
        .iter()
        .filter(|(_, node)| matches!(node.kind, Kind::Dir));
    last.nodes
        .extend(folders.map(|(path, node)| (path, Cow::Borrowed(node))));
    let layer = |content: Content<'a>| Layer {
        title: content.sources.into_iter().collect::<Vec<_>>().join(", "),
        nodes: content.nodes.into_iter().collect(),
    };
    groups.into_values().map(layer).collect()
}

/// The source of each package, by NEVRA; a package without one is its own.
pub fn sources<'a>(packages: impl Iterator<Item = &'a PackageInfo>) -> BTreeMap<String, String> {
    packages
        .map(|package| {
            let source = package.source_rpm.as_deref().and_then(source_name);
            let source = source.map_or_else(|| package.nevra.name.to_string(), str::to_owned);
            (package.nevra.to_string(), source)
        })
        .collect()
}

/// The name in `NAME-VERSION-RELEASE.src.rpm`.
fn source_name(file: &str) -> Option<&str> {
    file.rsplitn(3, '-').nth(2)
}

/// What goes into one layer.
#[derive(Default)]
struct Content<'a> {
    sources: BTreeSet<String>,
    nodes: BTreeMap<&'a RootPath, Cow<'a, Node>>,
}

/// In the order of layers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    Own(String),
    Shared(u64),
    Last,
}

/// The sources that have layers of their own.
fn own(sizes: &BTreeMap<String, u64>) -> BTreeSet<String> {
    let big = sizes.iter().filter(|(_, size)| **size >= BIG);
    let mut big: Vec<&String> = big.map(|(source, _)| source).collect();
    big.sort_by_key(|source| (number(source), *source));
    big.into_iter().take(OWN).cloned().collect()
}

/// A number that only the name decides.
fn number(source: &str) -> u64 {
    let digest = Fingerprint::new("layer-of-source").add("name", source).finish();
    digest.as_bytes()[..8]
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn without_time(folder: &Node) -> Node {
    Node {
        mtime: 0,
        ..folder.clone()
    }
}

/// Every layer as an object of the store, compressed on all cores unless it is there already.
pub fn pack(
    tree: &Tree,
    layers: &[Layer<'_>],
    store: &Store,
    interrupt: &Interrupt,
) -> Result<Vec<Packed>, Error> {
    // The largest first, so that no core waits for it in the end.
    let size = |layer: &Layer<'_>| -> u64 {
        let files = layer.nodes.iter().map(|(_, node)| match &node.kind {
            Kind::File(file) => file.size,
            _ => 0,
        });
        files.sum()
    };
    let mut order: Vec<usize> = (0..layers.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(size(&layers[*index])));
    let packed = parallel::map(&order, interrupt, |index| {
        Ok::<_, Error>((*index, pack_one(tree, &layers[*index], store)?))
    })?;
    let packed: BTreeMap<usize, Packed> = packed.into_iter().collect();
    Ok(packed.into_values().collect())
}

fn pack_one(tree: &Tree, layer: &Layer<'_>, store: &Store) -> Result<Packed, Error> {
    let key = key(layer);
    if let Some(packed) = store.action::<Packed>("layer", &key)?
        && is_sound(store, &packed.digest)?
    {
        return Ok(packed);
    }
    let dir = store.temp_dir("layer")?;
    let path = dir.path().join("layer");
    let file = fs_err::File::create(&path).at("write", "a layer")?;
    let gzip = flate2::write::GzEncoder::new(io::BufWriter::new(file), flate2::Compression::new(LEVEL));
    let mut plain = Hashed::new(gzip);
    let nodes = layer.nodes.iter().map(|(path, node)| (*path, node.as_ref()));
    tar::write_nodes(tree, nodes, Root::Without, &mut plain)?;
    let (gzip, diff_id, _) = plain.done();
    let mut buffer = gzip.finish().at("write", "a layer")?;
    buffer.flush().at("write", "a layer")?;
    drop(buffer);
    let (digest, size) = store.adopt(&path)?;
    let packed = Packed {
        digest,
        size,
        diff_id,
    };
    store.record("layer", &key, &packed)?;
    Ok(packed)
}

/// Is the object there? One that is damaged is removed, and counts as absent.
fn is_sound(store: &Store, digest: &Sha256) -> Result<bool, Error> {
    match store.verify(digest) {
        Ok(()) => Ok(true),
        Err(keel_store::Error::Missing(_) | keel_store::Error::Damaged { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The digest of everything that a layer's bytes depend on.
fn key(layer: &Layer<'_>) -> Sha256 {
    let mut key = Fingerprint::new(WRITER);
    key.add("level", LEVEL.to_string());
    for (path, node) in &layer.nodes {
        node.add_to(path, &mut key);
    }
    key.finish()
}

#[cfg(test)]
mod tests;
