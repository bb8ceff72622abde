//! Plans that go round in circles.

use super::*;

#[test]
fn cycles_are_told_with_their_shortest_way() {
    let world = world(&[
        "a: b-devel; a-devel",
        "b: gcc, c; b-devel",
        "c: d-devel",
        "d: a-devel, b-devel; d-devel",
        "e: a-devel",
        "self: self",
    ])
    .image("core", &["e"]);
    assert_eq!(
        world.error(&Targets::All),
        "error: cannot plan a cycle: b → c → d → b\n  b.spec:11: BuildRequires: c\n  caused by: c.spec:10: \
         BuildRequires: d-devel\n  caused by: d.spec:11: BuildRequires: b-devel\nhint: this is the shortest of the loops among 4 components: \
         a, b, c, d\nhint: without this requirement there is no loop among them:\n    c.spec:10: BuildRequires: \
         d-devel\nhint: `b` is here because `a` is built \
         with `b-devel`, and `e` is built with `a-devel`, and image `core` installs `e`\nhint: drop one of these \
         requirements, or let stage0 lend it (`keel.stage0.lends`)\n\n\
         error: cannot plan `self`: it needs itself to be built\n  self.spec:10: BuildRequires: self\nhint: drop one of \
         these requirements, or let stage0 lend it (`keel.stage0.lends`)"
    );
    // A cycle through what a subpackage requires.
    let world = self::world(&["a: b-devel; a-libs", "b: gcc; b-devel: c", "c: a-libs"]);
    assert_eq!(
        world
            .error(&components(&["a"]))
            .lines()
            .take(4)
            .collect::<Vec<_>>()
            .join("\n"),
        "error: cannot plan a cycle: a → c → a\n  a.spec:10: BuildRequires: b-devel (of which `b-devel` requires `c`)\n  \
         caused by: c.spec:10: BuildRequires: a-libs\nhint: drop one of these requirements, or let stage0 lend it \
         (`keel.stage0.lends`)"
    );
}

#[test]
fn a_condition_that_breaks_a_cycle_is_a_way_out() {
    let world = world(&["a: b, gcc", "b: c", "c: a, b"]);
    let read = |recipe: &Recipe| {
        let other = |text: &str| Variant {
            setting: "without = [\"x\"]".into(),
            recipe: self::recipe(text),
        };
        match recipe.component.as_str() {
            "b" => vec![other("b: gcc"), other("b: gcc, c")],
            "c" => vec![other("c: a")],
            _ => vec![],
        }
    };
    let told = select(
        &world.project,
        &world.recipes,
        &Targets::All,
        &read,
        &known(&Generated::new(), &Published::default(), &Interrupt::default()),
    )
    .unwrap_err()
    .to_string();
    let ways: Vec<&str> = told.lines().filter(|line| line.contains("way out")).collect();
    assert_eq!(
        ways,
        [
            "hint: `without = [\"x\"]` in `[components.b.build]` is a way out: `b` needs no c then",
            "hint: `without = [\"x\"]` in `[components.c.build]` is a way out: `c` needs no b then"
        ],
        "{told}"
    );
}

#[test]
fn a_list_of_what_must_be_lent_makes_a_plan() {
    let mut world = world(&[
        "gcc2: gcc2, libc",
        "libc: gcc2, sed2; libc: nobody",
        "sed2: gcc2, libc, (a and b)",
        "tool: libc, sed2, scons",
    ]);
    let suggested = suggest(&world.project, &world.recipes, &Interrupt::default()).unwrap();
    let names: Vec<(&str, bool)> = suggested
        .iter()
        .map(|one| (one.name.as_str(), one.is_missing))
        .collect();
    assert_eq!(
        names,
        [
            ("nobody", true),
            ("a", true),
            ("b", true),
            ("scons", true),
            ("gcc2", false),
            ("libc", false)
        ]
    );
    for one in suggested {
        world.project.stage0.lends.insert(one.name, vec![]);
    }
    assert_eq!(world.jobs(&Targets::All), "gcc2 sed2 libc tool");
}
