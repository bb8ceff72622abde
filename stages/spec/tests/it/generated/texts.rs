//! Texts out of pieces that mean something to rpm's macro engine. `%{echo:…}`, `%{load:…}` and what differs between
//! machines are left out.

use proptest::{collection::vec, prelude::*, sample::select};

fn of(words: &'static [&'static str]) -> BoxedStrategy<String> {
    select(words).prop_map(str::to_owned).boxed()
}

/// Names of macros without options. Only they are undefined: rpm 4.18 crashes where a macro with arguments undefines
/// itself.
fn plain() -> BoxedStrategy<String> {
    of(&["aa", "bb", "cc", "nope"])
}

/// Names of macros that may be defined, with or without options, and of one that never is.
fn name() -> BoxedStrategy<String> {
    of(&["aa", "aa", "bb", "bb", "cc", "pp", "pp", "qq", "nope"])
}

fn word() -> BoxedStrategy<String> {
    of(&[
        "x",
        "y z",
        "1",
        "12",
        "a/b.c",
        "/u/lib/x.tar.gz",
        "-x",
        "-y",
        "-o v",
        "--",
        " ",
        "  ",
        "\t",
        "\"q\"",
        "'s'",
        "\\",
        "\\\\",
        "}",
        "{",
        "(",
        ")",
        "[",
        "]",
        "{n}",
        "(n)",
        "%%",
        "%%x",
        "%",
        "%%%%",
        ":",
        "?",
        "!",
        "é",
        "\u{10FFC3}",
        "http://h/p?q",
        "ftp://h",
        "file:///f/g.tar",
        "\n",
        "\r",
        "\n\n",
        "a\tb",
        "*",
        "#",
        "1",
        "0x10",
        ".",
        "..",
        "/",
        "a/",
        "%%{aa}",
        "%%[1]",
        "%%(",
        "\\%",
        "\\\n",
        "{{",
        "}}",
        ",",
    ])
}

/// What a macro with arguments may ask of them.
fn argument() -> BoxedStrategy<String> {
    of(&[
        "%1",
        "%{1}",
        "%2",
        "%*",
        "%**",
        "%{*}",
        "%{**}",
        "%#",
        "%{#}",
        "%0",
        "%{0}",
        "%-x",
        "%{-x}",
        "%{-x*}",
        "%{-o*}",
        "%{-o}",
        "%{-x:has}",
        "%{!-x:hasn't}",
        "%{-o:%{-o*}}",
        "%-o*",
        "%{?1}",
        "%{?1:one}",
        "%{!?2:no2}",
        "%{-y:y}%{!-y:n}",
    ])
}

const OPERATORS: &[&str] = &[
    "==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "&&", "||", " + ", " == ", " && ", " || ",
];

fn odd_term() -> BoxedStrategy<String> {
    of(&[
        "lua:string.upper(\"a\")",
        "lua:tostring(1)",
        "lua:rpm.expand(\"%%aa\")",
        "lua:string.rep(\"a\", 3)",
        "lua:nope(1)",
        "0x10",
        "%%",
        "\"%{error:e}\"",
        "\"x\" ",
        "%{lua:print(3)}",
        "-%{?aa}",
        "99999999999",
        "x",
        "1x",
        "v\"\"",
        "\"a",
        "(",
        "1 1",
        "=",
        "a(1)",
    ])
}

