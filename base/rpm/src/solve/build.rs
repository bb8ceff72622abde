//! Interning: what happens to packages on their way into a pool.

use std::collections::BTreeSet;

use keel_artefact::{Dependency, Evr, Rich};
use rustc_hash::FxHashMap;

use super::{
    package::Package,
    pool::{Entry, Kept, Need, Text},
};

/// Interned texts.
#[derive(Debug, Default)]
pub(super) struct Texts {
    ids: FxHashMap<Box<str>, Text>,
    texts: Vec<Box<str>>,
}

impl Texts {
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    pub fn intern(&mut self, text: &str) -> Text {
        if let Some(&id) = self.ids.get(text) {
            return id;
        }
        let id = self.texts.len() as Text;
        self.texts.push(text.into());
        self.ids.insert(text.into(), id);
        id
    }

    pub fn find(&self, text: &str) -> Option<Text> {
        self.ids.get(text).copied()
    }

    pub fn get(&self, id: Text) -> &str {
        &self.texts[id as usize]
    }
}

/// What is interned while a pool is built.
#[derive(Default)]
pub(super) struct Builder {
    pub texts: Texts,
    pub evrs: Vec<Evr>,
    evr_ids: FxHashMap<Evr, u32>,
    pub kept: Vec<Kept>,
    kept_ids: FxHashMap<Kept, Need>,
    pub rich: Vec<Rich>,
    rich_ids: FxHashMap<Text, u32>,
    pub lists: Vec<Need>,
    pub paths: BTreeSet<Text>,
}

impl Builder {
    fn evr(&mut self, evr: &Evr) -> u32 {
        if let Some(&id) = self.evr_ids.get(evr) {
            return id;
        }
        let id = self.evrs.len() as u32;
        self.evrs.push(evr.clone());
        self.evr_ids.insert(evr.clone(), id);
        id
    }

    /// None for a text that is no dependency.
    fn need(&mut self, dependency: &Dependency) -> Option<Need> {
        let name = self.texts.intern(&dependency.name);
        let kept = if dependency.is_rich() {
            let rich = match self.rich_ids.get(&name) {
                Some(&rich) => rich,
                None => {
                    let tree = Rich::parse(&dependency.name).ok()?;
                    tree.leaves(&mut |leaf| {
                        if leaf.name.starts_with('/') {
                            let path = self.texts.intern(&leaf.name);
                            self.paths.insert(path);
                        }
                    });
                    self.rich.push(tree);
                    let id = (self.rich.len() - 1) as u32;
                    self.rich_ids.insert(name, id);
                    id
                }
            };
            Kept::Rich(rich)
        } else {
            if dependency.name.starts_with('/') {
                self.paths.insert(name);
            }
            let version = dependency
                .version
                .as_ref()
                .map(|(comparison, evr)| (*comparison, self.evr(evr)));
            Kept::Plain { name, version }
        };
        if let Some(&id) = self.kept_ids.get(&kept) {
            return Some(id);
        }
        let id = self.kept.len() as Need;
        self.kept.push(kept.clone());
        self.kept_ids.insert(kept, id);
        Some(id)
    }

    pub fn package(
        &mut self,
        package: &Package,
        repository: u32,
        installed: bool,
        arches: &[Text],
        noarch: Text,
    ) -> Entry {
        let mut bounds = [self.lists.len() as u32; 9];
        let mut unreadable = None;
        let lists = [
            &package.provides,
            &package.requires,
            &package.conflicts,
            &package.obsoletes,
            &package.recommends,
            &package.suggests,
            &package.supplements,
            &package.enhances,
        ];
        for (i, list) in lists.into_iter().enumerate() {
            for dependency in list {
                match self.need(dependency) {
                    Some(need) => self.lists.push(need),
                    // What only ranks may be left out; all else could break what is installed.
                    None if i < 4 => unreadable = Some(self.texts.intern(&dependency.name)),
                    None => {}
                }
            }
            bounds[i + 1] = self.lists.len() as u32;
        }
        let arch = self.texts.intern(&package.arch);
        let source = matches!(package.arch.as_str(), "src" | "nosrc");
        Entry {
            name: self.texts.intern(&package.name),
            evr: self.evr(&package.evr),
            arch,
            vendor: self.texts.intern(package.vendor.as_deref().unwrap_or("")),
            repository,
            place: 0,
            installed,
            fits: !source && (arches.is_empty() || arch == noarch || arches.contains(&arch)),
            unreadable,
            bounds,
        }
    }
}

pub(super) fn nothing() -> Package {
    let evr = Evr {
        epoch: 0,
        version: String::new(),
        release: String::new(),
    };
    Package::named("", evr, "")
}

/// One order for the packages of a repository, however they came.
pub(super) fn canonical(a: &Package, b: &Package) -> std::cmp::Ordering {
    let texts = |list: &[Dependency]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    let evr = |evr: &Evr| (evr.epoch, evr.version.clone(), evr.release.clone());
    (a.name.cmp(&b.name))
        .then_with(|| a.evr.compare(&b.evr))
        .then_with(|| a.arch.cmp(&b.arch))
        .then_with(|| evr(&a.evr).cmp(&evr(&b.evr)))
        .then_with(|| a.vendor.cmp(&b.vendor))
        .then_with(|| texts(&a.provides).cmp(&texts(&b.provides)))
        .then_with(|| texts(&a.requires).cmp(&texts(&b.requires)))
        .then_with(|| texts(&a.conflicts).cmp(&texts(&b.conflicts)))
        .then_with(|| texts(&a.obsoletes).cmp(&texts(&b.obsoletes)))
        .then_with(|| texts(&a.recommends).cmp(&texts(&b.recommends)))
        .then_with(|| texts(&a.suggests).cmp(&texts(&b.suggests)))
        .then_with(|| texts(&a.supplements).cmp(&texts(&b.supplements)))
        .then_with(|| texts(&a.enhances).cmp(&texts(&b.enhances)))
        .then_with(|| a.files.cmp(&b.files))
}
