use std::cell::RefCell;

use super::*;
use crate::{
    built::{self, Links, Output},
    fingerprint::tests::job,
};

fn requirement(text: &str) -> Dependency {
    text.parse().unwrap()
}

/// A component that makes a package of its name.
fn made(name: &str) -> Arc<Built> {
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
        job.generated = planned.iter().map(|text| requirement(text)).collect();
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
            store: &self.store,
            stage0: &Sha256::of(b"stage0"),
            is_lent: &|name| name == "gcc",
            job: &self.job,
            before: &self.before,
            scriptlets: &|_| Ok(Seen::Nothing),
        };
        ground.settle(&mut |packages, _| {
            let names: Vec<&str> = packages.iter().map(|one| one.nevra.name.as_str()).collect();
            self.asked.borrow_mut().push(names.join(" "));
            Ok(Some(
                section(&names).iter().map(|text| requirement(text)).collect(),
            ))
        })
    }

    fn remembered(&self) -> Option<Vec<Dependency>> {
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
        let names: Vec<&str> = settled
            .packages
            .iter()
            .map(|one| one.nevra.name.as_str())
            .collect();
        assert_eq!(names, ["one", "two"]);
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
    for (known, wants) in [(0, 2), (2, 3)] {
        let Err(Error::Wants(all)) = world.settle(&in_rounds) else {
            panic!("{:?}", world.job.generated);
        };
        assert_eq!((world.job.generated.len(), all.len()), (known, wants));
        assert_eq!(world.remembered().as_ref(), Some(&all));
        world.job.generated = all;
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
        store: &world.store,
        stage0: &Sha256::of(b"stage0"),
        is_lent: &|_| false,
        job: &world.job,
        before: &world.before,
        scriptlets: &|_| Ok(Seen::Nothing),
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
            store: &world.store,
            stage0: &Sha256::of(b"stage0"),
            is_lent: &|_| false,
            job: &world.job,
            before: &world.before,
            scriptlets: &|_| Ok(seen),
        };
        let found = ground.settle(&mut |_, _| Ok(Some(Vec::new()))).unwrap();
        assert_eq!(found.map(|settled| settled.scriptlets), settled);
    }
}
