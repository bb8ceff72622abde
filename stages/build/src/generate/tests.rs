use std::cell::RefCell;

use keel_artefact::ComponentName;
use keel_plan::Round;

use super::*;
use crate::{
    built::{self, Links, Output},
    fingerprint::tests::job,
};

fn requirement(text: &str) -> Dependency {
    text.parse().unwrap()
}

/// A component that makes a package of its name.
pub(crate) fn made(name: &str) -> Arc<Built> {
    let job = job(name, "1");
    let nevra = job.recipe.packages[0].nevra.clone();
    Arc::new(Built {
        format: built::FORMAT,
        fingerprint: Sha256::of(name.as_bytes()),
        outputs: vec![Output {
            provides: vec![keel_artefact::Provide {
                name: nevra.name.to_string(),
                evr: Some(nevra.evr.clone()),
            }],
            package: BuiltPackage {
                nevra,
                component: job.component,
                kind: crate::Kind::Binary,
                rpm: Sha256::of(name.as_bytes()),
                size: 1,
                epoch: keel_artefact::Epoch(0),
                scriptlets: false,
            },
            requires: vec![],
            conflicts: vec![],
            obsoletes: vec![],
            files: vec![],
        }],
        root: vec![],
        log: Sha256::of(b""),
        wall: std::time::Duration::ZERO,
        cpu: std::time::Duration::ZERO,
        memory: 0,
        links: Links::default(),
        scriptlets: None,
        generated: vec![],
        checked: None,
    })
}

/// Rounds that print these words, and may all see what there is.
fn rounds(prints: &[&str]) -> Vec<Round> {
    let all: Vec<_> = ["one", "three", "two"].map(|name| name.parse().unwrap()).into();
    let round = |text: &str| Round {
        prints: text.split_whitespace().map(requirement).collect(),
        after: all.clone(),
    };
    [""].iter().chain(prints).map(|text| round(text)).collect()
}

fn names(packages: &[BuiltPackage]) -> Vec<&str> {
    packages.iter().map(|one| one.nevra.name.as_str()).collect()
}

struct World {
    _dir: tempfile::TempDir,
    store: Store,
    job: Job,
    before: Vec<Arc<Built>>,
    /// The packages of each root in which the section ran.
    asked: RefCell<Vec<String>>,
}

impl World {
    fn new(planned: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut job = job("demo", "1");
        job.recipe.generates = Some(7);
        job.direct.clear();
        job.rounds = rounds(planned);
        Self {
            store: Store::open(dir.path()).unwrap(),
            _dir: dir,
            job,
            before: ["one", "two", "three"].map(made).into(),
            asked: RefCell::default(),
        }
    }

    /// `section` prints for a root with these packages.
    fn settle(&self, section: &dyn Fn(&[&str]) -> Vec<String>) -> Result<Option<Settled>, Error> {
        let ground = Ground {
            index: &closure::Index::default(),
            store: &self.store,
            stage0: &Sha256::of(b"stage0"),
            is_lent: &|name| name == "gcc",
            interrupt: &Interrupt::default(),
            job: &self.job,
            before: &self.before,
            scriptlets: &|_| Ok(Seen::Nothing),
        };
        ground.settle(&mut |packages, key| {
            let names = names(packages);
            self.asked.borrow_mut().push(names.join(" "));
            let printed: Vec<_> = section(&names).iter().map(|text| requirement(text)).collect();
            keep(&self.store, key, &printed)?;
            Ok(Some(printed))
        })
    }

