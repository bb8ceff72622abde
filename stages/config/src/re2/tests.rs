use super::*;

fn replaced(pattern: &str, text: &str) -> String {
    let pattern = Pattern::new(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
    pattern.replace(text, "<$1>").into_owned()
}

#[test]
fn go_s_classes_are_about_ascii() {
    assert_eq!(replaced(r"\d", "1٣"), "<$1>٣");
    assert_eq!(replaced(r"\w+", "aé_b"), "<$1>é<$1>");
    assert_eq!(replaced(r"\s", "a\u{b}b\u{a0}c d"), "a\u{b}b\u{a0}c<$1>d");
    assert_eq!(replaced(r"\bb\b", "éb b"), "é<$1> <$1>");
    assert_eq!(replaced(r"a\B", "ab aé"), "<$1>b aé");
    assert_eq!(replaced(r"[\d\s]+", "x1 2y"), "x<$1>y");
    assert_eq!(replaced(r"[^\d]+", "1é\n2"), "1<$1>2");
    assert_eq!(replaced(r"[\W]", "a-b"), "a<$1>b");
    assert_eq!(replaced("[[:alpha:]_-]+", "a_b-é"), "<$1>é");
    assert_eq!(replaced("(?i)ABC", "xAbCx"), "x<$1>x");
    assert_eq!(replaced(r"\p{Greek}\PN", "αb1"), "<$1>1");
    assert_eq!(replaced(r"\p{^Greek}", "αb"), "α<$1>");
}

#[test]
fn what_means_itself_in_go_means_itself() {
    assert_eq!(replaced(r"[[a&&b~~c]+", "x[a&&b~~c]y"), "x<$1>]y");
    assert_eq!(replaced("[]a]", "x]"), "x<$1>");
    assert_eq!(replaced("[a-c-e]+", "ab-ed"), "<$1>d");
    assert_eq!(replaced("[a-]+", "-a-"), "<$1>");
    assert_eq!(replaced(r"%{name}", "x%{name}"), "x<$1>");
    assert_eq!(replaced(r"a{,2}", "a{,2}"), "<$1>");
    assert_eq!(replaced(r"\Qa.b|*\Ec+", "a.b|*ccc"), "<$1>");
    assert_eq!(replaced(r"\Q$x", "$x"), "<$1>");
    assert_eq!(replaced(r"\101\x42\x{43}\_\-\#", "ABC_-#"), "<$1>");
    assert_eq!(replaced("#  a", "#  a"), "<$1>");
    assert_eq!(replaced(r"a$", "a\na"), "a\n<$1>");
    assert_eq!(replaced(r"(?m)^a$", "a\na"), "<$1>\n<$1>");
    assert_eq!(replaced(r"(?P<n>a)(?<m>b)(?:c)", "abc"), "<$1>");
    assert_eq!(replaced(r"(?s:.)\z", "a\n"), "a<$1>");
    assert_eq!(replaced(r"x*", "axb"), "<$1>a<$1>b<$1>");
}

#[test]
fn what_go_refuses_is_refused() {
    for (pattern, column) in [
        ("a**", 3),
        ("a++", 3),
        ("*a", 1),
        ("a|*", 3),
        ("(*)", 2),
        ("(a", 1),
        ("a)", 2),
        ("[a", 1),
        ("[b-a]", 2),
        ("(?=a)", 1),
        ("(?x)a", 1),
        ("(?<=a)b", 1),
        (r"(a)\1", 4),
        (r"\Z", 1),
        (r"\C", 1),
        (r"\u0041", 1),
        ("a{1001}", 2),
        ("a{3,2}", 2),
        (r"\", 1),
        (r"[[:foo:]]", 2),
        (r"\p{}", 1),
    ] {
        assert_eq!(Pattern::new(pattern).unwrap_err().column, column, "{pattern}");
    }
    let too_large = Pattern::new(&r"(?:\pL{1000}){1000}".repeat(3)).unwrap_err();
    assert!(too_large.to_string().contains("too large"), "{too_large}");
    assert!(
        Pattern::new(&"(".repeat(1000))
            .unwrap_err()
            .to_string()
            .contains("deep")
    );
}
