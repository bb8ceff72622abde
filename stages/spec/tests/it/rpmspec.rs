//! `rpmspec` is the judge: parsed text, headers and errors of small SPECs, each written for one rule.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
};

use keel_spec::{
    environment::{Environment, Options, Target},
    eval::{self, Outcome},
    header::Header,
    macros::{Behaviour, Engine, Limits, Severity, World, text},
    query::Query,
};

/// This machine, as rpm sees it.
struct Here;

impl World for Here {
    fn shell(&self, command: &[u8]) -> Result<Vec<u8>, String> {
        let text = String::from_utf8_lossy(command).into_owned();
        let output = Command::new("/bin/sh").args(["-c", &text]).output();
        Ok(output.map_err(|error| error.to_string())?.stdout)
    }

    fn variable(&self, name: &str) -> Option<String> {
        (name == "HOME").then(|| "/nonexistent".to_owned())
    }

    fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn exists(&self, path: &str) -> bool {
        Path::new(path).exists()
    }

    fn list(&self, _: &str) -> Vec<String> {
        Vec::new()
    }

    fn processors(&self) -> usize {
        std::thread::available_parallelism().unwrap().get()
    }

    fn now(&self) -> i64 {
        0
    }
}

const DEFINES: [&str; 2] = ["dist .test", "_sourcedir /sources"];

fn environment() -> Environment {
    let target: Target = "x86_64-linux".parse().unwrap();
    let rpm = Path::new("/usr/lib/rpm");
    let mut options = Options::open(rpm, rpm, target, Some(Behaviour::Rpm418)).unwrap();
    options.defines = DEFINES.map(str::to_owned).to_vec();
    Environment::load(&options).unwrap()
}

fn keel(environment: &Environment, path: &Path) -> Outcome {
    let bytes = fs::read(path).unwrap();
    let table = environment.table.clone();
    let mut engine = Engine::new(table, environment.behaviour, Arc::new(Here), Limits::default());
    let name = path.to_string_lossy();
    eval::evaluate(&mut engine, &name, &text::decode(&bytes), &|arch| {
        environment.machine_score(arch) > 0
    })
}

fn rpmspec(path: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new("rpmspec");
    command.args(arguments).args(["--target", "x86_64"]);
    for define in DEFINES {
        command.args(["-D", define]);
    }
    let output = command
        .arg(path)
        .env("HOME", "/nonexistent")
        .env("LC_ALL", "C.UTF-8")
        .output();
    output.expect("this test needs `rpmspec`: apt-get install rpm")
}

fn specs(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(paths.len() > 5);
    paths
}

/// All that a header says of dependencies, and the rest that both know.
const FORMAT: &str = "%{nevra} %{epoch} %{license} %{group} %{url} %{summary}\n%{description}\n\
    %{vendor} %{packager} %{vcs} %{bugurl} %{sourcerpm}\n\
    [P %{providename} %{provideflags} %{provideversion}\n]\
    [R %{requirename} %{requireflags} %{requireversion}\n]\
    [C %{conflictname} %{conflictflags} %{conflictversion}\n]\
    [O %{obsoletename} %{obsoleteflags} %{obsoleteversion}\n]\
    [M %{recommendname} %{recommendflags} %{recommendversion}\n]\
    [S %{suggestname} %{suggestflags} %{suggestversion}\n]\
    [U %{supplementname} %{supplementflags} %{supplementversion}\n]\
    [E %{enhancename} %{enhanceflags} %{enhanceversion}\n]\
    [W %{ordername} %{orderflags} %{orderversion}\n]\
    [source %{source}\n][patch %{patch}\n][no %{nosource}\n]\
    [only %{exclusivearch}\n][not %{excludearch}\n][arch %{buildarchs}\n]\
    [prefix %{prefixes}\n]\
    %{prein} %{preinprog} %{postin} [%{postinprog} ]%{preun} %{postun} [%{postunprog} ]\
    %{posttrans} %{posttransprog} %{verifyscript}\n";

/// `[%{changelogtime} …]` is asked of the source package only: rpm keeps the changelog of others elsewhere.
const SOURCE_FORMAT: &str = "[* %{changelogtime} %{changelogname}\n%{changelogtext}\n]";

#[test]
fn texts_and_headers_are_rpms() {
    let environment = environment();
    let mut wrong = Vec::new();
    for path in specs("specs") {
        let outcome = keel(&environment, &path);
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let Some(spec) = &outcome.evaluated else {
            wrong.push(format!("{name}: {:?}", outcome.messages));
            continue;
        };
        let judge = rpmspec(&path, &["-P"]);
        let expected = text::decode(&judge.stdout).into_owned();
        if outcome.parsed != expected {
            wrong.push(format!(
                "{name}: {}",
                first_difference(&outcome.parsed, &expected)
            ));
        }
        let source = format!("{FORMAT}{SOURCE_FORMAT}");
        for (which, format, headers) in [
            ("--srpm", source.as_str(), vec![Header::source(spec)]),
            ("--builtrpms", FORMAT, Header::packages(spec, true).collect()),
            ("--rpms", FORMAT, Header::packages(spec, false).collect()),
        ] {
            let query = Query::parse(format).unwrap();
            let shown: String = headers.iter().map(|header| query.show(header).unwrap()).collect();
            let judge = rpmspec(&path, &["-q", which, "--qf", format]);
            let expected = text::decode(&judge.stdout).into_owned();
            if shown != expected {
                wrong.push(format!("{name} {which}: {}", first_difference(&shown, &expected)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn first_difference(got: &str, expected: &str) -> String {
    let mut lines = got.lines().zip(expected.lines()).enumerate();
    match lines.find(|(_, (got, expected))| got != expected) {
        Some((at, (got, expected))) => format!("line {}: {got:?}, rpm has {expected:?}", at + 1),
        None => format!(
            "{} lines, rpm has {}",
            got.lines().count(),
            expected.lines().count()
        ),
    }
}

#[test]
fn errors_are_rpms() {
    let environment = environment();
    let mut wrong = Vec::new();
    let mut seen = BTreeMap::new();
    for path in specs("wrong") {
        let outcome = keel(&environment, &path);
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let judge = rpmspec(&path, &["-q", "--srpm"]);
        let text = String::from_utf8_lossy(&judge.stderr);
        let error = text.lines().find_map(|line| line.strip_prefix("error: "));
        let said = outcome
            .messages
            .iter()
            .find(|message| message.severity == Severity::Error)
            .map(|message| message.text.lines().next().unwrap_or("").to_owned());
        if judge.status.success() != outcome.evaluated.is_some() {
            wrong.push(format!(
                "{name}: rpm ends with {}, Keel says {said:?}",
                judge.status
            ));
        } else if said.as_deref().map(str::trim_end) != error.map(str::trim_end) {
            wrong.push(format!("{name}: {said:?}, rpm says {error:?}"));
        }
        seen.insert(said, name);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen.len() > 25, "each mistake has a text of its own");
}