    fn remembered(&self) -> Option<Printed> {
        remembered(&self.store, &Own::from(&self.job), &Sha256::of(b"stage0")).unwrap()
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// `one` at first; where that is, `two`; what is printed once stays.
fn in_rounds(root: &[&str]) -> Vec<String> {
    words(match root {
        [] => "gcc one",
        ["one"] => "gcc two",
        _ => "gcc",
    })
}

#[test]
fn a_section_runs_until_it_asks_for_nothing_new_and_is_asked_once() {
    let world = World::new(&["one", "two"]);
    for _ in 0..2 {
        let settled = world.settle(&in_rounds).unwrap().unwrap();
        assert_eq!(names(&settled.packages), ["one", "two"]);
        let generated: Vec<String> = settled.generated.iter().map(Dependency::to_string).collect();
        assert_eq!(generated, ["gcc", "one", "two"]);
    }
    // The second time, the store knows.
    assert_eq!(*world.asked.borrow(), ["", "one", "one two"]);
    // Without a section, nobody is asked.
    let mut plain = World::new(&[]);
    plain.job.recipe.generates = None;
    assert!(
        plain
            .settle(&|_| panic!("asked"))
            .unwrap()
            .unwrap()
            .packages
            .is_empty()
    );
}

#[test]
fn what_the_plan_does_not_know_is_remembered_and_asks_for_another_plan() {
    let mut world = World::new(&[]);
    assert_eq!(world.remembered(), None);
    for known in [&["gcc one"][..], &["gcc one", "two"]] {
        let Err(Error::Wants(all)) = world.settle(&in_rounds) else {
            panic!("{:?}", world.job.rounds);
        };
        assert_eq!(world.remembered().as_ref(), Some(&all));
        world.job.rounds = rounds(known);
        let planned: Printed = world
            .job
            .rounds
            .iter()
            .map(|round| round.prints.clone())
            .collect();
        assert_eq!(all, planned[1..]);
    }
    assert!(world.settle(&in_rounds).unwrap().is_some());
    // What is lent is in every root: no plan is another for it.
    let lent = World::new(&[]);
    let settled = lent.settle(&|_| words("gcc")).unwrap().unwrap();
    assert_eq!((settled.packages.len(), settled.generated.len()), (0, 1));
    assert_eq!(lent.remembered(), None);
}

#[test]
fn what_nobody_makes_and_what_never_rests_are_errors() {
    let unmade = World::new(&["nobody"]);
    let error = unmade.settle(&|_| words("nobody")).unwrap_err();
    assert!(matches!(error, Error::Closure(_)), "{error}");
    let names: Vec<String> = (0..=ROUNDS).map(|number| format!("p{number:02}")).collect();
    let planned: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut restless = World::new(&planned);
    restless.before = planned.iter().map(|name| made(name)).collect();
    let all: Vec<ComponentName> = planned.iter().map(|name| name.parse().unwrap()).collect();
    (restless.job.rounds.iter_mut()).for_each(|round| round.after.clone_from(&all));
    let error = restless
        .settle(&|root| vec![names[root.len()].clone()])
        .unwrap_err()
        .to_string();
    assert!(error.contains("after 10 rounds: p10"), "{error}");
}

#[test]
fn a_root_that_was_never_asked_about_is_not_settled() {
    let world = World::new(&["one"]);
    let ground = Ground {
        index: &closure::Index::default(),
        store: &world.store,
        stage0: &Sha256::of(b"stage0"),
        is_lent: &|_| false,
        job: &world.job,
        before: &world.before,
        scriptlets: &|_| Ok(Seen::Nothing),
        interrupt: &Interrupt::default(),
    };
    assert!(ground.settle(&mut |_, _| Ok(None)).unwrap().is_none());
}

#[test]
fn a_root_whose_scriptlets_have_not_run_is_not_foretold() {
    let world = World::new(&[]);
    for (seen, settled) in [
        (Seen::NotRun, None),
        (Seen::Made(Sha256::of(b"1")), Some(Some(Sha256::of(b"1")))),
    ] {
        let ground = Ground {
            index: &closure::Index::default(),
            store: &world.store,
            stage0: &Sha256::of(b"stage0"),
            is_lent: &|_| false,
            job: &world.job,
            before: &world.before,
            scriptlets: &|_| Ok(seen),
            interrupt: &Interrupt::default(),
        };
        let found = ground.settle(&mut |_, _| Ok(Some(Vec::new()))).unwrap();
        assert_eq!(found.map(|settled| settled.scriptlets), settled);
    }
}

/// What an earlier run remembered is replaced by what is printed now, and asks for a plan without it.
#[test]
fn what_is_no_longer_printed_is_forgotten() {
    for stale in [
        &["three"][..],
        &["gcc one", "three"],
        &["gcc one", "two", "three"],
    ] {
        let mut world = World::new(stale);
        let known: Printed = world.job.rounds[1..]
            .iter()
            .map(|round| round.prints.clone())
            .collect();
        let key = remembered_key(&Own::from(&world.job), &Sha256::of(b"stage0"));
        Kept::record(&world.store, "generates", &key, &known).unwrap();
        let mut plans = 0;
        let settled = loop {
            match world.settle(&in_rounds) {
                Ok(settled) => break settled.unwrap(),
                Err(Error::Wants(all)) => {
                    let texts: Vec<String> = (all.iter())
                        .map(|round| round.iter().map(|one| format!("{one} ")).collect())
                        .collect();
                    world.job.rounds = rounds(&texts.iter().map(String::as_str).collect::<Vec<_>>());
                    plans += 1;
                }
                Err(error) => panic!("{error}"),
            }
        };
        assert!((1..=2).contains(&plans), "{stale:?}: {plans}");
        assert_eq!(names(&settled.packages), ["one", "two"]);
        let fresh = World::new(&["gcc one", "two"]);
        let as_new = fresh.settle(&in_rounds).unwrap().unwrap();
        assert_eq!(
            (settled.packages, settled.generated),
            (as_new.packages, as_new.generated)
        );
        assert_eq!(world.remembered(), fresh.remembered());
    }
}

/// A plan without what nobody meets any more is the right one: only the store learns of it.
#[test]
fn what_the_plan_left_out_is_forgotten_without_another_plan() {
    let world = World::new(&["one"]);
    let key = remembered_key(&Own::from(&world.job), &Sha256::of(b"stage0"));
    let known = [vec![requirement("one"), requirement("gone")]];
    Kept::record(&world.store, "generates", &key, &known).unwrap();
    assert!(world.settle(&|_| words("one")).unwrap().is_some());
    assert_eq!(world.remembered(), Some(vec![vec![requirement("one")]]));
}

/// Two components provide the same: what is built for a later round is no candidate in an earlier one.
#[test]
fn a_round_chooses_among_what_its_own_requirements_lead_to() {
    let provider = |name: &str| {
        let mut built = Built::clone(&made(name));
        built.outputs[0].provides.push(keel_artefact::Provide {
            name: "shared".to_owned(),
            evr: None,
        });
        Arc::new(built)
    };
    for (first, second) in [("aa", "zz"), ("zz", "aa")] {
        let mut world = World::new(&["more"]);
        world.job.direct = vec![requirement("shared")];
        world.before = vec![provider("aa"), provider("zz"), made("more")];
        world.job.rounds[0].after = vec![first.parse().unwrap()];
        world.job.rounds[1].after = vec!["more".parse().unwrap(), second.parse().unwrap()];
        let settled = world.settle(&|_| words("more")).unwrap().unwrap();
        assert_eq!(world.asked.borrow()[0], first);
        assert!(
            names(&settled.packages).contains(&second),
            "{:?}",
            settled.packages
        );
    }
}
