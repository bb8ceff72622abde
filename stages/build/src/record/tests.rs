use super::*;
use crate::{
    built::{self, Links},
    fingerprint::{Own, tests::job},
};

fn package(nevra: &str, bytes: &str) -> Input {
    Input {
        kind: Kind::Package,
        name: Some(nevra.to_owned()),
        value: Value::Digest(Sha256::of(bytes.as_bytes())),
    }
}

#[test]
fn what_differs_is_told_in_words() {
    let stage0 = Sha256::of(b"stage0");
    let mut was = fingerprint::own_inputs(&Own::from(&job("demo", "1")), &stage0);
    let mut now = job("demo", "2");
    now.sources.files[0].digest = Sha256::of(b"other");
    now.sources.files.remove(1);
    now.recipe.undefines.clear();
    now.recipe.defines.insert("extra".into(), "1".into());
    now.skip_check = true;
    let mut is = fingerprint::own_inputs(&Own::from(&now), &stage0);
    was.extend([
        package("glibc-2.41-1.kl1.x86_64", "a"),
        package("zlib-devel-1.3-1.x86_64", "a"),
        package("same-1-1.noarch", "a"),
        package("gone-1-1.noarch", "a"),
    ]);
    is.extend([
        package("glibc-2.41-2.kl1.x86_64", "b"),
        package("zlib-devel-1.3-1.x86_64", "b"),
        package("same-1-1.noarch", "a"),
    ]);
    let digest = |text: &str| Sha256::of(text.as_bytes()).short();
    let told: Vec<String> = changes(&was, &is).iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            format!("SPEC: {}, was {}", digest("demo 2"), digest("demo 1")),
            "macro extra is new: 1".to_owned(),
            "source a.patch is gone".to_owned(),
            format!("source z.tar: {}, was {}", digest("other"), digest("z")),
            "undefined macro u is gone".to_owned(),
            "leaving out %check: yes, was no".to_owned(),
            "root package glibc: glibc-2.41-2.kl1.x86_64, was glibc-2.41-1.kl1.x86_64".to_owned(),
            "root package gone is gone".to_owned(),
            format!("root package zlib-devel: {}, was {}", digest("b"), digest("a")),
        ]
    );
    assert_eq!(changes(&is, &is), []);
}

#[test]
fn records_come_back_as_they_were() {
    let record = Record {
        format: FORMAT,
        component: "demo".parse().unwrap(),
        fingerprint: Sha256::of(b"x"),
        inputs: fingerprint::inputs(
            &job("demo", &"a".repeat(64)),
            &Sha256::of(b"s"),
            &[],
            None,
            &["g >= 1".parse().unwrap()],
        ),
        wall: Duration::from_millis(1500),
        cpu: Duration::from_secs(2),
        memory: 3 << 20,
    };
    let text = serde_json::to_string(&record).unwrap();
    assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
}

/// Both records are written, each where the other is there already, and neither without need.
#[test]
fn a_build_is_remembered_by_its_component_and_by_its_own_inputs() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let stage0 = Sha256::of(b"stage0");
    let job = job("demo", "1");
    let own = fingerprint::own_inputs(&Own::from(&job), &stage0);
    let built = |of: &[Input]| Built {
        format: built::FORMAT,
        fingerprint: fingerprint::of(of),
        outputs: vec![],
        root: vec![],
        log: stage0,
        wall: Duration::from_secs(3),
        cpu: Duration::from_secs(5),
        memory: 7,
        links: Links::default(),
        scriptlets: None,
        generated: vec![],
        checked: None,
    };
    let with = |bytes: &str| {
        let mut inputs = own.clone();
        inputs.push(package("glibc-2.41-1.x86_64", bytes));
        inputs
    };
    let known = |own: &[Input]| {
        let last = last(&store, "d", job.arch, &job.component).unwrap();
        (last, last_of_own(&store, own).unwrap())
    };
    assert_eq!(known(&own), (None, None));
    let first = with("a");
    keep(&store, "d", &job, first.clone(), &built(&first)).unwrap();
    let (last, of_own) = known(&own);
    let last = last.unwrap();
    assert_eq!(Some(&last), of_own.as_ref());
    assert_eq!(
        (last.fingerprint, &last.inputs),
        (fingerprint::of(&first), &first)
    );
    assert_eq!((last.wall, last.memory), (Duration::from_secs(3), 7));
    // Another root: both are of it.
    let second = with("b");
    keep(&store, "d", &job, second.clone(), &built(&second)).unwrap();
    let is_second = |record: Option<Record>| record.unwrap().fingerprint == fingerprint::of(&second);
    let (last, of_own) = known(&own);
    assert!(is_second(last) && is_second(of_own));
    // One that is lost comes back, whichever it is.
    for (kind, key) in [
        ("last-build", key("d", job.arch, &job.component)),
        ("last-own-build", fingerprint::of(&own)),
    ] {
        store.forget(kind, &key).unwrap();
        keep(&store, "d", &job, second.clone(), &built(&second)).unwrap();
        let (last, of_own) = known(&own);
        assert!(is_second(last) && is_second(of_own), "{kind}");
    }
    // Of another distribution nothing is known by the component, but by its inputs.
    let other = super::last(&store, "other", job.arch, &job.component).unwrap();
    assert_eq!(other, None);
}
