//! The preferences of the [module](super::super), by number, and what else is promised.

use keel_artefact::{Dependency, Rich};

use super::{super::*, pool, repository, run, run_with, short, solve, state};

fn install(name: &str) -> Job {
    Job::new(Action::Install, Select::name(name))
}

fn provides(text: &str) -> Job {
    Job::new(
        Action::Install,
        Select::Provides(Rich::parse(text).unwrap(), None),
    )
}

/// Installs `name` into nothing, from one repository.
fn from(packages: &[&str], name: &str) -> Result<Vec<String>, Vec<String>> {
    run(&[repository("repo", packages)], vec![install(name)])
}

fn ok(list: &[&str]) -> Result<Vec<String>, Vec<String>> {
    Ok(list.iter().map(ToString::to_string).collect())
}

#[test]
fn rule_1_what_is_installed_stays_and_is_updated_before_something_new_comes() {
    let installed = repository("installed", &["a 1-1 prv:x", "z 1-1"]);
    let new = repository(
        "repo",
        &[
            "a 2-1 prv:x",
            "b 1-1 req:x",
            "c 1-1 prv:x = 2",
            "d 1-1 req:x = 2",
            "a 3-1 prv:x = 2",
        ],
    );
    let both = [installed, new];
    assert_eq!(run(&both, vec![install("b")]), ok(&["a-1", "b-1", "z-1"]));
    // `c` would do, too, but `a` is there already.
    assert_eq!(run(&both, vec![install("d")]), ok(&["a-3", "d-1", "z-1"]));
}

#[test]
fn rule_2_priority_counts_more_than_version() {
    let mut low = repository("low", &["a 9-1"]);
    let high = repository("high", &["a 1-1"]);
    low.priority = -1;
    assert_eq!(
        run(&[low.clone(), high.clone()], vec![install("a")]),
        ok(&["a-1"])
    );
    low.priority = 0;
    assert_eq!(run(&[low, high], vec![install("a")]), ok(&["a-9"]));
}

#[test]
fn rule_3_the_highest_version_and_nothing_that_is_obsoleted() {
    assert_eq!(from(&["a 1-1", "a 1:0-1", "a 3-1"], "a"), ok(&["a-0"]));
    // What cannot be installed is no candidate.
    assert_eq!(from(&["a 1-1", "a 2-1 req:nothing"], "a"), ok(&["a-1"]));
    let packages = ["x 1-1 req:cap", "old 1-1 prv:cap", "new 1-1 prv:cap; obs:old < 2"];
    assert_eq!(from(&packages, "x"), ok(&["new-1", "x-1"]));
}

#[test]
fn rule_4_the_best_architecture() {
    let repositories = [repository("repo", &["a 1-1", "a 2-1 arch:i686"])];
    assert_eq!(run(&repositories, vec![install("a")]), ok(&["a-1"]));
    let wish = Job::new(
        Action::Install,
        Select::Name(Dependency::any("a"), Some("i686".to_owned())),
    );
    assert_eq!(run(&repositories, vec![wish]), ok(&["a-2"]));
}

#[test]
fn rule_5_recommended_then_suggested() {
    let more = ["a 1-1 prv:cap", "b 1-1 prv:cap", "c 1-1 prv:cap; enh:x"];
    let with = |first| from(&[&[first][..], &more].concat(), "x");
    assert_eq!(with("x 1-1 req:cap; rec:b"), ok(&["b-1", "x-1"]));
    assert_eq!(with("x 1-1 req:cap"), ok(&["c-1", "x-1"]));
    assert_eq!(with("x 1-1 req:cap; sug:b; sug:c"), ok(&["b-1", "x-1"]));
}

#[test]
fn rule_6_what_has_a_newer_version_comes_last() {
    assert_eq!(
        from(
            &["x 1-1 req:cap", "a 1-1 prv:cap", "a 2-1", "bb 1-1 prv:cap"],
            "x"
        ),
        ok(&["bb-1", "x-1"])
    );
}

#[test]
fn rule_7_the_higher_version_of_what_is_provided() {
    assert_eq!(
        from(&["x 1-1 req:cap", "a 1-1 prv:cap = 1", "bb 1-1 prv:cap = 2"], "x"),
        ok(&["bb-1", "x-1"])
    );
}

#[test]
fn rule_8_favoured_before_all_others() {
    let repositories = [repository(
        "repo",
        &["x 1-1 req:cap", "a 1-1 prv:cap = 2", "bb 1-1 prv:cap = 1"],
    )];
    let favor = |action, name| vec![install("x"), Job::new(action, Select::name(name))];
    assert_eq!(
        run(&repositories, favor(Action::Favor, "bb")),
        ok(&["bb-1", "x-1"])
    );
    assert_eq!(
        run(&repositories, favor(Action::Disfavor, "a")),
        ok(&["bb-1", "x-1"])
    );
}

