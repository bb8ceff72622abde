use std::time::Duration;

use keel_artefact::{Arch, Epoch, Interrupt, Provide};

use super::*;
use crate::{
    BuiltPackage,
    built::{self, Links, Output},
    closure,
    fingerprint::tests::job,
    record::Record,
};

const DISTRIBUTION: &str = "d";

/// kernel ← glibc ← bash, and tool alone; `versions` as many.
fn plan(versions: [&str; 4]) -> Plan {
    let [kernel, glibc, bash, tool] = versions;
    let name = |name: &str| name.parse::<ComponentName>().unwrap();
    let mut glibc = job("glibc", glibc);
    glibc.needs = vec![name("kernel")];
    glibc.after = vec![name("kernel")];
    glibc.direct = vec!["kernel".parse().unwrap()];
    let mut bash = job("bash", bash);
    bash.needs = vec![name("glibc")];
    bash.after = vec![name("glibc"), name("kernel")];
    bash.direct = vec!["glibc".parse().unwrap()];
    let jobs = vec![job("kernel", kernel), job("tool", tool), glibc, bash];
    Plan {
        format: keel_plan::FORMAT,
        arch: Arch::X86_64,
        providers: jobs
            .iter()
            .map(|job| (job.recipe.name.clone(), job.component.clone()))
            .collect(),
        jobs,
        published: vec![],
    }
}

/// What an earlier build left in the store. `bytes`: what its package is made of.
fn build(store: &Store, job: &Job, before: &[Arc<Built>], bytes: &str) -> Arc<Built> {
    let stage0 = Sha256::of(b"stage0");
    let root = closure::close(&job.direct, before, &|_| false, &Interrupt::default()).unwrap();
    let inputs = fingerprint::inputs(job, &stage0, &root, None, &[]);
    let nevra = job.recipe.packages[0].nevra.clone();
    let built = Built {
        format: built::FORMAT,
        fingerprint: fingerprint::of(&inputs),
        outputs: vec![Output {
            provides: vec![Provide {
                name: nevra.name.to_string(),
                evr: Some(nevra.evr.clone()),
            }],
            package: BuiltPackage {
                nevra,
                component: job.component.clone(),
                kind: crate::Kind::Binary,
                rpm: store.put_bytes(bytes.as_bytes()).unwrap(),
                size: 1,
                epoch: Epoch(0),
                scriptlets: false,
            },
            requires: vec![],
            conflicts: vec![],
            obsoletes: vec![],
            files: vec![],
        }],
        root,
        log: stage0,
        wall: Duration::from_secs(3),
        cpu: Duration::from_secs(5),
        memory: 0,
        links: Links::default(),
        scriptlets: None,
        generated: vec![],
        checked: None,
    };
    store.record("build", &built.fingerprint, &built).unwrap();
    let own = record::own(&inputs);
    record::keep(store, DISTRIBUTION, job, &own, inputs, &built).unwrap();
    Arc::new(built)
}

fn build_all(store: &Store, plan: &Plan) {
    let mut built: BTreeMap<ComponentName, Arc<Built>> = BTreeMap::new();
    for job in &plan.jobs {
        let before: Vec<_> = job.after.iter().map(|name| built[name].clone()).collect();
        let bytes = format!("{} {}", job.component, job.recipe.evr);
        built.insert(job.component.clone(), build(store, job, &before, &bytes));
    }
}

fn states(store: &Store, plan: &Plan) -> Vec<Forecast> {
    until(store, plan, &|_| false, &Interrupt::default()).unwrap()
}

fn until(
    store: &Store,
    plan: &Plan,
    is_lent: &dyn Fn(&str) -> bool,
    interrupt: &Interrupt,
) -> Result<Vec<Forecast>, Error> {
    let lock = keel_source::Lock::default();
    let question = Question {
        index: &closure::Index::default(),
        store,
        distribution: DISTRIBUTION,
        stage0: &Sha256::of(b"stage0"),
        names: crate::names::tests::names(&lock),
        foreign: &foreign::Components::default(),
        is_lent,
        interrupt,
    };
    forecast(&question, plan)
}

