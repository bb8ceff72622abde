//! Plans of made-up recipes.

use std::{path::PathBuf, sync::Arc};

use keel_artefact::{Epoch, ImageName, Nevra, PackageName, Sha256};
use keel_config::{
    BuildOptions, Component, Image, Location,
    image::{Capabilities, Format, Kind},
};
use keel_spec::{BuildRequire, RecipePackage};

use super::*;

mod costs;
mod cycles;
mod order;
mod published;
mod sections;
mod solver;
mod told;

/// What a plan goes by.
fn known<'a>(generated: &'a Generated, published: &'a Published, interrupt: &'a Interrupt) -> Known<'a> {
    Known {
        generated,
        published,
        interrupt,
    }
}

/// A distribution in a few words: `component: build requirements; package: requirements; …`.
/// A package provides itself; `package=capability` provides that, too.
struct World {
    project: Project,
    recipes: Vec<Recipe>,
    generated: Generated,
    published: Published,
}

fn world(components: &[&str]) -> World {
    let lends = ["gcc", "make", "cc", "/usr/bin/sh"].map(|name| (name.to_owned(), vec!["x".to_owned()]));
    let mut project = Project::empty("/p".as_ref());
    project.name = "d".into();
    project.stage0.lends = lends.into();
    let recipes: Vec<Recipe> = components.iter().map(|text| recipe(text)).collect();
    for recipe in &recipes {
        let component = Component {
            name: recipe.component.clone(),
            tree: 0,
            changed_in: 0,
            is_bare: true,
            groups: vec![],
            settings: Arc::default(),
            defined_at: Location::file("c.toml"),
        };
        project.components.insert(recipe.component.clone(), component);
    }
    World {
        project,
        recipes,
        generated: Generated::new(),
        published: Published::default(),
    }
}

fn recipe(text: &str) -> Recipe {
    let mut parts = text
        .split(';')
        .map(|part| part.split_once(':').unwrap_or((part, "")));
    let (head, build) = parts.next().unwrap();
    let (name, version) = head.trim().split_once('@').unwrap_or((head.trim(), "1"));
    let list = |text: &str| -> Vec<keel_artefact::Dependency> {
        text.split(',')
            .filter(|word| !word.trim().is_empty())
            .map(|word| word.parse().unwrap())
            .collect()
    };
    let evr: keel_artefact::Evr = format!("{version}-1").parse().unwrap();
    let mut packages: Vec<RecipePackage> = Vec::new();
    for (package, requires) in std::iter::once((name, "")).chain(parts) {
        let mut provides = package.trim().split('=');
        let package: PackageName = provides.next().unwrap().parse().unwrap();
        let provide = |name: String| keel_artefact::Provide {
            name,
            evr: Some(evr.clone()),
        };
        let mut provides: Vec<_> = provides.map(|name| provide(name.to_owned())).collect();
        provides.push(provide(format!("{package}(x86-64)")));
        packages.retain(|known| known.nevra.name != package);
        packages.push(RecipePackage {
            nevra: Nevra {
                name: package,
                evr: evr.clone(),
                arch: "x86_64".parse().unwrap(),
            },
            provides,
            requires: list(requires),
            conflicts: vec![],
            obsoletes: vec![],
            recommends: vec![],
            supplements: vec![],
            summary: String::new(),
        });
    }
    let lines = (10..).map(Some);
    Recipe {
        format: keel_spec::FORMAT,
        component: name.parse().unwrap(),
        arch: Arch::X86_64,
        name: name.parse().unwrap(),
        evr,
        spec_digest: Sha256::of(text.as_bytes()),
        spec_file: format!("/p/{name}.spec").into(),
        spec_shown: format!("{name}.spec").into(),
        macros_digest: Sha256::of(b""),
        source_date_epoch: Epoch(0),
        licence: "MIT".into(),
        noarch: false,
        build_requires: list(build)
            .into_iter()
            .zip(lines)
            .map(|(dependency, line)| BuildRequire { dependency, line })
            .collect(),
        packages,
        sources: vec![],
        defines: BTreeMap::new(),
        undefines: vec![],
        rebuild: 0,
        generates: None,
        has_check: false,
    }
}