#[test]
fn rule_9_the_name_that_is_asked_for() {
    assert_eq!(
        from(&["x 1-1 req:tool", "a 1-1 prv:tool", "tool 1-1"], "x"),
        ok(&["tool-1", "x-1"])
    );
}

#[test]
fn rule_10_the_shortest_name() {
    assert_eq!(
        from(&["x 1-1 req:cap", "aaa 1-1 prv:cap", "zz 1-1 prv:cap"], "x"),
        ok(&["x-1", "zz-1"])
    );
}

#[test]
fn rule_11_the_alphabet_then_the_first_repository() {
    assert_eq!(
        from(&["x 1-1 req:cap", "c 1-1 prv:cap", "b 1-1 prv:cap"], "x"),
        ok(&["b-1", "x-1"])
    );
    let repositories = [repository("one", &["a 1-1"]), repository("other", &["a 1-1"])];
    let pool = pool(&repositories);
    let solution = solve(&pool, &Request::install(["a"])).unwrap();
    assert_eq!(pool.repository(solution.install[0].package), 0);
}

#[test]
fn the_order_of_packages_means_nothing() {
    let mut packages = vec![
        "x 1-1 req:cap; rec:r",
        "a 1-1 prv:cap",
        "b 2-1 prv:cap",
        "r 1-1 req:cap",
        "a 2-1",
        "b 1-1 prv:cap",
    ];
    let first = from(&packages, "x");
    for _ in 0..packages.len() {
        packages.rotate_left(1);
        assert_eq!(from(&packages, "x"), first);
        let back: Vec<&str> = packages.iter().rev().copied().collect();
        assert_eq!(from(&back, "x"), first);
    }
}

#[test]
fn weak_dependencies_come_where_they_can_and_never_break_anything() {
    let packages = [
        "x 1-1 rec:r; rec:broken",
        "r 1-1",
        "broken 1-1 req:nothing",
        "s 1-1 sup:r",
        "t 1-1 sup:r; con:x",
    ];
    assert_eq!(from(&packages, "x"), ok(&["r-1", "s-1", "x-1"]));
    let mut request = Request::install(["x"]);
    request.policy.weak = false;
    assert_eq!(run_with(&[repository("repo", &packages)], request), ok(&["x-1"]));
}

#[test]
fn paths_are_provided_by_files() {
    let packages = [
        "x 1-1 req:/usr/bin/sh",
        "bash 5-1 file:/usr/bin/sh; file:/usr/bin/bash",
        "dash 1-1 file:/usr/bin/dash",
    ];
    assert_eq!(from(&packages, "x"), ok(&["bash-5", "x-1"]));
    let repositories = [repository("repo", &packages)];
    let pool = Pool::new(
        &repositories,
        &Target {
            arches: &[],
            paths: &["/usr/bin/dash"],
        },
    )
    .unwrap();
    let request = Request {
        jobs: vec![provides("/usr/bin/dash")],
        ..Request::default()
    };
    assert_eq!(state(&pool, &solve(&pool, &request).unwrap()), ["dash-1"]);
}

#[test]
fn rich_dependencies() {
    let more = ["a 1-1", "b 1-1", "c 1-1", "ab 1-1 prv:a; prv:b"];
    let with = |first: &str, jobs: &[&str]| {
        let repositories = [repository("repo", &[&[first][..], &more].concat())];
        run(&repositories, jobs.iter().map(|name| install(name)).collect())
    };
    assert_eq!(with("x 1-1 req:(a and b)", &["x"]), ok(&["a-1", "b-1", "x-1"]));
    assert_eq!(with("x 1-1 req:(nothing or c)", &["x"]), ok(&["c-1", "x-1"]));
    assert_eq!(with("x 1-1 req:(a if c)", &["x"]), ok(&["x-1"]));
    assert_eq!(
        with("x 1-1 req:(a if c)", &["x", "c"]),
        ok(&["a-1", "c-1", "x-1"])
    );
    assert_eq!(with("x 1-1 req:(a if c else b)", &["x"]), ok(&["b-1", "x-1"]));
    assert_eq!(with("x 1-1 req:(a with b)", &["x"]), ok(&["ab-1", "x-1"]));
    assert_eq!(with("x 1-1 req:(b without a)", &["x"]), ok(&["b-1", "x-1"]));
    assert_eq!(
        with("x 1-1 req:(a unless c else b)", &["x", "c"]),
        ok(&["b-1", "c-1", "x-1"])
    );
    assert!(with("x 1-1 req:(a unless c)", &["x", "c"]).is_err());
    assert!(with("x 1-1 con:(a and c)", &["x", "a", "c"]).is_err());
    assert!(with("x 1-1 con:(a and c)", &["x", "a"]).is_ok());
    let all = [repository("repo", &more)];
    assert_eq!(run(&all, vec![provides("(a and c)")]), ok(&["a-1", "c-1"]));
}

