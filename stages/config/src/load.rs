//! From a folder to a [`Project`].

use std::path::{Path, PathBuf};

use crate::{
    BaseRepository, Diagnostic, Errors, PROJECT_FILES, Project, check, diagnostic, includes,
    inherit::Inheritance,
    merge,
    model::ROOT,
    read, strict,
    table::{Problems, Table, join},
    tree::{Place, Sources, Value, normalise},
};

/// The project file of `dir` or of the nearest folder above it. Absolute.
///
/// Fails if there is none.
pub fn find(dir: &Path) -> Result<PathBuf, Errors> {
    let start = match fs_err::canonicalize(dir) {
        Ok(start) => start,
        Err(error) => {
            let message = format!("cannot enter the project's folder `{}`", dir.display());
            return Err(Diagnostic::new(message).caused_by(&error).into());
        }
    };
    match start.ancestors().find_map(main_file) {
        Some(file) => Ok(file),
        None => {
            let message = format!(
                "no project: neither `{}` nor a folder above it has a `keel.toml`",
                dir.display()
            );
            let below = projects_below(&start);
            let hint = match below.as_slice() {
                [] => "name the project's folder with `-C DIR`".to_owned(),
                below => format!("there is one below: {}", below.join(", ")),
            };
            Err(Diagnostic::new(message).hint(hint).into())
        }
    }
}

/// Folders right below that have a project, as they would be named; few.
fn projects_below(start: &Path) -> Vec<String> {
    const MOST_SEEN: usize = 1000;
    const MOST: usize = 3;
    // A folder that cannot be read has none to tell of.
    let entries = fs_err::read_dir(start).into_iter().flatten().take(MOST_SEEN);
    let mut found: Vec<String> = (entries.flatten())
        .filter(|entry| main_file(&entry.path()).is_some())
        .map(|entry| format!("`-C {}`", entry.file_name().to_string_lossy()))
        .collect();
    found.sort();
    found.truncate(MOST);
    found
}

fn main_file(folder: &Path) -> Option<PathBuf> {
    let files = PROJECT_FILES.map(|name| folder.join(name));
    files.into_iter().find(|file| file.is_file())
}

/// A base tree that lies in a repository: `[keel.base]` with `git` and `commit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitBase {
    /// Address of the repository.
    pub git: String,
    /// Its commit, 40 hexadecimal digits.
    pub commit: String,
}

/// Brings a base tree's commit onto this machine and says where it lies; the reason why not, otherwise.
pub type Checkout<'a> = dyn Fn(&GitBase) -> Result<PathBuf, String> + 'a;

/// Reads the project of `dir` or of the nearest folder above it.
///
/// Fails with everything that is wrong in any of its files, and for a base tree that is not on this machine.
pub fn load(dir: &Path) -> Result<Project, Errors> {
    load_with(dir, &nowhere)
}

/// As [`load`]; base trees in repositories are brought by `checkout`.
pub fn load_with(dir: &Path, checkout: &Checkout<'_>) -> Result<Project, Errors> {
    Layers::read(dir, checkout)?.checked()
}

/// Where nothing is fetched.
pub fn nowhere(_: &GitBase) -> Result<PathBuf, String> {
    Err("base trees in repositories are not fetched here".to_owned())
}

/// A tree cannot stand on more than this many others.
const MOST_TREES: usize = 8;

/// All files of a project as they were written, and as one.
pub(crate) struct Layers {
    pub(crate) root: PathBuf,
    main: PathBuf,
    pub(crate) sources: Sources,
    /// The project's own tree, then those that it stands on, nearest first.
    trees: Vec<Tree>,
    /// All files as one table.
    pub(crate) merged: Value,
    problems: Problems,
    /// Every file could be read.
    complete: bool,
}

struct Tree {
    root: PathBuf,
    documents: Vec<Value>,
    rendered_specs_dir: PathBuf,
    /// What the tree above it says of its packages.
    repository: Option<BaseRepository>,
}

impl Layers {
    pub(crate) fn read(dir: &Path, checkout: &Checkout<'_>) -> Result<Self, Errors> {
        let main = find(dir)?;
        let root = folder_of(&main);
        let mut layers = Self {
            root: root.clone(),
            main: main.clone(),
            sources: Sources::default(),
            trees: Vec::new(),
            merged: Value::empty(Place {
                file: 0,
                start: 0,
                end: 0,
            }),
            problems: Problems::default(),
            complete: true,
        };
        let mut next = Some((main, None));
        let mut seen = Vec::new();
        while let Some((main, repository)) = next.take() {
            seen.push(main.clone());
            layers.read_tree(&main, repository);
            next = layers.base(checkout, &seen);
        }
        layers.complete = layers.problems.is_empty();
        for tree in layers.trees.iter().rev() {
            for document in &tree.documents {
                strict::check(&layers.sources, &layers.problems, &ROOT, document);
                layers.check_fragments(document);
            }
        }
        layers.merge();
        Ok(layers)
    }