impl World {
    fn image(mut self, name: &str, packages: &[&str]) -> Self {
        let name: ImageName = name.parse().unwrap();
        let image = Image {
            name: name.clone(),
            description: String::new(),
            capabilities: Capabilities::default(),
            definition: PathBuf::from("/p/i"),
            kind: Kind::Keel,
            profile: None,
            test_suites: vec![],
            channels: vec![],
            inherits: None,
            purpose: None,
            packages: packages.iter().map(|name| name.parse().unwrap()).collect(),
            exclude: vec![],
            install_weak_deps: false,
            documentation: true,
            languages: None,
            formats: vec![Format::Oci],
            container: None,
            live: None,
            cpio: keel_config::image::Compression::default(),
            wsl: keel_config::image::Wsl::default(),
            disk: None,
            memory_mib: 1,
            os: keel_config::image::Os::default(),
            scripts: vec![],
            tests: vec![],
            defined_at: Location::file("i.toml"),
        };
        self.project.images.insert(name, image);
        self
    }

    fn build(mut self, component: &str, change: impl Fn(&mut BuildOptions)) -> Self {
        let name: ComponentName = component.parse().unwrap();
        let component = self.project.components.get_mut(&name).unwrap();
        change(&mut Arc::make_mut(&mut component.settings).build);
        self
    }

    fn base(mut self, requirement: &str) -> Self {
        self.project.base_requires.push(requirement.to_owned());
        self
    }

    fn sources(&self) -> Vec<SourceSet> {
        let set = |recipe: &Recipe| SourceSet {
            format: keel_source::FORMAT,
            component: recipe.component.clone(),
            arch: recipe.arch,
            files: vec![],
        };
        self.recipes.iter().map(set).collect()
    }

    fn plan(&self, targets: &Targets) -> Result<Plan, Error> {
        let plan = plan(
            &self.project,
            &self.recipes,
            &self.sources(),
            targets,
            &Costs::new(),
            &known(&self.generated, &self.published, &Interrupt::default()),
        )?;
        let names: BTreeSet<_> = plan.jobs.iter().map(|job| job.component.clone()).collect();
        let selected = select(
            &self.project,
            &self.recipes,
            targets,
            &|_| vec![],
            &known(&self.generated, &self.published, &Interrupt::default()),
        )?;
        assert_eq!(names.into_iter().collect::<Vec<_>>(), selected);
        Ok(plan)
    }

    fn jobs(&self, targets: &Targets) -> String {
        let plan = self.plan(targets).unwrap_or_else(|error| panic!("{error}"));
        plan.jobs
            .iter()
            .map(|job| job.component.as_str())
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn error(&self, targets: &Targets) -> String {
        self.plan(targets).unwrap_err().to_string()
    }
}

fn components(names: &[&str]) -> Targets {
    Targets::Components(names.iter().map(|name| name.parse().unwrap()).collect())
}

fn packages(names: &[&str]) -> Targets {
    Targets::Packages(names.iter().map(|name| name.parse().unwrap()).collect())
}

/// bash ← readline ← ncurses ← glibc ← kernel-headers; zlib and curl beside them.
fn small() -> World {
    world(&[
        "bash: gcc, make, readline-devel, glibc-devel; bash",
        "readline: gcc, ncurses-devel, glibc-devel; readline-libs; readline-devel: readline-libs(x86-64) = 1-1, ncurses-devel",
        "ncurses: gcc, glibc-devel; ncurses-libs; ncurses-devel: ncurses-libs",
        "glibc: gcc, kernel-headers; glibc; glibc-devel: glibc(x86-64), kernel-headers",
        "kernel-headers: make",
        "zlib: gcc, glibc-devel; zlib; zlib-devel: zlib",
        "curl: cc, zlib-devel >= 1; curl: zlib, ca",
        "ca: ; ca: /usr/bin/sh",
    ])
    .image("core", &["bash", "curl"])
}

fn world_of(other: &World) -> World {
    World {
        project: other.project.clone(),
        recipes: other.recipes.clone(),
        generated: Generated::new(),
        published: Published::default(),
    }
}