#[test]
fn a_dependency_that_is_too_large_bars_its_package_only() {
    let nest = |operator: &str| {
        (0..31).fold("a".to_owned(), |inner, _| {
            format!("(a {operator} {inner} else b)")
        })
    };
    // 2^20 clauses.
    let pairs: Vec<String> = (0..20).map(|i| format!("(a{i} and b{i})")).collect();
    let wide = format!("(({}) or c)", pairs.join(" or "));
    let mut more: Vec<String> = (0..20)
        .flat_map(|i| [format!("a{i} 1-1"), format!("b{i} 1-1")])
        .collect();
    more.extend(["a", "b", "c"].map(|name| format!("{name} 1-1")));
    let with = |first: String| {
        let packages: Vec<&str> = std::iter::once(&first).chain(&more).map(String::as_str).collect();
        from(&packages, "x")
    };
    let start = std::time::Instant::now();
    for (tag, dependency) in [
        ("req", nest("if")),
        ("con", nest("if")),
        ("req", nest("unless")),
        ("con", nest("unless")),
        ("req", wide.clone()),
    ] {
        let problems = with(format!("x 1-1 {tag}:{dependency}")).unwrap_err();
        assert!(
            problems[0].starts_with("x-1-1.x86_64 has a dependency that is too large: `("),
            "{problems:?}"
        );
    }
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
    // None of the pairs: short clauses.
    assert!(with(format!("x 1-1 con:{wide}")).is_ok());
    let all = [repository(
        "repo",
        &more.iter().map(String::as_str).collect::<Vec<_>>(),
    )];
    let problems = run(&all, vec![provides(&wide)]).unwrap_err();
    assert!(problems[0].contains("is too large"), "{problems:?}");
    let packages = [&format!("y 1-1 rec:{}", nest("if"))[..], "a 1-1", "b 1-1"];
    assert!(from(&packages, "y").is_ok());
}

#[test]
fn a_dependency_that_is_none_bars_its_package_only() {
    let packages = ["x 1-1 req:(a or", "y 1-1 rec:(a or"];
    assert_eq!(
        from(&packages, "x"),
        Err(vec![
            "x-1-1.x86_64 has a dependency that is none: `(a or`".to_owned()
        ])
    );
    assert_eq!(from(&packages, "y"), ok(&["y-1"]));
}

#[test]
fn problems_end_with_the_reason() {
    let sentence = |packages: &[&str]| from(packages, "keel-core").unwrap_err().remove(0);
    assert_eq!(
        sentence(&["keel-core 1-1 req:libfoo.so.2"]),
        "keel-core-1-1.x86_64 requires libfoo.so.2, which no package provides"
    );
    assert_eq!(
        sentence(&["keel-core 1-1 req:a; req:b", "a 1-1 con:b < 2", "b 1.2-1"]),
        "a-1-1.x86_64 conflicts with b < 2, which b-1.2-1.x86_64 provides"
    );
    assert_eq!(
        from(&["a 1-1"], "b").unwrap_err(),
        ["no package is meant by `install b`"]
    );
    let deep = ["keel-core 1-1 req:a", "a 1-1 req:b", "b 1-1 req:c"];
    let pool = pool(&[repository("repo", &deep)]);
    let unsolvable = solve(&pool, &Request::install(["keel-core"])).unwrap_err();
    assert_eq!(
        unsolvable.problems[0].to_string(),
        "asked for: install keel-core\n\
         keel-core-1-1.x86_64 requires a, which a-1-1.x86_64 provides\n\
         a-1-1.x86_64 requires b, which b-1-1.x86_64 provides\n\
         b-1-1.x86_64 requires c, which no package provides"
    );
    assert_eq!(unsolvable.problems[0].remedies, [Remedy::DropJob(0)]);
}

