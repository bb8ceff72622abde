//! What a project is, once everything in it has been read and checked.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use keel_artefact::{ComponentName, ImageName, PackageName, format::Version};
use serde::Serialize;

use crate::{
    Component, Diagnostic, FORMAT, Image, Location, PackageSettings, Repositories, Spec, TestSuite,
    overlay::Overlay,
};

/// A distribution as its authors wrote it.
#[derive(Debug, Clone, Serialize)]
pub struct Project {
    /// Version of this artefact's format.
    pub format: Version,
    /// The folder of the project file. Absolute.
    pub root: PathBuf,
    /// The project file and everything it includes, image definitions and files of overlays too; absolute, in reading
    /// order.
    pub files: Vec<PathBuf>,
    /// The name of the distribution that is built: the key of its `[distros.NAME]`.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// Which version of the distribution is built.
    pub distro: Distro,
    /// Where stages put what a user takes away (`output-dir`, default `out`). Absolute.
    pub output_dir: PathBuf,
    /// Where logs go, by azldev's key. Absolute.
    pub log_dir: PathBuf,
    /// Where work in progress lies, by azldev's key. Absolute.
    pub work_dir: PathBuf,
    /// Where azldev keeps its locks. Absolute.
    pub lock_dir: PathBuf,
    /// Author of entries in changelogs that a program writes.
    pub author: Option<String>,
    /// The lock of the sources: `keel.lock` beside the project file. It need not exist.
    pub lock_file: PathBuf,
    /// Macro files of the distribution, in reading order. They exist.
    pub macros: Vec<PathBuf>,
    /// Capabilities that are in every build root without being asked for.
    pub base_requires: Vec<String>,
    /// The registry of numeric users and groups, if there is one.
    pub users: Option<PathBuf>,
    /// Severities of rules about packages that the tree changes: `error`, `warning`, `info`, `off`. The rules are not known here.
    pub check_severities: BTreeMap<String, String>,
    /// The Debian root that lends compiler and tools.
    pub stage0: Stage0,
    /// The project's own tree, then those that it stands on, nearest first.
    pub trees: Vec<Tree>,
    /// All distributions that are known, by name.
    pub distros: BTreeMap<String, DistroDefinition>,
    /// Components by name.
    pub components: BTreeMap<ComponentName, Component>,
    /// Groups of components by name.
    pub component_groups: BTreeMap<String, ComponentGroup>,
    /// Settings of all packages.
    pub packages: PackageSettings,
    /// Package groups by name.
    pub package_groups: BTreeMap<String, Group>,
    /// Images by name.
    pub images: BTreeMap<ImageName, Image>,
    /// Suites of tests by name.
    pub test_suites: BTreeMap<String, TestSuite>,
    /// Repositories of packages, and sets of them.
    pub resources: Repositories,
    /// The container of the Image Customizer, if it is said.
    pub image_customizer: Option<String>,
}

impl Project {
    /// A project in `root` that has nothing.
    pub fn empty(root: &Path) -> Self {
        Self {
            format: FORMAT,
            root: root.to_owned(),
            files: Vec::new(),
            name: String::new(),
            description: String::new(),
            distro: Distro::default(),
            output_dir: root.join("out"),
            log_dir: root.join("build/logs"),
            work_dir: root.join("build/work"),
            lock_dir: root.join("locks"),
            author: None,
            lock_file: root.join("keel.lock"),
            macros: Vec::new(),
            base_requires: Vec::new(),
            users: None,
            check_severities: BTreeMap::new(),
            stage0: Stage0::default(),
            trees: vec![Tree {
                root: root.to_owned(),
                rendered_specs_dir: root.join("specs"),
                repository: None,
            }],
            distros: BTreeMap::new(),
            components: BTreeMap::new(),
            component_groups: BTreeMap::new(),
            packages: PackageSettings::default(),
            package_groups: BTreeMap::new(),
            images: BTreeMap::new(),
            test_suites: BTreeMap::new(),
            resources: Repositories::default(),
            image_customizer: None,
        }
    }

    /// `path` as people should see it: relative to the project's folder if it is inside.
    pub fn display(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.root).unwrap_or(path).to_owned()
    }

    /// Where the rendered SPEC of a component lies, be it there or not: `rendered-specs-dir` (of this tree, or else of the base
    /// that the component is of), the name's first letter in
    /// lower case, the name.
    pub fn rendered_spec(&self, component: &Component) -> PathBuf {
        let name = component.name.as_str();
        let letter: String = name.chars().take(1).flat_map(char::to_lowercase).collect();
        let place = Path::new(&letter).join(name).join(format!("{name}.spec"));
        // What this tree rendered counts before what its base did.
        let trees = [self.trees.first(), self.trees.get(component.tree)];
        let mut folders = trees
            .into_iter()
            .flatten()
            .map(|tree| tree.rendered_specs_dir.join(&place));
        let first = folders
            .next()
            .unwrap_or_else(|| self.root.join("specs").join(&place));
        match folders.find(|path| path.is_file()) {
            Some(path) if !first.is_file() => path,
            _ => first,
        }
    }

    /// The SPEC that a component is built from: its own file or, if it has overlays (of more than archives) or is another
    /// distribution's, the rendered one.
    ///
    /// Fails if there is none yet.
    pub fn spec_file(&self, component: &Component) -> Result<PathBuf, Diagnostic> {
        let why = match &component.spec {
            Some(Spec::Local { path }) if !component.overlays.iter().any(Overlay::is_beside) => {
                return Ok(path.clone());
            }
            Some(Spec::Local { .. }) => "it has overlays".to_owned(),
            Some(Spec::Upstream(upstream)) => format!("its SPEC is from {upstream}"),
            None => "it has no SPEC of its own".to_owned(),
        };
        let rendered = self.rendered_spec(component);
        if rendered.is_file() {
            return Ok(rendered);
        }
        let name = &component.name;
        let message = format!("component `{name}` must be rendered before it can be built");
        Err(Diagnostic::new(message)
            .at(component.defined_at.clone())
            .note(why)
            .cause(format!("there is no {}", self.display(&rendered).display()))
            .hint(format!("`keel component render {name}` makes it")))
    }

    /// The components that this tree defines or changes itself, and not one that it stands on.
    pub fn own_components(&self) -> impl Iterator<Item = &Component> {
        self.components.values().filter(|component| component.is_own())
    }

    /// Where a package of a component is published: the project's default, its package group, its component, itself.
    pub fn package_settings(&self, component: &Component, package: &str) -> PackageSettings {
        let group = self
            .package_groups
            .values()
            .find(|group| group.packages.iter().any(|name| name.as_str() == package));
        let of_component = PackageSettings {
            rpm_channel: component.publish.rpm.clone(),
            debuginfo_channel: component.publish.debuginfo.clone(),
        };
        let mut settings = self.packages.clone();
        let layers = [
            group.map(|group| &group.default),
            Some(&of_component),
            component.packages.get(package),
        ];
        for layer in layers.into_iter().flatten() {
            settings.lay_over(layer);
        }
        settings
    }
}

