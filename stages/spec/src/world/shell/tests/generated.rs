//! Generated texts.

use proptest::prelude::*;

use super::{bash, ours};

/// Texts like those that are cut in SPECs.
fn value() -> impl Strategy<Value = String> + Clone {
    prop_oneof![
        "[0-9]{1,2}(\\.[0-9]{1,2}){0,3}",
        "[0-9]\\.[0-9](~rc[0-9]|\\^git[0-9a-f]{7}|-[a-z]{1,3})?",
        "[0-9a-f]{10}",
        "[a-c._/ -]{0,12}",
        "[A-Za-z]{1,5}([-_][A-Za-z0-9]{1,5}){0,3}",
    ]
}

fn quoted(value: &str, how: u8) -> String {
    match how {
        0 => format!("'{value}'"),
        1 => format!("\"{value}\""),
        _ => value.to_owned(),
    }
}

/// A regular expression out of few pieces, so that it often matches.
fn expression() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        ".",
        "\\.",
        "[0-9]",
        "[^.]",
        "a",
        "b",
        "1",
        "-",
        "_",
        "\\(.*\\)",
        "\\([^.-]*\\)",
        "\\(a\\)",
        "[a-c]",
        "[[:digit:]]",
        "(",
        "+",
        "\\/",
        "[]a]",
        "[^]]",
        "~",
        " ",
    ]);
    let repeat = prop::sample::select(vec!["", "", "", "*", "\\+", "\\?"]);
    let anchors = prop::sample::select(vec![("", ""), ("", ""), ("^", ""), ("", "$"), ("^", "$")]);
    (prop::collection::vec((piece, repeat), 1..4), anchors).prop_map(|(pieces, (start, end))| {
        let middle: String = pieces
            .iter()
            .flat_map(|(piece, repeat)| [*piece, *repeat])
            .collect();
        format!("{start}{middle}{end}")
    })
}

fn pattern() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "*", "?", ".", "[0-9]", "[!.]", "a", "-", "1", "\\.", "b", "_", "[a-c]",
    ]);
    prop::collection::vec(piece, 1..4).prop_map(|pieces| pieces.concat())
}

fn filter() -> impl Strategy<Value = String> {
    let list = prop::sample::select(vec!["1", "2", "1-2", "-2", "2-", "1,3", "3,1", "2-3,1"]);
    let delimiter = prop::sample::select(vec![".", "-", "~", "_", "' '", "/"]);
    let set = || prop::sample::select(vec![".", "~", "a-c", "A-Z", "abc", "._", "'. '", "-", "_-", "/"]);
    let replacement = prop::sample::select(vec!["", "x", "_", "\\1", "&&", "\\2.\\1", "[&]", "\\&"]);
    let flags = prop::sample::select(vec!["", "g"]);
    let field = prop::sample::select(vec!["$1", "$2", "$1\".\"$2", "$1, $2", "$NF", "$0", "\"v\"$3"]);
    prop_oneof![
        (list.clone(), delimiter.clone()).prop_map(|(list, delimiter)| format!("cut -d{delimiter} -f{list}")),
        (list, delimiter.clone()).prop_map(|(list, delimiter)| format!("cut -f {list} -s -d {delimiter}")),
        prop::sample::select(vec!["1-3", "-2", "2-", "1,4"]).prop_map(|list| format!("cut -c {list}")),
        (set(), set()).prop_map(|(from, to)| format!("tr {from} {to}")),
        set().prop_map(|set| format!("tr -d {set}")),
        (expression(), replacement, flags)
            .prop_map(|(from, to, flags)| format!("sed 's/{from}/{to}/{flags}'")),
        expression().prop_map(|expression| format!("grep '{expression}'")),
        (delimiter, field).prop_map(|(delimiter, field)| format!("awk -F{delimiter} '{{print {field}}}'")),
        Just("rev".to_owned()),
        Just("cat".to_owned()),
        Just("head -1".to_owned()),
    ]
}

