//! What only a solver answers: boolean requirements, conflicts, obsoletes, several providers, weak dependencies.

use super::*;

/// Changes the package of that name.
fn change(mut world: World, name: &str, change: impl Fn(&mut RecipePackage)) -> World {
    let all = world.recipes.iter_mut().flat_map(|recipe| &mut recipe.packages);
    all.filter(|package| package.nevra.name.as_str() == name)
        .for_each(change);
    world
}

fn list(text: &str) -> Vec<keel_artefact::Dependency> {
    text.split(',').map(|one| one.trim().parse().unwrap()).collect()
}

/// The jobs, whatever the order of the recipes.
fn jobs(world: &World, targets: &Targets) -> String {
    let mut turned = world_of(world);
    turned.recipes.reverse();
    let jobs = world.jobs(targets);
    assert_eq!(jobs, turned.jobs(targets), "the order of recipes must not matter");
    jobs
}

#[test]
fn boolean_build_requirements() {
    let with = |requirement: &str| {
        let asks = format!("app: {requirement}");
        world(&["a: ; a=cap", "b: ; b=cap=extra", "c: ", asks.as_str()])
    };
    for (requirement, needs) in [
        ("(a and c)", "a c app"),
        ("(a or c)", "a app"),
        ("(nobody or c)", "c app"),
        ("(c if a)", "app"),
        ("a, (c if a)", "a c app"),
        ("(c if nobody else a)", "a app"),
        // What stage0 lends is there.
        ("(c if gcc)", "c app"),
        ("(c if gcc(x86-64))", "c app"),
        ("(gcc and c)", "c app"),
        ("(gcc or c)", "app"),
        ("(gcc and make)", "app"),
        ("(c unless nobody)", "c app"),
        ("(c unless gcc else a)", "a app"),
        ("(cap with extra)", "b app"),
        ("(cap without extra)", "a app"),
        ("(gcc with cc)", "app"),
    ] {
        assert_eq!(
            jobs(&with(requirement), &components(&["app"])),
            needs,
            "{requirement}"
        );
    }
    assert_eq!(
        with("(c unless gcc)").error(&components(&["app"])),
        "error: cannot plan `app`\n  app.spec:10: BuildRequires: (c unless gcc)\n  caused by: the packages of the \
         build root cannot be installed together\n  caused by: what is lent is installed, and nothing replaces it\n  caused by: asked \
         for: install (c unless lent(gcc))"
    );
    let lent = with("(gcc or c)").plan(&components(&["app"])).unwrap();
    assert_eq!(lent.jobs[0].lent, ["gcc"]);
}

#[test]
fn what_a_package_in_a_root_requires_may_be_boolean() {
    let with = |requires: &str| {
        let makes = format!("a: ; a: {requires}");
        world(&[makes.as_str(), "b: ", "c: ", "app: a, b"])
    };
    assert_eq!(jobs(&with("(c if b)"), &components(&["app"])), "a b c app");
    // What no SPEC names, rpmbuild may find.
    assert_eq!(jobs(&with("(c if found)"), &components(&["app"])), "a b app");
    assert_eq!(
        jobs(&with("(c and /usr/bin/c)"), &components(&["app"])),
        "a b app"
    );
}

#[test]
fn of_two_providers_one_is_taken_in_any_order() {
    let world = world(&[
        "bb: ; bb=cap=tool",
        "aa: ; aa=cap",
        "tool: ",
        "x: cap",
        "y: tool",
        "z: cap, bb",
    ]);
    assert_eq!(jobs(&world, &components(&["x"])), "aa x");
    assert_eq!(jobs(&world, &components(&["y"])), "tool y");
    assert_eq!(jobs(&world, &components(&["z"])), "bb z");
    let newer = super::world(&["aa@1: ; aa=cap", "bb@2: ; bb=cap", "x: cap"]);
    assert_eq!(jobs(&newer, &components(&["x"])), "bb x");
}

#[test]
fn conflicts_choose_another_provider_or_are_told() {
    let two = world(&[
        "aa: ; aa=cap",
        "bb: ; bb=cap",
        "enemy: ",
        "x: cap, enemy",
        "y: aa, enemy",
    ]);
    let two = change(two, "enemy", |package| package.conflicts = list("aa"));
    assert_eq!(jobs(&two, &components(&["x"])), "bb enemy x");
    assert_eq!(
        two.error(&components(&["y"])),
        "error: cannot plan `y`\n  y.spec:10: BuildRequires: aa\n  caused by: the packages of the build root cannot be \
         installed together\n  caused by: asked for: install aa\n  caused by: asked for: install enemy\n  caused by: \
         enemy-1-1.x86_64 conflicts with aa-1-1.x86_64"
    );
    let new = world(&["new: ; new=cap", "old: ; old=cap", "x: cap"]);
    let new = change(new, "new", |package| package.obsoletes = list("old < 2"));
    assert_eq!(jobs(&new, &components(&["x"])), "new x");
    let old = change(new, "new", |package| package.obsoletes = vec![]);
    let old = change(old, "old", |package| package.obsoletes = list("new"));
    assert_eq!(jobs(&old, &components(&["x"])), "old x");
}