/// One of the trees that a project is made of.
#[derive(Debug, Clone, Serialize)]
pub struct Tree {
    /// Its folder. Absolute.
    pub root: PathBuf,
    /// Where rendered SPECs of its components lie. Absolute.
    pub rendered_specs_dir: PathBuf,
    /// Where its packages may be had, if it is a base.
    pub repository: Option<BaseRepository>,
}

/// Where the packages of a base tree may be had, and who signed them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BaseRepository {
    /// Its address, without `/` at the end; `$basearch` in it is the architecture.
    pub address: String,
    /// The public key of its signatures. Absolute.
    pub key: PathBuf,
}

impl BaseRepository {
    /// The address for an architecture, as rpm calls it.
    pub fn address_for(&self, arch: &str) -> String {
        self.address.replace("$basearch", arch)
    }
}

/// The distribution and version that a project builds (`project.default-distro`).
#[derive(Debug, Clone, Default, Serialize)]
pub struct Distro {
    /// The key of `[distros.NAME]`.
    pub name: String,
    /// The key of the chosen `[distros.NAME.versions.VERSION]`.
    pub key: String,
    /// `release-ver` of it.
    pub version: String,
    /// The distribution's description.
    pub description: String,
}

/// `[distros.NAME]`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct DistroDefinition {
    /// One line for people.
    pub description: String,
    /// The version where none is asked for.
    pub default_version: Option<String>,
    /// Address of its SPECs' repositories, with `$pkg`.
    pub dist_git_base_uri: Option<String>,
    /// Address of its source files, with `$pkg`, `$filename`, `$hashtype`, `$hash`.
    pub lookaside_base_uri: Option<String>,
    /// Addresses of its repositories of packages.
    pub repos: Vec<String>,
    /// Source files come from its own servers only.
    pub disable_origins: bool,
    /// Its versions by name.
    pub versions: BTreeMap<String, DistroVersion>,
}

/// `[distros.NAME.versions.NAME]`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct DistroVersion {
    /// One line for people.
    pub description: String,
    /// The release version.
    pub release_ver: String,
    /// Branch of its SPECs' repositories.
    pub dist_git_branch: Option<String>,
    /// mock's configuration: by architecture, or under an empty name for all. Absolute.
    pub mock_config: BTreeMap<String, PathBuf>,
    /// Repositories that it is made from.
    pub inputs: Inputs,
}

/// `inputs` of a version.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Inputs {
    /// For packages.
    pub rpm_build: Vec<Input>,
    /// For images.
    pub image_build: Vec<Input>,
}

/// One entry of `inputs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Input {
    /// A repository.
    Repo(String),
    /// All of a set.
    Set(String),
}

/// What the Debian root is made of, and what it may lend to build roots.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Stage0 {
    /// Debian's suite: `trixie`. Empty in a project that builds nothing (of azldev's).
    pub suite: String,
    /// Debian packages, in the order given; what they depend on comes along.
    pub packages: Vec<String>,
    /// Debian packages that only components with [`BuildOptions::bootstrap_libc`](crate::BuildOptions) see.
    pub libc_dev: Vec<String>,
    /// What build roots may require from it.
    pub lends: Lends,
}

/// Capability → the Debian packages that lend it.
pub type Lends = BTreeMap<String, Vec<String>>;

/// `[component-groups.NAME]`.
#[derive(Debug, Clone, Serialize)]
pub struct ComponentGroup {
    /// One line for people.
    pub description: String,
    /// Why it is there, for machines.
    pub metadata: Option<crate::overlay::Metadata>,
    /// Its members: those it names, in their order, then those that its patterns found.
    pub components: Vec<String>,
    /// Where it is written.
    pub defined_at: Location,
}

/// `[package-groups.NAME]`: packages under one name, for image definitions.
#[derive(Debug, Clone, Serialize)]
pub struct Group {
    /// One line for people.
    pub description: String,
    /// Its packages, in the order given.
    pub packages: Vec<PackageName>,
    /// Settings of its packages.
    pub default: PackageSettings,
    /// Where it is written.
    pub defined_at: Location,
}
