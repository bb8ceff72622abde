//! A build that is killed loses no finished work and leaves nothing half-made.

use std::{process::Stdio, thread::sleep, time::Duration};

use crate::harness::{Fixture, cache};

/// Processes and mounts that mention the store's temporary folder.
fn leftovers() -> Vec<String> {
    let tmp = cache().join("tmp").display().to_string();
    let mut found = Vec::new();
    for entry in fs_err::read_dir("/proc").unwrap() {
        let path = entry.unwrap().path();
        let Ok(command) = std::fs::read(path.join("cmdline")) else {
            continue;
        };
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        if command.contains("rpmbuild") || command.contains("/build/SPECS") {
            found.push(format!("process: {command}"));
        }
    }
    let mounts = fs_err::read_to_string("/proc/self/mountinfo").unwrap();
    found.extend(
        mounts
            .lines()
            .filter(|line| line.contains(&tmp))
            .map(str::to_owned),
    );
    found
}

#[test]
fn a_build_killed_at_any_time_goes_on() {
    let fixture = Fixture::new();
    // Another macro value is another fingerprint: this test builds for itself.
    let macros = fixture.path("macros.fixture");
    let mut text = fs_err::read_to_string(&macros).unwrap();
    text.push_str(&format!("\n%killed_test {}\n", std::process::id()));
    fs_err::write(&macros, text).unwrap();
    fixture.keel(&["check"]).ok();
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
        sleep(Duration::from_millis(200));
        assert_eq!(leftovers(), Vec::<String>::new(), "after round {round}");
    }
    fixture.keel(&["build", "zlib", "hello"]).ok();
    let stat = fixture.keel(&["store", "stat", "--output", "json"]).ok();
    let stat: serde_json::Value = serde_json::from_str(&stat.stdout).unwrap();
    // The guard of the folder itself stays.
    assert!(stat["temporary"]["count"].as_u64().unwrap() <= 1, "{stat}");
}
