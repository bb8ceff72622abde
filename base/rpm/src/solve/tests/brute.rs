//! Small pools, solved by trying every set of packages.

use keel_artefact::{Comparison, Dependency, Evr, Rich};
use proptest::prelude::*;

use super::{
    super::{
        Action, Job, Limits, Package, PackageId, Pool, Repository, Request, Select, Target, lend,
        pool::overlap, quick, search,
    },
    package, pool, solve, state, within,
};

/// A random package of one of a few names.
fn packages() -> impl Strategy<Value = Vec<Package>> {
    let name = || prop::sample::select(vec!["a", "b", "c", "d", "e"]);
    let simple = move || {
        (name(), prop::sample::select(vec!["", " = 1", " >= 2", " < 2"]))
            .prop_map(|(name, version)| format!("{name}{version}"))
    };
    let operator = prop::sample::select(vec!["and", "or", "if", "unless", "with", "without"]);
    let rich = (simple(), operator, simple()).prop_map(|(a, operator, b)| format!("({a} {operator} {b})"));
    let nested = (rich.clone(), simple(), simple()).prop_map(|(a, b, c)| match a.contains("with") {
        true => format!("({a} or {b})"),
        false => format!("({a} if {b} else {c})"),
    });
    let any = prop_oneof![6 => simple(), 2 => rich, 1 => nested];
    let list = |most| prop::collection::vec(any.clone(), 0..most);
    let one = (
        name(),
        1..3_u8,
        list(3),
        list(2),
        prop::collection::vec(simple(), 0..2),
        prop::option::of(name()),
        list(2),
    );
    prop::collection::vec(one, 1..9).prop_map(|all| {
        let mut packages: Vec<Package> = Vec::new();
        for (name, version, requires, conflicts, obsoletes, provides, recommends) in all {
            let mut package = package(&format!("{name} {version}-1"));
            let parse = |list: Vec<String>| {
                list.iter()
                    .map(|text| text.parse().unwrap())
                    .collect::<Vec<Dependency>>()
            };
            package.requires = parse(requires);
            package.conflicts = parse(conflicts);
            package.obsoletes = parse(obsoletes);
            package.recommends = parse(recommends);
            package.provides.extend(provides.map(|name| Dependency {
                name: name.to_owned(),
                version: Some((
                    Comparison::Equal,
                    Evr {
                        epoch: 0,
                        version: "2".into(),
                        release: String::new(),
                    },
                )),
            }));
            let own = package.clone();
            package.conflicts.retain(|asked| !speaks_of(&own, asked));
            if !packages
                .iter()
                .any(|other| other.name == package.name && other.evr == package.evr)
            {
                packages.push(package);
            }
        }
        packages
    })
}

fn has(package: &Package, asked: &Dependency) -> bool {
    let version = |dependency: &Dependency| dependency.version.clone();
    package.provides.iter().any(|provide| {
        let (have, ask) = (version(provide), version(asked));
        provide.name == asked.name
            && overlap(
                have.as_ref().map(|(c, evr)| (*c, evr)),
                ask.as_ref().map(|(c, evr)| (*c, evr)),
            )
    })
}

/// Does one package satisfy it?
fn one_has(package: &Package, rich: &Rich) -> bool {
    match rich {
        Rich::Simple(asked) => has(package, asked),
        Rich::With(list) => list.iter().all(|item| one_has(package, item)),
        Rich::Without(one, other) => one_has(package, one) && !one_has(package, other),
        Rich::Or(list) => list.iter().any(|item| one_has(package, item)),
        other => panic!("{other} inside with"),
    }
}

fn holds(set: &[&Package], rich: &Rich) -> bool {
    let other = |rich: &Option<Box<Rich>>, none| rich.as_ref().map_or(none, |rich| holds(set, rich));
    match rich {
        Rich::Simple(_) | Rich::With(_) | Rich::Without(..) => {
            set.iter().any(|package| one_has(package, rich))
        }
        Rich::And(list) => list.iter().all(|item| holds(set, item)),
        Rich::Or(list) => list.iter().any(|item| holds(set, item)),
        Rich::If(then, condition, otherwise) => match holds(set, condition) {
            true => holds(set, then),
            false => other(otherwise, true),
        },
        Rich::Unless(then, condition, otherwise) => match holds(set, condition) {
            true => other(otherwise, false),
            false => holds(set, then),
        },
    }
}

