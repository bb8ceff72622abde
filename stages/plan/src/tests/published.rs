//! Trees that stand on another one and its repository: rules B2 and B5 of docs/explanation/base-packages.md.

use keel_artefact::Provide;

use super::*;

/// A published component: `name; package=capability: requirements; …`, and the files of its packages.
fn component(text: &str, files: &[&str]) -> (ComponentName, PublishedComponent) {
    let recipe = recipe(text);
    let package = |package: RecipePackage| PublishedPackage {
        package,
        files: files.iter().map(|&file| file.to_owned()).collect(),
    };
    let component = PublishedComponent {
        repository: "https://base.test/os".into(),
        packages: recipe.packages.into_iter().map(package).collect(),
    };
    (recipe.component, component)
}

/// The jobs, and what is taken: `component: package package`.
fn told(world: &World, targets: &Targets) -> (String, Vec<String>) {
    let names = |names: &mut dyn Iterator<Item = &str>| names.collect::<Vec<_>>().join(" ");
    let plan = plan(
        &world.project,
        &world.recipes,
        &world.sources(),
        targets,
        &Costs::new(),
        &known(&world.generated, &world.published, &Interrupt::default()),
    )
    .unwrap_or_else(|error| panic!("{error}"));
    let taken = plan.published.iter().map(|taken| {
        assert_eq!(taken.repository, "https://base.test/os");
        let packages = names(&mut taken.packages.iter().map(|package| package.name.as_str()));
        format!("{}: {packages}", taken.component)
    });
    let jobs = names(&mut plan.jobs.iter().map(|job| job.component.as_str()));
    (jobs, taken.collect())
}

fn components(names: &[&str]) -> Targets {
    Targets::Components(names.iter().map(|name| name.parse().unwrap()).collect())
}

/// B2: what a repository has is not built, nor what it would be built with; what it requires is taken, too.
#[test]
fn what_is_published_is_no_job() {
    let mut world = world(&[
        "deep: ",
        "libc: deep",
        "zlib: deep; zlib-devel: zlib",
        "app: zlib-devel",
    ]);
    let all = components(&["app"]);
    assert_eq!(told(&world, &all), ("deep zlib app".to_owned(), vec![]));
    world.published.components.extend([
        component("libc; libc=libc.so.6", &[]),
        component("zlib; zlib: libc.so.6, nobody.so.1; zlib-devel: zlib", &[]),
    ]);
    let taken = vec!["libc: libc".to_owned(), "zlib: zlib zlib-devel".to_owned()];
    assert_eq!(told(&world, &all), ("app".to_owned(), taken.clone()));
    // In an image, too; each says who asks.
    let world = world.image("box", &["app", "zlib"]);
    let packages = Targets::Packages(vec!["app".parse().unwrap(), "zlib".parse().unwrap()]);
    assert_eq!(told(&world, &packages), ("app".to_owned(), taken));
}

/// B2: a package is found by its files, where somebody asks for one.
#[test]
fn files_of_published_packages_are_known() {
    let mut world = world(&["awk: ", "tool: ", "app: /usr/bin/awk"]);
    world.published.components.extend([
        component("awk; awk: /usr/bin/tool, /usr/bin/sh", &["/usr/bin/awk"]),
        component("tool", &["/usr/bin/tool", "/usr/bin/other"]),
    ]);
    let taken = vec!["awk: awk".to_owned(), "tool: tool".to_owned()];
    assert_eq!(told(&world, &components(&["app"])), ("app".to_owned(), taken));
}

/// B5: what a published package requires of a component that the tree has in its place comes from that, though no SPEC says that it
/// provides it: the published one did.
#[test]
fn what_takes_a_packages_place_is_what_others_get() {
    let mut world = world(&["zlib: ", "curl: zlib", "app: curl"]);
    let (_, replaced) = component("zlib; zlib=libz.so.1", &["/usr/bin/zz"]);
    world.published.replaced = replaced.packages;
    world
        .published
        .components
        .extend([component("curl; curl: libz.so.1, /usr/bin/zz", &[])]);
    let taken = vec!["curl: curl".to_owned()];
    let told_of = |world: &World| told(world, &components(&["app"]));
    assert_eq!(told_of(&world), ("zlib app".to_owned(), taken.clone()));
    // In expressions, too; and a path that a package says it provides.
    for requirement in [
        "(libz.so.1 >= 1 with libz.so.1 < 2)",
        "(/usr/bin/zz or libz.so.1)",
        "/usr/bin/said",
    ] {
        let curl = format!("curl; curl: {requirement}");
        world.published.components.extend([component(&curl, &[])]);
        let zlib = &mut world.recipes[0].packages[0].provides;
        zlib.retain(|provide| provide.name != "/usr/bin/said");
        if requirement.starts_with("/usr/bin/said") {
            zlib.push(Provide {
                name: requirement.into(),
                evr: None,
            });
        }
        assert_eq!(
            told_of(&world),
            ("zlib app".to_owned(), taken.clone()),
            "{requirement}"
        );
    }
}
