//! Tests of `dependency.rs`.

use super::*;

fn texts(field: &str, kind: Kind) -> Result<Vec<String>, String> {
    let parsed = parse(field, kind, 0)?;
    Ok(parsed.dependencies.iter().map(Dependency::to_string).collect())
}

#[test]
fn lists_have_spaces_and_commas() {
    let found = texts("a, b >= 1:2-3 c<d , perl(X) == 4", Kind::Requires).unwrap();
    assert_eq!(found, ["a", "b >= 1:2-3", "c<d", "perl(X) = 4"]);
}

#[test]
fn rich_dependencies_get_rpms_spacing() {
    let found = texts("(a  and (b>=1 or perl(c) >= 2)) d", Kind::Requires).unwrap();
    assert_eq!(found, ["(a and (b>=1 or perl(c) >= 2))", "d"]);
    let found = texts("((a and b) if (c if d) else e)", Kind::Recommends);
    assert!(found.is_ok(), "{found:?}");
}

#[test]
fn what_is_wrong_is_said_in_rpms_words() {
    for (field, kind, why) in [
        ("a >=", Kind::Requires, "Version required"),
        (
            "(a and b)",
            Kind::Provides,
            "No rich dependencies allowed for this type",
        ),
        (
            "(a and b",
            Kind::Requires,
            "Unterminated rich dependency: (a and b",
        ),
        ("(a and b or c)", Kind::Requires, "Cannot chain different ops"),
        ("()", Kind::Requires, "Empty rich dependency"),
        ("/a = 1", Kind::Requires, "Versioned file name not permitted"),
        ("a = b/c", Kind::Requires, "Illegal char '/' (0x2f)"),
        (
            ".a",
            Kind::Requires,
            "Dependency tokens must begin with alpha-numeric, '_' or '/'",
        ),
        (
            "(a or (b if c))",
            Kind::Requires,
            "Illegal context for 'if', please use 'and' instead",
        ),
    ] {
        assert_eq!(texts(field, kind), Err(why.to_owned()), "{field}");
    }
}

#[test]
fn rpm_sorts_by_name_version_and_flags() {
    let mut sorted = Vec::new();
    for dependency in parse("b a = 2 a a = 10 b", Kind::Requires, 0)
        .unwrap()
        .dependencies
    {
        dependency.insert(&mut sorted);
    }
    let texts: Vec<_> = sorted.iter().map(Dependency::to_string).collect();
    assert_eq!(texts, ["a", "a = 10", "a = 2", "b"]);
}