    fn read_tree(&mut self, main: &Path, repository: Option<BaseRepository>) {
        let is_ours = main.file_name().is_some_and(|name| name == PROJECT_FILES[0]);
        let tree = self.sources.add_tree(folder_of(main), is_ours);
        let documents = includes::read(&self.root, main, tree, &self.sources, &self.problems);
        for document in &documents {
            let word = document.get(&["keel", "merge"]).and_then(Value::text);
            if let Some(word) = word {
                self.sources.set_explicit(tree, word != "azldev");
            }
        }
        let root = folder_of(main);
        let said = documents.iter().rev().find_map(|document| {
            let value = document.get(&["project", "rendered-specs-dir"])?;
            let text = value.text().filter(|text| !text.is_empty())?;
            Some(self.sources.resolve(value.at, text))
        });
        self.trees.push(Tree {
            rendered_specs_dir: said.unwrap_or_else(|| root.join("specs")),
            root,
            documents,
            repository,
        });
    }

    /// The main file of the tree that the last one stands on, and where its packages may be had.
    fn base(&self, checkout: &Checkout<'_>, seen: &[PathBuf]) -> Option<(PathBuf, Option<BaseRepository>)> {
        let tree = self.trees.last()?;
        let said = tree.documents.iter().rev();
        let (key, base) = said
            .filter_map(|document| document.get(&["keel"])?.entries()?.get("base"))
            .map(|entry| (entry.key, &entry.value))
            .next()?;
        let wrong = |message: String| {
            self.problems.push(self.sources.wrong(key, message));
            None
        };
        let text = |key| {
            base.get(&[key])
                .and_then(Value::text)
                .filter(|text| !text.is_empty())
        };
        let folder =
            match (text("path"), text("git"), text("commit")) {
                (Some(path), None, None) => self.sources.resolve(key, path),
                (None, Some(git), Some(commit)) => {
                    let base = GitBase {
                        git: git.to_owned(),
                        commit: commit.to_owned(),
                    };
                    match checkout(&base) {
                        Ok(folder) => normalise(&folder),
                        Err(why) => {
                            let message = format!("cannot use the base tree at {git}");
                            let wrong = self.sources.wrong(key, message).cause(why);
                            self.problems.push(wrong.hint(
                                "or check it out yourself, and say `path = \"FOLDER\"` in `[keel.base]`",
                            ));
                            return None;
                        }
                    }
                }
                _ => {
                    wrong("`[keel.base]` has either `path`, or `git` and `commit`".to_owned())?;
                    return None;
                }
            };
        let Some(main) = main_file(&folder) else {
            let message = format!(
                "there is no base tree in `{}`: it has no `keel.toml`",
                folder.display()
            );
            let hint = "`path` in `[keel.base]` is relative to the folder of the file that says it";
            self.problems.push(self.sources.wrong(key, message).hint(hint));
            return None;
        };
        if seen.contains(&main) {
            return wrong("trees stand on each other in a circle".to_owned());
        }
        if seen.len() > MOST_TREES {
            return wrong(format!("a tree stands on {MOST_TREES} others at most"));
        }
        Some((main, self.repository(base, &folder)))
    }

    /// Where the packages of the base in `folder` may be had. Its key is a file of this tree, or else of the base.
    fn repository(&self, base: &Value, folder: &Path) -> Option<BaseRepository> {
        let said = |key: &str| {
            let entry = base.entries()?.get(key)?;
            let text = entry.value.text().filter(|text| !text.is_empty())?;
            Some((entry.key, text))
        };
        let (at, address) = said("repository")?;
        let Some((key_at, key)) = said("gpg-key") else {
            let message = "`[keel.base]` has a `repository` and no `gpg-key`".to_owned();
            let wrong = self.sources.wrong(at, message);
            self.problems.push(wrong.hint(
                "name the public key that signed it: `gpg-key = \"keys/base.asc\"`, a file of this tree or of the base; what nobody \
                 signed is not used",
            ));
            return None;
        };
        let candidates = match key.strip_prefix("file://") {
            Some(path) => vec![PathBuf::from(path)],
            None if key.contains("://") => Vec::new(),
            None => vec![self.sources.resolve(key_at, key), normalise(&folder.join(key))],
        };
        let Some(key) = candidates.iter().find(|file| file.is_file()) else {
            let wrong = self.sources.wrong(key_at, format!("there is no key `{key}`"));
            let wrong = candidates.iter().fold(wrong, |wrong, file| {
                wrong.cause(format!("`{}` is no file", file.display()))
            });
            self.problems.push(wrong.hint(
                "the key is a file, so that a review sees when another is trusted: fetch it once and keep it in the tree",
            ));
            return None;
        };
        Some(BaseRepository {
            address: address.trim_end_matches('/').to_owned(),
            key: key.clone(),
        })
    }

