//! The table itself.

use std::collections::BTreeSet;

use keel_inspect::rules;

#[test]
fn rules_have_names_of_their_own_and_say_what_why_and_what_to_do() {
    let mut names = BTreeSet::new();
    for rule in rules() {
        assert!(names.insert(rule.id), "{} is there twice", rule.id);
        let is_name = rule
            .id
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        assert!(is_name, "{}", rule.id);
        assert!(
            !rule.what.ends_with('.') && !rule.what.contains('\n'),
            "{}",
            rule.id
        );
        let is_sentence = |text: &str| text.trim_end_matches(')').ends_with('.');
        assert!(is_sentence(rule.why) && is_sentence(rule.remedy), "{}", rule.id);
    }
    assert!(names.len() > 50, "{}", names.len());
}

#[test]
fn every_rule_of_packages_is_shown_by_a_test() {
    let tests = ["objects.rs", "single.rs", "repositories.rs", "versions.rs"];
    let folder = super::fixture::root().join("base/inspect/tests/it");
    let text: String = tests
        .iter()
        .map(|file| std::fs::read_to_string(folder.join(file)).unwrap())
        .collect();
    for rule in rules().filter(|rule| rule.scope() != keel_inspect::Scope::Build) {
        let is_named =
            text.contains(&format!("\"{} ", rule.id)) || text.contains(&format!("\"{}\"", rule.id));
        assert!(is_named, "no test shows `{}`", rule.id);
    }
}