/// Expressions that mostly have a value.
fn expression() -> BoxedStrategy<String> {
    let term = prop_oneof![
        4 => of(&["0", "1", "2", "10", "-3", "007", "2147483647"]),
        4 => of(&["\"\"", "\"a\"", "\"b c\"", "\"1\"", "\"%{aa}\"", "\"%{?bb}\"", "\"%%\""]),
        2 => of(&["v\"1\"", "v\"1.2\"", "v\"1:1.0-2\"", "v\"1.0~rc1\"", "v\"1.0^git\"", "v\"1.10-1\""]),
        2 => of(&["%{?aa}", "0%{?bb}", "%{?aa:1}%{!?aa:0}", "%#", "%[1]", "%{cc}", "0%{nope}"]),
        1 => odd_term(),
    ]
    .boxed();
    term.prop_recursive(3, 8, 3, |inner| {
        let alike = inner.clone();
        prop_oneof![
            (inner.clone(), select(OPERATORS), inner.clone()).prop_map(|(a, op, b)| format!("{a}{op}{b}")),
            (alike, select(OPERATORS)).prop_map(|(a, op)| format!("{a} {op} {a}")),
            inner.clone().prop_map(|a| format!("({a})")),
            inner.clone().prop_map(|a| format!("!{a}")),
            inner.clone().prop_map(|a| format!("-{a}")),
            (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| format!("{a} ? {b} : {c}")),
        ]
    })
    .boxed()
}

fn script() -> BoxedStrategy<String> {
    let statement = prop_oneof![
        name().prop_map(|name| format!("local m = macros.{name}; print(type(m) == 'function' or m)")),
        name().prop_map(|name| format!("print(macros.{name}('x', 'y z'))")),
        name().prop_map(|name| format!("print(rpm.expand('%{{{name}}}'))")),
        name().prop_map(|name| format!("print(rpm.expand('%{name} x -x y'))")),
        name().prop_map(|name| format!("macros.{name} = 'm%%n'")),
        name().prop_map(|name| format!("rpm.define('{name} l %%1')")),
        plain().prop_map(|name| format!("rpm.undefine('{name}')")),
        name().prop_map(|name| format!("print(rpm.isdefined('{name}'))")),
        of(&[
            "print(1, 'a', nil, true)",
            "print('%%', '%1')",
            "print(#arg, arg[1], arg[2])",
            "print(opt.x, opt.o)",
            "for k, v in ipairs(arg) do print(k, v) end",
            "print(rpm.vercmp('1.0', '1.0~1'))",
            "print(1 // 1, 7 / 2, 2^3)",
            "return 'r', 2",
            "print(rpm.expand('%{'))",
            // What pcall says of it is not compared: tracebacks differ.
            "print((pcall(rpm.expand, '%{error:x}')))",
            "print(table.concat(rpm.splitargs('a \"b c\" %{aa}  d'), '|'))",
            "print(rpm.unsplitargs({'a', 'b c'}))",
            "print(rpm.ver('1:2-3').v, rpm.ver('2') < rpm.ver('10'))",
            "macros.pp = 'a %1'; print(macros['pp'])",
            "if arg then print(rpm.expand('%*')) end",
            "print([[a}{b]])",
            "rpm.define('pp(x) [%1%{-x:x}]')",
            // No option here: to rpm 4.18.0 an unknown one was no error in a table, to 4.18.2 it is.
            "print(macros.pp({'a b', 'x'}))",
            "print(macros.aa, macros.bb)",
            "print(rpm.expand('%{define aa 7}%aa'))",
            "for i = 1, 3 do print(i) end",
            "print('a\\n')",
            "print(macros.quote({'a b', 'c'}))",
            "print(macros.expand('%%aa'))",
            "print(macros.basename('/a/b'))",
            "error('no')",
            "x = 1",
            "print(x)",
            "print(({string.gsub('aba', 'a', 'c')})[1])",
        ]),
    ];
    vec(statement, 1..3).prop_map(|all| all.join("; ")).boxed()
}

