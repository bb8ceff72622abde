//! Which jobs there are, in which order, and what is in their roots.

use super::*;

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
