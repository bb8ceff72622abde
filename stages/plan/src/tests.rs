//! Plans of made-up recipes.

use std::{path::PathBuf, sync::Arc};

use keel_artefact::{Epoch, ImageName, Nevra, PackageName, Sha256};
use keel_config::{
    BuildOptions, Component, Image, Location,
    image::{Capabilities, Format, Kind},
};
use keel_spec::{BuildRequire, RecipePackage};

use super::*;

mod cycles;
mod published;
mod sections;
mod solver;

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
            packages: packages.iter().map(|name| name.parse().unwrap()).collect(),
            exclude: vec![],
            install_weak_deps: false,
            formats: vec![Format::Oci],
            container: None,
            disk: None,
            memory_mib: 1,
            os: keel_config::image::Os::default(),
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

#[test]
fn jobs_are_in_an_order_in_which_they_can_be_built() {
    let world = small();
    assert_eq!(
        world.jobs(&Targets::All),
        "ca kernel-headers glibc ncurses readline bash zlib curl"
    );
    let mut reversed = small();
    reversed.recipes.reverse();
    assert_eq!(reversed.jobs(&Targets::All), world.jobs(&Targets::All));
    let plan = world.plan(&Targets::All).unwrap();
    let bash = plan.job(&"bash".parse().unwrap()).unwrap();
    let names = |list: &[ComponentName]| {
        list.iter()
            .map(|name| name.as_str())
            .collect::<Vec<_>>()
            .join(" ")
    };
    // What readline-devel requires is in bash's build root, so its makers are needed directly.
    assert_eq!(names(&bash.needs), "glibc kernel-headers ncurses readline");
    assert_eq!(names(&bash.after), "glibc kernel-headers ncurses readline");
    assert_eq!(
        bash.direct.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["readline-devel", "glibc-devel"]
    );
    assert_eq!(bash.lent, ["gcc", "make"]);
    assert_eq!(
        plan.providers[&"readline-devel".parse::<PackageName>().unwrap()].as_str(),
        "readline"
    );
}

#[test]
fn targets_choose_what_they_need_and_no_more() {
    let world = small();
    assert_eq!(world.jobs(&components(&["zlib"])), "kernel-headers glibc zlib");
    assert_eq!(world.jobs(&components(&["ca", "ca"])), "ca");
    // `curl` requires `ca` at run time only; an image of it needs both.
    assert_eq!(
        world.jobs(&components(&["curl"])),
        "kernel-headers glibc zlib curl"
    );
    assert_eq!(
        world.jobs(&packages(&["curl"])),
        "ca kernel-headers glibc zlib curl"
    );
    assert_eq!(
        world.jobs(&packages(&["ncurses-libs"])),
        "kernel-headers glibc ncurses"
    );
}

#[test]
fn costs_and_switches_come_from_the_configuration() {
    let world = small()
        .build("glibc", |build| build.cpu_seconds = Some(100.0))
        .build("zlib", |build| build.expensive = true)
        .build("kernel-headers", |build| {
            (build.bootstrap_libc, build.check.skip) = (true, true)
        });
    let plan = world.plan(&Targets::All).unwrap();
    let job = |name: &str| plan.job(&name.parse().unwrap()).unwrap();
    assert_eq!(job("bash").cpu_seconds, 20.0);
    assert_eq!(job("zlib").cpu_seconds, 600.0);
    assert_eq!(job("glibc").cpu_seconds, 100.0);
    assert!(job("kernel-headers").bootstrap_libc && job("kernel-headers").skip_check);
    assert!(!job("glibc").bootstrap_libc);
}

#[test]
fn the_base_is_in_every_root_but_those_it_is_made_in() {
    let world = world(&["macros: gcc, files", "files:", "zlib: gcc"]).base("macros");
    let plan = world.plan(&Targets::All).unwrap();
    let direct = |name: &str| -> Vec<String> {
        plan.job(&name.parse().unwrap())
            .unwrap()
            .direct
            .iter()
            .map(ToString::to_string)
            .collect()
    };
    assert_eq!(direct("zlib"), ["macros"]);
    assert_eq!(direct("macros"), ["files"]);
    assert_eq!(direct("files"), Vec::<String>::new());
    assert_eq!(world.jobs(&components(&["zlib"])), "files macros zlib");
}

#[test]
fn what_stage0_lends_is_borrowed_and_the_rest_is_the_newest_of_keel_s() {
    // `make` is made here too, and built with itself: no cycle, because it is borrowed.
    let world = world(&[
        "make: gcc, make",
        "a: make, gcc(x86-64)",
        "b: thing; b",
        "c: ; x=thing; y=thing",
        "d@2: ; z=thing",
    ]);
    let plan = world.plan(&Targets::All).unwrap();
    let a = plan.job(&"a".parse().unwrap()).unwrap();
    assert_eq!(
        (a.needs.len(), a.lent.join(" ")),
        (0, "gcc(x86-64) make".to_owned())
    );
    assert_eq!(plan.job(&"b".parse().unwrap()).unwrap().needs[0].as_str(), "d");
    // An image installs what is made here.
    assert_eq!(world.jobs(&packages(&["make"])), "make");
}

