//! What components inherit: distribution's version, project, groups by name, the component itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use keel_artefact::ComponentName;

use crate::{
    Component, Settings, Spec, includes, merge,
    model::COMPONENT,
    overlay::Overlay,
    read::{component, overlay},
    table::{Problems, Table, Text, join},
    tree::{Data, Entry, Place, Sources, Value},
};

/// All components, with what they inherit.
pub(crate) struct Inheritance<'a> {
    sources: &'a Sources,
    problems: &'a Problems,
    merged: &'a Value,
    /// Of the distribution's version and of the project.
    defaults: Value,
    /// Component → the groups that it is in, in the order of their names.
    groups: BTreeMap<String, Vec<String>>,
    /// Component → the lowest tree that puts it into a group which says something.
    joined: BTreeMap<String, usize>,
    /// SPECs that groups found, with the place of the pattern.
    found: BTreeMap<String, (PathBuf, Place)>,
    files: overlay::Files<'a>,
}

/// What a component without words of its own inherits depends on this only.
type Bare = Vec<String>;

/// Settings, and the lowest tree that says some of them.
#[derive(Clone)]
struct Inherited {
    settings: Arc<Settings>,
    changed_in: Option<usize>,
}

impl<'a> Inheritance<'a> {
    /// `layers`: the defaults below all groups, lowest first.
    pub(crate) fn new(
        root: &'a Path,
        sources: &'a Sources,
        problems: &'a Problems,
        merged: &'a Value,
        layers: &[&Value],
    ) -> Self {
        let mut defaults = Value::empty(merged.at);
        for layer in layers {
            merge::lay_over(sources, problems, &COMPONENT, &mut defaults, layer);
        }
        let mut inheritance = Self {
            sources,
            problems,
            merged,
            defaults,
            groups: BTreeMap::new(),
            joined: BTreeMap::new(),
            found: BTreeMap::new(),
            files: overlay::Files::new(root, sources, problems),
        };
        inheritance.find_members();
        inheritance
    }

