//! What is wrong, and how it is told.

use super::*;

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