/// Can these packages be installed together?
fn stands(set: &[&Package]) -> bool {
    set.iter().enumerate().all(|(at, package)| {
        let rest: Vec<&Package> = set
            .iter()
            .enumerate()
            .filter(|(i, _)| *i != at)
            .map(|(_, other)| *other)
            .collect();
        let named = |asked: &Dependency| {
            rest.iter().any(|other| {
                let own = Dependency {
                    name: other.name.clone(),
                    version: Some((Comparison::Equal, other.evr.clone())),
                };
                asked.name == own.name
                    && overlap(
                        own.version.as_ref().map(|(c, e)| (*c, e)),
                        asked.version.as_ref().map(|(c, e)| (*c, e)),
                    )
            })
        };
        let conflict = |asked: &Dependency| match Rich::of(asked).unwrap() {
            // Nothing conflicts with itself, neither by a name nor by an expression that it fulfils alone.
            rich @ (Rich::Simple(_) | Rich::With(_) | Rich::Without(..)) => holds(&rest, &rich),
            rich => holds(set, &rich),
        };
        package
            .requires
            .iter()
            .all(|asked| holds(set, &Rich::of(asked).unwrap()))
            && !package.conflicts.iter().any(conflict)
            && !package.obsoletes.iter().any(named)
            && !rest.iter().any(|other| other.name == package.name)
    })
}

/// Does a boolean conflict name something that its package provides? What that means is not compared: a package never
/// conflicts with itself, and where the rest of an expression begins is a matter of taste.
fn speaks_of(package: &Package, asked: &Dependency) -> bool {
    let mut any = false;
    Rich::of(asked)
        .unwrap()
        .leaves(&mut |leaf| any |= has(package, leaf));
    any && asked.is_rich()
}

fn sets(packages: &[Package]) -> impl Iterator<Item = Vec<&Package>> {
    (0_u32..1 << packages.len()).map(|bits| {
        packages
            .iter()
            .enumerate()
            .filter(|(at, _)| bits >> at & 1 == 1)
            .map(|(_, package)| package)
            .collect()
    })
}

fn chosen<'a>(pool: &Pool, ids: &[PackageId], packages: &'a [Package]) -> Vec<&'a Package> {
    let named = |id: &PackageId| {
        packages
            .iter()
            .find(|p| p.name == pool.name(*id) && p.evr == *pool.evr(*id))
            .unwrap()
    };
    ids.iter().map(named).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_solution_is_found_if_there_is_one(packages in packages(), wish in "[a-e]", other in "[a-e]", held in any::<u32>(), weak in any::<bool>()) {
        // Something that stands by itself is installed; it may be removed.
        let standing: Vec<Vec<&Package>> = sets(&packages).filter(|set| stands(set)).collect();
        let old: Vec<Package> = standing[held as usize % standing.len()].iter().map(|package| (*package).clone()).collect();
        let repositories = [
            Repository { name: "installed".into(), installed: true, packages: old, ..Repository::default() },
            Repository { name: "repo".into(), packages: packages.clone(), ..Repository::default() },
        ];
        let pool = pool(&repositories);
        let job = |action, name: &str| Job::new(action, Select::name(name));
        let mut request = Request { jobs: vec![job(Action::Install, &wish), job(Action::Erase, &other)], ..Request::default() };
        request.policy.allow_uninstall = true;
        request.policy.weak = weak;
        let meets = |set: &[&Package]| set.iter().any(|p| p.name == wish) && !set.iter().any(|p| p.name == other);
        let possible = standing.iter().any(|set| meets(set));
        match solve(&pool, &request) {
            Ok(solution) => {
                let set = chosen(&pool, &solution.packages(), &packages);
                prop_assert!(stands(&set), "does not stand: {:?}", state(&pool, &solution));
                prop_assert!(meets(&set), "does not do what was asked: {:?}", state(&pool, &solution));
                let mut turned = repositories.clone();
                turned.iter_mut().for_each(|repository| repository.packages.reverse());
                let again = super::pool(&turned);
                let second = solve(&again, &request).unwrap();
                prop_assert_eq!(state(&pool, &solution), state(&again, &second));
            }
            Err(unsolvable) => {
                prop_assert!(!possible, "there is a solution: {:?}", unsolvable.problems);
                prop_assert!(!unsolvable.problems.is_empty());
                prop_assert!(unsolvable.problems.iter().all(|problem| !problem.chain.is_empty()));
                prop_assert!(stands(&chosen(&pool, &unsolvable.without.packages(), &packages)));
            }
        }
    }

    #[test]
    fn the_short_cut_gives_what_a_search_finds(packages in packages(), wishes in prop::collection::vec("[a-e]", 1..4), by_name in any::<bool>(), lent in prop::option::of("[a-e]"), allow_missing in any::<bool>()) {
        let mut packages = packages;
        let is_lent = |name: &str| lent.as_deref() == Some(name);
        let lender = lend(&mut packages, &[], &is_lent);
        let repositories = [lender, Repository { name: "repo".into(), packages, ..Repository::default() }];
        let pool = Pool::new(&repositories, &Target::default()).unwrap();
        let select = |wish: &String| match by_name {
            true => Select::name(wish),
            false => Select::Provides(Rich::Simple(Dependency::any(wish.as_str())), None),
        };
        let jobs = wishes.iter().map(|wish| Job::new(Action::Install, select(wish))).collect();
        let mut request = Request { jobs, ..Request::default() };
        request.policy.weak = false;
        request.policy.allow_missing = allow_missing;
        if let Some(quick) = quick::forced(&pool, &request) {
            prop_assert_eq!(Ok(quick), within(search(&pool, &request, &Limits::default())));
        }
    }
}