#[test]
fn images_avoid_what_they_exclude_and_take_weak_dependencies_if_they_say_so() {
    let plain = || {
        let world = world(&[
            "app: ; app: cap",
            "aa: ; aa=cap",
            "bb: ; bb=cap",
            "docs: ",
            "plugin: ",
        ])
        .image("core", &["app"]);
        let world = change(world, "app", |package| package.recommends = list("docs"));
        change(world, "plugin", |package| {
            package.supplements = list("(app and docs)")
        })
    };
    let with = |change: &dyn Fn(&mut Image)| {
        let mut world = plain();
        world.project.images.values_mut().for_each(change);
        jobs(&world, &packages(&["app"]))
    };
    assert_eq!(with(&|_| ()), "aa app");
    assert_eq!(
        with(&|image| image.exclude = vec!["aa".parse().unwrap()]),
        "app bb"
    );
    assert_eq!(
        with(&|image| image.install_weak_deps = true),
        "aa app docs plugin"
    );
    let plan = {
        let mut world = plain();
        world
            .project
            .images
            .values_mut()
            .for_each(|image| image.install_weak_deps = true);
        world.plan(&packages(&["app"])).unwrap()
    };
    let why = |name: &str| plan.job(&name.parse().unwrap()).unwrap().why.clone();
    let package = |name: &str| Why::Package {
        package: name.parse().unwrap(),
        image: Some("core".into()),
    };
    assert_eq!(why("app"), package("app"));
    assert_eq!(why("docs"), package("docs"));
    assert_eq!(why("plugin"), package("plugin"));
}

#[test]
fn an_image_that_cannot_be_had_is_told_once() {
    let world = world(&["app: ; app: lib", "lib: ", "enemy: "]).image("core", &["app", "enemy"]);
    let world = change(world, "enemy", |package| package.conflicts = list("lib"));
    assert_eq!(
        world.error(&packages(&["app", "enemy"])),
        "error: the packages of image `core` cannot be installed together\n  caused by: asked for: install app\n  caused by: \
         asked for: install enemy\n  caused by: app-1-1.x86_64 requires lib, which lib-1-1.x86_64 provides\n  caused by: \
         enemy-1-1.x86_64 conflicts with lib-1-1.x86_64"
    );
    // Two packages that nobody wants together.
    assert_eq!(jobs(&world, &components(&["app", "enemy"])), "app enemy");
}

/// More pigeons than holes, each hole for one: what a search takes for ever to find impossible.
fn pigeons(pigeons: usize, holes: usize) -> World {
    let mut texts = Vec::new();
    for pigeon in 0..pigeons {
        let any: Vec<String> = (0..holes).map(|hole| format!("h{hole}in{pigeon}")).collect();
        texts.push(format!("pig{pigeon}: ; pig{pigeon}: ({})", any.join(" or ")));
        texts.extend(any.iter().map(|hole| format!("{hole}: ")));
    }
    let all: Vec<String> = (0..pigeons).map(|pigeon| format!("pig{pigeon}")).collect();
    texts.push(format!("app: {}", all.join(", ")));
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let mut world = world(&texts);
    for package in world.recipes.iter_mut().flat_map(|recipe| &mut recipe.packages) {
        if let Some((hole, _)) = package.nevra.name.as_str().split_once("in") {
            let others = (0..pigeons).map(|other| format!("{hole}in{other}"));
            let others = others.filter(|other| other != package.nevra.name.as_str());
            package.conflicts = others.map(|other| other.parse().unwrap()).collect();
        }
    }
    world
}

#[test]
fn what_is_too_hard_is_told_and_an_interrupt_ends_it() {
    let world = pigeons(11, 10);
    let (generated, published) = (Generated::new(), Published::default());
    let app = components(&["app"]);
    let plan = |interrupt: &Interrupt| {
        let known = known(&generated, &published, interrupt);
        select(&world.project, &world.recipes, &app, &|_| vec![], &known)
    };
    let told = plan(&Interrupt::default()).unwrap_err().to_string();
    assert!(
        told.contains("cannot plan `app`") && told.contains("app.spec:10"),
        "{told}"
    );
    assert!(
        told.contains("too hard to tell") && told.contains("install pig0"),
        "{told}"
    );
    assert!(
        told.contains("hint: many packages that exclude each other"),
        "{told}"
    );
    let interrupt = Interrupt::default();
    interrupt.set();
    assert!(matches!(plan(&interrupt), Err(Error::Interrupted(_))));
}

#[test]
fn a_condition_lacks_nothing() {
    let world = world(&["app: (gcc2 if z else c), (d without e), (f unless g)"]);
    let missing = missing(&world.project, &world.recipes, &Interrupt::default()).unwrap();
    let names: Vec<&str> = missing.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["c", "d", "f", "gcc2"]);
}