#[test]
fn what_nobody_provides_is_told_with_the_reason_for_asking() {
    let world = small();
    let with = |text: &str| {
        let mut world = world_of(&world);
        let recipe = recipe(text);
        world.recipes.retain(|known| known.component != recipe.component);
        world.recipes.push(recipe);
        world
    };
    assert_eq!(
        with("zlib: gcc, scons >= 3.30; zlib-devel").error(&Targets::All),
        "error: cannot plan `zlib`\n  zlib.spec:11: BuildRequires: scons >= 3.30\n  caused by: no package of this \
         distribution provides `scons`, and stage0 does not lend it\nhint: `zlib` is here because `curl` requires `zlib`, \
         and image `core` installs `curl`"
    );
    assert_eq!(
        with("readline: gcc, ncurse-devel; readline-devel").error(&components(&["bash"])),
        "error: cannot plan `readline`\n  readline.spec:11: BuildRequires: ncurse-devel\n  caused by: no package of this \
         distribution provides `ncurse-devel`, and stage0 does not lend it\nhint: did you mean `ncurses-devel`?\nhint: \
         `readline` is here because `bash` is built with `readline-devel`"
    );
    assert_eq!(
        with("curl: zlib-devel >= 1.3").error(&packages(&["curl"])),
        "error: cannot plan `curl`\n  curl.spec:10: BuildRequires: zlib-devel >= 1.3\n  caused by: newest `zlib-devel` in \
         this distribution is 1-1 (zlib.spec)\nhint: `curl` is here because image `core` installs `curl`"
    );
    // What a package in a build root requires.
    assert_eq!(
        with("zlib: gcc; zlib-devel: zlib, zlib-doc").error(&components(&["curl"])),
        "error: cannot plan `curl`\n  curl.spec:11: BuildRequires: zlib-devel >= 1\n  caused by: `zlib-devel` requires \
         `zlib-doc`\n  caused by: no package of this distribution provides `zlib-doc`, and stage0 does not lend it"
    );
    assert_eq!(
        with("curl: (zlib and b >= 2 and zlib > 7)").error(&components(&["curl"])),
        "error: cannot plan `curl`\n  curl.spec:10: BuildRequires: (zlib and b >= 2 and zlib > 7)\n  caused by: no package of \
         this distribution provides `b`, and stage0 does not lend it\n  caused by: newest `zlib` in this distribution is 1-1 \
         (zlib.spec)"
    );
    // What is not chosen may be wrong.
    assert_eq!(with("curl: (a and b)").jobs(&components(&["ca"])), "ca");
}

fn world_of(other: &World) -> World {
    World {
        project: other.project.clone(),
        recipes: other.recipes.clone(),
        generated: Generated::new(),
        published: Published::default(),
    }
}

#[test]
fn images_get_nothing_from_stage0() {
    let with = |text: &str| {
        let mut world = small();
        world.recipes.retain(|known| known.component.as_str() != "ca");
        world.recipes.push(recipe(text));
        world
    };
    assert_eq!(
        with("ca: ; ca: make").error(&packages(&["curl"])),
        "error: nothing provides what `ca` requires\n  ca.spec: Requires: make\n  caused by: only stage0 has `make`, and it \
         ships nothing"
    );
    assert_eq!(
        with("ca: ; ca: zlib > 7").error(&packages(&["curl"])),
        "error: nothing provides what `ca` requires\n  ca.spec: Requires: zlib > 7\n  caused by: newest `zlib` in this \
         distribution is 1-1 (zlib.spec)"
    );
    let world = small().image("tools", &["crul"]);
    assert_eq!(
        world.error(&packages(&["crul"])),
        "error: no component makes the package `crul`\nhint: did you mean `curl`?\nhint: image `tools` installs it"
    );
    // An image that is not built now may be wrong.
    assert_eq!(world.jobs(&packages(&["ca"])), "ca");
    assert!(world.jobs(&Targets::All).contains("curl"));
}

#[test]
fn one_package_has_one_maker() {
    let world = world(&["a: ; tool", "b: ; tool"]);
    assert_eq!(
        world.error(&Targets::All),
        "error: `a` and `b` both make the package `tool`\n  b.spec\n  caused by: a.spec makes it, too"
    );
}

#[test]
fn wrong_targets_and_callers_are_told() {
    let world = small();
    assert_eq!(
        world.error(&components(&["bahs"])),
        "error: there is no component `bahs`\nhint: did you mean `bash`?"
    );
    let error = plan(
        &world.project,
        &world.recipes,
        &[],
        &components(&["ca"]),
        &Costs::new(),
        &known(&Generated::new(), &Published::default(), &Interrupt::default()),
    )
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the sources of `ca` were not fetched before planning"
    );
    let error = plan(
        &world.project,
        &[],
        &[],
        &Targets::All,
        &Costs::new(),
        &known(&Generated::new(), &Published::default(), &Interrupt::default()),
    )
    .unwrap_err();
    assert!(error.to_string().contains("has the project no components?"));
}

#[test]
fn what_was_measured_counts_before_hints() {
    let world = small().build("glibc", |build| build.cpu_seconds = Some(100.0));
    let cost = Cost {
        cpu: 7.0,
        wall: 3.5,
        memory: 9,
    };
    let costs = [("glibc", cost), ("zlib", cost)].map(|(name, cost)| (name.parse().unwrap(), cost));
    let plan = plan(
        &world.project,
        &world.recipes,
        &world.sources(),
        &Targets::All,
        &costs.into(),
        &known(&Generated::new(), &Published::default(), &Interrupt::default()),
    )
    .unwrap();
    let job = |name: &str| plan.job(&name.parse().unwrap()).unwrap();
    assert_eq!(
        (job("glibc").cpu_seconds, job("glibc").wall_seconds),
        (7.0, Some(3.5))
    );
    assert_eq!(job("glibc").cost_from, CostFrom::Measured);
    assert_eq!(
        (job("bash").cost_from, job("bash").wall_seconds),
        (CostFrom::Guess, None)
    );
    assert_eq!(
        job("bash").why,
        Why::Package {
            package: "bash".parse().unwrap(),
            image: Some("core".into())
        }
    );
    assert_eq!(job("bash").because["glibc"].line, Some(13));
}
