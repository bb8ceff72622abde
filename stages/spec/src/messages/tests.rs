//! Wrong SPECs, and all that is said of each: `tests.txt`, which `KEEL_UPDATE_MESSAGES=1` writes anew.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use super::*;
use crate::{
    eval,
    macros::{Behaviour, tests::engine},
};

/// What `HEAD` stands for.
const HEAD: &str = "Name: x\nVersion: 1\nRelease: 1\nSummary: s\nLicense: l\n";
/// Between a SPEC and what is said of it; longer between cases.
const SAYS: &str = "\n----\n";
const NEXT: &str = "\n================\n";

fn told(spec: &str) -> String {
    let mut engine = engine(Behaviour::Rpm420);
    engine.load_text("/macros", "%given(ab:) %{error:no good}\n%made() %{given %*}\n");
    let outcome = eval::evaluate_past_errors(&mut engine, "/a/x.spec", spec, &|_| true);
    let shown = Path::new("x.spec");
    let source = Source::new("/a/x.spec", shown, spec, &outcome.files);
    let errors = source.errors(&outcome.messages);
    let warnings = source.warnings(&outcome.messages);
    let warnings = warnings
        .iter()
        .map(|warning| format!("warning: {}", warning.shown(shown)));
    let texts: Vec<String> = errors.iter().map(ToString::to_string).chain(warnings).collect();
    texts.join("\n\n")
}

#[test]
fn wrong_specs_are_told_with_places_and_hints() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/messages/tests.txt");
    let cases = fs_err::read_to_string(&path).unwrap();
    let cases = cases.trim_end().split(NEXT.trim_start());
    let specs = cases.map(|case| case.split(SAYS.trim_start()).next().unwrap().trim_end());
    let now: Vec<String> = specs
        .map(|spec| {
            let told = told(&(spec.replace("HEAD\n", HEAD) + "\n"));
            format!("{spec}{SAYS}{told}")
        })
        .collect();
    let now = now.join(NEXT) + "\n";
    if std::env::var_os("KEEL_UPDATE_MESSAGES").is_some() {
        fs_err::write(&path, &now).unwrap();
    }
    assert!(now.matches(NEXT).count() > 30);
    let before = fs_err::read_to_string(&path).unwrap();
    let lines = now.lines().zip(before.lines()).zip(1..);
    for ((now, before), number) in lines {
        assert_eq!(now, before, "tests.txt, line {number}");
    }
    assert_eq!(now.len(), before.len());
}

#[test]
fn spoiled_specs_are_told_without_a_panic() {
    let cases = include_str!("tests.txt").replace("HEAD\n", HEAD);
    let specs: Vec<&str> = cases
        .split(NEXT)
        .filter_map(|case| case.split(SAYS).next())
        .collect();
    let bits = [
        "%",
        "%{",
        "}",
        "é",
        "\n",
        "\\\n",
        "(",
        ":",
        "\"",
        "%{x}",
        "%%",
        " ",
        "%(",
        "\u{10FF80}",
    ];
    let mut seed = 1_u64;
    let mut next = |below: usize| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    for _ in 0..1500 {
        let mut spec: Vec<char> = specs[next(specs.len())].chars().collect();
        for _ in 0..=next(3) {
            let at = next(spec.len());
            let gone = next(3).min(spec.len() - at);
            spec.splice(at..at + gone, bits[next(bits.len())].chars());
        }
        told(&spec.into_iter().collect::<String>());
    }
}

#[test]
fn messages_without_a_place_are_read() {
    for (text, line, words) in [
        ("line 4: Unknown tag: x", Some(4), "Unknown tag: x"),
        ("/a/x.spec: line 2: line 2: b", Some(2), "b"),
        ("/a/x.spec:7: c", Some(7), "c"),
        ("12: x", None, "12: x"),
        ("/b/y.spec:7: c", None, "/b/y.spec:7: c"),
    ] {
        let message = Message::new(Severity::Error, text);
        let said = Said::of(&message, "/a/x.spec");
        assert_eq!((said.line, said.text), (line, words), "{text}");
    }
}

#[test]
fn errors_in_other_files_and_of_nowhere() {
    let files = BTreeMap::from([("/i".to_owned(), "a\nFoo\n".to_owned())]);
    let source = Source::new("/a/x.spec", Path::new("x.spec"), "b\n", &files);
    let mut message = Message::new(Severity::Error, "line 2: Unknown tag: Foo");
    message.place = Some(("/i".into(), 2));
    let rest = "here stand tags (`Name: value`), macros and conditions; text belongs into a section";
    let included = format!("error: Unknown tag\n  /i:2:1:\n    2 | Foo\n      | ^^^\nhint: {rest}");
    let told = source.errors(&[message.clone(), Message::new(Severity::Error, "lost")]);
    assert_eq!(told[0].to_string(), included);
    assert_eq!(told[1].to_string(), "error: lost\n  x.spec");
    message.place = Some(("/nowhere".into(), 2));
    assert!(
        source.errors(&[message.clone()])[0]
            .to_string()
            .starts_with("error: Unknown tag: Foo\n  /nowhere:2")
    );
    let many: Vec<Message> = (0..MOST + 7)
        .map(|number| Message::new(Severity::Error, format!("{number}.")))
        .collect();
    let told = source.errors(&many);
    assert_eq!(told.len(), MOST + 1);
    assert!(told[MOST].message.starts_with("7 more"));
}

#[test]
fn hostile_specs_are_told_soon() {
    let long = format!("Requires: {}\n", "%{x} ~ ".repeat(20_000));
    let lines = "Foo: %{x}\n".repeat(20_000);
    let nested = format!("{}x\n", "%{?a:".repeat(20_000));
    let dates = "* Mon Jan 01 2026 x <y> - 1\n- z\n".repeat(5_000);
    for spec in [
        HEAD.to_owned() + &long,
        HEAD.to_owned() + &lines,
        HEAD.to_owned() + &nested,
        format!("{HEAD}%description\n%changelog\n{dates}"),
    ] {
        let started = Instant::now();
        assert!(!told(&spec).is_empty());
        assert!(started.elapsed() < Duration::from_secs(6), "{}", &spec[..100]);
    }
}
