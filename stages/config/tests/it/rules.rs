//! The rules of `docs/explanation/model.md`, each with a case that bears its number.

use std::collections::BTreeSet;

use crate::cases::{cases, hold, project};

#[test]
fn every_rule_holds() {
    hold("rules.txt");
}

/// The numbers of the rules that a text names at the beginning of a line: `=== M1 M2 title`, `**M1**`.
fn numbers(text: &str, before: &str) -> BTreeSet<u32> {
    let lines = text.lines().filter_map(|line| line.strip_prefix(before));
    lines
        .flat_map(|line| {
            let words = line.split([' ', '*']).filter(|word| !word.is_empty());
            let numbers = words.map_while(|word| word.strip_prefix('M')?.parse().ok());
            numbers.collect::<Vec<u32>>()
        })
        .collect()
}

#[test]
fn every_rule_has_a_case() {
    let page = include_str!("../../../../docs/explanation/model.md");
    let rules = numbers(page, "**");
    let elsewhere = [
        3,  // errors.txt
        5,  // errors.txt
        29, // below
        41, // errors.txt
        44, // with 42
    ];
    let tested: BTreeSet<u32> = numbers(include_str!("rules.txt"), "=== ")
        .into_iter()
        .chain(elsewhere)
        .collect();
    assert_eq!(rules, tested);
    assert!(cases(include_str!("errors.txt")).len() > 50);
}

/// M29: what an overlay of each type must say.
#[test]
fn overlays_say_what_they_need() {
    let types: [(&str, &[&str], &[&str]); 20] = [
        ("spec-add-tag", &["tag", "value"], &["package"]),
        ("spec-insert-tag", &["tag", "value"], &["package"]),
        ("spec-set-tag", &["tag", "value"], &["package"]),
        ("spec-update-tag", &["tag", "value"], &["package"]),
        ("spec-remove-tag", &["tag"], &["package", "value"]),
        ("spec-prepend-lines", &["lines"], &["section", "package"]),
        ("spec-append-lines", &["lines"], &["section", "package"]),
        (
            "spec-search-replace",
            &["regex"],
            &["section", "package", "replacement"],
        ),
        ("spec-remove-section", &["section"], &["package"]),
        ("spec-remove-subpackage", &["package"], &[]),
        ("patch-add", &["source"], &["file"]),
        ("patch-remove", &["file"], &[]),
        ("file-prepend-lines", &["file", "lines"], &[]),
        (
            "file-search-replace",
            &["file", "regex"],
            &["replacement", "archive"],
        ),
        ("file-add", &["file", "source"], &[]),
        ("file-remove", &["file"], &["archive"]),
        ("file-rename", &["file", "replacement"], &[]),
        ("spec-set-macro", &["name", "value"], &[]),
        ("spec-set-bcond", &["name", "value"], &[]),
        ("spec-replace-section", &["section", "lines"], &["package"]),
    ];
    let value = |kind: &str, key: &str| match (kind, key) {
        ("spec-set-bcond", "value") => "true".to_owned(),
        (_, "lines") => "[\"x\"]".to_owned(),
        (_, "source") => "\"../a.spec\"".to_owned(),
        (_, "archive") => "\"a.tar\"".to_owned(),
        _ => "\"x\"".to_owned(),
    };
    let load = |kind: &str, keys: &[(&str, String)]| {
        let keys: Vec<String> = keys
            .iter()
            .map(|(key, value)| format!("{key} = {value}\n"))
            .collect();
        let text = format!(
            "[components.a]\nspec.type = \"upstream\"\n[[components.a.overlays]]\ntype = \"{kind}\"\n\
             description = \"d\"\n{}",
            keys.concat()
        );
        let (_dir, loaded) = project(&[("more/x.toml", &text)]);
        loaded.map_err(|errors| errors.to_string())
    };
    for (kind, required, optional) in types {
        let full = |but: &str| -> Vec<(&str, String)> {
            let keys = required.iter().chain(optional).filter(|key| **key != but);
            keys.map(|key| (*key, value(kind, key))).collect()
        };
        let overlays = load(kind, &full("")).unwrap().components["a"].overlays.clone();
        assert_eq!(overlays.len(), 1, "{kind}");
        assert_eq!(overlays[0].description.as_deref(), Some("d"));
        for key in required {
            let told = load(kind, &full(key)).unwrap_err();
            let wanted = format!("`[[components.a.overlays]]` of type `{kind}` needs the key `{key}`");
            assert!(told.contains(&wanted), "{told}");
            if value(kind, key) == "true" {
                continue;
            }
            let empty = if *key == "lines" { "[]" } else { "\"\"" };
            let mut keys = full(key);
            keys.push((key, empty.to_owned()));
            let told = load(kind, &keys).unwrap_err();
            assert!(
                told.contains(&format!(
                    "`{key}` in `[[components.a.overlays]]` must not be empty"
                )),
                "{told}"
            );
        }
        for key in optional {
            load(kind, &full(key)).unwrap();
        }
    }
    let told = load("spec-ad-tag", &[]).unwrap_err();
    assert!(told.contains("did you mean `spec-add-tag`?"), "{told}");
}
