//! A build that is killed loses no finished work and leaves nothing half-made.

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
    thread::sleep,
    time::{Duration, Instant},
};

use crate::harness::{Fixture, cache, judge};

/// What is left of the run with this process id: processes with one of its folders mounted, such mounts here, and
/// the folders themselves if `folders`.
pub fn leftovers(pid: u32, folders: bool) -> Vec<String> {
    let mark = format!("-{pid}-");
    let is_ours = |line: &&str| line.contains(&mark) && line.contains("/tmp/");
    let mut found = Vec::new();
    for entry in fs_err::read_dir("/proc").unwrap() {
        let path = entry.unwrap().path();
        let Ok(mounts) = std::fs::read_to_string(path.join("mountinfo")) else {
            continue;
        };
        found.extend(
            mounts
                .lines()
                .find(is_ours)
                .map(|line| format!("{}: {line}", path.display())),
        );
    }
    if folders {
        for entry in fs_err::read_dir(cache().join("tmp")).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            // Single files, which have no owner's lock, go when they are an hour old.
            if entry.file_type().unwrap().is_file() && !name.ends_with(".lock") {
                continue;
            }
            found.extend(Some(name).filter(|name| name.contains(&mark)));
        }
    }
    found
}

/// A fixture of which nothing is in the store: another macro value is another fingerprint.
fn unbuilt(test: &str) -> Fixture {
    let fixture = Fixture::new();
    let macros = fixture.path("macros.fixture");
    let mut text = fs_err::read_to_string(&macros).unwrap();
    text.push_str(&format!("\n%{test}_test {}\n", std::process::id()));
    fs_err::write(&macros, text).unwrap();
    fixture
}

#[test]
fn ctrl_c_ends_with_the_code_of_the_shell() {
    let fixture = unbuilt("interrupted");
    let mut command = fixture.command(".", &["build", "zlib"]);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let mut seen = Vec::new();
    for line in lines {
        if line.contains(" Building zlib") {
            judge("kill", &["-INT", &child.id().to_string()]);
        }
        seen.push(line);
    }
    assert_eq!(child.wait().unwrap().code(), Some(130), "{seen:#?}");
    assert_eq!(leftovers(child.id(), true), Vec::<String>::new());
}

#[test]
fn a_build_killed_at_any_time_goes_on() {
    let fixture = unbuilt("killed");
    fixture.keel(&["check"]).ok();
    let mut killed = Vec::new();
    for round in 0..20u64 {
        let mut command = fixture.command(".", &["build", "zlib", "hello"]);
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Spread over the run: start-up, composing roots, %prep, %build, packaging.
        sleep(Duration::from_millis(60 + round * 170));
        child.kill().unwrap();
        child.wait().unwrap();
        // The kernel takes the sandbox down after its first process; on a loaded machine that is not at once.
        let patience = Instant::now() + Duration::from_secs(10);
        while !leftovers(child.id(), false).is_empty() && Instant::now() < patience {
            sleep(Duration::from_millis(50));
        }
        assert_eq!(
            leftovers(child.id(), false),
            Vec::<String>::new(),
            "after round {round}"
        );
        killed.push(child.id());
    }
    fixture.keel(&["build", "zlib", "hello"]).ok();
    for pid in killed {
        assert_eq!(leftovers(pid, true), Vec::<String>::new());
    }
}