#[test]
fn every_package_has_a_reason() {
    let repositories = [
        repository("installed", &["old 1-1", "base 1-1"]),
        repository(
            "repo",
            &[
                "x 1-1 req:lib; rec:extra",
                "l 1-1 prv:lib; req:base",
                "extra 1-1",
                "sup 1-1 sup:l",
                "new 1-1 obs:old",
            ],
        ),
    ];
    let pool = pool(&repositories);
    let jobs = vec![install("x"), Job::new(Action::Update, Select::All)];
    let solution = solve(
        &pool,
        &Request {
            jobs,
            ..Request::default()
        },
    )
    .unwrap();
    let of = |name: &str| {
        &solution
            .install
            .iter()
            .find(|chosen| pool.name(chosen.package) == name)
            .unwrap()
            .why
    };
    assert_eq!(of("x"), &Why::Asked(0));
    assert!(
        matches!(of("l"), Why::Required { by, dependency } if pool.name(*by) == "x" && dependency == "lib")
    );
    assert!(matches!(of("extra"), Why::Recommended { dependency, .. } if dependency == "extra"));
    assert_eq!(of("sup"), &Why::Supplements);
    assert!(matches!(of("new"), Why::Replaces(old) if pool.name(*old) == "old"));
    let names = |ids: &[PackageId]| ids.iter().map(|id| short(&pool, *id)).collect::<Vec<_>>();
    assert_eq!(names(&solution.erase), ["old-1"]);
    assert_eq!(names(&solution.stay), ["base-1"]);
}

#[test]
fn kernels_stand_side_by_side_and_multilib_twins_go_together() {
    let kernels = [
        repository("installed", &["kernel 1-1"]),
        repository("repo", &["kernel 2-1"]),
    ];
    let jobs = vec![
        Job::new(Action::MultiVersion, Select::name("kernel")),
        Job::new(Action::Update, Select::All),
    ];
    assert_eq!(run(&kernels, jobs), ok(&["kernel-1", "kernel-2"]));
    let lib = [
        repository("installed", &["lib 1-1", "lib 1-1 arch:i686"]),
        repository("repo", &["lib 2-1", "lib 2-1 arch:i686", "lib 3-1"]),
    ];
    let mut request = Request {
        jobs: vec![Job::new(Action::Update, Select::All)],
        ..Request::default()
    };
    request.policy.colors = true;
    assert_eq!(run_with(&lib, request), ok(&["lib-2", "lib-2"]));
}

#[test]
fn one_pool_serves_many_requests() {
    let pool = pool(&[repository("repo", &["a 1-1 req:b", "b 1-1", "c 1-1 con:b"])]);
    for _ in 0..3 {
        assert_eq!(
            state(&pool, &solve(&pool, &Request::install(["a"])).unwrap()),
            ["a-1", "b-1"]
        );
        assert_eq!(
            state(&pool, &solve(&pool, &Request::install(["c"])).unwrap()),
            ["c-1"]
        );
        assert!(solve(&pool, &Request::install(["a", "c"])).is_err());
    }
}

#[test]
fn a_pool_has_one_installed_repository() {
    let repositories = [repository("installed", &[]), repository("installed", &[])];
    assert_eq!(
        Pool::new(&repositories, &Target::default()).unwrap_err(),
        Error::TwoInstalled
    );
}

#[test]
fn a_conflict_that_needs_a_package_brings_all_that_the_package_says() {
    // Not (a if d) is: no a, and d. And d obsoletes e.
    assert!(from(&["d 1-1 obs:e", "e 1-1 con:(a if d)"], "e").is_err());
    assert_eq!(from(&["d 1-1", "e 1-1 con:(a if d)"], "e"), ok(&["d-1", "e-1"]));
}

#[test]
fn what_leaves_no_choice_needs_no_search() {
    let pool = pool(&[repository(
        "repo",
        &[
            "x 1-1 req:cap; req:y",
            "y 1-1 prv:cap",
            "z 1-1 prv:cap; req:x",
            "w 1-1 req:cap",
        ],
    )]);
    let ask = |name: &str| {
        let mut request = Request::install([name]);
        request.policy.weak = false;
        quick::forced(&pool, &request)
    };
    // `cap` has two providers, but `y` is there anyway.
    assert_eq!(state(&pool, &ask("x").unwrap()), ["x-1", "y-1"]);
    assert_eq!(ask("w"), None);
    assert_eq!(ask("nothing"), None);
}

#[test]
fn all_that_is_missing_is_told_at_once() {
    let pool = pool(&[repository(
        "repo",
        &["x 1-1 req:one; req:y; req:(y and two)", "y 1-1 req:three"],
    )]);
    let wishes = ["x", "four"].map(Dependency::any);
    let answer = super::super::install(&pool, &wishes, &[], false, &Limits::default());
    let Err(NoAnswer::Refused(refusal)) = answer else {
        panic!("{answer:?}")
    };
    let told: Vec<String> = (refusal.missing.iter())
        .map(|missing| match missing {
            Missing::Asked(number) => wishes[*number].to_string(),
            Missing::Required { by, dependency } => format!("{}: {dependency}", short(&pool, *by)),
        })
        .collect();
    assert_eq!(told, ["four", "x-1: one", "x-1: (y and two)", "y-1: three"]);
    assert_eq!(state(&pool, &refusal.without), ["x-1", "y-1"]);
}