    /// What is written for components is read once where it is written, so that errors are told once.
    fn check_fragments(&self, document: &Value) {
        let mut fragments: Vec<(String, Place, &Value)> = Vec::new();
        let config = "default-component-config";
        let entries = |path: &[&str]| document.get(path).and_then(Value::entries).into_iter().flatten();
        for (name, entry) in entries(&["components"]) {
            fragments.push((join("components", name), entry.key, &entry.value));
        }
        let own = fragments.len();
        if let Some(entry) = document.entries().and_then(|entries| entries.get(config)) {
            fragments.push((config.to_owned(), entry.key, &entry.value));
        }
        let below = |name: String, value: &'_ Value| -> Option<(String, Place)> {
            let entry = value.entries()?.get(config)?;
            Some((join(&name, config), entry.key))
        };
        for (name, entry) in entries(&["component-groups"]) {
            let found = below(join("component-groups", name), &entry.value);
            fragments.extend(found.and_then(|(title, at)| Some((title, at, entry.value.get(&[config])?))));
        }
        for (distro, entry) in entries(&["distros"]) {
            let versions = entry.value.get(&["versions"]).and_then(Value::entries);
            for (version, entry) in versions.into_iter().flatten() {
                let title = join(&join(&join("distros", distro), "versions"), version);
                let found = below(title, &entry.value);
                fragments
                    .extend(found.and_then(|(title, at)| Some((title, at, entry.value.get(&[config])?))));
            }
        }
        for (index, (title, at, value)) in fragments.into_iter().enumerate() {
            if value.entries().is_none_or(|entries| entries.is_empty()) {
                continue;
            }
            if let Some(table) = Table::new(&self.sources, &self.problems, title, at, value) {
                let _ = read::component::read(&table);
                if index < own {
                    read::component::check_own(&table);
                }
            }
        }
    }

    /// All files as one table: a base before the tree that stands on it, a file before those it includes.
    fn merge(&mut self) {
        for (index, tree) in self.trees.iter().enumerate().rev() {
            if index + 1 < self.trees.len() {
                merge::drop_private(&ROOT, &mut self.merged);
            }
            for document in &tree.documents {
                merge::lay_over(&self.sources, &self.problems, &ROOT, &mut self.merged, document);
            }
        }
    }

    /// The files of all trees, in the order in which they are laid over each other.
    pub(crate) fn documents(&self) -> impl Iterator<Item = &Value> {
        self.trees.iter().rev().flat_map(|tree| &tree.documents)
    }

    /// Tables that all components inherit, lowest first, by where they stand.
    pub(crate) fn defaults(&self, distro: Option<&crate::Distro>) -> Vec<Vec<String>> {
        let config = "default-component-config".to_owned();
        let of_version = distro.map(|distro| {
            let path = ["distros", &distro.name, "versions", &distro.key].map(str::to_owned);
            path.into_iter().chain([config.clone()]).collect()
        });
        of_version.into_iter().chain([vec![config.clone()]]).collect()
    }

    /// Components, with what they inherit.
    pub(crate) fn inheritance(&self, distro: Option<&crate::Distro>) -> Inheritance<'_> {
        let defaults = self.defaults(distro);
        let layers: Vec<&Value> = (defaults.iter())
            .filter_map(|path| {
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                self.merged.get(&path)
            })
            .collect();
        Inheritance::new(&self.root, &self.sources, &self.problems, &self.merged, &layers)
    }

    /// The project; fails with everything that is wrong.
    pub(crate) fn checked(&self) -> Result<Project, Errors> {
        match self.build() {
            Some(project) => Errors::check(project, self.problems.take()),
            None => Err(Errors::check((), self.problems.take()).err().unwrap_or_else(|| {
                Errors::from(Diagnostic::new(
                    "the project could not be read, and no reason was recorded",
                ))
            })),
        }
    }

    /// The project as far as it could be read; what is wrong goes to the problems.
    pub(crate) fn build(&self) -> Option<Project> {
        let merged = &self.merged;
        let root = Table::new(&self.sources, &self.problems, String::new(), merged.at, merged)?;
        let mut project = Project::empty(&self.root);
        read::settings::read(&root, &mut project);
        project.trees = (self.trees.iter())
            .map(|tree| crate::Tree {
                root: tree.root.clone(),
                rendered_specs_dir: tree.rendered_specs_dir.clone(),
                repository: tree.repository.clone(),
            })
            .collect();
        project.images = read::image::read(&self.root, &root, &project.package_groups);
        if !self.complete {
            // What a file that could not be read may hold is not to be called missing.
            return None;
        }
        let shown = diagnostic::shown(&self.root, &self.main);
        let main = shown.display().to_string();
        let distro = check::distro(&project, &root, &main);
        let inheritance = self.inheritance(distro.as_ref());
        project.components = inheritance.components();
        for (component, groups) in inheritance.memberships() {
            for group in groups {
                if let Some(group) = project.component_groups.get_mut(group)
                    && !group.components.contains(component)
                {
                    group.components.push(component.clone());
                }
            }
        }
        let is_azldevs = shown.ends_with("azldev.toml");
        check::whole(&project, &root, is_azldevs, &self.problems);
        project.distro = distro?;
        project.name = project.distro.name.clone();
        project.files = self.sources.paths();
        Some(project)
    }
}

fn folder_of(main: &Path) -> PathBuf {
    main.parent().unwrap_or(Path::new("/")).to_owned()
}