    fn find_members(&mut self) {
        let table = |name: &str, entry: &'a Entry| {
            Table::new(
                self.sources,
                self.problems,
                join("component-groups", name),
                entry.key,
                &entry.value,
            )
        };
        let groups = self.merged.get(&["component-groups"]).and_then(Value::entries);
        for (name, entry) in groups.into_iter().flatten() {
            let Some(table) = table(name, entry) else { continue };
            let mut members: BTreeMap<String, usize> = BTreeMap::new();
            let mut join = |name: String, at: Place| {
                let tree = self.sources.tree(at);
                let lowest = members.entry(name).or_insert(tree);
                *lowest = tree.min(*lowest);
            };
            for member in table.strings("components") {
                join(member.value.to_owned(), member.at);
                self.must_be_defined(&table, member);
            }
            for (spec, at) in self.specs(&table) {
                let stem = spec
                    .file_stem()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned();
                match self.found.get(&stem) {
                    Some((first, _)) if *first != spec => {
                        let message = format!("two SPECs would both be component `{stem}`");
                        let wrong = self.sources.wrong(at, message);
                        self.problems.push(
                            wrong
                                .cause(first.display().to_string())
                                .cause(spec.display().to_string()),
                        );
                    }
                    _ => {
                        self.found.insert(stem.clone(), (spec, at));
                        join(stem, at);
                    }
                }
            }
            let config = entry.value.get(&["default-component-config"]);
            let says = config
                .and_then(Value::entries)
                .is_some_and(|config| !config.is_empty());
            for (member, tree) in members {
                if says {
                    let lowest = self.joined.entry(member.clone()).or_insert(tree);
                    *lowest = tree.min(*lowest);
                }
                self.groups.entry(member).or_default().push(name.to_string());
            }
        }
    }

    fn must_be_defined(&self, group: &Table<'_>, member: Text<'_>) {
        let components = self.merged.get(&["components"]).and_then(Value::entries);
        if components.is_some_and(|components| components.contains_key(member.value)) {
            return;
        }
        let known = components.into_iter().flatten().map(|(name, _)| &**name);
        let message = format!(
            "{} has the member `{}`, and there is no such component",
            group.title(),
            member.value
        );
        let wrong = group.wrong(member.at, message);
        group.problems.push(wrong.did_you_mean(member.value, known));
    }

    /// The SPECs of a group's patterns.
    fn specs(&self, group: &Table<'_>) -> Vec<(PathBuf, Place)> {
        let expand = |pattern: &Text<'_>| {
            let folder = self.sources.folder(pattern.at);
            includes::expand(&folder, pattern.value, &[]).unwrap_or_else(|error| {
                let wrong = includes::not_expanded(self.sources, *pattern, &error);
                self.problems.push(wrong);
                Vec::new()
            })
        };
        let excluded: BTreeSet<PathBuf> = (group.strings("excluded-paths").iter())
            .flat_map(expand)
            .collect();
        let patterns = group.strings("specs");
        let found = patterns.iter().flat_map(|pattern| {
            let of_pattern = expand(pattern).into_iter();
            of_pattern.map(|path| (path, pattern.at))
        });
        found
            .filter(|(path, _)| {
                path.extension().is_some_and(|extension| extension == "spec") && !excluded.contains(path)
            })
            .collect()
    }

    /// Every component; what is wrong with one is reported.
    pub(crate) fn components(&self) -> BTreeMap<ComponentName, Component> {
        let mut components = BTreeMap::new();
        let mut bare: BTreeMap<Bare, Inherited> = BTreeMap::new();
        let defined = self.merged.get(&["components"]).and_then(Value::entries);
        for (name, entry) in defined.into_iter().flatten() {
            let Some(table) = Table::new(
                self.sources,
                self.problems,
                join("components", name),
                entry.key,
                &entry.value,
            ) else {
                continue;
            };
            let name = match name.parse::<ComponentName>() {
                Ok(name) => name,
                Err(error) => {
                    table.report(entry.key, error.to_string());
                    continue;
                }
            };
            let inherited = self.settings(name.as_str(), entry, &mut bare);
            if inherited.settings.spec.is_none() {
                self.needs_spec(&table, &name, entry);
            }
            components.insert(name.clone(), self.component(name, entry, inherited));
        }
        for (name, (spec, at)) in &self.found {
            let is_defined = defined.is_some_and(|defined| defined.contains_key(name.as_str()));
            match name.parse::<ComponentName>() {
                Err(error) => self.problems.push(self.sources.wrong(*at, error.to_string())),
                Ok(_) if is_defined => {}
                Ok(name) => {
                    let nothing = Entry {
                        key: *at,
                        value: Value::empty(*at),
                    };
                    let mut inherited = self.settings(name.as_str(), &nothing, &mut bare);
                    Arc::make_mut(&mut inherited.settings).spec = Some(Spec::Local { path: spec.clone() });
                    components.insert(name.clone(), self.component(name, &nothing, inherited));
                }
            }
        }
        components
    }

    fn component(&self, name: ComponentName, entry: &Entry, inherited: Inherited) -> Component {
        let at = entry.key;
        let tree = self.sources.tree(at);
        let joined = self.joined.get(name.as_str()).copied();
        let said = [joined, inherited.changed_in].into_iter().flatten();
        Component {
            is_bare: says_nothing(entry),
            groups: self.groups.get(name.as_str()).cloned().unwrap_or_default(),
            name,
            tree,
            changed_in: said.fold(tree, usize::min),
            settings: inherited.settings,
            defined_at: self.sources.location(at),
        }
    }

    fn settings(&self, name: &str, entry: &Entry, bare: &mut BTreeMap<Bare, Inherited>) -> Inherited {
        let folder = self.sources.folder(entry.key);
        let groups = self.groups.get(name).cloned().unwrap_or_default();
        if !says_nothing(entry) {
            return self.inherited(name, &self.resolve(name, &entry.value), &folder);
        }
        if let Some(inherited) = bare.get(&groups) {
            return inherited.clone();
        }
        let value = self.resolve(name, &entry.value);
        let inherited = self.inherited(name, &value, &folder);
        if !overlay::are_individual(&value) {
            bare.insert(groups, inherited.clone());
        }
        inherited
    }

    fn inherited(&self, name: &str, value: &Value, folder: &Path) -> Inherited {
        Inherited {
            settings: Arc::new(self.read(name, value, folder)),
            changed_in: self.lowest_below(value),
        }
    }

    /// Lowest number of a tree that says something in a value.
    fn lowest_below(&self, value: &Value) -> Option<usize> {
        match &value.data {
            Data::Table(entries) => {
                let of = |entry: &Entry| {
                    let key = self.sources.tree(entry.key);
                    self.lowest_below(&entry.value)
                        .map_or(key, |below| below.min(key))
                };
                entries.values().map(of).min()
            }
            Data::List(items) => {
                let items = items.iter().filter_map(|item| self.lowest_below(item));
                items.chain([self.sources.tree(value.at)]).min()
            }
            _ => Some(self.sources.tree(value.at)),
        }
    }

    /// Component → the groups that it is in.
    pub(crate) fn memberships(&self) -> &BTreeMap<String, Vec<String>> {
        &self.groups
    }

    /// SPECs that are components only because a group's pattern found them, by name, each with the pattern's place.
    pub(crate) fn only_found(&self) -> impl Iterator<Item = (&str, &Path, Place)> {
        let defined = self.merged.get(&["components"]).and_then(Value::entries);
        let is_defined = move |name: &str| defined.is_some_and(|defined| defined.contains_key(name));
        let found = self.found.iter().filter(move |(name, _)| !is_defined(name));
        found.map(|(name, (spec, at))| (name.as_str(), spec.as_path(), *at))
    }

    /// The overlays of a component's overlay files, in the order in which they apply.
    pub(crate) fn of_files(&self, name: &str) -> Vec<Overlay> {
        let own = self.merged.get(&["components"]).and_then(Value::entries);
        let own = own.and_then(|entries| entries.get(name));
        let at = own.map(|entry| entry.key);
        let Some(at) = at.or_else(|| self.found.get(name).map(|(_, at)| *at)) else {
            return Vec::new();
        };
        let nothing = Value::empty(at);
        let value = self.resolve(name, own.map_or(&nothing, |entry| &entry.value));
        let title = join("components", name);
        let table = Table::new(self.sources, self.problems, title, value.at, &value);
        table.map_or_else(Vec::new, |table| {
            let patterns = table.strings("overlay-files");
            self.files.overlays(&patterns, name, &self.sources.folder(at))
        })
    }

    /// The keys of a component, merged.
    pub(crate) fn resolve(&self, name: &str, own: &Value) -> Value {
        let mut value = self.defaults.clone();
        let mut lay = |layer: &Value| {
            merge::lay_over(self.sources, self.problems, &COMPONENT, &mut value, layer);
        };
        for group in self.groups.get(name).into_iter().flatten() {
            let path = ["component-groups", group, "default-component-config"];
            if let Some(layer) = self.merged.get(&path) {
                lay(layer);
            }
        }
        lay(own);
        value
    }

    /// A component without a SPEC; what is wrong with a SPEC that it says was reported.
    fn needs_spec(&self, table: &Table<'_>, name: &ComponentName, entry: &Entry) {
        let resolved = self.resolve(name.as_str(), &entry.value);
        let kind = resolved.get(&["spec", "type"]).and_then(Value::text);
        match (resolved.get(&["spec"]), kind) {
            (None, _) => table.report(table.at, format!("{} needs the key `spec`", table.title())),
            (Some(spec), Some("")) => table.report(
                spec.at,
                format!("{} inherits no `type` for its `spec`", table.title()),
            ),
            _ => {}
        }
    }

    fn read(&self, name: &str, value: &Value, folder: &Path) -> Settings {
        // Where it was written, each fragment was told what is wrong with it; only where nothing is, the whole can be.
        let quiet = Problems::default();
        let title = join("components", name);
        let Some(table) = Table::new(self.sources, &quiet, title, value.at, value) else {
            return Settings::default();
        };
        let mut settings = component::read(&table);
        if self.problems.is_empty() {
            for wrong in quiet.take() {
                self.problems.push(wrong);
            }
        }
        let patterns = table.strings("overlay-files");
        let more = self.files.overlays(&patterns, name, folder);
        settings.overlays.extend(more);
        settings
    }
}

/// Is there nothing in a component's own table?
fn says_nothing(entry: &Entry) -> bool {
    let entries = entry.value.entries();
    entries.is_some_and(|entries| entries.keys().all(|key| &**key == "override"))
}