/// A text; `inner` makes those inside of it.
fn larger(inner: BoxedStrategy<String>) -> BoxedStrategy<String> {
    let many = |range| vec(inner.clone(), range).prop_map(|all| all.concat()).boxed();
    let signs = of(&["?", "!?", "?!", "!", "", "!!?", "??"]);
    let options = of(&["()", "(x)", "(xo:)", "(-)", "(y)", "(xyo:)", "(o::)", "(+x)"]);
    let define = of(&["%define", "%global", "%{define", "%define "]);
    let function = of(&[
        "quote",
        "shrink",
        "basename",
        "dirname",
        "suffix",
        "expand",
        "expand",
        "url2path",
        "u2p",
        "shescape",
        "getenv",
        "exists",
        "macrobody",
        "S",
        "P",
        "warn",
        "error",
        "rpmversionx",
    ]);
    let any_function = of(&[
        "define", "global", "expand", "quote", "dnl", "basename", "lua", "expr", "shrink",
    ]);
    let brackets = of(&["}", "", "]", "})", "\n"]);
    prop_oneof![
        3 => many(1..4),
        // What asks whether a macro is there.
        3 => (signs.clone(), name(), inner.clone())
            .prop_map(|(signs, name, text)| format!("%{{{signs}{name}:{text}}}")),
        2 => (signs, name(), any::<bool>()).prop_map(|(signs, name, braced)| match braced {
            true => format!("%{{{signs}{name}}}"),
            false => format!("%{signs}{name}"),
        }),
        // Definitions, which end with their line.
        3 => (define.clone(), name(), many(0..4)).prop_map(|(define, name, body)| match define.starts_with("%{") {
            true => format!("{define} {name} {body}}}"),
            false => format!("{define} {name} {body}\n"),
        }),
        3 => (define, select(&["pp", "qq"][..]), options, many(0..4), vec(argument(), 0..3)).prop_map(
            |(define, name, options, body, asked)| {
                let (end, define) = match define.strip_prefix("%{") {
                    Some(_) => ("}", define.as_str()),
                    None => ("\n", define.as_str()),
                };
                format!("{define} {name}{options} <{body}{}>{end}", asked.join("|"))
            }
        ),
        1 => (name(), many(0..3)).prop_map(|(name, body)| format!("%define {name} {{{body}\n}}\n")),
        1 => (name(), many(1..3), many(0..3)).prop_map(|(name, one, two)| format!("%global {name} {one}\\\n{two}\n")),
        1 => plain().prop_map(|name| format!("%undefine {name}\n")),
        1 => plain().prop_map(|name| format!("%{{undefine:{name}}}")),
        // Calls.
        3 => (name(), many(0..3)).prop_map(|(name, text)| format!("%{name} {text}\n")),
        2 => (name(), many(0..3)).prop_map(|(name, text)| format!("%{{{name} {text}}}")),
        1 => (name(), many(0..3)).prop_map(|(name, text)| format!("%{{{name}:{text}}}")),
        3 => (function.clone(), many(0..3)).prop_map(|(name, text)| format!("%{{{name}:{text}}}")),
        1 => (function, many(0..3)).prop_map(|(name, text)| format!("%{{{name} {text}}}")),
        1 => inner.clone().prop_map(|text| format!("%dnl {text}\n")),
        1 => argument(),
        2 => expression().prop_map(|expression| format!("%[{expression}]")),
        1 => expression().prop_map(|expression| format!("%{{expr:{expression}}}")),
        2 => script().prop_map(|script| format!("%{{lua:{script}}}")),
        1 => (name(), of(&["\t", "\n", "-", ".", "*", "#", "!", "?", "/", "(", "{"]), many(0..2))
            .prop_map(|(name, odd, text)| format!("%{{{name}{odd}{text}}}")),
        1 => (name(), of(&["*", "#", "-", "**", ".", "(x)", "{", "["])).prop_map(|(name, odd)| format!("%{name}{odd}")),
        1 => (many(1..3), of(&["%{define ", "%{global ", "%define(", "%global\t", "%{?define:"]))
            .prop_map(|(text, define)| format!("{define}{text}}}")),
        1 => (name(), any_function, many(0..2))
            .prop_map(|(name, function, text)| format!("%{function} {name} {text}\n")),
        1 => (name(), brackets).prop_map(|(name, brackets)| format!("%{{{name}{brackets}")),
        1 => of(&["%()", "%(echo e)", "%(echo '%1)"]),
    ]
    .boxed()
}

/// A text full of macros.
pub fn source() -> BoxedStrategy<String> {
    word().prop_recursive(4, 24, 4, larger).boxed()
}
