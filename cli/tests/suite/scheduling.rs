//! What runs when, what is tried again, and what is told of it.

use std::{
    collections::BTreeSet,
    path::Path,
    process::Stdio,
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::harness::{Fixture, judge};

/// A fixture with small components, each of which builds by running a line of shell; none was built before.
fn with(components: &[(&str, &str)]) -> Fixture {
    let fixture = Fixture::new();
    let mut toml = String::new();
    let run = format!("{} {:?}", std::process::id(), std::thread::current().id());
    for (name, build) in components {
        toml.push_str(&format!(
            "[components.{name}]\nspec = {{ type = \"local\", path = \"../specs/{name}.spec\" }}\n"
        ));
        let spec = format!(
            "# {run}\nName: {name}\nVersion: 1\nRelease: 1\nSummary: x\nLicense: MIT\nBuildArch: noarch\n%description\n\
             %prep\n%build\n{build}\n%install\nmkdir -p %{{buildroot}}/usr/share\ntouch %{{buildroot}}/usr/share/{name}\n\
             %files\n/usr/share/{name}\n%changelog\n* Thu Jan 01 2026 K <k@example.org> - 1-1\n- x\n"
        );
        fs_err::write(fixture.path(&format!("specs/{name}.spec")), spec).unwrap();
    }
    fs_err::write(fixture.path("components/more.toml"), toml).unwrap();
    fixture
}

/// The events of a file; every line is whole.
fn events(file: &Path) -> Vec<Value> {
    let text = fs_err::read_to_string(file).unwrap();
    assert!(text.ends_with('\n'));
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Ends the process with this argument, from outside of its sandbox.
fn end_process(argument: &str) {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(120) {
        for entry in fs_err::read_dir("/proc").unwrap() {
            let path = entry.unwrap().path();
            let arguments = std::fs::read(path.join("cmdline")).unwrap_or_default();
            let mut arguments = arguments.split(|byte| *byte == 0);
            if arguments.next() == Some(b"sleep") && arguments.next() == Some(argument.as_bytes()) {
                let pid = path.file_name().unwrap().to_str().unwrap().to_owned();
                judge("kill", &["-KILL", &pid]);
                return;
            }
        }
        sleep(Duration::from_millis(20));
    }
    panic!("there is no `sleep {argument}`");
}

#[test]
fn a_flaky_build_runs_again_and_is_called_flaky() {
    let time = format!("2.{}", std::process::id());
    let fixture = with(&[("flaky", &format!("sleep {time}"))]);
    let told = fixture.path("events");
    let mut command = fixture.command(".", &["build", "flaky", "--retry", "2", "--events"]);
    let child = command
        .arg(&told)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    end_process(&time);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    for part in [
        "`flaky`: %build failed",
        "it runs again (1 of 2); log: ",
        "Flaky flaky 1-1",
        "flaky: `flaky` failed once before it was built",
    ] {
        assert!(said.contains(part), "{part}:\n{said}");
    }
    let log = fs_err::read_to_string(fixture.path("out/logs/flaky.log.1")).unwrap();
    assert!(log.contains(&time), "{log}");
    assert!(!fixture.path("out/logs/flaky.log").exists());
    let events = events(&told);
    let ends = events
        .iter()
        .filter(|event| event["event"] == "finished" && event["kind"] == "build");
    let ends: Vec<_> = ends
        .map(|event| (event["outcome"].as_str(), event["failures"].as_u64()))
        .collect();
    assert_eq!(ends, [(Some("failed"), Some(0)), (Some("flaky"), Some(1))]);
}

#[test]
fn what_always_fails_fails_after_all_its_runs_and_without_retry_at_once() {
    let fixture = with(&[("wrong", "echo attempt; exit 3")]);
    let ran = fixture.keel(&["build", "wrong", "--retry", "2"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("it runs again").count(), 2, "{}", ran.stderr);
    for log in ["wrong.log.1", "wrong.log.2", "wrong.log"] {
        assert!(fixture.path("out/logs").join(log).exists(), "{log}");
    }
    let ran = fixture.keel(&["build", "wrong"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(!ran.stderr.contains("runs again"), "{}", ran.stderr);
}

/// One fails and stops the run while another, which may run again, still goes on: nothing runs again, and nothing says so.
#[test]
fn after_a_stop_nothing_runs_again_and_nothing_says_that_it_does() {
    let fixture = with(&[("quick", "exit 3"), ("slow", "sleep 12; exit 4")]);
    let ran = fixture.keel(&["build", "quick", "slow", "-j", "2", "--retry", "1"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let again = |name: &str| {
        let lines = ran.stderr.lines().filter(|line| line.contains("it runs again"));
        lines.filter(|line| line.contains(name)).count()
    };
    assert_eq!((again("`quick`"), again("`slow`")), (1, 0), "{}", ran.stderr);
}

#[test]
fn a_failure_tells_what_differs_from_the_last_good_build() {
    // The store of all tests remembers builds of earlier runs.
    let name = format!("changing{}", std::process::id());
    let name = name.as_str();
    let fixture = with(&[(name, "true")]);
    let spec = fixture.path(&format!("specs/{name}.spec"));
    let text = fs_err::read_to_string(&spec).unwrap();
    let wrong = text.replace("%build\ntrue", "%build\nfalse");
    fs_err::write(&spec, &wrong).unwrap();
    let first = fixture.keel(&["build", name]);
    assert!(!first.stderr.contains("last good build"), "{}", first.stderr);
    fs_err::write(&spec, text).unwrap();
    fixture.keel(&["build", name]).ok();
    fs_err::write(&spec, wrong).unwrap();
    for arguments in [&["build", name][..], &["build", name, "--output", "json"]] {
        let ran = fixture.keel(arguments);
        assert_eq!(ran.code, Some(1));
        let told = ran.stderr.split("what differs from the last good build:").nth(1);
        let told = told.unwrap_or_else(|| panic!("{}", ran.stderr));
        assert!(told.contains("SPEC: ") && told.contains(", was "), "{told}");
    }
}

#[test]
fn memory_bounds_what_runs_together() {
    let names = ["one", "two", "three"];
    let parts = names.map(|name| (name, "sleep 1"));
    for (memory, together) in [("1G", 1), ("2G", 2)] {
        let fixture = with(&parts);
        fs_err::write(
            fixture.path("macros.fixture"),
            fs_err::read_to_string(fixture.path("macros.fixture")).unwrap()
                + &format!("\n%m{memory} {}\n", std::process::id()),
        )
        .unwrap();
        // Another component each time: of these nobody measured how much memory they need.
        let toml = fs_err::read_to_string(fixture.path("components/more.toml")).unwrap();
        let hint = "build = { hints = { memory = \"1G\" } }\n[components";
        let toml =
            toml.replace("[components", hint)
                .replacen("build = { hints = { memory = \"1G\" } }\n", "", 1);
        fs_err::write(
            fixture.path("components/more.toml"),
            toml + "build = { hints = { memory = \"1G\" } }\n",
        )
        .unwrap();
        let told = fixture.path("events");
        let told_name = told.to_str().unwrap();
        let mut arguments = vec!["build", "-j", "3", "--memory", memory, "--events", told_name];
        arguments.extend(names);
        fixture.keel(&arguments).ok();
        let (mut running, mut most) = (0, 0);
        for event in events(&told).iter().filter(|event| event["kind"] == "build") {
            match event["event"].as_str() {
                Some("started") => running += 1,
                Some("finished") => running -= 1,
                _ => {}
            }
            most = most.max(running);
        }
        assert_eq!(most, together, "--memory {memory}");
    }
    let wrong = Fixture::new().keel(&["build", "--memory", "much"]);
    assert_eq!(wrong.code, Some(2), "{}", wrong.stderr);
}

#[test]
fn events_are_whole_lines_from_begin_to_end() {
    let fixture = with(&[("first", "true"), ("second", "true")]);
    let told = fixture.path("events");
    let arguments = ["build", "first", "second", "--events", told.to_str().unwrap()];
    fixture.keel(&arguments).ok();
    let first = events(&told);
    assert_eq!(first[0]["event"], "begin");
    assert_eq!(first[first.len() - 1]["event"], "end");
    assert_eq!(first[first.len() - 1]["code"], 0);
    let kinds: BTreeSet<&str> = first.iter().filter_map(|event| event["event"].as_str()).collect();
    for kind in [
        "stage",
        "started",
        "expected",
        "phase",
        "finished",
        "tally",
        "remaining",
    ] {
        assert!(kinds.contains(kind), "{kind}: {kinds:?}");
    }
    let times: Vec<f64> = first
        .iter()
        .map(|event| event["time"].as_f64().unwrap())
        .collect();
    assert!(times.is_sorted(), "{times:?}");
    let timings = fixture.path("out/packages/x86_64/first/timings.json");
    let timings: Value = serde_json::from_slice(&fs_err::read(timings).unwrap()).unwrap();
    assert!(
        timings["peak_memory_bytes"].as_u64().unwrap() > 1 << 20,
        "{timings}"
    );
    // The second time there is nothing to build; the result is an event where results go.
    let ran = fixture.keel(&["build", "first", "second", "--events", "-"]).ok();
    let lines: Vec<Value> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let cached = lines
        .iter()
        .filter(|event| event["outcome"] == "cached" && event["kind"] == "build");
    assert_eq!(cached.count(), 2, "{}", ran.stdout);
    let result = lines.iter().find(|event| event["event"] == "result").unwrap();
    assert!(result["result"]["packages"].is_array(), "{result}");
    let wrong = fixture.keel(&["check", "--events", "/nowhere/at/all"]);
    assert_eq!(wrong.code, Some(2), "{}", wrong.stderr);
    assert!(wrong.errors().contains("cannot write events"), "{}", wrong.stderr);
}

#[test]
fn the_live_view_fits_into_the_terminal() {
    let fixture = with(&[("narrow", "sleep 2"), ("narrower", "sleep 2")]);
    let program = env!("CARGO_BIN_EXE_keel");
    let store = crate::harness::cache();
    let line = format!(
        "stty cols 46 rows 12; exec {program} --color never -C {} --cache-dir {} build -j 2 narrow narrower",
        fixture.path(".").display(),
        store.display()
    );
    let output = std::process::Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .env("TERM", "xterm")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
    let plain = without_codes(&said);
    for part in ["Building", "%build (of about", "Left about", "2 running"] {
        assert!(plain.contains(part), "{part}:\n{plain}");
    }
    assert!(
        !said.contains("\x1b[3"),
        "colours, which were not wanted: {said:?}"
    );
    // What is drawn again and again is as wide as the terminal: each line begins with its verb, and none goes on in the next.
    let drawn = plain
        .split(['\r', '\n'])
        .filter(|line| line.contains(" (of about") || line.contains("Left about"));
    for line in drawn {
        let characters: Vec<char> = line.chars().collect();
        for line in characters.chunks(46) {
            let verb: String = line.iter().take(12).collect();
            let is_verb = ["Building", "Left", ""].contains(&verb.trim());
            assert!(is_verb, "{verb:?} in {:?}", characters.iter().collect::<String>());
        }
    }
}

/// Text without the terminal's control sequences (ECMA-48: `ESC [ … letter`).
fn without_codes(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        match character {
            '\x1b' => {
                // One that moves elsewhere begins a line.
                plain.push('\n');
                rest.by_ref().find(char::is_ascii_alphabetic);
            }
            other => plain.push(other),
        }
    }
    plain
}
