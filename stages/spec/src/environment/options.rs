//! What an environment is made of.

use std::{
    io,
    path::{Path, PathBuf},
};

use keel_artefact::{Fingerprint, Sha256};

use crate::macros::{Behaviour, text};

use super::{
    Distribution, Error, Target, order, release,
    tree::{CONFIG, ETC, Tree},
};

/// What an environment is made of.
#[derive(Debug, Clone)]
pub struct Options {
    /// What lies at `/usr/lib/rpm` and `/etc/rpm`.
    pub tree: Tree,
    /// The folder in `/usr/lib/rpm` that has the distribution's macros; none given: the one that there is.
    pub vendor: Option<String>,
    /// Macro files, and folders of such (`macros`, `macros.*`), that are read after the tree's.
    pub extra: Vec<PathBuf>,
    /// `NAME BODY`, as `--define` takes it, in order.
    pub defines: Vec<String>,
    /// Names, as `--undefine` takes them, in order; after all definitions.
    pub undefines: Vec<String>,
    /// What is built for.
    pub target: Target,
    /// The architecture of the machine that builds; none given: the target's, or x86_64 when that is `noarch`.
    pub host: Option<String>,
    /// Which rpm is followed.
    pub behaviour: Behaviour,
}

impl Options {
    /// Nothing but a tree.
    pub fn new(tree: Tree, target: Target, behaviour: Behaviour) -> Self {
        Self {
            tree,
            vendor: None,
            extra: Vec::new(),
            defines: Vec::new(),
            undefines: Vec::new(),
            target,
            host: None,
            behaviour,
        }
    }

    /// What a folder gives: a checkout of a known distribution, rpm's own folder, or a root that has one.
    ///
    /// `base` is rpm's folder that a checkout is laid over; without a checkout it is not looked at. A checkout says itself
    /// what is defined, and which rpm is followed if none is given; other macros are known by what they define.
    pub fn open(
        folder: &Path,
        base: &Path,
        target: Target,
        behaviour: Option<Behaviour>,
    ) -> Result<Self, Error> {
        if let Some(distribution) = Distribution::of(folder) {
            let tree = distribution.assemble(folder, base)?;
            let behaviour = behaviour.unwrap_or(distribution.behaviour());
            let mut options = Self::new(tree, target, behaviour);
            options.vendor = Some(distribution.vendor().to_owned());
            let defines = distribution.defines().iter();
            options.defines = defines.map(|define| (*define).to_owned()).collect();
            return Ok(options);
        }
        let mut tree = Tree::new();
        let inside = folder.join(CONFIG.trim_start_matches('/'));
        let (config, etc) = match inside.is_dir() {
            true => (inside, Some(folder.join(ETC.trim_start_matches('/')))),
            false => (folder.to_owned(), None),
        };
        let mut add = |folder: &Path, place| {
            tree.add_folder(folder, place)
                .map_err(|source| Error::read(folder, source))
        };
        add(&config, CONFIG)?;
        if let Some(etc) = etc.filter(|etc| etc.is_dir()) {
            add(&etc, ETC)?;
        }
        let main = format!("{CONFIG}/macros");
        if !tree.is_file(&main) {
            return Err(Error::NoMacros {
                folder: folder.to_owned(),
            });
        }
        let told = || {
            let bytes = tree.read(&main).map_err(|source| Error::read(folder, source))?;
            Ok(release::of(&text::decode(&bytes)).unwrap_or_default())
        };
        let behaviour = behaviour.map_or_else(told, Ok)?;
        Ok(Self::new(tree, target, behaviour))
    }

    /// The architecture of the machine that builds.
    pub fn host(&self) -> &str {
        match (&self.host, self.target.cpu.as_str()) {
            (Some(host), _) => host,
            (None, "noarch") => "x86_64",
            (None, cpu) => cpu,
        }
    }

    /// The caller's files, and those in his folders in glob's order.
    pub(super) fn extra_files(&self) -> Result<Vec<PathBuf>, Error> {
        let mut files = Vec::new();
        for path in &self.extra {
            if !path.is_dir() {
                files.push(path.clone());
                continue;
            }
            let names = names(path).map_err(|source| Error::read(path, source))?;
            let wanted = |name: &&String| {
                let fits = *name == "macros" || name.starts_with("macros.");
                fits && order::is_read(name, self.behaviour) && path.join(name).is_file()
            };
            files.extend(names.iter().filter(wanted).map(|name| path.join(name)));
        }
        Ok(files)
    }

    /// The digest of all that these let a SPEC see: every file of the tree and every extra one, definitions, target, rpm.
    pub fn digest(&self) -> Result<Sha256, Error> {
        let mut print = Fingerprint::new("macro-environment/1");
        print.add("rpm", self.behaviour.version());
        print
            .add("target", self.target.to_string())
            .add("host", self.host());
        print.add("vendor", self.vendor.as_deref().unwrap_or(""));
        for define in &self.defines {
            print.add("define", define);
        }
        for name in &self.undefines {
            print.add("undefine", name);
        }
        for path in self.extra_files()? {
            let bytes = fs_err::read(&path).map_err(|source| Error::read(&path, source))?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            print.add("extra", name.as_bytes()).add("bytes", bytes);
        }
        let added = self.tree.add_to(&mut print);
        added.map_err(|source| Error::read(Path::new(CONFIG), source))?;
        Ok(print.finish())
    }
}

/// The names in a folder, sorted.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = fs_err::read_dir(folder)?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names = names.collect::<io::Result<Vec<String>>>()?;
    names.sort_unstable();
    Ok(names)
}
