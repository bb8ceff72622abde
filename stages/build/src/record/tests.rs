use super::*;
use crate::fingerprint::{Own, tests::job};

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
            &["g >= 1".parse().unwrap()],
        ),
        wall: Duration::from_millis(1500),
        cpu: Duration::from_secs(2),
        memory: 3 << 20,
    };
    let text = serde_json::to_string(&record).unwrap();
    assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
}
