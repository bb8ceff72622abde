//! What `%generate_buildrequires` prints.

use super::*;

#[test]
fn what_a_section_prints_is_planned_but_is_not_what_the_spec_says() {
    let mut world = small();
    let zlib = world
        .recipes
        .iter()
        .position(|recipe| recipe.component.as_str() == "zlib")
        .unwrap();
    let generated = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>();
    world
        .generated
        .insert("zlib".parse().unwrap(), vec![generated(&["bash", "gcc"])]);
    let job = |world: &World| {
        let plan = world.plan(&components(&["zlib"])).unwrap();
        plan.job(&"zlib".parse().unwrap()).unwrap().clone()
    };
    // A SPEC without the section prints nothing, whatever is remembered of it.
    let before = job(&world);
    assert!(before.rounds.is_empty() && !before.needs.iter().any(|need| need.as_str() == "ncurses"));
    world.recipes[zlib].generates = Some(20);
    world
        .generated
        .insert("zlib".parse().unwrap(), vec![generated(&["ncurses-libs", "gcc"])]);
    let after = job(&world);
    let printed: Vec<_> = after.generated().cloned().collect();
    assert_eq!(printed, generated(&["ncurses-libs", "gcc"]));
    let rounds: Vec<_> = after.rounds.iter().map(|round| round.after.clone()).collect();
    assert_eq!(rounds, [before.after, after.after.clone()]);
    assert_eq!(after.direct, before.direct);
    let because = &after.because["ncurses"];
    assert_eq!(
        (because.line, because.says.as_str()),
        (Some(20), "%generate_buildrequires: ncurses-libs")
    );
    world
        .generated
        .insert("zlib".parse().unwrap(), vec![generated(&["ncurses-lib"])]);
    let told = world.error(&components(&["zlib"]));
    assert!(
        told.contains("zlib.spec:20: %generate_buildrequires: ncurses-lib")
            && told.contains("did you mean `ncurses-libs`?"),
        "{told}"
    );
}

#[test]
fn what_was_printed_and_cannot_be_any_more_is_left_out_but_not_what_is_asked_now() {
    let mut world = world(&["a: b", "b:", "c:", "d: a"]);
    for recipe in &mut world.recipes {
        recipe.generates = Some(5);
    }
    let name = |name: &str| name.parse::<ComponentName>().unwrap();
    let rounds = |texts: &[&str]| -> Printed {
        let round = |text: &&str| text.split(',').map(|one| one.parse().unwrap()).collect();
        texts.iter().map(round).collect()
    };
    let fitting = |hints: &[(&str, &[&str])], asked: &str| -> Generated {
        let generated = hints
            .iter()
            .map(|(of, texts)| (name(of), rounds(texts)))
            .collect();
        let is_asked = |component: &ComponentName| component.as_str() == asked;
        let stop = keel_artefact::Interrupt::default();
        let known = known(&generated, &world.published, &stop);
        crate::fitting(&world.project, &world.recipes, &known, &is_asked).unwrap()
    };
    let gone: &[(&str, &[&str])] = &[("a", &["c,gone", "c >= 7"]), ("d", &["c", "b"])];
    let left = fitting(gone, "");
    assert_eq!(left[&name("a")], rounds(&["c"]));
    assert_eq!(left[&name("d")], rounds(&["c", "b"]));
    assert_eq!(fitting(gone, "a")[&name("a")], rounds(&["c,gone", "c >= 7"]));
    // `d` is built with `a`, and that with `b`: a hint that closes the circle goes, with those on it.
    let left = fitting(&[("b", &["d"]), ("c", &["a"])], "");
    assert_eq!(left.into_keys().collect::<Vec<_>>(), [name("c")]);
    // With hints that fit, there is a plan: each round has jobs of its own.
    world.generated = Generated::from([(name("d"), rounds(&["c"]))]);
    let plan = world.plan(&components(&["d"])).unwrap();
    let job = plan.job(&name("d")).unwrap();
    let after: Vec<usize> = job.rounds.iter().map(|round| round.after.len()).collect();
    assert_eq!((after, job.after.len()), (vec![2, 3], 3));
}
