//! What holds for every command: `--quiet` says nothing but errors, and keys of JSON are of one style.

use std::{collections::BTreeSet, fs};

use serde_json::Value;

use crate::harness::{Fixture, git, root};

/// A command, and how it is typed in the fixture.
struct Case {
    /// As the reference calls it.
    command: &'static str,
    arguments: &'static [&'static str],
    /// What it prints with `--output json` is JSON.
    has_json: bool,
}

const fn case(command: &'static str, arguments: &'static [&'static str]) -> Case {
    Case {
        command,
        arguments,
        has_json: true,
    }
}

const fn without_json(command: &'static str, arguments: &'static [&'static str]) -> Case {
    Case {
        command,
        arguments,
        has_json: false,
    }
}

const SPEC: &str = "specs/hello/hello.spec";

/// In this order: what is built first is looked at later.
const CASES: &[Case] = &[
    case("check", &["check"]),
    case("config check", &["config", "check"]),
    case("config dump", &["config", "dump"]),
    case("config explain", &["config", "explain", "components.zlib.build"]),
    case("licenses", &["licenses"]),
    case("component changed", &["component", "changed", "--from", "HEAD~1"]),
    case("component diff", &["component", "diff", "odd"]),
    case("component history", &["component", "history", "hello"]),
    case("component list", &["component", "list"]),
    case(
        "component prepare-sources",
        &["component", "prepare-sources", "hello", "--to", "made"],
    ),
    case("component query", &["component", "query", "hello"]),
    case(
        "component render",
        &["component", "render", "--clean-stale", "--all"],
    ),
    case("component show", &["component", "show", "zlib"]),
    case("source fetch", &["source", "fetch", "hello"]),
    case("source lock", &["source", "lock", "hello"]),
    case("source srpm", &["source", "srpm", "hello"]),
    case("source verify", &["source", "verify"]),
    case("plan", &["plan", "hello"]),
    case("plan", &["plan", "hello", "--explain", "zlib"]),
    case("plan", &["plan", "hello", "--graph", "json"]),
    case("plan", &["plan", "--changed-since", "HEAD~1"]),
    case("build", &["build", "hello"]),
    case("package check", &["package", "check", "hello"]),
    case("package diff", &["package", "diff", "hello", "hello"]),
    case("package rules", &["package", "rules"]),
    case("repo create", &["repo", "create"]),
    case("repo sign", &["repo", "sign"]),
    case("repo verify", &["repo", "verify"]),
    case("image list", &["image", "list"]),
    case("image show", &["image", "show", "box"]),
    // Any file is a raw disk.
    case("image inspect", &["image", "inspect", SPEC]),
    case("image convert", &["image", "convert", SPEC, "made.qcow2"]),
    case("spec query", &["spec", "query", SPEC]),
    case("spec expand", &["spec", "expand", "%{_bindir}"]),
    case("spec lint", &["spec", "lint", SPEC]),
    case("spec graph", &["spec", "graph", "specs"]),
    case("spec syntax", &["spec", "syntax", SPEC]),
    case("store stat", &["store", "stat"]),
    case("key generate", &["key", "generate", "made.key"]),
    // A line of JSON for each SPEC, in any form.
    case("spec eval", &["spec", "eval", SPEC]),
    // What a text becomes is a text.
    without_json("spec parse", &["spec", "parse", SPEC]),
    without_json("spec fmt", &["spec", "fmt", SPEC]),
    without_json("config schema", &["config", "schema"]),
    without_json("completions", &["completions", "bash"]),
    without_json("man", &["man"]),
    without_json("clean", &["clean"]),
];

/// Commands that are not run here, and where they are.
const ELSEWHERE: &[(&str, &str)] = &[
    (
        "component add",
        "needs another distribution's repositories: `components`",
    ),
    ("source update", "asks registries: `sources`"),
    ("reproduce", "builds twice: `reproduce`"),
    ("shell", "prints what the command in it prints: `shell`"),
    ("repo serve", "does not end: `served`"),
    ("image import", "needs a file of another builder: `config`"),
    ("image build", "`whole_way`"),
    ("image boot", "does not end: `whole_way`"),
    ("image test", "`whole_way`"),
    ("image verify", "needs a finished image: `trusted`"),
    ("image describe", "needs an image: `whole_way`"),
    ("image extract", "needs an image: `scripted`"),
    ("image cat", "needs an image: `scripted`"),
    ("image diff", "needs images: `scripted`"),
    ("image index", "needs finished containers: `registries`"),
    ("image push", "needs a registry: `registries`"),
    ("image pull", "needs a registry: `registries`"),
    ("spec plan", "plans a tree of SPECs without a project: `plan`"),
    (
        "store gc",
        "removes what other tests need from the store that they share",
    ),
];

/// Keys of these objects are names that somebody chose, not Keel's.
const NAMES: &[&str] = &[
    "overlays_by_type",
    "overlays",
    "licences",
    "providers",
    "defines",
    "macros",
    "sections",
];
/// What these print is the configuration, whose keys are TOML's.
const CONFIGURATION: &[&str] = &["config dump", "config explain"];

fn fixture() -> Fixture {
    let fixture = Fixture::new();
    let odd = fixture.path("specs/odd");
    fs::create_dir_all(&odd).unwrap();
    let spec = fs::read_to_string(fixture.path(SPEC))
        .unwrap()
        .replace("hello", "odd");
    fs::write(odd.join("odd.spec"), spec).unwrap();
    let program = fs::read_to_string(fixture.path("specs/hello/hello.c")).unwrap();
    fs::write(odd.join("odd.c"), program.replace("hello", "odd")).unwrap();
    let odd = "[components.odd]\nspec = { type = \"local\", path = \"../specs/odd/odd.spec\" }\n\
               build = { bootstrap-libc = true, borrowed-libc = true }\n\
               [[components.odd.overlays]]\ntype = \"spec-set-tag\"\ntag = \"Vendor\"\nvalue = \"v\"\n";
    fs::write(fixture.path("components/odd.toml"), odd).unwrap();
    let commit = "git add . && git commit -qm";
    git(
        &fixture.path(""),
        &format!("git init -q -b main . && {commit} one"),
    );
    let hello = fs::read_to_string(fixture.path(SPEC)).unwrap();
    fs::write(fixture.path(SPEC), hello.replace("%prep\n", "%prep\n: more\n")).unwrap();
    git(&fixture.path(""), &format!("{commit} two"));
    // A folder that stays, with a note.
    fs::create_dir_all(fixture.path("specs/l/left")).unwrap();
    fs::write(
        fixture.path("specs/l/left/left.spec"),
        "Name: left\nVersion: 1\nRelease: 1\nSummary: s\nLicense: MIT\n%description\nd\n%files\n",
    )
    .unwrap();
    fixture
}

#[test]
fn every_command_is_here_or_told_where_it_is() {
    let reference = fs::read_to_string(root().join("docs/reference/cli.md")).unwrap();
    let known: BTreeSet<&str> = (CASES.iter().map(|case| case.command))
        .chain(ELSEWHERE.iter().map(|(command, _)| *command))
        .collect();
    let mut commands = BTreeSet::new();
    for part in reference.split("\n## `keel ").skip(1) {
        let (command, rest) = part.split_once('`').unwrap();
        let usage = rest.lines().find(|line| line.starts_with("Usage: ")).unwrap();
        if !usage.ends_with("<COMMAND>") {
            commands.insert(command);
        }
    }
    assert!(commands.len() > 40, "{commands:?}");
    assert_eq!(commands, known);
}

#[test]
fn quiet_commands_say_nothing_but_errors() {
    let fixture = fixture();
    let mut wrong = Vec::new();
    for case in CASES {
        let ran = fixture.keel(&[&["-q"], case.arguments].concat());
        if ran.code != Some(0) || !ran.stderr.is_empty() {
            wrong.push(format!("{}: {:?}: {}", case.command, ran.code, ran.stderr));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // What is wrong is said all the same; what a macro says besides is not.
    fs::write(
        fixture.path("loud.spec"),
        "%{warn:careful}\n%{echo:hello}\nName: loud\nVersion: 1\nRelease: 1\nSummary: s\nLicense: MIT\n%description\nd\n%post x\n",
    )
    .unwrap();
    for arguments in [
        &["spec", "eval", "loud.spec"][..],
        &["spec", "query", "loud.spec"],
        &["spec", "parse", "loud.spec"],
    ] {
        let ran = fixture.keel(&[&["-q"], arguments].concat());
        assert!(ran.code != Some(0), "{arguments:?}");
        assert!(ran.stderr.starts_with("error"), "{arguments:?}: {}", ran.stderr);
        assert!(
            !ran.stderr.contains("careful") && !ran.stderr.contains("hello"),
            "{}",
            ran.stderr
        );
        let loud = fixture.keel(arguments);
        assert!(
            loud.stderr.contains("careful") && loud.stderr.contains("hello"),
            "{}",
            loud.stderr
        );
    }
}

#[test]
fn keys_of_json_are_of_one_style() {
    let fixture = fixture();
    let mut wrong = BTreeSet::new();
    for case in CASES.iter().filter(|case| case.has_json) {
        let ran = fixture.keel(&[case.arguments, &["--output", "json"]].concat());
        if ran.code != Some(0) {
            wrong.insert(format!("{}: {:?}: {}", case.command, ran.code, ran.stderr));
            continue;
        }
        let values = serde_json::Deserializer::from_str(&ran.stdout).into_iter::<Value>();
        let values: Result<Vec<Value>, _> = values.collect();
        match values {
            Err(error) => _ = wrong.insert(format!("{}: {error}: {}", case.command, ran.stdout)),
            Ok(values) if values.is_empty() => _ = wrong.insert(format!("{}: nothing", case.command)),
            Ok(values) => {
                for value in values.iter().filter(|_| !CONFIGURATION.contains(&case.command)) {
                    look(case.command, "", value, &mut wrong);
                }
            }
        }
        for line in ran.stderr.lines() {
            match serde_json::from_str(line) {
                Ok(value) => look(case.command, "", &value, &mut wrong),
                Err(_) => _ = wrong.insert(format!("{}: standard error: {line}", case.command)),
            }
        }
    }
    let wrong: Vec<String> = wrong.into_iter().collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Keys are `snake_case`; values of those that choose among words are `kebab-case`.
fn look(command: &str, key: &str, value: &Value, wrong: &mut BTreeSet<String>) {
    const CHOICES: &[&str] = &[
        "state",
        "change",
        "how",
        "level",
        "class",
        "cost_from",
        "severity",
        "kind",
        "overlay",
    ];
    match value {
        Value::Object(entries) => {
            for (name, value) in entries {
                if !NAMES.contains(&key) && !is_of(name, '_') {
                    wrong.insert(format!("{command}: the key `{name}` in `{key}`"));
                }
                look(command, name, value, wrong);
            }
        }
        Value::Array(items) => {
            let key = format!("{key}[]");
            items.iter().for_each(|item| look(command, &key, item, wrong));
        }
        Value::String(text)
            if CHOICES.contains(&key.trim_end_matches("[]")) && !text.contains(' ') && !is_of(text, '-') =>
        {
            wrong.insert(format!("{command}: the value `{text}` of `{key}`"));
        }
        _ => {}
    }
}

fn is_of(name: &str, between: char) -> bool {
    let is_word =
        |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    name.split(between).all(is_word)
}