fn change() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("$v".to_owned()),
        Just("${#v}".to_owned()),
        Just("${v,,}".to_owned()),
        (0..12_u8, 0..9_u8).prop_map(|(offset, length)| format!("${{v:{offset}:{length}}}")),
        (0..12_u8).prop_map(|offset| format!("${{v:{offset}}}")),
        (prop::sample::select(vec!["#", "##", "%", "%%"]), pattern())
            .prop_map(|(op, p)| format!("${{v{op}{p}}}")),
        (prop::sample::select(vec!["/", "//"]), pattern(), "[x_-]?")
            .prop_map(|(op, p, w)| format!("${{v{op}{p}/{w}}}")),
        (prop::sample::select(vec!["-", ":-", "+", ":+"]), "[a-z]{0,3}")
            .prop_map(|(op, w)| format!("${{v{op}{w}}}")),
        (prop::sample::select(vec!["-", ":-", "+", ":+"]), "[a-z ]{0,5}")
            .prop_map(|(op, w)| format!("${{u{op}{w}}}")),
    ]
}

fn command() -> impl Strategy<Value = String> {
    let echo = (value(), 0..3_u8).prop_map(|(value, how)| format!("echo {}", quoted(&value, how)));
    let echo = echo.boxed();
    let piped = (echo.clone(), prop::collection::vec(filter(), 1..3))
        .prop_map(|(echo, filters)| format!("{echo} | {}", filters.join(" | ")));
    let changed = (value(), change(), any::<bool>()).prop_map(|(value, change, quoted)| {
        let quote = if quoted { "\"" } else { "" };
        format!("v='{value}'; echo x{quote}{change}{quote}y")
    });
    let operator = prop::sample::select(vec!["=", "!=", "==", "-eq", "-lt", "-ge", "-a", "-o"]);
    let tested = (value(), operator, value()).prop_map(|(one, operator, other)| {
        format!("[ \"{one}\" {operator} \"{other}\" ] && echo 1 || echo 0")
    });
    let printed = (
        prop::sample::select(vec!["%s", "%5s|", "%.3s", "%s-%s\\n", "%d", "%03d", "%%%s"]),
        value(),
        0..200_i32,
    )
        .prop_map(|(format, value, number)| {
            let value = if format.contains('d') {
                number.to_string()
            } else {
                value
            };
            format!("printf '{format}' '{value}' '{value}'")
        });
    let simple = prop_oneof![
        echo,
        piped,
        changed,
        tested,
        printed,
        Just("false".to_owned()),
        Just("true".to_owned())
    ];
    simple.prop_recursive(2, 8, 3, |inner| {
        let join = prop::sample::select(vec!["; ", " && ", " || ", "\n"]);
        prop_oneof![
            (inner.clone(), join, inner.clone()).prop_map(|(one, join, other)| format!("{one}{join}{other}")),
            inner.clone().prop_map(|inner| format!("echo a$({inner})b")),
            inner
                .clone()
                .prop_map(|inner| format!("echo \"a`{}`b\"", inner.replace(['`', '\\', '"'], ""))),
            inner
                .clone()
                .prop_map(|inner| format!("({inner}) 2>/dev/null | cat")),
            inner
                .clone()
                .prop_map(|inner| format!("! {{ {inner}; }} || echo $?")),
            (inner.clone(), inner.clone())
                .prop_map(|(one, other)| format!("if {one}; then {other}; else echo no; fi")),
            (inner.clone(), inner).prop_map(|(one, other)| format!("w=$({one}); echo \"$w\" $w; {other}")),
        ]
    })
}

#[test]
fn generated_texts_print_what_bash_prints() {
    if bash("echo").is_none() {
        println!("skipped: this machine has no bash");
        return;
    }
    let cases = std::env::var("KEEL_SHELL_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(600);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases,
        failure_persistence: None,
        ..Default::default()
    });
    let sure = std::cell::Cell::new(0_u32);
    let checked = runner.run(&command(), |text| {
        if let Some(ours) = ours(&text) {
            sure.set(sure.get() + 1);
            prop_assert_eq!(Some(ours), bash(&text), "{}", text);
        }
        Ok(())
    });
    checked.unwrap();
    println!("of {cases} generated texts, our shell was sure of {}", sure.get());
    assert!(sure.get() > cases / 3, "{}", sure.get());
}