fn shown(forecasts: &[Forecast]) -> String {
    let one = |forecast: &Forecast| {
        let waits: Vec<&str> = forecast.waits_for.iter().map(ComponentName::as_str).collect();
        format!("{} {:?} {}", forecast.component, forecast.state, waits.join(" "))
            .trim_end()
            .to_owned()
    };
    forecasts.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[test]
fn what_was_built_is_known_and_what_follows_may_be_saved() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let first = plan(["1"; 4]);
    let new = states(&store, &first);
    assert_eq!(
        shown(&new),
        "kernel Build, tool Build, glibc Build kernel, bash Build glibc"
    );
    assert!(new.iter().all(|job| !job.built_before && job.changes.is_empty()));
    build_all(&store, &first);
    assert_eq!(
        shown(&states(&store, &first)),
        "kernel Cached, tool Cached, glibc Cached, bash Cached"
    );
    // The SPEC changes, the version does not: its dependents may be saved.
    let mut touched = plan(["1"; 4]);
    touched.jobs[0].recipe.spec_digest = Sha256::of(b"other");
    let forecasts = states(&store, &touched);
    assert_eq!(
        shown(&forecasts),
        "kernel Build, tool Cached, glibc Maybe kernel, bash Maybe glibc"
    );
    assert!(forecasts[0].changes[0].to_string().starts_with("SPEC: "));
    // The version changes: what has it in its root is built for sure, and what has that one's package may be saved.
    let forecasts = states(&store, &plan(["2", "1", "1", "1"]));
    assert_eq!(
        shown(&forecasts),
        "kernel Build, tool Cached, glibc Build kernel, bash Maybe glibc"
    );
    let replaced = &forecasts[2].replaced[0];
    assert_eq!(
        (replaced.was.as_str(), replaced.becomes.as_deref()),
        ("kernel-1-1.noarch", Some("kernel-2-1.noarch"))
    );
    // Inputs of its own that were never built.
    assert_eq!(
        shown(&states(&store, &plan(["2", "1", "1", "3"]))),
        "kernel Build, tool Build, glibc Build kernel, bash Maybe glibc"
    );
    assert_eq!(
        shown(&states(&store, &plan(["2", "1", "2", "1"]))),
        "kernel Build, tool Cached, glibc Build kernel, bash Build glibc"
    );
}

#[test]
fn early_cut_off_is_foreseen_when_the_bytes_are_there() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    build_all(&store, &plan(["1"; 4]));
    let mut touched = plan(["1"; 4]);
    touched.jobs[0].recipe.spec_digest = Sha256::of(b"other");
    // The changed kernel was built elsewhere, with the same bytes.
    build(&store, &touched.jobs[0], &[], "kernel 1-1");
    assert_eq!(
        shown(&states(&store, &touched)),
        "kernel Cached, tool Cached, glibc Cached, bash Cached"
    );
    // … or with others: the next job is known to be built, and why.
    build(&store, &touched.jobs[0], &[], "kernel other");
    let forecasts = states(&store, &touched);
    assert_eq!(
        shown(&forecasts),
        "kernel Cached, tool Cached, glibc Build, bash Maybe glibc"
    );
    let change = forecasts[2].changes[0].to_string();
    assert!(change.starts_with("root package kernel: "), "{change}");
    let costs = record::costs(
        &store,
        DISTRIBUTION,
        Arch::X86_64,
        touched.jobs.iter().map(|job| &job.component),
    );
    assert_eq!(costs.unwrap()["bash"].cpu, 5.0);
    let other: Option<Record> =
        record::last(&store, "other", Arch::X86_64, &"bash".parse().unwrap()).unwrap();
    assert_eq!(other, None);
}

#[test]
fn a_root_that_cannot_be_made_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let mut odd = plan(["1"; 4]);
    build_all(&store, &odd);
    odd.jobs[3].direct = vec!["readline".parse().unwrap()];
    let problem = states(&store, &odd)[3].problem.clone();
    assert_eq!(
        problem.as_deref(),
        Some("nothing provides `readline`, which the SPEC requires")
    );
}

/// What is lent is asked for each root: so it is known how far it came.
#[test]
fn an_interrupt_ends_it_between_jobs() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let mut plan = plan(["1"; 4]);
    for (number, job) in plan.jobs.iter_mut().enumerate() {
        (job.needs, job.after) = (vec![], vec![]);
        job.direct = vec![format!("lent{number}").parse().unwrap()];
    }
    for at in ["lent0", "lent1", "lent3"] {
        let (stop, asked) = (Interrupt::default(), std::cell::RefCell::new(BTreeSet::new()));
        let is_lent = |name: &str| {
            asked.borrow_mut().insert(name.to_owned());
            if name == at {
                stop.set();
            }
            true
        };
        let ended = until(&store, &plan, &is_lent, &stop);
        assert!(matches!(ended, Err(Error::Interrupted(_))), "{ended:?}");
        assert_eq!(asked.borrow().last().map(String::as_str), Some(at));
    }
}
